// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests --memory: what the guest starts with, and its limits. What is refused is in cli_test.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/options.h"

#define GIB (1ull << 30)

static void expect(const char *text, uint64_t len, uint64_t min, uint64_t max)
{
	char value[64], *argv[] = { "run", "--kernel", "k", "--memory", value };
	struct vmb_vmm_options options;

	strcpy(value, text);
	assert_int_equal(vmb_vmm_options_parse(&options, 5, argv), 0);
	assert_int_equal(options.memory_len, len);
	assert_int_equal(options.memory_min, min);
	assert_int_equal(options.memory_max, max);
}

static void test_a_size_alone_stays_what_it_is(void **state)
{
	expect("1G", GIB, 0, GIB);
	expect("100M", 100ull << 20, 0, 100ull << 20);
}

static void test_limits_come_in_any_order(void **state)
{
	expect("1G,max=4G", GIB, 0, 4 * GIB);
	expect("1G,min=256M", GIB, GIB / 4, GIB);
	expect("1G,min=256M,max=4G", GIB, GIB / 4, 4 * GIB);
	expect("1G,max=4G,min=256M", GIB, GIB / 4, 4 * GIB);
	expect("1G,min=1G,max=1G", GIB, GIB, GIB);
	expect("100M,min=32M", 100ull << 20, 32ull << 20, 100ull << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_size_alone_stays_what_it_is),
		cmocka_unit_test(test_limits_come_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
