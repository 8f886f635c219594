// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A random walk: three threads write, read and verify, while a fourth does to the host, the bus and
 * the driver whatever can happen to them. A request may only succeed, or fail because the disk went
 * away; acknowledged data are there; nothing hangs, which the scheduler would report.
 *
 *	ROUNDS=1000 build/tests/linux_walk_test         SEED=7 for one of the seeds, with its log
 */
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"
#include "tests/linux/block.h"

#define THREADS 3
#define PLACES	4 /* of a page each, a thread */
#define SEEDS	20

static const struct vmb_guid ide = VMB_GUID_IDE;
static const struct vmb_guid first_unit = { { [6] = 0x99, [7] = 0x88 } };
static u8 disk[FAKE_DISK_LEN];
static struct vmb_channel *channel;
static bool over;

struct writer {
	struct bed_thread thread;
	u32 number, stamp;
	u32 written[PLACES]; /* what was acknowledged last */
	u32 ended_well, went_away;
};

/* ---- I/O ---- */

static blk_status_t submit(struct writer *w, enum req_op op, u32 place, struct page **page)
{
	while (!shim_disk)
		msleep(200);
	return shim_submit(shim_disk, op, (w->number * PLACES + place) * 8, page, PAGE_SIZE);
}

/* Reads until that succeeds; the host may keep the page of a read that failed. */
static u32 read_place(struct writer *w, u32 place)
{
	struct page *page;
	blk_status_t status;
	u32 stamp;

	do {
		page = alloc_page(GFP_KERNEL);
		status = submit(w, REQ_OP_READ, place, &page);
		if (status != BLK_STS_OFFLINE)
			claim_same(status, BLK_STS_OK);
		memcpy(&stamp, page_address(page), sizeof(stamp));
		put_page(page);
		if (status)
			msleep(1000);
	} while (status);
	return stamp;
}

/* A write that ended because the disk went may have been done, or not. */
static void write_place(struct writer *w, u32 place)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u32 stamp = w->number << 24 | ++w->stamp, now;
	blk_status_t status;

	memcpy(page_address(page), &stamp, sizeof(stamp));
	status = submit(w, REQ_OP_WRITE, place, &page);
	put_page(page);
	if (status != BLK_STS_OFFLINE)
		claim_same(status, BLK_STS_OK);
	if (status) {
		w->went_away++;
		now = read_place(w, place);
		claim(now == stamp || now == w->written[place]);
		w->written[place] = now;
		return;
	}
	w->ended_well++;
	w->written[place] = stamp;
}

static void write_and_verify(void *argument)
{
	struct writer *w = argument;
	u32 place;

	while (!over) {
		place = sched_random(PLACES);
		write_place(w, place);
		place = sched_random(PLACES);
		claim_same(read_place(w, place), w->written[place]);
		msleep(sched_random(40) * 1000);
	}
}

/* ---- what happens ---- */

static enum fake_fate seldom(struct vmb_channel *ch, const struct fake_packet *packet)
{
	static const enum fake_fate fates[] = { FAKE_HOLD, FAKE_DROP, FAKE_IGNORE };
	u32 number = sched_random(8);

	return number < ARRAY_SIZE(fates) ? fates[number] : FAKE_ANSWER;
}

static void offer(void)
{
	channel = fake_offer(&ide, &first_unit, disk);
	fake_bind(channel, "blkvsc");
}

static void be_good(struct vmb_channel *ch)
{
	ch->fate = NULL;
	ch->ignores_resets = false;
	ch->keeps_held = false;
	ch->keeps_rings = false;
	fake_stall(ch, false);
}

static void be_bad(struct vmb_channel *ch)
{
	switch (sched_random(8)) {
	case 0: fake_stall(ch, true); break;
	case 1: ch->fate = seldom; break;
	case 2:
		ch->fate = seldom;
		ch->keeps_held = true;
		break;
	case 3:
		ch->fate = seldom;
		ch->ignores_resets = true;
		break;
	case 4:
		ch->fate = seldom;
		ch->keeps_held = true;
		ch->keeps_rings = true;
		break;
	case 5: ch->broken = -EPROTO; break;
	case 6: ch->broken_incoming = true; break;
	case 7: break;
	}
}

static void unbind_and_bind(void *argument)
{
	struct vmb_channel *ch = argument;

	fake_unbind(ch);
	fake_bind(ch, "blkvsc");
}

/* Some of it while the host is bad, and then it is good again, or gone. */
static void round_of(struct vmb_channel *ch)
{
	struct bed_thread binder = { .ended = true };

	be_bad(ch);
	msleep(sched_random(300) * 1000);
	fake_say(ch, VMB_STOR_ENUMERATE_BUS);
	if (!sched_random(4))
		bed_start(&binder, "binder", unbind_and_bind, ch);
	msleep(sched_random(600) * 1000);
	if (!sched_random(4)) {
		fake_rescind(ch);
		bed_join(&binder);
		fake_withdraw(ch);
		offer();
		return;
	}
	be_good(ch);
	bed_join(&binder);
	if (!ch->driver) /* a handshake that is not answered in time is a probe that fails */
		claim_same(fake_bind(ch, "blkvsc"), 0);
	msleep(sched_random(30) * 1000);
}

static void walk(void)
{
	struct writer writers[THREADS] = {};
	u32 round, rounds = getenv("ROUNDS") ? (u32)atoi(getenv("ROUNDS")) : 50, i;

	claim_same(shim_module_load("blkvsc"), 0);
	offer();
	for (i = 0; i < THREADS; i++) {
		writers[i].number = i;
		bed_start(&writers[i].thread, "writer", write_and_verify, &writers[i]);
	}
	for (round = 0; round < rounds; round++)
		round_of(channel);
	over = true;
	for (i = 0; i < THREADS; i++) {
		bed_join(&writers[i].thread);
		claim(writers[i].ended_well > rounds / 4);
	}
	if (!shim_quiet)
		fprintf(stderr, "# %u writes ended well, %u with the disk\n", writers[0].ended_well,
			writers[0].went_away);
	fake_withdraw(channel);
}

bed_test_seeds(walk, SEEDS)

	int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_walk) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
