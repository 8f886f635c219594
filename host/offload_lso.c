// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Large sends: one TCP frame of up to 64 KiB is cut into segments with headers of their own.
 */
#include "host/offload.h"

#include "host/offload_internal.h"

/* What one IP packet can carry. A guest is held to less, a frame that arrives is not. */
#define PAYLOAD_LEN_MAX 0xFFFFu
#define SEGMENT_LEN_MIN 48u /* bytes of TCP options and payload */
#define TCP_FLAGS_AT	13u
#define TCP_FIN		0x01u
#define TCP_PSH		0x08u
#define TCP_CWR		0x80u

int vmb_host_offload_lso_begin(struct vmb_host_offload_lso *s, const uint8_t *head,
			       uint32_t head_len, uint32_t len, uint32_t lso, uint32_t mtu)
{
	uint32_t headers, options;

	memset(s, 0, sizeof(*s));
	if (head_len > len || vmb_host_offload_parse(head, head_len, len, &s->layout))
		return VMB_EPROTO;
	if (!vmb_host_offload_flags_fit(&s->layout, RNDIS_TX_CHECKSUM_TCP))
		return VMB_EPROTO;
	s->head_len = s->layout.payload_offset;
	s->payload_len = len - s->head_len;
	s->mss = lso & RNDIS_LSO_MSS_MASK;
	headers = s->head_len - s->layout.ip_offset;
	if (s->head_len > sizeof(s->head) || s->payload_len > PAYLOAD_LEN_MAX)
		return VMB_EPROTO;
	options = s->head_len - s->layout.transport_offset - VMB_HOST_OFFLOAD_TCP_LEN;
	if (s->mss + options < SEGMENT_LEN_MIN || headers >= mtu || s->mss > mtu - headers)
		return VMB_EPROTO;
	memcpy(s->head, head, s->head_len);
	return 0;
}

static void add32(uint8_t *at, uint32_t value)
{
	uint32_t number = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
			  at[3];

	number += value;
	at[0] = (uint8_t)(number >> 24);
	at[1] = (uint8_t)(number >> 16);
	at[2] = (uint8_t)(number >> 8);
	at[3] = (uint8_t)number;
}

/* What only the first or the last segment may say is taken out of the others. */
static uint8_t flags_of(const struct vmb_host_offload_lso *s, uint8_t flags, uint32_t len)
{
	if (s->done)
		flags &= (uint8_t)~TCP_CWR;
	if (s->done + len < s->payload_len)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	return flags;
}

static void write_head(const struct vmb_host_offload_lso *s, uint8_t *head, uint32_t len)
{
	const struct vmb_host_offload_layout *layout = &s->layout;
	uint8_t *ip = head + layout->ip_offset, *tcp = head + layout->transport_offset;
	uint16_t sum;

	memcpy(head, s->head, s->head_len);
	vmb_host_offload_ip_len(head, layout, s->head_len + len);
	add32(tcp + 4, s->done);
	tcp[TCP_FLAGS_AT] = flags_of(s, tcp[TCP_FLAGS_AT], len);
	if (layout->ip_version == 4) {
		vmb_host_offload_put16(ip + 4, vmb_host_offload_get16(ip + 4) + s->number);
		vmb_host_offload_ip_header(head, layout);
	}
	sum = vmb_host_offload_fold(vmb_host_offload_pseudo(
		head, layout, s->head_len - layout->transport_offset + len));
	memcpy(head + vmb_host_offload_checksum_at(layout), &sum, sizeof(sum));
}

bool vmb_host_offload_lso_next(struct vmb_host_offload_lso *s, uint8_t *head,
			       uint32_t *payload_offset, uint32_t *payload_len)
{
	uint32_t len = s->payload_len - s->done;

	/* A frame without payload is one segment. */
	if (!len && s->number)
		return false;
	if (len > s->mss)
		len = s->mss;
	write_head(s, head, len);
	*payload_offset = s->head_len + s->done;
	*payload_len = len;
	s->done += len;
	s->number++;
	return true;
}

uint32_t vmb_host_offload_lso_left(const struct vmb_host_offload_lso *s)
{
	uint32_t len = s->payload_len - s->done;

	/* A frame without payload is one segment. */
	return len ? (len - 1) / s->mss + 1 : !s->number;
}
