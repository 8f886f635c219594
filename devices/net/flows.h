/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets that a user network has open for its guest, and whether a frame would open one more.
 *
 * A guest opens one with each new UDP source, TCP connection or ping, and libslirp keeps those of
 * UDP for four minutes. They are descriptors of this process, which other devices need too, so each
 * network has a fixed share of them.
 *
 * When the share is used up, connections that have a socket go on. Frames that would open a new one
 * are dropped, as on a congested network, and the guest tries again.
 *
 * Context: the worker's thread.
 */
#ifndef DEVICES_NET_FLOWS_H
#define DEVICES_NET_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#define VMB_DEV_NET_FLOWS_MAX	  2048u /* sockets of one network */
#define VMB_DEV_NET_FLOWS_RESERVE 512u /* descriptors that no network gets */

/* The guest's address and port of a UDP socket. All zero: any other socket. */
struct vmb_dev_net_flow {
	uint8_t ip_version;
	uint8_t address[16];
	uint8_t port[2];
};

struct vmb_dev_net_flows {
	uint32_t share; /* sockets at most */
	uint32_t count; /* open */
	int fds[VMB_DEV_NET_FLOWS_MAX]; /* count of them, in no order */
	struct vmb_dev_net_flow flows[VMB_DEV_NET_FLOWS_MAX]; /* by place in fds */
};

/*
 * Returns how many sockets one of the machine's cards may have open, from the process's current
 * limit: each card gets the same number, and the reserve stays free.
 */
uint32_t vmb_dev_net_flows_share(void);

/* Begins without sockets. share: how many there may be. */
void vmb_dev_net_flows_init(struct vmb_dev_net_flows *flows, uint32_t share);

/* A socket was opened, because of this frame of the guest's or, with NULL, for another reason. */
void vmb_dev_net_flows_opened(struct vmb_dev_net_flows *flows, int fd, const uint8_t *frame,
			      uint32_t len);
void vmb_dev_net_flows_closed(struct vmb_dev_net_flows *flows, int fd);

/* Returns whether no further socket may be opened. */
static inline bool vmb_dev_net_flows_full(const struct vmb_dev_net_flows *flows)
{
	return flows->count >= flows->share;
}

/*
 * Returns whether a frame of the guest's can be passed on: there is room for a socket, it needs
 * none, or it has one.
 */
bool vmb_dev_net_flows_take(const struct vmb_dev_net_flows *flows, const uint8_t *frame,
			    uint32_t len);

#endif
