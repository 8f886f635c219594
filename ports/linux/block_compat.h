/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the block layers of older kernels name differently: the part of compat.h that only blkvsc
 * needs.
 */
#ifndef PORTS_LINUX_BLOCK_COMPAT_H
#define PORTS_LINUX_BLOCK_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/version.h>

/* 6.12 moved this header. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* 6.11 made what a queue can do a part of its limits. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
typedef unsigned int blk_features_t;
#define BLK_FEAT_WRITE_CACHE 1u
#define BLK_FEAT_FUA	     2u
#define BLK_FEAT_ROTATIONAL  4u

static inline void blk_queue_disable_discard(struct request_queue *queue)
{
	blk_queue_max_discard_sectors(queue, 0);
}

static inline void blk_queue_disable_write_zeroes(struct request_queue *queue)
{
	blk_queue_max_write_zeroes_sectors(queue, 0);
}

static inline void set_limits_compat(struct request_queue *queue, const struct queue_limits *limits,
				     blk_features_t features)
{
	blk_queue_logical_block_size(queue, limits->logical_block_size);
	blk_queue_physical_block_size(queue, limits->physical_block_size);
	blk_queue_virt_boundary(queue, limits->virt_boundary_mask);
	blk_queue_max_hw_sectors(queue, limits->max_hw_sectors);
	blk_queue_max_segments(queue, limits->max_segments);
	blk_queue_max_discard_segments(queue, 1);
	blk_queue_max_discard_sectors(queue, limits->max_hw_discard_sectors);
	queue->limits.discard_granularity = limits->discard_granularity;
	blk_queue_max_write_zeroes_sectors(queue, limits->max_write_zeroes_sectors);
	blk_queue_write_cache(queue, features & BLK_FEAT_WRITE_CACHE, features & BLK_FEAT_FUA);
	if (!(features & BLK_FEAT_ROTATIONAL))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
}
#endif

/* 6.9 gave a disk its limits when it is made. */
static inline struct gendisk *alloc_disk_compat(struct blk_mq_tag_set *tags,
						struct queue_limits *limits,
						blk_features_t features, void *data)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	struct gendisk *disk = blk_mq_alloc_disk(tags, data);
#else
	struct gendisk *disk = blk_mq_alloc_disk(tags, NULL, data);
#endif

	if (!IS_ERR(disk))
		set_limits_compat(disk->queue, limits, features);
	return disk;
#else
	limits->features = features;
	return blk_mq_alloc_disk(tags, limits, data);
#endif
}

/* 6.14 always merges requests. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define BLK_MQ_F_SHOULD_MERGE 0
#endif

/* 6.5 opens disks, not block devices, and has a type of its own for the mode. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
typedef fmode_t blk_mode_t;
#define BLK_OPEN_WRITE FMODE_WRITE
#define OPEN_TARGET    struct block_device
#define target_disk(t) ((t)->bd_disk)
#else
#define OPEN_TARGET    struct gendisk
#define target_disk(t) (t)
#endif

/* 6.5 gave the status of a reservation conflict a clearer name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define BLK_STS_RESV_CONFLICT BLK_STS_NEXUS
#endif

/* 6.18 asks disks, not block devices, for their geometry. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define GEOMETRY_TARGET	    struct block_device
#define geometry_sectors(t) get_capacity((t)->bd_disk)
#else
#define GEOMETRY_TARGET	    struct gendisk
#define geometry_sectors(t) get_capacity(t)
#endif

#endif
