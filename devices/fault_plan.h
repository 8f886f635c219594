/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Faults by rules and a seed: a host that misbehaves the same way again. A rule says what goes
 * wrong (`drop`, `delay`, ...), where (`on=`), and how often; which packet or message it is, and
 * what becomes of it, is drawn from the seed. docs/testing-your-driver.md is about the rules.
 *
 *   vmb_dev_fault_plan_init(&plan)
 *   vmb_dev_fault_plan_add(&plan, "drop,on=storage,rate=100,seed=7")
 *   vmb_dev_fault_plan_attach(&plan, bus)     for each start of the machine; _detach
 *   vmb_dev_fault_tick(bus)                   now and then, devices/fault.h
 *   vmb_dev_fault_plan_destroy(&plan)
 *
 * Each rule has a stream of random numbers of its own, so another rule does not change what it
 * does. On a stepped bus the same seed makes the same faults. Where threads run the order in which
 * packets of different channels come is not the seed's: the same seed makes the same decisions, for
 * the packets in their order on each rule.
 *
 * Context: any thread; a lock of the plan serialises. Nothing waits.
 */
#ifndef DEVICES_FAULT_PLAN_H
#define DEVICES_FAULT_PLAN_H

#include <pthread.h>

#include "devices/fault.h"

#define VMB_DEV_FAULT_RULE_MAX	   16u
#define VMB_DEV_FAULT_RULE_LEN_MAX 128u /* bytes of a rule's text */
#define VMB_DEV_FAULT_TICK_MS	   10 /* of openvmbus; a test's are its steps */

enum vmb_dev_fault_kind {
	VMB_DEV_FAULT_KIND_DROP,
	VMB_DEV_FAULT_KIND_DELAY,
	VMB_DEV_FAULT_KIND_DUPLICATE,
	VMB_DEV_FAULT_KIND_REORDER,
	VMB_DEV_FAULT_KIND_CORRUPT,
	VMB_DEV_FAULT_KIND_FORGE,
	VMB_DEV_FAULT_KIND_LIE,
	VMB_DEV_FAULT_KIND_STORM,
	VMB_DEV_FAULT_KIND_REFUSE,
	VMB_DEV_FAULT_KIND_SILENCE,
	VMB_DEV_FAULT_KIND_THROTTLE,
	VMB_DEV_FAULT_KIND_FAIL,
	VMB_DEV_FAULT_KIND_TEAR,
	VMB_DEV_FAULT_KIND_NO_MODE_SENSE,
	VMB_DEV_FAULT_KIND_COUNT,
};

struct vmb_dev_fault_rule {
	uint32_t id; /* from 1; never used again */
	enum vmb_dev_fault_kind kind;
	uint32_t targets; /* bits, see the names in fault_plan.c */
	uint32_t message_type; /* of targets that are one message; 0: any */
	uint32_t rate; /* one in so many, by chance */
	uint32_t ticks; /* of delay */
	uint64_t after, count; /* leaves out the first, and stops after */
	uint64_t seed, random;
	uint64_t met, done; /* what it was asked about, and what it spoiled */
};

struct vmb_dev_fault_plan {
	struct vmb_dev_fault fault;
	pthread_mutex_t lock;
	struct vmb_dev_fault_rule rules[VMB_DEV_FAULT_RULE_MAX];
	uint32_t count, last_id;
};

void vmb_dev_fault_plan_init(struct vmb_dev_fault_plan *plan);
/* The bus must be detached. */
void vmb_dev_fault_plan_destroy(struct vmb_dev_fault_plan *plan);

/*
 * Adds a rule. Without seed= one is drawn. "any,seed=N" adds up to four rules that the seed draws.
 * Returns the id of the (first) rule, or -EINVAL: reported.
 */
int vmb_dev_fault_plan_add(struct vmb_dev_fault_plan *plan, const char *text);
/* Returns 0, or -ENOENT. */
int vmb_dev_fault_plan_remove(struct vmb_dev_fault_plan *plan, uint32_t id);
/* Copies the rule at a place, 0 to count - 1. Returns false if there is none. */
bool vmb_dev_fault_plan_look(struct vmb_dev_fault_plan *plan, uint32_t place,
			     struct vmb_dev_fault_rule *rule);
/* Writes a rule's text, with its seed: added again it does the same. */
void vmb_dev_fault_plan_text(const struct vmb_dev_fault_rule *rule, char *text, size_t len);
/* Returns what this kind is called, for lists of kinds: NULL behind the last. */
const char *vmb_dev_fault_kind_name(uint32_t kind);

/* Faults begin and end. The guest may run; the bus's lock is not held. */
void vmb_dev_fault_plan_attach(struct vmb_dev_fault_plan *plan, struct vmb_dev_bus *bus);
void vmb_dev_fault_plan_detach(struct vmb_dev_fault_plan *plan, struct vmb_dev_bus *bus);

#endif
