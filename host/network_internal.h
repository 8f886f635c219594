/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the files of the host's network protocol: network.c has the messages and the handshake,
 * network_send.c frames from the guest, network_receive.c frames to the guest and the receive
 * buffer.
 */
#ifndef HOST_NETWORK_INTERNAL_H
#define HOST_NETWORK_INTERNAL_H

#include "host/network.h"

/*
 * Prepares io's reply: type and body (which begins with the type), padded to the version's length.
 */
void vmb_host_network_reply(const struct vmb_host_network *n, struct vmb_host_network_io *io,
			    const void *message, uint32_t len);
/* Returns REPLY if the guest wants one, else NOTHING. */
int vmb_host_network_finish(const struct vmb_host_network_io *io);
/* The same with the completion of SEND_RNDIS_PACKET. */
int vmb_host_network_send_reply(struct vmb_host_network *n, struct vmb_host_network_io *io,
				uint32_t status);

/* A queue was opened or closed. */
void vmb_host_network_queues_count(struct vmb_host_network *n);

/* Handles SEND_RNDIS_PACKET: SEND, CONTROL, or refused. */
int vmb_host_network_send_input(struct vmb_host_network *n, struct vmb_host_network_io *io,
				const struct vmb_host_network_packet *packet);

/* The receive buffer is shared: all of its suballocations are free. */
void vmb_host_network_receive_start(struct vmb_host_network *n);
/*
 * The receive buffer must not be touched any more: what the guest holds and what waits is
 * forgotten.
 */
void vmb_host_network_receive_stop(struct vmb_host_network *n);
/* Drops frames that have not been sent. */
void vmb_host_network_receive_flush(struct vmb_host_network *n);
/* The guest has given transaction_id back. */
void vmb_host_network_receive_ack(struct vmb_host_network *n, uint16_t queue,
				  uint64_t transaction_id);

#endif
