/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A platform (VMB_PLATFORM_OVERRIDE) whose shared memory changes as soon as it was read: every byte
 * of an RNDIS envelope or control message that vmb_shared_read() gives out is overwritten in the
 * shared memory before the caller goes on. Whoever looks at it a second time, by whatever means,
 * sees what a hostile peer would have put there. Frame bytes stay.
 */
#ifndef TESTS_SPOILING_MEMORY_H
#define TESTS_SPOILING_MEMORY_H

static uint64_t spoilt_len; /* bytes so far */

static inline uint32_t vmb_load_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint32_t vmb_load_acquire_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void vmb_store_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static inline void vmb_store_release_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static inline bool vmb_compare_swap_u32(uint32_t *p, uint32_t expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
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

/*
 * How much of what was read is no frame: the envelope of a PACKET, all of a control message, all of
 * a short rest.
 */
static inline size_t spoilable_len(const void *copy, size_t len)
{
	uint32_t words[3] = { 0 };

	memcpy(words, copy, len < sizeof(words) ? len : sizeof(words));
	if (words[0] == 1 && len >= 44)
		return words[2] + 8 < len ? words[2] + 8 : len;
	if (words[0] && (words[0] & 0x7FFFFFFF) <= 8 && words[1] == len)
		return len;
	return 0;
}

static inline void vmb_shared_read(void *dst, const void *shared, size_t len)
{
	size_t spoilt;

	memcpy(dst, shared, len);
	spoilt = spoilable_len(dst, len);
	memset((void *)(uintptr_t)shared, 0xFF, spoilt);
	spoilt_len += spoilt;
}

#endif
