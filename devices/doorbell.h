/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals that come through pages of the guest: the interrupt page of connections below 2.4, and the monitor page of a
 * machine with --monitor. Channels with a connection of their own need none of this.
 *
 *   vmb_dev_doorbell_init()
 *   vmb_dev_doorbell_connect() at CONTACT, _disconnect() at UNLOADED and before the next
 *   vmb_dev_doorbell_opening(channel) before the guest hears that it is open, _closed() when it is no longer
 *   vmb_dev_doorbell_stop(), _destroy()
 *
 * A thread waits for the shared event connection and scans the monitor page. It exists as soon as a connection needs it. A guest that
 * sets a pending bit says nothing else, so while a monitored channel is open the page is looked at for ever: after each
 * 100 us while something pended lately, after each millisecond else. Without an open monitored channel it sleeps.
 *
 * Locks: the bus's, then d->lock. The thread touches pages only under d->lock, so that a page which the guest took back is not
 * written to, and takes the bus's for what it found only afterwards.
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
	void *interrupt_page; /* lock for the thread; atomic for who interrupts the guest; NULL: from 2.4 on */
	void *monitor_page; /* lock; NULL: no monitors */
	uint32_t monitored_count; /* open channels with a monitor id; lock */
	/* channels that were signalled so, and bits of no open channel; the thread's, read when it has ended */
	uint64_t by_interrupt_page, by_monitor, strays;
};

/* 0 or -errno: reported, and only destroy is due. */
int vmb_dev_doorbell_init(struct vmb_dev_doorbell *d, struct vmb_dev_bus *bus);
/* Waits for the thread; without the bus's lock, when the guest is gone. Counters stand until destroy. */
void vmb_dev_doorbell_stop(struct vmb_dev_doorbell *d);
void vmb_dev_doorbell_destroy(struct vmb_dev_doorbell *d);

/* Of a stepped bus, in place of the thread: one look at both pages. True: somebody was rung. */
bool vmb_dev_doorbell_step(struct vmb_dev_doorbell *d);

/* For the summary, after stop: nothing when nothing came this way. */
void vmb_dev_doorbell_report(const struct vmb_dev_doorbell *d);

/* The bus's lock is held. 0 or -errno: reported. */
int vmb_dev_doorbell_connect(struct vmb_dev_doorbell *d);
void vmb_dev_doorbell_disconnect(struct vmb_dev_doorbell *d);
void vmb_dev_doorbell_opening(struct vmb_dev_doorbell *d, const struct vmb_dev_channel *channel);
void vmb_dev_doorbell_closed(struct vmb_dev_doorbell *d, const struct vmb_dev_channel *channel);

/* Interrupts the guest for channel, whose target is vp. The device's thread, while channel is open. */
void vmb_dev_doorbell_interrupt(struct vmb_dev_doorbell *d, const struct vmb_dev_channel *channel,
				uint32_t vp);

#endif
