// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's video against any host: resolutions lie in the packet that brought them, the preferred
 * one is among them, and however often a host asks, what waits to be said stays bounded.
 */
#include "fuzz/fuzz.h"
#include "guest/video.h"

static struct vmb_guest_video v;

static void shape(struct fuzz *f, uint8_t *packet, uint32_t len)
{
	static const uint8_t types[] = { 2, 14, 9, 4, 6, 9 };
	const struct vmb_pipe_header pipe = { VMB_PIPE_DATA, len - sizeof(pipe) };
	uint8_t how = fuzz_u8(f);

	if (len < VMB_VIDEO_HEAD_LEN || (how & 0xF0) == 0xF0)
		return;
	memcpy(packet, &pipe, sizeof(pipe));
	memset(packet + 8, 0, 4);
	packet[8] = types[how & 8 ? v.state % sizeof(types) : how % sizeof(types)];
	if (packet[8] == 2 && len >= 21 && how & 0x40)
		memcpy(packet + 16, &v.version, sizeof(v.version));
	if (packet[8] == 4 && len >= 24 && how & 0x40)
		memcpy(packet + 16, &v.gpa, sizeof(v.gpa));
}

static void say(struct fuzz *f)
{
	uint32_t len = fuzz_u8(f) & 3 ? fuzz_u8(f) % 64 : fuzz_u16(f) % 512;
	uint8_t *packet = fuzz_exact(f, len);
	enum vmb_guest_video_state before = v.state;
	int step;

	shape(f, packet, len);
	step = vmb_guest_video_input(&v, packet, len);
	FUZZ_CHECK(step >= 0 || v.state == before);
	FUZZ_CHECK(step != VMB_GUEST_VIDEO_READY || v.state == VMB_GUEST_VIDEO_READ);
	FUZZ_CHECK(v.resolution_count <= VMB_VIDEO_RESOLUTION_MAX);
	FUZZ_CHECK(!v.resolution_count || v.preferred < v.resolution_count);
	FUZZ_CHECK(!v.resolution_count ||
		   len >= VMB_VIDEO_HEAD_LEN + 131 + v.resolution_count * 4u ||
		   before != VMB_GUEST_VIDEO_RESOLUTIONS || step < 0);
	free(packet);
}

static void take_outputs(void)
{
	uint32_t len, count = 0;

	while (vmb_guest_video_output(&v, &len)) {
		FUZZ_CHECK(len >= VMB_VIDEO_HEAD_LEN && len <= sizeof(v.packet));
		FUZZ_CHECK(++count <= 7);
		vmb_guest_video_output_done(&v);
	}
}

static void act(struct fuzz *f)
{
	const struct vmb_guest_video_mode mode = { .width = 640, .height = 480, .depth = 32 };
	struct vmb_video_rectangle r;

	fuzz_take(f, &r, sizeof(r));
	if (fuzz_u8(f) & 1)
		vmb_guest_video_place(&v, 0xF8000000);
	if (fuzz_u8(f) & 1)
		vmb_guest_video_show(&v, &mode);
	vmb_guest_video_dirt(&v, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t buses[] = { VMB_VERSION_NEWEST, VMB_VERSION_3_0, VMB_VERSION_1_1 };
	struct fuzz f = { data, len };

	vmb_guest_video_init(&v, buses[fuzz_u8(&f) % 3]);
	while (f.len) {
		switch (fuzz_u8(&f) % 8) {
		case 0: act(&f); break;
		case 1:
		case 2: take_outputs(); break;
		default: say(&f); break;
		}
	}
	take_outputs();
	return 0;
}
