// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Carries out one choice: a row of a table for each kind. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

static struct sim_device *device_of(struct sim *sim, uint32_t who)
{
	return who < sim->world.count ? &sim->world.devices[who] : NULL;
}

static bool is_paused(const struct sim *sim)
{
	return !sim->guest || sim->now < sim->paused_until;
}

static struct sim_channel *channel_at(struct sim *sim, uint32_t who,
				      bool (*fits)(const struct sim_channel *ch))
{
	return is_paused(sim) ? NULL : sim_guest_channel(sim->guest, who, fits);
}

static struct sim_channel *queue_at(struct sim *sim, uint32_t device, uint32_t index)
{
	return channel_at(sim, SIM_CHANNEL(device, index), sim_guest_is_live);
}

static struct sim_channel *primary_at(struct sim *sim, uint32_t device)
{
	return queue_at(sim, device, 0);
}

/* Steps and arrivals */

static bool do_message(struct sim *sim, struct sim_choice c)
{
	return !is_paused(sim) && sim_guest_take(sim->guest, c.who);
}

static bool do_post(struct sim *sim, struct sim_choice c)
{
	uint32_t in = sim->config.refusal_in;

	return !is_paused(sim) && sim_guest_post(sim->guest, in && c.arg % in == 1);
}

static bool do_advance(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = channel_at(sim, c.who, sim_guest_may_advance);

	if (ch)
		sim_guest_advance(ch);
	return ch;
}

static bool do_interrupt(struct sim *sim, struct sim_choice c)
{
	int flag = is_paused(sim) ? -1 : sim_machine_arrive(&sim->machine, c.who, c.arg);

	if (flag < 0)
		return false;
	sim_note(sim, "interrupt %lu arrives on processor %lu", (unsigned long)flag, c.who, 0);
	sim_guest_interrupt(sim->guest, (uint32_t)flag);
	return true;
}

static bool do_doorbell(struct sim *sim, struct sim_choice c)
{
	struct vmb_dev_bell *bell = sim_machine_arriving(&sim->machine, c.arg);

	if (!bell)
		return false;
	sim_note(sim, "a signal reaches the host", 0, 0, 0);
	vmb_dev_bell_ring(bell);
	if (bell == &sim->machine.bus->doorbell.shared)
		sim->machine.scan = true;
	else
		sim_world_wake_channel(sim, VMB_CONTAINER_OF(bell, struct vmb_dev_channel, bell));
	return true;
}

static bool do_poll(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = channel_at(sim, c.who, sim_guest_may_poll);

	if (ch)
		sim_guest_poll(ch);
	return ch;
}

static bool do_device(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	if (!d || !d->dev.ops || !d->awake)
		return false;
	return sim_device_step(d);
}

static bool do_scan(struct sim *sim, struct sim_choice c)
{
	if (!sim->machine.scan)
		return false;
	sim->machine.scan = false;
	if (vmb_dev_doorbell_step(&sim->machine.bus->doorbell))
		sim_world_wake(sim);
	return true;
}

static bool do_operation(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	return d && sim_device_operate(d, c.arg, false);
}

static bool do_hear(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	return d && sim_connection_hear(d, c.arg);
}

static void boot(struct sim *sim, const char *why);

static bool anything_moves(struct sim *sim)
{
	struct sim_choice one;

	return sim_movable(sim, &one, 1);
}

/*
 * A tick may pass at any time; more at once only while nothing can move, or the guest's patience
 * would end although the host was never let to answer. A guest that stands still has to wake first.
 */
static bool do_tick(struct sim *sim, struct sim_choice c)
{
	uint32_t ticks = c.arg % 1000;
	int64_t wake = sim->paused_until;

	if (ticks && anything_moves(sim))
		return false;
	do {
		sim->now += SIM_TICK_NS;
		vmb_dev_fault_tick(sim->machine.bus);
	} while (ticks-- && (sim->now - SIM_TICK_NS >= wake || sim->now < wake));
	sim->machine.scan = true;
	sim_world_wake(sim);
	if (is_paused(sim) || sim_guest_watch(sim->guest))
		return true;
	if (sim->config.faults == SIM_FAULTS_NONE)
		sim_fail(sim, "NO ANSWER: the host has not answered the guest for a minute", 0, 0,
			 0);
	boot(sim, "the host does not answer: the guest boots anew");
	return true;
}

/* Wishes */

static bool do_request(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = queue_at(sim, c.who, c.arg % sim->config.guest_queues);

	return ch && ch->device->config->class <= SIM_IDE && sim_guest_storage_request(ch, c.arg);
}

static bool do_burst(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = queue_at(sim, c.who, c.arg % sim->config.guest_queues);

	return ch && ch->device->config->class <= SIM_IDE && sim_guest_storage_burst(ch, c.arg);
}

static bool do_send(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = queue_at(sim, c.who, c.arg % sim->config.guest_queues);

	return ch && ch->queue && sim_guest_card_send(ch, c.arg / SIM_QUEUE_MAX);
}

/* It is due if the card took it: a card says so in its counters. */
static bool do_deliver(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);
	struct vmb_dev_network *card = d ? sim_network(d) : NULL;
	uint8_t bytes[VMB_DEV_NET_FRAME_MAX];
	struct vmb_dev_network_counters before;
	struct sim_frame *f;
	uint32_t len = 60 + c.arg % 1400;

	if (!card || d->leaving || !d->wire.net)
		return false;
	before = card->counters;
	f = sim_frame_add(d, d->in, len);
	sim_frame_make(bytes, f->number, len);
	vmb_user_wire_deliver(&d->wire, bytes, len, 0);
	f->due = sim->config.faults == SIM_FAULTS_NONE && !d->pulled &&
		 card->counters.in_dropped == before.in_dropped &&
		 card->counters.in_unwanted == before.in_unwanted;
	sim_say(sim,
		f->due ? "the network has frame %lu of %lu bytes for card %lu" :
			 "the network has frame %lu of %lu bytes for card %lu; it is not taken",
		f->number, len, c.who);
	d->awake = true;
	return true;
}

static bool do_call(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	if (!d)
		return false;
	if (sim_services(d))
		return sim_service_call(d, c.arg);
	if (sim_sockets(d))
		return sim_connection_connect(d);
	return sim_memory(d) && sim_memory_set(d, c.arg);
}

static bool do_reply(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);
	struct sim_channel *ch = primary_at(sim, c.who);

	if (d && sim_sockets(d) && !is_paused(sim))
		return sim_guest_socket_dial(sim->guest, d);
	if (!ch)
		return false;
	if (ch->answer)
		return sim_guest_service_answer(ch);
	return ch->balloon && sim_guest_balloon_report(ch);
}

/* One of eight times it is the end. */
static bool do_stream(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = queue_at(sim, c.who, c.arg % SIM_CHANNEL_MAX);
	uint32_t what = c.arg / SIM_CHANNEL_MAX;

	if (!ch || !ch->end)
		return false;
	return what % 8 ? sim_guest_socket_send(ch, what / 8) : sim_guest_socket_end(ch);
}

static bool do_program(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	return d && sim_sockets(d) && sim_connection_act(d, c.arg);
}

static bool want(struct sim *sim, struct sim_choice c, bool open)
{
	struct sim_device *d = device_of(sim, c.who);
	bool sockets = d && sim_sockets(d);
	struct sim_channel *ch = queue_at(sim, c.who, sockets ? c.arg % SIM_CHANNEL_MAX : 0);

	/* A connection is opened once. */
	if (!ch || ch->want_open == open || (sockets && open))
		return false;
	sim_say(sim, open ? "the guest wants device %lu open" : "the guest wants device %lu closed",
		c.who, 0, 0);
	ch->want_open = open;
	ch->since = sim->now;
	sim_guest_wake(ch);
	return true;
}

static bool do_open(struct sim *sim, struct sim_choice c)
{
	return want(sim, c, true);
}

static bool do_close(struct sim *sim, struct sim_choice c)
{
	return want(sim, c, false);
}

static bool do_modify(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = queue_at(sim, c.who, c.arg % SIM_QUEUE_MAX);
	uint32_t vp = c.arg / SIM_QUEUE_MAX % sim->config.vp_count;

	if (!ch || vmb_guest_channel_modify(&ch->core, vp))
		return false;
	sim_say(sim, "the guest wants device %lu, channel %lu to interrupt processor %lu", c.who,
		ch->index, vp);
	return true;
}

static bool do_rescind(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	if (!d || !d->dev.ops || d->leaving)
		return false;
	sim_say(sim, "THE HOST RESCINDS device %lu", c.who, 0, 0);
	return sim_device_rescind(d);
}

static bool do_offer(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	if (!d || !sim_device_offer(d))
		return false;
	sim_say(sim, "THE HOST OFFERS device %lu again", c.who, 0, 0);
	return true;
}

static bool do_disk(struct sim *sim, struct sim_choice c,
		    bool (*change)(struct sim_device *, uint32_t), const char *text)
{
	struct sim_device *d = device_of(sim, c.who);
	uint32_t lun = c.arg % SIM_DISK_MAX;

	if (!d || !change(d, lun))
		return false;
	sim_say(sim, text, lun, c.who, 0);
	return true;
}

static bool do_unplug(struct sim *sim, struct sim_choice c)
{
	return do_disk(sim, c, sim_disk_unplug, "disk %lu of device %lu is UNPLUGGED");
}

static bool do_plug(struct sim *sim, struct sim_choice c)
{
	return do_disk(sim, c, sim_disk_plug, "disk %lu of device %lu is PLUGGED IN");
}

static bool do_grow(struct sim *sim, struct sim_choice c)
{
	return do_disk(sim, c, sim_disk_grow, "disk %lu of device %lu GROWS by 8 blocks");
}

static bool do_change(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);

	return d && d->config->drive && sim_storage(d) && !d->leaving && sim_drive_change(d);
}

static bool do_link(struct sim *sim, struct sim_choice c)
{
	struct sim_device *d = device_of(sim, c.who);
	bool out = c.arg % 2;

	if (!d || !sim_network(d) || d->pulled == out)
		return false;
	sim_say(sim, out ? "the cable of card %lu is PULLED" : "the cable of card %lu is back",
		c.who, 0, 0);
	d->pulled = out;
	d->awake = true;
	if (out)
		for (uint32_t i = 0; i < SIM_FRAME_COUNT; i++)
			d->out[i].due = false;
	vmb_dev_network_pull(sim_network(d), out);
	return true;
}

/* A driver changes the MTU by closing the card and opening it again. */
static bool do_mtu(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = primary_at(sim, c.who);

	if (!ch || !ch->card || ch->card->stage != SIM_CARD_UP)
		return false;
	ch->card->mtu = 576 + c.arg % 925;
	sim_say(sim, "the guest changes the MTU of card %lu to %lu", c.who, ch->card->mtu, 0);
	ch->want_open = false;
	sim_guest_wake(ch);
	return true;
}

static bool do_bus_reset(struct sim *sim, struct sim_choice c)
{
	struct sim_channel *ch = primary_at(sim, c.who);

	if (!ch || !ch->storage || !sim_guest_storage_reset(ch))
		return false;
	sim_say(sim, "the guest resets the bus of device %lu", c.who, 0, 0);
	return true;
}

static bool do_pause(struct sim *sim, struct sim_choice c)
{
	if (is_paused(sim))
		return false;
	sim->paused_until = sim->now + (1 + c.arg % 500) * SIM_TICK_NS;
	sim_say(sim, "the guest STANDS STILL for %lu ms", (1 + c.arg % 500) * 10, 0, 0);
	return true;
}

static bool do_unload(struct sim *sim, struct sim_choice c)
{
	if (is_paused(sim) || sim->guest->want_unload ||
	    sim->guest->connect.state != VMB_GUEST_CONNECTED)
		return false;
	sim_say(sim, "the guest LEAVES THE BUS", 0, 0, 0);
	sim->guest->want_unload = true;
	for (struct sim_channel *ch = sim->guest->channels; ch; ch = ch->next)
		ch->dirty = true;
	return true;
}

static bool do_connect(struct sim *sim, struct sim_choice c)
{
	if (is_paused(sim) || !sim_guest_start(sim->guest))
		return false;
	sim_say(sim, "the guest CONNECTS AGAIN", 0, 0, 0);
	return true;
}

/* A device that closes waits for its disks. */
static bool finish_device(struct sim_device *d)
{
	bool any = false;

	while (sim_device_operate(d, 0, true))
		any = true;
	d->awake = d->dev.ops;
	return (sim_device_step(d) && d->awake) || any;
}

#define CLOSING_ROUNDS 1000u

/* As a monitor does before it starts the machine again: every channel is closed first. */
void sim_stop(struct sim *sim)
{
	uint32_t rounds = 0;
	bool any;

	vmb_dev_bus_reset(sim->machine.bus);
	do {
		any = false;
		for (uint32_t i = 0; i < sim->world.count; i++)
			any |= finish_device(&sim->world.devices[i]);
	} while ((any || sim->machine.bus->open_count) && rounds++ < CLOSING_ROUNDS);
	if (sim->machine.bus->open_count)
		sim_fail(sim, "THE HOST DOES NOT STOP: %lu channels are open after a reset",
			 sim->machine.bus->open_count, 0, 0);
}

static void boot(struct sim *sim, const char *why)
{
	sim_say(sim, why, 0, 0, 0);
	sim_world_cut(sim);
	sim_stop(sim);
	sim_machine_forget(&sim->machine);
	sim_guest_free(sim->orphan);
	sim_guest_free(sim->guest);
	sim->orphan = NULL;
	sim->guest = sim_guest_boot(sim);
	sim->paused_until = 0;
}

static bool do_reset(struct sim *sim, struct sim_choice c)
{
	boot(sim, "the machine is RESET, and another guest boots");
	return true;
}

/* As a crash kernel: memory of its own, and a contact while the host serves the one before. */
static bool do_kexec(struct sim *sim, struct sim_choice c)
{
	if (sim->orphan || is_paused(sim))
		return false;
	sim_say(sim, "ANOTHER GUEST BOOTS over this one, which says nothing to the host", 0, 0, 0);
	sim_world_cut(sim);
	sim_machine_empty_slots(&sim->machine);
	sim->orphan = sim->guest;
	sim->guest = sim_guest_boot(sim);
	return true;
}

void sim_rule_text(const struct sim *sim, uint32_t number, char *text, size_t len)
{
	static const char *const kinds[] = { "drop",	"delay",   "duplicate",
					     "reorder", "silence", "throttle",
					     "fail",	"tear",	   "no-mode-sense" };
	uint64_t random = sim_mix(number);
	uint32_t kind = sim_draw(&random, VMB_ARRAY_COUNT(kinds));

	if (sim->config.faults == SIM_FAULTS_LIAR && number % 2)
		snprintf(text, len, "any,seed=%u", number);
	else
		snprintf(text, len, "%s,rate=%u,count=%u,ticks=%u,seed=%u", kinds[kind],
			 2u << sim_draw(&random, 5), 1 + sim_draw(&random, 40),
			 1 + sim_draw(&random, 200), number);
}

static bool do_fault(struct sim *sim, struct sim_choice c)
{
	char rule[64];

	if (sim->config.faults == SIM_FAULTS_NONE)
		return false;
	sim_rule_text(sim, c.arg, rule, sizeof(rule));
	/* Leaves room for "any", which is four rules at most. */
	if (sim->plan.count > VMB_DEV_FAULT_RULE_MAX - 4 ||
	    vmb_dev_fault_plan_add(&sim->plan, rule) < 0)
		return false;
	sim_say(sim, "FAULTS BEGIN: rule %lu", c.arg, 0, 0);
	if (sim->story)
		fprintf(sim->story, "%16s  %s\n", "", rule);
	return true;
}

static bool do_fault_end(struct sim *sim, struct sim_choice c)
{
	struct vmb_dev_fault_rule rule;

	if (!sim->plan.count)
		return false;
	while (vmb_dev_fault_plan_look(&sim->plan, 0, &rule))
		vmb_dev_fault_plan_remove(&sim->plan, rule.id);
	sim_say(sim, "ALL FAULTS END", 0, 0, 0);
	return true;
}

static bool do_rest(struct sim *sim, struct sim_choice c)
{
	sim_say(sim, "everything happens, in turn, until all rest", 0, 0, 0);
	sim_rest(sim);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct sim *sim, struct sim_choice choice);
} rows[] = {
	[SIM_MESSAGE] = { "message", do_message },
	[SIM_POST] = { "post", do_post },
	[SIM_ADVANCE] = { "advance", do_advance },
	[SIM_INTERRUPT] = { "interrupt", do_interrupt },
	[SIM_DOORBELL] = { "doorbell", do_doorbell },
	[SIM_POLL] = { "poll", do_poll },
	[SIM_DEVICE] = { "device", do_device },
	[SIM_SCAN] = { "scan", do_scan },
	[SIM_OPERATION] = { "operation", do_operation },
	[SIM_HEAR] = { "hear", do_hear },
	[SIM_TICK] = { "tick", do_tick },
	[SIM_REQUEST] = { "request", do_request },
	[SIM_BURST] = { "burst", do_burst },
	[SIM_SEND] = { "send", do_send },
	[SIM_DELIVER] = { "deliver", do_deliver },
	[SIM_CALL] = { "call", do_call },
	[SIM_REPLY] = { "reply", do_reply },
	[SIM_STREAM] = { "stream", do_stream },
	[SIM_PROGRAM] = { "program", do_program },
	[SIM_OPEN] = { "open", do_open },
	[SIM_CLOSE] = { "close", do_close },
	[SIM_MODIFY] = { "modify", do_modify },
	[SIM_RESCIND] = { "rescind", do_rescind },
	[SIM_OFFER] = { "offer", do_offer },
	[SIM_UNPLUG] = { "unplug", do_unplug },
	[SIM_PLUG] = { "plug", do_plug },
	[SIM_GROW] = { "grow", do_grow },
	[SIM_CHANGE] = { "change", do_change },
	[SIM_LINK] = { "link", do_link },
	[SIM_MTU] = { "mtu", do_mtu },
	[SIM_BUS_RESET] = { "bus-reset", do_bus_reset },
	[SIM_PAUSE] = { "pause", do_pause },
	[SIM_UNLOAD] = { "unload", do_unload },
	[SIM_CONNECT] = { "connect", do_connect },
	[SIM_KEXEC] = { "kexec", do_kexec },
	[SIM_RESET] = { "reset", do_reset },
	[SIM_FAULT] = { "fault", do_fault },
	[SIM_FAULT_END] = { "fault-end", do_fault_end },
	[SIM_REST] = { "rest", do_rest },
};
_Static_assert(VMB_ARRAY_COUNT(rows) == SIM_WHAT_COUNT, "a row for each kind");

const char *sim_choice_name(enum sim_what what)
{
	return rows[what].name;
}

/* What the devices would print on standard error belongs into the story. */
static void hear(struct sim *sim)
{
	if (sim->said[0] && sim->story)
		fprintf(sim->story, "%16s  (the host says: %s)\n", "", sim->said);
	sim->said[0] = 0;
}

bool sim_choose(struct sim *sim, struct sim_choice choice)
{
	if (!rows[choice.what].run(sim, choice))
		return false;
	sim->now += SIM_STEP_NS;
	sim->hash = sim_mix(sim->hash ^ ((uint64_t)choice.what << 40 | (uint64_t)choice.who << 32 |
					 choice.arg));
	sim->steps++;
	hear(sim);
	sim->lives += choice.what >= SIM_REQUEST && choice.what < SIM_REST;
	return true;
}
