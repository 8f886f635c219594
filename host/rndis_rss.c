// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Receive side scaling: capabilities, parameters, and the Toeplitz hash. Parameters are read by
 * their offsets, since guests differ in what comes first.
 */
#include "host/offload.h"
#include "host/rndis_internal.h"

#define RSS_CAPABILITIES_LEN_1 16u
#define RSS_REVISION	       2u
#define PROTOCOL_TCP	       6u
#define PROTOCOL_UDP	       17u

uint32_t vmb_host_rndis_rss_query(const struct vmb_host_rndis *r, const uint8_t *data, uint32_t len,
				  uint8_t *out, uint32_t *out_len)
{
	struct ndis_rss_capabilities capabilities = { .table_count = NDIS_RSS_TABLE_COUNT_MAX };

	capabilities.object.type = NDIS_OBJECT_RSS_CAPABILITIES;
	capabilities.object.revision = RSS_REVISION;
	capabilities.object.len = sizeof(capabilities);
	capabilities.capabilities = NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6 |
				    NDIS_RSS_CAP_TOEPLITZ;
	capabilities.interrupt_count = r->config.queue_count_max;
	capabilities.queue_count = r->config.queue_count_max;
	memcpy(out, &capabilities, sizeof(capabilities));
	*out_len = sizeof(capabilities);
	return RNDIS_STATUS_SUCCESS;
}

/*
 * The hash is linear: an input's hash is the exclusive or of what its set bits add, the key's 32
 * bits at their place.
 */
static uint32_t key_bits(const uint8_t *key, uint32_t bit)
{
	uint32_t byte = bit / 8, shift = bit % 8, i;
	uint64_t bits = 0;

	for (i = 0; i < 5; i++)
		bits = bits << 8 | (byte + i < NDIS_RSS_KEY_LEN ? key[byte + i] : 0);
	return (uint32_t)(bits >> (8 - shift));
}

static void make_lookup(struct vmb_host_rndis_rss *rss)
{
	uint32_t place, value, bit;

	for (place = 0; place < VMB_ARRAY_COUNT(rss->lookup); place++) {
		for (value = 0; value < 16; value++) {
			rss->lookup[place][value] = 0;
			for (bit = 0; bit < 4; bit++)
				if (value & 8 >> bit)
					rss->lookup[place][value] ^=
						key_bits(rss->key, place * 4 + bit);
		}
	}
}

static uint32_t toeplitz(const struct vmb_host_rndis_rss *rss, uint32_t hash, uint32_t place,
			 const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		hash ^= rss->lookup[2 * (place + i)][bytes[i] >> 4];
		hash ^= rss->lookup[2 * (place + i) + 1][bytes[i] & 15];
	}
	return hash;
}

static bool inside(uint32_t offset, uint32_t part_len, uint32_t len)
{
	return (uint64_t)offset + part_len <= len;
}

/*
 * The guest's table, repeated until ours is full. False: it is none, or names a queue that there is
 * not.
 */
static bool read_table(const struct vmb_host_rndis *r, const struct ndis_rss_parameters *p,
		       const uint8_t *data, uint32_t len, struct vmb_host_rndis_rss *rss)
{
	uint32_t count = p->table_len / sizeof(uint32_t), queue, i;

	if (!count || p->table_len % sizeof(uint32_t) || count > NDIS_RSS_TABLE_COUNT_MAX ||
	    !inside(p->table_offset, p->table_len, len))
		return false;
	for (i = 0; i < NDIS_RSS_TABLE_COUNT_MAX; i++) {
		memcpy(&queue, data + p->table_offset + i % count * sizeof(queue), sizeof(queue));
		if (queue >= r->queue_count)
			return false;
		rss->table[i] = (uint16_t)queue;
	}
	rss->table_count = NDIS_RSS_TABLE_COUNT_MAX;
	return true;
}

static bool read_key(const struct ndis_rss_parameters *p, const uint8_t *data, uint32_t len,
		     struct vmb_host_rndis_rss *rss)
{
	if (p->key_len != NDIS_RSS_KEY_LEN || !inside(p->key_offset, p->key_len, len))
		return false;
	memcpy(rss->key, data + p->key_offset, NDIS_RSS_KEY_LEN);
	rss->has_key = true;
	make_lookup(rss);
	return true;
}

uint32_t vmb_host_rndis_rss_set(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len)
{
	const uint32_t len_min = offsetof(struct ndis_rss_parameters, cpu_mask_offset);
	struct vmb_host_rndis_rss *rss = &r->rss_new;
	struct ndis_rss_parameters p = { 0 };

	if (len < len_min)
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	memcpy(&p, data, len_min);
	*rss = r->rss;
	if (!(p.flags & NDIS_RSS_FLAG_HASH_UNCHANGED))
		rss->hash = p.hash;
	if (p.flags & NDIS_RSS_FLAG_DISABLE || !(rss->hash & NDIS_RSS_HASH_FUNCTION_MASK)) {
		r->rss.enabled = false;
		return RNDIS_STATUS_SUCCESS;
	}
	if (!(p.flags & NDIS_RSS_FLAG_TABLE_UNCHANGED) && !read_table(r, &p, data, len, rss))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	if (!(p.flags & NDIS_RSS_FLAG_KEY_UNCHANGED) && !read_key(&p, data, len, rss))
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	if (!rss->table_count || !rss->has_key)
		return (uint32_t)RNDIS_STATUS_INVALID_DATA;
	rss->enabled = true;
	r->rss = *rss;
	return RNDIS_STATUS_SUCCESS;
}

/* By IP version: types that hash addresses and ports, types that hash addresses alone. */
#define IPV6_ANY (NDIS_RSS_HASH_IPV6 | NDIS_RSS_HASH_IPV6_EX)
#define TCP6_ANY (NDIS_RSS_HASH_TCP_IPV6 | NDIS_RSS_HASH_TCP_IPV6_EX)
#define UDP6_ANY (NDIS_RSS_HASH_UDP_IPV6 | NDIS_RSS_HASH_UDP_IPV6_EX)

static uint32_t port_types(const struct vmb_host_offload_layout *layout)
{
	if (layout->fragment || !layout->transport_offset)
		return 0;
	if (layout->protocol == PROTOCOL_TCP)
		return layout->ip_version == 4 ? NDIS_RSS_HASH_TCP_IPV4 : TCP6_ANY;
	if (layout->protocol == PROTOCOL_UDP)
		return layout->ip_version == 4 ? NDIS_RSS_HASH_UDP_IPV4 : UDP6_ANY;
	return 0;
}

static uint32_t lowest_bit(uint32_t bits)
{
	return bits & (~bits + 1);
}

uint32_t vmb_host_rndis_hash(const struct vmb_host_rndis *r, const void *head, uint32_t head_len,
			     uint32_t *type)
{
	struct vmb_host_offload_layout layout;
	uint32_t addresses_at, addresses_len, types, hash;
	const uint8_t *bytes = head;

	*type = 0;
	if (!r->rss.enabled || vmb_host_offload_parse(head, head_len, head_len, &layout) ||
	    !layout.ip_version)
		return 0;
	addresses_at = layout.ip_offset + (layout.ip_version == 4 ? 12 : 8);
	addresses_len = layout.ip_version == 4 ? 8 : 32;
	types = r->rss.hash & port_types(&layout);
	if (!types) {
		types = r->rss.hash & (layout.ip_version == 4 ? NDIS_RSS_HASH_IPV4 : IPV6_ANY);
		if (!types)
			return 0;
		*type = lowest_bit(types) | NDIS_RSS_HASH_TOEPLITZ;
		return toeplitz(&r->rss, 0, 0, bytes + addresses_at, addresses_len);
	}
	*type = lowest_bit(types) | NDIS_RSS_HASH_TOEPLITZ;
	hash = toeplitz(&r->rss, 0, 0, bytes + addresses_at, addresses_len);
	return toeplitz(&r->rss, hash, addresses_len, bytes + layout.transport_offset, 4);
}
