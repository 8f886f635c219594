// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What of --net options concerns the nest: ports that are forwarded twice, and cards that cannot
 * be.
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

#define RUN "run", "--kernel", "k" /* so that the rest begins at 3 */

/* Parsed options live as long as the program; here it parses many. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct vmb_vmm_options options;

static const struct vmb_vmm_options *parse(int argc, char **argv)
{
	assert_int_equal(vmb_vmm_options_parse(&options, argc, argv), 0);
	return &options;
}

/* wanted: with a space behind each. */
static void ports_are(int argc, char **argv, const char *wanted)
{
	const struct vmb_vmm_options *o = parse(argc, argv);
	char all[256] = "", *port;
	uint32_t count = 0;

	for (; (port = vmb_vmm_nest_net_port(o, count)); count++) {
		strcat(strcat(all, port), " ");
		free(port);
	}
	assert_string_equal(all, wanted);
	assert_int_equal(vmb_vmm_nest_net_port_count(o), count);
}

static void inner_is(int argc, char **argv, int index, const char *wanted)
{
	char *text = vmb_vmm_nest_net_inner(parse(argc, argv), argv[index]);

	if (wanted)
		assert_string_equal(text, wanted);
	else
		assert_null(text);
	free(text);
}

static void test_no_card_adds_no_port(void **state)
{
	char *argv[] = { RUN, "--append", "hostfwd=tcp::1-:1", "--net", "none" };

	ports_are(7, argv, "");
	inner_is(7, argv, 4, NULL);
	inner_is(7, argv, 6, NULL);
	assert_true(vmb_vmm_nest_net_check(parse(7, argv)));
}

static void test_ports_of_all_cards_are_forwarded(void **state)
{
	char *argv[] = { RUN, "--net", "user,hostfwd=tcp:127.0.0.1:40022-:22,mac=02:00:00:00:00:01",
			 "--net=user,hostfwd=udp::40053-10.0.2.15:53,hostfwd=tcp::40080-:80" };

	ports_are(6, argv, "tcp:127.0.0.1:40022 udp::40053 tcp::40080 ");
	inner_is(6, argv, 3, NULL);
	inner_is(6, argv, 4, "user,hostfwd=tcp::40022-:22,mac=02:00:00:00:00:01");
	inner_is(6, argv, 5, "--net=user,hostfwd=udp::40053-10.0.2.15:53,hostfwd=tcp::40080-:80");
}

/* As getopt takes them; and what looks like a card but is another option's value is none. */
static void test_spelling_of_the_option_does_not_matter(void **state)
{
	char *argv[] = { RUN,
			 "--ne",
			 "user,hostfwd=tcp:127.0.0.1:40022-:22",
			 "--ne=user,hostfwd=tcp:127.0.0.1:40023-:23,mac=02:00:00:00:00:01",
			 "--append",
			 "--net=user,hostfwd=tcp:127.0.0.1:40024-:24" };
	char *tap[] = { RUN, "--ne", "tap=vm0" }, *value[] = { RUN, "--append", "--net=tap=vm0" };

	ports_are(8, argv, "tcp:127.0.0.1:40022 tcp:127.0.0.1:40023 ");
	inner_is(8, argv, 4, "user,hostfwd=tcp::40022-:22");
	inner_is(8, argv, 5, "--ne=user,hostfwd=tcp::40023-:23,mac=02:00:00:00:00:01");
	inner_is(8, argv, 7, NULL);
	assert_false(vmb_vmm_nest_net_check(parse(5, tap)));
	assert_true(vmb_vmm_nest_net_check(parse(5, value)));
}

/* Seen from the nest, this machine's loopback address is the gateway's. */
static void test_redirects_lead_out_of_the_nest(void **state)
{
	char *argv[] = {
		RUN, "--net",
		"user,redirect=169.254.169.254:80-127.0.0.1:8080,redirect=1.2.3.4:5-10.0.0.1:6",
		"--net=user,redirect=127.0.0.1:1-127.0.0.1:2,hostfwd=tcp:127.0.0.1:40022-:22"
	};

	inner_is(6, argv, 4,
		 "user,redirect=169.254.169.254:80-10.0.3.2:8080,redirect=1.2.3.4:5-10.0.0.1:6");
	inner_is(6, argv, 5, "--net=user,redirect=127.0.0.1:1-10.0.3.2:2,hostfwd=tcp::40022-:22");
}

static void test_tap_and_switch_are_refused(void **state)
{
	char *tap[] = { RUN, "--net", "tap=vm0" }, *sw[] = { RUN, "--net=switch=/tmp/s" };

	assert_false(vmb_vmm_nest_net_check(parse(5, tap)));
	assert_false(vmb_vmm_nest_net_check(parse(4, sw)));
}

static void test_taken_port_is_refused(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char value[64], *argv[] = { RUN, "--net", value };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(value, sizeof(value), "user,hostfwd=tcp:127.0.0.1:%u-:22", ntohs(at.sin_port));
	assert_false(vmb_vmm_nest_net_check(parse(5, argv)));
	close(fd);
	assert_true(vmb_vmm_nest_net_check(parse(5, argv)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_card_adds_no_port),
		cmocka_unit_test(test_ports_of_all_cards_are_forwarded),
		cmocka_unit_test(test_spelling_of_the_option_does_not_matter),
		cmocka_unit_test(test_redirects_lead_out_of_the_nest),
		cmocka_unit_test(test_tap_and_switch_are_refused),
		cmocka_unit_test(test_taken_port_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
