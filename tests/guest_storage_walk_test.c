// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Storage under a host that sends anything, and a completion that races with a time-out. */
#include "tests/guest_storage_bed.h"

#include <pthread.h>
#include <stdio.h>

#define STEPS 200000u
#define RACES 20000u

static uint32_t draw(uint32_t *random, uint32_t below)
{
	*random = *random * 1664525u + 1013904223u;
	return (*random >> 8) % below;
}

struct walk {
	struct bench b;
	uint32_t random;
	bool held[SLOTS]; /* the host has a request of this slot */
	bool waited[SLOTS]; /* and the port waits for it */
	uint64_t ids[SLOTS];
	uint32_t lens[SLOTS];
	uint32_t ended[2]; /* completions that the host owed, and wild ones */
};

static void walk_submit(struct walk *w)
{
	uint32_t slot = draw(&w->random, SLOTS);
	int error;

	make_read(&w->b)->data_len = 1 + draw(&w->random, 0x40000);
	w->b.request.cookie = &w->ids[slot];
	error = submit(&w->b, slot);
	assert_int_equal(error, w->held[slot] ? VMB_EBUSY : 0);
	if (error)
		return;
	w->held[slot] = true;
	w->waited[slot] = true;
	w->ids[slot] = w->b.packet.transaction_id;
	w->lens[slot] = w->b.request.data_len;
}

static void walk_abandon(struct walk *w)
{
	uint32_t slot = draw(&w->random, SLOTS);

	assert_int_equal(vmb_guest_storage_abandon(&w->b.s, slot), w->waited[slot]);
	w->waited[slot] = false;
}

/* A packet of any bytes; half of them under an id that was given out once. */
static void walk_host(struct walk *w)
{
	uint32_t slot = draw(&w->random, SLOTS);
	uint64_t id = draw(&w->random, 2) ? w->ids[slot] : draw(&w->random, SLOTS + 2);
	uint16_t type = draw(&w->random, 4) ? COMPLETION : (uint16_t)draw(&w->random, 14);
	uint32_t len = draw(&w->random, 8) ? 64 : draw(&w->random, 81);
	bool owed;
	uint32_t i;

	for (i = 0; i < sizeof(w->b.in); i++)
		w->b.in[i] = (uint8_t)draw(&w->random, 256);
	put(w->b.in, 0, draw(&w->random, 4) ? 1 : draw(&w->random, 16), 4);
	owed = type == COMPLETION && len >= 64 && get(w->b.in, 0, 4) == 1 && w->held[slot] &&
	       id == w->ids[slot];
	deliver(&w->b, type, id, len);
	if (w->b.event.type != VMB_GUEST_STORAGE_COMPLETED) {
		assert_false(owed);
		w->ended[1]++;
		return;
	}
	slot = w->b.event.slot;
	assert_true(owed || id == w->ids[slot]);
	assert_true(w->held[slot]);
	assert_ptr_equal(w->b.event.cookie, w->waited[slot] ? &w->ids[slot] : NULL);
	assert_in_range(w->b.event.data_len, 0, w->lens[slot]);
	assert_in_range(w->b.event.sense_len, 0, 20);
	assert_in_range(w->b.event.srb_status, 1, 0x3F);
	w->held[slot] = false;
	w->waited[slot] = false;
	w->ended[0]++;
}

static void test_each_request_ends_once_whatever_comes(void **state)
{
	struct walk w = { .random = 7 };
	uint32_t i;

	bench_ready(&w.b, 0x602);
	for (i = 0; i < STEPS; i++) {
		switch (draw(&w.random, 8)) {
		case 0:
		case 1: walk_submit(&w); break;
		case 2: walk_abandon(&w); break;
		default: walk_host(&w); break;
		}
		assert_int_equal(w.b.s.state, VMB_GUEST_STORAGE_READY);
	}
	printf("# %u completions, %u packets refused or of no interest\n", w.ended[0], w.ended[1]);
	assert_in_range(w.ended[0], 1000, STEPS);
	assert_in_range(w.ended[1], 1000, STEPS);
}

/* A handshake that anything may happen to ends in a state that is one. */
static void test_handshake_survives_anything(void **state)
{
	uint32_t random = 3, failed = 0, ready = 0, walk, i, j;
	const struct vmb_guest_storage_output *out;
	struct bench b;

	for (walk = 0; walk < 3000; walk++) {
		bench_init(&b, 0, 0);
		assert_int_equal(vmb_guest_storage_start(&b.s), 0);
		for (i = 0; i < 40; i++) {
			out = vmb_guest_storage_output(&b.s);
			if (out) {
				b.out_id = out->transaction_id;
				vmb_guest_storage_output_done(&b.s);
			}
			for (j = 0; j < sizeof(b.in); j++)
				b.in[j] = (uint8_t)draw(&random, 256);
			put(b.in, 0, draw(&random, 2) ? 1 : draw(&random, 16), 4);
			put(b.in, 8, draw(&random, 4) ? 0 : 0xC0000059, 4);
			deliver(&b, draw(&random, 8) ? COMPLETION : INBAND,
				draw(&random, 8) ? b.out_id : draw(&random, 3), 64);
		}
		failed += b.s.state == VMB_GUEST_STORAGE_FAILED;
		ready += b.s.state == VMB_GUEST_STORAGE_READY;
		if (b.s.state == VMB_GUEST_STORAGE_READY) {
			assert_in_range(b.s.max_transfer_len, 4096, 8 << 20);
			assert_int_equal(b.s.max_transfer_len % 4096, 0);
		}
	}
	printf("# %u ready, %u failed\n", ready, failed);
	assert_in_range(ready, 100, 3000);
	assert_in_range(failed, 100, 3000);
}

struct race {
	struct bench b;
	pthread_barrier_t barrier;
	uint32_t abandoned;
};

static void *time_out(void *arg)
{
	struct race *r = arg;
	uint32_t i;

	for (i = 0; i < RACES; i++) {
		pthread_barrier_wait(&r->barrier);
		r->abandoned += vmb_guest_storage_abandon(&r->b.s, 0);
		pthread_barrier_wait(&r->barrier);
	}
	return NULL;
}

static void test_completion_or_time_out_wins_never_both(void **state)
{
	uint32_t completed = 0, freed = 0, i;
	struct race r = { 0 };
	pthread_t thread;

	bench_ready(&r.b, 0x602);
	assert_int_equal(pthread_barrier_init(&r.barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, time_out, &r), 0);
	for (i = 0; i < RACES; i++) {
		submit_read(&r.b, 0);
		say_complete(&r.b, 1, 0, 8192);
		pthread_barrier_wait(&r.barrier);
		assert_int_equal(complete(&r.b), 0);
		completed += r.b.event.cookie != NULL;
		freed += r.b.event.cookie == NULL;
		pthread_barrier_wait(&r.barrier);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&r.barrier);
	printf("# %u completed, %u timed out\n", completed, freed);
	assert_int_equal(r.abandoned, freed);
	assert_int_equal(completed + freed, RACES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_ends_once_whatever_comes),
		cmocka_unit_test(test_handshake_survives_anything),
		cmocka_unit_test(test_completion_or_time_out_wins_never_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
