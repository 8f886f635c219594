/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What we serve of NVM Express: registers, commands, completions, data structures. All fields are
 * little-endian. Source: NVM Express Base Specification 1.4.
 */
#ifndef DEVICES_NVME_SPEC_H
#define DEVICES_NVME_SPEC_H

#include "base/platform.h"

/* 3.1 Register Definition */
enum vmb_nvme_register {
	VMB_NVME_CAP = 0x00, /* 8 bytes */
	VMB_NVME_VS = 0x08,
	VMB_NVME_INTMS = 0x0C,
	VMB_NVME_INTMC = 0x10,
	VMB_NVME_CC = 0x14,
	VMB_NVME_CSTS = 0x1C,
	VMB_NVME_AQA = 0x24,
	VMB_NVME_ASQ = 0x28, /* 8 bytes */
	VMB_NVME_ACQ = 0x30, /* 8 bytes */
	VMB_NVME_DOORBELLS = 0x1000, /* of a queue: its tail, and its completion queue's head */
};
#define VMB_NVME_VERSION	0x00010400u
#define VMB_NVME_CAP_CONTIGUOUS (1ull << 16)
#define VMB_NVME_CAP_TIMEOUT	(40ull << 24) /* of 500 ms */
#define VMB_NVME_CAP_NVM	(1ull << 37)
#define VMB_NVME_CC_ENABLE	(1u << 0)
#define VMB_NVME_CC_SETS	(7u << 4 | 0xFu << 7 | 7u << 11) /* commands, page, arbitration */
#define VMB_NVME_CC_SHUTDOWN	(3u << 14)
#define VMB_NVME_CC_SQ_SHIFT	16 /* 2^n bytes an entry */
#define VMB_NVME_CC_CQ_SHIFT	20
#define VMB_NVME_CSTS_READY	(1u << 0)
#define VMB_NVME_CSTS_FATAL	(1u << 1)
#define VMB_NVME_CSTS_SHUT	(2u << 2) /* shutdown is complete */

/* 4.2 Submission Queue Entry */
struct vmb_nvme_command {
	uint8_t opcode;
	uint8_t flags; /* VMB_NVME_FLAG_* */
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_nvme_command, 64);
#define VMB_NVME_FLAG_FUSED 0x03u
#define VMB_NVME_FLAG_SGL   0xC0u

/* 4.6 Completion Queue Entry */
struct vmb_nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head, sq_id;
	uint16_t id;
	uint16_t status; /* bit 0: phase; 8:1 code, 11:9 its type, 15: do not retry */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_nvme_completion, 16);

enum vmb_nvme_admin {
	VMB_NVME_DELETE_SQ = 0x00,
	VMB_NVME_CREATE_SQ = 0x01,
	VMB_NVME_GET_LOG = 0x02,
	VMB_NVME_DELETE_CQ = 0x04,
	VMB_NVME_CREATE_CQ = 0x05,
	VMB_NVME_IDENTIFY = 0x06,
	VMB_NVME_ABORT = 0x08,
	VMB_NVME_SET_FEATURES = 0x09,
	VMB_NVME_GET_FEATURES = 0x0A,
	VMB_NVME_ASYNC_EVENT = 0x0C,
};

enum vmb_nvme_io {
	VMB_NVME_FLUSH = 0x00,
	VMB_NVME_WRITE = 0x01,
	VMB_NVME_READ = 0x02,
	VMB_NVME_WRITE_ZEROES = 0x08,
	VMB_NVME_DATASET = 0x09,
};

/* 4.6.1 Status Field: code, and its type from bit 8 on */
enum vmb_nvme_status {
	VMB_NVME_OK = 0,
	VMB_NVME_INVALID_OPCODE = 0x001,
	VMB_NVME_INVALID_FIELD = 0x002,
	VMB_NVME_DATA_ERROR = 0x004,
	VMB_NVME_INTERNAL = 0x006,
	VMB_NVME_ABORTED = 0x007,
	VMB_NVME_INVALID_NAMESPACE = 0x00B,
	VMB_NVME_SEQUENCE = 0x00C,
	VMB_NVME_BAD_PRP_OFFSET = 0x013,
	VMB_NVME_READ_ONLY = 0x020,
	VMB_NVME_OUT_OF_RANGE = 0x080,
	VMB_NVME_NO_SPACE = 0x081,
	VMB_NVME_BAD_CQ = 0x100,
	VMB_NVME_BAD_QUEUE_ID = 0x101,
	VMB_NVME_BAD_QUEUE_SIZE = 0x102,
	VMB_NVME_TOO_MANY_EVENTS = 0x105,
	VMB_NVME_BAD_VECTOR = 0x108,
	VMB_NVME_BAD_LOG = 0x109,
	VMB_NVME_BAD_DELETION = 0x10C,
	VMB_NVME_NOT_SAVEABLE = 0x10D,
	VMB_NVME_WRITE_FAULT = 0x280,
	VMB_NVME_READ_ERROR = 0x281,
};

enum vmb_nvme_feature {
	VMB_NVME_ARBITRATION = 0x01,
	VMB_NVME_POWER = 0x02,
	VMB_NVME_TEMPERATURE = 0x04,
	VMB_NVME_RECOVERY = 0x05,
	VMB_NVME_WRITE_CACHE = 0x06,
	VMB_NVME_QUEUES = 0x07,
	VMB_NVME_COALESCING = 0x08,
	VMB_NVME_VECTOR = 0x09,
	VMB_NVME_ATOMICITY = 0x0A,
	VMB_NVME_EVENTS = 0x0B,
	VMB_NVME_FEATURE_COUNT
};

/* 5.2 Asynchronous Event Request: type, information and log page */
#define VMB_NVME_EVENT_BAD_DOORBELL (1u << 16 | 0u << 8 | 0u) /* invalid register */
#define VMB_NVME_EVENT_BAD_VALUE    (1u << 16 | 1u << 8 | 0u)

#define VMB_NVME_DATA_LEN	    4096u /* of what IDENTIFY returns, and of a DATASET list */
#define VMB_NVME_RANGE_MAX	    256u

struct vmb_nvme_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t first;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_nvme_range, 16);

/* 5.15.2.2 Identify Controller, what is not zero */
struct vmb_nvme_controller_data {
	uint16_t vendor_id, subsystem_vendor_id;
	char serial[20], model[40], firmware[8];
	uint8_t burst; /* of arbitration */
	uint8_t oui[3];
	uint8_t paths;
	uint8_t transfer_max; /* 2^n pages */
	uint16_t controller_id;
	uint32_t version;
	uint8_t reserved1[172];
	uint16_t optional_admin;
	uint8_t aborts_max, events_max; /* less one */
	uint8_t firmware_slots;
	uint8_t log_attributes;
	uint8_t error_entries; /* less one */
	uint8_t power_states; /* less one */
	uint8_t reserved2[2];
	uint16_t warning_kelvin, critical_kelvin;
	uint8_t reserved3[242];
	uint8_t sq_entry, cq_entry; /* 2^n bytes: least and most */
	uint16_t commands_max;
	uint32_t namespaces;
	uint16_t optional_io; /* VMB_NVME_HAS_* */
	uint16_t fused;
	uint8_t format;
	uint8_t write_cache;
	uint8_t reserved4[242];
	char name[256]; /* NVMe qualified name of the subsystem */
	uint8_t reserved5[1024];
	uint16_t power_mw; /* of power state 0, in 10 mW */
	uint8_t reserved6[2046];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_nvme_controller_data, 4096);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, version, 80);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, optional_admin, 256);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, warning_kelvin, 266);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, sq_entry, 512);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, write_cache, 525);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, name, 768);
VMB_ASSERT_OFFSET(struct vmb_nvme_controller_data, power_mw, 2048);
#define VMB_NVME_HAS_DATASET	  (1u << 2)
#define VMB_NVME_HAS_WRITE_ZEROES (1u << 3)

/* 5.15.2.1 Identify Namespace */
struct vmb_nvme_namespace_data {
	uint64_t blocks, capacity, used;
	uint8_t features; /* bit 0: thin */
	uint8_t formats; /* less one */
	uint8_t format;
	uint8_t reserved1[6];
	uint8_t deallocation; /* VMB_NVME_READS_ZEROES */
	uint8_t reserved2[70];
	uint8_t guid[16];
	uint8_t eui[8];
	struct {
		uint16_t metadata;
		uint8_t block; /* 2^n bytes */
		uint8_t performance;
	} VMB_PACKED lba[16];
	uint8_t reserved3[3904];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_nvme_namespace_data, 4096);
VMB_ASSERT_OFFSET(struct vmb_nvme_namespace_data, deallocation, 33);
VMB_ASSERT_OFFSET(struct vmb_nvme_namespace_data, guid, 104);
VMB_ASSERT_OFFSET(struct vmb_nvme_namespace_data, lba, 128);
/* What was deallocated reads as zeroes, and WRITE_ZEROES may deallocate. */
#define VMB_NVME_READS_ZEROES (1u << 0 | 1u << 3)

#endif
