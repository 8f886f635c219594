// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What EDK2's boot manager leaves to the platform: the console, and what to do where no boot entry
 * starts a system. As the genuine firmware it then tries each file system, and tells the host when
 * that was of no use either.
 */
#include <Uefi.h>

#include <Guid/EventGroup.h>
#include <Guid/SerialPortLibVendor.h>
#include <Library/DevicePathLib.h>
#include <Library/IoLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/PlatformBootManagerLib.h>
#include <Library/UefiBootManagerLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Library/UefiLib.h>
#include <Library/UefiRuntimeServicesTableLib.h>
#include <Protocol/SimpleFileSystem.h>

#define PORT_SELECT 0x28u
#define PORT_DATA   0x2Cu
#define LOG_COLLECT 0x2Cu /* by which the host knows that the firmware gave up */
#define BAUD_RATE   115200u

#define NODE_LEN(type)                                          \
	{                                                       \
		(UINT8)sizeof(type), (UINT8)(sizeof(type) >> 8) \
	}

#pragma pack(1)
struct console {
	VENDOR_DEVICE_PATH driver;
	UART_DEVICE_PATH uart;
	VENDOR_DEVICE_PATH terminal;
	EFI_DEVICE_PATH_PROTOCOL end;
};
#pragma pack()

static struct console console = {
	.driver = { .Header = { HARDWARE_DEVICE_PATH, HW_VENDOR_DP, NODE_LEN(VENDOR_DEVICE_PATH) },
		    .Guid = EDKII_SERIAL_PORT_LIB_VENDOR_GUID },
	.uart = { .Header = { MESSAGING_DEVICE_PATH, MSG_UART_DP, NODE_LEN(UART_DEVICE_PATH) },
		  .BaudRate = BAUD_RATE,
		  .DataBits = 8,
		  .Parity = 1,
		  .StopBits = 1 },
	.terminal = { .Header = { MESSAGING_DEVICE_PATH, MSG_VENDOR_DP,
				  NODE_LEN(VENDOR_DEVICE_PATH) },
		      .Guid = DEVICE_PATH_MESSAGING_VT_UTF8 },
	.end = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
		 NODE_LEN(EFI_DEVICE_PATH_PROTOCOL) },
};

void EFIAPI PlatformBootManagerBeforeConsole(void)
{
	EFI_DEVICE_PATH_PROTOCOL *path = &console.driver.Header;

	EfiEventGroupSignal(&gEfiEndOfDxeEventGroupGuid);
	EfiBootManagerUpdateConsoleVariable(ConOut, path, NULL);
	EfiBootManagerUpdateConsoleVariable(ConIn, path, NULL);
	EfiBootManagerUpdateConsoleVariable(ErrOut, path, NULL);
}

void EFIAPI PlatformBootManagerAfterConsole(void)
{
	EfiBootManagerConnectAll();
}

void EFIAPI PlatformBootManagerWaitCallback(UINT16 remaining)
{
}

/* Returns if there is no loader, or when the loader ends. */
static void try_volume(EFI_HANDLE volume)
{
	EFI_BOOT_MANAGER_LOAD_OPTION option;
	EFI_DEVICE_PATH_PROTOCOL *path = FileDevicePath(volume, EFI_REMOVABLE_MEDIA_FILE_NAME);

	if (!path)
		return;
	if (!EFI_ERROR(EfiBootManagerInitializeLoadOption(&option, LoadOptionNumberUnassigned,
							  LoadOptionTypeBoot, LOAD_OPTION_ACTIVE,
							  L"file system", path, NULL, 0))) {
		EfiBootManagerBoot(&option);
		EfiBootManagerFreeLoadOption(&option);
	}
	FreePool(path);
}

void EFIAPI PlatformBootManagerUnableToBoot(void)
{
	EFI_HANDLE *volumes;
	UINTN count = 0;

	if (!EFI_ERROR(gBS->LocateHandleBuffer(ByProtocol, &gEfiSimpleFileSystemProtocolGuid, NULL,
					       &count, &volumes)))
		for (UINTN i = 0; i < count; i++)
			try_volume(volumes[i]);
	Print(L"openvmbus firmware: no boot device: %d file systems, and none has a loader that "
	      L"starts a system\n",
	      (UINT32)count);
	IoWrite32(PORT_SELECT, LOG_COLLECT);
	IoWrite32(PORT_DATA, 0);
	gRT->ResetSystem(EfiResetShutdown, EFI_NOT_FOUND, 0, NULL);
}
