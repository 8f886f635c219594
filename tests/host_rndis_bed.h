/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of the host's RNDIS adapter share: an initialized adapter, and queries and sets in
 * memory of exactly their size.
 */
#ifndef TESTS_HOST_RNDIS_BED_H
#define TESTS_HOST_RNDIS_BED_H

#include "host/rndis.h"

#define NDIS_5	  (5u << 16)
#define NDIS_6	  (6u << 16 | 1)
#define NDIS_6_30 (6u << 16 | 30)

struct rndis_bed {
	struct vmb_host_rndis r;
	uint8_t reply[VMB_HOST_RNDIS_REPLY_LEN_MAX];
	uint32_t reply_len;
	const uint8_t *data; /* of the reply to a query */
	uint32_t data_len;
};

void rndis_put16(uint8_t *at, uint16_t value);
void rndis_put32(uint8_t *at, uint32_t value);
uint16_t rndis_get16(const uint8_t *at);
uint32_t rndis_get32(const uint8_t *at);
uint64_t rndis_get64(const uint8_t *at);

/* offload: VMB_HOST_RNDIS_*, what there is. */
int rndis_start_with(struct rndis_bed *f, uint32_t ndis, uint32_t revision, uint32_t offload);
/* A cmocka setup: newest versions, all there is. */
int rndis_start(void **state);

/* Answer the status; f->data has what a query brought. */
uint32_t rndis_query(struct rndis_bed *f, uint32_t oid);
uint32_t rndis_query_with(struct rndis_bed *f, uint32_t oid, const void *data, uint32_t len);
uint32_t rndis_set(struct rndis_bed *f, uint32_t oid, const void *data, uint32_t len);

#endif
