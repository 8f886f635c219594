/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses of a user network that are not what they seem: TCP connections of the guest to one
 * address and port lead to another, as a cloud's own services are reached at addresses that exist
 * nowhere else. Frames are changed where they pass: the destination of the guest's, the source of
 * what comes back; libslirp, between, knows nothing of it.
 *
 * Context: the network's thread; no state.
 * Source: RFC 791 (header), RFC 9293 (ports), RFC 1624 (incremental update of a checksum), RFC 2132
 * (DHCP options).
 */
#ifndef DEVICES_NET_REDIRECT_H
#define DEVICES_NET_REDIRECT_H

#include "devices/net/net.h"

/*
 * Changes a frame of the guest, len bytes, if its destination is redirected. A redirect to this
 * machine's loopback address goes to libslirp's gateway, which leads there.
 */
void vmb_dev_net_redirect_out(const struct vmb_dev_net_option *option, uint8_t *frame,
			      uint32_t len);

/* Whether a frame that goes to the guest comes from where a redirect leads. */
bool vmb_dev_net_redirect_is_back(const struct vmb_dev_net_option *option, const uint8_t *frame,
				  uint32_t len);
/* Changes such a frame; it is left alone if it is none. */
void vmb_dev_net_redirect_in(const struct vmb_dev_net_option *option, uint8_t *frame, uint32_t len);

/*
 * Adds the options of --net user,dhcp-option= to a frame for which vmb_dev_net_resolvers_is_dhcp is
 * true. max: bytes that frame has room for. Returns the new length; len if there is no room, or no
 * end of options.
 */
uint32_t vmb_dev_net_redirect_add_dhcp(const struct vmb_dev_net_option *option, uint8_t *frame,
				       uint32_t len, uint32_t max);

#endif
