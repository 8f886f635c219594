// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes the guest's RAM. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/memory.h"

static void fill_regions(struct vmb_dev_memory *m, int fd, uint8_t *base, uint64_t len,
			 uint64_t max)
{
	uint64_t low_len = len < VMB_VMM_LOW_MAX ? len : VMB_VMM_LOW_MAX;

	memset(m, 0, sizeof(*m));
	m->regions[0] =
		(struct vmb_dev_memory_region){ .gpa = 0, .len = low_len, .base = base, .fd = fd };
	m->regions[1] = (struct vmb_dev_memory_region){ .gpa = VMB_VMM_HIGH_BASE,
							.len = len - low_len,
							.capacity = max - low_len,
							.base = base + low_len,
							.fd = fd,
							.offset = low_len };
	m->region_count = max > low_len ? 2 : 1;
}

int vmb_vmm_memory_create(struct vmb_dev_memory *m, uint64_t len, uint64_t max)
{
	int fd = memfd_create("guest", MFD_CLOEXEC), error;
	void *base = MAP_FAILED;

	m->region_count = 0;
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)max) == 0)
		base = mmap(NULL, max, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		error = -errno;
		close(fd);
		return error;
	}
	/* Fewer faults where the machine allows it; no harm where it does not. */
	madvise(base, max, MADV_HUGEPAGE);
	madvise(base, max, MADV_DONTDUMP); /* what a guest keeps is not for a core dump */
	fill_regions(m, fd, base, len, max);
	return 0;
}

void vmb_vmm_memory_destroy(struct vmb_dev_memory *m)
{
	if (!m->region_count)
		return;
	munmap(m->regions[0].base,
	       m->regions[0].len + (m->region_count > 1 ? m->regions[1].capacity : 0));
	close(m->regions[0].fd);
	m->region_count = 0;
}

uint64_t vmb_vmm_memory_low_len(const struct vmb_dev_memory *m)
{
	return m->regions[0].len;
}

uint64_t vmb_vmm_memory_high_len(const struct vmb_dev_memory *m)
{
	return m->region_count > 1 ? vmb_dev_memory_len(&m->regions[1]) : 0;
}
