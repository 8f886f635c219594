// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* GPADLs: their messages of any size, and the answers in every order. */
#include "tests/guest_bed.h"

#define PAGES_MAX      8190u
#define STATUS_FAILURE 0x8000FFFFu

struct list {
	struct bench b;
	struct vmb_guest_channel ch;
	struct vmb_guest_gpadl gpadl;
	uint64_t pfns[PAGES_MAX + 1];
	uint8_t ranges[8 * (PAGES_MAX + 1)]; /* what arrived, put together */
};

static void list_init(struct list *l)
{
	uint32_t i;

	memset(l, 0, sizeof(*l));
	for (i = 0; i < PAGES_MAX + 1; i++)
		l->pfns[i] = 0x123456789A000 + 3 * i;
	bench_ready(&l->b, 0x50003);
	bench_offer(&l->b, &l->ch, 7);
}

static int establish(struct list *l, uint32_t pages)
{
	return vmb_guest_gpadl_establish(&l->ch, &l->gpadl, l->pfns, pages, pages * PAGE, 0);
}

/* Sends all parts as a host sees them; answers how many messages it took. */
static uint32_t send_parts(struct list *l, uint32_t ranges_len)
{
	uint32_t at, len;
	uint32_t count = 0;

	for (at = 0; at < ranges_len; at += len) {
		assert_true(peek(&l->b));
		len = l->b.out_len - (count ? 16 : 20);
		assert_int_equal(get(l->b.out, 0, 4), count ? 9 : 8);
		assert_int_equal(get(l->b.out, 12, 4), l->gpadl.id);
		if (!count) {
			assert_int_equal(get(l->b.out, 8, 4), 7);
			assert_int_equal(get(l->b.out, 16, 2), ranges_len);
			assert_int_equal(get(l->b.out, 18, 2), 1);
		}
		assert_int_equal(len % 8, 0);
		assert_in_range(at + len, 8, ranges_len);
		memcpy(l->ranges + at, l->b.out + l->b.out_len - len, len);
		vmb_guest_connect_output_done(&l->b.c);
		count++;
	}
	return count;
}

static void expect_list(struct list *l, uint32_t pages, uint32_t messages)
{
	uint32_t i;

	list_init(l);
	assert_int_equal(establish(l, pages), 0);
	assert_int_not_equal(l->gpadl.id, 0);
	assert_int_equal(send_parts(l, 8 + 8 * pages), messages);
	expect_silence(&l->b);
	assert_int_equal(get(l->ranges, 0, 4), pages * PAGE);
	assert_int_equal(get(l->ranges, 4, 4), 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(get(l->ranges, 8 + 8 * i, 8), l->pfns[i]);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_WAITING);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), 0);
	assert_event(&l->b, GPADL_CREATED);
	assert_ptr_equal(l->b.event.gpadl, &l->gpadl);
	assert_ptr_equal(l->b.event.channel, &l->ch);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_READY);
}

static void test_list_takes_as_many_messages_as_the_reference_says(void **state)
{
	static const struct {
		uint32_t pages, messages;
	} sizes[] = { { 1, 1 },	 { 25, 1 }, { 26, 1 }, { 27, 2 },    { 32, 2 },		{ 54, 2 },
		      { 55, 3 }, { 82, 3 }, { 83, 4 }, { 2048, 74 }, { PAGES_MAX, 293 } };
	struct list *l = *state;
	uint32_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_list(l, sizes[i].pages, sizes[i].messages);
}

static void test_every_size_arrives_whole(void **state)
{
	struct list *l = *state;
	uint32_t pages;

	for (pages = 1; pages < 150; pages++)
		expect_list(l, pages, pages <= 26 ? 1 : 1 + (pages - 26 + 27) / 28);
}

static void test_too_many_pages_overflow(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, PAGES_MAX + 1), VMB_EOVERFLOW);
	assert_int_equal(establish(l, 0xFFFFFFFF), VMB_EOVERFLOW);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_NONE);
	expect_silence(&l->b);
}

static void test_unaligned_range_is_told(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(
		vmb_guest_gpadl_establish(&l->ch, &l->gpadl, l->pfns, 3, PAGE + 2, PAGE - 1), 0);
	assert_int_equal(send_parts(l, 8 + 8 * 3), 1);
	assert_int_equal(get(l->ranges, 0, 4), PAGE + 2);
	assert_int_equal(get(l->ranges, 4, 4), PAGE - 1);
}

static void test_counts_that_disagree_are_invalid(void **state)
{
	static const struct {
		uint32_t pages, len, offset;
	} bad[] = { { 1, 0, 0 },	 { 0, 0, 0 },	 { 0, 1, 0 },
		    { 2, PAGE, 0 },	 { 1, PAGE, 1 }, { 3, PAGE + 1, PAGE - 1 },
		    { 1, PAGE + 1, 0 },	 { 2, 1, PAGE }, { 1, 1, 0xFFFFFFFF },
		    { 1, 0xFFFFFFFF, 2 } };
	struct list *l = *state;
	uint32_t i;

	list_init(l);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vmb_guest_gpadl_establish(&l->ch, &l->gpadl, l->pfns, bad[i].pages,
							   bad[i].len, bad[i].offset),
				 VMB_EINVAL);
	expect_silence(&l->b);
	assert_null(l->b.c.gpadls);
}

static void test_establish_needs_free_gpadl_and_live_channel(void **state)
{
	struct vmb_guest_gpadl other = { 0 };
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 4), 0);
	assert_int_equal(establish(l, 4), VMB_EBUSY);
	assert_int_equal(say_rescind(&l->b, 7), 0);
	assert_int_equal(vmb_guest_gpadl_establish(&l->ch, &other, l->pfns, 1, 1, 0), VMB_ENODEV);
	list_init(l);
	assert_int_equal(vmb_guest_connect_unload(&l->b.c), 0);
	assert_int_equal(establish(l, 4), VMB_EBUSY);
}

static void test_ids_differ_and_skip_those_in_use(void **state)
{
	struct vmb_guest_gpadl first = { 0 };
	struct vmb_guest_gpadl second = { 0 };
	struct list *l = *state;

	list_init(l);
	l->b.c.last_gpadl_id = 0xFFFFFFFE;
	bench_gpadl(&l->b, &l->ch, &first, l->pfns, 1);
	bench_gpadl(&l->b, &l->ch, &second, l->pfns, 1);
	assert_int_equal(first.id, 0xFFFFFFFF);
	assert_int_equal(second.id, 1); /* never 0 */
	l->b.c.last_gpadl_id = 0xFFFFFFFE;
	assert_int_equal(establish(l, 1), 0);
	assert_int_equal(l->gpadl.id, 2);
}

/* Nothing gets between the parts of one list, and nothing is starved behind them. */
static void test_parts_stay_together(void **state)
{
	struct vmb_guest_gpadl other = { 0 };
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 60), 0);
	assert_int_equal(vmb_guest_gpadl_establish(&l->ch, &other, l->pfns, 1, 1, 0), 0);
	assert_int_equal(send_parts(l, 8 + 8 * 60), 3);
	expect_sent(&l->b, 8, 36);
	assert_int_equal(get(l->b.out, 12, 4), other.id);
	expect_silence(&l->b);
}

static void test_refused_part_is_sent_again(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 30), 0);
	expect_sent(&l->b, 8, 236);
	assert_true(peek(&l->b));
	assert_int_equal(vmb_guest_connect_output_refused(&l->b.c, 0x13), VMB_EAGAIN);
	expect_sent(&l->b, 9, 16 + 4 * 8);
	assert_int_equal(get(l->b.out, 16, 8), l->pfns[26]);
	expect_silence(&l->b);
}

static void test_finally_refused_part_ends_the_list(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 60), 0);
	expect_sent(&l->b, 8, 236);
	assert_true(peek(&l->b));
	assert_int_equal(vmb_guest_connect_output_refused(&l->b.c, 5), VMB_EIO);
	expect_silence(&l->b);
	vmb_guest_gpadl_forget(&l->gpadl);
	assert_int_equal(establish(l, 1), 0);
}

static void test_success_after_finally_refused_part_is_unsolicited(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 30), 0);
	expect_sent(&l->b, 8, 236);
	assert_true(peek(&l->b)); /* the last part */
	assert_int_equal(vmb_guest_connect_output_refused(&l->b.c, 5), VMB_EIO);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), VMB_EPROTO);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_SENDING);
}

/* ---- GPADL_CREATED ---- */

static void test_created_is_matched(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 4), 0);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), VMB_EPROTO); /* not sent */
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 1), VMB_EPROTO);
	assert_int_equal(send_parts(l, 40), 1);
	assert_int_equal(say_result(&l->b, 10, 8, l->gpadl.id, 0), VMB_EPROTO);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id + 1, 0), VMB_EPROTO);
	assert_int_equal(say_result(&l->b, 10, 7, 0, 0), VMB_EPROTO);
	assert_int_equal(l->b.c.counters.unsolicited, 5);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_WAITING);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), 0);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), VMB_EPROTO);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 1), VMB_EPROTO);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_READY);
}

static void test_failed_creation_lets_go(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 4), 0);
	assert_int_equal(send_parts(l, 40), 1);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, STATUS_FAILURE), 0);
	assert_event(&l->b, GPADL_CREATED);
	assert_int_equal(l->b.event.status, STATUS_FAILURE);
	assert_ptr_equal(l->b.event.gpadl, &l->gpadl);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_NONE);
	assert_null(l->b.c.gpadls);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
}

static void test_success_before_the_last_part_is_refused(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 60), 0);
	expect_sent(&l->b, 8, 236);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), VMB_EPROTO);
	expect_sent(&l->b, 9, 240);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), VMB_EPROTO);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_SENDING);
	expect_sent(&l->b, 9, 16 + 6 * 8);
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), 0);
}

static void test_failure_after_the_header_stops_the_parts(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 60), 0);
	expect_sent(&l->b, 8, 236);
	assert_true(peek(&l->b));
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, STATUS_FAILURE), 0);
	assert_event(&l->b, GPADL_CREATED);
	memset(&l->gpadl, 0xEE, sizeof(l->gpadl)); /* it is the caller's again */
	vmb_guest_connect_output_done(&l->b.c);
	expect_silence(&l->b);
}

static void test_created_may_overtake_done(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 30), 0);
	expect_sent(&l->b, 8, 236);
	assert_true(peek(&l->b));
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), 0);
	assert_event(&l->b, GPADL_CREATED);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), 0);
	vmb_guest_connect_output_done(&l->b.c);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_TEARING);
	expect_sent(&l->b, 11, 16);
	expect_silence(&l->b);
}

/* ---- teardown ---- */

static void test_teardown_says_relid_and_id(void **state)
{
	struct list *l = *state;

	expect_list(l, 4, 1);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), 0);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
	expect_sent(&l->b, 11, 16);
	assert_int_equal(get(l->b.out, 8, 4), 7);
	assert_int_equal(get(l->b.out, 12, 4), l->gpadl.id);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), 0);
	assert_event(&l->b, GPADL_TORNDOWN);
	assert_ptr_equal(l->b.event.gpadl, &l->gpadl);
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_NONE);
	assert_null(l->b.c.gpadls);
	assert_int_equal(establish(l, 1), 0); /* it can be used again */
}

static void test_teardown_needs_created(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
	assert_int_equal(establish(l, 4), 0);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
	assert_int_equal(send_parts(l, 40), 1);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
}

static void test_torndown_unasked_is_unsolicited(void **state)
{
	struct list *l = *state;

	list_init(l);
	assert_int_equal(establish(l, 4), 0);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), VMB_EPROTO); /* being sent */
	assert_int_equal(send_parts(l, 40), 1);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), VMB_EPROTO); /* waiting */
	assert_int_equal(say_result(&l->b, 10, 7, l->gpadl.id, 0), 0);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), VMB_EPROTO); /* in use */
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_READY);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), 0);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), VMB_EPROTO); /* has not left */
	assert_int_equal(l->gpadl.state, VMB_GUEST_GPADL_TEARING);
	expect_sent(&l->b, 11, 16);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id + 1), VMB_EPROTO);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), 0);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), VMB_EPROTO); /* twice */
	assert_int_equal(l->b.c.counters.unsolicited, 6);
}

static void test_torndown_may_cross_unload(void **state)
{
	struct list *l = *state;

	expect_list(l, 4, 1);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), 0);
	expect_sent(&l->b, 11, 16);
	assert_int_equal(vmb_guest_connect_unload(&l->b.c), 0);
	assert_int_equal(say_torndown(&l->b, l->gpadl.id), 0);
	assert_event(&l->b, GPADL_TORNDOWN);
}

static void test_gpadl_left_over_forbids_new_contact(void **state)
{
	struct list *l = *state;

	expect_list(l, 4, 1);
	assert_int_equal(vmb_guest_connect_unload(&l->b.c), 0);
	assert_int_equal(vmb_guest_gpadl_teardown(&l->gpadl), VMB_EBUSY);
	expect_sent(&l->b, 16, 8);
	assert_int_equal(say_bare(&l->b, 17), 0);
	vmb_guest_gpadl_forget(&l->gpadl);
	vmb_guest_gpadl_forget(&l->gpadl); /* again: nothing */
	assert_int_equal(vmb_guest_connect_start(&l->b.c), VMB_EBUSY); /* the channel */
	vmb_guest_channel_remove(&l->ch);
	assert_int_equal(vmb_guest_connect_start(&l->b.c), 0);
}

static void test_forgotten_gpadl_is_not_touched_again(void **state)
{
	struct list *l = *state;
	uint32_t id;

	list_init(l);
	assert_int_equal(establish(l, 60), 0);
	id = l->gpadl.id;
	assert_true(peek(&l->b));
	vmb_guest_gpadl_forget(&l->gpadl);
	memset(&l->gpadl, 0xEE, sizeof(l->gpadl));
	vmb_guest_connect_output_done(&l->b.c);
	expect_silence(&l->b);
	assert_int_equal(say_result(&l->b, 10, 7, id, 0), VMB_EPROTO);
}

static void test_forget_takes_the_right_one(void **state)
{
	struct vmb_guest_gpadl gpadls[3];
	struct list *l = *state;
	uint32_t i;

	list_init(l);
	for (i = 0; i < 3; i++)
		bench_gpadl(&l->b, &l->ch, &gpadls[i], l->pfns, 1);
	vmb_guest_gpadl_forget(&gpadls[1]);
	assert_ptr_equal(l->b.c.gpadls, &gpadls[2]);
	assert_ptr_equal(gpadls[2].next, &gpadls[0]);
	assert_null(gpadls[0].next);
	vmb_guest_gpadl_forget(&gpadls[0]);
	assert_null(gpadls[2].next);
}

static int make_list(void **state)
{
	*state = malloc(sizeof(struct list));
	return *state ? 0 : -1;
}

static int drop_list(void **state)
{
	free(*state);
	return 0;
}

#define with_list(name) cmocka_unit_test_setup_teardown(name, make_list, drop_list)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_list(test_list_takes_as_many_messages_as_the_reference_says),
		with_list(test_every_size_arrives_whole),
		with_list(test_too_many_pages_overflow),
		with_list(test_unaligned_range_is_told),
		with_list(test_counts_that_disagree_are_invalid),
		with_list(test_establish_needs_free_gpadl_and_live_channel),
		with_list(test_ids_differ_and_skip_those_in_use),
		with_list(test_parts_stay_together),
		with_list(test_refused_part_is_sent_again),
		with_list(test_finally_refused_part_ends_the_list),
		with_list(test_success_after_finally_refused_part_is_unsolicited),
		with_list(test_created_is_matched),
		with_list(test_failed_creation_lets_go),
		with_list(test_success_before_the_last_part_is_refused),
		with_list(test_failure_after_the_header_stops_the_parts),
		with_list(test_created_may_overtake_done),
		with_list(test_teardown_says_relid_and_id),
		with_list(test_teardown_needs_created),
		with_list(test_torndown_unasked_is_unsolicited),
		with_list(test_torndown_may_cross_unload),
		with_list(test_gpadl_left_over_forbids_new_contact),
		with_list(test_forgotten_gpadl_is_not_touched_again),
		with_list(test_forget_takes_the_right_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
