// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A machine that resets again and again while its devices stay, as `openvmbus run` does it: each
 * life has a bus of its own, a guest that uses disks of each kind and leaves without a word, and
 * cards. The process's descriptors, mappings and threads do not grow.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/network.h"
#include "tests/guest_thread.h"
#include "tests/loopback_bed.h"
#include "tests/nbd_fake.h"

#define LIVES	 20u
#define SETTLED	 4u /* lives after which everything that is made once has been made */
#define DISKS	 3u
#define DISK_LEN (8u << 20)

static char folder[] = "/tmp/vmm-lives-XXXXXX", file[64], path[64], uri[128];
static struct nbd_fake fake;
static struct vmb_dev_device devices[3];

struct life {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct guest_thread thread;
};

static void read_disk(struct life *l, struct vmb_user_device *d, uint8_t lun)
{
	struct vmb_user_request request = { .storage = { .path_id = d->address.path_id,
							 .target_id = d->address.target_id,
							 .lun = lun,
							 .cdb_len = 10,
							 .direction = VMB_STOR_READ,
							 .data_len = VMB_PAGE_LEN,
							 .timeout_s = 60 } };
	uint64_t pfn;

	assert_true(vmb_user_memory_alloc(&l->machine.memory, &pfn, 1));
	loop_cdb(request.storage.cdb, LOOP_READ, 0, VMB_PAGE_LEN / LOOP_BLOCK_LEN);
	request.pfns = &pfn;
	/* a reset's unit attention comes first */
	for (uint32_t i = 0; i < 2 && request.result.scsi_status + !request.has_ended; i++) {
		request.has_ended = false;
		assert_int_equal(vmb_user_guest_execute(d, &request), 0);
	}
	assert_int_equal(request.result.scsi_status, 0);
	vmb_user_memory_free(&l->machine.memory, &pfn, 1);
}

static void live(void)
{
	const struct vmb_user_machine_config config = { .page_count = 16384, .threads = true };
	const struct vmb_user_guest_config guest = { 0 };
	struct life *l = calloc(1, sizeof(*l));
	struct vmb_user_device *d;

	assert_int_equal(vmb_user_machine_init(&l->machine, &config), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(devices); i++)
		assert_int_equal(devices[i].ops->attach(devices[i].state, l->machine.bus), 0);
	assert_int_equal(vmb_user_guest_init(&l->guest, &l->machine, &guest), 0);
	guest_thread_start(&l->thread, &l->guest);
	assert_int_equal(vmb_user_guest_start(&l->guest), 0);
	d = vmb_user_guest_device(&l->guest);
	assert_int_equal(vmb_user_guest_open(&l->guest, d), 0);
	for (uint8_t lun = 0; lun < DISKS; lun++)
		read_disk(l, d, lun);
	guest_thread_stop(&l->thread);
	vmb_user_guest_destroy(&l->guest);
	vmb_dev_bus_stop(l->machine.bus);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(devices); i++)
		devices[i].ops->detach(devices[i].state);
	vmb_user_machine_destroy(&l->machine);
	free(l);
}

/* Entries of a folder of /proc/self, or lines of a file there. */
static uint32_t count_entries(const char *name)
{
	DIR *dir = opendir(name);
	uint32_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* What the sanitizer maps for its own use is not counted. */
static uint32_t count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	uint32_t count = 0;

	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:") || strstr(line, "io_uring");
	fclose(maps);
	return count;
}

static void open_card(struct vmb_dev_device *device, uint32_t number, const char *text)
{
	static struct vmb_dev_net_option options[2];
	static char values[2][32];

	strcpy(values[number], text);
	assert_int_equal(vmb_dev_net_parse(&options[number], values[number], number), 0);
	assert_int_equal(vmb_dev_network_open(device, &options[number], number), 0);
}

static int set_up(void **state)
{
	static struct vmb_dev_disk_option disks[DISKS] = { { .path = "ram:8M" },
							   { .path = file },
							   { .path = uri, .reconnect_s = 20 } };
	const struct vmb_dev_storage_config storage = { .disks = disks, .disk_count = DISKS };
	int fd;

	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/disk", folder);
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", path);
	fd = open(file, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, DISK_LEN) || close(fd))
		return -1;
	nbd_fake_start(&fake, path, DISK_LEN, NBD_FAKE_GOOD);
	assert_int_equal(vmb_dev_storage_open(&devices[0], &storage), 0);
	open_card(&devices[1], 0, "user");
	open_card(&devices[2], 1, "null");
	for (size_t i = 0; i < VMB_ARRAY_COUNT(devices); i++)
		assert_int_equal(devices[i].ops->prepare(devices[i].state), 0);
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(devices); i++)
		devices[i].ops->close(devices[i].state);
	nbd_fake_stop(&fake);
	unlink(file);
	unlink(path);
	return rmdir(folder);
}

static void test_resets_do_not_grow_the_process(void **state)
{
	uint32_t fds = 0, mappings = 0, threads = 0;

	for (uint32_t i = 1; i <= LIVES; i++) {
		live();
		if (i != SETTLED)
			continue;
		fds = count_entries("/proc/self/fd");
		mappings = count_mappings();
		threads = count_entries("/proc/self/task");
	}
	print_message("after %u and %u lives: %u and %u descriptors, %u and %u mappings, "
		      "%u and %u threads\n",
		      SETTLED, LIVES, fds, count_entries("/proc/self/fd"), mappings,
		      count_mappings(), threads, count_entries("/proc/self/task"));
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	assert_int_equal(count_mappings(), mappings);
	assert_int_equal(count_entries("/proc/self/task"), threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_resets_do_not_grow_the_process, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
