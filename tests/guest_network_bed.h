/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of the guest's network protocol share: a scripted host. Its packets are put
 * together byte by byte from docs/protocol/network.md, without the structures of wire/, and handed
 * over in memory of exactly their length.
 */
#ifndef TESTS_GUEST_NETWORK_BED_H
#define TESTS_GUEST_NETWORK_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest/network.h"

#define INBAND	       6
#define GPA_DIRECT     9
#define COMPLETION     11

#define SLOTS	       4u
#define OWED	       64u
#define RX_LEN	       (64u << 10)
#define TX_LEN	       (64u << 10)
#define SUBALLOC_LEN   1806u
#define SUBALLOC_COUNT (RX_LEN / SUBALLOC_LEN)
#define SECTION_LEN    6144u

#define SUCCESS	       0u
#define NOT_SUPPORTED  0xC00000BBu

#define assert_event(bench, wanted) \
	assert_int_equal((bench)->event.type, VMB_GUEST_NETWORK_##wanted)

/*
 * What the host is like. An OID whose bit in `refuse` is set (index into host_oids) is not
 * supported.
 */
struct host {
	uint32_t version; /* the only one that it speaks */
	uint32_t frame_len, packet_count_max, transfer_len_max, alignment_log2;
	uint32_t section_len, suballoc_len;
	uint32_t sub_channels; /* that it grants */
	uint32_t rss_queues, rss_entries;
	uint32_t disconnected;
	uint32_t refuse_oid;
	bool reply_first; /* the RNDIS reply comes before the completion */
	uint8_t mac[6];
	uint8_t offload[200];
	uint32_t offload_len;
};

struct bench {
	struct vmb_guest_network n;
	struct vmb_guest_network_config config;
	struct vmb_guest_network_queue q, q1;
	struct vmb_guest_network_slot slots[2][SLOTS];
	uint32_t free_slots[2][SLOTS];
	uint64_t owed[2][OWED];
	struct vmb_guest_network_receive r;
	struct vmb_guest_network_event event;
	struct host host;
	uint32_t asked[64]; /* the OIDs that were asked or set */
	uint32_t asked_count;
	uint8_t out[VMB_NET_MESSAGE_LEN_MAX]; /* the last message */
	uint16_t out_type, out_flags;
	uint32_t out_len;
	uint64_t out_id;
	uint8_t rndis[4096]; /* the RNDIS message that came with it */
	uint32_t rndis_sent
		[16]; /* how many of each type came; the last counts all that are longer numbers */
	uint32_t rndis_len;
	uint8_t in[5000]; /* the next packet of the host */
};

static uint8_t bench_rx[RX_LEN], bench_tx[TX_LEN], bench_page[4096];

static inline void put(void *to, uint32_t offset, uint64_t value, uint32_t len)
{
	uint8_t *bytes = to;

	while (len--) {
		bytes[offset++] = (uint8_t)value;
		value >>= 8;
	}
}

static inline uint64_t get(const void *from, uint32_t offset, uint32_t len)
{
	const uint8_t *bytes = from;
	uint64_t value = 0;

	while (len--)
		value = value << 8 | bytes[offset + len];
	return value;
}

/* ---- packets of the host ---- */

static inline int deliver_to(struct bench *b, struct vmb_guest_network_queue *q, uint16_t type,
			     uint64_t id, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, b->in, len);
	memset(&b->event, 0xEE, sizeof(b->event));
	err = vmb_guest_network_input(&b->n, q, type, id, exact, len, &b->event);
	free(exact);
	return err;
}

static inline int deliver(struct bench *b, uint16_t type, uint64_t id, uint32_t len)
{
	return deliver_to(b, &b->q, type, id, len);
}

static inline uint8_t *say(struct bench *b, uint32_t type)
{
	memset(b->in, 0, sizeof(b->in));
	put(b->in, 0, type, 4);
	return b->in;
}

/* A completion of the last message: type, and the first word after it. */
static inline int complete(struct bench *b, uint32_t type, uint32_t status, uint32_t len)
{
	put(say(b, type), 4, status, 4);
	return deliver(b, COMPLETION, b->out_id, len);
}

/* The header of a transfer-page packet with one more range. */
static inline void add_range(struct bench *b, uint32_t offset, uint32_t len)
{
	struct vmb_guest_network_receive *r = &b->r;
	uint32_t i = (uint32_t)get(&r->header, 4, 4);

	put(&r->header, 8 + 8 * i, len, 4);
	put(&r->header, 12 + 8 * i, offset, 4);
	put(&r->header, 4, i + 1, 4);
}

static inline void begin_packet(struct bench *b, uint32_t channel_type)
{
	memset(&b->r, 0, sizeof(b->r));
	b->r.next = b->r.piece_count = b->r.fragment_len = 5; /* left by the packet before */
	put(&b->r.header, 0, 0xCAFE, 2);
	put(b->r.message, 0, 107, 4);
	put(b->r.message, 4, channel_type, 4);
	put(b->r.message, 8, 0xFFFFFFFF, 4);
}

static inline int receive_on(struct bench *b, struct vmb_guest_network_queue *q)
{
	return vmb_guest_network_receive(&b->n, q, &b->r, 8 + 8 * (uint32_t)get(&b->r.header, 4, 4),
					 16);
}

static inline int receive(struct bench *b)
{
	return receive_on(b, &b->q);
}

/* Delivers the control message of len bytes in b->in, at the end of the receive buffer. */
static inline int indicate(struct bench *b, uint32_t len)
{
	memset(&b->event, 0xEE, sizeof(b->event));
	memcpy(bench_rx + RX_LEN - len, b->in, len);
	begin_packet(b, 1);
	add_range(b, RX_LEN - len, len);
	assert_int_equal(receive(b), VMB_GUEST_NETWORK_CONTROL);
	return vmb_guest_network_control(&b->n, &b->r, &b->event);
}

/* An RNDIS completion of the last request, with data_len bytes of data already at b->in + 24. */
static inline int reply(struct bench *b, uint32_t status, uint32_t data_len)
{
	uint32_t type = (uint32_t)get(b->rndis, 0, 4) | 0x80000000;
	uint32_t len = type == 0x80000002 ? 52 : type == 0x80000004 ? 24 + data_len : 16;

	put(b->in, 0, type, 4);
	put(b->in, 4, len, 4);
	put(b->in, 8, get(b->rndis, 8, 4), 4);
	put(b->in, 12, status, 4);
	if (type == 0x80000004) {
		put(b->in, 16, data_len, 4);
		put(b->in, 20, 16, 4);
	}
	if (type == 0x80000006) {
		put(b->in, 8, status, 4);
		put(b->in, 12, 0, 4);
	}
	return indicate(b, len);
}

static inline int taken(struct bench *b)
{
	return complete(b, 108, 1, 8);
}

/* ---- messages of the guest ---- */

static inline bool next_output(struct bench *b)
{
	const struct vmb_guest_network_output *out = vmb_guest_network_output(&b->n);

	if (!out)
		return false;
	memset(b->out, 0, sizeof(b->out));
	memcpy(b->out, out->payload, sizeof(b->out));
	b->out_type = out->type;
	b->out_flags = out->flags;
	b->out_len = out->payload_len;
	b->out_id = out->transaction_id;
	b->rndis_len = 0;
	if (out->type == GPA_DIRECT) {
		assert_int_equal(get(&out->gpa, 0, 8), 1ull << 32);
		b->rndis_len = (uint32_t)get(&out->gpa, 8, 4);
		assert_int_equal(get(&out->gpa, 12, 4), 0);
		assert_int_equal(get(&out->gpa, 16, 8), 0x1234);
		memcpy(b->rndis, bench_page, b->rndis_len);
		assert_int_equal(get(b->rndis, 4, 4), b->rndis_len);
		b->rndis_sent[get(b->rndis, 0, 4) < 15 ? get(b->rndis, 0, 4) : 15]++;
	}
	return true;
}

/* Sends the next message, which must be this one. */
static inline void expect(struct bench *b, uint32_t type, bool completion)
{
	assert_true(next_output(b));
	assert_int_equal(get(b->out, 0, 4), type);
	assert_int_equal(b->out_flags, completion);
	assert_int_equal(b->out_len, b->n.agreed.version == 0x60001 ? 40 : 28);
	assert_int_equal((uint32_t)b->out_id, 0xFFFFFFFF);
	assert_int_equal(b->out_type, type == 107 ? GPA_DIRECT : INBAND);
	vmb_guest_network_output_done(&b->n);
}

static inline void expect_rndis(struct bench *b, uint32_t type)
{
	expect(b, 107, true);
	assert_int_equal(get(b->out, 4, 4), 1);
	assert_int_equal(get(b->out, 8, 4), 0xFFFFFFFF);
	assert_int_equal(get(b->out, 12, 4), 0);
	assert_int_equal(get(b->rndis, 0, 4), type);
}

static inline void expect_oid(struct bench *b, uint32_t type, uint32_t oid)
{
	expect_rndis(b, type);
	assert_int_equal(get(b->rndis, 12, 4), oid);
	assert_int_equal(get(b->rndis, 20, 4), 20);
	assert_int_equal(get(b->rndis, 24, 4), 0);
}

/* ---- the host's answers ---- */

static inline uint32_t host_value(struct bench *b, uint32_t oid, uint8_t *data)
{
	memset(data, 0, 256);
	switch (oid) {
	case 0x10106: put(data, 0, b->host.frame_len, 4); return 4;
	case 0x01010101: memcpy(data, b->host.mac, 6); return 6;
	case 0x10107: put(data, 0, 100000000, 4); return 4;
	case 0xFC01020D:
		memcpy(data, b->host.offload, b->host.offload_len);
		return b->host.offload_len;
	case 0x10114: put(data, 0, b->host.disconnected, 4); return 4;
	case 0x10203:
		put(data, 0, 0x88 | 2 << 8 | 18 << 16, 4);
		put(data, 4, 0x301, 4);
		put(data, 12, b->host.rss_queues, 4);
		put(data, 16, b->host.rss_entries, 2);
		return 18;
	}
	return 0;
}

static inline int host_reply(struct bench *b)
{
	uint32_t oid = (uint32_t)get(b->rndis, 12, 4);
	uint32_t type = (uint32_t)get(b->rndis, 0, 4);
	uint32_t len;

	memset(b->in, 0, sizeof(b->in));
	if (type == 2) {
		put(b->in, 16, 1, 4);
		put(b->in, 24, 1, 4);
		put(b->in, 32, b->host.packet_count_max, 4);
		put(b->in, 36, b->host.transfer_len_max, 4);
		put(b->in, 40, b->host.alignment_log2, 4);
		return reply(b, SUCCESS, 0);
	}
	b->asked[b->asked_count++ % 64] = oid;
	if (oid == b->host.refuse_oid)
		return reply(b, NOT_SUPPORTED, 0);
	len = host_value(b, oid, b->in + 24);
	return reply(b, SUCCESS, len);
}

static inline int host_rndis(struct bench *b)
{
	int err;

	if (b->host.reply_first) {
		err = host_reply(b);
		return err ? err : taken(b);
	}
	err = taken(b);
	return err ? err : host_reply(b);
}

/* Answers the last message as a good host does. */
static inline int host_answer(struct bench *b)
{
	uint32_t type = (uint32_t)get(b->out, 0, 4);

	switch (type) {
	case 1:
		put(say(b, 2), 12, get(b->out, 4, 4) == b->host.version, 4);
		put(b->in, 4, b->host.version == 2 ? 2 : 0xFFFFFFFF, 4);
		put(b->in, 8, 34, 4);
		return deliver(b, COMPLETION, b->out_id, b->n.agreed.message_len);
	case 101:
		put(say(b, 102), 4, 1, 4);
		put(b->in, 8, 1, 4);
		put(b->in, 16, b->host.suballoc_len, 4);
		put(b->in, 20, RX_LEN / b->host.suballoc_len, 4);
		put(b->in, 24, RX_LEN / b->host.suballoc_len * b->host.suballoc_len, 4);
		return deliver(b, COMPLETION, b->out_id, b->n.agreed.message_len);
	case 104:
		put(say(b, 105), 4, 1, 4);
		put(b->in, 8, b->host.section_len, 4);
		return deliver(b, COMPLETION, b->out_id, b->n.agreed.message_len);
	case 107: return host_rndis(b);
	case 133:
		put(say(b, 133), 4, 1, 4);
		put(b->in, 8, b->host.sub_channels, 4);
		return deliver(b, COMPLETION, b->out_id, 12);
	}
	return 0; /* 100, 125: nothing */
}

/* ---- whole dialogues ---- */

static inline void bench_offload(struct host *host)
{
	uint8_t *o = host->offload;

	host->offload_len = 156;
	put(o, 0, 0xA7 | 3 << 8 | 156 << 16, 4);
	put(o, 4, 2, 4);
	put(o, 8, 0x155, 4);
	put(o, 12, 2, 4);
	put(o, 16, 0x155, 4);
	put(o, 20, 2, 4);
	put(o, 24, 0x55, 4);
	put(o, 28, 2, 4);
	put(o, 32, 0x55, 4);
	put(o, 80, 2, 4);
	put(o, 84, 0xF53C, 4);
	put(o, 88, 2, 4);
	put(o, 92, 2, 4);
	put(o, 96, 0xF53C, 4);
	put(o, 100, 2, 4);
	put(o, 104, 5, 4);
	put(o, 144, 0x0101, 2);
}

/*
 * A bench whose host speaks this version only; b->config and b->host may be changed before
 * bench_start.
 */
static inline void bench_init(struct bench *b, uint32_t version)
{
	static const uint8_t mac[6] = { 0x00, 0x15, 0x5D, 1, 2, 3 };

	memset(b, 0, sizeof(*b));
	memset(bench_rx, 0, sizeof(bench_rx));
	memset(bench_tx, 0xEE, sizeof(bench_tx));
	memset(bench_page, 0xEE, sizeof(bench_page));
	b->host.version = version;
	b->host.frame_len = 1500;
	b->host.packet_count_max = 8;
	b->host.transfer_len_max = 0xEFFFFFFF;
	b->host.alignment_log2 = 3;
	b->host.section_len = SECTION_LEN;
	b->host.suballoc_len = SUBALLOC_LEN;
	b->host.sub_channels = 1;
	b->host.rss_queues = 64;
	b->host.rss_entries = 128;
	memcpy(b->host.mac, mac, 6);
	bench_offload(&b->host);
	b->config.version_max = version;
	b->config.mtu = 1500;
	b->config.queue_count = 2;
	b->config.rsc = true;
	b->config.receive_buffer = bench_rx;
	b->config.receive_len = RX_LEN;
	b->config.receive_gpadl_id = 0x111;
	b->config.send_buffer = bench_tx;
	b->config.send_len = TX_LEN;
	b->config.send_gpadl_id = 0x222;
	b->config.control_page = bench_page;
	b->config.control_pfn = 0x1234;
}

static inline int queue_init(struct bench *b, uint32_t index, uint32_t slot_count)
{
	return vmb_guest_network_queue_init(&b->n, index ? &b->q1 : &b->q, (uint16_t)index,
					    b->slots[index], b->free_slots[index], slot_count,
					    slot_count ? index * SLOTS : 0, b->owed[index], OWED);
}

static inline void bench_start(struct bench *b)
{
	assert_int_equal(vmb_guest_network_init(&b->n, &b->config), 0);
	assert_int_equal(queue_init(b, 0, 0), 0);
	assert_int_equal(vmb_guest_network_start(&b->n), 0);
}

/* Lets the host answer until a message of this type is out: it is, and not answered yet. */
static inline void bench_until(struct bench *b, uint32_t type)
{
	while (next_output(b)) {
		vmb_guest_network_output_done(&b->n);
		if (get(b->out, 0, 4) == type)
			return;
		assert_int_equal(host_answer(b), 0);
	}
	fail_msg("the guest never sent message %u", type);
}

/* ... until a request for this OID is out. */
static inline void bench_until_oid(struct bench *b, uint32_t oid)
{
	do
		bench_until(b, 107);
	while ((get(b->rndis, 0, 4) == 2 || get(b->rndis, 12, 4) != oid) && !host_answer(b));
}

/* The rest of the handshake; b->event is that of the last answer. */
static inline void bench_finish(struct bench *b)
{
	while (next_output(b)) {
		vmb_guest_network_output_done(&b->n);
		assert_int_equal(host_answer(b), 0);
	}
}

static inline void bench_ready(struct bench *b)
{
	bench_start(b);
	bench_finish(b);
	assert_event(b, IS_READY);
	assert_int_equal(b->n.state, VMB_GUEST_NETWORK_READY);
	assert_int_equal(queue_init(b, 0, SLOTS), 0);
	if (b->config.queue_count > 1)
		assert_int_equal(queue_init(b, 1, SLOTS), 0);
}

static inline void bench_ready_with(struct bench *b, uint32_t version)
{
	bench_init(b, version);
	bench_ready(b);
}

#endif
