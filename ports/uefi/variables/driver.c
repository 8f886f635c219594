// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The variable services: each call is handed to the host by its BiosDevice, which keeps the
 * variables and checks their signatures. A system uses them, too, so what the host is to see is
 * copied into one buffer, whose physical address stays when a system maps it elsewhere. Source:
 * docs/protocol/firmware.md, "Variables".
 */
#include <Uefi.h>

#include <Guid/EventGroup.h>
#include <Library/BaseLib.h>
#include <Library/BaseMemoryLib.h>
#include <Library/IoLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Library/UefiRuntimeLib.h>
#include <Library/UefiRuntimeServicesTableLib.h>
#include <Protocol/Variable.h>
#include <Protocol/VariableWrite.h>

#include "base/platform.h"

#define PORT_SELECT 0x28u
#define PORT_DATA   0x2Cu
#define VARIABLES   0x24u
#define NAME_MAX    2048u
#define DATA_MAX    (32768u + NAME_MAX) /* a signed variable brings its signature along */

enum command { GET, SET, FIRST_NAME, NEXT_NAME, QUERY, BOOT_SERVICES_ENDED };

struct request {
	uint32_t command;
	uint64_t status;
	union {
		struct {
			uint32_t attributes;
			uint64_t name_gpa;
			uint32_t name_len;
			EFI_GUID guid;
			uint64_t data_gpa;
			uint32_t data_len;
		} VMB_PACKED variable;
		struct {
			uint32_t attributes;
			uint64_t storage_max, storage_left, variable_max;
		} VMB_PACKED query;
	};
} VMB_PACKED;
VMB_ASSERT_LEN(struct request, 56);

struct shared {
	struct request request;
	uint8_t name[NAME_MAX], data[DATA_MAX];
};

static struct shared *shared; /* below 4 GiB: the port takes 32 bits */
static uint32_t shared_gpa;

/*
 * r is private: the host may change what it shares while its answer is judged. A system promises
 * that no two calls overlap; before that there is one processor.
 */
static EFI_STATUS ask(struct request *r, enum command command)
{
	r->command = command;
	r->status = EFI_DEVICE_ERROR & ~MAX_BIT;
	CopyMem(&shared->request, r, sizeof(*r));
	IoWrite32(PORT_SELECT, VARIABLES);
	IoWrite32(PORT_DATA, shared_gpa);
	CopyMem(r, &shared->request, sizeof(*r));
	return r->status ? ENCODE_ERROR(r->status) : EFI_SUCCESS;
}

static bool set_key(struct request *r, const CHAR16 *name, const EFI_GUID *guid)
{
	UINTN len = StrSize(name);

	if (len > NAME_MAX)
		return false;
	ZeroMem(r, sizeof(*r));
	CopyMem(shared->name, name, len);
	r->variable.name_gpa = shared_gpa + OFFSET_OF(struct shared, name);
	r->variable.name_len = (uint32_t)len;
	r->variable.data_gpa = shared_gpa + OFFSET_OF(struct shared, data);
	r->variable.guid = *guid;
	return true;
}

static EFI_STATUS EFIAPI get(CHAR16 *name, EFI_GUID *guid, UINT32 *attributes, UINTN *len,
			     void *data)
{
	struct request r;
	EFI_STATUS status;

	if (!name || !guid || !len || !name[0])
		return name && !name[0] ? EFI_NOT_FOUND : EFI_INVALID_PARAMETER;
	if (!set_key(&r, name, guid))
		return EFI_NOT_FOUND;
	r.variable.data_len = (uint32_t)MIN(*len, DATA_MAX);
	status = ask(&r, GET);
	if (EFI_ERROR(status) && status != EFI_BUFFER_TOO_SMALL)
		return status;
	if (r.variable.data_len > DATA_MAX)
		return EFI_DEVICE_ERROR;
	if (attributes)
		*attributes = r.variable.attributes;
	if (!EFI_ERROR(status) && (!data || r.variable.data_len > *len))
		status = data ? EFI_BUFFER_TOO_SMALL : EFI_INVALID_PARAMETER;
	*len = r.variable.data_len;
	if (!EFI_ERROR(status))
		CopyMem(data, shared->data, *len);
	return status;
}

static EFI_STATUS EFIAPI set(CHAR16 *name, EFI_GUID *guid, UINT32 attributes, UINTN len, void *data)
{
	struct request r;

	if (!name || !name[0] || !guid || (len && !data))
		return EFI_INVALID_PARAMETER;
	if (len > DATA_MAX || !set_key(&r, name, guid))
		return EFI_INVALID_PARAMETER;
	CopyMem(shared->data, data, len);
	r.variable.attributes = attributes;
	r.variable.data_len = (uint32_t)len;
	return ask(&r, SET);
}

/* Whoever asked reads it up to its end. */
static bool is_text(const CHAR16 *name, UINTN len)
{
	return len >= sizeof(*name) && len % sizeof(*name) == 0 && !name[len / sizeof(*name) - 1];
}

static EFI_STATUS EFIAPI next_name(UINTN *len, CHAR16 *name, EFI_GUID *guid)
{
	struct request r;
	EFI_STATUS status;

	if (!len || !name || !guid || StrnLenS(name, *len / sizeof(*name)) == *len / sizeof(*name))
		return EFI_INVALID_PARAMETER;
	if (!set_key(&r, name, guid))
		return EFI_NOT_FOUND;
	r.variable.name_len = NAME_MAX; /* of the buffer */
	status = ask(&r, name[0] ? NEXT_NAME : FIRST_NAME);
	if (EFI_ERROR(status))
		return status;
	if (r.variable.name_len > NAME_MAX)
		return EFI_DEVICE_ERROR;
	if (r.variable.name_len > *len) {
		*len = r.variable.name_len;
		return EFI_BUFFER_TOO_SMALL;
	}
	*len = r.variable.name_len;
	CopyMem(name, shared->name, *len);
	if (!is_text(name, *len))
		return EFI_DEVICE_ERROR;
	*guid = r.variable.guid;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI query(UINT32 attributes, UINT64 *storage_max, UINT64 *storage_left,
			       UINT64 *variable_max)
{
	struct request r;
	EFI_STATUS status;

	if (!storage_max || !storage_left || !variable_max || !attributes)
		return EFI_INVALID_PARAMETER;
	ZeroMem(&r, sizeof(r));
	r.query.attributes = attributes;
	status = ask(&r, QUERY);
	if (EFI_ERROR(status))
		return status;
	*storage_max = r.query.storage_max;
	*storage_left = r.query.storage_left;
	*variable_max = r.query.variable_max;
	return EFI_SUCCESS;
}

static void EFIAPI boot_services_end(EFI_EVENT event, void *context)
{
	struct request r;

	ZeroMem(&r, sizeof(r));
	ask(&r, BOOT_SERVICES_ENDED);
}

static void EFIAPI addresses_change(EFI_EVENT event, void *context)
{
	EfiConvertPointer(0, (void **)&shared);
}

static EFI_STATUS make_events(void)
{
	EFI_EVENT event;
	EFI_STATUS status = gBS->CreateEventEx(EVT_NOTIFY_SIGNAL, TPL_NOTIFY, boot_services_end,
					       NULL, &gEfiEventExitBootServicesGuid, &event);

	if (EFI_ERROR(status))
		return status;
	return gBS->CreateEventEx(EVT_NOTIFY_SIGNAL, TPL_NOTIFY, addresses_change, NULL,
				  &gEfiEventVirtualAddressChangeGuid, &event);
}

EFI_STATUS EFIAPI vmb_uefi_variables_entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_PHYSICAL_ADDRESS gpa = MAX_UINT32;
	EFI_HANDLE handle = NULL;
	EFI_STATUS status = gBS->AllocatePages(AllocateMaxAddress, EfiRuntimeServicesData,
					       EFI_SIZE_TO_PAGES(sizeof(*shared)), &gpa);

	if (EFI_ERROR(status))
		return status;
	shared = (struct shared *)(UINTN)gpa;
	shared_gpa = (uint32_t)gpa;
	status = make_events();
	if (EFI_ERROR(status))
		return status;
	gRT->GetVariable = get;
	gRT->SetVariable = set;
	gRT->GetNextVariableName = next_name;
	gRT->QueryVariableInfo = query;
	return gBS->InstallMultipleProtocolInterfaces(&handle, &gEfiVariableArchProtocolGuid, NULL,
						      &gEfiVariableWriteArchProtocolGuid, NULL,
						      NULL);
}
