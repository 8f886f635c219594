// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Landlock's system calls, for which the C library has no functions. A filter of system calls sees
 * no paths; this does.
 */
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/files.h"

/* All that the first version of Landlock knows. */
#define EVERYTHING ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define OF_FILES \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE)

int vmb_dev_files_begin(void)
{
	const struct landlock_ruleset_attr attributes = { .handled_access_fs = EVERYTHING };

	return syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
}

static __u64 access_of(int rights)
{
	__u64 access = 0;

	if (rights & VMB_DEV_FILES_READ)
		access |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
			  LANDLOCK_ACCESS_FS_EXECUTE;
	if (rights & VMB_DEV_FILES_WRITE)
		access |= LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (rights & VMB_DEV_FILES_SOCKET)
		access |= LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
	return access;
}

/* The kernel refuses rights of folders for a file. */
void vmb_dev_files_allow(int rules, const char *path, int rights)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = access_of(rights) };
	struct stat about;

	beneath.parent_fd = rules < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	if (beneath.parent_fd < 0)
		return;
	if (fstat(beneath.parent_fd, &about) == 0 && !S_ISDIR(about.st_mode))
		beneath.allowed_access &= OF_FILES;
	syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	close(beneath.parent_fd);
}

void vmb_dev_files_enter(int rules)
{
	if (rules >= 0)
		syscall(SYS_landlock_restrict_self, rules, 0);
}

void vmb_dev_files_end(int rules)
{
	if (rules >= 0)
		close(rules);
}
