/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of dynamic memory: one struct vmb_guest_balloon for the channel. It proposes
 * versions, tells what the guest can do, judges what the host asks for and makes the answers. The
 * pages themselves are the port's.
 *
 *   vmb_guest_balloon_init(g, caps) at every opening of the channel
 *   while (vmb_guest_balloon_output(g, &len))    send it in-band, without completion; then
 *           vmb_guest_balloon_output_done(g)
 *   for each in-band packet of the ring, which the port has copied:
 *     step = vmb_guest_balloon_input(g, payload, len)
 *       VMB_GUEST_BALLOON_NOTHING   go on
 *       VMB_GUEST_BALLOON_READY     the host may ask from now on; reports may be made
 *       VMB_GUEST_BALLOON_REFUSED   the host knows none of our versions, or wants nothing
 *       VMB_GUEST_BALLOON_ASKED     give up to g->wanted pages: vmb_guest_balloon_range() for each
 *                                   range, vmb_guest_balloon_flush() when that says it is full,
 *                                   vmb_guest_balloon_given() at the end
 *       VMB_GUEST_BALLOON_RETURNED  g->range_count ranges are the guest's again: the port checks
 *                                   that it gave each page; then vmb_guest_balloon_taken()
 *       VMB_GUEST_BALLOON_ADD       g->add_* is new memory; then vmb_guest_balloon_added()
 *       VMB_EPROTO                  nonsense, or something while a request is served: drop it
 *
 * A request that takes time is served outside of _input(): until its last function is called
 * everything else that the host asks for is dropped and counted.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "9 Dynamic memory", "16 Sequences", "18 Hardening".
 */
#ifndef GUEST_BALLOON_H
#define GUEST_BALLOON_H

#include "wire/balloon.h"

enum vmb_guest_balloon_state {
	VMB_GUEST_BALLOON_VERSIONS, /* a version was proposed */
	VMB_GUEST_BALLOON_CAPABILITIES, /* they were told */
	VMB_GUEST_BALLOON_OPEN,
	VMB_GUEST_BALLOON_GIVING, /* pages, to the host */
	VMB_GUEST_BALLOON_TAKING, /* back what the host returns */
	VMB_GUEST_BALLOON_ADDING,
	VMB_GUEST_BALLOON_SHUT, /* the host refused */
};

enum vmb_guest_balloon_step {
	VMB_GUEST_BALLOON_NOTHING,
	VMB_GUEST_BALLOON_READY,
	VMB_GUEST_BALLOON_REFUSED,
	VMB_GUEST_BALLOON_ASKED,
	VMB_GUEST_BALLOON_RETURNED,
	VMB_GUEST_BALLOON_ADD,
};

struct vmb_guest_balloon {
	enum vmb_guest_balloon_state state;
	uint64_t caps; /* VMB_BALLOON_CAP_*, ours */
	uint32_t version; /* proposed last, or agreed: VMB_BALLOON_VERSION_* */
	uint64_t page_max; /* that the host says the machine can have; 0: it does not say */
	uint32_t wanted; /* pages, of VMB_GUEST_BALLOON_ASKED */
	/* of VMB_GUEST_BALLOON_RETURNED: VMB_BALLOON_RANGE() each, none empty */
	uint64_t ranges[VMB_BALLOON_RANGE_MAX];
	uint32_t range_count;
	bool more; /* and more of them follow */
	/* of VMB_GUEST_BALLOON_ADD, in pages; region_count 0: the host does not say */
	uint64_t add_first, add_count, region_first, region_count;
	uint64_t requests, dropped; /* since _init */
	uint32_t transaction_id; /* of the last message */
	uint32_t range_len; /* bytes of packet: ranges of a message that is not complete */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint8_t packet[VMB_BALLOON_LEN_MAX];
};

/* The channel was opened now: the newest version is the next output. caps: VMB_BALLOON_CAP_*. */
void vmb_guest_balloon_init(struct vmb_guest_balloon *g, uint64_t caps);

/* As vmb_guest_balloon_input() says. */
const void *vmb_guest_balloon_output(const struct vmb_guest_balloon *g, uint32_t *len);
void vmb_guest_balloon_output_done(struct vmb_guest_balloon *g);

/* Takes the payload of an in-band packet, a private copy. Returns a step or VMB_EPROTO. */
int vmb_guest_balloon_input(struct vmb_guest_balloon *g, const void *payload, uint32_t len);

/*
 * While pages are given: adds a range to the message under way. VMB_EAGAIN: it is full, or the one
 * before was not sent: _flush(), and send.
 */
int vmb_guest_balloon_range(struct vmb_guest_balloon *g, uint64_t first, uint64_t count);
/* Completes the message under way; more follow. Does nothing without ranges. */
void vmb_guest_balloon_flush(struct vmb_guest_balloon *g);
/*
 * Completes the last message, which may have no ranges. VMB_EAGAIN: the one before was not sent.
 */
int vmb_guest_balloon_given(struct vmb_guest_balloon *g);

/*
 * The ranges of VMB_GUEST_BALLOON_RETURNED were looked at. If they were the last ones, the answer
 * waits to be sent.
 */
void vmb_guest_balloon_taken(struct vmb_guest_balloon *g);

/* The guest uses count pages of the new memory; never: without any, it will never use any. */
void vmb_guest_balloon_added(struct vmb_guest_balloon *g, uint32_t count, bool never);

/* Reports how the guest is; only the numbers of status count. VMB_EAGAIN: not now. */
int vmb_guest_balloon_report(struct vmb_guest_balloon *g, const struct vmb_balloon_status *status);

#endif
