/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames into a pcapng file, as Wireshark reads it.
 *
 *   vmb_dev_capture_open(&capture, path, len) looks whether the file can be written; touches nothing
 *   vmb_dev_capture_start(capture)            creates or overwrites it
 *   vmb_dev_capture_interface(capture, name)  a name for what frames go through
 *   vmb_dev_capture_frame(...)                each frame
 *   vmb_dev_capture_undo(capture)             the last frame did not go, after all
 *   vmb_dev_capture_close(capture)
 *
 * A guest decides how much goes over a wire, so that a file has a bound: it ends with the last whole block that fits, which
 * is reported once, and the frames go on.
 *
 * Each block is written at once, whole and with its frame, so a process that is killed leaves a readable file with all that
 * went before. When the disk is full the file ends with the last whole block, which is reported once, and the frames go on.
 *
 * A frame is written as it is in the backend's hands: where offloads are in use its checksums may be open and it may be
 * longer than the MTU. Such frames have a comment that says so.
 *
 * Context: one thread at a time. The format: the pcapng specification (IETF opsawg).
 */
#ifndef DEVICES_NET_CAPTURE_H
#define DEVICES_NET_CAPTURE_H

#include "devices/net/net.h"

#define VMB_DEV_CAPTURE_LEN_DEFAULT (1ull << 30) /* bytes of a file, unless said */

/* Values of the format's direction bits. */
enum vmb_dev_capture_direction {
	VMB_DEV_CAPTURE_UNKNOWN,
	VMB_DEV_CAPTURE_INBOUND,
	VMB_DEV_CAPTURE_OUTBOUND,
};

struct vmb_dev_capture;

/*
 * A file that exists must be a capture, or empty: nothing else is overwritten. path is kept by reference. 0, or
 * -errno: reported in one line; *capture is NULL then. len_max: bytes of the file.
 */
int vmb_dev_capture_open(struct vmb_dev_capture **capture, const char *path, uint64_t len_max);

/* 0, or -errno: reported; then it takes no frames. */
int vmb_dev_capture_start(struct vmb_dev_capture *capture);

/* After the start. Answers the number by which frames name it. description may be NULL. */
uint32_t vmb_dev_capture_interface(struct vmb_dev_capture *capture, const char *name,
				   const char *description);

/* Ignored before the start and after a failure. The pieces are read once. */
void vmb_dev_capture_frame(struct vmb_dev_capture *capture, uint32_t interface,
			   const struct vmb_dev_net_frame *frame,
			   enum vmb_dev_capture_direction direction);

/* Takes back the last frame. */
void vmb_dev_capture_undo(struct vmb_dev_capture *capture);

/* NULL is allowed. */
void vmb_dev_capture_close(struct vmb_dev_capture *capture);

#endif
