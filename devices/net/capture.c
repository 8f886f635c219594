// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes frames to a pcapng file, so that a user can see in Wireshark what goes through a card or a
 * switch.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/net/capture.h"
#include "devices/report.h"

#define OPTION "capture="

struct vmb_dev_capture {
	const char *path;
	int fd; /* -1: not started, or failed */
	uint32_t interface_count;
	uint64_t len, undo_len; /* of the file; before the last frame */
	uint64_t len_max;
};

static void give_up(struct vmb_dev_capture *c, int error)
{
	vmb_dev_report(OPTION "%s: %s; it ends here", c->path, strerror(error));
	if (ftruncate(c->fd, c->len))
		vmb_dev_report(OPTION "%s: %s; its last packet is cut off", c->path,
			       strerror(errno));
	close(c->fd);
	c->fd = -1;
}

static void end_full(struct vmb_dev_capture *c)
{
	vmb_dev_report(OPTION "%s: the next frame would make it longer than %llu bytes; it ends "
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

static void write_whole(struct vmb_dev_capture *c, struct vmb_dev_pcapng_block *block)
{
	const struct iovec iov = { block->bytes, block->len };

	write_block(c, &iov, 1, block->len);
}

uint32_t vmb_dev_capture_interface(struct vmb_dev_capture *c, const char *name,
				   const char *description)
{
	struct vmb_dev_pcapng_block block;

	if (c->fd < 0)
		return 0;
	vmb_dev_pcapng_interface(&block, VMB_DEV_PCAPNG_LINK_ETHERNET, name, description);
	write_whole(c, &block);
	return c->interface_count++;
}

/* Returns text, or NULL: there is nothing to say. */
static const char *comment_on(const struct virtio_net_hdr_v1 *header, char text[80])
{
	int len = 0;

	*text = 0;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		len = snprintf(text, 80, "checksum still open");
	if (header->gso_type)
		snprintf(text + len, 80 - len, "%sto be cut into segments of %u bytes",
			 len ? ", " : "", header->gso_size);
	return *text ? text : NULL;
}

void vmb_dev_capture_frame(struct vmb_dev_capture *c, uint32_t interface,
			   const struct vmb_dev_net_frame *frame,
			   enum vmb_dev_pcapng_direction direction)
{
	struct iovec iov[VMB_DEV_NET_IOV_MAX + 2];
	uint32_t count = frame->iov_count, len;
	struct vmb_dev_pcapng_block tail;
	struct vmb_dev_pcapng_head head;
	struct timespec now;
	char text[80];

	if (c->fd < 0 || count > VMB_DEV_NET_IOV_MAX)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	len = vmb_dev_pcapng_packet(&head, &tail, interface,
				    now.tv_sec * 1000000000ull + now.tv_nsec, frame->len,
				    frame->len, direction, comment_on(&frame->header, text));
	iov[0] = (struct iovec){ &head, sizeof(head) };
	memcpy(iov + 1, frame->iov, count * sizeof(iov[0]));
	iov[count + 1] = (struct iovec){ tail.bytes, tail.len };
	write_block(c, iov, count + 2, len);
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

int vmb_dev_capture_open(struct vmb_dev_capture **capture, const char *path, uint64_t len_max)
{
	int error = vmb_dev_pcapng_check(OPTION, path);

	*capture = NULL;
	if (error)
		return error;
	*capture = calloc(1, sizeof(**capture));
	if (!*capture) {
		vmb_dev_report(OPTION "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	(*capture)->path = path;
	(*capture)->fd = -1;
	(*capture)->len_max = len_max;
	return 0;
}

int vmb_dev_capture_start(struct vmb_dev_capture *c)
{
	struct vmb_dev_pcapng_block block;
	int fd = vmb_dev_pcapng_create(OPTION, c->path);

	if (fd < 0)
		return fd;
	c->fd = fd;
	vmb_dev_pcapng_section(&block);
	write_whole(c, &block);
	return c->fd < 0 ? -EIO : 0;
}

void vmb_dev_capture_close(struct vmb_dev_capture *c)
{
	if (c && c->fd >= 0)
		close(c->fd);
	free(c);
}
