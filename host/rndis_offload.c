// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Offloads of the adapter: what it announces, what a guest switches on and off, by parameters or by
 * Windows' configuration keywords, and what is on. Kept by protocol, since a guest may want TCP
 * over IPv4 alone; the rest of the host knows four switches (vmb_host_rndis.offload).
 */
#include "host/rndis_internal.h"

#define LSO_LEN_MAX	 0xF53Cu
#define LSO_SEGMENTS_MIN 2u
#define OPTIONS_IPV6	 (NDIS_OFFLOAD_IPV6_EXTENSIONS | NDIS_OFFLOAD_TCP_OPTIONS)

/* A checksum has two bits: transmit and receive. */
enum {
	IP4_TX = 0x0001,
	IP4_RX = 0x0002,
	TCP4_TX = 0x0004,
	TCP4_RX = 0x0008,
	UDP4_TX = 0x0010,
	UDP4_RX = 0x0020,
	TCP6_TX = 0x0040,
	TCP6_RX = 0x0080,
	UDP6_TX = 0x0100,
	UDP6_RX = 0x0200,
	LSO4 = 0x0400,
	LSO6 = 0x0800,
	RSC4 = 0x1000,
	RSC6 = 0x2000,
};
#define TX_ALL	(IP4_TX | TCP4_TX | UDP4_TX | TCP6_TX | UDP6_TX)
#define RX_ALL	(IP4_RX | TCP4_RX | UDP4_RX | TCP6_RX | UDP6_RX)
#define RX_NEED (RX_ALL & ~IP4_RX)
#define LSO_ALL (LSO4 | LSO6)
#define RSC_ALL (RSC4 | RSC6)

/* The four switches, spread to the protocols. */
static uint32_t spread(uint32_t offload)
{
	return (offload & VMB_HOST_RNDIS_TX_CHECKSUM ? TX_ALL : 0) |
	       (offload & VMB_HOST_RNDIS_RX_CHECKSUM ? RX_ALL : 0) |
	       (offload & VMB_HOST_RNDIS_LSO ? LSO_ALL : 0) |
	       (offload & VMB_HOST_RNDIS_RSC ? RSC_ALL : 0);
}

/*
 * What comes in is not sorted by protocol before it is told, so a guest must want all of it; but
 * for IPv4's own header, which guests like to check themselves: Linux switches that one off, and
 * takes no harm from hearing of it.
 */
static uint32_t gather(uint32_t on)
{
	return (on & TX_ALL ? VMB_HOST_RNDIS_TX_CHECKSUM : 0) |
	       ((on & RX_NEED) == RX_NEED ? VMB_HOST_RNDIS_RX_CHECKSUM : 0) |
	       (on & LSO_ALL ? VMB_HOST_RNDIS_LSO : 0) |
	       ((on & RSC_ALL) == RSC_ALL ? VMB_HOST_RNDIS_RSC : 0);
}

static void apply(struct vmb_host_rndis *r, uint32_t on)
{
	on &= spread(r->offload_caps);
	if (on == r->offload_on)
		return;
	r->offload_on = on;
	r->offload = gather(on);
	r->offload_indications = 1;
}

static void fill_checksum(struct ndis_checksum_offload *checksum, uint32_t flags, uint32_t options)
{
	if (!flags)
		return;
	checksum->encapsulation = NDIS_ENCAPSULATION_802_3;
	checksum->flags = flags | options;
}

static void fill_lso(struct ndis_lso_offload *lso, bool on)
{
	if (!on)
		return;
	lso->encapsulation = NDIS_ENCAPSULATION_802_3;
	lso->len_max = LSO_LEN_MAX;
	lso->segments_min = LSO_SEGMENTS_MIN;
}

/* Shifted so that the receive bits look like the transmit ones. */
static uint32_t flags_ipv4(uint32_t on)
{
	return (on & IP4_TX ? NDIS_OFFLOAD_IP_HEADER : 0) | (on & TCP4_TX ? NDIS_OFFLOAD_TCP : 0) |
	       (on & UDP4_TX ? NDIS_OFFLOAD_UDP : 0);
}

static uint32_t flags_ipv6(uint32_t on)
{
	return (on & TCP6_TX ? NDIS_OFFLOAD_TCP : 0) | (on & UDP6_TX ? NDIS_OFFLOAD_UDP : 0);
}

uint32_t vmb_host_rndis_offload_describe(const struct vmb_host_rndis *r, uint32_t revision, bool on,
					 struct ndis_offload *offload)
{
	static const uint16_t lens[] = { NDIS_OFFLOAD_LEN_1, NDIS_OFFLOAD_LEN_2,
					 NDIS_OFFLOAD_LEN_3 };
	const uint32_t options = NDIS_OFFLOAD_IPV4_OPTIONS | NDIS_OFFLOAD_TCP_OPTIONS;
	uint32_t what = on ? r->offload_on : spread(r->offload_caps);

	memset(offload, 0, sizeof(*offload));
	offload->object.type = NDIS_OBJECT_OFFLOAD;
	offload->object.revision = (uint8_t)revision;
	offload->object.len = lens[revision - 1];
	fill_checksum(&offload->ipv4_tx, flags_ipv4(what), options);
	fill_checksum(&offload->ipv4_rx, flags_ipv4(what >> 1), options);
	fill_checksum(&offload->ipv6_tx, flags_ipv6(what), OPTIONS_IPV6);
	fill_checksum(&offload->ipv6_rx, flags_ipv6(what >> 1), OPTIONS_IPV6);
	fill_lso(&offload->lso_ipv4, what & LSO4);
	fill_lso(&offload->lso_ipv6, what & LSO6);
	offload->lso_ipv6_flags = what & LSO6 ? OPTIONS_IPV6 : 0;
	if (revision >= 3) {
		offload->rsc_ipv4 = !!(what & RSC4);
		offload->rsc_ipv6 = !!(what & RSC6);
	}
	return offload->object.len;
}

/* Which bits a parameter switches; checksums by direction, the others as a whole. */
static const struct {
	size_t offset;
	uint32_t tx, rx;
	bool checksum;
} parameters[] = {
	{ offsetof(struct ndis_offload_parameters, ipv4_checksum), IP4_TX, IP4_RX, true },
	{ offsetof(struct ndis_offload_parameters, tcp4_checksum), TCP4_TX, TCP4_RX, true },
	{ offsetof(struct ndis_offload_parameters, udp4_checksum), UDP4_TX, UDP4_RX, true },
	{ offsetof(struct ndis_offload_parameters, tcp6_checksum), TCP6_TX, TCP6_RX, true },
	{ offsetof(struct ndis_offload_parameters, udp6_checksum), UDP6_TX, UDP6_RX, true },
	{ offsetof(struct ndis_offload_parameters, lso_ipv4), LSO4, 0, false },
	{ offsetof(struct ndis_offload_parameters, lso_ipv6), LSO6, 0, false },
	{ offsetof(struct ndis_offload_parameters, rsc_ipv4), RSC4, 0, false },
	{ offsetof(struct ndis_offload_parameters, rsc_ipv6), RSC6, 0, false },
};

/* False: no such value. */
static bool change(uint32_t *on, size_t i, uint8_t value)
{
	uint32_t bits = 0;

	if (value == NDIS_PARAMETER_NO_CHANGE)
		return true;
	if (value > (parameters[i].checksum ? NDIS_PARAMETER_BOTH : NDIS_PARAMETER_ON))
		return false;
	if (value == NDIS_PARAMETER_TX || value == NDIS_PARAMETER_BOTH)
		bits |= parameters[i].tx;
	if (value == NDIS_PARAMETER_RX || value == NDIS_PARAMETER_BOTH)
		bits |= parameters[i].rx;
	*on = (*on & ~(parameters[i].tx | parameters[i].rx)) | bits;
	return true;
}

/*
 * Parsed by size, whatever the revision says: there are guests that write 3 into a structure of 22
 * bytes.
 */
uint32_t vmb_host_rndis_offload_set(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	uint8_t bytes[sizeof(struct ndis_offload_parameters)] = { 0 };
	struct ndis_object object;
	uint32_t on = r->offload_on;
	size_t i;

	if (len < sizeof(object))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&object, data, sizeof(object));
	if (object.len < len)
		len = object.len;
	if (object.type != NDIS_OBJECT_DEFAULT ||
	    len < offsetof(struct ndis_offload_parameters, flags))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(bytes, data, len < sizeof(bytes) ? len : sizeof(bytes));
	for (i = 0; i < VMB_ARRAY_COUNT(parameters); i++)
		if (!change(&on, i, bytes[parameters[i].offset]))
			return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	apply(r, on);
	return RNDIS_STATUS_SUCCESS;
}

static const struct {
	const char *name;
	uint32_t tx, rx;
} keywords[] = {
	{ "*IPChecksumOffloadIPv4", IP4_TX, IP4_RX },
	{ "*TCPChecksumOffloadIPv4", TCP4_TX, TCP4_RX },
	{ "*TCPChecksumOffloadIPv6", TCP6_TX, TCP6_RX },
	{ "*UDPChecksumOffloadIPv4", UDP4_TX, UDP4_RX },
	{ "*UDPChecksumOffloadIPv6", UDP6_TX, UDP6_RX },
	{ "*LsoV2IPv4", LSO4, 0 },
	{ "*LsoV2IPv6", LSO6, 0 },
};

static bool same(const char *a, const char *b)
{
	for (; *a == *b; a++, b++)
		if (!*a)
			return true;
	return false;
}

/* 0 off, 1 transmit, 2 receive, 3 both. */
uint32_t vmb_host_rndis_offload_keyword(struct vmb_host_rndis *r, const char *name, uint32_t value)
{
	uint32_t on = r->offload_on;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(keywords); i++)
		if (same(name, keywords[i].name))
			break;
	if (i == VMB_ARRAY_COUNT(keywords))
		return (uint32_t)RNDIS_STATUS_NOT_SUPPORTED;
	if (value > (keywords[i].rx ? 3u : 1u))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	on &= ~(keywords[i].tx | keywords[i].rx);
	on |= (value & 1 ? keywords[i].tx : 0) | (value & 2 ? keywords[i].rx : 0);
	apply(r, on);
	return RNDIS_STATUS_SUCCESS;
}
