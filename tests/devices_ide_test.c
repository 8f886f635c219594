// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * --ide and --ide-cdrom: where each unit goes, what is offered for it, and that it is the same unit in the machine's
 * next life. The bus's part is played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/controllers.h"
#include "vmm/options.h"

static struct vmb_vmm_options options;
static struct vmb_dev_controllers controllers;
static struct vmb_dev_channel *offered[8];
static uint32_t offered_count;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
}

/* The bus's side. */
int vmb_dev_bus_attach(struct vmb_dev_bus *bus, struct vmb_dev_channel *channel)
{
	assert_true(offered_count < VMB_ARRAY_COUNT(offered));
	offered[offered_count++] = channel;
	return 0;
}

void vmb_dev_bus_signal(struct vmb_dev_channel *channel)
{
	abort();
}

void vmb_dev_bus_rescind(struct vmb_dev_channel *channel)
{
	abort();
}

void vmb_dev_bus_stopped(struct vmb_dev_channel *channel)
{
	abort();
}

void vmb_dev_bus_detach(struct vmb_dev_channel *channel)
{
}

/* line: options and values, separated by spaces. */
static int parse(const char *line)
{
	static char text[256];
	char *argv[16] = { "run", "--kernel", "k" }, *rest = text, *word;
	int argc = 3;

	snprintf(text, sizeof(text), "%s", line);
	while (argc < 16 && (word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = word;
	return vmb_vmm_options_parse(&options, argc, argv);
}

static void expect_places(const char *line, const char *const paths[4])
{
	assert_int_equal(parse(line), 0);
	for (uint32_t i = 0; i < VMB_DEV_IDE_MAX; i++) {
		if (!paths[i]) {
			assert_null(options.ides[i].path);
			continue;
		}
		assert_string_equal(options.ides[i].path, paths[i]);
		assert_true(options.ides[i].ide);
	}
}

static void test_units_take_the_first_free_place_that_fits(void **state)
{
	expect_places("--ide a", (const char *[]){ "a", NULL, NULL, NULL });
	expect_places("--ide a --ide-cdrom b --ide c --ide d",
		      (const char *[]){ "a", "b", "c", "d" });
	expect_places("--ide a,channel=1 --ide b,channel=1 --ide c",
		      (const char *[]){ "c", NULL, "a", "b" });
	expect_places("--ide a,unit=1 --ide b,unit=1 --ide c --ide-cdrom d",
		      (const char *[]){ "c", "a", "d", "b" });
	expect_places("--ide-cdrom a,channel=1,unit=0 --disk x",
		      (const char *[]){ NULL, NULL, "a", NULL });
}

static void test_properties_are_those_of_a_disk(void **state)
{
	assert_int_equal(parse("--ide a,readonly,format=vhdx,serial=S,reconnect=3 --ide "
			       "b,hold=0,gone=18446744073709551615 --ide-cdrom c"),
			 0);
	assert_true(options.ides[0].read_only && !options.ides[0].dvd);
	assert_string_equal(options.ides[0].format, "vhdx");
	assert_string_equal(options.ides[0].serial, "S");
	assert_int_equal(options.ides[0].reconnect_s, 3);
	assert_false(options.ides[1].read_only);
	assert_null(options.ides[1].serial);
	assert_true(options.ides[1].hold.planned && options.ides[1].hold.block == 0);
	assert_false(options.ides[1].stuck.planned);
	assert_true(options.ides[1].gone.planned && options.ides[1].gone.block == UINT64_MAX);
	assert_true(options.ides[2].read_only && options.ides[2].dvd);
}

static void start(const char *line)
{
	assert_int_equal(parse(line), 0);
	offered_count = 0;
	assert_int_equal(vmb_dev_controllers_open(&controllers, &options), 0);
	assert_int_equal(vmb_dev_controllers_prepare(&controllers), 0);
	assert_int_equal(vmb_dev_controllers_attach(&controllers, NULL), 0);
}

static void expect_ide(const struct vmb_dev_channel *channel, uint8_t path, uint8_t target)
{
	static const struct vmb_guid type = VMB_GUID_IDE;
	const uint8_t id[16] = { path, 0, 0, 0, target, 0, 0x99, 0x88 };
	const uint8_t user[VMB_OFFER_USER_LEN] = { [2] = path, [3] = target, [8] = 2 };

	assert_memory_equal(&channel->host.type_id, &type, sizeof(type));
	assert_memory_equal(&channel->host.instance_id, id, sizeof(id));
	assert_memory_equal(channel->host.user, user, sizeof(user));
	assert_int_equal(channel->host.sub_channel_index, 0);
}

static void test_each_unit_is_offered_beside_the_controller(void **state)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI;
	static const uint8_t zeroes[VMB_OFFER_USER_LEN];
	const struct vmb_host_scsi_lun *dvd;

	start("--ide null:1M,channel=1,unit=1 --ide-cdrom null:4M --disk null:2M "
	      "--storage-version 2.0");
	assert_int_equal(offered_count, 3);
	assert_memory_equal(&offered[0]->host.type_id, &scsi, sizeof(scsi));
	assert_memory_equal(offered[0]->host.user, zeroes, sizeof(zeroes));
	expect_ide(offered[1], 0, 0);
	expect_ide(offered[2], 1, 1);
	dvd = controllers.all[1].host.bus.luns[0];
	assert_int_equal(dvd->kind, VMB_HOST_SCSI_DVD);
	assert_int_equal(dvd->block_count, 2048);
	assert_int_equal(controllers.all[2].host.bus.luns[0]->block_count, 2048);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(controllers.all[i].host.config.version_max, 0x0200);
		assert_null(controllers.all[i].host.bus.luns[1]);
	}
	vmb_dev_controllers_close(&controllers);
}

/* Of all units, SCSI's too: no two of a machine are alike, and each is in the next life what it was. */
static void test_identities_are_unique_and_stay(void **state)
{
	static const char line[] = "--ide null:1M --ide null:1M --ide null:1M,serial=MINE --ide "
				   "null:1M --disk null:1M";
	struct vmb_host_scsi_lun before[5];

	start(line);
	for (uint32_t i = 0; i < 5; i++) {
		before[i] = *controllers.all[i].host.bus.luns[0];
		assert_true(before[i].serial[0] != 0);
		for (uint32_t j = 0; j < i; j++) {
			assert_memory_not_equal(before[i].guid, before[j].guid, 16);
			assert_string_not_equal(before[i].serial, before[j].serial);
		}
	}
	assert_string_equal(before[3].serial, "MINE");
	vmb_dev_controllers_close(&controllers);
	start(line);
	for (uint32_t i = 0; i < 5; i++) {
		assert_memory_equal(controllers.all[i].host.bus.luns[0]->guid, before[i].guid, 16);
		assert_string_equal(controllers.all[i].host.bus.luns[0]->serial, before[i].serial);
	}
	vmb_dev_controllers_close(&controllers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_take_the_first_free_place_that_fits),
		cmocka_unit_test(test_properties_are_those_of_a_disk),
		cmocka_unit_test(test_each_unit_is_offered_beside_the_controller),
		cmocka_unit_test(test_identities_are_unique_and_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
