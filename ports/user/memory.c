// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Allocates guest memory, in an order that never gives adjacent pages, and maps it. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ports/user/memory.h"

/* The number of pages is never a multiple of it: walks through all pages, never to a neighbour. */
#define STRIDE 7u

int vmb_user_memory_init(struct vmb_user_memory *m, uint32_t page_count)
{
	size_t len;

	memset(m, 0, sizeof(*m));
	page_count += page_count % STRIDE ? 0 : 1;
	len = ((size_t)page_count + VMB_USER_FIXED_COUNT) * VMB_PAGE_LEN;
	m->page_count = page_count;
	m->used = calloc(page_count, sizeof(*m->used));
	m->fd = memfd_create("openvmbus", MFD_CLOEXEC);
	if (!m->used || m->fd < 0 || ftruncate(m->fd, (off_t)len))
		return VMB_ENOMEM;
	m->base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED)
		return VMB_ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	return 0;
}

void vmb_user_memory_destroy(struct vmb_user_memory *m)
{
	munmap(m->base, ((size_t)m->page_count + VMB_USER_FIXED_COUNT) * VMB_PAGE_LEN);
	close(m->fd);
	free(m->used);
	pthread_mutex_destroy(&m->lock);
}

static uint32_t take_page(struct vmb_user_memory *m)
{
	do
		m->next = (m->next + STRIDE) % m->page_count;
	while (m->used[m->next]);
	m->used[m->next] = true;
	m->used_count++;
	return m->next;
}

bool vmb_user_memory_alloc(struct vmb_user_memory *m, uint64_t *pfns, uint32_t count)
{
	bool enough;
	uint32_t i;

	pthread_mutex_lock(&m->lock);
	enough = m->page_count - m->used_count >= count;
	for (i = 0; enough && i < count; i++)
		pfns[i] = VMB_USER_FIRST_PFN + take_page(m);
	pthread_mutex_unlock(&m->lock);
	for (i = 0; enough && i < count; i++)
		memset(vmb_user_memory_page(m, pfns[i]), 0, VMB_PAGE_LEN);
	return enough;
}

void vmb_user_memory_free(struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count)
{
	uint32_t i;

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < count; i++)
		m->used[pfns[i] - VMB_USER_FIRST_PFN] = false;
	m->used_count -= count;
	pthread_mutex_unlock(&m->lock);
}

uint64_t vmb_user_memory_fixed(const struct vmb_user_memory *m, uint32_t n)
{
	return VMB_USER_FIRST_PFN + m->page_count + n;
}

uint8_t *vmb_user_memory_page(const struct vmb_user_memory *m, uint64_t pfn)
{
	if (pfn < VMB_USER_FIRST_PFN ||
	    pfn - VMB_USER_FIRST_PFN >= m->page_count + VMB_USER_FIXED_COUNT)
		return NULL;
	return m->base + (pfn - VMB_USER_FIRST_PFN) * VMB_PAGE_LEN;
}

static bool map_page(const struct vmb_user_memory *m, uint8_t *at, uint64_t pfn)
{
	const uint8_t *page = vmb_user_memory_page(m, pfn);

	return page && mmap(at, VMB_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
			    page - m->base) != MAP_FAILED;
}

void *vmb_user_memory_map(const struct vmb_user_memory *m, const uint64_t *pfns, uint32_t count)
{
	uint8_t *at = mmap(NULL, (size_t)count * VMB_PAGE_LEN, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t i;

	if (at == MAP_FAILED)
		return NULL;
	for (i = 0; i < count; i++)
		if (!map_page(m, at + (size_t)i * VMB_PAGE_LEN, pfns[i])) {
			vmb_user_memory_unmap(at, count);
			return NULL;
		}
	return at;
}

void vmb_user_memory_unmap(void *at, uint32_t count)
{
	munmap(at, (size_t)count * VMB_PAGE_LEN);
}
