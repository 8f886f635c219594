// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network driver with one queue. Frames are copied out of the receive buffer before they are
 * read, because the host may change it; and into the send buffer, so that nothing waits for a
 * completion.
 */
#include "ports/baremetal/card.h"
#include "ports/baremetal/machine.h"

static _Alignas(4096) uint8_t rings[2 * VMB_METAL_RING_LEN];
static _Alignas(4096) uint8_t receive_buffer[VMB_METAL_RECEIVE_LEN];
static _Alignas(4096) uint8_t send_buffer[VMB_METAL_SEND_LEN];
static _Alignas(4096) uint8_t control_page[VMB_PAGE_LEN];

static bool send_packet(struct vmb_metal_card *c, struct vmb_ring_packet packet, const void *header,
			uint32_t header_len, const void *payload, uint32_t len)
{
	const struct vmb_ring_part parts[2] = { { header, header_len }, { payload, len } };

	packet.header = &parts[0];
	packet.header_count = header_len != 0;
	packet.payload = &parts[1];
	packet.payload_count = 1;
	return vmb_metal_bus_send(&c->bus->card, &packet);
}

static void send_dialogue(struct vmb_metal_card *c)
{
	const struct vmb_guest_network_output *out;
	struct vmb_ring_packet packet;

	while ((out = vmb_guest_network_output(&c->core))) {
		packet = (struct vmb_ring_packet){ .type = out->type,
						   .flags = out->flags,
						   .transaction_id = out->transaction_id };
		if (!send_packet(c, packet, &out->gpa,
				 out->type == VMB_PKT_GPA_DIRECT ? sizeof(out->gpa) : 0,
				 out->payload, out->payload_len))
			return;
		vmb_guest_network_output_done(&c->core);
	}
}

static void send_acks(struct vmb_metal_card *c)
{
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION };

	while (vmb_guest_network_owed(&c->queue, &packet.transaction_id)) {
		if (!send_packet(c, packet, NULL, 0, &vmb_guest_network_ack_message,
				 sizeof(vmb_guest_network_ack_message)))
			return;
		vmb_guest_network_owed_done(&c->queue, 1);
	}
}

/* The pieces of one frame, in a row; coalesced frames are not asked for, so it fits. */
static void take_frame(struct vmb_metal_card *c, const struct vmb_guest_network_frame *frame)
{
	static uint8_t bytes[VMB_METAL_FRAME_MAX];
	uint32_t len = 0;

	if (frame->rndis.len > sizeof(bytes)) {
		c->dropped++;
		return;
	}
	for (uint32_t i = 0; i < frame->piece_count; i++) {
		memcpy(bytes + len, receive_buffer + frame->pieces[i].offset, frame->pieces[i].len);
		len += frame->pieces[i].len;
	}
	c->received++;
	if (c->frame)
		c->frame(c->arg, bytes, len);
}

static void take_transfer(struct vmb_metal_card *c, const struct vmb_ring_received *received)
{
	struct vmb_guest_network_frame frame;
	struct vmb_guest_network_event event;
	int what = vmb_guest_network_receive(&c->core, &c->queue, &c->receive, received->header_len,
					     received->payload_len);

	while (what == VMB_GUEST_NETWORK_FRAMES &&
	       vmb_guest_network_receive_next(&c->core, &c->queue, &c->receive, &frame))
		take_frame(c, &frame);
	if (what == VMB_GUEST_NETWORK_CONTROL &&
	    !vmb_guest_network_control(&c->core, &c->receive, &event))
		c->answered |= event.type == VMB_GUEST_NETWORK_ANSWERED;
	if (vmb_guest_network_owe(&c->queue, received->transaction_id))
		c->dropped++;
}

static void take_packet(struct vmb_metal_card *c, const struct vmb_ring_received *received)
{
	struct vmb_guest_network_event event;
	uint32_t len = received->payload_len;

	if (len > sizeof(c->receive.message))
		len = sizeof(c->receive.message);
	if (received->type == VMB_PKT_TRANSFER_PAGES)
		take_transfer(c, received);
	else if (!vmb_guest_network_input(&c->core, &c->queue, received->type,
					  received->transaction_id, c->receive.message, len,
					  &event))
		c->answered |= event.type == VMB_GUEST_NETWORK_ANSWERED;
}

bool vmb_metal_card_poll(struct vmb_metal_card *c)
{
	struct vmb_ring_received received;
	bool any = false;

	for (uint32_t n = 0; n < VMB_METAL_LOOK_MAX &&
			     vmb_metal_bus_receive(&c->bus->card, &received, c->receive.message,
						   sizeof(c->receive.message), &c->receive.header,
						   sizeof(c->receive.header));
	     n++) {
		any = true;
		take_packet(c, &received);
	}
	send_acks(c);
	send_dialogue(c);
	return any;
}

void vmb_metal_card_send(struct vmb_metal_card *c, const void *bytes, uint32_t len)
{
	const struct vmb_guest_rndis_frame frame = { .len = len };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED };
	struct vmb_guest_network_packet sealed;
	void *at;

	if (!c->usable || vmb_guest_network_put(&c->queue, &frame, len, &at)) {
		c->dropped++;
		return;
	}
	memcpy(at, bytes, len);
	vmb_guest_network_seal(&c->queue, &sealed);
	packet.transaction_id = sealed.transaction_id;
	if (send_packet(c, packet, NULL, 0, &sealed.payload, sealed.payload_len)) {
		c->sent++;
		return;
	}
	vmb_guest_network_unseal(&c->queue, sealed.slot);
	c->dropped++;
}

/* Waits for the end of the handshake, or of the request that was begun after it. */
static bool await(struct vmb_metal_card *c, bool request)
{
	uint64_t until = vmb_metal_now() + VMB_METAL_PATIENCE_US;

	do {
		vmb_metal_bus_poll(c->bus);
		vmb_metal_card_poll(c);
		if (request ? c->answered : c->core.state == VMB_GUEST_NETWORK_READY)
			return true;
	} while (c->core.state != VMB_GUEST_NETWORK_FAILED && !c->bus->lost &&
		 vmb_metal_now() < until);
	return false;
}

static bool share_buffers(struct vmb_metal_card *c, struct vmb_guest_network_config *config)
{
	struct vmb_metal_channel *ch = &c->bus->card;

	if (!vmb_metal_bus_share(c->bus, ch, &c->receive_share, receive_buffer,
				 sizeof(receive_buffer)) ||
	    !vmb_metal_bus_share(c->bus, ch, &c->send_share, send_buffer, sizeof(send_buffer)))
		return false;
	*config = (struct vmb_guest_network_config){
		.mtu = 1500,
		.queue_count = 1,
		.receive_buffer = receive_buffer,
		.receive_len = sizeof(receive_buffer),
		.receive_gpadl_id = c->receive_share.gpadl.id,
		.send_buffer = send_buffer,
		.send_len = sizeof(send_buffer),
		.send_gpadl_id = c->send_share.gpadl.id,
		.control_page = control_page,
		.control_pfn = (uintptr_t)control_page >> VMB_PAGE_SHIFT,
	};
	return true;
}

static bool shake_hands(struct vmb_metal_card *c)
{
	struct vmb_guest_network_config config;

	return share_buffers(c, &config) && !vmb_guest_network_init(&c->core, &config) &&
	       !vmb_guest_network_queue_init(&c->core, &c->queue, 0, NULL, NULL, 0, 0, c->owed,
					     VMB_METAL_OWED_MAX) &&
	       !vmb_guest_network_start(&c->core) && await(c, false);
}

/* The sections of the send buffer are known now, and no acknowledgement is owed. */
static bool make_usable(struct vmb_metal_card *c)
{
	uint32_t count = VMB_METAL_SLOT_COUNT;
	uint64_t id;

	while (count > c->core.agreed.section_count)
		count /= 2;
	if (!count || vmb_guest_network_owed(&c->queue, &id))
		return false;
	c->usable = !vmb_guest_network_queue_init(&c->core, &c->queue, 0, c->slots, c->free_slots,
						  count, 0, c->owed, VMB_METAL_OWED_MAX);
	return c->usable;
}

bool vmb_metal_card_open(struct vmb_metal_card *c, struct vmb_metal_bus *bus)
{
	c->bus = bus;
	bus->card.rings = rings;
	if (bus->card.core.connect && vmb_metal_bus_open(bus, &bus->card) && shake_hands(c) &&
	    make_usable(c) &&
	    !vmb_guest_network_set_filter(&c->core,
					  RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST) &&
	    await(c, true))
		return true;
	vmb_metal_print("card: none\n");
	return false;
}
