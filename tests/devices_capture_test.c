// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Captures, read by a reader of this test's own that trusts no length, and by Wireshark's programs
 * where they are installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/capture.h"

#define FILE_MAX (1u << 20)

static char folder[] = "/tmp/vmm-capture-XXXXXX", path[64];
static struct vmb_dev_capture *capture;
static uint64_t len_max = VMB_DEV_CAPTURE_LEN_DEFAULT;
static uint8_t file[FILE_MAX], bytes[70000];
static uint32_t file_len;

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/x.pcapng", folder);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7 + i / 251;
	return 0;
}

static int tear_down(void **state)
{
	vmb_dev_capture_close(capture);
	capture = NULL;
	chmod(folder, 0700);
	unlink(path);
	return rmdir(folder);
}

static void start(void)
{
	assert_int_equal(vmb_dev_capture_open(&capture, path, len_max), 0);
	assert_int_equal(vmb_dev_capture_start(capture), 0);
	assert_int_equal(vmb_dev_capture_interface(capture, "net0", "a card"), 0);
}

/* In pieces that do not fit the format's alignment. */
static void put(uint32_t len, const struct virtio_net_hdr_v1 *header)
{
	struct iovec iov[VMB_DEV_NET_IOV_MAX];
	struct vmb_dev_net_frame frame = { .iov = iov, .len = len };

	if (header)
		frame.header = *header;
	for (uint32_t at = 0, n; at < len; at += n) {
		n = len - at < 999 ? len - at : 999;
		iov[frame.iov_count++] = (struct iovec){ bytes + at, n };
	}
	vmb_dev_capture_frame(capture, 0, &frame,
			      len & 1 ? VMB_DEV_PCAPNG_INBOUND : VMB_DEV_PCAPNG_OUTBOUND);
}

static void read_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	file_len = read(fd, file, sizeof(file));
	assert_true(file_len < sizeof(file));
	close(fd);
}

static uint32_t word(uint32_t at)
{
	uint32_t value;

	assert_true(at + 4 <= file_len);
	memcpy(&value, file + at, 4);
	return value;
}

/*
 * The option's bytes of a block, or NULL; every option must lie inside of it and the list must end.
 */
static const uint8_t *find_option(uint32_t at, uint32_t end, uint32_t code, uint32_t *len)
{
	const uint8_t *found = NULL;
	uint32_t head;

	for (;; at += 4 + ((head >> 16) + 3) / 4 * 4) {
		assert_true(at + 4 <= end);
		head = word(at);
		if (!(head & 0xFFFF))
			break;
		if ((head & 0xFFFF) == code) {
			found = file + at + 4;
			*len = head >> 16;
		}
	}
	assert_int_equal(at + 4, end);
	return found;
}

/* Answers where the block behind the one at "at" begins. */
static uint32_t next(uint32_t at)
{
	uint32_t len = word(at + 4);

	assert_int_equal(len % 4, 0);
	assert_true(len >= 12 && len <= file_len - at);
	assert_int_equal(word(at + len - 4), len);
	return at + len;
}

static uint32_t check_head(void)
{
	uint32_t at, len;

	assert_int_equal(word(0), 0x0A0D0D0A);
	assert_int_equal(word(8), 0x1A2B3C4D);
	assert_int_equal(word(12), 1);
	assert_non_null(find_option(24, next(0) - 4, 4, &len));
	at = next(0);
	assert_int_equal(word(at), 1);
	assert_int_equal(word(at + 8), 1);
	assert_int_equal(*find_option(at + 16, next(at) - 4, 9, &len), 9);
	assert_int_equal(len, 1);
	assert_memory_equal(find_option(at + 16, next(at) - 4, 2, &len), "net0", 4);
	return next(at);
}

/* The packet at "at" is "bytes" up to len. */
static uint32_t check_packet(uint32_t at, uint32_t len)
{
	uint32_t end = next(at), options = at + 28 + (len + 3) / 4 * 4, flags, option_len;
	const uint8_t *found;

	assert_int_equal(word(at), 6);
	assert_int_equal(word(at + 8), 0);
	assert_int_equal(word(at + 20), len);
	assert_int_equal(word(at + 24), len);
	assert_memory_equal(file + at + 28, bytes, len);
	found = find_option(options, end - 4, 2, &option_len);
	assert_int_equal(option_len, 4);
	memcpy(&flags, found, 4);
	assert_int_equal(flags, len & 1 ? 1 : 2);
	return end;
}

static void test_frames_are_in_the_file_with_direction_and_time(void **state)
{
	static const uint32_t lens[] = { 14, 15, 60, 61, 62, 63, 1514, 9014, 65567 };
	uint32_t at;
	uint64_t ns, before = time(NULL);

	start();
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		put(lens[i], NULL);
	read_file(); /* before it is closed: a process that is killed loses nothing */
	at = check_head();
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		ns = (uint64_t)word(at + 12) << 32 | word(at + 16);
		assert_in_range(ns / 1000000000, before, (uint64_t)time(NULL));
		at = check_packet(at, lens[i]);
	}
	assert_int_equal(at, file_len);
}

static void test_unfinished_frames_say_so(void **state)
{
	static const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
							 .gso_size = 1448 };
	static const char text[] = "checksum still open, to be cut into segments of 1448 bytes";
	uint32_t at, len;
	const uint8_t *found;

	start();
	put(3000, &header);
	put(60, NULL);
	read_file();
	at = check_head();
	found = find_option(at + 28 + 3000, next(at) - 4, 1, &len);
	assert_int_equal(len, sizeof(text) - 1);
	assert_memory_equal(found, text, len);
	at = check_packet(at, 3000);
	assert_null(find_option(at + 28 + 60, next(at) - 4, 1, &len));
}

static void test_undone_frame_is_not_in_the_file(void **state)
{
	uint32_t at;

	start();
	put(100, NULL);
	put(3000, NULL);
	vmb_dev_capture_undo(capture);
	vmb_dev_capture_undo(capture); /* once is enough */
	put(60, NULL);
	read_file();
	at = check_packet(check_head(), 100);
	assert_int_equal(check_packet(at, 60), file_len);
}

static void test_open_alone_touches_nothing(void **state)
{
	assert_int_equal(vmb_dev_capture_open(&capture, path, len_max), 0);
	put(60, NULL);
	assert_int_equal(access(path, F_OK), -1);
}

static void write_file(const void *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void test_only_captures_and_empty_files_are_overwritten(void **state)
{
	write_file("not ours, and long", 18);
	assert_int_equal(vmb_dev_capture_open(&capture, path, len_max), -EINVAL);
	write_file("abc", 3);
	assert_int_equal(vmb_dev_capture_open(&capture, path, len_max), -EINVAL);
	assert_null(capture);
	write_file("", 0);
	start();
	put(1000, NULL);
	vmb_dev_capture_close(capture);
	start();
	put(60, NULL);
	read_file();
	assert_int_equal(check_packet(check_head(), 60), file_len);
}

static void test_places_that_cannot_be_written_are_refused(void **state)
{
	assert_int_equal(vmb_dev_capture_open(&capture, folder, len_max), -EINVAL);
	assert_int_equal(vmb_dev_capture_open(&capture, "/dev/null", len_max), -EINVAL);
	assert_int_equal(vmb_dev_capture_open(&capture, "/nowhere/x.pcapng", len_max), -EINVAL);
}

static void test_two_machines_do_not_write_to_one_file(void **state)
{
	struct vmb_dev_capture *second;

	start();
	put(60, NULL);
	assert_int_equal(vmb_dev_capture_open(&second, path, len_max), 0);
	assert_true(vmb_dev_capture_start(second) < 0);
	vmb_dev_capture_close(second);
	read_file();
	assert_int_equal(check_packet(check_head(), 60), file_len);
}

/* What a guest sends is not the host's to keep for ever. */
static void test_file_has_a_bound_and_ends_with_a_whole_frame(void **state)
{
	struct stat about;
	uint32_t at;

	len_max = 3000;
	start();
	for (int i = 0; i < 100; i++)
		put(1000, NULL);
	vmb_dev_capture_undo(capture);
	len_max = VMB_DEV_CAPTURE_LEN_DEFAULT;
	assert_int_equal(stat(path, &about), 0);
	assert_in_range(about.st_size, 2000, 3000);
	read_file();
	at = check_packet(check_head(), 1000);
	assert_int_equal(check_packet(at, 1000), file_len);
}

static void test_file_of_exactly_its_bound_is_whole(void **state)
{
	struct stat about;

	start();
	put(1000, NULL);
	assert_int_equal(stat(path, &about), 0);
	vmb_dev_capture_close(capture);
	len_max = about.st_size;
	start();
	put(1000, NULL);
	put(60, NULL);
	len_max = VMB_DEV_CAPTURE_LEN_DEFAULT;
	read_file();
	assert_int_equal(file_len, about.st_size);
	assert_int_equal(check_packet(check_head(), 1000), file_len);
}

/* A full disk, played by a limit on the file: it ends with the last frame that fits. */
static void test_full_disk_ends_the_file_with_a_whole_frame(void **state)
{
	const struct rlimit small = { 3000, RLIM_INFINITY };
	struct rlimit before;
	uint32_t at;

	start();
	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 5; i++)
		put(1000, NULL);
	setrlimit(RLIMIT_FSIZE, &before);
	put(60, NULL);
	read_file();
	at = check_packet(check_head(), 1000);
	assert_int_equal(check_packet(at, 1000), file_len);
}

/* What a program of Wireshark's prints; NULL: it is not there. */
static const char *ask(const char *format)
{
	static char text[4096];
	char command[512];
	size_t len;
	FILE *pipe;

	snprintf(command, sizeof(command), format, path, folder);
	pipe = popen(command, "r");
	len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = 0;
	return WEXITSTATUS(pclose(pipe)) == 127 ? NULL : text;
}

static void test_wireshark_reads_the_same(void **state)
{
	static const struct virtio_net_hdr_v1 header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	static const uint32_t lens[] = { 60, 1514, 61, 65567 };
	const char *text;

	start();
	for (int i = 0; i < 4; i++)
		put(lens[i], i == 1 ? &header : NULL);
	text = ask("tshark -r %s -T fields -e frame.len -e frame.interface_name "
		   "-e frame.packet_flags_direction -e frame.comment 2>/dev/null");
	if (!text)
		skip();
	assert_string_equal(text, "60\tnet0\t0x00000002\t\n"
				  "1514\tnet0\t0x00000002\tchecksum still open\n"
				  "61\tnet0\t0x00000001\t\n"
				  "65567\tnet0\t0x00000001\t\n");
}

/*
 * The bytes, over Wireshark's converter to the older format: a head of 24 bytes, then 16 before
 * each frame.
 */
static void test_wireshark_converts_the_same_bytes(void **state)
{
	static const uint32_t lens[] = { 60, 1514, 61, 9014 };
	char old[80];
	uint32_t at = 24;
	int fd;

	start();
	for (int i = 0; i < 4; i++)
		put(lens[i], NULL);
	if (!ask("editcap -F pcap %1$s %2$s/old 2>/dev/null"))
		skip();
	snprintf(old, sizeof(old), "%s/old", folder);
	fd = open(old, O_RDONLY | O_CLOEXEC);
	file_len = read(fd, file, sizeof(file));
	close(fd);
	unlink(old);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(word(at + 8), lens[i]);
		assert_int_equal(word(at + 12), lens[i]);
		assert_true(at + 16 + lens[i] <= file_len);
		assert_memory_equal(file + at + 16, bytes, lens[i]);
		at += 16 + lens[i];
	}
	assert_int_equal(at, file_len);
}

/* Killed at any time: what is there are whole blocks, but for a last one that may be cut. */
static void test_killed_process_leaves_a_readable_file(void **state)
{
	struct stat about = { .st_size = 0 };
	uint32_t at, frames;
	pid_t pid;

	for (uint32_t round = 1; round <= 5; round++) {
		pid = fork();
		if (!pid) {
			start();
			for (int i = 0; i < 600; i++)
				put(1514, NULL);
			pause();
		}
		for (int i = 0; i < 5000 && about.st_size < (off_t)round * 100000; i++) {
			usleep(100);
			stat(path, &about);
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		read_file();
		at = check_head();
		for (frames = 0; at + 8 <= file_len && word(at + 4) <= file_len - at; frames++)
			at = check_packet(at, 1514);
		assert_true(frames >= round * 60);
		unlink(path);
		about.st_size = 0;
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_frames_are_in_the_file_with_direction_and_time),
		TEST(test_unfinished_frames_say_so),
		TEST(test_undone_frame_is_not_in_the_file),
		TEST(test_open_alone_touches_nothing),
		TEST(test_only_captures_and_empty_files_are_overwritten),
		TEST(test_places_that_cannot_be_written_are_refused),
		TEST(test_two_machines_do_not_write_to_one_file),
		TEST(test_file_has_a_bound_and_ends_with_a_whole_frame),
		TEST(test_file_of_exactly_its_bound_is_whole),
		TEST(test_full_disk_ends_the_file_with_a_whole_frame),
		TEST(test_wireshark_reads_the_same),
		TEST(test_wireshark_converts_the_same_bytes),
		TEST(test_killed_process_leaves_a_readable_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
