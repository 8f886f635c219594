/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An intrusive first-in first-out queue, used by both message engines for what waits to be sent.
 * The owner of a link guarantees that it lives as long as it is queued. No locks: the engine's context.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/platform.h"

struct vmb_link {
	struct vmb_link *next;
	bool queued;
	uint8_t tag; /* the owner's own: tells links of different kinds in one queue apart */
};

struct vmb_queue {
	struct vmb_link *head;
	struct vmb_link *tail;
};

/* Appends link; a link that is queued already keeps its place. */
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

/* Takes link out wherever it stands; does nothing when it is not queued. */
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
