/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keyboard or mouse of the guest in ports/user/guest.h: what its channel has instead of storage.
 * What is typed and pointed is kept, oldest first.
 *
 *   d = vmb_user_guest_keyboard(g); vmb_user_guest_open(g, d)
 *   d->input.deaf, .spoil say how it behaves; .keys, .reports what came
 */
#ifndef PORTS_USER_INPUT_H
#define PORTS_USER_INPUT_H

#include "guest/keyboard.h"
#include "guest/mouse.h"

#define VMB_USER_INPUT_MAX 1024u

struct vmb_user_input {
	bool used; /* the channel is a keyboard's or a mouse's */
	bool is_mouse;
	struct vmb_guest_keyboard keyboard;
	struct vmb_guest_mouse mouse;
	/* the test's */
	bool deaf; /* the test's: does not read; afterwards set device->interrupted */
	/* Changes a message before it is sent. Returns its length. May be NULL. */
	uint32_t (*spoil)(uint8_t *message, uint32_t len);
	/* what came */
	bool ready, refused;
	struct {
		uint16_t make_code;
		uint32_t flags;
	} keys[VMB_USER_INPUT_MAX];
	struct vmb_mouse_report reports[VMB_USER_INPUT_MAX];
	uint32_t count; /* of keys or reports; those above the maximum are not kept */
	uint32_t completions, strangers; /* messages that the core refused */
	uint64_t transaction_id; /* of the last message */
	uint8_t message[64]; /* that waits to be sent */
};

/* Prepares i if type_id is one of theirs. Returns whether it is. */
bool vmb_user_input_init(struct vmb_user_input *i, const struct vmb_guid *type_id);

/* Takes a packet's payload. */
void vmb_user_input_take(struct vmb_user_input *i, const uint8_t *packet, uint32_t len);

/* Returns the next message, *len bytes; NULL: none now. It is the same one until _sent(). */
const void *vmb_user_input_output(struct vmb_user_input *i, uint32_t *len);
void vmb_user_input_sent(struct vmb_user_input *i);

#endif
