/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same program one level down, for machines without /dev/kvm: QEMU emulates a processor with AMD SVM, a small Linux
 * in it brings KVM and sees this machine's files, and our own program runs there with the same command line. What QEMU is
 * given and how the nest is told what to do is the business of lab/nest/openvmbus-nest, which this process becomes.
 */
#ifndef VMM_NEST_H
#define VMM_NEST_H

#include "vmm/options.h"

/*
 * argv: "run" and its options, checked already. The files of the disks must not be locked by this process: they are locked
 * here, for as long as the nest lives. Returns only when something is missing or in use, VMB_VMM_EXIT_USAGE, or went
 * wrong, VMB_VMM_EXIT_FAILURE (both reported). Else the exit code of this process is that of the program in the nest,
 * VMB_VMM_EXIT_STOPPED after a signal, or VMB_VMM_EXIT_FAILURE when the nest failed.
 */
int vmb_vmm_nest_run(const struct vmb_vmm_options *o, int argc, char **argv);

#endif
