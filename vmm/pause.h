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

struct vmb_vmm_pause {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool on; /* atomic */
	uint32_t resting; /* processors that wait */
};

void vmb_vmm_pause_init(struct vmb_vmm_pause *p);
void vmb_vmm_pause_destroy(struct vmb_vmm_pause *p);

/* Begins or ends a pause. A machine that has an outcome cannot be paused. Any thread. */
void vmb_vmm_pause_set(struct vmb_vmm_machine *machine, bool on);
/* Returns whether the machine is paused, or about to be. Any thread. */
bool vmb_vmm_pause_is_on(struct vmb_vmm_machine *machine);
/* Returns whether the machine is paused and no processor runs the guest any more. Any thread. */
bool vmb_vmm_pause_is_complete(struct vmb_vmm_machine *machine);
/*
 * A processor's thread, outside of the guest: waits while the machine is paused. Returns whether it
 * has waited.
 */
bool vmb_vmm_pause_rest(struct vmb_vmm_machine *machine);

#endif
