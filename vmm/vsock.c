// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Carries bytes between standard input and output and a port of the guest, each direction by a
 * thread of its own, so that none of them waits for the other.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/report.h"
#include "devices/text.h"
#include "vmm/vsock.h"
#include "wire/socket.h"

#define PIECE_LEN 65536
#define LINE_MAX  32u

struct copy {
	int from, to;
};

static bool write_all(int fd, const char *bytes, ssize_t len)
{
	ssize_t done;

	for (; len; bytes += done, len -= done) {
		done = write(fd, bytes, len);
		if (done < 0 && errno != EINTR)
			return false;
		done = done < 0 ? 0 : done;
	}
	return true;
}

/* Until the end. Returns whether it was one, and no error. */
static bool copy_bytes(const struct copy *c)
{
	char bytes[PIECE_LEN];
	ssize_t len;

	while ((len = read(c->from, bytes, sizeof(bytes))) > 0 || (len < 0 && errno == EINTR))
		if (len > 0 && !write_all(c->to, bytes, len))
			return false;
	return len == 0;
}

static void *send_input(void *arg)
{
	const struct copy *c = arg;

	copy_bytes(c);
	shutdown(c->to, SHUT_WR);
	return NULL;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = -1, error = ENAMETOOLONG;

	if (strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		error = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ?
				errno :
				0;
	}
	if (!error)
		return fd;
	vmb_dev_report("vsock %s: %s; is a machine with --vsock running?", path, strerror(error));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Byte by byte: what is behind the line is the guest's. */
static bool greet(int fd, uint64_t port)
{
	char line[LINE_MAX] = "", wanted[LINE_MAX];
	uint32_t len = 0;

	snprintf(line, sizeof(line), "CONNECT %u\n", (uint32_t)port);
	snprintf(wanted, sizeof(wanted), "OK %u\n", (uint32_t)port);
	if (!write_all(fd, line, strlen(line)))
		return false;
	memset(line, 0, sizeof(line));
	while (len < sizeof(line) - 1 && read(fd, line + len, 1) == 1)
		if (line[len++] == '\n')
			break;
	return strcmp(line, wanted) == 0;
}

static int carry(int fd)
{
	struct copy in = { STDIN_FILENO, fd }, out = { fd, STDOUT_FILENO };
	pthread_t thread;

	if (pthread_create(&thread, NULL, send_input, &in))
		return VMB_VMM_EXIT_FAILURE;
	/* When the guest has ended nobody is left for the rest of the input. */
	return copy_bytes(&out) ? VMB_VMM_EXIT_OFF : VMB_VMM_EXIT_FAILURE;
}

int vmb_vmm_vsock_run(int argc, char **argv)
{
	const char *rest;
	uint64_t port;
	int fd;

	if (argc != 3 || !vmb_dev_text_number(argv[2], VMB_SOCKET_PORT_MAX, &port, &rest) ||
	    *rest) {
		vmb_dev_report(
			"vsock: give the path of --vsock and a port of the guest; see openvmbus "
			"--help");
		return VMB_VMM_EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	fd = connect_to(argv[1]);
	if (fd < 0)
		return VMB_VMM_EXIT_FAILURE;
	if (greet(fd, port))
		return carry(fd);
	vmb_dev_report("vsock %s: nobody listens at port %u of the guest", argv[1], (uint32_t)port);
	return VMB_VMM_EXIT_FAILURE;
}
