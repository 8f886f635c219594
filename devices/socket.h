/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A UNIX socket that this program serves: made in place of one that a killed program left, and
 * removed at the end.
 *
 *   vmb_dev_socket_serve(&socket, "switch", path, SOCK_SEQPACKET)
 *   poll vmb_dev_socket_wanted(&socket, &timeout_ms), and vmb_dev_socket_accept(&socket)
 *   vmb_dev_socket_end(&socket)   also after an error, and when nothing was served
 *
 * Two programs that start at once must not take each other's socket for one that was left: the
 * folder is locked meanwhile, for 2 s at most.
 */
#ifndef DEVICES_SOCKET_H
#define DEVICES_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sockaddr_un;

struct vmb_dev_socket {
	const char *who, *path; /* the caller's, outlive the socket */
	int fd; /* listens; does not block; -1: none */
	dev_t dev;
	ino_t ino; /* 0: there is no file of ours, as for a socket that has no path */
	int64_t accept_at; /* ms of the monotonic clock; 0: at any time */
};

/*
 * Listens on path; type: SOCK_STREAM or SOCK_SEQPACKET. Only this user may connect if is_private.
 * who begins each message, as in "switch" or "--control". Returns 0, or -EINVAL: reported.
 */
int vmb_dev_socket_serve(struct vmb_dev_socket *s, const char *who, const char *path, int type,
			 bool is_private);
/*
 * Takes a client that waits: returns its descriptor, which does not block, or -errno. Where this
 * process or machine has no descriptor left, the client waits on, and would wake poll() for ever:
 * so the socket rests for a moment. The same thread as for vmb_dev_socket_wanted().
 */
int vmb_dev_socket_accept(struct vmb_dev_socket *s);

/*
 * What to poll for POLLIN: the socket's descriptor; -1: it rests, and *timeout_ms, -1 for none, is
 * lowered to when it has rested.
 */
int vmb_dev_socket_wanted(const struct vmb_dev_socket *s, int *timeout_ms);
#define VMB_DEV_SOCKET_REST_MS 100

/* Closes the socket, and removes its file if it is still ours. */
void vmb_dev_socket_end(struct vmb_dev_socket *s);

/*
 * Returns a socket that does not block and is not connected, and fills in its address; or -errno;
 * -ENAMETOOLONG: path is too long for a socket.
 */
int vmb_dev_socket_create(struct sockaddr_un *address, const char *path, int type);

#endif
