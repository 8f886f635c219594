/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of the keyboard: one struct vmb_guest_keyboard for the channel.
 *
 *   vmb_guest_keyboard_init(g) at every opening of the channel
 *   while (vmb_guest_keyboard_output(g, &len))   send it in-band, with the completion flag; then
 *           vmb_guest_keyboard_output_done(g)
 *   for each in-band packet of the ring, which the port has copied:
 *     step = vmb_guest_keyboard_input(g, payload, len)
 *       VMB_GUEST_KEYBOARD_NOTHING  go on
 *       VMB_GUEST_KEYBOARD_READY    keys may come, lights may be set
 *       VMB_GUEST_KEYBOARD_REFUSED  the host does not know our version
 *       VMB_GUEST_KEYBOARD_KEY      g->make_code, g->flags
 *       VMB_EPROTO                  nonsense, or out of order: drop it
 *   vmb_guest_keyboard_leds(g, ...)
 *
 * Completions say nothing; the port passes over them.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "10 Keyboard", "16 Sequences", "18 Hardening".
 */
#ifndef GUEST_KEYBOARD_H
#define GUEST_KEYBOARD_H

#include "wire/keyboard.h"

enum vmb_guest_keyboard_state {
	VMB_GUEST_KEYBOARD_ASKING, /* our version was proposed */
	VMB_GUEST_KEYBOARD_OPEN,
	VMB_GUEST_KEYBOARD_SHUT, /* the host refused */
};

enum vmb_guest_keyboard_step {
	VMB_GUEST_KEYBOARD_NOTHING,
	VMB_GUEST_KEYBOARD_READY,
	VMB_GUEST_KEYBOARD_REFUSED,
	VMB_GUEST_KEYBOARD_KEY,
};

struct vmb_guest_keyboard {
	enum vmb_guest_keyboard_state state;
	/* of VMB_GUEST_KEYBOARD_KEY: 1 to VMB_KEYBOARD_MAKE_CODE_MAX; BREAK, E0, E1 */
	uint16_t make_code;
	uint32_t flags;
	bool sent; /* the proposal, so that it may be answered */
	bool leds_due;
	struct vmb_keyboard_leds leds; /* as last set */
	struct vmb_keyboard_request request;
};

/* The channel was opened now: the proposal is the next output. */
void vmb_guest_keyboard_init(struct vmb_guest_keyboard *g);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent, or _leds() changes it.
 */
const void *vmb_guest_keyboard_output(const struct vmb_guest_keyboard *g, uint32_t *len);
void vmb_guest_keyboard_output_done(struct vmb_guest_keyboard *g);

/* Takes the payload of an in-band packet, a private copy. Returns a step or VMB_EPROTO. */
int vmb_guest_keyboard_input(struct vmb_guest_keyboard *g, const void *payload, uint32_t len);

/*
 * The lights that the keyboard is to show: VMB_KEYBOARD_LED_*. If the last ones were not sent yet,
 * these take their place. Returns 0; VMB_EAGAIN: not open.
 */
int vmb_guest_keyboard_leds(struct vmb_guest_keyboard *g, uint16_t leds);

#endif
