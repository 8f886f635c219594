// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host is killed by SIGKILL at random moments, while a guest writes and flushes: whatever a
 * flush promised is in the file, each time.
 *
 * A child process is guest and host, over threads, as they run elsewhere. It writes eight random
 * blocks at a time, each with the number of its round, and flushes while the next eight are under
 * way; through a pipe it says which round a flush has ended for. The parent kills it, and whatever
 * serves its image, and knows from the seed what must be in the file: of each block the last
 * promised round, or a later one that was begun.
 *
 * KILLS=200 SEED=7 build/tests/devices_kill_test kills more often, by other seeds.
 *
 * What it cannot show: the page cache outlives a process, so a flush that never becomes an fdatasync
 * is not found here (tests/simulate_flush_test.c finds it). What is lost is what the host's processes
 * hold: writes that were acknowledged and not done, and tables of an image that its server keeps.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/loopback_bed.h"

#define DISK_LEN    (8u << 20)
#define BLOCK_LEN   4096u
#define BLOCK_COUNT (DISK_LEN / BLOCK_LEN)
#define BATCH	    8u
#define ROUNDS_MAX  4096u
#define FLUSHES_MAX 8u /* that are waited for */
#define KILL_NS_MAX 10000000u
#define WAIT_MS	    60000

static char folder[] = "/tmp/vmb-kill-XXXXXX", path[64], raw[64];
static uint64_t seed;

struct mark {
	uint64_t seed;
	uint32_t block, round;
};

static uint64_t next(uint64_t *random)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return *random >> 33;
}

/* The blocks of a round, which both processes know. */
static void blocks_of(uint64_t life, uint32_t round, uint32_t blocks[BATCH])
{
	uint64_t random = life * 0x9E3779B97F4A7C15ull + round;

	for (uint32_t i = 0; i < BATCH; i++)
		blocks[i] = (uint32_t)(next(&random) % (BLOCK_COUNT / BATCH)) * BATCH + i;
}

/* The child */

struct life {
	struct vmb_user_loopback l;
	struct vmb_user_device *d;
	struct vmb_user_request writes[BATCH], flush;
	uint64_t pfns[BATCH];
};

static bool ended(void *arg)
{
	return ((struct vmb_user_request *)arg)->has_ended;
}

static void submit(struct life *life, struct vmb_user_request *r, uint8_t opcode, uint32_t block,
		   const uint64_t *pfn)
{
	r->storage = (struct vmb_guest_storage_request){ .cdb_len = 10, .timeout_s = 60 };
	loop_cdb(r->storage.cdb, opcode, block * (BLOCK_LEN / LOOP_BLOCK_LEN),
		 pfn ? BLOCK_LEN / LOOP_BLOCK_LEN : 0);
	r->storage.direction = pfn ? VMB_STOR_WRITE : VMB_STOR_NO_DATA;
	r->storage.data_len = pfn ? BLOCK_LEN : 0;
	r->pfns = pfn;
	if (vmb_user_guest_submit(life->d, r, false))
		_exit(3);
}

static void await(struct life *life, struct vmb_user_request *r)
{
	if (vmb_user_guest_wait(&life->l.guest, ended, r) ||
	    r->result.srb_status != VMB_SRB_SUCCESS)
		_exit(4);
}

static void begin_writes(struct life *life, uint64_t number, uint32_t round)
{
	struct mark mark = { .seed = number, .round = round };
	uint32_t blocks[BATCH];
	uint8_t *page;

	blocks_of(number, round, blocks);
	for (uint32_t i = 0; i < BATCH; i++) {
		page = vmb_user_memory_page(&life->l.machine.memory, life->pfns[i]);
		mark.block = blocks[i];
		for (uint32_t at = 0; at < BLOCK_LEN; at += sizeof(mark))
			memcpy(page + at, &mark, sizeof(mark));
		submit(life, &life->writes[i], LOOP_WRITE, blocks[i], &life->pfns[i]);
	}
}

/* Does not return. */
static void live(uint64_t number, const char *format, int out)
{
	struct vmb_user_loopback_config config = {
		.threads = true, .disks = { { .path = path, .format = format, .reconnect_s = 25 } }
	};
	struct life *life = calloc(1, sizeof(*life));
	uint32_t round = 0;

	if (!life || vmb_user_loopback_init(&life->l, &config) ||
	    vmb_user_guest_start(&life->l.guest))
		_exit(1);
	life->d = vmb_user_guest_device(&life->l.guest);
	if (!life->d || vmb_user_guest_open(&life->l.guest, life->d) ||
	    !vmb_user_memory_alloc(&life->l.machine.memory, life->pfns, BATCH))
		_exit(2);
	while (write(out, &round, sizeof(round)) == sizeof(round) && round < ROUNDS_MAX) {
		begin_writes(life, number, round + 1);
		for (uint32_t i = 0; i < BATCH; i++)
			await(life, &life->writes[i]);
		submit(life, &life->flush, 0x35, 0, NULL);
		begin_writes(life, number, round + 2);
		await(life, &life->flush);
		for (uint32_t i = 0; i < BATCH; i++)
			await(life, &life->writes[i]);
		round++;
	}
	pause();
	_exit(0);
}

/* The parent */

static bool read_round(int in, uint32_t *round, int ms)
{
	struct pollfd ready = { .fd = in, .events = POLLIN };

	return poll(&ready, 1, ms) == 1 && read(in, round, sizeof(*round)) == sizeof(*round);
}

/* The first line of a file of a process in /proc, or all of it. Returns its length. */
static size_t read_proc(const char *pid, const char *name, char *text, size_t len)
{
	char file[300];
	ssize_t got;
	int fd;

	snprintf(file, sizeof(file), "/proc/%.200s/%s", pid, name);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	got = fd >= 0 ? read(fd, text, len - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = 0;
	return got > 0 ? (size_t)got : 0;
}

/* The server of an image and its keeper are a process group. */
struct server {
	pid_t group; /* 0: there is none */
	char socket[200]; /* its keeper cannot remove it when it is killed */
};

static void look_at(const char *pid, pid_t host, struct server *server)
{
	char text[4096], *at;
	size_t len = read_proc(pid, "stat", text, sizeof(text));
	int parent = 0;

	at = strrchr(text, ')');
	if (at)
		sscanf(at, ") %*c %d", &parent);
	if (parent == host)
		server->group = atoi(pid);
	if (!server->group || getpgid(atoi(pid)) != server->group)
		return;
	len = read_proc(pid, "cmdline", text, sizeof(text));
	at = memmem(text, len, "--socket=", 9);
	if (at)
		snprintf(server->socket, sizeof(server->socket), "%.199s", at + 9);
}

static struct server find_server(pid_t host)
{
	struct server server = { 0 };
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	/* Twice, for the server may stand before its keeper. */
	for (int pass = 0; proc && pass < 2; pass++, rewinddir(proc))
		while ((entry = readdir(proc)))
			if (atoi(entry->d_name))
				look_at(entry->d_name, host, &server);
	closedir(proc);
	return server;
}

/* Until nothing holds the image: whoever loses his parent is a child of this process. */
static void kill_all(pid_t host, struct server *server)
{
	if (server->group)
		kill(-server->group, SIGKILL);
	kill(host, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (!*server->socket)
		return;
	unlink(server->socket);
	*strrchr(server->socket, '/') = 0;
	rmdir(server->socket);
}

/* Returns the last round that was promised. */
static uint32_t kill_one(uint64_t number, const char *format, uint64_t random)
{
	struct server server = { 0 };
	struct timespec delay;
	uint32_t round = 0;
	int ends[2];
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		live(number, format, ends[1]);
	close(ends[1]);
	assert_true(read_round(ends[0], &round, WAIT_MS)); /* it is open */
	if (format)
		server = find_server(child);
	assert_true(!format || *server.socket);
	for (uint64_t left = next(&random) % (FLUSHES_MAX + 1); left; left--)
		assert_true(read_round(ends[0], &round, WAIT_MS));
	delay = (struct timespec){ .tv_nsec = (long)(next(&random) % KILL_NS_MAX) };
	nanosleep(&delay, NULL);
	kill_all(child, &server);
	while (read_round(ends[0], &round, 0))
		;
	close(ends[0]);
	return round;
}

/*
 * Round r's flush ended before r was said; writes of round r + 2 may be under way at any time until
 * r + 1 is said.
 */
static void check_block(uint64_t number, uint32_t block, uint32_t promised, uint32_t begun,
			const uint8_t *bytes)
{
	struct mark mark;

	for (uint32_t at = 0; at < BLOCK_LEN; at += sizeof(mark)) {
		memcpy(&mark, bytes + at, sizeof(mark));
		if (mark.round < promised || mark.round > begun ||
		    (mark.round && (mark.seed != number || mark.block != block)))
			fail_msg("life %llu: block %u has round %u at byte %u, and %u was promised",
				 (unsigned long long)number, block, mark.round, at, promised);
	}
}

static void check(uint64_t number, const char *format, uint32_t promised)
{
	static uint8_t bytes[DISK_LEN];
	uint32_t last[BLOCK_COUNT] = { 0 }, blocks[BATCH];
	char command[300];
	int fd;

	if (format) {
		snprintf(command, sizeof(command), "qemu-img convert -O raw %s %s", path, raw);
		assert_int_equal(system(command), 0);
	}
	fd = open(format ? raw : path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, bytes, DISK_LEN), DISK_LEN);
	close(fd);
	for (uint32_t round = 1; round <= promised; round++) {
		blocks_of(number, round, blocks);
		for (uint32_t i = 0; i < BATCH; i++)
			last[blocks[i]] = round;
	}
	for (uint32_t block = 0; block < BLOCK_COUNT; block++)
		check_block(number, block, last[block], promised + 2,
			    bytes + (size_t)block * BLOCK_LEN);
}

static void make_image(const char *format)
{
	char command[300];

	unlink(path);
	snprintf(command, sizeof(command), "qemu-img create -q -f %s %s %u",
		 format ? format : "raw", path, DISK_LEN);
	assert_int_equal(system(command), 0);
}

static void kill_often(const char *format, int count)
{
	const char *asked = getenv("KILLS");
	uint64_t promised = 0;
	uint32_t round;

	count = asked ? atoi(asked) : count;
	for (int i = 0; i < count; i++) {
		make_image(format);
		round = kill_one(seed + (uint64_t)i, format, seed + (uint64_t)i);
		check(seed + (uint64_t)i, format, round);
		promised += round;
	}
	print_message("%s: %d kills from seed %llu, %llu flushes\n", format ? format : "raw", count,
		      (unsigned long long)seed, (unsigned long long)promised);
	assert_true(promised); /* there was something to keep */
}

static void test_what_was_flushed_to_a_file_is_there(void **state)
{
	kill_often(NULL, 10);
}

static void test_what_was_flushed_to_an_image_is_there(void **state)
{
	if (system("qemu-nbd --version >/dev/null 2>&1"))
		skip();
	kill_often("qcow2", 5);
}

static int set_up(void **state)
{
	const char *asked = getenv("SEED");

	seed = asked ? strtoull(asked, NULL, 10) : 1;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/disk", folder);
	snprintf(raw, sizeof(raw), "%s/raw", folder);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	unlink(raw);
	return rmdir(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_flushed_to_a_file_is_there),
		TEST(test_what_was_flushed_to_an_image_is_there),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
