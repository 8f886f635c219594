/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk's backend: a small table of functions that do what the SCSI target asks of the medium.
 *
 *   vmb_vmm_disk_open(&disk, &option)      what kind it is; checked, locked, nothing changed
 *   disk.ops->prepare(&disk)               now it is used: finds out what it can
 *   step = disk.ops->begin(&disk, request, uring)
 *     VMB_VMM_DISK_WAIT: one operation is in uring with request as its user data;
 *     when it is complete: step = disk.ops->resume(&disk, request, uring, result)
 *   until VMB_VMM_DISK_DONE: request->error says what became of it
 *   vmb_vmm_disk_close(&disk)
 *
 * Context: one thread a uring. The request, its iov and the task are the caller's until DONE.
 */
#ifndef VMM_DISK_H
#define VMM_DISK_H

#include <liburing.h>

#include "vmm/options.h"

/* Pages of the longest transfer, the first and last of which may be cut. */
#define VMB_VMM_DISK_TRANSFER_MAX (1u << 20)
#define VMB_VMM_DISK_IOV_MAX	  (VMB_VMM_DISK_TRANSFER_MAX / VMB_PAGE_LEN + 1)

enum vmb_vmm_disk_step {
	VMB_VMM_DISK_WAIT,
	VMB_VMM_DISK_DONE,
};

struct vmb_vmm_disk_request {
	/* the caller's */
	const struct vmb_host_scsi_task *task; /* op, offset, len, fua, may_unmap, extents, data */
	struct iovec
		iov[VMB_VMM_DISK_IOV_MAX]; /* READ, WRITE: task->len bytes; used up. Else: room */
	uint32_t iov_count;

	/* the backend's */
	enum vmb_host_scsi_error error;
	uint32_t iov_first; /* what is left of iov */
	uint64_t done_len; /* bytes, or extents */
	bool syncing; /* FUA: the data are written, now for the medium */
	bool by_hand; /* WRITE_ZEROES: the file system cannot, zeroes are written */
};

struct vmb_vmm_disk;

struct vmb_vmm_disk_ops {
	void (*prepare)(struct vmb_vmm_disk *disk); /* sets can_unmap */
	enum vmb_vmm_disk_step (*begin)(struct vmb_vmm_disk *disk,
					struct vmb_vmm_disk_request *request,
					struct io_uring *uring);
	enum vmb_vmm_disk_step (*resume)(struct vmb_vmm_disk *disk,
					 struct vmb_vmm_disk_request *request,
					 struct io_uring *uring, int result);
	void (*close)(struct vmb_vmm_disk *disk);
};

struct vmb_vmm_disk {
	const struct vmb_vmm_disk_ops *ops;
	uint64_t len; /* bytes, a multiple of block_len */
	uint32_t block_len;
	bool read_only;
	bool can_unmap;
	int fd; /* raw */
};

/* What is wrong is reported in one line: -EINVAL. */
int vmb_vmm_disk_open(struct vmb_vmm_disk *disk, const struct vmb_vmm_disk_option *option);
void vmb_vmm_disk_close(struct vmb_vmm_disk *disk);

/* The kinds. -EINVAL: reported. */
int vmb_vmm_disk_open_raw(struct vmb_vmm_disk *disk, const struct vmb_vmm_disk_option *option);
int vmb_vmm_disk_open_null(struct vmb_vmm_disk *disk, const struct vmb_vmm_disk_option *option);

#define VMB_VMM_DISK_NULL_PREFIX "null:"

/* How messages name an option. */
const char *vmb_vmm_disk_option_name(const struct vmb_vmm_disk_option *option);

#endif
