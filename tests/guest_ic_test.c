// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's integration services against bytes that the test writes: what is agreed, what is
 * answered, what is dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guest/ic.h"

#define HEADERS_LEN 28u

struct bytes {
	uint8_t at[256];
	uint32_t len;
};

static void put16(struct bytes *b, uint32_t offset, uint16_t value)
{
	memcpy(b->at + offset, &value, sizeof(value));
}

static uint16_t get16(const struct bytes *b, uint32_t offset)
{
	uint16_t value;

	memcpy(&value, b->at + offset, sizeof(value));
	return value;
}

/* A request with body_len bytes of body, padded to 8 as in a ring. */
static struct bytes request(uint16_t type, uint16_t body_len)
{
	struct bytes b = { .len = (HEADERS_LEN + body_len + 7u) & ~7u };

	b.at[0] = 1;
	put16(&b, 4, 20 + body_len);
	put16(&b, 12, type);
	put16(&b, 18, body_len);
	b.at[24] = 9; /* transaction */
	b.at[25] = 3;
	return b;
}

/* versions: major, minor pairs, frameworks first */
static struct bytes negotiation(uint16_t frameworks, uint16_t messages, const uint16_t *versions)
{
	struct bytes b = request(0, 8 + 4 * (frameworks + messages));

	put16(&b, 28, frameworks);
	put16(&b, 30, messages);
	memcpy(b.at + 36, versions, 4u * (frameworks + messages));
	return b;
}

static const uint16_t both[] = { 1, 0, 3, 0, 1, 0, 3, 0, 3, 1, 3, 2 };

static int take(struct vmb_guest_ic *ic, struct bytes *b, struct vmb_guest_ic_request *r)
{
	uint8_t *exact = malloc(b->len);
	int step;

	memcpy(exact, b->at, b->len); /* a read or write behind the packet is found */
	step = vmb_guest_ic_input(ic, exact, b->len, r);
	memcpy(b->at, exact, b->len);
	if (step == VMB_GUEST_IC_REQUEST)
		r->body = b->at + ((uint8_t *)r->body - exact);
	free(exact);
	return step;
}

static struct vmb_guest_ic agreed(enum vmb_ic_type type, const uint16_t *message)
{
	const uint16_t versions[] = { 3, 0, message[0], message[1] };
	struct bytes b = negotiation(1, 1, versions);
	struct vmb_guest_ic_request r;
	struct vmb_guest_ic ic;

	vmb_guest_ic_init(&ic, type);
	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REPLY);
	assert_true(ic.negotiated);
	return ic;
}

static void test_negotiation_chooses_the_newest_of_both(void **state)
{
	struct bytes b = negotiation(2, 4, both);
	struct vmb_guest_ic_request r;
	struct vmb_guest_ic ic;
	uint32_t len = b.len;

	vmb_guest_ic_init(&ic, VMB_IC_SHUTDOWN);
	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REPLY);
	assert_int_equal(b.len, len);
	assert_int_equal(b.at[24], 9);
	assert_int_equal(b.at[25], 5);
	assert_int_equal(get16(&b, 18), 16);
	assert_int_equal(get16(&b, 28), 1);
	assert_int_equal(get16(&b, 30), 1);
	assert_int_equal(get16(&b, 36), 3);
	assert_int_equal(get16(&b, 40), 3);
	assert_int_equal(get16(&b, 42), 2);
	assert_true(vmb_guest_ic_has(&ic, 3, 2));
	assert_false(vmb_guest_ic_has(&ic, 4, 0));
}

static void test_old_host_gets_the_old_version(void **state)
{
	static const uint16_t old[] = { 1, 0, 1, 0 };
	struct bytes b = negotiation(1, 1, old);
	struct vmb_guest_ic_request r;
	struct vmb_guest_ic ic;

	vmb_guest_ic_init(&ic, VMB_IC_TIME);
	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REPLY);
	assert_int_equal(ic.framework.major, 1);
	assert_int_equal(ic.message.major, 1);
}

static void test_no_common_version_is_answered_with_none(void **state)
{
	static const uint16_t foreign[] = { 9, 0, 9, 9 };
	struct bytes b = negotiation(1, 1, foreign);
	struct vmb_guest_ic_request r;
	struct vmb_guest_ic ic;

	vmb_guest_ic_init(&ic, VMB_IC_SHUTDOWN);
	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REPLY);
	assert_false(ic.negotiated);
	assert_int_equal(get16(&b, 28), 0);
	assert_int_equal(get16(&b, 30), 0);
	b = request(3, 40);
	assert_int_equal(take(&ic, &b, &r), VMB_EPROTO);
}

static void test_wrong_negotiations_are_dropped_and_change_nothing(void **state)
{
	static const struct {
		uint32_t offset;
		uint16_t value;
	} wrong[] = { { 0, 2 },	  { 4, 500 },  { 4, 19 },      { 18, 15 },
		      { 18, 60 }, { 28, 101 }, { 30, 0xFFFF }, { 28, 6 } };
	struct vmb_guest_ic_request r;
	struct vmb_guest_ic ic;
	struct bytes b, was;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(wrong); i++) {
		vmb_guest_ic_init(&ic, VMB_IC_SHUTDOWN);
		b = negotiation(2, 4, both);
		put16(&b, wrong[i].offset, wrong[i].value);
		was = b;
		assert_int_equal(take(&ic, &b, &r), VMB_EPROTO);
		assert_memory_equal(&b, &was, sizeof(b));
		assert_false(ic.negotiated);
		assert_int_equal(ic.malformed, 1);
	}
	for (b = negotiation(2, 4, both); b.len; b.len--) {
		vmb_guest_ic_init(&ic, VMB_IC_SHUTDOWN);
		was = b;
		if (b.len < HEADERS_LEN + 32)
			assert_int_equal(take(&ic, &was, &r), VMB_EPROTO);
	}
}

static void test_requests_need_a_negotiation_and_their_type(void **state)
{
	static const uint16_t v3[] = { 3, 0 };
	struct vmb_guest_ic ic = agreed(VMB_IC_HEARTBEAT, v3), fresh;
	struct bytes b = request(VMB_IC_HEARTBEAT, 40);
	struct vmb_guest_ic_request r;

	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REQUEST);
	assert_int_equal(r.body_len, 40);
	assert_ptr_equal(r.body, b.at + HEADERS_LEN);
	b = request(VMB_IC_SHUTDOWN, 40);
	assert_int_equal(take(&ic, &b, &r), VMB_EPROTO);
	assert_int_equal(ic.requests, 1);
	vmb_guest_ic_init(&fresh, VMB_IC_HEARTBEAT);
	b = request(VMB_IC_HEARTBEAT, 40);
	assert_int_equal(take(&fresh, &b, &r), VMB_EPROTO);
}

static void test_answer_is_the_request_with_status_and_flags(void **state)
{
	static const uint16_t v3[] = { 3, 0 };
	struct vmb_guest_ic ic = agreed(VMB_IC_HEARTBEAT, v3);
	struct bytes b = request(VMB_IC_HEARTBEAT, 40), was = b;
	struct vmb_guest_ic_request r;

	assert_int_equal(take(&ic, &b, &r), VMB_GUEST_IC_REQUEST);
	vmb_guest_ic_answer(b.at, VMB_IC_FAIL);
	was.at[20] = 5;
	was.at[21] = 0x40;
	was.at[23] = 0x80;
	was.at[25] = 5;
	assert_memory_equal(b.at, was.at, sizeof(b.at));
}

static void test_heartbeat_is_counted_on(void **state)
{
	uint8_t body[8] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0 };
	struct vmb_guest_ic_request r = { body, 8 };

	assert_int_equal(vmb_guest_ic_beat(&r), 0);
	assert_int_equal(body[7], 1);
	assert_int_equal(body[0], 0);
	r.body_len = 7;
	assert_int_equal(vmb_guest_ic_beat(&r), VMB_EPROTO);
}

static void test_shutdown_flags_are_values(void **state)
{
	static const struct {
		uint32_t flags;
		int result;
	} rows[] = { { 0, 0 },
		     { 1, 0 },
		     { 2, 2 },
		     { 3, 2 },
		     { 4, 4 },
		     { 5, 4 },
		     { 6, VMB_EOPNOTSUPP },
		     { 8, VMB_EOPNOTSUPP },
		     { 0x80000000u, VMB_EOPNOTSUPP } };
	uint32_t body[3] = { 0 };
	struct vmb_guest_ic_request r = { body, sizeof(body) };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		body[2] = rows[i].flags;
		assert_int_equal(vmb_guest_ic_shutdown(&r), rows[i].result);
	}
	r.body_len = 11;
	assert_int_equal(vmb_guest_ic_shutdown(&r), VMB_EPROTO);
}

static void test_time_of_both_layouts(void **state)
{
	static const uint16_t v3[] = { 3, 0 }, v4[] = { 4, 0 };
	uint8_t body[25] = { [0] = 5, [8] = 7, [16] = 1, [24] = 2 };
	struct vmb_guest_ic_request r = { body, 22 };
	struct vmb_guest_ic ic = agreed(VMB_IC_TIME, v4);
	struct vmb_guest_ic_time time;

	assert_int_equal(vmb_guest_ic_time(&ic, &r, &time), 0);
	assert_int_equal(time.utc, 5);
	assert_int_equal(time.reference, 7);
	assert_true(time.sync);
	assert_false(time.sample);
	assert_int_equal(vmb_guest_ic_time_at(&time, 10), 8);
	assert_int_equal(vmb_guest_ic_time_at(&time, 6), 5); /* a sample from the future */
	r.body_len = 21;
	assert_int_equal(vmb_guest_ic_time(&ic, &r, &time), VMB_EPROTO);
	ic = agreed(VMB_IC_TIME, v3);
	r.body_len = 25;
	assert_int_equal(vmb_guest_ic_time(&ic, &r, &time), 0);
	assert_int_equal(time.reference, 0);
	assert_false(time.sync);
	assert_true(time.sample);
	assert_int_equal(vmb_guest_ic_time_at(&time, 1000), 5);
	r.body_len = 24;
	assert_int_equal(vmb_guest_ic_time(&ic, &r, &time), VMB_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation_chooses_the_newest_of_both),
		cmocka_unit_test(test_old_host_gets_the_old_version),
		cmocka_unit_test(test_no_common_version_is_answered_with_none),
		cmocka_unit_test(test_wrong_negotiations_are_dropped_and_change_nothing),
		cmocka_unit_test(test_requests_need_a_negotiation_and_their_type),
		cmocka_unit_test(test_answer_is_the_request_with_status_and_flags),
		cmocka_unit_test(test_heartbeat_is_counted_on),
		cmocka_unit_test(test_shutdown_flags_are_values),
		cmocka_unit_test(test_time_of_both_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
