/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A sink for frames that trusts no flag and shares no code with host/offload.c: it reads bytes one
 * by one, as the RFCs say, and answers what is wrong with a frame. And a source of frames of all
 * kinds.
 */
#ifndef TESTS_HOST_OFFLOAD_BED_H
#define TESTS_HOST_OFFLOAD_BED_H

#include "host/offload.h"

#define SINK_FRAME_LEN_MAX 70000u

/* What a frame of the source looks like. */
struct frame_kind {
	uint8_t ip_version;
	uint8_t protocol; /* 6, 17, or anything */
	uint32_t tags; /* VLAN tags in the bytes */
	/* IPv4: bytes of options, a multiple of 4; IPv6: number of extension headers, at most 3 */
	uint32_t ip_extra;
	uint32_t tcp_extra; /* bytes of options, a multiple of 4 */
	uint32_t payload_len;
	uint32_t padding; /* bytes behind the IP packet */
};

struct frame {
	uint8_t bytes[SINK_FRAME_LEN_MAX];
	uint32_t len; /* padding included */
	uint32_t ip_at, transport_at, payload_at;
};

/* A small generator of numbers, the same ones in every run. */
uint32_t source_random(void);
struct frame_kind source_kind(uint32_t payload_max);
/* All lengths are right, all checksums are garbage. */
void source_frame(struct frame *frame, const struct frame_kind *kind);

/* NULL: IP header and transport are all right. Else what is wrong. */
const char *sink_judge(const uint8_t *bytes, uint32_t len);
/* One's complement sum of big-endian words, folded. */
uint16_t sink_sum(const uint8_t *bytes, uint32_t len);

#endif
