/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames for the fuzz targets of the host's offloads: headers that fit each other, then a few bytes
 * changed.
 */
#ifndef FUZZ_FRAMES_H
#define FUZZ_FRAMES_H

#include "fuzz/fuzz.h"

#define FUZZ_FRAME_LEN_MAX 70000u

static inline void fuzz_put16be(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t fuzz_ip_header(struct fuzz *f, uint8_t *at, uint8_t how, uint32_t behind)
{
	static const uint8_t types[] = { 0, 60, 43, 44, 51 };
	uint32_t len = how & 1 ? 20 + how % 11 / 2 * 4u : 40, next = 6, i;
	uint8_t protocol = how & 4 ? 17 : 6;

	fuzz_take(f, at + (how & 1 ? 12 : 8), how & 1 ? 8 : 32);
	if (how & 1) {
		at[0] = (uint8_t)(0x40 | len / 4);
		at[9] = protocol;
		fuzz_put16be(at + 2, len + behind);
		return len;
	}
	at[0] = 0x60;
	for (i = how >> 4 & 3; i; i--, len += 8) {
		at[next] = types[fuzz_u8(f) % 5];
		next = len;
		if (fuzz_u8(f) > 200)
			fuzz_take(f, at + len + 1, 3);
	}
	at[next] = protocol;
	fuzz_put16be(at + 4, len - 40 + behind);
	return len;
}

/* At frame (FUZZ_FRAME_LEN_MAX bytes, zeroed); answers its length and where its payload begins. */
static inline uint32_t fuzz_frame(struct fuzz *f, uint8_t *frame, uint32_t payload_len,
				  uint32_t *payload_at)
{
	uint8_t how = fuzz_u8(f), more = fuzz_u8(f);
	uint32_t at = 12, transport_len, len, i;

	for (i = more >> 6 & 1; i; i--, at += 4)
		fuzz_put16be(frame + at, 0x8100);
	fuzz_put16be(frame + at, how & 1 ? 0x0800 : 0x86DD);
	at += 2;
	transport_len = how & 4 ? 8 : 20 + more % 11 * 4u;
	at += fuzz_ip_header(f, frame + at, how, transport_len + payload_len);
	if (how & 4)
		fuzz_put16be(frame + at + 4, transport_len + payload_len);
	else
		frame[at + 12] = (uint8_t)(transport_len / 4 << 4);
	*payload_at = at + transport_len;
	len = *payload_at + payload_len;
	for (i = 0; i < payload_len && i < 64; i++)
		frame[*payload_at + i] = fuzz_u8(f);
	for (i = fuzz_u8(f) % 4; i; i--)
		frame[12 + fuzz_u8(f) % (*payload_at - 12)] = fuzz_u8(f);
	return len;
}

/* Sum of big-endian words, byte by byte. */
static inline uint32_t fuzz_sum(uint32_t sum, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xFFFF) + (sum >> 16);
	}
	return sum;
}

#endif
