/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of dynamic memory: one struct vmb_host_balloon is the exchange over one channel.
 * It answers the guest's versions and capabilities, asks for pages, returns them, adds memory, and
 * keeps the record of the pages that are out, so that none is out twice and none comes back that
 * was not.
 *
 *   vmb_host_balloon_init(b, &config)
 *   vmb_host_balloon_reset(b) at every OPEN of the channel
 *   while (vmb_host_balloon_output(b, &len))    send it in-band, transaction id 0, no completion;
 *           vmb_host_balloon_output_done(b)     then
 *   for each packet of the ring, which the port has copied:
 *     step = vmb_host_balloon_input(b, payload, len)
 *       VMB_HOST_BALLOON_NOTHING  go on
 *       VMB_HOST_BALLOON_READY    requests may be made; b->caps says which
 *       VMB_HOST_BALLOON_STATUS   b->status is new
 *       VMB_HOST_BALLOON_TAKEN    the guest gave b->taken_count ranges, b->taken: they are recorded
 *                                 as out, and hold nothing that anybody needs
 *       VMB_EPROTO                the guest broke the protocol: stop serving this channel
 *   vmb_host_balloon_ask(b, pages), _give(b, pages), _add(b, ...)   when b->state is OPEN again
 *
 * What a guest gave is its own again when its driver leaves: then it may be another kernel that
 * comes next, which knows of no balloon. So _reset() forgets what is out.
 *
 * Context: one caller at a time.
 * Source: docs/protocol/integration.md, "9 Dynamic memory", "16 Sequences", "17 Traps",
 * "18 Hardening".
 */
#ifndef HOST_BALLOON_H
#define HOST_BALLOON_H

#include "host/server.h"
#include "wire/balloon.h"

enum vmb_host_balloon_state {
	VMB_HOST_BALLOON_IDLE, /* not open, or broken */
	VMB_HOST_BALLOON_VERSIONS, /* the guest proposes */
	VMB_HOST_BALLOON_CAPABILITIES, /* a version is agreed */
	VMB_HOST_BALLOON_OPEN, /* a request may be made */
	VMB_HOST_BALLOON_ASKING, /* for pages */
	VMB_HOST_BALLOON_GIVING, /* pages back */
	VMB_HOST_BALLOON_ADDING, /* memory */
};

enum vmb_host_balloon_step {
	VMB_HOST_BALLOON_NOTHING,
	VMB_HOST_BALLOON_READY,
	VMB_HOST_BALLOON_STATUS,
	VMB_HOST_BALLOON_TAKEN,
};

struct vmb_host_balloon_config {
	uint32_t bus_version; /* of the host that this one is: VMB_VERSION_* */
	const struct vmb_host_ram *ram; /* the caller's; what grows must grow before _add() */
	uint32_t ram_count;
	/*
	 * The caller's record of what is out, one bit a page, from page 0 to map_pages, which is a
	 * multiple of 32. _reset() clears it.
	 */
	uint32_t *map;
	uint64_t map_pages;
	uint64_t page_max; /* that the machine can ever have; the guest is told */
};

struct vmb_host_balloon {
	struct vmb_host_balloon_config config;
	enum vmb_host_balloon_state state;
	uint32_t version; /* VMB_BALLOON_VERSION_*; 0: none yet */
	uint64_t caps; /* VMB_BALLOON_CAP_* of the guest */
	struct vmb_balloon_status status; /* the last one; all zero: none yet */
	uint64_t out; /* pages that are out */
	/* of the request under way, or of the last one */
	uint64_t wanted, done; /* pages */
	bool refused; /* _add(): for ever */
	/* of VMB_HOST_BALLOON_TAKEN: VMB_BALLOON_RANGE() each, until the next _input() */
	uint64_t taken[VMB_BALLOON_RANGE_MAX];
	uint32_t taken_count;
	/* output */
	uint32_t transaction_id; /* of the last message */
	bool info_due;
	uint64_t giving; /* pages that no message has yet */
	uint64_t lowest; /* no page below is out; a multiple of 32 */
	uint32_t output_len; /* bytes of packet that wait to be sent; 0: none */
	uint64_t statuses, requests; /* since _init */
	uint8_t packet[VMB_BALLOON_LEN_MAX];
};

/* Returns whether a host whose newest bus version is bus_version has dynamic memory. */
bool vmb_host_balloon_exists(uint32_t bus_version);

/* Initialises b. config is copied, what it points to is not. */
void vmb_host_balloon_init(struct vmb_host_balloon *b,
			   const struct vmb_host_balloon_config *config);

/* The channel was opened: the guest speaks next. All pages are the guest's. */
void vmb_host_balloon_reset(struct vmb_host_balloon *b);

/*
 * Returns the payload that waits to be sent, *len bytes; NULL: none. It is the same one until
 * _output_done() says that it was sent.
 */
const void *vmb_host_balloon_output(struct vmb_host_balloon *b, uint32_t *len);
void vmb_host_balloon_output_done(struct vmb_host_balloon *b);

/*
 * Takes the payload of an in-band packet, a private copy. Returns a step, or VMB_EPROTO; then
 * nothing is sent any more until _reset().
 */
int vmb_host_balloon_input(struct vmb_host_balloon *b, const void *payload, uint32_t len);

/*
 * Asks the guest for pages; Linux expects a multiple of VMB_BALLOON_UNIT. What it gives comes as
 * VMB_HOST_BALLOON_TAKEN, and may be less: it is all when the state is OPEN again, b->done of
 * b->wanted. Returns 0; VMB_EAGAIN: not open, or busy; VMB_EOPNOTSUPP: the guest has no balloon;
 * VMB_EINVAL: no pages, or more than a message can say.
 */
int vmb_host_balloon_ask(struct vmb_host_balloon *b, uint64_t pages);

/*
 * Returns pages to the guest, as many as are out at most, lowest first. Returns as _ask(); with
 * nothing out VMB_EINVAL.
 */
int vmb_host_balloon_give(struct vmb_host_balloon *b, uint64_t pages);

/*
 * Offers the guest new memory: pages from first on, which are in config.ram already; the region of
 * region_pages from region_first on is where more will come. All are multiples of
 * vmb_host_balloon_alignment(). When the state is OPEN again, the guest uses b->done pages, or
 * b->refused. Returns as _ask().
 */
int vmb_host_balloon_add(struct vmb_host_balloon *b, uint64_t first, uint64_t pages,
			 uint64_t region_first, uint64_t region_pages);

/* Returns how many pages the guest can add at least, and of what everything is a multiple. */
uint64_t vmb_host_balloon_alignment(const struct vmb_host_balloon *b);

/* Returns whether page is out. */
bool vmb_host_balloon_is_out(const struct vmb_host_balloon *b, uint64_t page);

#endif
