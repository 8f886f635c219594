// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network protocol's host side: versions, handshake, every message in every state, guests with
 * their peculiarities. Numbers are those of docs/protocol/network.md.
 */
#include "tests/host_network_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct nic nic;

static int start(void **state)
{
	const struct vmb_host_network_config config = nic_config();

	nic_start(&nic, &config);
	*state = &nic;
	return 0;
}

static int end(void **state)
{
	nic_end(*state);
	return 0;
}

static void test_linux_order_gets_ready_and_moves_frames(void **state)
{
	struct nic *nic = *state;
	const uint32_t filter = 0x0D;
	uint8_t message[512], frame[100];
	struct vmb_host_network_received received = { .len = 77, .checksum = 0x28 };
	struct vmb_host_offload_piece pieces[2];
	const struct vmb_host_network_output *out;
	uint32_t len, i;

	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	nic_open(nic, 0x60001, 1514, 0xA8);
	nic_initialize(nic);
	assert_int_equal(nic_query(nic, 0x00010106, NULL, 0, &len), 0);
	assert_int_equal(len, 4);
	assert_int_equal(nic_get32(nic->answer + 24), 1500);
	assert_int_equal(nic_query(nic, 0x01010101, NULL, 0, &len), 0);
	assert_int_equal(len, 6);
	assert_memory_equal(nic->answer + 24, "\x00\x15\x5D\x01\x02\x03", 6);
	assert_int_equal(nic_set(nic, 0x0001010E, &filter, 4), 0);

	len = nic_wrap(message, NULL, 0, frame, sizeof(frame));
	assert_int_equal(nic_send(nic, 0, message, len, 1), 1);
	assert_int_equal(nic->frame_count, 1);
	assert_int_equal(nic->frames[0].frame.rndis.len, sizeof(frame));
	assert_memory_equal(nic->frames[0].bytes, frame, sizeof(frame));

	pieces[0].base = frame;
	pieces[0].len = 30;
	pieces[1].base = frame + 30;
	pieces[1].len = 47;
	assert_int_equal(vmb_host_network_receive(&nic->n, 0, &received, pieces, 2), 0);
	out = vmb_host_network_output(&nic->n, 0);
	assert_non_null(out);
	assert_int_equal(out->type, 7);
	assert_int_equal(out->header.pages.set_id, 0xCAFE);
	assert_int_equal(out->header.pages.range_count, 1);
	assert_int_equal(out->header.ranges[0].byte_count, 256 + 77);
	assert_int_equal(nic_get32(out->payload + 4), 0);
	assert_memory_equal(nic->receive_buffer + out->header.ranges[0].byte_offset + 256, frame,
			    77);
	vmb_host_network_output_done(&nic->n, 0);
	nic_ack(nic, 0, out->transaction_id);
	assert_int_equal(nic->n.counters.forged, 0);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
	assert_null(vmb_host_network_output(&nic->n, 0));
}

/* Versions. */

static void test_versions_are_answered_exactly(void **state)
{
	static const struct {
		uint32_t version, len, negotiated;
	} known[] = {
		{ 2, 32, 2 },
		{ 0x30002, 32, 0xFFFFFFFF },
		{ 0x40000, 32, 0xFFFFFFFF },
		{ 0x50000, 32, 0xFFFFFFFF },
		{ 0x60000, 32, 0xFFFFFFFF },
		{ 0x60001, 40, 0xFFFFFFFF },
	};
	static const uint32_t unknown[] = {
		0, 1, 3, 0x30001, 0x40001, 0x60002, 0x70000, 0xFFFFFFFF
	};
	struct nic *nic = *state;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(unknown); i++) {
		assert_int_equal(nic_message(nic, true, 3, 1, unknown[i], unknown[i]),
				 VMB_HOST_NETWORK_REPLY);
		assert_int_equal(nic_get32(nic->reply), 2);
		assert_int_equal(nic_get32(nic->reply + 12), 0);
		assert_true(nic->io.reply_len >= 28);
		assert_int_equal(nic->n.state, VMB_HOST_NETWORK_CLOSED);
	}
	for (i = 0; i < VMB_ARRAY_COUNT(known); i++) {
		vmb_host_network_reset(&nic->n);
		nic_message(nic, true, 3, 1, known[i].version, known[i].version);
		assert_int_equal(nic->io.reply_len, known[i].len);
		assert_int_equal(nic_get32(nic->reply + 4), known[i].negotiated);
		assert_int_equal(nic_get32(nic->reply + 8), 34);
		assert_int_equal(nic_get32(nic->reply + 12), 1);
		assert_int_equal(nic->n.version, known[i].version);
		/* once */
		assert_int_equal(nic_message(nic, true, 3, 1, known[i].version, known[i].version),
				 VMB_EPROTO);
	}
}

/* A guest walks down on one channel until it is taken. */
static void test_newer_version_than_configured_is_refused(void **state)
{
	static const uint32_t walk[] = { 0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 2 };
	struct vmb_host_network_config config = nic_config();
	struct nic *nic = *state;
	uint32_t most, i;

	for (most = 0; most < VMB_ARRAY_COUNT(walk); most++) {
		config.version_max = walk[most];
		nic_end(nic);
		nic_start(nic, &config);
		for (i = 0; i <= most; i++) {
			nic_message(nic, true, 3, 1, walk[i], walk[i]);
			assert_int_equal(nic_get32(nic->reply + 12), i == most);
		}
	}
	config.version_max = 0x50001;
	assert_int_equal(vmb_host_network_init(&nic->n, &config, nic->queues), VMB_EINVAL);
	config.version_max = 0;
	config.rndis.mtu_max = 100;
	assert_int_equal(vmb_host_network_init(&nic->n, &config, nic->queues), VMB_EINVAL);
}

static void test_range_of_versions_is_no_version(void **state)
{
	struct nic *nic = *state;

	nic_message(nic, true, 3, 1, 2, 0x60001);
	assert_int_equal(nic_get32(nic->reply + 12), 0);
}

/* Every message type in every state and version: what the table in host/network.c is about. */

enum verdict { NO, YES };

static enum verdict expected(uint32_t type, uint32_t version, uint32_t state, bool sub_channel)
{
	static const struct {
		uint32_t type, since, states; /* bit 0 closed, 1 versioned, 2 running */
	} messages[] = {
		{ 1, 0, 1 },	     { 100, 2, 2 },	  { 101, 2, 6 },       { 103, 2, 6 },
		{ 104, 2, 6 },	     { 106, 2, 6 },	  { 107, 2, 6 },       { 109, 0x30002, 6 },
		{ 111, 0x30002, 6 }, { 112, 0x30002, 6 }, { 113, 0x30002, 6 }, { 116, 0x30002, 6 },
		{ 118, 0x30002, 6 }, { 120, 0x30002, 6 }, { 122, 0x30002, 6 }, { 123, 0x30002, 6 },
		{ 125, 0x30002, 2 }, { 126, 0x30002, 6 }, { 129, 0x40000, 6 }, { 130, 0x40000, 6 },
		{ 131, 0x50000, 6 }, { 133, 0x50000, 6 }, { 135, 0x60000, 6 }, { 136, 0x60000, 6 },
	};
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(messages); i++)
		if (messages[i].type == type)
			return version >= messages[i].since && messages[i].states & 1u << state &&
			       (!sub_channel || type == 107);
	return NO;
}

/* Straight to a state, without what usually comes on the way. */
static void enter(struct nic *nic, uint32_t version, uint32_t state)
{
	vmb_host_network_reset(&nic->n);
	if (!state)
		return;
	nic_message(nic, true, 3, 1, version, version);
	nic->n.state = state;
}

static void judge_message(struct nic *nic, uint32_t type, uint32_t version, uint32_t state,
			  uint16_t queue)
{
	uint32_t payload[10] = { type, 77, 0x5A };
	struct vmb_host_network_packet packet = {
		.type = 6, .flags = 1, .payload = payload, .payload_len = sizeof(payload)
	};
	enum verdict wanted = expected(type, state ? version : 0, state, queue);

	nic->no_memory = true;
	nic->queues[1].open = true;
	enter(nic, version, state);
	nic_packet(nic, queue, &packet, NULL, 0);
	if ((nic->step != VMB_EPROTO) != (wanted == YES))
		fail_msg("type %u version %#x state %u queue %u: step %d", type, version, state,
			 queue, nic->step);
	if (nic->step != VMB_EPROTO)
		assert_true(nic->step == VMB_HOST_NETWORK_REPLY ||
			    nic->step == VMB_HOST_NETWORK_SUB_CHANNELS);
}

static void test_messages_in_every_state(void **state)
{
	static const uint32_t versions[] = { 2, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001 };
	struct nic *nic = *state;
	uint32_t type, s;
	size_t v;

	for (v = 0; v < VMB_ARRAY_COUNT(versions); v++) {
		for (s = 0; s < 3; s++) {
			for (type = 0; type < 260; type++) {
				judge_message(nic, type, versions[v], s, 0);
				judge_message(nic, type, versions[v], s, 1);
			}
			judge_message(nic, 0x80000064, versions[v], s, 0);
			judge_message(nic, 0xFFFFFFFF, versions[v], s, 0);
		}
	}
}

static void test_short_messages_break_the_protocol(void **state)
{
	static const struct {
		uint32_t type, len;
	} lens[] = { { 1, 12 },	  { 100, 12 }, { 101, 10 }, { 103, 6 },	 { 104, 10 }, { 106, 6 },
		     { 107, 16 }, { 125, 20 }, { 129, 8 },  { 133, 12 }, { 135, 8 } };
	struct nic *nic = *state;
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1 };
	size_t i;

	nic->no_memory = true;
	for (i = 0; i < VMB_ARRAY_COUNT(lens); i++) {
		for (packet.payload_len = 0; packet.payload_len <= lens[i].len;
		     packet.payload_len++) {
			uint8_t *payload = calloc(1, packet.payload_len + 1);

			if (packet.payload_len >= 4)
				nic_put32(payload, lens[i].type);
			payload = realloc(payload, packet.payload_len ? packet.payload_len : 1);
			packet.payload = payload;
			enter(nic, 0x60001, lens[i].type != 1);
			nic_packet(nic, 0, &packet, NULL, 0);
			assert_int_equal(nic->step == VMB_EPROTO, packet.payload_len < lens[i].len);
			free(payload);
		}
	}
}

static void test_other_packets_break_the_protocol(void **state)
{
	static const uint16_t types[] = { 0, 1, 7, 8, 10, 12, 0xFFFF };
	uint32_t payload[80] = { 100, 6, 1 };
	struct vmb_host_network_packet packet = { .flags = 1,
						  .payload = payload,
						  .payload_len = 40 };
	struct nic *nic = *state;
	size_t i;

	enter(nic, 0x60001, 1);
	for (i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		packet.type = types[i];
		assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_EPROTO);
	}
	packet.type = 9; /* GPA-direct is for RNDIS */
	assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_EPROTO);
	packet.type = 6;
	packet.payload_len = 264;
	assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_EPROTO);
	packet.payload_len = 40;
	assert_int_equal(nic_packet(nic, NIC_QUEUE_COUNT, &packet, NULL, 0), VMB_EPROTO);
	assert_int_equal(nic->n.counters.broken, VMB_ARRAY_COUNT(types) + 3);
	assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_HOST_NETWORK_REPLY);
}

/* Completions: only who asks gets one; which have a body and which are empty. */
static void test_completions_are_what_guests_accept(void **state)
{
	struct nic *nic = *state;

	enter(nic, 0x60001, 1);
	assert_int_equal(nic_message(nic, false, 3, 100, 6, 30), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic_message(nic, true, 3, 100, 6, 30), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->io.reply_len, 0);
	assert_int_equal(nic_message(nic, true, 5, 125, 1514, 0, 0, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->io.reply_len, 0);
	assert_int_equal(nic_message(nic, true, 2, 129, 1), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->io.reply_len, 0);
	assert_int_equal(nic_message(nic, true, 3, 131, 0, 0x10106), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 132);
	assert_int_equal(nic_get32(nic->reply + 4), 0xC00000BB);
	assert_int_equal(nic_get32(nic->reply + 8), 0);
	assert_int_equal(nic_message(nic, true, 2, 135, 3), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 135);
	assert_int_equal(nic_get32(nic->reply + 4), 3);
	assert_int_equal(nic_get32(nic->reply + 8), 7);
	assert_int_equal(nic_message(nic, true, 2, 126, 3), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 127);
	assert_int_equal(nic_get32(nic->reply + 4), 7);
	assert_int_equal(nic_message(nic, false, 2, 126, 3), VMB_HOST_NETWORK_NOTHING);
}

/* Buffers. */

static void test_receive_buffer_is_one_section(void **state)
{
	static const struct {
		uint32_t mtu, suballoc_len;
	} cases[] = {
		/* drivers of old leave the header out */
		{ 0, 1806 },	{ 1500, 1806 }, { 1514, 1806 },	      { 4000, 4292 },
		{ 9014, 9306 }, { 9015, 9306 }, { 0xFFFFFFFF, 9306 },
	};
	struct nic *nic = *state;
	uint32_t len, cut = 0;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		nic_open(nic, 0x50000, cases[i].mtu, 0);
		nic_initialize(nic);
		assert_int_equal(nic->n.suballoc_len, cases[i].suballoc_len);
		cut += cases[i].mtu > 9014;
		assert_int_equal(nic->n.counters.mtu_cut, cut);
		assert_int_equal(nic->n.suballoc_count, NIC_RECEIVE_LEN / cases[i].suballoc_len);
		assert_int_equal(nic_query(nic, 0x10106, NULL, 0, &len), 0);
		assert_int_equal(nic_get32(nic->answer + 24), cases[i].suballoc_len - 306);
		nic_end(nic);
		nic->receive_buffer = nic->send_buffer = NULL;
	}
	enter(nic, 0x50000, 1);
	nic_message(nic, true, 3, 101, 9, 0xCAFE);
	assert_int_equal(nic_get32(nic->reply + 8), 1);
	assert_int_equal(nic_get32(nic->reply + 12), 0);
	assert_int_equal(nic_get32(nic->reply + 16), 1806);
	assert_int_equal(nic_get32(nic->reply + 20), NIC_RECEIVE_LEN / 1806);
	assert_int_equal(nic_get32(nic->reply + 24), NIC_RECEIVE_LEN / 1806 * 1806);
	nic_message(nic, true, 3, 104, 10, 0);
	assert_int_equal(nic_get32(nic->reply + 8), 6144);
}

static void test_mtu_does_not_change_under_the_buffer(void **state)
{
	struct nic *nic = *state;

	nic_open(nic, 0x50000, 1514, 0);
	nic_message(nic, false, 5, 125, 9014, 0, 0, 0);
	assert_int_equal(nic->n.rndis.mtu, 1500);
}

static void test_second_buffer_breaks_the_protocol(void **state)
{
	struct nic *nic = *state;

	nic_open(nic, 0x50000, 1514, 0);
	assert_int_equal(nic_message(nic, true, 3, 101, 5, 0xCAFE), VMB_EPROTO);
	assert_int_equal(nic_message(nic, true, 3, 104, 5, 0), VMB_EPROTO);
	assert_int_equal(nic->shared_count, 2);
}

static void test_buffer_that_cannot_be_mapped_is_refused(void **state)
{
	struct nic *nic = *state;

	enter(nic, 0x50000, 1);
	nic->no_memory = true;
	assert_int_equal(nic_message(nic, true, 3, 101, 5, 0xCAFE), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 102);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic_get32(nic->reply + 8), 0);
	assert_int_equal(nic_message(nic, true, 3, 104, 5, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 105);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic->n.counters.refused, 2);
	nic->no_memory = false;
	nic_message(nic, true, 3, 101, 5, 0xCAFE);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
}

static void test_buffer_that_is_too_small_is_unshared(void **state)
{
	struct nic *nic = *state;

	enter(nic, 0x50000, 1);
	nic->receive_len = 2 * 1806 - 1;
	assert_int_equal(nic_message(nic, true, 3, 101, 5, 0xCAFE), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->unshared_count, 1);
	assert_int_equal(nic->unshared_gpadl, 5);
	assert_int_equal(nic_get32(nic->reply), 102);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	nic->receive_len++;
	nic_message(nic, true, 3, 101, 5, 0xCAFE);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_int_equal(nic_get32(nic->reply + 20), 2);
}

/* 101, 104: in the order of Linux on Windows 10; no completion is due. */
static void test_revoke_gives_the_buffers_back(void **state)
{
	struct nic *nic = *state;

	nic_open(nic, 0x60001, 1514, 0);
	assert_int_equal(nic_message(nic, false, 2, 103, 0xBEEF), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic->unshared_count, 0);
	assert_int_equal(nic_message(nic, false, 2, 103, 0xCAFE), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic->unshared_count, 1);
	assert_int_equal(nic->unshared_gpadl, 0xE1E10);
	assert_int_equal(nic_message(nic, false, 2, 103, 0xCAFE), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic->unshared_count, 1);
	assert_int_equal(nic_message(nic, true, 2, 106, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->io.reply_len, 0);
	assert_int_equal(nic->unshared_count, 2);
	assert_int_equal(nic->unshared_gpadl, 0xE1E11);
	assert_null(nic->n.receive_buffer.memory);
	assert_null(nic->n.send_buffer.memory);
}

static void test_rndis_before_its_time_fails(void **state)
{
	const uint32_t message[6] = { 2, 24, 1, 1, 0, 0x4000 };
	struct nic *nic = *state;

	enter(nic, 0x50000, 1);
	assert_int_equal(nic_control(nic, message, 24), 2);
	nic_message(nic, false, 3, 100, 6, 30);
	assert_int_equal(nic_control(nic, message, 24), 2);
	nic_message(nic, true, 3, 101, 9, 0xCAFE);
	assert_int_equal(nic_control(nic, message, 24), 2);
	assert_int_equal(nic->n.state, VMB_HOST_NETWORK_VERSIONED);
	nic_message(nic, false, 5, 125, 1514, 0, 0, 0);
	assert_int_equal(nic_control(nic, message, 24), 1);
	assert_int_equal(nic->n.state, VMB_HOST_NETWORK_RUNNING);
	assert_true(nic_take_answer(nic));
	/* version 1 has no configuration to wait for, but a buffer */
	nic_end(nic);
	nic->receive_buffer = nic->send_buffer = NULL;
	enter(nic, 2, 1);
	nic_message(nic, false, 3, 100, 5, 0);
	assert_int_equal(nic_control(nic, message, 24), 2);
	nic_message(nic, true, 3, 101, 9, 0xCAFE);
	assert_int_equal(nic_control(nic, message, 24), 1);
}

/* Sub-channels. */

static const struct vmb_host_network_output *table(struct nic *nic)
{
	const struct vmb_host_network_output *out = vmb_host_network_output(&nic->n, 0);

	assert_non_null(out);
	assert_int_equal(out->type, 6);
	assert_int_equal(out->flags, 0);
	assert_int_equal(out->payload_len, 76);
	assert_int_equal(nic_get32(out->payload), 134);
	assert_int_equal(nic_get32(out->payload + 4), 16);
	assert_int_equal(nic_get32(out->payload + 8), 12);
	return out;
}

static void test_sub_channels_are_clamped_and_the_table_follows(void **state)
{
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint32_t i;

	nic_open(nic, 0x50000, 1514, 0);
	nic_initialize(nic);
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 63), VMB_HOST_NETWORK_SUB_CHANNELS);
	assert_int_equal(nic->io.reply_len, 40);
	assert_int_equal(nic_get32(nic->reply), 133);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_int_equal(nic_get32(nic->reply + 8), 3);
	assert_int_equal(nic->n.sub_channel_count, 3);
	/* once */
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 1), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic_get32(nic->reply + 8), 0);
	assert_null(vmb_host_network_output(&nic->n, 0));
	vmb_host_network_queue_opened(&nic->n, 1);
	vmb_host_network_queue_opened(&nic->n, 3);
	assert_int_equal(nic->n.rndis.queue_count, 4);
	assert_null(vmb_host_network_output(&nic->n, 0));
	vmb_host_network_queue_opened(&nic->n, 2);
	out = table(nic);
	for (i = 0; i < 16; i++)
		assert_int_equal(nic_get32(out->payload + 12 + 4 * i), i % 4);
	assert_ptr_equal(vmb_host_network_output(&nic->n, 0), out);
	vmb_host_network_output_done(&nic->n, 0);
	assert_null(vmb_host_network_output(&nic->n, 0));
	vmb_host_network_queue_closed(&nic->n, 3);
	assert_int_equal(nic->n.rndis.queue_count, 3);
}

static void test_fewer_sub_channels_are_granted_as_asked(void **state)
{
	const struct vmb_host_network_output *out;
	struct nic *nic = *state;
	uint32_t i;

	nic_open(nic, 0x60001, 1514, 0);
	nic_initialize(nic);
	assert_int_equal(nic_message(nic, true, 3, 133, 2, 1), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 2), VMB_HOST_NETWORK_SUB_CHANNELS);
	assert_int_equal(nic_get32(nic->reply + 8), 2);
	vmb_host_network_queue_opened(&nic->n, 2);
	vmb_host_network_queue_opened(&nic->n, 1);
	out = table(nic);
	for (i = 0; i < 16; i++)
		assert_int_equal(nic_get32(out->payload + 12 + 4 * i), i % 3);
	vmb_host_network_reset(&nic->n);
	assert_false(nic->queues[1].open);
	assert_int_equal(nic->n.rndis.queue_count, 1);
	assert_int_equal(nic->n.sub_channel_count, 0);
}

static void test_single_queue_grants_no_sub_channel(void **state)
{
	struct vmb_host_network_config config = nic_config();
	struct nic *nic = *state;

	config.rndis.queue_count_max = 1;
	nic_end(nic);
	nic_start(nic, &config);
	nic_open(nic, 0x60001, 1514, 0);
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 2), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
}

/* Guests, each with what it alone does. */

/*
 * 28 bytes, minimum and maximum version 2, the answer's second word must be 2, every send wants its
 * completion.
 */
static void test_guest_of_2009(void **state)
{
	const uint32_t filter = 0x0B;
	uint8_t message[200], frame[60] = { 2 };
	struct nic *nic = *state;
	uint32_t len;

	nic->message_len = 28;
	assert_int_equal(nic_message(nic, true, 3, 1, 2, 2), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->io.reply_len, 32);
	assert_int_equal(nic_get32(nic->reply + 4), 2);
	assert_int_equal(nic_get32(nic->reply + 12), 1);
	assert_int_equal(nic_message(nic, false, 3, 100, 5, 0), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic_message(nic, true, 3, 101, 1, 0xCAFE), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_message(nic, true, 3, 104, 2, 0), VMB_HOST_NETWORK_REPLY);
	nic_initialize(nic);
	assert_int_equal(nic_query(nic, 0x01010101, NULL, 0, &len), 0);
	assert_int_equal(nic_query(nic, 0x00010114, NULL, 0, &len), 0);
	assert_int_equal(nic_set(nic, 0x0001010E, &filter, 4), 0);
	len = nic_wrap(message, NULL, 0, frame, sizeof(frame));
	assert_int_equal(nic_send(nic, 0, message, len, 2), 1);
	assert_int_equal(nic->io.reply_len, 32);
	assert_int_equal(nic->frame_count, 1);
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 1), VMB_EPROTO);
}

/*
 * Only version 5, a completion on every message, other buffer names, a small receive buffer, no
 * offload.
 */
static void test_guest_firmware(void **state)
{
	const uint32_t filter = 0x0D;
	struct nic *nic = *state;
	uint32_t len;

	nic->message_len = 32;
	nic->asks_always = true;
	nic->receive_len = 1514 * 128;
	nic_message(nic, true, 3, 1, 0x50000, 0x50000);
	assert_int_equal(nic_get32(nic->reply + 12), 1);
	assert_int_equal(nic_message(nic, true, 3, 100, 6, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_message(nic, true, 5, 125, 1514, 0, 0, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_message(nic, true, 3, 101, 1, 0x1981), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 20), 1514 * 128 / 1806);
	assert_int_equal(nic_message(nic, true, 3, 104, 2, 0xBEEF), VMB_HOST_NETWORK_REPLY);
	nic_initialize(nic);
	assert_int_equal(nic_query(nic, 0x01010102, NULL, 0, &len), 0);
	assert_int_equal(len, 6);
	assert_int_equal(nic_set(nic, 0x0001010E, &filter, 4), 0);
	assert_int_equal(nic_message(nic, true, 2, 103, 0x1981), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_message(nic, true, 2, 106, 0xBEEF), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic->unshared_count, 2);
}

/* Versions 2 and 1, NDIS 5.1, small buffers, control messages in the send buffer. */
static void test_guest_unikernel(void **state)
{
	struct nic *nic = *state;
	uint32_t len;

	nic->message_len = 32;
	nic_message(nic, true, 3, 1, 0x30002, 0x30002);
	assert_int_equal(nic_get32(nic->reply + 12), 1);
	nic_message(nic, false, 5, 125, 1514, 0, 0, 0);
	nic_message(nic, false, 3, 100, 5, 1);
	nic_message(nic, true, 3, 101, 1, 0xCAFE);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	nic_message(nic, true, 3, 104, 2, 0);
	nic_initialize(nic);
	assert_int_equal(nic_query(nic, 0x01010101, NULL, 0, &len), 0);
	assert_int_equal(nic_query(nic, 0x00010114, NULL, 0, &len), 0);
	assert_int_equal(nic_query(nic, 0xFC01020D, NULL, 0, &len), 0xC00000BB);
	assert_int_equal(nic_query(nic, 0x00010101, NULL, 0, &len), 0);
}

/*
 * 32-byte messages, request ids in the upper half, control requests through the send buffer, an
 * offset for no data.
 */
static void test_guest_freebsd(void **state)
{
	uint32_t query[7] = { 4, 28, 0x10000, 0x00010114, 0, 20, 0 };
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1, .transaction_id = 5 };
	uint32_t payload[8] = { 107, 1, 3, 28 };
	struct nic *nic = *state;
	uint32_t asked[39] = { 0x009C03A7 }, len;

	nic->message_len = 32;
	nic_open(nic, 0x50000, 1514, 0);
	nic_initialize(nic);
	memcpy(nic->send_buffer + 3 * 6144, query, sizeof(query));
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply), 108);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer + 8), 0x10000);
	assert_int_equal(nic_get32(nic->answer + 16), 4);
	assert_int_equal(nic_query(nic, 0xFC01020D, asked, sizeof(asked), &len), 0);
	assert_true(len >= 112);
	assert_int_equal(nic_query(nic, 0x00010203, NULL, 0, &len), 0);
	assert_int_equal(nic_get32(nic->answer + 24 + 4) & 1, 1);
	assert_int_not_equal(nic_get32(nic->answer + 24 + 4) & 0x300, 0);
}

/*
 * 40-byte messages in every version, transaction id 0, 40 bytes of answer to SUBCHANNEL, ids that
 * are indices.
 */
static void test_guest_dpdk(void **state)
{
	struct nic *nic = *state;
	const struct vmb_host_network_output *out;
	uint32_t len;
	uint16_t entries;

	nic->message_len = 40;
	nic_open(nic, 0x50000, 1514, 0);
	nic_initialize(nic); /* with transaction id 0 */
	assert_int_equal(nic->io.transaction_id, 0x0);
	assert_true(nic->answer_len >= 48);
	assert_int_equal(nic_query(nic, 0x00010203, NULL, 0, &len), 0);
	entries = nic_get16(nic->answer + 24 + 16);
	assert_true(entries && entries <= 128 && !(entries & (entries - 1)));
	assert_int_equal(nic_message(nic, true, 3, 133, 1, 3), VMB_HOST_NETWORK_SUB_CHANNELS);
	assert_true(nic->io.reply_len >= 40);
	vmb_host_network_set_link(&nic->n, false);
	out = vmb_host_network_output(&nic->n, 0);
	assert_non_null(out);
	assert_true(out->transaction_id < nic->n.suballoc_count);
	assert_int_equal(out->header.ranges[0].byte_offset,
			 out->transaction_id * nic->n.suballoc_len);
	assert_int_equal(6144 % 4, 0);
}

/* Link changes and, with the capability for it, the speed. */
static void test_link_is_indicated(void **state)
{
	struct nic *nic = *state;

	nic_open(nic, 0x60001, 1514, 1 << 5);
	vmb_host_network_set_link(&nic->n, false);
	vmb_host_network_set_link(&nic->n, true);
	nic_initialize(nic);
	assert_false(nic_take_answer(nic));
	vmb_host_network_set_link(&nic->n, false);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer + 8), 0x4001000C);
	assert_false(nic_take_answer(nic));
	vmb_host_network_set_link(&nic->n, true);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer + 8), 0x4001000B);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer + 8), 0x40010013);
	assert_false(nic_take_answer(nic));
	nic_end(nic);
	nic->receive_buffer = nic->send_buffer = NULL;
	nic_open(nic, 0x60001, 1514, 0);
	nic_initialize(nic);
	vmb_host_network_set_link(&nic->n, false);
	vmb_host_network_set_link(&nic->n, true);
	assert_true(nic_take_answer(nic));
	assert_true(nic_take_answer(nic));
	assert_false(nic_take_answer(nic));
}

static void test_coalescing_needs_version_capability_and_parameter(void **state)
{
	static const struct {
		uint32_t version, capabilities;
		bool set, expected;
	} cases[] = {
		{ 0x60001, 0x80, true, true },	{ 0x60001, 0x80, false, false },
		{ 0x60001, 0x28, true, false }, { 0x60000, 0x80, true, false },
		{ 0x50000, 0x80, true, false },
	};
	uint8_t parameters[28] = { 0x80, 3, 28 };
	struct nic *nic = *state;
	uint32_t len;
	size_t i;

	parameters[22] = parameters[23] = 2;
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		nic_open(nic, cases[i].version, 1514, cases[i].capabilities);
		nic_initialize(nic);
		assert_int_equal(nic_query(nic, 0xFC01020D, NULL, 0, &len), 0);
		assert_int_equal(
			nic_get16(nic->answer + 24 + 144),
			cases[i].version == 0x60001 && cases[i].capabilities == 0x80 ? 0x101 : 0);
		if (cases[i].set)
			assert_int_equal(nic_set(nic, 0xFC01020C, parameters, 28), 0);
		assert_int_equal(vmb_host_network_takes_large(&nic->n), cases[i].expected);
		nic_end(nic);
		nic->receive_buffer = nic->send_buffer = NULL;
	}
}

static void test_offload_revision_goes_with_the_version(void **state)
{
	static const struct {
		uint32_t version, len;
	} cases[] = {
		{ 2, 112 }, { 0x30002, 112 }, { 0x40000, 144 }, { 0x50000, 156 }, { 0x60001, 156 }
	};
	struct nic *nic = *state;
	uint32_t len;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		nic_open(nic, cases[i].version, 1514, 0);
		nic_initialize(nic);
		assert_int_equal(nic_query(nic, 0xFC01020D, NULL, 0, &len), 0);
		assert_int_equal(len, cases[i].len);
		nic_end(nic);
		nic->receive_buffer = nic->send_buffer = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_linux_order_gets_ready_and_moves_frames, start,
						end),
		cmocka_unit_test_setup_teardown(test_versions_are_answered_exactly, start, end),
		cmocka_unit_test_setup_teardown(test_newer_version_than_configured_is_refused,
						start, end),
		cmocka_unit_test_setup_teardown(test_range_of_versions_is_no_version, start, end),
		cmocka_unit_test_setup_teardown(test_messages_in_every_state, start, end),
		cmocka_unit_test_setup_teardown(test_short_messages_break_the_protocol, start, end),
		cmocka_unit_test_setup_teardown(test_other_packets_break_the_protocol, start, end),
		cmocka_unit_test_setup_teardown(test_completions_are_what_guests_accept, start,
						end),
		cmocka_unit_test_setup_teardown(test_receive_buffer_is_one_section, start, end),
		cmocka_unit_test_setup_teardown(test_mtu_does_not_change_under_the_buffer, start,
						end),
		cmocka_unit_test_setup_teardown(test_second_buffer_breaks_the_protocol, start, end),
		cmocka_unit_test_setup_teardown(test_buffer_that_cannot_be_mapped_is_refused, start,
						end),
		cmocka_unit_test_setup_teardown(test_buffer_that_is_too_small_is_unshared, start,
						end),
		cmocka_unit_test_setup_teardown(test_revoke_gives_the_buffers_back, start, end),
		cmocka_unit_test_setup_teardown(test_rndis_before_its_time_fails, start, end),
		cmocka_unit_test_setup_teardown(test_sub_channels_are_clamped_and_the_table_follows,
						start, end),
		cmocka_unit_test_setup_teardown(test_fewer_sub_channels_are_granted_as_asked, start,
						end),
		cmocka_unit_test_setup_teardown(test_single_queue_grants_no_sub_channel, start,
						end),
		cmocka_unit_test_setup_teardown(test_guest_of_2009, start, end),
		cmocka_unit_test_setup_teardown(test_guest_firmware, start, end),
		cmocka_unit_test_setup_teardown(test_guest_unikernel, start, end),
		cmocka_unit_test_setup_teardown(test_guest_freebsd, start, end),
		cmocka_unit_test_setup_teardown(test_guest_dpdk, start, end),
		cmocka_unit_test_setup_teardown(test_link_is_indicated, start, end),
		cmocka_unit_test_setup_teardown(
			test_coalescing_needs_version_capability_and_parameter, start, end),
		cmocka_unit_test_setup_teardown(test_offload_revision_goes_with_the_version, start,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
