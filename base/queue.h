/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An intrusive first-in first-out queue. Both message engines keep the messages that wait to be
 * sent in one. The owner of a link must keep it alive while it is queued. No locks: the context is
 * that of the engine.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/platform.h"

struct vmb_link {
	struct vmb_link *next;
	bool queued;
	uint8_t tag; /* the owner's: distinguishes links of different kinds in one queue */
};

struct vmb_queue {
	struct vmb_link *head;
	struct vmb_link *tail;
};

/* Appends link. A link that is already queued keeps its place. */
static inline void vmb_queue_push(struct vmb_queue *queue, struct vmb_link *link)
{
	if (link->queued)
		return;
	link->queued = true;
	link->next = NULL;
	if (queue->tail)
		queue->tail->next = link;
	else
		queue->head = link;
	queue->tail = link;
}

static inline struct vmb_link *vmb_queue_head(const struct vmb_queue *queue)
{
	return queue->head;
}

/* Removes link from any place in the queue. Does nothing if it is not queued. */
static inline void vmb_queue_remove(struct vmb_queue *queue, struct vmb_link *link)
{
	struct vmb_link *before = NULL;
	struct vmb_link *at;

	for (at = queue->head; at && at != link; at = at->next)
		before = at;
	if (!at)
		return;
	if (before)
		before->next = link->next;
	else
		queue->head = link->next;
	if (queue->tail == link)
		queue->tail = before;
	link->next = NULL;
	link->queued = false;
}

#endif
