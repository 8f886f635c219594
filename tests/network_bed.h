/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A card in loopback and what its tests need: records of all frames that came out at either end,
 * frames sent in every shape, and what must hold when a test ends.
 */
#ifndef TESTS_NETWORK_BED_H
#define TESTS_NETWORK_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ports/user/network.h"
#include "tests/network_frame.h"

struct net_record {
	uint8_t *bytes;
	uint32_t len;
	uint32_t mss;
	uint16_t queue;
	uint32_t piece_count; /* at the guest */
	struct vmb_guest_rndis_frame rndis; /* at the guest */
};

struct net_records {
	struct net_record *list;
	uint32_t count, room;
};

struct net_bed {
	struct vmb_user_network l;
	struct vmb_user_network_config config;
	uint64_t random;
	struct net_records wire; /* what the guest sent, as on the wire */
	struct net_records received; /* by the guest */
	uint32_t sent_frames; /* completed, by the host's word */
	uint32_t sent_bad; /* ... with another status than success */
	uint32_t held_count; /* page lists of frames under way */
	bool keep; /* record at all */
};

/*
 * How a frame is laid out: inline_len bytes behind the envelope, the rest in pages from page_offset
 * on.
 */
struct net_shape {
	uint32_t inline_len; /* UINT32_MAX: all that fits */
	uint32_t page_offset;
	bool more;
};
#define NET_INLINE ((struct net_shape){ .inline_len = UINT32_MAX })

/* Fills in addresses, offloads, recorders; what the caller set stays. Not open. */
struct net_bed *net_new(struct vmb_user_network_config config);
/* ... and open. */
struct net_bed *net_new_open(struct vmb_user_network_config config);
/* Closes if need be, and everything must be given back. */
void net_free(struct net_bed *b);
void net_close(struct net_bed *b);

uint32_t net_random(struct net_bed *b, uint32_t below);
void net_forget(struct net_bed *b);

/* What _send says. rndis.len is set. */
int net_send_bytes(struct net_bed *b, uint16_t queue, struct vmb_guest_rndis_frame rndis,
		   const uint8_t *bytes, uint32_t len, struct net_shape shape);
/* A frame of spec; open checksums and LSO are asked for as spec says. mss: 0 = no LSO. */
int net_send(struct net_bed *b, uint16_t queue, const struct net_spec *spec, uint32_t mss,
	     struct net_shape shape);
/* The per-packet information that goes with spec. */
struct vmb_guest_rndis_frame net_facts(const struct net_spec *spec, uint32_t mss);
/* A frame from the wire to the guest; settles. Answers what _deliver says. */
int net_deliver(struct net_bed *b, const uint8_t *bytes, uint32_t len, uint32_t mss);

/* The queues are idle, all suballocations are with the host, no page is held. */
void net_expect_quiet(struct net_bed *b);
/* Each end says the same, and it is what was asked for. */
void net_expect_agreement(struct net_bed *b);
/* n frames each way arrive as they were sent. */
void net_expect_traffic(struct net_bed *b, uint32_t n);

/* Hooks at all queues of an end; NULL: none. */
void net_hook_host(struct net_bed *b, vmb_user_network_hook *hook, void *arg);
void net_hook_guest(struct net_bed *b, vmb_user_network_hook *hook, void *arg);
/* What a hook sees: a data packet's completion by the host, and a data packet of either end. */
bool net_is_data_completion(const struct vmb_dev_packet *p);
bool net_is_data(const struct vmb_dev_packet *p);

/* A frame of no known type for the guest. */
void net_frame_to_guest(uint8_t *bytes, uint32_t len, uint32_t flow);
/* ... in a packet of its own, given to the guest; nobody is stepped. */
int net_give_alone(struct net_bed *b, uint32_t flow);
/* A small frame of the guest's. True: it was taken. */
bool net_try_send(struct net_bed *b);

#endif
