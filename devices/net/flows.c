// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames are only looked at when a socket is opened and when there is no room for another one. What
 * libslirp may take for the beginning of a connection counts as one, so that a guest that splits or
 * bends its headers gets less and never more.
 */
#include <string.h>
#include <sys/resource.h>

#include "devices/net/flows.h"
#include "devices/net/net.h"
#include "host/offload.h"

#define PROTOCOL_TCP   6u
#define PROTOCOL_UDP   17u
#define PROTOCOL_ICMP  1u
#define TCP_FLAGS_AT   13u
#define TCP_SYN	       0x02u
#define TCP_ACK	       0x10u
#define PORT_DHCP      67u
#define PORT_DHCP6     547u
#define ADDRESS4_LEN   4u
#define ADDRESS6_LEN   16u
#define FD_LIMIT_LEAST 1024u

uint32_t vmb_dev_net_flows_share(void)
{
	struct rlimit limit = { .rlim_cur = FD_LIMIT_LEAST };
	uint64_t left;

	getrlimit(RLIMIT_NOFILE, &limit);
	left = limit.rlim_cur > 2 * VMB_DEV_NET_FLOWS_RESERVE ?
		       limit.rlim_cur - VMB_DEV_NET_FLOWS_RESERVE :
		       limit.rlim_cur / 2;
	left /= VMB_DEV_NET_MAX;
	return left < VMB_DEV_NET_FLOWS_MAX ? left : VMB_DEV_NET_FLOWS_MAX;
}

void vmb_dev_net_flows_init(struct vmb_dev_net_flows *f, uint32_t share)
{
	memset(f, 0, sizeof(*f));
	f->share = share < VMB_DEV_NET_FLOWS_MAX ? share : VMB_DEV_NET_FLOWS_MAX;
}

static bool parse(const uint8_t *frame, uint32_t len, struct vmb_host_offload_layout *layout)
{
	uint32_t head_len = len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len :
								  VMB_HOST_OFFLOAD_HEAD_LEN_MAX;

	return !vmb_host_offload_parse(frame, head_len, len, layout);
}

static struct vmb_dev_net_flow flow_of(const uint8_t *frame,
				       const struct vmb_host_offload_layout *layout)
{
	struct vmb_dev_net_flow flow = { 0 };
	const uint8_t *ip = frame + layout->ip_offset;

	if (layout->protocol != PROTOCOL_UDP || layout->fragment || !layout->transport_offset)
		return flow;
	flow.ip_version = layout->ip_version;
	if (layout->ip_version == 4)
		memcpy(flow.address, ip + 12, ADDRESS4_LEN);
	else
		memcpy(flow.address, ip + 8, ADDRESS6_LEN);
	memcpy(flow.port, frame + layout->transport_offset, sizeof(flow.port));
	return flow;
}

void vmb_dev_net_flows_opened(struct vmb_dev_net_flows *f, int fd, const uint8_t *frame,
			      uint32_t len)
{
	struct vmb_host_offload_layout layout;

	if (fd < 0 || f->count == VMB_DEV_NET_FLOWS_MAX)
		return;
	f->fds[f->count] = fd;
	f->flows[f->count] = (struct vmb_dev_net_flow){ 0 };
	if (frame && parse(frame, len, &layout))
		f->flows[f->count] = flow_of(frame, &layout);
	f->count++;
}

void vmb_dev_net_flows_closed(struct vmb_dev_net_flows *f, int fd)
{
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->fds[i] != fd)
			continue;
		f->count--;
		f->fds[i] = f->fds[f->count];
		f->flows[i] = f->flows[f->count];
		return;
	}
}

/* DHCP is answered without a socket: a guest must be able to keep its address. */
static bool is_dhcp(const uint8_t *frame, const struct vmb_host_offload_layout *layout)
{
	static const uint8_t all[ADDRESS4_LEN] = { 255, 255, 255, 255 };
	static const uint8_t gateway[ADDRESS4_LEN] = { 10, 0, 2, 2 };
	static const uint8_t servers[ADDRESS6_LEN] = { 0xFF, 2, [13] = 1, [15] = 2 };
	const uint8_t *ip = frame + layout->ip_offset, *udp = frame + layout->transport_offset;
	uint32_t port = (uint32_t)udp[2] << 8 | udp[3];

	if (layout->ip_version == 4)
		return port == PORT_DHCP && (memcmp(ip + 16, all, sizeof(all)) == 0 ||
					     memcmp(ip + 16, gateway, sizeof(gateway)) == 0);
	return port == PORT_DHCP6 && memcmp(ip + 24, servers, sizeof(servers)) == 0;
}

static bool is_open(const struct vmb_dev_net_flows *f, const struct vmb_dev_net_flow *flow)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (memcmp(&f->flows[i], flow, sizeof(*flow)) == 0)
			return true;
	return false;
}

/* A connection's other segments have their socket, or are refused without one. */
static bool is_syn(const uint8_t *frame, const struct vmb_host_offload_layout *layout)
{
	uint8_t flags = frame[layout->transport_offset + TCP_FLAGS_AT];

	return flags & TCP_SYN && !(flags & TCP_ACK);
}

bool vmb_dev_net_flows_take(const struct vmb_dev_net_flows *f, const uint8_t *frame, uint32_t len)
{
	struct vmb_host_offload_layout layout;
	struct vmb_dev_net_flow flow;

	if (!vmb_dev_net_flows_full(f))
		return true;
	if (!parse(frame, len, &layout))
		return false;
	if (!layout.ip_version)
		return true;
	if (layout.fragment)
		return false;
	if (layout.protocol == PROTOCOL_TCP)
		return layout.transport_offset && !is_syn(frame, &layout);
	if (layout.protocol != PROTOCOL_UDP)
		return layout.ip_version == 6 || layout.protocol != PROTOCOL_ICMP;
	flow = flow_of(frame, &layout);
	return layout.transport_offset && (is_dhcp(frame, &layout) || is_open(f, &flow));
}
