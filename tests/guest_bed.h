/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of the guest's message engine share: a connection, and a host whose messages are
 * put together byte by byte from docs/protocol/bus.md, "4.3 Layouts", without the structures of
 * wire/, so that a wrong structure can't agree with itself. Messages are handed over in memory of
 * exactly their length.
 */
#ifndef TESTS_GUEST_BED_H
#define TESTS_GUEST_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest/connect.h"

#define assert_event(bench, wanted) assert_int_equal((bench)->event.type, VMB_GUEST_EVENT_##wanted)
#define PAGE			    4096u
#define RING_PAGES		    4u

struct bench {
	struct vmb_guest_connect c;
	struct vmb_guest_event event;
	uint8_t in[256]; /* the next message of the host */
	uint8_t out[240]; /* the last message of the guest */
	uint32_t out_len;
	uint32_t out_connection;
};

static inline void put(uint8_t *bytes, uint32_t offset, uint64_t value, uint32_t len)
{
	while (len--) {
		bytes[offset++] = (uint8_t)value;
		value >>= 8;
	}
}

static inline uint64_t get(const uint8_t *bytes, uint32_t offset, uint32_t len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | bytes[offset + len];
	return value;
}

/* A clean message with its number at 0; returns its bytes, the body is at 8. */
static inline uint8_t *say(struct bench *b, uint32_t type)
{
	memset(b->in, 0, sizeof(b->in));
	put(b->in, 0, type, 4);
	return b->in;
}

static inline int deliver(struct bench *b, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	int error;

	memcpy(exact, b->in, len);
	error = vmb_guest_connect_input(&b->c, exact, len, &b->event);
	free(exact);
	return error;
}

static inline int say_bare(struct bench *b, uint32_t type)
{
	say(b, type);
	return deliver(b, 8);
}

static inline int say_version(struct bench *b, uint8_t supported, uint8_t state, uint32_t word,
			      uint32_t len)
{
	uint8_t *msg = say(b, 15);

	put(msg, 8, supported, 1);
	put(msg, 9, state, 1);
	put(msg, 12, word, 4);
	return deliver(b, len);
}

/* An offer of a device: the instance's GUID repeats the byte device. */
static inline uint8_t *make_offer(struct bench *b, uint32_t relid, uint8_t device, uint16_t index)
{
	uint8_t *msg = say(b, 1);

	memset(msg + 8, 0xAA, 16);
	memset(msg + 24, device, 16);
	put(msg, 180, index, 2);
	put(msg, 184, relid, 4);
	put(msg, 188, 0xFF, 1);
	put(msg, 190, 1, 2);
	put(msg, 192, 0x2000 + relid, 4);
	return msg;
}

static inline int say_offer(struct bench *b, uint32_t relid, uint8_t device, uint16_t index)
{
	make_offer(b, relid, device, index);
	return deliver(b, 196);
}

/* RESCIND, or any other message with only a number at 8. */
static inline int say_relid(struct bench *b, uint32_t type, uint32_t relid)
{
	put(say(b, type), 8, relid, 4);
	return deliver(b, 12);
}

static inline int say_rescind(struct bench *b, uint32_t relid)
{
	return say_relid(b, 2, relid);
}

static inline int say_torndown(struct bench *b, uint32_t gpadl_id)
{
	return say_relid(b, 12, gpadl_id);
}

/* OPEN_RESULT (6) and GPADL_CREATED (10). */
static inline int say_result(struct bench *b, uint32_t type, uint32_t relid, uint32_t id,
			     uint32_t status)
{
	uint8_t *msg = say(b, type);

	put(msg, 8, relid, 4);
	put(msg, 12, id, 4);
	put(msg, 16, status, 4);
	return deliver(b, 20);
}

static inline int say_modified(struct bench *b, uint32_t relid, uint32_t status)
{
	uint8_t *msg = say(b, 24);

	put(msg, 8, relid, 4);
	put(msg, 12, status, 4);
	return deliver(b, 16);
}

/* Looks at the next message without saying that it left. False: nothing waits. */
static inline bool peek(struct bench *b)
{
	const struct vmb_guest_connect_output *out = vmb_guest_connect_output(&b->c);

	if (!out)
		return false;
	assert_in_range(out->len, 8, 240);
	memcpy(b->out, out->payload, out->len);
	b->out_len = out->len;
	b->out_connection = out->connection_id;
	return true;
}

/* Sends the next message, which must have this number and length. */
static inline void expect_sent(struct bench *b, uint32_t type, uint32_t len)
{
	assert_true(peek(b));
	assert_int_equal(get(b->out, 0, 4), type);
	assert_int_equal(get(b->out, 4, 4), 0);
	assert_int_equal(b->out_len, len);
	vmb_guest_connect_output_done(&b->c);
}

static inline void expect_silence(struct bench *b)
{
	assert_false(peek(b));
}

static inline void bench_init(struct bench *b, uint32_t version_max)
{
	struct vmb_guest_connect_config config = { .target_vp = 3,
						   .interrupt_page_gpa = 0x9000,
						   .version_max = version_max };

	memset(b, 0, sizeof(*b));
	assert_int_equal(vmb_guest_connect_init(&b->c, &config), 0);
}

/* Up to CONNECTED with this version; messages then go to connection 1. */
static inline void bench_connect(struct bench *b, uint32_t version)
{
	bench_init(b, version);
	assert_int_equal(vmb_guest_connect_start(&b->c), 0);
	expect_sent(b, 14, 40);
	assert_int_equal(say_version(b, 1, 0, version >= 0x50000 ? 1 : version, 20), 0);
	assert_event(b, CONNECTED);
}

/* Up to ALL_OFFERS_DELIVERED, with nothing offered. */
static inline void bench_ready(struct bench *b, uint32_t version)
{
	bench_connect(b, version);
	assert_int_equal(vmb_guest_connect_request_offers(&b->c), 0);
	expect_sent(b, 3, 8);
	assert_int_equal(say_bare(b, 4), 0);
	assert_event(b, OFFERS_DELIVERED);
}

/* Takes an offer with this relid into ch. */
static inline void bench_offer(struct bench *b, struct vmb_guest_channel *ch, uint32_t relid)
{
	memset(ch, 0, sizeof(*ch));
	assert_int_equal(say_offer(b, relid, (uint8_t)relid, 0), 0);
	assert_event(b, OFFER);
	assert_int_equal(vmb_guest_channel_add(&b->c, ch, &b->event.offer), 0);
}

/* Establishes a GPADL of pages pages for ch; pfns is big enough for them. */
static inline void bench_gpadl(struct bench *b, struct vmb_guest_channel *ch,
			       struct vmb_guest_gpadl *gpadl, const uint64_t *pfns, uint32_t pages)
{
	memset(gpadl, 0, sizeof(*gpadl));
	assert_int_equal(vmb_guest_gpadl_establish(ch, gpadl, pfns, pages, pages * PAGE, 0), 0);
	while (peek(b))
		vmb_guest_connect_output_done(&b->c);
	assert_int_equal(say_result(b, 10, ch->relid, gpadl->id, 0), 0);
	assert_event(b, GPADL_CREATED);
	assert_int_equal(gpadl->state, VMB_GUEST_GPADL_READY);
}

static inline void bench_teardown(struct bench *b, struct vmb_guest_gpadl *gpadl)
{
	assert_int_equal(vmb_guest_gpadl_teardown(gpadl), 0);
	expect_sent(b, 11, 16);
	assert_int_equal(say_torndown(b, gpadl->id), 0);
	assert_event(b, GPADL_TORNDOWN);
}

/* An offered channel with its ring memory established, relid 7. */
struct device {
	struct vmb_guest_channel ch;
	struct vmb_guest_gpadl ring;
	uint64_t pfns[2 * RING_PAGES];
};

static inline void bench_device(struct bench *b, struct device *d)
{
	uint32_t i;

	for (i = 0; i < 2 * RING_PAGES; i++)
		d->pfns[i] = 0x1000 + i;
	bench_offer(b, &d->ch, 7);
	bench_gpadl(b, &d->ch, &d->ring, d->pfns, 2 * RING_PAGES);
}

static inline int device_open(struct device *d)
{
	return vmb_guest_channel_open(&d->ch, &d->ring, RING_PAGES, 5, "hello", 5);
}

static inline void bench_open(struct bench *b, struct device *d)
{
	bench_device(b, d);
	assert_int_equal(device_open(d), 0);
	expect_sent(b, 5, 148);
	assert_int_equal(say_result(b, 6, 7, d->ch.open_id, 0), 0);
	assert_event(b, OPEN_RESULT);
	assert_int_equal(d->ch.state, VMB_GUEST_CHANNEL_OPEN);
}

#endif
