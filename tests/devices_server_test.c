// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The private qemu-nbd of an image, confined as in the program: it serves its image, and can open
 * nothing else of this machine, although the image asks for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/platform.h"
#include "devices/disk/disk.h"
#include "devices/role.h"
#include "vmm/confine.h"

#define PATH_LEN 128

static char folder[] = "/var/tmp/devices-server-XXXXXX";
static char image[PATH_LEN], secret[PATH_LEN];

static int tool(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static int set_up(void **state)
{
	if (system("command -v qemu-nbd >/dev/null && command -v qemu-img >/dev/null"))
		return 0;
	if (!mkdtemp(folder) || vmb_vmm_confine_begin(VMB_VMM_CONFINE_KILL))
		return -1;
	snprintf(image, sizeof(image), "%s/image.qcow2", folder);
	snprintf(secret, sizeof(secret), "%s/secret", folder);
	return tool("head -c 65536 /dev/urandom >%s", secret) ||
	       tool("qemu-img create -q -f qcow2 %s 1M", image);
}

static int tear_down(void **state)
{
	return *image ? tool("rm -r %s", folder) : 0;
}

static void need_tools(void)
{
	if (!*image)
		skip();
}

/* A number that a line of a process's status begins with; -1: no such line. */
static int status_number(const char *pid, const char *name)
{
	char path[PATH_LEN], line[256];
	int number = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0)
			number = atoi(line + strlen(name));
	if (status)
		fclose(status);
	return number;
}

/* The process whose command line names the image. */
static void find_server(char *pid, size_t len)
{
	char command[512];
	FILE *pipe;

	snprintf(command, sizeof(command), "pgrep -f '^qemu-nbd .*%s'", image);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	assert_non_null(fgets(pid, (int)len, pipe));
	pid[strcspn(pid, "\n")] = 0;
	pclose(pipe);
}

static void test_server_runs_confined(void **state)
{
	const struct vmb_dev_disk_option option = { .path = image, .format = "qcow2" };
	struct vmb_dev_disk_server *server;
	char pid[32];

	need_tools();
	server = vmb_dev_disk_server_start(&option);
	assert_non_null(server);
	find_server(pid, sizeof(pid));
	assert_int_equal(status_number(pid, "NoNewPrivs:"), 1);
	assert_int_equal(status_number(pid, "Seccomp:"), 2);
	assert_int_equal(tool("qemu-io -f raw -c 'write -P 7 0 64k' -c flush -c 'read -P 7 0 64k' "
			      "'%s' >/dev/null",
			      vmb_dev_disk_server_uri(server)),
			 0);
	vmb_dev_disk_server_stop(server);
}

/* format.c refuses such an image before; this is what holds when it is fooled. */
static void test_server_opens_no_file_that_its_image_names(void **state)
{
	struct vmb_dev_disk_option option = { .path = image, .format = "qcow2" };
	struct vmb_dev_disk_server *server;

	need_tools();
	if (!has_landlock())
		skip();
	assert_int_equal(tool("qemu-img create -q -f qcow2 -b %s -F raw %s 64k", secret, image), 0);
	assert_null(vmb_dev_disk_server_start(&option));
	option.backing = true;
	server = vmb_dev_disk_server_start(&option);
	assert_non_null(server);
	vmb_dev_disk_server_stop(server);
}

static double stop(struct vmb_dev_disk_server *server)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	vmb_dev_disk_server_stop(server);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9;
}

static void test_server_that_somebody_has_stopped_ends(void **state)
{
	const struct vmb_dev_disk_option option = { .path = image, .format = "qcow2" };
	struct vmb_dev_disk_server *server;
	double took;
	char pid[32];

	need_tools();
	for (int who = 0; who < 2; who++) {
		assert_int_equal(tool("qemu-img create -q -f qcow2 %s 1M", image), 0);
		server = vmb_dev_disk_server_start(&option);
		assert_non_null(server);
		find_server(pid, sizeof(pid));
		if (who) /* its keeper too */
			kill(status_number(pid, "PPid:"), SIGSTOP);
		kill(atoi(pid), SIGSTOP);
		took = stop(server);
		print_message("ended after %.1f s\n", took);
		assert_true(took < 4);
		assert_int_equal(kill(atoi(pid), 0), -1);
	}
}

/* In qemu-nbd's place: greets, and does at the end what the text of `ending` says. */
static void make_fake(const char *ending)
{
	char path[PATH_LEN];
	FILE *fake;

	snprintf(path, sizeof(path), "%s/qemu-nbd", folder);
	fake = fopen(path, "we");
	assert_non_null(fake);
	fprintf(fake,
		"#!/usr/bin/python3 -IS\n"
		"import os, signal, socket, sys, time\n"
		"def ending(*_):\n%s\n"
		"signal.signal(signal.SIGTERM, ending)\n"
		"s = socket.socket(socket.AF_UNIX)\n"
		"s.bind([a[9:] for a in sys.argv if a.startswith('--socket=')][0])\n"
		"s.listen()\n"
		"while True:\n    s.accept()[0].send(b'NBDMAGIC')\n",
		ending);
	fclose(fake);
	chmod(path, 0755);
}

static double stop_fake(const char *ending)
{
	const struct vmb_dev_disk_option option = { .path = image, .format = "qcow2" };
	char *before = strdup(getenv("PATH")), path[4096];
	struct vmb_dev_disk_server *server;

	make_fake(ending);
	snprintf(path, sizeof(path), "%s:%s", folder, before);
	setenv("PATH", path, 1);
	server = vmb_dev_disk_server_start(&option);
	setenv("PATH", before, 1);
	free(before);
	assert_non_null(server);
	return stop(server);
}

static void test_server_that_hangs_at_the_end_is_killed_and_one_that_works_is_not(void **state)
{
	double took;

	need_tools();
	took = stop_fake("    pass"); /* it waits for the next client */
	print_message("one that hangs ended after %.1f s\n", took);
	assert_true(took < 4);
	took = stop_fake("    end = time.monotonic() + 3\n"
			 "    while time.monotonic() < end: pass\n"
			 "    os._exit(0)");
	print_message("one that works ended after %.1f s\n", took);
	assert_true(took >= 3 && took < 6);
}

static void *stop_as_control(void *arg)
{
	vmb_dev_role_enter(VMB_DEV_ROLE_CONTROL);
	vmb_dev_disk_server_stop(arg);
	return NULL;
}

/* `ctl disk-remove`: were the thread not allowed what this takes, the program would end here. */
static void test_control_may_stop_the_server_of_a_disk_that_it_removes(void **state)
{
	const struct vmb_dev_disk_option option = { .path = image, .format = "qcow2" };
	struct vmb_dev_disk_server *server;
	pthread_t thread;

	need_tools();
	assert_int_equal(tool("qemu-img create -q -f qcow2 %s 1M", image), 0);
	server = vmb_dev_disk_server_start(&option);
	assert_non_null(server);
	assert_int_equal(pthread_create(&thread, NULL, stop_as_control, server), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_runs_confined),
		cmocka_unit_test(test_server_opens_no_file_that_its_image_names),
		cmocka_unit_test(test_server_that_somebody_has_stopped_ends),
		cmocka_unit_test(test_control_may_stop_the_server_of_a_disk_that_it_removes),
		cmocka_unit_test(
			test_server_that_hangs_at_the_end_is_killed_and_one_that_works_is_not),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
