/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What CPUID tells the guest: the machine's own features as far as KVM supports them, one package
 * of cores, and Hyper-V in place of KVM's signature.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "vmm/generation.h"
#include "vmm/kvm.h"

/*
 * Sets the CPUID of virtual processor index, of count in all; vcpu is its KVM descriptor. Returns
 * 0, or -errno: reported.
 */
int vmb_vmm_cpuid_set(const struct vmb_vmm_kvm *k, const struct vmb_vmm_generation *generation,
		      int vcpu, uint32_t index, uint32_t count);

/* How many bits a guest's addresses have. */
uint32_t vmb_vmm_cpuid_address_bits(const struct vmb_vmm_kvm *k);

#endif
