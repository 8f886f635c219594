/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GPADL: a list of guest pages that the host maps. It is sent in one message or more. Read
 * guest/connect.h first.
 */
#ifndef GUEST_GPADL_H
#define GUEST_GPADL_H

#include "base/queue.h"
#include "wire/vmbus.h"

struct vmb_guest_connect;
struct vmb_guest_channel;

enum vmb_guest_gpadl_state {
	VMB_GUEST_GPADL_NONE,
	VMB_GUEST_GPADL_SENDING, /* HEADER and BODY messages are leaving */
	VMB_GUEST_GPADL_WAITING, /* until GPADL_CREATED */
	VMB_GUEST_GPADL_READY,
	VMB_GUEST_GPADL_TEARING, /* until GPADL_TORNDOWN */
};

struct vmb_guest_gpadl {
	struct vmb_guest_gpadl *next;
	struct vmb_guest_channel *channel;
	uint32_t id;
	enum vmb_guest_gpadl_state state;
	uint32_t byte_count;
	uint32_t byte_offset;
	const uint64_t *pfns; /* the caller's; must stay valid in SENDING and WAITING */
	uint32_t pfn_count;
	uint32_t sent_count; /* qwords of the range list that were sent */
	uint32_t built_count; /* qwords in the message being sent */
	uint32_t body_number;
	struct vmb_link link;
	void *port; /* the caller's own */
};

/*
 * Queues GPADL_HEADER and as many GPADL_BODY as are needed, for one range of byte_count bytes that
 * starts byte_offset (0..4095) bytes into pfns[0]. The caller must have zeroed gpadl. The event
 * GPADL_CREATED follows, with its status; after a RESCIND the host fails it. At most
 * VMB_GUEST_GPADL_PAGES_MAX (8190) pages. VMB_EINVAL: the counts disagree; VMB_EOVERFLOW: too many
 * pages; VMB_ENODEV: rescinded or released; VMB_EBUSY: in use, or not connected.
 */
#define VMB_GUEST_GPADL_PAGES_MAX (VMB_GPADL_RANGES_LEN_MAX / 8 - 1)
int vmb_guest_gpadl_establish(struct vmb_guest_channel *ch, struct vmb_guest_gpadl *gpadl,
			      const uint64_t *pfns, uint32_t pfn_count, uint32_t byte_count,
			      uint32_t byte_offset);

/*
 * Queues GPADL_TEARDOWN. The event GPADL_TORNDOWN follows, also on a rescinded channel. VMB_EBUSY:
 * not READY, or not connected.
 */
int vmb_guest_gpadl_teardown(struct vmb_guest_gpadl *gpadl);

/*
 * Unlinks gpadl without telling the host: after UNLOADED, or when the caller gives up (it must leak
 * the memory then).
 */
void vmb_guest_gpadl_forget(struct vmb_guest_gpadl *gpadl);

#endif
