/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What blkvsc uses of the block layer. A request belongs to the thread that submits it, which
 * dispatches it, waits for its end, and dispatches it again if it was requeued. A disk that is
 * added is read once, as the kernel does to find its partitions.
 */
#ifndef TESTS_LINUX_BLOCK_H
#define TESTS_LINUX_BLOCK_H

#include "tests/linux/kernel.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  512u
#define NUMA_NO_NODE (-1)

typedef u8 blk_status_t;
#define BLK_STS_OK	      ((blk_status_t)0)
#define BLK_STS_NOTSUPP	      ((blk_status_t)1)
#define BLK_STS_TIMEOUT	      ((blk_status_t)2)
#define BLK_STS_TARGET	      ((blk_status_t)5)
#define BLK_STS_RESV_CONFLICT ((blk_status_t)6)
#define BLK_STS_MEDIUM	      ((blk_status_t)7)
#define BLK_STS_RESOURCE      ((blk_status_t)9)
#define BLK_STS_IOERR	      ((blk_status_t)10)
#define BLK_STS_OFFLINE	      ((blk_status_t)16)

enum req_op {
	REQ_OP_READ = 0,
	REQ_OP_WRITE = 1,
	REQ_OP_FLUSH = 2,
	REQ_OP_DISCARD = 3,
	REQ_OP_WRITE_ZEROES = 9,
	REQ_OP_DRV_IN = 34,
	REQ_OP_LAST = 36,
};
#define REQ_OP_MASK		  0xffu
#define blk_rq_is_passthrough(rq) (((rq)->cmd_flags & REQ_OP_MASK) == REQ_OP_DRV_IN)
#define REQ_FUA			  0x100u
#define REQ_NOUNMAP		  0x200u

struct bio_vec {
	struct page *bv_page;
	u32 bv_len, bv_offset;
};
struct req_iterator {
	u32 index;
};

enum shim_request_state {
	SHIM_REQUEST_IDLE,
	SHIM_REQUEST_STARTED,
	SHIM_REQUEST_REQUEUED,
	SHIM_REQUEST_ENDED,
};

#define SHIM_BVECS 16
struct request {
	struct request_queue *q;
	int tag;
	u32 queue_number; /* of the hardware queue */
	unsigned int cmd_flags;
	unsigned int timeout;
	u64 sector;
	u32 bytes, bvec_count;
	struct bio_vec bvecs[SHIM_BVECS];
	enum shim_request_state state;
	bool taken;
	unsigned long delay; /* of a requeue, ms */
	blk_status_t status;
	struct timer_list timer;
	struct request *next; /* in a batch */
};

enum blk_eh_timer_return { BLK_EH_DONE, BLK_EH_RESET_TIMER };
struct blk_mq_hw_ctx {
	struct request_queue *queue;
};
struct blk_mq_queue_data {
	struct request *rq;
	bool last;
};
struct blk_mq_ops {
	blk_status_t (*queue_rq)(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd);
	void (*commit_rqs)(struct blk_mq_hw_ctx *hctx);
	enum blk_eh_timer_return (*timeout)(struct request *rq);
};
struct blk_mq_tag_set {
	const struct blk_mq_ops *ops;
	unsigned int nr_hw_queues, queue_depth, timeout, cmd_size, flags;
	int numa_node;
	struct request **requests;
	wait_queue_head_t wait;
};
#define BLK_MQ_F_NO_SCHED_BY_DEFAULT 0

typedef unsigned int blk_features_t;
#define BLK_FEAT_WRITE_CACHE 1u
#define BLK_FEAT_FUA	     2u
#define BLK_FEAT_ROTATIONAL  4u
struct queue_limits {
	blk_features_t features;
	unsigned int logical_block_size, physical_block_size, max_segment_size, max_hw_sectors;
	unsigned int max_segments, max_discard_segments, max_hw_discard_sectors;
	unsigned int discard_granularity, max_write_zeroes_sectors;
	unsigned long virt_boundary_mask;
};

struct request_queue {
	void *queuedata;
	struct blk_mq_tag_set *tags;
	struct queue_limits limits;
	struct blk_mq_hw_ctx hctx;
	bool quiesced;
	wait_queue_head_t wait;
	u32 entered; /* submitters inside */
	bool dying;
};

struct io_comp_batch {
	struct request *first;
	void (*complete)(struct io_comp_batch *batch);
};

typedef unsigned int blk_mode_t;
#define BLK_OPEN_WRITE 2u
struct hd_geometry {
	unsigned char heads, sectors;
	unsigned short cylinders;
	unsigned long start;
};
struct gendisk;
struct block_device_operations {
	struct module *owner;
	int (*open)(struct gendisk *disk, blk_mode_t mode);
	int (*getgeo)(struct gendisk *disk, struct hd_geometry *geometry);
	void (*free_disk)(struct gendisk *disk);
};
struct gendisk {
	char disk_name[32];
	const struct block_device_operations *fops;
	void *private_data;
	struct request_queue *queue;
	u64 sectors;
	bool read_only, added;
};

#define req_op(rq)		    ((rq)->cmd_flags & REQ_OP_MASK)
#define blk_rq_pos(rq)		    ((rq)->sector)
#define blk_rq_bytes(rq)	    ((rq)->bytes)
#define blk_rq_nr_phys_segments(rq) ((rq)->bvec_count)
#define req_bvec(rq)		    ((rq)->bvecs[0])
#define rq_for_each_bvec(bv, rq, iter)                                                    \
	for ((iter).index = 0;                                                            \
	     (iter).index < (rq)->bvec_count && ((bv) = (rq)->bvecs[(iter).index], true); \
	     (iter).index++)
#define blk_mq_rq_to_pdu(rq) ((void *)((rq) + 1))

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *tags);
void blk_mq_free_tag_set(struct blk_mq_tag_set *tags);
void blk_mq_start_request(struct request *rq);
void blk_mq_end_request(struct request *rq, blk_status_t status);
void blk_mq_requeue_request(struct request *rq, bool kick);
void blk_mq_delay_kick_requeue_list(struct request_queue *q, unsigned long ms);
bool blk_mq_add_to_batch(struct request *rq, struct io_comp_batch *batch, bool is_error,
			 void (*complete)(struct io_comp_batch *batch));
void blk_mq_end_request_batch(struct io_comp_batch *batch);
void blk_mq_quiesce_queue(struct request_queue *q);
void blk_mq_unquiesce_queue(struct request_queue *q);
struct gendisk *blk_mq_alloc_disk(struct blk_mq_tag_set *tags, struct queue_limits *limits,
				  void *queuedata);
int device_add_disk(struct device *parent, struct gendisk *disk,
		    const struct attribute_group **groups);
void del_gendisk(struct gendisk *disk);
void put_disk(struct gendisk *disk);
void set_capacity(struct gendisk *disk, sector_t sectors);
bool set_capacity_and_notify(struct gendisk *disk, sector_t sectors);
void set_disk_ro(struct gendisk *disk, bool read_only);
#define get_capacity(disk)		  ((disk)->sectors)
#define dev_to_disk(dev)		  ((struct gendisk *)(void *)(dev))
#define blk_queue_disable_discard(q)	  ((q)->limits.max_hw_discard_sectors = 0)
#define blk_queue_disable_write_zeroes(q) ((q)->limits.max_write_zeroes_sectors = 0)
#define IS_ERR(p)			  ((uintptr_t)(p) >= (uintptr_t)-4095)
#define PTR_ERR(p)			  ((long)(p))

struct ida {
	u32 taken;
};
#define DEFINE_IDA(name) struct ida name
int ida_alloc_min(struct ida *ida, unsigned int min, gfp_t flags);
void ida_free(struct ida *ida, unsigned int id);

/* ---- for tests ---- */

/* The disk of the last device_add_disk(), or NULL. */
extern struct gendisk *shim_disk;

/*
 * Sends one request and returns its BLK_STS_*. data: len bytes, a multiple of 512, in `count`
 * pages.
 */
blk_status_t shim_submit(struct gendisk *disk, enum req_op op, u64 sector, struct page **pages,
			 u32 bytes);

#endif
