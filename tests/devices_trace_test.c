// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Recordings of whole sessions, compared with what is known of these; their bounds; and a reader
 * that is given anything.
 * `devices_trace_test --record FILE` records the sessions for other tests, --record-machine that of a
 * machine with its options.
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/channel.h"
#include "devices/trace_read.h"
#include "tests/loopback_bed.h"
#include "tests/trace_bed.h"
#include "wire/network.h"
#include "wire/rndis.h"

/* The next record of that kind and direction. */
static struct vmb_dev_trace_record find(enum vmb_dev_trace_kind kind,
					enum vmb_dev_trace_direction direction)
{
	struct vmb_dev_trace_record r;

	do
		assert_int_equal(vmb_dev_trace_read(&reader, &r), 1);
	while (r.header.kind != kind || r.header.direction != direction);
	return r;
}

static struct vmb_dev_trace_record find_message(enum vmb_dev_trace_direction direction,
						uint32_t type)
{
	struct vmb_dev_trace_record r;
	struct vmb_msg_header header;

	do {
		r = find(VMB_DEV_TRACE_MESSAGE, direction);
		assert_true(r.len >= sizeof(header));
		memcpy(&header, r.bytes, sizeof(header));
	} while (header.type != type);
	return r;
}

static void expect_end(void)
{
	struct vmb_dev_trace_record r;
	uint32_t number = reader.number;

	while (vmb_dev_trace_read(&reader, &r) == 1)
		assert_int_equal(r.number, ++number);
	assert_null(reader.why);
}

static void test_messages_are_recorded_in_their_order(void **state)
{
	struct vmb_dev_trace_record r;
	struct vmb_msg_offer offer;

	record(trace_session_storage, 0);
	r = find(VMB_DEV_TRACE_CONTROL, 0);
	assert_int_equal(r.number, 1);
	assert_int_equal(r.header.detail, VMB_DEV_TRACE_ATTACHED);
	r = find(VMB_DEV_TRACE_MESSAGE, VMB_DEV_TRACE_TO_HOST);
	assert_int_equal(r.len, VMB_MSG_INITIATE_CONTACT_LEN);
	assert_int_equal(r.header.id, VMB_CONNECTION_MESSAGE_MULTICLIENT);
	assert_int_equal(r.header.detail, VMB_HV_SUCCESS);
	r = find_message(VMB_DEV_TRACE_TO_GUEST, VMB_MSG_VERSION_RESPONSE);
	assert_int_equal(r.len, VMB_MSG_VERSION_RESPONSE_LEN_6_0);
	assert_int_equal(r.header.vp, 0);
	r = find_message(VMB_DEV_TRACE_TO_GUEST, VMB_MSG_OFFER);
	memcpy(&offer, r.bytes, sizeof(offer));
	assert_memory_equal(&offer.type_id, &(struct vmb_guid)VMB_GUID_SCSI,
			    sizeof(struct vmb_guid));
	find_message(VMB_DEV_TRACE_TO_HOST, VMB_MSG_OPEN);
	r = find(VMB_DEV_TRACE_CONTROL, 0);
	assert_int_equal(r.header.detail, VMB_DEV_TRACE_OPENED);
	assert_int_equal(r.header.id, offer.relid);
	assert_int_equal(r.len, sizeof(struct vmb_dev_trace_channel));
	find_message(VMB_DEV_TRACE_TO_GUEST, VMB_MSG_OPEN_RESULT);
	find_message(VMB_DEV_TRACE_TO_HOST, VMB_MSG_CLOSE);
	find_message(VMB_DEV_TRACE_TO_GUEST, VMB_MSG_UNLOAD_COMPLETE);
	expect_end();
}

/* What a packet is: its descriptor and payload. */
static struct vmb_stor_packet storage_packet(const struct vmb_dev_trace_record *r,
					     struct vmb_pkt_desc *desc)
{
	struct vmb_stor_packet packet;

	assert_true(r->len >= sizeof(*desc));
	memcpy(desc, r->bytes, sizeof(*desc));
	assert_int_equal(r->len, desc->len8 * 8);
	assert_true(r->len >= desc->offset8 * 8 + sizeof(packet));
	memcpy(&packet, r->bytes + desc->offset8 * 8, sizeof(packet));
	return packet;
}

static struct vmb_stor_packet find_scsi(uint8_t opcode, struct vmb_pkt_desc *desc)
{
	struct vmb_stor_packet packet;
	struct vmb_dev_trace_record r;

	do {
		r = find(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_HOST);
		packet = storage_packet(&r, desc);
	} while (packet.operation != VMB_STOR_EXECUTE_SRB || packet.u.srb.u.cdb[0] != opcode);
	return packet;
}

/* The data of the request desc, in pieces of at most a record. */
static void expect_data(enum vmb_dev_trace_direction direction, const struct vmb_pkt_desc *desc,
			uint32_t len, const uint8_t *same)
{
	struct vmb_dev_trace_data data;
	struct vmb_dev_trace_record r;
	uint32_t at;

	for (at = 0; at < len; at += r.len - sizeof(data)) {
		r = find(VMB_DEV_TRACE_DATA, direction);
		assert_true(r.len > sizeof(data));
		memcpy(&data, r.bytes, sizeof(data));
		assert_true(data.transaction_id == desc->transaction_id);
		assert_int_equal(data.place, VMB_DEV_TRACE_PAGES);
		assert_int_equal(data.offset, at);
		assert_true(r.len + sizeof(r.header) <= VMB_DEV_TRACE_RECORD_LEN_MAX);
		if (same)
			assert_memory_equal(r.bytes + sizeof(data), same + at,
					    r.len - sizeof(data));
	}
	assert_int_equal(at, len);
}

static void test_packets_and_their_memory_are_recorded(void **state)
{
	struct vmb_stor_packet packet;
	struct vmb_dev_trace_record r;
	struct vmb_pkt_desc asked, answered;
	uint8_t written[TRACE_SESSION_LEN];

	record(trace_session_storage, VMB_DEV_TRACE_SNAP_FULL);
	packet = find_scsi(LOOP_WRITE, &asked);
	assert_int_equal(packet.u.srb.data_transfer_len, TRACE_SESSION_LEN);
	assert_int_equal(asked.type, VMB_PKT_GPA_DIRECT);
	r = find(VMB_DEV_TRACE_DATA, VMB_DEV_TRACE_TO_HOST);
	assert_int_equal(r.len, sizeof(struct vmb_dev_trace_data) + TRACE_SESSION_LEN);
	memcpy(written, r.bytes + sizeof(struct vmb_dev_trace_data), sizeof(written));
	r = find(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_GUEST);
	packet = storage_packet(&r, &answered);
	assert_true(answered.transaction_id == asked.transaction_id);
	assert_int_equal(answered.type, VMB_PKT_COMPLETION);
	assert_int_equal(packet.u.srb.srb_status, VMB_SRB_SUCCESS);
	find_scsi(LOOP_READ, &asked);
	expect_data(VMB_DEV_TRACE_TO_GUEST, &asked, TRACE_SESSION_LEN, written);
	expect_end();
}

static void test_snap_length_cuts_memory_and_says_how_long_it_was(void **state)
{
	struct vmb_dev_trace_record r;

	record(trace_session_storage, 100);
	do
		r = find(VMB_DEV_TRACE_DATA, VMB_DEV_TRACE_TO_HOST);
	while (r.original_len < TRACE_SESSION_LEN);
	assert_int_equal(r.len, sizeof(struct vmb_dev_trace_data) + 100);
	assert_int_equal(r.original_len, sizeof(struct vmb_dev_trace_data) + TRACE_SESSION_LEN);
	expect_end();
}

static void test_memory_longer_than_a_record_comes_in_pieces(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_pkt_desc desc;

	start((struct vmb_dev_trace_config){ .snap = VMB_DEV_TRACE_SNAP_FULL });
	vmb_dev_trace_attach(&trace, b->l.machine.bus);
	loop_verify(b, loop_open(b), 0, 300000 / 512 * 512);
	vmb_dev_trace_detach(b->l.machine.bus);
	load();
	find_scsi(LOOP_WRITE, &desc);
	expect_data(VMB_DEV_TRACE_TO_HOST, &desc, 300000 / 512 * 512, NULL);
	find_scsi(LOOP_READ, &desc);
	expect_data(VMB_DEV_TRACE_TO_GUEST, &desc, 300000 / 512 * 512, loop_medium(b));
	expect_end();
	loop_free(b);
}

static void test_signals_are_recorded_both_ways(void **state)
{
	struct vmb_dev_trace_record r;

	record(trace_session_storage, 0);
	find_message(VMB_DEV_TRACE_TO_GUEST, VMB_MSG_OPEN_RESULT);
	r = find(VMB_DEV_TRACE_SIGNAL, VMB_DEV_TRACE_TO_HOST);
	assert_int_equal(r.len, 0);
	assert_int_equal(r.header.vp, VMB_DEV_TRACE_VP_UNKNOWN);
	assert_true(r.header.detail != 0);
	r = find(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_HOST);
	assert_int_equal(r.header.detail, 0); /* the first of its ring */
	r = find(VMB_DEV_TRACE_PACKET, VMB_DEV_TRACE_TO_GUEST);
	r = find(VMB_DEV_TRACE_SIGNAL, VMB_DEV_TRACE_TO_GUEST);
	assert_int_equal(r.header.vp, 0);
	expect_end();
}

/* The first data of this place; its RNDIS message's type. */
static uint32_t find_rndis(enum vmb_dev_trace_direction direction, uint32_t place)
{
	struct vmb_dev_trace_data data;
	struct vmb_dev_trace_record r;
	struct rndis_header header;

	do {
		r = find(VMB_DEV_TRACE_DATA, direction);
		assert_true(r.len >= sizeof(data) + sizeof(header));
		memcpy(&data, r.bytes, sizeof(data));
	} while (data.place != place);
	memcpy(&header, r.bytes + sizeof(data), sizeof(header));
	assert_true(header.len <= r.original_len - sizeof(data));
	return header.type;
}

static void test_rndis_in_buffers_and_pages_is_recorded(void **state)
{
	record(trace_session_network, 256);
	assert_int_equal(find_rndis(VMB_DEV_TRACE_TO_HOST, VMB_DEV_TRACE_PAGES), RNDIS_INITIALIZE);
	assert_int_equal(find_rndis(VMB_DEV_TRACE_TO_GUEST, VMB_DEV_TRACE_RECEIVE_BUFFER),
			 (uint32_t)(RNDIS_INITIALIZE | RNDIS_COMPLETION));
	assert_int_equal(find_rndis(VMB_DEV_TRACE_TO_HOST, VMB_DEV_TRACE_SEND_BUFFER),
			 RNDIS_PACKET);
	assert_int_equal(find_rndis(VMB_DEV_TRACE_TO_GUEST, VMB_DEV_TRACE_RECEIVE_BUFFER),
			 RNDIS_PACKET);
	expect_end();
}

/* Also those whose payload does not end on a multiple of 8. */
static void test_packets_are_whole(void **state)
{
	struct vmb_dev_trace_record r;
	struct vmb_pkt_desc desc;
	uint32_t count[2] = { 0 };

	record(trace_session_network, 0);
	while (vmb_dev_trace_read(&reader, &r) == 1) {
		if (r.header.kind != VMB_DEV_TRACE_PACKET)
			continue;
		assert_true(r.len >= sizeof(desc));
		memcpy(&desc, r.bytes, sizeof(desc));
		assert_int_equal(r.len, desc.len8 * 8);
		assert_int_equal(r.original_len, r.len);
		count[r.header.direction]++;
	}
	assert_true(count[0] > 10 && count[1] > 10);
}

/* A recording may begin when everything is open already: it says what is. */
static void test_late_recording_begins_with_what_is_open(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct vmb_user_device *d = loop_open(b);
	struct vmb_dev_trace_channel channel;
	struct vmb_dev_trace_bus bus;
	struct vmb_dev_trace_record r;

	for (int round = 0; round < 2; round++) {
		start((struct vmb_dev_trace_config){ .snap = 0 });
		vmb_dev_trace_attach(&trace, b->l.machine.bus);
		loop_verify(b, d, 7, 512);
		vmb_dev_trace_detach(b->l.machine.bus);
		loop_verify(b, d, 7, 512);
		load();
		r = find(VMB_DEV_TRACE_CONTROL, 0);
		assert_int_equal(r.len, sizeof(bus));
		memcpy(&bus, r.bytes, sizeof(bus));
		assert_int_equal(bus.version, VMB_VERSION_NEWEST);
		r = find(VMB_DEV_TRACE_CONTROL, 0);
		assert_int_equal(r.header.detail, VMB_DEV_TRACE_OPENED);
		memcpy(&channel, r.bytes, sizeof(channel));
		assert_memory_equal(&channel.type_id, &(struct vmb_guid)VMB_GUID_SCSI, 16);
		assert_int_equal(channel.page_count, d->page_count);
		r = find(VMB_DEV_TRACE_CONTROL, 0);
		assert_int_equal(r.header.detail, VMB_DEV_TRACE_DETACHED);
		assert_int_equal(vmb_dev_trace_read(&reader, &r), 0);
	}
	loop_free(b);
}

static void test_file_has_a_bound_and_ends_with_a_whole_record(void **state)
{
	start((struct vmb_dev_trace_config){ .snap = 0, .len_max = 3000 });
	trace_session_storage(&trace);
	load();
	assert_in_range(file.len, 2700, 3000);
	expect_end();
	assert_true(reader.number > 10);
}

/* A record that is longer than the whole buffer stands for a file system that is too slow. */
static void test_lost_records_are_counted_in_the_file(void **state)
{
	struct vmb_dev_trace_record r;
	uint64_t lost;

	start((struct vmb_dev_trace_config){ .snap = VMB_DEV_TRACE_SNAP_FULL,
					     .buffer_len = TRACE_SESSION_LEN });
	trace_session_storage(&trace);
	load();
	do
		r = find(VMB_DEV_TRACE_CONTROL, 0);
	while (r.header.detail != VMB_DEV_TRACE_LOST);
	memcpy(&lost, r.bytes, sizeof(lost));
	assert_true(lost >= 1);
	expect_end();
}

/* A full disk, played by a limit on the file. */
static void test_full_disk_ends_the_file_with_a_whole_record(void **state)
{
	const struct rlimit small = { 3000, RLIM_INFINITY };
	struct loop *b = loop_new((struct vmb_user_loopback_config){ 0 });
	struct rlimit before;

	start((struct vmb_dev_trace_config){ .snap = 0 });
	vmb_dev_trace_attach(&trace, b->l.machine.bus);
	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	loop_expect_whole_life(b);
	vmb_dev_trace_stop(&trace);
	setrlimit(RLIMIT_FSIZE, &before);
	loop_free(b);
	load();
	assert_in_range(file.len, 1, 3000);
	expect_end();
}

static void test_only_recordings_and_captures_are_overwritten(void **state)
{
	struct vmb_dev_trace_config config = { .path = path };
	FILE *other = fopen(path, "w");

	fputs("not ours, and long", other);
	fclose(other);
	assert_int_equal(vmb_dev_trace_check(&config), -EINVAL);
	config.path = "/nowhere/x";
	assert_int_equal(vmb_dev_trace_check(&config), -EINVAL);
}

/* Every cut and every changed byte is an end or a refusal; under AddressSanitizer. */
static void test_reader_takes_any_bytes(void **state)
{
	struct vmb_dev_trace_record r;
	uint8_t *copy;
	uint64_t len;
	int result;

	start((struct vmb_dev_trace_config){ .snap = 16, .len_max = 4000 });
	trace_session_storage(&trace);
	load();
	for (len = 0; len < file.len; len += 3) {
		copy = malloc(len ? len : 1);
		memcpy(copy, file.bytes, len);
		vmb_dev_trace_reader_init(&reader, copy, len);
		while ((result = vmb_dev_trace_read(&reader, &r)) == 1)
			assert_true(r.bytes + r.len <= copy + len);
		assert_true(!result || result == VMB_EPROTO);
		free(copy);
	}
	for (uint64_t i = 0; i < file.len; i++) {
		file.bytes[i] ^= 0x85;
		vmb_dev_trace_reader_init(&reader, file.bytes, file.len);
		while (vmb_dev_trace_read(&reader, &r) == 1)
			assert_true(r.bytes + r.len <= file.bytes + file.len);
		file.bytes[i] ^= 0x85;
	}
}

/* While one thread records, another one switches the recording on and off. */
static void *switch_often(void *arg)
{
	struct loop *b = arg;
	struct vmb_dev_trace_config config = { .path = path, .snap = 64 };

	for (int round = 0; round < 20; round++) {
		assert_int_equal(vmb_dev_trace_start(&trace, &config), 0);
		vmb_dev_trace_attach(&trace, b->l.machine.bus);
		usleep(500);
		vmb_dev_trace_detach(b->l.machine.bus);
		vmb_dev_trace_stop(&trace);
	}
	return NULL;
}

static void test_recording_is_switched_while_data_flows(void **state)
{
	struct loop *b = loop_new((struct vmb_user_loopback_config){ .threads = true });
	struct vmb_user_device *d = loop_open(b);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, switch_often, b), 0);
	for (int round = 0; round < 100; round++)
		loop_verify(b, d, round, 4096);
	pthread_join(thread, NULL);
	loop_free(b);
	load();
	expect_end();
}

/* For other tests: both sessions, one behind the other, in one file; or that of a machine. */
static int record_for(const char *to, bool machine)
{
	const struct vmb_dev_trace_config config = { .path = to, .snap = VMB_DEV_TRACE_SNAP_FULL };

	vmb_dev_trace_init(&trace);
	if (vmb_dev_trace_check(&config) || vmb_dev_trace_start(&trace, &config))
		return 1;
	if (machine) {
		trace_session_machine(&trace);
	} else {
		trace_session_storage(&trace);
		trace_session_network(&trace);
	}
	vmb_dev_trace_destroy(&trace);
	return 0;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, trace_bed_set_up, trace_bed_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_messages_are_recorded_in_their_order),
		TEST(test_packets_and_their_memory_are_recorded),
		TEST(test_snap_length_cuts_memory_and_says_how_long_it_was),
		TEST(test_memory_longer_than_a_record_comes_in_pieces),
		TEST(test_signals_are_recorded_both_ways),
		TEST(test_rndis_in_buffers_and_pages_is_recorded),
		TEST(test_packets_are_whole),
		TEST(test_late_recording_begins_with_what_is_open),
		TEST(test_file_has_a_bound_and_ends_with_a_whole_record),
		TEST(test_lost_records_are_counted_in_the_file),
		TEST(test_full_disk_ends_the_file_with_a_whole_record),
		TEST(test_only_recordings_and_captures_are_overwritten),
		TEST(test_reader_takes_any_bytes),
		TEST(test_recording_is_switched_while_data_flows),
	};

	if (argc == 3 && strcmp(argv[1], "--record") == 0)
		return record_for(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "--record-machine") == 0)
		return record_for(argv[2], true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
