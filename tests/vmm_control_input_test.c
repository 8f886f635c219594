// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The commands that type and point, over the control socket, to a guest in this process: what they
 * are told arrives, in order and as fast as the guest takes it, and what they cannot do they say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/socket.h"
#include "devices/us_keyboard.h"
#include "ports/user/guest.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/machine.h"

#define CTRL	0x1D
#define SHIFT	0x2A
#define X	0x2D
#define LIMIT_S 60 /* whatever waits for ever ends the test by SIGALRM */

static struct vmb_user_machine user;
static struct vmb_user_guest guest;
static struct vmb_user_device *keyboard, *mouse;
static struct vmb_vmm_machine machine;
static struct vmb_vmm_options options = { .cpus = 1 };
static struct vmb_vmm_devices devices;
static struct vmb_vmm_control *control;
static char folder[] = "/tmp/vmm-control-input-XXXXXX", path[64];
static int client;

static void open_guest(void)
{
	const struct vmb_user_machine_config config = { .page_count = 4096 };
	const struct vmb_user_guest_config guest_config = { .ring_pages = 2 };

	assert_int_equal(vmb_user_machine_init(&user, &config), 0);
	assert_int_equal(vmb_user_guest_init(&guest, &user, &guest_config), 0);
	devices.count = 0;
	if (options.input) {
		assert_int_equal(vmb_dev_input_open(&devices.all[0]), 0);
		assert_int_equal(vmb_user_machine_add(&user, &devices.all[0]), 0);
		devices.count = 1;
	}
	assert_int_equal(vmb_user_guest_start(&guest), 0);
	keyboard = vmb_user_guest_keyboard(&guest);
	mouse = vmb_user_guest_mouse(&guest);
}

static void connect_client(void)
{
	struct sockaddr_un address;

	client = vmb_dev_socket_create(&address, path, SOCK_STREAM);
	assert_true(client >= 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
}

static int set_up(void **state)
{
	static uint32_t resets;
	const struct vmb_vmm_control_config config = { &options, &devices, &resets, NULL, NULL };

	alarm(LIMIT_S);
	options.input = *state == NULL;
	open_guest();
	machine = (struct vmb_vmm_machine){ .vmbus = user.bus, .options = &options };
	machine.wake = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(vmb_vmm_control_open(&control, path, &config), 0);
	assert_int_equal(vmb_vmm_control_start(control), 0);
	vmb_vmm_control_attach(control, &machine);
	connect_client();
	return 0;
}

static int tear_down(void **state)
{
	close(client);
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	close(machine.wake);
	vmb_user_guest_destroy(&guest);
	vmb_user_machine_destroy(&user);
	return 0;
}

static void open_drivers(void)
{
	assert_int_equal(vmb_user_guest_open(&guest, keyboard), 0);
	assert_int_equal(vmb_user_guest_open(&guest, mouse), 0);
}

/* Both ends go on until the next line is there, which is the caller's. */
static json_t *read_line(void)
{
	static char line[8192];
	size_t len = 0;
	ssize_t got;

	for (;;) {
		vmb_user_machine_step(&user);
		vmb_user_guest_step(&guest);
		got = recv(client, line + len, 1, MSG_DONTWAIT);
		if (got == 1 && line[len++] == '\n')
			return json_loadb(line, len, 0, NULL);
		if (got == 1)
			continue;
		assert_true(got < 0 && len < sizeof(line) - 1);
		usleep(1000);
	}
}

static json_t *ask(const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:s, s:o}", "command", command, "arguments", arguments);
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *line;

	assert_non_null(text);
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	assert_int_equal(send(client, "\n", 1, MSG_NOSIGNAL), 1);
	free(text);
	json_decref(request);
	do {
		line = read_line();
		if (!json_object_get(line, "control"))
			return line;
		json_decref(line); /* the greeting */
	} while (true);
}

static void expect_done(const char *command, json_t *arguments)
{
	json_t *answer = ask(command, arguments);

	assert_non_null(json_object_get(answer, "result"));
	json_decref(answer);
}

static void expect_error(const char *command, json_t *arguments, const char *code, const char *says)
{
	json_t *answer = ask(command, arguments), *error = json_object_get(answer, "error");

	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	if (!strstr(json_string_value(json_object_get(error, "message")), says))
		fail_msg("says: %s", json_string_value(json_object_get(error, "message")));
	json_decref(answer);
}

static void test_long_text_is_typed_as_fast_as_the_guest_takes_it(void **state)
{
	static char text[401];
	struct vmb_dev_input_view view;
	struct vmb_dev_key events[4];
	uint32_t at = 0;

	for (uint32_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i % 10 ? 'a' + i % 26 : 'A' + i % 26);
	open_drivers();
	expect_done("type", json_pack("{s:s}", "text", text));
	for (uint32_t i = 0; text[i]; i++) {
		uint32_t count = vmb_dev_us_keyboard_character(text[i], events);

		for (uint32_t n = 0; n < count; n++, at++) {
			assert_int_equal(keyboard->input.keys[at].make_code, events[n].make_code);
			assert_int_equal(keyboard->input.keys[at].flags, events[n].flags);
		}
	}
	assert_int_equal(keyboard->input.count, 2 * 400 + 2 * 40);
	vmb_dev_input_look(vmb_vmm_devices_input(&devices), &view);
	assert_int_equal(view.keys_lost, 0);
}

static void test_keys_and_places_arrive(void **state)
{
	open_drivers();
	expect_done("key", json_pack("{s:s}", "keys", "ctrl+alt+delete"));
	assert_int_equal(keyboard->input.count, 6);
	assert_int_equal(keyboard->input.keys[2].make_code, 0x53);
	expect_done("pointer", json_pack("{s:i, s:i, s:s, s:s}", "x", 5, "y", 32767, "buttons",
					 "left+middle", "wheel", "-3"));
	expect_done("input", json_object()); /* both ends go on meanwhile */
	assert_int_equal(mouse->input.count, 1);
	assert_int_equal(mouse->input.reports[0].x, 5);
	assert_int_equal(mouse->input.reports[0].y, 32767);
	assert_int_equal(mouse->input.reports[0].buttons, 5);
	assert_int_equal(mouse->input.reports[0].wheel, -3);
}

static void test_what_cannot_be_typed_is_refused_before_anything_is(void **state)
{
	open_drivers();
	expect_error("type", json_pack("{s:s}", "text", "ab\xC3\xA9"), "bad-argument", "byte 3");
	expect_error("type", json_pack("{s:s}", "text", ""), "bad-argument", "1 to 16384");
	expect_error("key", json_pack("{s:s}", "keys", "a ctrl+hyper"), "bad-argument", "'hyper'");
	expect_error("pointer", json_pack("{s:i, s:i}", "x", 32768, "y", 0), "bad-argument",
		     "0 to 32767");
	expect_error("pointer", json_pack("{s:i, s:i, s:s}", "x", 0, "y", 0, "buttons", "foot"),
		     "bad-argument", "left, right");
	expect_error("pointer", json_pack("{s:i, s:i, s:s}", "x", 0, "y", 0, "wheel", "1001"),
		     "bad-argument", "-1000");
	assert_int_equal(keyboard->input.count + mouse->input.count, 0);
}

static void test_inspect_names_both_channels(void **state)
{
	json_t *answer, *channels;
	const char *names[2];

	open_drivers();
	answer = ask("inspect", json_object());
	channels = json_object_get(json_object_get(answer, "result"), "channels");
	assert_int_equal(json_array_size(channels), 2);
	for (uint32_t i = 0; i < 2; i++)
		names[i] = json_string_value(json_object_get(json_array_get(channels, i), "class"));
	assert_string_equal(names[0], "keyboard");
	assert_string_equal(names[1], "mouse");
	json_decref(answer);
}

static void test_a_guest_without_drivers_is_told_of(void **state)
{
	expect_error("type", json_pack("{s:s}", "text", "a"), "failed", "hyperv_keyboard");
	expect_error("key", json_pack("{s:s}", "keys", "a"), "failed", "hyperv_keyboard");
	expect_error("pointer", json_pack("{s:i, s:i}", "x", 0, "y", 0), "failed", "hid_hyperv");
}

static bool is_down(uint16_t make_code)
{
	bool down = false;

	for (uint32_t i = 0; i < keyboard->input.count; i++)
		if (keyboard->input.keys[i].make_code == make_code)
			down = !(keyboard->input.keys[i].flags & VMB_KEYBOARD_BREAK);
	return down;
}

/* Its driver is there and reads nothing. Somebody else holds Ctrl and goes on doing so. */
static void test_a_guest_that_stands_still_ends_the_command_in_time(void **state)
{
	struct vmb_dev_input *input = vmb_vmm_devices_input(&devices);
	struct vmb_dev_input_view view;
	static char text[4001];

	memset(text, 'X', sizeof(text) - 1);
	open_drivers();
	keyboard->input.deaf = true;
	vmb_dev_input_key(input, CTRL, 0);
	expect_error("type", json_pack("{s:s}", "text", text), "time-out", "of 16000 events");
	vmb_dev_input_look(input, &view);
	assert_int_equal(view.keys_lost, 0);
	keyboard->input.deaf = false;
	keyboard->interrupted = true; /* as it was while it did not listen */
	expect_done("key", json_pack("{s:s}", "keys", "a")); /* all before it have arrived then */
	assert_true(is_down(CTRL));
	assert_false(is_down(SHIFT));
	assert_false(is_down(X));
}

static void test_a_machine_without_input_says_so(void **state)
{
	expect_error("type", json_pack("{s:s}", "text", "a"), "failed", "--input");
	expect_error("key", json_pack("{s:s}", "keys", "a"), "failed", "--input");
	expect_error("pointer", json_pack("{s:i, s:i}", "x", 0, "y", 0), "failed", "--input");
	expect_error("input", json_object(), "failed", "--input");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static int without;
	const struct CMUnitTest tests[] = {
		TEST(test_long_text_is_typed_as_fast_as_the_guest_takes_it),
		TEST(test_keys_and_places_arrive),
		TEST(test_what_cannot_be_typed_is_refused_before_anything_is),
		TEST(test_inspect_names_both_channels),
		TEST(test_a_guest_without_drivers_is_told_of),
		TEST(test_a_guest_that_stands_still_ends_the_command_in_time),
		cmocka_unit_test_prestate_setup_teardown(test_a_machine_without_input_says_so,
							 set_up, tear_down, &without),
	};
	int failed;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
