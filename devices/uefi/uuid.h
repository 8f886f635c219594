/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UUIDs as text, and as Microsoft's structures and SMBIOS have them: the first three fields are
 * little-endian.
 */
#ifndef DEVICES_UEFI_UUID_H
#define DEVICES_UEFI_UUID_H

#include "base/platform.h"

#define VMB_DEV_UEFI_UUID_TEXT_LEN 37u /* with its NUL */

/* Returns whether text is a UUID, in digits of either case. */
bool vmb_dev_uefi_uuid_parse(const char *text, uint8_t *uuid);
void vmb_dev_uefi_uuid_print(const uint8_t *uuid, char *text);

#endif
