/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The channel of single.h as a queue of messages from the host. What the guest sends is the test's:
 * it has vmb_channel_send() of its own.
 */
#ifndef TESTS_LINUX_QUEUE_H
#define TESTS_LINUX_QUEUE_H

#include "tests/linux/single.h"

#define QUEUE_LEN_MAX 4096u /* bytes of a message */

extern u32 queue_ring_len; /* of the channel that was opened last */

/* The host sends these bytes, and rings unless the guest has masked the ring or closed it. */
void queue_say(const void *message, u32 len);

#endif
