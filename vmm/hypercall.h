/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypercalls that KVM hands on: HvCallPostMessage, and HvCallSignalEvent for connections that have no doorbell.
 * Source: protocol reference, vmbus 2 and 9.3. Context: the calling processor's thread.
 */
#ifndef VMM_HYPERCALL_H
#define VMM_HYPERCALL_H

#include "vmm/vcpu.h"

void vmb_vmm_hypercall_exit(struct vmb_vmm_vcpu *v, struct kvm_hyperv_exit *exit);

#endif
