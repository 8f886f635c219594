// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Dynamic memory, both ends in one process, stepped by hand: a target is gone after, what is given
 * leaves the memory file, comes back empty, and no guest gets more than it was given by lying.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/balloon.h"
#include "ports/user/guest.h"
#include "tests/guest_thread.h"

#define MIB	  (1ull << 20)
#define SECOND_NS 1000000000ll
#define PAGES	  16384u /* 64 MiB */
#define BASE	  (PAGES * 4096ull)
#define MAX	  (BASE + 512 * MIB)

static int64_t clock_now;
static bool threaded;
static uint64_t least; /* min= of --memory */

static struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct guest_thread thread; /* of the threaded case */
	struct vmb_dev_balloon *balloon;
	struct vmb_user_device *d;
} * b;

static int64_t read_clock(void)
{
	return clock_now;
}

static void settle(void)
{
	uint32_t steps = 0;
	bool any;

	do {
		any = vmb_user_machine_step(&b->machine);
		any |= vmb_user_guest_step(&b->guest);
		assert_true(++steps < 5000);
	} while (any);
}

static void pass(uint32_t seconds)
{
	while (seconds--) {
		clock_now += SECOND_NS;
		settle();
	}
}

static void add_device(void)
{
	const struct vmb_dev_balloon_config config = { .bus_version = VMB_VERSION_NEWEST,
						       .base = BASE,
						       .max = MAX,
						       .min = least,
						       .clock = threaded ? NULL : read_clock };
	struct vmb_dev_device device;

	assert_int_equal(vmb_dev_balloon_open(&device, &config), 0);
	b->balloon = vmb_dev_balloon_of(&device);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
}

static int set_up(void **state)
{
	const struct vmb_user_machine_config machine = {
		.page_count = PAGES, .add_max = MAX - BASE, .threads = threaded, .monitors = true
	};
	const struct vmb_user_guest_config guest = { .ring_pages = 5 };

	b = calloc(1, sizeof(*b));
	clock_now = 100 * SECOND_NS;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	add_device();
	if (threaded)
		guest_thread_start(&b->thread, &b->guest);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	b->d = vmb_user_guest_balloon(&b->guest);
	assert_non_null(b->d);
	b->d->balloon.spare = 8192;
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	if (!threaded)
		settle();
	return 0;
}

static int tear_down(void **state)
{
	if (threaded)
		guest_thread_stop(&b->thread);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	free(b);
	return 0;
}

static struct vmb_dev_balloon_view look(void)
{
	struct vmb_dev_balloon_view view;

	vmb_dev_balloon_look(b->balloon, &view);
	return view;
}

static void make(uint64_t bytes)
{
	assert_int_equal(vmb_dev_balloon_set(b->balloon, bytes), 0);
	settle();
}

/* All of the guest's memory is in use. */
static void fill_memory(void)
{
	const struct vmb_dev_memory_region *r = &b->machine.dev.memory.regions[0];
	uint64_t *page;

	for (uint64_t at = 0; at < r->len; at += VMB_PAGE_LEN) {
		page = (uint64_t *)(r->base + at + 2048);
		*page = at + 1;
	}
}

static void test_a_guest_that_says_nothing_has_what_it_began_with(void **state)
{
	struct vmb_dev_balloon_view view = look();

	assert_true(view.ready);
	assert_true(view.reached);
	assert_int_equal(view.version, VMB_BALLOON_VERSION_3);
	assert_int_equal(view.target, BASE);
	assert_int_equal(view.assigned, BASE);
	assert_int_equal(b->d->balloon.core.page_max, MAX / 4096);
}

static void test_what_is_given_leaves_the_machine_and_comes_back_empty(void **state)
{
	struct vmb_user_balloon *guest = &b->d->balloon;
	uint64_t before, pfn;

	fill_memory();
	before = look().resident;
	make(BASE - 16 * MIB);
	assert_int_equal(guest->given_count, 4096);
	assert_true(look().reached);
	assert_int_equal(look().assigned, BASE - 16 * MIB);
	assert_int_equal(look().resident, before - 16 * MIB);
	pfn = guest->given[17];
	make(BASE);
	assert_int_equal(guest->given_count, 0);
	assert_int_equal(guest->strangers, 0);
	assert_int_equal(look().assigned, BASE);
	assert_int_equal(*(uint64_t *)(vmb_user_memory_page(&b->machine.memory, pfn) + 2048), 0);
}

/* What the guest kept has its bytes after any number of rounds. */
static void test_no_page_is_lost_in_many_rounds(void **state)
{
	struct vmb_user_balloon *guest = &b->d->balloon;
	uint64_t mine[64], strangers = 0;

	assert_true(vmb_user_memory_alloc(&b->machine.memory, mine, 64));
	for (uint32_t i = 0; i < 64; i++)
		memset(vmb_user_memory_page(&b->machine.memory, mine[i]), 0x30 + i, VMB_PAGE_LEN);
	for (uint32_t round = 0; round < 20; round++) {
		make(BASE - (4 + 2 * (round % 4)) * MIB);
		make(BASE - 2 * (round % 2) * MIB);
		strangers += guest->strangers;
	}
	assert_int_equal(strangers, 0);
	for (uint32_t i = 0; i < 64; i++)
		for (uint32_t at = 0; at < VMB_PAGE_LEN; at += 512)
			assert_int_equal(vmb_user_memory_page(&b->machine.memory, mine[i])[at],
					 0x30 + i);
}

static void test_a_guest_that_cannot_spare_it_is_asked_again_later(void **state)
{
	b->d->balloon.spare = 1000;
	make(BASE - 8 * MIB);
	assert_int_equal(b->d->balloon.given_count, 1000);
	assert_false(look().settled); /* it gave some, so it may have more */
	pass(1);
	assert_true(look().settled);
	assert_false(look().reached);
	b->d->balloon.spare = 5000;
	settle();
	assert_int_equal(b->d->balloon.given_count, 1000);
	pass(2);
	assert_true(look().reached);
	assert_int_equal(b->d->balloon.given_count, 1000 + 1024); /* in units of 2 MiB */
}

/* As each second. available: MiB */
static void report(uint64_t available, uint64_t committed)
{
	const struct vmb_balloon_status status = { .available = available * MIB / 4096,
						   .committed = committed * MIB / 4096 };

	clock_now += SECOND_NS;
	assert_int_equal(vmb_user_guest_report_memory(b->d, &status), 0);
	settle();
}

static void test_a_guest_that_can_spare_more_is_asked_at_once(void **state)
{
	b->d->balloon.spare = 0;
	make(BASE - 8 * MIB);
	pass(100); /* asked every 32 s by now */
	report(20, 0);
	report(12, 0);
	b->d->balloon.spare = 8192;
	report(19, 0); /* no more than noise */
	assert_int_equal(b->d->balloon.given_count, 0);
	report(20, 0);
	assert_int_equal(b->d->balloon.given_count, 2048);
	assert_true(look().reached);
}

static void test_the_size_follows_the_guests_need(void **state)
{
	report(40, 10);
	assert_int_equal(look().target, BASE); /* only if it is to */
	assert_int_equal(vmb_dev_balloon_follow(b->balloon), 0);
	assert_true(look().follows);
	report(40, 10);
	assert_int_equal(look().target, BASE - 8 * MIB);
	assert_true(look().reached);
	assert_int_equal(b->d->balloon.given_count, 2048);
	report(10, 100 + 8);
	assert_int_equal(look().target, 120 * MIB);
	assert_int_equal(b->d->balloon.given_count, 0);
	report(10, 400);
	assert_int_equal(look().added, 384 * MIB); /* whole blocks */
	make(BASE);
	assert_false(look().follows);
	report(10, 400);
	assert_int_equal(look().target, BASE);
}

static int set_up_with_least(void **state)
{
	least = 48 * MIB;
	return set_up(state);
}

static int tear_down_with_least(void **state)
{
	least = 0;
	return tear_down(state);
}

static void test_the_size_follows_from_the_start_and_goes_no_lower_than_the_least(void **state)
{
	assert_true(look().follows);
	for (uint32_t i = 0; i < 100; i++)
		report(40, 1);
	assert_int_equal(look().target, 48 * MIB);
	assert_true(look().reached);
}

static void test_a_new_target_does_not_wait(void **state)
{
	b->d->balloon.spare = 0;
	make(BASE - 8 * MIB);
	pass(3);
	b->d->balloon.spare = 4096;
	make(BASE - 4 * MIB);
	assert_true(look().reached);
}

static void test_memory_is_added_when_all_is_returned(void **state)
{
	static const uint8_t text[] = "new memory";
	uint8_t *page;

	assert_null(vmb_dev_memory_page(&b->machine.dev.memory, VMB_USER_ADDED_GPA >> 12));
	make(BASE - 4 * MIB);
	make(BASE + 256 * MIB);
	assert_int_equal(b->d->balloon.given_count, 0);
	assert_int_equal(b->d->balloon.added, 256 * MIB / 4096);
	assert_true(look().reached);
	assert_int_equal(look().added, 256 * MIB);
	page = vmb_dev_memory_page(&b->machine.dev.memory, VMB_USER_ADDED_GPA >> 12);
	assert_non_null(page);
	memcpy(page, text, sizeof(text));
	assert_null(vmb_dev_memory_page(&b->machine.dev.memory,
					(VMB_USER_ADDED_GPA + 256 * MIB) >> 12));
	assert_int_equal(b->machine.bus->ram[1].pfn_count, 256 * MIB / 4096);
	make(MAX);
	assert_int_equal(look().assigned, MAX);
	make(BASE + 256 * MIB); /* what was added stays; as much is given */
	assert_int_equal(look().added, 512 * MIB);
}

static void test_a_guest_that_wants_no_memory_is_not_asked_again(void **state)
{
	b->d->balloon.no_memory = true;
	make(BASE + 128 * MIB);
	assert_true(look().settled);
	assert_false(look().reached);
	pass(100);
	assert_int_equal(b->d->balloon.core.requests, 1);
}

static void test_less_than_a_block_is_not_added(void **state)
{
	make(BASE + 64 * MIB);
	assert_int_equal(b->d->balloon.added, 0);
	assert_int_equal(look().assigned, BASE);
}

static void test_targets_have_limits(void **state)
{
	assert_int_equal(vmb_dev_balloon_set(b->balloon, MAX + 4096), -ERANGE);
	assert_int_equal(vmb_dev_balloon_set(b->balloon, VMB_DEV_BALLOON_MIN - 4096), -ERANGE);
	assert_int_equal(look().target, BASE);
}

static void test_a_target_without_a_driver_waits_for_it(void **state)
{
	assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
	assert_false(look().ready);
	assert_int_equal(vmb_dev_balloon_set(b->balloon, BASE - 4 * MIB), -ENOTCONN);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	settle();
	assert_true(look().reached);
	assert_int_equal(b->d->balloon.given_count, 1024);
}

/* Whoever opens it next owns all its memory. */
static void test_a_driver_that_leaves_has_all_pages_again(void **state)
{
	fill_memory();
	make(BASE - 4 * MIB);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
	assert_int_equal(look().assigned, BASE);
	b->d->balloon.given_count = 0; /* as another kernel would have it */
	b->d->balloon.memory->used_count = 0;
	memset(b->machine.memory.used, 0, PAGES);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	settle();
	assert_true(look().reached);
	assert_true(look().ready);
}

static void test_a_silent_guest_holds_nobody_up(void **state)
{
	b->d->balloon.silent = true;
	make(BASE - 4 * MIB);
	pass(100);
	assert_false(look().reached);
	assert_int_equal(b->d->balloon.core.requests, 1);
}

/* Messages of a guest that lies */

static void give_twice(uint8_t *message, uint32_t len)
{
	if (message[0] == VMB_BALLOON_RESPONSE && len >= 32)
		memcpy(message + 24, message + 16, 8);
}

static void give_more(uint8_t *message, uint32_t len)
{
	if (message[0] == VMB_BALLOON_RESPONSE && len >= 24)
		message[22] = 1; /* 65536 pages from there on */
}

static void give_high(uint8_t *message, uint32_t len)
{
	if (message[0] == VMB_BALLOON_RESPONSE && len >= 24)
		message[20] = 0xFF;
}

static void answer_early(uint8_t *message, uint32_t len)
{
	if (message[0] == VMB_BALLOON_RESPONSE)
		message[0] = VMB_BALLOON_RETURN_RESPONSE;
}

static void cut(uint8_t *message, uint32_t len)
{
	if (message[0] == VMB_BALLOON_RESPONSE)
		message[2] = message[3] = 0;
}

static void test_a_guest_that_lies_loses_the_service_and_nothing_else(void **state)
{
	void (*const lies[])(uint8_t *, uint32_t) = { give_twice, give_more, give_high,
						      answer_early, cut };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(lies); i++) {
		uint64_t before;

		fill_memory();
		before = look().resident;
		b->d->balloon.spoil = lies[i];
		vmb_dev_balloon_set(b->balloon, BASE - 2 * MIB);
		settle();
		assert_false(look().ready);
		assert_int_equal(look().resident, before); /* not one page was believed */
		b->d->balloon.spoil = NULL;
		assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
		assert_int_equal(look().assigned, BASE);
		vmb_dev_balloon_set(b->balloon, BASE);
		assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
		settle();
		assert_true(look().ready);
	}
}

static void test_a_host_of_2008_has_none(void **state)
{
	const struct vmb_dev_balloon_config config = { .bus_version = VMB_VERSION_0_13 };
	struct vmb_dev_device device;

	assert_int_equal(vmb_dev_balloon_open(&device, &config), -ENODEV);
}

static int set_up_threaded(void **state)
{
	threaded = true;
	return set_up(state);
}

static int tear_down_threaded(void **state)
{
	tear_down(state);
	threaded = false;
	return 0;
}

static void await_size(uint64_t bytes)
{
	vmb_dev_balloon_set(b->balloon, bytes);
	for (uint32_t i = 0; !look().ready || look().assigned != bytes; i++) {
		assert_true(i < 60000);
		usleep(1000);
	}
}

/* Under tests/confine_test.sh it may make no other system calls than in the program. */
static void test_the_device_has_a_thread_of_its_own(void **state)
{
	for (uint32_t round = 0; round < 3; round++) {
		await_size(BASE - 8 * MIB);
		await_size(BASE);
	}
	await_size(BASE + 128 * MIB);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->d), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_guest_that_says_nothing_has_what_it_began_with),
		TEST(test_what_is_given_leaves_the_machine_and_comes_back_empty),
		TEST(test_no_page_is_lost_in_many_rounds),
		TEST(test_a_guest_that_cannot_spare_it_is_asked_again_later),
		TEST(test_a_guest_that_can_spare_more_is_asked_at_once),
		TEST(test_the_size_follows_the_guests_need),
		cmocka_unit_test_setup_teardown(
			test_the_size_follows_from_the_start_and_goes_no_lower_than_the_least,
			set_up_with_least, tear_down_with_least),
		TEST(test_a_new_target_does_not_wait),
		TEST(test_memory_is_added_when_all_is_returned),
		TEST(test_a_guest_that_wants_no_memory_is_not_asked_again),
		TEST(test_less_than_a_block_is_not_added),
		TEST(test_targets_have_limits),
		TEST(test_a_target_without_a_driver_waits_for_it),
		TEST(test_a_driver_that_leaves_has_all_pages_again),
		TEST(test_a_silent_guest_holds_nobody_up),
		TEST(test_a_guest_that_lies_loses_the_service_and_nothing_else),
		cmocka_unit_test_setup_teardown(test_the_device_has_a_thread_of_its_own,
						set_up_threaded, tear_down_threaded),
		cmocka_unit_test(test_a_host_of_2008_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
