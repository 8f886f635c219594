// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol has no abort, so a request whose time is up stays with the host, which may still
 * move its data. Its pages are never given back before that is over, and it does not end with an
 * error because the host is slow: a host of many may be so for an hour.
 *
 *   overdue     the host is asked for RESET_BUS. What it then still owes, having answered that, is
 *               lost, so the channel is closed. When the host has let go of it, it has forgotten
 *               all requests; they may be sent again, over a new channel.
 *   no answer   neither to the reset, nor to the close: the link waits, and asks again after 20 s,
 *               40 s and so on, up to ten minutes. When an OPEN that follows the close is answered,
 *               the close counts as answered too: a host keeps the OPEN until its device has
 *               finished with the old channel
 *               (docs/protocol/bus.md, "4.5 A connection, host side").
 *   gone        after a rescind, or when the user's patience is over (give_up): the channel is
 *               closed and all requests end, now and later. If the host does not let go, the pages
 *               that it may still write to are leaked, by a reference that is never dropped.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "ports/linux/storage_link.h"

#define SUB_CHANNEL_WAIT  (10 * HZ)
#define HANDSHAKE_WAIT	  (60 * HZ) /* a busy host takes its time */
#define SLEEP_WAIT	  (30 * HZ)
#define RESET_WAIT	  (10 * HZ)
#define DRAIN_WAIT	  (5 * HZ)
#define ASK_AGAIN_FIRST	  (20 * HZ)
#define ASK_AGAIN_MAX	  (600 * HZ)
#define RING_FULL_WAIT	  10 /* ms */
#define TRANSFER_LEN_MAX  (1u << 20)
#define RING_LEN_MIN	  (16u << 10)
#define RING_LEN_MAX	  (4u << 20)
#define QUEUE_DEPTH_MAX	  1024u
/* What a request of 64 KiB takes in the ring; larger ones find it full sooner and wait. */
#define REQUEST_LEN_USUAL 256u
#define SLOT_TAKEN	  3u /* see struct vmb_guest_storage_slot */
#define SLOT_GENERATION	  (~SLOT_TAKEN)

static void ring_is_broken(struct storage_link *link);
static void recover_now(struct storage_link *link);

static bool is_gone(const struct storage_link *link)
{
	return storage_link_state(link) == STORAGE_LINK_GONE;
}

static bool is_primary(const struct storage_queue *queue)
{
	return queue == queue->link->queues;
}

/* The driver's queues are as many as the first connection had; this one may have fewer. */
static struct storage_queue *pick_queue(struct storage_link *link, u32 number)
{
	if (unlikely(number >= link->open_count))
		number %= link->open_count;
	return &link->queues[number];
}

/* ---- packets out ---- */

/*
 * Sends the control packets that wait; control_lock. When the ring is full, an answer of the host
 * makes room, and the thread that takes the answer must see `pumping`: therefore the barrier before
 * the check for room.
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
	int rc;

	WRITE_ONCE(link->pumping, true);
	smp_mb();
	while ((out = vmb_guest_storage_output(&link->core))) {
		packet.transaction_id = out->transaction_id;
		part.base = &out->packet;
		part.len = out->payload_len;
		rc = vmb_channel_send(link->device->channel, &packet);
		if (rc == -EPROTO)
			/* the caller that asked for the packet checks it */
			WRITE_ONCE(link->broken, true);
		if (rc)
			return;
		vmb_guest_storage_output_done(&link->core);
	}
	WRITE_ONCE(link->pumping, false);
}

static int write_request(struct vmb_channel *channel, u64 *pfns,
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
		return vmb_channel_send(channel, &out);
	return vmb_channel_write(channel, &out);
}

int storage_link_submit(struct storage_link *link, u32 number, u32 slot,
			const struct vmb_guest_storage_request *request, u32 pfn_count, bool commit)
{
	struct vmb_guest_storage_packet *packet = &link->packets[slot];
	struct storage_queue *queue = pick_queue(link, number);
	int rc;

	rc = vmb_guest_storage_submit(queue->core, slot, request, packet);
	if (rc)
		return rc;
	rc = -EINVAL;
	if (pfn_count == packet->pfn_count)
		rc = write_request(queue->channel, storage_link_pfns(link, slot), packet, commit);
	if (rc && !vmb_guest_storage_cancel(queue->core, slot))
		return 0;
	if (unlikely(rc == -EPROTO)) {
		ring_is_broken(link);
		return -EBUSY;
	}
	return rc;
}

void storage_link_commit(struct storage_link *link, u32 number)
{
	if (storage_link_state(link) == STORAGE_LINK_UP)
		vmb_channel_commit(pick_queue(link, number)->channel);
}

/* ---- packets in ---- */

static void command_ended(struct storage_link *link, const struct vmb_guest_storage_event *event)
{
	if (!event->cookie)
		return;
	link->command_event = *event;
	link->command_lost = false;
	smp_store_release(&link->command_done, true);
}

/* Before the handshake is over there is no request, and only a hostile host ends one. */
static bool needs_no_lock(const struct storage_queue *queue, const struct vmb_ring_received *packet)
{
	const struct storage_link *link = queue->link;

	return storage_link_state(link) == STORAGE_LINK_UP &&
	       vmb_guest_storage_ends_request(queue->core, packet->type, packet->transaction_id) &&
	       !(is_primary(queue) && READ_ONCE(link->pumping));
}

/* What ends a request needs no lock: see vmb_guest_storage_ends_request(). */
static int feed(struct storage_queue *queue, const struct vmb_ring_received *packet, u32 len)
{
	struct vmb_guest_storage_event *event = &queue->event;
	struct storage_link *link = queue->link;
	unsigned long flags;
	int rc;

	if (likely(needs_no_lock(queue, packet)))
		return vmb_guest_storage_input(queue->core, packet->type, packet->transaction_id,
					       queue->payload, len, event);
	spin_lock_irqsave(&link->control_lock, flags);
	rc = vmb_guest_storage_input(queue->core, packet->type, packet->transaction_id,
				     queue->payload, len, event);
	pump(link);
	if (!rc && event->type == VMB_GUEST_STORAGE_RESET_DONE) {
		smp_store_release(&link->reset_done, true);
		recover_now(link);
	}
	spin_unlock_irqrestore(&link->control_lock, flags);
	return rc;
}

const struct vmb_guest_storage_event *storage_link_take(struct storage_queue *queue,
							const struct vmb_ring_received *packet)
{
	const struct vmb_guest_storage_event *event = &queue->event;
	struct storage_link *link = queue->link;
	u32 len = min_t(u32, packet->payload_len, sizeof(queue->payload));
	bool theirs;

	/* Before a slot becomes free, so that a thread which sees the free slot sees this too. */
	if (!(queue->round & 1))
		WRITE_ONCE(queue->round, queue->round + 1);
	if (!vmb_channel_copy(queue->channel, packet,
			      sizeof(struct vmb_pkt_desc) + packet->header_len, queue->payload,
			      len))
		return NULL;
	if (feed(queue, packet, len)) {
		dev_warn_ratelimited(&link->device->dev, "refused a packet of type %u, id %#llx\n",
				     packet->type, packet->transaction_id);
		return NULL;
	}
	theirs = event->type != VMB_GUEST_STORAGE_COMPLETED || event->slot < link->slot_count;
	if (!theirs)
		command_ended(link, event);
	return theirs ? event : NULL;
}

/* The bus has stopped at an invalid packet and will deliver no more. */
static void look_at_ring(struct storage_queue *queue)
{
	struct vmb_ring_received packet;

	if (vmb_channel_read(queue->channel, &packet) == -EPROTO)
		ring_is_broken(queue->link);
}

void storage_link_drained(struct storage_queue *queue)
{
	struct storage_link *link = queue->link;

	if (queue->round & 1)
		smp_store_release(&queue->round, queue->round + 1);
	look_at_ring(queue);
	if (wq_has_sleeper(&link->wait))
		wake_up_all(&link->wait);
}

void storage_link_settle(struct storage_link *link)
{
	u32 i, round;

	for (i = 0; i < link->queue_max; i++) {
		round = smp_load_acquire(&link->queues[i].round);
		if (round & 1)
			wait_event(link->wait, smp_load_acquire(&link->queues[i].round) != round);
	}
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

static void await_command(struct storage_link *link, u32 timeout_s)
{
	unsigned long since = jiffies;

	while (!wait_event_timeout(link->wait, smp_load_acquire(&link->command_done),
				   timeout_s * HZ))
		storage_link_overdue(link, since);
}

static int try_command(struct storage_link *link, const struct vmb_guest_storage_request *request)
{
	enum storage_link_state state;
	int rc = -EAGAIN;

	rcu_read_lock();
	state = storage_link_state(link);
	if (state == STORAGE_LINK_UP)
		rc = storage_link_submit(link, 0, link->slot_count, request, !!request->data_len,
					 true);
	else if (state == STORAGE_LINK_GONE)
		rc = -ENODEV;
	rcu_read_unlock();
	return rc == -EBUSY ? -EAGAIN : rc;
}

/* As soon as there is a channel, and room in its ring. */
static int send_command(struct storage_link *link, struct vmb_guest_storage_request *request)
{
	int rc;

	request->cookie = link;
	link->command_done = false;
	storage_link_pfns(link, link->slot_count)[0] = virt_to_phys(link->command_page) >>
						       PAGE_SHIFT;
	for (;;) {
		wait_event(link->wait, storage_link_state(link) != STORAGE_LINK_DOWN);
		rc = try_command(link, request);
		if (rc != -EAGAIN)
			return rc;
		msleep(RING_FULL_WAIT);
	}
}

/* A channel that is replaced takes the command along, so it is sent once more. */
static int run_command(struct storage_link *link, struct vmb_guest_storage_request *request)
{
	int rc;

	do {
		rc = send_command(link, request);
		if (rc)
			return rc;
		await_command(link, request->timeout_s);
	} while (link->command_lost);
	return 0;
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
	memset(link->command_page, 0, PAGE_SIZE);
	if (request->direction == VMB_STOR_WRITE)
		memcpy(link->command_page, data, request->data_len);
	rc = run_command(link, request);
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

/* ---- what the host still holds ---- */

bool storage_link_holds(const struct storage_link *link, u32 slot)
{
	return smp_load_acquire(&link->slots[slot].state) & SLOT_TAKEN;
}

bool storage_link_abandon(struct storage_link *link, u32 slot)
{
	return vmb_guest_storage_abandon_slot(&link->slots[slot]);
}

void storage_link_leak(phys_addr_t start, u32 len)
{
	phys_addr_t at = start & PAGE_MASK;
	struct page *page;

	for (; at < start + len; at += PAGE_SIZE) {
		page = pfn_to_page(PHYS_PFN(at));
		/* Some pages are never counted, and warn when they are. */
		if (!PageSlab(page) && !folio_try_get(page_folio(page)))
			pr_warn_once("%s: a page that the host may write to cannot be kept\n",
				     KBUILD_MODNAME);
	}
}

static void lose_command(struct storage_link *link, const struct vmb_guest_storage_event *event,
			 enum storage_link_loss loss)
{
	if (loss == STORAGE_LINK_HELD)
		storage_link_leak(virt_to_phys(link->command_page), PAGE_SIZE);
	link->command_event = *event;
	link->command_lost = true;
	smp_store_release(&link->command_done, true);
}

/* Ends all that the host still holds; there is no channel. */
static void lose_all(struct storage_link *link, enum storage_link_loss loss)
{
	struct vmb_guest_storage_event event;

	WRITE_ONCE(link->resets, link->resets + 1);
	while (!vmb_guest_storage_fail_next(&link->core, &event)) {
		if (event.slot == link->slot_count)
			lose_command(link, &event, loss);
		else
			link->ops->lost(link, event.slot, event.cookie, loss);
	}
	wake_up_all(&link->wait);
}

static void opened(struct storage_link *link)
{
	if (link->owed)
		lose_all(link, STORAGE_LINK_REPLACED);
	link->owed = false;
	link->closed = false;
	link->asked = false;
	WRITE_ONCE(link->broken, false);
}

/* The pointers of the sub-channels have ended with the primary. */
static void forget_subs(struct storage_link *link)
{
	u32 i;

	for (i = 1; i < link->queue_max; i++) {
		WRITE_ONCE(link->queues[i].offered, NULL);
		link->queues[i].channel = NULL;
	}
	link->open_count = 1;
}

/* True: the host has let go, now or before. Nobody submits any more. */
static bool close_channel(struct storage_link *link)
{
	if (!link->closed) {
		link->owed = vmb_channel_close(link->device->channel) != 0;
		forget_subs(link);
	}
	link->closed = true;
	return !link->owed;
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
	       READ_ONCE(link->broken) || is_gone(link) ||
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
	if (is_gone(link) || vmb_channel_rescinded(link->device->channel))
		return -ENODEV;
	dev_err(&link->device->dev, "the host %s the storage handshake\n",
		READ_ONCE(link->broken) ? "broke the ring in" : "refused");
	return -EPROTO;
}

/* ---- sub-channels ---- */

void storage_link_sub_channel(struct vmb_channel *primary, struct vmb_channel *sub)
{
	struct storage_queue *queue = vmb_channel_context(primary);
	struct storage_link *link = queue->link;
	u32 index = vmb_channel_index(sub);

	if (!index || index >= link->queue_max)
		return;
	WRITE_ONCE(link->queues[index].offered, sub);
	wake_up_all(&link->wait);
}

/* Returns whether the first count sub-channels are there, or none will come. */
static bool subs_came(const struct storage_link *link, u32 count)
{
	u32 i;

	if (is_gone(link) || vmb_channel_rescinded(link->device->channel))
		return true;
	for (i = 1; i <= count; i++)
		if (!READ_ONCE(link->queues[i].offered))
			return false;
	return true;
}

static int open_sub(struct storage_queue *queue)
{
	struct storage_link *link = queue->link;

	queue->channel = READ_ONCE(queue->offered);
	if (!queue->channel)
		return -ENODEV;
	spin_lock_irq(&link->control_lock);
	vmb_guest_storage_join(&queue->joined, &link->core);
	spin_unlock_irq(&link->control_lock);
	queue->cpu = vmb_channel_cpu(queue->channel);
	return vmb_channel_open(queue->channel, link->ring_len, &link->ops->channel, queue);
}

/* Channels are used up to the first one that does not come or does not open. */
static void open_subs(struct storage_link *link)
{
	u32 count = link->core.sub_channel_count;

	if (!wait_event_timeout(link->wait, subs_came(link, count), SUB_CHANNEL_WAIT))
		dev_warn(&link->device->dev, "the host offers fewer than %u sub-channels\n", count);
	link->open_count = 1;
	while (link->open_count <= count && !open_sub(&link->queues[link->open_count]))
		link->open_count++;
}

/* Opens the channels and negotiates. On failure the channel is closed. */
static int connect(struct storage_link *link)
{
	struct vmb_guest_storage_config config = {
		.version_max = link->max_version,
		.max_transfer_len = TRANSFER_LEN_MAX,
		.sub_channel_max = link->queue_max - 1,
	};
	int rc;

	rc = vmb_guest_storage_init(&link->core, link->slots, link->slot_count + 1, &config);
	if (rc)
		return rc;
	rc = vmb_channel_open(link->device->channel, link->ring_len, &link->ops->channel,
			      link->queues);
	if (rc)
		return rc;
	opened(link);
	link->queues->cpu = vmb_channel_cpu(link->device->channel);
	rc = shake_hands(link);
	if (rc)
		close_channel(link);
	else
		open_subs(link);
	return rc;
}

/* A rescind may have come in between; it stays. */
static void set_up(struct storage_link *link)
{
	cmpxchg(&link->state, STORAGE_LINK_DOWN, STORAGE_LINK_UP);
}

static int start(struct storage_link *link)
{
	int rc = connect(link);
	size_t words;

	if (rc)
		return rc;
	link->queue_count = link->open_count;
	link->slot_count = min(link->slot_count, link->slots_a_queue * link->queue_count);
	link->pfn_max = link->core.max_transfer_len / VMB_PAGE_LEN + 1;
	words = STORAGE_LINK_HEADER_WORDS + link->pfn_max;
	link->lists =
		kvmalloc_array(link->slot_count + 1, words * sizeof(*link->lists), GFP_KERNEL);
	if (!link->lists) {
		close_channel(link);
		return -ENOMEM;
	}
	set_up(link);
	return 0;
}

int storage_link_start(struct storage_link *link)
{
	int rc;

	mutex_lock(&link->recover_mutex);
	rc = start(link);
	mutex_unlock(&link->recover_mutex);
	if (rc)
		return rc;
	dev_info(&link->device->dev,
		 "storage protocol %u.%u, %u KiB a request, %u requests, channels: %u\n",
		 link->core.version >> 8, link->core.version & 0xff,
		 link->core.max_transfer_len >> 10, link->slot_count, link->queue_count);
	return 0;
}

/* ---- a host that does not answer ---- */

static void set_gone(struct storage_link *link)
{
	WRITE_ONCE(link->state, STORAGE_LINK_GONE);
	wake_up_all(&link->wait);
}

/* The link is GONE. May be called again when all have been ended already. */
static int end_all(struct storage_link *link)
{
	bool forgotten;

	synchronize_rcu(); /* no caller is between submit and send any more */
	forgotten = close_channel(link);
	lose_all(link, forgotten ? STORAGE_LINK_ENDED : STORAGE_LINK_HELD);
	return -ENODEV;
}

static u32 slot_word(const struct storage_link *link, u32 slot)
{
	return smp_load_acquire(&link->slots[slot].state);
}

/* What the host held when it was asked. */
static void note_slots(struct storage_link *link)
{
	u32 slot;

	for (slot = 0; slot <= link->slot_count; slot++)
		link->asked_words[slot] = slot_word(link, slot);
}

/*
 * Returns whether the host has answered all requests that it held when it was asked. Requests that
 * were sent since do not count.
 */
static bool came_back(const struct storage_link *link)
{
	u32 slot, now;

	for (slot = 0; slot <= link->slot_count; slot++) {
		now = slot_word(link, slot);
		if (link->asked_words[slot] & SLOT_TAKEN && now & SLOT_TAKEN &&
		    !((now ^ link->asked_words[slot]) & SLOT_GENERATION))
			return false;
	}
	return true;
}

static unsigned int overdue_seconds(struct storage_link *link)
{
	return (jiffies - link->overdue_since) / HZ;
}

static void ask_for_reset(struct storage_link *link)
{
	/* First, because requests that end by it are judged by this. */
	WRITE_ONCE(link->resets, link->resets + 1);
	spin_lock_irq(&link->control_lock);
	WRITE_ONCE(link->reset_done, false);
	if (vmb_guest_storage_reset(&link->core))
		vmb_guest_storage_reset_again(&link->core);
	pump(link);
	spin_unlock_irq(&link->control_lock);
	dev_warn(&link->device->dev,
		 "a request is overdue, the host has had it for %u s; asking for a reset\n",
		 overdue_seconds(link));
}

/* 0: the host has answered all; -EAGAIN: not even the reset; -EIO: the reset, but not all. */
static int ask(struct storage_link *link)
{
	bool first = !link->asked;

	if (first)
		note_slots(link);
	if (!first && came_back(link))
		return 0;
	if (first || !smp_load_acquire(&link->reset_done))
		ask_for_reset(link);
	link->asked = true;
	wait_event_timeout(link->wait,
			   smp_load_acquire(&link->reset_done) || READ_ONCE(link->broken) ||
				   is_gone(link) || came_back(link),
			   RESET_WAIT);
	if (!smp_load_acquire(&link->reset_done) && !READ_ONCE(link->broken))
		return came_back(link) ? 0 : -EAGAIN;
	wait_event_timeout(link->wait, is_gone(link) || came_back(link), DRAIN_WAIT);
	return came_back(link) ? 0 : -EIO;
}

/* 0: there is a new channel; -EAGAIN: not yet. */
static int replace(struct storage_link *link)
{
	if (cmpxchg(&link->state, STORAGE_LINK_UP, STORAGE_LINK_DOWN) == STORAGE_LINK_UP)
		dev_warn(&link->device->dev, "the host owes answers, replacing the channel\n");
	synchronize_rcu(); /* no caller is between submit and send any more */
	if (!link->closed && close_channel(link))
		lose_all(link, STORAGE_LINK_REPLACED);
	if (is_gone(link))
		return -EAGAIN;
	if (connect(link)) {
		dev_warn(&link->device->dev,
			 "still no channel, the host has had a request for %u s; trying again\n",
			 overdue_seconds(link));
		return -EAGAIN;
	}
	set_up(link);
	wake_up_all(&link->wait);
	return 0;
}

static bool patience_is_over(struct storage_link *link)
{
	unsigned int seconds = READ_ONCE(*link->give_up);

	if (!seconds || overdue_seconds(link) < seconds)
		return false;
	dev_err(&link->device->dev, "giving up after %u s, as give_up says: the disks are gone\n",
		overdue_seconds(link));
	return true;
}

static void recovered(struct storage_link *link)
{
	storage_link_settle(link);
	dev_warn(&link->device->dev, "the host answers again, after %u s\n", overdue_seconds(link));
	link->asked = false;
	link->delay = 0;
	spin_lock_irq(&link->control_lock);
	smp_store_release(&link->overdue, false);
	spin_unlock_irq(&link->control_lock);
	wake_up_all(&link->wait);
}

/*
 * 0 or -ENODEV: nothing is left to do; -EAGAIN: to be called again. The ring may break at any time,
 * also when all that was overdue is answered: then the channel is replaced all the same, because
 * nobody else says so again.
 */
static int recover_once(struct storage_link *link)
{
	int rc = -EIO;

	if (READ_ONCE(link->broken))
		storage_link_overdue(link, jiffies);
	if (!is_gone(link) && smp_load_acquire(&link->overdue) && patience_is_over(link))
		set_gone(link);
	if (is_gone(link))
		return end_all(link);
	if (!smp_load_acquire(&link->overdue))
		return 0;
	if (storage_link_state(link) == STORAGE_LINK_UP && !READ_ONCE(link->broken))
		rc = ask(link);
	if (READ_ONCE(link->broken))
		rc = -EIO;
	if (rc == -EIO && !is_gone(link))
		rc = replace(link);
	if (is_gone(link) || vmb_channel_rescinded(link->device->channel)) {
		set_gone(link);
		return end_all(link);
	}
	if (!rc)
		recovered(link);
	return rc;
}

/* Less often the longer it lasts, but when the user's patience ends. */
static unsigned long next_delay(struct storage_link *link)
{
	unsigned long seconds = READ_ONCE(*link->give_up);

	link->delay = clamp(2 * link->delay, (unsigned long)ASK_AGAIN_FIRST,
			    (unsigned long)ASK_AGAIN_MAX);
	if (seconds > overdue_seconds(link))
		return min(link->delay, (seconds - overdue_seconds(link)) * HZ);
	return link->delay;
}

/*
 * What it waits for may be the disk that memory is freed to, so it asks for none that needs a disk,
 * and its queue has a thread of its own.
 */
static void recover(struct work_struct *work)
{
	struct storage_link *link =
		container_of(to_delayed_work(work), struct storage_link, recover_work);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&link->recover_mutex);
	if (recover_once(link) == -EAGAIN)
		queue_delayed_work(link->queue, &link->recover_work, next_delay(link));
	mutex_unlock(&link->recover_mutex);
	memalloc_noio_restore(noio);
}

static void recover_now(struct storage_link *link)
{
	mod_delayed_work(link->queue, &link->recover_work, 0);
}

void storage_link_overdue(struct storage_link *link, unsigned long since)
{
	unsigned long flags;
	bool first;

	spin_lock_irqsave(&link->control_lock, flags);
	first = !link->overdue;
	if (first)
		link->overdue_since = since;
	smp_store_release(&link->overdue, true);
	spin_unlock_irqrestore(&link->control_lock, flags);
	if (first)
		recover_now(link);
}

static void ring_is_broken(struct storage_link *link)
{
	if (xchg(&link->broken, true))
		return;
	dev_err(&link->device->dev, "the host broke the ring\n");
	storage_link_overdue(link, jiffies);
	recover_now(link);
}

/* The host has forgotten the requests that it had on a sub-channel. */
static void sub_is_lost(struct storage_link *link)
{
	WRITE_ONCE(link->broken, true);
	dev_warn(&link->device->dev, "the host took a sub-channel away\n");
	storage_link_overdue(link, jiffies);
	recover_now(link);
}

void storage_link_rescinded(struct storage_queue *queue)
{
	struct storage_link *link = queue->link;

	if (!is_primary(queue)) {
		sub_is_lost(link);
		return;
	}
	set_gone(link);
	recover_now(link);
}

void storage_link_removing(struct storage_link *link)
{
	if (vmb_channel_rescinded(link->device->channel))
		storage_link_rescinded(link->queues);
}

int storage_link_reset(struct storage_link *link)
{
	storage_link_overdue(link, jiffies);
	wait_event(link->wait, !smp_load_acquire(&link->overdue) || is_gone(link));
	if (!is_gone(link))
		return 0;
	recover_now(link);
	flush_delayed_work(&link->recover_work);
	return -ENODEV;
}

/* ---- sleep ---- */

static bool holds_any(const struct storage_link *link)
{
	u32 slot;

	for (slot = 0; slot <= link->slot_count; slot++)
		if (storage_link_holds(link, slot))
			return true;
	return false;
}

/*
 * recover_mutex; the link is DOWN. A batch that was written when the link went down was not shown
 * to the host by its sender.
 */
static int let_go(struct storage_link *link)
{
	u32 i;

	synchronize_rcu(); /* no caller is between submit and send any more */
	for (i = 0; i < link->open_count; i++)
		vmb_channel_commit(link->queues[i].channel);
	wait_event_timeout(link->wait, !holds_any(link), SLEEP_WAIT);
	storage_link_settle(link);
	if (!holds_any(link) && close_channel(link))
		return 0;
	return -EBUSY;
}

int storage_link_suspend(struct storage_link *link)
{
	int rc = 0;

	mutex_lock(&link->recover_mutex);
	if (is_gone(link)) {
		mutex_unlock(&link->recover_mutex);
		return 0;
	}
	if (cmpxchg(&link->state, STORAGE_LINK_UP, STORAGE_LINK_DOWN) != STORAGE_LINK_UP)
		rc = -EBUSY; /* the channel is being replaced */
	else
		rc = let_go(link);
	if (rc && !link->closed)
		set_up(link);
	mutex_unlock(&link->recover_mutex);
	if (!rc)
		return 0;
	dev_err(&link->device->dev, "cannot sleep: the host owes answers\n");
	wake_up_all(&link->wait);
	storage_link_resume(link);
	return rc;
}

void storage_link_resume(struct storage_link *link)
{
	int rc = 0;

	mutex_lock(&link->recover_mutex);
	if (storage_link_state(link) == STORAGE_LINK_DOWN && !smp_load_acquire(&link->overdue)) {
		rc = connect(link);
		if (!rc)
			set_up(link);
	}
	mutex_unlock(&link->recover_mutex);
	wake_up_all(&link->wait);
	if (rc)
		storage_link_overdue(link, jiffies);
}

/* ---- the link's beginning and end ---- */

int storage_link_check_version(const char *module, unsigned int version)
{
	switch (version) {
	case 0:
	case VMB_STOR_VERSION_2_0:
	case VMB_STOR_VERSION_4_2:
	case VMB_STOR_VERSION_5_1:
	case VMB_STOR_VERSION_6_0:
	case VMB_STOR_VERSION_6_2: return 0;
	}
	pr_err("%s: max_version=%#x: use 0x200, 0x402, 0x501, 0x600, 0x602, or 0 for the newest\n",
	       module, version);
	return -EINVAL;
}

static void init_queues(struct storage_link *link)
{
	u32 i;

	for (i = 0; i < link->queue_max; i++) {
		link->queues[i].link = link;
		link->queues[i].core = i ? &link->queues[i].joined : &link->core;
	}
	link->queues->channel = link->device->channel;
}

int storage_link_init(struct storage_link *link, struct vmb_device *device,
		      const struct storage_link_ops *ops, const struct storage_link_config *config)
{
	static const unsigned int never;

	link->device = device;
	link->ops = ops;
	link->max_version = config->max_version;
	link->give_up = config->give_up ? config->give_up : &never;
	link->ring_len =
		round_down(clamp(config->ring_size, RING_LEN_MIN, RING_LEN_MAX), VMB_PAGE_LEN);
	link->queue_max = max(config->queue_max, 1u);
	link->open_count = 1;
	link->slots_a_queue = config->queue_depth ? config->queue_depth :
						    link->ring_len / REQUEST_LEN_USUAL;
	link->slots_a_queue = clamp(link->slots_a_queue, 1u, QUEUE_DEPTH_MAX);
	link->slot_count = link->slots_a_queue;
	if (!config->queue_depth)
		link->slot_count = min(link->slot_count * link->queue_max, QUEUE_DEPTH_MAX);
	spin_lock_init(&link->control_lock);
	mutex_init(&link->recover_mutex);
	mutex_init(&link->command_mutex);
	INIT_DELAYED_WORK(&link->recover_work, recover);
	init_waitqueue_head(&link->wait);
	link->slots = kvcalloc(link->slot_count + 1, sizeof(*link->slots), GFP_KERNEL);
	link->packets = kvcalloc(link->slot_count + 1, sizeof(*link->packets), GFP_KERNEL);
	link->asked_words = kvcalloc(link->slot_count + 1, sizeof(*link->asked_words), GFP_KERNEL);
	link->queues = kvcalloc(link->queue_max, sizeof(*link->queues), GFP_KERNEL);
	link->command_page = (void *)get_zeroed_page(GFP_KERNEL);
	link->queue = alloc_ordered_workqueue("storage_link", WQ_MEM_RECLAIM);
	if (link->slots && link->packets && link->asked_words && link->queues &&
	    link->command_page && link->queue) {
		init_queues(link);
		return 0;
	}
	storage_link_free(link);
	return -ENOMEM;
}

void storage_link_stop(struct storage_link *link)
{
	set_gone(link);
	mutex_lock(&link->recover_mutex);
	end_all(link);
	mutex_unlock(&link->recover_mutex);
	cancel_delayed_work_sync(&link->recover_work);
}

void storage_link_free(struct storage_link *link)
{
	if (link->queue)
		destroy_workqueue(link->queue);
	kvfree(link->lists);
	kvfree(link->asked_words);
	kvfree(link->packets);
	kvfree(link->slots);
	kvfree(link->queues);
	free_page((unsigned long)link->command_page);
	link->queue = NULL;
	link->lists = NULL;
	link->asked_words = NULL;
	link->packets = NULL;
	link->slots = NULL;
	link->queues = NULL;
	link->command_page = NULL;
}
