/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command `openvmbus replay`: plays the guest of a recording against the devices of this
 * program.
 */
#ifndef VMM_REPLAY_H
#define VMM_REPLAY_H

#include "vmm/devices.h"

/*
 * Records the options of a machine like this one, so that _run can make it: disks in memory as long
 * as these, cards on no network, the same versions. The disks must be prepared.
 */
void vmb_vmm_replay_describe(struct vmb_dev_trace *trace, const struct vmb_vmm_options *o,
			     const struct vmb_vmm_devices *devices);

/*
 * argv: the command line from "replay" on. Returns 0: the host did the same; VMB_VMM_EXIT_FAILURE:
 * it did not, or it could not be told; VMB_VMM_EXIT_USAGE: the file is not a recording, reported.
 */
int vmb_vmm_replay_run(int argc, char **argv);

#endif
