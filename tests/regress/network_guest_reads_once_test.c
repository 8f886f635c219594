// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drivers judged lengths in the receive buffer and then read them again. Here each envelope and
 * each control message changes under the guest as soon as it was read; all works as if nothing had
 * happened.
 */
#define VMB_PLATFORM_OVERRIDE "tests/spoiling_memory.h"
#include "guest/network_control.c"
#include "guest/network_receive.c"

#include "tests/network_bed.h"

static void test_guest_reads_the_receive_buffer_once(void **state)
{
	struct vmb_user_network_config config = { .guest = { .queue_count = 3, .rsc = true } };
	struct net_bed *b = net_new_open(config);
	uint64_t of_handshake = spoilt_len;
	static uint8_t bytes[9000];
	struct net_spec spec = { .len = sizeof(bytes), .ip = 4, .protocol = NET_TCP };
	uint32_t i;

	assert_true(of_handshake > 200);
	net_expect_traffic(b, 60);
	assert_true(spoilt_len - of_handshake >= 60 * sizeof(struct rndis_packet));
	for (i = 0; i < 20; i++) {
		spec.flow = i;
		net_frame_make(bytes, &spec);
		memcpy(bytes, net_guest_mac, 6);
		assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 1400), 0);
		assert_int_equal(b->received.count, 1);
		assert_int_equal(b->received.list[0].len, sizeof(bytes));
		assert_memory_equal(b->received.list[0].bytes, bytes, sizeof(bytes));
		net_forget(b);
	}
	net_expect_agreement(b);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_reads_the_receive_buffer_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
