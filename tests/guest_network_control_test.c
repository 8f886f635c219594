// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Network: requests of the port, what they change, and how a card is left. */
#include "tests/guest_network_bed.h"

/* Ends the request that is out with success and data_len bytes at b->in + 24. */
static void succeed(struct bench *b, uint32_t data_len)
{
	assert_int_equal(taken(b), 0);
	assert_event(b, NOTHING);
	assert_int_equal(reply(b, SUCCESS, data_len), 0);
	assert_event(b, ANSWERED);
	assert_int_equal(b->n.answer.status, SUCCESS);
	assert_int_equal(b->n.answer.data_len, data_len);
}

/*
 * A query that the host answers with failure, after one with data: nothing of it may be seen later.
 */
static void fail_query(struct bench *b)
{
	assert_int_equal(vmb_guest_network_query(&b->n, 1, NULL, 0), 0);
	expect_oid(b, 4, 1);
	succeed(b, 100);
	assert_int_equal(vmb_guest_network_query(&b->n, 1, NULL, 0), 0);
	expect_oid(b, 4, 1);
	assert_int_equal(taken(b), 0);
	assert_int_equal(reply(b, NOT_SUPPORTED, 0), 0);
	assert_event(b, ANSWERED);
	b->n.answer.data_len = 100;
}

/* ---- completion and reply ---- */

static void test_request_ends_when_both_are_there(void **state)
{
	struct bench b;
	uint32_t order;

	for (order = 0; order < 2; order++) {
		bench_ready_with(&b, 0x60001);
		assert_int_equal(vmb_guest_network_query(&b.n, 0x20101, "abc", 3), 0);
		expect_oid(&b, 4, 0x20101);
		assert_int_equal(b.rndis_len, 32);
		assert_int_equal(get(b.rndis, 16, 4), 3);
		assert_memory_equal(b.rndis + 28, "abc", 4);
		if (order)
			assert_int_equal(taken(&b), 0);
		else
			assert_int_equal(reply(&b, SUCCESS, 1000), 0);
		assert_event(&b, NOTHING);
		assert_int_equal(vmb_guest_network_keepalive(&b.n), VMB_EBUSY);
		assert_null(vmb_guest_network_output(&b.n));
		memset(b.in + 24, 0x5A, 1000);
		if (order)
			assert_int_equal(reply(&b, SUCCESS, 1000), 0);
		else
			assert_int_equal(taken(&b), 0);
		assert_event(&b, ANSWERED);
		assert_int_equal(b.n.answer.data_len, 1000);
		assert_int_equal(b.n.answer.status, SUCCESS);
		if (order)
			assert_int_equal(b.n.answer.data[999], 0x5A);
		assert_int_equal(vmb_guest_network_keepalive(&b.n), 0);
	}
}

static void test_answer_may_overtake_output_done(void **state)
{
	struct bench b;
	uint32_t order;

	for (order = 0; order < 2; order++) {
		bench_init(&b, 0x60001);
		b.host.reply_first = order;
		bench_start(&b);
		while (next_output(&b)) {
			if (b.out_flags)
				assert_int_equal(host_answer(&b), 0);
			vmb_guest_network_output_done(&b.n);
		}
		assert_event(&b, IS_READY);
		assert_int_equal(b.n.counters.forged + b.n.counters.malformed, 0);
	}
}

static void test_message_that_was_taken_is_not_shown_again(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_keepalive(&b.n), 0);
	assert_true(next_output(&b));
	assert_int_equal(taken(&b), 0);
	assert_false(next_output(&b));
	vmb_guest_network_output_done(&b.n);
	assert_int_equal(reply(&b, SUCCESS, 0), 0);
	assert_event(&b, ANSWERED);
}

static void test_reply_to_an_earlier_request_is_refused(void **state)
{
	struct bench b;
	uint64_t id;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), 0);
	expect_oid(&b, 4, 1);
	id = get(b.rndis, 8, 4);
	succeed(&b, 4);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), 0);
	expect_oid(&b, 4, 1);
	assert_int_not_equal(get(b.rndis, 8, 4), id);
	put(b.rndis, 8, id, 4);
	assert_int_equal(reply(&b, SUCCESS, 4), VMB_EPROTO);
	memcpy(b.rndis, bench_page, 28);
	succeed(&b, 4);
}

static void test_output_unconfirmed_is_repeated(void **state)
{
	struct bench b;
	uint64_t id;

	bench_init(&b, 0x60001);
	bench_start(&b);
	assert_true(next_output(&b));
	id = b.out_id;
	assert_true(next_output(&b));
	assert_int_equal(b.out_id, id);
	vmb_guest_network_output_done(&b.n);
	vmb_guest_network_output_done(&b.n);
	assert_false(next_output(&b));
	assert_int_equal(host_answer(&b), 0);
	bench_until(&b, 125); /* done twice is not two steps */
	vmb_guest_network_output_done(&b.n);
	expect(&b, 100, false);
	vmb_guest_network_output_done(&b.n);
	expect(&b, 101, true);
}

static void test_request_that_the_host_refuses_ends_at_once(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 0xD), 0);
	expect_oid(&b, 5, 0x1010E);
	assert_int_equal(complete(&b, 108, 2, 8), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, 0xC0000001);
	assert_int_equal(reply(&b, SUCCESS, 0), VMB_EPROTO); /* too late */
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 0xD), 0);
	expect_oid(&b, 5, 0x1010E);
	assert_int_equal(reply(&b, SUCCESS, 0), 0);
	assert_int_equal(complete(&b, 108, 5, 8), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, 0xC0000001);
}

static void test_failed_query_has_no_data(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_query(&b.n, 0x20101, NULL, 0), 0);
	expect_oid(&b, 4, 0x20101);
	assert_int_equal(taken(&b), 0);
	assert_int_equal(reply(&b, NOT_SUPPORTED, 100), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, NOT_SUPPORTED);
	assert_int_equal(b.n.answer.data_len, 0);
}

static void test_no_request_before_ready_or_twice(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	static const uint16_t table[1];
	uint8_t key[40] = { 0 };
	struct bench b;
	uint32_t i;

	bench_init(&b, 0x60001);
	bench_start(&b);
	for (i = 0; i < 2; i++) {
		assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_set(&b.n, 1, NULL, 0), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_set_filter(&b.n, 1), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_set_rss(&b.n, table, 1, key, 0), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_set_offload(&b.n, 0), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_set_mac(&b.n, mac), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_keepalive(&b.n), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_reset(&b.n), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_switch_data_path(&b.n, true), VMB_EBUSY);
		assert_int_equal(vmb_guest_network_halt(&b.n), VMB_EBUSY);
		if (i)
			break;
		bench_ready(&b);
		assert_int_equal(vmb_guest_network_set_filter(&b.n, 1), 0);
	}
	expect_oid(&b, 5, 0x1010E);
	assert_int_equal(get(b.rndis, 28, 4), 1);
	succeed(&b, 0);
}

static void test_request_too_long_for_the_page_is_refused(void **state)
{
	static uint8_t data[4096];
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_set(&b.n, 1, data, 4096 - 27), VMB_EOVERFLOW);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, data, 0xFFFFFFFF), VMB_EOVERFLOW);
	assert_null(vmb_guest_network_output(&b.n));
	assert_int_equal(vmb_guest_network_set(&b.n, 1, data, 4096 - 28), 0);
	expect_oid(&b, 5, 1);
	assert_int_equal(b.rndis_len, 4096);
	succeed(&b, 0);
}

static void test_longest_answer_fits(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), 0);
	expect_oid(&b, 4, 1);
	assert_int_equal(taken(&b), 0);
	assert_int_equal(reply(&b, SUCCESS, 4097), VMB_EPROTO);
	assert_int_equal(b.n.counters.malformed, 1);
	assert_int_equal(reply(&b, SUCCESS, 4096), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.data_len, 4096);
}

/* ---- forged completions and replies, at every step ---- */

static void forge(struct bench *b)
{
	static const uint32_t types[] = { 2, 102, 105, 108, 133, 129, 0 };
	uint32_t answer = b->n.dialogue.output_answer, i;
	uint64_t before = b->n.counters.forged + b->n.counters.malformed + b->q.counters.forged +
			  b->q.counters.malformed;

	for (i = 0; i < 7; i++) {
		say(b, types[i]);
		put(b->in, 4, 1, 4);
		assert_int_equal(deliver(b, COMPLETION, b->out_id + (1ull << 32), 40), VMB_EPROTO);
		assert_int_equal(deliver(b, COMPLETION, b->out_id - 1, 40), VMB_EPROTO);
		assert_int_equal(deliver(b, COMPLETION, 0, 40), VMB_EPROTO);
		assert_int_equal(deliver_to(b, &b->q1, COMPLETION, b->out_id, 40), VMB_EPROTO);
		before += 4;
		if (types[i] != answer) {
			assert_int_equal(deliver(b, COMPLETION, b->out_id, 40), VMB_EPROTO);
			before++;
		}
	}
	for (i = 0; i < (answer == 108 ? 8 : answer == 133 ? 12 : 28); i++) {
		put(say(b, answer), 4, 1, 4);
		assert_int_equal(deliver(b, COMPLETION, b->out_id, i), VMB_EPROTO);
		before++;
	}
	assert_int_equal(b->n.counters.forged + b->n.counters.malformed + b->q.counters.forged +
				 b->q.counters.malformed + b->q1.counters.forged,
			 before);
}

static void test_forged_completions_are_refused_at_every_step(void **state)
{
	struct bench b;
	uint64_t id = 0;

	bench_init(&b, 0x60001);
	assert_int_equal(vmb_guest_network_init(&b.n, &b.config), 0);
	assert_int_equal(queue_init(&b, 1, 0), 0);
	bench_start(&b);
	while (vmb_guest_network_output(&b.n)) {
		/* It was shown, so it can be answered; the one before cannot any more. */
		assert_true(next_output(&b));
		if (id) {
			say(&b, 108);
			assert_int_equal(deliver(&b, COMPLETION, id, 40), VMB_EPROTO);
		}
		vmb_guest_network_output_done(&b.n);
		id = b.out_id;
		if (b.out_flags) {
			assert_int_equal(queue_init(&b, 1, 0), 0);
			forge(&b);
		}
		assert_int_equal(host_answer(&b), 0);
	}
	assert_event(&b, IS_READY);
	assert_int_equal(b.n.state, VMB_GUEST_NETWORK_READY);
}

/* The ids are guessable, so nothing may be answered before it has left. */
static void test_answer_to_what_has_not_left_is_refused(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	put(say(&b, 2), 12, 1, 4);
	assert_int_equal(deliver(&b, COMPLETION, b.n.dialogue.output_id, 40), VMB_EPROTO);
	bench_ready(&b);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), 0);
	memcpy(b.rndis, bench_page, 28);
	assert_int_equal(reply(&b, SUCCESS, 0), VMB_EPROTO);
	say(&b, 108);
	assert_int_equal(deliver(&b, COMPLETION, b.n.dialogue.output_id, 40), VMB_EPROTO);
	expect_oid(&b, 4, 1);
	succeed(&b, 0);
}

static void test_unsolicited_replies_are_refused_at_every_step(void **state)
{
	static const uint32_t types[] = { 0x80000002, 0x80000004, 0x80000005, 0x80000006,
					  0x80000008 };
	struct bench b;
	uint32_t i;

	bench_init(&b, 0x60001);
	bench_start(&b);
	do {
		for (i = 0; b.n.agreed.suballoc_count && i < 5; i++) {
			memset(b.in, 0, 52);
			put(b.in, 0, types[i], 4);
			put(b.in, 4, 52, 4);
			put(b.in, 8, get(b.rndis, 8, 4) + 1, 4);
			assert_int_equal(indicate(&b, 52), VMB_EPROTO);
			if (b.n.dialogue.reply_waiting &&
			    types[i] == (get(b.rndis, 0, 4) | 0x80000000))
				continue;
			put(b.in, 8, get(b.rndis, 8, 4), 4);
			assert_int_equal(indicate(&b, 52), VMB_EPROTO);
		}
		if (b.out_id)
			assert_int_equal(host_answer(&b), 0);
		if (!next_output(&b))
			break;
		vmb_guest_network_output_done(&b.n);
	} while (true);
	assert_event(&b, IS_READY);
	assert_int_equal(b.n.counters.malformed, 0);
	assert_true(b.n.counters.forged > 50);
}

static void test_reply_counts_once(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_query(&b.n, 1, NULL, 0), 0);
	expect_oid(&b, 4, 1);
	assert_int_equal(reply(&b, SUCCESS, 4), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(reply(&b, NOT_SUPPORTED, 0), VMB_EPROTO);
	assert_int_equal(taken(&b), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_int_equal(reply(&b, SUCCESS, 4), VMB_EPROTO);
	assert_int_equal(taken(&b), VMB_EPROTO);
}

/* ---- the requests ---- */

static void test_filter_is_set(void **state)
{
	struct bench b;

	bench_ready_with(&b, 2);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 0x2B), 0);
	expect_oid(&b, 5, 0x1010E);
	assert_int_equal(b.rndis_len, 32);
	assert_int_equal(get(b.rndis, 16, 4), 4);
	assert_int_equal(get(b.rndis, 28, 4), 0x2B);
	succeed(&b, 0);
}

static void test_keepalive_and_reset_are_answered(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x50000);
	assert_int_equal(vmb_guest_network_keepalive(&b.n), 0);
	expect_rndis(&b, 8);
	assert_int_equal(b.rndis_len, 12);
	succeed(&b, 0);
	assert_int_equal(vmb_guest_network_reset(&b.n), 0);
	expect_rndis(&b, 6);
	assert_int_equal(b.rndis_len, 12);
	assert_int_equal(get(b.rndis, 8, 4), 0);
	succeed(&b, 0);
	assert_int_equal(vmb_guest_network_reset(&b.n), 0);
	expect_rndis(&b, 6);
	assert_int_equal(taken(&b), 0);
	assert_int_equal(reply(&b, 0xC0000001, 0), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, 0xC0000001);
}

/* The host takes the parameter; that alone is no answer for the port. */
static void agree_to_mac(struct bench *b)
{
	assert_int_equal(taken(b), 0);
	assert_event(b, NOTHING);
	assert_int_equal(reply(b, SUCCESS, 0), 0);
	assert_event(b, NOTHING);
	assert_int_equal(vmb_guest_network_keepalive(&b->n), VMB_EBUSY);
}

/*
 * An address of the host's in answer to the question for it; data_len 0: the host does not know the
 * question.
 */
static void try_mac(struct bench *b, const uint8_t *mac, const uint8_t *current, uint32_t data_len)
{
	assert_int_equal(vmb_guest_network_set_mac(&b->n, mac), 0);
	expect_oid(b, 5, 0x1021B);
	agree_to_mac(b);
	expect_oid(b, 4, 0x01010102);
	assert_int_equal(taken(b), 0);
	memcpy(b->in + 24, current, 6);
	assert_int_equal(reply(b, data_len ? SUCCESS : NOT_SUPPORTED, data_len), 0);
	assert_event(b, ANSWERED);
	assert_int_equal(b->n.answer.data_len, 0);
}

static void test_address_that_the_host_did_not_change_is_refused(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct bench b;

	bench_ready_with(&b, 0x60001);
	try_mac(&b, mac, b.host.mac, 6);
	assert_int_equal(b.n.answer.status, 0xC0000001);
	assert_memory_equal(b.n.agreed.mac, b.host.mac, 6);
	try_mac(&b, mac, mac, 6);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_memory_equal(b.n.agreed.mac, mac, 6);
	/* A host that cannot be asked is believed. */
	try_mac(&b, b.host.mac, mac, 0);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_memory_equal(b.n.agreed.mac, b.host.mac, 6);
	try_mac(&b, mac, mac, 5);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_memory_equal(b.n.agreed.mac, mac, 6);
}

/*
 * A strict host closes the channel at once on RESET, SET_EX, a second INITIALIZE and a buffer that
 * is shared twice: in the life of a card none of them is sent, at no version and by no request of
 * the port's but _reset().
 */
static void test_life_of_a_card_asks_nothing_that_a_strict_host_refuses(void **state)
{
	static const uint32_t versions[] = { 2, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001 };
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct bench b;
	uint32_t i, type;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		bench_ready_with(&b, versions[i]);
		try_mac(&b, mac, mac, 6);
		assert_int_equal(vmb_guest_network_set_filter(&b.n, 9), 0);
		expect_oid(&b, 5, 0x1010E);
		succeed(&b, 0);
		assert_int_equal(vmb_guest_network_halt(&b.n), 0);
		expect_rndis(&b, 3);
		assert_int_equal(taken(&b), 0);
		assert_int_equal(vmb_guest_network_revoke(&b.n), 0);
		expect(&b, 103, false);
		expect(&b, 106, false);
		assert_false(next_output(&b));
		for (type = 0; type < 16; type++)
			if (type != 4 && type != 5)
				assert_int_equal(b.rndis_sent[type], type == 2 || type == 3);
	}
}

static void test_address_is_set_as_a_parameter(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0x9A, 0xBC, 0xDE, 0xF0, 0x45 };
	static const uint8_t multicast[6] = { 1, 0, 0, 0, 0, 1 }, zero[6];
	static const char name[] = "NetworkAddress", value[] = "029ABCDEF045";
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_set_mac(&b.n, multicast), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_mac(&b.n, zero), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_mac(&b.n, mac), 0);
	expect_oid(&b, 5, 0x1021B);
	assert_int_equal(get(b.rndis, 28, 4), 20);
	assert_int_equal(get(b.rndis, 32, 4), 28);
	assert_int_equal(get(b.rndis, 36, 4), 2);
	assert_int_equal(get(b.rndis, 40, 4), 48);
	assert_int_equal(get(b.rndis, 44, 4), 24);
	for (i = 0; i < 14; i++)
		assert_int_equal(get(b.rndis, 48 + 2 * i, 2), name[i]);
	for (i = 0; i < 12; i++)
		assert_int_equal(get(b.rndis, 76 + 2 * i, 2), value[i]);
	assert_int_equal(b.rndis_len, 100);
	agree_to_mac(&b);
	expect_oid(&b, 4, 0x01010102);
	assert_memory_equal(b.n.agreed.mac, b.host.mac, 6);
	memcpy(b.in + 24, mac, 6);
	assert_int_equal(taken(&b), 0);
	memcpy(b.in + 24, mac, 6);
	assert_int_equal(reply(&b, SUCCESS, 6), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_memory_equal(b.n.agreed.mac, mac, 6);
	assert_int_equal(vmb_guest_network_set_mac(&b.n, b.host.mac), 0);
	expect_oid(&b, 5, 0x1021B);
	assert_int_equal(taken(&b), 0);
	assert_int_equal(reply(&b, NOT_SUPPORTED, 0), 0);
	assert_memory_equal(b.n.agreed.mac, mac, 6);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 1), 0); /* not the address again */
	expect_oid(&b, 5, 0x1010E);
	succeed(&b, 0);
	assert_memory_equal(b.n.agreed.mac, mac, 6);
}

static void test_data_path_is_switched_by_an_empty_completion(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x30002);
	assert_int_equal(vmb_guest_network_switch_data_path(&b.n, true), VMB_EOPNOTSUPP);
	for (i = 0; i < 2; i++) {
		bench_ready_with(&b, 0x40000);
		assert_int_equal(vmb_guest_network_set_mac(&b.n, mac), 0);
		expect_oid(&b, 5, 0x1021B);
		assert_int_equal(taken(&b), 0);
		assert_int_equal(reply(&b, NOT_SUPPORTED, 0), 0);
		b.n.answer.data_len = 100;
		assert_int_equal(vmb_guest_network_switch_data_path(&b.n, !i), 0);
		assert_int_equal(vmb_guest_network_keepalive(&b.n), VMB_EBUSY);
		expect(&b, 129, true);
		assert_int_equal(get(b.out, 4, 4), !i);
		say(&b, 108);
		assert_int_equal(deliver(&b, COMPLETION, b.out_id, 8), VMB_EPROTO);
		say(&b, 129);
		assert_int_equal(deliver(&b, COMPLETION, b.out_id, 3), VMB_EPROTO);
		assert_int_equal(deliver(&b, COMPLETION, b.out_id, i ? 28 : 0), 0);
		assert_event(&b, ANSWERED);
		assert_int_equal(b.n.answer.status, SUCCESS);
		assert_int_equal(b.n.answer.data_len, 0);
		assert_memory_equal(b.n.agreed.mac, b.host.mac, 6); /* the address stays refused */
		assert_int_equal(vmb_guest_network_set_filter(&b.n, 1), 0);
	}
}

/* ---- RSS ---- */

static void test_rss_parameters_are_what_the_reference_says(void **state)
{
	static const uint16_t table[3] = { 1, 0, 1 };
	struct bench b;
	uint8_t key[40];
	uint32_t i;

	for (i = 0; i < 40; i++)
		key[i] = (uint8_t)(i + 1);
	bench_init(&b, 0x60001);
	b.host.rss_entries = 16;
	bench_ready(&b);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, table, 3, key, 0x1700), 0);
	expect_oid(&b, 5, 0x10204);
	assert_int_equal(get(b.rndis, 16, 4), 40 + 64 + 40);
	assert_int_equal(get(b.rndis, 28, 4), 0x89 | 2 << 8 | 40 << 16);
	assert_int_equal(get(b.rndis, 32, 4), 0);
	assert_int_equal(get(b.rndis, 36, 4), 0x1701);
	assert_int_equal(get(b.rndis, 40, 4), 64);
	assert_int_equal(get(b.rndis, 44, 4), 40);
	assert_int_equal(get(b.rndis, 48, 4), 40);
	assert_int_equal(get(b.rndis, 52, 4), 104);
	for (i = 56; i < 68; i += 4)
		assert_int_equal(get(b.rndis, i, 4), 0);
	for (i = 0; i < 16; i++)
		assert_int_equal(get(b.rndis, 68 + 4 * i, 4), table[i % 3]);
	assert_memory_equal(b.rndis + 132, key, 40);
	succeed(&b, 0);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, table, 2, key, 0), 0);
	expect_oid(&b, 5, 0x10204);
	assert_int_equal(get(b.rndis, 32, 4), 0x10);
	assert_int_equal(get(b.rndis, 36, 4), 0);
	succeed(&b, 0);
}

static void test_bad_rss_is_refused(void **state)
{
	static const uint16_t good[16], bad[1] = { 2 }, also_bad[3] = { 1, 0, 2 };
	uint8_t key[40] = { 0 };
	struct bench b;

	bench_init(&b, 0x60001);
	b.host.rss_entries = 15;
	bench_ready(&b); /* two queues */
	assert_int_equal(vmb_guest_network_set_rss(&b.n, bad, 1, key, 0x200), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, also_bad, 3, key, 0x200), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, good, 0, key, 0x200), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, good, 16, key, 0x200), VMB_EINVAL);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, good, 15, key, 0x200), 0);
	bench_ready_with(&b, 0x40000);
	assert_int_equal(vmb_guest_network_set_rss(&b.n, good, 1, key, 0x200), VMB_EOPNOTSUPP);
}

/* ---- leaving ---- */

static void test_card_is_left_in_order(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	fail_query(&b);
	assert_int_equal(vmb_guest_network_halt(&b.n), 0);
	assert_int_equal(b.n.state, VMB_GUEST_NETWORK_LEAVING);
	expect_rndis(&b, 3);
	assert_int_equal(b.rndis_len, 12);
	assert_int_equal(vmb_guest_network_halt(&b.n), VMB_EBUSY);
	assert_int_equal(taken(&b), 0);
	assert_event(&b, ANSWERED);
	assert_int_equal(b.n.answer.status, SUCCESS);
	assert_int_equal(b.n.answer.data_len, 0);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 1), VMB_EBUSY);
	assert_int_equal(vmb_guest_network_revoke(&b.n), 0);
	expect(&b, 103, false);
	assert_int_equal(get(b.out, 4, 8), 0xCAFE); /* and nothing of the message before */
	assert_int_equal(get(b.out, 12, 8), 0);
	expect(&b, 106, false);
	assert_int_equal(get(b.out, 4, 2), 0);
	assert_null(vmb_guest_network_output(&b.n));
	assert_int_equal(vmb_guest_network_revoke(&b.n), 0); /* once is enough */
	assert_null(vmb_guest_network_output(&b.n));
}

static void test_frames_come_and_go_while_leaving(void **state)
{
	struct vmb_guest_rndis_frame frame = { .len = 60 };
	struct vmb_guest_network_packet packet;
	struct bench b;
	void *at;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_put(&b.q, &frame, 60, &at), 0);
	assert_true(vmb_guest_network_seal(&b.q, &packet));
	assert_int_equal(vmb_guest_network_halt(&b.n), 0);
	put(say(&b, 108), 4, 1, 4);
	assert_int_equal(deliver(&b, COMPLETION, packet.transaction_id, 8), 0);
	assert_event(&b, SENT);
	begin_packet(&b, 0);
	add_range(&b, 0, 100);
	assert_int_equal(receive(&b), VMB_GUEST_NETWORK_FRAMES);
}

static void test_revocation_gives_up_what_the_host_did_not_answer(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 0), 0);
	expect_oid(&b, 5, 0x1010E);
	assert_int_equal(vmb_guest_network_revoke(&b.n), 0);
	assert_int_equal(b.n.state, VMB_GUEST_NETWORK_LEAVING);
	assert_int_equal(vmb_guest_network_set_filter(&b.n, 0), VMB_EBUSY);
	assert_int_equal(taken(&b), VMB_EPROTO);
	assert_int_equal(reply(&b, SUCCESS, 0), VMB_EPROTO);
	expect(&b, 103, false);
	expect(&b, 106, false);
}

static void test_failed_card_revokes_what_it_shared(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	assert_int_equal(vmb_guest_network_revoke(&b.n), VMB_EBUSY);
	bench_until(&b, 101);
	put(say(&b, 102), 4, 2, 4);
	assert_int_equal(deliver(&b, COMPLETION, b.out_id, 28), 0);
	assert_event(&b, HAS_FAILED);
	assert_int_equal(vmb_guest_network_revoke(&b.n), 0);
	expect(&b, 103, false);
	assert_null(vmb_guest_network_output(&b.n));
	assert_int_equal(b.n.state, VMB_GUEST_NETWORK_FAILED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_ends_when_both_are_there),
		cmocka_unit_test(test_answer_may_overtake_output_done),
		cmocka_unit_test(test_message_that_was_taken_is_not_shown_again),
		cmocka_unit_test(test_reply_to_an_earlier_request_is_refused),
		cmocka_unit_test(test_output_unconfirmed_is_repeated),
		cmocka_unit_test(test_request_that_the_host_refuses_ends_at_once),
		cmocka_unit_test(test_failed_query_has_no_data),
		cmocka_unit_test(test_no_request_before_ready_or_twice),
		cmocka_unit_test(test_request_too_long_for_the_page_is_refused),
		cmocka_unit_test(test_longest_answer_fits),
		cmocka_unit_test(test_forged_completions_are_refused_at_every_step),
		cmocka_unit_test(test_answer_to_what_has_not_left_is_refused),
		cmocka_unit_test(test_unsolicited_replies_are_refused_at_every_step),
		cmocka_unit_test(test_reply_counts_once),
		cmocka_unit_test(test_filter_is_set),
		cmocka_unit_test(test_keepalive_and_reset_are_answered),
		cmocka_unit_test(test_life_of_a_card_asks_nothing_that_a_strict_host_refuses),
		cmocka_unit_test(test_address_is_set_as_a_parameter),
		cmocka_unit_test(test_address_that_the_host_did_not_change_is_refused),
		cmocka_unit_test(test_data_path_is_switched_by_an_empty_completion),
		cmocka_unit_test(test_rss_parameters_are_what_the_reference_says),
		cmocka_unit_test(test_bad_rss_is_refused),
		cmocka_unit_test(test_card_is_left_in_order),
		cmocka_unit_test(test_frames_come_and_go_while_leaving),
		cmocka_unit_test(test_revocation_gives_up_what_the_host_did_not_answer),
		cmocka_unit_test(test_failed_card_revokes_what_it_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
