// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The rings of one queue: reads the guest's packets, and writes answers and frames for the guest.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/network.h"

#define READ_BUDGET	64u /* packets of one queue, then it is the next one's turn */
#define PAYLOAD_LEN_MAX 128u /* longer than any message; what exceeds it is padding */
#define RANGES_LEN_MAX	4096u /* bytes of ranges and page numbers of one packet */
#define HEADER_AT	sizeof(struct vmb_pkt_desc)

/* Pages */

static bool add_page(struct vmb_dev_network_queue *q, uint64_t pfn, uint32_t into, uint32_t len)
{
	const struct vmb_dev_memory *m = q->channel->bus->memory;
	struct vmb_host_offload_piece *last;
	const uint8_t *page;

	page = vmb_dev_memory_page(m, pfn);
	if (!page)
		return false;
	last = q->piece_count ? &q->pieces[q->piece_count - 1] : NULL;
	if (last && last->base + last->len == page + into) {
		last->len += len;
		return true;
	}
	if (q->piece_count == VMB_HOST_NETWORK_PIECE_COUNT_MAX)
		return false;
	q->pieces[q->piece_count].base = page + into;
	q->pieces[q->piece_count++].len = len;
	return true;
}

static bool add_range(struct vmb_dev_network_queue *q, const struct vmb_gpa_range *range,
		      const uint8_t *pfns)
{
	uint32_t into = range->byte_offset, left = range->byte_count, len;
	uint64_t pfn;

	for (; left; left -= len, into = 0, pfns += sizeof(pfn)) {
		memcpy(&pfn, pfns, sizeof(pfn));
		len = VMB_PAGE_LEN - into < left ? VMB_PAGE_LEN - into : left;
		if (!add_page(q, pfn, into, len))
			return false;
	}
	return true;
}

/* A private copy of len bytes of ranges, each followed by its page numbers. */
static bool resolve(struct vmb_dev_network_queue *q, const uint8_t *at, uint32_t len,
		    uint32_t range_count)
{
	struct vmb_gpa_range range;
	uint32_t pfns_len, total = 0;

	for (; range_count; range_count--, at += pfns_len, len -= pfns_len) {
		if (len < sizeof(range))
			return false;
		memcpy(&range, at, sizeof(range));
		at += sizeof(range);
		len -= sizeof(range);
		if (range.byte_offset >= VMB_PAGE_LEN ||
		    range.byte_count > VMB_HOST_NETWORK_SEND_LEN_MAX - total)
			return false;
		total += range.byte_count;
		pfns_len = (range.byte_offset + range.byte_count + VMB_PAGE_LEN - 1) /
			   VMB_PAGE_LEN * sizeof(uint64_t);
		if (pfns_len > len || !add_range(q, &range, at))
			return false;
	}
	return true;
}

/* False: a GPA-direct packet without its header. */
static bool copy_ranges(struct vmb_dev_network_queue *q, const struct vmb_ring_received *received,
			struct vmb_host_network_packet *packet)
{
	uint8_t bytes[RANGES_LEN_MAX];
	struct vmb_pkt_gpa_direct direct;
	uint32_t len;

	if (received->header_len < sizeof(direct) ||
	    !vmb_ring_copy(&q->channel->rx, received, HEADER_AT, &direct, sizeof(direct)))
		return false;
	packet->range_count = direct.range_count;
	len = received->header_len - sizeof(direct);
	q->pieces_good =
		len <= sizeof(bytes) &&
		vmb_ring_copy(&q->channel->rx, received, HEADER_AT + sizeof(direct), bytes, len) &&
		resolve(q, bytes, len, direct.range_count);
	return true;
}

/* Recording */

/* What the packet under way sends: a section of the send buffer, then its ranges. */
static void record_send(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(q->channel->bus);
	const struct vmb_host_offload_piece *section = &q->io.list[0];
	struct vmb_dev_trace_data data = { .transaction_id = q->io.transaction_id };
	struct vmb_ring_part parts[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint32_t count = q->pieces_good ? q->piece_count : 0;

	if (!trace)
		return;
	for (uint32_t i = 0; i < count; i++)
		parts[i] = (struct vmb_ring_part){ q->pieces[i].base, q->pieces[i].len };
	vmb_dev_trace_data(trace, q->channel, VMB_DEV_TRACE_TO_HOST, &data, parts, count,
			   UINT32_MAX);
	if (!q->io.has_section)
		return;
	parts[0] = (struct vmb_ring_part){ section->base, section->len };
	data.place = VMB_DEV_TRACE_SEND_BUFFER;
	data.offset = section->base - (uint8_t *)q->card->shared[1].memory;
	vmb_dev_trace_data(trace, q->channel, VMB_DEV_TRACE_TO_HOST, &data, parts, 1, UINT32_MAX);
}

/* What the host wrote into the receive buffer for a packet. */
static void record_receive(struct vmb_dev_network_queue *q,
			   const struct vmb_host_network_output *out)
{
	struct vmb_dev_trace_data data = { .transaction_id = out->transaction_id,
					   .place = VMB_DEV_TRACE_RECEIVE_BUFFER };
	const struct vmb_dev_shared *buffer = &q->card->shared[0];
	uint32_t at = sizeof(struct vmb_pkt_transfer_pages);
	struct vmb_dev_trace *trace = vmb_dev_trace_of(q->channel->bus);
	struct vmb_ring_part part;
	struct vmb_gpa_range range;

	if (!trace || out->type != VMB_PKT_TRANSFER_PAGES)
		return;
	for (; at + sizeof(range) <= out->header_len; at += sizeof(range)) {
		memcpy(&range, (const uint8_t *)&out->header + at, sizeof(range));
		if (range.byte_offset >= buffer->len ||
		    range.byte_count > buffer->len - range.byte_offset)
			return;
		part = (struct vmb_ring_part){ (const uint8_t *)buffer->memory + range.byte_offset,
					       range.byte_count };
		data.offset = range.byte_offset;
		vmb_dev_trace_data(trace, q->channel, VMB_DEV_TRACE_TO_GUEST, &data, &part, 1,
				   UINT32_MAX);
	}
}

/* Writing */

static void publish(struct vmb_dev_network_queue *q)
{
	if (vmb_ring_commit(&q->channel->tx))
		vmb_dev_bus_signal(q->channel);
}

/* Returns 0; VMB_EAGAIN: no room yet; on any other error the queue is dead. */
static int write_packet(struct vmb_dev_network_queue *q, const struct vmb_ring_packet *packet,
			uint32_t len)
{
	int error = vmb_dev_channel_write(q->channel, packet, len);

	if (error == VMB_EAGAIN)
		q->blocked = true;
	else if (error)
		q->broken = true;
	return error;
}

static void write_outputs(struct vmb_dev_network_queue *q)
{
	struct vmb_host_network *host = &q->card->host;
	const struct vmb_host_network_output *out;
	struct vmb_ring_part header, payload;
	struct vmb_ring_packet packet = { .header = &header, .payload = &payload };

	while (!q->broken && (out = vmb_host_network_output(host, q->index))) {
		header = (struct vmb_ring_part){ &out->header, out->header_len };
		payload = (struct vmb_ring_part){ out->payload, out->payload_len };
		packet.type = out->type;
		packet.flags = out->flags;
		packet.transaction_id = out->transaction_id;
		packet.header_count = out->header_len ? 1 : 0;
		packet.payload_count = 1;
		if (write_packet(q, &packet,
				 vmb_ring_packet_len(out->header_len, out->payload_len)))
			return;
		record_receive(q, out);
		vmb_host_network_output_done(host, q->index);
	}
}

/*
 * Steps of the current packet. Each returns the next step, NOTHING, VMB_EAGAIN (it waits) or
 * VMB_EPROTO.
 */

static int do_share(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network *c = q->card;
	struct vmb_dev_shared *shared = &c->shared[!q->io.receive_buffer];

	vmb_dev_bus_unshare(q->channel, shared);
	vmb_dev_bus_share(q->channel, q->io.gpadl_id, shared);
	return vmb_host_network_shared(&c->host, &q->io, shared->memory, shared->len);
}

static void advance(struct vmb_dev_network_queue *q, int step);

/*
 * Gives up a frame that lies in the send buffer and waits for the backend: the buffer is about to
 * go.
 */
static void abandon(struct vmb_dev_network_queue *q)
{
	if (!q->channel || q->broken || !q->sending || !q->io.has_section)
		return;
	q->sending = q->send.ready = q->send.active = false;
	q->io.status = VMB_NET_STATUS_FAIL;
	advance(q, vmb_host_network_send_done(&q->card->host, &q->io));
}

static int do_unshare(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network *c = q->card;

	for (uint32_t i = 0; i < c->queue_count && !q->io.receive_buffer; i++)
		abandon(&c->queues[i]);
	vmb_dev_bus_unshare(q->channel, &c->shared[!q->io.receive_buffer]);
	return vmb_host_network_unshared(&c->host, &q->io);
}

static int do_reply(struct vmb_dev_network_queue *q)
{
	const struct vmb_ring_part part = { q->io.reply, q->io.reply_len };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
						.transaction_id = q->io.transaction_id,
						.payload = &part,
						.payload_count = 1 };
	int error = write_packet(q, &packet, vmb_ring_packet_len(0, part.len));

	q->replying = error == VMB_EAGAIN;
	if (error)
		return error;
	if (q->offering) {
		q->offering = false;
		publish(q); /* the answer first */
		vmb_dev_network_offer(q->card);
	}
	return VMB_HOST_NETWORK_NOTHING;
}

static int do_sub_channels(struct vmb_dev_network_queue *q)
{
	q->offering = true;
	return VMB_HOST_NETWORK_REPLY;
}

static int do_control(struct vmb_dev_network_queue *q)
{
	vmb_dev_network_open_requested(q->card);
	record_send(q);
	return vmb_host_network_control(&q->card->host, &q->io, q->pieces_good ? q->pieces : NULL,
					q->piece_count);
}

static int do_frames(struct vmb_dev_network_queue *q)
{
	q->sending = !vmb_dev_network_send(q);
	return q->sending ? VMB_EAGAIN : vmb_host_network_send_done(&q->card->host, &q->io);
}

static int do_send(struct vmb_dev_network_queue *q)
{
	int step;

	record_send(q);
	step = vmb_host_network_send(&q->card->host, &q->io, q->pieces_good ? q->pieces : NULL,
				     q->piece_count);
	return step == VMB_HOST_NETWORK_SEND ? do_frames(q) : step;
}

/* Goes on with the packet under way until it is done with or must wait. */
static void advance(struct vmb_dev_network_queue *q, int step)
{
	static int (*const steps[])(struct vmb_dev_network_queue *) = {
		[VMB_HOST_NETWORK_REPLY] = do_reply,
		[VMB_HOST_NETWORK_SHARE] = do_share,
		[VMB_HOST_NETWORK_UNSHARE] = do_unshare,
		[VMB_HOST_NETWORK_SUB_CHANNELS] = do_sub_channels,
		[VMB_HOST_NETWORK_CONTROL] = do_control,
		[VMB_HOST_NETWORK_SEND] = do_send,
	};

	while (step > 0)
		step = steps[step](q);
	if (step < 0 && step != VMB_EAGAIN)
		q->broken = true;
}
_Static_assert(VMB_HOST_NETWORK_NOTHING == 0, "the end of a packet");

static bool waits(const struct vmb_dev_network_queue *q)
{
	return q->sending || q->replying;
}

static void resume(struct vmb_dev_network_queue *q)
{
	if (q->sending)
		advance(q, do_frames(q));
	else if (q->replying)
		advance(q, VMB_HOST_NETWORK_REPLY);
}

/* Reading */

static bool wants_packet(const void *state)
{
	const struct vmb_dev_network_queue *q = state;

	return !waits(q) && !q->broken;
}

static void take_packet(void *state, const struct vmb_ring_received *received)
{
	struct vmb_dev_network_queue *q = state;
	struct vmb_host_network *host = &q->card->host;
	uint8_t payload[PAYLOAD_LEN_MAX] = { 0 };
	struct vmb_host_network_packet packet = {
		.type = received->type,
		.flags = received->flags,
		.transaction_id = received->transaction_id,
		.payload = payload,
		.payload_len = received->payload_len < sizeof(payload) ? received->payload_len :
									 sizeof(payload),
	};

	q->piece_count = 0;
	q->pieces_good = true;
	if (!vmb_ring_copy(&q->channel->rx, received, HEADER_AT + received->header_len, payload,
			   packet.payload_len) ||
	    (received->type == VMB_PKT_GPA_DIRECT && !copy_ranges(q, received, &packet))) {
		q->broken = true;
		return;
	}
	advance(q, vmb_host_network_input(host, q->index, &q->io, &packet));
	if (host->version)
		q->card->version = host->version;
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

/*
 * While the packet under way waits or the budget is used up, the next round goes on without a
 * doorbell.
 */
void vmb_dev_network_queue_read(struct vmb_dev_network_queue *q)
{
	enum vmb_dev_channel_rest rest;

	if (q->broken)
		return;
	q->turn_frames = q->turn_len = 0;
	if (waits(q))
		resume(q);
	if (!q->look && !q->more)
		return;
	rest = vmb_dev_channel_read_ring(q->channel, READ_BUDGET, &reader, q);
	if (rest == VMB_DEV_CHANNEL_BROKEN)
		q->broken = true;
	q->more = !q->broken && rest == VMB_DEV_CHANNEL_MORE;
	q->look = false;
}

/* Frames for the guest */

static bool append_pending(struct vmb_dev_network_queue *q,
			   const struct vmb_host_network_received *frame,
			   const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	struct vmb_dev_network_pending *p;
	uint8_t *at;

	if (q->pending_count == VMB_DEV_NETWORK_PENDING_COUNT_MAX ||
	    frame->len > VMB_DEV_NETWORK_PENDING_LEN_MAX - q->pending_len)
		return false;
	p = malloc(sizeof(*p) + frame->len);
	if (!p)
		return false;
	p->next = NULL;
	p->frame = *frame;
	at = p->bytes;
	for (uint32_t i = 0; i < count; at += pieces[i++].len)
		memcpy(at, pieces[i].base, pieces[i].len);
	*q->pending_end = p;
	q->pending_end = &p->next;
	q->pending_len += frame->len;
	q->pending_count++;
	q->card->counters.pending++;
	q->card->counters.copied_bytes += frame->len;
	return true;
}

static void drop_first_pending(struct vmb_dev_network_queue *q)
{
	struct vmb_dev_network_pending *p = q->pending;

	q->pending = p->next;
	if (!q->pending)
		q->pending_end = &q->pending;
	q->pending_len -= p->frame.len;
	q->pending_count--;
	free(p);
}

/* Returns 0; VMB_EAGAIN: no room; any other error is permanent. */
static int give(struct vmb_dev_network_queue *q, const struct vmb_host_network_received *frame,
		const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	struct vmb_host_network *host = &q->card->host;
	int error = vmb_host_network_receive(host, q->index, frame, pieces, count);

	if (error == VMB_EAGAIN && !q->replying) {
		write_outputs(q);
		if (!q->broken && !q->blocked)
			error = vmb_host_network_receive(host, q->index, frame, pieces, count);
	}
	if (!error) {
		q->card->counters.in_frames++;
		q->card->counters.in_bytes += frame->len;
	}
	return error;
}

void vmb_dev_network_queue_deliver(struct vmb_dev_network_queue *q,
				   const struct vmb_host_network_received *frame,
				   const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	int error = VMB_EAGAIN;

	if (!q->channel || q->broken) {
		q->card->counters.in_unwanted++;
		return;
	}
	if (!q->pending)
		error = give(q, frame, pieces, count);
	if (error == VMB_EAGAIN && append_pending(q, frame, pieces, count))
		return;
	if (error)
		q->card->counters.in_dropped++;
}

static void give_pending(struct vmb_dev_network_queue *q)
{
	struct vmb_host_offload_piece piece;
	int error = 0;

	while (q->pending && !q->broken && error != VMB_EAGAIN &&
	       vmb_host_network_room(&q->card->host)) {
		piece = (struct vmb_host_offload_piece){ q->pending->bytes, q->pending->frame.len };
		error = give(q, &q->pending->frame, &piece, 1);
		if (error && error != VMB_EAGAIN)
			q->card->counters.in_dropped++;
		if (error != VMB_EAGAIN)
			drop_first_pending(q);
	}
}

/*
 * An answer that waits for room must come first: another packet would cancel its request for a
 * signal.
 */
void vmb_dev_network_queue_flush(struct vmb_dev_network_queue *q)
{
	if (q->broken)
		return;
	if (!q->replying) {
		q->blocked = false;
		give_pending(q);
		write_outputs(q);
	}
	publish(q);
}

/* Opening and closing */

/* Forgets the current packet, so that no one continues it. */
static void forget(struct vmb_dev_network_queue *q)
{
	q->more = q->blocked = false;
	q->sending = q->replying = q->offering = false;
	q->send.ready = q->send.active = false;
}

void vmb_dev_network_queue_open(struct vmb_dev_network_queue *q, struct vmb_dev_channel *channel)
{
	forget(q);
	q->channel = channel;
	q->look = true; /* the guest may have filled the ring before it opened the channel */
	q->broken = false;
}

void vmb_dev_network_queue_close(struct vmb_dev_network_queue *q)
{
	while (q->pending)
		drop_first_pending(q);
	forget(q);
	q->channel = NULL;
}
