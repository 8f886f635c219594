/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An export of an NBD server that may die and come back. libnbd speaks the protocol; this keeps operations alive over
 * connections.
 *
 *   vmb_dev_nbd_connect(uri, ...)    one connection, its export's facts
 *   vmb_dev_nbd_start(nbd)           the thread that owns the connections
 *   vmb_dev_nbd_submit(nbd, op)      op->ended(op, error) on that thread, exactly once
 *   vmb_dev_nbd_close(nbd)           waits for what is under way
 *
 * When the server goes away, operations wait for it: for as long as the window says, then they fail with ENOTCONN, and so
 * does each new one, until it is back. It is asked again and again, 0.1 s to 5 s apart.
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
	uint64_t mark; /* FLUSH: the journal's last number when it was sent */
	int error;
	bool syncing; /* FUA that the server has not: a flush follows */
	bool replay; /* out of the journal */
};

struct vmb_dev_nbd;

struct vmb_dev_nbd_facts {
	uint64_t len; /* bytes */
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
/*
 * 0 or -errno. More connections are made where the server allows them. A server that answers nothing for as long as the
 * window is taken for gone, unless patient: one whose end would be seen is slow, no matter how long.
 */
int vmb_dev_nbd_start(struct vmb_dev_nbd *nbd, bool patient);
void vmb_dev_nbd_submit(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op);
/* Operations under way fail or end first. nbd may be NULL. */
void vmb_dev_nbd_close(struct vmb_dev_nbd *nbd);

#endif
