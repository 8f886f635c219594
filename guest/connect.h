/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's message engine: the connection to the host, the channels that it offers and the
 * memory that they share (GPADLs). Messages of at most 240 bytes in, messages and events out. It
 * has no memory of its own and never waits.
 *
 * Life story:
 *
 *   vmb_guest_connect_init(c, &config);
 *   vmb_guest_connect_start(c);         proposes the newest version, then older ones by itself
 *   after every call, send what waits:
 *     while ((out = vmb_guest_connect_output(c)))
 *             post out->payload on connection out->connection_id, then call
 *             vmb_guest_connect_output_done(c) if it was sent,
 *             or vmb_guest_connect_output_refused(c, status), which says whether to try again
 *   for every message from the host's SynIC slot (already copied to private memory):
 *     vmb_guest_connect_input(c, payload, len, &event)
 *       CONNECTED   -> vmb_guest_connect_request_offers(c)
 *       OFFER       -> make room for a channel, vmb_guest_channel_add(c, ch, event.offer)
 *       OFFERS_DELIVERED
 *       RESCIND     -> stop the device, close, tear down, vmb_guest_channel_release(ch)
 *
 *   open a channel:   vmb_guest_gpadl_establish() -> GPADL_CREATED -> zero the rings' control pages
 *                     -> vmb_guest_channel_open() -> OPEN_RESULT, or RESCIND: then no result comes
 *   close a channel:  vmb_guest_channel_close() (has no answer), vmb_guest_gpadl_teardown()
 *                     -> GPADL_TORNDOWN: only now the memory may be reused
 *   signal the host:  vmb_guest_doorbell_ring(), see guest/doorbell.h
 *   ask for a socket: vmb_guest_socket_dial(), see guest/socket.h
 *   leave:            vmb_guest_connect_unload() -> UNLOADED; below 1.1 see
 *                     vmb_guest_connect_output_done()
 *
 * Below 2.4 (Windows Server 2008 and 2008 R2) there are no sub-channels, at most 255 channels, and
 * all messages and interrupts go to VP 0. Below 3.0 messages go to VP 0 too, and hosts may not
 * accept a second contact after UNLOAD (docs/protocol/bus.md, "1.7 Order of disabling").
 *
 * Ownership: channels and GPADLs are the caller's memory. A channel stays linked until
 * vmb_guest_channel_remove() or _release(); a GPADL until GPADL_TORNDOWN, a failed GPADL_CREATED or
 * vmb_guest_gpadl_forget(). The caller must not write their fields, except `port`.
 *
 * Context: the caller must serialise (with one lock) all functions of guest/connect, guest/channel,
 * guest/gpadl and guest/socket that share one struct vmb_guest_connect. It may drop the lock
 * between vmb_guest_connect_output() and its _done or _refused: the message stands in the engine's
 * own buffer, and only one sender may be between the two. Fields that the interrupt path needs (a
 * channel's relid and connection_id) never change between add and remove.
 *
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

struct vmb_guest_dial;

struct vmb_guest_connect_config {
	uint32_t target_vp; /* VP whose message slot receives all messages */
	uint64_t interrupt_page_gpa; /* byte address of a zeroed page; 0 = nothing below 2.4 */
	uint64_t monitor_gpa[2]; /* parent->child, child->parent; both or neither (0) */
	uint32_t version_max; /* VMB_VERSION_*; 0 = newest known */
	uint32_t version_min; /* 0 = oldest known (0.13) */
};

enum vmb_guest_event_type {
	VMB_GUEST_EVENT_NOTHING, /* nothing to do */
	VMB_GUEST_EVENT_CONNECTED,
	VMB_GUEST_EVENT_REFUSED, /* the host refused every version */
	VMB_GUEST_EVENT_OFFER,
	VMB_GUEST_EVENT_OFFERS_DELIVERED,
	VMB_GUEST_EVENT_RESCIND,
	VMB_GUEST_EVENT_OPEN_RESULT,
	VMB_GUEST_EVENT_GPADL_CREATED,
	VMB_GUEST_EVENT_GPADL_TORNDOWN,
	VMB_GUEST_EVENT_MODIFY_RESULT,
	VMB_GUEST_EVENT_UNLOADED,
	VMB_GUEST_EVENT_DIAL_REFUSED, /* guest/socket.h */
};

struct vmb_guest_event {
	enum vmb_guest_event_type type;
	uint32_t status; /* results: 0 or the host's code */
	struct vmb_guest_channel *channel; /* RESCIND, OPEN_RESULT, MODIFY_RESULT, GPADL_CREATED */
	struct vmb_guest_gpadl *gpadl; /* GPADL_* */
	struct vmb_msg_offer offer; /* OFFER: a validated private copy */
	struct vmb_guest_dial *dial; /* DIAL_REFUSED; OFFER: that it answers, or NULL */
};

struct vmb_guest_connect_output {
	uint32_t connection_id;
	uint32_t len; /* bytes of payload */
	const void *payload;
};

struct vmb_guest_connect_counters {
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t unknown; /* message numbers that we do not know: ignored */
	uint64_t malformed; /* too short, too long, invalid values: ignored */
	uint64_t unsolicited; /* results that no request waits for: ignored */
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
	bool multiclient_answers; /* the port for 5.0 and later has answered, so it exists */
	struct vmb_queue posts; /* messages that wait to be sent; the tag is the message's number */
	struct vmb_link post_link; /* the connection's own entry */
	struct vmb_link *sending; /* between output and done; NULL when it was taken back */
	struct vmb_guest_connect_output out;
	uint8_t out_payload[VMB_MSG_LEN_MAX];
	struct vmb_guest_channel *channels[VMB_CHANNEL_COUNT_MAX]; /* by relid */
	uint32_t given_back[VMB_CHANNEL_COUNT_MAX / 32]; /* a bit a relid: see guest/channel.c */
	struct vmb_guest_gpadl *gpadls; /* those that the host may hold */
	struct vmb_guest_dial *dials; /* that wait for the host */
	uint32_t last_gpadl_id;
	uint32_t last_open_id;
	struct vmb_guest_connect_counters counters;
};

/*
 * Initialises c (the caller's memory). config is copied. VMB_EINVAL: one monitor page without the
 * other, an address that is not page aligned, an unknown version bound.
 */
int vmb_guest_connect_init(struct vmb_guest_connect *c,
			   const struct vmb_guest_connect_config *config);

/*
 * Queues the first INITIATE_CONTACT. VMB_EBUSY unless idle and without channels. May be called
 * again after UNLOADED and after REFUSED.
 */
int vmb_guest_connect_start(struct vmb_guest_connect *c);

/* Queues REQUEST_OFFERS, once a connection. VMB_EBUSY: not connected, or requested before. */
int vmb_guest_connect_request_offers(struct vmb_guest_connect *c);

/*
 * Queues UNLOAD and drops everything else that waits. All channels must be closed or given up. The
 * event UNLOADED follows; below 1.1 the host does not answer, see vmb_guest_connect_output_done().
 * VMB_EBUSY: not connected.
 */
int vmb_guest_connect_unload(struct vmb_guest_connect *c);

/*
 * Takes one message from the host. message: len bytes in private memory (never the SynIC slot
 * itself). Returns 0: event says what to do; VMB_EPROTO: the message was invalid, was counted and
 * ignored, and event is NOTHING. Unknown message numbers are counted but are no error; neither are
 * messages that cross an UNLOAD.
 */
int vmb_guest_connect_input(struct vmb_guest_connect *c, const void *message, uint32_t len,
			    struct vmb_guest_event *event);

/* Returns the next message to post, or NULL. Valid until _done or _refused. */
const struct vmb_guest_connect_output *vmb_guest_connect_output(struct vmb_guest_connect *c);

/*
 * The message was sent. Returns true if that was the UNLOAD of a connection below 1.1, which is
 * never answered (docs/protocol/bus.md, "4.2 Message numbers"): the connection is IDLE, and the
 * caller must do what it does for the event UNLOADED.
 */
bool vmb_guest_connect_output_done(struct vmb_guest_connect *c);

/*
 * The hypervisor refused the post with status (enum vmb_hv_status). Returns 0: something else is to
 * be sent instead, call vmb_guest_connect_output() again (INVALID_CONNECTION_ID for the first
 * contact of a 5.x or 6.x version: the host has no multiclient port, and the engine proposes a
 * version below 5.0); VMB_EAGAIN: transient, back off and post the same bytes again; VMB_EIO:
 * final, the message was dropped and its answer will never come. A contact that ends so leaves the
 * connection IDLE.
 */
int vmb_guest_connect_output_refused(struct vmb_guest_connect *c, uint32_t status);

/* Returns the versions that the engine can propose, newest first; 0 ends the table. */
const uint32_t *vmb_guest_connect_versions(void);

#endif
