// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Storage: the handshake, requests as they leave, what the host says unasked, and reset. */
#include "tests/guest_storage_bed.h"

/* ---- handshake ---- */

static void test_handshake_reaches_ready_with_every_version(void **state)
{
	static const struct {
		uint16_t version;
		uint32_t packet_len, srb_len, sense_len;
	} versions[] = { { 0x0602, 64, 0x34, 20 },
			 { 0x0600, 64, 0x34, 20 },
			 { 0x0501, 64, 0x34, 20 },
			 { 0x0402, 48, 0x24, 18 },
			 { 0x0200, 48, 0x24, 18 } };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		bench_ready(&b, versions[i].version);
		assert_int_equal(b.s.version, versions[i].version);
		assert_int_equal(b.s.max_transfer_len, 0x40000);
		submit_read(&b, 0);
		assert_int_equal(b.packet.payload_len, versions[i].packet_len);
		assert_int_equal(get(&b.packet.payload, 12, 2), versions[i].srb_len);
		assert_int_equal(get(&b.packet.payload, 21, 1), versions[i].sense_len);
	}
}

static void test_versions_are_proposed_newest_first(void **state)
{
	static const uint16_t versions[] = { 0x602, 0x600, 0x501, 0x402, 0x200 };
	struct bench b;
	uint32_t i;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	expect_control(&b, 7, 64);
	assert_int_equal(answer(&b, 0), 0);
	for (i = 0; i < 5; i++) {
		expect_control(&b, 9, versions[i] >= 0x501 ? 64 : 48);
		assert_int_equal(get(b.out, 12, 2), versions[i]);
		assert_int_equal(get(b.out, 14, 2), 0);
		assert_event(&b, NOTHING);
		assert_int_equal(answer(&b, 0xC0000059), 0);
	}
	assert_event(&b, HAS_FAILED);
	assert_int_equal(b.s.state, VMB_GUEST_STORAGE_FAILED);
	assert_null(vmb_guest_storage_output(&b.s));
}

static void test_lower_bound_ends_proposals(void **state)
{
	struct vmb_guest_storage_config config = { .version_min = 0x600 };
	struct bench b;

	memset(&b, 0, sizeof(b));
	assert_int_equal(vmb_guest_storage_init(&b.s, b.slots, SLOTS, &config), 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	expect_control(&b, 7, 64);
	assert_int_equal(answer(&b, 0), 0);
	expect_control(&b, 9, 64);
	assert_int_equal(answer(&b, 0xC0000059), 0);
	expect_control(&b, 9, 64);
	assert_int_equal(answer(&b, 0xC0000059), 0);
	assert_event(&b, HAS_FAILED);
}

/* Refuses one step of the handshake, where only a version could be followed by an older one. */
static void refuse_step(struct bench *b, uint16_t version, uint32_t refused)
{
	static const uint32_t operations[] = { 7, 9, 10, 8 };
	uint32_t len = version >= 0x501 ? 64 : 48;
	uint32_t i;

	bench_init(b, version, 0);
	assert_int_equal(vmb_guest_storage_start(&b->s), 0);
	for (i = 0; i <= refused; i++) {
		expect_control(b, operations[i], len);
		say_properties(b, 0, 0, 0x40000);
		put(b->in, 8, i == refused ? 0xC0000184 : 0, 4);
		assert_int_equal(deliver(b, COMPLETION, b->out_id, len), 0);
	}
	assert_event(b, HAS_FAILED);
	assert_int_equal(b->s.state, VMB_GUEST_STORAGE_FAILED);
	assert_null(vmb_guest_storage_output(&b->s));
	make_read(b);
	assert_int_equal(submit(b, 0), VMB_EBUSY);
}

static void test_refused_step_fails(void **state)
{
	struct bench b;
	uint32_t refused;

	for (refused = 0; refused < 4; refused++) {
		refuse_step(&b, 0x200, refused);
		if (refused != 1)
			refuse_step(&b, 0x602, refused);
	}
}

static void test_start_is_legal_once(void **state)
{
	struct bench b;

	bench_init(&b, 0, 0);
	assert_null(vmb_guest_storage_output(&b.s));
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), VMB_EBUSY);
	bench_ready(&b, 0x600);
	assert_int_equal(vmb_guest_storage_start(&b.s), VMB_EBUSY);
}

static void test_bad_config_is_refused(void **state)
{
	static const struct vmb_guest_storage_config bad[] = {
		{ .version_max = 0x500 },
		{ .version_min = 0x601 },
		{ .version_max = 0x501, .version_min = 0x600 },
		{ .max_transfer_len = 4095 },
	};
	static const struct vmb_guest_storage_config good;
	struct bench b = { 0 };
	uint32_t i;

	for (i = 0; i < 4; i++)
		assert_int_equal(vmb_guest_storage_init(&b.s, b.slots, SLOTS, &bad[i]), VMB_EINVAL);
	assert_int_equal(vmb_guest_storage_init(&b.s, NULL, SLOTS, &good), VMB_EINVAL);
	assert_int_equal(vmb_guest_storage_init(&b.s, b.slots, 0, &good), VMB_EINVAL);
	assert_int_equal(vmb_guest_storage_init(&b.s, b.slots, 0xFFFFFFFF, &good), VMB_EINVAL);
}

static void test_output_unconfirmed_is_repeated(void **state)
{
	struct bench b;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	assert_ptr_equal(vmb_guest_storage_output(&b.s), vmb_guest_storage_output(&b.s));
	expect_control(&b, 7, 64);
}

static void test_answer_may_overtake_done(void **state)
{
	const struct vmb_guest_storage_output *out;
	struct bench b;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	out = vmb_guest_storage_output(&b.s);
	say(&b, 1, 0);
	assert_int_equal(deliver(&b, COMPLETION, out->transaction_id, 64), 0);
	vmb_guest_storage_output_done(&b.s); /* of BEGIN: the next packet must not be lost */
	expect_control(&b, 9, 64);
}

static void test_answer_before_output_is_forged(void **state)
{
	struct bench b;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	say(&b, 1, 0);
	assert_int_equal(deliver(&b, COMPLETION, 0xFFFFFFFF, 64), VMB_EPROTO);
	assert_int_equal(b.s.counters.forged, 1);
	expect_control(&b, 7, 64);
}

static void test_duplicate_answer_is_forged(void **state)
{
	uint64_t first;
	struct bench b;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	expect_control(&b, 7, 64);
	first = b.out_id;
	assert_int_equal(answer(&b, 0), 0);
	expect_control(&b, 9, 64);
	assert_int_not_equal(b.out_id, first);
	assert_int_equal(deliver(&b, COMPLETION, first, 64), VMB_EPROTO);
	assert_int_equal(b.s.counters.forged, 1);
	assert_int_equal(b.s.state, VMB_GUEST_STORAGE_VERSION);
}

static void test_malformed_answer_changes_nothing(void **state)
{
	struct bench b;
	uint32_t len, operation;

	bench_init(&b, 0, 0);
	assert_int_equal(vmb_guest_storage_start(&b.s), 0);
	expect_control(&b, 7, 64);
	for (len = 0; len < 48; len++) {
		say(&b, 1, 0);
		assert_int_equal(deliver(&b, COMPLETION, b.out_id, len), VMB_EPROTO);
	}
	for (operation = 0; operation < 20; operation++) {
		say(&b, operation, 0);
		if (operation != 1)
			assert_int_equal(deliver(&b, COMPLETION, b.out_id, 64), VMB_EPROTO);
	}
	assert_int_equal(b.s.counters.malformed, 48 + 19);
	assert_int_equal(b.s.state, VMB_GUEST_STORAGE_BEGIN);
	assert_int_equal(answer(&b, 0), 0);
	expect_control(&b, 9, 64);
}

static void test_foreign_packet_types_are_malformed(void **state)
{
	static const uint16_t types[] = { 0, 1, 5, 7, 8, 9, 10, 12, 0xFFFF };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	for (i = 0; i < 9; i++) {
		say_complete(&b, 1, 0, 8192);
		assert_int_equal(deliver(&b, types[i], b.packet.transaction_id, 64), VMB_EPROTO);
		assert_event(&b, NOTHING);
	}
	assert_int_equal(b.s.counters.malformed, 9);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
}

/* ---- properties ---- */

static int properties(struct bench *b, uint16_t version, uint32_t cap, uint32_t max_transfer)
{
	bench_version(b, version, cap);
	say_properties(b, 5, 1, max_transfer);
	put(b->in, 14, 2, 1);
	put(b->in, 15, 1, 1);
	return deliver(b, COMPLETION, b->out_id, b->out_len);
}

static void test_transfer_limit_is_rounded_and_capped(void **state)
{
	static const struct {
		uint32_t cap, host, wanted;
	} limits[] = { { 0, 4096, 4096 },
		       { 0, 4097, 4096 },
		       { 0, 8191, 4096 },
		       { 0, 0x40000, 0x40000 },
		       { 0, 0xFFFFFFFF, 8 << 20 },
		       { 0x10000, 0x40000, 0x10000 },
		       { 0x10FFF, 0x40000, 0x10000 },
		       { 0xFFFFFFFF, 0xFFFFFFFF, 60000u * 4096 } };
	struct bench b;
	uint32_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		assert_int_equal(properties(&b, 0x600, limits[i].cap, limits[i].host), 0);
		assert_int_equal(b.s.state, VMB_GUEST_STORAGE_END);
		assert_int_equal(b.s.max_transfer_len, limits[i].wanted);
	}
}

static void test_transfer_limit_below_a_page_fails(void **state)
{
	static const uint32_t limits[] = { 0, 1, 512, 4095 };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		assert_int_equal(properties(&b, 0x600, 0, limits[i]), 0);
		assert_event(&b, HAS_FAILED);
		assert_int_equal(b.s.state, VMB_GUEST_STORAGE_FAILED);
	}
}

static void test_multi_channel_needs_flag_and_5_1(void **state)
{
	struct bench b;

	assert_int_equal(properties(&b, 0x501, 0, 0x40000), 0);
	assert_int_equal(b.s.max_sub_channel_count, 5);
	assert_int_equal(b.s.path_id, 0);
	assert_int_equal(b.s.target_id, 0);
	/* Before 5.1 bit 0 says removable, and the address stands in bytes 2 and 3. */
	assert_int_equal(properties(&b, 0x402, 0, 0x40000), 0);
	assert_int_equal(b.s.max_sub_channel_count, 0);
	assert_int_equal(b.s.path_id, 2);
	assert_int_equal(b.s.target_id, 1);
	bench_version(&b, 0x602, 0);
	say_properties(&b, 5, 0xFFFFFFFE, 0x40000);
	assert_int_equal(deliver(&b, COMPLETION, b.out_id, 64), 0);
	assert_int_equal(b.s.max_sub_channel_count, 0);
}

/* ---- requests ---- */

/* Up to END_INITIALIZATION's answer; the host allows `allowed` sub-channels, we want `wanted`. */
static void want_sub_channels(struct bench *b, uint16_t version, uint16_t wanted, uint16_t allowed)
{
	bench_version(b, version, 0);
	b->s.config.sub_channel_max = wanted;
	say_properties(b, allowed, 1, 0x40000);
	assert_int_equal(deliver(b, COMPLETION, b->out_id, b->out_len), 0);
	expect_control(b, 8, b->out_len);
	assert_int_equal(answer(b, 0), 0);
}

/* docs/protocol/storage.md, "4 Initialisation" (6): u16 count at 12. */
static void test_sub_channels_are_asked_for_last(void **state)
{
	struct bench b;

	want_sub_channels(&b, 0x602, 3, 5);
	assert_event(&b, NOTHING);
	expect_control(&b, 13, 64);
	assert_int_equal(get(b.out, 12, 2), 3);
	assert_int_equal(get(b.out, 14, 8), 0);
	assert_int_equal(answer(&b, 0), 0);
	assert_event(&b, IS_READY);
	assert_int_equal(b.s.sub_channel_count, 3);
	want_sub_channels(&b, 0x501, 7, 2);
	expect_control(&b, 13, 64);
	assert_int_equal(get(b.out, 12, 2), 2);
	assert_int_equal(answer(&b, 0xC000000D), 0); /* INVALID_PARAMETER */
	assert_event(&b, IS_READY);
	assert_int_equal(b.s.sub_channel_count, 0);
}

static void test_no_sub_channels_are_asked_for_in_vain(void **state)
{
	static const uint16_t cases[][3] = { { 0x602, 0, 5 }, { 0x602, 3, 0 }, { 0x402, 3, 5 } };
	struct bench b;

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		want_sub_channels(&b, cases[i][0], cases[i][1], cases[i][2]);
		assert_event(&b, IS_READY);
		assert_int_equal(b.s.sub_channel_count, 0);
		assert_null(vmb_guest_storage_output(&b.s));
	}
}

/* A sub-channel sends and ends requests of the same slots; control packets are not its business. */
static void test_joined_channel_shares_slots_and_nothing_else(void **state)
{
	struct vmb_guest_storage sub;
	struct bench b;
	uint64_t id;

	bench_ready(&b, 0x602);
	vmb_guest_storage_join(&sub, &b.s);
	assert_int_equal(vmb_guest_storage_start(&sub), VMB_EBUSY);
	assert_int_equal(vmb_guest_storage_reset(&sub), VMB_EBUSY);
	assert_null(vmb_guest_storage_output(&sub));
	make_read(&b);
	assert_int_equal(vmb_guest_storage_submit(&sub, 2, &b.request, &b.packet), 0);
	assert_int_equal(vmb_guest_storage_submit(&b.s, 2, &b.request, &b.packet), VMB_EBUSY);
	id = b.packet.transaction_id;
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(vmb_guest_storage_input(&sub, COMPLETION, id, b.in, 64, &b.event), 0);
	assert_event(&b, COMPLETED);
	assert_ptr_equal(b.event.cookie, &b);
	assert_int_equal(vmb_guest_storage_input(&b.s, COMPLETION, id, b.in, 64, &b.event),
			 VMB_EPROTO);
	assert_int_equal(sub.counters.completed, 1);
	assert_int_equal(b.s.counters.completed, 0);
	say(&b, 1, 0);
	assert_int_equal(vmb_guest_storage_input(&sub, COMPLETION, b.out_id, b.in, 64, &b.event),
			 VMB_EPROTO);
	submit_read(&b, 0);
	assert_int_equal(vmb_guest_storage_fail_next(&b.s, &b.event), 0);
	assert_int_equal(vmb_guest_storage_fail_next(&b.s, &b.event), VMB_EAGAIN);
}

static void test_read_is_packed_as_the_reference_says(void **state)
{
	static const uint8_t zero[16];
	struct bench b;
	const uint8_t *p = (const uint8_t *)&b.packet.payload;

	bench_ready(&b, 0x602);
	submit_read(&b, 2);
	assert_int_equal(b.packet.type, 9);
	assert_int_not_equal(b.packet.transaction_id, 0);
	assert_int_equal(get(&b.packet.gpa, 0, 4), 0);
	assert_int_equal(get(&b.packet.gpa, 4, 4), 1);
	assert_int_equal(get(&b.packet.gpa, 8, 4), 8192);
	assert_int_equal(get(&b.packet.gpa, 12, 4), 16);
	assert_int_equal(b.packet.pfn_count, 3);
	assert_int_equal(get(p, 0, 4), 3);
	assert_int_equal(get(p, 4, 4), 1);
	assert_int_equal(get(p, 8, 4), 0);
	assert_int_equal(get(p, 12, 2), 0x34);
	assert_int_equal(get(p, 14, 4), 0); /* statuses, port, path */
	assert_int_equal(get(p, 18, 1), 1); /* target */
	assert_int_equal(get(p, 19, 1), 3); /* LUN */
	assert_int_equal(get(p, 20, 1), 10);
	assert_int_equal(get(p, 21, 1), 20);
	assert_int_equal(get(p, 22, 1), 1); /* device to guest */
	assert_int_equal(get(p, 23, 1), 0);
	assert_int_equal(get(p, 24, 4), 8192);
	assert_memory_equal(p + 28, b.request.cdb, 10);
	assert_memory_equal(p + 38, zero, 12); /* to the end of the union, and the reserve */
	assert_int_equal(get(p, 50, 1), 0xFF);
	assert_int_equal(get(p, 51, 1), 0x20);
	assert_int_equal(get(p, 52, 4), 0x40 | 0x8 | 0x102);
	assert_int_equal(get(p, 56, 4), 60);
	assert_int_equal(get(p, 60, 4), 0);
}

static void test_write_is_marked_as_write(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	make_read(&b)->direction = VMB_STOR_WRITE;
	assert_int_equal(submit(&b, 0), 0);
	assert_int_equal(get(&b.packet.payload, 22, 1), 0);
	assert_int_equal(get(&b.packet.payload, 52, 4), 0x80 | 0x8 | 0x102);
}

static void test_request_without_data_is_in_band(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	make_read(&b)->direction = VMB_STOR_NO_DATA;
	b.request.data_len = 0;
	assert_int_equal(submit(&b, 0), 0);
	assert_int_equal(b.packet.type, 6);
	assert_int_equal(b.packet.pfn_count, 0);
	assert_int_equal(get(&b.packet.payload, 22, 1), 2);
	assert_int_equal(get(&b.packet.payload, 24, 4), 0);
	assert_int_equal(get(&b.packet.payload, 52, 4), 0x8 | 0x102);
}

static void test_pages_are_counted_at_every_edge(void **state)
{
	static const struct {
		uint32_t offset, len, pages;
	} edges[] = { { 0, 1, 1 },     { 0, 4096, 1 },	   { 0, 4097, 2 },	 { 4095, 1, 1 },
		      { 4095, 2, 2 },  { 1, 4096, 2 },	   { 4095, 4097, 2 },	 { 4095, 4098, 3 },
		      { 512, 512, 1 }, { 0, 0x40000, 64 }, { 4095, 0x40000, 65 } };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		make_read(&b)->data_offset = edges[i].offset;
		b.request.data_len = edges[i].len;
		assert_int_equal(submit(&b, 0), 0);
		assert_int_equal(b.packet.pfn_count, edges[i].pages);
		assert_true(vmb_guest_storage_cancel(&b.s, 0));
	}
}

static void test_bad_requests_are_invalid(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	make_read(&b);
	assert_int_equal(submit(&b, SLOTS), VMB_EINVAL);
	assert_int_equal(submit(&b, 0xFFFFFFFF), VMB_EINVAL);
	make_read(&b)->cdb_len = 0;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->cdb_len = 17;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->direction = VMB_STOR_NO_DATA;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->direction = 3;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->data_len = 0;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->data_offset = 4096;
	assert_int_equal(submit(&b, 0), VMB_EINVAL);
	make_read(&b)->data_len = 0x40001;
	assert_int_equal(submit(&b, 0), VMB_EOVERFLOW);
	make_read(&b)->data_len = 0xFFFFFFFF;
	assert_int_equal(submit(&b, 0), VMB_EOVERFLOW);
	submit_read(&b, 0); /* none of them has kept the slot */
}

static void test_submit_before_ready_is_refused(void **state)
{
	struct bench b;

	bench_init(&b, 0, 0);
	make_read(&b);
	assert_int_equal(submit(&b, 0), VMB_EBUSY);
	bench_version(&b, 0x602, 0);
	make_read(&b);
	assert_int_equal(submit(&b, 0), VMB_EBUSY);
	assert_int_equal(vmb_guest_storage_reset(&b.s), VMB_EBUSY);
}

static void test_slot_is_taken_until_completed(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 1);
	assert_int_equal(vmb_guest_storage_submit(&b.s, 1, &b.request,
						  &(struct vmb_guest_storage_packet){ 0 }),
			 VMB_EBUSY);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	submit_read(&b, 1);
}

static void test_cancelled_slot_is_free(void **state)
{
	uint64_t id;
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	id = b.packet.transaction_id;
	assert_true(vmb_guest_storage_cancel(&b.s, 0));
	assert_false(vmb_guest_storage_cancel(&b.s, 0));
	assert_false(vmb_guest_storage_cancel(&b.s, SLOTS));
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(deliver(&b, COMPLETION, id, 64), VMB_EPROTO);
	submit_read(&b, 0);
	assert_int_not_equal(b.packet.transaction_id, id);
}

/* ---- events and reset ---- */

static void test_host_events_ask_for_rescan(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	say(&b, 11, 0);
	assert_int_equal(deliver(&b, INBAND, 0, 64), 0);
	assert_event(&b, RESCAN);
	say(&b, 2, 0);
	assert_int_equal(deliver(&b, INBAND, 0, 64), 0);
	assert_event(&b, RESCAN);
	say(&b, 14, 0);
	assert_int_equal(deliver(&b, INBAND, 0, 64), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(b.s.counters.events, 3);
	bench_ready(&b, 0x402);
	say(&b, 11, 0);
	assert_int_equal(deliver(&b, INBAND, 0, 48), 0);
	assert_event(&b, RESCAN);
}

static void test_events_before_ready_are_ignored(void **state)
{
	struct bench b;

	bench_version(&b, 0x602, 0);
	say(&b, 11, 0);
	assert_int_equal(deliver(&b, INBAND, 0, 64), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(b.s.state, VMB_GUEST_STORAGE_PROPERTIES);
}

static void test_bad_events_are_malformed(void **state)
{
	static const uint32_t bad[] = { 0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	for (i = 0; i < 14; i++) {
		say(&b, bad[i], 0);
		assert_int_equal(deliver(&b, INBAND, 0, 64), VMB_EPROTO);
		assert_event(&b, NOTHING);
	}
	for (i = 0; i < 12; i++) {
		say(&b, 11, 0);
		assert_int_equal(deliver(&b, INBAND, 0, i), VMB_EPROTO);
	}
	assert_int_equal(b.s.counters.malformed, 14 + 12);
}

static void test_reset_is_asked_and_answered(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	assert_int_equal(vmb_guest_storage_reset(&b.s), 0);
	assert_int_equal(vmb_guest_storage_reset(&b.s), VMB_EBUSY);
	expect_control(&b, 6, 64);
	assert_int_equal(vmb_guest_storage_reset(&b.s), VMB_EBUSY);
	assert_int_equal(answer(&b, 0), 0);
	assert_event(&b, RESET_DONE);
	assert_int_equal(answer(&b, 0), VMB_EPROTO); /* twice */
	assert_int_equal(vmb_guest_storage_reset(&b.s), 0);
	expect_control(&b, 6, 64);
	say_complete(&b, 2, 0, 0); /* the request is still there, and aborted */
	assert_int_equal(complete(&b), 0);
	assert_int_equal(b.event.srb_status, VMB_SRB_ABORTED);
}

/* A host that slept through the first one; or that answers all of them when it comes back. */
static void test_reset_is_asked_again(void **state)
{
	struct bench b;
	uint64_t id;

	bench_ready(&b, 0x602);
	assert_int_equal(vmb_guest_storage_reset_again(&b.s), VMB_EBUSY);
	assert_int_equal(vmb_guest_storage_reset(&b.s), 0);
	assert_int_equal(vmb_guest_storage_reset_again(&b.s), VMB_EBUSY);
	expect_control(&b, 6, 64);
	id = b.out_id;
	assert_int_equal(vmb_guest_storage_reset_again(&b.s), 0);
	expect_control(&b, 6, 64);
	assert_int_equal(b.out_id, id);
	assert_int_equal(answer(&b, 0), 0);
	assert_event(&b, RESET_DONE);
	assert_int_equal(answer(&b, 0), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(answer(&b, 0), VMB_EPROTO); /* it was asked twice, not three times */
	assert_int_equal(vmb_guest_storage_reset(&b.s), 0);
	expect_control(&b, 6, 64);
	assert_true(b.out_id != id);
}

static void test_reset_answer_may_overtake_done(void **state)
{
	const struct vmb_guest_storage_output *out;
	struct bench b;

	bench_ready(&b, 0x602);
	assert_int_equal(vmb_guest_storage_reset(&b.s), 0);
	out = vmb_guest_storage_output(&b.s);
	say(&b, 1, 0);
	assert_int_equal(deliver(&b, COMPLETION, out->transaction_id, 64), 0);
	assert_event(&b, RESET_DONE);
	vmb_guest_storage_output_done(&b.s);
	assert_null(vmb_guest_storage_output(&b.s));
}

/* ---- IDE ---- */

static void test_ide_address_comes_from_the_instance_id(void **state)
{
	static const struct {
		struct vmb_guid instance_id;
		uint8_t path_id, target_id;
	} rows[] = {
		{ VMB_GUID(0, 0, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0), 0, 0 },
		{ VMB_GUID(1, 0, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0), 1, 0 },
		{ VMB_GUID(0, 1, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0), 0, 1 },
		{ VMB_GUID(1, 1, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0), 1, 1 },
		{ VMB_GUID(0xFF, 0xFE, 0x1234, 9, 9, 9, 9, 9, 9, 9, 9), 0xFF, 0xFE },
	};
	struct vmb_guest_storage_address address;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		memset(&address, 0xEE, sizeof(address));
		assert_int_equal(vmb_guest_storage_ide_address(&rows[i].instance_id, &address), 0);
		assert_int_equal(address.path_id, rows[i].path_id);
		assert_int_equal(address.target_id, rows[i].target_id);
		assert_int_equal(address.lun, 0);
	}
}

static void test_ide_address_that_no_request_could_carry_is_refused(void **state)
{
	static const struct vmb_guid ids[] = {
		VMB_GUID(0x100, 0, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0),
		VMB_GUID(0x80000000, 0, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0),
		VMB_GUID(0, 0x100, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0),
	};
	struct vmb_guest_storage_address address;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(ids); i++)
		assert_int_equal(vmb_guest_storage_ide_address(&ids[i], &address), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake_reaches_ready_with_every_version),
		cmocka_unit_test(test_versions_are_proposed_newest_first),
		cmocka_unit_test(test_lower_bound_ends_proposals),
		cmocka_unit_test(test_refused_step_fails),
		cmocka_unit_test(test_start_is_legal_once),
		cmocka_unit_test(test_bad_config_is_refused),
		cmocka_unit_test(test_output_unconfirmed_is_repeated),
		cmocka_unit_test(test_answer_may_overtake_done),
		cmocka_unit_test(test_answer_before_output_is_forged),
		cmocka_unit_test(test_duplicate_answer_is_forged),
		cmocka_unit_test(test_malformed_answer_changes_nothing),
		cmocka_unit_test(test_foreign_packet_types_are_malformed),
		cmocka_unit_test(test_transfer_limit_is_rounded_and_capped),
		cmocka_unit_test(test_transfer_limit_below_a_page_fails),
		cmocka_unit_test(test_multi_channel_needs_flag_and_5_1),
		cmocka_unit_test(test_sub_channels_are_asked_for_last),
		cmocka_unit_test(test_no_sub_channels_are_asked_for_in_vain),
		cmocka_unit_test(test_joined_channel_shares_slots_and_nothing_else),
		cmocka_unit_test(test_read_is_packed_as_the_reference_says),
		cmocka_unit_test(test_write_is_marked_as_write),
		cmocka_unit_test(test_request_without_data_is_in_band),
		cmocka_unit_test(test_pages_are_counted_at_every_edge),
		cmocka_unit_test(test_bad_requests_are_invalid),
		cmocka_unit_test(test_submit_before_ready_is_refused),
		cmocka_unit_test(test_slot_is_taken_until_completed),
		cmocka_unit_test(test_cancelled_slot_is_free),
		cmocka_unit_test(test_host_events_ask_for_rescan),
		cmocka_unit_test(test_events_before_ready_are_ignored),
		cmocka_unit_test(test_bad_events_are_malformed),
		cmocka_unit_test(test_reset_is_asked_and_answered),
		cmocka_unit_test(test_reset_is_asked_again),
		cmocka_unit_test(test_reset_answer_may_overtake_done),
		cmocka_unit_test(test_ide_address_comes_from_the_instance_id),
		cmocka_unit_test(test_ide_address_that_no_request_could_carry_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
