/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SMBIOS of a machine without firmware: names as Hyper-V's machines have, by which guests and cloud
 * agents know where they are. (A firmware makes its own.)
 *
 * Source: DMTF DSP0134 3.3, sections 5.2.2 (entry point), 6.1 (structures), 7.1, 7.2, 7.4; names
 * are those of Hyper-V's Generation 2 machines.
 */
#ifndef VMM_SMBIOS_H
#define VMM_SMBIOS_H

#include "devices/memory.h"

/* On x86 systems look for the entry point here, in steps of 16 bytes. */
#define VMB_VMM_SMBIOS_GPA     0xF0000u
#define VMB_VMM_SMBIOS_LEN_MAX 0x1000u

/*
 * Writes entry point and structures into guest memory. uuid: 16 bytes as SMBIOS has them, the first
 * three fields little-endian; asset_tag: of the chassis, NULL: none. Returns false if they do not
 * fit.
 */
bool vmb_vmm_smbios_write(const struct vmb_dev_memory *m, const uint8_t uuid[16],
			  const char *asset_tag);

#endif
