// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes the user. The user's groups are looked up when it is set, because later no file may be
 * opened for that.
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/report.h"
#include "devices/user.h"

#define GROUP_MAX 256

static struct {
	const char *name; /* NULL: none */
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUP_MAX];
	int group_count;
} user;

static int refuse(const char *name, const char *why)
{
	vmb_dev_report("--user %s: %s", name, why);
	return -EINVAL;
}

int vmb_dev_user_set(const char *name)
{
	const struct passwd *found = getpwnam(name);

	if (!found)
		return refuse(name, "no such user; give the name of one");
	if (!found->pw_uid)
		return refuse(name, "that user has all rights; give one who may do little");
	if (geteuid())
		return refuse(name, "only root may change to another user; leave --user out");
	user.group_count = GROUP_MAX;
	if (getgrouplist(name, found->pw_gid, user.groups, &user.group_count) < 0)
		return refuse(name, "that user is in too many groups; give another");
	user.name = name;
	user.uid = found->pw_uid;
	user.gid = found->pw_gid;
	return 0;
}

uid_t vmb_dev_user_uid(void)
{
	return user.name ? user.uid : (uid_t)-1;
}

gid_t vmb_dev_user_gid(void)
{
	return user.name ? user.gid : (gid_t)-1;
}

int vmb_dev_user_own(const char *folder)
{
	return user.name && chown(folder, user.uid, user.gid) ? -errno : 0;
}

/* A process that may keep its capabilities over the change has not changed enough. */
static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &header, data) || data[0].permitted || data[1].permitted;
}

int vmb_dev_user_become(void)
{
	if (!user.name)
		return 0;
	if (setgroups(user.group_count, user.groups) || setresgid(user.gid, user.gid, user.gid) ||
	    setresuid(user.uid, user.uid, user.uid))
		return -errno;
	return has_capabilities() ? -EPERM : 0;
}

/* As that user, in a process of its own: the kernel knows best. */
static int try_to_reach(const char *path, int mode)
{
	pid_t pid = fork();
	int status, error;

	if (pid == 0) {
		error = -vmb_dev_user_become();
		_exit(error || !access(path, mode) ? error : errno);
	}
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

int vmb_dev_user_removes(const char *what, const char *path)
{
	char *copy = strdup(path);
	int error = copy ? vmb_dev_user_reach(what, dirname(copy), W_OK | X_OK) : -ENOMEM;

	free(copy);
	return error;
}

int vmb_dev_user_reach(const char *what, const char *path, int mode)
{
	int error = user.name ? try_to_reach(path, mode) : 0;

	if (!error)
		return 0;
	vmb_dev_report("%s %s: the user %s, whom --user names, cannot use it: %s", what, path,
		       user.name, strerror(error));
	return -EINVAL;
}
