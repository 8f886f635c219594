// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The simulator (sim/) on a fixed set of seeds and on a few fresh ones: nothing fails, and the same
 * seed, or the recorded choices alone, make the same run again, event for event. That it finds what
 * is planted is tests/simulate_plants_test.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "sim/sim.h"

#define STEPS	    3000u
#define FIXED	    60u
#define FRESH	    12u
#define FIRST_FRESH 1000000u /* fresh seeds are above */

static struct sim *run_seed(uint64_t seed, const struct sim_choices *replay)
{
	const struct sim_run run = { .seed = seed, .steps = STEPS, .replay = replay };
	struct sim *sim = sim_run(&run);

	assert_non_null(sim);
	return sim;
}

static void expect_good(uint64_t seed)
{
	struct sim *sim = run_seed(seed, NULL);

	if (sim->failed)
		fail_msg("%s; make simulate FIRST=%llu", sim->failure, (unsigned long long)seed);
	sim_free(sim);
}

static void test_fixed_seeds_are_good(void **state)
{
	for (uint64_t seed = 1; seed <= FIXED; seed++)
		expect_good(seed);
}

static void test_fresh_seeds_are_good(void **state)
{
	uint64_t first = FIRST_FRESH + (uint64_t)time(NULL) % 1000000000 * FRESH;

	print_message("# seeds %llu to %llu\n", (unsigned long long)first,
		      (unsigned long long)first + FRESH - 1);
	for (uint64_t i = 0; i < FRESH; i++)
		expect_good(first + i);
}

static void test_same_seed_makes_the_same_run(void **state)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct sim *first = run_seed(seed, NULL), *second = run_seed(seed, NULL);

		assert_int_equal(first->hash, second->hash);
		assert_int_equal(first->now, second->now);
		sim_free(first);
		sim_free(second);
	}
}

static void test_different_seeds_make_different_runs(void **state)
{
	struct sim *first = run_seed(1, NULL), *second = run_seed(2, NULL);

	assert_int_not_equal(first->hash, second->hash);
	sim_free(first);
	sim_free(second);
}

static void test_recorded_choices_make_the_same_run(void **state)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct sim *first = run_seed(seed, NULL);
		struct sim *second = run_seed(seed, &first->choices);

		assert_int_equal(second->choices.count, first->choices.count);
		assert_int_equal(second->hash, first->hash);
		sim_free(first);
		sim_free(second);
	}
}

/* Many minutes pass in no time, and something happens in them, to each class of devices. */
static void test_runs_have_a_life(void **state)
{
	uint64_t seconds = 0, lives = 0, left = 0, arrived = 0, full = 0,
		 good[SIM_SOCKETS + 1] = { 0 };

	for (uint64_t seed = 1; seed <= 48; seed++) {
		struct sim *sim = run_seed(seed, NULL);

		seconds += (uint64_t)(sim->now / 1000000000);
		lives += sim->lives;
		full += sim->full;
		for (uint32_t i = 0; i < sim->world.count; i++) {
			good[sim->world.devices[i].config->class] += sim->world.devices[i].good;
			left += sim->world.devices[i].left;
			arrived += sim->world.devices[i].arrived;
		}
		sim_free(sim);
	}
	print_message("# %llu steps of life, %llu and %llu requests ended well, %llu frames left, "
		      "%llu came, %llu answers of services, %llu times pages moved, %llu pieces of "
		      "streams, %llu full rings\n",
		      (unsigned long long)lives, (unsigned long long)good[SIM_SCSI],
		      (unsigned long long)good[SIM_IDE], (unsigned long long)left,
		      (unsigned long long)arrived, (unsigned long long)good[SIM_SERVICE],
		      (unsigned long long)good[SIM_MEMORY], (unsigned long long)good[SIM_SOCKETS],
		      (unsigned long long)full);
	assert_true(seconds > 600 && lives > 600 && good[SIM_SCSI] > 200 && left > 10 &&
		    arrived > 20);
	assert_true(good[SIM_IDE] > 50 && good[SIM_SERVICE] > 50 && good[SIM_MEMORY] > 5 &&
		    good[SIM_SOCKETS] > 10 && full > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed_seeds_are_good),
		cmocka_unit_test(test_fresh_seeds_are_good),
		cmocka_unit_test(test_same_seed_makes_the_same_run),
		cmocka_unit_test(test_different_seeds_make_different_runs),
		cmocka_unit_test(test_recorded_choices_make_the_same_run),
		cmocka_unit_test(test_runs_have_a_life),
	};

	return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
