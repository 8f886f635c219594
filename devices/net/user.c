// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network in user space by libslirp: needs no privilege, and nothing on the machine knows of it.
 * What the guest sends ends in sockets of this process. libslirp parses what the guest sends; it
 * gets private copies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/platform.h"
#include "devices/net/flows.h"
#include "devices/net/loopback.h"
#include "devices/net/net.h"
#include "devices/net/redirect.h"
#include "devices/net/resolver.h"
#include "devices/report.h"

#define TIMER_MAX    4u
#define ETHERNET_LEN 14u
#define NS_IN_MS     1000000
#define NO_TIME	     INT64_MAX
#define IPV4(a, b, c, d)                                      \
	{                                                     \
		htonl((a) << 24 | (b) << 16 | (c) << 8 | (d)) \
	}
#define IPV6_SITE(last)                                   \
	{                                                 \
		{                                         \
			{                                 \
				0xFE, 0xC0, [15] = (last) \
			}                                 \
		}                                         \
	}
#define IPV6_PREFIX_LEN	 64
#define MTU_TO_GUEST	 1500u
#define FORWARD_TEXT_LEN 64u

/* libslirp's networks share its clock and what it knows of the machine's name servers. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct timer {
	bool used;
	SlirpTimerId id;
	void *opaque;
	int64_t expires; /* ms; NO_TIME: not set */
};

struct user {
	struct vmb_dev_net *net;
	Slirp *slirp;
	struct timer timers[TIMER_MAX];
	/* while fill or take run: */
	struct pollfd *fds;
	const struct pollfd *taken;
	uint32_t count, max;
	struct vmb_dev_net_flows flows;
	bool full_reported;
	bool no_loopback;
	struct vmb_dev_net_option option; /* of it only what changes frames */
	uint8_t changed[MTU_TO_GUEST + ETHERNET_LEN]; /* a frame to the guest */
	int listeners[VMB_DEV_NET_FORWARD_MAX]; /* of forwarded TCP ports */
	uint32_t listener_count;
	uint32_t frame_len; /* of the guest's frame that libslirp looks at; 0: none */
	uint8_t frame[VMB_DEV_NET_FRAME_MAX];
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* What libslirp asks for */

/* What libslirp says of name servers is put right, and options are added. */
static uint32_t change_dhcp(struct user *u, const void *bytes, uint32_t len)
{
	memcpy(u->changed, bytes, len);
	if (!vmb_dev_net_resolvers_find().ipv4)
		vmb_dev_net_resolvers_hide(u->changed, len);
	return vmb_dev_net_redirect_add_dhcp(&u->option, u->changed, len, sizeof(u->changed));
}

/* Frames that must not reach the guest as libslirp made them are changed in a copy. */
static struct iovec put_right(struct user *u, const void *bytes, uint32_t len)
{
	struct iovec changed = { u->changed, len };

	if (len <= sizeof(u->changed) && vmb_dev_net_resolvers_is_dhcp(bytes, len)) {
		changed.iov_len = change_dhcp(u, bytes, len);
		return changed;
	}
	if (len > sizeof(u->changed) || !vmb_dev_net_redirect_is_back(&u->option, bytes, len))
		return (struct iovec){ (void *)bytes, len };
	memcpy(u->changed, bytes, len);
	vmb_dev_net_redirect_in(&u->option, u->changed, len);
	return changed;
}

static ssize_t on_packet(const void *bytes, size_t len, void *opaque)
{
	struct user *u = opaque;
	struct iovec iov = put_right(u, bytes, len);
	struct vmb_dev_net_frame frame = { .iov = &iov, .iov_count = 1, .len = iov.iov_len };

	vmb_dev_net_deliver(u->net, &frame);
	return len;
}

static void on_guest_error(const char *text, void *opaque)
{
}

static int64_t on_clock(void *opaque)
{
	return now_ns();
}

static void *on_timer_new(SlirpTimerId id, void *timer_opaque, void *opaque)
{
	struct user *u = opaque;

	for (uint32_t i = 0; i < TIMER_MAX; i++) {
		if (u->timers[i].used)
			continue;
		u->timers[i] = (struct timer){ true, id, timer_opaque, NO_TIME };
		return &u->timers[i];
	}
	return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
	if (timer)
		((struct timer *)timer)->used = false;
}

static void on_timer_mod(void *timer, int64_t expires, void *opaque)
{
	if (timer)
		((struct timer *)timer)->expires = expires;
}

/* All descriptors are asked for anew before each poll; here they are counted. */
static void on_open(int fd, void *opaque)
{
	struct user *u = opaque;

	vmb_dev_net_flows_opened(&u->flows, fd, u->frame_len ? u->frame : NULL, u->frame_len);
}

static void on_close(int fd, void *opaque)
{
	struct user *u = opaque;

	vmb_dev_net_flows_closed(&u->flows, fd);
}

static void on_notify(void *opaque)
{
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new_opaque = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_open,
	.unregister_poll_fd = on_close,
	.notify = on_notify,
};

/* Polling */

static const struct {
	int slirp;
	short events;
} event_names[] = {
	{ SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

static bool is_listener(const struct user *u, int fd)
{
	for (uint32_t i = 0; i < u->listener_count; i++)
		if (u->listeners[i] == fd)
			return true;
	return false;
}

/*
 * Returns -1 if there is no room: then this connection waits for a later round. Connections from
 * outside are not accepted until the share has room.
 */
static int on_fill(int fd, int wanted, void *opaque)
{
	struct user *u = opaque;
	short events = 0;

	if (u->count == u->max || (vmb_dev_net_flows_full(&u->flows) && is_listener(u, fd)))
		return -1;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(event_names); i++)
		if (wanted & event_names[i].slirp)
			events |= event_names[i].events;
	u->fds[u->count] = (struct pollfd){ .fd = fd, .events = events };
	return u->count++;
}

static int on_take(int index, void *opaque)
{
	struct user *u = opaque;
	int found = 0;

	if (index < 0 || (uint32_t)index >= u->count)
		return 0;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(event_names); i++)
		if (u->taken[index].revents & event_names[i].events)
			found |= event_names[i].slirp;
	return found;
}

static void lower_to_timers(const struct user *u, uint32_t *timeout)
{
	int64_t now = now_ns() / NS_IN_MS, left;

	for (uint32_t i = 0; i < TIMER_MAX; i++) {
		if (!u->timers[i].used || u->timers[i].expires == NO_TIME)
			continue;
		left = u->timers[i].expires > now ? u->timers[i].expires - now : 0;
		if (left < *timeout)
			*timeout = left;
	}
}

static uint32_t fill(struct vmb_dev_net *net, struct pollfd *fds, uint32_t max, int *timeout)
{
	struct user *u = net->state;
	uint32_t left = *timeout < 0 ? UINT32_MAX : (uint32_t)*timeout;

	u->fds = fds;
	u->count = 0;
	u->max = max;
	pthread_mutex_lock(&lock);
	slirp_pollfds_fill(u->slirp, &left, on_fill, u);
	pthread_mutex_unlock(&lock);
	lower_to_timers(u, &left);
	*timeout = left > INT32_MAX ? -1 : (int)left;
	return u->count;
}

/* A timer may be set again while it runs. */
static void run_timers(struct user *u)
{
	int64_t now = now_ns() / NS_IN_MS;

	for (uint32_t i = 0; i < TIMER_MAX; i++) {
		if (!u->timers[i].used || u->timers[i].expires > now)
			continue;
		u->timers[i].expires = NO_TIME;
		slirp_handle_timer(u->slirp, u->timers[i].id, u->timers[i].opaque);
	}
}

static void take(struct vmb_dev_net *net, const struct pollfd *fds, uint32_t count)
{
	struct user *u = net->state;

	u->taken = fds;
	u->count = count;
	pthread_mutex_lock(&lock);
	slirp_pollfds_poll(u->slirp, 0, on_take, u);
	run_timers(u);
	pthread_mutex_unlock(&lock);
}

/* Reported only once, because a guest can cause it as often as it likes. */
static void report_full(struct user *u)
{
	if (!u->full_reported)
		vmb_dev_report("--net user: the guest has all %u connections that its network may "
			       "have at a time; new ones wait until old ones end",
			       u->flows.share);
	u->full_reported = true;
}

/* A tagged frame has nowhere to go: libslirp knows no VLANs. */
static enum vmb_dev_net_sent send_frame(struct vmb_dev_net *net,
					const struct vmb_dev_net_frame *frame)
{
	struct user *u = net->state;

	if (frame->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM || frame->header.gso_type ||
	    frame->len < ETHERNET_LEN || frame->len > net->mtu_max + ETHERNET_LEN ||
	    !vmb_dev_net_gather(frame, u->frame, sizeof(u->frame)))
		return VMB_DEV_NET_DROPPED;
	if (u->no_loopback && vmb_dev_net_loopback_is_meant(u->frame, frame->len))
		return VMB_DEV_NET_DROPPED;
	if (!vmb_dev_net_flows_take(&u->flows, u->frame, frame->len)) {
		report_full(u);
		return VMB_DEV_NET_DROPPED;
	}
	vmb_dev_net_redirect_out(&u->option, u->frame, frame->len);
	pthread_mutex_lock(&lock);
	u->frame_len = frame->len;
	slirp_input(u->slirp, u->frame, frame->len);
	u->frame_len = 0;
	pthread_mutex_unlock(&lock);
	return VMB_DEV_NET_SENT;
}

/* Opening */

static int add_forward(struct user *u, const struct vmb_dev_net_forward *f)
{
	struct in_addr from = { f->host_address }, to = { f->guest_address };
	char from_text[INET_ADDRSTRLEN] = "", to_text[INET_ADDRSTRLEN] = "";

	if (!slirp_add_hostfwd(u->slirp, f->udp, from, f->host_port, to, f->guest_port))
		return 0;
	if (f->host_address)
		inet_ntop(AF_INET, &from, from_text, sizeof(from_text));
	if (f->guest_address)
		inet_ntop(AF_INET, &to, to_text, sizeof(to_text));
	vmb_dev_report("--net user: hostfwd=%s:%s:%u-%s:%u: %s; give another port",
		       f->udp ? "udp" : "tcp", from_text, f->host_port, to_text, f->guest_port,
		       strerror(errno));
	return -EINVAL;
}

/*
 * What goes to the guest fits a frame of 1500 bytes whatever MTU the guest chose: libslirp makes
 * segments and fragments as long as if_mtu, whatever segment size the guest asks for, and a guest
 * that stays at 1500 takes no longer ones. What comes from the guest may be as long as the card
 * allows.
 */
static Slirp *create(struct user *u, const struct vmb_dev_net_option *option)
{
	const SlirpConfig config = {
		.version = 4,
		.in_enabled = true,
		.vnetwork = IPV4(10u, 0, 2, 0),
		.vnetmask = IPV4(255u, 255, 255, 0),
		.vhost = IPV4(10u, 0, 2, 2),
		.vnameserver = IPV4(10u, 0, 2, 3),
		.vdhcp_start = IPV4(10u, 0, 2, 15),
		.in6_enabled = true,
		.vprefix_addr6 = IPV6_SITE(0),
		.vprefix_len = IPV6_PREFIX_LEN,
		.vhost6 = IPV6_SITE(2),
		.vnameserver6 = IPV6_SITE(3),
		.if_mtu = MTU_TO_GUEST,
		.if_mru = option->mtu_max,
		.restricted = option->restricted,
		.disable_host_loopback = option->no_loopback,
	};

	return slirp_new(&config, &callbacks, u);
}

/* Before there is a guest, what libslirp wants to hear of are the forwarded ports. */
static int on_listener(int fd, int wanted, void *opaque)
{
	struct user *u = opaque;
	int listens = 0;
	socklen_t len = sizeof(listens);

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	if (listens && u->listener_count < VMB_DEV_NET_FORWARD_MAX)
		u->listeners[u->listener_count++] = fd;
	return -1;
}

static void note_listeners(struct user *u)
{
	uint32_t timeout = 0;

	slirp_pollfds_fill(u->slirp, &timeout, on_listener, u);
}

/*
 * libslirp knows the time only from its last poll, and would give up at once what was begun before
 * the first.
 */
static void set_clock(struct user *u)
{
	slirp_pollfds_poll(u->slirp, 0, on_take, u);
}

static int open_user(struct vmb_dev_net *net, const struct vmb_dev_net_option *option)
{
	struct user *u = calloc(1, sizeof(*u));

	net->state = u;
	if (u) {
		u->net = net;
		u->option = *option;
		vmb_dev_net_flows_init(&u->flows, vmb_dev_net_flows_share());
		u->no_loopback = option->no_loopback;
		u->slirp = create(u, option);
	}
	if (!u || !u->slirp) {
		vmb_dev_report("--net user: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	set_clock(u);
	for (uint32_t i = 0; i < option->forward_count; i++)
		if (add_forward(u, &option->forwards[i]))
			return -EINVAL;
	note_listeners(u);
	if (!option->restricted)
		vmb_dev_net_resolvers_report();
	return 0;
}

static void close_user(struct vmb_dev_net *net)
{
	struct user *u = net->state;

	pthread_mutex_lock(&lock);
	if (u && u->slirp)
		slirp_cleanup(u->slirp);
	pthread_mutex_unlock(&lock);
	free(u);
	net->state = NULL;
}

const struct vmb_dev_net_ops vmb_dev_net_user = {
	.name = "user",
	.role = VMB_DEV_ROLE_USER_NETWORK,
	.open = open_user,
	.close = close_user,
	.fill = fill,
	.take = take,
	.send = send_frame,
};
