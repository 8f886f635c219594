// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any frame through the adapter's checksums, in memory of exactly its size. What is parsed lies
 * inside; what was completed adds up, byte by byte, and is found good.
 */
#include "fuzz/frames.h"
#include "host/offload.h"

struct scattered {
	uint8_t *head;
	uint32_t head_len;
	uint8_t *rest[2];
	struct vmb_host_offload_piece pieces[2];
};

static uint8_t *exact(const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return copy;
}

static void scatter(struct scattered *s, struct fuzz *f, const uint8_t *frame, uint32_t len)
{
	uint32_t left, part;

	s->head_len = len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len : VMB_HOST_OFFLOAD_HEAD_LEN_MAX;
	if (fuzz_u8(f) & 1)
		s->head_len = fuzz_u8(f) % (s->head_len + 1);
	s->head = exact(frame, s->head_len);
	left = len - s->head_len;
	part = fuzz_u16(f) % (left + 1);
	s->rest[0] = exact(frame + s->head_len, part);
	s->rest[1] = exact(frame + s->head_len + part, left - part);
	s->pieces[0].base = s->rest[0];
	s->pieces[0].len = part;
	s->pieces[1].base = s->rest[1];
	s->pieces[1].len = left - part;
}

static void gather(struct scattered *s, uint8_t *frame)
{
	memcpy(frame, s->head, s->head_len);
	free(s->head);
	free(s->rest[0]);
	free(s->rest[1]);
}

static void check_layout(const uint8_t *head, uint32_t head_len, uint32_t len)
{
	struct vmb_host_offload_layout layout;

	if (vmb_host_offload_parse(head, head_len, len, &layout))
		return;
	FUZZ_CHECK(layout.ip_offset <= head_len);
	FUZZ_CHECK(layout.transport_offset <= layout.payload_offset);
	FUZZ_CHECK(layout.payload_offset <= head_len);
	if (layout.transport_offset)
		FUZZ_CHECK(layout.ip_version && layout.transport_offset >= layout.ip_offset + 20);
	if (layout.transport_offset && !layout.fragment)
		FUZZ_CHECK(layout.payload_offset >= layout.transport_offset + 8);
}

/* The transport's sum, from what the headers say and nothing else. */
static void check_sum(const uint8_t *frame, uint32_t len, uint32_t flags)
{
	struct vmb_host_offload_layout layout;
	const uint8_t *ip, *transport;
	uint32_t covered, sum;

	FUZZ_CHECK(!vmb_host_offload_parse(frame, len, len, &layout));
	ip = frame + layout.ip_offset;
	transport = frame + layout.transport_offset;
	if (flags & RNDIS_TX_CHECKSUM_IP_HEADER)
		FUZZ_CHECK(fuzz_sum(0, ip, (ip[0] & 15) * 4u) == 0xFFFF);
	if (!(flags & (RNDIS_TX_CHECKSUM_TCP | RNDIS_TX_CHECKSUM_UDP)))
		return;
	if (layout.protocol == 17)
		covered = (uint32_t)transport[4] << 8 | transport[5];
	else if (layout.ip_version == 4)
		covered =
			((uint32_t)ip[2] << 8 | ip[3]) + layout.ip_offset - layout.transport_offset;
	else
		covered = ((uint32_t)ip[4] << 8 | ip[5]) + 40 + layout.ip_offset -
			  layout.transport_offset;
	FUZZ_CHECK(covered <= len - layout.transport_offset);
	sum = fuzz_sum(covered + layout.protocol, ip + (layout.ip_version == 4 ? 12 : 8),
		       layout.ip_version == 4 ? 8 : 32);
	FUZZ_CHECK(fuzz_sum(sum, transport, covered) == 0xFFFF);
	FUZZ_CHECK(vmb_host_offload_verify(frame, len, NULL, 0) &
		   (layout.protocol == 6 ? RNDIS_RX_CHECKSUM_TCP_OK : RNDIS_RX_CHECKSUM_UDP_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t input_len)
{
	static uint8_t frame[FUZZ_FRAME_LEN_MAX];
	struct fuzz f = { bytes, input_len };
	uint8_t how = fuzz_u8(&f), flags = fuzz_u8(&f) & 0x1F;
	uint32_t len, payload_at;
	struct scattered s;
	uint16_t start, at;
	int error;

	memset(frame, 0, 2048);
	if (how & 1) {
		len = fuzz_u8(&f) * 2u;
		fuzz_take(&f, frame, len);
	} else {
		len = fuzz_frame(&f, frame, fuzz_u16(&f) % 700, &payload_at);
		len -= how & 2 ? 0 : fuzz_u8(&f) % (len + 1) % 16;
	}
	scatter(&s, &f, frame, len);
	check_layout(s.head, s.head_len, len);
	vmb_host_offload_verify(s.head, s.head_len, s.pieces, 2);
	if (how & 4) {
		vmb_host_offload_prepare(s.head, s.head_len, len, flags, how & 8, &start, &at);
		gather(&s, frame);
		return 0;
	}
	error = vmb_host_offload_complete(s.head, s.head_len, s.pieces, 2, flags);
	gather(&s, frame);
	if (!error)
		check_sum(frame, len, flags);
	return 0;
}
