// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which destinations are this machine, whatever a frame claims to be. */
#include <string.h>

#include "devices/net/loopback.h"

#define ETHERNET_LEN   14u
#define ETHERTYPE_AT   12u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86DDu
#define IPV4_TO_AT     (ETHERNET_LEN + 16u)
#define IPV6_TO_AT     (ETHERNET_LEN + 24u)
#define NET_LOOPBACK   127u
#define NET_THIS       0u

/*
 * In a nest, the gateway of the nest's own network (vmm/nest_net.c) leads to the machine's
 * loopback; of an IPv6 network, every address.
 */
static const uint8_t nest_gateway[4] = { 10, 0, 3, 2 };
static const uint8_t nest_prefix[8] = { 0xFE, 0xC0, 0, 0, 0, 0, 0, 3 };

static bool is_here4(const uint8_t to[4])
{
	return to[0] == NET_LOOPBACK || to[0] == NET_THIS ||
	       memcmp(to, nest_gateway, sizeof(nest_gateway)) == 0;
}

/* ::, ::1 and all IPv4 addresses in IPv6 ones begin with 80 bits of 0. */
static bool is_here6(const uint8_t to[16])
{
	static const uint8_t zero[10];

	return memcmp(to, zero, sizeof(zero)) == 0 ||
	       memcmp(to, nest_prefix, sizeof(nest_prefix)) == 0;
}

bool vmb_dev_net_loopback_is_meant(const uint8_t *frame, uint32_t len)
{
	uint32_t type;

	if (len < ETHERNET_LEN)
		return true;
	type = (uint32_t)frame[ETHERTYPE_AT] << 8 | frame[ETHERTYPE_AT + 1];
	if (type == ETHERTYPE_IPV4)
		return len < IPV4_TO_AT + 4 || is_here4(frame + IPV4_TO_AT);
	if (type == ETHERTYPE_IPV6)
		return len < IPV6_TO_AT + 16 || is_here6(frame + IPV6_TO_AT);
	return false;
}
