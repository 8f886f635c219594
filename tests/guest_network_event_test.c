// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Network: what the host says unasked, in-band and as indications; and what offload it has. */
#include "tests/guest_network_bed.h"

/* An indication with data_len bytes at b->in + 20. */
static int status(struct bench *b, uint32_t code, uint32_t data_len)
{
	put(b->in, 0, 7, 4);
	put(b->in, 4, 20 + data_len, 4);
	put(b->in, 8, code, 4);
	put(b->in, 12, data_len, 4);
	put(b->in, 16, 12, 4);
	return indicate(b, 20 + data_len);
}

/* ---- indications ---- */

static void test_link_changes_are_told(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	assert_int_equal(status(&b, 0x4001000B, 0), 0);
	assert_event(&b, NOTHING); /* it is up */
	assert_int_equal(status(&b, 0x4001000C, 0), 0);
	assert_event(&b, LINK_CHANGED);
	assert_false(b.n.agreed.link_up);
	assert_int_equal(status(&b, 0x4001000C, 0), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(status(&b, 0x4001000B, 0), 0);
	assert_event(&b, LINK_CHANGED);
	assert_true(b.n.agreed.link_up);
}

static void test_speed_and_network_changes_are_told(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	put(b.in, 20, 12345, 4);
	assert_int_equal(status(&b, 0x40010013, 4), 0);
	assert_event(&b, SPEED_CHANGED);
	assert_int_equal(b.n.agreed.link_speed, 12345);
	assert_int_equal(status(&b, 0x40010013, 3), VMB_EPROTO);
	assert_int_equal(status(&b, 0x40010013, 0), VMB_EPROTO);
	assert_int_equal(b.n.agreed.link_speed, 12345);
	assert_int_equal(status(&b, 0x40010018, 0), 0);
	assert_event(&b, NETWORK_CHANGED);
	assert_int_equal(status(&b, 0x40010099, 0), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(b.n.counters.unknown, 1);
	assert_int_equal(b.n.counters.malformed, 2);
}

static void test_offload_changes_are_told(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	memcpy(b.in + 20, b.host.offload, 156);
	put(b.in + 20, 8, 0, 4); /* no IPv4 checksums to be sent */
	assert_int_equal(status(&b, 0x40020006, 156), 0);
	assert_event(&b, OFFLOAD_CHANGED);
	assert_int_equal(b.n.agreed.offload, VMB_GUEST_NETWORK_TX_TCP6 | VMB_GUEST_NETWORK_TX_UDP6 |
						     VMB_GUEST_NETWORK_RX_CHECKSUM |
						     VMB_GUEST_NETWORK_LSO6 |
						     VMB_GUEST_NETWORK_RSC);
	assert_int_equal(b.n.agreed.offload_caps, 0x1FF);
	memset(b.in + 20, 0, 156);
	assert_int_equal(status(&b, 0x40020006, 156), VMB_EPROTO);
	memcpy(b.in + 20, b.host.offload, 156);
	assert_int_equal(status(&b, 0x40020006, 155), VMB_EPROTO);
	assert_int_equal(status(&b, 0x40020006, 111), VMB_EPROTO);
	assert_int_equal(status(&b, 0x40020006, 0), VMB_EPROTO);
	/* What was no capability cannot be on. */
	b.n.agreed.offload_caps = VMB_GUEST_NETWORK_TX_TCP4;
	memcpy(b.in + 20, b.host.offload, 156);
	assert_int_equal(status(&b, 0x40020006, 156), 0);
	assert_int_equal(b.n.agreed.offload, VMB_GUEST_NETWORK_TX_TCP4);
}

static void test_indications_before_ready_change_fields_only(void **state)
{
	struct bench b;
	uint32_t steps = 0;

	bench_init(&b, 0x60001);
	bench_start(&b);
	while (next_output(&b)) {
		vmb_guest_network_output_done(&b.n);
		if (b.n.agreed.suballoc_count) {
			assert_int_equal(status(&b, 0x4001000C, 0), 0);
			assert_event(&b, NOTHING);
			assert_false(b.n.agreed.link_up);
			assert_int_equal(status(&b, 0x40010018, 0), 0);
			assert_event(&b, NOTHING);
			steps++;
		}
		assert_int_equal(host_answer(&b), 0);
	}
	assert_int_equal(steps, 10);
	assert_event(&b, IS_READY);
	assert_false(b.n.agreed.link_up); /* as it was said after the answer */
}

static void test_control_message_is_alone_in_its_packet(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	put(say(&b, 7), 4, 20, 4);
	put(b.in, 8, 0x4001000C, 4);
	memcpy(bench_rx, b.in, 20);
	begin_packet(&b, 1);
	add_range(&b, 0, 20);
	add_range(&b, 0, 20);
	assert_int_equal(receive(&b), VMB_GUEST_NETWORK_CONTROL);
	assert_int_equal(vmb_guest_network_control(&b.n, &b.r, &b.event), VMB_EPROTO);
	assert_true(b.n.agreed.link_up);
	/* A whole suballocation may be claimed for it. */
	begin_packet(&b, 1);
	add_range(&b, 0, SUBALLOC_LEN);
	assert_int_equal(receive(&b), VMB_GUEST_NETWORK_CONTROL);
	assert_int_equal(vmb_guest_network_control(&b.n, &b.r, &b.event), 0);
	assert_event(&b, LINK_CHANGED);
}

static int control_range(struct bench *b, uint32_t offset, uint32_t len)
{
	begin_packet(b, 1);
	add_range(b, offset, len);
	assert_int_equal(receive(b), VMB_GUEST_NETWORK_CONTROL);
	return vmb_guest_network_control(&b->n, &b->r, &b->event);
}

static void test_control_range_is_judged(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	put(say(&b, 7), 4, 20, 4);
	put(b.in, 8, 0x4001000C, 4);
	memcpy(bench_rx + RX_LEN - 20, b.in, 20);
	assert_int_equal(control_range(&b, RX_LEN - 20, 21), VMB_EPROTO);
	assert_int_equal(control_range(&b, RX_LEN - 20, 19), VMB_EPROTO);
	assert_int_equal(control_range(&b, RX_LEN - 20, 7), VMB_EPROTO);
	assert_int_equal(control_range(&b, RX_LEN - 20, 0), VMB_EPROTO);
	assert_int_equal(control_range(&b, RX_LEN, 20), VMB_EPROTO);
	assert_int_equal(control_range(&b, 0xFFFFFFF0, 20), VMB_EPROTO);
	assert_int_equal(control_range(&b, 20, 0xFFFFFFF0), VMB_EPROTO);
	assert_int_equal(control_range(&b, 0, RX_LEN + 1), VMB_EPROTO);
	assert_int_equal(b.n.counters.malformed, 8);
	assert_true(b.n.agreed.link_up);
	assert_int_equal(control_range(&b, RX_LEN - 20, 20), 0);
	assert_false(b.n.agreed.link_up);
}

/* ---- the send table ---- */

/* A table message of len bytes that names `offset`; entries at `at` count up from 7. */
static int table(struct bench *b, uint32_t count, uint32_t offset, uint32_t at, uint32_t len)
{
	uint32_t i;

	put(say(b, 134), 4, count, 4);
	put(b->in, 8, offset, 4);
	for (i = 0; i < 16; i++)
		put(b->in, at + 4 * i, 7 + i, 4);
	return deliver(b, INBAND, 0, len);
}

static void expect_table(struct bench *b)
{
	uint32_t i;

	assert_event(b, TABLE_CHANGED);
	for (i = 0; i < 16; i++)
		assert_int_equal(b->n.agreed.send_table[i], (7 + i) % 3);
}

static void ready_three(struct bench *b, uint32_t version)
{
	bench_init(b, version);
	b->config.queue_count = 3;
	b->host.sub_channels = 2;
	bench_ready(b);
}

static void test_table_is_read_where_it_stands(void **state)
{
	struct bench b;

	ready_three(&b, 0x50000);
	assert_int_equal(table(&b, 16, 12, 12, 76), 0);
	expect_table(&b);
	assert_int_equal(table(&b, 16, 12, 12, 103), 0);
	expect_table(&b);
	assert_int_equal(table(&b, 16, 20, 20, 84), 0);
	expect_table(&b);
	/* Old hosts name 12 and write at 40. */
	assert_int_equal(table(&b, 16, 12, 40, 104), 0);
	expect_table(&b);
	ready_three(&b, 0x60000);
	assert_int_equal(table(&b, 16, 12, 40, 104), 0);
	expect_table(&b);
	/* New ones mean what they say. */
	ready_three(&b, 0x60001);
	assert_int_equal(table(&b, 16, 12, 12, 104), 0);
	expect_table(&b);
	assert_int_equal(table(&b, 16, 40, 40, 104), 0);
	expect_table(&b);
	assert_int_equal(table(&b, 16, 200, 200, 264), 0);
	expect_table(&b);
}

static void test_bad_table_is_refused(void **state)
{
	struct bench b;
	uint16_t before[16];

	ready_three(&b, 0x60001);
	memcpy(before, b.n.agreed.send_table, sizeof(before));
	assert_int_equal(table(&b, 15, 12, 12, 76), VMB_EPROTO);
	assert_int_equal(table(&b, 17, 12, 12, 80), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 11, 12, 76), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 13, 13, 76), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 0xFFFFFFFF, 12, 76), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 0, 12, 76), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 12, 12, 75), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 12, 12, 11), VMB_EPROTO);
	assert_int_equal(table(&b, 16, 12, 12, 4), VMB_EPROTO);
	assert_int_equal(b.n.counters.malformed, 9);
	assert_memory_equal(b.n.agreed.send_table, before, sizeof(before));
}

static void test_table_without_sub_channels_is_all_primary(void **state)
{
	struct bench b;
	uint32_t i;

	bench_init(&b, 0x50000);
	b.config.queue_count = 1;
	bench_ready(&b);
	assert_int_equal(table(&b, 16, 12, 12, 76), 0);
	for (i = 0; i < 16; i++)
		assert_int_equal(b.n.agreed.send_table[i], 0);
}

/* ---- virtual functions ---- */

static int vf(struct bench *b, uint32_t allocated, uint32_t serial, uint32_t len)
{
	put(say(b, 128), 4, allocated, 4);
	put(b->in, 8, serial, 4);
	return deliver(b, INBAND, 0x8000000000000000, len);
}

static void test_virtual_function_comes_and_goes(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x40000);
	assert_int_equal(vf(&b, 0, 0, 12), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(vf(&b, 1, 5, 12), 0);
	assert_event(&b, VF_CHANGED);
	assert_true(b.n.agreed.vf_allocated);
	assert_int_equal(b.n.agreed.vf_serial, 5);
	assert_int_equal(vf(&b, 1, 5, 28), 0);
	assert_event(&b, NOTHING); /* again */
	assert_int_equal(vf(&b, 1, 6, 12), 0);
	assert_event(&b, VF_CHANGED);
	assert_int_equal(vf(&b, 0, 6, 12), 0);
	assert_event(&b, VF_CHANGED);
	assert_false(b.n.agreed.vf_allocated);
	assert_int_equal(vf(&b, 0, 9, 12), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(vf(&b, 1, 5, 11), VMB_EPROTO);
	assert_false(b.n.agreed.vf_allocated);
}

/*
 * DPDK breaks when it comes before READY; docs/protocol/network.md, "12 Link, VF and data path"
 * says that hosts may send it then.
 */
static void test_virtual_function_before_ready_is_remembered(void **state)
{
	struct bench b;

	bench_init(&b, 0x60001);
	bench_start(&b);
	bench_until_oid(&b, 0x10106);
	assert_int_equal(vf(&b, 1, 5, 12), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(host_answer(&b), 0);
	bench_finish(&b);
	assert_event(&b, IS_READY);
	assert_true(b.n.agreed.vf_allocated);
	assert_int_equal(b.n.agreed.vf_serial, 5);
}

/* ---- other in-band messages ---- */

static void test_unknown_messages_are_dropped(void **state)
{
	static const uint32_t types[] = { 0, 2, 107, 108, 129, 130, 133, 135, 136, 0xFFFFFFFF };
	struct bench b;
	uint32_t i;

	bench_ready_with(&b, 0x60001);
	for (i = 0; i < 10; i++) {
		say(&b, types[i]);
		assert_int_equal(deliver(&b, INBAND, 0, 40), 0);
		assert_event(&b, NOTHING);
	}
	assert_int_equal(b.n.counters.unknown, 10);
	for (i = 0; i < 4; i++)
		assert_int_equal(deliver(&b, INBAND, 0, i), VMB_EPROTO);
	bench_ready_with(&b, 0x30002);
	assert_int_equal(vf(&b, 1, 5, 12), 0);
	assert_false(b.n.agreed.vf_allocated);
	bench_ready_with(&b, 0x40000);
	assert_int_equal(table(&b, 16, 12, 12, 76), 0);
	assert_event(&b, NOTHING);
	assert_int_equal(b.n.counters.unknown, 1);
}

static void test_sub_channels_have_no_messages(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60001);
	put(say(&b, 128), 4, 1, 4);
	assert_int_equal(deliver_to(&b, &b.q1, INBAND, 0, 12), VMB_EPROTO);
	assert_false(b.n.agreed.vf_allocated);
	assert_int_equal(b.q1.counters.malformed, 1);
}

/* ---- offload ---- */

/* A handshake in which the host's capabilities have this byte changed. */
static uint32_t caps(struct bench *b, uint32_t version, uint32_t offset, uint32_t value)
{
	bench_init(b, version);
	put(b->host.offload, offset, value, offset == 144 ? 2 : 4);
	bench_ready(b);
	return b->n.agreed.offload_caps;
}

static void test_capabilities_are_understood(void **state)
{
	struct bench b;

	assert_int_equal(caps(&b, 0x60001, 4, 2), 0x1FF);
	assert_int_equal(b.n.agreed.lso_len_max, 0xF53C);
	assert_int_equal(b.n.agreed.lso_segments_min, 2);
	assert_int_equal(b.n.agreed.offload, 0x1FF);
	assert_int_equal(caps(&b, 0x60000, 4, 2), 0xFF); /* RSC is for 6.1 */
	assert_int_equal(caps(&b, 0x60001, 4, 1), 0x1FF & ~0x47u); /* not for 802.3 */
	assert_int_equal(caps(&b, 0x60001, 20, 1), 0x1FF & ~0x98u);
	assert_int_equal(b.n.agreed.lso_len_max, 0xF53C);
	assert_int_equal(caps(&b, 0x60001, 8, 0x151), 0x1FF & ~0x42u); /* no TCP options */
	assert_int_equal(caps(&b, 0x60001, 8, 0x55), 0x1FF & ~0x01u);
	assert_int_equal(caps(&b, 0x60001, 8, 0x114), 0x1FF & ~0x04u);
	assert_int_equal(caps(&b, 0x60001, 24, 0x54), 0x1FF & ~0x88u); /* no extension headers */
	assert_int_equal(caps(&b, 0x60001, 24, 0x15), 0x1FF & ~0x10u);
	assert_int_equal(caps(&b, 0x60001, 80, 0), 0x1FF & ~0x40u);
	assert_int_equal(caps(&b, 0x60001, 84, 1500), 0x1FF & ~0x40u);
	assert_int_equal(caps(&b, 0x60001, 84, 1501), 0x1FF);
	assert_int_equal(b.n.agreed.lso_len_max, 1501);
	assert_int_equal(caps(&b, 0x60001, 96, 0xFFFFFFFF), 0x1FF);
	assert_int_equal(b.n.agreed.lso_len_max, 0xF53C);
	assert_int_equal(caps(&b, 0x60001, 88, 17), 0x1FF & ~0x40u);
	assert_int_equal(caps(&b, 0x60001, 100, 16), 0x1FF);
	assert_int_equal(b.n.agreed.lso_segments_min, 16);
	assert_int_equal(caps(&b, 0x60001, 104, 4), 0x1FF & ~0x80u);
	assert_int_equal(caps(&b, 0x60001, 104, 1), 0x1FF & ~0x80u);
	assert_int_equal(caps(&b, 0x60001, 144, 0x0001), 0xFF);
	assert_int_equal(caps(&b, 0x60001, 144, 0x0100), 0xFF);
}

static void test_bad_capabilities_are_none(void **state)
{
	struct bench b;

	assert_int_equal(caps(&b, 0x60001, 0, 0xA8 | 3 << 8 | 156 << 16), 0);
	assert_int_equal(caps(&b, 0x60001, 0, 0xA7 | 3 << 8 | 157 << 16), 0);
	assert_int_equal(caps(&b, 0x60001, 0, 0xA7 | 3 << 8 | 111 << 16), 0);
	assert_int_equal(b.asked_count, 6); /* and nothing is set */
	assert_int_equal(caps(&b, 0x60001, 0, 0xA7 | 1 << 8 | 112 << 16), 0xFF);
	assert_int_equal(caps(&b, 0x60001, 0, 0xA7 | 3 << 8 | 145 << 16), 0xFF); /* half of RSC */
	bench_init(&b, 0x60001);
	b.host.offload_len = 111;
	bench_ready(&b);
	assert_int_equal(b.n.agreed.offload_caps, 0);
	assert_int_equal(b.n.agreed.lso_len_max, 0);
	bench_init(&b, 0x60001);
	put(b.host.offload, 0, 0xA7 | 1 << 8 | 112 << 16, 4);
	b.host.offload_len = 112;
	put(b.host.offload, 80, 0, 4);
	put(b.host.offload, 92, 0, 4);
	bench_ready(&b);
	assert_int_equal(b.n.agreed.offload_caps, 0x3F);
	assert_int_equal(b.n.agreed.lso_len_max, 0); /* no large sends */
	bench_init(&b, 0x60001);
	b.host.offload_len = 200; /* a newer revision goes on */
	put(b.host.offload, 2, 200, 2);
	bench_ready(&b);
	assert_int_equal(b.n.agreed.offload_caps, 0x1FF);
}

static void expect_parameters(struct bench *b, const uint8_t *bytes, uint32_t len)
{
	assert_int_equal(get(b->rndis, 16, 4), len);
	assert_memory_equal(b->rndis + 28, bytes, len);
}

static void test_parameters_are_what_the_reference_says(void **state)
{
	/* checksums 4 (both), LSO 2 (on), RSC 2 */
	static const uint8_t all[28] = { 0x80, 3, 28, 0, 4, 4, 4, 4, 4, 0, 0, 2, 2, 0,
					 0,    0, 0,  0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0 };
	static const uint8_t old[22] = { 0x80, 2, 22, 0, 4, 4, 4, 4, 4, 0, 0,
					 2,    2, 0,  0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t no_rsc[28] = { 0x80, 3, 28, 0, 4, 4, 4, 4, 4, 0, 0, 2, 2, 0,
					    0,	  0, 0,	 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const struct {
		uint32_t version;
		const uint8_t *bytes;
		uint32_t len;
	} wanted[] = { { 0x60001, all, 28 }, { 0x60000, no_rsc, 28 }, { 0x50000, no_rsc, 28 },
		       { 0x40000, old, 22 }, { 0x30002, old, 22 },    { 2, old, 22 } };
	struct bench b;
	uint32_t i;

	for (i = 0; i < 6; i++) {
		bench_init(&b, wanted[i].version);
		bench_start(&b);
		bench_until_oid(&b, 0xFC01020C);
		assert_int_equal(get(b.rndis, 0, 4), 5);
		expect_parameters(&b, wanted[i].bytes, wanted[i].len);
	}
}

static int set_offload(struct bench *b, uint32_t offload, uint32_t status_code)
{
	int err = vmb_guest_network_set_offload(&b->n, offload);

	if (err)
		return err;
	expect_oid(b, 5, 0xFC01020C);
	assert_int_equal(taken(b), 0);
	assert_int_equal(reply(b, status_code, 0), 0);
	assert_event(b, ANSWERED);
	return 0;
}

static void test_offload_is_switched(void **state)
{
	static const uint8_t off[28] = { 0x80, 3, 28, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0,
					 0,    0, 0,  0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0 };
	static const uint8_t some[28] = { 0x80, 3, 28, 0, 1, 2, 1, 1, 2, 0, 0, 2, 1, 0,
					  0,	0, 0,  0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0 };
	static const uint8_t rx[28] = { 0x80, 3, 28, 0, 3, 3, 1, 3, 3, 0, 0, 1, 1, 0,
					0,    0, 0,  0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0 };
	struct bench b;

	bench_init(&b, 0x60001);
	put(b.host.offload, 16, 0x115, 4); /* no UDP/IPv4 checksums on receive */
	bench_ready(&b);
	assert_int_equal(set_offload(&b, 0, SUCCESS), 0);
	expect_parameters(&b, off, 28);
	assert_int_equal(b.n.agreed.offload, 0);
	assert_int_equal(set_offload(&b, 0x52, SUCCESS), 0);
	expect_parameters(&b, some, 28);
	assert_int_equal(b.n.agreed.offload, 0x52);
	assert_int_equal(set_offload(&b, 0x20, NOT_SUPPORTED), 0);
	expect_parameters(&b, rx, 28);
	assert_int_equal(b.n.agreed.offload, 0x52);
}

static void test_offload_that_is_not_there_is_refused(void **state)
{
	struct bench b;

	bench_ready_with(&b, 0x60000);
	assert_int_equal(set_offload(&b, 0x100, SUCCESS), VMB_EINVAL); /* RSC */
	assert_int_equal(set_offload(&b, 0x200, SUCCESS), VMB_EINVAL);
	assert_int_equal(set_offload(&b, 0x40, SUCCESS), VMB_EINVAL); /* LSO without checksums */
	assert_int_equal(set_offload(&b, 0x82, SUCCESS), VMB_EINVAL);
	assert_int_equal(set_offload(&b, 0xCA, SUCCESS), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_changes_are_told),
		cmocka_unit_test(test_speed_and_network_changes_are_told),
		cmocka_unit_test(test_offload_changes_are_told),
		cmocka_unit_test(test_indications_before_ready_change_fields_only),
		cmocka_unit_test(test_control_message_is_alone_in_its_packet),
		cmocka_unit_test(test_control_range_is_judged),
		cmocka_unit_test(test_table_is_read_where_it_stands),
		cmocka_unit_test(test_bad_table_is_refused),
		cmocka_unit_test(test_table_without_sub_channels_is_all_primary),
		cmocka_unit_test(test_virtual_function_comes_and_goes),
		cmocka_unit_test(test_virtual_function_before_ready_is_remembered),
		cmocka_unit_test(test_unknown_messages_are_dropped),
		cmocka_unit_test(test_sub_channels_have_no_messages),
		cmocka_unit_test(test_capabilities_are_understood),
		cmocka_unit_test(test_bad_capabilities_are_none),
		cmocka_unit_test(test_parameters_are_what_the_reference_says),
		cmocka_unit_test(test_offload_is_switched),
		cmocka_unit_test(test_offload_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
