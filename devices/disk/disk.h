/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk's backend: a small table of functions that do what the SCSI target asks of the medium.
 *
 *   vmb_dev_disk_open(&disk, &option)      what kind it is; checked and locked as far as that changes nothing
 *   vmb_dev_disk_prepare(&disk)            now it is used: connected, measured, what it can do
 *   step = disk.ops->begin(&disk, request, uring)
 *     VMB_DEV_DISK_WAIT: one operation is in uring with request as its user data;
 *     when it is complete: step = disk.ops->resume(&disk, request, uring, result)
 *   until VMB_DEV_DISK_DONE: request->error says what became of it
 *   vmb_dev_disk_resized(&disk)            now and then: whether its length has changed
 *   vmb_dev_disk_close(&disk)
 *
 * Context: one thread a uring. The request, its iov and the task are the caller's until DONE.
 */
#ifndef DEVICES_DISK_DISK_H
#define DEVICES_DISK_DISK_H

#include <liburing.h>

#include "vmm/options.h"

/* Pages of the longest transfer, the first and last of which may be cut. */
#define VMB_DEV_DISK_TRANSFER_MAX (1u << 20)
#define VMB_DEV_DISK_IOV_MAX	  (VMB_DEV_DISK_TRANSFER_MAX / VMB_PAGE_LEN + 1)

enum vmb_dev_disk_step {
	VMB_DEV_DISK_WAIT,
	VMB_DEV_DISK_DONE,
};

struct vmb_dev_disk_request {
	/* the caller's */
	const struct vmb_host_scsi_task *task; /* op, offset, len, fua, may_unmap, extents, data */
	struct iovec
		iov[VMB_DEV_DISK_IOV_MAX]; /* READ, WRITE: task->len bytes; used up. Else: room */
	uint32_t iov_count;

	/* the backend's */
	enum vmb_host_scsi_error error;
	uint32_t iov_first; /* what is left of iov */
	uint64_t done_len; /* bytes, or extents */
	bool syncing; /* FUA: the data are written, now for the medium */
	bool by_hand; /* WRITE_ZEROES: the file system cannot, zeroes are written */
	void *backend;
};

struct vmb_dev_disk;

struct vmb_dev_disk_ops {
	int (*prepare)(struct vmb_dev_disk *disk); /* sets len and can_unmap; -errno: reported */
	enum vmb_dev_disk_step (*begin)(struct vmb_dev_disk *disk,
					struct vmb_dev_disk_request *request,
					struct io_uring *uring);
	enum vmb_dev_disk_step (*resume)(struct vmb_dev_disk *disk,
					 struct vmb_dev_disk_request *request,
					 struct io_uring *uring, int result);
	void (*close)(struct vmb_dev_disk *disk);
	/* Bytes that the medium has now, 0: not known. NULL: it stays as it was. Must not wait. */
	uint64_t (*measure)(const struct vmb_dev_disk *disk);
};

struct vmb_dev_disk {
	const struct vmb_dev_disk_ops *ops;
	const struct vmb_dev_disk_option *option; /* the caller's, outlives the disk */
	uint64_t len; /* bytes, a multiple of block_len; known after prepare, new after resized */
	uint32_t block_len;
	bool read_only;
	bool can_unmap;
	bool went_wrong; /* as option->hold or stuck says, which is once */
	int fd; /* raw */
	void *state; /* NBD */
};

/* What is wrong is reported in one line: -EINVAL. */
int vmb_dev_disk_open(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
int vmb_dev_disk_prepare(struct vmb_dev_disk *disk);
/* Measures a medium that somebody may have made longer or shorter; true: len is another now. Else nothing changed. */
bool vmb_dev_disk_resized(struct vmb_dev_disk *disk);
void vmb_dev_disk_close(struct vmb_dev_disk *disk);

/* The kinds. -EINVAL: reported. */
int vmb_dev_disk_open_raw(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
int vmb_dev_disk_open_null(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);

int vmb_dev_disk_open_nbd(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);

#define VMB_DEV_DISK_NULL_PREFIX "null:"
bool vmb_dev_disk_is_nbd(const char *path); /* a URI of that kind */

/* Image formats (devices/disk/format.c). */
bool vmb_dev_disk_format_known(const char *name); /* as format= names it, raw included */
/* What a file of len bytes looks like, in format='s words, or NULL. */
const char *vmb_dev_disk_format_of(int fd, uint64_t len);

/* A private NBD server for an image. NULL: reported. Stopping waits until it has written all out. */
struct vmb_dev_disk_server;
struct vmb_dev_disk_server *vmb_dev_disk_server_start(const struct vmb_dev_disk_option *option);
/* It did not serve: if it has ended, its own words replace why (why_len bytes). */
void vmb_dev_disk_server_explain(struct vmb_dev_disk_server *server, char *why, uint32_t why_len);
const char *vmb_dev_disk_server_uri(const struct vmb_dev_disk_server *server);
void vmb_dev_disk_server_stop(struct vmb_dev_disk_server *server);

/* How messages name an option. */
const char *vmb_dev_disk_option_name(const struct vmb_dev_disk_option *option);

/* The value of --disk, --cdrom, --ide or --ide-cdrom, into a free place of o. -EINVAL: reported. */
int vmb_dev_disk_parse(struct vmb_vmm_options *o, char *value, bool ide, bool dvd);

#endif
