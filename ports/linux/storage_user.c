// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of users (SG_IO, /dev/sg, bsg), which end when the time that the user gave them is over,
 * alone, whatever the host does with them. The protocol has no abort, and the host may move their
 * data later, so
 *
 *   data     they move through pages of ours. A user's buffer is not written to after the user was
 *            told that the command is over, and not read for a write that comes late.
 *   slot     it stays taken. The command's tag, which the next command gets at once, is given a
 *            spare slot; so no command of another disk waits for the one that nobody waits for any
 *            more. The slot is a spare one when the host has answered, or lost the request.
 *   overdue  a request that nobody waits for has no timer; so late_work asks for a reset when it
 *            is as old as the disk's time-out.
 *
 * Where no spare slot or no page is left, the command waits like those of the kernel.
 */
#include <linux/blk-mq.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include "ports/linux/storage.h"

/* How much of a controller's slots may be spare ones, so that a small one keeps most. */
#define SPARE_SHARE 8

struct storvsc_bounce {
	u32 count;
	struct page *pages[];
};

/* The kernel tries its own commands again; those of users it does not. */
static bool is_users(struct scsi_cmnd *cmd)
{
	return blk_rq_is_passthrough(scsi_cmd_to_rq(cmd)) && !cmd->allowed;
}

/* ---- data ---- */

static void free_bounce(struct storvsc_bounce *bounce, bool with_pages)
{
	u32 i;

	for (i = 0; i < bounce->count && with_pages; i++)
		__free_page(bounce->pages[i]);
	kfree(bounce);
}

static struct storvsc_bounce *new_bounce(u32 len)
{
	u32 pages = DIV_ROUND_UP(len, PAGE_SIZE);
	struct storvsc_bounce *bounce;

	bounce = kmalloc(struct_size(bounce, pages, pages), GFP_ATOMIC | __GFP_NOWARN);
	if (!bounce)
		return NULL;
	for (bounce->count = 0; bounce->count < pages; bounce->count++) {
		/* Zeroed, because a host may say that it wrote more than it did. */
		bounce->pages[bounce->count] = alloc_page(GFP_ATOMIC | __GFP_NOWARN | __GFP_ZERO);
		if (bounce->pages[bounce->count])
			continue;
		free_bounce(bounce, true);
		return NULL;
	}
	return bounce;
}

static void copy_out(const struct storvsc_bounce *bounce, struct scsi_cmnd *cmd)
{
	u32 i;

	for (i = 0; i < bounce->count; i++)
		sg_pcopy_to_buffer(scsi_sglist(cmd), scsi_sg_count(cmd),
				   page_address(bounce->pages[i]), PAGE_SIZE, (off_t)i * PAGE_SIZE);
}

static void copy_in(const struct storvsc_bounce *bounce, struct scsi_cmnd *cmd, u32 len)
{
	u32 at;

	for (at = 0; at < len; at += PAGE_SIZE)
		sg_pcopy_from_buffer(scsi_sglist(cmd), scsi_sg_count(cmd),
				     page_address(bounce->pages[at / PAGE_SIZE]),
				     min_t(u32, len - at, PAGE_SIZE), at);
}

u32 storvsc_user_pages(struct storvsc *s, u32 slot, struct scsi_cmnd *cmd, u64 *pfns)
{
	struct storvsc_bounce *bounce;
	u32 i;

	if (!is_users(cmd) || !scsi_bufflen(cmd))
		return 0;
	bounce = new_bounce(scsi_bufflen(cmd));
	if (!bounce)
		return 0;
	if (cmd->sc_data_direction == DMA_TO_DEVICE)
		copy_out(bounce, cmd);
	for (i = 0; i < bounce->count; i++)
		pfns[i] = page_to_pfn(bounce->pages[i]);
	WRITE_ONCE(s->bounces[slot], bounce);
	return bounce->count;
}

static struct storvsc_bounce *take_bounce(struct storvsc *s, u32 slot)
{
	struct storvsc_bounce *bounce = READ_ONCE(s->bounces[slot]);

	WRITE_ONCE(s->bounces[slot], NULL);
	return bounce;
}

void storvsc_user_answered(struct storvsc *s, u32 slot, struct scsi_cmnd *cmd, u32 data_len)
{
	struct storvsc_bounce *bounce = take_bounce(s, slot);

	if (!bounce)
		return;
	if (cmd->sc_data_direction == DMA_FROM_DEVICE)
		copy_in(bounce, cmd, min(data_len, scsi_bufflen(cmd)));
	free_bounce(bounce, true);
}

bool storvsc_user_lost(struct storvsc *s, u32 slot, bool held)
{
	struct storvsc_bounce *bounce = take_bounce(s, slot);

	if (bounce)
		free_bounce(bounce, !held);
	return bounce;
}

/* ---- slots ---- */

static struct storvsc_spare *find_spare(struct storvsc *s)
{
	u32 i;

	for (i = 0; i < s->spare_count; i++)
		if (!s->spares[i].abandoned)
			return &s->spares[i];
	return NULL;
}

/* spare_lock, which keeps the answer from being handled before all of this is said. */
static bool give_spare(struct storvsc *s, struct storvsc_spare *spare, struct scsi_cmnd *cmd)
{
	u32 tag = scsi_cmd_to_rq(cmd)->tag;
	u32 fresh = spare->slot;

	if (!storage_link_abandon(&s->link, s->slot_of[tag]))
		return false;
	spare->slot = s->slot_of[tag];
	spare->abandoned = true;
	spare->since = cmd->jiffies_at_alloc;
	spare->due = spare->since + cmd->device->request_queue->rq_timeout;
	s->slot_of[tag] = fresh;
	return true;
}

bool storvsc_user_abandon(struct storvsc *s, struct scsi_cmnd *cmd)
{
	u32 slot = s->slot_of[scsi_cmd_to_rq(cmd)->tag];
	struct storvsc_spare *spare;
	unsigned long flags;
	bool done = false;

	if (!is_users(cmd) || (scsi_bufflen(cmd) && !READ_ONCE(s->bounces[slot])))
		return false;
	spin_lock_irqsave(&s->spare_lock, flags);
	spare = find_spare(s);
	if (spare)
		done = give_spare(s, spare, cmd);
	spin_unlock_irqrestore(&s->spare_lock, flags);
	if (done)
		mod_delayed_work(system_percpu_wq, &s->late_work, 0);
	return done;
}

void storvsc_user_ended(struct storvsc *s, u32 slot, bool held)
{
	unsigned long flags;
	u32 i;

	storvsc_user_lost(s, slot, held);
	spin_lock_irqsave(&s->spare_lock, flags);
	for (i = 0; i < s->spare_count; i++)
		if (s->spares[i].slot == slot)
			s->spares[i].abandoned = false;
	spin_unlock_irqrestore(&s->spare_lock, flags);
}

/* The abandoned one that is overdue first. */
static bool first_due(struct storvsc *s, struct storvsc_spare *first)
{
	bool found = false;
	u32 i;

	spin_lock_irq(&s->spare_lock);
	for (i = 0; i < s->spare_count; i++) {
		if (!s->spares[i].abandoned)
			continue;
		if (!found || time_before(s->spares[i].due, first->due))
			*first = s->spares[i];
		found = true;
	}
	spin_unlock_irq(&s->spare_lock);
	return found;
}

static void late_work(struct work_struct *work)
{
	struct storvsc *s = container_of(to_delayed_work(work), struct storvsc, late_work);
	struct storvsc_spare first = {};

	if (!first_due(s, &first))
		return;
	if (time_before(jiffies, first.due)) {
		schedule_delayed_work(&s->late_work, first.due - jiffies);
		return;
	}
	storage_link_overdue(&s->link, first.since);
	/* A recovery that began before the request was sent does not end it. */
	schedule_delayed_work(&s->late_work, first.due - first.since);
}

/* ---- its life ---- */

void storvsc_user_prepare(struct storvsc *s)
{
	spin_lock_init(&s->spare_lock);
	INIT_DELAYED_WORK(&s->late_work, late_work);
}

int storvsc_user_start(struct storvsc *s)
{
	u32 count = s->link.slot_count, i;

	s->bounces = kvcalloc(count, sizeof(*s->bounces), GFP_KERNEL);
	s->slot_of = kvcalloc(count, sizeof(*s->slot_of), GFP_KERNEL);
	if (!s->bounces || !s->slot_of)
		return -ENOMEM;
	s->spare_count = min_t(u32, count / SPARE_SHARE, STORVSC_SPARE_MAX);
	for (i = 0; i < count; i++)
		s->slot_of[i] = i;
	for (i = 0; i < s->spare_count; i++)
		s->spares[i].slot = count - 1 - i;
	return 0;
}

void storvsc_user_stop(struct storvsc *s)
{
	cancel_delayed_work_sync(&s->late_work);
}

void storvsc_user_free(struct storvsc *s)
{
	kvfree(s->bounces);
	kvfree(s->slot_of);
}
