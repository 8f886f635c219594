/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PCI pass-through: a VMBus channel is a root bus of PCI Express with the functions that the host
 * has for the guest. All fields are little-endian. Only the messages that the host side serves are
 * here.
 *
 * Source: docs/protocol/pci.md.
 */
#ifndef WIRE_PCI_H
#define WIRE_PCI_H

#include "base/platform.h"
#include "wire/guid.h"

#define VMB_PCI_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))
#define VMB_PCI_VERSION_1_1	      VMB_PCI_VERSION(1, 1) /* Windows 10 */
#define VMB_PCI_VERSION_1_2	      VMB_PCI_VERSION(1, 2) /* Windows Server 2016 */
#define VMB_PCI_VERSION_1_3	      VMB_PCI_VERSION(1, 3) /* 2004: NUMA nodes */
#define VMB_PCI_VERSION_1_4	      VMB_PCI_VERSION(1, 4) /* Windows Server 2022 */

enum vmb_pci_type {
	VMB_PCI_RELATIONS = 0x42490000, /* host */
	VMB_PCI_QUERY_RELATIONS = 0x42490001, /* guest; no completion */
	VMB_PCI_POWER = 0x42490004, /* guest */
	VMB_PCI_QUERY_REQUIREMENTS = 0x42490005, /* guest */
	VMB_PCI_D0_ENTRY = 0x42490007, /* guest */
	VMB_PCI_D0_EXIT = 0x42490008, /* guest */
	VMB_PCI_READ_BLOCK = 0x42490009, /* guest */
	VMB_PCI_WRITE_BLOCK = 0x4249000A, /* guest */
	VMB_PCI_EJECT = 0x4249000B, /* host */
	VMB_PCI_EJECTED = 0x4249000F, /* guest; no completion */
	VMB_PCI_ASSIGNED = 0x42490010, /* guest, 1.1 */
	VMB_PCI_RELEASED = 0x42490011, /* guest */
	VMB_PCI_QUERY_VERSION = 0x42490013, /* guest */
	VMB_PCI_CREATE_INTERRUPT = 0x42490014, /* guest, 1.1 */
	VMB_PCI_DELETE_INTERRUPT = 0x42490015, /* guest */
	VMB_PCI_ASSIGNED2 = 0x42490016, /* guest, 1.2 */
	VMB_PCI_CREATE_INTERRUPT2 = 0x42490017, /* guest, 1.2 */
	VMB_PCI_RELATIONS2 = 0x42490019, /* host, 1.3 */
	VMB_PCI_ASSIGNED3 = 0x4249001A, /* guest, 1.4 */
	VMB_PCI_CREATE_INTERRUPT3 = 0x4249001B, /* guest, 1.4 */
};

/* In the first word of a completion. */
enum vmb_pci_status {
	VMB_PCI_SUCCESS = 0,
	VMB_PCI_REVISION_MISMATCH = 0xC0000059,
	VMB_PCI_NOT_SUPPORTED = 0xC00000BB,
	VMB_PCI_NO_RESOURCES = 0xC000009A,
	VMB_PCI_BAD_DATA = 0xC000090B,
};

#define VMB_PCI_BAR_COUNT     6u

/* The address window of the configuration space, two pages. */
#define VMB_PCI_WINDOW_LEN    0x2000u
#define VMB_PCI_WINDOW_SLOT   0u /* the guest writes here which function the other page shows */
#define VMB_PCI_WINDOW_CONFIG 0x1000u

/* All messages of the guest that concern one function begin so. */
struct vmb_pci_header {
	uint32_t type; /* enum vmb_pci_type */
	uint32_t slot; /* bits 4:0 device, 7:5 function */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_header, 8);

struct vmb_pci_query_version {
	uint32_t type;
	uint32_t version; /* VMB_PCI_VERSION() */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_query_version, 8);

struct vmb_pci_version_reply {
	uint32_t status;
	uint32_t version; /* the host's newest */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_version_reply, 8);

struct vmb_pci_d0_entry {
	uint32_t type;
	uint32_t reserved;
	uint64_t window_gpa; /* where the guest wants the configuration space */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_d0_entry, 16);

struct vmb_pci_description {
	uint16_t vendor_id, device_id;
	uint8_t revision, interface, sub_class, base_class;
	uint16_t subsystem_vendor_id, subsystem_id;
	uint32_t slot;
	uint32_t serial; /* also names a card's virtual function */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_description, 20);

struct vmb_pci_relations {
	uint32_t type; /* VMB_PCI_RELATIONS */
	uint32_t count; /* of descriptions that follow */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_relations, 8);

/* 1.3; VMB_PCI_RELATIONS2 has these. */
struct vmb_pci_description2 {
	struct vmb_pci_description description;
	uint32_t flags; /* bit 0: node is valid */
	uint16_t node, reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_description2, 28);

struct vmb_pci_requirements {
	uint32_t status;
	uint32_t bars[VMB_PCI_BAR_COUNT]; /* what each reads after all ones were written to it */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_requirements, 28);

/* The guest's view of what it assigned; interrupts may follow. */
struct vmb_pci_assigned {
	struct vmb_pci_header header;
	uint8_t ranges[VMB_PCI_BAR_COUNT][20];
	uint32_t interrupt_count;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_assigned, 136);

struct vmb_pci_assigned_reply {
	uint32_t status;
	uint32_t slot;
	uint8_t ranges[VMB_PCI_BAR_COUNT][20];
	uint32_t interrupt_count;
	uint32_t reserved;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_assigned_reply, 136);

struct vmb_pci_power {
	struct vmb_pci_header header;
	uint32_t state; /* 1: D0, 4: D3 */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_power, 12);

/* An interrupt that the guest wants. */
struct vmb_pci_interrupt {
	uint8_t vector;
	uint8_t mode; /* enum vmb_pci_mode */
	uint16_t count; /* of vectors, one after the other; MSI-X: 1 */
	uint32_t reserved;
	uint64_t vp_mask;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_interrupt, 16);

enum vmb_pci_mode { VMB_PCI_FIXED = 0, VMB_PCI_LOWEST_PRIORITY = 1 };

#define VMB_PCI_INTERRUPT_VP_MAX 32u
/* 1.2; two bytes of padding may follow, or be missing. */
struct vmb_pci_interrupt2 {
	uint8_t vector;
	uint8_t mode;
	uint16_t count;
	uint16_t vp_count;
	uint16_t vps[VMB_PCI_INTERRUPT_VP_MAX];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_interrupt2, 70);

/* 1.4; likewise. */
struct vmb_pci_interrupt3 {
	uint32_t vector;
	uint8_t mode, reserved;
	uint16_t count;
	uint16_t vp_count;
	uint16_t vps[VMB_PCI_INTERRUPT_VP_MAX];
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_interrupt3, 74);

/* What the function must write, and where, for that interrupt. */
struct vmb_pci_message {
	uint16_t reserved;
	uint16_t count;
	uint32_t data;
	uint64_t address;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_message, 16);

struct vmb_pci_interrupt_reply {
	uint32_t status;
	uint32_t reserved;
	struct vmb_pci_message message;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_interrupt_reply, 24);

struct vmb_pci_delete_interrupt {
	struct vmb_pci_header header;
	struct vmb_pci_message message;
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_delete_interrupt, 24);

/* The longest packet of a guest that is taken, and the longest of the host. */
#define VMB_PCI_GUEST_LEN_MAX  512u
#define VMB_PCI_HOST_LEN_MAX   sizeof(struct vmb_pci_assigned_reply)

/*
 * HvCallRetargetDeviceInterrupt: an interrupt that CREATE_INTERRUPT gave goes to another vector or
 * processor from now on. docs/protocol/pci.md, "7 Moving an interrupt".
 */
#define VMB_HYPERCALL_RETARGET 0x007Eu

struct vmb_pci_retarget {
	uint64_t partition; /* all ones: the caller's own */
	uint64_t device_id; /* as vmb_pci_device_id() makes it */
	uint32_t source; /* 1: a message */
	uint32_t reserved1;
	uint32_t address; /* the low half */
	uint32_t data;
	uint64_t reserved2;
	uint32_t vector;
	uint32_t flags; /* VMB_PCI_RETARGET_SET */
	uint64_t vp_mask; /* with _SET: the set's format, 0: sparse */
} VMB_PACKED;
VMB_ASSERT_LEN(struct vmb_pci_retarget, 56);
/* Behind it, with _SET: a mask of the banks that follow, then 64 processors a bank. */
#define VMB_PCI_RETARGET_SET (1u << 1)

/* How the hypercall names a function: by four bytes of the channel's instance id, and its slot. */
static inline uint32_t vmb_pci_device_id(const struct vmb_guid *instance, uint32_t function)
{
	const uint8_t *b = instance->bytes;

	return (uint32_t)b[5] << 24 | (uint32_t)b[4] << 16 | (uint32_t)b[7] << 8 | (b[6] & 0xF8) |
	       (function & 7);
}

#define VMB_GUID_PCI \
	VMB_GUID(0x44c4f61d, 0x4444, 0x4400, 0x9d, 0x52, 0x80, 0x2e, 0x27, 0xed, 0xe1, 0x9f)

#endif
