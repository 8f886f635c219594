/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of blkvsc.ko share: one disk per IDE channel.
 *
 * Who runs where: queue_rq submits, on any CPU, under blk-mq's rcu_read_lock; the channel's
 * interrupt feeds the protocol core and ends requests there and then, a batch at a time; a work
 * item reads the unit's properties again.
 *
 * A slot of the core is a request's tag. blk-mq reuses a tag only after its request has ended, and
 * a request ends only when the host has released its pages, so no slot is reused while the host
 * holds it.
 */
#ifndef PORTS_LINUX_BLOCK_H
#define PORTS_LINUX_BLOCK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/workqueue.h>
#include "ports/linux/storage_link.h"

#define BLKVSC_UNMAP_LEN 24 /* bytes of a parameter list with one descriptor */

/* What the unit reports about itself. */
struct blkvsc_unit {
	u64 block_count;
	u32 block_len; /* bytes, a power of two, 512 to 4096 */
	u32 block_shift;
	u32 physical_len; /* bytes */
	bool read_only;
	bool write_cache;
	bool fua;
	bool rotational;
	u32 unmap_max; /* blocks of one UNMAP; 0: it has none */
	u32 unmap_granularity; /* blocks */
	u32 zeroes_max; /* blocks of one WRITE SAME; 0: it has none */
	bool zeroes_may_unmap;
	char vendor[9], model[17], revision[5];
	char serial[65];
	char wwid[40]; /* naa.HEX */
};

struct blkvsc {
	struct storage_link link;
	struct vmb_guest_storage_address address;
	struct blkvsc_unit unit;
	struct blk_mq_tag_set tags;
	struct gendisk *disk; /* NULL until the unit is known */
	int index; /* of the disk's name */
	struct io_comp_batch batch; /* requests that succeeded since the interrupt began */
	bool removing; /* no more work is queued */
	struct work_struct look_work;
};
#define to_blkvsc(l) container_of(l, struct blkvsc, link)

/* Behind each struct request. */
struct blkvsc_request {
	struct vmb_guest_storage_request request; /* while it is being sent */
	u8 retries; /* 0 unless the request is under way */
	u32 resets; /* the link's when it was sent */
	u8 unmap[BLKVSC_UNMAP_LEN];
};

/* block_request.c */

/*
 * Fills in the request that rq needs, and the page frame numbers of its slot. Returns how many
 * there are, or -EOPNOTSUPP: the unit cannot do that.
 */
int blkvsc_build(struct blkvsc *b, struct request *rq, struct vmb_guest_storage_request *request);

/*
 * The host has answered rq. Called from on_packet(). Successful requests are collected until
 * blkvsc_end_batch().
 */
void blkvsc_complete(struct blkvsc *b, struct request *rq,
		     const struct vmb_guest_storage_event *event);
/* Ends the requests that blkvsc_complete() has collected. */
void blkvsc_end_batch(struct blkvsc *b);

/* The host will never answer the request. */
void blkvsc_lost(struct storage_link *link, u32 slot, void *cookie, enum storage_link_loss loss);

/* block_unit.c: process context, these wait for the host. */

/* Returns 0 for a disk and fills in b->unit, or -ENODEV: it is something else, or nothing. */
int blkvsc_identify(struct blkvsc *b);

/* Reads the current capacity and write protection into unit. Returns 0 or an error. */
int blkvsc_measure(struct blkvsc *b, struct blkvsc_unit *unit);

/* Tells the unit to write out its cache, if it has one. */
void blkvsc_flush(struct blkvsc *b);

/* Fills in the queue's limits from what the unit reports. */
void blkvsc_limits(const struct blkvsc *b, struct queue_limits *limits);

extern const struct attribute_group *blkvsc_device_groups[];
extern const struct attribute_group *blkvsc_disk_groups[];

#endif
