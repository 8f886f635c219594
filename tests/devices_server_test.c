// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The private qemu-nbd of an image, confined as in the program: it serves its image, and can open
 * nothing else of this machine, although the image asks for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/platform.h"
#include "devices/disk/disk.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_runs_confined),
		cmocka_unit_test(test_server_opens_no_file_that_its_image_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
