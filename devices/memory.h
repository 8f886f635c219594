/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's memory, and the only way to it: every address that comes from the guest passes
 * through here.
 *
 * A machine describes its RAM as regions of files that are mapped into this process, so that pages
 * that lie apart can be mapped side by side once more (a ring).
 *
 * Context: any thread; the layout must not change while a device uses it. The guest may change the
 * bytes at any moment: copy what is to be judged (vmb_dev_memory_read) and judge the copy.
 */
#ifndef DEVICES_MEMORY_H
#define DEVICES_MEMORY_H

#include "host/server.h"

#define VMB_DEV_MEMORY_REGION_MAX 2u

struct vmb_dev_memory_region {
	uint64_t gpa; /* guest address of its first byte, page-aligned */
	uint64_t len; /* bytes, whole pages */
	uint8_t *base; /* in this process */
	int fd; /* the file that is mapped there */
	uint64_t offset; /* of base in the file */
};

struct vmb_dev_memory {
	uint32_t region_count;
	struct vmb_dev_memory_region regions[VMB_DEV_MEMORY_REGION_MAX];
};

/* The region that holds all len bytes at gpa; NULL: they are not all RAM of one region. */
const struct vmb_dev_memory_region *vmb_dev_memory_find(const struct vmb_dev_memory *m,
							uint64_t gpa, uint64_t len);

/* len bytes at gpa in this process; NULL when they are not all RAM. */
void *vmb_dev_memory_at(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len);

/* Page pfn in this process; NULL when it is not RAM. Any 64-bit number may be asked for. */
void *vmb_dev_memory_page(const struct vmb_dev_memory *m, uint64_t pfn);

/* Copies out and in. False: not all RAM, nothing copied. */
bool vmb_dev_memory_read(const struct vmb_dev_memory *m, uint64_t gpa, void *dst, uint64_t len);
bool vmb_dev_memory_write(const struct vmb_dev_memory *m, uint64_t gpa, const void *src,
			  uint64_t len);

/* The same as page frame numbers, for the host core. Returns how many of ram were filled. */
uint32_t vmb_dev_memory_ram(const struct vmb_dev_memory *m,
			    struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX]);

#endif
