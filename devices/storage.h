/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A storage channel on the bus, between the host core's storage protocol and the disk backends: a
 * SCSI controller with all its disks, or one unit of the IDE controller. A device of
 * devices/device.h:
 *
 *   vmb_dev_storage_open(&device, &config), then the device's own functions
 *
 * A SCSI controller has one queue a channel: the primary's, and those of the sub-channels that its
 * guest asks for, config.queue_count in all. Each queue has its own worker, its own engine and its
 * own requests, and answers a request on the channel where it was asked. All queues share the
 * units: the lock is held while the core judges a request and while a backend begins or resumes
 * one, not while the engine moves data. A flush on one channel therefore covers every write that
 * was answered before on any.
 *
 * A queue is stepped, by its worker's thread or by whoever owns the device, and its step owns the
 * rings and the requests. The bus orders it to open and to close. The number of requests is
 * bounded; when all are under way the ring is left alone until one ends.
 *
 * A request that a fault holds is set aside until a reset of its unit, on whichever channel that
 * comes, one that is stuck until the channel opens again; closing waits for neither. A unit that
 * was taken away is back when the machine starts again. Once a second the primary's worker checks
 * whether a medium has changed its length, and tells the guest.
 *
 * What a request says is copied out of the ring once and judged in the copy. The guest's pages may
 * change at any time: nothing in them is interpreted, except parameter lists, which are copied
 * first.
 */
#ifndef DEVICES_STORAGE_H
#define DEVICES_STORAGE_H

#include "devices/device.h"
#include "devices/disk/disk.h"
#include "devices/disk/engine.h"
#include "devices/worker.h"
#include "host/storage.h"

#define VMB_DEV_STORAGE_REQUEST_COUNT 256u /* of a queue */
#define VMB_DEV_STORAGE_QUEUE_MAX     64u

struct vmb_dev_storage;
struct vmb_dev_storage_queue;

struct vmb_dev_storage_request {
	struct vmb_dev_storage_queue *queue; /* where it was asked and is answered */
	struct vmb_host_storage_io io;
	struct vmb_dev_disk_request disk;
	bool torn; /* a fault does its first half alone */
	uint64_t began; /* nanoseconds; 0: not under way; atomic */
	uint32_t transfer_len; /* bytes of guest memory in disk.iov */
	uint32_t reset_count; /* of the unit, when it was held */
	struct vmb_ring_part *noted; /* its pages, for a recording; NULL: never recorded */
	uint32_t noted_count;
	struct vmb_dev_storage_request *next; /* free, held, or waits to be answered */
};

extern const struct vmb_guid vmb_dev_storage_scsi_id; /* of openvmbus's SCSI controller */

struct vmb_dev_storage_config {
	uint16_t version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	/* channels at most: 1 to VMB_DEV_STORAGE_QUEUE_MAX, 1 if ide; 0 = 1 */
	uint32_t queue_count;
	uint32_t poll_us; /* that each queue looks at its ring before it sleeps; 0: not */
	bool ide; /* one unit on an IDE channel */
	uint32_t place; /* of the IDE unit: 0..VMB_DEV_IDE_MAX - 1 */
	/* of a SCSI controller; NULL: vmb_dev_storage_scsi_id */
	const struct vmb_guid *instance_id;
	/* one of several controllers of a machine: its id is in its name and its units' serials */
	bool named;
	const struct vmb_guid *unit_id; /* names LUN 0, see below; NULL: generated */
	/* by LUN; outlive the device; path NULL: no unit */
	const struct vmb_dev_disk_option *disks;
	uint32_t disk_count; /* at most VMB_HOST_SCSI_LUN_MAX; 1 if ide */
};

enum vmb_dev_storage_state {
	VMB_DEV_STORAGE_CLOSED,
	VMB_DEV_STORAGE_OPEN,
	VMB_DEV_STORAGE_CLOSING, /* until the backends have let go of all requests */
};

struct vmb_dev_storage_queue {
	struct vmb_dev_storage *storage;
	uint32_t index; /* of the channel; 0 = the primary */
	struct vmb_dev_worker worker;

	/* the bus's, for the step */
	struct vmb_dev_channel *opening; /* written before the order to open */
	uint32_t orders; /* to open, to close; atomic */

	/* the lock's */
	struct vmb_dev_storage_request *held; /* until a reset */
	/* answers that another queue's step has made ready; may be looked at without the lock */
	struct vmb_dev_storage_request *ended;

	/* the step's */
	struct vmb_dev_channel *channel; /* NULL: closed */
	enum vmb_dev_storage_state state;
	/* the guest broke the protocol, or the unit is gone: the ring is no longer read */
	bool broken;
	bool leaving; /* the unit is gone: the channel must be rescinded */
	bool more; /* the budget was used up before the ring was empty */
	bool starved; /* all requests are under way, and the ring is masked */
	/* what the engine watches for this queue */
	bool has_engine, watching, watching_bell, timing, engine_failed;
	struct vmb_dev_disk_engine engine;
	struct vmb_dev_storage_request *requests;
	struct vmb_dev_storage_request *free;
	struct vmb_dev_storage_request *answers, **answers_end;
	uint32_t busy_count; /* requests at the backends */

	/* for the summary; read when no worker runs */
	uint64_t packets_in, packets_out, doorbells, signals;
};

struct vmb_dev_storage {
	pthread_mutex_t lock; /* host, units, disks, and what their comments say */
	struct vmb_host_storage host;
	struct vmb_guid type_id, instance_id; /* of the offer */
	struct vmb_stor_offer user;
	struct vmb_guid unit_id; /* names LUN 0; the LUN is added to name another */
	char name[48]; /* in statistics, and of the device if it is named */
	bool named;
	struct vmb_host_scsi_lun units[VMB_HOST_SCSI_LUN_MAX];
	struct vmb_dev_disk disks[VMB_HOST_SCSI_LUN_MAX]; /* without ops: not there */
	struct vmb_dev_disk_option *own[VMB_HOST_SCSI_LUN_MAX]; /* of disks that were plugged in */
	uint64_t leaving; /* units that are unplugged, one bit a LUN */
	uint32_t plugged; /* how often a disk was plugged in */
	bool grows; /* a disk may change its length; atomic */
	struct vmb_dev_channel channel; /* the primary */
	struct vmb_dev_storage_queue *queues;
	uint32_t queue_count;
	uint32_t poll_us; /* config's */

	bool ready; /* the guest may use sub-channels; atomic, written under the lock */
	bool closing; /* the primary closes: what is under way may be cancelled; the lock's */
	uint64_t holding; /* queues that hold requests, one bit each; the lock's */
	/* sub-channels that a queue may still touch; the primary closes after them; atomic */
	uint32_t sub_count;
	bool poked; /* a step left work for another queue; atomic */
	bool released; /* the guest has let go of a channel that is no longer offered; atomic */

	/* for the summary; the lock's */
	uint32_t open_count, open_max; /* channels at a time */
	uint16_t version; /* the last negotiated */
	uint64_t read_len, written_len; /* bytes */
	uint64_t flushes;
};

extern const struct vmb_dev_device_ops vmb_dev_storage_ops;

/*
 * Opens a storage channel and its disks. Returns 0, or -errno: reported, with nothing left behind.
 * The device's state is a struct vmb_dev_storage.
 */
int vmb_dev_storage_open(struct vmb_dev_device *device,
			 const struct vmb_dev_storage_config *config);

/*
 * Disks of a controller that runs, devices/storage_plug.c. Any thread, one at a time; nothing
 * waits.
 *
 * A disk is opened and prepared first (devices/disk/disk.h), with an option from malloc() whose
 * path is from malloc() too, and then plugged in: disk and option are the controller's from then
 * on. One that is unplugged is gone for the guest at once; its backend may still work for it, and
 * when it no longer does, the disk is taken back and can be closed.
 *
 * All return 0; -ENOENT: no unit has this LUN; -EBUSY: one has it already.
 */
int vmb_dev_storage_plug(struct vmb_dev_storage *s, uint32_t lun, const struct vmb_dev_disk *disk,
			 struct vmb_dev_disk_option *option);
int vmb_dev_storage_unplug(struct vmb_dev_storage *s, uint32_t lun);
/*
 * Takes an unplugged disk back. -EAGAIN: requests are still under way at its backend. *option: to
 * be freed after the disk was closed; NULL: it is not the controller's.
 */
int vmb_dev_storage_take_back(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_disk *disk,
			      struct vmb_dev_disk_option **option);
/* Closes what _take_back gave. May wait for the backend. */
void vmb_dev_storage_discard(struct vmb_dev_disk *disk, struct vmb_dev_disk_option *option);
/*
 * The drive opens: its disc is no longer there. force: also if the guest has locked it. -EINVAL:
 * the unit is no drive; -EPERM: it is locked.
 */
int vmb_dev_storage_eject(struct vmb_dev_storage *s, uint32_t lun, bool force);
/*
 * Puts another disc into the drive, disk and option as for _plug, and gives the old ones back in
 * their place. empty: the medium stands for an empty drive. -EAGAIN: requests for the old disc are
 * under way; eject it first.
 */
int vmb_dev_storage_exchange(struct vmb_dev_storage *s, uint32_t lun, struct vmb_dev_disk *disk,
			     struct vmb_dev_disk_option **option, bool empty);
/* -EINVAL, -EOPNOTSUPP: as vmb_dev_disk_resize(). */
int vmb_dev_storage_resize(struct vmb_dev_storage *s, uint32_t lun, uint64_t len);
/* The LUNs that are taken, one bit each. */
uint64_t vmb_dev_storage_luns(struct vmb_dev_storage *s);

/* What one unit is now. */
struct vmb_dev_storage_unit {
	char path[256]; /* cut */
	bool dvd, read_only, leaving, gone, medium_absent, tray_open, locked;
	uint64_t len; /* bytes */
	uint32_t block_len, busy;
};
int vmb_dev_storage_look(struct vmb_dev_storage *s, uint32_t lun,
			 struct vmb_dev_storage_unit *unit);

/* devices/storage.c: what the guest sees of disks[lun]. With the lock, or before any queue runs. */
void vmb_dev_storage_fill_unit(struct vmb_dev_storage *s, uint32_t lun);
/* devices/storage_queue.c: ends held requests of units that were reset. With the lock. */
void vmb_dev_storage_end_held(struct vmb_dev_storage *s);
/* The age of the oldest request under way, nanoseconds; 0: none. Any thread. */
uint64_t vmb_dev_storage_queue_oldest(const struct vmb_dev_storage_queue *q);

/*
 * devices/storage_queue.c, for devices/storage.c. The queue's channel is opened, and closed, by the
 * bus's order; any thread.
 */
void vmb_dev_storage_queue_open(struct vmb_dev_storage_queue *q, struct vmb_dev_channel *channel);
void vmb_dev_storage_queue_close(struct vmb_dev_storage_queue *q);
/* Prepares a queue, whose worker does not run. */
void vmb_dev_storage_queue_init(struct vmb_dev_storage_queue *q, struct vmb_dev_storage *storage,
				uint32_t index);
/* Starts and stops its worker. Returns 0 or -errno: reported. */
int vmb_dev_storage_queue_start(struct vmb_dev_storage_queue *q);
/* In place of that where whoever steps the device carries out its operations too. */
void vmb_dev_storage_queue_start_by_hand(struct vmb_dev_storage_queue *q);
void vmb_dev_storage_queue_stop(struct vmb_dev_storage_queue *q);
/* Frees the requests; the worker must have stopped. */
void vmb_dev_storage_queue_free(struct vmb_dev_storage_queue *queue);
/* Does what can be done now. Returns whether there is more. */
bool vmb_dev_storage_queue_step(struct vmb_dev_storage_queue *q);
/* devices/storage.c: offers the sub-channels that the guest asked for. The primary's step. */
void vmb_dev_storage_offer(struct vmb_dev_storage *s, uint32_t count);

#endif
