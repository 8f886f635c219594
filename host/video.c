// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Judges what a guest says about its picture: a table of messages by state. What passes here is
 * within the video memory, so whoever reads the picture need not look again.
 */
#include "host/video.h"

/* The newest version of a host of that generation. */
static uint32_t newest(uint32_t bus_version)
{
	if (bus_version < VMB_VERSION_2_4)
		return VMB_VIDEO_VERSION_3_0;
	return bus_version < VMB_VERSION_4_0 ? VMB_VIDEO_VERSION_3_2 : VMB_VIDEO_VERSION_3_5;
}

static bool accepts(const struct vmb_host_video *v, uint32_t version)
{
	uint32_t most = newest(v->config.bus_version);

	return VMB_VIDEO_MAJOR(version) == VMB_VIDEO_MAJOR(most) &&
	       VMB_VIDEO_MINOR(version) <= VMB_VIDEO_MINOR(most);
}

void vmb_host_video_init(struct vmb_host_video *v, const struct vmb_host_video_config *config)
{
	memset(v, 0, sizeof(*v));
	v->config = *config;
}

void vmb_host_video_reset(struct vmb_host_video *v)
{
	v->state = VMB_HOST_VIDEO_VERSIONS;
	v->version = v->output_len = 0;
	v->features_due = false;
	memset(&v->mode, 0, sizeof(v->mode));
}

/* Output */

static void send(struct vmb_host_video *v, enum vmb_video_type type, const void *body, uint32_t len)
{
	const struct vmb_video_header header = { type, (uint32_t)sizeof(header) + len };
	const struct vmb_pipe_header pipe = { VMB_PIPE_DATA, header.len };

	memcpy(v->packet, &pipe, sizeof(pipe));
	memcpy(v->packet + sizeof(pipe), &header, sizeof(header));
	memcpy(v->packet + VMB_VIDEO_HEAD_LEN, body, len);
	v->output_len = VMB_VIDEO_HEAD_LEN + len;
}

static void send_features(struct vmb_host_video *v)
{
	const struct vmb_video_features features = {
		.dirt = v->want_dirt, .position = 1, .shape = 1, .situation = 1
	};

	v->features_due = false;
	send(v, VMB_VIDEO_FEATURES, &features, sizeof(features));
}

const void *vmb_host_video_output(struct vmb_host_video *v, uint32_t *len)
{
	if (!v->output_len && v->features_due)
		send_features(v);
	*len = v->output_len;
	return v->output_len ? v->packet : NULL;
}

void vmb_host_video_output_done(struct vmb_host_video *v)
{
	v->output_len = 0;
}

void vmb_host_video_want(struct vmb_host_video *v, bool dirt)
{
	if (v->want_dirt != dirt && v->mode.active)
		v->features_due = true;
	v->want_dirt = dirt;
}

/* Input */

static int take_version(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_version_response response = { .output_max = 1 };

	memcpy(&response.version, body, sizeof(response.version));
	response.accepted = accepts(v, response.version);
	if (response.accepted) {
		v->version = response.version;
		v->state = VMB_HOST_VIDEO_OPEN;
	}
	send(v, VMB_VIDEO_VERSION_RESPONSE, &response, sizeof(response));
	return VMB_HOST_VIDEO_NOTHING;
}

static int take_location(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_location location;
	struct vmb_video_ack ack;

	memcpy(&location, body, sizeof(location));
	v->location.specified = location.gpa_specified;
	v->location.gpa = location.gpa_specified ? location.gpa : 0;
	v->state = VMB_HOST_VIDEO_PLACED;
	ack.context = location.context;
	send(v, VMB_VIDEO_LOCATION_ACK, &ack, sizeof(ack));
	return VMB_HOST_VIDEO_LOCATION;
}

static bool fits(const struct vmb_host_video *v, const struct vmb_host_video_mode *m)
{
	uint64_t end = (uint64_t)m->pitch * m->height + m->offset;

	return (m->depth == 16 || m->depth == 32) && m->width && m->height &&
	       m->width <= VMB_HOST_VIDEO_SIDE_MAX && m->height <= VMB_HOST_VIDEO_SIDE_MAX &&
	       m->width * (m->depth / 8) <= m->pitch && end <= v->config.memory_len;
}

static int take_situation(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_host_video_mode mode = { .active = false };
	struct vmb_video_situation s;
	struct vmb_video_ack ack;

	memcpy(&s, body, sizeof(s));
	if (s.output_count > 1)
		return VMB_EPROTO;
	if (s.output_count && s.active)
		mode = (struct vmb_host_video_mode){ .active = true,
						     .offset = s.offset,
						     .pitch = s.pitch,
						     .depth = s.depth,
						     .width = s.width,
						     .height = s.height };
	if (mode.active && !fits(v, &mode))
		return VMB_EPROTO;
	v->features_due |= mode.active && !v->mode.active;
	v->mode = mode;
	v->situations++;
	ack.context = s.context;
	send(v, VMB_VIDEO_SITUATION_ACK, &ack, sizeof(ack));
	return VMB_HOST_VIDEO_SITUATION;
}

static int take_pointer_position(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	return VMB_HOST_VIDEO_NOTHING;
}

/* The shape is not shown, so all that matters is that it is no longer than it may be. */
static int take_pointer_shape(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_pointer_shape shape;

	memcpy(&shape, body, sizeof(shape));
	if (shape.width > VMB_VIDEO_POINTER_SIDE_MAX || shape.height > VMB_VIDEO_POINTER_SIDE_MAX ||
	    len - sizeof(shape) > VMB_VIDEO_POINTER_PART_MAX)
		return VMB_EPROTO;
	return VMB_HOST_VIDEO_NOTHING;
}

static int32_t clamp(int32_t at, uint32_t most)
{
	if (at < 0)
		return 0;
	return (uint32_t)at < most ? at : (int32_t)most;
}

/* Makes all a rectangle that contains one as well. */
static void include(struct vmb_video_rectangle *all, const struct vmb_video_rectangle *one)
{
	if (one->left >= one->right || one->top >= one->bottom)
		return;
	if (all->left >= all->right) {
		*all = *one;
		return;
	}
	all->left = one->left < all->left ? one->left : all->left;
	all->top = one->top < all->top ? one->top : all->top;
	all->right = one->right > all->right ? one->right : all->right;
	all->bottom = one->bottom > all->bottom ? one->bottom : all->bottom;
}

static int take_dirt(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	struct vmb_video_rectangle all = { 0 }, one;
	struct vmb_video_dirt dirt;

	memcpy(&dirt, body, sizeof(dirt));
	if (dirt.count * sizeof(one) > len - sizeof(dirt))
		return VMB_EPROTO;
	for (uint32_t i = 0; i < dirt.count; i++) {
		memcpy(&one, body + sizeof(dirt) + i * sizeof(one), sizeof(one));
		one.left = clamp(one.left, v->mode.width);
		one.right = clamp(one.right, v->mode.width);
		one.top = clamp(one.top, v->mode.height);
		one.bottom = clamp(one.bottom, v->mode.height);
		include(&all, &one);
	}
	v->dirts++;
	v->dirt = all;
	return all.left < all.right ? VMB_HOST_VIDEO_DIRT : VMB_HOST_VIDEO_NOTHING;
}

static int take_bios(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	const struct vmb_video_bios bios = { .stop_supported = 0 };

	send(v, VMB_VIDEO_BIOS_RESPONSE, &bios, sizeof(bios));
	return VMB_HOST_VIDEO_NOTHING;
}

/* Without an EDID: it describes a monitor, and there is none. */
static int take_resolutions(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	const struct vmb_host_video_config *c = &v->config;
	struct {
		struct vmb_video_resolutions head;
		struct vmb_video_resolution all[VMB_VIDEO_RESOLUTION_MAX];
	} VMB_PACKED m = { .head = { .count = c->resolution_count, .preferred = c->preferred } };

	if (VMB_VIDEO_MINOR(v->version) < VMB_VIDEO_MINOR(VMB_VIDEO_VERSION_3_5))
		return VMB_EPROTO;
	if (m.head.count > body[0])
		m.head.count = body[0];
	if (m.head.preferred >= m.head.count)
		m.head.preferred = 0;
	memcpy(m.all, c->resolutions, m.head.count * sizeof(m.all[0]));
	send(v, VMB_VIDEO_RESOLUTIONS_RESPONSE, &m,
	     sizeof(m.head) + m.head.count * sizeof(m.all[0]));
	return VMB_HOST_VIDEO_NOTHING;
}

static int take_capabilities(struct vmb_host_video *v, const uint8_t *body, uint32_t len)
{
	const struct vmb_video_capabilities capabilities = { .lock_on_disconnect = 0 };

	send(v, VMB_VIDEO_CAPABILITIES_RESPONSE, &capabilities, sizeof(capabilities));
	return VMB_HOST_VIDEO_NOTHING;
}

/* What a guest may say, and when: from that state on. */
static const struct row {
	enum vmb_video_type type;
	enum vmb_host_video_state from, to;
	uint32_t len_min; /* bytes after the headers */
	int (*take)(struct vmb_host_video *v, const uint8_t *body, uint32_t len);
} rows[] = {
	{ VMB_VIDEO_VERSION_REQUEST, VMB_HOST_VIDEO_VERSIONS, VMB_HOST_VIDEO_VERSIONS,
	  sizeof(uint32_t), take_version },
	{ VMB_VIDEO_LOCATION, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED,
	  sizeof(struct vmb_video_location), take_location },
	{ VMB_VIDEO_SITUATION, VMB_HOST_VIDEO_PLACED, VMB_HOST_VIDEO_PLACED,
	  sizeof(struct vmb_video_situation), take_situation },
	{ VMB_VIDEO_POINTER_POSITION, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED,
	  sizeof(struct vmb_video_pointer_position), take_pointer_position },
	{ VMB_VIDEO_POINTER_SHAPE, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED,
	  sizeof(struct vmb_video_pointer_shape), take_pointer_shape },
	{ VMB_VIDEO_DIRT, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED, sizeof(struct vmb_video_dirt),
	  take_dirt },
	{ VMB_VIDEO_BIOS_REQUEST, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED, 0, take_bios },
	{ VMB_VIDEO_RESOLUTIONS_REQUEST, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED,
	  sizeof(uint8_t), take_resolutions },
	{ VMB_VIDEO_CAPABILITIES_REQUEST, VMB_HOST_VIDEO_OPEN, VMB_HOST_VIDEO_PLACED, 0,
	  take_capabilities },
};

static int judge(struct vmb_host_video *v, const uint8_t *payload, uint32_t len)
{
	struct vmb_video_header header;
	struct vmb_pipe_header pipe;

	if (v->output_len || len < VMB_VIDEO_HEAD_LEN || len > VMB_VIDEO_PACKET_LEN_MAX)
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

int vmb_host_video_input(struct vmb_host_video *v, const void *payload, uint32_t len)
{
	int step = judge(v, payload, len);

	if (step == VMB_EPROTO) {
		v->state = VMB_HOST_VIDEO_IDLE;
		v->output_len = 0;
		v->features_due = false;
	}
	return step;
}
