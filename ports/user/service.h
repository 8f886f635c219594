/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The integration services of the guest in ports/user/guest.h: what a channel of theirs has instead
 * of storage. Requests are answered on the thread that steps.
 *
 *   d = vmb_user_guest_service(g, VMB_IC_SHUTDOWN); vmb_user_guest_open(g, d)
 *   d->service.status, .silent, ... say how it answers; .last_* what it was asked
 */
#ifndef PORTS_USER_SERVICE_H
#define PORTS_USER_SERVICE_H

#include "guest/ic_kvp.h"

#define VMB_USER_PAIR_MAX 8u
#define VMB_USER_COPY_MAX 65536u

struct vmb_user_service {
	bool used; /* the channel is a service's */
	struct vmb_guest_ic ic;
	/* the test's */
	bool silent; /* does not answer */
	bool deaf; /* does not even read */
	uint32_t status; /* of answers */
	/* Changes an answer before it is sent. May be NULL. Returns its length. */
	uint32_t (*spoil)(uint8_t *packet, uint32_t len);
	/* what it was asked */
	uint32_t asked; /* requests, negotiations not counted */
	int last_shutdown; /* what vmb_guest_ic_shutdown() said */
	struct vmb_guest_ic_time last_time;
	uint64_t last_sequence; /* as answered */
	/* a daemon of key-value pairs: one pool, keys and values as text */
	struct {
		char key[128], value[128];
	} pairs[VMB_USER_PAIR_MAX];
	uint32_t pair_count;
	/* backup */
	bool frozen;
	uint32_t freezes;
	/* the file that is copied */
	uint8_t *file;
	uint32_t file_len;
	bool complete;
};

/* Prepares a service if type_id is one's. Returns whether it is. */
bool vmb_user_service_init(struct vmb_user_service *s, const struct vmb_guid *type_id);

/*
 * Takes a packet's payload, len bytes, which becomes the answer. Returns the answer's length; 0: no
 * answer.
 */
uint32_t vmb_user_service_take(struct vmb_user_service *s, uint8_t *packet, uint32_t len);

#endif
