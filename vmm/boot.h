/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Starting a guest's kernel without firmware. (boot_uefi.c starts firmware.)
 *
 *   vmb_vmm_boot_open(&boot, kernel, initrd, append)   opens the files and finds their format
 *   vmb_vmm_boot_check(&boot, memory_len)              checks that they fit into memory
 *   for every start of the machine:
 *     vmb_vmm_boot_load(&boot, &memory, &state)        the first processor begins in state
 *   vmb_vmm_boot_close(&boot)
 *
 * What is wrong with a file is reported in one line. The files stay open, so a reset starts the
 * same kernel even when the file was replaced meanwhile.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "vmm/memory.h"

#define VMB_VMM_ACPI_GPA	 0xE0000u /* RSDP and tables, up to SMBIOS (vmm/smbios.h) */
#define VMB_VMM_ACPI_LEN_MAX	 0x10000u

/* Below 1 MiB: what the loaders write. All of it is RAM that the kernel may reuse. */
#define VMB_VMM_BOOT_GDT_GPA	 0x6000u
#define VMB_VMM_BOOT_PARAMS_GPA	 0x7000u /* zero page, or the PVH start structure */
#define VMB_VMM_BOOT_TABLES_GPA	 0x9000u /* page tables, six pages */
#define VMB_VMM_BOOT_CMDLINE_GPA 0x20000u
#define VMB_VMM_BOOT_CMDLINE_MAX 0x10000u
#define VMB_VMM_BOOT_LOW_RAM_END 0xA0000u

struct vmb_vmm_boot;
struct vmb_vmm_boot_uefi;

/* How the first processor begins. */
struct vmb_vmm_boot_state {
	/* 64-bit with identity page tables; else 32-bit protected mode without paging */
	bool long_mode;
	bool firmware; /* with what firmware finds switched on, and memory types by MTRR */
	uint64_t tables_gpa; /* of the page tables */
	uint64_t gdt_gpa; /* where the GDT is written; the stack begins below it */
	uint64_t rip, rsi, rbx, rbp;
};

struct vmb_vmm_boot_format {
	/*
	 * Returns 1 and fills in boot if the kernel has this format; 0 if it has not; -errno,
	 * reported, if it has but is invalid.
	 */
	int (*probe)(struct vmb_vmm_boot *boot);
	/* Writes the kernel and its parameters to memory. */
	int (*load)(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		    struct vmb_vmm_boot_state *state);
};

#define VMB_VMM_BOOT_SEGMENT_MAX 16u

struct vmb_vmm_boot {
	const char *kernel_path;
	const char *initrd_path;
	const char *append;
	int kernel_fd;
	int initrd_fd; /* -1: none */
	uint64_t kernel_len, initrd_len; /* bytes of the files */
	const struct vmb_vmm_boot_format *format;
	struct vmb_vmm_boot_uefi *uefi; /* firmware instead of a kernel; else NULL */

	/* filled by probe */
	uint64_t first_gpa, end_gpa; /* memory that the kernel takes */
	uint64_t entry_gpa;
	uint64_t initrd_end_max; /* the initrd must end at or below this address */
	uint32_t cmdline_len_max; /* without the NUL */
	uint32_t segment_count;
	struct {
		uint64_t file_offset, file_len, gpa, memory_len;
	} segments[VMB_VMM_BOOT_SEGMENT_MAX];
	uint8_t setup_header[0x270 - 0x1F1]; /* bzImage: as the file has it */
	uint32_t setup_header_len;
};

extern const struct vmb_vmm_boot_format vmb_vmm_boot_linux;
extern const struct vmb_vmm_boot_format vmb_vmm_boot_pvh;

/* initrd may be NULL; the strings must outlive boot. These return 0, or -errno: reported. */
int vmb_vmm_boot_open(struct vmb_vmm_boot *boot, const char *kernel, const char *initrd,
		      const char *append);
int vmb_vmm_boot_check(const struct vmb_vmm_boot *boot, uint64_t memory_len);
int vmb_vmm_boot_load(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		      struct vmb_vmm_boot_state *state);
/* Closes the files. */
void vmb_vmm_boot_close(struct vmb_vmm_boot *boot);

/* For the formats. */

/* Writes page tables for long mode at gpa, six pages: the first 4 GiB as they are. */
bool vmb_vmm_boot_tables(const struct vmb_dev_memory *m, uint64_t gpa);

/*
 * Reads exactly len bytes at offset of the kernel file. Returns false if the file has no such
 * bytes.
 */
bool vmb_vmm_boot_read(const struct vmb_vmm_boot *boot, uint64_t offset, void *dst, uint64_t len);
/* Loads the segments, the initrd and the command line. Returns 0, or -errno: reported. */
int vmb_vmm_boot_place(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		       uint64_t *initrd_gpa);

struct vmb_vmm_boot_range {
	uint64_t gpa, len;
};
/* The ranges of RAM that the guest is told of. Returns how many there are. */
uint32_t vmb_vmm_boot_ram(const struct vmb_dev_memory *m, struct vmb_vmm_boot_range range[3]);

#endif
