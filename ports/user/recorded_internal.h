/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the files that play a recorded host:
 *
 *   recorded.c          records one after the other; messages
 *   recorded_ring.c     the rings of a channel, what the guest core said there, disks
 *   recorded_network.c  cards
 */
#ifndef PORTS_USER_RECORDED_INTERNAL_H
#define PORTS_USER_RECORDED_INTERNAL_H

#include "guest/connect.h"
#include "guest/network.h"
#include "guest/storage.h"
#include "ports/user/recorded.h"
#include "ring/ring.h"

#define RECORDED_SLOT_COUNT 4096u /* requests of a controller that are under way */
#define RECORDED_AHEAD	    65536u /* records that are looked at in advance */
#define RECORDED_PACKET_MAX VMB_DEV_TRACE_RECORD_LEN_MAX
#define RECORDED_CARD_OWED  32768u /* acknowledgements that are due; a power of two */

/* A message or packet of the guest core that no record was compared with yet. */
struct recorded_said {
	struct recorded_said *next;
	uint32_t connection_id; /* of a message */
	uint32_t len, data_len; /* of the packet; of the RNDIS message, which stands behind it */
	uint8_t bytes[];
};

struct recorded_list {
	struct recorded_said *first, **end;
};

struct recorded_gpadl {
	struct recorded_gpadl *next;
	uint32_t id; /* the recording's */
	struct vmb_guest_gpadl core;
	uint64_t *pfns; /* the recorded ones */
	uint32_t page_count;
	uint8_t *memory; /* what stands for them */
};

/* Requests that the host has, by the recorded guest's id and by ours. */
struct recorded_id {
	uint64_t recorded, ours;
	bool left_out; /* we have not asked that */
};

struct recorded_ids {
	struct recorded_id *all;
	uint32_t count, room;
};

struct recorded_disk {
	struct vmb_guest_storage core;
	struct vmb_guest_storage_slot slots[RECORDED_SLOT_COUNT]; /* of the primary */
	uint32_t free_slots[RECORDED_SLOT_COUNT];
	uint32_t free_count;
};

struct recorded_card {
	struct vmb_guest_network core; /* of the primary */
	struct vmb_guest_network_queue queue;
	struct vmb_guest_network_receive receive;
	uint64_t owed[RECORDED_CARD_OWED];
	uint8_t control_page[VMB_PAGE_LEN];
	struct recorded_ids requests; /* RNDIS request ids */
	struct recorded_ids acks; /* packets of the host that were left out */
	struct recorded_gpadl *receive_gpadl, *send_gpadl;
	uint64_t frames; /* that our guest took */
	uint32_t *taken; /* records that were played ahead of their turn */
	uint32_t taken_count, taken_room;
	bool started, given_up;
};

enum recorded_kind { RECORDED_OTHER, RECORDED_DISK, RECORDED_CARD };

struct recorded_channel {
	struct vmb_guest_channel core;
	enum recorded_kind kind;
	uint32_t open_id; /* the recording's */
	bool open;
	const struct recorded_gpadl *rings; /* NULL: none */
	struct vmb_ring_writer guest_tx, host_tx;
	struct vmb_ring_reader guest_rx, host_rx;
	struct recorded_list said;
	struct recorded_ids ids;
	struct recorded_disk *disk;
	struct recorded_card *card;
};

struct recorded {
	const struct vmb_user_recorded_config *config;
	struct vmb_user_recorded_result *result;
	struct vmb_dev_trace_reader reader;
	struct vmb_dev_trace_record record;
	bool begun, failed; /* a bus; no memory */
	bool has_config; /* the connection is initialised */
	struct vmb_guest_connect connect;
	struct recorded_list said; /* messages */
	struct recorded_gpadl *gpadls;
	uint64_t memory_len;
	struct recorded_channel *channels[VMB_CHANNEL_COUNT_MAX]; /* by relid */
	uint8_t scratch[RECORDED_PACKET_MAX];
};

void recorded_differ(struct recorded *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void recorded_tolerate(struct recorded *r, enum vmb_user_recorded_tolerance which);
/* Counts a difference if the two are not the same, and says where. Counts the comparison. */
void recorded_compare(struct recorded *r, const char *what, const uint8_t *expected,
		      uint32_t expected_len, const uint8_t *got, uint32_t got_len);
uint32_t recorded_word(const uint8_t *bytes, uint32_t len, uint32_t at);

/* data may be NULL. False: no memory. */
bool recorded_keep(struct recorded *r, struct recorded_list *list, const void *bytes, uint32_t len,
		   const void *data, uint32_t data_len);
void recorded_drop(struct recorded_list *list, struct recorded_said **at);
void recorded_drop_all(struct recorded_list *list);

void recorded_ids_add(struct recorded *r, struct recorded_ids *ids, uint64_t theirs, uint64_t ours,
		      bool left_out);
/* Takes the oldest one of that number. False: there is none. */
bool recorded_ids_take(struct recorded_ids *ids, uint64_t theirs, struct recorded_id *id);
void recorded_ids_free(struct recorded_ids *ids);

struct recorded_gpadl *recorded_gpadl_find(struct recorded *r, uint32_t id);
/*
 * Lends what the record of GPADL_HEADER with that id, now or later, lends: r->failed or NULL if
 * that is not possible.
 */
struct recorded_gpadl *recorded_gpadl_lend(struct recorded *r, const struct recorded_channel *ch,
					   uint32_t id);

/* The primary of ch's device, or ch itself. NULL: it has gone. */
struct recorded_channel *recorded_primary(struct recorded *r, struct recorded_channel *ch);
/* OPEN's rings are there. False: they have no valid sizes, or there is no memory. */
bool recorded_ring_open(struct recorded *r, struct recorded_channel *ch,
			const struct recorded_gpadl *g, uint32_t downstream_page);
/* The host has said that the channel is open. */
void recorded_ring_opened(struct recorded *r, struct recorded_channel *ch);
void recorded_ring_close(struct recorded_channel *ch);
void recorded_ring_play(struct recorded *r, struct recorded_channel *ch);
/* Writes a packet of the host and lets the guest read it. The packet is whole. */
void recorded_ring_deliver(struct recorded *r, struct recorded_channel *ch, const uint8_t *packet,
			   uint32_t len);
/* Writes a packet of the guest core through the ring and keeps it as said. */
void recorded_ring_say(struct recorded *r, struct recorded_channel *ch,
		       const struct vmb_ring_packet *packet, const void *data, uint32_t data_len);

/* A card's packets. */
void recorded_card_opened(struct recorded *r, struct recorded_channel *ch);
void recorded_card_to_host(struct recorded *r, struct recorded_channel *ch);
void recorded_card_to_guest(struct recorded *r, struct recorded_channel *ch);
/* The guest reads a packet that lies in its ring. */
void recorded_card_take(struct recorded *r, struct recorded_channel *ch,
			const struct vmb_ring_received *received);

/* For packets that are whole. */
static inline const uint8_t *recorded_payload(const uint8_t *packet, uint32_t len,
					      uint32_t *payload_len)
{
	uint32_t at = vmb_dev_trace_desc(packet).offset8 * 8u;

	*payload_len = len - at;
	return packet + at;
}

#endif
