// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What recording costs: 4 KiB reads from a null disk through both ends in one thread, without a
 * recording and with one. Usage: trace_bench [READS [off|on]]; with off or on only that is run, so
 * that instructions can be counted: valgrind --tool=callgrind build/benches/trace_bench 20000 off
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/trace.h"
#include "ports/user/loopback.h"

#define READ_LEN 4096u

static struct vmb_user_loopback loopback;
static struct vmb_dev_trace trace;

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "trace_bench: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double run(struct vmb_user_device *d, uint32_t count)
{
	static const uint8_t cdb[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vmb_guest_storage_event event;
	uint8_t data[READ_LEN];
	double begun = now();

	for (uint32_t i = 0; i < count; i++)
		check(!vmb_user_loopback_scsi(&loopback, d, 0, cdb, sizeof(cdb), VMB_STOR_READ,
					      data, sizeof(data), &event),
		      "a read failed");
	return (now() - begun) / count;
}

static void run_recorded(struct vmb_user_device *d, uint32_t count)
{
	char path[] = "/tmp/trace_bench-XXXXXX";
	const struct vmb_dev_trace_config config = { .path = path, .snap = 256 };
	int fd = mkstemp(path);
	double ns;

	check(fd >= 0, "no file in /tmp");
	close(fd);
	vmb_dev_trace_init(&trace);
	check(!vmb_dev_trace_start(&trace, &config), "no recording");
	vmb_dev_trace_attach(&trace, loopback.machine.bus);
	ns = run(d, count);
	vmb_dev_trace_detach(loopback.machine.bus);
	vmb_dev_trace_destroy(&trace);
	unlink(path);
	printf("a read of 4 KiB, recorded       %8.0f ns\n", ns);
}

int main(int argc, char **argv)
{
	struct vmb_user_loopback_config config = { .disks[0].path = "null:64M" };
	uint32_t count = argc > 1 ? atoi(argv[1]) : 100000;
	struct vmb_user_device *d;

	check(!vmb_user_loopback_init(&loopback, &config), "no memory");
	check(!vmb_user_guest_start(&loopback.guest), "no connection");
	d = vmb_user_guest_device(&loopback.guest);
	check(d && !vmb_user_guest_open(&loopback.guest, d), "the channel does not open");
	if (argc < 3 || strcmp(argv[2], "off") == 0)
		printf("a read of 4 KiB, not recorded   %8.0f ns\n", run(d, count));
	if (argc < 3 || strcmp(argv[2], "on") == 0)
		run_recorded(d, count);
	vmb_user_loopback_destroy(&loopback);
	return 0;
}
