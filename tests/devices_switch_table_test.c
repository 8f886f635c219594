// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The switch's memory of addresses, judged by a model that is a plain list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/switch/table.h"

#define AGE VMB_DEV_SWITCH_AGE_MS
#define MAX VMB_DEV_SWITCH_ADDRESS_MAX

static struct vmb_dev_switch_table table;

static int set_up(void **state)
{
	vmb_dev_switch_table_init(&table, 0x123456789ABCDEF);
	return 0;
}

static const uint8_t *mac(uint32_t number)
{
	static uint8_t bytes[6];

	bytes[0] = 2;
	memcpy(bytes + 2, &number, 4);
	return bytes;
}

static void test_unknown_address_is_nowhere(void **state)
{
	static const uint8_t zero[6];

	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 0), -1);
	vmb_dev_switch_table_learn(&table, zero, 1, 0);
	assert_int_equal(vmb_dev_switch_table_find(&table, zero, 0), -1);
}

static void test_address_moves_with_its_last_frame(void **state)
{
	vmb_dev_switch_table_learn(&table, mac(1), 3, 10);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 10), 3);
	vmb_dev_switch_table_learn(&table, mac(1), 255, 11);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 11), 255);
	vmb_dev_switch_table_forget(&table, 3);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 11), 255);
	vmb_dev_switch_table_forget(&table, 255);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 11), -1);
}

static void test_silent_address_is_forgotten(void **state)
{
	vmb_dev_switch_table_learn(&table, mac(1), 0, 0);
	vmb_dev_switch_table_learn(&table, mac(2), 0, 0);
	vmb_dev_switch_table_learn(&table, mac(2), 0, 1000);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), AGE), 0);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), AGE + 1), -1);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(2), AGE + 1), 0);
}

static void test_port_that_makes_addresses_up_loses_only_its_own(void **state)
{
	vmb_dev_switch_table_learn(&table, mac(1), 0, 0);
	for (uint32_t i = 0; i < 100000; i++)
		vmb_dev_switch_table_learn(&table, mac(1000 + i), 1, i);
	assert_int_equal(vmb_dev_switch_table_find(&table, mac(1), 1), 0);
	for (uint32_t i = 0; i < 100000; i += i < 99900 ? 100 : 1)
		assert_int_equal(vmb_dev_switch_table_find(&table, mac(1000 + i), 100000),
				 i >= 100000 - MAX ? 1 : -1);
}

/* Random steps; the model holds for each address its port and when it was seen. */
static void test_random_steps_agree_with_a_model(void **state)
{
	static struct {
		int port;
		int64_t seen;
	} model[128];
	uint32_t seed = 7, n, counts[4] = { 0 };

	for (n = 0; n < 128; n++)
		model[n].port = -1;
	for (int64_t now = 0; now < 300000; now++) {
		seed = seed * 1664525 + 1013904223;
		n = (seed >> 16) % 128;
		uint32_t port = (seed >> 24) % 4;

		if ((seed >> 8) % 512 == 0) {
			vmb_dev_switch_table_forget(&table, port);
			for (uint32_t i = 0; i < 128; i++)
				if (model[i].port == (int)port)
					model[i].port = -1;
			counts[port] = 0;
		} else if (model[n].port == (int)port || counts[port] < MAX) {
			vmb_dev_switch_table_learn(&table, mac(n), port, now);
			if (model[n].port != (int)port) {
				counts[port]++;
				if (model[n].port >= 0)
					counts[model[n].port]--;
			}
			model[n].port = port;
			model[n].seen = now;
		}
		n = (seed >> 4) % 128;
		assert_int_equal(vmb_dev_switch_table_find(&table, mac(n), now),
				 now - model[n].seen > AGE ? -1 : model[n].port);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_address_is_nowhere),
		TEST(test_address_moves_with_its_last_frame),
		TEST(test_silent_address_is_forgotten),
		TEST(test_port_that_makes_addresses_up_loses_only_its_own),
		TEST(test_random_steps_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
