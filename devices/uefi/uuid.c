// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Converts UUIDs between text and the bytes that Microsoft's structures have. */
#include <string.h>

#include "devices/uefi/uuid.h"

/* The order in which the bytes are written. */
static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
static const char digits[] = "0123456789abcdef";

static bool is_dash(uint32_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

static int digit(char c)
{
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool vmb_dev_uefi_uuid_parse(const char *text, uint8_t *uuid)
{
	uint32_t nibbles = 0;

	if (strlen(text) != VMB_DEV_UEFI_UUID_TEXT_LEN - 1)
		return false;
	for (uint32_t i = 0; text[i]; i++) {
		int value = digit(text[i]);

		if (is_dash(i) ? text[i] != '-' : value < 0)
			return false;
		if (is_dash(i))
			continue;
		if (nibbles % 2)
			uuid[order[nibbles / 2]] |= value;
		else
			uuid[order[nibbles / 2]] = value << 4;
		nibbles++;
	}
	return true;
}

void vmb_dev_uefi_uuid_print(const uint8_t *uuid, char *text)
{
	uint32_t nibbles = 0;

	for (uint32_t i = 0; i < VMB_DEV_UEFI_UUID_TEXT_LEN - 1; i++) {
		uint8_t byte = uuid[order[nibbles / 2]];

		if (is_dash(i))
			text[i] = '-';
		else
			text[i] = digits[nibbles++ % 2 ? byte & 15 : byte >> 4];
	}
	text[VMB_DEV_UEFI_UUID_TEXT_LEN - 1] = 0;
}
