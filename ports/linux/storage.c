// SPDX-License-Identifier: GPL-2.0-only
/*
 * storvsc.ko: disks and CD-ROMs on a VMBus storage channel. The protocol is guest/storage.c, its
 * ring is storage_link.c's; here are its pages and the SCSI layer. Errors are storage_error.c's.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <scsi/scsi.h>
#include <scsi/scsi_devinfo.h>
#include "ports/linux/compat.h"
#include "ports/linux/storage.h"

#define QUEUE_MAX    64u
#define SCAN_TIMEOUT (10 * HZ)
#define SCAN_RETRIES 3

static unsigned int ring_size = 128 << 10;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "bytes of each of a controller's two rings (default 131072)");

static unsigned int queue_depth;
module_param(queue_depth, uint, 0444);
MODULE_PARM_DESC(queue_depth, "commands that a controller may hold (default: what the ring fits)");

#define TIMEOUT_DEFAULT 180u
#define TIMEOUT_MAX	86400u
static unsigned int timeout = TIMEOUT_DEFAULT;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "seconds after which a command is overdue and the host is asked for a "
			  "reset, 86400 at most (default, and for 0: 180)");

static unsigned int give_up;
module_param(give_up, uint, 0644);
MODULE_PARM_DESC(give_up, "seconds after which an overdue command, and with it the controller's "
			  "disks, is given up (default 0: never)");

static unsigned int queues;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "channels of a controller (default: one a CPU, as far as the host has)");

static unsigned int max_version;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version, "newest storage protocol, like 0x0501 (default: newest known)");

/* ---- packets out ---- */

/*
 * Page frame numbers of the command's data. The queue's boundary mask makes all segments but the
 * first start, and all but the last end, at a page's edge: so they form one range.
 */
static u32 list_pages(struct scsi_cmnd *cmd, u64 *pfns, u32 pfn_max)
{
	struct scatterlist *sg;
	phys_addr_t at, end;
	u32 count = 0;
	int i;

	scsi_for_each_sg(cmd, sg, scsi_sg_count(cmd), i) {
		at = sg_phys(sg) & PAGE_MASK;
		end = sg_phys(sg) + sg->length;
		for (; at < end && count < pfn_max; at += PAGE_SIZE)
			pfns[count++] = at >> PAGE_SHIFT;
	}
	return count;
}

static u8 direction_of(struct scsi_cmnd *cmd)
{
	if (!scsi_bufflen(cmd))
		return VMB_STOR_NO_DATA;
	return cmd->sc_data_direction == DMA_TO_DEVICE ? VMB_STOR_WRITE : VMB_STOR_READ;
}

static void fill_address(const struct storvsc *s, const struct scsi_device *sdev,
			 struct vmb_guest_storage_request *request)
{
	request->path_id = s->ide ? s->address.path_id : sdev->channel;
	request->target_id = s->ide ? s->address.target_id : sdev->id;
	request->lun = sdev->lun;
}

static void fill_request(struct scsi_cmnd *cmd, struct vmb_guest_storage_request *request)
{
	memset(request, 0, sizeof(*request));
	request->cookie = cmd;
	fill_address(shost_priv(cmd->device->host), cmd->device, request);
	request->cdb_len = cmd->cmd_len;
	memcpy(request->cdb, cmd->cmnd, min_t(u32, cmd->cmd_len, VMB_STOR_CDB_LEN_MAX));
	request->direction = direction_of(cmd);
	request->data_len = scsi_bufflen(cmd);
	if (request->data_len)
		request->data_offset = offset_in_page(scsi_sglist(cmd)->offset);
	request->timeout_s = scsi_cmd_to_rq(cmd)->timeout / HZ;
}

static u32 queue_of(struct scsi_cmnd *cmd)
{
	return blk_mq_unique_tag_to_hwq(blk_mq_unique_tag(scsi_cmd_to_rq(cmd)));
}

/* 0: the host will have it with the next commit, or has answered it already. */
static int submit(struct storvsc *s, u32 queue, struct scsi_cmnd *cmd)
{
	struct vmb_guest_storage_request request;
	u32 slot = s->slot_of[scsi_cmd_to_rq(cmd)->tag];
	u64 *pfns = storage_link_pfns(&s->link, slot);
	u32 pfn_count;
	bool own;
	int rc;

	fill_request(cmd, &request);
	pfn_count = storvsc_user_pages(s, slot, cmd, pfns);
	own = pfn_count;
	if (own)
		request.data_offset = 0;
	else
		pfn_count = list_pages(cmd, pfns, s->link.pfn_max);
	rc = storage_link_submit(&s->link, queue, slot, &request, pfn_count, false);
	if (rc && own)
		storvsc_user_lost(s, slot, false);
	return rc;
}

static void finish(struct scsi_cmnd *cmd, u8 host_byte)
{
	cmd->result = host_byte << 16;
	scsi_done(cmd);
}

/*
 * The ring is full, or the channel is being replaced: the block layer asks again after the next
 * completion or a few milliseconds. The host is shown commands at the end of a batch only, which
 * is this one, or is told by commit_rqs() when the batch ends otherwise.
 */
static SCSI_QC_STATUS queuecommand(struct Scsi_Host *host, struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(host);
	/* cmd may have ended when submit() returns */
	bool last = cmd->flags & SCMD_LAST;
	u32 queue = queue_of(cmd);
	enum storage_link_state state;
	int rc = -EAGAIN;

	rcu_read_lock();
	state = storage_link_state(&s->link);
	if (state == STORAGE_LINK_UP)
		rc = submit(s, queue, cmd);
	else if (state == STORAGE_LINK_GONE)
		rc = -ENODEV;
	if (rc || last)
		storage_link_commit(&s->link, queue);
	rcu_read_unlock();
	if (rc == -EAGAIN || rc == -EBUSY)
		return SCSI_MLQUEUE_HOST_BUSY;
	if (rc)
		finish(cmd, rc == -ENODEV ? DID_NO_CONNECT : DID_ERROR);
	return 0;
}

static void commit_rqs(struct Scsi_Host *host, u16 queue)
{
	struct storvsc *s = shost_priv(host);

	rcu_read_lock();
	storage_link_commit(&s->link, queue);
	rcu_read_unlock();
}

/* ---- packets in ---- */

static void queue_scan(struct storvsc *s)
{
	if (!READ_ONCE(s->removing))
		schedule_work(&s->scan_work);
}

/* Softirq, one at a time. */
static void on_packet(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	struct storage_queue *queue = vmb_channel_context(ch);
	struct storvsc *s = to_storvsc(queue->link);
	const struct vmb_guest_storage_event *event = storage_link_take(queue, packet);

	if (!event)
		return;
	if (event->type == VMB_GUEST_STORAGE_COMPLETED)
		storvsc_complete(s, event);
	if (event->type == VMB_GUEST_STORAGE_RESCAN || event->capacity_changed)
		queue_scan(s);
}

static void on_drained(struct vmb_channel *ch)
{
	storage_link_drained(vmb_channel_context(ch));
}

static void on_rescinded(struct vmb_channel *ch)
{
	storage_link_rescinded(vmb_channel_context(ch));
}

static const struct storage_link_ops link_ops = {
	.channel = {
		.packet = on_packet,
		.drained = on_drained,
		.rescinded = on_rescinded,
		.sub_channel = storage_link_sub_channel,
		.tolerates_delay = true,
	},
	.lost = storvsc_lost,
};

/* ---- disks ---- */

/*
 * The host says that disks came, went or changed. One that went answers "invalid LUN", which
 * queues its removal. The scan finds the new ones.
 */
static void scan_work(struct work_struct *work)
{
	struct storvsc *s = container_of(work, struct storvsc, scan_work);
	struct scsi_sense_hdr sense;
	struct scsi_device *sdev;

	if (READ_ONCE(s->removing))
		return;
	shost_for_each_device(sdev, s->host) {
		scsi_test_unit_ready(sdev, SCAN_TIMEOUT, SCAN_RETRIES, &sense);
		scsi_rescan_device(sdev);
	}
	scsi_scan_host(s->host);
}

static void gone_work(struct work_struct *work)
{
	struct storvsc *s = container_of(work, struct storvsc, gone_work);
	struct scsi_device *sdev;
	u32 bit;

	for_each_set_bit(bit, s->gone, STORVSC_TARGET_COUNT * STORVSC_LUN_COUNT) {
		clear_bit(bit, s->gone);
		sdev = scsi_device_lookup(s->host, 0, bit / STORVSC_LUN_COUNT,
					  bit % STORVSC_LUN_COUNT);
		if (!sdev)
			continue;
		scsi_remove_device(sdev);
		scsi_device_put(sdev);
	}
}

static u32 lun_count(const struct storvsc *s)
{
	return s->ide ? 1 : STORVSC_LUN_COUNT;
}

/* Microsoft's targets claim SPC-2 but have the newer VPD pages and report their LUNs. */
static int sdev_init_hook(struct scsi_device *sdev)
{
	struct storvsc *s = shost_priv(sdev->host);

	/* REPORT LUNS may name one that has no place in a request, where it would be another's. */
	if (sdev->lun >= lun_count(s))
		return -ENXIO;
	sdev->sdev_bflags = BLIST_REPORTLUN2 | BLIST_TRY_VPD_PAGES;
	sdev->no_report_opcodes = 1;
	return 0;
}

static int sdev_configure_hook(SDEV_CONFIGURE_ARGS)
{
	struct storvsc *s = shost_priv(sdev->host);

	blk_queue_rq_timeout(sdev->request_queue,
			     min(timeout ? timeout : TIMEOUT_DEFAULT, TIMEOUT_MAX) * HZ);
	/* A disk that does not say whether it caches is flushed: a wrong flush costs little. */
	sdev->wce_default_on = 1;
	sdev->no_write_same = s->link.core.version < VMB_STOR_VERSION_6_2;
	if (!strncmp(sdev->vendor, "Msft", 4) && sdev->scsi_level < SCSI_SPC_3 &&
	    s->link.core.version >= VMB_STOR_VERSION_5_1)
		sdev->scsi_level = SCSI_SPC_3;
	return 0;
}

/* ---- which queue a CPU uses ---- */

/* A CPU near the one that the queue's channel interrupts, at best that one itself; 0: nearest. */
static u32 distance(const struct storvsc *s, u32 queue, u32 cpu)
{
	u32 target = s->link.queues[queue].cpu;

	if (target == cpu)
		return 0;
	if (cpumask_test_cpu(target, topology_sibling_cpumask(cpu)))
		return 1;
	return cpu_to_node(target) == cpu_to_node(cpu) ? 2 : 3;
}

/* The nearest queue; of several the one that the fewest CPUs have. */
static u32 choose_queue(const struct storvsc *s, const u16 *users, u32 cpu)
{
	u64 cost, least = U64_MAX;
	u32 i, best = 0;

	for (i = 0; i < s->link.queue_count; i++) {
		cost = (u64)distance(s, i, cpu) << 32 | users[i];
		if (cost < least) {
			least = cost;
			best = i;
		}
	}
	return best;
}

/*
 * A request is answered on the CPU that its channel interrupts, so a CPU uses the channel that
 * interrupts it, or a near one. The CPUs that channels interrupt go first, so that each of these
 * has its own.
 */
static void map_queues(struct Scsi_Host *host)
{
	struct storvsc *s = shost_priv(host);
	unsigned int *map = host->tag_set.map[HCTX_TYPE_DEFAULT].mq_map;
	u16 users[QUEUE_MAX] = {};
	u32 i, cpu;

	for_each_possible_cpu(cpu)
		map[cpu] = UINT_MAX;
	for (i = 0; i < s->link.queue_count; i++) {
		map[s->link.queues[i].cpu] = i;
		users[i] = 1;
	}
	for_each_possible_cpu(cpu) {
		if (map[cpu] != UINT_MAX)
			continue;
		map[cpu] = choose_queue(s, users, cpu);
		users[map[cpu]]++;
	}
}

static struct scsi_host_template host_template = {
	.module = THIS_MODULE,
	.name = "storvsc",
	.proc_name = "storvsc",
	.queuecommand = queuecommand,
	.commit_rqs = commit_rqs,
	.map_queues = map_queues,
	.eh_timed_out = storvsc_timed_out,
	.eh_abort_handler = storvsc_abort,
	.eh_host_reset_handler = storvsc_host_reset,
	.sdev_init = sdev_init_hook,
	.sdev_configure = sdev_configure_hook,
	.change_queue_depth = scsi_change_queue_depth,
	.this_id = -1,
	.skip_settle_delay = 1,
	.track_queue_depth = 1,
	.virt_boundary_mask = VMB_PAGE_LEN - 1,
	.max_segment_size = UINT_MAX,
};

/* ---- probe and remove ---- */

static void set_limits(struct storvsc *s)
{
	struct Scsi_Host *host = s->host;

	host->max_channel = 0;
	host->max_id = s->ide ? 1 : STORVSC_TARGET_COUNT;
	host->max_lun = s->ide ? 1 : STORVSC_LUN_COUNT;
	host->max_cmd_len = VMB_STOR_CDB_LEN_MAX;
	host->nr_hw_queues = s->link.queue_count;
	/* A slot is the link's, and so is a tag. */
	host->host_tagset = s->link.queue_count > 1;
	host->can_queue = s->link.slot_count - s->spare_count;
	host->cmd_per_lun = host->can_queue;
	host->max_sectors = s->link.core.max_transfer_len >> SECTOR_SHIFT;
	host->sg_tablesize = s->link.core.max_transfer_len / VMB_PAGE_LEN;
}

static u32 queue_max(void)
{
	return min3(queues ? queues : num_online_cpus(), num_online_cpus(), QUEUE_MAX);
}

static struct storvsc *new_storvsc(struct vmb_device *device)
{
	const struct storage_link_config config = {
		.ring_size = ring_size,
		.queue_depth = queue_depth,
		.queue_max = storvsc_is_ide(device) ? 1 : queue_max(),
		.max_version = max_version,
		.give_up = &give_up,
	};
	struct Scsi_Host *host = scsi_host_alloc(&host_template, sizeof(struct storvsc));
	struct storvsc *s;
	int rc;

	if (!host)
		return NULL;
	s = shost_priv(host);
	s->host = host;
	s->ide = storvsc_is_ide(device);
	rc = storage_link_init(&s->link, device, &link_ops, &config);
	if (rc) {
		scsi_host_put(host);
		return NULL;
	}
	INIT_WORK(&s->scan_work, scan_work);
	INIT_WORK(&s->gone_work, gone_work);
	storvsc_user_prepare(s);
	return s;
}

static void stop_work(struct storvsc *s)
{
	WRITE_ONCE(s->removing, true);
	cancel_work_sync(&s->scan_work);
	cancel_work_sync(&s->gone_work);
}

/*
 * A packet that was being taken may have queued work late; without a channel nothing does any more.
 */
static void free_storvsc(struct storvsc *s)
{
	storvsc_user_stop(s);
	storage_link_stop(&s->link);
	stop_work(s);
	storvsc_user_free(s);
	storage_link_free(&s->link);
	scsi_host_put(s->host);
}

static int bring_up(struct storvsc *s, bool chosen)
{
	int rc = s->ide ? storvsc_ide_check_offer(s, chosen) : 0;

	if (!rc)
		rc = storage_link_start(&s->link);
	if (!rc)
		rc = storvsc_user_start(s);
	if (!rc && s->ide)
		rc = storvsc_ide_check_unit(s, chosen);
	if (rc)
		return rc;
	set_limits(s);
	return scsi_add_host(s->host, &s->link.device->dev);
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct storvsc *s = new_storvsc(device);
	int rc;

	if (!s)
		return -ENOMEM;
	device->data = s;
	rc = bring_up(s, device->driver_override);
	if (rc) {
		WRITE_ONCE(s->removing, true);
		free_storvsc(s);
		return rc;
	}
	scsi_scan_host(s->host);
	return 0;
}

static void remove(struct vmb_device *device)
{
	struct storvsc *s = device->data;

	storage_link_removing(&s->link);
	stop_work(s);
	scsi_remove_host(s->host);
	free_storvsc(s);
}

/* The SCSI layer has stopped its disks and flushed them. */
static int suspend(struct vmb_device *device)
{
	struct storvsc *s = device->data;

	return storage_link_suspend(&s->link);
}

static int resume(struct vmb_device *device)
{
	struct storvsc *s = device->data;

	storage_link_resume(&s->link);
	return 0;
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = VMB_GUID_SCSI },
	{ .guid = VMB_GUID_IDE },
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver storvsc_driver = {
	.driver = {
		.name = "storvsc",
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
};

static int __init storvsc_init(void)
{
	int rc = storage_link_check_version("storvsc", max_version);

	if (!rc)
		rc = storvsc_ide_init();
	return rc ? rc : vmb_driver_register(&storvsc_driver);
}

static void __exit storvsc_exit(void)
{
	vmb_driver_unregister(&storvsc_driver);
}

module_init(storvsc_init);
module_exit(storvsc_exit);

MODULE_LICENSE("GPL");
/* For who asks for the kernel's own by name, where that is not installed. */
MODULE_ALIAS("hv_storvsc");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V synthetic SCSI storage, and DVD drives on IDE");
