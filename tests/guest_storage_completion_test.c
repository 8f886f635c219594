// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Storage: completions, forged and honest, sense data, time-outs and the end of a channel. */
#include "tests/guest_storage_bed.h"

/* ---- completions ---- */

static void test_completion_ends_its_request(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 2);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	assert_event(&b, COMPLETED);
	assert_ptr_equal(b.event.cookie, &b);
	assert_int_equal(b.event.slot, 2);
	assert_int_equal(b.event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(b.event.scsi_status, 0);
	assert_int_equal(b.event.data_len, 8192);
	assert_int_equal(b.event.sense_len, 0);
	assert_false(b.event.capacity_changed);
	assert_int_equal(b.s.counters.completed, 1);
}

static void test_duplicate_completion_is_refused(void **state)
{
	uint64_t first;
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	first = b.packet.transaction_id;
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	assert_int_equal(complete(&b), VMB_EPROTO);
	assert_event(&b, NOTHING);
	submit_read(&b, 0); /* the same slot: the old id must not end it */
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(deliver(&b, COMPLETION, first, 64), VMB_EPROTO);
	assert_int_equal(b.s.counters.forged, 2);
	assert_int_equal(complete(&b), 0);
}

static void test_forged_ids_are_refused(void **state)
{
	struct bench b;
	uint64_t forged[12];
	uint64_t id;
	uint32_t i;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	id = b.packet.transaction_id;
	for (i = 0; i < 3; i++)
		forged[i] = id + 1 + i; /* other slots, which are free */
	forged[3] = 0;
	forged[4] = id & ~0xFFFFFFFFull;
	forged[5] = (id & ~0xFFFFFFFFull) | (SLOTS + 1);
	forged[6] = id ^ 1ull << 32;
	forged[7] = id ^ 1ull << 62; /* beyond the generation */
	forged[8] = id ^ 1ull << 63;
	forged[9] = id | 0xFFFFFFFF;
	forged[10] = 0xFFFFFFFFFFFFFFFF;
	forged[11] = id ^ 1ull << 61;
	for (i = 0; i < 12; i++) {
		say_complete(&b, 1, 0, 8192);
		assert_int_equal(deliver(&b, COMPLETION, forged[i], 64), VMB_EPROTO);
		assert_event(&b, NOTHING);
		assert_int_equal(b.s.counters.forged, i + 1);
	}
	assert_int_equal(complete(&b), 0);
}

/*
 * Also with a wrong generation: such a packet is refused at the slot, and needs the handshake's
 * lock no more.
 */
static void test_what_ends_a_request_is_known_by_its_descriptor(void **state)
{
	struct bench b;
	uint64_t id;

	bench_ready(&b, 0x602);
	submit_read(&b, SLOTS - 1);
	id = b.packet.transaction_id;
	assert_true(vmb_guest_storage_ends_request(&b.s, COMPLETION, id));
	assert_true(vmb_guest_storage_ends_request(&b.s, COMPLETION, id ^ 1ull << 40));
	assert_true(vmb_guest_storage_ends_request(&b.s, COMPLETION, id - SLOTS + 1));
	assert_false(vmb_guest_storage_ends_request(&b.s, COMPLETION, id - SLOTS));
	assert_false(vmb_guest_storage_ends_request(&b.s, COMPLETION, id + 1));
	assert_false(vmb_guest_storage_ends_request(&b.s, COMPLETION, b.out_id));
	assert_false(vmb_guest_storage_ends_request(&b.s, INBAND, id));
	assert_false(vmb_guest_storage_ends_request(&b.s, 9, id));
}

static void test_short_completion_is_malformed(void **state)
{
	struct bench b;
	uint32_t len;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	for (len = 0; len < 64; len++) {
		say_complete(&b, 1, 0, 8192);
		assert_int_equal(deliver(&b, COMPLETION, b.packet.transaction_id, len), VMB_EPROTO);
	}
	assert_int_equal(b.s.counters.malformed, 64);
	assert_int_equal(complete(&b), 0);
	bench_ready(&b, 0x402);
	submit_read(&b, 0);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(deliver(&b, COMPLETION, b.packet.transaction_id, 47), VMB_EPROTO);
	assert_int_equal(deliver(&b, COMPLETION, b.packet.transaction_id, 48), 0);
}

static void test_long_completion_is_cut(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(deliver(&b, COMPLETION, b.packet.transaction_id, 80), 0);
	assert_event(&b, COMPLETED);
}

static void test_wrong_operation_ends_nothing(void **state)
{
	struct bench b;
	uint32_t operation;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	for (operation = 0; operation < 20; operation++) {
		say_complete(&b, 1, 0, 8192);
		put(b.in, 0, operation, 4);
		if (operation != 1)
			assert_int_equal(complete(&b), VMB_EPROTO);
	}
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
}

static void test_moved_bytes_are_clamped_and_zeroed_on_error(void **state)
{
	static const struct {
		uint8_t srb;
		uint32_t said, wanted;
	} moves[] = { { 0x01, 8192, 8192 }, { 0x01, 100, 100 },
		      { 0x01, 8193, 8192 }, { 0x01, 0xFFFFFFFF, 8192 },
		      { 0x12, 512, 512 },   { 0x12, 9999, 8192 },
		      { 0x04, 8192, 0 },    { 0x20, 8192, 0 },
		      { 0x41, 8192, 8192 }, { 0x02, 1, 0 } };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	for (i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		submit_read(&b, 0);
		say_complete(&b, moves[i].srb, 0, moves[i].said);
		assert_int_equal(complete(&b), 0);
		assert_int_equal(b.event.data_len, moves[i].wanted);
		assert_int_equal(b.event.srb_status, moves[i].srb & 0x3F);
	}
}

static void test_success_with_error_outside_is_no_success(void **state)
{
	static const struct {
		uint32_t status;
		uint8_t srb, wanted;
	} mixed[] = { { 0xC0000184, 0x01, 0x04 }, /* INVALID_DEVICE_STATE */
		      { 0xC0000184, 0x00, 0x04 }, { 0, 0x00, 0x04 },
		      { 0x80000005, 0x12, 0x12 }, { 0xC00000C0, 0x20, 0x20 },
		      { 0x80000005, 0x01, 0x01 } };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	for (i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++) {
		submit_read(&b, 0);
		say_complete(&b, mixed[i].srb, 0, 8192);
		put(b.in, 8, mixed[i].status, 4);
		assert_int_equal(complete(&b), 0);
		assert_int_equal(b.event.srb_status, mixed[i].wanted);
	}
}

/* Completes a read with 20 bytes of sense data, of which the host calls len valid. */
static void fail_with_sense(struct bench *b, uint8_t srb_status, uint8_t scsi_status, uint8_t len,
			    uint8_t asc, uint8_t ascq)
{
	uint8_t *packet;
	uint32_t i;

	submit_read(b, 0);
	packet = say_complete(b, srb_status, scsi_status, 0);
	put(packet, 21, len, 1);
	for (i = 0; i < 20; i++)
		packet[28 + i] = (uint8_t)(0xA0 + i);
	put(packet, 28, 0x70, 1);
	put(packet, 28 + 12, asc, 1);
	put(packet, 28 + 13, ascq, 1);
	assert_int_equal(complete(b), 0);
	assert_event(b, COMPLETED);
}

/*
 * The cross product of statuses: sense data counts with CHECK CONDITION and AUTOSENSE_VALID, never
 * else.
 */
static void test_sense_needs_check_condition_and_autosense(void **state)
{
	static const uint8_t scsi[] = { 0, 2, 4, 8, 0x18, 0x22, 0x28, 0x40, 0xFF };
	struct bench b;
	uint32_t srb, i;

	bench_ready(&b, 0x602);
	for (srb = 0; srb < 256; srb++) {
		for (i = 0; i < sizeof(scsi); i++) {
			fail_with_sense(&b, (uint8_t)srb, scsi[i], 18, 0x24, 0);
			assert_int_equal(b.event.sense_len, scsi[i] == 2 && srb & 0x80 ? 18 : 0);
			assert_int_equal(b.event.scsi_status, scsi[i]);
		}
	}
}

static void test_sense_is_copied_and_clamped(void **state)
{
	static const uint8_t zero[20];
	struct bench b;

	bench_ready(&b, 0x602);
	fail_with_sense(&b, 0x84, 2, 18, 0x24, 0);
	assert_int_equal(b.event.sense_len, 18);
	assert_int_equal(b.event.sense[0], 0x70);
	assert_int_equal(b.event.sense[12], 0x24);
	assert_int_equal(b.event.sense[17], 0xA0 + 17);
	assert_memory_equal(b.event.sense + 18, zero, 2);
	fail_with_sense(&b, 0x84, 2, 255, 0x24, 0);
	assert_int_equal(b.event.sense_len, 20);
	bench_ready(&b, 0x402); /* offers 18 */
	fail_with_sense(&b, 0x84, 2, 20, 0x24, 0);
	assert_int_equal(b.event.sense_len, 18);
	fail_with_sense(&b, 0x84, 2, 0, 0x24, 0);
	assert_int_equal(b.event.sense_len, 0);
	fail_with_sense(&b, 0x04, 2, 18, 0x24, 0);
	assert_memory_equal(b.event.sense, zero, 20);
}

static void test_capacity_change_is_seen(void **state)
{
	static const struct {
		uint8_t srb, len, asc, ascq;
		bool changed;
	} senses[] = { { 0x84, 18, 0x2A, 0x09, true },	{ 0x84, 18, 0x2A, 0x08, false },
		       { 0x82, 18, 0x2A, 0x09, true },	{ 0x86, 18, 0x2A, 0x09, true },
		       { 0xB0, 18, 0x2A, 0x09, true },	{ 0xC4, 18, 0x2A, 0x09, true },
		       { 0x84, 18, 0x3F, 0x00, true },	{ 0x84, 18, 0x3F, 0x02, true },
		       { 0x84, 18, 0x3F, 0x03, false }, { 0x84, 18, 0x3F, 0x0E, false },
		       { 0x84, 18, 0x3F, 0x0F, true },	{ 0x84, 18, 0x24, 0x00, false },
		       { 0x84, 14, 0x2A, 0x09, true },	{ 0x84, 13, 0x2A, 0x09, false },
		       { 0x84, 13, 0x3F, 0x00, false }, { 0x84, 0, 0x2A, 0x09, false },
		       { 0x04, 18, 0x2A, 0x09, false }, { 0x88, 18, 0x2A, 0x09, false },
		       { 0x81, 18, 0x2A, 0x09, false } };
	struct bench b;
	uint32_t i;

	bench_ready(&b, 0x602);
	for (i = 0; i < sizeof(senses) / sizeof(senses[0]); i++) {
		fail_with_sense(&b, senses[i].srb, 2, senses[i].len, senses[i].asc, senses[i].ascq);
		assert_int_equal(b.event.capacity_changed, senses[i].changed);
	}
}

static void test_capacity_change_in_descriptor_format(void **state)
{
	static const uint8_t codeless[] = { 0x00, 0x6F, 0x74, 0x7E, 0x7F };
	struct bench b;
	uint8_t *packet;
	uint32_t i;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	packet = say_complete(&b, 0x84, 2, 0);
	put(packet, 21, 8, 1);
	put(packet, 28, 0x72, 1);
	put(packet, 29, 6, 1);
	put(packet, 30, 0x2A, 1);
	put(packet, 31, 0x09, 1);
	assert_int_equal(complete(&b), 0);
	assert_true(b.event.capacity_changed);
	for (i = 0; i < sizeof(codeless); i++) {
		submit_read(&b, 0);
		packet = say_complete(&b, 0x84, 2, 0);
		put(packet, 21, 18, 1);
		put(packet, 28, codeless[i], 1);
		put(packet, 30, 0x092A, 2);
		put(packet, 40, 0x092A, 2);
		assert_int_equal(complete(&b), 0);
		assert_false(b.event.capacity_changed);
	}
}

/* ---- time-outs and the end ---- */

static void test_abandoned_request_keeps_its_slot(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 0);
	assert_true(vmb_guest_storage_abandon(&b.s, 0));
	assert_false(vmb_guest_storage_abandon(&b.s, 0));
	assert_false(vmb_guest_storage_cancel(&b.s, 0));
	assert_int_equal(vmb_guest_storage_submit(&b.s, 0, &b.request,
						  &(struct vmb_guest_storage_packet){ 0 }),
			 VMB_EBUSY);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	assert_event(&b, COMPLETED);
	assert_null(b.event.cookie);
	assert_int_equal(b.event.slot, 0);
	assert_int_equal(complete(&b), VMB_EPROTO);
	submit_read(&b, 0);
}

static void test_abandon_loses_to_completion(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	assert_false(vmb_guest_storage_abandon(&b.s, 0)); /* free */
	assert_false(vmb_guest_storage_abandon(&b.s, SLOTS));
	submit_read(&b, 0);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	assert_ptr_equal(b.event.cookie, &b);
	assert_false(vmb_guest_storage_abandon(&b.s, 0));
}

static void test_fail_next_ends_all_that_is_left(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	submit_read(&b, 1);
	submit_read(&b, 3);
	assert_true(vmb_guest_storage_abandon(&b.s, 3));
	assert_int_equal(vmb_guest_storage_fail_next(&b.s, &b.event), 0);
	assert_event(&b, COMPLETED);
	assert_int_equal(b.event.slot, 1);
	assert_ptr_equal(b.event.cookie, &b);
	assert_int_equal(b.event.srb_status, VMB_SRB_NO_DEVICE);
	assert_int_equal(b.event.data_len, 0);
	assert_int_equal(vmb_guest_storage_fail_next(&b.s, &b.event), 0);
	assert_int_equal(b.event.slot, 3);
	assert_null(b.event.cookie);
	assert_int_equal(vmb_guest_storage_fail_next(&b.s, &b.event), VMB_EAGAIN);
	assert_event(&b, NOTHING);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), VMB_EPROTO);
}

static void test_generation_wraps(void **state)
{
	struct bench b;

	bench_ready(&b, 0x602);
	b.slots[0].state = 0x3FFFFFFFu << 2;
	submit_read(&b, 0);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
	submit_read(&b, 0);
	assert_int_equal(b.packet.transaction_id >> 32, 0);
	assert_int_not_equal(b.packet.transaction_id, 0);
	say_complete(&b, 1, 0, 8192);
	assert_int_equal(complete(&b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completion_ends_its_request),
		cmocka_unit_test(test_duplicate_completion_is_refused),
		cmocka_unit_test(test_forged_ids_are_refused),
		cmocka_unit_test(test_what_ends_a_request_is_known_by_its_descriptor),
		cmocka_unit_test(test_short_completion_is_malformed),
		cmocka_unit_test(test_long_completion_is_cut),
		cmocka_unit_test(test_wrong_operation_ends_nothing),
		cmocka_unit_test(test_moved_bytes_are_clamped_and_zeroed_on_error),
		cmocka_unit_test(test_success_with_error_outside_is_no_success),
		cmocka_unit_test(test_sense_needs_check_condition_and_autosense),
		cmocka_unit_test(test_sense_is_copied_and_clamped),
		cmocka_unit_test(test_capacity_change_is_seen),
		cmocka_unit_test(test_capacity_change_in_descriptor_format),
		cmocka_unit_test(test_abandoned_request_keeps_its_slot),
		cmocka_unit_test(test_abandon_loses_to_completion),
		cmocka_unit_test(test_fail_next_ends_all_that_is_left),
		cmocka_unit_test(test_generation_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
