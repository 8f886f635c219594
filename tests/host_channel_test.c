// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Channels at the host: open, close, rescind, release, another VP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

static struct bed *connected(uint32_t version)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_device(bed, 2, 0);
	bed_connect(bed, version);
	return bed;
}

static void expect_result(struct bed *bed, uint32_t relid, uint32_t open_id, bool success)
{
	const uint8_t *m = bed_expect(bed, 6, 20);

	assert_int_equal(get32(m, 8), relid);
	assert_int_equal(get32(m, 12), open_id);
	assert_int_equal(get32(m, 16) == 0, success);
}

static void expect_torndown(struct bed *bed, uint32_t gpadl_id)
{
	assert_int_equal(get32(bed_expect(bed, 12, 12), 8), gpadl_id);
}

static void expect_rescind(struct bed *bed, uint32_t relid)
{
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), relid);
}

/* Open and close */

static void test_open_reaches_the_device_before_its_result(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];
	uint32_t i;

	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	bed->hold_open = true;
	assert_int_equal(post_open(bed, 1, 0xABCD, 7, 3, 5), 0);
	assert_ptr_equal(bed_expect_event(bed, VMB_HOST_EVENT_OPEN)->channel, ch);
	bed_expect_nothing(bed);
	assert_int_equal(ch->target_vp, 3);
	assert_int_equal(ch->downstream_page, 5);
	assert_int_equal(ch->ring->id, 7);
	for (i = 0; i < 120; i++)
		assert_int_equal(ch->open_user[i], 0x77);
	vmb_host_channel_opened(ch, 0);
	bed_pump(bed);
	expect_result(bed, 1, 0xABCD, true);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_device_failure_reaches_the_guest(void **state)
{
	struct bed *bed = connected(0x50003);

	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	bed->open_status = 0xC0000001;
	post_open(bed, 1, 5, 7, 0, 4);
	assert_int_equal(get32(bed_expect(bed, 6, 20), 16), 0xC0000001);
	assert_int_equal(bed->s.channels[1]->state, VMB_HOST_CHANNEL_OFFERED);
	bed->open_status = 0;
	post_open(bed, 1, 6, 7, 0, 4); /* the ring was let go */
	expect_result(bed, 1, 6, true);
	bed_free(bed);
}

static void test_bad_open_gets_a_failure(void **state)
{
	static const struct {
		uint32_t gpadl_id, vp, downstream_page;
	} bad[] = {
		{ 8, 0, 4 }, /* no such GPADL */
		{ 9, 0, 4 }, /* another channel's */
		{ 7, 4, 4 }, /* no such VP */
		{ 7, 0xFFFFFFFE, 4 }, { 7, 0, 0 }, /* no upstream ring */
		{ 7, 0, 1 }, /* a control page without data */
		{ 7, 0, 7 }, /* the same downstream */
		{ 7, 0, 8 },	      { 7, 0, 0x80000000 },
		{ 7, 0, ~0u },	      { 10, 0, 2 }, /* three pages can not hold two rings */
	};
	struct bed *bed = connected(0x50003);
	size_t i;

	post_gpadl(bed, 1, 7, 8);
	post_gpadl(bed, 2, 9, 8);
	post_gpadl(bed, 1, 10, 3);
	bed_forget(bed);
	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_equal(post_open(bed, 1, (uint32_t)i, bad[i].gpadl_id, bad[i].vp,
					   bad[i].downstream_page),
				 0);
		expect_result(bed, 1, (uint32_t)i, false);
		bed_expect_no_event(bed);
	}
	assert_int_equal(post_open(bed, 1, 99, 7, 0xFFFFFFFF, 2), 0);
	expect_result(bed, 1, 99, true);
	bed_free(bed);
}

/* A ring is one range of whole pages. */
static void test_ring_of_odd_shape_gets_a_failure(void **state)
{
	static const struct {
		uint32_t count, offset;
	} shapes[] = { { 8 * 4096 - 8, 0 }, { 7 * 4096, 8 }, { 8 * 4096, 0 } };
	struct bed *bed = connected(0x50003);
	uint32_t i, p;

	for (i = 0; i < 3; i++) {
		uint8_t m[240] = { 8 };

		put32(m, 8, 1);
		put32(m, 12, 100 + i);
		put16(m, 16, 8 + 64);
		put16(m, 18, 1);
		put32(m, 20, shapes[i].count);
		put32(m, 24, shapes[i].offset);
		for (p = 0; p < 8; p++)
			put64(m, 28 + 8 * p, BED_FIRST_PFN + p);
		bed_post(bed, m, 92);
		assert_int_equal(get32(bed_expect(bed, 10, 20), 16), 0);
		post_open(bed, 1, i, 100 + i, 0, 4);
		expect_result(bed, 1, i, i == 2);
	}
	bed_free(bed);
}

static void test_ring_teardown_waits_for_the_device(void **state)
{
	struct bed *bed = connected(0x50003);

	bed_open(bed, 1, 7);
	bed->hold_close = true;
	post_relid(bed, 7, 1);
	post_teardown(bed, 1, 7);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_no_event(bed);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	assert_int_equal(bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED)->gpadl_id, 7);
	expect_torndown(bed, 7);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_open_while_closing_is_remembered(void **state)
{
	struct bed *bed = connected(0x50003);

	bed_open(bed, 1, 7);
	post_gpadl(bed, 1, 8, 4);
	bed_forget(bed);
	bed->hold_close = true;
	post_relid(bed, 7, 1);
	post_open(bed, 1, 55, 8, 2, 2);
	post_open(bed, 1, 56, 8, 2, 2); /* one only */
	assert_int_equal(bed->s.counters.misplaced, 1);
	post_teardown(bed, 1, 7);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_OPEN);
	expect_torndown(bed, 7);
	expect_result(bed, 1, 55, true);
	assert_int_equal(bed->s.channels[1]->ring->id, 8);
	bed_free(bed);
}

static void test_remembered_open_of_a_torn_ring_fails(void **state)
{
	struct bed *bed = connected(0x50003);

	bed_open(bed, 1, 7);
	bed->hold_close = true;
	post_relid(bed, 7, 1);
	post_open(bed, 1, 55, 7, 0, 4);
	post_teardown(bed, 1, 7);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	expect_torndown(bed, 7);
	expect_result(bed, 1, 55, false);
	assert_int_equal(bed->s.channels[1]->state, VMB_HOST_CHANNEL_OFFERED);
	bed_free(bed);
}

static void test_open_before_the_last_result_left_comes_again(void **state)
{
	struct bed *bed = connected(0x50003);

	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	bed->slot_busy = true;
	post_open(bed, 1, 1, 7, 0, 4);
	post_relid(bed, 7, 1);
	assert_int_equal(post_open(bed, 1, 2, 7, 0, 4), 0x13);
	bed->slot_busy = false;
	bed_pump(bed);
	expect_result(bed, 1, 1, true);
	assert_int_equal(post_open(bed, 1, 2, 7, 0, 4), 0);
	expect_result(bed, 1, 2, true);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_foreign_relids_are_dropped(void **state)
{
	static const uint32_t relids[] = { 0, 3, 2047, 2048, 0x10001, 0x80000001, ~0u };
	struct bed *bed = connected(0x60000);
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(relids); i++) {
		post_open(bed, relids[i], 1, 7, 0, 4);
		post_relid(bed, 7, relids[i]);
		post_relid(bed, 13, relids[i]);
		post_teardown(bed, relids[i], 7);
		post_modify(bed, relids[i], 0);
	}
	assert_int_equal(bed->s.counters.malformed, 5 * VMB_ARRAY_COUNT(relids));
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	bed_free(bed);
}

/* Coming and going */

static void test_hot_added_device_is_offered_at_once(void **state)
{
	struct bed *bed = connected(0x50003);

	bed_device(bed, 3, 0);
	assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 3);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_device_added_before_offers_were_asked_for_waits(void **state)
{
	struct bed *bed = bed_new(0, 0);

	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	bed_device(bed, 1, 0);
	bed_expect_nothing(bed);
	assert_int_equal(post_open(bed, 1, 1, 1, 0, 4), 0); /* a guess */
	assert_int_equal(bed->s.counters.malformed, 1);
	post_simple(bed, 3);
	bed_expect(bed, 1, 196);
	bed_expect(bed, 4, 8);
	bed_free(bed);
}

static void test_rescind_closes_then_tells_then_waits_for_release(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	bed_open(bed, 1, 7);
	bed->hold_close = true;
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(ch);
	bed_pump(bed);
	expect_rescind(bed, 1);
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	post_relid(bed, 7, 1);
	post_teardown(bed, 1, 7);
	expect_torndown(bed, 7);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	assert_int_equal(bed->s.counters.misplaced, 0);
	post_relid(bed, 13, 1);
	assert_ptr_equal(bed_expect_event(bed, VMB_HOST_EVENT_RELEASED)->channel, ch);
	assert_null(vmb_host_channel_find(&bed->s, 1));
	bed_device(bed, 9, 0);
	assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 1);
	bed_free(bed);
}

static void test_revoked_channel_ignores_open_and_takes_gpadls(void **state)
{
	struct bed *bed = connected(0x50003);

	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	expect_rescind(bed, 1);
	assert_int_equal(post_gpadl(bed, 1, 7, 40), 0);
	assert_int_equal(get32(bed_expect(bed, 10, 20), 16), 0);
	post_open(bed, 1, 1, 7, 0, 4);
	bed_expect_nothing(bed);
	post_teardown(bed, 1, 7);
	expect_torndown(bed, 7);
	post_gpadl(bed, 1, 8, 4);
	bed_forget(bed);
	post_relid(bed, 13, 1); /* and leaves one behind */
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_torndown_precedes_rescind(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	bed_open(bed, 1, 7);
	bed->hold_close = true;
	post_relid(bed, 7, 1);
	post_teardown(bed, 1, 7);
	vmb_host_channel_rescind(ch);
	vmb_host_channel_closed(ch);
	bed_pump(bed);
	expect_torndown(bed, 7);
	expect_rescind(bed, 1);
	bed_free(bed);
}

/*
 * A device still holds pages that the guest wants back: RESCIND waits for the TORNDOWN before it.
 */
static void test_rescind_waits_for_a_teardown_in_use(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];
	struct vmb_host_gpadl *gpadl;

	post_gpadl(bed, 1, 7, 4);
	bed_forget(bed);
	gpadl = vmb_host_gpadl_find(ch, 7);
	vmb_host_gpadl_get(gpadl);
	post_teardown(bed, 1, 7);
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	bed_expect_nothing(bed);
	vmb_host_gpadl_put(gpadl);
	bed_pump(bed);
	expect_torndown(bed, 7);
	expect_rescind(bed, 1);
	bed_free(bed);
}

static void test_no_result_follows_rescind(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];
	uint32_t status;

	for (status = 0; status < 2; status++) {
		ch = bed->s.channels[1];
		post_gpadl(bed, 1, 7, 8);
		bed_forget(bed);
		bed->hold_open = true;
		post_open(bed, 1, 1, 7, 0, 4);
		vmb_host_channel_rescind(ch);
		bed_pump(bed);
		bed_expect_event(bed, VMB_HOST_EVENT_OPEN);
		bed_expect_no_event(bed);
		bed_expect_nothing(bed);
		vmb_host_channel_opened(ch, status);
		bed_pump(bed);
		if (!status)
			bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
		expect_rescind(bed, 1);
		bed_expect_nothing(bed);
		post_relid(bed, 13, 1);
		bed_device(bed, 1, 0);
		bed_forget(bed);
	}
	bed_free(bed);
}

static void test_rescind_before_open_event_is_taken_never_opens(void **state)
{
	struct bed *bed = connected(0x50003);

	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	bed->hold_events = true;
	post_open(bed, 1, 1, 7, 0, 4);
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed->hold_events = false;
	bed_pump(bed);
	bed_expect_no_event(bed);
	expect_rescind(bed, 1);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_rescind_before_the_offer_left_tells_nothing(void **state)
{
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *ch = bed_device(bed, 1, 0);

	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	bed->slot_busy = true;
	post_simple(bed, 3);
	vmb_host_channel_rescind(ch);
	bed->slot_busy = false;
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect(bed, 4, 8);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/* Shown to the port but not confirmed: the guest may have it. */
static void test_rescind_of_an_offer_under_way_follows_it(void **state)
{
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *ch = bed_device(bed, 1, 0);

	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	bed->slot_busy = true;
	post_simple(bed, 3);
	assert_int_equal(get32(vmb_host_server_output(&bed->s)->payload, 0), 1);
	vmb_host_channel_rescind(ch);
	bed->slot_busy = false;
	bed_pump(bed);
	bed_expect(bed, 1, 196);
	bed_expect(bed, 4, 8);
	expect_rescind(bed, 1);
	bed_free(bed);
}

static void test_rescind_while_disconnected_releases_at_once(void **state)
{
	struct bed *bed = bed_new(0, 0);

	vmb_host_channel_rescind(bed_device(bed, 1, 0));
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/* A guest that never answers RESCIND (firmware) is cleaned up after at its disconnect. */
static void test_disconnect_releases_revoked_channels(void **state)
{
	struct bed *bed = connected(0x60000);

	bed_open(bed, 1, 7);
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	bed_forget(bed);
	post_simple(bed, 16);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect(bed, 17, 8);
	bed_connect(bed, 0x60000);
	assert_null(bed->s.channels[1]);
	assert_non_null(bed->s.channels[2]);
	bed_free(bed);
}

static void test_same_device_is_offered_again_only_after_release(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel again = { 0 };

	again.type_id = bed->s.channels[1]->type_id;
	again.instance_id = bed->s.channels[1]->instance_id;
	assert_int_equal(vmb_host_channel_offer(&bed->s, &again), VMB_EBUSY);
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	assert_int_equal(vmb_host_channel_offer(&bed->s, &again), VMB_EBUSY);
	post_relid(bed, 13, 1);
	bed_device(bed, 1, 0);
	bed_free(bed);
}

static void test_guest_may_let_go_of_a_channel_that_stays(void **state)
{
	struct bed *bed = connected(0x50003);

	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	post_relid(bed, 13, 1);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_no_event(bed);
	bed_expect_nothing(bed);
	post_open(bed, 1, 1, 7, 0, 4);
	bed_expect_nothing(bed);
	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	post_simple(bed, 3);
	assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 1);
	bed_free(bed);
}

/* Another VP */

static void expect_modified(struct bed *bed, bool success)
{
	const uint8_t *m = bed_expect(bed, 24, 16);

	assert_int_equal(get32(m, 8), 1);
	assert_int_equal(get32(m, 12) == 0, success);
}

static void test_modify_is_answered_from_5_3_when_done(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	post_modify(bed, 1, 2);
	expect_modified(bed, false); /* not open */
	bed_open(bed, 1, 7);
	bed->hold_modify = true;
	post_modify(bed, 1, 2);
	bed_expect_event(bed, VMB_HOST_EVENT_MODIFY);
	assert_int_equal(ch->wanted_vp, 2);
	assert_int_equal(ch->target_vp, 1);
	bed_expect_nothing(bed);
	assert_int_equal(post_modify(bed, 1, 3), 0x13);
	vmb_host_channel_modified(ch, 0);
	bed_pump(bed);
	expect_modified(bed, true);
	assert_int_equal(ch->target_vp, 2);
	post_modify(bed, 1, BED_VP_COUNT);
	expect_modified(bed, false);
	post_modify(bed, 1, ~0u);
	expect_modified(bed, false);
	assert_int_equal(ch->target_vp, 2);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_modify_is_never_answered_before_5_3(void **state)
{
	struct bed *bed = connected(0x50002);

	post_modify(bed, 1, 2);
	bed_open(bed, 1, 7);
	post_modify(bed, 1, 2);
	assert_int_equal(bed->s.channels[1]->target_vp, 2);
	post_modify(bed, 1, 77);
	assert_int_equal(bed->s.channels[1]->target_vp, 2);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_modify_without_interrupts_fails(void **state)
{
	struct bed *bed = connected(0x50003);

	post_gpadl(bed, 1, 7, 8);
	post_open(bed, 1, 1, 7, ~0u, 4);
	bed_forget(bed);
	post_modify(bed, 1, 2);
	expect_modified(bed, false);
	bed_expect_no_event(bed);
	bed_free(bed);
}

static void test_modify_that_outlives_the_open_changes_nothing(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	bed_open(bed, 1, 7);
	bed->hold_modify = true;
	post_modify(bed, 1, 2);
	post_relid(bed, 7, 1);
	post_open(bed, 1, 1, 7, 3, 4);
	expect_result(bed, 1, 1, true);
	vmb_host_channel_modified(ch, 0);
	bed_pump(bed);
	expect_modified(bed, false);
	assert_int_equal(ch->target_vp, 3);
	bed_free(bed);
}

static void test_release_waits_for_an_outstanding_modify(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	bed_open(bed, 1, 7);
	bed->hold_modify = true;
	post_modify(bed, 1, 2);
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	post_relid(bed, 13, 1);
	bed_expect_event(bed, VMB_HOST_EVENT_MODIFY);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_no_event(bed);
	vmb_host_channel_modified(ch, 0);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_free(bed);
}

/*
 * Revoked and gone for the guest, but its device still has to confirm something: nobody is offered
 * that.
 */
static void test_revoked_channel_is_not_offered_to_the_next_guest(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel *ch = bed->s.channels[1];

	bed_open(bed, 1, 7);
	bed->hold_modify = true;
	post_modify(bed, 1, 2);
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	post_simple(bed, 3);
	assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 2);
	bed_expect(bed, 4, 8);
	bed_expect_nothing(bed);
	vmb_host_channel_modified(ch, 0);
	bed_pump(bed);
	assert_ptr_equal(bed_expect_event(bed, VMB_HOST_EVENT_RELEASED)->channel, ch);
	bed_expect_nothing(bed);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_reaches_the_device_before_its_result),
		cmocka_unit_test(test_device_failure_reaches_the_guest),
		cmocka_unit_test(test_bad_open_gets_a_failure),
		cmocka_unit_test(test_ring_of_odd_shape_gets_a_failure),
		cmocka_unit_test(test_ring_teardown_waits_for_the_device),
		cmocka_unit_test(test_open_while_closing_is_remembered),
		cmocka_unit_test(test_remembered_open_of_a_torn_ring_fails),
		cmocka_unit_test(test_open_before_the_last_result_left_comes_again),
		cmocka_unit_test(test_foreign_relids_are_dropped),
		cmocka_unit_test(test_hot_added_device_is_offered_at_once),
		cmocka_unit_test(test_device_added_before_offers_were_asked_for_waits),
		cmocka_unit_test(test_rescind_closes_then_tells_then_waits_for_release),
		cmocka_unit_test(test_revoked_channel_ignores_open_and_takes_gpadls),
		cmocka_unit_test(test_torndown_precedes_rescind),
		cmocka_unit_test(test_rescind_waits_for_a_teardown_in_use),
		cmocka_unit_test(test_no_result_follows_rescind),
		cmocka_unit_test(test_rescind_before_open_event_is_taken_never_opens),
		cmocka_unit_test(test_rescind_before_the_offer_left_tells_nothing),
		cmocka_unit_test(test_rescind_of_an_offer_under_way_follows_it),
		cmocka_unit_test(test_rescind_while_disconnected_releases_at_once),
		cmocka_unit_test(test_disconnect_releases_revoked_channels),
		cmocka_unit_test(test_same_device_is_offered_again_only_after_release),
		cmocka_unit_test(test_guest_may_let_go_of_a_channel_that_stays),
		cmocka_unit_test(test_modify_is_answered_from_5_3_when_done),
		cmocka_unit_test(test_modify_is_never_answered_before_5_3),
		cmocka_unit_test(test_modify_without_interrupts_fails),
		cmocka_unit_test(test_modify_that_outlives_the_open_changes_nothing),
		cmocka_unit_test(test_release_waits_for_an_outstanding_modify),
		cmocka_unit_test(test_revoked_channel_is_not_offered_to_the_next_guest),
	};

	return cmocka_run_group_tests_name("host_channel", tests, NULL, NULL);
}
