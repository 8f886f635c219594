/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Begins connections to an NBD server on a thread of its own, because that may look up a host's
 * name, which waits for name servers and cannot be cancelled.
 *
 *   vmb_dev_nbd_dial_start(uri, wake)
 *   vmb_dev_nbd_dial(dial, i, handle)        the handle of connection i is the thread's
 *     written to wake: vmb_dev_nbd_dialled(dial, i, &handle) gives it back
 *     or vmb_dev_nbd_dial_drop(dial, i)      it is not wanted any more
 *   vmb_dev_nbd_dial_end(dial)               waits for no name server
 *
 * Context: one caller.
 */
#ifndef DEVICES_DISK_NBD_DIAL_H
#define DEVICES_DISK_NBD_DIAL_H

#include <stdbool.h>
#include <stdint.h>

struct nbd_handle;
struct vmb_dev_nbd_dial;

enum vmb_dev_nbd_dialled {
	VMB_DEV_NBD_DIALLING,
	VMB_DEV_NBD_DIALLED, /* the connection is made by whoever has the handle now */
	VMB_DEV_NBD_DIAL_FAILED, /* the handle was closed */
};

/*
 * Starts the thread. uri: the server's, copied. wake: an eventfd, written when a handle is ready;
 * must stay open until vmb_dev_nbd_dial_end(). NULL: no memory or no thread, errno says which.
 */
struct vmb_dev_nbd_dial *vmb_dev_nbd_dial_start(const char *uri, int wake);
/*
 * Hands over the handle of connection i (below VMB_DEV_NBD_CONNECTION_MAX). Returns false, and
 * takes nothing, while a handle of i that was dropped still waits for its name server.
 */
bool vmb_dev_nbd_dial(struct vmb_dev_nbd_dial *dial, uint32_t i, struct nbd_handle *handle);
/*
 * Asks what became of connection i. DIALLED and DIAL_FAILED are said once; with DIALLED *handle is
 * the caller's again.
 */
enum vmb_dev_nbd_dialled vmb_dev_nbd_dialled(struct vmb_dev_nbd_dial *dial, uint32_t i,
					     struct nbd_handle **handle);
/* The handle of connection i will be closed. Returns at once. */
void vmb_dev_nbd_dial_drop(struct vmb_dev_nbd_dial *dial, uint32_t i);
/*
 * Ends the thread and closes what it has. A thread that waits for a name server is left alone, and
 * frees everything when it comes back. dial may be NULL.
 */
void vmb_dev_nbd_dial_end(struct vmb_dev_nbd_dial *dial);

#endif
