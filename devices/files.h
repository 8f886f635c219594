/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which files a thread or process may use from a moment on, by Landlock (Linux 5.13, and switched
 * on). Where the kernel has none, nothing is taken, and all of this succeeds.
 *
 *   rules = vmb_dev_files_begin()
 *   vmb_dev_files_allow(rules, path, VMB_DEV_FILES_READ)   and so on
 *   vmb_dev_files_enter(rules)     takes all other files; not those that are open already
 *   vmb_dev_files_end(rules)
 *
 * Context: the thread that enters must have given up new privileges. Threads and processes that it
 * starts have no more than it.
 */
#ifndef DEVICES_FILES_H
#define DEVICES_FILES_H

enum vmb_dev_files_right {
	VMB_DEV_FILES_READ = 1, /* files and folders, and starting programs among them */
	VMB_DEV_FILES_WRITE = 2, /* files that are there */
	VMB_DEV_FILES_SOCKET = 4, /* making and removing sockets in a folder */
};

/* Returns a descriptor, or -1: no Landlock. */
int vmb_dev_files_begin(void);
/* path: a file, or a folder and all below it. One that does not exist is left out. */
void vmb_dev_files_allow(int rules, const char *path, int rights);
void vmb_dev_files_enter(int rules);
void vmb_dev_files_end(int rules);

#endif
