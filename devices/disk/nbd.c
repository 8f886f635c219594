// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A disk on an NBD server. The worker's requests become operations of devices/disk/nbd_connection.h; what ends there, on another thread,
 * comes back as a completion that is posted into the worker's ring. All data pass through private memory: a guest's page may
 * change while a write waits for its server, and what is written again later must be what was answered.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/disk/nbd_connection.h"
#include "devices/report.h"

#define POST_URING_LEN 8
#define POST_TRIES     10000u /* a millisecond apart */
#define ZERO_LEN       (1u << 20) /* bytes of zeroes a write, where the server makes none itself */
#define WHY_LEN	       256

struct nbd_disk {
	struct vmb_dev_disk_server *server; /* our own, or NULL */
	struct vmb_dev_nbd *nbd; /* NULL: not prepared */
	struct io_uring post; /* the NBD thread's */
	bool have_post;
};

/* One operation of a request. */
struct nbd_task {
	struct vmb_dev_nbd_op op;
	struct nbd_disk *disk;
	struct vmb_dev_disk_request *request;
	int ring; /* the worker's */
	uint8_t *data; /* of a READ */
};

static enum vmb_dev_disk_step done(struct vmb_dev_disk_request *request,
				   enum vmb_host_scsi_error error)
{
	request->error = error;
	return VMB_DEV_DISK_DONE;
}

static bool try_post(struct nbd_disk *d, int ring, void *request, int result)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&d->post);
	struct io_uring_cqe *cqe;
	bool posted;

	if (!sqe)
		return false;
	io_uring_prep_msg_ring(sqe, ring, (unsigned int)result, (uintptr_t)request, 0);
	if (io_uring_submit(&d->post) < 0 || io_uring_wait_cqe(&d->post, &cqe))
		return false;
	posted = cqe->res >= 0;
	io_uring_cqe_seen(&d->post, cqe);
	return posted;
}

/*
 * On the NBD thread: result arrives in the worker's ring with the request as its user data. A worker
 * whose ring is full takes from it soon; one that has failed never does, and is not waited for.
 */
static void post(struct nbd_disk *d, int ring, void *request, int result)
{
	for (uint32_t tries = 0; tries < POST_TRIES; tries++) {
		if (try_post(d, ring, request, result))
			return;
		poll(NULL, 0, 1);
	}
	vmb_dev_report("--disk: NBD: a command's end cannot be told to the controller");
}

static void ended(struct vmb_dev_nbd_op *op, int error)
{
	struct nbd_task *task = VMB_CONTAINER_OF(op, struct nbd_task, op);

	post(task->disk, task->ring, task->request, error);
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

static bool fill(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
		 struct vmb_dev_nbd_op *op)
{
	if (op->kind != VMB_DEV_NBD_READ && op->kind != VMB_DEV_NBD_WRITE)
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

static enum vmb_dev_disk_step next(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				   struct io_uring *uring)
{
	struct nbd_disk *d = disk->state;
	struct nbd_task *task;

	if (request->done_len == amount(request->task))
		return done(request, VMB_HOST_SCSI_OK);
	task = calloc(1, sizeof(*task));
	if (!task)
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	next_op(disk, request, &task->op);
	if (!fill(disk, request, &task->op)) {
		free(task);
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	}
	task->op.ended = ended;
	task->disk = d;
	task->request = request;
	task->ring = uring->ring_fd;
	if (task->op.kind == VMB_DEV_NBD_READ)
		task->data = task->op.data;
	request->backend = task;
	vmb_dev_nbd_submit(d->nbd, &task->op);
	return VMB_DEV_DISK_WAIT;
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct io_uring *uring)
{
	request->done_len = 0;
	return next(disk, request, uring);
}

static enum vmb_host_scsi_error translate(int error)
{
	if (error == ENOTCONN)
		return VMB_HOST_SCSI_GONE;
	return error == ENOSPC ? VMB_HOST_SCSI_NO_SPACE : VMB_HOST_SCSI_IO_ERROR;
}

static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request, struct io_uring *uring,
				     int result)
{
	struct nbd_task *task = request->backend;
	bool counts_things = request->task->op == VMB_HOST_SCSI_UNMAP ||
			     request->task->op == VMB_HOST_SCSI_FLUSH;

	if (!result && task->data)
		copy_iov(request, task->data, true);
	request->done_len += counts_things ? 1 : task->op.len;
	free(task->data);
	free(task);
	return result ? done(request, translate(result)) : next(disk, request, uring);
}

static int refuse(const struct vmb_dev_disk_option *option, const char *why)
{
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, why);
	return -EINVAL;
}

/* Posting into another ring came with Linux 5.18. */
static bool can_post(struct nbd_disk *d)
{
	struct io_uring_cqe *cqe;
	bool can = false;
	unsigned int seen = 0;

	if (io_uring_queue_init(POST_URING_LEN, &d->post, 0))
		return false;
	d->have_post = true;
	io_uring_prep_msg_ring(io_uring_get_sqe(&d->post), d->post.ring_fd, 0, 1, 0);
	if (io_uring_submit_and_wait(&d->post, 1) < 0)
		return false;
	while (seen < 2 && io_uring_wait_cqe(&d->post, &cqe) == 0) {
		can = cqe->res >= 0;
		io_uring_cqe_seen(&d->post, cqe);
		seen = can ? seen + 1 : 2;
	}
	return can;
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
	if (!d->nbd && d->server)
		vmb_dev_disk_server_explain(d->server, why, sizeof(why));
	if (!d->nbd)
		return refuse(option, why);
	if (vmb_dev_nbd_facts(d->nbd)->read_only && !disk->read_only)
		return refuse(option, "the server lets nobody write; add ,readonly");
	return 0;
}

/*
 * Unmapped blocks are promised to read as zeroes, which only a server that makes zeroes can keep. A length that is not
 * whole blocks is cut: no guest can reach the rest.
 */
static int prepare(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;
	int error;

	if (!can_post(d))
		return refuse(disk->option, "NBD disks need Linux 5.18 with io_uring");
	error = connect_disk(disk);
	if (error)
		return error;
	disk->len = vmb_dev_nbd_facts(d->nbd)->len;
	disk->len -= disk->len % disk->block_len;
	disk->can_unmap = !disk->read_only && vmb_dev_nbd_facts(d->nbd)->can_zero;
	error = vmb_dev_nbd_start(d->nbd, d->server != NULL);
	return error ? refuse(disk->option, strerror(-error)) : 0;
}

/* The server goes last: it writes out what it was told when it has lost its last client. */
static void close_disk(struct vmb_dev_disk *disk)
{
	struct nbd_disk *d = disk->state;

	vmb_dev_nbd_close(d->nbd);
	vmb_dev_disk_server_stop(d->server);
	if (d->have_post)
		io_uring_queue_exit(&d->post);
	free(d);
}

static const struct vmb_dev_disk_ops ops = {
	.prepare = prepare, .begin = begin, .resume = resume, .close = close_disk
};

bool vmb_dev_disk_is_nbd(const char *path)
{
	static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(schemes); i++)
		if (strncmp(path, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

/* Whether there is such a server or image shows when it is used: asking changes things at the other end. */
int vmb_dev_disk_open_nbd(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	if (vmb_dev_disk_is_nbd(option->path) && option->format)
		return refuse(option,
			      "an NBD export has no format; leave format= out, its server knows");
	if (!vmb_dev_disk_is_nbd(option->path) &&
	    access(option->path, option->read_only ? R_OK : R_OK | W_OK))
		return refuse(option, strerror(errno));
	disk->state = calloc(1, sizeof(struct nbd_disk));
	if (!disk->state)
		return refuse(option, strerror(ENOMEM));
	disk->ops = &ops;
	return 0;
}
