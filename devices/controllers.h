/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The storage channels of a machine: one SCSI controller, always there, and one for each IDE unit.
 *
 *   vmb_dev_controllers_open(&controllers, &options)   the disks; reported when one is no good
 *   vmb_dev_controllers_prepare(&controllers)          they will be used
 *   for every start of the machine: vmb_dev_controllers_attach(&controllers, bus), after the bus was created
 *   vmb_dev_controllers_close(&controllers)
 */
#ifndef DEVICES_CONTROLLERS_H
#define DEVICES_CONTROLLERS_H

#include "devices/storage.h"

struct vmb_dev_controllers {
	struct vmb_dev_storage all[1 + VMB_DEV_IDE_MAX]; /* SCSI, then the IDE units by place */
	uint32_t count;
};

/* -errno: reported. */
int vmb_dev_controllers_open(struct vmb_dev_controllers *c, const struct vmb_vmm_options *o);
int vmb_dev_controllers_prepare(struct vmb_dev_controllers *c);
int vmb_dev_controllers_attach(struct vmb_dev_controllers *c, struct vmb_dev_bus *bus);
void vmb_dev_controllers_close(struct vmb_dev_controllers *c);

/* Of the first that a guest used; 0: none. */
uint16_t vmb_dev_controllers_version(const struct vmb_dev_controllers *c);
/* A line of statistics for each. */
void vmb_dev_controllers_report(const struct vmb_dev_controllers *c);

#endif
