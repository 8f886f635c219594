// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Messages, offers and rings for one processor that waits by looking. The steps are those of
 * docs/porting.md, "The life of a connection". Timers call device drivers in the middle of each
 * other, so whatever touches the connection runs at TPL_NOTIFY.
 */
#include <Uefi.h>

#include <Library/MemoryAllocationLib.h>
#include <Library/TimerLib.h>
#include <Library/UefiBootServicesTableLib.h>

#include "guest/doorbell.h"
#include "ports/uefi/vmbus/bus.h"
#include "ports/uefi/vmbus/hyperv.h"
#include "wire/synic.h"

#define PAUSE_US 100u /* between two looks */

static struct vmb_uefi_bus bus;

/* What the host has no room for now is posted at the next look. */
static void post_messages(void)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status;

	while ((out = vmb_guest_connect_output(&bus.connect))) {
		status = vmb_uefi_hyperv_post(out->connection_id, out->payload, out->len);
		if (!status)
			vmb_guest_connect_output_done(&bus.connect);
		else if (vmb_guest_connect_output_refused(&bus.connect, status) == VMB_EAGAIN)
			return;
	}
}

static struct vmb_uefi_device *device_of(struct vmb_uefi_channel *ch)
{
	return VMB_CONTAINER_OF(ch, struct vmb_uefi_device, channel);
}

/* A channel must be added before the next message is put in. Sub-channels are not asked for. */
static void take_offer(const struct vmb_msg_offer *offer)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI, network = VMB_GUID_NETWORK;
	struct vmb_uefi_device *d = &bus.devices[bus.device_count];

	if (bus.device_count == VMB_UEFI_DEVICE_MAX ||
	    (!vmb_guid_equal(&offer->type_id, &scsi) && !vmb_guid_equal(&offer->type_id, &network)))
		return;
	if (vmb_guest_channel_add(&bus.connect, &d->core, offer))
		return;
	d->channel.type_id = offer->type_id;
	d->channel.instance_id = offer->instance_id;
	bus.device_count++;
}

static void take_event(const struct vmb_guest_event *event)
{
	if (event->type == VMB_GUEST_EVENT_OFFER)
		take_offer(&event->offer);
	bus.refused |= event->type == VMB_GUEST_EVENT_REFUSED;
	if (event->type != bus.waited_for)
		return;
	bus.arrived = true;
	bus.status = event->status;
}

static void poll(void)
{
	uint8_t message[VMB_SYNIC_PAYLOAD_MAX];
	struct vmb_guest_event event;
	uint32_t len;

	post_messages();
	for (uint32_t n = 0; n < VMB_UEFI_LOOK_MAX && (len = vmb_uefi_hyperv_take(message)); n++) {
		if (!vmb_guest_connect_input(&bus.connect, message, len, &event))
			take_event(&event);
		post_messages();
	}
}

/* Waits for that event, with status 0. core: its rescind ends the wait; NULL: none is there. */
static bool await(enum vmb_guest_event_type type, const struct vmb_guest_channel *core)
{
	bus.waited_for = type;
	bus.arrived = false;
	for (uint32_t us = 0; us < VMB_UEFI_PATIENCE_US; us += PAUSE_US) {
		poll();
		if (bus.arrived || bus.refused || (core && core->rescinded))
			break;
		MicroSecondDelay(PAUSE_US);
	}
	bus.waited_for = VMB_GUEST_EVENT_NOTHING;
	return bus.arrived && !bus.status;
}

/* What share() does, at TPL_NOTIFY. */
static uint32_t share(struct vmb_uefi_device *d, void *memory, uint32_t len)
{
	struct vmb_uefi_share *s = &d->shares[d->share_count];
	uint32_t count = len / VMB_PAGE_LEN;

	if (d->share_count == VMB_UEFI_SHARE_MAX)
		return 0;
	*s = (struct vmb_uefi_share){ .pfns = AllocatePool(count * sizeof(*s->pfns)) };
	if (!s->pfns)
		return 0;
	d->share_count++;
	for (uint32_t i = 0; i < count; i++)
		s->pfns[i] = ((uintptr_t)memory >> VMB_PAGE_SHIFT) + i;
	if (vmb_guest_gpadl_establish(&d->core, &s->gpadl, s->pfns, count, len, 0) ||
	    !await(VMB_GUEST_EVENT_GPADL_CREATED, &d->core))
		return 0;
	return s->gpadl.id;
}

static uint32_t channel_share(struct vmb_uefi_channel *ch, void *memory, uint32_t len)
{
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	uint32_t id = share(device_of(ch), memory, len);

	gBS->RestoreTPL(tpl);
	return id;
}

static bool open(struct vmb_uefi_device *d)
{
	uint8_t *down = d->rings + VMB_UEFI_RING_LEN;
	uint32_t data_len = VMB_UEFI_RING_LEN - VMB_PAGE_LEN;

	if (!share(d, d->rings, 2 * VMB_UEFI_RING_LEN))
		return false;
	vmb_ring_writer_init(&d->tx, d->rings, d->rings + VMB_PAGE_LEN, data_len, true);
	vmb_ring_reader_init(&d->rx, down, down + VMB_PAGE_LEN, data_len, true);
	return !vmb_guest_channel_open(&d->core, &d->shares[0].gpadl,
				       VMB_UEFI_RING_LEN / VMB_PAGE_LEN, 0, NULL, 0) &&
	       await(VMB_GUEST_EVENT_OPEN_RESULT, &d->core);
}

static bool close(struct vmb_uefi_device *d)
{
	bool taken_back = true;

	vmb_guest_channel_close(&d->core);
	for (uint32_t i = d->share_count; i--;) {
		if (vmb_guest_gpadl_teardown(&d->shares[i].gpadl) ||
		    !await(VMB_GUEST_EVENT_GPADL_TORNDOWN, NULL)) {
			vmb_guest_gpadl_forget(&d->shares[i].gpadl);
			taken_back = false;
		}
		FreePool(d->shares[i].pfns);
	}
	d->share_count = 0;
	/* what the host may still write to is never used again */
	if (taken_back)
		FreePages(d->rings, EFI_SIZE_TO_PAGES(2 * VMB_UEFI_RING_LEN));
	d->rings = NULL;
	return taken_back;
}

static bool channel_open(struct vmb_uefi_channel *ch)
{
	struct vmb_uefi_device *d = device_of(ch);
	EFI_TPL tpl;
	bool opened;

	d->rings = AllocatePages(EFI_SIZE_TO_PAGES(2 * VMB_UEFI_RING_LEN));
	if (!d->rings)
		return false;
	tpl = gBS->RaiseTPL(TPL_NOTIFY);
	opened = open(d);
	if (!opened)
		close(d);
	gBS->RestoreTPL(tpl);
	return opened;
}

static bool channel_close(struct vmb_uefi_channel *ch)
{
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	bool taken_back = close(device_of(ch));

	gBS->RestoreTPL(tpl);
	return taken_back;
}

static void signal(struct vmb_uefi_device *d)
{
	if (vmb_guest_doorbell_ring(&d->core, NULL, NULL, false))
		vmb_uefi_hyperv_signal(d->core.connection_id);
}

static bool channel_send(struct vmb_uefi_channel *ch, const struct vmb_ring_packet *packet)
{
	struct vmb_uefi_device *d = device_of(ch);
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	bool sent = !vmb_ring_write(&d->tx, packet);

	if (sent && vmb_ring_commit(&d->tx))
		signal(d);
	gBS->RestoreTPL(tpl);
	return sent;
}

static bool receive(struct vmb_uefi_device *d, struct vmb_ring_received *received, void *payload,
		    uint32_t room, void *header, uint32_t header_room)
{
	if (vmb_ring_read(&d->rx, received))
		return false;
	vmb_ring_copy(&d->rx, received, 16 + received->header_len, payload,
		      MIN(received->payload_len, room));
	if (header)
		vmb_ring_copy(&d->rx, received, 16, header, MIN(received->header_len, header_room));
	vmb_ring_next(&d->rx, received);
	if (vmb_ring_release(&d->rx))
		signal(d);
	return true;
}

static bool channel_receive(struct vmb_uefi_channel *ch, struct vmb_ring_received *received,
			    void *payload, uint32_t room, void *header, uint32_t header_room)
{
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);
	bool any = receive(device_of(ch), received, payload, room, header, header_room);

	gBS->RestoreTPL(tpl);
	return any;
}

static bool channel_lost(struct vmb_uefi_channel *ch)
{
	struct vmb_uefi_device *d = device_of(ch);
	EFI_TPL tpl = gBS->RaiseTPL(TPL_NOTIFY);

	poll(); /* the host says so by a message */
	gBS->RestoreTPL(tpl);
	return d->core.rescinded || d->rx.broken || d->tx.broken;
}

bool vmb_uefi_bus_start(void)
{
	static const struct vmb_guest_connect_config config; /* newest first; nothing below 2.4 */

	if (vmb_guest_connect_init(&bus.connect, &config) ||
	    vmb_guest_connect_start(&bus.connect) || !await(VMB_GUEST_EVENT_CONNECTED, NULL) ||
	    vmb_guest_connect_request_offers(&bus.connect) ||
	    !await(VMB_GUEST_EVENT_OFFERS_DELIVERED, NULL))
		return false;
	for (uint32_t i = 0; i < bus.device_count; i++) {
		bus.devices[i].channel.open = channel_open;
		bus.devices[i].channel.close = channel_close;
		bus.devices[i].channel.share = channel_share;
		bus.devices[i].channel.send = channel_send;
		bus.devices[i].channel.receive = channel_receive;
		bus.devices[i].channel.lost = channel_lost;
	}
	return true;
}

struct vmb_uefi_device *vmb_uefi_bus_device(uint32_t number)
{
	return number < bus.device_count ? &bus.devices[number] : NULL;
}

uint32_t vmb_uefi_bus_version(void)
{
	return bus.connect.version;
}

void vmb_uefi_bus_stop(void)
{
	for (uint32_t i = 0; i < bus.device_count; i++)
		vmb_guest_channel_close(&bus.devices[i].core);
	if (!vmb_guest_connect_unload(&bus.connect))
		await(VMB_GUEST_EVENT_UNLOADED, NULL);
}
