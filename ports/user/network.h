/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of a network card in one process, over shared memory. The host's end is the card of
 * devices/network.h as it ships, with ports/user/wire.h behind it.
 *
 *   vmb_user_network_init(l, &config)
 *   vmb_user_network_guest_open(&l->guest)           handshake, queues, filter
 *   vmb_user_network_guest_send(&l->guest.queues[i], ...); config.guest.received, config.host.wire
 *   vmb_user_network_deliver(l, ...)                 a frame from the wire to the guest
 *   vmb_user_network_guest_close(&l->guest)
 *   vmb_user_network_destroy(l)
 *
 * threads true: the guest has a thread and the card a worker. False: the caller's thread steps both
 * ends in turn whenever it waits, so that a test decides what happens between any two steps;
 * vmb_user_network_settle() steps until neither has anything to do.
 *
 * Two cards on one wire: the second one is made with config.peer; frames pass between them when
 * both have config.host.wire = vmb_user_network_to_peer.
 */
#ifndef PORTS_USER_NETWORK_H
#define PORTS_USER_NETWORK_H

#include "devices/network.h"
#include "ports/user/network_guest.h"
#include "ports/user/wire.h"

struct vmb_user_network;

struct vmb_user_network_host_config {
	/* rndis.queue_count_max <= VMB_USER_NETWORK_QUEUE_MAX */
	struct vmb_host_network_config network;
	/* As sent, taken, looked and large of struct vmb_user_wire. */
	void (*wire)(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes, uint32_t len,
		     uint32_t mss);
	void (*taken)(struct vmb_user_network *l, const struct vmb_dev_net_frame *frame);
	bool (*looked)(struct vmb_user_network *l);
	/*
	 * Called when a channel's rings are mapped, before the guest hears that it is open. May be
	 * NULL.
	 */
	void (*opened)(struct vmb_user_network *l, struct vmb_dev_channel *channel);
	bool large;
	void *arg;
	/* A network that ships, in place of the wire and of its functions; NULL: the wire. */
	const struct vmb_dev_net_option *net;
};

struct vmb_user_network_config {
	struct vmb_user_network_guest_config guest; /* step and step_arg are filled in */
	struct vmb_user_network_host_config host;
	uint32_t page_count; /* of guest memory beside buffers and rings; 0 = 1024 */
	struct vmb_user_network *peer; /* the card at the other end of the wire, or NULL */
	bool threads;
};

struct vmb_user_network {
	struct vmb_user_network_config config;
	struct vmb_user_network_bus bus;
	struct vmb_dev_network *card; /* bus.machine's only device */
	struct vmb_user_wire wire;
	struct vmb_dev_fault fault; /* used when host_hook is set */
	vmb_user_network_hook *host_hook; /* set by _hook_host */
	void *host_hook_arg;
	struct vmb_user_network_guest guest;
	struct vmb_user_network *peer;
	pthread_t guest_thread;
	bool stop; /* atomic */
};

/*
 * Returns 0 or an enum vmb_error. l must be zeroed. A card with a peer must be destroyed before the
 * peer.
 */
int vmb_user_network_init(struct vmb_user_network *l, const struct vmb_user_network_config *config);
/* Closes the guest if it is open, and sends nothing to the host. */
void vmb_user_network_destroy(struct vmb_user_network *l);

/*
 * Steps each end once, including the peer's. Returns whether something was done. Not with threads.
 */
bool vmb_user_network_step(struct vmb_user_network *l);
/* Steps both ends until neither has anything to do. Not with threads. */
void vmb_user_network_settle(struct vmb_user_network *l);

/*
 * Passes a frame from the wire to the guest. len: bytes; mss not 0: a large frame. It leaves with
 * the next step, or with _flush. Returns 0; VMB_EAGAIN: it waits for room; VMB_ENODEV: the guest
 * does not accept it; VMB_EPROTO: it was dropped. Called by the thread that steps
 * the card.
 */
int vmb_user_network_deliver(struct vmb_user_network *l, const uint8_t *bytes, uint32_t len,
			     uint32_t mss);
/* As _deliver, for a frame with known properties and on a given queue. */
int vmb_user_network_give(struct vmb_user_network *l, uint16_t queue,
			  const struct vmb_host_network_received *frame,
			  const struct vmb_host_offload_piece *pieces, uint32_t count);
/*
 * Writes what is ready, on all queues, and reads nothing. Called by the thread that steps the card.
 */
void vmb_user_network_flush(struct vmb_user_network *l);
/* Returns how many interrupts the host sent for a queue, which must be open. */
uint64_t vmb_user_network_interrupts(const struct vmb_user_network *l, uint16_t queue);
/* Returns the host's channel of a queue, for devices/fault.h, or NULL. */
struct vmb_dev_channel *vmb_user_network_channel(struct vmb_user_network *l, uint16_t queue);

/* Sets the hook that sees what the host sends; NULL: none. The card must have no work to do. */
void vmb_user_network_hook_host(struct vmb_user_network *l, vmb_user_network_hook *hook, void *arg);

/*
 * Two functions for config.host.wire: one sends every frame back with its addresses exchanged, one
 * hands it to the peer.
 */
void vmb_user_network_echo(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes,
			   uint32_t len, uint32_t mss);
void vmb_user_network_to_peer(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes,
			      uint32_t len, uint32_t mss);

/* Returns whether the host holds nothing of the guest's, and nothing is lent or mapped. */
bool vmb_user_network_holds_nothing(const struct vmb_user_network *l);

#endif
