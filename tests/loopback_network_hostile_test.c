// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Peers that drop, repeat, change, forge or withhold, at both ends of a network card. Whatever
 * happens, memory comes back and the next connection works.
 */
#include "tests/network_bed.h"

static struct vmb_user_network_config no_config;

/* Hosts that do not keep to it. */

static enum vmb_dev_fault_verdict drop_completions(void *arg, uint16_t queue,
						   struct vmb_dev_packet *p)
{
	return net_is_data_completion(p) ? VMB_DEV_FAULT_DROP : VMB_DEV_FAULT_PASS;
}

static void test_host_that_drops_completions_stops_the_sender_and_nothing_else(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	struct net_spec s = { .len = 5000,
			      .ip = 4,
			      .protocol = NET_TCP,
			      .large = true,
			      .checksums = NET_CHECKSUMS_OPEN };
	struct net_shape shape = { .inline_len = 54 };
	uint32_t sent = 0, i;

	net_hook_host(b, drop_completions, NULL);
	while (!net_send(b, 0, &s, 1000, shape)) {
		sent++;
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(sent, 64);
	assert_int_equal(b->sent_frames, 0);
	assert_int_equal(b->held_count, 64);
	for (i = 0; i < 500; i++) {
		assert_int_equal(net_give_alone(b, i), 0);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->received.count, 500);
	/* Pages that the host may still read come back only when the channel is closed. */
	assert_int_not_equal(vmb_user_network_guest_close(&b->l.guest), 0);
	assert_int_equal(b->sent_bad, 64);
	assert_int_equal(b->held_count, 0);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	net_hook_host(b, NULL, NULL);
	net_forget(b);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 100);
	net_free(b);
}

static enum vmb_dev_fault_verdict repeat_completions(void *arg, uint16_t queue,
						     struct vmb_dev_packet *p)
{
	return net_is_data_completion(p) ? VMB_DEV_FAULT_TWICE : VMB_DEV_FAULT_PASS;
}

static void test_host_that_completes_twice_frees_a_slot_once(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 100 };
	uint32_t i, sent = 0;

	net_hook_host(b, repeat_completions, NULL);
	for (i = 0; i < 1000; i++) {
		sent += !net_send(b, 0, &s, 0, i % 2 ? NET_INLINE : (struct net_shape){ 0 });
		if (net_random(b, 8) == 0)
			vmb_user_network_settle(&b->l);
		assert_true(vmb_guest_network_room(&b->l.guest.queues[0].core) <= 64);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_int_equal(b->l.guest.queues[0].core.counters.forged, sent);
	assert_int_equal(b->wire.count, sent);
	net_expect_quiet(b);
	net_hook_host(b, NULL, NULL);
	net_expect_traffic(b, 10);
	net_free(b);
}

/* Completions of what nobody sent, by the thousand, while frames are under way. */
static void test_forged_completions_end_nothing(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2, .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	struct vmb_dev_packet p = { .type = VMB_PKT_COMPLETION, .payload_len = 8 };
	struct net_spec s = { .len = 100 };
	uint32_t i, sent = 0, held_back;

	for (i = 0; i < 5000; i++) {
		p.transaction_id = net_random(b, 2) ? net_random(b, 200) :
						      (uint64_t)net_random(b, 1u << 31) << 31;
		p.payload[0] = (uint8_t)(net_random(b, 4) ? VMB_NET_SEND_RNDIS_PACKET_COMPLETE :
							    net_random(b, 256));
		p.payload[4] = VMB_NET_STATUS_SUCCESS;
		p.payload_len = net_random(b, 10) ? 8 : net_random(b, 8);
		held_back = 64 - vmb_guest_network_room(&b->l.guest.queues[1].core);
		assert_int_equal(vmb_dev_fault_inject(vmb_user_network_channel(&b->l, 1), &p), 0);
		vmb_user_network_guest_step(&b->l.guest);
		/* Generation 0 of a slot that is in flight is a true name; all others are not. */
		assert_true(64 - vmb_guest_network_room(&b->l.guest.queues[1].core) == held_back ||
			    p.transaction_id < 200);
		sent += i % 16 == 0 && !net_send(b, 1, &s, 0, NET_INLINE);
		if (i % 64 == 0)
			vmb_user_network_settle(&b->l);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, sent);
	assert_int_equal(b->wire.count, sent);
	assert_true(b->l.guest.queues[1].core.counters.forged +
			    b->l.guest.queues[1].core.counters.malformed >
		    4000);
	net_expect_quiet(b);
	net_free(b);
}

static enum vmb_dev_fault_verdict keep_first(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	struct vmb_dev_packet *kept = arg;

	if (net_is_data_completion(p) && !kept->type)
		*kept = *p;
	return VMB_DEV_FAULT_PASS;
}

/* A completion that was true once must not end what its slot carries now. */
static void test_completion_of_an_earlier_use_of_a_slot_is_refused(void **state)
{
	static struct vmb_dev_packet kept;
	struct net_bed *b = net_new_open(no_config);
	uint32_t i;

	memset(&kept, 0, sizeof(kept));
	net_hook_host(b, keep_first, &kept);
	assert_true(net_try_send(b));
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	net_hook_host(b, drop_completions, NULL);
	for (i = 0; i < 64; i++)
		assert_true(net_try_send(b));
	vmb_user_network_settle(&b->l);
	assert_int_equal(vmb_guest_network_room(&b->l.guest.queues[0].core), 0);
	assert_int_equal(vmb_dev_fault_inject(vmb_user_network_channel(&b->l, 0), &kept), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	assert_int_equal(b->l.guest.queues[0].core.counters.forged, 1);
	vmb_user_network_guest_abandon(&b->l.guest);
	net_free(b);
}

static enum vmb_dev_fault_verdict refuse(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	if (net_is_data_completion(p))
		p->payload[4] = VMB_NET_STATUS_FAIL;
	return VMB_DEV_FAULT_PASS;
}

static void test_status_of_the_host_reaches_the_port(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	struct net_spec s = { .len = 100 };

	net_hook_host(b, refuse, NULL);
	assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->sent_frames, 1);
	assert_int_equal(b->sent_bad, 1);
	net_expect_quiet(b);
	net_hook_host(b, NULL, NULL);
	net_free(b);
}

/* Does something to the packet number `at`, and to no other. */
struct saboteur {
	uint32_t at, seen;
	uint32_t how;
	bool done;
};

enum how {
	HOW_DROP,
	HOW_TWICE,
	HOW_TYPE,
	HOW_SHORT,
	HOW_STATUS,
	HOW_ID,
	HOW_COUNT,
};

static enum vmb_dev_fault_verdict sabotage(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	struct saboteur *s = arg;

	if (s->seen++ != s->at)
		return VMB_DEV_FAULT_PASS;
	s->done = true;
	if (s->how == HOW_DROP)
		return VMB_DEV_FAULT_DROP;
	if (s->how == HOW_TWICE)
		return VMB_DEV_FAULT_TWICE;
	if (s->how == HOW_TYPE)
		p->payload[0] ^= 0x5A;
	if (s->how == HOW_SHORT)
		p->payload_len = 4;
	if (s->how == HOW_STATUS)
		memset(p->payload + 4, 0x7F, p->payload_len > 12 ? 8 : 0);
	if (s->how == HOW_ID)
		p->transaction_id += 3;
	return VMB_DEV_FAULT_PASS;
}

/*
 * A whole life with one packet spoilt; then one that is sound. Answers whether there was such a
 * packet.
 */
static bool live_through(struct net_bed *b, struct saboteur *s, bool at_host)
{
	int err;

	s->seen = 0;
	s->done = false;
	if (at_host)
		net_hook_host(b, sabotage, s);
	else
		net_hook_guest(b, sabotage, s);
	err = vmb_user_network_guest_open(&b->l.guest);
	if (!err)
		vmb_user_network_guest_close(&b->l.guest);
	else
		vmb_user_network_guest_abandon(&b->l.guest);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	net_hook_host(b, NULL, NULL);
	net_hook_guest(b, NULL, NULL);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 4);
	net_close(b);
	return s->done;
}

static void live_through_everything(bool at_host)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2 };
	struct net_bed *b = net_new(config);
	struct saboteur s = { 0 };

	for (s.how = 0; s.how < HOW_COUNT; s.how++) {
		for (s.at = 0; live_through(b, &s, at_host); s.at++)
			;
		assert_true(s.at > 15);
	}
	net_free(b);
}

static void test_host_may_fail_at_every_packet_of_a_life(void **state)
{
	live_through_everything(true);
}

static void test_guest_may_fail_at_every_packet_of_a_life(void **state)
{
	live_through_everything(false);
}

/* Guests that do not keep to it. */

static void test_guest_that_never_acknowledges_is_dropped_for_and_recovers(void **state)
{
	struct vmb_user_network_config config = { .guest = { .receive_len = 256u << 10,
							     .ring_pages = 64 } };
	struct net_bed *b = net_new_open(config);
	struct net_spec s = { .len = 100 };
	uint32_t i, given, lent;

	b->l.guest.queues[0].mute = true;
	for (i = 0; i < 1000; i++) {
		net_give_alone(b, i);
		vmb_user_network_settle(&b->l);
	}
	given = (uint32_t)b->l.card->counters.in_frames;
	lent = b->l.guest.network.agreed.suballoc_count - b->l.card->host.free_count;
	assert_int_equal(given, lent);
	assert_int_equal(b->l.card->host.free_count, VMB_HOST_NETWORK_CONTROL_RESERVE);
	assert_int_equal(b->l.card->queues[0].pending_count, VMB_DEV_NETWORK_PENDING_COUNT_MAX);
	assert_int_equal(b->l.card->counters.in_dropped,
			 1000 - given - VMB_DEV_NETWORK_PENDING_COUNT_MAX);
	/* It is served all the same. */
	for (i = 0; i < 200; i++) {
		assert_int_equal(net_send(b, 0, &s, 0, NET_INLINE), 0);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->sent_frames, 200);
	assert_int_equal(b->received.count, given);
	b->l.guest.queues[0].mute = false;
	vmb_user_network_guest_kick(&b->l.guest.queues[0]);
	vmb_user_network_settle(&b->l);
	net_expect_quiet(b);
	net_expect_traffic(b, 300);
	net_free(b);
}

static bool is_ack(const struct vmb_dev_packet *p)
{
	return p->type == VMB_PKT_COMPLETION;
}

static enum vmb_dev_fault_verdict repeat_acks(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	return is_ack(p) ? VMB_DEV_FAULT_TWICE : VMB_DEV_FAULT_PASS;
}

static void test_guest_that_acknowledges_twice_gives_back_once(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 64 };
	struct net_bed *b = net_new_open(config);
	uint32_t i;

	net_hook_guest(b, repeat_acks, NULL);
	for (i = 0; i < 500; i++) {
		assert_int_equal(net_give_alone(b, i), 0);
		assert_true(b->l.card->host.free_count <= b->l.card->host.suballoc_count);
		if (i % 7 == 0)
			vmb_user_network_settle(&b->l);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.card->host.counters.forged, 500);
	net_expect_quiet(b);
	net_hook_guest(b, NULL, NULL);
	net_expect_traffic(b, 10);
	net_free(b);
}

/*
 * Acknowledgements of everything and nothing: a suballocation is never with the guest twice at a
 * time.
 */
static void test_forged_acknowledgements_lend_nothing_twice(void **state)
{
	struct vmb_user_network_config config = { .guest = { .receive_len = 128u << 10,
							     .ring_pages = 64 } };
	struct net_bed *b = net_new_open(config);
	struct vmb_dev_packet p = { .type = VMB_PKT_COMPLETION,
				    .payload_len = 8,
				    .payload = { VMB_NET_SEND_RNDIS_PACKET_COMPLETE, 0, 0, 0,
						 VMB_NET_STATUS_SUCCESS } };
	uint32_t i;

	for (i = 0; i < 20000; i++) {
		p.transaction_id = net_random(b, 4) ? net_random(b, 100) :
						      (uint64_t)net_random(b, 1u << 31) << 20;
		if (net_random(b, 2))
			vmb_user_network_guest_inject(&b->l.guest.queues[0], &p);
		else
			net_give_alone(b, i);
		if (net_random(b, 10) == 0)
			vmb_user_network_settle(&b->l);
		assert_true(b->l.card->host.free_count <= b->l.card->host.suballoc_count);
	}
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.card->host.free_count, b->l.card->host.suballoc_count);
	net_free(b);
}

static enum vmb_dev_fault_verdict drop_acks(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	return is_ack(p) ? VMB_DEV_FAULT_DROP : VMB_DEV_FAULT_PASS;
}

static void test_suballocations_that_a_guest_kept_come_back_with_the_channel(void **state)
{
	struct net_bed *b = net_new_open(no_config);
	uint32_t i;

	net_hook_guest(b, drop_acks, NULL);
	for (i = 0; i < 200; i++) {
		net_give_alone(b, i);
		vmb_user_network_settle(&b->l);
	}
	assert_int_equal(b->l.card->host.suballoc_count - b->l.card->host.free_count, 200);
	net_hook_guest(b, NULL, NULL);
	net_close(b);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	vmb_user_network_settle(&b->l);
	net_forget(b);
	net_expect_traffic(b, 100);
	net_free(b);
}

static void give_flow(struct net_bed *b, uint16_t queue)
{
	uint8_t bytes[60];
	struct vmb_host_network_received frame = { .len = sizeof(bytes) };
	struct vmb_host_offload_piece piece = { bytes, sizeof(bytes) };

	net_frame_to_guest(bytes, sizeof(bytes), queue);
	assert_int_equal(vmb_user_network_give(&b->l, queue, &frame, &piece, 1), 0);
	vmb_user_network_flush(&b->l);
}

static void test_acknowledgement_counts_on_the_queue_that_was_given_to(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2 };
	struct net_bed *b = net_new_open(config);
	struct vmb_dev_packet p = { .type = VMB_PKT_COMPLETION,
				    .payload_len = 8,
				    .payload = { VMB_NET_SEND_RNDIS_PACKET_COMPLETE, 0, 0, 0,
						 VMB_NET_STATUS_SUCCESS } };

	b->l.guest.queues[1].mute = true;
	give_flow(b, 1);
	p.transaction_id = b->l.card->host_queues[1].out.transaction_id;
	assert_int_equal(vmb_user_network_guest_inject(&b->l.guest.queues[0], &p), 0);
	vmb_user_network_settle(&b->l);
	assert_int_equal(b->l.card->host.counters.forged, 1);
	assert_int_equal(b->l.card->host.suballoc_count - b->l.card->host.free_count, 1);
	b->l.guest.queues[1].mute = false;
	vmb_user_network_guest_kick(&b->l.guest.queues[1]);
	vmb_user_network_settle(&b->l);
	net_expect_quiet(b);
	net_free(b);
}

static void test_closing_a_sub_channel_frees_what_was_lent_on_it(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 3 };
	struct net_bed *b = net_new_open(config);
	uint32_t i;

	vmb_user_network_settle(&b->l);
	for (i = 0; i < 90; i++)
		give_flow(b, (uint16_t)(i % 3));
	assert_int_equal(b->l.card->host.suballoc_count - b->l.card->host.free_count, 90);
	vmb_user_network_bus_close(&b->l.bus, 2);
	assert_int_equal(b->l.card->host.suballoc_count - b->l.card->host.free_count, 60);
	vmb_user_network_bus_close(&b->l.bus, 1);
	assert_int_equal(b->l.card->host.suballoc_count - b->l.card->host.free_count, 30);
	vmb_user_network_guest_abandon(&b->l.guest);
	assert_true(vmb_user_network_holds_nothing(&b->l));
	net_free(b);
}

/* A packet that found no room belongs to the connection that ended: the next one never sees it. */
static void test_packet_that_waited_for_room_dies_with_its_channel(void **state)
{
	struct vmb_user_network_config config = { .guest.ring_pages = 2, .guest.queue_count = 2 };
	struct net_bed *b = net_new(config);
	uint32_t i, round;

	for (round = 0; round < 5; round++) {
		assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
		net_expect_agreement(b);
		net_expect_traffic(b, 4);
		for (i = 0; i < 200; i++)
			net_give_alone(b, i);
		assert_true(b->l.card->host_queues[0].ready);
		vmb_user_network_guest_abandon(&b->l.guest);
		assert_true(vmb_user_network_holds_nothing(&b->l));
		net_forget(b);
	}
	net_free(b);
}

/* Life under traffic. */

static void stir(struct net_bed *b, uint32_t steps)
{
	struct net_spec s = { .ip = 4, .protocol = NET_TCP, .checksums = NET_CHECKSUMS_OPEN };
	struct net_shape shape = { 0 };
	uint8_t bytes[700];

	while (steps--) {
		s.len = 54 + net_random(b, 1400);
		s.flow = net_random(b, 1000);
		shape.inline_len = net_random(b, 2) ? UINT32_MAX : net_random(b, 100);
		shape.more = net_random(b, 3) == 0;
		net_send(b, (uint16_t)net_random(b, b->l.guest.queue_count), &s, 0, shape);
		s.len = 54 + net_random(b, sizeof(bytes) - 54);
		net_frame_make(bytes, &s);
		memcpy(bytes, net_guest_mac, 6);
		vmb_user_network_deliver(&b->l, bytes, s.len, 0);
		if (net_random(b, 3) == 0)
			vmb_user_machine_step(&b->l.bus.machine);
		if (net_random(b, 3) == 0)
			vmb_user_network_guest_step(&b->l.guest);
	}
}

static void test_closing_under_traffic_a_hundred_times_leaves_nothing_behind(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4 };
	struct net_bed *b = net_new(config);
	uint32_t i;

	for (i = 0; i < 100; i++) {
		assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
		stir(b, net_random(b, 300));
		if (i % 2) /* what is put together and not sent would be waited for in vain */
			for (uint32_t q = 0; q < b->l.guest.queue_count; q++)
				vmb_user_network_guest_push(&b->l.guest.queues[q]);
		if (i % 2)
			net_close(b);
		else
			vmb_user_network_guest_abandon(&b->l.guest);
		assert_true(vmb_user_network_holds_nothing(&b->l));
		assert_int_equal(b->held_count, 0);
		assert_int_equal(b->l.card->host.counters.broken, 0);
		net_forget(b);
	}
	net_free(b);
}

/* Bytes of both directions' packets changed at random: nothing but the connection suffers. */
struct noise {
	struct net_bed *b;
	uint32_t one_in;
};

static enum vmb_dev_fault_verdict spoil(void *arg, uint16_t queue, struct vmb_dev_packet *p)
{
	struct noise *n = arg;
	uint32_t i;

	if (net_random(n->b, n->one_in))
		return VMB_DEV_FAULT_PASS;
	i = net_random(n->b, 8);
	if (i == 0)
		return VMB_DEV_FAULT_DROP;
	if (i == 1)
		return VMB_DEV_FAULT_TWICE;
	if (i == 2)
		p->transaction_id ^= 1ull << net_random(n->b, 64);
	else if (i == 3)
		p->payload_len = net_random(n->b, p->payload_len + 1);
	else if (i == 4 && p->header_len)
		p->header[net_random(n->b, p->header_len)] ^= (uint8_t)(1u << net_random(n->b, 8));
	else if (p->payload_len)
		p->payload[net_random(n->b, p->payload_len)] ^=
			(uint8_t)(1u << net_random(n->b, 8));
	return VMB_DEV_FAULT_PASS;
}

static void test_noise_on_the_rings_harms_one_connection_only(void **state)
{
	struct vmb_user_network_config config = { .guest = { .queue_count = 3,
							     .rsc = true,
							     .receive_len = 256u << 10,
							     .send_len = 256u << 10 } };
	struct net_bed *b = net_new(config);
	struct noise n = { .b = b };
	uint32_t i;

	for (i = 0; i < 200; i++) {
		n.one_in = 5 + net_random(b, 200);
		net_hook_host(b, i % 3 == 0 ? NULL : spoil, &n);
		net_hook_guest(b, i % 3 == 1 ? NULL : spoil, &n);
		if (!vmb_user_network_guest_open(&b->l.guest)) {
			stir(b, 200);
			vmb_user_network_guest_close(&b->l.guest);
		} else {
			vmb_user_network_guest_abandon(&b->l.guest);
		}
		assert_true(vmb_user_network_holds_nothing(&b->l));
		assert_int_equal(b->held_count, 0);
		net_forget(b);
	}
	net_hook_host(b, NULL, NULL);
	net_hook_guest(b, NULL, NULL);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	net_expect_traffic(b, 30);
	net_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_host_that_drops_completions_stops_the_sender_and_nothing_else),
		cmocka_unit_test(test_host_that_completes_twice_frees_a_slot_once),
		cmocka_unit_test(test_forged_completions_end_nothing),
		cmocka_unit_test(test_completion_of_an_earlier_use_of_a_slot_is_refused),
		cmocka_unit_test(test_status_of_the_host_reaches_the_port),
		cmocka_unit_test(test_host_may_fail_at_every_packet_of_a_life),
		cmocka_unit_test(test_guest_may_fail_at_every_packet_of_a_life),
		cmocka_unit_test(test_guest_that_never_acknowledges_is_dropped_for_and_recovers),
		cmocka_unit_test(test_guest_that_acknowledges_twice_gives_back_once),
		cmocka_unit_test(test_forged_acknowledgements_lend_nothing_twice),
		cmocka_unit_test(test_suballocations_that_a_guest_kept_come_back_with_the_channel),
		cmocka_unit_test(test_acknowledgement_counts_on_the_queue_that_was_given_to),
		cmocka_unit_test(test_closing_a_sub_channel_frees_what_was_lent_on_it),
		cmocka_unit_test(test_packet_that_waited_for_room_dies_with_its_channel),
		cmocka_unit_test(test_closing_under_traffic_a_hundred_times_leaves_nothing_behind),
		cmocka_unit_test(test_noise_on_the_rings_harms_one_connection_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
