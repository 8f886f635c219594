// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interrupts and signals of channels through bits of pages that both ends map. */
#include "host/doorbell.h"

static uint32_t take(uint32_t *word)
{
	/* A word that is clear is not written: the line stays with the guest. */
	return vmb_load_u32(word) ? vmb_exchange_u32(word, 0) : 0;
}

void vmb_host_doorbell_set(void *interrupt_page, uint32_t relid)
{
	struct vmb_interrupt_page *page = interrupt_page;

	if (relid < VMB_CHANNEL_COUNT_SHARED)
		vmb_set_bits_u32(&page->to_guest[relid / 32], 1u << relid % 32);
}

uint32_t vmb_host_doorbell_take(void *interrupt_page, uint32_t word)
{
	struct vmb_interrupt_page *page = interrupt_page;

	return word < VMB_INTERRUPT_WORD_COUNT ? take(&page->to_host[word]) : 0;
}

void vmb_host_doorbell_monitor_reset(void *monitor_page)
{
	struct vmb_monitor_page *page = monitor_page;
	uint32_t group;

	vmb_store_u32(&page->trigger_state, 0);
	for (group = 0; group < VMB_MONITOR_GROUP_COUNT; group++) {
		vmb_store_u32(&page->groups[group].pending, 0);
		vmb_store_u32(&page->groups[group].armed, 0);
	}
}

/* Below 1.1 no channel has a connection of its own. */
static uint32_t signal_connection(const struct vmb_host_channel *ch)
{
	return ch->server->version < VMB_VERSION_1_1 ? VMB_CONNECTION_EVENT : ch->connection_id;
}

void vmb_host_doorbell_monitor_enable(void *monitor_page, const struct vmb_host_channel *ch,
				      uint16_t latency)
{
	struct vmb_monitor_page *page = monitor_page;
	uint32_t group = ch->monitor_id / VMB_MONITOR_GROUP_BITS;
	uint32_t bit = ch->monitor_id % VMB_MONITOR_GROUP_BITS;
	uint32_t connection_id = signal_connection(ch);

	if (ch->monitor_id >= VMB_MONITOR_COUNT_MAX)
		return;
	vmb_shared_write(&page->parameters[group][bit].connection_id, &connection_id,
			 sizeof(connection_id));
	vmb_shared_write(&page->latency[group][bit], &latency, sizeof(latency));
	vmb_set_bits_u32(&page->trigger_state, 1u << group);
}

uint32_t vmb_host_doorbell_monitor_take(void *monitor_page, uint32_t group)
{
	struct vmb_monitor_page *page = monitor_page;

	return group < VMB_MONITOR_GROUP_COUNT ? take(&page->groups[group].pending) : 0;
}

struct vmb_host_channel *vmb_host_doorbell_monitored(const struct vmb_host_server *s, uint32_t id)
{
	struct vmb_host_channel *ch;

	for (ch = s->first; ch && id < VMB_MONITOR_COUNT_MAX; ch = ch->next)
		if (ch->monitor_id == id && ch->state == VMB_HOST_CHANNEL_OPEN)
			return ch;
	return NULL;
}
