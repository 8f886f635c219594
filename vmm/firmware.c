// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a firmware is looked for that no option names. This list is the only one: `openvmbus image`
 * and scripts ask `openvmbus firmware`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/report.h"
#include "vmm/firmware.h"
#include "vmm/run.h"

/* Hyper-V's own before ours, because it is what an image will meet. */
static const char *const places[] = {
	"/usr/share/openvmbus/MSVM.fd",
	"/usr/local/share/openvmbus/MSVM.fd",
	"/usr/share/openvmbus/OPENVMBUS.fd",
	"/usr/local/share/openvmbus/OPENVMBUS.fd",
};

const char *vmb_vmm_firmware_find(void)
{
	const char *named = getenv("FIRMWARE");

	if (named && *named)
		return named;
	for (size_t i = 0; i < VMB_ARRAY_COUNT(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

int vmb_vmm_firmware_run(int argc, char **argv)
{
	const char *path = vmb_vmm_firmware_find();

	if (argc > 1) {
		vmb_dev_report("firmware takes no argument; see openvmbus --help");
		return VMB_VMM_EXIT_USAGE;
	}
	if (path) {
		puts(path);
		return VMB_VMM_EXIT_OFF;
	}
	vmb_dev_report("no firmware: neither FIRMWARE=FILE nor %s or another of its names; "
		       "`make firmware` builds one, and `make install` installs it",
		       places[0]);
	return VMB_VMM_EXIT_FAILURE;
}
