// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests the SCSI controller of our firmware against a host that answers late, or not at all: the
 * caller's memory must not be the host's any more when its command has timed out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/uefi/storvsc/controller.c"

#define COMPLETE_IO 1u

/* The host: it answers each packet at once, or keeps the last one. */
static struct {
	bool silent, keeps_channel;
	bool answers; /* answer is there */
	struct vmb_stor_packet answer;
	uint64_t id, gpa; /* of the packet, and of its data */
} host;
static struct vmb_uefi_controller controller;
static uint64_t now;

void *CopyMem(void *to, const void *from, UINTN len)
{
	return memmove(to, from, len);
}

uint64_t GetPerformanceCounter(void)
{
	return now += TICKS_S; /* a second a look */
}

static bool channel_open(struct vmb_uefi_channel *ch)
{
	return true;
}

static bool channel_close(struct vmb_uefi_channel *ch)
{
	return !host.keeps_channel;
}

static void *host_memory(void)
{
	return (void *)(uintptr_t)host.gpa;
}

/* REPORT LUNS has one unit, 0; all else reads 0x5A. */
static void carry_out(const struct vmb_stor_packet *p)
{
	uint8_t *to = host_memory();
	uint32_t len = p->u.srb.data_transfer_len;

	host.answer.u.srb.srb_status = VMB_SRB_SUCCESS;
	if (p->u.srb.u.cdb[0] == REPORT_LUNS) {
		host.answer.u.srb.data_transfer_len = LIST_HEAD + LUN_LEN;
		memset(to, 0, LIST_HEAD + LUN_LEN);
	} else if (p->u.srb.data_in == VMB_STOR_READ) {
		memset(to, 0x5A, len);
	}
}

static bool channel_send(struct vmb_uefi_channel *ch, const struct vmb_ring_packet *packet)
{
	const struct vmb_stor_packet *p = packet->payload[0].base;
	const struct vmb_gpa_range *range;

	host.answer = *p;
	host.answer.operation = COMPLETE_IO;
	if (p->operation == VMB_STOR_QUERY_PROPERTIES)
		host.answer.u.properties.max_transfer_bytes = VMB_UEFI_TRANSFER_MAX;
	host.id = packet->transaction_id;
	if (packet->header_count) {
		range = (const void *)((const uint8_t *)packet->header[0].base + 8);
		host.gpa = *(const uint64_t *)packet->header[1].base << VMB_PAGE_SHIFT;
		host.gpa += range->byte_offset;
	}
	if (!host.silent && packet->header_count)
		carry_out(p);
	host.answers = !host.silent;
	return true;
}

static bool channel_receive(struct vmb_uefi_channel *ch, struct vmb_ring_received *received,
			    void *payload, uint32_t room, void *header, uint32_t header_room)
{
	if (!host.answers)
		return false;
	host.answers = false;
	*received = (struct vmb_ring_received){ .type = VMB_PKT_COMPLETION,
						.transaction_id = host.id,
						.payload_len = sizeof(host.answer) };
	memcpy(payload, &host.answer, MIN(room, sizeof(host.answer)));
	return true;
}

static bool channel_lost(struct vmb_uefi_channel *ch)
{
	return false;
}

static struct vmb_uefi_channel channel = {
	.open = channel_open,
	.close = channel_close,
	.send = channel_send,
	.receive = channel_receive,
	.lost = channel_lost,
};

static int set_up(void **state)
{
	memset(&host, 0, sizeof(host));
	memset(&controller, 0, sizeof(controller));
	controller.channel = &channel;
	assert_true(vmb_uefi_controller_open(&controller));
	assert_int_equal(controller.unit_count, 1);
	return 0;
}

static int read_block(uint8_t *to, uint32_t len)
{
	struct vmb_guest_storage_request r = {
		.cdb_len = 10, .cdb = { 0x28, [8] = 1 }, .direction = VMB_STOR_READ, .data_len = len
	};
	struct vmb_guest_storage_event event;

	return vmb_uefi_controller_command(&controller, &r, to, &event);
}

static void test_data_reach_the_caller_wherever_its_memory_begins(void **state)
{
	uint8_t block[514] = { 0 };

	assert_int_equal(read_block(block + 1, 512), 0);
	assert_int_equal(block[0], 0);
	assert_int_equal(block[1], 0x5A);
	assert_int_equal(block[512], 0x5A);
	assert_int_equal(block[513], 0);
	vmb_uefi_controller_close(&controller);
}

static void test_written_data_are_what_the_host_sees(void **state)
{
	uint8_t block[512];
	struct vmb_guest_storage_request r = { .cdb_len = 10,
					       .cdb = { 0x2A, [8] = 1 },
					       .direction = VMB_STOR_WRITE,
					       .data_len = sizeof(block) };
	struct vmb_guest_storage_event event;

	memset(block, 0xA5, sizeof(block));
	assert_int_equal(vmb_uefi_controller_command(&controller, &r, block, &event), 0);
	assert_memory_equal(host_memory(), block, sizeof(block));
	vmb_uefi_controller_close(&controller);
}

static void test_late_host_writes_into_no_memory_of_the_caller(void **state)
{
	uint8_t block[512] = { 0 };

	host.silent = true;
	assert_int_equal(read_block(block, sizeof(block)), VMB_EAGAIN);
	memset(host_memory(), 0xEE, sizeof(block));
	assert_int_equal(block[0], 0);
	assert_int_equal(block[511], 0);
	vmb_uefi_controller_close(&controller);
}

/* The one slot is the host's until it answers, and no longer. */
static void test_late_answer_makes_the_controller_usable_again(void **state)
{
	uint8_t block[512] = { 0 };

	host.silent = true;
	assert_int_equal(read_block(block, sizeof(block)), VMB_EAGAIN);
	host.silent = false;
	assert_int_equal(read_block(block, sizeof(block)), VMB_EIO);
	host.answers = true;
	host.answer.u.srb.srb_status = VMB_SRB_SUCCESS;
	assert_int_equal(read_block(block, sizeof(block)), 0);
	assert_int_equal(block[511], 0x5A);
	vmb_uefi_controller_close(&controller);
}

static void test_host_that_keeps_the_channel_keeps_the_buffer(void **state)
{
	uint8_t block[512] = { 0 };

	host.silent = host.keeps_channel = true;
	assert_int_equal(read_block(block, sizeof(block)), VMB_EAGAIN);
	vmb_uefi_controller_close(&controller);
	memset(host_memory(), 0xEE, sizeof(block));
	free(controller.buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_data_reach_the_caller_wherever_its_memory_begins,
				       set_up),
		cmocka_unit_test_setup(test_written_data_are_what_the_host_sees, set_up),
		cmocka_unit_test_setup(test_late_host_writes_into_no_memory_of_the_caller, set_up),
		cmocka_unit_test_setup(test_late_answer_makes_the_controller_usable_again, set_up),
		cmocka_unit_test_setup(test_host_that_keeps_the_channel_keeps_the_buffer, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
