// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * 4 KiB reads at random places through libblkio from a vhost-user-blk server, as the guest of such
 * a disk would do them: what storage_bench is compared with. It sleeps until a read has ended.
 * Usage: vhost_user_blk SOCKET DEPTH SECONDS; prints reads a second.
 */
#include <blkio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READ_LEN  4096u
#define DEPTH_MAX 64u

struct client {
	struct blkio *blkio;
	struct blkioq *queue;
	struct blkio_mem_region memory;
	uint64_t blocks, random;
};

static void check(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "vhost_user_blk: %s: %s (%s)\n", what, strerror(-error),
		blkio_get_error_msg());
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void submit(struct client *c, uintptr_t place)
{
	c->random = c->random * 6364136223846793005u + 1442695040888963407u;
	blkioq_read(c->queue, (c->random >> 33) % c->blocks * READ_LEN,
		    (char *)c->memory.addr + place * READ_LEN, READ_LEN, (void *)place, 0);
}

static void connect_to(struct client *c, const char *path, uint32_t depth)
{
	uint64_t capacity;

	check(blkio_create("virtio-blk-vhost-user", &c->blkio), "create");
	check(blkio_set_str(c->blkio, "path", path), "path");
	check(blkio_connect(c->blkio), "connect");
	check(blkio_start(c->blkio), "start");
	check(blkio_get_uint64(c->blkio, "capacity", &capacity), "capacity");
	c->blocks = capacity / READ_LEN;
	check(blkio_alloc_mem_region(c->blkio, &c->memory, depth * READ_LEN), "memory");
	check(blkio_map_mem_region(c->blkio, &c->memory), "map");
	c->queue = blkio_get_queue(c->blkio, 0);
}

/* Takes what has ended, at least one, and submits as many. Returns how many. */
static uint64_t turn(struct client *c, uint32_t depth)
{
	struct blkio_completion ended[DEPTH_MAX];
	int count = blkioq_do_io(c->queue, ended, 1, (int)depth, NULL);

	check(count < 0 ? count : 0, "do_io");
	for (int i = 0; i < count; i++) {
		check(ended[i].ret, "read");
		submit(c, (uintptr_t)ended[i].user_data);
	}
	return (uint64_t)count;
}

int main(int argc, char **argv)
{
	struct client c = { .random = 1 };
	uint32_t depth = argc == 4 ? (uint32_t)atoi(argv[2]) : 0;
	double seconds = argc == 4 ? atof(argv[3]) : 0, began;
	uint64_t reads = 0;

	if (!depth || depth > DEPTH_MAX || seconds <= 0) {
		fprintf(stderr, "usage: vhost_user_blk SOCKET DEPTH SECONDS\n");
		return 2;
	}
	connect_to(&c, argv[1], depth);
	for (uint32_t i = 0; i < depth; i++)
		submit(&c, i);
	began = now();
	while (now() < began + seconds)
		reads += turn(&c, depth);
	printf("%.0f\n", (double)reads / (now() - began));
	fflush(stdout);
	_Exit(0); /* reads are still under way */
}
