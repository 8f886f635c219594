// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any frame of a guest's on its way to a wire and back to a guest, and any frame and note of a
 * wire's: all offsets are inside, what comes out is no longer than agreed, its bytes are all of the
 * frame's, and a checksum that is vouched for is right.
 */
#include "fuzz/frames.h"
#include "host/frame.h"

#define PIECES_MAX 8u

static struct vmb_host_network n;
static struct vmb_host_network_queue queue;
static uint8_t buffer[1 << 16];

/* A card that receives everything; what the guest switched on is the input's. */
static void set_up(struct fuzz *f, uint8_t how)
{
	const struct vmb_host_network_config config = {
		.rndis = { .mac = { 2 },
			   .mtu_max = 9000,
			   .offload = VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM |
				      VMB_HOST_RNDIS_LSO | VMB_HOST_RNDIS_RSC,
			   .queue_count_max = 1 }
	};

	FUZZ_CHECK(!vmb_host_network_init(&n, &config, &queue));
	n.receive_buffer.memory = buffer;
	n.rndis.state = VMB_HOST_RNDIS_INITIALIZED;
	n.rndis.filter = RNDIS_FILTER_PROMISCUOUS;
	n.rndis.mtu = how & 1 ? 1500 : 1500 + fuzz_u16(f) % 7500;
	n.rndis.offload = (how & 2 ? VMB_HOST_RNDIS_RX_CHECKSUM : 0) |
			  (how & 4 ? VMB_HOST_RNDIS_RSC : 0);
}

/* len bytes in pieces of exactly their sizes; to be given back to drop(). */
static uint32_t split(struct fuzz *f, const uint8_t *bytes, uint32_t len,
		      struct vmb_host_offload_piece *pieces)
{
	uint32_t count = 0, part;
	uint8_t *copy;

	for (; len; bytes += part, len -= part) {
		part = fuzz_u8(f) * 5u;
		if (part > len || count + 1 == PIECES_MAX)
			part = len;
		copy = malloc(part ? part : 1);
		memcpy(copy, bytes, part);
		pieces[count++] = (struct vmb_host_offload_piece){ copy, part };
	}
	return count;
}

static void drop(struct vmb_host_offload_piece *pieces, uint32_t count)
{
	while (count)
		free((void *)pieces[--count].base);
}

static uint32_t join(uint8_t *to, const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		memcpy(to + len, pieces[i].base, pieces[i].len);
		len += pieces[i].len;
	}
	return len;
}

/* One frame for the guest. */
static void check_received(const struct vmb_host_frame_receive *r, bool believed)
{
	static uint8_t bytes[FUZZ_FRAME_LEN_MAX + 64];
	uint32_t len = join(bytes, r->pieces, r->count), head_len, found;
	struct vmb_host_offload_piece rest;

	FUZZ_CHECK(len == r->frame.len && r->queue == 0);
	FUZZ_CHECK(!r->frame.mss == (r->way != VMB_HOST_FRAME_WHOLE));
	if (r->way == VMB_HOST_FRAME_CUT)
		FUZZ_CHECK(len <= n.rndis.mtu + 14 + 8);
	if (r->way == VMB_HOST_FRAME_WHOLE || r->work.checksum_good)
		return;
	head_len = len < VMB_HOST_OFFLOAD_HEAD_LEN_MAX ? len : VMB_HOST_OFFLOAD_HEAD_LEN_MAX;
	rest = (struct vmb_host_offload_piece){ bytes + head_len, len - head_len };
	found = vmb_host_offload_verify(bytes, head_len, &rest, rest.len != 0);
	if (r->way == VMB_HOST_FRAME_CUT)
		FUZZ_CHECK(found & RNDIS_RX_CHECKSUM_TCP_OK);
	/* A note that lies may be filled in anywhere; one of ours is right. */
	if (believed && r->frame.checksum & (RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_UDP_OK))
		FUZZ_CHECK(
			!(found & (RNDIS_RX_CHECKSUM_TCP_FAILED | RNDIS_RX_CHECKSUM_UDP_FAILED)));
	FUZZ_CHECK(n.rndis.offload & VMB_HOST_RNDIS_RX_CHECKSUM || !r->frame.checksum);
}

/* Returns what _begin said. */
static int receive(struct fuzz *f, const uint8_t *bytes, uint32_t len,
		   const struct vmb_host_frame_work *work, bool believed)
{
	static struct vmb_host_frame_receive r;
	struct vmb_host_offload_piece pieces[PIECES_MAX];
	uint32_t count = split(f, bytes, len, pieces);
	int error = vmb_host_frame_receive_begin(&r, &n, pieces, count, work), more = 0;

	while (!error && (more = vmb_host_frame_receive_next(&r, &n)) > 0)
		check_received(&r, believed);
	drop(pieces, count);
	return error;
}

/* What a guest gave away must be something that another one takes. */
static void check_sent(struct fuzz *f, const struct vmb_host_frame_send *s)
{
	static uint8_t bytes[FUZZ_FRAME_LEN_MAX + 64];
	const struct vmb_host_frame_work *work = &s->work;
	uint32_t len = s->head_len;

	FUZZ_CHECK(s->head_len <= VMB_HOST_FRAME_HEAD_LEN_MAX);
	memcpy(bytes, s->head, s->head_len);
	len += join(bytes + len, s->rest, s->rest_count);
	FUZZ_CHECK(len == s->len);
	FUZZ_CHECK(!work->checksum || work->checksum_start + work->checksum_at + 2 <= s->head_len);
	FUZZ_CHECK(!work->large || (work->checksum && work->mss && work->head_len <= s->head_len));
	FUZZ_CHECK(receive(f, bytes, len, work, true) == 0);
}

static void send(struct fuzz *f, const uint8_t *bytes, uint32_t len, uint8_t how)
{
	static struct vmb_host_frame_send s;
	struct vmb_host_offload_piece pieces[PIECES_MAX];
	struct vmb_host_network_io io = { .pieces = pieces, .total_len = len };
	const struct vmb_host_network_frame frame = {
		.rndis = { .present = fuzz_u8(f) & 7,
			   .len = len,
			   .checksum = fuzz_u8(f) & 31,
			   .lso = (how & 8 ? fuzz_u32(f) : 200u + fuzz_u8(f) * 5u) | RNDIS_LSO_V2,
			   .vlan = fuzz_u16(f) }
	};
	int more;

	io.piece_count = split(f, bytes, len, pieces);
	if (!vmb_host_frame_send_begin(&s, &n, &io, &frame, how & 16)) {
		while ((more = vmb_host_frame_send_next(&s, &io)) > 0)
			check_sent(f, &s);
		FUZZ_CHECK(vmb_host_frame_send_next(&s, &io) == 0);
	}
	drop(pieces, io.piece_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t input_len)
{
	static uint8_t frame[FUZZ_FRAME_LEN_MAX];
	struct fuzz f = { bytes, input_len };
	uint8_t how = fuzz_u8(&f);
	uint32_t payload_at, len;
	struct vmb_host_frame_work work;

	set_up(&f, how);
	memset(frame, 0, 2048);
	len = fuzz_frame(&f, frame, fuzz_u16(&f) % (how & 32 ? 62000 : 1460), &payload_at);
	if (how & 128) {
		work = (struct vmb_host_frame_work){ .checksum = fuzz_u8(&f) & 1,
						     .checksum_start = fuzz_u32(&f) % 300,
						     .checksum_at = how & 64 ? fuzz_u32(&f) :
									       fuzz_u8(&f) % 32,
						     .checksum_good = fuzz_u8(&f) & 1,
						     .large = fuzz_u8(&f) % 8,
						     .mss = 200u + fuzz_u16(&f) % 2000 };
		receive(&f, frame, len, &work, false);
	} else {
		send(&f, frame, len, how);
	}
	return 0;
}
