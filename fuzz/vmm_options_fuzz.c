// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Any command line of `openvmbus run`: it is refused, or all that it gives is within its bounds. */
#include <stdbool.h>

#include "fuzz/fuzz.h"
#include "fuzz/quiet.h"
#include "vmm/kvm.h"
#include "vmm/options.h"
#include "wire/vmbus.h"

#define ARGUMENT_MAX 64u

const char *__asan_default_options(void);

/* Options keep copies of some values as long as the program runs. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void check(const struct vmb_vmm_options *o)
{
	FUZZ_CHECK(!o->kernel != !o->firmware && o->cpus >= 1 && o->cpus <= VMB_VMM_VP_MAX);
	FUZZ_CHECK(o->memory_len >= 64u << 20 && o->memory_len % VMB_PAGE_LEN == 0);
	FUZZ_CHECK(o->memory_max >= o->memory_len && o->memory_max <= 1ull << 40);
	FUZZ_CHECK(o->net_count <= VMB_DEV_NET_MAX);
	FUZZ_CHECK(vmb_version_known(o->generation.bus));
	for (uint32_t i = 0; i < o->net_count; i++)
		FUZZ_CHECK(o->nets[i].queue_count >= 1 && o->nets[i].queue_count <= 64 &&
			   o->nets[i].forward_count <= VMB_DEV_NET_FORWARD_MAX);
}

/* Arguments end with a 0, as in /proc/PID/cmdline. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct vmb_vmm_options options;
	char *text = malloc(len + 1), *argv[ARGUMENT_MAX + 1] = { "run" };
	int argc = 1;

	fuzz_quiet();
	FUZZ_CHECK(text);
	memcpy(text, bytes, len);
	text[len] = 0;
	for (size_t at = 0; at < len && argc < (int)ARGUMENT_MAX; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	if (!vmb_vmm_options_parse(&options, argc, argv))
		check(&options);
	free(text);
	return 0;
}
