// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The user network seen by a guest that is a few frames made by hand: it gets an address, talks to
 * a server of this machine over UDP, is called through a forwarded port, and hears of an IPv6
 * router.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/limits.h"
#include "devices/net/flows.h"
#include "devices/net/loopback.h"
#include "devices/net/net.h"
#include "devices/net/redirect.h"

#define WAIT_MS	  5000
#define FRAME_MAX 2048u

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
static const uint8_t gateway[4] = { 10, 0, 2, 2 }, guest[4] = { 10, 0, 2, 15 };

static struct vmb_dev_net net;
static struct vmb_dev_net_option option;
static bool (*wanted)(const uint8_t *bytes, uint32_t len); /* NULL: none */
static uint8_t found[FRAME_MAX];
static uint32_t found_len;
static uint32_t longest; /* bytes of a frame that came */

/* The first frame that is wanted is kept. */
static void receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	uint8_t bytes[FRAME_MAX] = { 0 };

	assert_ptr_equal(arg, &net);
	assert_int_equal(frame->header.flags, 0);
	assert_int_equal(frame->header.gso_type, 0);
	longest = frame->len > longest ? frame->len : longest;
	if (!vmb_dev_net_gather(frame, bytes, sizeof(bytes)))
		return;
	if (found_len || !wanted || !wanted(bytes, frame->len))
		return;
	memcpy(found, bytes, frame->len);
	found_len = frame->len;
}

/* Before the frame that is answered: libslirp may answer at once. */
static void want(bool (*function)(const uint8_t *bytes, uint32_t len))
{
	wanted = function;
	found_len = 0;
}

static int open_net(const char *text)
{
	static char value[256];

	want(NULL);
	longest = 0;
	strcpy(value, text);
	assert_int_equal(vmb_dev_net_parse(&option, value, 0), 0);
	return vmb_dev_net_open(&net, &option, receive, &net);
}

static int tear_down(void **state)
{
	vmb_dev_net_close(&net);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void turn(int timeout)
{
	struct pollfd fds[VMB_DEV_NET_POLL_MAX];
	uint32_t count = net.ops->fill(&net, fds, VMB_DEV_NET_POLL_MAX, &timeout);

	assert_true(timeout >= 0);
	poll(fds, count, timeout);
	net.ops->take(&net, fds, count);
}

/* Goes on with the network until a frame came that is wanted. */
static void wait_for_it(void)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (!found_len && now_ms() < end)
		turn(20);
	assert_int_not_equal(found_len, 0);
}

static enum vmb_dev_net_sent put(uint8_t *bytes, uint32_t len)
{
	struct iovec iov[3] = { { bytes, 5 }, { bytes + 5, 20 }, { bytes + 25, len - 25 } };
	struct vmb_dev_net_frame frame = { .iov = iov, .iov_count = 3, .len = len };

	return vmb_dev_net_send(&net, &frame);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint32_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t sum(const uint8_t *at, uint32_t len, uint32_t start)
{
	for (uint32_t i = 0; i < len; i++)
		start += i & 1 ? at[i] : at[i] << 8;
	while (start >> 16)
		start = (start & 0xFFFF) + (start >> 16);
	return start;
}

static void start_frame(uint8_t *bytes, uint32_t type)
{
	memset(bytes, 0, FRAME_MAX);
	memset(bytes, 0xFF, 6);
	memcpy(bytes + 6, mac, 6);
	put16(bytes + 12, type);
}

static uint32_t udp_frame(uint8_t *bytes, const uint8_t *from, const uint8_t *to,
			  uint32_t from_port, uint32_t to_port, uint32_t len)
{
	uint8_t *ip = bytes + 14;

	ip[0] = 0x45;
	put16(ip + 2, 28 + len);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	put16(ip + 10, 0xFFFF ^ sum(ip, 20, 0));
	put16(ip + 20, from_port);
	put16(ip + 22, to_port);
	put16(ip + 24, 8 + len);
	return 42 + len;
}

/* A complete TCP or UDP checksum, judged without any flag. */
static bool checksum_is_good(const uint8_t *ip)
{
	uint32_t len = get16(ip + 2) - 20;

	return sum(ip, 20, 0) == 0xFFFF &&
	       sum(ip + 20, len, sum(ip + 12, 8, ip[9] + len)) == 0xFFFF;
}

static bool is_udp(const uint8_t *bytes, uint32_t port)
{
	return get16(bytes + 12) == 0x0800 && bytes[23] == IPPROTO_UDP && get16(bytes + 36) == port;
}

static bool is_dhcp(const uint8_t *bytes, uint32_t len)
{
	return len > 282 && is_udp(bytes, 68);
}

static uint32_t dhcp_frame(uint8_t *bytes)
{
	static const uint8_t none[4], all[4] = { 255, 255, 255, 255 };
	static const uint8_t cookie[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };
	uint32_t len;

	start_frame(bytes, 0x0800);
	len = udp_frame(bytes, none, all, 68, 67, 300);
	bytes[42] = bytes[43] = 1;
	bytes[44] = 6;
	memcpy(bytes + 70, mac, 6);
	memcpy(bytes + 278, cookie, sizeof(cookie));
	return len;
}

static void test_dhcp_offers_the_first_address(void **state)
{
	uint8_t bytes[FRAME_MAX];

	assert_int_equal(open_net("user"), 0);
	want(is_dhcp);
	assert_int_equal(put(bytes, dhcp_frame(bytes)), VMB_DEV_NET_SENT);
	wait_for_it();
	assert_memory_equal(found + 58, guest, 4);
	assert_true(checksum_is_good(found + 14));
	assert_int_equal(net.sent, 1);
	assert_true(net.received >= 1);
}

/* Makes guest and gateway know each other. */
static void introduce(void)
{
	static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t bytes[FRAME_MAX];

	start_frame(bytes, 0x0806);
	memcpy(bytes + 14, request, sizeof(request));
	memcpy(bytes + 22, mac, 6);
	memcpy(bytes + 28, guest, 4);
	memcpy(bytes + 38, gateway, 4);
	assert_int_equal(put(bytes, 60), VMB_DEV_NET_SENT);
}

static int server(int type, struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static bool is_answer(const uint8_t *bytes, uint32_t len)
{
	return len >= 47 && is_udp(bytes, 4000);
}

static void test_udp_reaches_a_server_and_its_answer_comes_back(void **state)
{
	struct sockaddr_in at, from;
	socklen_t from_len = sizeof(from);
	uint8_t bytes[FRAME_MAX], text[16];
	int fd = server(SOCK_DGRAM, &at);
	uint32_t len;

	assert_int_equal(open_net("user"), 0);
	introduce();
	start_frame(bytes, 0x0800);
	len = udp_frame(bytes, guest, gateway, 4000, ntohs(at.sin_port), 5);
	memcpy(bytes + 42, "hello", 5);
	assert_int_equal(put(bytes, len), VMB_DEV_NET_SENT);
	turn(0);
	assert_int_equal(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len),
			 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(sendto(fd, "world", 5, 0, (struct sockaddr *)&from, from_len), 5);
	want(is_answer);
	wait_for_it();
	assert_memory_equal(found + 42, "world", 5);
	assert_true(checksum_is_good(found + 14));
	close(fd);
}

static bool is_first_fragment(const uint8_t *bytes, uint32_t len)
{
	return len >= 42 && is_udp(bytes, 4000) && get16(bytes + 20) == 0x2000;
}

/* The guest may have chosen any MTU up to mtu=, and need not have said so to anybody. */
static void test_frames_to_the_guest_fit_1500_whatever_it_may_choose(void **state)
{
	static uint8_t large[9014], text[9000];
	struct sockaddr_in at, from;
	socklen_t from_len = sizeof(from);
	int fd = server(SOCK_DGRAM, &at);

	assert_int_equal(open_net("user,mtu=9000"), 0);
	introduce();
	start_frame(large, 0x0800);
	assert_int_equal(put(large,
			     udp_frame(large, guest, gateway, 4000, ntohs(at.sin_port), 9014 - 42)),
			 VMB_DEV_NET_SENT);
	turn(0);
	assert_int_equal(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len),
			 9014 - 42);
	assert_int_equal(sendto(fd, text, 4000, 0, (struct sockaddr *)&from, from_len), 4000);
	want(is_first_fragment);
	wait_for_it();
	assert_int_equal(longest, 1514);
	close(fd);
}

static bool is_syn(const uint8_t *bytes, uint32_t len)
{
	return len >= 54 && get16(bytes + 12) == 0x0800 && bytes[23] == IPPROTO_TCP &&
	       get16(bytes + 36) == 22 && bytes[47] == 2;
}

static uint16_t free_port(int type)
{
	struct sockaddr_in at;

	close(server(type, &at));
	return ntohs(at.sin_port);
}

static void test_forwarded_port_calls_the_guest(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t port = free_port(SOCK_STREAM);
	char text[64];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "user,hostfwd=tcp:127.0.0.1:%u-:22,mtu=9000", port);
	assert_int_equal(open_net(text), 0);
	introduce();
	at.sin_port = htons(port);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	want(is_syn);
	connect(fd, (struct sockaddr *)&at, sizeof(at));
	wait_for_it();
	assert_memory_equal(found + 30, guest, 4);
	assert_true(checksum_is_good(found + 14));
	assert_int_equal(get16(found + 54), 0x0204); /* a segment fits 1500 whatever mtu= says */
	assert_int_equal(get16(found + 56), 1460);
	close(fd);
}

static void test_taken_ports_are_refused(void **state)
{
	static const char *const names[] = { "tcp", "udp" };
	struct sockaddr_in at;
	char text[64];

	for (int udp = 0; udp < 2; udp++) {
		int fd = server(udp ? SOCK_DGRAM : SOCK_STREAM, &at);

		if (!udp)
			listen(fd, 1);
		snprintf(text, sizeof(text), "user,hostfwd=%s:127.0.0.1:%u-:22", names[udp],
			 ntohs(at.sin_port));
		assert_int_equal(open_net(text), -EINVAL);
		assert_null(net.ops);
		close(fd);
	}
}

static bool is_advertisement(const uint8_t *bytes, uint32_t len)
{
	return len >= 54 && get16(bytes + 12) == 0x86DD && bytes[20] == IPPROTO_ICMPV6 &&
	       bytes[54] == 134;
}

static void test_ipv6_router_announces_the_prefix(void **state)
{
	static const uint8_t prefix[8] = { 0xFE, 0xC0 }, routers[16] = { 0xFF, 2, [15] = 2 };
	static const uint8_t link_local[16] = { 0xFE, 0x80, [15] = 9 };
	uint8_t bytes[FRAME_MAX], *ip = bytes + 14;
	bool announced = false;

	assert_int_equal(open_net("user"), 0);
	start_frame(bytes, 0x86DD);
	ip[0] = 0x60;
	put16(ip + 4, 8);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, link_local, 16);
	memcpy(ip + 24, routers, 16);
	ip[40] = 133;
	put16(ip + 42, 0xFFFF ^ sum(ip + 40, 8, sum(ip + 8, 32, 8 + IPPROTO_ICMPV6)));
	want(is_advertisement);
	assert_int_equal(put(bytes, 62), VMB_DEV_NET_SENT);
	wait_for_it();
	for (uint32_t at = 54 + 16; at + 8 <= found_len && found[at + 1]; at += 8 * found[at + 1])
		if (found[at] == 3 && found[at + 2] == 64)
			announced = memcmp(found + at + 16, prefix, sizeof(prefix)) == 0;
	assert_true(announced);
}

/* Addresses that lead elsewhere */

static const uint8_t metadata[4] = { 169, 254, 169, 254 };

static uint32_t syn_frame(uint8_t *bytes, const uint8_t *to, uint32_t to_port)
{
	uint8_t *ip = bytes + 14;

	start_frame(bytes, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, guest, 4);
	memcpy(ip + 16, to, 4);
	put16(ip + 10, 0xFFFF ^ sum(ip, 20, 0));
	put16(ip + 20, 4000);
	put16(ip + 22, to_port);
	put16(ip + 24, 0x1234);
	ip[32] = 5 << 4;
	ip[33] = 2;
	put16(ip + 34, 8192);
	put16(ip + 36, 0xFFFF ^ sum(ip + 20, 20, sum(ip + 12, 8, IPPROTO_TCP + 20)));
	return 54;
}

static bool is_syn_ack(const uint8_t *bytes, uint32_t len)
{
	return len >= 54 && get16(bytes + 12) == 0x0800 && bytes[23] == IPPROTO_TCP &&
	       get16(bytes + 36) == 4000 && bytes[47] == 0x12;
}

static void test_redirected_address_leads_to_this_machine(void **state)
{
	struct sockaddr_in at;
	uint8_t bytes[FRAME_MAX];
	char text[96];
	int fd = server(SOCK_STREAM, &at), client;

	listen(fd, 1);
	snprintf(text, sizeof(text),
		 "user,redirect=1.2.3.4:80-127.0.0.1:1,redirect=169.254.169.254:80-127.0.0.1:%u",
		 ntohs(at.sin_port));
	assert_int_equal(open_net(text), 0);
	introduce();
	want(is_syn_ack);
	assert_int_equal(put(bytes, syn_frame(bytes, metadata, 80)), VMB_DEV_NET_SENT);
	wait_for_it();
	assert_memory_equal(found + 26, metadata, 4);
	assert_int_equal(get16(found + 34), 80);
	assert_true(checksum_is_good(found + 14));
	client = accept(fd, NULL, NULL);
	assert_true(client >= 0);
	close(client);
	close(fd);
}

/* Frames that a redirect must leave as they are, down to their checksums. */
static void test_other_frames_are_not_redirected(void **state)
{
	uint8_t bytes[FRAME_MAX], before[FRAME_MAX];
	char text[] = "user,redirect=169.254.169.254:80-127.0.0.1:8080";
	uint32_t len;

	assert_int_equal(vmb_dev_net_parse(&option, text, 0), 0);
	for (int i = 0; i < 4; i++) {
		len = syn_frame(bytes, i == 0 ? gateway : metadata, i == 1 ? 81 : 80);
		bytes[20] = i == 2 ? 0x20 : 0; /* a fragment */
		bytes[23] = i == 3 ? IPPROTO_UDP : IPPROTO_TCP;
		memcpy(before, bytes, sizeof(before));
		vmb_dev_net_redirect_out(&option, bytes, len);
		assert_memory_equal(bytes, before, sizeof(bytes));
	}
	len = syn_frame(bytes, metadata, 80);
	memcpy(before, bytes, sizeof(before));
	for (uint32_t cut = 0; cut < len; cut++)
		vmb_dev_net_redirect_out(&option, bytes, cut);
	assert_memory_equal(bytes, before, sizeof(bytes));
	vmb_dev_net_redirect_out(&option, bytes, len);
	assert_memory_equal(bytes + 30, gateway, 4);
	assert_int_equal(get16(bytes + 36), 8080);
	assert_true(checksum_is_good(bytes + 14));
}

static void test_dhcp_gives_more_options(void **state)
{
	static const uint8_t wanted_bytes[] = { 245, 4, 168, 63, 129, 16, 224, 1, 7, 255 };
	uint8_t bytes[FRAME_MAX];
	uint32_t at = 282;

	assert_int_equal(open_net("user,dhcp-option=245:A83f8110,dhcp-option=224:07"), 0);
	want(is_dhcp);
	assert_int_equal(put(bytes, dhcp_frame(bytes)), VMB_DEV_NET_SENT);
	wait_for_it();
	assert_true(checksum_is_good(found + 14));
	while (at < found_len && found[at] != 245)
		at += found[at] ? 2 + found[at + 1] : 1;
	assert_true(at + sizeof(wanted_bytes) <= found_len);
	assert_memory_equal(found + at, wanted_bytes, sizeof(wanted_bytes));
	assert_int_equal(get16(found + 16), found_len - 14);
	assert_int_equal(get16(found + 38), found_len - 34);
}

/* A frame that ends with its options grows, if there is room. */
static void test_dhcp_frame_grows_for_an_option(void **state)
{
	static const uint8_t none[4], all[4] = { 255, 255, 255, 255 };
	char text[] = "user,dhcp-option=245:A83f8110";
	uint8_t bytes[FRAME_MAX];
	uint32_t len;

	assert_int_equal(vmb_dev_net_parse(&option, text, 0), 0);
	start_frame(bytes, 0x0800);
	len = udp_frame(bytes, none, all, 67, 68, 244);
	memcpy(bytes + 282, (uint8_t[]){ 53, 1, 5, 255 }, 4);
	assert_int_equal(vmb_dev_net_redirect_add_dhcp(&option, bytes, len, len + 5), len);
	assert_int_equal(vmb_dev_net_redirect_add_dhcp(&option, bytes, len, len + 6), len + 6);
	assert_memory_equal(bytes + 282, ((uint8_t[]){ 53, 1, 5, 245, 4, 168, 63, 129, 16, 255 }),
			    10);
	assert_int_equal(get16(bytes + 16), len + 6 - 14);
	assert_int_equal(get16(bytes + 38), len + 6 - 34);
	assert_true(checksum_is_good(bytes + 14));
	memset(bytes + 282, 1, 10); /* no end */
	assert_int_equal(vmb_dev_net_redirect_add_dhcp(&option, bytes, len, sizeof(bytes)), len);
}

/* What a guest does not reach */

static uint32_t datagrams_at(int fd)
{
	uint8_t text[16];
	uint32_t count = 0;

	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		count++;
	return count;
}

static void put_udp_to(const uint8_t *to, uint16_t port)
{
	uint8_t bytes[FRAME_MAX];

	start_frame(bytes, 0x0800);
	put(bytes, udp_frame(bytes, guest, to, 4000, port, 5));
}

static void test_loopback_is_reached_unless_it_is_off(void **state)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 }, other[4] = { 127, 9, 9, 9 }, any[4];
	struct sockaddr_in at;
	int fd = server(SOCK_DGRAM, &at);
	uint16_t port = ntohs(at.sin_port);

	for (int off = 0; off < 2; off++) {
		assert_int_equal(open_net(off ? "user,loopback=off" : "user,loopback=on"), 0);
		introduce();
		put_udp_to(gateway, port);
		put_udp_to(local, port);
		put_udp_to(any, port);
		put_udp_to(other, port); /* nobody is there */
		turn(0);
		assert_int_equal(datagrams_at(fd), off ? 0 : 3);
		vmb_dev_net_close(&net);
	}
	close(fd);
}

static void test_no_address_of_this_machine_is_left_out(void **state)
{
	static const struct {
		uint8_t to[16];
		bool here;
	} cases[] = {
		{ { 127, 255, 255, 255 }, true },
		{ { 0, 1, 2, 3 }, true },
		{ { 10, 0, 3, 2 }, true },
		{ { 10, 0, 3, 3 }, false },
		{ { 10, 0, 2, 3 }, false },
		{ { 128, 0, 0, 1 }, false },
	},
	  cases6[] = {
		  { { 0 }, true },
		  { { [15] = 1 }, true },
		  { { [10] = 0xFF, 0xFF, 127, 0, 0, 1 }, true },
		  { { 0xFE, 0xC0, [7] = 3, [15] = 9 }, true },
		  { { 0xFE, 0xC0, [15] = 3 }, false },
		  { { 0x20, 0x01, [15] = 1 }, false },
	  };
	uint8_t bytes[FRAME_MAX];

	start_frame(bytes, 0x0800);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bytes + 30, cases[i].to, 4);
		assert_int_equal(vmb_dev_net_loopback_is_meant(bytes, 34), cases[i].here);
		assert_true(vmb_dev_net_loopback_is_meant(bytes, 33));
	}
	start_frame(bytes, 0x86DD);
	for (size_t i = 0; i < sizeof(cases6) / sizeof(cases6[0]); i++) {
		memcpy(bytes + 38, cases6[i].to, 16);
		assert_int_equal(vmb_dev_net_loopback_is_meant(bytes, 54), cases6[i].here);
		assert_true(vmb_dev_net_loopback_is_meant(bytes, 53));
	}
	start_frame(bytes, 0x0806);
	assert_false(vmb_dev_net_loopback_is_meant(bytes, 14));
	assert_true(vmb_dev_net_loopback_is_meant(bytes, 13));
}

static void test_restricted_guest_is_called_and_reaches_nothing(void **state)
{
	struct sockaddr_in at,
		to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = server(SOCK_DGRAM, &at), caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port = free_port(SOCK_STREAM);
	char text[64];

	snprintf(text, sizeof(text), "user,restrict=on,hostfwd=tcp:127.0.0.1:%u-:22", port);
	assert_int_equal(open_net(text), 0);
	introduce();
	put_udp_to(gateway, ntohs(at.sin_port));
	turn(0);
	assert_int_equal(datagrams_at(fd), 0);
	to.sin_port = htons(port);
	fcntl(caller, F_SETFL, O_NONBLOCK);
	want(is_syn);
	connect(caller, (struct sockaddr *)&to, sizeof(to));
	wait_for_it();
	close(caller);
	close(fd);
}

static void test_properties_are_taken_or_refused(void **state)
{
	static const char *const bad[] = { "user,capture-size=",
					   "user,capture-size=0",
					   "user,restrict=",
					   "user,restrict=maybe",
					   "user,loopback=no",
					   "null,restrict=on",
					   "tap=t,loopback=off",
					   "tap=t,redirect=1.2.3.4:5-1.2.3.4:6",
					   "user,redirect=1.2.3.4:5",
					   "user,redirect=:5-1.2.3.4:6",
					   "user,redirect=1.2.3.4:5-:6",
					   "user,redirect=1.2.3.4:5-1.2.3.4:6,restrict=on",
					   "user,loopback=off,redirect=1.2.3.4:5-1.2.3.4:6",
					   "null,dhcp-option=245:00",
					   "user,dhcp-option=245",
					   "user,dhcp-option=255:00",
					   "user,dhcp-option=0:00",
					   "user,dhcp-option=245:",
					   "user,dhcp-option=245:0",
					   "user,dhcp-option=245:0g" };
	char value[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(value, bad[i]);
		assert_int_equal(vmb_dev_net_parse(&option, value, 0), -EINVAL);
	}
	strcpy(value, "user,restrict=off,loopback=on,capture-size=3M");
	assert_int_equal(vmb_dev_net_parse(&option, value, 0), 0);
	assert_int_equal(option.capture_len, 3 << 20);
	assert_false(option.restricted || option.no_loopback);
}

/* A guest that opens as many connections as it can */

#define SHARE 64u /* of one card, when the process may have 1024 */

static struct rlimit old_limit;

static int set_up_few(void **state)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &old_limit);
	limit = old_limit;
	limit.rlim_cur = 1024;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return 0;
}

static int tear_down_few(void **state)
{
	setrlimit(RLIMIT_NOFILE, &old_limit);
	return tear_down(state);
}

static uint32_t descriptor_count(void)
{
	uint32_t count = 0;
	DIR *folder = opendir("/proc/self/fd");

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static enum vmb_dev_net_sent put_udp(uint32_t from_port, uint32_t to_port)
{
	uint8_t bytes[FRAME_MAX];

	start_frame(bytes, 0x0800);
	return put(bytes, udp_frame(bytes, guest, gateway, from_port, to_port, 5));
}

static void test_flood_of_datagrams_leaves_descriptors_to_others(void **state)
{
	struct sockaddr_in at;
	int fd = server(SOCK_DGRAM, &at), other;
	uint32_t before, sent = 0;

	assert_int_equal(open_net("user"), 0);
	introduce();
	before = descriptor_count();
	for (uint32_t port = 0; port < 1100; port++)
		sent += put_udp(2000 + port, ntohs(at.sin_port)) == VMB_DEV_NET_SENT;
	assert_int_equal(sent, SHARE);
	assert_int_equal(descriptor_count(), before + SHARE);
	assert_int_equal(datagrams_at(fd), SHARE);
	other = eventfd(0, EFD_CLOEXEC);
	assert_true(other >= 0);
	close(other);
	/* What has a socket goes on. */
	assert_int_equal(put_udp(2000, ntohs(at.sin_port)), VMB_DEV_NET_SENT);
	assert_int_equal(put_udp(2000 + SHARE - 1, ntohs(at.sin_port)), VMB_DEV_NET_SENT);
	assert_int_equal(put_udp(2000 + SHARE, ntohs(at.sin_port)), VMB_DEV_NET_DROPPED);
	assert_int_equal(datagrams_at(fd), 2);
	assert_int_equal(descriptor_count(), before + SHARE);
	close(fd);
}

static void use_the_share_up(void)
{
	introduce();
	for (uint32_t port = 0; port < SHARE; port++)
		assert_int_equal(put_udp(2000 + port, 9), VMB_DEV_NET_SENT);
}

/* Frames that would open a socket when the share is used up, and frames that need none. */
static void test_what_needs_no_new_socket_passes_when_the_share_is_used_up(void **state)
{
	static const uint8_t none[4], all[4] = { 255, 255, 255, 255 };
	static const struct {
		uint8_t protocol, tcp_flags, fragment;
		enum vmb_dev_net_sent sent;
	} cases[] = {
		{ IPPROTO_TCP, 0x02, 0, VMB_DEV_NET_DROPPED }, /* SYN */
		{ IPPROTO_TCP, 0x0A, 0, VMB_DEV_NET_DROPPED }, /* SYN and PSH is one, too */
		{ IPPROTO_TCP, 0x12, 0, VMB_DEV_NET_SENT }, /* the answer to a caller's SYN */
		{ IPPROTO_TCP, 0x10, 0, VMB_DEV_NET_SENT },
		{ IPPROTO_ICMP, 0, 0, VMB_DEV_NET_DROPPED },
		{ IPPROTO_UDP, 0, 1, VMB_DEV_NET_DROPPED }, /* what it belongs to is not known */
		{ IPPROTO_TCP, 0, 1, VMB_DEV_NET_DROPPED },
	};
	uint8_t bytes[FRAME_MAX];
	uint32_t before, len;

	assert_int_equal(open_net("user"), 0);
	use_the_share_up();
	before = descriptor_count();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start_frame(bytes, 0x0800);
		len = udp_frame(bytes, guest, gateway, 3000, 9, 60);
		bytes[23] = cases[i].protocol;
		bytes[20] = cases[i].fragment ? 0x20 : 0;
		if (cases[i].protocol == IPPROTO_TCP) {
			bytes[46] = 0x50;
			bytes[47] = cases[i].tcp_flags;
		}
		put16(bytes + 24, 0);
		put16(bytes + 24, 0xFFFF ^ sum(bytes + 14, 20, 0));
		assert_int_equal(put(bytes, len), cases[i].sent);
	}
	start_frame(bytes, 0x0800);
	assert_int_equal(put(bytes, udp_frame(bytes, none, all, 68, 67, 300)), VMB_DEV_NET_SENT);
	start_frame(bytes, 0x0800);
	assert_int_equal(put(bytes, udp_frame(bytes, none, guest, 68, 67, 300)),
			 VMB_DEV_NET_DROPPED);
	introduce(); /* ARP */
	start_frame(bytes, 0x0800);
	bytes[14] = 0x4F; /* a header longer than the frame */
	assert_int_equal(put(bytes, 40), VMB_DEV_NET_DROPPED);
	assert_int_equal(descriptor_count(), before);
}

/* Callers from outside wait, not accepted, and nobody polls for them. */
static void test_caller_waits_when_the_share_is_used_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t port = free_port(SOCK_STREAM);
	struct pollfd fds[VMB_DEV_NET_POLL_MAX];
	uint32_t before, count;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), timeout = 0;
	char text[64];

	snprintf(text, sizeof(text), "user,hostfwd=tcp:127.0.0.1:%u-:22", port);
	assert_int_equal(open_net(text), 0);
	count = net.ops->fill(&net, fds, VMB_DEV_NET_POLL_MAX, &timeout);
	assert_int_equal(count, 1);
	use_the_share_up();
	before = descriptor_count();
	at.sin_port = htons(port);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	want(is_syn);
	for (int i = 0; i < 10; i++)
		turn(0);
	assert_int_equal(found_len, 0);
	assert_int_equal(descriptor_count(), before);
	count = net.ops->fill(&net, fds, VMB_DEV_NET_POLL_MAX, &timeout);
	for (uint32_t i = 0; i < count; i++) {
		int listens = 0;
		socklen_t len = sizeof(listens);

		getsockopt(fds[i].fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
		assert_false(listens);
	}
	close(fd);
}

static void test_closed_socket_makes_room(void **state)
{
	static struct vmb_dev_net_flows flows;
	uint8_t bytes[3][FRAME_MAX];
	uint32_t len = 0;

	vmb_dev_net_flows_init(&flows, 2);
	for (uint32_t i = 0; i < 3; i++) {
		start_frame(bytes[i], 0x0800);
		len = udp_frame(bytes[i], guest, gateway, 2000 + i, 9, 5);
	}
	vmb_dev_net_flows_opened(&flows, -1, bytes[0], len); /* what could not be opened */
	vmb_dev_net_flows_opened(&flows, 10, bytes[0], len);
	assert_false(vmb_dev_net_flows_full(&flows));
	vmb_dev_net_flows_opened(&flows, 11, bytes[1], len);
	assert_true(vmb_dev_net_flows_full(&flows));
	assert_true(vmb_dev_net_flows_take(&flows, bytes[1], len));
	assert_false(vmb_dev_net_flows_take(&flows, bytes[2], len));
	vmb_dev_net_flows_closed(&flows, 12); /* a listener's */
	assert_true(vmb_dev_net_flows_full(&flows));
	vmb_dev_net_flows_closed(&flows, 10);
	assert_true(vmb_dev_net_flows_take(&flows, bytes[2], len));
	vmb_dev_net_flows_opened(&flows, 12, NULL, 0);
	assert_true(vmb_dev_net_flows_take(&flows, bytes[1], len));
	assert_false(vmb_dev_net_flows_take(&flows, bytes[0], len));
	vmb_dev_net_flows_closed(&flows, 11);
	assert_false(vmb_dev_net_flows_full(&flows));
}

static void test_limit_is_raised_at_the_start(void **state)
{
	struct rlimit limit;

	vmb_dev_limits_raise();
	getrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(limit.rlim_cur, old_limit.rlim_max < VMB_DEV_DESCRIPTORS_WANTED ?
						 old_limit.rlim_max :
						 VMB_DEV_DESCRIPTORS_WANTED);
	assert_true(vmb_dev_net_flows_share() > SHARE);
	limit.rlim_cur = 1024;
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(vmb_dev_net_flows_share(), SHARE);
	assert_true(VMB_DEV_NET_MAX * SHARE + VMB_DEV_NET_FLOWS_RESERVE <= 1024);
}

/* What the card must not hand over, and what a hostile guest may make of it. */
static void test_frames_of_impossible_lengths_are_dropped(void **state)
{
	static uint8_t bytes[VMB_DEV_NET_FRAME_MAX + 100];
	static const struct {
		uint32_t len;
		enum vmb_dev_net_sent sent;
	} cases[] = {
		{ 26, VMB_DEV_NET_SENT },
		{ 1514, VMB_DEV_NET_SENT },
		{ 1515, VMB_DEV_NET_DROPPED },
		{ 65536, VMB_DEV_NET_DROPPED },
		{ sizeof(bytes), VMB_DEV_NET_DROPPED },
	};
	struct iovec iov = { bytes, 13 };
	struct vmb_dev_net_frame frame = { .iov = &iov, .iov_count = 1, .len = 13 };

	assert_int_equal(open_net("user"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(put(bytes, cases[i].len), cases[i].sent);
	assert_int_equal(vmb_dev_net_send(&net, &frame), VMB_DEV_NET_DROPPED);
	frame.len = iov.iov_len = 60;
	frame.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(vmb_dev_net_send(&net, &frame), VMB_DEV_NET_DROPPED);
	frame.header.flags = 0;
	frame.header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	assert_int_equal(vmb_dev_net_send(&net, &frame), VMB_DEV_NET_DROPPED);
	assert_int_equal(net.dropped, 6);
	assert_int_equal(net.sent, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_dhcp_offers_the_first_address),
		TEST(test_udp_reaches_a_server_and_its_answer_comes_back),
		TEST(test_frames_to_the_guest_fit_1500_whatever_it_may_choose),
		TEST(test_forwarded_port_calls_the_guest),
		TEST(test_taken_ports_are_refused),
		TEST(test_redirected_address_leads_to_this_machine),
		cmocka_unit_test(test_other_frames_are_not_redirected),
		TEST(test_dhcp_gives_more_options),
		cmocka_unit_test(test_dhcp_frame_grows_for_an_option),
		TEST(test_ipv6_router_announces_the_prefix),
		TEST(test_loopback_is_reached_unless_it_is_off),
		cmocka_unit_test(test_no_address_of_this_machine_is_left_out),
		TEST(test_restricted_guest_is_called_and_reaches_nothing),
		cmocka_unit_test(test_properties_are_taken_or_refused),
#define FEW(name) cmocka_unit_test_setup_teardown(name, set_up_few, tear_down_few)
		FEW(test_flood_of_datagrams_leaves_descriptors_to_others),
		FEW(test_what_needs_no_new_socket_passes_when_the_share_is_used_up),
		FEW(test_caller_waits_when_the_share_is_used_up),
		cmocka_unit_test(test_closed_socket_makes_room),
		FEW(test_limit_is_raised_at_the_start),
		TEST(test_frames_of_impossible_lengths_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
