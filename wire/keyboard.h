/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The synthetic keyboard: keys by their make codes of scan code set 1. In-band packets without a
 * pipe header; the guest speaks first and asks for a completion of what it sends. All fields are
 * little-endian.
 *
 * Source: docs/protocol/integration.md, "10 Keyboard".
 */
#ifndef WIRE_KEYBOARD_H
#define WIRE_KEYBOARD_H

#include "base/platform.h"
#include "wire/guid.h"

#define VMB_KEYBOARD_VERSION 0x00010000u

enum vmb_keyboard_type {
	VMB_KEYBOARD_REQUEST = 1, /* guest */
	VMB_KEYBOARD_RESPONSE = 2, /* host */
	VMB_KEYBOARD_EVENT = 3, /* host */
	VMB_KEYBOARD_LEDS = 4, /* guest */
};

/* The longest message of either end. */
#define VMB_KEYBOARD_LEN_MAX 256u

/* The guest's first message. */
struct vmb_keyboard_request {
	uint32_t type; /* VMB_KEYBOARD_REQUEST */
	uint32_t version; /* VMB_KEYBOARD_VERSION */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_keyboard_request, 8);

struct vmb_keyboard_response {
	uint32_t type; /* VMB_KEYBOARD_RESPONSE */
	uint32_t status; /* bit 0: VMB_KEYBOARD_ACCEPTED */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_keyboard_response, 8);
#define VMB_KEYBOARD_ACCEPTED 1u

/* A key goes down or up. */
struct vmb_keyboard_event {
	uint32_t type; /* VMB_KEYBOARD_EVENT */
	uint16_t make_code; /* set 1, 7 bits; with UNICODE a character */
	uint16_t reserved;
	uint32_t flags; /* VMB_KEYBOARD_UNICODE, ... */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_keyboard_event, 12);
#define VMB_KEYBOARD_UNICODE	   1u
#define VMB_KEYBOARD_BREAK	   2u /* up; otherwise down, or still down */
#define VMB_KEYBOARD_E0		   4u /* the code has this prefix */
#define VMB_KEYBOARD_E1		   8u
#define VMB_KEYBOARD_MAKE_CODE_MAX 0x7Fu

/* Which lights the guest wants. */
struct vmb_keyboard_leds {
	uint32_t type; /* VMB_KEYBOARD_LEDS */
	uint16_t leds; /* VMB_KEYBOARD_LED_* */
	uint16_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_keyboard_leds, 8);
#define VMB_KEYBOARD_LED_SCROLL 1u
#define VMB_KEYBOARD_LED_NUM	2u
#define VMB_KEYBOARD_LED_CAPS	4u

#define VMB_GUID_KEYBOARD \
	VMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84)
#define VMB_GUID_KEYBOARD_INSTANCE \
	VMB_GUID(0xd34b2567, 0xb9b6, 0x42b9, 0x87, 0x78, 0x0a, 0x4e, 0xc0, 0xb9, 0x55, 0xbf)

#endif
