/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One network card: frames in and out, one queue, no offloads. */
#ifndef PORTS_UEFI_NETVSC_CARD_H
#define PORTS_UEFI_NETVSC_CARD_H

#include "guest/network.h"
#include "ports/uefi/channel.h"

#define VMB_UEFI_FRAME_MAX   1514u
#define VMB_UEFI_RECEIVE_LEN (1u << 20)
#define VMB_UEFI_SEND_LEN    (512u << 10)
#define VMB_UEFI_SLOT_COUNT  32u
#define VMB_UEFI_OWED_MAX    4096u /* a suballocation of less than 512 bytes would be of no use */
#define VMB_UEFI_FRAME_COUNT 64u /* that wait to be fetched; a power of two */

struct vmb_uefi_frame {
	uint32_t len;
	uint8_t bytes[VMB_UEFI_FRAME_MAX];
};

struct vmb_uefi_card {
	struct vmb_uefi_channel *channel;
	struct vmb_guest_network core;
	struct vmb_guest_network_queue queue;
	struct vmb_guest_network_slot slots[VMB_UEFI_SLOT_COUNT];
	uint32_t free_slots[VMB_UEFI_SLOT_COUNT];
	uint64_t owed[VMB_UEFI_OWED_MAX];
	struct vmb_guest_network_receive receive;
	uint8_t *receive_buffer, *send_buffer, *control_page;
	bool answered; /* the request that was made last was */
	bool usable; /* its queue has the sections of the send buffer */
	struct vmb_uefi_frame frames[VMB_UEFI_FRAME_COUNT];
	uint32_t first, end; /* of the frames that wait; free running */
};

/* Opens the card; no frame comes in yet. c: zeroed, but for channel. */
bool vmb_uefi_card_open(struct vmb_uefi_card *c);
void vmb_uefi_card_close(struct vmb_uefi_card *c);

/* Which frames come in: RNDIS_FILTER_*, 0 for none. False: refused, or no answer. */
bool vmb_uefi_card_filter(struct vmb_uefi_card *c, uint32_t filter);

/* Handles what the host has sent. */
void vmb_uefi_card_poll(struct vmb_uefi_card *c);

/* The oldest frame that waits, or NULL; _next drops it. */
const struct vmb_uefi_frame *vmb_uefi_card_frame(struct vmb_uefi_card *c);
void vmb_uefi_card_next(struct vmb_uefi_card *c);

/* Copies a frame of at most VMB_UEFI_FRAME_MAX bytes out. False: there is no room now. */
bool vmb_uefi_card_send(struct vmb_uefi_card *c, const void *bytes, uint32_t len);

#endif
