// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes frames to a pcapng file, so that a user can see in Wireshark what goes through a card or a
 * switch.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/net/capture.h"
#include "devices/report.h"

#ifndef OPENVMBUS_VERSION
#define OPENVMBUS_VERSION "unknown"
#endif

#define BLOCK_SECTION	0x0A0D0D0Au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET	6u
#define BYTE_ORDER_MARK 0x1A2B3C4Du
#define LINK_ETHERNET	1u
#define SNAP_LEN	262144u /* the longest that Wireshark takes */
#define UNKNOWN_LEN	UINT64_MAX

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
} __attribute__((packed));
_Static_assert(sizeof(struct section) == 24, "section header");

struct interface {
	uint32_t type, len;
	uint16_t link, reserved;
	uint32_t snap_len;
} __attribute__((packed));
_Static_assert(sizeof(struct interface) == 16, "interface description");

struct packet {
	uint32_t type, len, interface, time_high, time_low, captured_len, original_len;
} __attribute__((packed));
_Static_assert(sizeof(struct packet) == 28, "enhanced packet");

/* What follows a block's body: padding, options, the block's length again. */
struct tail {
	uint8_t bytes[512];
	uint32_t len;
};

struct vmb_dev_capture {
	const char *path;
	int fd; /* -1: not started, or failed */
	uint32_t interface_count;
	uint64_t len, undo_len; /* of the file; before the last frame */
	uint64_t len_max;
};

static void add(struct tail *tail, const void *bytes, uint32_t len)
{
	memcpy(tail->bytes + tail->len, bytes, len);
	tail->len += len;
}

static void pad(struct tail *tail, uint32_t len)
{
	static const uint8_t zero[4];

	add(tail, zero, -len & 3);
}

/* Text is cut where it would not fit. */
static void add_option(struct tail *tail, uint16_t code, const void *value, size_t len)
{
	uint16_t head[2] = { code, len };

	if (len > sizeof(tail->bytes) / 4)
		head[1] = sizeof(tail->bytes) / 4;
	add(tail, head, sizeof(head));
	add(tail, value, head[1]);
	pad(tail, head[1]);
}

static void add_text(struct tail *tail, uint16_t code, const char *text)
{
	add_option(tail, code, text, strlen(text));
}

/* Ends the tail; returns the block's length. */
static uint32_t end_block(struct tail *tail, uint32_t body_len)
{
	uint32_t len;

	add_option(tail, OPTION_END, "", 0);
	len = body_len + tail->len + sizeof(len);
	add(tail, &len, sizeof(len));
	return len;
}

static void give_up(struct vmb_dev_capture *c, int error)
{
	vmb_dev_report("capture=%s: %s; it ends here", c->path, strerror(error));
	if (ftruncate(c->fd, c->len))
		vmb_dev_report("capture=%s: %s; its last packet is cut off", c->path,
			       strerror(errno));
	close(c->fd);
	c->fd = -1;
}

static void end_full(struct vmb_dev_capture *c)
{
	vmb_dev_report("capture=%s: the next frame would make it longer than %llu bytes; it ends "
		       "here; a larger capture-size= allows more",
		       c->path, (unsigned long long)c->len_max);
	close(c->fd);
	c->fd = -1;
}

static void write_block(struct vmb_dev_capture *c, const struct iovec *iov, uint32_t count,
			uint32_t len)
{
	ssize_t written;

	if (len > c->len_max - c->len) {
		end_full(c);
		return;
	}
	do
		written = pwritev(c->fd, iov, count, c->len);
	while (written < 0 && errno == EINTR);
	c->undo_len = c->len;
	if (written == (ssize_t)len)
		c->len += len;
	else
		give_up(c, written < 0 ? errno : ENOSPC);
}

static void write_section(struct vmb_dev_capture *c)
{
	struct section head = { .type = BLOCK_SECTION,
				.mark = BYTE_ORDER_MARK,
				.major = 1,
				.section_len = UNKNOWN_LEN };
	struct tail tail = { .len = 0 };
	struct iovec iov[2] = { { &head, sizeof(head) }, { tail.bytes, 0 } };

	add_text(&tail, OPTION_APPLICATION, "openvmbus " OPENVMBUS_VERSION);
	head.len = end_block(&tail, sizeof(head));
	iov[1].iov_len = tail.len;
	write_block(c, iov, 2, head.len);
}

uint32_t vmb_dev_capture_interface(struct vmb_dev_capture *c, const char *name,
				   const char *description)
{
	static const uint8_t nanoseconds = 9;
	struct interface head = { .type = BLOCK_INTERFACE,
				  .link = LINK_ETHERNET,
				  .snap_len = SNAP_LEN };
	struct tail tail = { .len = 0 };
	struct iovec iov[2] = { { &head, sizeof(head) }, { tail.bytes, 0 } };

	if (c->fd < 0)
		return 0;
	add_text(&tail, OPTION_NAME, name);
	if (description)
		add_text(&tail, OPTION_DESCRIPTION, description);
	add_option(&tail, OPTION_RESOLUTION, &nanoseconds, 1);
	head.len = end_block(&tail, sizeof(head));
	iov[1].iov_len = tail.len;
	write_block(c, iov, 2, head.len);
	return c->interface_count++;
}

static void add_comment(struct tail *tail, const struct virtio_net_hdr_v1 *header)
{
	char text[80] = "";
	int len = 0;

	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		len = snprintf(text, sizeof(text), "checksum still open");
	if (header->gso_type)
		snprintf(text + len, sizeof(text) - len, "%sto be cut into segments of %u bytes",
			 len ? ", " : "", header->gso_size);
	if (*text)
		add_text(tail, OPTION_COMMENT, text);
}

void vmb_dev_capture_frame(struct vmb_dev_capture *c, uint32_t interface,
			   const struct vmb_dev_net_frame *frame,
			   enum vmb_dev_capture_direction direction)
{
	struct iovec iov[VMB_DEV_NET_IOV_MAX + 2];
	struct tail tail = { .len = 0 };
	struct packet head = { BLOCK_PACKET, 0, interface, 0, 0, frame->len, frame->len };
	uint32_t flags = direction, count = frame->iov_count;
	struct timespec now;
	uint64_t ns;

	if (c->fd < 0 || count > VMB_DEV_NET_IOV_MAX)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	head.time_high = ns >> 32;
	head.time_low = ns;
	pad(&tail, frame->len);
	add_option(&tail, OPTION_FLAGS, &flags, sizeof(flags));
	add_comment(&tail, &frame->header);
	head.len = end_block(&tail, sizeof(head) + frame->len);
	iov[0] = (struct iovec){ &head, sizeof(head) };
	memcpy(iov + 1, frame->iov, count * sizeof(iov[0]));
	iov[count + 1] = (struct iovec){ tail.bytes, tail.len };
	write_block(c, iov, count + 2, head.len);
}

void vmb_dev_capture_undo(struct vmb_dev_capture *c)
{
	if (c->fd < 0 || c->undo_len == c->len)
		return;
	c->len = c->undo_len;
	if (ftruncate(c->fd, c->len))
		give_up(c, errno);
}

/* Opening */

static int refuse(const char *path, const char *why)
{
	vmb_dev_report("capture=%s: %s", path, why);
	return -EINVAL;
}

/* It does not exist: may it be created? */
static int check_folder(const char *path)
{
	char copy[PATH_MAX];

	if (strlen(path) >= sizeof(copy))
		return refuse(path, strerror(ENAMETOOLONG));
	strcpy(copy, path);
	if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	vmb_dev_report("capture=%s: %s; give a file that can be written", path, strerror(errno));
	return -EINVAL;
}

static int check_file(const char *path, const struct stat *about)
{
	uint32_t type = 0;
	ssize_t len;
	int fd;

	if (!S_ISREG(about->st_mode))
		return refuse(path, "not a regular file; give a file that can be written");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		vmb_dev_report("capture=%s: %s; give a file that can be written", path,
			       strerror(errno));
		return -EINVAL;
	}
	len = read(fd, &type, sizeof(type));
	close(fd);
	if (len == 0 || (len == sizeof(type) && type == BLOCK_SECTION))
		return 0;
	return refuse(path, "it exists and is no capture; give another name, or remove it");
}

int vmb_dev_capture_open(struct vmb_dev_capture **capture, const char *path, uint64_t len_max)
{
	struct stat about;
	int error = stat(path, &about) ? check_folder(path) : check_file(path, &about);

	*capture = NULL;
	if (error)
		return error;
	*capture = calloc(1, sizeof(**capture));
	if (!*capture)
		return refuse(path, strerror(ENOMEM));
	(*capture)->path = path;
	(*capture)->fd = -1;
	(*capture)->len_max = len_max;
	return 0;
}

int vmb_dev_capture_start(struct vmb_dev_capture *c)
{
	int error;

	c->fd = open(c->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (c->fd >= 0 && flock(c->fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(c->fd, 0) == 0) {
		write_section(c);
		return c->fd < 0 ? -EIO : 0;
	}
	error = errno;
	vmb_dev_report("capture=%s: %s", c->path,
		       error == EWOULDBLOCK ? "another machine writes to it; give another file" :
					      strerror(error));
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	return -error;
}

void vmb_dev_capture_close(struct vmb_dev_capture *c)
{
	if (c && c->fd >= 0)
		close(c->fd);
	free(c);
}
