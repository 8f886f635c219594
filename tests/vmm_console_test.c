// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The console with readers that read, pause, go away and come back, and the terminal's input. No
 * guest: what it prints is put here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/console.h"
#include "vmm/machine.h"

#define LIMIT_S 30 /* whatever waits for ever ends the test by SIGALRM */

static int poll_timeout = -1;
static struct vmb_vmm_machine machine;
static struct vmb_vmm_console console;
static char path[] = "/tmp/vmm-console-XXXXXX";
static int wake, ends[2];

/* Standard output is cmocka's, so the console gets a descriptor of its own. */
static void start_on(int out)
{
	assert_int_equal(vmb_vmm_console_open(&console, NULL, wake), 0);
	console.out_fd = out;
	console.in_fd = -1;
	assert_int_equal(vmb_vmm_console_start(&console), 0);
}

static void start_on_pipe(int flags)
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
	start_on(ends[1]);
}

static uint8_t byte_at(uint64_t i)
{
	return i ^ i >> 8 ^ i >> 16;
}

static void put(uint64_t from, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		vmb_vmm_console_put(&console, byte_at(from + i));
}

static void expect_bytes(int fd, uint64_t from, uint64_t len)
{
	static uint8_t bytes[65536];
	ssize_t got;

	while (len) {
		got = read(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes));
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(bytes[i], byte_at(from++));
		len -= got;
	}
}

/*
 * Until the writer has filled the pipe and waits: then only what is in the buffer can still be
 * taken.
 */
static uint64_t fill_pipe(void)
{
	uint64_t put_len = 0, room = fcntl(ends[1], F_GETPIPE_SZ);

	while (!vmb_vmm_console_busy(&console))
		put(put_len++, 1);
	assert_true(put_len >= VMB_VMM_CONSOLE_BUFFER_LEN);
	assert_true(put_len <= VMB_VMM_CONSOLE_BUFFER_LEN + room);
	return put_len;
}

static int set_up(void **state)
{
	alarm(LIMIT_S);
	memset(&machine, 0, sizeof(machine));
	machine.console = &console;
	wake = eventfd(0, EFD_NONBLOCK);
	machine.wake = wake;
	vmb_vmm_vcpu_signals();
	return wake < 0;
}

static int tear_down(void **state)
{
	close(wake);
	alarm(0);
	return 0;
}

static void test_what_is_printed_is_read_in_order(void **state)
{
	const uint64_t len = 3 * VMB_VMM_CONSOLE_BUFFER_LEN;

	start_on_pipe(0);
	for (uint64_t at = 0; at < len; at += 4096) {
		put(at, 4096);
		expect_bytes(ends[0], at, 4096);
	}
	vmb_vmm_console_close(&console);
	assert_int_equal(console.dropped, 0);
	close(ends[0]);
}

static void test_a_reader_that_pauses_holds_nobody_up(void **state)
{
	uint64_t len, one;

	start_on_pipe(0);
	len = fill_pipe();
	assert_true(read(wake, &one, sizeof(one)) < 0);
	expect_bytes(ends[0], 0, len); /* and then it reads on */
	assert_false(vmb_vmm_console_busy(&console));
	assert_true(read(wake, &one, sizeof(one)) == sizeof(one));
	put(len, 100);
	expect_bytes(ends[0], len, 100);
	vmb_vmm_console_close(&console);
	assert_int_equal(console.dropped, 0);
	close(ends[0]);
}

static void test_a_reader_that_is_gone_for_long_is_not_waited_for(void **state)
{
	uint64_t len;

	start_on_pipe(0);
	len = fill_pipe();
	pthread_mutex_lock(&console.lock);
	console.moved_at -= VMB_VMM_CONSOLE_PATIENCE;
	pthread_mutex_unlock(&console.lock);
	assert_false(vmb_vmm_console_busy(&console));
	while (!console.dropped)
		put(len++, 1);
	put(len, 1000);
	assert_int_equal(console.dropped, 1001);
	vmb_vmm_console_close(&console); /* ends, and counts what nobody took */
	assert_true(console.dropped >= VMB_VMM_CONSOLE_BUFFER_LEN);
	close(ends[0]);
	close(ends[1]);
}

static void test_a_descriptor_that_does_not_block_loses_nothing(void **state)
{
	const uint64_t len = 8 * 65536;

	start_on_pipe(O_NONBLOCK);
	put(0, len);
	poll(NULL, 0, 50); /* it has met a full pipe by now, or will: both must be right */
	expect_bytes(ends[0], 0, len);
	vmb_vmm_console_close(&console);
	assert_int_equal(console.dropped, 0);
	close(ends[0]);
}

static void test_a_reader_that_went_away_is_forgotten(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	start_on_pipe(0);
	close(ends[0]);
	put(0, 10);
	while (!__atomic_load_n(&console.gone, __ATOMIC_SEQ_CST))
		poll(NULL, 0, 1);
	put(0, 2 * VMB_VMM_CONSOLE_BUFFER_LEN);
	assert_false(vmb_vmm_console_busy(&console));
	vmb_vmm_console_close(&console);
}

static void make_path(void)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "kept", 4), 4);
	close(fd);
}

static off_t file_len(void)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void test_a_file_is_touched_only_when_the_machine_starts(void **state)
{
	make_path();
	assert_int_equal(vmb_vmm_console_open(&console, path, wake), 0);
	assert_int_equal(file_len(), 4);
	assert_int_equal(vmb_vmm_console_start(&console), 0);
	assert_int_equal(file_len(), 0);
	vmb_vmm_console_close(&console);
	unlink(path);
	assert_int_equal(vmb_vmm_console_open(&console, path, wake), 0);
	assert_int_equal(file_len(), -1);
	assert_int_equal(vmb_vmm_console_start(&console), 0);
	assert_int_equal(file_len(), 0);
	vmb_vmm_console_close(&console);
	unlink(path);
}

/* As a program does that rotates logs. */
static void test_a_file_that_was_shortened_gets_no_hole(void **state)
{
	make_path();
	assert_int_equal(vmb_vmm_console_open(&console, path, wake), 0);
	assert_int_equal(vmb_vmm_console_start(&console), 0);
	put(0, 1000);
	vmb_vmm_console_drain(&console);
	assert_int_equal(truncate(path, 0), 0);
	put(0, 10);
	vmb_vmm_console_close(&console);
	assert_int_equal(file_len(), 10);
	unlink(path);
}

static void test_a_pipe_by_name_that_nobody_reads_is_refused(void **state)
{
	make_path();
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(vmb_vmm_console_open(&console, path, wake), -ENXIO);
	unlink(path);
}

/* Poll says "readable" for ever where somebody hung up. */
static void test_input_that_hung_up_is_not_polled(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), other;

	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(other >= 0);
	vmb_vmm_serial_create(&machine.serial, &machine);
	start_on_pipe(0);
	console.in_fd = other;
	assert_int_equal(vmb_vmm_console_poll_fd(&console, &machine, &poll_timeout), other);
	close(terminal);
	vmb_vmm_console_input(&console, &machine);
	assert_int_equal(vmb_vmm_console_poll_fd(&console, &machine, &poll_timeout), -1);
	vmb_vmm_console_close(&console);
	vmb_vmm_serial_destroy(&machine.serial);
	close(ends[0]);
	close(other);
}

/* A socket, and who reads it */

static char folder[] = "/tmp/vmm-console-XXXXXX", at[80];

static void start_on_socket(void)
{
	assert_non_null(mkdtemp(folder));
	snprintf(at, sizeof(at), "%s%s/socket", VMB_VMM_CONSOLE_SOCKET, folder);
	vmb_vmm_serial_create(&machine.serial, &machine);
	assert_int_equal(vmb_vmm_console_open(&console, at, wake), 0);
	assert_int_equal(vmb_vmm_console_start(&console), 0);
	signal(SIGPIPE, SIG_IGN);
}

static void end_socket(void)
{
	vmb_vmm_console_close(&console);
	vmb_vmm_serial_destroy(&machine.serial);
	assert_int_equal(rmdir(folder), 0); /* the socket is gone */
	strcpy(folder, "/tmp/vmm-console-XXXXXX");
}

/* In the main thread's place, until nothing comes for a while. */
static void look(int ms)
{
	struct pollfd fd = { .events = POLLIN };

	do {
		fd.fd = vmb_vmm_console_poll_fd(&console, &machine, &poll_timeout);
		if (poll(&fd, 1, ms) == 1)
			vmb_vmm_console_input(&console, &machine);
	} while (fd.revents);
}

static int connect_reader(void)
{
	struct sockaddr_un address;
	int fd = vmb_dev_socket_create(&address, at + strlen(VMB_VMM_CONSOLE_SOCKET), SOCK_STREAM);

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	look(10);
	return fd;
}

static void test_a_late_client_gets_the_newest(void **state)
{
	const uint64_t more = 5000, all = VMB_VMM_CONSOLE_BUFFER_LEN + more;
	int fd;

	start_on_socket();
	put(0, all);
	assert_false(vmb_vmm_console_busy(&console)); /* nobody is waited for */
	fd = connect_reader();
	expect_bytes(fd, more, VMB_VMM_CONSOLE_BUFFER_LEN);
	put(all, 100);
	expect_bytes(fd, all, 100);
	close(fd);
	end_socket();
}

static void test_a_client_goes_and_the_next_one_comes(void **state)
{
	int fd;

	start_on_socket();
	for (uint32_t round = 0; round < 5; round++) {
		fd = connect_reader();
		put(round * 1000, 1000);
		expect_bytes(fd, round * 1000, 1000);
		close(fd);
		while (vmb_vmm_console_poll_fd(&console, &machine, &poll_timeout) !=
		       console.socket.fd)
			look(10);
	}
	put(5000, 1000); /* while nobody is there */
	fd = connect_reader();
	expect_bytes(fd, 5000, 1000);
	close(fd);
	end_socket();
}

static void test_a_client_types(void **state)
{
	uint32_t room;
	int fd;

	start_on_socket();
	fd = connect_reader();
	room = vmb_vmm_serial_room(&machine.serial);
	assert_int_equal(write(fd, "\x1dq", 2), 2); /* no escape key here */
	look(10);
	assert_int_equal(vmb_vmm_serial_room(&machine.serial), room - 2);
	assert_int_equal(vmb_vmm_power_outcome(&machine), VMB_VMM_RUNNING);
	close(fd);
	end_socket();
}

static void test_two_consoles_get_the_same(void **state)
{
	static struct vmb_vmm_console log;
	char name[] = "/tmp/vmm-console-XXXXXX";
	int file = mkstemp(name);

	assert_true(file >= 0);
	start_on_pipe(0);
	assert_int_equal(vmb_vmm_console_open(&log, name, wake), 0);
	assert_int_equal(vmb_vmm_console_start(&log), 0);
	console.also = &log;
	put(0, 10000);
	expect_bytes(ends[0], 0, 10000);
	vmb_vmm_console_close(&console);
	expect_bytes(file, 0, 10000);
	close(ends[0]);
	close(file);
	unlink(name);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_printed_is_read_in_order),
		TEST(test_a_reader_that_pauses_holds_nobody_up),
		TEST(test_a_reader_that_is_gone_for_long_is_not_waited_for),
		TEST(test_a_descriptor_that_does_not_block_loses_nothing),
		TEST(test_a_reader_that_went_away_is_forgotten),
		TEST(test_a_file_is_touched_only_when_the_machine_starts),
		TEST(test_a_file_that_was_shortened_gets_no_hole),
		TEST(test_a_pipe_by_name_that_nobody_reads_is_refused),
		TEST(test_input_that_hung_up_is_not_polled),
		TEST(test_a_late_client_gets_the_newest),
		TEST(test_a_client_goes_and_the_next_one_comes),
		TEST(test_a_client_types),
		TEST(test_two_consoles_get_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
