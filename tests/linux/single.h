/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The least that stands for vmbus.ko: one driver, and one channel that is open or closed. What the
 * channel carries, and vmb_channel_open(), is the test's own.
 */
#ifndef TESTS_LINUX_SINGLE_H
#define TESTS_LINUX_SINGLE_H

#include "tests/linux/bus.h"

extern struct vmb_driver *driver; /* that is registered, or NULL */
extern struct vmb_channel channel;

#endif
