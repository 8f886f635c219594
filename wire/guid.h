/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GUIDs as they lie on the wire: the first three groups of the text form little-endian, the last
 * eight bytes as written. Source: docs/protocol/bus.md, "7 Device GUIDs".
 */
#ifndef WIRE_GUID_H
#define WIRE_GUID_H

#include "base/platform.h"

struct vmb_guid {
	uint8_t bytes[16];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_guid, 16);

/* VMB_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, ...) for ba6163d9-04a1-4d29-b605-... */
#define VMB_GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                                       \
	{                                                                                       \
		{                                                                               \
			(a) & 0xff, ((a) >> 8) & 0xff, ((a) >> 16) & 0xff, ((a) >> 24) & 0xff,  \
				(b)&0xff, ((b) >> 8) & 0xff, (c)&0xff, ((c) >> 8) & 0xff, (d0), \
				(d1), (d2), (d3), (d4), (d5), (d6), (d7)                        \
		}                                                                               \
	}

#define VMB_GUID_SCSI \
	VMB_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f)
#define VMB_GUID_IDE \
	VMB_GUID(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5)
#define VMB_GUID_NETWORK \
	VMB_GUID(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e)

static inline bool vmb_guid_equal(const struct vmb_guid *a, const struct vmb_guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

#endif
