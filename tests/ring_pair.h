/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of one ring over plain memory, and packets whose bytes follow from their transaction
 * id.
 */
#ifndef TESTS_RING_PAIR_H
#define TESTS_RING_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ring/ring.h"

#define DATA_LEN 4096u

struct pair {
	struct vmb_ring_control control;
	uint8_t data[DATA_LEN];
	struct vmb_ring_writer w;
	struct vmb_ring_reader r;
};

static inline int setup_len(void **state, uint32_t data_len)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	memset(p->data, 0xEE, sizeof(p->data));
	assert_int_equal(vmb_ring_writer_init(&p->w, &p->control, p->data, data_len, true), 0);
	assert_int_equal(vmb_ring_reader_init(&p->r, &p->control, p->data, data_len, true), 0);
	*state = p;
	return 0;
}

static inline int setup(void **state)
{
	return setup_len(state, DATA_LEN);
}

static inline int setup_small(void **state)
{
	return setup_len(state, 128);
}

static inline int teardown(void **state)
{
	free(*state);
	return 0;
}

static inline void fill(uint8_t *bytes, uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7 + 1);
}

static inline int send(struct pair *p, uint16_t type, uint64_t id, uint32_t header_len,
		       uint32_t payload_len)
{
	static uint8_t header[DATA_LEN], payload[DATA_LEN];
	struct vmb_ring_part parts[2] = { { header, header_len }, { payload, payload_len } };
	struct vmb_ring_packet packet = { .type = type,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .transaction_id = id,
					  .header = &parts[0],
					  .header_count = 1,
					  .payload = &parts[1],
					  .payload_count = 1 };

	fill(header, header_len, (uint32_t)id + 1);
	fill(payload, payload_len, (uint32_t)id);
	return vmb_ring_write(&p->w, &packet);
}

/*
 * Takes one packet and compares every field and byte with what send() made of the same arguments.
 */
static inline void expect(struct pair *p, uint16_t type, uint64_t id, uint32_t header_len,
			  uint32_t payload_len)
{
	uint8_t got[DATA_LEN], want[DATA_LEN] = { 0 };
	struct vmb_ring_received packet;
	uint32_t padded = (payload_len + 7) & ~7u;

	assert_int_equal(vmb_ring_read(&p->r, &packet), 0);
	assert_int_equal(packet.type, type);
	assert_int_equal(packet.flags, VMB_PKT_FLAG_COMPLETION_REQUESTED);
	assert_true(packet.transaction_id == id);
	assert_int_equal(packet.header_len, header_len);
	assert_int_equal(packet.payload_len, padded);
	fill(want, header_len, (uint32_t)id + 1);
	fill(want + header_len, payload_len, (uint32_t)id);
	assert_true(vmb_ring_copy(&p->r, &packet, 16, got, header_len + padded));
	assert_memory_equal(got, want, header_len + padded);
	vmb_ring_next(&p->r, &packet);
}

static inline void raw_desc(struct pair *p, uint32_t at, struct vmb_pkt_desc desc)
{
	memcpy(p->data + at, &desc, sizeof(desc));
}

/* A ring of `data_len` bytes whose indices both stand at `at`. */
static inline void place(struct pair *p, uint32_t data_len, uint32_t at)
{
	memset(&p->control, 0, sizeof(p->control));
	p->control.write_index = at;
	p->control.read_index = at;
	assert_int_equal(vmb_ring_writer_init(&p->w, &p->control, p->data, data_len, false), 0);
	assert_int_equal(vmb_ring_reader_init(&p->r, &p->control, p->data, data_len, false), 0);
}

static inline void fill_ring(struct pair *p)
{
	while (!send(p, VMB_PKT_INBAND, 1, 0, 8))
		;
	vmb_ring_commit(&p->w);
}

#endif
