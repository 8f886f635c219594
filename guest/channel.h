/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A channel that the host offered, from OFFER to RELID_RELEASED. Read guest/connect.h first: life
 * story, ownership and context are described there.
 */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include "base/queue.h"
#include "wire/vmbus.h"

struct vmb_guest_connect;
struct vmb_guest_gpadl;

enum vmb_guest_channel_state {
	VMB_GUEST_CHANNEL_CLOSED,
	VMB_GUEST_CHANNEL_OPENING, /* OPEN under way */
	VMB_GUEST_CHANNEL_OPEN,
	VMB_GUEST_CHANNEL_CLOSING, /* closed while the host had OPEN: CLOSE follows the result */
};

struct vmb_guest_channel {
	struct vmb_guest_connect *connect;
	struct vmb_msg_offer offer; /* private copy */
	uint32_t relid;
	uint32_t connection_id; /* for HvCallSignalEvent */
	bool dedicated; /* false: also set the interrupt page's bit */
	uint32_t monitor_id; /* 0..127, or VMB_OFFER_MONITOR_NONE */
	bool rescinded;
	bool released; /* RELID_RELEASED is queued or sent: no other message follows */
	enum vmb_guest_channel_state state;
	uint32_t target_vp;
	uint32_t wanted_vp; /* MODIFY_CHANNEL under way */
	bool modifying;
	uint32_t open_id; /* of the last OPEN; its result must repeat it */
	uint32_t gpadl_id;
	uint32_t downstream_page;
	uint8_t user[VMB_OPEN_USER_LEN];
	struct vmb_link open_link;
	struct vmb_link close_link;
	struct vmb_link modify_link;
	struct vmb_link release_link;
	void *port; /* the caller's own */
};

/*
 * Links ch (zeroed by the caller) into c under offer->relid. Must be called before the next message
 * is put in, or a RESCIND of the offer finds no channel. VMB_EBUSY: the relid is taken, or not
 * connected; VMB_EINVAL: invalid relid.
 */
int vmb_guest_channel_add(struct vmb_guest_connect *c, struct vmb_guest_channel *ch,
			  const struct vmb_msg_offer *offer);

/* Returns the channel with this relid, or NULL. relid may be any number. */
struct vmb_guest_channel *vmb_guest_channel_find(struct vmb_guest_connect *c, uint32_t relid);

/*
 * Queues OPEN. gpadl: the established ring memory, which must belong to ch; downstream_page: pages
 * of the upstream ring, control page included; target_vp: VP to interrupt, or VMB_VP_NONE (below
 * 2.4 it is always VP 0, and ch->target_vp says so); user: user_len <= 120 bytes for the device,
 * copied. Each ring must have a control page and at least one data page. VMB_EBUSY: not closed, or
 * the GPADL is not READY; VMB_ENODEV: rescinded or released; VMB_EINVAL: not this channel's GPADL,
 * not whole pages, rings too small.
 */
int vmb_guest_channel_open(struct vmb_guest_channel *ch, const struct vmb_guest_gpadl *gpadl,
			   uint32_t downstream_page, uint32_t target_vp, const void *user,
			   uint32_t user_len);

/*
 * Queues CLOSE. Before, the caller must make sure that its interrupt path no longer touches the
 * rings. CLOSE has no answer: the host lets go when the ring's GPADL is torn down. An OPEN that was
 * not sent yet is dropped. If OPEN was sent, CLOSE waits for its result, which is then no event. If
 * a RESCIND arrived while the host had OPEN, there is nothing to close. VMB_EBUSY: neither open nor
 * opening.
 */
int vmb_guest_channel_close(struct vmb_guest_channel *ch);

/*
 * Queues MODIFY_CHANNEL: interrupts go to target_vp from now on. From 5.3 on the event
 * MODIFY_RESULT follows. Before 5.3 nothing follows, and the caller must keep serving the old VP.
 * VMB_EOPNOTSUPP: below 4.1; VMB_EBUSY: not open, or one is under way; VMB_ENODEV: rescinded;
 * VMB_EINVAL: VMB_VP_NONE, now or when it was opened.
 */
int vmb_guest_channel_modify(struct vmb_guest_channel *ch, uint32_t target_vp);

/*
 * Queues RELID_RELEASED, the last message about a channel. The relid is free for a new offer as
 * soon as the message was sent; ch belongs to the engine until then, see vmb_guest_channel_gone().
 * A sub-channel may be released without a RESCIND; a RESCIND that crosses the release is neither an
 * event nor an error (docs/protocol/bus.md, "4.5 A connection, host side": the host accepts
 * RELID_RELEASED of a closed channel). VMB_EBUSY: a primary that was not rescinded, a channel that
 * is not closed or has a GPADL left, or was released before.
 */
int vmb_guest_channel_release(struct vmb_guest_channel *ch);

/* Returns true when the engine holds no reference to ch any more. */
bool vmb_guest_channel_gone(const struct vmb_guest_channel *ch);

/*
 * Unlinks ch and its GPADLs without telling the host: after UNLOADED, or when the caller gives up.
 */
void vmb_guest_channel_remove(struct vmb_guest_channel *ch);

#endif
