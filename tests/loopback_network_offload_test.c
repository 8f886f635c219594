// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a card does to frames besides moving them, seen from both ends: checksums, large sends, VLAN
 * tags, coalescing, hashes and queues. All that leaves is judged by a sink that knows nothing but
 * the RFCs: docs/known-bugs.md, "38 Checksum and TSO through TAP".
 */
#include "tests/network_bed.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_CWR 0x80u

static struct net_spec random_spec(struct net_bed *b)
{
	struct net_spec s = { .ip = net_random(b, 2) ? 4 : 6,
			      .protocol = net_random(b, 2) ? NET_TCP : NET_UDP,
			      .flow = net_random(b, 60000),
			      .sequence = net_random(b, 1u << 30),
			      .options_len = 4 * net_random(b, 11),
			      .tcp_options_len = 4 * net_random(b, 11),
			      .checksums = net_random(b, 2) ? NET_CHECKSUMS_OPEN :
							      NET_CHECKSUMS_JUNK };
	uint32_t head_len = net_head_len(&s);

	s.len = head_len + net_random(b, 14 + b->l.guest.network.agreed.mtu - head_len + 1);
	return s;
}

static struct net_shape random_shape(struct net_bed *b, const struct net_spec *s)
{
	struct net_shape shape = NET_INLINE;

	if (net_random(b, 2))
		shape.inline_len = net_random(b, s->len + 1);
	shape.page_offset = net_random(b, VMB_PAGE_LEN);
	return shape;
}

static void expect_payload(const struct net_record *r, const struct net_spec *s)
{
	struct net_verdict v = net_frame_judge(r->bytes, r->len);

	assert_null(v.wrong);
	assert_int_equal(v.payload_len, s->len - net_head_len(s));
	assert_int_equal(net_payload_differs(r->bytes + v.payload_at, v.payload_len, s->flow,
					     s->sequence),
			 v.payload_len);
}

static void send_random_frames(struct net_bed *b, uint32_t count)
{
	struct net_spec s;

	while (count--) {
		s = random_spec(b);
		assert_int_equal(net_send(b, 0, &s, 0, random_shape(b, &s)), 0);
		vmb_user_network_settle(&b->l);
		assert_int_equal(b->wire.count, 1);
		expect_payload(&b->wire.list[0], &s);
		net_forget(b);
	}
	assert_int_equal(b->l.card->counters.out_dropped, 0);
	net_expect_quiet(b);
}

static void test_checksums_left_open_are_right_on_the_wire(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });

	send_random_frames(b, 5000);
	net_free(b);
	b = net_new_open((struct vmb_user_network_config){ .guest.mtu = 9000 });
	send_random_frames(b, 1000);
	net_free(b);
}

/* Every length around the headers: odd ends, empty payloads. */
static void test_checksums_are_right_at_every_length(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = { .checksums = NET_CHECKSUMS_OPEN };
	uint32_t i, extra;

	for (i = 0; i < 4; i++)
		for (extra = 0; extra < 300; extra++) {
			s.ip = i & 1 ? 4 : 6;
			s.protocol = i & 2 ? NET_TCP : NET_UDP;
			s.len = net_head_len(&s) + extra;
			assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
			vmb_user_network_settle(&b->l);
			assert_int_equal(b->wire.count, 1);
			expect_payload(&b->wire.list[0], &s);
			net_forget(b);
		}
	net_free(b);
}

/* A UDP checksum of 0 would mean "none": 0xFFFF stands for it. */
static void test_udp_checksum_of_zero_is_written_as_ones(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = { .len = 100, .ip = 4, .protocol = NET_UDP };
	uint32_t payload_at = net_head_len(&s), at = payload_at - 2, sum;
	uint8_t bytes[100];

	net_frame_make(bytes, &s);
	/* Once the checksum is part of what it sums, it is 0. */
	sum = (uint32_t)bytes[at] << 8 | bytes[at + 1];
	sum += (uint32_t)bytes[payload_at] << 8 | bytes[payload_at + 1];
	sum = (sum & 0xFFFF) + (sum >> 16);
	bytes[payload_at] = (uint8_t)(sum >> 8);
	bytes[payload_at + 1] = (uint8_t)sum;
	s.checksums = NET_CHECKSUMS_OPEN;
	bytes[at] = bytes[at + 1] = 0;
	assert_int_equal(net_send_bytes(b, 0, net_facts(&s, 0), bytes, s.len, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, 1);
	assert_int_equal(b->wire.list[0].bytes[at], 0xFF);
	assert_int_equal(b->wire.list[0].bytes[at + 1], 0xFF);
	assert_null(net_frame_judge(b->wire.list[0].bytes, s.len).wrong);
	net_free(b);
}

static void test_checksums_not_asked_for_stay(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = {
		.len = 200, .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_JUNK
	};
	uint8_t bytes[200];

	net_frame_make(bytes, &s);
	assert_int_equal(net_send_bytes(b, 0, (struct vmb_guest_rndis_frame){ 0 }, bytes, s.len,
					NET_INLINE),
			 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, 1);
	assert_memory_equal(b->wire.list[0].bytes, bytes, s.len);
	net_free(b);
}

/* All segments of one large send. */
static void expect_segments(const struct net_bed *b, const struct net_spec *s, uint32_t mss,
			    uint16_t tag)
{
	uint32_t total = s->len - net_head_len(s), done = 0, i;
	uint16_t first_id = 0;
	struct net_verdict v;
	uint8_t flags;

	assert_int_equal(b->wire.count, (total + mss - 1) / mss);
	for (i = 0; i < b->wire.count; i++, done += v.payload_len) {
		v = net_frame_judge(b->wire.list[i].bytes, b->wire.list[i].len);
		assert_null(v.wrong);
		assert_int_equal(v.vlan_tag, tag);
		assert_int_equal(v.sequence, s->sequence + done);
		assert_int_equal(v.payload_len, total - done < mss ? total - done : mss);
		assert_int_equal(net_payload_differs(b->wire.list[i].bytes + v.payload_at,
						     v.payload_len, s->flow, s->sequence + done),
				 v.payload_len);
		flags = s->tcp_flags;
		if (i)
			flags &= (uint8_t)~TCP_CWR;
		if (i + 1 < b->wire.count)
			flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		assert_int_equal(v.tcp_flags, flags);
		if (!i)
			first_id = v.identification;
		if (s->ip == 4)
			assert_int_equal(v.identification, (uint16_t)(first_id + i));
	}
	assert_int_equal(done, total);
}

static struct net_spec large_spec(uint32_t payload_len, uint8_t ip, uint32_t options_len)
{
	struct net_spec s = { .ip = ip,
			      .protocol = NET_TCP,
			      .flow = payload_len,
			      .sequence = 0xFFFFF000u + payload_len, /* wraps */
			      .options_len = options_len,
			      .tcp_options_len = 12,
			      .tcp_flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR,
			      .checksums = NET_CHECKSUMS_OPEN,
			      .large = true };

	s.len = net_head_len(&s) + payload_len;
	return s;
}

static void send_large(struct net_bed *b, const struct net_spec *s, uint32_t mss,
		       struct net_shape shape)
{
	assert_int_equal(net_send(b, 0, s, mss, shape), 0);
	vmb_user_network_settle(&b->l);
	expect_segments(b, s, mss, 0);
	assert_int_equal(b->sent_frames, 1);
	assert_int_equal(b->sent_bad, 0);
	net_forget(b);
}

static void test_large_sends_are_cut_into_segments(void **state)
{
	static const uint32_t lens[] = { 1,    535,  536,  537,	  1072,
					 1448, 1449, 4096, 30001, VMB_NET_LSO_LEN_MAX };
	static const uint32_t mss[] = { 536, 1000, 1380 };
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s;
	uint32_t i, j, ip;

	assert_int_equal(b->l.guest.network.agreed.lso_len_max, VMB_NET_LSO_LEN_MAX);
	for (i = 0; i < VMB_ARRAY_COUNT(lens); i++)
		for (j = 0; j < VMB_ARRAY_COUNT(mss); j++)
			for (ip = 4; ip <= 6; ip += 2) {
				s = large_spec(lens[i], (uint8_t)ip, i % 3 * 8);
				send_large(b, &s, mss[j], NET_INLINE);
				send_large(b, &s, mss[j],
					   (struct net_shape){ .inline_len = net_head_len(&s),
							       .page_offset = 4091 });
				send_large(b, &s, mss[j],
					   (struct net_shape){ .page_offset = 7 * i });
			}
	assert_int_equal(b->l.card->counters.out_dropped, 0);
	net_expect_quiet(b);
	net_free(b);
}

static void test_large_sends_of_random_lengths_are_cut(void **state)
{
	struct vmb_user_network_config config = { .guest.mtu = 9000 };
	struct net_bed *b = net_new_open(config);
	struct net_spec s;
	uint32_t i;

	for (i = 0; i < 400; i++) {
		s = large_spec(1 + net_random(b, VMB_NET_LSO_LEN_MAX), i % 2 ? 4 : 6, 0);
		send_large(b, &s, 500 + net_random(b, 8400), random_shape(b, &s));
	}
	net_free(b);
}

/* What a broken or hostile guest asks for is dropped and answered; the next frame goes out. */
static void test_large_sends_that_cannot_be_cut_are_dropped(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = large_spec(5000, 4, 0);

	assert_int_equal(net_send(b, 0, &s, 9000, NET_INLINE), 0); /* MSS beyond the MTU */
	vmb_user_network_settle(&b->l);
	s.protocol = NET_UDP;
	assert_int_equal(net_send(b, 0, &s, 1000, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, 0);
	assert_int_equal(b->sent_frames, 2);
	net_forget(b);
	s = large_spec(5000, 4, 0);
	send_large(b, &s, 1000, NET_INLINE);
	net_expect_quiet(b);
	net_free(b);
}

static uint32_t vlan_facts(uint32_t tag)
{
	return tag >> 13 | (tag >> 12 & 1) << 3 | (tag & 0xFFF) << RNDIS_VLAN_ID_SHIFT;
}

static void test_vlan_tags_pass_both_ways(void **state)
{
	static const uint16_t tags[] = { 1, 100, 0x0FFE, 0xE064, 0x1064, 0xFFFE, 0x2001 };
	struct vmb_guest_rndis_frame facts = { .present = VMB_GUEST_RNDIS_VLAN };
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = { .len = 800, .ip = 4, .protocol = NET_TCP };
	uint8_t plain[800], tagged[804];
	uint32_t i;

	net_frame_make(plain, &s);
	for (i = 0; i < VMB_ARRAY_COUNT(tags); i++) {
		memcpy(tagged, plain, 12);
		memcpy(tagged + 12,
		       (uint8_t[]){ 0x81, 0, (uint8_t)(tags[i] >> 8), (uint8_t)tags[i] }, 4);
		memcpy(tagged + 16, plain + 12, s.len - 12);
		facts.vlan = vlan_facts(tags[i]);
		assert_int_equal(net_send_bytes(b, 0, facts, plain, s.len, NET_INLINE), 0);
		vmb_user_network_settle(&b->l);
		assert_int_equal(b->wire.count, 1);
		assert_int_equal(b->wire.list[0].len, sizeof(tagged));
		assert_memory_equal(b->wire.list[0].bytes, tagged, sizeof(tagged));
		memcpy(tagged, net_guest_mac, 6);
		assert_int_equal(net_deliver(b, tagged, sizeof(tagged), 0), 0);
		assert_int_equal(b->received.count, 1);
		assert_true(b->received.list[0].rndis.present & VMB_GUEST_RNDIS_VLAN);
		assert_int_equal(b->received.list[0].rndis.vlan, facts.vlan);
		assert_int_equal(b->received.list[0].len, s.len);
		assert_memory_equal(b->received.list[0].bytes + 6, plain + 6, s.len - 6);
		net_forget(b);
	}
	net_free(b);
}

static void test_large_sends_keep_their_vlan_tag(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s = large_spec(20000, 6, 0);
	struct vmb_guest_rndis_frame facts = net_facts(&s, 1300);
	uint8_t *bytes = malloc(s.len);

	net_frame_make(bytes, &s);
	facts.present |= VMB_GUEST_RNDIS_VLAN | VMB_GUEST_RNDIS_HASH;
	facts.vlan = vlan_facts(0x6064);
	facts.hash = 0xDEADBEEF;
	assert_int_equal(net_send_bytes(b, 0, facts, bytes, s.len, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	expect_segments(b, &s, 1300, 0x6064);
	free(bytes);
	net_free(b);
}

static uint32_t received_flags(struct net_bed *b, const uint8_t *bytes, uint32_t len)
{
	uint32_t flags;

	net_forget(b);
	assert_int_equal(net_deliver(b, bytes, len, 0), 0);
	assert_int_equal(b->received.count, 1);
	assert_true(b->received.list[0].rndis.present & VMB_GUEST_RNDIS_CHECKSUM);
	flags = b->received.list[0].rndis.checksum;
	return flags;
}

/* One bit flipped at a place of each sum's reach. */
static void test_guest_learns_which_checksums_are_good(void **state)
{
	struct net_bed *b = net_new_open((struct vmb_user_network_config){ 0 });
	struct net_spec s;
	uint8_t bytes[1514];
	uint32_t i, good, bad, transport;

	for (i = 0; i < 1000; i++) {
		s = random_spec(b);
		s.checksums = NET_CHECKSUMS_DONE;
		net_frame_make(bytes, &s);
		memcpy(bytes, net_guest_mac, 6);
		good = s.protocol == NET_TCP ? RNDIS_RX_CHECKSUM_TCP_OK : RNDIS_RX_CHECKSUM_UDP_OK;
		bad = s.protocol == NET_TCP ? RNDIS_RX_CHECKSUM_TCP_FAILED :
					      RNDIS_RX_CHECKSUM_UDP_FAILED;
		transport = good | bad;
		assert_int_equal(received_flags(b, bytes, s.len) & transport, good);
		if (s.ip == 4)
			assert_int_equal(b->received.list[0].rndis.checksum &
						 (RNDIS_RX_CHECKSUM_IP_OK |
						  RNDIS_RX_CHECKSUM_IP_FAILED),
					 RNDIS_RX_CHECKSUM_IP_OK);
		bytes[net_transport_at(&s)] ^= 0x10;
		assert_int_equal(received_flags(b, bytes, s.len) & transport, bad);
		bytes[net_transport_at(&s)] ^= 0x10;
		if (s.ip != 4)
			continue;
		bytes[14 + 8] ^= 1; /* time to live */
		assert_int_equal(received_flags(b, bytes, s.len) &
					 (RNDIS_RX_CHECKSUM_IP_OK | RNDIS_RX_CHECKSUM_IP_FAILED),
				 RNDIS_RX_CHECKSUM_IP_FAILED);
	}
	net_free(b);
}

static void test_coalesced_frames_arrive_whole(void **state)
{
	struct vmb_user_network_config config = { .guest.rsc = true };
	struct net_bed *b = net_new_open(config);
	struct net_spec s;
	uint8_t *bytes = malloc(70000);
	uint32_t i;

	assert_true(vmb_host_network_takes_large(&b->l.card->host));
	for (i = 0; i < 200; i++) {
		s = large_spec(2000 + net_random(b, 60000), i % 2 ? 4 : 6, 0);
		s.large = false;
		s.checksums = NET_CHECKSUMS_DONE;
		net_frame_make(bytes, &s);
		memcpy(bytes, net_guest_mac, 6);
		assert_int_equal(net_deliver(b, bytes, s.len, 1400), 0);
		assert_int_equal(b->received.count, 1);
		assert_int_equal(b->received.list[0].len, s.len);
		assert_memory_equal(b->received.list[0].bytes, bytes, s.len);
		assert_true(b->received.list[0].piece_count > 1);
		assert_true(b->received.list[0].rndis.checksum & RNDIS_RX_CHECKSUM_TCP_OK);
		net_forget(b);
	}
	net_expect_quiet(b);
	net_expect_agreement(b);
	net_expect_traffic(b, 10);
	free(bytes);
	net_free(b);
}

/* A guest that did not ask for coalescing, and one that is too old for it, get segments. */
static void test_large_frames_are_cut_for_guests_without_coalescing(void **state)
{
	struct vmb_user_network_config config = { 0 };
	struct net_spec s = large_spec(30000, 4, 0);
	uint8_t *bytes = malloc(s.len);
	struct net_verdict v;
	struct net_bed *b;
	uint32_t round, i, done;

	s.large = false;
	net_frame_make(bytes, &s);
	memcpy(bytes, net_guest_mac, 6);
	for (round = 0; round < 2; round++) {
		config.guest.rsc = round;
		config.guest.version_max = round ? VMB_NET_VERSION_6 : 0;
		b = net_new_open(config);
		assert_false(vmb_host_network_takes_large(&b->l.card->host));
		assert_int_equal(net_deliver(b, bytes, s.len, 1400), 0);
		assert_int_equal(b->received.count, (30000 + 1399) / 1400);
		for (done = 0, i = 0; i < b->received.count; i++, done += v.payload_len) {
			v = net_frame_judge(b->received.list[i].bytes, b->received.list[i].len);
			assert_null(v.wrong);
			assert_int_equal(
				net_payload_differs(b->received.list[i].bytes + v.payload_at,
						    v.payload_len, s.flow, s.sequence + done),
				v.payload_len);
		}
		assert_int_equal(done, 30000);
		net_expect_quiet(b);
		net_free(b);
	}
	free(bytes);
}

/* One guest's large send is the other one's coalesced frame: nobody cuts it. */
static void test_large_sends_reach_another_guest_whole(void **state)
{
	struct vmb_user_network_config config = {
		.host = { .wire = vmb_user_network_to_peer, .large = true },
		.guest = { .rsc = true, .filter = RNDIS_FILTER_PROMISCUOUS }
	};
	struct net_bed *a = net_new_open(config), *b;
	struct net_spec s;
	uint32_t i, head_len;

	config.peer = &a->l;
	b = net_new_open(config);
	for (i = 0; i < 100; i++) {
		s = large_spec(3000 + net_random(a, 59000), i % 2 ? 4 : 6, 0);
		head_len = net_head_len(&s);
		assert_int_equal(net_send(a, 0, &s, 1400, random_shape(a, &s)), 0);
		vmb_user_network_settle(&a->l);
		assert_int_equal(b->received.count, 1);
		assert_int_equal(b->received.list[0].len, s.len);
		assert_int_equal(net_payload_differs(b->received.list[0].bytes + head_len,
						     s.len - head_len, s.flow, s.sequence),
				 s.len - head_len);
		net_forget(b);
	}
	net_free(b);
	net_free(a);
}

/* Toeplitz, bit by bit: the test's own. */
static uint32_t toeplitz(const uint8_t *key, const uint8_t *input, uint32_t len)
{
	uint32_t window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | key[2] << 8 | key[3];
	uint32_t hash = 0, i;

	for (i = 0; i < 8 * len; i++) {
		if (input[i / 8] >> (7 - i % 8) & 1)
			hash ^= window;
		window = window << 1 | (key[4 + i / 8] >> (7 - i % 8) & 1);
	}
	return hash;
}

static uint32_t frame_hash(const struct net_bed *b, const uint8_t *bytes, const struct net_spec *s)
{
	const uint8_t *key = b->l.card->host.rndis.rss.key;
	uint32_t addresses_len = s->ip == 4 ? 8 : 32;
	uint8_t input[36];

	memcpy(input, bytes + 14 + (s->ip == 4 ? 12 : 8), addresses_len);
	memcpy(input + addresses_len, bytes + net_transport_at(s), 4);
	return toeplitz(key, input, s->protocol == NET_TCP ? addresses_len + 4 : addresses_len);
}

/* Entries without a period, and a key of the test's. */
static void set_table(struct net_bed *b, uint16_t table[NDIS_RSS_TABLE_COUNT_MAX])
{
	uint8_t key[NDIS_RSS_KEY_LEN];
	uint32_t i;

	for (i = 0; i < NDIS_RSS_TABLE_COUNT_MAX; i++)
		table[i] = (uint16_t)net_random(b, b->l.guest.queue_count);
	for (i = 0; i < NDIS_RSS_KEY_LEN; i++)
		key[i] = (uint8_t)net_random(b, 256);
	pthread_mutex_lock(&b->l.guest.lock);
	assert_int_equal(vmb_user_network_guest_finish(
				 &b->l.guest,
				 vmb_guest_network_set_rss(
					 &b->l.guest.network, table, NDIS_RSS_TABLE_COUNT_MAX, key,
					 NDIS_RSS_HASH_IPV4 | NDIS_RSS_HASH_TCP_IPV4 |
						 NDIS_RSS_HASH_IPV6 | NDIS_RSS_HASH_TCP_IPV6)),
			 0);
	pthread_mutex_unlock(&b->l.guest.lock);
	assert_memory_equal(b->l.card->host.rndis.rss.key, key, sizeof(key));
}

static void test_flows_are_spread_over_the_queues_by_their_hash(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4 };
	struct net_bed *b = net_new_open(config);
	uint32_t per_queue[4] = { 0 }, i, hash;
	uint16_t table[NDIS_RSS_TABLE_COUNT_MAX];
	const struct net_record *r;
	struct net_spec s = { .len = 90, .protocol = NET_TCP };
	uint8_t bytes[90];

	set_table(b, table);
	for (i = 0; i < 2000; i++) {
		s.ip = i % 2 ? 4 : 6;
		s.protocol = i % 3 ? NET_TCP : NET_UDP;
		s.flow = i / 2;
		net_frame_make(bytes, &s);
		memcpy(bytes, net_guest_mac, 6);
		hash = frame_hash(b, bytes, &s);
		assert_int_equal(net_deliver(b, bytes, s.len, 0), 0);
		assert_int_equal(b->received.count, 1);
		r = &b->received.list[0];
		assert_true(r->rndis.present & VMB_GUEST_RNDIS_HASH);
		assert_int_equal(r->rndis.hash, hash);
		assert_int_equal(r->queue, table[hash % NDIS_RSS_TABLE_COUNT_MAX]);
		per_queue[r->queue]++;
		net_forget(b);
	}
	for (i = 0; i < 4; i++)
		assert_in_range(per_queue[i], 250, 750);
	net_expect_quiet(b);
	net_free(b);
}

static void test_frames_without_a_hash_arrive_on_the_primary(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4 };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 60 };
	uint8_t bytes[60];

	net_frame_make(bytes, &s);
	memcpy(bytes, net_guest_mac, 6);
	assert_int_equal(net_deliver(b, bytes, s.len, 0), 0);
	assert_int_equal(b->received.list[0].queue, 0);
	assert_false(b->received.list[0].rndis.present & VMB_GUEST_RNDIS_HASH);
	net_free(b);
}

static void test_send_table_names_every_queue_and_no_other(void **state)
{
	struct vmb_user_network_config config = { 0 };
	struct net_bed *b;
	uint16_t count;
	uint32_t used, i;

	for (count = 1; count <= VMB_USER_NETWORK_QUEUE_MAX; count++) {
		config.guest.queue_count = count;
		b = net_new_open(config);
		vmb_user_network_settle(&b->l);
		for (used = 0, i = 0; i < VMB_NET_TABLE_COUNT; i++) {
			assert_true(b->l.guest.network.agreed.send_table[i] < count);
			used |= 1u << vmb_user_network_guest_queue(&b->l.guest, i)->index;
		}
		assert_int_equal(used, (1u << count) - 1);
		net_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksums_left_open_are_right_on_the_wire),
		cmocka_unit_test(test_checksums_are_right_at_every_length),
		cmocka_unit_test(test_udp_checksum_of_zero_is_written_as_ones),
		cmocka_unit_test(test_checksums_not_asked_for_stay),
		cmocka_unit_test(test_large_sends_are_cut_into_segments),
		cmocka_unit_test(test_large_sends_of_random_lengths_are_cut),
		cmocka_unit_test(test_large_sends_that_cannot_be_cut_are_dropped),
		cmocka_unit_test(test_vlan_tags_pass_both_ways),
		cmocka_unit_test(test_large_sends_keep_their_vlan_tag),
		cmocka_unit_test(test_guest_learns_which_checksums_are_good),
		cmocka_unit_test(test_coalesced_frames_arrive_whole),
		cmocka_unit_test(test_large_frames_are_cut_for_guests_without_coalescing),
		cmocka_unit_test(test_large_sends_reach_another_guest_whole),
		cmocka_unit_test(test_flows_are_spread_over_the_queues_by_their_hash),
		cmocka_unit_test(test_frames_without_a_hash_arrive_on_the_primary),
		cmocka_unit_test(test_send_table_names_every_queue_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
