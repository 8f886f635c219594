// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When a device's thread lets work collect, against guests whose turns are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/gather.h"

/* Gives g a window of turns with packets each. Returns how often it changed its mind. */
static uint32_t window(struct vmb_dev_gather *g, uint32_t packets)
{
	uint32_t changes = 0;

	for (uint32_t i = 0; i < VMB_DEV_GATHER_TURNS; i++)
		changes += vmb_dev_gather_turn(g, packets);
	return changes;
}

/* Windows of a guest that waits for each request, until the thread tries; that window included. */
static uint32_t windows_until_try(struct vmb_dev_gather *g)
{
	uint32_t count = 0;

	while (!g->on && count++ < 10 * VMB_DEV_GATHER_PATIENCE_MAX)
		window(g, 1);
	return count;
}

static void test_one_at_a_time_is_hardly_ever_tried(void **state)
{
	struct vmb_dev_gather g = { 0 };
	uint32_t patience = VMB_DEV_GATHER_PATIENCE_MIN;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(windows_until_try(&g), patience);
		assert_int_equal(window(&g, 1), 1);
		assert_false(g.on);
		if (patience < VMB_DEV_GATHER_PATIENCE_MAX)
			patience *= 2;
	}
	assert_int_equal(patience, VMB_DEV_GATHER_PATIENCE_MAX);
}

static void test_a_deep_queue_is_found_and_kept(void **state)
{
	struct vmb_dev_gather g = { 0 };

	windows_until_try(&g);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&g, 7), 0);
	assert_true(g.on);
}

static void test_the_end_of_a_deep_queue_is_seen_in_one_window(void **state)
{
	struct vmb_dev_gather g = { 0 };

	windows_until_try(&g);
	window(&g, 7);
	assert_int_equal(window(&g, 1), 1);
	assert_false(g.on);
}

static void test_a_deep_queue_makes_the_next_try_early(void **state)
{
	struct vmb_dev_gather g = { 0 };

	for (int i = 0; i < 10; i++) {
		windows_until_try(&g);
		window(&g, 1);
	}
	windows_until_try(&g);
	window(&g, 7);
	window(&g, 1);
	assert_int_equal(windows_until_try(&g), 2 * VMB_DEV_GATHER_PATIENCE_MIN);
}

/* It rings once for many requests, so the thread need not wait for more. */
static void test_a_guest_that_collects_itself_is_left_alone(void **state)
{
	struct vmb_dev_gather g = { 0 };

	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&g, VMB_DEV_GATHER_PACKETS), 0);
	assert_false(g.on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time_is_hardly_ever_tried),
		cmocka_unit_test(test_a_deep_queue_is_found_and_kept),
		cmocka_unit_test(test_the_end_of_a_deep_queue_is_seen_in_one_window),
		cmocka_unit_test(test_a_deep_queue_makes_the_next_try_early),
		cmocka_unit_test(test_a_guest_that_collects_itself_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
