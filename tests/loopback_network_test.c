// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's network card on a host's, end to end through real rings: the handshake in every
 * version, frames of every length in every shape, both ways, and the end.
 */
#include "tests/network_bed.h"

static const uint32_t versions[] = { VMB_NET_VERSION_1, VMB_NET_VERSION_2, VMB_NET_VERSION_4,
				     VMB_NET_VERSION_5, VMB_NET_VERSION_6, VMB_NET_VERSION_6_1 };

static struct vmb_user_network_config queues(uint16_t count)
{
	return (struct vmb_user_network_config){ .guest.queue_count = count };
}

static void test_every_version_with_every_queue_count_is_agreed_upon(void **state)
{
	struct vmb_user_network_config config;
	struct net_bed *b;
	uint32_t i;
	uint16_t count;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++)
		for (count = 1; count <= VMB_USER_NETWORK_QUEUE_MAX; count++) {
			config = queues(count);
			config.host.network.version_max = versions[i];
			b = net_new_open(config);
			net_expect_agreement(b);
			assert_int_equal(b->l.guest.network.agreed.version, versions[i]);
			assert_int_equal(b->l.guest.queue_count,
					 versions[i] >= VMB_NET_VERSION_5 ? count : 1);
			assert_int_equal(b->l.card->host.sub_channel_count,
					 b->l.guest.queue_count - 1);
			net_expect_traffic(b, 3 * count);
			net_free(b);
		}
}

/* The host's newest is older than the guest's: the walk ends where both can go on. */
static void test_guest_walks_down_to_what_host_has(void **state)
{
	struct vmb_user_network_config config = { 0 };
	struct net_bed *b;
	uint32_t guest, host;

	for (guest = 0; guest < VMB_ARRAY_COUNT(versions); guest++)
		for (host = 0; host < VMB_ARRAY_COUNT(versions); host++) {
			config.guest.version_max = versions[guest];
			config.host.network.version_max = versions[host];
			b = net_new_open(config);
			assert_int_equal(b->l.guest.network.agreed.version,
					 versions[guest < host ? guest : host]);
			net_expect_traffic(b, 2);
			net_free(b);
		}
}

static void test_guest_that_host_is_too_old_for_is_refused(void **state)
{
	struct vmb_user_network_config config = { .guest.version_min = VMB_NET_VERSION_5,
						  .host.network.version_max = VMB_NET_VERSION_4 };
	struct net_bed *b = net_new(config);

	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), VMB_EIO);
	assert_int_equal(b->l.guest.network.state, VMB_GUEST_NETWORK_FAILED);
	vmb_user_network_guest_abandon(&b->l.guest);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	net_free(b);
}

static void test_mtu_is_the_smaller_of_what_both_want(void **state)
{
	static const uint32_t cases[][3] = { { 1500, 1500, 1500 },
					     { 9000, 9000, 9000 },
					     { 9000, 1500, 1500 },
					     { 1500, 9000, 1500 },
					     { 4000, 9000, 4000 } };
	struct vmb_user_network_config config = { 0 };
	struct net_bed *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		config.guest.mtu = cases[i][0];
		config.host.network.rndis.mtu_max = cases[i][1];
		b = net_new_open(config);
		assert_int_equal(b->l.guest.network.agreed.mtu, cases[i][2]);
		net_expect_agreement(b);
		net_expect_traffic(b, 20);
		net_free(b);
	}
}

/* Version 1 has no configuration message: nothing but 1500 can be agreed on. */
static void test_version_1_has_one_mtu(void **state)
{
	struct vmb_user_network_config config = { .guest = { .version_max = VMB_NET_VERSION_1,
							     .mtu = 9000 } };
	struct net_bed *b = net_new_open(config);

	assert_int_equal(b->l.guest.network.agreed.mtu, 1500);
	net_expect_traffic(b, 10);
	net_free(b);
}

static void expect_wire(const struct net_bed *b, uint32_t i, const uint8_t *bytes, uint32_t len)
{
	assert_true(i < b->wire.count);
	assert_int_equal(b->wire.list[i].len, len);
	assert_memory_equal(b->wire.list[i].bytes, bytes, len);
}

/* Every length, in every shape: all inline, header inline and data in pages, all in pages. */
static void send_all_lengths(struct net_bed *b, struct net_shape shape, uint32_t step)
{
	uint32_t len_max = 14 + b->l.guest.network.agreed.mtu;
	struct net_spec spec = { .len = 14 };
	uint8_t *bytes = malloc(len_max);

	for (; spec.len <= len_max; spec.len += step, spec.flow++) {
		net_frame_make(bytes, &spec);
		assert_int_equal(net_send_bytes(b, 0, (struct vmb_guest_rndis_frame){ 0 }, bytes,
						spec.len, shape),
				 0);
		vmb_user_network_settle(&b->l);
		assert_int_equal(b->wire.count, 1);
		expect_wire(b, 0, bytes, spec.len);
		assert_int_equal(b->sent_frames, 1);
		assert_int_equal(b->sent_bad, 0);
		net_forget(b);
	}
	net_expect_quiet(b);
	free(bytes);
}

static void test_frames_of_every_length_leave_unchanged(void **state)
{
	static const struct net_shape shapes[] = {
		{ .inline_len = UINT32_MAX },
		{ .inline_len = 14 },
		{ .inline_len = 54, .page_offset = 4090 },
		{ .inline_len = 0, .page_offset = 1 },
		{ .inline_len = 1 },
	};
	struct net_bed *b = net_new_open(queues(1));
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(shapes); i++)
		send_all_lengths(b, shapes[i], 1);
	net_expect_agreement(b);
	net_free(b);
}

static void test_jumbo_frames_of_every_length_leave_unchanged(void **state)
{
	static const struct net_shape shapes[] = {
		{ .inline_len = UINT32_MAX }, /* more than a section: the rest in pages */
		{ .inline_len = 100, .page_offset = 4000 },
	};
	struct vmb_user_network_config config = { .guest.mtu = 9000 };
	struct net_bed *b = net_new_open(config);
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(shapes); i++)
		send_all_lengths(b, shapes[i], 13);
	net_expect_agreement(b);
	net_free(b);
}

static void receive_all_lengths(struct net_bed *b, uint32_t step)
{
	uint32_t len_max = 14 + b->l.guest.network.agreed.mtu;
	struct net_spec spec = { .len = 14 };
	uint8_t *bytes = malloc(len_max);

	for (; spec.len <= len_max; spec.len += step, spec.flow++) {
		net_frame_make(bytes, &spec);
		memcpy(bytes, net_guest_mac, 6);
		assert_int_equal(net_deliver(b, bytes, spec.len, 0), 0);
		assert_int_equal(b->received.count, 1);
		assert_int_equal(b->received.list[0].len, spec.len);
		assert_memory_equal(b->received.list[0].bytes, bytes, spec.len);
		net_forget(b);
	}
	net_expect_quiet(b);
	free(bytes);
}

static void test_frames_of_every_length_arrive_unchanged(void **state)
{
	struct net_bed *b = net_new_open(queues(1));

	receive_all_lengths(b, 1);
	net_free(b);
	b = net_new_open((struct vmb_user_network_config){ .guest.mtu = 9000 });
	receive_all_lengths(b, 7);
	net_free(b);
}

static void test_frame_longer_than_agreed_does_not_arrive(void **state)
{
	struct net_bed *b = net_new_open(queues(1));
	uint8_t bytes[1600] = { 0 };

	memcpy(bytes, net_guest_mac, 6);
	assert_int_equal(net_deliver(b, bytes, 1514, 0), 0);
	assert_int_equal(net_deliver(b, bytes, 1515, 0), VMB_EPROTO);
	assert_int_equal(b->received.count, 1);
	net_expect_traffic(b, 3);
	net_free(b);
}

/* Each message but the last of a section is as long as the host's alignment wants. */
static enum vmb_dev_fault_verdict check_alignment(void *arg, uint16_t queue,
						  struct vmb_dev_packet *p)
{
	const struct vmb_guest_network *n = arg;
	struct vmb_net_rndis_packet message;
	struct rndis_header header;
	uint32_t at = 0, count = 0;

	memcpy(&message, p->payload, sizeof(message));
	if (message.type != VMB_NET_SEND_RNDIS_PACKET || message.channel_type != VMB_NET_DATA)
		return VMB_DEV_FAULT_PASS;
	for (; at < message.section_len; at += header.len, count++) {
		assert_int_equal(at % n->agreed.alignment, 0);
		memcpy(&header,
		       n->config.send_buffer + message.section_index * n->agreed.section_len + at,
		       sizeof(header));
		assert_int_equal(header.type, RNDIS_PACKET);
	}
	assert_int_equal(at, message.section_len);
	assert_true(count <= n->agreed.frame_count_max);
	return VMB_DEV_FAULT_PASS;
}

/* Several frames in one packet, as many as fit; each arrives alone, and each is completed. */
static void test_aggregated_frames_arrive_one_by_one(void **state)
{
	struct net_bed *b = net_new_open(queues(1));
	struct net_shape shape = NET_INLINE;
	uint32_t round, count, i;
	uint8_t bytes[40][1514];
	uint32_t lens[40];
	struct net_spec spec = { 0 };

	assert_true(b->l.guest.network.agreed.alignment >= 4);
	b->l.guest.queues[0].end.hook_arg = &b->l.guest.network;
	b->l.guest.queues[0].end.hook = check_alignment;
	for (round = 0; round < 300; round++) {
		count = 1 + net_random(b, 40);
		for (i = 0; i < count; i++) {
			spec.len = 14 + net_random(b, round % 2 ? 200 : 1501);
			spec.flow++;
			lens[i] = spec.len;
			net_frame_make(bytes[i], &spec);
			shape.more = i + 1 < count;
			assert_int_equal(net_send_bytes(b, 0, (struct vmb_guest_rndis_frame){ 0 },
							bytes[i], spec.len, shape),
					 0);
		}
		vmb_user_network_settle(&b->l);
		assert_int_equal(b->wire.count, count);
		for (i = 0; i < count; i++)
			expect_wire(b, i, bytes[i], lens[i]);
		assert_int_equal(b->sent_frames, count);
		net_forget(b);
	}
	assert_true(b->l.guest.queues[0].sent_packets < b->l.guest.queues[0].sent_frames / 2);
	net_expect_quiet(b);
	net_expect_agreement(b);
	net_free(b);
}

/* What is not pushed stays; what is pushed leaves without another frame. */
static void test_push_sends_what_is_being_filled(void **state)
{
	struct net_bed *b = net_new_open(queues(1));
	struct net_shape shape = { .inline_len = UINT32_MAX, .more = true };
	struct net_spec spec = { .len = 60 };

	assert_int_equal(net_send(b, 0, &spec, 0, shape), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, 0);
	vmb_user_network_guest_push(&b->l.guest.queues[0]);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->wire.count, 1);
	assert_int_equal(b->sent_frames, 1);
	net_free(b);
}

struct signals {
	uint64_t to_host, to_guest;
};

static struct signals read_signals(const struct net_bed *b)
{
	return (struct signals){ b->l.guest.queues[0].end.signals,
				 vmb_user_network_interrupts(&b->l, 0) };
}

/*
 * Hosts throttle guests that signal too much: one signal wakes the other end for a whole burst,
 * either way.
 */
static void test_burst_costs_one_signal_each_way(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 100 };
	struct signals before, after;
	uint8_t bytes[100];
	uint32_t i;

	vmb_user_network_settle(&b->l);
	before = read_signals(b);
	for (i = 0; i < 50; i++)
		assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	after = read_signals(b);
	assert_int_equal(b->sent_frames, 50);
	assert_int_equal(after.to_host - before.to_host, 1);
	assert_int_equal(after.to_guest - before.to_guest, 1); /* 50 completions */
	net_frame_make(bytes, &s);
	memcpy(bytes, net_guest_mac, 6);
	before = after;
	for (i = 0; i < 50; i++) {
		assert_int_equal(vmb_user_network_deliver(&b->l, bytes, s.len, 0), 0);
		vmb_user_network_flush(&b->l);
	}
	vmb_user_network_settle(&b->l);
	after = read_signals(b);
	assert_int_equal(b->received.count, 50);
	assert_int_equal(after.to_guest - before.to_guest, 1);
	assert_int_equal(after.to_host - before.to_host, 1); /* 50 acknowledgements */
	net_free(b);
}

static void test_rings_of_every_size_carry_frames(void **state)
{
	static const uint32_t pages[] = { 2, 3, 16, 128, 512 };
	struct vmb_user_network_config config = { 0 };
	struct net_bed *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(pages); i++) {
		config.guest.ring_pages = pages[i];
		b = net_new_open(config);
		net_expect_traffic(b, 200);
		net_free(b);
	}
}

static void test_receive_buffers_of_every_size_carry_frames(void **state)
{
	static const uint32_t lens[] = { 256u << 10, 1u << 20, 15u << 20, 31u << 20 };
	struct vmb_user_network_config config = { 0 };
	struct net_bed *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(lens); i++) {
		config.guest.receive_len = lens[i];
		b = net_new_open(config);
		assert_true(b->l.guest.network.agreed.suballoc_count *
				    b->l.guest.network.agreed.suballoc_len <=
			    lens[i]);
		net_expect_traffic(b, 50);
		net_free(b);
	}
}

static void test_echo_comes_back(void **state)
{
	struct vmb_user_network_config config = { .host.wire = vmb_user_network_echo };
	struct net_bed *b = net_new_open(config);
	struct net_spec spec = { .len = 700, .ip = 4, .protocol = NET_UDP };
	struct net_verdict v;

	/* Back to where it came from: the guest's address. */
	assert_int_equal(net_send(b, 0, &spec, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->received.count, 1);
	assert_int_equal(b->received.list[0].len, 700);
	v = net_frame_judge(b->received.list[0].bytes, 700);
	assert_null(v.wrong);
	assert_int_equal(net_payload_differs(b->received.list[0].bytes + v.payload_at,
					     v.payload_len, 0, 0),
			 v.payload_len);
	net_free(b);
}

static void test_two_guests_talk_over_one_wire(void **state)
{
	struct vmb_user_network_config config = { .host.wire = vmb_user_network_to_peer };
	struct net_bed *a, *b;
	struct net_spec spec = { .ip = 6, .protocol = NET_TCP, .broadcast = true };
	uint32_t i;

	a = net_new_open(config);
	config.peer = &a->l;
	b = net_new_open(config);
	for (i = 0; i < 500; i++) {
		spec.len = 74 + i;
		spec.flow = i;
		assert_int_equal(net_send(i % 2 ? a : b, 0, &spec, 0, NET_INLINE), 0);
		vmb_user_network_settle(&a->l);
	}
	assert_int_equal(a->received.count, 250);
	assert_int_equal(b->received.count, 250);
	for (i = 0; i < 250; i++) {
		assert_null(
			net_frame_judge(a->received.list[i].bytes, a->received.list[i].len).wrong);
		assert_null(
			net_frame_judge(b->received.list[i].bytes, b->received.list[i].len).wrong);
	}
	net_free(b);
	net_free(a);
}

static void test_filter_decides_what_arrives(void **state)
{
	struct vmb_user_network_config config = { .guest.filter = RNDIS_FILTER_DIRECTED };
	struct net_bed *b = net_new_open(config);
	static const uint8_t multicast[6] = { 1, 0, 0x5E, 0, 0, 1 };
	uint8_t bytes[60];

	memset(bytes, 0xFF, sizeof(bytes));
	assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 0), VMB_ENODEV);
	pthread_mutex_lock(&b->l.guest.lock);
	assert_int_equal(vmb_user_network_guest_finish(
				 &b->l.guest,
				 vmb_guest_network_set_filter(&b->l.guest.network,
							      RNDIS_FILTER_PROMISCUOUS)),
			 0);
	pthread_mutex_unlock(&b->l.guest.lock);
	assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 0), 0);
	memcpy(bytes, multicast, 6);
	assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 0), 0);
	memcpy(bytes, net_other_mac, 6);
	assert_int_equal(net_deliver(b, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(b->received.count, 3);
	net_free(b);
}

static uint32_t link_events;

static void count_link(struct vmb_user_network_guest *g,
		       const struct vmb_guest_network_event *event)
{
	link_events += event->type == VMB_GUEST_NETWORK_LINK_CHANGED;
}

static void test_guest_hears_of_the_cable(void **state)
{
	struct vmb_user_network_config config = { .guest.event = count_link };
	struct net_bed *b = net_new_open(config);
	int i;

	link_events = 0;
	assert_true(b->l.guest.network.agreed.link_up);
	for (i = 0; i < 10; i++) {
		b->l.card->net.link_up = i % 2;
		vmb_user_network_settle(&b->l);
		assert_int_equal(b->l.guest.network.agreed.link_up, i % 2);
	}
	assert_int_equal(link_events, 10);
	net_expect_traffic(b, 5);
	net_free(b);
}

static void test_queries_are_answered(void **state)
{
	struct net_bed *b = net_new_open(queues(1));
	const struct vmb_guest_network_answer *answer = &b->l.guest.network.answer;

	assert_int_equal(
		vmb_user_network_guest_query(&b->l.guest, RNDIS_OID_PERMANENT_MAC, NULL, 0), 0);
	assert_int_equal(answer->data_len, 6);
	assert_memory_equal(answer->data, net_guest_mac, 6);
	assert_int_equal(vmb_user_network_guest_query(&b->l.guest, 0x7FFFFFFF, NULL, 0), VMB_EIO);
	assert_int_equal(answer->status, (uint32_t)RNDIS_STATUS_NOT_SUPPORTED);
	net_expect_traffic(b, 2);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_version_with_every_queue_count_is_agreed_upon),
		cmocka_unit_test(test_guest_walks_down_to_what_host_has),
		cmocka_unit_test(test_guest_that_host_is_too_old_for_is_refused),
		cmocka_unit_test(test_mtu_is_the_smaller_of_what_both_want),
		cmocka_unit_test(test_version_1_has_one_mtu),
		cmocka_unit_test(test_frames_of_every_length_leave_unchanged),
		cmocka_unit_test(test_jumbo_frames_of_every_length_leave_unchanged),
		cmocka_unit_test(test_frames_of_every_length_arrive_unchanged),
		cmocka_unit_test(test_frame_longer_than_agreed_does_not_arrive),
		cmocka_unit_test(test_aggregated_frames_arrive_one_by_one),
		cmocka_unit_test(test_push_sends_what_is_being_filled),
		cmocka_unit_test(test_burst_costs_one_signal_each_way),
		cmocka_unit_test(test_rings_of_every_size_carry_frames),
		cmocka_unit_test(test_receive_buffers_of_every_size_carry_frames),
		cmocka_unit_test(test_echo_comes_back),
		cmocka_unit_test(test_two_guests_talk_over_one_wire),
		cmocka_unit_test(test_filter_decides_what_arrives),
		cmocka_unit_test(test_guest_hears_of_the_cable),
		cmocka_unit_test(test_queries_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
