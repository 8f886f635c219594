// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finds guest addresses in this process. */
#include "devices/memory.h"

/* Subtractions only: no sum of guest numbers can wrap. */
const struct vmb_dev_memory_region *vmb_dev_memory_find(const struct vmb_dev_memory *m,
							uint64_t gpa, uint64_t len)
{
	const struct vmb_dev_memory_region *region = m->regions;

	for (uint32_t i = 0; i < m->region_count; i++, region++) {
		uint64_t region_len = vmb_dev_memory_len(region);

		if (gpa >= region->gpa && gpa - region->gpa < region_len)
			return len <= region_len - (gpa - region->gpa) ? region : NULL;
	}
	return NULL;
}

void vmb_dev_memory_grow(struct vmb_dev_memory *m, uint64_t len)
{
	struct vmb_dev_memory_region *last = &m->regions[m->region_count - 1];

	__atomic_store_n(&last->len, last->len + len, __ATOMIC_RELEASE);
}

bool vmb_dev_memory_overlaps(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len)
{
	bool any = false;

	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct vmb_dev_memory_region *region = &m->regions[i];
		uint64_t region_len = vmb_dev_memory_len(region);

		if (region_len < region->capacity)
			region_len = region->capacity;
		any |= gpa < region->gpa + region_len && region->gpa < gpa + len;
	}
	return any;
}

void *vmb_dev_memory_at(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len)
{
	const struct vmb_dev_memory_region *region = vmb_dev_memory_find(m, gpa, len);

	return region ? region->base + (gpa - region->gpa) : NULL;
}

void *vmb_dev_memory_page(const struct vmb_dev_memory *m, uint64_t pfn)
{
	if (pfn >> (64 - VMB_PAGE_SHIFT))
		return NULL;
	return vmb_dev_memory_at(m, pfn << VMB_PAGE_SHIFT, VMB_PAGE_LEN);
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

uint32_t vmb_dev_memory_ram(const struct vmb_dev_memory *m,
			    struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX])
{
	for (uint32_t i = 0; i < m->region_count; i++) {
		ram[i].first_pfn = m->regions[i].gpa >> VMB_PAGE_SHIFT;
		ram[i].pfn_count = vmb_dev_memory_len(&m->regions[i]) >> VMB_PAGE_SHIFT;
	}
	return m->region_count;
}
