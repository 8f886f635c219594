// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a guest is told of Hyper-V's features, by generation. KVM is a list in this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/cpuid.h"

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[64];
};

static struct table cpuid, hv_cpuid, told;
static struct vmb_vmm_kvm kvm;

/* KVM_SET_CPUID2, and nothing else. */
int ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_cpuid2 *table;
	va_list args;

	va_start(args, request);
	table = va_arg(args, const struct kvm_cpuid2 *);
	va_end(args);
	assert_true(request == KVM_SET_CPUID2 && table->nent <= VMB_ARRAY_COUNT(told.entries));
	told.head = *table;
	memcpy(told.entries, table->entries, table->nent * sizeof(table->entries[0]));
	return 0;
}

static const struct kvm_cpuid_entry2 *features(const struct vmb_vmm_generation *generation)
{
	assert_int_equal(vmb_vmm_cpuid_set(&kvm, generation, 0, 0, 1), 0);
	for (uint32_t i = 0; i < told.head.nent; i++)
		if (told.entries[i].function == VMB_CPUID_FEATURES)
			return &told.entries[i];
	fail();
	return NULL;
}

/* A KVM that can do everything. */
static int set_up(void **state)
{
	cpuid.head.nent = 1;
	hv_cpuid.head.nent = 1;
	hv_cpuid.entries[0] = (struct kvm_cpuid_entry2){ .function = VMB_CPUID_FEATURES,
							 .eax = 0xFFFFFFFF,
							 .edx = 0xFFFFFFFF };
	kvm.cpuid = (void *)&cpuid;
	kvm.hv_cpuid = (void *)&hv_cpuid;
	return 0;
}

static void test_timers_interrupt_directly_from_2019_on(void **state)
{
	static const struct {
		const char *name;
		bool direct;
	} rows[] = {
		{ "2008", false }, { "2008r2", false }, { "2012", false }, { "2012r2", false },
		{ "2016", false }, { "2019", true },	{ "2022", true },  { "2025", true },
	};
	const struct kvm_cpuid_entry2 *entry;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		entry = features(vmb_vmm_generation_find(rows[i].name));
		assert_int_equal(!!(entry->edx & VMB_FEATURE_EDX_STIMER_DIRECT), rows[i].direct);
		assert_true(entry->eax & VMB_FEATURE_STIMER);
	}
	assert_true(features(vmb_vmm_generation_newest())->edx & VMB_FEATURE_EDX_STIMER_DIRECT);
}

static void test_timers_can_be_left_out(void **state)
{
	struct vmb_vmm_generation generation = *vmb_vmm_generation_newest();
	const struct kvm_cpuid_entry2 *entry;

	generation.no_timers = true;
	entry = features(&generation);
	assert_false(entry->edx & VMB_FEATURE_EDX_STIMER_DIRECT);
	assert_false(entry->eax & VMB_FEATURE_STIMER);
	assert_true(entry->eax & VMB_FEATURE_SYNIC);
	assert_true(entry->edx & VMB_FEATURE_EDX_CRASH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_timers_interrupt_directly_from_2019_on, set_up),
		cmocka_unit_test_setup(test_timers_can_be_left_out, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
