// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Recorded hosts played to the guest core: sessions that it had itself play without a difference;
 * whatever was changed in what either end said is found, and named by its record; no recording does
 * harm.
 */
#include "ports/user/recorded.h"
#include "tests/trace_bed.h"

static struct vmb_user_recorded_result result;
static void play(void)
{
	const struct vmb_user_recorded_config config = { .bytes = file.bytes,
							 .len = file.len,
							 .differs = differs };

	first_number = 0;
	first_text[0] = 0;
	assert_int_equal(vmb_user_recorded_play(&config, &result), 0);
}

static void expect_same(uint32_t played, uint32_t compared)
{
	if (result.differences)
		fail_msg("record %u: %s", first_number, first_text);
	assert_null(result.ended);
	assert_in_range(result.played, played, 1000);
	assert_in_range(result.compared, compared, 1000);
	for (int i = 0; i < VMB_USER_RECORDED_TOLERANCE_COUNT; i++)
		assert_int_equal(result.tolerated[i].count, 0);
}

static void test_storage_session_plays_without_a_difference(void **state)
{
	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	play();
	expect_same(14, 14);
	assert_int_equal(result.left_out, 0);
}

/* The frame that the guest sent, and its completion, are left out. */
static void test_network_session_plays_without_a_difference(void **state)
{
	record(trace_session_network, VMB_DEV_TRACE_SNAP_FULL);
	play();
	expect_same(40, 40);
	assert_int_equal(result.left_out, 2);
}

/* The RSS parameters are 620 bytes long. */
static void test_cut_messages_are_counted(void **state)
{
	record(trace_session_network, 256);
	play();
	assert_int_equal(result.differences, 0);
	assert_int_equal(result.cut, 1);
}

/* The number of the changed record. */
static uint32_t change(enum vmb_dev_trace_kind kind, enum vmb_dev_trace_direction direction,
		       uint32_t nth, uint32_t at)
{
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record r;

	vmb_dev_trace_reader_init(&reader, file.bytes, file.len);
	while (vmb_dev_trace_read(&reader, &r) > 0) {
		if (r.header.kind != kind || r.header.direction != direction || nth--)
			continue;
		assert_true(at < r.len);
		file.bytes[r.bytes - file.bytes + at] ^= 1;
		return r.number;
	}
	fail();
	return 0;
}

struct changed {
	enum vmb_dev_trace_kind kind;
	enum vmb_dev_trace_direction direction;
	uint32_t nth, at;
	const char *text; /* of the first difference */
	enum { THERE, BEFORE, LATER } found; /* in that record, the one before, or a later one */
};

static void expect_found(const struct changed *c)
{
	uint32_t number = change(c->kind, c->direction, c->nth, c->at);

	play();
	assert_true(result.differences > 0);
	if (!strstr(first_text, c->text))
		fail_msg("\"%s\" is not in: %s", c->text, first_text);
	if (c->found == LATER)
		assert_true(first_number > number);
	else
		assert_int_equal(first_number, number - (c->found == BEFORE));
	change(c->kind, c->direction, c->nth, c->at);
}

#define TO_HOST	 VMB_DEV_TRACE_TO_HOST
#define TO_GUEST VMB_DEV_TRACE_TO_GUEST

static void test_what_another_guest_says_is_found(void **state)
{
	static const struct changed changes[] = {
		{ VMB_DEV_TRACE_MESSAGE, TO_HOST, 0, 4, "INITIATE_CONTACT: byte 4", THERE },
		{ VMB_DEV_TRACE_MESSAGE, TO_HOST, 2, 16, "GPADL_HEADER", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_HOST, 0, 16, "storage operation 6", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_HOST, 1, 30, "packet to the disk: byte 30", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_HOST, 3, 6, "packet to the disk: byte 6", THERE },
	};

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(changes); i++)
		expect_found(&changes[i]);
}

static void test_what_our_guest_does_otherwise_is_found(void **state)
{
	static const struct changed changes[] = {
		{ VMB_DEV_TRACE_MESSAGE, TO_GUEST, 0, 8, "REQUEST_OFFERS", LATER },
		{ VMB_DEV_TRACE_MESSAGE, TO_GUEST, 3, 12, "our guest refuses it", THERE },
		{ VMB_DEV_TRACE_MESSAGE, TO_GUEST, 3, 16, "OPEN_CHANNEL", LATER },
		{ VMB_DEV_TRACE_MESSAGE, TO_GUEST, 4, 12, "our guest refuses it", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_GUEST, 0, 24, "our guest gives the disk's handshake up",
		  THERE },
		{ VMB_DEV_TRACE_PACKET, TO_GUEST, 0, 8, "our guest refuses it", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_GUEST, 4, 0, "our guest refuses it", THERE },
	};

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(changes); i++)
		expect_found(&changes[i]);
}

static void test_what_differs_of_a_card_is_found(void **state)
{
	static const struct changed changes[] = {
		{ VMB_DEV_TRACE_PACKET, TO_HOST, 0, 24, "NVSP message: byte 24", THERE },
		{ VMB_DEV_TRACE_PACKET, TO_HOST, 2, 20, "NVSP message: byte 20", THERE },
		{ VMB_DEV_TRACE_DATA, TO_HOST, 0, 16 + 20, "RNDIS INITIALIZE: byte 20", BEFORE },
		{ VMB_DEV_TRACE_PACKET, TO_GUEST, 0, 28, "our guest also sends NVSP message 0x1",
		  LATER },
		{ VMB_DEV_TRACE_PACKET, TO_GUEST, 1, 24, "gives the card up (failure 3)", THERE },
	};

	record(trace_session_network, VMB_DEV_TRACE_SNAP_FULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(changes); i++)
		expect_found(&changes[i]);
}

/* Whatever a recording says, playing it ends; under AddressSanitizer. */
static void damage(uint64_t seed, int rounds)
{
	uint64_t at[4];
	uint8_t before[4];

	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 4; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			at[i] = 200 + (seed >> 33) % (file.len - 200);
			before[i] = file.bytes[at[i]];
			file.bytes[at[i]] = seed >> 25;
		}
		play();
		for (int i = 3; i >= 0; i--)
			file.bytes[at[i]] = before[i];
	}
}

static void test_any_recording_ends(void **state)
{
	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	damage(1, 1000);
	vmb_dev_trace_unload(&file);
	record(trace_session_network, VMB_DEV_TRACE_SNAP_FULL);
	damage(2, 300);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, trace_bed_set_up, trace_bed_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_storage_session_plays_without_a_difference),
		TEST(test_network_session_plays_without_a_difference),
		TEST(test_cut_messages_are_counted),
		TEST(test_what_another_guest_says_is_found),
		TEST(test_what_our_guest_does_otherwise_is_found),
		TEST(test_what_differs_of_a_card_is_found),
		TEST(test_any_recording_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
