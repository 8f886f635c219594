// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A tap in a network namespace of the test's own, judged by sockets of that namespace, which trust
 * no flag: a raw socket sees the frames, a UDP socket takes only what has a checksum that is
 * complete or declared open. Skipped where that is not allowed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/net.h"

#define NAME	 "ovmbtest"
#define WAIT_MS	 3000
#define QUIET_MS 100
#define SEGMENT	 1000

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
static struct vmb_dev_net net;
static struct vmb_dev_net_option option;
static uint8_t frame_bytes[VMB_DEV_NET_FRAME_MAX], last[VMB_DEV_NET_FRAME_MAX];
static struct virtio_net_hdr_v1 last_header;
static uint32_t last_len;
static bool possible;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Keeps the last TCP or UDP frame; the kernel's own greetings are not meant. */
static void receive(void *arg, const struct vmb_dev_net_frame *frame)
{
	static uint8_t bytes[VMB_DEV_NET_FRAME_MAX];

	assert_ptr_equal(arg, &net);
	assert_int_equal(vmb_dev_net_gather(frame, bytes, sizeof(bytes)), frame->len);
	if (bytes[12] != 8 || bytes[13] || (bytes[23] != IPPROTO_TCP && bytes[23] != IPPROTO_UDP))
		return;
	memcpy(last, bytes, frame->len);
	last_len = frame->len;
	last_header = frame->header;
}

static int open_tap(uint32_t queues)
{
	int error;

	option = (struct vmb_dev_net_option){
		.kind = VMB_DEV_NET_TAP, .target = NAME, .queue_count = queues, .mtu_max = 9000
	};
	last_len = 0;
	error = vmb_dev_net_open(&net, &option, receive, &net);
	return error ? error : vmb_dev_net_prepare(&net);
}

static void set_address(void)
{
	struct ifreq request = { .ifr_name = NAME };
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr("192.0.2.1");
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	in->sin_addr.s_addr = inet_addr("255.255.255.0");
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &request), 0);
	close(fd);
}

static int request(unsigned long what)
{
	struct ifreq r = { .ifr_name = NAME };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, what, &r), 0);
	close(fd);
	return what == SIOCGIFMTU ? r.ifr_mtu : r.ifr_flags;
}

static int group_set_up(void **state)
{
	possible = access("/dev/net/tun", R_OK | W_OK) == 0 && unshare(CLONE_NEWNET) == 0;
	return 0;
}

static int set_up(void **state)
{
	if (!possible)
		return 0;
	if (open_tap(1))
		return -1;
	set_address();
	return 0;
}

static int tear_down(void **state)
{
	if (net.ops)
		vmb_dev_net_close(&net);
	return 0;
}

static void turn(int timeout)
{
	struct pollfd fds[64];
	uint32_t count = net.ops->fill(&net, fds, 64, &timeout);

	poll(fds, count, timeout);
	net.ops->take(&net, fds, count);
}

static void wait_for_frame(void)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (!last_len && now_ms() < end)
		turn(10);
	assert_int_not_equal(last_len, 0);
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

/* From 192.0.2.2 to the namespace's 192.0.2.1; the checksum field holds the pseudo header's sum. */
static uint32_t ip_frame(uint8_t protocol, uint32_t payload_len)
{
	struct ifreq r = { .ifr_name = NAME };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t header_len = protocol == IPPROTO_TCP ? 20 : 8, len = header_len + payload_len;
	uint8_t *ip = frame_bytes + 14, *end = ip + 20;

	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &r), 0);
	close(fd);
	memset(frame_bytes, 0, 64);
	memcpy(frame_bytes, r.ifr_hwaddr.sa_data, 6);
	memcpy(frame_bytes + 6, mac, 6);
	put16(frame_bytes + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 20 + len);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, "\xC0\0\2\2\xC0\0\2\1", 8);
	put16(ip + 10, 0xFFFF ^ sum(ip, 20, 0));
	put16(end, 4000);
	put16(end + 2, 5000);
	for (uint32_t i = 0; i < payload_len; i++)
		end[header_len + i] = i * 13 + i / 256;
	if (protocol == IPPROTO_UDP)
		put16(end + 4, len);
	else
		end[12] = 0x50;
	put16(end + (protocol == IPPROTO_TCP ? 16 : 6), sum(ip + 12, 8, protocol + len));
	return 34 + len;
}

static enum vmb_dev_net_sent put(uint32_t len, const struct virtio_net_hdr_v1 *header,
				 uint16_t queue)
{
	struct iovec iov[3] = { { frame_bytes, 7 },
				{ frame_bytes + 7, 30 },
				{ frame_bytes + 37, len - 37 } };
	struct vmb_dev_net_frame frame = {
		.header = *header, .iov = iov, .iov_count = 3, .len = len, .queue = queue
	};

	return vmb_dev_net_send(&net, &frame);
}

static int udp_socket(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(5000) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static ssize_t receive_within(int fd, void *bytes, size_t len, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1 ? recv(fd, bytes, len, 0) : -1;
}

static void test_created_interface_is_up_and_goes_again(void **state)
{
	if (!possible)
		skip();
	assert_true(request(SIOCGIFFLAGS) & IFF_UP);
	assert_int_equal(request(SIOCGIFMTU), 9000);
	assert_true(net.takes_large);
	vmb_dev_net_close(&net);
	assert_int_equal(if_nametoindex(NAME), 0);
}

/* Said before anything is started, not when it is made. */
static void test_interface_that_may_not_be_made_is_refused(void **state)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[_LINUX_CAPABILITY_U32S_3], few[_LINUX_CAPABILITY_U32S_3];
	int error;

	if (!possible)
		skip();
	vmb_dev_net_close(&net);
	assert_int_equal(syscall(SYS_capget, &header, all), 0);
	memcpy(few, all, sizeof(few));
	few[CAP_TO_INDEX(CAP_NET_ADMIN)].effective &= ~CAP_TO_MASK(CAP_NET_ADMIN);
	assert_int_equal(syscall(SYS_capset, &header, few), 0);
	error = vmb_dev_net_open(&net, &option, receive, &net);
	assert_int_equal(syscall(SYS_capset, &header, all), 0);
	assert_int_equal(error, -EINVAL);
}

/* Until all that was asked for is known to be good, nothing is made. */
static void test_interface_is_made_when_the_machine_starts(void **state)
{
	if (!possible)
		skip();
	vmb_dev_net_close(&net);
	assert_int_equal(if_nametoindex(NAME), 0);
	assert_int_equal(vmb_dev_net_open(&net, &option, receive, &net), 0);
	assert_int_equal(if_nametoindex(NAME), 0);
	assert_int_equal(vmb_dev_net_prepare(&net), 0);
	assert_int_not_equal(if_nametoindex(NAME), 0);
}

static void test_open_checksum_is_completed_and_a_wrong_one_is_not(void **state)
{
	static const struct virtio_net_hdr_v1 open = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						       .csum_start = 34,
						       .csum_offset = 6 };
	static const struct virtio_net_hdr_v1 done;
	uint8_t bytes[2000];
	uint32_t len;
	int fd;

	if (!possible)
		skip();
	fd = udp_socket();
	len = ip_frame(IPPROTO_UDP, 1111);
	assert_int_equal(put(len, &done, 0), VMB_DEV_NET_SENT); /* a lie: nothing completes it */
	assert_int_equal(receive_within(fd, bytes, sizeof(bytes), QUIET_MS), -1);
	assert_int_equal(put(len, &open, 0), VMB_DEV_NET_SENT);
	assert_int_equal(receive_within(fd, bytes, sizeof(bytes), WAIT_MS), 1111);
	assert_memory_equal(bytes, frame_bytes + 42, 1111);
	put16(frame_bytes + 40, 0xFFFF ^ sum(frame_bytes + 34, len - 34, 0));
	assert_int_equal(put(len, &done, 0), VMB_DEV_NET_SENT);
	assert_int_equal(receive_within(fd, bytes, sizeof(bytes), WAIT_MS), 1111);
	close(fd);
}

static int raw_socket(void)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_IP),
					.sll_ifindex = if_nametoindex(NAME) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void test_large_frame_passes_unsplit_to_the_machine(void **state)
{
	static const struct virtio_net_hdr_v1 large = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
							.hdr_len = 54,
							.gso_size = SEGMENT,
							.csum_start = 34,
							.csum_offset = 16 };
	static uint8_t bytes[70000];
	const struct virtio_net_hdr *header = (const struct virtio_net_hdr *)bytes;
	uint32_t len;
	int fd;

	if (!possible)
		skip();
	fd = raw_socket();
	len = ip_frame(IPPROTO_TCP, 50000);
	assert_int_equal(put(len, &large, 0), VMB_DEV_NET_SENT);
	assert_int_equal(receive_within(fd, bytes, sizeof(bytes), WAIT_MS), sizeof(*header) + len);
	assert_int_equal(header->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(header->gso_size, SEGMENT);
	assert_memory_equal(bytes + sizeof(*header), frame_bytes, len);
	close(fd);
}

static void test_large_frame_passes_unsplit_to_the_guest(void **state)
{
	const struct virtio_net_hdr large = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					      .hdr_len = 54,
					      .gso_size = SEGMENT,
					      .csum_start = 34,
					      .csum_offset = 16 };
	uint32_t len;
	struct iovec iov[2] = { { (void *)&large, sizeof(large) }, { frame_bytes, 0 } };
	int fd;

	if (!possible)
		skip();
	fd = raw_socket();
	len = ip_frame(IPPROTO_TCP, 40000);
	iov[1].iov_len = len;
	assert_int_equal(writev(fd, iov, 2), sizeof(large) + len);
	wait_for_frame();
	assert_int_equal(last_len, len);
	assert_int_equal(last_header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(last_header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(last_header.gso_size, SEGMENT);
	assert_int_equal(last_header.csum_start, 34);
	assert_int_equal(last_header.csum_offset, 16);
	assert_memory_equal(last, frame_bytes, len);
	close(fd);
}

static void test_several_queues_are_used(void **state)
{
	static const struct virtio_net_hdr_v1 open = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						       .csum_start = 34,
						       .csum_offset = 6 };
	struct pollfd fds[64];
	uint8_t bytes[100];
	int timeout = -1, fd;

	if (!possible)
		skip();
	vmb_dev_net_close(&net);
	assert_int_equal(open_tap(4), 0);
	set_address();
	assert_int_equal(net.ops->fill(&net, fds, 64, &timeout), 4);
	assert_int_equal(net.ops->fill(&net, fds, 3, &timeout), 3);
	fd = udp_socket();
	for (uint16_t queue = 0; queue < 9; queue++) {
		assert_int_equal(put(ip_frame(IPPROTO_UDP, 50), &open, queue), VMB_DEV_NET_SENT);
		assert_int_equal(receive_within(fd, bytes, sizeof(bytes), WAIT_MS), 50);
	}
	close(fd);
}

/* Made by somebody else, with or without several queues: the other way is tried too. */
static void test_existing_interface_of_either_kind_is_taken_and_stays(void **state)
{
	struct ifreq r = { .ifr_name = NAME };
	struct pollfd fds[64];
	int fd, timeout = -1;

	if (!possible)
		skip();
	for (int many = 0; many < 2; many++) {
		vmb_dev_net_close(&net);
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		r.ifr_flags = IFF_TAP | IFF_NO_PI | (many ? IFF_MULTI_QUEUE : 0);
		assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
		assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
		close(fd);
		for (uint32_t queues = 1; queues <= 2; queues++) {
			assert_int_equal(open_tap(queues), 0);
			assert_int_equal(net.ops->fill(&net, fds, 64, &timeout), many ? queues : 1);
			assert_int_equal(request(SIOCGIFMTU), 1500); /* not ours to change */
			vmb_dev_net_close(&net);
		}
		assert_int_not_equal(if_nametoindex(NAME), 0);
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
		assert_int_equal(ioctl(fd, TUNSETPERSIST, 0), 0);
		close(fd);
		assert_int_equal(open_tap(1), 0);
	}
}

static void test_interface_in_use_or_of_another_kind_is_refused(void **state)
{
	struct vmb_dev_net second;

	if (!possible)
		skip();
	assert_int_equal(vmb_dev_net_open(&second, &option, receive, &second), -EINVAL);
	option.target = "lo";
	assert_int_equal(vmb_dev_net_open(&second, &option, receive, &second), -EINVAL);
	option.target = "a/b";
	assert_int_equal(vmb_dev_net_open(&second, &option, receive, &second), -EINVAL);
	option.target = "t%d";
	assert_int_equal(vmb_dev_net_open(&second, &option, receive, &second), -EINVAL);
}

static void test_impossible_header_and_switched_off_interface_drop(void **state)
{
	static const struct virtio_net_hdr_v1 beyond = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							 .csum_start = 60000 };
	static const struct virtio_net_hdr_v1 done;
	struct ifreq r = { .ifr_name = NAME };
	uint32_t len;
	int fd;

	if (!possible)
		skip();
	len = ip_frame(IPPROTO_UDP, 50);
	assert_int_equal(put(len, &beyond, 0), VMB_DEV_NET_DROPPED);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
	assert_int_equal(put(len, &done, 0), VMB_DEV_NET_DROPPED);
	assert_int_equal(net.dropped, 2);
	assert_true(net.link_up);
}

/* The program must not spin on a descriptor that is always ready. */
static void test_removed_interface_takes_the_link_down(void **state)
{
	static const struct virtio_net_hdr_v1 done;
	struct pollfd fds[64];
	uint64_t end = now_ms() + WAIT_MS;
	int timeout = -1;

	if (!possible)
		skip();
	if (system("ip link delete " NAME " 2>/dev/null"))
		skip();
	net.full = true; /* somebody waits for room */
	while (net.link_up && now_ms() < end)
		turn(10);
	assert_false(net.link_up);
	assert_false(net.full);
	assert_int_equal(net.ops->fill(&net, fds, 64, &timeout), 0);
	memset(frame_bytes, 0, 64);
	assert_int_equal(put(60, &done, 0), VMB_DEV_NET_DROPPED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_created_interface_is_up_and_goes_again),
		TEST(test_interface_that_may_not_be_made_is_refused),
		TEST(test_interface_is_made_when_the_machine_starts),
		TEST(test_open_checksum_is_completed_and_a_wrong_one_is_not),
		TEST(test_large_frame_passes_unsplit_to_the_machine),
		TEST(test_large_frame_passes_unsplit_to_the_guest),
		TEST(test_several_queues_are_used),
		TEST(test_existing_interface_of_either_kind_is_taken_and_stays),
		TEST(test_interface_in_use_or_of_another_kind_is_refused),
		TEST(test_impossible_header_and_switched_off_interface_drop),
		TEST(test_removed_interface_takes_the_link_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, NULL);
}
