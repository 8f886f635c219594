/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A channel that the host offers. Read host/server.h first: life story, ownership and context are
 * described there.
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
	uint16_t mmio_mib; /* of address space that the guest is to find for it; 0: none */
	/* it has a monitor id for every guest, as drivers in user space want */
	bool monitored;
	void *port; /* the caller's own */

	/* the server's */
	struct vmb_host_server *server;
	struct vmb_host_channel *next;
	uint32_t relid;
	uint32_t connection_id; /* the guest signals on it; below 1.1 on VMB_CONNECTION_EVENT */
	uint32_t monitor_id; /* 0..127, or VMB_OFFER_MONITOR_NONE */
	enum vmb_host_channel_state state;
	bool visible; /* offered in this connection, and not released by the guest */
	bool revoked; /* the device is gone: OPEN is refused */
	bool rescind_queued; /* RESCIND is queued or sent */
	bool reopen; /* OPEN arrived while closing: reopen_message */
	bool modifying; /* MODIFY event out, waiting for vmb_host_channel_modified */
	bool modify_valid; /* ... and the channel was not closed meanwhile */
	bool modify_answer; /* ... and the guest must get a response */
	uint32_t target_vp; /* VMB_VP_NONE = no interrupts */
	uint32_t wanted_vp; /* MODIFY: the new one */
	uint32_t open_id;
	struct vmb_host_gpadl *ring; /* while opening, open, closing */
	uint32_t downstream_page;
	uint8_t open_user[VMB_OPEN_USER_LEN];
	uint32_t open_status;
	uint32_t modify_status;
	uint32_t gpadl_count; /* that the guest has lent */
	uint32_t tearing_count; /* of them, those whose TORNDOWN is due */
	struct vmb_msg_open reopen_message;
	struct vmb_link offer_link, rescind_link, open_link, modify_link; /* messages */
	struct vmb_link open_event, close_event, modify_event, released_event;
};

/*
 * Gives ch a relid, which it keeps over reconnects, and queues OFFER when the guest has asked for
 * offers. The caller must have zeroed the rest of ch. Offers are sent in the order of these calls.
 * VMB_EAGAIN: no relid is free; VMB_EBUSY: a channel with this type, instance and index still
 * exists: wait for its RELEASED; VMB_EINVAL: a sub-channel (index > 0) whose primary is not open;
 * VMB_EOPNOTSUPP: a sub-channel on a connection below 2.4.
 *
 * A sub-channel lives as long as its primary stays open: when the primary closes or goes away, the
 * sub-channel is rescinded. It never outlives its connection: at a disconnect it is RELEASED. It is
 * also RELEASED when the guest releases it without a RESCIND. The guest asks for new sub-channels
 * by the device's protocol; they may be offered, with the same indexes, while the guest still holds
 * rescinded ones.
 */
int vmb_host_channel_offer(struct vmb_host_server *s, struct vmb_host_channel *ch);

/*
 * Takes the device away: closes the channel (event CLOSE if it is open), answers teardowns that
 * waited for that, then sends RESCIND, for a primary after those of its sub-channels. The event
 * RELEASED follows when the guest has released the channel, at a disconnect at the latest; at once
 * (still as an event) if the guest never saw the offer. No OPEN_RESULT follows RESCIND.
 */
void vmb_host_channel_rescind(struct vmb_host_channel *ch);

/*
 * Must be called exactly once for each event OPEN. status: 0 = success, and the doorbell already
 * works; any other value goes to the guest unchanged. If the channel was rescinded or the guest
 * disconnected meanwhile, an event CLOSE follows a success at once.
 */
void vmb_host_channel_opened(struct vmb_host_channel *ch, uint32_t status);

/* Must be called for each event CLOSE, when no thread touches the rings any more. */
void vmb_host_channel_closed(struct vmb_host_channel *ch);

/*
 * Must be called for each event MODIFY, at any later time, when the old VP is no longer interrupted
 * and no signal to it is under way. The guest may have taken the old VP away before a signal
 * arrived there, so the port must signal the new VP once, whether or not there is news. status 0:
 * target_vp becomes the wanted one, unless the channel was closed meanwhile.
 */
void vmb_host_channel_modified(struct vmb_host_channel *ch, uint32_t status);

/*
 * Returns the monitor id that the guest was told, 0..127, or VMB_OFFER_MONITOR_NONE. It is the same
 * from a contact to the next.
 */
uint32_t vmb_host_channel_monitor(const struct vmb_host_channel *ch);

/* Returns the channel with this relid, or NULL. relid may be any number. */
struct vmb_host_channel *vmb_host_channel_find(struct vmb_host_server *s, uint32_t relid);

#endif
