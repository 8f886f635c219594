// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A tap interface of this machine, with the virtio-net header in front of each frame: open
 * checksums and large TCP frames pass whole, both ways. An interface that does not exist is
 * created, if that is allowed, and goes with the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/net/net.h"
#include "devices/report.h"

#define QUEUE_MAX  64u
#define TAKE_MAX   64u /* frames of a queue in one go: the guest's own must get their turn */
#define HEADER_LEN sizeof(struct virtio_net_hdr_v1)
_Static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "what TUNSETVNETHDRSZ is told");

struct tap {
	const char *name;
	uint32_t wanted; /* queues */
	uint32_t mtu; /* of an interface that is made here */
	bool missing; /* it is to be made */
	int fds[QUEUE_MAX];
	uint32_t count;
	uint32_t full_queue; /* refused the last frame */
	struct {
		struct virtio_net_hdr_v1 header;
		uint8_t frame[VMB_DEV_NET_FRAME_MAX];
	} in;
};

/* Opening */

static int refuse(const char *name, const char *why)
{
	vmb_dev_report("--net tap=%s: %s", name, why);
	return -EINVAL;
}

static const char *reason(int error)
{
	switch (error) {
	case EPERM: return "not allowed; let root run: ip tuntap add NAME mode tap user YOU";
	case EBUSY: return "in use by another machine, or given twice; give another interface";
	case EINVAL: return "an interface of this name is no tap; give another name";
	}
	return strerror(error);
}

/* The interface's flag and the request's must agree, so the caller tries both. */
static int attach(const char *name, bool many)
{
	struct ifreq request = { 0 };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	strcpy(request.ifr_name, name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (many ? IFF_MULTI_QUEUE : 0);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int set_up_queue(int fd)
{
	int len = HEADER_LEN, one = 1;

	return ioctl(fd, TUNSETVNETHDRSZ, &len) || ioctl(fd, TUNSETVNETLE, &one) ||
			       ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) ?
		       -errno :
		       0;
}

/* An interface with one queue serves a card with several. */
static int open_queues(struct tap *t, const char *name, uint32_t wanted)
{
	bool many = wanted > 1;
	int fd = attach(name, many), error;

	if (fd == -EINVAL) {
		many = !many;
		fd = attach(name, many);
	}
	if (fd < 0)
		return fd;
	for (;;) {
		t->fds[t->count++] = fd;
		error = set_up_queue(fd);
		if (error || !many || t->count == wanted)
			return error;
		fd = attach(name, many);
		if (fd < 0) /* fewer than wanted */
			return 0;
	}
}

/* For an interface that we created: no one else sets its MTU and switches it on. */
static int set_up_interface(const char *name, uint32_t mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, name);
	request.ifr_mtu = mtu;
	if (fd < 0 || ioctl(fd, SIOCSIFMTU, &request) || ioctl(fd, SIOCGIFFLAGS, &request))
		error = -errno;
	request.ifr_flags |= IFF_UP;
	if (!error && ioctl(fd, SIOCSIFFLAGS, &request))
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

/*
 * A process that may configure the network may create an interface. The kernel decides when it is
 * created.
 */
static bool may_create(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &header, data) ||
	       data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}

static int open_interface(struct tap *t)
{
	const char *name = t->name;
	int error;

	if (strchr(name, '/') || strchr(name, '%') || strchr(name, ' '))
		return refuse(name, "not an interface's name");
	if (access("/dev/net/tun", R_OK | W_OK)) {
		vmb_dev_report("--net tap=%s: /dev/net/tun: %s; %s", name, strerror(errno),
			       errno == ENOENT ? "let root run: modprobe tun" :
						 "run as a user who may use it, or use --net user");
		return -EINVAL;
	}
	t->missing = !if_nametoindex(name);
	if (t->missing)
		return may_create() ? 0 : refuse(name, reason(EPERM));
	error = open_queues(t, name, t->wanted);
	return error ? refuse(name, reason(-error)) : 0;
}

static int open_tap(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	struct tap *t = calloc(1, sizeof(*t));

	net->state = t;
	if (!t)
		return refuse(option->target, strerror(ENOMEM));
	net->takes_large = true;
	t->name = option->target;
	t->wanted = option->queue_count;
	t->mtu = option->mtu_max;
	return open_interface(t);
}

static int prepare_tap(struct vmb_dev_net *net)
{
	struct tap *t = net->state;
	int error;

	if (!t->missing)
		return 0;
	error = open_queues(t, t->name, t->wanted);
	if (!error)
		error = set_up_interface(t->name, t->mtu);
	return error ? refuse(t->name, reason(-error)) : 0;
}

static void close_queues(struct tap *t)
{
	while (t->count)
		close(t->fds[--t->count]);
}

static void close_tap(struct vmb_dev_net *net)
{
	if (net->state)
		close_queues(net->state);
	free(net->state);
	net->state = NULL;
}

/* Running */

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	struct tap *t = net->state;
	uint32_t i;

	for (i = 0; i < t->count && i < max; i++) {
		fds[i] = (struct pollfd){ .fd = t->fds[i], .events = POLLIN };
		if (net->full && i == t->full_queue)
			fds[i].events |= POLLOUT;
	}
	return i;
}

/*
 * The interface was removed: nothing comes or goes any more. Who waits for room must not: no
 * descriptor is left that would tell.
 */
static void lose(struct vmb_dev_net *net)
{
	close_queues(net->state);
	net->link_up = net->full = false;
}

/* False: this queue has no more. */
static bool take_frame(struct vmb_dev_net *net, uint32_t queue)
{
	struct tap *t = net->state;
	struct iovec iov = { t->in.frame, 0 };
	struct vmb_dev_net_frame frame = { .iov = &iov, .iov_count = 1, .queue = queue };
	ssize_t len = read(t->fds[queue], &t->in, sizeof(t->in));

	if (len < 0 && errno == EBADFD)
		lose(net);
	if (len <= (ssize_t)HEADER_LEN)
		return len >= 0;
	frame.header = t->in.header;
	frame.len = iov.iov_len = len - HEADER_LEN;
	vmb_dev_net_deliver(net, &frame);
	return true;
}

/* When there is room again, any sender may use it; the one that was refused may be gone. */
static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	struct tap *t = net->state;

	for (uint32_t i = 0; i < count; i++)
		if (fds[i].revents & POLLOUT)
			net->full = false;
	for (uint32_t i = 0; i < count && i < t->count; i++)
		if (fds[i].revents & ~POLLOUT)
			for (uint32_t n = 0; n < TAKE_MAX && i < t->count; n++)
				if (!take_frame(net, i))
					break;
}

static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	struct tap *t = net->state;
	struct virtio_net_hdr_v1 header = frame->header;
	struct iovec iov[VMB_DEV_NET_IOV_MAX + 1] = { { &header, HEADER_LEN } };
	uint32_t queue;
	ssize_t written;

	if (!t->count || frame->iov_count > VMB_DEV_NET_IOV_MAX)
		return VMB_DEV_NET_DROPPED;
	queue = frame->queue % t->count;
	header.num_buffers = 0;
	memcpy(iov + 1, frame->iov, frame->iov_count * sizeof(iov[0]));
	do
		written = writev(t->fds[queue], iov, frame->iov_count + 1);
	while (written < 0 && errno == EINTR);
	t->full_queue = queue;
	if (written < 0 && errno == EAGAIN)
		return VMB_DEV_NET_FULL;
	if (written < 0 && errno == EBADFD)
		lose(net);
	return written < 0 ? VMB_DEV_NET_DROPPED : VMB_DEV_NET_SENT;
}

const struct vmb_dev_net_ops vmb_dev_net_tap = {
	.name = "tap",
	.role = VMB_DEV_ROLE_NETWORK,
	.open = open_tap,
	.prepare = prepare_tap,
	.close = close_tap,
	.fill = fill,
	.take = take,
	.send = send_frame,
};
