// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames of all kinds from a seeded source, and a sink that judges each byte of them. */
#include "tests/host_offload_bed.h"

#include <string.h>

uint32_t source_random(void)
{
	static uint64_t state = 0x9E3779B97F4A7C15ull;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

static void random_bytes(uint8_t *at, uint32_t len)
{
	while (len--)
		*at++ = (uint8_t)source_random();
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

struct frame_kind source_kind(uint32_t payload_max)
{
	struct frame_kind kind = { 0 };

	kind.ip_version = source_random() & 1 ? 4 : 6;
	kind.protocol = source_random() & 1 ? 6 : 17;
	kind.tags = source_random() % 4 == 0;
	if (kind.ip_version == 4)
		kind.ip_extra = source_random() % 3 ? 0 : source_random() % 11 * 4;
	else
		kind.ip_extra = source_random() % 3 ? 0 : source_random() % 4;
	kind.tcp_extra = source_random() % 11 * 4;
	kind.payload_len = source_random() % (payload_max + 1);
	kind.padding = source_random() % 3 ? 0 : source_random() % 20;
	return kind;
}

static uint32_t put_ethernet(uint8_t *at, const struct frame_kind *kind)
{
	uint32_t i;

	random_bytes(at, 12);
	at += 12;
	for (i = 0; i < kind->tags; i++, at += 4) {
		put16(at, 0x8100);
		put16(at + 2, source_random());
	}
	put16(at, kind->ip_version == 4 ? 0x0800 : 0x86DD);
	return 14 + 4 * kind->tags;
}

static void put_ipv4(uint8_t *at, const struct frame_kind *kind, uint32_t ip_len)
{
	random_bytes(at, 20 + kind->ip_extra);
	at[0] = (uint8_t)(0x40 | (5 + kind->ip_extra / 4));
	put16(at + 2, ip_len);
	put16(at + 6, 0x4000); /* don't fragment */
	at[9] = kind->protocol;
}

/* Hop-by-hop of 8 bytes, destination options of 16, a fragment header that fragments nothing. */
static uint32_t put_ipv6(uint8_t *at, const struct frame_kind *kind, uint32_t payload_len)
{
	static const uint8_t types[] = { 0, 60, 44 };
	static const uint32_t lens[] = { 8, 16, 8 };
	uint32_t len = 40, i, next = 6;

	random_bytes(at, 40);
	at[0] = 0x60 | (at[0] & 15);
	for (i = 0; i < kind->ip_extra; i++) {
		at[next] = types[i];
		random_bytes(at + len, lens[i]);
		at[len + 1] = (uint8_t)(lens[i] / 8 - 1);
		if (types[i] == 44)
			memset(at + len + 1, 0, 3);
		next = len;
		len += lens[i];
	}
	at[next] = kind->protocol;
	put16(at + 4, len - 40 + payload_len);
	return len;
}

static uint32_t transport_header_len(const struct frame_kind *kind)
{
	if (kind->protocol == 6)
		return 20 + kind->tcp_extra;
	return kind->protocol == 17 ? 8 : 0;
}

void source_frame(struct frame *frame, const struct frame_kind *kind)
{
	uint32_t header_len = transport_header_len(kind), ip_len;
	uint8_t *at = frame->bytes;

	frame->ip_at = put_ethernet(at, kind);
	at += frame->ip_at;
	if (kind->ip_version == 4) {
		ip_len = 20 + kind->ip_extra;
		put_ipv4(at, kind, ip_len + header_len + kind->payload_len);
	} else {
		ip_len = put_ipv6(at, kind, header_len + kind->payload_len);
	}
	at += ip_len;
	frame->transport_at = frame->ip_at + ip_len;
	frame->payload_at = frame->transport_at + header_len;
	random_bytes(at, header_len + kind->payload_len + kind->padding);
	if (kind->protocol == 6)
		at[12] = (uint8_t)(header_len / 4 << 4);
	if (kind->protocol == 17)
		put16(at + 4, header_len + kind->payload_len);
	frame->len = frame->payload_at + kind->payload_len + kind->padding;
}

/* Adds bytes to a sum of big-endian words; a last odd byte is the high half of a word. */
static uint32_t add_bytes(uint32_t sum, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
		if (sum > 0xFFFF)
			sum -= 0xFFFF;
	}
	return sum;
}

uint16_t sink_sum(const uint8_t *bytes, uint32_t len)
{
	return (uint16_t)add_bytes(0, bytes, len);
}

static const char *judge_transport(const uint8_t *at, uint32_t len, uint8_t protocol, uint32_t sum)
{
	uint32_t field = protocol == 6 ? 16 : 6, covered = len;
	uint8_t pseudo[6] = { 0 };

	if (protocol != 6 && protocol != 17)
		return NULL;
	if (protocol == 17)
		covered = get16(at + 4);
	if (covered > len || covered < (protocol == 6 ? 20u : 8u))
		return "transport length";
	if (protocol == 17 && !get16(at + field))
		return "UDP without checksum";
	put16(pseudo, covered >> 16);
	put16(pseudo + 2, covered);
	pseudo[5] = protocol;
	sum = add_bytes(sum, pseudo, sizeof(pseudo));
	sum = add_bytes(sum, at, covered);
	return sum == 0xFFFF ? NULL : "transport checksum";
}

static const char *judge_ipv4(const uint8_t *ip, uint32_t len)
{
	uint32_t header_len = (ip[0] & 15) * 4, ip_len = get16(ip + 2);

	if (len < 20 || header_len < 20 || ip_len < header_len || ip_len > len)
		return "IPv4 length";
	if (add_bytes(0, ip, header_len) != 0xFFFF)
		return "IPv4 header checksum";
	return judge_transport(ip + header_len, ip_len - header_len, ip[9],
			       add_bytes(0, ip + 12, 8));
}

static const char *judge_ipv6(const uint8_t *ip, uint32_t len)
{
	uint32_t payload_len = get16(ip + 4), at = 40;
	uint8_t type = ip[6];

	if (len < 40 || payload_len + 40 > len)
		return "IPv6 length";
	while (type == 0 || type == 60 || type == 44) {
		uint32_t extension_len = type == 44 ? 8 : (ip[at + 1] + 1u) * 8;

		type = ip[at];
		at += extension_len;
		if (at > payload_len + 40)
			return "IPv6 extension headers";
	}
	return judge_transport(ip + at, payload_len + 40 - at, type, add_bytes(0, ip + 8, 32));
}

const char *sink_judge(const uint8_t *bytes, uint32_t len)
{
	uint32_t at = 12;

	if (len < 14)
		return "Ethernet header";
	while (get16(bytes + at) == 0x8100)
		at += 4;
	if (get16(bytes + at) == 0x0800)
		return judge_ipv4(bytes + at + 2, len - at - 2);
	if (get16(bytes + at) == 0x86DD)
		return judge_ipv6(bytes + at + 2, len - at - 2);
	return "not IP";
}
