/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The synthetic mouse: reports of a HID device, whose descriptor the host sends first. A pipe in
 * message mode: a ring packet's payload is a pipe header, the header below and a body. The guest
 * speaks first and asks for a completion of what it sends. All fields are little-endian.
 *
 * Source: docs/protocol/integration.md, "11 Mouse".
 */
#ifndef WIRE_MOUSE_H
#define WIRE_MOUSE_H

#include "base/platform.h"
#include "wire/guid.h"
#include "wire/pipe.h"

#define VMB_MOUSE_VERSION 0x00020000u

enum vmb_mouse_type {
	VMB_MOUSE_REQUEST = 0, /* guest */
	VMB_MOUSE_RESPONSE = 1, /* host */
	VMB_MOUSE_INFO = 2, /* host */
	VMB_MOUSE_INFO_ACK = 3, /* guest */
	VMB_MOUSE_REPORT = 4, /* host; the body is a report of the HID device */
};

/* Both headers: what every packet begins with. */
struct vmb_mouse_packet {
	struct vmb_pipe_header pipe;
	uint32_t type; /* enum vmb_mouse_type */
	uint32_t body_len; /* bytes after this header */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_packet, 16);

struct vmb_mouse_request {
	uint32_t version; /* VMB_MOUSE_VERSION */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_request, 4);

struct vmb_mouse_response {
	uint32_t version; /* the request's */
	uint8_t accepted;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_response, 5);

/* The report descriptor follows. */
struct vmb_mouse_info {
	uint32_t attributes_len; /* 32: up to hid_len */
	uint16_t vendor, product, version;
	uint16_t reserved[11];
	/* The HID class descriptor of USB. */
	uint8_t hid_len; /* 9 */
	uint8_t hid_type; /* VMB_MOUSE_HID */
	uint16_t hid_version; /* 0x0101 */
	uint8_t country;
	uint8_t descriptor_count; /* 1 */
	uint8_t descriptor_type; /* VMB_MOUSE_HID_REPORT */
	uint16_t descriptor_len; /* bytes that follow */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_info, 41);
VMB_ASSERT_OFFSET(struct vmb_mouse_info, hid_len, 32);
#define VMB_MOUSE_ATTRIBUTES_LEN     32u
#define VMB_MOUSE_HID_LEN	     9u
#define VMB_MOUSE_HID		     0x21u
#define VMB_MOUSE_HID_REPORT	     0x22u

/* What a guest takes at most; no host is known to send more than a tenth. */
#define VMB_MOUSE_DESCRIPTOR_LEN_MAX 1024u
#define VMB_MOUSE_REPORT_LEN_MAX     64u
#define VMB_MOUSE_PACKET_LEN_MAX                                           \
	(sizeof(struct vmb_mouse_packet) + sizeof(struct vmb_mouse_info) + \
	 VMB_MOUSE_DESCRIPTOR_LEN_MAX + 7u) /* a packet is padded to 8 */

struct vmb_mouse_ack {
	uint8_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_ack, 1);

/* The report of the device that hosts have: a tablet with a wheel. */
struct vmb_mouse_report {
	uint8_t buttons; /* VMB_MOUSE_LEFT, ... */
	uint16_t x, y; /* from the left and the top: 0 to VMB_MOUSE_MAX */
	int16_t wheel; /* notches, up is positive */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_mouse_report, 7);
#define VMB_MOUSE_MAX	  32767u
#define VMB_MOUSE_LEFT	  1u
#define VMB_MOUSE_RIGHT	  2u
#define VMB_MOUSE_MIDDLE  4u
#define VMB_MOUSE_BUTTONS 0x1Fu /* all five */

#define VMB_GUID_MOUSE \
	VMB_GUID(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9, 0x5a)
#define VMB_GUID_MOUSE_INSTANCE \
	VMB_GUID(0x58f75a6d, 0xd949, 0x4320, 0x99, 0xe1, 0xa2, 0xa2, 0x57, 0x6d, 0x58, 0x1c)

#endif
