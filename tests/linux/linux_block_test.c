// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests of blkvsc: a disk on IDE whose host goes away, stalls or loses answers. */
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"
#include "tests/linux/block.h"

static const struct vmb_guid ide = VMB_GUID_IDE;
static const struct vmb_guid first_unit = { { [6] = 0x99, [7] = 0x88 } };

static u8 disk[FAKE_DISK_LEN];

static struct vmb_channel *offer(void)
{
	claim_same(shim_module_load("blkvsc"), 0);
	return fake_offer(&ide, &first_unit, disk);
}

static enum fake_fate hold_reads(struct vmb_channel *ch, const struct fake_packet *packet)
{
	u64 block;

	return fake_reads(packet, &block) ? FAKE_HOLD : FAKE_ANSWER;
}

static void bind_it(void *ch)
{
	fake_bind(ch, "blkvsc");
}

static void a_disk_works(void)
{
	struct vmb_channel *ch = offer();
	struct page *page = alloc_page(GFP_KERNEL);

	claim_same(fake_bind(ch, "blkvsc"), 0);
	memset(page_address(page), 0x5a, PAGE_SIZE);
	claim_same(shim_submit(shim_disk, REQ_OP_WRITE, 8, &page, PAGE_SIZE), BLK_STS_OK);
	claim(disk[8 * FAKE_BLOCK_LEN] == 0x5a);
	memset(page_address(page), 0, PAGE_SIZE);
	claim_same(shim_submit(shim_disk, REQ_OP_READ, 8, &page, PAGE_SIZE), BLK_STS_OK);
	claim(*(u8 *)page_address(page) == 0x5a);
	claim_same(shim_submit(shim_disk, REQ_OP_FLUSH, 0, NULL, 0), BLK_STS_OK);
	claim_same(ch->flushes, 1);
	fake_unbind(ch);
	claim_same(ch->flushes, 2);
	put_page(page);
	claim_same(shim_page_count(), 0);
	fake_withdraw(ch);
}

/* The read that looks for partitions never ends, and remove() waits for the probe. */
static void a_rescind_ends_a_probe(void)
{
	struct vmb_channel *ch = offer();
	struct bed_thread probe;

	ch->fate = hold_reads;
	bed_start(&probe, "probe", bind_it, ch);
	while (!ch->held)
		msleep(10);
	fake_rescind(ch);
	bed_join(&probe);
	fake_withdraw(ch);
	claim(sched_now() < 10 * HZ);
	claim_same(shim_page_count(), 0);
}

static enum fake_fate hold_everything(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return FAKE_HOLD;
}

/* ---- a host that does not answer ---- */

/* What one request does meanwhile. */
struct reader {
	struct bed_thread thread;
	struct page *page;
	blk_status_t status;
};

static void read_block_8(void *argument)
{
	struct reader *r = argument;

	r->status = shim_submit(shim_disk, REQ_OP_READ, 8, &r->page, PAGE_SIZE);
}

static struct vmb_channel *offer_and_bind(void)
{
	struct vmb_channel *ch = offer();

	claim_same(fake_bind(ch, "blkvsc"), 0);
	disk[8 * FAKE_BLOCK_LEN] = 0x5a;
	return ch;
}

static void start_read(struct reader *r)
{
	r->page = alloc_page(GFP_KERNEL);
	bed_start(&r->thread, "reader", read_block_8, r);
}

static void expect_read(struct reader *r)
{
	bed_join(&r->thread);
	claim_same(r->status, BLK_STS_OK);
	claim(*(u8 *)page_address(r->page) == 0x5a);
	put_page(r->page);
}

static void end(struct vmb_channel *ch)
{
	fake_unbind(ch);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

/* What was sent meanwhile ends, and soon. resume() is not called, remove() is. */
static void go_asleep(void (*go)(struct vmb_channel *ch))
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;
	u64 before;

	claim_same(fake_suspend(ch), 0);
	start_read(&r);
	msleep(1000);
	claim(!r.thread.ended);
	before = sched_now();
	go(ch);
	bed_join(&r.thread);
	claim(r.status != BLK_STS_OK);
	claim(sched_now() - before <= 5 * HZ);
	put_page(r.page);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static void a_disk_may_go_in_its_sleep(void)
{
	go_asleep(fake_rescind);
	shim_module_unload("blkvsc");
	go_asleep(fake_forget);
}

static void a_stall_of_an_hour_ends_well(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	fake_stall(ch, true);
	start_read(&r);
	msleep(3600 * 1000);
	claim(!r.thread.ended);
	claim(shim_log_count("asking for a reset") >= 4);
	claim(shim_log_count("asking for a reset") <= 12);
	fake_stall(ch, false);
	expect_read(&r);
	claim(sched_now() < 3610 * HZ);
	claim_same(ch->opens, 1);
	end(ch);
}

/* The host has forgotten the earlier requests. */
static void a_host_that_starts_anew_is_asked_again(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = hold_reads;
	ch->ignores_resets = true;
	start_read(&r);
	msleep(600 * 1000);
	claim(ch->resets >= 2);
	ch->fate = NULL;
	ch->ignores_resets = false;
	expect_read(&r);
	end(ch);
}

/* The host ends the request at each reset, and gets it again each time. */
static void a_host_that_answers_only_resets_is_waited_for(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = hold_reads;
	start_read(&r);
	msleep(3600 * 1000);
	claim(ch->resets > 10);
	ch->fate = NULL;
	expect_read(&r);
	claim_same(ch->opens, 1);
	end(ch);
}

static enum fake_fate drop_once(struct vmb_channel *ch, const struct fake_packet *packet)
{
	u64 block;

	if (!fake_reads(packet, &block))
		return FAKE_ANSWER;
	ch->fate = NULL;
	return FAKE_DROP;
}

static void a_lost_completion_is_recovered(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = drop_once;
	start_read(&r);
	expect_read(&r);
	claim_same(ch->resets, 1);
	claim_same(ch->opens, 2);
	claim(sched_now() < 200 * HZ);
	end(ch);
}

/* The root file system may be on it. */
static void a_replacement_needs_no_memory_that_needs_the_disk(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = drop_once;
	start_read(&r);
	shim_pressure(true);
	expect_read(&r);
	shim_pressure(false);
	end(ch);
}

/*
 * The page belongs to the host until it has released it, or has answered an OPEN that follows the
 * CLOSE.
 */
static void a_close_that_is_owed_is_waited_for(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = drop_once;
	ch->keeps_rings = true;
	start_read(&r);
	msleep(2000 * 1000);
	claim(!r.thread.ended);
	ch->keeps_rings = false;
	fake_wake(ch);
	expect_read(&r);
	claim_same(ch->opens, 2);
	end(ch);
}

/* The host never releases the page: it is leaked rather than used again. */
static void a_rescind_ends_what_is_owed(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;
	u8 *data;

	ch->fate = hold_reads;
	ch->keeps_held = true;
	ch->keeps_rings = true;
	start_read(&r);
	msleep(2000 * 1000);
	claim(!r.thread.ended);
	fake_rescind(ch);
	bed_join(&r.thread);
	claim_same(r.status, BLK_STS_OFFLINE);
	data = page_address(r.page);
	put_page(r.page);
	*data = 1; /* as the host may */
	while (!ch->removes)
		msleep(10);
	claim_same(shim_page_count(), 1);
}

static void give_up_ends_requests(void)
{
	struct vmb_channel *ch;
	struct reader r;

	*shim_uint("blkvsc", "give_up") = 400;
	ch = offer_and_bind();
	fake_stall(ch, true);
	start_read(&r);
	bed_join(&r.thread);
	claim_same(r.status, BLK_STS_OFFLINE);
	claim(sched_now() >= 400 * HZ && sched_now() < 470 * HZ);
	claim_same(shim_log_count("the disks are gone"), 1);
}

static void a_broken_ring_is_replaced_at_once(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->broken = -EPROTO;
	start_read(&r);
	expect_read(&r);
	claim_same(ch->opens, 2);
	ch->broken_incoming = true;
	start_read(&r);
	expect_read(&r);
	msleep(1000);
	claim_same(ch->opens, 3);
	claim(sched_now() < 10 * HZ);
	end(ch);
}

/* The host has answered all that it held when it was asked, so nothing but the ring is wrong. */
static void a_ring_that_breaks_with_the_last_answer_is_replaced(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct reader r;

	ch->fate = hold_reads;
	ch->ignores_resets = true;
	start_read(&r);
	msleep(183 * 1000);
	ch->fate = NULL;
	ch->ignores_resets = false;
	ch->broken_incoming = true;
	ch->broken = -EPROTO;
	fake_answer_held(ch);
	expect_read(&r);
	start_read(&r);
	expect_read(&r);
	claim_same(ch->opens, 2);
	end(ch);
}

/* A command whose answer was lost does not keep the last flush from the host. */
static void a_lost_command_is_sent_again(void)
{
	struct vmb_channel *ch = offer_and_bind();

	fake_stall(ch, true);
	fake_say(ch, VMB_STOR_ENUMERATE_BUS);
	fake_stall(ch, false);
	msleep(1000);
	ch->fate = hold_everything;
	ch->keeps_held = true;
	fake_say(ch, VMB_STOR_ENUMERATE_BUS);
	msleep(5 * 1000);
	ch->fate = NULL;
	claim(ch->held != NULL);
	fake_unbind(ch);
	claim_same(ch->flushes, 1);
	end(ch);
}

/*
 * A message of the host that comes just now must not find a freed object, however late a worker
 * runs.
 */
static void no_work_outlives_the_disk(void)
{
	struct vmb_channel *ch = offer();
	int i;

	for (i = 0; i < 8; i++) {
		claim_same(fake_bind(ch, "blkvsc"), 0);
		shim_pressure(true);
		fake_say(ch, VMB_STOR_ENUMERATE_BUS);
		fake_unbind(ch);
		shim_pressure(false);
		msleep(4);
	}
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static void no_answer_about_the_cache_is_flushed(void)
{
	struct vmb_channel *ch = offer();

	ch->refuses_mode_sense = true;
	claim_same(fake_bind(ch, "blkvsc"), 0);
	claim(shim_disk->queue->limits.features & BLK_FEAT_WRITE_CACHE);
	fake_unbind(ch);
	claim_same(ch->flushes, 1);
	end(ch);
}

static void an_unknown_version_is_said(void)
{
	*shim_uint("blkvsc", "max_version") = 0x10501;
	claim_same(shim_module_load("blkvsc"), -EINVAL);
	claim_same(shim_log_count("max_version=0x10501"), 1);
}

/* What follows are macros that make functions. */
/* clang-format off */
bed_test(a_disk_works)
bed_test_seeds(a_rescind_ends_a_probe, 300)
bed_test(a_disk_may_go_in_its_sleep)
bed_test(a_stall_of_an_hour_ends_well)
bed_test(a_host_that_starts_anew_is_asked_again)
bed_test(a_host_that_answers_only_resets_is_waited_for)
bed_test(a_lost_completion_is_recovered)
bed_test(a_replacement_needs_no_memory_that_needs_the_disk)
bed_test(a_close_that_is_owed_is_waited_for)
bed_test(a_rescind_ends_what_is_owed)
bed_test(give_up_ends_requests)
bed_test(a_broken_ring_is_replaced_at_once)
bed_test(a_ring_that_breaks_with_the_last_answer_is_replaced)
bed_test(a_lost_command_is_sent_again)
bed_test(no_answer_about_the_cache_is_flushed)
bed_test(an_unknown_version_is_said)
bed_test_seeds(no_work_outlives_the_disk, 300)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_disk_works),
		cmocka_unit_test(test_a_rescind_ends_a_probe),
		cmocka_unit_test(test_a_disk_may_go_in_its_sleep),
		cmocka_unit_test(test_a_stall_of_an_hour_ends_well),
		cmocka_unit_test(test_a_host_that_starts_anew_is_asked_again),
		cmocka_unit_test(test_a_host_that_answers_only_resets_is_waited_for),
		cmocka_unit_test(test_a_lost_completion_is_recovered),
		cmocka_unit_test(test_a_replacement_needs_no_memory_that_needs_the_disk),
		cmocka_unit_test(test_a_close_that_is_owed_is_waited_for),
		cmocka_unit_test(test_a_rescind_ends_what_is_owed),
		cmocka_unit_test(test_give_up_ends_requests),
		cmocka_unit_test(test_a_broken_ring_is_replaced_at_once),
		cmocka_unit_test(test_a_ring_that_breaks_with_the_last_answer_is_replaced),
		cmocka_unit_test(test_a_lost_command_is_sent_again),
		cmocka_unit_test(test_no_answer_about_the_cache_is_flushed),
		cmocka_unit_test(test_an_unknown_version_is_said),
		cmocka_unit_test(test_no_work_outlives_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
