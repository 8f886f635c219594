/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals that come through pages of the guest: the interrupt page of connections below 2.4, and
 * the monitor page of a machine with --monitor. Channels with a connection of their own need none
 * of this.
 *
 *   vmb_dev_doorbell_init()
 *   vmb_dev_doorbell_connect() at CONTACT, _disconnect() at UNLOADED and before the next
 *   vmb_dev_doorbell_opening(channel) before the guest hears that it is open, _closed() when it
 *     no longer is
 *   vmb_dev_doorbell_stop(), _destroy()
 *
 * A thread waits for the shared event connection and scans the monitor page. It exists as soon as a
 * connection needs it. A guest only sets a pending bit and does not signal, so the thread must poll
 * the page while a monitored channel is open: every 100 us while it found something lately,
 * otherwise every millisecond. Without an open monitored channel it sleeps.
 *
 * Locks: the bus's, then d->lock. The thread touches pages only under d->lock, so that it never
 * writes to a page which the guest took back. It takes the bus's lock only afterwards, to ring the
 * channels that it found.
 */
#ifndef DEVICES_DOORBELL_H
#define DEVICES_DOORBELL_H

#include <pthread.h>

#include "devices/event.h"
#include "wire/vmbus.h"

struct vmb_dev_bus;
struct vmb_dev_channel;

struct vmb_dev_doorbell {
	struct vmb_dev_bus *bus;
	pthread_mutex_t lock;
	pthread_t thread;
	bool started;
	bool stopping; /* lock */
	struct vmb_dev_bell shared; /* of VMB_CONNECTION_EVENT */
	int wake; /* eventfd: look at what has changed */
	/* lock for the thread; atomic for who interrupts the guest; NULL: from 2.4 on */
	void *interrupt_page;
	void *monitor_page; /* lock; NULL: no monitors */
	uint32_t monitored_count; /* open channels with a monitor id; lock */
	/*
	 * how many channels were signalled in each way, and how many bits belonged to no open
	 * channel; written by the thread, read when it has ended
	 */
	uint64_t by_interrupt_page, by_monitor, strays;
};

/* Returns 0, or -errno: reported; then only destroy may be called. */
int vmb_dev_doorbell_init(struct vmb_dev_doorbell *d, struct vmb_dev_bus *bus);
/*
 * Ends the thread and waits for it. Called without the bus's lock, when the guest is gone. Counters
 * can be read until destroy.
 */
void vmb_dev_doorbell_stop(struct vmb_dev_doorbell *d);
/* Frees everything, after stop. */
void vmb_dev_doorbell_destroy(struct vmb_dev_doorbell *d);

/*
 * On a stepped bus, in place of the thread: looks once at both pages. Returns whether a channel was
 * rung.
 */
bool vmb_dev_doorbell_step(struct vmb_dev_doorbell *d);

/* Prints the counters, after stop. Prints nothing if no signal came through a page. */
void vmb_dev_doorbell_report(const struct vmb_dev_doorbell *d);

/* The bus's lock is held in these four. connect returns 0, or -errno: reported. */
int vmb_dev_doorbell_connect(struct vmb_dev_doorbell *d);
void vmb_dev_doorbell_disconnect(struct vmb_dev_doorbell *d);
void vmb_dev_doorbell_opening(struct vmb_dev_doorbell *d, struct vmb_dev_channel *channel);
void vmb_dev_doorbell_closed(struct vmb_dev_doorbell *d, struct vmb_dev_channel *channel);

/*
 * Interrupts the guest on virtual processor vp for channel, which must be open. The device's
 * thread.
 */
void vmb_dev_doorbell_interrupt(struct vmb_dev_doorbell *d, const struct vmb_dev_channel *channel,
				uint32_t vp);

#endif
