// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests what --watchdog means for a machine that firmware starts: from the option to the device that
 * the firmware sets, and from its last second to the machine's reset; and that a guest which does
 * not use the bus is told of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/bus.h"
#include "devices/uefi/image.h"
#include "vmm/boot_uefi.h"
#include "vmm/machine.h"
#include "vmm/options.h"

#define WATCHDOG_CONFIG 0x27u
#define WATCHDOG_COUNT	0x29u
#define RUNS		(VMB_DEV_UEFI_WATCHDOG_CONFIGURED | VMB_DEV_UEFI_WATCHDOG_ENABLED)

static struct vmb_vmm_options options;
static struct vmb_vmm_boot_uefi uefi;
static struct vmb_vmm_machine machine;
static struct vmb_dev_bus bus;
static char image_path[] = "/tmp/vmm_watch_test.XXXXXX";

static void put(int fd, size_t at, const void *bytes, size_t len)
{
	assert_int_equal(pwrite(fd, bytes, len, (off_t)(VMB_DEV_UEFI_SEC_AT + at)), len);
}

/* As short as devices/uefi/image.h allows: a volume, a file, a section, a program. */
static int make_image(void **state)
{
	int fd = mkstemp(image_path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, VMB_DEV_UEFI_IMAGE_LEN), 0);
	put(fd, 40, "_FVH", 4);
	put(fd, 48, "\x48", 1);
	put(fd, 0x48 + 18, "\x03\0\xF0", 3);
	put(fd, 0x60, "\x90\0\0\x10MZ", 6);
	put(fd, 0x64 + 0x3C, "\x40", 1);
	put(fd, 0x64 + 0x40, "PE", 2);
	put(fd, 0x64 + 0x40 + 40, "\x80", 1);
	return close(fd);
}

static int remove_image(void **state)
{
	return unlink(image_path);
}

/* A machine without processors, whose firmware was told of a watchdog of so many seconds. */
static void start(uint32_t watchdog_s)
{
	memset(&machine, 0, sizeof(machine));
	memset(&uefi, 0, sizeof(uefi));
	memset(&bus, 0, sizeof(bus));
	options = (struct vmb_vmm_options){ .firmware = image_path, .watchdog_s = watchdog_s };
	assert_int_equal(vmb_vmm_boot_uefi_open(&uefi, &options), 0);
	pthread_mutex_init(&bus.lock, NULL);
	vmb_vmm_pause_init(&machine.pause);
	machine.options = &options;
	machine.vmbus = &bus;
	machine.uefi = &uefi.device;
	machine.wake = eventfd(0, 0);
	vmb_dev_uefi_restart(machine.uefi, &machine.dev.memory);
	vmb_vmm_watch_start(&machine);
}

static void stop(void)
{
	vmb_vmm_boot_uefi_close(&uefi);
	vmb_vmm_pause_destroy(&machine.pause);
	pthread_mutex_destroy(&bus.lock);
	close(machine.wake);
}

/* What the firmware does. */
static void set_watchdog(uint32_t seconds)
{
	vmb_dev_uefi_write(machine.uefi, false, WATCHDOG_COUNT);
	vmb_dev_uefi_write(machine.uefi, true, seconds);
	vmb_dev_uefi_write(machine.uefi, false, WATCHDOG_CONFIG);
	vmb_dev_uefi_write(machine.uefi, true, RUNS);
}

static void let_seconds_pass(uint32_t seconds)
{
	while (seconds--) {
		machine.watch.next = 0;
		vmb_vmm_watch_look(&machine);
	}
}

static void test_firmware_that_hangs_is_reset(void **state)
{
	start(30);
	set_watchdog(5);
	let_seconds_pass(4);
	assert_int_equal(machine.outcome, VMB_VMM_RUNNING);
	let_seconds_pass(1);
	assert_int_equal(machine.outcome, VMB_VMM_RESET);
	stop();
}

static void test_pause_does_not_count(void **state)
{
	start(30);
	set_watchdog(2);
	vmb_vmm_pause_set(&machine, VMB_VMM_PAUSE_COMMAND, true);
	let_seconds_pass(10);
	vmb_vmm_pause_set(&machine, VMB_VMM_PAUSE_COMMAND, false);
	let_seconds_pass(1);
	assert_int_equal(machine.outcome, VMB_VMM_RUNNING);
	let_seconds_pass(1);
	assert_int_equal(machine.outcome, VMB_VMM_RESET);
	stop();
}

static void test_without_the_option_there_is_no_watchdog(void **state)
{
	start(0);
	set_watchdog(5);
	let_seconds_pass(10);
	assert_int_equal(machine.outcome, VMB_VMM_RUNNING);
	stop();
}

static bool is_told_after(uint32_t seconds)
{
	machine.watch.away_since -= seconds * 1000ll;
	let_seconds_pass(1);
	return machine.watch.said;
}

static void test_a_guest_without_the_bus_is_told_of(void **state)
{
	start(0);
	options.contact_s = 120;
	assert_false(is_told_after(100));
	assert_true(is_told_after(20));
	bus.server.state = VMB_HOST_CONNECTED;
	assert_false(is_told_after(1000));
	bus.server.state = VMB_HOST_DISCONNECTED;
	assert_false(is_told_after(100));
	assert_true(is_told_after(20));
	options.contact_s = 0; /* never */
	machine.watch.said = false;
	assert_false(is_told_after(1000));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firmware_that_hangs_is_reset),
		cmocka_unit_test(test_pause_does_not_count),
		cmocka_unit_test(test_a_guest_without_the_bus_is_told_of),
		cmocka_unit_test(test_without_the_option_there_is_no_watchdog),
	};

	return cmocka_run_group_tests(tests, make_image, remove_image);
}
