/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One connection: a client's UNIX socket at one end, a channel of the bus at the other. Part of
 * devices/vsock/vsock.h. All functions are the worker's.
 *
 *   _from_client(c, fd)  a client that has to say what it wants
 *   _from_guest(c, ...)  what the guest asks for
 *   _serve(c)            whenever one of its ends may have something; never waits
 *   _is_free(c)          the place may be used again
 *
 *        GREETING --"CONNECT PORT"--> OFFERED --the guest opens--> OPEN --it closes--> RESTING
 *   When both have ended, the client has left, or the guest breaks the protocol or does not open,
 *   the channel is rescinded. Guests may keep a rescinded channel for as long as they like: the
 *   connection is over then, and the channel waits for its release without it.
 */
#ifndef DEVICES_VSOCK_CONNECTION_H
#define DEVICES_VSOCK_CONNECTION_H

#include <poll.h>

#include "devices/bus.h"
#include "ring/stream.h"
#include "wire/socket.h"

#define VMB_DEV_VSOCK_NEVER INT64_MAX

struct vmb_dev_vsock;

enum vmb_dev_vsock_state {
	VMB_DEV_VSOCK_GREETING, /* the client has to name a port */
	VMB_DEV_VSOCK_OFFERED, /* the guest has to open the channel */
	VMB_DEV_VSOCK_OPEN,
	VMB_DEV_VSOCK_RESTING, /* no rings; what is left goes to the client */
};

struct vmb_dev_vsock_counters {
	uint64_t from_guest, from_host; /* connections that were opened */
	uint64_t refused; /* nobody listened, or there was no place */
	uint64_t broken; /* the guest broke the protocol */
	uint64_t cut; /* bytes that a client did not take in time, or left behind */
	uint64_t bytes_in, bytes_out; /* from the guest, to it */
	uint64_t packets_in, packets_out; /* with them */
	uint64_t doorbells, signals; /* of the guest that were heard, to it */
};

/*
 * What the guest sent becomes as few calls as possible: guests like Linux send packets of 4 KiB.
 */
#define VMB_DEV_VSOCK_OUT_LEN (4 * VMB_PIPE_DATA_LEN_MAX)

/* A channel that the bus has, from its offer to its release. */
struct vmb_dev_vsock_link {
	struct vmb_dev_channel channel;
	struct vmb_dev_vsock *vsock;
	struct vmb_dev_vsock_link *next; /* without a connection */
};

struct vmb_dev_vsock_connection {
	struct vmb_dev_vsock *vsock;
	struct vmb_dev_vsock_link *link; /* NULL: no channel */
	enum vmb_dev_vsock_state state;
	int fd; /* the client's; -1: none */
	bool from_host;
	uint32_t port; /* of whoever was connected to */
	bool rescinded;
	int64_t due; /* when to stop waiting for whatever the state waits for */
	bool readable, writable; /* as far as the last poll said */
	struct vmb_stream stream;
	struct {
		uint32_t len;
		uint8_t bytes[VMB_PIPE_DATA_LEN_MAX];
	} in; /* to the guest: one packet's */
	struct {
		uint32_t at, len;
		uint8_t bytes[VMB_DEV_VSOCK_OUT_LEN];
	} out; /* to the client: at to len */
	bool full; /* the guest's ring */
	bool more; /* the ring may have packets that no signal will tell of */
	bool client_ended; /* the client sends no more */
	bool client_gone; /* it takes no more: bytes for it are dropped */
	bool client_hung; /* it has closed its socket */
	bool told_end; /* the client has heard that the guest sends no more */
	uint8_t *rest; /* what the ring held when the guest closed it; NULL: nothing */
	uint32_t rest_at, rest_len;
};

/* Begins with the client's socket fd, which is c's from now on. */
void vmb_dev_vsock_connection_from_client(struct vmb_dev_vsock_connection *c, int fd);
/*
 * Connects to the server that the guest asks for, and offers the channel. Returns 0, or -errno: to
 * be refused.
 */
int vmb_dev_vsock_connection_from_guest(struct vmb_dev_vsock_connection *c,
					const struct vmb_guid *endpoint_id,
					const struct vmb_guid *service_id);
/* What poll() said of the client's socket. */
void vmb_dev_vsock_connection_heard(struct vmb_dev_vsock_connection *c, short revents);
/* Does what can be done now. Returns whether something was done; then there may be more. */
bool vmb_dev_vsock_connection_serve(struct vmb_dev_vsock_connection *c, int64_t now);
/* Returns what to poll; fd -1: nothing. That the client is gone is always heard. */
struct pollfd vmb_dev_vsock_connection_wanted(const struct vmb_dev_vsock_connection *c);
/* Returns when it wants to be served at the latest. */
int64_t vmb_dev_vsock_connection_due(const struct vmb_dev_vsock_connection *c, int64_t now);
bool vmb_dev_vsock_connection_is_free(const struct vmb_dev_vsock_connection *c);
/* Does what the bus wants of a channel without a connection. Returns whether it was released. */
bool vmb_dev_vsock_link_serve(struct vmb_dev_vsock_link *link);
/* Takes the channel off the bus and frees it. */
void vmb_dev_vsock_link_free(struct vmb_dev_vsock_link *link);
/* The bus has stopped: gives the client what it takes at once, and closes. */
void vmb_dev_vsock_connection_end(struct vmb_dev_vsock_connection *c);

#endif
