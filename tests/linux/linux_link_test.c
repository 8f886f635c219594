// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of storage_link.c under a driver of a few lines, whose host goes away, stalls or loses
 * answers.
 */
#include "ports/linux/storage_link.h"
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"

static const struct vmb_guid ide = VMB_GUID_IDE;

/* Requests whose answer was taken, and those that the driver has done with. */
static u32 taken, ended;

static void on_packet(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	const struct vmb_guest_storage_event *event =
		storage_link_take(vmb_channel_context(ch), packet);

	if (!event || event->type != VMB_GUEST_STORAGE_COMPLETED)
		return;
	taken++;
	sched_step();
	sched_step();
	ended++;
}

static void on_drained(struct vmb_channel *ch)
{
	storage_link_drained(vmb_channel_context(ch));
}

static void on_rescinded(struct vmb_channel *ch)
{
	storage_link_rescinded(vmb_channel_context(ch));
}

static void lost(struct storage_link *link, u32 slot, void *cookie, enum storage_link_loss loss)
{
}

static const struct storage_link_ops ops = {
	.channel = { .packet = on_packet, .drained = on_drained, .rescinded = on_rescinded },
	.lost = lost,
};

static struct storage_link *start(void)
{
	static const struct storage_link_config config = { .queue_depth = 4 };
	static const struct vmb_guid instance = {};
	struct storage_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	static u8 disk[FAKE_DISK_LEN];
	struct vmb_channel *ch = fake_offer(&ide, &instance, disk);

	claim_same(storage_link_init(link, &ch->device, &ops, &config), 0);
	claim_same(storage_link_start(link), 0);
	return link;
}

static struct vmb_channel *channel_of(struct storage_link *link)
{
	return link->device->channel;
}

static void end(struct storage_link *link)
{
	struct vmb_channel *ch = channel_of(link);

	storage_link_stop(link);
	storage_link_free(link);
	kfree(link);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static int ask(struct storage_link *link, u8 operation)
{
	struct vmb_guest_storage_request request = {
		.cdb_len = 6,
		.cdb = { operation },
		.direction = VMB_STOR_NO_DATA,
		.timeout_s = 30,
	};

	return storage_link_command(link, &request, NULL, NULL);
}

/* ---- commands while the channel is replaced ---- */

static enum fake_fate hold_all(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return FAKE_HOLD;
}

static void reset(void *link)
{
	storage_link_reset(link);
}

static void hold_one(void *link)
{
	ask(link, 0x00);
}

static void commands_wait_for_a_channel(void)
{
	struct storage_link *link = start();
	struct vmb_channel *ch = channel_of(link);
	struct bed_thread holder, resetter;

	ch->fate = hold_all;
	ch->keeps_held = true;
	bed_start(&holder, "holder", hold_one, link);
	while (!ch->held)
		msleep(10);
	ch->fate = NULL;
	bed_start(&resetter, "resetter", reset, link);
	while (!resetter.ended) {
		ask(link, 0x00);
		msleep(4);
	}
	bed_join(&holder);
	bed_join(&resetter);
	claim_same(ask(link, 0x00), 0);
	claim_same(ch->opens, 2);
	end(link);
}

static enum fake_fate drop_once(struct vmb_channel *ch, const struct fake_packet *packet)
{
	ch->fate = NULL;
	return FAKE_DROP;
}

static void a_command_that_was_lost_is_sent_again(void)
{
	struct storage_link *link = start();
	struct vmb_channel *ch = channel_of(link);

	ch->fate = drop_once;
	claim_same(ask(link, 0x00), 0);
	claim_same(ch->executed, 2);
	claim_same(ch->opens, 2);
	end(link);
}

/* ---- who is woken, and when ---- */

static void submit(struct storage_link *link, u32 slot)
{
	const struct vmb_guest_storage_request request = {
		.cookie = link,
		.cdb_len = 6,
		.direction = VMB_STOR_NO_DATA,
	};

	rcu_read_lock();
	claim_same(storage_link_submit(link, 0, slot, &request, 0, true), 0);
	rcu_read_unlock();
}

/*
 * A caller that waited for a reset may reuse the requests, so the driver must have finished with
 * them.
 */
static void a_reset_is_over_when_requests_have_ended(void)
{
	struct storage_link *link = start();
	struct vmb_channel *ch = channel_of(link);
	u32 slot;

	ch->fate = hold_all;
	for (slot = 0; slot < 4; slot++)
		submit(link, slot);
	claim_same(storage_link_reset(link), 0);
	claim_same(taken, 4);
	claim_same(ended, 4);
	end(link);
}

/* The same for a caller that finds a slot free. */
static void a_free_slot_is_nobodys_once_it_has_settled(void)
{
	struct storage_link *link = start();
	u32 round;

	for (round = 0; round < 4; round++) {
		submit(link, 0);
		while (storage_link_holds(link, 0))
			msleep(4);
		storage_link_settle(link);
		claim_same(ended, round + 1);
	}
	end(link);
}

/* Newer kernels have pages whose count stays 0, and complain when it is raised. */
static void a_frozen_page_is_left_alone(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	storage_link_leak(page_to_phys(page) + 8, 100);
	claim_same(page->count, 2);
	page->count = 0;
	storage_link_leak(page_to_phys(page) + 8, 100);
	claim_same(page->count, 0);
	page->count = 1;
	put_page(page);
}

bed_test(a_frozen_page_is_left_alone) bed_test_seeds(commands_wait_for_a_channel, 200)
	bed_test(a_command_that_was_lost_is_sent_again)
		bed_test_seeds(a_reset_is_over_when_requests_have_ended, 1000)
			bed_test_seeds(a_free_slot_is_nobodys_once_it_has_settled, 200)

				int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frozen_page_is_left_alone),
		cmocka_unit_test(test_commands_wait_for_a_channel),
		cmocka_unit_test(test_a_command_that_was_lost_is_sent_again),
		cmocka_unit_test(test_a_reset_is_over_when_requests_have_ended),
		cmocka_unit_test(test_a_free_slot_is_nobodys_once_it_has_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
