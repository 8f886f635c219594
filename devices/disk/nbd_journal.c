// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A list of the writes that an NBD server has answered but not made durable, so that they can be
 * written again when the server dies.
 */
#include <stdlib.h>

#include "devices/disk/nbd_journal.h"

#define ENTRY_LEN sizeof(struct vmb_dev_nbd_entry)

void vmb_dev_nbd_journal_init(struct vmb_dev_nbd_journal *j)
{
	*j = (struct vmb_dev_nbd_journal){ .end = NULL };
	j->end = &j->first;
}

bool vmb_dev_nbd_journal_add(struct vmb_dev_nbd_journal *j, uint64_t offset, uint64_t len,
			     uint8_t *data, bool may_unmap)
{
	struct vmb_dev_nbd_entry *entry = malloc(sizeof(*entry));

	if (!entry)
		return false;
	*entry = (struct vmb_dev_nbd_entry){
		.number = ++j->last_number,
		.offset = offset,
		.len = len,
		.data = data,
		.may_unmap = may_unmap,
	};
	*j->end = entry;
	j->end = &entry->next;
	j->held_len += ENTRY_LEN + (data ? len : 0);
	return true;
}

void vmb_dev_nbd_journal_drop(struct vmb_dev_nbd_journal *j, uint64_t number)
{
	struct vmb_dev_nbd_entry *entry;

	while ((entry = j->first) && entry->number <= number) {
		j->first = entry->next;
		j->held_len -= ENTRY_LEN + (entry->data ? entry->len : 0);
		free(entry->data);
		free(entry);
	}
	if (!j->first)
		j->end = &j->first;
}
