/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>

#include "ports/user/network_host.h"

#define READ_MAX	   256u /* packets of one queue in one step, so that the others get their turn */
#define GPA_HEADER_LEN_MAX 4096u

int vmb_user_network_host_init(struct vmb_user_network_host *h, struct vmb_user_network_bus *bus,
			       const struct vmb_user_network_host_config *config,
			       pthread_mutex_t *lock)
{
	pthread_mutex_init(&h->own_lock, NULL);
	h->lock = lock ? lock : &h->own_lock;
	h->bus = bus;
	h->config = *config;
	if (config->network.rndis.queue_count_max > VMB_USER_NETWORK_QUEUE_MAX)
		return VMB_EINVAL;
	return vmb_host_network_init(&h->network, &config->network, h->core_queues);
}

void vmb_user_network_host_destroy(struct vmb_user_network_host *h)
{
	uint32_t i;

	for (i = 0; i < VMB_USER_NETWORK_QUEUE_MAX; i++)
		vmb_user_network_end_destroy(&h->queues[i].end);
	pthread_mutex_destroy(&h->own_lock);
}

/* The primary channel begins and ends everything. */
static void forget(struct vmb_user_network_host *h)
{
	if (h->network.receive_buffer.memory)
		vmb_user_network_bus_unmap(h->bus, h->network.receive_buffer.gpadl_id);
	if (h->network.send_buffer.memory)
		vmb_user_network_bus_unmap(h->bus, h->network.send_buffer.gpadl_id);
	vmb_host_network_reset(&h->network);
	h->offered = 0;
}

static int attach(struct vmb_user_network_host *h, uint16_t queue,
		  struct vmb_user_network_end *peer, uint8_t *to_host, uint8_t *to_guest,
		  uint32_t ring_len)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];
	int err;

	if (queue > h->offered || q->open)
		return VMB_ENODEV;
	q->end.peer = peer;
	q->end.peer_fd = h->bus->synic.guest_fd;
	err = vmb_user_network_end_init(&q->end, h->bus, queue, to_guest, to_host, ring_len, false);
	if (err)
		return err;
	q->open = true;
	q->broken = q->has_reply = false;
	q->again = true;
	if (queue)
		vmb_host_network_queue_opened(&h->network, queue);
	else
		forget(h);
	/* The port's own field, which a reset leaves alone. */
	h->core_queues[queue].open = true;
	if (h->config.opened)
		h->config.opened(h, queue);
	vmb_user_network_host_flush(h);
	return 0;
}

int vmb_user_network_host_open(struct vmb_user_network_host *h, uint16_t queue,
			       struct vmb_user_network_end *peer, uint8_t *to_host,
			       uint8_t *to_guest, uint32_t ring_len)
{
	int err;

	pthread_mutex_lock(h->lock);
	err = attach(h, queue, peer, to_host, to_guest, ring_len);
	pthread_mutex_unlock(h->lock);
	return err;
}

void vmb_user_network_host_close(struct vmb_user_network_host *h, uint16_t queue)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];

	pthread_mutex_lock(h->lock);
	if (q->open && queue)
		vmb_host_network_queue_closed(&h->network, queue);
	else if (q->open)
		forget(h);
	q->open = false;
	h->core_queues[queue].open = false;
	pthread_mutex_unlock(h->lock);
}

/* To the guest. */

/*
 * Publishes, then asks for a signal when len bytes are free. False: it will come. True: there is room already, or no
 * room ever.
 */
static bool has_room(struct vmb_user_network_end *e, uint32_t len)
{
	vmb_user_network_end_publish(e);
	return vmb_ring_wait_room(&e->tx, len) != VMB_EAGAIN;
}

/* 0, or VMB_EAGAIN: the guest will signal. A ring that is broken or too small swallows the packet. */
static int write_or_wait(struct vmb_user_network_end *e, const struct vmb_ring_packet *packet)
{
	uint32_t len = vmb_ring_packet_len(packet->header_count ? packet->header->len : 0,
					   packet->payload_count ? packet->payload->len : 0);
	int err;

	do
		err = vmb_user_network_end_write(e, packet);
	while (err == VMB_EAGAIN && has_room(e, len));
	return err == VMB_EAGAIN ? VMB_EAGAIN : 0;
}

static bool write_reply(struct vmb_user_network_host_queue *q)
{
	struct vmb_ring_part payload = { q->reply, q->reply_len };
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
					  .transaction_id = q->reply_id,
					  .payload = &payload,
					  .payload_count = 1 };

	q->has_reply = q->has_reply && write_or_wait(&q->end, &packet);
	return !q->has_reply;
}

static bool write_output(struct vmb_user_network_host_queue *q,
			 const struct vmb_host_network_output *out)
{
	struct vmb_ring_part header = { &out->header, out->header_len };
	struct vmb_ring_part payload = { out->payload, out->payload_len };
	struct vmb_ring_packet packet = { .type = out->type,
					  .flags = out->flags,
					  .transaction_id = out->transaction_id,
					  .header = &header,
					  .header_count = out->header_len != 0,
					  .payload = &payload,
					  .payload_count = 1 };

	return !write_or_wait(&q->end, &packet);
}

/* Completions first: what was promised before what may be dropped. */
static void flush_queue(struct vmb_user_network_host *h, uint16_t queue)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];
	const struct vmb_host_network_output *out;

	if (!q->open)
		return;
	while (write_reply(q) && (out = vmb_host_network_output(&h->network, queue)) &&
	       write_output(q, out))
		vmb_host_network_output_done(&h->network, queue);
	vmb_user_network_end_publish(&q->end);
}

void vmb_user_network_host_flush(struct vmb_user_network_host *h)
{
	uint16_t i;

	for (i = 0; i < h->config.network.rndis.queue_count_max; i++)
		flush_queue(h, i);
}

int vmb_user_network_host_give(struct vmb_user_network_host *h, uint16_t queue,
			       const struct vmb_host_network_received *frame,
			       const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	int err = vmb_host_network_receive(&h->network, queue, frame, pieces, count);

	if (err == VMB_EAGAIN) {
		flush_queue(h, queue);
		err = vmb_host_network_receive(&h->network, queue, frame, pieces, count);
	}
	if (!err) {
		h->counters.given++;
		h->counters.copied_len += frame->len;
	} else if (err == VMB_ENODEV) {
		h->counters.unwanted++;
	} else {
		h->counters.dropped++;
	}
	return err;
}

static uint32_t head_len_of(uint32_t len)
{
	return len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len : VMB_HOST_OFFLOAD_HEAD_LEN_MAX;
}

/* A tag in the bytes becomes per-packet information: the bytes behind it follow the addresses. */
static uint32_t take_tag(const uint8_t *bytes, uint32_t len, struct vmb_host_offload_piece *pieces,
			 struct vmb_host_network_received *frame)
{
	uint32_t tag;

	pieces[0] = (struct vmb_host_offload_piece){ bytes, len };
	if (len < 18 || bytes[12] != 0x81 || bytes[13] != 0)
		return 1;
	tag = (uint32_t)bytes[14] << 8 | bytes[15];
	frame->has_vlan = true;
	frame->vlan = tag >> 13 | (tag >> 12 & 1) << 3 | (tag & 0xFFF) << 4;
	frame->len -= 4;
	pieces[0].len = 12;
	pieces[1] = (struct vmb_host_offload_piece){ bytes + 16, len - 16 };
	return 2;
}

static int deliver_one(struct vmb_user_network_host *h, const uint8_t *bytes, uint32_t len,
		       uint32_t mss)
{
	struct vmb_host_network_received frame = { .len = len, .mss = mss };
	uint32_t head_len = head_len_of(len);
	struct vmb_host_offload_piece rest = { bytes + head_len, len - head_len };
	struct vmb_host_offload_piece pieces[2];
	uint32_t count = take_tag(bytes, len, pieces, &frame);
	uint16_t queue;

	frame.checksum = mss ? RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_IP_OK :
			       vmb_host_offload_verify(bytes, head_len, &rest, rest.len != 0);
	queue = vmb_host_network_queue_of(&h->network, bytes, head_len, &frame.hash,
					  &frame.hash_type);
	frame.has_hash = frame.hash_type != 0;
	return vmb_user_network_host_give(h, queue, &frame, pieces, count);
}

/* Headers and payload of one segment, side by side, its checksum written. Answers its length. */
static uint32_t make_segment(uint8_t *dst, const struct vmb_host_offload_lso *s,
			     const uint8_t *payload, uint32_t payload_len)
{
	struct vmb_host_offload_piece rest = { dst + s->head_len, payload_len };
	uint32_t flags = s->layout.ip_version == 4 ?
				 RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER :
				 RNDIS_TX_CHECKSUM_IPV6;

	memcpy(dst + s->head_len, payload, payload_len);
	flags |= RNDIS_TX_CHECKSUM_TCP | s->layout.transport_offset
						 << RNDIS_TX_CHECKSUM_TCP_OFFSET_SHIFT;
	return vmb_host_offload_complete(dst, s->head_len, &rest, 1, flags) ?
		       0 :
		       s->head_len + payload_len;
}

static int deliver_cut(struct vmb_user_network_host *h, const uint8_t *bytes, uint32_t len,
		       uint32_t mss)
{
	uint32_t head_len = head_len_of(len);
	struct vmb_host_offload_lso s;
	uint8_t *segment = malloc(VMB_HOST_OFFLOAD_HEAD_LEN_MAX + mss);
	uint32_t at, piece_len;
	int err = VMB_ENOMEM;

	if (segment)
		err = vmb_host_offload_lso_begin(&s, bytes, head_len, len, RNDIS_LSO_V2 | mss,
						 h->network.rndis.mtu);
	while (!err && vmb_host_offload_lso_next(&s, segment, &at, &piece_len)) {
		len = make_segment(segment, &s, bytes + at, piece_len);
		err = len ? deliver_one(h, segment, len, 0) : VMB_EPROTO;
	}
	free(segment);
	return err;
}

int vmb_user_network_host_deliver(struct vmb_user_network_host *h, const uint8_t *bytes,
				  uint32_t len, uint32_t mss)
{
	if (len < VMB_NET_ETHERNET_LEN || !vmb_host_network_wants(&h->network, bytes)) {
		h->counters.unwanted++;
		return VMB_ENODEV;
	}
	if (mss && !vmb_host_network_takes_large(&h->network))
		return deliver_cut(h, bytes, len, mss);
	return deliver_one(h, bytes, len, mss);
}

/* From the guest. */

static void emit(struct vmb_user_network_host *h, uint16_t queue, uint32_t len, uint32_t mss)
{
	h->counters.segments++;
	h->config.wire(h, queue, h->wire, len, mss);
}

/* Puts the tag where it stands on a wire. h->wire has 4 bytes of room before the frame at h->wire + 4. */
static uint32_t put_tag(struct vmb_user_network_host *h, const struct vmb_host_rndis_frame *f,
			uint32_t len)
{
	uint32_t tag = (f->vlan & RNDIS_VLAN_PRIORITY_MASK) << 13 |
		       (f->vlan & RNDIS_VLAN_CFI ? 0x1000 : 0) |
		       (f->vlan >> RNDIS_VLAN_ID_SHIFT & RNDIS_VLAN_ID_MAX);

	if (!(f->present & VMB_HOST_RNDIS_HAS_VLAN)) {
		memmove(h->wire, h->wire + 4, len);
		return len;
	}
	memmove(h->wire, h->wire + 4, 12);
	h->wire[12] = 0x81;
	h->wire[13] = 0;
	h->wire[14] = (uint8_t)(tag >> 8);
	h->wire[15] = (uint8_t)tag;
	return len + 4;
}

/* Sums where the bytes lie, as one does who passes them on without a copy. */
static bool complete(struct vmb_user_network_host *h, const struct vmb_host_network_frame *frame,
		     uint8_t *head, uint32_t head_len)
{
	struct vmb_host_offload_piece rest[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint32_t len = frame->rndis.len - head_len, count = 0;

	if (!(frame->rndis.present & VMB_HOST_RNDIS_HAS_CHECKSUM))
		return true;
	if (len)
		count = vmb_host_network_slice(&h->io, frame->offset + head_len, len, rest,
					       VMB_HOST_NETWORK_PIECE_COUNT_MAX);
	return (!len || count) &&
	       !vmb_host_offload_complete(head, head_len, rest, count, frame->rndis.checksum);
}

static void send_plain(struct vmb_user_network_host *h, uint16_t queue,
		       const struct vmb_host_network_frame *frame)
{
	const struct vmb_host_rndis_frame *f = &frame->rndis;
	uint32_t head_len = head_len_of(f->len);
	uint8_t *at = h->wire + 4;

	if (!vmb_host_network_copy(&h->io, frame->offset, at, f->len) ||
	    !complete(h, frame, at, head_len))
		h->counters.bad++;
	else
		emit(h, queue, put_tag(h, f, f->len), 0);
}

static void send_cut(struct vmb_user_network_host *h, uint16_t queue,
		     const struct vmb_host_network_frame *frame)
{
	const struct vmb_host_rndis_frame *f = &frame->rndis;
	uint8_t *whole = malloc(f->len);
	struct vmb_host_offload_lso s;
	uint32_t head_len = head_len_of(f->len);
	uint32_t at, len;
	bool good = whole && vmb_host_network_copy(&h->io, frame->offset, whole, f->len) &&
		    !vmb_host_offload_lso_begin(&s, whole, head_len, f->len, f->lso,
						h->network.rndis.mtu);

	while (good && vmb_host_offload_lso_next(&s, h->wire + 4, &at, &len)) {
		len = make_segment(h->wire + 4, &s, whole + at, len);
		good = len != 0;
		if (good)
			emit(h, queue, put_tag(h, f, len), 0);
	}
	h->counters.bad += !good;
	free(whole);
}

static void send_large(struct vmb_user_network_host *h, uint16_t queue,
		       const struct vmb_host_network_frame *frame)
{
	const struct vmb_host_rndis_frame *f = &frame->rndis;

	if (vmb_host_network_copy(&h->io, frame->offset, h->wire + 4, f->len))
		emit(h, queue, put_tag(h, f, f->len), f->lso & RNDIS_LSO_MSS_MASK);
	else
		h->counters.bad++;
}

static void send_frame(struct vmb_user_network_host *h, uint16_t queue,
		       const struct vmb_host_network_frame *frame)
{
	bool lso = frame->rndis.present & VMB_HOST_RNDIS_HAS_LSO;

	h->counters.frames++;
	if (h->config.sent)
		h->config.sent(h, queue, frame);
	else if (!h->config.wire)
		return;
	else if (frame->rndis.len > VMB_USER_NETWORK_WIRE_LEN_MAX - 8)
		h->counters.bad++;
	else if (!lso)
		send_plain(h, queue, frame);
	else if (h->config.large)
		send_large(h, queue, frame);
	else
		send_cut(h, queue, frame);
}

/* A GPA-direct packet's header, copied out of the ring: each page of each range becomes a piece. */
struct pages {
	uint8_t bytes[GPA_HEADER_LEN_MAX];
	uint32_t len;
	uint32_t at;
};

static bool take(struct pages *p, void *dst, uint32_t len)
{
	if (len > p->len - p->at)
		return false;
	memcpy(dst, p->bytes + p->at, len);
	p->at += len;
	return true;
}

static bool resolve_range(struct vmb_user_network_host *h, struct pages *p, uint32_t *count)
{
	struct vmb_gpa_range range;
	uint32_t len, offset;
	uint8_t *page;
	uint64_t pfn;

	if (!take(p, &range, sizeof(range)) || range.byte_offset >= VMB_PAGE_LEN)
		return false;
	offset = range.byte_offset;
	for (; range.byte_count; range.byte_count -= len, offset = 0) {
		len = VMB_PAGE_LEN - offset;
		if (len > range.byte_count)
			len = range.byte_count;
		page = take(p, &pfn, sizeof(pfn)) ? vmb_user_memory_page(&h->bus->memory, pfn) :
						    NULL;
		if (!page || *count == VMB_HOST_NETWORK_PIECE_COUNT_MAX)
			return false;
		h->pieces[(*count)++] = (struct vmb_host_offload_piece){ page + offset, len };
	}
	return true;
}

/* Answers h->pieces, or NULL: something is not memory. */
static const struct vmb_host_offload_piece *
resolve(struct vmb_user_network_host *h, struct pages *p, uint32_t range_count, uint32_t *count)
{
	*count = 0;
	p->at = sizeof(struct vmb_pkt_gpa_direct);
	while (range_count--)
		if (!resolve_range(h, p, count))
			return NULL;
	return h->pieces;
}

static int step_share(struct vmb_user_network_host *h)
{
	uint32_t len = 0;
	uint8_t *memory = vmb_user_network_bus_map(h->bus, h->io.gpadl_id, &len);
	int step = vmb_host_network_shared(&h->network, &h->io, memory, len);

	if (memory && h->network.receive_buffer.memory != memory &&
	    h->network.send_buffer.memory != memory)
		vmb_user_network_bus_unmap(h->bus, h->io.gpadl_id);
	return step;
}

static int step_send(struct vmb_user_network_host *h, uint16_t queue, struct pages *p,
		     uint32_t range_count)
{
	struct vmb_host_network_frame frame;
	const struct vmb_host_offload_piece *pieces;
	uint32_t count;
	int step;

	pieces = resolve(h, p, range_count, &count);
	step = vmb_host_network_send(&h->network, &h->io, pieces, count);
	if (step != VMB_HOST_NETWORK_SEND)
		return step;
	while (vmb_host_network_send_next(&h->network, &h->io, &frame))
		send_frame(h, queue, &frame);
	return vmb_host_network_send_done(&h->network, &h->io);
}

static int step_control(struct vmb_user_network_host *h, struct pages *p, uint32_t range_count)
{
	const struct vmb_host_offload_piece *pieces;
	uint32_t count;

	pieces = resolve(h, p, range_count, &count);
	return vmb_host_network_control(&h->network, &h->io, pieces, count);
}

static void reply(struct vmb_user_network_host *h, struct vmb_user_network_host_queue *q)
{
	q->has_reply = true;
	q->reply_id = h->io.transaction_id;
	q->reply_len = h->io.reply_len;
	memcpy(q->reply, h->io.reply, h->io.reply_len);
	write_reply(q);
}

/* Carries a packet's steps out to their end. */
static void carry_out(struct vmb_user_network_host *h, uint16_t queue, int step, struct pages *p,
		      uint32_t range_count)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];

	for (;;) {
		switch (step) {
		case VMB_HOST_NETWORK_SHARE: step = step_share(h); continue;
		case VMB_HOST_NETWORK_UNSHARE:
			vmb_user_network_bus_unmap(h->bus, h->io.gpadl_id);
			step = vmb_host_network_unshared(&h->network, &h->io);
			continue;
		case VMB_HOST_NETWORK_CONTROL: step = step_control(h, p, range_count); continue;
		case VMB_HOST_NETWORK_SEND: step = step_send(h, queue, p, range_count); continue;
		case VMB_HOST_NETWORK_SUB_CHANNELS:
			h->offered = h->network.sub_channel_count;
			reply(h, q);
			return;
		case VMB_HOST_NETWORK_REPLY: reply(h, q); return;
		case VMB_HOST_NETWORK_NOTHING: return;
		default: q->broken = true; return;
		}
	}
}

static void copy_header(struct vmb_user_network_host_queue *q,
			const struct vmb_ring_received *received, struct pages *p)
{
	p->len = 0;
	if (received->type != VMB_PKT_GPA_DIRECT)
		return;
	p->len = received->header_len < GPA_HEADER_LEN_MAX ? received->header_len :
							     GPA_HEADER_LEN_MAX;
	vmb_ring_copy(&q->end.rx, received, sizeof(struct vmb_pkt_desc), p->bytes, p->len);
}

static void take_packet(struct vmb_user_network_host *h, uint16_t queue,
			const struct vmb_ring_received *received)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
	struct vmb_host_network_packet packet = { .type = received->type,
						  .flags = received->flags,
						  .transaction_id = received->transaction_id,
						  .payload = payload };
	struct vmb_pkt_gpa_direct direct = { 0 };
	struct pages p;

	copy_header(q, received, &p);
	if (p.len >= sizeof(direct))
		memcpy(&direct, p.bytes, sizeof(direct));
	packet.range_count = direct.range_count;
	packet.payload_len = received->payload_len < sizeof(payload) ? received->payload_len :
								       (uint32_t)sizeof(payload);
	vmb_ring_copy(&q->end.rx, received,
		      (uint32_t)sizeof(struct vmb_pkt_desc) + received->header_len, payload,
		      packet.payload_len);
	vmb_ring_next(&q->end.rx, received);
	carry_out(h, queue, vmb_host_network_input(&h->network, queue, &h->io, &packet), &p,
		  packet.range_count);
}

/* True: READ_MAX packets were not all. */
static bool read_packets(struct vmb_user_network_host *h, uint16_t queue)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];
	struct vmb_ring_received received;
	uint32_t i;
	int err = 0;

	for (i = 0; i < READ_MAX && !q->has_reply && !q->broken; i++) {
		err = vmb_ring_read(&q->end.rx, &received);
		if (err)
			break;
		take_packet(h, queue, &received);
	}
	q->broken |= err == VMB_EPROTO;
	return i == READ_MAX;
}

/*
 * A queue whose completion does not fit is not unmasked, it would find itself awake at once: the guest's signal that
 * there is room wakes it.
 */
static bool step_queue(struct vmb_user_network_host *h, uint16_t queue)
{
	struct vmb_user_network_host_queue *q = &h->queues[queue];
	bool rung = vmb_user_network_end_rung(&q->end);

	if (!q->open || q->broken || (!rung && !q->again))
		return false;
	vmb_ring_mask(&q->end.rx);
	flush_queue(h, queue);
	q->again = read_packets(h, queue);
	flush_queue(h, queue);
	if (vmb_ring_release(&q->end.rx))
		vmb_user_network_end_signal(&q->end);
	if (!q->has_reply && !q->again)
		q->again = vmb_ring_unmask(&q->end.rx);
	return true;
}

bool vmb_user_network_host_step(struct vmb_user_network_host *h)
{
	bool any = false;
	uint16_t i;

	pthread_mutex_lock(h->lock);
	for (i = 0; i < h->config.network.rndis.queue_count_max; i++)
		any |= step_queue(h, i);
	if (h->config.looked)
		any |= h->config.looked(h);
	vmb_user_network_host_flush(h);
	pthread_mutex_unlock(h->lock);
	return any;
}

void vmb_user_network_host_echo(struct vmb_user_network_host *h, uint16_t queue,
				const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	uint8_t *frame = malloc(len);

	if (!frame)
		return;
	memcpy(frame, bytes + 6, 6);
	memcpy(frame + 6, bytes, 6);
	memcpy(frame + 12, bytes + 12, len - 12);
	vmb_user_network_host_deliver(h, frame, len, mss);
	free(frame);
}

void vmb_user_network_host_switch(struct vmb_user_network_host *h, uint16_t queue,
				  const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	if (!h->peer)
		return;
	vmb_user_network_host_deliver(h->peer, bytes, len, mss);
	vmb_user_network_host_flush(h->peer);
}

int vmb_user_network_host_inject(struct vmb_user_network_host *h, uint16_t queue,
				 const struct vmb_user_network_packet *packet)
{
	int err = VMB_ENODEV;

	pthread_mutex_lock(h->lock);
	if (h->queues[queue].open)
		err = vmb_user_network_end_inject(&h->queues[queue].end, packet);
	pthread_mutex_unlock(h->lock);
	return err;
}
