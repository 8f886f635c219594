// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The search over all states; model.h says what a state is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ring_model/internal.h"

#define STORE_MAX   16u
#define UPDATE_MAX  40u
#define DELAYED_MAX 4u

struct store {
	uint64_t value;
	uint8_t word;
	bool release;
};

struct delayed {
	uint64_t value;
	uint8_t word;
	bool done;
};

/* A store of the other thread that reached memory and that this thread need not see yet. */
struct update {
	uint64_t value;
	uint8_t word;
};

struct thread {
	uint32_t position;
	bool doorbell;
	uint32_t store_count, update_count, delayed_count;
	struct store stores[STORE_MAX];
	struct update updates[UPDATE_MAX];
	struct delayed delayed[DELAYED_MAX];
	uint64_t view[MODEL_WORD_COUNT]; /* WEAK: what a load gets if it takes no update */
};

struct state {
	struct thread threads[MODEL_THREAD_COUNT];
	uint64_t memory[MODEL_WORD_COUNT];
	bool wish_met; /* since the read index last reached memory */
};

struct fingerprint {
	uint64_t a, b;
};

static const struct model_config *config;
static struct model_result *result;
static uint32_t word_count, depth;
static struct fingerprint *visited;
static uint64_t visited_room;

static void mix(struct fingerprint *f, uint64_t value)
{
	f->a = (f->a ^ value) * 0x9E3779B97F4A7C15ull;
	f->a ^= f->a >> 29;
	f->b = (f->b + value) * 0xD6E8FEB86659FD93ull;
	f->b ^= f->b >> 32;
}

static void mix_thread(struct fingerprint *f, const struct thread *t)
{
	uint32_t i;

	mix(f, (uint64_t)t->position << 32 | (uint32_t)t->doorbell << 24 | t->store_count << 16 |
		       t->update_count << 8 | t->delayed_count);
	for (i = 0; i < t->store_count; i++) {
		mix(f, t->stores[i].word | (uint32_t)t->stores[i].release << 8);
		mix(f, t->stores[i].value);
	}
	for (i = 0; i < t->delayed_count; i++) {
		mix(f, t->delayed[i].word | (uint32_t)t->delayed[i].done << 8);
		mix(f, t->delayed[i].value);
	}
	if (config->memory != MODEL_WEAK)
		return;
	for (i = 0; i < t->update_count; i++) {
		mix(f, t->updates[i].word);
		mix(f, t->updates[i].value);
	}
	for (i = 0; i < word_count; i++)
		mix(f, t->view[i]);
}

static struct fingerprint fingerprint(const struct state *s)
{
	struct fingerprint f = { 1, 2 };
	uint32_t i;

	for (i = 0; i < MODEL_THREAD_COUNT; i++)
		mix_thread(&f, &s->threads[i]);
	for (i = 0; i < word_count; i++)
		mix(&f, s->memory[i]);
	mix(&f, s->wish_met);
	return f;
}

static bool insert(struct fingerprint f)
{
	uint64_t i;

	for (i = f.a % visited_room; visited[i].a | visited[i].b; i = (i + 1) % visited_room)
		if (visited[i].a == f.a && visited[i].b == f.b)
			return false;
	visited[i] = f;
	return true;
}

static void grow_visited(void)
{
	struct fingerprint *old = visited;
	uint64_t old_room = visited_room, i;

	visited_room = old_room ? old_room * 2 : 1u << 16;
	visited = calloc(visited_room, sizeof(*visited));
	if (!visited)
		abort();
	for (i = 0; i < old_room; i++)
		if (old[i].a | old[i].b)
			insert(old[i]);
	free(old);
}

static void fail(const char *why)
{
	if (!result->failure)
		result->failure = why;
}

static void advance(struct thread *t, uint64_t answer)
{
	t->position = model_position_next(t->position, answer);
}

/* All that reached memory is seen from now on. */
static void sync_view(struct state *s, struct thread *t)
{
	t->update_count = 0;
	memcpy(t->view, s->memory, sizeof(t->view));
}

static void drop_updates(struct thread *t, uint32_t word, uint32_t before)
{
	uint32_t from, to = 0;

	for (from = 0; from < t->update_count; from++)
		if (from >= before || t->updates[from].word != word)
			t->updates[to++] = t->updates[from];
	t->update_count = to;
}

/*
 * The order of updates to different words means nothing: kept sorted, so that equal states look
 * equal.
 */
static void add_update(struct thread *t, struct store store)
{
	uint32_t at = t->update_count;

	if (t->update_count++ == UPDATE_MAX)
		abort();
	for (; at && t->updates[at - 1].word > store.word; at--)
		t->updates[at] = t->updates[at - 1];
	t->updates[at] = (struct update){ store.value, store.word };
}

static void watch_wish(struct state *s, uint32_t word)
{
	if (word == MODEL_READ_INDEX)
		s->wish_met = false;
	if (config->wish_is_met((uint32_t)s->memory[MODEL_WRITE_INDEX],
				(uint32_t)s->memory[MODEL_READ_INDEX],
				(uint32_t)s->memory[MODEL_PENDING]))
		s->wish_met = true;
}

static void flush(struct state *s, enum model_thread_id id, uint32_t index)
{
	struct thread *t = &s->threads[id], *other = &s->threads[!id];
	struct store store = t->stores[index];

	memmove(&t->stores[index], &t->stores[index + 1],
		(--t->store_count - index) * sizeof(*t->stores));
	s->memory[store.word] = store.value;
	watch_wish(s, store.word);
	if (config->memory != MODEL_WEAK)
		return;
	drop_updates(t, store.word, t->update_count);
	t->view[store.word] = store.value;
	add_update(other, store);
}

static bool may_flush(const struct thread *t, uint32_t index)
{
	uint32_t i;

	if (!index || config->memory == MODEL_TSO || t->stores[index].release)
		return !index;
	for (i = 0; i < index; i++)
		if (t->stores[i].word == t->stores[index].word)
			return false;
	return true;
}

static bool forwarded(const struct thread *t, uint32_t word, uint64_t *value)
{
	uint32_t i;

	for (i = t->store_count; i--;)
		if (t->stores[i].word == word) {
			*value = t->stores[i].value;
			return true;
		}
	return false;
}

static bool has_undone(const struct thread *t)
{
	uint32_t i;

	for (i = 0; i < t->delayed_count; i++)
		if (!t->delayed[i].done)
			return true;
	return false;
}

static bool settle_store(struct thread *t, const struct model_op *op)
{
	if (t->store_count == STORE_MAX || (op->flag && has_undone(t)))
		return false;
	t->stores[t->store_count++] = (struct store){ op->value, (uint8_t)op->word, op->flag };
	advance(t, 0);
	return true;
}

static bool settle_barrier(struct state *s, struct thread *t, const struct model_op *op)
{
	if (has_undone(t) || (op->flag && t->store_count))
		return false;
	sync_view(s, t);
	advance(t, 0);
	return true;
}

static bool settle_delayed(struct thread *t, const struct model_op *op)
{
	struct delayed first = t->delayed[0];

	if (op->type == MODEL_OP_DELAY) {
		if (t->delayed_count == DELAYED_MAX)
			abort();
		t->delayed[t->delayed_count++] = (struct delayed){ .word = (uint8_t)op->word };
		advance(t, 0);
		return true;
	}
	if (!first.done)
		return false;
	memmove(&t->delayed[0], &t->delayed[1], --t->delayed_count * sizeof(*t->delayed));
	advance(t, first.value);
	return true;
}

/*
 * Does one operation that the other thread can neither see nor influence. False: the next one is
 * not of the kind.
 */
static bool settle_one(struct state *s, struct thread *t)
{
	const struct model_op *op = model_position_op(t->position);
	uint64_t value;

	switch (op->type) {
	case MODEL_OP_STORE: return settle_store(t, op);
	case MODEL_OP_BARRIER: return settle_barrier(s, t, op);
	case MODEL_OP_DELAY:
	case MODEL_OP_DELAYED: return settle_delayed(t, op);
	case MODEL_OP_STEP: t->position = (uint32_t)op->value; return true;
	case MODEL_OP_LOAD:
		if (!forwarded(t, op->word, &value))
			return false;
		advance(t, value);
		return true;
	case MODEL_OP_FAIL: fail(op->failure); return false;
	default: return false;
	}
}

static void visit(struct state *s);

static void take(const struct state *s)
{
	struct state copy = *s;

	result->transition_count++;
	visit(&copy);
}

static void move_flush(const struct state *s, enum model_thread_id id)
{
	struct state next;
	uint32_t i;

	for (i = 0; i < s->threads[id].store_count; i++)
		if (may_flush(&s->threads[id], i)) {
			next = *s;
			flush(&next, id, i);
			take(&next);
		}
}

/* Calls got() with each value that a load of word may answer. */
static void each_value(const struct state *s, enum model_thread_id id, uint32_t word,
		       void (*got)(struct state *s, struct thread *t, uint64_t value))
{
	const struct thread *t = &s->threads[id];
	struct state next = *s;
	uint32_t i;

	got(&next, &next.threads[id],
	    config->memory == MODEL_WEAK ? t->view[word] : s->memory[word]);
	take(&next);
	for (i = 0; i < t->update_count; i++)
		if (t->updates[i].word == word) {
			next = *s;
			next.threads[id].view[word] = t->updates[i].value;
			drop_updates(&next.threads[id], word, i + 1);
			got(&next, &next.threads[id], t->updates[i].value);
			take(&next);
		}
}

static void got_load(struct state *s, struct thread *t, uint64_t value)
{
	if (model_position_op(t->position)->flag)
		sync_view(s, t);
	advance(t, value);
}

static void got_delayed(struct state *s, struct thread *t, uint64_t value)
{
	uint32_t i = 0;

	while (t->delayed[i].done)
		i++;
	t->delayed[i].done = true;
	t->delayed[i].value = value;
}

static const char *judge_signal(const struct state *s, enum model_thread_id id)
{
	uint64_t arg = model_position_op(s->threads[id].position)->value;

	if (id == MODEL_WRITER)
		return config->judge_signal((uint32_t)s->memory[MODEL_WRITE_INDEX],
					    (uint32_t)s->memory[MODEL_READ_INDEX], (uint32_t)arg);
	return s->wish_met ? NULL : "the reader signals although no wish is fulfilled";
}

static void move_signal(const struct state *s, enum model_thread_id id)
{
	struct state next = *s;
	struct thread *t = &next.threads[id];
	const char *wrong;

	if (t->store_count || has_undone(t))
		return;
	wrong = judge_signal(s, id);
	if (wrong)
		fail(wrong);
	result->signal_count[id]++;
	next.threads[!id].doorbell = true;
	advance(t, 0);
	take(&next);
}

static void move_wake(const struct state *s, enum model_thread_id id)
{
	struct state next = *s;
	struct thread *t = &next.threads[id];

	if (!t->doorbell || t->store_count || has_undone(t))
		return;
	t->doorbell = false;
	sync_view(&next, t);
	advance(t, 0);
	take(&next);
}

static void move(const struct state *s, enum model_thread_id id)
{
	const struct thread *t = &s->threads[id];
	uint32_t i;

	move_flush(s, id);
	for (i = 0; i < t->delayed_count; i++)
		if (!t->delayed[i].done) {
			each_value(s, id, t->delayed[i].word, got_delayed);
			break;
		}
	switch (model_position_op(t->position)->type) {
	case MODEL_OP_LOAD:
		each_value(s, id, model_position_op(t->position)->word, got_load);
		break;
	case MODEL_OP_SIGNAL: move_signal(s, id); break;
	case MODEL_OP_SLEEP: move_wake(s, id); break;
	default: break;
	}
}

static void judge_end(const struct state *s)
{
	const struct thread *w = &s->threads[MODEL_WRITER], *r = &s->threads[MODEL_READER];
	const char *wrong;

	result->end_count++;
	wrong = config->judge_end(model_position_local(w->position),
				  model_position_op(w->position)->type == MODEL_OP_DONE,
				  model_position_local(r->position));
	if (wrong)
		fail(wrong);
}

static void trace(const struct state *s)
{
	const struct thread *t;
	uint32_t i;

	fprintf(stderr, "# depth %" PRIu32 ":", depth);
	for (t = s->threads; t < s->threads + MODEL_THREAD_COUNT; t++) {
		fprintf(stderr, " | op %d word %" PRIu32 " bell %d stores",
			model_position_op(t->position)->type, model_position_op(t->position)->word,
			t->doorbell);
		for (i = 0; i < t->store_count; i++)
			fprintf(stderr, " %d=%" PRIx64, t->stores[i].word, t->stores[i].value);
	}
	fprintf(stderr, " | memory");
	for (i = 0; i < word_count; i++)
		fprintf(stderr, " %" PRIx64, s->memory[i]);
	fprintf(stderr, "\n");
}

static void visit(struct state *s)
{
	uint64_t before = result->transition_count;
	uint32_t i;

	for (i = 0; i < MODEL_THREAD_COUNT; i++)
		while (settle_one(s, &s->threads[i]))
			;
	if (result->failure)
		return;
	if (result->state_count * 2 >= visited_room)
		grow_visited();
	if (!insert(fingerprint(s)))
		return;
	result->state_count++;
	if (++depth > result->depth_max)
		result->depth_max = depth;
	for (i = 0; i < MODEL_THREAD_COUNT && !result->failure; i++)
		move(s, i);
	if (result->transition_count == before)
		judge_end(s);
	if (result->failure && getenv("MODEL_TRACE"))
		trace(s);
	depth--;
}

void model_explore(const struct model_config *c, struct model_result *r)
{
	struct state first;
	uint32_t i;

	memset(&first, 0, sizeof(first));
	memset(r, 0, sizeof(*r));
	config = c;
	result = r;
	depth = 0;
	word_count = MODEL_DATA + c->data_len / 8;
	model_position_begin(c);
	grow_visited();
	for (i = 0; i < word_count; i++)
		first.memory[i] = model_word_initial(i);
	for (i = 0; i < MODEL_THREAD_COUNT; i++) {
		first.threads[i].position = model_position_first(i);
		sync_view(&first, &first.threads[i]);
	}
	visit(&first);
	model_position_end();
	free(visited);
	visited = NULL;
	visited_room = 0;
}
