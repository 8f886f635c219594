// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A memory of 256 MiB, for tests of what takes pages from it. */
#include "tests/linux/ram.h"

#define RESERVE 4096ul /* pages that only those get who may dig deep */

static struct page ram[RAM_PAGES];
static unsigned long managed;

unsigned long ram_free_pages;
int ram_add_result;
u64 ram_added_at, ram_added_len;

static void fail(const char *what)
{
	fprintf(stderr, "# %s\n", what);
	exit(1);
}

void ram_init(void)
{
	for (unsigned long i = 0; i < RAM_PAGES; i++)
		ram[i] = (struct page){ .pfn = RAM_FIRST_PFN + i };
	ram_free_pages = managed = RAM_PAGES;
}

static void use(struct page *page)
{
	page->count = 1;
	ram_free_pages--;
}

void ram_fill(unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		use(&ram[i]);
}

void ram_scatter(void)
{
	for (unsigned long i = 0; i < RAM_PAGES; i += 2)
		if (!ram[i].count)
			use(&ram[i]);
}

static bool is_free(unsigned long at, unsigned long count)
{
	while (count--)
		if (ram[at + count].count)
			return false;
	return true;
}

/* From the highest on, as page allocators do by chance. */
struct page *alloc_pages(gfp_t flags, unsigned int order)
{
	unsigned long count = 1ul << order, at = RAM_PAGES;

	if (!(flags & __GFP_NORETRY) || !(flags & __GFP_NOMEMALLOC) || !(flags & __GFP_NOWARN))
		fail("pages for a host that are had by effort");
	shim_might_sleep("alloc_pages()");
	while (ram_free_pages >= RESERVE + count && at >= count) {
		at -= count;
		if (!is_free(at, count))
			continue;
		for (unsigned long i = 0; i < count; i++)
			use(&ram[at + i]);
		ram[at].slab = order; /* one piece until it is split */
		return &ram[at];
	}
	return NULL;
}

void split_page(struct page *page, unsigned int order)
{
	if (!page->slab)
		fail("split_page() of what is no piece");
	page->slab = false;
}

void __free_page(struct page *page)
{
	if (page->count != 1 || page->offline || page->private || page->slab)
		fail("a page is freed that is free, offline or somebody's");
	page->count = 0;
	ram_free_pages++;
}

void adjust_managed_page_count(struct page *page, long count)
{
	managed += count;
}

struct page *pfn_to_online_page(unsigned long pfn)
{
	return pfn >= RAM_FIRST_PFN && pfn - RAM_FIRST_PFN < RAM_PAGES ? &ram[pfn - RAM_FIRST_PFN] :
									 NULL;
}

unsigned long totalram_pages(void)
{
	return managed;
}

long si_mem_available(void)
{
	return (long)ram_free_pages;
}

unsigned long vm_memory_committed(void)
{
	return 1000;
}

int add_memory(int node, u64 start, u64 len, int flags)
{
	shim_might_sleep("add_memory()");
	ram_added_at = start;
	ram_added_len = len;
	return ram_add_result;
}
