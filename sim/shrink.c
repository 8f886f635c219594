// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes a failing run short. First whole stretches of small steps are replaced by one "everything
 * happens, in turn" (SIM_REST), which is one line of the story; then choices are left out, in
 * halves and then in ever smaller pieces (delta debugging), as long as the run fails in the same
 * way.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

struct shrink {
	const struct sim *failed;
	struct sim_choices best;
};

/* The kind of a failure is its words before the colon. */
static bool is_same_kind(const char *a, const char *b)
{
	size_t len = strcspn(a, ":");

	return strncmp(a, b, len + 1) == 0;
}

static bool fails(const struct shrink *s, const struct sim_choices *choices)
{
	struct sim_run run = { .seed = s->failed->seed, .replay = choices };
	struct sim *sim = sim_run(&run);
	bool same = sim && sim->failed && is_same_kind(s->failed->failure, sim->failure);

	if (sim)
		sim_free(sim);
	return same;
}

/* Keeps the candidate if it fails. */
static bool try(struct shrink *s, struct sim_choices *candidate)
{
	if (!fails(s, candidate)) {
		free(candidate->list);
		return false;
	}
	free(s->best.list);
	s->best = *candidate;
	return true;
}

/* All but len choices from first on; in their place a rest, if asked for. */
static struct sim_choices without(const struct sim_choices *all, uint32_t first, uint32_t len,
				  bool rest)
{
	struct sim_choices part = { NULL, 0, 0 };

	for (uint32_t i = 0; i < all->count; i++) {
		if (i == first && rest)
			sim_choices_add(&part, (struct sim_choice){ SIM_REST, 0, 0 });
		if (i < first || i >= first + len)
			sim_choices_add(&part, all->list[i]);
	}
	return part;
}

/* One pass over the list with pieces of len. Returns whether something was left out. */
static bool pass(struct shrink *s, uint32_t len, bool rest)
{
	bool any = false;

	for (uint32_t first = 0; first < s->best.count;) {
		struct sim_choices part = without(&s->best, first, len, rest);

		if (part.count < s->best.count && try(s, &part)) {
			any = true;
			first += rest;
			continue;
		}
		if (part.count >= s->best.count)
			free(part.list);
		first += len;
	}
	return any;
}

/* Every stretch of small steps becomes a rest. */
static void coarsen(struct shrink *s)
{
	struct sim_choices coarse = { NULL, 0, 0 };

	for (uint32_t i = 0; i < s->best.count; i++) {
		bool small = s->best.list[i].what < SIM_TICK;

		if (!small)
			sim_choices_add(&coarse, s->best.list[i]);
		else if (!coarse.count || coarse.list[coarse.count - 1].what != SIM_REST)
			sim_choices_add(&coarse, (struct sim_choice){ SIM_REST, 0, 0 });
	}
	try(s, &coarse);
}

struct sim_choices sim_shrink(const struct sim *failed)
{
	struct shrink s = { .failed = failed };

	s.best = without(&failed->choices, UINT32_MAX, 0, false);
	coarsen(&s);
	for (uint32_t len = s.best.count / 2; len > 1; len /= 2) {
		pass(&s, len, false);
		pass(&s, len, true);
	}
	while (pass(&s, 1, false))
		;
	return s.best;
}
