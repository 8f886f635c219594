/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file in which a machine's UEFI variables outlive it (--nvram FILE): JSON, written whole into
 * a new file that takes the old one's name, so that it is complete at any moment.
 *
 *   { "format": "openvmbus nvram", "version": 1,
 *     "variables": [ { "guid": "8be4df61-93ca-11d2-aa0d-00e098032b8c", "name": "BootOrder",
 *                      "attributes": 7, "data": "0000" } ] }
 *
 * A signed variable also has "time" and, if private, "signer": as data, in hexadecimal digits.
 */
#ifndef DEVICES_UEFI_NVRAM_H
#define DEVICES_UEFI_NVRAM_H

#include "devices/uefi/vars.h"

#define VMB_DEV_UEFI_NVRAM_LEN_MAX (4u << 20) /* bytes of a file */

/*
 * Reads the variables of a text of len bytes into v, which is empty. Returns 0, or -EINVAL with the
 * reason in why (size bytes) and v empty again.
 */
int vmb_dev_uefi_nvram_parse(struct vmb_dev_uefi_vars *v, const char *text, size_t len, char *why,
			     size_t size);
/* The text of all variables that stay. The caller frees it. NULL: no memory. */
char *vmb_dev_uefi_nvram_text(const struct vmb_dev_uefi_vars *v);

/*
 * Returns where the file is, or will be: an absolute path without links, so that each file has one
 * name and a link to it stays a link. The caller frees it. NULL: reported in one line.
 */
char *vmb_dev_uefi_nvram_find(const char *path);
/*
 * Locks the file at this path, which need not be there, against a second machine. The lock is on a
 * file of its own beside it, FILE.lock, because FILE is replaced at each change. Returns a
 * descriptor, or -EINVAL: reported in one line.
 */
int vmb_dev_uefi_nvram_lock(const char *path);
/* Removes FILE.lock. lock: the descriptor, or negative: does nothing. */
void vmb_dev_uefi_nvram_unlock(const char *path, int lock);
/*
 * Reads the file; one that is not there will be made when there is something to keep. Returns 0, or
 * -EINVAL: reported in one line.
 */
int vmb_dev_uefi_nvram_load(struct vmb_dev_uefi_vars *v, const char *path);
/* Writes the file; at 0 it is on the disk. Else -errno, and the old file is whole. */
int vmb_dev_uefi_nvram_save(const struct vmb_dev_uefi_vars *v, const char *path);

#endif
