// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Agrees on the one version of the keyboard, makes events, takes what the guest says of lights. */
#include "host/keyboard.h"

void vmb_host_keyboard_init(struct vmb_host_keyboard *k)
{
	memset(k, 0, sizeof(*k));
}

void vmb_host_keyboard_reset(struct vmb_host_keyboard *k)
{
	vmb_host_keyboard_init(k);
	k->state = VMB_HOST_KEYBOARD_VERSIONS;
}

const void *vmb_host_keyboard_output(const struct vmb_host_keyboard *k, uint32_t *len)
{
	*len = k->output_len;
	return k->output_len ? k->packet : NULL;
}

void vmb_host_keyboard_output_done(struct vmb_host_keyboard *k)
{
	k->output_len = 0;
}

static void put(struct vmb_host_keyboard *k, const void *message, uint32_t len)
{
	memcpy(k->packet, message, len);
	k->output_len = len;
}

/* A guest that does not wait for the answer to its last proposal would have two of them waiting. */
static int take_request(struct vmb_host_keyboard *k, const void *payload, uint32_t len)
{
	struct vmb_keyboard_response response = { .type = VMB_KEYBOARD_RESPONSE };
	struct vmb_keyboard_request request;

	if (len < sizeof(request) || k->state != VMB_HOST_KEYBOARD_VERSIONS || k->output_len)
		return VMB_EPROTO;
	memcpy(&request, payload, sizeof(request));
	if (request.version == VMB_KEYBOARD_VERSION) {
		response.status = VMB_KEYBOARD_ACCEPTED;
		k->state = VMB_HOST_KEYBOARD_OPEN;
	}
	put(k, &response, sizeof(response));
	return response.status ? VMB_HOST_KEYBOARD_READY : VMB_HOST_KEYBOARD_REFUSED;
}

static int take_leds(struct vmb_host_keyboard *k, const void *payload, uint32_t len)
{
	struct vmb_keyboard_leds leds;

	if (len < sizeof(leds) || k->state != VMB_HOST_KEYBOARD_OPEN)
		return VMB_EPROTO;
	memcpy(&leds, payload, sizeof(leds));
	k->leds = leds.leds;
	return VMB_HOST_KEYBOARD_LEDS;
}

static int take(struct vmb_host_keyboard *k, const void *payload, uint32_t len)
{
	uint32_t type;

	if (len < sizeof(type) || len > VMB_KEYBOARD_LEN_MAX)
		return VMB_EPROTO;
	memcpy(&type, payload, sizeof(type));
	if (type == VMB_KEYBOARD_REQUEST)
		return take_request(k, payload, len);
	return type == VMB_KEYBOARD_LEDS ? take_leds(k, payload, len) : VMB_EPROTO;
}

int vmb_host_keyboard_input(struct vmb_host_keyboard *k, const void *payload, uint32_t len)
{
	int step = take(k, payload, len);

	if (step == VMB_EPROTO)
		vmb_host_keyboard_init(k);
	return step;
}

int vmb_host_keyboard_key(struct vmb_host_keyboard *k, uint16_t make_code, uint32_t flags)
{
	const uint32_t known = VMB_KEYBOARD_BREAK | VMB_KEYBOARD_E0 | VMB_KEYBOARD_E1;
	const struct vmb_keyboard_event event = { .type = VMB_KEYBOARD_EVENT,
						  .make_code = make_code,
						  .flags = flags };

	if (make_code > VMB_KEYBOARD_MAKE_CODE_MAX || flags & ~known)
		return VMB_EINVAL;
	if (k->state != VMB_HOST_KEYBOARD_OPEN || k->output_len)
		return VMB_EAGAIN;
	put(k, &event, sizeof(event));
	return 0;
}
