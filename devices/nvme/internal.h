/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parts of an NVMe disk:
 *   device.c      the row of functions, the channel, the worker, where accesses go
 *   controller.c  registers, queues, completions
 *   admin.c       commands of the admin queue
 *   io.c          commands of the others, and where their data are
 *
 * Everything of struct vmb_dev_nvme but the channel and what says so is under its lock.
 */
#ifndef DEVICES_NVME_INTERNAL_H
#define DEVICES_NVME_INTERNAL_H

#include "devices/bus.h"
#include "devices/disk/engine.h"
#include "devices/nvme/nvme.h"
#include "devices/nvme/spec.h"
#include "devices/worker.h"
#include "host/pci.h"
#include "host/pci_function.h"

#define NVME_QUEUE_MAX	   17u /* pairs, with that of the admin commands */
#define NVME_VECTOR_COUNT  NVME_QUEUE_MAX
#define NVME_ENTRY_MAX	   1024u /* of a queue */
#define NVME_REQUEST_COUNT 128u
#define NVME_EVENT_MAX	   4u /* requests for events that wait */
#define NVME_TRANSFER_MAX  8u /* 2^n pages: VMB_DEV_DISK_TRANSFER_MAX */
_Static_assert(VMB_PAGE_LEN << NVME_TRANSFER_MAX == VMB_DEV_DISK_TRANSFER_MAX, "the same");

/* The function's memory range. */
#define NVME_BAR_LEN	0x4000u
#define NVME_TABLE_AT	0x2000u
#define NVME_PENDING_AT 0x3000u

struct nvme_sq {
	bool on, deleting; /* deleting: DELETE_SQ is answered when nothing is under way */
	uint16_t delete_id; /* of that command */
	uint64_t gpa;
	uint32_t count, head, tail; /* entries */
	uint32_t cq;
	uint32_t busy; /* commands under way */
};

struct nvme_cq {
	bool on, interrupts, phase;
	bool news; /* an entry was written since the last interrupt */
	uint64_t gpa;
	uint32_t count, head, tail;
	uint32_t vector;
	uint32_t users; /* submission queues that complete here */
	uint32_t busy; /* entries that commands under way will need */
};

struct nvme_request {
	struct nvme_request *next; /* free */
	uint32_t life; /* of the controller, when it began */
	uint32_t sq;
	uint16_t id;
	struct vmb_host_scsi_task task;
	struct vmb_dev_disk_request disk;
};

struct vmb_dev_nvme {
	pthread_mutex_t lock;
	uint32_t number;
	char name[16];
	struct vmb_dev_disk disk;
	struct vmb_host_scsi_lun unit; /* what backends know of their user */
	struct vmb_dev_bus *bus; /* from attach to detach */
	struct vmb_dev_window window;
	struct vmb_host_pci pci;
	struct vmb_host_pci_function function;
	uint32_t slot; /* of the function that the configuration page shows */
	uint32_t version; /* last agreed, for the summary */

	/* the controller */
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	bool resetting; /* until nothing is under way */
	uint32_t life; /* how often it was reset */
	struct nvme_sq sqs[NVME_QUEUE_MAX];
	struct nvme_cq cqs[NVME_QUEUE_MAX];
	uint32_t features[VMB_NVME_FEATURE_COUNT];
	uint16_t event_ids[NVME_EVENT_MAX]; /* of requests for events that wait */
	uint32_t event_count;
	uint32_t event; /* one that waits for a request; 0: none */
	struct nvme_request *requests, *free;
	uint32_t busy; /* requests at the backend */
	/* for the summary */
	uint64_t commands, failed, read_len, written_len, flushes, doorbells, interrupts;

	/* the worker's */
	struct vmb_dev_channel channel;
	struct vmb_dev_worker worker;
	struct vmb_dev_disk_engine engine;
	bool has_engine, engine_failed, watching, watching_bell, timing;
	bool open, closing, broken, more, full; /* of the channel */
	bool leaving; /* the channel must be rescinded */
	bool parting; /* the guest is to be asked to let go of the disk; atomic */
	int64_t report_due;
	bool released; /* atomic */
};

/* controller.c */
void nvme_controller_init(struct vmb_dev_nvme *n);
/* Everything that the guest has set is gone; what is under way will not be completed. */
void nvme_controller_reset(struct vmb_dev_nvme *n);
/* Accesses to the registers and doorbells, len is 4 or 8. */
void nvme_controller_access(struct vmb_dev_nvme *n, uint32_t offset, uint8_t *data, uint32_t len,
			    bool is_write);
/* Does what can be done now. Returns whether there is more. */
bool nvme_controller_step(struct vmb_dev_nvme *n);
/* The controller cannot go on until it is reset. */
void nvme_controller_fatal(struct vmb_dev_nvme *n);
/* Ends a command; status: enum vmb_nvme_status. */
void nvme_complete(struct vmb_dev_nvme *n, uint32_t sq, uint16_t id, uint32_t status,
		   uint32_t result);
/* Whether a queue of len bytes may be at gpa: its pages are the guest's memory. */
bool nvme_is_queue(const struct vmb_dev_nvme *n, uint64_t gpa, uint32_t len);
/* How many entries a completion queue has room for. */
uint32_t nvme_room(const struct nvme_cq *cq);
/* A submission queue that is to be deleted goes with the last of its commands. */
void nvme_settle_deletion(struct vmb_dev_nvme *n, uint32_t sq);
/* Sends the function's interrupts that may be sent. */
void nvme_send_interrupts(struct vmb_dev_nvme *n);

/* admin.c, io.c: the command, a private copy, is ended now or later. */
void nvme_admin_command(struct vmb_dev_nvme *n, const struct vmb_nvme_command *command);
/* Completes requests for events that have one. */
void nvme_admin_events(struct vmb_dev_nvme *n);
void nvme_io_command(struct vmb_dev_nvme *n, uint32_t sq, const struct vmb_nvme_command *command);
/* An operation of the engine has ended. */
void nvme_io_resume(struct vmb_dev_nvme *n, struct nvme_request *request, int result);
/*
 * Finds the pages of a command's data. Returns VMB_NVME_OK, or what is wrong with them. *count:
 * how many parts of iov, which has VMB_DEV_DISK_IOV_MAX.
 */
uint32_t nvme_io_pages(const struct vmb_dev_nvme *n, const struct vmb_nvme_command *command,
		       uint32_t len, struct iovec *iov, uint32_t *count);

static inline const struct vmb_dev_memory *nvme_memory(const struct vmb_dev_nvme *n)
{
	return n->bus->memory;
}

#endif
