/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connection to the host and the channels of this guest's two devices. What waits here looks
 * again and again, and gives up after VMB_METAL_PATIENCE_US; only the idle loop of main.c halts.
 */
#ifndef PORTS_BAREMETAL_BUS_H
#define PORTS_BAREMETAL_BUS_H

#include "guest/channel.h"
#include "guest/connect.h"
#include "guest/gpadl.h"
#include "ring/ring.h"

#define VMB_METAL_PATIENCE_US 10000000u
#define VMB_METAL_LOOK_MAX    64u /* messages or packets: a wait ends also where they never do */
#define VMB_METAL_RING_LEN    (16 * VMB_PAGE_LEN) /* of each ring, its control page included */

/* Memory that the host was lent. */
struct vmb_metal_share {
	struct vmb_guest_gpadl gpadl;
	uint64_t pfns[512];
};

struct vmb_metal_channel {
	struct vmb_guest_channel core;
	struct vmb_metal_share share;
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	uint8_t *rings; /* 2 * VMB_METAL_RING_LEN bytes, page aligned; the caller's */
};

struct vmb_metal_bus {
	struct vmb_guest_connect connect;
	struct vmb_metal_channel disk,
		card; /* the first that is offered; core.connect NULL: none */
	enum vmb_guest_event_type waited_for;
	bool arrived;
	uint32_t status; /* of what was waited for */
	bool lost; /* the host took a device away */
};

/* Connects and takes the offers. False, and one line says why: the host refuses or is silent. */
bool vmb_metal_bus_start(struct vmb_metal_bus *b);

/* Handles the messages that the host has sent. */
void vmb_metal_bus_poll(struct vmb_metal_bus *b);

/* Lends the host len bytes at memory, whole pages, at most 2 MiB. */
bool vmb_metal_bus_share(struct vmb_metal_bus *b, struct vmb_metal_channel *ch,
			 struct vmb_metal_share *share, const void *memory, uint32_t len);
bool vmb_metal_bus_open(struct vmb_metal_bus *b, struct vmb_metal_channel *ch);

/* False: the ring is full or broken. */
bool vmb_metal_bus_send(struct vmb_metal_channel *ch, const struct vmb_ring_packet *packet);

/*
 * Copies the next packet's payload, at most room bytes of it, and, where header is not NULL, its
 * extra header. False: there is none.
 */
bool vmb_metal_bus_receive(struct vmb_metal_channel *ch, struct vmb_ring_received *received,
			   void *payload, uint32_t room, void *header, uint32_t header_room);

/* Gives up the devices and the connection, so that a next kernel finds the host free. */
void vmb_metal_bus_leave(struct vmb_metal_bus *b);

#endif
