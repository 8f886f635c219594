// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A DVD drive: disc, tray, events, and what a player asks. */
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
	bed.lun = SCSI_DVD;
	return 0;
}

static void test_disc_is_read_in_all_sizes(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 4096, 0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0);
	assert_good(b, 4096);
	assert_memory_equal(b->guest, b->medium + 7 * 2048, 4096);
	READ_CMD(b, 4096, 0xA8, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0);
	assert_good(b, 4096);
	READ_CMD(b, 4096, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0);
	assert_good(b, 4096);
	assert_memory_equal(b->guest, b->medium + 7 * 2048, 4096);
	READ_CMD(b, 4096, 0x28, 0, 0, 0, 0x01, 0xFF, 0, 0, 2, 0);
	assert_sense(b, 0x052100);
}

static void test_only_a_drives_commands_are_known(void **state)
{
	static const uint8_t known[] = {
		0x00, 0x03, 0x12, 0x1B, 0x1E, 0x25, 0x28, 0x43, 0x46, 0x4A, 0x51,
		0x52, 0x55, 0x5A, 0x5C, 0x88, 0xA0, 0xA8, 0xAC, 0xAD, 0xB6, 0xBD,
	};
	struct scsi_bed *b = *state;
	uint32_t opcode;

	for (opcode = 0; opcode < 256; opcode++) {
		scsi_run(b, VMB_STOR_NO_DATA, 0, SCSI_CDB((uint8_t)opcode), 16);
		if (memchr(known, (int)opcode, sizeof(known)))
			assert_false(b->task.sense_len && b->task.sense[12] == 0x20);
		else
			assert_sense(b, 0x052000);
	}
}

static void test_empty_drive_says_why(void **state)
{
	struct scsi_bed *b = *state;

	b->dvd.medium_absent = true;
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x023A01);
	READ_CMD(b, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_sense(b, 0x023A01);
	assert_untouched(b, 0);
	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_sense(b, 0x023A01);
	READ_CMD(b, 36, 0x12, 0, 0, 0, 36, 0);
	assert_good(b, 36);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x023A02);
	assert_int_equal(b->op_count, 0);
}

static void test_ejected_disc_comes_back_with_the_tray(void **state)
{
	struct scsi_bed *b = *state;

	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x023A02);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 3, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x062800);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 1, 0); /* spin up: nothing changes */
	assert_good(b, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 0x20, 0); /* power condition: no tray */
	assert_good(b, 0);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_good(b, 0);
}

static void test_prevented_removal_keeps_the_tray_shut(void **state)
{
	struct scsi_bed *b = *state;

	PLAIN_CMD(b, 0x1E, 0, 0, 0, 1, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	assert_sense(b, 0x055302);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	PLAIN_CMD(b, 0x1E, 0, 0, 0, 0, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	assert_good(b, 0);
}

static void poll_event(struct scsi_bed *b)
{
	READ_CMD(b, 8, 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8, 0);
	assert_good(b, 8);
}

static void test_events_are_told_once(void **state)
{
	struct scsi_bed *b = *state;

	poll_event(b);
	assert_bytes(b, 0, 0, 6, 0x04, 0x10, 0x00, 0x02, 0, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	poll_event(b);
	assert_bytes(b, 4, 0x03, 0x01);
	poll_event(b);
	assert_bytes(b, 4, 0x00, 0x01);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 3, 0);
	poll_event(b); /* polling is no reason to tell the attention */
	assert_bytes(b, 4, 0x02, 0x02);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x062800);
}

static void test_other_event_classes_are_none(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 8, 0x4A, 1, 0, 0, 0x02, 0, 0, 0, 8, 0);
	assert_good(b, 4);
	assert_bytes(b, 0, 0, 2, 0x80, 0x10);
	READ_CMD(b, 8, 0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8, 0);
	assert_sense(b, 0x052400);
}

static void test_new_disc_is_told(void **state)
{
	struct scsi_bed *b = *state;

	b->dvd.medium_absent = true;
	vmb_host_scsi_changed(&b->dvd);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x023A01);
	poll_event(b);
	assert_bytes(b, 4, 0x03, 0x00);
	b->dvd.medium_absent = false;
	b->dvd.block_count = 100;
	vmb_host_scsi_changed(&b->dvd);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x062800);
	poll_event(b);
	assert_bytes(b, 4, 0x02, 0x02);
	READ_CMD(b, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 0, 0, 0, 0, 99, 0, 0, 8, 0);
}

static void test_toc_has_one_track_and_lead_out(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 20);
	assert_bytes(b, 0, 0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 2, 0);
	READ_CMD(b, 64, 0x43, 0, 0, 0, 0, 0, 0xAA, 0, 64, 0);
	assert_good(b, 12);
	assert_bytes(b, 0, 0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, 2, 0);
	READ_CMD(b, 64, 0x43, 0, 0, 0, 0, 0, 2, 0, 64, 0);
	assert_sense(b, 0x052400);
	READ_CMD(b, 64, 0x43, 0, 1, 0, 0, 0, 0, 0, 64, 0); /* sessions */
	assert_good(b, 12);
	assert_bytes(b, 0, 0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
	READ_CMD(b, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0x40); /* the same, the old way */
	assert_good(b, 12);
	READ_CMD(b, 64, 0x43, 0, 4, 0, 0, 0, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
}

static void test_toc_in_minutes(void **state)
{
	struct scsi_bed *b = *state;

	/* 512 blocks and the gap of 150: 662 frames = 8 s 62 */
	READ_CMD(b, 64, 0x43, 2, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_bytes(b, 8, 0, 0, 2, 0);
	assert_bytes(b, 16, 0, 0, 8, 62);
	b->dvd.block_count = 2295104; /* 4.7 GB: 2295254 frames are more than 255 minutes */
	READ_CMD(b, 64, 0x43, 2, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_bytes(b, 16, 0, 0xFF, 59, 74);
}

static void test_configuration_lists_features(void **state)
{
	static const uint16_t codes[] = { 0, 1, 2, 3, 0x10, 0x1E, 0x1F, 0x100, 0x105, 0x107 };
	struct scsi_bed *b = *state;
	uint32_t pos = 8, len, i;

	READ_CMD(b, 512, 0x46, 0, 0, 0, 0, 0, 0, 2, 0, 0);
	len = (uint32_t)b->guest[2] << 8 | b->guest[3];
	assert_good(b, len + 4);
	assert_bytes(b, 6, 0x00, 0x10);
	for (i = 0; i < VMB_ARRAY_COUNT(codes); i++) {
		assert_bytes(b, pos, (uint8_t)(codes[i] >> 8), (uint8_t)codes[i]);
		assert_int_equal(b->guest[pos + 3] % 4, 0);
		pos += 4u + b->guest[pos + 3];
	}
	assert_int_equal(pos, len + 4);
	assert_bytes(b, 8, 0, 0, 0x03, 4, 0x00, 0x10, 0x01, 0);
}

static void test_configuration_of_one_and_of_current_features(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x46, 2, 0, 0x10, 0, 0, 0, 0, 64, 0);
	assert_good(b, 20);
	assert_bytes(b, 0, 0, 0, 0, 16, 0, 0, 0, 0x10, 0, 0x10, 0x01, 8, 0, 0, 8, 0, 0, 1, 0, 0);
	READ_CMD(b, 64, 0x46, 2, 0, 0x2A, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
	READ_CMD(b, 64, 0x46, 1, 0x01, 0, 0, 0, 0, 0, 64, 0); /* current, from 0100 on */
	assert_good(b, 8 + 4 + 8 + 8);
	b->dvd.medium_absent = true;
	READ_CMD(b, 64, 0x46, 1, 0x01, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8 + 4 + 8);
	assert_bytes(b, 6, 0, 0);
	READ_CMD(b, 64, 0x46, 3, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
}

static void test_disc_and_track_information(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x51, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 34);
	assert_bytes(b, 0, 0, 32, 0x0E, 1, 1, 1, 1, 0x20, 0);
	assert_bytes(b, 16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0);
	READ_CMD(b, 64, 0x51, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
	READ_CMD(b, 64, 0x52, 1, 0, 0, 0, 1, 0, 0, 64, 0);
	assert_good(b, 36);
	assert_bytes(b, 0, 0, 34, 1, 1, 0, 0x04, 0x01, 0, 0, 0, 0, 0);
	assert_bytes(b, 24, 0, 0, 2, 0);
	READ_CMD(b, 36, 0x52, 1, 0, 0, 0, 1, 0, 0, 36, 0); /* as sg_raw says it */
	assert_good(b, 36);
	READ_CMD(b, 64, 0x52, 1, 0, 0, 0, 2, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
	READ_CMD(b, 64, 0x52, 0, 0, 0, 0x01, 0xFF, 0, 0, 64, 0);
	assert_good(b, 36);
	READ_CMD(b, 64, 0x52, 0, 0, 0, 0x02, 0x00, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
}

static void test_disc_structures(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 4096, 0xAD, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0);
	assert_good(b, 2052);
	assert_bytes(b, 0, 0x08, 0x02, 0, 0, 0x01, 0x02, 0x01, 0, 0, 3, 0, 0, 0, 3, 0x01, 0xFF, 0);
	READ_CMD(b, 64, 0xAD, 0, 0, 0, 0, 0, 0, 0x01, 0, 64, 0, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 6, 0, 0, 0, 0, 0, 0);
	READ_CMD(b, 4096, 0xAD, 0, 0, 0, 0, 0, 0, 0x04, 0x10, 0, 0, 0);
	assert_good(b, 2052);
	READ_CMD(b, 64, 0xAD, 0, 0, 0, 0, 0, 0, 0xFF, 0, 64, 0, 0);
	assert_good(b, 20);
	assert_bytes(b, 0, 0, 18, 0, 0, 0x00, 0x40, 0x08, 0x04, 0x01, 0x40, 0, 8, 0x04, 0x40, 0x08,
		     4, 0xFF, 0x40, 0, 20);
	READ_CMD(b, 64, 0xAD, 0, 0, 0, 0, 0, 0, 0x03, 0, 64, 0, 0);
	assert_sense(b, 0x052400);
	READ_CMD(b, 64, 0xAD, 0, 0, 0, 0, 0, 1, 0x00, 0, 64, 0, 0); /* second layer */
	assert_sense(b, 0x052400);
}

static void test_performance_and_streaming(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0xAC, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	assert_good(b, 24);
	assert_bytes(b, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x56, 0x90, 0, 0, 0x01, 0xFF,
		     0, 0, 0x56, 0x90);
	READ_CMD(b, 64, 0xAC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* the header alone */
	assert_good(b, 8);
	READ_CMD(b, 64, 0xAC, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0); /* exceptions */
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0, 4, 0x01);
	READ_CMD(b, 64, 0xAC, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0); /* of writing */
	assert_sense(b, 0x052400);
	memset(b->guest, 0, 28);
	b->guest[11] = 0xFF;
	WRITE_CMD(b, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0);
	assert_good(b, 28);
	b->guest[10] = 0x02;
	WRITE_CMD(b, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0);
	assert_sense(b, 0x052600);
	WRITE_CMD(b, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 27, 0);
	assert_sense(b, 0x051A00);
}

static void test_mechanism_and_buffer(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 8, 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	READ_CMD(b, 8, 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	assert_bytes(b, 0, 0, 0x10);
	READ_CMD(b, 12, 0x5C, 0, 0, 0, 0, 0, 0, 0, 12, 0);
	assert_good(b, 12);
	assert_bytes(b, 0, 0, 10, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0);
	READ_CMD(b, 12, 0x5C, 1, 0, 0, 0, 0, 0, 0, 12, 0);
	assert_bytes(b, 0, 0, 10, 0, 1, 0, 0, 2, 0, 0, 0, 2, 0);
}

static void test_mode_pages_of_a_drive(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8 + 12 + 12 + 10);
	assert_bytes(b, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0x01, 0x0A);
	assert_bytes(b, 20, 0x1A, 0x0A);
	assert_bytes(b, 32, 0x1D, 0x08);
	READ_CMD(b, 64, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 64, 0); /* Linux asks and lives without */
	assert_sense(b, 0x052400);
	memset(b->guest, 0, 64);
	b->guest[8] = 0x1D;
	b->guest[9] = 0x08;
	WRITE_CMD(b, 18, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 18, 0);
	assert_good(b, 18);
	b->guest[12] = 0x04;
	WRITE_CMD(b, 18, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 18, 0);
	assert_sense(b, 0x052600);
}

static void test_reset_lets_the_tray_go(void **state)
{
	struct scsi_bed *b = *state;

	PLAIN_CMD(b, 0x1E, 0, 0, 0, 1, 0);
	vmb_host_scsi_reset(&b->dvd);
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_sense(b, 0x062900);
	PLAIN_CMD(b, 0x1B, 0, 0, 0, 2, 0);
	assert_good(b, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_disc_is_read_in_all_sizes, start),
		cmocka_unit_test_setup(test_only_a_drives_commands_are_known, start),
		cmocka_unit_test_setup(test_empty_drive_says_why, start),
		cmocka_unit_test_setup(test_ejected_disc_comes_back_with_the_tray, start),
		cmocka_unit_test_setup(test_prevented_removal_keeps_the_tray_shut, start),
		cmocka_unit_test_setup(test_events_are_told_once, start),
		cmocka_unit_test_setup(test_other_event_classes_are_none, start),
		cmocka_unit_test_setup(test_new_disc_is_told, start),
		cmocka_unit_test_setup(test_toc_has_one_track_and_lead_out, start),
		cmocka_unit_test_setup(test_toc_in_minutes, start),
		cmocka_unit_test_setup(test_configuration_lists_features, start),
		cmocka_unit_test_setup(test_configuration_of_one_and_of_current_features, start),
		cmocka_unit_test_setup(test_disc_and_track_information, start),
		cmocka_unit_test_setup(test_disc_structures, start),
		cmocka_unit_test_setup(test_performance_and_streaming, start),
		cmocka_unit_test_setup(test_mechanism_and_buffer, start),
		cmocka_unit_test_setup(test_mode_pages_of_a_drive, start),
		cmocka_unit_test_setup(test_reset_lets_the_tray_go, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
