/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The virtual machine as KVM sees it: one VM with an in-kernel interrupt controller, and how
 * interrupts and doorbells pass between it and this program.
 *
 *   vmb_vmm_kvm_open(&kvm)             opens /dev/kvm and checks that it has all that we need
 *   vmb_vmm_kvm_create(&kvm, &memory)  the VM
 *   (virtual processors with an active SynIC)
 *   vmb_vmm_kvm_route(&kvm, vp_count)  only now, or KVM does not report acknowledgements
 *   vmb_vmm_kvm_destroy(&kvm)
 *
 * Context: any thread after create. Errors: -errno, already reported in words.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>

#include "vmm/memory.h"

#define VMB_VMM_VP_MAX	     64u
#define VMB_VMM_IOAPIC_GPA   0xFEC00000u
#define VMB_VMM_IOAPIC_PINS  24u
#define VMB_VMM_GSI_SERIAL   4u
#define VMB_VMM_GSI_SINT(vp) (VMB_VMM_IOAPIC_PINS + (vp)) /* SINT 2 of virtual processor vp */

struct vmb_vmm_kvm {
	int dev;
	int vm;
	uint32_t slot_count; /* pieces of guest memory, with the one of devices */
	uint32_t run_len; /* bytes of a virtual processor's shared page */
	struct kvm_cpuid2 *cpuid; /* what KVM supports on this machine */
	struct kvm_cpuid2 *hv_cpuid; /* and of Hyper-V */
};

/*
 * Checks whether the /dev/kvm of this machine can run our guests. Returns 0, or -errno with the
 * reason in words in why (size bytes). Some KVMs cannot, for example those that work without the
 * processor's virtualization.
 */
int vmb_vmm_kvm_check(char *why, size_t size);

int vmb_vmm_kvm_open(struct vmb_vmm_kvm *k);
int vmb_vmm_kvm_create(struct vmb_vmm_kvm *k, const struct vmb_dev_memory *m);
int vmb_vmm_kvm_route(struct vmb_vmm_kvm *k, uint32_t vp_count);
/*
 * Maps len bytes of region's memory behind those that it has. Any thread, one at a time. Returns 0,
 * or -errno: reported.
 */
int vmb_vmm_kvm_grow(struct vmb_vmm_kvm *k, const struct vmb_dev_memory_region *region,
		     uint64_t len);
/*
 * Maps len bytes of this process at guest address gpa, memory of a device; base NULL: no longer.
 * There is one such piece at a time. Any thread, one at a time. Returns 0, or -errno: reported.
 */
int vmb_vmm_kvm_map(struct vmb_vmm_kvm *k, uint64_t gpa, void *base, uint64_t len);
void vmb_vmm_kvm_destroy(struct vmb_vmm_kvm *k); /* the VM; the device stays open */

/* Sets the level of the interrupt gsi. Any thread. */
void vmb_vmm_kvm_irq(struct vmb_vmm_kvm *k, uint32_t gsi, bool level);

/* Interrupts virtual processor vp with vector, as a message of a PCI function does. Any thread. */
void vmb_vmm_kvm_message(struct vmb_vmm_kvm *k, uint32_t vp, uint8_t vector);

/*
 * From now on a write to the eventfd fd raises gsi. ack: an eventfd that KVM writes when the guest
 * acknowledges, or -1. Returns 0, or -errno: reported.
 */
int vmb_vmm_kvm_irqfd(struct vmb_vmm_kvm *k, int fd, uint32_t gsi, int ack);

/*
 * From now on (on), or no longer, HvCallSignalEvent on connection_id writes the eventfd fd. Returns
 * 0, or -errno: reported.
 */
int vmb_vmm_kvm_doorbell(struct vmb_vmm_kvm *k, uint32_t connection_id, int fd, bool on);

/* Returns the machine's reference counter now, in units of 100 ns. Any thread. */
uint64_t vmb_vmm_kvm_reference(struct vmb_vmm_kvm *k);

#endif
