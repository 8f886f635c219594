/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What devices do with the rings of an open channel alike. Context: the device's thread.
 */
#ifndef DEVICES_CHANNEL_H
#define DEVICES_CHANNEL_H

#include "devices/bus.h"

/*
 * Writes a packet of this many bytes of ring, unseen until vmb_ring_commit(). Without room what was written before is
 * published and the guest is asked to signal when there is some: VMB_EAGAIN. Else as vmb_ring_write().
 */
int vmb_dev_channel_write(struct vmb_dev_channel *channel, const struct vmb_ring_packet *packet,
			  uint32_t len);

#endif
