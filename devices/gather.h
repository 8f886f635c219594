/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When a device's thread lets work collect. A guest that shares its processor with the thread loses
 * it at each doorbell, so a guest that rings once a request is served one request at a time,
 * whatever its queue depth. A thread that lets work collect does not preempt whoever woke it: it
 * finds many requests, or, of a guest that waits for each one, finds one later than it could.
 *
 * Which of the two the guest is cannot be seen while the thread preempts it: one packet a turn is
 * all there is. So the thread tries it now and then, for a few turns. It goes on while turns find
 * several packets; otherwise it waits longer before the next try.
 *
 * Context: one thread; no system call.
 */
#ifndef DEVICES_GATHER_H
#define DEVICES_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#define VMB_DEV_GATHER_TURNS	    32u /* turns by which the policy decides: a window */
#define VMB_DEV_GATHER_PACKETS	    2u /* packets a turn, in the mean, that make it worth it */
#define VMB_DEV_GATHER_PATIENCE_MIN 4u /* windows without gathering before a try */
#define VMB_DEV_GATHER_PATIENCE_MAX 64u /* the same after many tries in vain */

struct vmb_dev_gather {
	bool on; /* work is to collect */
	uint32_t turns, packets; /* of this window */
	uint32_t alone; /* windows in a row, without gathering, that found single packets */
	uint32_t patience; /* windows; 0: the first ones */
};

/*
 * A turn of the thread found packets (at least 1) in the guest's ring. Returns true when g->on has
 * changed. A zeroed *g is valid: it does not gather.
 */
bool vmb_dev_gather_turn(struct vmb_dev_gather *g, uint32_t packets);

#endif
