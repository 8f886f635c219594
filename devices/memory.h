/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's memory, and the only way to it: every address that comes from the guest passes through here.
 *
 * RAM is one memory file, so that pages that lie apart can be mapped side by side (a ring). It starts at
 * guest address 0; what exceeds VMB_DEV_LOW_MAX continues at 4 GiB, because devices live in between.
 *
 * Context: any thread; the layout never changes between create and destroy. The guest may change the bytes
 * at any moment: copy what is to be judged (vmb_dev_memory_read) and judge the copy.
 */
#ifndef DEVICES_MEMORY_H
#define DEVICES_MEMORY_H

#include "host/server.h"

#define VMB_DEV_LOW_MAX	  0xC0000000ull /* RAM below 4 GiB ends here at the latest */
#define VMB_DEV_HIGH_BASE 0x100000000ull

struct vmb_dev_memory {
	int fd;
	uint8_t *base; /* the whole file, len bytes */
	uint64_t len;
	uint64_t low_len; /* bytes at guest address 0 */
	uint64_t high_len; /* bytes at 4 GiB */
};

/* len: bytes, a multiple of a page. 0, or -errno with nothing left behind. */
int vmb_dev_memory_create(struct vmb_dev_memory *m, uint64_t len);
void vmb_dev_memory_destroy(struct vmb_dev_memory *m);

/* Where len bytes at gpa are in the file. False when they are not all RAM. */
bool vmb_dev_memory_offset(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len,
			   uint64_t *offset);

/* len bytes at gpa in this process; NULL when they are not all RAM. */
void *vmb_dev_memory_at(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len);

/* Copies out and in. False: not all RAM, nothing copied. */
bool vmb_dev_memory_read(const struct vmb_dev_memory *m, uint64_t gpa, void *dst, uint64_t len);
bool vmb_dev_memory_write(const struct vmb_dev_memory *m, uint64_t gpa, const void *src,
			  uint64_t len);

/* The same as page frame numbers, for the host core. Answers how many of the two there are. */
uint32_t vmb_dev_memory_ram(const struct vmb_dev_memory *m, struct vmb_host_ram ram[2]);

#endif
