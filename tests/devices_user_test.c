// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * --user: what it refuses, and that nothing of root is left after the change. Each case that
 * changes is a process of its own.
 */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/disk/disk.h"
#include "devices/role.h"
#include "devices/user.h"
#include "vmm/confine.h"

#define NAME "nobody"

static void need_root(void)
{
	if (geteuid())
		skip();
}

/* The exit code of body in a process of its own. */
static int run(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static int refuses(void)
{
	return !(vmb_dev_user_set("no-such-user") == -EINVAL &&
		 vmb_dev_user_set("root") == -EINVAL && vmb_dev_user_uid() == (uid_t)-1 &&
		 vmb_dev_user_become() == 0 && vmb_dev_user_reach("x", "/no/such/file", 0) == 0);
}

static void test_unknown_user_and_root_are_refused_and_change_nothing(void **state)
{
	assert_int_equal(run(refuses), 0);
}

/* Nothing of root in any line of /proc/self/task/ID/status. */
static bool is_only(uid_t uid, gid_t gid)
{
	char line[256], want_uid[64], want_gid[64];
	bool uids = false, gids = false, caps = true;
	FILE *status = fopen("/proc/thread-self/status", "re");

	snprintf(want_uid, sizeof(want_uid), "Uid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	snprintf(want_gid, sizeof(want_gid), "Gid:\t%u\t%u\t%u\t%u\n", gid, gid, gid, gid);
	while (status && fgets(line, sizeof(line), status)) {
		uids |= strcmp(line, want_uid) == 0;
		gids |= strcmp(line, want_gid) == 0;
		if (strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapPrm:", 7) == 0 ||
		    strncmp(line, "CapAmb:", 7) == 0)
			caps = caps && strtoull(line + 7, NULL, 16) == 0;
	}
	if (status)
		fclose(status);
	return uids && gids && caps;
}

static int changes(void)
{
	gid_t groups[64];
	int count;

	if (vmb_dev_user_set(NAME) || vmb_dev_user_become() ||
	    !is_only(vmb_dev_user_uid(), vmb_dev_user_gid()))
		return 1;
	count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == 0)
			return 2;
	return setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 ? 3 : 0;
}

static void test_nothing_of_root_is_left(void **state)
{
	need_root();
	assert_int_equal(run(changes), 0);
}

/* A thread that was confined before: the C library asks it to change too. */

static pthread_barrier_t barrier;

static void *early(void *arg)
{
	vmb_dev_role_enter(VMB_DEV_ROLE_GUARD);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static int changes_confined(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	if (vmb_dev_user_set(NAME) || vmb_vmm_confine_begin(VMB_VMM_CONFINE_KILL) ||
	    pthread_create(&thread, NULL, early, NULL))
		return 1;
	pthread_barrier_wait(&barrier);
	if (vmb_dev_user_become())
		return 2;
	pthread_barrier_wait(&barrier);
	return pthread_join(thread, NULL) ? 3 : 0;
}

static void test_threads_that_were_confined_before_change_too(void **state)
{
	need_root();
	assert_int_equal(run(changes_confined), 0);
}

/* What is opened later */

static char secret[64];

static int reaches(void)
{
	const struct vmb_dev_disk_option image = { .path = secret, .format = "qcow2" };
	const struct vmb_dev_disk_option raw = { .path = secret }, none = { .path = NULL };
	const struct vmb_dev_disk_option nbd = { .path = "nbd+unix:///?socket=/no/such/socket" };

	if (vmb_dev_user_set(NAME))
		return 1;
	if (vmb_dev_user_reach("file", "/etc/hosts", R_OK) ||
	    vmb_dev_user_reach("file", secret, R_OK) != -EINVAL)
		return 2;
	/* a raw disk is open before; an image is opened by its server, with the user's rights */
	return vmb_dev_disk_check_user(&raw) || vmb_dev_disk_check_user(&none) ||
	       vmb_dev_disk_check_user(&image) != -EINVAL ||
	       vmb_dev_disk_check_user(&nbd) != -EINVAL;
}

static void test_what_the_user_cannot_use_later_is_refused_before(void **state)
{
	int fd;

	need_root();
	strcpy(secret, "/tmp/devices-user-XXXXXX");
	fd = mkstemp(secret);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(run(reaches), 0);
	unlink(secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_user_and_root_are_refused_and_change_nothing),
		cmocka_unit_test(test_nothing_of_root_is_left),
		cmocka_unit_test(test_threads_that_were_confined_before_change_too),
		cmocka_unit_test(test_what_the_user_cannot_use_later_is_refused_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
