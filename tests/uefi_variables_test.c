// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests the variable services of our firmware against a host whose answers are not what it was asked
 * for, and which changes them while they are judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ports/uefi/variables/driver.c"

#define CANARY 0xC5u

static struct shared memory;
static struct {
	uint32_t name_len, data_len; /* of the answer */
	uint64_t status;
	bool changes; /* its answer, as soon as it was read */
} host;
static EFI_GUID guid;
static CHAR16 name[] = { 'B', 'o', 'o', 't', 0 };

EFI_BOOT_SERVICES *gBS;
EFI_RUNTIME_SERVICES *gRT;
EFI_GUID gEfiEventExitBootServicesGuid, gEfiEventVirtualAddressChangeGuid,
	gEfiVariableArchProtocolGuid, gEfiVariableWriteArchProtocolGuid;

void IoWrite32(UINTN port, UINT32 value)
{
	struct request *r = &memory.request;

	if (port != PORT_DATA)
		return;
	if (r->command == GET)
		r->variable.data_len = host.data_len;
	else
		r->variable.name_len = host.name_len;
	r->status = host.status;
}

void *CopyMem(void *to, const void *from, UINTN len)
{
	if (len)
		memmove(to, from, len);
	if (from == &memory.request && host.changes)
		memory.request.variable.data_len = memory.request.variable.name_len = 64;
	return to;
}

EFI_STATUS EfiConvertPointer(UINTN how, void **pointer)
{
	return EFI_SUCCESS;
}

static int set_up(void **state)
{
	memset(&host, 0, sizeof(host));
	memset(&memory, 0, sizeof(memory));
	shared = &memory;
	shared_gpa = 0x1000;
	return 0;
}

static void test_host_that_says_more_than_there_is_room_for(void **state)
{
	uint8_t data[8];
	UINTN len = sizeof(data);

	host.data_len = 9;
	assert_true(get(name, &guid, NULL, &len, data) == EFI_BUFFER_TOO_SMALL);
	assert_int_equal(len, 9);
	host.data_len = DATA_MAX + 1;
	assert_true(get(name, &guid, NULL, &len, data) == EFI_DEVICE_ERROR);
}

static void test_host_that_changes_its_answer_afterwards(void **state)
{
	uint8_t data[64];
	CHAR16 next[32] = { 0 };
	UINTN len = 8;

	memset(data, CANARY, sizeof(data));
	host.changes = true;
	host.data_len = 8;
	assert_true(get(name, &guid, NULL, &len, data) == EFI_SUCCESS);
	assert_int_equal(len, 8);
	assert_int_equal(data[7], 0);
	assert_int_equal(data[8], CANARY);
	memset(memory.name, 0, sizeof(memory.name));
	host.name_len = len = 8;
	next[4] = CANARY;
	assert_true(next_name(&len, next, &guid) == EFI_SUCCESS);
	assert_int_equal(len, 8);
	assert_int_equal(next[4], CANARY);
}

/* Empty, with half a character, or without an end. */
static void test_name_must_be_a_text(void **state)
{
	static const uint32_t bad[] = { 0, 1, 3, 4 };
	CHAR16 next[32];
	UINTN len;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		memset(memory.name, 'x', sizeof(memory.name));
		memset(next, 0, sizeof(next));
		host.name_len = bad[i];
		len = sizeof(next);
		assert_true(next_name(&len, next, &guid) == EFI_DEVICE_ERROR);
	}
	host.name_len = NAME_MAX + 2;
	len = sizeof(next);
	assert_true(next_name(&len, next, &guid) == EFI_DEVICE_ERROR);
}

static void test_host_that_refuses_says_why(void **state)
{
	UINTN len = 0;

	host.status = 14;
	assert_true(get(name, &guid, NULL, &len, NULL) == EFI_NOT_FOUND);
	assert_true(set(name, &guid, 7, 0, NULL) == EFI_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_host_that_says_more_than_there_is_room_for, set_up),
		cmocka_unit_test_setup(test_host_that_changes_its_answer_afterwards, set_up),
		cmocka_unit_test_setup(test_name_must_be_a_text, set_up),
		cmocka_unit_test_setup(test_host_that_refuses_says_why, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
