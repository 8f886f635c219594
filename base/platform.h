/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The core's only contact with its environment: fixed-width types, four memory functions and the
 * memory operations that order what two CPUs see of shared memory.
 *
 * Everything the core reads from or writes to memory that a peer can also write goes through the
 * vmb_load, vmb_store, vmb_shared and barrier functions below, so that one place decides what they
 * compile to. A build that defines VMB_PLATFORM_OVERRIDE to a header's name (in quotes) takes them from
 * there instead: the ring's model checker does this to put a scheduling point between any two of them.
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
/* What one CPU writes often stands apart from what another one does. */
#define VMB_CACHE_ALIGNED		    __attribute__((aligned(64)))
#define VMB_ARRAY_COUNT(a)		    (sizeof(a) / sizeof((a)[0]))
#define VMB_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Sizes and offsets of wire structures are facts of the protocol; a compiler that disagrees must stop. */
#define VMB_ASSERT_LEN(type, len)	    _Static_assert(sizeof(type) == (len), #type " has the wrong size")
#define VMB_ASSERT_OFFSET(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), #type "." #member " is misplaced")

/*
 * What a core function answers: 0, or one of these. The values equal -errno of Linux, so that a port on
 * Linux passes them on unchanged.
 */
enum vmb_error {
	VMB_EIO = -5, /* the peer reported failure */
	VMB_EAGAIN = -11, /* not now: no room, no message, nothing to read */
	VMB_ENOMEM = -12, /* a table that the caller sized is full */
	VMB_EBUSY = -16, /* the object is in use or in another state */
	VMB_ENODEV = -19, /* the peer took the object away */
	VMB_EINVAL = -22, /* the caller's argument is wrong */
	VMB_EPROTO = -71, /* the peer broke the protocol */
	VMB_EOVERFLOW = -75, /* it does not fit the format */
	VMB_EOPNOTSUPP = -95, /* the negotiated version has no such thing */
};

#ifdef VMB_PLATFORM_OVERRIDE
#include VMB_PLATFORM_OVERRIDE
#else

/* A load that the compiler neither repeats nor splits; no order. */
static inline uint32_t vmb_load_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* A load that nothing after it can pass. */
static inline uint32_t vmb_load_acquire_u32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* A store that the compiler neither repeats nor splits; no order. */
static inline void vmb_store_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* A store that nothing before it, load or store, can be delayed past. */
static inline void vmb_store_release_u32(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/*
 * Stores desired where expected stood and answers true, or leaves it and answers false. What stood before a
 * success is visible after it, and what was done before it is visible to whoever sees the new value.
 */
static inline bool vmb_compare_swap_u32(uint32_t *p, uint32_t expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/*
 * Sets bits, or puts value in the place of what stood there, in one step that no other CPU's can come into the middle
 * of; both answer what stood there before and are in one order with all others of their kind.
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

/* Copies into and out of shared memory; the peer may change the bytes at any moment. */
static inline void vmb_shared_write(void *shared, const void *src, size_t len)
{
	memcpy(shared, src, len);
}

static inline void vmb_shared_read(void *dst, const void *shared, size_t len)
{
	memcpy(dst, shared, len);
}

#endif /* VMB_PLATFORM_OVERRIDE */

#endif
