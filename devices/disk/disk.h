/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk's backend: a small table of functions that do what the SCSI target asks of the medium.
 *
 *   vmb_dev_disk_open(&disk, &option)      finds its kind; checks and locks it, changes nothing
 *   vmb_dev_disk_prepare(&disk)            now it is used: connects, measures it
 *   step = disk.ops->begin(&disk, request, engine)
 *     VMB_DEV_DISK_WAIT: the engine has it;
 *     when it is taken from it: step = disk.ops->resume(&disk, request, engine, result)
 *   until VMB_DEV_DISK_DONE: request->error is the outcome; or until a step that only a fault
 *     returns
 *   vmb_dev_disk_cancel(&disk)             requests under way end soon
 *   vmb_dev_disk_resized(&disk)            now and then: has its length changed?
 *   vmb_dev_disk_close(&disk)
 *
 * A filter is a disk above another one: it has the same table, and hands on what it does not do
 * itself (devices/disk/fault.c).
 *
 * Context: several threads may use a disk, each with an engine of its own; one at a time calls
 * begin, resume, cancel and resized, under a lock of the caller's. The caller must keep the
 * request, its iov and the task until DONE.
 */
#ifndef DEVICES_DISK_DISK_H
#define DEVICES_DISK_DISK_H

#include <sys/uio.h>

#include "host/scsi.h"
#include "wire/guid.h"

struct vmb_dev_disk_engine;

/* Pages of the longest transfer, the first and last of which may be cut. */
#define VMB_DEV_DISK_TRANSFER_MAX (1u << 20)
#define VMB_DEV_DISK_IOV_MAX	  (VMB_DEV_DISK_TRANSFER_MAX / VMB_PAGE_LEN + 1)

/* Something that goes wrong when the guest reads this block. */
struct vmb_dev_disk_fault {
	bool planned;
	uint64_t block; /* logical */
};

struct vmb_dev_disk_option {
	/* NULL: no unit here. A file, an NBD URI, "null:LENGTH" or "ram:LENGTH" */
	const char *path;
	const char *format; /* as format= names it; NULL: not said */
	const char *serial; /* NULL: one is generated */
	uint32_t block_len; /* bytes; 0: not said */
	uint32_t reconnect_s; /* NBD: how long commands wait for a server that went away */
	bool backing; /* an image may show other files */
	bool no_discard; /* the guest is not told that it may unmap, though it could */
	bool read_only;
	bool dvd;
	bool ide;
	bool nvme;
	struct vmb_dev_disk_fault
		hold; /* not answered until the guest resets the unit or closes the channel */
	/* never answered, and forgotten when the guest closes the channel */
	struct vmb_dev_disk_fault stuck;
	struct vmb_dev_disk_fault gone; /* the disk is taken away */
};

/* Two IDE channels with two units each, by place. */
#define VMB_DEV_IDE_MAX		   4u
#define VMB_DEV_IDE_CHANNEL(place) ((place) / 2)
#define VMB_DEV_IDE_UNIT(place)	   ((place) % 2)

enum vmb_dev_disk_step {
	VMB_DEV_DISK_WAIT,
	VMB_DEV_DISK_DONE,
	/* the backend has dropped the request, which has no outcome: */
	/* it ends, as aborted, with the next reset of its unit or of the channel */
	VMB_DEV_DISK_HELD,
	VMB_DEV_DISK_STUCK, /* it ends with the channel */
	VMB_DEV_DISK_GONE, /* the unit is to be taken away */
};

/* What the engine does for a backend (devices/disk/engine.h). */
enum vmb_dev_disk_operation_kind {
	VMB_DEV_DISK_READV,
	VMB_DEV_DISK_WRITEV,
	VMB_DEV_DISK_SYNC, /* the data, as fdatasync() does */
	VMB_DEV_DISK_ALLOCATE, /* as fallocate() does */
	VMB_DEV_DISK_REST, /* nothing, for VMB_DEV_DISK_REST_NS */
};
#define VMB_DEV_DISK_REST_NS 20000000

struct vmb_dev_disk_operation {
	enum vmb_dev_disk_operation_kind kind;
	int fd, mode;
	const struct iovec *iov;
	uint32_t iov_count;
	uint64_t offset, len; /* bytes */
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
	bool resting; /* the operation was not possible just now; it is tried again after a while */
	uint32_t tries; /* of it, in vain */
	uint32_t cancels; /* the disk's, when it began */
	struct vmb_dev_disk_engine *engine; /* where it began, while it waits for room */
	void *backend;
	struct vmb_dev_disk_operation operation;

	/* the engine's; the backend's when the engine has not got the request */
	struct vmb_dev_disk_request *next;
	int result;
};

struct vmb_dev_disk;

struct vmb_dev_disk_ops {
	int (*prepare)(struct vmb_dev_disk *disk); /* sets len and can_unmap; -errno: reported */
	enum vmb_dev_disk_step (*begin)(struct vmb_dev_disk *disk,
					struct vmb_dev_disk_request *request,
					struct vmb_dev_disk_engine *engine);
	enum vmb_dev_disk_step (*resume)(struct vmb_dev_disk *disk,
					 struct vmb_dev_disk_request *request,
					 struct vmb_dev_disk_engine *engine, int result);
	/* NULL: what is under way ends soon anyway. */
	void (*cancel)(struct vmb_dev_disk *disk);
	/* NULL: close is quick. */
	void (*leave)(struct vmb_dev_disk *disk);
	void (*close)(struct vmb_dev_disk *disk);
	/* Bytes that the medium has now, 0: not known. NULL: it stays as it was. Must not wait. */
	uint64_t (*measure)(const struct vmb_dev_disk *disk);
	/* Makes the medium len bytes long. NULL: cannot. Returns 0 or -errno. */
	int (*resize)(struct vmb_dev_disk *disk, uint64_t len);
	bool at_once; /* begin ends each request, so that no engine is needed */
};

/* A planned fault that was met, and how often its unit had been reset then. */
struct vmb_dev_disk_met {
	bool met;
	uint32_t reset_count;
};

struct vmb_dev_disk {
	const struct vmb_dev_disk_ops *ops;
	const struct vmb_dev_disk_option *option; /* the caller's, outlives the disk */
	uint64_t len; /* bytes, a multiple of block_len; known after prepare, new after resized */
	uint32_t block_len;
	bool read_only;
	bool can_unmap;
	uint32_t busy; /* requests at the backend; the device's */
	uint32_t cancels; /* how often what was under way was cancelled */
	/* then each later flush fails too, because the system reports lost data only once */
	bool flush_failed;
	struct vmb_dev_disk_met held, stuck; /* a filter of faults */
	int fd; /* raw */
	void *state; /* the backend's own */
	struct vmb_dev_disk *below; /* a filter's */
};

/*
 * Finds the backend for option, and opens it as far as that changes nothing. Returns 0, or -EINVAL:
 * what is wrong is reported in one line. option must outlive the disk.
 */
int vmb_dev_disk_open(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
/* Connects and measures a disk that was opened. Returns 0, or -errno: reported. */
int vmb_dev_disk_prepare(struct vmb_dev_disk *disk);
/* Whether its requests need an engine, and with it a thread that waits for them. */
bool vmb_dev_disk_needs_engine(const struct vmb_dev_disk *disk);
/*
 * Measures a medium that somebody may have made longer or shorter. Returns whether disk->len has
 * changed.
 */
bool vmb_dev_disk_resized(struct vmb_dev_disk *disk);
/*
 * Makes the medium len bytes long, which the next _resized then finds. Returns 0; -EINVAL: not
 * whole blocks; -EOPNOTSUPP: a disk of this kind, or a read-only one, has a fixed length; or
 * -errno.
 */
int vmb_dev_disk_resize(struct vmb_dev_disk *disk, uint64_t len);
/*
 * Makes the requests under way at the backend end soon, with any error, because no one waits for
 * their outcome. Each of them must still be resumed until it is done. Does not wait. Requests that
 * begin afterwards are not affected.
 */
void vmb_dev_disk_cancel(struct vmb_dev_disk *disk);
/*
 * Begins to close, and returns at once, so that slow backends close at the same time. No request
 * may be under way, and close must follow. A caller may also call close alone.
 */
void vmb_dev_disk_leave(struct vmb_dev_disk *disk);
/* Closes the disk, also when prepare failed. No request may be under way. */
void vmb_dev_disk_close(struct vmb_dev_disk *disk);

/* The kinds. -EINVAL: reported. */
int vmb_dev_disk_open_raw(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
int vmb_dev_disk_open_null(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
int vmb_dev_disk_open_ram(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);
int vmb_dev_disk_open_nbd(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option);

/*
 * Puts the filter of planned faults above an open disk. -EINVAL: reported, and disk is as it was.
 */
int vmb_dev_disk_add_fault(struct vmb_dev_disk *disk);

/*
 * Checks that the user whom the program will become (devices/user.h) can use what is opened only
 * after that: an image, by its server, and an NBD server's socket, each time it is connected to.
 * Returns 0, or -EINVAL: reported. A row without a path is all right.
 */
int vmb_dev_disk_check_user(const struct vmb_dev_disk_option *option);

#define VMB_DEV_DISK_NULL_PREFIX "null:"
#define VMB_DEV_DISK_RAM_PREFIX	 "ram:"
bool vmb_dev_disk_is_nbd(const char *path); /* a URI of that kind */

/*
 * Locks an open file of a disk, in any format, until the last process that shares this descriptor
 * closes it. Returns 0, or -EINVAL: another process has locked it, which is reported.
 */
int vmb_dev_disk_lock(int fd, const struct vmb_dev_disk_option *option);

/* Image formats (devices/disk/format.c). */
bool vmb_dev_disk_format_known(const char *name); /* as format= names it, raw included */
const char *vmb_dev_disk_format_driver(const char *name); /* QEMU's name of the format, or NULL */
/*
 * Checks an open raw disk without format=. Returns -EINVAL, reported, if it looks like an image of
 * another format.
 */
int vmb_dev_disk_refuse_image(const struct vmb_dev_disk *disk);
/*
 * Checks an image. Returns -EINVAL, reported, if it names other files and the option does not allow
 * that, or if its headers contradict each other.
 */
int vmb_dev_disk_check_image(const struct vmb_dev_disk_option *option);

/* A private NBD server for an image (devices/disk/server.c). NULL: reported. */
struct vmb_dev_disk_server;
struct vmb_dev_disk_server *vmb_dev_disk_server_start(const struct vmb_dev_disk_option *option);
/* Returns the address of the server for libnbd; valid until stop. */
const char *vmb_dev_disk_server_uri(const struct vmb_dev_disk_server *server);
/* The server is stuck: kills it and starts another one. Returns at once; any thread. */
void vmb_dev_disk_server_restart(struct vmb_dev_disk_server *server);
/*
 * Tells the server that it has nothing more to serve. Returns at once; the caller must call stop
 * later.
 */
void vmb_dev_disk_server_leave(struct vmb_dev_disk_server *server);
/*
 * Waits until the server has written its data to the image, at most 8 s after leave. server may be
 * NULL.
 */
void vmb_dev_disk_server_stop(struct vmb_dev_disk_server *server);

/* Reports once that a flush has failed. error: an errno. */
void vmb_dev_disk_lost(struct vmb_dev_disk *disk, int error);

/* How messages name an option. */
const char *vmb_dev_disk_option_name(const struct vmb_dev_disk_option *option);

#define VMB_DEV_DISK_NOT_SAID (-1)

/* What a value of --disk, --cdrom, --ide, --ide-cdrom or --nvme says. */
struct vmb_dev_disk_parsed {
	struct vmb_dev_disk_option option;
	int lun, channel, unit; /* VMB_DEV_DISK_NOT_SAID: any that is free */
	bool has_controller;
	struct vmb_guid controller; /* the instance id of a SCSI controller */
};

/*
 * Parses a value. It is copied, not changed; the copy begins at the option's path and is the
 * caller's to free. Returns 0, or -EINVAL: reported, with nothing to free.
 */
int vmb_dev_disk_parse(struct vmb_dev_disk_parsed *p, const char *value, bool ide, bool dvd);
/* The same for a value of --nvme, which has no place. */
int vmb_dev_disk_parse_nvme(struct vmb_dev_disk_parsed *p, const char *value);
/*
 * Puts it into a free entry of units: VMB_DEV_IDE_MAX entries by place if it is an IDE unit, else
 * VMB_HOST_SCSI_LUN_MAX entries by LUN, of its controller. Returns 0, or -EINVAL: reported.
 */
int vmb_dev_disk_place(struct vmb_dev_disk_option *units, const struct vmb_dev_disk_parsed *p);

#endif
