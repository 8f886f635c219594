// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What must hold: at any time, when everything rests, when faults have ended, and at the end. */
#include <string.h>

#include "sim/sim.h"

#define SECOND_NS   1000000000ll
#define BOUND_NS    (600 * SECOND_NS) /* of virtual time, for everything to recover */
#define PROBE_COUNT 64u

static bool is_honest(const struct sim *sim)
{
	return sim->config.faults == SIM_FAULTS_NONE;
}

/*
 * A guest that sleeps although its ring has packets is owed a signal: the host publishes and
 * interrupts in one step, so there is nothing between the two.
 */
static bool sleeps_on_packets(const struct sim *sim, const struct sim_channel *ch)
{
	return !ch->has_gone && ch->open && !ch->rx.broken && ch->poll == SIM_POLL_REST &&
	       !ch->interrupted &&
	       vmb_load_u32(&ch->rx.control->write_index) != ch->rx.read_index &&
	       !sim_machine_interrupting(&sim->machine, ch->core.relid);
}

void sim_check_step(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.count; i++)
		if (sim_services(&sim->world.devices[i]))
			sim_service_check(&sim->world.devices[i]);
	if (!is_honest(sim) || !sim->guest || sim->guest->connect.version < VMB_VERSION_2_4)
		return;
	for (const struct sim_channel *ch = sim->guest->channels; ch; ch = ch->next)
		if (sleeps_on_packets(sim, ch))
			sim_fail(sim,
				 "SIGNAL OWED: the guest sleeps, and device %lu has packets for it "
				 "on channel %lu",
				 ch->device->number, ch->index, 0);
}

static void check_rings(struct sim *sim, struct sim_channel *ch)
{
	if (!ch->open)
		return;
	if (vmb_load_u32(&ch->rx.control->write_index) != ch->rx.read_index)
		sim_fail(sim,
			 "SIGNAL OWED: all rest, and device %lu has packets for the guest on "
			 "channel %lu",
			 ch->device->number, ch->index, 0);
	if (vmb_load_u32(&ch->tx.control->read_index) != ch->tx.write_index)
		sim_fail(sim,
			 "SIGNAL OWED: all rest, and the guest has packets for device %lu on "
			 "channel %lu",
			 ch->device->number, ch->index, 0);
	if (ch->room_wanted && !ch->tx.broken && vmb_ring_room(&ch->tx) >= ch->room_wanted)
		sim_fail(sim,
			 "SIGNAL OWED: all rest, and the guest waits for room for device %lu on "
			 "channel %lu",
			 ch->device->number, ch->index, 0);
}

/* All that the guest gave the host has, and nothing else. */
static void check_memory(struct sim *sim, struct sim_channel *ch)
{
	struct vmb_dev_balloon_view view;

	sim_guest_balloon_check(ch);
	vmb_dev_balloon_look(sim_memory(ch->device), &view);
	if (ch->open && view.ready && view.out >> VMB_PAGE_SHIFT != ch->balloon->given_count)
		sim_fail(sim, "WRONG COUNT: the guest has given %lu pages, and the host has %lu",
			 ch->balloon->given_count, view.out >> VMB_PAGE_SHIFT, 0);
}

static void check_end(struct sim *sim, const struct sim_channel *ch)
{
	if (ch->open && ch->end->wanted && ch->end->connection->fd >= 0)
		sim_fail(sim,
			 "SIGNAL OWED: all rest, and the guest waits for room for connection %lu",
			 ch->end->number, 0, 0);
}

static void check_requests(struct sim *sim, struct sim_channel *ch)
{
	if (ch->storage && !ch->primary && ch->open && !sim_guest_storage_idle(ch))
		sim_fail(sim, "NO END: all rest, and requests of device %lu have no end",
			 ch->device->number, 0, 0);
	if (ch->card && ch->card->stage == SIM_CARD_UP)
		sim_frames_check(ch->device);
	if (ch->answer && ch->open && ch->ready && !ch->answer->slow)
		sim_service_check_rest(ch->device);
	if (ch->balloon)
		check_memory(sim, ch);
	if (ch->end)
		check_end(sim, ch);
}

void sim_check_rest(struct sim *sim)
{
	if (!is_honest(sim) || sim->now < sim->paused_until)
		return;
	for (struct sim_channel *ch = sim->guest->channels; ch; ch = ch->next) {
		if (ch->has_gone)
			continue;
		check_rings(sim, ch);
		check_requests(sim, ch);
	}
	for (uint32_t i = 0; i < sim->world.count; i++)
		if (sim_sockets(&sim->world.devices[i]))
			sim_connections_check_rest(&sim->world.devices[i]);
}

/* Recovery */

static void pass(struct sim *sim, uint32_t ticks)
{
	sim_choose(sim, (struct sim_choice){ SIM_TICK, 0, ticks - 1 });
	sim_rest(sim);
}

static void end_faults(struct sim *sim, const char *text)
{
	sim_choose(sim, (struct sim_choice){ SIM_FAULT_END, 0, 0 });
	sim->config.disk_error_in = sim->config.refusal_in = 0;
	sim->paused_until = 0;
	sim->quiet = false;
	sim_say(sim, text, BOUND_NS / SECOND_NS, 0, 0);
	sim->quiet = true;
	for (uint32_t i = 0; i < sim->world.count; i++)
		sim_connections_close(&sim->world.devices[i]);
	/* What was delayed is due within a second or two. */
	pass(sim, 500);
}

/* Everything is wanted again. */
static void want_all(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.count; i++) {
		sim_choose(sim, (struct sim_choice){ SIM_OFFER, (uint8_t)i, 0 });
		sim_choose(sim, (struct sim_choice){ SIM_OPEN, (uint8_t)i, 0 });
		sim_choose(sim, (struct sim_choice){ SIM_PLUG, (uint8_t)i, 0 });
		sim_choose(sim, (struct sim_choice){ SIM_LINK, (uint8_t)i, 0 });
	}
	sim_choose(sim, (struct sim_choice){ SIM_CONNECT, 0, 0 });
}

/* A connection is made when it is wanted. */
static bool may_connect(struct sim *sim)
{
	return sim->guest->connect.state == VMB_GUEST_CONNECTED && !sim->guest->want_unload;
}

static bool works(struct sim *sim, uint32_t device)
{
	struct sim_channel *ch;

	if (sim_sockets(&sim->world.devices[device]))
		return may_connect(sim);
	ch = sim_guest_channel(sim->guest, SIM_CHANNEL(device, 0), sim_guest_is_live);

	return ch && ch->open && ch->ready && !ch->core.rescinded && !sim->guest->want_unload &&
	       (!ch->card || ch->card->stage == SIM_CARD_UP);
}

/* Repeats a wish until it has come true. */
static bool comes_true(struct sim *sim, struct sim_choice wish, const uint64_t *count)
{
	uint64_t before = *count;

	for (uint32_t i = 0; i < PROBE_COUNT && *count == before; i++) {
		wish.arg = i * 4000;
		sim_choose(sim, wish);
		sim_rest(sim);
	}
	return *count != before;
}

/* Heartbeats and the time come by themselves. */
static bool probe_service(struct sim *sim, struct sim_device *d)
{
	uint64_t before = d->good;

	for (uint32_t i = 0; i < 4 && d->good == before; i++) {
		sim_choose(sim, (struct sim_choice){ SIM_CALL, (uint8_t)d->number, i + 1 });
		sim_choose(sim, (struct sim_choice){ SIM_CALL, (uint8_t)d->number, i });
		pass(sim, 600);
	}
	return d->good != before;
}

/* Every other number of pages is wanted, so one of both is new. */
static bool probe_memory(struct sim *sim, struct sim_device *d)
{
	uint64_t before = d->good;

	for (uint32_t i = 0; i < 6 && d->good == before; i++) {
		sim_choose(sim, (struct sim_choice){ SIM_CALL, (uint8_t)d->number, i % 3 });
		pass(sim, 600);
	}
	return d->good != before;
}

/* The guest connects, and what it writes arrives. */
static bool probe_sockets(struct sim *sim, struct sim_device *d)
{
	uint64_t before = d->good;

	if (sim->guest->connect.version < VMB_SOCKET_VERSION_MIN)
		return true;
	for (uint32_t i = 0; i < 3 && d->good == before; i++) {
		sim_choose(sim, (struct sim_choice){ SIM_REPLY, (uint8_t)d->number, 0 });
		sim_rest(sim);
		for (uint32_t k = 0; k < SIM_CHANNEL_MAX; k++)
			sim_choose(sim, (struct sim_choice){ SIM_STREAM, (uint8_t)d->number,
							     k + SIM_CHANNEL_MAX });
		sim_rest(sim);
	}
	return d->good != before;
}

/* Something goes through the device, through a card both ways. */
static bool probe(struct sim *sim, struct sim_device *d)
{
	uint8_t who = (uint8_t)d->number;

	switch (d->config->class) {
	case SIM_SERVICE: return probe_service(sim, d);
	case SIM_MEMORY: return probe_memory(sim, d);
	case SIM_SOCKETS: return probe_sockets(sim, d);
	default: break;
	}
	if (d->config->class != SIM_CARD)
		return comes_true(sim, (struct sim_choice){ SIM_REQUEST, who, 0 }, &d->good);
	return comes_true(sim, (struct sim_choice){ SIM_SEND, who, 0 }, &d->left) &&
	       comes_true(sim, (struct sim_choice){ SIM_DELIVER, who, 0 }, &d->arrived);
}

static bool all_work(struct sim *sim, uint32_t *device)
{
	for (*device = 0; *device < sim->world.count; ++*device)
		if (!works(sim, *device) || !probe(sim, &sim->world.devices[*device]))
			return false;
	return true;
}

/* A guest cannot know of a service, or of memory, that a request of the host was lost. */
static void load_again(struct sim *sim, uint32_t device)
{
	if (sim->world.devices[device].config->class != SIM_SERVICE &&
	    sim->world.devices[device].config->class != SIM_MEMORY)
		return;
	sim_choose(sim, (struct sim_choice){ SIM_CLOSE, (uint8_t)device, 0 });
	sim_rest(sim);
}

/*
 * A driver closes and opens again what does not answer. What was lost on the bus itself, an offer
 * for example, only comes back with a new connection: somebody resets the machine, once.
 */
void sim_check_recovery(struct sim *sim)
{
	uint32_t device = 0;
	int64_t until;
	bool working = false, reset = is_honest(sim);

	end_faults(sim, "-- faults end; all devices must work again within %lu s");
	for (until = sim->now + BOUND_NS; !working && sim->now < until && !sim->failed;) {
		want_all(sim);
		sim_rest(sim);
		working = all_work(sim, &device);
		if (!working && !is_honest(sim))
			load_again(sim, device);
		if (!working)
			pass(sim, 100);
		if (!working && !reset && sim->now > until - BOUND_NS / 2)
			reset = sim_choose(sim, (struct sim_choice){ SIM_RESET, 0, 0 });
	}
	if (!working)
		sim_fail(sim, "NO RECOVERY: device %lu does not work %lu s after the last fault",
			 device, BOUND_NS / SECOND_NS, 0);
	if (!sim->failed)
		sim_check_rest(sim);
}

/* The end */

static void expect_no_connection(struct sim *sim, const struct vmb_dev_vsock *sockets)
{
	for (uint32_t i = 0; sockets && i < VMB_DEV_VSOCK_MAX; i++)
		if (!vmb_dev_vsock_connection_is_free(&sockets->connections[i]))
			sim_fail(sim, "KEPT: the host has a connection after both ends have left",
				 0, 0, 0);
	if (sockets && sockets->leaving)
		sim_fail(sim, "KEPT: the host has a connection's channel after the guest has left",
			 0, 0, 0);
}

static void expect_nothing_kept(struct sim *sim)
{
	const struct vmb_dev_bus *bus = sim->machine.bus;

	if (bus->open_count)
		sim_fail(sim, "KEPT: the host has %lu channels open after the guest has left",
			 bus->open_count, 0, 0);
	if (bus->gpadl_count || bus->mapping_count)
		sim_fail(sim,
			 "KEPT: the host holds %lu GPADLs and %lu mappings after the guest has "
			 "left",
			 bus->gpadl_count, bus->mapping_count, 0);
	for (uint32_t i = 0; i < sim->world.count; i++)
		expect_no_connection(sim, sim_sockets(&sim->world.devices[i]));
	if (sim->machine.memory.used_count)
		sim_fail(sim, "KEPT: the guest has not got %lu pages back",
			 sim->machine.memory.used_count, 0, 0);
}

void sim_check_end(struct sim *sim)
{
	int64_t until;

	end_faults(sim, "-- the end: the guest leaves the bus, and nothing of it may be kept");
	for (until = sim->now + 2 * BOUND_NS; sim->now < until && !sim->failed;) {
		sim_choose(sim, (struct sim_choice){ SIM_UNLOAD, 0, 0 });
		sim_rest(sim);
		if (sim->guest->unloaded)
			break;
		pass(sim, 100);
	}
	if (sim->failed)
		return;
	for (uint32_t i = 0; i < sim->world.count; i++)
		sim_connections_close(&sim->world.devices[i]);
	pass(sim, 100);
	if (!sim->guest->unloaded)
		sim_fail(sim, "NO END: the guest cannot leave the bus", 0, 0, 0);
	sim_guest_free(sim->guest);
	sim->guest = NULL;
	if (!sim->failed)
		expect_nothing_kept(sim);
}
