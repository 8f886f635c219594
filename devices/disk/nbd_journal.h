/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a server has answered but not yet promised to keep: writes and zeroes in the order in which
 * they were answered. See devices/disk/nbd_connection.h. Context: one caller.
 */
#ifndef DEVICES_DISK_NBD_JOURNAL_H
#define DEVICES_DISK_NBD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

struct vmb_dev_nbd_entry {
	struct vmb_dev_nbd_entry *next;
	uint64_t number; /* counts up from 1 */
	uint64_t offset, len; /* bytes */
	uint8_t *data; /* the journal's; NULL: zeroes */
	bool may_unmap;
};

struct vmb_dev_nbd_journal {
	struct vmb_dev_nbd_entry *first, **end;
	uint64_t last_number;
	uint64_t held_len; /* bytes of data, and a little for each entry */
};

void vmb_dev_nbd_journal_init(struct vmb_dev_nbd_journal *j);
/*
 * Adds an entry and takes ownership of data. Returns false without memory; then data still belongs
 * to the caller.
 */
bool vmb_dev_nbd_journal_add(struct vmb_dev_nbd_journal *j, uint64_t offset, uint64_t len,
			     uint8_t *data, bool may_unmap);
/*
 * A flush that was sent when last_number was number has succeeded: drops all entries up to that
 * number.
 */
void vmb_dev_nbd_journal_drop(struct vmb_dev_nbd_journal *j, uint64_t number);

#endif
