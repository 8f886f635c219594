// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a guest of a user network is told of name servers, and where its questions go. The machine's
 * list of name servers is the test's: libslirp and the network look for it through here, and what
 * libslirp sends is only looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/net.h"
#include "devices/net/resolver.h"

#define FRAME_MAX 1514u
#define LIST	  "/etc/resolv.conf"

static char folder[] = "/tmp/vmm-resolver-XXXXXX", list[64], words[64];
static struct vmb_dev_net net;
static struct sockaddr_storage asked; /* where the last question went */
static uint8_t offer[FRAME_MAX]; /* the last frame of DHCP */
static uint32_t offer_len;

/* The libraries' calls */

FILE *fopen(const char *path, const char *mode)
{
	int fd = open(strcmp(path, LIST) == 0 ? list : path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, mode);
}

/* libslirp's names for them */
FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

int stat64(const char *path, struct stat64 *about)
{
	return fstatat64(AT_FDCWD, strcmp(path, LIST) == 0 ? list : path, about, 0);
}

int stat(const char *path, struct stat *about)
{
	return fstatat(AT_FDCWD, strcmp(path, LIST) == 0 ? list : path, about, 0);
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	memcpy(&asked, to, to_len);
	return len;
}

static void put_list(const char *text)
{
	char fresh[80];
	int fd;

	snprintf(fresh, sizeof(fresh), "%s.new", list);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(rename(fresh, list), 0);
}

static void receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	uint8_t bytes[FRAME_MAX];

	if (!vmb_dev_net_gather(frame, bytes, sizeof(bytes)) ||
	    !vmb_dev_net_resolvers_is_dhcp(bytes, frame->len))
		return;
	memcpy(offer, bytes, frame->len);
	offer_len = frame->len;
}

/* Answers what the network says meanwhile. */
static const char *open_net(const char *text)
{
	static char value[64], said[1024];
	struct vmb_dev_net_option option;
	int old = dup(STDERR_FILENO),
	    fd = open(words, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t len;

	strcpy(value, text);
	assert_int_equal(vmb_dev_net_parse(&option, value, 0), 0);
	dup2(fd, STDERR_FILENO);
	assert_int_equal(vmb_dev_net_open(&net, &option, receive, &net), 0);
	dup2(old, STDERR_FILENO);
	close(old);
	len = pread(fd, said, sizeof(said) - 1, 0);
	said[len < 0 ? 0 : len] = 0;
	close(fd);
	return said;
}

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(list, sizeof(list), "%s/list", folder);
	snprintf(words, sizeof(words), "%s/words", folder);
	return 0;
}

static int tear_down(void **state)
{
	if (net.ops)
		vmb_dev_net_close(&net);
	unlink(list);
	unlink(words);
	return rmdir(folder);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint32_t sum(const uint8_t *at, uint32_t len, uint32_t start)
{
	for (uint32_t i = 0; i < len; i++)
		start += i & 1 ? at[i] : at[i] << 8;
	while (start >> 16)
		start = (start & 0xFFFF) + (start >> 16);
	return start;
}

static void put_udp(uint8_t *bytes, uint32_t from_port, uint32_t to_port, uint32_t len)
{
	struct iovec iov = { bytes, 42 + len };
	const struct vmb_dev_net_frame frame = { .iov = &iov, .iov_count = 1, .len = 42 + len };

	memset(bytes, 0xFF, 6);
	memcpy(bytes + 6, (const uint8_t[]){ 2, 0, 0, 0, 0, 9, 8, 0 }, 8);
	bytes[14] = 0x45;
	put16(bytes + 16, 28 + len);
	bytes[22] = 64;
	bytes[23] = IPPROTO_UDP;
	put16(bytes + 24, 0xFFFF ^ sum(bytes + 14, 20, 0));
	put16(bytes + 34, from_port);
	put16(bytes + 36, to_port);
	put16(bytes + 38, 8 + len);
	assert_int_equal(vmb_dev_net_send(&net, &frame), VMB_DEV_NET_SENT);
}

/* Asks for an address; the offer is there when this returns. */
static void discover(void)
{
	static const uint8_t cookie[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };
	uint8_t bytes[FRAME_MAX] = { 0 };

	offer_len = 0;
	memset(bytes + 30, 0xFF, 4);
	bytes[42] = bytes[43] = 1;
	bytes[44] = 6;
	memcpy(bytes + 70, (const uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
	memcpy(bytes + 278, cookie, sizeof(cookie));
	put_udp(bytes, 68, 67, 300);
	assert_int_not_equal(offer_len, 0);
	/* Whatever was changed, the checksum is right. */
	assert_int_equal(sum(offer + 34, offer_len - 34, sum(offer + 26, 8, 17 + offer_len - 34)),
			 0xFFFF);
}

/* The option of the offer, or NULL. */
static const uint8_t *offered(uint8_t code)
{
	for (uint32_t at = 282; at + 2 <= offer_len && offer[at] != 255;
	     at += offer[at] ? 2 + offer[at + 1] : 1)
		if (offer[at] == code)
			return offer + at;
	return NULL;
}

static const char *ask(void)
{
	static char text[INET6_ADDRSTRLEN];
	uint8_t bytes[FRAME_MAX] = { 0 };

	memset(&asked, 0, sizeof(asked));
	memcpy(bytes + 26, (const uint8_t[]){ 10, 0, 2, 15, 10, 0, 2, 3 }, 8);
	put_udp(bytes, 4000, 53, 30);
	inet_ntop(AF_INET, &((struct sockaddr_in *)&asked)->sin_addr, text, sizeof(text));
	return text;
}

static void test_guest_is_told_of_a_name_server(void **state)
{
	static const uint8_t server[] = { 6, 4, 10, 0, 2, 3 };

	put_list("# a comment\nsearch x\nnameserver fe80::1%eth0\nnameserver \t 192.0.2.1\n");
	assert_string_equal(open_net("user"), "");
	discover();
	assert_non_null(offered(6));
	assert_memory_equal(offered(6), server, sizeof(server));
	assert_string_equal(ask(), "192.0.2.1");
}

static void test_guest_is_told_of_none_that_does_not_work(void **state)
{
	put_list("nameserver fe80::1%eth0\n");
	assert_string_equal(
		open_net("user"),
		"openvmbus: --net user: /etc/resolv.conf has IPv6 name servers only: the "
		"guest is given fec0::3, and no name server for IPv4\n");
	discover();
	assert_null(offered(6));
	assert_non_null(offered(1)); /* network mask, gateway, lease time are there */
	assert_non_null(offered(3));
	assert_non_null(offered(51));
}

static void test_machine_without_name_servers_says_so(void **state)
{
	put_list("nameserver\nnameserver x\nnameservers 192.0.2.1\n");
	assert_string_equal(open_net("user"), "openvmbus: --net user: /etc/resolv.conf has no name "
					      "server: the guest has none\n");
	discover();
	assert_null(offered(6));
	vmb_dev_net_close(&net);
	unlink(list);
	assert_string_equal(open_net("user,restrict=on"), ""); /* it would have none anyway */
}

/* libslirp keeps an address for a second by its own clock, which goes on in take. */
static void let_time_pass(void)
{
	usleep(1100000);
	net.ops->take(&net, NULL, 0);
}

/* The machine moves to another network while the guest runs. */
static void test_changed_list_is_used(void **state)
{
	put_list("nameserver 2001:db8::1\n");
	open_net("user");
	discover();
	assert_null(offered(6));
	put_list("nameserver 192.0.2.7\n");
	discover();
	assert_non_null(offered(6));
	let_time_pass();
	assert_string_equal(ask(), "192.0.2.7");
	put_list("nameserver 192.0.2.88\n");
	let_time_pass();
	assert_string_equal(ask(), "192.0.2.88");
}

/* Only what libslirp says is changed, but it says what the guest has written. */
static void test_options_that_lie_about_their_length_stay(void **state)
{
	static const uint8_t cookie[] = { 0x63, 0x82, 0x53, 0x63 };
	static const struct {
		uint8_t options[8], hidden[8];
	} cases[] = {
		{ { 6, 4, 1, 2, 3, 4, 255, 9 }, { 0, 0, 0, 0, 0, 0, 255, 9 } },
		{ { 0, 6, 4, 1, 2, 3, 4, 255 }, { 0, 0, 0, 0, 0, 0, 0, 255 } },
		{ { 1, 1, 6, 6, 1, 7, 255, 6 }, { 1, 1, 6, 0, 0, 0, 255, 6 } },
		{ { 6, 7, 1, 2, 3, 4, 5, 6 }, { 6, 7, 1, 2, 3, 4, 5, 6 } },
		{ { 255, 0, 6, 3, 1, 2, 3, 0 }, { 255, 0, 6, 3, 1, 2, 3, 0 } },
		{ { 0, 0, 0, 0, 0, 0, 0, 6 }, { 0, 0, 0, 0, 0, 0, 0, 6 } },
	};
	uint8_t bytes[290] = { 0 };

	memcpy(bytes + 12, (const uint8_t[]){ 8, 0, 0x45 }, 3);
	bytes[23] = IPPROTO_UDP;
	put16(bytes + 34, 67);
	put16(bytes + 36, 68);
	memcpy(bytes + 278, cookie, sizeof(cookie));
	assert_true(vmb_dev_net_resolvers_is_dhcp(bytes, sizeof(bytes)));
	assert_false(vmb_dev_net_resolvers_is_dhcp(bytes, 281));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bytes + 282, cases[i].options, 8);
		vmb_dev_net_resolvers_hide(bytes, sizeof(bytes));
		assert_memory_equal(bytes + 282, cases[i].hidden, 8);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_guest_is_told_of_a_name_server),
		CASE(test_guest_is_told_of_none_that_does_not_work),
		CASE(test_machine_without_name_servers_says_so),
		CASE(test_changed_list_is_used),
		cmocka_unit_test(test_options_that_lie_about_their_length_stay),
	};

	return cmocka_run_group_tests_name("devices_net_resolver", tests, NULL, NULL);
}
