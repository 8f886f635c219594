/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames into a pcapng file, as Wireshark reads it.
 *
 *   vmb_dev_capture_open(&capture, path, len) checks that the file can be written; changes nothing
 *   vmb_dev_capture_start(capture)            creates or overwrites it
 *   vmb_dev_capture_interface(capture, name)  adds an interface with this name
 *   vmb_dev_capture_frame(...)                each frame
 *   vmb_dev_capture_undo(capture)             the last frame was not sent, after all
 *   vmb_dev_capture_close(capture)
 *
 * A guest decides how many frames there are, so the file has a maximal length. It ends with the
 * last whole block that fits; this is reported once, and frames go on without being captured.
 *
 * Each block is written at once, whole and with its frame, so a process that is killed leaves a
 * readable file with all that went before. When the disk is full, the file ends as it does at its
 * maximal length.
 *
 * A frame is written as it is in the backend's hands: where offloads are in use its checksums may
 * be open and it may be longer than the MTU. Such frames have a comment that says so.
 *
 * Context: one thread at a time. The format: the pcapng specification (IETF opsawg).
 */
#ifndef DEVICES_NET_CAPTURE_H
#define DEVICES_NET_CAPTURE_H

#include "devices/net/net.h"
#include "devices/pcapng.h"

#define VMB_DEV_CAPTURE_LEN_DEFAULT (1ull << 30) /* bytes of a file, unless said */

struct vmb_dev_capture;

/*
 * A file that exists must be a capture, or empty: nothing else is overwritten. path is kept by
 * reference. 0, or -errno: reported in one line; *capture is NULL then. len_max: bytes of the file.
 */
int vmb_dev_capture_open(struct vmb_dev_capture **capture, const char *path, uint64_t len_max);

/* Returns 0, or -errno: reported; then frames are ignored. */
int vmb_dev_capture_start(struct vmb_dev_capture *capture);

/*
 * Adds an interface, after the start. Returns the number that frames refer to it by. description
 * may be NULL.
 */
uint32_t vmb_dev_capture_interface(struct vmb_dev_capture *capture, const char *name,
				   const char *description);

/* Ignored before the start and after a failure. The pieces are read once. */
void vmb_dev_capture_frame(struct vmb_dev_capture *capture, uint32_t interface,
			   const struct vmb_dev_net_frame *frame,
			   enum vmb_dev_pcapng_direction direction);

/* Takes back the last frame. */
void vmb_dev_capture_undo(struct vmb_dev_capture *capture);

/* NULL is allowed. */
void vmb_dev_capture_close(struct vmb_dev_capture *capture);

#endif
