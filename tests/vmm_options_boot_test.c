// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests --boot: which disk, disc or card the words mean. What is refused is in cli_test.sh. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/options.h"

static struct vmb_vmm_options options;

/* A program parses its options once, and their texts live as long as it does. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vmb_vmm_options_parse";
}

static int parse(const char *boot)
{
	char *argv[] = { "run",	    "--firmware",    "f",      "--cdrom",	"null:1M,lun=3",
			 "--disk",  "null:1M,lun=5", "--disk", "null:1M,lun=7", "--cdrom",
			 "null:1M", "--net",	     "null",   "--boot",	(char *)boot };

	return vmb_vmm_options_parse(&options, sizeof(argv) / sizeof(argv[0]), argv);
}

static void test_first_disk_is_the_one_with_the_lowest_lun(void **state)
{
	assert_int_equal(parse("disk"), 0);
	assert_int_equal(vmb_vmm_options_boot_lun(&options), 5);
}

static void test_first_disc_is_the_one_with_the_lowest_lun(void **state)
{
	assert_int_equal(parse("dvd"), 0);
	assert_int_equal(vmb_vmm_options_boot_lun(&options), 0);
}

static void test_a_card_is_no_disk(void **state)
{
	assert_int_equal(parse("network"), 0);
	assert_int_equal(options.boot_device, VMB_VMM_BOOT_NETWORK);
	assert_null(options.boot_uri);
}

static void test_http_is_from_a_card(void **state)
{
	assert_int_equal(parse("http"), 0);
	assert_int_equal(options.boot_device, VMB_VMM_BOOT_NETWORK);
	assert_string_equal(options.boot_uri, "");
	assert_int_equal(parse("http://10.0.2.2:8000/boot.efi"), 0);
	assert_int_equal(options.boot_device, VMB_VMM_BOOT_NETWORK);
	assert_string_equal(options.boot_uri, "http://10.0.2.2:8000/boot.efi");
}

static void test_what_is_no_place_for_http_is_refused(void **state)
{
	char uri[300] = "http://";

	memset(uri + strlen(uri), 'a', VMB_DEV_UEFI_BOOT_URI_MAX - strlen(uri));
	assert_int_equal(parse(uri), 0);
	uri[VMB_DEV_UEFI_BOOT_URI_MAX] = 'a';
	assert_int_equal(parse(uri), -EINVAL);
	assert_int_equal(parse("http:"), -EINVAL);
	assert_int_equal(parse("http://"), -EINVAL);
	assert_int_equal(parse("https://a/b"), -EINVAL);
	assert_int_equal(parse("http://a b"), -EINVAL);
	assert_int_equal(parse("http://a\n"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_disk_is_the_one_with_the_lowest_lun),
		cmocka_unit_test(test_first_disc_is_the_one_with_the_lowest_lun),
		cmocka_unit_test(test_a_card_is_no_disk),
		cmocka_unit_test(test_http_is_from_a_card),
		cmocka_unit_test(test_what_is_no_place_for_http_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
