/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest: a small port of the guest core, cut into the steps between which a real one can be
 * interrupted. It never waits. What is wanted of a channel is set (want_open), and each step brings
 * it a little nearer:
 *
 *   sim_guest_take(g, vp)      takes a message          sim_guest_post(g)   posts one
 *   sim_guest_advance(ch)      one step of opening or closing
 *   sim_guest_interrupt(g, f)  an interrupt: the channel must be looked at
 *   sim_guest_poll(ch)         masks the ring, or reads one packet, or releases, or unmasks
 *
 * Like a driver it has limits for what the host does not answer: a request is given up, then its
 * channel is closed and opened again, then the guest boots anew (sim_guest_watch).
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "guest/balloon.h"
#include "guest/channel.h"
#include "guest/connect.h"
#include "guest/gpadl.h"
#include "guest/ic.h"
#include "guest/network.h"
#include "guest/socket.h"
#include "guest/storage.h"
#include "ring/ring.h"
#include "ring/stream.h"
#include "sim/world.h"

#define SIM_LENT_MAX	 40u /* pages of one GPADL */
#define SIM_BUFFER_PAGES 32u /* of a card's receive and send buffer */
#define SIM_SLOT_COUNT	 64u /* of a storage device: more than a ring of 2 pages has room for */
#define SIM_PATIENCE_NS	 60000000000ll /* for an answer of the host */
#define SIM_REQUEST_NS	 30000000000ll /* for a request */

struct sim;
struct sim_guest;
struct sim_channel;

/* Pages that are lent to the host. */
struct sim_lent {
	struct vmb_guest_gpadl gpadl;
	uint32_t count; /* 0: none */
	uint64_t pfns[SIM_LENT_MAX];
	uint8_t *at; /* mapped side by side */
};

struct sim_request {
	bool busy, given_up;
	enum sim_operation op;
	uint32_t slot, lun, block, count; /* blocks, or sectors */
	uint32_t data_len; /* bytes */
	uint64_t disc; /* that was in the drive when it began */
	struct sim_disk *disk; /* NULL: no blocks of any */
	uint64_t number, stamp, began, transaction_id;
	int64_t since;
	uint32_t page_count, offset;
	uint64_t pfns[2];
};

struct sim_storage {
	struct vmb_guest_storage core;
	struct vmb_guest_storage_slot slots[SIM_SLOT_COUNT];
	struct sim_request requests[SIM_SLOT_COUNT];
	int64_t resetting; /* since when; 0: not */
};

enum sim_stage {
	SIM_CARD_DOWN,
	SIM_CARD_HANDSHAKE,
	SIM_CARD_QUEUES, /* waits for its sub-channels */
	SIM_CARD_FILTER, /* begins to receive */
	SIM_CARD_UP,
	SIM_CARD_FILTER_OFF, /* leaves: receives nothing more */
	SIM_CARD_HALT,
	SIM_CARD_DRAIN,
	SIM_CARD_REVOKE,
	SIM_CARD_LEFT,
};

struct sim_card {
	struct vmb_guest_network core;
	enum sim_stage stage;
	int64_t since; /* when the stage began */
	struct sim_lent receive, send;
	uint64_t control_pfn;
	bool has_control;
	bool handshake_over; /* but acknowledgements of it may be owed */
	bool answered; /* the request of this stage */
	uint32_t mtu;
};

#define SIM_CARD_SLOTS 8u
#define SIM_OWED_MAX   256u
struct sim_card_queue {
	struct vmb_guest_network_queue core;
	struct vmb_guest_network_slot slots[SIM_CARD_SLOTS];
	uint32_t free_slots[SIM_CARD_SLOTS];
	uint64_t owed[SIM_OWED_MAX];
	uint64_t numbers[SIM_CARD_SLOTS]; /* of the frames in the slots; 0: none */
	int64_t since[SIM_CARD_SLOTS];
	struct vmb_guest_network_receive receive;
	struct vmb_guest_network_packet packet; /* sealed, and not in the ring yet */
	bool has_packet;
};

/* A service answers one request at a time; some answers are a daemon's, and come late. */
struct sim_answer {
	struct vmb_guest_ic ic;
	uint32_t len; /* bytes of packet; 0: nothing waits */
	bool slow; /* the daemon has not answered yet */
	int64_t since;
	uint64_t transaction_id;
	uint8_t packet[VMB_IC_PACKET_LEN_MAX];
};

#define SIM_CANARY_MAX 64u /* pages between them that it goes on to use */

struct sim_balloon {
	struct vmb_guest_balloon core;
	uint32_t left; /* pages to give still */
	uint32_t given_count, canary_count;
	uint64_t given[SIM_GIVEN_MAX], canaries[SIM_CANARY_MAX];
};

/* The guest's end of a connection. */
struct sim_end {
	struct vmb_guest_socket about;
	struct vmb_stream stream;
	struct sim_connection *connection; /* NULL: nobody knows of it any more */
	uint64_t number; /* of the connection */
	uint32_t wanted; /* bytes that wait to be written */
	bool want_end;
};

#define SIM_DIAL_MAX 4u
struct sim_dial {
	struct vmb_guest_dial core;
	bool busy;
	int64_t since;
	uint64_t number; /* of the connection */
};

enum sim_poll { SIM_POLL_REST, SIM_POLL_READ, SIM_POLL_UNMASK };

struct sim_channel {
	struct vmb_guest_channel core;
	struct sim_guest *guest;
	struct sim_channel *next, *primary; /* primary NULL: this is one */
	struct sim_device *device;
	const struct sim_guest_ops *ops;
	uint32_t index;
	uint8_t path_id, target_id; /* of LUN 0 */
	/* control */
	bool want_open;
	bool refused; /* the host said no */
	bool has_gone; /* released: only this memory is left */
	bool releasing;
	bool closing; /* the rings must be given back before they are used again */
	bool dirty; /* a step of it may have something to do */
	int64_t since; /* when it last made one */
	struct sim_lent rings;
	/* data */
	bool open; /* the rings may be used */
	bool ready; /* the handshake is over */
	bool interrupted;
	enum sim_poll poll;
	uint32_t room_wanted; /* a request waits until there are so many bytes; 0: none does */
	struct vmb_ring_writer tx;
	struct vmb_ring_reader rx;
	/* of a primary: what its class needs; of a sub-channel: its part of it */
	struct sim_storage *storage;
	struct vmb_guest_storage joined;
	struct sim_card *card;
	struct sim_card_queue *queue;
	struct sim_answer *answer;
	struct sim_balloon *balloon;
	struct sim_end *end;
};

/* What a class of devices does at each step of a channel's life. */
struct sim_guest_ops {
	/* The device's block; of a primary, or of each channel. false: it is not for this guest. */
	bool (*alloc)(struct sim_channel *ch, const struct vmb_msg_offer *offer);
	void (*free)(struct sim_channel *ch); /* all but what is lent */
	void (*prepare)(struct sim_channel *ch); /* the rings are empty; OPEN is sent next */
	void (*begin)(struct sim_channel *ch); /* the rings may be used */
	void (*read)(struct sim_channel *ch, const struct vmb_ring_received *received);
	void (*write)(struct sim_channel *ch); /* what waits for room, too */
	void (*fail)(struct sim_channel *ch); /* the rings have come back */
	void (*watch)(struct sim_channel *ch); /* time has passed; of primaries */
};
extern const struct sim_guest_ops sim_guest_storage_ops, sim_guest_card_ops, sim_guest_service_ops,
	sim_guest_balloon_ops, sim_guest_socket_ops;

struct sim_guest {
	struct sim *sim;
	struct vmb_guest_connect connect;
	struct sim_channel *channels; /* newest first */
	void *interrupt_page, *monitor_page;
	bool want_unload, unloaded, refused;
	int64_t since; /* when the host last answered */
	int64_t post_after; /* the last post was refused, and is tried again then */
	struct sim_dial dials[SIM_DIAL_MAX];
};

/* sim/guest.c */
/* Boots a guest, which contacts the host. NULL: no memory. */
struct sim_guest *sim_guest_boot(struct sim *sim);
/* Its pages are free at once: the host must not have any of them. */
void sim_guest_free(struct sim_guest *g);
bool sim_guest_start(struct sim_guest *g); /* contacts the host again after an unload */
bool sim_guest_take(struct sim_guest *g, uint32_t vp);
bool sim_guest_has_post(struct sim_guest *g); /* a message waits */
/* refuse: the hypervisor has no buffer for it. */
bool sim_guest_post(struct sim_guest *g, bool refuse);
void sim_guest_advance(struct sim_channel *ch);
void sim_guest_interrupt(struct sim_guest *g, uint32_t flag);
void sim_guest_poll(struct sim_channel *ch);
/* Time has passed: what has waited for too long is given up. Returns false: boot anew. */
bool sim_guest_watch(struct sim_guest *g);
/* The newest channel with this name (SIM_CHANNEL) that fits, or NULL. */
struct sim_channel *sim_guest_channel(struct sim_guest *g, uint32_t who,
				      bool (*fits)(const struct sim_channel *ch));
bool sim_guest_is_live(const struct sim_channel *ch); /* it was not rescinded */
bool sim_guest_may_advance(const struct sim_channel *ch);
bool sim_guest_may_poll(const struct sim_channel *ch);
bool sim_guest_lend(struct sim_channel *ch, struct sim_lent *lent, uint32_t count);
/* Returns whether the pages are the guest's again. */
bool sim_guest_take_back(struct sim_channel *ch, struct sim_lent *lent);
void sim_guest_publish(struct sim_channel *ch);
void sim_guest_ring(struct sim_channel *ch);
void sim_guest_wake(struct sim_channel *ch); /* it and its relatives may have something to do */
bool sim_guest_wants_open(const struct sim_channel *ch);

/* Writes a packet of one part in-band; false: there is no room, and it is asked for. */
bool sim_guest_write(struct sim_channel *ch, const void *bytes, uint32_t len,
		     uint64_t transaction_id);

/* sim/guest_storage.c */
bool sim_guest_storage_request(struct sim_channel *ch, uint32_t arg);
/* Requests until one finds no room, which waits for some. */
bool sim_guest_storage_burst(struct sim_channel *ch, uint32_t arg);
bool sim_guest_storage_reset(struct sim_channel *ch);
bool sim_guest_storage_idle(const struct sim_channel *ch);

/* sim/guest_card.c */
bool sim_guest_card_prepare(struct sim_channel *ch); /* false: not yet */
/* One step towards being up, or towards having left. Returns whether something was done. */
bool sim_guest_card_step(struct sim_channel *ch);
bool sim_guest_card_has_left(const struct sim_channel *ch);
bool sim_guest_card_give_back(struct sim_channel *ch); /* false: not yet */
bool sim_guest_card_send(struct sim_channel *ch, uint32_t arg);

/* sim/guest_service.c: the daemon answers what waits for it. */
bool sim_guest_service_answer(struct sim_channel *ch);

/* sim/guest_balloon.c */
bool sim_guest_balloon_report(struct sim_channel *ch);
/* No page that the guest uses was taken. */
void sim_guest_balloon_check(struct sim_channel *ch);

/* sim/guest_socket.c */
bool sim_guest_socket_dial(struct sim_guest *g, struct sim_device *d);
/* The guest writes bytes, or its end. */
bool sim_guest_socket_send(struct sim_channel *ch, uint32_t len);
bool sim_guest_socket_end(struct sim_channel *ch);
void sim_guest_socket_refused(struct sim_guest *g, struct vmb_guest_dial *dial);
void sim_guest_socket_watch(struct sim_guest *g); /* dials that nobody answers */

#endif
