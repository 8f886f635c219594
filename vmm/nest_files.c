// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finds the folders that the nest must be able to write in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/nest_files.h"

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool vmb_vmm_nest_files_is_file(const struct vmb_dev_disk_option *disk)
{
	return disk->path && !vmb_dev_disk_is_nbd(disk->path) &&
	       !begins_with(disk->path, VMB_DEV_DISK_NULL_PREFIX) &&
	       !begins_with(disk->path, VMB_DEV_DISK_RAM_PREFIX);
}

/* folder itself, or something below. */
static bool is_below(const char *path, const char *folder)
{
	char after = begins_with(path, folder) ? path[strlen(folder)] : 'x';

	return after == '/' || !after;
}

static bool is_the_nests(const char *folder)
{
	static const char *const own[] = { "/dev", "/proc", "/run", "/sys" };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(own); i++)
		if (is_below(folder, own[i]))
			return true;
	return false;
}

/* Takes folder, from malloc(). */
static int add_folder(struct vmb_vmm_nest_files *f, char *folder)
{
	bool needless = is_the_nests(folder);

	for (uint32_t i = 0; i < f->count && !needless; i++)
		needless = is_below(folder, f->folders[i]);
	if (needless) {
		free(folder);
		return 0;
	}
	if (f->count < VMB_VMM_NEST_FOLDER_MAX) {
		f->folders[f->count++] = folder;
		return 0;
	}
	vmb_dev_report("'%s': files that are written may lie in %u folders where there is no "
		       "/dev/kvm; put them together",
		       folder, VMB_VMM_NEST_FOLDER_MAX);
	free(folder);
	return -EINVAL;
}

/* The file without links, or, where there is none, a name in its folder; NULL: no such folder. */
static char *resolve(const char *file)
{
	char *whole = realpath(file, NULL), *copy, *slash, *folder;

	if (whole)
		return whole;
	copy = strdup(file);
	slash = copy ? strrchr(copy, '/') : NULL;
	if (slash)
		slash[slash == copy] = 0;
	folder = copy ? realpath(slash ? copy : ".", NULL) : NULL;
	free(copy);
	if (!folder)
		return NULL;
	whole = malloc(strlen(folder) + 3);
	if (whole)
		strcat(strcpy(whole, folder), folder[1] ? "/x" : "x");
	free(folder);
	return whole;
}

/* What cannot be found is left to who opens it, and says so. */
static int add_file(struct vmb_vmm_nest_files *f, const char *file)
{
	char *whole = file ? resolve(file) : NULL;

	if (!whole)
		return 0;
	if (strrchr(whole, '/') != whole) {
		*strrchr(whole, '/') = 0;
		return add_folder(f, whole);
	}
	free(whole);
	vmb_dev_report("'%s': where there is no /dev/kvm nothing is written to the folder /, "
		       "because all is below it; put the file into another folder",
		       file);
	return -EINVAL;
}

static int add_disks(struct vmb_vmm_nest_files *f, const struct vmb_dev_disk_option *disks,
		     size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		if (vmb_vmm_nest_files_is_file(&disks[i]) && !disks[i].read_only)
			error = add_file(f, disks[i].path);
	return error;
}

static int add_records(struct vmb_vmm_nest_files *f, const struct vmb_vmm_options *o)
{
	const char *const files[] = { o->console, o->console_also, o->trace.path, o->nvram };
	int error = 0;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(files) && !error; i++)
		error = add_file(f, files[i]);
	for (uint32_t i = 0; i < o->net_count && !error; i++)
		error = add_file(f, o->nets[i].capture);
	return error;
}

int vmb_vmm_nest_files_find(struct vmb_vmm_nest_files *f, const struct vmb_vmm_options *o)
{
	char *here = getcwd(NULL, 0);
	int error = 0;

	f->count = 0;
	if (here && strcmp(here, "/") != 0)
		error = add_folder(f, here);
	else
		free(here);
	if (!error)
		error = add_disks(f, o->disks, VMB_ARRAY_COUNT(o->disks));
	if (!error)
		error = add_disks(f, o->ides, VMB_ARRAY_COUNT(o->ides));
	if (!error)
		error = add_disks(f, o->nvmes, VMB_ARRAY_COUNT(o->nvmes));
	return error ? error : add_records(f, o);
}

void vmb_vmm_nest_files_free(struct vmb_vmm_nest_files *f)
{
	while (f->count)
		free(f->folders[--f->count]);
}
