// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A PCI function's configuration space and MSI-X, byte by byte: each byte has a mask of the bits
 * that the guest may write, so that accesses of any length and place do the same.
 */
#include "host/pci_function.h"

#define AT_VENDOR	0x00u
#define AT_COMMAND	0x04u
#define AT_STATUS	0x06u
#define AT_REVISION	0x08u
#define AT_LINE_LEN	0x0Cu
#define AT_BAR		0x10u
#define AT_SUBSYSTEM	0x2Cu
#define AT_CAPABILITY	0x34u
#define AT_LINE		0x3Cu
#define AT_MSIX		0x40u
#define AT_MSIX_FLAGS	(AT_MSIX + 3) /* the high byte of its control word */
#define COMMAND_MEMORY	(1u << 1)
#define COMMAND_MASTER	(1u << 2)
#define COMMAND_NO_PIN	(1u << 2) /* in its high byte */
#define STATUS_HAS_LIST (1u << 4)
#define BAR_64		0x4u
#define ID_MSIX		0x11u
#define MSIX_ENABLED	(1u << 7)
#define MSIX_MASKED	(1u << 6)
#define ENTRY_CONTROL	12u /* offset in an entry; bit 0: masked */

static void put(struct vmb_host_pci_function *f, uint32_t at, uint32_t value, uint32_t len)
{
	memcpy(f->bytes + at, &value, len);
}

void vmb_host_pci_function_init(struct vmb_host_pci_function *f,
				const struct vmb_host_pci_function_config *config)
{
	f->config = *config;
	vmb_host_pci_function_reset(f);
}

/* Every entry begins masked. */
void vmb_host_pci_function_reset(struct vmb_host_pci_function *f)
{
	const struct vmb_host_pci_function_config *c = &f->config;
	const struct vmb_pci_description *d = &c->description;

	memset(f->bytes, 0, sizeof(f->bytes));
	memset(f->table, 0, sizeof(f->table));
	f->pending = 0;
	put(f, AT_VENDOR, (uint32_t)d->device_id << 16 | d->vendor_id, 4);
	put(f, AT_STATUS, STATUS_HAS_LIST, 2);
	put(f, AT_REVISION,
	    (uint32_t)d->base_class << 24 | (uint32_t)d->sub_class << 16 |
		    (uint32_t)d->interface << 8 | d->revision,
	    4);
	put(f, AT_BAR, BAR_64, 4);
	put(f, AT_SUBSYSTEM, (uint32_t)d->subsystem_id << 16 | d->subsystem_vendor_id, 4);
	put(f, AT_CAPABILITY, AT_MSIX, 1);
	put(f, AT_MSIX, (c->vector_count - 1) << 16 | ID_MSIX, 4);
	put(f, AT_MSIX + 4, c->table_at, 4); /* the low bits name BAR 0 */
	put(f, AT_MSIX + 8, c->pending_at, 4);
	for (uint32_t i = 0; i < c->vector_count; i++)
		f->table[i * VMB_HOST_PCI_MSIX_ENTRY + ENTRY_CONTROL] = 1;
}

void vmb_host_pci_function_bars(const struct vmb_host_pci_function *f,
				uint32_t bars[VMB_PCI_BAR_COUNT])
{
	memset(bars, 0, VMB_PCI_BAR_COUNT * sizeof(bars[0]));
	bars[0] = ~(f->config.bar_len - 1) | BAR_64;
	bars[1] = UINT32_MAX;
}

bool vmb_host_pci_function_range(const struct vmb_host_pci_function *f, uint64_t *gpa)
{
	uint64_t bar;

	memcpy(&bar, f->bytes + AT_BAR, sizeof(bar));
	*gpa = bar & ~((uint64_t)f->config.bar_len - 1);
	return f->bytes[AT_COMMAND] & COMMAND_MEMORY;
}

/* The bits of a byte of the configuration space that the guest may write. */
static uint8_t writable(const struct vmb_host_pci_function *f, uint32_t at)
{
	if (at >= AT_BAR && at < AT_BAR + 8)
		return at < AT_BAR + 4 ? ~(f->config.bar_len - 1) >> (at - AT_BAR) * 8 & 0xFF :
					 0xFF;
	switch (at) {
	case AT_COMMAND: return COMMAND_MEMORY | COMMAND_MASTER;
	case AT_COMMAND + 1: return COMMAND_NO_PIN;
	case AT_LINE_LEN:
	case AT_LINE: return 0xFF;
	case AT_MSIX_FLAGS: return MSIX_ENABLED | MSIX_MASKED;
	default: return 0;
	}
}

static void change(uint8_t *byte, uint8_t value, uint8_t mask)
{
	*byte = (*byte & ~mask) | (value & mask);
}

void vmb_host_pci_function_config(struct vmb_host_pci_function *f, uint32_t offset, uint8_t *data,
				  uint32_t len, bool is_write)
{
	for (uint32_t i = 0, at = offset; i < len; i++, at++) {
		if (!is_write)
			data[i] = at < sizeof(f->bytes) ? f->bytes[at] : 0;
		else if (at < sizeof(f->bytes))
			change(&f->bytes[at], data[i], writable(f, at));
	}
}

void vmb_host_pci_function_table(struct vmb_host_pci_function *f, uint32_t offset, uint8_t *data,
				 uint32_t len, bool is_write)
{
	uint32_t end = f->config.vector_count * VMB_HOST_PCI_MSIX_ENTRY;
	uint32_t in_entry;

	for (uint32_t i = 0, at = offset; i < len; i++, at++) {
		in_entry = at % VMB_HOST_PCI_MSIX_ENTRY;
		if (!is_write)
			data[i] = at < end ? f->table[at] : 0;
		else if (at < end)
			change(&f->table[at], data[i],
			       in_entry < ENTRY_CONTROL	 ? 0xFF :
			       in_entry == ENTRY_CONTROL ? 1 :
							   0);
	}
}

void vmb_host_pci_function_pending(const struct vmb_host_pci_function *f, uint32_t offset,
				   uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = offset + i < sizeof(f->pending) ? f->pending >> (offset + i) * 8 & 0xFF :
							    0;
}

void vmb_host_pci_function_fire(struct vmb_host_pci_function *f, uint32_t i)
{
	f->pending |= 1u << i;
}

/* A function that may not be master of the bus sends no messages, nor does one without MSI-X. */
bool vmb_host_pci_function_next(struct vmb_host_pci_function *f, uint64_t *address, uint32_t *data)
{
	const uint8_t *entry = f->table;

	if ((f->bytes[AT_MSIX_FLAGS] & (MSIX_ENABLED | MSIX_MASKED)) != MSIX_ENABLED ||
	    !(f->bytes[AT_COMMAND] & COMMAND_MASTER))
		return false;
	for (uint32_t i = 0; i < f->config.vector_count; i++, entry += VMB_HOST_PCI_MSIX_ENTRY) {
		if (!(f->pending >> i & 1) || entry[ENTRY_CONTROL] & 1)
			continue;
		f->pending &= ~(1u << i);
		memcpy(address, entry, sizeof(*address));
		memcpy(data, entry + sizeof(*address), sizeof(*data));
		return true;
	}
	return false;
}
