// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Received frames: transfer-page packets, whose ranges are RNDIS messages in the receive buffer.
 * The envelope is copied and validated; the frame stays in place.
 */
#include "guest/network_internal.h"

/* The longest frame, coalesced or not: an IP packet, an Ethernet header and a tag. */
#define FRAME_LEN_MAX (0xFFFFu + VMB_NET_ETHERNET_LEN + 4u)

const struct vmb_net_rndis_packet_complete vmb_guest_network_ack_message = {
	.type = VMB_NET_SEND_RNDIS_PACKET_COMPLETE,
	.status = VMB_NET_STATUS_SUCCESS,
};

static bool coalescing(const struct vmb_guest_network *n)
{
	return n->config.rsc && n->agreed.version >= VMB_NET_VERSION_6_1;
}

static void reset(struct vmb_guest_network_receive *r)
{
	r->piece_count = 0;
	r->fragment_len = 0;
}

static bool header_sane(const struct vmb_guest_network *n,
			const struct vmb_guest_network_receive *r, uint32_t header_len)
{
	const struct vmb_pkt_transfer_pages *pages = &r->header.pages;
	uint32_t count_max = coalescing(n) ? VMB_NET_RANGE_COUNT_MAX_RSC : VMB_NET_RANGE_COUNT_MAX;

	return header_len >= sizeof(*pages) && pages->set_id == VMB_NET_RECEIVE_BUFFER_ID &&
	       pages->range_count && pages->range_count <= count_max &&
	       pages->range_count <= (header_len - sizeof(*pages)) / sizeof(r->header.ranges[0]);
}

/* Returns what the packet carries, or VMB_EPROTO if this queue may not get it now. */
static int judge(const struct vmb_guest_network *n, const struct vmb_guest_network_queue *q,
		 const struct vmb_guest_network_receive *r, uint32_t payload_len)
{
	struct vmb_net_rndis_packet message;

	if (payload_len < sizeof(message))
		return VMB_EPROTO;
	memcpy(&message, r->message, sizeof(message));
	if (message.type != VMB_NET_SEND_RNDIS_PACKET)
		return VMB_EPROTO;
	if (message.channel_type == VMB_NET_CONTROL && !q->index)
		return VMB_GUEST_NETWORK_CONTROL;
	/*
	 * Without a packet filter there are no frames, and a filter is set only after READY. Not
	 * n->state: the dialogue changes it while other queues are polled.
	 */
	if (message.channel_type == VMB_NET_DATA && n->dialogue.receiving)
		return VMB_GUEST_NETWORK_FRAMES;
	return VMB_EPROTO;
}

int vmb_guest_network_receive(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
			      struct vmb_guest_network_receive *r, uint32_t header_len,
			      uint32_t payload_len)
{
	int kind = VMB_EPROTO;

	r->next = 0;
	reset(r);
	if (n->agreed.suballoc_count && header_sane(n, r, header_len))
		kind = judge(n, q, r, payload_len);
	if (kind < 0)
		r->header.pages.range_count = 0;
	return kind < 0 ? vmb_guest_network_malformed(&q->counters) : kind;
}

/* Parses the frame of one range into r->part. */
static int read_range(const struct vmb_guest_network *n, struct vmb_guest_network_receive *r,
		      const struct vmb_gpa_range *range)
{
	const uint32_t head_len = sizeof(struct rndis_packet);
	const uint8_t *shared;
	uint32_t len;

	if (range->byte_count < head_len || range->byte_count > n->config.receive_len ||
	    range->byte_offset > n->config.receive_len - range->byte_count)
		return VMB_EPROTO;
	shared = n->config.receive_buffer + range->byte_offset;
	vmb_shared_read(r->envelope, shared, head_len);
	len = vmb_guest_rndis_envelope_in_len(r->envelope, range->byte_count);
	vmb_shared_read(r->envelope + head_len, shared + head_len, len - head_len);
	return vmb_guest_rndis_unwrap(r->envelope, len, range->byte_count, &r->part);
}

/* Drops the frame that was being assembled. */
static void give_up(struct vmb_guest_network_queue *q, struct vmb_guest_network_receive *r)
{
	if (r->piece_count)
		q->counters.malformed++;
	reset(r);
}

static void append(struct vmb_guest_network_receive *r, uint32_t byte_offset,
		   const struct vmb_guest_rndis_frame *part)
{
	struct vmb_guest_network_piece *piece = &r->pieces[r->piece_count++];

	piece->offset = byte_offset + part->data_offset;
	piece->len = part->len;
	r->fragment_len += part->len;
}

/* Adds a fragment. Returns true if it was the last one. */
static bool assemble(const struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
		     struct vmb_guest_network_receive *r, uint32_t byte_offset,
		     const struct vmb_guest_rndis_frame *part)
{
	if (part->packet_id.flags & RNDIS_PACKET_ID_FIRST) {
		give_up(q, r);
		r->first = *part;
	} else if (!r->piece_count) {
		q->counters.malformed++;
		return false;
	}
	if (!coalescing(n) || part->len > FRAME_LEN_MAX - r->fragment_len) {
		q->counters.malformed++;
		reset(r);
		return false;
	}
	append(r, byte_offset, part);
	return part->packet_id.flags & RNDIS_PACKET_ID_LAST;
}

static bool is_fragment(const struct vmb_guest_rndis_frame *part)
{
	return part->present & VMB_GUEST_RNDIS_PACKET_ID &&
	       part->packet_id.flags & RNDIS_PACKET_ID_SUBALLOC;
}

/* Takes one range. Returns true when a frame is complete. */
static bool take_range(const struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
		       struct vmb_guest_network_receive *r, const struct vmb_gpa_range *range)
{
	const struct vmb_guest_rndis_frame *part = &r->part;

	if (read_range(n, r, range)) {
		give_up(q, r);
		q->counters.malformed++;
		return false;
	}
	if (is_fragment(part))
		return assemble(n, q, r, range->byte_offset, part);
	give_up(q, r);
	if (part->len > FRAME_LEN_MAX) {
		q->counters.malformed++;
		return false;
	}
	r->first = *part;
	append(r, range->byte_offset, part);
	return true;
}

bool vmb_guest_network_receive_next(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
				    struct vmb_guest_network_receive *r,
				    struct vmb_guest_network_frame *frame)
{
	while (r->next < r->header.pages.range_count) {
		if (!take_range(n, q, r, &r->header.ranges[r->next++]))
			continue;
		if (r->fragment_len < VMB_NET_ETHERNET_LEN) {
			give_up(q, r);
			continue;
		}
		frame->rndis = r->first;
		frame->rndis.len = r->fragment_len;
		frame->pieces = r->pieces;
		frame->piece_count = r->piece_count;
		reset(r);
		return true;
	}
	give_up(q, r);
	return false;
}

int vmb_guest_network_owe(struct vmb_guest_network_queue *q, uint64_t transaction_id)
{
	if (q->owed_count == q->owed_max)
		return vmb_guest_network_malformed(&q->counters);
	q->owed[(q->owed_first + q->owed_count) & (q->owed_max - 1)] = transaction_id;
	q->owed_count++;
	return 0;
}

bool vmb_guest_network_owed(const struct vmb_guest_network_queue *q, uint64_t *transaction_id)
{
	if (!q->owed_count)
		return false;
	*transaction_id = q->owed[q->owed_first & (q->owed_max - 1)];
	return true;
}

uint32_t vmb_guest_network_owed_run(const struct vmb_guest_network_queue *q, const uint64_t **ids)
{
	uint32_t first = q->owed_first & (q->owed_max - 1);
	uint32_t to_end = q->owed_max - first;

	*ids = q->owed + first;
	return q->owed_count < to_end ? q->owed_count : to_end;
}

void vmb_guest_network_owed_done(struct vmb_guest_network_queue *q, uint32_t count)
{
	if (count > q->owed_count)
		count = q->owed_count;
	q->owed_first += count;
	q->owed_count -= count;
}
