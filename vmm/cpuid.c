// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Builds the CPUID table of each virtual processor from what KVM supports, with Hyper-V's leaves
 * and our topology.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "devices/report.h"
#include "vmm/cpuid.h"

#define HYPERVISOR_FIRST   0x40000000u
#define HYPERVISOR_LAST	   0x400000FFu
#define HYPERV_LEAVES	   (VMB_CPUID_HARDWARE - VMB_CPUID_VENDOR + 1)
#define TOPOLOGY_LEVELS	   3u /* thread, core, end */

#define LEAF1_ECX_VMX	   (1u << 5)
#define LEAF1_ECX_DEADLINE (1u << 24)
#define LEAF1_ECX_GUEST	   (1u << 31)
#define LEAF1_EDX_HTT	   (1u << 28)
#define LEAF6_EAX_ARAT	   (1u << 2)
#define AMD1_ECX_SVM	   (1u << 2)

#define BUILD_2019	   17763u
#define ADDRESS_BITS_MIN   36u

#define WANTED_EAX                                                                              \
	(VMB_FEATURE_VP_RUNTIME | VMB_FEATURE_TIME_REF_COUNT | VMB_FEATURE_SYNIC |              \
	 VMB_FEATURE_STIMER | VMB_FEATURE_APIC | VMB_FEATURE_HYPERCALL | VMB_FEATURE_VP_INDEX | \
	 VMB_FEATURE_RESET | VMB_FEATURE_REFERENCE_TSC | VMB_FEATURE_FREQUENCY)
#define WANTED_EBX (VMB_FEATURE_EBX_POST_MESSAGES | VMB_FEATURE_EBX_SIGNAL_EVENTS)
#define WANTED_EDX \
	(VMB_FEATURE_EDX_FREQUENCY_QUERY | VMB_FEATURE_EDX_CRASH | VMB_FEATURE_EDX_STIMER_DIRECT)

static uint32_t bits_for(uint32_t count)
{
	uint32_t bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

/*
 * No TSC deadline, as on Hyper-V: its timers are the synthetic ones, and the APIC's that counts
 * down.
 */
static void fix_basic(struct kvm_cpuid_entry2 *e, uint32_t index, uint32_t count)
{
	e->ebx = (e->ebx & 0xFFFF) | (1u << bits_for(count)) << 16 | index << 24;
	e->ecx = (e->ecx & ~(LEAF1_ECX_VMX | LEAF1_ECX_DEADLINE)) | LEAF1_ECX_GUEST;
	e->edx = (e->edx & ~LEAF1_EDX_HTT) | (count > 1 ? LEAF1_EDX_HTT : 0);
}

/*
 * Caches: each core has its own, but for the last level. Intel also tells the cores of the package.
 */
static void fix_cache(struct kvm_cpuid_entry2 *e, uint32_t count, bool intel)
{
	uint32_t level = e->eax >> 5 & 7, ids = (1u << bits_for(count)) - 1;

	if (!(e->eax & 0x1F))
		return;
	e->eax = (e->eax & 0x3FFF) | (level >= 3 ? ids : 0) << 14 | (intel ? ids << 26 : 0);
}

static void fix_topology(struct kvm_cpuid_entry2 *e, uint32_t index, uint32_t count)
{
	const struct {
		uint32_t shift, processors, type;
	} levels[TOPOLOGY_LEVELS] = { { 0, 1, 1 }, { bits_for(count), count, 2 }, { 0, 0, 0 } };

	e->eax = levels[e->index].shift;
	e->ebx = levels[e->index].processors;
	e->ecx = e->index | levels[e->index].type << 8;
	e->edx = index;
}

static void fix(struct kvm_cpuid_entry2 *e, uint32_t index, uint32_t count)
{
	switch (e->function) {
	case 0x1: fix_basic(e, index, count); break;
	case 0x4: fix_cache(e, count, true); break;
	case 0x6: e->eax |= LEAF6_EAX_ARAT; break;
	case 0xB:
	case 0x1F: fix_topology(e, index, count); break;
	case 0x80000001: e->ecx &= ~AMD1_ECX_SVM; break;
	case 0x80000008: e->ecx = (count - 1) | bits_for(count) << 12; break;
	case 0x8000001D: fix_cache(e, count, false); break;
	case 0x8000001E:
		e->eax = index;
		e->ebx = index & 0xFF;
		e->ecx = 0;
		break;
	default: break;
	}
}

static uint32_t supported(const struct vmb_vmm_kvm *k, uint32_t leaf, uint32_t *edx)
{
	for (uint32_t i = 0; i < k->hv_cpuid->nent; i++) {
		if (k->hv_cpuid->entries[i].function != leaf)
			continue;
		*edx = k->hv_cpuid->entries[i].edx;
		return k->hv_cpuid->entries[i].eax;
	}
	*edx = 0;
	return 0;
}

/* Windows Server 2019 is the first whose timers may interrupt directly, instead of by a message. */
static uint32_t missing_edx(const struct vmb_vmm_generation *generation)
{
	return generation->no_timers || generation->build < BUILD_2019 ?
		       VMB_FEATURE_EDX_STIMER_DIRECT :
		       0;
}

/*
 * docs/protocol/bus.md, "1.1 CPUID", the minimum for a host. Except for direct timers the features
 * are the same in each generation: today's guests need them to boot, and that document does not say
 * which of them an old host lacks.
 */
static void add_hyperv(const struct vmb_vmm_kvm *k, const struct vmb_vmm_generation *generation,
		       struct kvm_cpuid2 *table)
{
	const struct kvm_cpuid_entry2 leaves[HYPERV_LEAVES] = {
		{ .function = VMB_CPUID_VENDOR,
		  .eax = VMB_CPUID_HARDWARE,
		  .ebx = VMB_CPUID_VENDOR_EBX,
		  .ecx = VMB_CPUID_VENDOR_ECX,
		  .edx = VMB_CPUID_VENDOR_EDX },
		{ .function = VMB_CPUID_INTERFACE, .eax = VMB_CPUID_INTERFACE_EAX },
		{ .function = VMB_CPUID_VERSION,
		  .eax = generation->build,
		  .ebx = generation->release },
		{ .function = VMB_CPUID_FEATURES,
		  .eax = WANTED_EAX,
		  .ebx = generation->unannounced ? 0 : WANTED_EBX,
		  .edx = WANTED_EDX },
		{ .function = VMB_CPUID_RECOMMENDATIONS,
		  .eax = VMB_RECOMMEND_RELAXED_TIMING | VMB_RECOMMEND_NO_AUTO_EOI,
		  .ebx = 0xFFFFFFFF },
		{ .function = VMB_CPUID_LIMITS, .eax = VMB_VMM_VP_MAX, .ebx = VMB_VMM_VP_MAX },
		{ .function = VMB_CPUID_HARDWARE },
	};
	uint32_t eax, edx;

	memcpy(&table->entries[table->nent], leaves, sizeof(leaves));
	eax = supported(k, VMB_CPUID_FEATURES, &edx);
	table->entries[table->nent + 3].eax &= eax;
	table->entries[table->nent + 3].eax &= ~(generation->no_timers ? VMB_FEATURE_STIMER : 0);
	table->entries[table->nent + 3].edx &= edx & ~missing_edx(generation);
	table->nent += HYPERV_LEAVES;
}

static bool is_topology(const struct kvm_cpuid_entry2 *e)
{
	return e->function == 0xB || e->function == 0x1F;
}

/* The machine's own topology is replaced by ours, level by level. */
static void add_topology(struct kvm_cpuid2 *table, uint32_t leaf)
{
	for (uint32_t level = 0; level < TOPOLOGY_LEVELS; level++)
		table->entries[table->nent++] = (struct kvm_cpuid_entry2){
			.function = leaf,
			.index = level,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
}

static void fill(const struct vmb_vmm_kvm *k, const struct vmb_vmm_generation *generation,
		 struct kvm_cpuid2 *table, uint32_t index, uint32_t count)
{
	uint32_t max = 0;

	for (uint32_t i = 0; i < k->cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &k->cpuid->entries[i];

		if (e->function == 0)
			max = e->eax;
		if (is_topology(e) ||
		    (e->function >= HYPERVISOR_FIRST && e->function <= HYPERVISOR_LAST))
			continue;
		table->entries[table->nent++] = *e;
	}
	if (max >= 0xB)
		add_topology(table, 0xB);
	if (max >= 0x1F)
		add_topology(table, 0x1F);
	for (uint32_t i = 0; i < table->nent; i++)
		fix(&table->entries[i], index, count);
	add_hyperv(k, generation, table);
}

int vmb_vmm_cpuid_set(const struct vmb_vmm_kvm *k, const struct vmb_vmm_generation *generation,
		      int vcpu, uint32_t index, uint32_t count)
{
	size_t room = k->cpuid->nent + 2 * TOPOLOGY_LEVELS + HYPERV_LEAVES;
	struct kvm_cpuid2 *table = calloc(1, sizeof(*table) + room * sizeof(table->entries[0]));
	int error = 0;

	if (!table)
		return -ENOMEM;
	fill(k, generation, table, index, count);
	if (ioctl(vcpu, KVM_SET_CPUID2, table)) {
		error = -errno;
		vmb_dev_report("KVM: CPUID: %s", strerror(errno));
	}
	free(table);
	return error;
}

uint32_t vmb_vmm_cpuid_address_bits(const struct vmb_vmm_kvm *k)
{
	for (uint32_t i = 0; i < k->cpuid->nent; i++)
		if (k->cpuid->entries[i].function == 0x80000008)
			return k->cpuid->entries[i].eax & 0xFF;
	return ADDRESS_BITS_MIN;
}
