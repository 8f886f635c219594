// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host's message engine: posts, negotiation, offers, disconnects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

/* Posts */

static void test_foreign_connection_is_refused(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	uint32_t id;

	put32(m, 8, 0x50003);
	m[16] = 2;
	for (id = 0; id < 10; id++)
		if (id != 1 && id != 4)
			assert_int_equal(vmb_host_server_input(&bed->s, id, 1, m, 40), 0x12);
	assert_int_equal(vmb_host_server_input(&bed->s, 0x2001, 1, m, 40), 0x12);
	assert_null(vmb_host_server_output(&bed->s));
	assert_int_equal(vmb_host_server_input(&bed->s, 4, 1, m, 40), 0);
	bed_pump(bed);
	bed_expect(bed, 15, 16);
	bed_free(bed);
}

static void test_bad_type_or_length_is_refused(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[241] = { 14 };

	assert_int_equal(vmb_host_server_input(&bed->s, 1, 0, m, 40), 5);
	assert_int_equal(vmb_host_server_input(&bed->s, 1, 2, m, 40), 5);
	assert_int_equal(vmb_host_server_input(&bed->s, 1, 1, m, 7), 5);
	assert_int_equal(vmb_host_server_input(&bed->s, 1, 1, m, 0), 5);
	assert_int_equal(vmb_host_server_input(&bed->s, 1, 1, m, 241), 5);
	assert_int_equal(bed->s.counters.messages_in, 0);
	assert_int_equal(vmb_host_server_input(&bed->s, 1, 1, m, 240), 0);
	assert_int_equal(bed->s.counters.messages_in, 1);
	bed_free(bed);
}

static void test_post_before_events_are_taken_comes_again(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed->hold_events = true;
	assert_int_equal(post_contact(bed, 0x50003, 0), 0);
	assert_int_equal(post_simple(bed, 3), 0x13);
	bed_expect_nothing(bed);
	bed->hold_events = false;
	bed_pump(bed);
	bed_expect(bed, 15, 16);
	assert_int_equal(post_simple(bed, 3), 0);
	bed_free(bed);
}

/* Negotiation */

static void expect_response(struct bed *bed, const uint8_t *bytes, uint32_t len, uint32_t vp)
{
	assert_memory_equal(bed_expect(bed, 15, len), bytes, len);
	assert_int_equal(bed->messages[bed->message_next - 1].vp, vp);
	assert_int_equal(bed->messages[bed->message_next - 1].sint, 2);
	bed_expect_nothing(bed);
}

static const struct {
	uint32_t version;
	uint32_t len;
	uint32_t vp; /* when the guest asks for VP 3 */
	uint8_t response[20];
} accepted[] = {
	{ 0xD, 16, 0, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 13, 0, 0, 0 } },
	{ 0x10001, 16, 0, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0 } },
	{ 0x20004, 16, 0, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 2, 0 } },
	{ 0x30000, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0 } },
	{ 0x40000, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0 } },
	{ 0x40001, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0 } },
	{ 0x50000, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 } },
	{ 0x50001, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 } },
	{ 0x50002, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 } },
	{ 0x50003, 16, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0 } },
	{ 0x60000, 20, 3, { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 } },
};

static const uint8_t refusal[16] = { 15 };

static void test_known_version_is_accepted(void **state)
{
	struct bed *bed = bed_new(0, 0);
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(accepted); i++) {
		assert_int_equal(post_contact(bed, accepted[i].version, 3), 0);
		expect_response(bed, accepted[i].response, accepted[i].len, accepted[i].vp);
		assert_int_equal(bed->s.version, accepted[i].version);
		bed_expect_event(bed, VMB_HOST_EVENT_CONTACT);
		bed_expect_no_event(bed);
	}
	bed_free(bed);
}

static void test_version_outside_bounds_is_refused_with_16_bytes(void **state)
{
	static const uint32_t outside[] = { 0,	     0xD,     0x10001, 0x20003,	  0x20004,
					    0x30001, 0x50003, 0x60000, 0x60001,	  0x70000,
					    0x50004, 0x40002, ~0u,     0x80050000 };
	struct bed *bed = bed_new(0x30000, 0x50002);
	uint8_t m[40] = { 14 };
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(outside); i++) {
		put32(m, 8, outside[i]);
		m[16] = outside[i] >= 0x50000 ? 2 : 0;
		assert_int_equal(bed_post(bed, m, 40), 0);
		expect_response(bed, refusal, 16, 0);
		assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
	}
	assert_int_equal(post_contact(bed, 0x30000, 0), 0);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	assert_int_equal(post_contact(bed, 0x50002, 0), 0);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	bed_free(bed);
}

static void test_refused_contact_leaves_disconnected(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	assert_int_equal(post_contact(bed, 0xC, 0), 0);
	expect_response(bed, refusal, 16, 0);
	assert_int_equal(post_simple(bed, 3), 0);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.misplaced, 1);
	bed_free(bed);
}

/* 40 and 56 bytes, feature bits: nothing is granted. */
static void test_features_are_not_granted(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[56] = { 14 };

	put32(m, 8, 0x60000);
	m[16] = 2;
	put32(m, 20, 0xFF);
	memset(m + 40, 0xC1, 16);
	assert_int_equal(bed_post(bed, m, 56), 0);
	expect_response(bed, accepted[10].response, 20, 0);
	put32(m, 20, 0);
	assert_int_equal(bed_post(bed, m, 40), 0);
	expect_response(bed, accepted[10].response, 20, 0);
	bed_free(bed);
}

static void test_lone_monitor_page_is_answered_with_state_2(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };
	int which;

	put32(m, 8, 0x30000);
	for (which = 0; which < 2; which++) {
		put64(m, 24, which ? 0 : 0x5000);
		put64(m, 32, which ? 0x6000 : 0);
		assert_int_equal(bed_post(bed, m, 40), 0);
		assert_int_equal(bed->messages[which].bytes[8], 1);
		assert_int_equal(bed->messages[which].bytes[9], 2);
		assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
	}
	put64(m, 24, 0x5000);
	assert_int_equal(bed_post(bed, m, 40), 0);
	assert_int_equal(bed->messages[2].bytes[9], 0);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	bed_free(bed);
}

/* The host of a Windows Server says no to all that is younger. */
static void test_version_max_caps_every_version(void **state)
{
	struct bed *bed;
	size_t i, j;

	for (i = 0; i < VMB_ARRAY_COUNT(accepted); i++) {
		bed = bed_new(0, accepted[i].version);
		for (j = 0; j < VMB_ARRAY_COUNT(accepted); j++) {
			assert_int_equal(post_contact(bed, accepted[j].version, 0), 0);
			if (j > i)
				expect_response(bed, refusal, 16, 0);
			else
				expect_response(bed, accepted[j].response, accepted[j].len, 0);
		}
		bed_free(bed);
	}
}

static void test_impossible_vp_is_refused_on_vp_0(void **state)
{
	struct bed *bed = bed_new(0, 0);

	assert_int_equal(post_contact(bed, 0x50003, BED_VP_COUNT), 0);
	expect_response(bed, refusal, 16, 0);
	assert_int_equal(post_contact(bed, 0x50003, ~0u), 0);
	expect_response(bed, refusal, 16, 0);
	assert_int_equal(post_contact(bed, 0x20004, ~0u), 0);
	expect_response(bed, accepted[2].response, 16, 0);
	bed_free(bed);
}

/* Another SINT or trust level is another client: refused where it listens, while ours goes on. */
static void test_contact_for_another_sint_is_refused_there(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[40] = { 14 };

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	put32(m, 8, 0x50003);
	put32(m, 12, 2);
	m[16] = 7;
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	assert_memory_equal(bed_expect(bed, 15, 16), refusal, 16);
	assert_int_equal(bed->messages[0].sint, 7);
	assert_int_equal(bed->messages[0].vp, 2);
	assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
	m[16] = 99;
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	bed_expect(bed, 15, 16);
	assert_int_equal(bed->messages[1].sint, 2);
	m[16] = 2;
	m[17] = 2; /* VTL 2: since 5.1 */
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	assert_memory_equal(bed_expect(bed, 15, 16), refusal, 16);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	put32(m, 8, 0x50000); /* which has no such byte */
	put32(m, 12, 0);
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	assert_memory_equal(bed_expect(bed, 15, 16), accepted[6].response, 16);
	bed_free(bed);
}

/*
 * Hyper-V's firmware for Generation 2 contacts on connection 1, whatever the version, and leaves
 * SINT and trust level 0: these two count on connection 4 only. It also asks for a feature and
 * sends the longer contact that goes with it.
 */
static void test_sint_and_vtl_do_not_count_on_connection_1(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[56] = { 14 };
	uint32_t sint, vtl;

	put32(m, 8, 0x60000);
	put32(m, 20, 0x08);
	memset(m + 40, 0xC1, 16);
	for (sint = 0; sint < 4; sint++) {
		for (vtl = 0; vtl < 2; vtl++) {
			m[16] = (uint8_t)sint;
			m[17] = (uint8_t)vtl;
			assert_int_equal(bed_post_on(bed, 1, m, 56), 0);
			expect_response(bed, accepted[10].response, 20, 0);
			assert_int_equal(bed->s.state, VMB_HOST_CONNECTED);
		}
	}
	m[16] = 0;
	assert_int_equal(bed_post_on(bed, 4, m, 56), 0);
	assert_memory_equal(bed_expect(bed, 15, 16), refusal, 16);
	bed_free(bed);
}

static void test_bad_config_is_refused(void **state)
{
	struct vmb_host_server *s = calloc(1, sizeof(*s));
	struct vmb_host_server_config config = { 0 };

	assert_non_null(s);
	assert_int_equal(vmb_host_server_init(s, &config), VMB_EINVAL);
	config.vp_count = 1;
	assert_int_equal(vmb_host_server_init(s, &config), 0);
	config.version_max = 0x50004;
	assert_int_equal(vmb_host_server_init(s, &config), VMB_EINVAL);
	config.version_max = 0x30000;
	config.version_min = 0x40000;
	assert_int_equal(vmb_host_server_init(s, &config), VMB_EINVAL);
	free(s);
}

/* Offers */

static void test_offers_come_in_order_with_exact_bytes(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t want[196] = { 1 };
	uint32_t i;

	for (i = 1; i <= 5; i++)
		bed_device(bed, (uint8_t)(0x10 * i), 0);
	assert_int_equal(post_contact(bed, 0x50003, 0), 0);
	bed_forget(bed);
	assert_int_equal(post_simple(bed, 3), 0);
	memset(want + 8, 0xA0, 16);
	put16(want, 56, 1);
	memset(want + 60, 0x55, 120);
	want[188] = 0xFF;
	want[190] = 1;
	for (i = 1; i <= 5; i++) {
		memset(want + 24, (int)(0x10 * i), 16);
		put32(want, 184, i);
		put32(want, 192, 0x2000 + i);
		assert_memory_equal(bed_expect(bed, 1, 196), want, 196);
	}
	bed_expect(bed, 4, 8);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_second_request_is_ignored(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x40000);
	assert_int_equal(post_simple(bed, 3), 0);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.misplaced, 1);
	bed_free(bed);
}

static void test_relids_are_stable_over_reconnects(void **state)
{
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *second;
	int round;

	bed_device(bed, 1, 0);
	second = bed_device(bed, 2, 0);
	bed_device(bed, 3, 0);
	vmb_host_channel_rescind(second);
	bed_pump(bed);
	for (round = 0; round < 3; round++) {
		post_contact(bed, 0x50003, 0);
		bed_forget(bed);
		post_simple(bed, 3);
		assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 1);
		assert_int_equal(get32(bed_expect(bed, 1, 196), 184), 3);
		bed_expect(bed, 4, 8);
	}
	bed_free(bed);
}

static void test_full_queue_delivers_every_offer(void **state)
{
	struct bed *bed = bed_new(0, 0);
	const uint32_t count = VMB_CHANNEL_COUNT_MAX - 1;
	struct vmb_host_channel extra = { 0 };
	uint32_t i;

	for (i = 1; i <= count; i++) {
		struct vmb_host_channel *ch = calloc(1, sizeof(*ch));

		assert_non_null(ch);
		put32(ch->instance_id.bytes, 0, i);
		assert_int_equal(vmb_host_channel_offer(&bed->s, ch), 0);
		assert_true(ch->connection_id > 4 && ch->connection_id <= 0x00FFFFFF);
		assert_int_equal(ch->connection_id, 0x2000 | i);
	}
	assert_int_equal(vmb_host_channel_offer(&bed->s, &extra), VMB_EAGAIN);
	post_contact(bed, 0x50003, 0);
	bed_forget(bed);
	bed->slot_busy = true;
	assert_int_equal(post_simple(bed, 3), 0);
	bed_expect_nothing(bed);
	bed->slot_busy = false;
	bed_pump(bed);
	for (i = 1; i <= count; i++)
		assert_int_equal(get32(bed_expect(bed, 1, 196), 184), i);
	bed_expect(bed, 4, 8);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_busy_slot_shows_the_same_message_again(void **state)
{
	struct bed *bed = bed_new(0, 0);
	const struct vmb_host_server_output *out;
	uint8_t first[240];

	bed_device(bed, 1, 0);
	bed->slot_busy = true;
	post_contact(bed, 0x50003, 0);
	post_simple(bed, 3);
	out = vmb_host_server_output(&bed->s);
	assert_non_null(out);
	assert_int_equal(out->len, 16);
	memcpy(first, out->payload, out->len);
	bed_device(bed, 2, 0);
	out = vmb_host_server_output(&bed->s);
	assert_memory_equal(out->payload, first, 16);
	vmb_host_server_output_done(&bed->s);
	vmb_host_server_output_done(&bed->s); /* one message left, not two */
	out = vmb_host_server_output(&bed->s);
	assert_int_equal(get32(out->payload, 0), 1);
	assert_int_equal(get32(out->payload, 184), 1);
	bed_free(bed);
}

/* Messages of kinds that hold something until they left: GPADL answers, OPEN_RESULT. */
static void test_undeliverable_message_lets_those_behind_it_go(void **state)
{
	struct bed *bed = bed_new(0, 0);
	const struct vmb_host_server_output *out;
	uint8_t m[40] = { 14 };
	uint32_t i;

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	bed->slot_busy = true;
	put32(m, 8, 0x50003);
	put32(m, 12, 3); /* VP 3 has no SynIC */
	m[16] = 7;
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0x13); /* one at a time */
	assert_int_equal(post_gpadl(bed, 1, 5, 8), 0);
	assert_int_equal(post_open(bed, 1, 77, 5, 0, 4), 0);
	out = vmb_host_server_output(&bed->s);
	assert_int_equal(out->target_vp, 3);
	assert_int_equal(out->target_sint, 7);
	vmb_host_server_output_drop(&bed->s);
	vmb_host_server_output_drop(&bed->s); /* one message, not two */
	assert_int_equal(bed->s.counters.undelivered, 1);
	bed->slot_busy = false;
	bed_pump(bed);
	bed_expect(bed, 10, 20);
	assert_int_equal(get32(bed_expect(bed, 6, 20), 12), 77);
	bed_expect_nothing(bed);
	assert_int_equal(bed_post_on(bed, 4, m, 40), 0);
	bed_expect(bed, 15, 16);
	/* Room for answers comes back as if they had been delivered. */
	for (i = 0; i < 2 * VMB_HOST_ANSWER_COUNT_MAX; i++) {
		bed->slot_busy = true;
		assert_int_equal(post_gpadl(bed, 1, 6, 0), 0);
		assert_non_null(vmb_host_server_output(&bed->s));
		vmb_host_server_output_drop(&bed->s);
	}
	bed->slot_busy = false;
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.counters.undelivered, 1 + 2 * VMB_HOST_ANSWER_COUNT_MAX);
	bed_free(bed);
}

/* Disconnecting */

/* Two devices, one open with its ring and a second GPADL, one with a GPADL half sent. */
static struct bed *busy_bed(uint32_t version)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[240] = { 8 };

	bed_device(bed, 1, 0);
	bed_device(bed, 2, 0);
	bed_connect(bed, version);
	bed_open(bed, 1, 0x101);
	assert_int_equal(post_gpadl(bed, 1, 0x102, 3), 0);
	put32(m, 8, 2);
	put32(m, 12, 0x103);
	put16(m, 16, 8 + 8 * 100);
	put16(m, 18, 1);
	put32(m, 20, 4096 * 100);
	assert_int_equal(bed_post(bed, m, 240), 0);
	assert_int_equal(bed->gpadls_lent, 3);
	bed_forget(bed);
	return bed;
}

static void expect_torn_down(struct bed *bed)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	assert_int_equal(bed->gpadls_lent, 0);
}

static void test_unload_completes_after_everything_closed(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->hold_close = true;
	assert_int_equal(post_simple(bed, 16), 0);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_no_event(bed);
	bed_expect_nothing(bed);
	assert_int_equal(bed->gpadls_lent, 1); /* the ring of the device that still runs */
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_no_event(bed);
	bed_expect(bed, 17, 8);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_contact_while_connected_disconnects_silently(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->hold_close = true;
	assert_int_equal(post_contact(bed, 0x40000, 2), 0);
	bed_expect_nothing(bed);
	assert_int_equal(post_simple(bed, 3), 0); /* not yet */
	assert_int_equal(post_relid(bed, 7, 1), 0);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	expect_torn_down(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CONTACT);
	expect_response(bed, accepted[4].response, 16, 2);
	assert_int_equal(post_relid(bed, 7, 1), 0); /* not visible in this connection */
	assert_int_equal(bed->s.counters.misplaced, 2);
	assert_int_equal(bed->s.counters.malformed, 1);
	bed_free(bed);
}

static void test_contact_while_disconnecting_replaces_the_first(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->hold_close = true;
	post_contact(bed, 0x40000, 2);
	post_contact(bed, 0x30000, 1);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	expect_response(bed, accepted[3].response, 16, 1);
	bed_free(bed);
}

static void test_unload_while_disconnecting_replaces_the_contact(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->hold_close = true;
	post_contact(bed, 0x40000, 2);
	post_simple(bed, 16);
	bed_expect_nothing(bed);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	bed_expect(bed, 17, 8);
	assert_int_equal(bed->messages[0].vp, 2);
	bed_expect_nothing(bed);
	assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTED);
	bed_free(bed);
}

static void test_contact_after_unload_gets_only_its_answer(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->hold_close = true;
	post_simple(bed, 16);
	post_contact(bed, 0x30000, 1);
	vmb_host_channel_closed(bed->s.channels[1]);
	bed_pump(bed);
	expect_response(bed, accepted[3].response, 16, 1);
	bed_free(bed);
}

static void test_disconnect_drops_what_waits(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	bed->slot_busy = true;
	post_teardown(bed, 1, 0x102);
	post_gpadl(bed, 2, 0x104, 3);
	vmb_host_channel_rescind(bed->s.channels[2]);
	assert_non_null(vmb_host_server_output(&bed->s));
	post_contact(bed, 0x40000, 0);
	vmb_host_server_output_done(&bed->s); /* of the one that the disconnect took away */
	bed->slot_busy = false;
	bed_pump(bed);
	expect_response(bed, accepted[4].response, 16, 0);
	assert_int_equal(bed->s.answer_count, 0);
	bed_free(bed);
}

/*
 * The device is still opening when the guest resets: its success must be undone, and nothing may
 * wait for ever.
 */
static void test_contact_while_opening_closes_after_opened(void **state)
{
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *ch = bed_device(bed, 1, 0);
	uint32_t result;

	for (result = 0; result < 2; result++) {
		bed_connect(bed, 0x50003);
		post_gpadl(bed, 1, 7, 8);
		bed->hold_open = true;
		post_open(bed, 1, 9, 7, 0, 4);
		bed_forget(bed);
		post_contact(bed, 0x50003, 0);
		bed_expect_nothing(bed);
		bed_expect_no_event(bed);
		vmb_host_channel_opened(ch, result);
		bed_pump(bed);
		if (!result)
			bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
		bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
		bed_expect_event(bed, VMB_HOST_EVENT_CONTACT);
		bed_expect(bed, 15, 16);
		bed_expect_nothing(bed);
	}
	bed_free(bed);
}

static void test_reset_is_silent(void **state)
{
	struct bed *bed = busy_bed(0x50003);

	vmb_host_server_reset(&bed->s);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_CLOSE);
	expect_torn_down(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_no_event(bed);
	bed_expect_nothing(bed);
	vmb_host_server_reset(&bed->s);
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_reset_before_open_event_is_taken_never_opens(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	post_gpadl(bed, 1, 7, 8);
	bed_forget(bed);
	bed->hold_events = true;
	post_open(bed, 1, 9, 7, 0, 4);
	vmb_host_server_reset(&bed->s);
	bed->hold_events = false;
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_no_event(bed);
	bed_free(bed);
}

static void test_reset_while_memory_is_wanted_gives_it_back(void **state)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	bed->hold_memory = true;
	assert_int_equal(post_gpadl(bed, 1, 7, 8), 0);
	assert_int_equal(post_simple(bed, 16), 0x13);
	vmb_host_server_reset(&bed->s);
	bed_pump(bed);
	assert_int_equal(bed->s.state, VMB_HOST_DISCONNECTING);
	bed_forget(bed);
	{
		struct vmb_host_gpadl *gpadl = calloc(1, sizeof(*gpadl));

		assert_non_null(gpadl);
		gpadl->port = malloc(72);
		bed->gpadls_lent++;
		vmb_host_gpadl_supply(&bed->s, gpadl, gpadl->port);
	}
	bed_pump(bed);
	bed_expect_event(bed, VMB_HOST_EVENT_GPADL_RELEASED);
	bed_expect_event(bed, VMB_HOST_EVENT_UNLOADED);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_unload_while_disconnected_is_dropped(void **state)
{
	struct bed *bed = bed_new(0, 0);

	post_simple(bed, 16);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
	assert_int_equal(bed->s.counters.misplaced, 1);
	bed_free(bed);
}

/* Sockets */

static void test_tl_connect_is_refused_from_4_1(void **state)
{
	struct bed *bed = bed_new(0, 0);
	uint8_t m[56] = { 21 };
	uint8_t want[44] = { 23 };

	memset(m + 8, 0xE1, 16);
	memset(m + 24, 0x5E, 16);
	memcpy(want + 8, m + 8, 32);
	put32(want, 40, 0xC0000236);
	bed_connect(bed, 0x40000);
	assert_int_equal(bed_post(bed, m, 40), 0);
	bed_expect_nothing(bed);
	bed_connect(bed, 0x40001);
	assert_int_equal(bed_post(bed, m, 40), 0);
	assert_memory_equal(bed_expect(bed, 23, 44), want, 44);
	bed_connect(bed, 0x50003);
	assert_int_equal(bed_post(bed, m, 56), 0);
	assert_memory_equal(bed_expect(bed, 23, 44), want, 44);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_connection_is_refused),
		cmocka_unit_test(test_bad_type_or_length_is_refused),
		cmocka_unit_test(test_post_before_events_are_taken_comes_again),
		cmocka_unit_test(test_known_version_is_accepted),
		cmocka_unit_test(test_version_outside_bounds_is_refused_with_16_bytes),
		cmocka_unit_test(test_refused_contact_leaves_disconnected),
		cmocka_unit_test(test_features_are_not_granted),
		cmocka_unit_test(test_lone_monitor_page_is_answered_with_state_2),
		cmocka_unit_test(test_version_max_caps_every_version),
		cmocka_unit_test(test_impossible_vp_is_refused_on_vp_0),
		cmocka_unit_test(test_contact_for_another_sint_is_refused_there),
		cmocka_unit_test(test_sint_and_vtl_do_not_count_on_connection_1),
		cmocka_unit_test(test_bad_config_is_refused),
		cmocka_unit_test(test_offers_come_in_order_with_exact_bytes),
		cmocka_unit_test(test_second_request_is_ignored),
		cmocka_unit_test(test_relids_are_stable_over_reconnects),
		cmocka_unit_test(test_full_queue_delivers_every_offer),
		cmocka_unit_test(test_busy_slot_shows_the_same_message_again),
		cmocka_unit_test(test_undeliverable_message_lets_those_behind_it_go),
		cmocka_unit_test(test_unload_completes_after_everything_closed),
		cmocka_unit_test(test_contact_while_connected_disconnects_silently),
		cmocka_unit_test(test_contact_while_disconnecting_replaces_the_first),
		cmocka_unit_test(test_unload_while_disconnecting_replaces_the_contact),
		cmocka_unit_test(test_contact_after_unload_gets_only_its_answer),
		cmocka_unit_test(test_disconnect_drops_what_waits),
		cmocka_unit_test(test_contact_while_opening_closes_after_opened),
		cmocka_unit_test(test_reset_is_silent),
		cmocka_unit_test(test_reset_before_open_event_is_taken_never_opens),
		cmocka_unit_test(test_reset_while_memory_is_wanted_gives_it_back),
		cmocka_unit_test(test_unload_while_disconnected_is_dropped),
		cmocka_unit_test(test_tl_connect_is_refused_from_4_1),
	};

	return cmocka_run_group_tests_name("host_server", tests, NULL, NULL);
}
