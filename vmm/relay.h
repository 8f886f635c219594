/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A control socket whose machine runs in a nest. No UNIX socket reaches from one machine into
 * another, but a port of QEMU's virtio-serial does, one for all clients. So the socket is served
 * outside, by the relay, a process beside QEMU; the server inside (vmm/control.c) meets the relay's
 * clients on the port.
 *
 *   outside: vmb_vmm_relay_start(path, &fd)     fd: QEMU's end of the port
 *   both:    vmb_vmm_link_*                     frames over the port
 *
 * The relay also locks the files of disks that are added to the running machine. Each client has a
 * number, which is never used again. A frame opens or closes it, or carries at
 * most VMB_VMM_LINK_DATA_MAX of its bytes. Neither end sends more of a client's bytes until the
 * other has said that it took the last ones, so one slow client keeps one frame, and the port is
 * free for the others.
 */
#ifndef VMM_RELAY_H
#define VMM_RELAY_H

#include "base/platform.h"

#define VMB_VMM_RELAY_PORT    "nest.control" /* as lab/nest/openvmbus-nest calls it */
#define VMB_VMM_LINK_DATA_MAX 4096u
/* Room for all that 64 clients may have under way at once, and twice that. */
#define VMB_VMM_LINK_ROOM     (2u * 64u * (VMB_VMM_LINK_DATA_MAX + 64u))

enum vmb_vmm_link_kind {
	VMB_VMM_LINK_OPEN, /* outside to inside: there is a client */
	VMB_VMM_LINK_DATA,
	VMB_VMM_LINK_TAKEN, /* the bytes of the last DATA */
	VMB_VMM_LINK_END, /* outside to inside: the client sends no more */
	VMB_VMM_LINK_CLOSE, /* the client is gone, or is to go when it has got its bytes */
	/*
	 * Inside to outside: lock a file, because in the nest nobody outside would know. client:
	 * the lock's number, not 0; the bytes: 'r' or 'w', and the path.
	 */
	VMB_VMM_LINK_LOCK,
	VMB_VMM_LINK_LOCKED, /* the answer: no bytes: it is; else why it is not */
	VMB_VMM_LINK_UNLOCK,
	VMB_VMM_LINK_KIND_COUNT,
};

struct vmb_vmm_link_head {
	uint32_t client;
	uint16_t kind, len; /* len: bytes that follow */
};

struct vmb_vmm_link_frame {
	struct vmb_vmm_link_head head;
	uint8_t bytes[VMB_VMM_LINK_DATA_MAX];
};

struct vmb_vmm_link {
	int fd; /* does not block */
	bool broken; /* closed, or what came is no frame */
	uint32_t in_len, out_len;
	uint8_t in[2 * sizeof(struct vmb_vmm_link_frame)];
	uint8_t out[VMB_VMM_LINK_ROOM];
};

/* Queues a frame. */
void vmb_vmm_link_put(struct vmb_vmm_link *link, uint32_t client, enum vmb_vmm_link_kind kind,
		      const void *bytes, uint32_t len);
/* Returns what to poll the descriptor for. */
short vmb_vmm_link_wanted(const struct vmb_vmm_link *link);
/* Writes and reads what can be now. */
void vmb_vmm_link_move(struct vmb_vmm_link *link);
/* Takes the next frame that came. Returns false if there is none yet. */
bool vmb_vmm_link_take(struct vmb_vmm_link *link, struct vmb_vmm_link_frame *frame);

/*
 * Opens the port of the nest in which this program runs. Returns the descriptor, or -errno.
 */
int vmb_vmm_relay_open_port(void);
/*
 * Serves path in a process of its own, until *fd and all its copies are closed. Returns 0, or
 * -EINVAL: reported.
 */
int vmb_vmm_relay_start(const char *path, int *fd);

#endif
