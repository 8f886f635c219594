// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is there: INQUIRY, its pages, REPORT LUNS; and what foreign decoders make of them. */
#include "tests/scsi_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct scsi_bed bed;

static int start(void **state)
{
	*state = &bed;
	scsi_start(&bed);
	return 0;
}

static void assert_text(const struct scsi_bed *b, uint32_t offset, const char *text)
{
	assert_memory_equal(b->guest + offset, text, strlen(text));
}

static void test_disk_inquiry_is_as_documented(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	assert_good(b, 96);
	assert_bytes(b, 0, 0x00, 0x00, 0x05, 0x02, 91, 0, 0, 0x02);
	assert_text(b, 8, "Msft    Virtual Disk    1.0 ");
	assert_bytes(b, 36, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 88, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_untouched(b, 96);
}

static void test_allocation_length_truncates(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 36, 0x12, 0, 0, 0, 36, 0);
	assert_good(b, 36);
	assert_bytes(b, 4, 91);
	assert_untouched(b, 36);
	READ_CMD(b, 255, 0x12, 0, 0, 0, 5, 0);
	assert_good(b, 5);
	assert_untouched(b, 5);
	READ_CMD(b, 512, 0x12, 0, 0, 2, 0, 0);
	assert_good(b, 96);
	READ_CMD(b, 0, 0x12, 0, 0, 0, 0, 0);
	assert_good(b, 0);
}

static void test_short_buffer_is_overrun(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 20, 0x12, 0, 0, 0, 36, 0);
	assert_overrun(b, 20);
	assert_text(b, 8, "Msft    Virt");
	assert_untouched(b, 20);
}

static void test_dvd_inquiry_is_as_documented(void **state)
{
	struct scsi_bed *b = *state;

	b->lun = SCSI_DVD;
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	assert_good(b, 36);
	assert_bytes(b, 0, 0x05, 0x80, 0x00, 0x02, 31, 0, 0, 0);
	assert_text(b, 8, "Msft    Virtual DVD-ROM 1.0 ");
	assert_untouched(b, 36);
}

static void test_page_list_names_what_there_is(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x12, 1, 0x00, 0, 64, 0);
	assert_good(b, 11);
	assert_bytes(b, 0, 0, 0, 0, 7, 0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2, 0xCF);
	b->disk.can_unmap = false;
	b->disk.serial[0] = 0;
	READ_CMD(b, 64, 0x12, 1, 0x00, 0, 64, 0);
	assert_good(b, 9);
	assert_bytes(b, 0, 0, 0, 0, 5, 0x00, 0x83, 0xB0, 0xB1, 0xCF);
	b->lun = SCSI_DVD;
	READ_CMD(b, 64, 0x12, 1, 0x00, 0, 64, 0);
	assert_good(b, 6);
	assert_bytes(b, 0, 5, 0, 0, 2, 0x00, 0x83);
}

static void test_listed_pages_exist_and_others_do_not(void **state)
{
	struct scsi_bed *b = *state;
	uint8_t list[64];
	uint32_t code;
	bool listed;

	READ_CMD(b, 64, 0x12, 1, 0x00, 0, 64, 0);
	memcpy(list, b->guest, sizeof(list));
	for (code = 0; code < 256; code++) {
		listed = memchr(list + 4, (int)code, list[3]) != NULL;
		READ_CMD(b, 255, 0x12, 1, (uint8_t)code, 0, 255, 0);
		if (!listed) {
			assert_sense(b, 0x052400);
			continue;
		}
		assert_good(b, 4u + b->guest[3]);
		assert_bytes(b, 0, 0, (uint8_t)code, 0);
	}
}

static void test_serial_page(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 252, 0x12, 1, 0x80, 0, 252, 0);
	assert_good(b, 13);
	assert_bytes(b, 0, 0, 0x80, 0, 9, 'O', 'V', 'M', 'B', '-', '0', '0', '4', '2');
	memset(b->disk.serial, 'x', sizeof(b->disk.serial)); /* no NUL */
	READ_CMD(b, 252, 0x12, 1, 0x80, 0, 252, 0);
	assert_good(b, 4 + VMB_HOST_SCSI_SERIAL_LEN);
}

static void test_device_id_page(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 252, 0x12, 1, 0x83, 0, 252, 0);
	assert_good(b, 52);
	assert_bytes(b, 0, 0, 0x83, 0, 48);
	/* T10: what a guest of 2009 takes for the serial number has its length in byte 7 */
	assert_bytes(b, 4, 0x01, 0x01, 0x00, 24, 'M', 's', 'f', 't', ' ', ' ', ' ', ' ');
	assert_bytes(b, 16, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xAB,
		     0xAC, 0xAD, 0xAE, 0xAF);
	assert_bytes(b, 32, 0x01, 0x03, 0x00, 16, 0x60, 0x02, 0x24, 0x80);
	assert_bytes(b, 40, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF);
}

static void test_block_limits_page(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x12, 1, 0xB0, 0, 64, 0);
	assert_good(b, 64);
	assert_bytes(b, 0, 0, 0xB0, 0, 60, 0x01, 0, 0, 0);
	assert_bytes(b, 8, 0, 0, 0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 0); /* 2048 blocks = 1 MiB */
	assert_bytes(b, 20, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 255, 0, 0, 0, 8, 0x80, 0, 0, 0);
	assert_bytes(b, 36, 0, 0, 0, 0, 0, 0, 0x08, 0x00);
	b->bus.max_transfer_len = 64u << 20; /* WRITE SAME stays at 8 MiB */
	READ_CMD(b, 64, 0x12, 1, 0xB0, 0, 64, 0);
	assert_bytes(b, 8, 0, 0x02, 0x00, 0x00);
	assert_bytes(b, 36, 0, 0, 0, 0, 0, 0, 0x40, 0x00);
	b->lun = SCSI_BIG; /* cannot unmap, 4096-byte blocks */
	READ_CMD(b, 64, 0x12, 1, 0xB0, 0, 64, 0);
	assert_bytes(b, 8, 0, 0, 0x40, 0x00);
	assert_bytes(b, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void test_characteristics_and_provisioning_pages(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x12, 1, 0xB1, 0, 64, 0);
	assert_good(b, 64);
	assert_bytes(b, 0, 0, 0xB1, 0, 60, 0, 1, 0, 0);
	READ_CMD(b, 64, 0x12, 1, 0xB2, 0, 64, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0xB2, 0, 4, 1, 0xE4, 2, 0);
	b->disk.zero_after_unmap = false;
	READ_CMD(b, 64, 0x12, 1, 0xB2, 0, 64, 0);
	assert_bytes(b, 5, 0xE0);
}

static void test_virtual_device_page(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x12, 1, 0xCF, 0, 64, 0);
	assert_good(b, 24);
	assert_bytes(b, 0, 0, 0xCF, 0, 20, 1, 0, 0, 0, 0x15, 0x8f, 0xa9, 0x89, 0x28, 0xc9, 0x4d,
		     0x8b, 0x94, 0xcd, 0xef, 0x51, 0xfa, 0xa9, 0x9d, 0x33);
}

/* Linux takes a failed INQUIRY for good: its buffer must not keep what was there. */
static void test_bad_inquiry_is_refused_and_leaves_zeros(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 36, 0x12, 0, 0x83, 0, 36, 0); /* page code without EVPD */
	assert_sense(b, 0x052400);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_untouched(b, 36);
	READ_CMD(b, 36, 0x12, 2, 0, 0, 36, 0); /* command support data */
	assert_sense(b, 0x052400);
}

static void test_absent_lun_says_nobody_is_there(void **state)
{
	struct scsi_bed *b = *state;

	b->lun = SCSI_ABSENT;
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	assert_good(b, 96);
	assert_bytes(b, 0, 0x7F, 0x00, 0x05, 0x02, 91, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_bytes(b, 32, 0, 0, 0, 0);
	b->bus.luns[0] = NULL;
	b->lun = 0;
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	assert_good(b, 96);
	assert_bytes(b, 0, 0x7F);
	assert_text(b, 8, "Msft    Virtual Disk    1.0 ");
	READ_CMD(b, 64, 0x12, 1, 0x83, 0, 64, 0);
	assert_sense(b, 0x052400);
	assert_bytes(b, 0, 0, 0, 0, 0);
	b->lun = 255;
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	assert_bytes(b, 0, 0x7F);
}

static void test_absent_lun_refuses_everything_else(void **state)
{
	struct scsi_bed *b = *state;
	uint32_t opcode;

	b->lun = SCSI_ABSENT;
	for (opcode = 0; opcode < 256; opcode++) {
		if (opcode == 0x12 || opcode == 0xA0)
			continue;
		READ_CMD(b, 64, (uint8_t)opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_int_equal(b->task.srb_status, 0x20);
		assert_int_equal(b->task.scsi_status, 0);
		assert_int_equal(b->task.sense_len, 0);
		assert_int_equal(b->task.moved_len, 0);
		assert_untouched(b, opcode == 0x1A ? 64 : 0); /* MODE SENSE(6): zeros, as above */
	}
}

static void test_other_targets_are_empty(void **state)
{
	struct scsi_bed *b = *state;

	b->target_id = 1;
	PLAIN_CMD(b, 0x00, 0, 0, 0, 0, 0);
	assert_int_equal(b->task.srb_status, 0x20);
	READ_CMD(b, 64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void test_report_luns_lists_all(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	assert_good(b, 32);
	assert_bytes(b, 0, 0, 0, 0, 24, 0, 0, 0, 0);
	assert_bytes(b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0);
	assert_untouched(b, 32);
	READ_CMD(b, 16, 0xA0, 0, 2, 0, 0, 0, 0, 0, 0, 16, 0, 0);
	assert_good(b, 16);
	assert_bytes(b, 0, 0, 0, 0, 24); /* all of it is announced */
	READ_CMD(b, 16, 0xA0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 0, 0);
	assert_good(b, 8);
	READ_CMD(b, 16, 0xA0, 0, 3, 0, 0, 0, 0, 0, 0, 16, 0, 0);
	assert_sense(b, 0x052400);
}

/* The firmware of Generation 2 leaves the allocation length 0: then the buffer's length counts. */
static void test_report_luns_without_allocation_length_fills_the_buffer(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 512, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 32);
	assert_bytes(b, 0, 0, 0, 0, 24, 0, 0, 0, 0);
	assert_bytes(b, 16, 0, 1);
	assert_untouched(b, 32);
	READ_CMD(b, 16, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 16);
	assert_bytes(b, 0, 0, 0, 0, 24);
	assert_untouched(b, 16);
	READ_CMD(b, 0, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	/* Elsewhere 0 is a length like any other. */
	READ_CMD(b, 96, 0x12, 0, 0, 0, 0, 0);
	assert_good(b, 0);
	assert_untouched(b, 0);
}

static void test_report_luns_works_at_absent_lun_and_full_bus(void **state)
{
	struct scsi_bed *b = *state;
	uint32_t i;

	for (i = 0; i < VMB_HOST_SCSI_LUN_MAX; i++)
		b->bus.luns[i] = NULL;
	b->lun = SCSI_ABSENT;
	READ_CMD(b, 64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0, 0);
	for (i = 0; i < VMB_HOST_SCSI_LUN_MAX; i++)
		b->bus.luns[i] = &b->disk;
	READ_CMD(b, 4096, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0);
	assert_good(b, 8 + 64 * 8);
	assert_bytes(b, 0, 0, 0, 0x02, 0x00);
	assert_bytes(b, 8 + 63 * 8, 0, 63, 0, 0, 0, 0, 0, 0);
}

/* Foreign decoders: sg3-utils reads a page from a file. */
static char *decode(const struct scsi_bed *b, const char *command)
{
	static char output[8192];
	char path[] = "/tmp/openvmbus-page-XXXXXX", line[512];
	int fd = mkstemp(path);
	FILE *pipe;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->guest, b->task.moved_len), b->task.moved_len);
	close(fd);
	snprintf(line, sizeof(line), command, path);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = 0;
	assert_int_equal(pclose(pipe), 0);
	unlink(path);
	return output;
}

static void assert_says(const char *output, const char *text)
{
	if (!strstr(output, text)) {
		print_error("not said: %s\n%s\n", text, output);
		fail();
	}
}

static void need_sg3_utils(void)
{
	if (system("command -v sg_vpd sg_inq >/dev/null 2>&1"))
		skip();
}

static void test_sg_inq_understands_standard_data(void **state)
{
	struct scsi_bed *b = *state;
	const char *said;

	need_sg3_utils();
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	said = decode(b, "sg_inq --raw --inhex=%s 2>&1");
	assert_says(said, "version=0x05  [SPC-3]");
	assert_says(said, "CmdQue=1");
	assert_says(said, "Vendor identification: Msft");
	assert_says(said, "Product identification: Virtual Disk");
	assert_says(said, "Product revision level: 1.0");
	b->lun = SCSI_DVD;
	READ_CMD(b, 96, 0x12, 0, 0, 0, 96, 0);
	said = decode(b, "sg_inq --raw --inhex=%s 2>&1");
	assert_says(said, "RMB=1");
	assert_says(said, "cd/dvd");
}

static void test_sg_vpd_understands_pages(void **state)
{
	struct scsi_bed *b = *state;
	const char *said;

	need_sg3_utils();
	READ_CMD(b, 252, 0x12, 1, 0x83, 0, 252, 0);
	said = decode(b, "sg_vpd --raw --page=di --inhex=%s 2>&1");
	assert_says(said, "T10 vendor identification,  code set: Binary");
	assert_says(said, "vendor id: Msft");
	assert_says(said, "0x60022480a0a1a2a3a4a5aaabacadaeaf");
	READ_CMD(b, 252, 0x12, 1, 0x80, 0, 252, 0);
	assert_says(decode(b, "sg_vpd --raw --page=sn --inhex=%s 2>&1"),
		    "Unit serial number: OVMB-0042");
	READ_CMD(b, 64, 0x12, 1, 0xB1, 0, 64, 0);
	assert_says(decode(b, "sg_vpd --raw --page=bdc --inhex=%s 2>&1"), "Non-rotating medium");
}

static void test_sg_vpd_understands_limits(void **state)
{
	struct scsi_bed *b = *state;
	const char *said;

	need_sg3_utils();
	READ_CMD(b, 64, 0x12, 1, 0xB0, 0, 64, 0);
	said = decode(b, "sg_vpd --raw --page=bl --inhex=%s 2>&1");
	assert_says(said, "Write same non-zero (WSNZ): 1");
	assert_says(said, "Maximum transfer length: 2048 blocks");
	assert_says(said, "Maximum unmap LBA count: -1 [unbounded]");
	assert_says(said, "Maximum unmap block descriptor count: 255");
	assert_says(said, "Optimal unmap granularity: 8 blocks");
	assert_says(said, "Unmap granularity alignment valid: true");
	assert_says(said, "Maximum write same length: 0x800 blocks");
	READ_CMD(b, 64, 0x12, 1, 0xB2, 0, 64, 0);
	said = decode(b, "sg_vpd --raw --page=lbpv --inhex=%s 2>&1");
	assert_says(said, "Unmap command supported (LBPU): 1");
	assert_says(said, "Write same (16) with unmap bit supported (LBPWS): 1");
	assert_says(said, "read zeros (LBPRZ): 1");
	assert_says(said, "thin provisioned");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_disk_inquiry_is_as_documented, start),
		cmocka_unit_test_setup(test_allocation_length_truncates, start),
		cmocka_unit_test_setup(test_short_buffer_is_overrun, start),
		cmocka_unit_test_setup(test_dvd_inquiry_is_as_documented, start),
		cmocka_unit_test_setup(test_page_list_names_what_there_is, start),
		cmocka_unit_test_setup(test_listed_pages_exist_and_others_do_not, start),
		cmocka_unit_test_setup(test_serial_page, start),
		cmocka_unit_test_setup(test_device_id_page, start),
		cmocka_unit_test_setup(test_block_limits_page, start),
		cmocka_unit_test_setup(test_characteristics_and_provisioning_pages, start),
		cmocka_unit_test_setup(test_virtual_device_page, start),
		cmocka_unit_test_setup(test_bad_inquiry_is_refused_and_leaves_zeros, start),
		cmocka_unit_test_setup(test_absent_lun_says_nobody_is_there, start),
		cmocka_unit_test_setup(test_absent_lun_refuses_everything_else, start),
		cmocka_unit_test_setup(test_other_targets_are_empty, start),
		cmocka_unit_test_setup(test_report_luns_lists_all, start),
		cmocka_unit_test_setup(test_report_luns_without_allocation_length_fills_the_buffer,
				       start),
		cmocka_unit_test_setup(test_report_luns_works_at_absent_lun_and_full_bus, start),
		cmocka_unit_test_setup(test_sg_inq_understands_standard_data, start),
		cmocka_unit_test_setup(test_sg_vpd_understands_pages, start),
		cmocka_unit_test_setup(test_sg_vpd_understands_limits, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
