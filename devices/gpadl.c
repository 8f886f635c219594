// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <sys/mman.h>

#include "devices/gpadl.h"

/* Pages from first on that follow each other in the file: one mapping serves them all. */
static uint32_t run_of(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count,
		       uint64_t *offset)
{
	uint64_t next;
	uint32_t run;

	if (pfns[0] >> (64 - VMB_PAGE_SHIFT) ||
	    !vmb_dev_memory_offset(m, pfns[0] << VMB_PAGE_SHIFT, VMB_PAGE_LEN, offset))
		return 0;
	for (run = 1; run < count; run++) {
		if (pfns[run] >> (64 - VMB_PAGE_SHIFT) ||
		    !vmb_dev_memory_offset(m, pfns[run] << VMB_PAGE_SHIFT, VMB_PAGE_LEN, &next) ||
		    next != *offset + (uint64_t)run * VMB_PAGE_LEN)
			break;
	}
	return run;
}

static bool map_runs(const struct vmb_dev_memory *m, const uint64_t *pfns, uint32_t count,
		     uint8_t *at)
{
	uint64_t offset;
	uint32_t run;

	for (uint32_t i = 0; i < count; i += run) {
		run = run_of(m, pfns + i, count - i, &offset);
		if (!run) {
			errno = EFAULT;
			return false;
		}
		if (mmap(at + (uint64_t)i * VMB_PAGE_LEN, (uint64_t)run * VMB_PAGE_LEN,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
			 (off_t)offset) == MAP_FAILED)
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
	if (map_runs(m, pfns, count, at))
		return at;
	vmb_dev_gpadl_unmap(at, count);
	return NULL;
}

void vmb_dev_gpadl_unmap(void *at, uint32_t count)
{
	int saved = errno;

	munmap(at, (uint64_t)count * VMB_PAGE_LEN);
	errno = saved;
}
