// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Threads that run one at a time in an order that the seed decides, so that a failed test can be
 * repeated exactly.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include "tests/linux/sched.h"

#define THREADS_MAX 64
#define STEPS_MAX   (100u << 20)
#define TICKS_MAX   (90ull * 86400 * 250) /* three months */
#define STACK_LEN   (256u << 10)

enum state {
	UNUSED,
	READY,
	WAITING,
	ENDED,
};

struct thread {
	enum state state;
	const char *name;
	const char *where;
	const void *key;
	uint64_t deadline;
	bool woken;
	void (*fn)(void *argument);
	void *argument;
	ucontext_t context;
	/* from malloc(), so that LeakSanitizer looks for pointers in it; kept for the next */
	char *stack;
	void *sanitizer; /* what it knows of this thread */
	char local[SCHED_LOCAL_LEN];
};

/*
 * Tells ThreadSanitizer of a switch to another stack. The flag says that the switch orders no
 * memory accesses.
 */
#if defined(SHIM_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned int flags);
void __tsan_switch_to_fiber(void *fiber, unsigned int flags);
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define NO_SYNC 1
#elif defined(SHIM_ASAN)
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
#endif

static struct {
	struct thread threads[THREADS_MAX];
	uint64_t now, steps, random;
	uint32_t odds; /* one step in this many switches to another thread */
	bool seeded;
	const void *first_stack; /* the process' own */
	size_t first_stack_len;
} sched;
static struct thread *self;

static uint32_t next_random(void)
{
	sched.random ^= sched.random << 13;
	sched.random ^= sched.random >> 7;
	sched.random ^= sched.random << 17;
	return (uint32_t)(sched.random >> 16);
}

uint32_t sched_random(uint32_t bound)
{
	return sched.seeded && bound ? next_random() % bound : 0;
}

static void give_up(const char *why)
{
	const struct thread *t;

	fprintf(stderr, "# %s at tick %llu:\n", why, (unsigned long long)sched.now);
	for (t = sched.threads; t < sched.threads + THREADS_MAX; t++)
		if (t->state == WAITING || t->state == READY)
			fprintf(stderr, "#   %s: %s\n", t->name,
				t->state == READY ? "can run" : t->where);
	fflush(NULL);
	_exit(3);
}

static void before_switch(struct thread *from, struct thread *to)
{
#if defined(SHIM_TSAN)
	__tsan_switch_to_fiber(to->sanitizer, NO_SYNC);
#elif defined(SHIM_ASAN)
	__sanitizer_start_switch_fiber(&from->sanitizer, to->stack ? to->stack : sched.first_stack,
				       to->stack ? STACK_LEN : sched.first_stack_len);
#endif
}

static void after_switch(struct thread *to)
{
#if defined(SHIM_ASAN)
	const void *bottom;
	size_t len;

	__sanitizer_finish_switch_fiber(to->sanitizer, &bottom, &len);
	if (!sched.first_stack) {
		sched.first_stack = bottom;
		sched.first_stack_len = len;
	}
#endif
}

static void switch_to(struct thread *next)
{
	struct thread *me = self;

	before_switch(me, next);
	self = next;
	swapcontext(&me->context, &next->context);
	after_switch(self);
}

/* The ready thread that is `skip` places behind `from`, in a circle. NULL: none is ready. */
static struct thread *pick(const struct thread *from)
{
	struct thread *ready[THREADS_MAX];
	uint32_t count = 0, i;
	uint32_t start = (uint32_t)(from - sched.threads);

	for (i = 1; i <= THREADS_MAX; i++)
		if (sched.threads[(start + i) % THREADS_MAX].state == READY)
			ready[count++] = &sched.threads[(start + i) % THREADS_MAX];
	return count ? ready[sched_random(count)] : NULL;
}

static void expire(void)
{
	struct thread *t;

	for (t = sched.threads; t < sched.threads + THREADS_MAX; t++)
		if (t->state == WAITING && t->deadline <= sched.now)
			t->state = READY;
}

/* No thread can run: the clock moves to the time when one can. */
static void advance(void)
{
	const struct thread *t;
	uint64_t next = SCHED_FOREVER;

	for (t = sched.threads; t < sched.threads + THREADS_MAX; t++)
		if (t->state == WAITING && t->deadline < next)
			next = t->deadline;
	if (next == SCHED_FOREVER)
		give_up("all threads wait for each other");
	if (next > TICKS_MAX)
		give_up("no end after three months");
	sched.now = next;
	expire();
}

static void hand_over(void)
{
	struct thread *next = pick(self);

	if (++sched.steps > STEPS_MAX)
		give_up("no end after many steps");
	while (!next) {
		advance();
		next = pick(self);
	}
	if (next != self)
		switch_to(next);
}

void sched_step(void)
{
	if (++sched.steps > STEPS_MAX)
		give_up("no end after many steps");
	if (sched.seeded && !sched_random(sched.odds))
		hand_over();
}

bool sched_wait(const void *key, uint64_t ticks, const char *where)
{
	self->key = key;
	self->where = where;
	self->woken = false;
	self->deadline = ticks < SCHED_FOREVER - sched.now ? sched.now + ticks : SCHED_FOREVER;
	self->state = WAITING;
	hand_over();
	self->key = NULL;
	return self->woken;
}

void sched_wake(const void *key)
{
	struct thread *t;

	for (t = sched.threads; t < sched.threads + THREADS_MAX; t++)
		if (t->state == WAITING && t->key == key) {
			t->woken = true;
			t->state = READY;
		}
}

uint64_t sched_now(void)
{
	return sched.now;
}

const char *sched_name(void)
{
	return self ? self->name : "?";
}

void *sched_local(void)
{
	return self->local;
}

static void thread_main(void)
{
	after_switch(self);
#if defined(SHIM_TSAN)
	__tsan_acquire(self);
#endif
	self->fn(self->argument);
	self->state = ENDED;
	hand_over();
}

static void prepare(struct thread *t)
{
	if (!t->stack)
		t->stack = malloc(STACK_LEN);
#if defined(SHIM_TSAN)
	if (!t->sanitizer)
		t->sanitizer = __tsan_create_fiber(0);
	__tsan_release(t);
#else
	t->sanitizer = NULL;
#endif
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = STACK_LEN;
	makecontext(&t->context, thread_main, 0);
}

void sched_spawn(const char *name, void (*fn)(void *argument), void *argument)
{
	struct thread *t = sched.threads;

	while (t < sched.threads + THREADS_MAX && t->state != UNUSED && t->state != ENDED)
		t++;
	if (t == sched.threads + THREADS_MAX)
		give_up("too many threads");
	t->name = name;
	t->fn = fn;
	t->argument = argument;
	memset(t->local, 0, sizeof(t->local));
	prepare(t);
	t->state = READY;
}

void sched_run(uint64_t seed, void (*fn)(void *argument), void *argument)
{
	static const uint32_t odds[] = { 2, 4, 16, 64 };

	sched.seeded = seed;
	sched.random = seed * 0x9E3779B97F4A7C15u | 1;
	sched.odds = odds[seed % 4];
	sched.threads[0] = (struct thread){ .state = READY, .name = "test" };
	self = &sched.threads[0];
#if defined(SHIM_TSAN)
	self->sanitizer = __tsan_get_current_fiber();
#endif
	fn(argument);
}
