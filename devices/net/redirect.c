// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rewrites addresses and ports of TCP over IPv4 in passing frames, and what DHCP tells a guest. */
#include <arpa/inet.h>
#include <string.h>

#include "devices/net/redirect.h"
#include "host/offload.h"

#define ETHERTYPE_IPV4	0x0800u
#define PROTOCOL_TCP	6u
#define IP_LEN_AT	2u
#define IP_CHECKSUM_AT	10u
#define IP_FROM_AT	12u
#define IP_TO_AT	16u
#define TCP_CHECKSUM_AT 16u
#define UDP_AT		34u
#define UDP_LEN_AT	(UDP_AT + 4u)
#define OPTIONS_AT	282u
#define OPTION_PAD	0u
#define OPTION_END	255u

static const uint8_t gateway[4] = { 10, 0, 2, 2 };

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* One end of a connection as it lies in a frame. */
struct end {
	uint8_t address[4];
	uint8_t port[2];
};

static struct end end_of(uint32_t address, uint16_t port)
{
	struct end end;

	memcpy(end.address, &address, sizeof(end.address));
	put16(end.port, port);
	return end;
}

/* Where a redirect leads, in libslirp's network. */
static struct end target_of(const struct vmb_dev_net_redirect *r)
{
	struct end end = end_of(r->to_address, r->to_port);

	if (r->to_address == htonl(INADDR_LOOPBACK))
		memcpy(end.address, gateway, sizeof(gateway));
	return end;
}

/* TCP over IPv4, whole: in fragments ports are out of reach. */
static bool find_tcp(const uint8_t *frame, uint32_t len, struct vmb_host_offload_layout *layout)
{
	uint32_t head_len = len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len :
								  VMB_HOST_OFFLOAD_HEAD_LEN_MAX;

	return !vmb_host_offload_parse(frame, head_len, len, layout) &&
	       layout->ethertype == ETHERTYPE_IPV4 && layout->ip_version == 4 &&
	       layout->protocol == PROTOCOL_TCP && !layout->fragment && layout->transport_offset;
}

/* RFC 1624: the checksum of a header in which len bytes, an even number, change. */
static void update(uint8_t *checksum, const uint8_t *before, const uint8_t *after, uint32_t len)
{
	uint32_t sum = 0xFFFF & ~get16(checksum);

	for (uint32_t i = 0; i < len; i += 2)
		sum += (0xFFFF & ~get16(before + i)) + get16(after + i);
	put16(checksum, 0xFFFF & ~vmb_host_offload_fold(sum));
}

/* Writes to over the address at ip + address_at and the port that belongs to it. */
static void replace(uint8_t *ip, uint32_t address_at, uint8_t *tcp, uint32_t port_at,
		    const struct end *to)
{
	update(ip + IP_CHECKSUM_AT, ip + address_at, to->address, sizeof(to->address));
	update(tcp + TCP_CHECKSUM_AT, ip + address_at, to->address, sizeof(to->address));
	update(tcp + TCP_CHECKSUM_AT, tcp + port_at, to->port, sizeof(to->port));
	memcpy(ip + address_at, to->address, sizeof(to->address));
	memcpy(tcp + port_at, to->port, sizeof(to->port));
}

static bool is_end(const uint8_t *address, const uint8_t *port, const struct end *end)
{
	return memcmp(address, end->address, sizeof(end->address)) == 0 &&
	       memcmp(port, end->port, sizeof(end->port)) == 0;
}

void vmb_dev_net_redirect_out(const struct vmb_dev_net_option *option, uint8_t *frame, uint32_t len)
{
	struct vmb_host_offload_layout layout;
	uint8_t *ip, *tcp;

	if (!option->redirect_count || !find_tcp(frame, len, &layout))
		return;
	ip = frame + layout.ip_offset;
	tcp = frame + layout.transport_offset;
	for (uint32_t i = 0; i < option->redirect_count; i++) {
		const struct vmb_dev_net_redirect *r = &option->redirects[i];
		struct end from = end_of(r->from_address, r->from_port), to = target_of(r);

		if (!is_end(ip + IP_TO_AT, tcp + 2, &from))
			continue;
		replace(ip, IP_TO_AT, tcp, 2, &to);
		return;
	}
}

/* The redirect that a frame to the guest belongs to; NULL: none. */
static const struct vmb_dev_net_redirect *redirect_of(const struct vmb_dev_net_option *option,
						      const uint8_t *frame, uint32_t len,
						      struct vmb_host_offload_layout *layout)
{
	if (!option->redirect_count || !find_tcp(frame, len, layout))
		return NULL;
	for (uint32_t i = 0; i < option->redirect_count; i++) {
		struct end to = target_of(&option->redirects[i]);

		if (is_end(frame + layout->ip_offset + IP_FROM_AT, frame + layout->transport_offset,
			   &to))
			return &option->redirects[i];
	}
	return NULL;
}

bool vmb_dev_net_redirect_is_back(const struct vmb_dev_net_option *option, const uint8_t *frame,
				  uint32_t len)
{
	struct vmb_host_offload_layout layout;

	return redirect_of(option, frame, len, &layout) != NULL;
}

void vmb_dev_net_redirect_in(const struct vmb_dev_net_option *option, uint8_t *frame, uint32_t len)
{
	struct vmb_host_offload_layout layout;
	const struct vmb_dev_net_redirect *r = redirect_of(option, frame, len, &layout);
	struct end from;

	if (!r)
		return;
	from = end_of(r->from_address, r->from_port);
	replace(frame + layout.ip_offset, IP_FROM_AT, frame + layout.transport_offset, 0, &from);
}

/* Where the options end; 0: nowhere. */
static uint32_t find_end(const uint8_t *frame, uint32_t len)
{
	uint32_t at = OPTIONS_AT;

	while (at < len && frame[at] != OPTION_END)
		at += frame[at] == OPTION_PAD ? 1 : at + 1 < len ? 2u + frame[at + 1] : len;
	return at < len ? at : 0;
}

static void write_lengths(uint8_t *frame, uint32_t len)
{
	const struct vmb_host_offload_piece rest = { frame + VMB_HOST_OFFLOAD_HEAD_LEN_MAX,
						     len - VMB_HOST_OFFLOAD_HEAD_LEN_MAX };

	put16(frame + UDP_AT - 20 + IP_LEN_AT, len - (UDP_AT - 20));
	put16(frame + UDP_LEN_AT, len - UDP_AT);
	vmb_host_offload_complete(frame, VMB_HOST_OFFLOAD_HEAD_LEN_MAX, &rest, 1,
				  RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_IP_HEADER |
					  RNDIS_TX_CHECKSUM_UDP);
}

uint32_t vmb_dev_net_redirect_add_dhcp(const struct vmb_dev_net_option *option, uint8_t *frame,
				       uint32_t len, uint32_t max)
{
	uint32_t at = find_end(frame, len), need = 1;

	for (uint32_t i = 0; i < option->dhcp_option_count; i++)
		need += 2u + option->dhcp_options[i].len;
	if (!at || need == 1 || max < at + need)
		return len;
	for (uint32_t i = 0; i < option->dhcp_option_count; i++) {
		const struct vmb_dev_net_dhcp_option *o = &option->dhcp_options[i];

		frame[at++] = o->code;
		frame[at++] = o->len;
		memcpy(frame + at, o->bytes, o->len);
		at += o->len;
	}
	frame[at++] = OPTION_END;
	len = len > at ? len : at;
	write_lengths(frame, len);
	return len;
}
