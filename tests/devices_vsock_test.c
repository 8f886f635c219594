// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sockets' device with its own thread: clients that wait for the guest, many at once, and the
 * machine's end with connections open. tests/loopback_sockets_test.c has what can be stepped.
 */
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
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/vsock/vsock.h"
#include "ports/user/guest.h"

#define PORT	    1337u
#define SERVER_PORT 77u
#define STOP_MS	    2000 /* what README promises */

struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	pthread_t thread;
	bool stop; /* atomic */
	char folder[32], path[48];
};

/* The guest's program: gives back what comes, and the end. On the thread that steps. */
static void echo(struct vmb_user_device *d, void *arg)
{
	struct vmb_user_socket *s = &d->socket;
	int done = vmb_user_socket_send(d, s->got, (uint32_t)s->got_len);

	if (done > 0) {
		memmove(s->got, s->got + done, s->got_len - (size_t)done);
		s->got_len -= (uint64_t)done;
	}
	if (!s->got_len && s->stream.ended_in && !s->stream.ended_out)
		vmb_user_socket_end(d);
	if (s->stream.ended_out)
		__atomic_store_n(&d->want_open, false, __ATOMIC_RELAXED);
}

static void set_echo(struct vmb_user_guest *g)
{
	pthread_mutex_lock(&g->lock);
	for (struct vmb_user_device *d = g->devices; d; d = d->next)
		if (d->socket.used && d->socket.about.port == PORT)
			d->looked = echo;
	pthread_mutex_unlock(&g->lock);
}

static void *run_guest(void *arg)
{
	struct bed *b = arg;

	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(b->machine.synic.guest_fd);
		do
			set_echo(&b->guest);
		while (vmb_user_guest_step(&b->guest));
	}
	return NULL;
}

static struct bed *bed_new(void)
{
	struct vmb_user_machine_config machine = { .page_count = 16384, .threads = true };
	struct vmb_user_guest_config guest = { .ring_pages = 6 };
	struct vmb_dev_vsock_config config = { 0 };
	struct bed *b = calloc(1, sizeof(*b));
	struct vmb_dev_device device;

	assert_non_null(b);
	strcpy(b->folder, "/tmp/vsock-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->path, sizeof(b->path), "%s/s", b->folder);
	config.path = b->path;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	assert_int_equal(vmb_dev_vsock_open(&device, &config), 0);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
	b->guest.threaded = true;
	vmb_user_socket_listen(&b->guest, PORT);
	assert_int_equal(pthread_create(&b->thread, NULL, run_guest, b), 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	return b;
}

static void end_guest(struct bed *b)
{
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(b->machine.synic.guest_fd);
	pthread_join(b->thread, NULL);
}

/* Returns how long the machine took to end, in milliseconds. */
static int64_t bed_free(struct bed *b)
{
	struct timespec began, ended;

	end_guest(b);
	clock_gettime(CLOCK_MONOTONIC, &began);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_int_equal(rmdir(b->folder), 0);
	free(b);
	return (ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1000000;
}

static int unix_socket(const char *path, bool listens)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (listens)
		assert_int_equal(
			bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 8), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void read_all(int fd, void *bytes, size_t len)
{
	assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
}

static int connect_in(const struct bed *b)
{
	int fd = unix_socket(b->path, false);
	char got[8];

	assert_int_equal(send(fd, "CONNECT 1337\n", 13, 0), 13);
	read_all(fd, got, 8);
	assert_memory_equal(got, "OK 1337\n", 8);
	return fd;
}

static void test_many_clients_at_once(void **state)
{
	enum { CLIENTS = 40, LEN = 50000 };
	static uint8_t bytes[LEN], got[LEN];
	struct bed *b = bed_new();
	int fds[CLIENTS];

	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	for (uint32_t i = 0; i < CLIENTS; i++)
		fds[i] = connect_in(b);
	for (uint32_t i = 0; i < CLIENTS; i++)
		assert_int_equal(send(fds[i], bytes, LEN, 0), LEN);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		shutdown(fds[i], SHUT_WR);
		read_all(fds[i], got, LEN);
		assert_memory_equal(got, bytes, LEN);
		assert_int_equal(recv(fds[i], got, 1, 0), 0);
		close(fds[i]);
	}
	assert_true(bed_free(b) < STOP_MS);
}

static bool was_answered(void *arg)
{
	const struct vmb_user_dial *dial = arg;

	return dial->refused || (dial->device && dial->device->ready);
}

static void test_guest_connects(void **state)
{
	struct bed *b = bed_new();
	struct vmb_user_dial dial;
	char path[64], got[4];
	int server, fd;

	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, 5, SERVER_PORT), 0);
	assert_int_equal(vmb_user_guest_wait(&b->guest, was_answered, &dial), 0);
	assert_true(dial.refused);
	snprintf(path, sizeof(path), "%s_%u", b->path, SERVER_PORT);
	server = unix_socket(path, true);
	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, 6, SERVER_PORT), 0);
	assert_int_equal(vmb_user_guest_wait(&b->guest, was_answered, &dial), 0);
	assert_non_null(dial.device);
	fd = accept(server, NULL, NULL);
	assert_int_equal(vmb_user_socket_send(dial.device, "ping", 4), 4);
	read_all(fd, got, 4);
	assert_memory_equal(got, "ping", 4);
	close(fd);
	close(server);
	unlink(path);
	assert_true(bed_free(b) < STOP_MS);
}

/* Some idle, some full in one direction or both, one that never said what it wants. */
static void test_the_end_with_connections_open(void **state)
{
	static uint8_t bytes[1 << 20];
	struct bed *b = bed_new();
	int fds[8], asking;

	for (uint32_t i = 0; i < 8; i++)
		fds[i] = connect_in(b);
	for (uint32_t i = 0; i < 4; i++)
		while (send(fds[i], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
	asking = unix_socket(b->path, false);
	send(asking, "CONNECT 9\n", 10, 0);
	close(fds[0]);
	assert_true(bed_free(b) < STOP_MS);
	for (uint32_t i = 1; i < 8; i++)
		close(fds[i]);
	close(asking);
}

/* A guest that stands still does not hold up the end, nor does a client that does. */
static void test_the_end_of_a_guest_that_stands_still(void **state)
{
	struct bed *b = bed_new();
	int fd = connect_in(b);

	end_guest(b);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	__atomic_store_n(&b->stop, false, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&b->thread, NULL, run_guest, b), 0);
	assert_true(bed_free(b) < STOP_MS);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_clients_at_once),
		cmocka_unit_test(test_guest_connects),
		cmocka_unit_test(test_the_end_with_connections_open),
		cmocka_unit_test(test_the_end_of_a_guest_that_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
