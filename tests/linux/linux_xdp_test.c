// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of XDP in netvsc: what a program says is done to a frame, nothing is lost or kept, and
 * programs come and go while frames do.
 */
#include "tests/linux/traffic.h"

static u32 verdict, runs, moved;

/* Frames that have gone through once are let pass, or they would never end. */
static u32 once(struct xdp_buff *xdp)
{
	u32 now = verdict;

	runs++;
	if (verdict == XDP_TX || verdict == XDP_REDIRECT)
		verdict = XDP_PASS;
	return now;
}

static struct bpf_prog program = { .run = once };

static u64 count_of(enum netvsc_rx_stat what)
{
	u64 sum = 0;
	u16 i;

	for (i = 0; i < traffic_card()->queue_count; i++)
		sum += traffic_card()->queues[i]->rx[what];
	return sum;
}

static void start_with(struct bpf_prog *prog)
{
	traffic_start();
	net_dev->features &= ~(u64)NETIF_F_LRO;
	claim_same(net_set_xdp(net_dev, prog), 0);
}

static void stop(void)
{
	traffic_stop();
	claim_same(net_pools, 0);
}

/* Sends one and waits; the host sends each back. */
static void send_one(u32 len)
{
	claim(traffic_send(0, len, HZ));
	msleep(2000);
}

static void a_program_may_let_pass_and_drop(void)
{
	start_with(&program);
	verdict = XDP_PASS;
	traffic_ping(0, 60);
	traffic_ping(1, 1514);
	claim(runs >= 2);
	claim(count_of(NETVSC_RX_XDP_PASS) >= 2);
	verdict = XDP_DROP;
	traffic_back = 0;
	send_one(200);
	claim_same(traffic_back, 0);
	claim_same(count_of(NETVSC_RX_XDP_DROP), 1);
	verdict = 17;
	send_one(200);
	verdict = XDP_ABORTED;
	send_one(200);
	claim_same(traffic_back, 0);
	claim_same(count_of(NETVSC_RX_XDP_ABORTED), 2);
	stop();
}

/* The host hears it twice and sends it back twice; the second time it passes. */
static void a_program_may_send_back(void)
{
	static const u32 ways[] = { XDP_TX, XDP_REDIRECT };
	u32 i, heard, back;

	start_with(&program);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		verdict = ways[i];
		heard = traffic_heard;
		back = traffic_back;
		send_one(1000);
		claim_same(traffic_heard, heard + 2);
		claim_same(traffic_back, back + 1);
	}
	claim_same(count_of(NETVSC_RX_XDP_TX), 1);
	claim_same(count_of(NETVSC_RX_XDP_REDIRECT), 1);
	stop();
}

static void a_redirect_may_fail(void)
{
	start_with(&program);
	net_redirects = false;
	verdict = XDP_REDIRECT;
	traffic_back = 0;
	send_one(1000);
	claim_same(traffic_back, 0);
	claim_same(count_of(NETVSC_RX_XDP_ABORTED), 1);
	stop();
}

static u32 cut(struct xdp_buff *xdp)
{
	xdp->data += moved;
	xdp->data_end -= moved;
	return XDP_PASS;
}

static u32 seen_len;

static void see(const struct sk_buff *skb, const u8 *bytes, u32 len)
{
	seen_len = len;
}

static void a_program_may_cut_a_frame(void)
{
	static struct bpf_prog cutter = { .run = cut };

	start_with(&cutter);
	net_received = see;
	moved = 16;
	send_one(500);
	claim_same(seen_len, 500 - 32);
	stop();
}

static void no_program_for_what_does_not_go_with_it(void)
{
	traffic_start();
	net_dev->features |= NETIF_F_LRO;
	claim_same(net_set_xdp(net_dev, &program), -EOPNOTSUPP);
	net_dev->features &= ~(u64)NETIF_F_LRO;
	claim_same(net_set_mtu(net_dev, 8000), 0);
	claim_same(net_set_xdp(net_dev, &program), -EINVAL);
	claim_same(program.users, 0);
	claim_same(net_set_mtu(net_dev, 1500), 0);
	claim_same(net_set_xdp(net_dev, &program), 0);
	claim_same(net_set_mtu(net_dev, 8000), -EINVAL);
	claim_same(program.users, 1);
	verdict = XDP_PASS;
	traffic_ping(0, 300);
	stop();
	claim_same(program.users, 0);
}

/* The second queue gets no pool: all is as it was, also for the first. */
static void no_memory_for_a_program(void)
{
	traffic_start();
	net_dev->features &= ~(u64)NETIF_F_LRO;
	net_pools_left = 1;
	claim_same(net_set_xdp(net_dev, &program), -ENOMEM);
	claim_same(net_pools, 0);
	claim_same(program.users, 0);
	traffic_ping(0, 300);
	traffic_ping(1, 300);
	claim_same(runs, 0);
	net_pools_left = UINT_MAX;
	claim_same(net_set_xdp(net_dev, &program), 0);
	verdict = XDP_PASS;
	traffic_ping(1, 300);
	claim(runs);
	stop();
}

/* A device that is down sends nothing, and keeps no frame. */
static void frames_from_elsewhere(void)
{
	struct xdp_frame frames[2] = {}, *list[] = { &frames[0], &frames[1] };

	start_with(&program);
	claim_same(netvsc_xdp_xmit(net_dev, 2, list, 2), -EINVAL);
	frames[0].has_frags = true;
	claim_same(netvsc_xdp_xmit(net_dev, 2, list, XDP_XMIT_FLUSH), 0);
	net_down(net_dev);
	claim_same(netvsc_xdp_xmit(net_dev, 2, list, XDP_XMIT_FLUSH), -ENETDOWN);
	claim_same(net_up(net_dev), 0);
	verdict = XDP_PASS;
	traffic_ping(0, 100);
	stop();
}

/* ---- under traffic ---- */

static bool over;

static u32 any(struct xdp_buff *xdp)
{
	return sched_random(4) ? XDP_PASS : 1 + sched_random(4);
}

static void send_on(void *argument)
{
	while (!over) {
		traffic_send((u16)sched_random(4), 60 + sched_random(1400), HZ);
		msleep(4 + sched_random(40) * 4);
	}
}

static void poll_on(void *unused)
{
	struct net_device *dev;

	while (!over) {
		dev = net_get();
		if (dev) {
			net_busy_poll(dev);
			net_put(dev);
		}
		msleep(4 + sched_random(20) * 4);
	}
}

static void change(struct bpf_prog *programs)
{
	struct bpf_prog *prog = sched_random(3) ? &programs[sched_random(2)] : NULL;
	int rc;

	switch (sched_random(6)) {
	case 0: net_set_mtu(net_dev, 1400 + (int)sched_random(3000)); break;
	case 1: net_set_channels(net_dev, 1 + sched_random(4)); break;
	case 2:
		net_down(net_dev);
		net_up(net_dev);
		break;
	default:
		net_pools_left = sched_random(4) ? UINT_MAX : sched_random(4);
		rc = net_set_xdp(net_dev, prog);
		claim(!rc || rc == -ENOMEM || rc == -EINVAL);
		net_pools_left = UINT_MAX;
	}
}

static void programs_come_and_go(void)
{
	static struct bpf_prog programs[] = { { .run = any }, { .run = any } };
	struct bed_thread sender, poller;
	u32 i;

	start_with(&programs[0]);
	bed_start(&sender, "sender", send_on, NULL);
	bed_start(&poller, "poller", poll_on, NULL);
	for (i = 0; i < 12; i++) {
		msleep(sched_random(200) * 4);
		change(programs);
	}
	over = true;
	bed_join(&sender);
	bed_join(&poller);
	net_set_mtu(net_dev, 1500);
	claim_same(net_set_xdp(net_dev, NULL), 0);
	claim_same(net_pools, 0);
	claim_same(programs[0].users + programs[1].users, 0);
	for (i = 0; i < 4; i++)
		traffic_ping((u16)i, 700);
	stop();
}

/* clang-format off */
bed_test(a_program_may_let_pass_and_drop)
bed_test(a_program_may_send_back)
bed_test(a_redirect_may_fail)
bed_test(a_program_may_cut_a_frame)
bed_test(no_program_for_what_does_not_go_with_it)
bed_test(no_memory_for_a_program)
bed_test(frames_from_elsewhere)
bed_test_seeds(programs_come_and_go, 20)
	/* clang-format on */

	int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_may_let_pass_and_drop),
		cmocka_unit_test(test_a_program_may_send_back),
		cmocka_unit_test(test_a_redirect_may_fail),
		cmocka_unit_test(test_a_program_may_cut_a_frame),
		cmocka_unit_test(test_no_program_for_what_does_not_go_with_it),
		cmocka_unit_test(test_no_memory_for_a_program),
		cmocka_unit_test(test_frames_from_elsewhere),
		cmocka_unit_test(test_programs_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
