// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A table like that of tests/stop_test.sh, for what needs a guest that uses its devices: hostile
 * servers, networks and guests times the ways in which a guest or its machine lets go. Both ends
 * run in this process, with their threads. A line for each says how long it took.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "devices/net/cable.h"
#include "tests/loopback_bed.h"
#include "tests/nbd_fake.h"
#include "tests/network_bed.h"

#define NORMAL_MS 2000u
#define WORST_MS  10000u
#define DISK_LEN  (8u << 20)
#define READS	  48u
#define READ_LEN  65536u
#define LARGE_LEN 62774u
#define MSS	  536u

enum way {
	WAY_CLOSE, /* the guest closes the channel */
	WAY_UNLOAD, /* it leaves the bus */
	WAY_END, /* the machine ends, or starts again */
	WAY_COUNT,
};

static const char *const way_names[] = { "close", "unload", "end" };

static char folder[] = "/tmp/vmm-stop-XXXXXX", path[64], uri[128];
static struct nbd_fake fake;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void expect_in_time(const char *row, enum way way, uint64_t began, uint64_t limit)
{
	uint64_t took = now_ms() - began;

	print_message("%s, %s: %llu of %llu ms\n", row, way_names[way], (unsigned long long)took,
		      (unsigned long long)limit);
	assert_true(took <= limit);
}

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", path);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(folder);
}

/* Disks */

struct reader {
	struct vmb_user_loopback l;
	struct vmb_user_device *device;
	struct vmb_user_request requests[READS];
	uint64_t pfns[READS][READ_LEN / VMB_PAGE_LEN];
};

static struct reader *reader_new(const struct vmb_dev_disk_option *disk)
{
	struct vmb_user_loopback_config config = { .disks = { *disk }, .threads = true };
	struct reader *r = calloc(1, sizeof(*r));

	assert_int_equal(vmb_user_loopback_init(&r->l, &config), 0);
	assert_int_equal(vmb_user_guest_start(&r->l.guest), 0);
	r->device = vmb_user_guest_device(&r->l.guest);
	assert_int_equal(vmb_user_guest_open(&r->l.guest, r->device), 0);
	return r;
}

/* Reads that are under way when the end comes. */
static void read_much(struct reader *r)
{
	for (uint32_t i = 0; i < READS; i++) {
		struct vmb_user_request *request = &r->requests[i];

		assert_true(vmb_user_memory_alloc(&r->l.machine.memory, r->pfns[i],
						  VMB_ARRAY_COUNT(r->pfns[i])));
		*request = (struct vmb_user_request){
			.storage = { .path_id = r->device->address.path_id,
				     .target_id = r->device->address.target_id,
				     .cdb_len = 10,
				     .direction = VMB_STOR_READ,
				     .data_len = READ_LEN,
				     .timeout_s = 60 },
			.pfns = r->pfns[i]
		};
		loop_cdb(request->storage.cdb, LOOP_READ, i * READ_LEN / LOOP_BLOCK_LEN,
			 READ_LEN / LOOP_BLOCK_LEN);
		assert_int_equal(vmb_user_guest_submit(r->device, request, false), 0);
	}
}

/*
 * then: a command that ends what the machine's end would wait for, which is measured elsewhere; or
 * NULL.
 */
static void end_reader(struct reader *r, enum way way, const char *row, uint64_t limit,
		       const char *then)
{
	uint64_t began = now_ms();

	if (way == WAY_CLOSE)
		assert_int_equal(vmb_user_guest_close(&r->l.guest, r->device), 0);
	if (way == WAY_UNLOAD)
		assert_int_equal(vmb_user_guest_unload(&r->l.guest), 0);
	if (way == WAY_END)
		vmb_user_loopback_destroy(&r->l);
	expect_in_time(row, way, began, limit);
	if (way != WAY_END && then)
		assert_int_equal(system(then), 0);
	if (way != WAY_END)
		vmb_user_loopback_destroy(&r->l);
	free(r);
}

static void check_server(const char *row, enum nbd_fake_manner manner)
{
	const struct vmb_dev_disk_option disk = { .path = uri, .reconnect_s = 60 };
	struct reader *r;

	for (enum way way = 0; way < WAY_COUNT; way++) {
		nbd_fake_start(&fake, path, DISK_LEN, NBD_FAKE_GOOD);
		r = reader_new(&disk);
		nbd_fake_behave(&fake, manner);
		nbd_fake_drop(&fake); /* what the connections were before */
		read_much(r);
		usleep(300000);
		end_reader(r, way, row, NORMAL_MS, NULL);
		nbd_fake_stop(&fake);
		unlink(path);
	}
}

static void test_server_that_answers_nothing(void **state)
{
	check_server("NBD server that answers nothing", NBD_FAKE_MUTE);
}

static void test_server_that_closes_at_each_command(void **state)
{
	check_server("NBD server that closes at each command", NBD_FAKE_CLOSES_AT_ALL);
}

static void test_server_that_is_dead(void **state)
{
	const struct vmb_dev_disk_option disk = { .path = uri, .reconnect_s = 60 };
	struct reader *r;

	for (enum way way = 0; way < WAY_COUNT; way++) {
		nbd_fake_start(&fake, path, DISK_LEN, NBD_FAKE_GOOD);
		r = reader_new(&disk);
		nbd_fake_stop(&fake);
		read_much(r);
		usleep(300000);
		end_reader(r, way, "NBD server that is dead", NORMAL_MS, NULL);
		unlink(path);
	}
}

/*
 * qemu-nbd has 6 s to write out what it holds; the guest does not wait for that, only the end does.
 */
static void test_image_whose_server_is_stuck(void **state)
{
	char image[80], command[256];
	struct vmb_dev_disk_option disk = { .path = image, .format = "qcow2", .reconnect_s = 60 };
	struct reader *r;

	snprintf(image, sizeof(image), "%s/image", folder);
	for (enum way way = 0; way < WAY_COUNT; way++) {
		snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 %s %u", image,
			 DISK_LEN);
		assert_int_equal(system(command), 0);
		r = reader_new(&disk);
		snprintf(command, sizeof(command), "pkill -STOP -f '^qemu-nbd .*%s'", image);
		assert_int_equal(system(command), 0);
		read_much(r);
		usleep(300000);
		snprintf(command, sizeof(command), "pkill -KILL -f '^qemu-nbd .*%s'", image);
		end_reader(r, way, "image whose qemu-nbd is stuck",
			   way == WAY_END ? WORST_MS : NORMAL_MS, command);
		unlink(image);
	}
}

/* Reads that the disk itself never answers. */
static void test_disk_that_answers_nothing(void **state)
{
	const struct vmb_dev_disk_option disk = { .path = "ram:8M", .stuck = { true, 0 } };
	struct reader *r;

	for (enum way way = 0; way < WAY_COUNT; way++) {
		r = reader_new(&disk);
		read_much(r);
		usleep(100000);
		end_reader(r, way, "disk that does not answer", NORMAL_MS, NULL);
	}
}

/* The guest itself */

/* Lists of pages that are never finished, and some that are, and are never taken back. */
static void test_guest_that_leaves_gpadls(void **state)
{
	const struct vmb_dev_disk_option disk = { .path = "ram:8M" };
	struct {
		struct vmb_msg_gpadl_header header;
		uint32_t byte_count, byte_offset;
		uint64_t pfn;
	} VMB_PACKED message = { .header = { .header.type = VMB_MSG_GPADL_HEADER,
					     .range_count = 1 },
				 .byte_count = VMB_PAGE_LEN };
	struct reader *r;

	for (enum way way = 0; way < WAY_COUNT; way++) {
		r = reader_new(&disk);
		message.header.relid = r->device->channel.relid;
		for (uint32_t i = 0; i < 20000; i++) {
			message.header.gpadl_id = 0x10000 + i;
			message.header.ranges_len = i % 2 ? 16 : 16 + 8 * 4096;
			vmb_user_machine_post(&r->l.machine, VMB_CONNECTION_MESSAGE, &message,
					      sizeof(message));
		}
		print_message("%u page lists are kept\n", r->l.machine.bus->gpadl_count);
		end_reader(r, way, "guest that leaves page lists", NORMAL_MS, NULL);
	}
}

/* Networks */

struct flood {
	struct net_bed *bed;
	pthread_t thread;
	bool stop;
};

/* Frames that are to be cut into as many segments as a card accepts. */
static void *flood(void *arg)
{
	const struct net_spec spec = { .len = LARGE_LEN,
				       .ip = 4,
				       .protocol = NET_TCP,
				       .large = true,
				       .checksums = NET_CHECKSUMS_OPEN };
	struct flood *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_SEQ_CST))
		if (net_send(f->bed, 0, &spec, MSS, NET_INLINE))
			usleep(1000);
	return NULL;
}

static void check_network(const char *row, const char *text)
{
	struct vmb_dev_net_option option;
	char value[128];

	for (enum way way = 0; way < WAY_COUNT; way++) {
		struct flood f = { .stop = false };
		uint64_t began;

		snprintf(value, sizeof(value), "%s", text);
		assert_int_equal(vmb_dev_net_parse(&option, value, 0), 0);
		f.bed = net_new_open(
			(struct vmb_user_network_config){ .host.net = &option,
							  .host.network.rndis.queue_count_max = 1,
							  .page_count = 8192,
							  .threads = true });
		assert_int_equal(pthread_create(&f.thread, NULL, flood, &f), 0);
		usleep(500000);
		__atomic_store_n(&f.stop, true, __ATOMIC_SEQ_CST);
		pthread_join(f.thread, NULL); /* the ring is full of them */
		began = now_ms();
		if (way == WAY_CLOSE)
			assert_int_equal(vmb_user_network_guest_close(&f.bed->l.guest), 0);
		else
			vmb_user_network_destroy(&f.bed->l);
		/* a guest that closes waits for its own frames */
		expect_in_time(row, way, began, way == WAY_CLOSE ? WORST_MS : NORMAL_MS);
		if (way == WAY_CLOSE)
			vmb_user_network_destroy(&f.bed->l);
		net_forget(f.bed);
		free(f.bed->received.list);
		free(f.bed->wire.list);
		free(f.bed);
		way += way == WAY_CLOSE; /* this guest has no unload of its own */
	}
}

static void test_guest_that_floods_the_user_network(void **state)
{
	check_network("guest that floods a user network", "user");
}

/* A neighbour at the other end of the cable, in the switch's place. */

static int listener;
static bool neighbour_ends;

static void *neighbour(void *arg)
{
	static struct vmb_dev_net_cable_message message;
	const struct net_spec spec = { .len = LARGE_LEN,
				       .ip = 4,
				       .protocol = NET_TCP,
				       .large = true,
				       .checksums = NET_CHECKSUMS_OPEN };
	int fd;

	message.header = (struct virtio_net_hdr_v1){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						     .hdr_len = 54,
						     .gso_size = 1,
						     .csum_start = 34,
						     .csum_offset = 16 };
	net_frame_make(message.frame, &spec);
	memset(message.frame, 0xFF, 6);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		while (!__atomic_load_n(&neighbour_ends, __ATOMIC_SEQ_CST) &&
		       send(fd, &message, sizeof(message.header) + LARGE_LEN, MSG_NOSIGNAL) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void test_neighbour_that_floods_and_takes_nothing(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;
	char text[80];

	memcpy(address.sun_path, path, sizeof(path));
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, neighbour, NULL), 0);
	snprintf(text, sizeof(text), "switch=%s", path);
	check_network("neighbour that floods with segments of 1 byte and takes nothing", text);
	__atomic_store_n(&neighbour_ends, true, __ATOMIC_SEQ_CST);
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_server_that_answers_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_server_that_closes_at_each_command, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_server_that_is_dead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_image_whose_server_is_stuck, set_up,
						tear_down),
		cmocka_unit_test(test_disk_that_answers_nothing),
		cmocka_unit_test(test_guest_that_leaves_gpadls),
		cmocka_unit_test(test_guest_that_floods_the_user_network),
		cmocka_unit_test_setup_teardown(test_neighbour_that_floods_and_takes_nothing,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
