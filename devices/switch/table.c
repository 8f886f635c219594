// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The switch's address table: a hash table over a fixed number of entries for each port, so that no
 * port can use up another's room.
 */
#include <string.h>

#include "devices/switch/table.h"

#define MIX_FACTOR 0x9E3779B97F4A7C15ull

static uint64_t number(const uint8_t mac[6])
{
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | mac[i];
	return n;
}

/* Multiplied twice, so that the key reaches all bits that choose. */
static int32_t *bucket(struct vmb_dev_switch_table *t, uint64_t mac)
{
	uint64_t h = (mac ^ t->key) * MIX_FACTOR;

	h = (h ^ h >> 32 ^ t->key >> 16) * MIX_FACTOR;
	return &t->buckets[(h >> 40) % VMB_DEV_SWITCH_BUCKETS];
}

static int32_t find(const struct vmb_dev_switch_table *t, uint64_t mac)
{
	int32_t i = *bucket((struct vmb_dev_switch_table *)t, mac);

	while (i >= 0 && t->entries[i].mac != mac)
		i = t->entries[i].next;
	return i;
}

static void release(struct vmb_dev_switch_table *t, int32_t index)
{
	int32_t *link = bucket(t, t->entries[index].mac);

	while (*link != index)
		link = &t->entries[*link].next;
	*link = t->entries[index].next;
	t->entries[index].mac = 0;
}

/* A free entry of the port's, or its oldest. */
static int32_t claim(struct vmb_dev_switch_table *t, uint32_t port)
{
	int32_t first = port * VMB_DEV_SWITCH_ADDRESS_MAX, oldest = first;

	for (uint32_t n = 0; n < VMB_DEV_SWITCH_ADDRESS_MAX; n++) {
		if (!t->entries[first + n].mac)
			return first + n;
		if (t->entries[first + n].seen < t->entries[oldest].seen)
			oldest = first + n;
	}
	release(t, oldest);
	return oldest;
}

void vmb_dev_switch_table_init(struct vmb_dev_switch_table *t, uint64_t key)
{
	memset(t, 0, sizeof(*t));
	memset(t->buckets, 0xFF, sizeof(t->buckets));
	t->key = key;
}

void vmb_dev_switch_table_learn(struct vmb_dev_switch_table *t, const uint8_t mac[6], uint32_t port,
				int64_t now)
{
	uint64_t n = number(mac);
	int32_t i = find(t, n), *head;

	if (!n)
		return;
	if (i >= 0 && i / VMB_DEV_SWITCH_ADDRESS_MAX != port) {
		release(t, i);
		i = -1;
	}
	if (i < 0) {
		i = claim(t, port);
		head = bucket(t, n);
		t->entries[i].mac = n;
		t->entries[i].next = *head;
		*head = i;
	}
	t->entries[i].seen = now;
}

int vmb_dev_switch_table_find(const struct vmb_dev_switch_table *t, const uint8_t mac[6],
			      int64_t now)
{
	int32_t i = find(t, number(mac));

	if (i < 0 || now - t->entries[i].seen > VMB_DEV_SWITCH_AGE_MS)
		return -1;
	return i / VMB_DEV_SWITCH_ADDRESS_MAX;
}

void vmb_dev_switch_table_forget(struct vmb_dev_switch_table *t, uint32_t port)
{
	int32_t first = port * VMB_DEV_SWITCH_ADDRESS_MAX;

	for (uint32_t n = 0; n < VMB_DEV_SWITCH_ADDRESS_MAX; n++)
		if (t->entries[first + n].mac)
			release(t, first + n);
}
