// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Carries out disk operations without blocking the device's thread: with io_uring, or with a pool
 * of threads where the system refuses io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "devices/disk/engine.h"
#include "devices/event.h"
#include "devices/role.h"

#define URING_LEN 512u

static struct __kernel_timespec rest_time = { .tv_nsec = VMB_DEV_DISK_REST_NS };

/* Queues */

static void queue_init(struct vmb_dev_disk_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_put(struct vmb_dev_disk_queue *q, struct vmb_dev_disk_request *request)
{
	request->next = NULL;
	*q->end = request;
	q->end = &request->next;
}

static struct vmb_dev_disk_request *queue_take(struct vmb_dev_disk_queue *q)
{
	struct vmb_dev_disk_request *request = q->first;

	if (request)
		q->first = request->next;
	if (!q->first)
		q->end = &q->first;
	return request;
}

/* io_uring */

static struct io_uring_sqe *get_entry(struct vmb_dev_disk_engine *e, void *what)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->uring);

	if (!sqe && io_uring_submit(&e->uring) >= 0)
		sqe = io_uring_get_sqe(&e->uring);
	if (sqe)
		io_uring_sqe_set_data(sqe, what);
	return sqe;
}

/* Call this before setting the entry's data: preparing an entry clears it. */
static void prepare_entry(struct io_uring_sqe *sqe, const struct vmb_dev_disk_operation *o)
{
	switch (o->kind) {
	case VMB_DEV_DISK_READV:
		io_uring_prep_readv(sqe, o->fd, o->iov, o->iov_count, o->offset);
		break;
	case VMB_DEV_DISK_WRITEV:
		io_uring_prep_writev(sqe, o->fd, o->iov, o->iov_count, o->offset);
		break;
	case VMB_DEV_DISK_SYNC: io_uring_prep_fsync(sqe, o->fd, IORING_FSYNC_DATASYNC); break;
	case VMB_DEV_DISK_ALLOCATE:
		io_uring_prep_fallocate(sqe, o->fd, o->mode, o->offset, o->len);
		break;
	case VMB_DEV_DISK_REST: io_uring_prep_timeout(sqe, &rest_time, 0, 0); break;
	}
}

static void watch_in_uring(struct vmb_dev_disk_engine *e, int fd, void *what)
{
	struct io_uring_sqe *sqe = get_entry(e, what);

	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, what);
}

static int wait_in_uring(struct vmb_dev_disk_engine *e, uint64_t ns)
{
	struct __kernel_timespec rest = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct io_uring_cqe *cqe;
	int error;

	if (!ns)
		error = io_uring_submit(&e->uring);
	else if (ns == UINT64_MAX)
		error = io_uring_submit_and_wait(&e->uring, 1);
	else
		error = io_uring_submit_and_wait_timeout(&e->uring, &cqe, 1, &rest, NULL);
	if (error >= 0 || error == -EINTR || error == -EBUSY || error == -EAGAIN || error == -ETIME)
		return 0;
	return error;
}

/* Threads */

int vmb_dev_disk_engine_carry_out(const struct vmb_dev_disk_operation *o)
{
	const struct timespec rest = { .tv_nsec = VMB_DEV_DISK_REST_NS };
	ssize_t result = 0;

	switch (o->kind) {
	case VMB_DEV_DISK_READV:
		result = preadv(o->fd, o->iov, (int)o->iov_count, (off_t)o->offset);
		break;
	case VMB_DEV_DISK_WRITEV:
		result = pwritev(o->fd, o->iov, (int)o->iov_count, (off_t)o->offset);
		break;
	case VMB_DEV_DISK_SYNC: result = fdatasync(o->fd); break;
	case VMB_DEV_DISK_ALLOCATE:
		result = fallocate(o->fd, o->mode, (off_t)o->offset, (off_t)o->len);
		break;
	case VMB_DEV_DISK_REST: nanosleep(&rest, NULL); break;
	}
	return result < 0 ? -errno : (int)result;
}

static void *work(void *arg)
{
	struct vmb_dev_disk_engine *e = arg;
	struct vmb_dev_disk_request *request;

	vmb_dev_role_enter(VMB_DEV_ROLE_DISK);
	for (;;) {
		pthread_mutex_lock(&e->lock);
		while (!(request = queue_take(&e->waiting)) && !e->ending)
			pthread_cond_wait(&e->work, &e->lock);
		pthread_mutex_unlock(&e->lock);
		if (!request)
			return NULL;
		vmb_dev_disk_engine_post(e, request,
					 vmb_dev_disk_engine_carry_out(&request->operation));
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_watch(struct vmb_dev_disk_engine *e, int fd, uint64_t until_ns, void *what)
{
	for (uint32_t i = 0; i < VMB_DEV_DISK_ENGINE_WATCHES; i++) {
		if (e->watches[i].what)
			continue;
		e->watches[i].fd = fd;
		e->watches[i].until_ns = until_ns;
		e->watches[i].what = what;
		e->watches[i].fired = false;
		return;
	}
}

static int to_ms(uint64_t ns)
{
	if (ns == UINT64_MAX)
		return -1;
	return ns / 1000000 > INT32_MAX - 1 ? INT32_MAX : (int)((ns + 999999) / 1000000);
}

static int wait_for_threads(struct vmb_dev_disk_engine *e, uint64_t ns)
{
	struct pollfd fds[1 + VMB_DEV_DISK_ENGINE_WATCHES] = { { e->rang, POLLIN, 0 } };
	uint64_t now = now_ns();

	for (uint32_t i = 0; i < VMB_DEV_DISK_ENGINE_WATCHES; i++) {
		uint64_t until = e->watches[i].until_ns;
		bool timer = e->watches[i].what && e->watches[i].fd < 0;

		fds[1 + i].fd = e->watches[i].what ? e->watches[i].fd : -1;
		fds[1 + i].events = POLLIN;
		if (timer && (until <= now || until - now < ns))
			ns = until <= now ? 0 : until - now;
	}
	if (poll(fds, 1 + VMB_DEV_DISK_ENGINE_WATCHES, to_ms(ns)) < 0 && errno != EINTR)
		return -errno;
	now = now_ns();
	for (uint32_t i = 0; i < VMB_DEV_DISK_ENGINE_WATCHES; i++)
		if (e->watches[i].what && (e->watches[i].fd < 0 ? e->watches[i].until_ns <= now :
								  fds[1 + i].revents != 0))
			e->watches[i].fired = true;
	return 0;
}

static void *take_fired(struct vmb_dev_disk_engine *e)
{
	void *what;

	for (uint32_t i = 0; i < VMB_DEV_DISK_ENGINE_WATCHES; i++) {
		what = e->watches[i].what;
		if (!what || !e->watches[i].fired)
			continue;
		e->watches[i].what = NULL;
		return what;
	}
	return NULL;
}

/* Both */

void vmb_dev_disk_engine_watch(struct vmb_dev_disk_engine *e, int fd, void *what)
{
	if (e->threads)
		add_watch(e, fd, 0, what);
	else
		watch_in_uring(e, fd, what);
}

void vmb_dev_disk_engine_timer(struct vmb_dev_disk_engine *e, uint64_t ns, void *what)
{
	struct io_uring_sqe *sqe;

	if (e->threads) {
		add_watch(e, -1, now_ns() + ns, what);
		return;
	}
	e->timer_time = (struct __kernel_timespec){ .tv_sec = (int64_t)(ns / 1000000000),
						    .tv_nsec = (int64_t)(ns % 1000000000) };
	sqe = get_entry(e, what);
	if (!sqe)
		return;
	io_uring_prep_timeout(sqe, &e->timer_time, 0, 0);
	io_uring_sqe_set_data(sqe, what);
}

void vmb_dev_disk_engine_submit(struct vmb_dev_disk_engine *e, struct vmb_dev_disk_request *request)
{
	struct io_uring_sqe *sqe;

	if (e->threads) {
		pthread_mutex_lock(&e->lock);
		queue_put(&e->waiting, request);
		pthread_cond_signal(&e->work);
		pthread_mutex_unlock(&e->lock);
		return;
	}
	sqe = get_entry(e, request);
	if (!sqe) {
		vmb_dev_disk_engine_post(e, request, -EIO);
		return;
	}
	prepare_entry(sqe, &request->operation);
	io_uring_sqe_set_data(sqe, request);
}

void vmb_dev_disk_engine_post(struct vmb_dev_disk_engine *e, struct vmb_dev_disk_request *request,
			      int result)
{
	bool first;

	request->result = result;
	pthread_mutex_lock(&e->lock);
	first = !e->posted.first;
	queue_put(&e->posted, request);
	/* Under the lock: when the request has been taken, the engine may be freed. */
	if (first && !e->by_hand)
		vmb_dev_event_ring(e->rang);
	pthread_mutex_unlock(&e->lock);
}

int vmb_dev_disk_engine_wait(struct vmb_dev_disk_engine *e, uint64_t ns)
{
	return e->threads ? wait_for_threads(e, ns) : wait_in_uring(e, ns);
}

static void take_posted(struct vmb_dev_disk_engine *e)
{
	struct vmb_dev_disk_request *request;

	if (!e->by_hand)
		vmb_dev_event_clear(e->rang);
	pthread_mutex_lock(&e->lock);
	while ((request = queue_take(&e->posted)))
		queue_put(&e->taken, request);
	pthread_mutex_unlock(&e->lock);
}

static bool take_from_uring(struct vmb_dev_disk_engine *e, void **what, int *result)
{
	struct io_uring_cqe *cqe;

	while (!e->taken.first && io_uring_peek_cqe(&e->uring, &cqe) == 0) {
		*what = io_uring_cqe_get_data(cqe);
		*result = cqe->res;
		io_uring_cqe_seen(&e->uring, cqe);
		if (*what != &e->rang)
			return true;
		take_posted(e);
		watch_in_uring(e, e->rang, &e->rang);
	}
	return false;
}

bool vmb_dev_disk_engine_take(struct vmb_dev_disk_engine *e, void **what, int *result)
{
	struct vmb_dev_disk_request *request;

	if (e->threads && !e->taken.first)
		take_posted(e);
	else if (!e->threads && take_from_uring(e, what, result))
		return true;
	request = queue_take(&e->taken);
	if (request) {
		*what = request;
		*result = request->result;
		return true;
	}
	*what = e->threads ? take_fired(e) : NULL;
	*result = 0;
	return *what;
}

/* Life */

static void end_pool(struct vmb_dev_disk_engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->ending = true;
	pthread_cond_broadcast(&e->work);
	pthread_mutex_unlock(&e->lock);
	while (e->pool_len)
		pthread_join(e->pool[--e->pool_len], NULL);
}

static int start_pool(struct vmb_dev_disk_engine *e)
{
	int error = 0;

	while (e->pool_len < VMB_DEV_DISK_ENGINE_THREADS && !error) {
		error = -pthread_create(&e->pool[e->pool_len], NULL, work, e);
		if (!error)
			e->pool_len++;
	}
	if (error)
		end_pool(e);
	return error;
}

const char *vmb_dev_disk_engine_refused(void)
{
	struct io_uring uring;
	int error = io_uring_queue_init(URING_LEN, &uring, 0);

	if (error)
		return strerror(-error);
	io_uring_queue_exit(&uring);
	return NULL;
}

/*
 * What the ring carries out passes no filter of system calls, so the kernel is told which
 * operations there are, once and for all. (liburing 2.3 declares functions for it that it does not
 * have.)
 */
static int restrict_uring(struct io_uring *uring)
{
	static const uint8_t used[] = {
		IORING_OP_READV,     IORING_OP_WRITEV,	 IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_POLL_ADD, IORING_OP_TIMEOUT,
	};
	struct io_uring_restriction allowed[VMB_ARRAY_COUNT(used)] = { { 0 } };

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(used); i++) {
		allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[i].sqe_op = used[i];
	}
	if (syscall(SYS_io_uring_register, uring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    VMB_ARRAY_COUNT(allowed)) ||
	    syscall(SYS_io_uring_register, uring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

/* Kernels before 5.10 know no such restriction. */
static int open_uring(struct io_uring *uring)
{
	if (io_uring_queue_init(URING_LEN, uring, IORING_SETUP_R_DISABLED))
		return io_uring_queue_init(URING_LEN, uring, 0);
	if (restrict_uring(uring) == 0)
		return 0;
	io_uring_queue_exit(uring);
	return io_uring_queue_init(URING_LEN, uring, 0);
}

int vmb_dev_disk_engine_open(struct vmb_dev_disk_engine *e, bool threads)
{
	int error;

	memset(e, 0, sizeof(*e));
	queue_init(&e->posted);
	queue_init(&e->taken);
	queue_init(&e->waiting);
	e->rang = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->rang < 0)
		return -errno;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
	e->threads = threads || open_uring(&e->uring);
	error = e->threads ? start_pool(e) : 0;
	if (!e->threads)
		watch_in_uring(e, e->rang, &e->rang);
	if (error) {
		close(e->rang);
		pthread_cond_destroy(&e->work);
		pthread_mutex_destroy(&e->lock);
	}
	return error;
}

void vmb_dev_disk_engine_open_by_hand(struct vmb_dev_disk_engine *e)
{
	memset(e, 0, sizeof(*e));
	queue_init(&e->posted);
	queue_init(&e->taken);
	queue_init(&e->waiting);
	e->threads = e->by_hand = true;
	e->rang = -1;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
}

struct vmb_dev_disk_request *vmb_dev_disk_engine_pick(struct vmb_dev_disk_engine *e, uint32_t n)
{
	struct vmb_dev_disk_request **at = &e->waiting.first, *request;

	while (*at && n--)
		at = &(*at)->next;
	request = *at;
	if (!request)
		return NULL;
	*at = request->next;
	if (!*at)
		e->waiting.end = at;
	return request;
}

void vmb_dev_disk_engine_close(struct vmb_dev_disk_engine *e)
{
	if (e->threads)
		end_pool(e);
	else
		io_uring_queue_exit(&e->uring);
	if (!e->by_hand)
		close(e->rang);
	pthread_cond_destroy(&e->work);
	pthread_mutex_destroy(&e->lock);
}
