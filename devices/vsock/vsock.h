/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets between the guest and this machine (AF_VSOCK in the guest, hv_sock on the bus), as UNIX
 * sockets here, by the convention that other monitors have:
 *
 *   host to guest: a client connects to PATH and writes "CONNECT PORT\n". When the guest's listener
 *                  has taken the connection it gets "OK PORT\n", and from then on the stream. If
 *                  nobody listens, its connection is closed after a while.
 *   guest to host: a connection to port N of the host is a client of the socket PATH_N, which
 *                  another program serves. If nobody does, the guest's connect is refused.
 *
 *   vmb_dev_vsock_open(&device, &config)
 *
 * One worker serves all connections; none waits for another. Each has a buffer of a packet to the
 * guest and of some to the client; what lies beyond is in the rings and in the sockets, so that a
 * reader that pauses holds up its own connection alone. Of what the guest sent before it closed
 * nothing is lost: it is kept for the client when the rings have gone back to the guest, for 60 s.
 *
 * Source: docs/protocol/integration.md, "14 hvsock", "18 Hardening".
 */
#ifndef DEVICES_VSOCK_VSOCK_H
#define DEVICES_VSOCK_VSOCK_H

#include "devices/device.h"
#include "devices/socket.h"
#include "devices/vsock/connection.h"
#include "devices/worker.h"

#define VMB_DEV_VSOCK_MAX 256u /* connections at once; more clients wait in PATH's queue */

struct vmb_dev_vsock_config {
	const char *path; /* outlives the device; may be NULL where dial is set */
	/*
	 * For tests, which are the programs of this machine themselves: connects to whoever serves
	 * a port of the host. Returns a socket that does not block, or -errno. NULL: a client of
	 * PATH_N. Their own connections they hand in with vmb_dev_vsock_take_client().
	 */
	int (*dial)(void *arg, uint32_t port);
	void *dial_arg;
	/* For tests: nanoseconds of a clock that only grows. NULL: the machine's own. */
	int64_t (*clock)(void);
};

/* What a guest asks for, between the bus and the worker. */
struct vmb_dev_vsock_request {
	struct vmb_guid endpoint_id, service_id;
};

struct vmb_dev_vsock {
	struct vmb_dev_vsock_config config;
	struct vmb_dev_socket socket;
	struct vmb_dev_bus *bus; /* from attach to detach */
	struct vmb_dev_worker worker;
	pthread_mutex_t lock; /* of the requests; may be taken with the bus's lock held */
	struct vmb_dev_vsock_request requests[VMB_HOST_SOCKET_REQUEST_MAX];
	uint32_t request_count;
	bool accepts; /* a client waits, and there may be a place */
	struct vmb_dev_vsock_link *leaving; /* channels without a connection, not released yet */
	struct vmb_dev_vsock_counters counters;
	/* all of them; the first used_count are in use, so that a turn costs what those cost */
	struct vmb_dev_vsock_connection *places[VMB_DEV_VSOCK_MAX];
	uint32_t used_count;
	struct vmb_dev_vsock_connection connections[VMB_DEV_VSOCK_MAX];
};

/*
 * Makes the device. Returns 0, or -errno: reported. config->path is served from prepare to close; a
 * socket that a killed program left there is replaced.
 */
int vmb_dev_vsock_open(struct vmb_dev_device *device, const struct vmb_dev_vsock_config *config);

/*
 * On a stepped bus: takes a client as if it had connected to path; fd, which must not block, is
 * the device's from now on. Returns 0; -EBUSY: there is no place, and fd is the caller's.
 */
int vmb_dev_vsock_take_client(struct vmb_dev_vsock *v, int fd);

#endif
