// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host's sockets: requests and their answers, offers byte by byte, and what becomes of both
 * when the guest leaves. The bytes are from docs/protocol/bus.md, "4.3 Layouts", "4.7 hvsock".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host_bed.h"

static const struct vmb_guid service = { { 0x39, 0x05, 0, 0, 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
					   0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 } }; /* 1337 */
static const struct vmb_guid endpoint = { { 0x01, 0x00, 0, 0x40, 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
					    0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 } };

static struct bed *served(uint32_t version)
{
	struct bed *bed = bed_new(0, 0);

	vmb_host_socket_serve(&bed->s, true);
	bed_connect(bed, version);
	return bed;
}

/* A request of the guest's port 0x40000001 + number. */
static uint32_t ask(struct bed *bed, uint8_t number, uint32_t len)
{
	uint8_t m[56] = { 21 };

	memcpy(m + 8, &endpoint, 16);
	memcpy(m + 24, &service, 16);
	m[8] += number;
	return bed_post(bed, m, len);
}

static struct vmb_host_channel *channel(bool from_host)
{
	struct vmb_host_channel *ch = calloc(1, sizeof(*ch));

	assert_non_null(ch);
	ch->type_id = service;
	ch->instance_id = endpoint;
	ch->instance_id.bytes[15] ^= from_host;
	return ch;
}

static void expect_refusal(struct bed *bed, uint8_t number)
{
	const uint8_t *m = bed_expect(bed, 23, 44);

	assert_int_equal(m[8], 1 + number);
	assert_memory_equal(m + 9, endpoint.bytes + 1, 15);
	assert_memory_equal(m + 24, &service, 16);
	assert_int_equal(get32(m, 40), 0xC0000236);
}

static void test_port_and_guid_name_each_other(void **state)
{
	struct vmb_guid guid = vmb_socket_guid(1337);
	uint32_t port;

	assert_memory_equal(&guid, &service, 16);
	assert_true(vmb_socket_port(&endpoint, &port));
	assert_int_equal(port, 0x40000001);
	guid.bytes[4] ^= 1;
	assert_false(vmb_socket_port(&guid, &port));
}

static void test_request_is_an_event_and_is_answered_by_an_offer(void **state)
{
	struct bed *bed = served(0x50002);
	struct vmb_host_channel *ch = channel(false);
	const uint8_t *m;

	assert_int_equal(ask(bed, 0, 40), 0);
	bed_expect_event(bed, VMB_HOST_EVENT_SOCKET);
	bed_expect_nothing(bed);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, false), 0);
	bed_pump(bed);
	m = bed_expect(bed, 1, 196);
	assert_memory_equal(m + 8, &service, 16);
	assert_memory_equal(m + 24, &endpoint, 16);
	assert_int_equal(m[56] | m[57] << 8, 0x2011);
	assert_int_equal(get32(m, 60), 0); /* byte mode */
	assert_int_equal(m[64], 0); /* the guest connects */
	assert_int_equal(m[65], 0);
	assert_int_equal(get32(m, 66), 1);
	assert_int_equal(m[188], 0xFF);
	/* It was answered. */
	assert_int_equal(vmb_host_socket_refuse(&bed->s, &endpoint, &service), VMB_ENODEV);
	vmb_host_channel_rescind(ch);
	bed_pump(bed);
	bed_expect(bed, 2, 12);
	post_relid(bed, 13, ch->relid);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	bed_free(bed);
}

static void test_host_connects_by_an_offer(void **state)
{
	struct bed *bed = served(0x40000);
	struct vmb_host_channel *ch = channel(true);
	const uint8_t *m;

	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, true), 0);
	bed_pump(bed);
	m = bed_expect(bed, 1, 196);
	assert_int_equal(m[64], 1);
	assert_int_equal(get32(m, 66), 0); /* before silos had names */
	bed_open(bed, ch->relid, 5);
	assert_int_equal(ch->state, VMB_HOST_CHANNEL_OPEN);
	/* Nobody remembers it in the next connection. */
	bed_connect(bed, 0x40000);
	assert_ptr_equal(bed->s.first, NULL);
	bed_free(bed);
}

static void test_no_sockets_for_guests_that_cannot_have_them(void **state)
{
	struct bed *bed = bed_new(0, 0);
	struct vmb_host_channel *ch = channel(true);

	vmb_host_socket_serve(&bed->s, true);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, true), VMB_ENODEV);
	post_contact(bed, 0x50003, 0);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, true), VMB_ENODEV);
	bed_connect(bed, 0x30000);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, true), VMB_EOPNOTSUPP);
	bed_connect(bed, 0x50003);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, false), VMB_ENODEV);
	free(ch);
	bed_free(bed);
}

static void test_refused_by_a_message_or_by_silence(void **state)
{
	struct bed *bed = served(0x40001);

	ask(bed, 0, 40);
	assert_int_equal(vmb_host_socket_refuse(&bed->s, &endpoint, &service), 0);
	bed_pump(bed);
	expect_refusal(bed, 0);
	assert_int_equal(vmb_host_socket_refuse(&bed->s, &endpoint, &service), VMB_ENODEV);
	bed_connect(bed, 0x40000);
	ask(bed, 0, 40);
	assert_int_equal(vmb_host_socket_refuse(&bed->s, &endpoint, &service), 0);
	bed_pump(bed);
	bed_expect_nothing(bed);
	bed_free(bed);
}

static void test_the_same_request_twice_counts_once(void **state)
{
	struct bed *bed = served(0x50003);

	ask(bed, 0, 56);
	bed_expect_event(bed, VMB_HOST_EVENT_SOCKET);
	ask(bed, 0, 56);
	bed_expect_no_event(bed);
	assert_int_equal(bed->s.counters.misplaced, 1);
	vmb_host_socket_refuse(&bed->s, &endpoint, &service);
	bed_pump(bed);
	expect_refusal(bed, 0);
	bed_expect_nothing(bed);
	bed_free(bed);
}

/* A guest that asks on and on is told to wait, and each request gets its answer. */
static void test_requests_have_a_bound(void **state)
{
	struct bed *bed = served(0x50003);
	struct vmb_guid at = endpoint;
	uint8_t i;

	for (i = 0; i < 64; i++)
		assert_int_equal(ask(bed, i, 40), 0);
	assert_int_equal(ask(bed, 64, 40), 0x13);
	bed->slot_busy = true;
	for (i = 0; i < 64; i++, at.bytes[0]++)
		assert_int_equal(vmb_host_socket_refuse(&bed->s, &at, &service), 0);
	bed_pump(bed);
	assert_int_equal(ask(bed, 64, 40), 0x13);
	bed->slot_busy = false;
	bed_pump(bed);
	for (i = 0; i < 64; i++)
		expect_refusal(bed, i);
	assert_int_equal(ask(bed, 64, 40), 0);
	bed_free(bed);
}

static void test_requests_end_with_the_connection(void **state)
{
	struct bed *bed = served(0x50003);
	struct vmb_host_channel *ch = channel(false);

	ask(bed, 0, 40);
	post_simple(bed, 16);
	bed_expect(bed, 17, 8);
	assert_int_equal(vmb_host_socket_offer(&bed->s, ch, false), VMB_ENODEV);
	assert_int_equal(vmb_host_socket_refuse(&bed->s, &endpoint, &service), VMB_ENODEV);
	/* Also those whose answer is on its way. */
	bed_connect(bed, 0x50003);
	ask(bed, 0, 40);
	bed->slot_busy = true;
	vmb_host_socket_refuse(&bed->s, &endpoint, &service);
	bed_pump(bed);
	post_simple(bed, 16);
	bed->slot_busy = false;
	bed_pump(bed);
	bed_expect(bed, 17, 8);
	bed_expect_nothing(bed);
	free(ch);
	bed_free(bed);
}

static void test_who_stops_to_serve_refuses(void **state)
{
	struct bed *bed = served(0x50003);

	ask(bed, 0, 40);
	vmb_host_socket_serve(&bed->s, false);
	bed_pump(bed);
	expect_refusal(bed, 0);
	ask(bed, 1, 40);
	expect_refusal(bed, 1);
	bed_free(bed);
}

/* A guest may let go of a socket that was not rescinded: it is gone for both. */
static void test_guest_releases_a_socket_by_itself(void **state)
{
	struct bed *bed = served(0x50003);
	struct vmb_host_channel *ch = channel(true);

	vmb_host_socket_offer(&bed->s, ch, true);
	bed_pump(bed);
	bed_forget(bed);
	post_relid(bed, 13, ch->relid);
	bed_expect_event(bed, VMB_HOST_EVENT_RELEASED);
	assert_ptr_equal(bed->s.first, NULL);
	bed_free(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_and_guid_name_each_other),
		cmocka_unit_test(test_request_is_an_event_and_is_answered_by_an_offer),
		cmocka_unit_test(test_host_connects_by_an_offer),
		cmocka_unit_test(test_no_sockets_for_guests_that_cannot_have_them),
		cmocka_unit_test(test_refused_by_a_message_or_by_silence),
		cmocka_unit_test(test_the_same_request_twice_counts_once),
		cmocka_unit_test(test_requests_have_a_bound),
		cmocka_unit_test(test_requests_end_with_the_connection),
		cmocka_unit_test(test_who_stops_to_serve_refuses),
		cmocka_unit_test(test_guest_releases_a_socket_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
