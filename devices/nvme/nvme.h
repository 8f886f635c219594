/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An NVMe disk that the guest finds by PCI pass-through: a device of devices/device.h, with a
 * VMBus channel for the bus (host/pci.h), a PCI function on it (host/pci_function.h), and behind
 * that an NVM Express controller with one namespace, over any disk backend (devices/disk/disk.h).
 *
 *   vmb_dev_nvme_open(&device, &config), then the device's own functions
 *
 * Registers, doorbells and the configuration space are addresses that the machine hands to the bus
 * (vmb_dev_bus_access()), on the thread of the processor that touched them. Such an access takes
 * the device's lock, changes state, wakes the worker and never waits for a disk. Commands are
 * fetched, carried out and completed by the worker, which takes the same lock for each round.
 *
 * What the guest's memory says is copied once and judged in the copy. The number of commands under
 * way is bounded, and one is fetched only if its completion has room. A controller that is reset,
 * or a channel that closes, waits until the backend has let go of what it has; nothing of that is
 * completed.
 */
#ifndef DEVICES_NVME_NVME_H
#define DEVICES_NVME_NVME_H

#include "devices/device.h"
#include "devices/disk/disk.h"

#define VMB_DEV_NVME_MAX 8u /* of a machine */

struct vmb_dev_nvme_config {
	uint32_t number; /* of the machine's NVMe disks, from 0 */
	const struct vmb_dev_disk_option *disk; /* outlives the device */
};

extern const struct vmb_dev_device_ops vmb_dev_nvme_ops;

/* Opens the device and its disk. Returns 0, or -errno: reported, with nothing left behind. */
int vmb_dev_nvme_open(struct vmb_dev_device *device, const struct vmb_dev_nvme_config *config);

#endif
