// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's report of its crash, as KVM's exits bring it: what the control register says, the
 * numbers, and a text in the guest's memory, which is the guest's and may be anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/report.h"
#include "vmm/crash.h"
#include "vmm/machine.h"

#define TEXT_GPA   0x1000u
#define MEMORY_LEN 0x4000u

static struct vmb_vmm_machine machine;
static struct kvm_run page;
static uint64_t words[5];
static int output = -1, real_stderr = -1;

/* KVM gives the registers. */
int ioctl(int fd, unsigned long request, ...)
{
	struct kvm_msrs *msrs;
	va_list more;

	va_start(more, request);
	msrs = va_arg(more, struct kvm_msrs *);
	va_end(more);
	if (request != KVM_GET_MSRS)
		return -1;
	for (uint32_t i = 0; i < msrs->nmsrs; i++)
		msrs->entries[i].data = words[msrs->entries[i].index - 0x40000100];
	return (int)msrs->nmsrs;
}

static uint8_t *at(uint64_t gpa)
{
	return vmb_dev_memory_at(&machine.dev.memory, gpa, 1);
}

static int set_up(void **state)
{
	memset(&machine, 0, sizeof(machine));
	memset(words, 0, sizeof(words));
	assert_int_equal(vmb_vmm_memory_create(&machine.dev.memory, MEMORY_LEN, MEMORY_LEN), 0);
	machine.vcpus[0].machine = &machine;
	machine.vcpus[0].run = &page;
	output = memfd_create("said", 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(output, STDERR_FILENO);
	return 0;
}

static int tear_down(void **state)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(output);
	vmb_vmm_memory_destroy(&machine.dev.memory);
	return 0;
}

static const char *said(void)
{
	static char text[16384];
	ssize_t len = pread(output, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = 0;
	return text;
}

static void write_control(uint64_t data)
{
	page.msr.index = VMB_MSR_CRASH_CTL;
	page.msr.data = data;
	page.msr.error = 1;
	vmb_vmm_crash_write(&machine.vcpus[0]);
	assert_int_equal(page.msr.error, 0);
}

static void put_text(const char *text)
{
	memcpy(at(TEXT_GPA), text, strlen(text));
	words[3] = TEXT_GPA;
	words[4] = strlen(text);
}

static void test_guest_is_told_that_it_may_send_a_text(void **state)
{
	page.msr.index = VMB_MSR_CRASH_CTL;
	page.msr.error = 1;
	vmb_vmm_crash_read(&machine.vcpus[0]);
	assert_int_equal(page.msr.error, 0);
	assert_int_equal(page.msr.data, 3ull << 62);
}

static void test_numbers_without_a_text_are_said(void **state)
{
	put_text("not a text\n");
	words[0] = 0x1234;
	write_control(1ull << 63);
	assert_non_null(strstr(said(), "the guest crashed: 0x1234 0 0 0x1000 0xb; its console"));
	assert_null(strstr(said(), "not a text"));
	assert_true(vmb_vmm_power_crashed(&machine));
}

static void test_each_line_of_a_text_is_said(void **state)
{
	put_text("<0>Kernel panic\n\n<4>\x1b[2J red\x07 Call Trace\x80\n<0>---");
	write_control(3ull << 62);
	assert_non_null(strstr(said(), "; the end of its log follows\n"));
	assert_non_null(strstr(said(), "openvmbus: guest: <0>Kernel panic\n"
				       "openvmbus: guest: <4>[2J red Call Trace\n"
				       "openvmbus: guest: <0>---\n"));
}

static void test_only_the_first_report_counts(void **state)
{
	put_text("first\n");
	write_control(3ull << 62);
	put_text("again\n");
	write_control(3ull << 62);
	assert_null(strstr(said(), "again"));
}

static void test_a_write_without_a_report_is_none(void **state)
{
	write_control(1ull << 62);
	assert_string_equal(said(), "");
	assert_false(vmb_vmm_power_crashed(&machine));
}

static void test_no_more_than_a_page_of_text_is_read(void **state)
{
	memset(at(TEXT_GPA), 'x', 2 * 4096);
	for (uint32_t i = 0; i < 2 * 4096; i += 64)
		*at(TEXT_GPA + i) = '\n';
	vmb_vmm_crash_say(&machine.dev.memory, TEXT_GPA, UINT64_MAX);
	assert_int_equal(strlen(said()), 64 * (strlen("openvmbus: guest: ") + 64));
}

static void test_a_text_outside_of_memory_is_not_read(void **state)
{
	vmb_vmm_crash_say(&machine.dev.memory, MEMORY_LEN - 1, 2);
	vmb_vmm_crash_say(&machine.dev.memory, UINT64_MAX, 4);
	vmb_vmm_crash_say(&machine.dev.memory, TEXT_GPA, 0);
	assert_string_equal(said(), "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_guest_is_told_that_it_may_send_a_text),
		CASE(test_numbers_without_a_text_are_said),
		CASE(test_each_line_of_a_text_is_said),
		CASE(test_only_the_first_report_counts),
		CASE(test_a_write_without_a_report_is_none),
		CASE(test_no_more_than_a_page_of_text_is_read),
		CASE(test_a_text_outside_of_memory_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
