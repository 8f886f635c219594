// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests how our firmware reads the configuration blob: one that our host wrote, and ones whose
 * lengths lie. The firmware has it at a fixed address, so these tests have it there, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "devices/uefi/blob.h"
#include "ports/uefi/lib/blob.c"

static UINT32 *const blob = (UINT32 *)(uintptr_t)VMB_UEFI_BLOB_GPA;

static int set_up(void **state)
{
	memset(blob, 0, VMB_UEFI_BLOB_MAX);
	return 0;
}

/* Record 0, which says how many there are and how long all of them are. */
static void begin(UINT32 count, UINT32 len)
{
	blob[0] = BLOB_COUNT;
	blob[1] = 16;
	blob[2] = count;
	blob[3] = len;
}

static void put(UINT32 at, UINT32 type, UINT32 len)
{
	blob[at / 4] = type;
	blob[at / 4 + 1] = len;
}

static const struct vmb_uefi_record *at(UINT32 offset)
{
	return (const void *)((uint8_t *)blob + offset);
}

static void test_map_of_our_host_is_found(void **state)
{
	const struct vmb_dev_uefi_machine machine = { .low_len = 1u << 30,
						      .mmio_low_gpa = 0xF8000000u,
						      .mmio_low_len = 0x1000,
						      .vp_count = 1,
						      .madt = "",
						      .srat = "" };
	const struct vmb_uefi_record *map, *windows;
	uint64_t value;

	assert_true(vmb_dev_uefi_blob(&machine, (uint8_t *)blob, VMB_UEFI_BLOB_MAX));
	map = vmb_uefi_blob_next(VMB_UEFI_BLOB_MEMORY_MAP, NULL);
	assert_non_null(map);
	memcpy(&value, (const uint8_t *)map + 16, sizeof(value));
	assert_int_equal(value, 1u << 30);
	windows = vmb_uefi_blob_next(VMB_UEFI_BLOB_WINDOWS, NULL);
	assert_non_null(windows);
	memcpy(&value, windows + 1, sizeof(value));
	assert_int_equal(value, 0xF8000); /* in pages */
}

static void test_records_of_a_type_come_one_after_the_other(void **state)
{
	begin(4, 64);
	put(16, VMB_UEFI_BLOB_ACPI_TABLE, 16);
	put(32, 1, 16);
	put(48, VMB_UEFI_BLOB_ACPI_TABLE, 16);
	assert_ptr_equal(vmb_uefi_blob_next(VMB_UEFI_BLOB_ACPI_TABLE, NULL), at(16));
	assert_ptr_equal(vmb_uefi_blob_next(VMB_UEFI_BLOB_ACPI_TABLE, at(16)), at(48));
	assert_null(vmb_uefi_blob_next(VMB_UEFI_BLOB_ACPI_TABLE, at(48)));
}

static void test_records_behind_the_count_are_none(void **state)
{
	begin(2, 48);
	put(16, 1, 16);
	put(32, 2, 16);
	assert_non_null(vmb_uefi_blob_next(1, NULL));
	assert_null(vmb_uefi_blob_next(2, NULL));
}

static void test_what_is_no_blob_has_no_records(void **state)
{
	begin(2, 32);
	put(16, 1, 16);
	blob[0] = 1;
	assert_null(vmb_uefi_blob_next(1, NULL));
	begin(2, VMB_UEFI_BLOB_MAX + 1);
	assert_null(vmb_uefi_blob_next(1, NULL));
}

/* Each ends the search: what is behind cannot be found. */
static void test_lengths_that_lie_end_the_search(void **state)
{
	static const UINT32 lens[] = { 0, 7, 17, 33, 0xFFFFFFFF };

	for (uint32_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		begin(0xFFFFFFFF, 32);
		put(16, 1, lens[i]);
		assert_null(vmb_uefi_blob_next(1, NULL));
		assert_null(vmb_uefi_blob_next(2, NULL));
	}
}

/* The search does not look behind the end, where nothing may be. */
static void test_a_record_that_would_begin_at_the_end_is_none(void **state)
{
	begin(0xFFFFFFFF, VMB_UEFI_BLOB_MAX);
	put(16, 1, VMB_UEFI_BLOB_MAX - 16 - 4);
	blob[VMB_UEFI_BLOB_MAX / 4 - 1] = 2; /* its length would be behind the end */
	assert_null(vmb_uefi_blob_next(2, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_map_of_our_host_is_found, set_up),
		cmocka_unit_test_setup(test_records_of_a_type_come_one_after_the_other, set_up),
		cmocka_unit_test_setup(test_records_behind_the_count_are_none, set_up),
		cmocka_unit_test_setup(test_what_is_no_blob_has_no_records, set_up),
		cmocka_unit_test_setup(test_lengths_that_lie_end_the_search, set_up),
		cmocka_unit_test_setup(test_a_record_that_would_begin_at_the_end_is_none, set_up),
	};

	if (mmap(blob, VMB_UEFI_BLOB_MAX, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != blob)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
