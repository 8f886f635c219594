// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the configuration blob of a Generation 2 firmware, record by record. */
#include <string.h>

#include "devices/uefi/blob.h"
#include "devices/uefi/image.h"

enum record {
	COUNT = 0x00,
	BIOS_INFORMATION = 0x01,
	SRAT = 0x02,
	MEMORY_MAP = 0x03,
	ENTROPY = 0x04,
	BIOS_GUID = 0x05,
	SYSTEM_SERIAL = 0x06,
	BASE_SERIAL = 0x07,
	CHASSIS_SERIAL = 0x08,
	CHASSIS_ASSET_TAG = 0x09,
	FLAGS = 0x12,
	PROCESSORS = 0x13,
	MMIO_RANGES = 0x14,
	MADT = 0x18,
	SYSTEM_MANUFACTURER = 0x1A,
	SYSTEM_PRODUCT = 0x1B,
	SYSTEM_VERSION = 0x1C,
	SYSTEM_SKU = 0x1D,
	SYSTEM_FAMILY = 0x1E,
};

/* Bits of the flags record. */
#define FLAG_SERIAL	    (1ull << 0)
#define FLAG_CONSOLE_COM1   (1ull << 7)
#define FLAG_NO_FRONT_PAGE  (1ull << 14)
#define FLAG_ALWAYS_DEFAULT (1ull << 15)
#define FLAG_MEDIA_PRESENT  (1ull << 20)
#define FLAG_MTRRS_DONE	    (1ull << 28)

#define STRING_MAX	    64u
#define PAGE_SHIFT	    12

struct blob {
	uint8_t *out;
	size_t room, len;
	uint32_t count;
	bool overflow;
};

/* One record: its header, the bytes, and zeroes up to a multiple of 8. */
static void add(struct blob *b, enum record type, const void *bytes, size_t len)
{
	uint32_t header[2] = { type, (sizeof(header) + len + 7) / 8 * 8 };

	b->overflow |= header[1] > b->room - b->len;
	if (b->overflow)
		return;
	memset(b->out + b->len, 0, header[1]);
	memcpy(b->out + b->len, header, sizeof(header));
	memcpy(b->out + b->len + sizeof(header), bytes, len);
	b->len += header[1];
	b->count++;
}

static void add_string(struct blob *b, enum record type, const char *text)
{
	char bytes[STRING_MAX] = { 0 };

	if (!text)
		return;
	strncpy(bytes, text, sizeof(bytes) - 1);
	add(b, type, bytes, strlen(bytes) + 1);
}

struct range {
	uint64_t gpa, len;
	uint32_t flags, reserved;
};

static void add_memory(struct blob *b, const struct vmb_dev_uefi_machine *m)
{
	const struct range ranges[] = { { .gpa = 0, .len = m->low_len },
					{ .gpa = m->high_gpa, .len = m->high_len } };
	const uint64_t mmio[] = { m->mmio_low_gpa >> PAGE_SHIFT, m->mmio_low_len >> PAGE_SHIFT,
				  m->mmio_high_gpa >> PAGE_SHIFT, m->mmio_high_len >> PAGE_SHIFT };

	add(b, MEMORY_MAP, ranges, m->high_len ? sizeof(ranges) : sizeof(ranges[0]));
	add(b, MMIO_RANGES, mmio, sizeof(mmio));
}

/* The names are those that Hyper-V's machines have, because guests look for them. */
static void add_names(struct blob *b, const struct vmb_dev_uefi_machine *m)
{
	add(b, BIOS_GUID, m->uuid, sizeof(m->uuid));
	add_string(b, SYSTEM_MANUFACTURER, "Microsoft Corporation");
	add_string(b, SYSTEM_PRODUCT, "Virtual Machine");
	add_string(b, SYSTEM_VERSION, "Hyper-V UEFI Release v4.1");
	add_string(b, SYSTEM_SKU, "None");
	add_string(b, SYSTEM_FAMILY, "Virtual Machine");
	add_string(b, SYSTEM_SERIAL, m->serial);
	add_string(b, BASE_SERIAL, m->serial);
	add_string(b, CHASSIS_SERIAL, m->serial);
	add_string(b, CHASSIS_ASSET_TAG, m->asset_tag);
}

static void add_processors(struct blob *b, const struct vmb_dev_uefi_machine *m)
{
	const uint32_t counts[] = { m->vp_count, m->vp_count, m->vp_count, 1 };

	add(b, PROCESSORS, counts, sizeof(counts));
	add(b, MADT, m->madt, m->madt_len);
	add(b, SRAT, m->srat, m->srat_len);
}

/* The first record counts all of them, so it is written last. */
size_t vmb_dev_uefi_blob(const struct vmb_dev_uefi_machine *m, uint8_t *out, size_t room)
{
	const uint32_t bios[] = { VMB_DEV_UEFI_IMAGE_LEN >> PAGE_SHIFT, 0 };
	struct blob b = { .out = out, .room = room };
	uint64_t flags = FLAG_SERIAL | FLAG_CONSOLE_COM1 | FLAG_NO_FRONT_PAGE |
			 FLAG_ALWAYS_DEFAULT | FLAG_MTRRS_DONE;
	uint32_t totals[2] = { 0 };

	flags |= m->network_boot ? FLAG_MEDIA_PRESENT : 0;
	add(&b, COUNT, totals, sizeof(totals));
	add(&b, BIOS_INFORMATION, bios, sizeof(bios));
	add_memory(&b, m);
	add(&b, ENTROPY, m->entropy, sizeof(m->entropy));
	add_names(&b, m);
	add(&b, FLAGS, &flags, sizeof(flags));
	add_processors(&b, m);
	if (b.overflow)
		return 0;
	totals[0] = b.count;
	totals[1] = b.len;
	memcpy(out + sizeof(totals), totals, sizeof(totals));
	return b.len;
}
