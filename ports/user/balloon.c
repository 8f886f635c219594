// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Gives and takes the memory of a guest without a virtual machine. Pages that it hands out are no
 * neighbours (ports/user/memory.h), so each is a range of its own.
 */
#include "ports/user/balloon.h"

#define CAPS (VMB_BALLOON_CAP_BALLOON | VMB_BALLOON_CAP_ADD | 7u << VMB_BALLOON_CAP_ALIGN_SHIFT)

bool vmb_user_balloon_init(struct vmb_user_balloon *b, struct vmb_user_memory *memory,
			   const struct vmb_guid *type_id)
{
	static const struct vmb_guid balloon = VMB_GUID_BALLOON;

	b->used = vmb_guid_equal(type_id, &balloon);
	b->memory = memory;
	b->left = 0;
	vmb_guest_balloon_init(&b->core, CAPS);
	return b->used;
}

/* Returns whether the host had the page, which is the guest's again. */
static bool take_page(struct vmb_user_balloon *b, uint64_t pfn)
{
	for (uint32_t i = 0; i < b->given_count; i++) {
		if (b->given[i] != pfn)
			continue;
		b->given[i] = b->given[--b->given_count];
		vmb_user_memory_free(b->memory, &pfn, 1);
		b->spare++;
		return true;
	}
	return false;
}

static void take_back(struct vmb_user_balloon *b)
{
	for (uint32_t i = 0; i < b->core.range_count; i++) {
		uint64_t first = VMB_BALLOON_RANGE_FIRST(b->core.ranges[i]);

		for (uint64_t n = 0; n < VMB_BALLOON_RANGE_COUNT(b->core.ranges[i]); n++)
			b->strangers += !take_page(b, first + n);
	}
	vmb_guest_balloon_taken(&b->core);
}

static void add(struct vmb_user_balloon *b)
{
	uint32_t count = b->no_memory ? 0 : (uint32_t)b->core.add_count;

	b->added += count;
	vmb_guest_balloon_added(&b->core, count, b->no_memory);
}

void vmb_user_balloon_take(struct vmb_user_balloon *b, const uint8_t *packet, uint32_t len)
{
	int step = vmb_guest_balloon_input(&b->core, packet, len);

	if (b->silent)
		return;
	if (step == VMB_GUEST_BALLOON_ASKED)
		b->left = b->core.wanted;
	else if (step == VMB_GUEST_BALLOON_RETURNED)
		take_back(b);
	else if (step == VMB_GUEST_BALLOON_ADD)
		add(b);
}

/* Gives as many pages as one message has room for. */
static void give(struct vmb_user_balloon *b)
{
	while (b->left && b->spare && b->given_count < VMB_USER_BALLOON_MAX) {
		uint64_t *pfn = &b->given[b->given_count];

		if (!vmb_user_memory_alloc(b->memory, pfn, 1))
			break;
		if (vmb_guest_balloon_range(&b->core, *pfn, 1)) {
			vmb_user_memory_free(b->memory, pfn, 1);
			vmb_guest_balloon_flush(&b->core);
			return;
		}
		b->given_count++;
		b->spare--;
		b->left--;
	}
	vmb_guest_balloon_given(&b->core);
}

const void *vmb_user_balloon_output(struct vmb_user_balloon *b, uint32_t *len)
{
	if (b->core.state == VMB_GUEST_BALLOON_GIVING && !b->core.output_len && !b->silent)
		give(b);
	if (b->spoil && b->core.output_len)
		b->spoil(b->core.packet, b->core.output_len);
	return vmb_guest_balloon_output(&b->core, len);
}

void vmb_user_balloon_sent(struct vmb_user_balloon *b)
{
	vmb_guest_balloon_output_done(&b->core);
}
