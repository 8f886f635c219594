// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bus driver: connects when it is loaded, and puts a handle with a device path and the channel
 * protocol on each device. The paths are those of Hyper-V's own firmware, so that boot entries mean
 * the same device in both. Source: docs/protocol/firmware.md, "Boot entries".
 */
#include <Uefi.h>

#include <Library/BaseMemoryLib.h>
#include <Library/DebugLib.h>
#include <Library/DevicePathLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Protocol/DevicePath.h>

#include "ports/uefi/vmbus/bus.h"
#include "ports/uefi/vmbus/hyperv.h"

#define BUS_NAME "VMBus"
#define CHANNEL_PATH_GUID                                              \
	{                                                              \
		0x9b17e5a2, 0x0891, 0x42dd,                            \
		{                                                      \
			0xb6, 0x53, 0x80, 0xb5, 0xc2, 0x28, 0x09, 0xba \
		}                                                      \
	}

#define NODE_LEN(type)                                          \
	{                                                       \
		(UINT8)sizeof(type), (UINT8)(sizeof(type) >> 8) \
	}

#pragma pack(1)
struct bus_node {
	EFI_DEVICE_PATH_PROTOCOL header;
	UINT32 ids[3];
	CHAR8 name[sizeof(BUS_NAME)], no_uid, no_cid;
};

struct channel_node {
	EFI_DEVICE_PATH_PROTOCOL header;
	EFI_GUID guid;
	struct vmb_guid type_id, instance_id;
};

struct path {
	struct bus_node bus;
	struct channel_node channel;
	EFI_DEVICE_PATH_PROTOCOL end;
};
#pragma pack()

static const struct path template = {
	.bus = { .header = { ACPI_DEVICE_PATH, ACPI_EXTENDED_DP, NODE_LEN(struct bus_node) },
		 .name = BUS_NAME },
	.channel = { .header = { HARDWARE_DEVICE_PATH, HW_VENDOR_DP,
				 NODE_LEN(struct channel_node) },
		     .guid = CHANNEL_PATH_GUID },
	.end = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
		 NODE_LEN(EFI_DEVICE_PATH_PROTOCOL) },
};
static EFI_GUID channel_guid = VMB_UEFI_CHANNEL_GUID;

static EFI_STATUS publish(struct vmb_uefi_device *d)
{
	struct path *path = AllocateCopyPool(sizeof(template), &template);
	EFI_HANDLE handle = NULL;

	if (!path)
		return EFI_OUT_OF_RESOURCES;
	path->channel.type_id = d->channel.type_id;
	path->channel.instance_id = d->channel.instance_id;
	return gBS->InstallMultipleProtocolInterfaces(&handle, &gEfiDevicePathProtocolGuid, path,
						      &channel_guid, &d->channel, NULL);
}

static void EFIAPI leave(EFI_EVENT event, void *context)
{
	vmb_uefi_bus_stop();
	vmb_uefi_hyperv_stop();
}

/* Nothing may point into a driver whose entry fails: it is unloaded. */
static EFI_STATUS connect(void)
{
	EFI_EVENT event;
	EFI_STATUS status = EFI_DEVICE_ERROR;

	if (vmb_uefi_bus_start())
		status = gBS->CreateEvent(EVT_SIGNAL_EXIT_BOOT_SERVICES, TPL_NOTIFY, leave, NULL,
					  &event);
	if (EFI_ERROR(status))
		leave(NULL, NULL);
	return status;
}

EFI_STATUS EFIAPI vmb_uefi_vmbus_entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	struct vmb_uefi_device *d;
	EFI_STATUS status;

	if (!vmb_uefi_hyperv_start()) {
		DEBUG((DEBUG_ERROR, "vmbus: no Hyper-V interface\n"));
		return EFI_UNSUPPORTED;
	}
	status = connect();
	if (EFI_ERROR(status)) {
		DEBUG((DEBUG_ERROR, "vmbus: the host refuses or is silent\n"));
		return status;
	}
	DEBUG((DEBUG_INFO, "vmbus: version %d.%d\n", vmb_uefi_bus_version() >> 16,
	       vmb_uefi_bus_version() & 0xFFFF));
	for (uint32_t i = 0; (d = vmb_uefi_bus_device(i)); i++)
		if (EFI_ERROR(publish(d)))
			DEBUG((DEBUG_ERROR, "vmbus: no memory for device %d\n", i));
	return EFI_SUCCESS;
}
