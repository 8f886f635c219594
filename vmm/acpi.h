/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ACPI tables: processors, interrupt controller, power, and the devices, among them VMBus with
 * the address windows below it. A machine of ACPI's "reduced hardware" kind: the only fixed
 * registers are sleep control and reset.
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include "vmm/memory.h"

/*
 * Writes all tables into guest memory, for vp_count processors; the RSDP is at VMB_VMM_ACPI_GPA.
 * Returns false if they do not fit.
 */
bool vmb_vmm_acpi_write(const struct vmb_dev_memory *m, uint32_t vp_count);

/*
 * For firmware, which has all other tables itself: writes the table of processors to out (room
 * bytes). Returns its length, or 0 if it does not fit.
 */
uint32_t vmb_vmm_acpi_madt(uint32_t vp_count, void *out, uint32_t room);

/* The same for the table that says which memory is near to which processors: all to all. */
uint32_t vmb_vmm_acpi_srat(const struct vmb_dev_memory *m, uint32_t vp_count, void *out,
			   uint32_t room);

/*
 * Returns whether the len bytes at gpa, which do not wrap, are in an address window that guests
 * have for the memory of VMBus devices.
 */
bool vmb_vmm_acpi_is_window(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len);

#define VMB_VMM_ACPI_HIGH_LEN 0x20000000ull
/* The address above 4 GiB from which VMB_VMM_ACPI_HIGH_LEN bytes are for device memory. */
uint64_t vmb_vmm_acpi_high_window(const struct vmb_dev_memory *m);

#endif
