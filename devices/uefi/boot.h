/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which device the firmware tries first: a boot entry that it has not to find out by itself.
 *
 * Sources: UEFI specification, "Load Options", "Device Path Protocol" and "Globally Defined
 * Variables"; docs/protocol/firmware.md, "Boot entries".
 */
#ifndef DEVICES_UEFI_BOOT_H
#define DEVICES_UEFI_BOOT_H

#include "devices/uefi/vars.h"
#include "wire/guid.h"

enum vmb_dev_uefi_boot_kind {
	VMB_DEV_UEFI_BOOT_ANY, /* the firmware's own order */
	VMB_DEV_UEFI_BOOT_SCSI, /* a disk or a DVD */
	VMB_DEV_UEFI_BOOT_NETWORK, /* PXE or HTTP over IPv4 */
};

#define VMB_DEV_UEFI_BOOT_URI_MAX 255u /* characters */

struct vmb_dev_uefi_boot {
	enum vmb_dev_uefi_boot_kind kind;
	struct vmb_guid type_id, instance_id; /* of the device's offer */
	uint16_t lun; /* SCSI */
	const char *uri; /* network: HTTP from there; "": from where DHCP says; NULL: PXE */
};

/*
 * To be called when a machine starts, after vmb_dev_uefi_vars_restart(). The entry and the order to
 * try it next do not outlive this start, so the guest's own entries and their order stay as they
 * are; where the guest itself has ordered what is tried next, this does nothing.
 */
void vmb_dev_uefi_boot_next(struct vmb_dev_uefi_vars *v, const struct vmb_dev_uefi_boot *b);

#endif
