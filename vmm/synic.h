/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The synthetic interrupt controller's two pages: messages and event flags. KVM implements the
 * registers and the interrupts; this module writes the pages' contents, except timer messages.
 *
 * Context: struct vmb_vmm_synic belongs to one virtual processor. _exit and _post on that
 * processor's thread only, because KVM writes timer messages into the same slot in the processor's
 * context. _signal: any thread. Source: docs/protocol/bus.md, "3 SynIC messages and event flags",
 * "9 Host on KVM".
 */
#ifndef VMM_SYNIC_H
#define VMM_SYNIC_H

#include "vmm/kvm.h"

struct vmb_vmm_synic {
	const struct vmb_dev_memory *memory;
	int irq; /* eventfd: raises SINT 2 */
	uint64_t control, event_page, message_page; /* SCONTROL, SIEFP, SIMP; atomic */
};

/*
 * Connects the interrupt of virtual processor vp. ack: an eventfd that KVM writes when the guest
 * acknowledges it. Returns 0, or -errno: reported.
 */
int vmb_vmm_synic_create(struct vmb_vmm_synic *s, struct vmb_vmm_kvm *k,
			 const struct vmb_dev_memory *m, uint32_t vp, int ack);
/* Closes the eventfd. */
void vmb_vmm_synic_destroy(struct vmb_vmm_synic *s);

/* The guest wrote SCONTROL, SIEFP or SIMP. */
void vmb_vmm_synic_exit(struct vmb_vmm_synic *s, const struct kvm_hyperv_exit *exit);

/*
 * Writes a message of len bytes into the slot of sint. Returns 0; VMB_EAGAIN: the slot is occupied,
 * and its pending flag is set now; VMB_ENODEV: the guest takes no messages now.
 */
int vmb_vmm_synic_post(struct vmb_vmm_synic *s, uint32_t sint, const void *payload, uint32_t len);

/* Sets an event flag, and interrupts the guest if it was clear. */
void vmb_vmm_synic_signal(struct vmb_vmm_synic *s, uint32_t flag);

#endif
