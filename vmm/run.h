/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a machine: the order in which its parts are made, and unmade.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "vmm/options.h"

/* argv: the command line from "run" on, as the nest must repeat it. Answers the exit code (enum vmb_vmm_exit). */
int vmb_vmm_run(int argc, char **argv);

/* Says whether guests run on /dev/kvm here. 0: they do; else VMB_VMM_EXIT_FAILURE, and why on standard error. */
int vmb_vmm_check(void);

#endif
