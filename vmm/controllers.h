/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The storage channels of a machine: one SCSI controller, always there, and one for each IDE unit.
 *
 *   vmb_vmm_controllers_open(&controllers, &options)   the disks; reported when one is no good
 *   vmb_vmm_controllers_prepare(&controllers)          they will be used
 *   for every start of the machine: vmb_vmm_controllers_attach(&controllers, bus), after the bus was created
 *   vmb_vmm_controllers_close(&controllers)
 */
#ifndef VMM_CONTROLLERS_H
#define VMM_CONTROLLERS_H

#include "vmm/storage.h"

struct vmb_vmm_controllers {
	struct vmb_vmm_storage all[1 + VMB_VMM_IDE_MAX]; /* SCSI, then the IDE units by place */
	uint32_t count;
};

/* -errno: reported. */
int vmb_vmm_controllers_open(struct vmb_vmm_controllers *c, const struct vmb_vmm_options *o);
int vmb_vmm_controllers_prepare(struct vmb_vmm_controllers *c);
int vmb_vmm_controllers_attach(struct vmb_vmm_controllers *c, struct vmb_vmm_vmbus *bus);
void vmb_vmm_controllers_close(struct vmb_vmm_controllers *c);

/* Of the first that a guest used; 0: none. */
uint16_t vmb_vmm_controllers_version(const struct vmb_vmm_controllers *c);
/* A line of statistics for each. */
void vmb_vmm_controllers_report(const struct vmb_vmm_controllers *c);

#endif
