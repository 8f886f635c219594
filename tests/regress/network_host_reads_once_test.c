// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The send buffer and a packet's pages are the guest's to change at any time. Here each envelope
 * and each control message changes under the host as soon as it was read; all works as if nothing
 * had happened.
 */
#define VMB_PLATFORM_OVERRIDE "tests/spoiling_memory.h"
#include "host/network_send.c"

#include "tests/network_bed.h"

#define IP_SUM_AT  24u
#define TCP_SUM_AT 50u

static struct {
	uint8_t bytes[40][1514];
	uint32_t lens[40];
	uint32_t count, seen;
} expected;

/* A tag is put in, and the two checksums may be filled in. */
static void compare(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes, uint32_t len,
		    uint32_t mss)
{
	uint8_t *want = expected.bytes[expected.seen], frame[1518];

	assert_true(expected.seen < expected.count && len <= sizeof(frame));
	memcpy(frame, bytes, len);
	if (bytes[12] == 0x81 && bytes[13] == 0) {
		len -= 4;
		memcpy(frame + 12, bytes + 16, len - 12);
	}
	assert_int_equal(len, expected.lens[expected.seen]);
	memcpy(want + IP_SUM_AT, frame + IP_SUM_AT, 2);
	memcpy(want + TCP_SUM_AT, frame + TCP_SUM_AT, 2);
	assert_memory_equal(frame, want, len);
	expected.seen++;
}

/* Aggregates of frames with all kinds of per-packet information, the last one in pages. */
static void send_round(struct net_bed *b)
{
	struct vmb_guest_rndis_frame facts = { .vlan = 0x640, .hash = 7 };
	struct net_spec s = { .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_OPEN };
	struct net_shape shape = NET_INLINE;
	uint32_t i;

	expected.count = 1 + net_random(b, 40);
	expected.seen = 0;
	for (i = 0; i < expected.count; i++) {
		s.len = expected.lens[i] = 54 + net_random(b, 1461);
		s.flow = i;
		net_frame_make(expected.bytes[i], &s);
		facts.checksum = net_facts(&s, 0).checksum;
		facts.present = net_random(b, 2) * VMB_GUEST_RNDIS_CHECKSUM |
				net_random(b, 2) * VMB_GUEST_RNDIS_VLAN |
				net_random(b, 2) * VMB_GUEST_RNDIS_HASH;
		shape.more = i + 1 < expected.count;
		shape.inline_len = shape.more ? UINT32_MAX : net_random(b, 100);
		assert_int_equal(net_send_bytes(b, 0, facts, expected.bytes[i], s.len, shape), 0);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(expected.seen, expected.count);
}

static void test_host_reads_what_the_guest_lent_once(void **state)
{
	struct vmb_user_network_config config = { .host.wire = compare };
	struct net_bed *b = net_new_open(config);
	uint64_t of_handshake = spoilt_len;
	uint32_t i;

	assert_true(of_handshake > 200);
	for (i = 0; i < 200; i++)
		send_round(b);
	assert_true(spoilt_len - of_handshake > 200 * sizeof(struct rndis_packet));
	assert_int_equal(b->sent_bad, 0);
	net_expect_quiet(b);
	net_expect_agreement(b);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_reads_what_the_guest_lent_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
