// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Messages whose reader pauses: nobody waits, they are kept in their order, and what is lost is
 * counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/report.h"
#include "devices/role.h"

#define ALL_LEN (512u << 10)

static int standard_error, ends[2];
static char all[ALL_LEN];
static uint32_t all_len;

static void redirect(void)
{
	standard_error = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	all_len = 0;
	alarm(20); /* a message that waits does so for ever */
}

static void put_back(void)
{
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	close(ends[0]);
	close(ends[1]);
	alarm(0);
}

static void read_what_is_there(void)
{
	ssize_t len;

	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while ((len = read(ends[0], all + all_len, sizeof(all) - 1 - all_len)) > 0)
		all_len += len;
	all[all_len] = 0;
}

/* Reads until nothing is kept any more. */
static void read_all(void)
{
	while (vmb_dev_report_offer())
		read_what_is_there();
	read_what_is_there();
}

static uint32_t count_in_order(void)
{
	char *line = strstr(all, "line "), *end;
	uint32_t count = 0;

	for (; line; line = strstr(end, "line "), count++)
		if (strtoul(line + 5, &end, 10) != count)
			break;
	return count;
}

static void test_messages_for_a_reader_that_pauses_are_kept(void **state)
{
	assert_int_equal(pipe(ends), 0);
	fcntl(ends[1], F_SETPIPE_SZ, 4096);
	redirect();
	for (uint32_t i = 0; i < 1000; i++)
		vmb_dev_report("line %u", i);
	read_all();
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK); /* it is others' too */
	put_back();
	assert_int_equal(count_in_order(), 1000);
	assert_null(strstr(all, "lost"));
}

static void test_messages_beyond_the_limit_are_counted(void **state)
{
	uint32_t kept, lost = 0;
	char *said;

	assert_int_equal(pipe(ends), 0);
	redirect();
	for (uint32_t i = 0; i < 10000; i++)
		vmb_dev_report("line %u", i);
	read_all();
	vmb_dev_report("after that");
	read_all();
	put_back();
	kept = count_in_order();
	said = strstr(all, "openvmbus: ");
	while (said && sscanf(said, "openvmbus: %u messages were lost", &lost) != 1)
		said = strstr(said + 1, "openvmbus: ");
	print_message("%u kept, %u lost\n", kept, lost);
	assert_int_equal(kept + lost, 10000);
	assert_true(kept > 3000 && lost > 1000);
	assert_non_null(strstr(said, "after that"));
}

static void test_messages_to_a_socket_do_not_wait(void **state)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	redirect();
	for (uint32_t i = 0; i < 10000; i++)
		vmb_dev_report("line %u", i);
	read_all();
	put_back();
	assert_true(count_in_order() > 3000);
}

static void take_nothing(enum vmb_dev_role role)
{
}

/* Another user's pipe, or a thread that may not open files: the pipe is used as it is. */
static void test_messages_to_a_pipe_that_is_not_opened_again_do_not_wait(void **state)
{
	vmb_dev_role_confine_by(take_nothing);
	assert_int_equal(pipe(ends), 0);
	redirect();
	for (uint32_t i = 0; i < 10000; i++) {
		vmb_dev_report("line %u", i);
		/* the reader takes a little now and then, so that there is some room, but not much */
		if (i % 1000 == 999)
			all_len += read(ends[0], all + all_len, 8192);
	}
	read_all();
	put_back();
	vmb_dev_role_confine_by(NULL);
	assert_true(count_in_order() > 3000);
}

static void test_draining_has_an_end(void **state)
{
	assert_int_equal(pipe(ends), 0);
	redirect();
	for (uint32_t i = 0; i < 2000; i++)
		vmb_dev_report("line %u", i);
	vmb_dev_report_drain(100);
	read_all();
	put_back();
	assert_int_equal(count_in_order(), 2000);
}

static void test_message_is_one_line_whatever_is_in_it(void **state)
{
	assert_int_equal(pipe(ends), 0);
	redirect();
	vmb_dev_report("a server says '%s'", "one\nopenvmbus: two\r\x1b[2J\x7f \xE2\x82\xAC");
	read_all();
	put_back();
	assert_string_equal(all,
			    "openvmbus: a server says 'one?openvmbus: two??[2J? \xE2\x82\xAC'\n");
}

static void test_long_message_keeps_its_end(void **state)
{
	static char path[6000];

	memset(path, 'x', sizeof(path) - 1);
	assert_int_equal(pipe(ends), 0);
	redirect();
	vmb_dev_report("--kernel %s: no such file", path);
	read_all();
	put_back();
	assert_int_equal(strncmp(all, "openvmbus: --kernel xxx", 23), 0);
	assert_non_null(strstr(all, "xxx...xxx"));
	assert_non_null(strstr(all, "xxx: no such file\n"));
	assert_int_equal(strlen(all), strlen("openvmbus: ") + 1023 + 1);
}

/* What the parent keeps is not the child's to say. */
static void test_forked_child_says_its_own(void **state)
{
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	redirect();
	for (uint32_t i = 0; i < 5000; i++)
		vmb_dev_report("line %u", i);
	child = fork();
	if (child == 0) {
		vmb_dev_report_begin();
		vmb_dev_report("child");
		vmb_dev_report_drain(5000);
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0)
		read_what_is_there();
	read_all();
	put_back();
	assert_non_null(strstr(all, "openvmbus: child\n"));
	assert_int_equal(strstr(strstr(all, "child") + 1, "child"), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_for_a_reader_that_pauses_are_kept),
		cmocka_unit_test(test_messages_beyond_the_limit_are_counted),
		cmocka_unit_test(test_messages_to_a_socket_do_not_wait),
		cmocka_unit_test(test_messages_to_a_pipe_that_is_not_opened_again_do_not_wait),
		cmocka_unit_test(test_draining_has_an_end),
		cmocka_unit_test(test_message_is_one_line_whatever_is_in_it),
		cmocka_unit_test(test_long_message_keeps_its_end),
		cmocka_unit_test(test_forked_child_says_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
