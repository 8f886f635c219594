// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What both kernel formats share: opens kernel and initrd, checks that they fit, and places them in
 * guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/boot.h"

#define MIB		(1ull << 20)
#define PAGE_PRESENT_RW 0x3u
#define PAGE_HUGE	0x80u
#define MAPPED_GIB	4u
#define LOADED_FROM_GPA MIB /* nothing of a kernel may lie below */

static int open_file(const char *option, const char *path, int *fd, uint64_t *len)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0) {
		vmb_dev_report("%s %s: %s; give a file that can be read", option, path,
			       strerror(errno));
		return -EINVAL;
	}
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode)) {
		vmb_dev_report("%s %s: not a regular file; give a file that can be read", option,
			       path);
		return -EINVAL;
	}
	if (!st.st_size) {
		vmb_dev_report("%s %s: the file is empty", option, path);
		return -EINVAL;
	}
	*len = st.st_size;
	return 0;
}

bool vmb_vmm_boot_read(const struct vmb_vmm_boot *boot, uint64_t offset, void *dst, uint64_t len)
{
	if (offset > boot->kernel_len || len > boot->kernel_len - offset)
		return false;
	return pread(boot->kernel_fd, dst, len, (off_t)offset) == (ssize_t)len;
}

/* Boot loaders come in formats for firmware, and this machine has none. */
static const char *what_else(const struct vmb_vmm_boot *boot)
{
	char start[2] = { 0 }, end[2] = { 0 }, magic[4] = { 0 };

	vmb_vmm_boot_read(boot, 0, start, sizeof(start));
	vmb_vmm_boot_read(boot, 510, end, sizeof(end));
	vmb_vmm_boot_read(boot, 514, magic, sizeof(magic));
	if (memcmp(magic, "HdrS", sizeof(magic)) == 0)
		return "a Linux kernel that is cut short";
	if (memcmp(start, "MZ", sizeof(start)) == 0)
		return "an EFI program, and this machine has no firmware";
	if (memcmp(end, "\x55\xAA", sizeof(end)) == 0)
		return "a boot sector or a loader that needs a BIOS, and this machine has none";
	return "not a kernel that can be started";
}

static int find_format(struct vmb_vmm_boot *boot)
{
	const struct vmb_vmm_boot_format *const formats[] = { &vmb_vmm_boot_linux,
							      &vmb_vmm_boot_pvh };
	int found;

	for (size_t i = 0; i < VMB_ARRAY_COUNT(formats); i++) {
		found = formats[i]->probe(boot);
		if (found < 0)
			return found;
		if (found) {
			boot->format = formats[i];
			return 0;
		}
	}
	vmb_dev_report("--kernel %s: %s; give a Linux bzImage (vmlinuz) or an ELF file with a PVH "
		       "note",
		       boot->kernel_path, what_else(boot));
	return -EINVAL;
}

int vmb_vmm_boot_open(struct vmb_vmm_boot *boot, const char *kernel, const char *initrd,
		      const char *append)
{
	int error;

	memset(boot, 0, sizeof(*boot));
	boot->kernel_path = kernel;
	boot->initrd_path = initrd;
	boot->append = append;
	boot->initrd_fd = -1;
	error = open_file("--kernel", kernel, &boot->kernel_fd, &boot->kernel_len);
	if (!error)
		error = find_format(boot);
	if (!error && initrd)
		error = open_file("--initrd", initrd, &boot->initrd_fd, &boot->initrd_len);
	if (!error && strlen(append) > boot->cmdline_len_max) {
		vmb_dev_report("--append: %zu characters; this kernel takes at most %u",
			       strlen(append), boot->cmdline_len_max);
		error = -EINVAL;
	}
	return error;
}

void vmb_vmm_boot_close(struct vmb_vmm_boot *boot)
{
	if (boot->kernel_fd >= 0)
		close(boot->kernel_fd);
	if (boot->initrd_fd >= 0)
		close(boot->initrd_fd);
}

/* As high as allowed, so that the kernel can grow below it. 0: there is no room. */
static uint64_t place_initrd(const struct vmb_vmm_boot *boot, uint64_t low_len)
{
	uint64_t end = boot->initrd_end_max < low_len ? boot->initrd_end_max : low_len;
	uint64_t gpa;

	if (end < boot->end_gpa || end - boot->end_gpa < boot->initrd_len)
		return 0;
	gpa = (end - boot->initrd_len) & ~(uint64_t)(VMB_PAGE_LEN - 1);
	return gpa < boot->end_gpa ? 0 : gpa;
}

int vmb_vmm_boot_check(const struct vmb_vmm_boot *boot, uint64_t memory_len)
{
	uint64_t low_len = memory_len < VMB_VMM_LOW_MAX ? memory_len : VMB_VMM_LOW_MAX;

	if (boot->first_gpa < LOADED_FROM_GPA) {
		vmb_dev_report("--kernel %s: wants to lie below 1 MiB, where the loader is",
			       boot->kernel_path);
		return -EINVAL;
	}
	if (boot->end_gpa > low_len) {
		vmb_dev_report("--kernel %s: needs memory up to %llu MiB; give more --memory",
			       boot->kernel_path, (unsigned long long)(boot->end_gpa / MIB + 1));
		return -EINVAL;
	}
	if (boot->initrd_fd >= 0 && !place_initrd(boot, low_len)) {
		vmb_dev_report("--initrd %s: %llu MiB do not fit beside the kernel; give more "
			       "--memory",
			       boot->initrd_path, (unsigned long long)(boot->initrd_len / MIB + 1));
		return -EINVAL;
	}
	return 0;
}

static int load_file(int fd, uint64_t offset, void *dst, uint64_t len, const char *path)
{
	uint8_t *to = dst;
	ssize_t got;

	while (len) {
		got = pread(fd, to, len, (off_t)offset);
		if (got <= 0) {
			vmb_dev_report("%s: %s", path,
				       got ? strerror(errno) : "shorter than before");
			return -EIO;
		}
		to += got;
		offset += got;
		len -= got;
	}
	return 0;
}

static int load_segments(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m)
{
	void *dst;
	int error;

	for (uint32_t i = 0; i < boot->segment_count; i++) {
		dst = vmb_dev_memory_at(m, boot->segments[i].gpa, boot->segments[i].memory_len);
		if (!dst || boot->segments[i].file_len > boot->segments[i].memory_len)
			return -EINVAL;
		error = load_file(boot->kernel_fd, boot->segments[i].file_offset, dst,
				  boot->segments[i].file_len, boot->kernel_path);
		if (error)
			return error;
	}
	return 0;
}

int vmb_vmm_boot_place(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		       uint64_t *initrd_gpa)
{
	int error = load_segments(boot, m);
	void *dst;

	*initrd_gpa = 0;
	if (error)
		return error;
	if (!vmb_dev_memory_write(m, VMB_VMM_BOOT_CMDLINE_GPA, boot->append,
				  strlen(boot->append) + 1))
		return -EINVAL;
	if (boot->initrd_fd < 0)
		return 0;
	*initrd_gpa = place_initrd(boot, vmb_vmm_memory_low_len(m));
	dst = vmb_dev_memory_at(m, *initrd_gpa, boot->initrd_len);
	if (!*initrd_gpa || !dst)
		return -EINVAL;
	return load_file(boot->initrd_fd, 0, dst, boot->initrd_len, boot->initrd_path);
}

/* The guest has no RAM from 640 KiB to 1 MiB: the ACPI tables are there. */
uint32_t vmb_vmm_boot_ram(const struct vmb_dev_memory *m, struct vmb_vmm_boot_range range[3])
{
	range[0] = (struct vmb_vmm_boot_range){ 0, VMB_VMM_BOOT_LOW_RAM_END };
	range[1] = (struct vmb_vmm_boot_range){ MIB, vmb_vmm_memory_low_len(m) - MIB };
	range[2] = (struct vmb_vmm_boot_range){ VMB_VMM_HIGH_BASE, vmb_vmm_memory_high_len(m) };
	return vmb_vmm_memory_high_len(m) ? 3 : 2;
}

/*
 * Identity for the first 4 GiB in 2 MiB pages: one page of level 4, one of level 3, four of level
 * 2.
 */
bool vmb_vmm_boot_tables(const struct vmb_dev_memory *m, uint64_t gpa)
{
	uint64_t *table = vmb_dev_memory_at(m, gpa, (2 + MAPPED_GIB) * VMB_PAGE_LEN);
	uint64_t *level3, *level2;

	if (!table)
		return false;
	level3 = table + 512;
	level2 = level3 + 512;
	table[0] = (gpa + VMB_PAGE_LEN) | PAGE_PRESENT_RW;
	for (uint64_t i = 0; i < MAPPED_GIB; i++)
		level3[i] = (gpa + (2 + i) * VMB_PAGE_LEN) | PAGE_PRESENT_RW;
	for (uint64_t i = 0; i < MAPPED_GIB * 512; i++)
		level2[i] = i << 21 | PAGE_PRESENT_RW | PAGE_HUGE;
	return true;
}

int vmb_vmm_boot_load(const struct vmb_vmm_boot *boot, const struct vmb_dev_memory *m,
		      struct vmb_vmm_boot_state *state)
{
	memset(state, 0, sizeof(*state));
	state->gdt_gpa = VMB_VMM_BOOT_GDT_GPA;
	return boot->format->load(boot, m, state);
}
