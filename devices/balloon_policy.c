// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Decides how large a guest should be. Apart from the device, so that every case can be tried
 * without a guest.
 */
#include "devices/balloon_policy.h"

#define BUFFER_OF    5u /* a fifth above what is committed */
#define STEP_OF	     8u /* at most an eighth at a time, */
#define STEP_NS	     10000000000ll /* and so often */
#define LITTLE_OF    16u /* available below a sixteenth: it grows */
#define KEPT_OF	     8u /* available below an eighth: it does not shrink */
#define CHANGE_LEAST 2048u /* 8 MiB: smaller changes are not worth a request */

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t wanted(const struct vmb_dev_balloon_policy *p,
		       const struct vmb_dev_balloon_guest *g)
{
	uint64_t need = g->committed > g->out ? at_most(g->committed - g->out, p->max) : 0;

	need += need / BUFFER_OF;
	if (g->available < g->assigned / LITTLE_OF && need < g->assigned + g->assigned / STEP_OF)
		need = g->assigned + g->assigned / STEP_OF;
	need = at_most(need, p->max);
	return need < p->min ? p->min : need;
}

/* How much less it may become now. */
static uint64_t step_down(const struct vmb_dev_balloon_guest *g)
{
	uint64_t kept = g->assigned / KEPT_OF, step = g->target / STEP_OF;

	step = step < CHANGE_LEAST ? CHANGE_LEAST : step;
	return g->available > kept ? at_most(g->available - kept, step) : 0;
}

uint64_t vmb_dev_balloon_policy_target(struct vmb_dev_balloon_policy *p, int64_t now,
				       const struct vmb_dev_balloon_guest *g)
{
	uint64_t want = wanted(p, g), less;

	if (want >= g->target)
		return want - g->target < CHANGE_LEAST && want < p->max ? g->target : want;
	less = at_most(g->target - want, step_down(g));
	if (less < CHANGE_LEAST || now < p->shrink_at)
		return g->target;
	p->shrink_at = now + STEP_NS;
	return g->target - less;
}
