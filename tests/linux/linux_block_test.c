/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* blkvsc: a disk on IDE whose host goes away, stalls, loses answers. */
#include "tests/linux/bed.h"
#include "tests/linux/block.h"

static const struct vmb_guid ide = VMB_GUID_IDE;
static const struct vmb_guid first_unit = { { [6] = 0x99, [7] = 0x88 } };

static struct vmb_channel *offer(void)
{
	claim_same(shim_module_load("blkvsc"), 0);
	return fake_offer(&ide, &first_unit);
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
	claim(ch->disk[8 * FAKE_BLOCK_LEN] == 0x5a);
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

bed_test(a_disk_works) bed_test_seeds(a_rescind_ends_a_probe, 300)

	int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_disk_works),
		cmocka_unit_test(test_a_rescind_ends_a_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
