// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The controller's worker thread without KVM: this file is the guest. It fills rings in guest
 * memory by hand, so it can also be a hostile one. The bus's part is played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/storage.h"
#include "tests/peek.h"
#include "vmm/memory.h"

#define MIB	    (1ull << 20)
#define PAGE	    4096u
#define RING_PAGES  17u /* each way: 64 KiB of data */
#define RING_GPA    0x100000ull
#define DATA_GPA    0x200000ull
#define RING_LEN    ((RING_PAGES - 1) * PAGE)
#define DISK_LEN    (4 * MIB)
/* In the first disk, in the second, behind what other tests read of them. */
#define HELD_BLOCK  5000u
#define STUCK_BLOCK 5100u
#define GONE_BLOCK  5200u

static struct vmb_dev_machine machine;
static struct vmb_dev_bus bus;
static struct vmb_dev_device device;
static struct vmb_dev_storage *storage; /* its state */
static struct vmb_dev_disk_option disks[2];
static struct vmb_ring_writer tx;
static struct vmb_ring_reader rx;
static char path[] = "/tmp/vmm-storage-XXXXXX";
static int file;
static int stopped; /* atomic */
static int reopens; /* atomic: the guest opened the channel while it closes */
static int rescinds; /* atomic */

static void start_channel(struct vmb_dev_channel *ch);

/* The bus's side. */
int vmb_dev_bus_attach(struct vmb_dev_bus *b, struct vmb_dev_channel *channel)
{
	channel->bus = b;
	channel->bell = (struct vmb_dev_bell){ .fd = vmb_dev_event_create() };
	assert_true(channel->bell.fd >= 0);
	return 0;
}

void vmb_dev_bus_detach(struct vmb_dev_channel *channel)
{
	if (channel->bus)
		close(channel->bell.fd);
	channel->bus = NULL;
}

void vmb_dev_bus_signal(struct vmb_dev_channel *channel)
{
	__atomic_fetch_add(&channel->signals, 1, __ATOMIC_RELAXED);
}

/* As the bus does: the device is told to stop. */
void vmb_dev_bus_rescind(struct vmb_dev_channel *channel)
{
	__atomic_fetch_add(&rescinds, 1, __ATOMIC_SEQ_CST);
	channel->ops->stop(channel);
}

void vmb_dev_bus_stopped(struct vmb_dev_channel *channel)
{
	if (__atomic_exchange_n(&reopens, 0, __ATOMIC_SEQ_CST))
		start_channel(channel);
	__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
}

static void on_failure(struct vmb_dev_machine *m)
{
	abort();
}

static const struct vmb_dev_machine_ops machine_ops = { .fail = on_failure };

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

static uint8_t *at(uint64_t gpa)
{
	return vmb_dev_memory_at(&machine.memory, gpa, 1);
}

static void start_channel(struct vmb_dev_channel *ch)
{
	uint8_t *up = at(RING_GPA), *down = up + RING_PAGES * PAGE;

	assert_int_equal(vmb_ring_writer_init(&tx, up, up + PAGE, RING_LEN, true), 0);
	assert_int_equal(vmb_ring_reader_init(&rx, down, down + PAGE, RING_LEN, true), 0);
	assert_int_equal(vmb_ring_reader_init(&ch->rx, up, up + PAGE, RING_LEN, false), 0);
	assert_int_equal(vmb_ring_writer_init(&ch->tx, down, down + PAGE, RING_LEN, false), 0);
	assert_int_equal(ch->ops->start(ch), 0);
}

static void open_channel(void)
{
	start_channel(&storage->channel);
}

static void close_channel(void)
{
	storage->channel.ops->stop(&storage->channel);
	while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		nap();
	stopped = 0;
}

static int set_up(void **state)
{
	struct vmb_dev_storage_config config = { 0 };
	static uint8_t pattern[DISK_LEN];

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	file = mkstemp(path);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i / 512 + i;
	if (file < 0 || write(file, pattern, sizeof(pattern)) != (ssize_t)sizeof(pattern) ||
	    vmb_vmm_memory_create(&machine.memory, 64 * MIB, 64 * MIB))
		return -1;
	machine.ops = &machine_ops;
	bus.machine = &machine;
	bus.memory = &machine.memory;
	memset(disks, 0, sizeof(disks));
	disks[0].path = path;
	disks[0].hold = (struct vmb_dev_disk_fault){ true, HELD_BLOCK };
	disks[0].stuck = (struct vmb_dev_disk_fault){ true, STUCK_BLOCK };
	disks[1].path = "null:1G";
	if (!*state || strcmp(*state, "no fault"))
		disks[1].gone = (struct vmb_dev_disk_fault){ true, GONE_BLOCK };
	disks[1].ide = *state;
	config.disks = *state ? &disks[1] : disks;
	config.disk_count = *state ? 1 : 2;
	config.ide = *state;
	if (vmb_dev_storage_open(&device, &config))
		return -1;
	storage = device.state;
	assert_int_equal(device.ops->prepare(storage), 0);
	if (device.ops->attach(storage, &bus))
		return -1;
	open_channel();
	return 0;
}

static int tear_down(void **state)
{
	close_channel();
	device.ops->close(storage);
	vmb_vmm_memory_destroy(&machine.memory);
	close(file);
	unlink(path);
	return 0;
}

static void ring_doorbell(void)
{
	const uint64_t one = 1;

	assert_int_equal(write(storage->channel.bell.fd, &one, sizeof(one)), sizeof(one));
}

static void post(uint16_t type, const void *header, uint32_t header_len, const void *payload,
		 uint32_t payload_len, uint64_t id)
{
	const struct vmb_ring_part head = { header, header_len }, body = { payload, payload_len };
	const struct vmb_ring_packet packet = {
		.type = type,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = id,
		.header = &head,
		.header_count = header_len ? 1 : 0,
		.payload = &body,
		.payload_count = 1,
	};

	assert_int_equal(vmb_ring_write(&tx, &packet), 0);
}

static void publish(void)
{
	vmb_ring_commit(&tx);
	ring_doorbell(); /* also where the protocol needs none: the worker must cope */
}

/* The next completion. False: none came within the time. */
static bool receive(struct vmb_stor_packet *reply, uint64_t *id, int ms)
{
	struct vmb_ring_received received;
	int error;

	while ((error = vmb_ring_read(&rx, &received)) == VMB_EAGAIN && ms-- > 0)
		nap();
	if (error == VMB_EAGAIN)
		return false;
	assert_int_equal(error, 0);
	assert_int_equal(received.type, VMB_PKT_COMPLETION);
	assert_int_equal(received.payload_len, sizeof(*reply));
	assert_true(vmb_ring_copy(&rx, &received, 16, reply, sizeof(*reply)));
	*id = received.transaction_id;
	vmb_ring_next(&rx, &received);
	if (vmb_ring_release(&rx))
		ring_doorbell();
	assert_int_equal(reply->operation, VMB_STOR_COMPLETE_IO);
	return true;
}

static void control(uint32_t operation, uint32_t argument)
{
	struct vmb_stor_packet packet = { .operation = operation }, reply;
	uint64_t id;

	memcpy(&packet.u, &argument, sizeof(argument));
	post(VMB_PKT_INBAND, NULL, 0, &packet, sizeof(packet), 77);
	publish();
	assert_true(receive(&reply, &id, 5000));
	assert_int_equal(id, 77);
	assert_int_equal(reply.status, 0);
}

static void handshake(void)
{
	control(VMB_STOR_BEGIN_INITIALIZATION, 0);
	control(VMB_STOR_QUERY_PROTOCOL_VERSION, VMB_STOR_VERSION_6_2);
	control(VMB_STOR_QUERY_PROPERTIES, 0);
	control(VMB_STOR_END_INITIALIZATION, 0);
}

struct range {
	uint32_t reserved, range_count, byte_count, byte_offset;
	uint64_t pfns[260];
};

static struct vmb_stor_packet move(uint8_t lun, bool read, uint32_t block, uint32_t count)
{
	struct vmb_stor_packet packet = { .operation = VMB_STOR_EXECUTE_SRB };
	struct vmb_stor_srb *srb = &packet.u.srb;

	srb->length = VMB_STOR_SRB_LEN;
	srb->lun = lun;
	srb->cdb_len = 10;
	srb->sense_len = VMB_STOR_SENSE_LEN;
	srb->data_in = read;
	srb->data_transfer_len = count * 512;
	srb->u.cdb[0] = read ? 0x28 : 0x2A;
	srb->u.cdb[2] = block >> 24;
	srb->u.cdb[3] = block >> 16;
	srb->u.cdb[4] = block >> 8;
	srb->u.cdb[5] = block;
	srb->u.cdb[7] = count >> 8;
	srb->u.cdb[8] = count;
	return packet;
}

/* Pages for len bytes from offset on, every second one, backwards: nothing is adjacent. */
static struct range scattered(uint32_t offset, uint32_t len, uint32_t *header_len)
{
	struct range range = { .range_count = 1, .byte_count = len, .byte_offset = offset };
	uint32_t count = (offset + len + PAGE - 1) / PAGE;

	for (uint32_t i = 0; i < count; i++)
		range.pfns[i] = DATA_GPA / PAGE + 2 * (count - i);
	*header_len = 16 + 8 * count;
	return range;
}

static void test_scattered_pages_receive_the_files_bytes(void **state)
{
	struct vmb_stor_packet packet = move(0, true, 8, 24), reply;
	struct range range;
	uint32_t header_len, offset = 512, done = 0;
	uint64_t id;

	handshake();
	range = scattered(offset, 24 * 512, &header_len);
	post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet), 5);
	publish();
	assert_true(receive(&reply, &id, 5000));
	assert_int_equal(id, 5);
	assert_int_equal(reply.u.srb.srb_status & 0x3F, VMB_SRB_SUCCESS);
	assert_int_equal(reply.u.srb.data_transfer_len, 24 * 512);
	for (uint32_t i = 0; done < 24 * 512; i++, offset = 0) {
		uint8_t *page = at(range.pfns[i] * PAGE), expected[PAGE];
		uint32_t len = PAGE - offset < 24 * 512 - done ? PAGE - offset : 24 * 512 - done;

		assert_int_equal(pread(file, expected, len, 8 * 512 + done), len);
		assert_memory_equal(page + offset, expected, len);
		done += len;
	}
}

static void test_written_pages_reach_the_file(void **state)
{
	struct vmb_stor_packet packet = move(0, false, 100, 8), reply;
	uint8_t back[PAGE];
	struct range range;
	uint32_t header_len;
	uint64_t id;

	handshake();
	range = scattered(0, PAGE, &header_len);
	memset(at(range.pfns[0] * PAGE), 0xC3, PAGE);
	post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet), 6);
	publish();
	assert_true(receive(&reply, &id, 5000));
	assert_int_equal(reply.u.srb.srb_status & 0x3F, VMB_SRB_SUCCESS);
	assert_int_equal(pread(file, back, PAGE, 100 * 512), PAGE);
	assert_memory_equal(back, at(range.pfns[0] * PAGE), PAGE);
}

/* More than the worker has requests for, from both kinds of backend, each answered exactly once. */
static void flood(void)
{
	static uint8_t answered[2000];
	uint32_t sent = 0, got = 0, header_len, room;
	struct vmb_stor_packet reply;
	uint64_t before = storage->host.counters.requests;
	uint64_t id;

	memset(answered, 0, sizeof(answered));
	while (got < sizeof(answered)) {
		struct vmb_stor_packet packet = move(sent % 2, true, sent % 4096, 8);
		struct range range = scattered(0, PAGE, &header_len);

		room = vmb_ring_packet_len(header_len, sizeof(packet));
		while (sent < sizeof(answered) && vmb_ring_room(&tx) > room) {
			packet = move(sent % 2, true, sent % 4096, 8);
			post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet),
			     sent++);
		}
		publish();
		while (receive(&reply, &id, got == sent ? 0 : 2000)) {
			assert_true(id < sizeof(answered) && !answered[id]);
			answered[id] = 1;
			got++;
			if (got == sent)
				break;
		}
		assert_int_equal(got, sent);
	}
	assert_int_equal(storage->host.counters.requests - before, sizeof(answered));
}

static void test_flood_is_answered_completely(void **state)
{
	handshake();
	flood();
}

/* Answers that find no room wait for it; none is lost. */
static void test_answers_wait_for_room(void **state)
{
	uint32_t count = RING_LEN / vmb_ring_packet_len(0, 64) + 50, got = 0, header_len;
	struct vmb_stor_packet packet = move(1, true, 0, 8), reply;
	struct range range = scattered(0, PAGE, &header_len);
	uint64_t id;

	handshake();
	for (uint32_t i = 0; i < count; i++) {
		while (vmb_ring_room(&tx) <= vmb_ring_packet_len(header_len, sizeof(packet)))
			nap();
		post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet), i);
		publish();
	}
	while (got < count && receive(&reply, &id, 5000))
		assert_int_equal(id, got++);
	assert_int_equal(got, count);
}

/* What a range can be wrong in: all are refused, and the next good request still works. */
static void test_impossible_ranges_are_refused(void **state)
{
	static const struct {
		uint32_t range_count, byte_count, byte_offset, pfn_count;
		uint64_t pfn;
	} bad[] = {
		{ 1, PAGE, 0, 1, 64 * MIB / PAGE }, /* behind the memory */
		{ 1, PAGE, 0, 1, UINT64_MAX },
		{ 1, PAGE, 0, 1, 1ull << 52 },
		{ 1, PAGE, 0, 0, 0 }, /* no page */
		{ 1, PAGE, 1, 1, 512 }, /* one page too few */
		{ 1, PAGE, PAGE, 2, 512 }, /* offset is none */
		{ 1, PAGE, UINT32_MAX, 2, 512 },
		{ 1, UINT32_MAX, 0, 1, 512 },
		{ 1, UINT32_MAX, 4095, 260, 512 },
		{ 0, PAGE, 0, 1, 512 },
		{ 2, PAGE, 0, 1, 512 },
		{ UINT32_MAX, PAGE, 0, 1, 512 },
		{ 1, 100, 0, 1, 512 }, /* less than the transfer */
		{ 1, 0, 0, 0, 0 },
	};
	struct vmb_stor_packet packet, reply;
	struct range range;
	uint64_t id;

	handshake();
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		range = (struct range){ .range_count = bad[i].range_count,
					.byte_count = bad[i].byte_count,
					.byte_offset = bad[i].byte_offset };
		for (uint32_t n = 0; n < bad[i].pfn_count; n++)
			range.pfns[n] = bad[i].pfn;
		packet = move(i % 2, i % 3, 0, 8);
		post(VMB_PKT_GPA_DIRECT, &range, 16 + 8 * bad[i].pfn_count, &packet, sizeof(packet),
		     i);
		publish();
		assert_true(receive(&reply, &id, 5000));
		assert_int_equal(id, i);
		assert_int_equal(reply.u.srb.srb_status & 0x3F, VMB_SRB_INVALID_REQUEST);
	}
	flood();
}

/* After a packet that is none, nothing more is read or answered, and closing still works. */
static void breaks(uint16_t type, uint32_t header_len, uint32_t payload_len)
{
	static const uint8_t bytes[4096];
	struct vmb_stor_packet reply, good = { .operation = VMB_STOR_BEGIN_INITIALIZATION };
	uint64_t id;

	post(type, bytes, header_len, bytes, payload_len, 1);
	post(VMB_PKT_INBAND, NULL, 0, &good, sizeof(good), 2);
	publish();
	assert_false(receive(&reply, &id, 50));
	close_channel();
	open_channel();
	handshake();
	close_channel();
	open_channel();
}

static void test_broken_packets_stop_the_channel_only(void **state)
{
	breaks(VMB_PKT_INBAND, 0, 8);
	breaks(VMB_PKT_INBAND, 0, 2048);
	breaks(VMB_PKT_GPA_DIRECT, 0, 64);
	breaks(VMB_PKT_GPA_DIRECT, 8, 64);
	breaks(VMB_PKT_TRANSFER_PAGES, 8, 64);
	breaks(VMB_PKT_COMPLETION, 0, 64);
	breaks(200, 0, 64);
}

static void test_broken_ring_stops_the_channel_only(void **state)
{
	struct vmb_stor_packet reply;
	struct vmb_ring_control *control = (void *)at(RING_GPA);
	uint64_t id;

	vmb_store_u32(&control->write_index, 12345);
	ring_doorbell();
	assert_false(receive(&reply, &id, 50));
	close_channel();
	open_channel();
	handshake();
}

/* What is under way at close is finished, not dropped in the middle. */
static void test_close_waits_for_the_disk(void **state)
{
	struct vmb_stor_packet packet = move(0, false, 0, 8);
	struct range range;
	uint32_t header_len;

	handshake();
	range = scattered(0, PAGE, &header_len);
	for (int i = 0; i < 200; i++) {
		packet = move(0, false, i * 8, 8);
		post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet), i);
	}
	publish();
	close_channel();
	assert_int_equal(storage->queues[0].busy_count, 0);
	open_channel();
	handshake();
}

static void post_read(uint8_t lun, uint32_t block, uint32_t count, uint64_t id)
{
	struct vmb_stor_packet packet = move(lun, true, block, count);
	uint32_t header_len;
	struct range range = scattered(0, count * 512, &header_len);

	post(VMB_PKT_GPA_DIRECT, &range, header_len, &packet, sizeof(packet), id);
}

static void post_reset(uint64_t id)
{
	const struct vmb_stor_packet packet = { .operation = VMB_STOR_RESET_BUS };

	post(VMB_PKT_INBAND, NULL, 0, &packet, sizeof(packet), id);
	publish();
}

static void expect_answer(uint64_t id, uint8_t srb_status)
{
	struct vmb_stor_packet reply;
	uint64_t found;

	assert_true(receive(&reply, &found, 5000));
	assert_int_equal(found, id);
	assert_int_equal(reply.u.srb.srb_status & VMB_SRB_STATUS_MASK, srb_status);
}

/* A news packet from the host, which nobody asked for. */
static void expect_enumerate(void)
{
	struct vmb_ring_received received;
	struct vmb_stor_packet packet;

	for (int ms = 0; ms < 10000 && vmb_ring_read(&rx, &received) == VMB_EAGAIN; ms++)
		nap();
	assert_int_equal(received.type, VMB_PKT_INBAND);
	assert_true(vmb_ring_copy(&rx, &received, 16, &packet, sizeof(packet)));
	assert_int_equal(packet.operation, VMB_STOR_ENUMERATE_BUS);
	vmb_ring_next(&rx, &received);
}

/* A command that asks for nothing takes the news about its unit with it. */
static void hear_attention(uint8_t lun)
{
	post_read(lun, 0, 1, 70);
	publish();
	expect_answer(70, VMB_SRB_ERROR);
}

/* The held ones are answered in no order, but before the reset is. */
static void test_held_reads_end_at_the_reset(void **state)
{
	struct vmb_stor_packet reply;
	uint64_t id, seen = 0;

	handshake();
	post_read(0, HELD_BLOCK, 1, 1);
	post_read(0, HELD_BLOCK - 7, 8, 2); /* its last block */
	post_read(0, HELD_BLOCK - 8, 8, 3);
	post_read(0, HELD_BLOCK + 1, 8, 4);
	post_read(1, HELD_BLOCK, 8, 5); /* the other disk has no such block */
	publish();
	for (int i = 0; i < 3; i++) {
		assert_true(receive(&reply, &id, 5000));
		assert_int_equal(reply.u.srb.srb_status & VMB_SRB_STATUS_MASK, VMB_SRB_SUCCESS);
		seen |= 1u << id;
	}
	assert_int_equal(seen, 1 << 3 | 1 << 4 | 1 << 5);
	post_reset(6);
	for (int i = 0; i < 2; i++) {
		assert_true(receive(&reply, &id, 5000));
		assert_int_equal(reply.u.srb.srb_status & VMB_SRB_STATUS_MASK, VMB_SRB_ABORTED);
		seen |= 1u << id;
	}
	assert_int_equal(seen, 0x3e);
	expect_answer(6, 0);
	hear_attention(0);
	hear_attention(1);
	flood();
}

static void test_stuck_and_held_reads_do_not_keep_the_channel(void **state)
{
	handshake();
	post_read(0, STUCK_BLOCK, 8, 1);
	post_reset(2);
	expect_answer(2, 0);
	hear_attention(0);
	post_read(0, HELD_BLOCK, 8, 3);
	post_read(1, 0, 8, 4);
	publish();
	expect_answer(4, VMB_SRB_ERROR); /* it hears of the reset */
	close_channel();
	open_channel();
	handshake();
	flood();
	post_read(0, HELD_BLOCK, 8, 5); /* for tear_down() to leave behind */
	publish();
}

static void test_a_unit_that_goes_is_back_in_the_next_life(void **state)
{
	handshake();
	post_read(1, GONE_BLOCK, 1, 1);
	publish();
	expect_answer(1, VMB_SRB_ERROR);
	expect_enumerate();
	post_read(1, 0, 1, 2);
	publish();
	expect_answer(2, VMB_SRB_INVALID_LUN);
	hear_attention(0);
	close_channel();
	device.ops->detach(storage);
	assert_int_equal(device.ops->attach(storage, &bus), 0);
	open_channel();
	handshake();
	flood();
}

static void test_an_ide_unit_goes_with_its_channel(void **state)
{
	struct vmb_stor_packet reply;
	uint64_t id;

	handshake();
	post_read(0, 0, 1, 1);
	publish();
	expect_answer(1, VMB_SRB_SUCCESS);
	post_read(0, GONE_BLOCK, 1, 2);
	post_read(0, 0, 1, 3);
	publish();
	while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		nap();
	stopped = 0;
	assert_int_equal(__atomic_load_n(&rescinds, __ATOMIC_SEQ_CST), 1);
	assert_false(receive(&reply, &id, 0));
	open_channel(); /* of the machine's next life */
	handshake();
}

static void test_a_file_of_another_length_is_news(void **state)
{
	handshake();
	assert_int_equal(ftruncate(file, DISK_LEN + 8 * 512 + 100), 0);
	expect_enumerate();
	hear_attention(0);
	post_read(0, DISK_LEN / 512 + 7, 1, 1);
	post_read(0, DISK_LEN / 512 + 8, 1, 2);
	publish();
	expect_answer(2, VMB_SRB_INVALID_REQUEST);
	expect_answer(1, VMB_SRB_SUCCESS);
	assert_int_equal(ftruncate(file, DISK_LEN / 2), 0);
	expect_enumerate();
	hear_attention(0);
	assert_int_equal(storage->units[0].block_count, DISK_LEN / 2 / 512);
}

/* The guest has not read its answers, and the ring has no room for the news: it comes later. */
static void test_news_waits_for_room(void **state)
{
	const uint32_t count =
		(RING_LEN - 8) / vmb_ring_packet_len(0, sizeof(struct vmb_stor_packet));
	struct vmb_stor_packet reply;
	uint64_t id;

	handshake();
	for (uint32_t i = 0; i < count; i++) {
		while (vmb_ring_room(&tx) <= vmb_ring_packet_len(0, sizeof(reply)))
			nap();
		post_reset(i);
	}
	assert_int_equal(ftruncate(file, DISK_LEN / 2), 0);
	while (peek_u64(&storage->units[0].block_count) == DISK_LEN / 512)
		nap();
	for (uint32_t i = 0; i < 20; i++)
		nap(); /* the worker tries, too soon */
	for (uint32_t i = 0; i < count; i++)
		assert_true(receive(&reply, &id, 5000));
	expect_enumerate();
}

static uint64_t address_space_mib(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	return pages / (MIB / PAGE);
}

/* Then the old worker itself starts the new one. A thread that nobody waits for keeps its stack. */
static void test_open_while_it_closes_leaves_no_thread(void **state)
{
	uint64_t before = 0;

	for (int i = 0; i < 100; i++) {
		reopens = 1;
		storage->channel.ops->stop(&storage->channel);
		while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
			nap();
		stopped = 0;
		handshake();
		if (i == 20)
			before = address_space_mib();
	}
	assert_true(address_space_mib() < before + 200);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/*
 * An order or the worker's end comes while the worker is in a step: it must not sleep over it. The
 * unit is one without a timer, which would hide that after a second.
 */
static void test_no_order_and_no_end_is_lost(void **state)
{
	for (uint32_t round = 0; round < 1000; round++) {
		int64_t began = now_ns();

		/* The order to close meets the worker at another place of the opening each time. */
		while (now_ns() - began < round % 100 * 3000)
			;
		storage->channel.ops->stop(&storage->channel);
		while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
			assert_true(now_ns() - began < INT64_C(5000000000));
		stopped = 0;
		device.ops->detach(storage);
		assert_int_equal(device.ops->attach(storage, &bus), 0);
		nap(); /* until the worker sleeps */
		open_channel();
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_scattered_pages_receive_the_files_bytes),
		TEST(test_written_pages_reach_the_file),
		TEST(test_flood_is_answered_completely),
		TEST(test_answers_wait_for_room),
		TEST(test_impossible_ranges_are_refused),
		TEST(test_broken_packets_stop_the_channel_only),
		TEST(test_broken_ring_stops_the_channel_only),
		TEST(test_close_waits_for_the_disk),
		TEST(test_open_while_it_closes_leaves_no_thread),
		TEST(test_held_reads_end_at_the_reset),
		TEST(test_stuck_and_held_reads_do_not_keep_the_channel),
		TEST(test_a_unit_that_goes_is_back_in_the_next_life),
		cmocka_unit_test_prestate_setup_teardown(test_an_ide_unit_goes_with_its_channel,
							 set_up, tear_down, "ide"),
		cmocka_unit_test_prestate_setup_teardown(test_no_order_and_no_end_is_lost, set_up,
							 tear_down, "no fault"),
		TEST(test_a_file_of_another_length_is_news),
		TEST(test_news_waits_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
