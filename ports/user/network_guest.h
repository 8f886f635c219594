/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest's network driver without a virtual machine.
 *
 *   vmb_user_network_guest_init(g, bus, &config)
 *   vmb_user_network_guest_open(g)      buffers, primary channel, handshake, sub-channels, RSS,
 *                                       packet filter
 *   vmb_user_network_guest_send(q, &frame, more), _push(q); config.received gets frames that come,
 *     config.sent completions; vmb_user_network_guest_query(g, ...), _set(g, ...)
 *   vmb_user_network_guest_close(g)     filter, halt, waits for what is under way, revokes buffers,
 *                                       closes channels, frees everything
 *   vmb_user_network_guest_destroy(g)
 *
 * These functions wait: with threads until the poll has done the work, else by stepping both ends
 * (config.step) until it is done or neither end has anything left to do.
 * vmb_user_network_guest_step(g) is the poll of all queues.
 *
 * Acknowledgements and frames share a ring. While either does not fit, nothing else is written
 * there, since a packet that still finds room would withdraw the wish for more; acknowledgements go
 * first (docs/known-bugs.md, "27 Send queue: stop and wake race").
 *
 * Locks, in the order in which they may be taken: g->lock (the dialogue; held while the primary is
 * polled), q->poll_lock (one poll of a queue at a time), q->lock (the sender and the ring's
 * writer). config's functions are called by the poll with the first two held (g->lock for queue 0
 * only); _send and _push may be called from them.
 */
#ifndef PORTS_USER_NETWORK_GUEST_H
#define PORTS_USER_NETWORK_GUEST_H

#include "guest/network.h"
#include "ports/user/network_bus.h"

#define VMB_USER_NETWORK_SLOT_MAX 1024u

struct vmb_user_network_guest;
struct vmb_user_network_queue;

/* len bytes of one page. */
struct vmb_user_network_range {
	uint64_t pfn;
	uint32_t offset, len;
};

/* A frame to be sent: rndis.len bytes, the first inline_len at bytes, the others in ranges. */
struct vmb_user_network_frame {
	struct vmb_guest_rndis_frame rndis;
	const uint8_t *bytes;
	uint32_t inline_len;
	const struct vmb_user_network_range *ranges;
	uint32_t range_count;
	void *cookie; /* of the packet: that of its last frame is used */
};

struct vmb_user_network_guest_config {
	uint32_t version_min, version_max; /* VMB_NET_VERSION_*, 0 = the engine's */
	uint32_t mtu; /* 0 = 1500 */
	uint16_t queue_count; /* 0 = 1 */
	bool rsc;
	uint32_t receive_len, send_len; /* bytes, 0 = 2 MiB and 1 MiB */
	uint32_t ring_pages; /* of each ring, control page included; 0 = 16 */
	/* of each queue, a power of two, 0 = 64: fewer if there are fewer sections */
	uint32_t slot_count;
	uint32_t filter; /* RNDIS_FILTER_*, 0 = directed, multicast and broadcast */
	/* These are called by the poll; each may be NULL. */
	void (*received)(struct vmb_user_network_queue *q,
			 const struct vmb_guest_network_frame *frame);
	void (*sent)(struct vmb_user_network_queue *q, const struct vmb_guest_network_event *event);
	void (*event)(struct vmb_user_network_guest *g,
		      const struct vmb_guest_network_event *event);
	/* Called after each look at a queue: the time to send more. */
	void (*looked)(struct vmb_user_network_queue *q);
	void *arg;
	/* Steps both ends. Returns whether something was done. NULL: threads step them. */
	bool (*step)(void *step_arg);
	void *step_arg;
};

struct vmb_user_network_queue {
	struct vmb_user_network_guest *guest;
	uint16_t index;
	struct vmb_user_network_end end;
	uint8_t *rings; /* to the host, to the guest */
	struct vmb_guest_network_slot *slots;
	uint32_t *free_slots;
	uint64_t *owed;
	/* the poll's, under poll_lock */
	pthread_mutex_t poll_lock;
	bool open; /* atomic: the rings may be used */
	bool again; /* not all was read */
	struct vmb_guest_network_receive receive;
	uint64_t received_frames, received_len, ack_count;
	uint64_t refused; /* packets that the core refused */
	bool mute; /* for tests: the poll does not write the acknowledgements that it owes */
	/* under lock */
	pthread_mutex_t lock VMB_CACHE_ALIGNED;
	struct vmb_guest_network_queue core;
	bool waiting; /* for room to write something */
	void *cookie; /* of the last frame that was put */
	bool has_packet; /* a sealed packet that did not fit */
	struct vmb_guest_network_packet packet;
	uint32_t packet_header_len;
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct {
			struct vmb_gpa_range range;
			uint64_t pfn;
		} VMB_PACKED pages[VMB_NET_PAGE_COUNT_MAX];
	} VMB_PACKED packet_header;
	uint64_t sent_frames, sent_packets, copied_len;
};

struct vmb_user_network_guest {
	struct vmb_user_network_bus *bus;
	struct vmb_user_network_guest_config config;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct vmb_guest_network network;
	uint64_t control_pfn;
	bool ready; /* the handshake has ended */
	bool usable; /* ... and queue 0 has its sections */
	bool failed;
	bool answered;
	uint32_t queue_count; /* open */
	struct vmb_user_network_queue queues[VMB_USER_NETWORK_QUEUE_MAX];
};

/* Prepares a zeroed guest on bus, which must outlive it. Returns 0 or an enum vmb_error. */
int vmb_user_network_guest_init(struct vmb_user_network_guest *g, struct vmb_user_network_bus *bus,
				const struct vmb_user_network_guest_config *config);
/* The guest must be closed, and no other thread may be using g. */
void vmb_user_network_guest_destroy(struct vmb_user_network_guest *g);

/*
 * Returns 0; VMB_EIO: the host refused; VMB_EAGAIN: it does not answer; VMB_ENOMEM. The caller must
 * call _close after an error too.
 */
int vmb_user_network_guest_open(struct vmb_user_network_guest *g);
/*
 * Returns 0, or VMB_EAGAIN if the host has not completed all packets; these end with status
 * VMB_NET_STATUS_NONE. Frees everything in either case.
 */
int vmb_user_network_guest_close(struct vmb_user_network_guest *g);
/* As _close, but sends nothing to the host. */
void vmb_user_network_guest_abandon(struct vmb_user_network_guest *g);

/*
 * Sends a query or set and waits; the answer is in g->network.answer. Returns 0, an error of the
 * core, VMB_EAGAIN: no answer, or VMB_EIO: the host's status is an error.
 */
int vmb_user_network_guest_query(struct vmb_user_network_guest *g, uint32_t oid, const void *data,
				 uint32_t len);
int vmb_user_network_guest_set(struct vmb_user_network_guest *g, uint32_t oid, const void *data,
			       uint32_t len);
/*
 * Waits for the end of a request that was begun with g->lock held. begun: what the core's begin
 * function returned.
 */
int vmb_user_network_guest_finish(struct vmb_user_network_guest *g, int begun);

/*
 * Copies the inline bytes and queues the frame. more: others follow and may share its packet;
 * without more it leaves now. Returns 0; VMB_EAGAIN: no slot or no room, and config.looked is
 * called when that may have changed; VMB_ENODEV: not open; else the error of
 * vmb_guest_network_put().
 */
int vmb_user_network_guest_send(struct vmb_user_network_queue *q,
				const struct vmb_user_network_frame *frame, bool more);
/* Sends the packet that is being filled, and publishes. */
void vmb_user_network_guest_push(struct vmb_user_network_queue *q);

/* Returns the queue by which a frame with this hash leaves. */
struct vmb_user_network_queue *vmb_user_network_guest_queue(struct vmb_user_network_guest *g,
							    uint32_t hash);

/* Polls all queues once. Returns whether something was done; then there may be more. */
bool vmb_user_network_guest_step(struct vmb_user_network_guest *g);
/* Makes the poll look at a queue although the host did not signal. */
void vmb_user_network_guest_kick(struct vmb_user_network_queue *q);

/*
 * Writes a packet of a test without the hook. Takes q->lock. Returns what vmb_ring_write() returns.
 */
int vmb_user_network_guest_inject(struct vmb_user_network_queue *q,
				  const struct vmb_dev_packet *packet);

#endif
