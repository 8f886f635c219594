// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * To the guest: frames and control messages in the receive buffer, and the packets that point to
 * them. A suballocation is free, in a queue's packet that has not left, or with the guest until it
 * completes that packet. The guest writes to the buffer as it likes, so all bookkeeping is here.
 */
#include "host/network.h"

#include "host/network_internal.h"

_Static_assert(VMB_HOST_RNDIS_REPLY_LEN_MAX <= VMB_HOST_RNDIS_DATA_OFFSET + 1500u,
	       "a control message must fit a suballocation");

void vmb_host_network_receive_start(struct vmb_host_network *n)
{
	uint32_t i;

	n->free_count = n->suballoc_count;
	for (i = 0; i < n->suballoc_count; i++) {
		n->free_suballocs[i] = n->suballoc_count - 1 - i;
		n->held_count[i] = 0;
	}
}

void vmb_host_network_receive_stop(struct vmb_host_network *n)
{
	uint32_t i;

	for (i = 0; i < n->config.rndis.queue_count_max; i++) {
		n->queues[i].filling = false;
		n->queues[i].ready = false;
		n->queues[i].frame_count = 0;
	}
	for (i = 0; i < n->suballoc_count; i++) {
		n->queues[n->held_queue[i]].late_count += n->held_count[i] > 0;
		n->held_count[i] = 0;
	}
	n->free_count = 0;
	n->reply_first = 0;
	n->reply_count = 0;
}

/* The suballocations of one packet, chained from the first one on. */
static void release(struct vmb_host_network *n, uint32_t first, uint32_t count)
{
	for (; count; count--) {
		n->free_suballocs[n->free_count++] = first;
		first = n->next_suballoc[first];
	}
}

static void release_out(struct vmb_host_network *n, struct vmb_host_network_queue *q)
{
	if (q->out.type == VMB_PKT_TRANSFER_PAGES && (q->filling || q->ready))
		release(n, (uint32_t)q->out.transaction_id, q->out.header.pages.range_count);
	q->filling = false;
	q->ready = false;
	q->frame_count = 0;
}

/* Also what the port has seen and found no room for. Control messages have no frames, and stay. */
void vmb_host_network_receive_flush(struct vmb_host_network *n)
{
	uint32_t i;

	for (i = 0; i < n->config.rndis.queue_count_max; i++)
		if (n->queues[i].frame_count)
			release_out(n, &n->queues[i]);
}

/*
 * The guest revokes the buffer on the primary channel; what another queue acknowledged meanwhile,
 * or just before, may be read after that.
 */
static void acknowledge_nothing(struct vmb_host_network *n, struct vmb_host_network_queue *q)
{
	if (q->late_count)
		q->late_count--;
	else
		n->counters.forged++;
}

void vmb_host_network_receive_ack(struct vmb_host_network *n, uint16_t queue,
				  uint64_t transaction_id)
{
	uint32_t first = (uint32_t)transaction_id;

	if (transaction_id >= n->suballoc_count || !n->held_count[first] ||
	    n->held_queue[first] != queue) {
		acknowledge_nothing(n, &n->queues[queue]);
		return;
	}
	release(n, first, n->held_count[first]);
	n->held_count[first] = 0;
}

void vmb_host_network_queue_closed(struct vmb_host_network *n, uint16_t queue)
{
	uint32_t i;

	release_out(n, &n->queues[queue]);
	for (i = 0; i < n->suballoc_count; i++) {
		if (!n->held_count[i] || n->held_queue[i] != queue)
			continue;
		release(n, i, n->held_count[i]);
		n->held_count[i] = 0;
	}
	n->queues[queue].open = false;
	n->queues[queue].late_count = 0;
	vmb_host_network_queues_count(n);
}

/* Data leaves this many to control messages. */
static uint32_t reserve(const struct vmb_host_network *n)
{
	uint32_t half = n->suballoc_count / 2;

	return half < VMB_HOST_NETWORK_CONTROL_RESERVE ? half : VMB_HOST_NETWORK_CONTROL_RESERVE;
}

uint32_t vmb_host_network_room(const struct vmb_host_network *n)
{
	uint32_t kept = reserve(n);

	return n->free_count > kept ? n->free_count - kept : 0;
}

static void begin(struct vmb_host_network *n, struct vmb_host_network_queue *q,
		  uint32_t channel_type)
{
	struct vmb_net_rndis_packet message = { .type = VMB_NET_SEND_RNDIS_PACKET };
	struct vmb_host_network_output *out = &q->out;

	message.channel_type = channel_type;
	message.section_index = VMB_NET_SECTION_NONE;
	out->type = VMB_PKT_TRANSFER_PAGES;
	out->flags = VMB_PKT_FLAG_COMPLETION_REQUESTED;
	memset(&out->header.pages, 0, sizeof(out->header.pages));
	out->header.pages.set_id = n->receive_buffer.id;
	out->header_len = sizeof(out->header.pages);
	memset(out->payload, 0, n->message_len);
	memcpy(out->payload, &message, sizeof(message));
	out->payload_len = n->message_len;
	q->filling = true;
	q->frame_count = 0;
}

/* One more range in the packet: len bytes of a suballocation. Answers its memory. */
static uint8_t *take(struct vmb_host_network *n, struct vmb_host_network_queue *q, uint32_t len)
{
	struct vmb_host_network_output *out = &q->out;
	uint32_t index = n->free_suballocs[--n->free_count];
	struct vmb_gpa_range *range = &out->header.ranges[out->header.pages.range_count];
	uint32_t offset = index * n->suballoc_len;

	if (out->header.pages.range_count)
		n->next_suballoc[q->last] = index;
	else
		out->transaction_id = index;
	q->last = index;
	range->byte_count = len;
	range->byte_offset = offset;
	out->header.pages.range_count++;
	out->header_len += sizeof(*range);
	return n->receive_buffer.memory + offset;
}

bool vmb_host_network_wants(const struct vmb_host_network *n, const uint8_t destination[6])
{
	return n->receive_buffer.memory && vmb_host_rndis_wants(&n->rndis, destination);
}

bool vmb_host_network_takes_large(const struct vmb_host_network *n)
{
	return n->rndis.offload & VMB_HOST_RNDIS_RSC;
}

uint16_t vmb_host_network_queue_of(const struct vmb_host_network *n, const void *head,
				   uint32_t head_len, uint32_t *hash, uint32_t *hash_type)
{
	uint16_t queue;

	*hash = vmb_host_rndis_hash(&n->rndis, head, head_len, hash_type);
	if (!*hash_type)
		return 0;
	queue = n->rndis.rss.table[*hash % NDIS_RSS_TABLE_COUNT_MAX];
	return n->queues[queue].open ? queue : 0;
}

static bool control_waits(const struct vmb_host_network *n)
{
	const struct vmb_host_rndis *r = &n->rndis;

	return n->table_waiting || n->reply_count ||
	       (r->state == VMB_HOST_RNDIS_INITIALIZED &&
		(r->link_indications || r->offload_indications || r->speed_indications));
}

/* How many suballocations a frame takes: one, or as many as hold a coalesced frame's bytes. */
static uint32_t fragments_of(const struct vmb_host_network *n,
			     const struct vmb_host_network_received *frame)
{
	uint32_t most = n->rndis.mtu + VMB_NET_ETHERNET_LEN;

	return frame->len <= most ? 1 : 1 + (frame->len - 1) / most;
}

static int judge(struct vmb_host_network *n, struct vmb_host_network_queue *q,
		 const struct vmb_host_network_received *frame, uint32_t fragments)
{
	uint32_t range_max = vmb_host_network_takes_large(n) ? VMB_NET_RANGE_COUNT_MAX_RSC :
							       VMB_NET_RANGE_COUNT_MAX;
	if (!n->receive_buffer.memory || !q->open || !n->rndis.filter ||
	    n->rndis.state != VMB_HOST_RNDIS_INITIALIZED)
		return VMB_ENODEV;
	if (fragments > 1 && (!frame->mss || !vmb_host_network_takes_large(n) ||
			      frame->len > VMB_HOST_NETWORK_LARGE_LEN_MAX))
		return VMB_EOVERFLOW;
	/* Not even the empty buffer would hold it. */
	if (frame->len < VMB_NET_ETHERNET_LEN || fragments > n->suballoc_count - reserve(n))
		return VMB_EOVERFLOW;
	if (q->ready || (!q->filling && q == n->queues && control_waits(n)))
		return VMB_EAGAIN;
	if (q->filling && (q->frame_count == VMB_HOST_NETWORK_BATCH_COUNT_MAX ||
			   q->out.header.pages.range_count + fragments > range_max)) {
		q->ready = true;
		return VMB_EAGAIN;
	}
	if (vmb_host_network_room(n) < fragments) {
		n->counters.no_suballoc++;
		n->rndis.counters.rx_no_buffer++;
		return VMB_EAGAIN;
	}
	return 0;
}

/* What a standalone frame or the first fragment of one says. */
static void describe(const struct vmb_host_network *n,
		     const struct vmb_host_network_received *frame,
		     struct vmb_host_rndis_frame *rndis)
{
	memset(rndis, 0, sizeof(*rndis));
	rndis->present = VMB_HOST_RNDIS_HAS_CHECKSUM;
	if (n->rndis.offload & VMB_HOST_RNDIS_RX_CHECKSUM)
		rndis->checksum = frame->checksum;
	if (frame->has_vlan) {
		rndis->present |= VMB_HOST_RNDIS_HAS_VLAN;
		rndis->vlan = frame->vlan;
	}
	if (frame->has_hash) {
		rndis->present |= VMB_HOST_RNDIS_HAS_HASH;
		rndis->hash = frame->hash;
		rndis->hash_type = frame->hash_type;
	}
}

/* Copies the next len bytes of pieces to dst. *at: how much of the first piece is gone. */
static void copy_pieces(uint8_t *dst, const struct vmb_host_offload_piece **piece, uint32_t *at,
			uint32_t len)
{
	uint32_t part;

	while (len) {
		part = (*piece)->len - *at;
		part = part < len ? part : len;
		vmb_shared_write(dst, (*piece)->base + *at, part);
		dst += part;
		len -= part;
		*at += part;
		if (*at == (*piece)->len) {
			(*piece)++;
			*at = 0;
		}
	}
}

static void put_fragments(struct vmb_host_network *n, struct vmb_host_network_queue *q,
			  const struct vmb_host_network_received *frame,
			  const struct vmb_host_offload_piece *piece, uint32_t fragments)
{
	uint32_t most = n->rndis.mtu + VMB_NET_ETHERNET_LEN, left = frame->len, at = 0, i;
	struct vmb_host_rndis_frame rndis;
	uint8_t *memory;

	describe(n, frame, &rndis);
	for (i = 0; i < fragments; i++, left -= rndis.len) {
		rndis.len = left < most ? left : most;
		if (fragments > 1) {
			rndis.present |= VMB_HOST_RNDIS_HAS_PACKET_ID;
			rndis.packet_id.version = RNDIS_PACKET_ID_VERSION;
			rndis.packet_id.flags = RNDIS_PACKET_ID_SUBALLOC |
						(i ? 0 : RNDIS_PACKET_ID_FIRST) |
						(i + 1 == fragments ? RNDIS_PACKET_ID_LAST : 0);
		}
		memory = take(n, q, VMB_HOST_RNDIS_DATA_OFFSET + rndis.len);
		vmb_host_rndis_wrap(memory, &rndis);
		copy_pieces(memory + VMB_HOST_RNDIS_DATA_OFFSET, &piece, &at, rndis.len);
		rndis.present = 0;
	}
}

int vmb_host_network_receive(struct vmb_host_network *n, uint16_t queue,
			     const struct vmb_host_network_received *frame,
			     const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	uint32_t fragments = fragments_of(n, frame), i;
	struct vmb_host_network_queue *q;
	uint64_t total = 0;
	int error;

	if (queue >= n->config.rndis.queue_count_max)
		return VMB_EINVAL;
	q = &n->queues[queue];
	error = judge(n, q, frame, fragments);
	if (error)
		return error;
	for (i = 0; i < count; i++)
		total += pieces[i].len;
	if (total < frame->len)
		return VMB_EINVAL;
	if (!q->filling)
		begin(n, q, VMB_NET_DATA);
	put_fragments(n, q, frame, pieces, fragments);
	q->frame_count++;
	n->rndis.counters.rx_frames++;
	n->rndis.counters.rx_bytes += frame->len;
	return 0;
}

/* The send indirection table: all queues that are open, in turn. */
static void put_table(struct vmb_host_network *n, struct vmb_host_network_queue *q)
{
	struct vmb_net_indirection_table table = { .type = VMB_NET_SEND_INDIRECTION_TABLE };
	struct vmb_host_network_output *out = &q->out;
	uint32_t i, queue = 0;

	table.count = VMB_NET_TABLE_COUNT;
	table.offset = offsetof(struct vmb_net_indirection_table, entries);
	for (i = 0; i < VMB_NET_TABLE_COUNT; i++) {
		while (queue && !n->queues[queue].open)
			queue = (queue + 1) % n->rndis.queue_count;
		table.entries[i] = queue;
		queue = (queue + 1) % n->rndis.queue_count;
	}
	out->type = VMB_PKT_INBAND;
	out->flags = 0;
	out->transaction_id = 0;
	out->header_len = 0;
	out->payload_len = sizeof(table);
	memcpy(out->payload, &table, sizeof(table));
	n->table_waiting = false;
}

/* The next control message into a suballocation of its own. False: there is none. */
static bool put_control(struct vmb_host_network *n, struct vmb_host_network_queue *q)
{
	uint8_t bytes[VMB_HOST_RNDIS_REPLY_LEN_MAX];
	const uint8_t *message = bytes;
	uint32_t len;

	if (n->reply_count) {
		message = n->replies[n->reply_first].bytes;
		len = n->replies[n->reply_first].len;
		n->reply_first = (n->reply_first + 1) % VMB_ARRAY_COUNT(n->replies);
		n->reply_count--;
	} else if (!vmb_host_rndis_indication(&n->rndis, bytes, &len)) {
		return false;
	}
	begin(n, q, VMB_NET_CONTROL);
	vmb_shared_write(take(n, q, len), message, len);
	return true;
}

const struct vmb_host_network_output *vmb_host_network_output(struct vmb_host_network *n,
							      uint16_t queue)
{
	struct vmb_host_network_queue *q = &n->queues[queue];

	if (q->ready)
		return &q->out;
	if (!q->filling) {
		if (queue || !control_waits(n))
			return NULL;
		if (n->table_waiting)
			put_table(n, q);
		else if (!n->free_count || !put_control(n, q))
			return NULL;
	}
	q->ready = true;
	return &q->out;
}

void vmb_host_network_output_done(struct vmb_host_network *n, uint16_t queue)
{
	struct vmb_host_network_queue *q = &n->queues[queue];
	uint32_t first = (uint32_t)q->out.transaction_id;

	if (!q->ready)
		return;
	if (q->out.type == VMB_PKT_TRANSFER_PAGES) {
		n->held_count[first] = (uint16_t)q->out.header.pages.range_count;
		n->held_queue[first] = (uint8_t)queue;
	}
	q->filling = false;
	q->ready = false;
	q->frame_count = 0;
}
