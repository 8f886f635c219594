/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Synthetic video: the guest draws into memory of the host that it places in its own address space,
 * and tells what the picture's form is and where it changed. A pipe in message mode; each message
 * has the header below. All fields are little-endian.
 *
 * Source: docs/protocol/integration.md, "12 Video".
 */
#ifndef WIRE_VIDEO_H
#define WIRE_VIDEO_H

#include "base/platform.h"
#include "wire/guid.h"
#include "wire/pipe.h"

#define VMB_VIDEO_VERSION(major, minor) ((uint32_t)(minor) << 16 | (major))
#define VMB_VIDEO_MAJOR(version)	((version)&0xFFFFu)
#define VMB_VIDEO_MINOR(version)	((version) >> 16)
#define VMB_VIDEO_VERSION_3_0		VMB_VIDEO_VERSION(3, 0) /* Windows 7 */
#define VMB_VIDEO_VERSION_3_2		VMB_VIDEO_VERSION(3, 2) /* Windows 8 */
#define VMB_VIDEO_VERSION_3_5		VMB_VIDEO_VERSION(3, 5) /* Windows 10 */

enum vmb_video_type {
	VMB_VIDEO_ERROR = 0,
	VMB_VIDEO_VERSION_REQUEST = 1, /* guest */
	VMB_VIDEO_VERSION_RESPONSE = 2, /* host */
	VMB_VIDEO_LOCATION = 3, /* guest */
	VMB_VIDEO_LOCATION_ACK = 4, /* host */
	VMB_VIDEO_SITUATION = 5, /* guest */
	VMB_VIDEO_SITUATION_ACK = 6, /* host */
	VMB_VIDEO_POINTER_POSITION = 7, /* guest */
	VMB_VIDEO_POINTER_SHAPE = 8, /* guest */
	VMB_VIDEO_FEATURES = 9, /* host, unasked */
	VMB_VIDEO_DIRT = 10, /* guest, if the host wants it */
	VMB_VIDEO_BIOS_REQUEST = 11, /* guest */
	VMB_VIDEO_BIOS_RESPONSE = 12, /* host */
	VMB_VIDEO_RESOLUTIONS_REQUEST = 13, /* guest, 3.5 */
	VMB_VIDEO_RESOLUTIONS_RESPONSE = 14, /* host */
	VMB_VIDEO_CAPABILITIES_REQUEST = 15, /* guest */
	VMB_VIDEO_CAPABILITIES_RESPONSE = 16, /* host */
};

/* The longest packet of either end, with the pipe's header. */
#define VMB_VIDEO_PACKET_LEN_MAX 0x4000u

struct vmb_video_header {
	uint32_t type; /* enum vmb_video_type */
	uint32_t len; /* bytes, this header included or not: nobody checks it */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_header, 8);

struct vmb_video_version_response {
	uint32_t version;
	uint8_t accepted;
	uint8_t output_max; /* 1 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_version_response, 6);

struct vmb_video_location {
	uint64_t context; /* the guest's own: it comes back */
	uint8_t gpa_specified;
	uint64_t gpa; /* where the video memory is to be */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_location, 17);

/* Of both ACKs. */
struct vmb_video_ack {
	uint64_t context;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_ack, 8);

struct vmb_video_situation {
	uint64_t context;
	uint8_t output_count; /* 1 */
	uint8_t active;
	uint32_t offset; /* of the first line in the video memory, bytes */
	uint8_t depth; /* bits of a pixel: 16 (5, 6, 5) or 32; blue is lowest */
	uint32_t width, height; /* pixels */
	uint32_t pitch; /* bytes from line to line */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_situation, 27);

struct vmb_video_pointer_position {
	uint8_t visible;
	uint8_t output;
	int32_t x, y;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_pointer_position, 10);

/* Pixels follow. */
struct vmb_video_pointer_shape {
	uint8_t part; /* VMB_VIDEO_POINTER_LAST: the last or only one */
	uint8_t argb; /* else monochrome, 2 bits a pixel */
	uint32_t width, height, hot_x, hot_y;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_pointer_shape, 18);
#define VMB_VIDEO_POINTER_LAST	   255u
#define VMB_VIDEO_POINTER_SIDE_MAX 96u /* pixels */
#define VMB_VIDEO_POINTER_PART_MAX 8192u /* bytes of pixels */

/* Which messages the host wants; a pointer or situation that it wants is sent again now. */
struct vmb_video_features {
	uint8_t dirt, position, shape, situation;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_features, 4);

/* Rectangles follow, in pixels; the right and the bottom one no longer belong to it. */
struct vmb_video_dirt {
	uint8_t output;
	uint8_t count;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_dirt, 2);

struct vmb_video_rectangle {
	int32_t left, top, right, bottom;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_rectangle, 16);

struct vmb_video_bios {
	uint32_t stop_supported;
	uint8_t reserved[12];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_bios, 16);

struct vmb_video_resolution {
	uint16_t width, height;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_resolution, 4);

/* Resolutions follow. */
struct vmb_video_resolutions {
	uint8_t edid[128];
	uint8_t count; /* VMB_VIDEO_RESOLUTION_MAX at most */
	uint8_t preferred; /* which of them */
	uint8_t is_standard;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_resolutions, 131);
#define VMB_VIDEO_RESOLUTION_MAX 64u

struct vmb_video_capabilities {
	uint32_t lock_on_disconnect;
	uint32_t reserved[15];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_video_capabilities, 64);

/* Both headers, and the longest message that a host sends. */
#define VMB_VIDEO_HEAD_LEN (sizeof(struct vmb_pipe_header) + sizeof(struct vmb_video_header))
#define VMB_VIDEO_HOST_LEN_MAX                                       \
	(VMB_VIDEO_HEAD_LEN + sizeof(struct vmb_video_resolutions) + \
	 VMB_VIDEO_RESOLUTION_MAX * sizeof(struct vmb_video_resolution))

#define VMB_GUID_VIDEO \
	VMB_GUID(0xda0a7802, 0xe377, 0x4aac, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10, 0x73, 0xf8)
#define VMB_GUID_VIDEO_INSTANCE \
	VMB_GUID(0x5620e0c7, 0x8062, 0x4dce, 0xae, 0xb7, 0x52, 0x0c, 0x7e, 0xf7, 0x61, 0x71)

#endif
