// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A filter of system calls sees no paths, so threads that look up names could open any file to
 * read. They keep the lists of servers and of this machine's names.
 */
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/platform.h"
#include "devices/files.h"
#include "vmm/confine_files.h"

/* /etc/resolv.conf is often a link into one of the others. */
static const char *const folders[] = { "/etc", "/run/systemd/resolve", "/run/resolvconf",
				       "/run/NetworkManager", "/run/connman" };

static int rules = -1;

/* Wherever the link leads. */
static void allow_list_of_servers(void)
{
	char path[PATH_MAX];

	if (realpath("/etc/resolv.conf", path))
		vmb_dev_files_allow(rules, dirname(path), VMB_DEV_FILES_READ);
}

void vmb_vmm_confine_files_begin(void)
{
	rules = vmb_dev_files_begin();
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(folders); i++)
		vmb_dev_files_allow(rules, folders[i], VMB_DEV_FILES_READ);
	allow_list_of_servers();
}

void vmb_vmm_confine_files_enter(enum vmb_dev_role role)
{
	if (role == VMB_DEV_ROLE_NBD || role == VMB_DEV_ROLE_USER_NETWORK)
		vmb_dev_files_enter(rules);
}
