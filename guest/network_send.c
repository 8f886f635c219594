// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sent frames. A slot is a section of the send buffer. Free ones wait in a ring from which the
 * sender takes and to which the poll gives. A slot's word says who owns it: the sender while it is
 * free or being filled, nobody in flight; whoever swaps it from there may free it.
 */
#include "guest/network_internal.h"

/* A slot's word: generation << 2 | one of these. */
enum slot_state {
	SLOT_FREE = 0,
	SLOT_FILLING = 1,
	SLOT_IN_FLIGHT = 2,
	SLOT_ENDING = 3, /* its other fields are being read */
};
#define SLOT_STATE_MASK	      3u
#define SLOT_GENERATION_SHIFT 2
#define SLOT_GENERATION_ONE   (1u << SLOT_GENERATION_SHIFT)

/* No driver sends more in one frame; a longer one is the caller's mistake. */
#define FRAME_LEN_MAX	      (1u << 20)

int vmb_guest_network_queue_init(struct vmb_guest_network *n, struct vmb_guest_network_queue *q,
				 uint16_t index, struct vmb_guest_network_slot *slots,
				 uint32_t *free_slots, uint32_t slot_count, uint32_t first_section,
				 uint64_t *owed, uint32_t owed_max)
{
	uint32_t i;

	if (index >= n->config.queue_count || slot_count & (slot_count - 1) || !owed || !owed_max ||
	    owed_max & (owed_max - 1))
		return VMB_EINVAL;
	if (slot_count && (!slots || !free_slots || first_section > n->agreed.section_count ||
			   slot_count > n->agreed.section_count - first_section))
		return VMB_EINVAL;
	memset(q, 0, sizeof(*q));
	q->network = n;
	q->index = index;
	q->slots = slots;
	q->slot_count = slot_count;
	q->first_section = first_section;
	q->free_slots = free_slots;
	q->owed = owed;
	q->owed_max = owed_max;
	q->filling = VMB_NET_SECTION_NONE;
	q->give = slot_count;
	q->give_seen = slot_count;
	for (i = 0; i < slot_count; i++)
		free_slots[i] = i;
	if (slot_count)
		memset(slots, 0, slot_count * sizeof(*slots));
	return 0;
}

/* ---- free slots ---- */

static bool slot_take(struct vmb_guest_network_queue *q, uint32_t *slot)
{
	if (q->take == q->give_seen) {
		/* The giver of a slot no longer uses its fields. */
		q->give_seen = vmb_load_acquire_u32(&q->give);
		if (q->take == q->give_seen)
			return false;
	}
	*slot = q->free_slots[q->take & (q->slot_count - 1)];
	vmb_store_u32(&q->take, q->take + 1);
	return true;
}

/* For the poll. Only slots that were taken come back, so there is room. */
static void slot_give(struct vmb_guest_network_queue *q, uint32_t slot)
{
	q->free_slots[q->give & (q->slot_count - 1)] = slot;
	vmb_store_release_u32(&q->give, q->give + 1);
}

/* Frees a slot that is ENDING or FILLING, for use under the next generation. */
static void slot_clear(struct vmb_guest_network_slot *slot)
{
	uint32_t word = vmb_load_u32(&slot->state);

	slot->cookie = NULL;
	slot->frame_count = 0;
	slot->byte_count = 0;
	vmb_store_release_u32(&slot->state, (word & ~SLOT_STATE_MASK) + SLOT_GENERATION_ONE);
}

static uint64_t slot_id(uint32_t word, uint32_t slot)
{
	return (uint64_t)(word >> SLOT_GENERATION_SHIFT) << 32 | (slot + 1);
}

/* Moves a slot from IN_FLIGHT to ENDING, if it still has this generation. */
static bool slot_end(struct vmb_guest_network_slot *slot, uint32_t generation)
{
	uint32_t word = generation << SLOT_GENERATION_SHIFT;

	if (word >> SLOT_GENERATION_SHIFT != generation)
		return false; /* no such id was sent */
	return vmb_compare_swap_u32(&slot->state, word | SLOT_IN_FLIGHT, word | SLOT_ENDING);
}

/* ---- filling ---- */

static uint32_t inline_room(const struct vmb_guest_network *n, uint32_t envelope_len)
{
	return n->agreed.section_room > envelope_len ? n->agreed.section_room - envelope_len : 0;
}

uint32_t vmb_guest_network_inline_max(const struct vmb_guest_network *n,
				      const struct vmb_guest_rndis_frame *frame)
{
	uint32_t room = inline_room(n, vmb_guest_rndis_envelope_len(frame));

	return frame->len < room ? frame->len : room;
}

/*
 * Whether a message of message_len bytes, of which used go into the section, may join the packet.
 */
static bool fits(const struct vmb_guest_network_queue *q, uint32_t used, uint32_t message_len)
{
	const struct vmb_guest_network *n = q->network;

	return !q->filling_closed && used <= n->agreed.section_room - q->filled_len &&
	       q->slots[q->filling].frame_count < n->agreed.frame_count_max &&
	       message_len <= n->agreed.transfer_len_max &&
	       q->filled_len <= n->agreed.transfer_len_max - message_len;
}

static bool begin(struct vmb_guest_network_queue *q)
{
	uint32_t slot;

	if (!slot_take(q, &slot))
		return false;
	q->filling = slot;
	q->filled_len = 0;
	/* If a host guesses the id, the poll reads the word meanwhile. */
	vmb_store_u32(&q->slots[slot].state, vmb_load_u32(&q->slots[slot].state) | SLOT_FILLING);
	return true;
}

int vmb_guest_network_put(struct vmb_guest_network_queue *q,
			  const struct vmb_guest_rndis_frame *frame, uint32_t inline_len, void **at)
{
	const struct vmb_guest_network *n = q->network;
	uint32_t envelope_len = vmb_guest_rndis_envelope_len(frame);
	uint32_t used = envelope_len + inline_len;
	struct vmb_guest_network_slot *slot;
	uint32_t pad = 0;
	uint8_t *section;

	if (frame->len > FRAME_LEN_MAX || inline_len > frame->len ||
	    inline_len > inline_room(n, envelope_len))
		return VMB_EOVERFLOW;
	if (inline_len == frame->len)
		pad = -used & (n->agreed.alignment - 1);
	if (q->filling == VMB_NET_SECTION_NONE) {
		if (!begin(q))
			return VMB_EAGAIN;
	} else if (!fits(q, used + pad, envelope_len + frame->len + pad)) {
		return VMB_EBUSY;
	}
	slot = &q->slots[q->filling];
	section = n->config.send_buffer + (q->first_section + q->filling) * n->agreed.section_len;
	section += q->filled_len;
	vmb_guest_rndis_wrap(section, frame, envelope_len + frame->len + pad);
	if (pad)
		memset(section + used, 0, pad);
	*at = section + envelope_len;
	q->filled_len += used + pad;
	q->filling_closed = inline_len < frame->len;
	slot->frame_count++;
	slot->byte_count += frame->len;
	return 0;
}

bool vmb_guest_network_seal(struct vmb_guest_network_queue *q,
			    struct vmb_guest_network_packet *packet)
{
	struct vmb_guest_network_slot *slot;
	uint32_t word;

	if (q->filling == VMB_NET_SECTION_NONE)
		return false;
	slot = &q->slots[q->filling];
	word = vmb_load_u32(&slot->state);
	packet->slot = q->filling;
	packet->transaction_id = slot_id(word, q->filling);
	packet->frame_count = slot->frame_count;
	packet->byte_count = slot->byte_count;
	packet->payload_len = q->network->agreed.message_len;
	memset(&packet->payload, 0, sizeof(packet->payload));
	packet->payload.rndis.type = VMB_NET_SEND_RNDIS_PACKET;
	packet->payload.rndis.channel_type = VMB_NET_DATA;
	packet->payload.rndis.section_index = q->first_section + q->filling;
	packet->payload.rndis.section_len = q->filled_len;
	q->filling = VMB_NET_SECTION_NONE;
	/* From here on the poll may end it, and then reads the fields. */
	vmb_store_release_u32(&slot->state, (word & ~SLOT_STATE_MASK) | SLOT_IN_FLIGHT);
	return true;
}

bool vmb_guest_network_unseal(struct vmb_guest_network_queue *q, uint32_t slot)
{
	struct vmb_guest_network_slot *at;

	if (slot >= q->slot_count)
		return false;
	at = &q->slots[slot];
	if (!slot_end(at, vmb_load_u32(&at->state) >> SLOT_GENERATION_SHIFT))
		return false;
	slot_clear(at);
	/*
	 * Puts the slot back to where it was taken from. The poll does not write there: without
	 * this slot the ring has at most slot_count - 1, from take on.
	 */
	q->free_slots[(q->take - 1) & (q->slot_count - 1)] = slot;
	vmb_store_u32(&q->take, q->take - 1);
	return true;
}

/* ---- completions ---- */

static void tell_sent(const struct vmb_guest_network_slot *slot, uint32_t index, uint32_t status,
		      struct vmb_guest_network_event *event)
{
	event->type = VMB_GUEST_NETWORK_SENT;
	event->slot = index;
	event->cookie = slot->cookie;
	event->frame_count = slot->frame_count;
	event->byte_count = slot->byte_count;
	event->status = status;
}

int vmb_guest_network_sent(struct vmb_guest_network_queue *q, uint64_t transaction_id,
			   const void *payload, uint32_t len, struct vmb_guest_network_event *event)
{
	struct vmb_net_rndis_packet_complete complete;
	uint32_t index = (uint32_t)transaction_id - 1;
	struct vmb_guest_network_slot *slot;

	if (index >= q->slot_count)
		return vmb_guest_network_forged(&q->counters);
	if (len < sizeof(complete))
		return vmb_guest_network_malformed(&q->counters);
	memcpy(&complete, payload, sizeof(complete));
	if (complete.type != VMB_NET_SEND_RNDIS_PACKET_COMPLETE)
		return vmb_guest_network_malformed(&q->counters);
	slot = &q->slots[index];
	if (!slot_end(slot, (uint32_t)(transaction_id >> 32)))
		return vmb_guest_network_forged(&q->counters);
	tell_sent(slot, index, complete.status, event);
	slot_clear(slot);
	slot_give(q, index);
	return 0;
}

uint32_t vmb_guest_network_room(struct vmb_guest_network_queue *q)
{
	return vmb_load_acquire_u32(&q->give) - vmb_load_u32(&q->take);
}

bool vmb_guest_network_idle(struct vmb_guest_network_queue *q)
{
	return vmb_guest_network_room(q) == q->slot_count;
}

bool vmb_guest_network_fail_next(struct vmb_guest_network_queue *q,
				 struct vmb_guest_network_event *event)
{
	struct vmb_guest_network_slot *slot;
	uint32_t index, state;

	memset(event, 0, sizeof(*event));
	q->filling = VMB_NET_SECTION_NONE;
	for (index = 0; index < q->slot_count; index++) {
		slot = &q->slots[index];
		state = vmb_load_acquire_u32(&slot->state) & SLOT_STATE_MASK;
		if (state == SLOT_FREE)
			continue;
		if (state == SLOT_FILLING)
			slot->frame_count = slot->byte_count = 0;
		tell_sent(slot, index, VMB_NET_STATUS_FAIL, event);
		slot_clear(slot);
		slot_give(q, index);
		return true;
	}
	return false;
}
