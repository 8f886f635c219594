// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * --generation and the single caps: what each Windows Server speaks at most, and who wins.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/platform.h"
#include "vmm/options.h"
#include "wire/network.h"
#include "wire/storage.h"
#include "wire/vmbus.h"

static struct vmb_vmm_options options;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
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

static void test_without_an_option_everything_is_newest(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(options.generation.bus, VMB_VERSION_6_0);
	assert_int_equal(options.generation.storage, VMB_STOR_VERSION_6_2);
	assert_int_equal(options.generation.network, VMB_NET_VERSION_6_1);
	assert_int_equal(options.generation.build, 20348);
}

/* Written down from docs/protocol/ and from Microsoft's builds, not from the table under test. */
static void test_each_windows_server_has_its_versions(void **state)
{
	static const struct {
		const char *option;
		uint32_t bus, storage, network, release, build;
	} rows[] = {
		{ "--generation 2008", 0x0000000D, 0x0200, 0x00000002, 0x00060000, 6002 },
		{ "--generation 2008r2", 0x00010001, 0x0402, 0x00030002, 0x00060001, 7600 },
		{ "--generation 2012", 0x00020004, 0x0501, 0x00040000, 0x00060002, 9200 },
		{ "--generation 2012r2", 0x00030000, 0x0600, 0x00050000, 0x00060003, 9600 },
		{ "--generation 2016", 0x00040000, 0x0602, 0x00060000, 0x000A0000, 14393 },
		{ "--generation 2019", 0x00050002, 0x0602, 0x00060001, 0x000A0000, 17763 },
		{ "--generation 2022", 0x00050003, 0x0602, 0x00060001, 0x000A0000, 20348 },
		{ "--generation 2025", 0x00060000, 0x0602, 0x00060001, 0x000A0000, 26100 },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++) {
		assert_int_equal(parse(rows[i].option), 0);
		assert_int_equal(options.generation.bus, rows[i].bus);
		assert_int_equal(options.generation.storage, rows[i].storage);
		assert_int_equal(options.generation.network, rows[i].network);
		assert_int_equal(options.generation.release, rows[i].release);
		assert_int_equal(options.generation.build, rows[i].build);
	}
}

static void test_a_single_cap_wins_before_and_behind_the_generation(void **state)
{
	static const char *const lines[] = {
		"--vmbus-version 4.1 --storage-version 2.0 --network-version 5 --generation 2025",
		"--generation 2025 --network-version 5 --storage-version 2.0 --vmbus-version 4.1",
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(lines); i++) {
		assert_int_equal(parse(lines[i]), 0);
		assert_int_equal(options.generation.bus, 0x00040001);
		assert_int_equal(options.generation.storage, 0x0200);
		assert_int_equal(options.generation.network, 0x00050000);
		assert_int_equal(options.generation.build, 26100);
	}
}

static void test_every_card_has_the_cap_of_the_network(void **state)
{
	assert_int_equal(parse("--net null --generation 2008r2 --net null"), 0);
	assert_int_equal(options.net_count, 2);
	assert_int_equal(options.nets[0].version_max, 0x00030002);
	assert_int_equal(options.nets[1].version_max, 0x00030002);
}

static void test_a_bus_without_sub_channels_has_cards_of_one_queue(void **state)
{
	assert_int_equal(parse("--net null,queues=4 --vmbus-version 1.1"), 0);
	assert_int_equal(options.nets[0].queue_count, 1);
	assert_int_equal(parse("--net null,queues=4 --vmbus-version 2.4"), 0);
	assert_int_equal(options.nets[0].queue_count, 4);
}

static void test_old_windows_servers_have_few_processors(void **state)
{
	assert_int_equal(parse("--cpus 4 --generation 2008"), 0);
	assert_int_equal(parse("--generation 2008r2 --cpus 4"), 0);
	assert_int_equal(parse("--generation 2012 --cpus 64"), 0);
	assert_int_equal(parse("--cpus 5 --generation 2008"), -EINVAL);
	assert_int_equal(parse("--generation 2008r2 --cpus 5"), -EINVAL);
	assert_int_equal(parse("--cpus 5 --vmbus-version 0.13"),
			 0); /* a host of today that speaks old */
}

static void test_the_last_of_one_option_counts(void **state)
{
	assert_int_equal(parse("--vmbus-version 0.13 --vmbus-version 5.3"), 0);
	assert_int_equal(options.generation.bus, 0x00050003);
}

static void test_every_version_has_one_name(void **state)
{
	static const char *const bus[] = { "0.13", "1.1", "2.4", "3.0", "4.0", "4.1",
					   "5.0",  "5.1", "5.2", "5.3", "6.0" };
	static const char *const bad[] = {
		"", "0", "0.1", "2", "2.40", "02.4", "6", "6.00", " 6.0"
	};
	uint32_t last = 0, version;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bus); i++) {
		version = vmb_vmm_generation_bus(bus[i]);
		assert_true(version > last);
		last = version;
	}
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_equal(vmb_vmm_generation_bus(bad[i]), 0);
		assert_int_equal(vmb_vmm_generation_storage(bad[i]), 0);
	}
	assert_int_equal(vmb_vmm_generation_network("3"), 0);
	assert_int_equal(vmb_vmm_generation_network("6.0"), 0);
	assert_null(vmb_vmm_generation_find("2012R2"));
	assert_null(vmb_vmm_generation_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_an_option_everything_is_newest),
		cmocka_unit_test(test_each_windows_server_has_its_versions),
		cmocka_unit_test(test_a_single_cap_wins_before_and_behind_the_generation),
		cmocka_unit_test(test_every_card_has_the_cap_of_the_network),
		cmocka_unit_test(test_a_bus_without_sub_channels_has_cards_of_one_queue),
		cmocka_unit_test(test_old_windows_servers_have_few_processors),
		cmocka_unit_test(test_the_last_of_one_option_counts),
		cmocka_unit_test(test_every_version_has_one_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
