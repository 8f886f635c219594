/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The random walk over the host's message engine (host_walk_test.c): its ledger, and its port
 * (host_walk.c).
 */
#ifndef TESTS_HOST_WALK_H
#define TESTS_HOST_WALK_H

#include "tests/host_bed.h"

#define DEVICE_MAX    6u
#define RELID_MAX     16u /* more than the devices ever use */
#define IDS_PER_RELID 4u
#define LENT_MAX      128u
#define RESERVED_SINT 9u

enum device_state { OFF, OPENING, OPEN, CLOSING };

struct device {
	struct vmb_host_channel ch; /* first: its address is the device's */
	enum device_state state; /* by the events that were taken and the answers that were given */
	struct vmb_host_gpadl *ring;
	bool rescinded;
	bool modify_waiting;
};

struct lent {
	struct vmb_host_gpadl gpadl; /* first */
	struct device *device;
	uint32_t hold_count; /* vmb_host_gpadl_get calls that are not put yet */
};

/* What the guest knows of a relid, and what it is owed. */
struct view {
	bool offered, rescinded;
	bool open_due;
	uint32_t open_id;
	bool modify_due;
	uint32_t created_due[IDS_PER_RELID];
	uint32_t torndown_due[IDS_PER_RELID];
};

struct walk {
	struct vmb_host_server s;
	uint64_t random;
	struct device *devices[DEVICE_MAX];
	struct lent *lents[LENT_MAX];
	struct view views[RELID_MAX];
	bool version_due, unload_due, offers_due, refusal_due;
	bool reserved_open_due, reserved_close_due; /* on SINT RESERVED_SINT */
	uint32_t connect_due;
	bool must_offer[RELID_MAX]; /* before OFFERS_DELIVERED */
	uint32_t version; /* of the connection, as the guest sees it */
	uint32_t contact_version; /* that it asked for last */
	uint32_t last_open_id;
	uint64_t delivered[32]; /* messages, by number */
	uint64_t opened, created; /* successes among them */
	uint64_t dropped; /* messages that could not be delivered */
};

extern struct walk *w; /* the one that is under way */

/* The next number of the walk, below sides. */
uint32_t roll(uint32_t sides);
uint32_t id_of(uint32_t relid, uint32_t index);
struct view *view_of_id(uint32_t id, uint32_t *index);
/* GPADL_CREATED for id must come. */
void created_is_due(uint32_t id);
/* The port: answers GPADL_WANTED, takes an event, answers a device's events. */
void supply(void);
bool take_event(void);
void answer_device(struct device *device, bool may_fail);
/* Devices come and go. */
void add_device(uint32_t slot);
void rescind_device(struct device *device);
/* GPADLs that the port holds. */
struct lent *some_lent(void);
void hold_or_put(void);

#endif
