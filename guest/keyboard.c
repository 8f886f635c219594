// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Proposes the one version of the keyboard, judges what the host types, tells it of lights. */
#include "guest/keyboard.h"

void vmb_guest_keyboard_init(struct vmb_guest_keyboard *g)
{
	memset(g, 0, sizeof(*g));
	g->request.type = VMB_KEYBOARD_REQUEST;
	g->request.version = VMB_KEYBOARD_VERSION;
	g->leds.type = VMB_KEYBOARD_LEDS;
}

const void *vmb_guest_keyboard_output(const struct vmb_guest_keyboard *g, uint32_t *len)
{
	if (!g->sent) {
		*len = sizeof(g->request);
		return &g->request;
	}
	*len = sizeof(g->leds);
	return g->leds_due ? &g->leds : NULL;
}

void vmb_guest_keyboard_output_done(struct vmb_guest_keyboard *g)
{
	if (g->sent)
		g->leds_due = false;
	g->sent = true;
}

static int take_response(struct vmb_guest_keyboard *g, const void *payload, uint32_t len)
{
	struct vmb_keyboard_response response;

	if (len < sizeof(response) || g->state != VMB_GUEST_KEYBOARD_ASKING || !g->sent)
		return VMB_EPROTO;
	memcpy(&response, payload, sizeof(response));
	if (!(response.status & VMB_KEYBOARD_ACCEPTED)) {
		g->state = VMB_GUEST_KEYBOARD_SHUT;
		return VMB_GUEST_KEYBOARD_REFUSED;
	}
	g->state = VMB_GUEST_KEYBOARD_OPEN;
	return VMB_GUEST_KEYBOARD_READY;
}

/* A character (UNICODE) has no code of a key. No host is known to send one. */
static int take_event(struct vmb_guest_keyboard *g, const void *payload, uint32_t len)
{
	const uint32_t known = VMB_KEYBOARD_BREAK | VMB_KEYBOARD_E0 | VMB_KEYBOARD_E1;
	struct vmb_keyboard_event event;

	if (len < sizeof(event) || g->state != VMB_GUEST_KEYBOARD_OPEN)
		return VMB_EPROTO;
	memcpy(&event, payload, sizeof(event));
	if (event.flags & VMB_KEYBOARD_UNICODE)
		return VMB_GUEST_KEYBOARD_NOTHING;
	if (!event.make_code || event.make_code > VMB_KEYBOARD_MAKE_CODE_MAX)
		return VMB_EPROTO;
	g->make_code = event.make_code;
	g->flags = event.flags & known;
	return VMB_GUEST_KEYBOARD_KEY;
}

int vmb_guest_keyboard_input(struct vmb_guest_keyboard *g, const void *payload, uint32_t len)
{
	uint32_t type;

	if (len < sizeof(type) || len > VMB_KEYBOARD_LEN_MAX)
		return VMB_EPROTO;
	memcpy(&type, payload, sizeof(type));
	if (type == VMB_KEYBOARD_RESPONSE)
		return take_response(g, payload, len);
	return type == VMB_KEYBOARD_EVENT ? take_event(g, payload, len) : VMB_EPROTO;
}

int vmb_guest_keyboard_leds(struct vmb_guest_keyboard *g, uint16_t leds)
{
	if (g->state != VMB_GUEST_KEYBOARD_OPEN)
		return VMB_EAGAIN;
	g->leds.leds = leds;
	g->leds_due = true;
	return 0;
}
