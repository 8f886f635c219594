// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks for the first instruction of an image of UEFI firmware: a firmware volume holds files, the
 * file of type SEC holds sections, and one of these is a program in PE format. Source: UEFI
 * Platform Initialization specification, volume 3, "Firmware Volume Format" and "Firmware File
 * Format".
 */
#include <string.h>

#include "devices/uefi/image.h"

#define VOLUME_SIGNATURE_AT  40u
#define VOLUME_HEADER_LEN_AT 48u
#define VOLUME_EXTENSION_AT  52u
#define EXTENSION_LEN_AT     16u
#define EXTENSION_MIN	     20u
#define FILE_TYPE_AT	     18u
#define FILE_SIZE_AT	     20u
#define FILE_HEADER_LEN	     24u
#define FILE_TYPE_SEC	     0x03u
#define SECTION_TYPE_AT	     3u
#define SECTION_HEADER_LEN   4u
#define SECTION_TYPE_PE32    0x10u
#define PE_HEADER_AT	     0x3Cu
#define PE_ENTRY_AT	     40u /* from the signature, in a PE32 and a PE32+ alike */

/* A part of the image; what lies outside of it reads as zero. */
struct part {
	const uint8_t *bytes;
	size_t len;
};

static uint32_t read(struct part p, size_t at, size_t width)
{
	uint32_t value = 0;

	if (at > p.len || p.len - at < width)
		return 0;
	memcpy(&value, p.bytes + at, width);
	return value;
}

/* Returns the part of p that has len bytes from at on; none: len is 0. */
static struct part within(struct part p, size_t at, size_t len)
{
	if (at > p.len || p.len - at < len)
		return (struct part){ .bytes = NULL };
	return (struct part){ .bytes = p.bytes + at, .len = len };
}

static size_t align(size_t value, size_t to)
{
	return (value + to - 1) / to * to;
}

/* Where the files of a volume begin. */
static size_t first_file(struct part volume)
{
	size_t extension = read(volume, VOLUME_EXTENSION_AT, 2);
	size_t len = read(volume, extension + EXTENSION_LEN_AT, 4);

	if (!extension)
		return read(volume, VOLUME_HEADER_LEN_AT, 2);
	return len < EXTENSION_MIN || len > volume.len ? volume.len : align(extension + len, 8);
}

/* The file of type SEC, without its header. */
static struct part find_sec(struct part volume)
{
	size_t at = first_file(volume), len;

	for (; at && at < volume.len; at = align(at + len, 8)) {
		len = read(volume, at + FILE_SIZE_AT, 3);
		if (len <= FILE_HEADER_LEN || len == 0xFFFFFF)
			break;
		if (read(volume, at + FILE_TYPE_AT, 1) == FILE_TYPE_SEC)
			return within(volume, at + FILE_HEADER_LEN, len - FILE_HEADER_LEN);
	}
	return (struct part){ .bytes = NULL };
}

static struct part find_program(struct part file)
{
	size_t len;

	for (size_t at = 0; at < file.len; at = align(at + len, 4)) {
		len = read(file, at, 3);
		if (len <= SECTION_HEADER_LEN || len == 0xFFFFFF)
			break;
		if (read(file, at + SECTION_TYPE_AT, 1) == SECTION_TYPE_PE32)
			return within(file, at + SECTION_HEADER_LEN, len - SECTION_HEADER_LEN);
	}
	return (struct part){ .bytes = NULL };
}

size_t vmb_dev_uefi_image_entry(const uint8_t *image)
{
	struct part volume = { .bytes = image + VMB_DEV_UEFI_SEC_AT,
			       .len = VMB_DEV_UEFI_IMAGE_LEN - VMB_DEV_UEFI_SEC_AT };
	struct part program;
	size_t header, entry;

	if (memcmp(volume.bytes + VOLUME_SIGNATURE_AT, "_FVH", 4) != 0)
		return 0;
	program = find_program(find_sec(volume));
	header = read(program, PE_HEADER_AT, 4);
	if (read(program, 0, 2) != 0x5A4D || read(program, header, 4) != 0x4550)
		return 0;
	entry = read(program, header + PE_ENTRY_AT, 4);
	return entry && entry < program.len ? program.bytes - image + entry : 0;
}
