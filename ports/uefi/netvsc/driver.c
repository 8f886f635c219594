// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Offers a network card on VMBus as EFI_SIMPLE_NETWORK_PROTOCOL: EDK2's network stack does the
 * rest, up to PXE and HTTP boot. The card's handle has the device path of Hyper-V's own firmware,
 * which leaves the card's address out. Source: UEFI specification 2.10, "24.1 Simple Network
 * Protocol"; docs/protocol/firmware.md, "Boot entries".
 */
#include <Uefi.h>

#include <Library/BaseMemoryLib.h>
#include <Library/DevicePathLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Library/UefiLib.h>
#include <Protocol/DevicePath.h>
#include <Protocol/SimpleNetwork.h>

#include "ports/uefi/netvsc/card.h"

#define HEADER_LEN 14u /* of Ethernet */
#define MAC_LEN	   6u
#define SENT_COUNT 64u /* buffers that their owner may have back; a power of two */
#define ETHERNET   1u /* interface type */
#define FILTERS                                                                          \
	(EFI_SIMPLE_NETWORK_RECEIVE_UNICAST | EFI_SIMPLE_NETWORK_RECEIVE_MULTICAST |     \
	 EFI_SIMPLE_NETWORK_RECEIVE_BROADCAST | EFI_SIMPLE_NETWORK_RECEIVE_PROMISCUOUS | \
	 EFI_SIMPLE_NETWORK_RECEIVE_PROMISCUOUS_MULTICAST)

static EFI_GUID channel_guid = VMB_UEFI_CHANNEL_GUID;

struct adapter {
	struct vmb_uefi_card card;
	EFI_SIMPLE_NETWORK_MODE mode;
	EFI_SIMPLE_NETWORK_PROTOCOL network;
	EFI_DEVICE_PATH_PROTOCOL *path;
	EFI_HANDLE handle;
	void *sent[SENT_COUNT]; /* copied out, so they are free at once */
	uint32_t sent_first, sent_end;
};

static struct adapter *adapter_of(EFI_SIMPLE_NETWORK_PROTOCOL *n)
{
	return VMB_CONTAINER_OF(n, struct adapter, network);
}

/* What a function returns that needs a state which the card is not in. */
static EFI_STATUS wrong_state(const struct adapter *a)
{
	return a->mode.State == EfiSimpleNetworkStopped ? EFI_NOT_STARTED : EFI_DEVICE_ERROR;
}

static EFI_STATUS EFIAPI start_network(EFI_SIMPLE_NETWORK_PROTOCOL *this)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkStopped)
		return EFI_ALREADY_STARTED;
	a->mode.State = EfiSimpleNetworkStarted;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stop_network(EFI_SIMPLE_NETWORK_PROTOCOL *this)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkStarted)
		return wrong_state(a);
	a->mode.State = EfiSimpleNetworkStopped;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI initialize(EFI_SIMPLE_NETWORK_PROTOCOL *this, UINTN more_in,
				    UINTN more_out)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkStarted)
		return wrong_state(a);
	a->mode.State = EfiSimpleNetworkInitialized;
	return EFI_SUCCESS;
}

/* setting: EFI_SIMPLE_NETWORK_RECEIVE_*. There is no list of groups: all or none. */
static EFI_STATUS set_filter(struct adapter *a, UINT32 setting)
{
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	uint32_t filter = 0;
	bool done;

	if (setting & EFI_SIMPLE_NETWORK_RECEIVE_UNICAST)
		filter |= RNDIS_FILTER_DIRECTED;
	if (setting & EFI_SIMPLE_NETWORK_RECEIVE_BROADCAST)
		filter |= RNDIS_FILTER_BROADCAST;
	if (setting & (EFI_SIMPLE_NETWORK_RECEIVE_MULTICAST |
		       EFI_SIMPLE_NETWORK_RECEIVE_PROMISCUOUS_MULTICAST))
		filter |= RNDIS_FILTER_ALL_MULTICAST;
	if (setting & EFI_SIMPLE_NETWORK_RECEIVE_PROMISCUOUS)
		filter |= RNDIS_FILTER_PROMISCUOUS;
	done = vmb_uefi_card_filter(&a->card, filter);
	gBS->RestoreTPL(tpl);
	if (!done)
		return EFI_DEVICE_ERROR;
	a->mode.ReceiveFilterSetting = setting;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI reset(EFI_SIMPLE_NETWORK_PROTOCOL *this, BOOLEAN verify)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	return set_filter(a, 0);
}

static EFI_STATUS EFIAPI shut_down(EFI_SIMPLE_NETWORK_PROTOCOL *this)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	a->mode.State = EfiSimpleNetworkStarted;
	return set_filter(a, 0);
}

static EFI_STATUS EFIAPI receive_filters(EFI_SIMPLE_NETWORK_PROTOCOL *this, UINT32 enable,
					 UINT32 disable, BOOLEAN no_groups, UINTN count,
					 EFI_MAC_ADDRESS *groups)
{
	struct adapter *a = adapter_of(this);

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	if ((enable | disable) & ~a->mode.ReceiveFilterMask ||
	    (!no_groups && count > a->mode.MaxMCastFilterCount) || (!no_groups && count && !groups))
		return EFI_INVALID_PARAMETER;
	a->mode.MCastFilterCount = no_groups ? 0 : (UINT32)count;
	CopyMem(a->mode.MCastFilter, groups, a->mode.MCastFilterCount * sizeof(*groups));
	return set_filter(a, (a->mode.ReceiveFilterSetting | enable) & ~disable);
}

static EFI_STATUS EFIAPI station_address(EFI_SIMPLE_NETWORK_PROTOCOL *this, BOOLEAN back,
					 EFI_MAC_ADDRESS *address)
{
	return back ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI statistics(EFI_SIMPLE_NETWORK_PROTOCOL *this, BOOLEAN clear, UINTN *len,
				    EFI_NETWORK_STATISTICS *table)
{
	return EFI_UNSUPPORTED;
}

/* RFC 1112, 6.4, and RFC 2464, 7 */
static EFI_STATUS EFIAPI group_address(EFI_SIMPLE_NETWORK_PROTOCOL *this, BOOLEAN ipv6,
				       EFI_IP_ADDRESS *ip, EFI_MAC_ADDRESS *mac)
{
	if (!ip || !mac)
		return EFI_INVALID_PARAMETER;
	ZeroMem(mac, sizeof(*mac));
	if (ipv6) {
		mac->Addr[0] = mac->Addr[1] = 0x33;
		CopyMem(&mac->Addr[2], &ip->v6.Addr[12], 4);
		return EFI_SUCCESS;
	}
	mac->Addr[0] = 0x01;
	mac->Addr[2] = 0x5E;
	CopyMem(&mac->Addr[3], &ip->v4.Addr[1], 3);
	mac->Addr[3] &= 0x7F;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI nv_data(EFI_SIMPLE_NETWORK_PROTOCOL *this, BOOLEAN read, UINTN offset,
				 UINTN len, void *data)
{
	return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI get_status(EFI_SIMPLE_NETWORK_PROTOCOL *this, UINT32 *interrupts,
				    void **buffer)
{
	struct adapter *a = adapter_of(this);
	EFI_TPL tpl;

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	tpl = gBS->RaiseTPL(TPL_NOTIFY);
	vmb_uefi_card_poll(&a->card);
	a->mode.MediaPresent = a->card.core.agreed.link_up;
	if (interrupts)
		*interrupts = 0;
	if (buffer)
		*buffer = a->sent_first == a->sent_end ? NULL :
							 a->sent[a->sent_first++ % SENT_COUNT];
	gBS->RestoreTPL(tpl);
	return EFI_SUCCESS;
}

static void fill_header(struct adapter *a, uint8_t *at, const EFI_MAC_ADDRESS *from,
			const EFI_MAC_ADDRESS *to, UINT16 protocol)
{
	CopyMem(at, to, MAC_LEN);
	CopyMem(at + MAC_LEN, from ? from : &a->mode.CurrentAddress, MAC_LEN);
	at[2 * MAC_LEN] = protocol >> 8;
	at[2 * MAC_LEN + 1] = protocol & 0xFF;
}

static EFI_STATUS EFIAPI transmit(EFI_SIMPLE_NETWORK_PROTOCOL *this, UINTN header_len, UINTN len,
				  void *buffer, EFI_MAC_ADDRESS *from, EFI_MAC_ADDRESS *to,
				  UINT16 *protocol)
{
	struct adapter *a = adapter_of(this);
	EFI_TPL tpl;
	bool sent;

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	if (!buffer || len > VMB_UEFI_FRAME_MAX ||
	    (header_len && (header_len != HEADER_LEN || !to || !protocol)))
		return EFI_INVALID_PARAMETER;
	if (len < HEADER_LEN)
		return EFI_BUFFER_TOO_SMALL;
	if (header_len)
		fill_header(a, buffer, from, to, *protocol);
	tpl = gBS->RaiseTPL(TPL_NOTIFY);
	sent = a->sent_end - a->sent_first < SENT_COUNT &&
	       vmb_uefi_card_send(&a->card, buffer, (uint32_t)len);
	if (sent)
		a->sent[a->sent_end++ % SENT_COUNT] = buffer;
	gBS->RestoreTPL(tpl);
	return sent ? EFI_SUCCESS : EFI_NOT_READY;
}

static void read_header(const uint8_t *at, EFI_MAC_ADDRESS *from, EFI_MAC_ADDRESS *to,
			UINT16 *protocol)
{
	if (to)
		CopyMem(to, at, MAC_LEN);
	if (from)
		CopyMem(from, at + MAC_LEN, MAC_LEN);
	if (protocol)
		*protocol = (UINT16)(at[2 * MAC_LEN] << 8 | at[2 * MAC_LEN + 1]);
}

static EFI_STATUS EFIAPI receive(EFI_SIMPLE_NETWORK_PROTOCOL *this, UINTN *header_len, UINTN *len,
				 void *buffer, EFI_MAC_ADDRESS *from, EFI_MAC_ADDRESS *to,
				 UINT16 *protocol)
{
	struct adapter *a = adapter_of(this);
	const struct vmb_uefi_frame *frame;
	EFI_STATUS status = EFI_NOT_READY;
	EFI_TPL tpl;
	UINTN room;

	if (a->mode.State != EfiSimpleNetworkInitialized)
		return wrong_state(a);
	if (!len || !buffer)
		return EFI_INVALID_PARAMETER;
	tpl = gBS->RaiseTPL(TPL_NOTIFY);
	frame = vmb_uefi_card_frame(&a->card);
	if (frame) {
		room = *len;
		*len = frame->len;
		status = frame->len <= room ? EFI_SUCCESS : EFI_BUFFER_TOO_SMALL;
	}
	if (status == EFI_SUCCESS) {
		CopyMem(buffer, frame->bytes, frame->len);
		read_header(frame->bytes, from, to, protocol);
		vmb_uefi_card_next(&a->card);
		if (header_len)
			*header_len = HEADER_LEN;
	}
	gBS->RestoreTPL(tpl);
	return status;
}

static void EFIAPI look_for_frame(EFI_EVENT event, void *context)
{
	struct adapter *a = context;
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	bool any = a->mode.State == EfiSimpleNetworkInitialized && vmb_uefi_card_frame(&a->card);

	gBS->RestoreTPL(tpl);
	if (any)
		gBS->SignalEvent(event);
}

static void fill_mode(struct adapter *a)
{
	a->mode = (EFI_SIMPLE_NETWORK_MODE){
		.State = EfiSimpleNetworkStopped,
		.HwAddressSize = MAC_LEN,
		.MediaHeaderSize = HEADER_LEN,
		.MaxPacketSize = VMB_UEFI_FRAME_MAX - HEADER_LEN,
		.ReceiveFilterMask = FILTERS,
		.MaxMCastFilterCount = MAX_MCAST_FILTER_CNT,
		.IfType = ETHERNET,
		.MediaPresentSupported = TRUE,
		.MediaPresent = a->card.core.agreed.link_up,
	};
	SetMem(&a->mode.BroadcastAddress, MAC_LEN, 0xFF);
	CopyMem(&a->mode.CurrentAddress, a->card.core.agreed.mac, MAC_LEN);
	CopyMem(&a->mode.PermanentAddress, a->card.core.agreed.mac, MAC_LEN);
	a->network = (EFI_SIMPLE_NETWORK_PROTOCOL){
		.Revision = EFI_SIMPLE_NETWORK_PROTOCOL_REVISION,
		.Start = start_network,
		.Stop = stop_network,
		.Initialize = initialize,
		.Reset = reset,
		.Shutdown = shut_down,
		.ReceiveFilters = receive_filters,
		.StationAddress = station_address,
		.Statistics = statistics,
		.MCastIpToMac = group_address,
		.NvData = nv_data,
		.GetStatus = get_status,
		.Transmit = transmit,
		.Receive = receive,
		.Mode = &a->mode,
	};
}

static EFI_DEVICE_PATH_PROTOCOL *make_path(EFI_HANDLE handle)
{
	EFI_DEVICE_PATH_PROTOCOL *node = CreateDeviceNode(MESSAGING_DEVICE_PATH, MSG_MAC_ADDR_DP,
							  sizeof(MAC_ADDR_DEVICE_PATH));
	EFI_DEVICE_PATH_PROTOCOL *path;

	if (!node)
		return NULL;
	path = AppendDevicePathNode(DevicePathFromHandle(handle), node);
	FreePool(node);
	return path;
}

/* The card is a child of the channel, because its path is longer. */
static EFI_STATUS publish(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle, struct adapter *a)
{
	struct vmb_uefi_channel *ch;
	EFI_STATUS status;

	fill_mode(a);
	a->path = make_path(handle);
	if (!a->path)
		return EFI_OUT_OF_RESOURCES;
	status = gBS->CreateEvent(EVT_NOTIFY_WAIT, TPL_CALLBACK, look_for_frame, a,
				  &a->network.WaitForPacket);
	if (!EFI_ERROR(status))
		status = gBS->InstallMultipleProtocolInterfaces(
			&a->handle, &gEfiDevicePathProtocolGuid, a->path,
			&gEfiSimpleNetworkProtocolGuid, &a->network, NULL);
	if (!EFI_ERROR(status))
		status = gBS->OpenProtocol(handle, &channel_guid, (void **)&ch,
					   this->DriverBindingHandle, a->handle,
					   EFI_OPEN_PROTOCOL_BY_CHILD_CONTROLLER);
	return status;
}

/* Who uses the card may not let it go: then it stays what it was. */
static EFI_STATUS unpublish(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle, struct adapter *a)
{
	struct vmb_uefi_channel *ch;
	EFI_STATUS status;

	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, a->handle);
	status = gBS->UninstallMultipleProtocolInterfaces(a->handle, &gEfiDevicePathProtocolGuid,
							  a->path, &gEfiSimpleNetworkProtocolGuid,
							  &a->network, NULL);
	if (EFI_ERROR(status))
		gBS->OpenProtocol(handle, &channel_guid, (void **)&ch, this->DriverBindingHandle,
				  a->handle, EFI_OPEN_PROTOCOL_BY_CHILD_CONTROLLER);
	return status;
}

/* Of a card that is published no more. */
static void free_adapter(struct adapter *a)
{
	if (a->network.WaitForPacket)
		gBS->CloseEvent(a->network.WaitForPacket);
	vmb_uefi_card_close(&a->card);
	if (a->path)
		FreePool(a->path);
	FreePool(a);
}

static EFI_STATUS EFIAPI supported(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle,
				   EFI_DEVICE_PATH_PROTOCOL *rest)
{
	static const struct vmb_guid network = VMB_GUID_NETWORK;
	struct vmb_uefi_channel *ch;
	EFI_STATUS status = gBS->OpenProtocol(handle, &channel_guid, (void **)&ch,
					      this->DriverBindingHandle, handle,
					      EFI_OPEN_PROTOCOL_BY_DRIVER);

	if (EFI_ERROR(status))
		return status;
	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	return vmb_guid_equal(&ch->type_id, &network) ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI start(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle,
			       EFI_DEVICE_PATH_PROTOCOL *rest)
{
	struct adapter *a = AllocateZeroPool(sizeof(*a));
	EFI_STATUS status;

	if (!a)
		return EFI_OUT_OF_RESOURCES;
	status = gBS->OpenProtocol(handle, &channel_guid, (void **)&a->card.channel,
				   this->DriverBindingHandle, handle, EFI_OPEN_PROTOCOL_BY_DRIVER);
	if (EFI_ERROR(status)) {
		FreePool(a);
		return status;
	}
	if (!vmb_uefi_card_open(&a->card)) {
		FreePool(a);
		status = EFI_DEVICE_ERROR;
	} else {
		status = publish(this, handle, a);
		if (!EFI_ERROR(status) || (a->handle && EFI_ERROR(unpublish(this, handle, a))))
			return status;
		free_adapter(a);
	}
	gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	return status;
}

/* First the child, then, in a call of its own, the channel: then the card is gone already. */
static EFI_STATUS EFIAPI stop(EFI_DRIVER_BINDING_PROTOCOL *this, EFI_HANDLE handle, UINTN count,
			      EFI_HANDLE *children)
{
	EFI_SIMPLE_NETWORK_PROTOCOL *n;
	struct adapter *a;
	EFI_STATUS status;

	if (!count)
		return gBS->CloseProtocol(handle, &channel_guid, this->DriverBindingHandle, handle);
	if (EFI_ERROR(
		    gBS->HandleProtocol(children[0], &gEfiSimpleNetworkProtocolGuid, (void **)&n)))
		return EFI_DEVICE_ERROR;
	a = adapter_of(n);
	status = unpublish(this, handle, a);
	if (!EFI_ERROR(status))
		free_adapter(a);
	return status;
}

static EFI_DRIVER_BINDING_PROTOCOL binding = {
	.Supported = supported, .Start = start, .Stop = stop, .Version = 0x10
};

EFI_STATUS EFIAPI vmb_uefi_netvsc_entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	return EfiLibInstallDriverBinding(image, system, &binding, image);
}
