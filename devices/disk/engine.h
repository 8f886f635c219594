/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What carries out the operations of disks while their device goes on, and what the device's thread
 * waits in: io_uring, or a few threads where the system refuses it (containers, sysctl
 * kernel.io_uring_disabled). Both look the same from outside.
 *
 *   vmb_dev_disk_engine_open(&engine, threads)
 *   vmb_dev_disk_engine_watch(&engine, fd, what)      what is taken when fd is readable, once
 *   vmb_dev_disk_engine_submit(&engine, request)      request is taken when its operation has ended
 *   vmb_dev_disk_engine_wait(&engine, ns)
 *   while (vmb_dev_disk_engine_take(&engine, &what, &result)) ...
 *   vmb_dev_disk_engine_close(&engine)
 *
 * Context: one thread, but for _post. Nothing is under way when it is closed.
 */
#ifndef DEVICES_DISK_ENGINE_H
#define DEVICES_DISK_ENGINE_H

#include <liburing.h>
#include <pthread.h>

#include "devices/disk/disk.h"

#define VMB_DEV_DISK_ENGINE_THREADS 8u
#define VMB_DEV_DISK_ENGINE_WATCHES 4u

struct vmb_dev_disk_queue {
	struct vmb_dev_disk_request *first, **end;
};

struct vmb_dev_disk_engine {
	bool threads;
	int rang; /* eventfd: something was posted */
	pthread_mutex_t lock;
	struct vmb_dev_disk_queue posted; /* under the lock */
	struct vmb_dev_disk_queue taken;

	struct io_uring uring;
	struct __kernel_timespec timer_time; /* of the last timer: one at a time */

	/* threads */
	pthread_t pool[VMB_DEV_DISK_ENGINE_THREADS];
	uint32_t pool_len;
	pthread_cond_t work;
	struct vmb_dev_disk_queue waiting; /* for a thread; under the lock */
	bool ending; /* under the lock */
	struct {
		int fd; /* -1: a timer */
		uint64_t until_ns;
		void *what; /* NULL: none */
		bool fired;
	} watches[VMB_DEV_DISK_ENGINE_WATCHES];
};

/* Why io_uring cannot be used here, or NULL. */
const char *vmb_dev_disk_engine_refused(void);
/* threads: without io_uring also where there is one. 0 or -errno, with nothing left behind. */
int vmb_dev_disk_engine_open(struct vmb_dev_disk_engine *e, bool threads);
void vmb_dev_disk_engine_close(struct vmb_dev_disk_engine *e);

/* At most VMB_DEV_DISK_ENGINE_WATCHES of both at a time, one of them a timer. what is nobody's request. */
void vmb_dev_disk_engine_watch(struct vmb_dev_disk_engine *e, int fd, void *what);
void vmb_dev_disk_engine_timer(struct vmb_dev_disk_engine *e, uint64_t ns, void *what);

/* request->operation; request, and what the operation points to, stay until it is taken. */
void vmb_dev_disk_engine_submit(struct vmb_dev_disk_engine *e,
				struct vmb_dev_disk_request *request);
/* Any thread, also while the engine is waited in: request is taken with this result. */
void vmb_dev_disk_engine_post(struct vmb_dev_disk_engine *e, struct vmb_dev_disk_request *request,
			      int result);

/* Until there may be something to take; at most ns, 0: does not wait, UINT64_MAX: for good. 0 or -errno: it cannot go on. */
int vmb_dev_disk_engine_wait(struct vmb_dev_disk_engine *e, uint64_t ns);
/* False: there is nothing. *what: of a watch or timer, or a request, with what its operation gave: bytes, 0 or -errno. */
bool vmb_dev_disk_engine_take(struct vmb_dev_disk_engine *e, void **what, int *result);

#endif
