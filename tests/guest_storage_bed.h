/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of the guest's storage protocol share. The host's packets are put together byte by
 * byte from docs/protocol/storage.md, "3 Packets", "7 Completion", without the structures of wire/,
 * and handed over in memory of exactly their length.
 */
#ifndef TESTS_GUEST_STORAGE_BED_H
#define TESTS_GUEST_STORAGE_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest/storage.h"

#define SLOTS 4
#define assert_event(bench, wanted) \
	assert_int_equal((bench)->event.type, VMB_GUEST_STORAGE_##wanted)
#define INBAND	   6
#define COMPLETION 11

struct bench {
	struct vmb_guest_storage s;
	struct vmb_guest_storage_slot slots[SLOTS];
	struct vmb_guest_storage_event event;
	struct vmb_guest_storage_request request;
	struct vmb_guest_storage_packet packet; /* as submit made it */
	uint8_t out[64]; /* the last control packet */
	uint32_t out_len;
	uint64_t out_id;
	uint8_t in[80]; /* the next packet of the host */
};

static inline void put(uint8_t *bytes, uint32_t offset, uint64_t value, uint32_t len)
{
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

static inline uint8_t *say(struct bench *b, uint32_t operation, uint32_t status)
{
	memset(b->in, 0, sizeof(b->in));
	put(b->in, 0, operation, 4);
	put(b->in, 8, status, 4);
	return b->in;
}

static inline int deliver(struct bench *b, uint16_t type, uint64_t id, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	int error;

	memcpy(exact, b->in, len);
	error = vmb_guest_storage_input(&b->s, type, id, exact, len, &b->event);
	free(exact);
	return error;
}

static inline void bench_init(struct bench *b, uint16_t version_max, uint32_t max_transfer_len)
{
	struct vmb_guest_storage_config config = { .version_max = version_max,
						   .max_transfer_len = max_transfer_len };

	memset(b, 0, sizeof(*b));
	assert_int_equal(vmb_guest_storage_init(&b->s, b->slots, SLOTS, &config), 0);
}

/* Sends the next control packet, which must be this one, this long. */
static inline void expect_control(struct bench *b, uint32_t operation, uint32_t len)
{
	const struct vmb_guest_storage_output *out = vmb_guest_storage_output(&b->s);

	assert_non_null(out);
	memcpy(b->out, &out->packet, sizeof(b->out));
	b->out_len = out->payload_len;
	b->out_id = out->transaction_id;
	assert_int_equal(get(b->out, 0, 4), operation);
	assert_int_equal(get(b->out, 4, 4), 1);
	assert_int_equal(get(b->out, 8, 4), 0);
	assert_int_equal(b->out_len, len);
	assert_int_not_equal(b->out_id, 0);
	vmb_guest_storage_output_done(&b->s);
	assert_null(vmb_guest_storage_output(&b->s));
}

static inline int answer(struct bench *b, uint32_t status)
{
	say(b, 1, status);
	return deliver(b, COMPLETION, b->out_id, b->out_len);
}

static inline uint8_t *say_properties(struct bench *b, uint16_t sub_channels, uint32_t flags,
				      uint32_t max_transfer)
{
	uint8_t *packet = say(b, 1, 0);

	put(packet, 12 + 4, sub_channels, 2);
	put(packet, 12 + 8, flags, 4);
	put(packet, 12 + 12, max_transfer, 4);
	return packet;
}

/* BEGIN and the version, which the host accepts. */
static inline void bench_version(struct bench *b, uint16_t version, uint32_t cap)
{
	uint32_t len = version >= 0x501 ? 64 : 48;

	bench_init(b, version, cap);
	assert_int_equal(vmb_guest_storage_start(&b->s), 0);
	expect_control(b, 7, len);
	assert_int_equal(answer(b, 0), 0);
	assert_event(b, NOTHING);
	expect_control(b, 9, len);
	assert_int_equal(get(b->out, 12, 2), version);
	assert_int_equal(answer(b, 0), 0);
	expect_control(b, 10, len);
}

static inline void bench_ready(struct bench *b, uint16_t version)
{
	bench_version(b, version, 0);
	say_properties(b, 0, 0, 0x40000);
	assert_int_equal(deliver(b, COMPLETION, b->out_id, b->out_len), 0);
	assert_event(b, NOTHING);
	expect_control(b, 8, b->out_len);
	assert_int_equal(answer(b, 0), 0);
	assert_event(b, IS_READY);
	assert_int_equal(b->s.state, VMB_GUEST_STORAGE_READY);
	assert_null(vmb_guest_storage_output(&b->s));
}

/* A read of 8 KiB, 16 bytes into its first page. */
static inline struct vmb_guest_storage_request *make_read(struct bench *b)
{
	static const struct vmb_guest_storage_request read = {
		.target_id = 1,
		.lun = 3,
		.cdb_len = 10,
		.cdb = { 0x28, 0, 0, 0, 0, 9, 0, 0, 16, 0 },
		.direction = VMB_STOR_READ,
		.data_len = 8192,
		.data_offset = 16,
		.timeout_s = 60,
	};

	b->request = read;
	b->request.cookie = b;
	return &b->request;
}

static inline int submit(struct bench *b, uint32_t slot)
{
	memset(&b->packet, 0xEE, sizeof(b->packet));
	return vmb_guest_storage_submit(&b->s, slot, &b->request, &b->packet);
}

static inline void submit_read(struct bench *b, uint32_t slot)
{
	make_read(b);
	assert_int_equal(submit(b, slot), 0);
}

/* COMPLETE_IO for a request; the caller adds sense data. */
static inline uint8_t *say_complete(struct bench *b, uint8_t srb_status, uint8_t scsi_status,
				    uint32_t moved)
{
	uint8_t *packet = say(b, 1, 0);

	put(packet, 12, 0x34, 2);
	put(packet, 14, srb_status, 1);
	put(packet, 15, scsi_status, 1);
	put(packet, 24, moved, 4);
	return packet;
}

static inline int complete(struct bench *b)
{
	return deliver(b, COMPLETION, b->packet.transaction_id, b->packet.payload_len);
}

#endif
