/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A machine that is started by firmware (--firmware): the image, and what stays of it over a reset.
 *
 *   vmb_vmm_boot_uefi_open(&u, &options)        the files; nothing is written
 *   for every start of the machine:
 *     vmb_vmm_boot_uefi_load(&u, &memory, ...)  image, blob and page tables
 *   vmb_vmm_boot_uefi_close(&u)
 *
 * Source: docs/protocol/firmware.md, "Image and entry".
 */
#ifndef VMM_BOOT_UEFI_H
#define VMM_BOOT_UEFI_H

#include "devices/uefi/device.h"

struct vmb_vmm_boot_state;
struct vmb_vmm_options;

struct vmb_vmm_boot_uefi {
	const struct vmb_vmm_options *options; /* NULL: not open */
	int image; /* descriptor */
	size_t entry; /* offset of the first instruction in the image */
	bool network; /* it may be started over the network */
	uint8_t uuid[16]; /* of the machine */
	struct vmb_dev_uefi device;
};

/* o must outlive u. Returns 0, or -EINVAL: reported in one line, and closed. */
int vmb_vmm_boot_uefi_open(struct vmb_vmm_boot_uefi *u, const struct vmb_vmm_options *o);
void vmb_vmm_boot_uefi_close(struct vmb_vmm_boot_uefi *u);

/* The first processor begins in state. Returns 0, or -errno: reported. */
int vmb_vmm_boot_uefi_load(struct vmb_vmm_boot_uefi *u, const struct vmb_dev_memory *m,
			   uint32_t vp_count, struct vmb_vmm_boot_state *state);

#endif
