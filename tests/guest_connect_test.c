// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Negotiation, the queue of messages, unknown and malformed messages, UNLOAD. */
#include "tests/guest_bed.h"

static const uint32_t known_versions[] = { 0x60000, 0x50003, 0x50002, 0x50001, 0x50000, 0x40001,
					   0x40000, 0x30000, 0x20004, 0x10001, 0xD };
#define KNOWN_COUNT (sizeof(known_versions) / sizeof(known_versions[0]))

static void start(struct bench *b, uint32_t version_max)
{
	bench_init(b, version_max);
	assert_int_equal(vmb_guest_connect_start(&b->c), 0);
}

/* ---- what is proposed ---- */

static void test_newest_contact_goes_to_multiclient_port(void **state)
{
	struct bench b;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(b.out_connection, 4);
	assert_int_equal(get(b.out, 8, 4), 0x60000);
	assert_int_equal(get(b.out, 12, 4), 3);
	assert_int_equal(get(b.out, 16, 1), 2); /* SINT */
	assert_int_equal(get(b.out, 17, 1), 0); /* VTL */
	assert_int_equal(get(b.out, 18, 2), 0);
	assert_int_equal(get(b.out, 20, 4), 0); /* features */
	assert_int_equal(get(b.out, 24, 8), 0);
	assert_int_equal(get(b.out, 32, 8), 0);
}

static void test_old_contact_goes_to_port_1_with_interrupt_page(void **state)
{
	struct vmb_guest_connect_config config = {
		.target_vp = 9,
		.version_max = 0x40001,
		.interrupt_page_gpa = 0x123456000,
		.monitor_gpa = { 0x7000, 0x8000 },
	};
	struct bench b;

	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(b.out_connection, 1);
	assert_int_equal(get(b.out, 8, 4), 0x40001);
	assert_int_equal(get(b.out, 12, 4), 9);
	assert_int_equal(get(b.out, 16, 8), 0x123456000);
	assert_int_equal(get(b.out, 24, 8), 0x7000);
	assert_int_equal(get(b.out, 32, 8), 0x8000);
}

static void test_new_contact_hides_interrupt_page(void **state)
{
	struct vmb_guest_connect_config config = { .interrupt_page_gpa = 0x123456000 };
	struct bench b;

	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(get(b.out, 16, 8), 2);
}

static void test_refusals_walk_down_all_versions(void **state)
{
	struct bench b;
	uint32_t i;

	start(&b, 0);
	for (i = 0; i < KNOWN_COUNT; i++) {
		expect_sent(&b, 14, 40);
		assert_int_equal(get(b.out, 8, 4), known_versions[i]);
		assert_int_equal(b.out_connection, known_versions[i] >= 0x50000 ? 4 : 1);
		assert_int_equal(say_version(&b, 0, 0, 0, 16), 0);
	}
	assert_event(&b, REFUSED);
	assert_int_equal(b.c.state, VMB_GUEST_IDLE);
	expect_silence(&b);
}

/* What is below 2.4 interrupts by that page only. */
static void test_without_interrupt_page_the_walk_ends_at_2_4(void **state)
{
	struct vmb_guest_connect_config config = { .version_max = 0x20004 };
	struct bench b;

	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 0, 0, 0, 16), 0);
	assert_event(&b, REFUSED);
	config.version_max = 0xD;
	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), VMB_EINVAL);
}

/* Byte 9 means nothing before 2.4. */
static void test_old_versions_have_no_connection_state(void **state)
{
	static const uint32_t old[] = { 0x10001, 0xD };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		start(&b, old[i]);
		expect_sent(&b, 14, 40);
		assert_int_equal(b.out_connection, 1);
		assert_int_equal(get(b.out, 16, 8), 0x9000);
		assert_int_equal(say_version(&b, 1, 0xCC, 0xCCCCCCCC, 16), 0);
		assert_event(&b, CONNECTED);
		assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
		expect_sent(&b, 3, 8);
		assert_int_equal(b.out_connection, 1);
	}
}

static void test_every_version_can_be_accepted(void **state)
{
	struct bench b;
	uint32_t i;

	for (i = 0; i < KNOWN_COUNT; i++) {
		bench_connect(&b, known_versions[i]);
		assert_int_equal(b.c.version, known_versions[i]);
		assert_int_equal(b.c.state, VMB_GUEST_CONNECTED);
	}
}

static void test_failed_state_walks_down(void **state)
{
	struct bench b;
	uint8_t failure;

	for (failure = 1; failure <= 2; failure++) {
		start(&b, 0x50003);
		expect_sent(&b, 14, 40);
		assert_int_equal(say_version(&b, 1, failure, 1, 16), 0);
		assert_event(&b, NOTHING);
		expect_sent(&b, 14, 40);
		assert_int_equal(get(b.out, 8, 4), 0x50002);
	}
}

/* Only an acceptance has to carry features and a connection. */
static void test_failed_state_may_be_short_and_empty(void **state)
{
	struct bench b;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 1, 0, 16), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(get(b.out, 8, 4), 0x50003);
}

static void test_lower_bound_ends_walk(void **state)
{
	struct vmb_guest_connect_config config = { .version_max = 0x50003, .version_min = 0x50003 };
	struct bench b;

	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 0, 0, 0, 16), 0);
	assert_event(&b, REFUSED);
	expect_silence(&b);
}

static void test_version_table_is_newest_first(void **state)
{
	const uint32_t *versions = vmb_guest_connect_versions();
	uint32_t i;

	for (i = 0; i < KNOWN_COUNT; i++)
		assert_int_equal(versions[i], known_versions[i]);
	assert_int_equal(versions[KNOWN_COUNT], 0);
}

static void test_bad_config_is_refused(void **state)
{
	static const struct vmb_guest_connect_config bad[] = {
		{ .version_max = 0x40002 },
		{ .version_min = 1 },
		{ .version_max = 0x20004, .version_min = 0x30000 },
		{ .monitor_gpa = { 0x1000, 0 } },
		{ .monitor_gpa = { 0, 0x1000 } },
		{ .monitor_gpa = { 0x1000, 0x2008 } },
		{ .interrupt_page_gpa = 0x1001 },
	};
	struct bench b;
	uint32_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vmb_guest_connect_init(&b.c, &bad[i]), VMB_EINVAL);
}

/* ---- what is answered ---- */

static void test_multiclient_uses_connection_of_response(void **state)
{
	struct bench b;

	start(&b, 0x50000);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 0x800074, 16), 0);
	assert_event(&b, CONNECTED);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	expect_sent(&b, 3, 8);
	assert_int_equal(b.out_connection, 0x800074);
}

static void test_old_version_stays_on_port_1(void **state)
{
	struct bench b;

	start(&b, 0x40001);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 0x800074, 16), 0);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	expect_sent(&b, 3, 8);
	assert_int_equal(b.out_connection, 1);
}

static void test_impossible_connection_is_malformed(void **state)
{
	static const uint32_t bad[] = { 0, 0x01000000, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	start(&b, 0x50003);
	expect_sent(&b, 14, 40);
	for (i = 0; i < 3; i++)
		assert_int_equal(say_version(&b, 1, 0, bad[i], 16), VMB_EPROTO);
	assert_int_equal(b.c.counters.malformed, 3);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
	assert_int_equal(say_version(&b, 1, 0, 0xFFFFFF, 16), 0);
}

/*
 * Of the oldest answers nothing but byte 8 is defined, and a refusal says nothing more at any
 * version.
 */
static void test_short_response_is_taken_where_the_rest_says_nothing(void **state)
{
	static const uint32_t versions[] = { 0xD, 0x10001, 0x20004, 0x40001 };
	struct bench b;
	uint32_t i, len;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		for (len = 9; len < 16; len++) {
			start(&b, versions[i]);
			expect_sent(&b, 14, 40);
			assert_int_equal(say_version(&b, 1, 0, 0, len), 0);
			assert_event(&b, CONNECTED);
			assert_int_equal(b.c.version, versions[i]);
		}
	}
	start(&b, 0x50003);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 1, 15), VMB_EPROTO);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
	assert_int_equal(say_version(&b, 0, 0, 0, 9), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(b.c.version, 0x50002);
}

static void test_6_0_acceptance_needs_20_bytes(void **state)
{
	struct bench b;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 1, 16), VMB_EPROTO);
	assert_int_equal(say_version(&b, 1, 0, 1, 19), VMB_EPROTO);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
	assert_int_equal(say_version(&b, 1, 0, 1, 20), 0);
	assert_event(&b, CONNECTED);
}

static void test_40_byte_response_grants_nothing_unasked(void **state)
{
	struct bench b;
	uint8_t *msg;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	msg = say(&b, 15);
	put(msg, 8, 1, 1);
	put(msg, 12, 1, 4);
	put(msg, 16, 0xFFFFFFFF, 4);
	put(msg, 24, 0x5000, 8);
	put(msg, 32, 0x6000, 8);
	assert_int_equal(deliver(&b, 40), 0);
	assert_event(&b, CONNECTED);
	assert_int_equal(b.c.features, 0);
}

static void test_response_before_contact_left_is_unsolicited(void **state)
{
	struct bench b;

	start(&b, 0);
	assert_int_equal(say_version(&b, 1, 0, 1, 20), VMB_EPROTO);
	assert_int_equal(b.c.counters.unsolicited, 1);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
	expect_sent(&b, 14, 40);
}

static void test_response_may_overtake_done(void **state)
{
	struct bench b;

	start(&b, 0);
	assert_true(peek(&b));
	assert_int_equal(say_version(&b, 0, 0, 0, 16), 0);
	vmb_guest_connect_output_done(&b.c); /* of 6.0 */
	expect_sent(&b, 14, 40);
	assert_int_equal(get(b.out, 8, 4), 0x50003);
	assert_int_equal(b.c.counters.messages_out, 2);
}

static void test_second_response_is_unsolicited(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(say_version(&b, 0, 0, 0, 16), VMB_EPROTO);
	assert_event(&b, NOTHING);
	assert_int_equal(b.c.state, VMB_GUEST_CONNECTED);
	assert_int_equal(b.c.counters.unsolicited, 1);
}

/* ---- posts that the hypervisor refuses ---- */

static void test_missing_multiclient_port_goes_below_5(void **state)
{
	struct bench b;

	start(&b, 0);
	assert_true(peek(&b));
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x12), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(b.out_connection, 1);
	assert_int_equal(get(b.out, 8, 4), 0x40001);
	assert_int_equal(say_version(&b, 1, 0, 0x40001, 16), 0);
	assert_event(&b, CONNECTED);
}

static void test_port_that_answered_is_throttling(void **state)
{
	struct bench b;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 0, 0, 0, 16), 0);
	assert_true(peek(&b));
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x12), VMB_EAGAIN);
	expect_sent(&b, 14, 40);
	assert_int_equal(get(b.out, 8, 4), 0x50003);
}

static void test_missing_port_without_old_versions_is_final(void **state)
{
	struct vmb_guest_connect_config config = { .version_min = 0x50000 };
	struct bench b;

	assert_int_equal(vmb_guest_connect_init(&b.c, &config), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	assert_true(peek(&b));
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x12), VMB_EIO);
	assert_int_equal(b.c.state, VMB_GUEST_IDLE);
	expect_silence(&b);
}

static void test_port_1_throttling_is_transient(void **state)
{
	struct bench b;

	start(&b, 0x40001);
	assert_true(peek(&b));
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x12), VMB_EAGAIN);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
}

static void test_transient_refusal_keeps_same_bytes(void **state)
{
	static const uint32_t transient[] = { 0x0B, 0x12, 0x13, 0x78 };
	uint8_t before[240];
	struct bench b;
	uint32_t i;

	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_true(peek(&b));
	memcpy(before, b.out, sizeof(before));
	for (i = 0; i < 4; i++) {
		assert_int_equal(vmb_guest_connect_output_refused(&b.c, transient[i]), VMB_EAGAIN);
		assert_true(peek(&b));
		assert_memory_equal(b.out, before, sizeof(before));
	}
	assert_int_equal(b.c.counters.messages_out, 1);
}

static void test_final_refusal_drops_message(void **state)
{
	static const uint32_t final[] = { 2, 3, 4, 5, 6, 0x11, 0x15, 0xFFFF };
	struct bench b;
	uint32_t i;

	for (i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
		start(&b, 0);
		assert_true(peek(&b));
		assert_int_equal(vmb_guest_connect_output_refused(&b.c, final[i]), VMB_EIO);
		assert_int_equal(b.c.state, VMB_GUEST_IDLE);
		expect_silence(&b);
		assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	}
}

static void test_output_unconfirmed_is_repeated(void **state)
{
	struct bench b;

	start(&b, 0);
	assert_true(peek(&b));
	assert_ptr_equal(vmb_guest_connect_output(&b.c), vmb_guest_connect_output(&b.c));
	expect_sent(&b, 14, 40);
	expect_silence(&b);
}

static void test_done_and_refused_without_output_do_nothing(void **state)
{
	struct bench b;

	start(&b, 0);
	vmb_guest_connect_output_done(&b.c);
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x12), 0);
	assert_int_equal(b.c.counters.messages_out, 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(get(b.out, 8, 4), 0x60000);
}

/* ---- order of calls ---- */

static void test_start_needs_idle(void **state)
{
	struct bench b;

	start(&b, 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), VMB_EBUSY);
	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_start(&b.c), VMB_EBUSY);
}

static void test_offers_are_requested_once(void **state)
{
	struct bench b;

	bench_init(&b, 0);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), VMB_EBUSY);
	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), VMB_EBUSY);
	expect_sent(&b, 3, 8);
	expect_silence(&b);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), VMB_EBUSY);
}

static void test_offers_delivered_unasked_is_unsolicited(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(say_bare(&b, 4), VMB_EPROTO);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_int_equal(say_bare(&b, 4), VMB_EPROTO); /* not sent yet */
	expect_sent(&b, 3, 8);
	assert_int_equal(say_bare(&b, 4), 0);
	assert_event(&b, OFFERS_DELIVERED);
	assert_int_equal(say_bare(&b, 4), VMB_EPROTO); /* twice */
	assert_event(&b, NOTHING);
	assert_int_equal(b.c.counters.unsolicited, 3);
}

/* ---- malformed and unknown ---- */

static void test_short_messages_are_malformed(void **state)
{
	static const struct {
		uint32_t type, len;
	} layouts[] = { { 1, 196 }, { 2, 12 }, { 4, 8 },  { 6, 20 }, { 10, 20 },
			{ 12, 12 }, { 15, 9 }, { 17, 8 }, { 24, 16 } };
	struct bench b;
	uint32_t i, len;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		bench_ready(&b, 0x50003);
		for (len = 0; len < layouts[i].len; len++) {
			say(&b, layouts[i].type);
			assert_int_equal(deliver(&b, len), VMB_EPROTO);
			assert_event(&b, NOTHING);
		}
		assert_int_equal(b.c.counters.malformed, layouts[i].len);
		assert_int_equal(b.c.counters.unsolicited, 0);
	}
}

static void test_long_message_is_malformed(void **state)
{
	struct bench b;

	bench_ready(&b, 0x50003);
	make_offer(&b, 5, 5, 0);
	assert_int_equal(deliver(&b, 241), VMB_EPROTO);
	assert_int_equal(b.c.counters.malformed, 1);
	make_offer(&b, 5, 5, 0);
	assert_int_equal(deliver(&b, 240), 0); /* padded: the tail is ignored */
	assert_event(&b, OFFER);
}

static void test_unknown_numbers_are_counted(void **state)
{
	static const uint32_t unknown[] = { 0,	3,  5,	7,  8,	9,	    11,	       13,
					    14, 16, 18, 19, 20, 21,	    22,	       25,
					    26, 27, 28, 29, 30, 0x80000001, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x60000);
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		memset(say(&b, unknown[i]) + 8, 0xFF, 232);
		assert_int_equal(deliver(&b, 240), 0);
		assert_event(&b, NOTHING);
		assert_int_equal(b.c.counters.unknown, i + 1);
	}
	assert_int_equal(b.c.counters.messages_in, i + 2);
	expect_silence(&b);
}

/* Each message that is only legal once connected, said while the version is still open. */
static void test_nothing_but_response_before_connected(void **state)
{
	static const uint32_t types[] = { 1, 2, 4, 6, 10, 12, 17, 24 };
	struct bench b;
	uint32_t i;

	start(&b, 0);
	expect_sent(&b, 14, 40);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		make_offer(&b, 5, 5, 0);
		put(b.in, 0, types[i], 4);
		assert_int_equal(deliver(&b, 196), VMB_EPROTO);
		assert_event(&b, NOTHING);
	}
	assert_int_equal(b.c.counters.unsolicited, 8);
	assert_int_equal(b.c.state, VMB_GUEST_CONTACTING);
}

static void test_idle_connection_ignores_all(void **state)
{
	struct bench b;
	uint32_t type;

	bench_init(&b, 0);
	for (type = 0; type < 40; type++) {
		say(&b, type);
		deliver(&b, 240);
		assert_event(&b, NOTHING);
	}
	assert_int_equal(b.c.state, VMB_GUEST_IDLE);
	assert_int_equal(b.c.counters.unsolicited, 10);
}

/* ---- UNLOAD ---- */

static void test_unload_drops_what_waits(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	expect_sent(&b, 16, 8);
	expect_silence(&b);
	assert_int_equal(say_bare(&b, 17), 0);
	assert_event(&b, UNLOADED);
	assert_int_equal(b.c.state, VMB_GUEST_IDLE);
}

static void test_unload_overtakes_message_with_sender(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	assert_true(peek(&b));
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x13), 0); /* not again */
	expect_sent(&b, 16, 8);
	expect_silence(&b);
}

static void test_unload_needs_connection(void **state)
{
	struct bench b;

	bench_init(&b, 0);
	assert_int_equal(vmb_guest_connect_unload(&b.c), VMB_EBUSY);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	assert_int_equal(vmb_guest_connect_unload(&b.c), VMB_EBUSY);
	bench_connect(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_int_equal(vmb_guest_connect_unload(&b.c), VMB_EBUSY);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), VMB_EBUSY);
}

static void test_unload_complete_unasked_is_unsolicited(void **state)
{
	struct bench b;

	bench_connect(&b, 0x50003);
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO);
	assert_int_equal(b.c.state, VMB_GUEST_CONNECTED);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO); /* UNLOAD has not left */
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
	expect_sent(&b, 16, 8);
	assert_int_equal(say_bare(&b, 17), 0);
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO);
	assert_int_equal(b.c.counters.unsolicited, 3);
}

static void test_what_crosses_unload_is_no_error(void **state)
{
	struct bench b;

	bench_ready(&b, 0x50003);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	expect_sent(&b, 16, 8);
	assert_int_equal(say_offer(&b, 5, 5, 0), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(say_rescind(&b, 5), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(say_version(&b, 1, 0, 1, 20), VMB_EPROTO); /* that was not on its way */
	assert_int_equal(b.c.counters.unsolicited, 1);
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
}

/*
 * Before 1.1 UNLOAD has no answer: it is over when it has left, and all that still comes is
 * nobody's.
 */
static void test_unload_before_1_1_ends_when_it_has_left(void **state)
{
	struct bench b;

	bench_ready(&b, 0xD);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
	assert_true(peek(&b));
	assert_int_equal(get(b.out, 0, 4), 16);
	assert_int_equal(vmb_guest_connect_output_refused(&b.c, 0x13), VMB_EAGAIN);
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
	assert_int_equal(vmb_guest_connect_start(&b.c), VMB_EBUSY);
	assert_true(vmb_guest_connect_output_done(&b.c));
	assert_int_equal(b.c.state, VMB_GUEST_IDLE);
	assert_false(vmb_guest_connect_output_done(&b.c));
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO);
	assert_event(&b, NOTHING);
	expect_silence(&b);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO);
	expect_sent(&b, 14, 40);
	assert_int_equal(say_version(&b, 1, 0, 0xD, 16), 0);
	assert_event(&b, CONNECTED);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_true(peek(&b));
	assert_int_equal(say_bare(&b, 17), VMB_EPROTO); /* 0.13 has no such message */
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
}

static void test_unload_from_1_1_waits_for_its_answer(void **state)
{
	struct bench b;

	bench_ready(&b, 0x10001);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_true(peek(&b));
	assert_false(vmb_guest_connect_output_done(&b.c));
	assert_int_equal(b.c.state, VMB_GUEST_UNLOADING);
	assert_int_equal(say_bare(&b, 17), 0);
	assert_event(&b, UNLOADED);
}

static void test_reconnect_after_unloaded(void **state)
{
	struct vmb_guest_channel ch;
	struct bench b;

	bench_ready(&b, 0x50003);
	bench_offer(&b, &ch, 5);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	expect_sent(&b, 16, 8);
	assert_int_equal(say_bare(&b, 17), 0);
	assert_int_equal(vmb_guest_connect_start(&b.c), VMB_EBUSY); /* a channel is left */
	vmb_guest_channel_remove(&ch);
	assert_int_equal(vmb_guest_connect_start(&b.c), 0);
	expect_sent(&b, 14, 40);
	assert_int_equal(b.out_connection, 4);
	assert_int_equal(say_version(&b, 1, 0, 1, 16), 0);
	assert_int_equal(vmb_guest_connect_request_offers(&b.c), 0);
	expect_sent(&b, 3, 8);
	bench_offer(&b, &ch, 5);
	assert_int_equal(say_bare(&b, 4), 0);
	assert_event(&b, OFFERS_DELIVERED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_contact_goes_to_multiclient_port),
		cmocka_unit_test(test_old_contact_goes_to_port_1_with_interrupt_page),
		cmocka_unit_test(test_new_contact_hides_interrupt_page),
		cmocka_unit_test(test_refusals_walk_down_all_versions),
		cmocka_unit_test(test_without_interrupt_page_the_walk_ends_at_2_4),
		cmocka_unit_test(test_old_versions_have_no_connection_state),
		cmocka_unit_test(test_every_version_can_be_accepted),
		cmocka_unit_test(test_failed_state_walks_down),
		cmocka_unit_test(test_failed_state_may_be_short_and_empty),
		cmocka_unit_test(test_lower_bound_ends_walk),
		cmocka_unit_test(test_version_table_is_newest_first),
		cmocka_unit_test(test_bad_config_is_refused),
		cmocka_unit_test(test_multiclient_uses_connection_of_response),
		cmocka_unit_test(test_old_version_stays_on_port_1),
		cmocka_unit_test(test_impossible_connection_is_malformed),
		cmocka_unit_test(test_short_response_is_taken_where_the_rest_says_nothing),
		cmocka_unit_test(test_6_0_acceptance_needs_20_bytes),
		cmocka_unit_test(test_40_byte_response_grants_nothing_unasked),
		cmocka_unit_test(test_response_before_contact_left_is_unsolicited),
		cmocka_unit_test(test_response_may_overtake_done),
		cmocka_unit_test(test_second_response_is_unsolicited),
		cmocka_unit_test(test_missing_multiclient_port_goes_below_5),
		cmocka_unit_test(test_port_that_answered_is_throttling),
		cmocka_unit_test(test_missing_port_without_old_versions_is_final),
		cmocka_unit_test(test_port_1_throttling_is_transient),
		cmocka_unit_test(test_transient_refusal_keeps_same_bytes),
		cmocka_unit_test(test_final_refusal_drops_message),
		cmocka_unit_test(test_output_unconfirmed_is_repeated),
		cmocka_unit_test(test_done_and_refused_without_output_do_nothing),
		cmocka_unit_test(test_start_needs_idle),
		cmocka_unit_test(test_offers_are_requested_once),
		cmocka_unit_test(test_offers_delivered_unasked_is_unsolicited),
		cmocka_unit_test(test_short_messages_are_malformed),
		cmocka_unit_test(test_long_message_is_malformed),
		cmocka_unit_test(test_unknown_numbers_are_counted),
		cmocka_unit_test(test_nothing_but_response_before_connected),
		cmocka_unit_test(test_idle_connection_ignores_all),
		cmocka_unit_test(test_unload_drops_what_waits),
		cmocka_unit_test(test_unload_overtakes_message_with_sender),
		cmocka_unit_test(test_unload_needs_connection),
		cmocka_unit_test(test_unload_complete_unasked_is_unsolicited),
		cmocka_unit_test(test_what_crosses_unload_is_no_error),
		cmocka_unit_test(test_unload_before_1_1_ends_when_it_has_left),
		cmocka_unit_test(test_unload_from_1_1_waits_for_its_answer),
		cmocka_unit_test(test_reconnect_after_unloaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
