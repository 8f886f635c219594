// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * NBD disks on a real server (qemu-nbd) that is killed, replaced and robbed of what it was not told
 * to keep; on one that misbehaves (tests/nbd_fake.h); and image formats, whose bytes qemu-img
 * compares with a raw copy.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/disk/disk.h"
#include "devices/disk/engine.h"
#include "tests/nbd_fake.h"

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
static struct vmb_dev_disk_engine engine;
static bool threads; /* the engine is without io_uring */

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
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if a test crashes */
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
	return vmb_dev_disk_engine_open(&engine, threads);
}

static int tear_down(void **state)
{
	vmb_dev_disk_close(&disk);
	vmb_dev_disk_engine_close(&engine);
	if (server)
		kill_server();
	return tool("rm -r %s", folder);
}

static int set_up_threads(void **state)
{
	threads = true;
	return set_up(state);
}

static int tear_down_threads(void **state)
{
	threads = false;
	return tear_down(state);
}

static void open_disk(void)
{
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
}

static enum vmb_dev_disk_step begin(void)
{
	return disk.ops->begin(&disk, &request, &engine);
}

/* Within about 30 s. */
static struct vmb_dev_disk_request *next_completion(int *result)
{
	void *what;

	for (int i = 0; i < 1000; i++) {
		if (vmb_dev_disk_engine_take(&engine, &what, result))
			return what;
		assert_int_equal(vmb_dev_disk_engine_wait(&engine, 30000000), 0);
	}
	fail();
	return NULL;
}

static enum vmb_host_scsi_error finish(enum vmb_dev_disk_step step)
{
	int result;

	while (step == VMB_DEV_DISK_WAIT) {
		assert_ptr_equal(next_completion(&result), &request);
		step = disk.ops->resume(&disk, &request, &engine, result);
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

/*
 * A flushed write that is replayed would undo a later one by somebody else: it must have left the
 * journal.
 */
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

/* Servers that misbehave */

#define MANY 40u

static struct nbd_fake fake;
static struct vmb_dev_disk_request many[MANY];
static struct vmb_host_scsi_task many_tasks[MANY];
static uint8_t *many_bytes;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void open_disk_on_fake(enum nbd_fake_manner manner, uint32_t reconnect_s)
{
	nbd_fake_start(&fake, socket_path, DISK_LEN, manner);
	option.reconnect_s = reconnect_s;
	open_disk();
}

static void close_disk_on_fake(void)
{
	vmb_dev_disk_close(&disk);
	nbd_fake_stop(&fake);
}

/* Shakes hands again and again, and so is never away for long: the window is the command's own. */
static void test_server_that_answers_nothing_is_an_error(void **state)
{
	double begin_s;

	open_disk_on_fake(NBD_FAKE_MUTE, 1);
	begin_s = seconds();
	set(VMB_HOST_SCSI_READ, 0, 512);
	cut(bytes, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_GONE);
	print_message("a read ended after %.1f s\n", seconds() - begin_s);
	assert_true(seconds() - begin_s < 15);
	close_disk_on_fake();
}

/* The guest's own, or ours when there is much to keep. */
static void test_flush_that_the_server_failed_at_is_not_forgotten(void **state)
{
	for (uint32_t written = 0; written <= 40; written += 40) {
		open_disk_on_fake(NBD_FAKE_FAILS_A_FLUSH, 60);
		for (uint32_t i = 0; i < written; i++)
			write_disk(0, 1 << 20, (uint8_t)i);
		while (written && !__atomic_load_n(&fake.flush_count, __ATOMIC_SEQ_CST))
			usleep(10000);
		for (uint32_t i = 0; i < 3; i++) {
			set(VMB_HOST_SCSI_FLUSH, 0, 0);
			assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
		}
		set(VMB_HOST_SCSI_WRITE, 0, 512);
		task.fua = true;
		cut(bytes, 512);
		assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
		for (uint32_t i = 0; i < 80; i++) /* more than is ever kept */
			write_disk(0, 1 << 20, (uint8_t)i);
		assert_true(disk.flush_failed);
		close_disk_on_fake();
		unlink(socket_path);
	}
}

static void test_server_with_long_blocks_has_a_disk_with_long_blocks(void **state)
{
	open_disk_on_fake(NBD_FAKE_LONG_BLOCKS, 60);
	assert_int_equal(disk.block_len, 4096);
	vmb_dev_disk_close(&disk);
	option.block_len = 512;
	assert_int_equal(vmb_dev_disk_open(&disk, &option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), -EINVAL);
	close_disk_on_fake();
}

static uint32_t count_lines(const char *path, const char *what)
{
	FILE *file = fopen(path, "r");
	char line[512];
	uint32_t count = 0;

	while (fgets(line, sizeof(line), file))
		count += strstr(line, what) != NULL;
	fclose(file);
	return count;
}

/*
 * Its command fails after a few tries, other commands do not, and it is not talked about at each.
 */
static void test_server_that_closes_at_a_command_has_it_a_few_times(void **state)
{
	int error_output = dup(STDERR_FILENO), log = open(kept, O_CREAT | O_RDWR | O_TRUNC, 0600);
	double begin_s = seconds();

	open_disk_on_fake(NBD_FAKE_CLOSES_AT_ZEROES, 60);
	dup2(log, STDERR_FILENO);
	set(VMB_HOST_SCSI_WRITE_ZEROES, 0, 1 << 20);
	assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
	set(VMB_HOST_SCSI_READ, 0, 512);
	cut(bytes, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	dup2(error_output, STDERR_FILENO);
	print_message("%u tries in %.1f s, %u lines\n", fake.zeroes_count, seconds() - begin_s,
		      count_lines(kept, "went away"));
	assert_in_range(fake.zeroes_count, 2, 8);
	assert_in_range(count_lines(kept, "went away"), 1, 2);
	close(log);
	close(error_output);
	close_disk_on_fake();
}

static void begin_many(enum vmb_host_scsi_op op)
{
	many_bytes = calloc(MANY, 1 << 20);
	for (uint32_t i = 0; i < MANY; i++) {
		many_tasks[i] = (struct vmb_host_scsi_task){ .op = op,
							     .offset = (i % 8) << 20,
							     .len = 1 << 20 };
		memset(&many[i], 0, sizeof(many[i]));
		many[i].task = &many_tasks[i];
		many[i].iov[0] = (struct iovec){ many_bytes + ((size_t)i << 20), 1 << 20 };
		many[i].iov_count = 1;
		assert_int_equal(disk.ops->begin(&disk, &many[i], &engine), VMB_DEV_DISK_WAIT);
	}
}

/* How many of them ended without an error within the time. */
static uint32_t finish_many(uint32_t limit_s)
{
	uint32_t good = 0, done = 0;
	double begin_s = seconds();

	while (done < MANY) {
		int result;
		struct vmb_dev_disk_request *ended = next_completion(&result);

		if (disk.ops->resume(&disk, ended, &engine, result) != VMB_DEV_DISK_DONE)
			continue;
		done++;
		good += ended->error == VMB_HOST_SCSI_OK;
	}
	print_message("%u requests ended after %.1f s\n", done, seconds() - begin_s);
	assert_true(seconds() - begin_s < limit_s);
	free(many_bytes);
	return good;
}

static void wait_for_commands(void)
{
	uint64_t before, now = 0;

	do {
		before = now;
		usleep(300000);
		now = __atomic_load_n(&fake.command_count, __ATOMIC_SEQ_CST);
	} while (!now || now != before);
}

/* What the guest may have under way is bounded in memory; the rest waits its turn. */
static void test_requests_hold_no_more_than_their_share(void **state)
{
	open_disk_on_fake(NBD_FAKE_MUTE, 60);
	begin_many(VMB_HOST_SCSI_WRITE);
	wait_for_commands();
	assert_true(__atomic_load_n(&fake.asked_len, __ATOMIC_SEQ_CST) <= 16 << 20);
	vmb_dev_disk_cancel(&disk);
	assert_int_equal(finish_many(4), 0);
	close_disk_on_fake();
}

static void test_requests_that_waited_for_room_are_done(void **state)
{
	open_disk_on_fake(NBD_FAKE_GOOD, 60);
	for (uint32_t round = 0; round < 2; round++) {
		begin_many(round ? VMB_HOST_SCSI_WRITE : VMB_HOST_SCSI_READ);
		assert_int_equal(finish_many(30), MANY);
	}
	assert_int_equal(fake.asked_len, 2ull * MANY << 20);
	close_disk_on_fake();
}

static void test_cancelled_requests_do_not_wait_for_a_dead_server(void **state)
{
	option.reconnect_s = 60;
	start_server(NULL);
	open_disk();
	kill_server();
	begin_many(VMB_HOST_SCSI_READ);
	usleep(300000);
	vmb_dev_disk_cancel(&disk);
	assert_int_equal(finish_many(4), 0);
	start_server(NULL); /* and what begins later is done */
	assert_disk_is_model();
}

static void test_cancelled_request_goes_no_further(void **state)
{
	int result;

	open_disk_on_fake(NBD_FAKE_GOOD, 60);
	set(VMB_HOST_SCSI_UNMAP, 0, 0);
	task.extent_count = 3;
	for (uint32_t i = 0; i < 3; i++)
		task.extents[i] = (struct vmb_host_scsi_extent){ i << 20, 4096 };
	assert_int_equal(begin(), VMB_DEV_DISK_WAIT);
	assert_ptr_equal(next_completion(&result), &request);
	vmb_dev_disk_cancel(&disk);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, result), VMB_DEV_DISK_DONE);
	assert_int_equal(request.error, VMB_HOST_SCSI_ABORTED);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	close_disk_on_fake();
}

/* While the other three answer all the time: request goes round and round. */
static void test_one_silent_connection_is_noticed(void **state)
{
	struct vmb_dev_disk_request *what;
	uint32_t ended = 0, good = 0;
	double begin_s = seconds();
	int result;

	open_disk_on_fake(NBD_FAKE_FIRST_MUTE, 1);
	while (__atomic_load_n(&fake.connection_count, __ATOMIC_SEQ_CST) < 4)
		usleep(10000);
	usleep(100000);
	begin_many(VMB_HOST_SCSI_READ);
	set(VMB_HOST_SCSI_FLUSH, 0, 0);
	begin();
	while (ended < MANY) {
		what = next_completion(&result);
		if (disk.ops->resume(&disk, what, &engine, result) != VMB_DEV_DISK_DONE)
			continue;
		if (what == &request)
			begin();
		else
			good += what->error == VMB_HOST_SCSI_OK;
		ended += what != &request;
	}
	print_message("%u of %u reads ended well, the last after %.1f s\n", good, ended,
		      seconds() - begin_s);
	assert_in_range(good, MANY / 2, MANY - 1);
	assert_true(seconds() - begin_s < 15);
	what = next_completion(&result);
	disk.ops->resume(&disk, what, &engine, result);
	close_disk_on_fake();
	free(many_bytes);
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

/* Images that are refused */

static int open_image(const char *path, const char *format, bool backing)
{
	int error;

	option.path = path;
	option.format = format;
	option.backing = backing;
	vmb_dev_disk_close(&disk);
	error = vmb_dev_disk_open(&disk, &option);
	return error ? error : vmb_dev_disk_prepare(&disk);
}

static void write_file(const char *path, uint64_t at, const void *data, size_t len)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	assert_int_equal(pwrite(fd, data, len, (off_t)at), len);
	close(fd);
}

/* As a raw disk, which the first write would ruin. */
static void test_what_looks_like_an_image_is_not_taken_as_raw(void **state)
{
	static const struct {
		const char *magic;
		size_t len;
		uint64_t at;
	} cases[] = {
		{ "QFI\xfb\0\0\0\1", 8, 0 },
		{ "QFI\xfb\0\0\0\3", 8, 0 },
		{ "vhdxfile", 8, 0 },
		{ "KDMV", 4, 0 },
		{ "# Disk DescriptorFile", 21, 0 },
		{ "COWD", 4, 0 },
		{ "conectix", 8, 0 },
		{ "conectix", 8, DISK_LEN - 512 },
		{ "\x7f\x10\xda\xbe", 4, 64 },
		{ "QED\0", 4, 0 },
		{ "WithoutFreeSpace", 16, 0 },
		{ "WithouFreSpacExt", 16, 0 },
		{ "koly", 4, DISK_LEN - 512 },
		{ "\x1f\x8b\x08", 3, 0 },
		{ "\xfd"
		  "7zXZ\0",
		  6, 0 },
		{ "\x28\xb5\x2f\xfd", 4, 0 },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		make_image_of_model();
		write_file(image, cases[i].at, cases[i].magic, cases[i].len);
		assert_int_equal(open_image(image, NULL, false), -EINVAL);
		assert_int_equal(open_image(image, "raw", false), 0);
	}
}

/* Made by the tools that make them. */
static void test_foreign_images_are_not_taken_as_raw(void **state)
{
	static const char *const kinds[] = {
		"qcow",
		"vdi",
		"qed",
		"parallels",
		"vmdk -o subformat=monolithicFlat",
		"vmdk -o subformat=twoGbMaxExtentSparse",
	};
	char path[80];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(kinds); i++) {
		snprintf(path, sizeof(path), "%s/foreign%zu", folder, i);
		assert_int_equal(tool("qemu-img create -q -f %s %s 8M", kinds[i], path), 0);
		assert_int_equal(tool("truncate -s %%512 %s", path), 0);
		assert_int_equal(open_image(path, NULL, false), -EINVAL);
	}
}

/* The file that the guest must not see is image, with the model's bytes. */
static void test_images_that_show_other_files_are_refused_unless_allowed(void **state)
{
	static const struct {
		const char *format, *create; /* of $I, the image, and $P, the path */
	} cases[] = {
		{ "qcow2", "qemu-img create -q -f qcow2 -F raw -b $I $P" },
		{ "qcow2", "qemu-img create -q -f qcow2 -o data_file=$I.0 $P 8M" },
		{ "vmdk", "qemu-img convert -f raw -O vmdk $I $P.0 && "
			  "qemu-img create -q -f vmdk -F vmdk -b $P.0 $P" },
		{ "vmdk", "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat $I $P" },
		/* a disk of no length in itself: QEMU goes by its text */
		{ "vmdk", "{ printf 'KDMV\\1\\0\\0\\0\\3\\0\\0\\0' && head -c 8 /dev/zero && "
			  "printf '\\200\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\24' && "
			  "head -c 475 /dev/zero && printf '# Disk DescriptorFile\nversion=1\n"
			  "CID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
			  "RW %u FLAT \"'$I'\" 0\n' $(($(stat -c %s $I) / 512)) && "
			  "head -c 64K /dev/zero; } >$P" },
	};
	char path[80];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		snprintf(path, sizeof(path), "%s/shows%zu", folder, i);
		assert_int_equal(tool("I=%s P=%s; %s", image, path, cases[i].create), 0);
		assert_int_equal(open_image(path, cases[i].format, false), -EINVAL);
		assert_int_equal(open_image(path, cases[i].format, true), 0);
		assert_int_equal(disk.len, DISK_LEN);
	}
}

static void set_vhd_footer(const char *path, uint64_t at, uint64_t value, size_t len)
{
	uint8_t footer[512];
	uint32_t sum = 0;
	int fd = open(path, O_RDWR);
	off_t end = lseek(fd, -512, SEEK_END);

	assert_int_equal(pread(fd, footer, sizeof(footer), end), sizeof(footer));
	for (size_t i = 0; i < len; i++)
		footer[at + i] = (uint8_t)(value >> (8 * (len - 1 - i)));
	memset(footer + 64, 0, 4);
	for (size_t i = 0; i < sizeof(footer); i++)
		sum += footer[i];
	sum = ~sum;
	for (size_t i = 0; i < 4; i++)
		footer[64 + i] = (uint8_t)(sum >> (24 - 8 * i));
	assert_int_equal(pwrite(fd, footer, sizeof(footer), end), sizeof(footer));
	close(fd);
}

#define FOOTER_CREATOR	28u
#define FOOTER_LEN	48u
#define FOOTER_GEOMETRY 56u
#define FOOTER_TYPE	60u

/* As long as it says, also where its cylinders end earlier; but no longer than the file. */
static void test_vhd_has_the_length_that_it_says(void **state)
{
	const uint32_t virtual_pc = 0x76706320, len = 8389632;
	const uint32_t cylinders = 240, heads = 4, sectors = 17; /* 8355840 bytes */
	char path[80];

	snprintf(path, sizeof(path), "%s/odd.vhd", folder);
	assert_int_equal(tool("qemu-img create -q -f vpc -o subformat=fixed,force_size=on %s %u",
			      path, len),
			 0);
	set_vhd_footer(path, FOOTER_CREATOR, virtual_pc, 4);
	set_vhd_footer(path, FOOTER_GEOMETRY, cylinders << 16 | heads << 8 | sectors, 4);
	assert_int_equal(open_image(path, "vhd", false), 0);
	assert_int_equal(disk.len, len);
	set_vhd_footer(path, FOOTER_LEN, 2ull * len, 8);
	assert_int_equal(open_image(path, "vhd", false), -EINVAL);
	set_vhd_footer(path, FOOTER_LEN, len, 8);
	set_vhd_footer(path, FOOTER_TYPE, 4, 4);
	assert_int_equal(open_image(path, "vhd", false), -EINVAL);
}

/* Our own qemu-nbd: by the image, of which there is one in the whole system. */
static void signal_own_server(const char *signal)
{
	assert_int_equal(tool("pkill -%s -f '^qemu-nbd .*%s'", signal, option.path), 0);
}

static char own_path[80];

static void open_own_disk(const char *format)
{
	snprintf(own_path, sizeof(own_path), "%s/own.%s", folder, format);
	assert_int_equal(tool("qemu-img create -q -f %s %s %u", format, own_path, DISK_LEN), 0);
	option.path = own_path;
	option.format = format;
	open_disk();
	memset(model, 0, sizeof(model));
}

static void kill_own_server_again_and_again(const char *format)
{
	open_own_disk(format);
	for (uint32_t round = 1; round < 4; round++) {
		for (uint32_t at = 0; at < DISK_LEN; at += 1 << 20)
			write_disk(at, 1 << 20, (uint8_t)round);
		signal_own_server("KILL");
		assert_disk_is_model();
	}
	flush_disk();
	vmb_dev_disk_close(&disk);
	make_image_of_model();
	assert_int_equal(tool("qemu-img compare -q -f %s -F raw %s %s", format, own_path, image),
			 0);
}

static void test_own_server_that_is_killed_is_started_again(void **state)
{
	kill_own_server_again_and_again("qcow2");
}

/* Its log is to be replayed each time. */
static void test_own_server_of_a_vhdx_that_is_killed_is_started_again(void **state)
{
	kill_own_server_again_and_again("vhdx");
}

/* By the keeper, who sees that the line to us has ended. */
static void test_own_server_and_its_folder_go_with_us_however_we_end(void **state)
{
	static const char note_socket[] =
		"tr '\\0' '\\n' </proc/$(pgrep -f '^qemu-nbd .*%s')/cmdline 2>/dev/null | "
		"sed -n 's/^--socket=//p' >%s; test -s %s && test -S $(cat %s)";
	int status, waited;
	pid_t child = fork();

	snprintf(own_path, sizeof(own_path), "%s/own.qcow2", folder);
	if (child == 0) {
		open_own_disk("qcow2");
		pause();
		_exit(0);
	}
	for (waited = 0; tool(note_socket, own_path, kept, kept, kept) && waited < 1000; waited++)
		usleep(10000);
	assert_int_equal(tool("test -S $(cat %s)", kept), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	for (waited = 0; waited < 1000; waited++) {
		if (tool("test -e $(dirname $(cat %s))", kept))
			break;
		usleep(10000);
	}
	assert_int_not_equal(tool("test -e $(dirname $(cat %s))", kept), 0);
	assert_int_not_equal(tool("pgrep -f '^qemu-nbd .*%s' >/dev/null", own_path), 0);
}

static void test_own_server_that_hangs_keeps_nobody(void **state)
{
	double begin_s;

	open_own_disk("qcow2");
	write_disk(0, 512, 1);
	signal_own_server("STOP");
	begin_many(VMB_HOST_SCSI_WRITE);
	vmb_dev_disk_cancel(&disk);
	assert_int_equal(finish_many(4), 0);
	begin_s = seconds();
	vmb_dev_disk_leave(&disk);
	vmb_dev_disk_close(&disk);
	print_message("closed after %.1f s\n", seconds() - begin_s);
	assert_true(seconds() - begin_s < 9);
}

#define ON_THREADS(test) cmocka_unit_test_setup_teardown(test, set_up_threads, tear_down_threads)
#define ON_SERVER(test)	 cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
		ON_SERVER(test_server_that_answers_nothing_is_an_error),
		ON_SERVER(test_server_that_closes_at_a_command_has_it_a_few_times),
		ON_SERVER(test_flush_that_the_server_failed_at_is_not_forgotten),
		ON_SERVER(test_server_with_long_blocks_has_a_disk_with_long_blocks),
		ON_SERVER(test_requests_hold_no_more_than_their_share),
		ON_SERVER(test_requests_that_waited_for_room_are_done),
		ON_SERVER(test_cancelled_requests_do_not_wait_for_a_dead_server),
		ON_SERVER(test_cancelled_request_goes_no_further),
		ON_SERVER(test_one_silent_connection_is_noticed),
		ON_SERVER(test_what_looks_like_an_image_is_not_taken_as_raw),
		ON_SERVER(test_foreign_images_are_not_taken_as_raw),
		ON_SERVER(test_images_that_show_other_files_are_refused_unless_allowed),
		ON_SERVER(test_vhd_has_the_length_that_it_says),
		ON_SERVER(test_own_server_that_is_killed_is_started_again),
		ON_SERVER(test_own_server_of_a_vhdx_that_is_killed_is_started_again),
		ON_SERVER(test_own_server_that_hangs_keeps_nobody),
		ON_SERVER(test_own_server_and_its_folder_go_with_us_however_we_end),
		ON_THREADS(test_every_operation_reaches_the_server),
		ON_THREADS(test_requests_that_waited_for_room_are_done),
		ON_THREADS(test_cancelled_requests_do_not_wait_for_a_dead_server),
		ON_SERVER(test_image_that_is_no_image_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
