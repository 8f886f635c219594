/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The core's only contact with its environment: fixed-width types, four memory functions and the
 * memory operations that order what two CPUs see of shared memory.
 *
 * Every access of the core to memory that a peer can also write goes through the vmb_load,
 * vmb_store, vmb_shared and barrier functions below, so that one place decides what they compile
 * to. A build may define VMB_PLATFORM_OVERRIDE to the name of a header (in quotes), which then
 * provides them instead: the ring's model checker does this to put a scheduling point between any
 * two of them.
 */
#ifndef BASE_PLATFORM_H
#define BASE_PLATFORM_H

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#define UINT16_MAX 0xFFFFu
#define UINT32_MAX 0xFFFFFFFFu
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "VMBus is little-endian and so are all machines that it exists on"
#endif

#define VMB_PAGE_LEN			    4096u
#define VMB_PAGE_SHIFT			    12

#define VMB_PACKED			    __attribute__((packed))
/* Separates what one CPU writes often from what another CPU uses. */
#define VMB_CACHE_ALIGNED		    __attribute__((aligned(64)))
#define VMB_ARRAY_COUNT(a)		    (sizeof(a) / sizeof((a)[0]))
#define VMB_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/*
 * Sizes and offsets of wire structures are facts of the protocol: a compiler that disagrees must
 * stop.
 */
#define VMB_ASSERT_LEN(type, len)	    _Static_assert(sizeof(type) == (len), "size of " #type)
#define VMB_ASSERT_OFFSET(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), #type "." #member " is misplaced")

/*
 * What a core function returns: 0, or one of these. The values equal -errno of Linux, so that a
 * port on Linux passes them on unchanged.
 */
enum vmb_error {
	VMB_EIO = -5, /* the peer reported failure */
	VMB_EAGAIN = -11, /* not now: no room, or nothing to read */
	VMB_ENOMEM = -12, /* a table that the caller sized is full */
	VMB_EBUSY = -16, /* the object is in use or in another state */
	VMB_ENODEV = -19, /* the peer took the object away */
	VMB_EINVAL = -22, /* the caller's argument is wrong */
	VMB_EPROTO = -71, /* the peer broke the protocol */
	VMB_EOVERFLOW = -75, /* the value does not fit the format */
	VMB_EOPNOTSUPP = -95, /* the negotiated version does not have it */
};

#ifdef VMB_PLATFORM_OVERRIDE
#include VMB_PLATFORM_OVERRIDE
#else

/* A load that the compiler neither repeats nor splits. It has no ordering. */
static inline uint32_t vmb_load_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* A load that no later access can pass. */
static inline uint32_t vmb_load_acquire_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* A store that the compiler neither repeats nor splits. It has no ordering. */
static inline void vmb_store_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* A store that no earlier load or store can pass. */
static inline void vmb_store_release_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/*
 * Stores desired and returns true if *p is expected; otherwise changes nothing and returns false. A
 * success sees what was stored before the old value, and makes what was done before it visible to
 * whoever sees the new value.
 */
static inline bool vmb_compare_swap_u32(uint32_t *p, uint32_t expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/*
 * Atomically sets bits, or replaces the value. Both return the old value, and all of them are in
 * one total order.
 */
static inline uint32_t vmb_set_bits_u32(uint32_t *p, uint32_t bits)
{
	return __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
}

static inline uint32_t vmb_exchange_u32(uint32_t *p, uint32_t value)
{
	return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}

/* Orders every access before it against every access after it, a store before a load included. */
static inline void vmb_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Orders loads before it against loads after it. */
static inline void vmb_read_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Copies into and out of shared memory. The peer may change the bytes at any moment. */
static inline void vmb_shared_write(void *shared, const void *src, size_t len)
{
	memcpy(shared, src, len);
}

static inline void vmb_shared_read(void *dst, const void *shared, size_t len)
{
	memcpy(dst, shared, len);
}

#endif /* VMB_PLATFORM_OVERRIDE */

/*
 * Adds to a counter that one thread writes and others may read meanwhile. Where no instruction
 * stores 64 bits whole, a reader may see half of a change.
 */
static inline void vmb_count(uint64_t *counter, uint64_t more)
{
#if __SIZEOF_POINTER__ == 8
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
#else
	*counter += more;
#endif
}

#endif
