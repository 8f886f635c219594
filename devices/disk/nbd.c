// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A disk on an NBD server. The worker's requests become operations of
 * devices/disk/nbd_connection.h; what ends there, on another thread, comes back as a completion
 * that is posted to the worker's engine. All data pass through private memory: a guest's page may
 * change while a write waits for its server, and what is written again later must be what was
 * answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/disk/engine.h"
#include "devices/disk/nbd_connection.h"
#include "devices/report.h"

#define ZERO_LEN       (1u << 20) /* bytes of zeroes a write, where the server makes none itself */
#define WHY_LEN	       256
#define LONG_BLOCK_LEN 4096u
#define HELD_LEN_MAX \
	(16u << 20) /* bytes of the guest's that wait for the server; then requests wait */

struct nbd_disk {
	struct vmb_dev_disk_server *server; /* our own, or NULL */
	struct vmb_dev_nbd *nbd; /* NULL: not prepared */

	/* under the caller's lock */
	uint64_t held_len; /* bytes of all operations under way */
	struct vmb_dev_disk_request *waiting, **waiting_end; /* for room */
};

/* One operation of a request. */
struct nbd_task {
	struct vmb_dev_nbd_op op;
	struct vmb_dev_disk_request *request;
	struct vmb_dev_disk_engine *engine; /* the worker's */
	uint8_t *data; /* of a READ */
};

static enum vmb_dev_disk_step done(struct vmb_dev_disk_request *request,
				   enum vmb_host_scsi_error error)
{
	request->error = error;
	return VMB_DEV_DISK_DONE;
}

/* On the NBD thread. */
static void ended(struct vmb_dev_nbd_op *op, int error)
{
	struct nbd_task *task = VMB_CONTAINER_OF(op, struct nbd_task, op);

	vmb_dev_disk_engine_post(task->engine, task->request, error);
}

/* Bytes between private memory and the guest's pages. */
static void copy_iov(struct vmb_dev_disk_request *request, uint8_t *bytes, bool to_guest)
{
	for (uint32_t i = 0; i < request->iov_count; i++) {
		struct iovec *iov = &request->iov[i];

		if (to_guest)
			memcpy(iov->iov_base, bytes, iov->iov_len);
		else
			memcpy(bytes, iov->iov_base, iov->iov_len);
		bytes += iov->iov_len;
	}
}

static void repeat_block(uint8_t *bytes, uint64_t len, const uint8_t *block, uint32_t block_len)
{
	for (uint64_t at = 0; at < len; at += block_len)
		memcpy(bytes + at, block, len - at < block_len ? len - at : block_len);
}

/* What the next operation of a request is; request->done_len says how far it has come. */
static void next_op(struct vmb_dev_disk *disk, const struct vmb_dev_disk_request *request,
		    struct vmb_dev_nbd_op *op)
{
	const struct nbd_disk *d = disk->state;
	const struct vmb_host_scsi_task *task = request->task;

	op->kind = VMB_DEV_NBD_WRITE;
	op->fua = task->fua;
	op->offset = task->offset + request->done_len;
	op->len = task->len - request->done_len;
	switch (task->op) {
	case VMB_HOST_SCSI_READ: op->kind = VMB_DEV_NBD_READ; break;
	case VMB_HOST_SCSI_FLUSH:
		op->kind = VMB_DEV_NBD_FLUSH;
		op->offset = op->len = 0;
		break;
	case VMB_HOST_SCSI_UNMAP:
		op->kind = VMB_DEV_NBD_ZERO;
		op->may_unmap = true;
		op->offset = task->extents[request->done_len].offset;
		op->len = task->extents[request->done_len].len;
		break;
	case VMB_HOST_SCSI_WRITE_ZEROES:
		op->may_unmap = task->may_unmap;
		if (vmb_dev_nbd_facts(d->nbd)->can_zero)
			op->kind = VMB_DEV_NBD_ZERO;
		else if (op->len > ZERO_LEN)
			op->len = ZERO_LEN;
		break;
	default: break;
	}
}

/* Whether the guest's bytes pass through memory of ours. */
static bool has_data(const struct vmb_dev_nbd_op *op)
{
	return op->kind == VMB_DEV_NBD_READ || op->kind == VMB_DEV_NBD_WRITE;
}

static bool fill(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
		 struct vmb_dev_nbd_op *op)
{
	if (!has_data(op))
		return true;
	op->data = request->task->op == VMB_HOST_SCSI_WRITE_ZEROES ? calloc(1, op->len) :
								     malloc(op->len);
	if (!op->data)
		return false;
	if (request->task->op == VMB_HOST_SCSI_WRITE)
		copy_iov(request, op->data, false);
	if (request->task->op == VMB_HOST_SCSI_WRITE_SAME)
		repeat_block(op->data, op->len, request->task->data, disk->block_len);
	return true;
}

static uint64_t amount(const struct vmb_host_scsi_task *task)
{
	switch (task->op) {
	case VMB_HOST_SCSI_FLUSH: return 1;
	case VMB_HOST_SCSI_UNMAP: return task->extent_count;
	default: return task->len;
	}
}

/* Appends to the queue of requests that wait for room. */
static void wait_for_room(struct nbd_disk *d, struct vmb_dev_disk_request *request,
			  struct vmb_dev_disk_engine *engine)
{
	request->engine = engine;
	request->next = NULL;
	*d->waiting_end = request;
	d->waiting_end = &request->next;
}

/* False: no memory. */
static bool start(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
		  const struct vmb_dev_nbd_op *op, struct vmb_dev_disk_engine *engine)
{
	struct nbd_disk *d = disk->state;
	struct nbd_task *task = calloc(1, sizeof(*task));

	if (!task)
		return false;
	task->op = *op;
	if (!fill(disk, request, &task->op)) {
		free(task);
		return false;
	}
	task->op.ended = ended;
	task->request = request;
	task->engine = engine;
	if (task->op.kind == VMB_DEV_NBD_READ)
		task->data = task->op.data;
	if (has_data(&task->op))
		d->held_len += task->op.len;
	request->backend = task;
	vmb_dev_nbd_submit(d->nbd, &task->op);
	return true;
}

static enum vmb_dev_disk_step next(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				   struct vmb_dev_disk_engine *engine)
{
	struct nbd_disk *d = disk->state;
	struct vmb_dev_nbd_op op = { 0 };

	if (request->done_len == amount(request->task))
		return done(request, VMB_HOST_SCSI_OK);
	if (request->cancels != disk->cancels)
		return done(request, VMB_HOST_SCSI_ABORTED);
	next_op(disk, request, &op);
	if (has_data(&op) && d->held_len && d->held_len + op.len > HELD_LEN_MAX) {
		wait_for_room(d, request, engine);
		return VMB_DEV_DISK_WAIT;
	}
	return start(disk, request, &op, engine) ? VMB_DEV_DISK_WAIT :
						   done(request, VMB_HOST_SCSI_IO_ERROR);
}

static struct vmb_dev_disk_request *take_waiting(struct nbd_disk *d)
{
	struct vmb_dev_disk_request *request = d->waiting;

	d->waiting = request->next;
	if (!d->waiting)
		d->waiting_end = &d->waiting;
	return request;
}

/*
 * In order: a small request must not overtake a large one. Each may be another worker's, and ends
 * at its engine.
 */
static void start_waiting(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;
	struct vmb_dev_disk_request *request;

	while ((request = d->waiting)) {
		struct vmb_dev_nbd_op op = { 0 };

		next_op(disk, request, &op);
		if (request->cancels == disk->cancels && d->held_len &&
		    d->held_len + op.len > HELD_LEN_MAX)
			return;
		take_waiting(d);
		if (request->cancels != disk->cancels ||
		    !start(disk, request, &op, request->engine)) {
			request->backend = NULL;
			vmb_dev_disk_engine_post(request->engine, request, EIO);
		}
	}
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct vmb_dev_disk_engine *engine)
{
	request->done_len = 0;
	request->cancels = disk->cancels;
	return next(disk, request, engine);
}

static enum vmb_host_scsi_error translate(int error)
{
	if (error == ENOTCONN)
		return VMB_HOST_SCSI_GONE;
	return error == ENOSPC ? VMB_HOST_SCSI_NO_SPACE : VMB_HOST_SCSI_IO_ERROR;
}

static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	struct nbd_disk *d = disk->state;
	struct nbd_task *task = request->backend;
	bool counts_things = request->task->op == VMB_HOST_SCSI_UNMAP ||
			     request->task->op == VMB_HOST_SCSI_FLUSH;

	if (!task)
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	if (!result && task->data)
		copy_iov(request, task->data, true);
	request->done_len += counts_things ? 1 : task->op.len;
	if (has_data(&task->op))
		d->held_len -= task->op.len;
	if (request->task->op == VMB_HOST_SCSI_FLUSH && result == EIO)
		vmb_dev_disk_lost(disk, result);
	free(task->data);
	free(task);
	start_waiting(disk);
	return result ? done(request, translate(result)) : next(disk, request, engine);
}

static int refuse(const struct vmb_dev_disk_option *option, const char *why)
{
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, why);
	return -EINVAL;
}

static int connect_disk(struct vmb_dev_disk *disk)
{
	const struct vmb_dev_disk_option *option = disk->option;
	const char *uri = option->path;
	struct nbd_disk *d = disk->state;
	char why[WHY_LEN];

	if (!vmb_dev_disk_is_nbd(uri)) {
		d->server = vmb_dev_disk_server_start(option);
		if (!d->server)
			return -EINVAL;
		uri = vmb_dev_disk_server_uri(d->server);
	}
	d->nbd = vmb_dev_nbd_connect(uri, option->reconnect_s, why, sizeof(why));
	if (!d->nbd)
		return refuse(option, why);
	if (vmb_dev_nbd_facts(d->nbd)->read_only && !disk->read_only)
		return refuse(option, "the server lets nobody write; add ,readonly");
	return 0;
}

/*
 * A server that takes whole blocks of 4096 bytes alone, as its own disk does, has a disk with such
 * blocks.
 */
static int choose_block_len(struct vmb_dev_disk *disk)
{
	const struct nbd_disk *d = disk->state;
	uint32_t min = vmb_dev_nbd_facts(d->nbd)->block_len_min;

	if (!disk->option->block_len && !disk->option->dvd && min > disk->block_len)
		disk->block_len = LONG_BLOCK_LEN;
	if (min <= disk->block_len)
		return 0;
	vmb_dev_report(
		"%s %s: the server takes no blocks shorter than %u bytes, the disk's have %u%s",
		vmb_dev_disk_option_name(disk->option), disk->option->path, min, disk->block_len,
		min == LONG_BLOCK_LEN && !disk->option->dvd ? "; give block=4096" : "");
	return -EINVAL;
}

static void restart_server(void *arg)
{
	vmb_dev_disk_server_restart(arg);
}

static void leave_server(void *arg)
{
	vmb_dev_disk_server_leave(arg);
}

/*
 * Unmapped blocks are promised to read as zeroes, which only a server that makes zeroes can keep. A
 * length that is not whole blocks is cut: no guest can reach the rest.
 */
static int prepare(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;
	struct vmb_dev_nbd_owner owner = { .restart = restart_server, .leave = leave_server };
	int error;

	error = connect_disk(disk);
	if (error)
		return error;
	if (choose_block_len(disk))
		return -EINVAL;
	disk->len = vmb_dev_nbd_facts(d->nbd)->len;
	disk->len -= disk->len % disk->block_len;
	disk->can_unmap = !disk->read_only && vmb_dev_nbd_facts(d->nbd)->can_zero;
	owner.arg = d->server;
	error = vmb_dev_nbd_start(d->nbd, d->server ? &owner : NULL);
	return error ? refuse(disk->option, strerror(-error)) : 0;
}

static void cancel(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;

	vmb_dev_nbd_cancel(d->nbd);
}

static void leave(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;

	vmb_dev_nbd_leave(d->nbd);
}

/* The server goes last: it writes out what it was told when it has lost its last client. */
static void close_disk(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;

	vmb_dev_nbd_close(d->nbd);
	vmb_dev_disk_server_stop(d->server);
	free(d);
}

static const struct vmb_dev_disk_ops ops = { .prepare = prepare,
					     .begin = begin,
					     .resume = resume,
					     .cancel = cancel,
					     .leave = leave,
					     .close = close_disk };

bool vmb_dev_disk_is_nbd(const char *path)
{
	static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(schemes); i++)
		if (strncmp(path, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

/*
 * Whether there is such a server or image shows when it is used: asking changes things at the other
 * end.
 */
int vmb_dev_disk_open_nbd(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	struct nbd_disk *d;

	if (vmb_dev_disk_is_nbd(option->path) && option->format)
		return refuse(option,
			      "an NBD export has no format; leave format= out, its server knows");
	if (!vmb_dev_disk_is_nbd(option->path) &&
	    access(option->path, option->read_only ? R_OK : R_OK | W_OK))
		return refuse(option, strerror(errno));
	if (!vmb_dev_disk_is_nbd(option->path) && vmb_dev_disk_check_image(option))
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return refuse(option, strerror(ENOMEM));
	d->waiting_end = &d->waiting;
	disk->state = d;
	disk->ops = &ops;
	return 0;
}
