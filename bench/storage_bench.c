// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * 4 KiB reads from a null disk through both ends in one process: what the protocol costs when the
 * disk and the machine cost nothing. One line a queue depth. Usage: storage_bench [SECONDS [US]]
 * US: microseconds that the host's thread looks for requests before it sleeps (--disk-poll).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ports/user/loopback.h"

#define DEPTH_MAX    32u
#define READ_LEN     4096u
#define BLOCK_LEN    512u
#define BLOCK_COUNT  (1u << 21) /* 1 GiB */
#define SAMPLE_COUNT (1u << 22)

struct bench;

struct read {
	struct vmb_user_request request;
	struct bench *bench;
	uint64_t pfn;
	uint64_t begun; /* ns */
};

struct bench {
	struct vmb_user_loopback l;
	struct vmb_user_device *d;
	struct read reads[DEPTH_MAX];
	uint32_t depth;
	uint32_t *latencies; /* ns, the last SAMPLE_COUNT */
	uint64_t count;
	uint64_t random;
	bool stop; /* atomic */
	uint32_t under_way; /* atomic */
};

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "storage_bench: %s\n", what);
	exit(1);
}

static void submit(struct read *r)
{
	struct bench *b = r->bench;
	uint32_t block;

	b->random = b->random * 6364136223846793005ull + 1442695040888963407ull;
	block = (uint32_t)(b->random >> 40) % (BLOCK_COUNT / 8) * 8;
	r->request.storage.cdb[2] = (uint8_t)(block >> 24);
	r->request.storage.cdb[3] = (uint8_t)(block >> 16);
	r->request.storage.cdb[4] = (uint8_t)(block >> 8);
	r->request.storage.cdb[5] = (uint8_t)block;
	r->begun = now();
	check(!vmb_user_guest_submit(b->d, &r->request, true), "a read cannot be sent");
}

static void ended(struct vmb_user_request *request, const struct vmb_guest_storage_event *event)
{
	struct read *r = VMB_CONTAINER_OF(request, struct read, request);
	struct bench *b = r->bench;

	check(event->srb_status == VMB_SRB_SUCCESS && event->data_len == READ_LEN, "a read failed");
	b->latencies[b->count++ % SAMPLE_COUNT] = (uint32_t)(now() - r->begun);
	if (__atomic_load_n(&b->stop, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&b->under_way, 1, __ATOMIC_RELEASE);
	else
		submit(r);
}

/* One signal for all reads that the last look at the ring sent. */
static void looked(struct vmb_user_device *d, void *arg)
{
	vmb_user_guest_publish(d);
}

static void start_reads(struct bench *b)
{
	uint32_t i;

	pthread_mutex_lock(&b->d->rx_lock);
	b->d->looked = looked;
	b->stop = false;
	b->count = 0;
	b->under_way = b->depth;
	for (i = 0; i < b->depth; i++)
		submit(&b->reads[i]);
	vmb_user_guest_publish(b->d);
	pthread_mutex_unlock(&b->d->rx_lock);
}

static void wait_reads(struct bench *b)
{
	struct timespec t = { .tv_nsec = 1000000 };

	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	while (__atomic_load_n(&b->under_way, __ATOMIC_ACQUIRE))
		nanosleep(&t, NULL);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* What the counters and clocks say at one moment. */
struct reading {
	uint64_t time, cpu; /* ns; cpu: of both threads together */
	uint64_t up, down; /* signals */
};

static struct reading take_reading(const struct bench *b)
{
	return (struct reading){ now(), read_clock(CLOCK_PROCESS_CPUTIME_ID),
				 b->l.machine.synic.host_signals,
				 b->l.machine.synic.guest_signals };
}

static void report(struct bench *b, struct reading from, struct reading to)
{
	uint64_t n = b->count < SAMPLE_COUNT ? b->count : SAMPLE_COUNT;
	double count = (double)b->count;

	qsort(b->latencies, n, sizeof(*b->latencies), compare);
	printf("QD%-2u %8.0f reads/s, p50 %.1f us, p99 %.1f us, CPU %.2f us a read; "
	       "signals a read: %.3f to the host, %.3f to the guest\n",
	       b->depth, count * 1e9 / (double)(to.time - from.time), b->latencies[n / 2] / 1000.0,
	       b->latencies[n * 99 / 100] / 1000.0, (double)(to.cpu - from.cpu) / count / 1000.0,
	       (double)(to.up - from.up) / count, (double)(to.down - from.down) / count);
}

static void measure(struct bench *b, uint32_t depth, double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds,
			      .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
	struct reading from = take_reading(b);

	b->depth = depth;
	start_reads(b);
	nanosleep(&t, NULL);
	wait_reads(b);
	report(b, from, take_reading(b));
}

static void prepare(struct bench *b, uint32_t poll_us)
{
	struct vmb_user_loopback_config config = { .threads = true,
						   .guest.ring_pages = 64,
						   .poll_us = poll_us };
	uint32_t i;

	config.disks[0].path = "null:1G";
	b->latencies = malloc(SAMPLE_COUNT * sizeof(*b->latencies));
	check(b->latencies && !vmb_user_loopback_init(&b->l, &config), "out of memory");
	check(!vmb_user_guest_start(&b->l.guest), "the guest cannot connect");
	b->d = vmb_user_guest_device(&b->l.guest);
	check(b->d && !vmb_user_guest_open(&b->l.guest, b->d), "the device cannot be opened");
	for (i = 0; i < DEPTH_MAX; i++) {
		b->reads[i].bench = b;
		check(vmb_user_memory_alloc(&b->l.machine.memory, &b->reads[i].pfn, 1),
		      "out of memory");
		b->reads[i].request.pfns = &b->reads[i].pfn;
		b->reads[i].request.ended = ended;
		b->reads[i].request.storage.cdb_len = 10;
		b->reads[i].request.storage.cdb[0] = 0x28; /* READ(10) */
		b->reads[i].request.storage.cdb[8] = READ_LEN / BLOCK_LEN;
		b->reads[i].request.storage.data_len = READ_LEN;
		b->reads[i].request.storage.direction = VMB_STOR_READ;
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	struct bench *b = calloc(1, sizeof(*b));

	check(b && seconds > 0, "usage: storage_bench [SECONDS [US]]");
	prepare(b, argc > 2 ? (uint32_t)atoi(argv[2]) : 0);
	measure(b, 1, seconds);
	measure(b, 32, seconds);
	vmb_user_loopback_destroy(&b->l);
	free(b->latencies);
	free(b);
	return 0;
}
