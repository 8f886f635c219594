/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a signal ends a guest that listens: it is asked to power off, and waited for. The guard
 * (vmm/guard.h) asks and looks at the clock.
 *
 *   vmb_vmm_shutdown_ask(s)    true: it was asked. False: there is nobody to ask, end it at once
 *   vmb_vmm_shutdown_over(s)   now and then: true: waiting has no sense any more, end it
 *
 * Context: one thread at a time.
 */
#ifndef VMM_SHUTDOWN_H
#define VMM_SHUTDOWN_H

#include "base/platform.h"

struct vmb_dev_services;

struct vmb_vmm_shutdown {
	struct vmb_dev_services *services; /* NULL: none */
	uint32_t timeout_s; /* how long the guest may take; 0: it is not asked */
	bool asking;
	int64_t asked_at; /* milliseconds */
};

/* Asks the guest to power off. Returns false if it does not use the service. */
bool vmb_vmm_shutdown_ask(struct vmb_vmm_shutdown *s);
/*
 * Returns whether a guest that was asked must be ended: it refused, left the service before it
 * answered, or took too long. That is reported, once.
 */
bool vmb_vmm_shutdown_over(struct vmb_vmm_shutdown *s);

#endif
