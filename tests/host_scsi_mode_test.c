// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Mode pages and persistent reservations of a disk. */
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

/* Linux asks for the first four bytes of all pages: is the disk write protected? */
static void test_mode_sense_6_tells_write_protection(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 4, 0x1A, 0, 0x3F, 0, 4, 0);
	assert_good(b, 4);
	assert_bytes(b, 0, 15, 0, 0x10, 0);
	assert_untouched(b, 4);
	b->disk.read_only = true;
	READ_CMD(b, 4, 0x1A, 0, 0x3F, 0, 4, 0);
	assert_bytes(b, 0, 15, 0, 0x90, 0);
}

/* Then for the caching page, with all of the header. */
static void test_mode_sense_6_tells_write_cache(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 192, 0x1A, 8, 0x08, 0, 192, 0);
	assert_good(b, 16);
	assert_bytes(b, 0, 15, 0, 0x10, 0, 0x08, 0x0A, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	b->disk.write_cache = false;
	READ_CMD(b, 192, 0x1A, 8, 0x08, 0, 192, 0);
	assert_bytes(b, 4, 0x08, 0x0A, 0x00);
	READ_CMD(b, 192, 0x1A, 0, 0x3F, 0xFF, 192, 0);
	assert_good(b, 16);
}

static void test_mode_sense_10_has_the_long_header(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 20);
	assert_bytes(b, 0, 0, 18, 0, 0x10, 0, 0, 0, 0, 0x08, 0x0A, 0x04);
	READ_CMD(b, 8, 0x5A, 0, 0x08, 0, 0, 0, 0, 0, 8, 0);
	assert_good(b, 8);
	assert_untouched(b, 8);
}

static void test_nothing_is_changeable_and_nothing_is_saved(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x1A, 0, 0x48, 0, 64, 0);
	assert_good(b, 16);
	assert_bytes(b, 4, 0x08, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	READ_CMD(b, 64, 0x1A, 0, 0x88, 0, 64, 0);
	assert_bytes(b, 4, 0x08, 0x0A, 0x04);
	READ_CMD(b, 64, 0x1A, 0, 0xC8, 0, 64, 0);
	assert_sense(b, 0x053900);
}

static void test_unknown_mode_page_is_refused_and_leaves_zeros(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 16, 0x1A, 0, 0x1C, 0, 16, 0);
	assert_sense(b, 0x052400);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_untouched(b, 16);
	READ_CMD(b, 16, 0x1A, 0, 0x08, 1, 16, 0); /* subpage */
	assert_sense(b, 0x052400);
	READ_CMD(b, 16, 0x5A, 0, 0x0A, 5, 0, 0, 0, 0, 16, 0);
	assert_sense(b, 0x052400);
}

static void put_caching(uint8_t *p, uint8_t flags)
{
	memset(p, 0, 12);
	p[0] = 0x08;
	p[1] = 0x0A;
	p[2] = flags;
}

static void test_mode_select_takes_what_changes_nothing(void **state)
{
	struct scsi_bed *b = *state;

	memset(b->guest, 0, 64);
	put_caching(b->guest + 4, 0x04);
	b->guest[4] |= 0x80; /* as MODE SENSE could have reported it */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_good(b, 16);
	memset(b->guest, 0, 64);
	put_caching(b->guest + 8, 0x04);
	WRITE_CMD(b, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20, 0);
	assert_good(b, 20);
	WRITE_CMD(b, 4, 0x15, 0x10, 0, 0, 4, 0); /* a header alone */
	assert_good(b, 4);
	WRITE_CMD(b, 0, 0x15, 0x10, 0, 0, 0, 0);
	assert_good(b, 0);
}

static void test_mode_select_refuses_change(void **state)
{
	struct scsi_bed *b = *state;

	memset(b->guest, 0, 64);
	put_caching(b->guest + 4, 0x00); /* write cache off */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_sense(b, 0x052600);
	put_caching(b->guest + 4, 0x05); /* read cache off */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_sense(b, 0x052600);
	put_caching(b->guest + 4, 0x04);
	b->guest[5] = 0x12; /* a page of another length */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_sense(b, 0x052600);
	put_caching(b->guest + 4, 0x04);
	b->guest[4] = 0x01; /* another page */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_sense(b, 0x052600);
	put_caching(b->guest + 4, 0x04);
	b->guest[3] = 8; /* block descriptors */
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 16, 0);
	assert_sense(b, 0x052600);
	WRITE_CMD(b, 16, 0x15, 0x11, 0, 0, 16, 0); /* save */
	assert_sense(b, 0x052400);
}

static void test_mode_select_list_of_wrong_length_is_refused(void **state)
{
	struct scsi_bed *b = *state;

	memset(b->guest, 0, 64);
	put_caching(b->guest + 4, 0x04);
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 3, 0);
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 16, 0x15, 0x10, 0, 0, 15, 0); /* the page's last byte is missing */
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 8192, 0x55, 0x10, 0, 0, 0, 0, 0, 0x20, 0, 0);
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 10, 0x15, 0x10, 0, 0, 16, 0);
	assert_overrun(b, 0);
	assert_int_equal(b->fetch_count, 1);
}

/* Persistent reservations. The parameter list: key, service action key, flags. */
static void reserve_out(struct scsi_bed *b, uint8_t action, uint8_t type, uint64_t key,
			uint64_t action_key)
{
	int i;

	memset(b->guest, 0, 64);
	for (i = 0; i < 8; i++) {
		b->guest[i] = (uint8_t)(key >> (56 - 8 * i));
		b->guest[8 + i] = (uint8_t)(action_key >> (56 - 8 * i));
	}
	WRITE_CMD(b, 24, 0x5F, action, type, 0, 0, 0, 0, 0, 24, 0);
}

#define KEY 0x1122334455667788ull

static void assert_conflict(const struct scsi_bed *b)
{
	assert_int_equal(b->task.scsi_status, 0x18);
	assert_int_equal(b->task.srb_status, 0x04);
	assert_int_equal(b->task.sense_len, 0);
	assert_int_equal(b->task.moved_len, 0);
}

static void test_register_shows_the_key(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	reserve_out(b, 0, 0, 0, KEY);
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 16);
	assert_bytes(b, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88);
	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 10, 0);
	assert_good(b, 10);
	assert_bytes(b, 7, 8); /* all of it is announced */
}

static void test_register_needs_the_old_key(void **state)
{
	struct scsi_bed *b = *state;

	reserve_out(b, 0, 0, 5, KEY); /* there is none yet */
	assert_conflict(b);
	reserve_out(b, 0, 0, 0, KEY);
	reserve_out(b, 0, 0, 0, 9);
	assert_conflict(b);
	reserve_out(b, 0, 0, KEY, 9);
	assert_good(b, 24);
	reserve_out(b, 6, 0, 0, KEY); /* and ignore the existing key */
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_bytes(b, 0, 0, 0, 0, 3, 0, 0, 0, 8, 0x11);
	reserve_out(b, 0, 0, KEY, 0); /* unregister */
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
}

static void test_reserve_and_release(void **state)
{
	struct scsi_bed *b = *state;

	reserve_out(b, 1, 1, KEY, 0);
	assert_conflict(b); /* not registered */
	reserve_out(b, 0, 0, 0, KEY);
	reserve_out(b, 1, 1, 7, 0);
	assert_conflict(b);
	reserve_out(b, 1, 1, KEY, 0);
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 24);
	assert_bytes(b, 0, 0, 0, 0, 1, 0, 0, 0, 16, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
		     0, 0, 0, 0, 0, 0x01, 0, 0);
	reserve_out(b, 1, 1, KEY, 0); /* again */
	assert_good(b, 24);
	reserve_out(b, 1, 3, KEY, 0); /* another type */
	assert_conflict(b);
	reserve_out(b, 2, 3, KEY, 0);
	assert_sense(b, 0x052604);
	reserve_out(b, 2, 1, 7, 0);
	assert_conflict(b);
	reserve_out(b, 2, 1, KEY, 0);
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
	reserve_out(b, 2, 1, KEY, 0); /* nothing to release */
	assert_good(b, 24);
}

static void test_reservation_types(void **state)
{
	struct scsi_bed *b = *state;
	uint8_t type;

	reserve_out(b, 0, 0, 0, KEY);
	for (type = 0; type < 16; type++) {
		reserve_out(b, 1, type, KEY, 0);
		if (type == 1 || type == 3 || (type >= 5 && type <= 8)) {
			assert_good(b, 24);
			reserve_out(b, 2, type, KEY, 0);
			assert_good(b, 24);
		} else {
			assert_sense(b, 0x052400);
		}
	}
	reserve_out(b, 1, 0x11, KEY, 0); /* scope: not the logical unit */
	assert_sense(b, 0x052400);
	reserve_out(b, 1, 7, KEY, 0); /* all registrants hold it: no key */
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_bytes(b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x07);
}

static void test_clear_and_preempt(void **state)
{
	struct scsi_bed *b = *state;

	reserve_out(b, 0, 0, 0, KEY);
	reserve_out(b, 1, 1, KEY, 0);
	reserve_out(b, 4, 3, 7, KEY);
	assert_conflict(b);
	reserve_out(b, 4, 3, KEY, 0x99); /* nobody has that key */
	assert_conflict(b);
	reserve_out(b, 4, 3, KEY, 0);
	assert_sense(b, 0x052600);
	reserve_out(b, 4, 3, KEY, KEY); /* itself: the type changes */
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_bytes(b, 0, 0, 0, 0, 2, 0, 0, 0, 16);
	assert_bytes(b, 21, 0x03);
	reserve_out(b, 3, 0, 7, 0);
	assert_conflict(b);
	reserve_out(b, 3, 0, KEY, 0);
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
}

static void test_unregistering_the_holder_releases(void **state)
{
	struct scsi_bed *b = *state;

	reserve_out(b, 0, 0, 0, KEY);
	reserve_out(b, 1, 1, KEY, 0);
	reserve_out(b, 0, 0, KEY, 0);
	assert_good(b, 24);
	READ_CMD(b, 64, 0x5E, 1, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 8);
}

static void test_capabilities_and_full_status(void **state)
{
	struct scsi_bed *b = *state;

	READ_CMD(b, 8, 0x5E, 2, 0, 0, 0, 0, 0, 0, 8, 0);
	assert_good(b, 8);
	assert_bytes(b, 0, 0, 8, 0x00, 0x80, 0xEA, 0x01, 0, 0);
	reserve_out(b, 0, 0, 0, KEY);
	reserve_out(b, 1, 5, KEY, 0);
	READ_CMD(b, 64, 0x5E, 3, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_good(b, 56);
	assert_bytes(b, 0, 0, 0, 0, 1, 0, 0, 0, 48, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
		     0, 0, 0, 0, 0x01, 0x05, 0, 0, 0, 0, 0, 1, 0, 0, 0, 24, 0x0F);
	READ_CMD(b, 64, 0x5E, 4, 0, 0, 0, 0, 0, 0, 64, 0);
	assert_sense(b, 0x052400);
}

static void test_reserve_out_list_is_checked(void **state)
{
	struct scsi_bed *b = *state;
	uint8_t flag;

	for (flag = 1; flag; flag <<= 1) {
		memset(b->guest, 0, 24);
		b->guest[15] = 1;
		b->guest[20] = flag;
		WRITE_CMD(b, 24, 0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0);
		if (flag & 0x0D)
			assert_sense(b, 0x052600);
		else
			assert_good(b, 24);
	}
	WRITE_CMD(b, 24, 0x5F, 6, 0, 0, 0, 0, 0, 0, 23, 0);
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 24, 0x5F, 6, 0, 0, 0, 0, 1, 0, 24, 0);
	assert_sense(b, 0x051A00);
	WRITE_CMD(b, 20, 0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_overrun(b, 0);
	WRITE_CMD(b, 24, 0x5F, 7, 0, 0, 0, 0, 0, 0, 24, 0); /* move to another initiator */
	assert_sense(b, 0x052400);
	WRITE_CMD(b, 24, 0x5F, 0x1F, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_sense(b, 0x052400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_mode_sense_6_tells_write_protection, start),
		cmocka_unit_test_setup(test_mode_sense_6_tells_write_cache, start),
		cmocka_unit_test_setup(test_mode_sense_10_has_the_long_header, start),
		cmocka_unit_test_setup(test_nothing_is_changeable_and_nothing_is_saved, start),
		cmocka_unit_test_setup(test_unknown_mode_page_is_refused_and_leaves_zeros, start),
		cmocka_unit_test_setup(test_mode_select_takes_what_changes_nothing, start),
		cmocka_unit_test_setup(test_mode_select_refuses_change, start),
		cmocka_unit_test_setup(test_mode_select_list_of_wrong_length_is_refused, start),
		cmocka_unit_test_setup(test_register_shows_the_key, start),
		cmocka_unit_test_setup(test_register_needs_the_old_key, start),
		cmocka_unit_test_setup(test_reserve_and_release, start),
		cmocka_unit_test_setup(test_reservation_types, start),
		cmocka_unit_test_setup(test_clear_and_preempt, start),
		cmocka_unit_test_setup(test_unregistering_the_holder_releases, start),
		cmocka_unit_test_setup(test_capabilities_and_full_status, start),
		cmocka_unit_test_setup(test_reserve_out_list_is_checked, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
