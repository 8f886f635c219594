// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A network driver with one queue. Frames are copied out of the receive buffer before anybody reads
 * them, because the host may change it; and into the send buffer, so that nothing of the caller's
 * waits for a completion.
 */
#include <Uefi.h>

#include <Library/BaseMemoryLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/TimerLib.h>

#include "ports/uefi/netvsc/card.h"

#define TICKS_PER_US 10u
#define MTU	     1500u

static bool send_packet(struct vmb_uefi_card *c, struct vmb_ring_packet packet, const void *header,
			uint32_t header_len, const void *payload, uint32_t len)
{
	const struct vmb_ring_part parts[2] = { { header, header_len }, { payload, len } };

	packet.header = &parts[0];
	packet.header_count = header_len != 0;
	packet.payload = &parts[1];
	packet.payload_count = 1;
	return c->channel->send(c->channel, &packet);
}

static void send_dialogue(struct vmb_uefi_card *c)
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

static void send_acks(struct vmb_uefi_card *c)
{
	struct vmb_ring_packet packet = { .type = VMB_PKT_COMPLETION };

	while (vmb_guest_network_owed(&c->queue, &packet.transaction_id)) {
		if (!send_packet(c, packet, NULL, 0, &vmb_guest_network_ack_message,
				 sizeof(vmb_guest_network_ack_message)))
			return;
		vmb_guest_network_owed_done(&c->queue, 1);
	}
}

/* A frame that nobody fetches in time is lost, as on any card. */
static void take_frame(struct vmb_uefi_card *c, const struct vmb_guest_network_frame *frame)
{
	struct vmb_uefi_frame *to = &c->frames[c->end % VMB_UEFI_FRAME_COUNT];

	if (frame->rndis.len > sizeof(to->bytes) || c->end - c->first == VMB_UEFI_FRAME_COUNT)
		return;
	to->len = 0;
	for (uint32_t i = 0; i < frame->piece_count; i++) {
		CopyMem(to->bytes + to->len, c->receive_buffer + frame->pieces[i].offset,
			frame->pieces[i].len);
		to->len += frame->pieces[i].len;
	}
	c->end++;
}

static void take_transfer(struct vmb_uefi_card *c, const struct vmb_ring_received *received)
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
	vmb_guest_network_owe(&c->queue, received->transaction_id);
}

static void take_packet(struct vmb_uefi_card *c, const struct vmb_ring_received *received)
{
	uint32_t len = MIN(received->payload_len, sizeof(c->receive.message));
	struct vmb_guest_network_event event;

	if (received->type == VMB_PKT_TRANSFER_PAGES)
		take_transfer(c, received);
	else if (!vmb_guest_network_input(&c->core, &c->queue, received->type,
					  received->transaction_id, c->receive.message, len,
					  &event))
		c->answered |= event.type == VMB_GUEST_NETWORK_ANSWERED;
}

void vmb_uefi_card_poll(struct vmb_uefi_card *c)
{
	struct vmb_ring_received received;

	for (uint32_t n = 0; n < VMB_UEFI_LOOK_MAX &&
			     c->channel->receive(c->channel, &received, c->receive.message,
						 sizeof(c->receive.message), &c->receive.header,
						 sizeof(c->receive.header));
	     n++)
		take_packet(c, &received);
	send_acks(c);
	send_dialogue(c);
}

const struct vmb_uefi_frame *vmb_uefi_card_frame(struct vmb_uefi_card *c)
{
	if (c->first == c->end)
		vmb_uefi_card_poll(c);
	return c->first == c->end ? NULL : &c->frames[c->first % VMB_UEFI_FRAME_COUNT];
}

void vmb_uefi_card_next(struct vmb_uefi_card *c)
{
	c->first++;
}

bool vmb_uefi_card_send(struct vmb_uefi_card *c, const void *bytes, uint32_t len)
{
	const struct vmb_guest_rndis_frame frame = { .len = len };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED };
	struct vmb_guest_network_packet sealed;
	void *at;

	if (!c->usable || vmb_guest_network_put(&c->queue, &frame, len, &at))
		return false;
	CopyMem(at, bytes, len);
	vmb_guest_network_seal(&c->queue, &sealed);
	packet.transaction_id = sealed.transaction_id;
	if (send_packet(c, packet, NULL, 0, &sealed.payload, sealed.payload_len))
		return true;
	vmb_guest_network_unseal(&c->queue, sealed.slot);
	return false;
}

/* Waits for the end of the handshake, or of the request that was begun after it. */
static bool await(struct vmb_uefi_card *c, bool request)
{
	uint64_t until = GetPerformanceCounter() + (uint64_t)VMB_UEFI_PATIENCE_US * TICKS_PER_US;

	do {
		vmb_uefi_card_poll(c);
		if (request ? c->answered : c->core.state == VMB_GUEST_NETWORK_READY)
			return true;
	} while (c->core.state != VMB_GUEST_NETWORK_FAILED && !c->channel->lost(c->channel) &&
		 GetPerformanceCounter() < until);
	return false;
}

bool vmb_uefi_card_filter(struct vmb_uefi_card *c, uint32_t filter)
{
	c->answered = false;
	return !vmb_guest_network_set_filter(&c->core, filter) && await(c, true);
}

static bool get_buffers(struct vmb_uefi_card *c)
{
	c->receive_buffer = AllocatePages(EFI_SIZE_TO_PAGES(VMB_UEFI_RECEIVE_LEN));
	c->send_buffer = AllocatePages(EFI_SIZE_TO_PAGES(VMB_UEFI_SEND_LEN));
	c->control_page = AllocatePages(1);
	return c->receive_buffer && c->send_buffer && c->control_page;
}

/* Only when the host holds them no more. */
static void drop_buffers(struct vmb_uefi_card *c)
{
	if (c->receive_buffer)
		FreePages(c->receive_buffer, EFI_SIZE_TO_PAGES(VMB_UEFI_RECEIVE_LEN));
	if (c->send_buffer)
		FreePages(c->send_buffer, EFI_SIZE_TO_PAGES(VMB_UEFI_SEND_LEN));
	if (c->control_page)
		FreePages(c->control_page, 1);
}

static bool shake_hands(struct vmb_uefi_card *c)
{
	struct vmb_guest_network_config config = {
		.mtu = MTU,
		.queue_count = 1,
		.receive_buffer = c->receive_buffer,
		.receive_len = VMB_UEFI_RECEIVE_LEN,
		.send_buffer = c->send_buffer,
		.send_len = VMB_UEFI_SEND_LEN,
		.control_page = c->control_page,
		.control_pfn = (uintptr_t)c->control_page >> VMB_PAGE_SHIFT,
	};

	config.receive_gpadl_id =
		c->channel->share(c->channel, c->receive_buffer, VMB_UEFI_RECEIVE_LEN);
	config.send_gpadl_id = c->channel->share(c->channel, c->send_buffer, VMB_UEFI_SEND_LEN);
	return config.receive_gpadl_id && config.send_gpadl_id &&
	       !vmb_guest_network_init(&c->core, &config) &&
	       !vmb_guest_network_queue_init(&c->core, &c->queue, 0, NULL, NULL, 0, 0, c->owed,
					     VMB_UEFI_OWED_MAX) &&
	       !vmb_guest_network_start(&c->core) && await(c, false);
}

/* The sections of the send buffer are known now, and no acknowledgement is owed. */
static bool make_usable(struct vmb_uefi_card *c)
{
	uint32_t count = VMB_UEFI_SLOT_COUNT;
	uint64_t id;

	while (count > c->core.agreed.section_count)
		count /= 2;
	if (!count || vmb_guest_network_owed(&c->queue, &id))
		return false;
	c->usable = !vmb_guest_network_queue_init(&c->core, &c->queue, 0, c->slots, c->free_slots,
						  count, 0, c->owed, VMB_UEFI_OWED_MAX);
	return c->usable;
}

bool vmb_uefi_card_open(struct vmb_uefi_card *c)
{
	if (!get_buffers(c) || !c->channel->open(c->channel)) {
		drop_buffers(c);
		return false;
	}
	if (shake_hands(c) && make_usable(c))
		return true;
	vmb_uefi_card_close(c);
	return false;
}

/* A host that does not give the buffers back keeps them. */
void vmb_uefi_card_close(struct vmb_uefi_card *c)
{
	vmb_guest_network_revoke(&c->core);
	send_dialogue(c);
	if (c->channel->close(c->channel))
		drop_buffers(c);
}
