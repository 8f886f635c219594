/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where things are when the host starts the firmware. Source: docs/protocol/firmware.md, "Image and
 * entry", "Configuration blob". That the host also leaves ACPI and SMBIOS tables where a BIOS would
 * is an agreement of our own with our own host (vmm/acpi.h, vmm/smbios.h).
 */
#ifndef PORTS_UEFI_LIB_LAYOUT_H
#define PORTS_UEFI_LIB_LAYOUT_H

#define VMB_UEFI_IMAGE_GPA   0x100000u
#define VMB_UEFI_DRIVERS_LEN 0x5E0000u /* the volume of the DXE phase, at the image's start */
#define VMB_UEFI_BLOB_GPA    0x709000u
#define VMB_UEFI_BLOB_MAX    0x10000u
#define VMB_UEFI_HOLE_GPA    0xA0000u /* no RAM for anybody: the host's tables are in it */
#define VMB_UEFI_ACPI_GPA    0xE0000u
#define VMB_UEFI_SMBIOS_GPA  0xF0000u
#define VMB_UEFI_HOLE_END    0x100000u

#endif
