/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a switch makes others wait for a port that has no room.
 *
 * A sender that waits for one port cannot send to any other, so a slow port could hold up all who
 * send to it. Therefore each port has a budget of waiting time: it begins full, shrinks while
 * others wait for the port, and grows a little with each frame that the port takes. Senders always
 * wait for a port that takes 500 frames or 500 kB a second; a slower one loses frames.
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

/* A card was connected to the port: its budget is full. */
void vmb_dev_switch_patience_init(struct vmb_dev_switch_patience *p);

/*
 * The port has no room for a frame now. Returns the time until which its sender must wait; if that
 * is not after now, the sender does not wait.
 */
int64_t vmb_dev_switch_patience_full(struct vmb_dev_switch_patience *p, int64_t now);

/* The port took a frame of len bytes. */
void vmb_dev_switch_patience_took(struct vmb_dev_switch_patience *p, int64_t now, uint32_t len);

#endif
