// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Image files with a format of their own. QEMU knows them all: qemu-nbd serves the file on a
 * private socket for as long as the machine runs (devices/disk/server.c), and the disk is an NBD
 * disk. Which format a file has is for the user to say; a file that looks like one of them and is
 * not said to be one is refused, because taken as raw it would be ruined.
 *
 * An image can name other files, which would be opened with our rights and shown to the guest. It
 * may come from anywhere: a guest can have written it into its own raw disk. So such an image is
 * refused unless backing=allow.
 *
 * Source: the description of qcow2 in QEMU's documents; Microsoft's "Virtual Hard Disk Image Format
 * Specification" 1.0; VMware's "Virtual Disk Format 5.0".
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"

#define MAGIC_LEN_MAX  24u
#define VHD_FOOTER_LEN 512u
#define TEXT_LEN_MAX   (64u << 10)
#define SECTOR_LEN     512u

static const struct {
	const char *name; /* of format= */
	const char *driver; /* QEMU's */
} formats[] = {
	{ "raw", "raw" },   { "qcow2", "qcow2" }, { "vhd", "vpc" },
	{ "vhdx", "vhdx" }, { "vmdk", "vmdk" },
};

/* What a file can look like. */
static const struct look {
	const char *what;
	const char *format; /* the value of format= that fits, or NULL */
	const char *convert; /* QEMU's driver to convert it with, or NULL */
	const char *unpack; /* the program to unpack it with, or NULL */
	const char *magic;
	uint8_t magic_len;
	int16_t at; /* from the file's begin, or from its end if that is negative */
} looks[] = {
	{ "a qcow image", NULL, "qcow", NULL, "QFI\xfb\0\0\0\1", 8, 0 },
	{ "a qcow2 image", "qcow2", NULL, NULL, "QFI\xfb", 4, 0 },
	{ "a vhdx image", "vhdx", NULL, NULL, "vhdxfile", 8, 0 },
	{ "a vmdk image", "vmdk", NULL, NULL, "KDMV", 4, 0 },
	{ "a vmdk image's description", NULL, "vmdk", NULL, "# Disk DescriptorFile", 21, 0 },
	{ "a vmdk image of ESX", NULL, "vmdk", NULL, "COWD", 4, 0 },
	{ "a vhd image", "vhd", NULL, NULL, "conectix", 8, 0 },
	{ "a vhd image", "vhd", NULL, NULL, "conectix", 8, -512 },
	{ "a vdi image", NULL, "vdi", NULL, "\x7f\x10\xda\xbe", 4, 64 },
	{ "a qed image", NULL, "qed", NULL, "QED\0", 4, 0 },
	{ "a Parallels image", NULL, "parallels", NULL, "WithoutFreeSpace", 16, 0 },
	{ "a Parallels image", NULL, "parallels", NULL, "WithouFreSpacExt", 16, 0 },
	{ "a dmg image", NULL, "dmg", NULL, "koly", 4, -512 },
	{ "a packed file", NULL, NULL, "gunzip", "\x1f\x8b\x08", 3, 0 },
	{ "a packed file", NULL, NULL, "unxz",
	  "\xfd"
	  "7zXZ\0",
	  6, 0 },
	{ "a packed file", NULL, NULL, "unzstd", "\x28\xb5\x2f\xfd", 4, 0 },
};

bool vmb_dev_disk_format_known(const char *name)
{
	return vmb_dev_disk_format_driver(name);
}

const char *vmb_dev_disk_format_driver(const char *name)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].driver;
	return NULL;
}

static const struct look *look_at(int fd, uint64_t len)
{
	char bytes[MAGIC_LEN_MAX];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(looks); i++) {
		off_t at = looks[i].at < 0 ? (off_t)len + looks[i].at : looks[i].at;

		if (at >= 0 && pread(fd, bytes, looks[i].magic_len, at) == looks[i].magic_len &&
		    memcmp(bytes, looks[i].magic, looks[i].magic_len) == 0)
			return &looks[i];
	}
	return NULL;
}

/*
 * raw comes first: what only looks like an image is a guest's work, and so is all that the image
 * says.
 */
int vmb_dev_disk_refuse_image(const struct vmb_dev_disk *disk)
{
	const struct vmb_dev_disk_option *option = disk->option;
	const struct look *look = option->format ? NULL : look_at(disk->fd, disk->len);
	const char *name = vmb_dev_disk_option_name(option);

	if (!look)
		return 0;
	if (look->format)
		vmb_dev_report("%s %s: looks like %s; add format=raw if it is a guest's own disk, "
			       "format=%s only if you know that it is an image",
			       name, option->path, look->what, look->format);
	else if (look->convert)
		vmb_dev_report("%s %s: looks like %s; run qemu-img convert -f %s -O qcow2 %s NEW "
			       "and give NEW,format=qcow2, or add format=raw if it is a guest's "
			       "own disk",
			       name, option->path, look->what, look->convert, option->path);
	else
		vmb_dev_report(
			"%s %s: looks like %s; unpack it with %s, or add format=raw if it is "
			"a guest's own disk",
			name, option->path, look->what, look->unpack);
	return -EINVAL;
}

/* What an image says of itself. Each of these returns what is wrong with it, or NULL. */

static const char other_file[] =
	"it shows the guest another file of this machine; add backing=allow if you trust it";

struct qcow2_header {
	char magic[4];
	uint32_t version;
	uint64_t backing_offset;
	uint8_t rest[56];
	uint64_t incompatible; /* from version 3 on */
} __attribute__((packed));

static const char *check_qcow2(int fd, uint64_t len)
{
	const uint64_t external_data = 4;
	struct qcow2_header header = { .version = 0 };

	if (pread(fd, &header, sizeof(header), 0) < 0 || memcmp(header.magic, "QFI\xfb", 4) != 0)
		return NULL; /* qemu-nbd says what is wrong with it */
	if (header.backing_offset)
		return other_file;
	if (be32toh(header.version) >= 3 && be64toh(header.incompatible) & external_data)
		return other_file;
	return NULL;
}

struct vhd_footer {
	char magic[8];
	uint8_t rest[40];
	uint64_t len;
	uint8_t geometry[4];
	uint32_t type;
} __attribute__((packed));

/* A dynamic image has a copy of the footer at its begin; a fixed one has the disk there. */
static const char *check_vhd(int fd, uint64_t len)
{
	const uint32_t fixed = 2, differencing = 4;
	struct vhd_footer footer = { .len = 0 };
	off_t end = (off_t)len - (off_t)VHD_FOOTER_LEN;

	if ((pread(fd, &footer, sizeof(footer), 0) < 0 || memcmp(footer.magic, "conectix", 8)) &&
	    (end < 0 || pread(fd, &footer, sizeof(footer), end) < 0 ||
	     memcmp(footer.magic, "conectix", 8) != 0))
		return NULL;
	if (be32toh(footer.type) == differencing)
		return "it holds only the differences to another image; merge them first, on a "
		       "Windows machine with Merge-VHD";
	if (be32toh(footer.type) == fixed && be64toh(footer.len) > (uint64_t)end)
		return "its last 512 bytes tell of a longer disk than the file has; get the whole "
		       "file, or add format=raw for what is there";
	return NULL;
}

/* In a text of lines "name = value". */
static bool has_parent(const char *text)
{
	const char *at = strstr(text, "parentCID");

	if (strstr(text, "parentFileNameHint"))
		return true;
	return at && strncmp(at + strcspn(at, "=") + 1, "ffffffff", 8) != 0;
}

struct vmdk_header {
	char magic[4];
	uint32_t version, flags;
	uint64_t capacity, grain_len;
	uint64_t text_at, text_len; /* sectors */
} __attribute__((packed));

static const char *check_vmdk(int fd, uint64_t len)
{
	struct vmdk_header header = { .version = 0 };
	const char *wrong = NULL;
	uint64_t text_len;
	char *text;

	if (pread(fd, &header, sizeof(header), 0) < 0)
		return NULL;
	if (memcmp(header.magic, "# Di", 4) == 0)
		return other_file;
	text_len = le64toh(header.text_len) * SECTOR_LEN;
	if (memcmp(header.magic, "KDMV", 4) != 0 || !header.text_at)
		return NULL;
	if (!header.capacity) /* QEMU then opens the files that the text names */
		return other_file;
	if (le64toh(header.text_len) > TEXT_LEN_MAX / SECTOR_LEN)
		return "its description is longer than 64 KiB; run qemu-img convert -f vmdk -O "
		       "qcow2";
	text = calloc(1, text_len + 1);
	if (!text || pread(fd, text, text_len, (off_t)(le64toh(header.text_at) * SECTOR_LEN)) < 0 ||
	    has_parent(text))
		wrong = other_file;
	free(text);
	return wrong;
}

/* qemu-nbd itself refuses a VHDX image that holds only differences. */
int vmb_dev_disk_check_image(const struct vmb_dev_disk_option *option)
{
	static const struct {
		const char *format;
		const char *(*check)(int fd, uint64_t len);
	} checks[] = { { "qcow2", check_qcow2 }, { "vhd", check_vhd }, { "vmdk", check_vmdk } };
	int fd = open(option->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t len = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	const char *wrong = len < 0 ? strerror(errno) : NULL;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(checks) && !wrong; i++)
		if (strcmp(checks[i].format, option->format) == 0)
			wrong = checks[i].check(fd, (uint64_t)len);
	if (fd >= 0)
		close(fd);
	if (wrong == other_file && option->backing)
		wrong = NULL;
	if (wrong)
		vmb_dev_report("%s %s: %s", vmb_dev_disk_option_name(option), option->path, wrong);
	return wrong ? -EINVAL : 0;
}
