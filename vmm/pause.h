/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A machine that stands still on request: its virtual processors leave the guest and wait. Devices
 * finish what they have begun, and the clocks go on: to the guest a pause is a long time in which
 * it did not run.
 */
#ifndef VMM_PAUSE_H
#define VMM_PAUSE_H

#include <pthread.h>

#include "base/platform.h"

struct vmb_vmm_machine;

/* Who wants the pause: it lasts until none of them does. */
enum vmb_vmm_pause_reason {
	VMB_VMM_PAUSE_COMMAND = 1, /* the user */
	VMB_VMM_PAUSE_DUMP = 2, /* memory is being written to a file */
};

struct vmb_vmm_pause {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t reasons; /* atomic; 0: no pause */
	uint32_t resting; /* processors that wait */
};

void vmb_vmm_pause_init(struct vmb_vmm_pause *p);
void vmb_vmm_pause_destroy(struct vmb_vmm_pause *p);

/*
 * Begins or ends the pause for one reason. A machine that has an outcome cannot be paused. Returns
 * whether there was a pause for this reason before. Any thread.
 */
bool vmb_vmm_pause_set(struct vmb_vmm_machine *machine, enum vmb_vmm_pause_reason reason, bool on);
/* Ends it whatever the reasons are: the machine has an outcome. Any thread. */
void vmb_vmm_pause_end(struct vmb_vmm_machine *machine);
/* Returns whether the machine is paused, or about to be. Any thread. */
bool vmb_vmm_pause_is_on(struct vmb_vmm_machine *machine);
/* The same for one reason. */
bool vmb_vmm_pause_is_for(struct vmb_vmm_machine *machine, enum vmb_vmm_pause_reason reason);
/* Returns whether the machine is paused and no processor runs the guest any more. Any thread. */
bool vmb_vmm_pause_is_complete(struct vmb_vmm_machine *machine);
/*
 * A processor's thread, outside of the guest: waits while the machine is paused. Returns whether it
 * has waited.
 */
bool vmb_vmm_pause_rest(struct vmb_vmm_machine *machine);

#endif
