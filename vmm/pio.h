/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which device answers on which I/O port: one table. All devices are byte-wide; a wider access is as many bytes
 * at consecutive ports. Where no device is, reads answer ones. Context: any processor's thread; devices lock themselves.
 */
#ifndef VMM_PIO_H
#define VMM_PIO_H

#include "base/platform.h"

struct vmb_vmm_machine;

void vmb_vmm_pio_access(struct vmb_vmm_machine *machine, uint16_t port, uint8_t *data,
			uint32_t size, bool write);

#endif
