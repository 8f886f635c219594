// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Network: sender and poll on two processors. The host is part of the poll: it ends what was sent
 * in its own order, and also guesses. Each packet ends exactly once, on one side or the other.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/guest_network_bed.h"

#define PACKETS 20000u
#define LINE	8u /* packets between the two, a power of two */

struct race {
	struct bench b;
	/*
	 * what is on its way to the host: written by the sender up to put, read by the host up to
	 * got
	 */
	uint64_t line[LINE];
	uint32_t line_put, line_got;
	uint32_t done; /* the sender has ended */
	/* each packet's fate, by its number, which is its cookie */
	uint8_t ended[PACKETS];
	uint32_t refused, guessed, unsealed;
};

static void end(struct race *race, const void *cookie)
{
	uint32_t number = (uint32_t)(uintptr_t)cookie;

	assert_true(number && number <= PACKETS);
	assert_int_equal(race->ended[number - 1]++, 0);
}

static void host_says(struct race *race, uint64_t id)
{
	struct vmb_guest_network_event event;
	uint8_t complete[8];

	put(complete, 0, 108, 4);
	put(complete, 4, 1, 4);
	if (vmb_guest_network_input(&race->b.n, &race->b.q, COMPLETION, id, complete, 8, &event)) {
		race->refused++;
		return;
	}
	assert_int_equal(event.frame_count, 1);
	assert_int_equal(event.byte_count, 60);
	end(race, event.cookie);
}

/* Ends packets, from time to time one that has not left, and says some of it twice. */
static void *poll(void *of)
{
	struct race *race = of;
	uint32_t random = 1, last;
	uint64_t id = 1;

	do {
		last = vmb_load_acquire_u32(&race->done);
		while (race->line_got != vmb_load_acquire_u32(&race->line_put)) {
			id = race->line[race->line_got % LINE];
			vmb_store_release_u32(&race->line_got, race->line_got + 1);
			host_says(race, id);
			random = random * 1103515245 + 12345;
			if (!(random >> 16 & 7))
				host_says(race, id);
		}
		host_says(race, id + (1ull << 32)); /* this slot's next use */
		race->guessed++;
		sched_yield();
	} while (!last);
	return NULL;
}

/* Whether the ring takes a packet; full: it may never. */
static bool line_put(struct race *race, uint64_t id)
{
	if (race->line_put - vmb_load_acquire_u32(&race->line_got) == LINE)
		return false;
	race->line[race->line_put % LINE] = id;
	vmb_store_release_u32(&race->line_put, race->line_put + 1);
	return true;
}

static void send_one(struct race *race, uint32_t number)
{
	struct vmb_guest_rndis_frame frame = { .len = 60 };
	struct vmb_guest_network_queue *q = &race->b.q;
	struct vmb_guest_network_packet packet;
	void *at;
	int err;

	while ((err = vmb_guest_network_put(q, &frame, 60, &at)) == VMB_EAGAIN)
		sched_yield();
	assert_int_equal(err, 0);
	memset(at, 0xAB, 60);
	q->slots[q->filling].cookie = (void *)(uintptr_t)number;
	assert_true(vmb_guest_network_seal(q, &packet));
	assert_true(packet.slot < SLOTS);
	if (number % 5 && line_put(race, packet.transaction_id))
		return;
	if (vmb_guest_network_unseal(q, packet.slot)) {
		race->unsealed++;
		assert_int_equal(race->ended[number - 1]++, 0);
	}
}

static void test_each_packet_ends_once(void **state)
{
	static struct race race;
	pthread_t thread;
	uint32_t i;

	bench_ready_with(&race.b, 0x60001);
	assert_int_equal(pthread_create(&thread, NULL, poll, &race), 0);
	for (i = 0; i < PACKETS; i++)
		send_one(&race, i + 1);
	vmb_store_release_u32(&race.done, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(vmb_guest_network_idle(&race.b.q));
	for (i = 0; i < PACKETS; i++)
		assert_int_equal(race.ended[i], 1);
	assert_int_equal(race.b.q.counters.forged, race.refused);
	assert_true(race.unsealed && race.guessed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_packet_ends_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
