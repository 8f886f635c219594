// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* RESCIND at every boundary of a channel's life, and the release of its relid. */
#include "tests/guest_bed.h"

#define STATUS_FAILURE 0x8000FFFFu

static void rescind(struct bench *b, struct vmb_guest_channel *ch)
{
	assert_int_equal(say_rescind(b, ch->relid), 0);
	assert_event(b, RESCIND);
	assert_ptr_equal(b->event.channel, ch);
	assert_true(ch->rescinded);
}

/* RELID_RELEASED, and then the relid is free. */
static void release(struct bench *b, struct vmb_guest_channel *ch)
{
	struct vmb_guest_channel next;
	uint32_t relid = ch->relid;

	assert_int_equal(vmb_guest_channel_release(ch), 0);
	assert_false(vmb_guest_channel_gone(ch));
	expect_sent(b, 13, 12);
	assert_int_equal(get(b->out, 8, 4), relid);
	assert_true(vmb_guest_channel_gone(ch));
	expect_silence(b);
	bench_offer(b, &next, relid);
	vmb_guest_channel_remove(&next);
}

static void test_rescind_of_unopened_channel(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	assert_int_equal(vmb_guest_channel_release(&ch), VMB_EBUSY);
	rescind(&b, &ch);
	release(&b, &ch);
}

static void test_rescind_while_gpadl_is_sent(void **state)
{
	struct vmb_guest_channel ch;
	struct vmb_guest_gpadl ring = { 0 };
	uint64_t pfns[40] = { 0 };
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 7);
	assert_int_equal(vmb_guest_gpadl_establish(&ch, &ring, pfns, 40, 40 * PAGE, 0), 0);
	expect_sent(&b, 8, 236);
	rescind(&b, &ch);
	assert_int_equal(vmb_guest_channel_release(&ch), VMB_EBUSY); /* a GPADL is left */
	expect_sent(&b, 9, 16 + 14 * 8);
	assert_int_equal(say_result(&b, 10, 7, ring.id, STATUS_FAILURE), 0);
	assert_event(&b, GPADL_CREATED);
	assert_int_equal(ring.state, VMB_GUEST_GPADL_NONE);
	release(&b, &ch);
}

static void test_rescind_while_open_is_queued(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	rescind(&b, &d.ch);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	expect_silence(&b);
	assert_int_equal(device_open(&d), VMB_ENODEV);
	bench_teardown(&b, &d.ring);
	release(&b, &d.ch);
}

static void test_rescind_while_open_is_with_sender(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	assert_true(peek(&b));
	rescind(&b, &d.ch);
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x13), 0); /* don't try again */
	expect_silence(&b);
	bench_teardown(&b, &d.ring);
	release(&b, &d.ch);
}

static void test_rescind_while_open_is_with_host(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	rescind(&b, &d.ch);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), VMB_EPROTO); /* none follows */
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	assert_int_equal(vmb_guest_channel_close(&d.ch), VMB_EBUSY);
	bench_teardown(&b, &d.ring);
	release(&b, &d.ch);
}

static void test_rescind_while_close_waits_for_open(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	rescind(&b, &d.ch);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	expect_silence(&b);
	bench_teardown(&b, &d.ring);
	release(&b, &d.ch);
}

static void test_rescind_of_open_channel(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	rescind(&b, &d.ch);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_OPEN);
	assert_int_equal(vmb_guest_channel_release(&d.ch), VMB_EBUSY);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	expect_sent(&b, 7, 12);
	assert_int_equal(vmb_guest_channel_release(&d.ch), VMB_EBUSY);
	bench_teardown(&b, &d.ring);
	release(&b, &d.ch);
}

static void test_open_channel_is_not_released(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	rescind(&b, &d.ch);
	vmb_guest_gpadl_forget(&d.ring);
	assert_int_equal(vmb_guest_channel_release(&d.ch), VMB_EBUSY);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(vmb_guest_channel_release(&d.ch), 0);
	expect_sent(&b, 7, 12);
	expect_sent(&b, 13, 12);
}

static void test_rescind_while_modify_is_queued(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	rescind(&b, &d.ch);
	expect_silence(&b);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), VMB_ENODEV);
}

static void test_rescind_while_modify_is_with_host(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	expect_sent(&b, 22, 16);
	rescind(&b, &d.ch);
	assert_int_equal(say_modified(&b, 7, 0), VMB_EPROTO);
	assert_event(&b, NOTHING);
}

static void test_rescind_while_ring_is_torn_down(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(vmb_guest_gpadl_teardown(&d.ring), 0);
	rescind(&b, &d.ch);
	expect_sent(&b, 7, 12);
	expect_sent(&b, 11, 16);
	assert_int_equal(vmb_guest_channel_release(&d.ch), VMB_EBUSY);
	assert_int_equal(say_torndown(&b, d.ring.id), 0);
	assert_event(&b, GPADL_TORNDOWN);
	release(&b, &d.ch);
}

static void test_second_rescind_is_unsolicited(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	rescind(&b, &ch);
	assert_int_equal(say_rescind(&b, 5), VMB_EPROTO);
	assert_event(&b, NOTHING);
	assert_int_equal(b.c.counters.unsolicited, 1);
}

static void test_rescind_of_unknown_relid_is_unsolicited(void **state)
{
	static const uint32_t relids[] = { 0, 1, 2047, 2048, 0x80000005, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x50003);
	for (i = 0; i < 6; i++)
		assert_int_equal(say_rescind(&b, relids[i]), VMB_EPROTO);
	assert_int_equal(b.c.counters.unsolicited, 6);
}

/* The host may use the relid again before the sender has said that RELID_RELEASED left. */
static void test_new_offer_may_overtake_release_done(void **state)
{
	struct vmb_guest_channel old;
	struct vmb_guest_channel new;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &old, 5);
	rescind(&b, &old);
	assert_int_equal(vmb_guest_channel_release(&old), 0);
	assert_true(peek(&b));
	assert_false(vmb_guest_channel_gone(&old));
	bench_offer(&b, &new, 5);
	vmb_guest_connect_output_done(&b.c);
	assert_true(vmb_guest_channel_gone(&old));
	assert_ptr_equal(vmb_guest_channel_find(&b.c, 5), &new);
	assert_int_equal(vmb_guest_channel_release(&old), VMB_EBUSY); /* released already */
	vmb_guest_channel_remove(&old);
	assert_ptr_equal(vmb_guest_channel_find(&b.c, 5), &new);
}

/* A primary with relid 5 and its sub-channel with relid 6. */
static void offer_sub(struct bench *b, struct vmb_guest_channel *primary,
		      struct vmb_guest_channel *sub)
{
	bench_offer(b, primary, 5);
	memset(sub, 0, sizeof(*sub));
	assert_int_equal(say_offer(b, 6, 5, 1), 0);
	assert_event(b, OFFER);
	assert_int_equal(vmb_guest_channel_add(&b->c, sub, &b->event.offer), 0);
}

static void test_sub_channel_is_given_back_unasked(void **state)
{
	struct vmb_guest_channel primary;
	struct vmb_guest_channel sub;
	struct vmb_guest_channel again;
	struct bench b;

	bench_ready(&b, 0x50003);
	offer_sub(&b, &primary, &sub);
	assert_int_equal(vmb_guest_channel_release(&primary), VMB_EBUSY);
	assert_int_equal(vmb_guest_channel_release(&sub), 0);
	assert_int_equal(vmb_guest_channel_release(&sub), VMB_EBUSY);
	assert_false(vmb_guest_channel_gone(&sub));
	expect_sent(&b, 13, 12);
	assert_int_equal(get(b.out, 8, 4), 6);
	assert_true(vmb_guest_channel_gone(&sub));
	expect_silence(&b);
	assert_ptr_equal(vmb_guest_channel_find(&b.c, 5), &primary);
	memset(&again, 0, sizeof(again));
	assert_int_equal(say_offer(&b, 6, 5, 1), 0);
	assert_event(&b, OFFER);
	assert_int_equal(vmb_guest_channel_add(&b.c, &again, &b.event.offer), 0);
	rescind(&b, &again);
}

/* RELID_RELEASED is the last message for its relid. */
static void test_nothing_follows_release(void **state)
{
	struct vmb_guest_channel primary;
	struct vmb_guest_channel sub;
	struct vmb_guest_gpadl left;
	struct vmb_guest_gpadl ring = { 0 };
	uint64_t pfns[2 * RING_PAGES] = { 0 };
	struct bench b;

	bench_ready(&b, 0x50003);
	offer_sub(&b, &primary, &sub);
	bench_gpadl(&b, &sub, &left, pfns, 2 * RING_PAGES);
	assert_int_equal(vmb_guest_channel_release(&sub), VMB_EBUSY); /* the GPADL */
	bench_teardown(&b, &left);
	assert_int_equal(vmb_guest_channel_release(&sub), 0);
	assert_int_equal(vmb_guest_gpadl_establish(&sub, &ring, pfns, 4, 4 * PAGE, 0), VMB_ENODEV);
	assert_int_equal(vmb_guest_channel_open(&sub, &left, 2, 0, NULL, 0), VMB_ENODEV);
	expect_sent(&b, 13, 12);
	assert_int_equal(vmb_guest_gpadl_establish(&sub, &ring, pfns, 4, 4 * PAGE, 0), VMB_ENODEV);
	expect_silence(&b);
}

/* The host takes the sub-channel away in the moment in which it is given back. */
static void test_rescind_crosses_release(void **state)
{
	struct vmb_guest_channel primary;
	struct vmb_guest_channel sub;
	struct bench b;
	int left;

	for (left = 0; left < 3; left++) {
		bench_ready(&b, 0x50003);
		offer_sub(&b, &primary, &sub);
		assert_int_equal(vmb_guest_channel_release(&sub), 0);
		if (left > 0)
			assert_true(peek(&b));
		if (left > 1)
			vmb_guest_connect_output_done(&b.c);
		assert_int_equal(say_rescind(&b, 6), 0);
		assert_event(&b, NOTHING);
		assert_int_equal(b.c.counters.unsolicited, 0);
		assert_int_equal(say_rescind(&b, 6), VMB_EPROTO); /* once, not twice */
		if (left < 2)
			expect_sent(&b, 13, 12);
		expect_silence(&b);
		assert_true(vmb_guest_channel_gone(&sub));
		assert_int_equal(say_rescind(&b, 6), VMB_EPROTO);
	}
}

/* What the last connection gave back is no excuse in the next. */
static void test_new_connection_forgets_what_was_given_back(void **state)
{
	struct vmb_guest_channel primary;
	struct vmb_guest_channel sub;
	struct bench b;

	bench_ready(&b, 0x50003);
	offer_sub(&b, &primary, &sub);
	assert_int_equal(vmb_guest_channel_release(&sub), 0);
	expect_sent(&b, 13, 12);
	vmb_guest_channel_remove(&primary);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	expect_sent(&b, 16, 8);
	assert_int_equal(say_bare(&b, 17), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 1, 20), 0);
	assert_event(&b, CONNECTED);
	assert_int_equal(say_rescind(&b, 6), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rescind_of_unopened_channel),
		cmocka_unit_test(test_rescind_while_gpadl_is_sent),
		cmocka_unit_test(test_rescind_while_open_is_queued),
		cmocka_unit_test(test_rescind_while_open_is_with_sender),
		cmocka_unit_test(test_rescind_while_open_is_with_host),
		cmocka_unit_test(test_rescind_while_close_waits_for_open),
		cmocka_unit_test(test_rescind_of_open_channel),
		cmocka_unit_test(test_open_channel_is_not_released),
		cmocka_unit_test(test_rescind_while_modify_is_queued),
		cmocka_unit_test(test_rescind_while_modify_is_with_host),
		cmocka_unit_test(test_rescind_while_ring_is_torn_down),
		cmocka_unit_test(test_second_rescind_is_unsolicited),
		cmocka_unit_test(test_rescind_of_unknown_relid_is_unsolicited),
		cmocka_unit_test(test_new_offer_may_overtake_release_done),
		cmocka_unit_test(test_sub_channel_is_given_back_unasked),
		cmocka_unit_test(test_nothing_follows_release),
		cmocka_unit_test(test_rescind_crosses_release),
		cmocka_unit_test(test_new_connection_forgets_what_was_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
