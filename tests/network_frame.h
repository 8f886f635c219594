/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet frames for tests: made with and without checksums, and judged byte by byte by a sink
 * that knows nothing of the core and trusts no flag (docs/known-bugs.md,
 * "38 Checksum and TSO through TAP").
 */
#ifndef TESTS_NETWORK_FRAME_H
#define TESTS_NETWORK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define NET_TCP 6u
#define NET_UDP 17u

enum net_checksums {
	NET_CHECKSUMS_DONE, /* all are right */
	/* IP header 0, transport: the pseudo-header's sum, as drivers leave them */
	NET_CHECKSUMS_OPEN,
	NET_CHECKSUMS_JUNK, /* noise in the fields, to be overwritten */
};

struct net_spec {
	uint32_t len; /* of the frame, Ethernet header included; at least the headers */
	uint8_t ip; /* 4, 6, or 0: a frame of no known type */
	uint8_t protocol; /* NET_TCP, NET_UDP */
	uint32_t flow; /* addresses and ports follow from it */
	uint32_t options_len; /* of IPv4, and of TCP: multiples of 4, <= 40 */
	uint32_t tcp_options_len;
	uint32_t sequence; /* of TCP; what the payload is, too */
	uint8_t tcp_flags;
	enum net_checksums checksums;
	bool large; /* an LSO frame: IP lengths 0 */
	bool broadcast;
};

/* What the sink found. */
struct net_verdict {
	const char *wrong; /* NULL: nothing */
	uint16_t vlan_tag; /* 0 = none */
	uint8_t ip, protocol;
	uint16_t identification; /* of IPv4 */
	uint32_t sequence;
	uint8_t tcp_flags;
	uint32_t payload_at, payload_len;
};

extern const uint8_t net_guest_mac[6], net_other_mac[6];

/* Bytes of headers that a spec has; len must be no less. */
uint32_t net_head_len(const struct net_spec *spec);
/* Where the transport header begins. */
uint32_t net_transport_at(const struct net_spec *spec);
void net_frame_make(uint8_t *dst, const struct net_spec *spec);
/* Byte at of the payload of a flow: stays the same however it is cut. */
uint8_t net_payload_byte(uint32_t flow, uint32_t at);
/* Checks lengths and checksums of a complete frame. */
struct net_verdict net_frame_judge(const uint8_t *bytes, uint32_t len);
/* Offset of the first payload byte that is not the flow's from at on, or len. */
uint32_t net_payload_differs(const uint8_t *payload, uint32_t len, uint32_t flow, uint32_t at);

#endif
