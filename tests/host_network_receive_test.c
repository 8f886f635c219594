// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames and control messages to the guest, and who has which suballocation.
 * docs/protocol/network.md, "6 Receive path", "9.2 RSC", "14 Particular guests", "16 Hardening".
 */
#include "tests/host_network_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/network_internal.h"

static struct nic nic;

static void set_filter(struct nic *nic, uint32_t filter)
{
	assert_int_equal(nic_set(nic, 0x0001010E, &filter, 4), 0);
}

/* Version 6.1 with sub-channels open; all offloads on, coalescing too. */
static int start(void **state)
{
	static const uint8_t parameters[28] = { 0x80, 3, 28, 0, 4, 4, 4, 4, 4, 0, 0, 2,
						2,    0, 0,  0, 0, 0, 0, 0, 0, 0, 2, 2 };
	const struct vmb_host_network_config config = nic_config();
	uint16_t queue;

	nic_start(&nic, &config);
	nic_open(&nic, 0x60001, 1514, 0x80);
	nic_initialize(&nic);
	assert_int_equal(nic_set(&nic, 0xFC01020C, parameters, 28), 0);
	assert_true(nic_take_answer(&nic)); /* the change is indicated */
	nic_message(&nic, true, 3, 133, 1, 3);
	for (queue = 1; queue < NIC_QUEUE_COUNT; queue++)
		vmb_host_network_queue_opened(&nic.n, queue);
	vmb_host_network_output(&nic.n, 0); /* the table */
	vmb_host_network_output_done(&nic.n, 0);
	set_filter(&nic, 0x0D);
	*state = &nic;
	return 0;
}

static int end(void **state)
{
	nic_end(*state);
	return 0;
}

static const uint8_t *some_frame(uint32_t len)
{
	static uint8_t frame[70000];
	uint32_t i;

	for (i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + i / 256);
	return frame;
}

static int receive(struct nic *nic, uint16_t queue, uint32_t len)
{
	const struct vmb_host_network_received received = { .len = len };
	const struct vmb_host_offload_piece piece = { some_frame(len < 65550 ? len : 0), len };

	return vmb_host_network_receive(&nic->n, queue, &received, &piece, 1);
}

static const uint8_t *range_bytes(struct nic *nic, const struct vmb_host_network_output *out,
				  uint32_t i)
{
	return nic->receive_buffer + out->header.ranges[i].byte_offset;
}

static void test_frame_is_put_behind_its_envelope(void **state)
{
	struct vmb_host_network_received received = { .len = 90,
						      .checksum = 0x28,
						      .has_vlan = true,
						      .vlan = 0x0641,
						      .has_hash = true,
						      .hash = 0x51ccc178,
						      .hash_type = 0x201 };
	struct vmb_host_offload_piece pieces[4];
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	const uint8_t *bytes;
	uint32_t i;

	memset(nic->receive_buffer, 0xDB, nic->receive_len);
	for (i = 0; i < 4; i++) {
		static const uint32_t starts[] = { 0, 1, 1, 60 }, lens[] = { 1, 0, 59, 40 };

		pieces[i].base = some_frame(100) + starts[i];
		pieces[i].len = lens[i];
	}
	assert_int_equal(vmb_host_network_receive(&nic->n, 2, &received, pieces, 4), 0);
	assert_null(vmb_host_network_output(&nic->n, 1));
	out = vmb_host_network_output(&nic->n, 2);
	assert_int_equal(out->type, 7);
	assert_int_equal(out->flags, 1);
	assert_int_equal(out->header_len, 16);
	assert_int_equal(out->header.pages.set_id, 0xCAFE);
	assert_int_equal(out->header.pages.sender_owns_set, 0);
	assert_int_equal(out->header.pages.reserved, 0);
	assert_int_equal(out->payload_len, 40);
	assert_int_equal(nic_get32(out->payload), 107);
	assert_int_equal(nic_get32(out->payload + 4), 0);
	assert_int_equal(nic_get32(out->payload + 8), 0xFFFFFFFF);
	assert_int_equal(nic_get32(out->payload + 12), 0);
	assert_int_equal(out->header.ranges[0].byte_count, 346);
	assert_int_equal(out->header.ranges[0].byte_offset, out->transaction_id * 1806);
	bytes = range_bytes(nic, out, 0);
	assert_int_equal(nic_get32(bytes), 1);
	assert_int_equal(nic_get32(bytes + 4), 346);
	assert_int_equal(nic_get32(bytes + 8), 248);
	assert_int_equal(nic_get32(bytes + 12), 90);
	assert_int_equal(nic_get32(bytes + 32), 64);
	assert_int_equal(nic_get32(bytes + 56), 0x28);
	assert_int_equal(nic_get32(bytes + 72), 0x0641);
	assert_int_equal(nic_get32(bytes + 88), 0x51ccc178);
	assert_int_equal(nic_get32(bytes + 104), 0x201);
	for (i = 108; i < 256; i++)
		assert_int_equal(bytes[i], 0);
	assert_memory_equal(bytes + 256, some_frame(90), 90);
	assert_int_equal(bytes[346], 0xDB);
}

/* A guest that did not ask for it is not told what stands in no header. */
static void test_checksum_is_told_to_who_wants_it(void **state)
{
	static const uint8_t off[28] = { 0x80, 3, 28, 0, 1, 1, 1, 1, 1 };
	struct vmb_host_network_received received = { .len = 60, .checksum = 0x28 };
	const struct vmb_host_offload_piece piece = { some_frame(60), 60 };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;

	assert_int_equal(nic_set(nic, 0xFC01020C, off, 28), 0);
	assert_true(nic_take_answer(nic));
	assert_int_equal(vmb_host_network_receive(&nic->n, 0, &received, &piece, 1), 0);
	out = vmb_host_network_output(&nic->n, 0);
	assert_int_equal(nic_get32(range_bytes(nic, out, 0) + 48), 0); /* a checksum, always */
	assert_int_equal(nic_get32(range_bytes(nic, out, 0) + 56), 0);
}

static void test_frames_share_a_packet_up_to_the_batch(void **state)
{
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint32_t i, before = nic->n.free_count;

	for (i = 0; i < 64; i++)
		assert_int_equal(receive(nic, 1, 60 + i), 0);
	assert_int_equal(receive(nic, 1, 60), VMB_EAGAIN);
	assert_int_equal(receive(nic, 2, 60), 0); /* queues are apart */
	out = vmb_host_network_output(&nic->n, 1);
	assert_int_equal(out->header.pages.range_count, 64);
	assert_int_equal(out->header_len, 8 + 64 * 8);
	for (i = 0; i < 64; i++) {
		assert_int_equal(out->header.ranges[i].byte_count, 256 + 60 + i);
		assert_memory_equal(range_bytes(nic, out, i) + 256, some_frame(60 + i), 60 + i);
	}
	assert_int_equal(receive(nic, 1, 60), VMB_EAGAIN); /* the same until it is written */
	assert_ptr_equal(vmb_host_network_output(&nic->n, 1), out);
	vmb_host_network_output_done(&nic->n, 1);
	assert_null(vmb_host_network_output(&nic->n, 1));
	assert_int_equal(receive(nic, 1, 60), 0);
	assert_int_equal(nic->n.free_count, before - 66);
	assert_int_equal(nic->n.counters.no_suballoc, 0);
}

static void test_full_buffer_leaves_some_to_control(void **state)
{
	const uint32_t keepalive[3] = { 8, 12, 1 };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint64_t ids[1000];
	uint32_t i, packets = 0, frames = 0;
	int error;

	for (;;) {
		error = receive(nic, 1, 60);
		if (!error) {
			frames++;
			continue;
		}
		assert_int_equal(error, VMB_EAGAIN);
		out = vmb_host_network_output(&nic->n, 1);
		if (!out)
			break;
		ids[packets++] = out->transaction_id;
		vmb_host_network_output_done(&nic->n, 1);
	}
	assert_int_equal(frames, nic->n.suballoc_count - 16);
	assert_true(nic->n.counters.no_suballoc > 0);
	assert_int_equal(nic->n.rndis.counters.rx_no_buffer, nic->n.counters.no_suballoc);
	for (i = 0; i < 3; i++) {
		assert_int_equal(nic_control(nic, keepalive, 12), 1);
		assert_true(nic_take_answer(nic));
	}
	nic_ack(nic, 1, ids[0]);
	assert_int_equal(receive(nic, 1, 60), 0);
}

static void test_nobody_receives_before_filter_and_after_halt(void **state)
{
	const uint32_t halt[3] = { 3, 12, 9 };
	static const uint8_t own[6] = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 };
	struct nic *nic = *state;

	assert_true(vmb_host_network_wants(&nic->n, own));
	set_filter(nic, 0);
	assert_false(vmb_host_network_wants(&nic->n, own));
	assert_int_equal(receive(nic, 0, 60), VMB_ENODEV);
	set_filter(nic, 1);
	assert_int_equal(receive(nic, 0, 60), 0);
	vmb_host_network_output(&nic->n, 0);
	vmb_host_network_output_done(&nic->n, 0);
	vmb_host_network_queue_closed(&nic->n, 3);
	assert_int_equal(receive(nic, 3, 60), VMB_ENODEV);
	assert_int_equal(receive(nic, NIC_QUEUE_COUNT, 60), VMB_EINVAL);
	assert_int_equal(nic_control(nic, halt, 12), 1);
	assert_int_equal(receive(nic, 0, 60), VMB_ENODEV);
	nic_initialize(nic);
	assert_int_equal(receive(nic, 0, 60), VMB_ENODEV);
	set_filter(nic, 1);
	assert_int_equal(receive(nic, 0, 60), 0);
	nic_message(nic, false, 2, 103, 0xCAFE);
	assert_int_equal(receive(nic, 0, 60), VMB_ENODEV);
	assert_false(vmb_host_network_wants(&nic->n, own));
	assert_null(vmb_host_network_output(&nic->n, 0));
}

/*
 * At once, on every queue: what the ring had no room for goes too, and a later sub-channel gets
 * nothing.
 */
static void test_filter_of_zero_stops_receiving_at_once(void **state)
{
	struct nic *nic = *state;
	uint32_t before = nic->n.free_count;

	vmb_host_network_queue_closed(&nic->n, 3);
	assert_int_equal(receive(nic, 1, 60), 0);
	assert_int_equal(receive(nic, 2, 60), 0);
	assert_non_null(vmb_host_network_output(&nic->n, 2)); /* the ring is full */
	set_filter(nic, 0);
	assert_null(vmb_host_network_output(&nic->n, 1));
	assert_null(vmb_host_network_output(&nic->n, 2));
	vmb_host_network_output_done(&nic->n, 2); /* of nothing */
	assert_int_equal(nic->n.free_count, before);
	vmb_host_network_queue_opened(&nic->n, 3);
	assert_int_equal(receive(nic, 3, 60), VMB_ENODEV);
	assert_int_equal(vmb_host_network_output(&nic->n, 0)->type, VMB_PKT_INBAND); /* the table */
	vmb_host_network_receive_flush(&nic->n); /* it is no frame */
	assert_int_equal(vmb_host_network_output(&nic->n, 0)->type, VMB_PKT_INBAND);
	vmb_host_network_output_done(&nic->n, 0);
	assert_null(vmb_host_network_output(&nic->n, 3));
	set_filter(nic, 0x0D);
	assert_int_equal(receive(nic, 3, 60), 0);
	assert_int_equal(vmb_host_network_output(&nic->n, 3)->payload_len,
			 40); /* of 6.1, as on all */
}

static void test_lengths_out_of_bounds_are_refused(void **state)
{
	struct vmb_host_network_received received = { .len = 60 };
	const struct vmb_host_offload_piece piece = { some_frame(59), 59 };
	struct nic *nic = *state;

	assert_int_equal(receive(nic, 0, 1514), 0);
	assert_int_equal(receive(nic, 0, 1515), VMB_EOVERFLOW);
	assert_int_equal(receive(nic, 0, 13), VMB_EOVERFLOW);
	assert_int_equal(receive(nic, 0, 0), VMB_EOVERFLOW);
	assert_int_equal(receive(nic, 0, 0xFFFFFFFF), VMB_EOVERFLOW);
	assert_int_equal(vmb_host_network_receive(&nic->n, 0, &received, &piece, 1), VMB_EINVAL);
	assert_int_equal(nic->n.rndis.counters.rx_frames, 1);
	assert_int_equal(nic->n.rndis.counters.rx_bytes, 1514);
}

/* Control messages. */

static void test_control_stands_alone_and_is_not_starved(void **state)
{
	const uint32_t keepalive[3] = { 8, 12, 1 };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;

	assert_int_equal(receive(nic, 0, 60), 0);
	assert_int_equal(nic_control(nic, keepalive, 12), 1);
	assert_int_equal(receive(nic, 0, 60), 0);
	out = vmb_host_network_output(&nic->n, 0);
	assert_int_equal(out->header.pages.range_count, 2);
	assert_int_equal(nic_get32(out->payload + 4), 0);
	vmb_host_network_output_done(&nic->n, 0);
	assert_int_equal(receive(nic, 0, 60), VMB_EAGAIN); /* the reply first */
	assert_int_equal(receive(nic, 1, 60), 0); /* others need not wait */
	out = vmb_host_network_output(&nic->n, 0);
	assert_int_equal(out->header.pages.range_count, 1);
	assert_int_equal(nic_get32(out->payload + 4), 1);
	assert_int_equal(out->header.ranges[0].byte_count, 16);
	assert_int_equal(receive(nic, 0, 60), VMB_EAGAIN);
	vmb_host_network_output_done(&nic->n, 0);
	assert_int_equal(receive(nic, 0, 60), 0);
}

static void test_reply_comes_before_the_indication(void **state)
{
	static const uint8_t off[28] = { 0x80, 3, 28, 0, 1, 1, 1, 1, 1 };
	struct nic *nic = *state;

	assert_int_equal(nic_set(nic, 0xFC01020C, off, 28), 0); /* takes the reply */
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer), 7);
	assert_int_equal(nic_get32(nic->answer + 8), 0x40020006);
	assert_false(nic_take_answer(nic));
}

/* Coalesced frames. */

static void test_large_frame_is_consecutive_fragments(void **state)
{
	static const uint32_t lens[] = { 1515, 3028, 3029, 9000, 65549 };
	struct vmb_host_network_received received = { .checksum = 0x28, .mss = 1460 };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	static uint8_t whole[70000];
	uint32_t count, done, i, t;

	for (t = 0; t < VMB_ARRAY_COUNT(lens); t++) {
		struct vmb_host_offload_piece pieces[2];

		received.len = lens[t];
		pieces[0].base = some_frame(lens[t]);
		pieces[0].len = 1000;
		pieces[1].base = some_frame(lens[t]) + 1000;
		pieces[1].len = lens[t] - 1000;
		assert_int_equal(receive(nic, 1, 100), 0); /* one before it */
		assert_int_equal(vmb_host_network_receive(&nic->n, 1, &received, pieces, 2), 0);
		assert_int_equal(receive(nic, 1, 100), 0); /* and one behind */
		out = vmb_host_network_output(&nic->n, 1);
		count = (lens[t] + 1513) / 1514;
		assert_int_equal(out->header.pages.range_count, count + 2);
		for (i = 0, done = 0; i < count; i++) {
			const uint8_t *bytes = range_bytes(nic, out, 1 + i);
			uint32_t len = nic_get32(bytes + 12);
			uint32_t flags = 1 | (i == 0 ? 2 : 0) | (i + 1 == count ? 4 : 0);
			uint32_t id_at = i ? 44 : 60; /* behind the first one's checksum */

			assert_int_equal(nic_get32(bytes + 4), 256 + len);
			assert_int_equal(out->header.ranges[1 + i].byte_count, 256 + len);
			assert_int_equal(nic_get32(bytes + 32), i ? 16 : 32);
			if (!i)
				assert_int_equal(nic_get32(bytes + 56), 0x28);
			assert_int_equal(nic_get32(bytes + id_at), 16);
			assert_int_equal(nic_get32(bytes + id_at + 4), 0x80000001);
			assert_int_equal(nic_get32(bytes + id_at + 8), 12);
			assert_int_equal(nic_get32(bytes + id_at + 12), flags << 8 | 1);
			memcpy(whole + done, bytes + 256, len);
			done += len;
		}
		assert_int_equal(done, lens[t]);
		assert_memory_equal(whole, some_frame(done), done);
		vmb_host_network_output_done(&nic->n, 1);
		nic_ack(nic, 1, out->transaction_id);
	}
	received.len = 65550;
	assert_int_equal(vmb_host_network_receive(&nic->n, 1, &received, NULL, 0), VMB_EOVERFLOW);
	assert_int_equal(nic->n.counters.forged, 0);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
}

static void test_large_frames_fill_a_packet_to_its_bound(void **state)
{
	struct vmb_host_network_received received = { .len = 1514 * 40, .mss = 1460 };
	const struct vmb_host_offload_piece piece = { some_frame(1514 * 40), 1514 * 40 };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint32_t i;

	for (i = 0; i < 14; i++)
		assert_int_equal(vmb_host_network_receive(&nic->n, 1, &received, &piece, 1),
				 i * 40 + 40 <= nic->n.suballoc_count - 16 ? 0 : VMB_EAGAIN);
	out = vmb_host_network_output(&nic->n, 1);
	assert_true(out->header.pages.range_count <= 562);
	assert_int_equal(out->header.pages.range_count, (nic->n.suballoc_count - 16) / 40 * 40);
}

static void test_large_frame_without_agreement_is_refused(void **state)
{
	static const uint8_t off[28] = { 0x80, 3, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					 0,    0, 0,  0, 0, 0, 0, 0, 0, 0, 1, 1 };
	struct vmb_host_network_received received = { .len = 3000, .mss = 1460 };
	const struct vmb_host_offload_piece piece = { some_frame(3000), 3000 };
	struct nic *nic = *state;

	assert_int_equal(receive(nic, 1, 3000), VMB_EOVERFLOW); /* no MSS: not a coalesced one */
	assert_int_equal(nic_set(nic, 0xFC01020C, off, 28), 0);
	assert_false(vmb_host_network_takes_large(&nic->n));
	assert_int_equal(vmb_host_network_receive(&nic->n, 1, &received, &piece, 1), VMB_EOVERFLOW);
}

/* Who has which suballocation. */

static void test_forged_acknowledgements_are_ignored(void **state)
{
	static const uint64_t forged[] = { 100000, 0x100000000, 0xFFFFFFFFFFFFFFFF };
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint32_t before = nic->n.free_count, i;
	uint64_t id;

	assert_int_equal(receive(nic, 1, 60), 0);
	assert_int_equal(receive(nic, 1, 60), 0);
	out = vmb_host_network_output(&nic->n, 1);
	id = out->transaction_id;
	nic_ack(nic, 1, id); /* it has not left */
	assert_int_equal(nic->n.counters.forged, 1);
	vmb_host_network_output_done(&nic->n, 1);
	nic_ack(nic, 2, id); /* another queue's */
	nic_ack(nic, 1, out->header.ranges[1].byte_offset / 1806); /* not the first one */
	for (i = 0; i < VMB_ARRAY_COUNT(forged); i++)
		nic_ack(nic, 1, forged[i]);
	nic_ack(nic, 1, id | 1ull << 32);
	assert_int_equal(nic->n.counters.forged, 7);
	assert_int_equal(nic->n.free_count, before - 2);
	nic_ack(nic, 1, id);
	assert_int_equal(nic->n.free_count, before);
	nic_ack(nic, 1, id);
	assert_int_equal(nic->n.counters.forged, 8);
	assert_int_equal(nic->n.free_count, before);
}

static void test_closed_queue_gives_all_back(void **state)
{
	struct nic *nic = *state;
	uint32_t before = nic->n.free_count, i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(receive(nic, 1, 60), 0);
		assert_int_equal(receive(nic, 1, 60), 0);
		vmb_host_network_output(&nic->n, 1);
		vmb_host_network_output_done(&nic->n, 1);
	}
	assert_int_equal(receive(nic, 2, 60), 0);
	assert_int_equal(receive(nic, 1, 60), 0); /* has not left */
	vmb_host_network_queue_closed(&nic->n, 1);
	assert_null(vmb_host_network_output(&nic->n, 1));
	assert_int_equal(nic->n.free_count, before - 1);
	nic_ack(nic, 1, 0);
	assert_int_equal(nic->n.free_count, before - 1);
}

/* The guest has a packet on queue 1, whose id is answered, and revokes the receive buffer. */
static uint64_t revoke_under_way(struct nic *nic)
{
	const struct vmb_host_network_output *out;
	uint64_t id;

	assert_int_equal(receive(nic, 1, 60), 0);
	out = vmb_host_network_output(&nic->n, 1);
	id = out->transaction_id;
	vmb_host_network_output_done(&nic->n, 1);
	nic_message(nic, false, 2, 103, 0xCAFE);
	return id;
}

static void test_late_acknowledgement_after_revoke_is_ignored(void **state)
{
	struct nic *nic = *state;
	uint64_t id = revoke_under_way(nic);

	nic_ack(nic, 1, id);
	assert_int_equal(nic->n.counters.forged, 0);
	nic_ack(nic, 1, id); /* once, and on its queue */
	nic_ack(nic, 2, id);
	assert_int_equal(nic->n.counters.forged, 2);
	assert_int_equal(nic->n.free_count, 0);
	nic_message(nic, true, 3, 101, 7, 0xCAFE);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
	nic_ack(nic, 1, id);
	assert_int_equal(nic->n.counters.forged, 3);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
}

static void test_closed_queue_acknowledges_nothing_late(void **state)
{
	struct nic *nic = *state;
	uint64_t id = revoke_under_way(nic);

	vmb_host_network_queue_closed(&nic->n, 1);
	nic_ack(nic, 1, id);
	assert_int_equal(nic->n.counters.forged, 1);
}

/*
 * Anything in any order against a model that knows of each suballocation who has it: never two at
 * once, none is lost.
 */
struct model {
	uint16_t holder[1024]; /* 0 free, else the number of the packet */
	struct {
		bool used;
		uint16_t queue;
		uint64_t id;
	} packets[1024];
	uint32_t held;
};

static uint32_t random_number(void)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

static void model_take(struct nic *nic, struct model *m, uint16_t queue)
{
	const struct vmb_host_network_output *out = vmb_host_network_output(&nic->n, queue);
	uint32_t packet = 1, i;

	if (!out)
		return;
	if (out->type == 7) {
		while (m->packets[packet].used)
			packet++;
		for (i = 0; i < out->header.pages.range_count; i++) {
			uint32_t index = out->header.ranges[i].byte_offset / nic->n.suballoc_len;

			assert_int_equal(index * nic->n.suballoc_len,
					 out->header.ranges[i].byte_offset);
			assert_true(index < nic->n.suballoc_count);
			assert_true(out->header.ranges[i].byte_count <= nic->n.suballoc_len);
			assert_int_equal(m->holder[index], 0);
			m->holder[index] = (uint16_t)packet;
			m->held++;
			if (!i)
				assert_int_equal(index, out->transaction_id);
		}
		m->packets[packet].used = true;
		m->packets[packet].queue = queue;
		m->packets[packet].id = out->transaction_id;
	}
	vmb_host_network_output_done(&nic->n, queue);
}

static void model_release(struct model *m, uint32_t packet)
{
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(m->holder); i++) {
		if (m->holder[i] != packet)
			continue;
		m->holder[i] = 0;
		m->held--;
	}
	m->packets[packet].used = false;
}

static void model_ack(struct nic *nic, struct model *m)
{
	uint32_t packet = random_number() % 40 + 1;

	if (!m->packets[packet].used)
		return;
	nic_ack(nic, m->packets[packet].queue, m->packets[packet].id);
	model_release(m, packet);
}

static void model_close(struct nic *nic, struct model *m)
{
	uint16_t queue = (uint16_t)(1 + random_number() % 3);
	uint32_t packet;

	vmb_host_network_queue_closed(&nic->n, queue);
	for (packet = 1; packet < VMB_ARRAY_COUNT(m->packets); packet++)
		if (m->packets[packet].used && m->packets[packet].queue == queue)
			model_release(m, packet);
	vmb_host_network_queue_opened(&nic->n, queue);
}

static void model_forge(struct nic *nic, struct model *m)
{
	uint64_t id = random_number() % (nic->n.suballoc_count + 10);
	uint16_t queue = (uint16_t)(random_number() % 4);
	uint32_t packet;

	for (packet = 1; packet < VMB_ARRAY_COUNT(m->packets); packet++)
		if (m->packets[packet].used && m->packets[packet].id == id &&
		    m->packets[packet].queue == queue)
			return; /* a good one by chance */
	nic_ack(nic, queue, id);
}

static void model_large(struct nic *nic)
{
	uint32_t len = 1515 + random_number() % 60000;
	const struct vmb_host_network_received received = { .len = len, .mss = 1460 };
	const struct vmb_host_offload_piece piece = { some_frame(len), len };

	vmb_host_network_receive(&nic->n, (uint16_t)(random_number() % 4), &received, &piece, 1);
}

static uint32_t waiting(struct nic *nic)
{
	uint32_t count = 0, i;

	for (i = 0; i < NIC_QUEUE_COUNT; i++)
		if ((nic->queues[i].filling || nic->queues[i].ready) &&
		    nic->queues[i].out.type == 7)
			count += nic->queues[i].out.header.pages.range_count;
	return count;
}

static void test_random_walk_lends_nothing_twice_and_loses_nothing(void **state)
{
	static struct model model;
	struct nic *nic = *state;
	uint32_t step, packet;

	memset(&model, 0, sizeof(model));
	for (step = 0; step < 200000; step++) {
		uint32_t what = random_number() % 100;

		if (what < 50)
			receive(nic, (uint16_t)(random_number() % 4), 60);
		else if (what < 70)
			model_take(nic, &model, (uint16_t)(random_number() % 4));
		else if (what < 90)
			model_ack(nic, &model);
		else if (what < 94)
			model_large(nic);
		else if (what < 98)
			model_forge(nic, &model);
		else if (what < 99)
			vmb_host_network_set_link(&nic->n, !nic->n.rndis.link_up);
		else if (random_number() % 8 == 0)
			model_close(nic, &model);
		assert_int_equal(nic->n.free_count + model.held + waiting(nic),
				 nic->n.suballoc_count);
	}
	assert_true(nic->n.counters.no_suballoc > 0);
	for (packet = 0; packet < 4; packet++)
		while (vmb_host_network_output(&nic->n, (uint16_t)packet))
			model_take(nic, &model, (uint16_t)packet);
	for (packet = 1; packet < VMB_ARRAY_COUNT(model.packets); packet++)
		if (model.packets[packet].used)
			nic_ack(nic, model.packets[packet].queue, model.packets[packet].id);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
}

/* Receive scaling. */

static void test_queue_is_the_tables_and_always_open(void **state)
{
	static const uint8_t one[34] = {
		[12] = 0x08, [14] = 0x45, [26] = 10, [29] = 1, [30] = 10, [33] = 2
	};
	uint8_t parameters[44 + 512 + 40] = { 0x89, 3, 44 };
	struct nic *nic = *state;
	uint32_t hash, type, i;

	assert_int_equal(vmb_host_network_queue_of(&nic->n, one, sizeof(one), &hash, &type), 0);
	assert_int_equal(type, 0);
	nic_put32(parameters + 8, 0x101);
	parameters[13] = 2; /* 512 */
	nic_put32(parameters + 16, 44);
	parameters[20] = 40;
	nic_put32(parameters + 24, 44 + 512);
	for (i = 0; i < 128; i++)
		nic_put32(parameters + 44 + 4 * i, i % 3 + 1);
	for (i = 0; i < 40; i++)
		parameters[44 + 512 + i] = (uint8_t)(i * 11 + 1);
	assert_int_equal(nic_set(nic, 0x00010204, parameters, sizeof(parameters)), 0);
	i = vmb_host_network_queue_of(&nic->n, one, sizeof(one), &hash, &type);
	assert_int_equal(type, 0x101);
	assert_int_equal(i, hash % 128 % 3 + 1);
	assert_int_equal(receive(nic, (uint16_t)i, 60), 0);
	vmb_host_network_queue_closed(&nic->n, (uint16_t)i);
	assert_int_equal(vmb_host_network_queue_of(&nic->n, one, sizeof(one), &hash, &type), 0);
	/* a table that names it again is refused, if it was the last one */
	vmb_host_network_queue_closed(&nic->n, 3);
	assert_int_equal(nic_set(nic, 0x00010204, parameters, sizeof(parameters)), 0xC0010015);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frame_is_put_behind_its_envelope, start, end),
		cmocka_unit_test_setup_teardown(test_checksum_is_told_to_who_wants_it, start, end),
		cmocka_unit_test_setup_teardown(test_frames_share_a_packet_up_to_the_batch, start,
						end),
		cmocka_unit_test_setup_teardown(test_full_buffer_leaves_some_to_control, start,
						end),
		cmocka_unit_test_setup_teardown(test_nobody_receives_before_filter_and_after_halt,
						start, end),
		cmocka_unit_test_setup_teardown(test_filter_of_zero_stops_receiving_at_once, start,
						end),
		cmocka_unit_test_setup_teardown(test_lengths_out_of_bounds_are_refused, start, end),
		cmocka_unit_test_setup_teardown(test_control_stands_alone_and_is_not_starved, start,
						end),
		cmocka_unit_test_setup_teardown(test_reply_comes_before_the_indication, start, end),
		cmocka_unit_test_setup_teardown(test_large_frame_is_consecutive_fragments, start,
						end),
		cmocka_unit_test_setup_teardown(test_large_frames_fill_a_packet_to_its_bound, start,
						end),
		cmocka_unit_test_setup_teardown(test_large_frame_without_agreement_is_refused,
						start, end),
		cmocka_unit_test_setup_teardown(test_forged_acknowledgements_are_ignored, start,
						end),
		cmocka_unit_test_setup_teardown(test_closed_queue_gives_all_back, start, end),
		cmocka_unit_test_setup_teardown(test_late_acknowledgement_after_revoke_is_ignored,
						start, end),
		cmocka_unit_test_setup_teardown(test_closed_queue_acknowledges_nothing_late, start,
						end),
		cmocka_unit_test_setup_teardown(
			test_random_walk_lends_nothing_twice_and_loses_nothing, start, end),
		cmocka_unit_test_setup_teardown(test_queue_is_the_tables_and_always_open, start,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
