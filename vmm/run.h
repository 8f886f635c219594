/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command `openvmbus run`: makes the parts of a machine in order, runs it, and takes them down.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "vmm/options.h"

/*
 * argv: the command line from "run" on, as the nest must repeat it. Returns the exit code (enum
 * vmb_vmm_exit).
 */
int vmb_vmm_run(int argc, char **argv);

/*
 * Checks whether guests can run on /dev/kvm here. Returns 0 if they can, else VMB_VMM_EXIT_FAILURE
 * and reports why.
 */
int vmb_vmm_check(void);

#endif
