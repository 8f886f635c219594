/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypercalls that KVM passes to user space: HvCallPostMessage, and HvCallSignalEvent for
 * connections that have no doorbell. Source: docs/protocol/bus.md, "2 Hypercalls", "9.3 Exits to
 * user space". Context: the calling processor's thread.
 */
#ifndef VMM_HYPERCALL_H
#define VMM_HYPERCALL_H

#include "vmm/vcpu.h"

/* Carries out the hypercall of exit and writes its result into exit. v: the calling processor. */
void vmb_vmm_hypercall_exit(struct vmb_vmm_vcpu *v, struct kvm_hyperv_exit *exit);

#endif
