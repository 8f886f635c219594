/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network virtual service protocol (NVSP): the payload of ring packets of a network channel. It
 * carries RNDIS, see wire/rndis.h.
 */
#ifndef WIRE_NETWORK_H
#define WIRE_NETWORK_H

#include "base/platform.h"
#include "wire/vmbus.h"

#define VMB_NET_VERSION_1		  0x00000002u /* Windows Server 2008 */
#define VMB_NET_VERSION_2		  0x00030002u /* 2008 R2: NDIS configuration */
#define VMB_NET_VERSION_4		  0x00040000u /* 2012: virtual functions */
#define VMB_NET_VERSION_5		  0x00050000u /* 2012 R2: sub-channels */
#define VMB_NET_VERSION_6		  0x00060000u /* 2016 */
#define VMB_NET_VERSION_6_1		  0x00060001u /* 2019: receive segment coalescing */

#define VMB_NET_MESSAGE_LEN		  28u /* up to version 6; 32 on the ring */
#define VMB_NET_MESSAGE_LEN_6_1		  40u
#define VMB_NET_MESSAGE_LEN_MAX		  104u /* SEND_INDIRECTION_TABLE: 76 with offset 12 */

#define VMB_NET_RECEIVE_BUFFER_ID	  0xCAFEu /* chosen by guests; a host accepts any */
#define VMB_NET_SEND_BUFFER_ID		  0u
#define VMB_NET_RECEIVE_BUFFER_LEN_MAX_V2 (15u << 20) /* bytes, versions 1 and 2 */
#define VMB_NET_RECEIVE_BUFFER_LEN_MAX	  (31u << 20)
#define VMB_NET_SEND_BUFFER_LEN_MAX	  (15u << 20)
#define VMB_NET_SECTION_NONE		  0xFFFFFFFFu
#define VMB_NET_SEND_SECTION_LEN	  6144u /* chosen by hosts */
#define VMB_NET_RANGE_COUNT_MAX		  375u /* receive ranges in one packet */
#define VMB_NET_RANGE_COUNT_MAX_RSC	  562u
#define VMB_NET_PAGE_COUNT_MAX		  32u /* ranges in a GPA-direct packet, on any host */
#define VMB_NET_QUEUE_COUNT_MAX		  64u /* channels of one device, the primary one included */
#define VMB_NET_TABLE_COUNT		  16u /* entries of the send indirection table */
#define VMB_NET_ETHERNET_LEN		  14u /* destination, source, type */
#define VMB_NET_MAC_LEN			  6u
#define VMB_NET_LSO_LEN_MAX		  0xF53Cu /* TCP payload bytes of one large send */

enum vmb_net_type {
	VMB_NET_INIT = 1,
	VMB_NET_INIT_COMPLETE = 2,
	VMB_NET_SEND_NDIS_VERSION = 100,
	VMB_NET_SEND_RECEIVE_BUFFER = 101,
	VMB_NET_SEND_RECEIVE_BUFFER_COMPLETE = 102,
	VMB_NET_REVOKE_RECEIVE_BUFFER = 103,
	VMB_NET_SEND_SEND_BUFFER = 104,
	VMB_NET_SEND_SEND_BUFFER_COMPLETE = 105,
	VMB_NET_REVOKE_SEND_BUFFER = 106,
	VMB_NET_SEND_RNDIS_PACKET = 107,
	VMB_NET_SEND_RNDIS_PACKET_COMPLETE = 108,
	VMB_NET_SEND_NDIS_CONFIG = 125, /* from version 2 */
	VMB_NET_SEND_VF_ASSOCIATION = 128, /* from version 4 */
	VMB_NET_SWITCH_DATA_PATH = 129,
	VMB_NET_OID_QUERY_EX = 131, /* from version 5 */
	VMB_NET_OID_QUERY_EX_COMPLETE = 132,
	VMB_NET_SUBCHANNEL = 133,
	VMB_NET_SEND_INDIRECTION_TABLE = 134,
	VMB_NET_PD_API = 135, /* from version 6 */
	VMB_NET_PD_POST_BATCH = 136,
};

enum vmb_net_status {
	VMB_NET_STATUS_NONE = 0,
	VMB_NET_STATUS_SUCCESS = 1,
	VMB_NET_STATUS_FAIL = 2,
	VMB_NET_STATUS_INVALID_RNDIS_PACKET = 5,
	VMB_NET_STATUS_BUSY = 6,
	VMB_NET_STATUS_UNSUPPORTED = 7,
};

enum vmb_net_channel_type {
	VMB_NET_DATA = 0,
	VMB_NET_CONTROL = 1,
};

#define VMB_NET_SUBCHANNEL_ALLOCATE 1u

/* Capabilities in SEND_NDIS_CONFIG. */
#define VMB_NET_CAP_SRIOV	    (1ull << 2)
#define VMB_NET_CAP_VLAN	    (1ull << 3)
#define VMB_NET_CAP_TEAMING	    (1ull << 5) /* from version 5: wants link speed indications */
#define VMB_NET_CAP_RSC		    (1ull << 7) /* from version 6.1 */

/* Bodies; all begin with the type. */
struct vmb_net_init {
	uint32_t type;
	uint32_t version;
	uint32_t version_again;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_init, 12);

struct vmb_net_init_complete {
	uint32_t type;
	uint32_t negotiated; /* 2 for version 1, else 0xFFFFFFFF */
	uint32_t mdl_chain_max; /* 34 */
	uint32_t status; /* NONE: the version is refused */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_init_complete, 16);

struct vmb_net_ndis_version {
	uint32_t type;
	uint32_t major;
	uint32_t minor;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_ndis_version, 12);

/* SEND_RECEIVE_BUFFER and SEND_SEND_BUFFER. */
struct vmb_net_buffer {
	uint32_t type;
	uint32_t gpadl_id;
	uint16_t id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_buffer, 10);

struct vmb_net_receive_buffer_complete {
	uint32_t type;
	uint32_t status;
	uint32_t section_count; /* 1 */
	uint32_t offset; /* 0 */
	uint32_t suballoc_len; /* bytes of one suballocation */
	uint32_t suballoc_count;
	uint32_t end_offset; /* suballoc_count * suballoc_len */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_receive_buffer_complete, 28);

struct vmb_net_send_buffer_complete {
	uint32_t type;
	uint32_t status;
	uint32_t section_len; /* bytes */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_send_buffer_complete, 12);

struct vmb_net_revoke {
	uint32_t type;
	uint16_t id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_revoke, 6);

struct vmb_net_rndis_packet {
	uint32_t type;
	uint32_t channel_type; /* enum vmb_net_channel_type */
	uint32_t section_index; /* or VMB_NET_SECTION_NONE */
	uint32_t section_len; /* bytes used in it */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_rndis_packet, 16);

struct vmb_net_rndis_packet_complete {
	uint32_t type;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_rndis_packet_complete, 8);

struct vmb_net_ndis_config {
	uint32_t type;
	uint32_t mtu; /* bytes with the Ethernet header; < 1514 (old drivers) means 1514 */
	uint32_t reserved;
	uint64_t capabilities;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_ndis_config, 20);

struct vmb_net_vf_association {
	uint32_t type;
	uint32_t allocated;
	uint32_t serial;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_vf_association, 12);

struct vmb_net_switch_data_path {
	uint32_t type;
	uint32_t active; /* 0 synthetic, 1 virtual function */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_switch_data_path, 8);

struct vmb_net_oid_query_ex_complete {
	uint32_t type;
	uint32_t status; /* enum rndis_status */
	uint32_t len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_oid_query_ex_complete, 12);

/* Request: op and count; completion: status in the place of op. */
struct vmb_net_subchannel {
	uint32_t type;
	uint32_t op; /* VMB_NET_SUBCHANNEL_ALLOCATE; in the completion enum vmb_net_status */
	uint32_t count; /* of sub-channels, the primary not included */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_subchannel, 12);

struct vmb_net_indirection_table {
	uint32_t type;
	uint32_t count; /* 16 */
	uint32_t offset; /* of the entries from the message's start, 12; wrong from old hosts */
	uint32_t entries[VMB_NET_TABLE_COUNT]; /* channel index */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_indirection_table, 76);

struct vmb_net_pd_api_complete {
	uint32_t type;
	uint32_t op;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_net_pd_api_complete, 12);

#endif
