// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a host's video, written out from docs/protocol/integration.md, and what it takes
 * from a guest: nothing out of order, no picture that is not within the video memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/video.h"

#define MEMORY (8u << 20)

static struct vmb_host_video v;
static const struct vmb_video_resolution resolutions[] = { { 640, 480 }, { 1024, 768 } };

static void begin_for(uint32_t bus_version)
{
	const struct vmb_host_video_config config = { .bus_version = bus_version,
						      .memory_len = MEMORY,
						      .resolutions = resolutions,
						      .resolution_count = 2,
						      .preferred = 1 };

	vmb_host_video_init(&v, &config);
	vmb_host_video_reset(&v);
}

/* A message with its two headers. */
static int say(uint8_t type, const void *body, uint32_t len)
{
	uint8_t packet[512] = { 1, 0, 0, 0, (uint8_t)(len + 8), 0, 0, 0, type, 0, 0, 0, 8 };

	assert_true(len + 8 < 256);
	memcpy(packet + 16, body, len);
	return vmb_host_video_input(&v, packet, 16 + len);
}

/* Returns what is behind the headers. */
static const uint8_t *expect_output(uint8_t type, uint32_t body_len)
{
	const uint32_t said = body_len + 8;
	uint32_t len;
	const uint8_t *packet = vmb_host_video_output(&v, &len);

	assert_non_null(packet);
	assert_int_equal(len, body_len + 16);
	assert_int_equal(packet[0], 1); /* a pipe's data */
	assert_memory_equal(packet + 4, &said, 4);
	assert_int_equal(packet[8], type);
	assert_ptr_equal(vmb_host_video_output(&v, &len), packet); /* a look does not take it */
	vmb_host_video_output_done(&v);
	return packet + 16;
}

static void expect_silence(void)
{
	uint32_t len;

	assert_null(vmb_host_video_output(&v, &len));
}

static bool propose(uint16_t major, uint16_t minor)
{
	const uint8_t body[4] = { (uint8_t)major, 0, (uint8_t)minor, 0 };
	const uint8_t *answer;

	assert_int_equal(say(1, body, sizeof(body)), VMB_HOST_VIDEO_NOTHING);
	answer = expect_output(2, 6);
	assert_memory_equal(answer, body, 4);
	assert_int_equal(answer[5], 1); /* one output */
	return answer[4];
}

static const uint8_t location[17] = { 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0x10, 0xF8 };

static int situate(uint32_t offset, uint8_t depth, uint32_t width, uint32_t height, uint32_t pitch)
{
	uint8_t body[27] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 1 };

	memcpy(body + 10, &offset, 4);
	body[14] = depth;
	memcpy(body + 15, &width, 4);
	memcpy(body + 19, &height, 4);
	memcpy(body + 23, &pitch, 4);
	return say(5, body, sizeof(body));
}

static void place(void)
{
	begin_for(VMB_VERSION_NEWEST);
	assert_true(propose(3, 5));
	assert_int_equal(say(3, location, sizeof(location)), VMB_HOST_VIDEO_LOCATION);
	assert_memory_equal(expect_output(4, 8), location, 8);
}

static void show(void)
{
	place();
	assert_int_equal(situate(0, 32, 1024, 768, 4096), VMB_HOST_VIDEO_SITUATION);
	expect_output(6, 8);
	expect_output(9, 4);
}

static void test_each_generation_has_its_newest_version(void **state)
{
	begin_for(VMB_VERSION_1_1);
	assert_false(propose(3, 5));
	assert_false(propose(3, 2));
	assert_true(propose(3, 0));
	begin_for(VMB_VERSION_3_0);
	assert_false(propose(3, 5));
	assert_true(propose(3, 2));
	begin_for(VMB_VERSION_4_0);
	assert_false(propose(4, 0));
	assert_false(propose(2, 5));
	assert_true(propose(3, 5));
}

static void test_resolutions_are_told_as_many_as_the_guest_takes(void **state)
{
	const uint8_t many = 64, one = 1;
	const uint8_t *answer;

	place();
	assert_int_equal(say(13, &many, 1), VMB_HOST_VIDEO_NOTHING);
	answer = expect_output(14, 131 + 8);
	assert_int_equal(answer[128], 2);
	assert_int_equal(answer[129], 1);
	assert_memory_equal(answer + 131, ((uint8_t[]){ 0x80, 2, 0xE0, 1, 0, 4, 0, 3 }), 8);
	assert_int_equal(say(13, &one, 1), VMB_HOST_VIDEO_NOTHING);
	answer = expect_output(14, 131 + 4);
	assert_int_equal(answer[128], 1);
	assert_int_equal(answer[129], 0);
}

static void test_an_old_version_has_no_resolutions(void **state)
{
	const uint8_t many = 64;

	begin_for(VMB_VERSION_NEWEST);
	assert_true(propose(3, 2));
	assert_int_equal(say(13, &many, 1), VMB_EPROTO);
}

static void test_the_place_and_the_form_of_a_picture_are_taken(void **state)
{
	show();
	assert_true(v.location.specified);
	assert_int_equal(v.location.gpa, 0xF8100000);
	assert_true(v.mode.active);
	assert_int_equal(v.mode.width, 1024);
	assert_int_equal(v.mode.height, 768);
	assert_int_equal(v.mode.pitch, 4096);
	assert_int_equal(v.mode.depth, 32);
	expect_silence();
}

static void test_the_guest_is_told_when_somebody_watches(void **state)
{
	const uint8_t *answer;

	place();
	vmb_host_video_want(&v, true);
	expect_silence(); /* there is no picture yet */
	assert_int_equal(situate(0, 32, 640, 480, 2560), VMB_HOST_VIDEO_SITUATION);
	expect_output(6, 8);
	answer = expect_output(9, 4);
	assert_memory_equal(answer, ((uint8_t[]){ 1, 1, 1, 1 }), 4);
	vmb_host_video_want(&v, true);
	expect_silence();
	vmb_host_video_want(&v, false);
	assert_int_equal(expect_output(9, 4)[0], 0);
}

static void test_a_picture_must_be_within_the_memory(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t depth;
		uint32_t width, height, pitch;
		bool fits;
	} all[] = {
		{ 0, 32, 1920, 1080, 7680, true },
		{ MEMORY - 4, 32, 1, 1, 4, true },
		{ 0, 16, 1920, 1080, 3840, true },
		{ 0, 16, 640, 480, 1279, false },
		{ MEMORY - 3, 32, 1, 1, 4, false },
		{ 4, 32, 1024, 2048, 4096, false },
		{ 0, 32, 1024, 768, 4095, false },
		{ 0, 24, 640, 480, 2560, false },
		{ 0, 32, 0, 480, 2560, false },
		{ 0, 32, 640, 0, 2560, false },
		{ 0, 16, 8193, 1, 20000, false },
		{ 0, 16, 1, 8193, 2, false },
		{ 0xFFFFFFFF, 32, 1, 1, 4, false },
		{ 0, 32, 2, 8192, 0x80000000, false }, /* 2^44 in all: 0 in 32 bits */
		{ 0, 32, 0x40000001, 1, 4, false }, /* times 4 it is 4 in 32 bits */
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		place();
		assert_int_equal(situate(all[i].offset, all[i].depth, all[i].width, all[i].height,
					 all[i].pitch),
				 all[i].fits ? VMB_HOST_VIDEO_SITUATION : VMB_EPROTO);
	}
}

static void test_a_picture_that_ends_is_none(void **state)
{
	const uint8_t inactive[27] = { [8] = 1 }, two[27] = { [8] = 2, 1 };

	show();
	assert_int_equal(say(5, inactive, sizeof(inactive)), VMB_HOST_VIDEO_SITUATION);
	expect_output(6, 8);
	assert_false(v.mode.active);
	assert_int_equal(say(5, two, sizeof(two)), VMB_EPROTO);
}

static void test_dirt_is_one_rectangle_within_the_picture(void **state)
{
	uint8_t body[2 + 2 * 16] = { 0, 2 };
	const int32_t rectangles[8] = { -5, 10, 20, 30, 1000, 700, INT32_MAX, INT32_MAX };

	show();
	memcpy(body + 2, rectangles, sizeof(rectangles));
	assert_int_equal(say(10, body, sizeof(body)), VMB_HOST_VIDEO_DIRT);
	assert_int_equal(v.dirt.left, 0);
	assert_int_equal(v.dirt.top, 10);
	assert_int_equal(v.dirt.right, 1024);
	assert_int_equal(v.dirt.bottom, 768);
	expect_silence();
}

static void test_dirt_that_is_nowhere_is_none(void **state)
{
	uint8_t body[2 + 16] = { 0, 1 };
	static const int32_t all[][4] = {
		{ 10, 10, 10, 20 },
		{ 10, 20, 20, 10 },
		{ -9, -9, -1, -1 },
		{ 2000, 2000, 3000, 3000 },
		{ INT32_MAX, 0, INT32_MIN, 768 },
	};

	show();
	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		memcpy(body + 2, all[i], sizeof(all[i]));
		assert_int_equal(say(10, body, sizeof(body)), VMB_HOST_VIDEO_NOTHING);
	}
	body[1] = 0;
	assert_int_equal(say(10, body, sizeof(body)), VMB_HOST_VIDEO_NOTHING);
	body[1] = 2; /* of which one is not there */
	assert_int_equal(say(10, body, sizeof(body)), VMB_EPROTO);
}

static void test_the_pointer_has_bounds(void **state)
{
	uint8_t position[10] = { 1 }, shape[18 + 4] = { 255, 1, 1, 0, 0, 0, 1 };

	show();
	assert_int_equal(say(7, position, sizeof(position)), VMB_HOST_VIDEO_NOTHING);
	assert_int_equal(say(8, shape, sizeof(shape)), VMB_HOST_VIDEO_NOTHING);
	expect_silence();
	shape[2] = 97;
	assert_int_equal(say(8, shape, sizeof(shape)), VMB_EPROTO);
}

static void test_what_the_firmware_may_ask_is_answered(void **state)
{
	show();
	assert_int_equal(say(11, "", 0), VMB_HOST_VIDEO_NOTHING);
	expect_output(12, 16);
	assert_int_equal(say(15, "", 0), VMB_HOST_VIDEO_NOTHING);
	expect_output(16, 64);
}

static void test_what_is_out_of_order_ends_it(void **state)
{
	static const uint8_t types[] = { 0, 2, 4, 5, 6, 9, 12, 14, 16, 17, 255 };
	const uint8_t body[64] = { 0 };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		begin_for(VMB_VERSION_NEWEST);
		assert_true(propose(3, 5));
		assert_int_equal(say(types[i], body, sizeof(body)), VMB_EPROTO);
		assert_int_equal(v.state, VMB_HOST_VIDEO_IDLE);
		assert_int_equal(say(1, ((uint8_t[]){ 3, 0, 5, 0 }), 4), VMB_EPROTO);
	}
	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(say(3, location, sizeof(location)), VMB_EPROTO); /* before a version */
	show();
	assert_int_equal(say(1, ((uint8_t[]){ 3, 0, 5, 0 }), 4), VMB_EPROTO); /* a second one */
}

static void test_a_message_that_is_too_short_ends_it(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t len;
	} all[] = { { 3, 16 }, { 5, 26 }, { 7, 9 }, { 8, 17 }, { 10, 1 }, { 13, 0 } };
	const uint8_t body[64] = { 0 };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		show();
		assert_int_equal(say(all[i].type, body, all[i].len), VMB_EPROTO);
	}
}

static void test_a_pipe_that_lies_ends_it(void **state)
{
	static const uint8_t good[20] = {
		1, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 3, 0, 5
	};
	static const struct {
		uint32_t at;
		uint8_t value;
	} all[] = { { 0, 2 }, { 4, 13 }, { 4, 7 }, { 7, 0x80 } };
	uint8_t packet[20];

	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(vmb_host_video_input(&v, good, sizeof(good)), VMB_HOST_VIDEO_NOTHING);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++) {
		begin_for(VMB_VERSION_NEWEST);
		memcpy(packet, good, sizeof(packet));
		packet[all[i].at] = all[i].value;
		assert_int_equal(vmb_host_video_input(&v, packet, sizeof(packet)), VMB_EPROTO);
	}
	for (uint32_t len = 0; len < sizeof(good); len++) {
		begin_for(VMB_VERSION_NEWEST);
		assert_int_equal(vmb_host_video_input(&v, good, len), VMB_EPROTO);
	}
}

static void test_nothing_is_taken_while_an_answer_waits(void **state)
{
	uint32_t len;

	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(say(1, ((uint8_t[]){ 3, 0, 5, 0 }), 4), VMB_HOST_VIDEO_NOTHING);
	assert_non_null(vmb_host_video_output(&v, &len));
	assert_int_equal(say(3, location, sizeof(location)), VMB_EPROTO);
	expect_silence();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_generation_has_its_newest_version),
		cmocka_unit_test(test_resolutions_are_told_as_many_as_the_guest_takes),
		cmocka_unit_test(test_an_old_version_has_no_resolutions),
		cmocka_unit_test(test_the_place_and_the_form_of_a_picture_are_taken),
		cmocka_unit_test(test_the_guest_is_told_when_somebody_watches),
		cmocka_unit_test(test_a_picture_must_be_within_the_memory),
		cmocka_unit_test(test_a_picture_that_ends_is_none),
		cmocka_unit_test(test_dirt_is_one_rectangle_within_the_picture),
		cmocka_unit_test(test_dirt_that_is_nowhere_is_none),
		cmocka_unit_test(test_the_pointer_has_bounds),
		cmocka_unit_test(test_what_the_firmware_may_ask_is_answered),
		cmocka_unit_test(test_what_is_out_of_order_ends_it),
		cmocka_unit_test(test_a_message_that_is_too_short_ends_it),
		cmocka_unit_test(test_a_pipe_that_lies_ends_it),
		cmocka_unit_test(test_nothing_is_taken_while_an_answer_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
