/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A GPADL at the host: pages that the guest has lent. Read host/server.h first. */
#ifndef HOST_GPADL_H
#define HOST_GPADL_H

#include "base/queue.h"
#include "wire/vmbus.h"

struct vmb_host_server;
struct vmb_host_channel;

enum vmb_host_gpadl_state {
	VMB_HOST_GPADL_ASSEMBLING, /* parts are missing */
	VMB_HOST_GPADL_READY,
	VMB_HOST_GPADL_TEARING, /* torn down by the guest while in use: TORNDOWN follows */
	VMB_HOST_GPADL_DROPPING, /* dropped with its channel or connection while in use */
	VMB_HOST_GPADL_RELEASED,
};

struct vmb_host_gpadl {
	void *port; /* the caller's own */

	/* the server's */
	struct vmb_host_gpadl *next;
	struct vmb_host_server *server;
	struct vmb_host_channel *channel;
	uint32_t id;
	enum vmb_host_gpadl_state state;
	uint32_t use_count; /* an open channel's ring, or vmb_host_gpadl_get */
	uint64_t *ranges; /* supplied memory: private copy of the range list, valid when READY */
	uint32_t ranges_len; /* bytes */
	uint32_t filled_len;
	uint32_t range_count;
	struct vmb_link released_event;
};

/* One range of a READY GPADL. */
struct vmb_host_gpadl_range {
	uint32_t byte_count;
	uint32_t byte_offset;
	const uint64_t *pfns;
	uint32_t pfn_count;
};

/*
 * Must be called for each event GPADL_WANTED. gpadl (zeroed by the caller, except port) and memory
 * for event.ranges_len bytes, 8-byte aligned; both are lent until GPADL_RELEASED, which may follow
 * at once. gpadl NULL: no memory, and the guest gets a failure.
 */
void vmb_host_gpadl_supply(struct vmb_host_server *s, struct vmb_host_gpadl *gpadl,
			   uint64_t *ranges);

/* Returns the READY GPADL of this channel with this id, or NULL. */
struct vmb_host_gpadl *vmb_host_gpadl_find(struct vmb_host_channel *ch, uint32_t id);

/* _get keeps the pages of a READY GPADL lent while a device uses them; _put lets go. */
void vmb_host_gpadl_get(struct vmb_host_gpadl *gpadl);
void vmb_host_gpadl_put(struct vmb_host_gpadl *gpadl);

/* Fills in range number index (from 0) of a READY GPADL. Returns false if there is none. */
bool vmb_host_gpadl_range(const struct vmb_host_gpadl *gpadl, uint32_t index,
			  struct vmb_host_gpadl_range *range);

#endif
