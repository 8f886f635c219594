// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Takes devices from a running guest, gives them back, and adds and removes cards. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/network.h"
#include "devices/report.h"
#include "vmm/hotplug.h"

int vmb_vmm_hotplug_find(const struct vmb_vmm_devices *d, const char *name)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (d->all[i].ops->name && strcmp(d->all[i].ops->name(d->all[i].state), name) == 0)
			return i;
	return -ENOENT;
}

int vmb_vmm_hotplug_rescind(struct vmb_vmm_devices *d, uint32_t i, bool removed)
{
	const struct vmb_dev_device *device = &d->all[i];

	if (!device->ops->channel || !device->ops->released)
		return -EOPNOTSUPP;
	d->lives[i].removed |= removed;
	if (d->lives[i].place != VMB_VMM_DEVICE_IN)
		return removed ? 0 : -EALREADY;
	d->lives[i].place = VMB_VMM_DEVICE_LEAVING;
	if (device->ops->part)
		device->ops->part(device->state);
	else
		vmb_dev_bus_rescind(device->ops->channel(device->state));
	return 0;
}

void vmb_vmm_hotplug_free_card(struct vmb_dev_net_option *option)
{
	if (!option)
		return;
	free((char *)option->text);
	free(option);
}

void vmb_vmm_hotplug_close(struct vmb_vmm_devices *d, uint32_t i)
{
	struct vmb_dev_net_option *own = d->lives[i].own;

	d->all[i].ops->close(d->all[i].state);
	d->count--;
	memmove(&d->all[i], &d->all[i + 1], (d->count - i) * sizeof(d->all[0]));
	memmove(&d->lives[i], &d->lives[i + 1], (d->count - i) * sizeof(d->lives[0]));
	vmb_vmm_hotplug_free_card(own);
}

int vmb_vmm_hotplug_settle(struct vmb_vmm_devices *d, uint32_t i)
{
	const struct vmb_dev_device *device = &d->all[i];

	if (d->lives[i].place == VMB_VMM_DEVICE_LEAVING) {
		if (!device->ops->released(device->state))
			return -EAGAIN;
		device->ops->detach(device->state);
		d->lives[i].place = VMB_VMM_DEVICE_OUT;
	}
	if (d->lives[i].removed)
		vmb_vmm_hotplug_close(d, i);
	return 0;
}

int vmb_vmm_hotplug_offer(struct vmb_vmm_devices *d, uint32_t i, struct vmb_dev_bus *bus)
{
	int error;

	if (d->lives[i].place == VMB_VMM_DEVICE_LEAVING)
		vmb_vmm_hotplug_settle(d, i);
	if (d->lives[i].place != VMB_VMM_DEVICE_OUT)
		return -EBUSY;
	error = d->all[i].ops->attach(d->all[i].state, bus);
	if (error)
		d->all[i].ops->detach(d->all[i].state);
	else
		d->lives[i].place = VMB_VMM_DEVICE_IN;
	return error;
}

static const struct vmb_dev_network *card_of(const struct vmb_dev_device *device)
{
	return device->ops == &vmb_dev_network_ops ? device->state : NULL;
}

int vmb_vmm_hotplug_free_card_number(const struct vmb_vmm_devices *d)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < d->count; i++)
		if (card_of(&d->all[i]))
			taken |= 1u << card_of(&d->all[i])->number;
	for (uint32_t number = 0; number < VMB_DEV_NET_MAX; number++)
		if (!(taken >> number & 1))
			return number;
	return -EBUSY;
}

static bool has_mac(const struct vmb_dev_network *card, const uint8_t *mac)
{
	return card && memcmp(card->host.rndis.config.mac, mac, 6) == 0;
}

int vmb_vmm_hotplug_check_card(const struct vmb_vmm_devices *d,
			       const struct vmb_dev_net_option *option)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (has_mac(card_of(&d->all[i]), option->mac)) {
			vmb_dev_report("another card has this address; give another mac=");
			return -EEXIST;
		}
	if (d->count < VMB_VMM_DEVICE_MAX)
		return 0;
	vmb_dev_report("the machine has as many devices as it can have");
	return -ENOSPC;
}

int vmb_vmm_hotplug_open_card(struct vmb_dev_device *card, const struct vmb_dev_net_option *option,
			      uint32_t number)
{
	int error = vmb_dev_network_open(card, option, number);

	if (error)
		return error;
	error = card->ops->prepare(card->state);
	if (error)
		card->ops->close(card->state);
	return error;
}

int vmb_vmm_hotplug_add_card(struct vmb_vmm_devices *d, struct vmb_dev_bus *bus,
			     const struct vmb_dev_device *card, struct vmb_dev_net_option *option)
{
	int error;

	d->all[d->count] = *card;
	d->lives[d->count] = (struct vmb_vmm_device_life){ .own = option };
	d->count++;
	error = card->ops->attach(card->state, bus);
	if (error)
		vmb_vmm_hotplug_close(d, d->count - 1);
	return error;
}
