// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection with the host: from shared buffers to open queues, and back.
 *
 * MTU, number of queues and sizes of buffers are settled by the handshake, so each of them changes
 * by a new connection. When that fails the old settings are tried once more.
 *
 * What the host was told about and does not give back is leaked: it may write to it at any time.
 */
#include <linux/etherdevice.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rtnetlink.h>
#include <linux/vmalloc.h>
#include "ports/linux/compat.h"
#include "ports/linux/network.h"

#define SUB_CHANNEL_WAIT   (10 * HZ)
#define OWED_HANDSHAKE_MAX 64u /* acknowledgements, before the buffer's geometry is known */
#define SLOT_COUNT_MAX	   1024u

static unsigned int ring_size = 256 << 10;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "bytes of each of a queue's two rings (default 262144)");

static unsigned int max_version;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version, "newest network protocol, like 0x50000 (default: newest known)");

#define RING_LEN_MIN (32u << 10)
#define RING_LEN_MAX (4u << 20)

/* ---- buffers ---- */

static void leak(struct netvsc *card, const char *what, u32 len)
{
	dev_err(&card->device->dev, "the host keeps %u KiB of ours (%s), they are lost\n",
		len >> 10, what);
}

static int share_buffer(struct netvsc *card, struct netvsc_buffer *buffer, u32 len,
			const char *what)
{
	int rc;

	if (buffer->memory && buffer->len != len) {
		vfree(buffer->memory);
		buffer->memory = NULL;
	}
	if (!buffer->memory)
		buffer->memory = vzalloc(len);
	if (!buffer->memory)
		return -ENOMEM;
	buffer->len = len;
	rc = vmb_channel_share(card->device->channel, buffer->memory, len, &buffer->share);
	if (rc == -ETIMEDOUT) {
		leak(card, what, len);
		buffer->memory = NULL;
	}
	return rc;
}

static void unshare_buffer(struct netvsc *card, struct netvsc_buffer *buffer, bool closed,
			   const char *what)
{
	bool shared = buffer->share;
	int rc = vmb_channel_unshare(buffer->share);

	buffer->share = NULL;
	if (shared && (rc || !closed)) {
		leak(card, what, buffer->len);
		buffer->memory = NULL;
	}
}

void netvsc_free_buffers(struct netvsc *card)
{
	vfree(card->receive_buffer.memory);
	vfree(card->send_buffer.memory);
	if (card->control_page)
		__free_page(card->control_page);
}

static int share_buffers(struct netvsc *card)
{
	int rc;

	if (!card->control_page)
		card->control_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!card->control_page)
		return -ENOMEM;
	rc = share_buffer(card, &card->receive_buffer, card->settings.receive_len,
			  "receive buffer");
	if (!rc)
		rc = share_buffer(card, &card->send_buffer, card->settings.send_len, "send buffer");
	return rc;
}

static int init_core(struct netvsc *card)
{
	struct vmb_guest_network_config config = {
		.version_max = max_version,
		.mtu = card->settings.mtu,
		.queue_count = card->settings.queue_count,
		.rsc = true,
		.receive_buffer = card->receive_buffer.memory,
		.receive_len = card->receive_buffer.len,
		.receive_gpadl_id = vmb_share_id(card->receive_buffer.share),
		.send_buffer = card->send_buffer.memory,
		.send_len = card->send_buffer.len,
		.send_gpadl_id = vmb_share_id(card->send_buffer.share),
		.control_page = page_address(card->control_page),
		.control_pfn = page_to_pfn(card->control_page),
	};

	return vmb_guest_network_init(&card->core, &config);
}

/* ---- channels ---- */

static void on_doorbell(struct vmb_channel *ch)
{
	struct netvsc_queue *q = vmb_channel_context(ch);

	napi_schedule(&q->napi);
}

static void on_sub_channel(struct vmb_channel *primary, struct vmb_channel *sub)
{
	struct netvsc_queue *q = vmb_channel_context(primary);
	u32 index = vmb_channel_index(sub);

	if (!index || index >= VMB_NET_QUEUE_COUNT_MAX)
		return;
	smp_store_release(&q->card->subs[index], sub);
	wake_up_all(&q->card->wait);
}

/* If a queue is lost, frames that hash to it are lost too, so connect anew. */
static void on_rescinded(struct vmb_channel *ch)
{
	struct netvsc_queue *q = vmb_channel_context(ch);
	struct netvsc *card = q->card;

	if (!q->index) {
		WRITE_ONCE(card->gone, true);
		wake_up_all(&card->wait);
	} else if (!READ_ONCE(card->removing)) {
		schedule_work(&card->reset_work);
	}
}

static const struct vmb_channel_ops channel_ops = {
	.doorbell = on_doorbell,
	.sub_channel = on_sub_channel,
	.rescinded = on_rescinded,
	.tolerates_delay = true,
};

/*
 * The poll comes last: a socket that polls busily runs it without a doorbell, and it needs the
 * ring. What rang before is made up for.
 */
static int open_queue(struct netvsc_queue *q, struct vmb_channel *ch)
{
	u32 ring_len = round_down(clamp(ring_size, RING_LEN_MIN, RING_LEN_MAX), VMB_PAGE_LEN);
	int rc;

	q->channel = ch;
	rc = netvsc_xdp_begin(q);
	if (rc)
		return rc;
	rc = vmb_channel_open(ch, ring_len, &channel_ops, q);
	if (rc)
		return rc;
	netvsc_queue_start(q);
	netvsc_queue_poll(q);
	return 0;
}

static struct vmb_channel *sub_of(const struct netvsc *card, u32 index)
{
	return smp_load_acquire(&card->subs[index]);
}

/* Returns whether the first count sub-channels are there. */
static bool subs_came(const struct netvsc *card, u32 count)
{
	u32 i;

	for (i = 1; i <= count; i++)
		if (!sub_of(card, i))
			return false;
	return true;
}

/* Queues are used up to the first one that does not come or does not open. */
static int open_subs(struct netvsc *card, u32 slot_count, u32 owed_max)
{
	u32 count = card->core.agreed.sub_channel_count, i;
	int rc;

	if (!wait_event_timeout(card->wait, subs_came(card, count) || READ_ONCE(card->gone),
				SUB_CHANNEL_WAIT))
		dev_warn(&card->device->dev,
			 "the host promised %u sub-channels, some are missing\n", count);
	for (i = 1; i <= count && sub_of(card, i); i++) {
		rc = netvsc_queue_init(card->queues[i], slot_count, owed_max);
		if (rc)
			return rc;
		rc = open_queue(card->queues[i], sub_of(card, i));
		if (rc == -ENOMEM)
			return rc;
		if (rc)
			break;
		card->queue_count = i + 1;
	}
	return READ_ONCE(card->gone) ? -ENODEV : 0;
}

static int open_queues(struct netvsc *card)
{
	u32 count = card->core.agreed.sub_channel_count + 1;
	u32 slot_count = card->core.agreed.section_count / count;
	u32 owed_max = roundup_pow_of_two(max(card->core.agreed.suballoc_count, 1u));
	int rc;

	if (!slot_count) {
		dev_err(&card->device->dev,
			"a send buffer of %u sections is too small for %u queues\n",
			card->core.agreed.section_count, count);
		return -EPROTO;
	}
	slot_count = min(rounddown_pow_of_two(slot_count), SLOT_COUNT_MAX);
	rc = netvsc_queue_make(card, count);
	if (!rc)
		rc = netvsc_queue_equip(card->queues[0], slot_count, owed_max);
	if (!rc)
		rc = open_subs(card, slot_count, owed_max);
	return rc;
}

static int open_primary(struct netvsc *card)
{
	struct netvsc_queue *q;
	int rc = netvsc_queue_make(card, 1);

	if (rc)
		return rc;
	q = card->queues[0];
	rc = netvsc_queue_init(q, 0, OWED_HANDSHAKE_MAX);
	if (!rc)
		rc = open_queue(q, card->device->channel);
	if (!rc)
		card->queue_count = 1;
	return rc;
}

/* ---- what is set once the queues are there ---- */

void netvsc_default_table(struct netvsc *card)
{
	u32 i;

	for (i = 0; i < NDIS_RSS_TABLE_COUNT_MAX; i++)
		card->rss_table[i] = i % card->queue_count;
}

static bool table_fits(const struct netvsc *card)
{
	u32 i;

	for (i = 0; i < NDIS_RSS_TABLE_COUNT_MAX; i++)
		if (card->rss_table[i] >= card->queue_count)
			return false;
	return true;
}

/* If the host refuses one of these, warn and keep the connection. */
static int configure(struct netvsc *card)
{
	int rc = 0;

	if (!netif_is_rxfh_configured(card->dev) || !table_fits(card))
		netvsc_default_table(card);
	if (card->core.agreed.rss_table_count && card->queue_count > 1)
		rc = netvsc_set_rss(card);
	if (rc == -EIO)
		dev_warn(&card->device->dev, "the host does not take the RSS table\n");
	if (rc && rc != -EIO)
		return rc;
	if (card->dev->reg_state != NETREG_REGISTERED)
		return 0;
	rc = netvsc_set_offload(card, card->dev->features);
	if (!rc && !ether_addr_equal(card->dev->dev_addr, card->core.agreed.mac))
		rc = netvsc_set_mac(card, card->dev->dev_addr);
	if (rc == -EIO)
		dev_warn(&card->device->dev, "the host does not take offloads or MAC address\n");
	return rc == -EIO ? 0 : rc;
}

/* ---- the whole ---- */

static int make_connection(struct netvsc *card)
{
	int rc;

	if (READ_ONCE(card->gone))
		return -ENODEV;
	memset(card->subs, 0, sizeof(card->subs));
	WRITE_ONCE(card->table_known, false);
	WRITE_ONCE(card->broken, false);
	rc = share_buffers(card);
	if (!rc)
		rc = init_core(card);
	if (!rc)
		rc = open_primary(card);
	if (!rc)
		rc = netvsc_shake_hands(card);
	if (rc)
		return rc;
	card->talking = true;
	rc = open_queues(card);
	if (rc)
		return rc;
	card->connected = true;
	return configure(card);
}

/* As card->settings say. On failure nothing is left. */
int netvsc_connect(struct netvsc *card)
{
	int rc;

	lockdep_assert_held(&card->mutex);
	rc = make_connection(card);
	if (rc)
		netvsc_disconnect(card);
	return rc;
}

/*
 * Hosts before 4.0 want to be asked for the buffers before the channel is closed, later ones after
 * it. Either may keep its view of them until then, so none is waited for before.
 */
static bool close_channels(struct netvsc *card)
{
	bool closed;

	if (vmb_bus_version() < VMB_VERSION_4_0) {
		vmb_channel_unshare_begin(card->receive_buffer.share);
		vmb_channel_unshare_begin(card->send_buffer.share);
	}
	closed = !vmb_channel_close(card->device->channel);
	unshare_buffer(card, &card->receive_buffer, closed, "receive buffer");
	unshare_buffer(card, &card->send_buffer, closed, "send buffer");
	if (!closed && card->control_page) {
		leak(card, "control page", PAGE_SIZE);
		card->control_page = NULL;
	}
	return closed;
}

/* Also of a card that has no connection. */
void netvsc_disconnect(struct netvsc *card)
{
	u16 i;

	lockdep_assert_held(&card->mutex);
	card->connected = false;
	if (card->talking)
		netvsc_take_leave(card);
	card->talking = false;
	for (i = 0; i < VMB_NET_QUEUE_COUNT_MAX; i++)
		if (card->queues[i])
			netvsc_queue_stop(card->queues[i]);
	netvsc_queue_end(card, close_channels(card));
	card->queue_count = 0;
	WRITE_ONCE(card->output_waits, false);
}

/* ---- up, down, anew ---- */

/*
 * Each queue is sent to from the CPU that it interrupts, where the host does not say otherwise.
 * What the user has set since is left alone as long as the number of queues is the same.
 */
static void spread_queues(struct netvsc *card)
{
	struct netvsc_queue *q;
	u16 i;

	if (card->spread_count == card->queue_count)
		return;
	card->spread_count = card->queue_count;
	for (i = 0; i < card->queue_count && card->queue_count > 1; i++) {
		q = card->queues[i];
		netif_set_xps_queue(card->dev, cpumask_of(vmb_channel_cpu(q->channel)), i);
	}
}

/* Tx queues without a channel stay stopped: no sender that comes late finds them. */
void netvsc_go_up(struct netvsc *card)
{
	u16 i;

	spread_queues(card);
	/* A sender that sees it sees the queues too: it may come before the queues are woken. */
	smp_store_release(&card->up, true);
	if (netvsc_set_filter(card))
		netdev_warn(card->dev, "the host does not take the packet filter\n");
	for (i = 0; i < card->queue_count; i++)
		netif_tx_wake_queue(card->queues[i]->txq);
	mod_delayed_work(system_percpu_wq, &card->link_work, 0);
}

/* When this returns no sender is running, and none will start. */
void netvsc_go_down(struct netvsc *card)
{
	WRITE_ONCE(card->up, false);
	netif_tx_disable(card->dev);
	if (card->connected)
		netvsc_set_filter(card);
}

/* Drops the connection until a user opens the device or changes its settings. */
void netvsc_lose_connection(struct netvsc *card)
{
	lockdep_assert_held(&card->mutex);
	netvsc_go_down(card);
	netvsc_disconnect(card);
	/* Without a connection nothing queues this work. */
	cancel_delayed_work_sync(&card->link_work);
	netif_carrier_off(card->dev);
}

static bool same_settings(const struct netvsc_settings *a, const struct netvsc_settings *b)
{
	return a->mtu == b->mtu && a->receive_len == b->receive_len && a->send_len == b->send_len &&
	       a->queue_count == b->queue_count;
}

static int connect_with(struct netvsc *card, const struct netvsc_settings *settings)
{
	int rc;

	card->settings = *settings;
	rc = netvsc_connect(card);
	if (rc)
		return rc;
	if (card->core.agreed.mtu >= settings->mtu)
		return 0;
	netdev_warn(card->dev, "the host takes frames of %u bytes at most\n",
		    card->core.agreed.mtu);
	netvsc_disconnect(card);
	return -EINVAL;
}

/*
 * A new connection, with the old settings if the new ones do not work. When neither works the card
 * stays without a connection; opening it tries again. A host that does not answer is not asked
 * twice: the RTNL is held.
 */
int netvsc_reopen(struct netvsc *card, const struct netvsc_settings *settings)
{
	struct netvsc_settings old = card->settings, wanted = *settings;
	bool running = netif_running(card->dev);
	int rc;

	ASSERT_RTNL();
	lockdep_assert_held(&card->mutex);
	netvsc_go_down(card);
	netvsc_disconnect(card);
	rc = connect_with(card, &wanted);
	if (rc && (rc == -ETIMEDOUT || same_settings(&wanted, &old) || connect_with(card, &old))) {
		netdev_err(card->dev, "no connection with the host any more\n");
		card->settings = old; /* what the device still has */
		netvsc_lose_connection(card);
		return rc;
	}
	netvsc_set_large_max(card);
	netif_set_real_num_tx_queues(card->dev, card->queue_count);
	netif_set_real_num_rx_queues(card->dev, card->queue_count);
	if (running)
		netvsc_go_up(card);
	return rc;
}
