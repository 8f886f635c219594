/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An NBD server that misbehaves as it is told to; a thread for each connection. What it serves is
 * zeroes.
 */
#ifndef TESTS_NBD_FAKE_H
#define TESTS_NBD_FAKE_H

#include <pthread.h>
#include <stdint.h>

enum nbd_fake_manner {
	NBD_FAKE_GOOD,
	NBD_FAKE_MUTE, /* shakes hands and answers nothing */
	NBD_FAKE_FIRST_MUTE, /* the first connection of all is like that, the others are good */
	NBD_FAKE_FAILS_A_FLUSH, /* the first, with EIO */
	NBD_FAKE_LONG_BLOCKS, /* takes blocks of 4096 bytes and no shorter ones */
	NBD_FAKE_CLOSES_AT_ZEROES, /* goes away when it is to write zeroes */
	NBD_FAKE_CLOSES_AT_ALL, /* goes away at each command */
	NBD_FAKE_HOLDS_A_WRITE, /* until nbd_fake_answer_and_drop() */
	NBD_FAKE_REFUSES_WRITES, /* with EIO */
};

#define NBD_FAKE_CONNECTION_MAX 64u

struct nbd_fake {
	enum nbd_fake_manner manner;
	uint64_t len; /* bytes */
	int listener;
	uint16_t port; /* 0: a UNIX socket */
	pthread_t thread, connections[NBD_FAKE_CONNECTION_MAX];
	int fds[NBD_FAKE_CONNECTION_MAX];
	/* atomic */
	uint32_t connection_count, ready_count, command_count, zeroes_count, flush_count,
		held_count;
	uint64_t asked_len; /* bytes of all reads and writes */
	/* the last write that was held */
	uint64_t held_handle;
	int held_fd;
};

/* path: of a UNIX socket; NULL: a port of 127.0.0.1, s->port. */
void nbd_fake_start(struct nbd_fake *s, const char *path, uint64_t len,
		    enum nbd_fake_manner manner);
/* Changes its manner, for connections that are made from now on, and for commands. */
void nbd_fake_behave(struct nbd_fake *s, enum nbd_fake_manner manner);
/* Closes all connections; it can be reached again. */
void nbd_fake_drop(struct nbd_fake *s);
/* The same, after an answer to the write that is held. */
void nbd_fake_answer_and_drop(struct nbd_fake *s);
void nbd_fake_stop(struct nbd_fake *s);

#endif
