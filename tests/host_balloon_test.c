// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a host's dynamic memory, written out from docs/protocol/integration.md, and what it
 * lets a guest give: nothing twice, nothing that is no memory, nothing that it did not ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/balloon.h"

#define MAP_PAGES 0x140000u /* 5 GiB */

static struct vmb_host_balloon b;
static uint32_t map[MAP_PAGES / 32];
/* 1 GiB, a hole, and 1 GiB from 4 GiB on. */
static const struct vmb_host_ram ram[] = { { 0, 0x40000 }, { 0x100000, 0x40000 } };

static void begin_for(uint32_t bus_version)
{
	const struct vmb_host_balloon_config config = { .bus_version = bus_version,
							.ram = ram,
							.ram_count = VMB_ARRAY_COUNT(ram),
							.map = map,
							.map_pages = MAP_PAGES,
							.page_max = 0x123456 };

	memset(map, 0, sizeof(map));
	vmb_host_balloon_init(&b, &config);
	vmb_host_balloon_reset(&b);
}

static const uint8_t *expect_output(uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_host_balloon_output(&b, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	assert_ptr_equal(vmb_host_balloon_output(&b, &len), packet); /* a look does not take it */
	vmb_host_balloon_output_done(&b);
	return packet;
}

static void expect_silence(void)
{
	uint32_t len;

	assert_null(vmb_host_balloon_output(&b, &len));
}

static int propose(uint32_t version)
{
	uint8_t packet[16] = { 1, 0, 16, 0, 1, 0, 0, 0 };

	memcpy(packet + 8, &version, sizeof(version));
	return vmb_host_balloon_input(&b, packet, sizeof(packet));
}

static int tell_caps(uint8_t caps)
{
	const uint8_t packet[32] = { 3, 0, 32, 0, 2, 0, 0, 0, caps };

	return vmb_host_balloon_input(&b, packet, sizeof(packet));
}

/* A guest of today: balloon and hot add in blocks of 128 MiB. */
static void open_one(void)
{
	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(propose(0x20000), VMB_HOST_BALLOON_NOTHING);
	expect_output(16);
	assert_int_equal(tell_caps(0x1F), VMB_HOST_BALLOON_READY);
	expect_output(16);
	expect_output(32);
	expect_silence();
}

static int give(bool more, uint32_t count, const uint64_t *ranges)
{
	uint8_t packet[16 + 8 * 16] = { 7 };
	const uint16_t len = (uint16_t)(16 + 8 * count);
	const uint32_t word = count << 1 | more;

	memcpy(packet + 2, &len, sizeof(len));
	memcpy(packet + 12, &word, sizeof(word));
	memcpy(packet + 16, ranges, 8 * count);
	return vmb_host_balloon_input(&b, packet, len);
}

static int give_one(uint64_t first, uint64_t count)
{
	const uint64_t range = first | count << 40;

	return give(false, 1, &range);
}

static void ask(uint32_t pages)
{
	assert_int_equal(vmb_host_balloon_ask(&b, pages), 0);
	expect_output(16);
}

static void test_versions_are_those_of_the_host_and_the_refused_may_try_again(void **state)
{
	static const uint8_t no[] = { 2, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t yes[] = { 2, 0, 16, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };

	assert_false(vmb_host_balloon_exists(VMB_VERSION_0_13));
	assert_true(vmb_host_balloon_exists(VMB_VERSION_1_1));
	begin_for(VMB_VERSION_2_4);
	assert_int_equal(propose(0x20000), VMB_HOST_BALLOON_NOTHING);
	assert_memory_equal(expect_output(16), no, sizeof(no));
	assert_int_equal(propose(0x10000), VMB_HOST_BALLOON_NOTHING);
	assert_memory_equal(expect_output(16), yes, sizeof(yes));
	assert_int_equal(b.version, VMB_BALLOON_VERSION_2);
}

static void test_an_unknown_version_is_refused_and_one_more_is_nonsense(void **state)
{
	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(propose(0x30000), VMB_HOST_BALLOON_NOTHING);
	assert_int_equal(expect_output(16)[8], 0);
	assert_int_equal(propose(3), VMB_HOST_BALLOON_NOTHING);
	assert_int_equal(expect_output(16)[8], 1);
	assert_int_equal(propose(3), VMB_EPROTO);
}

static void test_capabilities_are_accepted_and_the_guest_is_told_the_most(void **state)
{
	static const uint8_t accepted[] = { 4, 0, 16, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t info[] = {
		12, 0, 32, 0, 3, 0, 0, 0, 0,	0,    0,    0, 16, 0, 0, 0,
		0,  0, 0,  0, 8, 0, 0, 0, 0x56, 0x34, 0x12, 0, 0,  0, 0, 0,
	};

	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(propose(0x20000), VMB_HOST_BALLOON_NOTHING);
	expect_output(16);
	assert_int_equal(tell_caps(3), VMB_HOST_BALLOON_READY);
	assert_memory_equal(expect_output(16), accepted, sizeof(accepted));
	assert_memory_equal(expect_output(32), info, sizeof(info));
}

static void test_the_first_version_has_no_information(void **state)
{
	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(propose(3), VMB_HOST_BALLOON_NOTHING);
	expect_output(16);
	assert_int_equal(tell_caps(3), VMB_HOST_BALLOON_READY);
	expect_output(16);
	expect_silence();
}

static void test_a_status_is_kept(void **state)
{
	const uint8_t packet[48] = { 5, 0, 48, 0, [8] = 7, [16] = 9, [24] = 1 };

	open_one();
	assert_int_equal(vmb_host_balloon_input(&b, packet, sizeof(packet)),
			 VMB_HOST_BALLOON_STATUS);
	assert_int_equal(b.status.available, 7);
	assert_int_equal(b.status.committed, 9);
	assert_int_equal(vmb_host_balloon_input(&b, packet, 47), VMB_EPROTO);
}

static void test_pages_are_asked_for_and_taken_in_several_messages(void **state)
{
	static const uint8_t expected[] = { 6, 0, 16, 0, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0 };
	const uint64_t first[] = { 0x200ull | 512ull << 40 };
	const uint64_t second[] = { 0x100000ull | 1ull << 40, 0x13FFFFull | 1ull << 40 };

	open_one();
	assert_int_equal(vmb_host_balloon_ask(&b, 1024), 0);
	assert_memory_equal(expect_output(16), expected, sizeof(expected));
	assert_int_equal(give(true, 1, first), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(b.taken_count, 1);
	assert_int_equal(b.taken[0], first[0]);
	assert_int_equal(vmb_host_balloon_ask(&b, 512), VMB_EAGAIN); /* still busy */
	assert_int_equal(give(false, 2, second), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(b.state, VMB_HOST_BALLOON_OPEN);
	assert_int_equal(b.out, 514);
	assert_int_equal(b.done, 514);
	assert_true(vmb_host_balloon_is_out(&b, 0x3FF));
	assert_false(vmb_host_balloon_is_out(&b, 0x400));
}

static void test_a_guest_may_give_nothing(void **state)
{
	open_one();
	ask(512);
	assert_int_equal(give(false, 0, (const uint64_t[]){ 0 }), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(b.state, VMB_HOST_BALLOON_OPEN);
	assert_int_equal(b.done, 0);
	ask(512);
	/* but not announce more of it for ever */
	assert_int_equal(give(true, 0, (const uint64_t[]){ 0 }), VMB_EPROTO);
}

/* Each is one thing too much for a guest that was asked for 512 pages. */
static void test_a_guest_cannot_give_what_it_has_not(void **state)
{
	static const struct {
		uint64_t first, count;
	} bad[] = {
		{ 0x200, 513 }, /* more than it was asked for */
		{ 0x200, 0 },	     { 0x40000, 1 }, /* the hole */
		{ 0x3FFFF, 2 }, /* its edge */
		{ 0x140000, 1 }, /* behind the end */
		{ 0xFFFFFFFFFF, 1 }, { 0x13FFFF, 512 },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		open_one();
		ask(512);
		assert_int_equal(give_one(bad[i].first, bad[i].count), VMB_EPROTO);
		assert_int_equal(b.out, 0);
		assert_int_equal(b.state, VMB_HOST_BALLOON_IDLE);
		expect_silence();
	}
}

static void test_no_page_is_out_twice(void **state)
{
	const uint64_t same[] = { 0x200ull | 2ull << 40, 0x201ull | 1ull << 40 };

	open_one();
	ask(512);
	assert_int_equal(give(false, 2, same), VMB_EPROTO);
	open_one();
	ask(512);
	assert_int_equal(give_one(0x200, 512), VMB_HOST_BALLOON_TAKEN);
	ask(512);
	assert_int_equal(give_one(0x3FF, 1), VMB_EPROTO);
}

static void test_a_response_that_nobody_asked_for_is_nonsense(void **state)
{
	open_one();
	assert_int_equal(give_one(0x200, 1), VMB_EPROTO);
	open_one();
	assert_int_equal(vmb_host_balloon_ask(&b, 512), 0); /* and not sent yet */
	assert_int_equal(give_one(0x200, 1), VMB_EPROTO);
}

static void test_counts_of_ranges_stay_within_the_message(void **state)
{
	uint8_t packet[24] = { 7, 0, 24, 0, [12] = 2 << 1, [16] = 1, [21] = 1 };

	open_one();
	ask(512);
	assert_int_equal(vmb_host_balloon_input(&b, packet, sizeof(packet)), VMB_EPROTO);
	open_one();
	ask(512);
	packet[15] = 0x80;
	assert_int_equal(vmb_host_balloon_input(&b, packet, sizeof(packet)), VMB_EPROTO);
}

static void test_what_is_out_comes_back_lowest_first(void **state)
{
	static const uint8_t expected[] = {
		8,    0, 32, 0, 5, 0, 0, 0, 0, 0, 0,	0, 2, 0, 0, 0,
		0x00, 2, 0,  0, 0, 2, 0, 0, 0, 0, 0x10, 0, 0, 3, 0, 0,
	};
	const uint64_t given[] = { 0x100000ull | 5ull << 40, 0x200ull | 2ull << 40 };
	const uint8_t answer[] = { 9, 0, 8, 0, 1, 0, 0, 0 };

	open_one();
	ask(512);
	assert_int_equal(give(false, 2, given), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(vmb_host_balloon_give(&b, 5), 0);
	assert_memory_equal(expect_output(32), expected, sizeof(expected));
	expect_silence();
	assert_int_equal(b.out, 2);
	assert_true(vmb_host_balloon_is_out(&b, 0x100003));
	assert_int_equal(vmb_host_balloon_input(&b, answer, sizeof(answer)),
			 VMB_HOST_BALLOON_NOTHING);
	assert_int_equal(vmb_host_balloon_give(&b, 99), 0); /* all that is left */
	expect_output(24);
	assert_int_equal(b.out, 0);
	assert_int_equal(vmb_host_balloon_input(&b, answer, sizeof(answer)),
			 VMB_HOST_BALLOON_NOTHING);
	assert_int_equal(vmb_host_balloon_give(&b, 1), VMB_EINVAL);
}

/* A page that is given below those that came back first is found. */
static void test_a_page_given_below_all_others_comes_back_first(void **state)
{
	const uint8_t answer[] = { 9, 0, 8, 0, 1, 0, 0, 0 };
	const uint64_t low = 0x33 | 1ull << 40, high = 0x200 | 1ull << 40;

	open_one();
	ask(512);
	assert_int_equal(give_one(0x200, 2), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(vmb_host_balloon_give(&b, 1), 0);
	assert_memory_equal(expect_output(24) + 16, &high, sizeof(high));
	assert_int_equal(vmb_host_balloon_input(&b, answer, sizeof(answer)),
			 VMB_HOST_BALLOON_NOTHING);
	ask(512);
	assert_int_equal(give_one(0x33, 1), VMB_HOST_BALLOON_TAKEN);
	assert_int_equal(vmb_host_balloon_give(&b, 1), 0);
	assert_memory_equal(expect_output(24) + 16, &low, sizeof(low));
	assert_int_equal(b.out, 1);
}

static void test_a_returned_page_may_be_given_again(void **state)
{
	const uint8_t answer[] = { 9, 0, 8, 0, 1, 0, 0, 0 };

	open_one();
	for (int round = 0; round < 3; round++) {
		ask(512);
		assert_int_equal(give_one(0x400, 512), VMB_HOST_BALLOON_TAKEN);
		assert_int_equal(vmb_host_balloon_give(&b, 512), 0);
		expect_output(24);
		assert_int_equal(vmb_host_balloon_input(&b, answer, sizeof(answer)),
				 VMB_HOST_BALLOON_NOTHING);
	}
}

static void test_many_ranges_come_back_in_several_messages(void **state)
{
	const uint8_t answer[] = { 9, 0, 8, 0, 1, 0, 0, 0 };
	const uint8_t *packet;

	open_one();
	ask(1024);
	for (uint64_t page = 0x1000; page < 0x1000 + 2 * 600; page += 2) {
		const uint64_t range = page | 1ull << 40;

		assert_int_equal(give(page + 2 < 0x1000 + 2 * 600, 1, &range),
				 VMB_HOST_BALLOON_TAKEN);
	}
	assert_int_equal(vmb_host_balloon_give(&b, 600), 0);
	packet = expect_output(4096);
	assert_int_equal(packet[8], 1);
	/* an answer before the last one */
	assert_int_equal(vmb_host_balloon_input(&b, answer, sizeof(answer)), VMB_EPROTO);
	expect_silence();
}

static void test_memory_is_added_with_its_region(void **state)
{
	static const uint8_t expected[] = {
		10, 0, 24, 0, 4, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x80, 0, 0, 0, 0x10, 0, 0, 0, 0, 4,
	};
	const uint8_t some[] = { 11, 0, 16, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 1, 0, 0, 0 };
	const uint8_t never[] = { 11, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 };
	const uint8_t more[] = { 11, 0, 16, 0, 1, 0, 0, 0, 1, 0x80, 0, 0, 1, 0, 0, 0 };

	open_one();
	assert_int_equal(vmb_host_balloon_alignment(&b), 0x8000);
	assert_int_equal(vmb_host_balloon_add(&b, 0x100000, 0x8000, 0x100000, 0x40000), 0);
	assert_memory_equal(expect_output(24), expected, sizeof(expected));
	assert_int_equal(vmb_host_balloon_input(&b, some, sizeof(some)), VMB_HOST_BALLOON_NOTHING);
	assert_int_equal(b.done, 0x8000);
	assert_false(b.refused);
	assert_int_equal(vmb_host_balloon_add(&b, 0x108000, 0x8000, 0x100000, 0x40000), 0);
	expect_output(24);
	assert_int_equal(vmb_host_balloon_input(&b, never, sizeof(never)),
			 VMB_HOST_BALLOON_NOTHING);
	assert_true(b.refused);
	assert_int_equal(vmb_host_balloon_add(&b, 0x108000, 0x8000, 0x100000, 0x40000), 0);
	expect_output(24);
	assert_int_equal(vmb_host_balloon_input(&b, more, sizeof(more)), VMB_EPROTO);
}

static void test_a_guest_is_asked_only_for_what_it_can(void **state)
{
	begin_for(VMB_VERSION_NEWEST);
	assert_int_equal(vmb_host_balloon_ask(&b, 512), VMB_EAGAIN);
	propose(0x20000);
	expect_output(16);
	assert_int_equal(tell_caps(0), VMB_HOST_BALLOON_READY);
	expect_output(16);
	expect_output(32);
	assert_int_equal(vmb_host_balloon_ask(&b, 512), VMB_EOPNOTSUPP);
	assert_int_equal(vmb_host_balloon_add(&b, 0x100000, 0x8000, 0, 0), VMB_EOPNOTSUPP);
	assert_int_equal(vmb_host_balloon_ask(&b, 0), VMB_EOPNOTSUPP);
}

/* Whoever opens the channel next may be another kernel, which owns all its memory. */
static void test_a_new_opening_knows_of_no_balloon(void **state)
{
	open_one();
	ask(512);
	assert_int_equal(give_one(0x200, 512), VMB_HOST_BALLOON_TAKEN);
	vmb_host_balloon_reset(&b);
	assert_int_equal(b.out, 0);
	assert_false(vmb_host_balloon_is_out(&b, 0x200));
	for (size_t i = 0; i < VMB_ARRAY_COUNT(map); i++)
		assert_int_equal(map[i], 0);
}

static void test_short_and_unknown_messages_are_nonsense(void **state)
{
	static const uint8_t packets[][16] = {
		{ 5, 0, 16 }, { 99, 0, 16 }, { 7, 0, 8 }, { 6, 0, 16 }, { 9, 0, 7 }, { 9, 0, 17 },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(packets); i++) {
		open_one();
		assert_int_equal(vmb_host_balloon_input(&b, packets[i], 16), VMB_EPROTO);
	}
	open_one();
	assert_int_equal(vmb_host_balloon_input(&b, packets[0], 7), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_those_of_the_host_and_the_refused_may_try_again),
		cmocka_unit_test(test_an_unknown_version_is_refused_and_one_more_is_nonsense),
		cmocka_unit_test(test_capabilities_are_accepted_and_the_guest_is_told_the_most),
		cmocka_unit_test(test_the_first_version_has_no_information),
		cmocka_unit_test(test_a_status_is_kept),
		cmocka_unit_test(test_pages_are_asked_for_and_taken_in_several_messages),
		cmocka_unit_test(test_a_guest_may_give_nothing),
		cmocka_unit_test(test_a_guest_cannot_give_what_it_has_not),
		cmocka_unit_test(test_no_page_is_out_twice),
		cmocka_unit_test(test_a_response_that_nobody_asked_for_is_nonsense),
		cmocka_unit_test(test_counts_of_ranges_stay_within_the_message),
		cmocka_unit_test(test_what_is_out_comes_back_lowest_first),
		cmocka_unit_test(test_a_page_given_below_all_others_comes_back_first),
		cmocka_unit_test(test_a_returned_page_may_be_given_again),
		cmocka_unit_test(test_many_ranges_come_back_in_several_messages),
		cmocka_unit_test(test_memory_is_added_with_its_region),
		cmocka_unit_test(test_a_guest_is_asked_only_for_what_it_can),
		cmocka_unit_test(test_a_new_opening_knows_of_no_balloon),
		cmocka_unit_test(test_short_and_unknown_messages_are_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
