// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/memory.h"

int vmb_dev_memory_create(struct vmb_dev_memory *m, uint64_t len)
{
	int error;

	m->len = len;
	m->low_len = len < VMB_DEV_LOW_MAX ? len : VMB_DEV_LOW_MAX;
	m->high_len = len - m->low_len;
	m->fd = memfd_create("guest", MFD_CLOEXEC);
	m->base = NULL;
	if (m->fd < 0)
		return -errno;
	m->base = MAP_FAILED;
	if (ftruncate(m->fd, (off_t)len) == 0)
		m->base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED) {
		error = -errno;
		close(m->fd);
		m->base = NULL;
		return error;
	}
	/* Fewer faults where the machine allows it; no harm where it does not. */
	madvise(m->base, len, MADV_HUGEPAGE);
	return 0;
}

void vmb_dev_memory_destroy(struct vmb_dev_memory *m)
{
	munmap(m->base, m->len);
	close(m->fd);
}

/* Subtractions only: no sum of guest numbers can wrap. */
bool vmb_dev_memory_offset(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len,
			   uint64_t *offset)
{
	if (gpa < m->low_len) {
		*offset = gpa;
		return len <= m->low_len - gpa;
	}
	if (gpa < VMB_DEV_HIGH_BASE || gpa - VMB_DEV_HIGH_BASE >= m->high_len)
		return false;
	*offset = m->low_len + (gpa - VMB_DEV_HIGH_BASE);
	return len <= m->high_len - (gpa - VMB_DEV_HIGH_BASE);
}

void *vmb_dev_memory_at(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len)
{
	uint64_t offset;

	return vmb_dev_memory_offset(m, gpa, len, &offset) ? m->base + offset : NULL;
}

bool vmb_dev_memory_read(const struct vmb_dev_memory *m, uint64_t gpa, void *dst, uint64_t len)
{
	const void *src = vmb_dev_memory_at(m, gpa, len);

	if (src)
		vmb_shared_read(dst, src, len);
	return src;
}

bool vmb_dev_memory_write(const struct vmb_dev_memory *m, uint64_t gpa, const void *src,
			  uint64_t len)
{
	void *dst = vmb_dev_memory_at(m, gpa, len);

	if (dst)
		vmb_shared_write(dst, src, len);
	return dst;
}

uint32_t vmb_dev_memory_ram(const struct vmb_dev_memory *m, struct vmb_host_ram ram[2])
{
	ram[0].first_pfn = 0;
	ram[0].pfn_count = m->low_len >> VMB_PAGE_SHIFT;
	ram[1].first_pfn = VMB_DEV_HIGH_BASE >> VMB_PAGE_SHIFT;
	ram[1].pfn_count = m->high_len >> VMB_PAGE_SHIFT;
	return m->high_len ? 2 : 1;
}
