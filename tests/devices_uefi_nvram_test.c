// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tests the file of UEFI variables: what is written is read again, and what is wrong is named. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/uefi/nvram.h"
#include "devices/uefi/writer.h"

#define STAYS (VMB_DEV_UEFI_NON_VOLATILE | VMB_DEV_UEFI_BOOT | VMB_DEV_UEFI_RUNTIME)
#define HEAD  "{\"format\": \"openvmbus nvram\", \"version\": 1, \"variables\": ["
#define KILLS 40
#define GUID  "\"guid\": \"8be4df61-93ca-11d2-aa0d-00e098032b8c\""

static struct vmb_dev_uefi_vars vars, again;
static char folder[64], file[96], fresh[104];

static int set_up(void **state)
{
	memset(&vars, 0, sizeof(vars));
	memset(&again, 0, sizeof(again));
	strcpy(folder, "/tmp/nvram-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/nvram", folder);
	snprintf(fresh, sizeof(fresh), "%s.new", file);
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_uefi_vars_clear(&vars);
	vmb_dev_uefi_vars_clear(&again);
	unlink(file);
	unlink(fresh);
	return rmdir(folder);
}

/* The name has characters of one, two and three bytes in UTF-8. */
static void put(uint32_t attributes, uint8_t first)
{
	static const uint8_t name[] = { 'A', 0, 0xE9, 0, 0xAC, 0x20, 0, 0 };
	uint8_t data[3] = { first, 0, 0xFF };
	struct vmb_dev_uefi_var var = { .guid = vmb_dev_uefi_global,
					.attributes = attributes,
					.name = (uint8_t *)name,
					.name_len = sizeof(name),
					.data = data,
					.data_len = sizeof(data),
					.time = { 1, 2, 3 },
					.signer = { 4, 5, 6 } };

	assert_int_equal(vmb_dev_uefi_vars_put(&vars, &var), 0);
}

static void test_written_file_is_read_again(void **state)
{
	put(STAYS, 7);
	assert_int_equal(vmb_dev_uefi_nvram_save(&vars, file), 0);
	assert_int_equal(vmb_dev_uefi_nvram_load(&again, file), 0);
	assert_int_equal(again.count, 1);
	assert_int_equal(again.vars[0].name_len, vars.vars[0].name_len);
	assert_memory_equal(again.vars[0].name, vars.vars[0].name, vars.vars[0].name_len);
	assert_int_equal(again.vars[0].data_len, 3);
	assert_memory_equal(again.vars[0].data, vars.vars[0].data, 3);
	assert_memory_equal(&again.vars[0].guid, &vars.vars[0].guid, 16);
	assert_memory_equal(again.vars[0].time, vars.vars[0].time, 16);
	assert_memory_equal(again.vars[0].signer, vars.vars[0].signer, 32);
	assert_false(again.changed);
}

static void test_volatile_variable_is_not_kept(void **state)
{
	char *text, why[128];

	put(VMB_DEV_UEFI_BOOT, 1);
	text = vmb_dev_uefi_nvram_text(&vars);
	assert_int_equal(vmb_dev_uefi_nvram_parse(&again, text, strlen(text), why, sizeof(why)), 0);
	assert_int_equal(again.count, 0);
	free(text);
}

static void expect_in_use(const char *path)
{
	char *found = vmb_dev_uefi_nvram_find(path);

	assert_non_null(found);
	assert_string_equal(found, file);
	assert_int_equal(vmb_dev_uefi_nvram_lock(found), -EINVAL);
	free(found);
}

/* Also before there is one, and by another name. */
static void test_file_in_use_is_refused(void **state)
{
	char other[112], lock_name[112];
	int lock = vmb_dev_uefi_nvram_lock(file);

	assert_true(lock >= 0);
	expect_in_use(file);
	put(STAYS, 1);
	for (int times = 0; times < 2; times++) {
		assert_int_equal(vmb_dev_uefi_nvram_save(&vars, file), 0);
		expect_in_use(file);
	}
	snprintf(other, sizeof(other), "%s/link", folder);
	assert_int_equal(symlink("nvram", other), 0);
	expect_in_use(other);
	unlink(other);
	vmb_dev_uefi_nvram_unlock(file, lock);
	snprintf(lock_name, sizeof(lock_name), "%s.lock", file);
	assert_int_equal(access(lock_name, F_OK), -1);
	close(creat(lock_name, 0600)); /* of a machine that was killed */
	lock = vmb_dev_uefi_nvram_lock(file);
	assert_true(lock >= 0);
	vmb_dev_uefi_nvram_unlock(file, lock);
}

static void test_place_without_a_folder_is_refused(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/none/nvram", folder);
	assert_null(vmb_dev_uefi_nvram_find(path));
}

static void test_rest_of_an_interrupted_write_does_no_harm(void **state)
{
	FILE *rest = fopen(fresh, "w");

	fputs("half", rest);
	fclose(rest);
	put(STAYS, 1);
	assert_int_equal(vmb_dev_uefi_nvram_save(&vars, file), 0);
	assert_int_not_equal(access(fresh, F_OK), 0);
}

static void test_failed_write_leaves_the_old_file(void **state)
{
	put(STAYS, 1);
	assert_int_equal(vmb_dev_uefi_nvram_save(&vars, file), 0);
	assert_int_equal(mkdir(fresh, 0700), 0); /* no file can be made there */
	put(STAYS, 2);
	assert_int_not_equal(vmb_dev_uefi_nvram_save(&vars, file), 0);
	rmdir(fresh);
	assert_int_equal(vmb_dev_uefi_nvram_load(&again, file), 0);
	assert_int_equal(again.vars[0].data[0], 1);
}

/* The value of the one variable of the file; 0: there is none. */
static uint32_t kept_value(void)
{
	uint32_t value = 0;

	assert_int_equal(vmb_dev_uefi_nvram_load(&again, file), 0);
	if (again.count)
		memcpy(&value, again.vars[0].data, sizeof(value));
	vmb_dev_uefi_vars_clear(&again);
	return value;
}

/* A machine that writes one value after the other, and says of each when it is kept. */
static void write_until_killed(uint32_t value, int kept)
{
	static const uint8_t name[] = { 'A', 0, 0, 0 };
	struct vmb_dev_uefi_var var = { .guid = vmb_dev_uefi_global,
					.attributes = STAYS,
					.name = (uint8_t *)name,
					.name_len = sizeof(name),
					.data = (uint8_t *)&value,
					.data_len = sizeof(value) };
	struct vmb_dev_uefi_writer writer;

	if (vmb_dev_uefi_nvram_load(&vars, file) || vmb_dev_uefi_writer_start(&writer, file))
		_exit(1);
	while (++value) {
		if (vmb_dev_uefi_vars_put(&vars, &var) ||
		    vmb_dev_uefi_writer_save(&writer, &vars) ||
		    write(kept, &value, sizeof(value)) != sizeof(value))
			_exit(1);
	}
}

/*
 * Kills it some writes later, at another moment of a write each time. Returns the last value that it
 * called kept.
 */
static uint32_t kill_while_it_writes(uint32_t value, unsigned int delay_us)
{
	int kept[2], status;
	pid_t child;

	assert_int_equal(pipe(kept), 0);
	child = fork();
	if (!child) {
		close(kept[0]);
		write_until_killed(value, kept[1]);
		_exit(1);
	}
	close(kept[1]);
	assert_int_equal(read(kept[0], &value, sizeof(value)), sizeof(value));
	usleep(delay_us);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(kept[0], &value, sizeof(value)) == sizeof(value))
		;
	close(kept[0]);
	return value;
}

static void test_machine_killed_while_it_writes_leaves_the_old_file_or_the_new(void **state)
{
	uint32_t value = 0, last;

	for (unsigned int i = 0; i < KILLS; i++) {
		last = kill_while_it_writes(value, i * 211);
		value = kept_value();
		assert_in_range(value, last, last + 1);
	}
}

static void test_bad_file_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "line" },
		{ "{", "line" },
		{ "[]", "not a file" },
		{ "{\"format\": \"other\", \"variables\": []}", "not a file" },
		{ "{\"format\": \"openvmbus nvram\", \"version\": 2, \"variables\": []}",
		  "version" },
		{ HEAD "1]}", "variable 0: guid" },
		{ HEAD "{\"guid\": \"8be4df61\"}]}", "variable 0: guid" },
		{ HEAD "{" GUID "}]}", "variable 0: name" },
		{ HEAD "{" GUID ", \"name\": \"\"}]}", "variable 0: name" },
		{ HEAD "{" GUID ", \"name\": \"A\\u0000B\"}]}", "line" },
		{ HEAD "{" GUID ", \"name\": \"\\ud83d\\ude00\"}]}", "variable 0: name" },
		{ HEAD "{" GUID ", \"name\": \"A\"}]}", "variable 0: attributes" },
		{ HEAD "{" GUID ", \"name\": \"A\", \"attributes\": 700, \"data\": \"\"}]}",
		  "variable 0: attributes" },
		{ HEAD "{" GUID ", \"name\": \"A\", \"attributes\": 7, \"data\": \"0\"}]}",
		  "variable 0: data" },
		{ HEAD "{" GUID ", \"name\": \"A\", \"attributes\": 7, \"data\": \"0g\"}]}",
		  "variable 0: data" },
		{ HEAD "{" GUID ", \"name\": \"A\", \"attributes\": 7, \"data\": \"00\", "
		       "\"time\": \"00\"}]}",
		  "variable 0: time" },
	};
	char why[128];

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		assert_int_not_equal(vmb_dev_uefi_nvram_parse(&again, bad[i].text,
							      strlen(bad[i].text), why,
							      sizeof(why)),
				     0);
		if (!strstr(why, bad[i].why))
			fail_msg("%s: %s", bad[i].text, why);
		assert_int_equal(again.count, 0);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_written_file_is_read_again),
		CASE(test_volatile_variable_is_not_kept),
		CASE(test_file_in_use_is_refused),
		CASE(test_place_without_a_folder_is_refused),
		CASE(test_rest_of_an_interrupted_write_does_no_harm),
		CASE(test_failed_write_leaves_the_old_file),
		CASE(test_machine_killed_while_it_writes_leaves_the_old_file_or_the_new),
		CASE(test_bad_file_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
