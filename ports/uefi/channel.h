/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The protocol between the bus driver and the drivers of its devices: one on the handle of each
 * channel that the host offered. All functions wait by looking, at most VMB_UEFI_PATIENCE_US, and
 * may be called at TPL_NOTIFY and below.
 *
 *   open()      makes the rings and opens the channel; false: the host refuses or is silent
 *   close()     closes it and takes back all that was shared; the rings are gone. False: the host
 *               did not give all of it back, so what was shared must never be used again
 *   share()     lends the host len bytes of memory, whole pages, until close(); returns the
 *               GPADL's id, or 0
 *   send()      false: the ring is full or broken
 *   receive()   copies the next packet's payload, at most room bytes of it, and, where header is
 *               not NULL, its extra header; false: there is none
 *   lost()      whether the host took the device away, or broke the ring: stop waiting
 */
#ifndef PORTS_UEFI_CHANNEL_H
#define PORTS_UEFI_CHANNEL_H

#include "guest/channel.h"
#include "ring/ring.h"

#define VMB_UEFI_PATIENCE_US 10000000u
/* Messages or packets that one look takes: a wait ends also where the host never pauses. */
#define VMB_UEFI_LOOK_MAX    64u

#define VMB_UEFI_CHANNEL_GUID                                          \
	{                                                              \
		0x1d4f2f0e, 0x6f0a, 0x4b5e,                            \
		{                                                      \
			0x9c, 0x0c, 0x3d, 0x8a, 0x5f, 0x1b, 0x7a, 0x20 \
		}                                                      \
	}

struct vmb_uefi_channel {
	struct vmb_guid type_id, instance_id;
	bool (*open)(struct vmb_uefi_channel *ch);
	bool (*close)(struct vmb_uefi_channel *ch);
	uint32_t (*share)(struct vmb_uefi_channel *ch, void *memory, uint32_t len);
	bool (*send)(struct vmb_uefi_channel *ch, const struct vmb_ring_packet *packet);
	bool (*receive)(struct vmb_uefi_channel *ch, struct vmb_ring_received *received,
			void *payload, uint32_t room, void *header, uint32_t header_room);
	bool (*lost)(struct vmb_uefi_channel *ch);
};

#endif
