// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Remembers the HOB list of the SEC phase, which runs from RAM and so has variables. */
#include <PiPei.h>

#include <Library/PrePiHobListPointerLib.h>

static void *list;

void *EFIAPI PrePeiGetHobList(void)
{
	return list;
}

EFI_STATUS EFIAPI PrePeiSetHobList(void *hobs)
{
	list = hobs;
	return EFI_SUCCESS;
}
