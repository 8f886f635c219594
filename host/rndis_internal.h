/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the files of the host's RNDIS adapter: rndis.c has messages and envelopes, rndis_oid.c
 * queries and sets, rndis_offload.c available and enabled offloads, rndis_rss.c receive scaling and
 * its hash.
 */
#ifndef HOST_RNDIS_INTERNAL_H
#define HOST_RNDIS_INTERNAL_H

#include "host/rndis.h"

/*
 * One query or set; data is a private copy of len bytes. Both return an enum rndis_status. A
 * query's reply goes to out (room for VMB_HOST_RNDIS_DATA_LEN_MAX bytes), *out_len bytes of it.
 */
#define VMB_HOST_RNDIS_DATA_LEN_MAX \
	(VMB_HOST_RNDIS_REPLY_LEN_MAX - sizeof(struct rndis_query_complete))
uint32_t vmb_host_rndis_oid_query(const struct vmb_host_rndis *r, uint32_t oid, const uint8_t *data,
				  uint32_t len, uint8_t *out, uint32_t *out_len);
uint32_t vmb_host_rndis_oid_set(struct vmb_host_rndis *r, uint32_t oid, const uint8_t *data,
				uint32_t len);

/*
 * Fills in NDIS_OFFLOAD of the given revision (1 to 3): available offloads, or enabled ones.
 * Returns its length.
 */
uint32_t vmb_host_rndis_offload_describe(const struct vmb_host_rndis *r, uint32_t revision, bool on,
					 struct ndis_offload *offload);
/* NDIS_OFFLOAD_PARAMETERS. */
uint32_t vmb_host_rndis_offload_set(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len);
/*
 * Sets a configuration keyword of Windows (ASCII). Returns NOT_SUPPORTED if no offload has that
 * name.
 */
uint32_t vmb_host_rndis_offload_keyword(struct vmb_host_rndis *r, const char *name, uint32_t value);

uint32_t vmb_host_rndis_rss_query(const struct vmb_host_rndis *r, const uint8_t *data, uint32_t len,
				  uint8_t *out, uint32_t *out_len);
uint32_t vmb_host_rndis_rss_set(struct vmb_host_rndis *r, const uint8_t *data, uint32_t len);

#endif
