/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network loopback with a listener at its rings and buffers, and a player of transcripts.
 *
 *   card = card_new(version, cast)
 *   card_play(card, t, "open", act)      makes that section's thing happen, and compares what is
 *                                        said
 *   play_end(&card->play)                nothing more is said
 *   card_free(card)
 *
 * As in tests/conformance_stage.h the listener knows the layouts by itself; channels and shared
 * memory it finds where the guest gives them to the host.
 */
#ifndef TESTS_CONFORMANCE_CARD_H
#define TESTS_CONFORMANCE_CARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ports/user/network.h"
#include "tests/conformance_play.h"

#define CARD_QUEUES	 2u
#define CARD_RING_LEN	 (2u * VMB_PAGE_LEN)
#define CARD_RECEIVE_LEN (2u << 20)
#define CARD_SEND_LEN	 (1u << 20)
#define CARD_FRAMES_MAX	 8u

struct card_ring {
	uint8_t *base; /* control page, then data; NULL: not open */
	uint32_t heard; /* up to here */
	uint64_t signals; /* heard */
};

struct card_frame {
	uint32_t len;
	uint8_t bytes[2000];
};

struct card {
	struct vmb_user_network l;
	struct play play;
	/* the listener's */
	struct card_ring rings[CARD_QUEUES][2]; /* by enum transcript_way */
	uint32_t receive_id, send_id, suballoc_len;
	/* what came out at the end */
	struct card_frame at_host[CARD_FRAMES_MAX], at_guest[CARD_FRAMES_MAX];
	uint32_t host_count, guest_count, sent_count;
	/* of the guest that is not there */
	uint8_t *memory[4]; /* rings and buffers to free */
	uint32_t memory_count;
	bool closing; /* the bus takes a channel from the card, whoever plays it */
	bool open_sub;
	uint32_t chosen;
};

struct card *card_new(uint32_t version, enum play_cast cast);
void card_free(struct card *c);
void card_play(struct card *c, const struct transcript *t, const char *section,
	       void (*act)(struct card *c));

/* What a guest that is not there does first: opens its primary channel. */
void card_open_scripted(struct card *c);

#endif
