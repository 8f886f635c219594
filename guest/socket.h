/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets, as the guest's message engine has them: it asks the host for a connection, and finds out
 * what came of it. Read guest/connect.h first; context and ownership are described there.
 *
 *   guest connects:  vmb_guest_socket_dial(c, dial) -> OFFER with event.dial == dial: accepted,
 *                    open the channel; or DIAL_REFUSED
 *   host connects:   OFFER whose vmb_guest_socket_read() says from_host: open the channel if
 *                    somebody listens on its port, else leave it; the host rescinds it then
 *   the channel's rings carry a stream: ring/stream.h
 *
 * Hosts of 4.0 do not answer a refused dial: the caller gives up by itself, with
 * vmb_guest_socket_hang_up(). An offer that comes afterwards has no dial: to be left too. UNLOAD
 * forgets all dials.
 *
 * Source: docs/protocol/bus.md, "4.7 hvsock"; docs/protocol/integration.md, "14 hvsock".
 */
#ifndef GUEST_SOCKET_H
#define GUEST_SOCKET_H

#include "guest/connect.h"
#include "wire/socket.h"

struct vmb_guest_dial {
	/* the caller's; no two that wait may be the same */
	struct vmb_guid endpoint_id; /* vmb_socket_guid() of our port */
	struct vmb_guid service_id; /* vmb_socket_guid() of the host's */
	void *port;
	/* the engine's, zeroed by the caller */
	struct vmb_link link;
	struct vmb_guest_dial *next;
};

/*
 * Queues TL_CONNECT_REQUEST; dial is the engine's until an event has it, or _hang_up.
 * VMB_EBUSY: not connected, or such a dial waits already; VMB_EOPNOTSUPP: below 4.0.
 */
int vmb_guest_socket_dial(struct vmb_guest_connect *c, struct vmb_guest_dial *dial);

/* Forgets dial, wherever it is. Returns whether it still waited: no event has had it. */
bool vmb_guest_socket_hang_up(struct vmb_guest_connect *c, struct vmb_guest_dial *dial);

struct vmb_guest_socket {
	bool from_host; /* the host connects; else it answers a dial */
	uint32_t port; /* of this end: that it is for, or that dialled */
	uint32_t peer_port; /* of the host's end; from_host: any number */
};

/* Returns whether offer is a socket's, by ports as Linux has them, and what it says. */
bool vmb_guest_socket_read(const struct vmb_msg_offer *offer, struct vmb_guest_socket *socket);

#endif
