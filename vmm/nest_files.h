/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which folders of this machine a machine in the nest writes in: those of its disks, of what it
 * records and prints, and the one that it was started in. The nest sees all others read-only.
 */
#ifndef VMM_NEST_FILES_H
#define VMM_NEST_FILES_H

#include "vmm/options.h"

/* The nest is a small machine: each folder is a device of it. */
#define VMB_VMM_NEST_FOLDER_MAX 16u

struct vmb_vmm_nest_files {
	char *folders[VMB_VMM_NEST_FOLDER_MAX]; /* without links; from malloc() */
	uint32_t count;
};

/*
 * Fills *f. Files that do not exist yet count by the folder that they would be in; what the nest
 * has for itself (/dev, /proc, /run, /sys) is left out. Returns 0, or -EINVAL: reported. The caller
 * must call vmb_vmm_nest_files_free() in both cases.
 */
int vmb_vmm_nest_files_find(struct vmb_vmm_nest_files *f, const struct vmb_vmm_options *o);
void vmb_vmm_nest_files_free(struct vmb_vmm_nest_files *f);

/* Returns whether the disk is a file or block device of this machine. */
bool vmb_vmm_nest_files_is_file(const struct vmb_dev_disk_option *disk);

#endif
