// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A file or block device whose bytes are the disk's. A flush of the guest is an fdatasync of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"

#define HOLE_LEN  4096
#define TRIES_MAX 100u /* of an operation that is not possible just now */

/* Between two tries: 2 s for all of them. */
static struct __kernel_timespec rest_time = { .tv_nsec = 20000000 };

/* The source of zeroes where a file system cannot make them. */
static const uint8_t zeroes[64 << 10];

static enum vmb_dev_disk_step done(struct vmb_dev_disk_request *request,
				   enum vmb_host_scsi_error error)
{
	request->error = error;
	return VMB_DEV_DISK_DONE;
}

static enum vmb_dev_disk_step submit(struct io_uring_sqe *sqe, struct vmb_dev_disk_request *request)
{
	io_uring_sqe_set_data(sqe, request);
	return VMB_DEV_DISK_WAIT;
}

static enum vmb_dev_disk_step
sync_file(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request, struct io_uring_sqe *sqe)
{
	io_uring_prep_fsync(sqe, disk->fd, IORING_FSYNC_DATASYNC);
	return submit(sqe, request);
}

static enum vmb_dev_disk_step
next_move(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = request->iov + request->iov_first;
	uint32_t count = request->iov_count - request->iov_first;
	uint64_t offset = request->task->offset + request->done_len;

	if (request->task->op == VMB_HOST_SCSI_READ)
		io_uring_prep_readv(sqe, disk->fd, iov, count, offset);
	else
		io_uring_prep_writev(sqe, disk->fd, iov, count, offset);
	return submit(sqe, request);
}

/* The same piece again and again, as often as iov holds it. */
static enum vmb_dev_disk_step next_repeat(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct io_uring_sqe *sqe, const void *piece,
					  uint64_t piece_len)
{
	uint64_t left = request->task->len - request->done_len, len;
	uint64_t into = request->done_len % piece_len;

	request->iov_count = 0;
	while (left && request->iov_count < VMB_DEV_DISK_IOV_MAX) {
		len = piece_len - into < left ? piece_len - into : left;
		request->iov[request->iov_count].iov_base = (uint8_t *)piece + into;
		request->iov[request->iov_count++].iov_len = len;
		left -= len;
		into = 0;
	}
	io_uring_prep_writev(sqe, disk->fd, request->iov, request->iov_count,
			     request->task->offset + request->done_len);
	return submit(sqe, request);
}

static enum vmb_dev_disk_step next_extent(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct io_uring_sqe *sqe)
{
	const struct vmb_host_scsi_extent *extent = &request->task->extents[request->done_len];

	io_uring_prep_fallocate(sqe, disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)extent->offset, (off_t)extent->len);
	return submit(sqe, request);
}

static enum vmb_dev_disk_step next_zeroes(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct io_uring_sqe *sqe)
{
	const struct vmb_host_scsi_task *task = request->task;
	int mode = task->may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (request->by_hand)
		return next_repeat(disk, request, sqe, zeroes, sizeof(zeroes));
	io_uring_prep_fallocate(sqe, disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)task->offset,
				(off_t)task->len);
	return submit(sqe, request);
}

/* How much there is to do, in the unit of done_len. */
static uint64_t amount(const struct vmb_host_scsi_task *task)
{
	switch (task->op) {
	case VMB_HOST_SCSI_FLUSH: return 1;
	case VMB_HOST_SCSI_UNMAP: return task->extent_count;
	default: return task->len;
	}
}

static bool wants_sync(const struct vmb_dev_disk_request *request)
{
	return request->task->fua && request->task->op != VMB_HOST_SCSI_READ &&
	       request->task->op != VMB_HOST_SCSI_FLUSH;
}

static enum vmb_dev_disk_step next(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				   struct io_uring *uring)
{
	const struct vmb_host_scsi_task *task = request->task;
	struct io_uring_sqe *sqe;

	if (request->done_len == amount(task) && !wants_sync(request))
		return done(request, VMB_HOST_SCSI_OK);
	sqe = io_uring_get_sqe(uring);
	if (!sqe)
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	if (request->done_len == amount(task)) {
		request->syncing = true;
		return sync_file(disk, request, sqe);
	}
	switch (task->op) {
	case VMB_HOST_SCSI_FLUSH: return sync_file(disk, request, sqe);
	case VMB_HOST_SCSI_UNMAP: return next_extent(disk, request, sqe);
	case VMB_HOST_SCSI_WRITE_ZEROES: return next_zeroes(disk, request, sqe);
	case VMB_HOST_SCSI_WRITE_SAME:
		return next_repeat(disk, request, sqe, task->data, disk->block_len);
	default: return next_move(disk, request, sqe);
	}
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct io_uring *uring)
{
	request->done_len = 0;
	request->iov_first = 0;
	request->syncing = false;
	request->by_hand = false;
	request->resting = false;
	request->tries = 0;
	return next(disk, request, uring);
}

/* Steps over len bytes of iov. */
static void advance(struct vmb_dev_disk_request *request, uint64_t len)
{
	struct iovec *iov;

	request->done_len += len;
	while (len) {
		iov = &request->iov[request->iov_first];
		if (len < iov->iov_len) {
			iov->iov_base = (uint8_t *)iov->iov_base + len;
			iov->iov_len -= len;
			return;
		}
		len -= iov->iov_len;
		request->iov_first++;
	}
}

static bool unsupported(int result)
{
	return result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS;
}

/* What says "not now" may say so for ever: then it is the medium's fault. */
static enum vmb_dev_disk_step rest(struct vmb_dev_disk_request *request, struct io_uring *uring)
{
	struct io_uring_sqe *sqe = request->tries++ < TRIES_MAX ? io_uring_get_sqe(uring) : NULL;

	if (!sqe)
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	request->resting = true;
	io_uring_prep_timeout(sqe, &rest_time, 0, 0);
	return submit(sqe, request);
}

/*
 * A file system that cannot do what was asked: giving space back is only a wish, except that zeroes must
 * be zeroes. Anything else is the medium's fault.
 */
static enum vmb_dev_disk_step failed(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request, struct io_uring *uring,
				     int result)
{
	enum vmb_host_scsi_op op = request->task->op;

	if (result == -EINTR || result == -EAGAIN)
		return rest(request, uring);
	if (op == VMB_HOST_SCSI_UNMAP && unsupported(result) && !request->syncing) {
		request->done_len++;
		return next(disk, request, uring);
	}
	if (op == VMB_HOST_SCSI_WRITE_ZEROES && unsupported(result) && !request->by_hand) {
		request->by_hand = true;
		return next(disk, request, uring);
	}
	if (result == -ENOSPC || result == -EDQUOT)
		return done(request, VMB_HOST_SCSI_NO_SPACE);
	return done(request, VMB_HOST_SCSI_IO_ERROR);
}

static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request, struct io_uring *uring,
				     int result)
{
	enum vmb_host_scsi_op op = request->task->op;

	if (request->resting) {
		request->resting = false;
		return next(disk, request, uring);
	}
	if (result < 0)
		return failed(disk, request, uring, result);
	request->tries = 0;
	if (request->syncing || op == VMB_HOST_SCSI_FLUSH)
		return done(request, VMB_HOST_SCSI_OK);
	if (op == VMB_HOST_SCSI_UNMAP)
		request->done_len++;
	else if (op == VMB_HOST_SCSI_WRITE_ZEROES && !request->by_hand)
		request->done_len = request->task->len;
	else if (!result) /* the file is shorter than when it was opened, or takes no more */
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	else if (op == VMB_HOST_SCSI_READ || op == VMB_HOST_SCSI_WRITE)
		advance(request, result);
	else
		request->done_len += result;
	return next(disk, request, uring);
}

/* A hole behind the end changes no byte and tells whether there can be any. */
static int prepare(struct vmb_dev_disk *disk)
{
	disk->can_unmap = !disk->read_only &&
			  fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    (off_t)disk->len, HOLE_LEN) == 0;
	return 0;
}

static void close_disk(struct vmb_dev_disk *disk)
{
	close(disk->fd);
}

static uint64_t len_of(int fd, const struct stat *st)
{
	uint64_t len = 0;

	if (S_ISREG(st->st_mode))
		return st->st_size;
	return ioctl(fd, BLKGETSIZE64, &len) ? 0 : len;
}

static uint64_t measure(const struct vmb_dev_disk *disk)
{
	struct stat st;

	return fstat(disk->fd, &st) ? 0 : len_of(disk->fd, &st);
}

static const struct vmb_dev_disk_ops ops = { .prepare = prepare,
					     .begin = begin,
					     .resume = resume,
					     .close = close_disk,
					     .measure = measure };

static int refuse(const struct vmb_dev_disk_option *option, const char *why)
{
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, why);
	return -EINVAL;
}

/* Two writers would ruin the file system on it; a reader and a writer would at least confuse each other. */
static int lock_file(const struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	struct flock lock = { .l_type = disk->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(disk->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse(option, "in use by another machine, or given twice; stop that one, "
				      "or give a copy");
	return 0; /* a file system without locks */
}

static int check_kind(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	struct stat st;

	if (fstat(disk->fd, &st))
		return refuse(option, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(option, "neither a file nor a block device; give one of these");
	disk->len = len_of(disk->fd, &st);
	return 0;
}

/* An image taken as raw shows the guest nonsense, and is ruined by the first write. */
static int refuse_images(const struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	const char *format = option->format ? NULL : vmb_dev_disk_format_of(disk->fd, disk->len);

	if (!format)
		return 0;
	vmb_dev_report("%s %s: looks like a %s image; add format=%s, or format=raw to take its "
		       "bytes as they are",
		       vmb_dev_disk_option_name(option), option->path, format, format);
	return -EINVAL;
}

int vmb_dev_disk_open_raw(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* the last for a FIFO, which is refused */
	int error;

	disk->fd = open(option->path, flags | (disk->read_only ? O_RDONLY : O_RDWR));
	if (disk->fd < 0) {
		vmb_dev_report("%s %s: %s; give a file that can be read%s",
			       vmb_dev_disk_option_name(option), option->path, strerror(errno),
			       disk->read_only ? "" : " and written, or add ,readonly");
		return -EINVAL;
	}
	disk->ops = &ops;
	error = check_kind(disk, option);
	if (!error && fcntl(disk->fd, F_SETFL, 0))
		error = refuse(option, strerror(errno));
	if (!error)
		error = refuse_images(disk, option);
	return error ? error : lock_file(disk, option);
}
