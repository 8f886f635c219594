// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Carries one connection: bytes of a client into a channel's ring and back, ends included, and what
 * has to happen when one of the two goes away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/channel.h"
#include "devices/report.h"
#include "devices/text.h"
#include "devices/vsock/vsock.h"

#define SECOND_NS      1000000000ll
#define GREETING_NS    (60 * SECOND_NS)
#define TAKE_NS	       (5 * SECOND_NS) /* for a guest to take a connection, or not to want it */
/*
 * For a guest to open the channel that it asked for. Whoever takes it away while a slow guest is
 * about to open it leaves Linux 6.1 waiting for ever: a channel that was rescinded is not opened,
 * and nothing answers.
 */
#define OPEN_NS	       (30 * SECOND_NS)
#define CLOSE_NS       (8 * SECOND_NS) /* for a guest to read on that sends no more */
#define REST_NS	       (60 * SECOND_NS) /* for either to take what the other left behind */
#define LOOK_NS	       10000000ll /* where nobody signals: a ring that empties */
#define GREETING_MAX   24u /* "CONNECT 2147483647\n" has 19 */
#define BUDGET	       32u /* packets, before others have their turn */
/* Kept in this process when a guest closes; Linux has rings of 24 to 256 KiB. */
#define RING_LEN_MAX   (512u << 10)
#define PIECES_OF_RING 4u /* so that the guest can make room while we write */

static const char connect_word[] = "CONNECT ";

static struct vmb_dev_vsock_counters *counters(struct vmb_dev_vsock_connection *c)
{
	return &c->vsock->counters;
}

/* Bytes that the client has not taken yet. */
static uint32_t left(const struct vmb_dev_vsock_connection *c)
{
	return c->out.len - c->out.at;
}

static bool is_open(const struct vmb_dev_vsock_connection *c)
{
	return c->state == VMB_DEV_VSOCK_OPEN;
}

static void begin(struct vmb_dev_vsock_connection *c, int fd)
{
	c->fd = fd;
	c->port = 0;
	c->rescinded = false;
	c->due = VMB_DEV_VSOCK_NEVER;
	c->readable = c->writable = true;
	c->in.len = c->out.at = c->out.len = 0;
	c->full = c->more = false;
	c->client_ended = c->client_gone = c->client_hung = false;
	c->told_end = false;
}

/* The end of either */

static void drop_client(struct vmb_dev_vsock_connection *c)
{
	counters(c)->cut += left(c) + (c->rest_len - c->rest_at);
	free(c->rest);
	c->rest = NULL;
	c->rest_at = c->rest_len = 0;
	c->out.at = c->out.len = 0;
	c->client_ended = c->client_gone = true;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void rescind(struct vmb_dev_vsock_connection *c)
{
	if (!c->link || c->rescinded)
		return;
	c->rescinded = true;
	vmb_dev_bus_rescind(&c->link->channel);
}

/* Nothing that this guest's ring says counts any more. */
static void break_off(struct vmb_dev_vsock_connection *c)
{
	counters(c)->broken++;
	c->state = VMB_DEV_VSOCK_RESTING;
	drop_client(c);
	rescind(c);
}

/* To the client */

static bool is_later(ssize_t done)
{
	return done < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Sends what it takes. Returns how much that is; 0: it takes nothing now, or is gone. */
static uint32_t push(struct vmb_dev_vsock_connection *c, const uint8_t *bytes, uint32_t len)
{
	ssize_t done = c->client_gone ? len : send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (c->client_gone)
		counters(c)->cut += len;
	if (done >= 0)
		return done;
	if (is_later(done))
		c->writable = false;
	else
		c->client_gone = true;
	return 0;
}

/* Returns whether all of it is out. */
static bool flush(struct vmb_dev_vsock_connection *c)
{
	while (left(c) && (c->writable || c->client_gone))
		c->out.at += push(c, c->out.bytes + c->out.at, left(c));
	if (left(c))
		return false;
	c->out.at = c->out.len = 0;
	return true;
}

static bool has_space(const struct vmb_dev_vsock_connection *c)
{
	return sizeof(c->out.bytes) - c->out.len >= VMB_PIPE_DATA_LEN_MAX;
}

static bool flush_rest(struct vmb_dev_vsock_connection *c)
{
	while (c->rest_at < c->rest_len && (c->writable || c->client_gone))
		c->rest_at += push(c, c->rest + c->rest_at, c->rest_len - c->rest_at);
	return c->rest_at == c->rest_len;
}

/*
 * Reads the next packet and judges it: a step of the stream, and for data *len; VMB_EAGAIN: there
 * is none; VMB_EPROTO. It stays the next one until vmb_ring_next().
 */
static int read_packet(struct vmb_dev_vsock_connection *c, struct vmb_ring_received *received,
		       uint32_t *len)
{
	struct vmb_pipe_header header = { 0 };
	int error = vmb_dev_channel_read(&c->link->channel, received);

	if (error)
		return error;
	vmb_ring_copy(&c->link->channel.rx, received, VMB_STREAM_HEADER_AT, &header,
		      sizeof(header));
	return vmb_stream_input(&c->stream, received, &header, len);
}

static int take_packet(struct vmb_dev_vsock_connection *c)
{
	struct vmb_ring_received received;
	uint32_t len;
	int step = read_packet(c, &received, &len);

	if (step < 0)
		return step;
	if (step == VMB_STREAM_DATA) {
		vmb_ring_copy(&c->link->channel.rx, &received, VMB_STREAM_DATA_AT,
			      c->out.bytes + c->out.len, len);
		c->out.len += len;
		counters(c)->bytes_in += len;
		counters(c)->packets_in++;
	}
	vmb_ring_next(&c->link->channel.rx, &received);
	return 0;
}

/* Until the ring is empty, which is true, or the client or the budget says stop. */
static bool take_packets(struct vmb_dev_vsock_connection *c, uint32_t *budget)
{
	int error = 0;

	for (; *budget; (*budget)--) {
		if (!has_space(c) && !flush(c))
			return false;
		error = take_packet(c);
		if (error)
			break;
	}
	flush(c);
	if (error == VMB_EPROTO)
		break_off(c);
	return error == VMB_EAGAIN;
}

/* While the client does not read the guest need not signal: its turn comes with the client's. */
static bool receive(struct vmb_dev_vsock_connection *c)
{
	struct vmb_ring_reader *rx = &c->link->channel.rx;
	uint32_t budget = BUDGET;
	bool empty;

	do {
		vmb_ring_mask(rx);
		empty = take_packets(c, &budget);
		if (is_open(c) && vmb_ring_release(rx))
			vmb_dev_bus_signal(&c->link->channel);
	} while (empty && vmb_ring_unmask(rx));
	c->more = is_open(c) && !empty && !left(c);
	if (is_open(c) && c->stream.ended_in && !left(c) && !c->told_end) {
		c->told_end = true;
		shutdown(c->fd, SHUT_WR);
	}
	return budget != BUDGET;
}

/* To the guest */

static uint32_t piece_len(const struct vmb_dev_vsock_connection *c)
{
	uint32_t len = c->link->channel.tx.data_len / PIECES_OF_RING & ~7u;

	return len < VMB_PIPE_DATA_LEN_MAX ? len : VMB_PIPE_DATA_LEN_MAX;
}

/* What was written must be published before room is asked for. */
static void publish(struct vmb_dev_vsock_connection *c)
{
	if (vmb_ring_commit(&c->link->channel.tx))
		vmb_dev_bus_signal(&c->link->channel);
}

static bool has_room(struct vmb_dev_vsock_connection *c)
{
	int error = 0;

	if (vmb_stream_fits(vmb_ring_room(&c->link->channel.tx)) < piece_len(c)) {
		publish(c);
		error = vmb_ring_wait_room(&c->link->channel.tx, c->link->channel.tx.data_len / 2);
	}
	if (error && error != VMB_EAGAIN)
		break_off(c);
	c->full = error;
	return !error;
}

static void pull(struct vmb_dev_vsock_connection *c)
{
	ssize_t done = recv(c->fd, c->in.bytes, piece_len(c), MSG_DONTWAIT);

	if (is_later(done)) {
		c->readable = false;
		return;
	}
	c->client_ended |= done <= 0;
	c->client_gone |= done < 0;
	c->in.len = done > 0 ? done : 0;
}

/* Writes what was pulled, or the end. Returns whether it went. */
static bool put(struct vmb_dev_vsock_connection *c)
{
	struct vmb_stream_packet p;
	int error;

	if (c->in.len)
		vmb_stream_data(&p, c->in.bytes, c->in.len);
	else
		vmb_stream_end(&p);
	error = vmb_dev_channel_write(&c->link->channel, &p.packet,
				      vmb_stream_packet_len(c->in.len));
	c->full = error == VMB_EAGAIN;
	if (error && !c->full)
		break_off(c);
	if (error)
		return false;
	counters(c)->bytes_out += c->in.len;
	counters(c)->packets_out++;
	c->due = VMB_DEV_VSOCK_NEVER; /* it has made room */
	c->stream.ended_out = !c->in.len;
	c->in.len = 0;
	return true;
}

static bool send_on(struct vmb_dev_vsock_connection *c)
{
	uint32_t budget = BUDGET;

	while (is_open(c) && budget && !c->stream.ended_out) {
		if (!c->in.len && !c->client_ended && c->readable && has_room(c))
			pull(c);
		if (!is_open(c) || (!c->in.len && !c->client_ended) || !put(c))
			break;
		budget--;
	}
	if (is_open(c))
		publish(c);
	return budget != BUDGET;
}

/* What the bus wants */

static int start(struct vmb_dev_channel *channel)
{
	if (channel->rx.data_len > RING_LEN_MAX || channel->tx.data_len > RING_LEN_MAX)
		return -EINVAL;
	return vmb_dev_channel_order_open(channel);
}

static const struct vmb_dev_channel_ops channel_ops = { .start = start,
							.stop = vmb_dev_channel_order_close,
							.released =
								vmb_dev_channel_order_released };

static void opened(struct vmb_dev_vsock_connection *c)
{
	c->state = c->fd < 0 ? VMB_DEV_VSOCK_RESTING : VMB_DEV_VSOCK_OPEN;
	c->due = VMB_DEV_VSOCK_NEVER;
	c->more = true; /* the guest may have filled the ring before it opened the channel */
	vmb_stream_init(&c->stream);
	if (c->from_host)
		c->out.len =
			snprintf((char *)c->out.bytes, sizeof(c->out.bytes), "OK %u\n", c->port);
	counters(c)->from_host += c->from_host;
	counters(c)->from_guest += !c->from_host;
}

/* A guest that writes on while it closes gets no more than a ring's worth in. */
static void keep_rest(struct vmb_dev_vsock_connection *c)
{
	struct vmb_ring_received received;
	uint32_t len, len_max = c->link->channel.rx.data_len;
	int step;

	c->rest = malloc(len_max);
	if (!c->rest)
		return;
	while ((step = read_packet(c, &received, &len)) >= 0) {
		if (step == VMB_STREAM_DATA && len > len_max - c->rest_len)
			return;
		if (step == VMB_STREAM_DATA) {
			vmb_ring_copy(&c->link->channel.rx, &received, VMB_STREAM_DATA_AT,
				      c->rest + c->rest_len, len);
			c->rest_len += len;
		}
		vmb_ring_next(&c->link->channel.rx, &received);
	}
	counters(c)->bytes_in += c->rest_len;
}

static void closed(struct vmb_dev_vsock_connection *c, int64_t now)
{
	if (is_open(c) && !c->client_gone)
		keep_rest(c);
	counters(c)->signals += __atomic_load_n(&c->link->channel.signals, __ATOMIC_RELAXED);
	c->state = VMB_DEV_VSOCK_RESTING;
	c->due = now + REST_NS;
	/* First, for a guest may have asked already to open it again, and a link is opened once. */
	rescind(c);
	vmb_dev_bus_stopped(&c->link->channel);
}

static bool take_orders(struct vmb_dev_vsock_connection *c, int64_t now)
{
	uint32_t orders = c->link ? vmb_dev_channel_take_orders(&c->link->channel) : 0;

	if (orders & VMB_DEV_ORDER_OPEN)
		opened(c);
	if (orders & VMB_DEV_ORDER_CLOSE)
		closed(c, now);
	if (!(orders & VMB_DEV_ORDER_RELEASED))
		return orders;
	vmb_dev_vsock_link_free(c->link);
	c->link = NULL;
	/* Its connection to the bus ended before it opened the channel. */
	if (c->state == VMB_DEV_VSOCK_OFFERED)
		drop_client(c);
	return true;
}

bool vmb_dev_vsock_link_serve(struct vmb_dev_vsock_link *link)
{
	uint32_t orders = vmb_dev_channel_take_orders(&link->channel);

	if (orders & VMB_DEV_ORDER_CLOSE)
		vmb_dev_bus_stopped(&link->channel);
	return orders & VMB_DEV_ORDER_RELEASED;
}

void vmb_dev_vsock_link_free(struct vmb_dev_vsock_link *link)
{
	vmb_dev_bus_detach(&link->channel);
	free(link);
}

/* The guest may keep a channel that it cannot use any more, but not this place. */
static void leave(struct vmb_dev_vsock_connection *c)
{
	if (!c->link || !c->rescinded || c->fd >= 0 || is_open(c))
		return;
	c->link->next = c->vsock->leaving;
	c->vsock->leaving = c->link;
	c->link = NULL;
}

/* States */

static int offer(struct vmb_dev_vsock_connection *c, int64_t now, const struct vmb_guid *service,
		 const struct vmb_guid *instance)
{
	int error;

	c->link = calloc(1, sizeof(*c->link));
	if (!c->link)
		return -ENOMEM;
	c->link->vsock = c->vsock;
	c->link->channel.ops = &channel_ops;
	c->link->channel.worker = &c->vsock->worker;
	c->link->channel.device = c->link;
	c->link->channel.host.type_id = *service;
	c->link->channel.host.instance_id = *instance;
	c->state = VMB_DEV_VSOCK_OFFERED;
	c->due = now + (c->from_host ? TAKE_NS : OPEN_NS);
	error = vmb_dev_bus_offer_socket(c->vsock->bus, &c->link->channel, c->from_host);
	if (!error)
		return 0;
	free(c->link);
	c->link = NULL;
	return error;
}

static bool parse_greeting(struct vmb_dev_vsock_connection *c)
{
	char *text = (char *)c->in.bytes;
	const char *rest;
	uint64_t port;

	text[c->in.len - 1] = '\0';
	if (strncmp(text, connect_word, sizeof(connect_word) - 1) != 0 ||
	    !vmb_dev_text_number(text + sizeof(connect_word) - 1, VMB_SOCKET_PORT_MAX, &port,
				 &rest) ||
	    *rest)
		return false;
	c->port = port;
	return true;
}

static void connect_to_guest(struct vmb_dev_vsock_connection *c, int64_t now)
{
	bool sound = parse_greeting(c);
	struct vmb_guid service = vmb_socket_guid(c->port), instance;

	c->in.len = 0;
	if (!sound || getrandom(&instance, sizeof(instance), 0) < 0 ||
	    offer(c, now, &service, &instance)) {
		counters(c)->refused++;
		drop_client(c);
	}
}

/* Byte by byte: what is behind the line belongs to the guest. */
static bool greet(struct vmb_dev_vsock_connection *c, int64_t now)
{
	ssize_t done = 1;

	while (c->readable && c->in.len < GREETING_MAX) {
		done = recv(c->fd, c->in.bytes + c->in.len, 1, MSG_DONTWAIT);
		if (done <= 0)
			break;
		if (c->in.bytes[c->in.len++] == '\n') {
			connect_to_guest(c, now);
			return true;
		}
	}
	c->readable &= !is_later(done);
	if (c->in.len == GREETING_MAX || (done <= 0 && !is_later(done)) || now >= c->due)
		drop_client(c);
	return c->fd < 0;
}

static bool wait_for_guest(struct vmb_dev_vsock_connection *c, int64_t now)
{
	if (now < c->due || c->rescinded)
		return false;
	counters(c)->refused++;
	drop_client(c);
	rescind(c);
	return true;
}

static bool guest_has_all(const struct vmb_dev_vsock_connection *c)
{
	const struct vmb_ring_writer *tx = &c->link->channel.tx;

	return vmb_load_acquire_u32(&tx->control->read_index) == tx->commit_index;
}

static bool is_ending(const struct vmb_dev_vsock_connection *c)
{
	return is_open(c) &&
	       (c->client_hung || (c->stream.ended_out && (c->client_gone || c->told_end)));
}

/*
 * Both have ended, or the client has left and nobody waits for what the guest still sends. Guests
 * like Linux wait for the host to take the channel away, which it may when the guest has read all,
 * the end included. A guest that does not read has some time, from the last packet that it took.
 */
static bool end(struct vmb_dev_vsock_connection *c, int64_t now)
{
	int64_t latest = now + (c->stream.ended_in ? CLOSE_NS : REST_NS);

	if (!is_ending(c) || c->rescinded)
		return false;
	if (c->due > latest)
		c->due = latest;
	if (now < c->due && !(c->stream.ended_out && guest_has_all(c)))
		return false;
	rescind(c);
	return true;
}

static bool carry(struct vmb_dev_vsock_connection *c, int64_t now)
{
	bool rang = vmb_dev_channel_rang(&c->link->channel), any = false;

	counters(c)->doorbells += rang;
	if (rang || c->more || left(c))
		any = receive(c);
	if (is_open(c))
		any |= send_on(c);
	return end(c, now) || any || !is_open(c);
}

static bool rest(struct vmb_dev_vsock_connection *c, int64_t now)
{
	if (c->fd < 0)
		return false;
	if (!(flush(c) && flush_rest(c)) && now < c->due)
		return false;
	drop_client(c);
	return true;
}

void vmb_dev_vsock_connection_heard(struct vmb_dev_vsock_connection *c, short revents)
{
	c->readable |= (revents & (POLLIN | POLLHUP | POLLERR)) != 0;
	c->writable |= (revents & (POLLOUT | POLLHUP | POLLERR)) != 0;
	c->client_hung |= (revents & POLLHUP) != 0;
	c->client_gone |= c->client_hung;
}

bool vmb_dev_vsock_connection_serve(struct vmb_dev_vsock_connection *c, int64_t now)
{
	bool any = take_orders(c, now);

	switch (c->state) {
	case VMB_DEV_VSOCK_GREETING: any |= greet(c, now); break;
	case VMB_DEV_VSOCK_OFFERED: any |= wait_for_guest(c, now); break;
	case VMB_DEV_VSOCK_OPEN: any |= carry(c, now); break;
	default: any |= rest(c, now);
	}
	leave(c);
	return any;
}

struct pollfd vmb_dev_vsock_connection_wanted(const struct vmb_dev_vsock_connection *c)
{
	bool reads = c->state == VMB_DEV_VSOCK_GREETING ||
		     (is_open(c) && !c->client_ended && !c->full && !c->in.len);
	bool writes = (is_open(c) && left(c)) || c->state == VMB_DEV_VSOCK_RESTING;

	short events = (reads ? POLLIN : 0) | (writes && !c->client_gone ? POLLOUT : 0);

	return (struct pollfd){ .fd = events || !c->client_gone ? c->fd : -1, .events = events };
}

int64_t vmb_dev_vsock_connection_due(const struct vmb_dev_vsock_connection *c, int64_t now)
{
	if ((is_ending(c) && !c->rescinded) ||
	    (is_open(c) && c->full && !vmb_ring_peer_signals_room(&c->link->channel.rx)))
		return now + LOOK_NS;
	return c->rescinded && c->fd < 0 ? VMB_DEV_VSOCK_NEVER : c->due;
}

/* Life */

void vmb_dev_vsock_connection_from_client(struct vmb_dev_vsock_connection *c, int fd)
{
	begin(c, fd);
	c->from_host = true;
	c->state = VMB_DEV_VSOCK_GREETING;
	c->due = c->vsock->config.clock() + GREETING_NS;
}

static int connect_to_server(const char *path, uint32_t port)
{
	char full[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];
	struct sockaddr_un address;
	int fd, error;

	snprintf(full, sizeof(full), "%s_%u", path, port);
	fd = vmb_dev_socket_create(&address, full, SOCK_STREAM);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int vmb_dev_vsock_connection_from_guest(struct vmb_dev_vsock_connection *c,
					const struct vmb_guid *endpoint_id,
					const struct vmb_guid *service_id)
{
	const struct vmb_dev_vsock_config *config = &c->vsock->config;
	uint32_t port;
	int fd, error;

	if (!vmb_socket_port(service_id, &port))
		return -EOPNOTSUPP;
	fd = config->dial ? config->dial(config->dial_arg, port) :
			    connect_to_server(config->path, port);
	if (fd < 0)
		return fd;
	begin(c, fd);
	c->from_host = false;
	c->port = port;
	error = offer(c, c->vsock->config.clock(), service_id, endpoint_id);
	if (error)
		drop_client(c);
	return error;
}

bool vmb_dev_vsock_connection_is_free(const struct vmb_dev_vsock_connection *c)
{
	return c->fd < 0 && !c->link;
}

void vmb_dev_vsock_connection_end(struct vmb_dev_vsock_connection *c)
{
	c->writable = true;
	if (c->fd >= 0 && flush(c))
		flush_rest(c);
	drop_client(c);
	if (c->link)
		vmb_dev_vsock_link_free(c->link);
	c->link = NULL;
}
