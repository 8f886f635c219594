/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One SCSI controller: a channel, and one command at a time. */
#ifndef PORTS_UEFI_STORVSC_CONTROLLER_H
#define PORTS_UEFI_STORVSC_CONTROLLER_H

#include "guest/storage.h"
#include "ports/uefi/channel.h"

#define VMB_UEFI_TRANSFER_MAX (512u << 10) /* bytes of one command; a ring takes the page list */
#define VMB_UEFI_UNIT_MAX     64u

struct vmb_uefi_controller {
	struct vmb_uefi_channel *channel;
	struct vmb_guest_storage core;
	struct vmb_guest_storage_slot slot;
	/*
	 * All data passes through it: the host still has the memory of a command that timed out,
	 * and the caller's would be somebody else's by then.
	 */
	uint8_t *buffer;
	uint64_t pfns[VMB_UEFI_TRANSFER_MAX / VMB_PAGE_LEN];
	uint8_t units[VMB_UEFI_UNIT_MAX]; /* the LUNs that answer, as the host sorts them */
	uint32_t unit_count;
};

/* Opens the channel, shakes hands and asks which units there are. */
bool vmb_uefi_controller_open(struct vmb_uefi_controller *c);
void vmb_uefi_controller_close(struct vmb_uefi_controller *c);

/*
 * Carries out one command, whose data is in or goes to memory. Returns 0, and event says how it
 * ended; VMB_EOVERFLOW: too much data at once; VMB_EAGAIN: no answer in time; VMB_EIO: the device
 * is gone, or has not answered yet what timed out before.
 */
int vmb_uefi_controller_command(struct vmb_uefi_controller *c,
				struct vmb_guest_storage_request *request, void *memory,
				struct vmb_guest_storage_event *event);

#endif
