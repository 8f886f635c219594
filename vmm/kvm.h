/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The virtual machine as KVM sees it: one VM with an in-kernel interrupt controller, and the ways in which
 * interrupts and doorbells cross the border.
 *
 *   vmb_vmm_kvm_open(&kvm)             /dev/kvm, everything that we need is there
 *   vmb_vmm_kvm_create(&kvm, &memory)  the VM
 *   (virtual processors with an active SynIC)
 *   vmb_vmm_kvm_route(&kvm, vp_count)  after them, or KVM does not tell us about acknowledgements
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
	uint32_t run_len; /* bytes of a virtual processor's shared page */
	struct kvm_cpuid2 *cpuid; /* what KVM supports on this machine */
	struct kvm_cpuid2 *hv_cpuid; /* and of Hyper-V */
};

/*
 * Whether the /dev/kvm of this machine can run our guests: 0, or -errno with the reason in words in why, of
 * size bytes. Some KVMs cannot, for example those that need no help of the processor.
 */
int vmb_vmm_kvm_check(char *why, size_t size);

int vmb_vmm_kvm_open(struct vmb_vmm_kvm *k);
int vmb_vmm_kvm_create(struct vmb_vmm_kvm *k, const struct vmb_dev_memory *m);
int vmb_vmm_kvm_route(struct vmb_vmm_kvm *k, uint32_t vp_count);
void vmb_vmm_kvm_destroy(struct vmb_vmm_kvm *k); /* the VM; the device stays open */

void vmb_vmm_kvm_irq(struct vmb_vmm_kvm *k, uint32_t gsi, bool level);

/* A write to fd raises gsi. ack: an eventfd that is written when the guest acknowledged, or -1. */
int vmb_vmm_kvm_irqfd(struct vmb_vmm_kvm *k, int fd, uint32_t gsi, int ack);

/* HvCallSignalEvent on connection_id writes fd. */
int vmb_vmm_kvm_doorbell(struct vmb_vmm_kvm *k, uint32_t connection_id, int fd, bool on);

#endif
