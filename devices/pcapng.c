// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Builds blocks of pcapng files and opens such files, so that all that record agree on both. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/pcapng.h"
#include "devices/report.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

#define UNKNOWN_LEN UINT64_MAX

enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	OPTION_APPLICATION = 4, /* of a section */
	OPTION_NAME = 2, /* of an interface */
	OPTION_DESCRIPTION = 3,
	OPTION_RESOLUTION = 9,
	OPTION_FLAGS = 2, /* of a packet */
};

struct section {
	uint32_t type, len, mark;
	uint16_t major, minor;
	uint64_t section_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct section, 24);

struct interface {
	uint32_t type, len;
	uint16_t link, reserved;
	uint32_t snap_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct interface, 16);

static void add(struct vmb_dev_pcapng_block *block, const void *bytes, uint32_t len)
{
	memcpy(block->bytes + block->len, bytes, len);
	block->len += len;
}

static void pad(struct vmb_dev_pcapng_block *block, uint32_t len)
{
	static const uint8_t zero[4];

	add(block, zero, -len & 3);
}

static void add_option(struct vmb_dev_pcapng_block *block, uint16_t code, const void *value,
		       size_t len)
{
	uint16_t head[2] = { code, len };

	if (len > sizeof(block->bytes) / 4)
		head[1] = sizeof(block->bytes) / 4;
	add(block, head, sizeof(head));
	add(block, value, head[1]);
	pad(block, head[1]);
}

static void add_text(struct vmb_dev_pcapng_block *block, uint16_t code, const char *text)
{
	if (text)
		add_option(block, code, text, strlen(text));
}

/* Ends a block that has body_len bytes before the ones in here; returns its length. */
static uint32_t end(struct vmb_dev_pcapng_block *block, uint32_t body_len)
{
	uint32_t len;

	add_option(block, OPTION_END, "", 0);
	len = body_len + block->len + sizeof(len);
	add(block, &len, sizeof(len));
	return len;
}

/* The length stands at the beginning too. */
static void end_whole(struct vmb_dev_pcapng_block *block)
{
	uint32_t len = end(block, 0);

	memcpy(block->bytes + sizeof(uint32_t), &len, sizeof(len));
}

void vmb_dev_pcapng_section(struct vmb_dev_pcapng_block *block)
{
	const struct section head = { .type = VMB_DEV_PCAPNG_SECTION,
				      .mark = VMB_DEV_PCAPNG_MARK,
				      .major = 1,
				      .section_len = UNKNOWN_LEN };

	block->len = 0;
	add(block, &head, sizeof(head));
	add_text(block, OPTION_APPLICATION, "openvmbus " OPENVMBUS_VERSION);
	end_whole(block);
}

void vmb_dev_pcapng_interface(struct vmb_dev_pcapng_block *block, uint16_t link, const char *name,
			      const char *description)
{
	static const uint8_t nanoseconds = 9;
	const struct interface head = { .type = VMB_DEV_PCAPNG_INTERFACE,
					.link = link,
					.snap_len = VMB_DEV_PCAPNG_SNAP_LEN };

	block->len = 0;
	add(block, &head, sizeof(head));
	add_text(block, OPTION_NAME, name);
	add_text(block, OPTION_DESCRIPTION, description);
	add_option(block, OPTION_RESOLUTION, &nanoseconds, 1);
	end_whole(block);
}

uint32_t vmb_dev_pcapng_packet(struct vmb_dev_pcapng_head *head, struct vmb_dev_pcapng_block *tail,
			       uint32_t interface, uint64_t ns, uint32_t captured_len,
			       uint32_t original_len, enum vmb_dev_pcapng_direction direction,
			       const char *comment)
{
	const uint32_t flags = direction;

	*head = (struct vmb_dev_pcapng_head){ .type = VMB_DEV_PCAPNG_PACKET,
					      .interface = interface,
					      .time_high = ns >> 32,
					      .time_low = ns,
					      .captured_len = captured_len,
					      .original_len = original_len };
	tail->len = 0;
	pad(tail, captured_len);
	add_option(tail, OPTION_FLAGS, &flags, sizeof(flags));
	add_text(tail, OPTION_COMMENT, comment);
	head->len = end(tail, sizeof(*head) + captured_len);
	return head->len;
}

/* The file */

static int refuse(const char *option, const char *path, const char *why)
{
	vmb_dev_report("%s%s: %s", option, path, why);
	return -EINVAL;
}

static int refuse_folder(const char *option, const char *path)
{
	vmb_dev_report("%s%s: %s; give a file that can be written", option, path, strerror(errno));
	return -EINVAL;
}

/* It does not exist: may it be created? */
static int check_folder(const char *option, const char *path)
{
	char copy[PATH_MAX];

	if (strlen(path) >= sizeof(copy))
		return refuse(option, path, strerror(ENAMETOOLONG));
	strcpy(copy, path);
	if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return refuse_folder(option, path);
}

static int check_file(const char *option, const char *path, const struct stat *about)
{
	uint32_t type = 0;
	ssize_t len;
	int fd;

	if (!S_ISREG(about->st_mode))
		return refuse(option, path, "not a regular file; give a file that can be written");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return refuse_folder(option, path);
	len = read(fd, &type, sizeof(type));
	close(fd);
	if (len == 0 || (len == sizeof(type) && type == VMB_DEV_PCAPNG_SECTION))
		return 0;
	return refuse(option, path, "it exists and is no capture; give another name, or remove it");
}

int vmb_dev_pcapng_check(const char *option, const char *path)
{
	struct stat about;

	return stat(path, &about) ? check_folder(option, path) : check_file(option, path, &about);
}

int vmb_dev_pcapng_create(const char *option, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666), error;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0)
		return fd;
	error = errno;
	vmb_dev_report("%s%s: %s", option, path,
		       error == EWOULDBLOCK ? "another machine writes to it; give another file" :
					      strerror(error));
	if (fd >= 0)
		close(fd);
	return -error;
}
