// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One run: a seed, its configuration, its choices, and the checks at its end. */
#include <stdlib.h>
#include <string.h>

#include "devices/report.h"
#include "sim/sim.h"

void sim_choices_add(struct sim_choices *c, struct sim_choice choice)
{
	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		c->list = realloc(c->list, c->room * sizeof(*c->list));
		if (!c->list)
			abort();
	}
	c->list[c->count++] = choice;
}

/* The block of cards stands on cache lines of its own. */
static struct sim *new_sim(uint64_t seed)
{
	struct sim *sim = aligned_alloc(64, (sizeof(*sim) + 63) / 64 * 64);

	if (!sim)
		return NULL;
	memset(sim, 0, sizeof(*sim));
	sim->seed = seed;
	sim->random = sim_mix(seed ^ 0x5DEECE66Dull);
	sim->hash = 0xCBF29CE484222325ull;
	sim_config_draw(&sim->config, seed);
	return sim;
}

static int start(struct sim *sim)
{
	if (sim_machine_init(&sim->machine, sim))
		return -1;
	vmb_dev_fault_plan_init(&sim->plan);
	vmb_dev_fault_plan_attach(&sim->plan, sim->machine.bus);
	if (sim_world_init(sim))
		return -1;
	sim->guest = sim_guest_boot(sim);
	return sim->guest ? 0 : -1;
}

static void carry_out(struct sim *sim, struct sim_choice choice)
{
	if (!sim_choose(sim, choice))
		return;
	sim_choices_add(&sim->choices, choice);
	sim_check_step(sim);
	if (choice.what == SIM_REST && !sim->failed)
		sim_check_rest(sim);
}

static void live(struct sim *sim, const struct sim_run *run)
{
	uint32_t steps = run->replay ? run->replay->count : run->steps;

	for (uint32_t i = 0; i < steps && !sim->failed; i++)
		carry_out(sim, run->replay ? run->replay->list[i] : sim_next(sim));
}

/* Now everything may come to rest: what was promised must have been kept. */
static void finish(struct sim *sim)
{
	if (!sim->failed && sim->config.faults == SIM_FAULTS_NONE) {
		sim->paused_until = 0;
		sim_choose(sim, (struct sim_choice){ SIM_TICK, 0, 0 });
		sim_rest(sim);
		if (!sim->failed)
			sim_check_rest(sim);
	}
	if (!sim->failed && sim->config.liveness)
		sim_check_recovery(sim);
	if (!sim->failed)
		sim_check_end(sim);
}

struct sim *sim_run(const struct sim_run *run)
{
	struct sim *sim = new_sim(run->seed);

	if (!sim)
		return NULL;
	sim->story = run->story;
	sim->details = run->details;
	if (sim->story)
		sim_config_print(&sim->config, sim->story);
	vmb_dev_report_into(sim->said, sizeof(sim->said));
	sim_world_live(sim);
	if (start(sim)) {
		sim_fail(sim, "the simulator cannot start", 0, 0, 0);
		return sim;
	}
	live(sim, run);
	finish(sim);
	return sim;
}

void sim_free(struct sim *sim)
{
	sim->story = NULL;
	sim_world_live(sim);
	sim_stop(sim);
	vmb_dev_fault_plan_detach(&sim->plan, sim->machine.bus);
	sim_guest_free(sim->guest);
	sim_guest_free(sim->orphan);
	sim_world_free(sim);
	sim_machine_destroy(&sim->machine);
	vmb_dev_fault_plan_destroy(&sim->plan);
	vmb_dev_report_into(NULL, 0);
	free(sim->choices.list);
	free(sim);
}
