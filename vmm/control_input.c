// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The commands of control that type, press keys and point. Typing is paced by the guest: no more is
 * queued than it takes, so that nothing is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/input.h"
#include "devices/us_keyboard.h"
#include "vmm/control.h"
#include "vmm/devices.h"

#define TEXT	   VMB_VMM_CONTROL_TEXT
#define NUMBER	   VMB_VMM_CONTROL_NUMBER
#define FLAG	   VMB_VMM_CONTROL_FLAG

#define LIMIT_MS   10000 /* without any progress */
#define QUEUED_MAX 8u /* events that wait for the guest; its programs have little room for more */
#define KEY_MAX	   256u /* events of `key` */
#define TEXT_MAX   16384u /* characters of `type` */
#define WHEEL_MAX  1000

/* Events that a command sends one after the other. */
struct typing {
	uint32_t count, sent;
	int64_t moved; /* when some were sent last, milliseconds */
	struct vmb_dev_key events[];
};

static struct vmb_dev_input *input_of(struct vmb_vmm_call *call)
{
	return vmb_vmm_devices_input(vmb_vmm_control_config(call)->devices);
}

static enum vmb_vmm_call_step refuse(struct vmb_vmm_call *call)
{
	return vmb_vmm_call_fail(call, "failed",
				 "this machine has no keyboard and no mouse: see --input");
}

static enum vmb_vmm_call_step refuse_driver(struct vmb_vmm_call *call, const char *what,
					    const char *driver)
{
	return vmb_vmm_call_fail(
		call, "failed", "the guest has no driver for the %s now (Linux: %s)", what, driver);
}

/* Typing */

static enum vmb_vmm_call_step finish(struct vmb_vmm_call *call, enum vmb_vmm_call_step step)
{
	free(call->state);
	call->state = NULL;
	return step;
}

static uint32_t queued(struct vmb_vmm_call *call)
{
	struct vmb_dev_input_view view;

	vmb_dev_input_look(input_of(call), &view);
	return view.queued;
}

/* Returns the device's error, if it has one. */
static int send_some(struct vmb_vmm_call *call, struct typing *t)
{
	uint32_t room = QUEUED_MAX, before = queued(call);
	int error = 0;

	room -= before < room ? before : room;
	for (; t->sent < t->count && room-- && !error; t->sent += !error)
		error = vmb_dev_input_key(input_of(call), t->events[t->sent].make_code,
					  t->events[t->sent].flags);
	return error;
}

/* What was pressed goes up; keys that a VNC client holds are not ours. */
static void let_go(struct vmb_vmm_call *call, const struct typing *t)
{
	bool held[1 + (VMB_KEYBOARD_E0 | VMB_KEYBOARD_E1)][VMB_KEYBOARD_MAKE_CODE_MAX + 1] = { 0 };

	for (uint32_t i = 0; i < t->sent; i++)
		held[t->events[i].flags & ~VMB_KEYBOARD_BREAK][t->events[i].make_code] =
			!(t->events[i].flags & VMB_KEYBOARD_BREAK);
	for (uint32_t prefix = 0; prefix < VMB_ARRAY_COUNT(held); prefix++)
		for (uint16_t code = 1; code <= VMB_KEYBOARD_MAKE_CODE_MAX; code++)
			if (held[prefix][code])
				vmb_dev_input_key(input_of(call), code,
						  prefix | VMB_KEYBOARD_BREAK);
}

/* A client that goes in the middle leaves no key down. */
static enum vmb_vmm_call_step give_up(struct vmb_vmm_call *call)
{
	let_go(call, call->state);
	return finish(call, VMB_VMM_CALL_FAILED);
}

static enum vmb_vmm_call_step go_on(struct vmb_vmm_call *call)
{
	struct typing *t = call->state;
	uint32_t before = t->sent;
	int error;

	if (call->over)
		return give_up(call);
	error = send_some(call, t);
	if (error == -ENOTCONN)
		return finish(call, refuse_driver(call, "keyboard", "hyperv_keyboard"));
	if (t->sent > before)
		t->moved = vmb_vmm_control_now();
	if (t->sent == t->count && !queued(call))
		return finish(call, VMB_VMM_CALL_DONE);
	if (vmb_vmm_control_now() - t->moved < LIMIT_MS)
		return VMB_VMM_CALL_LATER;
	vmb_vmm_call_fail(call, "time-out",
			  "the guest has taken no key for 10 s; %u of %u events were sent", t->sent,
			  t->count);
	return give_up(call);
}

static struct typing *new_typing(struct vmb_vmm_call *call, uint32_t max)
{
	struct typing *t = malloc(sizeof(*t) + max * sizeof(t->events[0]));

	if (t)
		*t = (struct typing){ .moved = vmb_vmm_control_now() };
	else
		vmb_vmm_call_fail(call, "failed", "%s", strerror(ENOMEM));
	call->state = t;
	call->go_on = go_on;
	return t;
}

static enum vmb_vmm_call_step run_type(struct vmb_vmm_call *call)
{
	const char *text = vmb_vmm_call_text(call, "text");
	size_t len = strlen(text);
	struct typing *t;
	uint32_t events;

	if (!input_of(call))
		return refuse(call);
	if (!len || len > TEXT_MAX)
		return vmb_vmm_call_fail(call, "bad-argument", "text: give 1 to %u characters",
					 TEXT_MAX);
	t = new_typing(call, (uint32_t)len * VMB_DEV_US_KEYBOARD_EVENTS);
	if (!t)
		return VMB_VMM_CALL_FAILED;
	for (size_t i = 0; i < len; i++, t->count += events) {
		events = vmb_dev_us_keyboard_character(text[i], t->events + t->count);
		if (events)
			continue;
		return finish(call, vmb_vmm_call_fail(call, "bad-argument",
						      "text: a US keyboard cannot type byte %zu of "
						      "it; nothing was typed",
						      i + 1));
	}
	return go_on(call);
}

static enum vmb_vmm_call_step run_key(struct vmb_vmm_call *call)
{
	const char *names = vmb_vmm_call_text(call, "keys"), *bad;
	struct typing *t;
	uint32_t len;

	if (!input_of(call))
		return refuse(call);
	t = new_typing(call, KEY_MAX);
	if (!t)
		return VMB_VMM_CALL_FAILED;
	t->count = vmb_dev_us_keyboard_names(names, t->events, KEY_MAX, &bad, &len);
	if (t->count)
		return go_on(call);
	return finish(call, vmb_vmm_call_fail(call, "bad-argument",
					      "keys: '%.*s' is no key, or one too many; see "
					      "docs/input.md",
					      len < 32 ? (int)len : 32, bad));
}

/* Pointing */

/* "left+right". False: there is no such button. */
static bool parse_buttons(const char *text, uint8_t *buttons)
{
	static const char *const names[] = { "left", "right", "middle", "side", "extra" };
	size_t len, i;

	*buttons = 0;
	if (!text || strcmp(text, "none") == 0)
		return true;
	for (;; text += len + 1) {
		len = strcspn(text, "+");
		for (i = 0; i < VMB_ARRAY_COUNT(names); i++)
			if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
				break;
		if (i == VMB_ARRAY_COUNT(names))
			return false;
		*buttons |= (uint8_t)(1u << i);
		if (!text[len])
			return true;
	}
}

static bool parse_wheel(const char *text, int16_t *wheel)
{
	char *end = NULL;
	long value = text ? strtol(text, &end, 10) : 0;

	*wheel = (int16_t)value;
	return !text || (end != text && !*end && value >= -WHEEL_MAX && value <= WHEEL_MAX);
}

static enum vmb_vmm_call_step point(struct vmb_vmm_call *call, uint64_t x, uint64_t y,
				    uint8_t buttons, int16_t wheel)
{
	int error = vmb_dev_input_pointer(input_of(call), (uint16_t)x, (uint16_t)y, buttons, wheel);

	if (error == -ENOTCONN)
		return refuse_driver(call, "mouse", "hid_hyperv");
	if (error)
		return vmb_vmm_call_fail(call, "failed", "the guest is too slow; try again");
	return VMB_VMM_CALL_DONE;
}

static enum vmb_vmm_call_step run_pointer(struct vmb_vmm_call *call)
{
	uint64_t x = vmb_vmm_call_number(call, "x", 0), y = vmb_vmm_call_number(call, "y", 0);
	uint8_t buttons;
	int16_t wheel;

	if (!input_of(call))
		return refuse(call);
	if (x > VMB_MOUSE_MAX || y > VMB_MOUSE_MAX)
		return vmb_vmm_call_fail(call, "bad-argument",
					 "x, y: give 0 to 32767, from the left and the top");
	if (!parse_buttons(vmb_vmm_call_text(call, "buttons"), &buttons))
		return vmb_vmm_call_fail(call, "bad-argument",
					 "buttons: give some of left, right, middle, side, extra, "
					 "with + between them, or none");
	if (!parse_wheel(vmb_vmm_call_text(call, "wheel"), &wheel))
		return vmb_vmm_call_fail(call, "bad-argument", "wheel: give -1000 to 1000");
	return point(call, x, y, buttons, wheel);
}

static enum vmb_vmm_call_step run_input(struct vmb_vmm_call *call)
{
	struct vmb_dev_input_view view;

	if (!input_of(call))
		return refuse(call);
	vmb_dev_input_look(input_of(call), &view);
	vmb_vmm_call_set_flag(call, "keyboard", view.keyboard);
	vmb_vmm_call_set_flag(call, "mouse", view.mouse);
	vmb_vmm_call_set_flag(call, "scroll-lock", view.leds & VMB_KEYBOARD_LED_SCROLL);
	vmb_vmm_call_set_flag(call, "num-lock", view.leds & VMB_KEYBOARD_LED_NUM);
	vmb_vmm_call_set_flag(call, "caps-lock", view.leds & VMB_KEYBOARD_LED_CAPS);
	vmb_vmm_call_set_number(call, "keys", view.keys);
	vmb_vmm_call_set_number(call, "keys-lost", view.keys_lost);
	vmb_vmm_call_set_number(call, "pointers", view.pointers);
	vmb_vmm_call_set_number(call, "pointers-lost", view.pointers_lost);
	return VMB_VMM_CALL_DONE;
}

static const struct vmb_vmm_control_field none[] = { { NULL, TEXT, false, NULL } };
static const struct vmb_vmm_control_field type_arguments[] = {
	{ "text", TEXT, false,
	  "what to type on a US keyboard: ASCII; a line feed is Enter; at most 16384 characters" },
	{ NULL, TEXT, false, NULL },
};
static const struct vmb_vmm_control_field key_arguments[] = {
	{ "keys", TEXT, false,
	  "keys by their names, `up up enter`; with `+` those that are held together: "
	  "`ctrl+alt+delete`" },
	{ NULL, TEXT, false, NULL },
};
static const struct vmb_vmm_control_field pointer_arguments[] = {
	{ "x", NUMBER, false, "0 to 32767, from the left of the screen" },
	{ "y", NUMBER, false, "0 to 32767, from its top" },
	{ "buttons", TEXT, true,
	  "that are down: `left`, `right`, `middle`, `side`, `extra`, with `+` between them; else "
	  "none" },
	{ "wheel", TEXT, true, "notches that it is turned, -1000 to 1000; up is positive" },
	{ NULL, TEXT, false, NULL },
};
static const struct vmb_vmm_control_field input_results[] = {
	{ "keyboard", FLAG, false, "the guest has a driver for it" },
	{ "mouse", FLAG, false, "the same" },
	{ "scroll-lock", FLAG, false, "the guest wants the light" },
	{ "num-lock", FLAG, false, "the same" },
	{ "caps-lock", FLAG, false, "the same" },
	{ "keys", NUMBER, false, "events that were taken for the guest since its start" },
	{ "keys-lost", NUMBER, false, "events that it could not be given" },
	{ "pointers", NUMBER, false, "the same of the mouse" },
	{ "pointers-lost", NUMBER, false, "the same" },
	{ NULL, TEXT, false, NULL },
};

const struct vmb_vmm_command vmb_vmm_control_input[] = {
	{ "type",
	  "Types text. The answer comes when the guest has been sent all of it; it fails when the "
	  "guest takes no key for 10 s.",
	  true, run_type, type_arguments, none },
	{ "key", "Presses keys and lets them go. The answer comes as for `type`.", true, run_key,
	  key_arguments, none },
	{ "pointer", "Moves the pointer; buttons stay down until the next one.", true, run_pointer,
	  pointer_arguments, none },
	{ "input", "Says what the guest makes of keyboard and mouse.", true, run_input, none,
	  input_results },
	{ NULL, NULL, false, NULL, NULL, NULL },
};
