/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The storage loopback with a listener on the wire, and a player of transcripts.
 *
 *   stage = stage_new(&config)           both ends are real; or the transcript speaks for one of
 *                                        them
 *   stage_play(stage, t, "contact")      makes that section's thing happen, and compares what is
 *                                        said
 *   play_end(&stage->play)               nothing more is said
 *   stage_free(stage)
 *
 * The listener knows the messages' and rings' layout by itself: it takes pages from the GPADL
 * messages, rings from OPEN, and packets from the bytes that lie between a ring's indices. It hears
 * because the linker puts its functions in the place of the four by which the two ends of
 * ports/user reach each other (see the Makefile).
 */
#ifndef TESTS_CONFORMANCE_STAGE_H
#define TESTS_CONFORMANCE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ports/user/loopback.h"
#include "tests/conformance_play.h"

#define STAGE_RING_PAGES_MAX 64u
#define STAGE_GPADLS_MAX     8u
#define STAGE_REQUESTS_MAX   16u

struct stage_config {
	uint32_t bus_version; /* of the host */
	uint16_t storage_version;
	uint16_t guest_storage_version; /* 0: it knows all of them */
	uint32_t queue_count; /* channels that the controller has; 0: one */
	bool ide; /* a unit on the secondary channel, slave; else a SCSI controller */
	bool monitors; /* the host has them, and the guest's signals may wait */
	bool sockets; /* the host serves them */
	enum play_cast cast;
	bool doubt; /* see tests/conformance_play.h */
	uint32_t kinds; /* bits 1 << enum transcript_kind: what is listened to */
};

struct stage_ring {
	uint32_t page_count; /* 0: none */
	uint64_t pfns[STAGE_RING_PAGES_MAX]; /* control page first */
	uint32_t heard; /* up to here */
};

struct stage_gpadl {
	uint32_t id, pfn_count, want_count;
	uint64_t pfns[2 * STAGE_RING_PAGES_MAX];
};

/* A request that waits for its completion. */
struct stage_request {
	bool used, reads;
	uint64_t id;
	uint32_t offset, pfn_count;
	uint64_t pfns[4];
};

struct stage {
	struct vmb_user_loopback l;
	struct play play;
	uint32_t bus_version;
	bool monitors;
	/* the listener's */
	uint32_t relid;
	uint64_t interrupt_page, monitor_page; /* page frame numbers; 0: none */
	bool has_monitor;
	uint32_t monitor_id;
	bool pending; /* heard, and not yet taken */
	struct stage_ring rings[2]; /* by enum transcript_way */
	struct stage_gpadl gpadls[STAGE_GPADLS_MAX];
	struct stage_request requests[STAGE_REQUESTS_MAX];
	/* the actors' */
	struct vmb_user_request request;
	uint64_t pages[4];
	uint32_t page_count;
	char folder[32], path[40]; /* of sockets */
	int server, peer; /* listens for the guest; the connection's other end; -1: none */
	struct vmb_user_dial dials[2];
	uint32_t service; /* the guest's port that the host connects to */
};

struct stage *stage_new(const struct stage_config *config);
void stage_free(struct stage *s);

/* act: what makes it happen, or NULL. */
void stage_play(struct stage *s, const struct transcript *t, const char *section,
		void (*act)(struct stage *s));

#endif
