// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Handshake and commands of a SCSI controller, by looking at its ring until the answer is there. */
#include <Uefi.h>

#include <Library/BaseMemoryLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/TimerLib.h>

#include "ports/uefi/storvsc/controller.h"

#define TICKS_S	    10000000u
#define TIMEOUT_S   30u /* of a command that names none */
#define REPORT_LUNS 0xA0u
#define LIST_HEAD   8u
#define LIST_MAX    4096u
#define LUN_LEN	    8u

static void send_control(struct vmb_uefi_controller *c)
{
	const struct vmb_guest_storage_output *out = vmb_guest_storage_output(&c->core);
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	if (!out)
		return;
	payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
	packet.transaction_id = out->transaction_id;
	if (c->channel->send(c->channel, &packet))
		vmb_guest_storage_output_done(&c->core);
}

/* Takes what the host sent. Returns whether the event of that type was among it. */
static bool take(struct vmb_uefi_controller *c, enum vmb_guest_storage_event_type type,
		 struct vmb_guest_storage_event *event)
{
	uint8_t payload[sizeof(struct vmb_stor_packet)];
	struct vmb_ring_received received;

	for (uint32_t n = 0;
	     n < VMB_UEFI_LOOK_MAX &&
	     c->channel->receive(c->channel, &received, payload, sizeof(payload), NULL, 0);
	     n++)
		if (!vmb_guest_storage_input(&c->core, received.type, received.transaction_id,
					     payload, MIN(received.payload_len, sizeof(payload)),
					     event) &&
		    event->type == type)
			return true;
	return false;
}

static int await(struct vmb_uefi_controller *c, enum vmb_guest_storage_event_type type,
		 uint32_t timeout_s, struct vmb_guest_storage_event *event)
{
	uint64_t until = GetPerformanceCounter() + (uint64_t)timeout_s * TICKS_S;

	do {
		send_control(c);
		if (take(c, type, event))
			return 0;
		if (c->core.state == VMB_GUEST_STORAGE_FAILED || c->channel->lost(c->channel))
			return VMB_EIO;
	} while (GetPerformanceCounter() < until);
	return VMB_EAGAIN;
}

/* Page numbers go behind the header; the ring may be full of what the host has not taken yet. */
static bool send(struct vmb_uefi_controller *c, const struct vmb_guest_storage_packet *p)
{
	struct vmb_ring_part header[2] = { { &p->gpa, sizeof(p->gpa) },
					   { c->pfns, p->pfn_count * sizeof(c->pfns[0]) } };
	struct vmb_ring_part payload = { &p->payload, p->payload_len };
	struct vmb_ring_packet packet = { .type = p->type,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .transaction_id = p->transaction_id,
					  .header = header,
					  .header_count = p->pfn_count ? 2 : 0,
					  .payload = &payload,
					  .payload_count = 1 };

	for (uint32_t i = 0; i < p->pfn_count; i++)
		c->pfns[i] = ((uintptr_t)c->buffer >> VMB_PAGE_SHIFT) + i;
	return c->channel->send(c->channel, &packet);
}

int vmb_uefi_controller_command(struct vmb_uefi_controller *c,
				struct vmb_guest_storage_request *request, void *memory,
				struct vmb_guest_storage_event *event)
{
	struct vmb_guest_storage_packet p;
	int error;

	request->cookie = c;
	if (!request->timeout_s)
		request->timeout_s = TIMEOUT_S;
	take(c, VMB_GUEST_STORAGE_COMPLETED, event); /* late: it frees the slot */
	error = vmb_guest_storage_submit(&c->core, 0, request, &p);
	if (error)
		return error == VMB_EOVERFLOW ? error : VMB_EIO;
	if (request->direction == VMB_STOR_WRITE)
		CopyMem(c->buffer, memory, request->data_len);
	if (!send(c, &p)) {
		vmb_guest_storage_cancel(&c->core, 0);
		return VMB_EIO;
	}
	error = await(c, VMB_GUEST_STORAGE_COMPLETED, request->timeout_s, event);
	if (error)
		vmb_guest_storage_abandon(&c->core, 0);
	else if (request->direction == VMB_STOR_READ)
		CopyMem(memory, c->buffer, event->data_len);
	return error;
}

/* A unit beyond what a request can name is not there for us. */
static void note_units(struct vmb_uefi_controller *c, const uint8_t *list, uint32_t len)
{
	for (uint32_t at = LIST_HEAD; at + LUN_LEN <= len; at += LUN_LEN)
		if (!list[at] && c->unit_count < VMB_UEFI_UNIT_MAX)
			c->units[c->unit_count++] = list[at + 1];
}

/* The first command after a reset may only hear that there was one. */
static bool find_units(struct vmb_uefi_controller *c)
{
	struct vmb_guest_storage_event event = { 0 };
	struct vmb_guest_storage_request request = { .cdb_len = 12,
						     .cdb = { REPORT_LUNS, [8] = LIST_MAX >> 8 },
						     .direction = VMB_STOR_READ,
						     .data_len = LIST_MAX };
	uint8_t list[LIST_MAX];
	bool found = false;

	for (uint32_t tries = 0; tries < 3 && !found; tries++)
		found = !vmb_uefi_controller_command(c, &request, list, &event) &&
			event.srb_status == VMB_SRB_SUCCESS;
	if (found)
		note_units(c, list, event.data_len);
	return found;
}

static bool shake_hands(struct vmb_uefi_controller *c)
{
	const struct vmb_guest_storage_config config = { .max_transfer_len =
								 VMB_UEFI_TRANSFER_MAX };
	struct vmb_guest_storage_event event;

	return !vmb_guest_storage_init(&c->core, &c->slot, 1, &config) &&
	       !vmb_guest_storage_start(&c->core) &&
	       !await(c, VMB_GUEST_STORAGE_IS_READY, VMB_UEFI_PATIENCE_US / 1000000, &event);
}

bool vmb_uefi_controller_open(struct vmb_uefi_controller *c)
{
	c->buffer = AllocatePages(EFI_SIZE_TO_PAGES(VMB_UEFI_TRANSFER_MAX));
	if (!c->buffer)
		return false;
	if (!c->channel->open(c->channel)) {
		FreePages(c->buffer, EFI_SIZE_TO_PAGES(VMB_UEFI_TRANSFER_MAX));
		return false;
	}
	if (shake_hands(c) && find_units(c))
		return true;
	vmb_uefi_controller_close(c);
	return false;
}

/* A host that does not give the channel back keeps the buffer. */
void vmb_uefi_controller_close(struct vmb_uefi_controller *c)
{
	if (c->channel->close(c->channel))
		FreePages(c->buffer, EFI_SIZE_TO_PAGES(VMB_UEFI_TRANSFER_MAX));
}
