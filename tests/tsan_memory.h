/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The platform (VMB_PLATFORM_OVERRIDE) of builds for ThreadSanitizer. Both ends of a ring are in
 * one process, and each has it mapped at addresses of its own. ThreadSanitizer takes these for
 * different memory, and knows no barriers. So what one end publishes with an index and the other
 * takes with it is told here, for each place in a page: an index is at the same place of its page
 * for both ends.
 */
#ifndef TESTS_TSAN_MEMORY_H
#define TESTS_TSAN_MEMORY_H

void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

/* In whatever file includes this; the linker keeps one. */
__attribute__((weak)) char vmb_tsan_places[VMB_PAGE_LEN];

static inline void *vmb_tsan_place(const void *p)
{
	return &vmb_tsan_places[(uintptr_t)p % VMB_PAGE_LEN];
}

static inline uint32_t vmb_load_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint32_t vmb_load_acquire_u32(const uint32_t *p)
{
	uint32_t value = __atomic_load_n(p, __ATOMIC_ACQUIRE);

	__tsan_acquire(vmb_tsan_place(p));
	return value;
}

static inline void vmb_store_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static inline void vmb_store_release_u32(uint32_t *p, uint32_t value)
{
	__tsan_release(vmb_tsan_place(p));
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static inline bool vmb_compare_swap_u32(uint32_t *p, uint32_t expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static inline uint32_t vmb_set_bits_u32(uint32_t *p, uint32_t bits)
{
	__tsan_release(vmb_tsan_place(p));
	return __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
}

static inline uint32_t vmb_exchange_u32(uint32_t *p, uint32_t value)
{
	uint32_t old = __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);

	__tsan_acquire(vmb_tsan_place(p));
	return old;
}

static inline void vmb_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void vmb_read_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void vmb_shared_write(void *shared, const void *src, size_t len)
{
	memcpy(shared, src, len);
}

static inline void vmb_shared_read(void *dst, const void *shared, size_t len)
{
	memcpy(dst, shared, len);
}

#endif
