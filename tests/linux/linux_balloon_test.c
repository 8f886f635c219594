// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests of ports/linux/balloon*.c: a host that asks for pages, returns them and others, adds memory,
 * does not read, or goes at any time. What the host says is a queue here.
 */
#include "ports/linux/balloon.h"
#include "tests/linux/bed.h"
#include "tests/linux/queue.h"
#include "tests/linux/ram.h"

#define SECONDS(n)  msleep((n)*1000)
#define FLOOR_PAGES ((40ul << 8) + RAM_PAGES / 4) /* of 256 MiB, as docs/memory.md says */

static u32 room; /* messages that the host takes before it reads */

/* what the guest said */
static u32 given, responses, reports, returns, added, proposals;
static bool more;
static u32 add_result;
static u64 caps, committed;
static u64 ranges[RAM_PAGES];
static u32 range_count;

static void take_response(const u8 *bytes)
{
	struct vmb_balloon_response head;

	memcpy(&head, bytes, sizeof(head));
	more = head.more_and_count & 1;
	responses++;
	for (u32 i = 0; i < head.more_and_count >> 1; i++) {
		u64 range;

		memcpy(&range, bytes + sizeof(head) + 8 * i, sizeof(range));
		ranges[range_count++] = range;
		given += VMB_BALLOON_RANGE_COUNT(range);
	}
}

int vmb_channel_send(struct vmb_channel *ch, const struct vmb_ring_packet *packet)
{
	const u8 *bytes = packet->payload[0].base;
	struct vmb_balloon_header header;

	sched_step();
	if (!ch->open)
		return -ENODEV;
	if (!room)
		return -EAGAIN;
	room--;
	memcpy(&header, bytes, sizeof(header));
	claim_same(header.len, packet->payload[0].len);
	switch (header.type) {
	case VMB_BALLOON_VERSION_REQUEST: proposals++; break;
	case VMB_BALLOON_CAPS: memcpy(&caps, bytes + 8, sizeof(caps)); break;
	case VMB_BALLOON_STATUS:
		reports++;
		memcpy(&committed, bytes + 16, sizeof(committed));
		break;
	case VMB_BALLOON_RESPONSE: take_response(bytes); break;
	case VMB_BALLOON_RETURN_RESPONSE: returns++; break;
	case VMB_BALLOON_ADD_RESPONSE:
		memcpy(&added, bytes + 8, sizeof(added));
		memcpy(&add_result, bytes + 12, sizeof(add_result));
		break;
	default: claim(!"a message that no guest sends");
	}
	return 0;
}

/* ---- the host ---- */

static void say(const void *message, u32 len, enum vmb_balloon_type type)
{
	const struct vmb_balloon_header header = { .type = type, .len = len };
	u8 bytes[VMB_BALLOON_LEN_MAX] = { 0 };

	memcpy(bytes, message, len);
	memcpy(bytes, &header, sizeof(header));
	queue_say(bytes, (len + 7) & ~7u);
}

static void accept(enum vmb_balloon_type type)
{
	const struct vmb_balloon_accept yes = { .flags = VMB_BALLOON_ACCEPTED };

	say(&yes, sizeof(yes), type);
	msleep(100);
}

static void ask(u32 pages)
{
	const struct vmb_balloon_request request = { .page_count = pages };

	say(&request, sizeof(request), VMB_BALLOON_REQUEST);
}

static void give_back(u32 count, const u64 *which)
{
	u8 message[VMB_BALLOON_LEN_MAX];
	const struct vmb_balloon_return head = { .range_count = count };

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), which, 8 * count);
	say(message, sizeof(head) + 8 * count, VMB_BALLOON_RETURN);
}

static void load(void)
{
	ram_init();
	room = 1000000;
	channel.device.channel = &channel;
	claim_same(shim_module_load("hvballoon"), 0);
	claim_same(driver->probe(&channel.device, driver->id_table), 0);
	msleep(100);
	claim_same(proposals, 1);
}

static void begin(void)
{
	load();
	accept(VMB_BALLOON_VERSION_RESPONSE);
	accept(VMB_BALLOON_CAPS_RESPONSE);
}

static void end(void)
{
	unsigned long others = 0;

	for (unsigned long pfn = RAM_FIRST_PFN; pfn < RAM_FIRST_PFN + RAM_PAGES; pfn++)
		others += pfn_to_online_page(pfn)->count && !pfn_to_online_page(pfn)->offline;
	driver->remove(&channel.device);
	shim_module_unload("hvballoon");
	claim_same(ram_free_pages + others, RAM_PAGES);
	claim_same(totalram_pages(), RAM_PAGES);
}

/* ---- the cases ---- */

static void it_tells_what_it_can_and_reports_every_second(void)
{
	begin();
	claim_same(caps, 0x1F); /* blocks of 128 MiB */
	SECONDS(10);
	claim(reports >= 8 && reports <= 10);
	claim_same(committed, 1000 + FLOOR_PAGES);
	end();
}

static void pages_are_given_in_large_pieces(void)
{
	begin();
	ask(8192);
	SECONDS(1);
	claim_same(given, 8192);
	claim_same(responses, 1);
	claim_same(range_count, 1); /* neighbours are one range */
	claim_same(more, false);
	claim_same(totalram_pages(), RAM_PAGES - 8192);
	end();
}

static void single_pages_are_given_where_there_is_nothing_else(void)
{
	begin();
	ram_scatter();
	ask(2048);
	SECONDS(1);
	claim_same(given, 2048);
	claim_same(range_count, 2048);
	claim_same(responses, 5);
	claim_same(more, false);
	end();
}

static void it_keeps_what_it_needs(void)
{
	begin();
	ram_fill(20000);
	ask(60000);
	SECONDS(1);
	claim_same(given, RAM_PAGES - 20000 - FLOOR_PAGES);
	claim(ram_free_pages >= FLOOR_PAGES - 512);
	end();
}

static void it_gives_nothing_in_need(void)
{
	begin();
	ram_fill(RAM_PAGES - FLOOR_PAGES + 5);
	ask(512);
	SECONDS(1);
	claim_same(given, 0);
	claim_same(responses, 1);
	claim_same(more, false);
	end();
}

static void what_comes_back_is_used_again(void)
{
	begin();
	ask(4096);
	SECONDS(1);
	give_back(range_count, ranges);
	SECONDS(1);
	claim_same(returns, 1);
	claim_same(ram_free_pages, RAM_PAGES);
	claim_same(totalram_pages(), RAM_PAGES);
	ask(4096);
	SECONDS(1);
	claim_same(given, 8192);
	end();
}

static void no_other_page_comes_back(void)
{
	const u64 wrong[] = {
		VMB_BALLOON_RANGE(RAM_FIRST_PFN, 1), /* somebody's */
		VMB_BALLOON_RANGE(RAM_FIRST_PFN + 60000, 1), /* free */
		VMB_BALLOON_RANGE(5, 1), /* no memory */
		VMB_BALLOON_RANGE(0xFFFFFFFFFF, VMB_BALLOON_RANGE_PAGE_MAX),
	};
	unsigned long before;

	begin();
	ram_fill(16);
	ask(512);
	SECONDS(1);
	before = ram_free_pages;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		give_back(1, &wrong[i]);
	SECONDS(1);
	claim_same(ram_free_pages, before);
	claim_same(returns, ARRAY_SIZE(wrong));
	give_back(1, ranges);
	give_back(1, ranges); /* twice */
	SECONDS(1);
	claim_same(ram_free_pages, before + 512);
	end();
}

static void a_host_that_does_not_read_is_waited_for(void)
{
	begin();
	ram_scatter();
	room = 2;
	ask(2048);
	SECONDS(5);
	claim(responses <= 2);
	claim(more);
	room = 1000;
	SECONDS(5);
	claim_same(given, 2048);
	claim_same(more, false);
	end();
}

static void a_host_that_never_reads_does_not_stop_the_end(void)
{
	begin();
	ram_scatter();
	room = 0;
	ask(2048);
	SECONDS(5);
	end();
}

static void what_is_asked_meanwhile_waits(void)
{
	begin();
	for (u32 i = 0; i < 8; i++)
		ask(512);
	SECONDS(1);
	claim_same(given, 8 * 512);
	claim_same(responses, 8);
	end();
}

static void new_memory_is_added(void)
{
	const struct vmb_balloon_add add = { .range = VMB_BALLOON_RANGE(0x100000, 0x8000),
					     .region = VMB_BALLOON_RANGE(0x100000, 0x40000) };

	begin();
	say(&add, sizeof(add), VMB_BALLOON_ADD);
	SECONDS(1);
	claim_same(ram_added_at, 0x100000000);
	claim_same(ram_added_len, 128 << 20);
	claim_same(added, 0x8000);
	claim_same(add_result, 1);
	end();
}

static void new_memory_that_does_not_fit_is_refused(void)
{
	struct vmb_balloon_add add = { .range = VMB_BALLOON_RANGE(0x100001, 0x8000) };

	begin();
	say(&add, 16, VMB_BALLOON_ADD);
	SECONDS(1);
	claim_same(ram_added_len, 0);
	claim_same(added, 0);
	claim_same(add_result, 1); /* never */
	add.range = VMB_BALLOON_RANGE(0x100000, 0x8000);
	ram_add_result = -ENOMEM;
	say(&add, 16, VMB_BALLOON_ADD);
	SECONDS(1);
	claim_same(added, 0);
	claim_same(add_result, 0); /* later */
	end();
}

static void what_is_switched_off_is_not_offered(void)
{
	claim_same(caps, 0);
	*(u8 *)shim_uint("hvballoon", "balloon") = 0;
	*(u8 *)shim_uint("hvballoon", "hot_add") = 0;
	caps = 99;
	load();
	accept(VMB_BALLOON_VERSION_RESPONSE);
	claim_same(caps, 0);
	accept(VMB_BALLOON_CAPS_RESPONSE);
	ask(512);
	SECONDS(1);
	claim_same(given, 0);
	end();
}

static void a_sleeping_guest_owns_its_memory(void)
{
	begin();
	ask(4096);
	SECONDS(1);
	claim_same(driver->suspend(&channel.device), 0);
	claim_same(ram_free_pages, RAM_PAGES);
	claim_same(driver->resume(&channel.device), 0);
	msleep(100);
	claim_same(proposals, 2);
	accept(VMB_BALLOON_VERSION_RESPONSE);
	accept(VMB_BALLOON_CAPS_RESPONSE);
	ask(512);
	SECONDS(1);
	claim_same(given, 4096 + 512);
	end();
}

/* The end comes at any moment of a request, a return or a report, with the host's signals. */
/* Nobody rings for what comes while the ring is masked, and the next report is a second away. */
static void no_request_is_lost(void)
{
	begin();
	for (u32 i = 1; i <= 40; i++) {
		u64 before = sched_now();

		ask(1);
		while (responses < i) {
			claim(sched_now() - before < HZ / 2);
			msleep(4);
		}
		for (u32 steps = sched_random(8); steps; steps--)
			sched_step();
	}
	claim_same(given, 40);
	end();
}

static void it_may_end_at_any_time(void)
{
	begin();
	ask(2048);
	msleep(sched_random(8));
	give_back(range_count < 3 ? range_count : 3, ranges);
	ask(512);
	if (sched_random(2))
		msleep(sched_random(2000));
	if (sched_random(2)) {
		channel.ops->rescinded(&channel);
		ask(512);
	}
	end();
}

bed_test(it_tells_what_it_can_and_reports_every_second) bed_test(pages_are_given_in_large_pieces)
	bed_test(single_pages_are_given_where_there_is_nothing_else) bed_test(it_keeps_what_it_needs)
		bed_test(it_gives_nothing_in_need) bed_test(what_comes_back_is_used_again) bed_test(
			no_other_page_comes_back) bed_test(a_host_that_does_not_read_is_waited_for)
			bed_test(a_host_that_never_reads_does_not_stop_the_end) bed_test(
				what_is_asked_meanwhile_waits) bed_test(new_memory_is_added)
				bed_test(new_memory_that_does_not_fit_is_refused)
					bed_test(what_is_switched_off_is_not_offered) bed_test(
						a_sleeping_guest_owns_its_memory)
						bed_test_seeds(no_request_is_lost, 50)
							bed_test_seeds(it_may_end_at_any_time, 100)

								int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_tells_what_it_can_and_reports_every_second),
		cmocka_unit_test(test_pages_are_given_in_large_pieces),
		cmocka_unit_test(test_single_pages_are_given_where_there_is_nothing_else),
		cmocka_unit_test(test_it_keeps_what_it_needs),
		cmocka_unit_test(test_it_gives_nothing_in_need),
		cmocka_unit_test(test_what_comes_back_is_used_again),
		cmocka_unit_test(test_no_other_page_comes_back),
		cmocka_unit_test(test_a_host_that_does_not_read_is_waited_for),
		cmocka_unit_test(test_a_host_that_never_reads_does_not_stop_the_end),
		cmocka_unit_test(test_what_is_asked_meanwhile_waits),
		cmocka_unit_test(test_new_memory_is_added),
		cmocka_unit_test(test_new_memory_that_does_not_fit_is_refused),
		cmocka_unit_test(test_what_is_switched_off_is_not_offered),
		cmocka_unit_test(test_a_sleeping_guest_owns_its_memory),
		cmocka_unit_test(test_no_request_is_lost),
		cmocka_unit_test(test_it_may_end_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
