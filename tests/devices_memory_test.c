// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The VMM's one accessor for guest memory, and the mapping of lent pages side by side.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "devices/gpadl.h"
#include "vmm/memory.h"

#define MIB  (1ull << 20)
#define PAGE 4096ull

static void test_range_inside_ram_is_found(void **state)
{
	struct vmb_dev_memory m;
	const struct vmb_dev_memory_region *region;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	assert_ptr_equal(vmb_dev_memory_at(&m, 0, 64 * MIB), m.regions[0].base);
	assert_ptr_equal(vmb_dev_memory_at(&m, 64 * MIB - 1, 1), m.regions[0].base + 64 * MIB - 1);
	region = vmb_dev_memory_find(&m, 5 * PAGE, PAGE);
	assert_non_null(region);
	assert_int_equal(region->offset + 5 * PAGE - region->gpa, 5 * PAGE);
	vmb_vmm_memory_destroy(&m);
}

static void test_range_outside_ram_is_refused(void **state)
{
	static const struct {
		uint64_t gpa, len;
	} bad[] = {
		{ 64 * MIB, 1 },	  { 64 * MIB - 1, 2 },	  { 0, 64 * MIB + 1 },
		{ PAGE, UINT64_MAX },	  { UINT64_MAX, 1 },	  { UINT64_MAX - 4095, PAGE },
		{ VMB_VMM_HIGH_BASE, 1 }, { VMB_VMM_LOW_MAX, 1 },
	};
	uint8_t byte = 1;
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_null(vmb_dev_memory_at(&m, bad[i].gpa, bad[i].len));
		assert_false(vmb_dev_memory_write(&m, bad[i].gpa, &byte, bad[i].len));
		assert_false(vmb_dev_memory_read(&m, bad[i].gpa, &byte, bad[i].len));
	}
	vmb_vmm_memory_destroy(&m);
}

static void test_what_is_ram_or_may_become_it_is_not_for_devices(void **state)
{
	static const struct {
		uint64_t gpa, len;
		bool overlaps;
	} all[] = {
		{ 0, PAGE, true },
		{ 64 * MIB - PAGE, PAGE, true },
		{ 64 * MIB - PAGE, 2 * PAGE, true },
		{ 64 * MIB, 8 * MIB, false },
		{ VMB_VMM_HIGH_BASE - PAGE, PAGE, false },
		{ VMB_VMM_HIGH_BASE - PAGE, 2 * PAGE, true }, /* where memory may be added */
		{ VMB_VMM_HIGH_BASE + 192 * MIB - PAGE, 8 * MIB, true },
		{ VMB_VMM_HIGH_BASE + 192 * MIB, 8 * MIB, false },
		{ PAGE, 8192 * MIB, true },
	};
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 256 * MIB), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++)
		assert_int_equal(vmb_dev_memory_overlaps(&m, all[i].gpa, all[i].len),
				 all[i].overlaps);
	vmb_vmm_memory_destroy(&m);
}

/* Memory is not touched, so 4 GiB cost nothing. */
static void test_ram_above_3_gib_continues_at_4_gib(void **state)
{
	uint64_t len = 4096 * MIB, high = VMB_VMM_HIGH_BASE;
	struct vmb_host_ram ram[2];
	struct vmb_dev_memory m;
	uint32_t word = 0x12345678, back = 0;

	assert_int_equal(vmb_vmm_memory_create(&m, len, len), 0);
	assert_null(vmb_dev_memory_at(&m, VMB_VMM_LOW_MAX, 1));
	assert_null(vmb_dev_memory_at(&m, VMB_VMM_LOW_MAX - 1, 2));
	assert_null(vmb_dev_memory_at(&m, high - 1, 1));
	assert_null(vmb_dev_memory_at(&m, high, 1024 * MIB + 1));
	assert_non_null(vmb_dev_memory_at(&m, high, 1024 * MIB));
	assert_true(vmb_dev_memory_write(&m, high, &word, sizeof(word)));
	memcpy(&back, m.regions[0].base + VMB_VMM_LOW_MAX, sizeof(back));
	assert_int_equal(back, word);
	assert_int_equal(vmb_dev_memory_ram(&m, ram), 2);
	assert_int_equal(ram[0].pfn_count, VMB_VMM_LOW_MAX / PAGE);
	assert_int_equal(ram[1].first_pfn, high / PAGE);
	assert_int_equal(ram[1].pfn_count, 1024 * MIB / PAGE);
	vmb_vmm_memory_destroy(&m);
}

/*
 * Scattered, repeated and adjacent pages, and a run that crosses from low to high memory in the
 * file.
 */
static void test_lent_pages_lie_side_by_side(void **state)
{
	uint64_t low_last = VMB_VMM_LOW_MAX / PAGE - 1, high_first = VMB_VMM_HIGH_BASE / PAGE;
	const uint64_t pfns[] = { 7, 3, 4, 5, 3, low_last, high_first, 9 };
	uint32_t count = VMB_ARRAY_COUNT(pfns), word;
	struct vmb_dev_memory m;
	uint8_t *at;

	assert_int_equal(vmb_vmm_memory_create(&m, 4096 * MIB, 4096 * MIB), 0);
	for (uint32_t i = 0; i < count; i++) {
		word = pfns[i];
		assert_true(vmb_dev_memory_write(&m, pfns[i] * PAGE, &word, sizeof(word)));
	}
	at = vmb_dev_gpadl_map(&m, pfns, count);
	assert_non_null(at);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&word, at + i * PAGE, sizeof(word));
		assert_int_equal(word, (uint32_t)pfns[i]);
	}
	word = 0xABCD;
	memcpy(at + PAGE, &word, sizeof(word));
	assert_memory_equal(at + 4 * PAGE, &word, sizeof(word));
	assert_memory_equal(m.regions[0].base + 3 * PAGE, &word, sizeof(word));
	vmb_dev_gpadl_unmap(at, count);
	vmb_vmm_memory_destroy(&m);
}

static void test_pages_that_are_no_ram_are_not_mapped(void **state)
{
	const uint64_t bad[] = { 64 * MIB / PAGE, UINT64_MAX, 1ull << 52, UINT64_MAX >> 12 };
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		const uint64_t pfns[] = { 1, 2, bad[i] };

		assert_null(vmb_dev_gpadl_map(&m, pfns, 3));
		assert_null(vmb_dev_gpadl_map(&m, pfns + 2, 1));
	}
	vmb_vmm_memory_destroy(&m);
}

/* Whether the mapping that holds at has the flag, one of those that smaps shows. */
static bool has_flag(const void *at, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long first, end;
	bool here = false, found = false;
	char line[1024], word[8];

	assert_non_null(maps);
	snprintf(word, sizeof(word), " %s ", flag);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			here = (uintptr_t)at >= first && (uintptr_t)at < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, word);
	}
	fclose(maps);
	return found;
}

static void test_guest_memory_is_in_no_core_dump(void **state)
{
	static char own[PAGE];
	const uint64_t pfns[] = { 7, 3, 9, 10 };
	struct vmb_dev_memory m;
	uint8_t *at;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	at = vmb_dev_gpadl_map(&m, pfns, VMB_ARRAY_COUNT(pfns));
	assert_true(has_flag(m.regions[0].base, "dd"));
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(pfns); i++)
		assert_true(has_flag(at + i * PAGE, "dd"));
	assert_false(has_flag(own, "dd"));
	vmb_dev_gpadl_unmap(at, VMB_ARRAY_COUNT(pfns));
	vmb_vmm_memory_destroy(&m);
}

/* Others look while it grows: nobody finds what is not there, and what was there stays. */
static void *look_for_ever(void *arg)
{
	struct vmb_dev_memory *m = arg;
	uint64_t seen = 0;

	while (seen < 4) {
		while (seen < 4 && vmb_dev_memory_at(m, VMB_VMM_HIGH_BASE + seen * 128 * MIB, PAGE))
			seen++;
		if (!vmb_dev_memory_at(m, 63 * MIB, PAGE) ||
		    vmb_dev_memory_at(m, VMB_VMM_HIGH_BASE + 512 * MIB, 1))
			return NULL;
	}
	return m;
}

static void test_memory_grows_while_others_look(void **state)
{
	struct vmb_dev_memory m;
	struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX];
	pthread_t thread;
	void *result;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 576 * MIB), 0);
	assert_int_equal(m.region_count, 2);
	assert_int_equal(vmb_vmm_memory_high_len(&m), 0);
	assert_int_equal(vmb_dev_memory_end(&m), VMB_VMM_HIGH_BASE + 512 * MIB);
	assert_int_equal(pthread_create(&thread, NULL, look_for_ever, &m), 0);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(vmb_dev_memory_room(&m), (512 - i * 128) * MIB);
		vmb_dev_memory_grow(&m, 128 * MIB);
	}
	pthread_join(thread, &result);
	assert_ptr_equal(result, &m);
	assert_int_equal(vmb_dev_memory_ram(&m, ram), 2);
	assert_int_equal(ram[1].pfn_count, 512 * MIB / PAGE);
	vmb_vmm_memory_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_inside_ram_is_found),
		cmocka_unit_test(test_range_outside_ram_is_refused),
		cmocka_unit_test(test_what_is_ram_or_may_become_it_is_not_for_devices),
		cmocka_unit_test(test_memory_grows_while_others_look),
		cmocka_unit_test(test_ram_above_3_gib_continues_at_4_gib),
		cmocka_unit_test(test_lent_pages_lie_side_by_side),
		cmocka_unit_test(test_pages_that_are_no_ram_are_not_mapped),
		cmocka_unit_test(test_guest_memory_is_in_no_core_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
