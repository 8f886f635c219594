// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sub-channels at the host: how long they live, and who may end them. */
#include <setjmp.h>
#include <stdarg.h>
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

static void test_sub_channel_lives_with_its_primary_and_connection(void **state)
{
	struct bed *bed = connected(0x50003);
	struct vmb_host_channel early = { 0 };
	const uint8_t *m;

	early.type_id = bed->s.channels[1]->type_id;
	early.instance_id = bed->s.channels[1]->instance_id;
	early.sub_channel_index = 1;
	assert_int_equal(vmb_host_channel_offer(&bed->s, &early), VMB_EINVAL);
	bed_open(bed, 1, 7);
	bed_device(bed, 1, 1);
	m = bed_expect(bed, 1, 196);
	assert_int_equal(get32(m, 184), 3);
	assert_int_equal(m[180], 1);
	post_contact(bed, 0x50003, 0);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_CONTACT);
	bed_free(bed);
}

/* The offer of device 1's sub-channel index: its relid. */
static uint32_t offer_sub_channel(struct bed *bed, uint16_t index)
{
	const uint8_t *m;

	bed_device(bed, 1, index);
	m = bed_expect(bed, 1, 196);
	assert_int_equal(m[180], index);
	return get32(m, 184);
}

static void test_closing_the_primary_rescinds_sub_channels(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t open, closed;

	bed_open(bed, 1, 7);
	open = offer_sub_channel(bed, 1);
	closed = offer_sub_channel(bed, 2);
	bed_open(bed, open, 8);
	bed_forget(bed);
	bed->hold_close = true;
	post_relid(bed, 7, 1);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	assert_int_equal(bed_expect_event(bed, VMB_HOST_EVENT_CLOSE)->channel->relid, open);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), closed);
	bed_expect_nothing(bed); /* not before the device has let go */
	vmb_host_channel_closed(bed->s.channels[open]);
	bed_pump(bed);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), open);
	vmb_host_channel_closed(bed->s.channels[1]);
	post_relid(bed, 13, closed);
	post_teardown(bed, open, 8);
	post_relid(bed, 13, open);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	assert_null(bed->s.channels[open]);
	bed_free(bed);
}

static void test_sub_channel_that_the_guest_lets_go_is_released(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t relid;

	bed_open(bed, 1, 7);
	relid = offer_sub_channel(bed, 1);
	bed_open(bed, relid, 8);
	bed_forget(bed);
	post_relid(bed, 13, relid); /* open: misplaced */
	bed_expect_no_event(bed);
	bed->hold_close = true;
	post_relid(bed, 7, relid);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	post_relid(bed, 13, relid);
	bed_expect_no_event(bed);
	vmb_host_channel_closed(bed->s.channels[relid]);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_expect_nothing(bed); /* no rescind of what the guest has forgotten */
	assert_int_equal(offer_sub_channel(bed, 1), relid);
	bed_free(bed);
}

static void test_rescinding_the_primary_takes_its_sub_channels_along(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t relid;

	bed_open(bed, 1, 7);
	relid = offer_sub_channel(bed, 1);
	bed_device(bed, 9, 0);
	bed_forget(bed);
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), relid);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), 1);
	bed_expect_nothing(bed); /* the other device stays */
	bed_free(bed);
}

/*
 * Whatever order the devices let go in: who hears that a primary is gone has heard that of its
 * sub-channels.
 */
static void test_primary_is_rescinded_last(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t first, second;

	bed_open(bed, 1, 7);
	first = offer_sub_channel(bed, 1);
	second = offer_sub_channel(bed, 2);
	bed_open(bed, first, 8);
	bed_open(bed, second, 9);
	bed->hold_close = true;
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_nothing(bed);
	post_teardown(bed, first, 8); /* answered before its rescind, and not before it is closed */
	vmb_host_channel_closed(bed->s.channels[second]);
	bed_pump(bed);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), second);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(bed->s.channels[first]);
	bed_pump(bed);
	assert_int_equal(get32(bed_expect(bed, 12, 12), 8), 8);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), first);
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), 1);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/* A sub-channel that the guest lets go of by itself keeps its primary waiting no longer. */
static void test_primary_does_not_wait_for_what_the_guest_forgot(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t relid;

	bed_open(bed, 1, 7);
	relid = offer_sub_channel(bed, 1);
	bed_open(bed, relid, 8);
	bed->hold_close = true;
	post_relid(bed, 7, relid);
	vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_nothing(bed);
	post_relid(bed, 13, relid); /* while its device is still closing */
	assert_int_equal(get32(bed_expect(bed, 2, 12), 8), 1);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(bed->s.channels[relid]);
	bed_free(bed);
}

/* The guest lets go of the last round's sub-channels only after it was offered this round's. */
static void test_sub_channels_of_100_lives_leave_nothing_behind(void **state)
{
	struct bed *bed = connected(0x50003);
	uint32_t relids[3] = { 0 }, before[3], known = 0;

	for (uint32_t round = 0; round < 100; round++) {
		bed_forget(bed);
		bed_open(bed, 1, 7);
		bed_forget(bed);
		memcpy(before, relids, sizeof(before));
		for (uint16_t i = 0; i < 3; i++) {
			relids[i] = offer_sub_channel(bed, i + 1);
			assert_int_not_equal(relids[i], before[i]);
		}
		for (uint32_t i = 0; i < 3 && round; i++)
			post_relid(bed, 13, before[i]);
		bed_open(bed, relids[round % 3], 8);
		post_relid(bed, 7, 1);
		post_teardown(bed, relids[round % 3], 8);
		post_teardown(bed, 1, 7);
	}
	for (uint32_t i = 0; i < 3; i++)
		post_relid(bed, 13, relids[i]);
	for (const struct vmb_host_channel *ch = bed->s.first; ch; ch = ch->next)
		known++;
	assert_int_equal(known, 2); /* the devices of connected() */
	assert_int_equal(bed->gpadls_lent, 0);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sub_channel_lives_with_its_primary_and_connection),
		cmocka_unit_test(test_closing_the_primary_rescinds_sub_channels),
		cmocka_unit_test(test_sub_channel_that_the_guest_lets_go_is_released),
		cmocka_unit_test(test_rescinding_the_primary_takes_its_sub_channels_along),
		cmocka_unit_test(test_primary_is_rescinded_last),
		cmocka_unit_test(test_primary_does_not_wait_for_what_the_guest_forgot),
		cmocka_unit_test(test_sub_channels_of_100_lives_leave_nothing_behind),
	};

	return cmocka_run_group_tests_name("host_sub_channel", tests, NULL, NULL);
}
