// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The four functions that the core calls (base/platform.h), on those that EDK2 has. */
#include <Base.h>

#include <Library/BaseMemoryLib.h>

#include "base/platform.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	return CopyMem(dst, src, len);
}

void *memmove(void *dst, const void *src, size_t len)
{
	return CopyMem(dst, src, len);
}

void *memset(void *dst, int byte, size_t len)
{
	return SetMem(dst, len, (UINT8)byte);
}

int memcmp(const void *a, const void *b, size_t len)
{
	return (int)CompareMem(a, b, len);
}
