// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * nest-tsc: prints the frequency in kHz of this machine's time stamp counter, which an emulated one
 * counts with. The nest's kernel would measure it against an emulated timer, and be wrong by
 * several times where QEMU is kept waiting meanwhile; all clocks in the nest then run wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES	    50 /* that the program is interrupted in all of them is unlikely */
#define INTERVAL_MS 50

struct moment {
	uint64_t ticks, ns;
};

static struct moment look(void)
{
	struct moment best = { 0 };
	uint64_t before, after, least = UINT64_MAX;
	struct timespec now;

	for (int i = 0; i < TRIES; i++) {
		before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		best.ticks = before + least / 2;
		best.ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	}
	return best;
}

int main(void)
{
	const struct timespec interval = { .tv_nsec = INTERVAL_MS * 1000000 };
	struct moment from = look(), to;

	nanosleep(&interval, NULL);
	to = look();
	printf("%.0f\n", (to.ticks - from.ticks) * 1e6 / (to.ns - from.ns));
	return 0;
}
