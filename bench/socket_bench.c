// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bytes through both ends of a socket in one process: a guest's thread, the host's worker, and this
 * thread as the client of a UNIX socket; beside the same client at a UNIX socket and at a TCP
 * connection of this machine's own, which a thread serves. All rows in turn, ROUNDS times. A line a
 * row: the median and range of the rate, and signals a MiB each way. Usage: socket_bench [SECONDS
 * [ROUNDS]], SECONDS a row and round.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "devices/vsock/vsock.h"
#include "ports/user/guest.h"

#define ROUNDS_MAX 99u
#define PORT	   1337u
#define PIECE_LEN  65536u /* of the client's calls */
#define PACKET_LEN 4088u /* what guests like Linux send at once */
#define MIB	   1048576.0

struct row {
	const char *name;
	bool to_host;
	uint32_t ring_pages; /* 0: no guest */
	int family; /* of the sockets without a guest */
};

static const struct row rows[] = {
	{ "to host", true, 6, 0 },    { "to host", true, 16, 0 },   { "to host", true, 64, 0 },
	{ "to guest", false, 6, 0 },  { "to guest", false, 16, 0 }, { "to guest", false, 64, 0 },
	{ "UNIX", true, 0, AF_UNIX }, { "TCP", true, 0, AF_INET },
};
#define ROW_COUNT VMB_ARRAY_COUNT(rows)

enum figure {
	RATE, /* MiB/s */
	TO_HOST_SIGNALS, /* a MiB */
	TO_GUEST_SIGNALS,
	FIGURE_COUNT,
};

struct bench {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct vmb_dev_vsock *vsock;
	const struct row *row;
	pthread_t thread;
	bool stop; /* atomic */
	uint64_t taken_len; /* atomic: bytes that the guest took */
	int fd; /* of the client */
	int peer; /* of the other end, without a guest */
};

static uint8_t bytes[PIECE_LEN];
static double figures[ROW_COUNT][FIGURE_COUNT][ROUNDS_MAX];

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "socket_bench: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool stops(const struct bench *b)
{
	return __atomic_load_n(&b->stop, __ATOMIC_ACQUIRE);
}

/* The guest's program, on the thread that steps: sends, or takes what came. */
static void looked(struct vmb_user_device *d, void *arg)
{
	struct bench *b = arg;

	__atomic_add_fetch(&b->taken_len, d->socket.got_len, __ATOMIC_RELAXED);
	d->socket.got_len = 0;
	while (b->row->to_host && !stops(b) &&
	       vmb_user_socket_send(d, bytes, PACKET_LEN) == PACKET_LEN)
		;
}

static void *run_guest(void *arg)
{
	struct bench *b = arg;
	struct vmb_user_device *d;

	while (!stops(b)) {
		vmb_user_synic_wait(b->machine.synic.guest_fd);
		do {
			d = vmb_user_socket_find(&b->guest, PORT);
			if (d && !d->looked) {
				d->looked_arg = b;
				d->looked = looked;
				d->interrupted = true;
			}
		} while (vmb_user_guest_step(&b->guest));
	}
	return NULL;
}

static void *run_peer(void *arg)
{
	struct bench *b = arg;

	while (send(b->peer, bytes, PIECE_LEN, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void connect_guest(struct bench *b, const char *path)
{
	static const char line[] = "CONNECT 1337\n", answer[] = "OK 1337\n";
	struct timeval patience = { .tv_sec = 10 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char got[sizeof(answer) - 1];

	strcpy(address.sun_path, path);
	b->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	check(!connect(b->fd, (struct sockaddr *)&address, sizeof(address)), "no connection");
	check(send(b->fd, line, sizeof(line) - 1, 0) == sizeof(line) - 1, "no room");
	setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	check(recv(b->fd, got, sizeof(got), MSG_WAITALL) == sizeof(got) &&
		      !memcmp(got, answer, sizeof(got)),
	      "the guest does not answer");
}

static void start_guest(struct bench *b)
{
	struct vmb_user_machine_config machine = { .page_count = 16384, .threads = true };
	struct vmb_user_guest_config guest = { .ring_pages = b->row->ring_pages };
	char path[64];
	struct vmb_dev_vsock_config config = { .path = path };
	struct vmb_dev_device device;

	snprintf(path, sizeof(path), "/tmp/socket_bench-%d", getpid());
	check(!vmb_user_machine_init(&b->machine, &machine) &&
		      !vmb_user_guest_init(&b->guest, &b->machine, &guest) &&
		      !vmb_dev_vsock_open(&device, &config) &&
		      !vmb_user_machine_add(&b->machine, &device),
	      "no machine");
	b->vsock = device.state;
	b->guest.threaded = true;
	vmb_user_socket_listen(&b->guest, PORT);
	check(!pthread_create(&b->thread, NULL, run_guest, b), "no thread");
	check(!vmb_user_guest_start(&b->guest), "the guest does not start");
	connect_guest(b, path);
}

static void start_tcp(struct bench *b)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	b->fd = socket(AF_INET, SOCK_STREAM, 0);
	check(!bind(listener, (struct sockaddr *)&address, len) && !listen(listener, 1) &&
		      !getsockname(listener, (struct sockaddr *)&address, &len) &&
		      !connect(b->fd, (struct sockaddr *)&address, len),
	      "no TCP");
	b->peer = accept(listener, NULL, NULL);
	close(listener);
}

static void start_sockets(struct bench *b)
{
	int fds[2];

	if (b->row->family == AF_UNIX) {
		check(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "no sockets");
		b->fd = fds[0];
		b->peer = fds[1];
	} else {
		start_tcp(b);
	}
	check(!pthread_create(&b->thread, NULL, run_peer, b), "no thread");
}

static void stop(struct bench *b)
{
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	close(b->fd);
	if (b->row->ring_pages)
		vmb_user_synic_kick(b->machine.synic.guest_fd);
	pthread_join(b->thread, NULL);
	if (b->row->ring_pages) {
		vmb_user_guest_destroy(&b->guest);
		vmb_user_machine_destroy(&b->machine);
	} else {
		close(b->peer);
	}
	free(b);
}

/* Moves bytes for so long. Returns how many. */
static uint64_t move(struct bench *b, double seconds)
{
	uint64_t begun = __atomic_load_n(&b->taken_len, __ATOMIC_RELAXED), total = 0;
	double end = now() + seconds;
	ssize_t done;

	while (now() < end) {
		done = b->row->to_host ? recv(b->fd, bytes, PIECE_LEN, 0) :
					 send(b->fd, bytes, PIECE_LEN, MSG_NOSIGNAL);
		check(done > 0, "the connection has ended");
		total += (uint64_t)done;
	}
	return b->row->to_host ? total : __atomic_load_n(&b->taken_len, __ATOMIC_RELAXED) - begun;
}

struct signals {
	uint64_t to_host, to_guest;
};

static struct signals count_signals(struct bench *b)
{
	struct vmb_user_device *d;
	struct vmb_dev_vsock_link *link;

	if (!b->row->ring_pages)
		return (struct signals){ 0 };
	d = vmb_user_socket_find(&b->guest, PORT);
	link = b->vsock->places[0]->link;
	check(d && link, "the connection has gone");
	return (struct signals){
		.to_host = __atomic_load_n(&d->tx.counters.signals, __ATOMIC_RELAXED) +
			   __atomic_load_n(&d->rx.counters.signals, __ATOMIC_RELAXED),
		.to_guest = __atomic_load_n(&link->channel.signals, __ATOMIC_RELAXED),
	};
}

static void measure(uint32_t row, uint32_t round, double seconds)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct signals before, after;
	double began, mib;

	check(b, "out of memory");
	b->row = &rows[row];
	if (b->row->ring_pages)
		start_guest(b);
	else
		start_sockets(b);
	move(b, seconds / 10);
	before = count_signals(b);
	began = now();
	mib = (double)move(b, seconds) / MIB;
	figures[row][RATE][round] = mib / (now() - began);
	after = count_signals(b);
	figures[row][TO_HOST_SIGNALS][round] = (double)(after.to_host - before.to_host) / mib;
	figures[row][TO_GUEST_SIGNALS][round] = (double)(after.to_guest - before.to_guest) / mib;
	stop(b);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(uint32_t row, uint32_t rounds)
{
	const struct row *r = &rows[row];
	double(*f)[ROUNDS_MAX] = figures[row];
	uint32_t middle = rounds / 2;

	for (uint32_t i = 0; i < FIGURE_COUNT; i++)
		qsort(f[i], rounds, sizeof(f[i][0]), compare);
	printf("%-8s ", r->name);
	if (r->ring_pages)
		printf("rings of %2u pages ", r->ring_pages);
	else
		printf("without a guest   ");
	printf("%6.0f (%.0f..%.0f) MiB/s", f[RATE][middle], f[RATE][0], f[RATE][rounds - 1]);
	if (r->ring_pages)
		printf("  signals a MiB: %.1f to host, %.1f to guest", f[TO_HOST_SIGNALS][middle],
		       f[TO_GUEST_SIGNALS][middle]);
	printf("\n");
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.3;
	uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 5, round, row;

	check(seconds > 0 && rounds && rounds <= ROUNDS_MAX,
	      "usage: socket_bench [SECONDS [ROUNDS]]");
	for (round = 0; round < rounds; round++)
		for (row = 0; row < ROW_COUNT; row++)
			measure(row, round, seconds);
	for (row = 0; row < ROW_COUNT; row++)
		report(row, rounds);
	return 0;
}
