/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The simulator: a guest (guest/) and the devices that serve it (devices/) in one thread, in
 * virtual time. Nothing happens by itself. A message lies in its slot until the guest is told to
 * take it; an interrupt, a doorbell and an operation of a disk are under way until one is told to
 * arrive; each end stands still until it is told to make its next step. What is told next is one
 * choice, and a run is a list of choices:
 *
 *   a seed draws a configuration (sim/config.c) and then choice after choice out of all that could
 *   happen now (sim/schedule.c); each is carried out and recorded (sim/choice.c)
 *   the checkers (sim/disk.c, sim/frames.c, sim/check.c) look on from outside of both ends
 *   the recorded list alone makes the same run again; a part of it makes a smaller run, because a
 *   choice that is not possible any more is left out. So a failure is shrunk (sim/shrink.c)
 *
 * Each event is one line of the log, in words. The log's hash is the same whenever the same seed
 * runs on the same commit.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "devices/fault_plan.h"
#include "sim/config.h"
#include "sim/guest.h"
#include "sim/machine.h"
#include "sim/world.h"

/* What can be told to happen. docs/simulator.md names each. */
enum sim_what {
	/* one step of one end, or the arrival of something that is under way */
	SIM_MESSAGE, /* who: processor; the guest takes the message out of its slot */
	SIM_POST, /* the guest posts the message that waits */
	SIM_ADVANCE, /* who: channel; the guest opens or closes it a step further */
	SIM_INTERRUPT, /* who: processor; arg: which of those under way */
	SIM_DOORBELL, /* arg: which of those under way */
	SIM_POLL, /* who: channel; one step of its poll */
	SIM_DEVICE, /* who: device */
	SIM_SCAN, /* the host looks at the interrupt page and the monitor page */
	SIM_OPERATION, /* who: device; arg: which operation of its disks ends, and how */
	SIM_HEAR, /* who: device; arg: which program at the end of a connection reads */
	SIM_TICK, /* time passes; arg: ticks */
	/* what somebody wants */
	SIM_REQUEST, /* who: device; arg: the command */
	SIM_BURST, /* who: device; arg: as many commands as the ring has room for, and one more */
	SIM_SEND, /* who: device; arg: the guest's frame */
	SIM_DELIVER, /* who: device; arg: a frame of the network's */
	SIM_CALL, /* who: device; the host is asked for what the service, or memory, can do; of
		     sockets, a program connects to the guest */
	SIM_REPLY, /* who: device; the guest's daemon answers, or reports; of sockets, it dials */
	SIM_STREAM, /* who: device; arg: the guest writes to a connection, or ends it */
	SIM_PROGRAM, /* who: device; arg: the program at the other end does */
	SIM_OPEN, /* who: device */
	SIM_CLOSE, /* who: device */
	SIM_MODIFY, /* who: device; arg: the processor to interrupt */
	SIM_RESCIND, /* who: device */
	SIM_OFFER, /* who: device */
	SIM_UNPLUG, /* who: device; arg: a disk */
	SIM_PLUG, /* who: device; arg: a disk */
	SIM_GROW, /* who: device; arg: a disk */
	SIM_CHANGE, /* who: device; its DVD drive gets another disc */
	SIM_LINK, /* who: device; arg: up or not */
	SIM_MTU, /* who: device; arg */
	SIM_BUS_RESET, /* who: device; the guest resets its SCSI bus */
	SIM_PAUSE, /* arg: for how many ticks the guest stands still */
	SIM_UNLOAD, /* the guest leaves the bus */
	SIM_CONNECT, /* and comes back */
	SIM_KEXEC, /* another guest boots in its place, without a word to the host */
	SIM_RESET, /* the machine is reset */
	SIM_FAULT, /* arg: the seed of a rule of devices/fault_plan.h */
	SIM_FAULT_END, /* all rules end */
	SIM_REST, /* everything that can happen happens, in turn, until nothing is left */
	SIM_WHAT_COUNT,
};

struct sim_choice {
	uint8_t what; /* enum sim_what */
	uint8_t who;
	uint32_t arg;
};

struct sim_choices {
	struct sim_choice *list;
	uint32_t count, room;
};

#define SIM_TICK_NS 10000000ll /* VMB_DEV_FAULT_TICK_MS */
#define SIM_STEP_NS 2000ll /* what a step takes */

struct sim {
	uint64_t seed, random;
	struct sim_config config;
	int64_t now; /* virtual nanoseconds since the start */
	int64_t paused_until; /* the guest stands still */
	struct sim_machine machine;
	struct sim_world world; /* what is on the bus */
	struct vmb_dev_fault_plan plan;
	struct sim_guest *guest;
	/*
	 * another guest booted over this one: its pages are the host's until that answers the new
	 * one
	 */
	struct sim_guest *orphan;
	struct sim_choices choices; /* what was carried out */

	/* the log */
	FILE *story; /* where it is printed; NULL: nowhere */
	bool details; /* print the small events of a rest, too */
	bool resting; /* everything happens, in turn */
	bool quiet; /* nothing is printed but failures, unless with details */
	char said[160]; /* the host's own line about what it met */
	uint64_t hash;
	uint64_t steps, lives; /* choices carried out; of them, what somebody wanted */
	uint64_t full; /* rings that the guest found full */

	/* the outcome */
	bool failed;
	char failure[256]; /* the first line that says what is wrong */
};

/* sim/log.c */
/* One event in words: text is a format with at most three numbers (%lu). */
void sim_say(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c);
/* The same for a small event, which is not printed while everything happens in turn. */
void sim_note(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c);
/* A message of the bus: text is a format with its name (%s) and two numbers. */
void sim_note_message(struct sim *sim, const char *text, const void *message, unsigned long a,
		      unsigned long b);
/* A checker found that a promise was broken. The first failure counts. */
void sim_fail(struct sim *sim, const char *text, unsigned long a, unsigned long b, unsigned long c);

/* A pure function of its argument, for content and for choices: every bit depends on every bit. */
static inline uint64_t sim_mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15ull;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
	x = (x ^ x >> 27) * 0x94D049BB133111EBull;
	return x ^ x >> 31;
}

/* The next random number of a stream, 0 to below - 1. */
static inline uint32_t sim_draw(uint64_t *random, uint32_t below)
{
	*random += 0x9E3779B97F4A7C15ull;
	return (uint32_t)((sim_mix(*random) >> 32) * below >> 32);
}

/*
 * sim/choice.c: carries a choice out. Returns false: it is not possible now, and nothing changed.
 */
bool sim_choose(struct sim *sim, struct sim_choice choice);
/* What a choice is called. */
const char *sim_choice_name(enum sim_what what);

/* The machine is gone: every channel of the host's closes. */
void sim_stop(struct sim *sim);
/* The text of a rule of devices/fault_plan.h, drawn from a number. */
void sim_rule_text(const struct sim *sim, uint32_t number, char *text, size_t len);

/* sim/schedule.c */
/* Fills in what can move now, at most max choices; returns how many. */
uint32_t sim_movable(struct sim *sim, struct sim_choice *list, uint32_t max);
/* Draws the next choice. */
struct sim_choice sim_next(struct sim *sim);
/* Lets everything move in turn until nothing is left to move. Time does not pass by itself. */
void sim_rest(struct sim *sim);

/* sim/check.c */
/* Nothing moves: no end may owe the other a signal. */
void sim_check_rest(struct sim *sim);
/* After each choice: what must hold at any time. */
void sim_check_step(struct sim *sim);
/* Faults have ended: everything must work again, within a bound of virtual time. */
void sim_check_recovery(struct sim *sim);
/* The guest leaves: nothing of it may be kept. */
void sim_check_end(struct sim *sim);

/* sim/run.c */
struct sim_run {
	uint64_t seed;
	uint32_t steps; /* choices to draw at most */
	const struct sim_choices *replay; /* NULL: draw; else carry these out */
	FILE *story; /* NULL: do not print */
	bool details; /* of it: every event */
};
/* Makes a run; free it with sim_free(). sim->failed says how it ended. */
struct sim *sim_run(const struct sim_run *run);
void sim_free(struct sim *sim);
void sim_choices_add(struct sim_choices *choices, struct sim_choice choice);

/* sim/shrink.c: makes the shortest list of choices it can find that fails like sim. */
struct sim_choices sim_shrink(const struct sim *sim);

#endif
