// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Agrees on the one version of the mouse, describes it as a HID device, makes its reports. */
#include "host/mouse.h"

/*
 * Of struct vmb_mouse_report. One guest of old repairs byte 14 of the descriptor, so what is there
 * must stay there.
 */
static const uint8_t descriptor[] = {
	0x05, 0x01, /* usage page: generic desktop */
	0x09, 0x02, /* usage: mouse */
	0xA1, 0x01, /* collection: application */
	0x09, 0x01, /* usage: pointer */
	0xA1, 0x00, /* collection: physical */
	0x05, 0x09, /* usage page: buttons */
	0x19, 0x01, 0x29, 0x05, /* usages 1 to 5 */
	0x15, 0x00, 0x25, 0x01, /* logical 0 to 1 */
	0x95, 0x05, 0x75, 0x01, /* 5 of 1 bit */
	0x81, 0x02, /* input: data, variable, absolute */
	0x95, 0x01, 0x75, 0x03, /* 1 of 3 bits */
	0x81, 0x01, /* input: constant */
	0x05, 0x01, /* usage page: generic desktop */
	0x09, 0x30, 0x09, 0x31, /* usages X and Y */
	0x15, 0x00, 0x26, 0xFF, 0x7F, /* logical 0 to 32767 */
	0x75, 0x10, 0x95, 0x02, /* 2 of 16 bits */
	0x81, 0x02, /* input: data, variable, absolute */
	0x05, 0x01, 0x09, 0x38, /* usage page again; usage: wheel */
	0x16, 0x01, 0x80, 0x26, 0xFF, 0x7F, /* logical -32767 to 32767 */
	0x75, 0x10, 0x95, 0x01, /* 1 of 16 bits */
	0x81, 0x06, /* input: data, variable, relative */
	0xC0, 0xC0, /* the collections' ends */
};

_Static_assert(sizeof(struct vmb_mouse_packet) + sizeof(struct vmb_mouse_info) +
			       sizeof(descriptor) <=
		       VMB_HOST_MOUSE_PACKET_LEN,
	       "the description must fit");

void vmb_host_mouse_init(struct vmb_host_mouse *m)
{
	memset(m, 0, sizeof(*m));
}

void vmb_host_mouse_reset(struct vmb_host_mouse *m)
{
	vmb_host_mouse_init(m);
	m->state = VMB_HOST_MOUSE_VERSIONS;
}

const void *vmb_host_mouse_output(const struct vmb_host_mouse *m, uint32_t *len)
{
	*len = m->output_len;
	return m->output_len ? m->packet : NULL;
}

static void put(struct vmb_host_mouse *m, uint32_t type, const void *body, uint32_t body_len)
{
	const struct vmb_mouse_packet head = {
		.pipe = { .type = VMB_PIPE_DATA,
			  .len = sizeof(head) - sizeof(head.pipe) + body_len },
		.type = type,
		.body_len = body_len,
	};

	memcpy(m->packet, &head, sizeof(head));
	memcpy(m->packet + sizeof(head), body, body_len);
	m->output_len = sizeof(head) + body_len;
}

/* Vendor and product are those that guests know (OpenVMM's too). */
static void put_info(struct vmb_host_mouse *m)
{
	struct {
		struct vmb_mouse_info info;
		uint8_t descriptor[sizeof(descriptor)];
	} VMB_PACKED body = {
		.info = { .attributes_len = VMB_MOUSE_ATTRIBUTES_LEN,
			  .vendor = 0x045E,
			  .product = 0x0621,
			  .version = 1,
			  .hid_len = VMB_MOUSE_HID_LEN,
			  .hid_type = VMB_MOUSE_HID,
			  .hid_version = 0x0101,
			  .descriptor_count = 1,
			  .descriptor_type = VMB_MOUSE_HID_REPORT,
			  .descriptor_len = sizeof(descriptor) },
	};

	memcpy(body.descriptor, descriptor, sizeof(descriptor));
	put(m, VMB_MOUSE_INFO, &body, sizeof(body));
}

void vmb_host_mouse_output_done(struct vmb_host_mouse *m)
{
	m->output_len = 0;
	if (m->info_due)
		put_info(m);
	m->info_due = false;
}

/* A guest that does not wait for the answer to its last proposal would have two of them waiting. */
static int take_request(struct vmb_host_mouse *m, const uint8_t *body, uint32_t len)
{
	struct vmb_mouse_response response = { 0 };
	struct vmb_mouse_request request;

	if (len < sizeof(request) || m->state != VMB_HOST_MOUSE_VERSIONS || m->output_len)
		return VMB_EPROTO;
	memcpy(&request, body, sizeof(request));
	response.version = request.version;
	response.accepted = request.version == VMB_MOUSE_VERSION;
	if (response.accepted)
		m->state = VMB_HOST_MOUSE_DESCRIBING;
	m->info_due = response.accepted;
	put(m, VMB_MOUSE_RESPONSE, &response, sizeof(response));
	return response.accepted ? VMB_HOST_MOUSE_NOTHING : VMB_HOST_MOUSE_REFUSED;
}

/* What was not sent yet cannot be confirmed. */
static int take_ack(struct vmb_host_mouse *m)
{
	if (m->state != VMB_HOST_MOUSE_DESCRIBING || m->output_len)
		return VMB_EPROTO;
	m->state = VMB_HOST_MOUSE_OPEN;
	return VMB_HOST_MOUSE_READY;
}

static int take(struct vmb_host_mouse *m, const uint8_t *payload, uint32_t len)
{
	struct vmb_mouse_packet head;
	uint32_t body_len;

	if (len < sizeof(head))
		return VMB_EPROTO;
	memcpy(&head, payload, sizeof(head));
	if (head.pipe.type != VMB_PIPE_DATA || head.pipe.len > len - sizeof(head.pipe) ||
	    head.pipe.len < sizeof(head) - sizeof(head.pipe))
		return VMB_EPROTO;
	body_len = head.pipe.len - (uint32_t)(sizeof(head) - sizeof(head.pipe));
	if (head.body_len > body_len)
		return VMB_EPROTO;
	if (head.type == VMB_MOUSE_REQUEST)
		return take_request(m, payload + sizeof(head), head.body_len);
	return head.type == VMB_MOUSE_INFO_ACK ? take_ack(m) : VMB_EPROTO;
}

int vmb_host_mouse_input(struct vmb_host_mouse *m, const void *payload, uint32_t len)
{
	int step = take(m, payload, len);

	if (step == VMB_EPROTO)
		vmb_host_mouse_init(m);
	return step;
}

int vmb_host_mouse_report(struct vmb_host_mouse *m, const struct vmb_mouse_report *report)
{
	if (report->x > VMB_MOUSE_MAX || report->y > VMB_MOUSE_MAX ||
	    report->buttons & ~VMB_MOUSE_BUTTONS)
		return VMB_EINVAL;
	if (m->state != VMB_HOST_MOUSE_OPEN || m->output_len)
		return VMB_EAGAIN;
	put(m, VMB_MOUSE_REPORT, report, sizeof(*report));
	return 0;
}
