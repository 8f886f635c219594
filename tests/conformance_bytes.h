/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Little-endian numbers of any alignment: what listens shares no code with what it listens to. */
#ifndef TESTS_CONFORMANCE_BYTES_H
#define TESTS_CONFORMANCE_BYTES_H

#include <stdint.h>

static inline uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t get32(const uint8_t *at)
{
	return get16(at) | get16(at + 2) << 16;
}

static inline uint64_t get64(const uint8_t *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

#endif
