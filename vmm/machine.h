/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One start of a guest: everything that a reset throws away. run.c makes it, runs it and takes it
 * down; a reset is a new machine over the same options, console and disks.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "devices/machine.h"
#include "vmm/console.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/pause.h"
#include "vmm/power.h"
#include "vmm/rtc.h"
#include "vmm/serial.h"
#include "vmm/vcpu.h"
#include "vmm/watch.h"

struct vmb_dev_bus;
struct vmb_vmm_control;
struct vmb_dev_fault_plan;
struct vmb_dev_uefi;

struct vmb_vmm_machine {
	struct vmb_dev_machine dev; /* how the devices see it */
	struct vmb_vmm_kvm *kvm;
	const struct vmb_vmm_options *options;
	struct vmb_vmm_console *console; /* outlives the machine */
	struct vmb_dev_uefi *uefi; /* NULL: a kernel was started without firmware */
	struct vmb_vmm_serial serial;
	struct vmb_vmm_rtc rtc;
	struct vmb_vmm_power_pm pm;
	struct vmb_vmm_generation generation; /* all zero: the newest of everything */
	enum vmb_dev_monitors monitor; /* may channels be signalled through the monitor page? */
	struct vmb_dev_bus *vmbus;
	struct vmb_vmm_vcpu vcpus[VMB_VMM_VP_MAX];
	struct vmb_vmm_watch watch;
	struct vmb_vmm_pause pause;
	struct vmb_dev_fault_plan *faults; /* outlives the machine; NULL: none */
	struct vmb_vmm_control *control; /* outlives the machine; NULL: none */
	int outcome; /* enum vmb_vmm_outcome, atomic */
	bool crashed; /* the guest reported a crash, atomic */
	bool lacking; /* the host could not give the guest one of its devices, atomic */
	int wake; /* eventfd: the main thread has something to look at */
	int ack; /* eventfd: the guest acknowledged an interrupt of SINT 2 */
	bool waiting; /* atomic: a message waits for its slot */
	uint32_t waiting_vp; /* atomic */
};

/*
 * Makes a machine with a loaded guest, and a bus without devices. The console and wake still belong
 * to the caller. Returns NULL on failure: reported.
 */
struct vmb_vmm_machine *vmb_vmm_machine_create(struct vmb_vmm_kvm *kvm,
					       struct vmb_vmm_console *console, int wake,
					       const struct vmb_vmm_options *o,
					       const struct vmb_vmm_boot *boot);
/* Starts the virtual processors. The devices must be attached. Returns 0, or -errno: reported. */
int vmb_vmm_machine_start(struct vmb_vmm_machine *machine);
/* Does the main thread's work until the outcome is known. */
void vmb_vmm_machine_watch(struct vmb_vmm_machine *machine);
/* Waits until processors and devices have stopped; counters can be read until destroy. */
void vmb_vmm_machine_stop(struct vmb_vmm_machine *machine);
/* Frees a machine that has stopped. Its devices must be detached. */
void vmb_vmm_machine_destroy(struct vmb_vmm_machine *machine);

/* Makes the main thread look at the machine. Any thread. */
void vmb_vmm_machine_wake(struct vmb_vmm_machine *machine);

#endif
