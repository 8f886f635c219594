/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Confines the program while a guest runs: no thread may gain privileges, and each may make only
 * the system calls that its role needs (vmm/confine_calls.c).
 *
 *   vmb_vmm_confine_parse(&how, "kill")
 *   vmb_vmm_confine_begin(how)   before any thread is started; from here on threads that say their
 *                                role (devices/role.h) are confined
 *   vmb_dev_role_enter(VMB_DEV_ROLE_MAIN)   the main thread, when everything is open
 *
 * Filters are per thread and inherited, and the strictest of a thread's filters decides.
 */
#ifndef VMM_CONFINE_H
#define VMM_CONFINE_H

#include <stdbool.h>

enum vmb_vmm_confine_how {
	VMB_VMM_CONFINE_KILL, /* one line, and the program ends with VMB_VMM_EXIT_CONFINED */
	VMB_VMM_CONFINE_ERRNO, /* the call fails with EPERM */
	VMB_VMM_CONFINE_OFF,
};

/* Returns false if text is none of kill, errno and off. */
bool vmb_vmm_confine_parse(enum vmb_vmm_confine_how *how, const char *text);

/*
 * Gives up new privileges for this thread and all that it starts, and makes the filters. Must be
 * called once, after the user was set (devices/user.h). Returns 0, or -errno: reported.
 */
int vmb_vmm_confine_begin(enum vmb_vmm_confine_how how);

#endif
