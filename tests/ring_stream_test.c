// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The bytes of a stream's packets, what a stream takes and refuses, and the room that an end has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ring/stream.h"

static int judge(struct vmb_stream *s, uint16_t type, uint32_t payload_len, uint32_t kind,
		 uint32_t said, uint32_t *len)
{
	const struct vmb_ring_received received = { .type = type, .payload_len = payload_len };
	const struct vmb_pipe_header header = { kind, said };

	return vmb_stream_input(s, &received, &header, len);
}

static void test_packets_are_these_bytes(void **state)
{
	static const uint8_t data[] = { 6,   0, 2, 0, 4, 0, 0, 0, 0, 0, 0,   0,	  0,   0,
					0,   0, 1, 0, 0, 0, 5, 0, 0, 0, 'h', 'e', 'l', 'l',
					'o', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0 };
	static const uint8_t end[] = { 6, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0,
				       1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0 };
	struct vmb_ring_control control = { 0 };
	struct vmb_stream_packet p;
	struct vmb_ring_writer w;
	uint8_t ring[256];

	assert_int_equal(vmb_ring_writer_init(&w, &control, ring, sizeof(ring), true), 0);
	vmb_stream_data(&p, "hello", 5);
	assert_int_equal(vmb_ring_write(&w, &p.packet), 0);
	vmb_stream_end(&p);
	assert_int_equal(vmb_ring_write(&w, &p.packet), 0);
	assert_memory_equal(ring, data, sizeof(data));
	assert_memory_equal(ring + sizeof(data), end, sizeof(end));
}

static void test_data_then_end(void **state)
{
	struct vmb_stream s;
	uint32_t len = 0;

	vmb_stream_init(&s);
	assert_int_equal(judge(&s, 6, 16, 1, 5, &len), VMB_STREAM_DATA);
	assert_int_equal(len, 5);
	assert_int_equal(judge(&s, 6, 8 + 16384, 1, 16384, &len), VMB_STREAM_DATA);
	assert_int_equal(judge(&s, 6, 8, 1, 0, &len), VMB_STREAM_END);
	assert_true(s.ended_in);
	assert_int_equal(judge(&s, 6, 8, 1, 0, &len), VMB_STREAM_NOTHING);
	assert_int_equal(judge(&s, 6, 16, 1, 1, &len), VMB_EPROTO);
}

static void test_false_lengths_are_refused(void **state)
{
	struct vmb_stream s;
	uint32_t len;

	vmb_stream_init(&s);
	assert_int_equal(judge(&s, 6, 0, 1, 0, &len), VMB_EPROTO);
	assert_int_equal(judge(&s, 6, 7, 1, 0, &len), VMB_EPROTO);
	assert_int_equal(judge(&s, 6, 16, 1, 9, &len), VMB_EPROTO);
	assert_int_equal(judge(&s, 6, 16, 1, 0xFFFFFFFF, &len), VMB_EPROTO);
	assert_int_equal(judge(&s, 6, 8 + 16392, 1, 16385, &len), VMB_EPROTO);
	assert_false(s.ended_in);
}

static void test_other_kinds_are_passed_over(void **state)
{
	struct vmb_stream s;
	uint32_t len;

	vmb_stream_init(&s);
	assert_int_equal(judge(&s, 11, 16, 1, 5, &len), VMB_STREAM_NOTHING);
	assert_int_equal(judge(&s, 6, 16, 2, 5, &len), VMB_STREAM_NOTHING);
	assert_int_equal(judge(&s, 6, 16, 0, 0, &len), VMB_STREAM_NOTHING);
	assert_false(s.ended_in);
	assert_int_equal(s.dropped, 3);
}

/* However full data may fill a ring: the end goes in. */
static void test_an_end_always_has_room(void **state)
{
	static uint8_t ring[4096], bytes[VMB_PIPE_DATA_LEN_MAX];
	struct vmb_ring_control control;
	struct vmb_stream_packet p;
	struct vmb_ring_writer w;
	uint32_t data_len, len, packets;

	for (data_len = VMB_STREAM_RING_MIN; data_len <= sizeof(ring); data_len += 8) {
		memset(&control, 0, sizeof(control));
		vmb_ring_writer_init(&w, &control, ring, data_len, true);
		for (packets = 0; (len = vmb_stream_fits(vmb_ring_room(&w))); packets++) {
			len = len > 100 + packets ? 100 + packets : len;
			vmb_stream_data(&p, bytes, len);
			assert_int_equal(vmb_ring_write(&w, &p.packet), 0);
		}
		assert_true(packets > 0);
		vmb_stream_end(&p);
		assert_int_equal(vmb_ring_write(&w, &p.packet), 0);
	}
	assert_int_equal(vmb_stream_fits(1u << 20), VMB_PIPE_DATA_LEN_MAX);
}

/* Who waits for the room that _packet_len() says can then write that much. */
static void test_the_room_waited_for_is_enough(void **state)
{
	static uint8_t ring[1024], bytes[512];
	struct vmb_ring_control control = { 0 };
	struct vmb_stream_packet p;
	struct vmb_ring_writer w;
	uint32_t len;

	vmb_ring_writer_init(&w, &control, ring, sizeof(ring), true);
	for (len = 8; len <= sizeof(bytes); len += 8) {
		bool waits = vmb_ring_wait_room(&w, vmb_stream_packet_len(len));

		assert_int_equal(waits, vmb_stream_fits(vmb_ring_room(&w)) < len);
		vmb_ring_wait_cancel(&w);
	}
	vmb_stream_data(&p, bytes, 400);
	vmb_ring_write(&w, &p.packet);
	vmb_ring_commit(&w);
	for (len = 8; len <= sizeof(bytes); len += 8) {
		bool waits = vmb_ring_wait_room(&w, vmb_stream_packet_len(len));

		assert_int_equal(waits, vmb_stream_fits(vmb_ring_room(&w)) < len);
		vmb_ring_wait_cancel(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_are_these_bytes),
		cmocka_unit_test(test_data_then_end),
		cmocka_unit_test(test_false_lengths_are_refused),
		cmocka_unit_test(test_other_kinds_are_passed_over),
		cmocka_unit_test(test_an_end_always_has_room),
		cmocka_unit_test(test_the_room_waited_for_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
