// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What happens next. All that can move is put in a list; one of it is drawn, each kind with a
 * weight that the seed drew, so that in some runs interrupts are slow, in others disks or the
 * guest. Now and then somebody wants something instead, or time passes.
 */
#include "sim/sim.h"

#define MOVES_MAX  128u
#define ROUNDS_MAX 20000u
#define TICK_IN	   64u /* one choice in so many, while things are under way */

struct moves {
	struct sim_choice *list;
	uint32_t count, max;
};

static void add(struct moves *m, enum sim_what what, uint32_t who)
{
	if (m->count < m->max)
		m->list[m->count++] = (struct sim_choice){ what, (uint8_t)who, 0 };
}

static void add_guest(struct sim *sim, struct moves *m)
{
	for (uint32_t vp = 0; vp < sim->config.vp_count; vp++) {
		if (sim->machine.vps[vp].full)
			add(m, SIM_MESSAGE, vp);
		if (sim->machine.vps[vp].flag_count)
			add(m, SIM_INTERRUPT, vp);
	}
	if (sim_guest_has_post(sim->guest))
		add(m, SIM_POST, 0);
	for (struct sim_channel *ch = sim->guest->channels; ch; ch = ch->next) {
		uint32_t who = SIM_CHANNEL(ch->device->number, ch->index);

		if (ch->has_gone)
			continue;
		if (sim_guest_may_advance(ch))
			add(m, SIM_ADVANCE, who);
		if (sim_guest_may_poll(ch))
			add(m, SIM_POLL, who);
	}
}

static void add_host(struct sim *sim, struct moves *m)
{
	const struct vmb_dev_doorbell *pages = &sim->machine.bus->doorbell;

	for (uint32_t i = 0; i < SIM_BELL_MAX; i++)
		if (sim->machine.bells[i].bell && sim->machine.bells[i].under_way) {
			add(m, SIM_DOORBELL, 0);
			break;
		}
	for (uint32_t i = 0; i < sim->world.count; i++) {
		if (sim->world.devices[i].dev.ops && sim->world.devices[i].awake)
			add(m, SIM_DEVICE, i);
		if (sim_device_busy(&sim->world.devices[i]))
			add(m, SIM_OPERATION, i);
		if (sim_connection_may_hear(&sim->world.devices[i]))
			add(m, SIM_HEAR, i);
	}
	if (sim->machine.scan && (pages->interrupt_page || pages->monitor_page))
		add(m, SIM_SCAN, 0);
}

uint32_t sim_movable(struct sim *sim, struct sim_choice *list, uint32_t max)
{
	struct moves m = { list, 0, max };

	if (sim->now >= sim->paused_until)
		add_guest(sim, &m);
	add_host(sim, &m);
	return m.count;
}

static uint32_t weight_of(const struct sim *sim, enum sim_what what)
{
	static const uint8_t kinds[] = {
		[SIM_MESSAGE] = 0,   [SIM_POST] = 0, [SIM_ADVANCE] = 1, [SIM_INTERRUPT] = 2,
		[SIM_DOORBELL] = 3,  [SIM_POLL] = 4, [SIM_DEVICE] = 5,	[SIM_SCAN] = 6,
		[SIM_OPERATION] = 7, [SIM_HEAR] = 8
	};

	return sim->config.weights[kinds[what]];
}

static struct sim_choice draw_move(struct sim *sim, const struct sim_choice *list, uint32_t count)
{
	struct sim_choice choice;
	uint32_t sum = 0, at, i;

	for (i = 0; i < count; i++)
		sum += weight_of(sim, list[i].what);
	at = sim_draw(&sim->random, sum);
	for (i = 0; i < count - 1 && at >= weight_of(sim, list[i].what); i++)
		at -= weight_of(sim, list[i].what);
	choice = list[i];
	choice.arg = sim_draw(&sim->random, UINT32_MAX);
	return choice;
}

/* How often each wish comes, in a thousand, and the classes of devices that it is for. */
static const struct {
	enum sim_what what;
	uint32_t often;
	enum sim_class first, last;
} wishes[] = {
	{ SIM_REQUEST, 270, SIM_SCSI, SIM_IDE },      { SIM_BURST, 20, SIM_SCSI, SIM_IDE },
	{ SIM_SEND, 100, SIM_CARD, SIM_CARD },	      { SIM_DELIVER, 100, SIM_CARD, SIM_CARD },
	{ SIM_CALL, 60, SIM_SERVICE, SIM_SOCKETS },   { SIM_REPLY, 50, SIM_SERVICE, SIM_SOCKETS },
	{ SIM_STREAM, 70, SIM_SOCKETS, SIM_SOCKETS }, { SIM_PROGRAM, 60, SIM_SOCKETS, SIM_SOCKETS },
	{ SIM_OPEN, 30, SIM_SCSI, SIM_MEMORY },	      { SIM_CLOSE, 15, SIM_SCSI, SIM_SOCKETS },
	{ SIM_MODIFY, 30, SIM_SCSI, SIM_SOCKETS },    { SIM_RESCIND, 12, SIM_SCSI, SIM_SERVICE },
	{ SIM_OFFER, 24, SIM_SCSI, SIM_SERVICE },     { SIM_UNPLUG, 10, SIM_SCSI, SIM_SCSI },
	{ SIM_PLUG, 20, SIM_SCSI, SIM_SCSI },	      { SIM_GROW, 6, SIM_SCSI, SIM_IDE },
	{ SIM_CHANGE, 10, SIM_SCSI, SIM_SCSI },	      { SIM_LINK, 16, SIM_CARD, SIM_CARD },
	{ SIM_MTU, 6, SIM_CARD, SIM_CARD },	      { SIM_BUS_RESET, 8, SIM_SCSI, SIM_IDE },
	{ SIM_PAUSE, 6, SIM_SCSI, SIM_SOCKETS },      { SIM_UNLOAD, 3, SIM_SCSI, SIM_SOCKETS },
	{ SIM_CONNECT, 30, SIM_SCSI, SIM_SOCKETS },   { SIM_KEXEC, 3, SIM_SCSI, SIM_SOCKETS },
	{ SIM_RESET, 3, SIM_SCSI, SIM_SOCKETS },      { SIM_FAULT, 32, SIM_SCSI, SIM_SOCKETS },
	{ SIM_FAULT_END, 6, SIM_SCSI, SIM_SOCKETS },
};

/* The first device from that one on, around, which the wish is for. */
static uint32_t device_for(const struct sim *sim, uint32_t wish, uint32_t from)
{
	for (uint32_t i = 0; i < sim->world.count; i++) {
		uint32_t device = (from + i) % sim->world.count;
		enum sim_class class = sim->world.devices[device].config->class;

		if (class >= wishes[wish].first && class <= wishes[wish].last)
			return device;
	}
	return from;
}

static struct sim_choice draw_wish(struct sim *sim)
{
	uint32_t at = sim_draw(&sim->random, 1000), i = 0;
	struct sim_choice choice;

	while (i < VMB_ARRAY_COUNT(wishes) - 1 && at >= wishes[i].often)
		at -= wishes[i++].often;
	choice.what = wishes[i].what;
	choice.who = (uint8_t)device_for(sim, i, sim_draw(&sim->random, sim->world.count));
	choice.arg = sim_draw(&sim->random, UINT32_MAX);
	return choice;
}

/* Mostly a tick; sometimes seconds, in which nobody does anything. */
static struct sim_choice draw_tick(struct sim *sim)
{
	uint32_t ticks = sim_draw(&sim->random, 8) ? 0 : sim_draw(&sim->random, 1000);

	return (struct sim_choice){ SIM_TICK, 0, ticks };
}

struct sim_choice sim_next(struct sim *sim)
{
	struct sim_choice list[MOVES_MAX];
	uint32_t count = sim_movable(sim, list, MOVES_MAX);

	if (!count && sim_draw(&sim->random, 4) == 0)
		return draw_tick(sim);
	if (!count || !sim_draw(&sim->random, sim->config.life_in))
		return draw_wish(sim);
	if (!sim_draw(&sim->random, TICK_IN))
		return (struct sim_choice){ SIM_TICK, 0, 0 };
	return draw_move(sim, list, count);
}

void sim_rest(struct sim *sim)
{
	struct sim_choice list[MOVES_MAX];
	uint32_t count, rounds = 0;
	bool resting = sim->resting;

	sim->resting = true;
	while ((count = sim_movable(sim, list, MOVES_MAX)) && !sim->failed) {
		for (uint32_t i = 0; i < count; i++)
			sim_choose(sim, list[i]);
		if (rounds++ == ROUNDS_MAX)
			sim_fail(sim, "NO REST: the ends keep each other busy for ever", 0, 0, 0);
	}
	sim->resting = resting;
}
