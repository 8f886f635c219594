// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sockets' device: takes clients and guests' requests, and serves all connections by turns. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/channel.h"
#include "devices/report.h"
#include "devices/vsock/vsock.h"

#define MS_NS 1000000ll

static int64_t read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static bool is_stepped(const struct vmb_dev_vsock *v)
{
	return v->bus->config.stepped;
}

static bool has_place(const struct vmb_dev_vsock *v)
{
	return v->used_count < VMB_DEV_VSOCK_MAX;
}

/* The next one to use, which is used as soon as the caller counts it. There is one. */
static struct vmb_dev_vsock_connection *next_place(struct vmb_dev_vsock *v)
{
	return v->places[v->used_count];
}

/* The last one that is used moves to where a free one is. */
static void leave_place(struct vmb_dev_vsock *v, uint32_t i)
{
	struct vmb_dev_vsock_connection *c = v->places[i];

	v->places[i] = v->places[--v->used_count];
	v->places[v->used_count] = c;
}

static void take_client(struct vmb_dev_vsock *v, int fd)
{
	vmb_dev_vsock_connection_from_client(next_place(v), fd);
	v->used_count++;
}

/* Returns whether there is a place, and somebody who serves what the guest asks for. */
static bool take_request(struct vmb_dev_vsock *v, const struct vmb_dev_vsock_request *request)
{
	if (!has_place(v) || vmb_dev_vsock_connection_from_guest(
				     next_place(v), &request->endpoint_id, &request->service_id))
		return false;
	v->used_count++;
	return true;
}

/* On the bus's thread, with its lock. The server lets no more of them wait than we have room. */
static void asked(void *device, const struct vmb_host_socket_request *request)
{
	struct vmb_dev_vsock *v = device;

	pthread_mutex_lock(&v->lock);
	if (v->request_count < VMB_ARRAY_COUNT(v->requests))
		v->requests[v->request_count++] =
			(struct vmb_dev_vsock_request){ request->endpoint_id, request->service_id };
	pthread_mutex_unlock(&v->lock);
	vmb_dev_worker_wake(&v->worker);
}

static bool next_request(struct vmb_dev_vsock *v, struct vmb_dev_vsock_request *request)
{
	bool any;

	pthread_mutex_lock(&v->lock);
	any = v->request_count;
	if (any) {
		*request = v->requests[0];
		memmove(v->requests, v->requests + 1, --v->request_count * sizeof(*request));
	}
	pthread_mutex_unlock(&v->lock);
	return any;
}

static bool take_requests(struct vmb_dev_vsock *v)
{
	struct vmb_dev_vsock_request request;
	bool any = false;

	while (next_request(v, &request)) {
		any = true;
		if (take_request(v, &request))
			continue;
		v->counters.refused++;
		vmb_dev_bus_refuse_socket(v->bus, &request.endpoint_id, &request.service_id);
	}
	return any;
}

static bool accept_clients(struct vmb_dev_vsock *v)
{
	bool any = false;
	int fd;

	v->accepts |= is_stepped(v) && v->socket.fd >= 0;
	while (v->accepts && has_place(v)) {
		fd = vmb_dev_socket_accept(&v->socket);
		v->accepts = fd >= 0;
		any |= v->accepts;
		if (v->accepts)
			take_client(v, fd);
	}
	return any;
}

/* Without a wait somebody has to look. */
static bool serve(struct vmb_dev_vsock_connection *c, int64_t now)
{
	struct pollfd fd = { .fd = c->fd, .events = POLLIN | POLLOUT };

	if (is_stepped(c->vsock) && poll(&fd, 1, 0) > 0)
		vmb_dev_vsock_connection_heard(c, fd.revents);
	return vmb_dev_vsock_connection_serve(c, now);
}

static bool serve_leaving(struct vmb_dev_vsock *v)
{
	struct vmb_dev_vsock_link **at = &v->leaving, *link;
	bool any = false;

	while ((link = *at)) {
		if (!vmb_dev_vsock_link_serve(link)) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		vmb_dev_vsock_link_free(link);
		any = true;
	}
	return any;
}

static bool serve_connections(struct vmb_dev_vsock *v, int64_t now)
{
	bool any = false;
	uint32_t i = 0;

	while (i < v->used_count) {
		any |= serve(v->places[i], now);
		if (vmb_dev_vsock_connection_is_free(v->places[i]))
			leave_place(v, i);
		else
			i++;
	}
	return any;
}

static bool step(void *state)
{
	struct vmb_dev_vsock *v = state;
	int64_t now = v->config.clock();
	bool any;

	vmb_dev_worker_heard(&v->worker);
	any = take_requests(v);
	any |= accept_clients(v);
	any |= serve_leaving(v);
	any |= serve_connections(v, now);
	return any;
}

/* Descriptors: the worker's, the listener's, and two of each connection that is used. */
#define FD_COUNT(used_count) (2 + 2 * (used_count))

/* *timeout: lowered to when clients can be taken again. */
static void fill(struct vmb_dev_vsock *v, struct pollfd *fds, int *timeout)
{
	fds[0] = (struct pollfd){ .fd = v->worker.wake, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = has_place(v) ? vmb_dev_socket_wanted(&v->socket, timeout) :
						       -1,
				  .events = POLLIN };
	for (uint32_t i = 0; i < v->used_count; i++) {
		const struct vmb_dev_vsock_connection *c = v->places[i];

		fds[2 + 2 * i] = (struct pollfd){ .fd = c->link ? c->link->channel.bell.fd : -1,
						  .events = POLLIN };
		fds[3 + 2 * i] = vmb_dev_vsock_connection_wanted(c);
	}
}

static void hear(struct vmb_dev_vsock *v, const struct pollfd *fds)
{
	if (fds[0].revents)
		vmb_dev_event_clear(v->worker.wake);
	v->accepts |= fds[1].revents != 0;
	for (uint32_t i = 0; i < v->used_count; i++) {
		struct vmb_dev_vsock_connection *c = v->places[i];

		if (fds[2 + 2 * i].revents)
			vmb_dev_bell_heard(&c->link->channel.bell);
		vmb_dev_vsock_connection_heard(c, fds[3 + 2 * i].revents);
	}
}

/* Milliseconds; -1: for ever. */
static int wait_ms(const struct vmb_dev_vsock *v)
{
	int64_t now = v->config.clock(), due = VMB_DEV_VSOCK_NEVER, next;

	for (uint32_t i = 0; i < v->used_count; i++) {
		next = vmb_dev_vsock_connection_due(v->places[i], now);
		due = next < due ? next : due;
	}
	if (due == VMB_DEV_VSOCK_NEVER)
		return -1;
	return due > now ? (int)((due - now) / MS_NS) + 1 : 0;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_vsock *v = state;
	struct pollfd fds[FD_COUNT(VMB_DEV_VSOCK_MAX)];
	int timeout = more ? 0 : wait_ms(v);

	fill(v, fds, &timeout);
	if (poll(fds, FD_COUNT(v->used_count), timeout) > 0)
		hear(v, fds);
}

static const struct vmb_dev_worker_ops worker_ops = {
	.step = step, .wait = wait, .gathers = true, .role = VMB_DEV_ROLE_SOCKETS
};

/* Life */

static int prepare(void *state)
{
	struct vmb_dev_vsock *v = state;

	if (!v->config.path)
		return 0;
	return vmb_dev_socket_serve(&v->socket, "--vsock", v->config.path, SOCK_STREAM, true);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_vsock *v = state;
	int error = 0;

	v->bus = bus;
	v->request_count = 0;
	if (!bus->config.stepped)
		error = vmb_dev_worker_start(&v->worker);
	if (error)
		vmb_dev_report("sockets: no thread: %s", strerror(-error));
	else
		vmb_dev_bus_serve_sockets(bus, asked, v);
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_vsock *v = state;
	struct vmb_dev_vsock_link *link;

	if (!v->bus)
		return;
	vmb_dev_bus_serve_sockets(v->bus, NULL, NULL);
	vmb_dev_worker_stop(&v->worker);
	while (v->used_count)
		vmb_dev_vsock_connection_end(v->places[--v->used_count]);
	while ((link = v->leaving)) {
		v->leaving = link->next;
		vmb_dev_vsock_link_free(link);
	}
	v->bus = NULL;
}

static void report(const void *state)
{
	const struct vmb_dev_vsock *v = state;
	const struct vmb_dev_vsock_counters *n = &v->counters;

	vmb_dev_report("stats: sockets: %" PRIu64 " connections from the guest, %" PRIu64
		       " to it, %" PRIu64 " refused, %" PRIu64 " broken by the guest, %" PRIu64
		       " bytes in, %" PRIu64 " out, %" PRIu64 " not taken by clients",
		       n->from_guest, n->from_host, n->refused, n->broken, n->bytes_in,
		       n->bytes_out, n->cut);
	vmb_dev_report("stats: sockets: %" PRIu64 " packets in, %" PRIu64 " out; %" PRIu64
		       " doorbells, %" PRIu64 " signals",
		       n->packets_in, n->packets_out, n->doorbells, n->signals);
}

static void shut(void *state)
{
	struct vmb_dev_vsock *v = state;

	detach(v);
	vmb_dev_socket_end(&v->socket);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .close = shut };

int vmb_dev_vsock_open(struct vmb_dev_device *device, const struct vmb_dev_vsock_config *config)
{
	struct vmb_dev_vsock *v = calloc(1, sizeof(*v));

	if (!v) {
		vmb_dev_report("sockets: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	v->config = *config;
	if (!v->config.clock)
		v->config.clock = read_clock;
	v->socket.fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	vmb_dev_worker_init(&v->worker, &worker_ops, v);
	for (uint32_t i = 0; i < VMB_DEV_VSOCK_MAX; i++) {
		v->connections[i].vsock = v;
		v->connections[i].fd = -1;
		v->places[i] = &v->connections[i];
	}
	*device = (struct vmb_dev_device){ &ops, v };
	return 0;
}

int vmb_dev_vsock_take_client(struct vmb_dev_vsock *v, int fd)
{
	if (!has_place(v))
		return -EBUSY;
	take_client(v, fd);
	return 0;
}
