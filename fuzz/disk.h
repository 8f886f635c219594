/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Units of every kind to send commands to, and what must hold for whatever the target makes of one.
 */
#ifndef FUZZ_DISK_H
#define FUZZ_DISK_H

#include "fuzz/fuzz.h"
#include "host/scsi.h"

#define FUZZ_MEDIUM_LEN (1u << 20)

struct fuzz_disks {
	struct vmb_host_scsi_lun units[4];
};

static inline void fuzz_disks_init(struct fuzz_disks *d, struct vmb_host_scsi_bus *bus)
{
	static const uint32_t block_lens[] = { 512, 4096, 2048, 512 };
	struct vmb_host_scsi_lun *unit;
	uint32_t i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < 4; i++) {
		unit = &d->units[i];
		unit->kind = i == 2 ? VMB_HOST_SCSI_DVD : VMB_HOST_SCSI_DISK;
		unit->read_only = i == 2 || i == 3;
		unit->can_unmap = unit->write_cache = i == 0;
		unit->block_len = block_lens[i];
		unit->physical_block_len = i == 0 ? 4096 : block_lens[i];
		unit->block_count = FUZZ_MEDIUM_LEN / block_lens[i];
		bus->luns[i] = unit;
	}
}

/* A command that the unit knows, at a place that is likely to exist. Answers its length. */
static inline uint8_t fuzz_known_cdb(struct fuzz *f, enum vmb_host_scsi_kind kind,
				     uint8_t cdb[VMB_STOR_CDB_LEN_MAX])
{
	static const uint8_t lens[8] = { 6, 10, 10, 6, 16, 12, 6, 6 };
	uint8_t opcode = fuzz_u8(f), i;

	while (!vmb_host_scsi_name(kind, opcode))
		opcode++;
	fuzz_take(f, cdb, VMB_STOR_CDB_LEN_MAX);
	cdb[0] = opcode;
	if (fuzz_u8(f) & 1)
		return lens[opcode >> 5];
	for (i = 2; i < 8; i++)
		cdb[i] = i == 5 ? cdb[i] : 0;
	cdb[8] = opcode == 0x5F || opcode == 0x42 ? 24 :
						    cdb[8]; /* one descriptor's parameter list */
	cdb[5] = opcode == 0x5F ? 0 : cdb[5];
	return lens[opcode >> 5];
}

/* The parameter list that a command asked for. Reservation keys are few, so that some match. */
static inline void fuzz_parameters(struct fuzz *f, struct vmb_host_scsi_task *task)
{
	uint8_t *data = task->data, keys = fuzz_u8(f);

	fuzz_take(f, data, task->want_len);
	if (task->cdb[0] != 0x5F || task->want_len != 24 || keys < 64)
		return;
	memset(data, 0, 24);
	data[7] = keys & 1;
	data[15] = keys >> 1 & 1;
}

/* The backend's view: inside the medium, and no write to what is read-only. */
static inline void fuzz_check_backend(const struct vmb_host_scsi_task *task)
{
	bool writes = task->op == VMB_HOST_SCSI_WRITE || task->op == VMB_HOST_SCSI_UNMAP ||
		      task->op == VMB_HOST_SCSI_WRITE_ZEROES ||
		      task->op == VMB_HOST_SCSI_WRITE_SAME;
	uint32_t i;

	FUZZ_CHECK(task->unit && !(writes && task->unit->read_only));
	if (task->op == VMB_HOST_SCSI_UNMAP) {
		FUZZ_CHECK(task->extent_count <= VMB_HOST_SCSI_EXTENT_MAX);
		for (i = 0; i < task->extent_count; i++)
			FUZZ_CHECK(task->extents[i].offset <= FUZZ_MEDIUM_LEN &&
				   task->extents[i].len <=
					   FUZZ_MEDIUM_LEN - task->extents[i].offset);
	} else if (task->op != VMB_HOST_SCSI_FLUSH) {
		FUZZ_CHECK(task->offset <= FUZZ_MEDIUM_LEN &&
			   task->len <= FUZZ_MEDIUM_LEN - task->offset);
	}
	if (task->op == VMB_HOST_SCSI_READ || task->op == VMB_HOST_SCSI_WRITE)
		FUZZ_CHECK(task->len <= task->transfer_len);
}

static inline void fuzz_check_done(const struct vmb_host_scsi_task *task)
{
	FUZZ_CHECK(task->data_len <= task->transfer_len);
	FUZZ_CHECK(task->data_len <= VMB_HOST_SCSI_DATA_MAX);
	FUZZ_CHECK(task->moved_len <= task->transfer_len);
	FUZZ_CHECK(task->sense_len <= VMB_STOR_SENSE_LEN);
	FUZZ_CHECK(task->srb_status & VMB_SRB_STATUS_MASK);
	FUZZ_CHECK(!(task->srb_status & VMB_SRB_AUTOSENSE_VALID) || task->sense_len);
}

#endif
