/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's configuration blob. Source: docs/protocol/firmware.md, "Configuration blob". It stays
 * where it is until a system takes the machine over.
 */
#ifndef PORTS_UEFI_LIB_BLOB_H
#define PORTS_UEFI_LIB_BLOB_H

#include <Base.h>

#define VMB_UEFI_BLOB_MEMORY_MAP 3u
#define VMB_UEFI_BLOB_WINDOWS	 0x14u /* for devices on VMBus: low, high */
#define VMB_UEFI_BLOB_ACPI_TABLE 0x16u

/* len: with this header; what follows it is within the blob. */
struct vmb_uefi_record {
	UINT32 type, len;
};

/* The first record of that type behind another, or, with NULL, of all; NULL: no more. */
const struct vmb_uefi_record *vmb_uefi_blob_next(UINT32 type, const struct vmb_uefi_record *after);

#endif
