// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A file or block device whose bytes are the disk's. A flush of the guest is an fdatasync of the
 * file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/disk/engine.h"
#include "devices/report.h"

#define HOLE_LEN       4096
#define LONG_BLOCK_LEN 4096 /* of a block device; any other has blocks of 512 bytes */
#define TRIES_MAX      100u /* of an operation that is not possible just now: 2 s for all of them */

/* The source of zeroes where a file system cannot make them. */
static const uint8_t zeroes[64 << 10];

static enum vmb_dev_disk_step done(struct vmb_dev_disk_request *request,
				   enum vmb_host_scsi_error error)
{
	request->error = error;
	return VMB_DEV_DISK_DONE;
}

static enum vmb_dev_disk_step submit(struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine,
				     struct vmb_dev_disk_operation operation)
{
	request->operation = operation;
	vmb_dev_disk_engine_submit(engine, request);
	return VMB_DEV_DISK_WAIT;
}

static enum vmb_dev_disk_step sync_file(struct vmb_dev_disk *disk,
					struct vmb_dev_disk_request *request,
					struct vmb_dev_disk_engine *engine)
{
	return submit(request, engine,
		      (struct vmb_dev_disk_operation){ .kind = VMB_DEV_DISK_SYNC, .fd = disk->fd });
}

static enum vmb_dev_disk_step allocate(struct vmb_dev_disk *disk,
				       struct vmb_dev_disk_request *request,
				       struct vmb_dev_disk_engine *engine, int mode,
				       uint64_t offset, uint64_t len)
{
	return submit(request, engine,
		      (struct vmb_dev_disk_operation){ .kind = VMB_DEV_DISK_ALLOCATE,
						       .fd = disk->fd,
						       .mode = mode | FALLOC_FL_KEEP_SIZE,
						       .offset = offset,
						       .len = len });
}

/* What is left of iov, to or from where the request has come. */
static enum vmb_dev_disk_step move(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				   struct vmb_dev_disk_engine *engine)
{
	bool reads = request->task->op == VMB_HOST_SCSI_READ;

	return submit(request, engine,
		      (struct vmb_dev_disk_operation){
			      .kind = reads ? VMB_DEV_DISK_READV : VMB_DEV_DISK_WRITEV,
			      .fd = disk->fd,
			      .iov = request->iov + request->iov_first,
			      .iov_count = request->iov_count - request->iov_first,
			      .offset = request->task->offset + request->done_len });
}

/* The same piece again and again, as often as iov holds it. */
static enum vmb_dev_disk_step next_repeat(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct vmb_dev_disk_engine *engine, const void *piece,
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
	return move(disk, request, engine);
}

static enum vmb_dev_disk_step next_extent(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct vmb_dev_disk_engine *engine)
{
	const struct vmb_host_scsi_extent *extent = &request->task->extents[request->done_len];

	return allocate(disk, request, engine, FALLOC_FL_PUNCH_HOLE, extent->offset, extent->len);
}

static enum vmb_dev_disk_step next_zeroes(struct vmb_dev_disk *disk,
					  struct vmb_dev_disk_request *request,
					  struct vmb_dev_disk_engine *engine)
{
	const struct vmb_host_scsi_task *task = request->task;
	int mode = task->may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (request->by_hand)
		return next_repeat(disk, request, engine, zeroes, sizeof(zeroes));
	return allocate(disk, request, engine, mode, task->offset, task->len);
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
				   struct vmb_dev_disk_engine *engine)
{
	const struct vmb_host_scsi_task *task = request->task;

	if (request->done_len == amount(task) && !wants_sync(request))
		return done(request, VMB_HOST_SCSI_OK);
	if (request->cancels != disk->cancels)
		return done(request, VMB_HOST_SCSI_ABORTED);
	if (disk->flush_failed &&
	    (task->op == VMB_HOST_SCSI_FLUSH || request->done_len == amount(task)))
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	if (request->done_len == amount(task)) {
		request->syncing = true;
		return sync_file(disk, request, engine);
	}
	switch (task->op) {
	case VMB_HOST_SCSI_FLUSH: return sync_file(disk, request, engine);
	case VMB_HOST_SCSI_UNMAP: return next_extent(disk, request, engine);
	case VMB_HOST_SCSI_WRITE_ZEROES: return next_zeroes(disk, request, engine);
	case VMB_HOST_SCSI_WRITE_SAME:
		return next_repeat(disk, request, engine, task->data, disk->block_len);
	default: return move(disk, request, engine);
	}
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct vmb_dev_disk_engine *engine)
{
	request->done_len = 0;
	request->iov_first = 0;
	request->syncing = false;
	request->by_hand = false;
	request->resting = false;
	request->tries = 0;
	request->cancels = disk->cancels;
	return next(disk, request, engine);
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

/* Tries again after a pause, but not for ever: then it is an error of the medium. */
static enum vmb_dev_disk_step rest(struct vmb_dev_disk_request *request,
				   struct vmb_dev_disk_engine *engine)
{
	if (request->tries++ == TRIES_MAX)
		return done(request, VMB_HOST_SCSI_IO_ERROR);
	request->resting = true;
	return submit(request, engine,
		      (struct vmb_dev_disk_operation){ .kind = VMB_DEV_DISK_REST });
}

/*
 * If the file system cannot free space, that is no error; but zeroes must be written in another
 * way. Any other error is the medium's.
 */
static enum vmb_dev_disk_step failed(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	enum vmb_host_scsi_op op = request->task->op;

	if (result == -EINTR || result == -EAGAIN)
		return rest(request, engine);
	if (op == VMB_HOST_SCSI_UNMAP && unsupported(result) && !request->syncing) {
		request->done_len++;
		return next(disk, request, engine);
	}
	if (op == VMB_HOST_SCSI_WRITE_ZEROES && unsupported(result) && !request->by_hand) {
		request->by_hand = true;
		return next(disk, request, engine);
	}
	if (op == VMB_HOST_SCSI_FLUSH || request->syncing)
		vmb_dev_disk_lost(disk, -result);
	if (result == -ENOSPC || result == -EDQUOT)
		return done(request, VMB_HOST_SCSI_NO_SPACE);
	return done(request, VMB_HOST_SCSI_IO_ERROR);
}

static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	enum vmb_host_scsi_op op = request->task->op;

	if (request->resting) {
		request->resting = false;
		return next(disk, request, engine);
	}
	if (result < 0)
		return failed(disk, request, engine, result);
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
	return next(disk, request, engine);
}

/* Of a block device or of the disk that it is a part of; 0: not known. */
static uint64_t queue_limit(dev_t device, const char *name)
{
	static const char *const folders[] = { "queue", "../queue" };
	char path[128];
	unsigned long long limit = 0;
	FILE *file = NULL;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(folders) && !file; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), folders[i], name);
		file = fopen(path, "re");
	}
	if (!file || fscanf(file, "%llu", &limit) != 1)
		limit = 0;
	if (file)
		fclose(file);
	return limit;
}

/*
 * Unmapped blocks are promised to read as zeroes. A block device that punches a hole does so by a
 * command of its own that writes zeroes, in whole blocks of its own.
 */
static bool device_can_unmap(const struct vmb_dev_disk *disk, dev_t device)
{
	return queue_limit(device, "write_zeroes_max_bytes") > 0 &&
	       disk->block_len >= queue_limit(device, "logical_block_size");
}

/* In a file a hole behind the end changes no byte and tells whether there can be any. */
static int prepare(struct vmb_dev_disk *disk)
{
	struct stat st;

	if (disk->read_only || fstat(disk->fd, &st))
		return 0;
	if (S_ISBLK(st.st_mode))
		disk->can_unmap = device_can_unmap(disk, st.st_rdev);
	else
		disk->can_unmap = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
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

static int resize(struct vmb_dev_disk *disk, uint64_t len)
{
	struct stat st;

	if (fstat(disk->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EOPNOTSUPP;
	return ftruncate(disk->fd, len) ? -errno : 0;
}

static const struct vmb_dev_disk_ops ops = { .prepare = prepare,
					     .begin = begin,
					     .resume = resume,
					     .close = close_disk,
					     .measure = measure,
					     .resize = resize };

static int refuse(const struct vmb_dev_disk_option *option, const char *why)
{
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, why);
	return -EINVAL;
}

/*
 * Two writers would ruin the file system on it; a reader and a writer would at least confuse each
 * other.
 */
int vmb_dev_disk_lock(int fd, const struct vmb_dev_disk_option *option)
{
	struct flock lock = { .l_type = option->read_only ? F_RDLCK : F_WRLCK,
			      .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse(option, "in use by another machine, or given twice; stop that one, "
				      "or give a copy");
	return 0; /* a file system without locks */
}

static int check_kind(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	struct stat st;
	int block_len;

	if (fstat(disk->fd, &st))
		return refuse(option, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(option, "neither a file nor a block device; give one of these");
	disk->len = len_of(disk->fd, &st);
	if (S_ISBLK(st.st_mode) && !option->dvd && !option->block_len &&
	    ioctl(disk->fd, BLKSSZGET, &block_len) == 0 && block_len == LONG_BLOCK_LEN)
		disk->block_len = LONG_BLOCK_LEN;
	return 0;
}

/*
 * A block device that is mounted, or part of an array, is ruined by a second writer: the system
 * knows who has claimed it.
 */
static int open_file(const struct vmb_dev_disk *disk, const char *path)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* the last for a FIFO, which is refused */
	struct stat st;

	if (disk->read_only)
		return open(path, flags | O_RDONLY);
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	return open(path, flags | O_RDWR);
}

int vmb_dev_disk_open_raw(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	int error;

	disk->fd = open_file(disk, option->path);
	if (disk->fd < 0 && errno == EBUSY)
		return refuse(option, "in use on this machine, mounted or by another program; "
				      "free it, or add ,readonly");
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
		error = vmb_dev_disk_refuse_image(disk);
	return error ? error : vmb_dev_disk_lock(disk->fd, option);
}
