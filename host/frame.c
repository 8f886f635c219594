// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames between the guest's messages and a wire: tags are put in and taken out, checksums are
 * completed, left open or judged, large frames are cut or passed whole. offload.c parses headers
 * and makes sums; this file says when.
 */
#include "host/frame.h"

#include "host/offload_internal.h"

#define ADDRESSES_LEN	12u /* an 802.1Q tag stands behind them */
#define ETHERTYPE_VLAN	0x8100u
#define TAG_LEN		VMB_HOST_FRAME_TAG_LEN
#define HEAD_LEN_MAX	VMB_HOST_OFFLOAD_HEAD_LEN_MAX
#define TRANSPORT_FLAGS (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint16_t vmb_host_frame_tag_of(uint32_t vlan)
{
	uint32_t priority = vlan & RNDIS_VLAN_PRIORITY_MASK;
	uint32_t id = vlan >> RNDIS_VLAN_ID_SHIFT & RNDIS_VLAN_ID_MAX;

	return (uint16_t)(priority << 13 | (vlan & RNDIS_VLAN_CFI ? 1u << 12 : 0) | id);
}

uint32_t vmb_host_frame_vlan_of(uint16_t tag)
{
	return tag >> 13 | (tag >> 12 & 1 ? RNDIS_VLAN_CFI : 0) |
	       (tag & RNDIS_VLAN_ID_MAX) << RNDIS_VLAN_ID_SHIFT;
}

/* What a large frame implies of its segments. */
static uint32_t segment_flags(const struct vmb_host_offload_layout *layout)
{
	return RNDIS_TX_CHECKSUM_TCP |
	       (layout->ip_version == 4 ? RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
					  RNDIS_TX_CHECKSUM_IPV6);
}

/* From the guest */

/* head has room for the tag. */
static void put_tag(struct vmb_host_frame_send *s)
{
	memmove(s->head + ADDRESSES_LEN + TAG_LEN, s->head + ADDRESSES_LEN,
		s->head_len - ADDRESSES_LEN);
	vmb_host_offload_put16(s->head + ADDRESSES_LEN, ETHERTYPE_VLAN);
	vmb_host_offload_put16(s->head + ADDRESSES_LEN + 2,
			       vmb_host_frame_tag_of(s->frame.rndis.vlan));
	s->head_len += TAG_LEN;
	s->work.checksum_start += s->work.checksum ? TAG_LEN : 0;
	s->work.head_len += s->work.large ? TAG_LEN : 0;
}

/* rest is len bytes from offset of the frame. False: they are not there. */
static bool slice_rest(struct vmb_host_frame_send *s, const struct vmb_host_network_io *io,
		       uint32_t offset, uint32_t len)
{
	s->rest_count = 0;
	if (len)
		s->rest_count = vmb_host_network_slice(io, s->frame.offset + offset, len, s->rest,
						       VMB_HOST_NETWORK_PIECE_COUNT_MAX);
	return !len || s->rest_count;
}

/* The frame on the wire is head and rest_len bytes of rest. */
static void finish(struct vmb_host_frame_send *s, uint32_t rest_len)
{
	if (s->frame.rndis.present & VMB_HOST_RNDIS_HAS_VLAN)
		put_tag(s);
	s->len = s->head_len + rest_len;
}

/* Leaves the checksum to whoever takes the frame. */
static int leave_checksum(struct vmb_host_frame_send *s, uint32_t flags, bool large)
{
	uint16_t start, at;
	int error = vmb_host_offload_prepare(s->head, s->head_len, s->frame.rndis.len, flags, large,
					     &start, &at);

	if (error)
		return error;
	s->work.checksum = true;
	s->work.checksum_start = start;
	s->work.checksum_at = at;
	return 0;
}

static int begin_plain(struct vmb_host_frame_send *s, const struct vmb_host_network_io *io,
		       uint32_t flags, bool takes_large)
{
	uint32_t rest_len = s->frame.rndis.len - s->head_len;
	int error = 0;

	if (!slice_rest(s, io, s->head_len, rest_len))
		return VMB_EPROTO;
	if (takes_large && flags & TRANSPORT_FLAGS)
		error = leave_checksum(s, flags, false);
	else if (flags & (TRANSPORT_FLAGS | RNDIS_TX_CHECKSUM_IP_HEADER))
		error = VMB_EINVAL;
	if (error == VMB_EINVAL)
		error = vmb_host_offload_complete(s->head, s->head_len, s->rest, s->rest_count,
						  flags);
	if (error)
		return error;
	finish(s, rest_len);
	s->ready = true;
	return 0;
}

static int begin_whole(struct vmb_host_frame_send *s, const struct vmb_host_network_io *io)
{
	uint32_t rest_len = s->frame.rndis.len - s->head_len;
	int error;

	if (!slice_rest(s, io, s->head_len, rest_len))
		return VMB_EPROTO;
	error = leave_checksum(s, segment_flags(&s->lso.layout), true);
	if (error)
		return error;
	s->way = VMB_HOST_FRAME_WHOLE;
	s->work.large = s->lso.layout.ip_version;
	s->work.mss = s->lso.mss;
	s->work.head_len = s->lso.head_len;
	finish(s, rest_len);
	s->ready = true;
	return 0;
}

static int begin_large(struct vmb_host_frame_send *s, const struct vmb_host_network *n,
		       const struct vmb_host_network_io *io, bool takes_large)
{
	uint32_t offset, len;
	int error = vmb_host_offload_lso_begin(&s->lso, s->head, s->head_len, s->frame.rndis.len,
					       s->frame.rndis.lso, n->rndis.mtu);

	if (error || s->lso.payload_len > VMB_NET_LSO_LEN_MAX)
		return VMB_EPROTO;
	if (s->lso.payload_len <= s->lso.mss) {
		/* The only segment: its lengths are the frame's, not what the guest wrote there. */
		vmb_host_offload_lso_next(&s->lso, s->head, &offset, &len);
		return begin_plain(s, io, segment_flags(&s->lso.layout), takes_large);
	}
	if (takes_large)
		return begin_whole(s, io);
	s->way = VMB_HOST_FRAME_CUT;
	return 0;
}

int vmb_host_frame_send_begin(struct vmb_host_frame_send *s, const struct vmb_host_network *n,
			      const struct vmb_host_network_io *io,
			      const struct vmb_host_network_frame *frame, bool takes_large)
{
	const struct vmb_host_rndis_frame *rndis = &frame->rndis;
	uint32_t flags = rndis->present & VMB_HOST_RNDIS_HAS_CHECKSUM ? rndis->checksum : 0;

	s->way = VMB_HOST_FRAME_PLAIN;
	s->ready = false;
	s->frame = *frame;
	s->head_len = least(rndis->len, HEAD_LEN_MAX);
	memset(&s->work, 0, sizeof(s->work));
	if (s->head_len < VMB_NET_ETHERNET_LEN ||
	    !vmb_host_network_copy(io, frame->offset, s->head, s->head_len))
		return VMB_EPROTO;
	if (rndis->present & VMB_HOST_RNDIS_HAS_LSO)
		return begin_large(s, n, io, takes_large);
	return begin_plain(s, io, flags, takes_large);
}

int vmb_host_frame_send_next(struct vmb_host_frame_send *s, const struct vmb_host_network_io *io)
{
	uint32_t offset, len;

	if (s->ready) {
		s->ready = false;
		return 1;
	}
	if (s->way != VMB_HOST_FRAME_CUT ||
	    !vmb_host_offload_lso_next(&s->lso, s->head, &offset, &len))
		return 0;
	s->head_len = s->lso.head_len;
	if (!slice_rest(s, io, offset, len) ||
	    vmb_host_offload_complete(s->head, s->head_len, s->rest, s->rest_count,
				      segment_flags(&s->lso.layout))) {
		s->way = VMB_HOST_FRAME_PLAIN;
		return VMB_EPROTO;
	}
	finish(s, len);
	return 1;
}

/* To the guest */

/*
 * Copies the head; whole is the head and what is left of pieces. False: no Ethernet frame, or too
 * many pieces.
 */
static bool take_pieces(struct vmb_host_frame_receive *r,
			const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	uint32_t len, i;

	r->head_len = r->frame.len = 0;
	r->whole_count = 1;
	if (count > VMB_HOST_FRAME_PIECE_COUNT_MAX)
		return false;
	for (i = 0; i < count; i++) {
		len = least(pieces[i].len, sizeof(r->head) - r->head_len);
		if (len)
			memcpy(r->head + r->head_len, pieces[i].base, len);
		r->head_len += len;
		r->frame.len += pieces[i].len;
		if (len == pieces[i].len)
			continue;
		r->whole[r->whole_count].base = pieces[i].base + len;
		r->whole[r->whole_count++].len = pieces[i].len - len;
	}
	return r->frame.len >= VMB_NET_ETHERNET_LEN;
}

/* False: an open checksum that begins inside of the Ethernet header or of the tag. */
static bool take_tag(struct vmb_host_frame_receive *r)
{
	if (r->head_len < VMB_NET_ETHERNET_LEN + TAG_LEN ||
	    vmb_host_offload_get16(r->head + ADDRESSES_LEN) != ETHERTYPE_VLAN)
		return true;
	r->frame.has_vlan = true;
	r->frame.vlan = vmb_host_frame_vlan_of(vmb_host_offload_get16(r->head + ADDRESSES_LEN + 2));
	r->head_len -= TAG_LEN;
	r->frame.len -= TAG_LEN;
	memmove(r->head + ADDRESSES_LEN, r->head + ADDRESSES_LEN + TAG_LEN,
		r->head_len - ADDRESSES_LEN);
	if (r->work.checksum && r->work.checksum_start < VMB_NET_ETHERNET_LEN + TAG_LEN)
		return false;
	r->work.checksum_start -= TAG_LEN;
	return true;
}

/*
 * The open sum, over everything from checksum_start on; the field holds what is to be added. A sum
 * of zero is written as all ones, since UDP means "no checksum" by zero and to TCP both are the
 * same. False: the field is not in the head.
 */
static bool fill_checksum(struct vmb_host_frame_receive *r)
{
	uint32_t start = r->work.checksum_start, at = r->work.checksum_at, sum, i;
	bool odd;
	uint16_t value;

	if (start < VMB_NET_ETHERNET_LEN || start >= r->head_len || at > r->head_len - start ||
	    r->head_len - start - at < sizeof(value))
		return false;
	sum = vmb_host_offload_sum(0, false, r->head + start, r->head_len - start);
	odd = (r->head_len - start) & 1;
	for (i = 1; i < r->whole_count; i++) {
		sum = vmb_host_offload_sum(sum, odd, r->whole[i].base, r->whole[i].len);
		odd ^= r->whole[i].len & 1;
	}
	value = (uint16_t)~vmb_host_offload_fold(sum);
	if (!value)
		value = 0xFFFF;
	memcpy(r->head + start + at, &value, sizeof(value)); /* sums are of the bytes as they lie */
	return true;
}

static uint32_t transport_ok(const struct vmb_host_offload_layout *layout)
{
	if (layout->fragment)
		return 0;
	if (layout->protocol == VMB_HOST_OFFLOAD_TCP)
		return RNDIS_RX_CHECKSUM_TCP_OK;
	return layout->protocol == VMB_HOST_OFFLOAD_UDP ? RNDIS_RX_CHECKSUM_UDP_OK : 0;
}

static bool guest_takes_checksums(const struct vmb_host_network *n)
{
	return n->rndis.offload & VMB_HOST_RNDIS_RX_CHECKSUM;
}

static void show(struct vmb_host_frame_receive *r, const struct vmb_host_network *n,
		 const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	r->pieces = pieces;
	r->count = count;
	r->queue = vmb_host_network_queue_of(n, pieces[0].base, least(pieces[0].len, HEAD_LEN_MAX),
					     &r->frame.hash, &r->frame.hash_type);
	r->frame.has_hash = r->frame.hash_type;
}

static int receive_one(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	show(r, n, r->whole, r->whole_count);
	r->ready = true;
	return 0;
}

/*
 * What is open is filled in even when the guest would take our word for it: a guest that passes the
 * frame on would pass on what stands there.
 */
static int receive_plain(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	if (r->work.checksum && !fill_checksum(r))
		return VMB_EPROTO;
	if (!guest_takes_checksums(n))
		return receive_one(r, n);
	if (r->work.checksum || r->work.checksum_good)
		r->frame.checksum = transport_ok(&r->layout);
	else
		r->frame.checksum = vmb_host_offload_verify(r->head, r->head_len, r->whole + 1,
							    r->whole_count - 1);
	return receive_one(r, n);
}

/* The guest wants it whole: it computes nothing and passes nothing on. */
static int receive_whole(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	r->way = VMB_HOST_FRAME_WHOLE;
	r->frame.mss = r->work.mss;
	r->frame.checksum = RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID;
	return receive_one(r, n);
}

static int receive_cut(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	uint32_t wish = (r->work.mss & RNDIS_LSO_MSS_MASK) | RNDIS_LSO_V2 |
			r->layout.transport_offset << RNDIS_LSO_TCP_OFFSET_SHIFT |
			(r->layout.ip_version == 6 ? RNDIS_LSO_IPV6 : 0);

	r->way = VMB_HOST_FRAME_CUT;
	if (r->work.mss > RNDIS_LSO_MSS_MASK)
		return VMB_EPROTO;
	return vmb_host_offload_lso_begin(&r->lso, r->head, least(r->head_len, HEAD_LEN_MAX),
					  r->frame.len, wish, n->rndis.mtu);
}

/* The note that came with the frame is somebody else's word; the frame itself must agree. */
static bool is_large_tcp(const struct vmb_host_frame_receive *r)
{
	return r->layout.transport_offset && !r->layout.fragment &&
	       r->layout.protocol == VMB_HOST_OFFLOAD_TCP && r->layout.ip_version == r->work.large;
}

static int receive_large(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	if (!is_large_tcp(r) || !r->work.mss)
		return VMB_EPROTO;
	if (r->frame.len <= VMB_NET_ETHERNET_LEN + n->rndis.mtu)
		return receive_plain(r, n);
	if (vmb_host_network_takes_large(n) && guest_takes_checksums(n))
		return receive_whole(r, n);
	return receive_cut(r, n);
}

int vmb_host_frame_receive_begin(struct vmb_host_frame_receive *r, const struct vmb_host_network *n,
				 const struct vmb_host_offload_piece *pieces, uint32_t count,
				 const struct vmb_host_frame_work *work)
{
	r->way = VMB_HOST_FRAME_PLAIN;
	r->ready = false;
	r->work = *work;
	memset(&r->frame, 0, sizeof(r->frame));
	if (!take_pieces(r, pieces, count))
		return VMB_EPROTO;
	if (!vmb_host_network_wants(n, r->head))
		return VMB_ENODEV;
	if (!take_tag(r))
		return VMB_EPROTO;
	r->whole[0].base = r->head;
	r->whole[0].len = r->head_len;
	/* What cannot be parsed is nothing that we know, and goes on as it is. */
	if (vmb_host_offload_parse(r->head, least(r->head_len, HEAD_LEN_MAX), r->frame.len,
				   &r->layout))
		memset(&r->layout, 0, sizeof(r->layout));
	return r->work.large ? receive_large(r, n) : receive_plain(r, n);
}

/* len bytes of the whole frame from offset on become the segment's pieces behind its head. */
static uint32_t slice_whole(struct vmb_host_frame_receive *r, uint32_t offset, uint32_t len)
{
	uint32_t count = 1, skip, part, i;

	r->segment[0].base = r->segment_head;
	r->segment[0].len = r->lso.head_len;
	for (i = 0; i < r->whole_count && len; i++) {
		skip = least(offset, r->whole[i].len);
		offset -= skip;
		part = least(r->whole[i].len - skip, len);
		if (!part)
			continue;
		r->segment[count].base = r->whole[i].base + skip;
		r->segment[count++].len = part;
		len -= part;
	}
	return count;
}

int vmb_host_frame_receive_next(struct vmb_host_frame_receive *r, const struct vmb_host_network *n)
{
	uint32_t offset, len, count;

	if (r->ready) {
		r->ready = false;
		return 1;
	}
	if (r->way != VMB_HOST_FRAME_CUT ||
	    !vmb_host_offload_lso_next(&r->lso, r->segment_head, &offset, &len))
		return 0;
	count = slice_whole(r, offset, len);
	if (vmb_host_offload_complete(r->segment_head, r->lso.head_len, r->segment + 1, count - 1,
				      segment_flags(&r->lso.layout))) {
		r->way = VMB_HOST_FRAME_PLAIN;
		return VMB_EPROTO;
	}
	r->frame.len = r->lso.head_len + len;
	r->frame.checksum = guest_takes_checksums(n) ? RNDIS_RX_CHECKSUM_TCP_OK : 0;
	show(r, n, r->segment, count);
	return 1;
}
