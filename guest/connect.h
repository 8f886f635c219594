/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's message engine: the connection to the host, the channels that it offers and the memory that
 * they share (GPADLs). 240-byte messages in, messages and events out; no memory of its own, no waiting.
 *
 * Life story:
 *
 *   vmb_guest_connect_init(c, &config);
 *   vmb_guest_connect_start(c);                 proposes the newest version, walks down by itself
 *   after every call, send what waits:
 *     while ((out = vmb_guest_connect_output(c)))
 *             post out->payload on connection out->connection_id, then
 *             vmb_guest_connect_output_done(c)  it left
 *             or vmb_guest_connect_output_refused(c, status) says whether to try again
 *   for every message from the host's SynIC slot (already copied to private memory):
 *     vmb_guest_connect_input(c, payload, len, &event)
 *       CONNECTED   -> vmb_guest_connect_request_offers(c)
 *       OFFER       -> make room for a channel, vmb_guest_channel_add(c, ch, event.offer)
 *       OFFERS_DELIVERED
 *       RESCIND     -> stop the device, close, tear down, vmb_guest_channel_release(ch)
 *
 *   open a channel:   vmb_guest_gpadl_establish() -> GPADL_CREATED -> zero the rings' control pages
 *                     -> vmb_guest_channel_open() -> OPEN_RESULT, or RESCIND: then no result follows
 *   close a channel:  vmb_guest_channel_close() (no answer exists), vmb_guest_gpadl_teardown()
 *                     -> GPADL_TORNDOWN: only now the memory may be reused
 *   signal the host:  vmb_guest_doorbell_ring(), see guest/doorbell.h
 *   leave:            vmb_guest_connect_unload() -> UNLOADED, or what vmb_guest_connect_output_done() says
 *
 * Below 2.4 (Windows Server 2008 and 2008 R2) there are no sub-channels, at most 255 channels, and
 * all messages and interrupts come to VP 0; messages do so below 3.0, too. Hosts below 3.0 may not
 * take a second contact after UNLOAD (docs/protocol/bus.md, "1.7 Order of disabling").
 *
 * Ownership: channels and GPADLs are the caller's memory. A channel stays linked until
 * vmb_guest_channel_remove() or _release(); a GPADL until GPADL_TORNDOWN, a failed GPADL_CREATED or
 * vmb_guest_gpadl_forget(). Their fields are read-only for the caller, but for `port`.
 *
 * Context: all functions of guest/connect, guest/channel and guest/gpadl that share one
 * struct vmb_guest_connect are serialised by the caller (one lock). Between vmb_guest_connect_output() and
 * its _done/_refused the lock may be dropped: the message stands in the engine's own buffer, and only one
 * sender may be between the two. Fields that the interrupt path needs (a channel's relid, connection_id) never
 * change between add and remove.
 * Source: docs/protocol/bus.md, "4 Control plane".
 */
#ifndef GUEST_CONNECT_H
#define GUEST_CONNECT_H

#include "base/queue.h"
#include "guest/channel.h"
#include "guest/gpadl.h"
#include "wire/vmbus.h"

enum vmb_guest_connect_state {
	VMB_GUEST_IDLE, /* before start, after UNLOADED, or all versions refused */
	VMB_GUEST_CONTACTING, /* INITIATE_CONTACT under way */
	VMB_GUEST_CONNECTED,
	VMB_GUEST_UNLOADING,
};

struct vmb_guest_connect_config {
	uint32_t target_vp; /* VP whose message slot receives all messages */
	uint64_t interrupt_page_gpa; /* byte address of a zeroed page; 0 = propose nothing below 2.4 */
	uint64_t monitor_gpa[2]; /* parent->child, child->parent; both or neither (0) */
	uint32_t version_max; /* VMB_VERSION_*; 0 = newest known */
	uint32_t version_min; /* 0 = oldest known (0.13) */
};

enum vmb_guest_event_type {
	VMB_GUEST_EVENT_NOTHING, /* the message asked for nothing */
	VMB_GUEST_EVENT_CONNECTED,
	VMB_GUEST_EVENT_REFUSED, /* no version is left to propose */
	VMB_GUEST_EVENT_OFFER,
	VMB_GUEST_EVENT_OFFERS_DELIVERED,
	VMB_GUEST_EVENT_RESCIND,
	VMB_GUEST_EVENT_OPEN_RESULT,
	VMB_GUEST_EVENT_GPADL_CREATED,
	VMB_GUEST_EVENT_GPADL_TORNDOWN,
	VMB_GUEST_EVENT_MODIFY_RESULT,
	VMB_GUEST_EVENT_UNLOADED,
};

struct vmb_guest_event {
	enum vmb_guest_event_type type;
	uint32_t status; /* results: 0 or the host's code */
	struct vmb_guest_channel *channel; /* RESCIND, OPEN_RESULT, MODIFY_RESULT, GPADL_CREATED */
	struct vmb_guest_gpadl *gpadl; /* GPADL_* */
	struct vmb_msg_offer offer; /* OFFER: a validated private copy */
};

struct vmb_guest_connect_output {
	uint32_t connection_id;
	uint32_t len; /* bytes of payload */
	const void *payload;
};

struct vmb_guest_connect_counters {
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t unknown; /* message numbers that we don't know: ignored */
	uint64_t malformed; /* too short, too long, impossible values: ignored */
	uint64_t unsolicited; /* results that nobody waits for: ignored */
	uint64_t offers_refused; /* bad relid, relid in use, sub-channel without primary, ... */
};

struct vmb_guest_connect {
	struct vmb_guest_connect_config config;
	enum vmb_guest_connect_state state;
	uint32_t version; /* negotiated, or being proposed */
	uint32_t features; /* negotiated, VMB_VERSION_FEATURE_* */
	uint32_t message_connection_id; /* from VERSION_RESPONSE */
	uint32_t version_step; /* index into the table of versions */
	bool offers_requested;
	bool offers_delivered;
	bool multiclient_answers; /* the port for 5.0 and later has answered: it exists */
	struct vmb_queue posts; /* what waits to be sent; the tag is the message's number */
	struct vmb_link post_link; /* the connection's own entry */
	struct vmb_link *sending; /* between output and done; NULL when nobody cares any more */
	struct vmb_guest_connect_output out;
	uint8_t out_payload[VMB_MSG_LEN_MAX];
	struct vmb_guest_channel *channels[VMB_CHANNEL_COUNT_MAX]; /* by relid */
	uint32_t given_back[VMB_CHANNEL_COUNT_MAX / 32]; /* a bit a relid: see guest/channel.c */
	struct vmb_guest_gpadl *gpadls; /* all that the host may hold */
	uint32_t last_gpadl_id;
	uint32_t last_open_id;
	struct vmb_guest_connect_counters counters;
};

/* Prepares c (its memory is the caller's); config is copied. VMB_EINVAL: one monitor page without the other,
 * an address that is no page's, an unknown version bound. */
int vmb_guest_connect_init(struct vmb_guest_connect *c,
			   const struct vmb_guest_connect_config *config);

/*
 * Queues the first INITIATE_CONTACT. VMB_EBUSY unless idle and without channels. Legal again after
 * UNLOADED and after REFUSED.
 */
int vmb_guest_connect_start(struct vmb_guest_connect *c);

/* Queues REQUEST_OFFERS, once a connection. VMB_EBUSY when not connected or asked already. */
int vmb_guest_connect_request_offers(struct vmb_guest_connect *c);

/*
 * Queues UNLOAD and drops everything else that waits. All channels must be closed or given up. VMB_EBUSY when not
 * connected. The host answers UNLOADED; below 1.1 it says nothing, see vmb_guest_connect_output_done().
 */
int vmb_guest_connect_unload(struct vmb_guest_connect *c);

/*
 * One message from the host. message: len bytes in private memory (never the SynIC slot itself).
 * 0: event says what to do; VMB_EPROTO: the message was no good and was counted and ignored, event is NOTHING.
 * Numbers that we don't know are counted and are no error; nor is what crosses an UNLOAD.
 */
int vmb_guest_connect_input(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event);

/* The next message to post, or NULL. Valid until _done or _refused. */
const struct vmb_guest_connect_output *vmb_guest_connect_output(struct vmb_guest_connect *c);

/*
 * The message left. True: that was the UNLOAD of a connection below 1.1, which is never answered
 * (docs/protocol/bus.md, "4.2 Message numbers"); the connection is IDLE, and the caller does what
 * it does for the event UNLOADED.
 */
bool vmb_guest_connect_output_done(struct vmb_guest_connect *c);

/*
 * The hypervisor refused the post with status (enum vmb_hv_status).
 * 0: something else is to be sent instead, ask vmb_guest_connect_output() again (INVALID_CONNECTION_ID for the first
 * contact of a 5.x or 6.x version: the host has no multiclient port, and the engine goes below 5.0);
 * VMB_EAGAIN: transient, back off and post the same bytes again; VMB_EIO: final, the message was dropped and what it
 * asked for will never come; a contact that ends so leaves the connection IDLE.
 */
int vmb_guest_connect_output_refused(struct vmb_guest_connect *c, uint32_t status);

/* The versions that the engine can propose, newest first; 0 ends the table. */
const uint32_t *vmb_guest_connect_versions(void);

#endif
