/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A loopback with one disk in memory, and the few commands that its tests need.
 */
#ifndef TESTS_LOOPBACK_BED_H
#define TESTS_LOOPBACK_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "devices/fault.h"
#include "ports/user/loopback.h"

#define LOOP_BLOCK_LEN	 512u
#define LOOP_BLOCK_COUNT 32768u
#define LOOP_DISK	 "ram:16M"

struct loop {
	struct vmb_user_loopback l;
	struct vmb_dev_fault fault; /* what loop_spoil() makes the host do */
	uint64_t random;
};

static inline uint32_t loop_random(struct loop *b, uint32_t below)
{
	b->random = b->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(b->random >> 33) % below;
}

/* disks[0] of config is filled in here. */
static inline struct loop *loop_new(struct vmb_user_loopback_config config)
{
	struct loop *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->random = 0x2545F4914F6CDD1Dull;
	config.disks[0].path = LOOP_DISK;
	assert_int_equal(vmb_user_loopback_init(&b->l, &config), 0);
	return b;
}

static inline void loop_free(struct loop *b)
{
	vmb_user_loopback_destroy(&b->l);
	free(b);
}

/* The medium of LUN 0 of the newest device. */
static inline uint8_t *loop_medium(struct loop *b)
{
	return vmb_user_loopback_first(&b->l)->disks[0].state;
}

/* From now on b->fault is played. */
static inline void loop_spoil(struct loop *b)
{
	b->l.machine.bus->fault = &b->fault;
}

static inline struct vmb_dev_channel *loop_channel(struct loop *b)
{
	return &vmb_user_loopback_first(&b->l)->channel;
}

/* Neither end holds anything of the other's. */
static inline void loop_expect_nothing_held(struct loop *b)
{
	assert_int_equal(b->l.machine.memory.used_count, 0);
	assert_int_equal(b->l.machine.bus->gpadl_count, 0);
}

static inline struct vmb_user_device *loop_open(struct loop *b)
{
	struct vmb_user_device *d;

	if (b->l.guest.connect.state == VMB_GUEST_IDLE)
		assert_int_equal(vmb_user_guest_start(&b->l.guest), 0);
	d = vmb_user_guest_device(&b->l.guest);
	assert_non_null(d);
	assert_int_equal(vmb_user_guest_open(&b->l.guest, d), 0);
	return d;
}

static inline void loop_cdb(uint8_t cdb[10], uint8_t opcode, uint32_t block, uint32_t count)
{
	memset(cdb, 0, 10);
	cdb[0] = opcode;
	cdb[2] = (uint8_t)(block >> 24);
	cdb[3] = (uint8_t)(block >> 16);
	cdb[4] = (uint8_t)(block >> 8);
	cdb[5] = (uint8_t)block;
	cdb[7] = (uint8_t)(count >> 8);
	cdb[8] = (uint8_t)count;
}

#define LOOP_READ  0x28
#define LOOP_WRITE 0x2A

static inline int loop_move(struct loop *b, struct vmb_user_device *d, uint8_t opcode,
			    uint32_t block, void *data, uint32_t len,
			    struct vmb_guest_storage_event *event)
{
	uint8_t cdb[10];

	loop_cdb(cdb, opcode, block, len / LOOP_BLOCK_LEN);
	return vmb_user_loopback_scsi(&b->l, d, 0, cdb, sizeof(cdb),
				      opcode == LOOP_READ ? VMB_STOR_READ : VMB_STOR_WRITE, data,
				      len, event);
}

/* Writes len bytes of noise at block and reads them back. */
static inline void loop_verify(struct loop *b, struct vmb_user_device *d, uint32_t block,
			       uint32_t len)
{
	uint8_t *out = malloc(len), *in = calloc(1, len);
	struct vmb_guest_storage_event event;
	uint32_t i;

	for (i = 0; i < len; i++)
		out[i] = (uint8_t)loop_random(b, 256);
	assert_int_equal(loop_move(b, d, LOOP_WRITE, block, out, len, &event), 0);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(event.data_len, len);
	assert_memory_equal(loop_medium(b) + block * LOOP_BLOCK_LEN, out, len);
	assert_int_equal(loop_move(b, d, LOOP_READ, block, in, len, &event), 0);
	assert_int_equal(event.srb_status, VMB_SRB_SUCCESS);
	assert_int_equal(event.data_len, len);
	assert_memory_equal(in, out, len);
	free(out);
	free(in);
}

/* Connects if need be, opens, moves data, closes, unloads: everything works and nothing is left. */
static inline void loop_expect_whole_life(struct loop *b)
{
	struct vmb_user_device *d = loop_open(b);

	loop_verify(b, d, loop_random(b, 1000), 8192);
	assert_int_equal(vmb_user_guest_close(&b->l.guest, d), 0);
	loop_expect_nothing_held(b);
	assert_int_equal(vmb_user_guest_unload(&b->l.guest), 0);
	loop_expect_nothing_held(b);
}

#endif
