// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finds records of the configuration blob, whose lengths are checked before they are believed. */
#include <Base.h>

#include "ports/uefi/lib/blob.h"
#include "ports/uefi/lib/layout.h"

#define BLOB_COUNT 0u

const struct vmb_uefi_record *vmb_uefi_blob_next(UINT32 type, const struct vmb_uefi_record *after)
{
	const UINT32 *blob = (const UINT32 *)(UINTN)VMB_UEFI_BLOB_GPA; /* record 0: count, bytes */
	const struct vmb_uefi_record *record = (const struct vmb_uefi_record *)blob;
	UINT32 count = blob[2], len = blob[3], at = 0;

	if (record->type != BLOB_COUNT || len > VMB_UEFI_BLOB_MAX)
		return NULL;
	for (; count && at + sizeof(*record) <= len; count--, at += record->len) {
		record = (const struct vmb_uefi_record *)(UINTN)(VMB_UEFI_BLOB_GPA + at);
		if (record->len < sizeof(*record) || record->len > len - at)
			return NULL;
		if (record->type == type && record > after)
			return record;
	}
	return NULL;
}
