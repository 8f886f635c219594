// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reset and power off by the ports of Hyper-V's power management block. Source:
 * docs/protocol/firmware.md, "ACPI, reset, power".
 */
#include <Base.h>
#include <Uefi/UefiBaseType.h>
#include <Uefi/UefiMultiPhase.h>

#include <Library/BaseLib.h>
#include <Library/IoLib.h>
#include <Library/ResetSystemLib.h>

#define RESET_PORT   0x433u
#define RESET_VALUE  1u
#define CONTROL_PORT 0x404u
#define SLEEP_S5     0x2000u /* SLP_EN; the type of S5 is 0 */

static void reset(void)
{
	IoWrite8(RESET_PORT, RESET_VALUE);
	CpuDeadLoop();
}

void EFIAPI ResetCold(void)
{
	reset();
}

void EFIAPI ResetWarm(void)
{
	reset();
}

void EFIAPI ResetPlatformSpecific(UINTN len, void *data)
{
	reset();
}

void EFIAPI ResetShutdown(void)
{
	IoWrite16(CONTROL_PORT, SLEEP_S5);
	CpuDeadLoop();
}

void EFIAPI ResetSystem(EFI_RESET_TYPE type, EFI_STATUS status, UINTN len, void *data)
{
	if (type == EfiResetShutdown)
		ResetShutdown();
	else
		reset();
}
