/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of RNDIS, bytes only: it knows nothing of VMBus, of buffers or of queues.
 *
 * Requests are built into the caller's memory and name themselves by request_id; replies and indications are judged
 * from a private copy. A frame goes out as envelope (header and per-packet information) and data; of what comes in the
 * envelope is copied and judged here, the data stays where it is.
 *
 * Context: any; no state. Source: docs/protocol/network.md, "8 RNDIS", "9 RNDIS packets".
 */
#ifndef GUEST_RNDIS_H
#define GUEST_RNDIS_H

#include "wire/rndis.h"

/* Which of a frame's facts are there. */
#define VMB_GUEST_RNDIS_CHECKSUM  0x01u
#define VMB_GUEST_RNDIS_LSO	  0x02u /* out only */
#define VMB_GUEST_RNDIS_VLAN	  0x04u
#define VMB_GUEST_RNDIS_HASH	  0x08u /* hash value */
#define VMB_GUEST_RNDIS_HASH_TYPE 0x10u /* in only */
#define VMB_GUEST_RNDIS_PACKET_ID 0x20u /* in only: a fragment of a coalesced frame */

/* The longest envelope that is built: header and checksum, LSO, VLAN, hash. */
#define VMB_GUEST_RNDIS_ENVELOPE_LEN_MAX \
	(sizeof(struct rndis_packet) + 4 * (sizeof(struct rndis_info) + 4))
/* The longest envelope that is understood in a received message, from its first byte. */
#define VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX 320u

/* A frame and what is known of it. Values as in the protocol: RNDIS_TX_CHECKSUM_*, RNDIS_RX_CHECKSUM_*, RNDIS_LSO_*. */
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

/* A control message that came: what it answers or says. data points into the caller's copy. */
struct vmb_guest_rndis_reply {
	uint32_t type; /* enum rndis_type with RNDIS_COMPLETION, or RNDIS_INDICATE_STATUS */
	uint32_t request_id;
	uint32_t status;
	const uint8_t *
		data; /* QUERY_CMPLT, INDICATE_STATUS: its buffer, data_len bytes inside of the copy */
	uint32_t data_len;
	struct rndis_initialize_complete initialize; /* INITIALIZE's */
};

/*
 * Build a request at dst (room bytes). Answers its length, a multiple of 4, or 0: no room. data_len bytes of data
 * follow a QUERY or SET; data may be NULL then (zeroes). A non-zero buffer_offset is written always.
 */
uint32_t vmb_guest_rndis_initialize(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_query(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			       const void *data, uint32_t data_len);
uint32_t vmb_guest_rndis_set(void *dst, uint32_t room, uint32_t request_id, uint32_t oid,
			     const void *data, uint32_t data_len);
uint32_t vmb_guest_rndis_halt(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_keepalive(void *dst, uint32_t room, uint32_t request_id);
uint32_t vmb_guest_rndis_reset(void *dst, uint32_t room);

/* Judges a control message, len bytes in private memory. 0; VMB_EPROTO: short, inconsistent, or of no such type. */
int vmb_guest_rndis_reply(const void *message, uint32_t len, struct vmb_guest_rndis_reply *reply);

/* Bytes of the envelope that frame needs. */
uint32_t vmb_guest_rndis_envelope_len(const struct vmb_guest_rndis_frame *frame);

/*
 * Writes the envelope of frame to dst (vmb_guest_rndis_envelope_len bytes, may be shared memory: each byte is written
 * once and none is read) and answers its length; the frame's bytes follow. message_len: of envelope, frame and padding.
 */
uint32_t vmb_guest_rndis_wrap(void *dst, const struct vmb_guest_rndis_frame *frame,
			      uint32_t message_len);

/*
 * How many bytes of a received message unwrap needs, from a private copy of its first sizeof(struct rndis_packet)
 * bytes: header and per-packet information, at most VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX and room; the rest is the frame.
 */
uint32_t vmb_guest_rndis_envelope_in_len(const void *head, uint32_t room);

/*
 * Judges a received PACKET message. envelope: a private copy of its first copied_len bytes
 * (min(room, VMB_GUEST_RNDIS_ENVELOPE_IN_LEN_MAX), or vmb_guest_rndis_envelope_in_len); room: bytes of shared memory that the message may use. 0: frame is filled,
 * data_offset + len <= the message's length <= room. VMB_EPROTO: no such packet. Per-packet information of
 * unknown types is skipped; of a known type the first counts.
 */
int vmb_guest_rndis_unwrap(const void *envelope, uint32_t copied_len, uint32_t room,
			   struct vmb_guest_rndis_frame *frame);

#endif
