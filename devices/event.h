/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events between threads: an eventfd that is rung and cleared, and a bell, which one side rings and
 * the other looks at without a system call.
 *
 * Context: any thread. Nothing here waits: the descriptors do not block.
 */
#ifndef DEVICES_EVENT_H
#define DEVICES_EVENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A bell. Who sleeps polls fd and then calls vmb_dev_bell_ring() itself; -1: nobody sleeps. */
struct vmb_dev_bell {
	int fd; /* eventfd; the owner's to close */
	uint32_t rang; /* atomic */
};

/* Returns an eventfd, or -errno. */
static inline int vmb_dev_event_create(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Makes the eventfd readable. */
static inline void vmb_dev_event_ring(int fd)
{
	const uint64_t one = 1;

	/* A full counter wakes as well. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Makes the eventfd unreadable until the next ring. */
static inline void vmb_dev_event_clear(int fd)
{
	uint64_t count;

	/* It was clear. */
	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

/* Rings, and wakes who sleeps on the descriptor. */
static inline void vmb_dev_bell_ring(struct vmb_dev_bell *bell)
{
	__atomic_store_n(&bell->rang, 1, __ATOMIC_SEQ_CST);
	if (bell->fd >= 0)
		vmb_dev_event_ring(bell->fd);
}

/* The descriptor is readable: somebody who knows only the descriptor has rung. */
static inline void vmb_dev_bell_heard(struct vmb_dev_bell *bell)
{
	vmb_dev_event_clear(bell->fd);
	__atomic_store_n(&bell->rang, 1, __ATOMIC_SEQ_CST);
}

/* Returns whether the bell rang since the last call. */
static inline bool vmb_dev_bell_take(struct vmb_dev_bell *bell)
{
	return __atomic_load_n(&bell->rang, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&bell->rang, 0, __ATOMIC_SEQ_CST);
}

#endif
