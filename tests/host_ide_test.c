// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An IDE unit and the driver that IDE channels were made for: what the Linux driver of 2009 sends,
 * byte by byte from docs/protocol/storage.md, "1 Classes and offers", "3 Packets",
 * "11 The IDE driver of 2009". Bytes that it does not fill hold what was there before.
 */
#include "host/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define STALE	    0x5A
#define PACKET_LEN  48u
#define BLOCK_COUNT 0x123456u

struct fixture {
	struct vmb_host_storage s;
	struct vmb_host_storage_io io;
	struct vmb_host_scsi_lun unit;
	uint8_t bytes[PACKET_LEN];
	uint8_t reply[PACKET_LEN];
	int step;
};

static struct fixture fixture;

static uint32_t get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, 4);
}

/* Secondary slave, so that no address is zero. */
static struct fixture *start_kind(enum vmb_host_scsi_kind kind)
{
	const struct vmb_host_storage_config config = { .ide = true, .path_id = 1, .target_id = 1 };
	struct fixture *f = &fixture;
	uint32_t i;

	memset(f, 0, sizeof(*f));
	assert_int_equal(vmb_host_storage_init(&f->s, &config), 0);
	f->unit.kind = kind;
	f->unit.block_len = kind == VMB_HOST_SCSI_DVD ? 2048 : 512;
	f->unit.physical_block_len = f->unit.block_len;
	f->unit.block_count = BLOCK_COUNT;
	for (i = 0; i < sizeof(f->unit.guid); i++)
		f->unit.guid[i] = (uint8_t)(0xA0 + i);
	f->s.bus.luns[0] = &f->unit;
	vmb_host_storage_reset(&f->s);
	return f;
}

/* data_len: of guest memory, 0 for none. */
static void send(struct fixture *f, uint32_t data_len)
{
	const struct vmb_host_storage_packet packet = {
		.type = data_len ? VMB_PKT_GPA_DIRECT : VMB_PKT_INBAND,
		.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = 0xFFFF880012345678ull,
		.payload = f->bytes,
		.payload_len = PACKET_LEN,
		.range_count = data_len ? 1 : 0,
		.range = { .byte_count = data_len },
		.pfn_count = (data_len + 4095) / 4096,
	};

	f->step = vmb_host_storage_input(&f->s, &f->io, &packet);
	assert_int_equal(f->io.transaction_id, packet.transaction_id);
	assert_int_equal(f->io.reply_len, PACKET_LEN);
	memcpy(f->reply, &f->io.reply, PACKET_LEN);
}

static void control(struct fixture *f, uint32_t operation)
{
	memset(f->bytes, STALE, sizeof(f->bytes));
	put32(f->bytes, operation);
	put32(f->bytes + 4, 1);
	if (operation == 9)
		f->bytes[12] = 0, f->bytes[13] = 2; /* 2.0, with a stale revision */
	send(f, 0);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(get32(f->reply), 1);
	assert_int_equal(get32(f->reply + 8), 0);
}

static void handshake(struct fixture *f)
{
	control(f, 7);
	control(f, 9);
	control(f, 10);
	assert_int_equal(f->reply[12] | f->reply[13] << 8, 0x0200);
	assert_int_equal(f->reply[14], 1); /* path */
	assert_int_equal(f->reply[15], 1); /* target */
	assert_int_equal(get32(f->reply + 16), 0); /* port */
	assert_int_equal(get32(f->reply + 24), 1u << 20);
	control(f, 8);
	assert_int_equal(f->s.state, VMB_HOST_STORAGE_READY);
}

static void srb(struct fixture *f, uint8_t data_in, uint32_t data_len, const uint8_t cdb[16],
		uint8_t cdb_len)
{
	memset(f->bytes, STALE, sizeof(f->bytes));
	put32(f->bytes, 3);
	put32(f->bytes + 4, 1);
	f->bytes[12] = 0x24;
	f->bytes[13] = 0;
	f->bytes[12 + 5] = 1; /* path */
	f->bytes[12 + 6] = 1; /* target */
	f->bytes[12 + 7] = 0;
	f->bytes[12 + 8] = cdb_len;
	f->bytes[12 + 9] = 18;
	f->bytes[12 + 10] = data_in;
	put32(f->bytes + 12 + 12, data_len);
	memcpy(f->bytes + 12 + 16, cdb, 16);
	send(f, data_len);
}

#define CDB(...) ((const uint8_t[16]){ __VA_ARGS__ })

static void expect_good(struct fixture *f, uint32_t moved_len)
{
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(f->reply[12] | f->reply[13] << 8, 0x24);
	assert_int_equal(f->reply[14], 1); /* srb status */
	assert_int_equal(f->reply[15], 0); /* SCSI status */
	assert_int_equal(f->reply[17], 1); /* path, target, LUN */
	assert_int_equal(f->reply[18], 1);
	assert_int_equal(f->reply[19], 0);
	assert_int_equal(get32(f->reply + 24), moved_len);
	assert_int_equal(f->io.task.data_len, moved_len);
}

/* The type is at 0, the length of the id at 7, the id from 8 on. */
static void expect_identification(struct fixture *f, uint8_t type)
{
	const uint8_t *data = f->io.task.data;

	srb(f, 1, 64, CDB(0x12, 0x01, 0x83, 0, 64, 0), 6);
	assert_int_equal(data[3], f->io.task.data_len - 4);
	expect_good(f, f->io.task.data_len);
	assert_true(f->io.task.data_len >= 32 && f->io.task.data_len <= 64);
	assert_int_equal(data[0], type);
	assert_int_equal(data[1], 0x83);
	assert_int_equal(data[7], 24);
	assert_memory_equal(data + 8, "Msft    ", 8);
	assert_memory_equal(data + 16, f->unit.guid, 16);
}

static void test_disk_is_probed(void **state)
{
	static const uint8_t capacity[12] = { 0, 0, 0, 0, 0, 0x12, 0x34, 0x55, 0, 0, 2, 0 };
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	handshake(f);
	assert_int_equal(f->s.counters.refused, 0);
	expect_identification(f, 0);
	srb(f, 1, 12, CDB(0x9E), 16); /* service action 0, no allocation length */
	expect_good(f, 12);
	assert_memory_equal(f->io.task.data, capacity, 12);
	srb(f, 2, 0, CDB(0x00), 6);
	expect_good(f, 0);
}

static void test_cd_is_probed(void **state)
{
	static const uint8_t capacity[8] = { 0, 0x12, 0x34, 0x55, 0, 0, 8, 0 };
	struct fixture *f = start_kind(VMB_HOST_SCSI_DVD);

	handshake(f);
	expect_identification(f, 5);
	srb(f, 1, 8, CDB(0x25), 16);
	expect_good(f, 8);
	assert_memory_equal(f->io.task.data, capacity, 8);
	srb(f, 2, 0, CDB(0x00), 6);
	expect_good(f, 0);
	f->unit.medium_absent = true;
	srb(f, 2, 0, CDB(0x00), 6);
	assert_int_equal(f->reply[14], 0x84);
	assert_int_equal(f->reply[15], 2);
	assert_int_equal(f->reply[28 + 12], 0x3A);
}

static void expect_operation(struct fixture *f, enum vmb_host_scsi_op op, uint64_t block,
			     uint32_t count, bool fua)
{
	assert_int_equal(f->step, VMB_HOST_STORAGE_DO);
	assert_int_equal(f->io.task.op, op);
	assert_int_equal(f->io.task.offset, block * 512);
	assert_int_equal(f->io.task.len, count * 512);
	assert_int_equal(f->io.task.fua, fua);
	assert_ptr_equal(f->io.task.unit, &f->unit);
	assert_int_equal(vmb_host_storage_done(&f->s, &f->io, VMB_HOST_SCSI_OK),
			 VMB_HOST_STORAGE_REPLY);
	memcpy(f->reply, &f->io.reply, PACKET_LEN);
}

/* All with 16 bytes of command, whatever its group. */
static void test_data_moves(void **state)
{
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	handshake(f);
	srb(f, 1, 4096, CDB(0x08, 0x01, 0x02, 0x03, 8), 16);
	expect_operation(f, VMB_HOST_SCSI_READ, 0x010203, 8, false);
	srb(f, 0, 512, CDB(0x0A, 0x01, 0x02, 0x03, 1), 16);
	expect_operation(f, VMB_HOST_SCSI_WRITE, 0x010203, 1, false);
	srb(f, 1, 4096, CDB(0x28, 0, 0, 0x10, 0, 1, 0, 0, 8), 16);
	expect_operation(f, VMB_HOST_SCSI_READ, 0x100001, 8, false);
	srb(f, 0, 4096, CDB(0x2A, 0x08, 0, 0x10, 0, 1, 0, 0, 8), 16);
	expect_operation(f, VMB_HOST_SCSI_WRITE, 0x100001, 8, true);
	srb(f, 0, 4096, CDB(0x8A, 0x08, 0, 0, 0, 0, 0, 0x10, 0, 2, 0, 0, 0, 8), 16);
	expect_operation(f, VMB_HOST_SCSI_WRITE, 0x100002, 8, true);
	srb(f, 1, 4096, CDB(0x88, 0, 0, 0, 0, 0, 0, 0x10, 0, 2, 0, 0, 0, 8), 16);
	expect_operation(f, VMB_HOST_SCSI_READ, 0x100002, 8, false);
}

/* It calls a flush a read of nothing. */
static void test_flush_reads_nothing(void **state)
{
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	f->unit.write_cache = true;
	handshake(f);
	srb(f, 1, 0, CDB(0x35), 16);
	assert_int_equal(f->step, VMB_HOST_STORAGE_DO);
	assert_int_equal(f->io.task.op, VMB_HOST_SCSI_FLUSH);
	f->step = vmb_host_storage_done(&f->s, &f->io, VMB_HOST_SCSI_OK);
	memcpy(f->reply, &f->io.reply, PACKET_LEN);
	expect_good(f, 0);
}

/*
 * A guest that scans several targets finds the unit once. The path is the offer's, in the answer
 * too.
 */
static void test_unit_answers_its_target_and_lun_on_any_path(void **state)
{
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	handshake(f);
	srb(f, 2, 0, CDB(0x00), 6);
	f->bytes[12 + 5] = STALE;
	send(f, 0);
	expect_good(f, 0);
	f->bytes[12 + 7] = 1;
	send(f, 0);
	assert_int_equal(f->reply[14], 0x20); /* no such LUN */
	assert_int_equal(f->reply[17], 1);
	assert_int_equal(f->reply[18], 1);
	assert_int_equal(f->reply[19], 1);
	f->bytes[12 + 7] = 0;
	f->bytes[12 + 6] = 0;
	send(f, 0);
	assert_int_equal(f->reply[14], 0x20); /* no such target */
	assert_int_equal(f->reply[18], 0);
	srb(f, 1, 36, CDB(0x12, 0, 0, 0, 36), 6);
	f->bytes[12 + 6] = 0;
	send(f, 36);
	assert_int_equal(f->io.task.data[0], 0x7F); /* nobody can be there */
	srb(f, 1, 16, CDB(0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16), 12);
	f->bytes[12 + 6] = 0;
	send(f, 16);
	assert_int_equal(f->io.task.data_len, 8); /* no LUNs either */
}

static void test_old_properties_say_what_the_device_is(void **state)
{
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	control(f, 7);
	control(f, 9);
	control(f, 10);
	assert_int_equal(get32(f->reply + 20), 2); /* emulated IDE */
	f = start_kind(VMB_HOST_SCSI_DVD);
	control(f, 7);
	control(f, 9);
	control(f, 10);
	assert_int_equal(get32(f->reply + 20), 3); /* and removable */
}

/*
 * A reset of the unit is one whatever the address: guests leave garbage there, and there is no
 * other unit to reset.
 */
static void test_unit_is_reset_at_any_address(void **state)
{
	struct fixture *f = start_kind(VMB_HOST_SCSI_DISK);

	handshake(f);
	memset(f->bytes, STALE, sizeof(f->bytes));
	put32(f->bytes, 4);
	f->bytes[12 + 7] = 0; /* LUN */
	send(f, 0);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(f->unit.attention, VMB_HOST_SCSI_BUS_RESET);
	f->unit.attention = 0;
	f->bytes[12 + 7] = 1;
	send(f, 0);
	assert_int_equal(f->unit.attention, 0);
}

static void test_configuration_of_no_ide_unit_is_refused(void **state)
{
	static const struct vmb_host_storage_config bad[] = {
		{ .ide = true, .path_id = 2 },
		{ .ide = true, .target_id = 2 },
		{ .ide = true, .max_sub_channel_count = 1 },
		{ .path_id = 1 },
		{ .target_id = 1 },
	};
	uint32_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		assert_int_equal(vmb_host_storage_init(&fixture.s, &bad[i]), VMB_EINVAL);
}

static void test_offer_is_as_documented(void **state)
{
	static const uint8_t ids[4][16] = { { 0, 0, 0, 0, 0, 0, 0x99, 0x88 },
					    { 0, 0, 0, 0, 1, 0, 0x99, 0x88 },
					    { 1, 0, 0, 0, 0, 0, 0x99, 0x88 },
					    { 1, 0, 0, 0, 1, 0, 0x99, 0x88 } };
	uint8_t expected[24] = { [8] = 2 };
	struct vmb_stor_offer user;
	struct vmb_guid id;
	uint8_t i;

	for (i = 0; i < 4; i++) {
		memset(&user, STALE, sizeof(user));
		vmb_host_storage_ide_offer(i / 2, i % 2, &id, &user);
		assert_memory_equal(&id, ids[i], 16);
		expected[2] = i / 2;
		expected[3] = i % 2;
		assert_memory_equal(&user, expected, 24);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_is_probed),
		cmocka_unit_test(test_cd_is_probed),
		cmocka_unit_test(test_data_moves),
		cmocka_unit_test(test_flush_reads_nothing),
		cmocka_unit_test(test_unit_answers_its_target_and_lun_on_any_path),
		cmocka_unit_test(test_old_properties_say_what_the_device_is),
		cmocka_unit_test(test_unit_is_reset_at_any_address),
		cmocka_unit_test(test_configuration_of_no_ide_unit_is_refused),
		cmocka_unit_test(test_offer_is_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
