// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A disk in this process's memory, empty at the start and gone at the end. It never waits, so every
 * request is done when begin returns: tests drive a whole device on it in one thread, and
 * measurements leave out everything but the device.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/platform.h"
#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/text.h"

static int refuse(const struct vmb_dev_disk_option *option, const char *why)
{
	vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, why);
	return -EINVAL;
}

static void move(struct vmb_dev_disk_request *request, uint8_t *at)
{
	bool to_guest = request->task->op == VMB_HOST_SCSI_READ;

	for (uint32_t i = 0; i < request->iov_count; i++) {
		struct iovec *iov = &request->iov[i];

		if (to_guest)
			vmb_shared_write(iov->iov_base, at, iov->iov_len);
		else
			vmb_shared_read(at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
}

/* Whole pages go back to the system and are zeroes when they are touched again. */
static void clear(uint8_t *at, uint64_t len)
{
	uint64_t head = -(uintptr_t)at % VMB_PAGE_LEN, pages_len;

	if (head > len)
		head = len;
	pages_len = (len - head) / VMB_PAGE_LEN * VMB_PAGE_LEN;
	memset(at, 0, head);
	if (pages_len && madvise(at + head, pages_len, MADV_DONTNEED))
		memset(at + head, 0, pages_len);
	memset(at + head + pages_len, 0, len - head - pages_len);
}

static enum vmb_dev_disk_step begin(struct vmb_dev_disk *disk, struct vmb_dev_disk_request *request,
				    struct vmb_dev_disk_engine *engine)
{
	const struct vmb_host_scsi_task *task = request->task;
	uint8_t *bytes = disk->state;

	switch (task->op) {
	case VMB_HOST_SCSI_READ:
	case VMB_HOST_SCSI_WRITE: move(request, bytes + task->offset); break;
	case VMB_HOST_SCSI_FLUSH: break;
	case VMB_HOST_SCSI_UNMAP:
		for (uint32_t i = 0; i < task->extent_count; i++)
			clear(bytes + task->extents[i].offset, task->extents[i].len);
		break;
	case VMB_HOST_SCSI_WRITE_ZEROES: clear(bytes + task->offset, task->len); break;
	case VMB_HOST_SCSI_WRITE_SAME:
		for (uint64_t at = 0; at < task->len; at += disk->block_len)
			memcpy(bytes + task->offset + at, task->data, disk->block_len);
		break;
	}
	request->error = VMB_HOST_SCSI_OK;
	return VMB_DEV_DISK_DONE;
}

/* Never reached: begin does not wait. */
static enum vmb_dev_disk_step resume(struct vmb_dev_disk *disk,
				     struct vmb_dev_disk_request *request,
				     struct vmb_dev_disk_engine *engine, int result)
{
	return begin(disk, request, engine);
}

static int prepare(struct vmb_dev_disk *disk)
{
	void *bytes = mmap(NULL, disk->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (bytes == MAP_FAILED)
		return refuse(disk->option, strerror(errno));
	madvise(bytes, disk->len, MADV_DONTDUMP);
	disk->state = bytes;
	disk->can_unmap = !disk->read_only;
	return 0;
}

static void close_disk(struct vmb_dev_disk *disk)
{
	if (disk->state)
		munmap(disk->state, disk->len);
}

static const struct vmb_dev_disk_ops ops = {
	.prepare = prepare, .begin = begin, .resume = resume, .close = close_disk, .at_once = true
};

int vmb_dev_disk_open_ram(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	const char *size = option->path + strlen(VMB_DEV_DISK_RAM_PREFIX);

	disk->ops = &ops;
	if (vmb_dev_text_size(size, &disk->len) && disk->len <= SIZE_MAX / 2)
		return 0;
	vmb_dev_report("%s %s: '%s' is no size; give for example ram:64M",
		       vmb_dev_disk_option_name(option), option->path, size);
	return -EINVAL;
}
