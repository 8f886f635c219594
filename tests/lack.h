/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process without a descriptor for a client that waits. To be included by one file of a test: its
 * accept4() is that of the whole program.
 */
#ifndef TESTS_LACK_H
#define TESTS_LACK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/socket.h"

/* While this is set there is no descriptor for a client; how often it was asked for one. */
static bool lacking;
static uint32_t lacked;

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	if (!__atomic_load_n(&lacking, __ATOMIC_SEQ_CST))
		return (int)syscall(SYS_accept4, fd, address, len, flags);
	__atomic_fetch_add(&lacked, 1, __ATOMIC_SEQ_CST);
	errno = EMFILE;
	return -1;
}

static inline void lack_begin(void)
{
	__atomic_store_n(&lacking, true, __ATOMIC_SEQ_CST);
}

/* A client waits meanwhile. The server must ask for it, and not without a pause. */
static inline void lack_watch(void)
{
	while (!__atomic_load_n(&lacked, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(5 * VMB_DEV_SOCKET_REST_MS * 1000);
	assert_in_range(__atomic_load_n(&lacked, __ATOMIC_SEQ_CST), 1, 100);
}

static inline void lack_end(void)
{
	__atomic_store_n(&lacking, false, __ATOMIC_SEQ_CST);
}

#endif
