// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The switch as a process, with honest cards and with clients that are none.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/cable.h"
#include "devices/switch/switch.h"

#define CARD_MAX 4
#define WAIT_MS	 5000
#define QUIET_MS 50
#define LEN_MAX	 VMB_DEV_NET_FRAME_MAX

struct card {
	struct vmb_dev_net net;
	uint8_t last[LEN_MAX];
	struct virtio_net_hdr_v1 last_header;
	uint32_t last_len;
	uint64_t count;
	uint32_t next; /* number that the next frame of a series must have */
};

static char folder[] = "/tmp/vmm-switch-XXXXXX", path[64], log_path[64];
static struct card cards[CARD_MAX];
static pid_t pid;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* A socket has its name a moment before it takes connections; its flags say when it does. */
static bool listens(void)
{
	FILE *sockets = fopen("/proc/net/unix", "re");
	char line[512], name[256];
	unsigned int flags;
	bool found = false;

	while (sockets && !found && fgets(line, sizeof(line), sockets))
		found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255s", &flags, name) == 2 &&
			flags & 0x10000 && strcmp(name, path) == 0;
	if (sockets)
		fclose(sockets);
	return found;
}

/* The switch's own words go to a file. */
static void start_switch(const char *ports)
{
	char *argv[] = { "switch", path, "--ports", (char *)ports, NULL };
	uint64_t end = now_ms() + WAIT_MS;
	int out;

	unlink(log_path);
	pid = fork();
	if (!pid) {
		out = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		dup2(out, STDERR_FILENO);
		_exit(vmb_dev_switch_run(4, argv, NULL));
	}
	while (now_ms() < end && !listens())
		usleep(1000);
}

static int stop_switch(int signal)
{
	int status = -1;

	if (!pid)
		return -1;
	kill(pid, signal);
	waitpid(pid, &status, 0);
	pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool log_has(const char *text)
{
	static char log[65536];
	int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[len < 0 ? 0 : len] = 0;
	return strstr(log, text) != NULL;
}

static void receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	struct card *card = arg;

	card->count++;
	card->last_header = frame->header;
	card->last_len = vmb_dev_net_gather(frame, card->last, sizeof(card->last));
	assert_int_equal(card->last_len, frame->len);
}

static void plug_in(int number)
{
	static const struct vmb_dev_net_option option = { .kind = VMB_DEV_NET_SWITCH,
							  .target = path,
							  .mtu_max = 1500 };

	memset(&cards[number], 0, sizeof(cards[number]));
	assert_int_equal(vmb_dev_net_open(&cards[number].net, &option, receive, &cards[number]), 0);
	assert_true(cards[number].net.takes_large);
}

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	start_switch("4");
	for (int i = 0; i < 3; i++)
		plug_in(i);
	return 0;
}

/* A switch that did not live to its end, or ends with a sanitizer's word, fails the test too. */
static int tear_down(void **state)
{
	int code;

	for (int i = 0; i < CARD_MAX; i++)
		if (cards[i].net.ops)
			vmb_dev_net_close(&cards[i].net);
	code = pid ? stop_switch(SIGTERM) : 0;
	unlink(path);
	unlink(log_path);
	return rmdir(folder) || code;
}

static void turn(struct card *card, int timeout)
{
	struct pollfd fds[4];
	uint32_t count = card->net.ops->fill(&card->net, fds, 4, &timeout);

	poll(fds, count, timeout);
	card->net.ops->take(&card->net, fds, count);
}

static void turn_all(void)
{
	for (int i = 0; i < CARD_MAX; i++)
		if (cards[i].net.ops)
			turn(&cards[i], 0);
}

static void wait_for_count(int number, uint64_t count)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (cards[number].count < count && now_ms() < end)
		turn(&cards[number], 10);
	assert_int_equal(cards[number].count, count);
}

static void stays_quiet(int number, uint64_t count)
{
	uint64_t end = now_ms() + QUIET_MS;

	while (now_ms() < end)
		turn(&cards[number], 5);
	assert_int_equal(cards[number].count, count);
}

static const uint8_t *mac(int number)
{
	static uint8_t bytes[2][6];
	static int turn_of;
	uint8_t *one = bytes[turn_of ^= 1];

	memset(one, number < 0 ? 0xFF : 0, 6);
	if (number >= 0) {
		one[0] = 2;
		one[5] = number;
	}
	return one;
}

static uint8_t frame_bytes[LEN_MAX];

static enum vmb_dev_net_sent put(int from, int to, uint32_t len,
				 const struct virtio_net_hdr_v1 *header)
{
	struct iovec iov[2] = { { frame_bytes, 3 }, { frame_bytes + 3, len - 3 } };
	struct vmb_dev_net_frame frame = { .iov = iov, .iov_count = 2, .len = len };

	if (header)
		frame.header = *header;
	memcpy(frame_bytes, mac(to), 6);
	memcpy(frame_bytes + 6, mac(from), 6);
	return vmb_dev_net_send(&cards[from].net, &frame);
}

/* Everybody was heard once. */
static void learn(void)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(i, -1, 60, NULL), VMB_DEV_NET_SENT);
	for (int i = 0; i < 3; i++)
		wait_for_count(i, 2);
}

static void test_unknown_and_group_addresses_reach_all_others(void **state)
{
	assert_int_equal(put(0, 1, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(1, 1);
	wait_for_count(2, 1);
	assert_int_equal(put(0, -1, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(1, 2);
	wait_for_count(2, 2);
	stays_quiet(0, 0);
}

static void test_known_address_reaches_one_port_alone(void **state)
{
	learn();
	assert_int_equal(put(0, 2, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(2, 3);
	stays_quiet(1, 2);
	assert_int_equal(put(0, 0, 60, NULL), VMB_DEV_NET_SENT); /* to its own port: nowhere */
	stays_quiet(0, 2);
	stays_quiet(1, 2);
}

static void test_large_frames_and_open_checksums_pass_unsplit(void **state)
{
	static const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							 .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
							 .hdr_len = 74,
							 .gso_size = 1428,
							 .csum_start = 54,
							 .csum_offset = 16 };

	learn();
	for (uint32_t i = 12; i < LEN_MAX; i++)
		frame_bytes[i] = i * 31 + i / 255;
	assert_int_equal(put(0, 1, LEN_MAX, &header), VMB_DEV_NET_SENT);
	wait_for_count(1, 3);
	assert_int_equal(cards[1].last_len, LEN_MAX);
	assert_memory_equal(cards[1].last, frame_bytes, LEN_MAX);
	assert_memory_equal(&cards[1].last_header, &header, sizeof(header));
}

/* The sender is faster than the receiver, and nothing is lost: it is told to wait. */
static void test_fast_sender_waits_for_a_slow_receiver(void **state)
{
	uint64_t refused = 0, end = now_ms() + 4 * WAIT_MS;
	const uint32_t count = 20000;

	learn();
	for (uint32_t i = 0; i < count && now_ms() < end;) {
		memcpy(frame_bytes + 14, &i, 4);
		if (put(0, 1, 1514, NULL) == VMB_DEV_NET_SENT) {
			i++;
			continue;
		}
		assert_true(cards[0].net.full);
		refused++;
		turn(&cards[1], 0);
		if (cards[1].count > 2)
			memcpy(&cards[1].next, cards[1].last + 14, 4);
		turn(&cards[0], 0);
	}
	wait_for_count(1, 2 + count);
	memcpy(&cards[1].next, cards[1].last + 14, 4);
	assert_int_equal(cards[1].next, count - 1);
	assert_true(refused > 0);
	assert_int_equal(cards[0].net.dropped, 0);
	assert_int_equal(stop_switch(SIGTERM), 0);
	assert_true(log_has("stats: port 1: 1 frames in, 20002 out, 0 dropped"));
}

/* Nobody else suffers from a port that does not read. */
static void test_dead_port_does_not_stop_the_others(void **state)
{
	uint64_t end = now_ms() + 2 * WAIT_MS;
	uint32_t sent = 0, i = 0;

	learn();
	while (sent < 200 && now_ms() < end) { /* card 1 never takes */
		if (put(0, 1, 1514, NULL) != VMB_DEV_NET_SENT)
			turn(&cards[0], 1);
		if (i++ % 10)
			continue;
		if (put(0, 2, 60, NULL) == VMB_DEV_NET_SENT)
			sent++;
		turn(&cards[2], 0);
	}
	wait_for_count(2, 2 + sent);
	assert_int_equal(sent, 200);
}

static int hostile(void)
{
	struct sockaddr_un at;
	int fd = vmb_dev_net_cable_socket(&at, path);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void works_on(void)
{
	uint64_t before[2];

	turn_all();
	before[0] = cards[1].count;
	before[1] = cards[0].count;
	assert_int_equal(put(0, 1, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(1, before[0] + 1);
	assert_int_equal(put(1, 0, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(0, before[1] + 1);
}

static void test_messages_that_are_no_frames_end_their_port(void **state)
{
	static uint8_t bytes[200000];
	static const uint32_t lens[] = { 0, 1, 12, 25, 12 + LEN_MAX + 1, sizeof(bytes) };
	struct pollfd poller;

	learn();
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		poller = (struct pollfd){ .fd = hostile(), .events = POLLIN };
		if (send(poller.fd, bytes, lens[i], MSG_NOSIGNAL) == (ssize_t)lens[i]) {
			assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
			assert_true(recv(poller.fd, bytes, 1, MSG_DONTWAIT) <= 0);
		}
		close(poller.fd);
		works_on();
	}
}

/* Random messages, addresses of others, silence, and leaving at any time. */
static void test_hostile_clients_leave_the_switch_working(void **state)
{
	static uint8_t bytes[4096];
	uint32_t seed = 3;
	int fd = -1;

	learn();
	for (int round = 0; round < 20000; round++) {
		seed = seed * 1664525 + 1013904223;
		if (fd < 0)
			fd = hostile();
		for (uint32_t i = 0; i < 24; i++)
			bytes[i] = seed >> (i % 24);
		if (send(fd, bytes, seed % 64 ? 26 + (seed >> 8) % 4000 : seed >> 28,
			 MSG_NOSIGNAL) < 0 &&
		    errno != EAGAIN) {
			close(fd);
			fd = -1;
		}
		if (round % 256 == 0)
			turn_all();
	}
	close(fd);
	usleep(100000);
	for (int i = 0; i < 100; i++)
		turn_all();
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(i, -1, 60, NULL), VMB_DEV_NET_SENT);
	usleep(100000);
	for (int i = 0; i < 20; i++)
		turn_all();
	works_on();
	assert_int_equal(stop_switch(SIGTERM), 0);
}

static void test_more_ports_than_allowed_are_refused(void **state)
{
	struct pollfd more = { .fd = hostile(), .events = POLLIN }, over;
	uint64_t end = now_ms() + WAIT_MS;
	bool free_again = false;
	char byte;

	over = (struct pollfd){ .fd = hostile(), .events = POLLIN };
	assert_int_equal(poll(&over, 1, WAIT_MS), 1);
	assert_int_equal(recv(over.fd, &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(poll(&more, 1, QUIET_MS), 0);
	close(more.fd);
	while (!free_again && now_ms() < end) { /* a port that was left */
		more.fd = hostile();
		free_again = poll(&more, 1, QUIET_MS) == 0;
		close(more.fd);
	}
	assert_true(free_again);
	close(over.fd);
	works_on();
}

static void test_headers_that_cannot_be_true_do_not_reach_the_card(void **state)
{
	static const struct virtio_net_hdr_v1 headers[] = {
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 59, .csum_offset = 0 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 65535 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0, .csum_offset = 6 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		  .gso_size = 1448,
		  .hdr_len = 61 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VIRTIO_NET_HDR_GSO_UDP,
		  .gso_size = 1448 },
	};
	const uint32_t count = sizeof(headers) / sizeof(headers[0]);

	learn();
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(put(0, 1, 60, &headers[i]), VMB_DEV_NET_SENT);
	assert_int_equal(put(0, 1, 60, NULL), VMB_DEV_NET_SENT);
	wait_for_count(1, 3);
	assert_int_equal(cards[1].net.malformed, count);
}

static void wait_for_link(int number, bool up)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (cards[number].net.link_up != up && now_ms() < end)
		turn(&cards[number], 10);
	assert_int_equal(cards[number].net.link_up, up);
}

static void test_link_follows_the_switch(void **state)
{
	struct pollfd fds[4];
	int timeout = -1;

	learn();
	assert_int_equal(stop_switch(SIGTERM), 0);
	assert_true(log_has("stats: switch: 3 connections, 0 refused"));
	assert_int_equal(access(path, F_OK), -1);
	for (int i = 0; i < 3; i++)
		wait_for_link(i, false);
	assert_int_equal(put(0, 1, 60, NULL), VMB_DEV_NET_DROPPED);
	assert_int_equal(cards[0].net.ops->fill(&cards[0].net, fds, 4, &timeout), 0);
	assert_in_range(timeout, 0, 3200);
	start_switch("4");
	for (int i = 0; i < 3; i++)
		wait_for_link(i, true);
	for (int i = 0; i < 3; i++)
		cards[i].count = 0;
	learn();
	works_on();
}

static void test_killed_switchs_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	char *argv[] = { "switch", path, NULL };
	pid_t live = pid;

	assert_int_equal(vmb_dev_switch_run(2, argv, NULL), 2);
	works_on();
	assert_int_equal(stop_switch(SIGKILL), -SIGKILL);
	assert_int_equal(access(path, F_OK), 0);
	start_switch("2");
	assert_int_not_equal(pid, live);
	wait_for_link(0, false);
	wait_for_link(0, true);
}

static void test_file_that_is_no_socket_stays(void **state)
{
	char *argv[] = { "switch", log_path, NULL };
	struct stat about;

	assert_int_equal(vmb_dev_switch_run(2, argv, NULL), 2);
	assert_int_equal(stat(log_path, &about), 0);
	assert_true(S_ISREG(about.st_mode));
}

static void test_no_switch_is_an_error_at_the_start(void **state)
{
	struct vmb_dev_net net;
	struct vmb_dev_net_option option = { .kind = VMB_DEV_NET_SWITCH,
					     .target = log_path,
					     .mtu_max = 1500 };

	assert_int_equal(vmb_dev_net_open(&net, &option, receive, NULL), -EINVAL);
	option.target = "/nowhere/s";
	assert_int_equal(vmb_dev_net_open(&net, &option, receive, NULL), -EINVAL);
	assert_null(net.ops);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_and_group_addresses_reach_all_others),
		TEST(test_known_address_reaches_one_port_alone),
		TEST(test_large_frames_and_open_checksums_pass_unsplit),
		TEST(test_fast_sender_waits_for_a_slow_receiver),
		TEST(test_dead_port_does_not_stop_the_others),
		TEST(test_messages_that_are_no_frames_end_their_port),
		TEST(test_hostile_clients_leave_the_switch_working),
		TEST(test_more_ports_than_allowed_are_refused),
		TEST(test_headers_that_cannot_be_true_do_not_reach_the_card),
		TEST(test_link_follows_the_switch),
		TEST(test_killed_switchs_socket_is_replaced_and_a_live_one_is_not),
		TEST(test_file_that_is_no_socket_stays),
		TEST(test_no_switch_is_an_error_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
