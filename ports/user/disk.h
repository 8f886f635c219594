/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a logical unit reads and writes: a disk in memory, or a null disk that reads as zeroes and
 * forgets what is written. A backend is one function.
 */
#ifndef PORTS_USER_DISK_H
#define PORTS_USER_DISK_H

#include "host/scsi.h"

/* A piece of guest memory. */
struct vmb_user_span {
	uint8_t *base;
	uint32_t len; /* bytes */
};

struct vmb_user_disk {
	struct vmb_host_scsi_lun unit;
	enum vmb_host_scsi_error (*run)(struct vmb_user_disk *disk,
					const struct vmb_host_scsi_task *task,
					const struct vmb_user_span *spans, uint32_t span_count);
	uint8_t *bytes; /* NULL: a null disk */
	uint64_t len;
	uint64_t operation_count;
};

/* block_count blocks of block_len bytes; number goes into its identity. VMB_ENOMEM. */
int vmb_user_disk_init_ram(struct vmb_user_disk *disk, uint32_t block_len, uint64_t block_count,
			   uint8_t number);
void vmb_user_disk_init_null(struct vmb_user_disk *disk, uint32_t block_len, uint64_t block_count,
			     uint8_t number);
void vmb_user_disk_destroy(struct vmb_user_disk *disk);

#endif
