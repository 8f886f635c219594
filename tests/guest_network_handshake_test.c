// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Network: from INIT to READY, with every version and with hosts that refuse, lie or answer out of
 * turn.
 */
#include "tests/guest_network_bed.h"

static const uint32_t all_versions[] = { 0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 2 };
#define VERSIONS 6

/* ---- versions ---- */

static void test_every_version_reaches_ready(void **state)
{
	struct bench b;
	uint32_t i, order;

	for (i = 0; i < VERSIONS; i++) {
		for (order = 0; order < 2; order++) {
			bench_init(&b, all_versions[i]);
			b.host.reply_first = order;
			bench_ready(&b);
			assert_int_equal(b.n.agreed.version, all_versions[i]);
			assert_memory_equal(b.n.agreed.mac, b.host.mac, 6);
			assert_int_equal(b.n.agreed.mtu, 1500);
			assert_int_equal(b.n.agreed.suballoc_len, SUBALLOC_LEN);
			assert_int_equal(b.n.agreed.suballoc_count, SUBALLOC_COUNT);
			assert_int_equal(b.n.agreed.section_len, SECTION_LEN);
			assert_int_equal(b.n.agreed.section_count, TX_LEN / SECTION_LEN);
			assert_int_equal(b.n.agreed.link_speed, 100000000);
			assert_true(b.n.agreed.link_up);
			assert_int_equal(b.n.counters.forged + b.n.counters.malformed, 0);
			assert_int_equal(b.n.failure, VMB_GUEST_NETWORK_NO_FAILURE);
			assert_int_equal(b.n.agreed.sub_channel_count, all_versions[i] >= 0x50000);
			assert_null(vmb_guest_network_output(&b.n));
		}
	}
}

static void test_versions_are_proposed_newest_first(void **state)
{
	struct bench b;
	uint32_t i;

	bench_init(&b, 0);
	bench_start(&b);
	for (i = 0; i < VERSIONS; i++) {
		assert_int_equal(b.n.state, VMB_GUEST_NETWORK_VERSION);
		expect(&b, 1, true);
		assert_int_equal(get(b.out, 4, 4), all_versions[i]);
		assert_int_equal(get(b.out, 8, 4), all_versions[i]);
		assert_int_equal(get(b.out, 12, 8), 0);
		assert_int_equal(host_answer(&b), 0);
	}
	assert_event(&b, HAS_FAILED);
	assert_int_equal(b.n.failure, VMB_GUEST_NETWORK_NO_VERSION);
	assert_null(vmb_guest_network_output(&b.n));
}

static void test_walk_ends_at_the_version_the_host_speaks(void **state)
{
	struct bench b;
	uint32_t i;

	for (i = 0; i < VERSIONS; i++) {
		bench_init(&b, all_versions[i]);
		b.config.version_max = 0;
		bench_ready(&b);
		assert_int_equal(b.n.agreed.version, all_versions[i]);
		assert_int_equal(b.n.agreed.message_len, i ? 28 : 40);
	}
}

static void test_lower_bound_ends_the_walk(void **state)
{
	struct bench b;

	bench_init(&b, 2);
	b.config.version_max = 0;
	b.config.version_min = 0x60000;
	bench_start(&b);
	expect(&b, 1, true);
	assert_int_equal(host_answer(&b), 0);
	assert_event(&b, NOTHING);
	expect(&b, 1, true);
	assert_int_equal(host_answer(&b), 0);
	assert_event(&b, HAS_FAILED);
}

/* Any status but SUCCESS is a refusal. */
static void test_other_status_is_a_refusal(void **state)
{
	static const uint32_t statuses[] = { 2, 3, 4, 0x10001, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		bench_init(&b, 0x60000);
		b.config.version_max = 0;
		bench_start(&b);
		expect(&b, 1, true);
		put(say(&b, 2), 12, statuses[i], 4);
		assert_int_equal(deliver(&b, COMPLETION, b.out_id, 40), 0);
		expect(&b, 1, true);
		assert_int_equal(get(b.out, 4, 4), 0x60000);
	}
}

static void test_receive_buffer_too_long_for_old_versions_fails(void **state)
{
	struct bench b;

	bench_init(&b, 0x30002);
	b.config.version_max = 0x40000;
	b.config.receive_len = (15u << 20) + 4096;
	bench_start(&b);
	expect(&b, 1, true);
	assert_int_equal(host_answer(&b), 0);
	assert_event(&b, HAS_FAILED);
	assert_int_equal(b.n.failure, VMB_GUEST_NETWORK_RECEIVE_BUFFER_TOO_LONG);
	b.config.receive_len = 15u << 20;
	bench_start(&b);
	expect(&b, 1, true);
	assert_int_equal(host_answer(&b), 0);
	expect(&b, 1, true);
	assert_int_equal(get(b.out, 4, 4), 0x30002);
}

/* ---- configuration ---- */

static void bad_config(struct bench *b)
{
	assert_int_equal(vmb_guest_network_init(&b->n, &b->config), VMB_EINVAL);
	bench_init(b, 0);
}

static void test_bad_config_is_refused(void **state)
{
	struct bench b;

	bench_init(&b, 0);
	assert_int_equal(vmb_guest_network_init(&b.n, &b.config), 0);
	b.config.version_max = 0x70000;
	bad_config(&b);
	b.config.version_min = 3;
	bad_config(&b);
	b.config.version_max = 0x50000;
	b.config.version_min = 0x60000;
	bad_config(&b);
	b.config.mtu = 68;
	assert_int_equal(vmb_guest_network_init(&b.n, &b.config), 0);
	b.config.mtu = 67;
	bad_config(&b);
	b.config.mtu = 65522;
	bad_config(&b);
	b.config.queue_count = 0;
	bad_config(&b);
	b.config.queue_count = 65;
	bad_config(&b);
	b.config.receive_buffer = NULL;
	bad_config(&b);
	b.config.receive_len = 0;
	bad_config(&b);
	b.config.receive_len = 4097;
	bad_config(&b);
	b.config.receive_len = (31u << 20) + 4096;
	bad_config(&b);
	b.config.version_max = 0x30002;
	b.config.receive_len = (15u << 20) + 4096;
	bad_config(&b);
	b.config.send_buffer = NULL;
	bad_config(&b);
	b.config.send_len = 0;
	bad_config(&b);
	b.config.send_len = 5000;
	bad_config(&b);
	b.config.send_len = (15u << 20) + 4096;
	bad_config(&b);
	b.config.control_page = NULL;
	bad_config(&b);
	b.config.mtu = 65521;
	b.config.queue_count = 64;
	b.config.receive_len = 31u << 20;
	b.config.send_len = 15u << 20;
	assert_int_equal(vmb_guest_network_init(&b.n, &b.config), 0);
}

static void test_start_is_legal_once(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	assert_int_equal(vmb_guest_network_init(&b.n, &b.config), 0);
	assert_null(vmb_guest_network_output(&b.n));
	vmb_guest_network_output_done(&b.n);
	bench_start(&b);
	assert_int_equal(vmb_guest_network_start(&b.n), VMB_EBUSY);
	bench_ready(&b);
	assert_int_equal(vmb_guest_network_start(&b.n), VMB_EBUSY);
}

/* ---- the messages, one by one ---- */

static void test_config_and_ndis_version_follow_the_version(void **state)
{
	static const struct {
		uint32_t caps, major, minor;
	} wanted[] = { { 0xA8, 6, 30 }, { 0x28, 6, 30 }, { 0x28, 6, 30 },
		       { 0x08, 6, 1 },	{ 0x08, 6, 1 },	 { 0, 5, 0 } };
	struct bench b;
	uint32_t i;

	for (i = 0; i < VERSIONS; i++) {
		bench_init(&b, all_versions[i]);
		b.config.mtu = 9000;
		bench_start(&b);
		expect(&b, 1, true);
		assert_int_equal(host_answer(&b), 0);
		if (all_versions[i] != 2) {
			expect(&b, 125, false);
			assert_int_equal(get(b.out, 4, 4), 9014);
			assert_int_equal(get(b.out, 8, 4), 0);
			assert_int_equal(get(b.out, 12, 8), wanted[i].caps);
		}
		expect(&b, 100, false);
		assert_int_equal(get(b.out, 4, 4), wanted[i].major);
		assert_int_equal(get(b.out, 8, 4), wanted[i].minor);
		expect(&b, 101, true);
		assert_int_equal(get(b.out, 4, 4), 0x111);
		assert_int_equal(get(b.out, 8, 2), 0xCAFE);
		assert_int_equal(host_answer(&b), 0);
		expect(&b, 104, true);
		assert_int_equal(get(b.out, 4, 4), 0x222);
		assert_int_equal(get(b.out, 8, 2), 0);
	}
}

static void test_rsc_is_asked_for_only_if_wanted(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	b.config.rsc = false;
	bench_start(&b);
	bench_until(&b, 125);
	assert_int_equal(get(b.out, 12, 8), 0x28);
	bench_finish(&b);
	assert_int_equal(b.n.agreed.offload_caps & VMB_GUEST_NETWORK_RSC, 0);
}

static void test_questions_come_in_order(void **state)
{
	static const uint32_t oids[] = { 0x10106,    0x01010101, 0x10107, 0xFC01020D,
					 0xFC01020C, 0x10114,	 0x10203 };
	struct bench b;
	uint32_t i, count;

	for (i = 0; i < VERSIONS; i++) {
		bench_ready_with(&b, all_versions[i]);
		count = all_versions[i] >= 0x50000 ? 7 : 6;
		assert_int_equal(b.asked_count, count);
		assert_memory_equal(b.asked, oids, 4 * count);
	}
}

static void test_initialize_is_what_the_reference_says(void **state)
{
	struct bench b;

	bench_init(&b, 0x50000);
	bench_start(&b);
	bench_until(&b, 107);
	assert_int_equal(b.rndis_len, 24);
	assert_int_equal(get(b.rndis, 0, 4), 2);
	assert_int_equal(get(b.rndis, 12, 4), 1);
	assert_int_equal(get(b.rndis, 16, 4), 0);
	assert_int_equal(get(b.rndis, 20, 4), 0x4000);
}

static void test_offload_question_names_its_structure(void **state)
{
	static const uint32_t lens[] = { 156, 156, 156, 144, 112, 112 };
	static const uint32_t revisions[] = { 3, 3, 3, 2, 1, 1 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < VERSIONS; i++) {
		bench_init(&b, all_versions[i]);
		bench_start(&b);
		bench_until_oid(&b, 0xFC01020D);
		assert_int_equal(b.rndis_len, 28 + lens[i]);
		assert_int_equal(get(b.rndis, 16, 4), lens[i]);
		assert_int_equal(get(b.rndis, 28, 4), 0xA7 | revisions[i] << 8 | lens[i] << 16);
		assert_int_equal(get(b.rndis, 32, 8), 0);
	}
}

/* ---- each step refused ---- */

static void fails(struct bench *b, enum vmb_guest_network_failure failure)
{
	assert_event(b, HAS_FAILED);
	assert_int_equal(b->n.state, VMB_GUEST_NETWORK_FAILED);
	assert_int_equal(b->n.failure, failure);
	assert_null(vmb_guest_network_output(&b->n));
	assert_int_equal(vmb_guest_network_set_filter(&b->n, 1), VMB_EBUSY);
	assert_int_equal(vmb_guest_network_start(&b->n), VMB_EBUSY);
}

static void receive_buffer(uint32_t offset, uint64_t value, bool good)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until(&b, 101);
	put(say(&b, 102), 4, 1, 4);
	put(b.in, 8, 1, 4);
	put(b.in, 16, SUBALLOC_LEN, 4);
	put(b.in, 20, SUBALLOC_COUNT, 4);
	put(b.in, 24, SUBALLOC_COUNT * SUBALLOC_LEN, 4);
	put(b.in, offset, value, offset == 16 ? 8 : 4);
	assert_int_equal(deliver(&b, COMPLETION, b.out_id, 28), 0);
	if (good)
		assert_event(&b, NOTHING);
	else
		fails(&b, VMB_GUEST_NETWORK_RECEIVE_BUFFER_REFUSED);
}

static void test_receive_buffer_is_judged(void **state)
{
	receive_buffer(4, 1, true);
	receive_buffer(4, 0, false);
	receive_buffer(4, 2, false);
	receive_buffer(8, 0, false);
	receive_buffer(8, 2, false);
	receive_buffer(12, 1, false);
	receive_buffer(20, 0, false);
	receive_buffer(20, SUBALLOC_COUNT + 1, false);
	receive_buffer(16, 104 | 1ull << 32, true);
	receive_buffer(16, 103 | 1ull << 32, false);
	receive_buffer(16, RX_LEN | 1ull << 32, true);
	receive_buffer(16, (RX_LEN + 1) | 1ull << 32, false);
	receive_buffer(16, 0x10000 | 0x10000ull << 32, false); /* 0 in 32 bits */
	receive_buffer(16, 0x80000000 | 2ull << 32, false);
}

static void send_buffer(uint32_t status, uint32_t section_len, bool good)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until(&b, 104);
	put(say(&b, 105), 4, status, 4);
	put(b.in, 8, section_len, 4);
	assert_int_equal(deliver(&b, COMPLETION, b.out_id, 28), 0);
	if (good) {
		assert_event(&b, NOTHING);
		assert_int_equal(b.n.agreed.section_count, TX_LEN / section_len);
	} else {
		fails(&b, VMB_GUEST_NETWORK_SEND_BUFFER_REFUSED);
	}
}

static void test_send_buffer_is_judged(void **state)
{
	send_buffer(1, SECTION_LEN, true);
	send_buffer(0, SECTION_LEN, false);
	send_buffer(2, SECTION_LEN, false);
	send_buffer(1, 0, false);
	send_buffer(1, 108, false); /* an envelope and nothing else */
	send_buffer(1, 232, false);
	send_buffer(1, 236, true); /* with 128 bytes of headers */
	send_buffer(1, 6142, false);
	send_buffer(1, TX_LEN, true);
	send_buffer(1, TX_LEN + 4, false);
}

/* INITIALIZE's completion with one field changed. */
static void initialize(uint32_t offset, uint32_t value, bool good)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until(&b, 107);
	assert_int_equal(taken(&b), 0);
	memset(b.in, 0, sizeof(b.in));
	put(b.in, 16, 1, 4);
	put(b.in, 32, 8, 4);
	put(b.in, 36, 0xEFFFFFFF, 4);
	put(b.in, 40, 3, 4);
	if (offset != 12)
		put(b.in, offset, value, 4);
	assert_int_equal(reply(&b, offset == 12 ? value : 0, 0), 0);
	if (good)
		assert_event(&b, NOTHING);
	else
		fails(&b, VMB_GUEST_NETWORK_RNDIS_REFUSED);
}

static void test_initialize_is_judged(void **state)
{
	initialize(12, 0, true);
	initialize(12, 0xC0010004, false);
	initialize(16, 2, false);
	initialize(28, 1, false);
	initialize(32, 0, true);
	initialize(36, 0, true);
	initialize(40, 0, true);
	initialize(40, 8, true);
	initialize(40, 9, false);
	initialize(40, 32, false);
	initialize(40, 0xFFFFFFFF, false);
}

static void test_alignment_and_counts_are_made_usable(void **state)
{
	static const uint32_t wanted[] = { 4, 4, 4, 8, 16 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		bench_init(&b, 0x50000);
		b.host.alignment_log2 = i;
		b.host.packet_count_max = 0;
		b.host.section_len = 6140;
		bench_ready(&b);
		assert_int_equal(b.n.agreed.alignment, wanted[i]);
		assert_int_equal(b.n.agreed.frame_count_max, 1);
		assert_int_equal(b.n.agreed.section_room, 6140 / wanted[i] * wanted[i]);
	}
}

static void test_sections_too_short_for_the_alignment_fail(void **state)
{
	struct bench b;

	bench_init(&b, 0x50000);
	b.host.alignment_log2 = 8;
	b.host.section_len = 508; /* 256 when rounded down, which would do; less does not */
	bench_ready(&b);
	assert_int_equal(b.n.agreed.section_room, 256);
	bench_init(&b, 0x50000);
	b.host.alignment_log2 = 8;
	b.host.section_len = 252;
	bench_start(&b);
	bench_finish(&b);
	fails(&b, VMB_GUEST_NETWORK_RNDIS_REFUSED);
	bench_init(&b, 0x50000);
	b.host.alignment_log2 = 2;
	b.host.section_len = 236; /* an envelope and the headers */
	bench_ready(&b);
	assert_int_equal(b.n.agreed.section_room, 236);
}

static void test_card_needs_frame_length_and_address(void **state)
{
	struct bench b;

	bench_init(&b, 0x50000);
	b.host.refuse_oid = 0x10106;
	bench_start(&b);
	bench_finish(&b);
	fails(&b, VMB_GUEST_NETWORK_NO_FRAME_LEN);
	bench_init(&b, 0x50000);
	b.host.refuse_oid = 0x01010101;
	bench_start(&b);
	bench_finish(&b);
	fails(&b, VMB_GUEST_NETWORK_NO_MAC);
}

static void test_other_questions_may_be_refused(void **state)
{
	static const uint32_t oids[] = { 0x10107, 0xFC01020D, 0xFC01020C, 0x10114, 0x10203 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		bench_init(&b, 0x60001);
		b.host.refuse_oid = oids[i];
		bench_ready(&b);
		assert_int_equal(b.n.agreed.link_speed, i == 0 ? 0 : 100000000);
		assert_int_equal(!b.n.agreed.offload_caps, i == 1 || i == 2);
		assert_int_equal(!b.n.agreed.offload, i == 1 || i == 2);
		assert_true(b.n.agreed.link_up);
		assert_int_equal(b.n.agreed.rss_table_count, i == 4 ? 0 : 128);
		assert_int_equal(b.n.agreed.sub_channel_count, i != 4);
	}
}

/* The host takes the message for none at all: its completion is a refusal too. */
static void test_question_that_is_not_taken_is_refused(void **state)
{
	static const uint32_t oids[] = { 0x10106,    0x01010101, 0x10107, 0xFC01020D,
					 0xFC01020C, 0x10114,	 0x10203 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 7; i++) {
		bench_init(&b, 0x60001);
		bench_start(&b);
		bench_until_oid(&b, oids[i]);
		assert_int_equal(complete(&b, 108, 2, 8), 0);
		if (i < 2) {
			assert_event(&b, HAS_FAILED);
			continue;
		}
		bench_finish(&b);
		assert_event(&b, IS_READY);
		assert_int_equal(b.n.agreed.offload == 0, i == 3 || i == 4);
	}
}

/* What is too short is no number, and not that of the answer before. */
static void test_short_answers_are_none(void **state)
{
	static const uint32_t oids[] = { 0x10106, 0x10107, 0x10114 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		bench_init(&b, 0x60001);
		bench_start(&b);
		bench_until_oid(&b, oids[i]);
		assert_int_equal(taken(&b), 0);
		put(b.in, 24, 0x77777777, 4);
		assert_int_equal(reply(&b, SUCCESS, 3), 0);
		if (i == 0) {
			fails(&b, VMB_GUEST_NETWORK_NO_FRAME_LEN);
			continue;
		}
		bench_finish(&b);
		assert_event(&b, IS_READY);
		assert_int_equal(b.n.agreed.link_speed, i == 1 ? 0 : 100000000);
		assert_true(b.n.agreed.link_up);
	}
}

static void test_mtu_is_the_smaller_one(void **state)
{
	static const struct {
		uint32_t host, guest, wanted;
	} mtus[] = { { 1500, 9000, 1500 },
		     { 9000, 1500, 1500 },
		     { 68, 1500, 68 },
		     { 0xFFFFFFFF, 65521, 65521 } };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		bench_init(&b, 0x60001);
		b.host.frame_len = mtus[i].host;
		b.config.mtu = mtus[i].guest;
		bench_ready(&b);
		assert_int_equal(b.n.agreed.mtu, mtus[i].wanted);
		assert_true(b.n.agreed.mtu_max <= 65521);
	}
	bench_init(&b, 0x60001);
	b.host.frame_len = 67;
	bench_start(&b);
	bench_finish(&b);
	fails(&b, VMB_GUEST_NETWORK_NO_FRAME_LEN);
}

static void mac(const uint8_t bytes[7], uint32_t len, bool good)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until_oid(&b, 0x01010101);
	assert_int_equal(taken(&b), 0);
	memcpy(b.in + 24, bytes, 7);
	assert_int_equal(reply(&b, 0, len), 0);
	if (good)
		assert_event(&b, NOTHING);
	else
		fails(&b, VMB_GUEST_NETWORK_NO_MAC);
}

static void test_address_is_judged(void **state)
{
	mac((const uint8_t[7]){ 2, 0, 0, 0, 0, 1, 0 }, 6, true);
	mac((const uint8_t[7]){ 0, 0, 0, 0, 0, 1, 0 }, 6, true);
	mac((const uint8_t[7]){ 3, 0, 0, 0, 0, 1, 0 }, 6, false);
	mac((const uint8_t[7]){ 0, 0, 0, 0, 0, 0, 1 }, 6, false);
	mac((const uint8_t[7]){ 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0 }, 6, false);
	mac((const uint8_t[7]){ 2, 0, 0, 0, 0, 1, 0 }, 5, false);
	mac((const uint8_t[7]){ 2, 0, 0, 0, 0, 1, 0 }, 7, false);
	mac((const uint8_t[7]){ 2, 0, 0, 0, 0, 1, 0 }, 0, false);
}

static void test_link_may_be_down(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	b.host.disconnected = 1;
	bench_ready(&b);
	assert_false(b.n.agreed.link_up);
}

/* ---- sub-channels ---- */

static void queues(uint32_t wanted, uint32_t host_queues, uint32_t asked)
{
	struct bench b;

	bench_init(&b, 0x50000);
	b.config.queue_count = (uint16_t)wanted;
	b.host.rss_queues = host_queues;
	b.host.sub_channels = asked;
	bench_start(&b);
	if (asked) {
		bench_until(&b, 133);
		assert_int_equal(b.n.state, VMB_GUEST_NETWORK_SUBCHANNEL);
		assert_int_equal(get(b.out, 4, 4), 1);
		assert_int_equal(get(b.out, 8, 4), asked);
		assert_int_equal(host_answer(&b), 0);
	} else {
		bench_finish(&b);
	}
	assert_event(&b, IS_READY);
	assert_int_equal(b.n.agreed.sub_channel_count, asked);
}

static void test_sub_channels_are_asked_for(void **state)
{
	queues(1, 64, 0);
	queues(4, 64, 3);
	queues(4, 2, 1);
	queues(4, 1, 0);
	queues(4, 0, 0);
	queues(64, 0xFFFFFFFF, 63);
}

static void grant(uint32_t status, uint32_t granted, uint32_t wanted, bool good)
{
	struct bench b;
	uint32_t i;

	bench_init(&b, 0x50000);
	b.config.queue_count = 4;
	bench_start(&b);
	bench_until(&b, 133);
	put(say(&b, 133), 4, status, 4);
	put(b.in, 8, granted, 4);
	assert_int_equal(deliver(&b, COMPLETION, b.out_id, 12), 0);
	if (!good) {
		fails(&b, VMB_GUEST_NETWORK_TOO_MANY_SUB_CHANNELS);
		return;
	}
	assert_event(&b, IS_READY);
	assert_int_equal(b.n.agreed.sub_channel_count, wanted);
	for (i = 0; i < 16; i++)
		assert_int_equal(b.n.agreed.send_table[i], i % (wanted + 1));
}

static void test_granted_sub_channels_are_judged(void **state)
{
	grant(1, 3, 3, true);
	grant(1, 0, 0, true);
	grant(1, 2, 2, true);
	grant(2, 3, 0, true);
	grant(1, 4, 0, false);
	grant(1, 0xFFFFFFFF, 0, false);
}

static void rss(uint32_t offset, uint32_t value, uint32_t value_len, uint32_t len, uint32_t entries)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until_oid(&b, 0x10203);
	assert_int_equal(taken(&b), 0);
	memset(b.in, 0, sizeof(b.in));
	host_value(&b, 0x10203, b.in + 24);
	put(b.in, 24 + offset, value, value_len);
	assert_int_equal(reply(&b, 0, len), 0);
	assert_int_equal(b.n.agreed.rss_table_count, entries);
	if (!entries)
		assert_event(&b, IS_READY);
}

static void test_rss_capabilities_are_judged(void **state)
{
	rss(16, 128, 2, 18, 128);
	rss(16, 16, 2, 18, 16);
	rss(16, 0, 2, 18, 128);
	rss(16, 256, 2, 18, 128);
	rss(2, 16, 2, 18, 128);
	rss(2, 16, 2, 16, 128);
	rss(2, 18, 2, 17, 0);
	rss(2, 15, 2, 18, 0);
	rss(2, 0, 2, 18, 0);
	rss(2, 0xFFFF, 2, 18, 0);
	rss(0, 0x80, 1, 18, 0);
	rss(4, 0x300, 4, 18, 0);
	rss(4, 1, 4, 18, 0);
	rss(4, 0x101, 4, 18, 128);
	rss(4, 0x201, 4, 18, 128);
	rss(12, 0, 4, 18, 0);
	rss(0, 0x88, 1, 15, 0);
	rss(0, 0x88, 1, 0, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_version_reaches_ready),
		cmocka_unit_test(test_versions_are_proposed_newest_first),
		cmocka_unit_test(test_walk_ends_at_the_version_the_host_speaks),
		cmocka_unit_test(test_lower_bound_ends_the_walk),
		cmocka_unit_test(test_other_status_is_a_refusal),
		cmocka_unit_test(test_receive_buffer_too_long_for_old_versions_fails),
		cmocka_unit_test(test_bad_config_is_refused),
		cmocka_unit_test(test_start_is_legal_once),
		cmocka_unit_test(test_config_and_ndis_version_follow_the_version),
		cmocka_unit_test(test_rsc_is_asked_for_only_if_wanted),
		cmocka_unit_test(test_questions_come_in_order),
		cmocka_unit_test(test_initialize_is_what_the_reference_says),
		cmocka_unit_test(test_offload_question_names_its_structure),
		cmocka_unit_test(test_receive_buffer_is_judged),
		cmocka_unit_test(test_send_buffer_is_judged),
		cmocka_unit_test(test_initialize_is_judged),
		cmocka_unit_test(test_alignment_and_counts_are_made_usable),
		cmocka_unit_test(test_sections_too_short_for_the_alignment_fail),
		cmocka_unit_test(test_card_needs_frame_length_and_address),
		cmocka_unit_test(test_other_questions_may_be_refused),
		cmocka_unit_test(test_question_that_is_not_taken_is_refused),
		cmocka_unit_test(test_short_answers_are_none),
		cmocka_unit_test(test_mtu_is_the_smaller_one),
		cmocka_unit_test(test_address_is_judged),
		cmocka_unit_test(test_link_may_be_down),
		cmocka_unit_test(test_sub_channels_are_asked_for),
		cmocka_unit_test(test_granted_sub_channels_are_judged),
		cmocka_unit_test(test_rss_capabilities_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
