/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all devices do in the same way with the rings of an open channel. Context: the device's
 * thread.
 */
#ifndef DEVICES_CHANNEL_H
#define DEVICES_CHANNEL_H

#include "devices/bus.h"

/*
 * Writes a packet that takes len bytes of the ring. The guest sees it only after vmb_ring_commit().
 * If there is no room, publishes what was written before, asks the guest to signal when there is
 * room, and returns VMB_EAGAIN. Otherwise returns what vmb_ring_write() returns.
 */
int vmb_dev_channel_write(struct vmb_dev_channel *channel, const struct vmb_ring_packet *packet,
			  uint32_t len);

#endif
