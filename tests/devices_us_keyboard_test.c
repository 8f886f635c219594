// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The US layout, against a table of its keys that is written the other way round: from codes of set
 * 1 to characters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/us_keyboard.h"

#define UP VMB_KEYBOARD_BREAK
#define E0 VMB_KEYBOARD_E0

static const char plain[0x40] = {
	[2] = '1',  [3] = '2',	[4] = '3',   [5] = '4',	 [6] = '5',   [7] = '6',   [8] = '7',
	[9] = '8',  [10] = '9', [11] = '0',  [12] = '-', [13] = '=',  [14] = '\b', [15] = '\t',
	[16] = 'q', [17] = 'w', [18] = 'e',  [19] = 'r', [20] = 't',  [21] = 'y',  [22] = 'u',
	[23] = 'i', [24] = 'o', [25] = 'p',  [26] = '[', [27] = ']',  [28] = '\n', [30] = 'a',
	[31] = 's', [32] = 'd', [33] = 'f',  [34] = 'g', [35] = 'h',  [36] = 'j',  [37] = 'k',
	[38] = 'l', [39] = ';', [40] = '\'', [41] = '`', [43] = '\\', [44] = 'z',  [45] = 'x',
	[46] = 'c', [47] = 'v', [48] = 'b',  [49] = 'n', [50] = 'm',  [51] = ',',  [52] = '.',
	[53] = '/', [57] = ' ',
};

static const char shifted[128] = {
	['1'] = '!', ['2'] = '@',  ['3'] = '#', ['4'] = '$',  ['5'] = '%', ['6'] = '^', ['7'] = '&',
	['8'] = '*', ['9'] = '(',  ['0'] = ')', ['-'] = '_',  ['='] = '+', ['['] = '{', [']'] = '}',
	[';'] = ':', ['\''] = '"', ['`'] = '~', ['\\'] = '|', [','] = '<', ['.'] = '>', ['/'] = '?',
};

static struct vmb_dev_key events[64];

static void expect_event(uint32_t i, uint16_t code, uint32_t flags)
{
	assert_int_equal(events[i].make_code, code);
	assert_int_equal(events[i].flags, flags);
}

static void expect_typed(char c, uint16_t code, bool shift)
{
	uint32_t at = shift;

	assert_int_equal(vmb_dev_us_keyboard_character(c, events), shift ? 4 : 2);
	if (shift) {
		expect_event(0, 0x2A, 0);
		expect_event(3, 0x2A, UP);
	}
	expect_event(at, code, 0);
	expect_event(at + 1, code, UP);
}

static void test_each_character_is_typed_by_its_key(void **state)
{
	uint32_t typed = 0;

	for (uint16_t code = 0; code < sizeof(plain); code++) {
		char c = plain[code], above = c >= 'a' && c <= 'z' ? c - 32 : shifted[(uint8_t)c];

		if (!c)
			continue;
		expect_typed(c, code, false);
		typed++;
		if (!above)
			continue;
		expect_typed(above, code, true);
		typed++;
	}
	assert_int_equal(typed, 95 + 3); /* what ASCII prints, and three that it does not */
}

static void test_other_characters_have_no_key(void **state)
{
	uint32_t without = 0;

	for (int c = -128; c < 128; c++)
		without += !vmb_dev_us_keyboard_character((char)c, events);
	assert_int_equal(without, 256 - 98);
}

static uint32_t press(const char *names)
{
	const char *bad;
	uint32_t len;

	return vmb_dev_us_keyboard_names(names, events, 16, &bad, &len);
}

static void test_keys_are_pressed_by_name_one_after_the_other(void **state)
{
	assert_int_equal(press("  up  a enter "), 6);
	expect_event(0, 0x48, E0);
	expect_event(1, 0x48, E0 | UP);
	expect_event(2, 0x1E, 0);
	expect_event(3, 0x1E, UP);
	expect_event(4, 0x1C, 0);
	expect_event(5, 0x1C, UP);
}

static void test_keys_with_a_plus_are_held_together(void **state)
{
	assert_int_equal(press("ctrl+alt+delete"), 6);
	expect_event(0, 0x1D, 0);
	expect_event(1, 0x38, 0);
	expect_event(2, 0x53, E0);
	expect_event(3, 0x53, E0 | UP);
	expect_event(4, 0x38, UP);
	expect_event(5, 0x1D, UP);
}

static void expect_bad(const char *names, uint32_t at, uint32_t len)
{
	uint32_t bad_len;
	const char *bad;

	assert_int_equal(vmb_dev_us_keyboard_names(names, events, 16, &bad, &bad_len), 0);
	assert_int_equal(bad - names, at);
	assert_int_equal(bad_len, len);
}

static void test_what_is_no_key_is_named(void **state)
{
	expect_bad("", 0, 0);
	expect_bad("   ", 3, 0);
	expect_bad("a bc d", 2, 2);
	expect_bad("ctrl+", 5, 0);
	expect_bad("ctrl++", 5, 0);
	expect_bad("A", 0, 1); /* that would be shift+a */
	expect_bad("\xE9", 0, 1);
	expect_bad("1+2+3+4+5+6+7+8+9", 16, 1); /* more than can be held */
	assert_int_equal(press("1+2+3+4+5+6+7+8"), 16);
	assert_int_equal(press("1+2+3+4+5+6+7+8 9"), 0); /* more than there is room for */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_character_is_typed_by_its_key),
		cmocka_unit_test(test_other_characters_have_no_key),
		cmocka_unit_test(test_keys_are_pressed_by_name_one_after_the_other),
		cmocka_unit_test(test_keys_with_a_plus_are_held_together),
		cmocka_unit_test(test_what_is_no_key_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
