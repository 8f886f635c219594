// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Network: frames that leave, in sections and with page ranges, and their completions. */
#include "tests/guest_network_bed.h"

/* A frame of len bytes with these facts, put into queue 0; answers what put says. */
static int put_frame(struct bench *b, uint32_t present, uint32_t len, uint32_t inline_len)
{
	struct vmb_guest_rndis_frame frame = { .present = present,
					       .len = len,
					       .checksum = 0x11111111,
					       .lso = 0x22222222,
					       .vlan = 0x33333333,
					       .hash = 0x44444444 };
	void *at = NULL;
	int err;

	err = vmb_guest_network_put(&b->q, &frame, inline_len, &at);
	if (!err)
		memset(at, 0xAB, inline_len);
	return err;
}

static struct vmb_guest_network_packet seal(struct bench *b)
{
	struct vmb_guest_network_packet packet;

	memset(&packet, 0xEE, sizeof(packet));
	assert_true(vmb_guest_network_seal(&b->q, &packet));
	return packet;
}

static int sent(struct bench *b, uint64_t id)
{
	put(say(b, 108), 4, 1, 4);
	return deliver(b, COMPLETION, id, 8);
}

/* The section that a packet names. */
static uint8_t *section(const struct vmb_guest_network_packet *packet)
{
	return bench_tx + get(&packet->payload, 8, 4) * SECTION_LEN;
}

static void test_small_frame_lies_in_its_section(void **state)
{
	static const uint32_t versions[] = { 2, 0x60000, 0x60001 };
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint8_t *at;
	uint32_t i, j;

	for (i = 0; i < 3; i++) {
		bench_init(&b, versions[i]);
		bench_ready(&b);
		assert_int_equal(put_frame(&b, 0, 61, 61), 0);
		packet = seal(&b);
		assert_int_equal(packet.payload_len, i == 2 ? 40 : 28);
		assert_int_equal(packet.frame_count, 1);
		assert_int_equal(packet.byte_count, 61);
		assert_int_equal(get(&packet.payload, 0, 4), 107);
		assert_int_equal(get(&packet.payload, 4, 4), 0);
		assert_int_equal(get(&packet.payload, 8, 4), packet.slot);
		assert_int_equal(get(&packet.payload, 12, 4), 112);
		for (j = 16; j < 40; j++)
			assert_int_equal(packet.payload.bytes[j], 0);
		at = section(&packet);
		assert_int_equal(get(at, 0, 4), 1);
		assert_int_equal(get(at, 4, 4), 112); /* 44 + 61, rounded up */
		assert_int_equal(get(at, 8, 4), 36);
		assert_int_equal(get(at, 12, 4), 61);
		for (j = 16; j < 44; j += 4)
			assert_int_equal(get(at, j, 4), 0);
		for (j = 44; j < 105; j++)
			assert_int_equal(at[j], 0xAB);
		for (j = 105; j < 112; j++)
			assert_int_equal(at[j], 0);
		assert_int_equal(at[112], 0xEE);
		assert_false(vmb_guest_network_seal(&b.q, &packet));
	}
}

static void test_facts_stand_before_the_frame(void **state)
{
	struct vmb_guest_network_packet packet;
	static const uint32_t types[] = { 0, 2, 6, 8 };
	struct bench b;
	uint8_t *at;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0xF, 100, 100), 0);
	packet = seal(&b);
	at = section(&packet);
	assert_int_equal(get(at, 4, 4), 208);
	assert_int_equal(get(at, 8, 4), 36 + 64);
	assert_int_equal(get(at, 28, 4), 36);
	assert_int_equal(get(at, 32, 4), 64);
	for (i = 0; i < 4; i++) {
		assert_int_equal(get(at, 44 + 16 * i, 4), 16);
		assert_int_equal(get(at, 48 + 16 * i, 4), types[i]);
		assert_int_equal(get(at, 52 + 16 * i, 4), 12);
		assert_int_equal(get(at, 56 + 16 * i, 4), 0x11111111 * (i + 1));
	}
	assert_int_equal(at[108], 0xAB);
}

/* ---- several frames in one packet ---- */

static void test_frames_share_a_packet_up_to_the_hosts_count(void **state)
{
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint8_t *at;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < 8; i++)
		assert_int_equal(put_frame(&b, 0, 60 + i, 60 + i), 0);
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EBUSY);
	packet = seal(&b);
	assert_int_equal(packet.frame_count, 8);
	assert_int_equal(packet.byte_count, 8 * 60 + 28);
	at = section(&packet);
	for (i = 0; i < 8; i++) {
		assert_int_equal(get(at, 0, 4), 1);
		assert_int_equal(get(at, 4, 4), i <= 0 ? 104 : 112);
		assert_int_equal(get(at, 12, 4), 60 + i);
		at += get(at, 4, 4);
	}
	assert_int_equal(at - section(&packet), get(&packet.payload, 12, 4));
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
}

static void test_section_is_never_overfilled(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	b.host.packet_count_max = 100;
	bench_ready(&b);
	assert_int_equal(put_frame(&b, 0, 3028, 3028), 0); /* 3072, half of it */
	assert_int_equal(put_frame(&b, 0, 3029, 3029), VMB_EBUSY);
	assert_int_equal(put_frame(&b, 0, 3028, 3028), 0);
	assert_int_equal(put_frame(&b, 0, 14, 14), VMB_EBUSY);
	assert_int_equal(get(&b.q.filled_len, 0, 4), SECTION_LEN);
}

static void test_transfer_length_bounds_several_frames(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	b.host.transfer_len_max = 208;
	bench_ready(&b);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0); /* 104 */
	assert_int_equal(put_frame(&b, 0, 61, 61), VMB_EBUSY);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EBUSY);
	seal(&b);
	assert_int_equal(put_frame(&b, 0, 1500, 1500), 0); /* one frame is sent all the same */
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EBUSY);
}

/* ---- frames that go on in page ranges ---- */

static void test_rest_of_a_frame_follows_in_ranges(void **state)
{
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint8_t *at;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	assert_int_equal(put_frame(&b, 3, 64001, 66), 0);
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EBUSY);
	packet = seal(&b);
	assert_int_equal(packet.frame_count, 2);
	assert_int_equal(packet.byte_count, 64061);
	assert_int_equal(get(&packet.payload, 12, 4), 104 + 76 + 66);
	at = section(&packet) + 104;
	assert_int_equal(get(at, 4, 4), 76 + 64001); /* no padding behind ranges */
	assert_int_equal(get(at, 12, 4), 64001);
	assert_int_equal(at[76 + 65], 0xAB);
	assert_int_equal(at[76 + 66], 0xEE);
}

static void test_envelope_alone_may_lie_in_the_section(void **state)
{
	struct vmb_guest_network_packet packet;
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 1514, 0), 0);
	packet = seal(&b);
	assert_int_equal(get(&packet.payload, 12, 4), 44);
	assert_int_equal(get(section(&packet), 4, 4), 44 + 1514);
}

static uint32_t inline_max(struct bench *b, uint32_t present, uint32_t len)
{
	struct vmb_guest_rndis_frame frame = { .present = present, .len = len };

	return vmb_guest_network_inline_max(&b->n, &frame);
}

static void test_inline_max_is_the_bound(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(inline_max(&b, 0, 100), 100);
	assert_int_equal(inline_max(&b, 0, 64000), SECTION_LEN - 44);
	assert_int_equal(inline_max(&b, 0xF, 64000), SECTION_LEN - 108);
	assert_int_equal(inline_max(&b, 0x30, 64000),
			 SECTION_LEN - 44); /* facts of received frames */
	assert_int_equal(put_frame(&b, 0, 64000, SECTION_LEN - 43), VMB_EOVERFLOW);
	assert_int_equal(put_frame(&b, 0, 100, 101), VMB_EOVERFLOW);
	assert_int_equal(put_frame(&b, 0, 0xFFFFFFFF, 100), VMB_EOVERFLOW);
	assert_int_equal(vmb_guest_network_room(&b.q), SLOTS);
	assert_int_equal(put_frame(&b, 0, SECTION_LEN - 44, SECTION_LEN - 44), 0);
	seal(&b);
	assert_int_equal(put_frame(&b, 0, 64000, SECTION_LEN - 44), 0);
}

/* ---- slots ---- */

static void test_slots_run_out_and_come_back(void **state)
{
	struct vmb_guest_network_packet packets[SLOTS];
	struct bench b;
	uint32_t i, round;

	bench_ready_with(&b, 0x60001);
	for (round = 0; round < 5; round++) {
		assert_true(vmb_guest_network_idle(&b.q));
		for (i = 0; i < SLOTS; i++) {
			assert_int_equal(vmb_guest_network_room(&b.q), SLOTS - i);
			assert_int_equal(put_frame(&b, 0, 60, 60), 0);
			b.q.slots[b.q.filling].cookie = &packets[i];
			packets[i] = seal(&b);
			assert_false(vmb_guest_network_idle(&b.q));
		}
		assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EAGAIN);
		for (i = SLOTS; i-- > 0;) {
			assert_int_equal(sent(&b, packets[i].transaction_id), 0);
			assert_event(&b, SENT);
			assert_ptr_equal(b.event.cookie, &packets[i]);
			assert_int_equal(b.event.slot, packets[i].slot);
			assert_int_equal(b.event.frame_count, 1);
			assert_int_equal(b.event.byte_count, 60);
			assert_int_equal(b.event.status, 1);
		}
	}
	assert_int_equal(b.q.counters.forged + b.q.counters.malformed, 0);
}

/*
 * Each slot that comes back is the one that is used next, at its own place, and nothing of it is
 * left.
 */
static void test_slot_that_came_back_is_used_next(void **state)
{
	struct vmb_guest_network_packet packets[SLOTS], packet;
	static const uint32_t order[] = { 2, 0, 3, 1, 2, 3, 1, 0, 0, 0 };
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < SLOTS; i++) {
		assert_int_equal(put_frame(&b, 0, 1514, 1514), 0);
		b.q.slots[b.q.filling].cookie = &b;
		packets[i] = seal(&b);
		assert_int_equal(packets[i].slot, i);
	}
	for (i = 0; i < 10; i++) {
		assert_int_equal(sent(&b, packets[order[i]].transaction_id), 0);
		assert_ptr_equal(b.event.cookie, i < SLOTS ? &b : NULL);
		assert_int_equal(put_frame(&b, 0, 60 + i, 60 + i), 0);
		packet = seal(&b);
		assert_int_equal(packet.slot, order[i]);
		assert_int_equal(packet.byte_count, 60 + i);
		assert_int_equal(packet.frame_count, 1);
		assert_int_equal(get(&packet.payload, 8, 4), order[i]);
		assert_int_equal(get(&packet.payload, 12, 4), (104 + i + 7) / 8 * 8);
		assert_int_equal(get(section(&packet), 12, 4), 60 + i);
		packets[order[i]] = packet;
		assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EAGAIN);
	}
}

/* The arrays are the caller's, of exactly their lengths, with anything in them. */
static void test_queue_stays_in_its_arrays(void **state)
{
	struct vmb_guest_network_slot *slots = malloc(2 * sizeof(*slots));
	uint32_t *free_slots = malloc(2 * sizeof(*free_slots));
	uint64_t *owed = malloc(4 * sizeof(*owed)), id;
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	memset(slots, 0xBE, 2 * sizeof(*slots));
	assert_int_equal(
		vmb_guest_network_queue_init(&b.n, &b.q, 0, slots, free_slots, 2, 8, owed, 4), 0);
	for (i = 0; i < 9; i++) {
		assert_int_equal(put_frame(&b, 0, 60, 60), 0);
		packet = seal(&b);
		assert_int_equal(packet.frame_count, 1);
		assert_int_equal(packet.transaction_id, (uint64_t)(i / 2) << 32 | (i % 2 + 1));
		assert_int_equal(sent(&b, packet.transaction_id), 0);
		assert_null(b.event.cookie);
		assert_int_equal(vmb_guest_network_owe(&b.q, i), 0);
		if (i >= 3) {
			assert_int_equal(vmb_guest_network_owe(&b.q, i), VMB_EPROTO);
			assert_true(vmb_guest_network_owed(&b.q, &id));
			assert_int_equal(id, i - 3);
			vmb_guest_network_owed_done(&b.q, 1);
		}
	}
	assert_int_equal(sent(&b, 3), VMB_EPROTO);
	assert_false(vmb_guest_network_unseal(&b.q, 2));
	assert_false(vmb_guest_network_fail_next(&b.q, &b.event));
	free(slots);
	free(free_slots);
	free(owed);
}

static void test_queue_without_slots_says_again(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(queue_init(&b, 0, 0), 0);
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EAGAIN);
	assert_true(vmb_guest_network_idle(&b.q));
	assert_int_equal(sent(&b, 1), VMB_EPROTO);
}

static void test_queues_have_their_own_sections(void **state)
{
	struct vmb_guest_rndis_frame frame = { .len = 60 };
	struct vmb_guest_network_packet packet;
	struct bench b;
	void *at;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_put(&b.q1, &frame, 60, &at), 0);
	assert_ptr_equal(at, bench_tx + SLOTS * SECTION_LEN + 44);
	assert_true(vmb_guest_network_seal(&b.q1, &packet));
	assert_int_equal(get(&packet.payload, 8, 4), SLOTS);
	assert_int_equal(sent(&b, packet.transaction_id), VMB_EPROTO); /* on the other queue */
	put(say(&b, 108), 4, 2, 4);
	assert_int_equal(deliver_to(&b, &b.q1, COMPLETION, packet.transaction_id, 8), 0);
	assert_event(&b, SENT);
	assert_int_equal(b.event.status, 2);
	assert_int_equal(vmb_guest_network_put(&b.q1, &frame, 60, &at), 0);
	assert_ptr_equal(at, bench_tx + (SLOTS + 1) * SECTION_LEN + 44);
	assert_true(vmb_guest_network_seal(&b.q1, &packet));
	assert_int_equal(get(&packet.payload, 8, 4), SLOTS + 1);
}

static int init_queue(struct bench *b, uint32_t index, uint32_t slots, uint32_t first,
		      uint32_t owed)
{
	return vmb_guest_network_queue_init(&b->n, &b->q1, (uint16_t)index, b->slots[1],
					    b->free_slots[1], slots, first, b->owed[1], owed);
}

static void test_bad_queue_is_refused(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001); /* 10 sections, 2 queues */
	assert_int_equal(init_queue(&b, 1, 4, 6, 64), 0);
	assert_int_equal(init_queue(&b, 1, 4, 7, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 4, 11, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 4, 0xFFFFFFFF, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 16, 0, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 3, 0, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 2, 4, 0, 64), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 4, 0, 0), VMB_EINVAL);
	assert_int_equal(init_queue(&b, 1, 4, 0, 63), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_queue_init(&b.n, &b.q1, 1, NULL, b.free_slots[1], 4, 0,
						      b.owed[1], 64),
			 VMB_EINVAL);
	assert_int_equal(vmb_guest_network_queue_init(&b.n, &b.q1, 1, b.slots[1], NULL, 4, 0,
						      b.owed[1], 64),
			 VMB_EINVAL);
	assert_int_equal(vmb_guest_network_queue_init(&b.n, &b.q1, 1, b.slots[1], b.free_slots[1],
						      4, 0, NULL, 64),
			 VMB_EINVAL);
}

static void test_no_section_before_the_host_said_so(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	assert_int_equal(queue_init(&b, 0, 1), VMB_EINVAL);
	assert_int_equal(queue_init(&b, 0, 0), 0);
}

/* ---- unseal ---- */

static void test_unsealed_packet_is_the_senders_again(void **state)
{
	struct vmb_guest_network_packet first, packet;
	struct bench b;
	uint32_t i, seen = 0;
	uint64_t id = 0;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	first = seal(&b);
	for (i = 0; i < 3 * SLOTS; i++) {
		assert_int_equal(put_frame(&b, 0, 60, 60), 0);
		packet = seal(&b);
		assert_int_equal(packet.frame_count, 1);
		assert_int_not_equal(packet.transaction_id, id);
		id = packet.transaction_id;
		assert_true(vmb_guest_network_unseal(&b.q, packet.slot));
		assert_int_equal(vmb_guest_network_room(&b.q), SLOTS - 1);
		assert_int_equal(sent(&b, packet.transaction_id), VMB_EPROTO);
		assert_false(vmb_guest_network_unseal(&b.q, packet.slot));
	}
	assert_int_equal(sent(&b, first.transaction_id), 0);
	assert_true(vmb_guest_network_idle(&b.q));
	assert_false(vmb_guest_network_unseal(&b.q, SLOTS));
	for (i = 0; i < SLOTS; i++) {
		assert_int_equal(put_frame(&b, 0, 60, 60), 0);
		seen |= 1u << seal(&b).slot;
	}
	assert_int_equal(seen, (1u << SLOTS) - 1);
	assert_int_equal(put_frame(&b, 0, 60, 60), VMB_EAGAIN);
}

/* A host that guesses the id of a packet that is not in the ring yet ends it once and for all. */
static void test_unseal_after_a_guessed_completion_says_no(void **state)
{
	struct vmb_guest_network_packet packet;
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	b.q.slots[b.q.filling].cookie = &b;
	packet = seal(&b);
	assert_int_equal(sent(&b, packet.transaction_id), 0);
	assert_ptr_equal(b.event.cookie, &b);
	assert_false(vmb_guest_network_unseal(&b.q, packet.slot));
	assert_true(vmb_guest_network_idle(&b.q));
}

/* ---- completions that are no good ---- */

static void test_forged_completions_are_refused(void **state)
{
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint64_t id;
	uint32_t bit, forged = 0;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(sent(&b, 1), VMB_EPROTO); /* nothing is in flight */
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	assert_int_equal(sent(&b, b.q.filling + 1), VMB_EPROTO); /* nor now */
	packet = seal(&b);
	id = packet.transaction_id;
	assert_int_not_equal(id, 0);
	assert_int_equal(sent(&b, 0), VMB_EPROTO);
	assert_int_equal(sent(&b, ~0ull), VMB_EPROTO);
	assert_int_equal(b.q.counters.forged, 3);
	for (bit = 0; bit < 64; bit++) {
		assert_int_equal(sent(&b, id ^ 1ull << bit), VMB_EPROTO);
		forged++;
	}
	assert_int_equal(b.q.counters.forged + b.n.counters.forged, 4 + forged);
	assert_int_equal(sent(&b, id), 0);
	assert_int_equal(sent(&b, id), VMB_EPROTO); /* twice */
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	seal(&b);
	assert_int_equal(sent(&b, id), VMB_EPROTO); /* of an earlier use of the slot */
}

static void test_completions_of_another_kind_are_refused(void **state)
{
	static const uint32_t types[] = { 0, 2, 102, 107, 133, 0x1006C };
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	packet = seal(&b);
	for (i = 0; i < 6; i++) {
		say(&b, types[i]);
		assert_int_equal(deliver(&b, COMPLETION, packet.transaction_id, 40), VMB_EPROTO);
	}
	for (i = 0; i < 8; i++) {
		say(&b, 108);
		assert_int_equal(deliver(&b, COMPLETION, packet.transaction_id, i), VMB_EPROTO);
	}
	say(&b, 108);
	assert_int_equal(deliver(&b, INBAND, packet.transaction_id, 8), 0); /* unknown, dropped */
	assert_event(&b, NOTHING);
	assert_int_equal(deliver(&b, 7, packet.transaction_id, 8), VMB_EPROTO);
	assert_int_equal(deliver(&b, 9, packet.transaction_id, 8), VMB_EPROTO);
	assert_int_equal(b.q.counters.malformed, 16);
	assert_int_equal(sent(&b, packet.transaction_id), 0);
}

/* What needs no lock of the dialogue leaves the card alone, whatever the host says with it. */
static void test_sent_leaves_the_card_alone(void **state)
{
	const uint64_t control = 0xFFFFFFFF;
	struct vmb_guest_network_packet packet;
	struct vmb_guest_network before;
	struct bench b;
	uint64_t ids[5];
	uint32_t i, len;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
	packet = seal(&b);
	ids[0] = 0;
	ids[1] = packet.transaction_id + 1;
	ids[2] = packet.transaction_id | 1ull << 63;
	ids[3] = control - 1;
	ids[4] = packet.transaction_id;
	before = b.n;
	for (i = 0; i < VMB_ARRAY_COUNT(ids); i++) {
		assert_true(vmb_guest_network_is_sent(&b.q, VMB_PKT_COMPLETION, ids[i]));
		for (len = 0; len <= 40; len++) {
			put(say(&b, 108), 4, 1, 4);
			deliver(&b, VMB_PKT_COMPLETION, ids[i], len);
		}
		assert_memory_equal(&b.n, &before, sizeof(before));
	}
	assert_true(vmb_guest_network_idle(&b.q));
	assert_false(vmb_guest_network_is_sent(&b.q, VMB_PKT_COMPLETION, b.n.dialogue.output_id));
	assert_false(vmb_guest_network_is_sent(&b.q, VMB_PKT_COMPLETION, control));
	assert_false(vmb_guest_network_is_sent(&b.q, VMB_PKT_INBAND, packet.transaction_id));
}

/* ---- the end ---- */

static void test_what_is_in_flight_at_the_end_is_given_back(void **state)
{
	struct vmb_guest_network_event event;
	struct vmb_guest_network_packet packet;
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < 3; i++) {
		assert_int_equal(put_frame(&b, 0, 60, 60), 0);
		b.q.slots[b.q.filling].cookie = &b.asked[i];
		if (i < 2)
			packet = seal(&b);
	}
	for (i = 0; i < 3; i++) {
		assert_true(vmb_guest_network_fail_next(&b.q, &event));
		assert_int_equal(event.type, VMB_GUEST_NETWORK_SENT);
		assert_int_equal(event.status, 2);
		assert_ptr_equal(event.cookie, &b.asked[i]);
		assert_int_equal(event.frame_count, i < 2); /* the last was never sealed */
		assert_int_equal(event.byte_count, i < 2 ? 60 : 0);
	}
	assert_false(vmb_guest_network_fail_next(&b.q, &event));
	assert_int_equal(event.type, VMB_GUEST_NETWORK_NOTHING);
	assert_true(vmb_guest_network_idle(&b.q));
	assert_false(vmb_guest_network_seal(&b.q, &packet));
	assert_int_equal(put_frame(&b, 0, 60, 60), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_frame_lies_in_its_section),
		cmocka_unit_test(test_facts_stand_before_the_frame),
		cmocka_unit_test(test_frames_share_a_packet_up_to_the_hosts_count),
		cmocka_unit_test(test_section_is_never_overfilled),
		cmocka_unit_test(test_transfer_length_bounds_several_frames),
		cmocka_unit_test(test_rest_of_a_frame_follows_in_ranges),
		cmocka_unit_test(test_envelope_alone_may_lie_in_the_section),
		cmocka_unit_test(test_inline_max_is_the_bound),
		cmocka_unit_test(test_slots_run_out_and_come_back),
		cmocka_unit_test(test_slot_that_came_back_is_used_next),
		cmocka_unit_test(test_queue_stays_in_its_arrays),
		cmocka_unit_test(test_queue_without_slots_says_again),
		cmocka_unit_test(test_queues_have_their_own_sections),
		cmocka_unit_test(test_bad_queue_is_refused),
		cmocka_unit_test(test_no_section_before_the_host_said_so),
		cmocka_unit_test(test_unsealed_packet_is_the_senders_again),
		cmocka_unit_test(test_unseal_after_a_guessed_completion_says_no),
		cmocka_unit_test(test_forged_completions_are_refused),
		cmocka_unit_test(test_completions_of_another_kind_are_refused),
		cmocka_unit_test(test_sent_leaves_the_card_alone),
		cmocka_unit_test(test_what_is_in_flight_at_the_end_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
