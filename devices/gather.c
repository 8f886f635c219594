// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Decides when a device's thread lets work collect; devices/gather.h says why. */
#include "devices/gather.h"

static bool window_is_over(struct vmb_dev_gather *g, uint32_t packets)
{
	g->packets += packets;
	return ++g->turns == VMB_DEV_GATHER_TURNS;
}

/* A guest that keeps several requests under way without help needs no try. */
static bool may_try(struct vmb_dev_gather *g, bool several)
{
	if (!g->patience)
		g->patience = VMB_DEV_GATHER_PATIENCE_MIN;
	g->alone = several ? 0 : g->alone + 1;
	return g->alone >= g->patience;
}

static void be_patient(struct vmb_dev_gather *g)
{
	g->alone = 0;
	g->patience *= 2;
	if (g->patience > VMB_DEV_GATHER_PATIENCE_MAX)
		g->patience = VMB_DEV_GATHER_PATIENCE_MAX;
}

bool vmb_dev_gather_turn(struct vmb_dev_gather *g, uint32_t packets)
{
	bool several, was = g->on;

	if (!window_is_over(g, packets))
		return false;
	several = g->packets >= VMB_DEV_GATHER_TURNS * VMB_DEV_GATHER_PACKETS;
	g->turns = g->packets = 0;
	if (!g->on) {
		g->on = may_try(g, several);
	} else if (several) {
		g->patience = VMB_DEV_GATHER_PATIENCE_MIN;
	} else {
		g->on = false;
		be_patient(g);
	}
	return g->on != was;
}
