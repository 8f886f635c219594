// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The tables by which a system knows the machine. Our own host leaves all of them where a BIOS
 * would. Another host that can start Hyper-V's firmware gives in its configuration blob what it
 * alone knows, processors and memory, and leaves the rest to the firmware: the devices (dsdt.asl),
 * and the registers for power. Sources: docs/protocol/firmware.md, "Configuration blob" and "ACPI,
 * reset, power"; ACPI specification 6.3, "5.2 ACPI System Description Tables".
 */
#include <Uefi.h>

#include <Guid/Acpi.h>
#include <Guid/SmBios.h>
#include <IndustryStandard/Acpi63.h>
#include <Library/BaseLib.h>
#include <Library/BaseMemoryLib.h>
#include <Library/DebugLib.h>
#include <Library/DxeServicesLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/UefiBootServicesTableLib.h>

#include "ports/uefi/lib/blob.h"
#include "ports/uefi/lib/layout.h"

#define AREA_PAGES     16u /* of all tables; the blob is not longer */
#define ALIGNMENT      64u /* what the FACS wants */
#define TABLE_MAX      16u
#define PM_BASE	       0x400u
#define PM_CONTROL     (PM_BASE + 4)
#define PM_TIMER       (PM_BASE + 8)
#define PM_GPE	       (PM_BASE + 12)
#define PM_RESET       (PM_BASE + 0x33)
#define RESET_VALUE    1u
#define SCI	       9u
#define NO_C2	       101u /* us: more than any C2 may have */
#define NO_C3	       1001u
#define PAGE_LEN       4096u
#define OEM	       SIGNATURE_64('O', 'P', 'E', 'N', 'V', 'M', 'B', 'S')
#define CREATOR	       SIGNATURE_32('O', 'V', 'M', 'B')
#define WINDOW_LOW_TAG 0x87u /* memory with addresses of 32 bits */
#define WINDOW_TAG     0x8Au /* of 64 */

#define HEADER(signature, type, revision)                                        \
	{                                                                        \
		EFI_ACPI_6_3_##signature##_SIGNATURE, sizeof(type), revision, 0, \
			{ 'V', 'M', 'B', 'U', 'S', ' ' }, OEM, 1, CREATOR, 1     \
	}
#define PORT(at, bits, access)                              \
	{                                                   \
		EFI_ACPI_6_3_SYSTEM_IO, bits, 0, access, at \
	}

typedef EFI_ACPI_6_3_FIXED_ACPI_DESCRIPTION_TABLE fadt_t;
typedef EFI_ACPI_DESCRIPTION_HEADER header_t;

/* The registers that the genuine firmware finds at every host. */
static const fadt_t fadt_template = {
	.Header = HEADER(FIXED_ACPI_DESCRIPTION_TABLE, fadt_t,
			 EFI_ACPI_6_3_FIXED_ACPI_DESCRIPTION_TABLE_REVISION),
	.PreferredPmProfile = EFI_ACPI_6_3_PM_PROFILE_ENTERPRISE_SERVER,
	.SciInt = SCI,
	.Pm1aEvtBlk = PM_BASE,
	.Pm1aCntBlk = PM_CONTROL,
	.PmTmrBlk = PM_TIMER,
	.Gpe0Blk = PM_GPE,
	.Pm1EvtLen = 4,
	.Pm1CntLen = 2,
	.PmTmrLen = 4,
	.Gpe0BlkLen = 4,
	.PLvl2Lat = NO_C2,
	.PLvl3Lat = NO_C3,
	.IaPcBootArch = EFI_ACPI_6_3_LEGACY_DEVICES | EFI_ACPI_6_3_VGA_NOT_PRESENT,
	.Flags = EFI_ACPI_6_3_WBINVD | EFI_ACPI_6_3_PROC_C1 | EFI_ACPI_6_3_PWR_BUTTON |
		 EFI_ACPI_6_3_SLP_BUTTON | EFI_ACPI_6_3_TMR_VAL_EXT | EFI_ACPI_6_3_RESET_REG_SUP,
	.ResetReg = PORT(PM_RESET, 8, EFI_ACPI_6_3_BYTE),
	.ResetValue = RESET_VALUE,
	.MinorVersion = EFI_ACPI_6_3_FIXED_ACPI_DESCRIPTION_TABLE_MINOR_REVISION,
	.XPm1aEvtBlk = PORT(PM_BASE, 32, EFI_ACPI_6_3_WORD),
	.XPm1aCntBlk = PORT(PM_CONTROL, 16, EFI_ACPI_6_3_WORD),
	.XPmTmrBlk = PORT(PM_TIMER, 32, EFI_ACPI_6_3_DWORD),
	.XGpe0Blk = PORT(PM_GPE, 32, EFI_ACPI_6_3_BYTE),
	.HypervisorVendorIdentity = SIGNATURE_64('M', 's', 'H', 'y', 'p', 'e', 'r', 'V'),
};
static const EFI_ACPI_6_3_FIRMWARE_ACPI_CONTROL_STRUCTURE facs_template = {
	.Signature = EFI_ACPI_6_3_FIRMWARE_ACPI_CONTROL_STRUCTURE_SIGNATURE,
	.Length = sizeof(facs_template),
	.Version = EFI_ACPI_6_3_FIRMWARE_ACPI_CONTROL_STRUCTURE_VERSION,
};
static const EFI_GUID dsdt_guid = {
	0x1d4f2f0e, 0x6f0a, 0x4b5e, { 0x9c, 0x0c, 0x3d, 0x8a, 0x5f, 0x1b, 0x7a, 0x24 }
};

#pragma pack(1)
struct xsdt {
	header_t header;
	UINT64 tables[TABLE_MAX];
};

/* Memory resources of ACPI, 6.4.3.5; the type of the numbers is the difference. */
struct window_low {
	UINT8 tag;
	UINT16 len;
	UINT8 type[3];
	UINT32 granularity, min, max, translation, count;
};

struct window {
	UINT8 tag;
	UINT16 len;
	UINT8 type[3];
	UINT64 granularity, min, max, translation, count;
};
#pragma pack()

struct page_range {
	UINT64 first, count;
};

struct area {
	UINT8 *at, *end;
	struct xsdt xsdt;
	UINTN count; /* of tables in it */
};

/* Copies a table there; NULL: there is no room. */
static void *put(struct area *a, const void *table, UINTN len)
{
	UINT8 *at = a->at;

	if (len > (UINTN)(a->end - at))
		return NULL;
	a->at = at + MIN(ALIGN_VALUE(len, ALIGNMENT), (UINTN)(a->end - at));
	return CopyMem(at, table, len);
}

static void seal(header_t *table)
{
	table->Checksum = 0;
	table->Checksum = CalculateCheckSum8((UINT8 *)table, table->Length);
}

static void list(struct area *a, const void *table)
{
	if (table && a->count < TABLE_MAX)
		a->xsdt.tables[a->count++] = (UINTN)table;
}

/* The place of a resource with that tag and length, or NULL. */
static void *find_resource(UINT8 *table, UINTN table_len, UINT8 tag, UINTN len)
{
	for (UINTN i = sizeof(header_t); i + len <= table_len; i++)
		if (table[i] == tag && table[i + 1] == len - 3 && !table[i + 2])
			return table + i;
	return NULL;
}

/* Where devices on VMBus may have memory; dsdt.asl has windows for hosts that do not say. */
static void fit_windows(UINT8 *dsdt, UINTN len)
{
	const struct vmb_uefi_record *record = vmb_uefi_blob_next(VMB_UEFI_BLOB_WINDOWS, NULL);
	struct window_low *low = find_resource(dsdt, len, WINDOW_LOW_TAG, sizeof(*low));
	struct window *high = find_resource(dsdt, len, WINDOW_TAG, sizeof(*high));
	const struct page_range *ranges;

	if (!record || record->len < sizeof(*record) + 2 * sizeof(*ranges) || !low || !high)
		return;
	ranges = (const struct page_range *)(record + 1);
	if (ranges[0].count) {
		low->min = (UINT32)(ranges[0].first * PAGE_LEN);
		low->count = (UINT32)(ranges[0].count * PAGE_LEN);
		low->max = low->min + low->count - 1;
	}
	if (ranges[1].count) {
		high->min = ranges[1].first * PAGE_LEN;
		high->count = ranges[1].count * PAGE_LEN;
		high->max = high->min + high->count - 1;
	}
}

static header_t *put_dsdt(struct area *a)
{
	header_t *dsdt = NULL;
	void *read;
	UINTN len;

	if (EFI_ERROR(GetSectionFromAnyFv(&dsdt_guid, EFI_SECTION_RAW, 0, &read, &len)))
		return NULL;
	if (len >= sizeof(*dsdt) && ((header_t *)read)->Length == len)
		dsdt = put(a, read, len);
	FreePool(read);
	if (!dsdt)
		return NULL;
	fit_windows((UINT8 *)dsdt, len);
	seal(dsdt);
	return dsdt;
}

static header_t *put_fadt(struct area *a, const void *dsdt, const void *facs)
{
	fadt_t *fadt = dsdt && facs ? put(a, &fadt_template, sizeof(*fadt)) : NULL;

	if (!fadt)
		return NULL;
	fadt->Dsdt = (UINT32)(UINTN)dsdt;
	fadt->XDsdt = (UINTN)dsdt;
	fadt->FirmwareCtrl = (UINT32)(UINTN)facs;
	seal(&fadt->Header);
	return &fadt->Header;
}

/* Those that the host gave. */
static void put_tables(struct area *a)
{
	const struct vmb_uefi_record *record = NULL;
	const header_t *table;

	while ((record = vmb_uefi_blob_next(VMB_UEFI_BLOB_ACPI_TABLE, record))) {
		table = (const header_t *)(record + 1);
		if (record->len >= sizeof(*record) + sizeof(*table) &&
		    table->Length >= sizeof(*table) &&
		    table->Length <= record->len - sizeof(*record))
			list(a, put(a, table, table->Length));
	}
}

static void *put_root(struct area *a)
{
	static const header_t header =
		HEADER(EXTENDED_SYSTEM_DESCRIPTION_TABLE, header_t,
		       EFI_ACPI_6_3_EXTENDED_SYSTEM_DESCRIPTION_TABLE_REVISION);
	EFI_ACPI_6_3_ROOT_SYSTEM_DESCRIPTION_POINTER root = {
		.Signature = EFI_ACPI_6_3_ROOT_SYSTEM_DESCRIPTION_POINTER_SIGNATURE,
		.OemId = { 'V', 'M', 'B', 'U', 'S', ' ' },
		.Revision = EFI_ACPI_6_3_ROOT_SYSTEM_DESCRIPTION_POINTER_REVISION,
		.Length = sizeof(root),
	};
	struct xsdt *xsdt;

	a->xsdt.header = header;
	a->xsdt.header.Length = sizeof(header) + (UINT32)a->count * sizeof(a->xsdt.tables[0]);
	xsdt = put(a, &a->xsdt, a->xsdt.header.Length);
	if (!xsdt)
		return NULL;
	seal(&xsdt->header);
	root.XsdtAddress = (UINTN)xsdt;
	root.Checksum = CalculateCheckSum8((UINT8 *)&root, 20); /* of ACPI 1.0's part */
	root.ExtendedChecksum = CalculateCheckSum8((UINT8 *)&root, sizeof(root));
	return put(a, &root, sizeof(root));
}

/* Below 4 GiB, as some of the addresses have 32 bits. */
static void *get_pages(EFI_MEMORY_TYPE type, UINTN count)
{
	EFI_PHYSICAL_ADDRESS gpa = MAX_UINT32;

	if (EFI_ERROR(gBS->AllocatePages(AllocateMaxAddress, type, count, &gpa)))
		return NULL;
	return ZeroMem((void *)(UINTN)gpa, count * PAGE_LEN);
}

static void *make_tables(void)
{
	struct area a = { .at = get_pages(EfiACPIReclaimMemory, AREA_PAGES) };
	void *facs = get_pages(EfiACPIMemoryNVS, 1); /* a system writes there */
	header_t *fadt;

	if (!a.at || !facs)
		return NULL;
	a.end = a.at + AREA_PAGES * PAGE_LEN;
	CopyMem(facs, &facs_template, sizeof(facs_template));
	fadt = put_fadt(&a, put_dsdt(&a), facs);
	if (!fadt)
		return NULL;
	list(&a, fadt);
	put_tables(&a);
	return put_root(&a);
}

/* The host's are where they are; that memory is nobody's. */
EFI_STATUS EFIAPI vmb_uefi_acpi_entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	static const char acpi[] = "RSD PTR ", smbios[] = "_SM3_";
	void *root = (void *)(UINTN)VMB_UEFI_ACPI_GPA;

	if (CompareMem(root, acpi, sizeof(acpi) - 1))
		root = make_tables();
	if (!root) {
		DEBUG((DEBUG_ERROR, "acpi: no memory for the tables, or no DSDT\n"));
		return EFI_OUT_OF_RESOURCES;
	}
	if (!CompareMem((void *)(UINTN)VMB_UEFI_SMBIOS_GPA, smbios, sizeof(smbios) - 1))
		gBS->InstallConfigurationTable(&gEfiSmbios3TableGuid,
					       (void *)(UINTN)VMB_UEFI_SMBIOS_GPA);
	return gBS->InstallConfigurationTable(&gEfiAcpi20TableGuid, root);
}
