// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Image files with a format of their own. QEMU knows them all: qemu-nbd serves the file on a private
 * socket for as long as the machine runs (devices/disk/server.c), and the disk is an NBD disk. Which format a file has is for
 * the user to say; a file that looks like one of them and is not said to be one is refused, because
 * taken as raw it would be ruined.
 */
#include <string.h>
#include <unistd.h>

#include "devices/disk/disk.h"

static const struct {
	const char *name; /* of format= */
	const char *driver; /* QEMU's */
	const char *magic;
	bool at_end; /* magic begins the last 512 bytes, not the file */
} formats[] = {
	{ "raw", "raw", NULL, false },	       { "qcow2", "qcow2", "QFI\xfb", false },
	{ "vhdx", "vhdx", "vhdxfile", false }, { "vmdk", "vmdk", "KDMV", false },
	{ "vhd", "vpc", "conectix", false },   { "vhd", "vpc", "conectix", true },
};

bool vmb_dev_disk_format_known(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return true;
	return false;
}

const char *vmb_dev_disk_format_driver(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].driver;
	return NULL;
}

const char *vmb_dev_disk_format_of(int fd, uint64_t len)
{
	char bytes[16];
	off_t at;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++) {
		if (!formats[i].magic || (formats[i].at_end && len < 512))
			continue;
		at = formats[i].at_end ? (off_t)len - 512 : 0;
		if (pread(fd, bytes, sizeof(bytes), at) == sizeof(bytes) &&
		    memcmp(bytes, formats[i].magic, strlen(formats[i].magic)) == 0)
			return formats[i].name;
	}
	return NULL;
}
