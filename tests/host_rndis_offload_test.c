// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which offloads are announced, switched and told. docs/protocol/network.md,
 * "10.1 Offload capabilities", "10.2 Offload parameters".
 */
#include "tests/host_rndis_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_capabilities_by_revision(void **state)
{
	static const uint32_t lens[] = { 112, 144, 156 };
	struct rndis_bed *f = *state;
	uint32_t revision;

	for (revision = 1; revision <= 3; revision++) {
		rndis_start_with(f, NDIS_6_30, revision, 0xF);
		assert_int_equal(rndis_query(f, 0xFC01020D), 0);
		assert_int_equal(f->data_len, lens[revision - 1]);
		assert_int_equal(f->data[0], 0xA7);
		assert_int_equal(f->data[1], revision);
		assert_int_equal(rndis_get16(f->data + 2), lens[revision - 1]);
		assert_int_equal(rndis_get32(f->data + 4), 2);
		assert_int_equal(rndis_get32(f->data + 8), 0x155);
		assert_int_equal(rndis_get32(f->data + 12), 2);
		assert_int_equal(rndis_get32(f->data + 16), 0x155);
		assert_int_equal(rndis_get32(f->data + 20), 2);
		assert_int_equal(rndis_get32(f->data + 24), 0x55);
		assert_int_equal(rndis_get32(f->data + 28), 2);
		assert_int_equal(rndis_get32(f->data + 32), 0x55);
		assert_int_equal(rndis_get32(f->data + 80), 2);
		assert_int_equal(rndis_get32(f->data + 84), 0xF53C);
		assert_int_equal(rndis_get32(f->data + 88), 2);
		assert_int_equal(rndis_get32(f->data + 92), 2);
		assert_int_equal(rndis_get32(f->data + 96), 0xF53C);
		assert_int_equal(rndis_get32(f->data + 100), 2);
		assert_int_equal(rndis_get32(f->data + 104), 5);
		if (revision == 3)
			assert_int_equal(rndis_get32(f->data + 144), 0x0101);
	}
}

/* Linux puts the header of what it has room for into its query. */
static void test_capabilities_fit_what_is_asked(void **state)
{
	static const struct {
		uint32_t revision, asked, expected;
	} cases[] = {
		{ 3, 156, 156 }, { 3, 200, 156 }, { 3, 155, 144 }, { 3, 144, 144 }, { 3, 112, 112 },
		{ 2, 156, 144 }, { 2, 112, 112 }, { 1, 156, 112 }, { 3, 20, 156 },
	};
	struct rndis_bed *f = *state;
	uint8_t asked[200];
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		rndis_start_with(f, NDIS_6_30, cases[i].revision, 0xF);
		memset(asked, 0, sizeof(asked));
		asked[0] = 0xA7;
		asked[1] = 3;
		rndis_put16(asked + 2, (uint16_t)cases[i].asked);
		assert_int_equal(rndis_query_with(f, 0xFC01020D, asked, cases[i].asked), 0);
		assert_int_equal(f->data_len, cases[i].expected);
		assert_int_equal(rndis_get16(f->data + 2), cases[i].expected);
	}
}

static void test_what_is_not_there_is_not_announced(void **state)
{
	struct rndis_bed *f = *state;
	uint32_t i;

	rndis_start_with(f, NDIS_6_30, 3, 0);
	assert_int_equal(rndis_query(f, 0xFC01020D), 0);
	assert_int_equal(f->data_len, 156);
	for (i = 4; i < 156; i++)
		assert_int_equal(f->data[i], 0);
	rndis_start_with(f, NDIS_6_30, 3, VMB_HOST_RNDIS_TX_CHECKSUM);
	assert_int_equal(rndis_query(f, 0xFC01020D), 0);
	assert_int_equal(rndis_get32(f->data + 8), 0x155);
	assert_int_equal(rndis_get32(f->data + 16), 0);
	assert_int_equal(rndis_get32(f->data + 80), 0);
	assert_int_equal(rndis_get32(f->data + 144), 0);
}

static uint32_t set_offload(struct rndis_bed *f, uint32_t revision, uint32_t object_len,
			    uint32_t len, const char *values)
{
	uint8_t bytes[64] = { 0x80, (uint8_t)revision };

	rndis_put16(bytes + 2, (uint16_t)object_len);
	memcpy(bytes + 4, values, 24);
	return rndis_set(f, 0xFC01020C, bytes, len);
}

#define EVERYTHING "\4\4\4\4\4\0\0\2\2\0\0\0\0\0\0\0\0\0\2\2\0\0\0\0"
#define NOTHING	   "\1\1\1\1\1\0\0\1\1\0\0\0\0\0\0\0\0\0\1\1\0\0\0\0"
#define NO_CHANGE  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void test_offload_parameters_switch(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(set_offload(f, 3, 28, 28, EVERYTHING), 0);
	assert_int_equal(f->r.offload, 0xF);
	assert_int_equal(set_offload(f, 3, 28, 28, NO_CHANGE), 0);
	assert_int_equal(f->r.offload, 0xF);
	assert_int_equal(rndis_query(f, 0xFC01020B), 0);
	assert_int_equal(rndis_get32(f->data + 8), 0x155);
	assert_int_equal(rndis_get32(f->data + 32), 0x55);
	assert_int_equal(rndis_get32(f->data + 144), 0x0101);
	assert_int_equal(set_offload(f, 3, 28, 28, NOTHING), 0);
	assert_int_equal(f->r.offload, 0);
	assert_int_equal(rndis_query(f, 0xFC01020B), 0);
	assert_int_equal(rndis_get32(f->data + 8), 0);
	assert_int_equal(rndis_get32(f->data + 80), 0);
	/* each protocol for itself: TCP over IPv4 transmit, UDP over IPv6 receive */
	assert_int_equal(
		set_offload(f, 3, 28, 28, "\0\2\0\0\3\0\0\0\2\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0"), 0);
	assert_int_equal(f->r.offload, VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_LSO);
	assert_int_equal(rndis_query(f, 0xFC01020B), 0);
	assert_int_equal(rndis_get32(f->data + 8), 0x15);
	assert_int_equal(rndis_get32(f->data + 16), 0);
	assert_int_equal(rndis_get32(f->data + 24), 0);
	assert_int_equal(rndis_get32(f->data + 32), 0x45);
	assert_int_equal(rndis_get32(f->data + 80), 0);
	assert_int_equal(rndis_get32(f->data + 92), 2);
	assert_int_equal(rndis_get32(f->data + 144), 1);
	/*
	 * a guest that checks IPv4 headers itself still hears of TCP and UDP; one without UDP over
	 * IPv6 does not
	 */
	assert_int_equal(
		set_offload(f, 3, 28, 28, "\1\4\4\4\4\0\0\2\2\0\0\0\0\0\0\0\0\0\2\2\0\0\0\0"), 0);
	assert_int_equal(f->r.offload, 0xF);
	assert_int_equal(
		set_offload(f, 3, 28, 28, "\1\4\4\4\2\0\0\2\2\0\0\0\0\0\0\0\0\0\2\2\0\0\0\0"), 0);
	assert_int_equal(f->r.offload, 0xF & ~VMB_HOST_RNDIS_RX_CHECKSUM);
}

/* The size counts, not the revision: with 22 bytes coalescing is not there to be switched. */
static void test_offload_parameters_are_read_by_size(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(set_offload(f, 3, 22, 22, EVERYTHING), 0);
	assert_int_equal(f->r.offload, 7);
	assert_int_equal(set_offload(f, 3, 22, 28, EVERYTHING), 0);
	assert_int_equal(f->r.offload, 7);
	assert_int_equal(set_offload(f, 1, 20, 20, NOTHING), 0);
	assert_int_equal(f->r.offload, 0);
	assert_int_equal(set_offload(f, 3, 60, 60, EVERYTHING), 0);
	assert_int_equal(f->r.offload, 0xF);
	assert_int_equal(set_offload(f, 3, 15, 28, NOTHING), 0xC0010015);
	assert_int_equal(set_offload(f, 3, 28, 15, NOTHING), 0xC0010015);
	assert_int_equal(set_offload(f, 3, 28, 3, NOTHING), 0xC0010015);
	assert_int_equal(set_offload(f, 3, 28, 0, NOTHING), 0xC0010015);
	assert_int_equal(f->r.offload, 0xF);
}

static void test_offload_values_that_are_none_change_nothing(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(set_offload(f, 3, 28, 28, EVERYTHING), 0);
	assert_int_equal(set_offload(f, 3, 28, 28,
				     "\1\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
			 0xC0010015);
	assert_int_equal(set_offload(f, 3, 28, 28,
				     "\1\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
			 0xC0010015);
	assert_int_equal(set_offload(f, 3, 28, 28,
				     "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0"),
			 0xC0010015);
	assert_int_equal(f->r.offload, 0xF);
	rndis_start_with(f, NDIS_6_30, 3, VMB_HOST_RNDIS_TX_CHECKSUM);
	assert_int_equal(set_offload(f, 3, 28, 28, EVERYTHING), 0);
	assert_int_equal(f->r.offload, VMB_HOST_RNDIS_TX_CHECKSUM);
}

static void test_change_of_offloads_is_indicated_once(void **state)
{
	struct rndis_bed *f = *state;

	assert_int_equal(set_offload(f, 3, 28, 28, EVERYTHING), 0);
	assert_true(vmb_host_rndis_indication(&f->r, f->reply, &f->reply_len));
	assert_int_equal(f->reply_len, 20 + 156);
	assert_int_equal(rndis_get32(f->reply + 8), 0x40020006);
	assert_int_equal(rndis_get32(f->reply + 12), 156);
	assert_int_equal(rndis_get32(f->reply + 16), 12);
	assert_int_equal(f->reply[20], 0xA7);
	assert_int_equal(rndis_get32(f->reply + 20 + 8), 0x155);
	assert_false(vmb_host_rndis_indication(&f->r, f->reply, &f->reply_len));
	assert_int_equal(set_offload(f, 3, 28, 28, EVERYTHING), 0);
	assert_false(vmb_host_rndis_indication(&f->r, f->reply, &f->reply_len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_capabilities_by_revision, rndis_start),
		cmocka_unit_test_setup(test_capabilities_fit_what_is_asked, rndis_start),
		cmocka_unit_test_setup(test_what_is_not_there_is_not_announced, rndis_start),
		cmocka_unit_test_setup(test_offload_parameters_switch, rndis_start),
		cmocka_unit_test_setup(test_offload_parameters_are_read_by_size, rndis_start),
		cmocka_unit_test_setup(test_offload_values_that_are_none_change_nothing,
				       rndis_start),
		cmocka_unit_test_setup(test_change_of_offloads_is_indicated_once, rndis_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
