/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An export of an NBD server that may die and come back. libnbd speaks the protocol; this keeps
 * operations alive over connections.
 *
 *   vmb_dev_nbd_connect(uri, ...)    one connection, its export's facts
 *   vmb_dev_nbd_start(nbd)           the thread that owns the connections
 *   vmb_dev_nbd_submit(nbd, op)      op->ended(op, error) on that thread, exactly once
 *   vmb_dev_nbd_cancel(nbd)          operations under way end within about a second
 *   vmb_dev_nbd_close(nbd)
 *
 * When the server goes away, operations wait for it. Each operation has a window of window_s
 * seconds that begins when it is submitted. If the window has passed and the server is away, the
 * operation fails with ENOTCONN. When the server has been away for a whole window each new
 * operation fails at once, until it is back. It is asked again and again, 0.1 s to 5 s apart. A
 * connection that has commands and says nothing for a window (5 s at least) is dead, even if other
 * connections are answered. An operation with which the server went away three times is sent alone,
 * so that no other suffers with it; after six times it fails with ETIMEDOUT. When the server fails
 * at a flush, each later flush and FUA fails with EIO: it may have lost anything that was written
 * before. A write that was answered but not flushed can die with its server. So a copy of each is
 * kept in the journal until a flush has succeeded, and when the server is back they are written
 * again, in their order, before anything else. A server that dies loses nothing that was ever
 * answered, as long as this process lives. The journal is bounded: when it fills, this module sends
 * a flush itself; when that does not help writes wait.
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
	bool may_unmap; /* ZERO: the server may make a hole */
	uint64_t offset; /* bytes */
	uint64_t len; /* bytes; 0 only for FLUSH */
	/*
	 * READ, WRITE: len bytes, from malloc. From submit on, a WRITE's buffer belongs to this
	 * module.
	 */
	uint8_t *data;
	void (*ended)(struct vmb_dev_nbd_op *op, int error); /* 0 or an errno; may submit */

	/* devices/disk/nbd_connection.c's */
	struct vmb_dev_nbd *nbd;
	struct vmb_dev_nbd_op *prev, *next;
	uint64_t done_len, sent_len; /* bytes */
	uint64_t since_ms; /* when it was submitted */
	uint32_t connection; /* that it was sent on */
	uint32_t cancels; /* the number of cancellations before it was submitted */
	uint32_t lost_count; /* how often the server went away while it had it */
	uint64_t mark; /* FLUSH: the journal's last number when it was sent */
	int error;
	bool syncing; /* FUA on a server without it: a flush follows */
	bool replay; /* out of the journal */
};

struct vmb_dev_nbd;

struct vmb_dev_nbd_facts {
	uint64_t len; /* bytes */
	uint32_t block_len_min; /* bytes: the server takes no shorter ones */
	bool read_only;
	bool can_zero;
	bool can_flush;
	uint32_t connection_count;
};

/*
 * Connects to uri and asks for the facts of its export. window_s: how many seconds operations wait
 * for a server that went away. On failure returns NULL and writes into why (why_len bytes) what is
 * wrong.
 */
struct vmb_dev_nbd *vmb_dev_nbd_connect(const char *uri, unsigned int window_s, char *why,
					uint32_t why_len);
/* Returns the facts of the export; valid until close. */
const struct vmb_dev_nbd_facts *vmb_dev_nbd_facts(const struct vmb_dev_nbd *nbd);
/*
 * Whoever runs the server, if this program does. The owner notices itself when the server ends, so
 * such a server gets more time to answer. The functions are called on the connections' thread.
 */
struct vmb_dev_nbd_owner {
	void (*restart)(void *arg); /* it is stuck: end it and start another */
	void (*leave)(void *arg); /* the last connection was closed */
	void *arg;
};

/*
 * Starts the thread, which makes more connections if the server allows them. owner is NULL if this
 * program does not run the server. Returns 0 or -errno.
 */
int vmb_dev_nbd_start(struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_owner *owner);
/* Begins an operation, which must stay valid until op->ended(op, error). Any thread. */
void vmb_dev_nbd_submit(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op);
/*
 * Cancels all operations under way. Those that were not sent fail with ECANCELED at once, the
 * others if the server does not answer them within a second. Returns at once. Operations that are
 * submitted later are not affected.
 */
void vmb_dev_nbd_cancel(struct vmb_dev_nbd *nbd);
/*
 * Tells the thread to end as soon as it can. Returns at once; the caller must call close later. nbd
 * may be NULL.
 */
void vmb_dev_nbd_leave(struct vmb_dev_nbd *nbd);
/* Ends the thread and frees everything. Nothing may be under way. nbd may be NULL. */
void vmb_dev_nbd_close(struct vmb_dev_nbd *nbd);

#endif
