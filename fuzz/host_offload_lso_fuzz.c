// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any large send cut into segments: they are as many as the payload needs, none is longer than
 * agreed, their payload is all of it in order, and each one's headers say its own length and add
 * up.
 */
#include "fuzz/frames.h"
#include "host/offload.h"

static void check_head(const struct vmb_host_offload_lso *s, const uint8_t *head, uint32_t len)
{
	const uint8_t *ip = head + s->layout.ip_offset;
	uint32_t ip_len = s->head_len - s->layout.ip_offset + len;

	if (s->layout.ip_version == 4) {
		FUZZ_CHECK(((uint32_t)ip[2] << 8 | ip[3]) == ip_len);
		FUZZ_CHECK(fuzz_sum(0, ip, (ip[0] & 15) * 4u) == 0xFFFF);
	} else {
		FUZZ_CHECK(((uint32_t)ip[4] << 8 | ip[5]) == ip_len - 40);
	}
}

static void cut(struct vmb_host_offload_lso *s, const uint8_t *frame, uint32_t mtu)
{
	uint32_t done = 0, count = 0, offset, len;
	struct vmb_host_offload_piece piece;
	uint8_t *head = malloc(s->head_len);
	bool last = false;

	while (vmb_host_offload_lso_next(s, head, &offset, &len)) {
		FUZZ_CHECK(!last && offset == s->head_len + done && len <= s->mss);
		FUZZ_CHECK(s->head_len - s->layout.ip_offset + len <= mtu);
		check_head(s, head, len);
		piece.base = frame + offset;
		piece.len = len;
		FUZZ_CHECK(!vmb_host_offload_complete(head, s->head_len, &piece, 1,
						      RNDIS_TX_CHECKSUM_TCP));
		FUZZ_CHECK(vmb_host_offload_verify(head, s->head_len, &piece, 1) &
			   RNDIS_RX_CHECKSUM_TCP_OK);
		done += len;
		count++;
		last = done == s->payload_len;
		if (!last)
			FUZZ_CHECK(!(head[s->layout.transport_offset + 13] & 0x09));
		if (count > 1)
			FUZZ_CHECK(!(head[s->layout.transport_offset + 13] & 0x80));
	}
	FUZZ_CHECK(last && count == (done ? (done + s->mss - 1) / s->mss : 1));
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t input_len)
{
	static uint8_t frame[FUZZ_FRAME_LEN_MAX];
	static struct vmb_host_offload_lso s;
	struct fuzz f = { bytes, input_len };
	uint8_t how = fuzz_u8(&f), *head;
	uint32_t len, payload_at, payload_len, lso, mtu, head_len;

	payload_len = how & 1 ? fuzz_u16(&f) : fuzz_u8(&f);
	lso = how & 2 ? fuzz_u32(&f) : fuzz_u8(&f) * 16u + 1;
	mtu = how & 4 ? fuzz_u16(&f) : 1500;
	/* few segments, or the time goes into them */
	if ((lso & RNDIS_LSO_MSS_MASK) < payload_len / 64)
		payload_len %= 64;
	memset(frame, 0, 2048);
	len = fuzz_frame(&f, frame, payload_len, &payload_at);
	head_len = len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len : VMB_HOST_OFFLOAD_HEAD_LEN_MAX;
	if (how & 8)
		head_len = payload_at < head_len ? payload_at : head_len;
	head = malloc(head_len);
	memcpy(head, frame, head_len);
	if (!vmb_host_offload_lso_begin(&s, head, head_len, len, lso, mtu))
		cut(&s, frame, mtu);
	free(head);
	return 0;
}
