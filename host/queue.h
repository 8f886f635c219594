/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A queue entry of the host with a kind. The kind says which message is to be built, or which event
 * is to be reported, when the entry leaves the queue.
 */
#ifndef HOST_QUEUE_H
#define HOST_QUEUE_H

#include "base/queue.h"

struct vmb_host_link {
	struct vmb_link link;
	uint8_t kind; /* messages: enum vmb_host_post; events: enum vmb_host_event_type */
};

#endif
