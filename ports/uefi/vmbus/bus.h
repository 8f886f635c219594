/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connection to the host, and the channels of the devices that this firmware can drive. */
#ifndef PORTS_UEFI_VMBUS_BUS_H
#define PORTS_UEFI_VMBUS_BUS_H

#include "guest/connect.h"
#include "ports/uefi/channel.h"

#define VMB_UEFI_DEVICE_MAX 16u /* the host may offer more; these are the first */
#define VMB_UEFI_SHARE_MAX  4u /* the rings, and what a device lends besides */
#define VMB_UEFI_RING_LEN   (16 * VMB_PAGE_LEN) /* of each ring, its control page included */

struct vmb_uefi_share {
	struct vmb_guest_gpadl gpadl;
	uint64_t *pfns;
};

struct vmb_uefi_device {
	struct vmb_uefi_channel channel;
	struct vmb_guest_channel core;
	struct vmb_uefi_share shares[VMB_UEFI_SHARE_MAX];
	uint32_t share_count;
	uint8_t *rings; /* 2 * VMB_UEFI_RING_LEN bytes; NULL: not open */
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
};

struct vmb_uefi_bus {
	struct vmb_guest_connect connect;
	struct vmb_uefi_device devices[VMB_UEFI_DEVICE_MAX];
	uint32_t device_count;
	enum vmb_guest_event_type waited_for;
	bool arrived, refused;
	uint32_t status; /* of what was waited for */
};

/* Connects and takes the offers. False: the host refuses or is silent. */
bool vmb_uefi_bus_start(void);
struct vmb_uefi_device *vmb_uefi_bus_device(uint32_t number); /* NULL: no more */
uint32_t vmb_uefi_bus_version(void);
/* Unloads, so that a system can connect anew. What the devices shared is theirs again. */
void vmb_uefi_bus_stop(void);

#endif
