// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The US layout: which key types a character, and what the keys are called. */
#include <ctype.h>
#include <string.h>

#include "devices/us_keyboard.h"

#define E0	   VMB_KEYBOARD_E0
#define SHIFT_CODE 0x2A
#define CHORD_MAX  8u /* keys that are held together */

/* Of the keys in the order of their codes, from first on: without shift, and with it. */
static const struct {
	uint16_t first;
	const char *plain, *shifted;
} rows[] = {
	{ 0x02, "1234567890-=\b\tqwertyuiop[]\n", "!@#$%^&*()_+\b\tQWERTYUIOP{}\n" },
	{ 0x1E, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
	{ 0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
	{ 0x39, " ", " " },
};

static const struct {
	const char *name;
	uint16_t code;
	uint32_t flags;
} keys[] = {
	{ "esc", 0x01, 0 },	   { "backspace", 0x0E, 0 },	{ "tab", 0x0F, 0 },
	{ "enter", 0x1C, 0 },	   { "ctrl", 0x1D, 0 },		{ "shift", SHIFT_CODE, 0 },
	{ "rightshift", 0x36, 0 }, { "alt", 0x38, 0 },		{ "space", 0x39, 0 },
	{ "capslock", 0x3A, 0 },   { "f1", 0x3B, 0 },		{ "f2", 0x3C, 0 },
	{ "f3", 0x3D, 0 },	   { "f4", 0x3E, 0 },		{ "f5", 0x3F, 0 },
	{ "f6", 0x40, 0 },	   { "f7", 0x41, 0 },		{ "f8", 0x42, 0 },
	{ "f9", 0x43, 0 },	   { "f10", 0x44, 0 },		{ "numlock", 0x45, 0 },
	{ "scrolllock", 0x46, 0 }, { "f11", 0x57, 0 },		{ "f12", 0x58, 0 },
	{ "rightctrl", 0x1D, E0 }, { "print", 0x37, E0 },	{ "altgr", 0x38, E0 },
	{ "home", 0x47, E0 },	   { "up", 0x48, E0 },		{ "pageup", 0x49, E0 },
	{ "left", 0x4B, E0 },	   { "right", 0x4D, E0 },	{ "end", 0x4F, E0 },
	{ "down", 0x50, E0 },	   { "pagedown", 0x51, E0 },	{ "insert", 0x52, E0 },
	{ "delete", 0x53, E0 },	   { "meta", 0x5B, E0 },	{ "rightmeta", 0x5C, E0 },
	{ "menu", 0x5D, E0 },	   { "keypad*", 0x37, 0 },	{ "keypad-", 0x4A, 0 },
	{ "keypadplus", 0x4E, 0 }, { "keypadenter", 0x1C, E0 }, { "keypad/", 0x35, E0 },
};

/* False: no key types c. */
static bool find_character(char c, uint16_t *code, bool *shift)
{
	for (size_t i = 0; c && i < VMB_ARRAY_COUNT(rows); i++) {
		const char *at = strchr(rows[i].plain, c);

		*shift = !at;
		if (!at)
			at = strchr(rows[i].shifted, c);
		if (!at)
			continue;
		*code = (uint16_t)(rows[i].first +
				   (at - (*shift ? rows[i].shifted : rows[i].plain)));
		return true;
	}
	return false;
}

uint32_t vmb_dev_us_keyboard_character(char c, struct vmb_dev_key *events)
{
	uint32_t count = 0;
	uint16_t code;
	bool shift;

	if (!find_character(c, &code, &shift))
		return 0;
	if (shift)
		events[count++] = (struct vmb_dev_key){ SHIFT_CODE, 0 };
	events[count++] = (struct vmb_dev_key){ code, 0 };
	events[count++] = (struct vmb_dev_key){ code, VMB_KEYBOARD_BREAK };
	if (shift)
		events[count++] = (struct vmb_dev_key){ SHIFT_CODE, VMB_KEYBOARD_BREAK };
	return count;
}

static bool find_key(const char *name, uint32_t len, struct vmb_dev_key *key)
{
	bool shift = true;

	if (len == 1 && !isspace((unsigned char)*name) &&
	    find_character(*name, &key->make_code, &shift) && !shift) {
		key->flags = 0;
		return true;
	}
	for (size_t i = 0; i < VMB_ARRAY_COUNT(keys); i++) {
		if (strlen(keys[i].name) != len || strncmp(keys[i].name, name, len) != 0)
			continue;
		*key = (struct vmb_dev_key){ keys[i].code, keys[i].flags };
		return true;
	}
	return false;
}

/* Takes keys that are held together. Returns how many; 0: *at is what is wrong, *len long. */
static uint32_t take_chord(const char **at, uint32_t *len, struct vmb_dev_key *chord)
{
	uint32_t count = 0;

	for (;; *at += *len + 1) {
		*len = (uint32_t)strcspn(*at, "+ ");
		if (count == CHORD_MAX || !find_key(*at, *len, &chord[count]))
			return 0;
		count++;
		if ((*at)[*len] == '+')
			continue;
		*at += *len;
		return count;
	}
}

uint32_t vmb_dev_us_keyboard_names(const char *names, struct vmb_dev_key *events, uint32_t max,
				   const char **bad, uint32_t *bad_len)
{
	struct vmb_dev_key chord[CHORD_MAX];
	uint32_t count = 0, held;

	*bad = names + strspn(names, " ");
	do {
		held = take_chord(bad, bad_len, chord);
		if (!held || max - count < 2 * held)
			return 0;
		for (uint32_t i = 0; i < held; i++)
			events[count++] = chord[i];
		for (uint32_t i = held; i-- > 0;) {
			events[count] = chord[i];
			events[count++].flags |= VMB_KEYBOARD_BREAK;
		}
		*bad += strspn(*bad, " ");
	} while (**bad);
	return count;
}
