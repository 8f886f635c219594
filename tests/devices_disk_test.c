// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The raw backend on a real file and the RAM disk: every operation that the SCSI target asks for,
 * judged by the bytes that are there afterwards. And the filter of planned faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/disk/disk.h"
#include "devices/disk/engine.h"

#define DISK_LEN (16u << 20)
#define PAGE	 4096u

static char path[] = "/tmp/vmm-disk-XXXXXX";
static uint8_t model[DISK_LEN], bytes[DISK_LEN];
static struct vmb_dev_disk disk;
static struct vmb_dev_disk_option option;
static struct vmb_host_scsi_task task;
static struct vmb_host_scsi_lun unit; /* task's */
static struct vmb_dev_disk_request request;
static struct vmb_dev_disk_engine engine;
static bool threads; /* the engine is without io_uring */

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
	task.unit = &unit;
	memset(&request, 0, sizeof(request));
	request.task = &task;
	if (vmb_dev_disk_open(&disk, &option) || vmb_dev_disk_engine_open(&engine, threads))
		return -1;
	assert_int_equal(vmb_dev_disk_prepare(&disk), 0);
	if (*state)
		move_all(VMB_HOST_SCSI_WRITE, model);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_disk_engine_close(&engine);
	vmb_dev_disk_close(&disk);
	unlink(path);
	return 0;
}

static enum vmb_host_scsi_error finish(enum vmb_dev_disk_step step)
{
	void *what;
	int result;

	while (step == VMB_DEV_DISK_WAIT) {
		while (!vmb_dev_disk_engine_take(&engine, &what, &result))
			assert_int_equal(vmb_dev_disk_engine_wait(&engine, UINT64_MAX), 0);
		assert_ptr_equal(what, &request);
		step = disk.ops->resume(&disk, &request, &engine, result);
	}
	return request.error;
}

static enum vmb_host_scsi_error run(void)
{
	return finish(disk.ops->begin(&disk, &request, &engine));
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
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	vmb_dev_disk_engine_close(
		&engine); /* the file system is asked nothing: its answer is played */
	assert_int_equal(vmb_dev_disk_engine_open(&engine, threads), 0);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, -EOPNOTSUPP),
			 VMB_DEV_DISK_WAIT);
	assert_int_equal(finish(VMB_DEV_DISK_WAIT), VMB_HOST_SCSI_OK);
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
		assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
		assert_int_equal(disk.ops->resume(&disk, &request, &engine, cases[i].result),
				 VMB_DEV_DISK_DONE);
		assert_int_equal(request.error, cases[i].error);
		assert_int_equal(disk.flush_failed, cases[i].op == VMB_HOST_SCSI_FLUSH);
		disk.flush_failed = false;
		vmb_dev_disk_engine_close(&engine);
		assert_int_equal(vmb_dev_disk_engine_open(&engine, threads), 0);
	}
}

/* What the engine was asked for last; it is forgotten. */
static enum vmb_dev_disk_operation_kind last_kind(void)
{
	vmb_dev_disk_engine_close(&engine);
	assert_int_equal(vmb_dev_disk_engine_open(&engine, threads), 0);
	return request.operation.kind;
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
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	for (uint32_t i = 0; i < 2 && tries < 1000;) {
		assert_int_equal(last_kind(), VMB_DEV_DISK_WRITEV);
		if (disk.ops->resume(&disk, &request, &engine, i ? -EINTR : -EAGAIN) ==
		    VMB_DEV_DISK_DONE)
			break;
		assert_int_equal(last_kind(), VMB_DEV_DISK_REST);
		assert_int_equal(disk.ops->resume(&disk, &request, &engine, -ETIME),
				 VMB_DEV_DISK_WAIT);
		if (++tries == 50) { /* half of what there is to do is done */
			i++;
			assert_int_equal(disk.ops->resume(&disk, &request, &engine, PAGE),
					 VMB_DEV_DISK_WAIT);
		}
	}
	assert_int_equal(request.error, VMB_HOST_SCSI_IO_ERROR);
	assert_int_equal(tries, 150);
}

static void fail_a_flush(bool fua)
{
	static uint8_t buf[PAGE];

	set(fua ? VMB_HOST_SCSI_WRITE : VMB_HOST_SCSI_FLUSH, 0, sizeof(buf));
	task.fua = fua;
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	if (fua)
		assert_int_equal(disk.ops->resume(&disk, &request, &engine, PAGE),
				 VMB_DEV_DISK_WAIT);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, -EIO), VMB_DEV_DISK_DONE);
	assert_int_equal(request.error, VMB_HOST_SCSI_IO_ERROR);
	last_kind();
}

/* The system tells of a lost write once. A guest that asks again must not hear that all is well. */
static void test_failed_flush_is_not_forgotten(void **state)
{
	static uint8_t buf[PAGE];

	for (int fua = 0; fua < 2; fua++) {
		disk.flush_failed = false;
		fail_a_flush(fua);
		for (int i = 0; i < 2; i++) {
			set(VMB_HOST_SCSI_FLUSH, 0, 0);
			assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
			set(VMB_HOST_SCSI_WRITE, 0, PAGE);
			cut(buf, PAGE, PAGE);
			task.fua = true;
			assert_int_equal(run(), VMB_HOST_SCSI_IO_ERROR);
			set(VMB_HOST_SCSI_WRITE, 0, PAGE);
			cut(buf, PAGE, PAGE);
			task.fua = false;
			assert_int_equal(run(), VMB_HOST_SCSI_OK);
			set(VMB_HOST_SCSI_READ, 0, PAGE);
			cut(buf, PAGE, PAGE);
			assert_int_equal(run(), VMB_HOST_SCSI_OK);
		}
	}
}

/* One that takes many operations is not gone on with. */
static void test_cancelled_request_goes_no_further(void **state)
{
	set(VMB_HOST_SCSI_WRITE_SAME, 0, 1 << 20);
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	assert_true(request.iov_count * 512 < task.len);
	vmb_dev_disk_cancel(&disk);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, (int)request.iov_count * 512),
			 VMB_DEV_DISK_DONE);
	assert_int_equal(request.error, VMB_HOST_SCSI_ABORTED);
	last_kind();
	set(VMB_HOST_SCSI_FLUSH, 0, 0); /* and the next is done */
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
}

/* The data are there, but not yet on the medium. */
static void test_interrupted_sync_is_no_sync(void **state)
{
	static uint8_t buf[PAGE];

	set(VMB_HOST_SCSI_WRITE, 0, sizeof(buf));
	task.fua = true;
	cut(buf, sizeof(buf), PAGE);
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, PAGE), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_kind(), VMB_DEV_DISK_SYNC);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, -EINTR), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_kind(), VMB_DEV_DISK_REST);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, -ETIME), VMB_DEV_DISK_WAIT);
	assert_int_equal(last_kind(), VMB_DEV_DISK_SYNC);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, 0), VMB_DEV_DISK_DONE);
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
	assert_int_equal(disk.ops->begin(&disk, &request, &engine), VMB_DEV_DISK_WAIT);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, PAGE + 10), VMB_DEV_DISK_WAIT);
	assert_int_equal(request.iov_first, 1);
	assert_ptr_equal(request.iov[1].iov_base, buf + PAGE + 10);
	assert_int_equal(request.iov[1].iov_len, PAGE - 10);
	assert_int_equal(disk.ops->resume(&disk, &request, &engine, 2 * PAGE - 10),
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
	return disk.ops->begin(&disk, &request, &engine);
}

/*
 * A table's rows above any backend: what the option says is all that the filter has to do with the
 * disk below.
 */
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
	unit.reset_count++; /* the disk works again, but what is gone is gone */
	assert_int_equal(read_blocks(10, 1), VMB_DEV_DISK_DONE);
	assert_int_equal(read_blocks(20, 1), VMB_DEV_DISK_DONE);
	assert_int_equal(read_blocks(30, 1), VMB_DEV_DISK_GONE);
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

/* Block devices. They need somebody who may make one. */

static char loop[32];

static bool make_loop_device(uint32_t block_len)
{
	char command[128];
	FILE *output;

	snprintf(command, sizeof(command), "losetup -f --show -b %u %s 2>/dev/null", block_len,
		 path);
	output = popen(command, "r");
	*loop = 0;
	if (!output || !fgets(loop, sizeof(loop), output))
		*loop = 0;
	if (output)
		pclose(output);
	loop[strcspn(loop, "\n")] = 0;
	return *loop;
}

static int open_loop_device(struct vmb_dev_disk_option o)
{
	option = o;
	option.path = loop;
	vmb_dev_disk_close(&disk);
	return vmb_dev_disk_open(&disk, &option) ? -EINVAL : vmb_dev_disk_prepare(&disk);
}

static int free_loop_device(void **state)
{
	char command[64];

	vmb_dev_disk_close(&disk);
	snprintf(command, sizeof(command), "losetup -d %s", loop);
	if (*loop && system(command))
		return -1;
	return tear_down(state);
}

static void read_and_unmap(uint32_t block_len)
{
	set(VMB_HOST_SCSI_WRITE, 0, PAGE);
	cut(model, PAGE, 512);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	set(VMB_HOST_SCSI_UNMAP, 0, 0);
	task.extent_count = 1;
	task.extents[0].offset = block_len;
	task.extents[0].len = 3 * block_len;
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	memset(model + block_len, 0, 3 * block_len);
	set(VMB_HOST_SCSI_READ, 0, 4 * PAGE);
	cut(bytes, 4 * PAGE, PAGE);
	assert_int_equal(run(), VMB_HOST_SCSI_OK);
	assert_memory_equal(bytes, model, 4 * PAGE);
}

static void test_block_device_is_shown_as_it_is(void **state)
{
	static const struct {
		uint32_t device, said, shown;
		bool can_unmap;
	} cases[] = {
		{ 512, 0, 512, true },
		{ 512, 4096, 4096, true },
		{ 4096, 0, 4096, true },
		{ 4096, 512, 512, false }, /* the device punches no half blocks */
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		if (!make_loop_device(cases[i].device))
			skip();
		assert_int_equal(open_loop_device((struct vmb_dev_disk_option){
					 .block_len = cases[i].said }),
				 0);
		assert_int_equal(disk.len, DISK_LEN);
		assert_int_equal(disk.block_len, cases[i].shown);
		assert_int_equal(disk.can_unmap, cases[i].can_unmap);
		if (disk.can_unmap)
			read_and_unmap(disk.block_len);
		assert_int_equal(free_loop_device(state), 0);
		assert_int_equal(set_up(state), 0);
		*loop = 0;
	}
}

static void test_block_device_that_somebody_has_claimed_is_refused(void **state)
{
	int claim;

	if (!make_loop_device(512))
		skip();
	claim = open(loop, O_RDONLY | O_EXCL);
	assert_true(claim >= 0);
	assert_int_equal(open_loop_device((struct vmb_dev_disk_option){ .path = loop }), -EINVAL);
	assert_int_equal(open_loop_device((struct vmb_dev_disk_option){ .read_only = true }), 0);
	assert_false(disk.can_unmap);
	close(claim);
	assert_int_equal(open_loop_device((struct vmb_dev_disk_option){ .path = loop }), 0);
}

/* Without io_uring. */

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

static void take_all(uint32_t count, int *results)
{
	void *what;
	int result;

	while (count) {
		if (!vmb_dev_disk_engine_take(&engine, &what, &result)) {
			assert_int_equal(vmb_dev_disk_engine_wait(&engine, UINT64_MAX), 0);
			continue;
		}
		results[*(int *)what] = result;
		count--;
	}
}

/* Watches and timers, once each; and what somebody posts. */
static void test_engine_wakes_for_what_it_watches(void **state)
{
	int fds[2], names[] = { 0, 1 }, results[] = { -1, -1 };
	void *what;
	int result;

	assert_int_equal(pipe(fds), 0);
	vmb_dev_disk_engine_watch(&engine, fds[0], &names[0]);
	vmb_dev_disk_engine_timer(&engine, 1000000, &names[1]);
	take_all(1, results);
	assert_int_equal(results[0], -1); /* the timer alone */
	assert_int_equal(write(fds[1], "x", 1), 1);
	take_all(1, results);
	assert_true(results[0] >= 0);
	assert_int_equal(vmb_dev_disk_engine_wait(&engine, 1000000), 0);
	assert_false(vmb_dev_disk_engine_take(&engine, &what, &result));
	vmb_dev_disk_engine_post(&engine, &request, 77);
	assert_int_equal(vmb_dev_disk_engine_wait(&engine, UINT64_MAX), 0);
	assert_true(vmb_dev_disk_engine_take(&engine, &what, &result));
	assert_ptr_equal(what, &request);
	assert_int_equal(result, 77);
	close(fds[0]);
	close(fds[1]);
}

/* As in many containers. In a process of its own, which can use io_uring no more. */
static int engine_without_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { VMB_ARRAY_COUNT(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	if (!vmb_dev_disk_engine_refused())
		return 2;
	if (vmb_dev_disk_engine_open(&engine, false))
		return 3;
	return engine.threads ? 0 : 4;
}

static void test_engine_does_without_io_uring_that_is_refused(void **state)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(engine_without_io_uring());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(engine.threads);
}

/* A rest takes its time, in either engine. */
static void test_engine_rests(void **state)
{
	struct timespec before, after;
	void *what;
	int result;

	clock_gettime(CLOCK_MONOTONIC, &before);
	request.operation = (struct vmb_dev_disk_operation){ .kind = VMB_DEV_DISK_REST };
	vmb_dev_disk_engine_submit(&engine, &request);
	while (!vmb_dev_disk_engine_take(&engine, &what, &result))
		assert_int_equal(vmb_dev_disk_engine_wait(&engine, UINT64_MAX), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >=
		    VMB_DEV_DISK_REST_NS);
}

int main(void)
{
#define ON_THREADS(name) cmocka_unit_test_setup_teardown(name, set_up_threads, tear_down_threads)
#define ON_LOOP(name)	 cmocka_unit_test_setup_teardown(name, set_up, free_loop_device)
#define ON_RAM(name)	 cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, "ram:16M")
#define TEST(name)	 cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
		TEST(test_cancelled_request_goes_no_further),
		TEST(test_failed_flush_is_not_forgotten),
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
		ON_LOOP(test_block_device_is_shown_as_it_is),
		ON_LOOP(test_block_device_that_somebody_has_claimed_is_refused),
		TEST(test_engine_wakes_for_what_it_watches),
		TEST(test_engine_rests),
		TEST(test_engine_does_without_io_uring_that_is_refused),
		ON_THREADS(test_engine_wakes_for_what_it_watches),
		ON_THREADS(test_engine_rests),
		ON_THREADS(test_read_returns_the_files_bytes),
		ON_THREADS(test_write_changes_exactly_its_bytes),
		ON_THREADS(test_flush_succeeds),
		ON_THREADS(test_zeroes_are_zeroes),
		ON_THREADS(test_write_same_repeats_the_block),
		ON_THREADS(test_unmapped_extents_read_as_zero),
		ON_THREADS(test_shrunk_file_is_an_error),
		TEST(test_the_disk_below_a_filter_works_as_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
