// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A block layer in user space, as far as blkvsc uses it. It aborts the test when the driver breaks
 * a rule of the real one.
 */
#include "tests/linux/block.h"

/* ms; BLK_MQ_RESOURCE_DELAY, growing, because a test of hours would spend most of its time here. */
#define RESOURCE_DELAY	   3u
#define RESOURCE_DELAY_MAX 2000u

struct gendisk *shim_disk;
/* for all disks: a thread that leaves a disk must not touch it any more */
static wait_queue_head_t frozen;

static void broken(const struct request *rq, const char *what)
{
	fprintf(stderr, "# %s: %s, tag %d\n", sched_name(), what, rq->tag);
	abort();
}

/* ---- what the driver calls ---- */

/* The real one runs in a work item, which may sleep; but not in all kernels. */
static void time_is_up(struct timer_list *timer)
{
	struct request *rq = container_of(timer, struct request, timer);

	if (rq->state != SHIM_REQUEST_STARTED)
		return;
	if (rq->q->tags->ops->timeout(rq) == BLK_EH_RESET_TIMER &&
	    rq->state == SHIM_REQUEST_STARTED)
		mod_timer(&rq->timer, jiffies + rq->timeout);
}

void blk_mq_start_request(struct request *rq)
{
	rq->state = SHIM_REQUEST_STARTED;
	mod_timer(&rq->timer, jiffies + rq->timeout);
}

static void leave(struct request *rq, enum shim_request_state state, const char *what)
{
	if (rq->state != SHIM_REQUEST_STARTED)
		broken(rq, what);
	shim_release(rq);
	rq->state = state;
	wake_up_all(&rq->q->wait);
}

void blk_mq_end_request(struct request *rq, blk_status_t status)
{
	rq->status = status;
	leave(rq, SHIM_REQUEST_ENDED, "ends a request that is not started");
}

void blk_mq_requeue_request(struct request *rq, bool kick)
{
	rq->delay = 0;
	leave(rq, SHIM_REQUEST_REQUEUED, "requeues a request that is not started");
}

/* A requeued request waits a tick in any case. */
void blk_mq_delay_kick_requeue_list(struct request_queue *q, unsigned long ms)
{
}

bool blk_mq_add_to_batch(struct request *rq, struct io_comp_batch *batch, bool is_error,
			 void (*complete)(struct io_comp_batch *batch))
{
	if (rq->state != SHIM_REQUEST_STARTED)
		broken(rq, "completes a request that is not started");
	batch->complete = complete;
	rq->next = batch->first;
	batch->first = rq;
	return true;
}

void blk_mq_end_request_batch(struct io_comp_batch *batch)
{
	struct request *rq, *next;

	for (rq = batch->first; rq; rq = next) {
		next = rq->next;
		blk_mq_end_request(rq, BLK_STS_OK);
	}
	batch->first = NULL;
}

void blk_mq_quiesce_queue(struct request_queue *q)
{
	q->quiesced = true;
	synchronize_rcu();
}

void blk_mq_unquiesce_queue(struct request_queue *q)
{
	q->quiesced = false;
	wake_up_all(&q->wait);
}

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *tags)
{
	unsigned int i;

	init_waitqueue_head(&tags->wait);
	tags->requests = kcalloc(tags->queue_depth, sizeof(*tags->requests), GFP_KERNEL);
	for (i = 0; i < tags->queue_depth; i++) {
		tags->requests[i] = kzalloc(sizeof(struct request) + tags->cmd_size, GFP_KERNEL);
		timer_setup(&tags->requests[i]->timer, time_is_up, 0);
	}
	return 0;
}

void blk_mq_free_tag_set(struct blk_mq_tag_set *tags)
{
	unsigned int i;

	for (i = 0; i < tags->queue_depth; i++) {
		timer_delete_sync(&tags->requests[i]->timer);
		kfree(tags->requests[i]);
	}
	kfree(tags->requests);
}

struct gendisk *blk_mq_alloc_disk(struct blk_mq_tag_set *tags, struct queue_limits *limits,
				  void *queuedata)
{
	struct gendisk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	struct request_queue *q = kzalloc(sizeof(*q), GFP_KERNEL);

	disk->queue = q;
	q->queuedata = queuedata;
	q->tags = tags;
	q->limits = *limits;
	q->hctx.queue = q;
	init_waitqueue_head(&q->wait);
	return disk;
}

int device_add_disk(struct device *parent, struct gendisk *disk,
		    const struct attribute_group **groups)
{
	struct page *page = alloc_page(GFP_KERNEL);

	shim_release(&shim_disk);
	shim_disk = disk;
	disk->added = true;
	shim_submit(disk, REQ_OP_READ, 0, &page, PAGE_SIZE);
	put_page(page);
	return 0;
}

void del_gendisk(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	q->dying = true;
	wake_up_all(&q->wait);
	wait_event(frozen, !q->entered);
	if (shim_disk == disk)
		shim_disk = NULL;
}

void put_disk(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	if (disk->fops && disk->fops->free_disk && disk->added)
		disk->fops->free_disk(disk);
	kfree(q);
	kfree(disk);
}

void set_capacity(struct gendisk *disk, sector_t sectors)
{
	disk->sectors = sectors;
}

bool set_capacity_and_notify(struct gendisk *disk, sector_t sectors)
{
	disk->sectors = sectors;
	return true;
}

void set_disk_ro(struct gendisk *disk, bool read_only)
{
	disk->read_only = read_only;
}

int ida_alloc_min(struct ida *ida, unsigned int min, gfp_t flags)
{
	while (ida->taken >> min & 1)
		min++;
	ida->taken |= 1u << min;
	return (int)min;
}

void ida_free(struct ida *ida, unsigned int id)
{
	ida->taken &= ~(1u << id);
}

/* ---- a request ---- */

static struct request *find_free(struct blk_mq_tag_set *tags)
{
	unsigned int i;

	for (i = 0; i < tags->queue_depth; i++)
		if (!tags->requests[i]->taken)
			return tags->requests[i];
	return NULL;
}

static struct request *get_request(struct request_queue *q)
{
	struct blk_mq_tag_set *tags = q->tags;
	struct request *rq;
	unsigned int i;

	wait_event(tags->wait, (rq = find_free(tags)));
	rq->taken = true;
	shim_acquire(rq);
	for (i = 0; tags->requests[i] != rq; i++)
		;
	rq->tag = (int)i;
	rq->q = q;
	rq->timeout = tags->timeout;
	rq->state = SHIM_REQUEST_IDLE;
	memset(blk_mq_rq_to_pdu(rq), 0, tags->cmd_size);
	return rq;
}

static void put_request(struct request *rq)
{
	struct blk_mq_tag_set *tags = rq->q->tags;

	timer_delete_sync(&rq->timer);
	shim_release(rq);
	rq->taken = false;
	wake_up_all(&tags->wait);
}

static void end_early(struct request *rq, blk_status_t status)
{
	if (rq->state != SHIM_REQUEST_IDLE && rq->state != SHIM_REQUEST_STARTED)
		broken(rq, "refuses a request that has ended");
	rq->status = status;
	rq->state = SHIM_REQUEST_ENDED;
}

static void dispatch(struct request *rq)
{
	const struct blk_mq_queue_data bd = { .rq = rq, .last = true };
	unsigned int delay = RESOURCE_DELAY;
	blk_status_t status;

	for (;;) {
		wait_event(rq->q->wait, !rq->q->quiesced);
		rq->state = SHIM_REQUEST_IDLE;
		rcu_read_lock();
		status = BLK_STS_RESOURCE;
		if (!rq->q->quiesced)
			status = rq->q->tags->ops->queue_rq(&rq->q->hctx, &bd);
		rcu_read_unlock();
		if (status != BLK_STS_RESOURCE)
			break;
		timer_delete_sync(&rq->timer);
		msleep(delay = min(2 * delay, RESOURCE_DELAY_MAX));
	}
	if (status)
		end_early(rq, status);
}

static blk_status_t run(struct request *rq)
{
	for (;;) {
		dispatch(rq);
		wait_event(rq->q->wait, rq->state != SHIM_REQUEST_STARTED);
		shim_acquire(rq);
		if (rq->state == SHIM_REQUEST_ENDED)
			return rq->status;
		timer_delete_sync(&rq->timer);
		msleep(100);
	}
}

static void add_pages(struct request *rq, struct page **pages, u32 bytes)
{
	rq->bytes = bytes;
	for (rq->bvec_count = 0; bytes; rq->bvec_count++) {
		rq->bvecs[rq->bvec_count] =
			(struct bio_vec){ pages[rq->bvec_count], min(bytes, (u32)PAGE_SIZE), 0 };
		bytes -= rq->bvecs[rq->bvec_count].bv_len;
	}
}

blk_status_t shim_submit(struct gendisk *disk, enum req_op op, u64 sector, struct page **pages,
			 u32 bytes)
{
	struct request_queue *q = disk->queue;
	struct request *rq;
	blk_status_t status;

	shim_acquire(&shim_disk);
	if (q->dying)
		return BLK_STS_OFFLINE;
	q->entered++;
	rq = get_request(q);
	rq->cmd_flags = op;
	rq->sector = sector;
	add_pages(rq, pages, op == REQ_OP_FLUSH ? 0 : bytes);
	status = run(rq);
	put_request(rq);
	q->entered--;
	wake_up_all(&frozen);
	return status;
}
