/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How large a guest should be, by what it reports each second.
 *
 *   vmb_dev_balloon_policy_target(&policy, now, &guest)
 *
 * What its programs may come to need, and a fifth more, is what it should have. It grows to that at
 * once, and also when little is left of what it has: committed memory counts programs, not what the
 * kernel needs. It shrinks by little, so that what it has in its caches goes bit by bit, and not so
 * far that it would have to grow again.
 *
 * What a guest reports is its own word: it can get no more than the limit, which its user chose.
 */
#ifndef DEVICES_BALLOON_POLICY_H
#define DEVICES_BALLOON_POLICY_H

#include <stdint.h>

struct vmb_dev_balloon_policy {
	uint64_t min, max; /* pages; min <= max < 2^60 */
	int64_t shrink_at; /* not before; 0 at first */
};

/* Pages. */
struct vmb_dev_balloon_guest {
	uint64_t target; /* the one that is in force; min to max */
	uint64_t assigned, out; /* what it has, and what it gave */
	uint64_t available, committed; /* as it reports them: committed counts what it gave */
};

/* now: nanoseconds. Returns the target from now on, which may be the old one. */
uint64_t vmb_dev_balloon_policy_target(struct vmb_dev_balloon_policy *policy, int64_t now,
				       const struct vmb_dev_balloon_guest *guest);

#endif
