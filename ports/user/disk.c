/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>

#include "ports/user/disk.h"

static bool inside(const struct vmb_user_disk *disk, uint64_t offset, uint64_t len)
{
	return offset <= disk->len && len <= disk->len - offset;
}

/* Moves len bytes between spans and the medium at offset, or as many as the spans hold. */
static void move(const struct vmb_user_span *spans, uint32_t span_count, uint8_t *medium,
		 uint64_t len, bool to_medium)
{
	uint32_t i, piece;

	for (i = 0; i < span_count && len; i++) {
		piece = spans[i].len < len ? spans[i].len : (uint32_t)len;
		if (to_medium)
			memcpy(medium, spans[i].base, piece);
		else
			memcpy(spans[i].base, medium, piece);
		medium += piece;
		len -= piece;
	}
}

static enum vmb_host_scsi_error unmap(struct vmb_user_disk *disk,
				      const struct vmb_host_scsi_task *task)
{
	uint32_t i;

	for (i = 0; i < task->extent_count; i++) {
		if (!inside(disk, task->extents[i].offset, task->extents[i].len))
			return VMB_HOST_SCSI_IO_ERROR;
		memset(disk->bytes + task->extents[i].offset, 0, task->extents[i].len);
	}
	return VMB_HOST_SCSI_OK;
}

static void repeat_block(struct vmb_user_disk *disk, const struct vmb_host_scsi_task *task)
{
	uint64_t at;

	for (at = 0; at < task->len; at += disk->unit.block_len)
		memcpy(disk->bytes + task->offset + at, task->data, disk->unit.block_len);
}

static enum vmb_host_scsi_error run_ram(struct vmb_user_disk *disk,
					const struct vmb_host_scsi_task *task,
					const struct vmb_user_span *spans, uint32_t span_count)
{
	uint8_t *medium = disk->bytes + task->offset;

	disk->operation_count++;
	if (task->op == VMB_HOST_SCSI_FLUSH)
		return VMB_HOST_SCSI_OK;
	if (task->op == VMB_HOST_SCSI_UNMAP)
		return unmap(disk, task);
	if (!inside(disk, task->offset, task->len))
		return VMB_HOST_SCSI_IO_ERROR;
	switch (task->op) {
	case VMB_HOST_SCSI_READ: move(spans, span_count, medium, task->len, false); break;
	case VMB_HOST_SCSI_WRITE: move(spans, span_count, medium, task->len, true); break;
	case VMB_HOST_SCSI_WRITE_ZEROES: memset(medium, 0, task->len); break;
	case VMB_HOST_SCSI_WRITE_SAME: repeat_block(disk, task); break;
	default: return VMB_HOST_SCSI_IO_ERROR;
	}
	return VMB_HOST_SCSI_OK;
}

static enum vmb_host_scsi_error run_null(struct vmb_user_disk *disk,
					 const struct vmb_host_scsi_task *task,
					 const struct vmb_user_span *spans, uint32_t span_count)
{
	uint32_t i;

	disk->operation_count++;
	for (i = 0; task->op == VMB_HOST_SCSI_READ && i < span_count; i++)
		memset(spans[i].base, 0, spans[i].len);
	return VMB_HOST_SCSI_OK;
}

void vmb_user_disk_init_null(struct vmb_user_disk *disk, uint32_t block_len, uint64_t block_count,
			     uint8_t number)
{
	memset(disk, 0, sizeof(*disk));
	disk->run = run_null;
	disk->len = block_len * block_count;
	disk->unit.kind = VMB_HOST_SCSI_DISK;
	disk->unit.can_unmap = true;
	disk->unit.zero_after_unmap = true;
	disk->unit.write_cache = true;
	disk->unit.block_len = block_len;
	disk->unit.physical_block_len = block_len;
	disk->unit.block_count = block_count;
	disk->unit.guid[0] = number;
	disk->unit.serial[0] = (char)('A' + number % 26);
	disk->unit.backend = disk;
}

int vmb_user_disk_init_ram(struct vmb_user_disk *disk, uint32_t block_len, uint64_t block_count,
			   uint8_t number)
{
	vmb_user_disk_init_null(disk, block_len, block_count, number);
	disk->run = run_ram;
	disk->bytes = calloc(block_count, block_len);
	return disk->bytes ? 0 : VMB_ENOMEM;
}

void vmb_user_disk_destroy(struct vmb_user_disk *disk)
{
	free(disk->bytes);
}
