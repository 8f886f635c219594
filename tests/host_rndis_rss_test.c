// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Receive scaling. docs/protocol/network.md, "10.3 RSS capabilities", "10.4 RSS parameters"; the
 * hash's examples are those of the public documentation of receive side scaling.
 */
#include "tests/host_rndis_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t key[40] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa };

#define HASH_ALL (0x100 | 0x200 | 0x400 | 0x1000 | 1)

static void test_scaling_capabilities(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(rndis_query(f, 0x00010203), 0);
	assert_int_equal(f->data_len, 18);
	assert_int_equal(rndis_get32(f->data), 0x00120288);
	assert_int_equal(rndis_get32(f->data + 4), 0x301);
	assert_int_equal(rndis_get32(f->data + 8), 4);
	assert_int_equal(rndis_get32(f->data + 12), 4);
	assert_int_equal(rndis_get16(f->data + 16), 128);
}

/*
 * As Linux (table first) or FreeBSD (key first, its size that of all) write it; count entries that
 * count up.
 */
static uint32_t put_rss(uint8_t *bytes, bool key_first, uint32_t flags, uint32_t hash,
			uint32_t count, uint32_t modulus)
{
	uint32_t table_at = 44 + (key_first ? 40 : 0), key_at = key_first ? 44 : 44 + 4 * count, i;

	memset(bytes, 0, 44);
	bytes[0] = 0x89;
	bytes[1] = key_first ? 2 : 3;
	rndis_put16(bytes + 2, (uint16_t)(key_first ? 44 + 40 + 4 * count : 44));
	rndis_put16(bytes + 4, (uint16_t)flags);
	rndis_put32(bytes + 8, hash);
	rndis_put16(bytes + 12, (uint16_t)(4 * count));
	rndis_put32(bytes + 16, table_at);
	rndis_put16(bytes + 20, 40);
	rndis_put32(bytes + 24, key_at);
	for (i = 0; i < count; i++)
		rndis_put32(bytes + table_at + 4 * i, (i + 1) % modulus);
	memcpy(bytes + key_at, key, 40);
	return 44 + 40 + 4 * count;
}

static void test_scaling_is_set_by_offsets(void **state)
{
	struct rndis_bed *f = *state;
	uint32_t len, i, order;
	uint8_t bytes[700];

	for (order = 0; order < 2; order++) {
		rndis_start_with(f, NDIS_6_30, 3, 0xF);
		len = put_rss(bytes, order, 0x10, HASH_ALL, 128, 4);
		assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
		assert_false(f->r.rss.enabled);
		len = put_rss(bytes, order, 0, HASH_ALL, 128, 4);
		assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
		assert_true(f->r.rss.enabled);
		assert_int_equal(f->r.rss.table_count, 128);
		assert_memory_equal(f->r.rss.key, key, 40);
		for (i = 0; i < 128; i++)
			assert_int_equal(f->r.rss.table[i], (i + 1) % 4);
	}
	len = put_rss(bytes, false, 0, 0x700, 128, 4); /* no function */
	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
	assert_false(f->r.rss.enabled);
}

static void test_short_table_is_repeated(void **state)
{
	struct rndis_bed *f = *state;
	uint8_t bytes[700];
	uint32_t len = put_rss(bytes, false, 0, HASH_ALL, 3, 4), i;

	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
	for (i = 0; i < 128; i++)
		assert_int_equal(f->r.rss.table[i], i % 3 + 1);
}

static void test_scaling_that_is_no_good_changes_nothing(void **state)
{
	static const struct {
		uint32_t at, value;
		bool half;
	} cases[] = {
		{ 12, 0, true },	   { 12, 14, true },	      { 12, 516, true },
		{ 12, 0xFFFF, true },	   { 16, 73, false },	      { 16, 0xFFFFFFFF, false },
		{ 16, 0xFFFFFFF0, false }, { 20, 39, true },	      { 20, 41, true },
		{ 20, 0, true },	   { 24, 61, false },	      { 24, 0xFFFFFFFF, false },
		{ 44, 4, false },	   { 56, 0xFFFFFFFF, false },
	};
	uint8_t good[700], bytes[700];
	struct rndis_bed *f = *state;
	struct vmb_host_rndis_rss before;
	uint32_t len = put_rss(good, false, 0, HASH_ALL, 4, 4);
	size_t i;

	assert_int_equal(rndis_set(f, 0x00010204, good, len), 0);
	before = f->r.rss;
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		memcpy(bytes, good, len);
		if (cases[i].half)
			rndis_put16(bytes + cases[i].at, (uint16_t)cases[i].value);
		else
			rndis_put32(bytes + cases[i].at, cases[i].value);
		if (rndis_set(f, 0x00010204, bytes, 100) != 0xC0010015)
			fail_msg("field %u with %#x", cases[i].at, cases[i].value);
		assert_memory_equal(&f->r.rss, &before, sizeof(before));
	}
	for (i = 0; i < 28; i++)
		assert_int_equal(rndis_set(f, 0x00010204, good, (uint32_t)i), 0xC0010015);
	f->r.queue_count = 3;
	assert_int_equal(rndis_set(f, 0x00010204, good, len), 0xC0010015);
}

static void test_what_is_unchanged_need_not_be_there(void **state)
{
	struct rndis_bed *f = *state;
	uint8_t bytes[700];
	uint32_t len;

	/* nothing was set before */
	len = put_rss(bytes, false, 4, HASH_ALL, 4, 4);
	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0xC0010015);
	len = put_rss(bytes, false, 8, HASH_ALL, 4, 4);
	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0xC0010015);
	len = put_rss(bytes, false, 0, HASH_ALL, 4, 4);
	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
	put_rss(bytes, false, 2 | 4 | 8, 0, 4, 4);
	rndis_put32(bytes + 16, 0xFFFFFFFF);
	rndis_put32(bytes + 24, 0xFFFFFFFF);
	assert_int_equal(rndis_set(f, 0x00010204, bytes, 28), 0);
	assert_true(f->r.rss.enabled);
	assert_int_equal(f->r.rss.hash, HASH_ALL);
}

/* A frame with these addresses and ports. */
static uint32_t put_flow(uint8_t *bytes, uint8_t version, uint8_t protocol, const uint8_t *source,
			 const uint8_t *destination, uint32_t source_port,
			 uint32_t destination_port)
{
	uint32_t address_len = version == 4 ? 4 : 16, ip_len = version == 4 ? 20 : 40;
	uint8_t *ip = bytes + 14, *transport = ip + ip_len;

	memset(bytes, 0, 100);
	bytes[12] = version == 4 ? 0x08 : 0x86;
	bytes[13] = version == 4 ? 0x00 : 0xDD;
	ip[0] = version == 4 ? 0x45 : 0x60;
	ip[version == 4 ? 9 : 6] = protocol;
	memcpy(ip + (version == 4 ? 12 : 8), source, address_len);
	memcpy(ip + (version == 4 ? 12 : 8) + address_len, destination, address_len);
	transport[0] = (uint8_t)(source_port >> 8);
	transport[1] = (uint8_t)source_port;
	transport[2] = (uint8_t)(destination_port >> 8);
	transport[3] = (uint8_t)destination_port;
	transport[12] = 0x50;
	return 14 + ip_len + 20;
}

static void enable(struct rndis_bed *f, uint32_t hash)
{
	uint8_t bytes[700];
	uint32_t len = put_rss(bytes, false, 0, hash, 4, 4);

	assert_int_equal(rndis_set(f, 0x00010204, bytes, len), 0);
}

static void test_hash_of_the_published_examples(void **state)
{
	static const struct {
		uint8_t version, source[16], destination[16];
		uint16_t source_port, destination_port;
		uint32_t addresses, ports;
	} examples[] = {
		{ 4, { 66, 9, 149, 187 }, { 161, 142, 100, 80 }, 2794, 1766, 0x323e8fc2, 0x51ccc178 },
		{ 4, { 199, 92, 111, 2 }, { 65, 69, 140, 83 }, 14230, 4739, 0xd718262a, 0xc626b0ea },
		{ 4,
		  { 24, 19, 198, 95 },
		  { 12, 22, 207, 184 },
		  12898,
		  38024,
		  0xd2d0a5de,
		  0x5c2b394a },
		{ 4, { 38, 27, 205, 30 }, { 209, 142, 163, 6 }, 48228, 2217, 0x82989176, 0xafc7327f },
		{ 4,
		  { 153, 39, 163, 191 },
		  { 202, 188, 127, 2 },
		  44251,
		  1303,
		  0x5d1809c5,
		  0x10e828a2 },
		{ 6,
		  { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7 },
		  { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1 },
		  2794,
		  1766,
		  0x2cc18cd5,
		  0x40207d3d },
		{ 6,
		  { 0x3f, 0xfe, 0x05, 0x01, 0, 8, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef,
		    0xab },
		  { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		  14230,
		  4739,
		  0x0f0c461c,
		  0xdde51bbf },
		{ 6,
		  { 0x3f, 0xfe, 0x19, 0, 0x45, 0x45, 0, 3, 0x02, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67,
		    0xcf },
		  { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf },
		  44251,
		  38024,
		  0x4b61e985,
		  0x02d1feef },
	};
	struct rndis_bed *f = *state;
	uint32_t len, type;
	uint8_t bytes[100];
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(examples); i++) {
		bool v4 = examples[i].version == 4;

		len = put_flow(bytes, examples[i].version, 6, examples[i].source,
			       examples[i].destination, examples[i].source_port,
			       examples[i].destination_port);
		enable(f, HASH_ALL);
		assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), examples[i].ports);
		assert_int_equal(type, v4 ? 0x201 : 0x1001);
		enable(f, 0x501);
		assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type),
				 examples[i].addresses);
		assert_int_equal(type, v4 ? 0x101 : 0x401);
	}
}

static void test_hash_of_what_it_does_not_apply_to_is_none(void **state)
{
	static const uint8_t one[16] = { 10, 0, 0, 1 }, two[16] = { 10, 0, 0, 2 };
	struct rndis_bed *f = *state;
	uint8_t bytes[100];
	uint32_t len = put_flow(bytes, 4, 6, one, two, 1, 2), type, addresses;

	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), 0); /* not enabled */
	assert_int_equal(type, 0);
	enable(f, HASH_ALL);
	bytes[12] = 0x08;
	bytes[13] = 0x06;
	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), 0);
	assert_int_equal(type, 0);
	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, 13, &type), 0);
	assert_int_equal(type, 0);
	/* fragments of one packet must not go different ways */
	len = put_flow(bytes, 4, 6, one, two, 1, 2);
	enable(f, 0x101);
	addresses = vmb_host_rndis_hash(&f->r, bytes, len, &type);
	enable(f, HASH_ALL);
	assert_int_not_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), addresses);
	bytes[14 + 6] = 0x20;
	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), addresses);
	assert_int_equal(type, 0x101);
	enable(f, 0x201);
	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), 0);
	assert_int_equal(type, 0);
	/* UDP has types of its own */
	len = put_flow(bytes, 4, 17, one, two, 1, 2);
	enable(f, HASH_ALL);
	assert_int_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), addresses);
	enable(f, HASH_ALL | 0x4000);
	assert_int_not_equal(vmb_host_rndis_hash(&f->r, bytes, len, &type), addresses);
	assert_int_equal(type, 0x4001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_scaling_capabilities, rndis_start),
		cmocka_unit_test_setup(test_scaling_is_set_by_offsets, rndis_start),
		cmocka_unit_test_setup(test_short_table_is_repeated, rndis_start),
		cmocka_unit_test_setup(test_scaling_that_is_no_good_changes_nothing, rndis_start),
		cmocka_unit_test_setup(test_what_is_unchanged_need_not_be_there, rndis_start),
		cmocka_unit_test_setup(test_hash_of_the_published_examples, rndis_start),
		cmocka_unit_test_setup(test_hash_of_what_it_does_not_apply_to_is_none, rndis_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
