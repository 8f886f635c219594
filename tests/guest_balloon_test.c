// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a guest's dynamic memory, written out from docs/protocol/integration.md, and what it
 * lets a host say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/balloon.h"

#define CAPS (VMB_BALLOON_CAP_BALLOON | VMB_BALLOON_CAP_ADD | 7u << VMB_BALLOON_CAP_ALIGN_SHIFT)

static struct vmb_guest_balloon g;

static const uint8_t *expect_output(uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_guest_balloon_output(&g, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	vmb_guest_balloon_output_done(&g);
	return packet;
}

static void expect_silence(void)
{
	uint32_t len;

	assert_null(vmb_guest_balloon_output(&g, &len));
}

static int answer(uint8_t type, bool accepted)
{
	const uint8_t packet[16] = { type, 0, 16, 0, [8] = accepted };

	return vmb_guest_balloon_input(&g, packet, sizeof(packet));
}

static void open_one(void)
{
	vmb_guest_balloon_init(&g, CAPS);
	expect_output(16);
	assert_int_equal(answer(2, true), VMB_GUEST_BALLOON_NOTHING);
	expect_output(32);
	assert_int_equal(answer(4, true), VMB_GUEST_BALLOON_READY);
	expect_silence();
}

static int ask(uint16_t pages)
{
	const uint8_t packet[16] = { 6, 0, 16, 0, [8] = (uint8_t)pages, (uint8_t)(pages >> 8) };

	return vmb_guest_balloon_input(&g, packet, sizeof(packet));
}

static void test_the_newest_version_is_proposed_first_and_the_last_says_so(void **state)
{
	static const uint8_t newest[] = { 1, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0 };
	static const uint8_t second[] = { 1, 0, 16, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0 };
	static const uint8_t oldest[] = { 1, 0, 16, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0 };

	vmb_guest_balloon_init(&g, CAPS);
	assert_memory_equal(expect_output(16), newest, sizeof(newest));
	assert_int_equal(answer(2, false), VMB_GUEST_BALLOON_NOTHING);
	assert_memory_equal(expect_output(16), second, sizeof(second));
	assert_int_equal(answer(2, false), VMB_GUEST_BALLOON_NOTHING);
	assert_memory_equal(expect_output(16), oldest, sizeof(oldest));
	assert_int_equal(answer(2, false), VMB_GUEST_BALLOON_REFUSED);
	expect_silence();
	assert_int_equal(answer(2, true), VMB_EPROTO);
}

static void test_capabilities_follow_an_accepted_version(void **state)
{
	static const uint8_t caps[] = {
		3, 0, 32, 0, 2, 0, 0, 0, 0x1F, 0,    0,	   0,	 0,    0,    0,	   0,
		0, 0, 0,  0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	};

	vmb_guest_balloon_init(&g, CAPS);
	assert_int_equal(answer(2, true), VMB_EPROTO); /* before it was proposed */
	expect_output(16);
	assert_int_equal(answer(2, true), VMB_GUEST_BALLOON_NOTHING);
	assert_memory_equal(expect_output(32), caps, sizeof(caps));
	assert_int_equal(answer(4, false), VMB_GUEST_BALLOON_REFUSED);
	assert_int_equal(ask(512), VMB_EPROTO);
}

static void test_pages_are_given_in_messages_that_say_whether_more_follow(void **state)
{
	static const uint8_t first[] = { 7, 0, 24, 0, 3, 0, 0, 0, 0, 0, 0, 0,
					 3, 0, 0,  0, 0, 2, 0, 0, 0, 0, 2, 0 };
	static const uint8_t last[] = { 7, 0, 16, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

	open_one();
	assert_int_equal(ask(1024), VMB_GUEST_BALLOON_ASKED);
	assert_int_equal(g.wanted, 1024);
	assert_int_equal(ask(1024), VMB_EPROTO); /* busy */
	assert_int_equal(g.dropped, 1);
	vmb_guest_balloon_flush(&g);
	expect_silence();
	assert_int_equal(vmb_guest_balloon_range(&g, 0x200, 0x200), 0);
	vmb_guest_balloon_flush(&g);
	assert_int_equal(vmb_guest_balloon_range(&g, 0x400, 0x200), VMB_EAGAIN);
	assert_int_equal(vmb_guest_balloon_given(&g), VMB_EAGAIN);
	assert_memory_equal(expect_output(24), first, sizeof(first));
	assert_int_equal(vmb_guest_balloon_given(&g), 0);
	assert_memory_equal(expect_output(16), last, sizeof(last));
	assert_int_equal(ask(512), VMB_GUEST_BALLOON_ASKED);
}

static void test_a_full_message_has_4096_bytes(void **state)
{
	uint32_t count = 0;

	open_one();
	assert_int_equal(ask(1024), VMB_GUEST_BALLOON_ASKED);
	while (!vmb_guest_balloon_range(&g, 0x1000 + 2 * count, 1))
		count++;
	assert_int_equal(count, VMB_BALLOON_RANGE_MAX);
	vmb_guest_balloon_flush(&g);
	expect_output(4096);
	assert_int_equal(vmb_guest_balloon_range(&g, 0x200, 1), 0);
	assert_int_equal(vmb_guest_balloon_given(&g), 0);
	expect_output(24);
}

static void test_returned_ranges_are_answered_after_the_last(void **state)
{
	uint8_t packet[24] = { 8, 0, 24, 0, [8] = 1, [12] = 1, [17] = 2, [21] = 2 };

	open_one();
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)),
			 VMB_GUEST_BALLOON_RETURNED);
	assert_int_equal(g.range_count, 1);
	assert_int_equal(VMB_BALLOON_RANGE_FIRST(g.ranges[0]), 0x200);
	assert_int_equal(VMB_BALLOON_RANGE_COUNT(g.ranges[0]), 2);
	vmb_guest_balloon_taken(&g);
	expect_silence();
	packet[8] = 0;
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)),
			 VMB_GUEST_BALLOON_RETURNED);
	vmb_guest_balloon_taken(&g);
	assert_int_equal(expect_output(8)[0], 9);
	packet[12] = 2; /* more than there are */
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)), VMB_EPROTO);
	packet[12] = 1;
	packet[21] = 0; /* an empty one */
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)), VMB_EPROTO);
}

static void test_new_memory_with_and_without_a_region(void **state)
{
	static const uint8_t yes[] = { 11, 0, 16, 0, 3, 0, 0, 0, 0, 0x80, 0, 0, 1, 0, 0, 0 };
	static const uint8_t later[] = { 11, 0, 16, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t packet[24] = { 10, 0, 24, 0, [10] = 0x10, [14] = 0x80, [18] = 0x10, [23] = 4 };

	open_one();
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)),
			 VMB_GUEST_BALLOON_ADD);
	assert_int_equal(g.add_first, 0x100000);
	assert_int_equal(g.add_count, 0x8000);
	assert_int_equal(g.region_first, 0x100000);
	assert_int_equal(g.region_count, 0x40000);
	vmb_guest_balloon_added(&g, 0x8000, false);
	assert_memory_equal(expect_output(16), yes, sizeof(yes));
	packet[2] = 16;
	assert_int_equal(vmb_guest_balloon_input(&g, packet, 16), VMB_GUEST_BALLOON_ADD);
	assert_int_equal(g.region_count, 0);
	vmb_guest_balloon_added(&g, 0, false);
	assert_memory_equal(expect_output(16), later, sizeof(later));
}

static void test_a_guest_without_a_capability_is_not_asked(void **state)
{
	const uint8_t packet[16] = { 10, 0, 16, 0, [10] = 0x10, [14] = 0x80 };

	open_one();
	g.caps = 0;
	assert_int_equal(ask(512), VMB_EPROTO);
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)), VMB_EPROTO);
}

static void test_a_report_has_the_numbers_and_waits_for_its_turn(void **state)
{
	const struct vmb_balloon_status status = { .available = 7, .committed = 9 };
	const uint8_t *packet;

	vmb_guest_balloon_init(&g, CAPS);
	assert_int_equal(vmb_guest_balloon_report(&g, &status), VMB_EAGAIN);
	open_one();
	assert_int_equal(vmb_guest_balloon_report(&g, &status), 0);
	packet = expect_output(48);
	assert_int_equal(packet[0], 5);
	assert_int_equal(packet[2], 48);
	assert_int_equal(packet[8], 7);
	assert_int_equal(packet[16], 9);
	assert_int_equal(ask(512), VMB_GUEST_BALLOON_ASKED);
	assert_int_equal(vmb_guest_balloon_range(&g, 0x200, 1), 0);
	assert_int_equal(vmb_guest_balloon_report(&g, &status), VMB_EAGAIN);
}

static void test_the_most_that_the_machine_can_have(void **state)
{
	const uint8_t packet[32] = { 12, 0, 32, 0, [12] = 16, [20] = 8, [24] = 5 };

	open_one();
	assert_int_equal(vmb_guest_balloon_input(&g, packet, sizeof(packet)),
			 VMB_GUEST_BALLOON_NOTHING);
	assert_int_equal(g.page_max, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_newest_version_is_proposed_first_and_the_last_says_so),
		cmocka_unit_test(test_capabilities_follow_an_accepted_version),
		cmocka_unit_test(test_pages_are_given_in_messages_that_say_whether_more_follow),
		cmocka_unit_test(test_a_full_message_has_4096_bytes),
		cmocka_unit_test(test_returned_ranges_are_answered_after_the_last),
		cmocka_unit_test(test_new_memory_with_and_without_a_region),
		cmocka_unit_test(test_a_guest_without_a_capability_is_not_asked),
		cmocka_unit_test(test_a_report_has_the_numbers_and_waits_for_its_turn),
		cmocka_unit_test(test_the_most_that_the_machine_can_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
