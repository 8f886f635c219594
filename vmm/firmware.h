/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which firmware a machine gets that names neither a kernel nor a firmware. */
#ifndef VMM_FIRMWARE_H
#define VMM_FIRMWARE_H

/*
 * Returns the path of a firmware: that of the environment's FIRMWARE, which need not be there, else
 * the first one that is installed. NULL: there is none. The path stays valid.
 */
const char *vmb_vmm_firmware_find(void);

/* `openvmbus firmware`: prints that path. Returns an exit code, 1 where there is none. */
int vmb_vmm_firmware_run(int argc, char **argv);

#endif
