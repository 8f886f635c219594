// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Messages, offers, and the rings of two channels, for one processor that waits by looking. The
 * steps are those of docs/porting.md, "The life of a connection".
 */
#include "guest/doorbell.h"
#include "ports/baremetal/bus.h"
#include "ports/baremetal/machine.h"
#include "wire/synic.h"

#define PAUSE_US 1000u /* before a message is posted again */

static void pause_us(uint32_t us)
{
	uint64_t until = vmb_metal_now() + us;

	while (vmb_metal_now() < until)
		__asm__ volatile("pause");
}

/* What the host has no room for now is posted at the next look. */
static void post_messages(struct vmb_metal_bus *b)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status;

	while ((out = vmb_guest_connect_output(&b->connect))) {
		status = vmb_metal_post(out->connection_id, out->payload, out->len);
		if (!status)
			vmb_guest_connect_output_done(&b->connect);
		else if (vmb_guest_connect_output_refused(&b->connect, status) == VMB_EAGAIN) {
			pause_us(PAUSE_US);
			return;
		}
	}
}

/* The first of each kind; a channel must be added before the next message is put in. */
static void take_offer(struct vmb_metal_bus *b, const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI, network = VMB_GUID_NETWORK;
	struct vmb_metal_channel *ch = NULL;

	if (vmb_guid_equal(&offer->type_id, &scsi))
		ch = &b->disk;
	else if (vmb_guid_equal(&offer->type_id, &network))
		ch = &b->card;
	if (ch && !ch->core.connect)
		vmb_guest_channel_add(&b->connect, &ch->core, offer);
}

static void take_event(struct vmb_metal_bus *b, const struct vmb_guest_event *event)
{
	if (event->type == VMB_GUEST_EVENT_OFFER)
		take_offer(b, &event->offer);
	b->lost |= event->type == VMB_GUEST_EVENT_RESCIND || event->type == VMB_GUEST_EVENT_REFUSED;
	if (event->type != b->waited_for)
		return;
	b->arrived = true;
	b->status = event->status;
}

void vmb_metal_bus_poll(struct vmb_metal_bus *b)
{
	uint8_t message[VMB_SYNIC_PAYLOAD_MAX];
	struct vmb_guest_event event;
	uint32_t len;

	post_messages(b);
	for (uint32_t n = 0; n < VMB_METAL_LOOK_MAX && (len = vmb_metal_take_message(message));
	     n++) {
		if (!vmb_guest_connect_input(&b->connect, message, len, &event))
			take_event(b, &event);
		post_messages(b);
	}
}

/* Waits for that event, with status 0. */
static bool await(struct vmb_metal_bus *b, enum vmb_guest_event_type type, const char *what)
{
	uint64_t until = vmb_metal_now() + VMB_METAL_PATIENCE_US;

	b->waited_for = type;
	b->arrived = false;
	while (!b->arrived && !b->lost && vmb_metal_now() < until)
		vmb_metal_bus_poll(b);
	if (b->arrived && !b->status)
		return true;
	vmb_metal_print("vmbus: %s: %s\n", what, b->arrived || b->lost ? "refused" : "no answer");
	return false;
}

bool vmb_metal_bus_start(struct vmb_metal_bus *b)
{
	const struct vmb_guest_connect_config config = {
		0
	}; /* newest first; no page for older than 2.4 */

	if (vmb_guest_connect_init(&b->connect, &config) || vmb_guest_connect_start(&b->connect) ||
	    !await(b, VMB_GUEST_EVENT_CONNECTED, "contact"))
		return false;
	return !vmb_guest_connect_request_offers(&b->connect) &&
	       await(b, VMB_GUEST_EVENT_OFFERS_DELIVERED, "offers");
}

bool vmb_metal_bus_share(struct vmb_metal_bus *b, struct vmb_metal_channel *ch,
			 struct vmb_metal_share *share, const void *memory, uint32_t len)
{
	uint32_t count = len / VMB_PAGE_LEN;

	for (uint32_t i = 0; i < count; i++)
		share->pfns[i] = ((uintptr_t)memory >> VMB_PAGE_SHIFT) + i;
	return !vmb_guest_gpadl_establish(&ch->core, &share->gpadl, share->pfns, count, len, 0) &&
	       await(b, VMB_GUEST_EVENT_GPADL_CREATED, "memory");
}

bool vmb_metal_bus_open(struct vmb_metal_bus *b, struct vmb_metal_channel *ch)
{
	uint8_t *down = ch->rings + VMB_METAL_RING_LEN;
	uint32_t data_len = VMB_METAL_RING_LEN - VMB_PAGE_LEN;

	if (!vmb_metal_bus_share(b, ch, &ch->share, ch->rings, 2 * VMB_METAL_RING_LEN))
		return false;
	vmb_ring_writer_init(&ch->tx, ch->rings, ch->rings + VMB_PAGE_LEN, data_len, true);
	vmb_ring_reader_init(&ch->rx, down, down + VMB_PAGE_LEN, data_len, true);
	return !vmb_guest_channel_open(&ch->core, &ch->share.gpadl,
				       VMB_METAL_RING_LEN / VMB_PAGE_LEN, 0, NULL, 0) &&
	       await(b, VMB_GUEST_EVENT_OPEN_RESULT, "channel");
}

static void signal(struct vmb_metal_channel *ch)
{
	if (vmb_guest_doorbell_ring(&ch->core, NULL, NULL, false))
		vmb_metal_signal(ch->core.connection_id);
}

bool vmb_metal_bus_send(struct vmb_metal_channel *ch, const struct vmb_ring_packet *packet)
{
	if (vmb_ring_write(&ch->tx, packet))
		return false;
	if (vmb_ring_commit(&ch->tx))
		signal(ch);
	return true;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

bool vmb_metal_bus_receive(struct vmb_metal_channel *ch, struct vmb_ring_received *received,
			   void *payload, uint32_t room, void *header, uint32_t header_room)
{
	if (vmb_ring_read(&ch->rx, received))
		return false;
	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, payload,
		      least(received->payload_len, room));
	if (header)
		vmb_ring_copy(&ch->rx, received, 16, header,
			      least(received->header_len, header_room));
	vmb_ring_next(&ch->rx, received);
	if (vmb_ring_release(&ch->rx))
		signal(ch);
	return true;
}

void vmb_metal_bus_leave(struct vmb_metal_bus *b)
{
	struct vmb_metal_channel *const channels[] = { &b->disk, &b->card };

	for (uint32_t i = 0; i < VMB_ARRAY_COUNT(channels); i++)
		if (channels[i]->core.connect)
			vmb_guest_channel_close(&channels[i]->core);
	if (!vmb_guest_connect_unload(&b->connect))
		await(b, VMB_GUEST_EVENT_UNLOADED, "unload");
}
