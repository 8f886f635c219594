/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user that the program changes to when everything is open.
 *
 *   vmb_dev_user_set(name)   what was asked for; before anything is started
 *   vmb_dev_user_reach(...)  will that user reach what is opened only later?
 *   vmb_dev_user_become()    from here on this process, all its threads, is that user's
 *
 * Without vmb_dev_user_set() nothing changes, and all of them succeed.
 */
#ifndef DEVICES_USER_H
#define DEVICES_USER_H

#include <sys/types.h>

/*
 * Looks the user up. Returns 0, or -EINVAL: there is none, it is root, or this process may not
 * change to it; reported.
 */
int vmb_dev_user_set(const char *name);

/* The user's id and group, or -1: none was set. */
uid_t vmb_dev_user_uid(void);
gid_t vmb_dev_user_gid(void);

/*
 * Checks that the user may access path as mode says (R_OK, W_OK), which is opened after the change:
 * by this process, or by one that it starts. what: how the path was given. Returns 0, or -EINVAL:
 * reported. Starts a process for a moment.
 */
int vmb_dev_user_reach(const char *what, const char *path, int mode);

/*
 * The same for a file that is made now and removed after the change: the user must be able to write
 * to its folder.
 */
int vmb_dev_user_removes(const char *what, const char *path);

/* Gives folder to the user. Returns 0, or -errno. */
int vmb_dev_user_own(const char *folder);

/* Changes to the user, its group and groups, without any capability. Returns 0, or -errno. */
int vmb_dev_user_become(void);

#endif
