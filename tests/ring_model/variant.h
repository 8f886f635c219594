/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ring.c as the model sees it, once as it is and once for each planted bug
 * (tests/ring_model/mutate). The ring's structures have no access functions in them, so ring/ring.h
 * serves all of them alike.
 */
#ifndef TESTS_RING_MODEL_VARIANT_H
#define TESTS_RING_MODEL_VARIANT_H

#include "ring/ring.h"

struct ring_variant {
	const char *name;
	int (*writer_init)(struct vmb_ring_writer *w, void *control, void *data, uint32_t data_len,
			   bool fresh);
	int (*reader_init)(struct vmb_ring_reader *r, void *control, const void *data,
			   uint32_t data_len, bool fresh);
	int (*write)(struct vmb_ring_writer *w, const struct vmb_ring_packet *packet);
	bool (*commit)(struct vmb_ring_writer *w);
	int (*wait_room)(struct vmb_ring_writer *w, uint32_t len);
	int (*read)(struct vmb_ring_reader *r, struct vmb_ring_received *packet);
	bool (*copy)(const struct vmb_ring_reader *r, const struct vmb_ring_received *packet,
		     uint32_t offset, void *dst, uint32_t len);
	void (*next)(struct vmb_ring_reader *r, const struct vmb_ring_received *packet);
	bool (*release)(struct vmb_ring_reader *r);
	void (*mask)(struct vmb_ring_reader *r);
	bool (*unmask)(struct vmb_ring_reader *r);
};

#endif
