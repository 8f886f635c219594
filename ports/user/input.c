// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A guest's keyboard and mouse for tests: the cores, and a record of what came. */
#include "ports/user/input.h"

bool vmb_user_input_init(struct vmb_user_input *i, const struct vmb_guid *type_id)
{
	static const struct vmb_guid keyboard = VMB_GUID_KEYBOARD, mouse = VMB_GUID_MOUSE;

	i->is_mouse = vmb_guid_equal(type_id, &mouse);
	i->used = i->is_mouse || vmb_guid_equal(type_id, &keyboard);
	if (!i->used)
		return false;
	vmb_guest_keyboard_init(&i->keyboard);
	vmb_guest_mouse_init(&i->mouse);
	i->ready = i->refused = false;
	i->count = i->completions = i->strangers = 0;
	return true;
}

static void take_key(struct vmb_user_input *i, const uint8_t *packet, uint32_t len)
{
	int step = vmb_guest_keyboard_input(&i->keyboard, packet, len);

	i->ready |= step == VMB_GUEST_KEYBOARD_READY;
	i->refused |= step == VMB_GUEST_KEYBOARD_REFUSED;
	i->strangers += step == VMB_EPROTO;
	if (step != VMB_GUEST_KEYBOARD_KEY)
		return;
	if (i->count < VMB_USER_INPUT_MAX) {
		i->keys[i->count].make_code = i->keyboard.make_code;
		i->keys[i->count].flags = i->keyboard.flags;
	}
	i->count++;
}

static void take_report(struct vmb_user_input *i, const uint8_t *packet, uint32_t len)
{
	struct vmb_guest_mouse_report report;
	int step = vmb_guest_mouse_input(&i->mouse, packet, len, &report);

	i->ready |= step == VMB_GUEST_MOUSE_READY;
	i->refused |= step == VMB_GUEST_MOUSE_REFUSED;
	i->strangers += step == VMB_EPROTO;
	if (step != VMB_GUEST_MOUSE_REPORT)
		return;
	if (i->count < VMB_USER_INPUT_MAX && report.len == sizeof(i->reports[0]))
		memcpy(&i->reports[i->count], report.bytes, report.len);
	i->count++;
}

void vmb_user_input_take(struct vmb_user_input *i, const uint8_t *packet, uint32_t len)
{
	if (i->is_mouse)
		take_report(i, packet, len);
	else
		take_key(i, packet, len);
}

const void *vmb_user_input_output(struct vmb_user_input *i, uint32_t *len)
{
	const void *message = i->is_mouse ? vmb_guest_mouse_output(&i->mouse, len) :
					    vmb_guest_keyboard_output(&i->keyboard, len);

	if (!message || !i->spoil)
		return message;
	memcpy(i->message, message, *len);
	*len = i->spoil(i->message, *len);
	return i->message;
}

void vmb_user_input_sent(struct vmb_user_input *i)
{
	if (i->is_mouse)
		vmb_guest_mouse_output_done(&i->mouse);
	else
		vmb_guest_keyboard_output_done(&i->keyboard);
}
