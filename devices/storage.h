/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A storage channel on the bus, between the host core's storage protocol and the backends: the SCSI controller with all its
 * disks, or one unit of the IDE controller. devices/controllers.h has all those of a machine.
 *
 *   vmb_dev_storage_open(&storage, &options)   the disks; reported when one is no good. For IDE: _open_ide
 *   vmb_dev_storage_prepare(&storage)          they will be used
 *   for every start of the machine: vmb_dev_storage_attach(&storage, bus), after the bus was created
 *   vmb_dev_storage_close(&storage)
 *
 * An open channel has a worker thread that owns everything below: the rings, the requests, the core's state. It waits
 * in one place, for doorbell, stop and completed disk operations alike. The number of requests is bounded; when all are
 * under way the ring is left alone until one ends.
 *
 * Faults that the options plan are played here: a request that is held is nobody's until a reset of its unit, one that is
 * stuck until the channel opens again; closing waits for neither. A unit that was taken away is back in the machine's next
 * life. Once a second the worker looks whether a medium has another length, and tells the guest.
 *
 * What a request says is copied out of the ring once and judged in the copy. The guest's pages may change at any time:
 * nothing in them is interpreted, except parameter lists, which are copied first.
 */
#ifndef DEVICES_STORAGE_H
#define DEVICES_STORAGE_H

#include <liburing.h>

#include "host/storage.h"
#include "devices/disk/disk.h"
#include "devices/bus.h"
#include "vmm/options.h"

#define VMB_DEV_STORAGE_REQUEST_COUNT 256u

struct vmb_dev_storage_request {
	struct vmb_host_storage_io io;
	struct vmb_dev_disk_request disk;
	uint32_t transfer_len; /* bytes of guest memory in disk.iov */
	uint32_t reset_count; /* of the unit, when it was held */
	struct vmb_dev_storage_request *next; /* free, held, or waits to be answered */
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

	/* the worker's */
	pthread_t thread;
	bool started; /* there is a thread to join */
	int stop; /* eventfd */
	bool stopping;
	bool broken; /* the guest broke the protocol, or the unit is gone: nothing is read any more */
	struct io_uring uring;
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

/* -errno: reported. */
int vmb_dev_storage_open(struct vmb_dev_storage *s, const struct vmb_vmm_options *o);
/* The unit at o->ides[place], which is there. */
int vmb_dev_storage_open_ide(struct vmb_dev_storage *s, const struct vmb_vmm_options *o,
			     uint32_t place);
/* -EINVAL: reported; close what is open. */
int vmb_dev_storage_prepare(struct vmb_dev_storage *s);
int vmb_dev_storage_attach(struct vmb_dev_storage *s, struct vmb_dev_bus *bus);
/* Begins to close: what the disks need for it they then need at the same time. Close follows. */
void vmb_dev_storage_leave(struct vmb_dev_storage *s);
void vmb_dev_storage_close(struct vmb_dev_storage *s);
/* A line of statistics. When no worker runs. */
void vmb_dev_storage_report(const struct vmb_dev_storage *s);

#endif
