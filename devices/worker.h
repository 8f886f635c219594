/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A thread that serves a device. The device says what there is to do (step, which never waits) and
 * how to wait for more (wait); the worker only takes turns. Without a worker, on a stepped bus,
 * whoever owns the device calls its step.
 *
 *   vmb_dev_worker_init(&worker, &ops, device)
 *   vmb_dev_worker_start(&worker)     the thread begins
 *   vmb_dev_worker_wake(&worker)      wait() returns soon, step() is called; any thread
 *   vmb_dev_worker_stop(&worker)      the thread has ended when this returns
 *
 * A step that can be long looks at vmb_dev_worker_woken() between its parts and returns when it is
 * true: then a channel must be closed, or the worker must end.
 */
#ifndef DEVICES_WORKER_H
#define DEVICES_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "devices/gather.h"
#include "devices/role.h"

struct vmb_dev_bell; /* devices/event.h */

struct vmb_dev_worker_ops {
	/* Does what can be done now. True: there is more to do, call again. Must not wait. */
	bool (*step)(void *device);
	/*
	 * Waits, without a limit, until there may be something to do. worker->wake is readable when
	 * the worker was woken; this function must clear it, or the step before it looks for
	 * orders. more: checks, but must not wait.
	 */
	void (*wait)(void *device, bool more);
	/*
	 * Where processors are scarce the worker lets work collect: it does not preempt the thread
	 * that woke it.
	 */
	bool gathers;
	enum vmb_dev_role role; /* of its thread */
};

struct vmb_dev_worker {
	const struct vmb_dev_worker_ops *ops;
	void *device;
	enum vmb_dev_role role; /* that of ops, unless the device sets another before the start */
	int wake; /* eventfd; -1: not started */
	pthread_t thread;
	bool started; /* there is a thread to join */
	struct vmb_dev_gather gather; /* the thread's */
	bool ending; /* atomic */
	bool woken; /* atomic: since the device last called _heard */
};

/* Prepares a worker that is not started. device: the argument of the functions of ops. */
void vmb_dev_worker_init(struct vmb_dev_worker *w, const struct vmb_dev_worker_ops *ops,
			 void *device);
/* 0 or -errno, with nothing left behind. */
int vmb_dev_worker_start(struct vmb_dev_worker *w);
/* Makes wait() return soon, so that step() is called. Any thread. */
void vmb_dev_worker_wake(struct vmb_dev_worker *w);
/* A step calls this before it checks for requests: a wake that comes later causes another step. */
void vmb_dev_worker_heard(struct vmb_dev_worker *w);
/* Returns whether the worker was woken since the last _heard. Any thread. */
bool vmb_dev_worker_woken(const struct vmb_dev_worker *w);
/*
 * A step found packets in the guest's ring; 0: none, which says nothing. Decides whether the thread
 * lets work collect from now on, see devices/gather.h. Does nothing without a thread. For devices
 * without `gathers`; the worker's thread.
 */
void vmb_dev_worker_found(struct vmb_dev_worker *w, uint32_t packets);
/*
 * The wait of a device that hears bells only: until one of count bells rings, at most
 * VMB_DEV_WORKER_BELL_MAX, or the worker is woken, but ms milliseconds at most; -1: without a
 * limit. Clears what it heard. The worker's thread.
 */
#define VMB_DEV_WORKER_BELL_MAX 8u
void vmb_dev_worker_poll(struct vmb_dev_worker *w, struct vmb_dev_bell *const bells[],
			 uint32_t count, int ms);
/*
 * Ends the thread and waits for it. The device must have nothing open. Does nothing if the worker
 * was not started. Must not be called on the worker itself.
 */
void vmb_dev_worker_stop(struct vmb_dev_worker *w);

#endif
