// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command: runs seeds, and tells the story of one that fails. docs/simulator.md. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/sim.h"

#define STEPS_DEFAULT 3000u

struct options {
	uint64_t first, count;
	uint32_t steps;
	bool story; /* of a seed that does not fail, too */
	bool details;
	bool hashes;
	bool keep_going;
};

static int usage(void)
{
	fprintf(stderr,
		"usage: simulate [--seed N] [--seeds COUNT] [--steps N] [--story] [--details] "
		"[--hash] "
		"[--keep-going]\n"
		"  --seed N       the first seed (1)\n"
		"  --seeds COUNT  how many (1)\n"
		"  --steps N      choices of a run (%u)\n"
		"  --story        print the events of every run, one a line\n"
		"  --details      and the small ones of a shrunk run\n"
		"  --hash         print the hash of every run's log\n"
		"  --keep-going   do not stop at a seed that fails\n",
		STEPS_DEFAULT);
	return 2;
}

static bool set_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno && *number >= min && *number <= max;
}

static bool parse(struct options *o, int argc, char **argv)
{
	uint64_t steps = STEPS_DEFAULT;
	bool good = true;

	for (int i = 1; i < argc && good; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--story"))
			o->story = true;
		else if (!strcmp(argv[i], "--details"))
			o->details = true;
		else if (!strcmp(argv[i], "--hash"))
			o->hashes = true;
		else if (!strcmp(argv[i], "--keep-going"))
			o->keep_going = true;
		else if (!strcmp(argv[i], "--seed") && ++i)
			good = set_number(value, 0, UINT64_MAX, &o->first);
		else if (!strcmp(argv[i], "--seeds") && ++i)
			good = set_number(value, 1, UINT64_MAX, &o->count);
		else if (!strcmp(argv[i], "--steps") && ++i)
			good = set_number(value, 1, 100000000, &steps);
		else
			good = false;
	}
	o->steps = (uint32_t)steps;
	return good;
}

/* The same failure, shorter, as a story. */
static void explain(const struct sim *failed, const struct options *o)
{
	struct sim_choices choices;
	struct sim_run run = {
		.seed = failed->seed, .replay = &choices, .story = stdout, .details = o->details
	};
	struct sim *again;

	printf("seed %llu: %s\n", (unsigned long long)failed->seed, failed->failure);
	printf("shrinking %u choices ...\n", failed->choices.count);
	fflush(stdout);
	choices = sim_shrink(failed);
	printf("%u choices are left. What happens:\n\n", choices.count);
	again = sim_run(&run);
	printf("\nreplay: build/simulate --seed %llu --steps %u\n",
	       (unsigned long long)failed->seed, o->steps);
	if (again)
		sim_free(again);
	free(choices.list);
}

/* Returns whether the seed did not fail. */
static bool run_seed(const struct options *o, uint64_t seed, uint64_t *steps, uint64_t *lives,
		     double *seconds)
{
	struct sim_run run = { .seed = seed, .steps = o->steps, .details = o->details };
	struct sim *sim;
	bool good;

	run.story = o->story ? stdout : NULL;
	sim = sim_run(&run);
	if (!sim)
		return false;
	good = !sim->failed;
	*steps += sim->steps;
	*lives += sim->lives;
	*seconds += (double)sim->now / 1e9;
	if (o->hashes)
		printf("seed %llu: hash %016llx, %llu steps, %.3f s\n", (unsigned long long)seed,
		       (unsigned long long)sim->hash, (unsigned long long)sim->steps,
		       (double)sim->now / 1e9);
	if (!good)
		explain(sim, o);
	sim_free(sim);
	return good;
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .count = 1 };
	uint64_t steps = 0, lives = 0, bad = 0, done;
	double seconds = 0, took;
	clock_t begin = clock();

	if (!parse(&o, argc, argv))
		return usage();
	/* A run's memory is the next one's, and need not be cleared by the system in between. */
	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	mallopt(M_MMAP_THRESHOLD, INT32_MAX);
	for (done = 0; done < o.count && (o.keep_going || !bad); done++)
		bad += !run_seed(&o, o.first + done, &steps, &lives, &seconds);
	took = (double)(clock() - begin) / CLOCKS_PER_SEC;
	printf("%llu seeds from %llu, %llu failed: %llu steps, %llu of them of life; %.1f h of "
	       "virtual time in %.1f s of a processor's\n",
	       (unsigned long long)done, (unsigned long long)o.first, (unsigned long long)bad,
	       (unsigned long long)steps, (unsigned long long)lives, seconds / 3600, took);
	return bad ? 1 : 0;
}
