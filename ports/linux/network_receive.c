// SPDX-License-Identifier: GPL-2.0-only
/*
 * What comes from the host: frames, completions of what was sent, messages; and the
 * acknowledgements, with which the host gets its receive buffer back.
 *
 * Frames are copied out of the receive buffer, so that it can be given back at once and the host
 * cannot change what the stack looks at. Acknowledgements of a poll are written together and
 * published together; what the ring does not take is owed until it does.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>
#include "ports/linux/compat.h"
#include "ports/linux/network.h"

/* Packets of one poll, completions included: a host that never stops must not keep the CPU. */
#define PACKET_BUDGET  512u
/* Longer frames get pages: a linear skb of that size might not be had. */
#define LINEAR_LEN_MAX 2048u
#define PAGED_HEAD_LEN 256u /* of these: enough for the headers */
#define PAGE_ORDER_MAX 3

/* One call of the poll. */
struct turn {
	int budget, work; /* frames */
	u32 packets;
	u32 sent_frames, sent_bytes; /* completed, for the byte queue limit */
	bool xdp_tx, xdp_redirect;
};

/* ---- frames ---- */

static void copy_pieces(struct netvsc *card, const struct vmb_guest_network_frame *frame, u8 *dst)
{
	const struct vmb_guest_network_piece *piece;
	u32 i;

	for (i = 0; i < frame->piece_count; i++) {
		piece = &frame->pieces[i];
		memcpy(dst, card->receive_buffer.memory + piece->offset, piece->len);
		dst += piece->len;
	}
}

static struct sk_buff *linear_skb(struct netvsc_queue *q,
				  const struct vmb_guest_network_frame *frame)
{
	struct sk_buff *skb = napi_alloc_skb(&q->napi, frame->rndis.len);

	if (skb)
		copy_pieces(q->card, frame, skb_put(skb, frame->rndis.len));
	return skb;
}

static struct sk_buff *paged_skb(struct netvsc_queue *q,
				 const struct vmb_guest_network_frame *frame)
{
	u32 len = frame->rndis.len, offset = 0, i;
	const struct vmb_guest_network_piece *piece;
	struct sk_buff *skb;
	int rc;

	skb = alloc_skb_with_frags(NET_SKB_PAD + NET_IP_ALIGN + PAGED_HEAD_LEN,
				   len - PAGED_HEAD_LEN, PAGE_ORDER_MAX, &rc, GFP_ATOMIC);
	if (!skb)
		return NULL;
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	skb_put(skb, PAGED_HEAD_LEN);
	skb->data_len = len - PAGED_HEAD_LEN;
	skb->len = len;
	for (i = 0; i < frame->piece_count; i++) {
		piece = &frame->pieces[i];
		skb_store_bits(skb, offset, q->card->receive_buffer.memory + piece->offset,
			       piece->len);
		offset += piece->len;
	}
	return skb;
}

/*
 * The host found the TCP checksum good, but what stands in the header is not it (the sender, maybe
 * a neighbour on the same machine, never computed it). So that it is right when the frame goes on
 * from here, it is left to be completed, over the sum of the pseudo header.
 */
static bool leave_to_complete(struct sk_buff *skb)
{
	const struct ethhdr *eth = (const void *)skb->data;
	u32 offset = ETH_HLEN, len;
	struct ipv6hdr *ip6;
	struct iphdr *ip;
	__sum16 sum;

	if (skb_headlen(skb) < ETH_HLEN + sizeof(*ip6))
		return false;
	ip = (struct iphdr *)(skb->data + ETH_HLEN);
	ip6 = (struct ipv6hdr *)ip;
	if (eth->h_proto == htons(ETH_P_IP)) {
		if (ip->version != 4 || ip->protocol != IPPROTO_TCP || ip_is_fragment(ip) ||
		    ip->ihl < 5)
			return false;
		offset += ip->ihl * 4;
		len = ntohs(ip->tot_len) - ip->ihl * 4;
		sum = csum_tcpudp_magic(ip->saddr, ip->daddr, len, IPPROTO_TCP, 0);
	} else {
		if (eth->h_proto != htons(ETH_P_IPV6) || ip6->nexthdr != IPPROTO_TCP)
			return false;
		offset += sizeof(*ip6);
		len = ntohs(ip6->payload_len);
		sum = csum_ipv6_magic(&ip6->saddr, &ip6->daddr, len, IPPROTO_TCP, 0);
	}
	if (offset + sizeof(struct tcphdr) > skb_headlen(skb))
		return false;
	((struct tcphdr *)(skb->data + offset))->check = ~sum;
	return skb_partial_csum_set(skb, offset, offsetof(struct tcphdr, check));
}

static void write_ip_checksum(struct sk_buff *skb)
{
	const struct ethhdr *eth = (const void *)skb->data;
	struct iphdr *ip = (struct iphdr *)(skb->data + ETH_HLEN);

	if (skb_headlen(skb) < ETH_HLEN + sizeof(*ip) || eth->h_proto != htons(ETH_P_IP) ||
	    ip->version != 4 || ip->ihl < 5 || skb_headlen(skb) < ETH_HLEN + ip->ihl * 4)
		return;
	ip->check = 0;
	ip->check = ip_fast_csum(ip, ip->ihl);
}

/* skb->data is still at the Ethernet header. */
static void tell_checksum(struct netvsc_queue *q, struct sk_buff *skb, u32 flags)
{
	const u32 ip_invalid = RNDIS_RX_CHECKSUM_IP_OK | RNDIS_RX_CHECKSUM_IP_VALUE_INVALID;
	const u32 tcp_invalid = RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID;

	if ((flags & ip_invalid) == ip_invalid)
		write_ip_checksum(skb);
	if ((flags & tcp_invalid) == tcp_invalid && leave_to_complete(skb))
		return;
	if (flags & (RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_UDP_OK)) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
		netvsc_count_rx(q, NETVSC_RX_CHECKED, 1);
	}
}

static void tell_vlan(struct sk_buff *skb, u32 vlan)
{
	u16 tci = (vlan >> RNDIS_VLAN_ID_SHIFT & VLAN_VID_MASK) | (vlan & RNDIS_VLAN_PRIORITY_MASK)
									  << VLAN_PRIO_SHIFT;

	if (vlan & RNDIS_VLAN_CFI)
		tci |= VLAN_CFI_MASK;
	__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), tci);
}

static void tell_hash(struct sk_buff *skb, const struct vmb_guest_rndis_frame *frame)
{
	const u32 ports = NDIS_RSS_HASH_TCP_IPV4 | NDIS_RSS_HASH_TCP_IPV6;
	bool deep = frame->present & VMB_GUEST_RNDIS_HASH_TYPE && frame->hash_type & ports;

	skb_set_hash(skb, frame->hash, deep ? PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);
}

/* Returns the bytes of headers before TCP's payload, or 0: it is not plain TCP. */
static u32 tcp_head_len(const struct sk_buff *skb)
{
	const struct ethhdr *eth = (const void *)skb->data;
	const struct ipv6hdr *ip6 = (const void *)(eth + 1);
	const struct iphdr *ip = (const void *)(eth + 1);
	u32 len = ETH_HLEN;

	if (skb_headlen(skb) < ETH_HLEN + sizeof(*ip6))
		return 0;
	if (eth->h_proto == htons(ETH_P_IP) && ip->protocol == IPPROTO_TCP)
		len += ip->ihl * 4;
	else if (eth->h_proto == htons(ETH_P_IPV6) && ip6->nexthdr == IPPROTO_TCP)
		len += sizeof(*ip6);
	else
		return 0;
	if (skb_headlen(skb) < len + sizeof(struct tcphdr))
		return 0;
	return len + ((const struct tcphdr *)(skb->data + len))->doff * 4;
}

/*
 * A coalesced frame stands for several segments, and TCP estimates the sender's segment by that.
 * Their size is not told, and the host's pieces are cut as its buffers are: what fits the MTU is as
 * near as one gets.
 */
static void tell_segments(struct netvsc_queue *q, struct sk_buff *skb)
{
	u32 head_len = tcp_head_len(skb), frame_len = READ_ONCE(q->card->dev->mtu) + ETH_HLEN;
	const struct ethhdr *eth = (const void *)skb->data;
	struct skb_shared_info *info = skb_shinfo(skb);

	if (!head_len || head_len >= frame_len || skb->len <= frame_len)
		return;
	info->gso_type = eth->h_proto == htons(ETH_P_IP) ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	info->gso_type |= SKB_GSO_DODGY; /* the headers come from the host */
	info->gso_size = frame_len - head_len;
	info->gso_segs = DIV_ROUND_UP(skb->len - head_len, info->gso_size);
}

static struct sk_buff *new_skb(struct netvsc_queue *q, const struct vmb_guest_network_frame *frame)
{
	struct sk_buff *skb;

	skb = frame->rndis.len <= LINEAR_LEN_MAX ? linear_skb(q, frame) : paged_skb(q, frame);
	/* A short one of several segments may be in one piece. */
	if (skb && frame->rndis.len > READ_ONCE(q->card->dev->mtu) + ETH_HLEN)
		tell_segments(q, skb);
	if (skb && frame->piece_count > 1)
		netvsc_count_rx(q, NETVSC_RX_COALESCED, 1);
	return skb;
}

static void count_received(struct netvsc_queue *q, const struct sk_buff *skb)
{
	u64_stats_update_begin(&q->rx_sync);
	q->rx[NETVSC_RX_PACKETS]++;
	q->rx[NETVSC_RX_BYTES] += skb->len;
	q->rx[NETVSC_RX_MULTICAST] += is_multicast_ether_addr(skb->data);
	u64_stats_update_end(&q->rx_sync);
}

static void pass_up(struct netvsc_queue *q, struct sk_buff *skb,
		    const struct vmb_guest_rndis_frame *frame)
{
	netdev_features_t features = q->card->dev->features;

	count_received(q, skb);
	if (frame->present & VMB_GUEST_RNDIS_CHECKSUM && features & NETIF_F_RXCSUM)
		tell_checksum(q, skb, frame->checksum);
	if (frame->present & VMB_GUEST_RNDIS_VLAN)
		tell_vlan(skb, frame->vlan);
	if (frame->present & VMB_GUEST_RNDIS_HASH && features & NETIF_F_RXHASH)
		tell_hash(skb, frame);
	skb_record_rx_queue(skb, q->index);
	skb->protocol = eth_type_trans(skb, q->card->dev);
	napi_gro_receive(&q->napi, skb);
}

static void take_frame(struct netvsc_queue *q, const struct vmb_guest_network_frame *frame,
		       struct turn *turn)
{
	struct bpf_prog *prog = rcu_dereference_bh(q->xdp_prog);
	struct sk_buff *skb = NULL;

	if (!READ_ONCE(q->card->up)) {
		netvsc_count_rx(q, NETVSC_RX_DROPPED, 1);
		return;
	}
	if (prog) {
		switch (netvsc_xdp_run(q, prog, frame, &skb)) {
		case NETVSC_XDP_PASS: break;
		case NETVSC_XDP_CONSUMED: return;
		case NETVSC_XDP_TX: turn->xdp_tx = true; return;
		case NETVSC_XDP_REDIRECT: turn->xdp_redirect = true; return;
		}
	} else {
		skb = new_skb(q, frame);
	}
	if (skb)
		pass_up(q, skb, &frame->rndis);
	else
		netvsc_count_rx(q, NETVSC_RX_DROPPED, 1);
}

/* Frames of the packet in q->receive, as far as the budget goes. */
static void take_frames(struct netvsc_queue *q, struct turn *turn)
{
	struct vmb_guest_network *core = &q->card->core;

	while (turn->work < turn->budget) {
		if (!vmb_guest_network_receive_next(core, &q->core, &q->receive, &q->frame)) {
			vmb_guest_network_owe(&q->core, q->receive_id);
			q->receiving = false;
			return;
		}
		take_frame(q, &q->frame, turn);
		turn->work++;
	}
}

/* ---- packets ---- */

static void take_control(struct netvsc_queue *q)
{
	struct netvsc *card = q->card;
	struct vmb_guest_network_event event;

	spin_lock(&card->control_lock);
	if (!vmb_guest_network_control(&card->core, &q->receive, &event))
		netvsc_event(card, &event);
	netvsc_pump(card);
	spin_unlock(&card->control_lock);
}

static void take_pages(struct netvsc_queue *q, const struct vmb_ring_received *packet)
{
	u32 header_len = min_t(u32, packet->header_len, sizeof(q->receive.header));
	u32 payload_len = min_t(u32, packet->payload_len, sizeof(q->receive.message));
	u32 at = sizeof(struct vmb_pkt_desc);
	int kind = VMB_EPROTO;

	if (vmb_channel_copy(q->channel, packet, at, &q->receive.header, header_len) &&
	    vmb_channel_copy(q->channel, packet, at + packet->header_len, q->receive.message,
			     payload_len))
		kind = vmb_guest_network_receive(&q->card->core, &q->core, &q->receive,
						 packet->header_len, packet->payload_len);
	if (kind == VMB_GUEST_NETWORK_FRAMES) {
		q->receiving = true;
		q->receive_id = packet->transaction_id;
		return;
	}
	if (kind == VMB_GUEST_NETWORK_CONTROL)
		take_control(q);
	vmb_guest_network_owe(&q->core, packet->transaction_id);
}

static void take_sent(struct netvsc_queue *q, struct turn *turn)
{
	const struct vmb_guest_network_event *event = &q->event;

	if (event->status != VMB_NET_STATUS_SUCCESS)
		netvsc_count_rx(q, NETVSC_RX_TX_ERRORS, event->frame_count);
	if (event->cookie == NETVSC_COOKIE_XDP)
		return;
	turn->sent_frames += event->frame_count;
	turn->sent_bytes += event->byte_count;
	if (event->cookie)
		napi_consume_skb(event->cookie, turn->budget);
}

static int input(struct netvsc_queue *q, const struct vmb_ring_received *packet, u32 len)
{
	return vmb_guest_network_input(&q->card->core, &q->core, packet->type,
				       packet->transaction_id, q->message, len, &q->event);
}

/* Requests wait for what comes here, so their lock is held. */
static void take_dialogue(struct netvsc_queue *q, const struct vmb_ring_received *packet, u32 len)
{
	spin_lock(&q->card->control_lock);
	if (!input(q, packet, len))
		netvsc_event(q->card, &q->event);
	netvsc_pump(q->card);
	spin_unlock(&q->card->control_lock);
}

static void take_message(struct netvsc_queue *q, const struct vmb_ring_received *packet,
			 struct turn *turn)
{
	u32 len = min_t(u32, packet->payload_len, sizeof(q->message));

	if (!vmb_channel_copy(q->channel, packet, sizeof(struct vmb_pkt_desc) + packet->header_len,
			      q->message, len))
		return;
	if (!vmb_guest_network_is_sent(&q->core, packet->type, packet->transaction_id))
		take_dialogue(q, packet, len);
	else if (!input(q, packet, len))
		take_sent(q, turn);
}

/* All that is there, as far as the budget goes. */
static void drain(struct netvsc_queue *q, struct turn *turn)
{
	struct vmb_ring_received packet;
	int rc;

	for (;;) {
		if (q->receiving)
			take_frames(q, turn);
		if (turn->work >= turn->budget || turn->packets >= PACKET_BUDGET)
			return;
		rc = vmb_channel_read(q->channel, &packet);
		if (rc)
			break;
		turn->packets++;
		if (packet.type == VMB_PKT_TRANSFER_PAGES)
			take_pages(q, &packet);
		else
			take_message(q, &packet, turn);
		vmb_channel_next(q->channel, &packet);
	}
	if (rc == -EPROTO && !q->broken) {
		q->broken = true;
		netdev_err(q->card->dev, "queue %u: the host broke the ring\n", q->index);
		netvsc_break(q->card);
	}
}

/*
 * Writes acknowledgements without publishing them. Returns false if the ring is full; the poll runs
 * again when there is room.
 */
bool netvsc_acknowledge(struct netvsc_queue *q)
{
	static const struct vmb_ring_part payload = {
		&vmb_guest_network_ack_message,
		sizeof(vmb_guest_network_ack_message),
	};
	const u64 *ids;
	u32 count;
	int rc;

	while ((count = vmb_guest_network_owed_run(&q->core, &ids))) {
		rc = vmb_channel_complete(q->channel, ids, count, &payload);
		if (rc == -EAGAIN) {
			netvsc_count_rx(q, NETVSC_RX_ACK_WAITS, 1);
			rc = vmb_channel_wait_room(q->channel, vmb_ring_packet_len(0, payload.len));
			if (rc == -EAGAIN)
				return false;
			if (!rc)
				continue;
		}
		vmb_guest_network_owed_done(&q->core, max(rc, 1));
	}
	return true;
}

/* ---- the poll ---- */

static void finish_xdp(struct netvsc_queue *q, struct turn *turn)
{
	if (turn->xdp_redirect)
		xdp_do_flush();
	if (turn->xdp_tx) {
		__netif_tx_lock(q->txq, smp_processor_id());
		netvsc_flush(q);
		__netif_tx_unlock(q->txq);
	}
	turn->xdp_redirect = turn->xdp_tx = false;
}

/* A pump that is running has set output_waits before it asked for room, and still has the lock. */
static void pump_again(struct netvsc *card)
{
	if (!READ_ONCE(card->output_waits))
		return;
	spin_lock(&card->control_lock);
	netvsc_pump(card);
	spin_unlock(&card->control_lock);
}

/* What is owed may be left from a poll that found the ring full. */
static void answer(struct netvsc_queue *q, struct turn *turn)
{
	finish_xdp(q, turn);
	netvsc_acknowledge(q);
	vmb_channel_commit(q->channel);
	vmb_channel_release(q->channel);
}

/*
 * Answers to what was read often make the host send at once, so the ring is looked at again before
 * doorbells are asked for.
 */
static void take_all(struct netvsc_queue *q, struct turn *turn)
{
	u32 packets;
	int work;

	drain(q, turn);
	do {
		answer(q, turn);
		packets = turn->packets;
		work = turn->work;
		drain(q, turn);
	} while (turn->packets != packets || turn->work != work);
}

int netvsc_poll(struct napi_struct *napi, int budget)
{
	struct netvsc_queue *q = container_of(napi, struct netvsc_queue, napi);
	struct turn turn = { .budget = budget };

	/*
	 * netpoll wants what was sent reaped and no frames, but both come by one ring, so nothing
	 * is reaped. What finds no slot then, netpoll keeps for later; in a panic it is lost.
	 */
	if (!budget)
		return 0;
	vmb_channel_mask(q->channel);
	take_all(q, &turn);
	if (turn.sent_frames)
		netdev_tx_completed_queue(q->txq, turn.sent_frames, turn.sent_bytes);
	netvsc_resume(q);
	if (!q->index)
		pump_again(q->card);
	if (turn.work >= budget || turn.packets >= PACKET_BUDGET)
		return budget;
	if (napi_complete_done(napi, turn.work) && vmb_channel_unmask(q->channel))
		napi_schedule(napi);
	return turn.work;
}
