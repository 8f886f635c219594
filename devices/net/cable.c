// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A cable to `openvmbus switch`. When the switch goes away the link goes down, and comes up when
 * there is one again.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/net/cable.h"
#include "devices/report.h"

#define TAKE_MAX     64u /* frames in one go */
#define HEADER_LEN   sizeof(struct virtio_net_hdr_v1)
#define ETHERNET_LEN 14
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 3200
#define FULL_MS	     1000 /* a switch that takes nothing for so long loses frames */

struct cable {
	const char *path;
	int fd; /* -1: no switch */
	int64_t retry_at, retry_ms;
	int64_t full_since; /* 0: the switch took the last frame */
	struct vmb_dev_net_cable_message in;
};

/* The socket, both ends */

int vmb_dev_net_cable_socket(struct sockaddr_un *address, const char *path)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strncpy(address->sun_path, path, sizeof(address->sun_path) - 1);
	return fd < 0 ? -errno : fd;
}

enum vmb_dev_net_cable_sent vmb_dev_net_cable_send(int fd, const struct vmb_dev_net_frame *frame)
{
	struct virtio_net_hdr_v1 header = frame->header;
	struct iovec iov[VMB_DEV_NET_IOV_MAX + 1] = { { &header, HEADER_LEN } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = frame->iov_count + 1 };
	ssize_t sent;

	if (frame->iov_count > VMB_DEV_NET_IOV_MAX)
		return VMB_DEV_NET_CABLE_REFUSED;
	memcpy(iov + 1, frame->iov, frame->iov_count * sizeof(iov[0]));
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return VMB_DEV_NET_CABLE_SENT;
	if (errno == EAGAIN)
		return VMB_DEV_NET_CABLE_FULL;
	if (errno == EMSGSIZE || errno == ENOBUFS || errno == ENOMEM)
		return VMB_DEV_NET_CABLE_REFUSED;
	return VMB_DEV_NET_CABLE_CLOSED;
}

int vmb_dev_net_cable_receive(int fd, struct vmb_dev_net_cable_message *message)
{
	ssize_t len;

	do
		len = recv(fd, message, sizeof(*message), MSG_DONTWAIT | MSG_TRUNC);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	if (len < (ssize_t)HEADER_LEN + ETHERNET_LEN || len > (ssize_t)sizeof(*message))
		return 0;
	return len - HEADER_LEN;
}

/* The card's end */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static int plug_in(struct cable *c)
{
	struct sockaddr_un address;
	int fd = vmb_dev_net_cable_socket(&address, c->path), len = VMB_DEV_NET_CABLE_QUEUE_LEN;
	int error;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		c->fd = fd;
		return 0;
	}
	error = errno;
	close(fd);
	return -error;
}

/* A connection on which no frame came does not shorten the pause before the next attempt. */
static void unplug(struct vmb_dev_net *net)
{
	struct cable *c = net->state;

	vmb_dev_report("--net switch=%s: the switch closed the connection; the link is down",
		       c->path);
	close(c->fd);
	c->fd = -1;
	net->link_up = net->full = false;
	c->full_since = 0;
	c->retry_at = now_ms() + c->retry_ms;
}

static void retry(struct vmb_dev_net *net)
{
	struct cable *c = net->state;
	int64_t now = now_ms();

	if (now < c->retry_at)
		return;
	c->retry_ms = c->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : c->retry_ms * 2;
	c->retry_at = now + c->retry_ms;
	if (plug_in(c))
		return;
	net->link_up = true;
	vmb_dev_report("--net switch=%s: the link is up again", c->path);
}

static int open_switch(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	struct cable *c = calloc(1, sizeof(*c));
	int error;

	net->state = c;
	net->takes_large = true;
	if (!c) {
		vmb_dev_report("--net switch=%s: %s", option->target, strerror(ENOMEM));
		return -ENOMEM;
	}
	c->path = option->target;
	c->fd = -1;
	c->retry_ms = RETRY_MIN_MS;
	error = plug_in(c);
	if (!error)
		return 0;
	if (error == -ENOENT || error == -ECONNREFUSED)
		vmb_dev_report("--net switch=%s: no switch is there; start it first: openvmbus "
			       "switch %s",
			       c->path, c->path);
	else
		vmb_dev_report("--net switch=%s: %s; give the socket of an openvmbus switch",
			       c->path, strerror(-error));
	return -EINVAL;
}

static void close_switch(struct vmb_dev_net *net)
{
	struct cable *c = net->state;

	if (c && c->fd >= 0)
		close(c->fd);
	free(c);
	net->state = NULL;
}

static void wait_until(int64_t at, int *timeout)
{
	int64_t left = at - now_ms();

	if (left < 0)
		left = 0;
	if (*timeout < 0 || left < *timeout)
		*timeout = left;
}

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	struct cable *c = net->state;

	if (c->fd < 0 || !max) {
		wait_until(c->retry_at, timeout);
		return 0;
	}
	fds[0] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	if (net->full) {
		fds[0].events |= POLLOUT;
		wait_until(c->full_since + FULL_MS, timeout);
	}
	return 1;
}

static bool take_frame(struct vmb_dev_net *net)
{
	struct cable *c = net->state;
	int len = vmb_dev_net_cable_receive(c->fd, &c->in);
	struct iovec iov = { c->in.frame, len };
	struct vmb_dev_net_frame frame = { .header = c->in.header, .iov = &iov, .iov_count = 1 };

	if (len == -EAGAIN)
		return false;
	if (!len) {
		unplug(net);
		return false;
	}
	c->retry_ms = RETRY_MIN_MS;
	frame.len = len;
	vmb_dev_net_deliver(net, &frame);
	return true;
}

/*
 * A switch that stands still: the guest's frames would fill its ring, and its control messages wait
 * behind them.
 */
static bool is_stuck(const struct cable *c)
{
	return c->full_since && now_ms() - c->full_since >= FULL_MS;
}

/* When there is room again, any sender may use it; the one that was refused may be gone. */
static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	struct cable *c = net->state;

	if ((count && fds[0].revents & POLLOUT) || is_stuck(c))
		net->full = false;
	if (c->fd < 0) {
		retry(net);
		return;
	}
	if (count && fds[0].revents & ~POLLOUT)
		for (uint32_t n = 0; n < TAKE_MAX && take_frame(net); n++)
			;
}

static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	struct cable *c = net->state;
	enum vmb_dev_net_cable_sent sent;

	if (c->fd < 0)
		return VMB_DEV_NET_DROPPED;
	sent = vmb_dev_net_cable_send(c->fd, frame);
	if (sent == VMB_DEV_NET_CABLE_CLOSED)
		unplug(net);
	if (sent != VMB_DEV_NET_CABLE_FULL)
		c->full_since = 0;
	else if (!c->full_since)
		c->full_since = now_ms();
	if (sent == VMB_DEV_NET_CABLE_FULL && !is_stuck(c))
		return VMB_DEV_NET_FULL;
	return sent == VMB_DEV_NET_CABLE_SENT ? VMB_DEV_NET_SENT : VMB_DEV_NET_DROPPED;
}

const struct vmb_dev_net_ops vmb_dev_net_cable = {
	.name = "switch",
	.role = VMB_DEV_ROLE_NETWORK,
	.open = open_switch,
	.close = close_switch,
	.fill = fill,
	.take = take,
	.send = send_frame,
};
