/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of an integration service: one struct vmb_guest_ic for each channel. It answers
 * negotiations, judges requests, and turns a request into its answer. What a request asks for, the
 * port does.
 *
 *   vmb_guest_ic_init(ic, VMB_IC_SHUTDOWN) at every opening of the channel
 *   for each in-band packet of the ring, which the port has copied:
 *     step = vmb_guest_ic_input(ic, payload, len, &request)
 *       VMB_GUEST_IC_REPLY    payload was turned into the answer: send it
 *       VMB_GUEST_IC_REQUEST  look at request; then
 *                             vmb_guest_ic_answer(payload, status) and send it
 *       VMB_EPROTO            nonsense, or a request before a negotiation: drop it, as others do
 *   "send it" is: all len bytes, in-band, with the packet's transaction id, without completion
 *
 * The bodies are read by vmb_guest_ic_shutdown() and its neighbours.
 *
 * Context: one caller at a time for each.
 * Source: docs/protocol/integration.md, "2 Framing", "2.1 Negotiation", "3 Heartbeat",
 * "4 Shutdown", "5 Time sync", "18 Hardening".
 */
#ifndef GUEST_IC_H
#define GUEST_IC_H

#include "wire/ic.h"

enum vmb_guest_ic_step {
	VMB_GUEST_IC_REPLY,
	VMB_GUEST_IC_REQUEST,
};

struct vmb_guest_ic_request {
	void *body; /* in the caller's payload; changed in place for the answer */
	uint32_t body_len; /* bytes */
};

struct vmb_guest_ic {
	enum vmb_ic_type type;
	bool negotiated;
	struct vmb_ic_version framework, message;
	uint64_t requests, malformed; /* since _init */
};

/* Initialises ic for a channel that was opened now. */
void vmb_guest_ic_init(struct vmb_guest_ic *ic, enum vmb_ic_type type);

/* payload: a private copy of len bytes, which becomes the answer. Returns a step or VMB_EPROTO. */
int vmb_guest_ic_input(struct vmb_guest_ic *ic, void *payload, uint32_t len,
		       struct vmb_guest_ic_request *request);

/* Turns a request that _input() returned into its answer. status: VMB_IC_*. */
void vmb_guest_ic_answer(void *payload, uint32_t status);

/* Returns whether the negotiated version of the message is at least that one. */
bool vmb_guest_ic_has(const struct vmb_guest_ic *ic, uint16_t major, uint16_t minor);

/* The body becomes the answer: the number after the host's. VMB_EPROTO: it is too short. */
int vmb_guest_ic_beat(const struct vmb_guest_ic_request *request);

/*
 * Returns what the host asks for: VMB_IC_SHUTDOWN_OFF, _RESTART or _HIBERNATE, without _FORCE; or
 * VMB_EOPNOTSUPP: something else; VMB_EPROTO: too short.
 */
int vmb_guest_ic_shutdown(const struct vmb_guest_ic_request *request);

struct vmb_guest_ic_time {
	uint64_t utc; /* 100 ns since 1601 */
	uint64_t reference; /* the reference counter at that time; 0: not known, so it is now */
	bool sync; /* set the clock */
	bool sample; /* only a hint */
};

/* Reads what the host says about the time. VMB_EPROTO: it is too short. */
int vmb_guest_ic_time(const struct vmb_guest_ic *ic, const struct vmb_guest_ic_request *request,
		      struct vmb_guest_ic_time *time);

/*
 * Returns what the host's clock says when the reference counter says reference, in 100 ns since
 * 1601. A sample from the future, or one of which the counter is not known, is taken as now.
 */
uint64_t vmb_guest_ic_time_at(const struct vmb_guest_ic_time *time, uint64_t reference);

#endif
