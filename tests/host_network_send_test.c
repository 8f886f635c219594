// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames and control messages from the guest: sections, ranges, aggregates, and what is refused.
 * docs/protocol/network.md, "7 Transmit path", "9 RNDIS packets", "15 Traps", "16 Hardening".
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
	nic_open(&nic, 0x60001, 1514, 0x80);
	nic_initialize(&nic);
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

static const uint32_t checksum_info[4] = { 16, 0, 12, 0x00220005 };

/*
 * The header split at every place, as drivers do when it crosses a page: real hosts refuse what is
 * not in the first range, this one gathers.
 */
static void test_header_may_be_split_anywhere(void **state)
{
	struct vmb_host_network_packet packet = { .type = 9, .flags = 1, .range_count = 2 };
	uint32_t payload[10] = { 107, 0, 0xFFFFFFFF, 0 }, len, at;
	struct vmb_host_offload_piece pieces[2];
	struct nic *nic = *state;
	uint8_t message[400];

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	len = nic_wrap(message, checksum_info, 16, some_frame(90), 90);
	for (at = 0; at <= len; at++) {
		uint8_t *first = malloc(at + 1), *second = malloc(len - at + 1);

		memcpy(first, message, at);
		memcpy(second, message + at, len - at);
		pieces[0].base = first;
		pieces[0].len = at;
		pieces[1].base = second;
		pieces[1].len = len - at;
		nic_packet(nic, 0, &packet, pieces, 2);
		assert_int_equal(nic_get32(nic->reply + 4), 1);
		assert_int_equal(nic->frame_count, 1);
		assert_int_equal(nic->frames[0].frame.rndis.checksum, 0x00220005);
		assert_int_equal(nic->frames[0].frame.rndis.len, 90);
		assert_memory_equal(nic->frames[0].bytes, some_frame(90), 90);
		free(first);
		free(second);
	}
}

static void test_ranges_of_few_bytes_are_one_stream(void **state)
{
	struct nic *nic = *state;
	uint8_t message[400];
	uint32_t len = nic_wrap(message, checksum_info, 16, some_frame(90), 90), count;

	for (count = 1; count <= 65; count += 8) {
		assert_int_equal(nic_send(nic, 0, message, len, count), 1);
		assert_int_equal(nic->frame_count, 1);
		assert_memory_equal(nic->frames[0].bytes, some_frame(90), 90);
	}
}

static void test_section_holds_a_message(void **state)
{
	struct nic *nic = *state;
	static uint8_t message[6145];
	uint32_t len = nic_wrap(message, NULL, 0, some_frame(1514), 1514);

	assert_int_equal(nic_send_section(nic, 0, 9, message, len), 1);
	assert_int_equal(nic->frame_count, 1);
	assert_memory_equal(nic->frames[0].bytes, some_frame(1514), 1514);
	assert_int_equal(nic_send_section(nic, 0, 10, message, len), 5); /* 64 KiB have 10 */
	assert_int_equal(nic_send_section(nic, 0, 0x7FFFFFFF, message, len), 5);
	/* a message of a whole section, most of it padding, and of a byte more */
	nic_put32(message + 4, 6144);
	assert_int_equal(nic_send_section(nic, 0, 0, message, 6144), 1);
	nic_put32(message + 4, 6145);
	assert_int_equal(nic_send_section(nic, 0, 0, message, 6145), 5);
	assert_int_equal(nic_send_section(nic, 0, 0, message, 0), 5);
	assert_int_equal(nic->frame_count, 0);
	nic_message(nic, false, 2, 106, 0);
	assert_int_equal(nic_send_section(nic, 0, 9, message, len), 5);
}

/* Header and first bytes in a section, the rest in ranges. */
static void test_section_and_ranges_are_one_stream(void **state)
{
	struct vmb_host_network_packet packet = { .type = 9, .flags = 1, .range_count = 1 };
	struct vmb_host_offload_piece piece;
	struct nic *nic = *state;
	uint8_t message[2000], *rest;
	uint32_t len = nic_wrap(message, checksum_info, 16, some_frame(1500), 1500), at;
	uint32_t payload[10] = { 107, 0, 2, 0 };

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	for (at = 1; at < len; at += 7) {
		payload[3] = at;
		memcpy(nic->send_buffer + 2 * 6144, message, at);
		rest = malloc(len - at);
		memcpy(rest, message + at, len - at);
		piece.base = rest;
		piece.len = len - at;
		nic_packet(nic, 0, &packet, &piece, 1);
		assert_int_equal(nic_get32(nic->reply + 4), 1);
		assert_memory_equal(nic->frames[0].bytes, some_frame(1500), 1500);
		free(rest);
	}
}

/* count frames of different lengths, each message padded to 8 bytes. */
static uint32_t put_aggregate(uint8_t *at, uint32_t count)
{
	uint32_t len = 0, i, one;

	for (i = 0; i < count; i++, len += one) {
		one = nic_wrap(at + len, NULL, 0, some_frame(61 + i), 61 + i);
		memset(at + len + one, 0xEE, 8);
		one = (one + 7) & ~7u;
		nic_put32(at + len + 4, one);
	}
	return len;
}

static void test_aggregate_is_walked_by_message_length(void **state)
{
	struct nic *nic = *state;
	uint8_t messages[2000];
	uint32_t count, len, i;

	for (count = 1; count <= 9; count++) {
		len = put_aggregate(messages, count);
		assert_int_equal(nic_send_section(nic, 0, 1, messages, len), count <= 8 ? 1 : 5);
		assert_int_equal(nic->frame_count, count <= 8 ? count : 8);
		for (i = 0; i < nic->frame_count; i++) {
			assert_int_equal(nic->frames[i].frame.rndis.len, 61 + i);
			assert_memory_equal(nic->frames[i].bytes, some_frame(100), 61 + i);
		}
	}
	/* a few bytes behind the last one are padding, more are a message that is none */
	len = put_aggregate(messages, 2);
	memset(messages + len, 0, 16);
	assert_int_equal(nic_send_section(nic, 0, 1, messages, len + 7), 1);
	assert_int_equal(nic_send_section(nic, 0, 1, messages, len + 8), 5);
	assert_int_equal(nic->frame_count, 2);
}

static void test_other_message_in_an_aggregate_is_refused(void **state)
{
	static const uint32_t types[] = { 0, 2, 3, 4, 8, 0x80000001 };
	struct nic *nic = *state;
	uint8_t messages[2000];
	uint32_t len, i;

	for (i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		len = put_aggregate(messages, 3);
		nic_put32(messages + nic_get32(messages + 4), types[i]);
		assert_int_equal(nic_send_section(nic, 0, 1, messages, len), 5);
		assert_int_equal(nic->frame_count, 1);
	}
	len = put_aggregate(messages, 3);
	nic_put32(messages + nic_get32(messages + 4) + 4, 0xFFFFFFF8);
	assert_int_equal(nic_send_section(nic, 0, 1, messages, len), 5);
	assert_int_equal(nic->frame_count, 1);
	nic_put32(messages + nic_get32(messages + 4) + 4, 0); /* would never end */
	assert_int_equal(nic_send_section(nic, 0, 1, messages, len), 5);
	assert_int_equal(nic->frame_count, 1);
}

static void test_ranges_that_are_no_good_are_refused(void **state)
{
	struct vmb_host_network_packet packet = { .type = 9, .flags = 1, .range_count = 1 };
	uint32_t payload[10] = { 107, 0, 0xFFFFFFFF, 0 };
	struct vmb_host_offload_piece pieces[66];
	struct nic *nic = *state;
	static uint8_t big[300000];
	uint32_t i;

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	for (i = 0; i < 66; i++) {
		pieces[i].base = big;
		pieces[i].len = 0;
	}
#define REFUSED(pieces, count)                                  \
	do {                                                    \
		nic_packet(nic, 0, &packet, pieces, count);     \
		assert_int_equal(nic_get32(nic->reply + 4), 5); \
	} while (0)
	REFUSED(NULL, 0); /* not in RAM */
	REFUSED(pieces, 1); /* no byte */
	REFUSED(pieces, 66);
	nic_wrap(big, NULL, 0, some_frame(100), 100);
	pieces[0].len = 256 << 10;
	nic_put32(big + 4, pieces[0].len);
	nic_packet(nic, 0, &packet, pieces, 1);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	pieces[0].len++;
	nic_put32(big + 4, pieces[0].len);
	REFUSED(pieces, 1);
	pieces[0].len = pieces[1].len = 0xFFFFFFFF;
	REFUSED(pieces, 2);
	packet.range_count = 66;
	REFUSED(NULL, 0);
	packet.range_count = 0xFFFFFFFF;
	REFUSED(NULL, 0);
	packet.range_count = 0;
	REFUSED(NULL, 0);
	packet.type = 6;
	REFUSED(NULL, 0);
	payload[1] = 2; /* neither data nor control */
	REFUSED(NULL, 0);
}

static void test_frames_need_an_initialized_adapter(void **state)
{
	const uint32_t halt[3] = { 3, 12, 9 };
	struct nic *nic = *state;
	uint8_t message[400];
	uint32_t len = nic_wrap(message, NULL, 0, some_frame(90), 90);

	assert_int_equal(nic_send(nic, 0, message, len, 1), 1);
	assert_int_equal(nic_control(nic, halt, 12), 1);
	assert_false(nic_take_answer(nic)); /* no reply but the completion */
	assert_int_equal(nic_send(nic, 0, message, len, 1), 2);
	assert_int_equal(nic->frame_count, 0);
	nic_initialize(nic);
	assert_int_equal(nic_send(nic, 0, message, len, 1), 1);
}

static uint32_t send_frame(struct nic *nic, uint32_t len, uint32_t info_type, uint32_t info)
{
	uint32_t infos[4] = { 16, info_type, 12, info };
	uint8_t *message = malloc(len + 60);
	uint32_t status;

	nic_wrap(message, infos, info_type == 0xFF ? 0 : 16, some_frame(len), len);
	status = nic_send(nic, 0, message, len + (info_type == 0xFF ? 44 : 60), 1);
	free(message);
	return status;
}

static void test_frame_lengths_are_bounded(void **state)
{
	static const struct {
		uint32_t len, type, info, status;
	} cases[] = {
		{ 13, 0xFF, 0, 5 },
		{ 14, 0xFF, 0, 1 },
		{ 1518, 0xFF, 0, 1 }, /* with a tag in the bytes */
		{ 1519, 0xFF, 0, 5 },
		{ 1519, 2, 0x40000000 | 54 << 20 | 1460, 1 },
		{ 62000, 2, 0x40000000 | 54 << 20 | 1460, 1 },
		{ 0xF53C + 256, 2, 0x40000000 | 54 << 20 | 1460, 1 },
		{ 0xF53C + 257, 2, 0x40000000 | 54 << 20 | 1460, 5 },
		{ 2000, 2, 0x40000000 | 54 << 20 | 1500, 1 },
		{ 2000, 2, 0x40000000 | 54 << 20 | 1501, 5 },
		{ 2000, 2, 0x40000000 | 54 << 20, 5 }, /* no MSS */
		{ 100, 2, 0x40000000 | 100 << 20 | 1460, 5 }, /* TCP behind the frame */
		{ 100, 0, 0x10 | 4 | 1, 1 },
		{ 1519, 0, 0x10 | 4 | 1, 5 },
	};
	struct nic *nic = *state;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++)
		if (send_frame(nic, cases[i].len, cases[i].type, cases[i].info) != cases[i].status)
			fail_msg("%u bytes, information %u %#x", cases[i].len, cases[i].type,
				 cases[i].info);
}

static void test_offload_that_is_not_offered_is_refused(void **state)
{
	struct vmb_host_network_config config = nic_config();
	struct nic *nic = *state;

	config.rndis.offload = 0;
	nic_end(nic);
	nic_start(nic, &config);
	nic_open(nic, 0x60001, 1514, 0);
	nic_initialize(nic);
	assert_int_equal(send_frame(nic, 100, 0xFF, 0), 1);
	assert_int_equal(send_frame(nic, 100, 0, 0x3), 1); /* nothing to be computed */
	assert_int_equal(send_frame(nic, 100, 0, 0x5), 5);
	assert_int_equal(send_frame(nic, 100, 0, 0x11), 5);
	assert_int_equal(send_frame(nic, 2000, 2, 0x40000000 | 54 << 20 | 1460), 5);
	assert_int_equal(send_frame(nic, 100, 6, 0x0641), 1);
	assert_int_equal(nic->frames[0].frame.rndis.vlan, 0x0641);
}

/* What was judged stays what it was, whatever the guest writes meanwhile. */
static void test_guest_that_changes_a_message_changes_nothing(void **state)
{
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1 };
	struct vmb_host_network_frame frame;
	struct vmb_host_offload_piece slice[4];
	uint32_t payload[10] = { 107, 0, 0, 0 };
	struct nic *nic = *state;

	payload[3] = nic_wrap(nic->send_buffer, NULL, 0, some_frame(100), 100);
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	assert_int_equal(vmb_host_network_input(&nic->n, 0, &nic->io, &packet),
			 VMB_HOST_NETWORK_SEND);
	assert_int_equal(vmb_host_network_send(&nic->n, &nic->io, NULL, 0), VMB_HOST_NETWORK_SEND);
	assert_true(vmb_host_network_send_next(&nic->n, &nic->io, &frame));
	memset(nic->send_buffer, 0xFF, 44);
	assert_int_equal(frame.rndis.len, 100);
	assert_int_equal(vmb_host_network_slice(&nic->io, frame.offset, frame.rndis.len, slice, 4),
			 1);
	assert_int_equal(slice[0].len, 100);
	assert_false(vmb_host_network_send_next(&nic->n, &nic->io, &frame));
	assert_int_equal(vmb_host_network_send_done(&nic->n, &nic->io), VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->io.reply + 4), 1);
}

static void test_slices_are_the_bytes_that_are_copied(void **state)
{
	struct vmb_host_offload_piece pieces[5], slice[5];
	struct vmb_host_network_io *io = &((struct nic *)*state)->io;
	uint8_t bytes[50], copy[50];
	uint32_t offset, len, count, i, at;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (i = 0, at = 0; i < 5; at += pieces[i++].len) {
		pieces[i].base = bytes + at;
		pieces[i].len = i == 2 ? 0 : i == 4 ? 50 - at : 7 * (i + 1);
	}
	io->pieces = pieces;
	io->piece_count = 5;
	io->total_len = 50;
	for (offset = 0; offset <= 50; offset++) {
		for (len = 1; len <= 50 - offset; len++) {
			assert_true(vmb_host_network_copy(io, offset, copy, len));
			assert_memory_equal(copy, bytes + offset, len);
			count = vmb_host_network_slice(io, offset, len, slice, 5);
			assert_true(count);
			for (i = 0, at = offset; i < count; at += slice[i++].len)
				assert_ptr_equal(slice[i].base, bytes + at);
			assert_int_equal(at, offset + len);
			assert_int_equal(vmb_host_network_slice(io, offset, len, slice, count - 1),
					 0);
		}
		assert_false(vmb_host_network_copy(io, offset, copy, 51 - offset));
		assert_int_equal(vmb_host_network_slice(io, offset, 51 - offset, slice, 5), 0);
	}
	assert_false(vmb_host_network_copy(io, 51, copy, 0));
	assert_false(vmb_host_network_copy(io, 1, copy, 0xFFFFFFFF));
	assert_int_equal(vmb_host_network_slice(io, 0xFFFFFFFF, 2, slice, 5), 0);
}

static void test_send_without_a_wish_for_completion_gets_none(void **state)
{
	struct vmb_host_network_packet packet = { .type = 6 };
	uint32_t payload[10] = { 107, 0, 0, 0 };
	struct nic *nic = *state;

	payload[3] = nic_wrap(nic->send_buffer, NULL, 0, some_frame(100), 100);
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0), VMB_HOST_NETWORK_NOTHING);
	assert_int_equal(nic->frame_count, 1);
}

/*
 * As Hyper-V's firmware sends: another channel type, no per-packet information and no place for it, and
 * data behind as many bytes as its longest message has.
 */
static void test_what_is_not_control_is_data(void **state)
{
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1 };
	uint32_t payload[10] = { 107, 2, 1, 52 + 342 };
	uint32_t message[13] = { 1, 52 + 342, 44, 342 };
	struct nic *nic = *state;

	memcpy(nic->send_buffer + 6144, message, sizeof(message));
	memcpy(nic->send_buffer + 6144 + sizeof(message), some_frame(342), 342);
	packet.payload = payload;
	packet.payload_len = nic->message_len;
	nic_packet(nic, 0, &packet, NULL, 0);
	assert_int_equal(nic->step, VMB_HOST_NETWORK_REPLY);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_int_equal(nic->frame_count, 1);
	assert_memory_equal(nic->frames[0].bytes, some_frame(342), 342);
}

/* Control. */

static void test_control_is_the_primary_channels(void **state)
{
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1 };
	uint32_t payload[10] = { 107, 1, 0, 12 };
	const uint32_t keepalive[3] = { 8, 12, 1 };
	struct nic *nic = *state;

	memcpy(nic->send_buffer, keepalive, 12);
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	vmb_host_network_queue_opened(&nic->n, 1);
	nic_packet(nic, 1, &packet, NULL, 0);
	assert_int_equal(nic_get32(nic->reply + 4), 5);
	assert_false(nic_take_answer(nic));
	nic_packet(nic, 0, &packet, NULL, 0);
	assert_int_equal(nic_get32(nic->reply + 4), 1);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_get32(nic->answer), 0x80000008);
}

static void test_control_of_no_sense_is_refused(void **state)
{
	static uint8_t message[4200];
	struct nic *nic = *state;

	nic_put32(message, 8);
	nic_put32(message + 4, 4096);
	assert_int_equal(nic_control(nic, message, 4096), 1);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_control(nic, message, 4097), 5);
	assert_int_equal(nic_control(nic, message, 4095), 5);
	assert_int_equal(nic_control(nic, message, 7), 5);
	nic_put32(message, 1);
	assert_int_equal(nic_control(nic, message, 4096), 5);
	assert_false(nic_take_answer(nic));
}

/*
 * Who asks for a completion gets one, also of what is no request, of what only a host says, and of
 * what is nothing.
 */
static void test_whatever_rndis_says_is_completed(void **state)
{
	static const uint32_t types[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80000002, 0x80000008, ~0u
	};
	uint32_t payload[10] = { 107, 0, 0, 64 }, message[16] = { 0, 64, 9 };
	struct vmb_host_network_packet packet = { .type = 6, .flags = 1 };
	struct nic *nic = *state;
	size_t i;

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	for (i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		for (payload[1] = 0; payload[1] < 3; payload[1]++) { /* data, control, nothing */
			message[0] = types[i];
			memcpy(nic->send_buffer, message, sizeof(message));
			assert_int_equal(nic_packet(nic, 0, &packet, NULL, 0),
					 VMB_HOST_NETWORK_REPLY);
			assert_int_equal(nic_get32(nic->reply), 108);
			assert_int_not_equal(nic_get32(nic->reply + 4), 0);
			while (nic_take_answer(nic))
				;
		}
	}
}

static void test_control_in_pieces_is_one_message(void **state)
{
	const uint32_t query[7] = { 4, 28, 5, 0x00010106, 0, 20, 0 };
	struct vmb_host_network_packet packet = { .type = 9, .flags = 1, .range_count = 2 };
	uint32_t payload[10] = { 107, 1, 0xFFFFFFFF, 0 }, at;
	struct vmb_host_offload_piece pieces[2];
	struct nic *nic = *state;

	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	for (at = 0; at <= 28; at++) {
		pieces[0].base = (const uint8_t *)query;
		pieces[0].len = at;
		pieces[1].base = (const uint8_t *)query + at;
		pieces[1].len = 28 - at;
		nic_packet(nic, 0, &packet, pieces, 2);
		assert_int_equal(nic_get32(nic->reply + 4), 1);
		assert_true(nic_take_answer(nic));
		assert_int_equal(nic_get32(nic->answer + 24), 1500);
	}
}

/* A guest that asks without listening. */
static void test_replies_that_are_not_fetched_are_bounded(void **state)
{
	const uint32_t keepalive[3] = { 8, 12, 1 };
	struct nic *nic = *state;
	uint32_t i;

	for (i = 0; i < 8; i++)
		assert_int_equal(nic_control(nic, keepalive, 12), 1);
	assert_int_equal(nic_control(nic, keepalive, 12), 6);
	assert_true(nic_take_answer(nic));
	assert_int_equal(nic_control(nic, keepalive, 12), 1);
	assert_int_equal(nic_control(nic, keepalive, 12), 6);
	for (i = 0; i < 8; i++)
		assert_true(nic_take_answer(nic));
	assert_false(nic_take_answer(nic));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_header_may_be_split_anywhere, start, end),
		cmocka_unit_test_setup_teardown(test_ranges_of_few_bytes_are_one_stream, start,
						end),
		cmocka_unit_test_setup_teardown(test_section_holds_a_message, start, end),
		cmocka_unit_test_setup_teardown(test_section_and_ranges_are_one_stream, start, end),
		cmocka_unit_test_setup_teardown(test_aggregate_is_walked_by_message_length, start,
						end),
		cmocka_unit_test_setup_teardown(test_other_message_in_an_aggregate_is_refused,
						start, end),
		cmocka_unit_test_setup_teardown(test_ranges_that_are_no_good_are_refused, start,
						end),
		cmocka_unit_test_setup_teardown(test_frames_need_an_initialized_adapter, start,
						end),
		cmocka_unit_test_setup_teardown(test_frame_lengths_are_bounded, start, end),
		cmocka_unit_test_setup_teardown(test_offload_that_is_not_offered_is_refused, start,
						end),
		cmocka_unit_test_setup_teardown(test_guest_that_changes_a_message_changes_nothing,
						start, end),
		cmocka_unit_test_setup_teardown(test_slices_are_the_bytes_that_are_copied, start,
						end),
		cmocka_unit_test_setup_teardown(test_send_without_a_wish_for_completion_gets_none,
						start, end),
		cmocka_unit_test_setup_teardown(test_what_is_not_control_is_data, start, end),
		cmocka_unit_test_setup_teardown(test_control_is_the_primary_channels, start, end),
		cmocka_unit_test_setup_teardown(test_control_of_no_sense_is_refused, start, end),
		cmocka_unit_test_setup_teardown(test_whatever_rndis_says_is_completed, start, end),
		cmocka_unit_test_setup_teardown(test_control_in_pieces_is_one_message, start, end),
		cmocka_unit_test_setup_teardown(test_replies_that_are_not_fetched_are_bounded,
						start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
