/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A virtual processor: a thread that runs the guest and handles its exits.
 *
 *   vmb_vmm_vcpu_create() for each, in the order of their numbers
 *   vmb_vmm_kvm_route()
 *   vmb_vmm_vcpu_connect() for each: interrupts
 *   vmb_vmm_vcpu_boot() for the first: registers
 *   vmb_vmm_vcpu_start() for each; vmb_vmm_vcpu_join() after the machine's outcome is known
 *   vmb_vmm_vcpu_destroy()
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <signal.h>

#include "vmm/boot.h"
#include "vmm/synic.h"

/* Ends waits in the kernel; its handler does nothing. */
#define VMB_VMM_KICK_SIGNAL SIGUSR1

struct vmb_vmm_machine;

struct vmb_vmm_vcpu {
	struct vmb_vmm_machine *machine;
	uint32_t index; /* VP index = APIC id = KVM's number */
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	pthread_mutex_t lock;
	bool started; /* thread may be sent a signal; with the lock */
	uint64_t exits; /* that came to us; atomic */
	int deliver; /* atomic: messages may wait for this processor */
	struct vmb_vmm_synic synic;
};

/* These return 0, or -errno: reported. _destroy works after any of them. */
int vmb_vmm_vcpu_create(struct vmb_vmm_vcpu *v, struct vmb_vmm_machine *machine, uint32_t index);
int vmb_vmm_vcpu_connect(struct vmb_vmm_vcpu *v, int ack);
int vmb_vmm_vcpu_boot(struct vmb_vmm_vcpu *v, const struct vmb_vmm_boot_state *state);
int vmb_vmm_vcpu_start(struct vmb_vmm_vcpu *v);
void vmb_vmm_vcpu_join(struct vmb_vmm_vcpu *v);
void vmb_vmm_vcpu_destroy(struct vmb_vmm_vcpu *v);

/* Returns whether the caller is v's own thread. */
bool vmb_vmm_vcpu_is_current(const struct vmb_vmm_vcpu *v);
/*
 * Returns whether the guest, by its id, takes only disks and cards that have a monitor id. To be
 * called on v's own thread.
 */
bool vmb_vmm_vcpu_wants_monitors(const struct vmb_vmm_vcpu *v);

/* Makes v leave the guest and look at what there is to do. Any thread. */
void vmb_vmm_vcpu_kick(struct vmb_vmm_vcpu *v);

/* Installs the handler of the signal that kicks, before any processor is started. */
void vmb_vmm_vcpu_signals(void);

#endif
