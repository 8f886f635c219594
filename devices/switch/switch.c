// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The process behind `openvmbus switch`: accepts cards on a socket and forwards their frames. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/platform.h"
#include "devices/net/cable.h"
#include "devices/net/capture.h"
#include "devices/report.h"
#include "devices/role.h"
#include "devices/socket.h"
#include "devices/switch/patience.h"
#include "devices/switch/switch.h"
#include "devices/switch/table.h"
#include "devices/text.h"
#include "devices/user.h"

#define PORTS_DEFAULT  16u
#define TAKE_MAX       64u /* frames of a port in one go */
#define ACCEPT_MAX     16u /* in one go */
#define ROUND_SENDS    1024u /* frames that leave in one go; a frame for all is one for each port */
#define ACCEPT_REST_MS 1000 /* when there is no descriptor left */
#define PORT_SENDS     128u /* of them, because of one port; a frame that was begun goes to all */
#define SOURCE_AT      6u
#define ALL_PORTS      (-1)

/* The first two entries of what is polled; then the ports. */
enum {
	POLL_STOP,
	POLL_LISTEN,
	POLL_PORTS,
};

struct port {
	struct vmb_dev_net_cable_message *in; /* NULL: no client */
	int fd;
	int held_len; /* of the frame in "in" that waits for held_for; 0: none */
	uint32_t held_for;
	struct vmb_dev_switch_patience patience; /* of those who send to it */
	bool gone; /* to be closed when the round is over */
};

struct counters {
	uint64_t in, out, dropped, held;
};

struct network {
	const char *path;
	const char *seccomp; /* as given; NULL: it was not */
	const char *user; /* whom to become; NULL: nobody else */
	const char *capture_path;
	uint64_t capture_len;
	uint32_t port_max;
	struct vmb_dev_capture *capture;
	struct vmb_dev_socket socket;
	int stop;
	int64_t now, accept_at;
	uint32_t turn; /* the port that is served first */
	uint32_t sends_left; /* in this round */
	struct port ports[VMB_DEV_SWITCH_PORT_MAX];
	/* of all who were plugged in there: */
	struct counters counters[VMB_DEV_SWITCH_PORT_MAX];
	uint32_t interfaces[VMB_DEV_SWITCH_PORT_MAX]; /* in the capture, and 1; 0: none yet */
	uint64_t connects, refused;
	struct vmb_dev_switch_table table;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Forwarding */

static enum vmb_dev_net_cable_sent put(struct network *n, uint32_t to,
				       const struct vmb_dev_net_frame *frame)
{
	enum vmb_dev_net_cable_sent sent = vmb_dev_net_cable_send(n->ports[to].fd, frame);

	n->sends_left -= n->sends_left ? 1 : 0;
	if (sent == VMB_DEV_NET_CABLE_SENT) {
		n->counters[to].out++;
		vmb_dev_switch_patience_took(&n->ports[to].patience, n->now, frame->len);
	}
	if (sent == VMB_DEV_NET_CABLE_CLOSED)
		n->ports[to].gone = true;
	return sent;
}

static void flood(struct network *n, uint32_t from, const struct vmb_dev_net_frame *frame)
{
	for (uint32_t to = 0; to < n->port_max; to++)
		if (to != from && n->ports[to].in && !n->ports[to].gone &&
		    put(n, to, frame) != VMB_DEV_NET_CABLE_SENT)
			n->counters[to].dropped++;
}

/* False: the frame stays in the port's buffer. */
static bool forward(struct network *n, uint32_t from, uint32_t to,
		    const struct vmb_dev_net_frame *frame)
{
	struct port *port = &n->ports[from], *target = &n->ports[to];
	bool waited = port->held_len;
	enum vmb_dev_net_cable_sent sent;

	port->held_len = 0;
	if (!target->in || target->gone)
		return true;
	sent = put(n, to, frame);
	if (sent == VMB_DEV_NET_CABLE_FULL &&
	    n->now < vmb_dev_switch_patience_full(&target->patience, n->now)) {
		port->held_len = frame->len;
		port->held_for = to;
		n->counters[to].held += !waited;
		return false;
	}
	if (sent != VMB_DEV_NET_CABLE_SENT)
		n->counters[to].dropped++;
	return true;
}

static struct vmb_dev_net_frame frame_of(const struct port *port, struct iovec *iov, int len)
{
	*iov = (struct iovec){ port->in->frame, len };
	return (struct vmb_dev_net_frame){
		.header = port->in->header, .iov = iov, .iov_count = 1, .len = len
	};
}

/* The switch sees each frame once: where it comes in. */
static void capture(struct network *n, uint32_t from, const struct vmb_dev_net_frame *frame)
{
	char name[32];

	if (!n->capture)
		return;
	if (!n->interfaces[from]) {
		snprintf(name, sizeof(name), "port%u", from);
		n->interfaces[from] = vmb_dev_capture_interface(n->capture, name, NULL) + 1;
	}
	vmb_dev_capture_frame(n->capture, n->interfaces[from] - 1, frame, VMB_DEV_PCAPNG_INBOUND);
}

/* False: the port must wait. */
static bool switch_frame(struct network *n, uint32_t from, int len)
{
	struct port *port = &n->ports[from];
	const uint8_t *bytes = port->in->frame;
	struct iovec iov;
	const struct vmb_dev_net_frame frame = frame_of(port, &iov, len);
	int to = ALL_PORTS;

	n->counters[from].in++;
	capture(n, from, &frame);
	if (!(bytes[SOURCE_AT] & 1))
		vmb_dev_switch_table_learn(&n->table, bytes + SOURCE_AT, from, n->now);
	if (!(bytes[0] & 1))
		to = vmb_dev_switch_table_find(&n->table, bytes, n->now);
	if (to == ALL_PORTS)
		flood(n, from, &frame);
	else if (to != (int)from)
		return forward(n, from, to, &frame);
	return true;
}

/* False: it still waits. */
static bool retry_held(struct network *n, uint32_t from)
{
	struct port *port = &n->ports[from];
	struct iovec iov;
	const struct vmb_dev_net_frame frame = frame_of(port, &iov, port->held_len);

	return forward(n, from, port->held_for, &frame);
}

static void read_port(struct network *n, uint32_t from)
{
	uint32_t end = n->sends_left > PORT_SENDS ? n->sends_left - PORT_SENDS : 0;
	struct port *port = &n->ports[from];
	int len;

	for (uint32_t i = 0; i < TAKE_MAX && n->sends_left > end && !port->gone; i++) {
		len = vmb_dev_net_cable_receive(port->fd, port->in);
		if (len == -EAGAIN)
			return;
		port->gone = !len;
		if (len && !switch_frame(n, from, len))
			return;
	}
}

/* Ports */

static void unplug(struct network *n, uint32_t number)
{
	struct port *port = &n->ports[number];

	close(port->fd);
	free(port->in);
	memset(port, 0, sizeof(*port));
	vmb_dev_switch_table_forget(&n->table, number);
	for (uint32_t i = 0; i < n->port_max; i++)
		if (n->ports[i].held_for == number)
			n->ports[i].held_len = 0;
}

static int free_port(const struct network *n)
{
	for (uint32_t i = 0; i < n->port_max; i++)
		if (!n->ports[i].in)
			return i;
	return -1;
}

static void plug_in(struct network *n, int fd)
{
	int number = free_port(n), len = VMB_DEV_NET_CABLE_QUEUE_LEN;
	struct vmb_dev_net_cable_message *in = number < 0 ? NULL : malloc(sizeof(*in));

	if (!in) {
		n->refused++;
		close(fd);
		return;
	}
	n->connects++;
	n->ports[number].in = in;
	n->ports[number].fd = fd;
	vmb_dev_switch_patience_init(&n->ports[number].patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
}

/* Clients that connect and leave all the time must not keep the others from being served. */
static void accept_some(struct network *n)
{
	int fd = -1;

	for (uint32_t i = 0; i < ACCEPT_MAX; i++) {
		fd = accept4(n->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		plug_in(n, fd);
	}
	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		n->accept_at = n->now + ACCEPT_REST_MS;
}

/* The loop */

static void lower(int *timeout, int64_t left)
{
	if (left < 0)
		left = 0;
	if (*timeout < 0 || left < *timeout)
		*timeout = left;
}

/* A port that waits is not read: its sender's socket fills, and so the sender waits too. */
static int fill(struct network *n, struct pollfd *fds)
{
	int64_t held_until;
	int timeout = -1;

	fds[POLL_STOP] = (struct pollfd){ .fd = n->stop, .events = POLLIN };
	fds[POLL_LISTEN] = (struct pollfd){ .fd = n->socket.fd, .events = POLLIN };
	if (n->now < n->accept_at) {
		fds[POLL_LISTEN].fd = -1;
		lower(&timeout, n->accept_at - n->now);
	}
	for (uint32_t i = 0; i < n->port_max; i++)
		fds[POLL_PORTS + i] = (struct pollfd){ .fd = n->ports[i].in ? n->ports[i].fd : -1,
						       .events = POLLIN };
	for (uint32_t i = 0; i < n->port_max; i++) {
		if (!n->ports[i].held_len)
			continue;
		fds[POLL_PORTS + i].events &= ~POLLIN;
		fds[POLL_PORTS + n->ports[i].held_for].events |= POLLOUT;
		held_until = vmb_dev_switch_patience_full(&n->ports[n->ports[i].held_for].patience,
							  n->now);
		lower(&timeout, held_until - n->now);
	}
	return timeout;
}

static void serve_port(struct network *n, uint32_t number, short events)
{
	struct port *port = &n->ports[number];

	if (!port->in || port->gone)
		return;
	if (port->held_len && !retry_held(n, number)) {
		port->gone = events & (POLLHUP | POLLERR);
		return;
	}
	if (events & ~POLLOUT)
		read_port(n, number);
}

/*
 * A round is bounded, even if many ports send to all, so that a signal to stop is noticed. The next
 * round continues where this one ended.
 */
static void serve_ports(struct network *n, const struct pollfd *fds)
{
	uint32_t first = n->turn;

	n->sends_left = ROUND_SENDS;
	for (uint32_t i = 0; i < n->port_max && n->sends_left; i++) {
		n->turn = (first + i + 1) % n->port_max;
		serve_port(n, (first + i) % n->port_max,
			   fds[POLL_PORTS + (first + i) % n->port_max].revents);
	}
	for (uint32_t i = 0; i < n->port_max; i++)
		if (n->ports[i].gone)
			unplug(n, i);
}

/*
 * New clients are accepted before frames are forwarded, so that a client which connected before a
 * frame was sent gets it.
 */
static int loop(struct network *n)
{
	static struct pollfd fds[POLL_PORTS + VMB_DEV_SWITCH_PORT_MAX];
	int timeout;

	for (;;) {
		n->now = now_ms();
		timeout = fill(n, fds);
		if (poll(fds, POLL_PORTS + n->port_max, timeout) < 0 && errno != EINTR) {
			vmb_dev_report("switch %s: poll: %s", n->path, strerror(errno));
			return VMB_VMM_EXIT_FAILURE;
		}
		if (fds[POLL_STOP].revents)
			return VMB_VMM_EXIT_OFF;
		n->now = now_ms();
		if (fds[POLL_LISTEN].revents)
			accept_some(n);
		serve_ports(n, fds);
	}
}

static void report_stats(const struct network *n)
{
	vmb_dev_report("stats: switch: %llu connections, %llu refused",
		       (unsigned long long)n->connects, (unsigned long long)n->refused);
	for (uint32_t i = 0; i < n->port_max; i++) {
		const struct counters *c = &n->counters[i];

		if (c->in || c->out || c->dropped)
			vmb_dev_report("stats: port %u: %llu frames in, %llu out, %llu dropped, "
				       "%llu made to wait",
				       i, (unsigned long long)c->in, (unsigned long long)c->out,
				       (unsigned long long)c->dropped, (unsigned long long)c->held);
	}
}

/* Starting */

static int refuse(const char *path, const char *why)
{
	vmb_dev_report("switch %s: %s", path, why);
	return -EINVAL;
}

static int parse_ports(struct network *n, const char *value)
{
	const char *rest;
	uint64_t ports;

	if (!vmb_dev_text_number(value, VMB_DEV_SWITCH_PORT_MAX, &ports, &rest) || *rest ||
	    ports < 2) {
		vmb_dev_report("--ports %s: give a number from 2 to %u", value,
			       VMB_DEV_SWITCH_PORT_MAX);
		return -EINVAL;
	}
	n->port_max = ports;
	return 0;
}

static int parse_capture_size(struct network *n, const char *value)
{
	if (vmb_dev_text_size(value, &n->capture_len) && n->capture_len)
		return 0;
	vmb_dev_report("--capture-size %s: give a size, for example 100M", value);
	return -EINVAL;
}

static int parse_option(struct network *n, int found, const char *option, const char *value)
{
	switch (found) {
	case 'c': n->capture_path = value; return 0;
	case 'p': return parse_ports(n, value);
	case 's': return parse_capture_size(n, value);
	case 'e': n->seccomp = value; return 0;
	case 'u': n->user = value; return 0;
	}
	vmb_dev_report("%s: %s; see openvmbus --help", option,
		       found == ':' ? "its value is missing" : "no such option");
	return -EINVAL;
}

static int parse(struct network *n, int argc, char **argv)
{
	static const struct option names[] = {
		{ "capture", required_argument, NULL, 'c' },
		{ "capture-size", required_argument, NULL, 's' },
		{ "ports", required_argument, NULL, 'p' },
		{ "seccomp", required_argument, NULL, 'e' },
		{ "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int found;

	n->port_max = PORTS_DEFAULT;
	n->capture_len = VMB_DEV_CAPTURE_LEN_DEFAULT;
	optind = 0;
	opterr = 0;
	while ((found = getopt_long(argc, argv, ":", names, NULL)) != -1)
		if (parse_option(n, found, argv[optind - 1], optarg))
			return -EINVAL;
	if (optind + 1 != argc || !*argv[optind]) {
		vmb_dev_report("switch: give one socket's path; see openvmbus --help");
		return -EINVAL;
	}
	n->path = argv[optind];
	if (strlen(n->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return refuse(n->path, "the path is too long for a socket; give a shorter one");
	return 0;
}

static int set_up_signals(struct network *n)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	n->stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return n->stop < 0 ? refuse(n->path, strerror(errno)) : 0;
}

/* Nothing that a switch does needs root, so it is that user's from its socket on. */
static int become_user(const struct network *n)
{
	int error = vmb_dev_user_become();

	if (error)
		vmb_dev_report("--user %s: %s", n->user, strerror(-error));
	return error;
}

/* Signals first: from the moment the socket is there, SIGTERM removes it again. */
static int start(struct network *n, int argc, char **argv, vmb_dev_switch_confine *confine)
{
	uint64_t key;

	if (parse(n, argc, argv) || (n->user && vmb_dev_user_set(n->user)) ||
	    (confine && confine(n->seccomp)) || become_user(n))
		return -EINVAL;
	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		return refuse(n->path, strerror(errno));
	vmb_dev_switch_table_init(&n->table, key);
	if ((n->capture_path &&
	     vmb_dev_capture_open(&n->capture, n->capture_path, n->capture_len)) ||
	    set_up_signals(n) ||
	    vmb_dev_socket_serve(&n->socket, "switch", n->path, SOCK_SEQPACKET, false))
		return -EINVAL;
	return n->capture ? vmb_dev_capture_start(n->capture) : 0;
}

static void end(struct network *n)
{
	for (uint32_t i = 0; i < n->port_max; i++)
		if (n->ports[i].in)
			unplug(n, i);
	vmb_dev_socket_end(&n->socket);
	if (n->stop >= 0)
		close(n->stop);
	vmb_dev_capture_close(n->capture);
}

int vmb_dev_switch_run(int argc, char **argv, vmb_dev_switch_confine *confine)
{
	static struct network network;
	int code = VMB_VMM_EXIT_USAGE;

	network.socket.fd = network.stop = -1;
	if (start(&network, argc, argv, confine) == 0) {
		vmb_dev_role_enter(VMB_DEV_ROLE_SWITCH);
		code = loop(&network);
		report_stats(&network);
	}
	end(&network);
	return code;
}
