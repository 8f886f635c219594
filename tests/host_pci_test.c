// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bytes of PCI pass-through at the host, written out from docs/protocol/pci.md, and what it
 * takes from a guest: nothing out of order, no interrupt that was not created.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/pci.h"
#include "host/pci_function.h"

static struct vmb_host_pci p;
static struct vmb_host_pci_output output;

static void begin(void)
{
	const struct vmb_host_pci_config config = {
		.vp_count = 2,
		.description = { .vendor_id = 0x1414,
				 .device_id = 0xA9,
				 .interface = 2,
				 .sub_class = 8,
				 .base_class = 1,
				 .serial = 7 },
		.bars = { 0xFFFFC004, 0xFFFFFFFF },
	};

	vmb_host_pci_init(&p, &config);
	vmb_host_pci_reset(&p, true);
}

static int say(const void *bytes, uint32_t len, bool wants_completion)
{
	const struct vmb_host_pci_packet packet = { .inband = true,
						    .wants_completion = wants_completion,
						    .transaction_id = 0x1234,
						    .payload = bytes,
						    .len = len };

	return vmb_host_pci_input(&p, &packet);
}

/* A message of words; what is missing at its end is zero. */
#define SAY(len, ...) say((uint32_t[64]){ __VA_ARGS__ }, (len), true)

static const uint8_t *expect(bool completion, uint32_t len)
{
	static uint8_t bytes[256];

	assert_true(vmb_host_pci_output(&p, &output));
	assert_int_equal(output.completion, completion);
	assert_int_equal(output.len, len);
	if (completion)
		assert_int_equal(output.transaction_id, 0x1234);
	memcpy(bytes, output.payload, len);
	vmb_host_pci_output_done(&p);
	return bytes;
}

static void expect_silence(void)
{
	assert_false(vmb_host_pci_output(&p, &output));
}

static void expect_status(uint32_t status)
{
	assert_memory_equal(expect(true, 4), &status, 4);
	expect_silence();
}

static void agree(uint32_t version)
{
	assert_int_equal(SAY(8, 0x42490013, version), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(true, 8), "\0\0\0\0\4\0\1\0", 8);
}

static void test_versions(void **state)
{
	begin();
	/* One that is newer than ours is refused, and another one may be asked for. */
	assert_int_equal(SAY(8, 0x42490013, 0x10005), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(true, 8), "\x59\0\0\xC0\4\0\1\0", 8);
	assert_int_equal(SAY(8, 0x42490013, 0x10000), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(true, 8), "\x59\0\0\xC0\4\0\1\0", 8);
	agree(0x10001);
	assert_int_equal(p.version, VMB_PCI_VERSION_1_1);
	/* There is no second choice. */
	assert_int_equal(SAY(8, 0x42490013, 0x10004), VMB_EPROTO);
	expect_silence();
	assert_int_equal(SAY(4, 0x42490001), VMB_EPROTO);
}

static void test_nothing_before_a_version(void **state)
{
	begin();
	assert_int_equal(SAY(4, 0x42490001), VMB_EPROTO);
	begin();
	assert_int_equal(SAY(4, 0x42490013), VMB_EPROTO); /* a version is missing */
	begin();
	assert_int_equal(SAY(3, 0x42490013), VMB_EPROTO);
	vmb_host_pci_reset(&p, false);
	assert_int_equal(SAY(8, 0x42490013, 0x10004), VMB_EPROTO);
}

static void test_the_function_is_described(void **state)
{
	static const uint8_t old[] = { 0x00, 0x00, 0x49, 0x42, 1, 0, 0, 0, 0x14, 0x14,
				       0xA9, 0,	   0,	 2,    8, 1, 0, 0, 0,	 0,
				       0,    0,	   0,	 0,    7, 0, 0, 0 };

	begin();
	agree(0x10002);
	assert_int_equal(say("\1\0\x49\x42", 4, false), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(false, 28), old, sizeof(old));
	expect_silence();
	begin();
	agree(0x10003); /* with a node of memory, which is not valid */
	assert_int_equal(say("\1\0\x49\x42", 4, false), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(false, 36), "\x19\0\x49\x42", 4);
	assert_memory_equal((const uint8_t *)output.payload + 8, old + 8, 20);
	assert_memory_equal((const uint8_t *)output.payload + 28, "\0\0\0\0\0\0\0\0", 8);
}

static void test_the_bus_is_switched_on_and_off(void **state)
{
	begin();
	agree(0x10004);
	assert_int_equal(SAY(16, 0x42490007, 0, 0xF8000000, 1), VMB_HOST_PCI_ON);
	assert_true(p.on);
	assert_true(p.window_gpa == 0x1F8000000);
	expect_status(0);
	assert_int_equal(SAY(4, 0x42490008), VMB_HOST_PCI_OFF);
	assert_false(p.on);
	expect_status(0);
	/* Not at a page; over the end of addresses; too short. */
	assert_int_equal(SAY(16, 0x42490007, 0, 0xF8000800), VMB_HOST_PCI_NOTHING);
	expect_status(0xC000090B);
	assert_int_equal(SAY(16, 0x42490007, 0, 0xFFFFF000, 0xFFFFFFFF), VMB_HOST_PCI_NOTHING);
	expect_status(0xC000090B);
	assert_int_equal(SAY(15, 0x42490007), VMB_HOST_PCI_NOTHING);
	expect_status(0xC000090B);
	assert_false(p.on);
}

static void test_requests_of_the_function(void **state)
{
	uint8_t assigned[202] = { 0x16, 0, 0x49, 0x42, 0, 0, 0, 0, 3, 0, 0, 0, 1 };
	const uint8_t *bytes;

	begin();
	agree(0x10004);
	assert_int_equal(SAY(8, 0x42490005), VMB_HOST_PCI_NOTHING);
	assert_memory_equal(expect(true, 28), "\0\0\0\0\4\xC0\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", 16);
	assert_int_equal(say(assigned, sizeof(assigned), true), VMB_HOST_PCI_NOTHING);
	bytes = expect(true, 136);
	assert_memory_equal(bytes, "\0\0\0\0", 4);
	assert_memory_equal(bytes + 8, assigned + 8, 120);
	assigned[128] = 1; /* an interrupt with it */
	say(assigned, sizeof(assigned), true);
	expect_status(0xC00000BB);
	SAY(12, 0x42490004, 0, 1);
	expect_status(0);
	SAY(20, 0x42490009, 1, 0, 16); /* a block */
	expect_status(0xC00000BB);
	assert_int_equal(SAY(8, 0x42490011), VMB_HOST_PCI_RELEASE);
	expect_status(0);
	/* Of another slot, and of a kind that nobody knows. */
	SAY(8, 0x42490005, 1);
	expect_status(0xC000090B);
	SAY(8, 0x424900FF);
	expect_status(0xC00000BB);
	assert_int_equal(p.refused, 4);
}

/* Returns the data of the message; 0: refused. */
static uint32_t create2(uint8_t vector, uint16_t count, uint16_t vp_count, uint16_t vp)
{
	uint8_t m[78] = { 0x17,
			  0,
			  0x49,
			  0x42,
			  0,
			  0,
			  0,
			  0,
			  vector,
			  0,
			  (uint8_t)count,
			  0,
			  (uint8_t)vp_count,
			  (uint8_t)(vp_count >> 8),
			  (uint8_t)vp,
			  (uint8_t)(vp >> 8) };
	uint32_t data;

	assert_int_equal(say(m, sizeof(m), true), VMB_HOST_PCI_NOTHING);
	assert_true(vmb_host_pci_output(&p, &output));
	if (output.len == 4) {
		vmb_host_pci_output_done(&p);
		return 0;
	}
	memcpy(&data, expect(true, 24) + 12, sizeof(data));
	return data;
}

static int look(uint32_t data, struct vmb_host_pci_target *target)
{
	return vmb_host_pci_interrupt(&p, 0xFEE00000, data, target);
}

static void test_interrupts(void **state)
{
	struct vmb_host_pci_target t;
	uint32_t first, second;

	begin();
	agree(0x10004);
	first = create2(0x41, 1, 1, 1);
	assert_int_not_equal(first, 0);
	assert_int_equal(look(first, &t), 0);
	assert_int_equal(t.vector, 0x41);
	assert_true(t.vps == 2);
	/* In the way of 1.1 and of 1.4. */
	SAY(32, 0x42490014, 0, 0x00010042, 0, 3, 0);
	memcpy(&second, expect(true, 24) + 12, sizeof(second));
	assert_int_equal(look(second, &t), 0);
	assert_int_equal(t.vector, 0x42);
	assert_true(t.vps == 3);
	SAY(82, 0x4249001B, 0, 0x43, 0x00010000, 0x00000001);
	memcpy(&second, expect(true, 24) + 12, sizeof(second));
	assert_int_equal(look(second, &t), 0);
	assert_int_equal(t.vector, 0x43);
	assert_true(t.vps == 1);
	/* Another address, another number: none. */
	assert_int_equal(vmb_host_pci_interrupt(&p, 0xFEE01000, first, &t), VMB_EINVAL);
	assert_int_equal(look(0, &t), VMB_EINVAL);
	assert_int_equal(look(second + 1, &t), VMB_EINVAL);
	assert_int_equal(look(UINT32_MAX, &t), VMB_EINVAL);
	/* Moved, deleted. */
	t = (struct vmb_host_pci_target){ .vector = 0x50, .vps = 1 };
	assert_int_equal(vmb_host_pci_retarget(&p, 0xFEE00000, first, &t), 0);
	assert_int_equal(look(first, &t), 0);
	assert_int_equal(t.vector, 0x50);
	t.vps = 4; /* there are two processors */
	assert_int_equal(vmb_host_pci_retarget(&p, 0xFEE00000, first, &t), VMB_EINVAL);
	SAY(24, 0x42490015, 0, 0x10000, first, 0xFEE00000, 0);
	expect_status(0);
	assert_int_equal(look(first, &t), VMB_EINVAL);
	SAY(24, 0x42490015, 0, 0x10000, first, 0xFEE00000, 0);
	expect_status(0xC000090B);
}

static void test_interrupts_that_cannot_be(void **state)
{
	struct vmb_host_pci_target t;

	begin();
	agree(0x10004);
	assert_int_equal(create2(0x41, 2, 1, 0), 0); /* two in one */
	assert_int_equal(create2(0x41, 0, 1, 0), 0);
	assert_int_equal(create2(0x0F, 1, 1, 0), 0); /* an exception */
	assert_int_equal(create2(0x41, 1, 0, 0), 0); /* for nobody */
	assert_int_equal(create2(0x41, 1, 1, 2), 0); /* for a processor that is not there */
	assert_int_equal(create2(0x41, 1, 1, 64), 0);
	assert_int_equal(create2(0x41, 1, 33, 0), 0);
	assert_int_equal(create2(0x41, 1, 0xFFFF, 0), 0);
	for (uint32_t i = 0; i < VMB_HOST_PCI_INTERRUPT_MAX; i++)
		assert_int_not_equal(create2(0x41, 1, 1, 0), 0);
	assert_int_equal(create2(0x41, 1, 1, 0), 0); /* there are as many as there can be */
	SAY(8, 0x42490011); /* released: all are gone */
	expect_status(0);
	assert_int_equal(look(1, &t), VMB_EINVAL);
	/* 1.1 has no list of processors. */
	begin();
	agree(0x10001);
	assert_int_equal(create2(0x41, 1, 1, 0), 0);
}

static void test_eject(void **state)
{
	begin();
	assert_int_equal(vmb_host_pci_eject(&p), VMB_ENODEV);
	agree(0x10004);
	assert_int_equal(vmb_host_pci_eject(&p), VMB_ENODEV);
	SAY(16, 0x42490007, 0, 0xF8000000);
	expect_status(0);
	assert_int_equal(vmb_host_pci_eject(&p), 0);
	assert_int_equal(vmb_host_pci_eject(&p), 0); /* asked once */
	assert_memory_equal(expect(false, 8), "\x0B\0\x49\x42\0\0\0\0", 8);
	expect_silence();
	assert_int_equal(say("\x0F\0\x49\x42\0\0\0\0\0\0\0\0", 12, false), VMB_HOST_PCI_EJECTED);
	expect_silence();
	/* Nobody asked. */
	assert_int_equal(say("\x0F\0\x49\x42\0\0\0\0\0\0\0\0", 12, false), VMB_HOST_PCI_NOTHING);
}

static void test_one_answer_at_a_time(void **state)
{
	struct vmb_host_pci_packet packet = { .payload = "", .len = 8 };

	begin();
	agree(0x10004);
	SAY(8, 0x42490005);
	assert_int_equal(SAY(8, 0x42490005), VMB_EPROTO);
	begin();
	assert_int_equal(vmb_host_pci_input(&p, &packet), VMB_EPROTO); /* not in-band */
}

/* The function */

static struct vmb_host_pci_function f;

static void begin_function(void)
{
	const struct vmb_host_pci_function_config config = {
		.description = { .vendor_id = 0x1414, .device_id = 0xA9, .base_class = 1 },
		.bar_len = 0x4000,
		.vector_count = 17,
		.table_at = 0x2000,
		.pending_at = 0x3000,
	};

	vmb_host_pci_function_init(&f, &config);
}

static uint32_t config_read(uint32_t offset, uint32_t len)
{
	uint8_t data[4] = { 0 };
	uint32_t value;

	vmb_host_pci_function_config(&f, offset, data, len, false);
	memcpy(&value, data, sizeof(value));
	return value;
}

static void config_write(uint32_t offset, uint32_t value, uint32_t len)
{
	vmb_host_pci_function_config(&f, offset, (uint8_t *)&value, len, true);
}

static void table_write(uint32_t offset, uint32_t value)
{
	vmb_host_pci_function_table(&f, offset, (uint8_t *)&value, sizeof(value), true);
}

static void test_configuration_space(void **state)
{
	uint64_t gpa;

	begin_function();
	assert_int_equal(config_read(0, 4), 0x00A91414);
	assert_int_equal(config_read(0x0B, 1), 1);
	config_write(0, 0xFFFFFFFF, 4);
	assert_int_equal(config_read(0, 4), 0x00A91414);
	/* Ranges: as in QUERY_REQUIREMENTS. */
	config_write(0x10, 0xFFFFFFFF, 4);
	config_write(0x14, 0xFFFFFFFF, 4);
	assert_int_equal(config_read(0x10, 4), 0xFFFFC004);
	assert_int_equal(config_read(0x14, 4), 0xFFFFFFFF);
	config_write(0x10, 0xE0004000, 4);
	config_write(0x14, 0xF, 4);
	assert_false(vmb_host_pci_function_range(&f, &gpa));
	config_write(0x04, 0xFFFF, 2);
	assert_int_equal(config_read(0x04, 2), 0x0406);
	assert_true(vmb_host_pci_function_range(&f, &gpa));
	assert_true(gpa == 0xFE0004000);
	/* The one capability, MSI-X. */
	assert_int_equal(config_read(0x06, 2), 0x0010);
	assert_int_equal(config_read(0x34, 1), 0x40);
	assert_int_equal(config_read(0x40, 4), 0x00100011);
	assert_int_equal(config_read(0x44, 4), 0x2000);
	assert_int_equal(config_read(0x48, 4), 0x3000);
	/* Over the end, and in one of the further registers that there are not. */
	assert_int_equal(config_read(0xFE, 4), 0);
	assert_int_equal(config_read(0x1000 - 4, 4), 0);
	config_write(0xFF0, 0xFFFFFFFF, 4);
	config_write(0xFFFFFFFE, 0xFFFFFFFF, 4);
}

static void test_messages_are_masked(void **state)
{
	uint64_t address;
	uint32_t data;
	uint8_t pending[8];

	begin_function();
	config_write(0x04, 0x0006, 2);
	table_write(0x10, 0xFEE00000);
	table_write(0x14, 0);
	table_write(0x18, 5);
	vmb_host_pci_function_fire(&f, 1);
	assert_false(vmb_host_pci_function_next(&f, &address, &data)); /* not enabled */
	config_write(0x42, 0x8000, 2);
	assert_false(vmb_host_pci_function_next(&f, &address, &data)); /* entry masked */
	vmb_host_pci_function_pending(&f, 0, pending, 8);
	assert_memory_equal(pending, "\2\0\0\0\0\0\0\0", 8);
	table_write(0x1C, 0xFFFFFFFE);
	assert_true(vmb_host_pci_function_next(&f, &address, &data));
	assert_true(address == 0xFEE00000);
	assert_int_equal(data, 5);
	assert_false(vmb_host_pci_function_next(&f, &address, &data));
	vmb_host_pci_function_fire(&f, 1);
	config_write(0x42, 0xC000, 2); /* all masked */
	assert_false(vmb_host_pci_function_next(&f, &address, &data));
	config_write(0x42, 0x8000, 2);
	config_write(0x04, 0x0002, 2); /* not master of the bus */
	assert_false(vmb_host_pci_function_next(&f, &address, &data));
	config_write(0x04, 0x0006, 2);
	assert_true(vmb_host_pci_function_next(&f, &address, &data));
	/* Behind the table there is nothing. */
	table_write(17 * 16, 1);
	table_write(0xFFFFFFFC, 1);
	vmb_host_pci_function_reset(&f);
	assert_int_equal(config_read(0x42, 2), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_nothing_before_a_version),
		cmocka_unit_test(test_the_function_is_described),
		cmocka_unit_test(test_the_bus_is_switched_on_and_off),
		cmocka_unit_test(test_requests_of_the_function),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_interrupts_that_cannot_be),
		cmocka_unit_test(test_eject),
		cmocka_unit_test(test_one_answer_at_a_time),
		cmocka_unit_test(test_configuration_space),
		cmocka_unit_test(test_messages_are_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
