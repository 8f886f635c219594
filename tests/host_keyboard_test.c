// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a host's keyboard, written out from docs/protocol/integration.md, and what it takes
 * from a guest: its version, lights, and nothing out of order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/keyboard.h"

static struct vmb_host_keyboard k;

static int begin(void **state)
{
	vmb_host_keyboard_init(&k);
	vmb_host_keyboard_reset(&k);
	return 0;
}

static void expect_output(const uint8_t *bytes, uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_host_keyboard_output(&k, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	assert_memory_equal(packet, bytes, len);
	assert_ptr_equal(vmb_host_keyboard_output(&k, &len), packet); /* a look does not take it */
	vmb_host_keyboard_output_done(&k);
	assert_null(vmb_host_keyboard_output(&k, &len));
}

static const uint8_t request[8] = { 1, 0, 0, 0, 0, 0, 1, 0 };
static const uint8_t accepted[8] = { 2, 0, 0, 0, 1, 0, 0, 0 };

static void open_keyboard(void)
{
	assert_int_equal(vmb_host_keyboard_input(&k, request, sizeof(request)),
			 VMB_HOST_KEYBOARD_READY);
	expect_output(accepted, sizeof(accepted));
}

static void expect_broken(const void *payload, uint32_t len)
{
	assert_int_equal(vmb_host_keyboard_input(&k, payload, len), VMB_EPROTO);
	assert_int_equal(k.state, VMB_HOST_KEYBOARD_IDLE);
	assert_null(vmb_host_keyboard_output(&k, &len));
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), VMB_EAGAIN);
}

static void test_version_1_0_is_accepted(void **state)
{
	open_keyboard();
}

static void test_another_version_is_refused_and_a_further_one_accepted(void **state)
{
	static const uint8_t newer[8] = { 1, 0, 0, 0, 1, 0, 1, 0 };
	static const uint8_t refused[8] = { 2, 0, 0, 0, 0, 0, 0, 0 };

	assert_int_equal(vmb_host_keyboard_input(&k, newer, sizeof(newer)),
			 VMB_HOST_KEYBOARD_REFUSED);
	expect_output(refused, sizeof(refused));
	open_keyboard();
}

static void test_keys_have_their_bytes(void **state)
{
	static const uint8_t a_down[12] = { 3, 0, 0, 0, 0x1E };
	static const uint8_t delete_up[12] = { 3, 0, 0, 0, 0x53, 0, 0, 0, 6 };

	open_keyboard();
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), 0);
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1F, 0), VMB_EAGAIN);
	expect_output(a_down, sizeof(a_down));
	assert_int_equal(vmb_host_keyboard_key(&k, 0x53, VMB_KEYBOARD_BREAK | VMB_KEYBOARD_E0), 0);
	expect_output(delete_up, sizeof(delete_up));
}

static void test_what_is_no_key_is_refused(void **state)
{
	uint32_t len;

	open_keyboard();
	assert_int_equal(vmb_host_keyboard_key(&k, 0x80, 0), VMB_EINVAL);
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, VMB_KEYBOARD_UNICODE), VMB_EINVAL);
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 16), VMB_EINVAL);
	assert_null(vmb_host_keyboard_output(&k, &len));
}

static void test_keys_wait_for_the_version(void **state)
{
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), VMB_EAGAIN);
	vmb_host_keyboard_input(&k, request, sizeof(request));
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), VMB_EAGAIN);
	expect_output(accepted, sizeof(accepted));
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), 0);
}

static void test_lights_are_taken_while_a_key_waits(void **state)
{
	static const uint8_t lights[8] = { 4, 0, 0, 0, 5, 0, 0, 0 };

	open_keyboard();
	assert_int_equal(vmb_host_keyboard_key(&k, 0x1E, 0), 0);
	assert_int_equal(vmb_host_keyboard_input(&k, lights, sizeof(lights)),
			 VMB_HOST_KEYBOARD_LEDS);
	assert_int_equal(k.leds, 5);
	vmb_host_keyboard_reset(&k);
	assert_int_equal(k.leds, 0);
}

static void test_a_short_message_breaks_it(void **state)
{
	static const uint8_t lights[8] = { 4 };

	for (uint32_t len = 0; len < sizeof(request); len++) {
		begin(state);
		expect_broken(request, len);
		begin(state);
		open_keyboard();
		expect_broken(lights, len);
	}
}

static void test_a_long_message_breaks_it(void **state)
{
	uint8_t longest[VMB_KEYBOARD_LEN_MAX + 1] = { 1, 0, 0, 0, 0, 0, 1, 0 };

	assert_int_equal(vmb_host_keyboard_input(&k, longest, VMB_KEYBOARD_LEN_MAX),
			 VMB_HOST_KEYBOARD_READY);
	begin(state);
	expect_broken(longest, sizeof(longest));
}

static void test_other_types_break_it(void **state)
{
	for (uint32_t type = 0; type < 300; type++) {
		uint8_t message[8] = { (uint8_t)type, (uint8_t)(type >> 8) };

		if (type == VMB_KEYBOARD_REQUEST || type == VMB_KEYBOARD_LEDS)
			continue;
		begin(state);
		open_keyboard();
		expect_broken(message, sizeof(message));
	}
}

static void test_messages_out_of_order_break_it(void **state)
{
	static const uint8_t lights[8] = { 4 };
	static const uint8_t newer[8] = { 1, 0, 0, 0, 0, 0, 2, 0 };

	expect_broken(lights, sizeof(lights));
	begin(state);
	open_keyboard();
	expect_broken(request, sizeof(request));
	begin(state);
	vmb_host_keyboard_input(&k, newer, sizeof(newer));
	expect_broken(request, sizeof(request)); /* it did not wait for the answer */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_version_1_0_is_accepted, begin),
		cmocka_unit_test_setup(test_another_version_is_refused_and_a_further_one_accepted,
				       begin),
		cmocka_unit_test_setup(test_keys_have_their_bytes, begin),
		cmocka_unit_test_setup(test_what_is_no_key_is_refused, begin),
		cmocka_unit_test_setup(test_keys_wait_for_the_version, begin),
		cmocka_unit_test_setup(test_lights_are_taken_while_a_key_waits, begin),
		cmocka_unit_test_setup(test_a_short_message_breaks_it, begin),
		cmocka_unit_test_setup(test_a_long_message_breaks_it, begin),
		cmocka_unit_test_setup(test_other_types_break_it, begin),
		cmocka_unit_test_setup(test_messages_out_of_order_break_it, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
