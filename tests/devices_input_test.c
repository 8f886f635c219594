// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keyboard and mouse, both ends in one process, stepped by hand: what is typed arrives, what a
 * guest does not take is lost and counted, and a guest that breaks the protocol loses that channel
 * alone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/input.h"
#include "devices/input_queue.h"
#include "ports/user/guest.h"

static struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct vmb_dev_input *input;
	struct vmb_user_device *keyboard, *mouse;
	/* of the threaded case */
	pthread_t thread;
	bool there, stop; /* atomic */
	uint32_t keys, pointers; /* that the guest has, atomic */
} * b;

static bool threaded;

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

static void *run_guest(void *arg)
{
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(b->machine.synic.guest_fd);
		while (vmb_user_guest_step(&b->guest))
			;
		if (!__atomic_load_n(&b->there, __ATOMIC_ACQUIRE))
			continue;
		__atomic_store_n(&b->keys, b->keyboard->input.count, __ATOMIC_RELEASE);
		__atomic_store_n(&b->pointers, b->mouse->input.count, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int set_up(void **state)
{
	const struct vmb_user_machine_config machine = { .page_count = 4096, .threads = threaded };
	const struct vmb_user_guest_config guest = { .ring_pages = 3 };
	struct vmb_dev_device device;

	b = calloc(1, sizeof(*b));
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	assert_int_equal(vmb_dev_input_open(&device), 0);
	b->input = vmb_dev_input_of(&device);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
	b->guest.threaded = threaded;
	if (threaded)
		assert_int_equal(pthread_create(&b->thread, NULL, run_guest, NULL), 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	b->keyboard = vmb_user_guest_keyboard(&b->guest);
	b->mouse = vmb_user_guest_mouse(&b->guest);
	assert_true(b->keyboard && b->mouse);
	__atomic_store_n(&b->there, true, __ATOMIC_RELEASE);
	return 0;
}

static int tear_down(void **state)
{
	if (threaded) {
		__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
		vmb_user_synic_kick(b->machine.synic.guest_fd);
		pthread_join(b->thread, NULL);
	}
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	free(b);
	return 0;
}

static void open_both(void)
{
	assert_int_equal(vmb_user_guest_open(&b->guest, b->keyboard), 0);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->mouse), 0);
	if (!threaded)
		settle();
}

static struct vmb_dev_input_view look(void)
{
	struct vmb_dev_input_view view;

	vmb_dev_input_look(b->input, &view);
	return view;
}

static void test_what_is_typed_and_pointed_arrives_in_order(void **state)
{
	struct vmb_user_input *k = &b->keyboard->input, *m = &b->mouse->input;

	open_both();
	assert_true(look().keyboard && look().mouse);
	for (uint16_t code = 1; code < 100; code++) {
		assert_int_equal(vmb_dev_input_key(b->input, code, VMB_KEYBOARD_E0), 0);
		assert_int_equal(
			vmb_dev_input_key(b->input, code, VMB_KEYBOARD_E0 | VMB_KEYBOARD_BREAK), 0);
		assert_int_equal(vmb_dev_input_pointer(b->input, code, 32767, 1, -1), 0);
		settle();
	}
	assert_int_equal(k->count, 198);
	assert_int_equal(k->keys[196].make_code, 99);
	assert_int_equal(k->keys[196].flags, VMB_KEYBOARD_E0);
	assert_int_equal(k->keys[197].flags, VMB_KEYBOARD_E0 | VMB_KEYBOARD_BREAK);
	assert_int_equal(m->count, 99);
	assert_int_equal(m->reports[98].x, 99);
	assert_int_equal(m->reports[98].y, 32767);
	assert_int_equal(m->reports[98].buttons, 1);
	assert_int_equal(m->reports[98].wheel, -1);
	assert_int_equal(look().keys, 198);
	assert_int_equal(look().keys_lost + look().pointers_lost + look().queued, 0);
	assert_int_equal(k->strangers + m->strangers, 0);
}

static void test_the_mouse_describes_reports_of_seven_bytes(void **state)
{
	open_both();
	assert_int_equal(b->mouse->input.mouse.info.vendor, 0x045E);
	assert_int_equal(b->mouse->input.mouse.info.descriptor_len, 67);
}

/* Whoever asks for a completion gets one. */
static void test_messages_of_the_guest_are_completed(void **state)
{
	open_both();
	assert_int_equal(b->keyboard->input.completions, 1);
	assert_int_equal(b->mouse->input.completions, 2);
}

static void test_lights_are_seen(void **state)
{
	open_both();
	assert_int_equal(vmb_guest_keyboard_leds(&b->keyboard->input.keyboard, 5), 0);
	b->keyboard->interrupted = true;
	vmb_user_guest_step(&b->guest);
	settle();
	assert_int_equal(look().leds, 5);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->keyboard), 0);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->keyboard), 0);
	settle();
	assert_int_equal(look().leds, 0);
}

static void test_a_guest_that_is_not_there_loses_events_which_are_counted(void **state)
{
	assert_false(look().keyboard || look().mouse);
	assert_int_equal(vmb_dev_input_key(b->input, 1, 0), -ENOTCONN);
	assert_int_equal(vmb_dev_input_pointer(b->input, 1, 1, 0, 0), -ENOTCONN);
	open_both();
	assert_int_equal(b->keyboard->input.count + b->mouse->input.count, 0);
	assert_int_equal(look().keys_lost, 1);
	assert_int_equal(look().pointers_lost, 1);
	assert_int_equal(look().keys + look().pointers, 0);
}

static void test_what_is_no_event_is_refused(void **state)
{
	open_both();
	assert_int_equal(vmb_dev_input_key(b->input, 0, 0), -EINVAL);
	assert_int_equal(vmb_dev_input_key(b->input, 0x80, 0), -EINVAL);
	assert_int_equal(vmb_dev_input_key(b->input, 1, VMB_KEYBOARD_UNICODE), -EINVAL);
	assert_int_equal(vmb_dev_input_pointer(b->input, 32768, 0, 0, 0), -EINVAL);
	assert_int_equal(vmb_dev_input_pointer(b->input, 0, 32768, 0, 0), -EINVAL);
	assert_int_equal(vmb_dev_input_pointer(b->input, 0, 0, 32, 0), -EINVAL);
	assert_int_equal(look().queued, 0);
}

/* A guest that does not read: the ring fills, the queue fills, the rest is lost. */
static void test_a_slow_guest_loses_events_and_no_key_stays_down(void **state)
{
	struct vmb_user_input *k = &b->keyboard->input;
	uint32_t sent = 0, lost = 0;
	bool down = false;

	open_both();
	k->deaf = true;
	for (uint32_t i = 0; i < 2000; i++) {
		int error = vmb_dev_input_key(b->input, 0x1E, i % 2 ? VMB_KEYBOARD_BREAK : 0);

		assert_true(error == 0 || error == -ENOBUFS);
		sent += !error;
		lost += error != 0;
		if (i % 100 == 0)
			settle();
	}
	assert_true(lost > 1000);
	assert_true(look().queued <= VMB_DEV_KEYS_MAX);
	assert_int_equal(look().keys, sent);
	assert_int_equal(look().keys_lost, lost);
	k->deaf = false;
	b->keyboard->interrupted = true;
	settle();
	assert_int_equal(k->count, sent);
	for (uint32_t i = 0; i < sent; i++)
		down = !(k->keys[i].flags & VMB_KEYBOARD_BREAK);
	assert_false(down);
	assert_int_equal(look().queued, 0);
	assert_int_equal(vmb_dev_input_key(b->input, 0x1E, 0), 0);
	settle();
	assert_int_equal(k->count, sent + 1);
}

/* Its successor begins with nothing down and nothing queued. */
static void test_a_driver_that_leaves_loses_what_is_queued(void **state)
{
	struct vmb_user_input *k = &b->keyboard->input;
	struct vmb_dev_input_view before;

	open_both();
	k->deaf = true;
	for (uint16_t i = 0; i < 1000; i++) {
		vmb_dev_input_key(b->input, 1 + i % 100, 0);
		if (i % 100 == 0)
			settle();
	}
	before = look();
	assert_true(before.queued > 0);
	assert_int_equal(vmb_user_guest_close(&b->guest, b->keyboard), 0);
	assert_int_equal(look().queued, 0);
	assert_int_equal(look().keys_lost, before.keys_lost + before.queued);
	assert_false(look().keyboard);
	assert_true(look().mouse);
	k->deaf = false;
	assert_int_equal(vmb_user_guest_open(&b->guest, b->keyboard), 0);
	settle();
	assert_int_equal(k->count, 0);
	vmb_dev_input_key(b->input, 1, VMB_KEYBOARD_BREAK);
	settle();
	assert_int_equal(k->count, 1);
}

/* Guests that break the protocol */

static uint32_t cut_short(uint8_t *message, uint32_t len)
{
	return 3;
}

static uint32_t lengthen(uint8_t *message, uint32_t len)
{
	message[4] = 0xFF; /* the pipe's length, or the version */
	message[0] = 3; /* neither a message of the pipe nor one that a guest may send */
	return len;
}

static uint32_t say_leds(uint8_t *message, uint32_t len)
{
	message[0] = 4;
	return len;
}

static uint32_t confirm(uint8_t *message, uint32_t len)
{
	message[8] = 3;
	return len;
}

static void expect_lost(struct vmb_user_device *d, uint32_t (*spoil)(uint8_t *, uint32_t))
{
	d->input.spoil = spoil;
	assert_int_equal(vmb_user_guest_open(&b->guest, d), 0);
	settle();
	assert_false(d->input.ready);
	assert_int_equal(vmb_dev_input_key(b->input, 1, 0), -ENOTCONN);
	assert_int_equal(vmb_dev_input_pointer(b->input, 1, 1, 0, 0), -ENOTCONN);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
	d->input.spoil = NULL;
	assert_int_equal(vmb_user_guest_open(&b->guest, d), 0);
	settle();
	assert_true(d->input.ready);
	assert_int_equal(vmb_user_guest_close(&b->guest, d), 0);
}

static void test_a_guest_that_breaks_the_protocol_loses_that_channel(void **state)
{
	expect_lost(b->keyboard, cut_short);
	expect_lost(b->keyboard, lengthen);
	expect_lost(b->keyboard, say_leds);
	expect_lost(b->mouse, cut_short);
	expect_lost(b->mouse, lengthen);
	expect_lost(b->mouse, confirm);
}

static uint32_t other_version(uint8_t *message, uint32_t len)
{
	message[len - 1] = 9;
	return len;
}

static void test_a_version_that_is_refused_is_no_fault(void **state)
{
	b->keyboard->input.spoil = other_version;
	b->mouse->input.spoil = other_version;
	open_both();
	assert_true(b->keyboard->input.refused);
	assert_true(b->mouse->input.refused);
	assert_false(look().keyboard || look().mouse);
	assert_int_equal(b->keyboard->input.completions, 1);
}

static struct vmb_dev_channel *find_channel(const struct vmb_guid *type_id)
{
	struct vmb_host_channel *channel = b->machine.bus->server.first;

	while (channel && !vmb_guid_equal(&channel->type_id, type_id))
		channel = channel->next;
	return VMB_CONTAINER_OF(channel, struct vmb_dev_channel, host);
}

static void test_a_rescind_takes_one_away_in_the_middle(void **state)
{
	static const struct vmb_guid keyboard = VMB_GUID_KEYBOARD;

	open_both();
	b->keyboard->input.deaf = true;
	for (uint32_t i = 0; i < 600; i++)
		vmb_dev_input_key(b->input, 0x1E, i % 2 ? VMB_KEYBOARD_BREAK : 0);
	vmb_dev_bus_rescind(find_channel(&keyboard));
	settle();
	assert_null(vmb_user_guest_keyboard(&b->guest));
	assert_int_equal(vmb_dev_input_key(b->input, 0x1E, 0), -ENOTCONN);
	assert_int_equal(vmb_dev_input_pointer(b->input, 1, 1, 0, 0), 0);
	settle();
	assert_int_equal(b->mouse->input.count, 1);
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

/* Under tests/confine_test.sh it may make no other system calls than in the program. */
static void test_the_device_has_a_thread_of_its_own(void **state)
{
	open_both();
	for (uint32_t i = 0; __atomic_load_n(&b->keys, __ATOMIC_ACQUIRE) < 20 ||
			     __atomic_load_n(&b->pointers, __ATOMIC_ACQUIRE) < 5;
	     i++) {
		assert_true(i < 60000);
		vmb_dev_input_key(b->input, 0x1E, i % 2 ? VMB_KEYBOARD_BREAK : 0);
		vmb_dev_input_pointer(b->input, (uint16_t)i, 1, 0, 0);
		usleep(1000);
	}
	assert_int_equal(vmb_user_guest_close(&b->guest, b->keyboard), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_typed_and_pointed_arrives_in_order),
		TEST(test_the_mouse_describes_reports_of_seven_bytes),
		TEST(test_messages_of_the_guest_are_completed),
		TEST(test_lights_are_seen),
		TEST(test_a_guest_that_is_not_there_loses_events_which_are_counted),
		TEST(test_what_is_no_event_is_refused),
		TEST(test_a_slow_guest_loses_events_and_no_key_stays_down),
		TEST(test_a_driver_that_leaves_loses_what_is_queued),
		TEST(test_a_guest_that_breaks_the_protocol_loses_that_channel),
		TEST(test_a_version_that_is_refused_is_no_fault),
		TEST(test_a_rescind_takes_one_away_in_the_middle),
		cmocka_unit_test_setup_teardown(test_the_device_has_a_thread_of_its_own,
						set_up_threaded, tear_down_threaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
