/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a guest tells the host that a ring needs service, and how a host before 2.4 tells the guest.
 *
 *   vmb_ring_commit() or _release() says "signal"
 *     -> vmb_guest_doorbell_ring(ch, interrupt_page, monitor_page, tolerant)
 *        true  -> HvCallSignalEvent(ch->connection_id, flag 0)
 *        false -> the host finds the pending bit by itself, within about 100 us
 *
 *   interrupt, version below 2.4, event flag 0 of VP 0 was set (take it with test-and-clear first):
 *     for (word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++)
 *             for each bit of vmb_guest_doorbell_take(interrupt_page, word)
 *                     serve the channel with relid word * 32 + bit, if there is one
 *   From 2.4 on the flag's number is the relid itself, and the interrupt page is not used.
 *
 * The pages are those whose addresses are in the config of guest/connect.h: 4096 bytes each, page
 * aligned, and shared with the host. Whatever the host writes there costs the guest one look at a
 * ring at most.
 *
 * Context: any, interrupt handlers included; no lock. The fields of ch that are read here never
 * change between add and remove.
 *
 * Source: docs/protocol/bus.md, "6 Doorbells".
 */
#ifndef GUEST_DOORBELL_H
#define GUEST_DOORBELL_H

#include "guest/channel.h"
#include "wire/vmbus.h"

/*
 * Announces that ch's rings have changed. What was written to them before is visible to whoever
 * sees the bit. Each page may be NULL if there is none. tolerant: the driver of ch can wait for
 * about 100 us, so that a pending bit of a monitor is enough, if the offer has a monitor id and the
 * host has enabled its group. Returns true if a signal (hypercall) is needed as well.
 */
bool vmb_guest_doorbell_ring(const struct vmb_guest_channel *ch, void *interrupt_page,
			     void *monitor_page, bool tolerant);

/*
 * Atomically reads and clears one word (0..VMB_INTERRUPT_WORD_COUNT - 1) of the guest's half. Bit b
 * stands for relid word * 32 + b, which may be no channel.
 */
uint32_t vmb_guest_doorbell_take(void *interrupt_page, uint32_t word);

#endif
