/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by server.c, channel.c, gpadl.c, reserved.c and socket.c; not for ports. The guest's is
 * guest/engine.h.
 *
 * A message to be sent is a link in the server's queue whose tag is the message's number; it is
 * built when it is sent. A task of the port is a link in the other queue whose tag is the event.
 * Handlers and the functions that they call never end a disconnect: the public function that was
 * called first calls vmb_host_server_settle last.
 */
#ifndef HOST_ENGINE_H
#define HOST_ENGINE_H

#include "host/server.h"

/* A link that is queued already keeps its place. */
static inline void vmb_host_server_post(struct vmb_host_server *s, struct vmb_link *link,
					enum vmb_msg_type type)
{
	if (!link->queued)
		link->tag = (uint8_t)type;
	vmb_queue_push(&s->posts, link);
}

/*
 * Takes link back, also from a sender that has it. It no longer matters whether the message is
 * sent.
 */
static inline void vmb_host_server_unpost(struct vmb_host_server *s, struct vmb_link *link)
{
	vmb_queue_remove(&s->posts, link);
	if (s->sending == link)
		s->sending = NULL;
}

static inline void vmb_host_server_notify(struct vmb_host_server *s, struct vmb_link *link,
					  enum vmb_host_event_type type)
{
	if (!link->queued)
		link->tag = (uint8_t)type;
	vmb_queue_push(&s->events, link);
}

/* Counts a message that is dropped. Returns SUCCESS. */
static inline uint32_t vmb_host_server_malformed(struct vmb_host_server *s)
{
	s->counters.malformed++;
	return VMB_HV_SUCCESS;
}

static inline uint32_t vmb_host_server_misplaced(struct vmb_host_server *s)
{
	s->counters.misplaced++;
	return VMB_HV_SUCCESS;
}

/* For builders: sends the message to the VP and SINT in aside. */
void vmb_host_server_aim(struct vmb_host_server *s, const struct vmb_host_aside *aside);

/* Completes a disconnect when nothing prevents it any more. */
void vmb_host_server_settle(struct vmb_host_server *s);

/*
 * Builders fill a zeroed message of VMB_MSG_LEN_MAX bytes, behind its number, and return its length
 * in bytes.
 */
typedef uint32_t vmb_host_server_build(struct vmb_host_server *s, struct vmb_link *link,
				       void *message);

/*
 * Handlers get a message that the table in server.c has accepted: the version has it, its length is
 * at least that of its fixed part, and the connection is in a state for it. They return the
 * hypercall's status; INSUFFICIENT_BUFFERS only before they have changed anything.
 */
typedef uint32_t vmb_host_server_handle(struct vmb_host_server *s, const void *message,
					uint32_t len);

vmb_host_server_build vmb_host_channel_build_offer;
vmb_host_server_build vmb_host_channel_build_rescind;
vmb_host_server_build vmb_host_channel_build_result;
vmb_host_server_build vmb_host_channel_build_modified;
vmb_host_server_handle vmb_host_channel_input_open;
vmb_host_server_handle vmb_host_channel_input_close;
vmb_host_server_handle vmb_host_channel_input_modify;
vmb_host_server_handle vmb_host_channel_input_released;

vmb_host_server_build vmb_host_gpadl_build_created;
vmb_host_server_build vmb_host_gpadl_build_torndown;
vmb_host_server_handle vmb_host_gpadl_input_header;
vmb_host_server_handle vmb_host_gpadl_input_body;
vmb_host_server_handle vmb_host_gpadl_input_teardown;

vmb_host_server_build vmb_host_reserved_build_result;
vmb_host_server_build vmb_host_reserved_build_closed;
vmb_host_server_handle vmb_host_reserved_input_open;
vmb_host_server_handle vmb_host_reserved_input_close;

vmb_host_server_build vmb_host_socket_build_result;
vmb_host_server_handle vmb_host_socket_input_connect;
/* The result was sent, or dropped. */
void vmb_host_socket_result_left(struct vmb_link *link);
/* The guest is gone: nobody waits for answers. */
void vmb_host_socket_forget(struct vmb_host_server *s);

/* Returns whether ch ends with the guest's connection: a device is there for the next one too. */
static inline bool vmb_host_channel_is_passing(const struct vmb_host_channel *ch)
{
	return ch->sub_channel_index || vmb_socket_is_offer(ch->flags);
}

/* Returns the channel that the guest means: it exists and was offered in this connection. */
struct vmb_host_channel *vmb_host_channel_visible(struct vmb_host_server *s, uint32_t relid);

/*
 * The guest is gone or has released ch: no more messages about it are sent, its GPADLs are dropped,
 * and an open device is closed.
 */
void vmb_host_channel_drop(struct vmb_host_channel *ch);

/* Sends RESCIND, or ends the life of a revoked channel, when it is time. */
void vmb_host_channel_settle(struct vmb_host_channel *ch);

/* RELEASED is being reported: from here on ch is its owner's, and its relid is free. */
void vmb_host_channel_forget(struct vmb_host_channel *ch);

/* Releases all GPADLs of ch without an answer, as soon as they are not in use. */
void vmb_host_gpadl_drop_all(struct vmb_host_channel *ch);

/* Returns whether this page frame number names guest memory. */
bool vmb_host_gpadl_in_ram(const struct vmb_host_server *s, uint64_t pfn);

/* Queues OFFER, unless the connection's version cannot have ch. */
void vmb_host_channel_announce(struct vmb_host_channel *ch);

/* vmb_host_gpadl_put without settling the connection. */
void vmb_host_gpadl_unuse(struct vmb_host_gpadl *gpadl);

#endif
