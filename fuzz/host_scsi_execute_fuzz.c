// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The SCSI target against any command block, parameter list and sequence of them. */
#include "fuzz/disk.h"

struct bed {
	struct vmb_host_scsi_bus bus;
	struct fuzz_disks disks;
	struct vmb_host_scsi_task task;
};

static void fill(struct vmb_host_scsi_task *task, struct fuzz *f)
{
	uint8_t how = fuzz_u8(f);

	memset(task, 0xA5, sizeof(*task)); /* what is not "in" may hold anything */
	task->path_id = how & 0x40 ? fuzz_u8(f) : 0;
	task->target_id = how & 0x20 ? fuzz_u8(f) : 0;
	task->lun = how & 0x10 ? fuzz_u8(f) : how & 3;
	task->no_autosense = how & 8;
	task->cdb_len = fuzz_u8(f) % (VMB_STOR_CDB_LEN_MAX + 1);
	if (how & 4)
		task->cdb_len = fuzz_known_cdb(
			f, (how & 3) == 2 ? VMB_HOST_SCSI_DVD : VMB_HOST_SCSI_DISK, task->cdb);
	else
		fuzz_take(f, task->cdb, sizeof(task->cdb));
	task->direction = fuzz_u8(f) % 4;
	task->transfer_len = how & 0x80 ? fuzz_u32(f) % (2u << 20) : fuzz_u16(f);
}

static void run(struct bed *b, struct fuzz *f)
{
	enum vmb_host_scsi_step step;

	fill(&b->task, f);
	step = vmb_host_scsi_execute(&b->bus, &b->task);
	if (step == VMB_HOST_SCSI_WANT_DATA) {
		FUZZ_CHECK(b->task.want_len <= VMB_HOST_SCSI_DATA_MAX);
		FUZZ_CHECK(b->task.want_len <= b->task.transfer_len);
		fuzz_parameters(f, &b->task);
		step = vmb_host_scsi_data(&b->bus, &b->task);
		FUZZ_CHECK(step != VMB_HOST_SCSI_WANT_DATA);
	}
	if (step == VMB_HOST_SCSI_BACKEND) {
		fuzz_check_backend(&b->task);
		vmb_host_scsi_done(&b->task, fuzz_u8(f) % 5);
	}
	fuzz_check_done(&b->task);
}

static void change(struct bed *b, struct fuzz *f)
{
	struct vmb_host_scsi_lun *unit = &b->disks.units[fuzz_u8(f) % 4];

	if (fuzz_u8(f) & 1) {
		vmb_host_scsi_reset(unit);
	} else {
		unit->medium_absent = unit->kind == VMB_HOST_SCSI_DVD && fuzz_u8(f) & 1;
		vmb_host_scsi_changed(unit);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct bed b;
	struct fuzz f = { bytes, len };

	memset(&b, 0, sizeof(b));
	b.bus.max_transfer_len = 1u << 20;
	fuzz_disks_init(&b.disks, &b.bus);
	while (f.len)
		if (fuzz_u8(&f) < 240)
			run(&b, &f);
		else
			change(&b, &f);
	return 0;
}
