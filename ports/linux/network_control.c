// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dialogue with the host: the handshake, requests (one at a time, each waited for), and what
 * the host says unasked about link, speed and queues.
 */
#include "ports/linux/compat.h"
#include "ports/linux/network.h"

#define HANDSHAKE_WAIT	   (60 * HZ) /* a busy host takes its time */
#define REQUEST_WAIT	   (20 * HZ)
#define DRAIN_WAIT	   (5 * HZ)
/* The least time for which a lost link is reported, so that programs that watch it notice. */
#define LINK_LOST_INTERVAL (2 * HZ)

/* ---- messages out ---- */

static int send_output(struct netvsc *card, const struct vmb_guest_network_output *out)
{
	struct vmb_channel *ch = card->device->channel;
	struct vmb_ring_part header = { &out->gpa, sizeof(out->gpa) };
	struct vmb_ring_part payload = { out->payload, out->payload_len };
	struct vmb_ring_packet packet = {
		.type = out->type,
		.flags = out->flags,
		.transaction_id = out->transaction_id,
		.header = &header,
		.header_count = out->type == VMB_PKT_GPA_DIRECT ? 1 : 0,
		.payload = &payload,
		.payload_count = 1,
	};
	int rc;

	do {
		rc = vmb_channel_send(ch, &packet);
		if (rc != -EAGAIN)
			return rc;
		rc = vmb_channel_wait_room(ch,
					   vmb_ring_packet_len(sizeof(out->gpa), out->payload_len));
	} while (!rc);
	return rc;
}

/*
 * If the ring has no room, the poll sends the rest when there is room again; it checks
 * output_waits, so that must be set before room is asked for. If the ring can never take a message,
 * the connection ends, and those who wait for an answer are told.
 */
void netvsc_pump(struct netvsc *card)
{
	const struct vmb_guest_network_output *out;
	int rc;

	lockdep_assert_held(&card->control_lock);
	WRITE_ONCE(card->output_waits, true);
	while ((out = vmb_guest_network_output(&card->core))) {
		rc = send_output(card, out);
		if (rc == -EAGAIN)
			return;
		vmb_guest_network_output_done(&card->core);
		if (rc)
			netvsc_break(card);
	}
	WRITE_ONCE(card->output_waits, false);
}

/* ---- what the host says ---- */

/* The link is seen as lost for a moment even if it is there again by now. */
static void lose_link(struct netvsc *card)
{
	card->link_lost = true;
	card->link_down_at = jiffies;
	netif_carrier_off(card->dev);
}

static void link_changed(struct netvsc *card, const struct vmb_guest_network_event *event)
{
	if (READ_ONCE(card->removing))
		return;
	if (!card->core.agreed.link_up || event->type == VMB_GUEST_NETWORK_NETWORK_CHANGED)
		lose_link(card);
	mod_delayed_work(system_percpu_wq, &card->link_work, 0);
}

static void answered(struct netvsc *card, const struct vmb_guest_network_event *event)
{
	smp_store_release(&card->answered, true); /* with the answer */
	wake_up_all(&card->wait);
}

static void settled(struct netvsc *card, const struct vmb_guest_network_event *event)
{
	wake_up_all(&card->wait);
}

static void table_changed(struct netvsc *card, const struct vmb_guest_network_event *event)
{
	WRITE_ONCE(card->table_known, true);
}

static void (*const handlers[])(struct netvsc *, const struct vmb_guest_network_event *) = {
	[VMB_GUEST_NETWORK_IS_READY] = settled,
	[VMB_GUEST_NETWORK_HAS_FAILED] = settled,
	[VMB_GUEST_NETWORK_ANSWERED] = answered,
	[VMB_GUEST_NETWORK_LINK_CHANGED] = link_changed,
	[VMB_GUEST_NETWORK_NETWORK_CHANGED] = link_changed,
	[VMB_GUEST_NETWORK_TABLE_CHANGED] = table_changed,
};

/* control_lock. Speed is read from the core when it is asked for, offloads with each frame. */
void netvsc_event(struct netvsc *card, const struct vmb_guest_network_event *event)
{
	lockdep_assert_held(&card->control_lock);
	if (event->type < ARRAY_SIZE(handlers) && handlers[event->type])
		handlers[event->type](card, event);
}

void netvsc_link_work(struct work_struct *work)
{
	struct netvsc *card = container_of(work, struct netvsc, link_work.work);
	bool up;

	spin_lock_bh(&card->control_lock);
	up = card->core.agreed.link_up;
	if (up && card->link_lost &&
	    time_before(jiffies, card->link_down_at + LINK_LOST_INTERVAL)) {
		mod_delayed_work(system_percpu_wq, &card->link_work,
				 card->link_down_at + LINK_LOST_INTERVAL - jiffies);
		up = false;
	}
	if (up)
		card->link_lost = false;
	spin_unlock_bh(&card->control_lock);
	if (up)
		netif_carrier_on(card->dev);
	else
		netif_carrier_off(card->dev);
}

/* ---- the handshake ---- */

/* The host will not answer. */
static bool is_lost(const struct netvsc *card)
{
	return READ_ONCE(card->gone) || READ_ONCE(card->broken);
}

static bool is_settled(const struct netvsc *card)
{
	enum vmb_guest_network_state state = READ_ONCE(card->core.state);

	return state == VMB_GUEST_NETWORK_READY || state == VMB_GUEST_NETWORK_FAILED ||
	       is_lost(card);
}

int netvsc_shake_hands(struct netvsc *card)
{
	int rc;

	spin_lock_bh(&card->control_lock);
	rc = vmb_guest_network_start(&card->core);
	netvsc_pump(card);
	spin_unlock_bh(&card->control_lock);
	if (rc)
		return rc;
	if (!wait_event_timeout(card->wait, is_settled(card), HANDSHAKE_WAIT)) {
		dev_err(&card->device->dev, "the host does not answer the network handshake\n");
		return -ETIMEDOUT;
	}
	if (READ_ONCE(card->core.state) == VMB_GUEST_NETWORK_READY)
		return 0;
	if (READ_ONCE(card->gone))
		return -ENODEV;
	dev_err(&card->device->dev, "the network handshake failed, reason %u\n",
		card->core.failure);
	return -EPROTO;
}

/* ---- requests ---- */

/* A request that is never answered leaves the dialogue stuck: only a new connection helps. */
static int give_up(struct netvsc *card)
{
	dev_err(&card->device->dev, "the host does not answer a request\n");
	if (card->connected)
		netvsc_reset(card);
	card->connected = false;
	card->talking = false; /* nor does it read our last messages */
	return -ETIMEDOUT;
}

static int ask(struct netvsc *card, int (*begin)(struct vmb_guest_network *n, const void *argument),
	       const void *argument)
{
	int rc;

	lockdep_assert_held(&card->mutex);
	spin_lock_bh(&card->control_lock);
	card->answered = false;
	rc = begin(&card->core, argument);
	if (!rc)
		netvsc_pump(card);
	spin_unlock_bh(&card->control_lock);
	if (rc)
		return rc;
	if (!wait_event_timeout(card->wait, smp_load_acquire(&card->answered) || is_lost(card),
				REQUEST_WAIT))
		return give_up(card);
	if (!smp_load_acquire(&card->answered))
		return -ENODEV;
	return card->core.answer.status == RNDIS_STATUS_SUCCESS ? 0 : -EIO;
}

static int begin_filter(struct vmb_guest_network *n, const void *argument)
{
	return vmb_guest_network_set_filter(n, *(const u32 *)argument);
}

static u32 filter_of(const struct net_device *dev)
{
	u32 filter = RNDIS_FILTER_DIRECTED;

	if (dev->flags & IFF_PROMISC)
		return RNDIS_FILTER_PROMISCUOUS;
	if (dev->flags & IFF_BROADCAST)
		filter |= RNDIS_FILTER_BROADCAST;
	if (dev->flags & IFF_ALLMULTI || !netdev_mc_empty(dev) || dev->uc.count)
		filter |= RNDIS_FILTER_ALL_MULTICAST;
	return filter;
}

/* Sets the packet filter that the stack wants, or an empty one while the device is down. */
int netvsc_set_filter(struct netvsc *card)
{
	u32 filter = card->up ? filter_of(card->dev) : 0;

	return ask(card, begin_filter, &filter);
}

void netvsc_filter_work(struct work_struct *work)
{
	struct netvsc *card = container_of(work, struct netvsc, filter_work);

	mutex_lock(&card->mutex);
	if (card->connected && card->up && netvsc_set_filter(card))
		netdev_warn(card->dev, "the host does not take the packet filter\n");
	mutex_unlock(&card->mutex);
}

static int begin_rss(struct vmb_guest_network *n, const void *argument)
{
	const struct netvsc *card = argument;
	const u32 hash = NDIS_RSS_HASH_TOEPLITZ | NDIS_RSS_HASH_IPV4 | NDIS_RSS_HASH_TCP_IPV4 |
			 NDIS_RSS_HASH_IPV6 | NDIS_RSS_HASH_TCP_IPV6;

	return vmb_guest_network_set_rss(n, card->rss_table, netvsc_rss_table_count(card),
					 card->rss_key, hash);
}

int netvsc_set_rss(struct netvsc *card)
{
	return ask(card, begin_rss, card);
}

static int begin_offload(struct vmb_guest_network *n, const void *argument)
{
	return vmb_guest_network_set_offload(n, *(const u32 *)argument);
}

int netvsc_set_offload(struct netvsc *card, netdev_features_t features)
{
	u32 offload = netvsc_offload_of(card, features);

	if (offload == card->core.agreed.offload)
		return 0;
	return ask(card, begin_offload, &offload);
}

static int begin_mac(struct vmb_guest_network *n, const void *argument)
{
	return vmb_guest_network_set_mac(n, argument);
}

int netvsc_set_mac(struct netvsc *card, const u8 *mac)
{
	return ask(card, begin_mac, mac);
}

/* ---- taking leave ---- */

static int begin_halt(struct vmb_guest_network *n, const void *argument)
{
	return vmb_guest_network_halt(n);
}

static bool idle(struct netvsc *card)
{
	u32 i;

	for (i = 0; i < card->queue_count; i++)
		if (!vmb_guest_network_idle(&card->queues[i]->core))
			return false;
	return true;
}

/* Nothing is sent any more. What is under way has its time to end. */
static void drain(struct netvsc *card)
{
	unsigned long end = jiffies + DRAIN_WAIT;

	while (!idle(card) && !is_lost(card) && time_before(jiffies, end))
		usleep_range(500, 1000);
	if (!idle(card) && !is_lost(card))
		netdev_warn(card->dev, "the host does not say that it has sent all frames\n");
}

/*
 * Tells the host to stop using the buffers. All of it is polite: the channel's end is what counts.
 */
void netvsc_take_leave(struct netvsc *card)
{
	lockdep_assert_held(&card->mutex);
	if (is_lost(card))
		return;
	drain(card);
	if (ask(card, begin_halt, NULL) == -ETIMEDOUT)
		return;
	spin_lock_bh(&card->control_lock);
	if (!vmb_guest_network_revoke(&card->core))
		netvsc_pump(card);
	spin_unlock_bh(&card->control_lock);
}
