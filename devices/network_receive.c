// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames from the backend to the guest: the tag is taken out, what the backend left to do is done or passed on to the
 * guest, and the frame goes to the queue that the guest's hash says.
 */
#include <string.h>

#include "devices/network.h"

#define ADDRESSES_LEN  12u
#define ETHERTYPE_VLAN 0x8100u
#define PROTOCOL_TCP   6u
#define PROTOCOL_UDP   17u
#define HEAD_LEN_MAX   VMB_HOST_OFFLOAD_HEAD_LEN_MAX
#define REST_COUNT_MAX VMB_DEV_NET_IOV_MAX

/* A frame being looked at: its head is a copy, the pieces are head and rest. */
struct incoming {
	struct vmb_dev_network *card;
	struct virtio_net_hdr_v1 header;
	struct vmb_host_network_received frame;
	struct vmb_host_offload_layout layout;
	uint8_t head[HEAD_LEN_MAX + VMB_DEV_NETWORK_TAG_LEN];
	uint32_t head_len;
	struct vmb_host_offload_piece
		pieces[2 + REST_COUNT_MAX]; /* a segment: also what is left of head */
	uint32_t count;
};

static uint16_t get_be16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* False: no Ethernet frame, or in too many pieces. */
static bool take_in(struct incoming *in, const struct vmb_dev_net_frame *frame)
{
	uint32_t want = sizeof(in->head), len;

	in->header = frame->header;
	in->frame.len = frame->len;
	in->count = 1;
	if (frame->len < VMB_NET_ETHERNET_LEN || frame->iov_count > REST_COUNT_MAX)
		return false;
	for (uint32_t i = 0; i < frame->iov_count; i++) {
		len = frame->iov[i].iov_len < want ? frame->iov[i].iov_len : want;
		memcpy(in->head + in->head_len, frame->iov[i].iov_base, len);
		in->head_len += len;
		want -= len;
		if (len == frame->iov[i].iov_len)
			continue;
		in->pieces[in->count].base = (const uint8_t *)frame->iov[i].iov_base + len;
		in->pieces[in->count++].len = frame->iov[i].iov_len - len;
	}
	return true;
}

static void take_tag(struct incoming *in)
{
	uint16_t tag;

	if (in->head_len < VMB_NET_ETHERNET_LEN + VMB_DEV_NETWORK_TAG_LEN ||
	    get_be16(in->head + ADDRESSES_LEN) != ETHERTYPE_VLAN)
		return;
	tag = get_be16(in->head + ADDRESSES_LEN + 2);
	in->frame.has_vlan = true;
	in->frame.vlan = tag >> 13 | (tag >> 12 & 1 ? RNDIS_VLAN_CFI : 0) |
			 (tag & RNDIS_VLAN_ID_MAX) << RNDIS_VLAN_ID_SHIFT;
	in->head_len -= VMB_DEV_NETWORK_TAG_LEN;
	in->frame.len -= VMB_DEV_NETWORK_TAG_LEN;
	memmove(in->head + ADDRESSES_LEN, in->head + ADDRESSES_LEN + VMB_DEV_NETWORK_TAG_LEN,
		in->head_len - ADDRESSES_LEN);
	in->header.csum_start -= VMB_DEV_NETWORK_TAG_LEN;
}

static uint32_t shortest(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The guest's queue gets the frame that head and rest are. */
static void deliver(struct incoming *in)
{
	struct vmb_dev_network *c = in->card;
	uint16_t queue;

	in->pieces[0].base = in->head;
	in->pieces[0].len = in->head_len;
	queue = vmb_host_network_queue_of(&c->host, in->head, shortest(in->head_len, HEAD_LEN_MAX),
					  &in->frame.hash, &in->frame.hash_type);
	in->frame.has_hash = in->frame.hash_type;
	vmb_dev_network_queue_deliver(&c->queues[queue], &in->frame, in->pieces, in->count);
}

/*
 * The sum that the backend left open, over everything from csum_start on; the field holds what is to be added. A sum of
 * zero is written as all ones, since UDP means "no checksum" by zero and to TCP both are the same.
 */
static bool fill_checksum(struct incoming *in)
{
	uint32_t start = in->header.csum_start, at = start + in->header.csum_offset, sum;
	bool odd = (in->head_len - start) & 1;
	uint16_t value;

	if (start >= in->head_len || at + 2 > in->head_len)
		return false;
	sum = vmb_host_offload_sum(0, false, in->head + start, in->head_len - start);
	for (uint32_t i = 1; i < in->count; i++) {
		sum = vmb_host_offload_sum(sum, odd, in->pieces[i].base, in->pieces[i].len);
		odd ^= in->pieces[i].len & 1;
	}
	value = (uint16_t)~vmb_host_offload_fold(sum);
	if (!value)
		value = 0xFFFF;
	memcpy(in->head + at, &value, sizeof(value)); /* sums are of the bytes as they lie */
	return true;
}

static uint32_t transport_ok(const struct incoming *in)
{
	if (in->layout.fragment)
		return 0;
	if (in->layout.protocol == PROTOCOL_TCP)
		return RNDIS_RX_CHECKSUM_TCP_OK;
	return in->layout.protocol == PROTOCOL_UDP ? RNDIS_RX_CHECKSUM_UDP_OK : 0;
}

static bool guest_takes_checksums(const struct vmb_dev_network *c)
{
	return c->host.rndis.offload & VMB_HOST_RNDIS_RX_CHECKSUM;
}

/*
 * What is open is filled in even when the guest would take our word for it: a guest that passes the frame on would pass
 * on what stands there.
 */
static void receive_plain(struct incoming *in)
{
	uint8_t flags = in->header.flags;

	if (flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !fill_checksum(in)) {
		in->card->counters.in_dropped++;
		return;
	}
	if (guest_takes_checksums(in->card)) {
		if (flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
			in->frame.checksum = transport_ok(in);
		else
			in->frame.checksum = vmb_host_offload_verify(in->head, in->head_len,
								     in->pieces + 1, in->count - 1);
	}
	deliver(in);
}

/* The guest wants it whole: it computes nothing and passes nothing on. */
static void receive_whole(struct incoming *in)
{
	in->frame.mss = in->header.gso_size;
	in->frame.checksum = RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID;
	in->card->counters.large_in++;
	deliver(in);
}

/* len bytes of the frame from offset on become the segment's pieces behind its head. */
static void take_payload(struct incoming *segment, const struct incoming *in, uint32_t offset,
			 uint32_t len)
{
	const struct vmb_host_offload_piece *piece;
	uint32_t skip, part;

	segment->count = 1;
	for (uint32_t i = 0; i < in->count && len; i++) {
		piece = &in->pieces[i];
		skip = shortest(offset, piece->len);
		offset -= skip;
		part = shortest(piece->len - skip, len);
		if (!part)
			continue;
		segment->pieces[segment->count].base = piece->base + skip;
		segment->pieces[segment->count++].len = part;
		len -= part;
	}
}

static void receive_cut(struct incoming *in)
{
	struct incoming segment = { .card = in->card, .frame = in->frame };
	struct vmb_host_offload_lso lso;
	uint32_t offset, len, flags;
	bool ipv6 = in->layout.ip_version == 6;
	uint32_t wish = in->header.gso_size |
			in->layout.transport_offset << RNDIS_LSO_TCP_OFFSET_SHIFT | RNDIS_LSO_V2 |
			(ipv6 ? RNDIS_LSO_IPV6 : 0);

	in->pieces[0].base = in->head;
	in->pieces[0].len = in->head_len;
	if (vmb_host_offload_lso_begin(&lso, in->head, shortest(in->head_len, HEAD_LEN_MAX),
				       in->frame.len, wish, in->card->host.rndis.mtu)) {
		in->card->counters.in_dropped++;
		return;
	}
	in->card->counters.cut_in++;
	flags = RNDIS_TX_CHECKSUM_TCP | (ipv6 ? RNDIS_TX_CHECKSUM_IPV6 : RNDIS_TX_CHECKSUM_IPV4);
	segment.head_len = lso.head_len;
	while (vmb_host_offload_lso_next(&lso, segment.head, &offset, &len)) {
		take_payload(&segment, in, offset, len);
		segment.frame.len = lso.head_len + len;
		if (vmb_host_offload_complete(segment.head, lso.head_len, segment.pieces + 1,
					      segment.count - 1, flags)) {
			in->card->counters.in_dropped++;
			return;
		}
		if (guest_takes_checksums(in->card))
			segment.frame.checksum = RNDIS_RX_CHECKSUM_TCP_OK;
		deliver(&segment);
	}
}

/* The header that came with the frame is somebody else's word; the frame itself must agree. */
static bool is_large_tcp(const struct incoming *in)
{
	uint8_t type = in->header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (!in->layout.transport_offset || in->layout.fragment ||
	    in->layout.protocol != PROTOCOL_TCP)
		return false;
	return type ==
	       (in->layout.ip_version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6);
}

static void receive_large(struct incoming *in)
{
	struct vmb_dev_network *c = in->card;

	if (!is_large_tcp(in))
		c->counters.in_dropped++;
	else if (in->frame.len <= VMB_NET_ETHERNET_LEN + c->host.rndis.mtu)
		receive_plain(in);
	else if (vmb_host_network_takes_large(&c->host) && guest_takes_checksums(c))
		receive_whole(in);
	else
		receive_cut(in);
}

void vmb_dev_network_receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	struct vmb_dev_network *c = arg;
	struct incoming in;

	memset(&in.frame, 0, sizeof(in.frame));
	memset(&in.layout, 0, sizeof(in.layout));
	in.card = c;
	in.head_len = 0;
	if (!take_in(&in, frame)) {
		c->counters.in_dropped++;
		return;
	}
	if (!vmb_host_network_wants(&c->host, in.head)) {
		c->counters.in_unwanted++;
		return;
	}
	take_tag(&in);
	/* What cannot be parsed is nothing that we know, and goes on as it is. */
	if (vmb_host_offload_parse(in.head, shortest(in.head_len, HEAD_LEN_MAX), in.frame.len,
				   &in.layout))
		memset(&in.layout, 0, sizeof(in.layout));
	if (in.header.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		receive_plain(&in);
	else
		receive_large(&in);
}
