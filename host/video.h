/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of synthetic video: one struct vmb_host_video is the exchange over one channel.
 * It agrees on a version, says which resolutions there are, and judges where the guest wants the
 * video memory, what form its picture has and where it changed. The memory is the port's.
 *
 *   vmb_host_video_init(v, &config)
 *   vmb_host_video_reset(v) at every OPEN of the channel
 *   while (vmb_host_video_output(v, &len))    send it in-band, transaction id 0, no completion;
 *           vmb_host_video_output_done(v)     then
 *   for each packet of the ring, when no output waits, which the port has copied:
 *     step = vmb_host_video_input(v, payload, len)
 *       VMB_HOST_VIDEO_NOTHING    go on
 *       VMB_HOST_VIDEO_LOCATION   v->location: map the video memory there, before the answer that
 *                                 waits is sent; if it cannot be there, stop serving this channel
 *       VMB_HOST_VIDEO_SITUATION  v->mode is new
 *       VMB_HOST_VIDEO_DIRT       the picture changed within v->dirt, which is not empty
 *       VMB_EPROTO                the guest broke the protocol: stop serving this channel
 *   vmb_host_video_want(v, dirt)  whether the guest is to say what changes
 *
 * A guest that may send before it reads the answers could fill memory with them, so there is one
 * answer at most: whoever does not send it reads no further.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "12 Video", "16 Sequences", "18 Hardening".
 */
#ifndef HOST_VIDEO_H
#define HOST_VIDEO_H

#include "wire/video.h"
#include "wire/vmbus.h"

/* Pixels; more than any memory for pictures that we give has on one line. */
#define VMB_HOST_VIDEO_SIDE_MAX 8192u

enum vmb_host_video_state {
	VMB_HOST_VIDEO_IDLE, /* not open, or broken */
	VMB_HOST_VIDEO_VERSIONS, /* the guest proposes */
	VMB_HOST_VIDEO_OPEN, /* a version is agreed */
	VMB_HOST_VIDEO_PLACED, /* the guest has said where the video memory is to be */
};

enum vmb_host_video_step {
	VMB_HOST_VIDEO_NOTHING,
	VMB_HOST_VIDEO_LOCATION,
	VMB_HOST_VIDEO_SITUATION,
	VMB_HOST_VIDEO_DIRT,
};

struct vmb_host_video_config {
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	uint32_t memory_len; /* bytes of video memory */
	/* The caller's; VMB_VIDEO_RESOLUTION_MAX at most. */
	const struct vmb_video_resolution *resolutions;
	uint8_t resolution_count, preferred; /* preferred: which of them */
};

/* The form of the picture. All of it is within the video memory. */
struct vmb_host_video_mode {
	bool active; /* else there is no picture, and the rest is 0 */
	uint32_t offset, pitch; /* bytes */
	uint32_t depth; /* bits: 16 or 32 */
	uint32_t width, height; /* pixels, 1 to VMB_HOST_VIDEO_SIDE_MAX */
};

static inline bool vmb_host_video_mode_equal(const struct vmb_host_video_mode *a,
					     const struct vmb_host_video_mode *b)
{
	return a->active == b->active && a->offset == b->offset && a->pitch == b->pitch &&
	       a->depth == b->depth && a->width == b->width && a->height == b->height;
}

struct vmb_host_video {
	struct vmb_host_video_config config;
	enum vmb_host_video_state state;
	uint32_t version; /* VMB_VIDEO_VERSION(); 0: none yet */
	struct {
		bool specified; /* else the guest leaves it to the host */
		uint64_t gpa;
	} location;
	struct vmb_host_video_mode mode;
	struct vmb_video_rectangle dirt; /* of the last DIRT: around all that changed */
	bool want_dirt;
	bool features_due;
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint64_t situations, dirts; /* since _init */
	uint8_t packet[VMB_VIDEO_HOST_LEN_MAX];
};

/* Initialises v. config is copied, what it points to is not. */
void vmb_host_video_init(struct vmb_host_video *v, const struct vmb_host_video_config *config);

/* The channel was opened: the guest speaks next. */
void vmb_host_video_reset(struct vmb_host_video *v);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_host_video_output(struct vmb_host_video *v, uint32_t *len);
void vmb_host_video_output_done(struct vmb_host_video *v);

/*
 * Takes the payload of an in-band packet, a private copy; no output waits. Returns a step, or
 * VMB_EPROTO; then nothing is sent any more until _reset(), and mode keeps what it was.
 */
int vmb_host_video_input(struct vmb_host_video *v, const void *payload, uint32_t len);

/* From now on the guest is to say what changes, or not. Outlives _reset(). */
void vmb_host_video_want(struct vmb_host_video *v, bool dirt);

#endif
