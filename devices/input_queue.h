/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What somebody typed and where somebody points, until the guest takes it: two bounded queues,
 * which lose events of a guest that is slow, but never so that a key or a button stays down.
 *
 * Context: one caller at a time.
 */
#ifndef DEVICES_INPUT_QUEUE_H
#define DEVICES_INPUT_QUEUE_H

#include "wire/keyboard.h"
#include "wire/mouse.h"

#define VMB_DEV_KEYS_MAX     256u
#define VMB_DEV_POINTERS_MAX 64u

struct vmb_dev_key {
	uint16_t make_code;
	uint32_t flags; /* VMB_KEYBOARD_BREAK, _E0, _E1 */
};

/* All zero: empty. */
struct vmb_dev_keys {
	struct vmb_dev_key all[VMB_DEV_KEYS_MAX]; /* a ring */
	uint32_t first, count;
	/* Keys that are down, one bit each; each has a place kept for its going up. */
	uint32_t held[4 * (VMB_KEYBOARD_MAKE_CODE_MAX + 1) / 32];
	uint32_t held_count;
};

/*
 * Appends a key: make_code 1 to VMB_KEYBOARD_MAKE_CODE_MAX, flags VMB_KEYBOARD_BREAK, _E0, _E1.
 * Returns false: there is no room.
 */
bool vmb_dev_keys_put(struct vmb_dev_keys *q, uint16_t make_code, uint32_t flags);
/* Returns the oldest one, which stays until _next(); NULL: empty. */
const struct vmb_dev_key *vmb_dev_keys_first(const struct vmb_dev_keys *q);
void vmb_dev_keys_next(struct vmb_dev_keys *q);

struct vmb_dev_pointer {
	struct vmb_mouse_report report;
	bool moved; /* no button changed */
};

/* All zero: empty. */
struct vmb_dev_pointers {
	struct vmb_dev_pointer all[VMB_DEV_POINTERS_MAX]; /* a ring */
	uint32_t first, count;
	struct vmb_mouse_report last; /* that was appended, or merged */
};

/*
 * Appends, or changes the newest one where that loses nothing but a place passed on the way.
 * Returns false: there is no room.
 */
bool vmb_dev_pointers_put(struct vmb_dev_pointers *q, const struct vmb_mouse_report *report);
const struct vmb_mouse_report *vmb_dev_pointers_first(const struct vmb_dev_pointers *q);
void vmb_dev_pointers_next(struct vmb_dev_pointers *q);

#endif
