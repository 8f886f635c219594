/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A machine with sockets, a guest and UNIX sockets, all in one thread, whose clock the test sets.
 */
#ifndef TESTS_SOCKETS_BED_H
#define TESTS_SOCKETS_BED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/vsock/vsock.h"
#include "ports/user/guest.h"

#define MEMORY_PAGES 16384u
#define SECOND_NS    1000000000ll
#define PORT	     1337u /* of the guest's listener */
#define SERVER_PORT  77u /* of the host's */
#define FROM	     0x40000001u

static int64_t now_ns;

struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct vmb_dev_vsock *vsock;
	char folder[32], path[48];
	int server; /* listens at SERVER_PORT; -1: nobody does */
};

static inline int64_t clock_of_test(void)
{
	return now_ns;
}

static inline int unix_socket(const char *path, bool listens)
{
	struct sockaddr_un address;
	int fd = vmb_dev_socket_create(&address, path, SOCK_STREAM), error;

	assert_true(fd >= 0);
	error = listens ? bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 8) :
			  connect(fd, (struct sockaddr *)&address, sizeof(address));
	assert_int_equal(error, 0);
	return fd;
}

static inline struct bed *bed_new(uint32_t version, uint32_t ring_pages)
{
	struct vmb_user_machine_config machine = { .page_count = MEMORY_PAGES,
						   .version_max = version };
	struct vmb_user_guest_config guest = { .ring_pages = ring_pages };
	struct vmb_dev_vsock_config config = { .clock = clock_of_test };
	struct bed *b = calloc(1, sizeof(*b));
	struct vmb_dev_device device;

	assert_non_null(b);
	now_ns = 50 * SECOND_NS;
	strcpy(b->folder, "/tmp/vsock-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->path, sizeof(b->path), "%s/s", b->folder);
	b->server = -1;
	config.path = b->path;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	assert_int_equal(vmb_dev_vsock_open(&device, &config), 0);
	b->vsock = device.state;
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	vmb_user_socket_listen(&b->guest, PORT);
	return b;
}

static inline void server_path(const struct bed *b, char path[64])
{
	snprintf(path, 64, "%s_%u", b->path, SERVER_PORT);
}

static inline void bed_free(struct bed *b)
{
	struct stat about;
	char path[64];

	server_path(b, path);
	unlink(path);
	if (b->server >= 0)
		close(b->server);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	assert_int_equal(lstat(b->path, &about), -1); /* it took its socket along */
	assert_int_equal(rmdir(b->folder), 0);
	free(b);
}

static inline void serve(struct bed *b)
{
	char path[64];

	server_path(b, path);
	b->server = unix_socket(path, true);
}

static inline bool step(struct bed *b)
{
	bool any = vmb_user_machine_step(&b->machine);

	return vmb_user_guest_step(&b->guest) || any;
}

static inline void settle(struct bed *b)
{
	uint32_t steps = 0;

	while (step(b))
		assert_true(++steps < 100000);
}

static inline void pass(struct bed *b, uint32_t seconds)
{
	now_ns += seconds * SECOND_NS;
	settle(b);
}

static inline uint32_t used(const struct bed *b)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < VMB_DEV_VSOCK_MAX; i++)
		count += !vmb_dev_vsock_connection_is_free(&b->vsock->connections[i]);
	return count;
}

static inline void expect_bytes(int fd, const void *bytes, size_t len)
{
	char got[256];

	assert_true(len <= sizeof(got));
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), len);
	assert_memory_equal(got, bytes, len);
}

static inline void expect_end(int fd)
{
	char got;

	assert_int_equal(recv(fd, &got, 1, MSG_DONTWAIT), 0);
}

/* With bytes of ours that nobody read. */
static inline void expect_closed(int fd)
{
	char got;
	ssize_t len = recv(fd, &got, 1, MSG_DONTWAIT);

	assert_true(len == 0 || (len < 0 && errno == ECONNRESET));
}

static inline void expect_nothing(int fd)
{
	char got;

	assert_int_equal(recv(fd, &got, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline int client_of(struct bed *b, const char *line)
{
	int fd = unix_socket(b->path, false);

	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	settle(b);
	return fd;
}

/* A connection from this machine to the guest's listener. */
static inline struct vmb_user_device *connect_in(struct bed *b, int *fd)
{
	struct vmb_user_device *d;

	*fd = client_of(b, "CONNECT 1337\n");
	expect_bytes(*fd, "OK 1337\n", 8);
	d = vmb_user_socket_find(&b->guest, PORT);
	assert_non_null(d);
	return d;
}

/* A connection from the guest to the server of this machine. */
static inline struct vmb_user_device *connect_out(struct bed *b, int *fd)
{
	struct vmb_user_dial dial;

	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, FROM, SERVER_PORT), 0);
	settle(b);
	assert_non_null(dial.device);
	assert_true(dial.device->open);
	*fd = accept4(b->server, NULL, NULL, SOCK_NONBLOCK);
	assert_true(*fd >= 0);
	return dial.device;
}

static inline void expect_got(struct vmb_user_device *d, const char *text)
{
	assert_int_equal(d->socket.got_len, strlen(text));
	assert_memory_equal(d->socket.got, text, strlen(text));
}

static inline void expect_all_gone(struct bed *b)
{
	settle(b);
	assert_int_equal(used(b), 0);
	assert_int_equal(b->vsock->used_count, 0);
	assert_null(b->vsock->leaving);
	assert_ptr_equal(b->machine.bus->server.first, NULL);
	assert_int_equal(b->machine.bus->gpadl_count, 0);
}

#endif
