/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens a disk on a thread of its own, because a server may take its time, and a name server too.
 *
 *   opening = vmb_vmm_opening_start(option)
 *   vmb_vmm_opening_ended(opening, &disk, &error, why)   asked again and again, until it says yes
 *   or vmb_vmm_opening_drop(opening)                     nobody wants the disk any more
 *
 * Context: one caller. No function waits.
 */
#ifndef VMM_OPENING_H
#define VMM_OPENING_H

#include <stdbool.h>

#include "devices/disk/disk.h"

#define VMB_VMM_OPENING_MAX	32u /* at once in this process, dropped ones too */
#define VMB_VMM_OPENING_WHY_LEN 512u

struct vmb_vmm_opening;

/*
 * Opens and prepares the disk that option describes. option is the opening's, allocated by
 * malloc() as its path is, until vmb_vmm_opening_ended() gives it back. NULL: errno says why, and
 * option is the caller's still; that there are too many is reported.
 */
struct vmb_vmm_opening *vmb_vmm_opening_start(struct vmb_dev_disk_option *option);
/*
 * Returns whether the disk is open or could not be; the opening is freed then, and option the
 * caller's again. *error: 0, and *disk is open, or -errno; then why is what was reported about it,
 * perhaps empty.
 */
bool vmb_vmm_opening_ended(struct vmb_vmm_opening *opening, struct vmb_dev_disk *disk, int *error,
			   char why[VMB_VMM_OPENING_WHY_LEN]);
/* The thread closes what it opened and frees everything, when it comes back. */
void vmb_vmm_opening_drop(struct vmb_vmm_opening *opening);

#endif
