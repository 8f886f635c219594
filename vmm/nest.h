/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same program one level down, for machines without /dev/kvm: QEMU emulates a processor with AMD SVM, a small Linux
 * in it brings KVM and sees this machine's files, and our own program runs there with the same command line. What goes
 * over the border is written down in lab/README.md ("Contract of the one-shot nest").
 */
#ifndef VMM_NEST_H
#define VMM_NEST_H

#include "vmm/options.h"

/*
 * argv: "run" and its options, checked already. Answers the exit code: that of the program in the nest, or
 * VMB_VMM_EXIT_USAGE when something is missing (reported), VMB_VMM_EXIT_FAILURE when the nest failed.
 */
int vmb_vmm_nest_run(const struct vmb_vmm_options *o, int argc, char **argv);

#endif
