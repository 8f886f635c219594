/* SPDX-License-Identifier: GPL-2.0-only */
/* Which classes of device a driver takes. For vmbus.ko alone. */
#ifndef PORTS_LINUX_VMBUS_IDS_H
#define PORTS_LINUX_VMBUS_IDS_H

#include "ports/linux/vmbus.h"

/* The attributes new_id and remove_id of a driver. */
extern const struct attribute_group *vmbus_driver_groups[];

/*
 * Returns whether the driver takes devices of this class. found: its id; driver_data is 0 if the
 * user added it. Process context.
 */
bool vmbus_ids_find(struct vmb_driver *driver, const struct vmb_guid *type,
		    struct hv_vmbus_device_id *found);

/* What the user added is freed; the driver is unregistered. */
void vmbus_ids_free(struct vmb_driver *driver);

#endif
