// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests the UEFI variables: names, attributes, limits, and what a running system may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "devices/uefi/vars.h"

#define STAYS	  (VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME)
#define BOOT_ONLY (VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT)

static struct vmb_dev_uefi_vars vars;

static int set_up(void **state)
{
	memset(&vars, 0, sizeof(vars));
	vmb_dev_uefi_vars_restart(&vars);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_uefi_vars_clear(&vars);
	return 0;
}

/* name in ASCII; the bytes are in one of a few buffers. */
static struct vmb_dev_uefi_key key(const char *name)
{
	static uint8_t wide[4][64];
	static uint32_t turn;
	uint8_t *at = wide[turn++ % 4];
	uint32_t len = strlen(name);

	memset(at, 0, sizeof(wide[0]));
	for (uint32_t i = 0; i < len; i++)
		at[2 * i] = name[i];
	return (struct vmb_dev_uefi_key){ vmb_dev_uefi_global, at, 2 * (len + 1) };
}

static enum vmb_dev_uefi_status set(const char *name, uint32_t attributes, const char *data)
{
	struct vmb_dev_uefi_key k = key(name);

	return vmb_dev_uefi_vars_set(&vars, &k, attributes, (const uint8_t *)data, strlen(data));
}

static void assert_has(const char *name, uint32_t attributes, const char *data)
{
	struct vmb_dev_uefi_key k = key(name);
	uint32_t len = 64, found;
	uint8_t bytes[64];

	assert_int_equal(vmb_dev_uefi_vars_get(&vars, &k, &found, bytes, &len), 0);
	assert_int_equal(found, attributes);
	assert_int_equal(len, strlen(data));
	assert_memory_equal(bytes, data, len);
}

static enum vmb_dev_uefi_status look(const char *name)
{
	struct vmb_dev_uefi_key k = key(name);
	uint32_t len = 0, found;

	return vmb_dev_uefi_vars_get(&vars, &k, &found, NULL, &len);
}

static void test_written_variable_is_read(void **state)
{
	assert_int_equal(set("A", STAYS, "one"), 0);
	assert_true(vars.changed);
	assert_has("A", STAYS, "one");
	assert_int_equal(set("A", STAYS, "three"), 0);
	assert_has("A", STAYS, "three");
	assert_int_equal(look("B"), VMB_DEV_UEFI_NOT_FOUND);
}

static void test_small_buffer_learns_the_length(void **state)
{
	struct vmb_dev_uefi_key k = key("A");
	uint32_t len = 2, found;
	uint8_t bytes[2] = { 7, 7 };

	set("A", STAYS, "three");
	assert_int_equal(vmb_dev_uefi_vars_get(&vars, &k, &found, bytes, &len),
			 VMB_DEV_UEFI_TOO_SMALL);
	assert_int_equal(len, 5);
	assert_int_equal(bytes[0], 7);
}

static void test_appended_data_follows(void **state)
{
	set("A", STAYS, "one");
	assert_int_equal(set("A", STAYS | VMB_DEV_UEFI_APPEND, "two"), 0);
	assert_has("A", STAYS, "onetwo");
	assert_int_equal(set("B", STAYS | VMB_DEV_UEFI_APPEND, "two"), 0);
	assert_has("B", STAYS, "two");
	assert_int_equal(set("A", STAYS | VMB_DEV_UEFI_APPEND, ""), 0);
	assert_has("A", STAYS, "onetwo");
}

static void test_empty_data_or_no_attributes_delete(void **state)
{
	set("A", STAYS, "one");
	set("B", STAYS, "two");
	vars.changed = false;
	assert_int_equal(set("A", STAYS, ""), 0);
	assert_true(vars.changed);
	assert_int_equal(set("B", 0, "x"), 0);
	assert_int_equal(look("A"), VMB_DEV_UEFI_NOT_FOUND);
	assert_int_equal(look("B"), VMB_DEV_UEFI_NOT_FOUND);
	assert_int_equal(set("A", STAYS, ""), VMB_DEV_UEFI_NOT_FOUND);
}

static void test_other_attributes_are_refused(void **state)
{
	set("A", STAYS, "one");
	assert_int_equal(set("A", BOOT_ONLY, "two"), VMB_DEV_UEFI_INVALID);
	assert_has("A", STAYS, "one");
	assert_int_equal(set("B", VMB_DEV_UEFI_RUNTIME, "x"), VMB_DEV_UEFI_INVALID);
	assert_int_equal(set("B", STAYS | 0x80, "x"), VMB_DEV_UEFI_INVALID);
	assert_int_equal(set("B", STAYS | VMB_DEV_UEFI_HARDWARE, "x"), VMB_DEV_UEFI_UNSUPPORTED);
}

static void test_running_system_sees_only_its_variables(void **state)
{
	set("Boot", BOOT_ONLY, "x");
	set("Both", STAYS, "y");
	vmb_dev_uefi_vars_runtime(&vars);
	assert_int_equal(look("Boot"), VMB_DEV_UEFI_NOT_FOUND);
	assert_has("Both", STAYS, "y");
	assert_int_equal(set("New", BOOT_ONLY, "z"), VMB_DEV_UEFI_INVALID);
	assert_int_equal(set("Boot", STAYS, "z"), VMB_DEV_UEFI_PROTECTED);
	vmb_dev_uefi_vars_restart(&vars);
	assert_has("Boot", BOOT_ONLY, "x");
}

static void test_names_follow_each_other_to_the_end(void **state)
{
	struct vmb_dev_uefi_key k = { vmb_dev_uefi_global, (const uint8_t *)"\0", 2 };
	const struct vmb_dev_uefi_var *next;
	uint32_t count = 0;

	set("A", STAYS, "x");
	set("B", STAYS, "x");
	while (vmb_dev_uefi_vars_next(&vars, &k, &next) == 0) {
		k = (struct vmb_dev_uefi_key){ next->guid, next->name, next->name_len };
		count++;
	}
	assert_int_equal(count, vars.count);
	k = key("missing");
	assert_int_equal(vmb_dev_uefi_vars_next(&vars, &k, &next), VMB_DEV_UEFI_INVALID);
	assert_null(next);
}

static void test_volatile_variable_ends_with_the_machine(void **state)
{
	set("A", VMB_DEV_UEFI_BOOT, "x");
	vmb_dev_uefi_vars_restart(&vars);
	assert_int_equal(look("A"), VMB_DEV_UEFI_NOT_FOUND);
}

static void test_state_of_secure_boot_is_not_written(void **state)
{
	assert_has("SetupMode", VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME, "\1");
	assert_int_equal(set("SetupMode", VMB_DEV_UEFI_BOOT, "\2"), VMB_DEV_UEFI_PROTECTED);
	assert_int_equal(set("SecureBoot", 0, ""), VMB_DEV_UEFI_PROTECTED);
}

static void test_bad_names_are_refused(void **state)
{
	static const struct {
		const uint8_t *name;
		uint32_t len;
	} names[] = {
		{ (const uint8_t *)"\0\0", 2 }, /* empty */
		{ (const uint8_t *)"A\0B", 3 }, /* odd */
		{ (const uint8_t *)"A\0B\0", 4 }, /* without an end */
		{ (const uint8_t *)"A\0\0\0B\0\0\0", 8 }, /* an end in the middle */
		{ (const uint8_t *)"\0\xD8\0\0", 4 }, /* half a character */
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct vmb_dev_uefi_key k = { vmb_dev_uefi_global, names[i].name, names[i].len };

		assert_int_equal(vmb_dev_uefi_vars_set(&vars, &k, STAYS, (const uint8_t *)"x", 1),
				 VMB_DEV_UEFI_INVALID);
	}
}

static void test_storage_has_an_end(void **state)
{
	static uint8_t data[VMB_DEV_UEFI_DATA_MAX];
	enum vmb_dev_uefi_status status = 0;
	char name[8];

	for (uint32_t i = 0; i < 100 && !status; i++) {
		struct vmb_dev_uefi_key k;

		snprintf(name, sizeof(name), "V%u", i);
		k = key(name);
		status = vmb_dev_uefi_vars_set(&vars, &k, STAYS, data, sizeof(data));
	}
	assert_int_equal(status, VMB_DEV_UEFI_NO_ROOM);
	assert_true(vmb_dev_uefi_vars_used(&vars) <= VMB_DEV_UEFI_STORAGE_MAX);
	for (uint32_t i = 0; i < 2 * VMB_DEV_UEFI_VARS_MAX; i++) {
		snprintf(name, sizeof(name), "S%u", i);
		status = set(name, STAYS, "x");
	}
	assert_int_equal(status, VMB_DEV_UEFI_NO_ROOM);
	assert_int_equal(vars.count, VMB_DEV_UEFI_VARS_MAX);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_written_variable_is_read),
		CASE(test_small_buffer_learns_the_length),
		CASE(test_appended_data_follows),
		CASE(test_empty_data_or_no_attributes_delete),
		CASE(test_other_attributes_are_refused),
		CASE(test_running_system_sees_only_its_variables),
		CASE(test_names_follow_each_other_to_the_end),
		CASE(test_volatile_variable_ends_with_the_machine),
		CASE(test_state_of_secure_boot_is_not_written),
		CASE(test_bad_names_are_refused),
		CASE(test_storage_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
