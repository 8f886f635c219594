// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmm/channel.h"

int vmb_vmm_channel_write(struct vmb_vmm_channel *ch, const struct vmb_ring_packet *packet,
			  uint32_t len)
{
	int error;

	while ((error = vmb_ring_write(&ch->tx, packet)) == VMB_EAGAIN) {
		/* A wish for room while something is unseen would be for room that never comes. */
		if (vmb_ring_commit(&ch->tx))
			vmb_vmm_vmbus_signal(ch);
		if (vmb_ring_wait_room(&ch->tx, len))
			break;
	}
	return error;
}
