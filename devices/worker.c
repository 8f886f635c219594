// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The loop of every thread that serves a device. */
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "devices/event.h"
#include "devices/role.h"
#include "devices/worker.h"

/*
 * Whoever woke this thread, the guest by a doorbell or a sender by a frame, goes on until its slice
 * ends or it sleeps, so this finds many packets and not one each time. Where a processor is idle
 * this runs there at once as before. If the kernel refuses, only throughput is lost.
 */
static void let_work_gather(bool on)
{
	sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &(struct sched_param){ 0 });
}

static void *work(void *arg)
{
	struct vmb_dev_worker *w = arg;

	vmb_dev_role_enter(w->role);
	if (w->ops->gathers)
		let_work_gather(true);
	for (;;) {
		bool more = w->ops->step(w->device);

		/* After the step, which may have cleared the wake that came with it. */
		if (__atomic_load_n(&w->ending, __ATOMIC_SEQ_CST))
			return NULL;
		w->ops->wait(w->device, more);
	}
}

void vmb_dev_worker_init(struct vmb_dev_worker *w, const struct vmb_dev_worker_ops *ops,
			 void *device)
{
	*w = (struct vmb_dev_worker){ .ops = ops, .device = device, .role = ops->role, .wake = -1 };
}

int vmb_dev_worker_start(struct vmb_dev_worker *w)
{
	int error;

	w->ending = false;
	w->gather = (struct vmb_dev_gather){ 0 };
	w->wake = vmb_dev_event_create();
	if (w->wake < 0)
		return w->wake;
	error = -pthread_create(&w->thread, NULL, work, w);
	w->started = !error;
	if (error)
		vmb_dev_worker_stop(w);
	return error;
}

void vmb_dev_worker_wake(struct vmb_dev_worker *w)
{
	__atomic_store_n(&w->woken, true, __ATOMIC_SEQ_CST);
	if (w->wake >= 0)
		vmb_dev_event_ring(w->wake);
}

void vmb_dev_worker_heard(struct vmb_dev_worker *w)
{
	__atomic_store_n(&w->woken, false, __ATOMIC_SEQ_CST);
}

bool vmb_dev_worker_woken(const struct vmb_dev_worker *w)
{
	return __atomic_load_n(&w->woken, __ATOMIC_RELAXED);
}

void vmb_dev_worker_found(struct vmb_dev_worker *w, uint32_t packets)
{
	if (packets && w->wake >= 0 && vmb_dev_gather_turn(&w->gather, packets))
		let_work_gather(w->gather.on);
}

void vmb_dev_worker_poll(struct vmb_dev_worker *w, struct vmb_dev_bell *const bells[],
			 uint32_t count, int ms)
{
	struct pollfd fds[1 + VMB_DEV_WORKER_BELL_MAX] = { { .fd = w->wake, .events = POLLIN } };

	for (uint32_t i = 0; i < count; i++)
		fds[1 + i] = (struct pollfd){ .fd = bells[i]->fd, .events = POLLIN };
	if (poll(fds, 1 + count, ms) <= 0)
		return;
	if (fds[0].revents)
		vmb_dev_event_clear(w->wake);
	for (uint32_t i = 0; i < count; i++)
		if (fds[1 + i].revents)
			vmb_dev_bell_heard(bells[i]);
}

void vmb_dev_worker_stop(struct vmb_dev_worker *w)
{
	__atomic_store_n(&w->ending, true, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(w);
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
	if (w->wake >= 0)
		close(w->wake);
	w->wake = -1;
}
