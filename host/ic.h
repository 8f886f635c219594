/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of an integration service: one struct vmb_host_ic is the exchange over one
 * channel. It negotiates versions, sends one request at a time and judges the answer. The bodies of
 * shutdown, heartbeat and time messages are made here too; those of the other services in
 * host/ic_kvp.h and its neighbours.
 *
 *   vmb_host_ic_init(ic, VMB_IC_HEARTBEAT, bus_version)
 *   vmb_host_ic_reset(ic) at every OPEN of the channel: a negotiation waits to be sent
 *   while (vmb_host_ic_output(ic, &len))    send it in-band, transaction id 0, no completion; then
 *           vmb_host_ic_output_done(ic)
 *   for each packet of the ring, which the port has copied:
 *     step = vmb_host_ic_input(ic, payload, len, &answer)
 *       VMB_HOST_IC_READY     versions are agreed: requests may be sent
 *       VMB_HOST_IC_REFUSED   the guest has none of our versions; nothing more can be sent
 *       VMB_HOST_IC_ANSWERED  to the last request; answer says how
 *       VMB_EPROTO            the guest broke the protocol: stop serving this channel
 *   vmb_host_ic_request(ic, body, len)      when the last one was answered
 *
 * Guests keep one transaction and leave later packets unread, so a request that is not answered
 * keeps its service waiting for as long as the channel is open. The port decides when it stops to
 * believe in an answer.
 *
 * Context: one caller at a time for each.
 * Source: docs/protocol/integration.md, "2 Framing", "2.1 Negotiation", "3 Heartbeat",
 * "4 Shutdown", "5 Time sync".
 */
#ifndef HOST_IC_H
#define HOST_IC_H

#include "wire/ic.h"
#include "wire/vmbus.h"

#define VMB_HOST_IC_PENDING_MAX VMB_IC_PACKET_LEN_MAX

enum vmb_host_ic_state {
	VMB_HOST_IC_IDLE, /* not open, or refused, or broken */
	VMB_HOST_IC_NEGOTIATING, /* the negotiation was made, and was sent or not */
	VMB_HOST_IC_OPEN, /* a request may be made */
	VMB_HOST_IC_WAITING, /* a request was made, and was sent or not */
};

enum vmb_host_ic_step {
	VMB_HOST_IC_READY,
	VMB_HOST_IC_REFUSED,
	VMB_HOST_IC_ANSWERED,
};

struct vmb_host_ic_answer {
	uint32_t status; /* VMB_IC_* or any other number */
	const void *body; /* in the caller's payload */
	uint32_t body_len; /* bytes */
};

struct vmb_host_ic {
	enum vmb_ic_type type;
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	enum vmb_host_ic_state state;
	struct vmb_ic_version framework, message; /* negotiated */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint64_t sequence; /* the last heartbeat's */
	uint64_t requests, answers; /* since _init; no negotiations */
	uint8_t packet[VMB_HOST_IC_PENDING_MAX];
};

/* Returns whether a host whose newest bus version is bus_version has the service. */
bool vmb_host_ic_exists(enum vmb_ic_type type, uint32_t bus_version);

/*
 * Initialises ic for a service that a host of that version has. bus_version: VMB_VERSION_*; decides
 * which versions of the service are offered.
 */
void vmb_host_ic_init(struct vmb_host_ic *ic, enum vmb_ic_type type, uint32_t bus_version);

/* The channel was opened: the negotiation is the next output. */
void vmb_host_ic_reset(struct vmb_host_ic *ic);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_host_ic_output(const struct vmb_host_ic *ic, uint32_t *len);
void vmb_host_ic_output_done(struct vmb_host_ic *ic);

/*
 * Takes the payload of an in-band packet, a private copy. Returns a step, or VMB_EPROTO; then, and
 * after VMB_HOST_IC_REFUSED, nothing is sent any more.
 */
int vmb_host_ic_input(struct vmb_host_ic *ic, const void *payload, uint32_t len,
		      struct vmb_host_ic_answer *answer);

/* Returns whether vmb_host_ic_request() would take a request. */
bool vmb_host_ic_may_ask(const struct vmb_host_ic *ic);

/*
 * Makes a request of len bytes of body, which are copied. Returns 0; VMB_EAGAIN: not negotiated, or
 * the last one is not answered; VMB_EINVAL: the body is too long.
 */
int vmb_host_ic_request(struct vmb_host_ic *ic, const void *body, uint32_t len);

/* Returns whether the negotiated version of the message is at least that one. */
bool vmb_host_ic_has(const struct vmb_host_ic *ic, uint16_t major, uint16_t minor);

/*
 * Fills in the body of a request to power off, restart or hibernate. version: the negotiated one of
 * the message, VMB_IC_VERSION(); flags: VMB_IC_SHUTDOWN_*. Returns 0; VMB_EOPNOTSUPP: that version
 * has no such flag.
 */
int vmb_host_ic_shutdown(uint32_t version, uint32_t flags, uint32_t timeout_s,
			 struct vmb_ic_shutdown *body);

/* Sends the next heartbeat. Returns as vmb_host_ic_request(). */
int vmb_host_ic_beat(struct vmb_host_ic *ic);
/* Returns whether an answer is one to the last heartbeat. */
bool vmb_host_ic_beat_answered(const struct vmb_host_ic *ic,
			       const struct vmb_host_ic_answer *answer);

/*
 * Tells the guest the time. utc: 100 ns since 1601; reference: the partition's reference counter at
 * that time; flags: VMB_IC_TIME_*. Returns as vmb_host_ic_request().
 */
int vmb_host_ic_time(struct vmb_host_ic *ic, uint64_t utc, uint64_t reference, uint8_t flags);

#endif
