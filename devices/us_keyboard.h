/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text and names of keys as what a keyboard with the US layout sends for them, in scan code set 1.
 * A guest with another layout reads other characters.
 *
 * Context: any; nothing is kept.
 */
#ifndef DEVICES_US_KEYBOARD_H
#define DEVICES_US_KEYBOARD_H

#include "devices/input_queue.h"

/* Events of a character at most: shift down, down, up, shift up. */
#define VMB_DEV_US_KEYBOARD_EVENTS 4u

/*
 * Writes the events that type the character c, which is ASCII: what is printed, line feed (Enter),
 * tab and backspace. Returns how many; 0: there is no such key.
 */
uint32_t vmb_dev_us_keyboard_character(char c, struct vmb_dev_key *events);

/*
 * Writes the events that press the keys of names and let them go: "up up enter", with "+" between
 * keys that are held together: "ctrl+alt+delete". A name is a key's, or the character that it types
 * without shift. At most max events. Returns how many; 0: *bad is the name that is none, *bad_len
 * bytes of names, or where there are too many.
 */
uint32_t vmb_dev_us_keyboard_names(const char *names, struct vmb_dev_key *events, uint32_t max,
				   const char **bad, uint32_t *bad_len);

#endif
