/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The SCSI target: how a logical unit responds to a command block. Emulated commands are answered
 * here; those that need the medium become a backend operation. It knows nothing of VMBus.
 *
 *   the caller fills in vmb_host_scsi_lun (kind, geometry, identity)
 *   step = vmb_host_scsi_execute(bus, task)       task: address, CDB, room for data
 *     VMB_HOST_SCSI_DONE       see task->srb_status, scsi_status, sense, and data (data_len bytes
 *                              to the guest)
 *     VMB_HOST_SCSI_WANT_DATA  fetch task->want_len bytes from the guest into task->data, call
 *                              vmb_host_scsi_data()
 *     VMB_HOST_SCSI_BACKEND    do task->op on task->unit, then vmb_host_scsi_done(task, error)
 *
 * Context: one caller at a time for all units of a bus (a unit's state changes: reservations,
 * attention).
 *
 * Source: docs/protocol/storage.md, "12 SCSI target"; SPC-3, SBC-3, MMC-5 for the commands named
 * there.
 */
#ifndef HOST_SCSI_H
#define HOST_SCSI_H

#include "wire/storage.h"

#define VMB_HOST_SCSI_LUN_MAX	     64u
#define VMB_HOST_SCSI_DATA_MAX	     4096u /* longest emulated answer or parameter list, bytes */
#define VMB_HOST_SCSI_EXTENT_MAX     255u /* UNMAP descriptors a command */
#define VMB_HOST_SCSI_WRITE_SAME_MAX (8u << 20) /* bytes a command */
#define VMB_HOST_SCSI_SERIAL_LEN     32u

enum vmb_host_scsi_kind {
	VMB_HOST_SCSI_DISK,
	VMB_HOST_SCSI_DVD,
};

enum vmb_host_scsi_attention { /* waiting unit attentions, bits */
			       VMB_HOST_SCSI_CAPACITY_CHANGED = 1, /* 2A/09 */
			       VMB_HOST_SCSI_LUNS_CHANGED = 2, /* 3F/0E */
			       VMB_HOST_SCSI_MEDIUM_CHANGED = 4, /* 28/00 */
			       VMB_HOST_SCSI_BUS_RESET = 8, /* 29/00 */
};

struct vmb_host_scsi_lun {
	/* filled by the caller */
	enum vmb_host_scsi_kind kind;
	bool read_only;
	bool can_unmap; /* the backend can free space: thin provisioning is announced */
	bool zero_after_unmap; /* unmapped blocks read as zero */
	bool write_cache; /* data may be volatile until FLUSH: WCE is announced */
	uint32_t block_len; /* bytes: 512 or 4096 for disks, 2048 for DVDs */
	uint32_t physical_block_len; /* >= block_len, a power of two */
	uint64_t block_count;
	uint8_t guid[16]; /* identity: VPD 83 */
	char serial[VMB_HOST_SCSI_SERIAL_LEN]; /* VPD 80, NUL-terminated; empty = none */
	void *backend; /* the caller's own */

	/* the target's */
	uint32_t attention; /* VMB_HOST_SCSI_* bits */
	bool flush_failed; /* data may be lost: flushes fail until the caller clears it */
	uint32_t reset_count; /* for callers that keep requests until a reset */
	bool medium_absent; /* DVD: no disc in drive or tray; the caller may set it */
	bool tray_open;
	bool removal_prevented;
	uint32_t media_event; /* GET EVENT STATUS NOTIFICATION: what to report next */
	uint64_t reservation_key; /* persistent reservation of the only initiator */
	bool registered, reserved;
	uint8_t reservation_type;
	uint32_t reservation_generation;
	uint32_t kept_sense; /* for REQUEST SENSE when autosense was off: key, code, qualifier */
};

/* All units of one controller; index = LUN on path 0, target 0; NULL = absent. */
struct vmb_host_scsi_bus {
	struct vmb_host_scsi_lun *luns[VMB_HOST_SCSI_LUN_MAX];
	uint32_t max_transfer_len; /* bytes, limits announced in VPD B0 */
};

enum vmb_host_scsi_step {
	VMB_HOST_SCSI_DONE,
	VMB_HOST_SCSI_WANT_DATA,
	VMB_HOST_SCSI_BACKEND,
};

enum vmb_host_scsi_op {
	VMB_HOST_SCSI_READ, /* offset, len: medium to guest pages */
	VMB_HOST_SCSI_WRITE, /* offset, len, fua: guest pages to medium */
	VMB_HOST_SCSI_FLUSH, /* everything written is durable afterwards */
	VMB_HOST_SCSI_UNMAP, /* extents */
	VMB_HOST_SCSI_WRITE_ZEROES, /* offset, len; may_unmap: space may be freed */
	VMB_HOST_SCSI_WRITE_SAME, /* offset, len; task->data holds one block to repeat */
};

enum vmb_host_scsi_error { /* results of a backend operation */
			   VMB_HOST_SCSI_OK,
			   VMB_HOST_SCSI_IO_ERROR, /* medium error: read 3/11, write 3/0C */
			   VMB_HOST_SCSI_NO_SPACE, /* 7/27/07 */
			   VMB_HOST_SCSI_GONE, /* the backend is unreachable: 2/04 not ready */
			   VMB_HOST_SCSI_ABORTED, /* cancelled by a reset */
};

struct vmb_host_scsi_extent {
	uint64_t offset; /* bytes on the medium */
	uint64_t len; /* bytes */
};

struct vmb_host_scsi_task {
	/* in */
	uint8_t path_id, target_id, lun;
	uint8_t cdb_len;
	uint8_t cdb[VMB_STOR_CDB_LEN_MAX];
	uint8_t direction; /* enum vmb_stor_direction, claimed by the guest */
	uint32_t transfer_len; /* bytes of guest memory offered */
	bool no_autosense;

	/* backend operation */
	struct vmb_host_scsi_lun *unit;
	enum vmb_host_scsi_op op;
	bool fua;
	bool may_unmap;
	uint64_t offset; /* bytes */
	uint64_t len; /* bytes */
	uint32_t extent_count;
	struct vmb_host_scsi_extent extents[VMB_HOST_SCSI_EXTENT_MAX];

	/* WANT_DATA */
	uint32_t want_len;

	/* out */
	uint8_t srb_status; /* flags included */
	uint8_t scsi_status;
	uint8_t sense_len;
	uint8_t sense[VMB_STOR_SENSE_LEN];
	uint32_t data_len; /* DONE: bytes of data to copy to the guest (<= transfer_len) */
	uint32_t moved_len; /* DONE: data_transfer_length to report */
	uint8_t data[VMB_HOST_SCSI_DATA_MAX];
};

/* Starts a command. The caller fills in the task's "in" part; everything else is set here. */
enum vmb_host_scsi_step vmb_host_scsi_execute(struct vmb_host_scsi_bus *bus,
					      struct vmb_host_scsi_task *task);

/*
 * Continues after VMB_HOST_SCSI_WANT_DATA: task->data holds task->want_len bytes, a private copy.
 */
enum vmb_host_scsi_step vmb_host_scsi_data(struct vmb_host_scsi_bus *bus,
					   struct vmb_host_scsi_task *task);

/* Ends a command after VMB_HOST_SCSI_BACKEND: fills in status, sense and moved_len. */
void vmb_host_scsi_done(struct vmb_host_scsi_task *task, enum vmb_host_scsi_error error);

/*
 * The caller changed block_count, or the disc of a DVD drive (medium_absent, block_count; the disc
 * comes with the tray closed).
 */
void vmb_host_scsi_changed(struct vmb_host_scsi_lun *unit);

/*
 * The initiator reset the unit, which reports that with its next command. The caller must have
 * ended the commands that were under way.
 */
void vmb_host_scsi_reset(struct vmb_host_scsi_lun *unit);

/*
 * Returns the standard's name of a command, or NULL if this kind of unit does not know it. For
 * traces.
 */
const char *vmb_host_scsi_name(enum vmb_host_scsi_kind kind, uint8_t opcode);

#endif
