// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes Ethernet frames, with checksums or without, and judges them byte by byte. */
#include <string.h>

#include "tests/network_frame.h"

const uint8_t net_guest_mac[6] = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 };
const uint8_t net_other_mac[6] = { 0x00, 0x15, 0x5D, 0x0A, 0x0B, 0x0C };

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* One's complement sum, one byte after the other: even ones weigh 256. */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		if (sum > 0xFFFF)
			sum -= 0xFFFF;
	}
	return sum;
}

static uint32_t ip_len(const struct net_spec *s)
{
	if (!s->ip)
		return 0;
	return s->ip == 4 ? 20 + s->options_len : 40;
}

static uint32_t transport_len(const struct net_spec *s)
{
	if (!s->ip)
		return 0;
	return s->protocol == NET_TCP ? 20 + s->tcp_options_len : 8;
}

uint32_t net_transport_at(const struct net_spec *spec)
{
	return 14 + ip_len(spec);
}

uint32_t net_head_len(const struct net_spec *spec)
{
	return net_transport_at(spec) + transport_len(spec);
}

uint8_t net_payload_byte(uint32_t flow, uint32_t at)
{
	uint32_t x = (flow + 1) * 2654435761u ^ (at / 4 + 1) * 2246822519u;

	x ^= x >> 15;
	x *= 3266489917u;
	return (uint8_t)((x ^ x >> 13) >> 8 * (at % 4));
}

uint32_t net_payload_differs(const uint8_t *payload, uint32_t len, uint32_t flow, uint32_t at)
{
	uint32_t i;

	for (i = 0; i < len && payload[i] == net_payload_byte(flow, at + i); i++)
		;
	return i;
}

static void make_ipv4(uint8_t *ip, const struct net_spec *s)
{
	ip[0] = (uint8_t)(0x40 | ip_len(s) / 4);
	put16(ip + 2, s->large ? 0 : s->len - 14);
	put16(ip + 4, s->flow * 77 + 5);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = s->protocol;
	put32(ip + 12, 0x0A000002);
	put32(ip + 16, 0x0A010000 + s->flow);
	memset(ip + 20, 1, s->options_len); /* no operation */
	if (s->checksums == NET_CHECKSUMS_DONE)
		put16(ip + 10, ~sum_bytes(0, ip, ip_len(s)) & 0xFFFF);
	else if (s->checksums == NET_CHECKSUMS_JUNK)
		put16(ip + 10, 0xBEEF);
}

static void make_ipv6(uint8_t *ip, const struct net_spec *s)
{
	ip[0] = 0x60;
	put16(ip + 4, s->large ? 0 : s->len - 54);
	ip[6] = s->protocol;
	ip[7] = 64;
	put32(ip + 8, 0xFD000001);
	put32(ip + 20, 2);
	put32(ip + 24, 0xFD000001);
	put32(ip + 36, 0x10000 + s->flow);
}

static uint32_t pseudo_sum(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t len)
{
	uint8_t tail[8] = { 0 };
	uint32_t sum = version == 4 ? sum_bytes(0, ip + 12, 8) : sum_bytes(0, ip + 8, 32);

	put32(tail, len);
	tail[7] = protocol;
	return sum_bytes(sum, tail, sizeof(tail));
}

static void make_checksum(uint8_t *frame, const struct net_spec *s)
{
	uint8_t *transport = frame + net_transport_at(s);
	uint32_t len = s->len - net_transport_at(s);
	uint32_t sum = pseudo_sum(frame + 14, s->ip, s->protocol, s->large ? 0 : len);
	uint8_t *field = transport + (s->protocol == NET_TCP ? 16 : 6);

	put16(field, 0);
	if (s->checksums == NET_CHECKSUMS_DONE)
		sum = ~sum_bytes(sum, transport, len) & 0xFFFF;
	if (s->checksums == NET_CHECKSUMS_JUNK)
		sum = 0x1234;
	if (!sum && s->protocol == NET_UDP)
		sum = 0xFFFF;
	put16(field, sum);
}

static void make_transport(uint8_t *at, const struct net_spec *s)
{
	put16(at, 1024 + s->flow % 50000);
	put16(at + 2, 80);
	if (s->protocol == NET_UDP) {
		put16(at + 4, s->large ? 0 : s->len - net_transport_at(s));
		return;
	}
	put32(at + 4, s->sequence);
	put32(at + 8, 99);
	at[12] = (uint8_t)(transport_len(s) / 4 << 4);
	at[13] = s->tcp_flags ? s->tcp_flags : 0x10;
	put16(at + 14, 0x2000);
	memset(at + 20, 1, s->tcp_options_len);
}

void net_frame_make(uint8_t *dst, const struct net_spec *spec)
{
	uint32_t head_len = net_head_len(spec), i;

	memset(dst, 0, head_len);
	memcpy(dst, net_other_mac, 6);
	if (spec->broadcast)
		memset(dst, 0xFF, 6);
	memcpy(dst + 6, net_guest_mac, 6);
	put16(dst + 12, spec->ip == 4 ? 0x0800 : spec->ip == 6 ? 0x86DD : 0x88B5);
	for (i = head_len; i < spec->len; i++)
		dst[i] = net_payload_byte(spec->flow, spec->sequence + i - head_len);
	if (spec->ip == 4)
		make_ipv4(dst + 14, spec);
	else if (spec->ip == 6)
		make_ipv6(dst + 14, spec);
	if (!spec->ip)
		return;
	make_transport(dst + net_transport_at(spec), spec);
	make_checksum(dst, spec);
}

static const char *judge_tcp(const uint8_t *tcp, uint32_t len, struct net_verdict *v)
{
	uint32_t head_len = len >= 20 ? tcp[12] / 16 * 4u : 0;

	if (head_len < 20 || head_len > len)
		return "TCP header length";
	v->sequence = get32(tcp + 4);
	v->tcp_flags = tcp[13];
	v->payload_at += head_len;
	v->payload_len = len - head_len;
	return NULL;
}

static const char *judge_udp(const uint8_t *udp, uint32_t len, struct net_verdict *v)
{
	if (len < 8 || get16(udp + 4) != len)
		return "UDP length";
	if (!get16(udp + 6))
		return "UDP without a checksum";
	v->payload_at += 8;
	v->payload_len = len - 8;
	return NULL;
}

/* at: of the transport header, len: of it and what follows. */
static const char *judge_transport(const uint8_t *ip, const uint8_t *at, uint32_t len,
				   struct net_verdict *v)
{
	const char *wrong = NULL;

	if (v->protocol == NET_TCP)
		wrong = judge_tcp(at, len, v);
	else if (v->protocol == NET_UDP)
		wrong = judge_udp(at, len, v);
	else
		return NULL;
	if (!wrong && sum_bytes(pseudo_sum(ip, v->ip, v->protocol, len), at, len) != 0xFFFF)
		wrong = "transport checksum";
	return wrong;
}

static const char *judge_ipv4(const uint8_t *ip, uint32_t len, struct net_verdict *v)
{
	uint32_t head_len = len >= 20 ? (ip[0] & 15) * 4u : 0;

	if (head_len < 20 || head_len > len || ip[0] >> 4 != 4)
		return "IPv4 header length";
	if (get16(ip + 2) != len)
		return "IPv4 length";
	if (sum_bytes(0, ip, head_len) != 0xFFFF)
		return "IPv4 header checksum";
	v->ip = 4;
	v->protocol = ip[9];
	v->identification = (uint16_t)get16(ip + 4);
	v->payload_at += head_len;
	return judge_transport(ip, ip + head_len, len - head_len, v);
}

static const char *judge_ipv6(const uint8_t *ip, uint32_t len, struct net_verdict *v)
{
	if (len < 40 || ip[0] >> 4 != 6)
		return "IPv6 header";
	if (get16(ip + 4) != len - 40)
		return "IPv6 length";
	v->ip = 6;
	v->protocol = ip[6];
	v->payload_at += 40;
	return judge_transport(ip, ip + 40, len - 40, v);
}

struct net_verdict net_frame_judge(const uint8_t *bytes, uint32_t len)
{
	struct net_verdict v = { .payload_at = 14 };
	uint32_t type;

	if (len < 14) {
		v.wrong = "shorter than an Ethernet header";
		return v;
	}
	type = get16(bytes + 12);
	if (type == 0x8100 && len >= 18) {
		v.vlan_tag = (uint16_t)get16(bytes + 14);
		type = get16(bytes + 16);
		v.payload_at = 18;
	}
	if (type == 0x0800)
		v.wrong = judge_ipv4(bytes + v.payload_at, len - v.payload_at, &v);
	else if (type == 0x86DD)
		v.wrong = judge_ipv6(bytes + v.payload_at, len - v.payload_at, &v);
	else
		v.payload_len = len - v.payload_at;
	return v;
}
