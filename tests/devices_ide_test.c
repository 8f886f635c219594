// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * --ide and --ide-cdrom: where each unit goes, what is offered for it, and that it is the same unit
 * in the machine's next life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/storage.h"
#include "vmm/devices.h"
#include "vmm/memory.h"
#include "vmm/options.h"

static struct vmb_vmm_options options;
static struct vmb_vmm_devices devices;
static struct vmb_dev_bus *bus;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
}

/* No guest is there: the bus has nobody to tell. */
static int post(struct vmb_dev_machine *m, uint32_t vp, uint32_t sint, const void *payload,
		uint32_t len)
{
	return VMB_ENODEV;
}

static const struct vmb_dev_machine_ops machine_ops = { .post = post };
static struct vmb_dev_machine machine = { .ops = &machine_ops, .vp_count = 1 };

static int create_bus(void **state)
{
	const struct vmb_dev_bus_config config = { .machine = &machine, .stepped = true };

	if (vmb_vmm_memory_create(&machine.memory, 16u << 20, 16u << 20))
		return -1;
	bus = vmb_dev_bus_create(&config);
	return bus ? 0 : -1;
}

static int destroy_bus(void **state)
{
	vmb_vmm_devices_close(&devices);
	vmb_dev_bus_destroy(bus);
	vmb_vmm_memory_destroy(&machine.memory);
	return 0;
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
	assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_prepare_disks(&devices), 0);
	assert_int_equal(vmb_vmm_devices_attach(&devices, bus), 0);
}

static const struct vmb_dev_storage *storage(uint32_t device)
{
	return devices.all[device].state;
}

static const struct vmb_host_storage *host(uint32_t device)
{
	return &storage(device)->host;
}

static const struct vmb_dev_channel *offered(uint32_t device)
{
	return &storage(device)->channel;
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
	assert_int_equal(devices.count, 3);
	assert_memory_equal(&offered(0)->host.type_id, &scsi, sizeof(scsi));
	assert_memory_equal(offered(0)->host.user, zeroes, sizeof(zeroes));
	expect_ide(offered(1), 0, 0);
	expect_ide(offered(2), 1, 1);
	dvd = host(1)->bus.luns[0];
	assert_int_equal(dvd->kind, VMB_HOST_SCSI_DVD);
	assert_int_equal(dvd->block_count, 2048);
	assert_int_equal(host(2)->bus.luns[0]->block_count, 2048);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(host(i)->config.version_max, 0x0200);
		assert_null(host(i)->bus.luns[1]);
	}
}

/*
 * Of all units, SCSI's too: no two of a machine are alike, and each is in the next life what it
 * was.
 */
static void test_identities_are_unique_and_stay(void **state)
{
	static const char line[] = "--ide null:1M --ide null:1M --ide null:1M,serial=MINE --ide "
				   "null:1M --disk null:1M";
	struct vmb_host_scsi_lun before[5];

	start(line);
	for (uint32_t i = 0; i < 5; i++) {
		before[i] = *host(i)->bus.luns[0];
		assert_true(before[i].serial[0] != 0);
		for (uint32_t j = 0; j < i; j++) {
			assert_memory_not_equal(before[i].guid, before[j].guid, 16);
			assert_string_not_equal(before[i].serial, before[j].serial);
		}
	}
	assert_string_equal(before[3].serial, "MINE");
	destroy_bus(NULL);
	assert_int_equal(create_bus(NULL), 0);
	start(line);
	for (uint32_t i = 0; i < 5; i++) {
		assert_memory_equal(host(i)->bus.luns[0]->guid, before[i].guid, 16);
		assert_string_equal(host(i)->bus.luns[0]->serial, before[i].serial);
	}
}

/* Nobody waits for a file where the devices are stepped: said at once, not at the first read. */
static void test_a_stepped_machine_refuses_a_file(void **state)
{
	static const char *const filters[] = { "", ",hold=5" };
	char path[] = "/tmp/openvmbus-stepped-XXXXXX", line[100];
	int fd = mkstemp(path);

	assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	close(fd);
	for (uint32_t i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "--disk %s%s", path, filters[i]);
		assert_int_equal(parse(line), 0);
		assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
		assert_int_equal(vmb_vmm_devices_prepare_disks(&devices), 0);
		assert_int_equal(vmb_vmm_devices_attach(&devices, bus), -EINVAL);
		vmb_vmm_devices_close(&devices);
	}
	unlink(path);
	start("--disk null:1M,hold=5");
}

/* Guests know a device by its id. */
static void test_a_controller_may_not_have_the_id_of_another_device(void **state)
{
	assert_int_equal(parse("--ide null:1M --disk null:1M,controller="
			       "00000000-0000-8899-0000-000000000000"),
			 0);
	assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_prepare_disks(&devices), 0);
	assert_int_equal(vmb_vmm_devices_attach(&devices, bus), -EEXIST);
	destroy_bus(NULL);
	assert_int_equal(create_bus(NULL), 0);
	start("--ide null:1M --disk null:1M,controller=00000000-0000-8899-0000-000000000001");
}

/* The same for a card whose frames come through a descriptor. */
static void test_a_stepped_machine_refuses_a_user_network(void **state)
{
	assert_int_equal(parse("--net user"), 0);
	assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_open(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_prepare(&devices), 0);
	assert_int_equal(vmb_vmm_devices_attach(&devices, bus), -EINVAL);
	destroy_bus(NULL);
	assert_int_equal(create_bus(NULL), 0);
	assert_int_equal(parse("--net null"), 0);
	assert_int_equal(vmb_vmm_devices_open_disks(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_open(&devices, &options), 0);
	assert_int_equal(vmb_vmm_devices_attach(&devices, bus), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_take_the_first_free_place_that_fits),
		cmocka_unit_test(test_properties_are_those_of_a_disk),
		cmocka_unit_test_setup_teardown(test_each_unit_is_offered_beside_the_controller,
						create_bus, destroy_bus),
		cmocka_unit_test_setup_teardown(test_identities_are_unique_and_stay, create_bus,
						destroy_bus),
		cmocka_unit_test_setup_teardown(
			test_a_controller_may_not_have_the_id_of_another_device, create_bus,
			destroy_bus),
		cmocka_unit_test_setup_teardown(test_a_stepped_machine_refuses_a_file, create_bus,
						destroy_bus),
		cmocka_unit_test_setup_teardown(test_a_stepped_machine_refuses_a_user_network,
						create_bus, destroy_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
