// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fills the SCSI target's units and sends commands to it, with guarded memory around. */
#include "tests/scsi_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void fill_unit(struct vmb_host_scsi_lun *unit, uint32_t block_len, uint64_t block_count)
{
	uint8_t i;

	unit->block_len = block_len;
	unit->physical_block_len = block_len < 4096 ? 4096 : block_len;
	unit->block_count = block_count;
	for (i = 0; i < 16; i++)
		unit->guid[i] = 0xA0 + i;
}

void scsi_start(struct scsi_bed *b)
{
	uint32_t i;

	memset(b, 0, sizeof(*b));
	memset(&b->task, 0xEE, sizeof(b->task)); /* the task of some earlier command */
	for (i = 0; i < sizeof(b->medium); i++)
		b->medium[i] = (uint8_t)(i / 512 * 7 + i);
	fill_unit(&b->disk, 512, SCSI_DISK_BLOCKS);
	b->disk.can_unmap = true;
	b->disk.zero_after_unmap = true;
	b->disk.write_cache = true;
	strcpy(b->disk.serial, "OVMB-0042");
	fill_unit(&b->big, 4096, SCSI_BIG_BLOCKS);
	b->big.read_only = true;
	fill_unit(&b->dvd, 2048, SCSI_DVD_BLOCKS);
	b->dvd.physical_block_len = 2048;
	b->dvd.kind = VMB_HOST_SCSI_DVD;
	b->dvd.read_only = true;
	b->bus.max_transfer_len = SCSI_GUEST_LEN;
	b->bus.luns[SCSI_DISK] = &b->disk;
	b->bus.luns[SCSI_BIG] = &b->big;
	b->bus.luns[SCSI_DVD] = &b->dvd;
}

static void repeat(struct scsi_bed *b, uint64_t offset, uint64_t len, const uint8_t *block,
		   uint32_t block_len)
{
	uint64_t at;

	for (at = offset; at < offset + len; at += block_len)
		memcpy(b->medium + at, block, block_len);
}

static void do_op(struct scsi_bed *b)
{
	static const uint8_t zeros[4096];
	const struct vmb_host_scsi_task *task = &b->task;
	uint32_t i;

	assert_true(task->offset <= sizeof(b->medium));
	assert_true(task->len <= sizeof(b->medium) - task->offset);
	switch (task->op) {
	case VMB_HOST_SCSI_READ:
		assert_true(task->len <= task->transfer_len);
		memcpy(b->guest, b->medium + task->offset, task->len);
		break;
	case VMB_HOST_SCSI_WRITE:
		assert_true(task->len <= task->transfer_len);
		memcpy(b->medium + task->offset, b->guest, task->len);
		break;
	case VMB_HOST_SCSI_WRITE_ZEROES: repeat(b, task->offset, task->len, zeros, 512); break;
	case VMB_HOST_SCSI_WRITE_SAME:
		repeat(b, task->offset, task->len, task->data, task->unit->block_len);
		break;
	case VMB_HOST_SCSI_UNMAP:
		for (i = 0; i < task->extent_count; i++)
			repeat(b, task->extents[i].offset, task->extents[i].len, zeros, 512);
		break;
	case VMB_HOST_SCSI_FLUSH: break;
	}
}

static enum vmb_host_scsi_step fetch(struct scsi_bed *b)
{
	assert_in_range(b->task.want_len, 1, VMB_HOST_SCSI_DATA_MAX);
	assert_true(b->task.want_len <= b->task.transfer_len);
	b->fetch_count++;
	memcpy(b->task.data, b->guest, b->task.want_len);
	return vmb_host_scsi_data(&b->bus, &b->task);
}

void scsi_run(struct scsi_bed *b, uint8_t direction, uint32_t transfer_len, const uint8_t *cdb,
	      uint8_t cdb_len)
{
	enum vmb_host_scsi_step step;

	b->task.path_id = 0;
	b->task.target_id = b->target_id;
	b->task.lun = b->lun;
	b->task.cdb_len = cdb_len;
	memset(b->task.cdb, 0x77, sizeof(b->task.cdb)); /* bytes behind the CDB don't count */
	memcpy(b->task.cdb, cdb, cdb_len);
	b->task.direction = direction;
	b->task.transfer_len = transfer_len;
	b->task.no_autosense = false;
	if (direction != VMB_STOR_WRITE)
		memset(b->guest, SCSI_CANARY, sizeof(b->guest));
	step = vmb_host_scsi_execute(&b->bus, &b->task);
	if (step == VMB_HOST_SCSI_WANT_DATA)
		step = fetch(b);
	if (step == VMB_HOST_SCSI_BACKEND) {
		b->op_count++;
		if (b->error == VMB_HOST_SCSI_OK)
			do_op(b);
		vmb_host_scsi_done(&b->task, b->error);
		b->error = VMB_HOST_SCSI_OK;
	}
	assert_true(b->task.data_len <= transfer_len);
	if (b->task.data_len)
		assert_int_equal(direction, VMB_STOR_READ);
	memcpy(b->guest, b->task.data, b->task.data_len);
}

static void check(bool ok, const struct scsi_bed *b, const char *what, const char *file, int line)
{
	const struct vmb_host_scsi_task *t = &b->task;

	if (ok)
		return;
	print_error("%s: command %02x: srb %02x scsi %02x sense %02x/%02x/%02x moved %u\n", what,
		    t->cdb[0], t->srb_status, t->scsi_status, t->sense[2], t->sense[12],
		    t->sense[13], t->moved_len);
	_fail(file, line);
}

void scsi_good_at(const struct scsi_bed *b, uint32_t moved, const char *file, int line)
{
	check(b->task.srb_status == 0x01 && b->task.scsi_status == 0, b, "not good", file, line);
	check(b->task.sense_len == 0 && b->task.moved_len == moved, b, "moved", file, line);
}

void scsi_overrun_at(const struct scsi_bed *b, uint32_t moved, const char *file, int line)
{
	check(b->task.srb_status == 0x12 && b->task.scsi_status == 0, b, "no overrun", file, line);
	check(b->task.sense_len == 0 && b->task.moved_len == moved, b, "moved", file, line);
}

void scsi_sense_at(const struct scsi_bed *b, uint32_t sense, const char *file, int line)
{
	const uint8_t want[18] = {
		0x70,
		0,
		(uint8_t)(sense >> 16),
		0,
		0,
		0,
		0,
		0x0A,
		0,
		0,
		0,
		0,
		(uint8_t)(sense >> 8),
		(uint8_t)sense,
	};
	bool illegal = sense >> 16 == 5;

	check(b->task.scsi_status == 0x02, b, "no check condition", file, line);
	check(b->task.srb_status == (illegal ? 0x86 : 0x84), b, "srb status", file, line);
	check(b->task.sense_len == 18, b, "sense length", file, line);
	check(memcmp(b->task.sense, want, 18) == 0, b, "sense", file, line);
	check(b->task.moved_len == 0, b, "moved", file, line);
}

void scsi_bytes_at(const struct scsi_bed *b, uint32_t offset, const uint8_t *want, uint32_t len,
		   const char *file, int line)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		if (b->guest[offset + i] == want[i])
			continue;
		print_error("byte %u is %02x, not %02x\n", offset + i, b->guest[offset + i],
			    want[i]);
		_fail(file, line);
	}
}

void scsi_untouched_at(const struct scsi_bed *b, uint32_t offset, const char *file, int line)
{
	uint32_t i;

	for (i = offset; i < sizeof(b->guest); i++) {
		if (b->guest[i] == SCSI_CANARY)
			continue;
		print_error("byte %u was touched\n", i);
		_fail(file, line);
	}
}
