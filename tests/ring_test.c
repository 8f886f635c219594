// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ring's contract, one behaviour a case. Peers that lie are in ring_hostile_test.c, what
 * depends on two threads in ring_model_test.c.
 */
#include "tests/ring_pair.h"

static void test_every_packet_kind_arrives_as_sent(void **state)
{
	static const uint16_t types[] = { VMB_PKT_INBAND, VMB_PKT_TRANSFER_PAGES,
					  VMB_PKT_GPADL,  VMB_PKT_GPA_DIRECT,
					  VMB_PKT_CANCEL, VMB_PKT_COMPLETION };
	struct pair *p = *state;
	uint32_t i, header_len, payload_len;

	for (i = 0; i < VMB_ARRAY_COUNT(types); i++)
		for (header_len = 0; header_len <= 48; header_len += 8)
			for (payload_len = 0; payload_len <= 33; payload_len++) {
				assert_int_equal(send(p, types[i], i + payload_len, header_len,
						      payload_len),
						 0);
				vmb_ring_commit(&p->w);
				expect(p, types[i], i + payload_len, header_len, payload_len);
				vmb_ring_release(&p->r);
			}
	assert_true(p->w.counters.packets == p->r.counters.packets);
	assert_true(p->w.counters.bytes == p->r.counters.bytes);
}

static void test_packet_bytes_lie_in_ring_as_documented(void **state)
{
	static const uint8_t want[48] = { 9,	0,    3,    0,	  5,	0,    1,    0,
					  8,	7,    6,    5,	  4,	3,    2,    1,
					  0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
					  0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7,
					  0xc0, 0xc1, 0,    0,	  0,	0,    0,    0,
					  0,	0,    0,    0,	  0x40, 0,    0,    0 };
	static const uint8_t header[8] = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7 };
	static const uint8_t first[5] = { 0xb0, 0xb1, 0xb2, 0xb3, 0xb4 };
	static const uint8_t second[5] = { 0xb5, 0xb6, 0xb7, 0xc0, 0xc1 };
	struct vmb_ring_part parts[] = { { header, 8 }, { first, 5 }, { NULL, 0 }, { second, 5 } };
	struct vmb_ring_packet packet = { VMB_PKT_GPA_DIRECT,
					  VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  0x0102030405060708,
					  &parts[0],
					  1,
					  &parts[1],
					  3 };
	struct pair *p = *state;

	place(p, DATA_LEN, 0x40);
	assert_int_equal(vmb_ring_write(&p->w, &packet), 0);
	assert_memory_equal(p->data + 0x40, want, sizeof(want));
	assert_int_equal(p->data[0x40 + sizeof(want)], 0xEE);
	assert_int_equal(p->control.write_index, 0x40);
	vmb_ring_commit(&p->w);
	assert_int_equal(p->control.write_index, 0x70);
}

static void test_packet_wraps_at_every_boundary(void **state)
{
	struct pair *p = *state;
	uint32_t at, header_len, payload_len;

	for (at = DATA_LEN - 96; at < DATA_LEN; at += 8)
		for (header_len = 0; header_len <= 24; header_len += 8)
			for (payload_len = 0; payload_len <= 25; payload_len++) {
				place(p, DATA_LEN, at);
				assert_int_equal(send(p, VMB_PKT_GPA_DIRECT, at, header_len,
						      payload_len),
						 0);
				vmb_ring_commit(&p->w);
				expect(p, VMB_PKT_GPA_DIRECT, at, header_len, payload_len);
				vmb_ring_release(&p->r);
				assert_int_equal(p->control.read_index, p->control.write_index);
				assert_int_equal(
					p->control.read_index,
					(at + vmb_ring_packet_len(header_len, payload_len)) %
						DATA_LEN);
			}
}

static void test_copy_crosses_ring_end_at_every_offset(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received packet;
	uint8_t want[56], got[56];
	uint32_t offset, len;

	place(p, DATA_LEN, DATA_LEN - 24);
	assert_int_equal(send(p, VMB_PKT_INBAND, 5, 0, 40), 0);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_read(&p->r, &packet), 0);
	memcpy(want, p->data + DATA_LEN - 24, 24);
	memcpy(want + 24, p->data, 32);
	for (offset = 0; offset <= 56; offset++)
		for (len = 0; len <= 56 - offset; len++) {
			assert_true(vmb_ring_copy(&p->r, &packet, offset, got, len));
			assert_memory_equal(got, want + offset, len);
		}
}

static void test_copy_outside_packet_is_refused(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received packet;
	uint8_t got[64] = { 0x55 };

	send(p, VMB_PKT_INBAND, 5, 8, 8);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_read(&p->r, &packet), 0);
	assert_false(vmb_ring_copy(&p->r, &packet, 0, got, 33));
	assert_false(vmb_ring_copy(&p->r, &packet, 32, got, 1));
	assert_false(vmb_ring_copy(&p->r, &packet, 33, got, 0));
	assert_false(vmb_ring_copy(&p->r, &packet, 1, got, UINT32_MAX));
	assert_false(vmb_ring_copy(&p->r, &packet, UINT32_MAX, got, 2));
	assert_int_equal(got[0], 0x55);
	assert_true(vmb_ring_copy(&p->r, &packet, 0, got, 32));
}

static void test_ring_takes_packets_until_free_equals_length(void **state)
{
	struct pair *p = *state; /* 128 bytes */
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(send(p, VMB_PKT_INBAND, (uint64_t)i, 0, 8), 0); /* 32 each */
	assert_int_equal(vmb_ring_room(&p->w), 32);
	assert_int_equal(send(p, VMB_PKT_INBAND, 9, 0, 8), VMB_EAGAIN);
	assert_int_equal(send(p, VMB_PKT_INBAND, 9, 0, 1), VMB_EAGAIN);
	assert_int_equal(send(p, VMB_PKT_INBAND, 3, 0, 0), 0); /* 24 */
	assert_int_equal(vmb_ring_room(&p->w), 8);
	assert_int_equal(send(p, VMB_PKT_INBAND, 9, 0, 0), VMB_EAGAIN);
	assert_true(p->w.counters.full == 3);
	vmb_ring_commit(&p->w);
	for (i = 0; i < 3; i++)
		expect(p, VMB_PKT_INBAND, (uint64_t)i, 0, 8);
	expect(p, VMB_PKT_INBAND, 3, 0, 0);
	assert_int_equal(vmb_ring_room(&p->w), 8);
	vmb_ring_release(&p->r);
	assert_int_equal(vmb_ring_room(&p->w), 128);
}

static void test_longest_packet_fits_and_one_more_never_does(void **state)
{
	struct pair *p = *state;

	assert_int_equal(vmb_ring_packet_len_max(DATA_LEN), DATA_LEN - 16);
	assert_int_equal(send(p, VMB_PKT_INBAND, 1, 0, DATA_LEN - 40 + 1), VMB_EOVERFLOW);
	assert_int_equal(send(p, VMB_PKT_INBAND, 1, 0, DATA_LEN - 40), 0);
	vmb_ring_commit(&p->w);
	expect(p, VMB_PKT_INBAND, 1, 0, DATA_LEN - 40);
	assert_int_equal(vmb_ring_read(&p->r, &(struct vmb_ring_received){ 0 }), VMB_EAGAIN);
}

static void test_lengths_that_format_cannot_express_are_refused(void **state)
{
	struct vmb_ring_part parts[] = { { "", 4 }, { "", UINT32_MAX }, { "", UINT32_MAX } };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .payload = &parts[1],
					  .payload_count = 2 };
	struct pair *p = *state;

	assert_int_equal(vmb_ring_write(&p->w, &packet), VMB_EOVERFLOW);
	packet = (struct vmb_ring_packet){ .type = VMB_PKT_INBAND,
					   .header = parts,
					   .header_count = 1 };
	assert_int_equal(vmb_ring_write(&p->w, &packet), VMB_EINVAL);
	assert_int_equal(p->w.write_index, 0);
	assert_int_equal(vmb_ring_packet_len(4, 0), 0);
	assert_int_equal(vmb_ring_packet_len(0, 65535 * 8 - 16), 65535 * 8 + 8);
	assert_int_equal(vmb_ring_packet_len(0, 65535 * 8 - 15), 0);
	assert_int_equal(vmb_ring_packet_len(UINT32_MAX - 7, UINT32_MAX), 0);
	assert_int_equal(vmb_ring_packet_len_max(32), 0);
	assert_int_equal(vmb_ring_packet_len_max(40), 24);
	assert_int_equal(vmb_ring_packet_len_max(1u << 30), 65535 * 8 + 8);
}

static void test_bad_lengths_are_refused_at_init(void **state)
{
	static const uint32_t bad[] = { 0, 8, 32, 39, 41, 4095, 4100 };
	struct pair *p = *state;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_equal(vmb_ring_writer_init(&p->w, &p->control, p->data, bad[i], true),
				 VMB_EINVAL);
		assert_int_equal(vmb_ring_reader_init(&p->r, &p->control, p->data, bad[i], true),
				 VMB_EINVAL);
	}
}

static void test_fresh_init_clears_and_sets_feature_bit(void **state)
{
	struct pair *p = *state;

	memset(&p->control, 0xFF, 32);
	p->control.feature_bits = 0;
	assert_int_equal(vmb_ring_writer_init(&p->w, &p->control, p->data, DATA_LEN, true), 0);
	assert_int_equal(p->control.write_index | p->control.read_index, 0);
	assert_int_equal(p->control.interrupt_mask | p->control.pending_send_size, 0);
	assert_int_equal(p->control.feature_bits, VMB_RING_FEATURE_PENDING_SEND_SIZE);
	assert_true(vmb_ring_peer_signals_room(&p->r));
	p->control.feature_bits = ~VMB_RING_FEATURE_PENDING_SEND_SIZE;
	assert_false(vmb_ring_peer_signals_room(&p->r));
}

static void test_attach_adopts_packets_that_already_wait(void **state)
{
	struct pair *p = *state;

	place(p, DATA_LEN, 4080);
	send(p, VMB_PKT_INBAND, 1, 0, 30);
	send(p, VMB_PKT_INBAND, 2, 0, 3);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_reader_init(&p->r, &p->control, p->data, DATA_LEN, false), 0);
	expect(p, VMB_PKT_INBAND, 1, 0, 30);
	expect(p, VMB_PKT_INBAND, 2, 0, 3);
}

static void test_attach_to_impossible_indices_is_refused(void **state)
{
	static const uint32_t bad[] = {
		1, 4, 7, 9, DATA_LEN, DATA_LEN + 8, UINT32_MAX, UINT32_MAX - 7
	};
	struct pair *p = *state;
	uint32_t i, both;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		for (both = 0; both < 2; both++) {
			p->control.write_index = both ? bad[i] : 0;
			p->control.read_index = both ? 0 : bad[i];
			assert_int_equal(vmb_ring_writer_init(&p->w, &p->control, p->data, DATA_LEN,
							      false),
					 VMB_EPROTO);
			assert_int_equal(vmb_ring_reader_init(&p->r, &p->control, p->data, DATA_LEN,
							      false),
					 VMB_EPROTO);
			assert_false(vmb_ring_commit(&p->w));
			assert_int_equal(vmb_ring_read(&p->r, &(struct vmb_ring_received){ 0 }),
					 VMB_EPROTO);
		}
}

static void test_reading_twice_answers_same_packet(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_received a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	send(p, VMB_PKT_INBAND, 77, 0, 16);
	send(p, VMB_PKT_INBAND, 78, 0, 16);
	assert_int_equal(vmb_ring_read(&p->r, &a), VMB_EAGAIN);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_read(&p->r, &a), 0);
	assert_int_equal(vmb_ring_read(&p->r, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	vmb_ring_next(&p->r, &a);
	assert_int_equal(vmb_ring_read(&p->r, &b), 0);
	assert_true(b.transaction_id == 78);
}

/*
 * Signalling: exactly on empty -> non-empty, once a batch (docs/known-bugs.md, "3 Signal policy").
 */

static void test_first_packet_signals_and_later_ones_do_not(void **state)
{
	struct pair *p = *state;

	send(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_true(vmb_ring_commit(&p->w));
	assert_false(vmb_ring_commit(&p->w));
	send(p, VMB_PKT_INBAND, 2, 0, 8);
	assert_false(vmb_ring_commit(&p->w));
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	vmb_ring_release(&p->r);
	send(p, VMB_PKT_INBAND, 3, 0, 8);
	assert_false(vmb_ring_commit(&p->w));
	expect(p, VMB_PKT_INBAND, 2, 0, 8);
	expect(p, VMB_PKT_INBAND, 3, 0, 8);
	vmb_ring_release(&p->r);
	send(p, VMB_PKT_INBAND, 4, 0, 8);
	assert_true(vmb_ring_commit(&p->w));
	assert_true(p->w.counters.signals == 2);
}

static void test_batch_of_packets_signals_once(void **state)
{
	struct pair *p = *state;
	uint64_t i;

	for (i = 0; i < 50; i++)
		assert_int_equal(send(p, VMB_PKT_INBAND, i, 0, 8), 0);
	assert_int_equal(vmb_ring_read(&p->r, &(struct vmb_ring_received){ 0 }), VMB_EAGAIN);
	assert_true(vmb_ring_commit(&p->w));
	for (i = 0; i < 50; i++)
		expect(p, VMB_PKT_INBAND, i, 0, 8);
	assert_false(vmb_ring_release(&p->r));
	assert_true(p->w.counters.signals == 1 && p->w.counters.packets == 50);
}

static void test_masked_reader_is_not_signalled_and_looks_itself(void **state)
{
	struct pair *p = *state;

	vmb_ring_mask(&p->r);
	assert_int_equal(p->control.interrupt_mask, 1);
	send(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_commit(&p->w));
	assert_true(vmb_ring_unmask(&p->r));
	assert_int_equal(p->control.interrupt_mask, 0);
	vmb_ring_mask(&p->r);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	vmb_ring_release(&p->r);
	assert_false(vmb_ring_unmask(&p->r));
	send(p, VMB_PKT_INBAND, 2, 0, 8);
	assert_true(vmb_ring_commit(&p->w));
}

static void test_any_nonzero_mask_silences(void **state)
{
	struct pair *p = *state;

	p->control.interrupt_mask = 0x80000000u;
	send(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_commit(&p->w));
}

static void test_wish_for_room_signals_exactly_when_it_becomes_enough(void **state)
{
	struct pair *p = *state; /* 128 bytes: three packets of 32 fit */
	uint32_t want = vmb_ring_packet_len(0, 48); /* 72: needs three of them gone */

	fill_ring(p);
	assert_int_equal(vmb_ring_wait_room(&p->w, want), VMB_EAGAIN);
	assert_int_equal(p->control.pending_send_size, 72);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_release(&p->r)); /* 64 free */
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_true(vmb_ring_release(&p->r)); /* 96 free */
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_release(&p->r)); /* was enough before */
	assert_true(p->r.counters.signals == 1);
	assert_int_equal(send(p, VMB_PKT_INBAND, 2, 0, 48), 0);
	assert_int_equal(p->control.pending_send_size, 0);
}

static void test_wish_equal_to_free_space_is_not_enough(void **state)
{
	struct pair *p = *state;

	fill_ring(p);
	expect(p, VMB_PKT_INBAND, 1, 0, 8); /* 64 free after release */
	vmb_ring_release(&p->r);
	assert_int_equal(vmb_ring_wait_room(&p->w, 64), VMB_EAGAIN);
	assert_int_equal(vmb_ring_wait_room(&p->w, 56), 0);
	assert_int_equal(p->control.pending_send_size, 0);
}

static void test_wish_is_heard_although_reader_is_masked(void **state)
{
	struct pair *p = *state;

	fill_ring(p);
	vmb_ring_mask(&p->r);
	assert_int_equal(vmb_ring_wait_room(&p->w, 32), VMB_EAGAIN);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_true(vmb_ring_release(&p->r));
}

static void test_release_without_wish_never_signals(void **state)
{
	struct pair *p = *state;

	fill_ring(p);
	assert_int_equal(vmb_ring_wait_room(&p->w, 32), VMB_EAGAIN);
	vmb_ring_wait_cancel(&p->w);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_release(&p->r));
	assert_false(vmb_ring_release(&p->r));
}

static void test_wish_of_whole_ring_less_one_signals_when_empty(void **state)
{
	struct pair *p = *state; /* mu_msvm asks for D - 1: the low three bits do not count */

	fill_ring(p);
	p->control.pending_send_size = 128 - 1;
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_release(&p->r));
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_true(vmb_ring_release(&p->r));
}

static void test_wish_of_less_than_eight_bytes_is_none(void **state)
{
	struct pair *p = *state;

	fill_ring(p);
	p->control.pending_send_size = 7;
	expect(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_false(vmb_ring_release(&p->r));
}

static void test_wish_beyond_ring_only_hurts_its_sender(void **state)
{
	struct pair *p = *state;
	int i;

	fill_ring(p);
	p->control.pending_send_size = UINT32_MAX;
	for (i = 0; i < 3; i++) {
		expect(p, VMB_PKT_INBAND, 1, 0, 8);
		assert_false(vmb_ring_release(&p->r));
	}
	assert_false(p->r.broken);
}

static void test_wait_room_judges_its_argument(void **state)
{
	struct pair *p = *state;

	assert_int_equal(vmb_ring_wait_room(&p->w, 0), VMB_EOVERFLOW);
	assert_int_equal(vmb_ring_wait_room(&p->w, 128 - 8), VMB_EOVERFLOW);
	assert_int_equal(vmb_ring_wait_room(&p->w, 128 - 16), 0);
	send(p, VMB_PKT_INBAND, 1, 0, 8);
	assert_int_equal(vmb_ring_wait_room(&p->w, 24), VMB_EINVAL);
	vmb_ring_commit(&p->w);
	assert_int_equal(vmb_ring_wait_room(&p->w, 128 - 16), VMB_EAGAIN);
}

/*
 * The oracle: single-threaded, every signal of both sides is predicted from the state of the ring
 * alone, in a random walk over all sizes, masks and wishes. docs/known-bugs.md,
 * "1 Lost wake-up when reading", "2 Wrong condition for the reader's signal", "3 Signal policy".
 */
struct oracle {
	uint32_t used_published, used_unreleased, used_uncommitted;
	bool masked;
	uint32_t wish;
	uint32_t lens[64];
	uint32_t head, tail, committed;
};

static void oracle_send(struct pair *p, struct oracle *o, uint32_t payload_len)
{
	uint32_t len = vmb_ring_packet_len(0, payload_len);
	uint32_t used = o->used_published + o->used_uncommitted;
	int err = send(p, VMB_PKT_INBAND, o->tail, 0, payload_len);

	assert_int_equal(err, len > 112 ? VMB_EOVERFLOW : 128 - used > len ? 0 : VMB_EAGAIN);
	if (err)
		return;
	o->lens[o->tail++ % 64] = payload_len;
	o->used_uncommitted += len;
	o->wish = 0;
}

static void oracle_commit(struct pair *p, struct oracle *o)
{
	bool want = o->used_uncommitted && !o->masked && !o->used_published;

	assert_int_equal(vmb_ring_commit(&p->w), want);
	o->used_published += o->used_uncommitted;
	o->used_uncommitted = 0;
	o->committed = o->tail;
}

static void oracle_take(struct pair *p, struct oracle *o)
{
	if (o->head == o->committed) {
		assert_int_equal(vmb_ring_read(&p->r, &(struct vmb_ring_received){ 0 }),
				 VMB_EAGAIN);
		return;
	}
	expect(p, VMB_PKT_INBAND, o->head, 0, o->lens[o->head % 64]);
	o->used_unreleased += vmb_ring_packet_len(0, o->lens[o->head % 64]);
	o->head++;
}

static void oracle_release(struct pair *p, struct oracle *o)
{
	uint32_t before = 128 - o->used_published;
	uint32_t after = before + o->used_unreleased;
	bool want = o->wish && before <= o->wish && after > o->wish;

	assert_int_equal(vmb_ring_release(&p->r), want);
	o->used_published -= o->used_unreleased;
	o->used_unreleased = 0;
}

static void oracle_wait(struct pair *p, struct oracle *o, uint32_t len)
{
	bool room;

	oracle_commit(p, o);
	room = 128 - o->used_published > len;
	assert_int_equal(vmb_ring_wait_room(&p->w, len), room ? 0 : VMB_EAGAIN);
	o->wish = room ? 0 : len;
}

static void oracle_mask(struct pair *p, struct oracle *o)
{
	o->masked = !o->masked;
	if (o->masked)
		vmb_ring_mask(&p->r);
	else
		assert_int_equal(vmb_ring_unmask(&p->r), o->head != o->committed);
}

/* The next reader may be at work on another CPU while the last one is still in here. */
static void test_unmask_leaves_the_reader_as_it_is(void **state)
{
	struct pair *p = *state;
	struct vmb_ring_reader before;

	vmb_ring_mask(&p->r);
	assert_int_equal(send(p, VMB_PKT_INBAND, 1, 0, 8), 0);
	vmb_ring_commit(&p->w);
	before = p->r;
	assert_true(vmb_ring_unmask(&p->r));
	assert_memory_equal(&p->r, &before, sizeof(before));
}

static void test_every_signal_in_random_walk_is_predicted(void **state)
{
	struct pair *p = *state;
	struct oracle o = { 0 };
	uint64_t random = 0x9E3779B97F4A7C15ull;
	uint32_t i;

	for (i = 0; i < 400000; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		switch (random >> 61) {
		case 0:
		case 1: oracle_send(p, &o, (random >> 40) % 96); break;
		case 2: oracle_commit(p, &o); break;
		case 3:
		case 4: oracle_take(p, &o); break;
		case 5: oracle_release(p, &o); break;
		case 6: oracle_wait(p, &o, 24 + (random >> 40) % 12 * 8); break;
		case 7: oracle_mask(p, &o); break;
		}
	}
	assert_true(p->r.counters.packets > 20000);
	assert_true(p->w.counters.signals > 3000 && p->r.counters.signals > 3000);
}

#define WITH(name, prepare) cmocka_unit_test_setup_teardown(name, prepare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_every_packet_kind_arrives_as_sent, setup),
		WITH(test_packet_bytes_lie_in_ring_as_documented, setup),
		WITH(test_packet_wraps_at_every_boundary, setup),
		WITH(test_copy_crosses_ring_end_at_every_offset, setup),
		WITH(test_copy_outside_packet_is_refused, setup),
		WITH(test_ring_takes_packets_until_free_equals_length, setup_small),
		WITH(test_longest_packet_fits_and_one_more_never_does, setup),
		WITH(test_lengths_that_format_cannot_express_are_refused, setup),
		WITH(test_bad_lengths_are_refused_at_init, setup),
		WITH(test_fresh_init_clears_and_sets_feature_bit, setup),
		WITH(test_attach_adopts_packets_that_already_wait, setup),
		WITH(test_attach_to_impossible_indices_is_refused, setup),
		WITH(test_reading_twice_answers_same_packet, setup),
		WITH(test_first_packet_signals_and_later_ones_do_not, setup),
		WITH(test_batch_of_packets_signals_once, setup),
		WITH(test_masked_reader_is_not_signalled_and_looks_itself, setup),
		WITH(test_any_nonzero_mask_silences, setup),
		WITH(test_wish_for_room_signals_exactly_when_it_becomes_enough, setup_small),
		WITH(test_wish_equal_to_free_space_is_not_enough, setup_small),
		WITH(test_wish_is_heard_although_reader_is_masked, setup_small),
		WITH(test_release_without_wish_never_signals, setup_small),
		WITH(test_wish_of_whole_ring_less_one_signals_when_empty, setup_small),
		WITH(test_wish_of_less_than_eight_bytes_is_none, setup_small),
		WITH(test_wish_beyond_ring_only_hurts_its_sender, setup_small),
		WITH(test_wait_room_judges_its_argument, setup_small),
		WITH(test_unmask_leaves_the_reader_as_it_is, setup),
		WITH(test_every_signal_in_random_walk_is_predicted, setup_small),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
