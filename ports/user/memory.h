/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guest memory: one memory file that both ends map, each in its own way. Pages are handed out in an
 * order that leaves no two neighbours adjacent, so that nothing works by the accident of contiguous
 * pages.
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

/* 0, or VMB_ENOMEM. page_count: at least 16; there may be one more. */
int vmb_user_memory_init(struct vmb_user_memory *m, uint32_t page_count);
void vmb_user_memory_destroy(struct vmb_user_memory *m);

/* Takes count zeroed pages and fills in their frame numbers. False: there are not so many. */
bool vmb_user_memory_alloc(struct vmb_user_memory *m, uint64_t *pfns, uint32_t count);
void vmb_user_memory_free(struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count);

/* The fixed page number n (0..VMB_USER_FIXED_COUNT - 1): what a guest shares as long as it is connected. */
uint64_t vmb_user_memory_fixed(const struct vmb_user_memory *m, uint32_t n);

/* Where page pfn lies in the common mapping; NULL: outside. */
uint8_t *vmb_user_memory_page(const struct vmb_user_memory *m, uint64_t pfn);

/* Maps pages side by side, at an address of this caller's own. NULL: impossible. */
void *vmb_user_memory_map(const struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count);
void vmb_user_memory_unmap(void *at, uint32_t count);

#endif
