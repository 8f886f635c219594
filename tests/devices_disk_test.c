// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The raw backend on a real file and the RAM disk: every operation that the SCSI target asks for, judged by the bytes that are
 * there afterwards. And the filter of planned faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/disk/disk.h"

#define DISK_LEN (16u << 20)
#define PAGE	 4096u

static char path[] = "/tmp/vmm-disk-XXXXXX";
static uint8_t model[DISK_LEN], bytes[DISK_LEN];
static struct vmb_dev_disk disk;
static struct vmb_dev_disk_option option;
static struct vmb_host_scsi_task task;
static struct vmb_dev_disk_request request;
static struct io_uring uring;

static enum vmb_host_scsi_error run(void);
static void set(enum vmb_host_scsi_op op, uint64_t offset, uint64_t len);
static void cut(uint8_t *buf, uint64_t len, uint64_t piece);

static void move_all(enum vmb_host_scsi_op op, uint8_t *buf)
{
	for (uint32_t at = 0; at < DISK_LEN; at += 1 << 20) {
		set(op, at, 1 << 20);
		cut(buf + at, 1 << 20, PAGE);
		assert_int_equal(run(), VMB_HOST_SCSI_OK);
	}
}

/* *state: the disk in place of a file, which has the model's bytes too. */
static int set_up(void **state)
{
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	for (size_t i = 0; i < sizeof(model); i++)
		model[i] = 1 + i % 251;
	if (fd < 0 || write(fd, model, sizeof(model)) != (ssize_t)sizeof(model))
		return -1;
	close(fd);
	option = (struct vmb_dev_disk_option){ .path = *state ? *state : path };
	memset(&task, 0, sizeof(task));
	memset(&request, 0, sizeof(request));
	request.task = &task;
	if (vmb_dev_disk_open(&disk, &option) || io_uring_queue_init(8, &uring, 0))
		return -1;
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
	if (*state)
		move_all(VMB_HOST_SCSI_WRITE, model);
	return 0;
}

static int tear_down(void **state)
{
	io_uring_queue_exit(&uring);
	vmb_dev_disk_close(&disk);
	unlink(path);
	return 0;
}

static enum vmb_host_scsi_error run(void)
{
	struct io_uring_cqe *cqe;
	enum vmb_dev_disk_step step = disk.ops->begin(&disk, &request, &uring);
	int result;

	while (step == VMB_DEV_DISK_WAIT) {
		assert_true(io_uring_submit_and_wait(&uring, 1) >= 0);
		assert_int_equal(io_uring_peek_cqe(&uring, &cqe), 0);
		assert_ptr_equal(io_uring_cqe_get_data(cqe), &request);
		result = cqe->res;
		io_uring_cqe_seen(&uring, cqe);
		step = disk.ops->resume(&disk, &request, &uring, result);
	}
	return request.error;
}

static void set(enum vmb_host_scsi_op op, uint64_t offset, uint64_t len)
{
	task.op = op;
	task.offset = offset;
	task.len = len;
}

/* iov over buf, in pieces that do not fit each other. */
static void cut(uint8_t *buf, uint64_t len, uint64_t piece)
{
	request.iov_count = 0;
	while (len) {
		uint64_t n = piece < len ? piece : len;

		request.iov[request.iov_count++] = (struct iovec){ buf, n };
		buf += n;
		len -= n;
	}
}

static void assert_file_is_model(void)
{
	int fd;

	if (option.path != path) {
		move_all(VMB_HOST_SCSI_READ, bytes);
		assert_memory_equal(bytes, model, sizeof(model));
		return;
	}
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(read(fd, bytes, 1), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_memory_equal(bytes, model, sizeof(model));
}

static void test_read_returns_the_files_bytes(void **state)
{
	static uint8_t buf[1 << 20];

	set(VMB_HOST_SCSI_READ, 3 * 512, sizeof(buf));
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_memory_equal(buf, model + 3 * 512, sizeof(buf));
}

static void test_write_changes_exactly_its_bytes(void **state)
{
	static uint8_t buf[100 * 512];

	memset(buf, 0xEE, sizeof(buf));
	for (int fua = 0; fua < 2; fua++) {
		set(VMB_HOST_SCSI_WRITE, 5 * 512 + fua * sizeof(buf), sizeof(buf));
		task.fua = fua;
		cut(buf, sizeof(buf), 700);
		assert_int_equal(run(), VMB_HOST_SCSI_OK);
		assert_int_equal(request.syncing, option.path == path && fua);
		memset(model + task.offset, 0xEE, task.len);
	}
	assert_file_is_model();
}

static void test_flush_succeeds(void **state)
{
	set(VMB_HOST_SCSI_FLUSH, 0, 0);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_file_is_model();
}

/* Also where the file system has no holes: then by writing. */
static void test_zeroes_are_zeroes(void **state)
{
	for (int may_unmap = 0; may_unmap < 2; may_unmap++) {
		set(VMB_HOST_SCSI_WRITE_ZEROES, 512 + may_unmap * (4u << 20), 3u << 20);
		task.may_unmap = may_unmap;
		assert_int_equal(run(), VMB_HOST_SCSI_OK);
		memset(model + task.offset, 0, task.len);
	}
	assert_file_is_model();
}

static void test_zeroes_by_hand_are_zeroes(void **state)
{
	set(VMB_HOST_SCSI_WRITE_ZEROES, 1024, (5u << 20) + 512);
	assert_int_equal(disk.ops->begin(&disk, &request, &uring), VMB_DEV_DISK_WAIT);
	io_uring_queue_exit(&uring); /* the file system is asked nothing: its answer is played */
	assert_int_equal(io_uring_queue_init(8, &uring, 0), 0);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, -EOPNOTSUPP), VMB_DEV_DISK_WAIT);
	for (enum vmb_dev_disk_step step = VMB_DEV_DISK_WAIT; step == VMB_DEV_DISK_WAIT;) {
		struct io_uring_cqe *cqe;
		int result;

		assert_true(io_uring_submit_and_wait(&uring, 1) >= 0);
		assert_int_equal(io_uring_peek_cqe(&uring, &cqe), 0);
		result = cqe->res;
		io_uring_cqe_seen(&uring, cqe);
		step = disk.ops->resume(&disk, &request, &uring, result);
	}
	assert_int_equal(request.error, VMB_HOST_SCSI_OK);
	memset(model + task.offset, 0, task.len);
	assert_file_is_model();
}

static void test_write_same_repeats_the_block(void **state)
{
	set(VMB_HOST_SCSI_WRITE_SAME, 7 * 512, 2000 * 512);
	for (int i = 0; i < 512; i++)
		task.data[i] = i ^ 0x5A;
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	for (uint32_t i = 0; i < task.len; i++)
		model[task.offset + i] = task.data[i % 512];
	assert_file_is_model();
}

static void test_unmapped_extents_read_as_zero(void **state)
{
	if (!disk.can_unmap)
		skip();
	set(VMB_HOST_SCSI_UNMAP, 0, 0);
	task.extent_count = 3;
	for (uint32_t i = 0; i < 3; i++) {
		task.extents[i].offset = (i * 2 + 1) << 20;
		task.extents[i].len = 512 << i;
		memset(model + task.extents[i].offset, 0, task.extents[i].len);
	}
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_file_is_model();
}

static void test_unmap_without_extents_does_nothing(void **state)
{
	set(VMB_HOST_SCSI_UNMAP, 0, 0);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_file_is_model();
}

/* Answers of a file system, played: what each becomes for the guest. */
static void test_errors_become_sense_the_guest_understands(void **state)
{
	static const struct {
		enum vmb_host_scsi_op op;
		int result;
		enum vmb_host_scsi_error error;
	} cases[] = {
		{ VMB_HOST_SCSI_READ, -EIO, VMB_HOST_SCSI_IO_ERROR },
		{ VMB_HOST_SCSI_READ, 0, VMB_HOST_SCSI_IO_ERROR },
		{ VMB_HOST_SCSI_WRITE, -ENOSPC, VMB_HOST_SCSI_NO_SPACE },
		{ VMB_HOST_SCSI_WRITE, -EDQUOT, VMB_HOST_SCSI_NO_SPACE },
		{ VMB_HOST_SCSI_WRITE, 0, VMB_HOST_SCSI_IO_ERROR },
		{ VMB_HOST_SCSI_FLUSH, -EIO, VMB_HOST_SCSI_IO_ERROR },
		{ VMB_HOST_SCSI_FLUSH, -ENOSPC, VMB_HOST_SCSI_NO_SPACE },
		{ VMB_HOST_SCSI_WRITE_ZEROES, -EIO, VMB_HOST_SCSI_IO_ERROR },
	};
	static uint8_t buf[PAGE];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		set(cases[i].op, 0, sizeof(buf));
		cut(buf, sizeof(buf), 512);
		assert_int_equal(disk.ops->begin(&disk, &request, &uring), VMB_DEV_DISK_WAIT);
		assert_int_equal(disk.ops->resume(&disk, &request, &uring, cases[i].result),
				 VMB_DEV_DISK_DONE);
		assert_int_equal(request.error, cases[i].error);
		io_uring_queue_exit(&uring);
		assert_int_equal(io_uring_queue_init(8, &uring, 0), 0);
	}
}

/* The last thing that was put into the ring, which is empty again then. */
static uint8_t last_opcode(void)
{
	uint8_t opcode = uring.sq.sqes[uring.sq.sqe_tail - 1].opcode;

	io_uring_queue_exit(&uring);
	assert_int_equal(io_uring_queue_init(8, &uring, 0), 0);
	return opcode;
}

/* O_NONBLOCK would have block devices say EAGAIN, at once and for ever. */
static void test_operations_may_block(void **state)
{
	assert_int_equal(fcntl(disk.fd, F_GETFL) & O_NONBLOCK, 0);
}

/* Each time after a rest, and not for ever; what has come further begins to count anew. */
static void test_what_is_not_possible_now_is_tried_again_later(void **state)
{
	static uint8_t buf[2 * PAGE];
	uint32_t tries = 0;

	set(VMB_HOST_SCSI_WRITE, 0, sizeof(buf));
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(disk.ops->begin(&disk, &request, &uring), VMB_DEV_DISK_WAIT);
	for (uint32_t i = 0; i < 2 && tries < 1000;) {
		assert_int_equal(last_opcode(), IORING_OP_WRITEV);
		if (disk.ops->resume(&disk, &request, &uring, i ? -EINTR : -EAGAIN) ==
		    VMB_DEV_DISK_DONE)
			break;
		assert_int_equal(last_opcode(), IORING_OP_TIMEOUT);
		assert_int_equal(disk.ops->resume(&disk, &request, &uring, -ETIME),
				 VMB_DEV_DISK_WAIT);
		if (++tries == 50) { /* half of what there is to do is done */
			i++;
			assert_int_equal(disk.ops->resume(&disk, &request, &uring, PAGE),
					 VMB_DEV_DISK_WAIT);
		}
	}
	assert_int_equal(request.error, VMB_HOST_SCSI_IO_ERROR);
	assert_int_equal(tries, 150);
}

/* The data are there, but not yet on the medium. */
static void test_interrupted_sync_is_no_sync(void **state)
{
	static uint8_t buf[PAGE];

	set(VMB_HOST_SCSI_WRITE, 0, sizeof(buf));
	task.fua = true;
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(disk.ops->begin(&disk, &request, &uring), VMB_DEV_DISK_WAIT);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, PAGE), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_opcode(), IORING_OP_FSYNC);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, -EINTR), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_opcode(), IORING_OP_TIMEOUT);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, -ETIME), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_opcode(), IORING_OP_FSYNC);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, 0), VMB_DEV_DISK_DONE);
	assert_int_equal(request.error, VMB_HOST_SCSI_OK);
}

/* A file that was cut while the guest runs: an error, not a hang. */
static void test_shrunk_file_is_an_error(void **state)
{
	static uint8_t buf[PAGE];

	assert_int_equal(truncate(path, 8192), 0);
	set(VMB_HOST_SCSI_READ, 1 << 20, sizeof(buf));
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
	set(VMB_HOST_SCSI_READ, 8192 - 512, sizeof(buf));
	cut(buf, sizeof(buf), 1000);
	assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
}

static void test_short_transfers_go_on_where_they_stopped(void **state)
{
	static uint8_t buf[3 * PAGE];

	set(VMB_HOST_SCSI_READ, 0, sizeof(buf));
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(disk.ops->begin(&disk, &request, &uring), VMB_DEV_DISK_WAIT);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, PAGE + 10), VMB_DEV_DISK_WAIT);
	assert_int_equal(request.iov_first, 1);
	assert_ptr_equal(request.iov[1].iov_base, buf + PAGE + 10);
	assert_int_equal(request.iov[1].iov_len, PAGE - 10);
	assert_int_equal(disk.ops->resume(&disk, &request, &uring, 2 * PAGE - 10),
			 VMB_DEV_DISK_DONE);
	assert_int_equal(request.error, VMB_HOST_SCSI_OK);
}

/* A second machine must not have the file; two readers may share it. */
static void test_file_is_locked_while_open(void **state)
{
	struct vmb_dev_disk second;
	struct vmb_dev_disk_option reader = { .path = path, .read_only = true };

	assert_int_equal(vmb_dev_disk_open(&second, &option), -EINVAL);
	assert_int_equal(vmb_dev_disk_open(&second, &reader), -EINVAL);
	vmb_dev_disk_close(&disk);
	assert_int_equal(vmb_dev_disk_open(&disk, &reader), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
	assert_false(disk.can_unmap);
	assert_int_equal(vmb_dev_disk_open(&second, &reader), 0);
	vmb_dev_disk_close(&second);
	assert_int_equal(vmb_dev_disk_open(&second, &option), -EINVAL);
}

static void test_null_disk_reads_zeroes(void **state)
{
	const struct vmb_dev_disk_option null = { .path = "null:1T" };
	uint8_t buf[PAGE], zero[PAGE] = { 0 };

	vmb_dev_disk_close(&disk);
	assert_int_equal(vmb_dev_disk_open(&disk, &null), 0);
	assert_int_equal(disk.len, 1ull << 40);
	memset(buf, 1, sizeof(buf));
	set(VMB_HOST_SCSI_WRITE, 0, sizeof(buf));
	cut(buf, sizeof(buf), 512);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_READ, 0, sizeof(buf));
	cut(buf, sizeof(buf), 512);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_memory_equal(buf, zero, sizeof(buf));
}

/* Pieces of pages on either side of whole ones. */
static void test_ram_disk_clears_exactly_what_it_is_told_to(void **state)
{
	static const struct {
		uint64_t offset, len;
	} cases[] = { { 512, 512 },	     { PAGE - 512, 1024 },     { PAGE, PAGE },
		      { 3 * 512, 9 * PAGE }, { PAGE, 2 * PAGE + 512 }, { 0, DISK_LEN / 2 } };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		set(i % 2 ? VMB_HOST_SCSI_WRITE_ZEROES : VMB_HOST_SCSI_UNMAP, cases[i].offset,
		    cases[i].len);
		task.extent_count = 1;
		task.extents[0].offset = cases[i].offset;
		task.extents[0].len = cases[i].len;
		assert_int_equal(run(), VMB_HOST_SCSI_OK);
		memset(model + cases[i].offset, 0, cases[i].len);
		assert_file_is_model();
	}
}

static enum vmb_dev_disk_step read_blocks(uint64_t first, uint64_t count)
{
	static uint8_t buf[1 << 16];

	set(VMB_HOST_SCSI_READ, first * disk.block_len, count * disk.block_len);
	cut(buf, task.len, PAGE);
	return disk.ops->begin(&disk, &request, &uring);
}

/* A table's rows above any backend: what the option says is all that the filter has to do with the disk below. */
static void test_faults_meet_reads_of_their_block_alone(void **state)
{
	static const struct vmb_dev_disk_option faulty = {
		.path = "ram:1M",
		.block_len = 4096,
		.hold = { true, 10 },
		.stuck = { true, 20 },
		.gone = { true, 30 },
	};
	static const struct {
		uint64_t first, count;
		enum vmb_dev_disk_step step;
	} cases[] = {
		{ 0, 10, VMB_DEV_DISK_DONE },  { 9, 2, VMB_DEV_DISK_HELD },
		{ 10, 1, VMB_DEV_DISK_HELD },  { 11, 9, VMB_DEV_DISK_DONE },
		{ 15, 6, VMB_DEV_DISK_STUCK }, { 10, 11, VMB_DEV_DISK_STUCK },
		{ 30, 1, VMB_DEV_DISK_GONE },  { 31, 10, VMB_DEV_DISK_DONE },
	};

	vmb_dev_disk_close(&disk);
	assert_int_equal(vmb_dev_disk_open(&disk, &faulty), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
	assert_int_equal(disk.len, 1 << 20);
	assert_int_equal(disk.block_len, 4096);
	assert_true(disk.can_unmap);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++)
		assert_int_equal(read_blocks(cases[i].first, cases[i].count), cases[i].step);
	set(VMB_HOST_SCSI_WRITE, 10 * 4096, 4096);
	cut(model, 4096, PAGE);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_FLUSH, 20 * 4096, 4096);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	vmb_dev_disk_cancel(&disk);
	assert_false(vmb_dev_disk_resized(&disk));
}

/* A file below waits, is resumed and measured as without the filter. */
static void test_the_disk_below_a_filter_works_as_without(void **state)
{
	struct vmb_dev_disk_option faulty = { .path = path, .gone = { true, 1 } };

	vmb_dev_disk_close(&disk);
	assert_int_equal(vmb_dev_disk_open(&disk, &faulty), 0);
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
	assert_int_equal(read_blocks(1, 1), VMB_DEV_DISK_GONE);
	set(VMB_HOST_SCSI_WRITE, 0, 3 * PAGE);
	task.fua = true;
	memset(model, 0x77, task.len);
	cut(model, task.len, 700);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_file_is_model();
	assert_int_equal(truncate(path, DISK_LEN / 2), 0);
	assert_true(vmb_dev_disk_resized(&disk));
	assert_int_equal(disk.len, DISK_LEN / 2);
}

int main(void)
{
#define ON_RAM(name) cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, "ram:16M")
#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_read_returns_the_files_bytes),
		TEST(test_write_changes_exactly_its_bytes),
		TEST(test_flush_succeeds),
		TEST(test_zeroes_are_zeroes),
		TEST(test_zeroes_by_hand_are_zeroes),
		TEST(test_write_same_repeats_the_block),
		TEST(test_unmapped_extents_read_as_zero),
		TEST(test_unmap_without_extents_does_nothing),
		TEST(test_errors_become_sense_the_guest_understands),
		TEST(test_operations_may_block),
		TEST(test_what_is_not_possible_now_is_tried_again_later),
		TEST(test_interrupted_sync_is_no_sync),
		TEST(test_shrunk_file_is_an_error),
		TEST(test_short_transfers_go_on_where_they_stopped),
		TEST(test_file_is_locked_while_open),
		TEST(test_null_disk_reads_zeroes),
		ON_RAM(test_read_returns_the_files_bytes),
		ON_RAM(test_write_changes_exactly_its_bytes),
		ON_RAM(test_flush_succeeds),
		ON_RAM(test_zeroes_are_zeroes),
		ON_RAM(test_write_same_repeats_the_block),
		ON_RAM(test_unmapped_extents_read_as_zero),
		ON_RAM(test_unmap_without_extents_does_nothing),
		ON_RAM(test_ram_disk_clears_exactly_what_it_is_told_to),
		TEST(test_faults_meet_reads_of_their_block_alone),
		TEST(test_the_disk_below_a_filter_works_as_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
