/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keyboard and the mouse of a machine, as one device: each has a channel of its own, and one
 * worker serves both.
 *
 *   vmb_dev_input_open(&device)
 *   input = vmb_dev_input_of(&device)
 *   vmb_dev_input_key(input, ...), vmb_dev_input_pointer(input, ...)
 *
 * Nothing here waits for a guest. What a guest does not take is lost and counted: there is no
 * driver, or the queue is full. A key or button of which the guest knows that it is down can always
 * go up: whoever pressed it lets go of it before it leaves. When the guest closes a channel, what
 * is queued for it is lost, and nothing is down.
 *
 * A guest that breaks the protocol loses that channel until it opens it again.
 *
 * Context: any thread for the functions below, from open to close of the device.
 *
 * Source: docs/protocol/integration.md, "10 Keyboard", "11 Mouse".
 */
#ifndef DEVICES_INPUT_H
#define DEVICES_INPUT_H

#include "devices/device.h"
#include "wire/keyboard.h"
#include "wire/mouse.h"

struct vmb_dev_input;

/* Makes the device. Returns 0, or -ENOMEM, reported. */
int vmb_dev_input_open(struct vmb_dev_device *device);
/* Returns device's input, or NULL: it is another kind of device. */
struct vmb_dev_input *vmb_dev_input_of(const struct vmb_dev_device *device);

/*
 * A key goes down or up. make_code: of scan code set 1, 1 to 0x7F; flags: VMB_KEYBOARD_BREAK (it
 * goes up), and VMB_KEYBOARD_E0 or VMB_KEYBOARD_E1, its prefix. Returns 0: it is queued; -ENOTCONN:
 * the guest has no driver now; -ENOBUFS: the guest is slow; -EINVAL: there is no such key. After an
 * error the event is lost.
 */
int vmb_dev_input_key(struct vmb_dev_input *input, uint16_t make_code, uint32_t flags);
/*
 * The pointer is at x, y, from the left and from the top, 0 to VMB_MOUSE_MAX of the screen; buttons
 * that are down: VMB_MOUSE_LEFT, _RIGHT, _MIDDLE, and two more; wheel: notches that it was turned
 * since, up is positive. Returns as _key() does. Places that are only passed are left out when the
 * guest is slow, and nothing has gone wrong then.
 */
int vmb_dev_input_pointer(struct vmb_dev_input *input, uint16_t x, uint16_t y, uint8_t buttons,
			  int16_t wheel);

struct vmb_dev_input_view {
	bool keyboard, mouse; /* the guest has a driver for it */
	uint16_t leds; /* that the guest wants: VMB_KEYBOARD_LED_* */
	uint64_t keys, keys_lost; /* events, since the machine's start */
	uint64_t pointers, pointers_lost;
	uint32_t queued; /* events of both that the guest was not sent yet */
};

void vmb_dev_input_look(struct vmb_dev_input *input, struct vmb_dev_input_view *view);

#endif
