/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the files of the network guest; not for ports.
 *
 *   network.c            the dialogue with the host: messages to be sent, and their answers
 *   network_handshake.c  the steps from INIT to READY
 *   network_control.c    RNDIS requests and messages of the control channel
 *   network_offload.c    offload and RSS structures
 *   network_send.c, network_receive.c   frames
 */
#ifndef GUEST_NETWORK_INTERNAL_H
#define GUEST_NETWORK_INTERNAL_H

#include "guest/network.h"

/*
 * The low half of a control message's transaction id. In a data packet's id it is the slot + 1, so
 * no id is 0.
 */
#define VMB_GUEST_NETWORK_ID_CONTROL 0xFFFFFFFFu

/* What the port's request changes if the host agrees. */
enum vmb_guest_network_asked {
	VMB_GUEST_NETWORK_ASKED_NOTHING,
	VMB_GUEST_NETWORK_ASKED_MAC,
	VMB_GUEST_NETWORK_ASKED_MAC_BACK, /* it took it; whether it has it now */
	VMB_GUEST_NETWORK_ASKED_OFFLOAD,
};

/* A completion of the host, copied and padded with zeroes. */
union vmb_guest_network_message {
	uint32_t type;
	struct vmb_net_init_complete init;
	struct vmb_net_receive_buffer_complete receive_buffer;
	struct vmb_net_send_buffer_complete send_buffer;
	struct vmb_net_rndis_packet_complete rndis;
	struct vmb_net_subchannel subchannel;
};

static inline int vmb_guest_network_malformed(struct vmb_guest_network_counters *counters)
{
	counters->malformed++;
	return VMB_EPROTO;
}

static inline int vmb_guest_network_forged(struct vmb_guest_network_counters *counters)
{
	counters->forged++;
	return VMB_EPROTO;
}

/* Returns whether the port may start a request. */
static inline bool vmb_guest_network_may_ask(const struct vmb_guest_network *n)
{
	return n->state == VMB_GUEST_NETWORK_READY && !n->dialogue.request_waiting;
}

/* Events are reported only while the port uses the card; before and after only fields change. */
static inline void vmb_guest_network_tell(const struct vmb_guest_network *n,
					  struct vmb_guest_network_event *event,
					  enum vmb_guest_network_event_type type)
{
	if (n->state == VMB_GUEST_NETWORK_READY)
		event->type = type;
}

static inline bool vmb_guest_network_mac_sane(const uint8_t mac[VMB_NET_MAC_LEN])
{
	return !(mac[0] & 1) && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/*
 * network.c: fills n->dialogue.out with a message of len bytes. A completion of type answer (0 =
 * none) will answer it.
 */
void vmb_guest_network_post(struct vmb_guest_network *n, const void *message, uint32_t len,
			    uint32_t answer, uint32_t answer_len_min);

/* network_handshake.c */
/*
 * Fills in what the configuration leaves open. VMB_EINVAL: unknown versions, or the receive buffer
 * is too long for them.
 */
int vmb_guest_network_first_version(struct vmb_guest_network *n, uint32_t *step);
void vmb_guest_network_use_version(struct vmb_guest_network *n, uint32_t step);
void vmb_guest_network_advance(struct vmb_guest_network *n, struct vmb_guest_network_event *event);
/*
 * The answer to the current step has arrived: message, or n->answer of an RNDIS request (message is
 * NULL).
 */
void vmb_guest_network_step_answered(struct vmb_guest_network *n,
				     const union vmb_guest_network_message *message,
				     struct vmb_guest_network_event *event);
bool vmb_guest_network_shaking(const struct vmb_guest_network *n);

/* network_control.c: build a request in the control page. Return 0 or VMB_EOVERFLOW. */
int vmb_guest_network_ask_initialize(struct vmb_guest_network *n);
int vmb_guest_network_ask_query(struct vmb_guest_network *n, uint32_t oid, const void *data,
				uint32_t len);
int vmb_guest_network_ask_set(struct vmb_guest_network *n, uint32_t oid, const void *data,
			      uint32_t len);
/* The host has accepted or refused the request that is out. */
void vmb_guest_network_request_taken(struct vmb_guest_network *n, uint32_t status,
				     struct vmb_guest_network_event *event);
/* The port's request has ended with n->answer. */
void vmb_guest_network_request_ended(struct vmb_guest_network *n,
				     struct vmb_guest_network_event *event);

/* network_offload.c */
struct vmb_guest_network_offloads {
	uint32_t offload; /* VMB_GUEST_NETWORK_* */
	uint32_t receive; /* checksums that the host verifies, as VMB_GUEST_NETWORK_TX_* */
	uint32_t lso_len_max, lso_segments_min;
};
/* Reads which offloads the host has, or has enabled. Returns false if data is no such structure. */
bool vmb_guest_network_offload_read(const struct vmb_guest_network *n, const void *data,
				    uint32_t len, struct vmb_guest_network_offloads *offloads);
uint32_t vmb_guest_network_offload_asked(const struct vmb_guest_network *n,
					 struct ndis_offload *input);
uint32_t vmb_guest_network_offload_build(const struct vmb_guest_network *n, uint32_t offload,
					 struct ndis_offload_parameters *parameters);
void vmb_guest_network_rss_read(struct vmb_guest_network *n, const void *data, uint32_t len);

/* network_send.c: a completion of a data packet. */
int vmb_guest_network_sent(struct vmb_guest_network_queue *q, uint64_t transaction_id,
			   const void *payload, uint32_t len,
			   struct vmb_guest_network_event *event);

#endif
