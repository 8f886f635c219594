// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the SMBIOS structures of a machine that no firmware starts. */
#include <string.h>

#include "base/platform.h"
#include "vmm/smbios.h"

#define TYPE_BIOS	 0u
#define TYPE_SYSTEM	 1u
#define TYPE_CHASSIS	 3u
#define TYPE_END	 127u
#define CHASSIS_DESKTOP	 3u
#define UNKNOWN		 2u
#define WAKE_UP_SWITCH	 6u
#define BIOS_IS_VIRTUAL	 (1u << 4) /* extension byte 2 */
#define NO_FEATURES	 (1u << 3)
#define STRUCTURES_AFTER 32u /* bytes from the entry point on */

static const char maker[] = "Microsoft Corporation", product[] = "Virtual Machine";

struct entry_point {
	char anchor[5];
	uint8_t checksum, len, major, minor, docrev, revision, reserved;
	uint32_t structures_len;
	uint64_t structures_gpa;
} VMB_PACKED;
VMB_ASSERT_LEN(struct entry_point, 24);

struct header {
	uint8_t type, len;
	uint16_t handle;
} VMB_PACKED;

struct bios {
	struct header header;
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t date, rom_size;
	uint64_t features;
	uint8_t more_features[2], major, minor, controller_major, controller_minor;
} VMB_PACKED;
VMB_ASSERT_LEN(struct bios, 24);

struct system {
	struct header header;
	uint8_t maker, product, version, serial;
	uint8_t uuid[16];
	uint8_t wake_up, sku, family;
} VMB_PACKED;
VMB_ASSERT_LEN(struct system, 27);

struct chassis {
	struct header header;
	uint8_t maker, type, version, serial, asset_tag;
	uint8_t boot_state, power_state, thermal_state, security;
	uint32_t oem;
	uint8_t height, cords, element_count, element_len, sku;
} VMB_PACKED;
VMB_ASSERT_LEN(struct chassis, 22);

struct end {
	struct header header;
} VMB_PACKED;

/* Structures under construction. */
struct table {
	uint8_t bytes[VMB_VMM_SMBIOS_LEN_MAX - STRUCTURES_AFTER];
	uint32_t len;
	uint16_t handle;
	bool full;
};

static void put(struct table *t, const void *bytes, uint32_t len)
{
	t->full = t->full || len > sizeof(t->bytes) - t->len;
	if (t->full)
		return;
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}

/* A structure and its strings, which its fields count from 1; an empty set ends with two NULs. */
static void add(struct table *t, struct header *header, uint8_t type, uint32_t len,
		const char *const strings[])
{
	*header = (struct header){ .type = type, .len = len, .handle = t->handle++ };
	put(t, header, len);
	for (uint32_t i = 0; strings[i]; i++)
		put(t, strings[i], strlen(strings[i]) + 1);
	put(t, "\0", strings[0] ? 1 : 2);
}

static void add_bios(struct table *t)
{
	const char *const strings[] = { "OpenVMBus", "1.0", "01/01/2026", NULL };
	struct bios bios = { .vendor = 1, .version = 2, .date = 3, .features = NO_FEATURES };

	bios.more_features[1] = BIOS_IS_VIRTUAL;
	memset(&bios.major, 0xFF, 4); /* not given */
	add(t, &bios.header, TYPE_BIOS, sizeof(bios), strings);
}

static void add_system(struct table *t, const uint8_t uuid[16])
{
	const char *const strings[] = { maker, product, "OpenVMBus", NULL };
	struct system system = { .maker = 1, .product = 2, .version = 3, .family = 2 };

	memcpy(system.uuid, uuid, sizeof(system.uuid));
	system.wake_up = WAKE_UP_SWITCH;
	add(t, &system.header, TYPE_SYSTEM, sizeof(system), strings);
}

static void add_chassis(struct table *t, const char *asset_tag)
{
	const char *const strings[] = { maker, asset_tag, NULL };
	struct chassis chassis = { .maker = 1,
				   .type = CHASSIS_DESKTOP,
				   .asset_tag = asset_tag && *asset_tag ? 2 : 0,
				   .boot_state = UNKNOWN,
				   .power_state = UNKNOWN,
				   .thermal_state = UNKNOWN,
				   .security = UNKNOWN };

	add(t, &chassis.header, TYPE_CHASSIS, sizeof(chassis), strings);
}

static uint8_t checksum(const struct entry_point *e)
{
	const uint8_t *bytes = (const uint8_t *)e;
	uint8_t sum = 0;

	for (size_t i = 0; i < sizeof(*e); i++)
		sum += bytes[i];
	return -sum;
}

bool vmb_vmm_smbios_write(const struct vmb_dev_memory *m, const uint8_t uuid[16],
			  const char *asset_tag)
{
	struct entry_point entry = { .anchor = "_SM3_",
				     .len = sizeof(entry),
				     .major = 3,
				     .minor = 3,
				     .revision = 1,
				     .structures_gpa = VMB_VMM_SMBIOS_GPA + STRUCTURES_AFTER };
	struct table t = { .len = 0 };
	struct end end;

	add_bios(&t);
	add_system(&t, uuid);
	add_chassis(&t, asset_tag && *asset_tag ? asset_tag : NULL);
	add(&t, &end.header, TYPE_END, sizeof(end), (const char *const[]){ NULL });
	entry.structures_len = t.len;
	entry.checksum = checksum(&entry);
	return !t.full && vmb_dev_memory_write(m, entry.structures_gpa, t.bytes, t.len) &&
	       vmb_dev_memory_write(m, VMB_VMM_SMBIOS_GPA, &entry, sizeof(entry));
}
