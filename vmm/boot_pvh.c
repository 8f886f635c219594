// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An ELF kernel with a PVH note: the note gives a 32-bit entry point that is called in protected
 * mode without paging, EBX naming a start structure. Source: Xen's document pvh.pandoc and its
 * start_info ABI.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "devices/report.h"
#include "vmm/boot.h"

#define NOTE_PHYS32_ENTRY 18u /* of owner "Xen" */
#define NOTE_LEN_MAX	  (1u << 20)
#define START_MAGIC	  0x336EC578u
#define START_VERSION	  1u
#define MAP_TYPE_RAM	  1u

/* The start structure and what it points at, one after the other. */
struct start {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules_gpa;
	uint64_t cmdline_gpa;
	uint64_t rsdp_gpa;
	uint64_t map_gpa;
	uint32_t map_count;
	uint32_t reserved;
	struct {
		uint64_t gpa, len, cmdline_gpa, reserved;
	} module;
	struct {
		uint64_t gpa, len;
		uint32_t type, reserved;
	} map[3];
};
VMB_ASSERT_OFFSET(struct start, module, 56);
VMB_ASSERT_OFFSET(struct start, map, 88);

static int refuse(const struct vmb_vmm_boot *boot, const char *why)
{
	vmb_dev_report("--kernel %s: an ELF file, but %s", boot->kernel_path, why);
	return -EINVAL;
}

static uint32_t align_up(uint32_t len, uint32_t to)
{
	return (len + to - 1) & ~(to - 1);
}

/* Looks through one note segment of len bytes at offset. */
static bool scan_notes(const struct vmb_vmm_boot *boot, uint64_t offset, uint64_t len,
		       uint64_t align, uint64_t *entry)
{
	uint32_t unit = align == 8 ? 8 : 4, name_len, desc_len, word;
	Elf64_Nhdr note;
	char name[4];

	while (len >= sizeof(note) && vmb_vmm_boot_read(boot, offset, &note, sizeof(note))) {
		if (note.n_namesz > NOTE_LEN_MAX || note.n_descsz > NOTE_LEN_MAX)
			return false;
		name_len = align_up(note.n_namesz, unit);
		desc_len = align_up(note.n_descsz, unit);
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(name) &&
		    note.n_descsz >= sizeof(word) &&
		    vmb_vmm_boot_read(boot, offset + sizeof(note), name, sizeof(name)) &&
		    memcmp(name, "Xen", sizeof(name)) == 0 &&
		    vmb_vmm_boot_read(boot, offset + sizeof(note) + name_len, &word,
				      sizeof(word))) {
			*entry = word;
			return true;
		}
		if (len - sizeof(note) < (uint64_t)name_len + desc_len)
			return false;
		offset += sizeof(note) + name_len + desc_len;
		len -= sizeof(note) + name_len + desc_len;
	}
	return false;
}

static int add_segment(struct vmb_vmm_boot *boot, const Elf64_Phdr *segment)
{
	uint32_t n = boot->segment_count;

	if (!segment->p_memsz)
		return 0;
	if (n == VMB_VMM_BOOT_SEGMENT_MAX)
		return refuse(boot, "with too many segments");
	if (segment->p_filesz > segment->p_memsz || segment->p_paddr > VMB_VMM_LOW_MAX ||
	    segment->p_memsz > VMB_VMM_LOW_MAX || segment->p_offset > boot->kernel_len ||
	    segment->p_filesz > boot->kernel_len - segment->p_offset)
		return refuse(boot, "with a segment that is not in the file or not below 3 GiB");
	boot->segments[n].file_offset = segment->p_offset;
	boot->segments[n].file_len = segment->p_filesz;
	boot->segments[n].gpa = segment->p_paddr;
	boot->segments[n].memory_len = segment->p_memsz;
	boot->segment_count++;
	if (!n || segment->p_paddr < boot->first_gpa)
		boot->first_gpa = segment->p_paddr;
	if (segment->p_paddr + segment->p_memsz > boot->end_gpa)
		boot->end_gpa = segment->p_paddr + segment->p_memsz;
	return 0;
}

/* Both classes of ELF, and both machine types: the entry is 32-bit code in any case. */
struct elf {
	bool wide;
	uint64_t segments_at;
	uint32_t segment_count, segment_len;
};

/*
 * Returns 1 if it is an ELF file for this processor, 0 if it is no ELF file, -errno if it is
 * another ELF file: reported.
 */
static int read_head(const struct vmb_vmm_boot *boot, struct elf *elf)
{
	Elf64_Ehdr wide;
	Elf32_Ehdr narrow;

	if (!vmb_vmm_boot_read(boot, 0, &narrow, sizeof(narrow)) ||
	    memcmp(narrow.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	elf->wide = narrow.e_ident[EI_CLASS] == ELFCLASS64;
	if (elf->wide && !vmb_vmm_boot_read(boot, 0, &wide, sizeof(wide)))
		return refuse(boot, "the file is cut short");
	elf->segments_at = elf->wide ? wide.e_phoff : narrow.e_phoff;
	elf->segment_count = elf->wide ? wide.e_phnum : narrow.e_phnum;
	elf->segment_len = elf->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if ((!elf->wide && narrow.e_ident[EI_CLASS] != ELFCLASS32) ||
	    (narrow.e_machine != EM_X86_64 && narrow.e_machine != EM_386) ||
	    (elf->wide ? wide.e_phentsize : narrow.e_phentsize) != elf->segment_len)
		return refuse(boot, "not for x86");
	return 1;
}

static bool read_segment(const struct vmb_vmm_boot *boot, const struct elf *elf, uint32_t number,
			 Elf64_Phdr *segment)
{
	uint64_t offset = elf->segments_at + (uint64_t)number * elf->segment_len;
	Elf32_Phdr narrow;

	if (elf->wide)
		return vmb_vmm_boot_read(boot, offset, segment, sizeof(*segment));
	if (!vmb_vmm_boot_read(boot, offset, &narrow, sizeof(narrow)))
		return false;
	*segment = (Elf64_Phdr){ .p_type = narrow.p_type,
				 .p_offset = narrow.p_offset,
				 .p_paddr = narrow.p_paddr,
				 .p_filesz = narrow.p_filesz,
				 .p_memsz = narrow.p_memsz,
				 .p_align = narrow.p_align };
	return true;
}

static int probe(struct vmb_vmm_boot *boot)
{
	Elf64_Phdr segment;
	struct elf elf;
	bool found = false;
	int error = read_head(boot, &elf);

	if (error <= 0)
		return error;
	error = 0;
	for (uint32_t i = 0; i < elf.segment_count && !error; i++) {
		if (!read_segment(boot, &elf, i, &segment))
			return refuse(boot, "the file is cut short");
		if (segment.p_type == PT_LOAD)
			error = add_segment(boot, &segment);
		else if (segment.p_type == PT_NOTE && !found)
			found = scan_notes(boot, segment.p_offset, segment.p_filesz,
					   segment.p_align, &boot->entry_gpa);
	}
	if (error)
		return error;
	if (!found || !boot->segment_count)
		return refuse(boot, "without a PVH note, so nothing says how to start it");
	boot->initrd_end_max = VMB_VMM_LOW_MAX;
	boot->cmdline_len_max = VMB_VMM_BOOT_CMDLINE_MAX - 1;
	return 1;
}

static void fill_memory_map(struct start *start, const struct vmb_dev_memory *m)
{
	struct vmb_vmm_boot_range ram[3];

	start->map_gpa = VMB_VMM_BOOT_PARAMS_GPA + offsetof(struct start, map);
	start->map_count = vmb_vmm_boot_ram(m, ram);
	for (uint32_t i = 0; i < start->map_count; i++) {
		start->map[i].gpa = ram[i].gpa;
		start->map[i].len = ram[i].len;
		start->map[i].type = MAP_TYPE_RAM;
	}
}

static int load(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		struct vmb_vmm_boot_state *state)
{
	struct start start = {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.cmdline_gpa = VMB_VMM_BOOT_CMDLINE_GPA,
		.rsdp_gpa = VMB_VMM_ACPI_GPA,
	};
	int error = vmb_vmm_boot_place(boot, m, &start.module.gpa);

	if (error)
		return error;
	if (start.module.gpa) {
		start.module.len = boot->initrd_len;
		start.module_count = 1;
		start.modules_gpa = VMB_VMM_BOOT_PARAMS_GPA + offsetof(struct start, module);
	}
	fill_memory_map(&start, m);
	if (!vmb_dev_memory_write(m, VMB_VMM_BOOT_PARAMS_GPA, &start, sizeof(start)))
		return -EINVAL;
	state->rip = boot->entry_gpa;
	state->rbx = VMB_VMM_BOOT_PARAMS_GPA;
	return 0;
}

const struct vmb_vmm_boot_format vmb_vmm_boot_pvh = { probe, load };
