// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Parses numbers and sizes, so that all options accept the same spelling. */
#include <string.h>

#include "devices/text.h"

bool vmb_dev_text_number(const char *text, uint64_t max, uint64_t *value, const char **rest)
{
	uint64_t digit;

	*value = 0;
	if (*text < '0' || *text > '9')
		return false;
	while (*text >= '0' && *text <= '9') {
		digit = (uint64_t)(*text++ - '0');
		if (digit > max || *value > (max - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	*rest = text;
	return true;
}

bool vmb_dev_text_size(const char *text, uint64_t *len)
{
	static const char units[] = "KMGT";
	const char *rest, *unit;
	int shift = 0;

	if (!vmb_dev_text_number(text, UINT64_MAX, len, &rest))
		return false;
	if (*rest) {
		unit = memchr(units, *rest & ~0x20, sizeof(units) - 1); /* never its NUL */
		if (!unit || rest[1])
			return false;
		shift = 10 * (int)(unit - units + 1);
	}
	if (*len > UINT64_MAX >> shift)
		return false;
	*len <<= shift;
	return true;
}
