/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a switch makes others wait for a port that has no room.
 *
 * A sender that waits for one port cannot send to any other, so that a port which takes a frame now and
 * then could hold all who send to it. What a port may cost is a store: it begins full, the time that
 * others wait is taken from it, and each frame that the port takes puts a little back. A port that takes
 * 500 frames or 500 kB a second is always waited for; a slower one loses frames.
 *
 * Context: one thread. Times are in ms of one clock that never goes back.
 */
#ifndef DEVICES_SWITCH_PATIENCE_H
#define DEVICES_SWITCH_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define VMB_DEV_SWITCH_PATIENCE_MAX_MS 200

struct vmb_dev_switch_patience {
	int64_t left_us;
	int64_t since; /* when the port last became full; only while it waits */
	bool waits; /* it has no room, and somebody waits */
};

/* A port was plugged in. */
void vmb_dev_switch_patience_init(struct vmb_dev_switch_patience *p);

/* The port has no room for a frame now. Returns until when its sender waits; now or earlier: not at all. */
int64_t vmb_dev_switch_patience_full(struct vmb_dev_switch_patience *p, int64_t now);

/* The port took a frame of len bytes. */
void vmb_dev_switch_patience_took(struct vmb_dev_switch_patience *p, int64_t now, uint32_t len);

#endif
