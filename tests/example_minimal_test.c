// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest of examples/minimal, run as it is: what it prints is what happened, and it returns 0
 * only when it read the block and left nothing with the host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int minimal_main(int argc, char **argv);
#define main minimal_main
#include "examples/minimal/minimal.c"
#undef main

/* Runs the guest with this disk. What it printed is in text. */
static int run(const char *disk, char *text, size_t size)
{
	char name[] = "minimal", *argv[] = { name, (char *)disk, NULL };
	int kept = dup(STDOUT_FILENO), result;
	FILE *out = tmpfile();

	assert_non_null(out);
	fflush(stdout);
	dup2(fileno(out), STDOUT_FILENO);
	result = minimal_main(disk ? 2 : 1, argv);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	rewind(out);
	text[fread(text, 1, size - 1, out)] = 0;
	fclose(out);
	return result;
}

static void test_empty_disk_reads_zeroes(void **state)
{
	char text[1024];

	assert_int_equal(run(NULL, text, sizeof(text)), 0);
	assert_string_equal(text, "connected: VMBus 6.0\n"
				  "offered: a SCSI controller, channel 1\n"
				  "open: two rings of 12288 bytes\n"
				  "ready: storage protocol 6.2\n"
				  "read: block 0, 512 bytes, 00 00 00 00 ...\n"
				  "closed\n"
				  "unloaded, 0 pages left with the host\n");
}

static void test_file_reads_its_first_bytes(void **state)
{
	char path[] = "/tmp/example_minimal_XXXXXX", text[1024];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(pwrite(fd, "\xfa\x31\xc0\x8e", 4, 0), 4);
	close(fd);
	assert_int_equal(run(path, text, sizeof(text)), 0);
	unlink(path);
	assert_non_null(strstr(text, "read: block 0, 512 bytes, fa 31 c0 8e ...\n"));
}

static void test_missing_disk_is_an_error(void **state)
{
	char text[1024];

	assert_int_equal(run("/nonexistent/disk", text, sizeof(text)), 1);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_disk_reads_zeroes),
		cmocka_unit_test(test_file_reads_its_first_bytes),
		cmocka_unit_test(test_missing_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
