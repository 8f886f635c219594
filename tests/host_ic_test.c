// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of a host's integration services, written out from docs/protocol/integration.md: what
 * it sends, and in which order it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/ic.h"

static struct vmb_host_ic ic;

static const uint8_t *expect_output(uint32_t expected)
{
	uint32_t len;
	const uint8_t *packet = vmb_host_ic_output(&ic, &len);

	assert_non_null(packet);
	assert_int_equal(len, expected);
	assert_ptr_equal(vmb_host_ic_output(&ic, &len), packet); /* a look does not take it */
	vmb_host_ic_output_done(&ic);
	assert_null(vmb_host_ic_output(&ic, &len));
	return packet;
}

/* framework, message: major versions; what is in the ring is padded to 8. */
static int answer_negotiation(uint8_t framework, uint8_t message, uint8_t minor)
{
	uint8_t packet[48] = { 1, [4] = 36, [18] = 16, [25] = 5, [28] = 1, [30] = 1 };
	struct vmb_host_ic_answer answer;

	packet[36] = framework;
	packet[40] = message;
	packet[42] = minor;
	return vmb_host_ic_input(&ic, packet, sizeof(packet), &answer);
}

static void begin(enum vmb_ic_type type, uint8_t message, uint8_t minor)
{
	uint32_t len;

	vmb_host_ic_init(&ic, type, VMB_VERSION_NEWEST);
	vmb_host_ic_reset(&ic);
	assert_non_null(vmb_host_ic_output(&ic, &len));
	vmb_host_ic_output_done(&ic);
	assert_int_equal(answer_negotiation(3, message, minor), VMB_HOST_IC_READY);
}

static void test_negotiation_offers_all_versions_of_a_new_host(void **state)
{
	static const uint8_t expected[] = {
		1, 0, 0, 0, 52, 0, 0, 0, /* pipe: data, 20 + 32 bytes */
		0, 0, 0, 0, 0,	0, 0, 0, 0, 0, 32, 0, /* no versions yet; body of 8 + 6 * 4 */
		0, 0, 0, 0, 0,	3, 0, 0, /* status, transaction 0, request */
		2, 0, 4, 0, 0,	0, 0, 0, /* counts */
		1, 0, 0, 0, 3,	0, 0, 0, /* frameworks */
		1, 0, 0, 0, 3,	0, 0, 0, 3, 0, 1,  0, 3, 0, 2, 0, /* shutdown */
	};

	vmb_host_ic_init(&ic, VMB_IC_SHUTDOWN, VMB_VERSION_NEWEST);
	vmb_host_ic_reset(&ic);
	assert_memory_equal(expect_output(sizeof(expected)), expected, sizeof(expected));
}

static void test_negotiation_of_the_oldest_host_has_one_of_each(void **state)
{
	const uint8_t *packet;

	vmb_host_ic_init(&ic, VMB_IC_TIME, VMB_VERSION_0_13);
	vmb_host_ic_reset(&ic);
	packet = expect_output(28 + 16);
	assert_int_equal(packet[28], 1);
	assert_int_equal(packet[30], 1);
	assert_int_equal(answer_negotiation(1, 3, 0), VMB_EPROTO); /* not offered */
}

static void test_heartbeat_bytes(void **state)
{
	static const uint8_t headers[] = {
		1,  0, 0, 0, 60, 0, 0, 0, 3, 0, 0, 0, 1, 0, 3, 0, 0, 0,
		40, 0, 0, 0, 0,	 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	};
	uint8_t packet[72] = { 0 };
	struct vmb_host_ic_answer answer;

	begin(VMB_IC_HEARTBEAT, 3, 0);
	assert_int_equal(vmb_host_ic_beat(&ic), 0);
	assert_int_equal(vmb_host_ic_beat(&ic), VMB_EAGAIN); /* one at a time */
	memcpy(packet, expect_output(68), 68);
	assert_memory_equal(packet, headers, sizeof(headers));
	assert_int_equal(vmb_host_ic_beat(&ic), VMB_EAGAIN);
	packet[25] = 5;
	packet[28] = 2;
	assert_int_equal(vmb_host_ic_input(&ic, packet, sizeof(packet), &answer),
			 VMB_HOST_IC_ANSWERED);
	assert_true(vmb_host_ic_beat_answered(&ic, &answer));
	packet[28] = 7;
	answer.body = packet + 28;
	assert_false(vmb_host_ic_beat_answered(&ic, &answer));
	answer.body_len = 7;
	assert_false(vmb_host_ic_beat_answered(&ic, &answer));
}

static void test_time_bytes(void **state)
{
	const uint8_t *packet;

	begin(VMB_IC_TIME, 4, 0);
	assert_int_equal(vmb_host_ic_time(&ic, 0x0102030405060708ull, 9, VMB_IC_TIME_SYNC), 0);
	packet = expect_output(28 + 24);
	assert_int_equal(packet[12], 4);
	assert_int_equal(packet[28], 8);
	assert_int_equal(packet[35], 1);
	assert_int_equal(packet[36], 9);
	assert_int_equal(packet[44], 1);
	begin(VMB_IC_TIME, 3, 0);
	assert_int_equal(vmb_host_ic_time(&ic, 1, 9, VMB_IC_TIME_SAMPLE), 0);
	packet = expect_output(28 + 25);
	assert_int_equal(packet[28], 1);
	assert_int_equal(packet[36], 0); /* no reference in it */
	assert_int_equal(packet[52], 2);
}

static void test_shutdown_bytes_and_versions(void **state)
{
	struct vmb_ic_shutdown body;
	const uint8_t *at = (const uint8_t *)&body;

	assert_int_equal(vmb_host_ic_shutdown(0x30000, 3, 60, &body), VMB_EOPNOTSUPP);
	assert_int_equal(vmb_host_ic_shutdown(0x30001, 4, 60, &body), VMB_EOPNOTSUPP);
	assert_int_equal(vmb_host_ic_shutdown(0x30002, 5, 60, &body), 0);
	assert_int_equal(vmb_host_ic_shutdown(0x30001, 3, 60, &body), 0);
	assert_int_equal(sizeof(body), 2060);
	assert_int_equal(at[3], 0x80);
	assert_int_equal(at[4], 60);
	assert_int_equal(at[8], 3);
}

static void test_answer_needs_a_request_that_was_sent(void **state)
{
	uint8_t packet[72] = { 1, [4] = 60, [8] = 3, [12] = 1, [14] = 3, [18] = 40, [25] = 5 };
	struct vmb_host_ic_answer answer;
	uint32_t len;

	begin(VMB_IC_HEARTBEAT, 3, 0);
	assert_int_equal(vmb_host_ic_input(&ic, packet, sizeof(packet), &answer), VMB_EPROTO);
	assert_int_equal(vmb_host_ic_beat(&ic), VMB_EAGAIN);
	begin(VMB_IC_HEARTBEAT, 3, 0);
	assert_int_equal(vmb_host_ic_beat(&ic), 0);
	assert_int_equal(vmb_host_ic_input(&ic, packet, sizeof(packet), &answer), VMB_EPROTO);
	assert_null(vmb_host_ic_output(&ic, &len));
	vmb_host_ic_reset(&ic); /* the channel is opened again */
	expect_output(28 + 8 + 16);
	assert_int_equal(answer_negotiation(3, 3, 0), VMB_HOST_IC_READY);
	assert_int_equal(vmb_host_ic_beat(&ic), 0);
}

static void test_body_that_is_too_long_is_refused(void **state)
{
	static const uint8_t body[VMB_IC_BODY_LEN_MAX + 1];

	begin(VMB_IC_HEARTBEAT, 3, 0);
	assert_int_equal(vmb_host_ic_request(&ic, body, sizeof(body)), VMB_EINVAL);
	assert_int_equal(vmb_host_ic_request(&ic, body, sizeof(body) - 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation_offers_all_versions_of_a_new_host),
		cmocka_unit_test(test_negotiation_of_the_oldest_host_has_one_of_each),
		cmocka_unit_test(test_heartbeat_bytes),
		cmocka_unit_test(test_time_bytes),
		cmocka_unit_test(test_shutdown_bytes_and_versions),
		cmocka_unit_test(test_answer_needs_a_request_that_was_sent),
		cmocka_unit_test(test_body_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
