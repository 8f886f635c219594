// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs of this machine at the other end of connections, each with one end of a pair of
 * sockets, and the checker of streams: bytes arrive whole and in order, and all of them before the
 * end.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/sim.h"

#define PIECE_MAX 2000u
#define HEAR_MAX  2500u

static bool is_honest(const struct sim_device *d)
{
	return d->sim->config.faults == SIM_FAULTS_NONE;
}

/* The checker */

void sim_flow_fill(uint8_t *bytes, uint64_t number, bool in, uint64_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++, at++)
		bytes[i] = (uint8_t)(number * 31 + in * 101u + at + (at >> 8) * 7);
}

void sim_flow_got(struct sim_device *d, struct sim_connection *c, bool in, const uint8_t *bytes,
		  uint32_t len)
{
	struct sim_flow *f = in ? &c->in : &c->out;
	uint8_t wanted[VMB_PIPE_DATA_LEN_MAX];

	sim_note(d->sim,
		 in ? "  %lu bytes of connection %lu reach the guest" :
		      "  %lu bytes of connection %lu reach the program",
		 len, c->number, 0);
	sim_flow_fill(wanted, c->number, in, f->got, len);
	if (is_honest(d) && f->got + len > f->sent)
		sim_fail(d->sim, "WRONG BYTES: connection %lu has sent %lu, and %lu arrive",
			 c->number, f->sent, f->got + len);
	else if (is_honest(d) && memcmp(bytes, wanted, len))
		sim_fail(d->sim, "WRONG BYTES: connection %lu, of %lu that arrive at %lu",
			 c->number, len, f->got);
	f->got += len;
	d->good++;
}

void sim_flow_ended(struct sim_device *d, struct sim_connection *c, bool in)
{
	struct sim_flow *f = in ? &c->in : &c->out;

	sim_say(d->sim,
		in ? "  the guest hears the end of connection %lu" :
		     "  the program hears the end of connection %lu",
		c->number, 0, 0);
	f->end_seen = true;
	if (is_honest(d) && !c->cut && f->got != f->sent)
		sim_fail(d->sim, "LOST BYTES: connection %lu has ended after %lu of %lu bytes",
			 c->number, f->got, f->sent);
}

/* Places */

struct sim_connection *sim_connection_find(struct sim_device *d, uint64_t number)
{
	struct sim_connection *c = &d->connections[number % SIM_CONNECTION_MAX];

	return number && c->number == number ? c : NULL;
}

/* Connections are used in turn; one whose program has closed it is forgotten for the next. */
struct sim_connection *sim_connection_add(struct sim_device *d, bool from_host)
{
	uint64_t number = d->connection_count + 1;
	struct sim_connection *c = &d->connections[number % SIM_CONNECTION_MAX];

	if (c->number && c->fd >= 0)
		return NULL;
	d->connection_count = number;
	*c = (struct sim_connection){ .number = number, .fd = -1, .from_host = from_host };
	return c;
}

void sim_connection_drop(struct sim_device *d, struct sim_connection *c)
{
	c->number = 0;
	d->connection_count--;
}

/* Half of the connections have little room in between. */
static int make_pair(const struct sim_connection *c, int fds[2])
{
	const int room = 4096;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		return -errno;
	for (uint32_t i = 0; i < 2 && c->number % 4 < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return 0;
}

int sim_connection_dialled(void *arg, uint32_t port)
{
	struct sim_device *d = arg;
	struct sim_connection *c = sim_connection_find(d, port);
	int fds[2], error;

	if (!c || c->fd >= 0 || c->number % 8 == 7)
		return -ECONNREFUSED;
	error = make_pair(c, fds);
	if (error)
		return error;
	c->fd = fds[0];
	return fds[1];
}

static const char ok[] = "OK ";

bool sim_connection_connect(struct sim_device *d)
{
	struct sim_connection *c = sim_connection_add(d, true);
	char greeting[32];
	int fds[2], len;

	if (!c || make_pair(c, fds)) {
		if (c)
			sim_connection_drop(d, c);
		return false;
	}
	c->fd = fds[0];
	len = snprintf(greeting, sizeof(greeting), "CONNECT %u\n", (unsigned int)c->number);
	if (send(c->fd, greeting, (size_t)len, MSG_NOSIGNAL) != len ||
	    vmb_dev_vsock_take_client(sim_sockets(d), fds[1])) {
		close(fds[1]);
		close(c->fd);
		c->fd = -1;
		sim_connection_drop(d, c);
		return false;
	}
	d->awake = true;
	return true;
}

/* What a program does */

static void shut(struct sim_connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->hears = false;
}

static bool write_some(struct sim_device *d, struct sim_connection *c, uint32_t arg)
{
	uint8_t bytes[PIECE_MAX];
	uint32_t len = 1 + arg % PIECE_MAX;
	ssize_t done;

	if (c->in.ended)
		return false;
	sim_flow_fill(bytes, c->number, true, c->in.sent, len);
	done = send(c->fd, bytes, len, MSG_NOSIGNAL);
	if (done <= 0)
		return false;
	c->in.sent += (uint64_t)done;
	sim_say(d->sim, "a program writes %lu bytes to connection %lu", (unsigned long)done,
		c->number, 0);
	return true;
}

static bool end_writing(struct sim_device *d, struct sim_connection *c)
{
	if (c->in.ended)
		return false;
	shutdown(c->fd, SHUT_WR);
	c->in.ended = true;
	sim_say(d->sim, "a program sends no more to connection %lu", c->number, 0, 0);
	return true;
}

/* One that closes with bytes that it has not read loses some of both directions. */
static bool close_now(struct sim_device *d, struct sim_connection *c)
{
	c->cut |= !c->out.end_seen;
	c->in.ended = true;
	sim_say(d->sim, "a program closes connection %lu", c->number, 0, 0);
	shut(c);
	return true;
}

bool sim_connection_act(struct sim_device *d, uint32_t arg)
{
	struct sim_connection *c = &d->connections[arg % SIM_CONNECTION_MAX];
	uint32_t what = arg / SIM_CONNECTION_MAX % 16;
	bool any;

	if (!c->number || c->fd < 0 || (c->from_host && !c->greeted))
		return false;
	if (what == 0)
		any = close_now(d, c);
	else if (what < 3)
		any = end_writing(d, c);
	else
		any = write_some(d, c, arg / (16 * SIM_CONNECTION_MAX));
	d->awake |= any;
	return any;
}

static uint32_t skip_greeting(struct sim_connection *c, const uint8_t *bytes, uint32_t len)
{
	const uint8_t *end = memchr(bytes, '\n', len);

	if (!c->from_host || c->greeted || !end || memcmp(bytes, ok, sizeof(ok) - 1))
		return 0;
	c->greeted = true;
	return (uint32_t)(end + 1 - bytes);
}

/* Hangs up when both have ended. */
static void hear_end(struct sim_device *d, struct sim_connection *c, bool regular)
{
	if (!c->from_host || c->greeted) {
		c->cut |= !regular;
		sim_flow_ended(d, c, false);
	}
	c->hears = false;
	shut(c);
	c->in.ended = true;
}

/* Exactly, for what may move decides what is drawn. */
static bool is_readable(const struct sim_connection *c)
{
	struct pollfd fd = { .fd = c->fd, .events = POLLIN };

	return c->fd >= 0 && poll(&fd, 1, 0) > 0;
}

static bool hear(struct sim_device *d, struct sim_connection *c)
{
	uint8_t bytes[HEAR_MAX];
	ssize_t done = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	uint32_t skipped;

	d->awake = true;
	if (done <= 0) {
		hear_end(d, c, !done);
		return true;
	}
	c->hears = is_readable(c);
	skipped = skip_greeting(c, bytes, (uint32_t)done);
	if (done > skipped)
		sim_flow_got(d, c, false, bytes + skipped, (uint32_t)done - skipped);
	return true;
}

bool sim_connection_may_hear(const struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++)
		if (d->connections[i].hears)
			return true;
	return false;
}

bool sim_connection_hear(struct sim_device *d, uint32_t arg)
{
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++) {
		struct sim_connection *c = &d->connections[(arg + i) % SIM_CONNECTION_MAX];

		if (c->hears && hear(d, c))
			return true;
	}
	return false;
}

void sim_connections_wake(struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++)
		d->connections[i].hears = is_readable(&d->connections[i]);
}

void sim_connections_cut(struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++)
		d->connections[i].cut = true;
}

void sim_connections_close(struct sim_device *d)
{
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX && d->config->class == SIM_SOCKETS; i++)
		if (d->connections[i].number)
			shut(&d->connections[i]);
	d->awake = d->dev.ops;
}

static void check_flow(struct sim_device *d, const struct sim_connection *c,
		       const struct sim_flow *f)
{
	if (f->got != f->sent)
		sim_fail(d->sim, "NO END: all rest, and of connection %lu %lu of %lu bytes arrived",
			 c->number, f->got, f->sent);
	if (f->ended && !f->end_seen)
		sim_fail(d->sim, "NO END: all rest, and nobody heard the end of connection %lu",
			 c->number, 0, 0);
}

/* Of those whose both ends are there. */
void sim_connections_check_rest(struct sim_device *d)
{
	if (sim_sockets(d)->counters.broken)
		sim_fail(d->sim, "BROKEN: sockets find that the guest breaks the protocol", 0, 0,
			 0);
	for (uint32_t i = 0; i < SIM_CONNECTION_MAX; i++) {
		const struct sim_connection *c = &d->connections[i];

		if (!c->number || !c->taken || c->cut || c->fd < 0)
			continue;
		check_flow(d, c, &c->in);
		check_flow(d, c, &c->out);
	}
}
