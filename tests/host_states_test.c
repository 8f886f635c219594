// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host's message engine: every message number in every state of the connection, and of a
 * channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

/* Every number in every state, at every length that is too short */

enum verdict { UNKNOWN, MALFORMED, MISPLACED, TAKEN };

/*
 * docs/protocol/bus.md, "4.2 Message numbers", "4.5 A connection, host side": what a guest may send
 * at all, since when, and how long it is.
 */
static const struct {
	uint32_t number, version_min, len;
	bool disconnected, disconnecting;
} guest_messages[] = {
	{ 3, 0, 8, false, false },	   { 5, 0, 148, false, false },
	{ 7, 0, 12, false, false },	   { 8, 0, 20, false, false },
	{ 9, 0, 16, false, false },	   { 11, 0, 16, false, false },
	{ 13, 0, 12, false, false },	   { 14, 0, 40, true, true },
	{ 16, 0, 8, false, true },	   { 18, 0x40000, 28, false, false },
	{ 19, 0x40000, 20, true, true },   { 21, 0x40000, 40, false, false },
	{ 22, 0x40001, 16, false, false },
};

static enum verdict expected(uint32_t number, uint32_t len, uint32_t version,
			     enum vmb_host_server_state state)
{
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(guest_messages); i++) {
		if (guest_messages[i].number != number)
			continue;
		if (len < guest_messages[i].len)
			return MALFORMED;
		if ((state == VMB_HOST_DISCONNECTED && !guest_messages[i].disconnected) ||
		    (state == VMB_HOST_DISCONNECTING && !guest_messages[i].disconnecting))
			return MISPLACED;
		/* Without a connection there is no version. */
		return state == VMB_HOST_CONNECTED && version < guest_messages[i].version_min ?
			       UNKNOWN :
			       TAKEN;
	}
	return UNKNOWN;
}

static struct bed *bed_in(enum vmb_host_server_state state, uint32_t version)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	if (state == VMB_HOST_DISCONNECTED)
		return bed;
	post_contact(bed, version, 0);
	if (state == VMB_HOST_CONNECTED)
		return bed;
	post_simple(bed, 3);
	bed_open(bed, 1, 0x101);
	bed->hold_close = true;
	post_simple(bed, 16);
	return bed;
}

/*
 * A message that is too short, or that this connection may not send, counts as such and changes
 * nothing.
 */
static void check_message(struct bed *bed, enum vmb_host_server_state state, uint32_t number,
			  uint32_t len, enum verdict want)
{
	struct vmb_host_server_counters *c = &bed->s.counters;
	uint8_t m[240] = { 0 };

	put32(m, 0, number);
	assert_int_equal(bed->s.state, state);
	bed_forget(bed);
	memset(c, 0, sizeof(*c));
	assert_int_equal(bed_post(bed, m, len), 0);
	assert_int_equal(c->messages_in, 1);
	assert_int_equal(c->unknown, want == UNKNOWN);
	if (want == TAKEN)
		return;
	assert_int_equal(c->malformed, want == MALFORMED);
	assert_int_equal(c->misplaced, want == MISPLACED);
	assert_int_equal(bed->s.state, state);
	bed_expect_nothing(bed);
	bed_expect_no_event(bed);
}

static void check_numbers(enum vmb_host_server_state state, uint32_t version)
{
	static const uint32_t lens[] = { 8, 11, 12, 15, 16, 19, 20, 27, 28, 39, 40, 147, 148, 240 };
	struct bed *bed = bed_in(state, version);
	uint32_t number, bit;
	size_t l;

	for (number = 0; number < 34; number++) {
		for (l = 0; l < VMB_ARRAY_COUNT(lens); l++) {
			enum verdict want = expected(number, lens[l], version, state);

			check_message(bed, state, number, lens[l], want);
			if (want != TAKEN)
				continue;
			bed_free(bed);
			bed = bed_in(state, version);
		}
	}
	for (bit = 1u << 31; bit > 16; bit >>= 1)
		check_message(bed, state, bit | 3, 240, UNKNOWN);
	check_message(bed, state, ~0u, 240, UNKNOWN);
	bed_free(bed);
}

static void test_every_number_in_every_state(void **state)
{
	static const uint32_t versions[] = { 0x20004, 0x40000, 0x40001, 0x60000 };
	size_t v;

	for (v = 0; v < VMB_ARRAY_COUNT(versions); v++) {
		check_numbers(VMB_HOST_DISCONNECTED, versions[v]);
		check_numbers(VMB_HOST_CONNECTED, versions[v]);
		check_numbers(VMB_HOST_DISCONNECTING, versions[v]);
	}
}

/* Channels: the table of docs/protocol/bus.md, "4.5 A connection, host side" */

enum at { AT_OFFERED, AT_OPENING, AT_OPEN, AT_CLOSING, AT_REVOKED, AT_COUNT };
enum message { M_OPEN, M_CLOSE, M_HEADER, M_RELEASED, M_MODIFY, M_COUNT };

struct reaction {
	uint32_t answer; /* number of the one message that comes; 0 = none */
	int event; /* -1 = none */
	bool misplaced;
};

#define NONE -1

static const struct reaction reactions[AT_COUNT][M_COUNT] = {
	[AT_OFFERED] = { { 0, VMB_HOST_EVENT_OPEN, false },
			 { 0, NONE, true },
			 { 10, VMB_HOST_EVENT_GPADL_WANTED, false },
			 { 0, VMB_HOST_EVENT_GPADL_RELEASED, false },
			 { 24, NONE, true } },
	[AT_OPENING] = { { 0, NONE, true },
			 { 0, NONE, true },
			 { 10, VMB_HOST_EVENT_GPADL_WANTED, false },
			 { 0, NONE, true },
			 { 24, NONE, true } },
	[AT_OPEN] = { { 0, NONE, true },
		      { 0, VMB_HOST_EVENT_CLOSE, false },
		      { 10, VMB_HOST_EVENT_GPADL_WANTED, false },
		      { 0, NONE, true },
		      { 24, VMB_HOST_EVENT_MODIFY, false } },
	[AT_CLOSING] = { { 0, NONE, false },
			 { 0, NONE, true },
			 { 10, VMB_HOST_EVENT_GPADL_WANTED, false },
			 { 0, NONE, false },
			 { 24, NONE, true } },
	[AT_REVOKED] = { { 0, NONE, true },
			 { 0, NONE, false },
			 { 10, VMB_HOST_EVENT_GPADL_WANTED, false },
			 { 0, VMB_HOST_EVENT_GPADL_RELEASED, false },
			 { 24, NONE, true } },
};

static struct bed *bed_at(enum at at)
{
	struct bed *bed = bed_new(0, 0);

	bed_device(bed, 1, 0);
	bed_connect(bed, 0x50003);
	bed->hold_open = bed->hold_close = true;
	post_gpadl(bed, 1, 7, 8);
	if (at == AT_OPENING || at == AT_OPEN || at == AT_CLOSING)
		post_open(bed, 1, 1, 7, 0, 4);
	if (at == AT_OPEN || at == AT_CLOSING)
		vmb_host_channel_opened(bed->s.channels[1], 0);
	if (at == AT_CLOSING)
		post_relid(bed, 7, 1);
	if (at == AT_REVOKED)
		vmb_host_channel_rescind(bed->s.channels[1]);
	bed_pump(bed);
	bed_forget(bed);
	return bed;
}

static void post_message(struct bed *bed, enum message message)
{
	switch (message) {
	case M_OPEN: post_open(bed, 1, 2, 7, 0, 4); break;
	case M_CLOSE: post_relid(bed, 7, 1); break;
	case M_HEADER: post_gpadl(bed, 1, 8, 4); break;
	case M_RELEASED: post_relid(bed, 13, 1); break;
	default: post_modify(bed, 1, 2);
	}
}

static void test_every_message_in_every_channel_state(void **state)
{
	const struct reaction *want;
	uint32_t at, message;
	struct bed *bed;

	for (at = 0; at < AT_COUNT; at++) {
		for (message = 0; message < M_COUNT; message++) {
			bed = bed_at(at);
			want = &reactions[at][message];
			post_message(bed, message);
			assert_int_equal(bed->s.counters.misplaced, want->misplaced);
			assert_int_equal(bed->s.counters.malformed, 0);
			if (want->event != NONE)
				bed_expect_event(bed, (enum vmb_host_event_type)want->event);
			else
				bed_expect_no_event(bed);
			assert_int_equal(bed->message_count, want->answer != 0);
			if (want->answer)
				assert_int_equal(get32(bed->messages[0].bytes, 0), want->answer);
			bed_free(bed);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_number_in_every_state),
		cmocka_unit_test(test_every_message_in_every_channel_state),
	};

	return cmocka_run_group_tests_name("host_states", tests, NULL, NULL);
}
