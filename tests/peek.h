/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A look at a count that a thread of the host may just be changing, by a test that looks again
 * until it is right. ThreadSanitizer is not told.
 */
#ifndef TESTS_PEEK_H
#define TESTS_PEEK_H

#include <stdint.h>

__attribute__((no_sanitize("thread"))) static inline uint32_t peek_u32(const uint32_t *count)
{
	return *(const volatile uint32_t *)count;
}

__attribute__((no_sanitize("thread"))) static inline uint64_t peek_u64(const uint64_t *count)
{
	return *(const volatile uint64_t *)count;
}

#endif
