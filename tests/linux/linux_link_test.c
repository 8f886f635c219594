/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* storage_link.c under a driver of a few lines, whose host goes away, stalls, loses answers. */
#include "ports/linux/storage_link.h"
#include "tests/linux/bed.h"

static const struct vmb_guid ide = VMB_GUID_IDE;

static void on_packet(struct vmb_channel *ch, const struct vmb_ring_received *packet)
{
	storage_link_take(vmb_channel_context(ch), packet);
}

static void on_rescinded(struct vmb_channel *ch)
{
	storage_link_rescinded(vmb_channel_context(ch));
}

static void lost(struct storage_link *link, void *cookie, enum storage_link_loss loss)
{
}

static const struct storage_link_ops ops = {
	.channel = { .packet = on_packet, .rescinded = on_rescinded },
	.lost = lost,
};

static struct storage_link *start(void)
{
	static const struct storage_link_config config = { .queue_depth = 4 };
	static const struct vmb_guid instance = {};
	struct storage_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	struct vmb_channel *ch = fake_offer(&ide, &instance);

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

bed_test_seeds(commands_wait_for_a_channel, 200)

	int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_wait_for_a_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
