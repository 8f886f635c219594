/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the fuzz targets share. An input is a program: its bytes choose what happens next, and what
 * a peer says. When it runs out, all further bytes are 0. FUZZ_CHECK is what must hold whatever the
 * peer says.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(condition)                                                                    \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			fprintf(stderr, "%s:%d: ERROR: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                                     \
			abort();                                                                 \
		}                                                                                \
	} while (0)

struct fuzz {
	const uint8_t *bytes;
	size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static inline void fuzz_take(struct fuzz *f, void *dst, size_t len)
{
	size_t have = len < f->len ? len : f->len;

	memset(dst, 0, len);
	memcpy(dst, f->bytes, have);
	f->bytes += have;
	f->len -= have;
}

static inline uint8_t fuzz_u8(struct fuzz *f)
{
	uint8_t value;

	fuzz_take(f, &value, sizeof(value));
	return value;
}

static inline uint16_t fuzz_u16(struct fuzz *f)
{
	uint16_t value;

	fuzz_take(f, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_u32(struct fuzz *f)
{
	uint32_t value;

	fuzz_take(f, &value, sizeof(value));
	return value;
}

static inline uint64_t fuzz_u64(struct fuzz *f)
{
	uint64_t value;

	fuzz_take(f, &value, sizeof(value));
	return value;
}

/* len bytes in memory of exactly that size, so that a byte too many is noticed; to be freed. */
static inline void *fuzz_exact(struct fuzz *f, size_t len)
{
	void *bytes = malloc(len ? len : 1);

	fuzz_take(f, bytes, len);
	return bytes;
}

#endif
