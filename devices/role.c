// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names threads by what they are for, and hands that on to whoever confines them. */
#include <stdio.h>
#include <sys/prctl.h>

#include "devices/role.h"

static void (*confine)(enum vmb_dev_role role);

void vmb_dev_role_confine_by(void (*enter)(enum vmb_dev_role role))
{
	confine = enter;
}

bool vmb_dev_role_is_confined(void)
{
	return confine;
}

const char *vmb_dev_role_name(enum vmb_dev_role role)
{
	static const char *const names[VMB_DEV_ROLE_COUNT] = {
		[VMB_DEV_ROLE_MAIN] = "main",
		[VMB_DEV_ROLE_CONTROL] = "control",
		[VMB_DEV_ROLE_GUARD] = "guard",
		[VMB_DEV_ROLE_CONSOLE] = "console",
		[VMB_DEV_ROLE_PROCESSOR] = "processor",
		[VMB_DEV_ROLE_DOORBELL] = "doorbell",
		[VMB_DEV_ROLE_STORAGE] = "storage",
		[VMB_DEV_ROLE_NVME] = "nvme",
		[VMB_DEV_ROLE_DISK] = "disk",
		[VMB_DEV_ROLE_NBD] = "nbd",
		[VMB_DEV_ROLE_SERVER] = "server",
		[VMB_DEV_ROLE_SERVICES] = "services",
		[VMB_DEV_ROLE_SOCKETS] = "sockets",
		[VMB_DEV_ROLE_BALLOON] = "balloon",
		[VMB_DEV_ROLE_INPUT] = "input",
		[VMB_DEV_ROLE_VIDEO] = "video",
		[VMB_DEV_ROLE_VNC] = "vnc",
		[VMB_DEV_ROLE_TRACE] = "trace",
		[VMB_DEV_ROLE_NETWORK] = "network",
		[VMB_DEV_ROLE_USER_NETWORK] = "user network",
		[VMB_DEV_ROLE_SWITCH] = "switch",
		[VMB_DEV_ROLE_VARIABLES] = "variables",
	};

	return names[role];
}

/* The main thread keeps its name, which is the program's. */
void vmb_dev_role_enter(enum vmb_dev_role role)
{
	char name[16];

	if (role != VMB_DEV_ROLE_MAIN && role != VMB_DEV_ROLE_SWITCH) {
		snprintf(name, sizeof(name), "vmb-%s", vmb_dev_role_name(role));
		prctl(PR_SET_NAME, name);
	}
	if (confine)
		confine(role);
}
