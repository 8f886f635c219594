// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs each test case in a process of its own, so that a crash or a sanitizer's complaint fails
 * that case alone.
 */
#include <sys/wait.h>
#include <unistd.h>
#include "tests/linux/bed.h"

void bed_false(const char *claim, const char *file, int line)
{
	fprintf(stderr, "# %s:%d: %s: not true: %s\n", file, line, sched_name(), claim);
	fflush(NULL);
	_exit(1);
}

/* It would sleep for a second at the end of each process. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

static void call(void *argument)
{
	void (**fn)(void) = argument;

	(*fn)();
}

int bed_run(uint64_t seed, void (*fn)(void))
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child) {
		shim_quiet = seed && !getenv("SEED");
		alarm(getenv("ROUNDS") ? 1800 : 120);
		sched_run(seed, call, &fn);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

uint64_t bed_walk(uint64_t seeds, void (*fn)(void))
{
	const char *only = getenv("SEED");
	uint64_t seed = only ? strtoull(only, NULL, 0) : 1, last = only ? seed : seeds;
	int code;

	for (; seed <= last; seed++) {
		code = bed_run(seed, fn);
		if (code) {
			fprintf(stderr, "# SEED=%llu ends with %d\n", (unsigned long long)seed,
				code);
			return seed;
		}
	}
	return 0;
}

static void thread_main(void *argument)
{
	struct bed_thread *t = argument;

	t->fn(t->argument);
	shim_release(t);
	t->ended = true;
	sched_wake(t);
}

void bed_start(struct bed_thread *t, const char *name, void (*fn)(void *argument), void *argument)
{
	*t = (struct bed_thread){ .fn = fn, .argument = argument };
	sched_spawn(name, thread_main, t);
}

void bed_join(struct bed_thread *t)
{
	while (!t->ended)
		sched_wait(t, SCHED_FOREVER, "bed_join");
	shim_acquire(t);
}
