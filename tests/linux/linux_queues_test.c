// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of storvsc on a controller with several channels: which CPU uses which, hosts that give
 * fewer than they promise, a sub-channel that is taken away, and a random walk over it all.
 */
#include "ports/linux/storage_link.h"
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"
#include "tests/linux/scsi.h"

static const struct vmb_guid scsi = VMB_GUID_SCSI;
static const struct vmb_guid instance = { { 7 } };
static u8 disk[FAKE_DISK_LEN];

static struct vmb_channel *offer(u32 sub_max)
{
	struct vmb_channel *ch;

	claim_same(shim_module_load("storvsc"), 0);
	ch = fake_offer(&scsi, &instance, disk);
	ch->sub_max = sub_max;
	return ch;
}

static struct vmb_channel *offer_and_bind(u32 sub_max)
{
	struct vmb_channel *ch = offer(sub_max);

	claim_same(fake_bind(ch, "storvsc"), 0);
	return ch;
}

static void end(struct vmb_channel *ch)
{
	fake_unbind(ch);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static void command(struct scsi_cmnd *cmd, u8 operation, u32 block, u32 cpu, struct page *page)
{
	*cmd = (struct scsi_cmnd){
		.cmnd = { operation, [4] = block >> 8, [5] = block, [8] = 8 },
		.cmd_len = 10,
		.sc_data_direction = operation == READ_10 ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
		.sg = { page, 0, PAGE_SIZE },
		.bufflen = PAGE_SIZE,
		.cpu = cpu,
	};
}

/* A page of the disk, read by a thread on this CPU. */
static void read_on(u32 cpu)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct scsi_cmnd cmd;

	command(&cmd, READ_10, 8 * cpu, cpu, page);
	disk[8 * cpu * FAKE_BLOCK_LEN] = 0x40 + cpu;
	shim_execute(shim_host->units[0], &cmd, 180 * HZ);
	claim_same(cmd.result, 0);
	claim(*(u8 *)page_address(page) == 0x40 + cpu);
	put_page(page);
}

static void each_cpu_has_the_channel_that_interrupts_it(void)
{
	struct vmb_channel *ch = offer_and_bind(3);
	u32 cpu, i;

	claim_same(shim_host->nr_hw_queues, 4);
	for (i = 1; i < 4; i++)
		claim(ch->subs[i] && ch->subs[i]->open);
	ch->served = 0;
	for (cpu = 0; cpu < SHIM_CPUS; cpu++)
		for (i = 0; i <= cpu; i++)
			read_on(cpu);
	claim_same(ch->served, 1);
	for (cpu = 1; cpu < SHIM_CPUS; cpu++)
		claim_same(ch->subs[cpu]->served, cpu + 1);
	end(ch);
}

/* The channels interrupt CPUs 0 and 1; 2 and 3 share them evenly. */
static void other_cpus_are_spread(void)
{
	struct vmb_channel *ch = offer_and_bind(1);

	claim_same(shim_host->nr_hw_queues, 2);
	claim_same(shim_host->queue_of_cpu[0], 0);
	claim_same(shim_host->queue_of_cpu[1], 1);
	claim_same(shim_host->queue_of_cpu[2] + shim_host->queue_of_cpu[3], 1);
	end(ch);
}

static void one_queue(struct vmb_channel *ch)
{
	u32 cpu;

	claim_same(fake_bind(ch, "storvsc"), 0);
	claim_same(shim_host->nr_hw_queues, 1);
	for (cpu = 0; cpu < SHIM_CPUS; cpu++)
		read_on(cpu);
	end(ch);
}

static void a_host_that_refuses_has_one(void)
{
	struct vmb_channel *ch = offer(3);

	ch->refuses_subs = true;
	one_queue(ch);
}

static void a_host_that_promises_in_vain_has_one(void)
{
	struct vmb_channel *ch = offer(3);

	ch->forgets_subs = true;
	one_queue(ch);
}

static void a_user_may_want_one(void)
{
	struct vmb_channel *ch = offer(3);

	*shim_uint("storvsc", "queues") = 1;
	one_queue(ch);
}

/* The next connection has fewer channels than the block layer has queues. */
static void a_sub_channel_may_be_taken_away(void)
{
	struct vmb_channel *ch = offer_and_bind(3);
	u32 cpu;

	ch->sub_max = 1;
	fake_rescind_sub(ch->subs[2]);
	for (cpu = 0; cpu < SHIM_CPUS; cpu++)
		read_on(cpu);
	while (ch->opens < 2 || !ch->subs[1] || !ch->subs[1]->open)
		msleep(10);
	claim(!ch->subs[2]);
	ch->subs[1]->served = 0;
	for (cpu = 0; cpu < SHIM_CPUS; cpu++)
		read_on(cpu);
	claim_same(ch->subs[1]->served, 2);
	end(ch);
}

static enum fake_fate hold_all(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return FAKE_HOLD;
}

static void read_first(void *argument)
{
	u32 *cpu = argument;

	read_on(*cpu);
}

/* One that the host forgets on any channel is found, with a reset on the primary. */
static void a_reset_reaches_all_channels(void)
{
	struct vmb_channel *ch = offer_and_bind(3);
	struct bed_thread readers[SHIM_CPUS];
	u32 cpus[SHIM_CPUS], i;

	ch->fate = hold_all;
	for (i = 0; i < SHIM_CPUS; i++) {
		cpus[i] = i;
		bed_start(&readers[i], "reader", read_first, &cpus[i]);
	}
	while (!ch->held || !ch->subs[1]->held || !ch->subs[2]->held || !ch->subs[3]->held)
		msleep(10);
	ch->fate = NULL;
	for (i = 0; i < SHIM_CPUS; i++)
		bed_join(&readers[i]);
	claim_same(ch->resets, 1);
	claim_same(ch->opens, 1);
	end(ch);
}

/* ---- sleep ---- */

static void read_often(void *argument)
{
	u32 i;

	for (i = 0; i < 20; i++) {
		read_first(argument);
		msleep(sched_random(40));
	}
}

/* What is sent meanwhile waits: the host has nothing of ours, and then a new connection. */
static void sleep_keeps_requests(void)
{
	struct vmb_channel *ch = offer_and_bind(3);
	struct bed_thread readers[SHIM_CPUS];
	u32 cpus[SHIM_CPUS], i;

	for (i = 0; i < SHIM_CPUS; i++) {
		cpus[i] = i;
		bed_start(&readers[i], "reader", read_often, &cpus[i]);
	}
	for (i = 1; i < 6; i++) {
		claim_same(fake_suspend(ch), 0);
		claim(!ch->open && !ch->owed && !ch->subs[1]);
		msleep(sched_random(3) * 100000);
		claim_same(ch->opens, i);
		claim_same(fake_resume(ch), 0);
		claim(ch->open && ch->subs[3]->open);
		msleep(sched_random(40));
	}
	for (i = 0; i < SHIM_CPUS; i++)
		bed_join(&readers[i]);
	end(ch);
}

/* Then it is not done, and the link goes on. */
static void no_sleep_while_the_host_owes(void)
{
	struct vmb_channel *ch = offer_and_bind(1);
	struct bed_thread reader;
	u32 cpu = 1;

	ch->fate = hold_all;
	bed_start(&reader, "reader", read_first, &cpu);
	while (!ch->subs[1]->held)
		msleep(10);
	claim_same(fake_suspend(ch), -EBUSY);
	ch->fate = NULL;
	fake_answer_held(ch);
	bed_join(&reader);
	read_on(0);
	claim_same(ch->opens, 1);
	end(ch);
}

/* Two want the link at once: who recovers it, and who takes the failed sleep back. */
static void a_request_may_get_overdue_while_sleep_fails(void)
{
	struct vmb_channel *ch = offer_and_bind(1);
	struct bed_thread reader;
	u32 cpu = 1;

	ch->fate = hold_all;
	bed_start(&reader, "reader", read_first, &cpu);
	while (!ch->subs[1]->held)
		msleep(10);
	msleep(165 * 1000);
	claim_same(fake_suspend(ch), -EBUSY);
	ch->fate = NULL;
	fake_answer_held(ch);
	bed_join(&reader);
	read_on(0);
	end(ch);
}

static void awake_later(void *argument)
{
	struct vmb_channel *ch = argument;

	msleep(600 * 1000);
	fake_stall(ch, false);
}

/* A host that is slow afterwards does not fail the sleep; the disk comes when the host does. */
static void a_slow_host_after_the_sleep_is_waited_for(void)
{
	struct vmb_channel *ch = offer_and_bind(3);
	struct bed_thread waker;

	claim_same(fake_suspend(ch), 0);
	fake_stall(ch, true);
	bed_start(&waker, "waker", awake_later, ch);
	claim_same(fake_resume(ch), 0);
	read_on(2);
	bed_join(&waker);
	end(ch);
}

static void read_in_vain(void *argument)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u32 *cpu = argument;
	struct scsi_cmnd cmd;

	command(&cmd, READ_10, 0, *cpu, page);
	shim_execute(shim_host->units[0], &cmd, 180 * HZ);
	claim_same(cmd.result >> 16, DID_NO_CONNECT);
	put_page(page);
}

/* What was sent meanwhile ends, and soon. resume() is not called, remove() is. */
static void go_asleep(void (*go)(struct vmb_channel *ch))
{
	struct vmb_channel *ch = offer_and_bind(3);
	struct bed_thread reader;
	u32 cpu = 1;
	u64 before;

	claim_same(fake_suspend(ch), 0);
	bed_start(&reader, "reader", read_in_vain, &cpu);
	msleep(1000);
	claim(!reader.ended);
	before = sched_now();
	go(ch);
	bed_join(&reader);
	claim(sched_now() - before <= 5 * HZ);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static void a_disk_may_go_in_its_sleep(void)
{
	go_asleep(fake_rescind);
	shim_module_unload("storvsc");
	go_asleep(fake_forget);
}

/* ---- a random walk ---- */

#define WALK_SEEDS  20
#define WALK_PLACES 4u

static bool over;

struct writer {
	struct bed_thread thread;
	u32 cpu, stamp, written[WALK_PLACES], ended_well;
};

static int run_once(struct writer *w, u8 operation, u32 place, struct page *page)
{
	struct scsi_cmnd cmd;

	while (!shim_host || !shim_host->units[0])
		msleep(200);
	command(&cmd, operation, (w->cpu * WALK_PLACES + place) * 8, w->cpu, page);
	shim_execute(shim_host->units[0], &cmd, 30 * HZ);
	return cmd.result;
}

static void walk_place(struct writer *w, u32 place)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u32 *word = page_address(page);

	*word = w->cpu << 24 | ++w->stamp;
	claim_same(run_once(w, WRITE_10, place, page), 0);
	w->written[place] = *word;
	put_page(page);
	page = alloc_page(GFP_KERNEL);
	place = sched_random(WALK_PLACES);
	claim_same(run_once(w, READ_10, place, page), 0);
	claim_same(*(u32 *)page_address(page), w->written[place]);
	put_page(page);
	w->ended_well++;
}

static void write_and_verify(void *argument)
{
	struct writer *w = argument;

	while (!over) {
		walk_place(w, sched_random(WALK_PLACES));
		msleep(sched_random(40) * 1000);
	}
}

static enum fake_fate seldom(struct vmb_channel *ch, const struct fake_packet *packet)
{
	static const enum fake_fate fates[] = { FAKE_HOLD, FAKE_DROP, FAKE_IGNORE };
	u32 number = sched_random(8);

	return number < ARRAY_SIZE(fates) ? fates[number] : FAKE_ANSWER;
}

static void take_one_away(struct vmb_channel *ch)
{
	u32 index = 1 + sched_random(3);

	mutex_lock(&ch->sub_mutex);
	if (ch->subs[index])
		fake_rescind_sub(ch->subs[index]);
	mutex_unlock(&ch->sub_mutex);
}

static void be_bad(struct vmb_channel *ch)
{
	switch (sched_random(8)) {
	case 0: fake_stall(ch, true); break;
	case 1: ch->keeps_held = true; /* fallthrough */
	case 2: ch->fate = seldom; break;
	case 3:
		ch->ignores_resets = true;
		ch->fate = seldom;
		break;
	case 4: ch->keeps_rings = true; /* fallthrough */
	case 5: take_one_away(ch); break;
	case 6: ch->broken = -EPROTO; break;
	case 7:
		ch->forgets_subs = true;
		take_one_away(ch);
		break;
	}
	ch->sub_max = sched_random(4);
}

static void walk(void)
{
	u32 round, rounds = getenv("ROUNDS") ? (u32)atoi(getenv("ROUNDS")) : 25, i;
	struct vmb_channel *ch = offer_and_bind(3);
	struct writer writers[SHIM_CPUS] = {};

	for (i = 0; i < SHIM_CPUS; i++) {
		writers[i].cpu = i;
		bed_start(&writers[i].thread, "writer", write_and_verify, &writers[i]);
	}
	for (round = 0; round < rounds; round++) {
		be_bad(ch);
		msleep(sched_random(900) * 1000);
		ch->fate = NULL;
		ch->ignores_resets = ch->keeps_held = ch->keeps_rings = false;
		ch->forgets_subs = false;
		fake_stall(ch, false);
		msleep(sched_random(300) * 1000);
		if (!fake_suspend(ch))
			claim_same(fake_resume(ch), 0);
	}
	over = true;
	for (i = 0; i < SHIM_CPUS; i++) {
		bed_join(&writers[i].thread);
		claim(writers[i].ended_well > rounds);
	}
	end(ch);
}

bed_test(each_cpu_has_the_channel_that_interrupts_it) bed_test(other_cpus_are_spread)
	bed_test(a_host_that_refuses_has_one) bed_test(a_host_that_promises_in_vain_has_one)
		bed_test(a_user_may_want_one) bed_test_seeds(a_sub_channel_may_be_taken_away, 50)
			bed_test_seeds(a_reset_reaches_all_channels, 20) bed_test_seeds(walk,
											WALK_SEEDS)
				bed_test_seeds(sleep_keeps_requests,
					       50) bed_test(no_sleep_while_the_host_owes)
					bed_test(a_request_may_get_overdue_while_sleep_fails)
						bed_test(a_slow_host_after_the_sleep_is_waited_for)
							bed_test(a_disk_may_go_in_its_sleep)

								int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cpu_has_the_channel_that_interrupts_it),
		cmocka_unit_test(test_other_cpus_are_spread),
		cmocka_unit_test(test_a_host_that_refuses_has_one),
		cmocka_unit_test(test_a_host_that_promises_in_vain_has_one),
		cmocka_unit_test(test_a_user_may_want_one),
		cmocka_unit_test(test_a_sub_channel_may_be_taken_away),
		cmocka_unit_test(test_a_reset_reaches_all_channels),
		cmocka_unit_test(test_sleep_keeps_requests),
		cmocka_unit_test(test_no_sleep_while_the_host_owes),
		cmocka_unit_test(test_a_request_may_get_overdue_while_sleep_fails),
		cmocka_unit_test(test_a_slow_host_after_the_sleep_is_waited_for),
		cmocka_unit_test(test_a_disk_may_go_in_its_sleep),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
