// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What of the adapter can be queried and set. docs/protocol/network.md, "8.1 OIDs".
 */
#include "tests/host_rndis_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_numbers_are_what_the_reference_says(void **state)
{
	static const struct {
		uint32_t oid, value;
	} numbers[] = {
		{ 0x00010102, 0 },	   { 0x00010103, 0 },	       { 0x00010104, 0 },
		{ 0x00010105, 1500 },	   { 0x0001010F, 1500 },       { 0x00010106, 1500 },
		{ 0x00010107, 100000000 }, { 0x00010108, 256 << 10 },  { 0x00010109, 256 << 10 },
		{ 0x0001010A, 1514 },	   { 0x0001010B, 1514 },       { 0x00010111, 1514 },
		{ 0x0001010C, 0x155D },	   { 0x0001010E, 0 },	       { 0x00010113, 0x24D },
		{ 0x00010114, 0 },	   { 0x00010115, 0xFFFFFFFF }, { 0x01010104, 0 },
	};
	struct rndis_bed *f = *state;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(numbers); i++) {
		assert_int_equal(rndis_query(f, numbers[i].oid), 0);
		assert_int_equal(f->data_len, 4);
		if (rndis_get32(f->data) != numbers[i].value)
			fail_msg("OID %#x: %#x", numbers[i].oid, rndis_get32(f->data));
	}
	f->r.mtu = 9000;
	assert_int_equal(rndis_query(f, 0x00010106), 0);
	assert_int_equal(rndis_get32(f->data), 9000);
	assert_int_equal(rndis_query(f, 0x00010111), 0);
	assert_int_equal(rndis_get32(f->data), 9014);
}

static void test_structures_are_what_the_reference_says(void **state)
{
	struct rndis_bed *f = *state;
	uint32_t i;

	assert_int_equal(rndis_query(f, 0x01010101), 0);
	assert_int_equal(f->data_len, 6);
	assert_memory_equal(f->data, "\x00\x15\x5D\x01\x02\x03", 6);
	assert_int_equal(rndis_query(f, 0x01010102), 0);
	assert_int_equal(f->data_len, 6);
	assert_memory_equal(f->data, "\x00\x15\x5D\x01\x02\x03", 6);
	assert_int_equal(rndis_query(f, 0x00010110), 0);
	assert_int_equal(f->data_len, 2);
	assert_int_equal(rndis_get16(f->data), 0x0100);
	assert_int_equal(rndis_query(f, 0x00010116), 0);
	assert_int_equal(f->data_len, 2);
	assert_int_equal(rndis_query(f, 0x00010206), 0);
	assert_int_equal(f->data_len, 16);
	assert_int_equal(rndis_get64(f->data), 10000000000ull);
	assert_int_equal(rndis_get64(f->data + 8), 10000000000ull);
	assert_int_equal(rndis_query(f, 0x00010207), 0);
	assert_int_equal(f->data_len, 40);
	assert_int_equal(rndis_get32(f->data), 0x00280180);
	assert_int_equal(rndis_get32(f->data + 4), 1);
	assert_int_equal(rndis_get64(f->data + 16), 10000000000ull);
	assert_int_equal(rndis_get64(f->data + 24), 10000000000ull);
	assert_int_equal(rndis_query(f, 0x0001010D), 0);
	assert_int_equal(f->data[f->data_len - 1], 0);
	assert_int_equal(rndis_query(f, 0x00020216), 0);
	assert_int_equal(f->data_len, 512);
	assert_memory_equal(f->data, "O\0p\0e\0n\0V\0M\0B\0u\0s\0", 18);
	for (i = 1; i < 512; i += 2)
		assert_int_equal(f->data[i], 0);
}

static void test_long_name_is_cut_and_ends(void **state)
{
	static char name[400];
	struct rndis_bed *f = *state;

	memset(name, 'x', sizeof(name) - 1);
	f->r.config.name = name;
	assert_int_equal(rndis_query(f, 0x00020216), 0);
	assert_int_equal(f->data_len, 512);
	assert_int_equal(f->data[508], 'x');
	assert_int_equal(rndis_get16(f->data + 510), 0);
}

static void test_link_down_is_answered(void **state)
{
	struct rndis_bed *f = *state;

	vmb_host_rndis_set_link(&f->r, false);
	assert_int_equal(rndis_query(f, 0x00010114), 0);
	assert_int_equal(rndis_get32(f->data), 1);
	assert_int_equal(rndis_query(f, 0x00010207), 0);
	assert_int_equal(rndis_get32(f->data + 4), 2);
}

static bool listed(struct rndis_bed *f, uint32_t oid)
{
	uint32_t i;

	for (i = 0; i < f->data_len; i += 4)
		if (rndis_get32(f->data + i) == oid)
			return true;
	return false;
}

/*
 * Each that is listed can be queried or set, the others can not; the list grows with the version.
 */
static void test_list_is_what_is_supported(void **state)
{
	static const uint32_t versions[] = { 0, NDIS_5, NDIS_6, NDIS_6_30 };
	static const uint32_t from_6[] = { 0x00010206, 0x00010207, 0x0101010A,
					   0xFC01020B, 0xFC01020C, 0xFC01020D };
	static const uint32_t from_6_30[] = { 0x00010203, 0x00010204 };
	struct rndis_bed *f = *state;
	uint32_t list[128], count, v, i;

	for (v = 0; v < 4; v++) {
		rndis_start_with(f, versions[v], 3, 0xF);
		assert_int_equal(rndis_query(f, 0x00010101), 0);
		for (i = 0; i < VMB_ARRAY_COUNT(from_6); i++)
			assert_int_equal(listed(f, from_6[i]), v >= 2);
		for (i = 0; i < VMB_ARRAY_COUNT(from_6_30); i++)
			assert_int_equal(listed(f, from_6_30[i]), v >= 3);
		count = f->data_len / 4;
		assert_true(count <= VMB_ARRAY_COUNT(list));
		memcpy(list, f->data, f->data_len);
		for (i = 0; i < count; i++) {
			uint32_t answer = rndis_query(f, list[i]);

			if (answer)
				assert_int_equal(answer, 0xC00000BB);
			if (answer)
				assert_int_not_equal(rndis_set(f, list[i], NULL, 0), 0xC00000BB);
		}
	}
	rndis_start_with(f, NDIS_6, 3, 0xF);
	assert_int_equal(rndis_query(f, 0x00010203), 0xC00000BB);
	assert_int_equal(rndis_set(f, 0x00010204, list, 44), 0xC00000BB);
}

static void test_filter_is_set_and_read(void **state)
{
	const uint32_t filter = 0xFFFFFF2F;
	struct rndis_bed *f = *state;

	assert_int_equal(rndis_set(f, 0x0001010E, &filter, 3), 0xC0010015);
	assert_int_equal(rndis_set(f, 0x0001010E, &filter, 4), 0);
	assert_int_equal(f->r.filter, 0x2F);
	assert_int_equal(rndis_query(f, 0x0001010E), 0);
	assert_int_equal(rndis_get32(f->data), 0x2F);
}

static void test_statistics_count(void **state)
{
	struct rndis_bed *f = *state;

	f->r.counters.tx_frames = 5;
	f->r.counters.rx_frames = 6;
	f->r.counters.rx_no_buffer = 7;
	assert_int_equal(rndis_query(f, 0x00020101), 0);
	assert_int_equal(rndis_get32(f->data), 5);
	assert_int_equal(rndis_query(f, 0x00020102), 0);
	assert_int_equal(rndis_get32(f->data), 6);
	assert_int_equal(rndis_query(f, 0x00020105), 0);
	assert_int_equal(rndis_get32(f->data), 7);
	assert_int_equal(rndis_query(f, 0x00020103), 0);
	assert_int_equal(rndis_get32(f->data), 0);
}

static void test_lists_and_encapsulation_are_judged(void **state)
{
	uint32_t encapsulation[7] = { 0x001C01A8, 1, 2, 14, 1, 2, 14 };
	const uint8_t groups[12] = { 1 };
	struct rndis_bed *f = *state;

	assert_int_equal(rndis_set(f, 0x01010103, groups, 12), 0);
	assert_int_equal(rndis_set(f, 0x01010103, groups, 0), 0);
	assert_int_equal(rndis_set(f, 0x01010103, groups, 11), 0xC0010015);
	assert_int_equal(rndis_set(f, 0x00010118, groups, 12), 0);
	assert_int_equal(rndis_set(f, 0x0101010A, encapsulation, 28), 0);
	assert_int_equal(rndis_set(f, 0x0101010A, encapsulation, 27), 0xC0010015);
	encapsulation[5] = 1;
	assert_int_equal(rndis_set(f, 0x0101010A, encapsulation, 28), 0xC00000BB);
	encapsulation[4] = 0;
	assert_int_equal(rndis_set(f, 0x0101010A, encapsulation, 28), 0);
	encapsulation[0] = 0x001C0180;
	assert_int_equal(rndis_set(f, 0x0101010A, encapsulation, 28), 0xC0010015);
}

/* Configuration parameters. */

static uint32_t put_text(uint8_t *at, const char *text)
{
	uint32_t i;

	for (i = 0; text[i]; i++)
		rndis_put16(at + 2 * i, (uint8_t)text[i]);
	return 2 * i;
}

/* value NULL: the number. The value comes before the name, since offsets decide. */
static uint32_t set_parameter(struct rndis_bed *f, const char *name, const char *value,
			      uint32_t number)
{
	uint8_t bytes[300];
	uint32_t value_len = 4, name_len;

	rndis_put32(bytes + 20, number);
	if (value)
		value_len = put_text(bytes + 20, value);
	name_len = put_text(bytes + 20 + value_len, name);
	rndis_put32(bytes, 20 + value_len);
	rndis_put32(bytes + 4, name_len);
	rndis_put32(bytes + 8, value ? 2 : 0);
	rndis_put32(bytes + 12, 20);
	rndis_put32(bytes + 16, value_len);
	return rndis_set(f, 0x0001021B, bytes, 20 + value_len + name_len);
}

static void test_network_address_changes_the_current_mac(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(set_parameter(f, "NetworkAddress", "02aBcD000017", 0), 0);
	assert_int_equal(rndis_query(f, 0x01010102), 0);
	assert_memory_equal(f->data, "\x02\xAB\xCD\x00\x00\x17", 6);
	assert_int_equal(rndis_query(f, 0x01010101), 0);
	assert_memory_equal(f->data, "\x00\x15\x5D\x01\x02\x03", 6);
	assert_int_equal(set_parameter(f, "NetworkAddress", "02-00-00-00-00-18", 0), 0);
	assert_memory_equal(f->r.mac, "\x02\x00\x00\x00\x00\x18", 6);
	assert_int_equal(set_parameter(f, "NetworkAddress", "03aBcD000017", 0), 0xC0010015);
	assert_int_equal(set_parameter(f, "NetworkAddress", "000000000000", 0), 0xC0010015);
	assert_int_equal(set_parameter(f, "NetworkAddress", "02aBcD00001", 0), 0xC0010015);
	assert_int_equal(set_parameter(f, "NetworkAddress", "02aBcD0000170", 0), 0xC0010015);
	assert_int_equal(set_parameter(f, "NetworkAddress", "02aBcD00001g", 0), 0xC0010015);
	assert_int_equal(set_parameter(f, "NetworkAddress", "", 0), 0xC0010015);
	assert_memory_equal(f->r.mac, "\x02\x00\x00\x00\x00\x18", 6);
	vmb_host_rndis_reset(&f->r);
	assert_memory_equal(f->r.mac, "\x00\x15\x5D\x01\x02\x03", 6);
}

static void test_keywords_switch_offloads(void **state)
{
	static const struct {
		const char *name;
		uint32_t value;
	} all[] = {
		{ "*IPChecksumOffloadIPv4", 3 },
		{ "*TCPChecksumOffloadIPv4", 3 },
		{ "*TCPChecksumOffloadIPv6", 3 },
		{ "*UDPChecksumOffloadIPv4", 3 },
		{ "*UDPChecksumOffloadIPv6", 3 },
		{ "*LsoV2IPv4", 1 },
		{ "*LsoV2IPv6", 1 },
	};
	struct rndis_bed *f = *state;
	uint32_t i;

	assert_int_equal(f->r.offload, 0);
	for (i = 0; i < VMB_ARRAY_COUNT(all); i++)
		assert_int_equal(set_parameter(f, all[i].name, NULL, all[i].value), 0);
	assert_int_equal(f->r.offload, VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM |
					       VMB_HOST_RNDIS_LSO);
	for (i = 0; i < VMB_ARRAY_COUNT(all); i++)
		assert_int_equal(set_parameter(f, all[i].name, NULL, all[i].value + 1), 0xC0010015);
	/* one protocol's checksum alone makes receiving without them unsafe */
	assert_int_equal(set_parameter(f, all[3].name, NULL, 1), 0);
	assert_int_equal(f->r.offload & VMB_HOST_RNDIS_RX_CHECKSUM, 0);
	assert_int_equal(set_parameter(f, all[3].name, NULL, 2), 0);
	assert_int_equal(f->r.offload & VMB_HOST_RNDIS_RX_CHECKSUM, VMB_HOST_RNDIS_RX_CHECKSUM);
	for (i = 0; i < VMB_ARRAY_COUNT(all); i++)
		assert_int_equal(set_parameter(f, all[i].name, NULL, 0), 0);
	assert_int_equal(f->r.offload, 0);
	assert_int_equal(set_parameter(f, "*SomethingElse", NULL, 9), 0);
	assert_int_equal(set_parameter(f, "SomethingElse", "text", 0), 0);
}

static void test_parameters_out_of_bounds_are_refused(void **state)
{
	static const struct {
		uint32_t at, value;
	} cases[] = {
		{ 0, 47 },	    { 0, 0xFFFFFFFF }, { 4, 15 },  { 4, 29 },
		{ 4, 0xFFFFFFFE },  { 8, 1 },	       { 8, 3 },   { 12, 45 },
		{ 12, 0xFFFFFFFF }, { 16, 3 },	       { 16, 29 }, { 16, 0xFFFFFFFF },
	};
	uint8_t good[48], bytes[48];
	struct rndis_bed *f = *state;
	size_t i;

	rndis_put32(good, 24);
	rndis_put32(good + 4, 20);
	rndis_put32(good + 8, 0);
	rndis_put32(good + 12, 20);
	rndis_put32(good + 16, 4);
	rndis_put32(good + 20, 1);
	memset(good + 24, 0, 24);
	put_text(good + 24, "*LsoV2IPv4");
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		memcpy(bytes, good, sizeof(good));
		rndis_put32(bytes + cases[i].at, cases[i].value);
		if (rndis_set(f, 0x0001021B, bytes, 48) != 0xC0010015)
			fail_msg("field %u with %#x", cases[i].at, cases[i].value);
	}
	for (i = 0; i < 44; i++)
		assert_int_equal(rndis_set(f, 0x0001021B, good, (uint32_t)i), 0xC0010015);
	assert_int_equal(f->r.offload, 0);
	assert_int_equal(rndis_set(f, 0x0001021B, good, 44), 0);
	assert_int_equal(f->r.offload, VMB_HOST_RNDIS_LSO);
	good[25] = 1; /* not ASCII */
	assert_int_equal(rndis_set(f, 0x0001021B, good, 44), 0xC0010015);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_numbers_are_what_the_reference_says, rndis_start),
		cmocka_unit_test_setup(test_structures_are_what_the_reference_says, rndis_start),
		cmocka_unit_test_setup(test_long_name_is_cut_and_ends, rndis_start),
		cmocka_unit_test_setup(test_link_down_is_answered, rndis_start),
		cmocka_unit_test_setup(test_list_is_what_is_supported, rndis_start),
		cmocka_unit_test_setup(test_filter_is_set_and_read, rndis_start),
		cmocka_unit_test_setup(test_statistics_count, rndis_start),
		cmocka_unit_test_setup(test_lists_and_encapsulation_are_judged, rndis_start),
		cmocka_unit_test_setup(test_network_address_changes_the_current_mac, rndis_start),
		cmocka_unit_test_setup(test_keywords_switch_offloads, rndis_start),
		cmocka_unit_test_setup(test_parameters_out_of_bounds_are_refused, rndis_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
