/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A channel that the host offers. Read host/server.h first: its life story, ownership and context
 * hold here.
 */
#ifndef HOST_CHANNEL_H
#define HOST_CHANNEL_H

#include "base/queue.h"
#include "wire/vmbus.h"

struct vmb_host_server;
struct vmb_host_gpadl;

enum vmb_host_channel_state {
	VMB_HOST_CHANNEL_OFFERED, /* known to the server; the guest may or may not have seen it */
	VMB_HOST_CHANNEL_OPENING, /* OPEN event out, waiting for vmb_host_channel_opened */
	VMB_HOST_CHANNEL_OPEN,
	VMB_HOST_CHANNEL_CLOSING, /* CLOSE event out, waiting for vmb_host_channel_closed */
};

struct vmb_host_channel {
	/* filled by the caller before vmb_host_channel_offer */
	struct vmb_guid type_id;
	struct vmb_guid instance_id;
	uint16_t flags; /* VMB_OFFER_FLAG_* */
	uint16_t sub_channel_index; /* 0 = primary */
	uint8_t user[VMB_OFFER_USER_LEN];
	void *port; /* the caller's own */

	/* the server's */
	struct vmb_host_server *server;
	struct vmb_host_channel *next;
	uint32_t relid;
	uint32_t connection_id; /* the guest signals with this one; below 1.1 with VMB_CONNECTION_EVENT */
	uint32_t monitor_id; /* 0..127, or VMB_OFFER_MONITOR_NONE */
	enum vmb_host_channel_state state;
	bool visible; /* the guest has been told of it in this connection, and has not let go of it */
	bool revoked; /* the device is gone: no OPEN any more */
	bool rescind_queued; /* RESCIND is queued or sent */
	bool reopen; /* OPEN arrived while closing: reopen_message */
	bool modifying; /* MODIFY event out, waiting for vmb_host_channel_modified */
	bool modify_valid; /* ... and the channel was not closed since */
	bool modify_answer; /* ... and the guest is owed a response */
	uint32_t target_vp; /* VMB_VP_NONE = no interrupts */
	uint32_t wanted_vp; /* MODIFY: the new one */
	uint32_t open_id;
	struct vmb_host_gpadl *ring; /* while opening, open, closing */
	uint32_t downstream_page;
	uint8_t open_user[VMB_OPEN_USER_LEN];
	uint32_t open_status;
	uint32_t modify_status;
	uint32_t gpadl_count; /* that the guest has lent */
	uint32_t tearing_count; /* of them, those that a TORNDOWN is owed for */
	struct vmb_msg_open reopen_message;
	struct vmb_link offer_link, rescind_link, open_link, modify_link; /* messages */
	struct vmb_link open_event, close_event, modify_event, released_event;
};

/*
 * Gives ch a relid, which it keeps over reconnects, and queues OFFER when the guest has asked for
 * offers. The rest of ch is zeroed by the caller. Offers leave in the order of these calls.
 * VMB_EAGAIN: no relid is free. VMB_EBUSY: a channel with this type, instance and index is still
 * known: wait for its RELEASED. VMB_EINVAL: a sub-channel (index > 0) whose primary is not open.
 * VMB_EOPNOTSUPP: a sub-channel on a connection below 2.4.
 *
 * A sub-channel lives as long as its primary stays open: when that closes, or goes away, it is
 * rescinded. It never outlives its connection either: at a disconnect it is RELEASED, and so it is
 * when the guest lets go of it unasked. The guest asks for new ones by the device's protocol; they
 * may be offered, with the same indexes, while it still holds rescinded ones.
 */
int vmb_host_channel_offer(struct vmb_host_server *s, struct vmb_host_channel *ch);

/*
 * Takes the device away: closes it (CLOSE event when open), answers teardowns that waited for that,
 * then sends RESCIND, a primary's after those of its sub-channels. Event RELEASED follows when the guest has let go, at disconnect at the
 * latest; at once (still as an event) when the guest never saw the offer. No OPEN_RESULT follows
 * RESCIND.
 */
void vmb_host_channel_rescind(struct vmb_host_channel *ch);

/*
 * Answers an OPEN event, exactly once for each. status: 0 = success, the doorbell works already;
 * anything else goes to the guest as it is. When the channel was rescinded or the guest
 * disconnected meanwhile, a CLOSE event follows a success at once.
 */
void vmb_host_channel_opened(struct vmb_host_channel *ch, uint32_t status);

/* Answers a CLOSE event: no thread touches the rings any more. */
void vmb_host_channel_closed(struct vmb_host_channel *ch);

/*
 * Answers a MODIFY event, any time later: from now on the old VP is not interrupted, so no signal that
 * was aimed at it is under way any more. The guest may have taken the old VP away before one arrived: the port signals the new
 * one once, whether or not there is news. status 0 = target_vp is the wanted one, unless the channel was closed meanwhile.
 */
void vmb_host_channel_modified(struct vmb_host_channel *ch, uint32_t status);

/* The channel with this relid, or NULL; relid may be anything. */
struct vmb_host_channel *vmb_host_channel_find(struct vmb_host_server *s, uint32_t relid);

#endif
