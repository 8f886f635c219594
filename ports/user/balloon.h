/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Dynamic memory of the guest in ports/user/guest.h: what its channel has instead of storage. Pages
 * are given and taken on the thread that steps.
 *
 *   d = vmb_user_guest_balloon(g); vmb_user_guest_open(g, d)
 *   d->balloon.spare, .silent, ... say how it behaves; .given_count what the host has
 */
#ifndef PORTS_USER_BALLOON_H
#define PORTS_USER_BALLOON_H

#include "guest/balloon.h"
#include "ports/user/memory.h"

#define VMB_USER_BALLOON_MAX 8192u /* pages */

struct vmb_user_balloon {
	bool used; /* the channel is dynamic memory's */
	struct vmb_user_memory *memory;
	struct vmb_guest_balloon core;
	/* the test's */
	bool silent; /* does not answer */
	uint32_t spare; /* pages that it can give yet */
	bool no_memory; /* refuses new memory for ever */
	/* Changes a message before it is sent. May be NULL. */
	void (*spoil)(uint8_t *message, uint32_t len);
	/* what the host has */
	uint64_t given[VMB_USER_BALLOON_MAX]; /* page frame numbers */
	uint32_t given_count;
	uint32_t strangers; /* pages that the host returned and that it had not */
	uint64_t added; /* pages of new memory */
	uint32_t left; /* pages to give yet, of a request under way */
};

/* Prepares b if type_id is that of dynamic memory. Returns whether it is. */
bool vmb_user_balloon_init(struct vmb_user_balloon *b, struct vmb_user_memory *memory,
			   const struct vmb_guid *type_id);

/* Takes a packet's payload. */
void vmb_user_balloon_take(struct vmb_user_balloon *b, const uint8_t *packet, uint32_t len);

/*
 * Returns the next message, *len bytes; NULL: none now. It is the same one until _sent().
 */
const void *vmb_user_balloon_output(struct vmb_user_balloon *b, uint32_t *len);
void vmb_user_balloon_sent(struct vmb_user_balloon *b);

#endif
