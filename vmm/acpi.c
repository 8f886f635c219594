// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes the ACPI tables into guest memory: a guest finds its processors, VMBus and the power
 * device there.
 */
#include <string.h>

#include "vmm/acpi.h"
#include "vmm/aml.h"
#include "vmm/boot.h"
#include "vmm/kvm.h"
#include "vmm/power.h"
#include "vmm/rtc.h"
#include "vmm/serial.h"

#define LAPIC_GPA	     0xFEE00000u
#define OEM_ID		     "VMBUS "
#define OEM_TABLE_ID	     "OPENVMBS"
#define CREATOR_ID	     "OVMB"
#define PROFILE_SERVER	     4u
#define MADT_REVISION	     5u
#define SRAT_REVISION	     3u
#define BOOT_LEGACY_DEVICES  (1u << 0)
#define BOOT_NO_VGA	     (1u << 2)
#define FLAG_WBINVD	     (1u << 0)
#define FLAG_PROC_C1	     (1u << 2)
#define FLAG_NO_POWER_BUTTON (1u << 4)
#define FLAG_NO_SLEEP_BUTTON (1u << 5)
#define FLAG_RESET	     (1u << 10)
#define FLAG_REDUCED	     (1u << 20)
#define GAS_IO		     1u
#define GAS_BYTE	     1u
#define VMBUS_IRQ	     5u /* for Windows: Linux takes its own vector */

/*
 * Address windows from which the guest serves device memory of VMBus devices; both are free of RAM.
 */
#define WINDOW_LOW_GPA	     0xF8000000u
#define WINDOW_LOW_LEN	     0x04000000u
#define WINDOW_HIGH_GPA_MIN  0xFE0000000ull

struct header {
	char signature[4];
	uint32_t len;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} VMB_PACKED;
VMB_ASSERT_LEN(struct header, 36);

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_gpa;
	uint32_t len;
	uint64_t xsdt_gpa;
	uint8_t checksum_all;
	uint8_t reserved[3];
} VMB_PACKED;
VMB_ASSERT_LEN(struct rsdp, 36);

struct address {
	uint8_t space;
	uint8_t bits;
	uint8_t offset;
	uint8_t access;
	uint64_t at;
} VMB_PACKED;

struct fadt {
	struct header header;
	uint32_t facs_gpa32;
	uint32_t dsdt_gpa32;
	uint8_t reserved1;
	uint8_t profile;
	uint8_t fixed_hardware[63]; /* all zero: there is none */
	uint16_t boot_flags;
	uint8_t reserved2;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t facs_gpa;
	uint64_t dsdt_gpa;
	struct address fixed_registers[8];
	struct address sleep_control;
	struct address sleep_status;
	char hypervisor[8];
} VMB_PACKED;
VMB_ASSERT_LEN(struct fadt, 276);
VMB_ASSERT_OFFSET(struct fadt, boot_flags, 109);
VMB_ASSERT_OFFSET(struct fadt, reset, 116);
VMB_ASSERT_OFFSET(struct fadt, dsdt_gpa, 140);
VMB_ASSERT_OFFSET(struct fadt, sleep_control, 244);

struct madt_lapic {
	uint8_t type, len, uid, apic_id;
	uint32_t flags;
} VMB_PACKED;

struct madt_ioapic {
	uint8_t type, len, id, reserved;
	uint32_t gpa;
	uint32_t first_gsi;
} VMB_PACKED;

struct madt_nmi {
	uint8_t type, len, uid;
	uint16_t flags;
	uint8_t lint;
} VMB_PACKED;

struct madt {
	struct header header;
	uint32_t lapic_gpa;
	uint32_t flags;
	struct madt_ioapic ioapic;
	struct madt_nmi nmi;
	struct madt_lapic lapics[VMB_VMM_VP_MAX];
} VMB_PACKED;

/* Resource descriptors (ACPI 6.4, 6.4.2 and 6.4.3). */
struct dword_memory {
	uint8_t tag;
	uint16_t len;
	uint8_t type, flags, type_flags;
	uint32_t granularity, min, max, translation, count;
} VMB_PACKED;

struct qword_memory {
	uint8_t tag;
	uint16_t len;
	uint8_t type, flags, type_flags;
	uint64_t granularity, min, max, translation, count;
} VMB_PACKED;

struct io_ports {
	uint8_t tag, decode;
	uint16_t min, max;
	uint8_t align, count;
} VMB_PACKED;

struct short_irq {
	uint8_t tag;
	uint16_t mask;
	uint8_t flags;
} VMB_PACKED;

struct long_irq {
	uint8_t tag;
	uint16_t len;
	uint8_t flags, count;
	uint32_t number;
} VMB_PACKED;

#define MEMORY_PRODUCER_FIXED  0x0Cu /* producer, positive decode, both ends fixed */
#define MEMORY_CACHEABLE_WRITE 0x03u
#define IRQ_EDGE_HIGH_SHORT    0x01u
#define IRQ_EDGE_HIGH_LONG     0x03u /* and: consumer */

uint64_t vmb_vmm_acpi_high_window(const struct vmb_dev_memory *m)
{
	uint64_t ram_end = vmb_dev_memory_end(m); /* with all that may be added */

	return WINDOW_HIGH_GPA_MIN > ram_end ? WINDOW_HIGH_GPA_MIN : ram_end;
}

bool vmb_vmm_acpi_is_window(const struct vmb_dev_memory *m, uint64_t gpa, uint64_t len)
{
	uint64_t high = vmb_vmm_acpi_high_window(m), end = gpa + len;

	return (gpa >= WINDOW_LOW_GPA && end <= WINDOW_LOW_GPA + WINDOW_LOW_LEN) ||
	       (gpa >= high && end <= high + VMB_VMM_ACPI_HIGH_LEN);
}

static void window_resources(struct vmb_vmm_aml *aml, const struct vmb_dev_memory *m)
{
	uint64_t high = vmb_vmm_acpi_high_window(m);
	struct {
		struct dword_memory low;
		struct qword_memory high;
	} VMB_PACKED windows = {
		.low = { .tag = 0x87,
			 .len = sizeof(windows.low) - 3,
			 .flags = MEMORY_PRODUCER_FIXED,
			 .type_flags = MEMORY_CACHEABLE_WRITE,
			 .min = WINDOW_LOW_GPA,
			 .max = WINDOW_LOW_GPA + WINDOW_LOW_LEN - 1,
			 .count = WINDOW_LOW_LEN },
		.high = { .tag = 0x8A,
			  .len = sizeof(windows.high) - 3,
			  .flags = MEMORY_PRODUCER_FIXED,
			  .type_flags = MEMORY_CACHEABLE_WRITE,
			  .min = high,
			  .max = high + VMB_VMM_ACPI_HIGH_LEN - 1,
			  .count = VMB_VMM_ACPI_HIGH_LEN },
	};

	vmb_vmm_aml_name_resources(aml, "_CRS", &windows, sizeof(windows));
}

static void method(struct vmb_vmm_aml *aml, const char *name, bool returns, uint8_t value)
{
	size_t begun = vmb_vmm_aml_begin(aml, VMB_VMM_AML_METHOD, name);

	if (returns)
		vmb_vmm_aml_return(aml, value);
	vmb_vmm_aml_end(aml, begun);
}

/* Named as Hyper-V names it; the short interrupt form because old parsers know no other. */
static void vmbus_device(struct vmb_vmm_aml *aml)
{
	const struct short_irq irq = { 0x23, 1u << VMBUS_IRQ, IRQ_EDGE_HIGH_SHORT };
	size_t device = vmb_vmm_aml_begin(aml, VMB_VMM_AML_DEVICE, "VMBS");

	vmb_vmm_aml_name_string(aml, "_HID", "MSFT1000");
	vmb_vmm_aml_name_string(aml, "_CID", "VMBus");
	vmb_vmm_aml_name_number(aml, "_UID", 0);
	vmb_vmm_aml_name_string(aml, "_DDN", "VMBUS");
	vmb_vmm_aml_name_resources(aml, "_CRS", &irq, sizeof(irq));
	method(aml, "_STA", true, 0xF);
	method(aml, "_DIS", false, 0);
	method(aml, "_PS0", false, 0);
	method(aml, "_PS3", false, 0);
	vmb_vmm_aml_end(aml, device);
}

static void module_device(struct vmb_vmm_aml *aml, const struct vmb_dev_memory *m)
{
	size_t device = vmb_vmm_aml_begin(aml, VMB_VMM_AML_DEVICE, "VMOD");

	vmb_vmm_aml_name_string(aml, "_HID", "ACPI0004");
	vmb_vmm_aml_name_number(aml, "_UID", 0);
	window_resources(aml, m);
	vmbus_device(aml);
	vmb_vmm_aml_end(aml, device);
}

static void serial_device(struct vmb_vmm_aml *aml)
{
	const struct {
		struct io_ports ports;
		struct long_irq irq;
	} VMB_PACKED resources = {
		.ports = { 0x47, 1, VMB_VMM_SERIAL_PORT, VMB_VMM_SERIAL_PORT, 1,
			   VMB_VMM_SERIAL_PORT_COUNT },
		.irq = { 0x89, sizeof(resources.irq) - 3, IRQ_EDGE_HIGH_LONG, 1,
			 VMB_VMM_GSI_SERIAL },
	};
	size_t device = vmb_vmm_aml_begin(aml, VMB_VMM_AML_DEVICE, "COM1");

	vmb_vmm_aml_name_string(aml, "_HID", "PNP0501");
	vmb_vmm_aml_name_number(aml, "_UID", 0);
	vmb_vmm_aml_name_resources(aml, "_CRS", &resources, sizeof(resources));
	vmb_vmm_aml_end(aml, device);
}

static void clock_device(struct vmb_vmm_aml *aml)
{
	const struct io_ports ports = {
		0x47, 1, VMB_VMM_RTC_PORT, VMB_VMM_RTC_PORT, 1, VMB_VMM_RTC_PORT_COUNT
	};
	size_t device = vmb_vmm_aml_begin(aml, VMB_VMM_AML_DEVICE, "RTC0");

	vmb_vmm_aml_name_string(aml, "_HID", "PNP0B00");
	vmb_vmm_aml_name_resources(aml, "_CRS", &ports, sizeof(ports));
	vmb_vmm_aml_end(aml, device);
}

static void definition_block(struct vmb_vmm_aml *aml, const struct vmb_dev_memory *m)
{
	size_t scope = vmb_vmm_aml_begin(aml, VMB_VMM_AML_SCOPE, "_SB_");

	module_device(aml, m);
	serial_device(aml);
	clock_device(aml);
	vmb_vmm_aml_end(aml, scope);
	vmb_vmm_aml_name_sleep(aml, "_S5_", VMB_VMM_POWER_S5);
}

static uint8_t checksum(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint8_t sum = 0;

	while (len--)
		sum += *at++;
	return -sum;
}

/* The place of the next table. */
struct cursor {
	const struct vmb_dev_memory *memory;
	uint64_t gpa;
	bool full;
};

static void fill_header(void *table, uint32_t len, const char *signature, uint8_t revision)
{
	struct header *header = table;

	memcpy(header->signature, signature, sizeof(header->signature));
	header->len = len;
	header->revision = revision;
	memcpy(header->oem_id, OEM_ID, sizeof(header->oem_id));
	memcpy(header->oem_table_id, OEM_TABLE_ID, sizeof(header->oem_table_id));
	header->oem_revision = header->creator_revision = 1;
	memcpy(header->creator_id, CREATOR_ID, sizeof(header->creator_id));
	header->checksum = 0;
	header->checksum = checksum(table, len);
}

/* Completes the header of a table of len bytes and writes the table. Returns its address. */
static uint64_t add_table(struct cursor *c, void *table, uint32_t len, const char *signature,
			  uint8_t revision)
{
	uint64_t gpa = c->gpa, end = VMB_VMM_ACPI_GPA + VMB_VMM_ACPI_LEN_MAX;

	fill_header(table, len, signature, revision);
	c->full |= len > end - gpa || !vmb_dev_memory_write(c->memory, gpa, table, len);
	c->gpa = (gpa + len + 15) & ~15ull;
	return gpa;
}

static uint64_t add_dsdt(struct cursor *c)
{
	uint8_t table[2048] = { 0 };
	struct vmb_vmm_aml aml = { .at = table + sizeof(struct header),
				   .room = sizeof(table) - sizeof(struct header) };

	definition_block(&aml, c->memory);
	c->full |= aml.overflow;
	return add_table(c, table, sizeof(struct header) + aml.len, "DSDT", 2);
}

static struct address port(uint32_t number)
{
	return (struct address){
		.space = GAS_IO, .bits = 8, .access = GAS_BYTE, .at = VMB_VMM_POWER_PORT + number
	};
}

static uint64_t add_fadt(struct cursor *c, uint64_t dsdt_gpa)
{
	struct fadt fadt = {
		.profile = PROFILE_SERVER,
		.boot_flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
		.flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON |
			 FLAG_RESET | FLAG_REDUCED,
		.reset = port(VMB_VMM_POWER_RESET),
		.reset_value = VMB_VMM_POWER_RESET_VALUE,
		.minor_revision = 4,
		.dsdt_gpa = dsdt_gpa,
		.sleep_control = port(VMB_VMM_POWER_CONTROL),
		.sleep_status = port(VMB_VMM_POWER_STATUS),
	};

	memcpy(fadt.hypervisor, "MsHyperV", sizeof(fadt.hypervisor));
	return add_table(c, &fadt, sizeof(fadt), "FACP", 6);
}

/* Returns its length. */
static uint32_t fill_madt(struct madt *madt, uint32_t vp_count)
{
	uint32_t len = offsetof(struct madt, lapics) + vp_count * sizeof(madt->lapics[0]);

	*madt = (struct madt){
		.lapic_gpa = LAPIC_GPA,
		.ioapic = { 1, sizeof(madt->ioapic), 0, 0, VMB_VMM_IOAPIC_GPA, 0 },
		.nmi = { 4, sizeof(madt->nmi), 0xFF, 0, 1 },
	};
	for (uint32_t i = 0; i < vp_count; i++)
		madt->lapics[i] = (struct madt_lapic){ 0, sizeof(madt->lapics[i]), i, i, 1 };
	fill_header(madt, len, "APIC", MADT_REVISION);
	return len;
}

static uint64_t add_madt(struct cursor *c, uint32_t vp_count)
{
	struct madt madt;
	uint32_t len = fill_madt(&madt, vp_count);

	return add_table(c, &madt, len, "APIC", MADT_REVISION);
}

uint32_t vmb_vmm_acpi_madt(uint32_t vp_count, void *out, uint32_t room)
{
	struct madt madt;
	uint32_t len = fill_madt(&madt, vp_count);

	if (len > room)
		return 0;
	memcpy(out, &madt, len);
	return len;
}

struct srat_processor {
	uint8_t type, len, domain_low, apic_id;
	uint32_t flags;
	uint8_t sapic_eid, domain_high[3];
	uint32_t clock_domain;
} VMB_PACKED;

struct srat_memory {
	uint8_t type, len;
	uint32_t domain;
	uint16_t reserved1;
	uint64_t gpa, bytes;
	uint32_t reserved2, flags;
	uint64_t reserved3;
} VMB_PACKED;
VMB_ASSERT_LEN(struct srat_memory, 40);

struct srat {
	struct header header;
	uint32_t one;
	uint64_t reserved;
	struct srat_memory memory[VMB_DEV_MEMORY_REGION_MAX];
	struct srat_processor processors[VMB_VMM_VP_MAX];
} VMB_PACKED;

uint32_t vmb_vmm_acpi_srat(const struct vmb_dev_memory *m, uint32_t vp_count, void *out,
			   uint32_t room)
{
	uint32_t len = offsetof(struct srat, processors) + vp_count * sizeof(struct srat_processor);
	struct srat srat = { .one = 1 };

	/* a region that is not there is an entry that is switched off */
	for (uint32_t i = 0; i < VMB_DEV_MEMORY_REGION_MAX; i++) {
		srat.memory[i] = (struct srat_memory){ .type = 1, .len = sizeof(srat.memory[i]) };
		if (i >= m->region_count || !m->regions[i].len)
			continue;
		srat.memory[i].gpa = m->regions[i].gpa;
		srat.memory[i].bytes = m->regions[i].len;
		srat.memory[i].flags = 1;
	}
	for (uint32_t i = 0; i < vp_count; i++)
		srat.processors[i] = (struct srat_processor){ .len = sizeof(srat.processors[i]),
							      .apic_id = i,
							      .flags = 1 };
	if (len > room)
		return 0;
	fill_header(&srat, len, "SRAT", SRAT_REVISION);
	memcpy(out, &srat, len);
	return len;
}

bool vmb_vmm_acpi_write(const struct vmb_dev_memory *m, uint32_t vp_count)
{
	struct cursor c = { .memory = m, .gpa = VMB_VMM_ACPI_GPA + 64 };
	struct {
		struct header header;
		uint64_t tables[2];
	} VMB_PACKED xsdt = { .tables = { 0 } };
	struct rsdp rsdp = { .revision = 2, .len = sizeof(rsdp) };

	xsdt.tables[0] = add_fadt(&c, add_dsdt(&c));
	xsdt.tables[1] = add_madt(&c, vp_count);
	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
	rsdp.xsdt_gpa = add_table(&c, &xsdt, sizeof(xsdt), "XSDT", 1);
	rsdp.checksum = checksum(&rsdp, 20);
	rsdp.checksum_all = checksum(&rsdp, sizeof(rsdp));
	return !c.full && vmb_dev_memory_write(m, VMB_VMM_ACPI_GPA, &rsdp, sizeof(rsdp));
}
