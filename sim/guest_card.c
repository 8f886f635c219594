// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's network driver: up by a few stages, down by a few more, and frames in between. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"
#include "wire/rndis.h"

#define FRAME_MIN 60u
#define QUEUES_NS 1000000000ll /* sub-channels that do not come are done without */
#define WISHED	  (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_MULTICAST | RNDIS_FILTER_BROADCAST)

static struct sim_card *card_of(struct sim_channel *ch)
{
	return ch->primary ? ch->primary->card : ch->card;
}

static void set_stage(struct sim_channel *primary, enum sim_stage stage)
{
	static const char *const names[] = {
		[SIM_CARD_DOWN] = "card %lu: down",
		[SIM_CARD_HANDSHAKE] = "card %lu: the handshake begins",
		[SIM_CARD_QUEUES] = "card %lu: ready, waits for sub-channels",
		[SIM_CARD_FILTER] = "card %lu: sets its filter",
		[SIM_CARD_UP] = "card %lu: up",
		[SIM_CARD_FILTER_OFF] = "card %lu: leaves; receives nothing more",
		[SIM_CARD_HALT] = "card %lu: halts",
		[SIM_CARD_DRAIN] = "card %lu: waits for what is under way",
		[SIM_CARD_REVOKE] = "card %lu: revokes its buffers",
		[SIM_CARD_LEFT] = "card %lu: has left",
	};

	primary->card->stage = stage;
	primary->card->since = primary->guest->sim->now;
	primary->card->answered = false;
	sim_say(primary->guest->sim, names[stage], primary->device->number, 0, 0);
	if (stage > SIM_CARD_UP)
		sim_frames_forget(primary->device);
	sim_guest_wake(primary);
}

/* Opening */

/* Queues stand on cache lines of their own. */
static bool alloc_card(struct sim_channel *ch, const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid id = VMB_GUID_NETWORK;

	if (!vmb_guid_equal(&offer->type_id, &id))
		return false;
	if (!ch->primary)
		ch->card = calloc(1, sizeof(*ch->card));
	if (ch->card)
		ch->card->mtu = 1500;
	ch->queue = aligned_alloc(64, (sizeof(*ch->queue) + 63) / 64 * 64);
	if (ch->queue)
		memset(ch->queue, 0, sizeof(*ch->queue));
	return ch->queue && (ch->primary || ch->card);
}

static void free_card(struct sim_channel *ch)
{
	free(ch->card);
	free(ch->queue);
}

static void begin(struct sim_channel *ch)
{
	if (!ch->primary)
		vmb_guest_network_start(&ch->card->core);
}

static bool lend_buffers(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;

	if (!c->has_control)
		c->has_control =
			vmb_user_memory_alloc(&ch->guest->sim->machine.memory, &c->control_pfn, 1);
	if (!c->has_control ||
	    (!c->receive.count && !sim_guest_lend(ch, &c->receive, SIM_BUFFER_PAGES)))
		return false;
	return c->send.count || sim_guest_lend(ch, &c->send, SIM_BUFFER_PAGES);
}

bool sim_guest_card_prepare(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;

	if (!lend_buffers(ch))
		ch->refused = true;
	return c->receive.gpadl.state == VMB_GUEST_GPADL_READY &&
	       c->send.gpadl.state == VMB_GUEST_GPADL_READY;
}

static void init_card(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;
	const struct vmb_guest_network_config config = {
		.mtu = c->mtu,
		.queue_count = (uint16_t)ch->guest->sim->config.guest_queues,
		.receive_buffer = c->receive.at,
		.receive_len = c->receive.count * VMB_PAGE_LEN,
		.receive_gpadl_id = c->receive.gpadl.id,
		.send_buffer = c->send.at,
		.send_len = c->send.count * VMB_PAGE_LEN,
		.send_gpadl_id = c->send.gpadl.id,
		.control_page =
			vmb_user_memory_page(&ch->guest->sim->machine.memory, c->control_pfn),
		.control_pfn = c->control_pfn,
	};

	memset(&c->core, 0, sizeof(c->core));
	c->handshake_over = false;
	if (vmb_guest_network_init(&c->core, &config))
		ch->refused = true;
	set_stage(ch, SIM_CARD_HANDSHAKE);
}

static uint32_t power_of_two_below(uint32_t n)
{
	return n ? 1u << (31 - __builtin_clz(n)) : 0;
}

/* None during the handshake, because the sections are not known yet. */
static void give_sections(struct sim_channel *ch, bool any)
{
	struct sim_card *c = card_of(ch);
	struct sim_card_queue *q = ch->queue;
	uint32_t share = power_of_two_below(c->core.agreed.section_count /
					    ch->guest->sim->config.guest_queues);
	uint32_t count = share < SIM_CARD_SLOTS ? share : SIM_CARD_SLOTS;

	memset(q->slots, 0, sizeof(q->slots));
	memset(q->numbers, 0, sizeof(q->numbers));
	if (vmb_guest_network_queue_init(&c->core, &q->core, (uint16_t)ch->index, q->slots,
					 q->free_slots, any ? count : 0, ch->index * share, q->owed,
					 SIM_OWED_MAX))
		ch->refused = true;
}

static void prepare(struct sim_channel *ch)
{
	ch->queue->has_packet = false;
	if (ch->card)
		init_card(ch);
	give_sections(ch, ch->primary);
}

/* Stages */

static bool channels_are_open(struct sim_channel *primary)
{
	uint32_t granted = primary->card->core.agreed.sub_channel_count;

	for (uint32_t i = 1; i <= granted && i < primary->guest->sim->config.guest_queues; i++) {
		struct sim_channel *ch = sim_guest_channel(
			primary->guest, SIM_CHANNEL(primary->device->number, i), sim_guest_is_live);

		if (!ch || !ch->open)
			return false;
	}
	return true;
}

static bool all_idle(struct sim_channel *primary)
{
	for (struct sim_channel *ch = primary->guest->channels; ch; ch = ch->next)
		if ((ch == primary || ch->primary == primary) && ch->open &&
		    ch->queue->core.slot_count && !vmb_guest_network_idle(&ch->queue->core))
			return false;
	return true;
}

static bool settle_handshake(struct sim_channel *ch)
{
	uint64_t id;

	if (!ch->card->handshake_over || vmb_guest_network_owed(&ch->queue->core, &id))
		return false;
	give_sections(ch, true);
	ch->ready = true;
	set_stage(ch, SIM_CARD_QUEUES);
	return true;
}

static bool go_up(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;
	bool late = ch->guest->sim->now - c->since > QUEUES_NS;

	if (c->stage == SIM_CARD_HANDSHAKE)
		return settle_handshake(ch);
	if (c->stage == SIM_CARD_QUEUES && (channels_are_open(ch) || late) &&
	    !vmb_guest_network_set_filter(&c->core, WISHED)) {
		set_stage(ch, SIM_CARD_FILTER);
		return true;
	}
	if (c->stage == SIM_CARD_FILTER && c->answered) {
		set_stage(ch, SIM_CARD_UP);
		return true;
	}
	return false;
}

/* A card whose handshake is not over just closes; so does one that finds its request refused. */
static bool go_down(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;
	enum sim_stage next = c->stage;

	if (c->stage <= SIM_CARD_HANDSHAKE)
		next = SIM_CARD_LEFT;
	else if (c->stage == SIM_CARD_FILTER && !c->answered)
		return false;
	else if (c->stage <= SIM_CARD_UP)
		next = vmb_guest_network_set_filter(&c->core, 0) ? SIM_CARD_LEFT :
								   SIM_CARD_FILTER_OFF;
	else if (c->stage == SIM_CARD_FILTER_OFF && c->answered)
		next = vmb_guest_network_halt(&c->core) ? SIM_CARD_LEFT : SIM_CARD_HALT;
	else if (c->stage == SIM_CARD_HALT && c->answered)
		next = SIM_CARD_DRAIN;
	else if (c->stage == SIM_CARD_DRAIN && all_idle(ch))
		next = vmb_guest_network_revoke(&c->core) ? SIM_CARD_LEFT : SIM_CARD_REVOKE;
	else if (c->stage == SIM_CARD_REVOKE && !vmb_guest_network_output(&c->core))
		next = SIM_CARD_LEFT;
	if (next == c->stage)
		return false;
	set_stage(ch, next);
	return true;
}

static void write_queue(struct sim_channel *ch);

bool sim_guest_card_step(struct sim_channel *ch)
{
	bool any;

	if (!ch->open || ch->card->stage == SIM_CARD_LEFT || ch->core.rescinded)
		return false;
	/* One that has begun to leave does not turn back. */
	any = sim_guest_wants_open(ch) && ch->card->stage <= SIM_CARD_UP ? go_up(ch) : go_down(ch);
	if (any)
		write_queue(ch);
	return any;
}

bool sim_guest_card_has_left(const struct sim_channel *ch)
{
	return ch->card->stage == SIM_CARD_LEFT;
}

static void watch(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;
	bool lost = false;

	if (!ch->open || ch->guest->sim->now - c->since < QUEUES_NS)
		return;
	sim_guest_wake(ch);
	for (uint32_t i = 0; c->stage == SIM_CARD_UP && i < SIM_CARD_SLOTS; i++)
		lost |= ch->queue->numbers[i] &&
			ch->guest->sim->now - ch->queue->since[i] > SIM_REQUEST_NS;
	if (lost || (c->stage != SIM_CARD_UP && ch->guest->sim->now - c->since > SIM_PATIENCE_NS)) {
		sim_say(ch->guest->sim, "the guest closes card %lu, which does not answer",
			ch->device->number, 0, 0);
		set_stage(ch, SIM_CARD_LEFT);
		ch->refused = true;
		ch->since = ch->guest->sim->now;
	}
}

/* Writing. Acknowledgements first; while one thing waits for room, nothing passes it. */

static bool write_one(struct sim_channel *ch, const struct vmb_ring_packet *packet)
{
	uint32_t header_len = packet->header_count ? packet->header->len : 0;
	int error = vmb_ring_write(&ch->tx, packet);

	while (error == VMB_EAGAIN) {
		sim_guest_publish(ch);
		if (vmb_ring_wait_room(&ch->tx,
				       vmb_ring_packet_len(header_len, packet->payload->len)))
			return false;
		error = vmb_ring_write(&ch->tx, packet);
	}
	return true; /* or broken: then it is lost with the channel */
}

static bool write_acks(struct sim_channel *ch)
{
	static const struct vmb_ring_part payload = { &vmb_guest_network_ack_message,
						      sizeof(vmb_guest_network_ack_message) };
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION,
					  .payload = &payload,
					  .payload_count = 1 };

	while (vmb_guest_network_owed(&ch->queue->core, &packet.transaction_id)) {
		if (!write_one(ch, &packet))
			return false;
		vmb_guest_network_owed_done(&ch->queue->core, 1);
	}
	return true;
}

static bool write_frame(struct sim_channel *ch)
{
	struct sim_card_queue *q = ch->queue;
	struct vmb_ring_part payload = { &q->packet.payload, q->packet.payload_len };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
						.transaction_id = q->packet.transaction_id,
						.payload = &payload,
						.payload_count = 1 };

	q->has_packet = q->has_packet && !write_one(ch, &packet);
	return !q->has_packet;
}

static bool write_dialogue(struct sim_channel *ch)
{
	const struct vmb_guest_network_output *out;

	while (ch->card && (out = vmb_guest_network_output(&ch->card->core))) {
		struct vmb_ring_part header = { &out->gpa, sizeof(out->gpa) };
		struct vmb_ring_part payload = { out->payload, out->payload_len };
		const struct vmb_ring_packet packet = { .type = out->type,
							.flags = out->flags,
							.transaction_id = out->transaction_id,
							.header = &header,
							.header_count = out->type ==
									VMB_PKT_GPA_DIRECT,
							.payload = &payload,
							.payload_count = 1 };

		if (!write_one(ch, &packet))
			return false;
		vmb_guest_network_output_done(&ch->card->core);
	}
	return true;
}

static void write_queue(struct sim_channel *ch)
{
	if (!ch->open)
		return;
	if (write_acks(ch) && write_frame(ch))
		write_dialogue(ch);
	sim_guest_publish(ch);
}

/* Reading */

static void take_event(struct sim_channel *ch, const struct vmb_guest_network_event *event)
{
	struct sim_card_queue *q = ch->queue;
	struct sim *sim = ch->guest->sim;
	struct sim_frame *f;

	if (event->type == VMB_GUEST_NETWORK_SENT) {
		f = sim_frame_find(ch->device->out, q->numbers[event->slot]);
		sim_say(sim, "  frame %lu of the guest's ends with status %lu",
			q->numbers[event->slot], event->status, 0);
		if (!q->numbers[event->slot])
			sim_fail(sim, "TWO ENDS: a frame in slot %lu ends that has ended before",
				 event->slot, 0, 0);
		if (f && f->due && !f->seen && event->status == VMB_NET_STATUS_SUCCESS)
			sim_fail(sim, "LOST FRAME: number %lu ends well, and has not left",
				 f->number, 0, 0);
		if (f && event->status != VMB_NET_STATUS_SUCCESS)
			f->due = false;
		q->numbers[event->slot] = 0;
	} else if (event->type == VMB_GUEST_NETWORK_ANSWERED) {
		card_of(ch)->answered = true;
	} else if (event->type == VMB_GUEST_NETWORK_IS_READY) {
		card_of(ch)->handshake_over = true;
	} else if (event->type == VMB_GUEST_NETWORK_HAS_FAILED) {
		ch->refused = true;
	}
	sim_guest_wake(ch);
}

static void take_frames(struct sim_channel *ch)
{
	struct vmb_guest_network *n = &card_of(ch)->core;
	struct vmb_guest_network_frame frame;
	uint8_t bytes[VMB_DEV_NET_FRAME_MAX];
	uint32_t len;

	while (vmb_guest_network_receive_next(n, &ch->queue->core, &ch->queue->receive, &frame)) {
		len = 0;
		for (uint32_t i = 0; i < frame.piece_count; i++) {
			if (frame.pieces[i].len > sizeof(bytes) - len)
				break;
			memcpy(bytes + len, n->config.receive_buffer + frame.pieces[i].offset,
			       frame.pieces[i].len);
			len += frame.pieces[i].len;
		}
		sim_frame_seen(ch->device, ch->device->in, bytes, len,
			       "  frame %lu of %lu bytes reaches the guest on card %lu");
	}
}

static void take_transfer(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	struct vmb_guest_network_receive *r = &ch->queue->receive;
	struct vmb_guest_network *n = &card_of(ch)->core;
	uint32_t header_len = received->header_len, payload_len = received->payload_len;
	struct vmb_guest_network_event event;
	int what;

	if (header_len > sizeof(r->header))
		header_len = sizeof(r->header);
	if (payload_len > sizeof(r->message))
		payload_len = sizeof(r->message);
	vmb_ring_copy(&ch->rx, received, 16, &r->header, header_len);
	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, r->message, payload_len);
	what = vmb_guest_network_receive(n, &ch->queue->core, r, received->header_len,
					 received->payload_len);
	if (what == VMB_GUEST_NETWORK_FRAMES)
		take_frames(ch);
	else if (what == VMB_GUEST_NETWORK_CONTROL && !vmb_guest_network_control(n, r, &event))
		take_event(ch, &event);
	vmb_guest_network_owe(&ch->queue->core, received->transaction_id);
}

static void read_packet(struct sim_channel *ch, const struct vmb_ring_received *received)
{
	uint8_t payload[VMB_NET_MESSAGE_LEN_MAX];
	struct vmb_guest_network_event event;
	uint32_t len = received->payload_len;

	if (received->type == VMB_PKT_TRANSFER_PAGES) {
		take_transfer(ch, received);
		return;
	}
	if (len > sizeof(payload))
		len = sizeof(payload);
	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, payload, len);
	if (!vmb_guest_network_input(&card_of(ch)->core, &ch->queue->core, received->type,
				     received->transaction_id, payload, len, &event))
		take_event(ch, &event);
}

/* Sending */

bool sim_guest_card_send(struct sim_channel *ch, uint32_t arg)
{
	struct sim_card *c = card_of(ch);
	struct sim_card_queue *q = ch->queue;
	uint32_t room = c->mtu + 14 - FRAME_MIN + 1, len = FRAME_MIN + arg % room;
	const struct vmb_guest_rndis_frame frame = { .len = len };
	uint8_t bytes[VMB_DEV_NET_FRAME_MAX];
	struct sim_frame *f;
	void *at;

	if (c->stage != SIM_CARD_UP || !ch->open || q->has_packet || !q->core.slot_count ||
	    len > vmb_guest_network_inline_max(&c->core, &frame) || len > c->core.agreed.mtu + 14 ||
	    vmb_guest_network_put(&q->core, &frame, len, &at))
		return false;
	f = sim_frame_add(ch->device, ch->device->out, len);
	f->due = !ch->device->pulled;
	memcpy(at, bytes, sim_frame_make(bytes, f->number, len));
	vmb_guest_network_seal(&q->core, &q->packet);
	q->numbers[q->packet.slot] = f->number;
	q->since[q->packet.slot] = ch->guest->sim->now;
	q->has_packet = true;
	sim_say(ch->guest->sim, "the guest sends frame %lu of %lu bytes by card %lu", f->number,
		len, ch->device->number);
	write_queue(ch);
	return true;
}

/* Closing */

static void fail_frames(struct sim_channel *ch)
{
	struct vmb_guest_network_event event;

	while (ch->queue->core.slot_count && vmb_guest_network_fail_next(&ch->queue->core, &event))
		ch->queue->numbers[event.slot] = 0;
	ch->queue->has_packet = false;
	sim_frames_forget(ch->device);
}

bool sim_guest_card_give_back(struct sim_channel *ch)
{
	struct sim_card *c = ch->card;

	if (c->receive.count && !sim_guest_take_back(ch, &c->receive))
		return false;
	if (c->send.count && !sim_guest_take_back(ch, &c->send))
		return false;
	if (c->has_control)
		vmb_user_memory_free(&ch->guest->sim->machine.memory, &c->control_pfn, 1);
	c->has_control = false;
	c->stage = SIM_CARD_DOWN;
	return true;
}

const struct sim_guest_ops sim_guest_card_ops = { .alloc = alloc_card,
						  .free = free_card,
						  .prepare = prepare,
						  .begin = begin,
						  .read = read_packet,
						  .write = write_queue,
						  .fail = fail_frames,
						  .watch = watch };
