/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of the mouse: one struct vmb_host_mouse is the exchange over one channel. The
 * device that it describes to the guest is a tablet: absolute positions, five buttons, a wheel.
 *
 *   vmb_host_mouse_init(m)
 *   vmb_host_mouse_reset(m) at every OPEN of the channel
 *   while (vmb_host_mouse_output(m, &len))   send it in-band, transaction id 0, no completion;
 *           vmb_host_mouse_output_done(m)    then
 *   for each packet of the ring, which the port has copied, and completed if the guest asked for
 *   that:
 *     step = vmb_host_mouse_input(m, payload, len)
 *       VMB_HOST_MOUSE_NOTHING  go on
 *       VMB_HOST_MOUSE_READY    reports may be sent
 *       VMB_HOST_MOUSE_REFUSED  the guest proposed a version that this host does not know; it may
 *                               propose another one
 *       VMB_EPROTO              the guest broke the protocol: stop serving this channel
 *   vmb_host_mouse_report(m, ...)            when nothing waits to be sent
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "11 Mouse", "16 Sequences", "18 Hardening".
 */
#ifndef HOST_MOUSE_H
#define HOST_MOUSE_H

#include "wire/mouse.h"

enum vmb_host_mouse_state {
	VMB_HOST_MOUSE_IDLE, /* not open, or broken */
	VMB_HOST_MOUSE_VERSIONS, /* the guest proposes */
	VMB_HOST_MOUSE_DESCRIBING, /* a version is agreed; the guest must confirm the description */
	VMB_HOST_MOUSE_OPEN,
};

enum vmb_host_mouse_step {
	VMB_HOST_MOUSE_NOTHING,
	VMB_HOST_MOUSE_READY,
	VMB_HOST_MOUSE_REFUSED,
};

/* The longest that the host sends. */
#define VMB_HOST_MOUSE_PACKET_LEN 128u

struct vmb_host_mouse {
	enum vmb_host_mouse_state state;
	bool info_due; /* the description follows the output */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint8_t packet[VMB_HOST_MOUSE_PACKET_LEN];
};

void vmb_host_mouse_init(struct vmb_host_mouse *m);

/* The channel was opened: the guest speaks next. */
void vmb_host_mouse_reset(struct vmb_host_mouse *m);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_host_mouse_output(const struct vmb_host_mouse *m, uint32_t *len);
void vmb_host_mouse_output_done(struct vmb_host_mouse *m);

/*
 * Takes the payload of an in-band packet, a private copy. Returns a step, or VMB_EPROTO; then
 * nothing is sent any more until _reset().
 */
int vmb_host_mouse_input(struct vmb_host_mouse *m, const void *payload, uint32_t len);

/*
 * Makes a report the next output. Returns 0; VMB_EAGAIN: not open, or something waits to be sent;
 * VMB_EINVAL: a position above VMB_MOUSE_MAX, or a button that the device does not have.
 */
int vmb_host_mouse_report(struct vmb_host_mouse *m, const struct vmb_mouse_report *report);

#endif
