// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sockets between a guest and UNIX sockets, all in one thread: both ends of connections, their ends
 * in every order, and guests and clients that do not behave.
 */
#include "tests/sockets_bed.h"

static void test_host_reaches_a_listener(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	d = connect_in(b, &fd);
	assert_true(d->socket.about.from_host);
	send(fd, "ping", 4, 0);
	assert_int_equal(vmb_user_socket_send(d, "pong", 4), 4);
	settle(b);
	expect_got(d, "ping");
	expect_bytes(fd, "pong", 4);
	assert_int_equal(b->vsock->counters.from_host, 1);
	close(fd);
	settle(b);
	assert_true(d->socket.stream.ended_in);
	expect_all_gone(b); /* nobody is left at this end */
	bed_free(b);
}

/* What a client sends before the guest has answered is not lost. */
static void test_what_follows_the_greeting_belongs_to_the_guest(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd = unix_socket(b->path, false);

	send(fd, "CONN", 4, 0);
	settle(b);
	send(fd, "ECT 1337\nearly", 14, 0);
	shutdown(fd, SHUT_WR);
	settle(b);
	d = vmb_user_socket_find(&b->guest, PORT);
	assert_non_null(d);
	expect_got(d, "early");
	assert_true(d->socket.stream.ended_in);
	close(fd);
	bed_free(b);
}

static void test_nobody_listens(void **state)
{
	struct bed *b = bed_new(0, 6);
	int fd = client_of(b, "CONNECT 9\n");

	expect_nothing(fd);
	assert_int_equal(used(b), 1);
	pass(b, 4);
	expect_nothing(fd);
	pass(b, 2);
	expect_end(fd);
	close(fd);
	expect_all_gone(b);
	assert_int_equal(b->vsock->counters.refused, 1);
	bed_free(b);
}

static void test_other_greetings_are_refused(void **state)
{
	static const char *const lines[] = {
		"HELLO\n",     "CONNECT\n",	   "CONNECT \n",
		"CONNECT x\n", "CONNECT 1337 \n",  "CONNECT -1\n",
		"connect 1\n", "CONNECT 1337\r\n", "CONNECT 2147483648\n",
		"\n",	       "CONNECT 0x539\n",  "CONNECT 000000000000000000001337\n",
	};
	struct bed *b = bed_new(0, 6);

	for (size_t i = 0; i < VMB_ARRAY_COUNT(lines); i++) {
		int fd = client_of(b, lines[i]);

		expect_closed(fd);
		close(fd);
	}
	expect_all_gone(b);
	bed_free(b);
}

static void test_who_says_nothing_is_sent_away(void **state)
{
	struct bed *b = bed_new(0, 6);
	int fd = client_of(b, "CONNECT");

	pass(b, 59);
	expect_nothing(fd);
	pass(b, 2);
	expect_closed(fd);
	assert_int_equal(used(b), 0);
	close(fd);
	bed_free(b);
}

static void test_guest_reaches_a_server(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	serve(b);
	d = connect_out(b, &fd);
	assert_int_equal(vmb_user_socket_send(d, "ping", 4), 4);
	send(fd, "pong", 4, 0);
	settle(b);
	expect_bytes(fd, "ping", 4);
	expect_got(d, "pong");
	assert_int_equal(b->vsock->counters.from_guest, 1);
	/* The guest closes without an end: the server hears it all the same. */
	vmb_user_guest_close(&b->guest, d);
	expect_all_gone(b);
	expect_end(fd);
	close(fd);
	bed_free(b);
}

/* A guest that is emulated, or whose machine has much else to do. */
static void test_a_guest_that_asked_has_time_to_open_its_channel(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_dial dial;
	int fd;

	serve(b);
	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, FROM, SERVER_PORT), 0);
	while (!used(b)) /* the guest asks, and then does nothing more */
		assert_true(step(b));
	for (int seconds = 0; seconds < 25; seconds++) {
		now_ns += SECOND_NS;
		while (vmb_user_machine_step(&b->machine))
			;
	}
	settle(b);
	assert_non_null(dial.device);
	assert_true(dial.device->open);
	assert_int_equal(vmb_user_socket_send(dial.device, "ping", 4), 4);
	settle(b);
	fd = accept4(b->server, NULL, NULL, SOCK_NONBLOCK);
	expect_bytes(fd, "ping", 4);
	vmb_user_guest_close(&b->guest, dial.device);
	expect_all_gone(b);
	close(fd);
	bed_free(b);
}

static void test_guest_is_refused(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_dial dial;

	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, FROM, SERVER_PORT), 0);
	settle(b);
	assert_true(dial.refused);
	assert_null(dial.device);
	assert_int_equal(b->vsock->counters.refused, 1);
	expect_all_gone(b);
	bed_free(b);
}

static void test_each_direction_ends_by_itself(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	serve(b);
	d = connect_out(b, &fd);
	send(fd, "last", 4, 0);
	shutdown(fd, SHUT_WR);
	settle(b);
	expect_got(d, "last");
	assert_true(d->socket.stream.ended_in);
	assert_int_equal(vmb_user_socket_send(d, "more", 4), 4);
	settle(b);
	expect_bytes(fd, "more", 4);
	pass(b, 100); /* half of it may stay open */
	expect_nothing(fd);
	assert_int_equal(vmb_user_socket_send(d, "end", 3), 3);
	assert_int_equal(vmb_user_socket_end(d), 0);
	settle(b);
	expect_bytes(fd, "end", 3);
	expect_end(fd);
	assert_true(d->channel.rescinded); /* the guest does not close, it has read all */
	expect_all_gone(b);
	close(fd);
	bed_free(b);
}

static void fill_with_numbers(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 16);
}

#define LONG (1u << 20)

/* The client takes and gives what it can each time; the sizes are odd on purpose. */
static void both_ways(struct bed *b, struct vmb_user_device *d, int fd)
{
	static uint8_t bytes[LONG], got[LONG];
	size_t in = 0, out = 0, guest_out = 0;
	ssize_t n;

	fill_with_numbers(bytes, LONG);
	while (out < LONG || in < LONG || guest_out < LONG || d->socket.got_len < LONG) {
		n = out < LONG ? send(fd, bytes + out, LONG - out < 9973 ? LONG - out : 9973,
				      MSG_DONTWAIT) :
				 0;
		out += n > 0 ? n : 0;
		guest_out += vmb_user_socket_send(
			d, bytes + guest_out,
			LONG - guest_out < 7919 ? (uint32_t)(LONG - guest_out) : 7919);
		step(b);
		n = in < LONG ?
			    recv(fd, got + in, LONG - in < 4001 ? LONG - in : 4001, MSG_DONTWAIT) :
			    0;
		in += n > 0 ? n : 0;
	}
	assert_memory_equal(got, bytes, LONG);
	assert_int_equal(d->socket.got_len, LONG);
	assert_memory_equal(d->socket.got, bytes, LONG);
}

static void test_a_mebibyte_each_way(void **state)
{
	static const uint32_t pages[] = { 2, 6, 64 };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(pages); i++) {
		struct bed *b = bed_new(0, pages[i]);
		struct vmb_user_device *d;
		int fd;

		serve(b);
		d = connect_out(b, &fd);
		both_ways(b, d, fd);
		close(fd);
		vmb_user_guest_close(&b->guest, d);
		expect_all_gone(b);
		bed_free(b);
	}
}

/* The guest fills socket and ring, and closes while the client has not read a byte. */
/* Each call of the host is a message of the client's socket, which is of a kind that keeps them. */
static void test_packets_become_few_calls(void **state)
{
	static const char line[] = "CONNECT 1337\n";
	static uint8_t bytes[30000], got[40000];
	struct bed *b = bed_new(0, 16);
	struct vmb_user_device *d;
	int fds[2];

	fill_with_numbers(bytes, sizeof(bytes));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(vmb_dev_vsock_take_client(b->vsock, fds[1]), 0);
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		assert_int_equal(send(fds[0], line + i, 1, 0), 1);
	settle(b);
	expect_bytes(fds[0], "OK 1337\n", 8);
	d = vmb_user_socket_find(&b->guest, PORT);
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(vmb_user_socket_send(d, bytes + 1000 * i, 1000), 1000);
	settle(b);
	assert_int_equal(recv(fds[0], got, sizeof(got), MSG_DONTWAIT), sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
	assert_int_equal(b->vsock->counters.packets_in, 30);
	close(fds[0]);
	expect_all_gone(b);
	bed_free(b);
}

static void test_nothing_is_lost_when_the_guest_closes(void **state)
{
	static uint8_t bytes[LONG], got[LONG];
	struct bed *b = bed_new(0, 64);
	struct vmb_user_device *d;
	size_t sent = 0, in = 0;
	ssize_t n;
	int fd;

	fill_with_numbers(bytes, LONG);
	d = connect_in(b, &fd);
	do {
		n = vmb_user_socket_send(d, bytes + sent, (uint32_t)(LONG - sent));
		sent += n;
		settle(b);
	} while (n);
	assert_true(sent > 64 * 4096); /* more than the ring: the socket is full too */
	vmb_user_guest_close(&b->guest, d);
	settle(b);
	assert_ptr_equal(b->machine.bus->server.first, NULL); /* the guest has all of its memory */
	assert_int_equal(used(b), 1);
	while ((n = recv(fd, got + in, LONG - in, MSG_DONTWAIT)) > 0) {
		in += n;
		settle(b);
	}
	assert_int_equal(n, 0);
	assert_int_equal(in, sent);
	assert_memory_equal(got, bytes, sent);
	assert_int_equal(b->vsock->counters.cut, 0);
	expect_all_gone(b);
	close(fd);
	bed_free(b);
}

static void test_a_client_that_never_reads_is_given_up(void **state)
{
	static uint8_t bytes[LONG];
	struct bed *b = bed_new(0, 64);
	struct vmb_user_device *d;
	int fd;

	d = connect_in(b, &fd);
	while (vmb_user_socket_send(d, bytes, LONG) > 0)
		settle(b);
	vmb_user_guest_close(&b->guest, d);
	pass(b, 59);
	assert_int_equal(used(b), 1);
	pass(b, 2);
	assert_int_equal(used(b), 0);
	assert_true(b->vsock->counters.cut > 0);
	close(fd);
	bed_free(b);
}

/* The client writes and leaves: the guest gets it all, and then the channel goes. */
static void test_nothing_is_lost_when_the_client_closes(void **state)
{
	static uint8_t bytes[100000];
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	fill_with_numbers(bytes, sizeof(bytes));
	serve(b);
	d = connect_out(b, &fd);
	d->socket.deaf = true;
	assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
	close(fd);
	settle(b);
	assert_int_equal(vmb_user_socket_send(d, "who is there", 12), 12);
	pass(b, 50);
	assert_false(d->channel.rescinded);
	d->socket.deaf = false;
	d->interrupted = true;
	settle(b);
	assert_int_equal(d->socket.got_len, sizeof(bytes));
	assert_memory_equal(d->socket.got, bytes, sizeof(bytes));
	assert_true(d->socket.stream.ended_in);
	expect_all_gone(b);
	bed_free(b);
}

/* The client has left, the guest has ended and does not read. */
static void test_a_guest_that_never_reads_is_given_up(void **state)
{
	static uint8_t bytes[LONG];
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	d = connect_in(b, &fd);
	d->socket.deaf = true;
	while (send(fd, bytes, LONG, MSG_DONTWAIT) > 0)
		settle(b);
	close(fd);
	settle(b);
	pass(b, 40);
	/* Whoever reads a little gets more time. */
	d->socket.deaf = false;
	d->interrupted = true;
	vmb_user_guest_step(&b->guest);
	d->socket.deaf = true;
	settle(b);
	pass(b, 59);
	assert_false(d->channel.rescinded);
	pass(b, 2);
	assert_true(d->channel.rescinded);
	expect_all_gone(b);
	bed_free(b);
}

/* Like Linux, which closes by itself only what it has read to the end. */
static void test_a_guest_that_ends_last_and_does_not_read_has_less_time(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	d = connect_in(b, &fd);
	d->socket.deaf = true;
	close(fd);
	settle(b);
	pass(b, 20);
	assert_int_equal(vmb_user_socket_end(d), 0);
	pass(b, 1);
	pass(b, 6);
	assert_false(d->channel.rescinded);
	pass(b, 2);
	assert_true(d->channel.rescinded);
	expect_all_gone(b);
	bed_free(b);
}

/* A guest that keeps channels which were rescinded uses up none of the places. */
static void test_a_channel_that_is_not_released_takes_no_place(void **state)
{
	struct bed *b = bed_new(0, 2);
	int fd;

	b->guest.keeps = true;
	for (uint32_t i = 0; i < VMB_DEV_VSOCK_MAX + 10; i++) {
		connect_in(b, &fd);
		close(fd);
		settle(b);
		assert_int_equal(used(b), 0);
	}
	b->guest.keeps = false;
	expect_all_gone(b);
	assert_null(b->vsock->leaving);
	bed_free(b);
}

/* Past the guest's engine. */
static void post(struct bed *b, const void *message, uint32_t len)
{
	assert_int_equal(vmb_user_machine_post(&b->machine, b->guest.connect.message_connection_id,
					       message, len),
			 0);
}

/* Lends four pages more to the channel: two rings of a page each. */
static void lend_small_rings(struct bed *b, uint32_t relid, uint32_t gpadl_id, uint64_t pfns[4])
{
	struct {
		struct vmb_msg_gpadl_header head;
		uint32_t byte_count, byte_offset;
		uint64_t pfns[4];
	} VMB_PACKED m = { .head.header.type = VMB_MSG_GPADL_HEADER,
			   .head.relid = relid,
			   .head.gpadl_id = gpadl_id,
			   .head.ranges_len = 40,
			   .head.range_count = 1,
			   .byte_count = 4 * VMB_PAGE_LEN };

	assert_true(vmb_user_memory_alloc(&b->machine.memory, pfns, 4));
	memcpy(m.pfns, pfns, sizeof(m.pfns));
	post(b, &m, sizeof(m));
	settle(b);
}

static void write_small_ring(struct bed *b, const uint64_t *pfns, const uint8_t *bytes)
{
	void *pages = vmb_user_memory_map(&b->machine.memory, pfns, 2);
	struct vmb_stream_packet packet;
	struct vmb_ring_writer tx;

	assert_int_equal(vmb_ring_writer_init(&tx, pages, (uint8_t *)pages + VMB_PAGE_LEN,
					      VMB_PAGE_LEN, false),
			 0);
	vmb_stream_data(&packet, bytes, 2000);
	assert_int_equal(vmb_ring_write(&tx, &packet.packet), 0);
	vmb_ring_commit(&tx);
	vmb_user_memory_unmap(pages, 2);
}

static size_t fill_up(struct bed *b, struct vmb_user_device *d, const uint8_t *bytes)
{
	size_t sent = 0;
	int n;

	while ((n = vmb_user_socket_send(d, bytes + sent, (uint32_t)(LONG - sent))) > 0) {
		sent += (size_t)n;
		settle(b);
	}
	return sent;
}

/*
 * A guest closes and opens at once, with smaller rings, when its client has not read yet. That
 * opening must not happen: what the first ring held is more than the second one can hold.
 */
static void test_a_channel_is_opened_only_once(void **state)
{
	static uint8_t bytes[LONG], got[LONG];
	struct bed *b = bed_new(0, 64);
	struct vmb_msg_relid close_message = { .header.type = VMB_MSG_CLOSE };
	struct vmb_msg_open open_message = { .header.type = VMB_MSG_OPEN,
					     .gpadl_id = 0x7777,
					     .downstream_page = 2 };
	struct vmb_user_device *d;
	uint64_t pfns[4];
	size_t sent, in = 0;
	ssize_t n;
	int fd;

	fill_with_numbers(bytes, LONG);
	d = connect_in(b, &fd);
	lend_small_rings(b, d->channel.relid, open_message.gpadl_id, pfns);
	write_small_ring(b, pfns, bytes);
	sent = fill_up(b, d, bytes);
	close_message.relid = open_message.relid = d->channel.relid;
	post(b, &close_message, sizeof(close_message));
	post(b, &open_message, VMB_MSG_OPEN_LEN);
	settle(b);
	while ((n = recv(fd, got + in, LONG - in, MSG_DONTWAIT)) > 0) {
		in += (size_t)n;
		settle(b);
	}
	assert_int_equal(n, 0);
	assert_int_equal(in, sent);
	assert_memory_equal(got, bytes, sent);
	assert_int_equal(b->vsock->counters.from_host, 1);
	expect_all_gone(b);
	close(fd);
	bed_free(b);
}

static void test_a_slow_reader_holds_up_nobody(void **state)
{
	static uint8_t bytes[LONG];
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *slow, *fast, *deaf;
	int slow_fd, fast_fd, deaf_fd;

	slow = connect_in(b, &slow_fd);
	while (vmb_user_socket_send(slow, bytes, LONG) > 0)
		settle(b);
	deaf = connect_in(b, &deaf_fd);
	deaf->socket.deaf = true;
	while (send(deaf_fd, bytes, LONG, MSG_DONTWAIT) > 0)
		settle(b);
	fast = connect_in(b, &fast_fd);
	both_ways(b, fast, fast_fd);
	close(slow_fd);
	close(deaf_fd);
	close(fast_fd);
	bed_free(b);
}

/* A client may shut its reading half and go on to send. */
static void test_a_client_that_only_sends(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int fd;

	serve(b);
	d = connect_out(b, &fd);
	shutdown(fd, SHUT_RD);
	vmb_user_socket_send(d, "unheard", 7);
	pass(b, 30);
	send(fd, "heard", 5, 0);
	settle(b);
	expect_got(d, "heard");
	close(fd);
	expect_all_gone(b);
	bed_free(b);
}

/* A packet that is longer than it says, in the middle of a connection. */
static void test_guest_that_breaks_the_protocol_loses_that_connection(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *bad, *good;
	const struct vmb_pipe_header header = { VMB_PIPE_DATA, 100 };
	const struct vmb_ring_part part = { &header, sizeof(header) };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.payload = &part,
						.payload_count = 1 };
	int bad_fd, good_fd;

	good = connect_in(b, &good_fd);
	bad = connect_in(b, &bad_fd);
	assert_int_equal(vmb_ring_write(&bad->tx, &packet), 0);
	vmb_user_socket_send(bad, "x", 1);
	settle(b);
	expect_end(bad_fd);
	assert_int_equal(b->vsock->counters.broken, 1);
	assert_int_equal(used(b), 1);
	vmb_user_socket_send(good, "fine", 4);
	settle(b);
	expect_bytes(good_fd, "fine", 4);
	close(bad_fd);
	close(good_fd);
	bed_free(b);
}

static void test_rings_have_a_bound(void **state)
{
	struct bed *b = bed_new(0, 200);
	int fd = client_of(b, "CONNECT 1337\n");

	expect_nothing(fd);
	pass(b, 6);
	expect_end(fd);
	expect_all_gone(b);
	close(fd);
	bed_free(b);
}

/* The place for one more is free only when one has ended; the client waits until then. */
static void test_connections_have_a_bound(void **state)
{
	struct bed *b = bed_new(0, 2);
	int fds[VMB_DEV_VSOCK_MAX], late;
	struct vmb_user_dial dial;

	serve(b);
	for (uint32_t i = 0; i < VMB_DEV_VSOCK_MAX; i++)
		connect_in(b, &fds[i]);
	late = client_of(b, "CONNECT 1337\n");
	expect_nothing(late);
	vmb_user_socket_dial(&b->guest, &dial, FROM, SERVER_PORT);
	settle(b);
	assert_true(dial.refused);
	close(fds[0]);
	settle(b);
	expect_bytes(late, "OK 1337\n", 8);
	close(late);
	for (uint32_t i = 1; i < VMB_DEV_VSOCK_MAX; i++)
		close(fds[i]);
	expect_all_gone(b);
	bed_free(b);
}

/* Each connection of a guest that leaves the bus ends, whatever it was doing. */
static void test_guest_that_leaves_takes_its_connections_along(void **state)
{
	struct bed *b = bed_new(0, 6);
	struct vmb_user_device *d;
	int in, out, waiting;

	serve(b);
	d = connect_out(b, &out);
	connect_in(b, &in);
	waiting = client_of(b, "CONNECT 9\n");
	vmb_user_socket_send(d, "last", 4);
	assert_int_equal(vmb_user_guest_unload(&b->guest), 0);
	expect_all_gone(b);
	expect_bytes(out, "last", 4);
	expect_end(out);
	expect_end(in);
	expect_end(waiting);
	/* Nobody is there now. */
	close(waiting);
	waiting = client_of(b, "CONNECT 1337\n");
	expect_end(waiting);
	/* The next connection to the bus has sockets again. */
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	close(in);
	connect_in(b, &in);
	close(in);
	close(out);
	close(waiting);
	bed_free(b);
}

static void test_old_guests_have_no_sockets(void **state)
{
	struct bed *b = bed_new(VMB_VERSION_3_0, 6);
	struct vmb_user_dial dial;
	int fd = client_of(b, "CONNECT 1337\n");

	expect_end(fd);
	assert_int_equal(vmb_user_socket_dial(&b->guest, &dial, FROM, SERVER_PORT), VMB_EOPNOTSUPP);
	close(fd);
	bed_free(b);
}

/* 4.0 says nothing when it refuses; the next connection works. */
static void test_version_4_0_refuses_by_silence(void **state)
{
	struct bed *b = bed_new(VMB_VERSION_4_0, 6);
	struct vmb_user_device *d;
	struct vmb_user_dial dial;
	int fd;

	vmb_user_socket_dial(&b->guest, &dial, FROM + 1, SERVER_PORT);
	settle(b);
	assert_false(dial.refused);
	vmb_guest_socket_hang_up(&b->guest.connect, &dial.dial);
	serve(b);
	d = connect_out(b, &fd);
	vmb_user_socket_send(d, "old", 3);
	settle(b);
	expect_bytes(fd, "old", 3);
	close(fd);
	bed_free(b);
}

/* Anything, in any order. */

#define WALKERS 6u

struct walker {
	int fd;
	struct vmb_user_device *d;
	struct vmb_user_dial dial;
	bool dialling;
};

static uint32_t roll_state;

static uint32_t roll(uint32_t count)
{
	roll_state = roll_state * 1664525u + 1013904223u;
	return (roll_state >> 8) % count;
}

static void walk_client(struct bed *b, struct walker *w)
{
	static uint8_t bytes[20000];

	switch (roll(w->fd < 0 ? 1 : 6)) {
	case 0:
		if (w->fd < 0)
			w->fd = unix_socket(b->path, false);
		if (roll(8))
			send(w->fd, "CONNECT 1337\n", 13, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 1: send(w->fd, bytes, roll(sizeof(bytes)), MSG_DONTWAIT | MSG_NOSIGNAL); break;
	case 2: recv(w->fd, bytes, roll(sizeof(bytes)), MSG_DONTWAIT); break;
	case 3: shutdown(w->fd, (int)roll(3)); break;
	case 4:
		close(w->fd);
		w->fd = -1;
		break;
	default: break;
	}
}

static void walk_guest(struct bed *b, struct walker *w)
{
	static uint8_t bytes[20000];
	struct vmb_user_device *d = w->d;

	switch (roll(7)) {
	case 0: w->d = vmb_user_socket_find(&b->guest, PORT); break;
	case 1:
		if (d && !d->socket.stream.ended_out)
			vmb_user_socket_send(d, bytes, roll(sizeof(bytes)));
		break;
	case 2:
		if (d && !d->socket.stream.ended_out)
			vmb_user_socket_end(d);
		break;
	case 3:
		if (d)
			d->want_open = false;
		break;
	case 4:
		if (d)
			d->interrupted = d->socket.deaf = !d->socket.deaf;
		break;
	case 5:
		if (w->dialling)
			vmb_guest_socket_hang_up(&b->guest.connect, &w->dial.dial);
		w->dialling = !vmb_user_socket_dial(&b->guest, &w->dial, roll(8), SERVER_PORT);
		break;
	default: break;
	}
}

static void walk_server(struct bed *b)
{
	int fd = accept4(b->server, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
}

static void walk(struct bed *b, uint32_t seed)
{
	struct walker walkers[WALKERS] = { 0 };

	roll_state = seed;
	for (uint32_t i = 0; i < WALKERS; i++)
		walkers[i].fd = -1;
	for (uint32_t i = 0; i < 400; i++) {
		struct walker *w = &walkers[roll(WALKERS)];

		if (roll(2))
			walk_client(b, w);
		else
			walk_guest(b, w);
		if (!roll(16))
			walk_server(b);
		now_ns += roll(8) ? 1000 : roll(4) * SECOND_NS;
		for (uint32_t n = roll(6); n; n--)
			step(b);
	}
	for (uint32_t i = 0; i < WALKERS; i++) {
		if (walkers[i].dialling)
			vmb_guest_socket_hang_up(&b->guest.connect, &walkers[i].dial.dial);
		if (walkers[i].fd >= 0)
			close(walkers[i].fd);
	}
	assert_int_equal(vmb_user_guest_unload(&b->guest), 0);
	pass(b, 61);
	walk_server(b);
	expect_all_gone(b);
}

static void test_any_order(void **state)
{
	for (uint32_t seed = 1; seed <= 40; seed++) {
		struct bed *b = bed_new(0, 3);

		serve(b);
		walk(b, seed);
		bed_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_reaches_a_listener),
		cmocka_unit_test(test_what_follows_the_greeting_belongs_to_the_guest),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_other_greetings_are_refused),
		cmocka_unit_test(test_who_says_nothing_is_sent_away),
		cmocka_unit_test(test_guest_reaches_a_server),
		cmocka_unit_test(test_a_guest_that_asked_has_time_to_open_its_channel),
		cmocka_unit_test(test_guest_is_refused),
		cmocka_unit_test(test_each_direction_ends_by_itself),
		cmocka_unit_test(test_a_mebibyte_each_way),
		cmocka_unit_test(test_packets_become_few_calls),
		cmocka_unit_test(test_nothing_is_lost_when_the_guest_closes),
		cmocka_unit_test(test_a_client_that_never_reads_is_given_up),
		cmocka_unit_test(test_nothing_is_lost_when_the_client_closes),
		cmocka_unit_test(test_a_guest_that_never_reads_is_given_up),
		cmocka_unit_test(test_a_guest_that_ends_last_and_does_not_read_has_less_time),
		cmocka_unit_test(test_a_channel_that_is_not_released_takes_no_place),
		cmocka_unit_test(test_a_channel_is_opened_only_once),
		cmocka_unit_test(test_a_slow_reader_holds_up_nobody),
		cmocka_unit_test(test_a_client_that_only_sends),
		cmocka_unit_test(test_guest_that_breaks_the_protocol_loses_that_connection),
		cmocka_unit_test(test_rings_have_a_bound),
		cmocka_unit_test(test_connections_have_a_bound),
		cmocka_unit_test(test_guest_that_leaves_takes_its_connections_along),
		cmocka_unit_test(test_old_guests_have_no_sockets),
		cmocka_unit_test(test_version_4_0_refuses_by_silence),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
