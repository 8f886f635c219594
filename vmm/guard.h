/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ends the program in time, whatever the rest of it waits for. A thread of its own, which nothing
 * can block, takes the signals; once the machine must end, it watches the clock.
 *
 * The first SIGINT, SIGTERM or SIGHUP asks the guest to power off, if it listens (vmm/shutdown.h);
 * the next one, or the end of the time that the guest has, ends the machine. If the guest does not
 * listen, the first one does. One more, unless it comes within a quarter of a second, ends the
 * program at once; so does the first one while there is no machine yet: a server that is asked for
 * a disk may take its time. When the end takes longer than
 * VMB_VMM_GUARD_LIMIT_MS, for a device that does not stop or a reader that does not read, the
 * program ends anyway: it prints one line that says what it was waiting for, and exits with
 * VMB_VMM_EXIT_FAILURE. SIGTSTP and SIGCONT give the terminal back and take it again.
 *
 *   vmb_vmm_guard_start(&g, wake)     before all other threads, which inherit the blocked signals
 *   vmb_vmm_guard_attach(&g, machine, services) for each start of the guest
 *   vmb_vmm_guard_waits_for(&g, what) while it ends; a constant string
 *   vmb_vmm_guard_detach(&g, last)    last: the limit goes on to count until the program ends
 */
#ifndef VMM_GUARD_H
#define VMM_GUARD_H

#include <pthread.h>

#include "vmm/shutdown.h"

#define VMB_VMM_GUARD_LIMIT_MS 10000

struct vmb_vmm_machine;

struct vmb_vmm_guard {
	int signals; /* signalfd */
	int wake; /* eventfd of the main thread */
	pthread_mutex_t lock;
	struct vmb_vmm_machine *machine; /* NULL: none now */
	struct vmb_vmm_shutdown shutdown;
	bool begun; /* there was a machine */
	bool stopped; /* a signal came */
	int64_t stopped_at; /* milliseconds */
	bool last; /* there will be no other machine */
	const char *what;
	int64_t since; /* milliseconds; 0: the end is not known yet */
};

/* Starts the thread, which runs until the program ends. Returns 0, or -errno: reported. */
int vmb_vmm_guard_start(struct vmb_vmm_guard *g, int wake);
/*
 * Names the machine that a signal ends, and who asks its guest to power off (NULL: nobody). If a
 * signal has come already, ends the machine now.
 */
void vmb_vmm_guard_attach(struct vmb_vmm_guard *g, struct vmb_vmm_machine *machine,
			  struct vmb_dev_services *services);
/* Names what the end waits for now. what: a constant string. */
void vmb_vmm_guard_waits_for(struct vmb_vmm_guard *g, const char *what);
/* The machine is gone. last: no other follows, and the limit counts until the program ends. */
void vmb_vmm_guard_detach(struct vmb_vmm_guard *g, bool last);
/* Returns whether a signal has come. Any thread. */
bool vmb_vmm_guard_is_stopped(struct vmb_vmm_guard *g);

#endif
