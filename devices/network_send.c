// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames from the guest to the backend: a private copy of the headers, completed or prepared as the backend needs them,
 * and the rest where it lies.
 */
#include <string.h>

#include "devices/network.h"

#define ADDRESSES_LEN	12u /* an 802.1Q tag stands behind them */
#define ETHERTYPE_VLAN	0x8100u
#define TRANSPORT_FLAGS (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)

static uint16_t tag_of(uint32_t vlan)
{
	uint32_t priority = vlan & RNDIS_VLAN_PRIORITY_MASK;
	uint32_t id = vlan >> RNDIS_VLAN_ID_SHIFT & RNDIS_VLAN_ID_MAX;

	return priority << 13 | (vlan & RNDIS_VLAN_CFI ? 1u << 12 : 0) | id;
}

static void put_be16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* head has room for the tag. */
static void insert_tag(struct vmb_dev_network_send *s, uint32_t head_len)
{
	memmove(s->head + ADDRESSES_LEN + VMB_DEV_NETWORK_TAG_LEN, s->head + ADDRESSES_LEN,
		head_len - ADDRESSES_LEN);
	put_be16(s->head + ADDRESSES_LEN, ETHERTYPE_VLAN);
	put_be16(s->head + ADDRESSES_LEN + 2, tag_of(s->frame.rndis.vlan));
	if (s->out.header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		s->out.header.csum_start += VMB_DEV_NETWORK_TAG_LEN;
	if (s->out.header.gso_type)
		s->out.header.hdr_len += VMB_DEV_NETWORK_TAG_LEN;
}

/* head_len bytes of headers and rest_count pieces are the frame. */
static void make_ready(struct vmb_dev_network_queue *q, uint32_t head_len, uint32_t rest_count)
{
	struct vmb_dev_network_send *s = &q->send;

	if (s->frame.rndis.present & VMB_HOST_RNDIS_HAS_VLAN) {
		insert_tag(s, head_len);
		head_len += VMB_DEV_NETWORK_TAG_LEN;
	}
	q->card->counters.copied_bytes += head_len;
	s->iov[0].iov_base = s->head;
	s->iov[0].iov_len = head_len;
	s->out.len = head_len;
	for (uint32_t i = 0; i < rest_count; i++) {
		s->iov[i + 1].iov_base = (void *)s->rest[i].base;
		s->iov[i + 1].iov_len = s->rest[i].len;
		s->out.len += s->rest[i].len;
	}
	s->out.iov = s->iov;
	s->out.iov_count = rest_count + 1;
	s->out.queue = q->index;
	s->out.header.num_buffers = 1;
	s->ready = true;
}

/* len bytes from offset of the frame become the rest. False: they are not there. */
static bool take_rest(struct vmb_dev_network_queue *q, uint32_t offset, uint32_t len,
		      uint32_t *count)
{
	struct vmb_dev_network_send *s = &q->send;

	*count = 0;
	if (len)
		*count = vmb_host_network_slice(&q->io, s->frame.offset + offset, len, s->rest,
						VMB_HOST_NETWORK_PIECE_COUNT_MAX);
	return !len || *count;
}

/* Leaves the checksum to the next one. */
static int prepare(struct vmb_dev_network_send *s, uint32_t head_len, uint32_t flags, bool lso)
{
	struct virtio_net_hdr_v1 *header = &s->out.header;
	uint16_t start, at;
	int error = vmb_host_offload_prepare(s->head, head_len, s->frame.rndis.len, flags, lso,
					     &start, &at);

	if (error)
		return error;
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = start;
	header->csum_offset = at;
	return 0;
}

static int begin_plain(struct vmb_dev_network_queue *q, uint32_t head_len, uint32_t flags)
{
	struct vmb_dev_network_send *s = &q->send;
	uint32_t count;
	int error = 0;

	if (!take_rest(q, head_len, s->frame.rndis.len - head_len, &count))
		return VMB_EPROTO;
	if (q->card->net.takes_large && flags & TRANSPORT_FLAGS)
		error = prepare(s, head_len, flags, false);
	else if (flags & (TRANSPORT_FLAGS | RNDIS_TX_CHECKSUM_IP_HEADER))
		error = VMB_EINVAL;
	if (error == VMB_EINVAL)
		error = vmb_host_offload_complete(s->head, head_len, s->rest, count, flags);
	if (!error)
		make_ready(q, head_len, count);
	return error;
}

/* What a large send implies. */
static uint32_t large_flags(const struct vmb_host_offload_lso *lso)
{
	return RNDIS_TX_CHECKSUM_TCP |
	       (lso->layout.ip_version == 4 ? RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
					      RNDIS_TX_CHECKSUM_IPV6);
}

static int begin_whole(struct vmb_dev_network_queue *q, uint32_t head_len)
{
	struct vmb_dev_network_send *s = &q->send;
	uint32_t count;
	int error;

	if (!take_rest(q, head_len, s->frame.rndis.len - head_len, &count))
		return VMB_EPROTO;
	error = prepare(s, head_len, large_flags(&s->lso), true);
	if (error)
		return error;
	s->out.header.gso_type = s->lso.layout.ip_version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
								 VIRTIO_NET_HDR_GSO_TCPV6;
	s->out.header.gso_size = s->lso.mss;
	s->out.header.hdr_len = s->lso.head_len;
	q->card->counters.large_out++;
	make_ready(q, head_len, count);
	return 0;
}

static int begin_large(struct vmb_dev_network_queue *q, uint32_t head_len)
{
	struct vmb_dev_network_send *s = &q->send;
	uint32_t offset, len;
	int error = vmb_host_offload_lso_begin(&s->lso, s->head, head_len, s->frame.rndis.len,
					       s->frame.rndis.lso, q->card->host.rndis.mtu);

	if (error || s->lso.payload_len > VMB_NET_LSO_LEN_MAX)
		return VMB_EPROTO;
	if (s->lso.payload_len <= s->lso.mss) {
		/* The only segment: its lengths are the frame's, not what the guest wrote there. */
		vmb_host_offload_lso_next(&s->lso, s->head, &offset, &len);
		return begin_plain(q, head_len, large_flags(&s->lso));
	}
	if (q->card->net.takes_large)
		return begin_whole(q, head_len);
	s->cutting = true;
	q->card->counters.cut_out++;
	return 0;
}

static void begin_frame(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;
	const struct vmb_host_rndis_frame *frame = &s->frame.rndis;
	uint32_t head_len = frame->len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ?
				    frame->len :
				    VMB_HOST_OFFLOAD_HEAD_LEN_MAX;
	int error = VMB_EPROTO;

	memset(&s->out, 0, sizeof(s->out));
	if (head_len < VMB_NET_ETHERNET_LEN ||
	    !vmb_host_network_copy(&q->io, s->frame.offset, s->head, head_len))
		;
	else if (frame->present & VMB_HOST_RNDIS_HAS_LSO)
		error = begin_large(q, head_len);
	else
		error = begin_plain(q, head_len,
				    frame->present & VMB_HOST_RNDIS_HAS_CHECKSUM ? frame->checksum :
										   0);
	if (error)
		q->card->counters.out_dropped++;
}

/* A segment that cannot be had ends its frame. */
static void next_segment(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;
	uint32_t offset, len, count;

	memset(&s->out, 0, sizeof(s->out));
	s->cutting = vmb_host_offload_lso_next(&s->lso, s->head, &offset, &len);
	if (!s->cutting)
		return;
	if (!take_rest(q, offset, len, &count) ||
	    vmb_host_offload_complete(s->head, s->lso.head_len, s->rest, count,
				      large_flags(&s->lso))) {
		s->cutting = false;
		q->card->counters.out_dropped++;
		return;
	}
	make_ready(q, s->lso.head_len, count);
}

static bool push(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_counters *counters = &q->card->counters;
	struct vmb_dev_network_send *s = &q->send;
	enum vmb_dev_net_sent sent = vmb_dev_net_send(&q->card->net, &s->out);

	if (sent == VMB_DEV_NET_FULL)
		return false;
	s->ready = false;
	if (sent == VMB_DEV_NET_DROPPED) {
		counters->out_dropped++;
	} else {
		counters->out_frames++;
		counters->out_bytes += s->out.len;
	}
	return true;
}

bool vmb_dev_network_send(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_send *s = &q->send;

	for (;;) {
		if (s->ready && !push(q))
			return false;
		if (s->cutting)
			next_segment(q);
		else if (vmb_host_network_send_next(&q->card->host, &q->io, &s->frame))
			begin_frame(q);
		else
			return true;
	}
}
