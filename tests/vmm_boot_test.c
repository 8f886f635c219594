// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loading kernels: made-up files of both kinds, good ones judged by what stands in guest memory,
 * bad ones by being refused. And the command line's sizes, and the ACPI tables' checksums.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/text.h"
#include "vmm/acpi.h"
#include "vmm/power.h"
#include "vmm/boot.h"
#include "vmm/options.h"
#include "vmm/smbios.h"

#define MIB	 (1ull << 20)
#define FILE_LEN 65536u
#define ENTRY	 0x1000040u

static char kernel_path[] = "/tmp/vmm-kernel-XXXXXX", initrd_path[] = "/tmp/vmm-initrd-XXXXXX";
static uint8_t file[FILE_LEN];
static struct vmb_vmm_boot boot;

static void make(char *path, const void *bytes, size_t len)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static int open_kernel(size_t len, const char *initrd, const char *append)
{
	int error;

	make(kernel_path, file, len);
	error = vmb_vmm_boot_open(&boot, kernel_path, initrd, append);
	unlink(kernel_path);
	return error;
}

static void put(size_t offset, uint64_t value, size_t len)
{
	memcpy(file + offset, &value, len);
}

static uint64_t get(const void *from, size_t offset, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)from + offset, len);
	return value;
}

static void linux_kernel(void)
{
	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = i;
	put(0x1F1, 1, 1);
	put(0x1FE, 0xAA55, 2);
	put(0x200, 0x66EB, 2);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020F, 2);
	put(0x211, 1, 1);
	put(0x22C, 0x7FFFFFFF, 4);
	put(0x236, 1, 2);
	put(0x238, 100, 4);
	put(0x258, 16 * MIB, 8);
	put(0x260, 8 * MIB, 4);
}

/*
 * One loadable segment at 16 MiB, and a segment of two notes, the second of which is the one that
 * counts.
 */
static void elf_kernel(void)
{
	const Elf64_Ehdr head = { .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
				  .e_machine = EM_X86_64,
				  .e_phoff = 64,
				  .e_phentsize = sizeof(Elf64_Phdr),
				  .e_phnum = 2 };
	const Elf64_Phdr load = { .p_type = PT_LOAD,
				  .p_offset = 4096,
				  .p_filesz = 8192,
				  .p_memsz = 16384,
				  .p_paddr = 16 * MIB };
	const Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = 1024, .p_filesz = 48, .p_align = 4
	};
	const struct {
		Elf64_Nhdr other;
		char other_name[4];
		uint32_t other_desc;
		Elf64_Nhdr pvh;
		char pvh_name[4];
		uint64_t entry;
	} __attribute__((packed)) notes = { { 4, 4, 1 }, "GNU", 0, { 4, 8, 18 }, "Xen", ENTRY };

	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = 3 * i;
	memcpy(file, &head, sizeof(head));
	memcpy(file + 64, &load, sizeof(load));
	memcpy(file + 64 + sizeof(load), &note, sizeof(note));
	memcpy(file + 1024, &notes, sizeof(notes));
}

static void load(struct vmb_dev_memory *m, uint64_t len, struct vmb_vmm_boot_state *state)
{
	assert_int_equal(vmb_vmm_boot_check(&boot, len), 0);
	assert_int_equal(vmb_vmm_memory_create(m, len, len), 0);
	assert_int_equal(vmb_vmm_boot_load(&boot, m, state), 0);
	vmb_vmm_boot_close(&boot);
}

static void test_linux_kernel_is_loaded_with_its_parameters(void **unused)
{
	static uint8_t initrd[10000];
	struct vmb_vmm_boot_state state;
	struct vmb_dev_memory m;
	uint8_t *params;
	uint64_t gpa;

	memset(initrd, 0x77, sizeof(initrd));
	make(initrd_path, initrd, sizeof(initrd));
	linux_kernel();
	assert_int_equal(open_kernel(FILE_LEN, initrd_path, "console=ttyS0"), 0);
	unlink(initrd_path);
	load(&m, 4096 * MIB, &state);
	assert_true(state.long_mode);
	assert_int_equal(state.rip, 16 * MIB + 0x200);
	assert_memory_equal(m.regions[0].base + 16 * MIB, file + 1024, FILE_LEN - 1024);
	params = m.regions[0].base + state.rsi;
	assert_memory_equal(params + 0x1F1, file + 0x1F1, 0x210 - 0x1F1);
	assert_int_equal(params[0x210], 0xFF);
	assert_string_equal((char *)m.regions[0].base + get(params, 0x228, 4), "console=ttyS0");
	gpa = get(params, 0x218, 4);
	assert_int_equal(get(params, 0x21C, 4), sizeof(initrd));
	assert_true(gpa >= 24 * MIB && gpa + sizeof(initrd) <= 0x80000000);
	assert_memory_equal(m.regions[0].base + gpa, initrd, sizeof(initrd));
	assert_int_equal(get(params, 0x70, 8), VMB_VMM_ACPI_GPA);
	assert_int_equal(params[0x1E8], 3); /* memory map: up to 640 KiB, up to 3 GiB, from 4 GiB */
	assert_int_equal(get(params, 0x2D0 + 8, 8), 640 * 1024);
	assert_int_equal(get(params, 0x2D0 + 20, 8), MIB);
	assert_int_equal(get(params, 0x2D0 + 28, 8), VMB_VMM_LOW_MAX - MIB);
	assert_int_equal(get(params, 0x2D0 + 40, 8), VMB_VMM_HIGH_BASE);
	assert_int_equal(get(params, 0x2D0 + 48, 8), 1024 * MIB);
	vmb_vmm_memory_destroy(&m);
}

/* Walks the tables as the processor does. */
static void test_page_tables_map_4_gib_to_themselves(void **unused)
{
	struct vmb_vmm_boot_state state;
	struct vmb_dev_memory m;

	linux_kernel();
	assert_int_equal(open_kernel(FILE_LEN, NULL, ""), 0);
	load(&m, 64 * MIB, &state);
	for (uint64_t gpa = 0; gpa < 4096 * MIB; gpa += 2 * MIB) {
		uint64_t entry = get(m.regions[0].base, VMB_VMM_BOOT_TABLES_GPA, 8);

		assert_int_equal(entry & 3, 3);
		entry = get(m.regions[0].base + (entry & ~0xFFFull), (gpa >> 30) * 8, 8);
		assert_int_equal(entry & 3, 3);
		entry = get(m.regions[0].base + (entry & ~0xFFFull), (gpa >> 21 & 511) * 8, 8);
		assert_int_equal(entry & 0x83, 0x83);
		assert_int_equal(entry & ~0xFFFull, gpa);
	}
	vmb_vmm_memory_destroy(&m);
}

/* The same in 32-bit form, as 32-bit loaders are. */
static void narrow_elf_kernel(void)
{
	const Elf32_Ehdr head = { .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 },
				  .e_machine = EM_386,
				  .e_phoff = 64,
				  .e_phentsize = sizeof(Elf32_Phdr),
				  .e_phnum = 2 };
	const Elf32_Phdr load = { .p_type = PT_LOAD,
				  .p_offset = 4096,
				  .p_filesz = 8192,
				  .p_memsz = 16384,
				  .p_paddr = 16 * MIB };
	const Elf32_Phdr note = {
		.p_type = PT_NOTE, .p_offset = 1024, .p_filesz = 48, .p_align = 4
	};

	elf_kernel();
	memset(file, 0, 64 + 2 * sizeof(Elf64_Phdr));
	memcpy(file, &head, sizeof(head));
	memcpy(file + 64, &load, sizeof(load));
	memcpy(file + 64 + sizeof(load), &note, sizeof(note));
}

static void test_32_bit_elf_kernels_are_kernels_too(void **unused)
{
	struct vmb_vmm_boot_state state;
	struct vmb_dev_memory m;

	narrow_elf_kernel();
	assert_int_equal(open_kernel(FILE_LEN, NULL, "quiet"), 0);
	load(&m, 64 * MIB, &state);
	assert_false(state.long_mode);
	assert_int_equal(state.rip, ENTRY);
	assert_memory_equal(m.regions[0].base + 16 * MIB, file + 4096, 8192);
	vmb_vmm_memory_destroy(&m);
	elf_kernel();
	put(18, EM_386, 2); /* class and machine type need not agree */
	assert_int_equal(open_kernel(FILE_LEN, NULL, "quiet"), 0);
	vmb_vmm_boot_close(&boot);
	put(18, EM_ARM, 2);
	assert_int_equal(open_kernel(FILE_LEN, NULL, "quiet"), -EINVAL);
	narrow_elf_kernel();
	assert_int_equal(open_kernel(64 + sizeof(Elf32_Phdr), NULL, ""), -EINVAL);
}

static void test_elf_kernel_is_loaded_through_its_note(void **unused)
{
	struct vmb_vmm_boot_state state;
	struct vmb_dev_memory m;
	static uint8_t zero[8192];
	uint8_t *start;

	elf_kernel();
	assert_int_equal(open_kernel(FILE_LEN, NULL, "quiet"), 0);
	load(&m, 64 * MIB, &state);
	assert_false(state.long_mode);
	assert_int_equal(state.rip, ENTRY);
	assert_memory_equal(m.regions[0].base + 16 * MIB, file + 4096, 8192);
	assert_memory_equal(m.regions[0].base + 16 * MIB + 8192, zero, 8192);
	start = m.regions[0].base + state.rbx;
	assert_int_equal(get(start, 0, 4), 0x336EC578);
	assert_int_equal(get(start, 12, 4), 0); /* modules */
	assert_string_equal((char *)m.regions[0].base + get(start, 24, 8), "quiet");
	assert_int_equal(get(start, 32, 8), VMB_VMM_ACPI_GPA);
	assert_int_equal(get(start, 48, 4), 2);
	assert_int_equal(get(m.regions[0].base, get(start, 40, 8) + 24, 8), MIB);
	vmb_vmm_memory_destroy(&m);
}

static void test_bad_linux_headers_are_refused(void **unused)
{
	static const struct {
		size_t offset;
		uint64_t value;
		size_t len;
	} bad[] = {
		{ 0x1FE, 0, 2 },	  { 0x202, 0, 4 },
		{ 0x206, 0x0200, 2 },	  { 0x211, 0, 1 },
		{ 0x236, 0, 2 },	  { 0x258, UINT64_MAX, 8 },
		{ 0x1F1, 200, 1 },	  { 0x258, 0x1000, 8 },
		{ 0x260, 0xFFFFFFFF, 4 }, { 0x258, UINT64_MAX - 100, 8 },
	};
	int error;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++) {
		linux_kernel();
		put(bad[i].offset, bad[i].value, bad[i].len);
		error = open_kernel(FILE_LEN, NULL, "");
		if (!error)
			error = vmb_vmm_boot_check(&boot, 1024 * MIB);
		assert_int_equal(error, -EINVAL);
		vmb_vmm_boot_close(&boot);
	}
}

static void test_cut_files_are_refused(void **unused)
{
	for (size_t len = 1; len < 2048; len++) {
		linux_kernel();
		if (open_kernel(len, NULL, "") == 0)
			assert_true(len > 1024 + 0x200);
		vmb_vmm_boot_close(&boot);
		elf_kernel();
		assert_int_equal(open_kernel(len, NULL, ""), -EINVAL);
		vmb_vmm_boot_close(&boot);
	}
}

/* Every header word set to extremes: refused or loaded, but nothing outside memory is touched. */
static void test_hostile_elf_headers_touch_nothing(void **unused)
{
	static const uint64_t values[] = { 0,	       1,	   0x7FFFFFFF, 0xFFFFFFFF,
					   1ull << 63, UINT64_MAX, 0xC0000000, UINT64_MAX - 4095 };
	struct vmb_vmm_boot_state state;
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	for (size_t at = 32; at < 1024 + 48; at = at == 176 ? 1024 : at + 4) {
		for (size_t i = 0; i < 2 * VMB_ARRAY_COUNT(values); i++) {
			elf_kernel();
			put(at, values[i / 2], i % 2 ? 8 : 4);
			if (open_kernel(FILE_LEN, NULL, "") == 0 &&
			    vmb_vmm_boot_check(&boot, 64 * MIB) == 0)
				vmb_vmm_boot_load(&boot, &m, &state);
			vmb_vmm_boot_close(&boot);
		}
	}
	vmb_vmm_memory_destroy(&m);
}

static void test_sizes_are_understood(void **unused)
{
	static const struct {
		const char *text;
		uint64_t len;
	} good[] = { { "0", 0 },
		     { "4096", 4096 },
		     { "64K", 65536 },
		     { "64k", 65536 },
		     { "512M", 512 * MIB },
		     { "1G", 1024 * MIB },
		     { "1T", 1024 * 1024 * MIB } };
	static const char *const bad[] = {
		"",	     "G",    "1GG",  "1 G", "-1",
		"+1",	     "1.5G", "0x10", "1B",  "18446744073709551616",
		"16777216T", "1 "
	};
	uint64_t len;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(good); i++) {
		assert_true(vmb_dev_text_size(good[i].text, &len));
		assert_int_equal(len, good[i].len);
	}
	for (size_t i = 0; i < VMB_ARRAY_COUNT(bad); i++)
		assert_false(vmb_dev_text_size(bad[i], &len));
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *bytes++;
	return total;
}

/* The string of a structure, from 1; its strings end with an empty one. */
static const char *string_of(const uint8_t *structure, uint32_t index)
{
	const char *text = (const char *)structure + structure[1];

	while (--index && *text)
		text += strlen(text) + 1;
	return text;
}

/* The structure behind this one. */
static const uint8_t *after(const uint8_t *structure)
{
	const uint8_t *end = structure + structure[1];

	while (end[0] || end[1])
		end++;
	return end + 2;
}

static void test_smbios_names_the_machine(void **unused)
{
	static const uint8_t uuid[16] = "0123456789abcdef";
	const uint8_t types[] = { 0, 1, 3, 127 };
	const uint8_t *entry, *at, *end;
	struct vmb_dev_memory m;
	char tag[VMB_VMM_SMBIOS_LEN_MAX];

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	for (int with = 0; with < 2; with++) {
		assert_true(vmb_vmm_smbios_write(&m, uuid, with ? "7783-7084" : NULL));
		entry = m.regions[0].base + VMB_VMM_SMBIOS_GPA;
		assert_memory_equal(entry, "_SM3_", 5);
		assert_int_equal(sum(entry, entry[6]), 0);
		at = m.regions[0].base + get(entry, 16, 8);
		end = at + get(entry, 12, 4);
		for (size_t i = 0; i < sizeof(types); i++, at = after(at)) {
			assert_true(at < end);
			assert_int_equal(at[0], types[i]);
			assert_int_equal(get(at, 2, 2), i);
			if (at[0] == 1) {
				assert_string_equal(string_of(at, at[4]), "Microsoft Corporation");
				assert_string_equal(string_of(at, at[5]), "Virtual Machine");
				assert_memory_equal(at + 8, uuid, 16);
			}
			if (at[0] == 3 && with)
				assert_string_equal(string_of(at, at[8]), "7783-7084");
			else if (at[0] == 3)
				assert_int_equal(at[8], 0);
		}
		assert_ptr_equal(at, end);
	}
	memset(tag, 'x', sizeof(tag));
	tag[sizeof(tag) - 1] = 0;
	assert_false(vmb_vmm_smbios_write(&m, uuid, tag));
	vmb_vmm_memory_destroy(&m);
}

static void check_table(const struct vmb_dev_memory *m, uint64_t gpa, const char *signature)
{
	const uint8_t *table = vmb_dev_memory_at(m, gpa, 36);

	assert_non_null(table);
	assert_memory_equal(table, signature, 4);
	assert_true(gpa >= VMB_VMM_ACPI_GPA &&
		    gpa + get(table, 4, 4) <= VMB_VMM_ACPI_GPA + VMB_VMM_ACPI_LEN_MAX);
	assert_int_equal(sum(table, get(table, 4, 4)), 0);
}

/* Name(_S5, Package () { 5 }): some guests use the sleep control register only then. */
static void check_power_off(const struct vmb_dev_memory *m, uint64_t dsdt)
{
	static const uint8_t name[] = { 0x08, '_', 'S', '5', '_', 0x12 };
	const uint8_t *table = vmb_dev_memory_at(m, dsdt, 36);
	const uint8_t *found = memmem(table, get(table, 4, 4), name, sizeof(name));
	uint32_t length_bytes;

	assert_non_null(found);
	found += sizeof(name);
	length_bytes = 1 + (*found >> 6);
	assert_int_equal(found[length_bytes], 1);
	assert_memory_equal(found + length_bytes + 1, ((uint8_t[]){ 0x0A, VMB_VMM_POWER_S5 }), 2);
}

/* As the tables describe them: 64 MiB from 0xF8000000 on, and 512 MiB above all RAM. */
static void test_memory_of_devices_is_within_the_windows(void **unused)
{
	static const struct {
		uint64_t gpa, len;
		bool within;
	} all[] = {
		{ 0xF8000000, 0x800000, true },
		{ 0xFB800000, 0x800000, true },
		{ 0xFB801000, 0x800000, false },
		{ 0xF7FFF000, 0x800000, false },
		{ 0xFEC00000, 0x1000, false },
		{ 0xFE0000000, 0x20000000, true },
		{ 0xFE0000000, 0x20001000, false },
		{ 0xFDFFFF000, 0x2000, false },
		{ 0, 0x1000, false },
	};
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 << 20, 64 << 20), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(all); i++)
		assert_int_equal(vmb_vmm_acpi_is_window(&m, all[i].gpa, all[i].len), all[i].within);
	vmb_vmm_memory_destroy(&m);
}

static void test_acpi_tables_hang_together(void **unused)
{
	const uint32_t counts[] = { 1, 4, 64 };
	const uint8_t *rsdp, *xsdt, *fadt, *madt;
	struct vmb_dev_memory m;

	assert_int_equal(vmb_vmm_memory_create(&m, 64 * MIB, 64 * MIB), 0);
	for (size_t i = 0; i < VMB_ARRAY_COUNT(counts); i++) {
		assert_true(vmb_vmm_acpi_write(&m, counts[i]));
		rsdp = m.regions[0].base + VMB_VMM_ACPI_GPA;
		assert_memory_equal(rsdp, "RSD PTR ", 8);
		assert_int_equal(sum(rsdp, 20), 0);
		assert_int_equal(sum(rsdp, 36), 0);
		check_table(&m, get(rsdp, 24, 8), "XSDT");
		xsdt = m.regions[0].base + get(rsdp, 24, 8);
		assert_int_equal(get(xsdt, 4, 4), 36 + 16);
		check_table(&m, get(xsdt, 36, 8), "FACP");
		check_table(&m, get(xsdt, 44, 8), "APIC");
		fadt = m.regions[0].base + get(xsdt, 36, 8);
		check_table(&m, get(fadt, 140, 8), "DSDT");
		check_power_off(&m, get(fadt, 140, 8));
		madt = m.regions[0].base + get(xsdt, 44, 8);
		assert_int_equal(get(madt, 4, 4), 44 + 12 + 6 + 8 * counts[i]);
	}
	vmb_vmm_memory_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_kernel_is_loaded_with_its_parameters),
		cmocka_unit_test(test_page_tables_map_4_gib_to_themselves),
		cmocka_unit_test(test_elf_kernel_is_loaded_through_its_note),
		cmocka_unit_test(test_32_bit_elf_kernels_are_kernels_too),
		cmocka_unit_test(test_bad_linux_headers_are_refused),
		cmocka_unit_test(test_cut_files_are_refused),
		cmocka_unit_test(test_hostile_elf_headers_touch_nothing),
		cmocka_unit_test(test_sizes_are_understood),
		cmocka_unit_test(test_smbios_names_the_machine),
		cmocka_unit_test(test_memory_of_devices_is_within_the_windows),
		cmocka_unit_test(test_acpi_tables_hang_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
