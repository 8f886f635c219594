/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two files of hvballoon.ko share. balloon.c has the channel and the requests,
 * balloon_pages.c the pages that the host has.
 *
 * Everything runs in the work of one ordered queue, in process context, one thing at a time:
 * finding a gigabyte takes seconds, and so does giving it back. The ring is read there too, so what
 * the host asks for meanwhile stays in the ring.
 */
#ifndef PORTS_LINUX_BALLOON_H
#define PORTS_LINUX_BALLOON_H

#include <linux/list.h>
#include <linux/workqueue.h>
#include "guest/balloon.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt) "hvballoon: " fmt

/* The pages that the host has. Each is marked, so that the host can return no other. */
struct balloon_pages {
	struct list_head list;
	unsigned long count;
	unsigned long added; /* pages of new memory, used or not */
};

void balloon_pages_init(struct balloon_pages *pages);

/* Returns how many pages this guest can spare now without coming into need. */
unsigned long balloon_pages_spare(void);

/*
 * Takes 1 << order pages from the system, for the host. Returns the first one's number; 0: there
 * are none that can be had without effort.
 */
unsigned long balloon_pages_take(struct balloon_pages *pages, unsigned int order);
#define BALLOON_ORDER 9 /* what hosts like best: 2 MiB */

/* The host returns page pfn. Returns false if it had no such page. */
bool balloon_pages_return(struct balloon_pages *pages, unsigned long pfn);
/* Gives all pages back to the system. */
void balloon_pages_return_all(struct balloon_pages *pages);

/*
 * Adds count new pages from first on. Returns 0; -EAGAIN: not now; another -errno: never. Without
 * CONFIG_MEMORY_HOTPLUG -EOPNOTSUPP.
 */
int balloon_pages_add(struct balloon_pages *pages, u64 first, u64 count);
/* Returns n: new memory comes in multiples of 2^n MiB. 0: it cannot be added. */
unsigned int balloon_pages_add_shift(void);

/* Fills in what the host is told every second. */
void balloon_pages_status(const struct balloon_pages *pages, struct vmb_balloon_status *status);

#endif
