// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Queues of keys and pointers. They keep places for what must not be lost: a key that went down
 * takes a second place, for its going up, and the last places of the pointers are for buttons.
 */
#include "devices/input_queue.h"

#define CODES	    (VMB_KEYBOARD_MAKE_CODE_MAX + 1)
#define WORD_BITS   32u
#define BUTTONS_MAX 5u

/* The prefixes are neighbours among the flags, so a key is one number. */
static uint32_t bit_of(uint16_t make_code, uint32_t flags)
{
	return flags / VMB_KEYBOARD_E0 * CODES + make_code;
}

static bool is_held(const struct vmb_dev_keys *q, uint32_t bit)
{
	return q->held[bit / WORD_BITS] & 1u << bit % WORD_BITS;
}

static void hold(struct vmb_dev_keys *q, uint32_t bit, bool down)
{
	if (is_held(q, bit) == down)
		return;
	q->held[bit / WORD_BITS] ^= 1u << bit % WORD_BITS;
	q->held_count += down ? 1u : -1u;
}

bool vmb_dev_keys_put(struct vmb_dev_keys *q, uint16_t make_code, uint32_t flags)
{
	uint32_t bit = bit_of(make_code, flags), used = q->count + q->held_count;
	bool down = !(flags & VMB_KEYBOARD_BREAK);

	if (is_held(q, bit)) /* one that goes up has its place */
		used += down;
	else
		used += down ? 2 : 1;
	if (used > VMB_DEV_KEYS_MAX)
		return false;
	hold(q, bit, down);
	q->all[(q->first + q->count++) % VMB_DEV_KEYS_MAX] =
		(struct vmb_dev_key){ make_code, flags };
	return true;
}

const struct vmb_dev_key *vmb_dev_keys_first(const struct vmb_dev_keys *q)
{
	return q->count ? &q->all[q->first] : NULL;
}

void vmb_dev_keys_next(struct vmb_dev_keys *q)
{
	q->first = (q->first + 1) % VMB_DEV_KEYS_MAX;
	q->count--;
}

static bool same_place(const struct vmb_mouse_report *a, const struct vmb_mouse_report *b)
{
	return a->x == b->x && a->y == b->y;
}

/* Where a button changed and where a wheel was turned is not passed over. */
static bool merge(struct vmb_dev_pointers *q, const struct vmb_mouse_report *report)
{
	struct vmb_dev_pointer *newest = &q->all[(q->first + q->count - 1) % VMB_DEV_POINTERS_MAX];
	int32_t wheel = newest->report.wheel + report->wheel;

	if (!q->count || !newest->moved || newest->report.buttons != report->buttons ||
	    wheel > INT16_MAX || wheel < -INT16_MAX)
		return false;
	if (newest->report.wheel && !same_place(&newest->report, report))
		return false;
	newest->report = *report;
	newest->report.wheel = (int16_t)wheel;
	return true;
}

static bool has_room(const struct vmb_dev_pointers *q, const struct vmb_mouse_report *report)
{
	bool up = q->last.buttons != report->buttons && !(report->buttons & ~q->last.buttons);

	return q->count < VMB_DEV_POINTERS_MAX - (up ? 0 : BUTTONS_MAX);
}

bool vmb_dev_pointers_put(struct vmb_dev_pointers *q, const struct vmb_mouse_report *report)
{
	struct vmb_dev_pointer pointer = { *report, report->buttons == q->last.buttons };

	if (!merge(q, report)) {
		if (!has_room(q, report))
			return false;
		q->all[(q->first + q->count++) % VMB_DEV_POINTERS_MAX] = pointer;
	}
	q->last = *report;
	return true;
}

const struct vmb_mouse_report *vmb_dev_pointers_first(const struct vmb_dev_pointers *q)
{
	return q->count ? &q->all[q->first].report : NULL;
}

void vmb_dev_pointers_next(struct vmb_dev_pointers *q)
{
	q->first = (q->first + 1) % VMB_DEV_POINTERS_MAX;
	q->count--;
}
