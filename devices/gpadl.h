/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pages that a guest lent, mapped side by side in this process.
 */
#ifndef DEVICES_GPADL_H
#define DEVICES_GPADL_H

#include "devices/memory.h"

/*
 * Returns how many mappings these pages need side by side: one for each run of pages that follow
 * each other in their file. Pages that are not RAM count too.
 */
uint32_t vmb_dev_gpadl_mappings(const struct vmb_dev_memory *m, const uint64_t *pfns,
				uint32_t count);
/*
 * Maps count pages, given by their frame numbers, at one address. Returns NULL and sets errno on
 * failure, also if a page is not RAM.
 */
void *vmb_dev_gpadl_map(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count);
/* Unmaps count pages at an address that vmb_dev_gpadl_map() returned. */
void vmb_dev_gpadl_unmap(void *at, uint32_t count);

#endif
