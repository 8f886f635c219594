/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An export of an NBD server that may die and come back. libnbd speaks the protocol; this keeps operations alive over
 * connections.
 *
 *   vmb_dev_nbd_connect(uri, ...)    one connection, its export's facts
 *   vmb_dev_nbd_start(nbd)           the thread that owns the connections
 *   vmb_dev_nbd_submit(nbd, op)      op->ended(op, error) on that thread, exactly once
 *   vmb_dev_nbd_cancel(nbd)          what is under way ends within about a second
 *   vmb_dev_nbd_close(nbd)
 *
 * When the server goes away, operations wait for it. The window is each operation's own and begins when it is submitted: when
 * it is over, and the server is away, the operation fails with ENOTCONN. When the server has been away for a whole window each
 * new operation fails at once, until it is back. It is asked again and again, 0.1 s to 5 s apart.
 * A connection that has commands and says nothing for a window (5 s at least) is dead, whatever others say. An operation with
 * which the server went away three times is sent alone, so that no other suffers with it; after six times it fails with ETIMEDOUT.
 * When the server fails at a flush, each later flush and FUA fails with EIO: it may have lost anything that was written before.
 * A write that was answered but not flushed can die with its server. So a copy of each is kept in the journal until a flush
 * has succeeded, and when the server is back they are written again, in their order, before anything else. A server that dies
 * loses nothing that was ever answered, as long as this process lives. The journal is bounded: when it
 * fills, a flush is sent on our own account; when that does not help writes wait.
 *
 * Context: connect, start and close by one caller; submit from any thread.
 */
#ifndef DEVICES_DISK_NBD_CONNECTION_H
#define DEVICES_DISK_NBD_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#define VMB_DEV_NBD_CONNECTION_MAX 4u

enum vmb_dev_nbd_kind {
	VMB_DEV_NBD_READ,
	VMB_DEV_NBD_WRITE,
	VMB_DEV_NBD_ZERO, /* reads as zeroes afterwards */
	VMB_DEV_NBD_FLUSH,
};

struct vmb_dev_nbd_op {
	/* the caller's */
	enum vmb_dev_nbd_kind kind;
	bool fua;
	bool may_unmap; /* ZERO: a hole is welcome */
	uint64_t offset; /* bytes */
	uint64_t len; /* bytes; 0 only for FLUSH */
	uint8_t *data; /* READ, WRITE: len bytes, from malloc. A WRITE's is this module's from submit on. */
	void (*ended)(struct vmb_dev_nbd_op *op, int error); /* 0 or an errno; may submit */

	/* devices/disk/nbd_connection.c's */
	struct vmb_dev_nbd *nbd;
	struct vmb_dev_nbd_op *prev, *next;
	uint64_t done_len, sent_len; /* bytes */
	uint64_t since_ms; /* when it was submitted */
	uint32_t connection; /* that it was sent on */
	uint32_t lost_count; /* how often the server went away while it had it */
	uint64_t mark; /* FLUSH: the journal's last number when it was sent */
	int error;
	bool syncing; /* FUA that the server has not: a flush follows */
	bool replay; /* out of the journal */
};

struct vmb_dev_nbd;

struct vmb_dev_nbd_facts {
	uint64_t len; /* bytes */
	uint32_t block_len_min; /* bytes: it takes no shorter ones */
	bool read_only;
	bool can_zero;
	bool can_flush;
	uint32_t connection_count;
};

/*
 * window_s: how long operations wait for a server that went away. NULL: why (why_len bytes) says in words what is wrong.
 */
struct vmb_dev_nbd *vmb_dev_nbd_connect(const char *uri, unsigned int window_s, char *why,
					uint32_t why_len);
const struct vmb_dev_nbd_facts *vmb_dev_nbd_facts(const struct vmb_dev_nbd *nbd);
/* A server of our own: its end is seen by others, so it is given more time, but not for ever. On the thread. */
struct vmb_dev_nbd_owner {
	void (*restart)(void *arg); /* it is stuck: end it and start another */
	void (*leave)(void *arg); /* the last connection was closed */
	void *arg;
};

/* 0 or -errno. More connections are made where the server allows them. owner: NULL: somebody else's server. */
int vmb_dev_nbd_start(struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_owner *owner);
void vmb_dev_nbd_submit(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op);
/*
 * Nobody waits for what is under way: what was not sent fails with ECANCELED at once, and what the server has not answered
 * within a second after it. Returns at once. What is submitted later than everything under way has ended is not concerned.
 */
void vmb_dev_nbd_cancel(struct vmb_dev_nbd *nbd);
/* The thread ends as soon as it can. Returns at once; close follows. nbd may be NULL. */
void vmb_dev_nbd_leave(struct vmb_dev_nbd *nbd);
/*
 * Nothing may be under way. nbd may be NULL. False: the thread hangs in the system, looking up a name; it keeps all that it knows,
 * the owner included.
 */
bool vmb_dev_nbd_close(struct vmb_dev_nbd *nbd);

#endif
