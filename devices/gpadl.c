// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Maps pages that a guest lent side by side. */
#include <errno.h>
#include <sys/mman.h>

#include "devices/gpadl.h"

static const struct vmb_dev_memory_region *region_of(const struct vmb_dev_memory *m, uint64_t pfn)
{
	if (pfn >> (64 - VMB_PAGE_SHIFT))
		return NULL;
	return vmb_dev_memory_find(m, pfn << VMB_PAGE_SHIFT, VMB_PAGE_LEN);
}

static uint64_t offset_of(const struct vmb_dev_memory_region *region, uint64_t pfn)
{
	return region->offset + ((pfn << VMB_PAGE_SHIFT) - region->gpa);
}

/*
 * Returns how many pages from the first on follow each other in its file: one mapping serves them.
 */
static uint32_t run_of(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count,
		       const struct vmb_dev_memory_region *first)
{
	const struct vmb_dev_memory_region *region;
	uint64_t offset = offset_of(first, pfns[0]);
	uint32_t run;

	for (run = 1; run < count; run++) {
		region = region_of(m, pfns[run]);
		if (!region || region->fd != first->fd ||
		    offset_of(region, pfns[run]) != offset + (uint64_t)run * VMB_PAGE_LEN)
			break;
	}
	return run;
}

uint32_t vmb_dev_gpadl_mappings(const struct vmb_dev_memory *m, const uint64_t *pfns,
				uint32_t count)
{
	const struct vmb_dev_memory_region *region;
	uint32_t mappings = 0;

	for (uint32_t i = 0; i < count; mappings++) {
		region = region_of(m, pfns[i]);
		i += region ? run_of(m, pfns + i, count - i, region) : 1;
	}
	return mappings;
}

static bool map_runs(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count,
		     uint8_t *at)
{
	const struct vmb_dev_memory_region *region;
	uint32_t run;

	for (uint32_t i = 0; i < count; i += run) {
		region = region_of(m, pfns[i]);
		if (!region) {
			errno = EFAULT;
			return false;
		}
		run = run_of(m, pfns + i, count - i, region);
		if (mmap(at + (uint64_t)i * VMB_PAGE_LEN, (uint64_t)run * VMB_PAGE_LEN,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, region->fd,
			 (off_t)offset_of(region, pfns[i])) == MAP_FAILED)
			return false;
	}
	return true;
}

void *vmb_dev_gpadl_map(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count)
{
	uint8_t *at = mmap(NULL, (uint64_t)count * VMB_PAGE_LEN, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	if (map_runs(m, pfns, count, at)) {
		madvise(at, (uint64_t)count * VMB_PAGE_LEN, MADV_DONTDUMP);
		return at;
	}
	vmb_dev_gpadl_unmap(at, count);
	return NULL;
}

void vmb_dev_gpadl_unmap(void *at, uint32_t count)
{
	int saved = errno;

	munmap(at, (uint64_t)count * VMB_PAGE_LEN);
	errno = saved;
}
