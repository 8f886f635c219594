// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ethtool shows and sets. What the handshake settles (queues, buffers) is set by a new
 * connection.
 */
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include "ports/linux/compat.h"
#include "ports/linux/network.h"

#define SPEED_UNIT 10000u /* the host counts 100 bit/s, ethtool Mbit/s */

/* ---- identity and link ---- */

/* The first versions' numbers do not say what they are called. */
static void name_version(u32 version, char *name, size_t len)
{
	if (version == VMB_NET_VERSION_1 || version == VMB_NET_VERSION_2)
		snprintf(name, len, "NVSP %u", version == VMB_NET_VERSION_1 ? 1 : 2);
	else
		snprintf(name, len, "NVSP %u.%u", version >> 16, version & 0xffff);
}

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	const struct netvsc *card = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, dev_name(&card->device->dev), sizeof(info->bus_info));
	name_version(card->core.agreed.version, info->fw_version, sizeof(info->fw_version));
}

static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	const struct netvsc *card = netdev_priv(dev);

	settings->base.speed = SPEED_UNKNOWN;
	settings->base.duplex = DUPLEX_UNKNOWN;
	settings->base.port = PORT_OTHER;
	if (READ_ONCE(card->user_speed) != (u32)SPEED_UNKNOWN) {
		settings->base.speed = card->user_speed;
		settings->base.duplex = card->user_duplex;
		return 0;
	}
	if (!netif_carrier_ok(dev))
		return 0;
	settings->base.speed = READ_ONCE(card->core.agreed.link_speed) / SPEED_UNIT;
	settings->base.duplex = DUPLEX_FULL;
	return 0;
}

/* The host has no say in it: it is for programs that reckon with the speed that is shown. */
static int set_link_ksettings(struct net_device *dev, const struct ethtool_link_ksettings *settings)
{
	struct netvsc *card = netdev_priv(dev);

	return ethtool_virtdev_set_link_ksettings(dev, settings, &card->user_speed,
						  &card->user_duplex);
}

/* ---- statistics ---- */

static const char tx_names[NETVSC_TX_STAT_COUNT][20] = {
	[NETVSC_TX_PACKETS] = "packets",
	[NETVSC_TX_BYTES] = "bytes",
	[NETVSC_TX_DROPPED] = "dropped",
	[NETVSC_TX_COPIED] = "copied",
	[NETVSC_TX_TOO_LONG] = "too_long",
	[NETVSC_TX_RANGES] = "by_pages",
	[NETVSC_TX_LARGE] = "large",
	[NETVSC_TX_SENDS] = "sends",
	[NETVSC_TX_STOPPED] = "stopped",
	[NETVSC_TX_WOKEN] = "woken",
	[NETVSC_TX_RING_FULL] = "ring_full",
	[NETVSC_TX_XDP] = "xdp",
	[NETVSC_TX_XDP_DROPPED] = "xdp_dropped",
};

static const char rx_names[NETVSC_RX_STAT_COUNT][20] = {
	[NETVSC_RX_PACKETS] = "packets",	 [NETVSC_RX_BYTES] = "bytes",
	[NETVSC_RX_DROPPED] = "dropped",	 [NETVSC_RX_MULTICAST] = "multicast",
	[NETVSC_RX_CHECKED] = "checked",	 [NETVSC_RX_COALESCED] = "coalesced",
	[NETVSC_RX_XDP_PASS] = "xdp_pass",	 [NETVSC_RX_XDP_DROP] = "xdp_drop",
	[NETVSC_RX_XDP_TX] = "xdp_tx",		 [NETVSC_RX_XDP_REDIRECT] = "xdp_redirect",
	[NETVSC_RX_XDP_ABORTED] = "xdp_aborted", [NETVSC_RX_TX_ERRORS] = "tx_errors",
	[NETVSC_RX_ACK_WAITS] = "ack_waits",
};

/* Of the core: the dialogue's, and all queues' together. */
static const char core_names[][20] = { "forged", "malformed", "unknown" };

#define QUEUE_STAT_COUNT (NETVSC_TX_STAT_COUNT + NETVSC_RX_STAT_COUNT)

static int get_sset_count(struct net_device *dev, int set)
{
	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return ARRAY_SIZE(core_names) + dev->real_num_tx_queues * QUEUE_STAT_COUNT;
}

static void get_strings(struct net_device *dev, u32 set, u8 *data)
{
	u32 i, j;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < ARRAY_SIZE(core_names); i++)
		ethtool_sprintf(&data, "%s", core_names[i]);
	for (i = 0; i < dev->real_num_tx_queues; i++) {
		for (j = 0; j < NETVSC_TX_STAT_COUNT; j++)
			ethtool_sprintf(&data, "tx_queue_%u_%s", i, tx_names[j]);
		for (j = 0; j < NETVSC_RX_STAT_COUNT; j++)
			ethtool_sprintf(&data, "rx_queue_%u_%s", i, rx_names[j]);
	}
}

static void copy_stats(u64 *to, const u64 *from, u32 count, const struct u64_stats_sync *sync)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(sync);
		memcpy(to, from, count * sizeof(*to));
	} while (u64_stats_fetch_retry(sync, start));
}

static void add_counters(u64 *to, const struct vmb_guest_network_counters *counters)
{
	to[0] += READ_ONCE(counters->forged);
	to[1] += READ_ONCE(counters->malformed);
	to[2] += READ_ONCE(counters->unknown);
}

static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	const struct netvsc *card = netdev_priv(dev);
	u64 *at = data + ARRAY_SIZE(core_names);
	const struct netvsc_queue *q;
	u32 i;

	memset(data, 0, stats->n_stats * sizeof(*data));
	add_counters(data, &card->core.counters);
	for (i = 0; i < dev->real_num_tx_queues; i++, at += QUEUE_STAT_COUNT) {
		q = smp_load_acquire(&card->queues[i]);
		if (!q)
			continue;
		add_counters(data, &q->core.counters);
		copy_stats(at, q->tx, NETVSC_TX_STAT_COUNT, &q->tx_sync);
		copy_stats(at + NETVSC_TX_STAT_COUNT, q->rx, NETVSC_RX_STAT_COUNT, &q->rx_sync);
	}
}

/* ---- queues ---- */

static u32 queue_limit(const struct netvsc *card)
{
	return clamp_t(u32, card->core.agreed.rss_queue_count, 1, card->queue_max);
}

static void get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	const struct netvsc *card = netdev_priv(dev);

	channels->max_combined = queue_limit(card);
	channels->combined_count = card->queue_count;
}

static int reopen(struct netvsc *card, const struct netvsc_settings *settings)
{
	int rc;

	mutex_lock(&card->mutex);
	rc = netvsc_reopen(card, settings);
	mutex_unlock(&card->mutex);
	return rc;
}

static int set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_settings settings = card->settings;

	if (channels->combined_count == card->queue_count)
		return 0;
	if (!channels->combined_count || channels->combined_count > queue_limit(card))
		return -EINVAL;
	settings.queue_count = channels->combined_count;
	return reopen(card, &settings);
}

static u32 get_rxfh_key_size(struct net_device *dev)
{
	return NDIS_RSS_KEY_LEN;
}

static u32 get_rxfh_indir_size(struct net_device *dev)
{
	return netvsc_rss_table_count(netdev_priv(dev));
}

static int get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	const struct netvsc *card = netdev_priv(dev);
	u32 i;

	rxfh->hfunc = ETH_RSS_HASH_TOP;
	for (i = 0; rxfh->indir && i < netvsc_rss_table_count(card); i++)
		rxfh->indir[i] = card->rss_table[i];
	if (rxfh->key)
		memcpy(rxfh->key, card->rss_key, NDIS_RSS_KEY_LEN);
	return 0;
}

/* Entries beyond the host's table are kept in step, should the host have a larger one next time. */
static void take_rxfh(struct netvsc *card, const struct ethtool_rxfh_param *rxfh)
{
	u32 count = netvsc_rss_table_count(card), i;

	for (i = 0; rxfh->indir && i < NDIS_RSS_TABLE_COUNT_MAX; i++)
		card->rss_table[i] = rxfh->indir[i % count];
	if (rxfh->key)
		memcpy(card->rss_key, rxfh->key, NDIS_RSS_KEY_LEN);
}

static int judge_rxfh(const struct netvsc *card, const struct ethtool_rxfh_param *rxfh)
{
	u32 i;

	if (!card->connected)
		return -ENODEV;
	if (!netvsc_rss_table_count(card))
		return -EOPNOTSUPP;
	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE && rxfh->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	for (i = 0; rxfh->indir && i < netvsc_rss_table_count(card); i++)
		if (rxfh->indir[i] >= card->queue_count)
			return -EINVAL;
	return 0;
}

/* What the host does not take is not kept either. */
static int try_rxfh(struct netvsc *card, const struct ethtool_rxfh_param *rxfh)
{
	u16 table[NDIS_RSS_TABLE_COUNT_MAX];
	u8 key[NDIS_RSS_KEY_LEN];
	int rc = 0;

	memcpy(table, card->rss_table, sizeof(table));
	memcpy(key, card->rss_key, sizeof(key));
	take_rxfh(card, rxfh);
	if (card->queue_count > 1)
		rc = netvsc_set_rss(card);
	if (rc) {
		memcpy(card->rss_table, table, sizeof(table));
		memcpy(card->rss_key, key, sizeof(key));
	}
	return rc;
}

static int set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		    struct netlink_ext_ack *extack)
{
	struct netvsc *card = netdev_priv(dev);
	int rc;

	mutex_lock(&card->mutex);
	rc = judge_rxfh(card, rxfh);
	if (!rc)
		rc = try_rxfh(card, rxfh);
	mutex_unlock(&card->mutex);
	return rc;
}

ETHTOOL_RXFH_OPS(get_rxfh, set_rxfh)

/* ---- what the hash is made of by which a queue is chosen to send ---- */

#define ADDRESSES (RXH_IP_SRC | RXH_IP_DST)
#define PORTS	  (RXH_L4_B_0_1 | RXH_L4_B_2_3)

static u32 flow_bit(u32 flow_type)
{
	switch (flow_type) {
	case TCP_V4_FLOW: return NETVSC_FLOW_TCP4;
	case TCP_V6_FLOW: return NETVSC_FLOW_TCP6;
	case UDP_V4_FLOW: return NETVSC_FLOW_UDP4;
	case UDP_V6_FLOW: return NETVSC_FLOW_UDP6;
	default: return 0;
	}
}

static int get_rxfh_fields(struct net_device *dev, struct ethtool_rxfh_fields *fields)
{
	const struct netvsc *card = netdev_priv(dev);
	u32 bit = flow_bit(fields->flow_type);

	fields->data = 0;
	if (bit || fields->flow_type == IPV4_FLOW || fields->flow_type == IPV6_FLOW)
		fields->data = ADDRESSES;
	if (bit && !(READ_ONCE(card->shallow) & bit))
		fields->data |= PORTS;
	return 0;
}

static int set_rxfh_fields(struct net_device *dev, const struct ethtool_rxfh_fields *fields,
			   struct netlink_ext_ack *extack)
{
	struct netvsc *card = netdev_priv(dev);
	u32 bit = flow_bit(fields->flow_type);

	if (!bit || (fields->data != ADDRESSES && fields->data != (ADDRESSES | PORTS)))
		return -EOPNOTSUPP;
	WRITE_ONCE(card->shallow,
		   fields->data & PORTS ? card->shallow & ~bit : card->shallow | bit);
	return 0;
}

static int get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info, u32 *rules)
{
#ifdef RXFH_FIELDS_BY_RXNFC
	struct ethtool_rxfh_fields fields = { .flow_type = info->flow_type };

	if (info->cmd == ETHTOOL_GRXFH) {
		get_rxfh_fields(dev, &fields);
		info->data = fields.data;
		return 0;
	}
#endif
	if (info->cmd != ETHTOOL_GRXRINGS)
		return -EOPNOTSUPP;
	info->data = dev->real_num_rx_queues;
	return 0;
}

#ifdef RXFH_FIELDS_BY_RXNFC
static int set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info)
{
	const struct ethtool_rxfh_fields fields = { .data = info->data,
						    .flow_type = info->flow_type };

	return info->cmd == ETHTOOL_SRXFH ? set_rxfh_fields(dev, &fields, NULL) : -EOPNOTSUPP;
}
#endif

/* ---- buffers ---- */

/* Receive: suballocations; transmit: sections, of all queues together. */
static void get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			  struct kernel_ethtool_ringparam *kernel_ring,
			  struct netlink_ext_ack *extack)
{
	const struct netvsc *card = netdev_priv(dev);
	u32 suballoc_len = max(card->core.agreed.suballoc_len, 1u);
	u32 section_len = max(card->core.agreed.section_len, 1u);

	ring->rx_max_pending = netvsc_receive_len_max() / suballoc_len;
	ring->rx_pending = card->core.agreed.suballoc_count;
	ring->tx_max_pending = VMB_NET_SEND_BUFFER_LEN_MAX / section_len;
	ring->tx_pending = card->core.agreed.section_count;
}

static int set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			 struct kernel_ethtool_ringparam *kernel_ring,
			 struct netlink_ext_ack *extack)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_settings settings = card->settings;

	/* Without a connection nobody knows how long a buffer is. */
	if (!READ_ONCE(card->connected))
		return -ENODEV;
	if (!ring->rx_pending || ring->tx_pending < card->queue_count) {
		NL_SET_ERR_MSG_MOD(extack, "each queue needs a buffer");
		return -EINVAL;
	}
	if (ring->rx_pending != card->core.agreed.suballoc_count)
		settings.receive_len =
			netvsc_receive_len((u64)ring->rx_pending * card->core.agreed.suballoc_len);
	if (ring->tx_pending != card->core.agreed.section_count)
		settings.send_len =
			netvsc_send_len((u64)ring->tx_pending * card->core.agreed.section_len);
	if (settings.receive_len == card->settings.receive_len &&
	    settings.send_len == card->settings.send_len)
		return 0;
	return reopen(card, &settings);
}

const struct ethtool_ops netvsc_ethtool_ops = {
	.get_drvinfo = get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = get_link_ksettings,
	.set_link_ksettings = set_link_ksettings,
	.get_sset_count = get_sset_count,
	.get_strings = get_strings,
	.get_ethtool_stats = get_ethtool_stats,
	.get_channels = get_channels,
	.set_channels = set_channels,
	.get_rxfh_key_size = get_rxfh_key_size,
	.get_rxfh_indir_size = get_rxfh_indir_size,
	.get_rxfh = ETHTOOL_GET_RXFH(get_rxfh),
	.set_rxfh = ETHTOOL_SET_RXFH(set_rxfh),
	.get_rxnfc = get_rxnfc,
#ifdef RXFH_FIELDS_BY_RXNFC
	.set_rxnfc = set_rxnfc,
#else
	.get_rxfh_fields = get_rxfh_fields,
	.set_rxfh_fields = set_rxfh_fields,
#endif
	.get_ringparam = get_ringparam,
	.set_ringparam = set_ringparam,
	.get_ts_info = ethtool_op_get_ts_info,
};
