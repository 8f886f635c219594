// SPDX-License-Identifier: GPL-2.0-only
/*
 * storvsc.ko: disks and CD-ROMs on a VMBus storage channel. The protocol is guest/storage.c; here
 * are its ring, its pages and the SCSI layer. Errors are storage_error.c's.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>
#include <scsi/scsi.h>
#include <scsi/scsi_devinfo.h>
#include "ports/linux/compat.h"
#include "ports/linux/storage.h"

#define HANDSHAKE_WAIT	  (60 * HZ) /* a busy host takes its time */
#define TRANSFER_LEN_MAX  (1u << 20)
#define RING_LEN_MIN	  (16u << 10)
#define RING_LEN_MAX	  (4u << 20)
#define QUEUE_DEPTH_MAX	  1024u
#define SCAN_TIMEOUT	  (10 * HZ)
#define SCAN_RETRIES	  3
/* What a request of 64 KiB takes in the ring; larger ones find it full sooner and wait. */
#define REQUEST_LEN_USUAL 256u

static unsigned int ring_size = 128 << 10;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "bytes of each of a controller's two rings (default 131072)");

static unsigned int queue_depth;
module_param(queue_depth, uint, 0444);
MODULE_PARM_DESC(queue_depth, "commands that a controller may hold (default: what the ring fits)");

static unsigned int timeout = 180;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "seconds after which a command is given up (default 180)");

static unsigned int max_version;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version, "newest storage protocol, like 0x0501 (default: newest known)");

/* ---- packets out ---- */

/* Sends the control packets that wait; control_lock. */
void storvsc_pump(struct storvsc *s)
{
	const struct vmb_guest_storage_output *out;
	struct vmb_ring_part part;
	struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.payload = &part,
		.payload_count = 1,
	};

	while ((out = vmb_guest_storage_output(&s->core))) {
		packet.transaction_id = out->transaction_id;
		part.base = &out->packet;
		part.len = out->payload_len;
		if (vmb_channel_send(s->device->channel, &packet))
			return; /* a full ring: pumped again when the host answers something */
		vmb_guest_storage_output_done(&s->core);
	}
}

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

static void fill_request(struct scsi_cmnd *cmd, struct vmb_guest_storage_request *request)
{
	memset(request, 0, sizeof(*request));
	request->cookie = cmd;
	request->path_id = cmd->device->channel;
	request->target_id = cmd->device->id;
	request->lun = cmd->device->lun;
	request->cdb_len = cmd->cmd_len;
	memcpy(request->cdb, cmd->cmnd, min_t(u32, cmd->cmd_len, VMB_STOR_CDB_LEN_MAX));
	request->direction = direction_of(cmd);
	request->data_len = scsi_bufflen(cmd);
	if (request->data_len)
		request->data_offset = offset_in_page(scsi_sglist(cmd)->offset);
	request->timeout_s = scsi_cmd_to_rq(cmd)->timeout / HZ;
}

static int send_request(struct storvsc *s, struct scsi_cmnd *cmd, u32 slot,
			struct vmb_guest_storage_packet *packet)
{
	u64 *pfns = s->pfns + (size_t)slot * s->pfn_max;
	struct vmb_ring_part header[] = {
		{ &packet->gpa, sizeof(packet->gpa) },
		{ pfns, packet->pfn_count * sizeof(*pfns) },
	};
	struct vmb_ring_part payload = { &packet->payload, packet->payload_len };
	struct vmb_ring_packet out = {
		.type = packet->type,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = packet->transaction_id,
		.header = header,
		.header_count = packet->pfn_count ? ARRAY_SIZE(header) : 0,
		.payload = &payload,
		.payload_count = 1,
	};

	if (list_pages(cmd, pfns, s->pfn_max) != packet->pfn_count)
		return -EINVAL;
	return vmb_channel_write(s->device->channel, &out);
}

/* 0: the host will have it with the next commit, or has answered it already. */
static int submit(struct storvsc *s, struct scsi_cmnd *cmd)
{
	struct vmb_guest_storage_request request;
	struct vmb_guest_storage_packet packet;
	u32 slot = scsi_cmd_to_rq(cmd)->tag;
	int rc;

	fill_request(cmd, &request);
	rc = vmb_guest_storage_submit(&s->core, slot, &request, &packet);
	if (rc)
		return rc;
	rc = send_request(s, cmd, slot, &packet);
	if (rc && !vmb_guest_storage_cancel(&s->core, slot))
		rc = 0;
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
static int queuecommand(struct Scsi_Host *host, struct scsi_cmnd *cmd)
{
	struct storvsc *s = shost_priv(host);
	bool last = cmd->flags & SCMD_LAST; /* cmd may have ended when submit() returns */
	int rc = -EAGAIN;

	rcu_read_lock();
	if (s->state == STORVSC_UP)
		rc = submit(s, cmd);
	else if (s->state == STORVSC_GONE)
		rc = -ENODEV;
	if (rc || last)
		vmb_channel_commit(s->device->channel);
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
	vmb_channel_commit(s->device->channel);
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
	struct storvsc *s = vmb_channel_context(ch);
	u8 payload[VMB_STOR_PACKET_LEN];
	u32 len = min_t(u32, packet->payload_len, sizeof(payload));
	struct vmb_guest_storage_event event;
	int rc;

	if (!vmb_channel_copy(ch, packet, sizeof(struct vmb_pkt_desc) + packet->header_len, payload,
			      len))
		return;
	spin_lock(&s->control_lock);
	rc = vmb_guest_storage_input(&s->core, packet->type, packet->transaction_id, payload, len,
				     &event);
	storvsc_pump(s);
	if (!rc && event.type == VMB_GUEST_STORAGE_RESET_DONE)
		s->reset_done = true;
	spin_unlock(&s->control_lock);
	if (rc) {
		dev_warn_ratelimited(&s->device->dev, "refused a packet of type %u, id %#llx\n",
				     packet->type, packet->transaction_id);
		return;
	}
	if (event.type == VMB_GUEST_STORAGE_COMPLETED)
		storvsc_complete(s, &event);
	if (event.type == VMB_GUEST_STORAGE_RESCAN || event.capacity_changed)
		queue_scan(s);
	if (waitqueue_active(&s->wait))
		wake_up_all(&s->wait);
}

/* All commands fail from here on; those that the host holds are ended by remove(). */
static void on_rescinded(struct vmb_channel *ch)
{
	struct storvsc *s = vmb_channel_context(ch);

	WRITE_ONCE(s->state, STORVSC_GONE);
	wake_up_all(&s->wait);
}

static const struct vmb_channel_ops channel_ops = {
	.packet = on_packet,
	.rescinded = on_rescinded,
};

/* ---- the connection ---- */

static bool settled(const struct storvsc *s)
{
	enum vmb_guest_storage_state state = READ_ONCE(s->core.state);

	return state == VMB_GUEST_STORAGE_READY || state == VMB_GUEST_STORAGE_FAILED ||
	       vmb_channel_rescinded(s->device->channel);
}

static int shake_hands(struct storvsc *s)
{
	spin_lock_bh(&s->control_lock);
	vmb_guest_storage_start(&s->core);
	storvsc_pump(s);
	spin_unlock_bh(&s->control_lock);
	if (!wait_event_timeout(s->wait, settled(s), HANDSHAKE_WAIT)) {
		dev_err(&s->device->dev, "the host does not answer the storage handshake\n");
		return -ETIMEDOUT;
	}
	if (READ_ONCE(s->core.state) == VMB_GUEST_STORAGE_READY)
		return 0;
	if (vmb_channel_rescinded(s->device->channel))
		return -ENODEV;
	dev_err(&s->device->dev, "the host refused the storage handshake\n");
	return -EPROTO;
}

/* Opens the channel and negotiates. On failure the channel is closed. */
int storvsc_connect(struct storvsc *s)
{
	struct vmb_guest_storage_config config = {
		.version_max = max_version,
		.max_transfer_len = TRANSFER_LEN_MAX,
	};
	int rc;

	rc = vmb_guest_storage_init(&s->core, s->slots, s->slot_count, &config);
	if (rc)
		return rc;
	rc = vmb_channel_open(s->device->channel, s->ring_len, &channel_ops, s);
	if (rc)
		return rc;
	rc = shake_hands(s);
	if (rc)
		vmb_channel_close(s->device->channel);
	return rc;
}

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

/* Microsoft's targets claim SPC-2 but have the newer VPD pages and report their LUNs. */
static int sdev_init_hook(struct scsi_device *sdev)
{
	sdev->sdev_bflags = BLIST_REPORTLUN2 | BLIST_TRY_VPD_PAGES;
	sdev->no_report_opcodes = 1;
	return 0;
}

static int sdev_configure_hook(SDEV_CONFIGURE_ARGS)
{
	struct storvsc *s = shost_priv(sdev->host);

	blk_queue_rq_timeout(sdev->request_queue, timeout * HZ);
	sdev->no_write_same = s->core.version < VMB_STOR_VERSION_6_2;
	if (!strncmp(sdev->vendor, "Msft", 4) && sdev->scsi_level < SCSI_SPC_3 &&
	    s->core.version >= VMB_STOR_VERSION_5_1)
		sdev->scsi_level = SCSI_SPC_3;
	return 0;
}

static struct scsi_host_template host_template = {
	.module = THIS_MODULE,
	.name = "storvsc",
	.proc_name = "storvsc",
	.queuecommand = queuecommand,
	.commit_rqs = commit_rqs,
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
	host->max_id = STORVSC_TARGET_COUNT;
	host->max_lun = STORVSC_LUN_COUNT;
	host->max_cmd_len = VMB_STOR_CDB_LEN_MAX;
	host->can_queue = s->slot_count;
	host->cmd_per_lun = s->slot_count;
	host->max_sectors = s->core.max_transfer_len >> SECTOR_SHIFT;
	host->sg_tablesize = s->core.max_transfer_len / VMB_PAGE_LEN;
}

static struct storvsc *new_storvsc(struct vmb_device *device)
{
	struct Scsi_Host *host = scsi_host_alloc(&host_template, sizeof(struct storvsc));
	struct storvsc *s;

	if (!host)
		return NULL;
	s = shost_priv(host);
	s->host = host;
	s->device = device;
	s->ring_len = round_down(clamp(ring_size, RING_LEN_MIN, RING_LEN_MAX), VMB_PAGE_LEN);
	s->slot_count = queue_depth ? queue_depth : s->ring_len / REQUEST_LEN_USUAL;
	s->slot_count = clamp(s->slot_count, 1u, QUEUE_DEPTH_MAX);
	spin_lock_init(&s->control_lock);
	mutex_init(&s->reset_mutex);
	init_waitqueue_head(&s->wait);
	INIT_WORK(&s->scan_work, scan_work);
	INIT_WORK(&s->gone_work, gone_work);
	s->slots = kvcalloc(s->slot_count, sizeof(*s->slots), GFP_KERNEL);
	if (!s->slots) {
		scsi_host_put(host);
		return NULL;
	}
	return s;
}

static void free_storvsc(struct storvsc *s)
{
	kvfree(s->pfns);
	kvfree(s->slots);
	scsi_host_put(s->host);
}

static int bring_up(struct storvsc *s)
{
	int rc = storvsc_connect(s);

	if (rc)
		return rc;
	s->pfn_max = s->core.max_transfer_len / VMB_PAGE_LEN + 1;
	s->pfns = kvmalloc_array(s->slot_count, s->pfn_max * sizeof(*s->pfns), GFP_KERNEL);
	if (!s->pfns)
		return -ENOMEM;
	set_limits(s);
	/* A rescind may have come in between; it stays. */
	cmpxchg(&s->state, STORVSC_DOWN, STORVSC_UP);
	dev_info(&s->device->dev, "storage protocol %u.%u, %u KiB a request, %u requests\n",
		 s->core.version >> 8, s->core.version & 0xff, s->core.max_transfer_len >> 10,
		 s->slot_count);
	return scsi_add_host(s->host, &s->device->dev);
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct storvsc *s = new_storvsc(device);
	int rc;

	if (!s)
		return -ENOMEM;
	device->data = s;
	rc = bring_up(s);
	if (rc) {
		vmb_channel_close(device->channel);
		free_storvsc(s);
		return rc;
	}
	scsi_scan_host(s->host);
	return 0;
}

static void remove(struct vmb_device *device)
{
	struct storvsc *s = device->data;

	/* A host that is gone answers nothing any more, so its commands are ended first. */
	mutex_lock(&s->reset_mutex);
	if (vmb_channel_rescinded(device->channel))
		storvsc_give_up(s, vmb_channel_close(device->channel) == 0);
	mutex_unlock(&s->reset_mutex);
	WRITE_ONCE(s->removing, true);
	cancel_work_sync(&s->scan_work);
	cancel_work_sync(&s->gone_work);
	scsi_remove_host(s->host);
	vmb_channel_close(device->channel);
	free_storvsc(s);
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc,
			    0x7f) },
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
};

static int __init storvsc_init(void)
{
	return vmb_driver_register(&storvsc_driver);
}

static void __exit storvsc_exit(void)
{
	vmb_driver_unregister(&storvsc_driver);
}

module_init(storvsc_init);
module_exit(storvsc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V synthetic SCSI storage");
