// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests the boot entry for what is to be tried first: its bytes, which were written down from the
 * UEFI specification and the firmware's device paths, and what it leaves alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/uefi/boot.h"

#define VOLATILE (VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME)
#define STAYS	 (VOLATILE | VMB_DEV_UEFI_NON_VOLATILE)

static struct vmb_dev_uefi_vars vars;

/* ids that can be told apart in the bytes */
static const struct vmb_dev_uefi_boot dvd = {
	.kind = VMB_DEV_UEFI_BOOT_SCSI,
	.type_id = { "TYPETYPETYPETYPE" },
	.instance_id = { "INSTINSTINSTINST" },
	.lun = 0x102,
};
static const struct vmb_dev_uefi_boot card = {
	.kind = VMB_DEV_UEFI_BOOT_NETWORK,
	.type_id = { "TYPETYPETYPETYPE" },
	.instance_id = { "INSTINSTINSTINST" },
};

/* What both begin with: the bus by its name in ACPI, then the channel. */
#define CHANNEL_PATH                                                                     \
	"\x02\x02\x18\0\0\0\0\0\0\0\0\0\0\0\0\0VMBus\0\0\0"                              \
	"\x01\x04\x34\0\xa2\xe5\x17\x9b\x91\x08\xdd\x42\xb6\x53\x80\xb5\xc2\x28\x09\xba" \
	"TYPETYPETYPETYPEINSTINSTINSTINST"
#define END_PATH "\x7f\xff\x04\0"

static const uint8_t dvd_path[] = CHANNEL_PATH "\x03\x02\x08\0\0\0\x02\x01" END_PATH;
#define CARD_NODES                                       \
	CHANNEL_PATH                                     \
	"\x03\x0b\x25\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"             \
	"\x03\x0c\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
static const uint8_t card_path[] = CARD_NODES END_PATH;

/* The same card with a node of 17 characters behind; and with one of none. */
#define HTTP_PATH CARD_NODES "\x03\x18\x15\0http://10.0.2.2/a" END_PATH
#define DHCP_PATH CARD_NODES "\x03\x18\x04\0" END_PATH

static int set_up(void **state)
{
	memset(&vars, 0, sizeof(vars));
	vmb_dev_uefi_vars_restart(&vars);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_uefi_vars_clear(&vars);
	return 0;
}

static const struct vmb_dev_uefi_var *named(const char *name)
{
	return vmb_dev_uefi_vars_named(&vars, &vmb_dev_uefi_global, name);
}

/* The entry says that it is active, is called something, and has exactly that path. */
static void assert_entry(const char *name, const uint8_t *path, uint16_t path_len)
{
	const struct vmb_dev_uefi_var *entry = named(name);
	uint16_t len;
	uint32_t at = 6;

	assert_non_null(entry);
	assert_int_equal(entry->attributes, VOLATILE);
	assert_memory_equal(entry->data, "\1\0\0\0", 4);
	memcpy(&len, entry->data + 4, sizeof(len));
	assert_int_equal(len, path_len);
	while (entry->data[at] || entry->data[at + 1])
		at += 2;
	assert_true(at > 6);
	assert_int_equal(entry->data_len, at + 2 + path_len);
	assert_memory_equal(entry->data + at + 2, path, path_len);
}

static void assert_next(const char *number)
{
	const struct vmb_dev_uefi_var *next = named("BootNext");

	assert_non_null(next);
	assert_int_equal(next->data_len, 2);
	assert_memory_equal(next->data, number, 2);
}

static void set_by_guest(const char *name, const char *data)
{
	vmb_dev_uefi_vars_put_volatile(&vars, name, data, 2);
	((struct vmb_dev_uefi_var *)named(name))->attributes = STAYS;
}

static void test_unit_is_named_by_its_way_from_the_bus(void **state)
{
	vmb_dev_uefi_boot_next(&vars, &dvd);
	assert_entry("BootFFFF", dvd_path, sizeof(dvd_path) - 1);
	assert_next("\xff\xff");
	assert_false(vars.changed); /* nothing for the file */
}

static void test_card_is_named_without_its_address(void **state)
{
	vmb_dev_uefi_boot_next(&vars, &card);
	assert_entry("BootFFFF", card_path, sizeof(card_path) - 1);
	assert_next("\xff\xff");
}

static void assert_next_path(const struct vmb_dev_uefi_boot *b, const char *path, uint16_t len)
{
	vmb_dev_uefi_boot_next(&vars, b);
	assert_entry("BootFFFF", (const uint8_t *)path, len);
}

static void test_http_is_named_by_the_card_and_the_place(void **state)
{
	struct vmb_dev_uefi_boot http = card;

	http.uri = "http://10.0.2.2/a";
	assert_next_path(&http, HTTP_PATH, sizeof(HTTP_PATH) - 1);
}

static void test_http_whose_place_dhcp_knows_has_an_empty_one(void **state)
{
	struct vmb_dev_uefi_boot http = card;

	http.uri = "";
	assert_next_path(&http, DHCP_PATH, sizeof(DHCP_PATH) - 1);
}

static void test_the_longest_place_fits_into_an_entry(void **state)
{
	char uri[VMB_DEV_UEFI_BOOT_URI_MAX + 1];
	struct vmb_dev_uefi_boot http = card;

	memset(uri, 'a', sizeof(uri));
	uri[VMB_DEV_UEFI_BOOT_URI_MAX] = '\0';
	http.uri = uri;
	vmb_dev_uefi_boot_next(&vars, &http);
	assert_int_equal(named("BootFFFF")->data_len, 6 + 2 * sizeof("openvmbus --boot") +
							      sizeof(DHCP_PATH) - 1 +
							      VMB_DEV_UEFI_BOOT_URI_MAX);
}

static void test_without_a_wish_nothing_is_set(void **state)
{
	const struct vmb_dev_uefi_boot any = { .kind = VMB_DEV_UEFI_BOOT_ANY };

	vmb_dev_uefi_boot_next(&vars, &any);
	assert_null(named("BootNext"));
	assert_null(named("BootFFFF"));
}

static void test_order_of_the_guest_comes_first(void **state)
{
	set_by_guest("BootNext", "\3");
	vmb_dev_uefi_boot_next(&vars, &dvd);
	assert_next("\3");
	assert_null(named("BootFFFF"));
}

static void test_entry_of_the_guest_is_left_alone(void **state)
{
	set_by_guest("BootFFFF", "x");
	vmb_dev_uefi_boot_next(&vars, &dvd);
	assert_memory_equal(named("BootFFFF")->data, "x", 2);
	assert_entry("BootFFFE", dvd_path, sizeof(dvd_path) - 1);
	assert_next("\xfe\xff");
}

static void test_next_start_has_one_entry_again(void **state)
{
	uint32_t count;

	vmb_dev_uefi_boot_next(&vars, &dvd);
	count = vars.count;
	vmb_dev_uefi_vars_restart(&vars);
	assert_null(named("BootNext"));
	vmb_dev_uefi_boot_next(&vars, &dvd);
	assert_int_equal(vars.count, count);
	assert_entry("BootFFFF", dvd_path, sizeof(dvd_path) - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unit_is_named_by_its_way_from_the_bus),
		TEST(test_card_is_named_without_its_address),
		TEST(test_http_is_named_by_the_card_and_the_place),
		TEST(test_http_whose_place_dhcp_knows_has_an_empty_one),
		TEST(test_the_longest_place_fits_into_an_entry),
		TEST(test_without_a_wish_nothing_is_set),
		TEST(test_order_of_the_guest_comes_first),
		TEST(test_entry_of_the_guest_is_left_alone),
		TEST(test_next_start_has_one_entry_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
