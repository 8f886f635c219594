/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Devices that are taken from a running guest and given back, and cards that are added and removed.
 * A device is known by its place in the machine's list.
 *
 *   vmb_vmm_hotplug_rescind(devices, i)
 *   vmb_vmm_hotplug_settle(devices, i) until it no longer returns -EAGAIN: the guest has let go
 *   vmb_vmm_hotplug_offer(devices, i, bus)   it is back; not if it was removed
 *
 * A guest need not let go of a device ever; then it comes back with the next start of the machine.
 *
 * Context: the control's thread, while a machine is attached to it.
 */
#ifndef VMM_HOTPLUG_H
#define VMM_HOTPLUG_H

#include "vmm/devices.h"

/* Returns the place of the device with this name, or -ENOENT. */
int vmb_vmm_hotplug_find(const struct vmb_vmm_devices *d, const char *name);

/*
 * Takes a device from the guest. removed: for good. Returns 0; -EOPNOTSUPP: devices of this kind
 * stay; -EALREADY: it is not in.
 */
int vmb_vmm_hotplug_rescind(struct vmb_vmm_devices *d, uint32_t i, bool removed);
/*
 * Returns 0: the device is out; if it was removed it is closed, and the places of those behind it
 * have moved. -EAGAIN: the guest has not let go of it.
 */
int vmb_vmm_hotplug_settle(struct vmb_vmm_devices *d, uint32_t i);
/* Offers a device that is out again. Returns 0; -EBUSY: it is not out; or -errno: reported. */
int vmb_vmm_hotplug_offer(struct vmb_vmm_devices *d, uint32_t i, struct vmb_dev_bus *bus);

/* Returns the number of a card that a machine can still have, or -EBUSY. */
int vmb_vmm_hotplug_free_card_number(const struct vmb_vmm_devices *d);
/* Returns 0 if the machine can have this card too, or -errno: reported. */
int vmb_vmm_hotplug_check_card(const struct vmb_vmm_devices *d,
			       const struct vmb_dev_net_option *option);
/*
 * Opens and prepares a card, which is nobody's yet: touches no machine, and may take its time.
 * option must outlive it. Returns 0, or -errno: reported.
 */
int vmb_vmm_hotplug_open_card(struct vmb_dev_device *card, const struct vmb_dev_net_option *option,
			      uint32_t number);
/*
 * Offers a card that was checked and opened. It and its option, with option->text from malloc(),
 * are the list's from then on, also when this fails. Returns 0, or -errno: reported.
 */
int vmb_vmm_hotplug_add_card(struct vmb_vmm_devices *d, struct vmb_dev_bus *bus,
			     const struct vmb_dev_device *card, struct vmb_dev_net_option *option);

/* For vmm/devices.c. */
void vmb_vmm_hotplug_close(struct vmb_vmm_devices *d, uint32_t i);
void vmb_vmm_hotplug_free_card(struct vmb_dev_net_option *option);

#endif
