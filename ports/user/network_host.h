/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's end of a network card without a machine: carries out the core's steps and puts something behind the card.
 *
 *   vmb_user_network_host_init(h, bus, &config)
 *   the guest: vmb_user_network_host_open(h, queue, ...), _close(h, queue)
 *   vmb_user_network_host_step(h) until false: all the work
 *   behind the card: what the guest sends arrives at config.sent, frame by frame, as the guest asked for it; or, if
 *   that is NULL, complete as on a wire (cut, checksums written, VLAN tag in place) at config.wire; what comes from there
 *   goes to the guest by _deliver() (a complete frame) or _give() (one whose facts are known).
 *   vmb_user_network_host_destroy(h)
 *
 * Frames that find no room are dropped and counted, as a network does; the host never waits for the guest. Of what
 * it owes (completions) nothing is dropped: while one does not fit, the queue's ring is not read.
 *
 * Context: everything under *h->lock, which _step, _open and _close take; config's functions are called with it held.
 * Two hosts that pass frames to each other share one lock.
 */
#ifndef PORTS_USER_NETWORK_HOST_H
#define PORTS_USER_NETWORK_HOST_H

#include "host/network.h"
#include "ports/user/network_bus.h"

#define VMB_USER_NETWORK_WIRE_LEN_MAX (64u + 65536u)

struct vmb_user_network_host;

struct vmb_user_network_host_config {
	struct vmb_host_network_config
		network; /* rndis.queue_count_max <= VMB_USER_NETWORK_QUEUE_MAX */
	/* A frame of the guest's; its bytes by vmb_host_network_copy or _slice of h->io. NULL: see wire. */
	void (*sent)(struct vmb_user_network_host *h, uint16_t queue,
		     const struct vmb_host_network_frame *frame);
	/* A frame on the wire: h->wire holds it. mss not 0: a large one, uncut; only if large is set. NULL: nobody is there. */
	void (*wire)(struct vmb_user_network_host *h, uint16_t queue, const uint8_t *bytes,
		     uint32_t len, uint32_t mss);
	bool large; /* the wire takes large frames (checksums written, lengths in the IP header 0 or real) */
	/* After each step: a source of frames. True: something was done. NULL: none. */
	bool (*looked)(struct vmb_user_network_host *h);
	/* A queue has just been opened: the first thing that happens to it. NULL: nothing. */
	void (*opened)(struct vmb_user_network_host *h, uint16_t queue);
	void *arg;
};

struct vmb_user_network_host_queue {
	struct vmb_user_network_end end;
	bool open;
	bool broken; /* the guest broke the protocol: not served until it is closed */
	bool again; /* not all was read */
	bool has_reply; /* a completion that did not fit */
	uint64_t reply_id;
	uint32_t reply_len;
	uint8_t reply[VMB_NET_MESSAGE_LEN_6_1];
};

struct vmb_user_network_host_counters {
	uint64_t frames; /* that the guest sent */
	uint64_t segments; /* frames on the wire */
	uint64_t bad; /* frames that asked for what they are not */
	uint64_t given; /* frames to the guest */
	uint64_t dropped; /* for want of room */
	uint64_t unwanted; /* filtered, or nobody receives */
	uint64_t copied_len; /* bytes of frames that were copied to the guest */
};

struct vmb_user_network_host {
	pthread_mutex_t *lock, own_lock;
	struct vmb_user_network_bus *bus;
	struct vmb_user_network_host_config config;
	struct vmb_host_network network;
	struct vmb_host_network_queue core_queues[VMB_USER_NETWORK_QUEUE_MAX];
	struct vmb_user_network_host_queue queues[VMB_USER_NETWORK_QUEUE_MAX];
	struct vmb_host_network_io io;
	struct vmb_host_offload_piece pieces[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint16_t offered; /* sub-channels */
	struct vmb_user_network_host *peer; /* the card at the other end of the wire, for _switch */
	struct vmb_user_network_host_counters counters;
	uint8_t wire[VMB_USER_NETWORK_WIRE_LEN_MAX];
};

/* lock: shared with another host, or NULL. */
int vmb_user_network_host_init(struct vmb_user_network_host *h, struct vmb_user_network_bus *bus,
			       const struct vmb_user_network_host_config *config,
			       pthread_mutex_t *lock);
void vmb_user_network_host_destroy(struct vmb_user_network_host *h);

/* The guest opens a channel with two rings of ring_len bytes. VMB_ENODEV: not offered. */
int vmb_user_network_host_open(struct vmb_user_network_host *h, uint16_t queue,
			       struct vmb_user_network_end *peer, uint8_t *to_host,
			       uint8_t *to_guest, uint32_t ring_len);
/* Never touches the rings again; with the primary goes what was mapped. */
void vmb_user_network_host_close(struct vmb_user_network_host *h, uint16_t queue);

/* True: something was done, and there may be more. */
bool vmb_user_network_host_step(struct vmb_user_network_host *h);

/*
 * A frame for the guest, as on a wire: its VLAN tag is taken out, its checksums are judged, the filter is asked, a
 * queue is chosen. mss not 0: a large one; cut if the guest takes none. It leaves when the step ends, or with
 * _flush. What vmb_host_network_receive says; anything but 0 is a dropped frame. The lock is held.
 */
int vmb_user_network_host_deliver(struct vmb_user_network_host *h, const uint8_t *bytes,
				  uint32_t len, uint32_t mss);
int vmb_user_network_host_give(struct vmb_user_network_host *h, uint16_t queue,
			       const struct vmb_host_network_received *frame,
			       const struct vmb_host_offload_piece *pieces, uint32_t count);
/* Writes what is ready, on all queues. */
void vmb_user_network_host_flush(struct vmb_user_network_host *h);

/* config.wire that sends every frame back, addresses exchanged, and one that hands it to h->peer. */
void vmb_user_network_host_echo(struct vmb_user_network_host *h, uint16_t queue,
				const uint8_t *bytes, uint32_t len, uint32_t mss);
void vmb_user_network_host_switch(struct vmb_user_network_host *h, uint16_t queue,
				  const uint8_t *bytes, uint32_t len, uint32_t mss);

/* A packet of the test's, past the hook. Takes the lock. */
int vmb_user_network_host_inject(struct vmb_user_network_host *h, uint16_t queue,
				 const struct vmb_user_network_packet *packet);

#endif
