/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `openvmbus top PATH`: the channels of the machine whose control socket is PATH, once a second.
 */
#ifndef VMM_TOP_H
#define VMM_TOP_H

/*
 * Until the machine ends or a signal comes; where standard output is no terminal, one table of one
 * second. argv[0] is "top". Returns the exit code: 0, 1 no such machine, 2 usage.
 */
int vmb_vmm_top_run(int argc, char **argv);

#endif
