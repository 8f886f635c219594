// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The SynIC pages without KVM: delivery of messages as docs/protocol/bus.md, "3.1 Message page"
 * prescribes, event flags, and guests that put the pages where no memory is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/synic.h"

#define MIB	    (1ull << 20)
#define MESSAGE_GPA 0x10000ull
#define EVENT_GPA   0x20000ull
#define SINT	    VMB_SYNIC_SINT_VMBUS

static struct vmb_dev_memory memory;
static struct vmb_vmm_synic synic;

/* In KVM's place: the interrupt's eventfd is read here. */
int vmb_vmm_kvm_irqfd(struct vmb_vmm_kvm *k, int fd, uint32_t gsi, int ack)
{
	assert_int_equal(gsi, VMB_VMM_GSI_SINT(3));
	return 0;
}

static uint64_t interrupts(void)
{
	uint64_t count = 0;

	return read(synic.irq, &count, sizeof(count)) < 0 ? 0 : count;
}

static void registers(uint64_t control, uint64_t event, uint64_t message)
{
	const struct kvm_hyperv_exit exit = {
		.type = KVM_EXIT_HYPERV_SYNIC,
		.u.synic = { .control = control, .evt_page = event, .msg_page = message }
	};

	vmb_vmm_synic_exit(&synic, &exit);
}

static struct vmb_synic_message *slot(void)
{
	return vmb_dev_memory_at(&memory, MESSAGE_GPA + SINT * sizeof(struct vmb_synic_message),
				 sizeof(struct vmb_synic_message));
}

static uint8_t *flag_byte(uint32_t flag)
{
	return vmb_dev_memory_at(&memory, EVENT_GPA + SINT * 256 + flag / 8, 1);
}

static int set_up(void **state)
{
	if (vmb_vmm_memory_create(&memory, 64 * MIB, 64 * MIB))
		return -1;
	if (vmb_vmm_synic_create(&synic, NULL, &memory, 3, -1))
		return -1;
	registers(1, EVENT_GPA | 1, MESSAGE_GPA | 1);
	return 0;
}

static int tear_down(void **state)
{
	vmb_vmm_synic_destroy(&synic);
	vmb_vmm_memory_destroy(&memory);
	return 0;
}

static void test_message_arrives_with_one_interrupt(void **state)
{
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "contact", 8), 0);
	assert_int_equal(slot()->type, VMB_SYNIC_MESSAGE_VMBUS);
	assert_int_equal(slot()->payload_len, 8);
	assert_int_equal(slot()->flags, 0);
	assert_memory_equal(slot()->payload, "contact", 8);
	assert_int_equal(interrupts(), 1);
}

static void test_occupied_slot_is_marked_and_kept(void **state)
{
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "first", 6), 0);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "second", 7), VMB_EAGAIN);
	assert_int_equal(slot()->flags, VMB_SYNIC_FLAG_PENDING);
	assert_memory_equal(slot()->payload, "first", 6);
	assert_int_equal(interrupts(), 0);
	slot()->type = 0;
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "second", 7), 0);
	assert_memory_equal(slot()->payload, "second", 7);
	assert_int_equal(slot()->flags, 0);
}

static void test_no_message_while_the_guest_takes_none(void **state)
{
	static const struct {
		uint64_t control, message;
	} off[] = { { 0, MESSAGE_GPA | 1 },  { 1, MESSAGE_GPA }, { 0, 0 },
		    { 1, (1ull << 40) | 1 }, { 1, ~0ull },	 { 1, (64 * MIB) | 1 } };

	for (size_t i = 0; i < VMB_ARRAY_COUNT(off); i++) {
		registers(off[i].control, EVENT_GPA | 1, off[i].message);
		assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "x", 1), VMB_ENODEV);
	}
	assert_int_equal(interrupts(), 0);
}

static void test_impossible_messages_are_refused(void **state)
{
	uint8_t long_one[256] = { 0 };

	assert_int_equal(vmb_vmm_synic_post(&synic, 16, "x", 1), VMB_ENODEV);
	assert_int_equal(vmb_vmm_synic_post(&synic, UINT32_MAX, "x", 1), VMB_ENODEV);
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, long_one, 241), VMB_ENODEV);
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, long_one, 240), 0);
}

/* KVM does not clear it, and old memory would look like a message that nobody takes. */
static void test_enabled_page_starts_empty(void **state)
{
	registers(1, 0, 0);
	slot()->type = 0x1234;
	*flag_byte(5) = 0xFF;
	registers(1, EVENT_GPA | 1, MESSAGE_GPA | 1);
	assert_int_equal(slot()->type, 0);
	assert_int_equal(*flag_byte(5), 0);
}

static void test_other_register_leaves_pages_alone(void **state)
{
	assert_int_equal(vmb_vmm_synic_post(&synic, SINT, "x", 1), 0);
	registers(1, EVENT_GPA | 1, MESSAGE_GPA | 1);
	assert_int_equal(slot()->type, VMB_SYNIC_MESSAGE_VMBUS);
}

static void test_flag_interrupts_only_when_it_was_clear(void **state)
{
	vmb_vmm_synic_signal(&synic, 21);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(*flag_byte(21), 1 << 21 % 8);
	vmb_vmm_synic_signal(&synic, 21);
	assert_int_equal(interrupts(), 0);
	vmb_vmm_synic_signal(&synic, 22);
	assert_int_equal(interrupts(), 1);
	*flag_byte(21) = 0;
	vmb_vmm_synic_signal(&synic, 2047);
	assert_int_equal(*flag_byte(2047), 0x80);
	assert_int_equal(interrupts(), 1);
}

static void test_flag_that_does_not_exist_touches_nothing(void **state)
{
	static uint8_t before[4096];

	memcpy(before, vmb_dev_memory_at(&memory, EVENT_GPA, 4096), sizeof(before));
	vmb_vmm_synic_signal(&synic, 2048);
	vmb_vmm_synic_signal(&synic, UINT32_MAX);
	assert_memory_equal(vmb_dev_memory_at(&memory, EVENT_GPA, 4096), before, sizeof(before));
	registers(1, ~0ull, MESSAGE_GPA | 1);
	vmb_vmm_synic_signal(&synic, 1);
	registers(0, EVENT_GPA | 1, MESSAGE_GPA | 1);
	vmb_vmm_synic_signal(&synic, 1);
	assert_int_equal(interrupts(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_message_arrives_with_one_interrupt),
		TEST(test_occupied_slot_is_marked_and_kept),
		TEST(test_no_message_while_the_guest_takes_none),
		TEST(test_impossible_messages_are_refused),
		TEST(test_enabled_page_starts_empty),
		TEST(test_other_register_leaves_pages_alone),
		TEST(test_flag_interrupts_only_when_it_was_clear),
		TEST(test_flag_that_does_not_exist_touches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
