// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Offers a SCSI controller on VMBus as EFI_EXT_SCSI_PASS_THRU_PROTOCOL: EDK2's drivers for SCSI
 * disks and DVDs do the rest. A controller has target 0 with all its units. Source: UEFI
 * specification 2.10, "15.7 Extended SCSI Pass Thru Protocol".
 */
#include <Uefi.h>

#include <Library/BaseMemoryLib.h>
#include <Library/DevicePathLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Library/UefiLib.h>
#include <Protocol/DevicePath.h>
#include <Protocol/ScsiPassThruExt.h>

#include "ports/uefi/storvsc/controller.h"

#define TICKS_S 10000000u

static EFI_GUID channel_guid = VMB_UEFI_CHANNEL_GUID;

struct adapter {
	struct vmb_uefi_controller controller;
	EFI_EXT_SCSI_PASS_THRU_MODE mode;
	EFI_EXT_SCSI_PASS_THRU_PROTOCOL pass_thru;
};

static struct vmb_uefi_controller *controller_of(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *p)
{
	return &VMB_CONTAINER_OF(p, struct adapter, pass_thru)->controller;
}

static bool fill_request(const EFI_EXT_SCSI_PASS_THRU_SCSI_REQUEST_PACKET *packet, UINT64 lun,
			 struct vmb_guest_storage_request *r)
{
	bool in = packet->DataDirection == EFI_EXT_SCSI_DATA_DIRECTION_READ;

	if (packet->DataDirection == EFI_EXT_SCSI_DATA_DIRECTION_BIDIRECTIONAL ||
	    !packet->CdbLength || packet->CdbLength > sizeof(r->cdb) || lun > 0xFF)
		return false;
	*r = (struct vmb_guest_storage_request){
		.lun = (uint8_t)lun,
		.cdb_len = packet->CdbLength,
		.data_len = in ? packet->InTransferLength : packet->OutTransferLength,
		.timeout_s = (uint32_t)((packet->Timeout + TICKS_S - 1) / TICKS_S),
	};
	CopyMem(r->cdb, packet->Cdb, packet->CdbLength);
	if (r->data_len)
		r->direction = in ? VMB_STOR_READ : VMB_STOR_WRITE;
	else
		r->direction = VMB_STOR_NO_DATA;
	return true;
}

static void set_len(EFI_EXT_SCSI_PASS_THRU_SCSI_REQUEST_PACKET *packet, uint32_t len)
{
	if (packet->DataDirection == EFI_EXT_SCSI_DATA_DIRECTION_READ)
		packet->InTransferLength = len;
	else
		packet->OutTransferLength = len;
}

/* What the command came to; a target's own complaint is in its status and sense data. */
static EFI_STATUS report(EFI_EXT_SCSI_PASS_THRU_SCSI_REQUEST_PACKET *packet,
			 const struct vmb_guest_storage_event *event)
{
	uint8_t len = MIN(packet->SenseDataLength, event->sense_len);

	if (packet->SenseData)
		CopyMem(packet->SenseData, event->sense, len);
	packet->SenseDataLength = packet->SenseData ? len : 0;
	packet->TargetStatus = event->scsi_status;
	packet->HostAdapterStatus = EFI_EXT_SCSI_STATUS_HOST_ADAPTER_OK;
	set_len(packet, event->data_len);
	switch (event->srb_status) {
	case VMB_SRB_SUCCESS:
	case VMB_SRB_DATA_OVERRUN: return EFI_SUCCESS;
	case VMB_SRB_ERROR:
		if (event->scsi_status)
			return EFI_SUCCESS;
		break;
	case VMB_SRB_NO_DEVICE:
	case VMB_SRB_SELECTION_TIMEOUT:
	case VMB_SRB_INVALID_LUN:
	case VMB_SRB_INVALID_TARGET_ID:
		packet->HostAdapterStatus = EFI_EXT_SCSI_STATUS_HOST_ADAPTER_SELECTION_TIMEOUT;
		return EFI_TIMEOUT;
	default: break;
	}
	packet->HostAdapterStatus = EFI_EXT_SCSI_STATUS_HOST_ADAPTER_OTHER;
	return EFI_DEVICE_ERROR;
}

/* Commands do not overlap: a timer's callback may have one, too. */
static EFI_STATUS EFIAPI pass_thru(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this, UINT8 *target, UINT64 lun,
				   EFI_EXT_SCSI_PASS_THRU_SCSI_REQUEST_PACKET *packet,
				   EFI_EVENT event)
{
	struct vmb_uefi_controller *c = controller_of(this);
	struct vmb_guest_storage_request r;
	struct vmb_guest_storage_event end;
	EFI_TPL tpl;
	int error;

	if (!packet || !packet->Cdb || !fill_request(packet, lun, &r))
		return EFI_INVALID_PARAMETER;
	tpl = gBS->RaiseTPL(TPL_NOTIFY);
	error = vmb_uefi_controller_command(
		c, &r, r.direction == VMB_STOR_READ ? packet->InDataBuffer : packet->OutDataBuffer,
		&end);
	gBS->RestoreTPL(tpl);
	if (!error)
		return report(packet, &end);
	packet->SenseDataLength = 0;
	packet->TargetStatus = EFI_EXT_SCSI_STATUS_TARGET_GOOD;
	packet->HostAdapterStatus = EFI_EXT_SCSI_STATUS_HOST_ADAPTER_OTHER;
	set_len(packet, error == VMB_EOVERFLOW ? c->core.max_transfer_len : 0);
	if (error == VMB_EOVERFLOW)
		return EFI_BAD_BUFFER_SIZE;
	return error == VMB_EAGAIN ? EFI_TIMEOUT : EFI_DEVICE_ERROR;
}

static bool is_first(const UINT8 *target)
{
	for (UINTN i = 0; i < TARGET_MAX_BYTES; i++)
		if (target[i] != 0xFF)
			return false;
	return true;
}

static EFI_STATUS EFIAPI next_unit(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this, UINT8 **target,
				   UINT64 *lun)
{
	struct vmb_uefi_controller *c = controller_of(this);
	uint32_t next = 0;

	if (!is_first(*target)) {
		while (next < c->unit_count && c->units[next] != *lun)
			next++;
		if (next++ == c->unit_count)
			return EFI_INVALID_PARAMETER;
	}
	if (next >= c->unit_count)
		return EFI_NOT_FOUND;
	ZeroMem(*target, TARGET_MAX_BYTES);
	*lun = c->units[next];
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI next_target(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this, UINT8 **target)
{
	if (!is_first(*target))
		return EFI_NOT_FOUND;
	ZeroMem(*target, TARGET_MAX_BYTES);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI build_path(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this, UINT8 *target,
				    UINT64 lun, EFI_DEVICE_PATH_PROTOCOL **path)
{
	SCSI_DEVICE_PATH *node;

	if (!path)
		return EFI_INVALID_PARAMETER;
	if (target[0] || lun > 0xFF)
		return EFI_NOT_FOUND;
	node = (void *)CreateDeviceNode(MESSAGING_DEVICE_PATH, MSG_SCSI_DP, sizeof(*node));
	if (!node)
		return EFI_OUT_OF_RESOURCES;
	node->Lun = (UINT16)lun;
	*path = &node->Header;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_unit(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this,
				  EFI_DEVICE_PATH_PROTOCOL *path, UINT8 **target, UINT64 *lun)
{
	if (!path || !target || !*target || !lun)
		return EFI_INVALID_PARAMETER;
	if (DevicePathType(path) != MESSAGING_DEVICE_PATH || DevicePathSubType(path) != MSG_SCSI_DP)
		return EFI_UNSUPPORTED;
	ZeroMem(*target, TARGET_MAX_BYTES);
	*lun = ((SCSI_DEVICE_PATH *)path)->Lun;
	return ((SCSI_DEVICE_PATH *)path)->Pun ? EFI_NOT_FOUND : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI reset_channel(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this)
{
	return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI reset_unit(EFI_EXT_SCSI_PASS_THRU_PROTOCOL *this, UINT8 *target,
				    UINT64 lun)
{
	return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI supported(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle,
				   EFI_DEVICE_PATH_PROTOCOL *rest)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI;
	struct vmb_uefi_channel *ch;
	EFI_STATUS status = gBS->OpenProtocol(handle, &channel_guid, (void **)&ch,
					      this->DriverBindingHandle, handle,
					      EFI_OPEN_PROTOCOL_BY_DRIVER);

	if (EFI_ERROR(status))
		return status;
	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	return vmb_guid_equal(&ch->type_id, &scsi) ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS install(EFI_HANDLE handle, struct adapter *a)
{
	a->mode = (EFI_EXT_SCSI_PASS_THRU_MODE){
		.AdapterId = MAX_UINT32,
		.Attributes = EFI_EXT_SCSI_PASS_THRU_ATTRIBUTES_PHYSICAL |
			      EFI_EXT_SCSI_PASS_THRU_ATTRIBUTES_LOGICAL,
	};
	a->pass_thru = (EFI_EXT_SCSI_PASS_THRU_PROTOCOL){
		.Mode = &a->mode,
		.PassThru = pass_thru,
		.GetNextTargetLun = next_unit,
		.BuildDevicePath = build_path,
		.GetTargetLun = get_unit,
		.ResetChannel = reset_channel,
		.ResetTargetLun = reset_unit,
		.GetNextTarget = next_target,
	};
	return gBS->InstallProtocolInterface(&handle, &gEfiExtScsiPassThruProtocolGuid,
					     EFI_NATIVE_INTERFACE, &a->pass_thru);
}

static EFI_STATUS EFIAPI start(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle,
			       EFI_DEVICE_PATH_PROTOCOL *rest)
{
	struct adapter *a = AllocateZeroPool(sizeof(*a));
	EFI_STATUS status;

	if (!a)
		return EFI_OUT_OF_RESOURCES;
	status = gBS->OpenProtocol(handle, &channel_guid, (void **)&a->controller.channel,
				   this->DriverBindingHandle, handle, EFI_OPEN_PROTOCOL_BY_DRIVER);
	if (EFI_ERROR(status)) {
		FreePool(a);
		return status;
	}
	status = EFI_DEVICE_ERROR;
	if (vmb_uefi_controller_open(&a->controller)) {
		status = install(handle, a);
		if (!EFI_ERROR(status))
			return status;
		vmb_uefi_controller_close(&a->controller);
	}
	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	FreePool(a);
	return status;
}

static EFI_STATUS EFIAPI stop(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle, UINTN count,
			      EFI_HANDLE *children)
{
	EFI_EXT_SCSI_PASS_THRU_PROTOCOL *p;
	struct adapter *a;
	EFI_STATUS status =
		gBS->HandleProtocol(handle, &gEfiExtScsiPassThruProtocolGuid, (void **)&p);

	if (EFI_ERROR(status))
		return status;
	status = gBS->UninstallProtocolInterface(handle, &gEfiExtScsiPassThruProtocolGuid, p);
	if (EFI_ERROR(status))
		return status;
	a = VMB_CONTAINER_OF(p, struct adapter, pass_thru);
	vmb_uefi_controller_close(&a->controller);
	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	FreePool(a);
	return EFI_SUCCESS;
}

static EFI_DRIVER_BINDING_PROTOCOL binding = {
	.Supported = supported, .Start = start, .Stop = stop, .Version = 0x10
};

EFI_STATUS EFIAPI vmb_uefi_storvsc_entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	return EfiLibInstallDriverBinding(image, system, &binding, image);
}
