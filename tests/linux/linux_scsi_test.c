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

/* ---- commands of users ---- */

static enum fake_fate drop_once(struct vmb_channel *ch, const struct fake_packet *packet)
{
	ch->fate = NULL;
	return FAKE_DROP;
}

#define USER_TIMEOUT (5 * HZ)

static void send_user(u32 unit, struct scsi_cmnd *cmd, struct page *page, u8 opcode)
{
	*cmd = (struct scsi_cmnd){
		.rq = { .cmd_flags = REQ_OP_DRV_IN },
		.cmnd = { opcode, [5] = 8, [8] = 2 },
		.cmd_len = 10,
		.sc_data_direction = opcode == WRITE_10 ? DMA_TO_DEVICE : DMA_FROM_DEVICE,
		.sg = { page, 512, 1024 },
		.bufflen = page ? 1024 : 0,
	};
	shim_execute(shim_host->units[unit], cmd, USER_TIMEOUT);
}

static enum fake_fate hold_unit_0(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return packet->payload.u.srb.lun ? FAKE_ANSWER : FAKE_HOLD;
}

static void a_users_data_go_both_ways(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct page *page = alloc_page(GFP_KERNEL);
	u8 *data = (u8 *)page_address(page) + 512;
	struct scsi_cmnd cmd;

	memset(page_address(page), 0x11, PAGE_SIZE);
	memset(data, 0x77, 1024);
	send_user(0, &cmd, page, WRITE_10);
	claim_same(cmd.result, 0);
	claim(disk[8 * 512] == 0x77 && disk[10 * 512 - 1] == 0x77 && !disk[10 * 512]);
	disk[9 * 512] = 0x66;
	send_user(0, &cmd, page, READ_10);
	claim_same(cmd.result, 0);
	claim(data[0] == 0x77 && data[512] == 0x66 && data[1024] == 0x11 && data[-1] == 0x11);
	put_page(page);
	end(ch);
}

/*
 * It ends when its time is over, its buffer is the user's again, and the next command, which has
 * its tag, does not wait for it. The host moves its data later.
 */
static void a_users_command_ends_alone(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct vmb_channel *ch;
	struct scsi_cmnd cmd;
	unsigned long start;
	u32 i;

	shim_luns[1] = 1;
	ch = offer_and_bind();
	ch->fate = hold_unit_0;
	start = jiffies;
	send_user(0, &cmd, page, READ_10);
	claim_same(cmd.result, DID_TIME_OUT << 16);
	claim(jiffies - start >= USER_TIMEOUT && jiffies - start < 2 * USER_TIMEOUT);
	put_page(page); /* AddressSanitizer sees whoever touches it now */
	start = jiffies;
	for (i = 0; i < 40; i++) {
		cmd = (struct scsi_cmnd){ .cmd_len = 6, .cmnd = { TEST_UNIT_READY } };
		shim_execute(shim_host->units[1], &cmd, 30 * HZ);
		claim_same(cmd.result, 0);
	}
	claim(jiffies - start < HZ);
	claim_same(ch->resets, 0);
	ch->fate = NULL;
	fake_answer_held(ch);
	read_block_8(&cmd, 30 * HZ);
	claim_same(ch->resets, 0);
	end(ch);
}

/* Nobody waits for it any more, and yet its slot comes back. */
static void a_lost_command_of_a_user_is_asked_for(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct scsi_cmnd cmd;
	u32 i;

	for (i = 0; i < 3 * 16; i++) {
		ch->fate = drop_once;
		send_user(0, &cmd, NULL, TEST_UNIT_READY);
		claim_same(cmd.result, DID_TIME_OUT << 16);
		claim_same(ch->resets, i / 16);
		if (i % 16 == 15)
			msleep(400 * 1000);
	}
	claim_same(ch->resets, 3);
	read_block_8(&cmd, 30 * HZ);
	end(ch);
}

static void send_later(void *cmd)
{
	send_user(0, cmd, NULL, TEST_UNIT_READY);
}

/* There are 16 spare slots. The error handler would start if one more were aborted. */
static void more_of_a_user_wait(void)
{
	struct vmb_channel *ch = offer_and_bind();
	struct scsi_cmnd cmds[20] = {};
	struct bed_thread threads[20];
	u32 i, over = 0;

	ch->fate = hold_all;
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		bed_start(&threads[i], "user", send_later, &cmds[i]);
	msleep(30 * 1000);
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		over += cmds[i].done;
	claim_same(over, 16);
	ch->fate = NULL;
	fake_answer_held(ch);
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		bed_join(&threads[i]);
	end(ch);
}

static enum fake_fate sometimes_late(struct vmb_channel *ch, const struct fake_packet *packet)
{
	return sched_random(2) ? FAKE_HOLD : FAKE_ANSWER;
}

static void send_many(void *unused)
{
	struct page *page;
	struct scsi_cmnd cmd;
	u32 i;

	for (i = 0; i < 20; i++) {
		page = alloc_page(GFP_KERNEL);
		send_user(sched_random(2), &cmd, page, READ_10);
		claim(!cmd.result || cmd.result == DID_TIME_OUT << 16);
		if (!cmd.result)
			claim(((u8 *)page_address(page))[512] == 0x5a);
		put_page(page);
	}
}

/* The answer and the end of the time race; the host stalls, resets, and replaces its channel. */
static void users_commands_race_with_answers(void)
{
	struct bed_thread users[3];
	struct vmb_channel *ch;
	u32 i;

	disk[8 * 512] = 0x5a;
	shim_luns[1] = 1;
	ch = offer_and_bind();
	ch->fate = sometimes_late;
	ch->keeps_held = sched_random(2);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		bed_start(&users[i], "user", send_many, NULL);
	for (i = 0; i < 30; i++) {
		msleep(sched_random(2) ? 5000 : sched_random(6000));
		fake_answer_held(ch);
		if (!sched_random(8))
			fake_stall(ch, true);
		msleep(sched_random(4) ? 1 : 200 * 1000);
		fake_stall(ch, false);
	}
	ch->fate = NULL;
	fake_answer_held(ch);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		bed_join(&users[i]);
	end(ch);
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

/* clang-format off */
bed_test(lun_256_is_not_lun_0)
bed_test(a_unit_may_have_a_cache_and_has_a_timeout)
bed_test(a_stall_of_an_hour_ends_well)
bed_test(a_short_time_out_resets_nothing)
bed_test(a_users_data_go_both_ways)
bed_test(a_users_command_ends_alone)
bed_test(a_lost_command_of_a_user_is_asked_for)
bed_test(more_of_a_user_wait)
bed_test_seeds(users_commands_race_with_answers, 20)
bed_test(a_lost_command_is_young_again)
bed_test_seeds(a_probe_that_declines_leaves_no_work, 50)
	/* clang-format on */

	int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lun_256_is_not_lun_0),
		cmocka_unit_test(test_a_unit_may_have_a_cache_and_has_a_timeout),
		cmocka_unit_test(test_a_stall_of_an_hour_ends_well),
		cmocka_unit_test(test_a_short_time_out_resets_nothing),
		cmocka_unit_test(test_a_users_data_go_both_ways),
		cmocka_unit_test(test_a_users_command_ends_alone),
		cmocka_unit_test(test_a_lost_command_of_a_user_is_asked_for),
		cmocka_unit_test(test_more_of_a_user_wait),
		cmocka_unit_test(test_users_commands_race_with_answers),
		cmocka_unit_test(test_a_lost_command_is_young_again),
		cmocka_unit_test(test_a_probe_that_declines_leaves_no_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
