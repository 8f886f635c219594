// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What all kinds of disk share: which backend an option asks for, and the checks of its length. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/user.h"

#define DISK_BLOCK_LEN 512u
#define DVD_BLOCK_LEN  2048u

const char *vmb_dev_disk_option_name(const struct vmb_dev_disk_option *option)
{
	if (option->nvme)
		return "--nvme";
	if (option->ide)
		return option->dvd ? "--ide-cdrom" : "--ide";
	return option->dvd ? "--cdrom" : "--disk";
}

static int check_len(const struct vmb_dev_disk *disk)
{
	const struct vmb_dev_disk_option *option = disk->option;
	const char *name = vmb_dev_disk_option_name(option);

	if (!disk->len) {
		vmb_dev_report("%s %s: it is empty; give it a size with truncate -s", name,
			       option->path);
		return -EINVAL;
	}
	if (disk->len % disk->block_len) {
		vmb_dev_report("%s %s: %llu bytes are not whole blocks of %u; grow it with "
			       "truncate -s %%%u",
			       name, option->path, (unsigned long long)disk->len, disk->block_len,
			       disk->block_len);
		return -EINVAL;
	}
	return 0;
}

static bool is_image(const struct vmb_dev_disk_option *option)
{
	return option->format && strcmp(option->format, "raw") != 0;
}

int vmb_dev_disk_check_user(const struct vmb_dev_disk_option *option)
{
	const char *name = vmb_dev_disk_option_name(option), *socket;

	if (!option->path)
		return 0;
	if (is_image(option))
		return vmb_dev_user_reach(name, option->path,
					  option->read_only ? R_OK : R_OK | W_OK);
	socket = vmb_dev_disk_is_nbd(option->path) ? strstr(option->path, "socket=") : NULL;
	return socket ? vmb_dev_user_reach(name, socket + strlen("socket="), W_OK) : 0;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int open_backend(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	int error;

	if (vmb_dev_disk_is_nbd(option->path) || is_image(option))
		return vmb_dev_disk_open_nbd(disk, option); /* its length is not known yet */
	if (begins_with(option->path, VMB_DEV_DISK_NULL_PREFIX))
		error = vmb_dev_disk_open_null(disk, option);
	else if (begins_with(option->path, VMB_DEV_DISK_RAM_PREFIX))
		error = vmb_dev_disk_open_ram(disk, option);
	else
		error = vmb_dev_disk_open_raw(disk, option);
	return error ? error : check_len(disk);
}

static uint32_t block_len(const struct vmb_dev_disk_option *option)
{
	if (option->dvd)
		return DVD_BLOCK_LEN;
	return option->block_len ? option->block_len : DISK_BLOCK_LEN;
}

int vmb_dev_disk_open(struct vmb_dev_disk *disk, const struct vmb_dev_disk_option *option)
{
	int error;

	memset(disk, 0, sizeof(*disk));
	disk->fd = -1;
	disk->option = option;
	disk->read_only = option->read_only;
	disk->block_len = block_len(option);
	error = open_backend(disk, option);
	if (!error && (option->hold.planned || option->stuck.planned || option->gone.planned))
		error = vmb_dev_disk_add_fault(disk);
	if (error)
		vmb_dev_disk_close(disk);
	return error;
}

int vmb_dev_disk_prepare(struct vmb_dev_disk *disk)
{
	int error = disk->ops->prepare(disk);

	return error ? error : check_len(disk);
}

void vmb_dev_disk_lost(struct vmb_dev_disk *disk, int error)
{
	if (!disk->flush_failed)
		vmb_dev_report(
			"%s %s: a flush failed: %s; what the guest wrote before may be lost, so "
			"each flush fails from now on; repair or replace the disk, and start "
			"again",
			vmb_dev_disk_option_name(disk->option), disk->option->path,
			strerror(error));
	disk->flush_failed = true;
}

bool vmb_dev_disk_needs_engine(const struct vmb_dev_disk *disk)
{
	while (disk->below)
		disk = disk->below;
	return !disk->ops->at_once;
}

/*
 * A partial block at the end does not count yet. An empty file is being replaced: keep the old
 * length.
 */
bool vmb_dev_disk_resized(struct vmb_dev_disk *disk)
{
	uint64_t len = disk->ops->measure ? disk->ops->measure(disk) : 0;

	len -= len % disk->block_len;
	if (!len || len == disk->len)
		return false;
	disk->len = len;
	return true;
}

int vmb_dev_disk_resize(struct vmb_dev_disk *disk, uint64_t len)
{
	if (!len || len % disk->block_len)
		return -EINVAL;
	if (disk->read_only || !disk->ops->resize)
		return -EOPNOTSUPP;
	return disk->ops->resize(disk, len);
}

void vmb_dev_disk_cancel(struct vmb_dev_disk *disk)
{
	disk->cancels++;
	if (disk->ops && disk->ops->cancel)
		disk->ops->cancel(disk);
}

void vmb_dev_disk_leave(struct vmb_dev_disk *disk)
{
	if (disk->ops && disk->ops->leave)
		disk->ops->leave(disk);
}

void vmb_dev_disk_close(struct vmb_dev_disk *disk)
{
	if (disk->ops)
		disk->ops->close(disk);
	disk->ops = NULL;
}
