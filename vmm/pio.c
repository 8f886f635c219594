// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hands each access to an I/O port to the device that owns the port. */
#include <string.h>

#include "devices/uefi/device.h"
#include "vmm/machine.h"
#include "vmm/pio.h"
#include "vmm/power.h"
#include "vmm/rtc.h"
#include "vmm/serial.h"

static const struct device {
	uint16_t port;
	uint16_t count;
	uint8_t (*read)(struct vmb_vmm_machine *machine, uint16_t offset);
	void (*write)(struct vmb_vmm_machine *machine, uint16_t offset, uint8_t value);
} devices[] = {
	{ VMB_VMM_SERIAL_PORT, VMB_VMM_SERIAL_PORT_COUNT, vmb_vmm_serial_read,
	  vmb_vmm_serial_write },
	{ VMB_VMM_RTC_PORT, VMB_VMM_RTC_PORT_COUNT, vmb_vmm_rtc_read, vmb_vmm_rtc_write },
	{ VMB_VMM_POWER_PORT, VMB_VMM_POWER_PORT_COUNT, vmb_vmm_power_read, vmb_vmm_power_write },
	{ VMB_VMM_POWER_PM_PORT, VMB_VMM_POWER_PM_PORT_COUNT, vmb_vmm_power_pm_read,
	  vmb_vmm_power_pm_write },
	{ VMB_VMM_POWER_KEYBOARD_PORT, 1, vmb_vmm_power_keyboard_read,
	  vmb_vmm_power_keyboard_write },
};

static const struct device *find(uint16_t port)
{
	for (size_t i = 0; i < VMB_ARRAY_COUNT(devices); i++)
		if (port >= devices[i].port && port - devices[i].port < devices[i].count)
			return &devices[i];
	return NULL;
}

/*
 * What has a meaning only as a whole: the ports of the firmware's device and the timer. Returns
 * whether it was such an access.
 */
static bool access_word(struct vmb_vmm_machine *machine, uint16_t port, uint8_t *data, bool write)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	if (port == VMB_VMM_POWER_PM_TIMER_PORT && !write)
		value = vmb_vmm_power_pm_timer();
	else if (port != VMB_DEV_UEFI_PORT && port != VMB_DEV_UEFI_PORT_DATA)
		return false;
	else if (write)
		vmb_dev_uefi_write(machine->uefi, port == VMB_DEV_UEFI_PORT_DATA, value);
	else
		value = vmb_dev_uefi_read(machine->uefi, port == VMB_DEV_UEFI_PORT_DATA);
	memcpy(data, &value, sizeof(value));
	return true;
}

void vmb_vmm_pio_access(struct vmb_vmm_machine *machine, uint16_t port, uint8_t *data,
			uint32_t size, bool write)
{
	if (machine->uefi && size == sizeof(uint32_t) && access_word(machine, port, data, write))
		return;
	for (uint32_t i = 0; i < size; i++) {
		uint16_t at = port + i;
		const struct device *device = find(at);

		if (!device && !write)
			data[i] = 0xFF;
		else if (device && write)
			device->write(machine, at - device->port, data[i]);
		else if (device)
			data[i] = device->read(machine, at - device->port);
	}
}
