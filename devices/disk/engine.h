/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Carries out disk operations in the background, and lets the device's thread wait for them. It
 * uses io_uring, or a few threads where the system refuses io_uring (containers, sysctl
 * kernel.io_uring_disabled). The caller sees no difference.
 *
 *   vmb_dev_disk_engine_open(&engine, threads)
 *   vmb_dev_disk_engine_watch(&engine, fd, what)      what is taken when fd is readable, once
 *   vmb_dev_disk_engine_submit(&engine, request)      request is taken when its operation has ended
 *   vmb_dev_disk_engine_wait(&engine, ns)
 *   while (vmb_dev_disk_engine_take(&engine, &what, &result)) ...
 *   vmb_dev_disk_engine_close(&engine)
 *
 * On a stepped bus that decides about disks too, an engine is opened by hand: nothing happens by
 * itself, and nobody waits. Whoever steps chooses among the operations under way:
 *
 *   vmb_dev_disk_engine_open_by_hand(&engine)
 *   request = vmb_dev_disk_engine_pick(&engine, n)
 *   vmb_dev_disk_engine_post(&engine, request, vmb_dev_disk_engine_carry_out(&request->operation))
 *
 * Context: one thread, except for _post. Nothing may be under way at close.
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
	bool by_hand; /* as threads, without any */
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
	/* for a thread, or to be picked; under the lock */
	struct vmb_dev_disk_queue waiting;
	bool ending; /* under the lock */
	struct {
		int fd; /* -1: a timer */
		uint64_t until_ns;
		void *what; /* NULL: none */
		bool fired;
	} watches[VMB_DEV_DISK_ENGINE_WATCHES];
};

/* Returns in words why io_uring cannot be used here, or NULL if it can. */
const char *vmb_dev_disk_engine_refused(void);
/*
 * threads: do not use io_uring even if it is there. Returns 0, or -errno with nothing left behind.
 */
int vmb_dev_disk_engine_open(struct vmb_dev_disk_engine *e, bool threads);
/* Opens one that does nothing by itself. Of the others only _submit, _post, _take may be called. */
void vmb_dev_disk_engine_open_by_hand(struct vmb_dev_disk_engine *e);
/* Takes the nth operation under way out, from 0, the oldest first; NULL: there are not so many. */
struct vmb_dev_disk_request *vmb_dev_disk_engine_pick(struct vmb_dev_disk_engine *e, uint32_t n);
/* Does an operation, and may wait for the medium. Returns bytes, 0 or -errno. Any thread. */
int vmb_dev_disk_engine_carry_out(const struct vmb_dev_disk_operation *operation);
/* Frees everything. Nothing may be under way. */
void vmb_dev_disk_engine_close(struct vmb_dev_disk_engine *e);

/*
 * Gives back `what` once when fd is readable, or when ns nanoseconds have passed. At most
 * VMB_DEV_DISK_ENGINE_WATCHES at a time, one of them a timer. what must not be the address of a
 * request.
 */
void vmb_dev_disk_engine_watch(struct vmb_dev_disk_engine *e, int fd, void *what);
void vmb_dev_disk_engine_timer(struct vmb_dev_disk_engine *e, uint64_t ns, void *what);

/*
 * Begins request->operation. The request and what the operation points to must stay valid until the
 * request is taken.
 */
void vmb_dev_disk_engine_submit(struct vmb_dev_disk_engine *e,
				struct vmb_dev_disk_request *request);
/* Makes the engine give back request with this result. Any thread, also while another one waits. */
void vmb_dev_disk_engine_post(struct vmb_dev_disk_engine *e, struct vmb_dev_disk_request *request,
			      int result);

/*
 * Waits until there may be something to take, at most ns nanoseconds (0: does not wait; UINT64_MAX:
 * without limit). Returns 0, or -errno: the engine cannot go on.
 */
int vmb_dev_disk_engine_wait(struct vmb_dev_disk_engine *e, uint64_t ns);
/*
 * Takes one completion. Returns false if there is none. *what: that of a watch or timer, or a
 * request; then *result is the outcome of its operation: bytes, 0 or -errno.
 */
bool vmb_dev_disk_engine_take(struct vmb_dev_disk_engine *e, void **what, int *result);

#endif
