// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is different on connections below 2.4, Windows Server 2008 and 2008 R2: the interrupt page,
 * shorter offers, few channels, no answer to UNLOAD.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

static const uint8_t refusal[16] = { 15 };
static const uint8_t accept_0_13[16] = { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 13, 0, 0, 0 };
static const uint8_t accept_1_1[16] = { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0 };
static const uint8_t accept_2_4[16] = { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 2, 0 };

static void expect_response(struct bed *bed, const uint8_t bytes[16])
{
	assert_memory_equal(bed_expect(bed, 15, 16), bytes, 16);
	assert_int_equal(bed->messages[bed->message_next - 1].vp, 0);
	bed_expect_nothing(bed);
}

/* Before 2.4 there is no connection state: the version is refused. */
static void test_lone_monitor_page_refuses_an_old_version(void **state)
{
	static const uint32_t old[] = { 0xD, 0x10001 };
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	uint32_t i;

	put64(m, 16, 0x105000);
	for (i = 0; i < 4; i++) {
		put32(m, 8, old[i % 2]);
		put64(m, 24, i & 2 ? 0x5000 : 0);
		put64(m, 32, i & 2 ? 0 : 0x6000);
		assert_int_equal(bed_post(bed, m, 40), 0);
		expect_response(bed, refusal);
	}
	bed_free(bed);
}

/* Without it there is no way to interrupt the guest. */
static void test_old_version_needs_an_interrupt_page_in_memory(void **state)
{
	static const uint64_t bad[] = { 0, 0xFF000, 0x105001, 0x105800, 0x10100000, ~0ull };
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		put32(m, 8, i & 1 ? 0x10001 : 0xD);
		put64(m, 16, bad[i]);
		assert_int_equal(bed_post(bed, m, 40), 0);
		expect_response(bed, refusal);
		assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
		assert_int_equal(bed->s.interrupt_page_gpa, 0);
		put32(m, 8, 0x20004); /* which does not look at it */
		assert_int_equal(bed_post(bed, m, 40), 0);
		expect_response(bed, accept_2_4);
		assert_int_equal(bed->s.interrupt_page_gpa, 0);
		assert_int_equal(post_simple(bed, 16), 0);
		bed_forget(bed);
	}
	put32(m, 8, 0xD);
	put64(m, 16, 0x105000);
	assert_int_equal(bed_post(bed, m, 40), 0);
	expect_response(bed, accept_0_13);
	assert_int_equal(bed->s.interrupt_page_gpa, 0x105000);
	vmb_host_server_reset(&bed->s);
	bed_pump(bed);
	assert_int_equal(bed->s.interrupt_page_gpa, 0);
	bed_free(bed);
}

/* Of 196 bytes always: in-tree guests take nothing shorter. What the version does not know is 0. */
static void test_offers_before_1_1_end_in_zeros(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t want[196] = { 1 };

	bed_device(bed, 0x10, 0);
	assert_int_equal(post_contact(bed, 0xD, 0), 0);
	bed_forget(bed);
	assert_int_equal(post_simple(bed, 3), 0);
	memset(want + 8, 0xA0, 16);
	memset(want + 24, 0x10, 16);
	put16(want, 56, 1);
	memset(want + 60, 0x55, 120);
	put32(want, 184, 1);
	want[188] = 0xFF;
	assert_memory_equal(bed_expect(bed, 1, 196), want, 196);
	bed_expect(bed, 4, 8);
	assert_int_equal(post_contact(bed, 0x10001, 0), 0);
	bed_forget(bed);
	assert_int_equal(post_simple(bed, 3), 0);
	assert_int_equal(get32(bed_expect(bed, 1, 196), 192), 0x2001);
	bed_free(bed);
}

/* Half of the interrupt page has room for more, but guests look at 256 bits. */
static void test_before_2_4_only_relids_below_256_are_offered(void **state)
{
	static const uint32_t versions[] = { 0xD, 0x10001, 0x20004 };
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *ch;
	uint32_t i, v, count;

	for (i = 1; i <= 300; i++) {
		ch = bed_device(bed, (uint8_t)i, 0);
		ch->instance_id.bytes[1] = (uint8_t)(i >> 8);
	}
	for (v = 0; v < 3; v++) {
		count = v < 2 ? 255 : 302; /* with those of the rounds before */
		assert_int_equal(post_contact(bed, versions[v], 0), 0);
		bed_forget(bed);
		assert_int_equal(post_simple(bed, 3), 0);
		for (i = 1; i <= count; i++)
			assert_int_equal(get32(bed_expect(bed, 1, 196), 184), i);
		bed_expect(bed, 4, 8);
		bed_device(bed, 0xF0, 0)->instance_id.bytes[2] = (uint8_t)v; /* relid 301 and up */
		if (v == 2)
			assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 303);
		bed_expect_nothing(bed);
		assert_int_equal(post_gpadl(bed, 301, 9, 8), 0); /* the guest knows nothing of it */
		assert_int_equal(bed->gpadls_lent, v < 2 ? 0 : 1);
	}
	bed_free(bed);
}

static void test_sub_channels_need_2_4(void **state)
{
	struct vmb_host_channel sub = { 0 };
	struct bed *bed;
	uint32_t v;

	for (v = 0; v < 3; v++) {
		bed = bed_new(0, 0);
		bed_device(bed, 1, 0);
		bed_connect(bed, v == 0 ? 0xD : v == 1 ? 0x10001 : 0x20004);
		bed_open(bed, 1, 7);
		if (v < 2) {
			sub.type_id = bed->s.channels[1]->type_id;
			sub.instance_id = bed->s.channels[1]->instance_id;
			sub.sub_channel_index = 1;
			assert_int_equal(vmb_host_channel_offer(&bed->s, &sub), VMB_EOPNOTSUPP);
			assert_int_equal(bed->s.channels[1]->target_vp, 0);
		} else {
			bed_device(bed, 1, 1);
			bed_expect(bed, 1, 196);
			assert_int_equal(bed->s.channels[1]->target_vp, 1);
		}
		bed_free(bed);
	}
}

/* UNLOAD_COMPLETE came with 1.1; before, the guest hears nothing, and may connect again at once. */
static void test_unload_before_1_1_has_no_answer(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0xD);
	bed_open(bed, 1, 0x101);
	assert_int_equal(post_simple(bed, 16), 0);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_nothing(bed);
	assert_int_equal(post_contact(bed, 0xD, 0), 0);
	expect_response(bed, accept_0_13);
	assert_int_equal(post_simple(bed, 16), 0);
	assert_int_equal(post_contact(bed, 0x10001, 0), 0);
	expect_response(bed, accept_1_1);
	assert_int_equal(post_simple(bed, 16), 0);
	bed_expect(bed, 17, 8);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/*
 * What iPXE says: it looks whether 3.0 is there, leaves again, and lives on 0.13, with ids of its
 * own liking.
 */
static void test_3_0_then_unload_then_0_13_is_a_life(void **state)
{
	struct bed *bed = bed_new(0, 0);
	const uint8_t *m;
	uint32_t round;

	bed_device(bed, 0x10, 0);
	for (round = 0; round < 3; round++) {
		assert_int_equal(post_contact(bed, 0x30000, 0), 0);
		assert_int_equal(get32(bed_expect(bed, 15, 16), 12), 0x30000);
		assert_int_equal(post_simple(bed, 16), 0);
		bed_expect(bed, 17, 8);
		assert_int_equal(post_contact(bed, 0xD, 0), 0);
		expect_response(bed, accept_0_13);
		assert_int_equal(post_simple(bed, 3), 0);
		m = bed_expect(bed, 1, 196);
		assert_int_equal(get32(m, 184), 1);
		assert_int_equal(get32(m, 192), 0);
		bed_expect(bed, 4, 8);
		assert_int_equal(post_gpadl(bed, 1, 0x18AE0000 + round, 8), 0);
		bed_expect(bed, 10, 20);
		assert_int_equal(post_open(bed, 1, 0xC0FFEE, 0x18AE0000 + round, 3, 4), 0);
		assert_int_equal(get32(bed_expect(bed, 6, 20), 12), 0xC0FFEE);
		assert_int_equal(bed->s.channels[1]->target_vp, 0); /* whatever it asks for */
		if (round) { /* once it leaves all open, and the next contact finds nothing of it */
			assert_int_equal(post_relid(bed, 7, 1), 0);
			assert_int_equal(post_teardown(bed, 1, 0x18AE0000 + round), 0);
			bed_expect(bed, 12, 12);
			assert_int_equal(post_simple(bed, 16), 0);
		}
		bed_expect_nothing(bed); /* 0.13 does not answer UNLOAD */
	}
	bed_free(bed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lone_monitor_page_refuses_an_old_version),
		cmocka_unit_test(test_old_version_needs_an_interrupt_page_in_memory),
		cmocka_unit_test(test_offers_before_1_1_end_in_zeros),
		cmocka_unit_test(test_before_2_4_only_relids_below_256_are_offered),
		cmocka_unit_test(test_sub_channels_need_2_4),
		cmocka_unit_test(test_unload_before_1_1_has_no_answer),
		cmocka_unit_test(test_3_0_then_unload_then_0_13_is_a_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
