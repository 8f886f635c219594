// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Applies the faults that a test has set to everything that the host sends to the guest. */
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/fault.h"

struct vmb_dev_held {
	struct vmb_dev_held *next;
	struct vmb_dev_packet packet;
};

/* Each message is judged once, however often its slot is found occupied. */
int vmb_dev_fault_post(struct vmb_dev_fault *f, struct vmb_dev_bus *bus,
		       const struct vmb_host_server_output *out)
{
	int error;

	if (!f->judged) {
		f->len = out->len;
		memcpy(f->payload, out->payload, out->len);
		if (f->message && !f->message(f->arg, f->payload, &f->len))
			return 0;
	}
	error = vmb_dev_trace_post(bus, out->target_vp, out->target_sint, f->payload, f->len);
	f->judged = error != 0;
	return error;
}

bool vmb_dev_fault_signals(struct vmb_dev_fault *f, struct vmb_dev_channel *ch)
{
	return !f->signal || f->signal(f->arg, ch);
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

static void hold(struct vmb_dev_channel *ch, const struct vmb_dev_packet *packet)
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
	*at = held;
}

/* The fault is asked only about what fits, so that it sees each packet once. */
int vmb_dev_fault_write(struct vmb_dev_fault *f, struct vmb_dev_channel *ch,
			const struct vmb_ring_packet *packet)
{
	enum vmb_dev_fault_verdict verdict;
	struct vmb_dev_packet flat;
	int error = 0;

	if (!f->packet)
		return vmb_dev_channel_put(ch, packet);
	vmb_dev_packet_flatten(&flat, packet);
	if (vmb_ring_room(&ch->tx) <= vmb_ring_packet_len(flat.header_len, flat.payload_len))
		return vmb_dev_channel_put(ch, packet);
	verdict = f->packet(f->arg, ch, &flat);
	if (verdict == VMB_DEV_FAULT_HOLD)
		hold(ch, &flat);
	if (verdict == VMB_DEV_FAULT_PASS || verdict == VMB_DEV_FAULT_TWICE)
		error = put(ch, &flat);
	if (verdict == VMB_DEV_FAULT_TWICE)
		put(ch, &flat);
	return error;
}

static void publish(struct vmb_dev_channel *ch)
{
	if (vmb_ring_commit(&ch->tx))
		vmb_dev_bus_signal(ch);
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
