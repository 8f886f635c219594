/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plays the host's half of a recording (devices/trace.h) to the guest core, and says where what the
 * guest core says differs from what the recorded guest said.
 *
 *   vmb_user_recorded_play(&config, &result)
 *
 * The recorded guest's decisions are taken over: which channels it opened, with which pages, which
 * commands it gave to a disk, which queries to a card. All else is the guest core's own: which
 * version it proposes next, how it shakes hands with a disk or a card, the layout of each message
 * and packet, what it accepts of what the host says. It must say the same, byte for byte, but for
 * ids, which are a guest's to choose. docs/tracing.md, "The host's half", has what is tolerated and
 * what is left out.
 *
 * Packets go through real rings of the recorded sizes. A recording may come from anyone: whatever
 * is in it, this ends, and allocates at most VMB_USER_RECORDED_MEMORY_MAX for lent pages. Context:
 * one thread.
 */
#ifndef PORTS_USER_RECORDED_H
#define PORTS_USER_RECORDED_H

#include "devices/trace_read.h"

#define VMB_USER_RECORDED_MEMORY_MAX (512u << 20) /* bytes */

/* What two guests may do differently. Counted, and no difference. */
enum vmb_user_recorded_tolerance {
	VMB_USER_RECORDED_ORDER, /* something is asked earlier or later */
	VMB_USER_RECORDED_ASKED, /* the guest core asks a card what the recorded guest did not */
	VMB_USER_RECORDED_WAITS, /* a card is asked one thing at a time */
	VMB_USER_RECORDED_NUMBER, /* of a GPADL's continuation, which hosts ignore */
	VMB_USER_RECORDED_QUEUEING, /* SRB: port, queue tag, action, sort key */
	VMB_USER_RECORDED_FLAGS, /* SRB: flags */
	VMB_USER_RECORDED_TIMEOUT, /* SRB: timeout */
	VMB_USER_RECORDED_CDB_REST, /* SRB: bytes behind the command */
	VMB_USER_RECORDED_PLACE, /* of an RNDIS message in its page */
	VMB_USER_RECORDED_REST, /* of an NVSP message: bytes behind the fields of its type */
	VMB_USER_RECORDED_QUERY, /* RNDIS: the input of a query, and where it stands */
	VMB_USER_RECORDED_SETTING, /* RNDIS: which settings a guest chooses while it starts */
	VMB_USER_RECORDED_TOLERANCE_COUNT
};

struct vmb_user_recorded_config {
	const void *bytes; /* the recording */
	uint64_t len;
	/* Called for each difference, in the order of the records. number 0: at the end. */
	void (*differs)(void *arg, uint32_t number, const char *text);
	void *arg;
};

struct vmb_user_recorded_result {
	uint64_t played; /* records of the host that the guest core had */
	uint64_t compared; /* records of the guest */
	uint64_t left_out, differences;
	uint64_t cut; /* RNDIS messages that were not whole in the recording */
	struct {
		uint64_t count;
		uint32_t first; /* record */
	} tolerated[VMB_USER_RECORDED_TOLERANCE_COUNT];
	const char *ended; /* why it ended before the end of the file; NULL: it did not */
};

/* Returns 0, or -ENOMEM: reported. */
int vmb_user_recorded_play(const struct vmb_user_recorded_config *config,
			   struct vmb_user_recorded_result *result);

/* What a tolerance is, in a few words. */
const char *vmb_user_recorded_tolerance(enum vmb_user_recorded_tolerance which);

#endif
