// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Proposes the one version of the mouse, takes its description, judges its reports. */
#include "guest/mouse.h"

static void put(struct vmb_guest_mouse *g, uint32_t type, const void *body, uint32_t body_len)
{
	const struct vmb_mouse_packet head = {
		.pipe = { .type = VMB_PIPE_DATA,
			  .len = sizeof(head) - sizeof(head.pipe) + body_len },
		.type = type,
		.body_len = body_len,
	};

	memcpy(g->packet, &head, sizeof(head));
	memcpy(g->packet + sizeof(head), body, body_len);
	g->output_len = sizeof(head) + body_len;
}

void vmb_guest_mouse_init(struct vmb_guest_mouse *g)
{
	const struct vmb_mouse_request request = { VMB_MOUSE_VERSION };

	memset(g, 0, sizeof(*g));
	put(g, VMB_MOUSE_REQUEST, &request, sizeof(request));
}

const void *vmb_guest_mouse_output(const struct vmb_guest_mouse *g, uint32_t *len)
{
	*len = g->output_len;
	return g->output_len ? g->packet : NULL;
}

void vmb_guest_mouse_output_done(struct vmb_guest_mouse *g)
{
	g->output_len = 0;
}

static int take_response(struct vmb_guest_mouse *g, const uint8_t *body, uint32_t len)
{
	struct vmb_mouse_response response;

	if (len < sizeof(response) || g->state != VMB_GUEST_MOUSE_ASKING || g->output_len)
		return VMB_EPROTO;
	memcpy(&response, body, sizeof(response));
	if (response.version != VMB_MOUSE_VERSION || !response.accepted) {
		g->state = VMB_GUEST_MOUSE_SHUT;
		return VMB_GUEST_MOUSE_REFUSED;
	}
	g->state = VMB_GUEST_MOUSE_AGREED;
	return VMB_GUEST_MOUSE_NOTHING;
}

/* The class descriptor may be longer than those that are known. */
static int take_info(struct vmb_guest_mouse *g, const uint8_t *body, uint32_t len)
{
	const struct vmb_mouse_ack ack = { 0 };
	struct vmb_mouse_info info;
	uint32_t at;

	if (len < sizeof(info) || g->state != VMB_GUEST_MOUSE_AGREED)
		return VMB_EPROTO;
	memcpy(&info, body, sizeof(info));
	at = VMB_MOUSE_ATTRIBUTES_LEN + info.hid_len;
	if (info.hid_len < VMB_MOUSE_HID_LEN || !info.descriptor_len || at > len ||
	    info.descriptor_len > len - at || info.descriptor_len > sizeof(g->descriptor))
		return VMB_EPROTO;
	g->info = info;
	memcpy(g->descriptor, body + at, info.descriptor_len);
	g->state = VMB_GUEST_MOUSE_OPEN;
	put(g, VMB_MOUSE_INFO_ACK, &ack, sizeof(ack));
	return VMB_GUEST_MOUSE_READY;
}

static int take_report(struct vmb_guest_mouse *g, const uint8_t *body, uint32_t len,
		       struct vmb_guest_mouse_report *report)
{
	if (!len || len > VMB_MOUSE_REPORT_LEN_MAX || g->state != VMB_GUEST_MOUSE_OPEN ||
	    g->output_len)
		return VMB_EPROTO;
	*report = (struct vmb_guest_mouse_report){ body, len };
	return VMB_GUEST_MOUSE_REPORT;
}

int vmb_guest_mouse_input(struct vmb_guest_mouse *g, const void *payload, uint32_t len,
			  struct vmb_guest_mouse_report *report)
{
	const uint8_t *body = (const uint8_t *)payload + sizeof(struct vmb_mouse_packet);
	struct vmb_mouse_packet head;

	if (len < sizeof(head))
		return VMB_EPROTO;
	memcpy(&head, payload, sizeof(head));
	if (head.pipe.type != VMB_PIPE_DATA || head.pipe.len > len - sizeof(head.pipe) ||
	    head.pipe.len < sizeof(head) - sizeof(head.pipe) ||
	    head.body_len > head.pipe.len - (sizeof(head) - sizeof(head.pipe)))
		return VMB_EPROTO;
	switch (head.type) {
	case VMB_MOUSE_RESPONSE: return take_response(g, body, head.body_len);
	case VMB_MOUSE_INFO: return take_info(g, body, head.body_len);
	case VMB_MOUSE_REPORT: return take_report(g, body, head.body_len, report);
	default: return VMB_EPROTO;
	}
}
