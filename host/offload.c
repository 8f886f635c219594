// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a frame's headers lie, and its checksums. Lengths that stand in the headers count only as
 * far as the frame really has the bytes.
 */
#include "host/offload.h"

#include "host/offload_internal.h"

#define ETHERTYPE_VLAN	    0x8100u
#define ETHERTYPE_SERVICE   0x88A8u
#define TAG_COUNT_MAX	    2u
#define IPV6_HOP_BY_HOP	    0u
#define IPV6_ROUTING	    43u
#define IPV6_FRAGMENT	    44u
#define IPV6_AUTHENTICATION 51u
#define IPV6_DESTINATION    60u
#define IPV6_NEXT_AT	    6u
#define IPV4_MORE_OR_OFFSET 0x3FFFu
#define IPV6_MORE_OR_OFFSET 0xFFF9u

struct parser {
	const uint8_t *head;
	uint32_t len; /* bytes of head that may be looked at */
	struct vmb_host_offload_layout *layout;
};

static bool has(const struct parser *p, uint32_t offset, uint32_t len)
{
	return offset <= p->len && len <= p->len - offset;
}

static int parse_transport(struct parser *p, uint32_t at)
{
	struct vmb_host_offload_layout *layout = p->layout;
	uint32_t header_len;

	if (layout->protocol == VMB_HOST_OFFLOAD_TCP) {
		if (!has(p, at, VMB_HOST_OFFLOAD_TCP_LEN))
			return VMB_EPROTO;
		header_len = (p->head[at + 12] >> 4) * 4u;
		if (header_len < VMB_HOST_OFFLOAD_TCP_LEN || !has(p, at, header_len))
			return VMB_EPROTO;
	} else if (layout->protocol == VMB_HOST_OFFLOAD_UDP) {
		header_len = VMB_HOST_OFFLOAD_UDP_LEN;
		if (!has(p, at, header_len))
			return VMB_EPROTO;
	} else {
		return 0;
	}
	layout->transport_offset = at;
	layout->payload_offset = at + header_len;
	return 0;
}

/*
 * The transport's header of a first fragment is there, but neither all of it nor what it sums need
 * be.
 */
static int parse_behind_ip(struct parser *p, uint32_t at, uint32_t fragment_offset)
{
	if (!p->layout->fragment)
		return parse_transport(p, at);
	if (!fragment_offset && has(p, at, VMB_HOST_OFFLOAD_UDP_LEN) &&
	    (p->layout->protocol == VMB_HOST_OFFLOAD_TCP ||
	     p->layout->protocol == VMB_HOST_OFFLOAD_UDP))
		p->layout->transport_offset = p->layout->payload_offset = at;
	return 0;
}

static int parse_ipv4(struct parser *p)
{
	uint32_t at = p->layout->ip_offset, header_len, fragment;
	const uint8_t *ip = p->head + at;

	if (!has(p, at, VMB_HOST_OFFLOAD_IPV4_LEN))
		return VMB_EPROTO;
	if (ip[0] >> 4 != 4)
		return 0;
	header_len = (ip[0] & 15) * 4u;
	if (header_len < VMB_HOST_OFFLOAD_IPV4_LEN || !has(p, at, header_len))
		return VMB_EPROTO;
	p->layout->ip_version = 4;
	p->layout->protocol = ip[9];
	fragment = vmb_host_offload_get16(ip + 6) & IPV4_MORE_OR_OFFSET;
	p->layout->fragment = fragment != 0;
	return parse_behind_ip(p, at + header_len, fragment & 0x1FFFu);
}

/* How long an extension header is; 0: what follows is none that can be stepped over. */
static uint32_t extension_len(uint8_t type, const uint8_t *at)
{
	switch (type) {
	case IPV6_HOP_BY_HOP:
	case IPV6_DESTINATION: return (at[1] + 1u) * 8;
	/*
	 * With hops to go the checksum is made with another address than the one that stands in the
	 * header.
	 */
	case IPV6_ROUTING: return at[3] ? 0 : (at[1] + 1u) * 8;
	case IPV6_FRAGMENT: return 8;
	case IPV6_AUTHENTICATION: return (at[1] + 2u) * 4;
	default: return 0;
	}
}

static bool is_extension(uint8_t type)
{
	return type == IPV6_HOP_BY_HOP || type == IPV6_DESTINATION || type == IPV6_ROUTING ||
	       type == IPV6_FRAGMENT || type == IPV6_AUTHENTICATION;
}

static int parse_ipv6(struct parser *p)
{
	uint32_t at = p->layout->ip_offset, fragment = 0, len;
	const uint8_t *ip = p->head + at;
	uint8_t type;

	if (!has(p, at, VMB_HOST_OFFLOAD_IPV6_LEN))
		return VMB_EPROTO;
	if (ip[0] >> 4 != 6)
		return 0;
	p->layout->ip_version = 6;
	type = ip[IPV6_NEXT_AT];
	at += VMB_HOST_OFFLOAD_IPV6_LEN;
	while (is_extension(type) && !(p->layout->fragment && fragment >> 3)) {
		if (!has(p, at, 8))
			return VMB_EPROTO;
		len = extension_len(type, p->head + at);
		if (!len)
			break;
		if (!has(p, at, len))
			return VMB_EPROTO;
		if (type == IPV6_FRAGMENT) {
			fragment = vmb_host_offload_get16(p->head + at + 2) & IPV6_MORE_OR_OFFSET;
			p->layout->fragment |= fragment != 0;
		}
		type = p->head[at];
		at += len;
	}
	p->layout->protocol = type;
	return parse_behind_ip(p, at, fragment >> 3);
}

int vmb_host_offload_parse(const uint8_t *head, uint32_t head_len, uint32_t len,
			   struct vmb_host_offload_layout *layout)
{
	struct parser p = { head, head_len < len ? head_len : len, layout };
	uint32_t at = VMB_HOST_OFFLOAD_ETHERNET_LEN, tags;

	memset(layout, 0, sizeof(*layout));
	if (!has(&p, 0, at))
		return VMB_EPROTO;
	layout->ethertype = vmb_host_offload_get16(head + at - 2);
	for (tags = 0; tags < TAG_COUNT_MAX; tags++) {
		if (layout->ethertype != ETHERTYPE_VLAN && layout->ethertype != ETHERTYPE_SERVICE)
			break;
		if (!has(&p, at, 4))
			return VMB_EPROTO;
		layout->ethertype = vmb_host_offload_get16(head + at + 2);
		at += 4;
	}
	layout->ip_offset = at;
	if (layout->ethertype == VMB_HOST_OFFLOAD_ETHERTYPE_IPV4)
		return parse_ipv4(&p);
	if (layout->ethertype == VMB_HOST_OFFLOAD_ETHERTYPE_IPV6)
		return parse_ipv6(&p);
	return 0;
}

static uint64_t add(uint64_t sum, uint64_t value)
{
	sum += value;
	return sum + (sum < value);
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint16_t fold64(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xFFFFFFFFu);
	sum = (sum >> 32) + (sum & 0xFFFFFFFFu);
	return vmb_host_offload_fold((uint32_t)sum);
}

/*
 * Whole words of 64 bits with the carry added back: a one's complement sum does not care how wide
 * its words are. Two chains, so that one addition need not wait for the other's carry.
 */
uint32_t vmb_host_offload_sum(uint32_t sum, bool odd, const uint8_t *bytes, uint32_t len)
{
	uint64_t a = 0, b = 0, tail = 0;
	uint16_t part;

	for (; len >= 32; len -= 32, bytes += 32) {
		a = add(a, load64(bytes));
		b = add(b, load64(bytes + 8));
		a = add(a, load64(bytes + 16));
		b = add(b, load64(bytes + 24));
	}
	for (; len >= 8; len -= 8, bytes += 8)
		a = add(a, load64(bytes));
	memcpy(&tail, bytes, len);
	part = fold64(add(add(a, b), tail));
	if (odd)
		part = (uint16_t)(part << 8 | part >> 8);
	return vmb_host_offload_fold(sum) + part;
}

uint16_t vmb_host_offload_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xFFFF);
	return (uint16_t)((sum >> 16) + sum);
}

static uint16_t field(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void put_field(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

uint32_t vmb_host_offload_pseudo(const uint8_t *head, const struct vmb_host_offload_layout *layout,
				 uint32_t len)
{
	const uint8_t *ip = head + layout->ip_offset;
	uint8_t tail[8] = { 0 };

	tail[0] = (uint8_t)(len >> 24);
	tail[1] = (uint8_t)(len >> 16);
	vmb_host_offload_put16(tail + 2, len);
	tail[7] = layout->protocol;
	if (layout->ip_version == 4)
		return vmb_host_offload_sum(vmb_host_offload_sum(0, false, ip + 12, 8), false, tail,
					    sizeof(tail));
	return vmb_host_offload_sum(vmb_host_offload_sum(0, false, ip + 8, 32), false, tail,
				    sizeof(tail));
}

static uint32_t ipv4_header_len(const uint8_t *ip)
{
	return (ip[0] & 15) * 4u;
}

void vmb_host_offload_ip_header(uint8_t *head, const struct vmb_host_offload_layout *layout)
{
	uint8_t *ip = head + layout->ip_offset;

	put_field(ip + 10, 0);
	put_field(ip + 10, (uint16_t)~vmb_host_offload_fold(
				   vmb_host_offload_sum(0, false, ip, ipv4_header_len(ip))));
}

void vmb_host_offload_ip_len(uint8_t *head, const struct vmb_host_offload_layout *layout,
			     uint32_t len)
{
	uint8_t *ip = head + layout->ip_offset;

	len -= layout->ip_offset;
	if (layout->ip_version == 4)
		vmb_host_offload_put16(ip + 2, len);
	else
		vmb_host_offload_put16(ip + 4, len - VMB_HOST_OFFLOAD_IPV6_LEN);
}

/* A guest may leave the length to whom it hands the frame: 0 means all of it. */
static void settle_len(uint8_t *head, const struct vmb_host_offload_layout *layout, uint32_t len)
{
	const uint8_t *at = head + layout->ip_offset + (layout->ip_version == 4 ? 2 : 4);

	if (layout->ip_version && !vmb_host_offload_get16(at) && len - layout->ip_offset <= 0xFFFF)
		vmb_host_offload_ip_len(head, layout, len);
}

uint32_t vmb_host_offload_checksum_at(const struct vmb_host_offload_layout *layout)
{
	return layout->transport_offset + (layout->protocol == VMB_HOST_OFFLOAD_TCP ? 16 : 6);
}

/*
 * Bytes from the frame's first one to the end of the IP packet; what follows is padding. 0: more
 * than there are.
 */
static uint32_t ip_end(const uint8_t *head, const struct vmb_host_offload_layout *layout,
		       uint32_t len)
{
	const uint8_t *ip = head + layout->ip_offset;
	uint32_t ip_len;

	if (layout->ip_version == 4) {
		ip_len = vmb_host_offload_get16(ip + 2);
	} else {
		ip_len = vmb_host_offload_get16(ip + 4);
		ip_len += ip_len ? VMB_HOST_OFFLOAD_IPV6_LEN : 0;
	}
	if (!ip_len)
		return len;
	return layout->ip_offset + ip_len <= len ? layout->ip_offset + ip_len : 0;
}

/*
 * Bytes that the transport's checksum covers, its header included. 0: its headers say something
 * impossible.
 */
static uint32_t transport_len(const uint8_t *head, const struct vmb_host_offload_layout *layout,
			      uint32_t len)
{
	uint32_t end = ip_end(head, layout, len), udp_len;

	if (end < layout->payload_offset)
		return 0;
	if (layout->protocol == VMB_HOST_OFFLOAD_TCP)
		return end - layout->transport_offset;
	udp_len = vmb_host_offload_get16(head + layout->transport_offset + 4);
	if (udp_len < VMB_HOST_OFFLOAD_UDP_LEN || udp_len > end - layout->transport_offset)
		return 0;
	return udp_len;
}

struct bytes {
	const uint8_t *head;
	uint32_t head_len;
	const struct vmb_host_offload_piece *rest;
	uint32_t rest_count;
};

static uint32_t total_len(const struct bytes *b)
{
	uint32_t len = b->head_len, i;

	for (i = 0; i < b->rest_count; i++)
		len += b->rest[i].len;
	return len;
}

/* Sum of len bytes from offset (inside of head) on, through the pieces. */
static uint32_t sum_bytes(const struct bytes *b, uint32_t sum, uint32_t offset, uint32_t len)
{
	uint32_t part = b->head_len - offset, i;
	bool odd = false;

	part = part < len ? part : len;
	sum = vmb_host_offload_sum(sum, false, b->head + offset, part);
	for (i = 0; i < b->rest_count && part < len; i++) {
		len -= part;
		odd ^= part & 1;
		part = b->rest[i].len < len ? b->rest[i].len : len;
		sum = vmb_host_offload_sum(sum, odd, b->rest[i].base, part);
	}
	return sum;
}

bool vmb_host_offload_flags_fit(const struct vmb_host_offload_layout *layout, uint32_t flags)
{
	if (flags & RNDIS_TX_CHECKSUM_IP_HEADER && layout->ip_version != 4)
		return false;
	if (!(flags & (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)))
		return true;
	if (layout->fragment || !layout->transport_offset)
		return false;
	if (flags & RNDIS_TX_CHECKSUM_TCP && layout->protocol != VMB_HOST_OFFLOAD_TCP)
		return false;
	return !(flags & RNDIS_TX_CHECKSUM_UDP) || layout->protocol == VMB_HOST_OFFLOAD_UDP;
}

int vmb_host_offload_complete(uint8_t *head, uint32_t head_len,
			      const struct vmb_host_offload_piece *rest, uint32_t rest_count,
			      uint32_t flags)
{
	const struct bytes b = { head, head_len, rest, rest_count };
	struct vmb_host_offload_layout layout;
	uint32_t len = total_len(&b), covered, at;
	uint16_t checksum;

	if (vmb_host_offload_parse(head, head_len, len, &layout) ||
	    !vmb_host_offload_flags_fit(&layout, flags))
		return VMB_EPROTO;
	settle_len(head, &layout, len);
	if (flags & RNDIS_TX_CHECKSUM_IP_HEADER)
		vmb_host_offload_ip_header(head, &layout);
	if (!(flags & (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)))
		return 0;
	covered = transport_len(head, &layout, len);
	if (!covered)
		return VMB_EPROTO;
	at = vmb_host_offload_checksum_at(&layout);
	put_field(head + at, 0);
	checksum = (uint16_t)~vmb_host_offload_fold(
		sum_bytes(&b, vmb_host_offload_pseudo(head, &layout, covered),
			  layout.transport_offset, covered));
	if (!checksum && layout.protocol == VMB_HOST_OFFLOAD_UDP)
		checksum = 0xFFFF;
	put_field(head + at, checksum);
	return 0;
}

int vmb_host_offload_prepare(uint8_t *head, uint32_t head_len, uint32_t len, uint32_t flags,
			     bool lso, uint16_t *start, uint16_t *at)
{
	struct vmb_host_offload_layout layout;
	uint32_t covered;

	if (lso)
		flags |= RNDIS_TX_CHECKSUM_TCP;
	if (!(flags & (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)))
		return VMB_EPROTO;
	if (vmb_host_offload_parse(head, head_len, len, &layout) ||
	    !vmb_host_offload_flags_fit(&layout, flags))
		return VMB_EPROTO;
	if (len - layout.ip_offset > 0xFFFF)
		return VMB_EPROTO;
	if (lso)
		vmb_host_offload_ip_len(head, &layout, len);
	else
		settle_len(head, &layout, len);
	covered = transport_len(head, &layout, len);
	if (!covered)
		return VMB_EPROTO;
	if (layout.transport_offset + covered != len)
		return VMB_EINVAL;
	if (layout.ip_version == 4 && (lso || flags & RNDIS_TX_CHECKSUM_IP_HEADER))
		vmb_host_offload_ip_header(head, &layout);
	*start = (uint16_t)layout.transport_offset;
	*at = (uint16_t)(vmb_host_offload_checksum_at(&layout) - layout.transport_offset);
	put_field(head + *start + *at,
		  vmb_host_offload_fold(vmb_host_offload_pseudo(head, &layout, covered)));
	return 0;
}

/* A sum over bytes with a good checksum in them is all ones. */
static bool good(uint32_t sum)
{
	return vmb_host_offload_fold(sum) == 0xFFFF;
}

uint32_t vmb_host_offload_verify(const uint8_t *head, uint32_t head_len,
				 const struct vmb_host_offload_piece *rest, uint32_t rest_count)
{
	const struct bytes b = { head, head_len, rest, rest_count };
	struct vmb_host_offload_layout layout;
	uint32_t len = total_len(&b), result = 0, covered;
	bool tcp, ok;

	if (vmb_host_offload_parse(head, head_len, len, &layout) || !layout.ip_version)
		return 0;
	if (layout.ip_version == 4) {
		const uint8_t *ip = head + layout.ip_offset;

		ok = good(vmb_host_offload_sum(0, false, ip, ipv4_header_len(ip)));
		result = ok ? RNDIS_RX_CHECKSUM_IP_OK : RNDIS_RX_CHECKSUM_IP_FAILED;
	}
	if (layout.fragment || !layout.transport_offset)
		return result;
	covered = transport_len(head, &layout, len);
	tcp = layout.protocol == VMB_HOST_OFFLOAD_TCP;
	/* Over IPv4 a UDP sender may leave the checksum out, and then nothing can be said. */
	if (!covered || (!tcp && layout.ip_version == 4 &&
			 !field(head + vmb_host_offload_checksum_at(&layout))))
		return result;
	ok = good(sum_bytes(&b, vmb_host_offload_pseudo(head, &layout, covered),
			    layout.transport_offset, covered));
	if (!tcp && !field(head + vmb_host_offload_checksum_at(&layout)))
		ok = false;
	if (tcp)
		return result | (ok ? RNDIS_RX_CHECKSUM_TCP_OK : RNDIS_RX_CHECKSUM_TCP_FAILED);
	return result | (ok ? RNDIS_RX_CHECKSUM_UDP_OK : RNDIS_RX_CHECKSUM_UDP_FAILED);
}
