// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Carries control clients over one port into a nest: the frames, and the process outside. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/disk/disk.h"
#include "devices/report.h"
#include "devices/socket.h"
#include "vmm/relay.h"

#define LOCK_MAX     128u /* more than a controller has disks */
#define CLIENT_MAX   48u /* more than the server takes, so that it can say so */
#define LOCK_WHY_LEN 256u
#define POLL_LINK    0
#define POLL_LISTEN  1
#define POLL_CLIENTS 2
#define PORT_NAMES   "/sys/class/virtio-ports/*/name"
#define PORT_FORMAT  "/sys/class/virtio-ports/vport%up%u" /* of the device, of the port */

/* Frames */

void vmb_vmm_link_put(struct vmb_vmm_link *l, uint32_t client, enum vmb_vmm_link_kind kind,
		      const void *bytes, uint32_t len)
{
	const struct vmb_vmm_link_head head = { client, kind, len };

	if (l->broken)
		return;
	if (sizeof(l->out) - l->out_len < sizeof(head) + len) {
		l->broken = true;
		return;
	}
	memcpy(l->out + l->out_len, &head, sizeof(head));
	if (len)
		memcpy(l->out + l->out_len + sizeof(head), bytes, len);
	l->out_len += sizeof(head) + len;
}

short vmb_vmm_link_wanted(const struct vmb_vmm_link *l)
{
	return l->broken ? 0 : POLLIN | (l->out_len ? POLLOUT : 0);
}

static bool is_final(ssize_t done)
{
	return done == 0 || (done < 0 && errno != EAGAIN && errno != EINTR);
}

static void write_out(struct vmb_vmm_link *l)
{
	ssize_t done = l->out_len ? write(l->fd, l->out, l->out_len) : -1;

	if (!l->out_len)
		return;
	if (done > 0) {
		l->out_len -= done;
		memmove(l->out, l->out + done, l->out_len);
	}
	l->broken |= is_final(done);
}

void vmb_vmm_link_move(struct vmb_vmm_link *l)
{
	ssize_t done;

	if (l->broken)
		return;
	write_out(l);
	if (l->in_len == sizeof(l->in))
		return;
	done = read(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len);
	if (done > 0)
		l->in_len += done;
	l->broken |= is_final(done);
}

bool vmb_vmm_link_take(struct vmb_vmm_link *l, struct vmb_vmm_link_frame *frame)
{
	struct vmb_vmm_link_head *head = &frame->head;

	if (l->broken || l->in_len < sizeof(*head))
		return false;
	memcpy(head, l->in, sizeof(*head));
	if (head->kind >= VMB_VMM_LINK_KIND_COUNT || head->len > sizeof(frame->bytes)) {
		l->broken = true;
		return false;
	}
	if (l->in_len < sizeof(*head) + head->len)
		return false;
	memcpy(frame->bytes, l->in + sizeof(*head), head->len);
	l->in_len -= sizeof(*head) + head->len;
	memmove(l->in, l->in + sizeof(*head) + head->len, l->in_len);
	return true;
}

/* Inside */

static bool has_our_name(const char *path)
{
	char name[sizeof(VMB_VMM_RELAY_PORT) + 1] = "";
	FILE *file = fopen(path, "re");
	bool ours;

	if (!file)
		return false;
	ours = fgets(name, sizeof(name), file) &&
	       strncmp(name, VMB_VMM_RELAY_PORT "\n", sizeof(name)) == 0;
	fclose(file);
	return ours;
}

int vmb_vmm_relay_open_port(void)
{
	char path[64];
	int fd = -ENOENT;
	glob_t found;
	unsigned int device, port;

	if (glob(PORT_NAMES, 0, NULL, &found))
		return -ENOENT;
	for (size_t i = 0; i < found.gl_pathc && fd == -ENOENT; i++) {
		if (!has_our_name(found.gl_pathv[i]) ||
		    sscanf(found.gl_pathv[i], PORT_FORMAT, &device, &port) != 2)
			continue;
		snprintf(path, sizeof(path), "/dev/vport%up%u", device, port);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	globfree(&found);
	return fd;
}

/* Outside */

struct client {
	int fd; /* -1: this place is free */
	uint32_t number;
	bool waits; /* for the other end to take its bytes */
	bool ended; /* it sends no more */
	bool closing; /* when it has got its bytes */
	uint32_t out_len;
	uint8_t out[VMB_VMM_LINK_DATA_MAX];
};

struct lock {
	uint32_t number; /* 0: this place is free */
	int fd;
};

struct relay {
	struct vmb_dev_socket socket;
	struct vmb_vmm_link link;
	struct lock locks[LOCK_MAX];
	uint32_t next;
	struct client clients[CLIENT_MAX];
};

static void close_client(struct relay *r, struct client *c)
{
	vmb_vmm_link_put(&r->link, c->number, VMB_VMM_LINK_CLOSE, NULL, 0);
	close(c->fd);
	c->fd = -1;
}

static void accept_client(struct relay *r)
{
	struct client *c = r->clients;

	while (c < r->clients + CLIENT_MAX && c->fd >= 0)
		c++;
	if (c == r->clients + CLIENT_MAX)
		return; /* it waits in the socket's queue */
	*c = (struct client){ .fd = vmb_dev_socket_accept(&r->socket), .number = r->next++ };
	if (c->fd >= 0)
		vmb_vmm_link_put(&r->link, c->number, VMB_VMM_LINK_OPEN, NULL, 0);
}

static void read_client(struct relay *r, struct client *c)
{
	uint8_t bytes[VMB_VMM_LINK_DATA_MAX];
	ssize_t len = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0) {
		vmb_vmm_link_put(&r->link, c->number, VMB_VMM_LINK_DATA, bytes, len);
		c->waits = true;
	} else if (len == 0) {
		vmb_vmm_link_put(&r->link, c->number, VMB_VMM_LINK_END, NULL, 0);
		c->ended = true;
	} else {
		close_client(r, c);
	}
}

static void write_client(struct relay *r, struct client *c)
{
	ssize_t len = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len < 0) {
		close_client(r, c);
		return;
	}
	c->out_len -= len;
	memmove(c->out, c->out + len, c->out_len);
	if (!c->out_len)
		vmb_vmm_link_put(&r->link, c->number, VMB_VMM_LINK_TAKEN, NULL, 0);
}

/* 0: a free place. NULL: there is none. */
static struct lock *find_lock(struct relay *r, uint32_t number)
{
	for (uint32_t i = 0; i < LOCK_MAX; i++)
		if (r->locks[i].number == number)
			return &r->locks[i];
	return NULL;
}

/* Returns the descriptor, or -1: why says why. */
static int open_and_lock(const struct vmb_dev_disk_option *disk, char *why, size_t len)
{
	int fd = open(disk->path,
		      O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (disk->read_only ? O_RDONLY : O_RDWR));

	snprintf(why, len, "%s: %s", disk->path, strerror(errno));
	if (fd < 0)
		return fd;
	vmb_dev_report_into(why, len);
	if (vmb_dev_disk_lock(fd, disk)) {
		close(fd);
		fd = -1;
	}
	vmb_dev_report_into(NULL, 0);
	return fd;
}

static void lock_file(struct relay *r, const struct vmb_vmm_link_frame *frame)
{
	char path[VMB_VMM_LINK_DATA_MAX + 1] = "", why[LOCK_WHY_LEN] = "too many files are locked";
	const struct vmb_dev_disk_option disk = { .path = path + 1,
						  .read_only = frame->bytes[0] == 'r' };
	struct lock *l = find_lock(r, 0);
	int fd;

	memcpy(path, frame->bytes, frame->head.len);
	fd = l && frame->head.client ? open_and_lock(&disk, why, sizeof(why)) : -1;
	if (fd >= 0)
		*l = (struct lock){ frame->head.client, fd };
	vmb_vmm_link_put(&r->link, frame->head.client, VMB_VMM_LINK_LOCKED, why,
			 fd < 0 ? strlen(why) : 0);
}

static void unlock_file(struct relay *r, uint32_t number)
{
	struct lock *l = number ? find_lock(r, number) : NULL;

	if (!l)
		return;
	close(l->fd);
	l->number = 0;
}

static void take_frame(struct relay *r, const struct vmb_vmm_link_frame *frame)
{
	struct client *c = r->clients;

	if (frame->head.kind == VMB_VMM_LINK_LOCK)
		lock_file(r, frame);
	if (frame->head.kind == VMB_VMM_LINK_UNLOCK)
		unlock_file(r, frame->head.client);
	while (c < r->clients + CLIENT_MAX && (c->fd < 0 || c->number != frame->head.client))
		c++;
	if (c == r->clients + CLIENT_MAX)
		return; /* gone meanwhile */
	if (frame->head.kind == VMB_VMM_LINK_TAKEN)
		c->waits = false;
	if (frame->head.kind == VMB_VMM_LINK_CLOSE)
		c->closing = true;
	if (frame->head.kind == VMB_VMM_LINK_DATA && !c->out_len) {
		memcpy(c->out, frame->bytes, frame->head.len);
		c->out_len = frame->head.len;
	}
}

static void serve_client(struct relay *r, struct client *c, short revents)
{
	if (c->out_len)
		write_client(r, c);
	if (c->fd >= 0 && revents & (POLLIN | POLLHUP | POLLERR) && !c->waits && !c->ended)
		read_client(r, c);
	if (c->fd >= 0 && c->closing && !c->out_len)
		close_client(r, c);
}

/* Returns for how long to wait, in ms; -1: for ever. */
static int fill(const struct relay *r, struct pollfd *fds)
{
	int timeout = -1;

	fds[POLL_LINK] =
		(struct pollfd){ .fd = r->link.fd, .events = vmb_vmm_link_wanted(&r->link) };
	fds[POLL_LISTEN] = (struct pollfd){ .fd = -1, .events = POLLIN };
	for (uint32_t i = 0; i < CLIENT_MAX; i++) {
		const struct client *c = &r->clients[i];
		short events = (c->out_len ? POLLOUT : 0) | (!c->waits && !c->ended ? POLLIN : 0);

		fds[POLL_CLIENTS + i] =
			(struct pollfd){ .fd = events ? c->fd : -1, .events = events };
		if (c->fd < 0) /* there is a place */
			fds[POLL_LISTEN].fd = vmb_dev_socket_wanted(&r->socket, &timeout);
	}
	return timeout;
}

static void relay(struct relay *r)
{
	struct pollfd fds[POLL_CLIENTS + CLIENT_MAX];
	struct vmb_vmm_link_frame frame;
	int timeout;

	while (!r->link.broken) {
		timeout = fill(r, fds);
		if (poll(fds, VMB_ARRAY_COUNT(fds), timeout) < 0)
			continue;
		vmb_vmm_link_move(&r->link);
		while (vmb_vmm_link_take(&r->link, &frame))
			take_frame(r, &frame);
		for (uint32_t i = 0; i < CLIENT_MAX; i++)
			if (r->clients[i].fd >= 0)
				serve_client(r, &r->clients[i], fds[POLL_CLIENTS + i].revents);
		if (fds[POLL_LISTEN].revents)
			accept_client(r);
	}
}

/*
 * Leaves nothing of the caller's open: whoever reads its output would wait for this process too.
 * Signals for the group are not for it: it ends with the nest.
 */
static void detach_from_caller(struct relay *r)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTSTP };
	int null = open("/dev/null", O_RDWR);

	for (size_t i = 0; i < VMB_ARRAY_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
	for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		if (fd != r->socket.fd && fd != r->link.fd)
			close(fd);
}

static void run_relay(struct relay *r)
{
	detach_from_caller(r);
	for (uint32_t i = 0; i < CLIENT_MAX; i++)
		r->clients[i].fd = -1;
	relay(r);
	vmb_dev_socket_end(&r->socket);
	_exit(0);
}

int vmb_vmm_relay_start(const char *path, int *fd)
{
	struct relay *r = calloc(1, sizeof(*r));
	pid_t child;
	int ends[2];

	if (!r || socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) {
		vmb_dev_report("--control %s: %s", path, strerror(r ? errno : ENOMEM));
		return -EINVAL;
	}
	if (vmb_dev_socket_serve(&r->socket, "--control", path, SOCK_STREAM, true)) {
		vmb_dev_socket_end(&r->socket);
		return -EINVAL;
	}
	r->link.fd = ends[0];
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	child = fork();
	if (child == 0)
		run_relay(r);
	if (child < 0) {
		vmb_dev_report("--control %s: %s", path, strerror(errno));
		vmb_dev_socket_end(&r->socket);
		return -EINVAL;
	}
	close(ends[0]);
	close(r->socket.fd);
	free(r);
	*fd = ends[1];
	return 0;
}
