// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What waits for a slow guest: it comes out in order, it is bounded, and neither a key nor a button
 * stays down for want of room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/input_queue.h"

#define UP VMB_KEYBOARD_BREAK
#define E0 VMB_KEYBOARD_E0

static struct vmb_dev_keys k;
static struct vmb_dev_pointers p;

static int begin(void **state)
{
	memset(&k, 0, sizeof(k));
	memset(&p, 0, sizeof(p));
	return 0;
}

static void expect_key(uint16_t make_code, uint32_t flags)
{
	const struct vmb_dev_key *key = vmb_dev_keys_first(&k);

	assert_non_null(key);
	assert_int_equal(key->make_code, make_code);
	assert_int_equal(key->flags, flags);
	vmb_dev_keys_next(&k);
}

static void test_keys_come_out_in_order(void **state)
{
	for (uint32_t round = 0; round < 1000; round++) {
		assert_true(vmb_dev_keys_put(&k, 1 + round % 100, E0));
		assert_true(vmb_dev_keys_put(&k, 1 + round % 100, E0 | UP));
		assert_true(vmb_dev_keys_put(&k, 0x1D, 0));
		expect_key(1 + round % 100, E0);
		expect_key(1 + round % 100, E0 | UP);
		expect_key(0x1D, 0);
	}
	assert_null(vmb_dev_keys_first(&k));
}

/* However full the queue is: what is down can go up. odd: events before that. */
static void fill(uint32_t odd)
{
	uint32_t downs = 0, ups = 0;

	for (uint32_t i = 0; i < odd; i++)
		assert_true(vmb_dev_keys_put(&k, 5, UP));
	for (uint16_t code = 1; code < 128; code++)
		downs += vmb_dev_keys_put(&k, code, 0);
	for (uint16_t code = 1; code < 128; code++)
		downs += vmb_dev_keys_put(&k, code, E0);
	assert_int_equal(downs, (VMB_DEV_KEYS_MAX - odd) / 2);
	assert_false(vmb_dev_keys_put(&k, 127, E0)); /* no room for both of its events */
	for (uint16_t code = 1; code < 128; code++)
		ups += vmb_dev_keys_put(&k, code, UP);
	for (uint16_t code = 1; code < 128 && ups < downs; code++)
		ups += vmb_dev_keys_put(&k, code, E0 | UP);
	assert_int_equal(k.held_count, 0);
	assert_true(k.count <= VMB_DEV_KEYS_MAX);
}

static void test_a_key_that_is_down_can_always_go_up(void **state)
{
	fill(0);
	assert_false(vmb_dev_keys_put(&k, 1, UP)); /* which never went down */
	begin(state);
	fill(1);
}

static bool point(uint16_t x, uint8_t buttons, int16_t wheel)
{
	const struct vmb_mouse_report report = {
		.buttons = buttons, .x = x, .y = 7, .wheel = wheel
	};

	return vmb_dev_pointers_put(&p, &report);
}

static void expect_pointer(uint16_t x, uint8_t buttons, int16_t wheel)
{
	const struct vmb_mouse_report *report = vmb_dev_pointers_first(&p);

	assert_non_null(report);
	assert_int_equal(report->x, x);
	assert_int_equal(report->buttons, buttons);
	assert_int_equal(report->wheel, wheel);
	vmb_dev_pointers_next(&p);
}

static void test_places_that_are_passed_are_left_out(void **state)
{
	for (uint16_t x = 0; x < 1000; x++)
		assert_true(point(x, 0, 0));
	assert_int_equal(p.count, 1);
	expect_pointer(999, 0, 0);
}

static void test_a_button_is_pressed_and_let_go_where_it_was(void **state)
{
	point(1, 0, 0);
	point(2, 1, 0);
	point(3, 1, 0);
	point(4, 1, 0);
	point(5, 0, 0);
	point(6, 0, 0);
	expect_pointer(1, 0, 0);
	expect_pointer(2, 1, 0);
	expect_pointer(4, 1, 0);
	expect_pointer(5, 0, 0);
	expect_pointer(6, 0, 0);
}

static void test_a_wheel_is_turned_where_it_was(void **state)
{
	point(1, 0, 1);
	point(1, 0, 2);
	point(2, 0, 0);
	point(2, 0, INT16_MAX);
	point(2, 0, 1);
	expect_pointer(1, 0, 3);
	expect_pointer(2, 0, INT16_MAX);
	expect_pointer(2, 0, 1);
	assert_null(vmb_dev_pointers_first(&p));
}

static void test_a_button_that_is_down_can_always_go_up(void **state)
{
	uint32_t taken = 0;

	for (uint16_t i = 0; i < 1000; i++)
		taken += point(i, i % 2 ? 0x1F : 0x0F, 1);
	assert_true(taken >= VMB_DEV_POINTERS_MAX - 5);
	assert_true(p.count <= VMB_DEV_POINTERS_MAX);
	for (uint8_t buttons = p.last.buttons >> 1;; buttons >>= 1) {
		assert_true(point(9, buttons, 0));
		if (!buttons)
			break;
	}
	assert_true(p.count <= VMB_DEV_POINTERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_keys_come_out_in_order, begin),
		cmocka_unit_test_setup(test_a_key_that_is_down_can_always_go_up, begin),
		cmocka_unit_test_setup(test_places_that_are_passed_are_left_out, begin),
		cmocka_unit_test_setup(test_a_button_is_pressed_and_let_go_where_it_was, begin),
		cmocka_unit_test_setup(test_a_wheel_is_turned_where_it_was, begin),
		cmocka_unit_test_setup(test_a_button_that_is_down_can_always_go_up, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
