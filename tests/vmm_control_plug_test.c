// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Disks, discs and devices that come and go by control, over a guest and a controller in this
 * process: what the commands answer, what the guest sees, and that nothing is left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/services/services.h"
#include "devices/socket.h"
#include "tests/loopback_bed.h"
#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/machine.h"
#include "vmm/opening.h"
#include "vmm/relay.h"

#define LIMIT_S		60 /* whatever waits for ever ends the test by SIGALRM */
#define TEST_UNIT_READY 0x00
#define READ_CAPACITY	0x25
#define NOT_READY	0x02
#define UNIT_ATTENTION	0x06
#define DISC_LEN	(64u << 10)

static struct vmb_vmm_machine machine;
static struct vmb_vmm_options options = { .kernel = "vmlinuz", .cpus = 1 };
static struct vmb_vmm_devices devices;
static struct vmb_dev_fault_plan faults;
static struct vmb_vmm_control *control;
static struct loop *bed;
static struct vmb_user_device *guest;
static char folder[] = "/tmp/vmm-control-XXXXXX", path[64];
static uint32_t resets;
static int client;

static json_t *read_line(void)
{
	static char line[1 << 20];
	size_t len = 0;

	while (len < sizeof(line) && read(client, line + len, 1) == 1 && line[len] != '\n')
		len++;
	return json_loadb(line, len, 0, NULL);
}

static void connect_client(void)
{
	struct sockaddr_un address;

	client = vmb_dev_socket_create(&address, path, SOCK_STREAM);
	assert_int_equal(fcntl(client, F_SETFL, 0), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	json_decref(read_line());
}

/* Without a guest: a device leaves at once. */
static int set_up_alone(void **state)
{
	const struct vmb_vmm_control_config config = { &options, &devices, &resets, NULL, &faults };

	alarm(LIMIT_S);
	bed = loop_new((struct vmb_user_loopback_config){ .threads = true });
	options.generation = *vmb_vmm_generation_newest();
	machine = (struct vmb_vmm_machine){ .vmbus = bed->l.machine.bus, .options = &options };
	devices = (struct vmb_vmm_devices){ .count = 1 };
	vmb_dev_fault_plan_init(&faults);
	vmb_dev_fault_plan_attach(&faults, machine.vmbus);
	devices.all[0] =
		(struct vmb_dev_device){ &vmb_dev_storage_ops, vmb_user_loopback_first(&bed->l) };
	assert_int_equal(vmb_vmm_control_open(&control, path, &config), 0);
	assert_int_equal(vmb_vmm_control_start(control), 0);
	vmb_vmm_control_attach(control, &machine);
	connect_client();
	return 0;
}

static int set_up(void **state)
{
	set_up_alone(state);
	guest = loop_open(bed);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_fault_plan_detach(&faults, machine.vmbus);
	close(client);
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	loop_free(bed);
	return 0;
}

static json_t *ask(const char *line)
{
	assert_int_equal(send(client, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	assert_int_equal(send(client, "\n", 1, MSG_NOSIGNAL), 1);
	return read_line();
}

static void expect(const char *line)
{
	json_t *answer = ask(line), *error = json_object_get(answer, "error");

	if (error)
		fail_msg("%s: %s", line, json_string_value(json_object_get(error, "message")));
	json_decref(answer);
}

static void refuse(const char *line, const char *message)
{
	json_t *answer = ask(line), *error = json_object_get(answer, "error");
	const char *said = json_string_value(json_object_get(error, "message"));

	if (!said || !strstr(said, message))
		fail_msg("%s: '%s', not '%s'", line, said ? said : "no error", message);
	json_decref(answer);
}

/* The sense key of a TEST UNIT READY, 0 if it is ready, -1 if there is no such unit. */
static int ready(uint8_t lun)
{
	const uint8_t cdb[6] = { TEST_UNIT_READY };
	struct vmb_guest_storage_event event;

	assert_int_equal(vmb_user_loopback_scsi(&bed->l, guest, lun, cdb, sizeof(cdb),
						VMB_STOR_NO_DATA, NULL, 0, &event),
			 0);
	if ((event.srb_status & 0x3F) == VMB_SRB_INVALID_LUN)
		return -1;
	return event.scsi_status ? event.sense[2] & 0xF : 0;
}

/* Until the unit has told all its news. */
static int settled(uint8_t lun)
{
	int key;

	while ((key = ready(lun)) == UNIT_ATTENTION)
		;
	return key;
}

static uint32_t blocks(uint8_t lun)
{
	const uint8_t cdb[10] = { READ_CAPACITY };
	struct vmb_guest_storage_event event;
	uint8_t data[8] = { 0 };

	assert_int_equal(vmb_user_loopback_scsi(&bed->l, guest, lun, cdb, sizeof(cdb),
						VMB_STOR_READ, data, sizeof(data), &event),
			 0);
	return ((uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]) + 1;
}

static uint32_t rescans(void)
{
	return __atomic_load_n(&guest->rescan_count, __ATOMIC_SEQ_CST);
}

static void await_rescan(uint32_t before)
{
	while (rescans() == before)
		usleep(1000);
}

/* A file of len bytes in the folder, each byte value. */
static void make_file(const char *name, uint32_t len, uint8_t value, char *where)
{
	int fd;

	sprintf(where, "%s/%s", folder, name);
	fd = open(where, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(write(fd, &value, 1), 1);
	close(fd);
}

static void test_disk_comes_and_goes_while_the_guest_writes(void **state)
{
	char file[96], line[256];
	uint32_t before;

	make_file("disk", DISC_LEN, 7, file);
	snprintf(line, sizeof(line), "{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"%s\"}}",
		 file);
	for (int round = 0; round < 20; round++) {
		before = rescans();
		assert_int_equal(ready(1), -1);
		expect(line);
		await_rescan(before);
		assert_int_equal(settled(1), 0);
		assert_int_equal(blocks(1), DISC_LEN / 512);
		assert_int_equal(settled(0), 0); /* the list of units has changed */
		loop_verify(bed, guest, 3, 4096);
		refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M,lun=1\"}}",
		       "LUN 1 is taken already");
		before = rescans();
		expect("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}");
		await_rescan(before);
		assert_int_equal(ready(1), -1);
		refuse("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}", "no unit has");
	}
	unlink(file);
}

/* Counters that the devices' threads write are read meanwhile. */
static void test_machine_is_looked_at_while_the_guest_writes(void **state)
{
	static uint8_t data[512];
	struct vmb_guest_storage_event event;

	for (int round = 0; round < 100; round++) {
		const char *line = round % 2 ? "{\"command\":\"inspect\"}\n" :
					       "{\"command\":\"disks\"}\n";

		assert_int_equal(send(client, line, strlen(line), MSG_NOSIGNAL), strlen(line));
		for (int times = 0; times < 10; times++)
			assert_int_equal(loop_move(bed, guest, LOOP_WRITE, times, data,
						   sizeof(data), &event),
					 0);
		json_decref(read_line());
	}
}

/* A server that accepts connections and says nothing. */
static int silent_server(char *uri)
{
	struct sockaddr_un address;
	char where[64];
	int fd;

	sprintf(where, "%s/silent", folder);
	sprintf(uri, "nbd+unix:///?socket=%s", where);
	fd = vmb_dev_socket_create(&address, where, SOCK_STREAM);
	assert_true(fd >= 0);
	unlink(where);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 2 * VMB_VMM_OPENING_MAX), 0);
	return fd;
}

static int waiting[VMB_VMM_OPENING_MAX / 2];
static uint32_t threads_before;

static uint32_t threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint32_t count = 0;

	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

/* Further clients, each of which asks for the disk of such a server. */
static void connect_waiting(void)
{
	int patient = client;

	threads_before = threads();
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(waiting); i++) {
		connect_client();
		waiting[i] = client;
	}
	client = patient;
}

static void wait_for(const char *line)
{
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(waiting); i++)
		assert_int_equal(send(waiting[i], line, strlen(line), MSG_NOSIGNAL), strlen(line));
	for (int round = 0; round < 3; round++) /* all of them have been looked at then */
		expect("{\"command\":\"disks\"}");
}

/* The alarm is for a request that waits for the server, and so is an end that waits for it. */
static void end_with(int server)
{
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	control = NULL;
	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(waiting); i++)
		close(waiting[i]);
	close(server);
	while (threads() >= threads_before) /* one of them was control's */
		usleep(1000);
	alarm(LIMIT_S);
}

static void add_line(char line[256], const char *uri)
{
	snprintf(line, 256, "{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"%s\"}}\n", uri);
}

static void test_silent_server_holds_up_nobody_else(void **state)
{
	char uri[128], line[256];
	int server = silent_server(uri);

	alarm(8);
	add_line(line, uri);
	connect_waiting();
	wait_for(line);
	expect("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M\"}}");
	expect("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}");
	end_with(server);
}

/* What a reset leaves behind counts, too, until the server is given up. */
static void test_disks_that_are_being_opened_are_counted(void **state)
{
	char uri[128], line[256];
	int server = silent_server(uri);

	alarm(8);
	add_line(line, uri);
	connect_waiting();
	for (int round = 0; round < 2; round++) {
		wait_for(line);
		vmb_vmm_control_detach(control);
		vmb_vmm_control_attach(control, &machine);
		for (int look = 0; look < 3; look++)
			expect("{\"command\":\"disks\"}");
	}
	refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M\"}}",
	       "32 disks are being opened already; try again later");
	end_with(server);
}

/* After a time-out one can ask again. */
static void test_leaving_disk_is_removed_again(void **state)
{
	struct vmb_dev_storage *s = devices.all[0].state;
	struct vmb_dev_disk_option *option;
	struct vmb_dev_disk disk;

	expect("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M\"}}");
	assert_int_equal(vmb_dev_storage_unplug(s, 1), 0);
	assert_int_equal(vmb_dev_storage_unplug(s, 1), 0);
	while (vmb_dev_storage_take_back(s, 1, &disk, &option) == -EAGAIN)
		usleep(1000);
	assert_int_equal(vmb_dev_storage_unplug(s, 1), -ENOENT);
	vmb_dev_storage_discard(&disk, option);
}

static void test_bad_disks_leave_nothing(void **state)
{
	refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"/none/x\"}}",
	       "No such file or directory");
	refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"\"}}", "name is missing");
	refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M,lun=77\"}}", "lun=");
	refuse("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M,controller="
	       "f8b3781a-1e82-4818-a1c3-63d806ec15bb\"}}",
	       "controller=");
	refuse("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":64}}", "no unit has");
	refuse("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":99999999999}}", "no unit has");
	refuse("{\"command\":\"disk-resize\",\"arguments\":{\"lun\":0,\"len\":1}}", "whole blocks");
	refuse("{\"command\":\"disk-resize\",\"arguments\":{\"lun\":0,\"len\":512}}",
	       "only a raw file");
	refuse("{\"command\":\"dvd-eject\",\"arguments\":{\"lun\":0}}", "no DVD drive");
	refuse("{\"command\":\"dvd-eject\",\"arguments\":{\"lun\":9}}", "no unit has");
	assert_int_equal(vmb_dev_storage_luns(devices.all[0].state), 1);
}

static void test_disk_grows_on_request(void **state)
{
	char file[96], line[256];
	struct stat about;

	make_file("disk", DISC_LEN, 7, file);
	snprintf(line, sizeof(line), "{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"%s\"}}",
		 file);
	expect(line);
	assert_int_equal(settled(1), 0);
	expect("{\"command\":\"disk-resize\",\"arguments\":{\"lun\":1,\"len\":131072}}");
	assert_int_equal(stat(file, &about), 0);
	assert_int_equal(about.st_size, 131072);
	assert_int_equal(ready(1), UNIT_ATTENTION);
	assert_int_equal(blocks(1), 256);
	expect("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}");
	unlink(file);
}

static bool has_ended(void *request)
{
	return ((struct vmb_user_request *)request)->has_ended;
}

/* A request that a fault holds ends when its disk is removed. */
static void test_held_request_ends_with_its_disk(void **state)
{
	struct vmb_user_request request = { .storage = { .path_id = guest->address.path_id,
							 .target_id = guest->address.target_id,
							 .lun = 1,
							 .cdb_len = 10,
							 .direction = VMB_STOR_READ,
							 .data_len = 512,
							 .timeout_s = 60 } };
	uint64_t pfn;

	expect("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M,hold=5\"}}");
	assert_int_equal(settled(1), 0);
	loop_cdb(request.storage.cdb, LOOP_READ, 5, 1);
	assert_true(vmb_user_memory_alloc(&bed->l.machine.memory, &pfn, 1));
	request.pfns = &pfn;
	assert_int_equal(vmb_user_guest_submit(guest, &request, false), 0);
	assert_int_equal(settled(1), 0); /* another one passes it */
	assert_false(request.has_ended);
	expect("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}");
	assert_int_equal(vmb_user_guest_wait(&bed->l.guest, has_ended, &request), 0);
	assert_int_not_equal(request.result.srb_status & 0x3F, VMB_SRB_SUCCESS);
	vmb_user_memory_free(&bed->l.machine.memory, &pfn, 1);
	assert_int_equal(ready(1), -1);
}

static uint8_t first_byte(uint8_t lun)
{
	struct vmb_guest_storage_event event;
	static uint8_t data[2048];
	uint8_t cdb[10];

	loop_cdb(cdb, LOOP_READ, 0, 1);
	assert_int_equal(vmb_user_loopback_scsi(&bed->l, guest, lun, cdb, sizeof(cdb),
						VMB_STOR_READ, data, sizeof(data), &event),
			 0);
	assert_int_equal(event.scsi_status, 0);
	return data[0];
}

static void test_disc_is_changed_ejected_and_inserted(void **state)
{
	char first[96], second[96], line[256];
	const uint8_t prevent[6] = { 0x1E, 0, 0, 0, 1 };
	struct vmb_guest_storage_event event;

	make_file("first", DISC_LEN, 1, first);
	make_file("second", 2 * DISC_LEN, 2, second);
	snprintf(line, sizeof(line), "{\"command\":\"cdrom-add\",\"arguments\":{\"disk\":\"%s\"}}",
		 first);
	expect(line);
	assert_int_equal(settled(1), 0);
	assert_int_equal(first_byte(1), 1);
	expect("{\"command\":\"dvd-eject\",\"arguments\":{\"lun\":1}}");
	assert_int_equal(settled(1), NOT_READY);
	snprintf(line, sizeof(line),
		 "{\"command\":\"dvd-insert\",\"arguments\":{\"lun\":1,\"disc\":\"%s\"}}", second);
	expect(line);
	assert_int_equal(ready(1), UNIT_ATTENTION);
	assert_int_equal(settled(1), 0);
	assert_int_equal(first_byte(1), 2);
	assert_int_equal(blocks(1), 2 * DISC_LEN / 2048);
	assert_int_equal(vmb_user_loopback_scsi(&bed->l, guest, 1, prevent, sizeof(prevent),
						VMB_STOR_NO_DATA, NULL, 0, &event),
			 0);
	refuse("{\"command\":\"dvd-eject\",\"arguments\":{\"lun\":1}}", "locked");
	refuse("{\"command\":\"dvd-insert\",\"arguments\":{\"lun\":1,\"disc\":\"/none\"}}",
	       "No such file");
	assert_int_equal(first_byte(1), 2);
	expect("{\"command\":\"dvd-eject\",\"arguments\":{\"lun\":1,\"force\":true}}");
	assert_int_equal(settled(1), NOT_READY);
	expect("{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}");
	unlink(first);
	unlink(second);
}

static void test_controller_is_rescinded_and_offered_again(void **state)
{
	expect("{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"ram:1M\"}}");
	assert_int_equal(settled(0), 0);
	for (int round = 0; round < 20; round++) {
		loop_verify(bed, guest, 3, 4096);
		refuse("{\"command\":\"device-offer\",\"arguments\":{\"name\":\"scsi\"}}", "is in");
		expect("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"scsi\"}}");
		refuse("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"scsi\"}}",
		       "not in already");
		expect("{\"command\":\"device-offer\",\"arguments\":{\"name\":\"scsi\"}}");
		while (!(guest = vmb_user_guest_device(&bed->l.guest)))
			;
		guest = loop_open(bed);
		assert_int_equal(settled(0), 0);
		assert_int_equal(settled(1), 0);
	}
	refuse("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"net9\"}}",
	       "no device 'net9'");
	loop_verify(bed, guest, 3, 4096);
}

static struct vmb_user_device *open_service(enum vmb_ic_type type)
{
	struct vmb_user_device *d;

	while (!(d = vmb_user_guest_service(&bed->l.guest, type)))
		;
	assert_int_equal(vmb_user_guest_open(&bed->l.guest, d), 0);
	return d;
}

/* The worker serves the others meanwhile. */
static void test_a_service_is_rescinded_and_offered_again(void **state)
{
	const struct vmb_dev_services_config config = { .offered = VMB_DEV_SERVICES_ALL,
							.bus_version = VMB_VERSION_NEWEST };
	struct vmb_dev_device services;

	assert_int_equal(vmb_dev_services_open(&services, &config), 0);
	assert_int_equal(services.ops->attach(services.state, machine.vmbus), 0);
	while (vmb_dev_services_part(&devices.all[devices.count], vmb_dev_services_of(&services),
				     devices.count - 1))
		devices.count++;
	open_service(VMB_IC_HEARTBEAT);
	for (int round = 0; round < 20; round++) {
		open_service(VMB_IC_KVP);
		expect("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"kvp\"}}");
		refuse("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"kvp\"}}",
		       "not in already");
		expect("{\"command\":\"device-offer\",\"arguments\":{\"name\":\"kvp\"}}");
	}
	while (vmb_dev_services_heartbeat(vmb_dev_services_of(&services)).health !=
	       VMB_DEV_SERVICES_ALIVE)
		;
	refuse("{\"command\":\"net-remove\",\"arguments\":{\"name\":\"kvp\"}}", "no device");
	for (; devices.count > 1; devices.count--) {
		const struct vmb_dev_device *part = &devices.all[devices.count - 1];

		vmb_dev_bus_rescind(part->ops->channel(part->state));
		while (!part->ops->released(part->state))
			;
	}
	services.ops->detach(services.state);
	services.ops->close(services.state);
}

static void test_card_comes_goes_and_loses_its_cable(void **state)
{
	json_t *answer;

	answer = ask("{\"command\":\"net-add\",\"arguments\":{\"net\":\"null\"}}");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(answer, "result"), "name")),
		"net0");
	json_decref(answer);
	assert_int_equal(devices.count, 2);
	expect("{\"command\":\"net-link\",\"arguments\":{\"name\":\"net0\",\"up\":false}}");
	expect("{\"command\":\"net-link\",\"arguments\":{\"name\":\"net0\",\"up\":true}}");
	refuse("{\"command\":\"net-link\",\"arguments\":{\"name\":\"scsi\",\"up\":true}}",
	       "no device");
	refuse("{\"command\":\"net-add\",\"arguments\":{\"net\":\"nil\"}}", "--net nil: give");
	refuse("{\"command\":\"net-add\",\"arguments\":{\"net\":\"null,mac=02:00:00:00:00:00\"}}",
	       "another card has this address");
	expect("{\"command\":\"device-rescind\",\"arguments\":{\"name\":\"net0\"}}");
	expect("{\"command\":\"device-offer\",\"arguments\":{\"name\":\"net0\"}}");
	expect("{\"command\":\"net-remove\",\"arguments\":{\"name\":\"net0\"}}");
	assert_int_equal(devices.count, 1);
	refuse("{\"command\":\"net-remove\",\"arguments\":{\"name\":\"net0\"}}", "no device");
}

static void test_faults_are_added_listed_and_removed(void **state)
{
	struct vmb_guest_storage_event event;
	static uint8_t data[4096];
	json_t *answer, *list;

	refuse("{\"command\":\"fault-add\",\"arguments\":{\"rule\":\"drip\"}}", "no such kind");
	answer = ask("{\"command\":\"fault-add\",\"arguments\":{\"rule\":\"fail,rate=1,seed=3\"}}");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(answer, "result"), "rule")),
		"fail,on=storage,rate=1,seed=3");
	json_decref(answer);
	assert_int_equal(loop_move(bed, guest, LOOP_READ, 0, data, sizeof(data), &event), 0);
	assert_int_not_equal(event.scsi_status, 0);
	answer = ask("{\"command\":\"faults\"}");
	list = json_object_get(json_object_get(answer, "result"), "faults");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "struck")), 1);
	json_decref(answer);
	expect("{\"command\":\"fault-remove\",\"arguments\":{\"id\":1}}");
	refuse("{\"command\":\"fault-remove\",\"arguments\":{\"id\":1}}", "no rule 1");
	loop_verify(bed, guest, 3, 4096);
}

/* In a nest: files are locked by the relay, which the test is at one end, and talks to at the other. */

static struct vmb_vmm_link link_end;

static void await_frame(struct vmb_vmm_link_frame *frame, enum vmb_vmm_link_kind kind)
{
	do {
		while (!vmb_vmm_link_take(&link_end, frame)) {
			assert_false(link_end.broken);
			vmb_vmm_link_move(&link_end);
			usleep(1000);
		}
		if (frame->head.kind == VMB_VMM_LINK_DATA)
			vmb_vmm_link_put(&link_end, frame->head.client, VMB_VMM_LINK_TAKEN, NULL,
					 0);
	} while (frame->head.kind != kind);
}

static void put_text(uint32_t number, enum vmb_vmm_link_kind kind, const char *text)
{
	vmb_vmm_link_put(&link_end, number, kind, text, strlen(text));
	vmb_vmm_link_move(&link_end);
}

static void expect_data(const char *text)
{
	struct vmb_vmm_link_frame frame;

	do {
		await_frame(&frame, VMB_VMM_LINK_DATA);
		frame.bytes[frame.head.len < sizeof(frame.bytes) ? frame.head.len : 0] = 0;
	} while (!strstr((char *)frame.bytes, text));
}

static void test_file_of_a_disk_is_locked_outside_of_a_nest(void **state)
{
	const struct vmb_vmm_control_config config = { &options, &devices, &resets, NULL, &faults };
	struct vmb_vmm_control *own = control;
	struct vmb_vmm_link_frame frame;
	char file[96], line[256];
	uint32_t number;
	int ends[2];

	make_file("disk", DISC_LEN, 7, file);
	snprintf(line, sizeof(line), "{\"command\":\"disk-add\",\"arguments\":{\"disk\":\"%s\"}}\n",
		 file);
	vmb_vmm_control_detach(own);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	link_end = (struct vmb_vmm_link){ .fd = ends[0] };
	assert_int_equal(vmb_vmm_control_open_port(&control, ends[1], &config), 0);
	assert_int_equal(vmb_vmm_control_start(control), 0);
	vmb_vmm_control_attach(control, &machine);
	vmb_vmm_link_put(&link_end, 1, VMB_VMM_LINK_OPEN, NULL, 0);
	put_text(1, VMB_VMM_LINK_DATA, line);
	await_frame(&frame, VMB_VMM_LINK_LOCK);
	assert_int_equal(frame.bytes[0], 'w');
	assert_int_equal(frame.head.len, strlen(file) + 1);
	assert_memory_equal(frame.bytes + 1, file, strlen(file));
	put_text(frame.head.client, VMB_VMM_LINK_LOCKED, "another has it");
	expect_data("another has it");
	put_text(1, VMB_VMM_LINK_DATA, line);
	await_frame(&frame, VMB_VMM_LINK_LOCK);
	number = frame.head.client;
	put_text(number, VMB_VMM_LINK_LOCKED, "");
	expect_data("\"lun\":1");
	put_text(1, VMB_VMM_LINK_DATA, "{\"command\":\"disk-remove\",\"arguments\":{\"lun\":1}}\n");
	await_frame(&frame, VMB_VMM_LINK_UNLOCK);
	assert_int_equal(frame.head.client, number);
	vmb_vmm_control_detach(control);
	vmb_vmm_control_close(control);
	close(ends[0]);
	control = own;
	unlink(file);
}

static int try_lock(const char *file)
{
	const struct vmb_dev_disk_option disk = { .path = file };
	int fd = open(file, O_RDWR), error = vmb_dev_disk_lock(fd, &disk);

	close(fd);
	return error;
}

static void test_relay_locks_files(void **state)
{
	struct vmb_vmm_link_frame frame;
	char file[96], text[128], socket_path[96];
	int fd;

	make_file("disk", 512, 7, file);
	snprintf(text, sizeof(text), "w%s", file);
	snprintf(socket_path, sizeof(socket_path), "%s/relay", folder);
	assert_int_equal(vmb_vmm_relay_start(socket_path, &fd), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	link_end = (struct vmb_vmm_link){ .fd = fd };
	put_text(1, VMB_VMM_LINK_LOCK, text);
	await_frame(&frame, VMB_VMM_LINK_LOCKED);
	assert_int_equal(frame.head.len, 0);
	assert_int_equal(try_lock(file), -EINVAL);
	put_text(2, VMB_VMM_LINK_LOCK, text);
	await_frame(&frame, VMB_VMM_LINK_LOCKED);
	assert_int_equal(frame.head.client, 2);
	assert_true(frame.head.len > 10);
	put_text(3, VMB_VMM_LINK_LOCK, "w/nowhere/x");
	await_frame(&frame, VMB_VMM_LINK_LOCKED);
	assert_memory_equal(frame.bytes, "/nowhere/x: No such file", 24);
	put_text(4, VMB_VMM_LINK_LOCK, "");
	await_frame(&frame, VMB_VMM_LINK_LOCKED);
	assert_true(frame.head.len > 10);
	put_text(1, VMB_VMM_LINK_UNLOCK, "");
	put_text(5, VMB_VMM_LINK_LOCK, text); /* the one before has been carried out then */
	await_frame(&frame, VMB_VMM_LINK_LOCKED);
	assert_int_equal(frame.head.len, 0);
	close(fd);
	while (access(socket_path, F_OK) == 0)
		usleep(1000); /* the relay ends by itself */
	while (try_lock(file))
		usleep(1000);
	unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		SERVED(test_disk_comes_and_goes_while_the_guest_writes),
		SERVED(test_machine_is_looked_at_while_the_guest_writes),
		SERVED(test_bad_disks_leave_nothing),
		SERVED(test_silent_server_holds_up_nobody_else),
		SERVED(test_disks_that_are_being_opened_are_counted),
		SERVED(test_leaving_disk_is_removed_again),
		SERVED(test_disk_grows_on_request),
		SERVED(test_held_request_ends_with_its_disk),
		SERVED(test_disc_is_changed_ejected_and_inserted),
		SERVED(test_faults_are_added_listed_and_removed),
		SERVED(test_controller_is_rescinded_and_offered_again),
		SERVED(test_file_of_a_disk_is_locked_outside_of_a_nest),
		cmocka_unit_test(test_relay_locks_files),
		cmocka_unit_test_setup_teardown(test_a_service_is_rescinded_and_offered_again,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_card_comes_goes_and_loses_its_cable,
						set_up_alone, tear_down),
	};
	int failed;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	failed = cmocka_run_group_tests_name("vmm_control_plug", tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
