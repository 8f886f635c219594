// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a host's mouse, written out from docs/protocol/integration.md, and what it takes
 * from a guest: its version, the confirmation, and nothing out of order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/mouse.h"

static struct vmb_host_mouse m;

static int begin(void **state)
{
	vmb_host_mouse_init(&m);
	vmb_host_mouse_reset(&m);
	return 0;
}

static const uint8_t *take_output(uint32_t expected)
{
	static uint8_t copy[VMB_HOST_MOUSE_PACKET_LEN];
	uint32_t len;
	const uint8_t *packet = vmb_host_mouse_output(&m, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	memcpy(copy, packet, len);
	vmb_host_mouse_output_done(&m);
	return copy;
}

static void expect_output(const uint8_t *bytes, uint32_t expected)
{
	assert_memory_equal(take_output(expected), bytes, expected);
}

static void expect_silence(void)
{
	uint32_t len;

	assert_null(vmb_host_mouse_output(&m, &len));
}

static const uint8_t request[20] = { 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 2, 0 };
static const uint8_t ack[24] = { 1, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1 };
static const uint8_t accepted[21] = {
	1, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 2, 0, 1
};

#define INFO_LEN (16u + 41 + 67)

static void describe(void)
{
	assert_int_equal(vmb_host_mouse_input(&m, request, sizeof(request)),
			 VMB_HOST_MOUSE_NOTHING);
	expect_output(accepted, sizeof(accepted));
}

static void open_mouse(void)
{
	describe();
	take_output(INFO_LEN);
	assert_int_equal(vmb_host_mouse_input(&m, ack, sizeof(ack)), VMB_HOST_MOUSE_READY);
	expect_silence();
}

static const struct vmb_mouse_report report = {
	.buttons = VMB_MOUSE_RIGHT, .x = 0x1234, .y = 0x7FFF, .wheel = -2
};

static void expect_broken(const void *payload, uint32_t len)
{
	assert_int_equal(vmb_host_mouse_input(&m, payload, len), VMB_EPROTO);
	assert_int_equal(m.state, VMB_HOST_MOUSE_IDLE);
	expect_silence();
	assert_int_equal(vmb_host_mouse_report(&m, &report), VMB_EAGAIN);
}

static void test_the_device_is_described(void **state)
{
	static const uint8_t head[] = {
		1,  0, 0, 0, 8 + 41 + 67, 0, 0,	   0, /* pipe */
		2,  0, 0, 0, 41 + 67,	  0, 0,	   0, /* message */
		32, 0, 0, 0, 0x5E,	  4, 0x21, 6, 1, 0, /* attributes */
	};
	static const uint8_t hid[] = { 9, 0x21, 1, 1, 0, 1, 0x22, 67, 0, 5, 1, 9, 2, 0xA1, 1 };
	const uint8_t *info;

	describe();
	info = take_output(INFO_LEN);
	assert_memory_equal(info, head, sizeof(head));
	assert_memory_equal(info + 48, hid, sizeof(hid));
	assert_int_equal(info[57 + 14], 0x29); /* what one guest looks at */
	assert_int_equal(info[INFO_LEN - 1], 0xC0);
	expect_silence();
}

static void test_another_version_is_refused_and_a_further_one_accepted(void **state)
{
	uint8_t older[20], refused[21];

	memcpy(older, request, sizeof(older));
	memcpy(refused, accepted, sizeof(refused));
	older[18] = refused[18] = 1;
	refused[20] = 0;
	assert_int_equal(vmb_host_mouse_input(&m, older, sizeof(older)), VMB_HOST_MOUSE_REFUSED);
	expect_output(refused, sizeof(refused));
	expect_silence();
	open_mouse();
}

static void test_reports_have_their_bytes(void **state)
{
	static const uint8_t bytes[] = { 1, 0, 0, 0, 15,   0,	 0,    0,    4,	   0,	 0,   0,
					 7, 0, 0, 0, 0x02, 0x34, 0x12, 0xFF, 0x7F, 0xFE, 0xFF };

	open_mouse();
	assert_int_equal(vmb_host_mouse_report(&m, &report), 0);
	assert_int_equal(vmb_host_mouse_report(&m, &report), VMB_EAGAIN);
	expect_output(bytes, sizeof(bytes));
}

static void test_what_is_nowhere_is_refused(void **state)
{
	struct vmb_mouse_report bad = report;

	open_mouse();
	bad.x = 0x8000;
	assert_int_equal(vmb_host_mouse_report(&m, &bad), VMB_EINVAL);
	bad.x = 0;
	bad.y = 0x8000;
	assert_int_equal(vmb_host_mouse_report(&m, &bad), VMB_EINVAL);
	bad.y = 0;
	bad.buttons = 0x20;
	assert_int_equal(vmb_host_mouse_report(&m, &bad), VMB_EINVAL);
	expect_silence();
}

static void test_reports_wait_for_the_confirmation(void **state)
{
	assert_int_equal(vmb_host_mouse_report(&m, &report), VMB_EAGAIN);
	describe();
	take_output(INFO_LEN);
	assert_int_equal(vmb_host_mouse_report(&m, &report), VMB_EAGAIN);
	assert_int_equal(vmb_host_mouse_input(&m, ack, sizeof(ack)), VMB_HOST_MOUSE_READY);
	assert_int_equal(vmb_host_mouse_report(&m, &report), 0);
}

static void test_a_short_message_breaks_it(void **state)
{
	for (uint32_t len = 0; len < sizeof(request); len++) {
		begin(state);
		expect_broken(request, len);
	}
}

/* Both lengths that a message has of itself, longer than the one it has. */
static void test_lengths_that_lie_break_it(void **state)
{
	uint8_t lie[20];

	for (uint32_t at = 4; at <= 12; at += 8)
		for (uint32_t longer = 1; longer < 0x100; longer++) {
			begin(state);
			memcpy(lie, request, sizeof(lie));
			lie[at] += (uint8_t)longer;
			expect_broken(lie, sizeof(lie));
			lie[at + 3] = 0xFF;
			begin(state);
			expect_broken(lie, sizeof(lie));
		}
}

static void test_other_types_break_it(void **state)
{
	uint8_t other[24];

	memcpy(other, ack, sizeof(other));
	for (uint32_t type = 0; type < 256; type++) {
		other[8] = (uint8_t)type;
		begin(state);
		open_mouse();
		expect_broken(other, sizeof(other));
	}
	memcpy(other, request, sizeof(request));
	other[0] = 2; /* not a message of the pipe */
	begin(state);
	expect_broken(other, sizeof(request));
}

static void test_messages_out_of_order_break_it(void **state)
{
	expect_broken(ack, sizeof(ack));
	begin(state);
	vmb_host_mouse_input(&m, request, sizeof(request));
	expect_broken(ack, sizeof(ack)); /* the answer was not sent */
	begin(state);
	describe();
	expect_broken(ack, sizeof(ack)); /* nor the description */
	begin(state);
	describe();
	take_output(INFO_LEN);
	expect_broken(request, sizeof(request));
	begin(state);
	open_mouse();
	expect_broken(ack, sizeof(ack));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_device_is_described, begin),
		cmocka_unit_test_setup(test_another_version_is_refused_and_a_further_one_accepted,
				       begin),
		cmocka_unit_test_setup(test_reports_have_their_bytes, begin),
		cmocka_unit_test_setup(test_what_is_nowhere_is_refused, begin),
		cmocka_unit_test_setup(test_reports_wait_for_the_confirmation, begin),
		cmocka_unit_test_setup(test_a_short_message_breaks_it, begin),
		cmocka_unit_test_setup(test_lengths_that_lie_break_it, begin),
		cmocka_unit_test_setup(test_other_types_break_it, begin),
		cmocka_unit_test_setup(test_messages_out_of_order_break_it, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
