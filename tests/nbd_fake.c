// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Source: the NBD protocol document (github.com/NetworkBlockDevice/nbd, doc/proto.md), fixed
 * newstyle and simple replies.
 */
#include <endian.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/nbd_fake.h"

#define OPTION_MAGIC  0x49484156454F5054ull
#define REPLY_MAGIC   0x3e889045565a9ull
#define REQUEST_MAGIC 0x25609513u
#define SIMPLE_MAGIC  0x67446698u
#define UNSUPPORTED   0x80000001u
#define EXPORT_FLAGS  (1 | 4 | 8 | 32 | 64 | 256) /* flush, FUA, trim, zeroes, many connections */

enum {
	OPTION_GO = 7,
	REPLY_ACK = 1,
	REPLY_INFO = 3,
	CMD_READ = 0,
	CMD_WRITE = 1,
	CMD_FLUSH = 3,
	CMD_ZEROES = 6
};

struct hello {
	uint64_t magic, option_magic;
	uint16_t flags;
} __attribute__((packed));

struct option {
	uint64_t magic;
	uint32_t option, len;
} __attribute__((packed));

struct option_reply {
	uint64_t magic;
	uint32_t option, type, len;
} __attribute__((packed));

struct info {
	uint16_t type;
	uint64_t len;
	uint16_t flags;
} __attribute__((packed));

struct block_info {
	uint16_t type;
	uint32_t min, preferred, max;
} __attribute__((packed));

struct request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t handle, offset;
	uint32_t len;
} __attribute__((packed));

struct reply {
	uint32_t magic, error;
	uint64_t handle;
} __attribute__((packed));

static enum nbd_fake_manner manner_of(const struct nbd_fake *s)
{
	return __atomic_load_n(&s->manner, __ATOMIC_SEQ_CST);
}

static bool take(int fd, void *bytes, size_t len)
{
	return !len || recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

static void give(int fd, const void *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
		shutdown(fd, SHUT_RDWR);
}

static void answer_option(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
	const struct option_reply reply = { htobe64(REPLY_MAGIC), option, htobe32(type),
					    htobe32(len) };

	give(fd, &reply, sizeof(reply));
	give(fd, data, len);
}

static bool shake_hands(const struct nbd_fake *s, int fd)
{
	const struct hello hello = { htobe64(0x4e42444d41474943ull), htobe64(OPTION_MAGIC),
				     htobe16(1 | 2) };
	const struct info info = { 0, htobe64(s->len), htobe16(EXPORT_FLAGS) };
	const struct block_info blocks = { htobe16(3), htobe32(4096), htobe32(4096),
					   htobe32(1 << 20) };
	struct option option;
	uint8_t data[4096];
	uint32_t flags;

	give(fd, &hello, sizeof(hello));
	if (!take(fd, &flags, sizeof(flags)))
		return false;
	while (take(fd, &option, sizeof(option)) && be32toh(option.len) <= sizeof(data) &&
	       take(fd, data, be32toh(option.len))) {
		if (be32toh(option.option) != OPTION_GO) {
			answer_option(fd, option.option, UNSUPPORTED, NULL, 0);
			continue;
		}
		answer_option(fd, option.option, REPLY_INFO, &info, sizeof(info));
		if (manner_of(s) == NBD_FAKE_LONG_BLOCKS)
			answer_option(fd, option.option, REPLY_INFO, &blocks, sizeof(blocks));
		answer_option(fd, option.option, REPLY_ACK, NULL, 0);
		return true;
	}
	return false;
}

/* Returns whether this write gets no answer now. */
static bool holds(struct nbd_fake *s, int fd, const struct request *request)
{
	if (be16toh(request->type) != CMD_WRITE || manner_of(s) != NBD_FAKE_HOLDS_A_WRITE)
		return false;
	s->held_handle = request->handle;
	s->held_fd = fd;
	__atomic_fetch_add(&s->held_count, 1, __ATOMIC_SEQ_CST);
	return true;
}

static bool serve_command(struct nbd_fake *s, int fd, bool mute)
{
	struct request request;
	struct reply reply = { .magic = htobe32(SIMPLE_MAGIC) };
	uint32_t len, type;
	uint8_t *data;
	bool good;

	if (!take(fd, &request, sizeof(request)) || be32toh(request.magic) != REQUEST_MAGIC)
		return false;
	type = be16toh(request.type);
	len = type == CMD_READ || type == CMD_WRITE ? be32toh(request.len) : 0;
	data = calloc(1, len + 1);
	good = type != CMD_WRITE || take(fd, data, len);
	__atomic_fetch_add(&s->command_count, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->zeroes_count, type == CMD_ZEROES, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->asked_len, len, __ATOMIC_SEQ_CST);
	good = good && !(type == CMD_ZEROES && manner_of(s) == NBD_FAKE_CLOSES_AT_ZEROES) &&
	       manner_of(s) != NBD_FAKE_CLOSES_AT_ALL;
	if (good && !mute && !holds(s, fd, &request)) {
		reply.handle = request.handle;
		if (type == CMD_WRITE && manner_of(s) == NBD_FAKE_REFUSES_WRITES)
			reply.error = htobe32(5); /* EIO */
		if (type == CMD_FLUSH &&
		    !__atomic_fetch_add(&s->flush_count, 1, __ATOMIC_SEQ_CST) &&
		    manner_of(s) == NBD_FAKE_FAILS_A_FLUSH)
			reply.error = htobe32(5); /* EIO */
		give(fd, &reply, sizeof(reply));
		give(fd, data, type == CMD_READ ? len : 0);
	}
	free(data);
	return good;
}

struct connection {
	struct nbd_fake *server;
	uint32_t number;
};

static void *serve(void *arg)
{
	struct connection c = *(struct connection *)arg;
	int fd = c.server->fds[c.number];
	bool mute = manner_of(c.server) == NBD_FAKE_MUTE ||
		    (manner_of(c.server) == NBD_FAKE_FIRST_MUTE && c.number == 0);

	free(arg);
	if (shake_hands(c.server, fd)) {
		__atomic_fetch_add(&c.server->ready_count, 1, __ATOMIC_SEQ_CST);
		while (serve_command(c.server, fd, mute))
			;
	}
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void *listen_for_clients(void *arg)
{
	struct nbd_fake *s = arg;
	struct connection *c;
	uint32_t n;

	for (n = 0; n < NBD_FAKE_CONNECTION_MAX; n++) {
		s->fds[n] = accept(s->listener, NULL, NULL);
		if (s->fds[n] < 0)
			break;
		c = malloc(sizeof(*c));
		*c = (struct connection){ s, n };
		pthread_create(&s->connections[n], NULL, serve, c);
		__atomic_store_n(&s->connection_count, n + 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void listen_on_path(struct nbd_fake *s, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void listen_on_port(struct nbd_fake *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &len), 0);
	s->port = ntohs(address.sin_port);
}

void nbd_fake_start(struct nbd_fake *s, const char *path, uint64_t len, enum nbd_fake_manner manner)
{
	memset(s, 0, sizeof(*s));
	s->manner = manner;
	s->len = len;
	if (path)
		listen_on_path(s, path);
	else
		listen_on_port(s);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, listen_for_clients, s), 0);
}

void nbd_fake_behave(struct nbd_fake *s, enum nbd_fake_manner manner)
{
	__atomic_store_n(&s->manner, manner, __ATOMIC_SEQ_CST);
}

void nbd_fake_drop(struct nbd_fake *s)
{
	uint32_t count = __atomic_load_n(&s->connection_count, __ATOMIC_SEQ_CST);

	for (uint32_t n = 0; n < count; n++)
		shutdown(s->fds[n], SHUT_RDWR);
}

void nbd_fake_answer_and_drop(struct nbd_fake *s)
{
	const struct reply reply = { .magic = htobe32(SIMPLE_MAGIC), .handle = s->held_handle };

	give(s->held_fd, &reply, sizeof(reply));
	nbd_fake_drop(s);
}

void nbd_fake_stop(struct nbd_fake *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	for (uint32_t n = 0; n < s->connection_count; n++) {
		shutdown(s->fds[n], SHUT_RDWR);
		pthread_join(s->connections[n], NULL);
		close(s->fds[n]);
	}
	close(s->listener);
}
