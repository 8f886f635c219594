// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Linux's 64-bit boot protocol: the setup header of a bzImage says where its protected-mode part
 * may lie; the kernel is entered 0x200 bytes into it, in long mode with identity page tables, RSI
 * naming the zero page. Source: Documentation/arch/x86/boot.rst of Linux.
 */
#include <errno.h>
#include <string.h>

#include <asm/bootparam.h>

#include "devices/report.h"
#include "vmm/boot.h"

#define HEADER_AT	 0x1F1u /* in the file and in the zero page alike */
#define JUMP_AT		 0x201u /* its operand says how long the header is */
#define HEADER_MAGIC	 0x53726448u /* "HdrS" */
#define BOOT_FLAG	 0xAA55u
#define VERSION_64BIT	 0x020Cu /* the first protocol with a 64-bit entry */
#define ENTRY_64BIT	 0x200u
#define LOADER_UNDEFINED 0xFFu
#define E820_RAM	 1u

_Static_assert(offsetof(struct boot_params, hdr) == HEADER_AT, "zero page");

static int refuse(const struct vmb_vmm_boot *boot, const char *why)
{
	vmb_dev_report("--kernel %s: a Linux kernel, but %s", boot->kernel_path, why);
	return -EINVAL;
}

/* The header ends where the jump at its start leads to. */
static bool read_header(struct vmb_vmm_boot *boot, struct setup_header *header)
{
	uint8_t jump;

	memset(header, 0, sizeof(*header));
	if (!vmb_vmm_boot_read(boot, JUMP_AT, &jump, 1))
		return false;
	boot->setup_header_len = JUMP_AT + 1 + jump - HEADER_AT;
	if (boot->setup_header_len > sizeof(boot->setup_header))
		boot->setup_header_len = sizeof(boot->setup_header);
	if (!vmb_vmm_boot_read(boot, HEADER_AT, boot->setup_header, boot->setup_header_len))
		return false;
	memcpy(header, boot->setup_header,
	       boot->setup_header_len < sizeof(*header) ? boot->setup_header_len : sizeof(*header));
	return header->boot_flag == BOOT_FLAG && header->header == HEADER_MAGIC;
}

static int probe(struct vmb_vmm_boot *boot)
{
	struct setup_header header;
	uint64_t setup_len, len;

	if (!read_header(boot, &header))
		return 0;
	/*
	 * Loaders in a kernel's format, such as memdisk and iPXE's lkrn, have the old versions too.
	 */
	if (header.version < VERSION_64BIT)
		return refuse(boot, "one from before 3.8, or a loader in its form: both need a "
				    "BIOS, and this machine has none; give an amd64 kernel from "
				    "Linux 3.8 on");
	if (!(header.xloadflags & XLF_KERNEL_64))
		return refuse(boot, "not a 64-bit one; give an amd64 kernel from Linux 3.8 on");
	setup_len = ((header.setup_sects ? header.setup_sects : 4) + 1) * 512ull;
	if (setup_len + ENTRY_64BIT >= boot->kernel_len)
		return refuse(boot, "the file is cut short");
	len = boot->kernel_len - setup_len;
	if (!(header.loadflags & LOADED_HIGH) || header.pref_address > VMB_VMM_LOW_MAX)
		return refuse(boot, "not one that can be loaded where memory is");
	boot->first_gpa = header.pref_address;
	boot->end_gpa = header.pref_address + (header.init_size > len ? header.init_size : len);
	boot->entry_gpa = header.pref_address + ENTRY_64BIT;
	boot->initrd_end_max = header.initrd_addr_max + 1ull;
	boot->cmdline_len_max = header.cmdline_size < VMB_VMM_BOOT_CMDLINE_MAX - 1 ?
					header.cmdline_size :
					VMB_VMM_BOOT_CMDLINE_MAX - 1;
	boot->segment_count = 1;
	boot->segments[0].file_offset = setup_len;
	boot->segments[0].file_len = len;
	boot->segments[0].gpa = header.pref_address;
	boot->segments[0].memory_len = len;
	return 1;
}

static void fill_memory_map(struct boot_params *params, const struct vmb_dev_memory *m)
{
	struct vmb_vmm_boot_range ram[3];

	params->e820_entries = vmb_vmm_boot_ram(m, ram);
	for (uint32_t i = 0; i < params->e820_entries; i++) {
		params->e820_table[i].addr = ram[i].gpa;
		params->e820_table[i].size = ram[i].len;
		params->e820_table[i].type = E820_RAM;
	}
}

static int load(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		struct vmb_vmm_boot_state *state)
{
	struct boot_params params = { 0 };
	uint64_t initrd_gpa;
	int error;

	error = vmb_vmm_boot_place(boot, m, &initrd_gpa);
	if (error)
		return error;
	memcpy((uint8_t *)&params + HEADER_AT, boot->setup_header, boot->setup_header_len);
	params.hdr.type_of_loader = LOADER_UNDEFINED;
	params.hdr.cmd_line_ptr = VMB_VMM_BOOT_CMDLINE_GPA;
	params.hdr.ramdisk_image = initrd_gpa;
	params.hdr.ramdisk_size = boot->initrd_len;
	params.acpi_rsdp_addr = VMB_VMM_ACPI_GPA;
	fill_memory_map(&params, m);
	if (!vmb_dev_memory_write(m, VMB_VMM_BOOT_PARAMS_GPA, &params, sizeof(params)) ||
	    !vmb_vmm_boot_tables(m, VMB_VMM_BOOT_TABLES_GPA))
		return -EINVAL;
	state->long_mode = true;
	state->tables_gpa = VMB_VMM_BOOT_TABLES_GPA;
	state->rip = boot->entry_gpa;
	state->rsi = VMB_VMM_BOOT_PARAMS_GPA;
	return 0;
}

const struct vmb_vmm_boot_format vmb_vmm_boot_linux = { probe, load };
