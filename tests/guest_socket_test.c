// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's sockets: dials byte by byte, what answers them, and what does not. */
#include "tests/guest_bed.h"
#include "guest/socket.h"

static const uint8_t tail[12] = { 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
				  0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };

static void put_port(uint8_t *guid, uint32_t port)
{
	put(guid, 0, port, 4);
	memcpy(guid + 4, tail, sizeof(tail));
}

static struct vmb_guest_dial dial_of(uint32_t from, uint32_t to)
{
	struct vmb_guest_dial dial = { .endpoint_id = vmb_socket_guid(from),
				       .service_id = vmb_socket_guid(to) };

	return dial;
}

static int say_refused(struct bench *b, uint32_t from, uint32_t to, uint32_t status)
{
	uint8_t *m = say(b, 23);

	put_port(m + 8, from);
	put_port(m + 24, to);
	put(m, 40, status, 4);
	return deliver(b, 44);
}

/* from_host: the host connects to port `to` of the guest. */
static int say_socket(struct bench *b, uint32_t relid, uint32_t from, uint32_t to, bool from_host)
{
	uint8_t *m = make_offer(b, relid, 0, 0);

	put_port(m + 8, to);
	put_port(m + 24, from);
	put(m, 56, 0x2011, 2);
	m[64] = from_host;
	return deliver(b, 196);
}

static void test_dial_is_these_bytes(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337);
	uint8_t want[40] = { 21 };
	struct bench b;

	put_port(want + 8, 0x40000001);
	put_port(want + 24, 1337);
	bench_ready(&b, 0x60000);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &dial), 0);
	expect_sent(&b, 21, 40);
	assert_memory_equal(b.out, want, 40);
	expect_silence(&b);
}

static void test_dial_is_answered_by_its_offer(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337), other = dial_of(0x40000002, 1337);
	struct vmb_guest_socket socket;
	struct bench b;

	bench_ready(&b, 0x50003);
	vmb_guest_socket_dial(&b.c, &dial);
	vmb_guest_socket_dial(&b.c, &other);
	expect_sent(&b, 21, 40);
	expect_sent(&b, 21, 40);
	assert_int_equal(say_socket(&b, 9, 0x40000001, 1337, false), 0);
	assert_event(&b, OFFER);
	assert_ptr_equal(b.event.dial, &dial);
	assert_true(vmb_guest_socket_read(&b.event.offer, &socket));
	assert_false(socket.from_host);
	assert_int_equal(socket.port, 0x40000001);
	assert_int_equal(socket.peer_port, 1337);
	/* It is answered: a refusal now is out of place. */
	assert_int_equal(say_refused(&b, 0x40000001, 1337, 1), VMB_EPROTO);
	assert_int_equal(say_refused(&b, 0x40000002, 1337, 0xC0000236), 0);
	assert_event(&b, DIAL_REFUSED);
	assert_ptr_equal(b.event.dial, &other);
	assert_int_equal(b.event.status, 0xC0000236);
}

static void test_nothing_answers_a_dial_that_was_not_sent(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337);
	struct bench b;

	bench_ready(&b, 0x50003);
	vmb_guest_socket_dial(&b.c, &dial);
	assert_int_equal(say_refused(&b, 0x40000001, 1337, 1), VMB_EPROTO);
	assert_int_equal(say_socket(&b, 9, 0x40000001, 1337, false), 0);
	assert_null(b.event.dial);
	expect_sent(&b, 21, 40);
}

static void test_offer_that_nobody_dialled_has_no_dial(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337);
	struct vmb_guest_socket socket;
	struct bench b;

	bench_ready(&b, 0x50003);
	assert_int_equal(say_socket(&b, 9, 0x40000001, 1337, false), 0);
	assert_event(&b, OFFER);
	assert_null(b.event.dial);
	/* From the host, with the same GUIDs the wrong way round. */
	vmb_guest_socket_dial(&b.c, &dial);
	expect_sent(&b, 21, 40);
	assert_int_equal(say_socket(&b, 10, 0x40000001, 1337, true), 0);
	assert_null(b.event.dial);
	assert_true(vmb_guest_socket_read(&b.event.offer, &socket));
	assert_true(socket.from_host);
	assert_int_equal(socket.port, 1337);
}

static void test_other_offers_are_no_sockets(void **state)
{
	struct vmb_guest_socket socket;
	struct bench b;

	bench_ready(&b, 0x50003);
	say_offer(&b, 9, 9, 0);
	assert_false(vmb_guest_socket_read(&b.event.offer, &socket));
	/* A class that is no port. */
	make_offer(&b, 10, 10, 0);
	put(b.in, 56, 0x2011, 2);
	deliver(&b, 196);
	assert_event(&b, OFFER);
	assert_false(vmb_guest_socket_read(&b.event.offer, &socket));
}

static void test_socket_has_no_sub_channels(void **state)
{
	struct bench b;

	bench_ready(&b, 0x50003);
	make_offer(&b, 10, 10, 1);
	put(b.in, 56, 0x2011, 2);
	assert_int_equal(deliver(&b, 196), VMB_EPROTO);
	assert_int_equal(b.c.counters.offers_refused, 1);
}

static void test_hung_up_is_forgotten(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337), again = dial;
	struct bench b;

	bench_ready(&b, 0x50003);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &dial), 0);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &again), VMB_EBUSY);
	assert_true(vmb_guest_socket_hang_up(&b.c, &dial));
	expect_silence(&b);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &again), 0);
	assert_true(peek(&b)); /* the sender has it */
	vmb_guest_socket_hang_up(&b.c, &again);
	vmb_guest_connect_output_done(&b.c);
	expect_silence(&b);
	assert_int_equal(say_refused(&b, 0x40000001, 1337, 1), VMB_EPROTO);
	assert_false(vmb_guest_socket_hang_up(&b.c, &again));
}

static void test_dials_need_a_host_that_has_sockets(void **state)
{
	struct vmb_guest_dial dial = dial_of(0x40000001, 1337);
	struct bench b;

	bench_ready(&b, 0x30000);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &dial), VMB_EOPNOTSUPP);
	bench_ready(&b, 0x40000);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &dial), 0);
	expect_sent(&b, 21, 40);
	/* 4.0 has no such message. */
	assert_int_equal(say_refused(&b, 0x40000001, 1337, 1), VMB_EPROTO);
	assert_int_equal(vmb_guest_connect_unload(&b.c), 0);
	assert_null(b.c.dials);
	assert_int_equal(vmb_guest_socket_dial(&b.c, &dial), VMB_EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dial_is_these_bytes),
		cmocka_unit_test(test_dial_is_answered_by_its_offer),
		cmocka_unit_test(test_nothing_answers_a_dial_that_was_not_sent),
		cmocka_unit_test(test_offer_that_nobody_dialled_has_no_dial),
		cmocka_unit_test(test_other_offers_are_no_sockets),
		cmocka_unit_test(test_socket_has_no_sub_channels),
		cmocka_unit_test(test_hung_up_is_forgotten),
		cmocka_unit_test(test_dials_need_a_host_that_has_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
