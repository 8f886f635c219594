/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of hvsock.ko share: one connection between a socket and a channel.
 *
 * Life: transport->init(): NEW. A channel comes, because the socket asked for one (connect()) or
 * the host did (a listener); it is opened by work, and the connection is OPEN. From then on it
 * holds itself, its socket and this module, until end_work has given the channel back, and so it
 * does while it dials. What the ring held that the program has not read yet is copied first, so a
 * channel never waits for a program. transport->destruct() takes the socket from it.
 *
 * Context: lock_sock() guards everything here but what is said of dial. The host's doorbell queues
 * wake_work; functions of the bus that wait are called by work and without the socket's lock.
 */
#ifndef PORTS_LINUX_SOCKETS_H
#define PORTS_LINUX_SOCKETS_H

#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <net/af_vsock.h>
#include "ports/linux/compat.h"
#include "ports/linux/vmbus.h"

#undef pr_fmt
#define pr_fmt(fmt) "hvsock: " fmt

/* A packet that we send has this many bytes at most, and so has a copy of what came. */
#define PIECE_LEN   4096u

struct connection {
	refcount_t refs;
	struct vsock_sock *vsk;
	struct vmb_channel *ch; /* NULL: not open, or not any more */
	u32 data_len; /* bytes of each of its rings */
	struct vmb_stream stream;
	/* of the packet that is read: where, and how much is left; 0: none */
	struct vmb_ring_received packet;
	u32 at, left;
	u8 *piece; /* PIECE_LEN bytes on their way */
	/* what the ring held when the channel went */
	u8 *rest;
	u32 rest_at, rest_len;
	bool released; /* the program has closed the socket */
	bool broken; /* the host broke the protocol */
	u32 unread; /* bytes for the host when end_work looked last */
	struct work_struct wake_work;
	struct delayed_work end_work;
	/* of connect(): with the bus's lock, or when answer_work runs */
	struct vmb_guest_dial dial;
	bool dialling; /* lock_sock() */
	struct vmb_channel *answer; /* NULL: refused */
	struct work_struct answer_work;
};

extern struct workqueue_struct *sockets_queue;

static inline struct sock *sock_of(const struct connection *c)
{
	return sk_vsock(c->vsk);
}

/* False: the socket has another transport by now, and its state is none of ours. lock_sock() */
static inline bool has_socket(const struct connection *c)
{
	return c->vsk->trans == c;
}

/* sockets_stream.c; lock_sock() */
s64 stream_has_data(struct connection *c);
s64 stream_has_space(struct connection *c);
ssize_t stream_read(struct connection *c, struct msghdr *msg, size_t len, int flags);
ssize_t stream_write(struct connection *c, struct msghdr *msg, size_t len);
void stream_end(struct connection *c);
/* Copies what was not read out of the rings, which are about to go. */
void stream_keep(struct connection *c);
/* Passes over what nobody reads any more, up to the peer's end. */
void stream_drop(struct connection *c);
/* Bytes of ring that the host has not read. */
u32 stream_unread(struct connection *c);

#endif
