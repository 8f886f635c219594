// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Offers, open, close, modify and remove; guest_rescind_test.c has the rest of a channel's life. */
#include "tests/guest_bed.h"

#define STATUS_FAILURE 0x8000FFFFu

/* ---- offers ---- */

static void test_offer_is_copied(void **state)
{
	struct vmb_guest_channel ch = { 0 };
	struct bench b;
	uint8_t *msg;
	uint32_t i;

	bench_ready(&b, 0x50003);
	msg = make_offer(&b, 2047, 9, 0);
	put(msg, 56, 0x2410, 2);
	put(msg, 58, 16, 2);
	for (i = 0; i < 120; i++)
		msg[60 + i] = (uint8_t)i;
	assert_int_equal(deliver(&b, 196), 0);
	assert_event(&b, OFFER);
	assert_memory_equal(&b.event.offer, msg, 196);
	assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
	assert_int_equal(ch.relid, 2047);
	assert_int_equal(ch.connection_id, 0x2000 + 2047);
	assert_true(ch.dedicated);
	assert_int_equal(ch.state, VMB_GUEST_CHANNEL_CLOSED);
	assert_ptr_equal(vmb_guest_channel_find(&b.c, 2047), &ch);
	assert_false(vmb_guest_channel_gone(&ch));
}

static void test_offer_without_dedicated_interrupt(void **state)
{
	struct vmb_guest_channel ch = { 0 };
	struct bench b;

	bench_ready(&b, 0x20004);
	put(make_offer(&b, 3, 3, 0), 190, 0xFFFE, 2); /* only bit 0 counts */
	assert_int_equal(deliver(&b, 196), 0);
	assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
	assert_false(ch.dedicated);
}

static void refuse_offer(struct bench *b, uint32_t relid, uint8_t device, uint16_t index)
{
	uint64_t before = b->c.counters.offers_refused;

	assert_int_equal(say_offer(b, relid, device, index), VMB_EPROTO);
	assert_event(b, NOTHING);
	assert_int_equal(b->event.offer.relid, 0);
	assert_int_equal(b->c.counters.offers_refused, before + 1);
}

/* 0.13: what stands behind byte 190 is not part of the offer. 1.1: it has to be there. */
static void test_offers_length_goes_by_version(void **state)
{
	struct vmb_guest_channel ch;
	uint32_t len, version;
	struct bench b;
	int old;

	for (old = 0; old < 2; old++) {
		version = old ? 0xD : 0x10001;
		bench_ready(&b, version);
		for (len = 8; len < (old ? 190u : 196u); len++) {
			make_offer(&b, 5, 5, 0);
			assert_int_equal(deliver(&b, len), VMB_EPROTO);
			assert_event(&b, NOTHING);
		}
		for (len = old ? 190 : 196; len <= 240; len++) {
			memset(&ch, 0, sizeof(ch));
			make_offer(&b, 5, 5, 0);
			assert_int_equal(deliver(&b, len), 0);
			assert_event(&b, OFFER);
			assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
			assert_int_equal(ch.dedicated, !old);
			assert_int_equal(ch.connection_id, old ? 2 : 0x2005);
			vmb_guest_channel_remove(&ch);
		}
	}
}

/* Before 2.4 relids end at 255 and index bytes mean nothing; from 2.4 on, 2047. */
static void test_before_2_4_channels_are_few_and_primary(void **state)
{
	static const uint32_t versions[] = { 0xD, 0x10001, 0x20004 };
	struct vmb_guest_channel ch, second;
	struct bench b;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		bench_ready(&b, versions[i]);
		assert_int_equal(say_offer(&b, 256, 9, 0), i < 2 ? VMB_EPROTO : 0);
		memset(&ch, 0, sizeof(ch));
		assert_int_equal(say_offer(&b, 255, 1, 0), 0);
		assert_int_equal(vmb_guest_channel_add(&b.c, &ch, &b.event.offer), 0);
		assert_int_equal(say_offer(&b, 254, 1, 1), i < 2 ? VMB_EPROTO : 0);
		assert_int_equal(say_offer(&b, 253, 2, 0xCCCC), i < 2 ? 0 : VMB_EPROTO);
		if (i == 2)
			continue;
		assert_int_equal(b.event.offer.sub_channel_index, 0);
		memset(&second, 0, sizeof(second));
		assert_int_equal(vmb_guest_channel_add(&b.c, &second, &b.event.offer), 0);
	}
}

/* Interrupts of hosts before 2.4 all come to VP 0. */
static void test_before_2_4_the_target_is_vp_0(void **state)
{
	static const uint32_t versions[] = { 0xD, 0x10001, 0x20004 };
	struct device d;
	struct bench b;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		memset(&d, 0, sizeof(d));
		bench_ready(&b, versions[i]);
		bench_device(&b, &d);
		assert_int_equal(device_open(&d), 0);
		expect_sent(&b, 5, 148);
		assert_int_equal(get(b.out, 20, 4), i < 2 ? 0 : 5);
		assert_int_equal(d.ch.target_vp, i < 2 ? 0 : 5);
	}
}

static void test_impossible_relid_is_refused(void **state)
{
	struct bench b;

	bench_ready(&b, 0x50003);
	refuse_offer(&b, 0, 1, 0);
	refuse_offer(&b, 2048, 1, 0);
	refuse_offer(&b, 0x80000001, 1, 0);
	refuse_offer(&b, 0xFFFFFFFF, 1, 0);
}

static void test_relid_in_use_is_refused(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	refuse_offer(&b, 5, 77, 0);
	assert_int_equal(say_rescind(&b, 5), 0);
	refuse_offer(&b, 5, 77, 0); /* it was not released yet */
}

static void test_second_primary_is_refused(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	refuse_offer(&b, 6, 5, 0);
	assert_int_equal(say_offer(&b, 6, 6, 0), 0);
	assert_event(&b, OFFER);
	make_offer(&b, 8, 5, 0);
	put(b.in, 8, 0xBB, 1); /* same instance, other type */
	assert_int_equal(deliver(&b, 196), 0);
	assert_event(&b, OFFER);
}

static void test_device_may_return_before_old_channel_is_released(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	assert_int_equal(say_rescind(&b, 5), 0);
	assert_int_equal(say_offer(&b, 6, 5, 0), 0);
	assert_event(&b, OFFER);
}

static void test_sub_channel_needs_primary(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	refuse_offer(&b, 6, 5, 1);
	bench_offer(&b, &ch, 5);
	assert_int_equal(say_offer(&b, 6, 5, 1), 0);
	assert_event(&b, OFFER);
	assert_int_equal(say_rescind(&b, 5), 0);
	refuse_offer(&b, 6, 5, 1);
}

static void test_sub_channel_is_no_primary(void **state)
{
	struct vmb_guest_channel primary;
	struct vmb_guest_channel sub = { 0 };
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &primary, 5);
	assert_int_equal(say_offer(&b, 6, 5, 1), 0);
	assert_int_equal(vmb_guest_channel_add(&b.c, &sub, &b.event.offer), 0);
	assert_int_equal(say_rescind(&b, 5), 0);
	refuse_offer(&b, 8, 5, 2);
	assert_int_equal(say_offer(&b, 8, 5, 0), 0); /* a primary may come back */
	assert_event(&b, OFFER);
}

static void test_impossible_monitor_is_refused(void **state)
{
	struct bench b;
	uint8_t *msg;

	bench_ready(&b, 0x50003);
	msg = make_offer(&b, 5, 5, 0);
	put(msg, 188, 128, 1);
	put(msg, 189, 1, 1);
	assert_int_equal(deliver(&b, 196), VMB_EPROTO);
	assert_int_equal(b.c.counters.offers_refused, 1);
	msg = make_offer(&b, 5, 5, 0);
	put(msg, 188, 127, 1);
	put(msg, 189, 1, 1);
	assert_int_equal(deliver(&b, 196), 0);
	msg = make_offer(&b, 5, 5, 0);
	put(msg, 188, 128, 1);
	put(msg, 189, 0xFE, 1); /* not allocated */
	assert_int_equal(deliver(&b, 196), 0);
}

static void test_offer_before_request_is_unsolicited(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(say_offer(&b, 5, 5, 0), VMB_EPROTO);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_int_equal(say_offer(&b, 5, 5, 0), VMB_EPROTO);
	assert_int_equal(b.c.counters.unsolicited, 2);
	assert_true(peek(&b));
	assert_int_equal(say_offer(&b, 5, 5, 0), 0); /* it may overtake done */
	assert_event(&b, OFFER);
}

static void test_hot_add_after_all_were_delivered(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
}

static void test_add_checks_what_it_is_given(void **state)
{
	struct vmb_guest_channel ch;
	struct vmb_guest_channel other = { 0 };
	struct vmb_msg_offer offer;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	offer = ch.offer;
	assert_int_equal(vmb_guest_channel_add(&b.c, &other, &offer), VMB_EBUSY);
	offer.relid = 0;
	assert_int_equal(vmb_guest_channel_add(&b.c, &other, &offer), VMB_EINVAL);
	offer.relid = 2048;
	assert_int_equal(vmb_guest_channel_add(&b.c, &other, &offer), VMB_EINVAL);
	assert_null(vmb_guest_channel_find(&b.c, 0));
	assert_null(vmb_guest_channel_find(&b.c, 2048));
	assert_null(vmb_guest_channel_find(&b.c, 0xFFFFFFFF));
	assert_true(vmb_guest_channel_gone(&other));
}

/* ---- open ---- */

static void test_open_says_everything(void **state)
{
	static const uint8_t zero[115];
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_OPENING);
	expect_sent(&b, 5, 148);
	assert_int_equal(get(b.out, 8, 4), 7);
	assert_int_equal(get(b.out, 12, 4), d.ch.open_id);
	assert_int_equal(get(b.out, 16, 4), d.ring.id);
	assert_int_equal(get(b.out, 20, 4), 5);
	assert_int_equal(get(b.out, 24, 4), RING_PAGES);
	assert_memory_equal(b.out + 28, "hello", 5);
	assert_memory_equal(b.out + 33, zero, 115);
	expect_silence(&b);
}

static void test_open_result_opens(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_ptr_equal(b.event.channel, &d.ch);
	assert_int_equal(b.event.status, 0);
	assert_int_equal(d.ch.target_vp, 5);
}

static void test_failed_open_can_be_tried_again(void **state)
{
	struct device d;
	struct bench b;
	uint32_t first;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	first = d.ch.open_id;
	assert_int_equal(say_result(&b, 6, 7, first, STATUS_FAILURE), 0);
	assert_event(&b, OPEN_RESULT);
	assert_int_equal(b.event.status, STATUS_FAILURE);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	assert_int_equal(say_result(&b, 6, 7, first, 0), VMB_EPROTO); /* of the first try */
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_OPENING);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), 0);
	assert_event(&b, OPEN_RESULT);
}

static void test_open_result_is_matched(void **state)
{
	struct vmb_guest_channel other;
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &other, 8);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), VMB_EPROTO); /* before it left */
	expect_sent(&b, 5, 148);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id + 1, 0), VMB_EPROTO);
	assert_int_equal(say_result(&b, 6, 8, d.ch.open_id, 0), VMB_EPROTO);
	assert_int_equal(say_result(&b, 6, 9, d.ch.open_id, 0), VMB_EPROTO);
	assert_int_equal(say_result(&b, 6, 0xFFFF0007, d.ch.open_id, 0), VMB_EPROTO);
	assert_int_equal(b.c.counters.unsolicited, 5);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_OPENING);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), 0);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), VMB_EPROTO); /* twice */
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_OPEN);
}

static void test_open_result_may_overtake_done(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	assert_true(peek(&b));
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), 0);
	assert_event(&b, OPEN_RESULT);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	vmb_guest_connect_output_done(&b.c);
	expect_sent(&b, 7, 12);
	expect_silence(&b);
}

static void test_open_checks_its_arguments(void **state)
{
	struct vmb_guest_channel other;
	struct vmb_guest_gpadl odd = { 0 };
	struct vmb_guest_gpadl cut = { 0 };
	struct device d;
	struct bench b;
	uint8_t user[121] = { 0 };

	bench_ready(&b, 0x50003);
	bench_offer(&b, &other, 8);
	bench_device(&b, &d);
	assert_int_equal(vmb_guest_channel_open(&other, &d.ring, RING_PAGES, 0, NULL, 0),
			 VMB_EINVAL);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 1, 0, NULL, 0), VMB_EINVAL);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 7, 0, NULL, 0), VMB_EINVAL);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 8, 0, NULL, 0), VMB_EINVAL);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 0x80000004, 0, NULL, 0),
			 VMB_EINVAL);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 4, 0, user, 121), VMB_EINVAL);
	assert_int_equal(vmb_guest_gpadl_establish(&d.ch, &odd, d.pfns, 8, 7 * PAGE, 8), 0);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &odd, 4, 0, NULL, 0), VMB_EINVAL);
	assert_int_equal(vmb_guest_gpadl_establish(&d.ch, &cut, d.pfns, 8, 8 * PAGE - 8, 0), 0);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &cut, 4, 0, NULL, 0), VMB_EINVAL);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 4, 0, user, 120), 0);
	assert_int_equal(device_open(&d), VMB_EBUSY);
}

static void test_open_needs_finished_gpadl(void **state)
{
	struct vmb_guest_channel ch;
	struct vmb_guest_gpadl ring = { 0 };
	uint64_t pfns[8] = { 0 };
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 7);
	assert_int_equal(vmb_guest_gpadl_establish(&ch, &ring, pfns, 8, 8 * PAGE, 0), 0);
	assert_int_equal(vmb_guest_channel_open(&ch, &ring, 4, 0, NULL, 0), VMB_EBUSY);
	expect_sent(&b, 8, 20 + 9 * 8);
	assert_int_equal(vmb_guest_channel_open(&ch, &ring, 4, 0, NULL, 0), VMB_EBUSY);
	assert_int_equal(say_result(&b, 10, 7, ring.id, 0), 0);
	assert_int_equal(vmb_guest_channel_open(&ch, &ring, 4, 0, NULL, 0), 0);
}

/* ---- close ---- */

static void test_close_says_relid(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	expect_sent(&b, 7, 12);
	assert_int_equal(get(b.out, 8, 4), 7);
	assert_int_equal(vmb_guest_channel_close(&d.ch), VMB_EBUSY);
	expect_silence(&b);
}

static void test_close_drops_open_that_has_not_left(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	expect_silence(&b);
}

static void test_close_waits_for_open_result(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSING);
	assert_int_equal(vmb_guest_channel_close(&d.ch), VMB_EBUSY);
	assert_int_equal(device_open(&d), VMB_EBUSY);
	expect_silence(&b);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), 0);
	assert_event(&b, NOTHING);
	expect_sent(&b, 7, 12);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
}

static void test_close_of_failed_open_says_nothing(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 5, 148);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, STATUS_FAILURE), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(d.ch.state, VMB_GUEST_CHANNEL_CLOSED);
	expect_silence(&b);
}

static void test_reopen_goes_behind_close(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 7, 12);
	expect_sent(&b, 5, 148);
	expect_silence(&b);
}

/* ---- modify ---- */

static void test_modify_before_4_1_is_not_supported(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x40000);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), VMB_EOPNOTSUPP);
	expect_silence(&b);
}

static void test_modify_before_5_3_has_no_answer(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x40001);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	assert_int_equal(d.ch.target_vp, 5);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 2), VMB_EBUSY);
	assert_true(peek(&b));
	assert_int_equal(say_modified(&b, 7, 0), VMB_EPROTO);
	expect_sent(&b, 22, 16);
	assert_int_equal(get(b.out, 8, 4), 7);
	assert_int_equal(get(b.out, 12, 4), 1);
	assert_int_equal(d.ch.target_vp, 1);
	assert_int_equal(say_modified(&b, 7, 0), VMB_EPROTO);
	assert_event(&b, NOTHING);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 2), 0);
}

static void test_modify_from_5_3_waits_for_answer(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	assert_int_equal(say_modified(&b, 7, 0), VMB_EPROTO); /* before it left */
	expect_sent(&b, 22, 16);
	assert_int_equal(d.ch.target_vp, 5);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 2), VMB_EBUSY);
	assert_int_equal(say_modified(&b, 8, 0), VMB_EPROTO);
	assert_int_equal(say_modified(&b, 7, 0), 0);
	assert_event(&b, MODIFY_RESULT);
	assert_ptr_equal(b.event.channel, &d.ch);
	assert_int_equal(d.ch.target_vp, 1);
	assert_int_equal(say_modified(&b, 7, 0), VMB_EPROTO); /* twice */
	assert_int_equal(b.c.counters.unsolicited, 3);
}

static void test_refused_modify_keeps_vp(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	expect_sent(&b, 22, 16);
	assert_int_equal(say_modified(&b, 7, STATUS_FAILURE), 0);
	assert_event(&b, MODIFY_RESULT);
	assert_int_equal(b.event.status, STATUS_FAILURE);
	assert_int_equal(d.ch.target_vp, 5);
}

static void test_modify_checks_its_arguments(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_device(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), VMB_EBUSY);
	assert_int_equal(vmb_guest_channel_open(&d.ch, &d.ring, 4, VMB_VP_NONE, NULL, 0), 0);
	expect_sent(&b, 5, 148);
	assert_int_equal(get(b.out, 20, 4), 0xFFFFFFFF);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), VMB_EBUSY);
	assert_int_equal(say_result(&b, 6, 7, d.ch.open_id, 0), 0);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), VMB_EINVAL); /* has no interrupts */
	d.ch.target_vp = 5;
	assert_int_equal(vmb_guest_channel_modify(&d.ch, VMB_VP_NONE), VMB_EINVAL);
	expect_silence(&b);
}

static void test_close_drops_modify_that_has_not_left(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	expect_sent(&b, 7, 12);
	expect_silence(&b);
}

static void test_late_modify_answer_is_not_taken_for_a_newer_one(void **state)
{
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	expect_sent(&b, 22, 16);
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	assert_int_equal(device_open(&d), 0);
	expect_sent(&b, 7, 12);
	expect_sent(&b, 5, 148);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 2), VMB_EBUSY);
	assert_int_equal(say_modified(&b, 7, 0), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(d.ch.target_vp, 5);
}

/* ---- remove ---- */

static void test_remove_takes_everything_along(void **state)
{
	struct vmb_guest_gpadl more = { 0 };
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_open(&b, &d);
	assert_int_equal(vmb_guest_gpadl_establish(&d.ch, &more, d.pfns, 1, 100, 0), 0);
	assert_int_equal(vmb_guest_channel_modify(&d.ch, 1), 0);
	assert_true(peek(&b)); /* the GPADL's header is with the sender */
	assert_int_equal(vmb_guest_channel_close(&d.ch), 0);
	vmb_guest_channel_remove(&d.ch);
	memset(&d, 0xEE, sizeof(d));
	memset(&more, 0xEE, sizeof(more));
	vmb_guest_connect_output_done(&b.c);
	expect_silence(&b);
	assert_null(vmb_guest_channel_find(&b.c, 7));
	assert_null(b.c.gpadls);
}

static void test_remove_leaves_others_alone(void **state)
{
	struct vmb_guest_channel other;
	struct vmb_guest_gpadl kept = { 0 };
	uint64_t pfn = 1;
	struct device d;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &other, 8);
	bench_gpadl(&b, &other, &kept, &pfn, 1);
	bench_device(&b, &d);
	vmb_guest_channel_remove(&d.ch);
	assert_int_equal(d.ring.state, VMB_GUEST_GPADL_NONE);
	assert_ptr_equal(b.c.gpadls, &kept);
	assert_ptr_equal(vmb_guest_channel_find(&b.c, 8), &other);
	bench_teardown(&b, &kept);
	vmb_guest_channel_remove(&d.ch); /* again: nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offer_is_copied),
		cmocka_unit_test(test_offer_without_dedicated_interrupt),
		cmocka_unit_test(test_offers_length_goes_by_version),
		cmocka_unit_test(test_before_2_4_channels_are_few_and_primary),
		cmocka_unit_test(test_before_2_4_the_target_is_vp_0),
		cmocka_unit_test(test_impossible_relid_is_refused),
		cmocka_unit_test(test_relid_in_use_is_refused),
		cmocka_unit_test(test_second_primary_is_refused),
		cmocka_unit_test(test_device_may_return_before_old_channel_is_released),
		cmocka_unit_test(test_sub_channel_needs_primary),
		cmocka_unit_test(test_sub_channel_is_no_primary),
		cmocka_unit_test(test_impossible_monitor_is_refused),
		cmocka_unit_test(test_offer_before_request_is_unsolicited),
		cmocka_unit_test(test_hot_add_after_all_were_delivered),
		cmocka_unit_test(test_add_checks_what_it_is_given),
		cmocka_unit_test(test_open_says_everything),
		cmocka_unit_test(test_open_result_opens),
		cmocka_unit_test(test_failed_open_can_be_tried_again),
		cmocka_unit_test(test_open_result_is_matched),
		cmocka_unit_test(test_open_result_may_overtake_done),
		cmocka_unit_test(test_open_checks_its_arguments),
		cmocka_unit_test(test_open_needs_finished_gpadl),
		cmocka_unit_test(test_close_says_relid),
		cmocka_unit_test(test_close_drops_open_that_has_not_left),
		cmocka_unit_test(test_close_waits_for_open_result),
		cmocka_unit_test(test_close_of_failed_open_says_nothing),
		cmocka_unit_test(test_reopen_goes_behind_close),
		cmocka_unit_test(test_modify_before_4_1_is_not_supported),
		cmocka_unit_test(test_modify_before_5_3_has_no_answer),
		cmocka_unit_test(test_modify_from_5_3_waits_for_answer),
		cmocka_unit_test(test_refused_modify_keeps_vp),
		cmocka_unit_test(test_modify_checks_its_arguments),
		cmocka_unit_test(test_close_drops_modify_that_has_not_left),
		cmocka_unit_test(test_late_modify_answer_is_not_taken_for_a_newer_one),
		cmocka_unit_test(test_remove_takes_everything_along),
		cmocka_unit_test(test_remove_leaves_others_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
