/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Corrects what a user network tells its guest about name servers.
 *
 * libslirp passes questions to 10.0.2.3 on to the machine's first IPv4 name server, and those to
 * fec0::3 to its first IPv6 one. It tells a guest of fec0::3 only if there is one, but of 10.0.2.3
 * always: on a machine that has IPv6 name servers only, the guest asks in vain and waits each time.
 *
 * The machine's name servers are looked up anew each time, since they change with the network that
 * the machine is on.
 */
#ifndef DEVICES_NET_RESOLVER_H
#define DEVICES_NET_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

struct vmb_dev_net_resolvers {
	bool ipv4, ipv6; /* there is one */
};

/* Reads /etc/resolv.conf. Returns none if it cannot be read. */
struct vmb_dev_net_resolvers vmb_dev_net_resolvers_find(void);

/* Reports in one line if a guest will have fewer name servers than usual. */
void vmb_dev_net_resolvers_report(void);

/* Returns whether this Ethernet frame to the guest comes from a DHCP server. */
bool vmb_dev_net_resolvers_is_dhcp(const uint8_t *frame, uint32_t len);

/*
 * Removes the name servers from a DHCP server's frame. Its length stays the same, and its checksum
 * is updated.
 */
void vmb_dev_net_resolvers_hide(uint8_t *frame, uint32_t len);

#endif
