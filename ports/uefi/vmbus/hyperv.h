/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What docs/porting.md asks of a port, on a processor in the DXE phase: hypercalls, the SynIC, and
 * its interrupt, whose handler does nothing, because all of the firmware looks by itself.
 *
 *   vmb_uefi_hyperv_start()  hypercall page, SynIC and SINT 2; false: no Hyper-V interface
 *   vmb_uefi_hyperv_stop()   all of it off again, so that a system finds it as at reset
 *   vmb_uefi_hyperv_post()   HvCallPostMessage; returns the status, enum vmb_hv_status
 *   vmb_uefi_hyperv_signal() HvCallSignalEvent
 *   vmb_uefi_hyperv_take()   copies the message out of the slot of SINT 2, and returns its length;
 *                            0: there is none. message: VMB_SYNIC_PAYLOAD_MAX bytes
 */
#ifndef PORTS_UEFI_VMBUS_HYPERV_H
#define PORTS_UEFI_VMBUS_HYPERV_H

#include "base/platform.h"

bool vmb_uefi_hyperv_start(void);
void vmb_uefi_hyperv_stop(void);
uint32_t vmb_uefi_hyperv_post(uint32_t connection_id, const void *payload, uint32_t len);
void vmb_uefi_hyperv_signal(uint32_t connection_id);
uint32_t vmb_uefi_hyperv_take(void *message);

#endif
