// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Channels that a crash kernel or a debugger reserves: the host has none, and says so. The answers
 * go where the message asks for, which need not be where the connection lives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

static uint32_t post_reserved(struct bed *bed, uint32_t number, uint32_t vp, uint32_t sint)
{
	uint8_t m[28] = { (uint8_t)number };

	put32(m, 8, 0x123); /* whatever relid */
	put32(m, 12, vp);
	put32(m, 16, sint);
	put32(m, 20, 7);
	put32(m, 24, 4);
	return bed_post(bed, m, number == 18 ? 28 : 20);
}

static void expect_at(const struct bed *bed, uint32_t vp, uint32_t sint)
{
	assert_int_equal(bed->messages[bed->message_next - 1].vp, vp);
	assert_int_equal(bed->messages[bed->message_next - 1].sint, sint);
}

static void expect_refused(struct bed *bed, uint32_t vp, uint32_t sint)
{
	const uint8_t *m = bed_expect(bed, 6, 20);

	assert_int_equal(get32(m, 8), 0x123);
	assert_int_equal(get32(m, 12), 0); /* it has no open id */
	assert_int_not_equal(get32(m, 16), 0);
	expect_at(bed, vp, sint);
}

static void expect_closed(struct bed *bed, uint32_t vp, uint32_t sint)
{
	assert_int_equal(get32(bed_expect(bed, 20, 12), 8), 0x123);
	expect_at(bed, vp, sint);
}

static void test_open_is_refused_and_close_is_answered_where_asked(void **state)
{
	static const uint32_t versions[] = { 0x40000, 0x50003, 0x60000 };
	struct bed *bed;
	size_t v;

	for (v = 0; v < VMB_ARRAY_COUNT(versions); v++) {
		bed = bed_new(0, 0);
		bed_device(bed, 1, 0);
		bed_connect(bed, versions[v]);
		assert_int_equal(post_reserved(bed, 18, 3, 2), 0);
		expect_refused(bed, 3, 2);
		assert_int_equal(post_reserved(bed, 19, 1, 15), 0);
		expect_closed(bed, 1, 15);
		bed_expect_nothing(bed);
		bed_expect_no_event(bed);
		assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
		bed_open(bed, 1, 7); /* and the connection goes on */
		bed_free(bed);
	}
}

/* A port that does not exist is no place for an answer. */
static void test_impossible_address_is_silence(void **state)
{
	static const uint32_t bad[][2] = { { BED_VP_COUNT, 2 }, { ~0u, 2 }, { 0, 16 }, { 0, ~0u } };
	struct bed *bed = bed_new(0, 0);
	size_t i;

	bed_connect(bed, 0x50003);
	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_equal(post_reserved(bed, 18, bad[i][0], bad[i][1]), 0);
		assert_int_equal(post_reserved(bed, 19, bad[i][0], bad[i][1]), 0);
	}
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.malformed, 8);
	bed_free(bed);
}

/*
 * CLOSE_RESERVED ends what outlives a connection, so it needs none: before, after, and while one
 * goes down.
 */
static void test_close_is_answered_without_a_connection(void **state)
{
	struct bed *bed = bed_new(0, 0);

	assert_int_equal(post_reserved(bed, 19, 2, 4), 0);
	expect_closed(bed, 2, 4);
	assert_int_equal(post_reserved(bed, 18, 2, 4), 0);
	bed_expect_nothing(bed);
	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	bed_open(bed, 1, 7);
	bed->hold_close = true;
	assert_int_equal(post_simple(bed, 16), 0);
	assert_int_equal(post_reserved(bed, 19, 2, 4), 0);
	expect_closed(bed, 2, 4);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect(bed, 17, 8);
	assert_int_equal(post_reserved(bed, 19, 0, 2), 0);
	expect_closed(bed, 0, 2);
	bed_free(bed);
}

static void test_before_4_0_there_is_no_such_message(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_connect(bed, 0x30000);
	assert_int_equal(post_reserved(bed, 18, 0, 2), 0);
	assert_int_equal(post_reserved(bed, 19, 0, 2), 0);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.unknown, 2);
	bed_free(bed);
}

/* One of each kind waits; the next one comes again. */
static void test_answers_that_wait_are_bounded(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_connect(bed, 0x50003);
	bed->slot_busy = true;
	assert_int_equal(post_reserved(bed, 18, 1, 2), 0);
	assert_int_equal(post_reserved(bed, 19, 2, 3), 0);
	assert_int_equal(post_reserved(bed, 18, 3, 2), 0x13);
	assert_int_equal(post_reserved(bed, 19, 3, 3), 0x13);
	bed->slot_busy = false;
	bed_pump(bed);
	expect_refused(bed, 1, 2);
	expect_closed(bed, 2, 3);
	bed_expect_nothing(bed);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_is_refused_and_close_is_answered_where_asked),
		cmocka_unit_test(test_impossible_address_is_silence),
		cmocka_unit_test(test_close_is_answered_without_a_connection),
		cmocka_unit_test(test_before_4_0_there_is_no_such_message),
		cmocka_unit_test(test_answers_that_wait_are_bounded),
	};

	return cmocka_run_group_tests_name("host_reserved", tests, NULL, NULL);
}
