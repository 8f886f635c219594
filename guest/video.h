/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of synthetic video: one struct vmb_guest_video for the channel. It proposes
 * versions, asks which resolutions there are, says where the host's video memory is to be, what
 * form the picture has and where it changed.
 *
 *   vmb_guest_video_init(v, bus_version) at every opening of the channel
 *   while (vmb_guest_video_output(v, &len))    send it in-band, without completion; then
 *           vmb_guest_video_output_done(v)
 *   for each in-band packet of the ring, which the port has copied:
 *     step = vmb_guest_video_input(v, payload, len)
 *       VMB_GUEST_VIDEO_NOTHING   go on
 *       VMB_GUEST_VIDEO_READY     a version is agreed, and resolutions, if the host has them:
 *                                 vmb_guest_video_place(v, gpa)
 *       VMB_GUEST_VIDEO_REFUSED   the host knows none of our versions
 *       VMB_GUEST_VIDEO_PLACED    the memory is there: vmb_guest_video_show(v, &mode)
 *       VMB_GUEST_VIDEO_FEATURES  v->dirt_wanted is new; the form is sent again
 *       VMB_EPROTO                nonsense: drop it
 *   vmb_guest_video_dirt(v, &rectangle)         what was drawn; sent only if the host wants it
 *
 * The video memory has as many MiB as the offer's mmio_mib says, which the caller checks.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "12 Video", "16 Sequences", "18 Hardening".
 */
#ifndef GUEST_VIDEO_H
#define GUEST_VIDEO_H

#include "wire/video.h"
#include "wire/vmbus.h"

enum vmb_guest_video_state {
	VMB_GUEST_VIDEO_VERSIONS, /* a version was proposed */
	VMB_GUEST_VIDEO_RESOLUTIONS, /* they were asked for */
	VMB_GUEST_VIDEO_READ, /* the caller is to place the memory */
	VMB_GUEST_VIDEO_PLACING,
	VMB_GUEST_VIDEO_OPEN,
	VMB_GUEST_VIDEO_SHUT, /* the host refused */
};

enum vmb_guest_video_step {
	VMB_GUEST_VIDEO_NOTHING,
	VMB_GUEST_VIDEO_READY,
	VMB_GUEST_VIDEO_REFUSED,
	VMB_GUEST_VIDEO_PLACED,
	VMB_GUEST_VIDEO_FEATURES,
};

struct vmb_guest_video_mode {
	uint32_t width, height; /* pixels */
	uint32_t pitch, offset; /* bytes */
	uint8_t depth; /* bits: 16 or 32 */
};

struct vmb_guest_video {
	enum vmb_guest_video_state state;
	uint32_t version; /* proposed last, or agreed: VMB_VIDEO_VERSION() */
	bool oldest; /* there is none left to propose */
	/* of the host; count 0: it did not say */
	struct vmb_video_resolution resolutions[VMB_VIDEO_RESOLUTION_MAX];
	uint8_t resolution_count, preferred; /* preferred: which of them */
	uint64_t gpa; /* of the video memory */
	bool dirt_wanted;
	bool shown; /* mode was told */
	struct vmb_guest_video_mode mode;
	struct vmb_video_rectangle dirt; /* that waits; empty: none */
	uint32_t due; /* messages that wait: bits of the .c */
	uint64_t dropped; /* messages of the host, since _init */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint8_t packet[VMB_VIDEO_HEAD_LEN + 32];
};

/* The channel was opened now: a version is the next output. bus_version: VMB_VERSION_*, agreed. */
void vmb_guest_video_init(struct vmb_guest_video *v, uint32_t bus_version);

/* As vmb_guest_video_input() says. */
const void *vmb_guest_video_output(struct vmb_guest_video *v, uint32_t *len);
void vmb_guest_video_output_done(struct vmb_guest_video *v);

/* Takes the payload of an in-band packet, a private copy. Returns a step or VMB_EPROTO. */
int vmb_guest_video_input(struct vmb_guest_video *v, const void *payload, uint32_t len);

/* The video memory is to be at gpa, in the guest's address space for it. VMB_EAGAIN: not now. */
int vmb_guest_video_place(struct vmb_guest_video *v, uint64_t gpa);

/* The picture has this form from now on. VMB_EAGAIN: the memory is not placed. */
int vmb_guest_video_show(struct vmb_guest_video *v, const struct vmb_guest_video_mode *mode);

/* The rectangle was drawn. Does nothing if the host does not want to know. */
void vmb_guest_video_dirt(struct vmb_guest_video *v, const struct vmb_video_rectangle *rectangle);

#endif
