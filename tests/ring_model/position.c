// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a thread stands: found by running its step function again with the answers it got so far.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ring_model/internal.h"

#define BUCKET_COUNT (1u << 16)
#define ANSWER_MAX   256u

struct position {
	enum model_thread_id thread;
	uint32_t local; /* number of the local state that the step began with */
	uint32_t parent; /* 0 = the step begins here */
	uint64_t answer; /* what the parent's operation returned */
	struct model_op op;
	uint32_t hash_next;
};

struct local {
	uint8_t bytes[MODEL_LOCAL_LEN_MAX] __attribute__((aligned(16)));
	uint32_t hash_next;
};

struct model_shared model_shared;
void (*model_accessed)(struct model_access access);
uint32_t model_data_len;

static struct position *positions;
static uint32_t position_count, position_room;
static struct local *locals;
static uint32_t local_count, local_room;
static uint32_t position_buckets[BUCKET_COUNT], local_buckets[BUCKET_COUNT];
static const struct model_config *config;

/* The run under way. */
static bool running;
static jmp_buf leave;
static uint64_t answers[ANSWER_MAX];
static uint32_t answer_count, answer_next;
static struct model_op wanted;
static bool delaying;
static uint8_t run_local[MODEL_LOCAL_LEN_MAX] __attribute__((aligned(16)));

static void *grow(void *array, uint32_t count, uint32_t *room, size_t len)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	array = realloc(array, *room * len);
	if (!array)
		abort();
	return array;
}

static uint32_t hash(const void *bytes, size_t len, uint32_t seed)
{
	const uint8_t *p = bytes;
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32) % BUCKET_COUNT;
}

static uint32_t intern_local(const uint8_t *bytes)
{
	uint32_t *bucket = &local_buckets[hash(bytes, MODEL_LOCAL_LEN_MAX, 0)];
	uint32_t i;

	for (i = *bucket; i; i = locals[i].hash_next)
		if (!memcmp(locals[i].bytes, bytes, MODEL_LOCAL_LEN_MAX))
			return i;
	locals = grow(locals, local_count, &local_room, sizeof(*locals));
	memcpy(locals[local_count].bytes, bytes, MODEL_LOCAL_LEN_MAX);
	locals[local_count].hash_next = *bucket;
	*bucket = local_count;
	return local_count++;
}

/* Answers the next operation of the run, or ends the run there. */
static uint64_t ask(struct model_op op)
{
	if (answer_next < answer_count)
		return answers[answer_next++];
	wanted = op;
	longjmp(leave, 1);
}

static void collect_answers(uint32_t at)
{
	uint32_t i;

	answer_count = 0;
	for (i = at; positions[i].parent; i = positions[i].parent)
		if (++answer_count > ANSWER_MAX)
			abort();
	answer_next = answer_count;
	for (i = at; positions[i].parent; i = positions[i].parent)
		answers[--answer_next] = positions[i].answer;
}

static uint32_t position_at(enum model_thread_id thread, uint32_t local, uint32_t parent,
			    uint64_t answer);

static void run(uint32_t at)
{
	enum model_thread_id thread = positions[at].thread;
	bool done;

	collect_answers(at);
	memcpy(run_local, locals[positions[at].local].bytes, sizeof(run_local));
	delaying = false;
	running = true;
	if (!setjmp(leave)) {
		done = config->threads[thread].step(run_local);
		running = false;
		wanted = (struct model_op){ .type = done ? MODEL_OP_DONE : MODEL_OP_STEP };
		wanted.value = position_at(thread, intern_local(run_local), 0, 0);
	}
	running = false;
	positions[at].op = wanted;
}

/*
 * The number of a position. What it wants is found out when somebody asks: a step may lead to
 * itself.
 */
static uint32_t position_at(enum model_thread_id thread, uint32_t local, uint32_t parent,
			    uint64_t answer)
{
	struct {
		uint64_t answer;
		uint32_t thread, local, parent, zero;
	} key = { answer, thread, local, parent, 0 };
	uint32_t *bucket = &position_buckets[hash(&key, sizeof(key), 1)];
	uint32_t i;

	for (i = *bucket; i; i = positions[i].hash_next)
		if (positions[i].thread == thread && positions[i].local == local &&
		    positions[i].parent == parent && positions[i].answer == answer)
			return i;
	positions = grow(positions, position_count, &position_room, sizeof(*positions));
	positions[position_count] = (struct position){ .thread = thread,
						       .local = local,
						       .parent = parent,
						       .answer = answer,
						       .hash_next = *bucket };
	*bucket = position_count;
	return position_count++;
}

void model_position_begin(const struct model_config *c)
{
	config = c;
	model_data_len = c->data_len;
	position_count = local_count = 1; /* 0 is nobody */
	positions = grow(positions, position_count, &position_room, sizeof(*positions));
	locals = grow(locals, local_count, &local_room, sizeof(*locals));
	memset(position_buckets, 0, sizeof(position_buckets));
	memset(local_buckets, 0, sizeof(local_buckets));
}

void model_position_end(void)
{
	free(positions);
	free(locals);
	positions = NULL;
	locals = NULL;
	position_room = local_room = 0;
}

uint32_t model_position_first(enum model_thread_id thread)
{
	uint8_t bytes[MODEL_LOCAL_LEN_MAX] = { 0 };

	memcpy(bytes, config->threads[thread].local, config->threads[thread].local_len);
	return position_at(thread, intern_local(bytes), 0, 0);
}

const struct model_op *model_position_op(uint32_t position)
{
	if (positions[position].op.type == MODEL_OP_UNKNOWN)
		run(position);
	return &positions[position].op;
}

uint32_t model_position_next(uint32_t position, uint64_t answer)
{
	return position_at(positions[position].thread, positions[position].local, position, answer);
}

const void *model_position_local(uint32_t position)
{
	return locals[positions[position].local].bytes;
}

static uint32_t control_word(const uint32_t *p)
{
	switch (p - model_shared.control) {
	case 0: return MODEL_WRITE_INDEX;
	case 1: return MODEL_READ_INDEX;
	case 2: return MODEL_MASK;
	case 3: return MODEL_PENDING;
	case 16: return MODEL_FEATURES;
	}
	abort();
}

uint64_t model_word_initial(uint32_t word)
{
	static const uint8_t at[] = { 0, 1, 2, 3, 16 };

	return word < MODEL_DATA ? model_shared.control[at[word]] :
				   model_shared.data[word - MODEL_DATA];
}

/* A site is the function's name as compiled: the exported ones carry their variant's in front. */
static bool dropped(const char *kind, const char *site)
{
	const char *name;
	size_t len = strlen(kind);

	if (!config || !config->drop || strncmp(config->drop, kind, len) ||
	    config->drop[len] != ' ')
		return false;
	name = config->drop + len + 1;
	return strlen(site) >= strlen(name) && !strcmp(site + strlen(site) - strlen(name), name);
}

static void accessed(const void *p, size_t len, bool read)
{
	size_t offset = (size_t)((const uint8_t *)p - (const uint8_t *)&model_shared);

	if (model_accessed)
		model_accessed((struct model_access){ (uint32_t)offset, (uint32_t)len, read });
}

uint32_t model_load(const uint32_t *p, bool acquire, const char *site)
{
	uint32_t value = *p;

	if (!running) {
		accessed(p, sizeof(*p), true);
		return value;
	}
	return (uint32_t)ask((struct model_op){ .type = MODEL_OP_LOAD,
						.flag = acquire && !dropped("acquire", site),
						.word = control_word(p) });
}

void model_store(uint32_t *p, uint32_t value, bool release, const char *site)
{
	if (!running) {
		*p = value;
		accessed(p, sizeof(*p), false);
		return;
	}
	ask((struct model_op){ .type = MODEL_OP_STORE,
			       .flag = release && !dropped("release", site),
			       .word = control_word(p),
			       .value = value });
}

void model_barrier(bool full, const char *site)
{
	if (running && !dropped(full ? "full" : "read", site))
		ask((struct model_op){ .type = MODEL_OP_BARRIER, .flag = full });
}

/* The model's packets consist of whole words. */
static uint32_t data_word(const void *shared, size_t len)
{
	size_t at = (size_t)((const uint8_t *)shared - (const uint8_t *)model_shared.data);

	if (at % 8 || len % 8 || at + len > model_data_len)
		abort();
	return MODEL_DATA + (uint32_t)at / 8;
}

void model_write(void *shared, const void *src, size_t len)
{
	uint32_t word = data_word(shared, len);
	uint64_t value;
	size_t at;

	if (!running) {
		memcpy(shared, src, len);
		accessed(shared, len, false);
		return;
	}
	for (at = 0; at < len; at += 8) {
		memcpy(&value, (const uint8_t *)src + at, 8);
		ask((struct model_op){ .type = MODEL_OP_STORE, .word = word++, .value = value });
	}
}

void model_read(void *dst, const void *shared, size_t len)
{
	uint32_t word = data_word(shared, len);
	uint64_t value;
	size_t at;

	if (!running) {
		memcpy(dst, shared, len);
		accessed(shared, len, true);
		return;
	}
	for (at = 0; at < len; at += 8) {
		value = ask((struct model_op){ .type = delaying ? MODEL_OP_DELAY : MODEL_OP_LOAD,
					       .word = word++ });
		memcpy((uint8_t *)dst + at, &value, 8);
	}
}

void model_signal(uint32_t arg)
{
	ask((struct model_op){ .type = MODEL_OP_SIGNAL, .value = arg });
}

void model_sleep(void)
{
	ask((struct model_op){ .type = MODEL_OP_SLEEP });
}

void model_delay_loads(bool on)
{
	delaying = on && config->memory == MODEL_WEAK;
}

uint64_t model_delayed_load(void)
{
	return ask((struct model_op){ .type = MODEL_OP_DELAYED });
}

void model_fail(const char *why)
{
	ask((struct model_op){ .type = MODEL_OP_FAIL, .failure = why });
}
