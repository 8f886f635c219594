/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side of key-value pairs, backup and file copy: what a request says, checked, and how
 * it is answered. Texts of the host are UTF-16 of a length that was clamped to their place; the
 * port turns them into UTF-8 with vmb_utf16_to_utf8().
 *
 * Context: any; these functions keep nothing. Pointers lead into the request's body, which becomes
 * the answer: read all of it first.
 * Source: docs/protocol/integration.md, "6 KVP", "7 VSS", "8 File copy", "18 Hardening".
 */
#ifndef GUEST_IC_KVP_H
#define GUEST_IC_KVP_H

#include "guest/ic.h"

struct vmb_guest_ic_kvp {
	uint8_t operation; /* enum vmb_ic_kvp_operation */
	uint8_t pool; /* below VMB_IC_KVP_AUTO_INTERNAL */
	uint32_t index; /* ENUMERATE */
	uint32_t type; /* SET: of the value */
	const uint8_t *key; /* GET, SET, DELETE; else NULL */
	uint32_t key_len; /* bytes */
	const uint8_t *value; /* SET; else NULL */
	uint32_t value_len;
	struct vmb_ic_kvp_ip *ip; /* GET_IP, SET_IP: the whole body; else NULL */
};

/*
 * Reads a request for pairs or addresses. Returns 0; VMB_EPROTO: it is too short;
 * VMB_EOPNOTSUPP: no such operation or pool: answer VMB_IC_INVALID_ARGUMENT.
 */
int vmb_guest_ic_kvp(const struct vmb_guest_ic_request *request, struct vmb_guest_ic_kvp *kvp);

/*
 * Writes the value of a SET as text, also if it is a number. room: bytes at text, more than 20.
 */
void vmb_guest_ic_kvp_text(const struct vmb_guest_ic_kvp *kvp, char *text, uint32_t room);

/*
 * Turns an ENUMERATE or GET into its answer: this pair, UTF-8. Returns 0; VMB_EOVERFLOW: it does
 * not fit, and the answer must be a failure.
 */
int vmb_guest_ic_kvp_answer(const struct vmb_guest_ic_request *request, const char *key,
			    const char *value);

/* Returns the operation of a request for backup, or VMB_EPROTO: it is too short. */
int vmb_guest_ic_backup(const struct vmb_guest_ic_request *request);

#endif
