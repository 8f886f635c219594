/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of the keyboard: one struct vmb_host_keyboard is the exchange over one channel.
 *
 *   vmb_host_keyboard_init(k)
 *   vmb_host_keyboard_reset(k) at every OPEN of the channel
 *   while (vmb_host_keyboard_output(k, &len))   send it in-band, transaction id 0, no completion;
 *           vmb_host_keyboard_output_done(k)    then
 *   for each packet of the ring, which the port has copied, and completed if the guest asked for
 *   that:
 *     step = vmb_host_keyboard_input(k, payload, len)
 *       VMB_HOST_KEYBOARD_NOTHING  go on
 *       VMB_HOST_KEYBOARD_READY    keys may be sent once the output has left
 *       VMB_HOST_KEYBOARD_REFUSED  the guest proposed a version that this host does not know; it
 *                                  may propose another one
 *       VMB_HOST_KEYBOARD_LEDS     k->leds is new
 *       VMB_EPROTO                 the guest broke the protocol: stop serving this channel
 *   vmb_host_keyboard_key(k, ...)               when nothing waits to be sent
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "10 Keyboard", "16 Sequences", "18 Hardening".
 */
#ifndef HOST_KEYBOARD_H
#define HOST_KEYBOARD_H

#include "wire/keyboard.h"

enum vmb_host_keyboard_state {
	VMB_HOST_KEYBOARD_IDLE, /* not open, or broken */
	VMB_HOST_KEYBOARD_VERSIONS, /* the guest proposes */
	VMB_HOST_KEYBOARD_OPEN,
};

enum vmb_host_keyboard_step {
	VMB_HOST_KEYBOARD_NOTHING,
	VMB_HOST_KEYBOARD_READY,
	VMB_HOST_KEYBOARD_REFUSED,
	VMB_HOST_KEYBOARD_LEDS,
};

struct vmb_host_keyboard {
	enum vmb_host_keyboard_state state;
	uint16_t leds; /* that the guest wants, as it said last */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint8_t packet[sizeof(struct vmb_keyboard_event)];
};

void vmb_host_keyboard_init(struct vmb_host_keyboard *k);

/* The channel was opened: the guest speaks next. */
void vmb_host_keyboard_reset(struct vmb_host_keyboard *k);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_host_keyboard_output(const struct vmb_host_keyboard *k, uint32_t *len);
void vmb_host_keyboard_output_done(struct vmb_host_keyboard *k);

/*
 * Takes the payload of an in-band packet, a private copy. Returns a step, or VMB_EPROTO; then
 * nothing is sent any more until _reset().
 */
int vmb_host_keyboard_input(struct vmb_host_keyboard *k, const void *payload, uint32_t len);

/*
 * Makes an event the next output. make_code: of set 1, without the bit for up; flags:
 * VMB_KEYBOARD_BREAK, _E0, _E1. Returns 0; VMB_EAGAIN: not open, or something waits to be sent;
 * VMB_EINVAL: another code or flag.
 */
int vmb_host_keyboard_key(struct vmb_host_keyboard *k, uint16_t make_code, uint32_t flags);

#endif
