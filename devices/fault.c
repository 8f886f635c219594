// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Applies the faults that a test has set to everything that the host sends to the guest. */
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/fault.h"

struct vmb_dev_held {
	struct vmb_dev_held *next;
	uint64_t due; /* tick; UINT64_MAX: never by itself */
	bool behind;
	struct vmb_dev_packet packet;
};

static uint64_t now_of(const struct vmb_dev_fault *f)
{
	return __atomic_load_n(&f->now, __ATOMIC_RELAXED);
}

static bool is_idle(const struct vmb_dev_fault *f)
{
	return __atomic_load_n(&f->idle, __ATOMIC_RELAXED);
}

enum vmb_dev_fault_operation vmb_dev_fault_operate(struct vmb_dev_fault *f,
						   struct vmb_dev_channel *ch,
						   const struct vmb_host_scsi_task *task)
{
	return is_idle(f) || !f->operation ? VMB_DEV_FAULT_DO : f->operation(f->arg, ch, task);
}

bool vmb_dev_fault_knows(struct vmb_dev_fault *f, struct vmb_dev_channel *ch, uint8_t opcode)
{
	return is_idle(f) || !f->command || f->command(f->arg, ch, opcode);
}

/* Messages */

void vmb_dev_fault_say(struct vmb_dev_fault *f, const void *payload, uint32_t len, uint32_t ticks,
		       bool behind)
{
	struct vmb_dev_fault_said *said = &f->said[f->said_count];

	if (f->said_count == VMB_DEV_FAULT_SAID_MAX || len > sizeof(said->payload))
		return;
	f->said_count++;
	said->due = now_of(f) + ticks;
	said->behind = behind;
	said->vp = f->vp;
	said->sint = f->sint;
	said->len = len;
	memcpy(said->payload, payload, len);
}

/* Returns the first message that is due, or the count. */
static uint32_t first_due(const struct vmb_dev_fault *f)
{
	uint32_t i;

	for (i = 0; i < f->said_count; i++)
		if (f->said[i].due <= now_of(f))
			break;
	return i;
}

void vmb_dev_fault_flush(struct vmb_dev_fault *f, struct vmb_dev_bus *bus)
{
	struct vmb_dev_fault_said *said;
	uint32_t i;

	while (!f->judged && (i = first_due(f)) < f->said_count) {
		said = &f->said[i];
		if (vmb_dev_trace_post(bus, said->vp, said->sint, said->payload, said->len))
			return; /* the slot is occupied: the machine calls again */
		f->said_count--;
		memmove(said, said + 1, (f->said_count - i) * sizeof(*said));
	}
}

void vmb_dev_fault_forget_messages(struct vmb_dev_fault *f)
{
	f->said_count = 0;
	f->judged = false;
}

/* A message has left: those that were to leave behind it are due. before: how many waited then. */
static void release_behind(struct vmb_dev_fault *f, uint32_t before)
{
	for (uint32_t i = 0; i < before; i++)
		if (f->said[i].behind)
			f->said[i].due = 0;
}

static bool is_judged(const struct vmb_dev_fault *f, const struct vmb_host_server_output *out)
{
	return f->judged && f->asked.len == out->len && f->asked.target_vp == out->target_vp &&
	       f->asked.target_sint == out->target_sint &&
	       !memcmp(f->asked_payload, out->payload, out->len);
}

static void judge(struct vmb_dev_fault *f, const struct vmb_host_server_output *out, bool *lost)
{
	f->asked = *out;
	memcpy(f->asked_payload, out->payload, out->len);
	f->len = out->len;
	f->vp = out->target_vp;
	f->sint = out->target_sint;
	memcpy(f->payload, out->payload, out->len);
	*lost = !is_idle(f) && f->message && !f->message(f->arg, f->payload, &f->len);
}

/* Each message is judged once, however often its slot is found occupied. */
int vmb_dev_fault_post(struct vmb_dev_fault *f, struct vmb_dev_bus *bus,
		       const struct vmb_host_server_output *out)
{
	uint32_t before = f->said_count;
	bool lost = false;
	int error = 0;

	if (!is_judged(f, out))
		judge(f, out, &lost);
	if (!lost)
		error = vmb_dev_trace_post(bus, out->target_vp, out->target_sint, f->payload,
					   f->len);
	f->judged = error != 0;
	if (error)
		return error;
	if (!lost)
		release_behind(f, before);
	vmb_dev_fault_flush(f, bus);
	return 0;
}

/* Time */

static void ring_waiting(struct vmb_dev_bus *bus)
{
	struct vmb_host_channel *host;

	for (host = bus->server.first; host; host = host->next) {
		struct vmb_dev_channel *ch = VMB_CONTAINER_OF(host, struct vmb_dev_channel, host);

		if (!ch->pages || (!__atomic_load_n(&ch->held, __ATOMIC_RELAXED) &&
				   !__atomic_exchange_n(&ch->unheard, false, __ATOMIC_RELAXED)))
			continue;
		vmb_dev_bell_ring(&ch->bell);
	}
}

void vmb_dev_fault_tick(struct vmb_dev_bus *bus)
{
	struct vmb_dev_fault *fault;

	pthread_mutex_lock(&bus->lock);
	fault = vmb_dev_fault_of(bus);
	if (fault) {
		__atomic_fetch_add(&fault->now, 1, __ATOMIC_RELAXED);
		vmb_dev_fault_flush(fault, bus);
		ring_waiting(bus);
	}
	pthread_mutex_unlock(&bus->lock);
}

bool vmb_dev_fault_hears(struct vmb_dev_fault *f, struct vmb_dev_channel *ch)
{
	if (is_idle(f) || !f->hears || f->hears(f->arg, ch))
		return true;
	__atomic_store_n(&ch->unheard, true, __ATOMIC_RELAXED);
	return false;
}

bool vmb_dev_fault_signals(struct vmb_dev_fault *f, struct vmb_dev_channel *ch)
{
	return is_idle(f) || !f->signal || f->signal(f->arg, ch);
}

static void gather(uint8_t *dst, uint32_t room, uint32_t *len, const struct vmb_ring_part *parts,
		   uint32_t count)
{
	*len = 0;
	for (uint32_t i = 0; i < count && parts[i].len <= room - *len; i++) {
		if (parts[i].len)
			memcpy(dst + *len, parts[i].base, parts[i].len);
		*len += parts[i].len;
	}
}

void vmb_dev_packet_flatten(struct vmb_dev_packet *flat, const struct vmb_ring_packet *packet)
{
	flat->type = packet->type;
	flat->flags = packet->flags;
	flat->transaction_id = packet->transaction_id;
	gather(flat->header, sizeof(flat->header), &flat->header_len, packet->header,
	       packet->header_count);
	gather(flat->payload, sizeof(flat->payload), &flat->payload_len, packet->payload,
	       packet->payload_count);
}

/* How a packet in one piece is a packet in parts; part has room for header and payload. */
static struct vmb_ring_packet packet_of(const struct vmb_dev_packet *flat,
					struct vmb_ring_part parts[2])
{
	parts[0] = (struct vmb_ring_part){ flat->header, flat->header_len };
	parts[1] = (struct vmb_ring_part){ flat->payload, flat->payload_len };
	return (struct vmb_ring_packet){ .type = flat->type,
					 .flags = flat->flags,
					 .transaction_id = flat->transaction_id,
					 .header = &parts[0],
					 .header_count = flat->header_len ? 1 : 0,
					 .payload = &parts[1],
					 .payload_count = 1 };
}

int vmb_dev_packet_write(struct vmb_ring_writer *tx, const struct vmb_dev_packet *flat)
{
	struct vmb_ring_part parts[2];
	const struct vmb_ring_packet packet = packet_of(flat, parts);

	return vmb_ring_write(tx, &packet);
}

static int put(struct vmb_dev_channel *ch, const struct vmb_dev_packet *flat)
{
	struct vmb_ring_part parts[2];
	const struct vmb_ring_packet packet = packet_of(flat, parts);

	return vmb_dev_channel_put(ch, &packet);
}

static void publish(struct vmb_dev_channel *ch)
{
	if (vmb_ring_commit(&ch->tx))
		vmb_dev_bus_signal(ch);
}

static void hold(const struct vmb_dev_fault *f, struct vmb_dev_channel *ch,
		 const struct vmb_dev_packet *packet)
{
	struct vmb_dev_held **at = &ch->held, *held;
	uint32_t count = 0;

	for (; *at; at = &(*at)->next)
		count++;
	held = count < VMB_DEV_HELD_MAX ? malloc(sizeof(*held)) : NULL;
	if (!held)
		return;
	held->next = NULL;
	held->packet = *packet;
	held->behind = packet->behind;
	held->due = packet->ticks ? now_of(f) + packet->ticks : UINT64_MAX;
	__atomic_store_n(at, held, __ATOMIC_RELAXED);
}

/* Sends those held packets that may leave now, oldest first. Returns whether one did. */
static bool release_some(struct vmb_dev_channel *ch, uint64_t now, bool behind)
{
	struct vmb_dev_held **at = &ch->held, *held;
	bool any = false;

	while ((held = *at)) {
		if (held->due > now && !(behind && held->behind)) {
			at = &held->next;
			continue;
		}
		if (put(ch, &held->packet))
			break;
		__atomic_store_n(at, held->next, __ATOMIC_RELAXED);
		free(held);
		any = true;
	}
	return any;
}

void vmb_dev_fault_look(struct vmb_dev_fault *f, struct vmb_dev_channel *ch)
{
	if (ch->held && release_some(ch, now_of(f), false))
		publish(ch);
}

/* Such a packet would lose its end in one piece. */
static bool is_too_long(const struct vmb_ring_packet *packet)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < packet->payload_count; i++)
		len += packet->payload[i].len;
	return len > VMB_DEV_PACKET_PAYLOAD_LEN_MAX;
}

/* The fault is asked only about what fits, so that it sees each packet once. */
int vmb_dev_fault_write(struct vmb_dev_fault *f, struct vmb_dev_channel *ch,
			const struct vmb_ring_packet *packet)
{
	enum vmb_dev_fault_verdict verdict;
	struct vmb_dev_packet flat;
	int error = 0;

	if (is_idle(f) || !f->packet || is_too_long(packet))
		return vmb_dev_channel_put(ch, packet);
	vmb_dev_packet_flatten(&flat, packet);
	flat.ticks = 0;
	flat.behind = false;
	if (vmb_ring_room(&ch->tx) <= vmb_ring_packet_len(flat.header_len, flat.payload_len))
		return vmb_dev_channel_put(ch, packet);
	verdict = f->packet(f->arg, ch, &flat);
	if (verdict == VMB_DEV_FAULT_HOLD)
		hold(f, ch, &flat);
	if (verdict == VMB_DEV_FAULT_PASS || verdict == VMB_DEV_FAULT_TWICE) {
		error = put(ch, &flat);
		release_some(ch, 0, true);
	}
	if (verdict == VMB_DEV_FAULT_TWICE)
		put(ch, &flat);
	return error;
}

int vmb_dev_fault_inject(struct vmb_dev_channel *ch, const struct vmb_dev_packet *packet)
{
	int error = ch->pages ? put(ch, packet) : VMB_ENODEV;

	if (!error)
		publish(ch);
	return error;
}

static void drop_first(struct vmb_dev_channel *ch)
{
	struct vmb_dev_held *held = ch->held;

	ch->held = held->next;
	free(held);
}

int vmb_dev_fault_release(struct vmb_dev_channel *ch)
{
	int error = 0;

	while (ch->held && !(error = put(ch, &ch->held->packet)))
		drop_first(ch);
	publish(ch);
	return error;
}

void vmb_dev_fault_forget(struct vmb_dev_channel *ch)
{
	while (ch->held)
		drop_first(ch);
}
