/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of the mouse: one struct vmb_guest_mouse for the channel. What the host
 * describes is any HID device: its report descriptor and its reports are the port's to understand.
 *
 *   vmb_guest_mouse_init(g) at every opening of the channel
 *   while (vmb_guest_mouse_output(g, &len))   send it in-band, with the completion flag; then
 *           vmb_guest_mouse_output_done(g)
 *   for each in-band packet of the ring, which the port has copied:
 *     step = vmb_guest_mouse_input(g, payload, len, &report)
 *       VMB_GUEST_MOUSE_NOTHING  go on
 *       VMB_GUEST_MOUSE_READY    g->info and g->descriptor; reports come once the output has left
 *       VMB_GUEST_MOUSE_REFUSED  the host does not know our version
 *       VMB_GUEST_MOUSE_REPORT   report
 *       VMB_EPROTO               nonsense, or out of order: drop it
 *
 * Completions say nothing; the port passes over them.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "11 Mouse", "16 Sequences", "18 Hardening".
 */
#ifndef GUEST_MOUSE_H
#define GUEST_MOUSE_H

#include "wire/mouse.h"

enum vmb_guest_mouse_state {
	VMB_GUEST_MOUSE_ASKING, /* our version was proposed */
	VMB_GUEST_MOUSE_AGREED, /* the host describes the device next */
	VMB_GUEST_MOUSE_OPEN,
	VMB_GUEST_MOUSE_SHUT, /* the host refused */
};

enum vmb_guest_mouse_step {
	VMB_GUEST_MOUSE_NOTHING,
	VMB_GUEST_MOUSE_READY,
	VMB_GUEST_MOUSE_REFUSED,
	VMB_GUEST_MOUSE_REPORT,
};

/* Within the payload that brought it. */
struct vmb_guest_mouse_report {
	const uint8_t *bytes;
	uint32_t len; /* 1 to VMB_MOUSE_REPORT_LEN_MAX */
};

struct vmb_guest_mouse {
	enum vmb_guest_mouse_state state;
	struct vmb_mouse_info info; /* of READY; descriptor_len is that of descriptor */
	uint8_t descriptor[VMB_MOUSE_DESCRIPTOR_LEN_MAX];
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint8_t packet[sizeof(struct vmb_mouse_packet) + sizeof(struct vmb_mouse_request)];
};

/* The channel was opened now: the proposal is the next output. */
void vmb_guest_mouse_init(struct vmb_guest_mouse *g);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_guest_mouse_output(const struct vmb_guest_mouse *g, uint32_t *len);
void vmb_guest_mouse_output_done(struct vmb_guest_mouse *g);

/*
 * Takes the payload of an in-band packet, a private copy. Returns a step or VMB_EPROTO. *report is
 * filled for VMB_GUEST_MOUSE_REPORT.
 */
int vmb_guest_mouse_input(struct vmb_guest_mouse *g, const void *payload, uint32_t len,
			  struct vmb_guest_mouse_report *report);

#endif
