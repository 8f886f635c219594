/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The RAM of a machine on KVM: one memory file, mapped once. It starts at guest address 0; what
 * exceeds VMB_VMM_LOW_MAX continues at 4 GiB, because devices live in between. What is added while
 * the guest runs comes there too, behind what it began with; its place in the file and in this
 * process is there from the start, and costs nothing before it is used.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include "devices/memory.h"

#define VMB_VMM_LOW_MAX	  0xC0000000ull /* RAM below 4 GiB ends here at the latest */
#define VMB_VMM_HIGH_BASE 0x100000000ull

/*
 * Makes and maps the RAM. len: bytes, a multiple of the page size, not 0; max: bytes that it may
 * grow to, len or more. Returns 0, or -errno with nothing left behind.
 */
int vmb_vmm_memory_create(struct vmb_dev_memory *m, uint64_t len, uint64_t max);
/* Unmaps the RAM. */
void vmb_vmm_memory_destroy(struct vmb_dev_memory *m);

/* Return how many bytes of RAM are at guest address 0, and at 4 GiB now. */
uint64_t vmb_vmm_memory_low_len(const struct vmb_dev_memory *m);
uint64_t vmb_vmm_memory_high_len(const struct vmb_dev_memory *m);

#endif
