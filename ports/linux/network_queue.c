// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue between channels: its memory, its poll, and what becomes of its frames at the end.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "ports/linux/network.h"

#define OWED_TRIES 100

/* ---- memory ---- */

static struct netvsc_queue *new_queue(struct netvsc *card, u16 index)
{
	struct netvsc_queue *q = kvzalloc(sizeof(*q), GFP_KERNEL);

	if (!q)
		return NULL;
	q->card = card;
	q->index = index;
	q->txq = netdev_get_tx_queue(card->dev, index);
	u64_stats_init(&q->tx_sync);
	u64_stats_init(&q->rx_sync);
	netif_napi_add(card->dev, &q->napi, netvsc_poll);
	return q;
}

/* Statistics are read at any time, so a queue that was made stays. */
int netvsc_queue_make(struct netvsc *card, u16 count)
{
	struct netvsc_queue *q;
	u16 i;

	for (i = 0; i < count; i++) {
		if (card->queues[i])
			continue;
		q = new_queue(card, i);
		if (!q)
			return -ENOMEM;
		smp_store_release(&card->queues[i], q);
	}
	return 0;
}

void netvsc_free_queues(struct netvsc *card)
{
	struct netvsc_queue *q;
	u16 i;

	for (i = 0; i < VMB_NET_QUEUE_COUNT_MAX; i++) {
		q = card->queues[i];
		if (!q)
			continue;
		netif_napi_del(&q->napi);
		kvfree(q);
	}
}

static void free_tables(const struct netvsc_tables *t)
{
	kvfree(t->slots);
	kvfree(t->free_slots);
	kvfree(t->owed);
}

static int new_tables(struct netvsc_tables *t, u32 slot_count, u32 owed_max)
{
	memset(t, 0, sizeof(*t));
	t->owed = kvcalloc(owed_max, sizeof(*t->owed), GFP_KERNEL);
	if (slot_count) {
		t->slots = kvcalloc(slot_count, sizeof(*t->slots), GFP_KERNEL);
		t->free_slots = kvcalloc(slot_count, sizeof(*t->free_slots), GFP_KERNEL);
	}
	if (t->owed && (!slot_count || (t->slots && t->free_slots)))
		return 0;
	free_tables(t);
	return -ENOMEM;
}

/* The core has pointers to them too. */
static void drop_tables(struct netvsc_queue *q)
{
	free_tables(&q->tables);
	memset(&q->tables, 0, sizeof(q->tables));
	q->core.slots = NULL;
	q->core.slot_count = 0;
	q->core.free_slots = NULL;
	q->core.owed = NULL;
	q->core.owed_count = 0;
}

/*
 * All queues have the same number of slots, so a queue's sections follow from its index. On failure
 * the queue is what it was, for it may be polled again.
 */
int netvsc_queue_init(struct netvsc_queue *q, u32 slot_count, u32 owed_max)
{
	struct netvsc_tables tables;
	int rc = new_tables(&tables, slot_count, owed_max);

	if (rc)
		return rc;
	rc = vmb_guest_network_queue_init(&q->card->core, &q->core, q->index, tables.slots,
					  tables.free_slots, slot_count, q->index * slot_count,
					  tables.owed, owed_max);
	if (rc) {
		free_tables(&tables);
		return rc;
	}
	free_tables(&q->tables);
	q->tables = tables;
	q->kept = false;
	q->filling_xdp = false;
	q->receiving = false;
	q->broken = false;
	q->packet.range_count = 0;
	q->packet.skb = NULL;
	return 0;
}

/* ---- the poll ---- */

void netvsc_queue_start(struct netvsc_queue *q)
{
	napi_enable(&q->napi);
	q->polled = true;
}

void netvsc_queue_stop(struct netvsc_queue *q)
{
	if (q->polled)
		napi_disable(&q->napi);
	q->polled = false;
}

/* Polls once, in case a doorbell rang while no poll could run. */
void netvsc_queue_poll(struct netvsc_queue *q)
{
	local_bh_disable();
	napi_schedule(&q->napi);
	local_bh_enable();
}

/*
 * The primary queue has been polled since before the handshake, without slots. It gets them now;
 * what it still owes to the host goes out first.
 */
int netvsc_queue_equip(struct netvsc_queue *q, u32 slot_count, u32 owed_max)
{
	bool clean = false;
	int i, rc;

	for (i = 0; i < OWED_TRIES; i++) {
		netvsc_queue_stop(q);
		clean = netvsc_acknowledge(q) && !q->receiving;
		vmb_channel_commit(q->channel);
		if (clean)
			break;
		netvsc_queue_start(q);
		netvsc_queue_poll(q);
		usleep_range(1000, 2000);
	}
	rc = clean ? netvsc_queue_init(q, slot_count, owed_max) : -ETIMEDOUT;
	if (!q->polled) {
		netvsc_queue_start(q);
		netvsc_queue_poll(q);
	}
	return rc;
}

/* ---- the end ---- */

/*
 * Ends the frames that the host has not sent. If the host has not released the channel, it may
 * still read their pages, so they are leaked.
 */
static void end_frames(struct netvsc_queue *q, bool closed)
{
	struct vmb_guest_network_event event;

	while (vmb_guest_network_fail_next(&q->core, &event)) {
		if (event.cookie && event.cookie != NETVSC_COOKIE_XDP && closed)
			dev_kfree_skb_any(event.cookie);
	}
	q->kept = false;
	netdev_tx_reset_queue(q->txq);
}

void netvsc_queue_end(struct netvsc *card, bool closed)
{
	struct netvsc_queue *q;
	u16 i;

	for (i = 0; i < VMB_NET_QUEUE_COUNT_MAX; i++) {
		q = card->queues[i];
		if (!q)
			continue;
		if (q->tables.slots)
			end_frames(q, closed);
		netvsc_xdp_end(q);
		drop_tables(q);
		q->channel = NULL;
	}
}
