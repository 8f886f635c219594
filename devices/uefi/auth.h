/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a write to a UEFI variable is signed as it must be. Source: UEFI specification, "Using
 * the EFI_VARIABLE_AUTHENTICATION_2 descriptor", "Firmware/OS Key Exchange" and "UEFI Image
 * Variable GUID & Variable Name".
 *
 *   PK      by itself while there is none, later by the one that is there
 *   KEK     by PK
 *   db, dbx and dbt
 *           by PK or by a certificate in KEK; while there is no PK these need no signature
 *   others  by the certificate that signed the first write
 */
#ifndef DEVICES_UEFI_AUTH_H
#define DEVICES_UEFI_AUTH_H

#include "devices/uefi/vars.h"

/*
 * var: the write as the guest asks for it; old: what is there, or NULL. On success var's data is
 * what follows the signature (in the caller's bytes), and its time and signer are filled in. A
 * write of a variable that needs no signature passes unchanged.
 */
enum vmb_dev_uefi_status vmb_dev_uefi_auth_check(const struct vmb_dev_uefi_vars *v,
						 struct vmb_dev_uefi_var *var,
						 const struct vmb_dev_uefi_var *old);

#endif
