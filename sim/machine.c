// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keeps messages, interrupts and doorbells under way until they are told to arrive. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define PAGE_COUNT 4096u

static struct sim_machine *machine_of(struct vmb_dev_machine *dev)
{
	return VMB_CONTAINER_OF(dev, struct sim_machine, dev);
}

static struct sim_bell *find_bell(struct sim_machine *m, const struct vmb_dev_bell *bell,
				  uint32_t connection_id)
{
	for (uint32_t i = 0; i < SIM_BELL_MAX; i++)
		if (m->bells[i].bell == bell &&
		    (!bell || m->bells[i].connection_id == connection_id))
			return &m->bells[i];
	return NULL;
}

static int connect_bell(struct vmb_dev_machine *dev, uint32_t connection_id,
			struct vmb_dev_bell *bell, bool on)
{
	struct sim_machine *m = machine_of(dev);
	struct sim_bell *place = find_bell(m, on ? NULL : bell, connection_id);

	if (place)
		*place = (struct sim_bell){ connection_id, on ? bell : NULL, false };
	return place || !on ? 0 : VMB_ENOMEM;
}

static void signal_vp(struct vmb_dev_machine *dev, uint32_t vp, uint32_t flag)
{
	struct sim_vp *v = &machine_of(dev)->vps[vp];
	uint64_t bit = 1ull << flag % 64;

	if (v->flags[flag / 64] & bit)
		return;
	v->flags[flag / 64] |= bit;
	v->flag_count++;
	sim_note(machine_of(dev)->sim, "  the host interrupts processor %lu with flag %lu", vp,
		 flag, 0);
}

static int post_message(struct vmb_dev_machine *dev, uint32_t vp, uint32_t sint,
			const void *payload, uint32_t len)
{
	struct sim_vp *v = &machine_of(dev)->vps[vp];

	if (sint != VMB_SYNIC_SINT_VMBUS)
		return VMB_ENODEV;
	if (v->full)
		return VMB_EAGAIN;
	v->full = true;
	v->len = len;
	memcpy(v->payload, payload, len);
	sim_note_message(machine_of(dev)->sim, "  the host sends %s to processor %lu (%lu bytes)",
			 payload, vp, len);
	return 0;
}

static uint64_t reference(struct vmb_dev_machine *dev)
{
	return (uint64_t)machine_of(dev)->sim->now / 100;
}

static void fail(struct vmb_dev_machine *dev)
{
	sim_fail(machine_of(dev)->sim, "the host says that it cannot go on", 0, 0, 0);
}

static const struct vmb_dev_machine_ops ops = { .doorbell = connect_bell,
						.signal = signal_vp,
						.post = post_message,
						.reference = reference,
						.fail = fail };

uint32_t sim_machine_post(struct sim_machine *m, uint32_t connection_id, const void *payload,
			  uint32_t len)
{
	struct vmb_synic_post block = { .type = VMB_SYNIC_MESSAGE_VMBUS, .payload_len = len };

	memcpy(block.payload, payload, len);
	return vmb_dev_bus_post(m->bus, connection_id, &block);
}

uint32_t sim_machine_signal(struct sim_machine *m, uint32_t connection_id)
{
	for (uint32_t i = 0; i < SIM_BELL_MAX; i++) {
		if (!m->bells[i].bell || m->bells[i].connection_id != connection_id)
			continue;
		m->bells[i].under_way = true;
		return VMB_HV_SUCCESS;
	}
	return VMB_HV_INVALID_CONNECTION_ID;
}

uint32_t sim_machine_take(struct sim_machine *m, uint32_t vp,
			  uint8_t payload[VMB_SYNIC_PAYLOAD_MAX])
{
	struct sim_vp *v = &m->vps[vp];
	uint32_t len = v->len;

	if (vp >= SIM_VP_MAX || !v->full)
		return 0;
	memcpy(payload, v->payload, len);
	v->full = false;
	vmb_dev_bus_deliver(m->bus);
	return len;
}

int sim_machine_arrive(struct sim_machine *m, uint32_t vp, uint32_t n)
{
	struct sim_vp *v = &m->vps[vp];
	uint32_t word;
	int bit;

	if (vp >= SIM_VP_MAX || !v->flag_count)
		return -1;
	for (n %= v->flag_count, word = 0; word < VMB_ARRAY_COUNT(v->flags); word++) {
		for (uint64_t bits = v->flags[word]; bits; bits &= bits - 1) {
			if (n--)
				continue;
			bit = __builtin_ctzll(bits);
			v->flags[word] &= ~(1ull << bit);
			v->flag_count--;
			return (int)(word * 64) + bit;
		}
	}
	return -1;
}

bool sim_machine_interrupting(const struct sim_machine *m, uint32_t flag)
{
	for (uint32_t vp = 0; vp < SIM_VP_MAX; vp++)
		if (m->vps[vp].flags[flag / 64] >> flag % 64 & 1)
			return true;
	return false;
}

void sim_machine_lose(struct sim_machine *m, uint32_t vp, uint32_t flag)
{
	uint64_t bit = 1ull << flag % 64;

	if (!(m->vps[vp].flags[flag / 64] & bit))
		return;
	m->vps[vp].flags[flag / 64] &= ~bit;
	m->vps[vp].flag_count--;
}

struct vmb_dev_bell *sim_machine_arriving(struct sim_machine *m, uint32_t n)
{
	struct sim_bell *under_way[SIM_BELL_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < SIM_BELL_MAX; i++)
		if (m->bells[i].bell && m->bells[i].under_way)
			under_way[count++] = &m->bells[i];
	if (!count)
		return NULL;
	under_way[n % count]->under_way = false;
	return under_way[n % count]->bell;
}

void sim_machine_forget(struct sim_machine *m)
{
	memset(m->vps, 0, sizeof(m->vps));
	for (uint32_t i = 0; i < SIM_BELL_MAX; i++)
		m->bells[i].under_way = false;
}

void sim_machine_empty_slots(struct sim_machine *m)
{
	for (uint32_t vp = 0; vp < SIM_VP_MAX; vp++)
		m->vps[vp].full = false;
}

static void fill_memory(struct sim_machine *m)
{
	m->dev.memory.region_count = 1;
	m->dev.memory.regions[0] = (struct vmb_dev_memory_region){
		.gpa = (uint64_t)VMB_USER_FIRST_PFN << VMB_PAGE_SHIFT,
		.len = (uint64_t)(m->memory.page_count + VMB_USER_FIXED_COUNT) << VMB_PAGE_SHIFT,
		.base = m->memory.base,
		.fd = m->memory.fd,
	};
}

int sim_machine_init(struct sim_machine *m, struct sim *sim)
{
	const struct vmb_dev_bus_config bus = { .machine = &m->dev,
						.version_max = sim->config.host_version,
						.monitors = sim->config.monitors ?
								    VMB_DEV_MONITORS_ON :
								    VMB_DEV_MONITORS_OFF,
						.stepped = true,
						.by_hand = true };

	m->sim = sim;
	if (vmb_user_memory_init(&m->memory, PAGE_COUNT))
		return -1;
	m->dev.ops = &ops;
	m->dev.vp_count = sim->config.vp_count;
	fill_memory(m);
	m->bus = vmb_dev_bus_create(&bus);
	if (m->bus)
		return 0;
	vmb_user_memory_destroy(&m->memory);
	return -1;
}

void sim_machine_destroy(struct sim_machine *m)
{
	vmb_dev_bus_destroy(m->bus);
	vmb_user_memory_destroy(&m->memory);
}
