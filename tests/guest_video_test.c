// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a guest's video, written out from docs/protocol/integration.md, and what it believes
 * of a host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/video.h"

static struct vmb_guest_video v;

static int hear(uint8_t type, const void *body, uint32_t len)
{
	uint8_t packet[512] = { 1, 0, 0,   0, (uint8_t)(len + 8), (uint8_t)((len + 8) >> 8),
				0, 0, type };

	memcpy(packet + 16, body, len);
	return vmb_guest_video_input(&v, packet, 16 + len);
}

/* Returns what is behind the headers. */
static const uint8_t *expect(uint8_t type, uint32_t body_len)
{
	uint32_t len;
	const uint8_t *packet = vmb_guest_video_output(&v, &len);

	assert_non_null(packet);
	assert_int_equal(len, body_len + 16);
	assert_int_equal(packet[0], 1);
	assert_int_equal(packet[4], body_len + 8);
	assert_int_equal(packet[8], type);
	assert_int_equal(packet[12], body_len + 8);
	vmb_guest_video_output_done(&v);
	return packet + 16;
}

static void expect_silence(void)
{
	uint32_t len;

	assert_null(vmb_guest_video_output(&v, &len));
}

static int answer_version(uint8_t minor, bool accepted)
{
	const uint8_t body[6] = { 3, 0, minor, 0, accepted, 1 };

	return hear(2, body, sizeof(body));
}

static int tell_resolutions(uint8_t count, uint8_t preferred, uint32_t sent)
{
	uint8_t body[131 + 65 * 4] = { 0 };

	body[128] = count;
	body[129] = preferred;
	body[131] = 0x20;
	body[132] = 3; /* 800 */
	return hear(14, body, 131 + sent * 4);
}

static void get_ready(void)
{
	vmb_guest_video_init(&v, VMB_VERSION_NEWEST);
	assert_memory_equal(expect(1, 4), ((uint8_t[]){ 3, 0, 5, 0 }), 4);
	assert_int_equal(answer_version(5, true), VMB_GUEST_VIDEO_NOTHING);
	assert_int_equal(*expect(13, 1), 64);
	assert_int_equal(tell_resolutions(2, 1, 2), VMB_GUEST_VIDEO_READY);
}

static void place(void)
{
	const uint64_t gpa = 0xF8100000;
	const uint8_t *body;

	get_ready();
	assert_int_equal(vmb_guest_video_place(&v, gpa), 0);
	body = expect(3, 17);
	assert_memory_equal(body, &gpa, 8);
	assert_int_equal(body[8], 1);
	assert_memory_equal(body + 9, &gpa, 8);
	assert_int_equal(hear(4, &gpa, 8), VMB_GUEST_VIDEO_PLACED);
}

static const struct vmb_guest_video_mode mode = {
	.width = 1024, .height = 768, .pitch = 4096, .depth = 32
};

static void expect_pointer(void)
{
	const uint8_t *body = expect(7, 10);

	assert_int_equal(body[0], 1); /* hosts hide none that is not shown */
	body = expect(8, 22);
	assert_int_equal(body[0], 255);
	assert_int_equal(body[2], 1);
	assert_memory_equal(body + 18, "\0\0\0\0", 4); /* it cannot be seen */
}

static void show(void)
{
	static const uint8_t wanted[27] = { [8] = 1, 1, 0, 0, 0, 0, 32, 0, 4,
					    0,	     0, 0, 3, 0, 0, 0,	16 };

	place();
	assert_int_equal(vmb_guest_video_show(&v, &mode), 0);
	expect_pointer();
	assert_memory_equal(expect(5, 27), wanted, 27);
	assert_int_equal(hear(6, wanted, 8), VMB_GUEST_VIDEO_NOTHING);
	expect_silence();
}

static void test_versions_are_proposed_until_one_is_taken(void **state)
{
	vmb_guest_video_init(&v, VMB_VERSION_NEWEST);
	expect(1, 4);
	assert_int_equal(answer_version(5, false), VMB_GUEST_VIDEO_NOTHING);
	assert_int_equal(expect(1, 4)[2], 2);
	assert_int_equal(answer_version(2, false), VMB_GUEST_VIDEO_NOTHING);
	assert_int_equal(expect(1, 4)[2], 0);
	assert_int_equal(answer_version(0, true), VMB_GUEST_VIDEO_READY);
	expect_silence(); /* an old one has no resolutions */
	vmb_guest_video_init(&v, VMB_VERSION_1_1);
	assert_int_equal(expect(1, 4)[2], 0);
	assert_int_equal(answer_version(0, false), VMB_GUEST_VIDEO_REFUSED);
	assert_int_equal(answer_version(0, true), VMB_EPROTO);
	expect_silence();
}

static void test_an_answer_to_another_version_is_none(void **state)
{
	vmb_guest_video_init(&v, VMB_VERSION_NEWEST);
	expect(1, 4);
	assert_int_equal(answer_version(2, true), VMB_EPROTO);
	assert_int_equal(v.dropped, 1);
	assert_int_equal(answer_version(5, true), VMB_GUEST_VIDEO_NOTHING);
}

static void test_resolutions_are_within_their_message(void **state)
{
	vmb_guest_video_init(&v, VMB_VERSION_NEWEST);
	expect(1, 4);
	answer_version(5, true);
	expect(13, 1);
	assert_int_equal(tell_resolutions(65, 0, 65), VMB_EPROTO);
	assert_int_equal(tell_resolutions(2, 2, 2), VMB_EPROTO);
	assert_int_equal(tell_resolutions(3, 0, 2), VMB_EPROTO);
	assert_int_equal(tell_resolutions(0, 0, 0), VMB_GUEST_VIDEO_READY);
	assert_int_equal(v.resolution_count, 0);
	get_ready();
	assert_int_equal(v.resolution_count, 2);
	assert_int_equal(v.preferred, 1);
	assert_int_equal(v.resolutions[0].width, 800);
}

static void test_a_picture_is_placed_and_shown(void **state)
{
	assert_int_equal((vmb_guest_video_init(&v, 0), vmb_guest_video_place(&v, 0)), VMB_EAGAIN);
	assert_int_equal(vmb_guest_video_show(&v, &mode), VMB_EAGAIN);
	show();
	assert_int_equal(vmb_guest_video_place(&v, 0xF9000000), 0); /* and elsewhere */
	expect(3, 17);
	assert_int_equal(hear(4, "\0\0\0\0\0\0\0", 8), VMB_EPROTO); /* another context */
	assert_int_equal(vmb_guest_video_place(&v, 0), VMB_EAGAIN);
}

static void test_what_changes_is_said_only_to_who_wants_it(void **state)
{
	const struct vmb_video_rectangle r = { 5, 6, 7, 8 }, other = { 1, 7, 6, 9 },
					 none = { 5, 5, 5, 5 };
	const uint8_t features[4] = { 1, 1, 1, 1 };
	const uint8_t *body;

	show();
	vmb_guest_video_dirt(&v, &r);
	expect_silence();
	assert_int_equal(hear(9, features, 4), VMB_GUEST_VIDEO_FEATURES);
	assert_true(v.dirt_wanted);
	expect_pointer();
	expect(5, 27);
	vmb_guest_video_dirt(&v, &none);
	expect_silence();
	vmb_guest_video_dirt(&v, &r);
	vmb_guest_video_dirt(&v, &other);
	body = expect(10, 18);
	assert_int_equal(body[1], 1);
	assert_memory_equal(body + 2, ((int32_t[]){ 1, 6, 7, 9 }), 16);
	expect_silence();
	assert_int_equal(hear(9, "\0\0\0", 4), VMB_GUEST_VIDEO_FEATURES);
	vmb_guest_video_dirt(&v, &r);
	expect_silence();
}

static void test_a_host_that_asks_often_is_answered_once(void **state)
{
	const uint8_t features[4] = { 1, 1, 1, 1 };

	show();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(hear(9, features, 4), VMB_GUEST_VIDEO_FEATURES);
	expect_pointer();
	expect(5, 27);
	expect_silence();
}

static void test_nonsense_is_dropped(void **state)
{
	static const uint8_t types[] = { 0, 1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 14, 16, 255 };
	const uint8_t body[200] = { 0 };
	uint8_t packet[28] = { 1, 0, 0, 0, 20, 0, 0, 0, 9 };

	show();
	for (size_t i = 0; i < VMB_ARRAY_COUNT(types); i++)
		assert_int_equal(hear(types[i], body, sizeof(body)), VMB_EPROTO);
	assert_int_equal(hear(9, body, 3), VMB_EPROTO);
	assert_int_equal(vmb_guest_video_input(&v, packet, 28), VMB_GUEST_VIDEO_FEATURES);
	for (uint32_t len = 0; len < 28; len++) /* the pipe's header says more */
		assert_int_equal(vmb_guest_video_input(&v, packet, len), VMB_EPROTO);
	packet[0] = 2;
	assert_int_equal(vmb_guest_video_input(&v, packet, 28), VMB_EPROTO);
	packet[0] = 1;
	packet[4] = 7;
	assert_int_equal(vmb_guest_video_input(&v, packet, 28), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_proposed_until_one_is_taken),
		cmocka_unit_test(test_an_answer_to_another_version_is_none),
		cmocka_unit_test(test_resolutions_are_within_their_message),
		cmocka_unit_test(test_a_picture_is_placed_and_shown),
		cmocka_unit_test(test_what_changes_is_said_only_to_who_wants_it),
		cmocka_unit_test(test_a_host_that_asks_often_is_answered_once),
		cmocka_unit_test(test_nonsense_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
