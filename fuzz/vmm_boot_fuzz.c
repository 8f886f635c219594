// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any file as a kernel: it is refused, or placed inside of the guest's memory. Where it begins is
 * its own affair.
 */
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/quiet.h"
#include "vmm/boot.h"
#include "vmm/memory.h"

#define MEMORY_LEN (64u << 20)

static void load(const struct vmb_vmm_boot *boot)
{
	struct vmb_vmm_boot_state state = { 0 };
	struct vmb_dev_memory memory;

	if (vmb_vmm_boot_check(boot, MEMORY_LEN))
		return;
	FUZZ_CHECK(boot->first_gpa <= boot->end_gpa && boot->end_gpa <= MEMORY_LEN);
	FUZZ_CHECK(!vmb_vmm_memory_create(&memory, MEMORY_LEN, MEMORY_LEN));
	vmb_vmm_boot_load(boot, &memory, &state);
	vmb_vmm_memory_destroy(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static int fd = -1;
	struct vmb_vmm_boot boot;
	char path[32];

	fuzz_quiet();
	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, bytes, len, 0) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!vmb_vmm_boot_open(&boot, path, len % 2 ? path : NULL, "console=ttyS0"))
		load(&boot);
	vmb_vmm_boot_close(&boot);
	return 0;
}
