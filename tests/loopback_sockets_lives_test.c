// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Ends of connections: each way in which one can end, at each step of its life, after which nothing
 * may be left and the next connection must work; and many thousand lives, after which the host
 * holds no more than after some hundred.
 */
#include <dirent.h>
#include <malloc.h>

#include "tests/sockets_bed.h"

#define LIFE_COUNT	10000u
#define GUEST_LIFE	100u /* connections of a guest, which keeps what it had of each */
#define WARM_COUNT	1000u
#define GROWTH_LEN	65536u /* what a table may grow by */
#define SUCCESSOR_BYTES 5u

/* One connection, at whatever point it is. */
struct life {
	struct bed *b;
	int fd; /* -1: none */
	struct vmb_user_dial dial;
	bool dialled;
};

typedef void life_fn(struct life *l);

/* The socket of the guest, opened or not. */
static struct vmb_user_device *device_of(struct life *l)
{
	struct vmb_user_device *d = l->b->guest.devices;

	while (d && (d->has_gone || !d->socket.used))
		d = d->next;
	return d;
}

static void machine(struct life *l)
{
	vmb_user_machine_step(&l->b->machine);
}

static void guest(struct life *l)
{
	vmb_user_guest_step(&l->b->guest);
}

static void client_comes(struct life *l)
{
	l->fd = unix_socket(l->b->path, false);
}

static void client_says(struct life *l, const char *text)
{
	if (l->fd >= 0)
		send(l->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void client_says_half(struct life *l)
{
	client_says(l, "CONNECT 13");
}

static void client_says_the_rest(struct life *l)
{
	client_says(l, "37\nearly");
}

static void client_talks(struct life *l)
{
	client_says(l, "and more");
}

static void client_ends(struct life *l)
{
	if (l->fd >= 0)
		shutdown(l->fd, SHUT_WR);
}

static void guest_dials(struct life *l)
{
	assert_int_equal(vmb_user_socket_dial(&l->b->guest, &l->dial, FROM, SERVER_PORT), 0);
	l->dialled = true;
}

static void server_accepts(struct life *l)
{
	l->fd = accept4(l->b->server, NULL, NULL, SOCK_NONBLOCK);
}

static void guest_talks(struct life *l)
{
	struct vmb_user_device *d = device_of(l);

	if (d && !d->socket.stream.ended_out)
		vmb_user_socket_send(d, "hello", 5);
}

static void guest_ends(struct life *l)
{
	struct vmb_user_device *d = device_of(l);

	if (d)
		vmb_user_socket_end(d);
}

#define TURN	    machine, guest
#define EIGHT_TURNS TURN, TURN, TURN, TURN, TURN, TURN, TURN, TURN

#define REST                                                                                  \
	client_talks, TURN, guest_talks, guest, machine, client_ends, TURN, TURN, guest_ends, \
		TURN, TURN, NULL

static life_fn *const from_host[] = {
	client_comes, machine, client_says_half, machine, client_says_the_rest, EIGHT_TURNS, REST
};
static life_fn *const from_guest[] = { guest_dials,    guest,	    EIGHT_TURNS,
				       server_accepts, EIGHT_TURNS, REST };

/* Who ends it, and how. */

static void client_closes(struct life *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static void client_shuts_both(struct life *l)
{
	if (l->fd >= 0)
		shutdown(l->fd, SHUT_RDWR);
}

static void client_leaves_bytes_unread(struct life *l)
{
	guest_talks(l);
	settle(l->b);
	client_closes(l);
}

static void guest_closes(struct life *l)
{
	struct vmb_user_device *d = device_of(l);

	if (d)
		d->want_open = false;
}

static void guest_hangs_up(struct life *l)
{
	if (l->dialled)
		vmb_guest_socket_hang_up(&l->b->guest.connect, &l->dial.dial);
	l->dialled = false;
	guest_closes(l);
}

static void host_rescinds(struct life *l)
{
	struct vmb_dev_vsock *v = l->b->vsock;

	if (v->used_count && v->places[0]->link)
		vmb_dev_bus_rescind(&v->places[0]->link->channel);
}

static void guest_leaves(struct life *l)
{
	assert_int_equal(vmb_user_guest_unload(&l->b->guest), 0);
	settle(l->b);
	l->dialled = false;
	assert_int_equal(vmb_user_guest_start(&l->b->guest), 0);
}

/* As a reset of the machine: the guest does not say that it goes. */
static void guest_is_new(struct bed *b)
{
	struct vmb_user_guest_config config = { .ring_pages = 6 };

	vmb_user_guest_destroy(&b->guest);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &config), 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	vmb_user_socket_listen(&b->guest, PORT);
}

static life_fn *const ends[] = { client_closes, client_shuts_both, client_leaves_bytes_unread,
				 guest_closes,	guest_hangs_up,	   host_rescinds,
				 guest_leaves };

/* Whoever still waits in the server's queue. */
static void send_away(struct bed *b)
{
	int fd;

	while ((fd = accept4(b->server, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
}

static void expect_connection(struct bed *b)
{
	struct vmb_user_device *d;
	int fd;

	d = connect_in(b, &fd);
	send(fd, "again", SUCCESSOR_BYTES, 0);
	assert_int_equal(vmb_user_socket_send(d, "again", SUCCESSOR_BYTES), SUCCESSOR_BYTES);
	settle(b);
	expect_got(d, "again");
	expect_bytes(fd, "again", SUCCESSOR_BYTES);
	close(fd);
	expect_all_gone(b);
}

static bool has_channel(const struct bed *b)
{
	return b->vsock->used_count && b->vsock->places[0]->link;
}

/* Whose channel is gone hears of it at once, opened or not: not when some time has passed. */
static bool hears_of_it(struct life *l)
{
	char got[256];
	ssize_t len;

	if (l->fd < 0)
		server_accepts(l);
	if (l->fd < 0)
		return false;
	do
		len = recv(l->fd, got, sizeof(got), MSG_DONTWAIT);
	while (len > 0);
	assert_true(len == 0 || errno == ECONNRESET);
	return true;
}

/* Returns false when the life has fewer steps. Counts in *heard who was told without a time-out. */
static bool end_at(struct bed *b, life_fn *const *steps, uint32_t point, life_fn *end,
		   uint32_t *heard)
{
	struct life l = { .b = b, .fd = -1 };
	bool had_channel;
	uint32_t i;

	for (i = 0; i < point && steps[i]; i++)
		steps[i](&l);
	had_channel = has_channel(b);
	end(&l);
	settle(b);
	if (had_channel && !has_channel(b))
		*heard += hears_of_it(&l);
	if (l.dialled)
		vmb_guest_socket_hang_up(&b->guest.connect, &l.dial.dial);
	client_closes(&l);
	send_away(b);
	pass(b, 9);
	pass(b, 61);
	expect_all_gone(b);
	expect_connection(b);
	return steps[i];
}

static void end_everywhere(life_fn *const *steps)
{
	struct bed *b = bed_new(0, 6);
	uint32_t point, lives = 0, heard = 0;

	serve(b);
	for (size_t e = 0; e < VMB_ARRAY_COUNT(ends); e++)
		for (point = 0; end_at(b, steps, point, ends[e], &heard); point++)
			if (++lives % GUEST_LIFE == 0)
				guest_is_new(b);
	assert_true(lives > 7 * 30);
	print_message("%u lives, of %u the client heard the end at once\n", lives, heard);
	assert_true(heard > 2 * 20);
	assert_int_equal(b->vsock->counters.broken, 0);
	bed_free(b);
}

static void test_a_connection_of_the_host_ends_at_each_step(void **state)
{
	end_everywhere(from_host);
}

static void test_a_connection_of_the_guest_ends_at_each_step(void **state)
{
	end_everywhere(from_guest);
}

/* A guest that is gone without a word, in the middle of many connections. */
static void test_a_guest_that_is_reset_leaves_nothing(void **state)
{
	struct bed *b = bed_new(0, 6);
	int fds[20];

	serve(b);
	connect_out(b, &fds[0]);
	for (uint32_t i = 1; i < VMB_ARRAY_COUNT(fds); i++)
		connect_in(b, &fds[i]);
	guest_is_new(b);
	expect_connection(b);
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(fds); i++) {
		expect_end(fds[i]);
		close(fds[i]);
	}
	expect_all_gone(b);
	bed_free(b);
}

/* Many */

static uint32_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* There with AddressSanitizer, whose memory mallinfo2() does not see. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t count_memory(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

struct held {
	uint32_t descriptors;
	size_t memory;
};

/* With a guest that has had no connection yet. */
static struct held count_held(struct bed *b)
{
	assert_int_equal(vmb_user_guest_unload(&b->guest), 0);
	guest_is_new(b);
	expect_all_gone(b);
	return (struct held){ count_descriptors(), count_memory() };
}

static void live(struct bed *b, uint32_t number)
{
	char text[SUCCESSOR_BYTES + 1];
	struct vmb_user_device *d;
	int fd;

	snprintf(text, sizeof(text), "%05u", number);
	d = number % 2 ? connect_in(b, &fd) : connect_out(b, &fd);
	assert_int_equal(send(fd, text, SUCCESSOR_BYTES, 0), SUCCESSOR_BYTES);
	assert_int_equal(vmb_user_socket_send(d, text, SUCCESSOR_BYTES), SUCCESSOR_BYTES);
	settle(b);
	expect_got(d, text);
	expect_bytes(fd, text, SUCCESSOR_BYTES);
	if (number % 4 < 2)
		vmb_user_guest_close(&b->guest, d);
	close(fd);
	expect_all_gone(b);
}

static void test_ten_thousand_connections_leave_nothing(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct held before = { 0 }, after;

	serve(b);
	for (uint32_t i = 0; i < LIFE_COUNT; i++) {
		if (i % GUEST_LIFE == 0)
			after = count_held(b);
		if (i == WARM_COUNT)
			before = after;
		live(b, i);
	}
	after = count_held(b);
	print_message("after %u connections %u descriptors and %zu bytes, after %u %u and %zu\n",
		      WARM_COUNT, before.descriptors, before.memory, LIFE_COUNT, after.descriptors,
		      after.memory);
	assert_int_equal(after.descriptors, before.descriptors);
	assert_true(after.memory <= before.memory + GROWTH_LEN);
	assert_int_equal(b->vsock->counters.from_host + b->vsock->counters.from_guest, LIFE_COUNT);
	assert_int_equal(b->vsock->counters.cut, 0);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_connection_of_the_host_ends_at_each_step),
		cmocka_unit_test(test_a_connection_of_the_guest_ends_at_each_step),
		cmocka_unit_test(test_a_guest_that_is_reset_leaves_nothing),
		cmocka_unit_test(test_ten_thousand_connections_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
