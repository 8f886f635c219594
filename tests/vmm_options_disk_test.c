// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which controllers --disk makes, and what their disks are called; tests/cli_test.sh has what is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "devices/storage.h"
#include "devices/uefi/uuid.h"
#include "vmm/devices.h"
#include "vmm/options.h"

#define AZURE_A "f8b3781a-1e82-4818-a1c3-63d806ec15bb"
#define AZURE_B "f8b3781b-1e82-4818-a1c3-63d806ec15bb"

static struct vmb_vmm_options options;
static struct vmb_vmm_devices devices;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
}

static void open_machine(const char *a, const char *b, const char *c)
{
	static char texts[3][256];
	const char *const values[] = { a, b, c };
	char *argv[10] = { "run", "--kernel", "k" };
	int argc = 3;

	for (int i = 0; i < 3 && values[i]; i++) {
		strcpy(texts[i], values[i]);
		argv[argc++] = "--disk";
		argv[argc++] = texts[i];
	}
	memset(&devices, 0, sizeof(devices));
	assert_int_equal(vmb_vmm_options_parse(&options, argc, argv), 0);
	assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_prepare_disks(&devices), 0);
}

static const struct vmb_dev_storage *controller(uint32_t i)
{
	assert_true(i < devices.count);
	return devices.all[i].state;
}

static void assert_id(uint32_t i, const char *expected)
{
	char text[VMB_DEV_UEFI_UUID_TEXT_LEN];

	vmb_dev_uefi_uuid_print(controller(i)->instance_id.bytes, text);
	assert_string_equal(text, expected);
}

static const char *name(uint32_t i)
{
	return devices.all[i].ops->name(devices.all[i].state);
}

static void test_one_controller_unless_asked_for(void **state)
{
	open_machine("ram:1M", "ram:1M,lun=7", NULL);
	assert_int_equal(devices.count, 1);
	assert_string_equal(name(0), "scsi");
	assert_string_equal(controller(0)->units[7].serial, "openvmbus-07");
	vmb_vmm_devices_close(&devices);
}

static void test_disks_of_one_id_share_a_controller(void **state)
{
	open_machine("ram:1M,controller=" AZURE_A, "ram:2M,controller=" AZURE_B,
		     "ram:4M,controller=F8B3781A-1E82-4818-A1C3-63D806EC15BB");
	assert_int_equal(devices.count, 3); /* the first one is there without disks too */
	assert_id(1, AZURE_A);
	assert_id(2, AZURE_B);
	assert_string_equal(name(1), "scsi-" AZURE_A);
	assert_string_equal(name(2), "scsi-" AZURE_B);
	assert_null(controller(0)->disks[0].ops);
	assert_int_equal(controller(1)->disks[0].len, 1 << 20);
	assert_int_equal(controller(1)->disks[1].len, 4 << 20);
	assert_int_equal(controller(2)->disks[0].len, 2 << 20);
	assert_null(controller(2)->disks[1].ops);
	vmb_vmm_devices_close(&devices);
}

static void test_discarding_may_be_withheld(void **state)
{
	open_machine("ram:1M", "ram:1M,discard=off", "ram:1M,discard=auto");
	assert_int_equal(vmb_vmm_devices_prepare_disks(&devices), 0);
	assert_true(controller(0)->units[0].can_unmap);
	assert_false(controller(0)->units[1].can_unmap);
	assert_false(controller(0)->units[1].zero_after_unmap);
	assert_true(controller(0)->units[2].can_unmap);
	vmb_vmm_devices_close(&devices);
}

/* Multipath would make one disk of two that have one id. */
static void test_units_of_all_controllers_differ(void **state)
{
	const struct vmb_host_scsi_lun *a, *b;

	open_machine("ram:1M", "ram:1M,controller=f8b3781a-1e82-4818-a1c3-63d806ec15ba,lun=1",
		     "ram:1M,controller=" AZURE_A);
	a = &controller(1)->units[1];
	b = &controller(2)->units[0];
	assert_memory_not_equal(a->guid, b->guid, sizeof(a->guid));
	assert_string_not_equal(a->serial, b->serial);
	assert_string_not_equal(controller(0)->units[0].serial, b->serial);
	vmb_vmm_devices_close(&devices);
}

static void test_the_own_id_is_the_first_controller(void **state)
{
	char own[VMB_DEV_UEFI_UUID_TEXT_LEN], value[64];

	vmb_dev_uefi_uuid_print(vmb_dev_storage_scsi_id.bytes, own);
	snprintf(value, sizeof(value), "ram:1M,controller=%s", own);
	open_machine("ram:1M", value, NULL);
	assert_int_equal(devices.count, 1);
	assert_non_null(controller(0)->disks[1].ops);
	vmb_vmm_devices_close(&devices);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_controller_unless_asked_for),
		cmocka_unit_test(test_disks_of_one_id_share_a_controller),
		cmocka_unit_test(test_discarding_may_be_withheld),
		cmocka_unit_test(test_units_of_all_controllers_differ),
		cmocka_unit_test(test_the_own_id_is_the_first_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
