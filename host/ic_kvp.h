/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side of the key-value service: bodies of requests, to be sent with
 * vmb_host_ic_request(), and what the guest answers to them. All texts here are UTF-8.
 *
 * The guest's texts are not trusted: they are clamped, and what is no text becomes U+FFFD. Pairs
 * are found by their place in a pool, for the guest of Linux answers GET at an offset of its own
 * (docs/protocol/integration.md, "15.2 KVP device").
 *
 * Context: any; these functions keep nothing.
 * Source: docs/protocol/integration.md, "6 KVP".
 */
#ifndef HOST_IC_KVP_H
#define HOST_IC_KVP_H

#include "wire/ic.h"

/* What a key or value of UTF-16 can become in UTF-8: three bytes a unit, and the NUL. */
#define VMB_HOST_IC_KVP_KEY_MAX	  (VMB_IC_KVP_KEY_LEN / 2 * 3 + 5)
#define VMB_HOST_IC_KVP_VALUE_MAX (VMB_IC_KVP_VALUE_LEN / 2 * 3 + 5)

struct vmb_host_ic_kvp_item {
	char key[VMB_HOST_IC_KVP_KEY_MAX];
	char value[VMB_HOST_IC_KVP_VALUE_MAX]; /* a number: in decimal */
};

struct vmb_host_ic_kvp_ip {
	uint8_t family; /* VMB_IC_KVP_IPV4, ... */
	bool dhcp;
	/* lists, with ";" between */
	char addresses[2048 / 2 * 3 + 5];
	char subnets[2048 / 2 * 3 + 5];
	char gateways[1024 / 2 * 3 + 5];
	char name_servers[2048 / 2 * 3 + 5];
};

/*
 * These fill in a body of sizeof(*body) bytes. pool: enum vmb_ic_kvp_pool. Return 0;
 * VMB_EOVERFLOW: a text is too long for the message.
 */
int vmb_host_ic_kvp_set(struct vmb_ic_kvp *body, uint8_t pool, const char *key, const char *value);
int vmb_host_ic_kvp_delete(struct vmb_ic_kvp *body, uint8_t pool, const char *key);
void vmb_host_ic_kvp_enumerate(struct vmb_ic_kvp *body, uint8_t pool, uint32_t index);
/* mac: "02:00:00:00:00:01"; letters are made upper-case. */
int vmb_host_ic_kvp_get_ip(struct vmb_ic_kvp_ip *body, const char *mac);

/* Reads the answer to an ENUMERATE, len bytes. VMB_EPROTO: it is too short. */
int vmb_host_ic_kvp_item(const void *body, uint32_t len, struct vmb_host_ic_kvp_item *item);
/* Reads the answer to a GET_IP, len bytes. VMB_EPROTO: it is too short. */
int vmb_host_ic_kvp_ip(const void *body, uint32_t len, struct vmb_host_ic_kvp_ip *ip);

#endif
