/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One table of the devices and their I/O ports. All devices are one byte wide; a wider access is
 * treated as that many bytes at consecutive ports. Reads of ports without a device return all ones.
 * Context: any processor's thread; devices lock themselves.
 */
#ifndef VMM_PIO_H
#define VMM_PIO_H

#include "base/platform.h"

struct vmb_vmm_machine;

/* Reads or writes size bytes of data at port. */
void vmb_vmm_pio_access(struct vmb_vmm_machine *machine, uint16_t port, uint8_t *data,
			uint32_t size, bool write);

#endif
