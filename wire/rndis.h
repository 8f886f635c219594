/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Remote NDIS: control messages, the frame's envelope with its per-packet information, and the NDIS
 * structures in queries and sets. It knows nothing of VMBus. Offsets in messages count from byte 8,
 * those in NDIS structures from the structure's first byte.
 *
 * Source: docs/protocol/network.md, "8 RNDIS", "9 RNDIS packets", "10 NDIS structures".
 */
#ifndef WIRE_RNDIS_H
#define WIRE_RNDIS_H

#include "base/platform.h"

#define RNDIS_COMPLETION       0x80000000u
#define RNDIS_OFFSET_BASE      8u /* "offset" fields count from here */
#define RNDIS_HEADER_LEN       8u
#define RNDIS_VERSION_MAJOR    1u
#define RNDIS_VERSION_MINOR    0u
#define RNDIS_TRANSFER_LEN_MAX 0x4000u /* announced by guests */

enum rndis_type {
	RNDIS_PACKET = 1,
	RNDIS_INITIALIZE = 2,
	RNDIS_HALT = 3, /* no reply */
	RNDIS_QUERY = 4,
	RNDIS_SET = 5,
	RNDIS_RESET = 6,
	RNDIS_INDICATE_STATUS = 7,
	RNDIS_KEEPALIVE = 8,
};

enum rndis_status {
	RNDIS_STATUS_SUCCESS = 0,
	RNDIS_STATUS_PENDING = 0x103,
	RNDIS_STATUS_MEDIA_CONNECT = 0x4001000B,
	RNDIS_STATUS_MEDIA_DISCONNECT = 0x4001000C,
	RNDIS_STATUS_LINK_SPEED_CHANGE = 0x40010013, /* u32, 100 bit/s */
	RNDIS_STATUS_NETWORK_CHANGE = 0x40010018,
	RNDIS_STATUS_OFFLOAD_CURRENT_CONFIG = 0x40020006, /* struct ndis_offload */
	RNDIS_STATUS_BUFFER_OVERFLOW = (int)0x80000005,
	RNDIS_STATUS_FAILURE = (int)0xC0000001,
	RNDIS_STATUS_NOT_SUPPORTED = (int)0xC00000BB,
	RNDIS_STATUS_BAD_VERSION = (int)0xC0010004,
	RNDIS_STATUS_INVALID_DATA = (int)0xC0010015,
	RNDIS_STATUS_BUFFER_TOO_SHORT = (int)0xC0010016,
};

enum rndis_oid {
	RNDIS_OID_SUPPORTED_LIST = 0x00010101,
	RNDIS_OID_HARDWARE_STATUS = 0x00010102,
	RNDIS_OID_MEDIA_SUPPORTED = 0x00010103,
	RNDIS_OID_MEDIA_IN_USE = 0x00010104,
	RNDIS_OID_LOOKAHEAD_MAX = 0x00010105,
	RNDIS_OID_FRAME_LEN_MAX = 0x00010106, /* without the Ethernet header */
	RNDIS_OID_LINK_SPEED = 0x00010107, /* 100 bit/s */
	RNDIS_OID_TX_BUFFER_SPACE = 0x00010108,
	RNDIS_OID_RX_BUFFER_SPACE = 0x00010109,
	RNDIS_OID_TX_BLOCK_LEN = 0x0001010A,
	RNDIS_OID_RX_BLOCK_LEN = 0x0001010B,
	RNDIS_OID_VENDOR_ID = 0x0001010C,
	RNDIS_OID_VENDOR_DESCRIPTION = 0x0001010D,
	RNDIS_OID_PACKET_FILTER = 0x0001010E,
	RNDIS_OID_LOOKAHEAD = 0x0001010F,
	RNDIS_OID_DRIVER_VERSION = 0x00010110,
	RNDIS_OID_TOTAL_LEN_MAX = 0x00010111,
	RNDIS_OID_PROTOCOL_OPTIONS = 0x00010112,
	RNDIS_OID_MAC_OPTIONS = 0x00010113,
	RNDIS_OID_MEDIA_CONNECT_STATUS = 0x00010114, /* 0 connected, 1 disconnected */
	RNDIS_OID_SEND_PACKETS_MAX = 0x00010115,
	RNDIS_OID_VENDOR_DRIVER_VERSION = 0x00010116,
	RNDIS_OID_NETWORK_ADDRESSES = 0x00010118,
	RNDIS_OID_RSS_CAPABILITIES = 0x00010203,
	RNDIS_OID_RSS_PARAMETERS = 0x00010204,
	RNDIS_OID_LINK_SPEED_MAX = 0x00010206, /* u64 transmit, u64 receive, bit/s */
	RNDIS_OID_LINK_STATE = 0x00010207,
	RNDIS_OID_LINK_PARAMETERS = 0x00010208,
	RNDIS_OID_CONFIG_PARAMETER = 0x0001021B,
	RNDIS_OID_TX_OK = 0x00020101,
	RNDIS_OID_RX_OK = 0x00020102,
	RNDIS_OID_TX_ERROR = 0x00020103,
	RNDIS_OID_RX_ERROR = 0x00020104,
	RNDIS_OID_RX_NO_BUFFER = 0x00020105,
	RNDIS_OID_FRIENDLY_NAME = 0x00020216,
	RNDIS_OID_PERMANENT_MAC = 0x01010101,
	RNDIS_OID_CURRENT_MAC = 0x01010102,
	RNDIS_OID_MULTICAST_LIST = 0x01010103,
	RNDIS_OID_MULTICAST_LIST_MAX = 0x01010104,
	RNDIS_OID_OFFLOAD_ENCAPSULATION = 0x0101010A,
	RNDIS_OID_OFFLOAD_CURRENT_CONFIG = (int)0xFC01020B,
	RNDIS_OID_OFFLOAD_PARAMETERS = (int)0xFC01020C,
	RNDIS_OID_OFFLOAD_CAPABILITIES = (int)0xFC01020D,
};

#define RNDIS_FILTER_DIRECTED	   0x01u
#define RNDIS_FILTER_MULTICAST	   0x02u
#define RNDIS_FILTER_ALL_MULTICAST 0x04u
#define RNDIS_FILTER_BROADCAST	   0x08u
#define RNDIS_FILTER_PROMISCUOUS   0x20u

struct rndis_header {
	uint32_t type; /* enum rndis_type */
	uint32_t len; /* bytes, this header included */
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_header, 8);

struct rndis_initialize {
	struct rndis_header header;
	uint32_t request_id;
	uint32_t major;
	uint32_t minor;
	uint32_t transfer_len_max;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_initialize, 24);

struct rndis_initialize_complete {
	struct rndis_header header;
	uint32_t request_id;
	uint32_t status;
	uint32_t major;
	uint32_t minor;
	uint32_t device_flags; /* 1 connectionless */
	uint32_t medium; /* 0 802.3 */
	uint32_t packet_count_max; /* frames in one send */
	uint32_t transfer_len_max; /* bytes of one send */
	uint32_t alignment_log2; /* of each frame's message in a send of several */
	uint32_t af_list_offset;
	uint32_t af_list_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_initialize_complete, 52);

/* HALT and KEEPALIVE. */
struct rndis_request {
	struct rndis_header header;
	uint32_t request_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_request, 12);

/* QUERY and SET; the input buffer follows. */
struct rndis_query {
	struct rndis_header header;
	uint32_t request_id;
	uint32_t oid;
	uint32_t buffer_len;
	uint32_t buffer_offset; /* 20 */
	uint32_t vc_handle; /* 0 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_query, 28);

struct rndis_query_complete {
	struct rndis_header header;
	uint32_t request_id;
	uint32_t status;
	uint32_t buffer_len;
	uint32_t buffer_offset; /* 16 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_query_complete, 24);

/* SET_CMPLT and KEEPALIVE_CMPLT. */
struct rndis_complete {
	struct rndis_header header;
	uint32_t request_id;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_complete, 16);

struct rndis_reset {
	struct rndis_header header;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_reset, 12);

struct rndis_reset_complete {
	struct rndis_header header;
	uint32_t status;
	uint32_t addressing_reset;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_reset_complete, 16);

struct rndis_indicate_status {
	struct rndis_header header;
	uint32_t status;
	uint32_t buffer_len;
	uint32_t buffer_offset; /* 12 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_indicate_status, 20);

/* The envelope of a frame: header, per-packet information, frame. */
struct rndis_packet {
	struct rndis_header header; /* len: padding included */
	uint32_t data_offset;
	uint32_t data_len;
	uint32_t oob_offset; /* these three are 0 */
	uint32_t oob_len;
	uint32_t oob_count;
	uint32_t info_offset; /* 36 when there is any, else 0 */
	uint32_t info_len;
	uint32_t vc_handle;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_packet, 44);

enum rndis_info_type {
	RNDIS_INFO_CHECKSUM = 0,
	RNDIS_INFO_LSO = 2,
	RNDIS_INFO_VLAN = 6,
	RNDIS_INFO_HASH_VALUE = 8,
	RNDIS_INFO_HASH_TYPE = 9,
	RNDIS_INFO_PAD = 11,
	RNDIS_INFO_PACKET_ID = (int)0x80000001, /* bit 31: internal */
};

struct rndis_info {
	uint32_t len; /* this header included, a multiple of 4 */
	uint32_t type; /* enum rndis_info_type */
	uint32_t offset; /* of the data, 12 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_info, 12);

/* RNDIS_INFO_CHECKSUM, guest to host. */
#define RNDIS_TX_CHECKSUM_IPV4	    (1u << 0)
#define RNDIS_TX_CHECKSUM_IPV6	    (1u << 1)
#define RNDIS_TX_CHECKSUM_TCP	    (1u << 2) /* must be computed */
#define RNDIS_TX_CHECKSUM_UDP	    (1u << 3)
#define RNDIS_TX_CHECKSUM_IP_HEADER (1u << 4)
#define RNDIS_TX_CHECKSUM_TCP_OFFSET_SHIFT \
	16 /* 10 bits: TCP or UDP header from the frame's start */
#define RNDIS_TX_CHECKSUM_TCP_OFFSET_MAX 0x3FFu

/* RNDIS_INFO_CHECKSUM, host to guest. */
#define RNDIS_RX_CHECKSUM_TCP_FAILED	 (1u << 0)
#define RNDIS_RX_CHECKSUM_UDP_FAILED	 (1u << 1)
#define RNDIS_RX_CHECKSUM_IP_FAILED	 (1u << 2)
#define RNDIS_RX_CHECKSUM_TCP_OK	 (1u << 3)
#define RNDIS_RX_CHECKSUM_UDP_OK	 (1u << 4)
#define RNDIS_RX_CHECKSUM_IP_OK		 (1u << 5)
#define RNDIS_RX_CHECKSUM_LOOPBACK	 (1u << 6)
#define RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID \
	(1u << 7) /* found good, but the header has another value */
#define RNDIS_RX_CHECKSUM_IP_VALUE_INVALID (1u << 8)

/* RNDIS_INFO_LSO, version 2. */
#define RNDIS_LSO_MSS_MASK		   0xFFFFFu
#define RNDIS_LSO_TCP_OFFSET_SHIFT	   20 /* 10 bits */
#define RNDIS_LSO_TCP_OFFSET_MAX	   0x3FFu
#define RNDIS_LSO_V2			   (1u << 30)
#define RNDIS_LSO_IPV6			   (1u << 31)

/* RNDIS_INFO_VLAN. */
#define RNDIS_VLAN_PRIORITY_MASK	   0x7u
#define RNDIS_VLAN_CFI			   (1u << 3)
#define RNDIS_VLAN_ID_SHIFT		   4
#define RNDIS_VLAN_ID_MAX		   0xFFFu

/* RNDIS_INFO_PACKET_ID. */
struct rndis_packet_id {
	uint8_t version; /* 1 */
	uint8_t flags; /* RNDIS_PACKET_ID_* */
	uint16_t id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_packet_id, 4);
#define RNDIS_PACKET_ID_VERSION	 1u
#define RNDIS_PACKET_ID_SUBALLOC 0x1u /* this message is one fragment of a frame */
#define RNDIS_PACKET_ID_FIRST	 0x2u
#define RNDIS_PACKET_ID_LAST	 0x4u

struct ndis_object {
	uint8_t type; /* NDIS_OBJECT_* */
	uint8_t revision;
	uint16_t len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_object, 4);
#define NDIS_OBJECT_DEFAULT	     0x80u /* offload parameters, link state */
#define NDIS_OBJECT_RSS_CAPABILITIES 0x88u
#define NDIS_OBJECT_RSS_PARAMETERS   0x89u
#define NDIS_OBJECT_OFFLOAD	     0xA7u
#define NDIS_OBJECT_ENCAPSULATION    0xA8u

#define NDIS_ENCAPSULATION_802_3     2u
#define NDIS_OFFLOAD_IPV4_OPTIONS    0x001u
#define NDIS_OFFLOAD_IPV6_EXTENSIONS 0x001u
#define NDIS_OFFLOAD_TCP_OPTIONS     0x004u
#define NDIS_OFFLOAD_TCP	     0x010u
#define NDIS_OFFLOAD_UDP	     0x040u
#define NDIS_OFFLOAD_IP_HEADER	     0x100u

struct ndis_checksum_offload {
	uint32_t encapsulation;
	uint32_t flags; /* NDIS_OFFLOAD_* */
} VMB_PACKED;

struct ndis_lso_offload {
	uint32_t encapsulation;
	uint32_t len_max;
	uint32_t segments_min;
} VMB_PACKED;

/* RNDIS_OID_OFFLOAD_CAPABILITIES and _CURRENT_CONFIG. */
struct ndis_offload {
	struct ndis_object object; /* revision 1, 112 bytes; 2, 144 (NVSP 4); 3, 156 (NVSP 5) */
	struct ndis_checksum_offload ipv4_tx, ipv4_rx, ipv6_tx, ipv6_rx;
	uint8_t lso_v1[16];
	uint8_t ipsec_v1[28];
	struct ndis_lso_offload lso_ipv4, lso_ipv6;
	uint32_t lso_ipv6_flags; /* 1 extension headers, 4 TCP options */
	uint32_t flags;
	uint8_t ipsec_v2[32]; /* from revision 2 */
	uint8_t rsc_ipv4, rsc_ipv6; /* from revision 3 */
	uint8_t reserved[2];
	uint8_t encapsulated[8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_offload, 156);
VMB_ASSERT_OFFSET(struct ndis_offload, lso_ipv4, 80);
VMB_ASSERT_OFFSET(struct ndis_offload, flags, 108);
VMB_ASSERT_OFFSET(struct ndis_offload, rsc_ipv4, 144);
#define NDIS_OFFLOAD_LEN_1 112u
#define NDIS_OFFLOAD_LEN_2 144u
#define NDIS_OFFLOAD_LEN_3 156u

/* Values of checksum parameters; LSO and RSC: 0 no change, 1 off, 2 on. */
enum ndis_offload_parameter {
	NDIS_PARAMETER_NO_CHANGE = 0,
	NDIS_PARAMETER_OFF = 1,
	NDIS_PARAMETER_TX = 2,
	NDIS_PARAMETER_RX = 3,
	NDIS_PARAMETER_BOTH = 4,
	NDIS_PARAMETER_ON = 2,
};

/*
 * RNDIS_OID_OFFLOAD_PARAMETERS. A guest may write revision 3 and a shorter length: the length
 * decides.
 */
struct ndis_offload_parameters {
	struct ndis_object object; /* revision 1, 20 bytes; 2, 22 (NVSP <= 4); 3, 28 */
	uint8_t ipv4_checksum, tcp4_checksum, udp4_checksum, tcp6_checksum, udp6_checksum;
	uint8_t lso_v1;
	uint8_t ipsec_v1;
	uint8_t lso_ipv4, lso_ipv6;
	uint8_t tcp4_connection, tcp6_connection;
	uint8_t reserved;
	uint32_t flags;
	uint8_t ipsec_v2, ipsec_v2_ipv4; /* from revision 2 */
	uint8_t rsc_ipv4, rsc_ipv6; /* from revision 3 */
	uint8_t encapsulation, encapsulation_types;
	uint8_t padding[2];
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_offload_parameters, 28);
VMB_ASSERT_OFFSET(struct ndis_offload_parameters, flags, 16);
VMB_ASSERT_OFFSET(struct ndis_offload_parameters, rsc_ipv4, 22);

#define NDIS_RSS_CAP_TCP_IPV4 0x100u
#define NDIS_RSS_CAP_TCP_IPV6 0x200u
#define NDIS_RSS_CAP_TOEPLITZ 0x001u

struct ndis_rss_capabilities {
	struct ndis_object object; /* revision 1, 16 bytes; 2, 18 */
	uint32_t capabilities; /* NDIS_RSS_CAP_* */
	uint32_t interrupt_count;
	uint32_t queue_count;
	uint16_t table_count; /* indirection entries, from revision 2 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_rss_capabilities, 18);

#define NDIS_RSS_KEY_LEN	      40u
#define NDIS_RSS_TABLE_COUNT_MAX      128u /* entries; offered by hosts */
#define NDIS_RSS_FLAG_DISABLE	      0x10u
#define NDIS_RSS_FLAG_HASH_UNCHANGED  0x2u
#define NDIS_RSS_FLAG_TABLE_UNCHANGED 0x4u
#define NDIS_RSS_FLAG_KEY_UNCHANGED   0x8u
#define NDIS_RSS_HASH_TOEPLITZ	      0x1u /* low byte */
#define NDIS_RSS_HASH_FUNCTION_MASK   0xFFu
#define NDIS_RSS_HASH_IPV4	      0x100u
#define NDIS_RSS_HASH_TCP_IPV4	      0x200u
#define NDIS_RSS_HASH_IPV6	      0x400u
#define NDIS_RSS_HASH_IPV6_EX	      0x800u
#define NDIS_RSS_HASH_TCP_IPV6	      0x1000u
#define NDIS_RSS_HASH_TCP_IPV6_EX     0x2000u
#define NDIS_RSS_HASH_UDP_IPV4	      0x4000u
#define NDIS_RSS_HASH_UDP_IPV6	      0x8000u
#define NDIS_RSS_HASH_UDP_IPV6_EX     0x10000u

/* RNDIS_OID_RSS_PARAMETERS. Table (u32 channel numbers) and key are where the offsets say. */
struct ndis_rss_parameters {
	struct ndis_object
		object; /* revision 1, 28 bytes; 2, 40; 3, 44; some guests count the tail in */
	uint16_t flags; /* NDIS_RSS_FLAG_* */
	uint16_t base_cpu;
	uint32_t hash;
	uint16_t table_len; /* bytes */
	uint16_t reserved;
	uint32_t table_offset;
	uint16_t key_len;
	uint16_t reserved2;
	uint32_t key_offset;
	uint32_t cpu_mask_offset, cpu_mask_count, cpu_mask_len; /* from revision 2 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_rss_parameters, 40);
VMB_ASSERT_OFFSET(struct ndis_rss_parameters, table_offset, 16);
VMB_ASSERT_OFFSET(struct ndis_rss_parameters, key_offset, 24);

struct ndis_link_state {
	struct ndis_object object; /* revision 1, 40 bytes */
	uint32_t connect; /* 1 connected, 2 disconnected */
	uint32_t duplex; /* 2 full */
	uint32_t reserved;
	uint64_t transmit_speed, receive_speed; /* bit/s */
	uint32_t pause;
	uint32_t autonegotiation;
} VMB_PACKED;
VMB_ASSERT_LEN(struct ndis_link_state, 40);

/* RNDIS_OID_CONFIG_PARAMETER. Name and value are where the offsets (from here) say, in UTF-16LE. */
struct rndis_config_parameter {
	uint32_t name_offset, name_len; /* bytes */
	uint32_t type; /* 0 integer, 2 string */
	uint32_t value_offset, value_len;
} VMB_PACKED;
VMB_ASSERT_LEN(struct rndis_config_parameter, 20);
#define RNDIS_CONFIG_INTEGER 0u
#define RNDIS_CONFIG_STRING  2u

#endif
