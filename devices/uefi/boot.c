// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A boot entry for one device of the machine. It is a variable with a device path: the way from the
 * bus over the channel to the unit, as the firmware's own drivers name it.
 */
#include <stdio.h>
#include <string.h>

#include "devices/uefi/boot.h"

#define ENTRY_MAX    512u
#define NAME_LEN     9u /* "Boot", four digits, the end */
#define NUMBERS	     0x10u /* entries that are tried for a free one */
#define NUMBER_LAST  0xFFFFu
#define ACTIVE	     1u
#define DESCRIPTION  "openvmbus --boot"
#define CHANNEL_LEN  32u /* the ids of class and device */
#define MAC_LEN	     33u /* address and type */
#define IPV4_LEN     23u /* all zero: any address */
#define BUS_NAME     "VMBus"
#define ACPI_IDS_LEN 12u

/* type << 8 | subtype of a node */
enum node {
	NODE_ACPI_NAMED = 0x0202,
	NODE_VENDOR = 0x0104,
	NODE_SCSI = 0x0302,
	NODE_MAC = 0x030B,
	NODE_IPV4 = 0x030C,
	NODE_URI = 0x0318,
	NODE_END = 0x7FFF,
};

/* By which the firmware knows a channel: 9b17e5a2-0891-42dd-b653-80b5c22809ba. */
static const struct vmb_guid channel_path =
	VMB_GUID(0x9b17e5a2, 0x0891, 0x42dd, 0xb6, 0x53, 0x80, 0xb5, 0xc2, 0x28, 0x09, 0xba);

struct entry {
	uint8_t bytes[ENTRY_MAX];
	uint32_t len;
};

static void add(struct entry *e, const void *bytes, uint32_t len)
{
	memcpy(e->bytes + e->len, bytes, len);
	e->len += len;
}

static void add16(struct entry *e, uint16_t value)
{
	add(e, &value, sizeof(value));
}

static void add_text(struct entry *e, const char *text)
{
	do
		add16(e, *text);
	while (*text++);
}

/* body_len: bytes that follow. */
static void begin_node(struct entry *e, enum node node, uint16_t body_len)
{
	const uint8_t head[] = { node >> 8, node & 0xFF };

	add(e, head, sizeof(head));
	add16(e, sizeof(head) + sizeof(body_len) + body_len);
}

static void add_channel(struct entry *e, const struct vmb_dev_uefi_boot *b)
{
	static const uint8_t no_ids[ACPI_IDS_LEN], no_names[2];

	begin_node(e, NODE_ACPI_NAMED, sizeof(no_ids) + sizeof(BUS_NAME) + sizeof(no_names));
	add(e, no_ids, sizeof(no_ids));
	add(e, BUS_NAME, sizeof(BUS_NAME));
	add(e, no_names, sizeof(no_names));
	begin_node(e, NODE_VENDOR, sizeof(channel_path) + CHANNEL_LEN);
	add(e, &channel_path, sizeof(channel_path));
	add(e, &b->type_id, sizeof(b->type_id));
	add(e, &b->instance_id, sizeof(b->instance_id));
}

static void add_unit(struct entry *e, const struct vmb_dev_uefi_boot *b)
{
	begin_node(e, NODE_SCSI, 2 * sizeof(b->lun));
	add16(e, 0); /* target */
	add16(e, b->lun);
}

/* The firmware leaves the card's address out: who makes an entry may not know it yet. */
static void add_card(struct entry *e, const char *uri)
{
	static const uint8_t no_address[MAC_LEN], any[IPV4_LEN];

	begin_node(e, NODE_MAC, sizeof(no_address));
	add(e, no_address, sizeof(no_address));
	begin_node(e, NODE_IPV4, sizeof(any));
	add(e, any, sizeof(any));
	if (!uri)
		return;
	begin_node(e, NODE_URI, strlen(uri));
	add(e, uri, strlen(uri));
}

static void make_entry(struct entry *e, const struct vmb_dev_uefi_boot *b)
{
	const uint32_t active = ACTIVE;
	uint32_t path_len_at, path_at;
	uint16_t path_len;

	e->len = 0;
	add(e, &active, sizeof(active));
	path_len_at = e->len;
	add16(e, 0);
	add_text(e, DESCRIPTION);
	path_at = e->len;
	add_channel(e, b);
	if (b->kind == VMB_DEV_UEFI_BOOT_SCSI)
		add_unit(e, b);
	else
		add_card(e, b->uri);
	begin_node(e, NODE_END, 0);
	path_len = e->len - path_at;
	memcpy(e->bytes + path_len_at, &path_len, sizeof(path_len));
}

void vmb_dev_uefi_boot_next(struct vmb_dev_uefi_vars *v, const struct vmb_dev_uefi_boot *b)
{
	uint16_t number = NUMBER_LAST;
	char name[NAME_LEN];
	struct entry e;

	if (b->kind == VMB_DEV_UEFI_BOOT_ANY ||
	    vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, "BootNext"))
		return;
	for (; number > NUMBER_LAST - NUMBERS; number--) {
		snprintf(name, sizeof(name), "Boot%04X", number);
		if (vmb_dev_uefi_vars_named(v, &vmb_dev_uefi_global, name))
			continue;
		make_entry(&e, b);
		vmb_dev_uefi_vars_put_volatile(v, name, e.bytes, e.len);
		vmb_dev_uefi_vars_put_volatile(v, "BootNext", &number, sizeof(number));
		return;
	}
}
