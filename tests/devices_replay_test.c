// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Recordings played against devices like the recorded ones, against others, and after something in
 * them was changed: each difference is found, and named by its record.
 */
#include "devices/network.h"
#include "devices/replay.h"
#include "devices/storage.h"
#include "tests/loopback_bed.h"
#include "tests/trace_bed.h"
#include "vmm/memory.h"

#define MEMORY_LEN (128u << 20)

static struct vmb_dev_memory memory;
static struct vmb_dev_replay_result result;
static struct vmb_dev_device device;
static int set_up(void **state)
{
	return trace_bed_set_up(state) || vmb_vmm_memory_create(&memory, MEMORY_LEN, MEMORY_LEN);
}

static int tear_down(void **state)
{
	vmb_vmm_memory_destroy(&memory);
	return trace_bed_tear_down(state);
}

static uint8_t medium[TRACE_SESSION_LEN]; /* of the disk, where the session wrote */

static void play(uint32_t version_max)
{
	const struct vmb_dev_replay_config config = { .bytes = file.bytes,
						      .len = file.len,
						      .bus = { .version_max = version_max },
						      .memory = &memory,
						      .vp_count = 1,
						      .devices = &device,
						      .device_count = 1,
						      .differs = differs };

	first_number = 0;
	first_text[0] = 0;
	assert_int_equal(device.ops->prepare(device.state), 0);
	assert_int_equal(vmb_dev_replay(&config, &result), 0);
	if (device.ops == &vmb_dev_storage_ops)
		memcpy(medium,
		       (uint8_t *)((struct vmb_dev_storage *)device.state)->disks[0].state +
			       TRACE_SESSION_BLOCK * LOOP_BLOCK_LEN,
		       sizeof(medium));
	device.ops->close(device.state);
}

static void make_storage(const char *disk)
{
	static struct vmb_dev_disk_option disks[1];
	static struct vmb_guid instance_id;
	const struct vmb_dev_storage_config config = { .instance_id = &instance_id,
						       .disks = disks,
						       .disk_count = 1 };

	memset(instance_id.bytes, 1, sizeof(instance_id.bytes));
	disks[0].path = disk;
	assert_int_equal(vmb_dev_storage_open(&device, &config), 0);
}

static void make_network(void)
{
	static const struct vmb_dev_net_option option = {
		.kind = VMB_DEV_NET_NULL,
		.mac = { 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03 },
		.queue_count = 8,
		.mtu_max = 1500,
	};

	assert_int_equal(vmb_dev_network_open(&device, &option, 0), 0);
}

static void expect_same(uint32_t at_least)
{
	if (result.differences)
		fail_msg("record %u: %s", first_number, first_text);
	assert_null(result.ended);
	assert_in_range(result.compared, at_least, 1000);
}

static void test_storage_session_replays_without_a_difference(void **state)
{
	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	make_storage(TRACE_SESSION_DISK);
	play(0);
	expect_same(14);
	assert_int_equal(result.left_out, 0);
	assert_int_equal(result.cut, 0);
}

/* What the guest wrote reaches the disk: the memory that packets name is there again. */
static void test_replayed_writes_are_on_the_disk(void **state)
{
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record r;

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	make_storage(TRACE_SESSION_DISK);
	play(0);
	vmb_dev_trace_reader_init(&reader, file.bytes, file.len);
	do
		assert_int_equal(vmb_dev_trace_read(&reader, &r), 1);
	while (r.header.kind != VMB_DEV_TRACE_DATA);
	assert_int_equal(r.len, sizeof(struct vmb_dev_trace_data) + TRACE_SESSION_LEN);
	assert_memory_equal(medium, r.bytes + sizeof(struct vmb_dev_trace_data), sizeof(medium));
}

static void test_network_session_replays_without_a_difference(void **state)
{
	record(trace_session_network, VMB_DEV_TRACE_SNAP_FULL);
	make_network();
	play(0);
	expect_same(40);
	/* the frame to the guest, and its answer */
	assert_int_equal(result.left_out, 2);
}

/* Which record has the bytes, and where. */
static uint32_t change(enum vmb_dev_trace_kind kind, uint32_t nth, uint32_t at)
{
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record r;

	vmb_dev_trace_reader_init(&reader, file.bytes, file.len);
	while (vmb_dev_trace_read(&reader, &r) > 0) {
		if (r.header.kind != kind || r.header.direction != VMB_DEV_TRACE_TO_GUEST || nth--)
			continue;
		assert_true(at < r.len);
		file.bytes[r.bytes - file.bytes + at] ^= 1;
		return r.number;
	}
	fail();
	return 0;
}

/* Each message and each packet of the host, with a byte changed that is compared. */
static void test_each_changed_answer_is_found_by_its_record(void **state)
{
	static const struct {
		enum vmb_dev_trace_kind kind;
		uint32_t nth, at;
	} changes[] = {
		{ VMB_DEV_TRACE_MESSAGE, 0, 9 }, /* VERSION_RESPONSE: the state */
		{ VMB_DEV_TRACE_MESSAGE, 1, 58 }, /* OFFER: MMIO */
		{ VMB_DEV_TRACE_MESSAGE, 3, 16 }, /* GPADL_CREATED: status */
		{ VMB_DEV_TRACE_MESSAGE, 4, 16 }, /* OPEN_RESULT: status */
		{ VMB_DEV_TRACE_PACKET, 0, 24 }, /* status of a handshake's answer */
		{ VMB_DEV_TRACE_PACKET, 4, 30 }, /* SRB status */
		{ VMB_DEV_TRACE_PACKET, 6, 50 }, /* sense data */
	};
	uint32_t number;

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(changes); i++) {
		number = change(changes[i].kind, changes[i].nth, changes[i].at);
		make_storage(TRACE_SESSION_DISK);
		play(0);
		assert_int_equal(result.differences, 1);
		assert_int_equal(first_number, number);
		change(changes[i].kind, changes[i].nth, changes[i].at);
	}
}

/* The first one is the answer to INITIALIZE. */
static void test_changed_rndis_message_is_found(void **state)
{
	uint32_t number;

	record(trace_session_network, VMB_DEV_TRACE_SNAP_FULL);
	number = change(VMB_DEV_TRACE_DATA, 0, sizeof(struct vmb_dev_trace_data) + 12);
	make_network();
	play(0);
	assert_int_equal(result.differences, 1);
	assert_int_equal(first_number, number);
	assert_non_null(strstr(first_text, "RNDIS message: byte 12"));
}

static void test_other_devices_differ(void **state)
{
	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	make_storage("ram:32M"); /* the block that was not there is */
	play(0);
	assert_int_equal(result.differences, 1);
	assert_non_null(strstr(first_text, "packet of type 11"));
	make_storage(TRACE_SESSION_DISK);
	play(VMB_VERSION_5_3);
	assert_true(result.differences > 0);
	assert_non_null(strstr(first_text, "VERSION_RESPONSE"));
}

static void test_channels_that_are_not_there_are_left_out(void **state)
{
	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	make_network();
	play(0);
	assert_true(result.left_out > 10);
	/* the card is offered, and the recording has none */
	assert_int_equal(result.differences, 1);
	assert_non_null(strstr(first_text, "OFFER_CHANNEL"));
}

static void test_cut_memory_is_counted(void **state)
{
	record(trace_session_storage, 100);
	make_storage(TRACE_SESSION_DISK);
	play(0);
	expect_same(14);
	assert_int_equal(result.cut, 1);
}

/* A descriptor that says another length, or a payload behind the packet's end, is of no packet. */
static void test_packet_that_is_not_whole_is_not_played(void **state)
{
	static const uint32_t places[] = { offsetof(struct vmb_pkt_desc, offset8) + 1,
					   offsetof(struct vmb_pkt_desc, len8),
					   offsetof(struct vmb_pkt_desc, len8) + 1 };
	uint32_t number;

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++) {
		number = change(VMB_DEV_TRACE_PACKET, 4, places[i]);
		make_storage(TRACE_SESSION_DISK);
		play(0);
		assert_int_equal(first_number, number);
		assert_string_equal(first_text, "the packet is not whole in the recording");
		change(VMB_DEV_TRACE_PACKET, 4, places[i]);
	}
}

/* Whatever a recording says, its replay ends; under AddressSanitizer. */
static void test_any_recording_ends(void **state)
{
	uint64_t seed = 1;

	record(trace_session_storage, 32);
	for (int round = 0; round < 300; round++) {
		uint64_t at[4];
		uint8_t before[4];

		for (int i = 0; i < 4; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			at[i] = 200 + (seed >> 33) % (file.len - 200);
			before[i] = file.bytes[at[i]];
			file.bytes[at[i]] = seed >> 25;
		}
		make_storage("ram:1M");
		play(0);
		for (int i = 3; i >= 0; i--)
			file.bytes[at[i]] = before[i];
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_storage_session_replays_without_a_difference),
		TEST(test_replayed_writes_are_on_the_disk),
		TEST(test_network_session_replays_without_a_difference),
		TEST(test_each_changed_answer_is_found_by_its_record),
		TEST(test_changed_rndis_message_is_found),
		TEST(test_other_devices_differ),
		TEST(test_channels_that_are_not_there_are_left_out),
		TEST(test_cut_memory_is_counted),
		TEST(test_packet_that_is_not_whole_is_not_played),
		TEST(test_any_recording_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
