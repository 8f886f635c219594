/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest and the integration services of a host in one process, both stepped by hand, on clocks
 * that the test sets.
 */
#ifndef TESTS_SERVICES_BED_H
#define TESTS_SERVICES_BED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/services/services.h"
#include "ports/user/guest.h"

#define SECOND_NS    1000000000ll
#define UNITS	     10000000ull /* of 100 ns in a second */
#define MEMORY_PAGES 4096u

static struct vmb_dev_services_now clock_now;
static uint64_t reference_now;
static uint32_t hung_count;
static int lost_now; /* what the machine was told last; -1: nothing */

struct bed {
	struct vmb_user_machine machine;
	struct vmb_user_guest guest;
	struct vmb_dev_services *services;
	struct vmb_dev_machine_ops ops;
};

static inline void read_clock(struct vmb_dev_services_now *now)
{
	*now = clock_now;
}

static inline uint64_t read_reference(struct vmb_dev_machine *machine)
{
	return reference_now;
}

static inline void hung(struct vmb_dev_machine *machine)
{
	hung_count++;
}

static inline void heartbeat(struct vmb_dev_machine *machine, bool lost, uint32_t seconds)
{
	lost_now = lost;
}

/* All clocks go on. */
static inline void pass(uint32_t seconds)
{
	clock_now.ns += seconds * SECOND_NS;
	clock_now.awake_ns += seconds * SECOND_NS;
	clock_now.utc += seconds * UNITS;
	reference_now += seconds * UNITS;
}

static inline struct bed *bed_new(struct vmb_dev_services_config config)
{
	struct vmb_user_machine_config machine = { .page_count = MEMORY_PAGES, .monitors = true };
	struct vmb_user_guest_config guest = { .ring_pages = 4 };
	struct bed *b = calloc(1, sizeof(*b));
	struct vmb_dev_device device;

	assert_non_null(b);
	clock_now = (struct vmb_dev_services_now){ 50 * SECOND_NS, 50 * SECOND_NS,
						   VMB_IC_TIME_UNIX + 1000 * UNITS };
	reference_now = 7 * UNITS;
	hung_count = 0;
	lost_now = -1;
	if (!config.bus_version)
		config.bus_version = VMB_VERSION_NEWEST;
	machine.version_max = config.bus_version;
	if (!config.offered)
		config.offered = VMB_DEV_SERVICES_ALL;
	config.clock = read_clock;
	assert_int_equal(vmb_user_machine_init(&b->machine, &machine), 0);
	b->ops = *b->machine.dev.ops;
	b->ops.reference = read_reference;
	b->ops.hung = hung;
	b->ops.heartbeat = heartbeat;
	b->machine.dev.ops = &b->ops;
	assert_int_equal(vmb_user_guest_init(&b->guest, &b->machine, &guest), 0);
	assert_int_equal(vmb_dev_services_open(&device, &config), 0);
	b->services = vmb_dev_services_of(&device);
	assert_int_equal(vmb_user_machine_add(&b->machine, &device), 0);
	assert_int_equal(vmb_user_guest_start(&b->guest), 0);
	return b;
}

static inline void bed_free(struct bed *b)
{
	vmb_user_guest_destroy(&b->guest);
	vmb_user_machine_destroy(&b->machine);
	free(b);
}

static inline bool step(struct bed *b)
{
	bool any = vmb_user_machine_step(&b->machine);

	return vmb_user_guest_step(&b->guest) || any;
}

static inline void settle(struct bed *b)
{
	uint32_t steps = 0;

	while (step(b))
		assert_true(++steps < 1000);
}

/* Seconds pass one by one. */
static inline void live(struct bed *b, uint32_t seconds)
{
	while (seconds--) {
		pass(1);
		settle(b);
	}
}

static inline struct vmb_user_device *begin(struct bed *b, enum vmb_ic_type type)
{
	struct vmb_user_device *d = vmb_user_guest_service(&b->guest, type);

	assert_non_null(d);
	assert_int_equal(vmb_user_guest_open(&b->guest, d), 0);
	settle(b);
	return d;
}

#endif
