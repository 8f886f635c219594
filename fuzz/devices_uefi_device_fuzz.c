// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any memory of a guest and any accesses of its firmware to the device: what is kept stays within
 * its bounds, and the states of Secure Boot are never lost.
 */
#include "devices/uefi/device.h"
#include "devices/uefi/log.h"
#include "fuzz/fuzz.h"

#define MEMORY_LEN 16384u
#define ACCESSES   64

static void check(const struct vmb_dev_uefi *u)
{
	FUZZ_CHECK(u->vars.count <= VMB_DEV_UEFI_VARS_MAX);
	FUZZ_CHECK(vmb_dev_uefi_vars_used(&u->vars) <= VMB_DEV_UEFI_STORAGE_MAX);
	FUZZ_CHECK(vmb_dev_uefi_vars_named(&u->vars, &vmb_dev_uefi_global, "SetupMode"));
	FUZZ_CHECK(vmb_dev_uefi_vars_named(&u->vars, &vmb_dev_uefi_global, "SecureBoot"));
}

static void read_log(const struct vmb_dev_memory *m, uint64_t gpa)
{
	uint32_t at = 0, level, before;
	char text[64];
	size_t len;

	for (;;) {
		before = at;
		len = vmb_dev_uefi_log_next(m, gpa, &at, &level, text, sizeof(text));
		if (!len)
			return;
		FUZZ_CHECK(at > before && len < sizeof(text) && strnlen(text, sizeof(text)) <= len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t selectors[] = { 0x0E, 0x0F, 0x24, 0x24, 0x24, 0x26,
					     0x27, 0x28, 0x2B, 0x30, 0x37, 0x99 };
	static uint8_t memory[MEMORY_LEN];
	struct fuzz f = { bytes, len };
	struct vmb_dev_memory m = { .region_count = 1,
				    .regions = { { .len = MEMORY_LEN, .base = memory } } };
	static struct vmb_dev_uefi u;

	FUZZ_CHECK(!vmb_dev_uefi_open(&u, NULL));
	vmb_dev_uefi_restart(&u, &m);
	fuzz_take(&f, memory, sizeof(memory));
	for (int i = 0; i < ACCESSES && f.len; i++) {
		uint8_t which = fuzz_u8(&f) % sizeof(selectors);

		vmb_dev_uefi_write(&u, false, selectors[which]);
		vmb_dev_uefi_write(&u, true, fuzz_u16(&f));
		vmb_dev_uefi_read(&u, true);
		check(&u);
	}
	read_log(&m, 0);
	vmb_dev_uefi_close(&u);
	return 0;
}
