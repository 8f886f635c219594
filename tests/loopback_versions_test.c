// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whole lives in every version of the bus: offers, open, I/O, rescind, unload, reconnect; by event
 * flag, interrupt page and monitor. Both ends look at a ring only when they were told to, so what
 * is signalled to the wrong place or not at all stands still.
 */
#include <sched.h>

#include "host/doorbell.h"
#include "tests/loopback_bed.h"
#include "tests/peek.h"

static const uint32_t versions[] = { VMB_VERSION_0_13, VMB_VERSION_1_1, VMB_VERSION_2_4,
				     VMB_VERSION_3_0,  VMB_VERSION_4_0, VMB_VERSION_4_1,
				     VMB_VERSION_5_0,  VMB_VERSION_5_1, VMB_VERSION_5_2,
				     VMB_VERSION_5_3,  VMB_VERSION_6_0 };

static struct vmb_user_loopback_config config_of(uint32_t version, bool threads)
{
	return (struct vmb_user_loopback_config){ .machine.version_max = version,
						  .threads = threads };
}

/* How the signals of this version went. */
static void expect_signals(const struct loop *b, uint32_t version)
{
	assert_int_equal(b->l.guest.connect.version, version);
	if (version < VMB_VERSION_1_1)
		assert_true(peek_u64(&b->l.machine.bus->doorbell.by_interrupt_page) > 0);
	else
		assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.by_interrupt_page), 0);
	assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.by_monitor), 0);
	assert_int_equal(b->l.guest.stray_count, 0);
}

/* Offers a device and waits for it; the guest may have yet to hear that the last one is gone. */
static struct vmb_user_device *hot_add(struct loop *b, const struct vmb_user_device *last)
{
	uint8_t number =
		(uint8_t)(2 + b->l.machine.bus->contact_count % 200); /* not the last one's */
	struct vmb_user_device *d;

	assert_non_null(vmb_user_loopback_offer(&b->l, number));
	while (!(d = vmb_user_guest_device(&b->l.guest)) || d == last)
		if (b->l.config.threads)
			sched_yield();
		else
			vmb_user_loopback_settle(&b->l);
	return d;
}

/* One connection with everything in it, and nothing left behind. */
static void live(struct loop *b, uint32_t version)
{
	struct vmb_dev_storage *ch;
	struct vmb_user_device *d;
	uint32_t i;

	d = loop_open(b);
	for (i = 0; i < 8; i++)
		loop_verify(b, d, loop_random(b, 1000), 65536);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	assert_int_equal(vmb_user_guest_open(&b->l.guest, d), 0);
	loop_verify(b, d, 7, 4096);
	ch = vmb_user_loopback_first(&b->l);
	vmb_dev_bus_rescind(&ch->channel);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	loop_expect_nothing_held(b);
	d = hot_add(b, d);
	assert_int_equal(vmb_user_guest_open(&b->l.guest, d), 0);
	loop_verify(b, d, 9, 16384);
	expect_signals(b, version);
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	loop_expect_nothing_held(b);
}

static void live_in_every_version(bool threads)
{
	struct loop *b;
	uint32_t i, round;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		b = loop_new(config_of(versions[i], threads));
		for (round = 0; round < 3; round++) {
			live(b, versions[i]);
			assert_int_equal(b->l.machine.bus->unload_count, round + 1);
		}
		loop_free(b);
	}
}

static void test_whole_life_in_every_version(void **state)
{
	live_in_every_version(false);
}

static void test_whole_life_in_every_version_with_threads(void **state)
{
	live_in_every_version(true);
}

/* Each host takes exactly the contacts that it must refuse before the one that it knows. */
static void test_guest_walks_down_to_what_the_host_has(void **state)
{
	struct loop *b;
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		b = loop_new(config_of(versions[i], false));
		assert_int_equal(vmb_user_guest_start(&b->l.guest), 0);
		assert_int_equal(b->l.guest.connect.version, versions[i]);
		assert_int_equal(b->l.machine.bus->server.version, versions[i]);
		/*
		 * A contact for each version, accepted or not, is answered; then the two of the
		 * offers.
		 */
		assert_int_equal(b->l.guest.connect.counters.messages_out,
				 VMB_ARRAY_COUNT(versions) - i + 1);
		loop_free(b);
	}
}

/* A guest that wants more than the host has is refused, and can come again with less. */
static void test_refused_guest_connects_with_an_older_version(void **state)
{
	struct loop *b;
	uint32_t i;

	for (i = 0; i + 1 < VMB_ARRAY_COUNT(versions); i++) {
		b = loop_new(config_of(versions[i], false));
		b->l.guest.connect.config.version_min = versions[i + 1];
		assert_int_equal(vmb_user_guest_start(&b->l.guest), VMB_EIO);
		assert_int_equal(b->l.guest.connect.state, VMB_GUEST_IDLE);
		b->l.guest.connect.config.version_min = versions[0];
		live(b, versions[i]);
		loop_free(b);
	}
}

/* iPXE: 3.0, UNLOAD, then 0.13 on the same host; and whatever comes after it. */
static void test_one_host_serves_guest_after_guest_of_any_version(void **state)
{
	struct loop *b = loop_new(config_of(0, false));
	uint32_t i, version;

	for (i = 0; i < 60; i++) {
		version = versions[i == 0 ? 3 : i == 1 ? 0 : loop_random(b, 11)];
		b->l.config.guest.version_max = version;
		if (i)
			assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
		b->l.guest.connect.config.version_max = version;
		b->l.machine.bus->doorbell.by_interrupt_page = 0;
		live(b, version);
	}
	loop_free(b);
}

/* ---- monitors ---- */

static struct loop *monitored(uint32_t version, bool threads)
{
	struct vmb_user_loopback_config config = config_of(version, threads);

	config.machine.monitors = true;
	config.guest.tolerant = true;
	return loop_new(config);
}

/* A driver that can wait never signals; all that it says is found by the monitor. */
static void test_monitor_replaces_signals_in_every_version(void **state)
{
	struct vmb_user_device *d;
	struct loop *b;
	uint32_t i, j;
	int threads;

	for (i = 0; i < 2 * VMB_ARRAY_COUNT(versions); i++) {
		threads = i >= VMB_ARRAY_COUNT(versions);
		b = monitored(versions[i % VMB_ARRAY_COUNT(versions)], threads);
		d = loop_open(b);
		for (j = 0; j < 20; j++)
			loop_verify(b, d, loop_random(b, 1000), 16384);
		/*
		 * A host that is awake already needs to be told nothing: with threads, any number
		 * of times.
		 */
		assert_true(peek_u64(&b->l.machine.bus->doorbell.by_monitor) >= (threads ? 1 : 20));
		assert_int_equal(b->l.machine.synic.host_signals, 0);
		assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.strays), 0);
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

static void test_urgent_driver_signals_in_spite_of_the_monitor(void **state)
{
	struct vmb_user_loopback_config config = config_of(VMB_VERSION_4_0, true);
	struct loop *b;

	config.machine.monitors = true;
	b = loop_new(config);
	loop_expect_whole_life(b);
	assert_true(b->l.machine.synic.host_signals > 0);
	assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.by_monitor), 0);
	loop_free(b);
}

/* A tolerant driver on a host without monitors is as quick as any. */
static void test_tolerant_driver_without_monitor_signals(void **state)
{
	struct vmb_user_loopback_config config = config_of(VMB_VERSION_4_0, true);
	struct loop *b;

	config.guest.tolerant = true;
	b = loop_new(config);
	loop_expect_whole_life(b);
	assert_true(b->l.machine.synic.host_signals > 0);
	loop_free(b);
}

/* ---- peers that write what they like ---- */

/* A guest that sets every bit of both its pages before each signal: costs looks, breaks nothing. */
static void test_guest_that_sets_every_bit_is_served(void **state)
{
	struct vmb_interrupt_page *interrupt;
	struct vmb_monitor_page *monitor;
	struct vmb_user_device *d;
	uint32_t i, round, word;
	struct loop *b;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		b = monitored(versions[i], false);
		interrupt = b->l.guest.interrupt_page;
		monitor = b->l.guest.monitor_page;
		d = loop_open(b);
		for (round = 0; round < 10; round++) {
			for (word = 0; word < 512; word++)
				interrupt->to_host[word] = 0xFFFFFFFF;
			for (word = 0; word < VMB_MONITOR_GROUP_COUNT; word++)
				monitor->groups[word].pending = 0xFFFFFFFF;
			monitor->trigger_state = loop_random(b, 0xFFFF);
			vmb_user_machine_signal(&b->l.machine, VMB_CONNECTION_EVENT);
			vmb_user_loopback_settle(&b->l);
			monitor->trigger_state = 0xF;
			loop_verify(b, d, loop_random(b, 1000), 8192);
		}
		/*
		 * Every relid below 256 and not one more; the page is no page of a newer version.
		 */
		if (versions[i] < VMB_VERSION_2_4) {
			assert_true(peek_u64(&b->l.machine.bus->doorbell.by_interrupt_page) >= 10);
			assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.strays),
					 10 * (127 + 255));
		} else {
			assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.by_interrupt_page),
					 0);
			assert_int_equal(peek_u64(&b->l.machine.bus->doorbell.strays), 10 * 127);
		}
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		vmb_user_machine_signal(&b->l.machine,
					VMB_CONNECTION_EVENT); /* of nobody any more */
		vmb_user_loopback_settle(&b->l);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

/*
 * A host that sets bits of channels that don't exist, in a page that it shares with a guest at
 * work.
 */
static void test_host_that_sets_every_bit_is_served(void **state)
{
	struct vmb_interrupt_page *page;
	struct vmb_user_device *d;
	uint32_t i, round, word;
	struct loop *b;

	for (i = 0; i < 4; i++) {
		b = loop_new(config_of(versions[i], false));
		page = b->l.guest.interrupt_page;
		d = loop_open(b);
		for (round = 0; round < 10; round++) {
			for (word = 0; word < 512; word++)
				page->to_guest[word] = 0xFFFFFFFF;
			for (word = 0; word < VMB_SYNIC_FLAG_COUNT; word++)
				vmb_user_synic_interrupt(&b->l.machine.synic, word);
			loop_verify(b, d, loop_random(b, 1000), 8192);
		}
		if (versions[i] < VMB_VERSION_2_4)
			assert_int_equal(b->l.guest.stray_count, 10 * 255);
		else
			assert_int_equal(b->l.guest.stray_count, 0);
		assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
		loop_expect_nothing_held(b);
		loop_free(b);
	}
}

/* A bit without flag 0 is seen by nobody; flag 0 without a bit says nothing. */
static void test_bit_and_flag_go_together_below_2_4(void **state)
{
	struct loop *b;
	struct vmb_user_device *d;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		b = loop_new(config_of(versions[i], false));
		d = loop_open(b);
		vmb_user_loopback_settle(&b->l);
		vmb_host_doorbell_set(b->l.guest.interrupt_page, d->channel.relid);
		assert_false(vmb_user_guest_step(&b->l.guest));
		vmb_user_synic_interrupt(&b->l.machine.synic, 0);
		assert_true(vmb_user_guest_step(&b->l.guest));
		vmb_user_loopback_settle(&b->l);
		vmb_user_synic_interrupt(&b->l.machine.synic, 0);
		assert_true(vmb_user_guest_step(&b->l.guest));
		assert_false(d->interrupted);
		loop_free(b);
	}
}

/* Offers of 190 bytes where 196 are due, and 196 where 190 are. */
static bool resize_offer(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	if (payload[0] == VMB_MSG_OFFER) {
		if (*len < 196)
			memset(payload + *len, 0xEE, 196 - *len);
		*len = *(uint32_t *)arg;
	}
	return true;
}

static void test_offers_of_the_wrong_length(void **state)
{
	uint32_t i, len;
	struct loop *b;

	for (i = 0; i < 2 * VMB_ARRAY_COUNT(versions); i++) {
		b = loop_new(config_of(versions[i / 2], false));
		len = i % 2 ? 196 : 190;
		b->fault.arg = &len;
		b->fault.message = resize_offer;
		loop_spoil(b);
		assert_int_equal(vmb_user_guest_start(&b->l.guest), 0);
		if (len < 196 && versions[i / 2] >= VMB_VERSION_1_1) {
			assert_null(vmb_user_guest_device(&b->l.guest));
			assert_int_equal(b->l.guest.connect.counters.malformed, 1);
			b->fault.message = NULL;
			assert_non_null(vmb_user_loopback_offer(&b->l, 2));
			vmb_user_loopback_settle(&b->l);
		}
		loop_expect_whole_life(b);
		loop_free(b);
	}
}

/* Any garbage in place of a version's answer, on every version that the guest proposes. */
static bool spoil_version(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	uint32_t *random = arg;
	uint32_t i;

	if (payload[0] != VMB_MSG_VERSION_RESPONSE)
		return true;
	for (i = 8; i < VMB_MSG_LEN_MAX; i++) {
		*random = *random * 1664525u + 1013904223u;
		payload[i] = (uint8_t)(*random >> 24);
	}
	*len = 8 + (*random >> 8) % 40;
	return true;
}

static void test_garbage_in_answers_to_contact(void **state)
{
	struct loop *b = loop_new(config_of(0, false));
	uint32_t random = 1, round, connected = 0;

	for (round = 0; round < 2000; round++) {
		b->l.config.guest.version_max = versions[round % 11];
		if (round)
			assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
		b->fault.arg = &random;
		b->fault.message = spoil_version;
		loop_spoil(b);
		vmb_guest_connect_start(&b->l.guest.connect);
		vmb_user_loopback_settle(&b->l);
		connected += b->l.guest.connect.state == VMB_GUEST_CONNECTED;
	}
	print_message("# %u of %u guests took garbage for a yes\n", connected, round);
	assert_true(connected > 10 && connected < 1990);
	b->fault.message = NULL;
	b->l.config.guest.version_max = 0;
	assert_int_equal(vmb_user_loopback_reboot(&b->l), 0);
	loop_expect_whole_life(b);
	loop_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_life_in_every_version),
		cmocka_unit_test(test_whole_life_in_every_version_with_threads),
		cmocka_unit_test(test_guest_walks_down_to_what_the_host_has),
		cmocka_unit_test(test_refused_guest_connects_with_an_older_version),
		cmocka_unit_test(test_one_host_serves_guest_after_guest_of_any_version),
		cmocka_unit_test(test_monitor_replaces_signals_in_every_version),
		cmocka_unit_test(test_urgent_driver_signals_in_spite_of_the_monitor),
		cmocka_unit_test(test_tolerant_driver_without_monitor_signals),
		cmocka_unit_test(test_guest_that_sets_every_bit_is_served),
		cmocka_unit_test(test_host_that_sets_every_bit_is_served),
		cmocka_unit_test(test_bit_and_flag_go_together_below_2_4),
		cmocka_unit_test(test_offers_of_the_wrong_length),
		cmocka_unit_test(test_garbage_in_answers_to_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
