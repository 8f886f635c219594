/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One function on the bus of PCI pass-through, as PCI itself has it: its configuration space, with
 * one memory range of 64 bits (BAR 0 and 1) and MSI-X, whose table is in that range.
 *
 *   vmb_host_pci_function_init(f, &config)
 *   vmb_host_pci_function_config(f, offset, data, len, is_write)   the guest's accesses, once the
 *   vmb_host_pci_function_table(f, offset, data, len, is_write)    caller knows where they go
 *   vmb_host_pci_function_fire(f, i)                               interrupt i happened
 *   while (vmb_host_pci_function_next(f, &address, &data))         after each of these: send that
 *
 * Context: one caller at a time.
 * Source: PCI Local Bus Specification 3.0, 6.1 "Configuration Space Organization" and 6.8.2
 * "MSI-X"; docs/protocol/pci.md, "5 The configuration space".
 */
#ifndef HOST_PCI_FUNCTION_H
#define HOST_PCI_FUNCTION_H

#include "wire/pci.h"

#define VMB_HOST_PCI_VECTOR_MAX 32u
#define VMB_HOST_PCI_MSIX_ENTRY 16u /* bytes */

struct vmb_host_pci_function_config {
	struct vmb_pci_description description;
	uint32_t bar_len; /* bytes: a power of two, a page or more */
	uint32_t vector_count; /* VMB_HOST_PCI_VECTOR_MAX at most */
	uint32_t table_at,
		pending_at; /* in the range: of the MSI-X table and of its pending bits */
};

struct vmb_host_pci_function {
	struct vmb_host_pci_function_config config;
	uint8_t bytes[256];
	uint8_t table[VMB_HOST_PCI_VECTOR_MAX * VMB_HOST_PCI_MSIX_ENTRY];
	uint32_t pending; /* interrupts that wait, one bit each */
};

/* Makes a function that was never used. */
void vmb_host_pci_function_init(struct vmb_host_pci_function *f,
				const struct vmb_host_pci_function_config *config);
/* Resets it: the same. */
void vmb_host_pci_function_reset(struct vmb_host_pci_function *f);

/* What QUERY_REQUIREMENTS tells of the ranges. */
void vmb_host_pci_function_bars(const struct vmb_host_pci_function *f,
				uint32_t bars[VMB_PCI_BAR_COUNT]);

/* Returns whether the function answers to memory accesses, and where its range is. */
bool vmb_host_pci_function_range(const struct vmb_host_pci_function *f, uint64_t *gpa);

/*
 * Accesses of len bytes, 1 to 8, at offset: of the configuration space, and of the MSI-X table.
 * What is not there reads as zeroes, and writes to it are dropped.
 */
void vmb_host_pci_function_config(struct vmb_host_pci_function *f, uint32_t offset, uint8_t *data,
				  uint32_t len, bool is_write);
void vmb_host_pci_function_table(struct vmb_host_pci_function *f, uint32_t offset, uint8_t *data,
				 uint32_t len, bool is_write);
/* Reads the pending bits. */
void vmb_host_pci_function_pending(const struct vmb_host_pci_function *f, uint32_t offset,
				   uint8_t *data, uint32_t len);

/* Interrupt i happened. i is below vector_count. */
void vmb_host_pci_function_fire(struct vmb_host_pci_function *f, uint32_t i);
/* Takes an interrupt that is not masked. Returns false if there is none. */
bool vmb_host_pci_function_next(struct vmb_host_pci_function *f, uint64_t *address, uint32_t *data);

#endif
