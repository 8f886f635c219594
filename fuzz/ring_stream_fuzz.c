// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The stream of either end against a peer that writes anything into the ring and reads when it
 * likes: what is taken for data lies in its packet, and an end can always be written.
 */
#include "fuzz/fuzz.h"
#include "ring/stream.h"

#define RING_LEN 1024u

struct bed {
	struct vmb_ring_control control, tx_control;
	uint8_t ring[RING_LEN], tx_ring[RING_LEN];
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx, peer; /* peer: writes what rx reads */
	struct vmb_ring_reader far; /* reads what tx writes */
	struct vmb_stream stream, far_stream;
	uint64_t taken;
};

/* A packet whose descriptor is sound and whose payload is anything. */
static void op_write(struct bed *b, struct fuzz *f)
{
	uint8_t payload[64] = { 0 }, header[8] = { 0 };
	struct vmb_ring_part part = { payload, fuzz_u8(f) % sizeof(payload) };
	struct vmb_ring_part head = { header, sizeof(header) };
	struct vmb_ring_packet packet = { .payload = &part, .payload_count = 1, .header = &head };
	uint8_t how = fuzz_u8(f);

	packet.type = how & 1 ? fuzz_u8(f) % 16 : VMB_PKT_INBAND;
	packet.header_count = how >> 1 & 1 && how & 4;
	fuzz_take(f, payload, part.len);
	if (how & 8)
		memcpy(payload, &(struct vmb_pipe_header){ VMB_PIPE_DATA, how >> 4 }, 8);
	vmb_ring_write(&b->peer, &packet);
	vmb_ring_commit(&b->peer);
}

static void take_data(struct bed *b, const struct vmb_ring_received *received, uint32_t len)
{
	uint8_t *bytes = malloc(len);

	FUZZ_CHECK(len && len <= VMB_PIPE_DATA_LEN_MAX && len <= received->payload_len);
	FUZZ_CHECK(!b->stream.ended_in);
	FUZZ_CHECK(vmb_ring_copy(&b->rx, received, VMB_STREAM_DATA_AT, bytes, len));
	b->taken += len;
	free(bytes);
}

static void op_read(struct bed *b, struct fuzz *f)
{
	struct vmb_ring_received received;
	struct vmb_pipe_header header = { 0 };
	uint32_t len = 0;
	int step;

	if (vmb_ring_read(&b->rx, &received))
		return;
	vmb_ring_copy(&b->rx, &received, VMB_STREAM_HEADER_AT, &header, sizeof(header));
	step = vmb_stream_input(&b->stream, &received, &header, &len);
	FUZZ_CHECK(step == VMB_EPROTO || step == VMB_STREAM_DATA || step == VMB_STREAM_END ||
		   step == VMB_STREAM_NOTHING);
	if (step == VMB_STREAM_DATA)
		take_data(b, &received, len);
	vmb_ring_next(&b->rx, &received);
	vmb_ring_release(&b->rx);
}

static void op_send(struct bed *b, struct fuzz *f)
{
	static const uint8_t bytes[RING_LEN];
	uint32_t fits = vmb_stream_fits(vmb_ring_room(&b->tx)), len = fuzz_u16(f) % RING_LEN;
	struct vmb_stream_packet p;

	len = len < fits ? len : fits;
	if (!len || b->stream.ended_out)
		return;
	vmb_stream_data(&p, bytes, len);
	FUZZ_CHECK(!vmb_ring_write(&b->tx, &p.packet));
	vmb_ring_commit(&b->tx);
}

static void op_end(struct bed *b, struct fuzz *f)
{
	struct vmb_stream_packet p;

	if (fuzz_u8(f) < 200 || b->stream.ended_out)
		return;
	vmb_stream_end(&p);
	FUZZ_CHECK(!vmb_ring_write(&b->tx, &p.packet));
	vmb_ring_commit(&b->tx);
	b->stream.ended_out = true;
}

/* What this end writes the other end understands. */
static void op_far(struct bed *b, struct fuzz *f)
{
	struct vmb_ring_received received;
	struct vmb_pipe_header header;
	uint32_t len = 0;
	int step;

	if (vmb_ring_read(&b->far, &received))
		return;
	FUZZ_CHECK(
		vmb_ring_copy(&b->far, &received, VMB_STREAM_HEADER_AT, &header, sizeof(header)));
	step = vmb_stream_input(&b->far_stream, &received, &header, &len);
	FUZZ_CHECK(step == (b->far_stream.ended_in ? VMB_STREAM_END : VMB_STREAM_DATA));
	vmb_ring_next(&b->far, &received);
	vmb_ring_release(&b->far);
}

/* The peer may write anywhere at any time. */
static void op_spoil(struct bed *b, struct fuzz *f)
{
	b->ring[fuzz_u16(f) % RING_LEN] = fuzz_u8(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = { op_write, op_write, op_read,
								    op_read,  op_send,	op_end,
								    op_far,   op_spoil };
	static struct bed b;
	struct fuzz f = { bytes, len };

	memset(&b, 0, sizeof(b));
	vmb_ring_writer_init(&b.peer, &b.control, b.ring, RING_LEN, true);
	vmb_ring_reader_init(&b.rx, &b.control, b.ring, RING_LEN, false);
	vmb_ring_writer_init(&b.tx, &b.tx_control, b.tx_ring, RING_LEN, true);
	vmb_ring_reader_init(&b.far, &b.tx_control, b.tx_ring, RING_LEN, false);
	vmb_stream_init(&b.stream);
	vmb_stream_init(&b.far_stream);
	while (f.len)
		ops[fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops))](&b, &f);
	return 0;
}
