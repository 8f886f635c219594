// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's video against any guest: a picture is within the video memory, what changed is within
 * the picture, and an answer fits a message.
 */
#include "fuzz/fuzz.h"
#include "host/video.h"

#define MEMORY_LEN (8u << 20)

static const struct vmb_video_resolution resolutions[] = { { 640, 480 }, { 1024, 768 } };
static struct vmb_host_video v;

/* A message that mostly fits the state. */
static void shape(struct fuzz *f, uint8_t *packet, uint32_t len)
{
	static const uint8_t types[] = { 1, 3, 5, 5, 7, 8, 10, 10, 11, 13, 15 };
	const struct vmb_pipe_header pipe = { VMB_PIPE_DATA, len - sizeof(pipe) };
	uint8_t how = fuzz_u8(f);

	if (len < VMB_VIDEO_HEAD_LEN || (how & 0xF0) == 0xF0)
		return;
	memcpy(packet, &pipe, sizeof(pipe));
	memset(packet + 8, 0, 4);
	packet[8] = types[how % sizeof(types)];
	if (v.state == VMB_HOST_VIDEO_VERSIONS)
		packet[8] = 1;
	if (packet[8] == 1 && len >= 20)
		memcpy(packet + 16, "\3\0\5\0", 4);
	if (packet[8] == 5 && len >= 43 && how & 0x80) {
		packet[24] = packet[25] = 1;
		packet[30] = how & 0x40 ? 32 : 16;
		packet[33] = packet[34] = packet[37] = packet[38] = packet[41] = packet[42] = 0;
	}
}

static void check(int step)
{
	const struct vmb_host_video_mode *m = &v.mode;

	FUZZ_CHECK((step < 0) == (v.state == VMB_HOST_VIDEO_IDLE));
	if (m->active) {
		FUZZ_CHECK(m->width && m->height && m->width <= VMB_HOST_VIDEO_SIDE_MAX);
		FUZZ_CHECK((uint64_t)m->width * (m->depth / 8) <= m->pitch);
		FUZZ_CHECK((uint64_t)m->pitch * m->height + m->offset <= MEMORY_LEN);
	}
	if (step == VMB_HOST_VIDEO_DIRT) {
		FUZZ_CHECK(v.dirt.left >= 0 && v.dirt.left < v.dirt.right);
		FUZZ_CHECK(v.dirt.top >= 0 && v.dirt.top < v.dirt.bottom);
		FUZZ_CHECK((uint32_t)v.dirt.right <= m->width);
		FUZZ_CHECK((uint32_t)v.dirt.bottom <= m->height);
	}
}

static void say(struct fuzz *f)
{
	uint32_t len = fuzz_u8(f) & 7 ? fuzz_u8(f) % 96 : fuzz_u16(f) % 9000;
	uint8_t *packet = fuzz_exact(f, len);

	shape(f, packet, len);
	check(vmb_host_video_input(&v, packet, len));
	free(packet);
}

static void take_output(void)
{
	struct vmb_pipe_header pipe;
	uint32_t len;
	const void *packet = vmb_host_video_output(&v, &len);

	if (!packet)
		return;
	FUZZ_CHECK(len >= VMB_VIDEO_HEAD_LEN && len <= VMB_VIDEO_HOST_LEN_MAX);
	memcpy(&pipe, packet, sizeof(pipe));
	FUZZ_CHECK(pipe.type == VMB_PIPE_DATA && pipe.len + sizeof(pipe) == len);
	vmb_host_video_output_done(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct vmb_host_video_config config = { .bus_version = VMB_VERSION_NEWEST,
						      .memory_len = MEMORY_LEN,
						      .resolutions = resolutions,
						      .resolution_count = 2,
						      .preferred = 1 };
	struct fuzz f = { data, len };

	vmb_host_video_init(&v, &config);
	vmb_host_video_reset(&v);
	while (f.len) {
		switch (fuzz_u8(&f) % 16) {
		case 0: vmb_host_video_want(&v, fuzz_u8(&f) & 1); break;
		case 1:
			if (fuzz_u8(&f) == 0)
				vmb_host_video_reset(&v);
			break;
		default:
			say(&f);
			take_output();
			break;
		}
	}
	return 0;
}
