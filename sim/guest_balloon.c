// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest's dynamic memory: gives pages and takes them back. Of the pages that it takes from its
 * allocator some stay with it, between those that it gives, and hold a word: the host must not
 * touch them.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define CANARY_IN 16u /* one page in so many */
#define ASIDE	  600u /* pages that the rest of the guest may need */

static uint64_t *word_of(struct sim_channel *ch, uint64_t pfn)
{
	return (uint64_t *)vmb_user_memory_page(&ch->guest->sim->machine.memory, pfn);
}

static bool alloc_balloon(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	ch->balloon = calloc(1, sizeof(*ch->balloon));
	return ch->balloon;
}

void sim_guest_balloon_check(struct sim_channel *ch)
{
	const struct sim_balloon *b = ch->balloon;

	for (uint32_t i = 0; i < b->canary_count; i++)
		if (*word_of(ch, b->canaries[i]) != b->canaries[i])
			sim_fail(ch->guest->sim,
				 "PAGE TAKEN: page %lx is the guest's, and what it held is gone",
				 b->canaries[i], 0, 0);
}

/* The driver leaves, so all is the guest's again; the host has forgotten what it had. */
static void take_all_back(struct sim_channel *ch)
{
	struct vmb_user_memory *m = &ch->guest->sim->machine.memory;
	struct sim_balloon *b = ch->balloon;

	sim_guest_balloon_check(ch);
	vmb_user_memory_free(m, b->given, b->given_count);
	vmb_user_memory_free(m, b->canaries, b->canary_count);
	b->given_count = b->canary_count = b->left = 0;
}

static void free_balloon(struct sim_channel *ch)
{
	free(ch->balloon);
}

static void prepare(struct sim_channel *ch)
{
	vmb_guest_balloon_init(&ch->balloon->core, VMB_BALLOON_CAP_BALLOON);
	ch->balloon->left = 0;
}

static void begin(struct sim_channel *ch)
{
}

/* Takes a page from the allocator: to give it, or to go on to use it. */
static bool take_page(struct sim_channel *ch, uint64_t *pfn)
{
	struct vmb_user_memory *m = &ch->guest->sim->machine.memory;
	struct sim_balloon *b = ch->balloon;

	if (m->page_count - m->used_count < ASIDE || !vmb_user_memory_alloc(m, pfn, 1))
		return false;
	*word_of(ch, *pfn) = *pfn;
	if (*pfn % CANARY_IN || b->canary_count == SIM_CANARY_MAX)
		return true;
	b->canaries[b->canary_count++] = *pfn;
	return take_page(ch, pfn);
}

static void give_pages(struct sim_channel *ch)
{
	struct sim_balloon *b = ch->balloon;
	uint64_t pfn;

	while (b->left && b->given_count < SIM_GIVEN_MAX && take_page(ch, &pfn)) {
		if (vmb_guest_balloon_range(&b->core, pfn, 1)) {
			vmb_user_memory_free(&ch->guest->sim->machine.memory, &pfn, 1);
			vmb_guest_balloon_flush(&b->core);
			return;
		}
		b->given[b->given_count++] = pfn;
		b->left--;
	}
	vmb_guest_balloon_given(&b->core);
	ch->device->good++;
	sim_say(ch->guest->sim, "  the guest has given %lu pages in all", b->given_count, 0, 0);
}

static void write_messages(struct sim_channel *ch)
{
	struct sim_balloon *b = ch->balloon;
	const void *bytes;
	uint32_t len;

	if (b->core.state == VMB_GUEST_BALLOON_GIVING && !b->core.output_len)
		give_pages(ch);
	while ((bytes = vmb_guest_balloon_output(&b->core, &len))) {
		if (!sim_guest_write(ch, bytes, len, 0))
			return;
		vmb_guest_balloon_output_done(&b->core);
		if (b->core.state == VMB_GUEST_BALLOON_GIVING)
			give_pages(ch);
	}
}

/* Returns whether the host had the page. */
static bool take_back(struct sim_channel *ch, uint64_t pfn)
{
	struct sim_balloon *b = ch->balloon;
	uint32_t i = 0;

	while (i < b->given_count && b->given[i] != pfn)
		i++;
	if (i == b->given_count)
		return false;
	b->given[i] = b->given[--b->given_count];
	vmb_user_memory_free(&ch->guest->sim->machine.memory, &pfn, 1);
	return true;
}

static void take_ranges(struct sim_channel *ch)
{
	struct sim *sim = ch->guest->sim;
	const struct vmb_guest_balloon *core = &ch->balloon->core;

	for (uint32_t i = 0; i < core->range_count; i++) {
		uint64_t first = VMB_BALLOON_RANGE_FIRST(core->ranges[i]);

		for (uint64_t n = 0; n < VMB_BALLOON_RANGE_COUNT(core->ranges[i]); n++)
			if (!take_back(ch, first + n) && sim->config.faults == SIM_FAULTS_NONE)
				sim_fail(
					sim,
					"NOT GIVEN: the host gives page %lx back, which it has not",
					first + n, 0, 0);
	}
	sim_say(sim, "  the guest has %lu pages back", core->range_count, 0, 0);
	ch->device->good++;
	vmb_guest_balloon_taken(&ch->balloon->core);
}

static void read_packet(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	uint8_t packet[VMB_BALLOON_LEN_MAX];
	uint32_t len = received->payload_len < sizeof(packet) ? received->payload_len :
								sizeof(packet);
	int step;

	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, packet, len);
	step = vmb_guest_balloon_input(&ch->balloon->core, packet, len);
	if (step == VMB_GUEST_BALLOON_READY)
		ch->ready = true;
	else if (step == VMB_GUEST_BALLOON_REFUSED)
		ch->refused = true;
	else if (step == VMB_GUEST_BALLOON_ASKED)
		ch->balloon->left = ch->balloon->core.wanted;
	else if (step == VMB_GUEST_BALLOON_RETURNED)
		take_ranges(ch);
	write_messages(ch);
	sim_guest_wake(ch);
}

bool sim_guest_balloon_report(struct sim_channel *ch)
{
	const struct vmb_user_memory *m = &ch->guest->sim->machine.memory;
	const struct vmb_balloon_status status = { .available = m->page_count - m->used_count,
						   .committed = m->used_count };

	if (!ch->open || vmb_guest_balloon_report(&ch->balloon->core, &status))
		return false;
	write_messages(ch);
	return true;
}

static void watch(struct sim_channel *ch)
{
	sim_guest_balloon_report(ch);
}

const struct sim_guest_ops sim_guest_balloon_ops = { .alloc = alloc_balloon,
						     .free = free_balloon,
						     .prepare = prepare,
						     .begin = begin,
						     .read = read_packet,
						     .write = write_messages,
						     .fail = take_all_back,
						     .watch = watch };
