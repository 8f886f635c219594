/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's message engine: answers a guest's connection, offers channels, assembles the memory
 * that the guest shares (GPADLs). Messages that the guest posted in, messages and events out; no
 * memory of its own, no waiting.
 *
 * Life story:
 *
 *   vmb_host_server_init(s, &config);
 *   vmb_host_channel_offer(s, ch) for each device, at any time
 *   for every HvCallPostMessage on our connections (block already copied to private memory):
 *     status = vmb_host_server_input(s, connection_id, type, payload, len)  -> the hypercall's result
 *   after every call, first all events, then send what waits:
 *     while (vmb_host_server_event(s, &event)) switch (event.type)
 *       GPADL_WANTED    allocate, vmb_host_gpadl_supply()
 *       GPADL_RELEASED  unmap, free
 *       OPEN            map the rings, make the doorbell work, start the device, vmb_host_channel_opened()
 *       CLOSE           stop the device, vmb_host_channel_closed() when no thread touches the rings any more
 *       MODIFY          interrupt another VP, vmb_host_channel_modified()
 *       RELEASED        the channel was rescinded and the guest is done with it: free it
 *     while ((out = vmb_host_server_output(s)))
 *       deliver to VP out->target_vp, SINT out->target_sint; vmb_host_server_output_done(s);
 *       or stop when the slot is busy; or vmb_host_server_output_drop(s) when that VP takes no messages
 *   vmb_host_channel_rescind(ch) takes a device away.
 *   vmb_host_server_reset(s): the machine was reset: as if the guest had unloaded, without an answer.
 *
 * INITIATE_CONTACT at any time and UNLOAD disconnect first: CLOSE events for open channels, then
 * GPADL_RELEASED for every GPADL; the answer is queued when all are confirmed. Messages that wait
 * then are dropped: the guest has given up what they are about.
 *
 * Ownership: channels and GPADLs are the caller's memory, lent until RELEASED and GPADL_RELEASED.
 * Their fields are read-only for the caller, but for `port`.
 * Context: all functions of host/server, host/channel and host/gpadl that share one struct
 * vmb_host_server are serialised by the caller.
 * One reply per request, in the order of the requests' completion: a request whose answer has no
 * room yet is not taken (INSUFFICIENT_BUFFERS), so nothing that the guest does makes the server
 * grow or forget.
 * Versions before 2.4 (Windows Server 2008 and 2008 R2): all interrupts go to VP 0 by the interrupt page, see
 * host/doorbell.h; only channels with relids below 256 are offered, and no sub-channels; before 1.1
 * guests signal all of them on VMB_CONNECTION_EVENT, and UNLOAD has no answer. A contact without a usable
 * interrupt page is refused.
 * Reserved channels are not served: OPEN_RESERVED is refused, CLOSE_RESERVED answered, in any state.
 * Dropped and counted as unknown: what needs a feature flag (25, 27, 29).
 * A guest's mistake never stops the server: it is counted, answered where an answer exists, else
 * dropped.
 * Source: protocol reference, vmbus sections 2 to 4 and 11.
 */
#ifndef HOST_SERVER_H
#define HOST_SERVER_H

#include "base/queue.h"
#include "host/channel.h"
#include "host/gpadl.h"
#include "wire/vmbus.h"

#define VMB_HOST_GPADL_COUNT_MAX   1024u /* at most so many GPADLs a connection */
#define VMB_HOST_GPADL_FAILURE_MAX 16u /* failure answers that can wait */

/* Each GPADL has room for its CREATED and its TORNDOWN set aside. */
#define VMB_HOST_ANSWER_COUNT_MAX  (2 * VMB_HOST_GPADL_COUNT_MAX + VMB_HOST_GPADL_FAILURE_MAX)

enum vmb_host_server_state {
	VMB_HOST_DISCONNECTED,
	VMB_HOST_CONNECTED,
	VMB_HOST_DISCONNECTING, /* devices are closing; then UNLOAD_COMPLETE, a new contact's answer, or silence */
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
	bool monitors; /* offers get monitor ids, and the port scans their pages: see host/doorbell.h */
};

enum vmb_host_event_type {
	/* A connection was established: server->version, target_vp, interrupt_page_gpa, monitor_gpa */
	VMB_HOST_EVENT_CONTACT,
	VMB_HOST_EVENT_OPEN,
	VMB_HOST_EVENT_CLOSE,
	VMB_HOST_EVENT_MODIFY,
	VMB_HOST_EVENT_GPADL_WANTED,
	VMB_HOST_EVENT_GPADL_RELEASED,
	VMB_HOST_EVENT_RELEASED,
	VMB_HOST_EVENT_UNLOADED, /* all is closed and released */
};

struct vmb_host_event {
	enum vmb_host_event_type type;
	struct vmb_host_channel *channel; /* OPEN, CLOSE, MODIFY, RELEASED, GPADL_* */
	struct vmb_host_gpadl *gpadl; /* GPADL_RELEASED */
	uint32_t ranges_len; /* GPADL_WANTED: bytes of range list to hold, a multiple of 8 */
};

struct vmb_host_server_output {
	uint32_t target_vp;
	uint32_t target_sint; /* 2, but for answers that were asked for on another */
	uint32_t len; /* bytes of payload */
	const void *payload;
};

/* GPADL_CREATED or GPADL_TORNDOWN that waits; the GPADL itself may be gone. */
struct vmb_host_answer {
	struct vmb_link link;
	uint32_t relid;
	uint32_t gpadl_id;
	uint32_t status;
};

/* An answer that goes where the message asked for, not where the connection lives. */
struct vmb_host_aside {
	struct vmb_link link;
	uint32_t vp, sint;
	uint32_t relid; /* reserved channels */
};

struct vmb_host_server_counters {
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t undelivered; /* dropped by vmb_host_server_output_drop */
	uint64_t unknown; /* numbers that the version does not have, or host-to-guest ones */
	uint64_t malformed; /* too short, impossible values */
	uint64_t misplaced; /* legal, but not in this state */
};

struct vmb_host_server {
	struct vmb_host_server_config config;
	enum vmb_host_server_state state;
	uint32_t version; /* of the connection */
	uint32_t features; /* of the connection */
	uint32_t target_vp; /* receives all messages */
	uint64_t interrupt_page_gpa; /* below 2.4: a page of guest memory; else 0 */
	uint64_t monitor_gpa[2]; /* parent->child, child->parent: pages of guest memory, or both 0 */
	uint32_t monitors[VMB_MONITOR_GROUP_COUNT]; /* monitor ids that channels have, a bit each */
	bool offers_requested;
	uint32_t connection_id; /* on which the message being judged came */
	struct vmb_msg_initiate_contact contact; /* to be answered when the disconnect is complete */
	bool contact_waiting;
	bool unload_waiting;
	struct vmb_queue posts; /* messages that wait */
	struct vmb_queue events; /* events that wait */
	struct vmb_link version_link, delivered_link, unload_link, connect_link;
	struct vmb_host_aside refusal, reserved_open, reserved_close;
	struct vmb_link contact_event, unloaded_event, wanted_event;
	struct vmb_msg_version_response response;
	uint32_t response_len;
	struct vmb_msg_tl_connect_result connect_result;
	struct vmb_host_answer answers[VMB_HOST_ANSWER_COUNT_MAX]; /* a ring: they leave in order */
	uint32_t answer_first;
	uint32_t answer_count;
	uint8_t wanted_message[VMB_MSG_LEN_MAX]; /* the GPADL_HEADER that waits for memory */
	uint32_t wanted_len;
	struct vmb_host_channel *wanted_channel; /* NULL: the guest has gone meanwhile */
	bool wanted; /* GPADL_WANTED is out, waiting for vmb_host_gpadl_supply */
	struct vmb_link *sending; /* between output and done; NULL when its owner vanished */
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
 * Prepares s (the caller's memory); config is copied, config->ram is not. VMB_EINVAL: no VP,
 * unknown version bound.
 */
int vmb_host_server_init(struct vmb_host_server *s, const struct vmb_host_server_config *config);

/*
 * One posted message: connection_id and type from the block, payload len bytes in private memory.
 * Answers the hypercall's status (enum vmb_hv_status): SUCCESS also when the message was dropped
 * for being no good; INVALID_CONNECTION_ID: not our connection; INVALID_PARAMETER: type not 1 or
 * len outside 8..240; INSUFFICIENT_BUFFERS: come again: events have not been taken, a GPADL_WANTED
 * or MODIFY is not answered, or an earlier answer of the same kind has not left yet. The message
 * had no effect then.
 */
uint32_t vmb_host_server_input(struct vmb_host_server *s, uint32_t connection_id, uint32_t type,
			       const void *payload, uint32_t len);

/* The next thing for the port to do. False: nothing. */
bool vmb_host_server_event(struct vmb_host_server *s, struct vmb_host_event *event);

/*
 * The next message to deliver, or NULL; NULL while events wait, because messages promise what the
 * events do. Valid until _done or the next call of another function; until _done the same message
 * comes again, unless a disconnect drops it.
 */
const struct vmb_host_server_output *vmb_host_server_output(struct vmb_host_server *s);
void vmb_host_server_output_done(struct vmb_host_server *s);

/*
 * In place of _done: the message cannot be delivered, because its VP has no SynIC or no message page, or
 * because it goes to another SINT than 2 (the refusal of a contact that is not ours) whose slot nobody empties. It is dropped
 * and counted, so that those behind it go on. What a guest misses so it gets back by a new contact only, as on Hyper-V.
 */
void vmb_host_server_output_drop(struct vmb_host_server *s);

/*
 * The machine was reset: everything is closed and released by events, UNLOADED last; no messages
 * are sent.
 */
void vmb_host_server_reset(struct vmb_host_server *s);

#endif
