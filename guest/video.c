// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes the messages of a guest that shows a picture, and judges the host's. What waits to be sent
 * is a bit each, so a host that asks often is answered once.
 */
#include "guest/video.h"

#define DUE_VERSION	1u
#define DUE_RESOLUTIONS 2u
#define DUE_LOCATION	4u
#define DUE_POSITION	8u
#define DUE_SHAPE	16u
#define DUE_SITUATION	32u
#define DUE_DIRT	64u

/* The pointer is part of the picture; the host is told of one that cannot be seen. */
struct hidden_pointer {
	struct vmb_video_pointer_shape shape;
	uint8_t pixel[4];
} VMB_PACKED;

void vmb_guest_video_init(struct vmb_guest_video *v, uint32_t bus_version)
{
	memset(v, 0, sizeof(*v));
	v->version = VMB_VIDEO_VERSION_3_5;
	if (bus_version < VMB_VERSION_4_0)
		v->version = VMB_VIDEO_VERSION_3_2;
	if (bus_version < VMB_VERSION_2_4)
		v->version = VMB_VIDEO_VERSION_3_0;
	v->oldest = v->version == VMB_VIDEO_VERSION_3_0;
	v->due = DUE_VERSION;
}

/* Output */

static void send(struct vmb_guest_video *v, enum vmb_video_type type, const void *body,
		 uint32_t len)
{
	const struct vmb_video_header header = { type, (uint32_t)sizeof(header) + len };
	const struct vmb_pipe_header pipe = { VMB_PIPE_DATA, header.len };

	memcpy(v->packet, &pipe, sizeof(pipe));
	memcpy(v->packet + sizeof(pipe), &header, sizeof(header));
	memcpy(v->packet + VMB_VIDEO_HEAD_LEN, body, len);
	v->output_len = VMB_VIDEO_HEAD_LEN + len;
}

static void send_version(struct vmb_guest_video *v)
{
	send(v, VMB_VIDEO_VERSION_REQUEST, &v->version, sizeof(v->version));
}

static void send_resolutions(struct vmb_guest_video *v)
{
	const uint8_t most = VMB_VIDEO_RESOLUTION_MAX;

	send(v, VMB_VIDEO_RESOLUTIONS_REQUEST, &most, sizeof(most));
}

static void send_location(struct vmb_guest_video *v)
{
	const struct vmb_video_location location = { .context = v->gpa,
						     .gpa_specified = 1,
						     .gpa = v->gpa };

	send(v, VMB_VIDEO_LOCATION, &location, sizeof(location));
}

static void send_position(struct vmb_guest_video *v)
{
	const struct vmb_video_pointer_position position = { .visible = 1 };

	send(v, VMB_VIDEO_POINTER_POSITION, &position, sizeof(position));
}

static void send_shape(struct vmb_guest_video *v)
{
	const struct hidden_pointer pointer = {
		.shape = { .part = VMB_VIDEO_POINTER_LAST, .argb = 1, .width = 1, .height = 1 },
	};

	send(v, VMB_VIDEO_POINTER_SHAPE, &pointer, sizeof(pointer));
}

static void send_situation(struct vmb_guest_video *v)
{
	const struct vmb_video_situation s = { .output_count = 1,
					       .active = 1,
					       .offset = v->mode.offset,
					       .depth = v->mode.depth,
					       .width = v->mode.width,
					       .height = v->mode.height,
					       .pitch = v->mode.pitch };

	send(v, VMB_VIDEO_SITUATION, &s, sizeof(s));
}

static void send_dirt(struct vmb_guest_video *v)
{
	struct {
		struct vmb_video_dirt head;
		struct vmb_video_rectangle one;
	} VMB_PACKED m = { .head = { .count = 1 }, .one = v->dirt };

	memset(&v->dirt, 0, sizeof(v->dirt));
	send(v, VMB_VIDEO_DIRT, &m, sizeof(m));
}

/* In the order in which they are sent. */
static const struct {
	uint32_t due;
	void (*send)(struct vmb_guest_video *v);
} senders[] = {
	{ DUE_VERSION, send_version },	 { DUE_RESOLUTIONS, send_resolutions },
	{ DUE_LOCATION, send_location }, { DUE_POSITION, send_position },
	{ DUE_SHAPE, send_shape },	 { DUE_SITUATION, send_situation },
	{ DUE_DIRT, send_dirt },
};

const void *vmb_guest_video_output(struct vmb_guest_video *v, uint32_t *len)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(senders) && !v->output_len; i++) {
		if (!(v->due & senders[i].due))
			continue;
		v->due &= ~senders[i].due;
		senders[i].send(v);
	}
	*len = v->output_len;
	return v->output_len ? v->packet : NULL;
}

void vmb_guest_video_output_done(struct vmb_guest_video *v)
{
	v->output_len = 0;
}

/* Input */

/* The next older version, or none is left. */
static int propose_older(struct vmb_guest_video *v)
{
	if (v->oldest) {
		v->state = VMB_GUEST_VIDEO_SHUT;
		return VMB_GUEST_VIDEO_REFUSED;
	}
	v->oldest = v->version == VMB_VIDEO_VERSION_3_2;
	v->version = v->oldest ? VMB_VIDEO_VERSION_3_0 : VMB_VIDEO_VERSION_3_2;
	v->due |= DUE_VERSION;
	return VMB_GUEST_VIDEO_NOTHING;
}

static int take_version(struct vmb_guest_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_version_response response;

	memcpy(&response, body, sizeof(response));
	if (response.version != v->version)
		return VMB_EPROTO;
	if (!response.accepted)
		return propose_older(v);
	if (v->version < VMB_VIDEO_VERSION_3_5) {
		v->state = VMB_GUEST_VIDEO_READ;
		return VMB_GUEST_VIDEO_READY;
	}
	v->state = VMB_GUEST_VIDEO_RESOLUTIONS;
	v->due |= DUE_RESOLUTIONS;
	return VMB_GUEST_VIDEO_NOTHING;
}

static int take_resolutions(struct vmb_guest_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_resolutions head;

	memcpy(&head, body, sizeof(head));
	if (head.count > VMB_VIDEO_RESOLUTION_MAX || (head.count && head.preferred >= head.count) ||
	    head.count * sizeof(v->resolutions[0]) > len - sizeof(head))
		return VMB_EPROTO;
	memcpy(v->resolutions, body + sizeof(head), head.count * sizeof(v->resolutions[0]));
	v->resolution_count = head.count;
	v->preferred = head.preferred;
	v->state = VMB_GUEST_VIDEO_READ;
	return VMB_GUEST_VIDEO_READY;
}

static int take_location_ack(struct vmb_guest_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_ack ack;

	memcpy(&ack, body, sizeof(ack));
	if (ack.context != v->gpa)
		return VMB_EPROTO;
	v->state = VMB_GUEST_VIDEO_OPEN;
	return VMB_GUEST_VIDEO_PLACED;
}

static int take_situation_ack(struct vmb_guest_video *v, const uint8_t *body, uint32_t len)
{
	return VMB_GUEST_VIDEO_NOTHING;
}

static int take_features(struct vmb_guest_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_features features;

	memcpy(&features, body, sizeof(features));
	v->dirt_wanted = features.dirt;
	if (v->shown && features.situation)
		v->due |= DUE_SITUATION;
	if (v->shown && features.shape)
		v->due |= DUE_POSITION | DUE_SHAPE;
	return VMB_GUEST_VIDEO_FEATURES;
}

/* What a host may say, and when. */
static const struct row {
	enum vmb_video_type type;
	enum vmb_guest_video_state from, to;
	uint32_t len_min; /* bytes after the headers */
	int (*take)(struct vmb_guest_video *v, const uint8_t *body, uint32_t len);
} rows[] = {
	{ VMB_VIDEO_VERSION_RESPONSE, VMB_GUEST_VIDEO_VERSIONS, VMB_GUEST_VIDEO_VERSIONS,
	  sizeof(struct vmb_video_version_response), take_version },
	{ VMB_VIDEO_RESOLUTIONS_RESPONSE, VMB_GUEST_VIDEO_RESOLUTIONS, VMB_GUEST_VIDEO_RESOLUTIONS,
	  sizeof(struct vmb_video_resolutions), take_resolutions },
	{ VMB_VIDEO_LOCATION_ACK, VMB_GUEST_VIDEO_PLACING, VMB_GUEST_VIDEO_PLACING,
	  sizeof(struct vmb_video_ack), take_location_ack },
	{ VMB_VIDEO_SITUATION_ACK, VMB_GUEST_VIDEO_OPEN, VMB_GUEST_VIDEO_OPEN,
	  sizeof(struct vmb_video_ack), take_situation_ack },
	{ VMB_VIDEO_FEATURES, VMB_GUEST_VIDEO_READ, VMB_GUEST_VIDEO_OPEN,
	  sizeof(struct vmb_video_features), take_features },
};

static int judge(struct vmb_guest_video *v, const uint8_t *payload, uint32_t len)
{
	struct vmb_video_header header;
	struct vmb_pipe_header pipe;

	if (len < VMB_VIDEO_HEAD_LEN)
		return VMB_EPROTO;
	memcpy(&pipe, payload, sizeof(pipe));
	memcpy(&header, payload + sizeof(pipe), sizeof(header));
	if (pipe.type != VMB_PIPE_DATA || pipe.len < sizeof(header) ||
	    pipe.len > len - sizeof(pipe))
		return VMB_EPROTO;
	len = pipe.len - sizeof(header);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];

		if (row->type == header.type && len >= row->len_min && v->state >= row->from &&
		    v->state <= row->to)
			return row->take(v, payload + VMB_VIDEO_HEAD_LEN, len);
	}
	return VMB_EPROTO;
}

int vmb_guest_video_input(struct vmb_guest_video *v, const void *payload, uint32_t len)
{
	int step = judge(v, payload, len);

	v->dropped += step == VMB_EPROTO;
	return step;
}

/* What the caller wants */

int vmb_guest_video_place(struct vmb_guest_video *v, uint64_t gpa)
{
	if (v->state != VMB_GUEST_VIDEO_READ && v->state != VMB_GUEST_VIDEO_OPEN)
		return VMB_EAGAIN;
	v->gpa = gpa;
	v->state = VMB_GUEST_VIDEO_PLACING;
	v->due |= DUE_LOCATION;
	return 0;
}

int vmb_guest_video_show(struct vmb_guest_video *v, const struct vmb_guest_video_mode *mode)
{
	if (v->state != VMB_GUEST_VIDEO_OPEN)
		return VMB_EAGAIN;
	v->mode = *mode;
	v->shown = true;
	memset(&v->dirt, 0, sizeof(v->dirt));
	v->due &= ~DUE_DIRT;
	v->due |= DUE_POSITION | DUE_SHAPE | DUE_SITUATION;
	return 0;
}

static int32_t lower(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

static int32_t higher(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

void vmb_guest_video_dirt(struct vmb_guest_video *v, const struct vmb_video_rectangle *r)
{
	if (!v->shown || !v->dirt_wanted || r->left >= r->right || r->top >= r->bottom)
		return;
	if (!(v->due & DUE_DIRT)) {
		v->dirt = *r;
		v->due |= DUE_DIRT;
		return;
	}
	v->dirt.left = lower(v->dirt.left, r->left);
	v->dirt.top = lower(v->dirt.top, r->top);
	v->dirt.right = higher(v->dirt.right, r->right);
	v->dirt.bottom = higher(v->dirt.bottom, r->bottom);
}
