/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The synthetic storage protocol (VSTOR): the payload of ring packets of a storage channel.
 *
 * Source: docs/protocol/storage.md, "1 Classes and offers", "2 Versions", "3 Packets",
 * "7 Completion".
 */
#ifndef WIRE_STORAGE_H
#define WIRE_STORAGE_H

#include "base/platform.h"
#include "wire/guid.h"

#define VMB_STOR_VERSION_2_0	0x0200u /* Windows Server 2008 */
#define VMB_STOR_VERSION_4_2	0x0402u /* 2008 R2 */
#define VMB_STOR_VERSION_5_1	0x0501u /* 2012 */
#define VMB_STOR_VERSION_6_0	0x0600u /* 2012 R2 */
#define VMB_STOR_VERSION_6_2	0x0602u /* 2016 */

#define VMB_STOR_PACKET_LEN_OLD 48u /* before 5.1 */
#define VMB_STOR_PACKET_LEN	64u
#define VMB_STOR_SRB_LEN_OLD	0x24u
#define VMB_STOR_SRB_LEN	0x34u
#define VMB_STOR_SENSE_LEN_OLD	18u
#define VMB_STOR_SENSE_LEN	20u
#define VMB_STOR_CDB_LEN_MAX	16u

enum vmb_stor_operation {
	VMB_STOR_COMPLETE_IO = 1, /* in every completion, whatever the request */
	VMB_STOR_REMOVE_DEVICE = 2,
	VMB_STOR_EXECUTE_SRB = 3,
	VMB_STOR_RESET_LUN = 4,
	VMB_STOR_RESET_ADAPTER = 5,
	VMB_STOR_RESET_BUS = 6,
	VMB_STOR_BEGIN_INITIALIZATION = 7,
	VMB_STOR_END_INITIALIZATION = 8,
	VMB_STOR_QUERY_PROTOCOL_VERSION = 9,
	VMB_STOR_QUERY_PROPERTIES = 10,
	VMB_STOR_ENUMERATE_BUS = 11, /* from 4.2 */
	VMB_STOR_FCHBA_DATA = 12,
	VMB_STOR_CREATE_SUB_CHANNELS = 13, /* from 5.1 */
	VMB_STOR_EVENT_NOTIFICATION = 14,
	VMB_STOR_OPERATION_COUNT
};

#define VMB_STOR_FLAG_REQUEST_COMPLETION 0x1u

enum vmb_stor_status { /* NTSTATUS */
		       VMB_STOR_STATUS_SUCCESS = 0,
		       VMB_STOR_STATUS_BUFFER_OVERFLOW = (int)0x80000005,
		       VMB_STOR_STATUS_DEVICE_BUSY = (int)0x80000011,
		       VMB_STOR_STATUS_UNSUCCESSFUL = (int)0xC0000001,
		       VMB_STOR_STATUS_INVALID_PARAMETER = (int)0xC000000D,
		       VMB_STOR_STATUS_INVALID_DEVICE_REQUEST = (int)0xC0000010,
		       VMB_STOR_STATUS_REVISION_MISMATCH = (int)0xC0000059,
		       VMB_STOR_STATUS_DEVICE_NOT_CONNECTED = (int)0xC000009D,
		       VMB_STOR_STATUS_IO_TIMEOUT = (int)0xC00000B5,
		       VMB_STOR_STATUS_DEVICE_DOES_NOT_EXIST = (int)0xC00000C0,
		       VMB_STOR_STATUS_CANCELLED = (int)0xC0000120,
		       VMB_STOR_STATUS_INVALID_DEVICE_STATE = (int)0xC0000184,
		       VMB_STOR_STATUS_IO_DEVICE_ERROR = (int)0xC0000185,
};

/* SRB status: the low six bits are a number, the two above are flags. */
#define VMB_SRB_STATUS_MASK	0x3Fu
#define VMB_SRB_QUEUE_FROZEN	0x40u
#define VMB_SRB_AUTOSENSE_VALID 0x80u

enum vmb_srb_status {
	VMB_SRB_PENDING = 0x00,
	VMB_SRB_SUCCESS = 0x01,
	VMB_SRB_ABORTED = 0x02,
	VMB_SRB_ABORT_FAILED = 0x03,
	VMB_SRB_ERROR = 0x04,
	VMB_SRB_BUSY = 0x05,
	VMB_SRB_INVALID_REQUEST = 0x06,
	VMB_SRB_INVALID_PATH_ID = 0x07,
	VMB_SRB_NO_DEVICE = 0x08,
	VMB_SRB_TIMEOUT = 0x09,
	VMB_SRB_SELECTION_TIMEOUT = 0x0A,
	VMB_SRB_COMMAND_TIMEOUT = 0x0B,
	VMB_SRB_MESSAGE_REJECTED = 0x0D,
	VMB_SRB_BUS_RESET = 0x0E,
	VMB_SRB_PARITY_ERROR = 0x0F,
	VMB_SRB_REQUEST_SENSE_FAILED = 0x10,
	VMB_SRB_NO_HBA = 0x11,
	VMB_SRB_DATA_OVERRUN = 0x12,
	VMB_SRB_UNEXPECTED_BUS_FREE = 0x13,
	VMB_SRB_PHASE_SEQUENCE_FAILURE = 0x14,
	VMB_SRB_BAD_SRB_BLOCK_LENGTH = 0x15,
	VMB_SRB_REQUEST_FLUSHED = 0x16,
	VMB_SRB_INVALID_LUN = 0x20,
	VMB_SRB_INVALID_TARGET_ID = 0x21,
	VMB_SRB_BAD_FUNCTION = 0x22,
	VMB_SRB_ERROR_RECOVERY = 0x23,
	VMB_SRB_NOT_POWERED = 0x24,
	VMB_SRB_LINK_DOWN = 0x25,
	VMB_SRB_INTERNAL_ERROR = 0x30,
};

enum vmb_stor_direction {
	VMB_STOR_WRITE = 0, /* guest to device */
	VMB_STOR_READ = 1, /* device to guest */
	VMB_STOR_NO_DATA = 2, /* "unknown" */
};

#define VMB_SRB_FLAG_QUEUE_ACTION_ENABLE    0x2u
#define VMB_SRB_FLAG_DISABLE_SYNCH_TRANSFER 0x8u
#define VMB_SRB_FLAG_DISABLE_AUTOSENSE	    0x20u
#define VMB_SRB_FLAG_DATA_IN		    0x40u
#define VMB_SRB_FLAG_DATA_OUT		    0x80u
#define VMB_SRB_FLAG_NO_QUEUE_FREEZE	    0x100u

#define VMB_SRB_QUEUE_TAG_UNTAGGED	    0xFFu
#define VMB_SRB_QUEUE_ACTION_SIMPLE	    0x20u

/* Payload of EXECUTE_SRB and of its completion. Sense data overlays the CDB. */
struct vmb_stor_srb {
	uint16_t length; /* VMB_STOR_SRB_LEN or _OLD */
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port_number;
	uint8_t path_id;
	uint8_t target_id;
	uint8_t lun;
	uint8_t cdb_len;
	uint8_t sense_len; /* in: room offered; out: bytes valid */
	uint8_t data_in; /* enum vmb_stor_direction */
	uint8_t reserved;
	uint32_t data_transfer_len; /* in: bytes wanted; out: bytes moved */
	union {
		uint8_t cdb[VMB_STOR_CDB_LEN_MAX];
		uint8_t sense[VMB_STOR_SENSE_LEN];
	} u;
	/* from 5.1 on */
	uint16_t reserve;
	uint8_t queue_tag;
	uint8_t queue_action;
	uint32_t srb_flags; /* VMB_SRB_FLAG_* */
	uint32_t timeout_s;
	uint32_t queue_sort_key;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_srb, 52);
VMB_ASSERT_OFFSET(struct vmb_stor_srb, data_transfer_len, 12);
VMB_ASSERT_OFFSET(struct vmb_stor_srb, u, 16);
VMB_ASSERT_OFFSET(struct vmb_stor_srb, reserve, 36);
VMB_ASSERT_OFFSET(struct vmb_stor_srb, srb_flags, 40);

struct vmb_stor_version {
	uint16_t major_minor; /* VMB_STOR_VERSION_* */
	uint16_t revision;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_version, 4);

#define VMB_STOR_PROPERTY_MULTI_CHANNEL 0x1u /* only when 5.1 or later was negotiated */

/* Reply to QUERY_PROPERTIES, from 5.1 on. */
struct vmb_stor_properties {
	uint32_t reserved1;
	uint16_t max_sub_channel_count;
	uint16_t reserved2;
	uint32_t flags; /* VMB_STOR_PROPERTY_* */
	uint32_t max_transfer_bytes;
	uint64_t reserved3;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_properties, 24);

#define VMB_STOR_PROPERTY_OLD_REMOVABLE	   0x1u
#define VMB_STOR_PROPERTY_OLD_EMULATED_IDE 0x2u

/* The same before 5.1. */
struct vmb_stor_properties_old {
	uint16_t version; /* VMB_STOR_VERSION_* */
	uint8_t path_id;
	uint8_t target_id;
	uint32_t port_number;
	uint32_t flags; /* VMB_STOR_PROPERTY_OLD_* */
	uint32_t max_transfer_bytes;
	uint64_t unique_id;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_properties_old, 24);
VMB_ASSERT_OFFSET(struct vmb_stor_properties_old, max_transfer_bytes,
		  offsetof(struct vmb_stor_properties, max_transfer_bytes));

struct vmb_stor_fc_wwn {
	uint8_t primary_active;
	uint8_t reserved[3];
	uint8_t primary_port[8];
	uint8_t primary_node[8];
	uint8_t secondary_port[8];
	uint8_t secondary_node[8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_fc_wwn, 36);

/*
 * Instance id of an IDE channel's offer: 0000000C-000D-8899-0000-000000000000. It is the unit's
 * address.
 */
struct vmb_stor_ide_instance {
	uint32_t channel; /* 0 primary, 1 secondary: the path */
	uint16_t device; /* 0 master, 1 slave: the target; the LUN is 0 */
	uint16_t mark; /* VMB_STOR_IDE_MARK */
	uint8_t zero[8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_ide_instance, sizeof(struct vmb_guid));
VMB_ASSERT_OFFSET(struct vmb_stor_ide_instance, device, 4);
#define VMB_STOR_IDE_MARK	    0x8899u

#define VMB_STOR_OFFER_EMULATED_IDE 0x2u

/* User area of an IDE channel's offer; that of a SCSI controller is zero. */
struct vmb_stor_offer {
	uint16_t reserved1;
	uint8_t path_id;
	uint8_t target_id;
	uint32_t reserved2;
	uint32_t flags; /* VMB_STOR_OFFER_* */
	uint32_t reserved3[3];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_offer, 24);
VMB_ASSERT_OFFSET(struct vmb_stor_offer, flags, 8);

/* The payload of every ring packet of a storage channel; 48 bytes before 5.1. */
struct vmb_stor_packet {
	uint32_t operation; /* enum vmb_stor_operation */
	uint32_t flags; /* VMB_STOR_FLAG_* */
	uint32_t status; /* NTSTATUS, host to guest only */
	union {
		struct vmb_stor_srb srb;
		struct vmb_stor_version version;
		struct vmb_stor_properties properties;
		struct vmb_stor_properties_old properties_old;
		struct vmb_stor_fc_wwn wwn;
		uint16_t sub_channel_count;
		uint8_t bytes[52];
	} u;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_stor_packet, 64);
VMB_ASSERT_OFFSET(struct vmb_stor_packet, u, 12);

#endif
