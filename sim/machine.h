/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The machine between both ends (devices/machine.h): message slots, interrupts and doorbells. What
 * one end sends is under way until sim/choice.c says that it arrives.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "devices/bus.h"
#include "devices/machine.h"
#include "ports/user/memory.h"
#include "wire/synic.h"

#define SIM_VP_MAX   4u
#define SIM_BELL_MAX 64u

struct sim;

struct sim_vp {
	bool full; /* the slot */
	uint32_t len;
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
	uint32_t flag_count; /* interrupts under way */
	uint64_t flags[VMB_SYNIC_FLAG_COUNT / 64];
};

struct sim_bell {
	uint32_t connection_id;
	struct vmb_dev_bell *bell; /* NULL: free */
	bool under_way;
};

struct sim_machine {
	struct vmb_dev_machine dev;
	struct sim *sim;
	struct vmb_user_memory memory;
	struct vmb_dev_bus *bus;
	struct sim_vp vps[SIM_VP_MAX];
	struct sim_bell bells[SIM_BELL_MAX];
	bool scan; /* the guest wrote to a page that the host must look at */
};

/* Returns 0, or -1: this process lacks something. */
int sim_machine_init(struct sim_machine *m, struct sim *sim);
/* All devices are gone. */
void sim_machine_destroy(struct sim_machine *m);
/* The guest is gone: what was under way to it is forgotten. */
void sim_machine_forget(struct sim_machine *m);

/*
 * Another guest has message pages of its own: what lies in those of the one before is lost, and
 * what waits comes when it posts something itself.
 */
void sim_machine_empty_slots(struct sim_machine *m);

/* The guest's hypercalls. Return an enum vmb_hv_status. */
uint32_t sim_machine_post(struct sim_machine *m, uint32_t connection_id, const void *payload,
			  uint32_t len);
uint32_t sim_machine_signal(struct sim_machine *m, uint32_t connection_id);

/* The guest takes the message of a processor: its length, or 0. */
uint32_t sim_machine_take(struct sim_machine *m, uint32_t vp,
			  uint8_t payload[VMB_SYNIC_PAYLOAD_MAX]);
/* The nth interrupt under way to vp arrives: its flag, or -1: there is none. */
int sim_machine_arrive(struct sim_machine *m, uint32_t vp, uint32_t n);
/* Whether an interrupt with this flag is under way to any processor. */
bool sim_machine_interrupting(const struct sim_machine *m, uint32_t flag);
/* A processor goes offline: an interrupt under way to it is lost. */
void sim_machine_lose(struct sim_machine *m, uint32_t vp, uint32_t flag);
/* The nth doorbell under way arrives: the bell to ring, or NULL. */
struct vmb_dev_bell *sim_machine_arriving(struct sim_machine *m, uint32_t n);

#endif
