// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a flush promises, exhaustively: all workloads of three operations on two blocks, in every
 * order in which they can begin and in which the file can be asked for what they need, with the
 * host cut off after every step. The raw backend is the one that ships, on an engine by hand
 * (devices/disk/engine.h); what it does to the file is recorded.
 *
 * After a cut the file may have lost any of the changes that no fdatasync has covered: one that was
 * asked for after the change was done. So a block may hold what it held at the last one, or what
 * any later change put there. It must not hold what is older than a promise: an acknowledged write
 * that was forced, or acknowledged before a flush began that was acknowledged too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/disk/disk.h"
#include "devices/disk/engine.h"

#define OPERATIONS 3u
#define BLOCKS	   2u
#define BLOCK_LEN  512u
#define CHANGES	   16u
#define STEPS_MAX  32u
#define NEVER	   UINT32_MAX

/* What the guest asks for; blocks: one bit each. */
static const struct kind {
	enum vmb_host_scsi_op op;
	bool fua;
	uint32_t blocks;
} kinds[] = {
	{ VMB_HOST_SCSI_WRITE, false, 1 },	 { VMB_HOST_SCSI_WRITE, false, 2 },
	{ VMB_HOST_SCSI_WRITE, false, 3 },	 { VMB_HOST_SCSI_WRITE, true, 1 },
	{ VMB_HOST_SCSI_WRITE, true, 3 },	 { VMB_HOST_SCSI_WRITE_ZEROES, false, 1 },
	{ VMB_HOST_SCSI_WRITE_ZEROES, true, 1 }, { VMB_HOST_SCSI_WRITE_SAME, false, 3 },
	{ VMB_HOST_SCSI_WRITE_SAME, true, 1 },	 { VMB_HOST_SCSI_UNMAP, false, 1 },
	{ VMB_HOST_SCSI_FLUSH, false, 0 },
};
#define KINDS ((uint32_t)(sizeof(kinds) / sizeof(kinds[0])))

struct operation {
	const struct kind *kind;
	uint32_t began, acknowledged; /* steps; NEVER: not yet */
	uint32_t asked; /* when the file operation under way was asked for */
	struct vmb_host_scsi_task task;
	struct vmb_dev_disk_request request;
	uint8_t bytes[BLOCKS * BLOCK_LEN];
};

/* A change of the file. */
struct change {
	uint32_t by, block, done; /* an operation's number; a step */
};

struct bed {
	struct vmb_dev_disk_option option;
	struct vmb_dev_disk disk;
	struct vmb_dev_disk_engine engine;
	char path[32];
	int fd;
	struct operation operations[OPERATIONS];
	struct change changes[CHANGES];
	uint32_t change_count;
	uint32_t synced; /* changes that were done by then are on the medium */
	uint32_t step;
	uint64_t runs, cuts, promises;
};

/* The path of a run: at each step one of several things happens. Counted through like a number. */
struct path {
	uint32_t chosen[STEPS_MAX], of[STEPS_MAX];
	uint32_t len;
};

static uint32_t choose(struct path *p, uint32_t step, uint32_t of)
{
	assert_true(step < STEPS_MAX);
	if (step == p->len)
		p->chosen[p->len++] = 0;
	p->of[step] = of;
	return p->chosen[step];
}

/* The next path; false: all were walked. */
static bool advance(struct path *p)
{
	while (p->len && p->chosen[p->len - 1] + 1 == p->of[p->len - 1])
		p->len--;
	if (!p->len)
		return false;
	p->chosen[p->len - 1]++;
	return true;
}

/* The promise */

static bool precedes(const struct bed *b, uint32_t older, const struct operation *newer)
{
	/* OPERATIONS: what the disk held at first, which is older than everything. */
	return older == OPERATIONS || b->operations[older].acknowledged < newer->began;
}

static bool is_promised(const struct bed *b, const struct operation *write)
{
	if (write->acknowledged == NEVER || write->kind->op == VMB_HOST_SCSI_FLUSH)
		return false;
	if (write->kind->fua)
		return true;
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		const struct operation *o = &b->operations[i];

		if (o->kind->op == VMB_HOST_SCSI_FLUSH && o->acknowledged != NEVER &&
		    write->acknowledged < o->began)
			return true;
	}
	return false;
}

/* After a cut block may hold what `by` wrote: no promise may be newer. */
static void expect_allowed(struct bed *b, uint32_t block, uint32_t by)
{
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		const struct operation *o = &b->operations[i];

		if (i == by || !(o->kind->blocks >> block & 1) || !is_promised(b, o))
			continue;
		b->promises++;
		if (precedes(b, by, o))
			fail_msg("%u, %u, %u: cut at step %u block %u may be from operation %u, "
				 "operation %u was promised",
				 (uint32_t)(b->operations[0].kind - kinds),
				 (uint32_t)(b->operations[1].kind - kinds),
				 (uint32_t)(b->operations[2].kind - kinds), b->step, block, by, i);
	}
}

static void cut(struct bed *b)
{
	b->cuts++;
	for (uint32_t block = 0; block < BLOCKS; block++) {
		uint32_t settled = OPERATIONS;

		for (uint32_t i = 0; i < b->change_count; i++) {
			const struct change *c = &b->changes[i];

			if (c->block == block && c->done <= b->synced)
				settled = c->by;
			else if (c->block == block)
				expect_allowed(b, block, c->by);
		}
		expect_allowed(b, block, settled);
	}
}

/* A run */

static void note_changes(struct bed *b, uint32_t by, uint64_t offset, uint64_t len)
{
	for (uint64_t at = offset / BLOCK_LEN; at < (offset + len) / BLOCK_LEN; at++) {
		assert_true(b->change_count < CHANGES);
		b->changes[b->change_count++] = (struct change){ by, (uint32_t)at, b->step };
	}
}

static void take_step(struct bed *b, struct operation *o, enum vmb_dev_disk_step step)
{
	o->asked = b->step;
	if (step == VMB_DEV_DISK_WAIT)
		return;
	assert_int_equal(step, VMB_DEV_DISK_DONE);
	assert_int_equal(o->request.error, VMB_HOST_SCSI_OK);
	o->acknowledged = b->step;
}

static void begin(struct bed *b, struct operation *o)
{
	uint32_t first = o->kind->blocks == 2 ? 1 : 0, count = o->kind->blocks == 3 ? 2 : 1;

	o->began = b->step;
	o->task = (struct vmb_host_scsi_task){ .op = o->kind->op,
					       .fua = o->kind->fua,
					       .offset = first * BLOCK_LEN,
					       .len = count * BLOCK_LEN,
					       .extent_count = 1,
					       .extents[0] = { first * BLOCK_LEN,
							       count * BLOCK_LEN } };
	if (o->kind->op == VMB_HOST_SCSI_FLUSH)
		o->task.offset = o->task.len = 0;
	o->request.task = &o->task;
	o->request.iov[0] = (struct iovec){ o->bytes, count * BLOCK_LEN };
	o->request.iov_count = 1;
	take_step(b, o, b->disk.ops->begin(&b->disk, &o->request, &b->engine));
}

/* The nth file operation under way is done. */
static void carry_out(struct bed *b, uint32_t n)
{
	struct vmb_dev_disk_request *request = vmb_dev_disk_engine_pick(&b->engine, n), *taken;
	struct operation *o = VMB_CONTAINER_OF(request, struct operation, request);
	const struct vmb_dev_disk_operation *what = &request->operation;
	int result = vmb_dev_disk_engine_carry_out(what);
	void *at;

	/* A file in memory cannot write zeroes: then the backend does it by hand. */
	assert_true(result >= 0 || what->kind == VMB_DEV_DISK_ALLOCATE);
	if (what->kind == VMB_DEV_DISK_SYNC)
		b->synced = o->asked > b->synced ? o->asked : b->synced;
	else if (what->kind == VMB_DEV_DISK_WRITEV)
		note_changes(b, (uint32_t)(o - b->operations), what->offset, (uint64_t)result);
	else if (!result)
		note_changes(b, (uint32_t)(o - b->operations), what->offset, what->len);
	vmb_dev_disk_engine_post(&b->engine, request, result);
	assert_true(vmb_dev_disk_engine_take(&b->engine, &at, &result));
	taken = at;
	assert_ptr_equal(taken, request);
	take_step(b, o, b->disk.ops->resume(&b->disk, request, &b->engine, result));
}

static uint32_t count_waiting(const struct bed *b)
{
	const struct vmb_dev_disk_request *r = b->engine.waiting.first;
	uint32_t count = 0;

	for (; r; r = r->next)
		count++;
	return count;
}

static void run(struct bed *b, const uint32_t workload[OPERATIONS], struct path *path)
{
	uint32_t begun = 0, waiting, chosen;

	memset(b->operations, 0, sizeof(b->operations));
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		b->operations[i].kind = &kinds[workload[i]];
		b->operations[i].began = b->operations[i].acknowledged = NEVER;
	}
	b->change_count = b->synced = 0;
	for (b->step = 1;; b->step++) {
		waiting = count_waiting(b);
		if (!waiting && begun == OPERATIONS)
			break;
		chosen = choose(path, b->step - 1, waiting + (begun < OPERATIONS));
		if (chosen < waiting)
			carry_out(b, chosen);
		else
			begin(b, &b->operations[begun++]);
		cut(b);
	}
	b->runs++;
}

static void open_bed(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	b->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(b->fd >= 0 && !ftruncate(b->fd, 64 * BLOCK_LEN));
	snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", b->fd);
	b->option.path = b->path;
	assert_int_equal(vmb_dev_disk_open(&b->disk, &b->option), 0);
	assert_int_equal(vmb_dev_disk_prepare(&b->disk), 0);
	vmb_dev_disk_engine_open_by_hand(&b->engine);
}

static void test_no_cut_breaks_a_promise(void **state)
{
	struct bed *b = malloc(sizeof(*b));
	uint32_t workload[OPERATIONS];

	assert_non_null(b);
	open_bed(b);
	for (uint32_t n = 0; n < KINDS * KINDS * KINDS; n++) {
		struct path path = { .len = 0 };

		workload[0] = n % KINDS;
		workload[1] = n / KINDS % KINDS;
		workload[2] = n / KINDS / KINDS;
		do
			run(b, workload, &path);
		while (advance(&path));
	}
	print_message("# %u workloads, %llu runs, %llu cuts, %llu promises looked at\n",
		      KINDS * KINDS * KINDS, (unsigned long long)b->runs,
		      (unsigned long long)b->cuts, (unsigned long long)b->promises);
	assert_true(b->promises > 10000);
	vmb_dev_disk_engine_close(&b->engine);
	vmb_dev_disk_close(&b->disk);
	close(b->fd);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_cut_breaks_a_promise),
	};

	return cmocka_run_group_tests_name("simulate_flush", tests, NULL, NULL);
}
