/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which files the threads that may open some can read.
 */
#ifndef VMM_CONFINE_FILES_H
#define VMM_CONFINE_FILES_H

#include "devices/role.h"

/* Makes the rules, before any thread is confined. Without Landlock in the kernel there are none. */
void vmb_vmm_confine_files_begin(void);

/*
 * Takes all files from the calling thread but those that say how names are looked up, if its role
 * may open files at all. The thread must have given up new privileges.
 */
void vmb_vmm_confine_files_enter(enum vmb_dev_role role);

#endif
