/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same program one level down, for machines without /dev/kvm: QEMU emulates a processor with
 * AMD SVM, a small Linux in it brings KVM and sees this machine's files, and our own program runs
 * there with the same command line. This process becomes lab/nest/openvmbus-nest, which starts QEMU
 * and tells the nest what to do.
 */
#ifndef VMM_NEST_H
#define VMM_NEST_H

#include "vmm/options.h"

/*
 * argv: "run" and its options, checked already. The files of the disks must not be locked by this
 * process: they are locked here, for as long as the nest lives. Returns only on an error, which is
 * reported: VMB_VMM_EXIT_USAGE if something is missing or in use, else VMB_VMM_EXIT_FAILURE. Else
 * the exit code of this process is that of the program in the nest, VMB_VMM_EXIT_STOPPED after a
 * signal, or VMB_VMM_EXIT_FAILURE when the nest failed.
 */
int vmb_vmm_nest_run(const struct vmb_vmm_options *o, int argc, char **argv);

#endif
