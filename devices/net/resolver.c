// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The machine's list of name servers, and the option of DHCP that names one. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "devices/net/resolver.h"
#include "devices/report.h"
#include "host/offload.h"

#define LIST		"/etc/resolv.conf"
#define LINE_MAX_LEN	512
#define DHCP_IP_AT	14u
#define DHCP_UDP_AT	34u
#define DHCP_COOKIE_AT	278u
#define DHCP_OPTIONS_AT (DHCP_COOKIE_AT + 4u)
#define PROTOCOL_UDP	17u
#define PORT_SERVER	67u
#define PORT_CLIENT	68u
#define OPTION_PAD	0u
#define OPTION_DNS	6u
#define OPTION_END	255u

/* An address may be followed by the interface that it is of. */
static void take_line(struct vmb_dev_net_resolvers *found, const char *line)
{
	char address[LINE_MAX_LEN];
	struct in6_addr binary;

	if (sscanf(line, "nameserver%*[ \t]%511s", address) != 1)
		return;
	address[strcspn(address, "%")] = 0;
	found->ipv4 |= inet_pton(AF_INET, address, &binary) == 1;
	found->ipv6 |= inet_pton(AF_INET6, address, &binary) == 1;
}

struct vmb_dev_net_resolvers vmb_dev_net_resolvers_find(void)
{
	struct vmb_dev_net_resolvers found = { 0 };
	char line[LINE_MAX_LEN];
	FILE *list = fopen(LIST, "re");

	while (list && fgets(line, sizeof(line), list))
		take_line(&found, line);
	if (list)
		fclose(list);
	return found;
}

void vmb_dev_net_resolvers_report(void)
{
	struct vmb_dev_net_resolvers found = vmb_dev_net_resolvers_find();

	if (found.ipv4)
		return;
	if (found.ipv6)
		vmb_dev_report("--net user: " LIST
			       " has IPv6 name servers only: the guest is given "
			       "fec0::3, and no name server for IPv4");
	else
		vmb_dev_report("--net user: " LIST " has no name server: the guest has none");
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

bool vmb_dev_net_resolvers_is_dhcp(const uint8_t *frame, uint32_t len)
{
	static const uint8_t cookie[] = { 0x63, 0x82, 0x53, 0x63 };

	return len >= DHCP_OPTIONS_AT && get16(frame + 12) == 0x0800 && frame[DHCP_IP_AT] == 0x45 &&
	       frame[DHCP_IP_AT + 9] == PROTOCOL_UDP && get16(frame + DHCP_UDP_AT) == PORT_SERVER &&
	       get16(frame + DHCP_UDP_AT + 2) == PORT_CLIENT &&
	       memcmp(frame + DHCP_COOKIE_AT, cookie, sizeof(cookie)) == 0;
}

static void write_checksum(uint8_t *frame, uint32_t len)
{
	const struct vmb_host_offload_piece rest = { frame + VMB_HOST_OFFLOAD_HEAD_LEN_MAX,
						     len - VMB_HOST_OFFLOAD_HEAD_LEN_MAX };

	vmb_host_offload_complete(frame, VMB_HOST_OFFLOAD_HEAD_LEN_MAX, &rest, 1,
				  RNDIS_TX_CHECKSUM_IPV4 | RNDIS_TX_CHECKSUM_UDP);
}

void vmb_dev_net_resolvers_hide(uint8_t *frame, uint32_t len)
{
	uint32_t at = DHCP_OPTIONS_AT, option_len;

	while (at + 2 <= len && frame[at] != OPTION_END) {
		option_len = frame[at] == OPTION_PAD ? 1 : 2u + frame[at + 1];
		if (option_len > len - at)
			break;
		if (frame[at] == OPTION_DNS)
			memset(frame + at, OPTION_PAD, option_len);
		at += option_len;
	}
	write_checksum(frame, len);
}
_Static_assert(DHCP_OPTIONS_AT > VMB_HOST_OFFLOAD_HEAD_LEN_MAX, "there is a rest");
