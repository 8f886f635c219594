/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Each case runs in a process of its own, under the scheduler: with seed 0, or once for each of
 * many seeds. It fails when the process does not end with exit code 0: a claim was false, threads
 * hang, a sanitizer complains.
 */
#ifndef TESTS_LINUX_BED_H
#define TESTS_LINUX_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/linux/kernel.h"

/* Ends the process. */
void bed_false(const char *claim, const char *file, int line) __attribute__((noreturn));
#define claim(c) ((c) ? (void)0 : bed_false(#c, __FILE__, __LINE__))
#define claim_same(a, b)                                                               \
	do {                                                                           \
		long long a_ = (long long)(a), b_ = (long long)(b);                    \
		if (a_ != b_)                                                          \
			fprintf(stderr, "# %s is %lld, %s is %lld\n", #a, a_, #b, b_); \
		claim(a_ == b_);                                                       \
	} while (0)

/* Returns the exit code of the process, or 128 plus its signal. */
int bed_run(uint64_t seed, void (*fn)(void));

/* Runs fn once for each seed from 1 on. Returns the first seed that failed, or 0. */
uint64_t bed_walk(uint64_t seeds, void (*fn)(void));

#define bed_test(name)                                 \
	static void test_##name(void **state)          \
	{                                              \
		assert_int_equal(bed_run(0, name), 0); \
	}
#define bed_test_seeds(name, seeds)                         \
	static void test_##name(void **state)               \
	{                                                   \
		assert_int_equal(bed_walk(seeds, name), 0); \
	}

/* A thread with a name that can be waited for. */
struct bed_thread {
	void (*fn)(void *argument);
	void *argument;
	bool ended;
};
void bed_start(struct bed_thread *t, const char *name, void (*fn)(void *argument), void *argument);
void bed_join(struct bed_thread *t);

#endif
