// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests of storvsc: units, slow hosts, aborts, and probes that decline. */
#include "tests/linux/bed.h"
#include "tests/linux/bus.h"
#include "tests/linux/scsi.h"

static const struct vmb_guid scsi = VMB_GUID_SCSI;
static const struct vmb_guid ide = VMB_GUID_IDE;
static const struct vmb_guid first_unit = { { [6] = 0x99, [7] = 0x88 } };
static u8 disk[FAKE_DISK_LEN];

static struct vmb_channel *offer(const struct vmb_guid *type)
{
	claim_same(shim_module_load("storvsc"), 0);
	return fake_offer(type, &first_unit, disk);
}

static struct vmb_channel *offer_and_bind(void)
{
	struct vmb_channel *ch = offer(&scsi);

	claim_same(fake_bind(ch, "storvsc"), 0);
	return ch;
}

static void end(struct vmb_channel *ch)
{
	fake_unbind(ch);
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

static void read_block_8(struct scsi_cmnd *cmd, unsigned long timeout)
{
	struct page *page = alloc_page(GFP_KERNEL);

	*cmd = (struct scsi_cmnd){
		.cmnd = { READ_10, [5] = 8, [8] = 8 },
		.cmd_len = 10,
		.sc_data_direction = DMA_FROM_DEVICE,
		.sg = { page, 0, PAGE_SIZE },
		.bufflen = PAGE_SIZE,
	};
	disk[8 * FAKE_BLOCK_LEN] = 0x5a;
	shim_execute(shim_host->units[0], cmd, timeout);
	claim_same(cmd->result, 0);
	claim(*(u8 *)page_address(page) == 0x5a);
	put_page(page);
}

/* A request has eight bits for it. */
static void lun_256_is_not_lun_0(void)
{
	struct vmb_channel *ch;

	shim_luns[1] = 255;
	shim_luns[2] = 256;
	ch = offer_and_bind();
	claim(shim_host->units[0] && shim_host->units[1]);
	claim(!shim_host->units[2]);
	end(ch);
}

static void a_unit_may_have_a_cache_and_has_a_timeout(void)
{
	struct vmb_channel *ch;

	*shim_uint("storvsc", "timeout") = 0;
	ch = offer_and_bind();
	claim(shim_host->units[0]->wce_default_on);
	claim_same(shim_host->units[0]->rq_timeout, 180 * HZ);
	end(ch);
}

static void awake_later(void *ch)
{
	msleep(3600 * 1000);
	fake_stall(ch, false);
}

static void a_stall_of_an_hour_ends_well(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct bed_thread waker;
	struct scsi_cmnd cmd;

	fake_stall(ch, true);
	bed_start(&waker, "waker", awake_later, ch);
	read_block_8(&cmd, 30 * HZ);
	bed_join(&waker);
	end(ch);
}

static enum fake_fate hold_all(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return FAKE_HOLD;
}

static void answer_later(void *argument)
{
	struct vmb_channel *ch = argument;

	msleep(100 * 1000);
	claim_same(ch->resets, 0);
	fake_answer_held(ch);
}

/* A user's SG_IO, or a scan: its short time-out is no reason to reset all disks. */
static void a_short_time_out_resets_nothing(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct bed_thread answerer;
	struct scsi_cmnd cmd;

	ch->fate = hold_all;
	bed_start(&answerer, "answerer", answer_later, ch);
	read_block_8(&cmd, 5 * HZ);
	bed_join(&answerer);
	claim_same(ch->resets, 0);
	end(ch);
}

static enum fake_fate drop_once(struct vmb_channel *ch, const struct fake_packet *packet)
{
	ch->fate = NULL;
	return FAKE_DROP;
}

/* The SCSI layer looks at a command's age before it tries it again. */
static void a_lost_command_is_young_again(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct scsi_cmnd cmd;

	ch->fate = drop_once;
	read_block_8(&cmd, 30 * HZ);
	claim(cmd.jiffies_at_alloc >= 180 * HZ);
	claim_same(ch->opens, 2);
	end(ch);
}

/* A scan is queued behind the look at the unit, and no worker is there yet. */
static enum fake_fate say_at_inquiry(struct vmb_channel *ch, const struct fake_packet *packet)
{
	if (packet->payload.u.srb.u.cdb[0] == INQUIRY) {
		shim_pressure(true);
		fake_say(ch, VMB_STOR_ENUMERATE_BUS);
	}
	return FAKE_ANSWER;
}

/* With ide=dvd that is what happens to each disk. */
static void a_probe_that_declines_leaves_no_work(void)
{
	struct vmb_channel *ch = offer(&ide);
	int i;

	ch->fate = say_at_inquiry;
	for (i = 0; i < 8; i++) {
		claim_same(fake_bind(ch, "storvsc"), -ENODEV);
		shim_pressure(false);
		msleep(4);
	}
	fake_withdraw(ch);
	claim_same(shim_page_count(), 0);
}

bed_test(lun_256_is_not_lun_0) bed_test(a_unit_may_have_a_cache_and_has_a_timeout)
	bed_test(a_stall_of_an_hour_ends_well) bed_test(a_short_time_out_resets_nothing)
		bed_test(a_lost_command_is_young_again)
			bed_test_seeds(a_probe_that_declines_leaves_no_work, 50)

				int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lun_256_is_not_lun_0),
		cmocka_unit_test(test_a_unit_may_have_a_cache_and_has_a_timeout),
		cmocka_unit_test(test_a_stall_of_an_hour_ends_well),
		cmocka_unit_test(test_a_short_time_out_resets_nothing),
		cmocka_unit_test(test_a_lost_command_is_young_again),
		cmocka_unit_test(test_a_probe_that_declines_leaves_no_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
