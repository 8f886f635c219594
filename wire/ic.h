/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The integration services: shutdown, time, heartbeat, key-value pairs, backup and file copy. Each
 * has a channel of its own, a pipe in message mode: a ring packet's payload is a pipe header, the
 * header below and a body. The host starts every exchange; the answer is the request, changed in
 * place. All fields are little-endian.
 *
 * Source: docs/protocol/integration.md, "1 GUIDs" to "8 File copy".
 */
#ifndef WIRE_IC_H
#define WIRE_IC_H

#include "base/platform.h"
#include "wire/guid.h"
#include "wire/pipe.h"

enum vmb_ic_type {
	VMB_IC_NEGOTIATE = 0,
	VMB_IC_HEARTBEAT = 1,
	VMB_IC_KVP = 2,
	VMB_IC_SHUTDOWN = 3,
	VMB_IC_TIME = 4,
	VMB_IC_BACKUP = 5,
	VMB_IC_COPY = 7,
	VMB_IC_TYPE_COUNT
};

#define VMB_IC_FLAG_TRANSACTION 1u
#define VMB_IC_FLAG_REQUEST	2u
#define VMB_IC_FLAG_RESPONSE	4u

/* What the guest says about a request. */
#define VMB_IC_OK		0u
#define VMB_IC_FAIL		0x80004005u
#define VMB_IC_NO_MORE_ITEMS	0x80070103u
#define VMB_IC_NOT_SUPPORTED	0x80070032u
#define VMB_IC_INVALID_ARGUMENT 0x80070057u
#define VMB_IC_NOT_FOUND	0x80041002u
#define VMB_IC_EXISTS		0x80070050u
#define VMB_IC_DISK_FULL	0x80070070u

struct vmb_ic_version {
	uint16_t major;
	uint16_t minor;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_version, 4);

/* A version as one number, so that a higher one is newer. */
#define VMB_IC_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))

struct vmb_ic_header {
	struct vmb_ic_version framework; /* 0.0 in a negotiation */
	uint16_t type; /* enum vmb_ic_type */
	struct vmb_ic_version message; /* 0.0 in a negotiation */
	uint16_t body_len; /* bytes after this header */
	uint32_t status; /* VMB_IC_*, in an answer */
	uint8_t transaction_id; /* echoed by the guest */
	uint8_t flags; /* VMB_IC_FLAG_* */
	uint8_t reserved[2];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_header, 20);
VMB_ASSERT_OFFSET(struct vmb_ic_header, body_len, 10);
VMB_ASSERT_OFFSET(struct vmb_ic_header, flags, 17);

/* Both headers: what every packet begins with. */
struct vmb_ic_packet {
	struct vmb_pipe_header pipe;
	struct vmb_ic_header ic;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_packet, 28);

/* The longest body of the messages below, and with it the longest packet's payload. */
#define VMB_IC_BODY_LEN_MAX   7428u
#define VMB_IC_PACKET_LEN_MAX (VMB_IC_BODY_LEN_MAX + 28u)

/*
 * 0 NEGOTIATE. In the request framework_count + message_count versions follow, frameworks first; in
 * the answer one of each, or the counts are 0: none of them is known.
 */
struct vmb_ic_negotiate {
	uint16_t framework_count;
	uint16_t message_count;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_negotiate, 8);
#define VMB_IC_NEGOTIATE_LEN 16u /* of the answer's body */
#define VMB_IC_VERSION_MAX   100u /* of each kind in a request */

/* 1 HEARTBEAT. The guest answers sequence + 1. */
struct vmb_ic_heartbeat {
	uint64_t sequence;
	uint32_t reserved[8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_heartbeat, 40);
#define VMB_IC_HEARTBEAT_LEN_MIN    8u

/* 3 SHUTDOWN. flags are values, not bits: FORCE may be added to each. */
#define VMB_IC_SHUTDOWN_PLANNED	    0x80000000u
#define VMB_IC_SHUTDOWN_OFF	    0u
#define VMB_IC_SHUTDOWN_FORCE	    1u
#define VMB_IC_SHUTDOWN_RESTART	    2u /* 3.1 */
#define VMB_IC_SHUTDOWN_HIBERNATE   4u /* 3.2 */
#define VMB_IC_SHUTDOWN_MESSAGE_LEN 2048u

struct vmb_ic_shutdown {
	uint32_t reason; /* VMB_IC_SHUTDOWN_PLANNED */
	uint32_t timeout_s;
	uint32_t flags; /* VMB_IC_SHUTDOWN_* */
	uint8_t message[VMB_IC_SHUTDOWN_MESSAGE_LEN];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_shutdown, 2060);
#define VMB_IC_SHUTDOWN_LEN_MIN 12u

/* 4 TIME. Times in units of 100 ns, in UTC since 1601. */
#define VMB_IC_TIME_SYNC	1u /* set the clock */
#define VMB_IC_TIME_SAMPLE	2u
#define VMB_IC_TIME_UNIX	116444736000000000ull /* 1970 */

struct vmb_ic_time {
	uint64_t parent_time;
	uint64_t child_time;
	uint64_t round_trip;
	uint8_t flags; /* VMB_IC_TIME_* */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_time, 25);

/* 4.0. Linux reads the first 22 bytes. */
struct vmb_ic_time_4 {
	uint64_t parent_time;
	uint64_t reference; /* the partition's reference counter at that time */
	uint8_t flags; /* VMB_IC_TIME_* */
	uint8_t leap;
	uint8_t stratum;
	uint8_t reserved[5];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_time_4, 24);
#define VMB_IC_TIME_4_LEN_MIN 22u

/* 2 KVP. Which operation, and on which pool of pairs. */
enum vmb_ic_kvp_operation {
	VMB_IC_KVP_GET = 0,
	VMB_IC_KVP_SET = 1,
	VMB_IC_KVP_DELETE = 2,
	VMB_IC_KVP_ENUMERATE = 3,
	VMB_IC_KVP_GET_IP = 4,
	VMB_IC_KVP_SET_IP = 5,
};

enum vmb_ic_kvp_pool {
	VMB_IC_KVP_EXTERNAL = 0, /* the host's administrator tells the guest */
	VMB_IC_KVP_GUEST = 1, /* the guest tells the host */
	VMB_IC_KVP_AUTO = 2, /* what the guest is */
	VMB_IC_KVP_AUTO_EXTERNAL = 3, /* what the host is */
	VMB_IC_KVP_AUTO_INTERNAL = 4, /* never on the wire */
	VMB_IC_KVP_POOL_COUNT
};

#define VMB_IC_KVP_TEXT	     1u /* types of values */
#define VMB_IC_KVP_EXPAND    2u
#define VMB_IC_KVP_U32	     4u
#define VMB_IC_KVP_U64_LINUX 8u
#define VMB_IC_KVP_U64	     11u
#define VMB_IC_KVP_KEY_LEN   512u /* bytes of UTF-16, NUL included */
#define VMB_IC_KVP_VALUE_LEN 2048u

struct vmb_ic_kvp_value {
	uint32_t type; /* VMB_IC_KVP_TEXT, ... */
	uint32_t key_len; /* bytes, NUL included */
	uint32_t value_len;
	uint8_t key[VMB_IC_KVP_KEY_LEN];
	uint8_t value[VMB_IC_KVP_VALUE_LEN];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_kvp_value, 2572);
VMB_ASSERT_OFFSET(struct vmb_ic_kvp_value, value, 524);

struct vmb_ic_kvp {
	uint8_t operation; /* enum vmb_ic_kvp_operation */
	uint8_t pool; /* enum vmb_ic_kvp_pool */
	uint8_t reserved[2];
	union {
		struct vmb_ic_kvp_value value; /* GET, SET */
		struct {
			uint32_t key_len;
			uint8_t key[VMB_IC_KVP_KEY_LEN];
		} VMB_PACKED delete;
		struct {
			uint32_t index;
			struct vmb_ic_kvp_value value;
		} VMB_PACKED enumerate;
	} VMB_PACKED u;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_kvp, 2580);

/* GET_IP and SET_IP up to 4.0: lists of UTF-16 with ";" between, behind operation and pool. */
#define VMB_IC_KVP_IPV4 1u
#define VMB_IC_KVP_IPV6 2u

struct vmb_ic_kvp_ip {
	uint8_t operation;
	uint8_t pool;
	uint8_t adapter[256];
	uint8_t family; /* VMB_IC_KVP_IPV4, _IPV6 or both */
	uint8_t dhcp;
	uint8_t addresses[2048];
	uint8_t subnets[2048];
	uint8_t gateways[1024];
	uint8_t name_servers[2048];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_kvp_ip, VMB_IC_BODY_LEN_MAX);

/* 5 BACKUP, what freezes and thaws the guest's file systems. */
enum vmb_ic_backup_operation {
	VMB_IC_BACKUP_CHECK = 2, /* is it possible without a pause? */
	VMB_IC_BACKUP_COMPLETE = 4,
	VMB_IC_BACKUP_FREEZE = 5,
	VMB_IC_BACKUP_THAW = 6,
};

struct vmb_ic_backup {
	uint8_t operation; /* enum vmb_ic_backup_operation */
	uint8_t reserved[7];
	uint32_t flags; /* CHECK: the guest's answer; THAW: 0 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_backup, 12);

/* 7 COPY, of a file into the guest. */
enum vmb_ic_copy_operation {
	VMB_IC_COPY_START = 0,
	VMB_IC_COPY_WRITE = 1,
	VMB_IC_COPY_COMPLETE = 2,
	VMB_IC_COPY_CANCEL = 3,
};

#define VMB_IC_COPY_OVERWRITE	1u
#define VMB_IC_COPY_CREATE_PATH 2u
#define VMB_IC_COPY_NAME_LEN	520u /* bytes of UTF-16, NUL included */
#define VMB_IC_COPY_DATA_LEN	6144u

struct vmb_ic_copy {
	uint32_t operation; /* enum vmb_ic_copy_operation */
	uint8_t service[16]; /* 0 */
	uint8_t client[16]; /* 0 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_copy, 36);

struct vmb_ic_copy_start {
	struct vmb_ic_copy header;
	uint8_t name[VMB_IC_COPY_NAME_LEN];
	uint8_t path[VMB_IC_COPY_NAME_LEN]; /* Linux makes only folders with a slash behind */
	uint32_t flags; /* VMB_IC_COPY_* */
	uint64_t size; /* bytes */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_copy_start, 1088);

struct vmb_ic_copy_write {
	struct vmb_ic_copy header;
	uint32_t reserved;
	uint64_t offset;
	uint32_t len; /* bytes of data */
	uint8_t data[VMB_IC_COPY_DATA_LEN];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_ic_copy_write, 6196);

#define VMB_GUID_SHUTDOWN \
	VMB_GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb)
#define VMB_GUID_SHUTDOWN_INSTANCE \
	VMB_GUID(0xb6650ff7, 0x33bc, 0x4840, 0x80, 0x48, 0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93)
#define VMB_GUID_TIME \
	VMB_GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf)
#define VMB_GUID_TIME_INSTANCE \
	VMB_GUID(0x2dd1ce17, 0x079e, 0x403c, 0xb3, 0x52, 0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee)
#define VMB_GUID_HEARTBEAT \
	VMB_GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d)
#define VMB_GUID_HEARTBEAT_INSTANCE \
	VMB_GUID(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0)
#define VMB_GUID_KVP \
	VMB_GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6)
#define VMB_GUID_KVP_INSTANCE \
	VMB_GUID(0x242ff919, 0x07db, 0x4180, 0x9c, 0x2e, 0xb8, 0x6c, 0xb6, 0x8c, 0x8c, 0x55)
#define VMB_GUID_BACKUP \
	VMB_GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40)
#define VMB_GUID_BACKUP_INSTANCE \
	VMB_GUID(0x2450ee40, 0x33bf, 0x4fbd, 0x89, 0x2e, 0x9f, 0xb0, 0x6e, 0x92, 0x14, 0xcf)
#define VMB_GUID_COPY \
	VMB_GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92)
#define VMB_GUID_COPY_INSTANCE \
	VMB_GUID(0xeb765408, 0x105f, 0x49b6, 0xb4, 0xaa, 0xc1, 0x23, 0xb6, 0x4d, 0x17, 0xd4)

static inline uint32_t vmb_ic_version_number(const struct vmb_ic_version *version)
{
	return VMB_IC_VERSION(version->major, version->minor);
}

#endif
