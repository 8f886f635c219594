/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by connect.c, channel.c, gpadl.c and socket.c; not for ports.
 *
 * A message to be sent is a link in the connection's queue; the link's tag is the message's number.
 * The link stays in the queue while the sender has the message (between output and done), because
 * its answer may arrive before the sender has reported that it was sent. From then on an answer is
 * legal: vmb_guest_connect_handed().
 */
#ifndef GUEST_ENGINE_H
#define GUEST_ENGINE_H

#include "guest/connect.h"
#include "guest/socket.h"

static inline void vmb_guest_connect_post(struct vmb_guest_connect *c, struct vmb_link *link,
					  enum vmb_msg_type type)
{
	if (!link->queued)
		link->tag = (uint8_t)type;
	vmb_queue_push(&c->posts, link);
}

/*
 * Takes link back, also from a sender that has it. It no longer matters whether the message is
 * sent.
 */
static inline void vmb_guest_connect_unpost(struct vmb_guest_connect *c, struct vmb_link *link)
{
	vmb_queue_remove(&c->posts, link);
	if (c->sending == link)
		c->sending = NULL;
}

/* Returns whether the host may have seen the message that was last posted with link. */
static inline bool vmb_guest_connect_handed(const struct vmb_guest_connect *c,
					    const struct vmb_link *link)
{
	return !link->queued || c->sending == link;
}

static inline int vmb_guest_connect_malformed(struct vmb_guest_connect *c)
{
	c->counters.malformed++;
	return VMB_EPROTO;
}

static inline int vmb_guest_connect_unsolicited(struct vmb_guest_connect *c)
{
	c->counters.unsolicited++;
	return VMB_EPROTO;
}

/*
 * Builders fill a zeroed message of VMB_MSG_LEN_MAX bytes, behind its number, and return its
 * length. The _left functions return whether link has more to send; its new tag says what.
 */
typedef uint32_t vmb_guest_connect_build(struct vmb_guest_connect *c, struct vmb_link *link,
					 void *message);
typedef bool vmb_guest_connect_left(struct vmb_guest_connect *c, struct vmb_link *link);

/*
 * Handlers get a message in a legal state; it has at least the length that the table in connect.c
 * gives.
 */
typedef int vmb_guest_connect_handle(struct vmb_guest_connect *c, const void *message, uint32_t len,
				     struct vmb_guest_event *event);

vmb_guest_connect_build vmb_guest_channel_build_open;
vmb_guest_connect_build vmb_guest_channel_build_close;
vmb_guest_connect_build vmb_guest_channel_build_modify;
vmb_guest_connect_build vmb_guest_channel_build_release;
vmb_guest_connect_left vmb_guest_channel_modify_left;
vmb_guest_connect_handle vmb_guest_channel_offered;
vmb_guest_connect_handle vmb_guest_channel_rescinded;
vmb_guest_connect_handle vmb_guest_channel_opened;
vmb_guest_connect_handle vmb_guest_channel_modified;

vmb_guest_connect_build vmb_guest_gpadl_build_header;
vmb_guest_connect_build vmb_guest_gpadl_build_body;
vmb_guest_connect_build vmb_guest_gpadl_build_teardown;
vmb_guest_connect_left vmb_guest_gpadl_part_left;
vmb_guest_connect_handle vmb_guest_gpadl_created;
vmb_guest_connect_handle vmb_guest_gpadl_torndown;

vmb_guest_connect_build vmb_guest_socket_build_dial;
vmb_guest_connect_handle vmb_guest_socket_refused;

/* Takes the dial that offer answers, or returns NULL. */
struct vmb_guest_dial *vmb_guest_socket_answered(struct vmb_guest_connect *c,
						 const struct vmb_msg_offer *offer);

/* Returns true while the host may hold a GPADL of ch. */
bool vmb_guest_gpadl_any(const struct vmb_guest_connect *c, const struct vmb_guest_channel *ch);

#endif
