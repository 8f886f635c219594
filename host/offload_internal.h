/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by offload.c (headers, checksums) and offload_lso.c (large sends). All offsets are those
 * of a layout that vmb_host_offload_parse() filled in, so they are inside head.
 */
#ifndef HOST_OFFLOAD_INTERNAL_H
#define HOST_OFFLOAD_INTERNAL_H

#include "host/offload.h"

#define VMB_HOST_OFFLOAD_ETHERTYPE_IPV4 0x0800u
#define VMB_HOST_OFFLOAD_ETHERTYPE_IPV6 0x86DDu
#define VMB_HOST_OFFLOAD_TCP		6u
#define VMB_HOST_OFFLOAD_UDP		17u
#define VMB_HOST_OFFLOAD_ETHERNET_LEN	14u
#define VMB_HOST_OFFLOAD_IPV4_LEN	20u
#define VMB_HOST_OFFLOAD_IPV6_LEN	40u
#define VMB_HOST_OFFLOAD_TCP_LEN	20u
#define VMB_HOST_OFFLOAD_UDP_LEN	8u

static inline uint16_t vmb_host_offload_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void vmb_host_offload_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Returns the sum of the pseudo-header for len bytes of transport. */
uint32_t vmb_host_offload_pseudo(const uint8_t *head, const struct vmb_host_offload_layout *layout,
				 uint32_t len);
/* Writes the IPv4 header's checksum. */
void vmb_host_offload_ip_header(uint8_t *head, const struct vmb_host_offload_layout *layout);
/* Writes the IP packet's length, which reaches to the end of a frame of len bytes. */
void vmb_host_offload_ip_len(uint8_t *head, const struct vmb_host_offload_layout *layout,
			     uint32_t len);
/* Returns the offset of the TCP or UDP checksum. */
uint32_t vmb_host_offload_checksum_at(const struct vmb_host_offload_layout *layout);
/* Returns whether the frame is of the kind that flags (RNDIS_TX_CHECKSUM_*) claim. */
bool vmb_host_offload_flags_fit(const struct vmb_host_offload_layout *layout, uint32_t flags);

#endif
