// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Encodes the few kinds of ACPI Machine Language that vmm/acpi.c needs. */
#include "vmm/aml.h"

#include <string.h>

#define OP_NAME	   0x08u
#define OP_BYTE	   0x0Au
#define OP_STRING  0x0Du
#define OP_SCOPE   0x10u
#define OP_BUFFER  0x11u
#define OP_PACKAGE 0x12u
#define OP_METHOD  0x14u
#define OP_EXT	   0x5Bu
#define OP_DEVICE  0x82u
#define OP_RETURN  0xA4u
#define PATH_ROOT  '\\'
#define END_TAG	   0x79u /* its checksum may be 0 */
#define LENGTH_LEN 3u /* bytes of every package length: enough for 1 MiB */
#define NAME_LEN   4u

static void put(struct vmb_vmm_aml *aml, const void *bytes, size_t len)
{
	if (len > aml->room - aml->len) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->at + aml->len, bytes, len);
	aml->len += len;
}

static void put_byte(struct vmb_vmm_aml *aml, uint8_t byte)
{
	put(aml, &byte, 1);
}

static void put_number(struct vmb_vmm_aml *aml, uint8_t value)
{
	put_byte(aml, OP_BYTE);
	put_byte(aml, value);
}

static void put_name(struct vmb_vmm_aml *aml, const char *name)
{
	put_byte(aml, OP_NAME);
	put(aml, name, NAME_LEN);
}

/* Leaves room for the length, which counts itself and everything up to the end. */
static size_t open_package(struct vmb_vmm_aml *aml)
{
	size_t begun = aml->len;
	const uint8_t room[LENGTH_LEN] = { 0 };

	put(aml, room, sizeof(room));
	return begun;
}

void vmb_vmm_aml_end(struct vmb_vmm_aml *aml, size_t begun)
{
	size_t len = aml->len - begun;

	if (aml->overflow)
		return;
	aml->at[begun] = (LENGTH_LEN - 1) << 6 | (len & 0xF);
	aml->at[begun + 1] = len >> 4 & 0xFF;
	aml->at[begun + 2] = len >> 12 & 0xFF;
}

size_t vmb_vmm_aml_begin(struct vmb_vmm_aml *aml, enum vmb_vmm_aml_scope scope, const char *name)
{
	size_t begun;

	if (scope == VMB_VMM_AML_DEVICE)
		put_byte(aml, OP_EXT);
	put_byte(aml, scope == VMB_VMM_AML_DEVICE ? OP_DEVICE :
		      scope == VMB_VMM_AML_METHOD ? OP_METHOD :
						    OP_SCOPE);
	begun = open_package(aml);
	if (scope == VMB_VMM_AML_SCOPE)
		put_byte(aml, PATH_ROOT);
	put(aml, name, NAME_LEN);
	if (scope == VMB_VMM_AML_METHOD)
		put_byte(aml, 0);
	return begun;
}

void vmb_vmm_aml_name_number(struct vmb_vmm_aml *aml, const char *name, uint8_t value)
{
	put_name(aml, name);
	put_number(aml, value);
}

void vmb_vmm_aml_name_string(struct vmb_vmm_aml *aml, const char *name, const char *value)
{
	put_name(aml, name);
	put_byte(aml, OP_STRING);
	put(aml, value, strlen(value) + 1);
}

void vmb_vmm_aml_name_resources(struct vmb_vmm_aml *aml, const char *name, const void *bytes,
				size_t len)
{
	const uint8_t end[] = { END_TAG, 0 };
	size_t begun;

	put_name(aml, name);
	put_byte(aml, OP_BUFFER);
	begun = open_package(aml);
	put_number(aml, len + sizeof(end));
	put(aml, bytes, len);
	put(aml, end, sizeof(end));
	vmb_vmm_aml_end(aml, begun);
}

void vmb_vmm_aml_name_sleep(struct vmb_vmm_aml *aml, const char *name, uint8_t type)
{
	size_t begun;

	put_name(aml, name);
	put_byte(aml, OP_PACKAGE);
	begun = open_package(aml);
	put_byte(aml, 1);
	put_number(aml, type);
	vmb_vmm_aml_end(aml, begun);
}

void vmb_vmm_aml_return(struct vmb_vmm_aml *aml, uint8_t value)
{
	put_byte(aml, OP_RETURN);
	put_number(aml, value);
}
