// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A host's network card against any packets on several queues, with buffers that the guest writes
 * to at any time, while frames go to it. Each request is answered at most once; frames lie in what
 * was sent; a suballocation has one holder, and all of them are accounted for.
 */
#include "fuzz/fuzz.h"
#include "host/network.h"

#define QUEUE_COUNT   3
#define BUFFER_LEN    (64u << 10)
#define MEMORY_LEN    8192u
#define SUBALLOCS_MAX 64u

struct bed {
	struct vmb_host_network n;
	struct vmb_host_network_queue queues[QUEUE_COUNT];
	struct vmb_host_network_io io;
	uint8_t *receive_buffer, *send_buffer, *memory;
	uint32_t receive_len;
	uint8_t holder[SUBALLOCS_MAX]; /* 0: the host; else 1 + the queue it went out on */
	uint8_t packet[SUBALLOCS_MAX]; /* ... and the first one of its packet */
	uint32_t held;
	bool broken;
};

static uint8_t **buffer_of(struct bed *b)
{
	return b->io.receive_buffer ? &b->receive_buffer : &b->send_buffer;
}

static void forget_holders(struct bed *b)
{
	memset(b->holder, 0, sizeof(b->holder));
	b->held = 0;
}

static int share(struct bed *b, struct fuzz *f)
{
	uint32_t len = fuzz_u8(f) < 230 ? BUFFER_LEN : fuzz_u16(f);

	if (fuzz_u8(f) > 240)
		return vmb_host_network_shared(&b->n, &b->io, NULL, 0);
	FUZZ_CHECK(!*buffer_of(b));
	*buffer_of(b) = malloc(len ? len : 1);
	if (b->io.receive_buffer)
		b->receive_len = len;
	else
		memset(b->send_buffer, 0, len);
	return vmb_host_network_shared(&b->n, &b->io, *buffer_of(b), len);
}

static int unshare(struct bed *b)
{
	FUZZ_CHECK(b->io.memory && b->io.memory == *buffer_of(b));
	if (b->io.receive_buffer)
		forget_holders(b);
	free(*buffer_of(b));
	*buffer_of(b) = NULL;
	return vmb_host_network_unshared(&b->n, &b->io);
}

/*
 * Sums all bytes, so that whatever lies outside is noticed, and the guest writes to what was
 * judged.
 */
static void use_frame(struct bed *b, struct fuzz *f, const struct vmb_host_network_frame *frame)
{
	struct vmb_host_offload_piece slice[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	uint32_t count, total = 0, sum = 0, i;
	uint8_t *copy;

	FUZZ_CHECK(frame->rndis.len >= 14 && frame->offset + frame->rndis.len <= b->io.total_len);
	FUZZ_CHECK(frame->rndis.present & VMB_HOST_RNDIS_HAS_LSO ||
		   frame->rndis.len <= b->n.rndis.mtu + 18);
	count = vmb_host_network_slice(&b->io, frame->offset, frame->rndis.len, slice,
				       VMB_HOST_NETWORK_PIECE_COUNT_MAX);
	FUZZ_CHECK(count);
	for (i = 0; i < count; i++) {
		sum += vmb_host_offload_sum(sum, total & 1, slice[i].base, slice[i].len) & 0xFFFF;
		total += slice[i].len;
	}
	FUZZ_CHECK(total == frame->rndis.len);
	copy = malloc(total);
	FUZZ_CHECK(vmb_host_network_copy(&b->io, frame->offset, copy, total));
	free(copy);
	fuzz_take(f, b->memory + fuzz_u8(f), 4);
}

static void check_section(const struct bed *b)
{
	const struct vmb_host_offload_piece *section = b->io.pieces;

	FUZZ_CHECK(section->len <= VMB_NET_SEND_SECTION_LEN);
	FUZZ_CHECK(section->base >= b->send_buffer &&
		   section->base + section->len <= b->send_buffer + b->n.send_buffer.len);
	FUZZ_CHECK((section->base - b->send_buffer) % VMB_NET_SEND_SECTION_LEN == 0);
}

static int send(struct bed *b, struct fuzz *f, const struct vmb_host_offload_piece *pieces,
		uint32_t count)
{
	int step = vmb_host_network_send(&b->n, &b->io, pieces, count);
	struct vmb_host_network_frame frame;
	uint32_t frames = 0;

	if (step != VMB_HOST_NETWORK_SEND)
		return step;
	FUZZ_CHECK(b->io.total_len && b->io.total_len <= VMB_HOST_NETWORK_SEND_LEN_MAX);
	if (b->io.has_section)
		check_section(b);
	while (vmb_host_network_send_next(&b->n, &b->io, &frame)) {
		use_frame(b, f, &frame);
		FUZZ_CHECK(++frames <= VMB_HOST_RNDIS_PACKET_COUNT_MAX);
	}
	return vmb_host_network_send_done(&b->n, &b->io);
}

static uint32_t cut_memory(struct bed *b, struct fuzz *f, struct vmb_host_offload_piece *pieces,
			   uint32_t count, uint32_t len)
{
	uint32_t i, at = 0;

	for (i = 0; i < count; i++) {
		uint32_t part = i + 1 == count ? len - at : fuzz_u8(f);

		part = part < len - at ? part : len - at;
		pieces[i].base = b->memory + at;
		pieces[i].len = part;
		at += part;
	}
	return at;
}

static void run(struct bed *b, struct fuzz *f, uint16_t queue,
		const struct vmb_host_network_packet *packet, uint32_t memory_len)
{
	struct vmb_host_offload_piece pieces[VMB_HOST_NETWORK_PIECE_COUNT_MAX];
	int step = vmb_host_network_input(&b->n, queue, &b->io, packet);
	const struct vmb_host_offload_piece *resolved = pieces;
	uint32_t count = packet->range_count, steps = 0;

	if (count > VMB_HOST_NETWORK_PIECE_COUNT_MAX)
		count = VMB_HOST_NETWORK_PIECE_COUNT_MAX;
	cut_memory(b, f, pieces, count, memory_len);
	if (fuzz_u8(f) > 250)
		resolved = NULL;
	while (step == VMB_HOST_NETWORK_SHARE || step == VMB_HOST_NETWORK_UNSHARE ||
	       step == VMB_HOST_NETWORK_CONTROL || step == VMB_HOST_NETWORK_SEND) {
		FUZZ_CHECK(++steps < 4);
		if (step == VMB_HOST_NETWORK_SHARE)
			step = share(b, f);
		else if (step == VMB_HOST_NETWORK_UNSHARE)
			step = unshare(b);
		else if (step == VMB_HOST_NETWORK_CONTROL)
			step = vmb_host_network_control(&b->n, &b->io, resolved, count);
		else
			step = send(b, f, resolved, count);
	}
	FUZZ_CHECK(step == VMB_EPROTO || step == VMB_HOST_NETWORK_REPLY ||
		   step == VMB_HOST_NETWORK_NOTHING || step == VMB_HOST_NETWORK_SUB_CHANNELS);
	if (step == VMB_HOST_NETWORK_REPLY || step == VMB_HOST_NETWORK_SUB_CHANNELS) {
		FUZZ_CHECK(packet->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED);
		FUZZ_CHECK(b->io.reply_len <= sizeof(b->io.reply));
		FUZZ_CHECK(b->io.transaction_id == packet->transaction_id);
	}
	FUZZ_CHECK(b->n.sub_channel_count < QUEUE_COUNT);
	b->broken = step == VMB_EPROTO;
}

static const uint8_t known_types[] = { 1,   100, 101, 103, 104, 106, 107, 109, 111, 125,
				       126, 129, 130, 131, 133, 135, 136, 107, 107, 107 };

static void op_packet(struct bed *b, struct fuzz *f)
{
	struct vmb_host_network_packet packet = { .type = VMB_PKT_INBAND };
	uint8_t how = fuzz_u8(f), *payload;
	uint32_t type = known_types[fuzz_u8(f) % sizeof(known_types)], memory_len = 0;

	if (how & 0x80)
		type = fuzz_u32(f);
	if (how & 0x40)
		packet.type = VMB_PKT_GPA_DIRECT;
	if (how == 0x3F)
		packet.type = fuzz_u16(f);
	packet.flags = how & 0x20 ? fuzz_u16(f) : VMB_PKT_FLAG_COMPLETION_REQUESTED;
	packet.transaction_id = fuzz_u8(f);
	packet.payload_len = how & 0x10 ? fuzz_u16(f) % 300 : 40;
	payload = fuzz_exact(f, packet.payload_len);
	if (packet.payload_len >= 4)
		memcpy(payload, &type, 4);
	packet.payload = payload;
	if (how & 0x40) {
		packet.range_count = how & 8 ? fuzz_u32(f) : fuzz_u8(f) % 5;
		memory_len = fuzz_u16(f) % MEMORY_LEN;
		fuzz_take(f, b->memory, fuzz_u8(f));
	}
	run(b, f, how & 4 ? fuzz_u8(f) : 0, &packet, memory_len);
	free(payload);
}

static void message(struct bed *b, struct fuzz *f, const uint32_t *words, size_t count)
{
	struct vmb_host_network_packet packet = { .type = VMB_PKT_INBAND,
						  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED };
	uint32_t payload[10] = { 0 };

	memcpy(payload, words, count * sizeof(*words));
	packet.payload = payload;
	packet.payload_len = sizeof(payload);
	if (!b->broken)
		run(b, f, 0, &packet, 0);
}

/* RNDIS in ranges; type and lengths good but for what the fuzzer changes. */
static void rndis(struct bed *b, struct fuzz *f, uint32_t channel_type, uint32_t len,
		  uint16_t queue)
{
	uint32_t payload[10] = { VMB_NET_SEND_RNDIS_PACKET, channel_type, VMB_NET_SECTION_NONE };
	struct vmb_host_network_packet packet = { .type = VMB_PKT_GPA_DIRECT,
						  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						  .payload = payload,
						  .payload_len = sizeof(payload),
						  .range_count = 1 };

	packet.range_count += fuzz_u8(f) % 4;
	if (!b->broken)
		run(b, f, queue, &packet, len);
}

static void op_open(struct bed *b, struct fuzz *f)
{
	static const uint32_t versions[] = { 0x60001, 0x60001, 0x60001, 0x60000,
					     0x50000, 0x40000, 0x30002, 2 };
	static const uint32_t initialize[6] = { 2, 24, 1, 1, 0, 0x4000 };
	static const uint32_t filter[8] = { 5, 32, 2, 0x1010E, 4, 20, 0, 0x2F };
	static const uint32_t offload[14] = { 5,  56, 3,	  0xFC01020C, 28,
					      20, 0,  0x001C0380, 0x04040404, 0x02000004,
					      2,  0,  0x02020000, 0 };
	uint32_t version = versions[fuzz_u8(f) % 8];

	vmb_host_network_reset(&b->n);
	free(b->receive_buffer);
	free(b->send_buffer);
	b->receive_buffer = b->send_buffer = NULL;
	forget_holders(b);
	b->broken = false;
	message(b, f, (uint32_t[]){ 1, version, version }, 3);
	if (version != 2)
		message(b, f, (uint32_t[]){ 125, fuzz_u16(f) % 4000, 0, 0xA8 }, 4);
	message(b, f, (uint32_t[]){ 100, 6, 30 }, 3);
	message(b, f, (uint32_t[]){ 101, 1, 0xCAFE }, 3);
	message(b, f, (uint32_t[]){ 104, 2, 0 }, 3);
	memcpy(b->memory, initialize, sizeof(initialize));
	rndis(b, f, VMB_NET_CONTROL, sizeof(initialize), 0);
	memcpy(b->memory, filter, sizeof(filter));
	rndis(b, f, VMB_NET_CONTROL, sizeof(filter), 0);
	memcpy(b->memory, offload, sizeof(offload));
	if (fuzz_u8(f) & 1)
		rndis(b, f, VMB_NET_CONTROL, sizeof(offload), 0);
}

static void op_control(struct bed *b, struct fuzz *f)
{
	static const uint32_t oids[] = {
		0x10106, 0x1010E, 0x10204, 0x1021B, 0xFC01020C, 0xFC01020D
	};
	uint32_t head[7] = { 4, 28, 9, 0, 0, 20, 0 };

	head[0] = fuzz_u8(f) % 9;
	head[4] = fuzz_u8(f);
	head[1] += head[4];
	head[3] = oids[fuzz_u8(f) % 6];
	memcpy(b->memory, head, sizeof(head));
	fuzz_take(f, b->memory + sizeof(head), head[4]);
	rndis(b, f, VMB_NET_CONTROL, head[1], 0);
}

static void op_frames(struct bed *b, struct fuzz *f)
{
	uint32_t count = fuzz_u8(f) % 10, at = 0, i;

	memset(b->memory, 0, MEMORY_LEN);
	for (i = 0; i < count && at < MEMORY_LEN - 700; i++) {
		uint32_t len = 14 + fuzz_u8(f) * 2u;
		struct rndis_packet p = { .header = { RNDIS_PACKET, 60 + len },
					  .data_offset = 52,
					  .data_len = len,
					  .info_offset = 36,
					  .info_len = 16 };
		struct rndis_info info = { 16, fuzz_u8(f) % 9, 12 };
		uint8_t padding = fuzz_u8(f) % 9;

		p.header.len += padding;
		memcpy(b->memory + at, &p, sizeof(p));
		memcpy(b->memory + at + 44, &info, sizeof(info));
		fuzz_take(f, b->memory + at + 56, 4);
		at += p.header.len;
	}
	if (at && fuzz_u8(f) > 128)
		fuzz_take(f, b->memory + fuzz_u16(f) % at / 4 * 4, 4);
	rndis(b, f, VMB_NET_DATA, at, fuzz_u8(f) % QUEUE_COUNT);
}

/* A frame in a section, and now and then more or less of it. */
static void op_section(struct bed *b, struct fuzz *f)
{
	uint32_t words[4] = { VMB_NET_SEND_RNDIS_PACKET, VMB_NET_DATA, fuzz_u8(f) % 12, 0 };
	struct rndis_packet p = { .header = { RNDIS_PACKET, 0 }, .data_offset = 36 };
	uint64_t at = (uint64_t)words[2] * VMB_NET_SEND_SECTION_LEN;

	p.data_len = 14 + fuzz_u8(f);
	p.header.len = 44 + p.data_len;
	words[3] = fuzz_u8(f) < 200 ? p.header.len : fuzz_u16(f);
	if (b->n.send_buffer.memory && at + sizeof(p) <= b->n.send_buffer.len)
		memcpy(b->send_buffer + at, &p, sizeof(p));
	message(b, f, words, 4);
}

static void op_receive(struct bed *b, struct fuzz *f)
{
	struct vmb_host_network_received received = { .has_vlan = fuzz_u8(f) & 1 };
	static uint8_t bytes[70000];
	struct vmb_host_offload_piece piece = { bytes, 0 };
	uint8_t how = fuzz_u8(f);

	received.len = how & 1 ? fuzz_u16(f) : fuzz_u8(f);
	received.mss = how & 2 ? 1000 : 0;
	received.checksum = fuzz_u8(f);
	piece.len = received.len;
	vmb_host_network_receive(&b->n, how / 4 % QUEUE_COUNT, &received, &piece, 1);
}

static void lend(struct bed *b, uint16_t queue, const struct vmb_host_network_output *out)
{
	uint32_t i, index, first = (uint32_t)out->transaction_id;

	FUZZ_CHECK(b->receive_buffer && out->header_len == 8 + 8 * out->header.pages.range_count);
	for (i = 0; i < out->header.pages.range_count; i++) {
		index = out->header.ranges[i].byte_offset / b->n.suballoc_len;
		FUZZ_CHECK(index < SUBALLOCS_MAX && index < b->n.suballoc_count);
		FUZZ_CHECK(out->header.ranges[i].byte_offset + out->header.ranges[i].byte_count <=
			   b->receive_len);
		FUZZ_CHECK(!b->holder[index]);
		FUZZ_CHECK(i || index == first);
		b->holder[index] = (uint8_t)(1 + queue);
		b->packet[index] = (uint8_t)first;
		b->held++;
	}
}

static void op_output(struct bed *b, struct fuzz *f)
{
	uint16_t queue = fuzz_u8(f) % QUEUE_COUNT;
	const struct vmb_host_network_output *out = vmb_host_network_output(&b->n, queue);

	if (!out)
		return;
	FUZZ_CHECK(out == vmb_host_network_output(&b->n, queue));
	FUZZ_CHECK(out->payload_len && out->payload_len <= VMB_NET_MESSAGE_LEN_MAX);
	if (out->type == VMB_PKT_TRANSFER_PAGES)
		lend(b, queue, out);
	else
		FUZZ_CHECK(out->type == VMB_PKT_INBAND && !queue && !out->flags);
	vmb_host_network_output_done(&b->n, queue);
}

/* Good, forged, or given back twice. */
static void op_acknowledge(struct bed *b, struct fuzz *f)
{
	struct vmb_host_network_packet packet = { .type = VMB_PKT_COMPLETION };
	uint32_t i, first = fuzz_u8(f) % SUBALLOCS_MAX;
	uint8_t how = fuzz_u8(f);
	uint16_t queue = how % QUEUE_COUNT;
	bool good = b->holder[first] == 1 + queue && b->packet[first] == first;

	packet.transaction_id = first;
	if (how > 250) {
		packet.transaction_id |= (uint64_t)fuzz_u32(f) << 32;
		good &= packet.transaction_id == first;
	}
	FUZZ_CHECK(vmb_host_network_input(&b->n, queue, &b->io, &packet) ==
		   VMB_HOST_NETWORK_NOTHING);
	for (i = 0; good && i < SUBALLOCS_MAX; i++) {
		if (!b->holder[i] || b->packet[i] != first)
			continue;
		b->holder[i] = 0;
		b->held--;
	}
}

static void op_queue(struct bed *b, struct fuzz *f)
{
	uint16_t queue = 1 + fuzz_u8(f) % (QUEUE_COUNT - 1);
	uint32_t i;

	if (fuzz_u8(f) & 3) {
		message(b, f, (uint32_t[]){ 133, 1, fuzz_u8(f) }, 3);
		vmb_host_network_queue_opened(&b->n, queue);
		return;
	}
	vmb_host_network_queue_closed(&b->n, queue);
	for (i = 0; i < SUBALLOCS_MAX; i++) {
		if (b->holder[i] != 1 + queue)
			continue;
		b->holder[i] = 0;
		b->held--;
	}
}

static void op_scribble(struct bed *b, struct fuzz *f)
{
	if (b->receive_buffer && b->receive_len)
		memset(b->receive_buffer, fuzz_u8(f), b->receive_len);
	vmb_host_network_set_link(&b->n, fuzz_u8(f) & 1);
}

static uint32_t waiting(const struct bed *b)
{
	uint32_t count = 0, i;

	for (i = 0; i < QUEUE_COUNT; i++)
		if ((b->queues[i].filling || b->queues[i].ready) &&
		    b->queues[i].out.type == VMB_PKT_TRANSFER_PAGES)
			count += b->queues[i].out.header.pages.range_count;
	return count;
}

static void check_accounts(const struct bed *b)
{
	if (b->n.receive_buffer.memory)
		FUZZ_CHECK(b->n.free_count + b->held + waiting(b) == b->n.suballoc_count);
	else
		FUZZ_CHECK(!b->n.free_count && !b->held && !waiting(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const ops[])(struct bed *, struct fuzz *) = {
		op_packet, op_section,	op_section, op_control, op_frames,
		op_frames, op_receive,	op_receive, op_output,	op_acknowledge,
		op_queue,  op_scribble, op_open,
	};
	const struct vmb_host_network_config config = {
		.rndis = { .mac = { 2, 0, 0, 0, 0, 1 },
			   .mtu_max = 3000,
			   .offload = 0xF,
			   .queue_count_max = QUEUE_COUNT },
	};
	static struct bed b;
	struct fuzz f = { bytes, len };

	/* n is big, and its own affair */
	memset((uint8_t *)&b + sizeof(b.n), 0, sizeof(b) - sizeof(b.n));
	b.memory = calloc(1, MEMORY_LEN + 256);
	FUZZ_CHECK(!vmb_host_network_init(&b.n, &config, b.queues));
	if (fuzz_u8(&f) & 7)
		op_open(&b, &f);
	while (f.len) {
		uint8_t op = fuzz_u8(&f) % (sizeof(ops) / sizeof(*ops));

		/*
		 * a channel whose guest broke the protocol is not served until it is opened again
		 */
		if (b.broken && ops[op] != op_open)
			continue;
		ops[op](&b, &f);
		check_accounts(&b);
	}
	free(b.receive_buffer);
	free(b.send_buffer);
	free(b.memory);
	return 0;
}
