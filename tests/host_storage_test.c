// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The storage protocol's host side, driven with packets written byte by byte from
 * docs/protocol/storage.md.
 */
#include "host/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct vmb_host_storage s;
	struct vmb_host_storage_io io;
	struct vmb_host_scsi_lun disk, second;
	struct vmb_host_storage_packet packet;
	uint8_t bytes[256];
	uint8_t reply[64];
	int step;
};

static struct fixture fixture;

static void put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, 4);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, 4);
	return value;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void fill_disk(struct vmb_host_scsi_lun *disk)
{
	disk->block_len = 512;
	disk->physical_block_len = 512;
	disk->block_count = 1000;
}

static int start_with(struct fixture *f, const struct vmb_host_storage_config *config)
{
	memset(f, 0, sizeof(*f));
	memset(&f->io, 0xEE, sizeof(f->io)); /* used before */
	fill_disk(&f->disk);
	fill_disk(&f->second);
	assert_int_equal(vmb_host_storage_init(&f->s, config), 0);
	f->s.bus.luns[0] = &f->disk;
	f->s.bus.luns[5] = &f->second;
	vmb_host_storage_reset(&f->s);
	return 0;
}

static int start(void **state)
{
	const struct vmb_host_storage_config config = { .max_sub_channel_count = 3 };

	*state = &fixture;
	return start_with(&fixture, &config);
}

/* Sends f->bytes, an in-band packet of len bytes; what comes back is in f->reply. */
static void send(struct fixture *f, uint32_t len)
{
	f->packet.type = 6;
	f->packet.flags = 1;
	f->packet.transaction_id = 0xFEDCBA9876543210ull;
	f->packet.payload = f->bytes;
	f->packet.payload_len = len;
	f->step = vmb_host_storage_input(&f->s, &f->io, &f->packet);
	memcpy(f->reply, &f->io.reply, 64);
}

/* Sends a control operation; returns the reply's status. */
static uint32_t control_of(struct fixture *f, uint32_t operation, uint32_t argument, uint32_t len)
{
	memset(f->bytes, 0, sizeof(f->bytes));
	put32(f->bytes, operation);
	put32(f->bytes + 4, 1);
	put32(f->bytes + 12, argument);
	send(f, len);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(f->io.reply_len, len);
	assert_int_equal(f->io.transaction_id, 0xFEDCBA9876543210ull);
	assert_int_equal(get32(f->reply), 1);
	assert_int_equal(f->io.task.data_len, 0);
	return get32(f->reply + 8);
}

static uint32_t control(struct fixture *f, uint32_t operation, uint32_t argument)
{
	return control_of(f, operation, argument, 64);
}

static void handshake(struct fixture *f, uint16_t version)
{
	assert_int_equal(control(f, 7, 0), 0);
	assert_int_equal(control(f, 9, version), 0);
	assert_int_equal(control(f, 10, 0), 0);
	assert_int_equal(control(f, 8, 0), 0);
}

/* An EXECUTE_SRB in f->bytes. */
static void put_srb(struct fixture *f, uint8_t lun, uint8_t data_in, uint32_t transfer_len,
		    const uint8_t *cdb, uint8_t cdb_len)
{
	memset(f->bytes, 0, sizeof(f->bytes));
	put32(f->bytes, 3);
	put32(f->bytes + 4, 1);
	f->bytes[12] = 0x34;
	f->bytes[12 + 7] = lun;
	f->bytes[12 + 8] = cdb_len;
	f->bytes[12 + 9] = 0x14;
	f->bytes[12 + 10] = data_in;
	put32(f->bytes + 12 + 12, transfer_len);
	memcpy(f->bytes + 12 + 16, cdb, cdb_len);
}

#define SRB(f, lun, data_in, len, ...)                                  \
	put_srb(f, lun, data_in, len, (const uint8_t[]){ __VA_ARGS__ }, \
		sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Guest memory: one range, all its pages. */
static void send_direct(struct fixture *f, uint32_t len, uint32_t byte_count, uint32_t offset,
			uint32_t pfn_count)
{
	send(f, 0); /* for the packet's fields */
	f->s.counters.broken--;
	f->packet.type = 9;
	f->packet.payload_len = len;
	f->packet.range_count = 1;
	f->packet.range.byte_count = byte_count;
	f->packet.range.byte_offset = offset;
	f->packet.pfn_count = pfn_count;
	f->step = vmb_host_storage_input(&f->s, &f->io, &f->packet);
	memcpy(f->reply, &f->io.reply, 64);
}

static void done(struct fixture *f, enum vmb_host_scsi_error error)
{
	f->step = vmb_host_storage_done(&f->s, &f->io, error);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	memcpy(f->reply, &f->io.reply, 64);
}

#define READY_STATUS 0xC0000184u /* INVALID_DEVICE_STATE */

static void test_bad_configuration_is_refused(void **state)
{
	struct vmb_host_storage_config config = { .version_max = 0x0500 };
	struct fixture *f = *state;

	assert_int_equal(vmb_host_storage_init(&f->s, &config), VMB_EINVAL);
	config = (struct vmb_host_storage_config){ .max_transfer_len = 0x3F000 };
	assert_int_equal(vmb_host_storage_init(&f->s, &config), VMB_EINVAL);
	config.max_transfer_len = 0x40001;
	assert_int_equal(vmb_host_storage_init(&f->s, &config), VMB_EINVAL);
	config.max_transfer_len = 0x40000;
	assert_int_equal(vmb_host_storage_init(&f->s, &config), 0);
	assert_int_equal(f->s.bus.max_transfer_len, 0x40000);
}

static void test_handshake_with_every_version(void **state)
{
	static const uint16_t versions[] = { 0x0200, 0x0402, 0x0501, 0x0600, 0x0602 };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < VMB_ARRAY_COUNT(versions); i++) {
		vmb_host_storage_reset(&f->s);
		handshake(f, versions[i]);
		assert_int_equal(f->s.version, versions[i]);
		assert_int_equal(f->s.state, VMB_HOST_STORAGE_READY);
	}
	assert_int_equal(f->s.counters.refused, 0);
}

/*
 * The firmware of Generation 2 stops unless the accepted version stands in the completion; of a
 * refused one nothing does.
 */
static void test_what_was_agreed_stands_in_the_completion(void **state)
{
	static const uint8_t zeros[52];
	struct fixture *f = *state;

	assert_int_equal(control(f, 7, 0), 0);
	assert_memory_equal(f->reply + 12, zeros, 52);
	assert_int_equal(control(f, 9, 0x0601), 0xC0000059);
	assert_memory_equal(f->reply + 12, zeros, 52);
	assert_int_equal(control(f, 9, 0xABCD0600),
			 0); /* with a revision, which is the guest's own */
	assert_int_equal(get32(f->reply + 12), 0x0600);
	assert_memory_equal(f->reply + 16, zeros, 48);
	assert_int_equal(control(f, 10, 0), 0);
	assert_int_equal(control(f, 8, 0), 0);
	assert_memory_equal(f->reply + 12, zeros, 52);
	assert_int_equal(control(f, 13, 2), 0);
	assert_int_equal(get32(f->reply + 12), 2);
	assert_memory_equal(f->reply + 16, zeros, 48);
}

static void test_every_other_version_is_a_mismatch(void **state)
{
	struct fixture *f = *state;
	uint32_t version;

	assert_int_equal(control(f, 7, 0), 0);
	for (version = 0; version < 0x10000; version++) {
		if (version == 0x0200 || version == 0x0402 || version == 0x0501 ||
		    version == 0x0600 || version == 0x0602)
			continue;
		assert_int_equal(control(f, 9, version), 0xC0000059);
	}
	assert_int_equal(control(f, 9, 0x0600), 0); /* and the guest may go on trying */
}

static void test_versions_above_the_limit_are_a_mismatch(void **state)
{
	const struct vmb_host_storage_config config = { .version_max = VMB_STOR_VERSION_5_1 };
	struct fixture *f = *state;

	start_with(f, &config);
	assert_int_equal(control(f, 7, 0), 0);
	assert_int_equal(control(f, 9, 0x0602), 0xC0000059);
	assert_int_equal(control(f, 9, 0x0600), 0xC0000059);
	assert_int_equal(control(f, 9, 0x0501), 0);
}

/*
 * Every control operation in every state: what goes on, what is refused, what breaks the channel.
 */
static void test_operation_in_each_state(void **state)
{
	/* a bit for each state from BEGIN on; 0 = none of them */
	static const uint8_t allowed[] = { [4] = 0x10, [5] = 0x10, [6] = 0x10,	[7] = 0x01,
					   [8] = 0x08, [9] = 0x02, [10] = 0x04, [13] = 0x18 };
	static const uint8_t path[][2] = { { 7, 0 }, { 9, 2 }, { 10, 0 }, { 8, 0 } };
	struct fixture *f = *state;
	uint32_t states, operation, i, status;

	for (states = 0; states < 5; states++) {
		for (operation = 4; operation <= 13; operation++) {
			if (operation == 11 || operation == 12)
				continue;
			vmb_host_storage_reset(&f->s);
			for (i = 0; i < states; i++)
				assert_int_equal(control(f, path[i][0], path[i][1] * 0x300), 0);
			status = control(f, operation, operation == 9 ? 0x600 : 0);
			assert_int_equal(status,
					 allowed[operation] & 1u << states ? 0 : READY_STATUS);
		}
	}
}

static void test_srb_before_ready_is_refused(void **state)
{
	struct fixture *f = *state;

	SRB(f, 0, 2, 0, 0x00, 0, 0, 0, 0, 0);
	send(f, 64);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(get32(f->reply), 1);
	assert_int_equal(get32(f->reply + 8), READY_STATUS);
	assert_int_equal(get16(f->reply + 12), 0x24); /* no version yet: the oldest layout */
	assert_int_equal(f->reply[14], 0x06); /* who looks at the SRB only is told too */
	assert_int_equal(f->s.counters.requests, 0);
}

static void test_fibre_channel_is_refused(void **state)
{
	struct fixture *f = *state;

	control(f, 7, 0);
	control(f, 9, 0x0602);
	control(f, 10, 0);
	assert_int_equal(control(f, 12, 0), 0xC0000010);
	assert_int_equal(control(f, 8, 0), 0);
}

static void test_properties_from_5_1_on(void **state)
{
	struct fixture *f = *state;

	control(f, 7, 0);
	control(f, 9, 0x0501);
	assert_int_equal(control(f, 10, 0), 0);
	assert_int_equal(get32(f->reply + 12), 0);
	assert_int_equal(get16(f->reply + 16), 3); /* sub-channels */
	assert_int_equal(get32(f->reply + 20), 1); /* multi-channel */
	assert_int_equal(get32(f->reply + 24), 1u << 20);
	assert_int_equal(get32(f->reply + 28), 0);
}

/* Bit 0 of the flags meant "removable" then. */
static void test_properties_before_5_1(void **state)
{
	struct fixture *f = *state;

	control_of(f, 7, 0, 48);
	control_of(f, 9, 0x0402, 48);
	assert_int_equal(control_of(f, 10, 0, 48), 0);
	assert_int_equal(get16(f->reply + 12), 0x0402);
	assert_int_equal(get16(f->reply + 14), 0); /* path, target */
	assert_int_equal(get32(f->reply + 16), 0);
	assert_int_equal(get32(f->reply + 20), 0);
	assert_int_equal(get32(f->reply + 24), 1u << 20);
}

static void test_properties_without_sub_channels(void **state)
{
	const struct vmb_host_storage_config config = { .max_transfer_len = 0x80000 };
	struct fixture *f = *state;

	start_with(f, &config);
	control(f, 7, 0);
	control(f, 9, 0x0602);
	control(f, 10, 0);
	assert_int_equal(get16(f->reply + 16), 0);
	assert_int_equal(get32(f->reply + 20), 0);
	assert_int_equal(get32(f->reply + 24), 0x80000);
	assert_int_equal(control(f, 13, 1), 0xC000000D);
}

static void test_sub_channels_are_recorded_once(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	assert_int_equal(control(f, 13, 4), 0xC000000D);
	assert_int_equal(f->s.sub_channel_wanted, 0);
	assert_int_equal(control(f, 13, 2), 0);
	assert_int_equal(f->s.sub_channel_wanted, 2);
	assert_int_equal(control(f, 13, 1), READY_STATUS);
	assert_int_equal(f->s.sub_channel_wanted, 2);
	vmb_host_storage_reset(&f->s);
	handshake(f, 0x0402); /* too old for it */
	assert_int_equal(control(f, 13, 2), 0xC000000D);
	assert_int_equal(f->s.sub_channel_wanted, 0);
}

/* docs/protocol/storage.md, "4 Initialisation": CREATE_SUB_CHANNELS on the primary only. */
static void test_handshake_is_refused_on_a_sub_channel(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(control(f, 7, 0), 0);
	assert_int_equal(control(f, 9, 0x602), 0);
	assert_int_equal(control(f, 10, 0), 0);
	f->packet.sub_channel = true;
	assert_int_equal(control(f, 13, 2), 0xC0000184);
	assert_int_equal(control(f, 8, 0), 0xC0000184);
	assert_int_equal(f->s.state, VMB_HOST_STORAGE_PROPERTIED);
	assert_int_equal(f->s.sub_channel_wanted, 0);
	f->packet.sub_channel = false;
	assert_int_equal(control(f, 8, 0), 0);
	f->packet.sub_channel = true;
	assert_int_equal(control(f, 6, 0), 0); /* RESET_BUS */
	assert_int_equal(f->disk.reset_count, 2); /* the fixture's own is the first */
}

static void test_reply_is_as_long_as_the_request(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	for (len = 0; len <= sizeof(f->bytes); len++) {
		vmb_host_storage_reset(&f->s);
		memset(f->bytes, 0, sizeof(f->bytes));
		put32(f->bytes, 7);
		send(f, len);
		if (len < 48 || len > 80) {
			assert_int_equal(f->step, VMB_EPROTO);
			continue;
		}
		assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
		assert_int_equal(f->io.reply_len, len > 64 ? 64 : len);
	}
}

/* What the guest sent is not sent back, nor what an earlier request left. */
static void test_reply_is_zero_where_it_says_nothing(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zeros[64];

	memset(f->bytes, 0xA5, sizeof(f->bytes));
	put32(f->bytes, 7);
	send(f, 64);
	assert_int_equal(get32(f->reply), 1);
	assert_memory_equal(f->reply + 4, zeros, 60);
}

static void test_broken_packets_break_the_channel(void **state)
{
	static const uint32_t operations[] = { 0, 1, 2, 11, 14, 15, 0x80000003, 0xFFFFFFFF };
	struct fixture *f = *state;
	size_t i;

	handshake(f, 0x0602);
	for (i = 0; i < VMB_ARRAY_COUNT(operations); i++) {
		memset(f->bytes, 0, sizeof(f->bytes));
		put32(f->bytes, operations[i]);
		send(f, 64);
		assert_int_equal(f->step, VMB_EPROTO);
	}
	assert_int_equal(f->s.counters.broken, VMB_ARRAY_COUNT(operations));
}

static void test_other_packet_types_break_the_channel(void **state)
{
	struct fixture *f = *state;
	uint16_t type;

	handshake(f, 0x0602);
	SRB(f, 0, 2, 0, 0x00, 0, 0, 0, 0, 0);
	send(f, 64);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	for (type = 0; type < 32; type++) {
		if (type == 6 || type == 9)
			continue;
		f->packet.type = type;
		assert_int_equal(vmb_host_storage_input(&f->s, &f->io, &f->packet), VMB_EPROTO);
	}
	f->packet.type = 6;
	f->packet.flags = 0; /* nobody waits for an answer */
	assert_int_equal(vmb_host_storage_input(&f->s, &f->io, &f->packet), VMB_EPROTO);
	f->packet.flags = 1;
	put32(f->bytes, 6); /* a reset that brings memory along */
	f->packet.type = 9;
	assert_int_equal(vmb_host_storage_input(&f->s, &f->io, &f->packet), VMB_EPROTO);
}

static void test_srb_completion_is_as_documented(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zeros[36];

	handshake(f, 0x0602);
	SRB(f, 5, 1, 96, 0x12, 0, 0, 0, 96, 0);
	send_direct(f, 64, 96, 0, 1);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(f->io.task.data_len, 96);
	assert_int_equal(get32(f->reply), 1);
	assert_int_equal(get32(f->reply + 4), 0);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(get16(f->reply + 12), 0x34);
	assert_int_equal(f->reply[14], 0x01);
	assert_int_equal(f->reply[15], 0x00);
	assert_int_equal(f->reply[12 + 7], 5);
	assert_int_equal(f->reply[12 + 8], 0x10);
	assert_int_equal(f->reply[12 + 9], 0);
	assert_int_equal(get32(f->reply + 12 + 12), 96);
	assert_memory_equal(f->reply + 28, zeros, 36); /* no CDB, no rest of it */
	assert_int_equal(f->s.counters.requests, 1);
}

static void test_srb_of_old_versions_is_short(void **state)
{
	struct fixture *f = *state;

	control_of(f, 7, 0, 48);
	control_of(f, 9, 0x0200, 48);
	control_of(f, 10, 0, 48);
	control_of(f, 8, 0, 48);
	SRB(f, 0, 1, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	send_direct(f, 48, 8, 100, 1);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(f->io.reply_len, 48);
	assert_int_equal(get16(f->reply + 12), 0x24);
	assert_int_equal(get32(f->reply + 24), 8);
}

static void test_sense_fits_the_room_offered(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zeros[20];
	uint32_t room;

	handshake(f, 0x0602);
	for (room = 0; room < 256; room++) {
		SRB(f, 0, 2, 0, 0xFF, 0, 0, 0, 0, 0);
		f->bytes[12 + 9] = (uint8_t)room;
		send(f, 64);
		assert_int_equal(get32(f->reply + 8), 0xC0000185);
		assert_int_equal(f->reply[15], 0x02);
		assert_int_equal(f->reply[12 + 9], room < 18 ? room : 18);
		assert_int_equal(f->reply[14], room ? 0x86 : 0x06);
		assert_int_equal(f->reply[28], room ? 0x70 : 0);
		if (room < 18)
			assert_memory_equal(f->reply + 28 + room, zeros, 20 - room);
	}
}

static void test_autosense_can_be_disabled(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 2, 0, 0xFF, 0, 0, 0, 0, 0);
	put32(f->bytes + 12 + 40, 0x20);
	send(f, 64);
	assert_int_equal(f->reply[14], 0x06);
	assert_int_equal(f->reply[15], 0x02);
	assert_int_equal(f->reply[21], 0);
	assert_int_equal(f->reply[28], 0);
	send(f, 48); /* the flag is beyond this packet's end */
	assert_int_equal(f->reply[14], 0x86);
	vmb_host_storage_reset(&f->s);
	handshake(f, 0x0402); /* and was not there yet */
	SRB(f, 0, 2, 0, 0xFF, 0, 0, 0, 0, 0);
	put32(f->bytes + 12 + 40, 0x20);
	send(f, 64);
	assert_int_equal(f->reply[14], 0x86);
}

static void test_read_goes_to_the_backend_and_back(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 1, 8192, 0x28, 0, 0, 0, 0, 8, 0, 0, 16, 0);
	send_direct(f, 64, 8192, 512, 3);
	assert_int_equal(f->step, VMB_HOST_STORAGE_DO);
	assert_int_equal(f->io.task.op, VMB_HOST_SCSI_READ);
	assert_int_equal(f->io.task.offset, 4096);
	assert_int_equal(f->io.task.len, 8192);
	assert_ptr_equal(f->io.task.unit, &f->disk);
	done(f, VMB_HOST_SCSI_OK);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(f->reply[14], 0x01);
	assert_int_equal(get32(f->reply + 24), 8192);
	assert_int_equal(f->io.task.data_len, 0);
}

/* SRB status, NT status, sense of each thing that a backend can say. */
static void test_backend_errors_become_statuses(void **state)
{
	static const struct {
		enum vmb_host_scsi_error error;
		uint32_t status;
		uint8_t srb, scsi, key, asc;
	} cases[] = {
		{ VMB_HOST_SCSI_OK, 0, 0x01, 0, 0, 0 },
		{ VMB_HOST_SCSI_IO_ERROR, 0xC0000185, 0x84, 2, 3, 0x11 },
		{ VMB_HOST_SCSI_NO_SPACE, 0xC0000185, 0x84, 2, 7, 0x27 },
		{ VMB_HOST_SCSI_GONE, 0xC0000185, 0x84, 2, 2, 0x04 },
		{ VMB_HOST_SCSI_ABORTED, 0xC0000120, 0x02, 0, 0, 0 },
	};
	struct fixture *f = *state;
	size_t i;

	handshake(f, 0x0602);
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		SRB(f, 0, 1, 512, 0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0);
		send_direct(f, 64, 512, 0, 1);
		done(f, cases[i].error);
		assert_int_equal(get32(f->reply + 8), cases[i].status);
		assert_int_equal(f->reply[14], cases[i].srb);
		assert_int_equal(f->reply[15], cases[i].scsi);
		assert_int_equal(f->reply[28 + 2], cases[i].key);
		assert_int_equal(f->reply[28 + 12], cases[i].asc);
	}
}

static void test_parameter_list_is_fetched(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 0, 24, 0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0);
	send_direct(f, 64, 24, 4090, 2);
	assert_int_equal(f->step, VMB_HOST_STORAGE_WANT_DATA);
	assert_int_equal(f->io.task.want_len, 24);
	memset(f->io.task.data, 0, 24);
	f->io.task.data[15] = 9;
	f->step = vmb_host_storage_data(&f->s, &f->io);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	memcpy(f->reply, &f->io.reply, 64);
	assert_int_equal(f->reply[14], 0x01);
	assert_int_equal(get32(f->reply + 24), 24);
	assert_int_equal(f->io.task.data_len, 0); /* nothing goes back */
	assert_true(f->disk.registered);
}

static void test_short_buffer_is_buffer_overflow(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 1, 4, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	send_direct(f, 64, 4, 0, 1);
	assert_int_equal(get32(f->reply + 8), 0x80000005);
	assert_int_equal(f->reply[14], 0x12);
	assert_int_equal(get32(f->reply + 24), 4);
}

static void test_absent_lun_does_not_exist(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 1, 2, 0, 0x00, 0, 0, 0, 0, 0);
	send(f, 64);
	assert_int_equal(get32(f->reply + 8), 0xC00000C0);
	assert_int_equal(f->reply[14], 0x20);
	assert_int_equal(f->reply[21], 0);
	SRB(f, 0, 2, 0, 0x00, 0, 0, 0, 0, 0);
	f->bytes[12 + 5] = 1; /* another path: guests scan them all, a disk is there once */
	send(f, 64);
	assert_int_equal(f->reply[14], 0x20);
	assert_int_equal(f->reply[12 + 5], 1);
}

static void test_bad_memory_is_refused_unseen(void **state)
{
	static const struct {
		uint32_t transfer_len, byte_count, offset, pfn_count, range_count;
		bool good;
	} cases[] = {
		{ 4096, 4096, 0, 1, 1, true },
		{ 4096, 8192, 0, 2, 1, true },
		{ 4096, 4096, 1, 2, 1, true },
		{ 4096, 4096, 4095, 2, 1, true },
		{ 4096, 4096, 0, 0, 1, false }, /* a page is missing, or not RAM */
		{ 4096, 4096, 1, 1, 1, false },
		{ 4096, 4095, 0, 1, 1, false }, /* less than the transfer */
		{ 4096, 4096, 4096, 2, 1, false }, /* not in the first page */
		{ 4096, 4096, 0xFFFFFFFF, 0, 1, false },
		{ 4096, 0xFFFFFFFF, 1, 0, 1, false }, /* offset + count overflows */
		{ 4096, 4096, 0, 1, 0, false },
		{ 4096, 4096, 0, 1, 2, false },
		{ 1u << 20, 1u << 20, 0, 256, 1, true },
		{ 1u << 20, (1u << 20) + 1, 0, 257, 1, false }, /* more than was announced */
		{ 0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, 1, false },
	};
	struct fixture *f = *state;
	size_t i;

	handshake(f, 0x0602);
	for (i = 0; i < VMB_ARRAY_COUNT(cases); i++) {
		SRB(f, 0, 1, cases[i].transfer_len, 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0);
		send_direct(f, 64, cases[i].byte_count, cases[i].offset, cases[i].pfn_count);
		f->packet.range_count = cases[i].range_count;
		f->step = vmb_host_storage_input(&f->s, &f->io, &f->packet);
		if (cases[i].good) {
			assert_int_equal(f->step, VMB_HOST_STORAGE_DO);
			continue;
		}
		assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
		assert_int_equal(f->io.task.data_len, 0);
		assert_int_equal(f->io.reply.u.srb.srb_status, 0x06);
		assert_int_equal(f->io.reply.status, 0xC0000185);
		assert_int_equal(f->io.reply.u.srb.data_transfer_len, 0);
	}
}

static void test_data_without_memory_is_refused(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 1, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	send(f, 64);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(f->reply[14], 0x06);
	SRB(f, 0, 1, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* the flush of 2009: "read", no data */
	send(f, 64);
	assert_int_equal(f->step, VMB_HOST_STORAGE_DO);
	assert_int_equal(f->io.task.op, VMB_HOST_SCSI_FLUSH);
}

static void test_direction_conflict_touches_nothing(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	SRB(f, 0, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	send_direct(f, 64, 512, 0, 1);
	assert_int_equal(f->step, VMB_HOST_STORAGE_REPLY);
	assert_int_equal(f->io.task.data_len, 0);
	assert_int_equal(f->reply[14] & 0x3F, 0x06);
	assert_int_equal(get32(f->reply + 24), 0);
}

static void test_resets_succeed_and_are_told(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	assert_int_equal(control(f, 6, 0), 0);
	assert_int_equal(f->disk.attention, VMB_HOST_SCSI_BUS_RESET);
	assert_int_equal(f->second.attention, VMB_HOST_SCSI_BUS_RESET);
	f->disk.attention = 0;
	f->second.attention = 0;
	assert_int_equal(control(f, 5, 0), 0);
	assert_int_equal(f->second.attention, VMB_HOST_SCSI_BUS_RESET);
	f->disk.attention = 0;
	f->second.attention = 0;
	memset(f->bytes, 0, sizeof(f->bytes));
	put32(f->bytes, 4);
	f->bytes[12 + 7] = 5;
	send(f, 64);
	assert_int_equal(get32(f->reply + 8), 0);
	assert_int_equal(f->disk.attention, 0);
	assert_int_equal(f->second.attention, VMB_HOST_SCSI_BUS_RESET);
	f->bytes[12 + 7] = 200; /* nobody */
	send(f, 64);
	assert_int_equal(get32(f->reply + 8), 0);
}

static bool see_event(struct fixture *f, uint32_t *len)
{
	memset(f->reply, 0xEE, sizeof(f->reply));
	return vmb_host_storage_event(&f->s, (struct vmb_stor_packet *)f->reply, len);
}

static bool take_event(struct fixture *f, uint32_t *len)
{
	bool found = see_event(f, len);

	vmb_host_storage_event_done(&f->s);
	return found;
}

/* The ring may be full; the event then waits until there is room, however often it is looked at. */
static void test_event_waits_until_it_was_sent(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0, round;

	handshake(f, 0x0602);
	vmb_host_storage_event_done(&f->s); /* of nothing */
	vmb_host_storage_detach(&f->s, 5);
	for (round = 0; round < 3; round++) {
		assert_true(see_event(f, &len));
		assert_int_equal(len, 64);
		assert_int_equal(get32(f->reply), 11);
	}
	vmb_host_storage_event_done(&f->s);
	assert_false(see_event(f, &len));
	vmb_host_storage_attach(&f->s, 5, &f->second); /* and the next one is another one */
	assert_true(see_event(f, &len));
	vmb_host_storage_reset(&f->s);
	assert_false(see_event(f, &len));
}

static void test_event_is_sent_once_and_only_when_ready(void **state)
{
	static const uint8_t zeros[60];
	struct fixture *f = *state;
	uint32_t len = 0;

	vmb_host_storage_attach(&f->s, 7, &f->second);
	assert_false(take_event(f, &len));
	control(f, 7, 0);
	control(f, 9, 0x0602);
	control(f, 10, 0);
	vmb_host_storage_resized(&f->s, 0);
	assert_false(take_event(f, &len));
	control(f, 8, 0);
	assert_false(take_event(f, &len));
	assert_int_equal(f->disk.attention, 0);
	vmb_host_storage_detach(&f->s, 7);
	assert_null(f->s.bus.luns[7]);
	assert_true(take_event(f, &len));
	assert_int_equal(len, 64);
	assert_int_equal(get32(f->reply), 11);
	assert_memory_equal(f->reply + 4, zeros, 60);
	assert_false(take_event(f, &len));
}

static void test_event_needs_4_2_and_has_its_length(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0;

	handshake(f, 0x0200);
	vmb_host_storage_detach(&f->s, 5);
	assert_false(take_event(f, &len));
	vmb_host_storage_reset(&f->s);
	handshake(f, 0x0402);
	vmb_host_storage_attach(&f->s, 5, &f->second);
	assert_true(take_event(f, &len));
	assert_int_equal(len, 48);
	vmb_host_storage_detach(&f->s, 5);
	vmb_host_storage_reset(&f->s); /* a new connection knows nothing of it */
	assert_false(take_event(f, &len));
}

static void test_change_is_told_to_the_units(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0;

	handshake(f, 0x0602);
	f->disk.block_count = 2000;
	vmb_host_storage_resized(&f->s, 0);
	assert_true(take_event(f, &len));
	SRB(f, 0, 2, 0, 0x00, 0, 0, 0, 0, 0);
	send(f, 64);
	assert_int_equal(f->reply[14], 0x84);
	assert_int_equal(f->reply[28 + 2], 6);
	assert_int_equal(f->reply[28 + 12], 0x2A);
	assert_int_equal(f->reply[28 + 13], 0x09);
	assert_int_equal(f->second.attention, 0);
	vmb_host_storage_detach(&f->s, 0);
	assert_int_equal(f->second.attention, VMB_HOST_SCSI_LUNS_CHANGED);
	vmb_host_storage_resized(&f->s, 0); /* of nobody */
	vmb_host_storage_attach(&f->s, 0, &f->disk);
	assert_int_equal(f->disk.attention, 0); /* the newcomer has nothing to tell */
}

static void test_new_connection_keeps_the_units(void **state)
{
	struct fixture *f = *state;

	handshake(f, 0x0602);
	f->disk.registered = true;
	f->disk.reservation_key = 5;
	f->disk.removal_prevented = true;
	control(f, 6, 0);
	vmb_host_storage_reset(&f->s);
	assert_int_equal(f->s.state, VMB_HOST_STORAGE_BEGIN);
	assert_ptr_equal(f->s.bus.luns[0], &f->disk);
	assert_true(f->disk.registered);
	assert_false(f->disk.removal_prevented);
	assert_int_equal(f->disk.attention, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bad_configuration_is_refused, start),
		cmocka_unit_test_setup(test_handshake_with_every_version, start),
		cmocka_unit_test_setup(test_what_was_agreed_stands_in_the_completion, start),
		cmocka_unit_test_setup(test_every_other_version_is_a_mismatch, start),
		cmocka_unit_test_setup(test_versions_above_the_limit_are_a_mismatch, start),
		cmocka_unit_test_setup(test_operation_in_each_state, start),
		cmocka_unit_test_setup(test_srb_before_ready_is_refused, start),
		cmocka_unit_test_setup(test_fibre_channel_is_refused, start),
		cmocka_unit_test_setup(test_properties_from_5_1_on, start),
		cmocka_unit_test_setup(test_properties_before_5_1, start),
		cmocka_unit_test_setup(test_properties_without_sub_channels, start),
		cmocka_unit_test_setup(test_sub_channels_are_recorded_once, start),
		cmocka_unit_test_setup(test_handshake_is_refused_on_a_sub_channel, start),
		cmocka_unit_test_setup(test_reply_is_as_long_as_the_request, start),
		cmocka_unit_test_setup(test_reply_is_zero_where_it_says_nothing, start),
		cmocka_unit_test_setup(test_broken_packets_break_the_channel, start),
		cmocka_unit_test_setup(test_other_packet_types_break_the_channel, start),
		cmocka_unit_test_setup(test_srb_completion_is_as_documented, start),
		cmocka_unit_test_setup(test_srb_of_old_versions_is_short, start),
		cmocka_unit_test_setup(test_sense_fits_the_room_offered, start),
		cmocka_unit_test_setup(test_autosense_can_be_disabled, start),
		cmocka_unit_test_setup(test_read_goes_to_the_backend_and_back, start),
		cmocka_unit_test_setup(test_backend_errors_become_statuses, start),
		cmocka_unit_test_setup(test_parameter_list_is_fetched, start),
		cmocka_unit_test_setup(test_short_buffer_is_buffer_overflow, start),
		cmocka_unit_test_setup(test_absent_lun_does_not_exist, start),
		cmocka_unit_test_setup(test_bad_memory_is_refused_unseen, start),
		cmocka_unit_test_setup(test_data_without_memory_is_refused, start),
		cmocka_unit_test_setup(test_direction_conflict_touches_nothing, start),
		cmocka_unit_test_setup(test_resets_succeed_and_are_told, start),
		cmocka_unit_test_setup(test_event_waits_until_it_was_sent, start),
		cmocka_unit_test_setup(test_event_is_sent_once_and_only_when_ready, start),
		cmocka_unit_test_setup(test_event_needs_4_2_and_has_its_length, start),
		cmocka_unit_test_setup(test_change_is_told_to_the_units, start),
		cmocka_unit_test_setup(test_new_connection_keeps_the_units, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
