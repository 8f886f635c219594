/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets, as the host's message engine has them: what guests ask for, and channels that are
 * connections. Read host/server.h first; context and ownership are described there.
 *
 *   vmb_host_socket_serve(s, true)      else every request is refused at once
 *   guest connects: event SOCKET -> vmb_host_socket_offer(s, ch, false), or _refuse()
 *   host connects:  vmb_host_socket_offer(s, ch, true); a guest where nobody listens leaves the
 *                   channel: rescind it after a while
 *   from then on ch is a channel like any other; its rings carry a stream (ring/stream.h).
 *   A socket's channel does not outlive its connection to the bus: at a disconnect, and when the
 *   guest releases it, it is RELEASED.
 *
 * At most VMB_HOST_SOCKET_REQUEST_MAX requests wait for an answer; a guest that has more is to try
 * again (INSUFFICIENT_BUFFERS).
 *
 * Source: docs/protocol/bus.md, "4.7 hvsock"; docs/protocol/integration.md, "14 hvsock",
 * "18 Hardening".
 */
#ifndef HOST_SOCKET_H
#define HOST_SOCKET_H

#include "base/queue.h"
#include "wire/socket.h"

#define VMB_HOST_SOCKET_REQUEST_MAX 64u

struct vmb_host_server;
struct vmb_host_channel;

enum vmb_host_socket_state {
	VMB_HOST_SOCKET_FREE,
	VMB_HOST_SOCKET_ASKED, /* the port has not said yet */
	VMB_HOST_SOCKET_REFUSED, /* TL_CONNECT_RESULT waits to be sent */
};

struct vmb_host_socket_request {
	struct vmb_guid endpoint_id; /* the guest's end */
	struct vmb_guid service_id; /* of the host */
	enum vmb_host_socket_state state;
	struct vmb_link event_link, result_link;
};

/* From now on requests are events, or are refused. Those that wait are refused if not. */
void vmb_host_socket_serve(struct vmb_host_server *s, bool on);

/*
 * Refuses what the guest asked for; below 4.1 by silence. Returns 0, or VMB_ENODEV: the guest is
 * gone, or the request was answered.
 */
int vmb_host_socket_refuse(struct vmb_host_server *s, const struct vmb_guid *endpoint_id,
			   const struct vmb_guid *service_id);

/*
 * Offers a connection: fills in ch, of which the caller has set type_id (the service) and
 * instance_id (the end that connects; of a host any GUID that is not in use) and zeroed the rest.
 * from_host: the host connects; else it answers the request that names them. Returns 0; VMB_ENODEV:
 * nobody asked, or the guest is not there; VMB_EOPNOTSUPP: its version has no sockets; or as
 * vmb_host_channel_offer(), and a request still waits.
 */
int vmb_host_socket_offer(struct vmb_host_server *s, struct vmb_host_channel *ch, bool from_host);

#endif
