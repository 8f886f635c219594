/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a network adapter does to frames besides moving them: fills in checksums, cuts large sends into segments, checks
 * what arrives. It works on the guest's frames, so nothing that stands in them is believed: header lengths are
 * parsed and bounded here, length fields are rewritten.
 *
 * A frame's head (all headers, VMB_HOST_OFFLOAD_HEAD_LEN_MAX at most) is a private copy that may be changed; its other
 * bytes are only summed, by the caller's pieces in order.
 *
 * Context: any; no state. Source: protocol reference, network sections 9, 9.1 and 16; RFC 791, 793, 768, 1071, 8200.
 */
#ifndef HOST_OFFLOAD_H
#define HOST_OFFLOAD_H

#include "host/rndis.h"

#define VMB_HOST_OFFLOAD_HEAD_LEN_MAX \
	256u /* Ethernet, VLAN tag, IP with options or extensions, TCP with options */

/* Where a frame's headers lie. All offsets from its first byte, all inside of head. */
struct vmb_host_offload_layout {
	uint16_t ethertype; /* behind the VLAN tag, if there is one */
	uint8_t ip_version; /* 4, 6, or 0: not IP */
	uint8_t protocol; /* 6 TCP, 17 UDP, ...; of a first fragment's too */
	bool fragment; /* of an IP packet: no transport checksum can be had */
	uint32_t ip_offset;
	uint32_t transport_offset; /* 0: none that we know */
	uint32_t payload_offset; /* behind the TCP or UDP header, or transport_offset */
};

struct vmb_host_offload_piece {
	const uint8_t *base;
	uint32_t len;
};

/*
 * Judges the first head_len bytes of a frame of len bytes. 0; VMB_EPROTO: headers that say they are longer than the
 * frame or the head, or no Ethernet header. Not IP or not TCP or UDP is no error.
 */
int vmb_host_offload_parse(const uint8_t *head, uint32_t head_len, uint32_t len,
			   struct vmb_host_offload_layout *layout);

/* One's complement sum of bytes, to be continued: start with 0; odd: whether an odd number of bytes came before. */
uint32_t vmb_host_offload_sum(uint32_t sum, bool odd, const uint8_t *bytes, uint32_t len);
/* Folded, not complemented. */
uint16_t vmb_host_offload_fold(uint32_t sum);

/*
 * Writes the checksums that flags (RNDIS_TX_CHECKSUM_*) ask for into head, from the frame's bytes: head and then rest.
 * What the guest pre-loaded does not matter. VMB_EPROTO: flags ask for what the frame is not.
 */
int vmb_host_offload_complete(uint8_t *head, uint32_t head_len,
			      const struct vmb_host_offload_piece *rest, uint32_t rest_count,
			      uint32_t flags);

/*
 * Leaves the transport checksum to the next one: IP lengths and header checksum are written, the transport's field gets
 * the sum of the pseudo-header with the real length (as virtio and Linux want it). *start: offset of the transport
 * header; *at: of the checksum field from there. len: bytes of the whole frame (lso: of all segments together).
 *
 * VMB_EPROTO as above. VMB_EINVAL: bytes follow that the checksum does not cover, and the next one would sum up all;
 * only vmb_host_offload_complete can do it.
 */
int vmb_host_offload_prepare(uint8_t *head, uint32_t head_len, uint32_t len, uint32_t flags,
			     bool lso, uint16_t *start, uint16_t *at);

/* A large send under way. */
struct vmb_host_offload_lso {
	struct vmb_host_offload_layout layout;
	uint8_t head[VMB_HOST_OFFLOAD_HEAD_LEN_MAX]; /* the headers, as they came */
	uint32_t head_len; /* bytes of headers = payload_offset */
	uint32_t payload_len; /* bytes of TCP payload */
	uint32_t mss;
	uint32_t done; /* bytes of payload that are cut off */
	uint32_t number; /* of the next segment */
};

/*
 * lso: RNDIS_LSO_*. VMB_EPROTO: not TCP; too long; an MSS of more than mtu leaves, or of less than 48 bytes with the frame's
 * TCP options. That is the least that Linux sends to a peer that asks for less (Windows and the BSDs stop earlier), and
 * above what the smallest MTU of IPv4 leaves (68 - 40). IPv6's is 1280, but a peer may announce a smaller MSS there too, so
 * both have the same bound. Nobody sends less on purpose, and 64 KiB in bytes would be a segment each.
 */
int vmb_host_offload_lso_begin(struct vmb_host_offload_lso *s, const uint8_t *head,
			       uint32_t head_len, uint32_t len, uint32_t lso, uint32_t mtu);
/*
 * The next segment's headers (s->head_len bytes at head: identification, lengths, sequence number,
 * flags, IP header checksum; the TCP checksum holds the pseudo-header's sum, not complemented) and
 * which payload bytes it carries. False: all are out. The caller completes the checksum with
 * vmb_host_offload_complete, since only it sees the payload.
 */
bool vmb_host_offload_lso_next(struct vmb_host_offload_lso *s, uint8_t *head,
			       uint32_t *payload_offset, uint32_t *payload_len);
/*
 * How many segments are still to come: 1 to 8192 after _begin. A frame costs the caller a segment's work for each, so its budget
 * counts them; between any two it may do something else, or give up, and go on later with what s holds.
 */
uint32_t vmb_host_offload_lso_left(const struct vmb_host_offload_lso *s);

/*
 * Checks all checksums of a frame that arrived: RNDIS_RX_CHECKSUM_* that can be said of it; 0 for
 * what is not IP or cannot be judged.
 */
uint32_t vmb_host_offload_verify(const uint8_t *head, uint32_t head_len,
				 const struct vmb_host_offload_piece *rest, uint32_t rest_count);

#endif
