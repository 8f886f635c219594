// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames between both ends of a network card in one process: what the protocol costs when network
 * and machine cost nothing. Each end has a thread; what leaves is counted and forgotten, what
 * arrives is made up. All rows are measured in turn, ROUNDS times, so that what else the machine
 * does meets all of them. A line a row: medians, and the range of the rate. Usage: network_bench
 * [SECONDS [ROUNDS]], SECONDS a row and round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ports/user/network.h"

#define ROUNDS_MAX 99u
#define HEAD_LEN   54u /* Ethernet, IPv4, TCP */
#define LARGE_LEN  (HEAD_LEN + VMB_NET_LSO_LEN_MAX)
#define PAGE_MAX   17u
#define GIVE_MAX   256u /* frames that the source makes up before it reads its ring again */

struct row {
	const char *name;
	bool to_host;
	uint32_t len;
	uint32_t batch; /* frames that the sender has at a time */
	uint16_t queues;
	bool pages; /* to the host: only headers are copied */
};

static const struct row rows[] = {
	{ "to host", true, 64, 1, 1, false },
	{ "to host", true, 64, 8, 1, false },
	{ "to host", true, 64, 32, 1, false },
	{ "to host", true, 64, 1, 2, false },
	{ "to host", true, 64, 32, 2, false },
	{ "to host", true, 1514, 1, 1, false },
	{ "to host", true, 1514, 8, 1, false },
	{ "to host", true, 1514, 32, 1, false },
	{ "to host", true, 1514, 1, 2, false },
	{ "to host", true, 1514, 32, 2, false },
	{ "to host", true, 1514, 32, 1, true },
	{ "to host", true, LARGE_LEN, 1, 1, true },
	{ "to host", true, LARGE_LEN, 8, 1, true },
	{ "to host", true, LARGE_LEN, 8, 2, true },
	{ "to guest", false, 64, 1, 1, false },
	{ "to guest", false, 64, 8, 1, false },
	{ "to guest", false, 64, 32, 1, false },
	{ "to guest", false, 64, 32, 2, false },
	{ "to guest", false, 1514, 1, 1, false },
	{ "to guest", false, 1514, 8, 1, false },
	{ "to guest", false, 1514, 32, 1, false },
	{ "to guest", false, 1514, 32, 2, false },
	{ "to guest", false, LARGE_LEN, 1, 1, false },
	{ "to guest", false, LARGE_LEN, 1, 2, false },
};
#define ROW_COUNT VMB_ARRAY_COUNT(rows)

/* What one round found, each per frame but for the rate. */
enum figure {
	RATE, /* frames a second */
	GUEST_NS,
	HOST_NS,
	TO_HOST_SIGNALS,
	TO_GUEST_SIGNALS,
	COPIES, /* of the frame's bytes */
	/* both ends in turn on one thread: no sleep, no signal, no other CPU's cache */
	ONE_THREAD_NS,
	FIGURE_COUNT,
};

struct bench {
	struct vmb_user_network l;
	const struct row *row;
	uint64_t pfns[PAGE_MAX];
	struct vmb_user_network_range ranges[PAGE_MAX];
	uint32_t range_count;
	bool run; /* atomic */
	uint64_t frames; /* atomic: that came out at the other end */
};

static uint8_t frame_bytes[LARGE_LEN];
static double figures[ROW_COUNT][FIGURE_COUNT][ROUNDS_MAX];

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "network_bench: %s\n", what);
	exit(1);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t thread_time(pthread_t thread)
{
	clockid_t clock;

	check(!pthread_getcpuclockid(thread, &clock), "no CPU clock");
	return read_clock(clock);
}

static void count_frame(struct bench *b)
{
	/* One thread counts. */
	__atomic_store_n(&b->frames, b->frames + 1, __ATOMIC_RELAXED);
}

static void take_sent(struct vmb_user_network *l, const struct vmb_dev_net_frame *frame)
{
	count_frame(l->config.host.arg);
}

static void take_received(struct vmb_user_network_queue *q,
			  const struct vmb_guest_network_frame *frame)
{
	count_frame(q->guest->config.arg);
}

static bool runs(const struct bench *b)
{
	return __atomic_load_n(&b->run, __ATOMIC_ACQUIRE);
}

/* The guest's source: as much as there are slots for. */
static void send_frames(struct vmb_user_network_queue *q)
{
	struct bench *b = q->guest->config.arg;
	const struct row *row = b->row;
	struct vmb_user_network_frame frame = { .bytes = frame_bytes,
						.inline_len = row->pages ? HEAD_LEN : row->len,
						.ranges = b->ranges,
						.range_count = b->range_count };
	uint32_t i = 0;

	if (!row->to_host)
		return;
	frame.rndis.len = row->len;
	if (row->len > 1514) {
		frame.rndis.present = VMB_GUEST_RNDIS_LSO;
		frame.rndis.lso = RNDIS_LSO_V2 | 1460 | 34u << RNDIS_LSO_TCP_OFFSET_SHIFT;
	}
	while (runs(b) && !vmb_user_network_guest_send(q, &frame, ++i % row->batch != 0))
		;
	vmb_user_network_guest_push(q);
}

/* The host's source. */
static bool give_frames(struct vmb_user_network *l)
{
	struct bench *b = l->config.host.arg;
	const struct row *row = b->row;
	struct vmb_host_network_received frame = { .len = row->len,
						   .checksum = RNDIS_RX_CHECKSUM_TCP_OK |
							       RNDIS_RX_CHECKSUM_IP_OK,
						   .mss = row->len > 1514 ? 1460 : 0 };
	struct vmb_host_offload_piece piece = { frame_bytes, row->len };
	uint16_t queue = 0;
	uint32_t i;

	if (row->to_host || !runs(b))
		return false;
	for (i = 1; i <= GIVE_MAX; i++) {
		if (vmb_user_network_give(l, queue, &frame, &piece, 1))
			return false;
		if (i % row->batch)
			continue;
		vmb_user_network_flush(l);
		queue = (uint16_t)((queue + 1) % row->queues);
	}
	return true;
}

static struct vmb_user_network_config configuration(struct bench *b, bool threads)
{
	static const uint8_t mac[6] = { 0x00, 0x15, 0x5D, 1, 2, 3 };
	struct vmb_user_network_config config = {
		.threads = threads,
		.guest = { .queue_count = b->row->queues,
			   .rsc = true,
			   .ring_pages = 128,
			   .receive_len = 16u << 20,
			   .received = take_received,
			   .looked = send_frames,
			   .filter = RNDIS_FILTER_PROMISCUOUS,
			   .arg = b },
		.host = { .network.rndis = { .mtu_max = 1500,
					     .link_speed = 100000000,
					     .offload = VMB_HOST_RNDIS_TX_CHECKSUM |
							VMB_HOST_RNDIS_RX_CHECKSUM |
							VMB_HOST_RNDIS_LSO | VMB_HOST_RNDIS_RSC,
					     .queue_count_max = VMB_USER_NETWORK_QUEUE_MAX },
			  .taken = take_sent,
			  .large = true,
			  .looked = give_frames,
			  .arg = b },
	};

	memcpy(config.host.network.rndis.mac, mac, sizeof(mac));
	return config;
}

/* What is not inline lies in whole pages. */
static void make_pages(struct bench *b)
{
	uint32_t left = b->row->len - HEAD_LEN, i;

	check(vmb_user_memory_alloc(&b->l.bus.machine.memory, b->pfns, PAGE_MAX), "out of memory");
	for (i = 0; b->row->pages && left; i++) {
		b->ranges[i] = (struct vmb_user_network_range){
			.pfn = b->pfns[i], .len = left < VMB_PAGE_LEN ? left : VMB_PAGE_LEN
		};
		left -= b->ranges[i].len;
	}
	b->range_count = i;
}

/* TCP over IPv4 as far as a card looks at it: a large send that is not is refused. */
static void make_frame(uint32_t len)
{
	static const uint8_t head[] = {
		0x00, 0x15, 0x5D, 1, 2,	   4,	 0x00, 0x15, 0x5D, 1, 2, 3, 0x08, 0,
		0x45, 0,    0,	  0, 0,	   0,	 0x40, 0,    64,   6, 0, 0, 10,	  0,
		0,    1,    10,	  0, 0,	   2,	 0,    80,   4,	   0, 0, 0, 0,	  0,
		0,    0,    0,	  0, 0x50, 0x10, 0xFF, 0xFF, 0,	   0, 0, 0,
	};

	memset(frame_bytes, 0, sizeof(frame_bytes));
	if (len <= 1514)
		return;
	memcpy(frame_bytes, head, sizeof(head));
	frame_bytes[16] = (uint8_t)((len - 14) >> 8);
	frame_bytes[17] = (uint8_t)(len - 14);
}

static struct bench *set_up(const struct row *row, bool threads)
{
	struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
	struct vmb_user_network_config config;

	check(b, "out of memory");
	memset(b, 0, sizeof(*b));
	b->row = row;
	make_frame(row->len);
	config = configuration(b, threads);
	check(!vmb_user_network_init(&b->l, &config), "out of memory");
	check(!vmb_user_network_guest_open(&b->l.guest), "the card cannot be opened");
	check(b->l.guest.queue_count == row->queues, "not as many queues as asked for");
	make_pages(b);
	return b;
}

static void tear_down(struct bench *b)
{
	__atomic_store_n(&b->run, false, __ATOMIC_RELEASE);
	check(!vmb_user_network_guest_close(&b->l.guest), "the card cannot be closed");
	vmb_user_memory_free(&b->l.bus.machine.memory, b->pfns, PAGE_MAX);
	check(vmb_user_network_holds_nothing(&b->l), "memory was left behind");
	vmb_user_network_destroy(&b->l);
	free(b);
}

static void start(struct bench *b)
{
	uint32_t i;

	__atomic_store_n(&b->run, true, __ATOMIC_RELEASE);
	for (i = 0; i < b->row->queues; i++)
		vmb_user_network_guest_kick(&b->l.guest.queues[i]);
	if (b->l.config.threads)
		vmb_user_wire_wake(&b->l.wire);
}

static void wait_s(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds,
			      .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

struct reading {
	uint64_t time, guest_time, host_time; /* ns */
	uint64_t frames, to_host, to_guest;
	uint64_t copied_len;
};

static struct reading take_reading(struct bench *b)
{
	struct reading r = { .time = read_clock(CLOCK_MONOTONIC),
			     .guest_time = thread_time(b->l.guest_thread),
			     .host_time = thread_time(b->l.card->worker.thread),
			     .frames = __atomic_load_n(&b->frames, __ATOMIC_RELAXED) };
	struct vmb_user_network_queue *q;
	uint32_t i;

	for (i = 0; i < b->row->queues; i++) {
		q = &b->l.guest.queues[i];
		r.to_host += __atomic_load_n(&q->end.signals, __ATOMIC_RELAXED);
		r.to_guest += vmb_user_network_interrupts(&b->l, i);
		pthread_mutex_lock(&q->lock);
		r.copied_len += q->copied_len;
		pthread_mutex_unlock(&q->lock);
	}
	r.copied_len += b->l.card->counters.copied_bytes;
	return r;
}

static void measure(uint32_t row, uint32_t round, double seconds)
{
	struct bench *b = set_up(&rows[row], true);
	struct reading from, to;
	double frames;
	double *f[FIGURE_COUNT];
	uint32_t i;

	for (i = 0; i < FIGURE_COUNT; i++)
		f[i] = &figures[row][i][round];
	start(b);
	wait_s(seconds / 10);
	from = take_reading(b);
	wait_s(seconds);
	to = take_reading(b);
	frames = (double)(to.frames - from.frames);
	check(frames > 0, "nothing moves");
	*f[RATE] = frames * 1e9 / (double)(to.time - from.time);
	*f[GUEST_NS] = (double)(to.guest_time - from.guest_time) / frames;
	*f[HOST_NS] = (double)(to.host_time - from.host_time) / frames;
	*f[TO_HOST_SIGNALS] = (double)(to.to_host - from.to_host) / frames;
	*f[TO_GUEST_SIGNALS] = (double)(to.to_guest - from.to_guest) / frames;
	*f[COPIES] = (double)(to.copied_len - from.copied_len) / frames / rows[row].len;
	tear_down(b);
}

static void measure_one_thread(uint32_t row, uint32_t round, double seconds)
{
	struct bench *b = set_up(&rows[row], false);
	uint64_t from, to, frames;

	start(b);
	for (from = to = thread_time(pthread_self()); to - from < seconds * 1e8;
	     to = thread_time(pthread_self()))
		vmb_user_network_step(&b->l);
	for (from = to, frames = b->frames; to - from < seconds * 1e9;
	     to = thread_time(pthread_self()))
		vmb_user_network_step(&b->l);
	check(b->frames > frames, "nothing moves");
	figures[row][ONE_THREAD_NS][round] = (double)(to - from) / (double)(b->frames - frames);
	tear_down(b);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Large frames in Gbit/s, others in million frames a second. */
static void report(uint32_t row, uint32_t rounds)
{
	const struct row *r = &rows[row];
	double scale = r->len > 1514 ? r->len * 8 / 1e9 : 1e-6;
	double(*f)[ROUNDS_MAX] = figures[row];
	uint32_t i, middle = rounds / 2;

	for (i = 0; i < FIGURE_COUNT; i++)
		qsort(f[i], rounds, sizeof(f[i][0]), compare);
	printf("%-8s %5u B%s batch %-2u %u queue%s %7.2f (%.2f..%.2f) %s  CPU guest %6.0f host %6.0f ns"
	       "  one thread %6.0f ns  copies %.2f  signals to host %.4f to guest %.4f\n",
	       r->name, r->len, r->pages ? " pages, " : " inline,", r->batch, r->queues,
	       r->queues > 1 ? "s" : " ", f[RATE][middle] * scale, f[RATE][0] * scale,
	       f[RATE][rounds - 1] * scale, r->len > 1514 ? "Gbit/s  " : "Mframe/s",
	       f[GUEST_NS][middle], f[HOST_NS][middle], f[ONE_THREAD_NS][middle], f[COPIES][middle],
	       f[TO_HOST_SIGNALS][middle], f[TO_GUEST_SIGNALS][middle]);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.3;
	uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 5, round, row;

	check(seconds > 0 && rounds && rounds <= ROUNDS_MAX,
	      "usage: network_bench [SECONDS [ROUNDS]]");
	for (round = 0; round < rounds; round++)
		for (row = 0; row < ROW_COUNT; row++) {
			measure(row, round, seconds);
			measure_one_thread(row, round, seconds / 4);
		}
	for (row = 0; row < ROW_COUNT; row++)
		report(row, rounds);
	return 0;
}
