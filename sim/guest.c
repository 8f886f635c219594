// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest's bus: messages, channels, lent memory, and the poll of a ring, each a step at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/doorbell.h"
#include "sim/sim.h"

static const struct sim_guest_ops *const class_ops[] = {
	[SIM_SCSI] = &sim_guest_storage_ops,   [SIM_IDE] = &sim_guest_storage_ops,
	[SIM_CARD] = &sim_guest_card_ops,      [SIM_SERVICE] = &sim_guest_service_ops,
	[SIM_MEMORY] = &sim_guest_balloon_ops, [SIM_SOCKETS] = &sim_guest_socket_ops,
};

void sim_guest_wake(struct sim_channel *ch)
{
	struct sim_channel *primary = ch->primary ? ch->primary : ch, *at;

	for (at = ch->guest->channels; at; at = at->next)
		at->dirty |= at == primary || at->primary == primary;
}

static void wake_all(struct sim_guest *g)
{
	for (struct sim_channel *ch = g->channels; ch; ch = ch->next)
		ch->dirty = true;
}

/* One that was rescinded may still be there beside the one that was offered in its place. */
struct sim_channel *sim_guest_channel(struct sim_guest *g, uint32_t who,
				      bool (*fits)(const struct sim_channel *ch))
{
	struct sim_channel *ch = g->channels;

	while (ch &&
	       (ch->has_gone || SIM_CHANNEL(ch->device->number, ch->index) != who || !fits(ch)))
		ch = ch->next;
	return ch;
}

bool sim_guest_is_live(const struct sim_channel *ch)
{
	return !ch->core.rescinded;
}

bool sim_guest_may_advance(const struct sim_channel *ch)
{
	return ch->dirty;
}

bool sim_guest_may_poll(const struct sim_channel *ch)
{
	return ch->open && (ch->poll != SIM_POLL_REST || ch->interrupted);
}

/* Lent memory */

static bool alloc_lent(struct sim_guest *g, struct sim_lent *lent, uint32_t count)
{
	struct vmb_user_memory *m = &g->sim->machine.memory;

	if (!vmb_user_memory_alloc(m, lent->pfns, count))
		return false;
	lent->count = count;
	lent->at = vmb_user_memory_map(m, lent->pfns, count);
	return lent->at;
}

static void free_lent(struct sim_guest *g, struct sim_lent *lent)
{
	if (!lent->count)
		return;
	vmb_user_memory_unmap(lent->at, lent->count);
	vmb_user_memory_free(&g->sim->machine.memory, lent->pfns, lent->count);
	memset(lent, 0, sizeof(*lent));
}

bool sim_guest_lend(struct sim_channel *ch, struct sim_lent *lent, uint32_t count)
{
	return alloc_lent(ch->guest, lent, count) &&
	       !vmb_guest_gpadl_establish(&ch->core, &lent->gpadl, lent->pfns, count,
					  count * VMB_PAGE_LEN, 0);
}

bool sim_guest_take_back(struct sim_channel *ch, struct sim_lent *lent)
{
	vmb_guest_gpadl_teardown(&lent->gpadl);
	if (lent->gpadl.state != VMB_GUEST_GPADL_NONE)
		return false;
	free_lent(ch->guest, lent);
	return true;
}

/* Opening and closing */

/* A sub-channel lives as long as its primary is ready: their requests are the primary's. */
bool sim_guest_wants_open(const struct sim_channel *ch)
{
	bool wanted = ch->primary ? ch->primary->ready : ch->want_open && !ch->guest->want_unload;

	return wanted && !ch->refused && !ch->core.rescinded;
}

/* A card takes its leave first, on channels that still work. */
static bool may_close_data(const struct sim_channel *ch)
{
	const struct sim_channel *primary = ch->primary ? ch->primary : ch;

	return !primary->card || primary->core.rescinded || !primary->open ||
	       sim_guest_card_has_left(primary);
}

static void init_rings(struct sim_channel *ch)
{
	uint32_t len = ch->rings.count / 2 * VMB_PAGE_LEN;
	uint8_t *up = ch->rings.at, *down = up + len;

	memset(up, 0, VMB_PAGE_LEN);
	memset(down, 0, VMB_PAGE_LEN);
	vmb_ring_writer_init(&ch->tx, up, up + VMB_PAGE_LEN, len - VMB_PAGE_LEN, true);
	vmb_ring_reader_init(&ch->rx, down, down + VMB_PAGE_LEN, len - VMB_PAGE_LEN, true);
}

static uint32_t target_vp(const struct sim_guest *g)
{
	return g->connect.version < VMB_VERSION_3_0 ? 0 : g->connect.config.target_vp;
}

/* The longest message of a service has to fit. */
static uint32_t ring_pages(const struct sim_channel *ch)
{
	uint32_t pages = ch->guest->sim->config.ring_pages;

	return ch->device->config->class >= SIM_SERVICE && pages < 3 ? 3 : pages;
}

static bool advance_open(struct sim_channel *ch)
{
	uint32_t pages = ring_pages(ch);

	if (!ch->rings.count) {
		ch->refused = !sim_guest_lend(ch, &ch->rings, 2 * pages);
		return true;
	}
	if (ch->rings.gpadl.state != VMB_GUEST_GPADL_READY || ch->refused ||
	    ch->core.state != VMB_GUEST_CHANNEL_CLOSED)
		return false;
	if (ch->card && !ch->primary && !sim_guest_card_prepare(ch))
		return false;
	init_rings(ch);
	ch->room_wanted = 0;
	ch->poll = SIM_POLL_REST;
	ch->ops->prepare(ch);
	ch->refused = vmb_guest_channel_open(&ch->core, &ch->rings.gpadl, pages,
					     target_vp(ch->guest), NULL, 0);
	return true;
}

static bool has_open_subs(const struct sim_channel *primary)
{
	const struct sim_channel *ch;

	for (ch = primary->guest->channels; ch; ch = ch->next)
		if (ch->primary == primary && !ch->has_gone && ch->rings.count)
			return true;
	return false;
}

static bool advance_release(struct sim_channel *ch)
{
	if (ch->core.rescinded && !ch->releasing && !vmb_guest_channel_release(&ch->core)) {
		ch->releasing = true;
		return true;
	}
	if (ch->releasing && vmb_guest_channel_gone(&ch->core)) {
		ch->has_gone = true;
		return true;
	}
	return false;
}

static bool advance_close(struct sim_channel *ch)
{
	if (!vmb_guest_channel_close(&ch->core))
		return true;
	if (ch->core.state != VMB_GUEST_CHANNEL_CLOSED)
		return false;
	if (ch->rings.count) {
		ch->closing = true;
		if (!sim_guest_take_back(ch, &ch->rings))
			return false;
		ch->ops->fail(ch);
		return true;
	}
	if (ch->card && !sim_guest_card_give_back(ch))
		return false;
	if (ch->closing) {
		ch->closing = false;
		return true;
	}
	return advance_release(ch);
}

static void set_open(struct sim_channel *ch, bool open)
{
	ch->open = open;
	ch->closing = !open;
	ch->interrupted = open; /* packets may be there before the answer to OPEN */
	ch->ready &= open;
	if (open && ch->primary)
		ch->ready = true;
	if (open)
		ch->ops->begin(ch);
	if (open)
		ch->ops->write(ch);
	sim_guest_wake(ch);
}

/* What has begun to close does not turn back. */
static bool should_be_open(const struct sim_channel *ch)
{
	if (ch->core.state != VMB_GUEST_CHANNEL_OPEN || ch->closing)
		return false;
	return sim_guest_wants_open(ch) || (ch->open && !may_close_data(ch));
}

static bool switch_data(struct sim_channel *ch)
{
	bool should = should_be_open(ch);

	if (should == ch->open)
		return false;
	set_open(ch, should);
	return true;
}

void sim_guest_advance(struct sim_channel *ch)
{
	bool any = ch->card && !ch->primary && sim_guest_card_step(ch);
	any |= switch_data(ch);
	if (!any && sim_guest_wants_open(ch) && !ch->closing)
		any = advance_open(ch);
	else if (!any && !ch->open && !has_open_subs(ch))
		any = advance_close(ch);
	ch->dirty = any;
	if (any) {
		ch->since = ch->guest->sim->now;
		sim_guest_wake(ch);
	}
}

/* Messages of the host */

static struct sim_channel *channel_of(struct vmb_guest_channel *core)
{
	return VMB_CONTAINER_OF(core, struct sim_channel, core);
}

static bool is_index_used(const struct sim_guest *g, const struct sim_device *d, uint32_t index)
{
	for (const struct sim_channel *ch = g->channels; ch; ch = ch->next)
		if (!ch->has_gone && ch->device == d && ch->index == index)
			return true;
	return false;
}

/* Each connection is a channel: it has the first name that is free. */
static bool find_connection(struct sim_guest *g, struct sim_channel *ch)
{
	while (ch->index < SIM_CHANNEL_MAX && is_index_used(g, ch->device, ch->index))
		ch->index++;
	return ch->index < SIM_CHANNEL_MAX;
}

static bool find_relatives(struct sim_guest *g, struct sim_channel *ch,
			   const struct vmb_msg_offer *offer)
{
	ch->device = sim_world_find(g->sim, offer);
	ch->index = offer->sub_channel_index;
	if (ch->device && ch->device->config->class == SIM_SOCKETS) {
		ch->ops = &sim_guest_socket_ops;
		return find_connection(g, ch);
	}
	if (!ch->device || ch->index >= SIM_QUEUE_MAX)
		return false;
	ch->ops = class_ops[ch->device->config->class];
	if (!ch->index)
		return true;
	for (ch->primary = g->channels; ch->primary; ch->primary = ch->primary->next)
		if (!ch->primary->has_gone && !ch->primary->primary &&
		    ch->primary->device == ch->device && !ch->primary->core.rescinded)
			return ch->index < g->sim->config.guest_queues;
	return false;
}

static void free_channel(struct sim_channel *ch)
{
	if (ch->ops)
		ch->ops->free(ch);
	free(ch);
}

static void event_offer(struct sim_guest *g, const struct vmb_guest_event *event)
{
	struct sim_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return;
	ch->guest = g;
	if (!find_relatives(g, ch, &event->offer) || !ch->ops->alloc(ch, &event->offer) ||
	    vmb_guest_channel_add(&g->connect, &ch->core, &event->offer)) {
		free_channel(ch);
		return;
	}
	ch->want_open = ch->dirty = true;
	ch->since = g->sim->now;
	ch->next = g->channels;
	g->channels = ch;
}

static void unloaded(struct sim_guest *g)
{
	for (struct sim_channel *ch = g->channels; ch; ch = ch->next) {
		if (!ch->has_gone)
			vmb_guest_channel_remove(&ch->core);
		ch->has_gone = true;
	}
	g->unloaded = true;
}

/*
 * The host has promised to interrupt the new processor only, so the old one goes offline at once,
 * and with it what was under way to it (docs/known-bugs.md, "7 Missed interrupts when the target
 * CPU changes").
 */
static void modified(struct sim_guest *g, const struct vmb_guest_event *event)
{
	const struct vmb_guest_channel *ch = event->channel;

	for (uint32_t vp = 0; vp < SIM_VP_MAX && !event->status; vp++)
		if (vp != ch->target_vp)
			sim_machine_lose(&g->sim->machine, vp, ch->relid);
}

/* The host answers when it has let go of all that the guest before had lent. */
static void connected(struct sim_guest *g)
{
	sim_guest_free(g->sim->orphan);
	g->sim->orphan = NULL;
	vmb_guest_connect_request_offers(&g->connect);
}

static void take_event(struct sim_guest *g, struct vmb_guest_event *event)
{
	switch (event->type) {
	case VMB_GUEST_EVENT_CONNECTED: connected(g); break;
	case VMB_GUEST_EVENT_REFUSED: g->refused = true; break;
	case VMB_GUEST_EVENT_OFFER: event_offer(g, event); break;
	case VMB_GUEST_EVENT_OPEN_RESULT:
		channel_of(event->channel)->refused |= event->status != 0;
		break;
	case VMB_GUEST_EVENT_GPADL_CREATED:
		if (event->status)
			channel_of(event->channel)->refused = true;
		break;
	case VMB_GUEST_EVENT_GPADL_TORNDOWN: memset(event->gpadl, 0, sizeof(*event->gpadl)); break;
	case VMB_GUEST_EVENT_MODIFY_RESULT: modified(g, event); break;
	case VMB_GUEST_EVENT_UNLOADED: unloaded(g); break;
	case VMB_GUEST_EVENT_DIAL_REFUSED: sim_guest_socket_refused(g, event->dial); break;
	default: break;
	}
}

bool sim_guest_take(struct sim_guest *g, uint32_t vp)
{
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
	uint32_t len = sim_machine_take(&g->sim->machine, vp, payload);
	struct vmb_guest_event event;

	if (!len)
		return false;
	sim_note_message(g->sim, "the guest takes %s (%lu bytes) on processor %lu", payload, len,
			 vp);
	g->since = g->sim->now;
	if (!vmb_guest_connect_input(&g->connect, payload, len, &event))
		take_event(g, &event);
	wake_all(g);
	return true;
}

static bool all_closed(const struct sim_guest *g)
{
	for (const struct sim_channel *ch = g->channels; ch; ch = ch->next)
		if (!ch->has_gone && (ch->rings.count || (ch->card && ch->card->receive.count) ||
				      ch->core.state != VMB_GUEST_CHANNEL_CLOSED))
			return false;
	return true;
}

static bool may_unload(const struct sim_guest *g)
{
	return g->want_unload && g->connect.state == VMB_GUEST_CONNECTED && all_closed(g);
}

bool sim_guest_has_post(struct sim_guest *g)
{
	return g->sim->now >= g->post_after && (may_unload(g) || vmb_queue_head(&g->connect.posts));
}

bool sim_guest_post(struct sim_guest *g, bool refuse)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status = VMB_HV_INSUFFICIENT_BUFFERS;

	if (g->sim->now < g->post_after)
		return false;
	if (may_unload(g))
		vmb_guest_connect_unload(&g->connect);
	out = vmb_guest_connect_output(&g->connect);
	if (!out)
		return false;
	if (!refuse)
		status = sim_machine_post(&g->sim->machine, out->connection_id, out->payload,
					  out->len);
	sim_note_message(g->sim, "the guest posts %s (%lu bytes): status %lu", out->payload,
			 out->len, status);
	if (status && vmb_guest_connect_output_refused(&g->connect, status) == VMB_EAGAIN)
		g->post_after = g->sim->now + SIM_TICK_NS;
	else if (!status && vmb_guest_connect_output_done(&g->connect))
		unloaded(g);
	wake_all(g);
	sim_world_wake(g->sim);
	return true;
}

/* Data */

void sim_guest_ring(struct sim_channel *ch)
{
	struct sim_guest *g = ch->guest;

	g->sim->machine.scan = true;
	if (!vmb_guest_doorbell_ring(&ch->core, g->interrupt_page, g->monitor_page,
				     g->sim->config.monitors))
		return;
	sim_note(g->sim, "  the guest signals device %lu, channel %lu", ch->device->number,
		 ch->index, 0);
	sim_machine_signal(&g->sim->machine, ch->core.connection_id);
}

void sim_guest_publish(struct sim_channel *ch)
{
	if (vmb_ring_commit(&ch->tx))
		sim_guest_ring(ch);
}

bool sim_guest_write(struct sim_channel *ch, const void *bytes, uint32_t len,
		     uint64_t transaction_id)
{
	const struct vmb_ring_part part = { bytes, len };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.transaction_id = transaction_id,
						.payload = &part,
						.payload_count = 1 };
	int error = vmb_ring_write(&ch->tx, &packet);

	sim_guest_publish(ch);
	while (error == VMB_EAGAIN && !vmb_ring_wait_room(&ch->tx, vmb_ring_packet_len(0, len))) {
		error = vmb_ring_write(&ch->tx, &packet);
		sim_guest_publish(ch);
	}
	return !error;
}

static void take_shared_page(struct sim_guest *g)
{
	uint32_t relid;

	for (uint32_t word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++)
		for (uint32_t bits = vmb_guest_doorbell_take(g->interrupt_page, word); bits;
		     bits &= bits - 1) {
			relid = word * 32 + (uint32_t)__builtin_ctz(bits);
			for (struct sim_channel *ch = g->channels; ch; ch = ch->next)
				ch->interrupted |= !ch->has_gone && ch->core.relid == relid &&
						   ch->open;
		}
}

void sim_guest_interrupt(struct sim_guest *g, uint32_t flag)
{
	if (g->connect.version < VMB_VERSION_2_4) {
		if (!flag)
			take_shared_page(g);
		return;
	}
	for (struct sim_channel *ch = g->channels; ch; ch = ch->next)
		ch->interrupted |= !ch->has_gone && ch->core.relid == flag && ch->open;
}

static void read_packet(struct sim_channel *ch)
{
	struct vmb_ring_received received;

	if (vmb_ring_read(&ch->rx, &received)) {
		if (vmb_ring_release(&ch->rx))
			sim_guest_ring(ch);
		ch->poll = SIM_POLL_UNMASK;
		return;
	}
	sim_note(ch->guest->sim, "the guest reads a packet of type %lu, id %lx, on channel %lu",
		 received.type, received.transaction_id,
		 SIM_CHANNEL(ch->device->number, ch->index));
	ch->ops->read(ch, &received);
	vmb_ring_next(&ch->rx, &received);
}

static void unmask(struct sim_channel *ch)
{
	ch->poll = SIM_POLL_REST;
	ch->interrupted |= vmb_ring_unmask(&ch->rx) && !ch->rx.broken;
	ch->ops->write(ch);
	sim_guest_wake(ch);
}

void sim_guest_poll(struct sim_channel *ch)
{
	if (ch->poll == SIM_POLL_READ) {
		read_packet(ch);
	} else if (ch->poll == SIM_POLL_UNMASK) {
		unmask(ch);
	} else {
		ch->interrupted = false;
		vmb_ring_mask(&ch->rx);
		ch->poll = SIM_POLL_READ;
	}
}

/* Time */

static bool is_waiting(const struct sim_channel *ch)
{
	enum vmb_guest_gpadl_state rings = ch->rings.gpadl.state;

	return !ch->has_gone &&
	       (ch->core.state == VMB_GUEST_CHANNEL_OPENING ||
		ch->core.state == VMB_GUEST_CHANNEL_CLOSING || ch->core.modifying ||
		rings == VMB_GUEST_GPADL_TEARING || rings == VMB_GUEST_GPADL_WAITING ||
		(ch->card && (ch->card->receive.gpadl.state == VMB_GUEST_GPADL_WAITING ||
			      ch->card->receive.gpadl.state == VMB_GUEST_GPADL_TEARING ||
			      ch->card->send.gpadl.state == VMB_GUEST_GPADL_WAITING ||
			      ch->card->send.gpadl.state == VMB_GUEST_GPADL_TEARING)));
}

/* The host owes an answer to a message, or has not offered anything. */
static bool is_owed(const struct sim_guest *g)
{
	if (g->connect.state == VMB_GUEST_CONTACTING || g->connect.state == VMB_GUEST_UNLOADING ||
	    (g->connect.state == VMB_GUEST_CONNECTED && !g->connect.offers_delivered))
		return true;
	for (const struct sim_channel *ch = g->channels; ch; ch = ch->next)
		if (is_waiting(ch))
			return true;
	return false;
}

static void watch(struct sim_channel *ch)
{
	if (ch->has_gone || ch->primary)
		return;
	ch->ops->watch(ch);
	/* A refused channel, and one whose handshake does not end, are tried again. */
	if (ch->want_open && (ch->refused || (ch->open && !ch->ready)) &&
	    ch->guest->sim->now - ch->since > SIM_PATIENCE_NS) {
		sim_say(ch->guest->sim, "the guest closes device %lu and tries it again",
			ch->device->number, 0, 0);
		ch->refused = !ch->refused;
		ch->since = ch->guest->sim->now;
		sim_guest_wake(ch);
	}
}

bool sim_guest_watch(struct sim_guest *g)
{
	int64_t now = g->sim->now;

	if (!is_owed(g))
		g->since = now;
	if (now - g->since > SIM_PATIENCE_NS || (g->refused && !g->unloaded))
		return false;
	for (struct sim_channel *ch = g->channels; ch; ch = ch->next)
		watch(ch);
	sim_guest_socket_watch(g);
	return true;
}

/* Life */

static void init_pages(struct sim_guest *g, struct vmb_guest_connect_config *connect)
{
	struct vmb_user_memory *m = &g->sim->machine.memory;
	uint64_t pfns[VMB_USER_FIXED_COUNT];

	for (uint32_t i = 0; i < VMB_USER_FIXED_COUNT; i++) {
		pfns[i] = vmb_user_memory_fixed(m, i);
		memset(vmb_user_memory_page(m, pfns[i]), 0, VMB_PAGE_LEN);
	}
	connect->interrupt_page_gpa = pfns[0] << VMB_PAGE_SHIFT;
	connect->monitor_gpa[0] = pfns[1] << VMB_PAGE_SHIFT;
	connect->monitor_gpa[1] = pfns[2] << VMB_PAGE_SHIFT;
	g->interrupt_page = vmb_user_memory_page(m, pfns[0]);
	g->monitor_page = vmb_user_memory_page(m, pfns[2]);
}

struct sim_guest *sim_guest_boot(struct sim *sim)
{
	struct vmb_guest_connect_config connect = { .version_max = sim->config.guest_version };
	struct sim_guest *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->sim = sim;
	g->since = sim->now;
	init_pages(g, &connect);
	if (!vmb_guest_connect_init(&g->connect, &connect) && !vmb_guest_connect_start(&g->connect))
		return g;
	free(g);
	return NULL;
}

static void free_channels(struct sim_guest *g)
{
	struct sim_channel *ch;

	while ((ch = g->channels)) {
		g->channels = ch->next;
		ch->ops->fail(ch);
		free_lent(g, &ch->rings);
		if (ch->card) {
			free_lent(g, &ch->card->receive);
			free_lent(g, &ch->card->send);
			if (ch->card->has_control)
				vmb_user_memory_free(&g->sim->machine.memory,
						     &ch->card->control_pfn, 1);
		}
		free_channel(ch);
	}
}

bool sim_guest_start(struct sim_guest *g)
{
	if (!g->unloaded)
		return false;
	free_channels(g);
	g->unloaded = g->want_unload = g->refused = false;
	g->since = g->sim->now;
	return !vmb_guest_connect_start(&g->connect);
}

void sim_guest_free(struct sim_guest *g)
{
	if (!g)
		return;
	free_channels(g);
	free(g);
}
