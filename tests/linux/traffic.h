/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network card under test, and frames that tell whether they arrive unharmed: each is made of its
 * number, and is checked by the host, which sends it back, and by the guest when it comes back.
 */
#ifndef TESTS_LINUX_TRAFFIC_H
#define TESTS_LINUX_TRAFFIC_H

#include "ports/linux/network.h"
#include "ports/linux/vmbus_internal.h"
#include "tests/linux/bed.h"
#include "tests/linux/net.h"

/* What the host has heard, and what has come back. */
extern u32 traffic_heard, traffic_back;

/* The host, with the driver's module loaded and its device up; and without module and device. */
void traffic_start(void);
void traffic_start_bare(void);
void traffic_stop(void);

/*
 * Sends a frame of len bytes (60 at least) of the running device. Returns whether the driver took
 * it within limit ticks.
 */
bool traffic_send(u16 queue, u32 len, u64 limit);
/* The same, and it must come back within 60 s; sends anew as long as frames are lost. */
void traffic_ping(u16 queue, u32 len);

/* The card that the guest has; its device must be there. */
struct netvsc *traffic_card(void);

#endif
