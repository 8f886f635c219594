/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text as the integration services carry it, UTF-16LE with a NUL, to and from UTF-8. What a peer
 * sent need not be text at all: each unit that makes no sense becomes U+FFFD, and nothing is read
 * behind the length that is given.
 */
#ifndef BASE_UTF16_H
#define BASE_UTF16_H

#include "base/platform.h"

#define VMB_UTF16_REPLACEMENT 0xFFFDu

/*
 * Takes the next character of UTF-8 at *at, which ends with a NUL, and moves on. Returns 0 at the
 * end. Nonsense costs one byte each.
 */
static inline uint32_t vmb_utf8_next(const char **at)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)*at;
	uint32_t more = p[0] >= 0xF0 ? 3 : p[0] >= 0xE0 ? 2 : p[0] >= 0xC0 ? 1 : 0;
	uint32_t c = more ? p[0] & (0x3Fu >> more) : p[0];
	uint32_t i;

	for (i = 1; i <= more && (p[i] & 0xC0) == 0x80; i++)
		c = c << 6 | (p[i] & 0x3F);
	if (i <= more || c < least[more] || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF ||
	    (p[0] >= 0x80 && !more)) {
		*at += 1;
		return VMB_UTF16_REPLACEMENT;
	}
	*at += c ? more + 1 : 0;
	return c;
}

/*
 * Writes text and its NUL to dst, which has room for count units. Returns the bytes written, NUL
 * included; 0: it does not fit, and dst is not text.
 */
static inline uint32_t vmb_utf16_from_utf8(uint8_t *dst, uint32_t count, const char *text)
{
	uint32_t at = 0, c;

	do {
		uint16_t units[2];
		uint32_t n = 1;

		c = vmb_utf8_next(&text);
		units[0] = (uint16_t)c;
		if (c >= 0x10000) {
			units[0] = (uint16_t)(0xD800 + ((c - 0x10000) >> 10));
			units[1] = (uint16_t)(0xDC00 + ((c - 0x10000) & 0x3FF));
			n = 2;
		}
		if (n > count - at)
			return 0;
		memcpy(dst + 2 * at, units, 2 * n);
		at += n;
	} while (c);
	return 2 * at;
}

/* Writes the character c at dst, which has room for 4 bytes. Returns how many it takes. */
static inline uint32_t vmb_utf8_put(char *dst, uint32_t c)
{
	static const uint8_t lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
	uint32_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (uint32_t i = len - 1; i; i--, c >>= 6)
		dst[i] = (char)(0x80 | (c & 0x3F));
	dst[0] = (char)(lead[len] | c);
	return len;
}

/*
 * Writes the text of src, len bytes, up to its NUL or its end, to dst, which has room for room > 4
 * bytes, and a NUL. What does not fit is left out. Returns the length without the NUL.
 */
static inline uint32_t vmb_utf16_to_utf8(char *dst, uint32_t room, const uint8_t *src, uint32_t len)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i + 2 <= len && at + 5 <= room; i += 2) {
		uint16_t unit, low = 0;
		uint32_t c;

		memcpy(&unit, src + i, 2);
		if (!unit)
			break;
		if (i + 4 <= len)
			memcpy(&low, src + i + 2, 2);
		c = unit;
		if (unit >= 0xD800 && unit < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
			c = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (low - 0xDC00);
			i += 2;
		} else if (unit >= 0xD800 && unit < 0xE000) {
			c = VMB_UTF16_REPLACEMENT;
		}
		at += vmb_utf8_put(dst + at, c);
	}
	dst[at] = 0;
	return at;
}

#endif
