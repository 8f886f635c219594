// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What --net means when it is good; tests/cli_test.sh has what is bad.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/platform.h"
#include "vmm/options.h"

static struct vmb_vmm_options options;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
}

static int parse(const char *a, const char *b, const char *c)
{
	static char texts[3][512];
	const char *const values[] = { a, b, c };
	char *argv[10] = { "run", "--kernel", "k" };
	int argc = 3;

	for (int i = 0; i < 3 && values[i]; i++) {
		strcpy(texts[i], values[i]);
		argv[argc++] = "--net";
		argv[argc++] = texts[i];
	}
	return vmb_vmm_options_parse(&options, argc, argv);
}

static const struct vmb_dev_net_option *one(const char *text)
{
	assert_int_equal(parse(text, NULL, NULL), 0);
	assert_int_equal(options.net_count, 1);
	return &options.nets[0];
}

static void test_no_card_unless_asked_for(void **state)
{
	assert_int_equal(parse(NULL, NULL, NULL), 0);
	assert_int_equal(options.net_count, 0);
	assert_int_equal(parse("none", NULL, NULL), 0);
	assert_int_equal(options.net_count, 0);
}

static void test_a_card_may_have_monitor_ids_of_its_own(void **state)
{
	assert_false(one("null")->monitored);
	assert_true(one("null,monitor=on")->monitored);
	assert_false(one("null,monitor=auto")->monitored);
}

static void test_coalesced_frames_may_be_withheld(void **state)
{
	assert_false(one("null")->no_rsc);
	assert_true(one("null,rsc=off")->no_rsc);
	assert_false(one("null,rsc=auto")->no_rsc);
}

static void test_defaults_are_one_queue_and_1500_bytes(void **state)
{
	const struct vmb_dev_net_option *o = one("user");

	assert_int_equal(o->kind, VMB_DEV_NET_USER);
	assert_int_equal(o->queue_count, 1);
	assert_int_equal(o->mtu_max, 1500);
	assert_null(o->capture);
	assert_false(o->has_mac);
	assert_int_equal(o->forward_count, 0);
}

static void test_kinds_keep_their_targets(void **state)
{
	assert_int_equal(one("tap=tap0")->kind, VMB_DEV_NET_TAP);
	assert_string_equal(options.nets[0].target, "tap0");
	assert_int_equal(one("switch=/run/a=b.sock")->kind, VMB_DEV_NET_SWITCH);
	assert_string_equal(options.nets[0].target, "/run/a=b.sock");
	assert_int_equal(one("null")->kind, VMB_DEV_NET_NULL);
	assert_null(options.nets[0].target);
}

static void test_properties_are_taken(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0xAB, 0xCD, 0xEF, 0x00, 0x01 };
	const struct vmb_dev_net_option *o =
		one("tap=t,queues=64,mtu=65521,mac=02:ab:CD:ef:00:01,capture=x=y.pcapng");

	assert_int_equal(o->queue_count, 64);
	assert_int_equal(o->mtu_max, 65521);
	assert_true(o->has_mac);
	assert_memory_equal(o->mac, mac, sizeof(mac));
	assert_string_equal(o->capture, "x=y.pcapng");
}

static void test_forwards_may_leave_addresses_out(void **state)
{
	static const struct vmb_dev_net_forward wanted[] = {
		{ false, 0, 2222, 0, 22 },
		{ false, 0x0100007F, 1, 0x1502000A, 65535 },
		{ true, 0, 53, 0, 5353 },
	};
	const struct vmb_dev_net_option *o =
		one("user,hostfwd=tcp::2222-:22,hostfwd=tcp:127.0.0.1:1-10.0.2.21:65535,"
		    "hostfwd=udp::53-:5353");

	assert_int_equal(o->forward_count, 3);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(wanted); i++) {
		assert_int_equal(o->forwards[i].udp, wanted[i].udp);
		assert_int_equal(o->forwards[i].host_address, wanted[i].host_address);
		assert_int_equal(o->forwards[i].host_port, wanted[i].host_port);
		assert_int_equal(o->forwards[i].guest_address, wanted[i].guest_address);
		assert_int_equal(o->forwards[i].guest_port, wanted[i].guest_port);
	}
}

static void test_made_up_addresses_are_local_and_differ(void **state)
{
	uint8_t first[6], tap[6];

	assert_int_equal(parse("user", "user", "tap=t"), 0);
	memcpy(first, options.nets[0].mac, 6);
	memcpy(tap, options.nets[2].mac, 6);
	assert_memory_not_equal(first, options.nets[1].mac, 6);
	for (int i = 0; i < 3; i++)
		assert_int_equal(options.nets[i].mac[0] & 3, 2);
	assert_int_equal(parse("user", "tap=t", "tap=u"), 0);
	assert_memory_equal(first, options.nets[0].mac, 6); /* the same in every run */
	assert_memory_equal(tap, options.nets[1].mac, 6);
	assert_memory_not_equal(tap, options.nets[2].mac, 6);
	assert_int_equal(parse("switch=s", "switch=s", NULL), 0);
	assert_memory_not_equal(options.nets[0].mac, options.nets[1].mac, 6);
}

static void test_arguments_stay_whole_for_the_nest(void **state)
{
	char value[] = "user,hostfwd=tcp::2222-:22,mac=02:00:00:00:00:01";
	char copy[sizeof(value)];
	char *argv[] = { "run", "--kernel", "k", "--net", value, NULL };

	memcpy(copy, value, sizeof(value));
	assert_int_equal(vmb_vmm_options_parse(&options, 5, argv), 0);
	assert_memory_equal(value, copy, sizeof(value));
}

static void quietly(char *text)
{
	int err = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), result;
	struct vmb_dev_net_option o;

	dup2(nowhere, STDERR_FILENO);
	result = vmb_dev_net_parse(&o, text, 0);
	dup2(err, STDERR_FILENO);
	close(err);
	close(nowhere);
	assert_true(result == 0 || result == -EINVAL);
}

/* Whatever stands there: refused or taken, nothing else. */
static void test_noise_is_refused_or_taken(void **state)
{
	static const char *const words[] = {
		"user",
		"tap=",
		"switch=",
		"null",
		",",
		"=",
		":",
		"-",
		"hostfwd=",
		"tcp",
		"udp",
		"mac=",
		"mtu=",
		"1500",
		"64",
		"queues=",
		"02:",
		"00:",
		"x",
		"capture=",
		"%s%n",
		"10.0.2.15",
		"99999999999999999999",
		"none",
		"\xFF",
	};
	uint32_t seed = 1;
	char text[512];

	for (int round = 0; round < 20000; round++) {
		*text = 0;
		for (int i = 0; i < 12; i++) {
			seed = seed * 1664525 + 1013904223;
			strcat(text, words[(seed >> 16) % VMB_ARRAY_COUNT(words)]);
		}
		quietly(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_card_may_have_monitor_ids_of_its_own),
		cmocka_unit_test(test_coalesced_frames_may_be_withheld),
		cmocka_unit_test(test_no_card_unless_asked_for),
		cmocka_unit_test(test_defaults_are_one_queue_and_1500_bytes),
		cmocka_unit_test(test_kinds_keep_their_targets),
		cmocka_unit_test(test_properties_are_taken),
		cmocka_unit_test(test_forwards_may_leave_addresses_out),
		cmocka_unit_test(test_made_up_addresses_are_local_and_differ),
		cmocka_unit_test(test_arguments_stay_whole_for_the_nest),
		cmocka_unit_test(test_noise_is_refused_or_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
