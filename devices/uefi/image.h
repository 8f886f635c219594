/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds where Hyper-V's Generation 2 firmware begins. Source: docs/protocol/firmware.md, "Image and
 * entry".
 */
#ifndef DEVICES_UEFI_IMAGE_H
#define DEVICES_UEFI_IMAGE_H

#include <stddef.h>

#include "base/platform.h"

#define VMB_DEV_UEFI_IMAGE_GPA 0x100000u /* where the image goes */
#define VMB_DEV_UEFI_IMAGE_LEN 0x600000u /* bytes; all images have this length */
#define VMB_DEV_UEFI_SEC_AT    0x5E0000u /* its last volume, with the first code */

/*
 * image: VMB_DEV_UEFI_IMAGE_LEN bytes. Returns the offset in it of the first instruction, or 0 if
 * the bytes are not such an image.
 */
size_t vmb_dev_uefi_image_entry(const uint8_t *image);

#endif
