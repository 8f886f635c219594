// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Any bytes as a file of UEFI variables: refused with a reason, or read and written the same. */
#include "devices/uefi/nvram.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct vmb_dev_uefi_vars vars, again;
	char why[160] = "", *text;

	if (vmb_dev_uefi_nvram_parse(&vars, (const char *)bytes, len, why, sizeof(why))) {
		FUZZ_CHECK(*why && !vars.count);
		return 0;
	}
	text = vmb_dev_uefi_nvram_text(&vars);
	FUZZ_CHECK(text);
	FUZZ_CHECK(!vmb_dev_uefi_nvram_parse(&again, text, strlen(text), why, sizeof(why)));
	FUZZ_CHECK(again.count == vars.count);
	for (uint32_t i = 0; i < vars.count; i++) {
		FUZZ_CHECK(again.vars[i].name_len == vars.vars[i].name_len);
		FUZZ_CHECK(again.vars[i].data_len == vars.vars[i].data_len);
		FUZZ_CHECK(!memcmp(again.vars[i].name, vars.vars[i].name,
				   vars.vars[i].name_len + vars.vars[i].data_len));
	}
	free(text);
	vmb_dev_uefi_vars_clear(&vars);
	vmb_dev_uefi_vars_clear(&again);
	return 0;
}
