/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stands in for EDK2's headers, so that tests can compile files of ports/uefi: what they call, on
 * the C library. The other headers in here are EDK2's names for this one.
 */
#ifndef TESTS_UEFI_UEFI_H
#define TESTS_UEFI_UEFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EFIAPI
#define MAX_UINT32		UINT32_MAX
#define MAX_BIT			(1ull << 63)

#define ENCODE_ERROR(number)	(MAX_BIT | (number))
#define EFI_ERROR(status)	((status) >= MAX_BIT)
#define EFI_SUCCESS		0u
#define EFI_INVALID_PARAMETER	ENCODE_ERROR(2)
#define EFI_BUFFER_TOO_SMALL	ENCODE_ERROR(5)
#define EFI_DEVICE_ERROR	ENCODE_ERROR(7)
#define EFI_NOT_FOUND		ENCODE_ERROR(14)

#define MIN(a, b)		((a) < (b) ? (a) : (b))
#define OFFSET_OF(type, member) offsetof(type, member)
#define EFI_SIZE_TO_PAGES(len)	(((len) + 4095u) / 4096u)
#define ZeroMem(at, len)	memset(at, 0, len)

typedef uint8_t UINT8;
typedef uint16_t CHAR16;
typedef uint32_t UINT32;
typedef uint64_t UINT64, UINTN, EFI_STATUS, EFI_PHYSICAL_ADDRESS;
typedef void *EFI_HANDLE, *EFI_EVENT;
typedef struct {
	uint8_t bytes[16];
} EFI_GUID;

enum { AllocateMaxAddress, EfiRuntimeServicesData, EVT_NOTIFY_SIGNAL, TPL_NOTIFY };

typedef struct {
	EFI_STATUS (*AllocatePages)(int how, int type, UINTN count, EFI_PHYSICAL_ADDRESS *gpa);
	EFI_STATUS(*CreateEventEx)
	(int type, int tpl, void (*notify)(EFI_EVENT, void *), void *context, const EFI_GUID *group,
	 EFI_EVENT *event);
	EFI_STATUS (*InstallMultipleProtocolInterfaces)(EFI_HANDLE *handle, ...);
} EFI_BOOT_SERVICES;

typedef struct {
	EFI_STATUS (*GetVariable)(CHAR16 *, EFI_GUID *, UINT32 *, UINTN *, void *);
	EFI_STATUS (*SetVariable)(CHAR16 *, EFI_GUID *, UINT32, UINTN, void *);
	EFI_STATUS (*GetNextVariableName)(UINTN *, CHAR16 *, EFI_GUID *);
	EFI_STATUS (*QueryVariableInfo)(UINT32, UINT64 *, UINT64 *, UINT64 *);
} EFI_RUNTIME_SERVICES;

typedef struct EFI_SYSTEM_TABLE EFI_SYSTEM_TABLE;

static inline void *AllocatePages(UINTN count)
{
	return aligned_alloc(4096, count * 4096);
}

static inline void FreePages(void *pages, UINTN count)
{
	free(pages);
}

static inline UINTN StrnLenS(const CHAR16 *text, UINTN max)
{
	UINTN len = 0;

	while (len < max && text[len])
		len++;
	return len;
}

static inline UINTN StrSize(const CHAR16 *text)
{
	return (StrnLenS(text, SIZE_MAX) + 1) * sizeof(*text);
}

/* What a test has if the file that it is about calls it. */
void *CopyMem(void *to, const void *from, UINTN len);
uint64_t GetPerformanceCounter(void);
void IoWrite32(UINTN port, UINT32 value);
EFI_STATUS EfiConvertPointer(UINTN how, void **pointer);
extern EFI_BOOT_SERVICES *gBS;
extern EFI_RUNTIME_SERVICES *gRT;
extern EFI_GUID gEfiEventExitBootServicesGuid, gEfiEventVirtualAddressChangeGuid,
	gEfiVariableArchProtocolGuid, gEfiVariableWriteArchProtocolGuid;

#endif
