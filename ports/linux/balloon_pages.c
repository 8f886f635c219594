// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages that a host has of this guest: taken where there are plenty, never by making room. A
 * page that is out is marked offline, which keeps it out of dumps and hibernation, and carries the
 * address of its balloon, so that a host that returns another one is found out.
 */
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>
#include "ports/linux/balloon.h"

/* Fails rather than to reclaim hard, to take from reserves, or to end a process. */
#define TAKE_FLAGS (GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN)

#define MIB(n)	   ((unsigned long)(n) << (20 - PAGE_SHIFT))

static unsigned int reserve;
module_param(reserve, uint, 0644);
MODULE_PARM_DESC(reserve, "MiB that stay available when the host asks for memory (0: by size)");

void balloon_pages_init(struct balloon_pages *pages)
{
	INIT_LIST_HEAD(&pages->list);
	pages->count = pages->added = 0;
}

/*
 * What must stay available: the less of it in proportion, the larger the guest. The steps are those
 * of Linux's own driver, so that a host finds the same guest with either: docs/memory.md.
 */
static unsigned long floor_pages(void)
{
	static const struct {
		unsigned long below, base;
		unsigned int shift;
	} steps[] = {
		{ MIB(128), MIB(8), 1 },
		{ MIB(512), MIB(40), 2 },
		{ MIB(2048), MIB(104), 3 },
		{ MIB(8192), MIB(232), 4 },
	};
	unsigned long total = totalram_pages();
	unsigned int chosen = READ_ONCE(reserve), i;

	if (chosen)
		return MIB(chosen);
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (total < steps[i].below)
			return steps[i].base + (total >> steps[i].shift);
	return MIB(488) + (total >> 5);
}

unsigned long balloon_pages_spare(void)
{
	long available = si_mem_available();
	long least = (long)floor_pages();

	return available > least ? available - least : 0;
}

static void take_page(struct balloon_pages *pages, struct page *page)
{
	__SetPageOffline(page);
	set_page_private(page, (unsigned long)pages);
	list_add(&page->lru, &pages->list);
	pages->count++;
}

unsigned long balloon_pages_take(struct balloon_pages *pages, unsigned int order)
{
	struct page *page = alloc_pages(TAKE_FLAGS, order);
	unsigned int i;

	if (!page)
		return 0;
	if (order)
		split_page(page, order);
	for (i = 0; i < 1u << order; i++)
		take_page(pages, page + i);
	adjust_managed_page_count(page, -(1l << order));
	return page_to_pfn(page);
}

static void free_page_of(struct balloon_pages *pages, struct page *page)
{
	list_del(&page->lru);
	set_page_private(page, 0);
	__ClearPageOffline(page);
	pages->count--;
	adjust_managed_page_count(page, 1);
	__free_page(page);
}

bool balloon_pages_return(struct balloon_pages *pages, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page || !PageOffline(page) || page_private(page) != (unsigned long)pages)
		return false;
	free_page_of(pages, page);
	return true;
}

void balloon_pages_return_all(struct balloon_pages *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pages->list, lru) {
		free_page_of(pages, page);
		cond_resched();
	}
}

#ifdef CONFIG_MEMORY_HOTPLUG

/* The system decides when it uses the memory: its policy is in /sys/devices/system/memory. */
int balloon_pages_add(struct balloon_pages *pages, u64 first, u64 count)
{
	u64 start = PFN_PHYS(first), len = PFN_PHYS(count);
	int rc = -EINVAL;

	if (!((start | len) & (memory_block_size_bytes() - 1)))
		rc = add_memory(memory_add_physaddr_to_nid(start), start, len, MHP_MERGE_RESOURCE);
	if (rc == -ENOMEM) /* its own bookkeeping needs some */
		return -EAGAIN;
	if (!rc)
		pages->added += count;
	return rc;
}

unsigned int balloon_pages_add_shift(void)
{
	return ilog2(memory_block_size_bytes() >> 20);
}

#else

int balloon_pages_add(struct balloon_pages *pages, u64 first, u64 count)
{
	return -EOPNOTSUPP;
}

unsigned int balloon_pages_add_shift(void)
{
	return 0;
}

#endif

/* Committed counts what is out, and what must stay available, as Linux's own driver does. */
void balloon_pages_status(const struct balloon_pages *pages, struct vmb_balloon_status *status)
{
	memset(status, 0, sizeof(*status));
	status->available = si_mem_available();
	status->committed = vm_memory_committed() + pages->count + floor_pages();
}
