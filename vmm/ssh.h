/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `openvmbus ssh` and `openvmbus exec`: the machine's own ssh, whose connection to the guest is a
 * port of the guest's AF_VSOCK, by `openvmbus vsock`. No network is needed at either end.
 *
 *   openvmbus ssh  [-p PORT] PATH [SSH-OPTION...] [USER@]NAME [COMMAND...]
 *   openvmbus exec [-p PORT] [-l USER] [-i FILE] [-o OPTION]... PATH COMMAND [ARGUMENT...]
 */
#ifndef VMM_SSH_H
#define VMM_SSH_H

/*
 * argv: the verb and what follows. Becomes ssh (OPENVMBUS_SSH in the environment: another program),
 * whose exit code is then the exit code: 255 where it did not reach the guest. Returns
 * VMB_VMM_EXIT_USAGE, or VMB_VMM_EXIT_FAILURE when ssh cannot be run: both reported.
 */
int vmb_vmm_ssh_run(int argc, char **argv);
int vmb_vmm_exec_run(int argc, char **argv);

#endif
