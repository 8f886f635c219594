// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the packets of a byte stream are: judges those that came, makes those that leave. */
#include "ring/stream.h"

void vmb_stream_init(struct vmb_stream *s)
{
	memset(s, 0, sizeof(*s));
}

static int drop(struct vmb_stream *s)
{
	s->dropped++;
	return VMB_STREAM_NOTHING;
}

int vmb_stream_input(struct vmb_stream *s, const struct vmb_ring_received *received,
		     const struct vmb_pipe_header *header, uint32_t *len)
{
	if (received->type != VMB_PKT_INBAND)
		return drop(s);
	if (received->header_len || received->payload_len < sizeof(*header))
		return VMB_EPROTO;
	if (header->type != VMB_PIPE_DATA)
		return drop(s);
	if (header->len > VMB_PIPE_DATA_LEN_MAX ||
	    header->len > received->payload_len - sizeof(*header))
		return VMB_EPROTO;
	*len = header->len;
	if (header->len)
		return s->ended_in ? VMB_EPROTO : VMB_STREAM_DATA;
	if (s->ended_in)
		return VMB_STREAM_NOTHING;
	s->ended_in = true;
	return VMB_STREAM_END;
}

#define END_LEN \
	(sizeof(struct vmb_pkt_desc) + VMB_STREAM_HEADER_LEN + sizeof(struct vmb_pkt_footer))

/* A packet around nothing, an end behind it, and the eight bytes that are never filled. */
#define OVERHEAD (2 * END_LEN + 8)

uint32_t vmb_stream_fits(uint32_t room)
{
	uint32_t len = room > OVERHEAD ? (room - (uint32_t)OVERHEAD) & ~7u : 0;

	return len < VMB_PIPE_DATA_LEN_MAX ? len : VMB_PIPE_DATA_LEN_MAX;
}

uint32_t vmb_stream_packet_len(uint32_t len)
{
	return vmb_ring_packet_len(0, VMB_STREAM_HEADER_LEN + len) + (uint32_t)END_LEN;
}

static void fill(struct vmb_stream_packet *p, const void *bytes, uint32_t len)
{
	memset(p, 0, sizeof(*p));
	p->header.type = VMB_PIPE_DATA;
	p->header.len = len;
	p->parts[0].base = &p->header;
	p->parts[0].len = sizeof(p->header);
	p->parts[1].base = bytes;
	p->parts[1].len = len;
	p->packet.type = VMB_PKT_INBAND;
	p->packet.payload = p->parts;
	p->packet.payload_count = len ? 2 : 1;
}

void vmb_stream_data(struct vmb_stream_packet *p, const void *bytes, uint32_t len)
{
	fill(p, bytes, len);
}

void vmb_stream_end(struct vmb_stream_packet *p)
{
	fill(p, NULL, 0);
}
