/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by server.c, channel.c and gpadl.c; not for others.
 *
 * Handlers get a message that the table in server.c has accepted: the version has it, its length is
 * at least that of its fixed part, and the connection is in a state for it. They return the
 * hypercall's status; INSUFFICIENT_BUFFERS only before they have changed anything. Handlers and the
 * functions that they call never end a disconnect: the public function that was called first calls
 * vmb_host_server_settle last.
 */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include "host/server.h"

enum vmb_host_post {
	VMB_HOST_POST_VERSION,
	VMB_HOST_POST_REFUSAL,
	VMB_HOST_POST_DELIVERED,
	VMB_HOST_POST_UNLOAD,
	VMB_HOST_POST_CONNECT,
	VMB_HOST_POST_OFFER,
	VMB_HOST_POST_RESCIND,
	VMB_HOST_POST_OPEN,
	VMB_HOST_POST_MODIFY,
	VMB_HOST_POST_ANSWER,
};

/*
 * _post queues a message, _unpost takes it back, _notify queues an event. Queueing twice keeps the
 * first place.
 */
void vmb_host_server_post(struct vmb_host_server *s, struct vmb_host_link *link,
			  enum vmb_host_post kind);
void vmb_host_server_unpost(struct vmb_host_server *s, struct vmb_host_link *link);
void vmb_host_server_notify(struct vmb_host_server *s, struct vmb_host_link *link,
			    enum vmb_host_event_type type);

/* Completes a disconnect when nothing prevents it any more. */
void vmb_host_server_settle(struct vmb_host_server *s);

/* Count a message that is dropped. Return SUCCESS. */
uint32_t vmb_host_server_malformed(struct vmb_host_server *s);
uint32_t vmb_host_server_misplaced(struct vmb_host_server *s);

uint32_t vmb_host_channel_input_open(struct vmb_host_server *s, const void *message, uint32_t len);
uint32_t vmb_host_channel_input_close(struct vmb_host_server *s, const void *message, uint32_t len);
uint32_t vmb_host_channel_input_modify(struct vmb_host_server *s, const void *message,
				       uint32_t len);
uint32_t vmb_host_channel_input_released(struct vmb_host_server *s, const void *message,
					 uint32_t len);
uint32_t vmb_host_gpadl_input_header(struct vmb_host_server *s, const void *message, uint32_t len);
uint32_t vmb_host_gpadl_input_body(struct vmb_host_server *s, const void *message, uint32_t len);
uint32_t vmb_host_gpadl_input_teardown(struct vmb_host_server *s, const void *message,
				       uint32_t len);

/* Build the message that owner's entry stands for. Return its length in bytes. */
uint32_t vmb_host_channel_build_offer(struct vmb_host_server *s, void *owner, void *payload);
uint32_t vmb_host_channel_build_rescind(struct vmb_host_server *s, void *owner, void *payload);
uint32_t vmb_host_channel_build_result(struct vmb_host_server *s, void *owner, void *payload);
uint32_t vmb_host_channel_build_modified(struct vmb_host_server *s, void *owner, void *payload);
uint32_t vmb_host_gpadl_build_answer(struct vmb_host_server *s, void *owner, void *payload);

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
