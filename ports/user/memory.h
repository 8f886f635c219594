/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guest memory: one memory file that both ends map, each in its own way. Pages are handed out in an
 * order that leaves no two neighbours adjacent, so that no code works only because pages happen to
 * be contiguous.
 */
#ifndef PORTS_USER_MEMORY_H
#define PORTS_USER_MEMORY_H

#include <pthread.h>

#include "base/platform.h"

#define VMB_USER_FIRST_PFN   0x100u
#define VMB_USER_FIXED_COUNT 3u /* pages above the others that are never handed out */

struct vmb_user_memory {
	pthread_mutex_t lock;
	int fd;
	uint8_t *base;
	uint32_t page_count; /* without the fixed ones */
	uint32_t used_count; /* pages handed out: a test compares it before and after */
	uint32_t next;
	bool *used; /* by page */
};

/* page_count: at least 16; one more page may be made. Returns 0, or VMB_ENOMEM. */
int vmb_user_memory_init(struct vmb_user_memory *m, uint32_t page_count);
void vmb_user_memory_destroy(struct vmb_user_memory *m);

/*
 * Takes count zeroed pages and fills in their frame numbers. Returns false if there are not enough.
 */
bool vmb_user_memory_alloc(struct vmb_user_memory *m, uint64_t *pfns, uint32_t count);
/* Gives back count pages. */
void vmb_user_memory_free(struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count);

/*
 * Returns the frame number of fixed page n (0..VMB_USER_FIXED_COUNT - 1). A guest shares these
 * pages as long as it is connected.
 */
uint64_t vmb_user_memory_fixed(const struct vmb_user_memory *m, uint32_t n);

/* Returns the address of page pfn in the common mapping, or NULL if it is outside. */
uint8_t *vmb_user_memory_page(const struct vmb_user_memory *m, uint64_t pfn);

/* Maps pages side by side at a new address. Returns NULL on failure. */
void *vmb_user_memory_map(const struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count);
void vmb_user_memory_unmap(void *at, uint32_t count);

#endif
