// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From the host's entry to the DXE phase, without a PEI phase: memory is there already, and the
 * host's configuration blob says where. Makes page tables for all of it, describes it in HOBs, and
 * starts the DXE core.
 */
#include <PiPei.h>

#include <Library/BaseLib.h>
#include <Library/BaseMemoryLib.h>
#include <Library/DebugLib.h>
#include <Library/HobLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/PrePiHobListPointerLib.h>
#include <Library/PrePiLib.h>
#include <Library/ResetSystemLib.h>

#include "ports/uefi/lib/blob.h"
#include "ports/uefi/lib/layout.h"
#include "wire/synic.h"

#define GIB		(1ull << 30)
#define MIB		(1ull << 20)
#define HEAP_LEN	(64 * MIB) /* at the end of low RAM: HOBs, and the DXE core's first */
#define LOW_MIN		(128 * MIB)
#define STACK_LEN	(128u << 10)
#define STACK_TOP	0x80000u /* sec/entry.nasm */
#define PAGE_PRESENT_RW 0x3u
#define CRASH_NOTIFY	(1ull << 63)
#define PAGE_HUGE	0x80u
#define TABLE_ENTRIES	512u

#define RAM_ATTRIBUTES                                                                   \
	(EFI_RESOURCE_ATTRIBUTE_PRESENT | EFI_RESOURCE_ATTRIBUTE_INITIALIZED |           \
	 EFI_RESOURCE_ATTRIBUTE_UNCACHEABLE | EFI_RESOURCE_ATTRIBUTE_WRITE_COMBINEABLE | \
	 EFI_RESOURCE_ATTRIBUTE_WRITE_THROUGH_CACHEABLE |                                \
	 EFI_RESOURCE_ATTRIBUTE_WRITE_BACK_CACHEABLE | EFI_RESOURCE_ATTRIBUTE_TESTED)

struct range {
	UINT64 gpa, len;
	UINT32 flags, reserved;
};

struct ram {
	const struct range *ranges;
	UINTN count;
	UINT64 low_len; /* of the RAM at address 0 */
	UINT64 end; /* of all RAM, and 4 GiB at least */
};

/*
 * A crash: the host reports the text that P3 and P4 name. Then power off, because a machine that
 * only stands still looks as if it were busy.
 */
static void stop(const char *why)
{
	AsmWriteMsr64(VMB_MSR_CRASH_CTL - 2, (UINTN)why);
	AsmWriteMsr64(VMB_MSR_CRASH_CTL - 1, AsciiStrLen(why));
	AsmWriteMsr64(VMB_MSR_CRASH_CTL, CRASH_NOTIFY);
	ResetShutdown();
}

static struct ram find_ram(void)
{
	const struct vmb_uefi_record *record = vmb_uefi_blob_next(VMB_UEFI_BLOB_MEMORY_MAP, NULL);
	struct ram ram = { .end = 4 * GIB };

	if (!record)
		stop("the host gave no memory map");
	ram.ranges = (const struct range *)(record + 1);
	ram.count = (record->len - sizeof(*record)) / sizeof(*ram.ranges);
	for (UINTN i = 0; i < ram.count; i++) {
		if (!ram.ranges[i].gpa)
			ram.low_len = ram.ranges[i].len;
		ram.end = MAX(ram.end, ram.ranges[i].gpa + ram.ranges[i].len);
	}
	if (ram.low_len < LOW_MIN)
		stop("less than 128 MiB of memory");
	return ram;
}

static void add_ram(UINT64 gpa, UINT64 len)
{
	BuildResourceDescriptorHob(EFI_RESOURCE_SYSTEM_MEMORY, RAM_ATTRIBUTES, gpa, len);
}

static void describe_memory(const struct ram *ram)
{
	add_ram(0, VMB_UEFI_HOLE_GPA);
	BuildResourceDescriptorHob(EFI_RESOURCE_MEMORY_RESERVED, RAM_ATTRIBUTES, VMB_UEFI_HOLE_GPA,
				   VMB_UEFI_HOLE_END - VMB_UEFI_HOLE_GPA);
	add_ram(VMB_UEFI_HOLE_END, ram->low_len - VMB_UEFI_HOLE_END);
	for (UINTN i = 0; i < ram->count; i++)
		if (ram->ranges[i].gpa)
			add_ram(ram->ranges[i].gpa, ram->ranges[i].len);
	/* a NULL pointer must not be somebody's memory */
	BuildMemoryAllocationHob(0, EFI_PAGE_SIZE, EfiBootServicesData);
	BuildMemoryAllocationHob(VMB_UEFI_IMAGE_GPA,
				 VMB_UEFI_BLOB_GPA + VMB_UEFI_BLOB_MAX - VMB_UEFI_IMAGE_GPA,
				 EfiBootServicesData);
	BuildStackHob(STACK_TOP - STACK_LEN, STACK_LEN);
	BuildFvHob(VMB_UEFI_IMAGE_GPA, VMB_UEFI_DRIVERS_LEN);
}

/* Identity in 2 MiB pages: the host's own tables end at 4 GiB, and lie where a system may write. */
static void make_tables(const struct ram *ram)
{
	UINT64 gib = (ram->end + GIB - 1) / GIB, *root, *level3, *level2;
	UINT64 roots = (gib + TABLE_ENTRIES - 1) / TABLE_ENTRIES;

	root = AllocatePages(1 + roots + gib);
	if (!root)
		stop("no memory for page tables");
	ZeroMem(root, (1 + roots) * EFI_PAGE_SIZE);
	level3 = root + TABLE_ENTRIES;
	level2 = level3 + roots * TABLE_ENTRIES;
	for (UINT64 i = 0; i < roots; i++)
		root[i] = (UINTN)(level3 + i * TABLE_ENTRIES) | PAGE_PRESENT_RW;
	for (UINT64 i = 0; i < gib; i++)
		level3[i] = (UINTN)(level2 + i * TABLE_ENTRIES) | PAGE_PRESENT_RW;
	for (UINT64 i = 0; i < gib * TABLE_ENTRIES; i++)
		level2[i] = i << 21 | PAGE_PRESENT_RW | PAGE_HUGE;
	AsmWriteCr3((UINTN)root);
}

static UINT8 address_bits(void)
{
	UINT32 max, eax;

	AsmCpuid(0x80000000, &max, NULL, NULL, NULL);
	if (max < 0x80000008)
		return 36;
	AsmCpuid(0x80000008, &eax, NULL, NULL, NULL);
	return (UINT8)eax;
}

void ProcessLibraryConstructorList(void);

void EFIAPI vmb_sec_main(void)
{
	struct ram ram = find_ram();
	UINT8 *heap = (UINT8 *)(UINTN)((ram.low_len & ~(UINT64)EFI_PAGE_MASK) - HEAP_LEN);

	PrePeiSetHobList(HobConstructor(heap, HEAP_LEN, heap, heap + HEAP_LEN));
	ProcessLibraryConstructorList();
	SetBootMode(BOOT_WITH_FULL_CONFIGURATION);
	describe_memory(&ram);
	BuildCpuHob(address_bits(), FixedPcdGet8(PcdPrePiCpuIoSize));
	make_tables(&ram);
	LoadDxeCoreFromFv(NULL, STACK_LEN);
	stop("no DXE core in the image");
}
