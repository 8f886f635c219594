/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Interrupts and signals that go through pages of guest memory: the interrupt page of versions
 * before 2.4, and the monitor page of any version. The port maps them at event CONTACT from
 * server->interrupt_page_gpa and server->monitor_gpa[1], and unmaps them at UNLOADED or the next
 * CONTACT.
 *
 *   interrupt the guest for ch, server->version below 2.4:
 *     vmb_host_doorbell_set(page, ch->relid), then event flag 0 of VP 0 instead of flag relid
 *   the guest signalled VMB_CONNECTION_EVENT (which only connections below 2.4 do):
 *     for (word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++)
 *             for each bit of vmb_host_doorbell_take(page, word)
 *                     act as on a signal on the connection of the channel with relid
 *                     word * 32 + bit
 *     The bits come from a guest: there may be no such channel, or it may not be open.
 *   monitors, where server->monitor_gpa[1] is not 0:
 *     at CONTACT             vmb_host_doorbell_monitor_reset(page)
 *     before _channel_opened vmb_host_doorbell_monitor_enable(page, ch, latency)
 *     every latency          for (group = 0; group < VMB_MONITOR_GROUP_COUNT; group++)
 *                                    for each bit of vmb_host_doorbell_monitor_take(page, group)
 *                                            vmb_host_doorbell_monitored(s, group * 32 + bit)
 *
 * Context: any, and many threads at once, for functions that take a page; _monitored reads the
 * server, so its context is that of the server. Pages have 4096 bytes and are page aligned.
 *
 * Source: docs/protocol/bus.md, "6 Doorbells".
 */
#ifndef HOST_DOORBELL_H
#define HOST_DOORBELL_H

#include "host/server.h"

/*
 * Sets the bit of relid in the guest's half. What was written before is visible to whoever sees the
 * bit, so event flag 0 must be set after it, by an atomic OR.
 */
void vmb_host_doorbell_set(void *interrupt_page, uint32_t relid);

/* Atomically reads and clears one word (0..VMB_INTERRUPT_WORD_COUNT - 1) of the host's half. */
uint32_t vmb_host_doorbell_take(void *interrupt_page, uint32_t word);

/* Clears everything that a scanner reads: nothing is enabled or pending. */
void vmb_host_doorbell_monitor_reset(void *monitor_page);

/*
 * Fills in ch's parameters and its latency hint (in 100 ns), and enables its group. Does nothing
 * for a channel without a monitor id.
 */
void vmb_host_doorbell_monitor_enable(void *monitor_page, const struct vmb_host_channel *ch,
				      uint16_t latency);

/*
 * Atomically reads and clears the pending bits of one group (0..3), whatever the guest has written
 * to trigger_state. Bits may belong to no channel.
 */
uint32_t vmb_host_doorbell_monitor_take(void *monitor_page, uint32_t group);

/* Returns the open channel with this monitor id, or NULL. id may be any number. */
struct vmb_host_channel *vmb_host_doorbell_monitored(const struct vmb_host_server *s, uint32_t id);

#endif
