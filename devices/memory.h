/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's memory, and the only way to it: every address that comes from the guest passes
 * through here.
 *
 * A machine describes its RAM as regions of files that are mapped into this process, so that pages
 * that lie apart can be mapped side by side once more (a ring).
 *
 * Context: any thread; the layout must not change while a device uses it, but that the last region
 * may grow: whoever looks sees it as it was or as it is, and both are right, for the guest has not
 * been told of what is new. The guest may change the bytes at any moment: copy what is to be judged
 * (vmb_dev_memory_read) and judge the copy.
 */
#ifndef DEVICES_MEMORY_H
#define DEVICES_MEMORY_H

#include "host/server.h"

#define VMB_DEV_MEMORY_REGION_MAX 2u

struct vmb_dev_memory_region {
	uint64_t gpa; /* guest address of its first byte, page-aligned */
	/*
	 * Bytes, whole pages. That of the last region may grow while others look (atomic), never
	 * shrink: what is below stays where it is.
	 */
	uint64_t len;
	/* Bytes that it may grow to, which base and file have already; 0: it does not grow. */
	uint64_t capacity;
	uint8_t *base; /* in this process */
	int fd; /* the file that is mapped there */
	uint64_t offset; /* of base in the file */
};

struct vmb_dev_memory {
	uint32_t region_count;
	struct vmb_dev_memory_region regions[VMB_DEV_MEMORY_REGION_MAX];
};

/* Returns how many bytes a region has now. */
static inline uint64_t vmb_dev_memory_len(const struct vmb_dev_memory_region *region)
{
	return __atomic_load_n(&region->len, __ATOMIC_ACQUIRE);
}

/* Returns the guest address behind all memory that there is, or that may be added. */
static inline uint64_t vmb_dev_memory_end(const struct vmb_dev_memory *m)
{
	const struct vmb_dev_memory_region *last = &m->regions[m->region_count - 1];
	uint64_t len = vmb_dev_memory_len(last);

	return last->gpa + (len > last->capacity ? len : last->capacity);
}

/* Returns how many bytes the last region may grow. */
static inline uint64_t vmb_dev_memory_room(const struct vmb_dev_memory *m)
{
	const struct vmb_dev_memory_region *last = &m->regions[m->region_count - 1];

	return vmb_dev_memory_end(m) - last->gpa - vmb_dev_memory_len(last);
}

/* The last region has len bytes more, of its capacity, which the guest can reach already. */
void vmb_dev_memory_grow(struct vmb_dev_memory *m, uint64_t len);

/* The region that holds all len bytes at gpa; NULL: they are not all RAM of one region. */
const struct vmb_dev_memory_region *vmb_dev_memory_find(const struct vmb_dev_memory *m,
							uint64_t gpa, uint64_t len);

/* Returns whether some of the len bytes at gpa, which do not wrap, are RAM or may become it. */
bool vmb_dev_memory_overlaps(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len);

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
