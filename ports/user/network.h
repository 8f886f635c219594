/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of a network card in one process, over shared memory.
 *
 *   vmb_user_network_init(l, &config)
 *   vmb_user_network_guest_open(&l->guest)           handshake, queues, filter
 *   vmb_user_network_guest_send(&l->guest.queues[i], ...); config.guest.received, config.host.wire
 *   vmb_user_network_guest_close(&l->guest)
 *   vmb_user_network_destroy(l)
 *
 * threads true: each end has a thread that sleeps until its eventfd rings. False: the caller's thread steps both ends in turn
 * whenever it waits, so that a test decides what happens between any two steps; vmb_user_network_settle() steps until
 * neither has anything to do.
 *
 * Two cards on one wire: the second one is made with config.peer; frames pass between them when both hosts have
 * config.wire = vmb_user_network_host_switch.
 *
 * The channels are opened by function calls (see ports/user/network_bus.h); ports/user/loopback.h has a bus with messages, for
 * storage.
 */
#ifndef PORTS_USER_NETWORK_H
#define PORTS_USER_NETWORK_H

#include "ports/user/network_guest.h"
#include "ports/user/network_host.h"

struct vmb_user_network;

struct vmb_user_network_config {
	struct vmb_user_network_guest_config guest; /* step and step_arg are filled in */
	struct vmb_user_network_host_config host;
	uint32_t page_count; /* single pages for page ranges; 0 = 1024 */
	struct vmb_user_network *peer; /* the card at the other end of the wire, or NULL */
	bool threads;
};

struct vmb_user_network {
	struct vmb_user_network_config config;
	struct vmb_user_network_bus bus;
	struct vmb_user_network_host host;
	struct vmb_user_network_guest guest;
	pthread_t guest_thread, host_thread;
	bool stop; /* atomic */
};

/* 0 or an enum vmb_error. l is zeroed; with a peer it must be destroyed first. */
int vmb_user_network_init(struct vmb_user_network *l, const struct vmb_user_network_config *config);
/* Closes the guest, without a word, if it is open. */
void vmb_user_network_destroy(struct vmb_user_network *l);

/* One step of each end, the peer's included. True: something was done. Not with threads. */
bool vmb_user_network_step(struct vmb_user_network *l);
void vmb_user_network_settle(struct vmb_user_network *l);

/* Nothing of the guest's is with the host, and nothing is lent or mapped. */
bool vmb_user_network_holds_nothing(const struct vmb_user_network *l);

#endif
