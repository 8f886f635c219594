/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `openvmbus vsock PATH PORT`: standard input and output as a connection to a port of the guest
 * whose machine has `--vsock PATH`, for example as ssh's ProxyCommand.
 */
#ifndef VMM_VSOCK_H
#define VMM_VSOCK_H

/*
 * argv: "vsock", the path, the port. Returns the exit code: 0: the guest has ended the connection;
 * VMB_VMM_EXIT_FAILURE: it was refused or broke; VMB_VMM_EXIT_USAGE; the last two are reported.
 */
int vmb_vmm_vsock_run(int argc, char **argv);

#endif
