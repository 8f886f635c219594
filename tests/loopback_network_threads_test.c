// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Both ends of a network card with a thread each, and a third that sends: nothing is lost, nothing
 * is torn, nobody sleeps for ever. Ends look at their rings only when they are rung.
 */
#include <pthread.h>
#include <time.h>

#include "ports/user/network.h"
#include "tests/network_bed.h"
#include "tests/peek.h"

#define PATIENCE_MS 20000u

struct load {
	struct vmb_user_network l;
	/* atomic */
	uint32_t completed, arrived, bad, wire;
	uint32_t to_give; /* frames that the host makes up */
	uint32_t slow; /* each such frame is read late, 0: none: who writes over it is seen */
	uint32_t given;
};

static uint32_t get(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void count(uint32_t *counter, uint32_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELEASE);
}

static void nap(void)
{
	struct timespec t = { .tv_nsec = 200000 };

	nanosleep(&t, NULL);
}

static bool wait_until(const uint32_t *counter, uint32_t value)
{
	uint32_t i;

	for (i = 0; i < PATIENCE_MS * 5 && get(counter) < value; i++)
		nap();
	return get(counter) >= value;
}

/* The first payload bytes say which flow the rest belongs to. */
static void make(uint8_t *bytes, uint32_t len, uint32_t flow)
{
	struct net_spec s = {
		.len = len, .ip = 4, .protocol = NET_UDP, .flow = flow, .broadcast = true
	};

	net_frame_make(bytes, &s);
}

static bool is_whole(const uint8_t *bytes, uint32_t len)
{
	struct net_verdict v = net_frame_judge(bytes, len);
	uint32_t flow = v.wrong ? 0 : (uint32_t)(bytes[32] << 8 | bytes[33]);

	return !v.wrong &&
	       net_payload_differs(bytes + v.payload_at, v.payload_len, flow, 0) == v.payload_len;
}

static void on_received(struct vmb_user_network_queue *q,
			const struct vmb_guest_network_frame *frame)
{
	struct load *load = q->guest->config.arg;
	const uint8_t *buffer = q->guest->network.config.receive_buffer;

	if (load->slow && get(&load->arrived) % load->slow == 0)
		nap();
	if (frame->piece_count != 1 ||
	    !is_whole(buffer + frame->pieces[0].offset, frame->rndis.len))
		count(&load->bad, 1);
	count(&load->arrived, 1);
}

static void on_sent(struct vmb_user_network_queue *q, const struct vmb_guest_network_event *event)
{
	struct load *load = q->guest->config.arg;

	count(&load->completed, event->frame_count);
}

static void on_wire(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes, uint32_t len,
		    uint32_t mss)
{
	struct load *load = l->config.host.arg;

	count(&load->wire, 1);
	if (!is_whole(bytes, len))
		count(&load->bad, 1);
}

/* Makes up to to_give frames, as fast as they are taken. */
static bool give(struct vmb_user_network *l)
{
	struct load *load = l->config.host.arg;
	uint8_t bytes[1000];
	uint32_t len, i;

	for (i = 0; i < 64 && get(&load->to_give); i++) {
		len = 60 + load->given * 7 % (sizeof(bytes) - 60);
		make(bytes, len, load->given % 60000);
		if (vmb_user_network_deliver(l, bytes, len, 0))
			return false;
		load->given++;
		__atomic_fetch_sub(&load->to_give, 1, __ATOMIC_RELEASE);
	}
	return i == 64;
}

static struct load *load_new(struct vmb_user_network_config config)
{
	struct load *load = aligned_alloc(64, (sizeof(*load) + 63) & ~(size_t)63);
	struct vmb_host_rndis_config *r = &config.host.network.rndis;

	assert_non_null(load);
	memset(load, 0, sizeof(*load));
	memcpy(r->mac, net_guest_mac, sizeof(r->mac));
	r->mtu_max = 1500;
	r->link_speed = 100000000;
	r->queue_count_max = VMB_USER_NETWORK_QUEUE_MAX;
	r->offload = VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM | VMB_HOST_RNDIS_LSO;
	config.host.arg = config.guest.arg = load;
	config.host.looked = give;
	if (!config.host.wire)
		config.host.wire = on_wire;
	config.guest.received = on_received;
	config.guest.sent = on_sent;
	config.guest.filter = RNDIS_FILTER_PROMISCUOUS;
	config.threads = true;
	assert_int_equal(vmb_user_network_init(&load->l, &config), 0);
	return load;
}

static void load_free(struct load *load)
{
	vmb_user_network_destroy(&load->l);
	free(load);
}

static void start_giving(struct load *load, uint32_t n)
{
	__atomic_store_n(&load->to_give, n, __ATOMIC_RELEASE);
	vmb_user_wire_wake(&load->l.wire);
}

/* One frame by queue flow % queues; tries until it is taken. False: it never was. */
static bool send_one(struct load *load, uint32_t flow, bool more)
{
	struct vmb_user_network_queue *q = &load->l.guest.queues[flow % load->l.guest.queue_count];
	struct vmb_user_network_frame frame = { 0 };
	uint8_t bytes[1000];
	uint32_t i;

	frame.rndis.len = frame.inline_len = 60 + flow * 13 % (sizeof(bytes) - 60);
	frame.bytes = bytes;
	make(bytes, frame.rndis.len, flow % 60000);
	for (i = 0; i < PATIENCE_MS * 5; i++) {
		if (!vmb_user_network_guest_send(q, &frame, more))
			return true;
		vmb_user_network_guest_push(q);
		nap();
	}
	return false;
}

static void send_many(struct load *load, uint32_t n, uint32_t batch)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		assert_true(send_one(load, i, (i + 1) % batch != 0));
	for (i = 0; i < load->l.guest.queue_count; i++)
		vmb_user_network_guest_push(&load->l.guest.queues[i]);
	assert_true(wait_until(&load->completed, n));
}

static void expect_quiet(struct load *load)
{
	uint32_t i, missing = 1;

	assert_int_equal(get(&load->bad), 0);
	for (i = 0; i < PATIENCE_MS * 5 && missing; i++) {
		missing = load->l.card->host.suballoc_count -
			  peek_u32(&load->l.card->host.free_count);
		if (missing)
			nap();
	}
	assert_int_equal(missing, 0);
	assert_int_equal(load->l.card->host.counters.broken, 0);
	assert_int_equal(load->l.card->host.counters.forged, 0);
	assert_int_equal(vmb_user_network_guest_close(&load->l.guest), 0);
	assert_true(vmb_user_network_holds_nothing(&load->l));
}

static struct load *load_open(uint16_t queues, uint32_t ring_pages)
{
	struct vmb_user_network_config config = { .guest = { .queue_count = queues,
							     .ring_pages = ring_pages } };
	struct load *load = load_new(config);

	assert_int_equal(vmb_user_network_guest_open(&load->l.guest), 0);
	return load;
}

static void test_frames_of_a_sender_all_arrive(void **state)
{
	static const uint16_t queues[] = { 1, 2, 4 };
	static const uint32_t batches[] = { 1, 8, 32 }, rings[] = { 2, 16 };
	struct load *load;
	uint32_t i, j, k;

	for (i = 0; i < VMB_ARRAY_COUNT(queues); i++)
		for (j = 0; j < VMB_ARRAY_COUNT(batches); j++)
			for (k = 0; k < VMB_ARRAY_COUNT(rings); k++) {
				load = load_open(queues[i], rings[k]);
				send_many(load, 2000, batches[j]);
				assert_int_equal(get(&load->wire), 2000);
				expect_quiet(load);
				load_free(load);
			}
}

/*
 * docs/known-bugs.md, "27 Send queue: stop and wake race": a receiver that sends nothing but
 * acknowledgements, on rings that they fill.
 */
static void test_frames_of_a_source_arrive_on_small_rings(void **state)
{
	static const uint16_t queues[] = { 1, 4 };
	static const uint32_t rings[] = { 2, 16 };
	struct load *load;
	uint32_t i, k;

	for (i = 0; i < VMB_ARRAY_COUNT(queues); i++)
		for (k = 0; k < VMB_ARRAY_COUNT(rings); k++) {
			load = load_open(queues[i], rings[k]);
			start_giving(load, 20000);
			assert_true(wait_until(&load->arrived, 20000));
			expect_quiet(load);
			load_free(load);
		}
}

static void test_frames_cross_in_both_directions(void **state)
{
	static const uint32_t rings[] = { 2, 4, 32 };
	struct load *load;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(rings); i++) {
		load = load_open(2, rings[i]);
		start_giving(load, 10000);
		send_many(load, 5000, 4);
		assert_int_equal(get(&load->wire), 5000);
		assert_true(wait_until(&load->arrived, 10000));
		expect_quiet(load);
		load_free(load);
	}
}

static void test_reopening_under_traffic_leaves_nothing_behind(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 4 };
	struct load *load = load_new(config);
	uint32_t round, i;

	load->slow = 16;
	for (round = 0; round < 100; round++) {
		assert_int_equal(vmb_user_network_guest_open(&load->l.guest), 0);
		start_giving(load, 1000000);
		for (i = 0; i < round % 40; i++)
			assert_true(send_one(load, i, false));
		if (round % 2)
			assert_int_equal(vmb_user_network_guest_close(&load->l.guest), 0);
		else
			vmb_user_network_guest_abandon(&load->l.guest);
		__atomic_store_n(&load->to_give, 0, __ATOMIC_RELEASE);
		assert_true(vmb_user_network_holds_nothing(&load->l));
	}
	assert_int_equal(get(&load->bad), 0);
	load_free(load);
}

static void test_two_guests_talk_over_one_wire(void **state)
{
	struct vmb_user_network_config config = { .guest.queue_count = 2,
						  .host.wire = vmb_user_network_to_peer };
	struct load *a = load_new(config), *b;
	uint32_t dropped;

	config.peer = &a->l;
	b = load_new(config);
	assert_int_equal(vmb_user_network_guest_open(&a->l.guest), 0);
	assert_int_equal(vmb_user_network_guest_open(&b->l.guest), 0);
	send_many(a, 3000, 2);
	send_many(b, 3000, 1);
	dropped = (uint32_t)(a->l.card->counters.in_dropped + b->l.card->counters.in_dropped);
	assert_true(wait_until(&a->arrived, 3000 - dropped));
	assert_true(wait_until(&b->arrived, 3000 - dropped));
	assert_int_equal(get(&a->bad) + get(&b->bad), 0);
	expect_quiet(b);
	expect_quiet(a);
	load_free(b);
	load_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_of_a_sender_all_arrive),
		cmocka_unit_test(test_frames_of_a_source_arrive_on_small_rings),
		cmocka_unit_test(test_frames_cross_in_both_directions),
		cmocka_unit_test(test_reopening_under_traffic_leaves_nothing_behind),
		cmocka_unit_test(test_two_guests_talk_over_one_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
