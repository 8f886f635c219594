/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes ACPI Machine Language, as far as our DSDT needs it. Names are four characters; packages
 * nest:
 *
 *   size_t scope = vmb_vmm_aml_begin(&aml, VMB_VMM_AML_DEVICE, "COM1");
 *   vmb_vmm_aml_name_string(&aml, "_HID", "PNP0501");
 *   vmb_vmm_aml_end(&aml, scope);
 *
 * If the buffer is too small, writing stops and aml->overflow is set: check it at the end. Source:
 * ACPI 6.4 chapters 6.4 and 20.
 */
#ifndef VMM_AML_H
#define VMM_AML_H

#include "base/platform.h"

struct vmb_vmm_aml {
	uint8_t *at;
	size_t len, room;
	bool overflow;
};

enum vmb_vmm_aml_scope {
	VMB_VMM_AML_SCOPE,
	VMB_VMM_AML_DEVICE,
	VMB_VMM_AML_METHOD, /* without arguments */
};

/* Opens a scope, device or method. Returns what the matching _end needs. */
size_t vmb_vmm_aml_begin(struct vmb_vmm_aml *aml, enum vmb_vmm_aml_scope scope, const char *name);
void vmb_vmm_aml_end(struct vmb_vmm_aml *aml, size_t begun);

/* Name(name, value). */
void vmb_vmm_aml_name_number(struct vmb_vmm_aml *aml, const char *name, uint8_t value);
void vmb_vmm_aml_name_string(struct vmb_vmm_aml *aml, const char *name, const char *value);
/* A resource template of len bytes; the end tag is added here. */
void vmb_vmm_aml_name_resources(struct vmb_vmm_aml *aml, const char *name, const void *bytes,
				size_t len);
/*
 * A sleep state, for the sleep control register: a package of one number. With more of them some
 * guests look for the registers of older machines, which are not there.
 */
void vmb_vmm_aml_name_sleep(struct vmb_vmm_aml *aml, const char *name, uint8_t type);
/* Return(value), in a method. */
void vmb_vmm_aml_return(struct vmb_vmm_aml *aml, uint8_t value);

#endif
