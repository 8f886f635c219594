// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends frames.
 *
 * A frame that fits into a section of the send buffer is copied there and its skb ends at once: the
 * copy costs less than what host and guest do for a list of pages, the socket's memory comes back
 * earlier, and frames that come in a burst (xmit_more) share a section, one packet of the ring and
 * one completion. A frame that does not fit has its linear head copied and its pages listed; its
 * skb ends when the host says so.
 *
 * A packet that the ring does not take is kept, and the queue is stopped. netvsc_resume(), at the
 * end of each poll, sends it and starts the queue again.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>
#include "ports/linux/network.h"

#define TCP_LEN_MIN sizeof(struct tcphdr)

/* ---- into the ring ---- */

static int write_packet(struct netvsc_queue *q, bool publish)
{
	struct netvsc_packet *packet = &q->packet;
	struct vmb_ring_part header = {
		&packet->header,
		sizeof(packet->header.direct) + packet->range_count * sizeof(struct netvsc_range),
	};
	struct vmb_ring_part payload = { &packet->core.payload, packet->core.payload_len };
	struct vmb_ring_packet out = {
		.type = packet->range_count ? VMB_PKT_GPA_DIRECT : VMB_PKT_INBAND,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = packet->core.transaction_id,
		.header = &header,
		.header_count = packet->range_count ? 1 : 0,
		.payload = &payload,
		.payload_count = 1,
	};

	packet->header.direct.reserved = 0;
	packet->header.direct.range_count = packet->range_count;
	return publish ? vmb_channel_send(q->channel, &out) : vmb_channel_write(q->channel, &out);
}

/* The channel is gone, or its ring broken: the frames are lost. */
static void lose_packet(struct netvsc_queue *q, int rc)
{
	struct netvsc_packet *packet = &q->packet;

	if (rc == -EPROTO)
		netvsc_break(q->card);
	netvsc_count_tx(q, NETVSC_TX_DROPPED, packet->core.frame_count);
	if (packet->skb && vmb_guest_network_unseal(&q->core, packet->core.slot))
		dev_kfree_skb_any(packet->skb);
}

/* Room for a few packets of the longest kind: the next one shall not stop the queue again. */
static u32 room_wanted(const struct netvsc_queue *q)
{
	u32 longest = vmb_ring_packet_len(sizeof(q->packet.header), VMB_NET_MESSAGE_LEN_6_1);

	return 4 * longest;
}

/*
 * Tries to send the kept packet. Returns whether nothing is kept any more. publish: the host is to
 * see it, and what was written before it, at once.
 */
static bool push(struct netvsc_queue *q, bool publish)
{
	int rc;

	while (q->kept) {
		rc = write_packet(q, publish);
		if (rc == -EAGAIN) {
			/*
			 * Before the wish: when it is heard, the poll must find the queue stopped.
			 */
			netif_tx_stop_queue(q->txq);
			netvsc_count_tx(q, NETVSC_TX_RING_FULL, 1);
			smp_mb__after_atomic();
			rc = vmb_channel_wait_room(q->channel, room_wanted(q));
			if (rc == -EAGAIN)
				return false;
			if (!rc)
				continue;
		}
		if (rc)
			lose_packet(q, rc);
		else
			netvsc_count_tx(q, NETVSC_TX_SENDS, 1);
		q->kept = false;
		q->packet.range_count = 0;
		q->packet.skb = NULL;
	}
	return true;
}

/* Seals what is being filled, and pushes it. */
static bool seal(struct netvsc_queue *q, bool publish)
{
	void *cookie = q->filling_xdp ? NETVSC_COOKIE_XDP : q->packet.skb;

	if (q->core.filling == VMB_NET_SECTION_NONE)
		return push(q, publish);
	/* Before it is in flight: a host may complete it from then on. */
	q->core.slots[q->core.filling].cookie = cookie;
	vmb_guest_network_seal(&q->core, &q->packet.core);
	q->kept = true;
	return push(q, publish);
}

static bool has_slots(struct netvsc_queue *q)
{
	return vmb_guest_network_room(&q->core) >= max(q->core.slot_count / 4, 1u);
}

/*
 * Ends a sender's turn: stops the queue when the next packet would not go. The poll frees slots and
 * then checks whether the queue is stopped; here the queue is stopped first and then checked for
 * free slots. So one of the two notices the other.
 */
static void settle(struct netvsc_queue *q)
{
	bool stopped = netif_tx_queue_stopped(q->txq);

	if (likely(!stopped && !q->kept && vmb_guest_network_room(&q->core)))
		return;
	netif_tx_stop_queue(q->txq);
	if (!stopped)
		netvsc_count_tx(q, NETVSC_TX_STOPPED, 1);
	smp_mb__after_atomic();
	if (push(q, true) && has_slots(q) && READ_ONCE(q->card->up)) {
		netif_tx_wake_queue(q->txq);
		netvsc_count_tx(q, NETVSC_TX_WOKEN, 1);
	}
}

/* All that was put goes to the host. */
void netvsc_flush(struct netvsc_queue *q)
{
	if (q->kept || q->core.filling != VMB_NET_SECTION_NONE)
		seal(q, true);
	else
		vmb_channel_commit(q->channel);
	settle(q);
}

void netvsc_resume(struct netvsc_queue *q)
{
	smp_mb(); /* see settle() */
	if (likely(!netif_tx_queue_stopped(q->txq)))
		return;
	__netif_tx_lock(q->txq, smp_processor_id());
	settle(q);
	__netif_tx_unlock(q->txq);
}

/* ---- into the send buffer ---- */

/*
 * -EAGAIN: no slot is free, or the ring is full; the queue will be stopped by settle().
 */
static int put(struct netvsc_queue *q, const struct vmb_guest_rndis_frame *frame, u32 inline_len,
	       bool xdp, void **at)
{
	int rc;

	if (q->filling_xdp != xdp) {
		if (!seal(q, false))
			return -EAGAIN;
		q->filling_xdp = xdp;
	}
	if (!push(q, false))
		return -EAGAIN;
	rc = vmb_guest_network_put(&q->core, frame, inline_len, at);
	if (rc == -EBUSY) {
		if (!seal(q, false))
			return -EAGAIN;
		rc = vmb_guest_network_put(&q->core, frame, inline_len, at);
	}
	return rc;
}

/*
 * The host writes lengths and checksums of each segment, and wants them to be zero, and the TCP
 * checksum to hold the sum of a pseudo header without length.
 */
static void correct_head(u8 *head, u32 tcp_offset)
{
	struct tcphdr *tcp = (struct tcphdr *)(head + tcp_offset);
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(head + ETH_HLEN);
	struct iphdr *ip = (struct iphdr *)(head + ETH_HLEN);

	if (ip->version == 4) {
		ip->tot_len = 0;
		ip->check = 0;
		tcp->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, 0, IPPROTO_TCP, 0);
	} else {
		ip6->payload_len = 0;
		tcp->check = ~csum_ipv6_magic(&ip6->saddr, &ip6->daddr, 0, IPPROTO_TCP, 0);
	}
}

/* What is copied at least: what is corrected. */
static u32 copy_len_min(const struct sk_buff *skb)
{
	return skb_is_gso(skb) ? skb_transport_offset(skb) + TCP_LEN_MIN : 0;
}

static void copy_bytes(const struct sk_buff *skb, u32 from, void *at, u32 len)
{
	if (from + len <= skb_headlen(skb))
		memcpy(at, skb->data + from, len);
	else
		skb_copy_bits(skb, from, at, len);
}

/* The skb itself stays as it is: it may have to be given back to the stack. */
static void copy_head(struct netvsc_queue *q, const struct sk_buff *skb, void *at, u32 len)
{
	u32 head_len = copy_len_min(skb);

	if (head_len) {
		copy_bytes(skb, 0, q->head, head_len);
		correct_head(q->head, skb_transport_offset(skb));
		memcpy(at, q->head, head_len);
	}
	copy_bytes(skb, head_len, at + head_len, len - head_len);
}

bool netvsc_put_xdp(struct netvsc_queue *q, const void *data, u32 len)
{
	struct vmb_guest_rndis_frame frame = { .len = len };
	void *at;

	if (len < ETH_HLEN || put(q, &frame, len, true, &at)) {
		netvsc_count_tx(q, NETVSC_TX_XDP_DROPPED, 1);
		return false;
	}
	memcpy(at, data, len);
	netvsc_count_tx(q, NETVSC_TX_XDP, 1);
	return true;
}

/* ---- pages ---- */

static void list_page(struct netvsc_range *range, u64 pfn, u32 offset, u32 len)
{
	range->range.byte_count = len;
	range->range.byte_offset = offset;
	range->pfn = pfn;
}

/* One range a page, which every host takes; len is not 0. False: too many pages. */
static bool list_piece(struct netvsc_packet *packet, u64 pfn, u32 offset, u32 len)
{
	struct netvsc_range *range = &packet->header.ranges[packet->range_count];
	u32 count, first;

	pfn += offset >> PAGE_SHIFT;
	offset &= ~PAGE_MASK;
	count = DIV_ROUND_UP(offset + len, PAGE_SIZE);
	if (count > NETVSC_RANGE_MAX - packet->range_count)
		return false;
	packet->range_count += count;
	first = min_t(u32, len, PAGE_SIZE - offset);
	list_page(range, pfn, offset, first);
	for (len -= first; len > PAGE_SIZE; len -= PAGE_SIZE)
		list_page(++range, ++pfn, 0, PAGE_SIZE);
	if (len)
		list_page(++range, ++pfn, 0, len);
	return true;
}

/* All but the first skip bytes. False: too many pages. */
static bool list_pages(struct netvsc_packet *packet, const struct sk_buff *skb, u32 skip)
{
	u32 head_len = skb_headlen(skb);
	const skb_frag_t *frag;
	u32 len;
	int i;

	packet->range_count = 0;
	if (skip < head_len) {
		phys_addr_t at = virt_to_phys(skb->data + skip);

		if (!list_piece(packet, at >> PAGE_SHIFT, offset_in_page(at), head_len - skip))
			return false;
	}
	skip -= min(skip, head_len);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		frag = &skb_shinfo(skb)->frags[i];
		len = skb_frag_size(frag);
		if (skip < len && !list_piece(packet, page_to_pfn(skb_frag_page(frag)),
					      skb_frag_off(frag) + skip, len - skip))
			return false;
		skip -= min(skip, len);
	}
	return true;
}

/*
 * Copies the linear head, or as much of it as fits. If there are too many pages, copies as much as
 * fits; if there are still too many, moves all to contiguous pages. Returns how many bytes to copy,
 * or 0: it is impossible.
 */
static u32 divide(struct netvsc_packet *packet, struct sk_buff *skb, u32 inline_max)
{
	u32 least = copy_len_min(skb);
	u32 len = min(max(skb_headlen(skb), least), inline_max);

	if (inline_max < least)
		return 0;
	if (list_pages(packet, skb, len))
		return len;
	if (list_pages(packet, skb, inline_max))
		return inline_max;
	if (!skb_linearize(skb) && list_pages(packet, skb, inline_max))
		return inline_max;
	return 0;
}

/* ---- what the host is told of a frame ---- */

static u32 vlan_of(const struct sk_buff *skb)
{
	u16 tci = skb_vlan_tag_get(skb);

	return (tci >> VLAN_PRIO_SHIFT) | (tci & VLAN_CFI_MASK ? RNDIS_VLAN_CFI : 0) |
	       (tci & VLAN_VID_MASK) << RNDIS_VLAN_ID_SHIFT;
}

/* Whether the host cuts this frame into segments: as it says now, not as it did at first. */
static bool large_fits(const struct netvsc *card, const struct sk_buff *skb)
{
	u32 need = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV6 ? VMB_GUEST_NETWORK_LSO6 :
							       VMB_GUEST_NETWORK_LSO4;

	return READ_ONCE(card->core.agreed.offload) & need &&
	       skb_transport_offset(skb) + TCP_LEN_MIN <= NETVSC_HEAD_LEN_MAX;
}

static int describe_large(const struct netvsc *card, const struct sk_buff *skb,
			  struct vmb_guest_rndis_frame *frame)
{
	u32 offset = skb_transport_offset(skb);

	/*
	 * features_check() has checked this too, but the host may have changed its offloads since.
	 */
	if (!large_fits(card, skb))
		return -EINVAL;
	frame->present |= VMB_GUEST_RNDIS_LSO;
	frame->lso = (skb_shinfo(skb)->gso_size & RNDIS_LSO_MSS_MASK) |
		     offset << RNDIS_LSO_TCP_OFFSET_SHIFT | RNDIS_LSO_V2;
	if (skb_shinfo(skb)->gso_type & SKB_GSO_TCPV6)
		frame->lso |= RNDIS_LSO_IPV6;
	return 0;
}

/* What the host would have to compute: VMB_GUEST_NETWORK_TX_* and flags for it. 0: it cannot. */
static u32 checksum_kind(const struct sk_buff *skb, u32 *flags)
{
	const struct ethhdr *eth = (const void *)skb->data;
	const void *ip = eth + 1;
	u32 ip_len;
	u8 protocol;
	bool v4 = eth->h_proto == htons(ETH_P_IP);

	if (!v4 && eth->h_proto != htons(ETH_P_IPV6))
		return 0;
	ip_len = v4 ? ((const struct iphdr *)ip)->ihl * 4 : sizeof(struct ipv6hdr);
	if (skb_checksum_start_offset(skb) != ETH_HLEN + ip_len)
		return 0; /* behind further headers, or of an inner packet */
	protocol = v4 ? ((const struct iphdr *)ip)->protocol :
			((const struct ipv6hdr *)ip)->nexthdr;
	*flags = v4 ? RNDIS_TX_CHECKSUM_IPV4 : RNDIS_TX_CHECKSUM_IPV6;
	if (protocol == IPPROTO_TCP && skb->csum_offset == offsetof(struct tcphdr, check)) {
		*flags |= RNDIS_TX_CHECKSUM_TCP;
		return v4 ? VMB_GUEST_NETWORK_TX_TCP4 : VMB_GUEST_NETWORK_TX_TCP6;
	}
	if (protocol == IPPROTO_UDP && skb->csum_offset == offsetof(struct udphdr, check)) {
		*flags |= RNDIS_TX_CHECKSUM_UDP;
		return v4 ? VMB_GUEST_NETWORK_TX_UDP4 : VMB_GUEST_NETWORK_TX_UDP6;
	}
	return 0;
}

/* Left to the host if it can; else computed here. */
static int describe_checksum(const struct netvsc *card, struct sk_buff *skb,
			     struct vmb_guest_rndis_frame *frame)
{
	u32 offset = skb_checksum_start_offset(skb);
	u32 flags;

	if (offset < ETH_HLEN + sizeof(struct iphdr) || offset > RNDIS_TX_CHECKSUM_TCP_OFFSET_MAX ||
	    !(checksum_kind(skb, &flags) & READ_ONCE(card->core.agreed.offload)))
		return skb_checksum_help(skb);
	frame->present |= VMB_GUEST_RNDIS_CHECKSUM;
	frame->checksum = flags | offset << RNDIS_TX_CHECKSUM_TCP_OFFSET_SHIFT;
	return 0;
}

/*
 * Longer than the host was told: frames that were queued before the MTU became less. It would
 * refuse them. A tag inside of a frame does not count.
 */
static bool too_long(const struct netvsc *card, const struct sk_buff *skb)
{
	u32 len = skb->len;

	if (skb_is_gso(skb))
		len = skb_transport_offset(skb) + tcp_hdrlen(skb) + skb_shinfo(skb)->gso_size;
	if (eth_type_vlan(((const struct ethhdr *)skb->data)->h_proto))
		len -= VLAN_HLEN;
	return len > card->core.config.mtu + ETH_HLEN;
}

static int describe(const struct netvsc *card, struct sk_buff *skb,
		    struct vmb_guest_rndis_frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	if (skb->len < ETH_HLEN)
		return -EINVAL;
	if (unlikely(too_long(card, skb)))
		return -EMSGSIZE;
	if (skb_vlan_tag_present(skb)) {
		frame->present |= VMB_GUEST_RNDIS_VLAN;
		frame->vlan = vlan_of(skb);
	}
	if (card->queue_count > 1) {
		frame->present |= VMB_GUEST_RNDIS_HASH;
		frame->hash = skb_get_hash(skb);
	}
	frame->len = skb->len;
	if (skb_is_gso(skb))
		return describe_large(card, skb, frame);
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		return describe_checksum(card, skb, frame);
	return 0;
}

/* ---- the stack's side ---- */

/*
 * Counts a frame. Must be called when it is in a packet and before any thread can publish that
 * packet, because then the poll may get the completion. Returns whether the host must be signalled
 * now.
 */
static bool account(struct netvsc_queue *q, struct sk_buff *skb, enum netvsc_tx_stat how)
{
	skb_tx_timestamp(skb);
	u64_stats_update_begin(&q->tx_sync);
	q->tx[NETVSC_TX_PACKETS] += max_t(u32, skb_shinfo(skb)->gso_segs, 1);
	q->tx[NETVSC_TX_BYTES] += skb->len;
	q->tx[NETVSC_TX_LARGE] += skb_is_gso(skb);
	q->tx[how]++;
	u64_stats_update_end(&q->tx_sync);
	return __netdev_tx_sent_queue(q->txq, skb->len, netdev_xmit_more());
}

static int send_whole(struct netvsc_queue *q, struct sk_buff *skb,
		      const struct vmb_guest_rndis_frame *frame, bool *kick)
{
	void *at;
	int rc = put(q, frame, frame->len, false, &at);

	if (rc)
		return rc;
	copy_head(q, skb, at, frame->len);
	*kick = account(q, skb, NETVSC_TX_COPIED);
	dev_consume_skb_any(skb);
	return 0;
}

/* From 0 on the skb is the driver's. */
static int send_pages(struct netvsc_queue *q, struct sk_buff *skb,
		      const struct vmb_guest_rndis_frame *frame, u32 inline_max, bool *kick)
{
	u32 inline_len;
	void *at;
	int rc;

	if (!seal(q, false))
		return -EAGAIN;
	inline_len = divide(&q->packet, skb, inline_max);
	rc = inline_len ? put(q, frame, inline_len, false, &at) : -ENOMEM;
	if (rc) {
		q->packet.range_count = 0;
		return rc;
	}
	copy_head(q, skb, at, inline_len);
	*kick = account(q, skb, NETVSC_TX_RANGES);
	q->packet.skb = skb;
	seal(q, *kick);
	return 0;
}

static int send_skb(struct netvsc_queue *q, struct sk_buff *skb, bool *kick)
{
	struct vmb_guest_rndis_frame frame;
	u32 inline_max;
	int rc;

	if (unlikely(!smp_load_acquire(&q->card->up)))
		return -ENETDOWN;
	rc = describe(q->card, skb, &frame);
	if (rc)
		return rc;
	inline_max = vmb_guest_network_inline_max(&q->card->core, &frame);
	if (inline_max >= frame.len)
		return send_whole(q, skb, &frame, kick);
	return send_pages(q, skb, &frame, inline_max, kick);
}

netdev_tx_t netvsc_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct netvsc *card = netdev_priv(dev);
	struct netvsc_queue *q = card->queues[skb_get_queue_mapping(skb)];
	bool kick = !netdev_xmit_more();
	int rc = send_skb(q, skb, &kick);

	if (rc && rc != -EAGAIN) {
		netvsc_count_tx(q, rc == -EMSGSIZE ? NETVSC_TX_TOO_LONG : NETVSC_TX_DROPPED, 1);
		dev_kfree_skb_any(skb);
	}
	if (kick || rc == -EAGAIN || q->kept)
		netvsc_flush(q);
	return rc == -EAGAIN ? NETDEV_TX_BUSY : NETDEV_TX_OK;
}

static u32 flow_bit(const struct flow_keys *keys)
{
	bool v4 = keys->basic.n_proto == htons(ETH_P_IP);

	if (!v4 && keys->basic.n_proto != htons(ETH_P_IPV6))
		return 0;
	switch (keys->basic.ip_proto) {
	case IPPROTO_TCP: return v4 ? NETVSC_FLOW_TCP4 : NETVSC_FLOW_TCP6;
	case IPPROTO_UDP: return v4 ? NETVSC_FLOW_UDP4 : NETVSC_FLOW_UDP6;
	default: return 0;
	}
}

/*
 * Without ports, fragments, which have none, take the queue of the whole datagrams of their flow:
 * the user may choose that, and then a frame is looked at once more.
 */
static u32 hash_of(const struct netvsc *card, struct sk_buff *skb)
{
	u32 shallow = READ_ONCE(card->shallow);
	struct flow_keys keys;

	if (likely(!shallow) || !skb_flow_dissect_flow_keys(skb, &keys, 0) ||
	    !(flow_bit(&keys) & shallow))
		return skb_get_hash(skb);
	keys.ports.ports = 0;
	return flow_hash_from_keys(&keys);
}

/* As the host asks for; without its table the stack's own choice is as good. */
u16 netvsc_select_queue(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev)
{
	struct netvsc *card = netdev_priv(dev);
	u32 queue;

	if (!READ_ONCE(card->table_known))
		return netdev_pick_tx(dev, skb, sb_dev);
	queue = READ_ONCE(card->core.agreed.send_table[hash_of(card, skb) % VMB_NET_TABLE_COUNT]);
	return queue < dev->real_num_tx_queues ? queue : queue % dev->real_num_tx_queues;
}

/*
 * The host takes no tag inside of a frame that it works on, and no large frame of one segment. The
 * device's features are those of the first connection; what the host can do less after a new one,
 * or after it said so, is found out here and by describe_checksum(), frame by frame.
 */
netdev_features_t netvsc_features_check(struct sk_buff *skb, struct net_device *dev,
					netdev_features_t features)
{
	const struct netvsc *card = netdev_priv(dev);

	if (eth_type_vlan(eth_hdr(skb)->h_proto))
		return features & ~(NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK);
	if (skb_is_gso(skb) &&
	    (!large_fits(card, skb) ||
	     skb_shinfo(skb)->gso_segs < READ_ONCE(card->core.agreed.lso_segments_min)))
		features &= ~NETIF_F_GSO_MASK;
	return features;
}
