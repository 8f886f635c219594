/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A storage channel on the bus, between the host core's storage protocol and the disk backends: a
 * SCSI controller with all its disks, or one unit of the IDE controller. A device of
 * devices/device.h:
 *
 *   vmb_dev_storage_open(&device, &config), then the device's own functions
 *
 * The device is stepped, by a worker thread or by whoever owns it, and its step owns everything
 * below: the rings, the requests, the core's state. The bus orders it to open and to close. The
 * number of requests is bounded; when all are under way the ring is left alone until one ends.
 *
 * A request that a fault holds is set aside until a reset of its unit, one that is stuck until the
 * channel opens again; closing waits for neither. A unit that was taken away is back when the
 * machine starts again. Once a second the worker checks whether a medium has changed its length,
 * and tells the guest.
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

#define VMB_DEV_STORAGE_REQUEST_COUNT 256u

struct vmb_dev_storage_request {
	struct vmb_host_storage_io io;
	struct vmb_dev_disk_request disk;
	uint32_t transfer_len; /* bytes of guest memory in disk.iov */
	uint32_t reset_count; /* of the unit, when it was held */
	struct vmb_dev_storage_request *next; /* free, held, or waits to be answered */
};

struct vmb_dev_storage_config {
	uint16_t version_max; /* VMB_STOR_VERSION_*, 0 = newest */
	bool ide; /* one unit on an IDE channel */
	uint32_t place; /* of the IDE unit: 0..VMB_DEV_IDE_MAX - 1 */
	const struct vmb_guid *instance_id; /* of a SCSI controller; NULL: the one of openvmbus */
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

struct vmb_dev_storage {
	struct vmb_host_storage host;
	struct vmb_guid type_id, instance_id; /* of the offer */
	struct vmb_stor_offer user;
	struct vmb_guid unit_id; /* names LUN 0; the LUN is added to name another */
	char name[16]; /* in serial numbers and statistics */
	struct vmb_host_scsi_lun units[VMB_HOST_SCSI_LUN_MAX];
	struct vmb_dev_disk disks[VMB_HOST_SCSI_LUN_MAX]; /* without ops: not there */
	struct vmb_dev_channel channel;

	uint32_t orders; /* of the bus: to open, to close; atomic */
	bool released; /* the guest has let go of a channel that is no longer offered; atomic */
	struct vmb_dev_worker worker;

	/* the step's */
	enum vmb_dev_storage_state state;
	/* the guest broke the protocol, or the unit is gone: the ring is no longer read */
	bool broken;
	bool more; /* the budget was used up before the ring was empty */
	bool starved; /* all requests are under way, and the ring is masked */
	bool has_engine, watching, engine_failed;
	struct vmb_dev_disk_engine engine;
	struct vmb_dev_storage_request *requests;
	struct vmb_dev_storage_request *free;
	struct vmb_dev_storage_request *held; /* until a reset */
	struct vmb_dev_storage_request *answers, **answers_end;
	uint32_t busy_count; /* requests at the backends */

	/* for the summary; read when no worker runs */
	uint16_t version; /* the last negotiated */
	uint64_t read_len, written_len; /* bytes */
	uint64_t flushes;
	uint64_t packets_in, packets_out, doorbells;
};

extern const struct vmb_dev_device_ops vmb_dev_storage_ops;

/*
 * Opens a storage channel and its disks. Returns 0, or -errno: reported, with nothing left behind.
 * The device's state is a struct vmb_dev_storage.
 */
int vmb_dev_storage_open(struct vmb_dev_device *device,
			 const struct vmb_dev_storage_config *config);

#endif
