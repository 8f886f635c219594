// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol has no abort, so a request whose time is up stays with the host, which may still
 * move its data. Its pages are never given back before that is over:
 *
 *   reset       asks the host for RESET_BUS and waits for the answers; if some are still missing,
 *               closes the channel. Once the host has let go of the rings it has forgotten all
 *               requests; they are lost, and a new channel is opened.
 *
 * A host that does not even let go of the rings is given up: all requests end with an error, now
 * and later, and the pages that it may still write to are leaked, by a reference that is never
 * dropped.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "ports/linux/storage_link.h"

#define HANDSHAKE_WAIT	  (60 * HZ) /* a busy host takes its time */
#define RESET_WAIT	  (10 * HZ)
#define DRAIN_WAIT	  (5 * HZ)
#define TRANSFER_LEN_MAX  (1u << 20)
#define RING_LEN_MIN	  (16u << 10)
#define RING_LEN_MAX	  (4u << 20)
#define QUEUE_DEPTH_MAX	  1024u
/* What a request of 64 KiB takes in the ring; larger ones find it full sooner and wait. */
#define REQUEST_LEN_USUAL 256u
#define SLOT_TAKEN	  3u /* see struct vmb_guest_storage_slot */

/* ---- packets out ---- */

/*
 * Sends the control packets that wait; control_lock. When the ring is full, an answer of the host makes room, and
 * whoever takes that sees `pumping`: the barrier puts it before the look at the ring.
 */
static void pump(struct storage_link *link)
{
	const struct vmb_guest_storage_output *out;
	struct vmb_ring_part part;
	struct vmb_ring_packet packet = {
		.type = VMB_PKT_INBAND,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.payload = &part,
		.payload_count = 1,
	};

	WRITE_ONCE(link->pumping, true);
	smp_mb();
	while ((out = vmb_guest_storage_output(&link->core))) {
		packet.transaction_id = out->transaction_id;
		part.base = &out->packet;
		part.len = out->payload_len;
		if (vmb_channel_send(link->device->channel, &packet))
			return;
		vmb_guest_storage_output_done(&link->core);
	}
	WRITE_ONCE(link->pumping, false);
}

static int write_request(struct storage_link *link, u64 *pfns,
			 const struct vmb_guest_storage_packet *packet, bool commit)
{
	u64 *list = pfns - STORAGE_LINK_HEADER_WORDS;
	struct vmb_ring_part header = {
		list,
		sizeof(packet->gpa) + packet->pfn_count * sizeof(*pfns),
	};
	struct vmb_ring_part payload = { &packet->payload, packet->payload_len };
	struct vmb_ring_packet out = {
		.type = packet->type,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = packet->transaction_id,
		.header = &header,
		.header_count = packet->pfn_count ? 1 : 0,
		.payload = &payload,
		.payload_count = 1,
	};

	memcpy(list, &packet->gpa, sizeof(packet->gpa));
	if (commit)
		return vmb_channel_send(link->device->channel, &out);
	return vmb_channel_write(link->device->channel, &out);
}

int storage_link_submit(struct storage_link *link, u32 slot,
			const struct vmb_guest_storage_request *request, u32 pfn_count, bool commit)
{
	struct vmb_guest_storage_packet *packet = &link->packets[slot];
	int rc;

	rc = vmb_guest_storage_submit(&link->core, slot, request, packet);
	if (rc)
		return rc;
	rc = -EINVAL;
	if (pfn_count == packet->pfn_count)
		rc = write_request(link, storage_link_pfns(link, slot), packet, commit);
	if (rc && !vmb_guest_storage_cancel(&link->core, slot))
		rc = 0;
	return rc;
}

/* ---- packets in ---- */

static void command_ended(struct storage_link *link, const struct vmb_guest_storage_event *event)
{
	if (!event->cookie)
		return;
	link->command_event = *event;
	smp_store_release(&link->command_done, true);
}

/* What ends a request needs no lock: see vmb_guest_storage_ends_request(). */
static int feed(struct storage_link *link, const struct vmb_ring_received *packet, u32 len)
{
	struct vmb_guest_storage_event *event = &link->event;
	bool lockless =
		vmb_guest_storage_ends_request(&link->core, packet->type, packet->transaction_id);
	unsigned long flags;
	int rc;

	if (likely(lockless && !READ_ONCE(link->pumping)))
		return vmb_guest_storage_input(&link->core, packet->type, packet->transaction_id,
					       link->payload, len, event);
	spin_lock_irqsave(&link->control_lock, flags);
	rc = vmb_guest_storage_input(&link->core, packet->type, packet->transaction_id,
				     link->payload, len, event);
	pump(link);
	if (!rc && event->type == VMB_GUEST_STORAGE_RESET_DONE)
		smp_store_release(&link->reset_done, true);
	spin_unlock_irqrestore(&link->control_lock, flags);
	return rc;
}

const struct vmb_guest_storage_event *storage_link_take(struct storage_link *link,
							const struct vmb_ring_received *packet)
{
	const struct vmb_guest_storage_event *event = &link->event;
	u32 len = min_t(u32, packet->payload_len, sizeof(link->payload));
	bool theirs;

	if (!vmb_channel_copy(link->device->channel, packet,
			      sizeof(struct vmb_pkt_desc) + packet->header_len, link->payload, len))
		return NULL;
	if (feed(link, packet, len)) {
		dev_warn_ratelimited(&link->device->dev, "refused a packet of type %u, id %#llx\n",
				     packet->type, packet->transaction_id);
		return NULL;
	}
	theirs = event->type != VMB_GUEST_STORAGE_COMPLETED || event->slot < link->slot_count;
	if (!theirs)
		command_ended(link, event);
	if (wq_has_sleeper(&link->wait))
		wake_up_all(&link->wait);
	return theirs ? event : NULL;
}

/* ---- one command, waited for ---- */

static int judge(const struct storage_link *link, struct storage_link_answer *answer)
{
	const struct vmb_guest_storage_event *event = &link->command_event;

	answer->data_len = event->data_len;
	answer->srb_status = event->srb_status;
	answer->scsi_status = event->scsi_status;
	answer->sense_len = event->sense_len;
	memcpy(answer->sense, event->sense, sizeof(answer->sense));
	if (event->scsi_status ||
	    (event->srb_status != VMB_SRB_SUCCESS && event->srb_status != VMB_SRB_DATA_OVERRUN))
		return -EIO;
	return 0;
}

/* A command that is given up keeps its slot and its page until the host has let go. */
static int await_command(struct storage_link *link, u32 timeout_s)
{
	wait_event_timeout(link->wait,
			   smp_load_acquire(&link->command_done) ||
				   storage_link_state(link) == STORAGE_LINK_GONE ||
				   vmb_channel_rescinded(link->device->channel),
			   timeout_s * HZ);
	if (smp_load_acquire(&link->command_done) ||
	    !vmb_guest_storage_abandon(&link->core, link->slot_count)) {
		/* It was answered just now, and who answers is still writing down what. */
		while (!smp_load_acquire(&link->command_done))
			cpu_relax();
		return 0;
	}
	return vmb_channel_rescinded(link->device->channel) ? -ENODEV : -ETIMEDOUT;
}

static int send_command(struct storage_link *link, struct vmb_guest_storage_request *request)
{
	u32 slot = link->slot_count;
	int rc = -ENODEV;

	request->cookie = link;
	link->command_done = false;
	storage_link_pfns(link, slot)[0] = virt_to_phys(link->command_page) >> PAGE_SHIFT;
	rcu_read_lock();
	if (storage_link_state(link) == STORAGE_LINK_UP)
		rc = storage_link_submit(link, slot, request, !!request->data_len, true);
	rcu_read_unlock();
	return rc;
}

int storage_link_command(struct storage_link *link, struct vmb_guest_storage_request *request,
			 void *data, struct storage_link_answer *answer)
{
	struct storage_link_answer mine;
	int rc;

	if (!answer)
		answer = &mine;
	memset(answer, 0, sizeof(*answer));
	if (request->data_len > PAGE_SIZE)
		return -EINVAL;
	mutex_lock(&link->command_mutex);
	rc = -EBUSY;
	if (!storage_link_holds(link, link->slot_count)) {
		memset(link->command_page, 0, PAGE_SIZE);
		if (request->direction == VMB_STOR_WRITE)
			memcpy(link->command_page, data, request->data_len);
		rc = send_command(link, request);
	}
	if (!rc)
		rc = await_command(link, request->timeout_s);
	if (!rc)
		rc = judge(link, answer);
	if (request->direction == VMB_STOR_READ) {
		memset(data, 0, request->data_len);
		if (!rc)
			memcpy(data, link->command_page, answer->data_len);
	}
	mutex_unlock(&link->command_mutex);
	return rc;
}

/* ---- the connection ---- */

static enum vmb_guest_storage_state core_state(struct storage_link *link)
{
	enum vmb_guest_storage_state state;

	spin_lock_irq(&link->control_lock);
	state = link->core.state;
	spin_unlock_irq(&link->control_lock);
	return state;
}

static bool settled(struct storage_link *link)
{
	enum vmb_guest_storage_state state = core_state(link);

	return state == VMB_GUEST_STORAGE_READY || state == VMB_GUEST_STORAGE_FAILED ||
	       vmb_channel_rescinded(link->device->channel);
}

static int shake_hands(struct storage_link *link)
{
	spin_lock_irq(&link->control_lock);
	vmb_guest_storage_start(&link->core);
	pump(link);
	spin_unlock_irq(&link->control_lock);
	if (!wait_event_timeout(link->wait, settled(link), HANDSHAKE_WAIT)) {
		dev_err(&link->device->dev, "the host does not answer the storage handshake\n");
		return -ETIMEDOUT;
	}
	if (core_state(link) == VMB_GUEST_STORAGE_READY)
		return 0;
	if (vmb_channel_rescinded(link->device->channel))
		return -ENODEV;
	dev_err(&link->device->dev, "the host refused the storage handshake\n");
	return -EPROTO;
}

/* Opens the channel and negotiates. On failure the channel is closed. */
static int connect(struct storage_link *link)
{
	struct vmb_guest_storage_config config = {
		.version_max = link->max_version,
		.max_transfer_len = TRANSFER_LEN_MAX,
	};
	int rc;

	rc = vmb_guest_storage_init(&link->core, link->slots, link->slot_count + 1, &config);
	if (rc)
		return rc;
	rc = vmb_channel_open(link->device->channel, link->ring_len, &link->ops->channel, link);
	if (rc)
		return rc;
	rc = shake_hands(link);
	if (rc)
		vmb_channel_close(link->device->channel);
	return rc;
}

/* A rescind may have come in between; it stays. */
static void set_up(struct storage_link *link)
{
	cmpxchg(&link->state, STORAGE_LINK_DOWN, STORAGE_LINK_UP);
}

int storage_link_start(struct storage_link *link)
{
	int rc = connect(link);
	size_t words;

	if (rc)
		return rc;
	link->pfn_max = link->core.max_transfer_len / VMB_PAGE_LEN + 1;
	words = STORAGE_LINK_HEADER_WORDS + link->pfn_max;
	link->lists =
		kvmalloc_array(link->slot_count + 1, words * sizeof(*link->lists), GFP_KERNEL);
	if (!link->lists) {
		vmb_channel_close(link->device->channel);
		return -ENOMEM;
	}
	set_up(link);
	dev_info(&link->device->dev, "storage protocol %u.%u, %u KiB a request, %u requests\n",
		 link->core.version >> 8, link->core.version & 0xff,
		 link->core.max_transfer_len >> 10, link->slot_count);
	return 0;
}

/* ---- a host that does not answer ---- */

bool storage_link_holds(const struct storage_link *link, u32 slot)
{
	return READ_ONCE(link->slots[slot].state) & SLOT_TAKEN;
}

static bool drained(const struct storage_link *link)
{
	u32 slot;

	for (slot = 0; slot <= link->slot_count; slot++)
		if (storage_link_holds(link, slot))
			return false;
	return true;
}

void storage_link_leak(phys_addr_t start, u32 len)
{
	phys_addr_t at = start & PAGE_MASK;
	struct page *page;

	for (; at < start + len; at += PAGE_SIZE) {
		page = pfn_to_page(PHYS_PFN(at));
		if (!PageSlab(page))
			get_page(page);
	}
}

/* Ends all that the host still holds. */
static void lose_all(struct storage_link *link, enum storage_link_loss loss)
{
	struct vmb_guest_storage_event event;

	while (!vmb_guest_storage_fail_next(&link->core, &event)) {
		if (event.slot == link->slot_count) {
			command_ended(link, &event);
			if (loss == STORAGE_LINK_HELD)
				storage_link_leak(virt_to_phys(link->command_page), PAGE_SIZE);
		} else if (event.cookie) {
			link->ops->lost(link, event.cookie, loss);
		}
	}
	wake_up_all(&link->wait);
}

/*
 * There will be no channel any more: ends what the host holds, and what nobody else will end. reset_mutex; also when
 * somebody else has done it already.
 */
static void end_all(struct storage_link *link)
{
	bool forgotten = vmb_channel_close(link->device->channel) == 0;

	synchronize_rcu(); /* nobody is between submit and send any more */
	lose_all(link, forgotten ? STORAGE_LINK_ENDED : STORAGE_LINK_HELD);
}

static void set_gone(struct storage_link *link)
{
	WRITE_ONCE(link->state, STORAGE_LINK_GONE);
	wake_up_all(&link->wait);
}

void storage_link_rescinded(struct storage_link *link)
{
	set_gone(link);
	queue_work(link->queue, &link->recover_work);
}

static void recover_work(struct work_struct *work)
{
	struct storage_link *link = container_of(work, struct storage_link, recover_work);

	mutex_lock(&link->reset_mutex);
	if (storage_link_state(link) == STORAGE_LINK_GONE)
		end_all(link);
	mutex_unlock(&link->reset_mutex);
}

/* True when the host has answered all. */
static bool reset_politely(struct storage_link *link)
{
	spin_lock_irq(&link->control_lock);
	WRITE_ONCE(link->reset_done, false);
	vmb_guest_storage_reset(&link->core);
	pump(link);
	spin_unlock_irq(&link->control_lock);
	wait_event_timeout(link->wait,
			   smp_load_acquire(&link->reset_done) ||
				   storage_link_state(link) == STORAGE_LINK_GONE,
			   RESET_WAIT);
	return wait_event_timeout(link->wait,
				  drained(link) || storage_link_state(link) == STORAGE_LINK_GONE,
				  DRAIN_WAIT) &&
	       drained(link);
}

static int reconnect(struct storage_link *link)
{
	int rc;

	if (cmpxchg(&link->state, STORAGE_LINK_UP, STORAGE_LINK_DOWN) != STORAGE_LINK_UP)
		return -ENODEV;
	synchronize_rcu();
	dev_warn(&link->device->dev, "the host owes answers, replacing the channel\n");
	rc = vmb_channel_close(link->device->channel);
	if (rc) {
		set_gone(link);
		lose_all(link, STORAGE_LINK_HELD);
		return rc;
	}
	lose_all(link, STORAGE_LINK_REPLACED);
	rc = connect(link);
	if (rc)
		set_gone(link);
	else
		set_up(link);
	return rc;
}

int storage_link_reset(struct storage_link *link)
{
	int rc = 0;

	mutex_lock(&link->reset_mutex);
	if (!reset_politely(link))
		rc = reconnect(link);
	if (storage_link_state(link) == STORAGE_LINK_GONE)
		end_all(link);
	mutex_unlock(&link->reset_mutex);
	if (rc)
		dev_err(&link->device->dev, "reset failed with error %d\n", rc);
	return rc;
}

/* ---- the link's beginning and end ---- */

int storage_link_init(struct storage_link *link, struct vmb_device *device,
		      const struct storage_link_ops *ops, const struct storage_link_config *config)
{
	link->device = device;
	link->ops = ops;
	link->max_version = config->max_version;
	link->ring_len =
		round_down(clamp(config->ring_size, RING_LEN_MIN, RING_LEN_MAX), VMB_PAGE_LEN);
	link->slot_count = config->queue_depth ? config->queue_depth :
						 link->ring_len / REQUEST_LEN_USUAL;
	link->slot_count = clamp(link->slot_count, 1u, QUEUE_DEPTH_MAX);
	spin_lock_init(&link->control_lock);
	mutex_init(&link->reset_mutex);
	mutex_init(&link->command_mutex);
	INIT_WORK(&link->recover_work, recover_work);
	init_waitqueue_head(&link->wait);
	link->slots = kvcalloc(link->slot_count + 1, sizeof(*link->slots), GFP_KERNEL);
	link->packets = kvcalloc(link->slot_count + 1, sizeof(*link->packets), GFP_KERNEL);
	link->command_page = (void *)get_zeroed_page(GFP_KERNEL);
	link->queue = alloc_ordered_workqueue("storage_link", WQ_MEM_RECLAIM);
	if (link->slots && link->packets && link->command_page && link->queue)
		return 0;
	storage_link_free(link);
	return -ENOMEM;
}

void storage_link_stop(struct storage_link *link)
{
	set_gone(link);
	mutex_lock(&link->reset_mutex);
	end_all(link);
	mutex_unlock(&link->reset_mutex);
	cancel_work_sync(&link->recover_work);
}

void storage_link_free(struct storage_link *link)
{
	if (link->queue)
		destroy_workqueue(link->queue);
	kvfree(link->lists);
	kvfree(link->packets);
	kvfree(link->slots);
	free_page((unsigned long)link->command_page);
	link->queue = NULL;
	link->lists = NULL;
	link->packets = NULL;
	link->slots = NULL;
	link->command_page = NULL;
}
