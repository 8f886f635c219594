// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a guest's reports make of its size: grows at once, shrinks by little, stays in its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/balloon_policy.h"

#define MIB	  256ull /* pages */
#define SECOND_NS 1000000000ll

static struct vmb_dev_balloon_policy policy;
static struct vmb_dev_balloon_guest guest;
static int64_t now;

static int set_up(void **state)
{
	policy = (struct vmb_dev_balloon_policy){ .min = 256 * MIB, .max = 4096 * MIB };
	guest = (struct vmb_dev_balloon_guest){ .target = 1024 * MIB,
						.assigned = 1024 * MIB,
						.available = 500 * MIB,
						.committed = 800 * MIB };
	now = 100 * SECOND_NS;
	return 0;
}

/* A report: the guest has become what it was to be. Returns MiB. */
static uint64_t hear(uint64_t available, uint64_t committed)
{
	guest.available = available * MIB;
	guest.committed = committed * MIB + guest.out;
	guest.target = vmb_dev_balloon_policy_target(&policy, now, &guest);
	guest.assigned = guest.target;
	guest.out = guest.target < 1024 * MIB ? 1024 * MIB - guest.target : 0;
	now += SECOND_NS;
	return guest.target / MIB;
}

static void test_it_grows_at_once_to_what_is_needed_and_a_fifth_more(void **state)
{
	assert_int_equal(hear(500, 2000), 2400);
	assert_int_equal(hear(500, 3000), 3600);
}

static void test_it_grows_when_little_is_left(void **state)
{
	assert_int_equal(hear(64, 800), 1024); /* a sixteenth */
	assert_int_equal(hear(63, 800), 1152);
	assert_int_equal(hear(0, 800), 1296);
}

static void test_it_shrinks_by_little(void **state)
{
	assert_int_equal(hear(900, 200), 896);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(hear(800, 200), 896);
	assert_int_equal(hear(800, 200), 784);
}

static void test_it_comes_down_to_what_is_needed(void **state)
{
	for (uint32_t i = 0; i < 300; i++)
		hear(600, 250);
	assert_in_range(guest.target, 300 * MIB, 308 * MIB);
}

/* What was given is no need of the guest's, though it is counted as committed. */
static void test_what_is_out_is_not_needed(void **state)
{
	guest.target = guest.assigned = 512 * MIB;
	guest.out = 512 * MIB;
	assert_int_equal(hear(300, 400), 480);
}

static void test_it_does_not_shrink_where_it_would_have_to_grow(void **state)
{
	assert_int_equal(hear(128, 200), 1024); /* an eighth */
	assert_int_equal(hear(160, 200), 992);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(hear(124, 200), 992);
}

static void test_small_changes_are_none(void **state)
{
	assert_int_equal(hear(500, 859), 1024);
	assert_int_equal(hear(500, 849), 1024);
}

static void test_it_stays_in_its_limits_whatever_is_reported(void **state)
{
	static const uint64_t words[] = { 0, 1, 1u << 20, 1ull << 40, UINT64_MAX };

	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 5; j++) {
			guest.available = words[i];
			guest.committed = words[j];
			now += 100 * SECOND_NS;
			guest.target = vmb_dev_balloon_policy_target(&policy, now, &guest);
			assert_in_range(guest.target, policy.min, policy.max);
		}
	for (uint32_t i = 0; i < 300; i++)
		hear(2000, 1);
	assert_int_equal(guest.target, policy.min);
	assert_int_equal(hear(2000, 1ull << 50), 4096);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_grows_at_once_to_what_is_needed_and_a_fifth_more),
		TEST(test_it_grows_when_little_is_left),
		TEST(test_it_shrinks_by_little),
		TEST(test_it_comes_down_to_what_is_needed),
		TEST(test_what_is_out_is_not_needed),
		TEST(test_it_does_not_shrink_where_it_would_have_to_grow),
		TEST(test_small_changes_are_none),
		TEST(test_it_stays_in_its_limits_whatever_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
