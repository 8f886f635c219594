// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An NVMe disk behind PCI pass-through, from the VMBus channel to the medium, both ends in one
 * process: the test is the guest's driver, and steps the device. What a guest may get wrong ends in
 * a status or in a controller that says that it can do no more, never in a wait without an end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/nvme/nvme.h"
#include "devices/nvme/spec.h"
#include "ports/user/guest.h"
#include "tests/guest_thread.h"

#define PAGES	 1024u
#define WINDOW	 VMB_USER_WINDOW_GPA
#define BAR	 (VMB_USER_WINDOW_GPA + 0x100000)
#define ENTRIES	 8u
#define BLOCK	 512u
#define DISK_LEN (8u << 20)

static bool threaded; /* the device has a worker and an engine */

static struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct guest_thread thread; /* of the threaded cases */
	struct vmb_dev_disk_option option;
	struct vmb_user_device *d;
	uint64_t pages[64]; /* page frame numbers: 0, 1 admin queues; 2, 3 those of I/O; 4.. data */
	struct {
		uint32_t tail, head;
		bool phase;
	} queues[2];
	uint16_t id;
	uint32_t answers; /* packets that came before what is awaited */
	uint32_t awaited; /* queue */
	struct vmb_nvme_completion completion; /* the last one */
} * b;

static void settle(void)
{
	uint32_t steps = 0;
	bool any;

	do {
		any = !threaded && vmb_user_machine_step(&b->machine);
		any |= !threaded && vmb_user_guest_step(&b->guest);
		assert_true(++steps < 5000);
	} while (any);
}

/* Until the worker has done it: at most 20 s. */
static void await(bool (*is_done)(void))
{
	uint32_t tries = 0;

	for (settle(); threaded && !is_done(); settle()) {
		assert_true(++tries < 20000);
		usleep(1000);
	}
}

static bool is_offered(void)
{
	return vmb_user_guest_pci(&b->guest);
}

static bool is_open(void)
{
	return b->d->open;
}

static bool is_answered(void)
{
	return __atomic_load_n(&b->d->pci.count, __ATOMIC_ACQUIRE) > b->answers;
}

/* PCI */

static void say(const void *bytes, uint32_t len)
{
	const struct vmb_ring_part part = { bytes, len };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						.transaction_id = 9,
						.payload = &part,
						.payload_count = 1 };

	b->answers = b->d->pci.count;
	assert_int_equal(vmb_user_guest_packet(b->d, &packet), 0);
	await(is_answered);
}

static uint32_t status_of_packet(void)
{
	uint32_t status;

	assert_int_equal(b->d->pci.type, VMB_PKT_COMPLETION);
	assert_int_equal(b->d->pci.transaction_id, 9);
	memcpy(&status, b->d->pci.bytes, sizeof(status));
	return status;
}

#define SAY(len, ...)                                       \
	do {                                                \
		const uint32_t words[64] = { __VA_ARGS__ }; \
		say(words, (len));                          \
		assert_int_equal(status_of_packet(), 0);    \
	} while (0)

static bool touch(uint64_t gpa, void *data, uint32_t len, bool is_write)
{
	bool answered = vmb_dev_bus_access(b->machine.bus, gpa, data, len, is_write);

	settle();
	return answered;
}

static uint32_t get(uint64_t gpa)
{
	uint32_t value = 0;

	assert_true(touch(gpa, &value, sizeof(value), false));
	return value;
}

static void put(uint64_t gpa, uint32_t value)
{
	assert_true(touch(gpa, &value, sizeof(value), true));
}

static void put_config(uint32_t offset, uint32_t value)
{
	put(WINDOW + VMB_PCI_WINDOW_CONFIG + offset, value);
}

static void find_function(void)
{
	SAY(8, VMB_PCI_QUERY_VERSION, VMB_PCI_VERSION_1_4);
	SAY(16, VMB_PCI_D0_ENTRY, 0, (uint32_t)WINDOW, 0);
	put(WINDOW, 0);
	put_config(0x10, (uint32_t)BAR);
	put_config(0x14, 0);
	put_config(0x04, 0x6);
	/* an interrupt for each of two entries of the table */
	for (uint32_t i = 0; i < 2; i++) {
		SAY(82, VMB_PCI_CREATE_INTERRUPT3, 0, 0x60 + i, 0x00010000, 1);
		put(BAR + 0x2000 + i * 16, 0xFEE00000);
		put(BAR + 0x2008 + i * 16, i + 1);
		put(BAR + 0x200C + i * 16, 0);
	}
	put_config(0x40, 0x80000000);
}

/* The controller */

static uint8_t *page(uint32_t i)
{
	return vmb_user_memory_page(&b->machine.memory, b->pages[i]);
}

static uint64_t gpa(uint32_t i)
{
	return b->pages[i] << VMB_PAGE_SHIFT;
}

static void enable(void)
{
	memset(b->queues, 0, sizeof(b->queues));
	memset(page(1), 0, VMB_PAGE_LEN);
	memset(page(3), 0, VMB_PAGE_LEN);
	put(BAR + VMB_NVME_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	put(BAR + VMB_NVME_ASQ, (uint32_t)gpa(0));
	put(BAR + VMB_NVME_ASQ + 4, 0);
	put(BAR + VMB_NVME_ACQ, (uint32_t)gpa(1));
	put(BAR + VMB_NVME_ACQ + 4, 0);
	put(BAR + VMB_NVME_CC, 4 << VMB_NVME_CC_CQ_SHIFT | 6 << VMB_NVME_CC_SQ_SHIFT | 1);
}

static void place(uint32_t queue, const struct vmb_nvme_command *command)
{
	struct vmb_nvme_command *sq = (void *)page(queue * 2);

	sq[b->queues[queue].tail] = *command;
	sq[b->queues[queue].tail].id = ++b->id;
	b->queues[queue].tail = (b->queues[queue].tail + 1) % ENTRIES;
}

static void ring(uint32_t queue)
{
	put(BAR + VMB_NVME_DOORBELLS + queue * 8, b->queues[queue].tail);
}

static bool is_completed(void)
{
	uint32_t head = b->queues[b->awaited].head * sizeof(struct vmb_nvme_completion);
	uint32_t last = vmb_load_acquire_u32((uint32_t *)(page(b->awaited * 2 + 1) + head + 12));

	return (last >> 16 & 1) != b->queues[b->awaited].phase;
}

/* Takes the next completion of a queue. Returns whether there is one. */
static bool complete(uint32_t queue)
{
	struct vmb_nvme_completion *cq = (void *)page(queue * 2 + 1);

	b->completion = cq[b->queues[queue].head];
	if ((b->completion.status & 1) == b->queues[queue].phase)
		return false;
	if (++b->queues[queue].head == ENTRIES) {
		b->queues[queue].head = 0;
		b->queues[queue].phase = !b->queues[queue].phase;
	}
	put(BAR + VMB_NVME_DOORBELLS + queue * 8 + 4, b->queues[queue].head);
	return true;
}

/* Returns the status. */
static uint32_t run(uint32_t queue, const struct vmb_nvme_command *command)
{
	uint32_t interrupts = b->machine.interrupt_count;

	place(queue, command);
	ring(queue);
	b->awaited = queue;
	await(is_completed);
	assert_true(complete(queue));
	assert_int_equal(b->completion.id, b->id);
	assert_int_equal(b->completion.sq_id, queue);
	assert_int_equal(b->completion.sq_head, b->queues[queue].tail);
	if (threaded) /* the interrupt may come after the entry was seen */
		return b->completion.status >> 1;
	assert_int_equal(b->machine.interrupt_count, interrupts + 1);
	assert_int_equal(b->machine.interrupt_vector, 0x60 + queue);
	return b->completion.status >> 1;
}

static uint32_t create(uint8_t opcode, uint32_t dw10, uint32_t dw11, uint64_t prp1)
{
	const struct vmb_nvme_command command = {
		.opcode = opcode, .dw10 = dw10, .dw11 = dw11, .prp1 = prp1
	};

	return run(0, &command);
}

static void create_queues(void)
{
	assert_int_equal(create(VMB_NVME_CREATE_CQ, (ENTRIES - 1) << 16 | 1, 1 << 16 | 3, gpa(3)),
			 0);
	assert_int_equal(create(VMB_NVME_CREATE_SQ, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1, gpa(2)),
			 0);
}

static void begin(const char *path, bool read_only)
{
	const struct vmb_user_machine_config machine = { .page_count = PAGES, .threads = threaded };
	const struct vmb_user_guest_config guest = { .ring_pages = 5 };
	struct vmb_dev_nvme_config config = { .number = 0 };
	struct vmb_dev_device device;

	b = calloc(1, sizeof(*b));
	b->option =
		(struct vmb_dev_disk_option){ .path = path, .nvme = true, .read_only = read_only };
	config.disk = &b->option;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	assert_int_equal(vmb_dev_nvme_open(&device, &config), 0);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
	assert_true(vmb_user_memory_alloc(&b->machine.memory, b->pages, 64));
	if (threaded)
		guest_thread_start(&b->thread, &b->guest);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	await(is_offered);
	b->d = vmb_user_guest_pci(&b->guest);
	assert_non_null(b->d);
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	await(is_open);
}

static int set_up(void **state)
{
	begin("ram:8M", false);
	find_function();
	enable();
	create_queues();
	return 0;
}

static int set_up_closed(void **state)
{
	begin("ram:8M", false);
	return 0;
}

static int set_up_read_only(void **state)
{
	begin("ram:8M", true);
	find_function();
	enable();
	create_queues();
	return 0;
}

/* A file, which the worker's engine reads and writes. */
static int set_up_threaded(void **state)
{
	static char path[32]; /* outlives the disk */
	int fd;

	strcpy(path, "/tmp/nvme-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_LEN), 0);
	close(fd);
	threaded = true;
	begin(path, false);
	unlink(path);
	find_function();
	enable();
	create_queues();
	return 0;
}

static int tear_down(void **state)
{
	if (threaded)
		guest_thread_stop(&b->thread);
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	free(b);
	threaded = false;
	return 0;
}

static struct vmb_nvme_command io(uint8_t opcode, uint64_t block, uint32_t count)
{
	return (struct vmb_nvme_command){ .opcode = opcode,
					  .nsid = 1,
					  .prp1 = gpa(8),
					  .prp2 = gpa(9),
					  .dw10 = (uint32_t)block,
					  .dw11 = block >> 32,
					  .dw12 = count - 1 };
}

static void fill(uint32_t i, uint8_t seed)
{
	for (uint32_t k = 0; k < VMB_PAGE_LEN; k++)
		page(i)[k] = (uint8_t)(k * 7 + k / 256 + seed);
}

/* Tests */

static void test_nothing_answers_before_the_bus_is_on(void **state)
{
	uint32_t value = 0;

	assert_false(touch(WINDOW + 0x1000, &value, 4, false));
	SAY(8, VMB_PCI_QUERY_VERSION, VMB_PCI_VERSION_1_4);
	assert_false(touch(WINDOW + 0x1000, &value, 4, false));
	SAY(16, VMB_PCI_D0_ENTRY, 0, (uint32_t)WINDOW, 0);
	assert_int_equal(get(WINDOW + 0x1000), 0x00A91414);
	assert_int_equal(get(WINDOW + 0x1008), 0x01080200); /* NVM Express */
	assert_false(touch(BAR, &value, 4, false)); /* the function has no memory yet */
	put(WINDOW, 1); /* another slot */
	assert_int_equal(get(WINDOW + 0x1000), 0xFFFFFFFF);
	put(WINDOW, 0);
	put_config(0x10, (uint32_t)BAR);
	put_config(0x04, 0x6);
	assert_int_equal(get(BAR + VMB_NVME_VS), 0x00010400);
	assert_false(touch(BAR + 0x4000, &value, 4, false));
	assert_false(touch(BAR + 0x3FFE, &value, 4, false)); /* half of it */
	SAY(4, VMB_PCI_D0_EXIT);
	assert_false(touch(WINDOW + 0x1000, &value, 4, false));
	assert_false(touch(BAR, &value, 4, false));
}

static void test_identify(void **state)
{
	struct vmb_nvme_command command = { .opcode = VMB_NVME_IDENTIFY, .prp1 = gpa(4) };
	const struct vmb_nvme_controller_data *c = (void *)page(4);
	const struct vmb_nvme_namespace_data *ns = (void *)page(4);

	command.dw10 = 1;
	assert_int_equal(run(0, &command), 0);
	assert_memory_equal(c->model, "OpenVMBus NVMe disk                     ", 40);
	assert_memory_equal(c->serial, "openvmbus-nvme0     ", 20);
	assert_int_equal(c->namespaces, 1);
	assert_int_equal(c->transfer_max, 8);
	command.dw10 = 0;
	command.nsid = 1;
	assert_int_equal(run(0, &command), 0);
	assert_true(ns->blocks == DISK_LEN / BLOCK);
	assert_int_equal(ns->lba[0].block, 9);
	command.nsid = 2;
	assert_int_equal(run(0, &command), VMB_NVME_INVALID_NAMESPACE);
	command.dw10 = 2;
	command.nsid = 0;
	assert_int_equal(run(0, &command), 0);
	assert_memory_equal(page(4), "\1\0\0\0\0\0\0\0", 8);
	command.dw10 = 0x77;
	assert_int_equal(run(0, &command), VMB_NVME_INVALID_FIELD);
	/* In two pieces: the page begins in the middle of one. */
	command.dw10 = 1;
	command.prp1 = gpa(4) + 0x800;
	command.prp2 = gpa(5);
	assert_int_equal(run(0, &command), 0);
	assert_memory_equal(page(4) + 0x800 + 24, "OpenVMBus NVMe disk ", 20);
}

static void test_what_is_written_is_read(void **state)
{
	struct vmb_nvme_command write = io(VMB_NVME_WRITE, 3, 16);
	struct vmb_nvme_command read = io(VMB_NVME_READ, 3, 16);
	const struct vmb_nvme_command flush = { .opcode = VMB_NVME_FLUSH, .nsid = UINT32_MAX };

	fill(8, 1);
	fill(9, 2);
	assert_int_equal(run(1, &write), 0);
	assert_int_equal(run(1, &flush), 0);
	memset(page(8), 0, VMB_PAGE_LEN);
	read.prp1 = gpa(10) + 0x200; /* three pages, so a list */
	read.prp2 = gpa(20) + 8;
	memcpy(page(20) + 8, (uint64_t[]){ gpa(11), gpa(12) }, 16);
	assert_int_equal(run(1, &read), 0);
	fill(8, 1);
	assert_memory_equal(page(10) + 0x200, page(8), VMB_PAGE_LEN - 0x200);
	assert_memory_equal(page(11), page(8) + VMB_PAGE_LEN - 0x200, 0x200);
	assert_memory_equal(page(11) + 0x200, page(9), VMB_PAGE_LEN - 0x200);
	assert_memory_equal(page(12), page(9) + VMB_PAGE_LEN - 0x200, 0x200);
}

static void test_zeroes_and_discard(void **state)
{
	struct vmb_nvme_command write = io(VMB_NVME_WRITE, 0, 16);
	struct vmb_nvme_command zeroes = io(VMB_NVME_WRITE_ZEROES, 1, 2);
	struct vmb_nvme_command discard = io(VMB_NVME_DATASET, 0, 1);
	struct vmb_nvme_command read = io(VMB_NVME_READ, 0, 16);
	struct vmb_nvme_range *ranges = (void *)page(4);

	fill(8, 1);
	fill(9, 2);
	assert_int_equal(run(1, &write), 0);
	assert_int_equal(run(1, &zeroes), 0);
	ranges[0] = (struct vmb_nvme_range){ .blocks = 1, .first = 8 };
	ranges[1] = (struct vmb_nvme_range){ .blocks = 2, .first = 14 };
	discard.prp1 = gpa(4);
	discard.dw10 = 1;
	discard.dw11 = 4;
	assert_int_equal(run(1, &discard), 0);
	assert_int_equal(run(1, &read), 0);
	for (uint32_t i = 0; i < 16; i++) {
		bool zero = i == 1 || i == 2 || i == 8 || i >= 14;
		const uint8_t *at = page(i < 8 ? 8 : 9) + i % 8 * BLOCK;

		assert_int_equal(at[5] == 0 && at[6] == 0, zero);
	}
	ranges[1].first = DISK_LEN / BLOCK - 1;
	assert_int_equal(run(1, &discard), VMB_NVME_OUT_OF_RANGE);
	ranges[1].first = UINT64_MAX;
	assert_int_equal(run(1, &discard), VMB_NVME_OUT_OF_RANGE);
}

static void test_a_read_only_disk(void **state)
{
	struct vmb_nvme_command command = io(VMB_NVME_WRITE, 0, 8);

	assert_int_equal(run(1, &command), VMB_NVME_READ_ONLY);
	command.opcode = VMB_NVME_WRITE_ZEROES;
	assert_int_equal(run(1, &command), VMB_NVME_READ_ONLY);
	command.opcode = VMB_NVME_READ;
	assert_int_equal(run(1, &command), 0);
}

static void test_commands_that_cannot_be(void **state)
{
	static const struct {
		struct vmb_nvme_command command;
		uint32_t status;
	} rows[] = {
		{ { .opcode = 0x7F, .nsid = 1 }, VMB_NVME_INVALID_OPCODE },
		{ { .opcode = VMB_NVME_READ }, VMB_NVME_INVALID_NAMESPACE },
		{ { .opcode = VMB_NVME_READ, .nsid = 2 }, VMB_NVME_INVALID_NAMESPACE },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .flags = 0x40 }, VMB_NVME_INVALID_FIELD },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .flags = 1 }, VMB_NVME_INVALID_FIELD },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .dw10 = DISK_LEN / BLOCK },
		  VMB_NVME_OUT_OF_RANGE },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .dw10 = DISK_LEN / BLOCK - 1, .dw12 = 1 },
		  VMB_NVME_OUT_OF_RANGE },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .dw10 = ~0u, .dw11 = ~0u },
		  VMB_NVME_OUT_OF_RANGE },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .dw12 = 0xFFFF }, VMB_NVME_OUT_OF_RANGE },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .dw12 = 2048 }, VMB_NVME_INVALID_FIELD },
		/* pages */
		{ { .opcode = VMB_NVME_READ, .nsid = 1 }, VMB_NVME_DATA_ERROR },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .prp1 = 0x100001 },
		  VMB_NVME_BAD_PRP_OFFSET },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .prp1 = UINT64_MAX & ~0xFFFull },
		  VMB_NVME_DATA_ERROR },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .prp1 = 0x100000, .prp2 = 0x1, .dw12 = 15 },
		  VMB_NVME_BAD_PRP_OFFSET },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .prp1 = 0x100000, .dw12 = 15 },
		  VMB_NVME_DATA_ERROR },
		{ { .opcode = VMB_NVME_READ, .nsid = 1, .prp1 = 0x100000, .dw12 = 255 },
		  VMB_NVME_DATA_ERROR },
		{ { .opcode = VMB_NVME_READ,
		    .nsid = 1,
		    .prp1 = 0x100000,
		    .prp2 = 0x100004,
		    .dw12 = 255 },
		  VMB_NVME_BAD_PRP_OFFSET },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++)
		assert_int_equal(run(1, &rows[i].command), rows[i].status);
}

/* A list whose last entry leads on, to a list, or to itself. */
static void test_lists_that_lead_on(void **state)
{
	struct vmb_nvme_command read = io(VMB_NVME_READ, 0, 64); /* eight pages */
	uint64_t *end = (uint64_t *)(page(20) + VMB_PAGE_LEN - 8), *next = (void *)page(21);

	read.prp2 = gpa(20) + VMB_PAGE_LEN - 8;
	*end = gpa(21);
	for (uint32_t i = 0; i < 7; i++)
		next[i] = gpa(30 + i);
	assert_int_equal(run(1, &read), 0);
	*end = read.prp2;
	assert_int_equal(run(1, &read), VMB_NVME_BAD_PRP_OFFSET);
	*end = gpa(21) + 4;
	assert_int_equal(run(1, &read), VMB_NVME_BAD_PRP_OFFSET);
	*end = 0;
	assert_int_equal(run(1, &read), VMB_NVME_DATA_ERROR);
	*end = gpa(21);
	next[3] = gpa(30) + 8;
	assert_int_equal(run(1, &read), VMB_NVME_BAD_PRP_OFFSET);
}

static void test_queues_that_cannot_be(void **state)
{
	const uint32_t count = (ENTRIES - 1) << 16;
	const struct {
		uint8_t opcode;
		uint32_t dw10, dw11;
		uint64_t prp1;
		uint32_t status;
	} rows[] = {
		{ VMB_NVME_CREATE_CQ, count | 0, 3, gpa(4), VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_CREATE_CQ, count | 1, 3, gpa(4), VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_CREATE_CQ, count | 17, 3, gpa(4), VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_CREATE_CQ, 2, 3, gpa(4), VMB_NVME_BAD_QUEUE_SIZE },
		{ VMB_NVME_CREATE_CQ, 0xFFFF0002, 3, gpa(4), VMB_NVME_BAD_QUEUE_SIZE },
		{ VMB_NVME_CREATE_CQ, count | 2, 17 << 16 | 3, gpa(4), VMB_NVME_BAD_VECTOR },
		{ VMB_NVME_CREATE_CQ, count | 2, 2, gpa(4), VMB_NVME_INVALID_FIELD },
		{ VMB_NVME_CREATE_CQ, count | 2, 3, gpa(4) + 16, VMB_NVME_BAD_PRP_OFFSET },
		{ VMB_NVME_CREATE_CQ, count | 2, 3, 0, VMB_NVME_BAD_PRP_OFFSET },
		{ VMB_NVME_CREATE_SQ, count | 2, 2 << 16 | 1, gpa(4), VMB_NVME_BAD_CQ },
		{ VMB_NVME_CREATE_SQ, count | 2, 0 << 16 | 1, gpa(4), VMB_NVME_BAD_CQ },
		{ VMB_NVME_CREATE_SQ, count | 1, 1 << 16 | 1, gpa(4), VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_CREATE_SQ, count | 2, 1 << 16 | 1, UINT64_MAX - 4095,
		  VMB_NVME_BAD_PRP_OFFSET },
		{ VMB_NVME_DELETE_CQ, 1, 0, 0, VMB_NVME_BAD_DELETION },
		{ VMB_NVME_DELETE_CQ, 0, 0, 0, VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_DELETE_SQ, 0, 0, 0, VMB_NVME_BAD_QUEUE_ID },
		{ VMB_NVME_DELETE_SQ, 0xFFFF, 0, 0, VMB_NVME_BAD_QUEUE_ID },
		{ 0x55, 0, 0, 0, VMB_NVME_INVALID_OPCODE },
		{ VMB_NVME_GET_LOG, 0x99, 0, gpa(4), VMB_NVME_BAD_LOG },
		{ VMB_NVME_GET_LOG, 0xFFFF0002, 0xFFFF, gpa(4), VMB_NVME_INVALID_FIELD },
		{ VMB_NVME_SET_FEATURES, 0x03, 0, 0, VMB_NVME_INVALID_FIELD },
		{ VMB_NVME_SET_FEATURES, 0xFF, 0, 0, VMB_NVME_INVALID_FIELD },
		{ VMB_NVME_SET_FEATURES, 0x80000006, 0, 0, VMB_NVME_NOT_SAVEABLE },
		{ VMB_NVME_GET_FEATURES, 0xC0, 0, 0, VMB_NVME_INVALID_FIELD },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(rows); i++)
		assert_int_equal(create(rows[i].opcode, rows[i].dw10, rows[i].dw11, rows[i].prp1),
				 rows[i].status);
	/* In the right order they go, and come again. */
	assert_int_equal(create(VMB_NVME_DELETE_SQ, 1, 0, 0), 0);
	assert_int_equal(create(VMB_NVME_DELETE_CQ, 1, 0, 0), 0);
	memset(&b->queues[1], 0, sizeof(b->queues[1]));
	memset(page(3), 0, VMB_PAGE_LEN);
	create_queues();
	test_what_is_written_is_read(state);
}

static void test_features_and_logs(void **state)
{
	assert_int_equal(create(VMB_NVME_SET_FEATURES, VMB_NVME_QUEUES, 63 << 16 | 63, 0), 0);
	assert_int_equal(b->completion.result, 15 << 16 | 15);
	assert_int_equal(create(VMB_NVME_GET_FEATURES, VMB_NVME_WRITE_CACHE, 0, 0), 0);
	assert_int_equal(b->completion.result, 1);
	assert_int_equal(create(VMB_NVME_SET_FEATURES, VMB_NVME_WRITE_CACHE, 0, 0), 0);
	assert_int_equal(create(VMB_NVME_GET_FEATURES, VMB_NVME_WRITE_CACHE, 0, 0), 0);
	assert_int_equal(b->completion.result, 0);
	assert_int_equal(create(VMB_NVME_GET_LOG, 127 << 16 | 2, 0, gpa(4)), 0);
	assert_int_equal(page(4)[3], 100);
}

/* A completion queue that the guest does not empty: nothing is fetched that has no room. */
static void test_a_full_completion_queue(void **state)
{
	struct vmb_nvme_command read = io(VMB_NVME_READ, 0, 1);
	uint32_t done = 0;

	for (uint32_t i = 0; i < ENTRIES - 1; i++)
		place(1, &read);
	ring(1);
	/* seven completions wait; seven commands more find no room */
	for (uint32_t i = 0; i < ENTRIES - 1; i++)
		place(1, &read);
	ring(1);
	while (complete(1)) {
		assert_int_equal(b->completion.status >> 1, 0);
		done++;
	}
	assert_int_equal(done, 2 * (ENTRIES - 1));
}

static void test_doorbells_that_cannot_be(void **state)
{
	const struct vmb_nvme_command event = { .opcode = VMB_NVME_ASYNC_EVENT };

	put(BAR + VMB_NVME_DOORBELLS + 8, 0xFFFFFFFF); /* a value that is none */
	assert_false(complete(0));
	assert_int_equal(run(0, &event), 0); /* who asks is told */
	assert_int_equal(b->completion.result, VMB_NVME_EVENT_BAD_VALUE);
	place(0, &event);
	ring(0);
	assert_false(complete(0)); /* it waits for one */
	put(BAR + VMB_NVME_DOORBELLS + 5 * 8, 0);
	assert_true(complete(0));
	assert_int_equal(b->completion.result, VMB_NVME_EVENT_BAD_DOORBELL);
	put(BAR + VMB_NVME_DOORBELLS + 0xFFC, 1); /* of the last number that there can be */
	test_what_is_written_is_read(state);
}

static void test_events_can_be_aborted(void **state)
{
	const struct vmb_nvme_command event = { .opcode = VMB_NVME_ASYNC_EVENT };
	struct vmb_nvme_command abort = { .opcode = VMB_NVME_ABORT };

	for (uint32_t i = 0; i < 4; i++) {
		place(0, &event);
		ring(0);
	}
	assert_int_equal(run(0, &event), VMB_NVME_TOO_MANY_EVENTS);
	abort.dw10 = (uint32_t)(b->id - 1) << 16;
	place(0, &abort);
	ring(0);
	assert_true(complete(0));
	assert_int_equal(b->completion.status >> 1, VMB_NVME_ABORTED);
	assert_true(complete(0));
	assert_int_equal(b->completion.result, 0);
	abort.dw10 = 0x7777u << 16;
	assert_int_equal(run(0, &abort), 0);
	assert_int_equal(b->completion.result, 1);
}

/* The last place is the answer's to the command that aborts. */
static void test_an_event_is_not_aborted_without_room_for_it(void **state)
{
	const struct vmb_nvme_command event = { .opcode = VMB_NVME_ASYNC_EVENT };
	const struct vmb_nvme_command unknown = { .opcode = 0x7F };
	struct vmb_nvme_command abort = { .opcode = VMB_NVME_ABORT };

	place(0, &event);
	ring(0);
	abort.dw10 = (uint32_t)b->id << 16;
	for (uint32_t i = 0; i < ENTRIES - 2; i++) {
		place(0, &unknown);
		ring(0);
	}
	place(0, &abort);
	ring(0);
	for (uint32_t i = 0; i < ENTRIES - 2; i++) {
		assert_true(complete(0));
		assert_int_equal(b->completion.status >> 1, VMB_NVME_INVALID_OPCODE);
	}
	assert_true(complete(0));
	assert_int_equal(b->completion.id, b->id);
	assert_int_equal(b->completion.result, 1);
	assert_false(complete(0));
}

/* What a controller cannot start with it says; and it starts again when that is mended. */
static void test_a_controller_that_cannot_start(void **state)
{
	static const uint32_t wrong[] = { 1 | 1 << 7, 1 | 1 << 4, 1 | 1 << 11 };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(wrong); i++) {
		put(BAR + VMB_NVME_CC, 0);
		assert_int_equal(get(BAR + VMB_NVME_CSTS), 0);
		put(BAR + VMB_NVME_CC, wrong[i]);
		assert_int_equal(get(BAR + VMB_NVME_CSTS), VMB_NVME_CSTS_FATAL);
	}
	put(BAR + VMB_NVME_CC, 0);
	put(BAR + VMB_NVME_AQA, 0);
	put(BAR + VMB_NVME_CC, 1);
	assert_int_equal(get(BAR + VMB_NVME_CSTS), VMB_NVME_CSTS_FATAL);
	put(BAR + VMB_NVME_CC, 0);
	put(BAR + VMB_NVME_AQA, 7 << 16 | 7);
	put(BAR + VMB_NVME_ACQ + 4, 0xFFFFFFFF);
	put(BAR + VMB_NVME_CC, 1);
	assert_int_equal(get(BAR + VMB_NVME_CSTS), VMB_NVME_CSTS_FATAL);
	put(BAR + VMB_NVME_DOORBELLS, 3); /* nobody listens */
	put(BAR + VMB_NVME_CC, 0);
	enable();
	assert_int_equal(get(BAR + VMB_NVME_CSTS), VMB_NVME_CSTS_READY);
	create_queues();
	test_what_is_written_is_read(state);
	put(BAR + VMB_NVME_CC, get(BAR + VMB_NVME_CC) | 1 << 14);
	assert_int_equal(get(BAR + VMB_NVME_CSTS), VMB_NVME_CSTS_READY | VMB_NVME_CSTS_SHUT);
}

static void test_accesses_of_odd_lengths(void **state)
{
	uint64_t all;
	uint8_t byte;

	assert_true(touch(BAR + VMB_NVME_CAP, &all, 8, false));
	assert_true(all == (1023 | 1 << 16 | 40ull << 24 | 1ull << 37));
	assert_true(touch(BAR + VMB_NVME_CAP, &byte, 1, false));
	assert_int_equal(byte, 0);
	for (uint32_t len = 1; len <= 8; len++)
		for (uint32_t at = 0; at < 0x4000; at += 509) {
			all = UINT64_MAX;
			touch(BAR + at, &all, len, false);
			touch(BAR + at, &all, len, at >= 0x2000);
		}
	assert_false(vmb_dev_bus_access(b->machine.bus, BAR, (uint8_t *)&all, 9, false));
	assert_false(vmb_dev_bus_access(b->machine.bus, BAR, (uint8_t *)&all, 0, false));
	assert_false(touch(UINT64_MAX - 3, &all, 8, false));
}

static void test_interrupts_are_moved_and_masked(void **state)
{
	struct vmb_pci_retarget wanted = { .address = 0xFEE00000, .data = 2, .vector = 0x77 };
	struct vmb_nvme_command read = io(VMB_NVME_READ, 0, 1);
	uint32_t before;

	wanted.device_id = vmb_pci_device_id(
		&(struct vmb_guid){ { 0x6e, 0x65, 0x70, 0x6f, 1, 0, 0x75, 0x42 } }, 0);
	assert_true(vmb_dev_bus_retarget(b->machine.bus, &wanted, 1));
	assert_false(vmb_dev_bus_retarget(b->machine.bus, &wanted, 2)); /* no such processor */
	place(1, &read);
	ring(1);
	assert_true(complete(1));
	assert_int_equal(b->machine.interrupt_vector, 0x77);
	wanted.vector = 0x100;
	assert_false(vmb_dev_bus_retarget(b->machine.bus, &wanted, 1));
	wanted.device_id++;
	assert_false(vmb_dev_bus_retarget(b->machine.bus, &wanted, 1));
	/* One that is masked comes when it no longer is. */
	put(BAR + 0x201C, 1);
	before = b->machine.interrupt_count;
	place(1, &read);
	ring(1);
	assert_true(complete(1));
	assert_int_equal(b->machine.interrupt_count, before);
	assert_int_equal(get(BAR + 0x3000), 2);
	put(BAR + 0x201C, 0);
	assert_int_equal(b->machine.interrupt_count, before + 1);
	/* A message that nobody created is none. */
	put(BAR + 0x2018, 99);
	place(1, &read);
	ring(1);
	assert_true(complete(1));
	assert_int_equal(b->machine.interrupt_count, before + 1);
}

static void test_closed_and_opened_again(void **state)
{
	uint32_t value;

	vmb_user_guest_close(&b->guest, b->d);
	settle();
	assert_false(touch(BAR, &value, 4, false));
	assert_int_equal(vmb_user_guest_open(&b->guest, b->d), 0);
	settle();
	assert_false(touch(BAR, &value, 4, false));
	find_function();
	assert_int_equal(get(BAR + VMB_NVME_CSTS), 0);
	enable();
	create_queues();
	test_what_is_written_is_read(state);
}

static void test_a_guest_that_breaks_the_protocol(void **state)
{
	const uint32_t words[] = { VMB_PCI_QUERY_VERSION, VMB_PCI_VERSION_1_4 };
	uint32_t count = b->d->pci.count, value;

	say(words, sizeof(words)); /* a second time */
	assert_int_equal(b->d->pci.count, count);
	assert_false(touch(BAR, &value, 4, false));
	say(words, sizeof(words));
	assert_int_equal(b->d->pci.count, count);
	test_closed_and_opened_again(state);
}

static void test_rescinded(void **state)
{
	uint32_t value;

	vmb_dev_bus_rescind(
		b->machine.devices->device.ops->channel(b->machine.devices->device.state));
	settle();
	assert_null(vmb_user_guest_pci(&b->guest));
	assert_false(touch(BAR, &value, 4, false));
	assert_true(b->machine.devices->device.ops->released(b->machine.devices->device.state));
}

/* The device as the machine has it. */
static const struct vmb_dev_device *device(void)
{
	return &b->machine.devices->device;
}

static void test_a_guest_is_asked_to_let_go(void **state)
{
	static const uint32_t ejected[] = { VMB_PCI_EJECTED, 0, 0 };
	const struct vmb_ring_part part = { ejected, sizeof(ejected) };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.payload = &part,
						.payload_count = 1 };

	device()->ops->part(device()->state);
	settle();
	assert_int_equal(b->d->pci.type, VMB_PKT_INBAND);
	assert_memory_equal(b->d->pci.bytes, "\x0B\0\x49\x42\0\0\0\0", 8);
	test_what_is_written_is_read(state); /* it still works */
	assert_false(device()->ops->released(device()->state));
	assert_int_equal(vmb_user_guest_packet(b->d, &packet), 0);
	settle();
	assert_null(vmb_user_guest_pci(&b->guest));
	assert_true(device()->ops->released(device()->state));
}

/* One that has not come so far is not asked, nor is one that has closed the channel. */
static void test_a_guest_that_knows_of_no_disk(void **state)
{
	device()->ops->part(device()->state);
	settle();
	assert_null(vmb_user_guest_pci(&b->guest));
	assert_true(device()->ops->released(device()->state));
}

static void test_a_guest_that_has_closed(void **state)
{
	vmb_user_guest_close(&b->guest, b->d);
	settle();
	test_a_guest_that_knows_of_no_disk(state);
}

/* Anything, from a guest that has it in for the host: it comes to an end, and all works after. */
static void test_a_guest_that_says_anything(void **state)
{
	uint64_t random = 88172645463325252ull, data;
	struct vmb_nvme_command command;

	for (uint32_t i = 0; i < 20000; i++) {
		for (uint32_t k = 0; k < sizeof(command) / 8; k++) {
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			data = random;
			if (random >> 60 < 12) /* mostly within the guest's memory, and small */
				data = k < 3 ? random & 0x10F0F01010Full :
					       gpa(random & 63) | (random >> 20 & 0xF8);
			memcpy((uint8_t *)&command + k * 8, &data, 8);
		}
		place(i & 1, &command);
		data = random >> 24;
		if (i % 64 == 63)
			vmb_dev_bus_access(b->machine.bus, BAR + (random & 0x3FFF),
					   (uint8_t *)&data, 1 + (random >> 16 & 7), true);
		else
			ring(i & 1);
		while (complete(i & 1))
			;
	}
	put_config(0x10, (uint32_t)BAR);
	put_config(0x04, 0x6);
	put(BAR + VMB_NVME_CC, 0);
	test_closed_and_opened_again(state);
}

/* A controller that is reset, and a channel that closes, under commands that wait for the file. */
static void test_the_end_of_what_is_under_way(void **state)
{
	struct vmb_nvme_command write = io(VMB_NVME_WRITE, 0, 16);

	test_what_is_written_is_read(state);
	for (uint32_t round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < ENTRIES - 2; i++)
			place(1, &write);
		ring(1);
		put(BAR + VMB_NVME_CC, 0);
		for (uint32_t i = 0; get(BAR + VMB_NVME_CSTS) & 1; i++) {
			assert_true(i < 20000);
			usleep(1000);
		}
		enable();
		create_queues();
	}
	for (uint32_t i = 0; i < ENTRIES - 2; i++)
		place(1, &write);
	ring(1);
}

#define TEST(name)	     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OF(name, begin) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OF(test_nothing_answers_before_the_bus_is_on, set_up_closed),
		TEST(test_identify),
		TEST(test_what_is_written_is_read),
		TEST(test_zeroes_and_discard),
		TEST_OF(test_a_read_only_disk, set_up_read_only),
		TEST(test_commands_that_cannot_be),
		TEST(test_lists_that_lead_on),
		TEST(test_queues_that_cannot_be),
		TEST(test_features_and_logs),
		TEST(test_a_full_completion_queue),
		TEST(test_doorbells_that_cannot_be),
		TEST(test_events_can_be_aborted),
		TEST(test_an_event_is_not_aborted_without_room_for_it),
		TEST(test_a_controller_that_cannot_start),
		TEST(test_accesses_of_odd_lengths),
		TEST(test_interrupts_are_moved_and_masked),
		TEST(test_closed_and_opened_again),
		TEST(test_a_guest_that_breaks_the_protocol),
		TEST_OF(test_what_is_written_is_read, set_up_threaded),
		TEST_OF(test_the_end_of_what_is_under_way, set_up_threaded),
		TEST(test_rescinded),
		TEST(test_a_guest_is_asked_to_let_go),
		TEST_OF(test_a_guest_that_knows_of_no_disk, set_up_closed),
		TEST(test_a_guest_that_has_closed),
		TEST(test_a_guest_that_says_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
