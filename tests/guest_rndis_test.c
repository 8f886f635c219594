// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * RNDIS: requests, replies and envelopes, byte by byte from docs/protocol/network.md, "8 RNDIS",
 * "9 RNDIS packets".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest/rndis.h"

static void put(void *to, uint32_t offset, uint64_t value, uint32_t len)
{
	uint8_t *bytes = to;

	while (len--) {
		bytes[offset++] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const void *from, uint32_t offset, uint32_t len)
{
	const uint8_t *bytes = from;
	uint64_t value = 0;

	while (len--)
		value = value << 8 | bytes[offset + len];
	return value;
}

/* ---- requests ---- */

static void test_short_requests_are_what_the_reference_says(void **state)
{
	uint8_t m[64];

	assert_int_equal(vmb_guest_rndis_initialize(m, 24, 0x12345678), 24);
	assert_int_equal(get(m, 0, 8), 2 | 24ull << 32);
	assert_int_equal(get(m, 8, 8), 0x12345678 | 1ull << 32);
	assert_int_equal(get(m, 16, 8), 0x4000ull << 32);
	assert_int_equal(vmb_guest_rndis_halt(m, 12, 7), 12);
	assert_int_equal(get(m, 0, 8), 3 | 12ull << 32);
	assert_int_equal(get(m, 8, 4), 7);
	assert_int_equal(vmb_guest_rndis_keepalive(m, 12, 8), 12);
	assert_int_equal(get(m, 0, 8), 8 | 12ull << 32);
	assert_int_equal(get(m, 8, 4), 8);
	assert_int_equal(vmb_guest_rndis_reset(m, 12), 12);
	assert_int_equal(get(m, 0, 8), 6 | 12ull << 32);
	assert_int_equal(get(m, 8, 4), 0);
	assert_int_equal(vmb_guest_rndis_initialize(m, 23, 1), 0);
	assert_int_equal(vmb_guest_rndis_halt(m, 11, 1), 0);
	assert_int_equal(vmb_guest_rndis_keepalive(m, 11, 1), 0);
	assert_int_equal(vmb_guest_rndis_reset(m, 11), 0);
}

static void test_query_and_set_are_what_the_reference_says(void **state)
{
	uint8_t m[64];
	uint32_t i;

	for (i = 0; i < 2; i++) {
		memset(m, 0xEE, sizeof(m));
		assert_int_equal((i ? vmb_guest_rndis_set :
				      vmb_guest_rndis_query)(m, 36, 5, 0xFC01020D, "vwxyz", 5),
				 36);
		assert_int_equal(get(m, 0, 8), (4 + i) | 36ull << 32);
		assert_int_equal(get(m, 8, 8), 5 | 0xFC01020Dull << 32);
		assert_int_equal(get(m, 16, 8), 5 | 20ull << 32);
		assert_int_equal(get(m, 24, 4), 0);
		assert_memory_equal(m + 28, "vwxyz\0\0\0\xEE", 9);
	}
}

static void test_query_without_data_is_zeroes_at_a_non_zero_offset(void **state)
{
	uint8_t m[64];

	memset(m, 0xEE, sizeof(m));
	assert_int_equal(vmb_guest_rndis_query(m, 64, 5, 1, NULL, 0), 28);
	assert_int_equal(get(m, 16, 8), 20ull << 32);
	assert_int_equal(vmb_guest_rndis_query(m, 64, 5, 1, NULL, 6), 36);
	assert_int_equal(get(m, 16, 4), 6);
	assert_int_equal(get(m, 28, 8), 0);
	assert_int_equal(m[36], 0xEE);
}

static void test_query_without_room_is_refused(void **state)
{
	uint8_t m[64];

	assert_int_equal(vmb_guest_rndis_query(m, 27, 1, 1, NULL, 0), 0);
	assert_int_equal(vmb_guest_rndis_query(m, 35, 1, 1, NULL, 5), 0);
	assert_int_equal(vmb_guest_rndis_query(m, 33, 1, 1, NULL, 5), 0);
	assert_int_equal(vmb_guest_rndis_query(m, 28, 1, 1, NULL, 0), 28);
	assert_int_equal(vmb_guest_rndis_query(m, 64, 1, 1, NULL, 37), 0);
	assert_int_equal(vmb_guest_rndis_query(m, 64, 1, 1, NULL, 0xFFFFFFFF), 0);
	assert_int_equal(vmb_guest_rndis_query(m, 64, 1, 1, NULL, 0xFFFFFFE4), 0);
	assert_int_equal(vmb_guest_rndis_set(m, 64, 1, 1, NULL, 36), 64);
}

/* ---- replies ---- */

/*
 * Judges len bytes of m in memory of exactly that length. The reply's data points nowhere
 * afterwards.
 */
static int judge(const uint8_t *m, uint32_t len, struct vmb_guest_rndis_reply *reply)
{
	uint8_t *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, m, len);
	err = vmb_guest_rndis_reply(exact, len, reply);
	if (!err && reply->data_len)
		assert_true(reply->data >= exact && reply->data_len <= len &&
			    reply->data - exact <= len - reply->data_len);
	free(exact);
	return err;
}

static uint8_t *make(uint8_t m[64], uint32_t type, uint32_t len)
{
	memset(m, 0, 64);
	put(m, 0, type, 4);
	put(m, 4, len, 4);
	return m;
}

static void test_each_reply_has_its_least_length(void **state)
{
	static const struct {
		uint32_t type, len;
	} least[] = { { 0x80000002, 44 }, { 0x80000004, 24 }, { 0x80000005, 16 },
		      { 0x80000006, 16 }, { 0x80000008, 16 }, { 7, 20 } };
	struct vmb_guest_rndis_reply reply;
	uint8_t m[64];
	uint32_t i, len;

	for (i = 0; i < 6; i++) {
		for (len = 0; len < 64; len++) {
			make(m, least[i].type, len);
			assert_int_equal(judge(m, len, &reply),
					 len < least[i].len ? VMB_EPROTO : 0);
			if (len > least[i].len) { /* what is behind the message does not count */
				make(m, least[i].type, least[i].len);
				assert_int_equal(judge(m, len, &reply), 0);
			}
		}
		make(m, least[i].type, 65);
		assert_int_equal(judge(m, 64, &reply), VMB_EPROTO);
		put(m, 4, 0xFFFFFFFF, 4);
		assert_int_equal(judge(m, 64, &reply), VMB_EPROTO);
	}
}

static void test_other_types_are_refused(void **state)
{
	static const uint32_t types[] = { 0,	      1,	  2,	      3,	 4,
					  5,	      6,	  8,	      9,	 0x80000000,
					  0x80000001, 0x80000003, 0x80000007, 0x80000009 };
	struct vmb_guest_rndis_reply reply;
	uint8_t m[64];
	uint32_t i;

	for (i = 0; i < 14; i++)
		assert_int_equal(judge(make(m, types[i], 64), 64, &reply), VMB_EPROTO);
}

static void test_reply_fields_are_read(void **state)
{
	struct vmb_guest_rndis_reply reply;
	uint8_t m[64];

	make(m, 0x80000002, 52);
	put(m, 8, 0x77, 4);
	put(m, 12, 0x88, 4);
	put(m, 32, 8, 4);
	put(m, 40, 3, 4);
	assert_int_equal(judge(m, 52, &reply), 0);
	assert_int_equal(reply.type, 0x80000002);
	assert_int_equal(reply.request_id, 0x77);
	assert_int_equal(reply.status, 0x88);
	assert_int_equal(reply.initialize.packet_count_max, 8);
	assert_int_equal(reply.initialize.alignment_log2, 3);
	make(m, 0x80000006, 16);
	put(m, 8, 0x99, 4);
	assert_int_equal(judge(m, 16, &reply), 0);
	assert_int_equal(reply.status, 0x99);
	assert_int_equal(reply.request_id, 0);
	make(m, 0x80000005, 16);
	put(m, 8, 0x77, 4);
	put(m, 12, 0x88, 4);
	assert_int_equal(judge(m, 16, &reply), 0);
	assert_int_equal(reply.request_id, 0x77);
	assert_int_equal(reply.status, 0x88);
}

static int query(uint32_t status, uint32_t offset, uint32_t data_len, uint32_t len,
		 struct vmb_guest_rndis_reply *reply)
{
	uint8_t m[64];

	make(m, 0x80000004, len);
	put(m, 12, status, 4);
	put(m, 16, data_len, 4);
	put(m, 20, offset, 4);
	return judge(m, len, reply);
}

static void test_buffer_of_a_query_is_inside(void **state)
{
	struct vmb_guest_rndis_reply reply;

	assert_int_equal(query(0, 16, 8, 32, &reply), 0);
	assert_int_equal(reply.data_len, 8);
	assert_int_equal(query(0, 16, 9, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 15, 8, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 17, 8, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 17, 7, 32, &reply), 0);
	assert_int_equal(query(0, 24, 1, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 25, 1, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 0xFFFFFFF8, 8, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 16, 0xFFFFFFFF, 32, &reply), VMB_EPROTO);
	assert_int_equal(query(0, 0xFFFFFFFF, 0, 32, &reply), 0);
	assert_null(reply.data);
	assert_int_equal(reply.data_len, 0);
	/* A failure's length is what it would have been. */
	assert_int_equal(query(0x80000005, 16, 1000, 32, &reply), 0);
	assert_int_equal(reply.data_len, 0);
	assert_int_equal(reply.status, 0x80000005);
}

static int indication(uint32_t offset, uint32_t data_len, uint32_t len,
		      struct vmb_guest_rndis_reply *reply)
{
	uint8_t m[64];

	make(m, 7, len);
	put(m, 8, 0x4001000B, 4);
	put(m, 12, data_len, 4);
	put(m, 16, offset, 4);
	return judge(m, len, reply);
}

static void test_buffer_of_an_indication_is_inside(void **state)
{
	struct vmb_guest_rndis_reply reply;

	assert_int_equal(indication(0, 0, 20, &reply), 0);
	assert_int_equal(reply.status, 0x4001000B);
	assert_int_equal(indication(12, 4, 24, &reply), 0);
	assert_int_equal(reply.data_len, 4);
	assert_int_equal(indication(11, 4, 24, &reply), VMB_EPROTO);
	assert_int_equal(indication(13, 4, 24, &reply), VMB_EPROTO);
	assert_int_equal(indication(12, 5, 24, &reply), VMB_EPROTO);
	assert_int_equal(indication(0xFFFFFFFC, 4, 24, &reply), VMB_EPROTO);
}

/* Real hosts send an offload status whose length ends before the buffer, or in the head. */
static void test_indication_whose_length_omits_its_buffer_is_read(void **state)
{
	static const uint32_t said[] = { 8, 12, 20, 23 };
	struct vmb_guest_rndis_reply reply;
	uint8_t m[64];
	uint32_t i;

	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		make(m, 7, said[i]);
		put(m, 8, 0x40020006, 4);
		put(m, 12, 8, 4);
		put(m, 16, 12, 4);
		put(m, 20, 0x1122334455667788, 8);
		assert_int_equal(judge(m, 28, &reply), 0);
		assert_int_equal(reply.status, 0x40020006);
		assert_int_equal(reply.data_len, 8);
		assert_int_equal(judge(m, 27, &reply), VMB_EPROTO);
		assert_int_equal(judge(m, 19, &reply), VMB_EPROTO);
	}
}

/* ---- envelopes out ---- */

static void test_every_set_of_facts_is_wrapped(void **state)
{
	static const uint32_t types[] = { 0, 2, 6, 8 };
	struct vmb_guest_rndis_frame frame = {
		.len = 1000, .checksum = 1, .lso = 2, .vlan = 3, .hash = 4
	};
	uint8_t m[128];
	uint32_t present, i, at, len;

	for (present = 0; present < 64; present++) {
		frame.present = present;
		memset(m, 0xEE, sizeof(m));
		len = vmb_guest_rndis_envelope_len(&frame);
		assert_int_equal(len, 44 + 16 * __builtin_popcount(present & 0xF));
		assert_true(len <= VMB_GUEST_RNDIS_ENVELOPE_LEN_MAX);
		assert_int_equal(vmb_guest_rndis_wrap(m, &frame, 1234), len);
		assert_int_equal(get(m, 0, 8), 1 | 1234ull << 32);
		assert_int_equal(get(m, 8, 8), (len - 8) | 1000ull << 32);
		assert_int_equal(get(m, 16, 8), 0);
		assert_int_equal(get(m, 24, 4), 0);
		assert_int_equal(get(m, 28, 4), len > 44 ? 36 : 0);
		assert_int_equal(get(m, 32, 4), len - 44);
		assert_int_equal(get(m, 36, 8), 0);
		for (i = 0, at = 44; i < 4; i++) {
			if (!(present & 1u << i))
				continue;
			assert_int_equal(get(m, at, 8), 16 | (uint64_t)types[i] << 32);
			assert_int_equal(get(m, at + 8, 8), 12 | (i + 1ull) << 32);
			at += 16;
		}
		assert_int_equal(m[len], 0xEE);
	}
}

/* ---- envelopes in ---- */

struct packet {
	uint8_t m[400];
	uint32_t room;
	struct vmb_guest_rndis_frame frame;
};

/* 60 bytes of data at 256, no facts, 316 bytes of which all are there. */
static void make_packet(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	put(p->m, 0, 1, 4);
	put(p->m, 4, 316, 4);
	put(p->m, 8, 248, 4);
	put(p->m, 12, 60, 4);
	p->room = 316;
}

static void add_info(struct packet *p, uint32_t type, uint32_t value)
{
	uint32_t at = (uint32_t)get(p->m, 32, 4);

	put(p->m, 28, 36, 4);
	put(p->m, 32, at + 16, 4);
	put(p->m, 44 + at, 16, 4);
	put(p->m, 48 + at, type, 4);
	put(p->m, 52 + at, 12, 4);
	put(p->m, 56 + at, value, 4);
}

/* Unwraps a copy of copied bytes, in memory of exactly that length. */
static int unwrap_copy(struct packet *p, uint32_t copied)
{
	uint8_t *exact = malloc(copied ? copied : 1);
	int err;

	memcpy(exact, p->m, copied);
	memset(&p->frame, 0xEE, sizeof(p->frame));
	err = vmb_guest_rndis_unwrap(exact, copied, p->room, &p->frame);
	free(exact);
	if (!err)
		assert_true(p->frame.len && p->frame.data_offset >= 44 &&
			    (uint64_t)p->frame.data_offset + p->frame.len <= p->room);
	return err;
}

/* Both ways of copying: all that may matter, and only what does. */
static int unwrap(struct packet *p)
{
	uint32_t all = p->room < 320 ? p->room : 320;
	uint32_t need = p->room < 44 ? p->room : vmb_guest_rndis_envelope_in_len(p->m, p->room);
	int err = unwrap_copy(p, need);

	assert_true(need <= all);
	assert_int_equal(unwrap_copy(p, all), err);
	return err;
}

static int unwrap_with(uint32_t offset, uint32_t value)
{
	struct packet p;

	make_packet(&p);
	put(p.m, offset, value, 4);
	return unwrap(&p);
}

static void test_envelope_is_judged(void **state)
{
	assert_int_equal(unwrap_with(0, 1), 0);
	assert_int_equal(unwrap_with(0, 0), VMB_EPROTO);
	assert_int_equal(unwrap_with(0, 0x80000001), VMB_EPROTO);
	assert_int_equal(unwrap_with(4, 315), VMB_EPROTO);
	assert_int_equal(unwrap_with(4, 317), VMB_EPROTO);
	assert_int_equal(unwrap_with(4, 0), VMB_EPROTO);
	assert_int_equal(unwrap_with(4, 43), VMB_EPROTO);
	assert_int_equal(unwrap_with(4, 0xFFFFFFFF), VMB_EPROTO);
	assert_int_equal(unwrap_with(8, 36), 0);
	assert_int_equal(unwrap_with(8, 35), VMB_EPROTO);
	assert_int_equal(unwrap_with(8, 0), VMB_EPROTO);
	assert_int_equal(unwrap_with(8, 249), VMB_EPROTO);
	assert_int_equal(unwrap_with(8, 308), VMB_EPROTO);
	assert_int_equal(unwrap_with(8, 0xFFFFFFC4), VMB_EPROTO);
	assert_int_equal(unwrap_with(12, 1), 0);
	assert_int_equal(unwrap_with(12, 0), VMB_EPROTO);
	assert_int_equal(unwrap_with(12, 61), VMB_EPROTO);
	assert_int_equal(unwrap_with(12, 0xFFFFFFFF), VMB_EPROTO);
	assert_int_equal(unwrap_with(12, 0xFFFFFF08), VMB_EPROTO);
}

static void test_short_ranges_are_refused(void **state)
{
	struct packet p;
	uint32_t room;

	make_packet(&p);
	put(p.m, 4, 45, 4);
	put(p.m, 8, 36, 4);
	put(p.m, 12, 1, 4);
	for (room = 0; room < 60; room++) {
		p.room = room;
		assert_int_equal(unwrap(&p), room < 45 ? VMB_EPROTO : 0);
	}
	assert_int_equal(unwrap_copy(&p, 43), VMB_EPROTO);
	p.room = 44;
	assert_int_equal(unwrap_copy(&p, 45), VMB_EPROTO); /* more than there is */
}

static void test_facts_are_read(void **state)
{
	struct packet p;

	make_packet(&p);
	assert_int_equal(unwrap(&p), 0);
	assert_int_equal(p.frame.present, 0);
	assert_int_equal(p.frame.data_offset, 256);
	assert_int_equal(p.frame.len, 60);
	add_info(&p, 0, 0x11);
	add_info(&p, 6, 0x22);
	add_info(&p, 8, 0x33);
	add_info(&p, 9, 0x44);
	add_info(&p, 0x80000001, 0x12340701);
	assert_int_equal(unwrap(&p), 0);
	assert_int_equal(p.frame.present, 0x3D);
	assert_int_equal(p.frame.checksum, 0x11);
	assert_int_equal(p.frame.vlan, 0x22);
	assert_int_equal(p.frame.hash, 0x33);
	assert_int_equal(p.frame.hash_type, 0x44);
	assert_int_equal(p.frame.packet_id.flags, 7);
	assert_int_equal(p.frame.packet_id.id, 0x1234);
}

static void test_first_of_each_type_counts(void **state)
{
	struct packet p;

	make_packet(&p);
	add_info(&p, 6, 0x22);
	add_info(&p, 6, 0x55);
	add_info(&p, 0x80000001, 0x0301);
	add_info(&p, 0x80000001, 0x0501);
	assert_int_equal(unwrap(&p), 0);
	assert_int_equal(p.frame.vlan, 0x22);
	assert_int_equal(p.frame.packet_id.flags, 3);
}

static void test_unknown_facts_are_skipped(void **state)
{
	struct packet p;

	make_packet(&p);
	add_info(&p, 2, 1); /* LSO is for frames that leave */
	add_info(&p, 11, 1);
	add_info(&p, 0x80000000, 1);
	add_info(&p, 0x80000006, 1);
	add_info(&p, 0x80000001, 0x0302); /* of another version */
	add_info(&p, 6, 0x22);
	assert_int_equal(unwrap(&p), 0);
	assert_int_equal(p.frame.present, VMB_GUEST_RNDIS_VLAN);
}

static int unwrap_info(uint32_t offset, uint32_t value, uint32_t present)
{
	struct packet p;
	int err;

	make_packet(&p);
	add_info(&p, 0, 0x11);
	add_info(&p, 6, 0x22);
	put(p.m, offset, value, 4);
	err = unwrap(&p);
	if (!err)
		assert_int_equal(p.frame.present, present);
	return err;
}

static void test_facts_are_judged(void **state)
{
	assert_int_equal(unwrap_info(28, 36, 5), 0);
	assert_int_equal(unwrap_info(28, 35, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(28, 0, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(28, 316, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(28, 0xFFFFFFE0, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(32, 0, 0), 0);
	assert_int_equal(unwrap_info(32, 16, 1), 0);
	assert_int_equal(unwrap_info(32, 4, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(32, 11, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(32, 20, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(32, 273, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(32, 0xFFFFFFFF, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(44, 0, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(44, 11, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(44, 14, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(44, 36, 5), VMB_EPROTO);
	assert_int_equal(unwrap_info(44, 32, 1), 0);
	assert_int_equal(unwrap_info(44, 0xFFFFFFFC, 5), VMB_EPROTO);
	/* A fact that does not lie inside of its element is not there. */
	assert_int_equal(unwrap_info(52, 11, 4), 0);
	assert_int_equal(unwrap_info(52, 13, 4), 0);
	assert_int_equal(unwrap_info(52, 16, 4), 0);
	assert_int_equal(unwrap_info(52, 17, 4), 0);
	assert_int_equal(unwrap_info(52, 0xFFFFFFFC, 4), 0);
	assert_int_equal(unwrap_info(68, 0xFFFFFFFF, 1), 0);
}

static void test_facts_behind_the_copy_are_refused(void **state)
{
	struct packet p;

	make_packet(&p);
	p.room = 400;
	put(p.m, 4, 400, 4);
	put(p.m, 28, 296, 4); /* at 304: the last one that is understood */
	put(p.m, 32, 16, 4);
	put(p.m, 304, 16, 4);
	put(p.m, 308, 6, 4);
	put(p.m, 312, 12, 4);
	assert_int_equal(unwrap(&p), 0);
	assert_int_equal(p.frame.present, VMB_GUEST_RNDIS_VLAN);
	put(p.m, 28, 297, 4);
	assert_int_equal(unwrap(&p), VMB_EPROTO);
	put(p.m, 28, 36, 4);
	put(p.m, 32, 277, 4);
	assert_int_equal(unwrap(&p), VMB_EPROTO);
}

static void test_only_what_matters_is_copied(void **state)
{
	struct packet p;

	make_packet(&p);
	assert_int_equal(vmb_guest_rndis_envelope_in_len(p.m, 316), 44);
	assert_int_equal(vmb_guest_rndis_envelope_in_len(p.m, 30), 30);
	add_info(&p, 0, 1);
	assert_int_equal(vmb_guest_rndis_envelope_in_len(p.m, 316), 60);
	put(p.m, 32, 0xFFFFFFFF, 4);
	assert_int_equal(vmb_guest_rndis_envelope_in_len(p.m, 316), 316);
	assert_int_equal(vmb_guest_rndis_envelope_in_len(p.m, 4000), 320);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_requests_are_what_the_reference_says),
		cmocka_unit_test(test_query_and_set_are_what_the_reference_says),
		cmocka_unit_test(test_query_without_data_is_zeroes_at_a_non_zero_offset),
		cmocka_unit_test(test_query_without_room_is_refused),
		cmocka_unit_test(test_each_reply_has_its_least_length),
		cmocka_unit_test(test_other_types_are_refused),
		cmocka_unit_test(test_reply_fields_are_read),
		cmocka_unit_test(test_buffer_of_a_query_is_inside),
		cmocka_unit_test(test_buffer_of_an_indication_is_inside),
		cmocka_unit_test(test_indication_whose_length_omits_its_buffer_is_read),
		cmocka_unit_test(test_every_set_of_facts_is_wrapped),
		cmocka_unit_test(test_envelope_is_judged),
		cmocka_unit_test(test_short_ranges_are_refused),
		cmocka_unit_test(test_facts_are_read),
		cmocka_unit_test(test_first_of_each_type_counts),
		cmocka_unit_test(test_unknown_facts_are_skipped),
		cmocka_unit_test(test_facts_are_judged),
		cmocka_unit_test(test_facts_behind_the_copy_are_refused),
		cmocka_unit_test(test_only_what_matters_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
