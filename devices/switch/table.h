/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which address is behind which port of a switch. Each port has room for a fixed number of
 * addresses and forgets its own oldest when it needs more, so a port that invents addresses takes
 * nothing from the others.
 *
 * Context: one thread.
 */
#ifndef DEVICES_SWITCH_TABLE_H
#define DEVICES_SWITCH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define VMB_DEV_SWITCH_PORT_MAX	   256u
#define VMB_DEV_SWITCH_ADDRESS_MAX 64u /* of a port */
#define VMB_DEV_SWITCH_AGE_MS	   300000 /* an address that is silent for so long is forgotten */
#define VMB_DEV_SWITCH_BUCKETS	   4096u

struct vmb_dev_switch_entry {
	uint64_t mac; /* 48 bits; 0: free */
	int64_t seen;
	int32_t next; /* of the bucket, -1: the last */
};

struct vmb_dev_switch_table {
	struct vmb_dev_switch_entry entries[VMB_DEV_SWITCH_PORT_MAX *
					    VMB_DEV_SWITCH_ADDRESS_MAX]; /* of port 0, 1, ... */
	int32_t buckets[VMB_DEV_SWITCH_BUCKETS]; /* first entry, -1: none */
	uint64_t key; /* so that no client can know which addresses share a bucket */
};

/* Empties the table. key: a random number. */
void vmb_dev_switch_table_init(struct vmb_dev_switch_table *table, uint64_t key);

/* A frame from mac came in at port. now: in ms, never less than before. */
void vmb_dev_switch_table_learn(struct vmb_dev_switch_table *table, const uint8_t mac[6],
				uint32_t port, int64_t now);

/* Returns the port, or -1: not known. */
int vmb_dev_switch_table_find(const struct vmb_dev_switch_table *table, const uint8_t mac[6],
			      int64_t now);

/* The port is gone. */
void vmb_dev_switch_table_forget(struct vmb_dev_switch_table *table, uint32_t port);

#endif
