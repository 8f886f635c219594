// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Linked into every test of the devices: with OPENVMBUS_TEST_SECCOMP=kill in the environment their
 * threads are confined as in the program, so the same tests show that the lists of calls suffice
 * (tests/confine_test.sh). The test's own thread stays free.
 */
#include <stdlib.h>

#include "vmm/confine.h"

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("OPENVMBUS_TEST_SECCOMP");
	enum vmb_vmm_confine_how how;

	if (text && (!vmb_vmm_confine_parse(&how, text) || vmb_vmm_confine_begin(how)))
		abort();
}
