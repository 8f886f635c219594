/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's message engine: answers a guest's connection, offers channels, assembles the memory
 * that the guest shares (GPADLs). Messages that the guest posted in, messages and events out. It
 * has no memory of its own and never waits.
 *
 * Life story:
 *
 *   vmb_host_server_init(s, &config);
 *   vmb_host_channel_offer(s, ch) for each device, at any time
 *   for every HvCallPostMessage (its block already copied to private memory):
 *     status = vmb_host_server_input(s, connection_id, type, payload, len)
 *     status is the hypercall's result
 *   after every call, first take all events, then send what waits:
 *     while (vmb_host_server_event(s, &event)) switch (event.type)
 *       GPADL_WANTED    allocate, vmb_host_gpadl_supply()
 *       GPADL_RELEASED  unmap, free
 *       OPEN            map the rings, make the doorbell work, start the device,
 *                       vmb_host_channel_opened()
 *       CLOSE           stop the device, vmb_host_channel_closed() when no thread touches the
 *                       rings any more
 *       MODIFY          interrupt another VP, vmb_host_channel_modified()
 *       RELEASED        the channel was rescinded and the guest is done with it: free it
 *       SOCKET          the guest asks for a connection, see host/socket.h
 *     while ((out = vmb_host_server_output(s)))
 *       deliver to VP out->target_vp, SINT out->target_sint; vmb_host_server_output_done(s);
 *       or stop when the slot is busy;
 *       or vmb_host_server_output_drop(s) when that VP takes no messages
 *   vmb_host_channel_rescind(ch) takes a device away.
 *   vmb_host_server_reset(s): the machine was reset; like an unload by the guest, without answer.
 *
 * INITIATE_CONTACT at any time and UNLOAD disconnect first: CLOSE events for open channels, then
 * GPADL_RELEASED for every GPADL; the answer is queued when all are confirmed. Messages that wait
 * at that time are dropped, because the guest has given up what they are about.
 *
 * Ownership: channels and GPADLs are the caller's memory, lent until RELEASED and GPADL_RELEASED.
 * The caller must not write their fields, except `port`.
 *
 * Context: the caller must serialise all functions of host/server, host/channel, host/gpadl
 * and host/socket that share one struct vmb_host_server.
 *
 * Each request gets one reply, in the order in which requests complete. A request whose answer has
 * no room yet is not accepted (INSUFFICIENT_BUFFERS), so nothing that the guest does makes the
 * server grow or forget. A guest's mistake never stops the server: it is counted, answered where an
 * answer exists, and otherwise dropped.
 *
 * Versions before 2.4 (Windows Server 2008 and 2008 R2): all interrupts go to VP 0 by the interrupt
 * page, see host/doorbell.h; only channels with relids below 256 are offered, and no sub-channels;
 * before 1.1 guests signal all of them on VMB_CONNECTION_EVENT, and UNLOAD has no answer. A contact
 * without a usable interrupt page is refused.
 *
 * Reserved channels are not supported: OPEN_RESERVED is refused, CLOSE_RESERVED answered, in any
 * state. Messages that need a feature flag (25, 27, 29) are dropped and counted as unknown.
 *
 * Source: docs/protocol/bus.md, "2 Hypercalls", "3 SynIC messages and event flags",
 * "4 Control plane", "11 Hardening".
 */
#ifndef HOST_SERVER_H
#define HOST_SERVER_H

#include "base/queue.h"
#include "host/channel.h"
#include "host/gpadl.h"
#include "host/socket.h"
#include "wire/vmbus.h"

#define VMB_HOST_GPADL_COUNT_MAX   1024u /* GPADLs of a connection */
#define VMB_HOST_GPADL_FAILURE_MAX 16u /* waiting failure answers */

/* Room for CREATED and TORNDOWN is reserved for each GPADL. */
#define VMB_HOST_ANSWER_COUNT_MAX  (2 * VMB_HOST_GPADL_COUNT_MAX + VMB_HOST_GPADL_FAILURE_MAX)

enum vmb_host_server_state {
	VMB_HOST_DISCONNECTED,
	VMB_HOST_CONNECTED,
	VMB_HOST_DISCONNECTING, /* devices are closing; the answer, if any, comes after that */
};

/* Guest memory that page frame numbers may name. */
struct vmb_host_ram {
	uint64_t first_pfn;
	uint64_t pfn_count;
};

struct vmb_host_server_config {
	uint32_t version_max; /* VMB_VERSION_*; 0 = newest known */
	uint32_t version_min; /* 0 = oldest known (0.13) */
	uint32_t vp_count; /* VPs are 0..vp_count-1 */
	const struct vmb_host_ram *ram; /* the caller's, must outlive the server */
	uint32_t ram_count;
	/* channels get monitor ids, and the port scans the page: host/doorbell.h */
	bool monitors;
};

enum vmb_host_event_type {
	/* a connection exists: server->version, target_vp, interrupt_page_gpa, monitor_gpa */
	VMB_HOST_EVENT_CONTACT,
	VMB_HOST_EVENT_OPEN,
	VMB_HOST_EVENT_CLOSE,
	VMB_HOST_EVENT_MODIFY,
	VMB_HOST_EVENT_GPADL_WANTED,
	VMB_HOST_EVENT_GPADL_RELEASED,
	VMB_HOST_EVENT_RELEASED,
	VMB_HOST_EVENT_UNLOADED, /* everything is closed and released */
	VMB_HOST_EVENT_SOCKET, /* the guest asks for a connection: host/socket.h */
};

struct vmb_host_event {
	enum vmb_host_event_type type;
	struct vmb_host_channel *channel; /* OPEN, CLOSE, MODIFY, RELEASED, GPADL_* */
	struct vmb_host_gpadl *gpadl; /* GPADL_RELEASED */
	uint32_t ranges_len; /* GPADL_WANTED: bytes of range list to hold, a multiple of 8 */
	/* SOCKET: valid until the next call of a function of the server */
	const struct vmb_host_socket_request *request;
};

struct vmb_host_server_output {
	uint32_t target_vp;
	uint32_t target_sint; /* 2, except in answers that were requested on another */
	uint32_t len; /* bytes of payload */
	const void *payload;
};

/* A GPADL_CREATED or GPADL_TORNDOWN that waits; the GPADL itself may be gone. */
struct vmb_host_answer {
	struct vmb_link link;
	uint32_t relid;
	uint32_t gpadl_id;
	uint32_t status;
};

/* An answer to the VP and SINT that the message asked for, not to those of the connection. */
struct vmb_host_aside {
	struct vmb_link link;
	uint32_t vp, sint;
	uint32_t relid; /* reserved channels */
};

struct vmb_host_server_counters {
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t undelivered; /* dropped by vmb_host_server_output_drop */
	uint64_t unknown; /* numbers that the version does not have, or of host to guest */
	uint64_t malformed; /* too short, invalid values */
	uint64_t misplaced; /* legal, but not in this state */
};

struct vmb_host_server {
	struct vmb_host_server_config config;
	enum vmb_host_server_state state;
	uint32_t version; /* of the connection */
	uint32_t features; /* of the connection */
	uint32_t target_vp; /* receives all messages */
	uint64_t interrupt_page_gpa; /* below 2.4: a page of guest memory; else 0 */
	uint64_t monitor_gpa[2]; /* parent->child, child->parent: guest pages, or both 0 */
	uint32_t monitors[VMB_MONITOR_GROUP_COUNT]; /* monitor ids that channels have, a bit each */
	/*
	 * With config.monitors: whether the next connection's offers say the ids, also of channels
	 * that are not `monitored`. True after init; the port may change it before it passes on a
	 * contact.
	 */
	bool monitors_wanted;
	bool offers_requested;
	uint32_t connection_id; /* on which the message being handled arrived */
	struct vmb_msg_initiate_contact contact; /* answered when the disconnect is complete */
	bool contact_waiting;
	bool unload_waiting;
	struct vmb_queue posts; /* messages that wait */
	struct vmb_queue events; /* events that wait */
	struct vmb_link version_link, delivered_link, unload_link;
	struct vmb_host_aside refusal, reserved_open, reserved_close;
	struct vmb_link contact_event, unloaded_event, wanted_event;
	struct vmb_msg_version_response response;
	uint32_t response_len;
	bool sockets; /* somebody serves them */
	struct vmb_host_socket_request requests[VMB_HOST_SOCKET_REQUEST_MAX];
	struct vmb_host_answer answers[VMB_HOST_ANSWER_COUNT_MAX]; /* a ring, sent in order */
	uint32_t answer_first;
	uint32_t answer_count;
	uint8_t wanted_message[VMB_MSG_LEN_MAX]; /* the GPADL_HEADER that waits for memory */
	uint32_t wanted_len;
	struct vmb_host_channel *wanted_channel; /* NULL: the guest disconnected meanwhile */
	bool wanted; /* GPADL_WANTED is out, waiting for vmb_host_gpadl_supply */
	struct vmb_link *sending; /* between output and done; NULL when its owner is gone */
	struct vmb_host_server_output out;
	uint8_t out_payload[VMB_MSG_LEN_MAX];
	struct vmb_host_channel *channels[VMB_CHANNEL_COUNT_MAX]; /* by relid */
	struct vmb_host_channel *first; /* in the order of vmb_host_channel_offer */
	struct vmb_host_channel *last;
	struct vmb_host_gpadl *gpadls;
	uint32_t gpadl_count;
	struct vmb_host_server_counters counters;
};

/*
 * Initialises s (the caller's memory). config is copied, config->ram is not. VMB_EINVAL: no VP, or
 * an unknown version bound.
 */
int vmb_host_server_init(struct vmb_host_server *s, const struct vmb_host_server_config *config);

/*
 * Takes one posted message: connection_id and type from the block, payload len bytes in private
 * memory. Returns the hypercall's status (enum vmb_hv_status). SUCCESS: also if the message was
 * invalid and dropped; INVALID_CONNECTION_ID: not a connection of this server; INVALID_PARAMETER:
 * type is not 1, or len outside 8..240; INSUFFICIENT_BUFFERS: the guest must try again, and the
 * message had no effect: events have not been taken, a GPADL_WANTED or MODIFY is not answered, or
 * an earlier answer of the same kind has not been sent yet.
 */
uint32_t vmb_host_server_input(struct vmb_host_server *s, uint32_t connection_id, uint32_t type,
			       const void *payload, uint32_t len);

/* Takes the next event. Returns false if there is none. */
bool vmb_host_server_event(struct vmb_host_server *s, struct vmb_host_event *event);

/*
 * Returns the next message to deliver, or NULL. NULL while events wait, because messages promise
 * what the events do. Valid until _done or the next call of another function; until _done the same
 * message is returned again, unless a disconnect drops it.
 */
const struct vmb_host_server_output *vmb_host_server_output(struct vmb_host_server *s);
void vmb_host_server_output_done(struct vmb_host_server *s);

/*
 * To be called in place of _done if the message cannot be delivered: its VP has no SynIC or no
 * message page, or it goes to another SINT than 2 (the refusal of a contact to another server)
 * whose slot nobody empties. The message is dropped and counted, so that those behind it go on. A
 * guest recovers from a lost message only by a new contact, as on Hyper-V.
 */
void vmb_host_server_output_drop(struct vmb_host_server *s);

/*
 * The machine was reset: everything is closed and released by events, UNLOADED last. No messages
 * are sent.
 */
void vmb_host_server_reset(struct vmb_host_server *s);

#endif
