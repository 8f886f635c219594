// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests the power management block of a machine that firmware starts, as a guest reaches it: through
 * ports, bytes and words. What ends a machine is seen in cells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/uefi/device.h"
#include "vmm/machine.h"
#include "vmm/pio.h"

static struct vmb_dev_uefi uefi;
static struct vmb_vmm_machine machine;

static int set_up(void **state)
{
	memset(&machine, 0, sizeof(machine));
	machine.uefi = &uefi;
	return 0;
}

static uint16_t read_word(uint16_t port)
{
	uint16_t value = 0;

	vmb_vmm_pio_access(&machine, port, (uint8_t *)&value, sizeof(value), false);
	return value;
}

static void write_word(uint16_t port, uint16_t value)
{
	vmb_vmm_pio_access(&machine, port, (uint8_t *)&value, sizeof(value), true);
}

static void test_what_is_enabled_is_read_again(void **state)
{
	write_word(0x402, 0x0120); /* global lock and power button, as Linux does */
	write_word(0x40E, 0x8001);
	assert_int_equal(read_word(0x402), 0x0120);
	assert_int_equal(read_word(0x40E), 0x8001);
	write_word(0x402, 0);
	assert_int_equal(read_word(0x402), 0);
	assert_int_equal(read_word(0x40E), 0x8001);
}

static void test_no_event_happens(void **state)
{
	write_word(0x400, 0xFFFF);
	write_word(0x40C, 0xFFFF);
	write_word(0x402, 0xFFFF);
	write_word(0x40E, 0xFFFF);
	assert_int_equal(read_word(0x400), 0);
	assert_int_equal(read_word(0x40C), 0);
	assert_int_equal(read_word(0x404), 1);
	assert_int_equal(machine.outcome, VMB_VMM_RUNNING);
}

static void test_without_firmware_there_is_no_such_block(void **state)
{
	machine.uefi = NULL;
	write_word(0x402, 0x0120);
	assert_int_equal(read_word(0x402), 0xFFFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_enabled_is_read_again, set_up),
		cmocka_unit_test_setup(test_no_event_happens, set_up),
		cmocka_unit_test_setup(test_without_firmware_there_is_no_such_block, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
