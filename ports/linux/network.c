// SPDX-License-Identifier: GPL-2.0-only
/*
 * netvsc.ko: network cards on a VMBus network channel. This file is the device as Linux sees it.
 *
 * The connection with the host is made by probe() and lasts until remove(); a device that is down
 * only has an empty packet filter.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/vmalloc.h>
#include "ports/linux/compat.h"
#include "ports/linux/network.h"

#define QUEUES_DEFAULT	    8u
/*
 * Per queue, so that more queues do not mean fewer buffers for each. Receiving: each frame takes a
 * suballocation of about 1.8 KiB, however short it is. 2 MiB are 1100 full frames, what 10 Gbit/s
 * bring in 1.3 ms, longer than a poll takes to come back; 8 MiB are 4600 short ones, a burst of
 * some milliseconds while a small machine does something else. Sending: 256 sections, as many
 * packets under way; the byte queue limit wants far fewer.
 */
#define RECEIVE_LEN_DEFAULT (2u << 20)
#define RECEIVE_LEN_LEAST   (8u << 20)
#define SEND_LEN_DEFAULT    (256u * VMB_NET_SEND_SECTION_LEN)
#define BUFFER_LEN_MIN	    (128u << 10)

#define TX_TIMEOUT	    (30 * HZ)

/* Connections that the host may break in this time before the device is given up. */
#define BROKEN_COUNT_MAX    3u
#define BROKEN_INTERVAL	    (60 * HZ)

static unsigned int queues;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "queues of a card at first (default: CPUs, 8 at most)");

static unsigned int receive_size;
module_param(receive_size, uint, 0444);
MODULE_PARM_DESC(receive_size,
		 "bytes of a card's receive buffer (default: 2 MiB a queue, 8 to 15)");

static unsigned int send_size;
module_param(send_size, uint, 0444);
MODULE_PARM_DESC(send_size, "bytes of a card's send buffer (default: 1.5 MiB a queue, 15 at most)");

/* ---- sizes ---- */

/* A host of version 2 or older is not asked for more than it takes, and others need no more. */
u32 netvsc_receive_len_max(void)
{
	return VMB_NET_RECEIVE_BUFFER_LEN_MAX_V2;
}

u32 netvsc_receive_len(u64 wanted)
{
	return PAGE_ALIGN(clamp_t(u64, wanted, BUFFER_LEN_MIN, netvsc_receive_len_max()));
}

u32 netvsc_send_len(u64 wanted)
{
	return PAGE_ALIGN(clamp_t(u64, wanted, BUFFER_LEN_MIN, VMB_NET_SEND_BUFFER_LEN_MAX));
}

static void set_defaults(struct netvsc *card)
{
	struct netvsc_settings *s = &card->settings;
	u32 count = queues ? queues : QUEUES_DEFAULT;

	s->mtu = ETH_DATA_LEN;
	s->queue_count = clamp_t(u32, min(count, num_online_cpus()), 1, card->queue_max);
	s->receive_len = netvsc_receive_len(
		receive_size ? receive_size :
			       max(s->queue_count * RECEIVE_LEN_DEFAULT, RECEIVE_LEN_LEAST));
	s->send_len = netvsc_send_len(send_size ? send_size : s->queue_count * SEND_LEN_DEFAULT);
}

/* ---- features ---- */

static netdev_features_t features_of(const struct netvsc *card)
{
	static const struct {
		u32 offload;
		netdev_features_t feature;
	} map[] = {
		{ VMB_GUEST_NETWORK_RX_CHECKSUM, NETIF_F_RXCSUM },
		{ VMB_GUEST_NETWORK_TX_TCP4, NETIF_F_IP_CSUM },
		{ VMB_GUEST_NETWORK_TX_TCP6, NETIF_F_IPV6_CSUM },
		{ VMB_GUEST_NETWORK_LSO4, NETIF_F_TSO },
		{ VMB_GUEST_NETWORK_LSO6, NETIF_F_TSO6 },
		{ VMB_GUEST_NETWORK_RSC, NETIF_F_LRO },
	};
	netdev_features_t features = NETIF_F_SG;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if (card->core.agreed.offload_caps & map[i].offload)
			features |= map[i].feature;
	if (netvsc_rss_table_count(card))
		features |= NETIF_F_RXHASH;
	return features;
}

/* Only coalescing is switched at the host; of the rest the stack makes no use when it is off. */
u32 netvsc_offload_of(const struct netvsc *card, netdev_features_t features)
{
	u32 offload = card->core.agreed.offload_caps;

	return features & NETIF_F_LRO ? offload : offload & ~VMB_GUEST_NETWORK_RSC;
}

void netvsc_set_large_max(struct netvsc *card)
{
	if (card->core.agreed.lso_len_max)
		netif_set_tso_max_size(card->dev, min_t(u32, card->core.agreed.lso_len_max,
							VMB_NET_LSO_LEN_MAX));
}

static void set_features(struct netvsc *card)
{
	struct net_device *dev = card->dev;

	dev->hw_features = features_of(card) | NETIF_F_HW_VLAN_CTAG_TX;
	dev->features = dev->hw_features | NETIF_F_HIGHDMA | NETIF_F_HW_VLAN_CTAG_RX;
	dev->vlan_features = (features_of(card) & ~NETIF_F_LRO) | NETIF_F_HIGHDMA;
	netvsc_set_large_max(card);
	xdp_set_features_flag(dev, NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT |
					   NETDEV_XDP_ACT_NDO_XMIT);
}

static netdev_features_t fix_features(struct net_device *dev, netdev_features_t features)
{
	const struct netvsc *card = netdev_priv(dev);

	if (card->xdp_prog || !(features & NETIF_F_RXCSUM))
		features &= ~NETIF_F_LRO;
	return features;
}

static int set_device_features(struct net_device *dev, netdev_features_t features)
{
	struct netvsc *card = netdev_priv(dev);
	int rc = 0;

	if (!((features ^ dev->features) & NETIF_F_LRO))
		return 0;
	mutex_lock(&card->mutex);
	if (card->connected)
		rc = netvsc_set_offload(card, features);
	mutex_unlock(&card->mutex);
	return rc;
}

/* ---- what the stack asks for ---- */

static int open_device(struct net_device *dev)
{
	struct netvsc *card = netdev_priv(dev);
	int rc = 0;

	mutex_lock(&card->mutex);
	if (card->connected)
		netvsc_go_up(card);
	else
		rc = netvsc_reopen(card, &card->settings);
	mutex_unlock(&card->mutex);
	return rc;
}

static int stop_device(struct net_device *dev)
{
	struct netvsc *card = netdev_priv(dev);

	mutex_lock(&card->mutex);
	netvsc_go_down(card);
	mutex_unlock(&card->mutex);
	return 0;
}

/* Atomic; the host has to be asked. */
static void set_rx_mode(struct net_device *dev)
{
	struct netvsc *card = netdev_priv(dev);

	if (!READ_ONCE(card->removing))
		schedule_work(&card->filter_work);
}

static int set_mac_address(struct net_device *dev, void *address)
{
	struct netvsc *card = netdev_priv(dev);
	struct sockaddr *mac = address;
	int rc = eth_prepare_mac_addr_change(dev, address);

	if (rc)
		return rc;
	mutex_lock(&card->mutex);
	rc = card->connected ? netvsc_set_mac(card, mac->sa_data) : -ENODEV;
	mutex_unlock(&card->mutex);
	if (!rc)
		eth_commit_mac_addr_change(dev, address);
	return rc;
}

static int change_mtu(struct net_device *dev, int mtu)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_settings settings = card->settings;
	int old = dev->mtu, rc;

	if (card->xdp_prog && mtu > netvsc_xdp_mtu_max()) {
		netdev_warn(dev, "with XDP the MTU is %u at most\n", netvsc_xdp_mtu_max());
		return -EINVAL;
	}
	settings.mtu = mtu;
	/* Never above what the host was told: the stack sends as soon as the card is open again. */
	WRITE_ONCE(dev->mtu, min(mtu, old));
	mutex_lock(&card->mutex);
	rc = netvsc_reopen(card, &settings);
	mutex_unlock(&card->mutex);
	WRITE_ONCE(dev->mtu, rc ? old : mtu);
	return rc;
}

/*
 * Reports it, and polls in case a doorbell was lost. A host that is only slow takes the frames
 * later.
 */
static void tx_timeout(struct net_device *dev, unsigned int index)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_queue *q = card->queues[index];

	/* It holds the lock that netif_tx_disable() takes: what it finds up stays. */
	if (!smp_load_acquire(&card->up) || !q)
		return;
	netdev_warn(dev, "queue %u: the host has taken no frame for %u s\n", index,
		    jiffies_to_msecs(jiffies - READ_ONCE(q->txq->trans_start)) / 1000);
	vmb_channel_commit(q->channel);
	vmb_channel_poke(q->channel);
}

static void add_queue_stats(const struct netvsc_queue *q, struct rtnl_link_stats64 *stats)
{
	u64 packets, bytes, dropped, multicast, errors;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&q->tx_sync);
		packets = q->tx[NETVSC_TX_PACKETS];
		bytes = q->tx[NETVSC_TX_BYTES];
		dropped = q->tx[NETVSC_TX_DROPPED] + q->tx[NETVSC_TX_TOO_LONG];
	} while (u64_stats_fetch_retry(&q->tx_sync, start));
	stats->tx_packets += packets;
	stats->tx_bytes += bytes;
	stats->tx_dropped += dropped;
	do {
		start = u64_stats_fetch_begin(&q->rx_sync);
		packets = q->rx[NETVSC_RX_PACKETS];
		bytes = q->rx[NETVSC_RX_BYTES];
		dropped = q->rx[NETVSC_RX_DROPPED];
		multicast = q->rx[NETVSC_RX_MULTICAST];
		errors = q->rx[NETVSC_RX_TX_ERRORS];
	} while (u64_stats_fetch_retry(&q->rx_sync, start));
	stats->rx_packets += packets;
	stats->rx_bytes += bytes;
	stats->rx_dropped += dropped;
	stats->multicast += multicast;
	stats->tx_errors += errors;
}

static void get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct netvsc *card = netdev_priv(dev);
	const struct netvsc_queue *q;
	u32 i;

	for (i = 0; i < card->queue_max; i++) {
		q = smp_load_acquire(&card->queues[i]);
		if (q)
			add_queue_stats(q, stats);
	}
}

static const struct net_device_ops device_ops = {
	.ndo_open = open_device,
	.ndo_stop = stop_device,
	.ndo_start_xmit = netvsc_start_xmit,
	.ndo_select_queue = netvsc_select_queue,
	.ndo_features_check = netvsc_features_check,
	.ndo_fix_features = fix_features,
	.ndo_set_features = set_device_features,
	.ndo_set_rx_mode = set_rx_mode,
	.ndo_set_mac_address = set_mac_address,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_change_mtu = change_mtu,
	.ndo_tx_timeout = tx_timeout,
	.ndo_get_stats64 = get_stats64,
	.ndo_bpf = netvsc_bpf,
	.ndo_xdp_xmit = netvsc_xdp_xmit,
};

/* ---- all over again ---- */

/* If the device is not registered yet, probe() handles the error. */
void netvsc_reset(struct netvsc *card)
{
	if (!READ_ONCE(card->removing) && card->dev->reg_state == NETREG_REGISTERED)
		schedule_work(&card->reset_work);
}

/* Once a connection: nothing more can come of it. */
void netvsc_break(struct netvsc *card)
{
	if (xchg(&card->broken, true))
		return;
	wake_up_all(&card->wait);
	netvsc_reset(card);
}

/* A host that breaks one connection after the other is not to keep a CPU busy. */
static bool worth_it(struct netvsc *card)
{
	if (!READ_ONCE(card->broken))
		return true;
	if (!card->broken_count || time_after(jiffies, card->broken_since + BROKEN_INTERVAL)) {
		card->broken_since = jiffies;
		card->broken_count = 0;
	}
	return card->broken_count++ < BROKEN_COUNT_MAX;
}

static void begin_anew(struct netvsc *card)
{
	if (worth_it(card)) {
		netdev_info(card->dev, "connecting anew\n");
		netvsc_reopen(card, &card->settings);
	} else {
		netdev_err(card->dev, "the host broke the ring again, giving up\n");
		netvsc_lose_connection(card);
	}
}

/* The host took a sub-channel away, broke a ring, or does not answer. */
static void reset_work(struct work_struct *work)
{
	struct netvsc *card = container_of(work, struct netvsc, reset_work);

	rtnl_lock();
	mutex_lock(&card->mutex);
	if (!READ_ONCE(card->removing) && !READ_ONCE(card->gone))
		begin_anew(card);
	mutex_unlock(&card->mutex);
	rtnl_unlock();
}

/* ---- probe and remove ---- */

static void describe_device(struct netvsc *card)
{
	struct net_device *dev = card->dev;

	SET_NETDEV_DEV(dev, &card->device->dev);
	dev->netdev_ops = &device_ops;
	dev->ethtool_ops = &netvsc_ethtool_ops;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = ETH_DATA_LEN;
	dev->watchdog_timeo = TX_TIMEOUT;
}

static struct netvsc *new_card(struct vmb_device *device)
{
	u32 queue_max = min_t(u32, num_possible_cpus(), VMB_NET_QUEUE_COUNT_MAX);
	struct net_device *dev = alloc_etherdev_mqs(sizeof(struct netvsc), queue_max, queue_max);
	struct netvsc *card;

	if (!dev)
		return NULL;
	card = netdev_priv(dev);
	card->dev = dev;
	card->device = device;
	card->queue_max = queue_max;
	mutex_init(&card->mutex);
	spin_lock_init(&card->control_lock);
	init_waitqueue_head(&card->wait);
	INIT_DELAYED_WORK(&card->link_work, netvsc_link_work);
	INIT_WORK(&card->filter_work, netvsc_filter_work);
	INIT_WORK(&card->reset_work, reset_work);
	card->user_speed = SPEED_UNKNOWN;
	netdev_rss_key_fill(card->rss_key, sizeof(card->rss_key));
	describe_device(card);
	set_defaults(card);
	return card;
}

static void free_card(struct netvsc *card)
{
	netvsc_free_queues(card);
	netvsc_free_buffers(card);
	free_netdev(card->dev);
}

/* Takes over what the first connection has found out. */
static void learn(struct netvsc *card)
{
	struct net_device *dev = card->dev;

	eth_hw_addr_set(dev, card->core.agreed.mac);
	dev->mtu = min_t(u32, card->settings.mtu, card->core.agreed.mtu);
	card->settings.mtu = dev->mtu;
	if (card->core.agreed.version >= VMB_NET_VERSION_2)
		dev->max_mtu = card->core.agreed.mtu_max > ETH_DATA_LEN ?
				       card->core.agreed.mtu_max :
				       VMB_GUEST_NETWORK_MTU_MAX;
	set_features(card);
	netif_set_real_num_tx_queues(dev, card->queue_count);
	netif_set_real_num_rx_queues(dev, card->queue_count);
	netif_carrier_off(dev);
}

/* The device is not up yet, so nobody else looks at it. */
static int bring_up(struct netvsc *card)
{
	int rc;

	mutex_lock(&card->mutex);
	rc = netvsc_connect(card);
	if (!rc) {
		learn(card);
		rc = netvsc_set_offload(card, card->dev->features);
		if (rc == -EIO)
			rc = 0;
		if (rc)
			netvsc_disconnect(card);
	}
	mutex_unlock(&card->mutex);
	if (rc)
		return rc;
	rc = register_netdev(card->dev);
	if (!rc && READ_ONCE(card->broken))
		netvsc_reset(card);
	return rc;
}

static void cancel_works(struct netvsc *card)
{
	WRITE_ONCE(card->removing, true);
	cancel_work_sync(&card->reset_work);
	cancel_work_sync(&card->filter_work);
	cancel_delayed_work_sync(&card->link_work);
}

static void disconnect(struct netvsc *card)
{
	mutex_lock(&card->mutex);
	netvsc_disconnect(card);
	mutex_unlock(&card->mutex);
}

/* The host may have caused a new connection by now. */
static void announce(struct netvsc *card)
{
	mutex_lock(&card->mutex);
	netdev_info(card->dev,
		    "network protocol %#x, %u queues, %u KiB to receive, %u KiB to send\n",
		    card->core.agreed.version, card->queue_count, card->receive_buffer.len >> 10,
		    card->send_buffer.len >> 10);
	mutex_unlock(&card->mutex);
}

static int probe(struct vmb_device *device, const struct hv_vmbus_device_id *id)
{
	struct netvsc *card = new_card(device);
	int rc;

	if (!card)
		return -ENOMEM;
	device->data = card;
	rc = bring_up(card);
	if (rc) {
		/* A lost sub-channel may have caused a new connection meanwhile. */
		cancel_works(card);
		disconnect(card);
		free_card(card);
		return rc;
	}
	announce(card);
	return 0;
}

/*
 * After this nobody opens the device, the host says nothing to it and writes to none of its memory,
 * and no work is queued. Works twice: until the device is detached it may be opened.
 */
static void take_down(struct netvsc *card)
{
	cancel_works(card);
	rtnl_lock();
	dev_close(card->dev);
	netif_device_detach(card->dev);
	rtnl_unlock();
	disconnect(card);
	cancel_works(card);
}

/* Link events reach the device until it is disconnected, so that comes before its end. */
static void remove(struct vmb_device *device)
{
	struct netvsc *card = device->data;

	take_down(card);
	unregister_netdev(card->dev);
	free_card(card);
}

/* Before the kernel ends: frees nothing. */
static void shutdown(struct vmb_device *device)
{
	struct netvsc *card = device->data;

	take_down(card);
	WRITE_ONCE(card->gone, true);
}

/*
 * The device is detached, so that nobody sends or changes settings, and keeps all that it was told.
 */
static int suspend(struct vmb_device *device)
{
	struct netvsc *card = device->data;

	cancel_works(card);
	rtnl_lock();
	netif_device_detach(card->dev);
	mutex_lock(&card->mutex);
	netvsc_lose_connection(card);
	mutex_unlock(&card->mutex);
	rtnl_unlock();
	return 0;
}

static int resume(struct vmb_device *device)
{
	struct netvsc *card = device->data;
	int rc;

	WRITE_ONCE(card->removing, false);
	rtnl_lock();
	mutex_lock(&card->mutex);
	rc = netvsc_reopen(card, &card->settings);
	mutex_unlock(&card->mutex);
	netif_device_attach(card->dev);
	rtnl_unlock();
	return rc;
}

static const struct hv_vmbus_device_id ids[] = {
	{ .guid = VMB_GUID_NETWORK },
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

static struct vmb_driver netvsc_driver = {
	.driver = {
		.name = "netvsc",
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown,
	.suspend = suspend,
	.resume = resume,
};

/* cloud-init tells Azure's cards from their virtual functions by the name of the kernel's own. */
static char *name = "netvsc";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "the driver's name in sysfs: netvsc (default) or hv_netvsc");

static int __init netvsc_init(void)
{
	if (strcmp(name, "netvsc") && strcmp(name, "hv_netvsc")) {
		pr_err("netvsc: name=%s: there are netvsc and hv_netvsc\n", name);
		return -EINVAL;
	}
	netvsc_driver.driver.name = name;
	return vmb_driver_register(&netvsc_driver);
}

static void __exit netvsc_exit(void)
{
	vmb_driver_unregister(&netvsc_driver);
}

module_init(netvsc_init);
module_exit(netvsc_exit);

MODULE_LICENSE("GPL");
/* For who asks for the kernel's own by name, where that is not installed. */
MODULE_ALIAS("hv_netvsc");
MODULE_DESCRIPTION("OpenVMBus: Hyper-V synthetic network");
