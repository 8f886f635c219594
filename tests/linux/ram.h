/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * More of the kernel for ports/linux/balloon*.c: a memory of 256 MiB whose pages are handed out by
 * order, and memory that is added.
 *
 * Strict where it matters: who takes pages for a host must say that it wants no effort
 * (__GFP_NORETRY, __GFP_NOMEMALLOC); a page is freed once, and not while it is marked offline; the
 * last reserves are never handed out.
 */
#ifndef TESTS_LINUX_RAM_H
#define TESTS_LINUX_RAM_H

#include "tests/linux/kernel.h"

/* ---- pages ---- */

#define RAM_FIRST_PFN		 0x1000ul
#define RAM_PAGES		 65536ul
#define __GFP_NORETRY		 16u
#define __GFP_NOMEMALLOC	 32u
#define __GFP_NOWARN		 64u
#define GFP_HIGHUSER		 GFP_KERNEL
#define PFN_PHYS(pfn)		 ((u64)(pfn) << PAGE_SHIFT)
#define pr_info(...)		 shim_log("info", __VA_ARGS__)
#define pr_warn_ratelimited(...) pr_warn(__VA_ARGS__)
#define cond_resched()		 sched_step()
#undef IS_ENABLED
#define IS_ENABLED(option)    (option)
#define CONFIG_MEMORY_HOTPLUG 1

struct page *alloc_pages(gfp_t flags, unsigned int order);
void split_page(struct page *page, unsigned int order);
void __free_page(struct page *page);
void adjust_managed_page_count(struct page *page, long count);
struct page *pfn_to_online_page(unsigned long pfn);
unsigned long totalram_pages(void);
long si_mem_available(void);
unsigned long vm_memory_committed(void);
#define PageOffline(page)	   ((page)->offline)
#define __SetPageOffline(page)	   ((void)((page)->offline = true))
#define __ClearPageOffline(page)   ((void)((page)->offline = false))
#define page_private(page)	   ((page)->private)
#define set_page_private(page, to) ((void)((page)->private = (to)))

#define MHP_MERGE_RESOURCE	   1
int add_memory(int node, u64 start, u64 len, int flags);
#define memory_add_physaddr_to_nid(start) ((void)(start), 0)
#define memory_block_size_bytes()	  (128ul << 20)

/* ---- the test's ---- */

void ram_init(void);
void ram_fill(unsigned long pages); /* somebody else has so many of them, from the lowest on */
void ram_scatter(void); /* and each second one: there is no piece of more than one */
extern unsigned long ram_free_pages;
extern int ram_add_result; /* what add_memory() returns */
extern u64 ram_added_at, ram_added_len;

#endif
