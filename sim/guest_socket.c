// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest's sockets: it dials the host, takes what the host connects to it, writes and reads
 * streams, and closes what has ended.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define OWN_PORT   0x40000000u /* of the guest's ends, by the connection's number */
#define WANTED_MAX 60000u
#define PIECE_MAX  3000u

static struct sim_dial *dial_of(struct vmb_guest_dial *core)
{
	return VMB_CONTAINER_OF(core, struct sim_dial, core);
}

bool sim_guest_socket_dial(struct sim_guest *g, struct sim_device *d)
{
	struct sim_connection *c;
	struct sim_dial *dial = g->dials;

	while (dial < g->dials + SIM_DIAL_MAX && dial->busy)
		dial++;
	if (dial == g->dials + SIM_DIAL_MAX || g->connect.state != VMB_GUEST_CONNECTED ||
	    g->connect.version < VMB_SOCKET_VERSION_MIN || g->want_unload)
		return false;
	c = sim_connection_add(d, false);
	if (!c)
		return false;
	memset(dial, 0, sizeof(*dial));
	dial->number = c->number;
	dial->since = g->sim->now;
	dial->core.endpoint_id = vmb_socket_guid(OWN_PORT + (uint32_t)c->number);
	dial->core.service_id = vmb_socket_guid((uint32_t)c->number);
	dial->busy = !vmb_guest_socket_dial(&g->connect, &dial->core);
	if (!dial->busy)
		sim_connection_drop(d, c);
	return dial->busy;
}

void sim_guest_socket_refused(struct sim_guest *g, struct vmb_guest_dial *core)
{
	sim_say(g->sim, "  connection %lu of the guest's is refused", dial_of(core)->number, 0, 0);
	dial_of(core)->busy = false;
}

/* Hosts of 4.0 do not say that they refuse. */
void sim_guest_socket_watch(struct sim_guest *g)
{
	for (uint32_t i = 0; i < SIM_DIAL_MAX; i++) {
		struct sim_dial *dial = &g->dials[i];

		if (!dial->busy || (g->sim->now - dial->since < SIM_PATIENCE_NS && !g->unloaded))
			continue;
		if (g->sim->config.faults == SIM_FAULTS_NONE && !g->unloaded &&
		    g->connect.version > VMB_VERSION_4_0)
			sim_fail(g->sim, "NO ANSWER: the guest dialled connection %lu",
				 dial->number, 0, 0);
		vmb_guest_socket_hang_up(&g->connect, &dial->core);
		dial->busy = false;
	}
}

/* Which connection an offer is of: the port of the end that names it. */
static struct sim_connection *find(struct sim_channel *ch, const struct vmb_guest_socket *about)
{
	struct sim_guest *g = ch->guest;

	for (uint32_t i = 0; i < SIM_DIAL_MAX && !about->from_host; i++)
		if (g->dials[i].busy && g->dials[i].number == about->peer_port)
			g->dials[i].busy = false;
	return sim_connection_find(ch->device, about->from_host ? about->port : about->peer_port);
}

static bool alloc_end(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	struct sim_end *e = calloc(1, sizeof(*e));

	ch->end = e;
	if (!e || !vmb_guest_socket_read(offer, &e->about))
		return false;
	e->connection = find(ch, &e->about);
	if (e->connection)
		e->number = e->connection->number;
	/* Nobody listens on some of the ports, nor for a connection that was forgotten. */
	ch->refused = !e->connection || e->connection->offered ||
		      (e->about.from_host && e->number % 8 == 7);
	if (!ch->refused)
		e->connection->offered = true;
	return true;
}

static void free_end(struct sim_channel *ch)
{
	free(ch->end);
}

static void prepare(struct sim_channel *ch)
{
	vmb_stream_init(&ch->end->stream);
}

/* NULL: the connection was forgotten, and its place may be another's now. */
static struct sim_connection *connection_of(struct sim_channel *ch)
{
	struct sim_end *e = ch->end;

	return e->connection && e->connection->number == e->number ? e->connection : NULL;
}

static void begin(struct sim_channel *ch)
{
	ch->ready = true;
	if (connection_of(ch))
		connection_of(ch)->taken = true;
}

/* Writing. What does not fit waits for room. */

static bool write_piece(struct sim_channel *ch)
{
	struct sim_connection *c = connection_of(ch);
	uint32_t len = vmb_stream_fits(vmb_ring_room(&ch->tx));
	struct vmb_stream_packet p;
	uint8_t bytes[PIECE_MAX];

	len = len < ch->end->wanted ? len : ch->end->wanted;
	len = len < sizeof(bytes) ? len : sizeof(bytes);
	if (!len || !c)
		return false;
	sim_flow_fill(bytes, c->number, false, c->out.sent, len);
	vmb_stream_data(&p, bytes, len);
	if (vmb_ring_write(&ch->tx, &p.packet))
		return false;
	c->out.sent += len;
	ch->end->wanted -= len;
	return true;
}

static void write_end(struct sim_channel *ch)
{
	struct sim_connection *c = connection_of(ch);
	struct vmb_stream_packet p;

	vmb_stream_end(&p);
	if (vmb_ring_write(&ch->tx, &p.packet))
		return;
	ch->end->stream.ended_out = true;
	if (c)
		c->out.ended = true;
}

static void write_stream(struct sim_channel *ch)
{
	struct sim_end *e = ch->end;

	if (!ch->open || e->stream.ended_out)
		return;
	if (!connection_of(ch))
		e->wanted = 0;
	for (;;) {
		while (e->wanted && write_piece(ch))
			;
		sim_guest_publish(ch);
		if (!e->wanted)
			break;
		ch->guest->sim->full++;
		if (vmb_ring_wait_room(&ch->tx, vmb_stream_packet_len(8)))
			break;
	}
	if (e->want_end && !e->wanted) {
		write_end(ch);
		sim_guest_publish(ch);
	}
}

bool sim_guest_socket_send(struct sim_channel *ch, uint32_t len)
{
	struct sim_end *e = ch->end;

	if (!ch->open || e->want_end || e->wanted || !connection_of(ch))
		return false;
	e->wanted = 1 + len % WANTED_MAX % (e->number % 2 ? WANTED_MAX : 600);
	sim_say(ch->guest->sim, "the guest writes %lu bytes to connection %lu", e->wanted,
		e->number, 0);
	write_stream(ch);
	return true;
}

bool sim_guest_socket_end(struct sim_channel *ch)
{
	if (!ch->open || ch->end->want_end)
		return false;
	sim_say(ch->guest->sim, "the guest sends no more to connection %lu", ch->end->number, 0, 0);
	ch->end->want_end = true;
	write_stream(ch);
	return true;
}

/* Reading */

static void take_bytes(struct sim_channel *ch, const struct vmb_ring_received *received,
		       uint32_t len)
{
	struct sim_connection *c = connection_of(ch);
	uint8_t bytes[VMB_PIPE_DATA_LEN_MAX];

	vmb_ring_copy(&ch->rx, received, VMB_STREAM_DATA_AT, bytes, len);
	if (c)
		sim_flow_got(ch->device, c, true, bytes, len);
}

static void read_packet(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	struct vmb_pipe_header header = { 0 };
	uint32_t len;
	int step;

	vmb_ring_copy(&ch->rx, received, VMB_STREAM_HEADER_AT, &header, sizeof(header));
	step = vmb_stream_input(&ch->end->stream, received, &header, &len);
	if (step == VMB_STREAM_DATA)
		take_bytes(ch, received, len);
	else if (step == VMB_STREAM_END && connection_of(ch))
		sim_flow_ended(ch->device, connection_of(ch), true);
	else if (step < 0)
		ch->want_open = false;
	sim_guest_wake(ch);
}

static void forget(struct sim_channel *ch)
{
	ch->end->wanted = 0;
	if (connection_of(ch))
		connection_of(ch)->taken = false;
}

static void watch(struct sim_channel *ch)
{
}

const struct sim_guest_ops sim_guest_socket_ops = { .alloc = alloc_end,
						    .free = free_end,
						    .prepare = prepare,
						    .begin = begin,
						    .read = read_packet,
						    .write = write_stream,
						    .fail = forget,
						    .watch = watch };
