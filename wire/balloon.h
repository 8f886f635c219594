/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Dynamic memory: the host asks the guest for pages (the balloon), gives them back, and adds memory
 * that the guest did not start with. In-band packets without a pipe header, each with the header
 * below; the guest speaks first. All fields are little-endian.
 *
 * Source: docs/protocol/integration.md, "9 Dynamic memory".
 */
#ifndef WIRE_BALLOON_H
#define WIRE_BALLOON_H

#include "base/platform.h"
#include "wire/guid.h"

#define VMB_BALLOON_VERSION_1 0x00000003u /* 0.3, of Windows 7's generation */
#define VMB_BALLOON_VERSION_2 0x00010000u
#define VMB_BALLOON_VERSION_3 0x00020000u

enum vmb_balloon_type {
	VMB_BALLOON_ERROR = 0,
	VMB_BALLOON_VERSION_REQUEST = 1, /* guest */
	VMB_BALLOON_VERSION_RESPONSE = 2, /* host */
	VMB_BALLOON_CAPS = 3, /* guest */
	VMB_BALLOON_CAPS_RESPONSE = 4, /* host */
	VMB_BALLOON_STATUS = 5, /* guest, unasked */
	VMB_BALLOON_REQUEST = 6, /* host: give pages */
	VMB_BALLOON_RESPONSE = 7, /* guest, in one message or more */
	VMB_BALLOON_RETURN = 8, /* host: unballoon, in one message or more */
	VMB_BALLOON_RETURN_RESPONSE = 9, /* guest, once */
	VMB_BALLOON_ADD = 10, /* host: hot add */
	VMB_BALLOON_ADD_RESPONSE = 11, /* guest */
	VMB_BALLOON_INFO = 12, /* host, from version 2 on */
};

/* The longest message of either end. */
#define VMB_BALLOON_LEN_MAX 4096u

struct vmb_balloon_header {
	uint16_t type; /* enum vmb_balloon_type */
	uint16_t len; /* bytes, this header included */
	uint32_t transaction_id; /* counted up by whoever sends */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_header, 8);

struct vmb_balloon_version {
	struct vmb_balloon_header header;
	uint32_t version; /* VMB_BALLOON_VERSION_* */
	uint32_t flags;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_version, 16);
#define VMB_BALLOON_VERSION_LAST 1u /* flags: the guest knows no other */

/* Of VERSION_RESPONSE and CAPS_RESPONSE. */
struct vmb_balloon_accept {
	struct vmb_balloon_header header;
	uint64_t flags;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_accept, 16);
#define VMB_BALLOON_ACCEPTED 1u

struct vmb_balloon_caps {
	struct vmb_balloon_header header;
	uint64_t caps; /* VMB_BALLOON_CAP_*, and the alignment of added memory */
	uint64_t page_min; /* 0 */
	uint64_t page_max; /* all ones */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_caps, 32);
#define VMB_BALLOON_CAP_BALLOON	    1u
#define VMB_BALLOON_CAP_ADD	    2u
#define VMB_BALLOON_CAP_ALIGN_SHIFT 2 /* 4 bits, n: 2^n MiB */
#define VMB_BALLOON_CAP_ALIGN_MASK  15u

struct vmb_balloon_status {
	struct vmb_balloon_header header;
	uint64_t available; /* pages, as all numbers here */
	uint64_t committed; /* pages that were given to the host included */
	uint64_t page_file;
	uint64_t zero_free;
	uint32_t page_file_writes;
	uint32_t io_difference;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_status, 48);
VMB_ASSERT_OFFSET(struct vmb_balloon_status, committed, 16);

struct vmb_balloon_request {
	struct vmb_balloon_header header;
	uint32_t page_count; /* Linux expects a multiple of VMB_BALLOON_UNIT */
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_request, 16);
#define VMB_BALLOON_UNIT		512u /* pages */

/* A range of pages is one number: the first page's, and how many. */
#define VMB_BALLOON_RANGE(first, count) ((uint64_t)(first) | (uint64_t)(count) << 40)
#define VMB_BALLOON_RANGE_FIRST(range)	((range)&0xFFFFFFFFFFull)
#define VMB_BALLOON_RANGE_COUNT(range)	((range) >> 40)
#define VMB_BALLOON_RANGE_PAGE_MAX	0xFFFFFFu

/* Ranges follow. */
struct vmb_balloon_response {
	struct vmb_balloon_header header;
	uint32_t reserved;
	uint32_t more_and_count; /* bit 0: more messages follow; the number of ranges above it */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_response, 16);

struct vmb_balloon_return {
	struct vmb_balloon_header header;
	uint32_t more; /* bit 0: more messages follow */
	uint32_t range_count;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_return, 16);

/* Ranges of a message of the longest length. */
#define VMB_BALLOON_RANGE_MAX \
	((VMB_BALLOON_LEN_MAX - sizeof(struct vmb_balloon_return)) / sizeof(uint64_t))

/* Without region it has 16 bytes. */
struct vmb_balloon_add {
	struct vmb_balloon_header header;
	uint64_t range; /* to use now */
	uint64_t region; /* where memory will be, now and later */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_add, 24);
#define VMB_BALLOON_ADD_LEN_MIN 16u

struct vmb_balloon_add_response {
	struct vmb_balloon_header header;
	uint32_t page_count; /* that the guest uses now */
	uint32_t result; /* with 0 pages: 1: never ask again, 0: ask later */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_add_response, 16);

struct vmb_balloon_info {
	struct vmb_balloon_header header;
	uint32_t reserved;
	uint32_t info_len; /* bytes from type on */
	uint32_t type; /* VMB_BALLOON_INFO_PAGE_MAX */
	uint32_t data_len; /* 8 */
	uint64_t page_max; /* that the machine can ever have */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_balloon_info, 32);
#define VMB_BALLOON_INFO_PAGE_MAX 0u

#define VMB_GUID_BALLOON \
	VMB_GUID(0x525074dc, 0x8985, 0x46e2, 0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02)
#define VMB_GUID_BALLOON_INSTANCE \
	VMB_GUID(0x1eccfd72, 0x4b41, 0x45ef, 0xb7, 0x3a, 0x4a, 0x6e, 0x44, 0xc1, 0x29, 0x24)

#endif
