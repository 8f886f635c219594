// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Network: transfer-page packets, the frames in them, coalesced ones, and what is owed for them. */
#include "tests/guest_network_bed.h"

#define SUBALLOC 1u
#define FIRST	 2u
#define LAST	 4u
#define NO_ID	 0xFFu

/*
 * An RNDIS message with a frame of len bytes at suballocation `at`, its data 256 bytes in, as hosts
 * do; flags: of its packet id, NO_ID: none.
 */
static uint8_t *put_frame(struct bench *b, uint32_t at, uint32_t len, uint32_t flags)
{
	uint8_t *m = bench_rx + at * SUBALLOC_LEN;

	memset(m, 0, 256);
	put(m, 0, 1, 4);
	put(m, 4, 256 + len, 4);
	put(m, 8, 248, 4);
	put(m, 12, len, 4);
	if (flags != NO_ID) {
		put(m, 28, 36, 4);
		put(m, 32, 16, 4);
		put(m, 44, 16, 4);
		put(m, 48, 0x80000001, 4);
		put(m, 52, 12, 4);
		put(m, 56, 1 | flags << 8, 4);
	}
	add_range(b, at * SUBALLOC_LEN, SUBALLOC_LEN);
	return m;
}

static bool next(struct bench *b, struct vmb_guest_network_frame *frame)
{
	memset(frame, 0xEE, sizeof(*frame));
	return vmb_guest_network_receive_next(&b->n, &b->q, &b->r, frame);
}

/* The next frame, of one piece. */
static void expect_frame(struct bench *b, uint32_t at, uint32_t len)
{
	struct vmb_guest_network_frame frame;

	assert_true(next(b, &frame));
	assert_int_equal(frame.rndis.len, len);
	assert_int_equal(frame.piece_count, 1);
	assert_int_equal(frame.pieces[0].offset, at * SUBALLOC_LEN + 256);
	assert_int_equal(frame.pieces[0].len, len);
}

/* Nothing more comes, and this many things were wrong so far. */
static void expect_end(struct bench *b, uint64_t malformed)
{
	struct vmb_guest_network_frame frame;

	assert_false(next(b, &frame));
	assert_false(next(b, &frame));
	assert_int_equal(b->q.counters.malformed, malformed);
}

static void test_frames_come_in_order(void **state)
{
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	for (i = 0; i < 30; i++)
		put_frame(&b, 35 - i, 14 + i, NO_ID);
	assert_int_equal(receive(&b), VMB_GUEST_NETWORK_FRAMES);
	for (i = 0; i < 30; i++)
		expect_frame(&b, 35 - i, 14 + i);
	expect_end(&b, 0);
}

static void test_facts_of_a_frame_are_told(void **state)
{
	static const uint32_t types[] = { 0, 6, 8, 9 };
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint8_t *m;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	m = put_frame(&b, 0, 60, NO_ID);
	put(m, 28, 36, 4);
	put(m, 32, 64, 4);
	for (i = 0; i < 4; i++) {
		put(m, 44 + 16 * i, 16, 4);
		put(m, 48 + 16 * i, types[i], 4);
		put(m, 52 + 16 * i, 12, 4);
		put(m, 56 + 16 * i, 0x1111 * (i + 1), 4);
	}
	assert_int_equal(receive(&b), 0);
	assert_true(next(&b, &frame));
	assert_int_equal(frame.rndis.present, VMB_GUEST_RNDIS_CHECKSUM | VMB_GUEST_RNDIS_VLAN |
						      VMB_GUEST_RNDIS_HASH |
						      VMB_GUEST_RNDIS_HASH_TYPE);
	assert_int_equal(frame.rndis.checksum, 0x1111);
	assert_int_equal(frame.rndis.vlan, 0x2222);
	assert_int_equal(frame.rndis.hash, 0x3333);
	assert_int_equal(frame.rndis.hash_type, 0x4444);
}

/* As many as are understood; the last one is seen. */
static void test_longest_list_of_facts_is_read(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint8_t *m;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	m = put_frame(&b, 0, 160, NO_ID);
	put(m, 8, 348, 4);
	put(m, 12, 60, 4);
	put(m, 28, 40, 4);
	put(m, 32, 272, 4);
	for (i = 0; i < 17; i++) {
		put(m, 48 + 16 * i, 16, 4);
		put(m, 52 + 16 * i, i == 16 ? 6 : 11, 4);
		put(m, 56 + 16 * i, 12, 4);
		put(m, 60 + 16 * i, i, 4);
	}
	assert_int_equal(receive(&b), 0);
	assert_true(next(&b, &frame));
	assert_int_equal(frame.rndis.present, VMB_GUEST_RNDIS_VLAN);
	assert_int_equal(frame.rndis.vlan, 16);
	assert_int_equal(frame.pieces[0].offset, 356);
	expect_end(&b, 0);
}

static void test_bad_frames_are_skipped_and_counted(void **state)
{
	struct bench b;
	uint8_t *m;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 13, NO_ID); /* shorter than an Ethernet header */
	put_frame(&b, 1, 100, NO_ID);
	m = put_frame(&b, 2, 100, NO_ID);
	put(m, 0, 2, 4);
	m = put_frame(&b, 3, 100, NO_ID);
	put(m, 4, SUBALLOC_LEN + 1, 4);
	m = put_frame(&b, 4, 100, NO_ID);
	put(m, 12, 101, 4);
	put_frame(&b, 5, SUBALLOC_LEN - 256, NO_ID);
	assert_int_equal(receive(&b), 0);
	expect_frame(&b, 1, 100);
	expect_frame(&b, 5, SUBALLOC_LEN - 256);
	expect_end(&b, 4);
}

/*
 * As long as IP can say, with Ethernet header and tag, and no longer: a port makes room for what is
 * told.
 */
static void test_too_long_frame_is_dropped(void **state)
{
	static uint8_t memory[2 * RX_LEN];
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	b.n.config.receive_buffer = memory;
	b.n.config.receive_len = sizeof(memory);
	for (i = 0; i < 2; i++) {
		begin_packet(&b, 0);
		put(memory, 0, 1, 4);
		put(memory, 4, 44 + 0xFFFF + 18 + i, 4);
		put(memory, 8, 36, 4);
		put(memory, 12, 0xFFFF + 18 + i, 4);
		add_range(&b, 0, sizeof(memory));
		assert_int_equal(receive(&b), 0);
		assert_int_equal(next(&b, &frame), !i);
		if (!i)
			assert_int_equal(frame.rndis.len, 0xFFFF + 18);
		expect_end(&b, i);
	}
}

static void test_ranges_outside_of_the_buffer_are_skipped(void **state)
{
	static const struct {
		uint32_t offset, len;
	} bad[] = {
		{ RX_LEN - 43, 43 },	    { RX_LEN, 0 },	 { RX_LEN, 100 },
		{ RX_LEN - 99, 100 },	    { 0xFFFFFFFF, 100 }, { 0, 0xFFFFFFFF },
		{ 0xFFFFFF00, 0x100 },	    { 100, RX_LEN },	 { 0, RX_LEN + 1 },
		{ 0x80000000, 0x80000000 },
	};
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	for (i = 0; i < 10; i++)
		add_range(&b, bad[i].offset, bad[i].len);
	put_frame(&b, 0, 60, NO_ID);
	add_range(&b, 0, RX_LEN);
	assert_int_equal(receive(&b), 0);
	expect_frame(&b, 0, 60);
	expect_frame(&b, 0, 60);
	expect_end(&b, 10);
}

/* ---- headers ---- */

static int receive_header(struct bench *b, uint32_t offset, uint32_t value, uint32_t len,
			  uint32_t header_len)
{
	begin_packet(b, 0);
	put_frame(b, 0, 60, NO_ID);
	put_frame(b, 1, 60, NO_ID);
	put(&b->r.header, offset, value, len);
	return vmb_guest_network_receive(&b->n, &b->q, &b->r, header_len, 16);
}

static void test_header_is_judged(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;

	bench_ready_with(&b, 0x60000); /* no coalesced frames: 375 ranges */
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 24), 0);
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 8000), 0);
	assert_int_equal(receive_header(&b, 0, 0xCAFF, 2, 24), VMB_EPROTO);
	assert_false(next(&b, &frame));
	assert_int_equal(receive_header(&b, 0, 0, 2, 24), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 23), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 8), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 7), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 0, 0xCAFE, 2, 0), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 4, 0, 4, 24), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 4, 375, 4, 8 + 8 * 375), 0);
	assert_int_equal(receive_header(&b, 4, 376, 4, 8 + 8 * 376), VMB_EPROTO);
	assert_int_equal(receive_header(&b, 4, 0x20000002, 4, 24), VMB_EPROTO);
	assert_int_equal(b.q.counters.malformed, 9);
	bench_ready_with(&b, 0x60001);
	assert_int_equal(receive_header(&b, 4, 562, 4, 8 + 8 * 562), 0);
	assert_int_equal(receive_header(&b, 4, 563, 4, 8 + 8 * 563), VMB_EPROTO);
	assert_false(next(&b, &frame));
	b.n.config.rsc = false;
	assert_int_equal(receive_header(&b, 4, 376, 4, 8 + 8 * 376), VMB_EPROTO);
}

static int receive_message(struct bench *b, uint32_t offset, uint32_t value, uint32_t len)
{
	begin_packet(b, 0);
	put_frame(b, 0, 60, NO_ID);
	put(b->r.message, offset, value, 4);
	return vmb_guest_network_receive(&b->n, &b->q, &b->r, 16, len);
}

static void test_message_is_judged(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(receive_message(&b, 0, 107, 16), VMB_GUEST_NETWORK_FRAMES);
	assert_int_equal(receive_message(&b, 0, 107, 40), VMB_GUEST_NETWORK_FRAMES);
	assert_int_equal(receive_message(&b, 4, 1, 40), VMB_GUEST_NETWORK_CONTROL);
	assert_int_equal(receive_message(&b, 0, 107, 15), VMB_EPROTO);
	assert_int_equal(receive_message(&b, 0, 107, 0), VMB_EPROTO);
	assert_int_equal(receive_message(&b, 0, 108, 40), VMB_EPROTO);
	assert_int_equal(receive_message(&b, 0, 0, 40), VMB_EPROTO);
	assert_int_equal(receive_message(&b, 4, 2, 40), VMB_EPROTO);
}

static void test_control_is_for_the_primary_only(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 1);
	put_frame(&b, 0, 60, NO_ID);
	assert_int_equal(receive_on(&b, &b.q1), VMB_EPROTO);
	assert_int_equal(b.q1.counters.malformed, 1);
	begin_packet(&b, 0);
	put_frame(&b, 0, 60, NO_ID);
	assert_int_equal(receive_on(&b, &b.q1), VMB_GUEST_NETWORK_FRAMES);
}

static void test_frames_before_ready_are_refused(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint32_t i, refused = 0;

	bench_init(&b, 0x60001);
	bench_start(&b);
	for (i = 0; next_output(&b); i++) {
		vmb_guest_network_output_done(&b.n);
		begin_packet(&b, 0);
		put_frame(&b, 0, 60, NO_ID);
		assert_int_equal(receive(&b), VMB_EPROTO);
		assert_false(next(&b, &frame));
		assert_int_equal(b.q.counters.malformed, ++refused);
		assert_int_equal(host_answer(&b), 0);
	}
	assert_int_equal(i, 14);
	begin_packet(&b, 0);
	put_frame(&b, 0, 60, NO_ID);
	assert_int_equal(receive(&b), 0);
}

static void test_nothing_is_received_before_the_buffer_is_shared(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	begin_packet(&b, 1);
	put_frame(&b, 0, 60, NO_ID);
	assert_int_equal(receive(&b), VMB_EPROTO);
	bench_until(&b, 101);
	begin_packet(&b, 1);
	put_frame(&b, 0, 60, NO_ID);
	assert_int_equal(receive(&b), VMB_EPROTO);
}

/* ---- coalesced frames ---- */

static void test_fragments_become_one_frame(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint8_t *m;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 9, 60, NO_ID);
	m = put_frame(&b, 5, 1000, SUBALLOC | FIRST);
	put(m, 32, 32, 4);
	put(m, 60, 16, 4);
	put(m, 64, 6, 4);
	put(m, 68, 12, 4);
	put(m, 72, 0x77, 4);
	put_frame(&b, 3, 10, SUBALLOC);
	put_frame(&b, 4, 1, SUBALLOC | LAST);
	put_frame(&b, 8, 70, NO_ID);
	assert_int_equal(receive(&b), 0);
	expect_frame(&b, 9, 60);
	assert_true(next(&b, &frame));
	assert_int_equal(frame.rndis.len, 1011);
	assert_int_equal(frame.piece_count, 3);
	for (i = 0; i < 3; i++) {
		static const uint32_t at[] = { 5, 3, 4 }, len[] = { 1000, 10, 1 };

		assert_int_equal(frame.pieces[i].offset, at[i] * SUBALLOC_LEN + 256);
		assert_int_equal(frame.pieces[i].len, len[i]);
	}
	assert_true(frame.rndis.present & VMB_GUEST_RNDIS_VLAN);
	assert_int_equal(frame.rndis.vlan, 0x77);
	expect_frame(&b, 8, 70);
	expect_end(&b, 0);
}

static void test_first_and_last_in_one_is_a_frame(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC | FIRST | LAST);
	put_frame(&b, 1, 100, 0); /* an id, but no fragment */
	assert_int_equal(receive(&b), 0);
	expect_frame(&b, 0, 100);
	expect_frame(&b, 1, 100);
	expect_end(&b, 0);
}

static void test_fragments_without_a_first_are_dropped(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC);
	put_frame(&b, 1, 100, SUBALLOC | LAST);
	put_frame(&b, 2, 60, NO_ID);
	assert_int_equal(receive(&b), 0);
	expect_frame(&b, 2, 60);
	expect_end(&b, 2);
}

static void test_frame_without_its_last_fragment_is_dropped(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC | FIRST);
	put_frame(&b, 1, 100, SUBALLOC);
	assert_int_equal(receive(&b), 0);
	expect_end(&b, 1);
	begin_packet(&b, 0); /* it does not go on in the next packet */
	put_frame(&b, 2, 100, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	expect_end(&b, 2);
}

static void test_new_first_or_whole_frame_ends_an_unfinished_one(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC | FIRST);
	put_frame(&b, 1, 100, SUBALLOC | FIRST);
	put_frame(&b, 2, 50, SUBALLOC | LAST);
	put_frame(&b, 3, 100, SUBALLOC | FIRST);
	put_frame(&b, 4, 60, NO_ID);
	put_frame(&b, 5, 100, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	assert_true(next(&b, &frame));
	assert_int_equal(frame.rndis.len, 150);
	assert_int_equal(frame.pieces[0].offset, SUBALLOC_LEN + 256);
	expect_frame(&b, 4, 60);
	expect_end(&b, 3);
}

static void test_bad_fragment_ends_the_frame(void **state)
{
	struct bench b;
	uint8_t *m;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC | FIRST);
	m = put_frame(&b, 1, 100, SUBALLOC);
	put(m, 12, 0xFFFF, 4);
	put_frame(&b, 2, 100, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	expect_end(&b, 3);
}

static void test_coalesced_frame_is_bounded(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint32_t i, total = 0xFFFF + 18, len;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < 2; i++, total++) {
		begin_packet(&b, 0);
		for (len = 0; len + 1500 < total; len += 1500)
			put_frame(&b, 0, 1500, SUBALLOC | (len ? 0 : FIRST));
		put_frame(&b, 1, total - len, SUBALLOC | LAST);
		/* All of them use the same suballocations: only the first is the FIRST. */
		put(bench_rx, 56, 1 | SUBALLOC << 8, 4);
		put_frame(&b, 2, 1500, SUBALLOC | FIRST);
		put(&b.r.header, 8, SUBALLOC_LEN, 4);
		put(&b.r.header, 12, 2 * SUBALLOC_LEN, 4);
		put(&b.r.header, 4, get(&b.r.header, 4, 4) - 1, 4);
		assert_int_equal(receive(&b), 0);
		assert_int_equal(next(&b, &frame), i == 0);
		if (i == 0)
			assert_int_equal(frame.rndis.len, 0xFFFF + 18);
		expect_end(&b, i);
	}
}

static void test_coalesced_frame_may_have_all_ranges(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 100, SUBALLOC | FIRST);
	put_frame(&b, 1, 100, SUBALLOC);
	for (i = 2; i < 561; i++)
		add_range(&b, SUBALLOC_LEN, SUBALLOC_LEN);
	put_frame(&b, 2, 100, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	assert_true(next(&b, &frame));
	assert_int_equal(frame.piece_count, 562);
	assert_int_equal(frame.rndis.len, 56200);
	expect_end(&b, 0);
}

static void test_short_fragments_are_no_frame(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	put_frame(&b, 0, 12, SUBALLOC | FIRST);
	put_frame(&b, 1, 1, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	expect_end(&b, 1);
}

static void test_fragments_that_nobody_agreed_on_are_dropped(void **state)
{
	struct bench b;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		bench_init(&b, i ? 0x60001 : 0x60000);
		b.config.rsc = !i;
		bench_ready(&b);
		begin_packet(&b, 0);
		put_frame(&b, 0, 100, SUBALLOC | FIRST | LAST);
		put_frame(&b, 1, 60, NO_ID);
		assert_int_equal(receive(&b), 0);
		expect_frame(&b, 1, 60);
		expect_end(&b, 1);
	}
}

/* ---- shared memory ---- */

/* What the host writes after a frame was told does not change what was told. */
static void test_lengths_are_read_once(void **state)
{
	struct vmb_guest_network_frame frame;
	struct bench b;
	uint8_t *m;

	bench_ready_with(&b, 0x60001);
	begin_packet(&b, 0);
	m = put_frame(&b, 0, 100, SUBALLOC | FIRST);
	put_frame(&b, 1, 100, SUBALLOC | LAST);
	assert_int_equal(receive(&b), 0);
	assert_true(next(&b, &frame));
	memset(m, 0xFF, 2 * SUBALLOC_LEN);
	assert_int_equal(frame.rndis.len, 200);
	assert_int_equal(frame.pieces[0].len, 100);
	assert_int_equal(frame.pieces[1].offset, SUBALLOC_LEN + 256);
	expect_end(&b, 0);
}

/* ---- acknowledgements ---- */

static void test_acknowledgements_are_owed_once_in_order(void **state)
{
	struct bench b;
	uint64_t id, next_id = 0, owed_id = 0;
	uint32_t round, i;

	bench_ready_with(&b, 0x60001);
	assert_false(vmb_guest_network_owed(&b.q, &id));
	vmb_guest_network_owed_done(&b.q, 1);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 7; i++)
			assert_int_equal(vmb_guest_network_owe(&b.q, next_id++), 0);
		for (i = 0; i < 5; i++) {
			assert_true(vmb_guest_network_owed(&b.q, &id));
			assert_true(vmb_guest_network_owed(&b.q, &id)); /* the ring was full */
			assert_int_equal(id, owed_id++);
			vmb_guest_network_owed_done(&b.q, 1);
		}
	}
	while (vmb_guest_network_owed(&b.q, &id)) {
		assert_int_equal(id, owed_id++);
		vmb_guest_network_owed_done(&b.q, 1);
	}
	assert_int_equal(owed_id, next_id);
}

/* A run ends where the array does, and what was not written stays due. */
static void test_acknowledgements_come_in_runs(void **state)
{
	uint64_t next_id = 0, owed_id = 0;
	uint32_t round, count, i;
	const uint64_t *ids;
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_owed_run(&b.q, &ids), 0);
	for (round = 0; round < 40; round++) {
		for (i = 0; i < 5; i++)
			assert_int_equal(vmb_guest_network_owe(&b.q, next_id++), 0);
		count = vmb_guest_network_owed_run(&b.q, &ids);
		assert_true(count && count <= b.q.owed_count);
		assert_true(count == b.q.owed_count || ids + count == b.q.owed + b.q.owed_max);
		for (i = 0; i < count && i < 6; i++)
			assert_int_equal(ids[i], owed_id++);
		vmb_guest_network_owed_done(&b.q, i);
	}
	while ((count = vmb_guest_network_owed_run(&b.q, &ids))) {
		assert_int_equal(ids[0], owed_id);
		owed_id += count;
		vmb_guest_network_owed_done(&b.q, count);
	}
	assert_int_equal(owed_id, next_id);
	vmb_guest_network_owed_done(&b.q, 3);
	assert_int_equal(b.q.owed_count, 0);
}

static void test_more_than_the_hosts_suballocations_is_refused(void **state)
{
	struct bench b;
	uint64_t id;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < OWED; i++)
		assert_int_equal(vmb_guest_network_owe(&b.q, ~0ull), 0);
	assert_int_equal(vmb_guest_network_owe(&b.q, 1), VMB_EPROTO);
	assert_int_equal(b.q.counters.malformed, 1);
	assert_true(vmb_guest_network_owed(&b.q, &id));
	vmb_guest_network_owed_done(&b.q, 1);
	assert_int_equal(vmb_guest_network_owe(&b.q, 2), 0);
}

static void test_acknowledgement_says_success(void **state)
{
	assert_int_equal(sizeof(vmb_guest_network_ack_message), 8);
	assert_int_equal(get(&vmb_guest_network_ack_message, 0, 8), 108 | 1ull << 32);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_come_in_order),
		cmocka_unit_test(test_facts_of_a_frame_are_told),
		cmocka_unit_test(test_longest_list_of_facts_is_read),
		cmocka_unit_test(test_bad_frames_are_skipped_and_counted),
		cmocka_unit_test(test_too_long_frame_is_dropped),
		cmocka_unit_test(test_ranges_outside_of_the_buffer_are_skipped),
		cmocka_unit_test(test_header_is_judged),
		cmocka_unit_test(test_message_is_judged),
		cmocka_unit_test(test_control_is_for_the_primary_only),
		cmocka_unit_test(test_frames_before_ready_are_refused),
		cmocka_unit_test(test_nothing_is_received_before_the_buffer_is_shared),
		cmocka_unit_test(test_fragments_become_one_frame),
		cmocka_unit_test(test_first_and_last_in_one_is_a_frame),
		cmocka_unit_test(test_fragments_without_a_first_are_dropped),
		cmocka_unit_test(test_frame_without_its_last_fragment_is_dropped),
		cmocka_unit_test(test_new_first_or_whole_frame_ends_an_unfinished_one),
		cmocka_unit_test(test_bad_fragment_ends_the_frame),
		cmocka_unit_test(test_coalesced_frame_is_bounded),
		cmocka_unit_test(test_coalesced_frame_may_have_all_ranges),
		cmocka_unit_test(test_short_fragments_are_no_frame),
		cmocka_unit_test(test_fragments_that_nobody_agreed_on_are_dropped),
		cmocka_unit_test(test_lengths_are_read_once),
		cmocka_unit_test(test_acknowledgements_are_owed_once_in_order),
		cmocka_unit_test(test_acknowledgements_come_in_runs),
		cmocka_unit_test(test_more_than_the_hosts_suballocations_is_refused),
		cmocka_unit_test(test_acknowledgement_says_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
