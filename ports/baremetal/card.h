/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first network card: frames in and out, one queue, no offloads. */
#ifndef PORTS_BAREMETAL_CARD_H
#define PORTS_BAREMETAL_CARD_H

#include "guest/network.h"
#include "ports/baremetal/bus.h"

#define VMB_METAL_FRAME_MAX   1514u
#define VMB_METAL_RECEIVE_LEN (1u << 20)
#define VMB_METAL_SEND_LEN    (512u << 10)
#define VMB_METAL_SLOT_COUNT  32u
#define VMB_METAL_OWED_MAX    4096u /* a suballocation of less than 512 bytes would be of no use */

struct vmb_metal_card {
	struct vmb_metal_bus *bus;
	struct vmb_guest_network core;
	struct vmb_guest_network_queue queue;
	struct vmb_guest_network_slot slots[VMB_METAL_SLOT_COUNT];
	uint32_t free_slots[VMB_METAL_SLOT_COUNT];
	uint64_t owed[VMB_METAL_OWED_MAX];
	struct vmb_guest_network_receive receive;
	struct vmb_metal_share receive_share, send_share;
	bool answered; /* the request for a filter was */
	bool usable; /* its queue has the sections of the send buffer */
	uint64_t received, sent, dropped; /* frames; dropped: nobody could take them */
	/* Called by _poll for each frame; the bytes are private, and gone afterwards. */
	void (*frame)(void *arg, const uint8_t *bytes, uint32_t len);
	void *arg;
};

/* Opens the card and lets frames in. False, and one line says why. */
bool vmb_metal_card_open(struct vmb_metal_card *c, struct vmb_metal_bus *bus);

/* Handles what the host has sent. Returns whether there was anything. */
bool vmb_metal_card_poll(struct vmb_metal_card *c);

/* Copies a frame of at most VMB_METAL_FRAME_MAX bytes out, or drops it. */
void vmb_metal_card_send(struct vmb_metal_card *c, const void *bytes, uint32_t len);

#endif
