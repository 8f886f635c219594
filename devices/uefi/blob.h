/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration blob: what a Generation 2 firmware is told of its machine. Source of all
 * numbers and lengths: docs/protocol/firmware.md, "Configuration blob".
 */
#ifndef DEVICES_UEFI_BLOB_H
#define DEVICES_UEFI_BLOB_H

#include <stddef.h>

#include "base/platform.h"

#define VMB_DEV_UEFI_BLOB_GPA	  0x709000u
#define VMB_DEV_UEFI_BLOB_LEN_MAX 0x10000u
#define VMB_DEV_UEFI_ENTROPY_LEN  64u

/* Strings are those of SMBIOS; NULL: the firmware's own. */
struct vmb_dev_uefi_machine {
	uint64_t low_len; /* bytes of RAM at address 0 */
	uint64_t high_gpa, high_len; /* RAM above 4 GiB; a length of 0: none */
	uint64_t mmio_low_gpa, mmio_low_len; /* free of RAM, in pages */
	uint64_t mmio_high_gpa, mmio_high_len;
	uint32_t vp_count;
	uint8_t uuid[16]; /* as SMBIOS has it: the first three fields little-endian */
	uint8_t entropy[VMB_DEV_UEFI_ENTROPY_LEN];
	const char *serial, *asset_tag;
	bool network_boot; /* a card counts as connected before it says so */
	const void *madt, *srat; /* ACPI tables */
	uint32_t madt_len, srat_len;
};

/*
 * Writes the blob to out (room bytes). Returns its length, or 0 if it does not fit. The strings may
 * have up to 63 characters; a longer one is cut.
 */
size_t vmb_dev_uefi_blob(const struct vmb_dev_uefi_machine *machine, uint8_t *out, size_t room);

#endif
