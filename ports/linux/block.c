// SPDX-License-Identifier: GPL-2.0-only
/*
 * blkvsc.ko: disks on IDE channels, as block devices without a SCSI layer. The protocol is
 * guest/storage.c, its ring is storage_link.c's; here are the disk and its queue.
 */
#include <linux/hdreg.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include "ports/linux/block.h"
#include "ports/linux/block_compat.h"

#define GEOMETRY_HEADS	 255
#define GEOMETRY_SECTORS 63

static unsigned int ring_size = 128 << 10;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "bytes of each of a disk's two rings (default 131072)");

static unsigned int queue_depth;
module_param(queue_depth, uint, 0444);
MODULE_PARM_DESC(queue_depth, "requests that a disk may hold (default: what the ring fits)");

#define TIMEOUT_DEFAULT 180u
#define TIMEOUT_MAX	86400u
static unsigned int timeout = TIMEOUT_DEFAULT;
module_param(timeout, uint, 0444);
MODULE_PARM_DESC(timeout, "seconds after which a request is overdue and the host is asked for a "
			  "reset, 86400 at most (default, and for 0: 180)");

static unsigned int give_up;
module_param(give_up, uint, 0644);
MODULE_PARM_DESC(give_up, "seconds after which an overdue request, and with it the disk, is given "
			  "up (default 0: never)");

static unsigned int max_version;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version, "newest storage protocol, like 0x0501 (default: newest known)");

static DEFINE_IDA(indices);

/* ---- the queue ---- */

/*
 * A full ring or a channel that is being replaced: asked again after the next completion or a few
 * milliseconds. What was written before is shown to the host in any case.
 */
static blk_status_t later(struct blkvsc *b, int rc)
{
	vmb_channel_commit(b->link.device->channel);
	return rc == -EAGAIN || rc == -EBUSY ? BLK_STS_RESOURCE : BLK_STS_IOERR;
}

/* The host is shown requests at the end of a batch only: rq is its last, or commit_rqs() comes. */
static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct blkvsc *b = hctx->queue->queuedata;
	enum storage_link_state state = storage_link_state(&b->link);
	struct request *rq = bd->rq;
	struct blkvsc_request *mine = blk_mq_rq_to_pdu(rq);
	int pfn_count, rc;

	if (unlikely(state != STORAGE_LINK_UP))
		return state == STORAGE_LINK_GONE ? BLK_STS_OFFLINE : BLK_STS_RESOURCE;
	pfn_count = blkvsc_build(b, rq, &mine->request);
	if (unlikely(pfn_count < 0)) {
		vmb_channel_commit(b->link.device->channel);
		return BLK_STS_NOTSUPP;
	}
	blk_mq_start_request(rq);
	rc = storage_link_submit(&b->link, 0, rq->tag, &mine->request, pfn_count, bd->last);
	return likely(!rc) ? BLK_STS_OK : later(b, rc);
}

static void commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct blkvsc *b = hctx->queue->queuedata;

	vmb_channel_commit(b->link.device->channel);
}

/* The request stays with the host until the link ends it; then it is sent again. */
static enum blk_eh_timer_return timed_out(struct request *rq)
{
	struct blkvsc *b = rq->q->queuedata;

	storage_link_overdue(&b->link, jiffies - rq->timeout);
	return BLK_EH_RESET_TIMER;
}

static const struct blk_mq_ops queue_ops = {
	.queue_rq = queue_rq,
	.commit_rqs = commit_rqs,
	.timeout = timed_out,
};

/* ---- packets in; softirq or interrupt, one at a time ---- */

static void on_packet(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	struct storage_queue *queue = vmb_channel_context(ch);
	struct blkvsc *b = to_blkvsc(queue->link);
	const struct vmb_guest_storage_event *event = storage_link_take(queue, packet);

	if (!event)
		return;
	if (event->type == VMB_GUEST_STORAGE_COMPLETED && event->cookie)
		blkvsc_complete(b, event->cookie, event);
	if ((event->type == VMB_GUEST_STORAGE_RESCAN || event->capacity_changed) &&
	    !READ_ONCE(b->removing))
		schedule_work(&b->look_work);
}

static void on_drained(struct vmb_channel *ch)
{
	struct storage_queue *queue = vmb_channel_context(ch);
	struct blkvsc *b = to_blkvsc(queue->link);

	blkvsc_end_batch(b);
	storage_link_drained(queue);
}

static void on_rescinded(struct vmb_channel *ch)
{
	storage_link_rescinded(vmb_channel_context(ch));
}

static const struct storage_link_ops link_ops = {
	.channel = {
		.packet = on_packet,
		.drained = on_drained,
		.in_interrupt = true, /* ending a request is short, and a softirq for it is not */
		.rescinded = on_rescinded,
	},
	.lost = blkvsc_lost,
};

/* ---- the disk ---- */

static sector_t sectors_of(const struct blkvsc_unit *unit)
{
	return unit->block_count << (unit->block_shift - SECTOR_SHIFT);
}

/* The host says that something changed. A disk that shrank to nothing, or went, keeps its size. */
static void look_work(struct work_struct *work)
{
	struct blkvsc *b = container_of(work, struct blkvsc, look_work);
	struct blkvsc_unit now;

	if (!b->disk || blkvsc_measure(b, &now) || now.block_len != b->unit.block_len)
		return;
	if (now.read_only != b->unit.read_only) {
		b->unit.read_only = now.read_only;
		set_disk_ro(b->disk, now.read_only);
	}
	b->unit.block_count = now.block_count;
	set_capacity_and_notify(b->disk, sectors_of(&now));
}

/*
 * Called before the disk is removed, which the work uses. A packet that is being handled may still
 * queue the work: see close_link().
 */
static void stop_work(struct blkvsc *b)
{
	WRITE_ONCE(b->removing, true);
	cancel_work_sync(&b->look_work);
}

/* Without a channel nothing queues work any more. */
static void close_link(struct blkvsc *b)
{
	storage_link_stop(&b->link);
	cancel_work_sync(&b->look_work);
}

static int open_disk(OPEN_TARGET *target, blk_mode_t mode)
{
	struct blkvsc *b = target_disk(target)->private_data;

	return mode & BLK_OPEN_WRITE && b->unit.read_only ? -EROFS : 0;
}

static int get_geometry(GEOMETRY_TARGET *target, struct hd_geometry *geometry)
{
	sector_t cylinders = geometry_sectors(target);

	sector_div(cylinders, GEOMETRY_HEADS * GEOMETRY_SECTORS);
	geometry->heads = GEOMETRY_HEADS;
	geometry->sectors = GEOMETRY_SECTORS;
	geometry->cylinders = min_t(sector_t, cylinders, U16_MAX);
	return 0;
}

/* The last user has closed the disk. */
static void free_disk(struct gendisk *disk)
{
	kfree(disk->private_data);
}

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.open = open_disk,
	.getgeo = get_geometry,
	.free_disk = free_disk,
};

/*
 * hvda to hvdd are the places of an IDE controller's units, primary master first; whatever has no
 * such place, or finds its name taken, gets the next free one.
 */
static int name_disk(struct blkvsc *b, char *name, size_t size)
{
	u32 wanted = min(b->address.path_id * 2u + b->address.target_id, 3u);
	int index = ida_alloc_min(&indices, wanted, GFP_KERNEL);

	if (index < 0)
		return index;
	b->index = index;
	if (index < 26)
		snprintf(name, size, "hvd%c", 'a' + index);
	else
		snprintf(name, size, "hvd%c%c", 'a' + (index / 26 - 1) % 26, 'a' + index % 26);
	return 0;
}

static int make_tags(struct blkvsc *b)
{
	b->tags.ops = &queue_ops;
	b->tags.nr_hw_queues = 1;
	b->tags.queue_depth = b->link.slot_count;
	b->tags.numa_node = NUMA_NO_NODE;
	b->tags.timeout = min(timeout ? timeout : TIMEOUT_DEFAULT, TIMEOUT_MAX) * HZ;
	b->tags.cmd_size = sizeof(struct blkvsc_request);
	b->tags.flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	return blk_mq_alloc_tag_set(&b->tags);
}

static blk_features_t features_of(const struct blkvsc_unit *unit)
{
	blk_features_t features = 0;

	if (unit->write_cache)
		features |= BLK_FEAT_WRITE_CACHE;
	if (unit->write_cache && unit->fua)
		features |= BLK_FEAT_FUA;
	if (unit->rotational)
		features |= BLK_FEAT_ROTATIONAL;
	return features;
}

static int add_disk_of(struct blkvsc *b)
{
	struct queue_limits limits;
	struct gendisk *disk;
	int rc;

	blkvsc_limits(b, &limits);
	disk = alloc_disk_compat(&b->tags, &limits, features_of(&b->unit), b);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	rc = name_disk(b, disk->disk_name, sizeof(disk->disk_name));
	if (rc)
		goto put;
	disk->fops = &disk_ops;
	disk->private_data = b;
	set_capacity(disk, sectors_of(&b->unit));
	set_disk_ro(disk, b->unit.read_only);
	b->disk = disk; /* before its first request, which may come to nothing */
	rc = device_add_disk(&b->link.device->dev, disk, blkvsc_disk_groups);
	if (!rc)
		return 0;
	stop_work(b);
	ida_free(&indices, b->index);
put:
	put_disk(disk);
	return rc;
}

/* ---- probe and remove ---- */

static int bring_up(struct blkvsc *b)
{
	int rc = blkvsc_identify(b);

	if (rc)
		return rc;
	rc = make_tags(b);
	if (rc)
		return rc;
	rc = add_disk_of(b);
	if (rc)
		blk_mq_free_tag_set(&b->tags);
	return rc;
}

/* Without an id the user chose this driver by driver_override: use the device's first unit. */
static int find_address(struct blkvsc *b, const struct hv_vmbus_device_id *id)
{
	if (!id)
		return 0;
	return vmb_guest_storage_ide_address(&b->link.device->instance_id, &b->address);
}

static int start(struct blkvsc *b, const struct hv_vmbus_device_id *id)
{
	int rc = find_address(b, id);

	if (rc)
		return rc;
	rc = storage_link_start(&b->link);
	if (rc)
		return rc;
	rc = bring_up(b);
	if (rc) {
		stop_work(b);
		close_link(b);
	}
	return rc;
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	const struct storage_link_config config = {
		.ring_size = ring_size,
		.queue_depth = queue_depth,
		.max_version = max_version,
		.give_up = &give_up,
	};
	struct blkvsc *b = kzalloc(sizeof(*b), GFP_KERNEL);
	int rc;

	if (!b)
		return -ENOMEM;
	INIT_WORK(&b->look_work, look_work);
	rc = storage_link_init(&b->link, device, &link_ops, &config);
	if (rc)
		goto free;
	device->data = b;
	rc = start(b, id);
	if (!rc)
		return 0;
	storage_link_free(&b->link);
free:
	kfree(b);
	return rc;
}

/*
 * Requests that a silent host holds end by the link, which works until the disk has none any more.
 */
static void remove(struct vmb_device *device)
{
	struct blkvsc *b = device->data;
	struct gendisk *disk = b->disk;

	storage_link_removing(&b->link);
	del_gendisk(disk);
	stop_work(b);
	blkvsc_flush(b);
	close_link(b);
	blk_mq_free_tag_set(&b->tags);
	storage_link_free(&b->link);
	ida_free(&indices, b->index);
	put_disk(disk); /* the last one frees b */
}

/* The file systems are as still as they get; what the host's cache holds must survive it. */
static void shutdown(struct vmb_device *device)
{
	blkvsc_flush(device->data);
}

/* What the host's cache holds must survive it. */
static int suspend(struct vmb_device *device)
{
	struct blkvsc *b = device->data;

	blkvsc_flush(b);
	return storage_link_suspend(&b->link);
}

static int resume(struct vmb_device *device)
{
	struct blkvsc *b = device->data;

	storage_link_resume(&b->link);
	return 0;
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = VMB_GUID_IDE },
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver blkvsc_driver = {
	.driver = {
		.name = "blkvsc",
		.dev_groups = blkvsc_device_groups,
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
	.shutdown = shutdown,
};

static int __init blkvsc_init(void)
{
	int rc = storage_link_check_version("blkvsc", max_version);

	return rc ? rc : vmb_driver_register(&blkvsc_driver);
}

static void __exit blkvsc_exit(void)
{
	vmb_driver_unregister(&blkvsc_driver);
}

module_init(blkvsc_init);
module_exit(blkvsc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V disks on IDE channels");
