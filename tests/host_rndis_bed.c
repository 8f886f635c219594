// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An initialised RNDIS adapter; queries and sets in memory of exactly their size. */
#include "tests/host_rndis_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rndis_bed fixture;

void rndis_put16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

void rndis_put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

uint16_t rndis_get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint32_t rndis_get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint64_t rndis_get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void request(struct rndis_bed *f, uint32_t type, uint32_t oid, const void *data,
		    uint32_t len)
{
	uint8_t *message = malloc(28 + len);

	rndis_put32(message, type);
	rndis_put32(message + 4, 28 + len);
	rndis_put32(message + 8, 0x12340000);
	rndis_put32(message + 12, oid);
	rndis_put32(message + 16, len);
	rndis_put32(message + 20, 20);
	rndis_put32(message + 24, 0);
	if (len)
		memcpy(message + 28, data, len);
	memset(f->reply, 0xA5, sizeof(f->reply));
	assert_int_equal(vmb_host_rndis_control(&f->r, message, 28 + len, f->reply, &f->reply_len),
			 0);
	free(message);
}

int rndis_start_with(struct rndis_bed *f, uint32_t ndis, uint32_t revision, uint32_t offload)
{
	const uint32_t message[6] = { 2, 24, 1, 1, 0, 0x4000 };
	const struct vmb_host_rndis_config config = { .mac = { 0, 0x15, 0x5D, 1, 2, 3 },
						      .mtu_max = 9000,
						      .link_speed = 100000000,
						      .offload = offload,
						      .queue_count_max = 4 };

	assert_int_equal(vmb_host_rndis_init(&f->r, &config), 0);
	f->r.ndis_version = ndis;
	f->r.offload_revision = revision;
	f->r.queue_count = 4;
	return vmb_host_rndis_control(&f->r, message, 24, f->reply, &f->reply_len);
}

int rndis_start(void **state)
{
	*state = &fixture;
	return rndis_start_with(&fixture, NDIS_6_30, 3, 0xF);
}

uint32_t rndis_query_with(struct rndis_bed *f, uint32_t oid, const void *data, uint32_t len)
{
	request(f, 4, oid, data, len);
	f->data = f->reply + 24;
	f->data_len = rndis_get32(f->reply + 16);
	assert_int_equal(f->reply_len, 24 + f->data_len);
	return rndis_get32(f->reply + 12);
}

uint32_t rndis_query(struct rndis_bed *f, uint32_t oid)
{
	return rndis_query_with(f, oid, NULL, 0);
}

uint32_t rndis_set(struct rndis_bed *f, uint32_t oid, const void *data, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* of exactly that size */
	uint32_t status;

	if (len)
		memcpy(copy, data, len);
	request(f, 5, oid, copy, len);
	free(copy);
	status = rndis_get32(f->reply + 12);
	return status;
}
