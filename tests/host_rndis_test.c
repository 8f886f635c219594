// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The adapter's messages: control requests in every state, indications, and the envelope of frames
 * in both directions. docs/protocol/network.md, "8 RNDIS", "9 RNDIS packets", "15 Traps",
 * "16 Hardening".
 */
#include "host/rndis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct vmb_host_rndis r;
	uint8_t reply[VMB_HOST_RNDIS_REPLY_LEN_MAX];
	uint32_t reply_len;
};

static struct fixture fixture;

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static struct vmb_host_rndis_config good_config(void)
{
	struct vmb_host_rndis_config config = { .mac = { 2, 0, 0, 0, 0, 1 },
						.mtu_max = 1500,
						.link_speed = 10000000,
						.offload = 0xF,
						.queue_count_max = 4 };

	return config;
}

static int start(void **state)
{
	const struct vmb_host_rndis_config config = good_config();

	*state = &fixture;
	assert_int_equal(vmb_host_rndis_init(&fixture.r, &config), 0);
	fixture.r.ndis_version = 6 << 16 | 30;
	return 0;
}

/* count words in memory of exactly that size. */
static int control(struct fixture *f, uint32_t count, ...)
{
	uint8_t *message = malloc(4 * count);
	va_list words;
	uint32_t i;
	int error;

	va_start(words, count);
	for (i = 0; i < count; i++)
		put32(message + 4 * i, va_arg(words, uint32_t));
	va_end(words);
	memset(f->reply, 0xA5, sizeof(f->reply));
	error = vmb_host_rndis_control(&f->r, message, 4 * count, f->reply, &f->reply_len);
	free(message);
	return error;
}

static void initialize(struct fixture *f)
{
	assert_int_equal(control(f, 6, 2, 24, 7, 1, 0, 0x4000), 0);
	assert_int_equal(f->r.state, VMB_HOST_RNDIS_INITIALIZED);
}

static void test_config_out_of_bounds_is_refused(void **state)
{
	struct vmb_host_rndis_config config;
	struct vmb_host_rndis *r = &fixture.r;

#define REFUSED(change)                                                        \
	do {                                                                   \
		config = good_config();                                        \
		change;                                                        \
		assert_int_equal(vmb_host_rndis_init(r, &config), VMB_EINVAL); \
	} while (0)
	REFUSED(config.mac[0] = 1);
	REFUSED(memset(config.mac, 0, 6));
	REFUSED(config.mtu_max = 1499);
	REFUSED(config.mtu_max = 65522);
	REFUSED(config.queue_count_max = 0);
	REFUSED(config.queue_count_max = 65);
	REFUSED(config.offload = 0x10);
	config = good_config();
	config.mtu_max = 65521;
	config.queue_count_max = 64;
	assert_int_equal(vmb_host_rndis_init(r, &config), 0);
}

static void test_initialize_says_what_a_send_may_hold(void **state)
{
	struct fixture *f = *state;

	initialize(f);
	assert_int_equal(f->reply_len, 52);
	assert_int_equal(get32(f->reply), 0x80000002);
	assert_int_equal(get32(f->reply + 4), 52);
	assert_int_equal(get32(f->reply + 8), 7);
	assert_int_equal(get32(f->reply + 12), 0);
	assert_int_equal(get32(f->reply + 16), 1);
	assert_int_equal(get32(f->reply + 20), 0);
	assert_int_equal(get32(f->reply + 24), 1); /* connectionless */
	assert_int_equal(get32(f->reply + 28), 0); /* 802.3 */
	assert_int_equal(get32(f->reply + 32), 8); /* frames */
	assert_int_equal(get32(f->reply + 36), 256 << 10); /* bytes */
	assert_int_equal(get32(f->reply + 40), 3); /* 8 bytes of alignment */
	assert_int_equal(get32(f->reply + 44), 0);
	assert_int_equal(get32(f->reply + 48), 0);
}

static void test_other_major_version_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(control(f, 6, 2, 24, 7, 2, 0, 0x4000), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010004);
	assert_int_equal(f->r.state, VMB_HOST_RNDIS_UNINITIALIZED);
}

/* Each request in each state: the status it gets, 0xFF for no reply. */
static void test_requests_in_every_state(void **state)
{
	static const struct {
		uint32_t type;
		uint32_t status_at;
		uint32_t expected[3]; /* uninitialized, initialized, halted */
		enum vmb_host_rndis_state after[3];
	} cases[] = {
		{ 2, 12, { 0, 0, 0 }, { 1, 1, 1 } },
		{ 3, 0, { 0xFF, 0xFF, 0xFF }, { 2, 2, 2 } },
		{ 4, 12, { 0xC0000001, 0, 0xC0000001 }, { 0, 1, 2 } },
		{ 5, 12, { 0xC0000001, 0, 0xC0000001 }, { 0, 1, 2 } },
		{ 6, 8, { 0xC0000001, 0, 0xC0000001 }, { 0, 1, 2 } },
		{ 8, 12, { 0xC0000001, 0, 0xC0000001 }, { 0, 1, 2 } },
	};
	struct fixture *f = *state;
	uint32_t i, s;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		for (s = 0; s < 3; s++) {
			start(state);
			if (s)
				initialize(f);
			if (s == 2)
				assert_int_equal(control(f, 3, 3, 12, 1), 0);
			/*
			 * an INITIALIZE; for QUERY and SET OID 0x1010E with a buffer of four bytes
			 */
			if (cases[i].type == 2)
				assert_int_equal(control(f, 6, 2, 24, 99, 1, 0, 0), 0);
			else
				assert_int_equal(control(f, 8, cases[i].type, 32, 99, 0x1010E, 4,
							 20, 0, 0x0D),
						 0);
			assert_int_equal(f->r.state, cases[i].after[s]);
			if (cases[i].expected[s] == 0xFF) {
				assert_int_equal(f->reply_len, 0);
				continue;
			}
			assert_int_equal(get32(f->reply), cases[i].type | 0x80000000);
			assert_int_equal(get32(f->reply + 4), f->reply_len);
			if (cases[i].type != 6)
				assert_int_equal(get32(f->reply + 8), 99);
			assert_int_equal(get32(f->reply + cases[i].status_at),
					 cases[i].expected[s]);
		}
	}
}

static void test_halt_stops_receiving_and_begins_anew(void **state)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct fixture *f = *state;

	initialize(f);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 20, 0, 1), 0);
	assert_true(vmb_host_rndis_wants(&f->r, mac));
	assert_int_equal(control(f, 3, 3, 12, 1), 0);
	assert_false(vmb_host_rndis_wants(&f->r, mac));
	initialize(f);
	assert_int_equal(f->r.filter, 0);
}

static void test_reset_keeps_addresses(void **state)
{
	struct fixture *f = *state;

	initialize(f);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 20, 0, 0x0D), 0);
	assert_int_equal(control(f, 3, 6, 12, 0), 0);
	assert_int_equal(f->reply_len, 16);
	assert_int_equal(get32(f->reply), 0x80000006);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(get32(f->reply + 12), 0);
	assert_int_equal(f->r.filter, 0x0D);
}

static void test_what_is_no_message_breaks_the_protocol(void **state)
{
	static const uint32_t types[] = { 0, 1, 7, 9, 10, 0x80000002, 0xFFFFFFFF };
	static const struct {
		uint32_t type, len_min;
	} lens[] = { { 2, 24 }, { 3, 12 }, { 4, 24 }, { 5, 24 }, { 6, 12 }, { 8, 12 } };
	struct fixture *f = *state;
	uint32_t i;

	initialize(f);
	for (i = 0; i < VMB_ARRAY_COUNT(types); i++)
		assert_int_equal(control(f, 7, types[i], 28, 1, 0, 0, 0, 0), VMB_EPROTO);
	assert_int_equal(control(f, 1, 8), VMB_EPROTO);
	for (i = 0; i < VMB_ARRAY_COUNT(lens); i++) {
		/* says less than the type has, or more than there is */
		assert_int_equal(control(f, 7, lens[i].type, lens[i].len_min - 1, 1, 0, 0, 0, 0),
				 VMB_EPROTO);
		assert_int_equal(control(f, 7, lens[i].type, 29, 1, 0, 0, 0, 0), VMB_EPROTO);
		assert_int_equal(control(f, 7, lens[i].type, 0, 1, 0, 0, 0, 0), VMB_EPROTO);
		assert_int_equal(control(f, 7, lens[i].type, 0xFFFFFFFF, 1, 0, 0, 0, 0),
				 VMB_EPROTO);
		assert_int_equal(f->reply_len, 0);
	}
}

static void test_buffer_must_lie_in_the_message(void **state)
{
	struct fixture *f = *state;

	initialize(f);
	/* offset and length, of a SET of 32 bytes: only 20 and 4 are right */
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 21, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 5, 20, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 0xFFFFFFFC, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 0xFFFFFFFF, 20, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(control(f, 8, 4, 32, 1, 0x10106, 4, 0xFFFFFFFC, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(get32(f->reply + 16), 0);
	/* the header's length bounds it, not what happens to follow */
	assert_int_equal(control(f, 8, 5, 28, 1, 0x1010E, 4, 20, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0xC0010015);
	assert_int_equal(f->r.filter, 0);
	assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 20, 0, 1), 0);
	assert_int_equal(get32(f->reply + 12), 0);
	assert_int_equal(f->r.filter, 1);
	assert_int_equal(f->r.counters.refused, 6);
}

/* FreeBSD gives an offset to no data. */
static void test_empty_buffer_may_be_anywhere(void **state)
{
	static const uint32_t offsets[] = { 0, 20, 4096, 0xFFFFFFFF };
	struct fixture *f = *state;
	uint32_t i;

	initialize(f);
	for (i = 0; i < VMB_ARRAY_COUNT(offsets); i++) {
		assert_int_equal(control(f, 7, 4, 28, 1, 0x10106, 0, offsets[i], 0), 0);
		assert_int_equal(get32(f->reply + 12), 0);
		assert_int_equal(get32(f->reply + 24), 1500);
	}
	/* and without the handle */
	assert_int_equal(control(f, 6, 4, 24, 1, 0x10106, 0, 0), 0);
	assert_int_equal(get32(f->reply + 24), 1500);
}

static void test_unknown_oid_is_not_supported(void **state)
{
	struct fixture *f = *state;

	initialize(f);
	assert_int_equal(control(f, 7, 4, 28, 1, 0xDEADBEEF, 0, 20, 0), 0);
	assert_int_equal(get32(f->reply + 12), 0xC00000BB);
	assert_int_equal(get32(f->reply + 16), 0);
	assert_int_equal(f->reply_len, 24);
	assert_int_equal(control(f, 7, 5, 28, 1, 0xDEADBEEF, 0, 20, 0), 0);
	assert_int_equal(get32(f->reply + 12), 0xC00000BB);
	assert_int_equal(f->reply_len, 16);
	assert_int_equal(f->r.counters.unsupported, 2);
}

static void test_filter_decides_by_destination(void **state)
{
	static const uint8_t own[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 2 },
			     group[6] = { 1, 0, 0x5E, 0, 0, 1 },
			     all[6] = { 255, 255, 255, 255, 255, 255 };
	static const struct {
		uint32_t filter;
		bool own, other, group, all;
	} cases[] = {
		{ 0, false, false, false, false },   { 0x01, true, false, false, false },
		{ 0x02, false, false, true, false }, { 0x04, false, false, true, false },
		{ 0x08, false, false, false, true }, { 0x0D, true, false, true, true },
		{ 0x20, true, true, true, true },
	};
	struct fixture *f = *state;
	size_t i;

	f->r.filter = 0x20;
	assert_false(vmb_host_rndis_wants(&f->r, own)); /* not initialized */
	initialize(f);
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		assert_int_equal(control(f, 8, 5, 32, 1, 0x1010E, 4, 20, 0, cases[i].filter), 0);
		assert_int_equal(vmb_host_rndis_wants(&f->r, own), cases[i].own);
		assert_int_equal(vmb_host_rndis_wants(&f->r, other), cases[i].other);
		assert_int_equal(vmb_host_rndis_wants(&f->r, group), cases[i].group);
		assert_int_equal(vmb_host_rndis_wants(&f->r, all), cases[i].all);
	}
}

static uint32_t indicated(struct fixture *f)
{
	memset(f->reply, 0xA5, sizeof(f->reply));
	if (!vmb_host_rndis_indication(&f->r, f->reply, &f->reply_len))
		return 0;
	assert_int_equal(get32(f->reply), 7);
	assert_int_equal(get32(f->reply + 4), f->reply_len);
	assert_int_equal(get32(f->reply + 12), f->reply_len - 20);
	assert_int_equal(get32(f->reply + 16), 12);
	return get32(f->reply + 8);
}

static void test_link_changes_are_told_in_order(void **state)
{
	struct fixture *f = *state;

	vmb_host_rndis_set_link(&f->r, false);
	assert_int_equal(indicated(f), 0);
	initialize(f);
	assert_int_equal(indicated(f), 0); /* the guest will ask */
	vmb_host_rndis_set_link(&f->r, false); /* no change */
	assert_int_equal(indicated(f), 0);
	vmb_host_rndis_set_link(&f->r, true);
	assert_int_equal(indicated(f), 0x4001000B);
	assert_int_equal(f->reply_len, 20);
	assert_int_equal(indicated(f), 0);
	vmb_host_rndis_set_link(&f->r, false);
	vmb_host_rndis_set_link(&f->r, true);
	assert_int_equal(indicated(f), 0x4001000C);
	assert_int_equal(indicated(f), 0x4001000B);
	assert_int_equal(indicated(f), 0);
	vmb_host_rndis_set_link(&f->r, false);
	vmb_host_rndis_set_link(&f->r, true);
	vmb_host_rndis_set_link(&f->r, false);
	assert_int_equal(indicated(f), 0x4001000C);
	assert_int_equal(indicated(f), 0);
}

static void test_link_speed_is_told(void **state)
{
	struct fixture *f = *state;

	initialize(f);
	f->r.speed_indications = 1;
	assert_int_equal(indicated(f), 0x40010013);
	assert_int_equal(f->reply_len, 24);
	assert_int_equal(get32(f->reply + 20), 10000000);
	assert_int_equal(indicated(f), 0);
}

/* Envelopes. */

/* A packet with one info element of 16 bytes, frame of 60. */
static uint32_t good_packet(uint8_t *at, uint32_t type, uint32_t value)
{
	memset(at, 0, 120);
	put32(at, 1);
	put32(at + 4, 120);
	put32(at + 8, 52);
	put32(at + 12, 60);
	put32(at + 28, 36);
	put32(at + 32, 16);
	put32(at + 44, 16);
	put32(at + 48, type);
	put32(at + 52, 12);
	put32(at + 56, value);
	return 120;
}

static int unwrap(const uint8_t *message, uint32_t len, uint32_t room,
		  struct vmb_host_rndis_frame *frame)
{
	uint8_t *copy = malloc(len ? len : 1);
	int error;

	memcpy(copy, message, len);
	error = vmb_host_rndis_unwrap(copy, len, room, frame);
	free(copy);
	return error;
}

static void test_packet_is_unwrapped(void **state)
{
	struct vmb_host_rndis_frame frame;
	uint8_t message[400];

	good_packet(message, 0, 0x00220005);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
	assert_int_equal(frame.present, VMB_HOST_RNDIS_HAS_CHECKSUM);
	assert_int_equal(frame.checksum, 0x00220005);
	assert_int_equal(frame.len, 60);
	assert_int_equal(frame.data_offset, 60);
	assert_int_equal(frame.message_len, 120);
	good_packet(message, 2, 0x62205B4);
	assert_int_equal(unwrap(message, 120, 5000, &frame), 0);
	assert_int_equal(frame.present, VMB_HOST_RNDIS_HAS_LSO);
	assert_int_equal(frame.lso, 0x62205B4);
	good_packet(message, 6, 0x0641);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
	assert_int_equal(frame.present, VMB_HOST_RNDIS_HAS_VLAN);
	assert_int_equal(frame.vlan, 0x0641);
	good_packet(message, 8, 0xCAFEF00D);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
	assert_int_equal(frame.present, VMB_HOST_RNDIS_HAS_HASH);
	assert_int_equal(frame.hash, 0xCAFEF00D);
}

static void test_unknown_information_is_skipped(void **state)
{
	static const uint32_t types[] = { 1,  3,  5,	      7,	  9,	     10,
					  11, 12, 0x80000000, 0x80000001, 0xFFFFFFFF };
	struct vmb_host_rndis_frame frame;
	uint8_t message[400];
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(types); i++) {
		good_packet(message, types[i], 7);
		put32(message + 52, 0xFFFF); /* nobody looks */
		assert_int_equal(unwrap(message, 120, 120, &frame), 0);
		assert_int_equal(frame.present, 0);
	}
	/* an element that is all header */
	good_packet(message, 11, 0);
	put32(message + 32, 12);
	put32(message + 44, 12);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
}

static void test_of_two_informations_the_first_counts(void **state)
{
	struct vmb_host_rndis_frame frame;
	uint8_t message[400];

	good_packet(message, 6, 1);
	memcpy(message + 60, message + 44, 16);
	put32(message + 72, 2);
	put32(message + 8, 68);
	put32(message + 12, 44);
	put32(message + 32, 32);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
	assert_int_equal(frame.vlan, 1);
	put32(message + 64, 0);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
	assert_int_equal(frame.present, VMB_HOST_RNDIS_HAS_VLAN | VMB_HOST_RNDIS_HAS_CHECKSUM);
}

/* One field of a good packet after the other is set to what it must not be. */
static void test_envelopes_that_are_no_good_are_refused(void **state)
{
	static const struct {
		uint32_t at, value;
	} cases[] = {
		{ 0, 2 },   { 0, 0x80000001 },	{ 4, 43 },	    { 4, 121 },
		{ 4, 119 }, { 4, 0 },		{ 4, 0xFFFFFFFF },  { 8, 35 },
		{ 8, 0 },   { 8, 53 },		{ 8, 0xFFFFFFFF },  { 8, 0xFFFFFFF8 },
		{ 12, 61 }, { 12, 0 },		{ 12, 0xFFFFFFFF }, { 12, 0xFFFFFFCC },
		{ 16, 1 },  { 20, 1 },		{ 24, 1 },	    { 28, 35 },
		{ 28, 0 },  { 28, 97 },		{ 28, 0xFFFFFFFF }, { 32, 17 },
		{ 32, 15 }, { 32, 0xFFFFFFFF }, { 32, 100 },	    { 36, 1 },
		{ 44, 0 },  { 44, 8 },		{ 44, 11 },	    { 44, 14 },
		{ 44, 20 }, { 44, 0xFFFFFFFC }, { 52, 0 },	    { 52, 11 },
		{ 52, 13 }, { 52, 0xFFFFFFFF }, { 52, 0xFFFFFFFD },
	};
	struct vmb_host_rndis_frame frame;
	uint8_t message[400];
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		good_packet(message, 0, 5);
		put32(message + cases[i].at, cases[i].value);
		if (unwrap(message, 120, 120, &frame) != VMB_EPROTO)
			fail_msg("field %u with %#x", cases[i].at, cases[i].value);
	}
	good_packet(message, 0, 5);
	for (i = 0; i < 44; i++)
		assert_int_equal(unwrap(message, i, i, &frame), VMB_EPROTO);
	put32(message + 32, 0); /* no information: where it would be does not matter */
	put32(message + 28, 0xFFFFFFFF);
	assert_int_equal(unwrap(message, 120, 120, &frame), 0);
}

/* Only what was copied may be looked at, though the message is longer. */
static void test_information_behind_the_copy_is_refused(void **state)
{
	struct vmb_host_rndis_frame frame;
	uint8_t message[1500] = { 0 };

	good_packet(message, 0, 5);
	put32(message + 4, 1500);
	put32(message + 28, 300);
	put32(message + 300 + 8, 16);
	put32(message + 300 + 16, 12);
	assert_int_equal(unwrap(message, 320, 1500, &frame), VMB_EPROTO);
	assert_int_equal(unwrap(message, 324, 1500, &frame), 0);
}

static void test_wrapped_frame_is_zero_but_for_what_it_says(void **state)
{
	struct vmb_host_rndis_frame in = { 0 }, out;
	uint8_t memory[VMB_HOST_RNDIS_DATA_OFFSET + 100];
	uint32_t i;

	memset(memory, 0xDB, sizeof(memory));
	in.present = VMB_HOST_RNDIS_HAS_CHECKSUM | VMB_HOST_RNDIS_HAS_VLAN |
		     VMB_HOST_RNDIS_HAS_HASH;
	in.len = 100;
	in.checksum = 0x28;
	in.vlan = 0x0641;
	in.hash = 0x51ccc178;
	in.hash_type = 0x201;
	vmb_host_rndis_wrap(memory, &in);
	assert_int_equal(get32(memory), 1);
	assert_int_equal(get32(memory + 4), 356);
	assert_int_equal(get32(memory + 8), 248);
	assert_int_equal(get32(memory + 12), 100);
	for (i = 16; i < 28; i++)
		assert_int_equal(memory[i], 0);
	assert_int_equal(get32(memory + 28), 36);
	assert_int_equal(get32(memory + 32), 64);
	assert_int_equal(get32(memory + 44), 16);
	assert_int_equal(get32(memory + 48), 0);
	assert_int_equal(get32(memory + 52), 12);
	assert_int_equal(get32(memory + 56), 0x28);
	assert_int_equal(get32(memory + 64), 6);
	assert_int_equal(get32(memory + 72), 0x0641);
	assert_int_equal(get32(memory + 80), 8);
	assert_int_equal(get32(memory + 88), 0x51ccc178);
	assert_int_equal(get32(memory + 96), 9);
	assert_int_equal(get32(memory + 104), 0x201);
	for (i = 108; i < 256; i++)
		assert_int_equal(memory[i], 0);
	assert_int_equal(memory[256], 0xDB); /* the frame is the caller's */
	assert_int_equal(unwrap(memory, sizeof(memory), sizeof(memory), &out), 0);
	assert_int_equal(out.len, 100);
	assert_int_equal(out.data_offset, 256);
}

static void test_fragment_is_marked(void **state)
{
	struct vmb_host_rndis_frame in = { .present = VMB_HOST_RNDIS_HAS_PACKET_ID, .len = 5 };
	uint8_t memory[VMB_HOST_RNDIS_DATA_OFFSET];

	in.packet_id.version = 1;
	in.packet_id.flags = 7;
	in.packet_id.id = 0x1234;
	vmb_host_rndis_wrap(memory, &in);
	assert_int_equal(get32(memory + 32), 16);
	assert_int_equal(get32(memory + 48), 0x80000001);
	assert_int_equal(get32(memory + 56), 0x12340701);
	in.present = 0;
	vmb_host_rndis_wrap(memory, &in);
	assert_int_equal(get32(memory + 28), 0);
	assert_int_equal(get32(memory + 32), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_out_of_bounds_is_refused),
		cmocka_unit_test_setup(test_initialize_says_what_a_send_may_hold, start),
		cmocka_unit_test_setup(test_other_major_version_is_refused, start),
		cmocka_unit_test_setup(test_requests_in_every_state, start),
		cmocka_unit_test_setup(test_halt_stops_receiving_and_begins_anew, start),
		cmocka_unit_test_setup(test_reset_keeps_addresses, start),
		cmocka_unit_test_setup(test_what_is_no_message_breaks_the_protocol, start),
		cmocka_unit_test_setup(test_buffer_must_lie_in_the_message, start),
		cmocka_unit_test_setup(test_empty_buffer_may_be_anywhere, start),
		cmocka_unit_test_setup(test_unknown_oid_is_not_supported, start),
		cmocka_unit_test_setup(test_filter_decides_by_destination, start),
		cmocka_unit_test_setup(test_link_changes_are_told_in_order, start),
		cmocka_unit_test_setup(test_link_speed_is_told, start),
		cmocka_unit_test_setup(test_packet_is_unwrapped, start),
		cmocka_unit_test_setup(test_unknown_information_is_skipped, start),
		cmocka_unit_test_setup(test_of_two_informations_the_first_counts, start),
		cmocka_unit_test_setup(test_envelopes_that_are_no_good_are_refused, start),
		cmocka_unit_test_setup(test_information_behind_the_copy_is_refused, start),
		cmocka_unit_test_setup(test_wrapped_frame_is_zero_but_for_what_it_says, start),
		cmocka_unit_test_setup(test_fragment_is_marked, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
