// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * NBD disks on a real server (qemu-nbd) that is killed, replaced and robbed of what it was not told to keep; and image
 * formats, whose bytes qemu-img compares with a raw copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/disk/disk.h"

#define DISK_LEN  (8u << 20)
#define PIECE_LEN (64u << 10)
#define TOOL_LEN  512

static char folder[] = "/tmp/vmm-nbd-XXXXXX";
static char image[64], kept[64], socket_path[64], uri[128];
static uint8_t model[DISK_LEN], bytes[DISK_LEN];
static pid_t server;
static struct vmb_dev_disk disk;
static struct vmb_dev_disk_option option;
static struct vmb_host_scsi_task task;
static struct vmb_dev_disk_request request;
static struct io_uring uring;

/* Tools */

static int tool(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int tool(const char *format, ...)
{
	char command[TOOL_LEN];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool answers(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return connected;
}

static void start_server(const char *more)
{
	char socket_option[96],
		*arguments[] = { "qemu-nbd", socket_option, "-f",  "raw",	 "-t",
				 "-e",	     "8",	    image, (char *)more, NULL };

	snprintf(socket_option, sizeof(socket_option), "--socket=%s", socket_path);
	unlink(socket_path);
	server = fork();
	if (server == 0) {
		execvp(arguments[0], arguments);
		_exit(127);
	}
	for (int i = 0; i < 1000 && !answers(); i++)
		usleep(10000);
}

static void kill_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

static void make_image_of_model(void)
{
	int fd = open(image, O_CREAT | O_TRUNC | O_RDWR, 0600);

	assert_int_equal(write(fd, model, sizeof(model)), sizeof(model));
	close(fd);
}

static void make_image(void)
{
	for (size_t i = 0; i < sizeof(model); i++)
		model[i] = 1 + i % 251;
	make_image_of_model();
}

/* Bed */

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(image, sizeof(image), "%s/image", folder);
	snprintf(kept, sizeof(kept), "%s/kept", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", socket_path);
	make_image();
	option = (struct vmb_dev_disk_option){ .path = uri, .reconnect_s = 20 };
	memset(&task, 0, sizeof(task));
	memset(&request, 0, sizeof(request));
	request.task = &task;
	server = 0;
	memset(&disk, 0, sizeof(disk));
	return io_uring_queue_init(8, &uring, 0);
}

static int tear_down(void **state)
{
	vmb_dev_disk_close(&disk);
	io_uring_queue_exit(&uring);
	if (server)
		kill_server();
	return tool("rm -r %s", folder);
}

static void open_disk(void)
{
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
}

static enum vmb_dev_disk_step begin(void)
{
	return disk.ops->begin(&disk, &request, &uring);
}

static enum vmb_host_scsi_error finish(enum vmb_dev_disk_step step)
{
	struct io_uring_cqe *cqe;
	int result;

	while (step == VMB_DEV_DISK_WAIT) {
		assert_int_equal(io_uring_wait_cqe(&uring, &cqe), 0);
		assert_ptr_equal(io_uring_cqe_get_data(cqe), &request);
		result = cqe->res;
		io_uring_cqe_seen(&uring, cqe);
		step = disk.ops->resume(&disk, &request, &uring, result);
	}
	return request.error;
}

static enum vmb_host_scsi_error run(void)
{
	return finish(begin());
}

static void set(enum vmb_host_scsi_op op, uint64_t offset, uint64_t len)
{
	task.op = op;
	task.offset = offset;
	task.len = len;
	task.fua = task.may_unmap = false;
}

/* iov over buf, in pages as a guest's. */
static void cut(uint8_t *buf, uint64_t len)
{
	request.iov_count = 0;
	for (uint64_t at = 0; at < len; at += VMB_PAGE_LEN)
		request.iov[request.iov_count++] =
			(struct iovec){ buf + at,
					len - at < VMB_PAGE_LEN ? len - at : VMB_PAGE_LEN };
}

static void write_disk(uint64_t offset, uint64_t len, uint8_t value)
{
	memset(model + offset, value, len);
	set(VMB_HOST_SCSI_WRITE, offset, len);
	cut(model + offset, len);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
}

static void flush_disk(void)
{
	set(VMB_HOST_SCSI_FLUSH, 0, 0);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
}

static void assert_disk_is_model(void)
{
	for (uint64_t at = 0; at < DISK_LEN; at += 1 << 20) {
		set(VMB_HOST_SCSI_READ, at, 1 << 20);
		cut(bytes + at, 1 << 20);
		assert_int_equal(run(), VMB_HOST_SCSI_OK);
	}
	assert_memory_equal(bytes, model, DISK_LEN);
}

static void assert_image_is_model(void)
{
	int fd = open(image, O_RDONLY);

	assert_int_equal(read(fd, bytes, DISK_LEN), DISK_LEN);
	close(fd);
	assert_memory_equal(bytes, model, DISK_LEN);
}

/* Tests */

static void change_by_every_operation(void)
{
	write_disk(3 * 512, PIECE_LEN, 0xA5);
	task.fua = true;
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_WRITE_ZEROES, 1 << 20, 3 << 20);
	memset(model + (1 << 20), 0, 3 << 20);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_WRITE_SAME, 5 << 20, 1 << 20);
	for (uint32_t i = 0; i < 512; i++)
		task.data[i] = i;
	for (uint32_t i = 0; i < 1 << 20; i++)
		model[(5 << 20) + i] = i % 512;
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_UNMAP, 0, 0);
	task.extent_count = 2;
	task.extents[0] = (struct vmb_host_scsi_extent){ 6 << 20, 1 << 20 };
	task.extents[1] = (struct vmb_host_scsi_extent){ 7 << 20, 4096 };
	memset(model + (6 << 20), 0, 1 << 20);
	memset(model + (7 << 20), 0, 4096);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
}

static void test_every_operation_reaches_the_server(void **state)
{
	start_server(NULL);
	open_disk();
	assert_int_equal(disk.len, DISK_LEN);
	assert_true(disk.can_unmap);
	assert_disk_is_model();
	change_by_every_operation();
	assert_disk_is_model();
	flush_disk();
	assert_image_is_model();
}

static void test_operation_waits_for_a_server_that_comes_back(void **state)
{
	enum vmb_dev_disk_step step;

	start_server(NULL);
	open_disk();
	write_disk(0, PIECE_LEN, 1);
	kill_server();
	memset(model + PIECE_LEN, 2, PIECE_LEN);
	set(VMB_HOST_SCSI_WRITE, PIECE_LEN, PIECE_LEN);
	cut(model + PIECE_LEN, PIECE_LEN);
	step = begin();
	usleep(300000);
	start_server(NULL);
	assert_int_equal(finish(step), VMB_HOST_SCSI_OK);
	assert_disk_is_model();
	flush_disk();
	assert_image_is_model();
}

/* The image is set back to what the last flush made durable, as a server's crash may do. */
static void test_server_that_loses_what_was_not_flushed_gets_it_again(void **state)
{
	start_server(NULL);
	open_disk();
	write_disk(0, PIECE_LEN, 0x11);
	flush_disk();
	assert_int_equal(tool("cp %s %s", image, kept), 0);
	write_disk(0, 2 * PIECE_LEN, 0x22);
	set(VMB_HOST_SCSI_WRITE_ZEROES, 4096, 4096);
	memset(model + 4096, 0, 4096);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	write_disk(8192, 512, 0x33);
	kill_server();
	assert_int_equal(tool("cp %s %s", kept, image), 0);
	start_server(NULL);
	assert_disk_is_model();
	flush_disk();
	assert_image_is_model();
}

/* A flushed write that is replayed would undo a later one by somebody else: it must have left the journal. */
static void test_flushed_write_is_not_written_again(void **state)
{
	start_server(NULL);
	open_disk();
	write_disk(0, PIECE_LEN, 0x44);
	flush_disk();
	kill_server();
	make_image(); /* what was flushed is gone from the image, on purpose */
	start_server(NULL);
	assert_disk_is_model();
}

static void test_server_that_stays_away_is_an_error_and_then_not(void **state)
{
	option.reconnect_s = 1;
	start_server(NULL);
	open_disk();
	write_disk(0, 512, 0x55);
	kill_server();
	set(VMB_HOST_SCSI_READ, 0, 512);
	cut(bytes, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_GONE);
	assert_int_equal(run(), VMB_HOST_SCSI_GONE);
	start_server(NULL);
	for (int i = 0; i < 100 && run() != VMB_HOST_SCSI_OK; i++)
		usleep(100000);
	assert_disk_is_model();
}

/* The connection stands, but nobody answers: as when the server's machine loses its power. */
static void test_silent_server_is_an_error_and_then_not(void **state)
{
	option.reconnect_s = 1;
	start_server(NULL);
	open_disk();
	write_disk(0, 512, 0x66);
	kill(server, SIGSTOP);
	set(VMB_HOST_SCSI_READ, 0, 512);
	cut(bytes, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_GONE);
	kill(server, SIGCONT);
	for (int i = 0; i < 100 && run() != VMB_HOST_SCSI_OK; i++)
		usleep(100000);
	assert_disk_is_model();
}

static void test_smaller_export_is_not_taken_for_the_old_one(void **state)
{
	option.reconnect_s = 1;
	start_server(NULL);
	open_disk();
	kill_server();
	assert_int_equal(truncate(image, DISK_LEN / 2), 0);
	start_server(NULL);
	set(VMB_HOST_SCSI_READ, 0, 512);
	cut(bytes, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_GONE);
}

/* More than twice what the journal holds: it is flushed on the way. */
static void test_journal_is_bounded(void **state)
{
	start_server(NULL);
	open_disk();
	for (uint32_t i = 0; i < 160; i++)
		write_disk((i % 8) << 20, 1 << 20, (uint8_t)i);
	kill_server();
	start_server(NULL);
	assert_disk_is_model();
}

static void test_read_only_export_is_refused_unless_asked_for(void **state)
{
	start_server("-r");
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), -EINVAL);
	vmb_dev_disk_close(&disk);
	option.read_only = true;
	open_disk();
	assert_false(disk.can_unmap);
	assert_disk_is_model();
}

static void test_missing_server_is_refused(void **state)
{
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), -EINVAL);
}

/* create: qemu-img's name of the format and its options. */
static void check_format(const char *format, const char *create)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/disk.%s", folder, format);
	assert_int_equal(tool("qemu-img create -q -f %s %s %u", create, path, DISK_LEN), 0);
	option.path = path;
	option.format = NULL;
	assert_int_equal(vmb_dev_disk_open(&disk, &option), -EINVAL); /* by its magic */
	option.format = format;
	open_disk();
	assert_int_equal(disk.len, DISK_LEN);
	for (uint32_t at = 0; at < DISK_LEN; at += 1 << 20)
		write_disk(at, 1 << 20, (uint8_t)(at >> 20) + 1);
	change_by_every_operation();
	assert_disk_is_model();
	flush_disk();
	vmb_dev_disk_close(&disk);
	make_image_of_model();
	assert_int_equal(tool("qemu-img compare -q -f %.*s -F raw %s %s", (int)strcspn(create, " "),
			      create, path, image),
			 0);
}

static void test_qcow2_has_the_bytes(void **state)
{
	check_format("qcow2", "qcow2");
}

static void test_dynamic_vhd_has_the_bytes(void **state)
{
	check_format("vhd", "vpc -o subformat=dynamic,force_size=on");
}

static void test_fixed_vhd_has_the_bytes(void **state)
{
	check_format("vhd", "vpc -o subformat=fixed,force_size=on");
}

static void test_vhdx_has_the_bytes(void **state)
{
	check_format("vhdx", "vhdx");
}

static void test_vmdk_has_the_bytes(void **state)
{
	check_format("vmdk", "vmdk");
}

static void test_image_that_is_no_image_is_refused(void **state)
{
	option.path = image;
	option.format = "qcow2";
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), -EINVAL);
}

#define ON_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_SERVER(test_every_operation_reaches_the_server),
		ON_SERVER(test_operation_waits_for_a_server_that_comes_back),
		ON_SERVER(test_server_that_loses_what_was_not_flushed_gets_it_again),
		ON_SERVER(test_flushed_write_is_not_written_again),
		ON_SERVER(test_server_that_stays_away_is_an_error_and_then_not),
		ON_SERVER(test_silent_server_is_an_error_and_then_not),
		ON_SERVER(test_smaller_export_is_not_taken_for_the_old_one),
		ON_SERVER(test_journal_is_bounded),
		ON_SERVER(test_read_only_export_is_refused_unless_asked_for),
		ON_SERVER(test_missing_server_is_refused),
		ON_SERVER(test_qcow2_has_the_bytes),
		ON_SERVER(test_dynamic_vhd_has_the_bytes),
		ON_SERVER(test_fixed_vhd_has_the_bytes),
		ON_SERVER(test_vhdx_has_the_bytes),
		ON_SERVER(test_vmdk_has_the_bytes),
		ON_SERVER(test_image_that_is_no_image_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
