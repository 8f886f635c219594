// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a guest's keyboard and mouse, written out from docs/protocol/integration.md, and
 * what they let a host say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/keyboard.h"
#include "guest/mouse.h"

static struct vmb_guest_keyboard k;
static struct vmb_guest_mouse m;
static struct vmb_guest_mouse_report report;

static int begin(void **state)
{
	vmb_guest_keyboard_init(&k);
	vmb_guest_mouse_init(&m);
	return 0;
}

static void expect_from_keyboard(const uint8_t *bytes, uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_guest_keyboard_output(&k, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	assert_memory_equal(packet, bytes, len);
	vmb_guest_keyboard_output_done(&k);
	assert_null(vmb_guest_keyboard_output(&k, &len));
}

static int tell_keyboard(const uint8_t *bytes, uint32_t len)
{
	return vmb_guest_keyboard_input(&k, bytes, len);
}

static const uint8_t request[8] = { 1, 0, 0, 0, 0, 0, 1, 0 };
static const uint8_t accepted[8] = { 2, 0, 0, 0, 1, 0, 0, 0 };

static void open_keyboard(void)
{
	expect_from_keyboard(request, sizeof(request));
	assert_int_equal(tell_keyboard(accepted, sizeof(accepted)), VMB_GUEST_KEYBOARD_READY);
}

static void test_a_keyboard_is_asked_for_and_types(void **state)
{
	static const uint8_t up[16] = { 3, 0, 0, 0, 0x53, 0, 0, 0, 0xF6, 0xFF, 0xFF, 0xFF };

	open_keyboard();
	assert_int_equal(tell_keyboard(up, sizeof(up)), VMB_GUEST_KEYBOARD_KEY);
	assert_int_equal(k.make_code, 0x53);
	assert_int_equal(k.flags, VMB_KEYBOARD_BREAK | VMB_KEYBOARD_E0);
}

static void test_a_keyboard_that_is_refused_stays_shut(void **state)
{
	static const uint8_t refused[8] = { 2 };
	static const uint8_t down[12] = { 3, 0, 0, 0, 0x1E };

	expect_from_keyboard(request, sizeof(request));
	assert_int_equal(tell_keyboard(refused, sizeof(refused)), VMB_GUEST_KEYBOARD_REFUSED);
	assert_int_equal(tell_keyboard(accepted, sizeof(accepted)), VMB_EPROTO);
	assert_int_equal(tell_keyboard(down, sizeof(down)), VMB_EPROTO);
	assert_int_equal(vmb_guest_keyboard_leds(&k, 1), VMB_EAGAIN);
}

static void test_lights_are_told_as_they_were_set_last(void **state)
{
	static const uint8_t lights[8] = { 4, 0, 0, 0, 6, 0, 0, 0 };

	assert_int_equal(vmb_guest_keyboard_leds(&k, 1), VMB_EAGAIN);
	open_keyboard();
	assert_int_equal(vmb_guest_keyboard_leds(&k, 1), 0);
	assert_int_equal(vmb_guest_keyboard_leds(&k, 6), 0);
	expect_from_keyboard(lights, sizeof(lights));
}

static void test_a_host_cannot_type_what_is_no_key(void **state)
{
	uint8_t event[12] = { 3, 0, 0, 0, 0x1E };

	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_EPROTO); /* not open */
	assert_int_equal(tell_keyboard(accepted, sizeof(accepted)), VMB_EPROTO); /* not asked */
	open_keyboard();
	assert_int_equal(tell_keyboard(accepted, sizeof(accepted)), VMB_EPROTO); /* again */
	for (uint32_t len = 0; len < sizeof(event); len++)
		assert_int_equal(tell_keyboard(event, len), VMB_EPROTO);
	event[4] = 0x80;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_EPROTO);
	event[4] = 0;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_EPROTO);
	event[4] = 0x1E;
	event[5] = 1;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_EPROTO);
	event[8] = VMB_KEYBOARD_UNICODE;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_GUEST_KEYBOARD_NOTHING);
	event[0] = 4;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_EPROTO);
	event[0] = 3;
	event[5] = event[8] = 0;
	assert_int_equal(tell_keyboard(event, sizeof(event)), VMB_GUEST_KEYBOARD_KEY);
}

/* The mouse */

static void expect_from_mouse(const uint8_t *bytes, uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_guest_mouse_output(&m, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	assert_memory_equal(packet, bytes, len);
	vmb_guest_mouse_output_done(&m);
	assert_null(vmb_guest_mouse_output(&m, &len));
}

static const uint8_t ask[20] = { 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 2, 0 };
static const uint8_t ack[17] = { 1, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1 };

/* A message with its headers. */
static int tell_mouse(uint8_t type, const uint8_t *body, uint32_t len)
{
	uint8_t packet[2048] = { 1, 0, 0, 0, [8] = type };
	uint32_t pipe_len = len + 8;

	memcpy(packet + 4, &pipe_len, sizeof(pipe_len));
	memcpy(packet + 12, &len, sizeof(len));
	memcpy(packet + 16, body, len);
	return vmb_guest_mouse_input(&m, packet, len + 16, &report);
}

static const uint8_t agreed[5] = { 0, 0, 2, 0, 1 };
static uint8_t info[1200] = { 32, 0, 0, 0, 1,	 0, 2, 0,	   3,	0,   [32] = 9, 0x21,
			      1,  1, 0, 1, 0x22, 4, 0, [41] = 'a', 'b', 'c', 'd' };

static void describe(void)
{
	expect_from_mouse(ask, sizeof(ask));
	assert_int_equal(tell_mouse(1, agreed, sizeof(agreed)), VMB_GUEST_MOUSE_NOTHING);
}

static void open_mouse(void)
{
	describe();
	assert_int_equal(tell_mouse(2, info, 45), VMB_GUEST_MOUSE_READY);
	expect_from_mouse(ack, sizeof(ack));
}

static void test_a_mouse_is_described_and_reports(void **state)
{
	open_mouse();
	assert_int_equal(m.info.vendor, 1);
	assert_int_equal(m.info.product, 2);
	assert_int_equal(m.info.version, 3);
	assert_int_equal(m.info.descriptor_len, 4);
	assert_memory_equal(m.descriptor, "abcd", 4);
	assert_int_equal(tell_mouse(4, info, 7), VMB_GUEST_MOUSE_REPORT);
	assert_int_equal(report.len, 7);
	assert_memory_equal(report.bytes, info, 7);
}

static void test_a_mouse_that_is_refused_stays_shut(void **state)
{
	static const uint8_t refused[5] = { 0, 0, 2, 0, 0 };

	expect_from_mouse(ask, sizeof(ask));
	assert_int_equal(tell_mouse(1, refused, sizeof(refused)), VMB_GUEST_MOUSE_REFUSED);
	assert_int_equal(tell_mouse(1, agreed, sizeof(agreed)), VMB_EPROTO);
	assert_int_equal(tell_mouse(2, info, 45), VMB_EPROTO);
	assert_int_equal(tell_mouse(4, info, 7), VMB_EPROTO);
}

static void test_an_acceptance_of_another_version_is_none(void **state)
{
	static const uint8_t other[5] = { 1, 0, 2, 0, 1 };

	expect_from_mouse(ask, sizeof(ask));
	assert_int_equal(tell_mouse(1, other, sizeof(other)), VMB_GUEST_MOUSE_REFUSED);
}

static void test_the_order_is_kept(void **state)
{
	assert_int_equal(tell_mouse(1, agreed, sizeof(agreed)), VMB_EPROTO); /* not asked */
	expect_from_mouse(ask, sizeof(ask));
	assert_int_equal(tell_mouse(2, info, 45), VMB_EPROTO);
	assert_int_equal(tell_mouse(4, info, 7), VMB_EPROTO);
	begin(state);
	describe();
	assert_int_equal(tell_mouse(4, info, 7), VMB_EPROTO);
	assert_int_equal(tell_mouse(2, info, 45), VMB_GUEST_MOUSE_READY);
	assert_int_equal(tell_mouse(4, info, 7), VMB_EPROTO); /* not confirmed */
	expect_from_mouse(ack, sizeof(ack));
	assert_int_equal(tell_mouse(2, info, 45), VMB_EPROTO); /* again */
	assert_int_equal(tell_mouse(1, agreed, sizeof(agreed)), VMB_EPROTO);
	assert_int_equal(tell_mouse(4, info, 7), VMB_GUEST_MOUSE_REPORT);
}

static void test_descriptions_that_lie_are_refused(void **state)
{
	static const struct {
		uint8_t at, value;
	} lies[] = { { 32, 8 }, { 32, 10 }, { 32, 255 }, { 39, 5 }, { 39, 0 }, { 40, 1 } };
	uint8_t lie[sizeof(info)];

	describe();
	for (uint32_t len = 0; len < 45; len++)
		assert_int_equal(tell_mouse(2, info, len), VMB_EPROTO);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(lies); i++) {
		memcpy(lie, info, sizeof(lie));
		lie[lies[i].at] = lies[i].value;
		assert_int_equal(tell_mouse(2, lie, 45), VMB_EPROTO);
	}
	memcpy(lie, info, sizeof(lie));
	lie[39] = 1025 & 0xFF;
	lie[40] = 1025 >> 8;
	assert_int_equal(tell_mouse(2, lie, 41 + 1025), VMB_EPROTO);
	lie[39] = 1024 & 0xFF;
	assert_int_equal(tell_mouse(2, lie, 41 + 1024), VMB_GUEST_MOUSE_READY);
}

static void test_headers_that_lie_are_refused(void **state)
{
	uint8_t packet[24] = { 1, 0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 7 };

	open_mouse();
	assert_int_equal(vmb_guest_mouse_input(&m, packet, 24, &report), VMB_GUEST_MOUSE_REPORT);
	for (uint32_t len = 0; len < 23; len++)
		assert_int_equal(vmb_guest_mouse_input(&m, packet, len, &report), VMB_EPROTO);
	packet[12] = 8;
	assert_int_equal(vmb_guest_mouse_input(&m, packet, 24, &report), VMB_EPROTO);
	packet[4] = 17;
	assert_int_equal(vmb_guest_mouse_input(&m, packet, 24, &report), VMB_EPROTO);
	packet[4] = 7;
	assert_int_equal(vmb_guest_mouse_input(&m, packet, 24, &report), VMB_EPROTO);
	packet[4] = 15;
	packet[12] = 7;
	packet[0] = 2;
	assert_int_equal(vmb_guest_mouse_input(&m, packet, 24, &report), VMB_EPROTO);
}

static void test_a_report_has_a_length(void **state)
{
	open_mouse();
	assert_int_equal(tell_mouse(4, info, 0), VMB_EPROTO);
	assert_int_equal(tell_mouse(4, info, VMB_MOUSE_REPORT_LEN_MAX), VMB_GUEST_MOUSE_REPORT);
	assert_int_equal(tell_mouse(4, info, VMB_MOUSE_REPORT_LEN_MAX + 1), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_keyboard_is_asked_for_and_types, begin),
		cmocka_unit_test_setup(test_a_keyboard_that_is_refused_stays_shut, begin),
		cmocka_unit_test_setup(test_lights_are_told_as_they_were_set_last, begin),
		cmocka_unit_test_setup(test_a_host_cannot_type_what_is_no_key, begin),
		cmocka_unit_test_setup(test_a_mouse_is_described_and_reports, begin),
		cmocka_unit_test_setup(test_a_mouse_that_is_refused_stays_shut, begin),
		cmocka_unit_test_setup(test_an_acceptance_of_another_version_is_none, begin),
		cmocka_unit_test_setup(test_the_order_is_kept, begin),
		cmocka_unit_test_setup(test_descriptions_that_lie_are_refused, begin),
		cmocka_unit_test_setup(test_headers_that_lie_are_refused, begin),
		cmocka_unit_test_setup(test_a_report_has_a_length, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
