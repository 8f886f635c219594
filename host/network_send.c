// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * RNDIS messages from the guest: a section of the send buffer, page ranges, or one and then the
 * other, seen as one stream of bytes in pieces. Of a frame only its envelope is copied.
 *
 * Real hosts want header and per-packet information in the first range. Here they are gathered from
 * wherever they lie, because guests have got that wrong and nothing is gained by refusing.
 */
#include "host/network.h"

#include "host/network_internal.h"

#define PADDING_LEN_MAX 8u /* what may follow the last message */
#define LSO_HEADERS_MAX VMB_HOST_OFFLOAD_HEAD_LEN_MAX
#define VLAN_TAG_LEN	4u

int vmb_host_network_send_reply(struct vmb_host_network *n, struct vmb_host_network_io *io,
				uint32_t status)
{
	const struct vmb_net_rndis_packet_complete answer = {
		.type = VMB_NET_SEND_RNDIS_PACKET_COMPLETE,
		.status = status,
	};

	if (status != VMB_NET_STATUS_SUCCESS)
		n->counters.refused++;
	vmb_host_network_reply(n, io, &answer, sizeof(answer));
	return vmb_host_network_finish(io);
}

/* False: no such section. */
static bool find_section(const struct vmb_host_network *n, struct vmb_host_network_io *io,
			 const struct vmb_net_rndis_packet *message)
{
	io->has_section = message->section_index != VMB_NET_SECTION_NONE;
	if (!io->has_section)
		return true;
	if (!n->send_buffer.memory ||
	    message->section_index >= n->send_buffer.len / VMB_NET_SEND_SECTION_LEN ||
	    message->section_len > VMB_NET_SEND_SECTION_LEN)
		return false;
	io->list[0].base =
		n->send_buffer.memory + (size_t)message->section_index * VMB_NET_SEND_SECTION_LEN;
	io->list[0].len = message->section_len;
	return true;
}

/* All that must have come before the first RNDIS message; the send buffer need not. */
static bool ready(const struct vmb_host_network *n)
{
	return n->versioned && n->receive_buffer.memory &&
	       (n->configured || n->version < VMB_NET_VERSION_2);
}

int vmb_host_network_send_input(struct vmb_host_network *n, struct vmb_host_network_io *io,
				const struct vmb_host_network_packet *packet)
{
	struct vmb_net_rndis_packet message;

	memcpy(&message, packet->payload, sizeof(message));
	if (!ready(n))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_FAIL);
	n->state = VMB_HOST_NETWORK_RUNNING;
	io->range_count = packet->type == VMB_PKT_GPA_DIRECT ? packet->range_count : 0;
	io->position = 0;
	io->frame_count = 0;
	io->status = VMB_NET_STATUS_SUCCESS;
	if (io->range_count >= VMB_HOST_NETWORK_PIECE_COUNT_MAX || !find_section(n, io, &message))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_INVALID_RNDIS_PACKET);
	/* Hyper-V's firmware says 2 of its data. */
	if (message.channel_type != VMB_NET_CONTROL)
		return VMB_HOST_NETWORK_SEND;
	if (!io->queue)
		return VMB_HOST_NETWORK_CONTROL;
	return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_INVALID_RNDIS_PACKET);
}

/*
 * Section and ranges become one list. False: too many pieces or bytes, none at all, or some range
 * is nowhere.
 */
static bool assemble(struct vmb_host_network_io *io, const struct vmb_host_offload_piece *pieces,
		     uint32_t count)
{
	uint64_t total = 0;
	uint32_t i;

	if (!io->range_count)
		count = 0;
	else if (!pieces)
		return false;
	if (count >= VMB_HOST_NETWORK_PIECE_COUNT_MAX)
		return false;
	io->pieces = pieces;
	io->piece_count = count;
	if (io->has_section) {
		if (count)
			memcpy(io->list + 1, pieces, count * sizeof(*pieces));
		io->pieces = io->list;
		io->piece_count = count + 1;
	}
	for (i = 0; i < io->piece_count; i++)
		total += io->pieces[i].len;
	io->total_len = (uint32_t)total;
	return total && total <= VMB_HOST_NETWORK_SEND_LEN_MAX;
}

bool vmb_host_network_copy(const struct vmb_host_network_io *io, uint32_t offset, void *dst,
			   uint32_t len)
{
	const struct vmb_host_offload_piece *piece = io->pieces;
	uint8_t *to = dst;
	uint32_t part;

	if (offset > io->total_len || len > io->total_len - offset)
		return false;
	for (; len; piece++) {
		if (offset >= piece->len) {
			offset -= piece->len;
			continue;
		}
		part = piece->len - offset;
		part = part < len ? part : len;
		vmb_shared_read(to, piece->base + offset, part);
		to += part;
		len -= part;
		offset = 0;
	}
	return true;
}

uint32_t vmb_host_network_slice(const struct vmb_host_network_io *io, uint32_t offset, uint32_t len,
				struct vmb_host_offload_piece *slice, uint32_t max)
{
	const struct vmb_host_offload_piece *piece = io->pieces;
	uint32_t count = 0, part;

	if (offset > io->total_len || len > io->total_len - offset)
		return 0;
	for (; len; piece++) {
		if (offset >= piece->len) {
			offset -= piece->len;
			continue;
		}
		if (count == max)
			return 0;
		part = piece->len - offset;
		part = part < len ? part : len;
		slice[count].base = piece->base + offset;
		slice[count++].len = part;
		len -= part;
		offset = 0;
	}
	return count;
}

/*
 * The frames that a filter of 0 or a halted adapter leaves behind go the way of those that were
 * never taken.
 */
static void carry_out(struct vmb_host_network *n)
{
	if (!n->rndis.filter)
		vmb_host_network_receive_flush(n);
}

int vmb_host_network_control(struct vmb_host_network *n, struct vmb_host_network_io *io,
			     const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	uint32_t at = (n->reply_first + n->reply_count) % VMB_ARRAY_COUNT(n->replies);

	if (!assemble(io, pieces, count) || io->total_len > sizeof(n->control))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_INVALID_RNDIS_PACKET);
	if (n->reply_count == VMB_ARRAY_COUNT(n->replies))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_BUSY);
	vmb_host_network_copy(io, 0, n->control, io->total_len);
	if (vmb_host_rndis_control(&n->rndis, n->control, io->total_len, n->replies[at].bytes,
				   &n->replies[at].len))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_INVALID_RNDIS_PACKET);
	if (n->replies[at].len)
		n->reply_count++;
	carry_out(n);
	return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_SUCCESS);
}

int vmb_host_network_send(struct vmb_host_network *n, struct vmb_host_network_io *io,
			  const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	if (n->rndis.state != VMB_HOST_RNDIS_INITIALIZED)
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_FAIL);
	if (!assemble(io, pieces, count))
		return vmb_host_network_send_reply(n, io, VMB_NET_STATUS_INVALID_RNDIS_PACKET);
	return VMB_HOST_NETWORK_SEND;
}

/* What the guest asks for must be on offer, and what it hands over no longer than agreed. */
static bool frame_valid(const struct vmb_host_network *n, const struct vmb_host_rndis_frame *frame)
{
	uint32_t mss = frame->lso & RNDIS_LSO_MSS_MASK;

	if (frame->len < VMB_NET_ETHERNET_LEN)
		return false;
	if (frame->present & VMB_HOST_RNDIS_HAS_CHECKSUM &&
	    frame->checksum &
		    (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP | RNDIS_TX_CHECKSUM_IP_HEADER) &&
	    !(n->config.rndis.offload & VMB_HOST_RNDIS_TX_CHECKSUM))
		return false;
	if (!(frame->present & VMB_HOST_RNDIS_HAS_LSO))
		return frame->len <= n->rndis.mtu + VMB_NET_ETHERNET_LEN + VLAN_TAG_LEN;
	return n->config.rndis.offload & VMB_HOST_RNDIS_LSO && mss && mss <= n->rndis.mtu &&
	       (frame->lso >> RNDIS_LSO_TCP_OFFSET_SHIFT & RNDIS_LSO_TCP_OFFSET_MAX) < frame->len &&
	       frame->len <= VMB_NET_LSO_LEN_MAX + LSO_HEADERS_MAX;
}

bool vmb_host_network_send_next(struct vmb_host_network *n, struct vmb_host_network_io *io,
				struct vmb_host_network_frame *frame)
{
	uint8_t envelope[VMB_HOST_RNDIS_ENVELOPE_LEN_MAX];
	uint32_t room = io->total_len - io->position;
	uint32_t len = room < sizeof(envelope) ? room : (uint32_t)sizeof(envelope);

	if (io->status != VMB_NET_STATUS_SUCCESS || !room ||
	    (io->frame_count && room < PADDING_LEN_MAX))
		return false;
	vmb_host_network_copy(io, io->position, envelope, len);
	if (io->frame_count == VMB_HOST_RNDIS_PACKET_COUNT_MAX ||
	    vmb_host_rndis_unwrap(envelope, len, room, &frame->rndis) ||
	    !frame_valid(n, &frame->rndis)) {
		io->status = VMB_NET_STATUS_INVALID_RNDIS_PACKET;
		return false;
	}
	frame->offset = io->position + frame->rndis.data_offset;
	io->position += frame->rndis.message_len;
	io->frame_count++;
	n->rndis.counters.tx_frames++;
	n->rndis.counters.tx_bytes += frame->rndis.len;
	return true;
}

int vmb_host_network_send_done(struct vmb_host_network *n, struct vmb_host_network_io *io)
{
	return vmb_host_network_send_reply(n, io, io->status);
}
