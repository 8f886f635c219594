/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Threads of which one runs at a time (each has a stack, the process has one thread), and a clock
 * that moves only when none of them can run: what a test does depends on its seed alone, waits of
 * an hour cost nothing, and a hang is seen at once.
 *
 *   sched_run(seed, fn, argument)     fn is the first thread; ends when it returns
 *   sched_spawn()                     one more
 *   sched_step()                      another thread may go on here, the seed decides; with seed 0
 *                                     a thread runs until it waits
 *   sched_wait(), sched_wake()        for a key, which is any address
 *
 * When every thread waits for another one, or the first takes too many steps, the process ends with
 * a list of what each waits for and exit code 3.
 *
 * sched.c is compiled without sanitizers: that a thread handed over to the next must not look to
 * ThreadSanitizer as if it had published what it wrote.
 */
#ifndef TESTS_LINUX_SCHED_H
#define TESTS_LINUX_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_FOREVER UINT64_MAX

void sched_run(uint64_t seed, void (*fn)(void *argument), void *argument);
void sched_spawn(const char *name, void (*fn)(void *argument), void *argument);
void sched_step(void);

/* True: woken; false: `ticks` have passed. where: what the list says if it never is. */
bool sched_wait(const void *key, uint64_t ticks, const char *where);
void sched_wake(const void *key);

uint64_t sched_now(void); /* ticks since sched_run() */

/* Returns a number below `bound` that the seed decides; 0 with seed 0. */
uint32_t sched_random(uint32_t bound);
const char *sched_name(void);

/* SCHED_LOCAL_LEN bytes of the calling thread's own, zeroes at first. */
#define SCHED_LOCAL_LEN 64
void *sched_local(void);

#endif
