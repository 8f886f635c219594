/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The VMBus control plane: versions, message numbers and the layout of every message. A message has
 * at most 240 bytes: vmb_msg_header, then the body. All fields are little-endian.
 *
 * Source: docs/protocol/bus.md, "4 Control plane".
 */
#ifndef WIRE_VMBUS_H
#define WIRE_VMBUS_H

#include "base/platform.h"
#include "wire/guid.h"
#include "wire/synic.h"

#define VMB_MSG_LEN_MAX			      VMB_SYNIC_PAYLOAD_MAX
#define VMB_CHANNEL_COUNT_MAX		      2048u /* relids are 1..2047 */
#define VMB_MONITOR_COUNT_MAX		      128u
#define VMB_CHANNEL_COUNT_SHARED	      256u /* the same before 2.4: relids are 1..255 */
#define VMB_VP_NONE			      0xFFFFFFFFu /* OPEN_CHANNEL: no interrupts */

#define VMB_VERSION(major, minor)	      ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define VMB_VERSION_0_13		      VMB_VERSION(0, 13)
#define VMB_VERSION_1_1			      VMB_VERSION(1, 1)
#define VMB_VERSION_2_4			      VMB_VERSION(2, 4)
#define VMB_VERSION_3_0			      VMB_VERSION(3, 0)
#define VMB_VERSION_4_0			      VMB_VERSION(4, 0)
#define VMB_VERSION_4_1			      VMB_VERSION(4, 1)
#define VMB_VERSION_5_0			      VMB_VERSION(5, 0)
#define VMB_VERSION_5_1			      VMB_VERSION(5, 1)
#define VMB_VERSION_5_2			      VMB_VERSION(5, 2)
#define VMB_VERSION_5_3			      VMB_VERSION(5, 3)
#define VMB_VERSION_6_0			      VMB_VERSION(6, 0)

/* Feature flags of version 6.0; the result of negotiation is the intersection. */
#define VMB_VERSION_FEATURE_GUEST_SIGNAL      0x01u
#define VMB_VERSION_FEATURE_REDIRECT	      0x02u
#define VMB_VERSION_FEATURE_MODIFY_CONNECTION 0x04u
#define VMB_VERSION_FEATURE_CLIENT_ID	      0x08u
#define VMB_VERSION_FEATURE_CONFIDENTIAL      0x10u
#define VMB_VERSION_FEATURE_PAUSE	      0x20u
#define VMB_VERSION_FEATURE_MONITOR	      0x40u
#define VMB_VERSION_FEATURE_PIN		      0x80u

enum vmb_msg_type {
	VMB_MSG_INVALID = 0,
	VMB_MSG_OFFER = 1,
	VMB_MSG_RESCIND = 2,
	VMB_MSG_REQUEST_OFFERS = 3,
	VMB_MSG_OFFERS_DELIVERED = 4,
	VMB_MSG_OPEN = 5,
	VMB_MSG_OPEN_RESULT = 6,
	VMB_MSG_CLOSE = 7,
	VMB_MSG_GPADL_HEADER = 8,
	VMB_MSG_GPADL_BODY = 9,
	VMB_MSG_GPADL_CREATED = 10,
	VMB_MSG_GPADL_TEARDOWN = 11,
	VMB_MSG_GPADL_TORNDOWN = 12,
	VMB_MSG_RELID_RELEASED = 13,
	VMB_MSG_INITIATE_CONTACT = 14,
	VMB_MSG_VERSION_RESPONSE = 15,
	VMB_MSG_UNLOAD = 16,
	VMB_MSG_UNLOAD_COMPLETE = 17, /* 1.1 */
	VMB_MSG_OPEN_RESERVED = 18, /* 4.0 */
	VMB_MSG_CLOSE_RESERVED = 19, /* 4.0 */
	VMB_MSG_CLOSE_RESERVED_RESPONSE = 20, /* 4.0 */
	VMB_MSG_TL_CONNECT_REQUEST = 21, /* 4.0 */
	VMB_MSG_MODIFY_CHANNEL = 22, /* 4.1 */
	VMB_MSG_TL_CONNECT_RESULT = 23, /* 4.1 */
	VMB_MSG_MODIFY_CHANNEL_RESPONSE = 24, /* 5.3 */
	VMB_MSG_MODIFY_CONNECTION = 25, /* 6.0 */
	VMB_MSG_MODIFY_CONNECTION_RESPONSE = 26, /* 6.0 */
	VMB_MSG_PAUSE = 27, /* 6.0 */
	VMB_MSG_PAUSE_RESPONSE = 28, /* 6.0 */
	VMB_MSG_RESUME = 29, /* 6.0 */
	VMB_MSG_TYPE_COUNT
};

/* Status words of results: guests only test for zero. */
#define VMB_STATUS_SUCCESS 0u
#define VMB_STATUS_FAILURE 0x8000FFFFu
#define VMB_STATUS_REFUSED 0xC0000236u

/* Messages 3, 4, 16, 17, 27, 28 and 29 are this header alone. */
struct vmb_msg_header {
	uint32_t type;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_header, 8);

/*
 * 14. target_sint from 5.0, target_vtl from 5.1, features from 6.0; before 5.0 the eight bytes at
 *     16 are the interrupt page's address, which only hosts below 2.4 use.
 */
struct vmb_msg_initiate_contact {
	struct vmb_msg_header header;
	uint32_t version;
	uint32_t target_vp;
	union {
		uint64_t interrupt_page_gpa;
		struct {
			uint8_t target_sint;
			uint8_t target_vtl;
			uint16_t reserved;
			uint32_t features;
		} VMB_PACKED v5;
	} VMB_PACKED u;
	uint64_t parent_to_child_monitor_gpa;
	uint64_t child_to_parent_monitor_gpa;
	struct vmb_guid
		client_id; /* only with VMB_VERSION_FEATURE_CLIENT_ID: else 40 bytes are sent */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_initiate_contact, 56);
VMB_ASSERT_OFFSET(struct vmb_msg_initiate_contact, u, 16);
VMB_ASSERT_OFFSET(struct vmb_msg_initiate_contact, u.v5.features, 20);
VMB_ASSERT_OFFSET(struct vmb_msg_initiate_contact, parent_to_child_monitor_gpa, 24);
#define VMB_MSG_INITIATE_CONTACT_LEN 40u

/*
 * 15. 16 bytes below 6.0 and for every refusal; 20 when 6.0 is accepted; 40 with FEATURE_MONITOR.
 */
struct vmb_msg_version_response {
	struct vmb_msg_header header;
	uint8_t supported;
	uint8_t connection_state; /* from 2.4, only when supported: 0 = ok */
	uint16_t reserved;
	uint32_t version_or_connection; /* >= 5.0: connection id for messages from now on */
	uint32_t features; /* 6.0 */
	uint32_t reserved2;
	uint64_t parent_to_child_monitor_gpa;
	uint64_t child_to_parent_monitor_gpa;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_version_response, 40);
#define VMB_MSG_VERSION_RESPONSE_LEN	 16u
#define VMB_MSG_VERSION_RESPONSE_LEN_6_0 20u

#define VMB_OFFER_FLAG_ENUMERATE	 0x0001u
#define VMB_OFFER_FLAG_NAMED_PIPE	 0x0010u
#define VMB_OFFER_FLAG_LOOPBACK		 0x0100u
#define VMB_OFFER_FLAG_PARENT		 0x0200u
#define VMB_OFFER_FLAG_MONITORED	 0x0400u
#define VMB_OFFER_FLAG_HVSOCK		 0x2000u
#define VMB_OFFER_USER_LEN		 120u
#define VMB_OFFER_MONITOR_NONE		 0xFFu

/* 1. Before 1.1 it ended behind 190 bytes: is_dedicated and connection_id are missing or 0 then. */
struct vmb_msg_offer {
	struct vmb_msg_header header;
	struct vmb_guid type_id;
	struct vmb_guid instance_id;
	uint64_t reserved1;
	uint64_t reserved2;
	uint16_t flags; /* VMB_OFFER_FLAG_* */
	uint16_t mmio_mib;
	uint8_t user[VMB_OFFER_USER_LEN];
	uint16_t sub_channel_index; /* 0 = primary */
	uint16_t mmio_optional_mib;
	uint32_t relid;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint16_t is_dedicated; /* 1.1 */
	uint32_t connection_id; /* 1.1 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_offer, 196);
VMB_ASSERT_OFFSET(struct vmb_msg_offer, flags, 56);
VMB_ASSERT_OFFSET(struct vmb_msg_offer, user, 60);
VMB_ASSERT_OFFSET(struct vmb_msg_offer, sub_channel_index, 180);
VMB_ASSERT_OFFSET(struct vmb_msg_offer, relid, 184);
VMB_ASSERT_OFFSET(struct vmb_msg_offer, connection_id, 192);
#define VMB_MSG_OFFER_LEN_0_13 190u

/* 2 RESCIND, 7 CLOSE, 13 RELID_RELEASED, 20 CLOSE_RESERVED_RESPONSE. */
struct vmb_msg_relid {
	struct vmb_msg_header header;
	uint32_t relid;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_relid, 12);

#define VMB_OPEN_USER_LEN 120u

/*
 * 5. The last three fields from 6.0 with FEATURE_GUEST_SIGNAL or FEATURE_REDIRECT: else 148 bytes.
 */
struct vmb_msg_open {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t open_id;
	uint32_t gpadl_id;
	uint32_t target_vp;
	uint32_t downstream_page; /* = pages of the upstream ring, its control page included */
	uint8_t user[VMB_OPEN_USER_LEN];
	uint32_t connection_id;
	uint16_t event_flag;
	uint16_t flags;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_open, 156);
VMB_ASSERT_OFFSET(struct vmb_msg_open, user, 28);
#define VMB_MSG_OPEN_LEN 148u

/* 6 */
struct vmb_msg_open_result {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t open_id;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_open_result, 20);

/* 8. The first part of the range list follows. */
struct vmb_msg_gpadl_header {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t gpadl_id;
	uint16_t ranges_len; /* bytes of the whole range list, not of this message's part */
	uint16_t range_count;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_gpadl_header, 20);
#define VMB_MSG_GPADL_HEADER_QWORDS 27u

/* 9. The next part of the range list follows. */
struct vmb_msg_gpadl_body {
	struct vmb_msg_header header;
	uint32_t number; /* ignored by hosts */
	uint32_t gpadl_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_gpadl_body, 16);
#define VMB_MSG_GPADL_BODY_QWORDS 28u

/* 10 */
struct vmb_msg_gpadl_created {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t gpadl_id;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_gpadl_created, 20);

/* 11 */
struct vmb_msg_gpadl_teardown {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t gpadl_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_gpadl_teardown, 16);

/* 12 */
struct vmb_msg_gpadl_torndown {
	struct vmb_msg_header header;
	uint32_t gpadl_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_gpadl_torndown, 12);

/* 18 */
struct vmb_msg_open_reserved {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t target_vp;
	uint32_t target_sint;
	uint32_t gpadl_id;
	uint32_t downstream_page;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_open_reserved, 28);

/* 19 */
struct vmb_msg_close_reserved {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t target_vp;
	uint32_t target_sint;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_close_reserved, 20);

/* 21. silo_id from 5.2, optional: the length decides. */
struct vmb_msg_tl_connect_request {
	struct vmb_msg_header header;
	struct vmb_guid endpoint_id;
	struct vmb_guid service_id;
	struct vmb_guid silo_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_tl_connect_request, 56);
#define VMB_MSG_TL_CONNECT_REQUEST_LEN 40u

/* 23 */
struct vmb_msg_tl_connect_result {
	struct vmb_msg_header header;
	struct vmb_guid endpoint_id;
	struct vmb_guid service_id;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_tl_connect_result, 44);

/* 22 */
struct vmb_msg_modify_channel {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t target_vp;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_modify_channel, 16);

/* 24 */
struct vmb_msg_modify_channel_response {
	struct vmb_msg_header header;
	uint32_t relid;
	uint32_t status;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_modify_channel_response, 16);

/* 25 */
struct vmb_msg_modify_connection {
	struct vmb_msg_header header;
	uint64_t parent_to_child_monitor_gpa;
	uint64_t child_to_parent_monitor_gpa;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_modify_connection, 24);

/* 26 */
struct vmb_msg_modify_connection_response {
	struct vmb_msg_header header;
	uint8_t connection_state;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_msg_modify_connection_response, 9);

/*
 * A range of guest memory; ceil((byte_offset + byte_count) / 4096) page frame numbers follow. Used
 * in GPADLs and in GPA-direct packets.
 */
struct vmb_gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset; /* 0..4095, into the first page */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_gpa_range, 8);

/*
 * The interrupt page of versions before 2.4, which INITIATE_CONTACT names: bit relid of a half says
 * "look at this channel's rings". All accesses are atomic, words of 32 bits. 6.1, 6.2
 */
#define VMB_INTERRUPT_WORD_COUNT (VMB_CHANNEL_COUNT_SHARED / 32) /* words of a half that are used */

struct vmb_interrupt_page {
	uint32_t to_guest[512]; /* set by the host, then event flag 0 of VP 0; taken by the guest */
	uint32_t to_host[512]; /* set by the guest, then a signal; taken by the host */
};
VMB_ASSERT_LEN(struct vmb_interrupt_page, 4096);
VMB_ASSERT_OFFSET(struct vmb_interrupt_page, to_host, 2048);

/*
 * A monitor page, any version: INITIATE_CONTACT names two, and only the second (child->parent) is
 * used. Monitor id m is bit m % 32 of group m / 32. The guest sets pending bits; the host scans the
 * groups that trigger_state enables at about the latency hint, and does what a signal on the id's
 * connection would have done. 6.3
 */
#define VMB_MONITOR_GROUP_COUNT 4u
#define VMB_MONITOR_GROUP_BITS	32u

struct vmb_monitor_page {
	uint32_t trigger_state; /* bit g: group g is enabled */
	uint32_t reserved1;
	struct {
		uint32_t pending;
		uint32_t armed;
	} groups[VMB_MONITOR_GROUP_COUNT];
	uint8_t reserved2[24];
	uint32_t next_check[VMB_MONITOR_GROUP_COUNT][VMB_MONITOR_GROUP_BITS]; /* the scanner's */
	uint16_t latency[VMB_MONITOR_GROUP_COUNT][VMB_MONITOR_GROUP_BITS]; /* in 100 ns */
	uint8_t reserved3[256];
	struct {
		uint32_t connection_id;
		uint16_t flag;
		uint16_t reserved;
	} parameters[VMB_MONITOR_GROUP_COUNT][VMB_MONITOR_GROUP_BITS];
	uint8_t reserved4[1984];
};
VMB_ASSERT_LEN(struct vmb_monitor_page, 4096);
VMB_ASSERT_OFFSET(struct vmb_monitor_page, groups, 8);
VMB_ASSERT_OFFSET(struct vmb_monitor_page, next_check, 64);
VMB_ASSERT_OFFSET(struct vmb_monitor_page, latency, 576);
VMB_ASSERT_OFFSET(struct vmb_monitor_page, parameters, 1088);

#define VMB_GPADL_RANGES_LEN_MAX 65528u /* the 16-bit length, rounded down to whole qwords */

#endif
