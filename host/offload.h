/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a network adapter does to frames besides moving them: it fills in checksums, cuts large
 * sends into segments, and checks received frames. The frames are the guest's, so nothing in them
 * is trusted: header lengths are parsed and bounded here, length fields are rewritten.
 *
 * A frame's head (all headers, at most VMB_HOST_OFFLOAD_HEAD_LEN_MAX) is a private copy that may be
 * changed. The other bytes are only summed, over the caller's pieces in order.
 *
 * Context: any; no state.
 * Source: docs/protocol/network.md, "9 RNDIS packets", "9.1 LSO", "16 Hardening"; RFC 791, 793,
 * 768, 1071, 8200.
 */
#ifndef HOST_OFFLOAD_H
#define HOST_OFFLOAD_H

#include "host/rndis.h"

#define VMB_HOST_OFFLOAD_HEAD_LEN_MAX \
	256u /* Ethernet, VLAN tag, IP with options or extensions, TCP with options */

/* Where a frame's headers lie. All offsets count from its first byte and are inside head. */
struct vmb_host_offload_layout {
	uint16_t ethertype; /* behind the VLAN tag, if there is one */
	uint8_t ip_version; /* 4, 6, or 0: not IP */
	uint8_t protocol; /* 6 TCP, 17 UDP, ...; also in a first fragment */
	bool fragment; /* of an IP packet: the transport checksum is out of reach */
	uint32_t ip_offset;
	uint32_t transport_offset; /* 0: none that is known */
	uint32_t payload_offset; /* behind the TCP or UDP header, or transport_offset */
};

struct vmb_host_offload_piece {
	const uint8_t *base;
	uint32_t len;
};

/*
 * Parses the first head_len bytes of a frame of len bytes. Returns 0; VMB_EPROTO: the headers claim
 * to be longer than the frame or the head, or there is no Ethernet header. A frame that is not IP,
 * or neither TCP nor UDP, is no error.
 */
int vmb_host_offload_parse(const uint8_t *head, uint32_t head_len, uint32_t len,
			   struct vmb_host_offload_layout *layout);

/*
 * Returns the one's complement sum of bytes, to be continued: start with sum 0. odd: an odd number
 * of bytes came before.
 */
uint32_t vmb_host_offload_sum(uint32_t sum, bool odd, const uint8_t *bytes, uint32_t len);
/* Returns the folded sum, not complemented. */
uint16_t vmb_host_offload_fold(uint32_t sum);

/*
 * Writes the checksums that flags (RNDIS_TX_CHECKSUM_*) ask for into head, over the frame's bytes:
 * head, then rest. The values that the guest wrote there are ignored. VMB_EPROTO: flags do not fit
 * the frame.
 */
int vmb_host_offload_complete(uint8_t *head, uint32_t head_len,
			      const struct vmb_host_offload_piece *rest, uint32_t rest_count,
			      uint32_t flags);

/*
 * Leaves the transport checksum to the next hop: writes IP lengths and header checksum, and puts
 * the sum of the pseudo-header with the real length into the transport's field (as virtio and Linux
 * expect). *start: offset of the transport header; *at: offset of the checksum field from there.
 * len: bytes of the whole frame (lso: of all segments together).
 *
 * VMB_EPROTO as above. VMB_EINVAL: bytes follow that the checksum does not cover, and the next hop
 * would include them; only vmb_host_offload_complete can do it.
 */
int vmb_host_offload_prepare(uint8_t *head, uint32_t head_len, uint32_t len, uint32_t flags,
			     bool lso, uint16_t *start, uint16_t *at);

/* A large send under way. */
struct vmb_host_offload_lso {
	struct vmb_host_offload_layout layout;
	uint8_t head[VMB_HOST_OFFLOAD_HEAD_LEN_MAX]; /* the headers as received */
	uint32_t head_len; /* bytes of headers = payload_offset */
	uint32_t payload_len; /* bytes of TCP payload */
	uint32_t mss;
	uint32_t done; /* bytes of payload already in segments */
	uint32_t number; /* of the next segment */
};

/*
 * Starts a large send. lso: RNDIS_LSO_*. VMB_EPROTO: not TCP; too long; or an MSS that is larger
 * than mtu allows, or below 48 bytes with the frame's TCP options. 48 is the least that Linux sends
 * to a peer that asks for less (Windows and the BSDs stop earlier), and more than the smallest MTU
 * of IPv4 leaves (68 - 40). IPv6's is 1280, but a peer may announce a smaller MSS there too, so
 * both have the same bound. Nobody sends less on purpose, and 64 KiB would be a segment for each
 * byte.
 */
int vmb_host_offload_lso_begin(struct vmb_host_offload_lso *s, const uint8_t *head,
			       uint32_t head_len, uint32_t len, uint32_t lso, uint32_t mtu);
/*
 * Fills in the next segment's headers (s->head_len bytes at head: identification, lengths, sequence
 * number, flags, IP header checksum; the TCP checksum holds the sum of the pseudo-header, not
 * complemented) and which bytes of the payload it carries. Returns false after the last one. The
 * caller must complete the checksum with vmb_host_offload_complete, since only the caller sees the
 * payload.
 */
bool vmb_host_offload_lso_next(struct vmb_host_offload_lso *s, uint8_t *head,
			       uint32_t *payload_offset, uint32_t *payload_len);
/*
 * Returns the number of segments that are left: 1 to 8192 after _begin. Each costs the caller one
 * segment's work, so the caller's budget must count them. Between two segments the caller may do
 * something else, or give up, and continue later with s.
 */
uint32_t vmb_host_offload_lso_left(const struct vmb_host_offload_lso *s);

/*
 * Checks all checksums of a received frame. Returns the RNDIS_RX_CHECKSUM_* that apply; 0 if it is
 * not IP or cannot be checked.
 */
uint32_t vmb_host_offload_verify(const uint8_t *head, uint32_t head_len,
				 const struct vmb_host_offload_piece *rest, uint32_t rest_count);

#endif
