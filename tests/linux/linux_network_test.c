// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/network*.c, with the real bus below and the real host behind it: frames, and
 * what may happen to a card while it connects, changes and goes.
 */
#include "devices/channel.h"
#include "tests/linux/traffic.h"

#define HELD_MAX (155 * HZ)

static void frames_of_all_lengths_come_back(void)
{
	static const u32 lens[] = { 60, 61, 200, 1000, 1513, 1514 };
	u32 i;

	traffic_start();
	for (i = 0; i < 40; i++)
		traffic_ping((u16)i, lens[i % ARRAY_SIZE(lens)]);
	claim_same(traffic_back, 40);
	claim_same(net_set_mtu(net_dev, 9000), 0);
	for (i = 0; i < 40; i++)
		traffic_ping((u16)i, 4000 + i * 128);
	claim_same(traffic_back, 80);
	claim_same(shim_log_count("warn"), 0);
	traffic_stop();
}

/* ---- who polls when ---- */

static bool over;

static void poll_busily(void *unused)
{
	struct net_device *dev;

	while (!over) {
		dev = net_get();
		if (dev) {
			net_busy_poll(dev);
			net_put(dev);
		}
		msleep(4);
	}
}

static void send_on(void *unused)
{
	u32 i;

	for (i = 0; !over; i++) {
		traffic_send((u16)i, 60 + i % 1400, HZ);
		msleep(sched_random(3) * 4);
	}
}

/* A socket that polls busily needs no doorbell: it comes while the rings come and go. */
static void a_busy_poller_meets_no_ring_that_is_not_there(void)
{
	struct bed_thread poller, sender;
	u32 i;

	traffic_start();
	bed_start(&poller, "poller", poll_busily, NULL);
	bed_start(&sender, "sender", send_on, NULL);
	for (i = 0; i < 6; i++) {
		msleep(sched_random(20) * 4);
		claim_same(net_set_mtu(net_dev, i % 2 ? 1500 : 1400), 0);
		claim_same(net_set_channels(net_dev, 1 + (i + 3) % 4), 0);
	}
	net_down(net_dev);
	claim_same(net_up(net_dev), 0);
	over = true;
	bed_join(&sender);
	bed_join(&poller);
	traffic_ping(0, 1000);
	traffic_stop();
}

static void a_closed_channel_has_no_ring(void)
{
	struct vmb_channel *ch;

	traffic_start();
	ch = host_device()->channel;
	claim(ch->rx.data && ch->tx.data);
	host_unbind();
	claim(!ch->rx.control && !ch->rx.data && !ch->tx.control && !ch->tx.data);
	claim_same(host_bind(), 0);
	claim_same(net_up(net_dev), 0);
	traffic_ping(0, 1000);
	traffic_stop();
}

/* ---- work that is queued late ---- */

/* Who queues it has seen that the card stays, and goes on when its work has been cancelled. */
static void hold_back(const struct work_struct *work)
{
	const struct netvsc *card = container_of(work, struct netvsc, reset_work);

	if (work != shim_kept)
		return;
	shim_queueing = NULL;
	while (!READ_ONCE(card->removing))
		sched_wait(work, 4, "a card that stays");
	sched_wait(work, 100, "work that was cancelled");
}

static void work_that_is_queued_late_ends_with_the_card(void)
{
	traffic_start();
	shim_kept = &traffic_card()->reset_work;
	shim_queueing = hold_back;
	vmb_dev_bus_rescind(host.card->queues[1].channel);
	host_wake();
	msleep(1000);
	claim(!shim_queueing);
	host_unbind();
	shim_kept = NULL; /* AddressSanitizer sees a worker that takes it now */
	claim_same(host_bind(), 0);
	claim_same(net_up(net_dev), 0);
	traffic_ping(0, 1000);
	traffic_stop();
}

/* ---- the host takes the card away ---- */

static u32 countdown; /* to the step at which something happens; 0: never */
static void (*event)(void);

static void count_down(void)
{
	if (countdown && !--countdown)
		event();
}

static void load(void *unused)
{
	claim_same(shim_module_load("netvsc"), 0);
}

static void change_mtu(void *unused)
{
	net_set_mtu(net_dev, 1400);
}

/* At each message and at each doorbell that the guest sends meanwhile. */
static void rescind_at_each_step(void (*during)(void *unused), bool loaded)
{
	struct bed_thread t;
	u64 before;
	u32 step;

	traffic_start_bare();
	host.posted = host.signalled = count_down;
	event = host_rescind;
	for (step = 1;; step++) {
		if (loaded) {
			claim_same(shim_module_load("netvsc"), 0);
			claim_same(net_up(net_dev), 0);
		}
		countdown = step;
		before = sched_now();
		bed_start(&t, "during", during, NULL);
		bed_join(&t);
		claim(sched_now() - before <= 12 * HZ); /* nobody waits for a host that has gone */
		if (countdown)
			break;
		host_await_released();
		claim(!net_dev);
		host_offer();
		msleep(1000);
		claim(net_dev);
		claim_same(net_up(net_dev), 0);
		traffic_ping((u16)step, 1000);
		shim_module_unload("netvsc");
	}
	countdown = 0;
	claim(step > 20);
	host_stop();
	shim_module_unload("netvsc");
	claim_same(net_skb_count, 0);
}

static void a_rescind_at_each_step_of_probe(void)
{
	rescind_at_each_step(load, false);
}

static void a_rescind_at_each_step_of_a_change(void)
{
	rescind_at_each_step(change_mtu, true);
}

static void rescind_sub_channel(void)
{
	vmb_dev_bus_rescind(host.card->queues[2].channel);
	host_wake();
}

/* The CPU is taken away in the middle of each hypercall; meanwhile others have messages too. */
static void preempt(void)
{
	sched_wait(preempt, 1 + sched_random(5), "another thread has the CPU");
}

static void a_preempted_hypercall_posts_what_was_written(void)
{
	struct bed_thread t;
	u32 before;

	traffic_start();
	host.posted = preempt;
	before = host.posts;
	bed_start(&t, "change", change_mtu, NULL);
	rescind_sub_channel();
	bed_join(&t);
	msleep(5000);
	claim(host.posts - before > 20);
	traffic_ping(1, 1000);
	traffic_stop();
}

static void a_sub_channel_that_goes_makes_the_card_connect_anew(void)
{
	u32 i;

	traffic_start();
	traffic_ping(2, 1000);
	rescind_sub_channel();
	msleep(5000);
	claim_same(shim_log_count("connecting anew"), 1);
	claim_same(net_dev->real_num_tx_queues, 4);
	for (i = 0; i < 4; i++)
		traffic_ping((u16)i, 1000);
	traffic_stop();
}

/* ---- sleep: what the bus calls before and after it ---- */

static void sleep_and_wake(int (*what)(struct vmb_device *device), int expected)
{
	struct vmb_device *device = host_device();

	mutex_lock(&device->dev.mutex);
	claim_same(what(device), expected);
	mutex_unlock(&device->dev.mutex);
}

static const struct vmb_driver *driver(void)
{
	return to_vmb_driver(host_device()->dev.driver);
}

static void a_card_sleeps_and_wakes(void)
{
	const struct vmb_channel *ch;
	u32 i;

	traffic_start();
	ch = host_device()->channel;
	for (i = 0; i < 3; i++) {
		traffic_ping((u16)i, 1000);
		sleep_and_wake(driver()->suspend, 0);
		claim(!ch->rings && list_empty(&ch->subs)); /* the host has nothing of ours */
		claim(!traffic_send(0, 1000, 0));
		claim_same(net_set_mtu(net_dev, 1400), -ENODEV);
		sleep_and_wake(driver()->resume, 0);
		claim(netif_running(net_dev));
	}
	traffic_ping(3, 1000);
	traffic_stop();
}

static void a_card_may_go_in_its_sleep(void)
{
	traffic_start();
	sleep_and_wake(driver()->suspend, 0);
	host_rescind();
	msleep(1000);
	host_await_released();
	claim(!net_dev);
	host_offer();
	msleep(1000);
	claim_same(net_up(net_dev), 0);
	traffic_ping(0, 1000);
	traffic_stop();
}

static void a_card_that_cannot_wake_is_there_and_opens_later(void)
{
	traffic_start();
	sleep_and_wake(driver()->suspend, 0);
	host.stalled = true;
	sleep_and_wake(driver()->resume, -ETIMEDOUT);
	host.stalled = false;
	host_wake();
	msleep(5000);
	net_down(net_dev);
	claim_same(net_up(net_dev), 0);
	traffic_ping(0, 1000);
	traffic_stop();
}

/* ---- a host that does not answer ---- */

static void stall(void)
{
	host.stalled = true;
}

/*
 * The whole system waits for the RTNL: so nobody who holds it waits for the host again and again.
 * What is waited for is one answer (60 s), and for what ends the try afterwards.
 */
static void a_mute_host_does_not_keep_the_rtnl(void)
{
	struct bed_thread t;
	u32 step;

	traffic_start();
	host.posted = host.signalled = count_down;
	event = stall;
	for (step = 1;; step++) {
		net_rtnl_held_max = 0;
		countdown = step;
		bed_start(&t, "change", change_mtu, NULL);
		bed_join(&t);
		if (countdown)
			break;
		claim(net_rtnl_held_max <= HELD_MAX);
		claim_same(traffic_card()->settings.mtu, net_dev->mtu);
		host.stalled = false;
		host_wake();
		msleep(300 * 1000);
		net_down(net_dev);
		claim_same(net_up(net_dev), 0);
		claim_same(net_set_mtu(net_dev, 1500), 0);
		traffic_ping((u16)step, 1000);
	}
	countdown = 0;
	claim(step > 20);
	traffic_stop();
}

/* The interrupt that says "there is room again" gets lost, and nothing else comes. */
static void the_watchdog_finds_what_an_interrupt_did_not_say(void)
{
	u32 i;

	traffic_start();
	traffic_ping(1, 1000);
	host.lost_flag = traffic_card()->queues[1]->channel->core.relid;
	for (i = 0; i < 1000 && traffic_send(1, 1000, 0); i++)
		;
	claim(i < 1000); /* the queue is stopped */
	msleep(20 * 1000);
	claim_same(shim_log_count("has taken no frame"), 0);
	host.lost_flag = 0;
	msleep(70 * 1000);
	claim(shim_log_count("queue 1: the host has taken no frame"));
	claim(traffic_send(1, 1000, 0));
	traffic_stop();
}

/* One that is only slow loses nothing. */
static void the_watchdog_ends_nothing(void)
{
	u32 sent = 0;

	traffic_start();
	traffic_ping(1, 1000);
	host.stalled = true;
	while (traffic_send(1, 1000, 0))
		sent++;
	msleep(200 * 1000);
	claim(shim_log_count("queue 1: the host has taken no frame"));
	claim_same(shim_log_count("connecting anew"), 0);
	host.stalled = false;
	host_wake();
	msleep(5000);
	claim_same(traffic_heard, sent + 1);
	traffic_stop();
}

/* ---- a host that breaks a ring ---- */

static void break_ring(void)
{
	struct netvsc *card = traffic_card();

	host.stalled = true; /* it would write the index again */
	((struct vmb_ring_control *)card->queues[1]->channel->rx.control)->write_index = 7;
	napi_schedule(&card->queues[1]->napi);
	msleep(4);
	host.stalled = false;
	host_wake();
}

static void a_broken_ring_makes_the_card_connect_anew(void)
{
	u32 i;

	traffic_start();
	for (i = 0; i < 3; i++) {
		break_ring();
		msleep(5000);
		claim_same(shim_log_count("connecting anew"), i + 1);
		traffic_ping(1, 1000);
	}
	break_ring();
	msleep(5000);
	claim_same(shim_log_count("the host broke the ring again, giving up"), 1);
	net_down(net_dev);
	claim_same(net_up(net_dev), 0);
	traffic_ping(1, 1000);
	traffic_stop();
}

/* What follows are macros that make functions. */
/* clang-format off */
bed_test(frames_of_all_lengths_come_back)
bed_test_seeds(a_busy_poller_meets_no_ring_that_is_not_there, 60)
bed_test(a_closed_channel_has_no_ring)
bed_test(work_that_is_queued_late_ends_with_the_card)
bed_test(a_rescind_at_each_step_of_probe)
bed_test(a_rescind_at_each_step_of_a_change)
bed_test(a_sub_channel_that_goes_makes_the_card_connect_anew)
bed_test_seeds(a_preempted_hypercall_posts_what_was_written, 20)
bed_test(a_card_sleeps_and_wakes)
bed_test(a_card_may_go_in_its_sleep)
bed_test(a_card_that_cannot_wake_is_there_and_opens_later)
bed_test(a_mute_host_does_not_keep_the_rtnl)
bed_test(the_watchdog_finds_what_an_interrupt_did_not_say)
bed_test(the_watchdog_ends_nothing)
bed_test(a_broken_ring_makes_the_card_connect_anew)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_of_all_lengths_come_back),
		cmocka_unit_test(test_a_busy_poller_meets_no_ring_that_is_not_there),
		cmocka_unit_test(test_a_closed_channel_has_no_ring),
		cmocka_unit_test(test_work_that_is_queued_late_ends_with_the_card),
		cmocka_unit_test(test_a_rescind_at_each_step_of_probe),
		cmocka_unit_test(test_a_rescind_at_each_step_of_a_change),
		cmocka_unit_test(test_a_sub_channel_that_goes_makes_the_card_connect_anew),
		cmocka_unit_test(test_a_preempted_hypercall_posts_what_was_written),
		cmocka_unit_test(test_a_card_sleeps_and_wakes),
		cmocka_unit_test(test_a_card_may_go_in_its_sleep),
		cmocka_unit_test(test_a_card_that_cannot_wake_is_there_and_opens_later),
		cmocka_unit_test(test_a_mute_host_does_not_keep_the_rtnl),
		cmocka_unit_test(test_the_watchdog_finds_what_an_interrupt_did_not_say),
		cmocka_unit_test(test_the_watchdog_ends_nothing),
		cmocka_unit_test(test_a_broken_ring_makes_the_card_connect_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
