// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What of --net options concerns the nest: ports that are forwarded twice, and cards that cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/nest_net.h"

#define BASE "user,id=net,net=10.0.3.0/24,ipv6-prefix=fec0:0:0:3::,ipv6-prefixlen=64"

static void netdev_is(int argc, char **argv, const char *wanted)
{
	char *text = vmb_vmm_nest_net_netdev(argc, argv);

	assert_string_equal(text, wanted);
	free(text);
}

static void inner_is(int argc, char **argv, int index, const char *wanted)
{
	char *text = vmb_vmm_nest_net_inner(argc, argv, index);

	if (wanted)
		assert_string_equal(text, wanted);
	else
		assert_null(text);
	free(text);
}

static void test_no_card_adds_no_port(void **state)
{
	char *argv[] = { "run", "--append", "hostfwd=tcp::1-:1", "--net", "none" };

	(void)state;
	netdev_is(5, argv, BASE);
	inner_is(5, argv, 2, NULL);
	inner_is(5, argv, 4, NULL);
	assert_true(vmb_vmm_nest_net_check(5, argv));
}

static void test_ports_of_all_cards_are_forwarded(void **state)
{
	char *argv[] = { "run", "--net",
			 "user,hostfwd=tcp:127.0.0.1:40022-:22,mac=02:00:00:00:00:01",
			 "--net=user,hostfwd=udp::40053-10.0.2.15:53,hostfwd=tcp::40080-:80" };

	(void)state;
	netdev_is(4, argv,
		  BASE ",hostfwd=tcp:127.0.0.1:40022-10.0.3.15:40022"
		       ",hostfwd=udp::40053-10.0.3.15:40053,hostfwd=tcp::40080-10.0.3.15:40080");
	inner_is(4, argv, 1, NULL);
	inner_is(4, argv, 2, "user,hostfwd=tcp::40022-:22,mac=02:00:00:00:00:01");
	inner_is(4, argv, 3, "--net=user,hostfwd=udp::40053-10.0.2.15:53,hostfwd=tcp::40080-:80");
}

static void test_tap_and_switch_are_refused(void **state)
{
	char *tap[] = { "run", "--net", "tap=vm0" }, *sw[] = { "run", "--net=switch=/tmp/s" };

	(void)state;
	assert_false(vmb_vmm_nest_net_check(3, tap));
	assert_false(vmb_vmm_nest_net_check(2, sw));
}

static void test_taken_port_is_refused(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char value[64], *argv[] = { "run", "--net", value };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(value, sizeof(value), "user,hostfwd=tcp:127.0.0.1:%u-:22", ntohs(at.sin_port));
	assert_false(vmb_vmm_nest_net_check(3, argv));
	close(fd);
	assert_true(vmb_vmm_nest_net_check(3, argv));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_card_adds_no_port),
		cmocka_unit_test(test_ports_of_all_cards_are_forwarded),
		cmocka_unit_test(test_tap_and_switch_are_refused),
		cmocka_unit_test(test_taken_port_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
