// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tells the host of a channel: a bit of the monitor page where the host scans one, else a call. */
#include "guest/doorbell.h"

/* Returns false if nobody scans this bit. */
static bool set_pending(struct vmb_monitor_page *page, uint32_t monitor_id)
{
	uint32_t group = monitor_id / VMB_MONITOR_GROUP_BITS;

	if (!(vmb_load_u32(&page->trigger_state) >> group & 1))
		return false;
	vmb_set_bits_u32(&page->groups[group].pending, 1u << monitor_id % VMB_MONITOR_GROUP_BITS);
	return true;
}

bool vmb_guest_doorbell_ring(const struct vmb_guest_channel *ch, void *interrupt_page,
			     void *monitor_page, bool tolerant)
{
	struct vmb_interrupt_page *interrupt = interrupt_page;

	if (!ch->dedicated && interrupt)
		vmb_set_bits_u32(&interrupt->to_host[ch->relid / 32], 1u << ch->relid % 32);
	if (!tolerant || !monitor_page || ch->monitor_id >= VMB_MONITOR_COUNT_MAX)
		return true;
	return !set_pending(monitor_page, ch->monitor_id);
}

uint32_t vmb_guest_doorbell_take(void *interrupt_page, uint32_t word)
{
	struct vmb_interrupt_page *page = interrupt_page;

	/* A clear word is not written, so that the cache line stays with the host. */
	if (word >= VMB_INTERRUPT_WORD_COUNT || !vmb_load_u32(&page->to_guest[word]))
		return 0;
	return vmb_exchange_u32(&page->to_guest[word], 0);
}
