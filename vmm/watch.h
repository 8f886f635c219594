/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the main thread checks about once a second while a machine runs: whether the guest has
 * connected to the bus, whether it has left it for good, and whether it stands still after it
 * reported a crash. With --progress it says what a guest reaches, for programs that wait for it.
 */
#ifndef VMM_WATCH_H
#define VMM_WATCH_H

#include "base/platform.h"

#define VMB_VMM_WATCH_TICK_MS 1000

struct vmb_vmm_machine;

struct vmb_vmm_watch {
	int64_t next; /* all times: milliseconds */
	int64_t away_since; /* not connected */
	bool connected; /* at the last look */
	bool was_connected, said;
	uint32_t reached; /* of --progress, a bit each */
	uint64_t exits; /* of all processors, when they last were more */
	int64_t exits_at;
};

/* The machine starts now. */
void vmb_vmm_watch_start(struct vmb_vmm_machine *machine);
/* May be called at any time; checks once a second. */
void vmb_vmm_watch_look(struct vmb_vmm_machine *machine);

#endif
