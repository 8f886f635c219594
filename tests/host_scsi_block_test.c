// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Blocks: reading, writing, giving back, measuring; and what stands in the way of a command. */
#include "tests/scsi_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct scsi_bed bed;

static int start(void **state)
{
	*state = &bed;
	scsi_start(&bed);
	return 0;
}

/* A write command's data in the guest's memory. */
static void fill_guest(struct scsi_bed *b, uint32_t len, uint8_t seed)
{
	uint32_t i;

	memset(b->guest, SCSI_CANARY, sizeof(b->guest));
	for (i = 0; i < len; i++)
		b->guest[i] = (uint8_t)(seed + i / 512 + i * 3);
}

static void assert_read(struct scsi_bed *b, uint32_t offset, uint32_t len)
{
	assert_good(b, len);
	assert_int_equal(b->task.data_len, 0);
	assert_memory_equal(b->guest, b->medium + offset, len);
	assert_untouched(b, len);
}

static void test_reads_of_all_sizes_bring_the_same_blocks(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 1024, 0x08, 0, 0x01, 0x02, 2, 0);
	assert_read(b, 0x102 * 512, 1024);
	READ_CMD(b, 1024, 0x28, 0, 0, 0, 0x01, 0x02, 0, 0, 2, 0);
	assert_read(b, 0x102 * 512, 1024);
	READ_CMD(b, 1024, 0xA8, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 2, 0, 0);
	assert_read(b, 0x102 * 512, 1024);
	READ_CMD(b, 1024, 0x88, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 2, 0, 0);
	assert_read(b, 0x102 * 512, 1024);
	assert_int_equal(b->op_count, 4);
}

static void test_read_6_of_zero_blocks_is_256(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 256 * 512, 0x08, 0, 0, 0, 0, 0);
	assert_read(b, 0, 256 * 512);
	/* The upper three bits of byte 1 are no address. */
	READ_CMD(b, 512, 0x08, 0xE0, 0, 1, 1, 0);
	assert_read(b, 512, 512);
}

static void test_writes_of_all_sizes_land(void **state)
{
	struct scsi_bed *b = *state;

	fill_guest(b, 1024, 1);
	WRITE_CMD(b, 1024, 0x0A, 0, 0x01, 0x02, 2, 0);
	assert_good(b, 1024);
	assert_memory_equal(b->medium + 0x102 * 512, b->guest, 1024);
	fill_guest(b, 1024, 2);
	WRITE_CMD(b, 1024, 0x2A, 0, 0, 0, 0x02, 0x02, 0, 0, 2, 0);
	assert_good(b, 1024);
	assert_memory_equal(b->medium + 0x202 * 512, b->guest, 1024);
	assert_false(b->task.fua);
	fill_guest(b, 1024, 3);
	WRITE_CMD(b, 1024, 0xAA, 0x08, 0, 0, 0x03, 0x02, 0, 0, 0, 2, 0, 0);
	assert_good(b, 1024);
	assert_true(b->task.fua);
	assert_memory_equal(b->medium + 0x302 * 512, b->guest, 1024);
	fill_guest(b, 1024, 4);
	WRITE_CMD(b, 1024, 0x8A, 0x18, 0, 0, 0, 0, 0, 0, 0x04, 0x02, 0, 0, 0, 2, 0, 0);
	assert_good(b, 1024);
	assert_true(b->task.fua);
	assert_memory_equal(b->medium + 0x402 * 512, b->guest, 1024);
}

static void test_write_6_has_no_fua_bit(void **state)
{
	struct scsi_bed *b = *state;

	b->disk.block_count = 0x100000; /* bit 3 of byte 1 belongs to the address */
	fill_guest(b, 512, 0);
	b->error = VMB_HOST_SCSI_GONE;
	WRITE_CMD(b, 512, 0x0A, 0x08, 0, 0, 1, 0);
	assert_int_equal(b->task.offset, 0x80000 * 512ull);
	assert_false(b->task.fua);
}

static void test_write_and_verify_goes_through_the_cache(void **state)
{
	struct scsi_bed *b = *state;

	fill_guest(b, 512, 7);
	WRITE_CMD(b, 512, 0x2E, 0, 0, 0, 0, 5, 0, 0, 1, 0);
	assert_good(b, 512);
	assert_true(b->task.fua);
	assert_memory_equal(b->medium + 5 * 512, b->guest, 512);
	WRITE_CMD(b, 512, 0xAE, 0x02, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0);
	assert_good(b, 512);
	WRITE_CMD(b, 512, 0x8E, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0);
	assert_good(b, 512);
	assert_memory_equal(b->medium + 7 * 512, b->guest, 512);
	WRITE_CMD(b, 512, 0x2E, 0x04, 0, 0, 0, 5, 0, 0, 1, 0);
	assert_sense(b, 0x052400);
}

static void test_last_block_is_there_and_the_next_is_not(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 512, 0x28, 0, 0, 0, 0x07, 0xFF, 0, 0, 1, 0);
	assert_read(b, 2047 * 512, 512);
	READ_CMD(b, 1024, 0x28, 0, 0, 0, 0x07, 0xFF, 0, 0, 2, 0);
	assert_sense(b, 0x052100);
	READ_CMD(b, 512, 0x28, 0, 0, 0, 0x08, 0x00, 0, 0, 1, 0);
	assert_sense(b, 0x052100);
	assert_untouched(b, 0);
	assert_int_equal(b->op_count, 1);
}

/* first block + count wraps around 2^64; in bytes it would much earlier */
static void test_range_that_overflows_is_out_of_range(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 512, 0x88, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052100);
	READ_CMD(b, 512, 0x88, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
		 0xFF, 0, 0);
	assert_sense(b, 0x052100);
	READ_CMD(b, 512, 0x88, 0, 0x00, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052100);
	READ_CMD(b, 512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0);
	assert_sense(b, 0x052100);
	assert_int_equal(b->op_count, 0);
}

static void test_disk_beyond_2_tib_is_addressed(void **state)
{
	struct scsi_bed *b = *state;

	b->disk.block_count = 0x300000000ull; /* 6 TiB */
	b->error = VMB_HOST_SCSI_IO_ERROR;
	READ_CMD(b, 512, 0x88, 0, 0, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0);
	assert_int_equal(b->task.offset, 0x2FFFFFFFFull * 512);
	assert_int_equal(b->task.len, 512);
	READ_CMD(b, 512, 0x88, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052100);
}

static void test_blocks_of_4096_bytes(void **state)
{
	struct scsi_bed *b = *state;

	b->lun = SCSI_BIG;
	READ_CMD(b, 8192, 0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0);
	assert_read(b, 3 * 4096, 8192);
	READ_CMD(b, 8192, 0x28, 0, 0, 0, 0, 0xFF, 0, 0, 2, 0);
	assert_sense(b, 0x052100);
}

static void test_no_blocks_is_no_work(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	WRITE_CMD(b, 0, 0x8A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	assert_int_equal(b->op_count, 0);
}

static void test_short_buffer_reads_whole_blocks(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 1600, 0x28, 0, 0, 0, 0, 2, 0, 0, 8, 0);
	assert_overrun(b, 1536);
	assert_memory_equal(b->guest, b->medium + 1024, 1536);
	assert_untouched(b, 1536);
	READ_CMD(b, 511, 0x28, 0, 0, 0, 0, 2, 0, 0, 1, 0);
	assert_overrun(b, 0);
	assert_untouched(b, 0);
	READ_CMD(b, 0, 0x28, 0, 0, 0, 0, 2, 0, 0, 1, 0);
	assert_overrun(b, 0);
}

static void test_short_buffer_writes_nothing(void **state)
{
	struct scsi_bed *b = *state;
	uint8_t before[2048];

	memcpy(before, b->medium, sizeof(before));
	fill_guest(b, 1024, 9);
	WRITE_CMD(b, 1024, 0x2A, 0, 0, 0, 0, 0, 0, 0, 4, 0);
	assert_overrun(b, 0);
	assert_memory_equal(before, b->medium, sizeof(before));
	assert_int_equal(b->op_count, 0);
}

static void test_long_buffer_moves_what_the_command_says(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 4096, 0x28, 0, 0, 0, 0, 2, 0, 0, 1, 0);
	assert_read(b, 1024, 512);
}

static void test_more_than_the_limit_is_refused(void **state)
{
	struct scsi_bed *b = *state;

	b->bus.max_transfer_len = 4096;
	READ_CMD(b, 4096, 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0);
	assert_good(b, 4096);
	READ_CMD(b, 4608, 0x28, 0, 0, 0, 0, 0, 0, 0, 9, 0);
	assert_sense(b, 0x052400);
	assert_untouched(b, 0);
}

static void test_protection_bits_are_refused(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_sense(b, 0x052400);
	WRITE_CMD(b, 512, 0x8A, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052400);
}

static void test_verify_checks_the_range(void **state)
{
	struct scsi_bed *b = *state;

	PLAIN_CMD(b, 0x2F, 0, 0, 0, 0x07, 0xFF, 0, 0, 1, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x2F, 0, 0, 0, 0x07, 0xFF, 0, 0, 2, 0);
	assert_sense(b, 0x052100);
	PLAIN_CMD(b, 0xAF, 0, 0, 0, 0x08, 0, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052100);
	PLAIN_CMD(b, 0x8F, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xFE, 0, 0, 0, 2, 0, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x2F, 0x02, 0, 0, 0, 0, 0, 0, 1, 0); /* compare: not without the data */
	assert_sense(b, 0x052400);
	assert_int_equal(b->op_count, 0);
}

static void test_synchronize_cache_flushes_whatever_the_direction(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_FLUSH);
	WRITE_CMD(b, 512, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	assert_int_equal(b->op_count, 2);
	PLAIN_CMD(b, 0x35, 0, 0, 0, 0x08, 0, 0, 0, 1, 0);
	assert_sense(b, 0x052100);
}

/*
 * What a failed flush should have saved is gone, and no later one brings it back: none of them says
 * GOOD.
 */
static void test_a_failed_flush_is_not_forgotten(void **state)
{
	static const enum vmb_host_scsi_error lost[] = { VMB_HOST_SCSI_IO_ERROR,
							 VMB_HOST_SCSI_NO_SPACE };
	static const enum vmb_host_scsi_error kept[] = { VMB_HOST_SCSI_GONE,
							 VMB_HOST_SCSI_ABORTED };
	struct scsi_bed *b = *state;
	size_t i;

	for (i = 0; i < 2; i++) {
		b->error = kept[i]; /* nothing was lost: it may come again */
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_int_not_equal(b->task.srb_status, 1);
		b->error = VMB_HOST_SCSI_OK;
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_good(b, 0);
	}
	for (i = 0; i < 2; i++) {
		b->error = lost[i];
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_sense(b, i ? 0x072707 : 0x030C00);
		assert_true(b->disk.flush_failed);
		b->error = VMB_HOST_SCSI_OK;
		b->op_count = 0;
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_sense(b, 0x030C00);
		PLAIN_CMD(b, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_sense(b, 0x030C00);
		PLAIN_CMD(b, 0x1B, 0, 0, 0, 0, 0); /* stop */
		assert_sense(b, 0x030C00);
		vmb_host_scsi_reset(&b->disk); /* which mends nothing */
		b->disk.attention = 0;
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_sense(b, 0x030C00);
		assert_int_equal(b->op_count, 0);
		WRITE_CMD(b, 512, 0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0); /* goes on, as does reading */
		assert_good(b, 512);
		READ_CMD(b, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		assert_good(b, 512);
		b->lun = SCSI_BIG; /* another disk */
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_good(b, 0);
		b->lun = SCSI_DISK;
		b->disk.flush_failed = false; /* a new disk stands in its place */
		PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_good(b, 0);
	}
	b->error = VMB_HOST_SCSI_IO_ERROR; /* a write that failed is known to whoever wrote */
	WRITE_CMD(b, 512, 0x2A, 0x08, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_sense(b, 0x030C00);
	b->error = VMB_HOST_SCSI_OK;
	PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
}

static void test_capacity_10(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0x07, 0xFF, 0, 0, 2, 0);
	b->disk.block_count = 0x100000000ull; /* the last one still fits, as does "more" */
	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 0, 0xFF, 0xFF, 0xFF, 0xFF);
	b->disk.block_count = 0x300000010ull; /* the low half alone would be 15 */
	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 0, 0xFF, 0xFF, 0xFF, 0xFF);
	READ_CMD(b, 4, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_overrun(b, 4);
	b->lun = SCSI_DVD;
	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 0, 0, 0, 0x01, 0xFF, 0, 0, 8, 0);
}

static void test_capacity_16(void **state)
{
	struct scsi_bed *b = *state;

	b->disk.block_count = 0x300000000ull;
	READ_CMD(b, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_good(b, 32);
	assert_bytes(b, 0, 0, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 2, 0, 0, 3, 0xC0, 0, 0, 0, 0,
		     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	b->disk.zero_after_unmap = false;
	READ_CMD(b, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_bytes(b, 14, 0x80);
	b->lun = SCSI_BIG;
	READ_CMD(b, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0x10, 0, 0, 0, 0, 0);
	READ_CMD(b, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0);
	assert_good(b, 13);
	assert_untouched(b, 13);
}

/* The block driver of 2009: service action 0, nothing else in the CDB, 12 bytes. */
static void test_capacity_16_without_service_action(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 12, 0x9E, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 12);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xFF, 0, 0, 2, 0);
	assert_untouched(b, 12);
	READ_CMD(b, 32, 0x9E, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_sense(b, 0x052000); /* GET LBA STATUS */
}

static void put_unmap(struct scsi_bed *b, uint32_t index, uint64_t lba, uint32_t count)
{
	uint8_t *p = b->guest + 8 + index * 16;
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(lba >> (56 - 8 * i));
	for (i = 0; i < 4; i++)
		p[8 + i] = (uint8_t)(count >> (24 - 8 * i));
	memset(p + 12, 0, 4);
	index++;
	b->guest[0] = (uint8_t)((6 + index * 16) >> 8);
	b->guest[1] = (uint8_t)(6 + index * 16);
	b->guest[2] = (uint8_t)((index * 16) >> 8);
	b->guest[3] = (uint8_t)(index * 16);
	memset(b->guest + 4, 0, 4);
}

static void test_unmap_gives_back_all_ranges(void **state)
{
	struct scsi_bed *b = *state;
	static const uint8_t zeros[16 * 512];
	uint8_t kept[512];

	memcpy(kept, b->medium + 24 * 512, 512);
	put_unmap(b, 0, 8, 16);
	put_unmap(b, 1, 100, 0); /* nothing */
	put_unmap(b, 2, 2047, 1);
	WRITE_CMD(b, 56, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0);
	assert_good(b, 56);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_UNMAP);
	assert_int_equal(b->task.extent_count, 2);
	assert_int_equal(b->task.extents[1].offset, 2047 * 512);
	assert_int_equal(b->task.extents[1].len, 512);
	assert_memory_equal(b->medium + 8 * 512, zeros, 16 * 512);
	assert_memory_equal(b->medium + 24 * 512, kept, 512);
}

static void test_unmap_takes_as_many_ranges_as_announced(void **state)
{
	struct scsi_bed *b = *state;
	uint32_t i;

	for (i = 0; i < 255; i++)
		put_unmap(b, i, i * 8, 8);
	WRITE_CMD(b, 4088, 0x42, 0, 0, 0, 0, 0, 0, 0x0F, 0xF8, 0);
	assert_good(b, 4088);
	assert_int_equal(b->task.extent_count, 255);
	put_unmap(b, 255, 0, 8);
	WRITE_CMD(b, 4104, 0x42, 0, 0, 0, 0, 0, 0, 0x10, 0x08, 0);
	assert_sense(b, 0x051A00);
	assert_int_equal(b->op_count, 1);
}

static void test_unmap_with_one_bad_range_does_nothing(void **state)
{
	struct scsi_bed *b = *state;

	put_unmap(b, 0, 0, 8);
	put_unmap(b, 1, 2047, 2);
	WRITE_CMD(b, 40, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0);
	assert_sense(b, 0x052100);
	put_unmap(b, 1, 0xFFFFFFFFFFFFFFFFull, 0xFFFFFFFF);
	WRITE_CMD(b, 40, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0);
	assert_sense(b, 0x052100);
	assert_int_equal(b->task.extent_count, 0);
	b->disk.block_count = 0x200000000ull; /* in all more than the limit of a command */
	put_unmap(b, 0, 0, 0xFFFFFFFF);
	put_unmap(b, 1, 0, 1);
	WRITE_CMD(b, 40, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0);
	assert_sense(b, 0x052600);
	assert_int_equal(b->op_count, 0);
}

static void test_unmap_list_must_be_coherent(void **state)
{
	struct scsi_bed *b = *state;

	WRITE_CMD(b, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* no list: nothing to do */
	assert_good(b, 0);
	put_unmap(b, 0, 0, 8);
	WRITE_CMD(b, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0);
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 24, 0x42, 0x01, 0, 0, 0, 0, 0, 0, 24, 0); /* anchor */
	assert_sense(b, 0x052400);
	WRITE_CMD(b, 23, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_overrun(b, 0);
	b->guest[1] = 23;
	WRITE_CMD(b, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_sense(b, 0x052600);
	put_unmap(b, 0, 0, 8);
	b->guest[3] = 32;
	WRITE_CMD(b, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_sense(b, 0x052600);
	put_unmap(b, 0, 0, 8); /* half a descriptor more */
	b->guest[1] = 30;
	b->guest[3] = 24;
	WRITE_CMD(b, 32, 0x42, 0, 0, 0, 0, 0, 0, 0, 32, 0);
	assert_sense(b, 0x052600);
	assert_int_equal(b->op_count, 0);
	put_unmap(b, 0, 0, 8);
	b->disk.can_unmap = false;
	WRITE_CMD(b, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_sense(b, 0x052000);
}

static void test_write_same_repeats_the_block(void **state)
{
	struct scsi_bed *b = *state;

	fill_guest(b, 512, 0x31);
	WRITE_CMD(b, 512, 0x41, 0, 0, 0, 0, 10, 0, 0, 3, 0);
	assert_good(b, 512);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_WRITE_SAME);
	assert_memory_equal(b->medium + 10 * 512, b->guest, 512);
	assert_memory_equal(b->medium + 12 * 512, b->guest, 512);
	assert_memory_not_equal(b->medium + 13 * 512, b->guest, 512);
	fill_guest(b, 512, 0x32); /* UNMAP is a wish that this pattern can't have */
	WRITE_CMD(b, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0);
	assert_good(b, 512);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_WRITE_SAME);
	assert_false(b->task.may_unmap);
}

static void test_write_same_of_zeros_is_zeroing(void **state)
{
	struct scsi_bed *b = *state;
	static const uint8_t zeros[1024];

	memset(b->guest, 0, 512);
	WRITE_CMD(b, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0);
	assert_good(b, 512);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_WRITE_ZEROES);
	assert_false(b->task.may_unmap);
	assert_memory_equal(b->medium + 20 * 512, zeros, 1024);
	b->guest[511] = 1; /* all but the last byte */
	WRITE_CMD(b, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 2, 0, 0);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_WRITE_SAME);
	assert_int_equal(b->medium[31 * 512 + 511], 1);
	memset(b->guest, 0xFF, 512); /* all the same is not all zero */
	WRITE_CMD(b, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 1, 0, 0);
	assert_int_equal(b->task.op, VMB_HOST_SCSI_WRITE_SAME);
	assert_int_equal(b->medium[30 * 512], 0xFF);
	memset(b->guest, 0, 512);
	WRITE_CMD(b, 512, 0x41, 0x08, 0, 0, 0, 30, 0, 0, 2, 0);
	assert_good(b, 512);
	assert_true(b->task.may_unmap);
	assert_memory_equal(b->medium + 30 * 512, zeros, 1024);
}

static void test_write_same_without_data_buffer(void **state)
{
	struct scsi_bed *b = *state;
	static const uint8_t zeros[512];

	PLAIN_CMD(b, 0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0);
	assert_good(b, 0);
	assert_memory_equal(b->medium + 40 * 512, zeros, 512);
	WRITE_CMD(b, 512, 0x41, 0x01, 0, 0, 0, 40, 0, 0, 1, 0);
	assert_sense(b, 0x052400); /* only the 16-byte form knows it */
}

static void test_write_same_keeps_its_limits(void **state)
{
	struct scsi_bed *b = *state;

	memset(b->guest, 0, 4096);
	WRITE_CMD(b, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_sense(b, 0x052400); /* none: not "up to the end" */
	b->bus.max_transfer_len = 8192;
	WRITE_CMD(b, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0);
	assert_good(b, 512);
	WRITE_CMD(b, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0);
	assert_sense(b, 0x052400);
	WRITE_CMD(b, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xFF, 0, 0, 0, 2, 0, 0);
	assert_sense(b, 0x052100);
	WRITE_CMD(b, 512, 0x93, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052400);
	WRITE_CMD(b, 511, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_overrun(b, 0);
	b->disk.can_unmap = false;
	WRITE_CMD(b, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_sense(b, 0x052400);
	assert_int_equal(b->op_count, 1);
}

static void test_read_only_unit_refuses_every_write(void **state)
{
	static const uint8_t cdbs[][16] = {
		{ 0x0A, 0, 0, 0, 1 }, { 0x2A, [8] = 1 },  { 0xAA, [9] = 1 },  { 0x8A, [13] = 1 },
		{ 0x2E, [8] = 1 },    { 0xAE, [9] = 1 },  { 0x8E, [13] = 1 }, { 0x41, [8] = 1 },
		{ 0x93, [13] = 1 },   { 0x42, [8] = 24 }, { 0x04 },
	};
	struct scsi_bed *b = *state;
	size_t i;

	b->disk.read_only = true;
	for (i = 0; i < VMB_ARRAY_COUNT(cdbs); i++) {
		put_unmap(b, 0, 0, 8);
		scsi_run(b, VMB_STOR_WRITE, 4096, cdbs[i], 16);
		assert_sense(b, 0x072700);
	}
	assert_int_equal(b->op_count, 0);
	assert_int_equal(b->fetch_count, 0);
	READ_CMD(b, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_read(b, 0, 512);
	PLAIN_CMD(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reads_of_all_sizes_bring_the_same_blocks, start),
		cmocka_unit_test_setup(test_read_6_of_zero_blocks_is_256, start),
		cmocka_unit_test_setup(test_writes_of_all_sizes_land, start),
		cmocka_unit_test_setup(test_write_6_has_no_fua_bit, start),
		cmocka_unit_test_setup(test_write_and_verify_goes_through_the_cache, start),
		cmocka_unit_test_setup(test_last_block_is_there_and_the_next_is_not, start),
		cmocka_unit_test_setup(test_range_that_overflows_is_out_of_range, start),
		cmocka_unit_test_setup(test_disk_beyond_2_tib_is_addressed, start),
		cmocka_unit_test_setup(test_blocks_of_4096_bytes, start),
		cmocka_unit_test_setup(test_no_blocks_is_no_work, start),
		cmocka_unit_test_setup(test_short_buffer_reads_whole_blocks, start),
		cmocka_unit_test_setup(test_short_buffer_writes_nothing, start),
		cmocka_unit_test_setup(test_long_buffer_moves_what_the_command_says, start),
		cmocka_unit_test_setup(test_more_than_the_limit_is_refused, start),
		cmocka_unit_test_setup(test_protection_bits_are_refused, start),
		cmocka_unit_test_setup(test_verify_checks_the_range, start),
		cmocka_unit_test_setup(test_a_failed_flush_is_not_forgotten, start),
		cmocka_unit_test_setup(test_synchronize_cache_flushes_whatever_the_direction,
				       start),
		cmocka_unit_test_setup(test_capacity_10, start),
		cmocka_unit_test_setup(test_capacity_16, start),
		cmocka_unit_test_setup(test_capacity_16_without_service_action, start),
		cmocka_unit_test_setup(test_unmap_gives_back_all_ranges, start),
		cmocka_unit_test_setup(test_unmap_takes_as_many_ranges_as_announced, start),
		cmocka_unit_test_setup(test_unmap_with_one_bad_range_does_nothing, start),
		cmocka_unit_test_setup(test_unmap_list_must_be_coherent, start),
		cmocka_unit_test_setup(test_write_same_repeats_the_block, start),
		cmocka_unit_test_setup(test_write_same_of_zeros_is_zeroing, start),
		cmocka_unit_test_setup(test_write_same_without_data_buffer, start),
		cmocka_unit_test_setup(test_write_same_keeps_its_limits, start),
		cmocka_unit_test_setup(test_read_only_unit_refuses_every_write, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
