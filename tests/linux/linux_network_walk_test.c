// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A random walk: two threads send, one polls busily, while a fourth does to the card, its device
 * and its host whatever can happen to them. Frames arrive unharmed or not at all; after each round
 * the card works; nothing hangs, which the scheduler would report; nothing is written to that was
 * freed.
 *
 *	ROUNDS=1000 build/tests/linux_network_walk_test	  SEED=7 for one of the seeds, with its log
 */
#include "devices/channel.h"
#include "tests/linux/traffic.h"

#define SENDERS 2
#define SEEDS	20

static bool over;

static void send_on(void *argument)
{
	u16 queue = (u16)(uintptr_t)argument;

	while (!over) {
		traffic_send(queue, 60 + sched_random(sched_random(4) ? 1400 : 8900), HZ);
		msleep(4 + sched_random(100) * 40);
		queue = (u16)sched_random(4);
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
		msleep(4 + sched_random(50) * 20);
	}
}

/* ---- what a user does ---- */

static void change(void *unused)
{
	struct net_device *dev = net_get();

	if (!dev)
		return;
	switch (sched_random(4)) {
	case 0: net_set_mtu(dev, 1400 + (int)sched_random(7600)); break;
	case 1: net_set_channels(dev, 1 + sched_random(4)); break;
	case 2: net_down(dev); break;
	case 3: net_up(dev); break;
	}
	net_put(dev);
}

static void bind_anew(void *unused)
{
	host_unbind();
	host_bind();
}

/* ---- what the host does ---- */

static void break_ring(void)
{
	struct netvsc *card = net_dev ? netdev_priv(net_dev) : NULL;
	struct netvsc_queue *q = card ? card->queues[sched_random(2)] : NULL;

	if (q && q->channel && q->channel->rx.control)
		((struct vmb_ring_control *)q->channel->rx.control)->write_index = 7;
}

static void take_sub_channel(void)
{
	struct vmb_dev_network_queue *q = &host.card->queues[1 + sched_random(3)];

	if (q->channel)
		vmb_dev_bus_rescind(q->channel);
	host_wake();
}

static void be_bad(void)
{
	switch (sched_random(4)) {
	case 0: host.stalled = true; break;
	case 1: break_ring(); break;
	case 2: take_sub_channel(); break;
	case 3: break;
	}
}

static void be_good(void)
{
	host.stalled = false;
	host_wake();
}

/* ---- rounds ---- */

static void work_again(void)
{
	u32 i;

	msleep(100 * 1000);
	if (!net_dev) /* a handshake that is not answered in time is a probe that fails */
		claim_same(host_bind(), 0);
	claim(net_dev);
	net_up(net_dev);
	if (!traffic_card()->connected) {
		net_down(net_dev);
		claim_same(net_up(net_dev), 0);
	}
	for (i = 0; i < 4; i++)
		traffic_ping((u16)i, 60 + sched_random(1300));
}

static void round_of(void)
{
	struct bed_thread user = { .ended = true }, binder = { .ended = true };

	if (sched_random(2))
		bed_start(&user, "user", change, NULL);
	msleep(sched_random(20) * 4);
	be_bad();
	if (!sched_random(4))
		bed_start(&binder, "binder", bind_anew, NULL);
	msleep(sched_random(2) ? sched_random(20) * 4 : sched_random(200) * 1000);
	if (!sched_random(4)) {
		host_rescind();
		msleep(sched_random(20) * 4);
		be_good();
		bed_join(&user);
		bed_join(&binder);
		host_await_released();
		host_offer();
	}
	be_good();
	bed_join(&user);
	bed_join(&binder);
	work_again();
}

static void walk(void)
{
	u32 round, rounds = getenv("ROUNDS") ? (u32)atoi(getenv("ROUNDS")) : 12, i;
	struct bed_thread senders[SENDERS], poller;

	traffic_start();
	for (i = 0; i < SENDERS; i++)
		bed_start(&senders[i], "sender", send_on, (void *)(uintptr_t)i);
	bed_start(&poller, "poller", poll_on, NULL);
	for (round = 0; round < rounds; round++)
		round_of();
	over = true;
	for (i = 0; i < SENDERS; i++)
		bed_join(&senders[i]);
	bed_join(&poller);
	claim(traffic_back > rounds * 4);
	traffic_stop();
}

bed_test_seeds(walk, SEEDS)

	int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_walk) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
