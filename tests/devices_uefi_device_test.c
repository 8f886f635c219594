// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests the firmware's device, its configuration and its image: what a firmware reads and writes
 * through guest memory, with addresses that are good and bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/uefi/blob.h"
#include "devices/uefi/device.h"
#include "devices/uefi/image.h"
#include "devices/uefi/log.h"
#include "devices/uefi/uuid.h"

#define MEMORY_LEN 65536u
#define REQUEST	   0x100u
#define NAME	   0x200u
#define DATA	   0x1000u
#define STAYS	   (VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME)

static uint8_t memory[MEMORY_LEN];
static const struct vmb_dev_memory ram = {
	.region_count = 1,
	.regions = { { .len = MEMORY_LEN, .base = memory } },
};
static struct vmb_dev_uefi u;

static int set_up(void **state)
{
	memset(memory, 0, sizeof(memory));
	assert_int_equal(vmb_dev_uefi_open(&u, NULL), 0);
	vmb_dev_uefi_restart(&u, &ram);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_uefi_close(&u);
	return 0;
}

static void put32(uint32_t at, uint32_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static void put64(uint32_t at, uint64_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static uint32_t get32(uint32_t at)
{
	uint32_t value;

	memcpy(&value, memory + at, sizeof(value));
	return value;
}

static void access_device(uint32_t selector, uint32_t value)
{
	vmb_dev_uefi_write(&u, false, selector);
	vmb_dev_uefi_write(&u, true, value);
}

/* The descriptor as the firmware lays it out, packed. Returns the status. */
static uint32_t ask(uint32_t command, uint64_t name, uint32_t name_len, uint64_t data,
		    uint32_t data_len)
{
	put32(REQUEST, command);
	put64(REQUEST + 4, 7);
	put32(REQUEST + 12, STAYS);
	put64(REQUEST + 16, name);
	put32(REQUEST + 24, name_len);
	memcpy(memory + REQUEST + 28, vmb_dev_uefi_global.bytes, 16);
	put64(REQUEST + 44, data);
	put32(REQUEST + 52, data_len);
	access_device(0x24, REQUEST);
	return get32(REQUEST + 4);
}

static void test_variable_is_written_and_read_by_address(void **state)
{
	memcpy(memory + NAME, "A\0B\0\0\0", 6);
	memcpy(memory + DATA, "value", 5);
	assert_int_equal(ask(1, NAME, 6, DATA, 5), 0);
	memset(memory + DATA, 0, 5);
	assert_int_equal(ask(0, NAME, 6, DATA, 3), VMB_DEV_UEFI_TOO_SMALL);
	assert_int_equal(get32(REQUEST + 52), 5);
	assert_int_equal(memory[DATA], 0);
	assert_int_equal(ask(0, NAME, 64, DATA, 100), 0); /* the name's buffer is longer */
	assert_int_equal(get32(REQUEST + 12), STAYS);
	assert_memory_equal(memory + DATA, "value", 6);
	assert_int_equal(ask(7, NAME, 6, DATA, 5), VMB_DEV_UEFI_UNSUPPORTED);
}

static void test_addresses_outside_of_memory_are_refused(void **state)
{
	memcpy(memory + NAME, "A\0\0\0", 4);
	memcpy(memory + DATA, "value", 5);
	assert_int_equal(ask(1, NAME, 4, DATA, 5), 0);
	assert_int_equal(ask(0, MEMORY_LEN - 2, 4, DATA, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(0, UINT64_MAX, 4, DATA, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(0, NAME, 4, MEMORY_LEN - 4, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(1, NAME, 4, MEMORY_LEN - 4, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(1, NAME, UINT32_MAX, DATA, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(1, NAME, 60000, DATA, 5), VMB_DEV_UEFI_INVALID);
	assert_int_equal(ask(1, NAME, 4, DATA, 40000),
			 VMB_DEV_UEFI_INVALID); /* in memory, but long */
	assert_int_equal(ask(1, NAME, 4, DATA, UINT32_MAX), VMB_DEV_UEFI_INVALID);
	access_device(0x24, MEMORY_LEN - 8); /* no room for a request: nothing happens */
}

static void test_what_is_tried_first_is_there_in_each_start(void **state)
{
	const char name[] = "B\0o\0o\0t\0N\0e\0x\0t\0\0";

	u.boot.kind = VMB_DEV_UEFI_BOOT_SCSI;
	for (int starts = 0; starts < 2; starts++) {
		vmb_dev_uefi_restart(&u, &ram);
		memcpy(memory + NAME, name, sizeof(name));
		assert_int_equal(ask(0, NAME, sizeof(name), DATA, 2), 0);
		assert_memory_equal(memory + DATA, "\xff\xff", 2);
	}
}

static void test_names_are_walked(void **state)
{
	uint32_t count = 1;

	memory[NAME] = memory[NAME + 1] = 0;
	assert_int_equal(ask(2, NAME, 2, 0, 0), VMB_DEV_UEFI_TOO_SMALL);
	assert_true(get32(REQUEST + 24) > 2);
	assert_int_equal(ask(2, NAME, 64, 0, 0), 0);
	while (ask(3, NAME, 64, 0, 0) == 0)
		count++;
	assert_int_equal(get32(REQUEST + 4), VMB_DEV_UEFI_NOT_FOUND);
	assert_int_equal(count, u.vars.count);
}

static void test_selectors_that_are_read(void **state)
{
	vmb_dev_uefi_write(&u, false, 0x28);
	assert_int_equal(vmb_dev_uefi_read(&u, true), 0xFFFFFFFF);
	vmb_dev_uefi_write(&u, false, 0x37);
	assert_int_equal(vmb_dev_uefi_read(&u, true), 0);
	assert_int_equal(vmb_dev_uefi_read(&u, false), 0x37);
}

static uint32_t read_device(uint32_t selector)
{
	vmb_dev_uefi_write(&u, false, selector);
	return vmb_dev_uefi_read(&u, true);
}

#define WATCHDOG_CONFIG	    0x27u
#define WATCHDOG_RESOLUTION 0x28u
#define WATCHDOG_COUNT	    0x29u
#define WATCHDOG_RUNS	    (VMB_DEV_UEFI_WATCHDOG_CONFIGURED | VMB_DEV_UEFI_WATCHDOG_ENABLED)

static uint32_t ticks_until_reset(uint32_t max)
{
	for (uint32_t i = 1; i <= max; i++)
		if (vmb_dev_uefi_tick(&u))
			return i;
	return 0;
}

static void give_watchdog(void)
{
	u.watchdog.there = true;
	vmb_dev_uefi_restart(&u, &ram);
}

static void test_watchdog_that_is_not_there_never_resets(void **state)
{
	assert_int_equal(read_device(WATCHDOG_RESOLUTION), VMB_DEV_UEFI_WATCHDOG_NONE);
	access_device(WATCHDOG_COUNT, 1);
	access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS);
	assert_int_equal(ticks_until_reset(200), 0);
}

static void test_watchdog_resets_once_and_the_next_start_knows(void **state)
{
	give_watchdog();
	assert_int_equal(read_device(WATCHDOG_RESOLUTION), 1);
	assert_int_equal(read_device(WATCHDOG_COUNT), 120);
	assert_int_equal(read_device(WATCHDOG_CONFIG), 0);
	access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS | VMB_DEV_UEFI_WATCHDOG_ONE_SHOT);
	assert_int_equal(ticks_until_reset(300), 120);
	assert_int_equal(ticks_until_reset(300), 0);
	vmb_dev_uefi_restart(&u, &ram);
	assert_int_equal(read_device(WATCHDOG_CONFIG), VMB_DEV_UEFI_WATCHDOG_FIRED);
	access_device(WATCHDOG_CONFIG, VMB_DEV_UEFI_WATCHDOG_FIRED);
	assert_int_equal(read_device(WATCHDOG_CONFIG), 0);
	vmb_dev_uefi_restart(&u, &ram);
	assert_int_equal(read_device(WATCHDOG_CONFIG), 0);
}

static void test_watchdog_counts_anew_when_it_is_set(void **state)
{
	give_watchdog();
	access_device(WATCHDOG_COUNT, 10);
	access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS);
	assert_int_equal(ticks_until_reset(9), 0);
	access_device(WATCHDOG_COUNT, 10);
	assert_int_equal(ticks_until_reset(20), 10);
}

/* Suspended, stopped, set to nothing, reset, or told what means nothing. */
static void test_watchdog_that_does_not_run_does_not_reset(void **state)
{
	static const uint32_t configs[] = { 0, VMB_DEV_UEFI_WATCHDOG_CONFIGURED,
					    VMB_DEV_UEFI_WATCHDOG_ENABLED };

	give_watchdog();
	for (size_t i = 0; i < VMB_ARRAY_COUNT(configs); i++) {
		access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS);
		access_device(WATCHDOG_CONFIG, configs[i]);
		assert_int_equal(ticks_until_reset(300), 0);
	}
	access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS | 1u << 31);
	assert_int_equal(ticks_until_reset(300), 0);
	access_device(WATCHDOG_CONFIG, WATCHDOG_RUNS);
	access_device(WATCHDOG_COUNT, 0);
	assert_int_equal(ticks_until_reset(300), 0);
	access_device(WATCHDOG_COUNT, 5);
	vmb_dev_uefi_restart(&u, &ram);
	assert_int_equal(ticks_until_reset(300), 0);
}

static void test_random_bytes_have_a_limit(void **state)
{
	uint8_t none[8] = { 0 };

	put32(REQUEST, 5);
	put64(REQUEST + 12, DATA);
	put32(REQUEST + 20, 8);
	access_device(0x26, REQUEST);
	assert_int_equal(get32(REQUEST + 4), 0);
	assert_memory_not_equal(memory + DATA, none, 8);
	put32(REQUEST + 20, 4096);
	access_device(0x26, REQUEST);
	assert_int_equal(get32(REQUEST + 4), VMB_DEV_UEFI_UNSUPPORTED);
}

static void test_generation_id_is_written(void **state)
{
	uint8_t none[16] = { 0 };

	access_device(0x0E, DATA);
	access_device(0x0F, 0);
	assert_memory_not_equal(memory + DATA, none, 16);
	access_device(0x0F, 0xFFFF); /* not memory: nothing happens */
}

static void test_asking_for_the_log_before_a_system_runs_is_giving_up(void **state)
{
	assert_false(vmb_dev_uefi_gave_up(&u));
	access_device(0x2C, 1);
	assert_true(vmb_dev_uefi_gave_up(&u));
	vmb_dev_uefi_restart(&u, &ram);
	assert_int_equal(ask(5, 0, 0, 0, 0), 0);
	access_device(0x2C, 1);
	assert_false(vmb_dev_uefi_gave_up(&u));
}

/* It asks for its log then too, and what it found to boot is not the question. */
static void test_firmware_that_crashed_has_not_given_up(void **state)
{
	memcpy(memory + DATA, "FAIL\nline 2", 11);
	vmb_dev_uefi_crashed(&u, DATA, 11);
	assert_int_equal(u.lines, 2);
	access_device(0x2C, 1);
	assert_false(vmb_dev_uefi_gave_up(&u));
	vmb_dev_uefi_restart(&u, &ram);
	access_device(0x2C, 1);
	assert_true(vmb_dev_uefi_gave_up(&u));
}

static void test_text_of_a_crash_is_a_firmwares_and_in_memory(void **state)
{
	vmb_dev_uefi_crashed(&u, MEMORY_LEN - 1, UINT64_MAX);
	vmb_dev_uefi_crashed(&u, UINT64_MAX, 4);
	assert_int_equal(u.lines, 0);
	memset(memory + DATA, 'x', 4096);
	vmb_dev_uefi_crashed(&u, DATA, UINT64_MAX); /* as much as there is room for */
	assert_int_equal(u.lines, 1);
	assert_int_equal(ask(5, 0, 0, 0, 0), 0);
	vmb_dev_uefi_crashed(&u, DATA, 4); /* a system's numbers are no text */
	assert_int_equal(u.lines, 1);
}

static void write_warning(void)
{
	memcpy(memory + DATA, "ALOG", 4);
	put32(DATA + 12, 0x60);
	put32(DATA + 20, 0x60 + 24);
	memcpy(memory + DATA + 0x60, "ALMS\2\0\0\0\0\0\0\0\0\0\0\0\3\0abc", 21);
	access_device(0x2B, DATA);
}

static void test_log_of_firmware_that_came_to_no_system_is_reported_at_the_end(void **state)
{
	write_warning();
	vmb_dev_uefi_stopped(&u);
	assert_int_equal(u.lines, 1);
}

static void test_log_is_reported_once(void **state)
{
	write_warning();
	access_device(0x2C, 1);
	vmb_dev_uefi_stopped(&u);
	assert_int_equal(u.lines, 1);
}

static void test_log_is_nobodys_matter_when_a_system_ran(void **state)
{
	write_warning();
	assert_int_equal(ask(5, 0, 0, 0, 0), 0);
	vmb_dev_uefi_stopped(&u);
	assert_int_equal(u.lines, 0);
}

/* Two messages of the log, in both forms. */
static void test_log_is_read_message_by_message(void **state)
{
	uint32_t at = 0, level;
	char text[8];

	memcpy(memory + DATA, "ALOG", 4);
	put32(DATA + 12, 0x60);
	put32(DATA + 20, 0x60 + 24 + 32);
	memcpy(memory + DATA + 0x60, "ALMS", 4);
	put32(DATA + 0x64, 2);
	put32(DATA + 0x70, 5);
	memcpy(memory + DATA + 0x60 + 18, "first", 5);
	memcpy(memory + DATA + 0x78, "ALM2", 4);
	put32(DATA + 0x78 + 6, 0x80000000);
	put32(DATA + 0x78 + 20, 8 | 24 << 16);
	memcpy(memory + DATA + 0x78 + 24, "12345678", 8);
	assert_int_equal(vmb_dev_uefi_log_next(&ram, DATA, &at, &level, text, sizeof(text)), 5);
	assert_string_equal(text, "first");
	assert_int_equal(level, 2);
	assert_int_equal(vmb_dev_uefi_log_next(&ram, DATA, &at, &level, text, sizeof(text)), 7);
	assert_string_equal(text, "1234567");
	assert_int_equal(level, 0x80000000);
	assert_int_equal(vmb_dev_uefi_log_next(&ram, DATA, &at, &level, text, sizeof(text)), 0);
}

static void test_boot_events_are_read(void **state)
{
	static const uint8_t channel[16] = { 0x3B, 0x71, 0xC6, 0x8C, 0x0D, 0x36, 0x06, 0x44,
					     0x92, 0x68, 0xF6, 0xB0, 0xCF, 0xDF, 0xCA, 0x91 };
	struct vmb_dev_uefi_attempt attempts[4];
	uint32_t event = DATA + 28;

	memcpy(memory + DATA, channel, 16);
	put32(DATA + 24, 64 + 32);
	put32(event + 48, 1);
	put32(event + 56, 64);
	put32(event + 60, 32);
	put32(event + 64, 0x10001);
	put32(event + 64 + 16, 3);
	assert_int_equal(vmb_dev_uefi_log_attempts(&ram, DATA, attempts, 4), 1);
	assert_int_equal(attempts[0].status, 0x10001);
	assert_int_equal(attempts[0].option, 3);
	assert_non_null(strstr(vmb_dev_uefi_log_status(0x10001), "BOOTX64.EFI"));
	put32(event + 60, 1u << 30); /* longer than the whole */
	assert_int_equal(vmb_dev_uefi_log_attempts(&ram, DATA, attempts, 4), 0);
	put32(event + 60, 32);
	put32(event + 56, 0); /* would not go on */
	assert_int_equal(vmb_dev_uefi_log_attempts(&ram, DATA, attempts, 4), 0);
	memory[DATA] ^= 1; /* another channel */
	assert_int_equal(vmb_dev_uefi_log_attempts(&ram, DATA, attempts, 4), 0);
}

/* The rules that the firmware checks before it goes on. */
static void test_blob_has_what_the_firmware_demands(void **state)
{
	static const uint32_t mandatory[] = { 1, 2, 3, 4, 5, 0x12, 0x13, 0x14, 0x18 };
	const struct vmb_dev_uefi_machine machine = { .low_len = 3ull << 30,
						      .high_gpa = 1ull << 32,
						      .high_len = 1ull << 30,
						      .vp_count = 4,
						      .serial = "1234",
						      .madt = "APIC-table",
						      .madt_len = 10,
						      .srat = "SRAT-table",
						      .srat_len = 10 };
	uint64_t seen = 0;
	uint32_t count = 0;
	size_t len, at;

	assert_int_equal(vmb_dev_uefi_blob(&machine, memory, 128), 0);
	len = vmb_dev_uefi_blob(&machine, memory, sizeof(memory));
	assert_int_equal(get32(12), len);
	for (at = 0; at < len; at += get32(at + 4), count++) {
		assert_true(get32(at + 4) > 8 && get32(at + 4) % 8 == 0);
		seen |= 1ull << get32(at);
		if (get32(at) == 3)
			assert_int_equal(get32(at + 4), 8 + 2 * 24);
		if (get32(at) == 0x13)
			assert_int_equal(get32(at + 4), 8 + 16);
	}
	assert_int_equal(at, len);
	assert_int_equal(get32(8), count);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(mandatory); i++)
		assert_true(seen >> mandatory[i] & 1);
}

/* A file of another type comes before the right one, and in that a section before the program. */
static void make_image(uint8_t *image)
{
	uint8_t *volume = image + VMB_DEV_UEFI_SEC_AT, *file = volume + 0x48, *program;

	memset(image, 0, VMB_DEV_UEFI_IMAGE_LEN);
	memcpy(volume + 40, "_FVH", 4);
	volume[48] = 0x48;
	file[18] = 0xF0;
	file[20] = 0x20;
	file += 0x20;
	file[18] = 3;
	file[20] = 0xF0;
	file[24] = 8; /* the first section */
	file[27] = 0x19;
	file[32] = 0x90;
	file[35] = 0x10;
	program = file + 36;
	memcpy(program, "MZ", 2);
	program[0x3C] = 0x40;
	memcpy(program + 0x40, "PE", 2);
	program[0x40 + 40] = 0x80;
}

static void test_entry_of_the_image_is_found(void **state)
{
	uint8_t *image = malloc(VMB_DEV_UEFI_IMAGE_LEN);
	uint8_t *file = image + VMB_DEV_UEFI_SEC_AT + 0x68;

	make_image(image);
	assert_int_equal(vmb_dev_uefi_image_entry(image), file + 36 + 0x80 - image);
	file[18] = 4; /* no file of type SEC */
	assert_int_equal(vmb_dev_uefi_image_entry(image), 0);
	make_image(image);
	file[36 + 0x40 + 41] = 0xFF; /* the entry is outside */
	assert_int_equal(vmb_dev_uefi_image_entry(image), 0);
	make_image(image);
	file[36 + 0x3F] = 0xFF; /* so is the header */
	assert_int_equal(vmb_dev_uefi_image_entry(image), 0);
	make_image(image);
	file[22] = 0xFF; /* and the file */
	assert_int_equal(vmb_dev_uefi_image_entry(image), 0);
	memset(image, 0xFF, VMB_DEV_UEFI_IMAGE_LEN);
	assert_int_equal(vmb_dev_uefi_image_entry(image), 0);
	free(image);
}

static void test_uuid_is_read_and_written(void **state)
{
	static const char *const bad[] = { "", "8be4df61", "8be4df61-93ca-11d2-aa0d-00e098032b8",
					   "8be4df61-93ca-11d2-aa0d-00e098032b8g",
					   "8be4df61-93ca-11d2-aa0d500e098032b8c" };
	char text[VMB_DEV_UEFI_UUID_TEXT_LEN];
	uint8_t uuid[16];

	assert_true(vmb_dev_uefi_uuid_parse("8BE4DF61-93ca-11d2-aa0d-00e098032b8c", uuid));
	assert_memory_equal(uuid, vmb_dev_uefi_global.bytes, 16);
	vmb_dev_uefi_uuid_print(uuid, text);
	assert_string_equal(text, "8be4df61-93ca-11d2-aa0d-00e098032b8c");
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		assert_false(vmb_dev_uefi_uuid_parse(bad[i], uuid));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_variable_is_written_and_read_by_address),
		CASE(test_addresses_outside_of_memory_are_refused),
		CASE(test_what_is_tried_first_is_there_in_each_start),
		CASE(test_names_are_walked),
		CASE(test_selectors_that_are_read),
		CASE(test_watchdog_that_is_not_there_never_resets),
		CASE(test_watchdog_resets_once_and_the_next_start_knows),
		CASE(test_watchdog_counts_anew_when_it_is_set),
		CASE(test_watchdog_that_does_not_run_does_not_reset),
		CASE(test_random_bytes_have_a_limit),
		CASE(test_generation_id_is_written),
		CASE(test_firmware_that_crashed_has_not_given_up),
		CASE(test_text_of_a_crash_is_a_firmwares_and_in_memory),
		CASE(test_log_of_firmware_that_came_to_no_system_is_reported_at_the_end),
		CASE(test_log_is_reported_once),
		CASE(test_log_is_nobodys_matter_when_a_system_ran),
		CASE(test_asking_for_the_log_before_a_system_runs_is_giving_up),
		CASE(test_log_is_read_message_by_message),
		CASE(test_boot_events_are_read),
		CASE(test_blob_has_what_the_firmware_demands),
		CASE(test_entry_of_the_image_is_found),
		CASE(test_uuid_is_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
