/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of RNDIS, bytes only: it knows nothing of VMBus, buffers or queues.
 *
 * Requests are built in the caller's memory and are identified by request_id. Replies and
 * indications are validated in a private copy. A frame to be sent is an envelope (header and
 * per-packet information) and data. Of a received frame the envelope is copied and validated here;
 * the data stays where it is.
 *
 * Context: any; no state.
 * Source: docs/protocol/network.md, "8 RNDIS", "9 RNDIS packets".
 */
#ifndef GUEST_RNDIS_H
#define GUEST_RNDIS_H

#include "wire/rndis.h"

/* Which fields of a frame are valid. */
#define VMB_GUEST_RNDIS_CHECKSUM  0x01u
#define VMB_GUEST_RNDIS_LSO	  0x02u /* out only */
#define VMB_GUEST_RNDIS_VLAN	  0x04u
#define VMB_GUEST_RNDIS_HASH	  0x08u /* hash value */
#define VMB_GUEST_RNDIS_HASH_TYPE 0x10u /* in only */
#define VMB_GUEST_RNDIS_PACKET_ID 0x20u /* in only: a fragment of a coalesced frame */

/* The longest envelope that is built: header, checksum, LSO, VLAN, hash. */
#define VMB_GUEST_RNDIS_ENVELOPE_LEN_MAX \
	(sizeof(struct rndis_packet) + 4 * (sizeof(struct rndis_info) + 4))
/* The longest envelope that is parsed in a received message, from its first byte. */
#define VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX 320u

/*
 * A frame and its properties, with the values of the protocol: RNDIS_TX_CHECKSUM_*,
 * RNDIS_RX_CHECKSUM_*, RNDIS_LSO_*.
 */
struct vmb_guest_rndis_frame {
	uint32_t present; /* VMB_GUEST_RNDIS_* */
	uint32_t len; /* bytes of the frame, without envelope */
	uint32_t checksum;
	uint32_t lso;
	uint32_t vlan; /* priority, CFI and id as RNDIS_VLAN_* */
	uint32_t hash;
	uint32_t hash_type;
	struct rndis_packet_id packet_id;
	uint32_t data_offset; /* in: the frame's first byte, from the message's first byte */
};

/* A received control message. data points into the caller's copy. */
struct vmb_guest_rndis_reply {
	uint32_t type; /* enum rndis_type with RNDIS_COMPLETION, or RNDIS_INDICATE_STATUS */
	uint32_t request_id;
	uint32_t status;
	const uint8_t *data; /* QUERY_CMPLT, INDICATE_STATUS: data_len bytes of the copy */
	uint32_t data_len;
	struct rndis_initialize_complete initialize; /* INITIALIZE's */
};

/*
 * Build a request at dst (room bytes). Return its length, a multiple of 4, or 0 if there is no
 * room. data_len bytes of data follow a QUERY or SET; data may be NULL then (zeroes). buffer_offset
 * is always written and never 0.
 */
uint32_t vmb_guest_rndis_initialize(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_query(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			       const void *data, uint32_t data_len);
uint32_t vmb_guest_rndis_set(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			     const void *data, uint32_t data_len);
uint32_t vmb_guest_rndis_halt(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_keepalive(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_reset(void *dst, uint32_t room);

/*
 * Parses a control message, len bytes in private memory. Returns 0; VMB_EPROTO: short, inconsistent
 * or of an unknown type.
 */
int vmb_guest_rndis_reply(const void *message, uint32_t len, struct vmb_guest_rndis_reply *reply);

/* Returns the length of the envelope that frame needs, in bytes. */
uint32_t vmb_guest_rndis_envelope_len(const struct vmb_guest_rndis_frame *frame);

/*
 * Writes the envelope of frame to dst and returns its length (vmb_guest_rndis_envelope_len bytes);
 * the frame's bytes follow. dst may be shared memory: each byte is written once and none is read.
 * message_len: bytes of envelope, frame and padding.
 */
uint32_t vmb_guest_rndis_wrap(void *dst, const struct vmb_guest_rndis_frame *frame,
			      uint32_t message_len);

/*
 * Returns how many bytes of a received message unwrap needs, from a private copy of its first
 * sizeof(struct rndis_packet) bytes: header and per-packet information, at most
 * VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX and room. The rest is the frame.
 */
uint32_t vmb_guest_rndis_envelope_in_len(const void *head, uint32_t room);

/*
 * Parses a received PACKET message. envelope: a private copy of its first copied_len bytes
 * (min(room, VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX), or vmb_guest_rndis_envelope_in_len); room: bytes
 * of shared memory that the message may use. Returns 0: frame is filled, and data_offset + len <=
 * the message's length <= room; VMB_EPROTO: invalid. Per-packet information of unknown types is
 * skipped; of each known type the first one counts.
 */
int vmb_guest_rndis_unwrap(const void *envelope, uint32_t copied_len, uint32_t room,
			   struct vmb_guest_rndis_frame *frame);

#endif
