/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets of the guest in ports/user/guest.h: what a channel that is a connection has instead of
 * storage.
 *
 *   vmb_user_socket_listen(g, port)          connections from the host are taken from now on
 *   vmb_user_socket_dial(g, &dial, from, to) dial.device is the connection; or dial.refused
 *   d = vmb_user_socket_find(g, port)        the newest one at that port of the guest
 *   _send(d, ...), _end(d); d->socket.got has what came, d->socket.stream.ended_in whether it ended
 *   vmb_user_guest_close(g, d)
 */
#ifndef PORTS_USER_SOCKET_H
#define PORTS_USER_SOCKET_H

#include "guest/socket.h"
#include "ring/stream.h"

struct vmb_user_guest;
struct vmb_user_device;

struct vmb_user_socket {
	bool used; /* the channel is a connection */
	struct vmb_guest_socket about;
	struct vmb_stream stream;
	bool deaf; /* the test's: does not read; afterwards set device->interrupted */
	bool broken; /* the host broke the protocol */
	uint8_t *got; /* freed with the guest */
	uint64_t got_len, got_max;
};

struct vmb_user_dial {
	struct vmb_guest_dial dial;
	struct vmb_user_device *device; /* NULL: not yet */
	bool refused;
};

/* Connections of the host to this port are opened; there is one such port. */
void vmb_user_socket_listen(struct vmb_user_guest *g, uint32_t port);
/* Asks the host for a connection, and does not wait. Returns as vmb_guest_socket_dial(). */
int vmb_user_socket_dial(struct vmb_user_guest *g, struct vmb_user_dial *dial, uint32_t from,
			 uint32_t to);
/* Returns the newest connection at this port of the guest that is open, or NULL. */
struct vmb_user_device *vmb_user_socket_find(struct vmb_user_guest *g, uint32_t port);
/* Sends as much as there is room for. Returns how much; or VMB_ENODEV: it is not open. */
int vmb_user_socket_send(struct vmb_user_device *d, const void *bytes, uint32_t len);
/* Sends the end. Returns 0, or VMB_ENODEV. */
int vmb_user_socket_end(struct vmb_user_device *d);

/* For ports/user/guest.c. Prepares a socket if offer is one's. Returns whether it is. */
bool vmb_user_socket_init(struct vmb_user_socket *s, const struct vmb_msg_offer *offer);
/* Reads one packet. Returns whether there was one. */
bool vmb_user_socket_read(struct vmb_user_device *d);

#endif
