// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keyboard, as an input device of its own: scan codes of set 1 become key codes here, without
 * serio and atkbd between. The table can be changed from user space, as that of any keyboard.
 */
#include <linux/input.h>
#include "ports/linux/input.h"

#define E0_AT	    0x80 /* in the table: keys with that prefix */
#define CODE_COUNT  0x100
#define PAUSE_FIRST 0x1D /* E1 1D, 45 */
#define PAUSE_LAST  0x45

struct keyboard {
	struct input_link link;
	struct vmb_guest_keyboard core;
	struct input_dev *input; /* NULL: no host has agreed on a version yet */
	u16 leds; /* that the system wants; any context */
	u16 told; /* that the host was told */
	bool pausing; /* the next code is the second half of Pause */
	u16 codes[CODE_COUNT];
};

static struct keyboard *keyboard_of(struct input_link *link)
{
	return container_of(link, struct keyboard, link);
}

/* The first 83 are the keys of the PC/XT, in whose order Linux numbered its own. */
static const struct {
	u8 code;
	u16 key;
} others[] = {
	{ 0x54, KEY_SYSRQ },
	{ 0x56, KEY_102ND },
	{ 0x57, KEY_F11 },
	{ 0x58, KEY_F12 },
	{ 0x59, KEY_KPEQUAL },
	{ 0x70, KEY_KATAKANAHIRAGANA },
	{ 0x73, KEY_RO },
	{ 0x79, KEY_HENKAN },
	{ 0x7B, KEY_MUHENKAN },
	{ 0x7D, KEY_YEN },
	{ 0x7E, KEY_KPCOMMA },
	{ E0_AT + 0x1C, KEY_KPENTER },
	{ E0_AT + 0x1D, KEY_RIGHTCTRL },
	{ E0_AT + 0x20, KEY_MUTE },
	{ E0_AT + 0x2E, KEY_VOLUMEDOWN },
	{ E0_AT + 0x30, KEY_VOLUMEUP },
	{ E0_AT + 0x35, KEY_KPSLASH },
	{ E0_AT + 0x37, KEY_SYSRQ },
	{ E0_AT + 0x38, KEY_RIGHTALT },
	{ E0_AT + 0x46, KEY_PAUSE },
	{ E0_AT + 0x47, KEY_HOME },
	{ E0_AT + 0x48, KEY_UP },
	{ E0_AT + 0x49, KEY_PAGEUP },
	{ E0_AT + 0x4B, KEY_LEFT },
	{ E0_AT + 0x4D, KEY_RIGHT },
	{ E0_AT + 0x4F, KEY_END },
	{ E0_AT + 0x50, KEY_DOWN },
	{ E0_AT + 0x51, KEY_PAGEDOWN },
	{ E0_AT + 0x52, KEY_INSERT },
	{ E0_AT + 0x53, KEY_DELETE },
	{ E0_AT + 0x5B, KEY_LEFTMETA },
	{ E0_AT + 0x5C, KEY_RIGHTMETA },
	{ E0_AT + 0x5D, KEY_COMPOSE },
	{ E0_AT + 0x5E, KEY_POWER },
	{ E0_AT + 0x5F, KEY_SLEEP },
	{ E0_AT + 0x63, KEY_WAKEUP },
};

static void fill_codes(struct keyboard *k)
{
	u16 code;

	for (code = 1; code <= KEY_KPDOT; code++)
		k->codes[code] = code;
	for (code = 0; code < ARRAY_SIZE(others); code++)
		k->codes[others[code].code] = others[code].key;
}

/* ---- the device of the system ---- */

/* Any context, with a lock of the input layer's. */
static int set_lights(struct input_dev *input, unsigned int type, unsigned int code, int value)
{
	struct keyboard *k = input_get_drvdata(input);
	u16 leds = 0;

	if (type != EV_LED)
		return -EINVAL;
	leds |= test_bit(LED_SCROLLL, input->led) ? VMB_KEYBOARD_LED_SCROLL : 0;
	leds |= test_bit(LED_NUML, input->led) ? VMB_KEYBOARD_LED_NUM : 0;
	leds |= test_bit(LED_CAPSL, input->led) ? VMB_KEYBOARD_LED_CAPS : 0;
	WRITE_ONCE(k->leds, leds);
	input_link_kick(&k->link);
	return 0;
}

static void describe(struct keyboard *k, struct input_dev *input)
{
	u32 i;

	input->name = "OpenVMBus keyboard";
	input->phys = dev_name(&k->link.device->dev);
	input->id.bustype = BUS_VIRTUAL;
	input->dev.parent = &k->link.device->dev;
	input->event = set_lights;
	input->keycode = k->codes;
	input->keycodesize = sizeof(k->codes[0]);
	input->keycodemax = CODE_COUNT;
	input_set_drvdata(input, k);
	__set_bit(EV_REP, input->evbit);
	for (i = 1; i < CODE_COUNT; i++)
		if (k->codes[i])
			input_set_capability(input, EV_KEY, k->codes[i]);
	input_set_capability(input, EV_KEY, KEY_PAUSE);
	input_set_capability(input, EV_MSC, MSC_SCAN);
	input_set_capability(input, EV_LED, LED_SCROLLL);
	input_set_capability(input, EV_LED, LED_NUML);
	input_set_capability(input, EV_LED, LED_CAPSL);
}

/* Once, when a host has agreed on a version; it stays over hibernation. */
static void announce(struct keyboard *k)
{
	struct input_dev *input = k->input ? NULL : input_allocate_device();
	int rc = -ENOMEM;

	if (k->input)
		return;
	if (input) {
		describe(k, input);
		rc = input_register_device(input);
	}
	if (!rc) {
		k->input = input;
		return;
	}
	pr_warn("no input device for the keyboard: %d\n", rc);
	input_free_device(input);
}

static void report(struct keyboard *k, u32 scan, u16 key, bool down)
{
	input_event(k->input, EV_MSC, MSC_SCAN, scan);
	if (key)
		input_report_key(k->input, key, down);
	input_sync(k->input);
}

static void type(struct keyboard *k)
{
	bool down = !(k->core.flags & VMB_KEYBOARD_BREAK), pausing = k->pausing;
	u32 scan = k->core.make_code;

	k->pausing = k->core.flags & VMB_KEYBOARD_E1 && scan == PAUSE_FIRST;
	if (!k->input || k->pausing)
		return;
	if (pausing && scan == PAUSE_LAST)
		report(k, scan, KEY_PAUSE, down);
	else if (k->core.flags & VMB_KEYBOARD_E1)
		return; /* there is no other such key */
	else if (k->core.flags & VMB_KEYBOARD_E0)
		report(k, E0_AT + scan, k->codes[E0_AT + scan], down);
	else
		report(k, scan, k->codes[scan], down);
}

/* ---- the channel ---- */

static void begin(struct input_link *link)
{
	struct keyboard *k = keyboard_of(link);

	vmb_guest_keyboard_init(&k->core);
	k->told = 0;
	k->pausing = false;
}

static const void *output(struct input_link *link, u32 *len)
{
	struct keyboard *k = keyboard_of(link);
	u16 leds = READ_ONCE(k->leds);

	if (leds != k->told && !vmb_guest_keyboard_leds(&k->core, leds))
		k->told = leds;
	return vmb_guest_keyboard_output(&k->core, len);
}

static void output_done(struct input_link *link)
{
	vmb_guest_keyboard_output_done(&keyboard_of(link)->core);
}

static int input(struct input_link *link, u32 len)
{
	struct keyboard *k = keyboard_of(link);
	int step = vmb_guest_keyboard_input(&k->core, link->packet, len);

	if (step == VMB_GUEST_KEYBOARD_READY)
		announce(k);
	else if (step == VMB_GUEST_KEYBOARD_REFUSED)
		pr_info("the host has another version of the keyboard\n");
	else if (step == VMB_GUEST_KEYBOARD_KEY)
		type(k);
	return step < 0 ? step : 0;
}

static void end(struct input_link *link)
{
	struct keyboard *k = keyboard_of(link);

	if (k->input)
		input_reset_device(k->input);
}

static const struct input_link_ops ops = {
	.begin = begin,
	.output = output,
	.output_done = output_done,
	.input = input,
	.end = end,
};

struct input_link *input_keyboard_new(struct vmb_device *device)
{
	struct keyboard *k = kzalloc(sizeof(*k), GFP_KERNEL);

	if (!k)
		return NULL;
	k->link.device = device;
	k->link.ops = &ops;
	fill_codes(k);
	return &k->link;
}

void input_keyboard_free(struct input_link *link)
{
	struct keyboard *k = keyboard_of(link);

	if (k->input)
		input_unregister_device(k->input);
	cancel_work_sync(&link->look); /* of a light that was set meanwhile */
	kfree(k);
}
