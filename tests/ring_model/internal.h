/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What position.c (where a thread stands and what it wants next) offers to explore.c. */
#ifndef TESTS_RING_MODEL_INTERNAL_H
#define TESTS_RING_MODEL_INTERNAL_H

#include "tests/ring_model/model.h"

enum model_word { /* the memory, in words of the model */
		  MODEL_WRITE_INDEX,
		  MODEL_READ_INDEX,
		  MODEL_MASK,
		  MODEL_PENDING,
		  MODEL_FEATURES,
		  MODEL_DATA,
		  MODEL_WORD_COUNT = MODEL_DATA + MODEL_DATA_LEN_MAX / 8
};

enum model_op_type {
	MODEL_OP_UNKNOWN, /* not asked yet */
	MODEL_OP_LOAD, /* answer: the value; flag: acquire */
	MODEL_OP_STORE, /* flag: release */
	MODEL_OP_BARRIER, /* flag: full */
	MODEL_OP_DELAY, /* a load whose value is wanted later */
	MODEL_OP_DELAYED, /* answer: the value of the oldest of them */
	MODEL_OP_SIGNAL, /* value: argument */
	MODEL_OP_SLEEP,
	MODEL_OP_STEP, /* the step function returned; value: position that follows */
	MODEL_OP_DONE,
	MODEL_OP_FAIL,
};

struct model_op {
	enum model_op_type type;
	bool flag;
	uint32_t word;
	uint64_t value;
	const char *failure;
};

/* Positions are numbers; equal numbers mean equal futures. */
void model_position_begin(const struct model_config *config);
void model_position_end(void);
uint32_t model_position_first(enum model_thread_id thread);
const struct model_op *model_position_op(uint32_t position);
uint32_t model_position_next(uint32_t position, uint64_t answer);
const void *model_position_local(uint32_t position);
uint64_t model_word_initial(uint32_t word);

#endif
