// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Offload structures and RSS: parsed and built. */
#include "guest/network_internal.h"

/* A guest's stack sends TCP options in every frame, and sometimes extension headers. */
#define TCP4_FLAGS	 (NDIS_OFFLOAD_TCP | NDIS_OFFLOAD_TCP_OPTIONS)
#define TCP6_FLAGS	 (TCP4_FLAGS | NDIS_OFFLOAD_IPV6_EXTENSIONS)
#define LSO6_FLAGS	 (NDIS_OFFLOAD_IPV6_EXTENSIONS | NDIS_OFFLOAD_TCP_OPTIONS)

/* A sender cannot guarantee more for each large send. */
#define SEGMENTS_MIN_MAX 16u

/* ---- offload ---- */

static uint32_t checksum_bits(const struct ndis_checksum_offload *ipv4,
			      const struct ndis_checksum_offload *ipv6)
{
	uint32_t flags4 = ipv4->encapsulation & NDIS_ENCAPSULATION_802_3 ? ipv4->flags : 0;
	uint32_t flags6 = ipv6->encapsulation & NDIS_ENCAPSULATION_802_3 ? ipv6->flags : 0;
	uint32_t bits = 0;

	if (flags4 & NDIS_OFFLOAD_IP_HEADER)
		bits |= VMB_GUEST_NETWORK_TX_IP_HEADER;
	if ((flags4 & TCP4_FLAGS) == TCP4_FLAGS)
		bits |= VMB_GUEST_NETWORK_TX_TCP4;
	if (flags4 & NDIS_OFFLOAD_UDP)
		bits |= VMB_GUEST_NETWORK_TX_UDP4;
	if ((flags6 & TCP6_FLAGS) == TCP6_FLAGS)
		bits |= VMB_GUEST_NETWORK_TX_TCP6;
	if (flags6 & NDIS_OFFLOAD_UDP)
		bits |= VMB_GUEST_NETWORK_TX_UDP6;
	return bits;
}

static bool lso_sane(const struct vmb_guest_network *n, const struct ndis_lso_offload *lso)
{
	return lso->encapsulation & NDIS_ENCAPSULATION_802_3 && lso->len_max > n->config.mtu &&
	       lso->segments_min <= SEGMENTS_MIN_MAX;
}

static void add_lso(struct vmb_guest_network_offloads *offloads, uint32_t bit,
		    const struct ndis_lso_offload *lso)
{
	offloads->offload |= bit;
	if (lso->len_max < offloads->lso_len_max)
		offloads->lso_len_max = lso->len_max;
	if (lso->segments_min > offloads->lso_segments_min)
		offloads->lso_segments_min = lso->segments_min;
}

/* A large send implies its checksums, so it needs them. */
static void read_lso(const struct vmb_guest_network *n, const struct ndis_offload *from,
		     struct vmb_guest_network_offloads *offloads)
{
	offloads->lso_len_max = VMB_NET_LSO_LEN_MAX;
	if (offloads->offload & VMB_GUEST_NETWORK_TX_TCP4 && lso_sane(n, &from->lso_ipv4))
		add_lso(offloads, VMB_GUEST_NETWORK_LSO4, &from->lso_ipv4);
	if (offloads->offload & VMB_GUEST_NETWORK_TX_TCP6 && lso_sane(n, &from->lso_ipv6) &&
	    (from->lso_ipv6_flags & LSO6_FLAGS) == LSO6_FLAGS)
		add_lso(offloads, VMB_GUEST_NETWORK_LSO6, &from->lso_ipv6);
	if (!(offloads->offload & (VMB_GUEST_NETWORK_LSO4 | VMB_GUEST_NETWORK_LSO6)))
		offloads->lso_len_max = 0;
}

bool vmb_guest_network_offload_read(const struct vmb_guest_network *n, const void *data,
				    uint32_t len, struct vmb_guest_network_offloads *offloads)
{
	struct ndis_offload from;

	memset(offloads, 0, sizeof(*offloads));
	memset(&from, 0, sizeof(from));
	if (len < NDIS_OFFLOAD_LEN_1)
		return false;
	memcpy(&from, data, sizeof(from.object));
	if (from.object.type != NDIS_OBJECT_OFFLOAD || from.object.len < NDIS_OFFLOAD_LEN_1 ||
	    from.object.len > len)
		return false;
	len = from.object.len < sizeof(from) ? from.object.len : sizeof(from);
	memcpy(&from, data, len);
	offloads->offload = checksum_bits(&from.ipv4_tx, &from.ipv6_tx);
	offloads->receive = checksum_bits(&from.ipv4_rx, &from.ipv6_rx);
	if (offloads->receive)
		offloads->offload |= VMB_GUEST_NETWORK_RX_CHECKSUM;
	read_lso(n, &from, offloads);
	if (n->agreed.version >= VMB_NET_VERSION_6_1 && n->config.rsc && from.rsc_ipv4 &&
	    from.rsc_ipv6)
		offloads->offload |= VMB_GUEST_NETWORK_RSC;
	return true;
}

/* The query carries the structure that is wanted, empty except for its header. */
uint32_t vmb_guest_network_offload_asked(const struct vmb_guest_network *n,
					 struct ndis_offload *input)
{
	memset(input, 0, sizeof(*input));
	input->object.type = NDIS_OBJECT_OFFLOAD;
	if (n->agreed.version >= VMB_NET_VERSION_5) {
		input->object.revision = 3;
		input->object.len = NDIS_OFFLOAD_LEN_3;
	} else if (n->agreed.version >= VMB_NET_VERSION_4) {
		input->object.revision = 2;
		input->object.len = NDIS_OFFLOAD_LEN_2;
	} else {
		input->object.revision = 1;
		input->object.len = NDIS_OFFLOAD_LEN_1;
	}
	return input->object.len;
}

static uint8_t checksum_parameter(const struct vmb_guest_network *n, uint32_t offload, uint32_t bit)
{
	bool rx = offload & VMB_GUEST_NETWORK_RX_CHECKSUM && n->dialogue.offload_receive & bit;

	if (offload & bit)
		return rx ? NDIS_PARAMETER_BOTH : NDIS_PARAMETER_TX;
	return rx ? NDIS_PARAMETER_RX : NDIS_PARAMETER_OFF;
}

static uint8_t on_off(uint32_t offload, uint32_t bit)
{
	return offload & bit ? NDIS_PARAMETER_ON : NDIS_PARAMETER_OFF;
}

uint32_t vmb_guest_network_offload_build(const struct vmb_guest_network *n, uint32_t offload,
					 struct ndis_offload_parameters *parameters)
{
	memset(parameters, 0, sizeof(*parameters));
	parameters->object.type = NDIS_OBJECT_DEFAULT;
	parameters->ipv4_checksum = checksum_parameter(n, offload, VMB_GUEST_NETWORK_TX_IP_HEADER);
	parameters->tcp4_checksum = checksum_parameter(n, offload, VMB_GUEST_NETWORK_TX_TCP4);
	parameters->udp4_checksum = checksum_parameter(n, offload, VMB_GUEST_NETWORK_TX_UDP4);
	parameters->tcp6_checksum = checksum_parameter(n, offload, VMB_GUEST_NETWORK_TX_TCP6);
	parameters->udp6_checksum = checksum_parameter(n, offload, VMB_GUEST_NETWORK_TX_UDP6);
	parameters->lso_ipv4 = on_off(offload, VMB_GUEST_NETWORK_LSO4);
	parameters->lso_ipv6 = on_off(offload, VMB_GUEST_NETWORK_LSO6);
	if (n->agreed.version < VMB_NET_VERSION_5) {
		parameters->object.revision = 2;
		parameters->object.len = offsetof(struct ndis_offload_parameters, rsc_ipv4);
		return parameters->object.len;
	}
	parameters->object.revision = 3;
	parameters->object.len = sizeof(*parameters);
	if (n->agreed.offload_caps & VMB_GUEST_NETWORK_RSC) {
		parameters->rsc_ipv4 = on_off(offload, VMB_GUEST_NETWORK_RSC);
		parameters->rsc_ipv6 = parameters->rsc_ipv4;
	}
	return parameters->object.len;
}

int vmb_guest_network_set_offload(struct vmb_guest_network *n, uint32_t offload)
{
	struct ndis_offload_parameters parameters;
	uint32_t len;
	int err;

	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	if (offload & ~n->agreed.offload_caps)
		return VMB_EINVAL;
	if ((offload & VMB_GUEST_NETWORK_LSO4 && !(offload & VMB_GUEST_NETWORK_TX_TCP4)) ||
	    (offload & VMB_GUEST_NETWORK_LSO6 && !(offload & VMB_GUEST_NETWORK_TX_TCP6)))
		return VMB_EINVAL;
	len = vmb_guest_network_offload_build(n, offload, &parameters);
	n->dialogue.offload_wanted = offload;
	err = vmb_guest_network_set(n, RNDIS_OID_OFFLOAD_PARAMETERS, &parameters, len);
	n->dialogue.asked = VMB_GUEST_NETWORK_ASKED_OFFLOAD;
	return err;
}

/* ---- RSS ---- */

/*
 * Without Toeplitz and TCP nothing can be set. An old structure, or a 0, does not give the table's
 * size.
 */
void vmb_guest_network_rss_read(struct vmb_guest_network *n, const void *data, uint32_t len)
{
	struct ndis_rss_capabilities caps;
	const uint32_t len_min = offsetof(struct ndis_rss_capabilities, table_count);
	uint32_t wanted = NDIS_RSS_CAP_TOEPLITZ;

	memset(&caps, 0, sizeof(caps));
	if (len < len_min)
		return;
	memcpy(&caps, data, sizeof(caps.object));
	if (caps.object.type != NDIS_OBJECT_RSS_CAPABILITIES || caps.object.len < len_min ||
	    caps.object.len > len)
		return;
	memcpy(&caps, data, caps.object.len < sizeof(caps) ? caps.object.len : sizeof(caps));
	if ((caps.capabilities & wanted) != wanted || !caps.queue_count ||
	    !(caps.capabilities & (NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6)))
		return;
	n->agreed.rss_queue_count = caps.queue_count < VMB_NET_QUEUE_COUNT_MAX ?
					    caps.queue_count :
					    VMB_NET_QUEUE_COUNT_MAX;
	n->agreed.rss_table_count = caps.table_count;
	if (!n->agreed.rss_table_count || n->agreed.rss_table_count > NDIS_RSS_TABLE_COUNT_MAX)
		n->agreed.rss_table_count = NDIS_RSS_TABLE_COUNT_MAX;
}

/* The parameters, then table and key. */
struct rss_parameters {
	struct ndis_rss_parameters head;
	uint32_t table[NDIS_RSS_TABLE_COUNT_MAX]; /* used up to the host's size, then the key */
	uint8_t key[NDIS_RSS_KEY_LEN];
} VMB_PACKED;
_Static_assert(sizeof(struct rss_parameters) <= VMB_GUEST_NETWORK_ANSWER_LEN_MAX,
	       "RSS parameters are built where the answer will be");

static void build_rss_head(const struct vmb_guest_network *n, struct ndis_rss_parameters *head,
			   uint32_t hash)
{
	memset(head, 0, sizeof(*head));
	head->object.type = NDIS_OBJECT_RSS_PARAMETERS;
	head->object.revision = 2;
	head->object.len = sizeof(*head);
	head->flags = hash ? 0 : NDIS_RSS_FLAG_DISABLE;
	head->hash = hash ? hash | NDIS_RSS_HASH_TOEPLITZ : 0;
	head->table_len = (uint16_t)(n->agreed.rss_table_count * sizeof(uint32_t));
	head->table_offset = sizeof(*head);
	head->key_len = NDIS_RSS_KEY_LEN;
	head->key_offset = head->table_offset + head->table_len;
}

static bool table_sane(const struct vmb_guest_network *n, const uint16_t *table, uint32_t count)
{
	uint32_t i;

	if (!count || count > n->agreed.rss_table_count)
		return false;
	for (i = 0; i < count; i++)
		if (table[i] > n->agreed.sub_channel_count)
			return false;
	return true;
}

int vmb_guest_network_set_rss(struct vmb_guest_network *n, const uint16_t *table, uint32_t count,
			      const uint8_t key[NDIS_RSS_KEY_LEN], uint32_t hash)
{
	struct rss_parameters *parameters = (struct rss_parameters *)n->answer.data;
	uint32_t i, from;

	if (!vmb_guest_network_may_ask(n))
		return VMB_EBUSY;
	if (!n->agreed.rss_table_count)
		return VMB_EOPNOTSUPP;
	if (!table_sane(n, table, count))
		return VMB_EINVAL;
	build_rss_head(n, &parameters->head, hash);
	for (i = 0, from = 0; i < n->agreed.rss_table_count;
	     i++, from = from + 1 < count ? from + 1 : 0)
		parameters->table[i] = table[from];
	memcpy((uint8_t *)parameters + parameters->head.key_offset, key, NDIS_RSS_KEY_LEN);
	return vmb_guest_network_set(n, RNDIS_OID_RSS_PARAMETERS, parameters,
				     parameters->head.key_offset + NDIS_RSS_KEY_LEN);
}
