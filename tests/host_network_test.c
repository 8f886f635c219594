// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network protocol's host side: versions, handshake, every message in every state, guests with their
 * peculiarities. Numbers are those of the protocol reference, network sections 2 to 5 and 11 to 16.
 */
#include "tests/host_network_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct nic nic;

static int start(void **state)
{
	const struct vmb_host_network_config config = nic_config();

	nic_start(&nic, &config);
	*state = &nic;
	return 0;
}

static int end(void **state)
{
	nic_end(*state);
	return 0;
}

static void test_linux_order_gets_ready_and_moves_frames(void **state)
{
	struct nic *nic = *state;
	const uint32_t filter = 0x0D;
	uint8_t message[512], frame[100];
	struct vmb_host_network_received received = { .len = 77, .checksum = 0x28 };
	struct vmb_host_offload_piece pieces[2];
	const struct vmb_host_network_output *out;
	uint32_t len, i;

	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	nic_open(nic, 0x60001, 1514, 0xA8);
	nic_initialize(nic);
	assert_int_equal(nic_query(nic, 0x00010106, NULL, 0, &len), 0);
	assert_int_equal(len, 4);
	assert_int_equal(nic_get32(nic->answer + 24), 1500);
	assert_int_equal(nic_query(nic, 0x01010101, NULL, 0, &len), 0);
	assert_int_equal(len, 6);
	assert_memory_equal(nic->answer + 24, "\x00\x15\x5D\x01\x02\x03", 6);
	assert_int_equal(nic_set(nic, 0x0001010E, &filter, 4), 0);

	len = nic_wrap(message, NULL, 0, frame, sizeof(frame));
	assert_int_equal(nic_send(nic, 0, message, len, 1), 1);
	assert_int_equal(nic->frame_count, 1);
	assert_int_equal(nic->frames[0].frame.rndis.len, sizeof(frame));
	assert_memory_equal(nic->frames[0].bytes, frame, sizeof(frame));

	pieces[0].base = frame;
	pieces[0].len = 30;
	pieces[1].base = frame + 30;
	pieces[1].len = 47;
	assert_int_equal(vmb_host_network_receive(&nic->n, 0, &received, pieces, 2), 0);
	out = vmb_host_network_output(&nic->n, 0);
	assert_non_null(out);
	assert_int_equal(out->type, 7);
	assert_int_equal(out->header.pages.set_id, 0xCAFE);
	assert_int_equal(out->header.pages.range_count, 1);
	assert_int_equal(out->header.ranges[0].byte_count, 256 + 77);
	assert_int_equal(nic_get32(out->payload + 4), 0);
	assert_memory_equal(nic->receive_buffer + out->header.ranges[0].byte_offset + 256, frame,
			    77);
	vmb_host_network_output_done(&nic->n, 0);
	nic_ack(nic, 0, out->transaction_id);
	assert_int_equal(nic->n.counters.forged, 0);
	assert_int_equal(nic->n.free_count, nic->n.suballoc_count);
	assert_null(vmb_host_network_output(&nic->n, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_linux_order_gets_ready_and_moves_frames, start,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
