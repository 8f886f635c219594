/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Exhaustive exploration of two threads over a small shared memory.
 *
 * ring.c is compiled with VMB_PLATFORM_OVERRIDE set to this file, so that each of its shared
 * accesses and barriers becomes an operation of the model. A thread is a step function over a block
 * of local state; it is deterministic but for what its loads return, so the explorer needs no
 * coroutines: it runs a step with the answers known so far and leaves by longjmp at the first
 * operation whose answer is not known. What it then wants is remembered under (local state,
 * answers), and exploring is a search over
 *
 *   both threads' positions, the memory, store buffers, stale views, delayed loads and doorbells
 *
 * with each state visited once. Memory models, each weaker than the one before:
 *
 *   TSO   stores wait in a queue and leave it in order, at any moment; a full barrier waits until
 *         it is empty
 *   PSO   stores to different words leave in any order, but a release store only after all before
 *         it
 *   WEAK  also: a thread may see an old value of each word until a read barrier, a full barrier or
 *         an acquire load; and a load whose value is not needed yet (vmb_ring_copy's) may be done
 *         as late as the next barrier or release store
 *
 * A thread sleeps in model_sleep() until its doorbell rings. A state in which nothing can move is
 * an end, and the caller judges it: somebody asleep with work left is a lost wake-up.
 */
#ifndef TESTS_RING_MODEL_MODEL_H
#define TESTS_RING_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_memory { MODEL_TSO, MODEL_PSO, MODEL_WEAK };

enum model_thread_id { MODEL_WRITER, MODEL_READER, MODEL_THREAD_COUNT };

#define MODEL_DATA_LEN_MAX  128u
#define MODEL_LOCAL_LEN_MAX 256u

/*
 * The memory as the threads address it; its contents at the start of an exploration are the initial
 * ones.
 */
struct model_shared {
	uint32_t control[1024];
	uint64_t data[MODEL_DATA_LEN_MAX / 8];
};
extern struct model_shared model_shared;

struct model_thread {
	bool (*step)(void *local); /* true: this was the last one */
	const void *local; /* as it begins; whatever bytes differ are different states */
	uint32_t local_len;
};

struct model_config {
	enum model_memory memory;
	uint32_t data_len;
	const char *
		/* the barrier to leave out: "full FUNCTION", "read F", "release F", "acquire F" */
		drop;
	struct model_thread threads[MODEL_THREAD_COUNT];
	/* What is wrong with this end, or NULL. */
	const char *(*judge_end)(const void *writer, bool writer_done, const void *reader);
	/* What is wrong with this signal of the writer, or NULL; arg as given to model_signal. */
	const char *(*judge_signal)(uint32_t write_index, uint32_t read_index, uint32_t arg);
	/*
	 * Whether the memory holds a wish that is fulfilled. The reader may only signal when it did
	 * at some moment since its read index reached memory.
	 */
	bool (*wish_is_met)(uint32_t write_index, uint32_t read_index, uint32_t pending);
};

struct model_result {
	const char *failure; /* NULL: no state is wrong */
	uint64_t state_count;
	uint64_t transition_count; /* executions of one operation in one state */
	uint64_t end_count;
	uint64_t signal_count[MODEL_THREAD_COUNT]; /* by sender */
	uint32_t depth_max;
};

void model_explore(const struct model_config *config, struct model_result *result);

/*
 * Outside an exploration ring.c works on model_shared directly. model_accessed, if not NULL, is
 * then called after each access, with the memory in its hands: a peer as fast as there can be.
 */
struct model_access {
	uint32_t offset; /* bytes from model_shared */
	uint32_t len;
	bool read;
};
extern void (*model_accessed)(struct model_access access);
extern uint32_t
	/* bytes of model_shared.data that are the ring's; nothing beyond may be touched */
	model_data_len;

/* For step functions. */
void model_signal(uint32_t arg); /* rings the other thread's doorbell */
void model_sleep(void);
void model_delay_loads(bool on); /* vmb_shared_read from now on answers by model_delayed_load() */
uint64_t model_delayed_load(void); /* the oldest delayed word */
void model_fail(const char *why);

/* What ring.c's accesses become. */
uint32_t model_load(const uint32_t *p, bool acquire, const char *site);
void model_store(uint32_t *p, uint32_t value, bool release, const char *site);
void model_barrier(bool full, const char *site);
void model_write(void *shared, const void *src, size_t len);
void model_read(void *dst, const void *shared, size_t len);

#ifdef VMB_PLATFORM_OVERRIDE
#define vmb_load_u32(p)			   model_load(p, false, __func__)
#define vmb_load_acquire_u32(p)		   model_load(p, true, __func__)
#define vmb_store_u32(p, value)		   model_store(p, value, false, __func__)
#define vmb_store_release_u32(p, value)	   model_store(p, value, true, __func__)
#define vmb_full_barrier()		   model_barrier(true, __func__)
#define vmb_read_barrier()		   model_barrier(false, __func__)
#define vmb_shared_write(shared, src, len) model_write(shared, src, len)
#define vmb_shared_read(dst, shared, len)  model_read(dst, shared, len)
#endif

#endif
