// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A guest's bus and storage driver as a user-space program: the guest core's messages and rings
 * over shared memory. Tests drive the host and its devices with it.
 */
#include <stdlib.h>
#include <time.h>

#include "guest/doorbell.h"
#include "ports/user/guest.h"

#define RING_PAGES_DEFAULT 16u
#ifndef VMB_USER_WAIT_SECONDS
#define VMB_USER_WAIT_SECONDS 20 /* more where an emulator runs it */
#endif
#define PACKETS_PER_LOOK 256u

/* What is done for a device, one step a call, towards what is wanted. All under g->lock. */

/* What is not storage has no handshake and no requests. */
static bool is_plain(const struct vmb_user_device *d)
{
	return d->service.used || d->socket.used || d->balloon.used || d->input.used ||
	       d->video.used || d->pci.used;
}

static bool alloc_rings(struct vmb_user_device *d)
{
	struct vmb_user_guest *g = d->guest;

	d->page_count = 2 * g->config.ring_pages;
	d->pfns = calloc(d->page_count, sizeof(*d->pfns));
	if (!d->pfns || !vmb_user_memory_alloc(g->memory, d->pfns, d->page_count)) {
		free(d->pfns);
		d->pfns = NULL;
		return false;
	}
	d->pages = vmb_user_memory_map(g->memory, d->pfns, d->page_count);
	return d->pages;
}

static void free_rings(struct vmb_user_device *d)
{
	if (!d->pfns)
		return;
	vmb_user_memory_unmap(d->pages, d->page_count);
	vmb_user_memory_free(d->guest->memory, d->pfns, d->page_count);
	free(d->pfns);
	d->pfns = NULL;
	d->pages = NULL;
}

static void init_rings(struct vmb_user_device *d)
{
	uint32_t ring_len = d->page_count / 2 * VMB_PAGE_LEN;
	uint8_t *up = d->pages, *down = up + ring_len;

	memset(up, 0, VMB_PAGE_LEN);
	memset(down, 0, VMB_PAGE_LEN);
	vmb_ring_writer_init(&d->tx, up, up + VMB_PAGE_LEN, ring_len - VMB_PAGE_LEN, true);
	vmb_ring_reader_init(&d->rx, down, down + VMB_PAGE_LEN, ring_len - VMB_PAGE_LEN, true);
}

/* Each channel takes its requests' slots from a part of its own. */
static void init_slots(struct vmb_user_device *d)
{
	uint32_t count = VMB_USER_SLOT_COUNT / d->guest->config.queue_count;
	uint32_t first = count * d->channel.offer.sub_channel_index, i;

	for (i = 0; i < count; i++)
		d->free_slots[i] = first + count - 1 - i;
	d->free_count = count;
}

static void init_storage(struct vmb_user_device *d)
{
	struct vmb_guest_storage_config config = {
		.version_min = d->guest->config.storage_version_min,
		.version_max = d->guest->config.storage_version_max,
		.sub_channel_max = (uint16_t)(d->guest->config.queue_count - 1),
	};

	init_slots(d);
	if (d->primary)
		return;
	memset(d->slots, 0, sizeof(d->slots));
	vmb_guest_storage_init(&d->storage, d->slots, VMB_USER_SLOT_COUNT, &config);
}

static bool advance_open(struct vmb_user_device *d)
{
	struct vmb_user_guest *g = d->guest;

	if (!d->pfns) {
		if (!alloc_rings(d) ||
		    vmb_guest_gpadl_establish(&d->channel, &d->gpadl, d->pfns, d->page_count,
					      d->page_count * VMB_PAGE_LEN, 0))
			d->refused = true;
		return true;
	}
	if (d->gpadl.state != VMB_GUEST_GPADL_READY ||
	    d->channel.state != VMB_GUEST_CHANNEL_CLOSED || d->refused)
		return false;
	init_rings(d);
	if (d->service.used)
		vmb_user_service_init(&d->service, &d->channel.offer.type_id);
	if (d->balloon.used)
		vmb_user_balloon_init(&d->balloon, g->memory, &d->channel.offer.type_id);
	if (d->input.used)
		vmb_user_input_init(&d->input, &d->channel.offer.type_id);
	if (d->video.used)
		vmb_guest_video_init(&d->video.core, g->connect.version);
	if (!is_plain(d))
		init_storage(d);
	if (vmb_guest_channel_open(&d->channel, &d->gpadl, g->config.ring_pages,
				   g->connect.config.target_vp, NULL, 0))
		d->refused = true;
	return true;
}

static bool advance_close(struct vmb_user_device *d)
{
	if (!vmb_guest_channel_close(&d->channel))
		return true;
	if (d->channel.state != VMB_GUEST_CHANNEL_CLOSED)
		return false;
	if (!vmb_guest_gpadl_teardown(&d->gpadl))
		return true;
	if (d->gpadl.state != VMB_GUEST_GPADL_NONE)
		return false;
	if (d->pfns) {
		free_rings(d);
		return true;
	}
	if (d->channel.rescinded && !d->releasing && !d->guest->keeps &&
	    !vmb_guest_channel_release(&d->channel)) {
		d->releasing = true;
		return true;
	}
	if (d->releasing && vmb_guest_channel_gone(&d->channel)) {
		d->has_gone = true;
		return true;
	}
	return false;
}

static bool wants_open(const struct vmb_user_device *d)
{
	if (d->primary && (!d->primary->ready || !wants_open(d->primary)))
		return false;
	return (d->want_open || d->primary) && !d->refused && !d->channel.rescinded &&
	       !d->guest->want_unload;
}

/* What the host says. */

static void event_nothing(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
}

static void event_connected(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	vmb_guest_connect_request_offers(&g->connect);
}

static void event_refused(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	g->refused = true;
}

static const struct vmb_guid scsi = VMB_GUID_SCSI, ide = VMB_GUID_IDE, video = VMB_GUID_VIDEO;

static bool find_video(struct vmb_user_device *d, const struct vmb_guid *type_id)
{
	d->video.used = vmb_guid_equal(type_id, &video);
	return d->video.used;
}

/* False: nothing that this guest knows, or nowhere. */
static bool find_pci(struct vmb_user_device *d, const struct vmb_guid *type_id)
{
	static const struct vmb_guid pci = VMB_GUID_PCI;

	d->pci.used = vmb_guid_equal(type_id, &pci);
	return d->pci.used;
}

static bool find_address(struct vmb_user_guest *g, struct vmb_user_device *d,
			 const struct vmb_msg_offer *offer)
{
	if (vmb_guid_equal(&offer->type_id, &ide))
		return !vmb_guest_storage_ide_address(&offer->instance_id, &d->address);
	return vmb_guid_equal(&offer->type_id, &scsi) ||
	       vmb_user_service_init(&d->service, &offer->type_id) ||
	       vmb_user_balloon_init(&d->balloon, g->memory, &offer->type_id) ||
	       vmb_user_input_init(&d->input, &offer->type_id) || find_video(d, &offer->type_id) ||
	       find_pci(d, &offer->type_id) || vmb_user_socket_init(&d->socket, offer);
}

/* A connection is opened if it was asked for, or somebody listens. */
static void find_dial(struct vmb_user_device *d, struct vmb_guest_dial *dial)
{
	const struct vmb_guest_socket *about = &d->socket.about;

	if (dial)
		VMB_CONTAINER_OF(dial, struct vmb_user_dial, dial)->device = d;
	d->want_open = d->socket.used &&
		       (about->from_host ?
				d->guest->listens && d->guest->listen_port == about->port :
				dial != NULL);
}

static void event_dial_refused(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	VMB_CONTAINER_OF(event->dial, struct vmb_user_dial, dial)->refused = true;
}

static bool is_primary_of(const struct vmb_user_device *d, const struct vmb_msg_offer *offer)
{
	return !d->primary && !d->has_gone &&
	       vmb_guid_equal(&d->channel.offer.type_id, &offer->type_id) &&
	       vmb_guid_equal(&d->channel.offer.instance_id, &offer->instance_id);
}

/* False: a sub-channel that nobody asked for. */
static bool find_primary(struct vmb_user_guest *g, struct vmb_user_device *d,
			 const struct vmb_msg_offer *offer)
{
	struct vmb_user_device *at = g->devices;

	if (!offer->sub_channel_index)
		return true;
	while (at && !is_primary_of(at, offer))
		at = at->next;
	d->primary = at;
	return at && offer->sub_channel_index < g->config.queue_count;
}

static void event_offer(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	struct vmb_user_device *d = calloc(1, sizeof(*d));

	if (!d || !find_address(g, d, &event->offer) || !find_primary(g, d, &event->offer) ||
	    vmb_guest_channel_add(&g->connect, &d->channel, &event->offer)) {
		free(d);
		return;
	}
	d->guest = g;
	find_dial(d, event->dial);
	pthread_mutex_init(&d->rx_lock, NULL);
	pthread_mutex_init(&d->tx_lock, NULL);
	d->next = g->devices;
	g->devices = d;
}

static struct vmb_user_device *device_of(struct vmb_guest_channel *channel)
{
	return VMB_CONTAINER_OF(channel, struct vmb_user_device, channel);
}

static void event_result(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	if (event->status)
		device_of(event->channel)->refused = true;
}

static void event_torndown(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	memset(event->gpadl, 0, sizeof(*event->gpadl));
}

static void event_unloaded(struct vmb_user_guest *g, const struct vmb_guest_event *event)
{
	struct vmb_user_device *d;

	for (d = g->devices; d; d = d->next) {
		if (!d->has_gone)
			vmb_guest_channel_remove(&d->channel);
		d->has_gone = true;
	}
	g->unloaded = true;
}

static bool take_message(struct vmb_user_guest *g)
{
	static void (*const handlers[])(struct vmb_user_guest *, const struct vmb_guest_event *) = {
		[VMB_GUEST_EVENT_NOTHING] = event_nothing,
		[VMB_GUEST_EVENT_CONNECTED] = event_connected,
		[VMB_GUEST_EVENT_REFUSED] = event_refused,
		[VMB_GUEST_EVENT_OFFER] = event_offer,
		[VMB_GUEST_EVENT_OFFERS_DELIVERED] = event_nothing,
		[VMB_GUEST_EVENT_RESCIND] = event_nothing,
		[VMB_GUEST_EVENT_OPEN_RESULT] = event_result,
		[VMB_GUEST_EVENT_GPADL_CREATED] = event_result,
		[VMB_GUEST_EVENT_GPADL_TORNDOWN] = event_torndown,
		[VMB_GUEST_EVENT_MODIFY_RESULT] = event_nothing,
		[VMB_GUEST_EVENT_UNLOADED] = event_unloaded,
		[VMB_GUEST_EVENT_DIAL_REFUSED] = event_dial_refused,
	};
	uint8_t payload[VMB_SYNIC_PAYLOAD_MAX];
	struct vmb_guest_event event;
	uint32_t len = vmb_user_synic_take(g->synic, payload);

	if (!len)
		return false;
	vmb_user_machine_eom(g->machine);
	if (!vmb_guest_connect_input(&g->connect, payload, len, &event))
		handlers[event.type](g, &event);
	return true;
}

static bool post_messages(struct vmb_user_guest *g)
{
	const struct vmb_guest_connect_output *out;
	uint32_t status;
	bool any = false;

	while ((out = vmb_guest_connect_output(&g->connect))) {
		status = vmb_user_machine_post(g->machine, out->connection_id, out->payload,
					       out->len);
		if (!status && vmb_guest_connect_output_done(&g->connect))
			event_unloaded(g, NULL);
		else if (status &&
			 vmb_guest_connect_output_refused(&g->connect, status) == VMB_EAGAIN)
			return any;
		any = true;
	}
	return any;
}

static bool all_closed(const struct vmb_user_guest *g)
{
	const struct vmb_user_device *d;

	for (d = g->devices; d; d = d->next)
		if (!d->has_gone && (d->pfns || d->channel.state != VMB_GUEST_CHANNEL_CLOSED))
			return false;
	return true;
}

/* The data path. */

void vmb_user_guest_signal(struct vmb_user_device *d)
{
	struct vmb_user_guest *g = d->guest;

	if (vmb_guest_doorbell_ring(&d->channel, g->interrupt_page, g->monitor_page,
				    g->config.tolerant))
		vmb_user_machine_signal(g->machine, d->channel.connection_id);
}

static void end_request(struct vmb_user_device *d, const struct vmb_guest_storage_event *event)
{
	struct vmb_user_request *request = event->cookie;

	pthread_mutex_lock(&d->tx_lock);
	d->free_slots[d->free_count++] = event->slot;
	pthread_mutex_unlock(&d->tx_lock);
	if (!request)
		return;
	if (request->ended) {
		request->ended(request, event);
		return;
	}
	pthread_mutex_lock(&d->guest->lock);
	request->result = *event;
	request->has_ended = true;
	pthread_cond_broadcast(&d->guest->changed);
	pthread_mutex_unlock(&d->guest->lock);
}

static void set_ready(struct vmb_user_device *d, bool ready)
{
	pthread_mutex_lock(&d->guest->lock);
	d->ready = ready;
	d->refused = d->refused || !ready;
	pthread_mutex_unlock(&d->guest->lock);
}

static void storage_event(struct vmb_user_device *d, const struct vmb_guest_storage_event *event)
{
	switch (event->type) {
	case VMB_GUEST_STORAGE_IS_READY: set_ready(d, true); break;
	case VMB_GUEST_STORAGE_HAS_FAILED: set_ready(d, false); break;
	case VMB_GUEST_STORAGE_COMPLETED: end_request(d, event); break;
	case VMB_GUEST_STORAGE_RESCAN:
		__atomic_fetch_add(&d->rescan_count, 1, __ATOMIC_SEQ_CST);
		break;
	case VMB_GUEST_STORAGE_RESET_DONE: d->reset_count++; break;
	default: break;
	}
}

/* A service's answer goes out at once. */
static void serve(struct vmb_user_device *d, const struct vmb_ring_received *received)
{
	uint8_t packet[VMB_IC_PACKET_LEN_MAX];
	uint32_t len = received->payload_len < sizeof(packet) ? received->payload_len :
								sizeof(packet);
	struct vmb_ring_part part = { packet, 0 };
	const struct vmb_ring_packet answer = { .type = VMB_PKT_INBAND,
						.transaction_id = received->transaction_id,
						.payload = &part,
						.payload_count = 1 };

	vmb_ring_copy(&d->rx, received, 16 + received->header_len, packet, len);
	part.len = vmb_user_service_take(&d->service, packet, len);
	if (part.len && !vmb_ring_write(&d->tx, &answer) && vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
}

static bool read_service(struct vmb_user_device *d)
{
	struct vmb_ring_received received;

	if (vmb_ring_read(&d->rx, &received))
		return false;
	serve(d, &received);
	vmb_ring_next(&d->rx, &received);
	return true;
}

/* What has a core of its own, whose packets are in-band ones: dynamic memory and video. */

static void take(struct vmb_user_device *d, const uint8_t *packet, uint32_t len)
{
	int step;

	if (d->balloon.used) {
		vmb_user_balloon_take(&d->balloon, packet, len);
		return;
	}
	step = vmb_guest_video_input(&d->video.core, packet, len);
	if (step >= 0)
		d->video.steps[step]++;
}

static bool read_core(struct vmb_user_device *d)
{
	uint8_t packet[VMB_BALLOON_LEN_MAX];
	struct vmb_ring_received received;
	uint32_t len;

	if (vmb_ring_read(&d->rx, &received))
		return false;
	len = received.payload_len < sizeof(packet) ? received.payload_len : sizeof(packet);
	vmb_ring_copy(&d->rx, &received, 16 + received.header_len, packet, len);
	vmb_ring_next(&d->rx, &received);
	take(d, packet, len);
	return true;
}

static bool read_pci(struct vmb_user_device *d)
{
	struct vmb_ring_received received;

	if (vmb_ring_read(&d->rx, &received))
		return false;
	d->pci.type = received.type;
	d->pci.transaction_id = received.transaction_id;
	d->pci.len = received.payload_len < sizeof(d->pci.bytes) ? received.payload_len :
								   sizeof(d->pci.bytes);
	vmb_ring_copy(&d->rx, &received, 16 + received.header_len, d->pci.bytes, d->pci.len);
	vmb_ring_next(&d->rx, &received);
	__atomic_fetch_add(&d->pci.count, 1, __ATOMIC_RELEASE);
	return true;
}

static const void *next_output(struct vmb_user_device *d, uint32_t *len)
{
	if (d->balloon.used)
		return vmb_user_balloon_output(&d->balloon, len);
	return vmb_guest_video_output(&d->video.core, len);
}

static int send_output(struct vmb_user_device *d, struct vmb_ring_packet *packet,
		       struct vmb_ring_part *part)
{
	uint8_t spoiled[VMB_VIDEO_PACKET_LEN_MAX + 64] = { 0 };
	int error;

	if (d->video.spoil) {
		memcpy(spoiled, part->base, part->len);
		part->base = spoiled;
		d->video.spoil(spoiled, &part->len);
	}
	error = vmb_ring_write(&d->tx, packet);
	if (!error && d->balloon.used)
		vmb_user_balloon_sent(&d->balloon);
	else if (!error)
		vmb_guest_video_output_done(&d->video.core);
	return error;
}

static void write_core(struct vmb_user_device *d)
{
	struct vmb_ring_part part = { 0 };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .payload = &part,
					  .payload_count = 1 };

	while (d->open && (part.base = next_output(d, &part.len))) {
		if (!send_output(d, &packet, &part))
			continue;
		if (vmb_ring_commit(&d->tx))
			vmb_user_guest_signal(d);
		if (vmb_ring_wait_room(&d->tx, vmb_ring_packet_len(0, part.len)))
			break;
	}
	if (vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
}

static bool read_input(struct vmb_user_device *d)
{
	uint8_t packet[VMB_MOUSE_PACKET_LEN_MAX];
	struct vmb_ring_received received;
	uint32_t len;

	if (vmb_ring_read(&d->rx, &received))
		return false;
	len = received.payload_len < sizeof(packet) ? received.payload_len : sizeof(packet);
	vmb_ring_copy(&d->rx, &received, 16 + received.header_len, packet, len);
	vmb_ring_next(&d->rx, &received);
	if (received.type == VMB_PKT_COMPLETION)
		d->input.completions += received.transaction_id == d->input.transaction_id;
	else
		vmb_user_input_take(&d->input, packet, len);
	return true;
}

/* The host takes what is sent at once, or it does not matter any more. */
static void write_input(struct vmb_user_device *d)
{
	struct vmb_ring_part part = { 0 };
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &part,
					  .payload_count = 1 };

	while (d->open && (part.base = vmb_user_input_output(&d->input, &part.len))) {
		packet.transaction_id = ++d->input.transaction_id;
		if (vmb_ring_write(&d->tx, &packet))
			break;
		vmb_user_input_sent(&d->input);
	}
	if (vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
}

void vmb_user_guest_say(struct vmb_user_device *d)
{
	pthread_mutex_lock(&d->rx_lock);
	write_core(d);
	pthread_mutex_unlock(&d->rx_lock);
}

static bool read_packet(struct vmb_user_device *d)
{
	struct vmb_guest_storage_event event;
	struct vmb_ring_received received;
	uint8_t payload[128];
	uint32_t len;

	if (d->socket.used)
		return vmb_user_socket_read(d);
	if (d->service.used)
		return read_service(d);
	if (d->balloon.used || d->video.used)
		return read_core(d);
	if (d->input.used)
		return read_input(d);
	if (d->pci.used)
		return read_pci(d);
	if (vmb_ring_read(&d->rx, &received))
		return false;
	len = received.payload_len < sizeof(payload) ? received.payload_len : sizeof(payload);
	vmb_ring_copy(&d->rx, &received, 16 + received.header_len, payload, len);
	vmb_ring_next(&d->rx, &received);
	if (vmb_guest_storage_input(&d->storage, received.type, received.transaction_id, payload,
				    len, &event))
		d->refused_packets++;
	else
		storage_event(d, &event);
	return true;
}

static void write_control(struct vmb_user_device *d)
{
	const struct vmb_guest_storage_output *out;
	struct vmb_ring_part payload;
	struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .payload = &payload,
					  .payload_count = 1 };

	pthread_mutex_lock(&d->tx_lock);
	while ((out = vmb_guest_storage_output(&d->storage))) {
		packet.transaction_id = out->transaction_id;
		payload = (struct vmb_ring_part){ &out->packet, out->payload_len };
		if (vmb_ring_write(&d->tx, &packet))
			break;
		vmb_guest_storage_output_done(&d->storage);
	}
	if (vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
	pthread_mutex_unlock(&d->tx_lock);
}

/* Bounded, so that a host that keeps the ring filled cannot keep this thread busy for ever. */
static bool look(struct vmb_user_device *d)
{
	uint32_t budget = PACKETS_PER_LOOK;
	bool again;

	if (d->service.deaf || d->socket.deaf || d->input.deaf)
		return false;
	vmb_ring_mask(&d->rx);
	while (budget && read_packet(d))
		budget--;
	if (vmb_ring_release(&d->rx))
		vmb_user_guest_signal(d);
	again = vmb_ring_unmask(&d->rx);
	if (d->balloon.used || d->video.used)
		write_core(d);
	if (d->input.used)
		write_input(d);
	if (!is_plain(d))
		write_control(d);
	if (d->looked)
		d->looked(d, d->looked_arg);
	return again || budget < PACKETS_PER_LOOK;
}

static void join(struct vmb_user_device *d)
{
	vmb_guest_storage_join(&d->storage, &d->primary->storage);
	set_ready(d, true);
}

/* Opens and closes the data path as the channel opens and closes. True: something changed. */
static bool switch_data(struct vmb_user_device *d)
{
	struct vmb_user_guest *g = d->guest;
	bool should, change;

	pthread_mutex_lock(&g->lock);
	should = d->channel.state == VMB_GUEST_CHANNEL_OPEN && wants_open(d);
	pthread_mutex_unlock(&g->lock);
	change = should != d->open;
	if (!change)
		return false;
	pthread_mutex_lock(&d->tx_lock);
	pthread_mutex_lock(&g->lock);
	d->open = should;
	if (is_plain(d))
		d->ready = should;
	pthread_mutex_unlock(&g->lock);
	pthread_mutex_unlock(&d->tx_lock);
	if (should && d->primary)
		join(d);
	else if (should && !is_plain(d))
		vmb_guest_storage_start(&d->storage);
	d->interrupted = true;
	return true;
}

/*
 * Ends requests that the host will never end. Called only when the host can no longer touch the
 * memory.
 */
static bool fail_requests(struct vmb_user_device *d)
{
	struct vmb_guest_storage_event event;
	bool any = false;

	/* The slots are the primary's, which ends them all. */
	while (!d->primary && d->storage.slots &&
	       !vmb_guest_storage_fail_next(&d->storage, &event)) {
		end_request(d, &event);
		any = true;
	}
	pthread_mutex_lock(&d->guest->lock);
	d->ready = false;
	pthread_mutex_unlock(&d->guest->lock);
	return any;
}

static bool step_data(struct vmb_user_device *d)
{
	bool any, closed;

	pthread_mutex_lock(&d->rx_lock);
	any = switch_data(d);
	if (d->open && vmb_user_synic_take_flag(d->guest->synic, d->channel.relid))
		any = d->interrupted = true;
	if (d->open && d->interrupted) {
		d->interrupted = look(d);
		any |= d->interrupted;
	}
	pthread_mutex_lock(&d->guest->lock);
	closed = !d->open && !d->pfns;
	pthread_mutex_unlock(&d->guest->lock);
	if (closed)
		any |= fail_requests(d);
	pthread_mutex_unlock(&d->rx_lock);
	return any;
}

static bool has_open_subs(const struct vmb_user_device *primary)
{
	const struct vmb_user_device *d;

	for (d = primary->guest->devices; d; d = d->next)
		if (d->primary == primary && !d->has_gone && d->pfns)
			return true;
	return false;
}

/* A device is closed only when its data path is, and a primary after its sub-channels. */
static bool advance(struct vmb_user_device *d)
{
	if (d->has_gone)
		return false;
	if (wants_open(d))
		return advance_open(d);
	return !d->open && !has_open_subs(d) && advance_close(d);
}

/* The connection is below 2.4, so flag 0 says that bits are set in the interrupt page. */
static bool take_shared_flag(struct vmb_user_guest *g)
{
	struct vmb_user_device *d;
	uint32_t word, bits, relid;

	if (g->connect.version >= VMB_VERSION_2_4 || !vmb_user_synic_take_flag(g->synic, 0))
		return false;
	for (word = 0; word < VMB_INTERRUPT_WORD_COUNT; word++)
		for (bits = vmb_guest_doorbell_take(g->interrupt_page, word); bits;
		     bits &= bits - 1) {
			relid = word * 32 + (uint32_t)__builtin_ctz(bits);
			for (d = g->devices; d && (d->has_gone || d->channel.relid != relid);)
				d = d->next;
			if (d)
				d->interrupted = true;
			else
				g->stray_count++;
		}
	return true;
}

static bool step_control(struct vmb_user_guest *g)
{
	struct vmb_user_device *d;
	bool any = take_message(g);

	any |= take_shared_flag(g);
	for (d = g->devices; d; d = d->next)
		any |= advance(d);
	if (g->want_unload && all_closed(g) && !vmb_guest_connect_unload(&g->connect))
		any = true;
	any |= post_messages(g);
	return any;
}

bool vmb_user_guest_step(struct vmb_user_guest *g)
{
	struct vmb_user_device *d, *first;
	bool any;

	pthread_mutex_lock(&g->lock);
	any = step_control(g);
	first = g->devices;
	pthread_mutex_unlock(&g->lock);
	for (d = first; d; d = d->next)
		any |= step_data(d);
	if (any) {
		pthread_mutex_lock(&g->lock);
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->lock);
	}
	return any;
}

/* Sending. */

int vmb_user_storage_write(struct vmb_ring_writer *tx, const struct vmb_guest_storage_packet *p,
			   const uint64_t *pfns, uint32_t *packet_len)
{
	struct vmb_ring_part header[2] = { { &p->gpa, sizeof(p->gpa) },
					   { pfns, p->pfn_count * sizeof(*pfns) } };
	struct vmb_ring_part payload = { &p->payload, p->payload_len };
	struct vmb_ring_packet packet = { .type = p->type,
					  .flags = VMB_PKT_FLAG_COMPLETION_REQUESTED,
					  .transaction_id = p->transaction_id,
					  .header = header,
					  .header_count = p->type == VMB_PKT_GPA_DIRECT ? 2 : 0,
					  .payload = &payload,
					  .payload_count = 1 };
	uint32_t header_len = packet.header_count ? header[0].len + header[1].len : 0;

	*packet_len = vmb_ring_packet_len(header_len, payload.len);
	return vmb_ring_write(tx, &packet);
}

static int write_request(struct vmb_user_device *d, const struct vmb_guest_storage_packet *p,
			 const uint64_t *pfns)
{
	uint32_t len;
	int err = vmb_user_storage_write(&d->tx, p, pfns, &len);

	while (err == VMB_EAGAIN) {
		if (vmb_ring_commit(&d->tx))
			vmb_user_guest_signal(d);
		err = vmb_ring_wait_room(&d->tx, len);
		if (err)
			return err;
		err = vmb_user_storage_write(&d->tx, p, pfns, &len);
	}
	return err;
}

static int submit_locked(struct vmb_user_device *d, struct vmb_user_request *request)
{
	struct vmb_guest_storage_packet packet;
	uint32_t slot;
	int err;

	if (!d->open)
		return VMB_ENODEV;
	if (!d->free_count)
		return VMB_EAGAIN;
	slot = d->free_slots[d->free_count - 1];
	request->storage.cookie = request;
	request->has_ended = false;
	request->slot = slot;
	err = vmb_guest_storage_submit(&d->storage, slot, &request->storage, &packet);
	if (err)
		return err;
	d->free_count--;
	err = write_request(d, &packet, request->pfns);
	if (!err)
		return 0;
	if (!vmb_guest_storage_cancel(&d->storage, slot))
		return 0; /* a host that guessed the id has ended it already */
	d->free_slots[d->free_count++] = slot;
	return err;
}

int vmb_user_guest_submit(struct vmb_user_device *d, struct vmb_user_request *request, bool more)
{
	int err;

	pthread_mutex_lock(&d->tx_lock);
	err = submit_locked(d, request);
	if (!more && vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
	pthread_mutex_unlock(&d->tx_lock);
	return err;
}

void vmb_user_guest_publish(struct vmb_user_device *d)
{
	pthread_mutex_lock(&d->tx_lock);
	if (d->open && vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
	pthread_mutex_unlock(&d->tx_lock);
}

/* Waiting. */

static bool step_both(struct vmb_user_guest *g)
{
	bool any = vmb_user_machine_step(g->machine);

	return vmb_user_guest_step(g) || any;
}

static int wait_stepping(struct vmb_user_guest *g, bool (*done)(void *arg), void *arg)
{
	while (!done(arg))
		if (!step_both(g))
			return done(arg) ? 0 : VMB_EAGAIN;
	return 0;
}

int vmb_user_guest_wait(struct vmb_user_guest *g, bool (*done)(void *arg), void *arg)
{
	struct timespec until;
	int err = 0;

	if (!g->threaded)
		return wait_stepping(g, done, arg);
	vmb_user_synic_kick(g->synic->guest_fd);
	pthread_mutex_lock(&g->lock);
	while (!done(arg) && !err) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += VMB_USER_WAIT_SECONDS;
		err = pthread_cond_timedwait(&g->changed, &g->lock, &until);
	}
	pthread_mutex_unlock(&g->lock);
	return err ? VMB_EAGAIN : 0;
}

static bool is_connected(void *arg)
{
	struct vmb_user_guest *g = arg;

	return g->refused || g->connect.offers_delivered;
}

int vmb_user_guest_start(struct vmb_user_guest *g)
{
	int err;

	pthread_mutex_lock(&g->lock);
	g->refused = g->unloaded = g->want_unload = false;
	err = vmb_guest_connect_start(&g->connect);
	pthread_mutex_unlock(&g->lock);
	if (!err)
		err = vmb_user_guest_wait(g, is_connected, g);
	return err ? err : g->refused ? VMB_EIO : 0;
}

static bool is_open(void *arg)
{
	struct vmb_user_device *d = arg;

	return d->ready || d->refused || d->channel.rescinded || d->has_gone;
}

int vmb_user_guest_open(struct vmb_user_guest *g, struct vmb_user_device *d)
{
	int err;

	pthread_mutex_lock(&g->lock);
	d->want_open = true;
	d->refused = false;
	pthread_mutex_unlock(&g->lock);
	err = vmb_user_guest_wait(g, is_open, d);
	if (err)
		return err;
	if (d->channel.rescinded || d->has_gone)
		return VMB_ENODEV;
	return d->refused ? VMB_EIO : 0;
}

static bool is_closed(void *arg)
{
	struct vmb_user_device *d = arg;

	return d->has_gone || (!d->open && !d->pfns && !d->ready);
}

int vmb_user_guest_close(struct vmb_user_guest *g, struct vmb_user_device *d)
{
	pthread_mutex_lock(&g->lock);
	d->want_open = false;
	pthread_mutex_unlock(&g->lock);
	return vmb_user_guest_wait(g, is_closed, d);
}

static bool is_unloaded(void *arg)
{
	return ((struct vmb_user_guest *)arg)->unloaded;
}

int vmb_user_guest_unload(struct vmb_user_guest *g)
{
	pthread_mutex_lock(&g->lock);
	g->want_unload = true;
	pthread_mutex_unlock(&g->lock);
	return vmb_user_guest_wait(g, is_unloaded, g);
}

struct vmb_user_device *vmb_user_guest_device(struct vmb_user_guest *g)
{
	struct vmb_user_device *d;

	pthread_mutex_lock(&g->lock);
	for (d = g->devices; d && (d->has_gone || d->channel.rescinded || d->primary); d = d->next)
		;
	pthread_mutex_unlock(&g->lock);
	return d;
}

static struct vmb_user_device *find_queue(struct vmb_user_device *primary, uint32_t index)
{
	struct vmb_user_device *d = primary->guest->devices;

	if (!index)
		return primary;
	while (d && (d->primary != primary || d->has_gone || d->channel.rescinded || !d->ready ||
		     d->channel.offer.sub_channel_index != index))
		d = d->next;
	return d;
}

struct vmb_user_device *vmb_user_guest_queue(struct vmb_user_guest *g, struct vmb_user_device *d,
					     uint32_t index)
{
	struct vmb_user_device *found;

	pthread_mutex_lock(&g->lock);
	found = find_queue(d, index);
	pthread_mutex_unlock(&g->lock);
	return found;
}

struct queues {
	struct vmb_user_device *primary;
	uint32_t count;
};

static bool queues_came(void *arg)
{
	const struct queues *wanted = arg;
	uint32_t i;

	for (i = 0; i < wanted->count; i++)
		if (!find_queue(wanted->primary, i))
			return false;
	return true;
}

int vmb_user_guest_queues(struct vmb_user_guest *g, struct vmb_user_device *d, uint32_t count)
{
	struct queues wanted = { d, count };

	return vmb_user_guest_wait(g, queues_came, &wanted);
}

struct vmb_user_device *vmb_user_guest_ide(struct vmb_user_guest *g, uint8_t path_id,
					   uint8_t target_id)
{
	struct vmb_user_device *d;

	pthread_mutex_lock(&g->lock);
	for (d = g->devices; d; d = d->next)
		if (!d->has_gone && !d->channel.rescinded &&
		    vmb_guid_equal(&d->channel.offer.type_id, &ide) &&
		    d->address.path_id == path_id && d->address.target_id == target_id)
			break;
	pthread_mutex_unlock(&g->lock);
	return d;
}

struct vmb_user_device *vmb_user_guest_service(struct vmb_user_guest *g, enum vmb_ic_type type)
{
	struct vmb_user_device *d;

	pthread_mutex_lock(&g->lock);
	for (d = g->devices; d; d = d->next)
		if (!d->has_gone && !d->channel.rescinded && d->service.used &&
		    d->service.ic.type == type)
			break;
	pthread_mutex_unlock(&g->lock);
	return d;
}

/* The newest device of this type, or NULL. */
static struct vmb_user_device *find_type(struct vmb_user_guest *g, struct vmb_guid type_id)
{
	struct vmb_user_device *d;

	pthread_mutex_lock(&g->lock);
	for (d = g->devices; d; d = d->next)
		if (!d->has_gone && !d->channel.rescinded &&
		    vmb_guid_equal(&d->channel.offer.type_id, &type_id))
			break;
	pthread_mutex_unlock(&g->lock);
	return d;
}

struct vmb_user_device *vmb_user_guest_balloon(struct vmb_user_guest *g)
{
	return find_type(g, (struct vmb_guid)VMB_GUID_BALLOON);
}

struct vmb_user_device *vmb_user_guest_video(struct vmb_user_guest *g)
{
	return find_type(g, (struct vmb_guid)VMB_GUID_VIDEO);
}

struct vmb_user_device *vmb_user_guest_pci(struct vmb_user_guest *g)
{
	return find_type(g, (struct vmb_guid)VMB_GUID_PCI);
}

int vmb_user_guest_packet(struct vmb_user_device *d, const struct vmb_ring_packet *packet)
{
	int error;

	pthread_mutex_lock(&d->tx_lock);
	error = d->open ? vmb_ring_write(&d->tx, packet) : VMB_ENODEV;
	if (!error && vmb_ring_commit(&d->tx))
		vmb_user_guest_signal(d);
	pthread_mutex_unlock(&d->tx_lock);
	return error;
}

struct vmb_user_device *vmb_user_guest_keyboard(struct vmb_user_guest *g)
{
	return find_type(g, (struct vmb_guid)VMB_GUID_KEYBOARD);
}

struct vmb_user_device *vmb_user_guest_mouse(struct vmb_user_guest *g)
{
	return find_type(g, (struct vmb_guid)VMB_GUID_MOUSE);
}

int vmb_user_guest_report_memory(struct vmb_user_device *d, const struct vmb_balloon_status *status)
{
	int error = vmb_guest_balloon_report(&d->balloon.core, status);

	if (!error)
		write_core(d);
	return error;
}

static bool has_ended(void *arg)
{
	return ((struct vmb_user_request *)arg)->has_ended;
}

int vmb_user_guest_execute(struct vmb_user_device *d, struct vmb_user_request *request)
{
	int err = vmb_user_guest_submit(d, request, false);

	if (err)
		return err;
	err = vmb_user_guest_wait(d->guest, has_ended, request);
	if (err && !vmb_guest_storage_abandon(&d->storage, request->slot))
		err = vmb_user_guest_wait(d->guest, has_ended, request); /* ended just now */
	return err;
}

static void init_pages(struct vmb_user_guest *g, struct vmb_guest_connect_config *connect)
{
	uint64_t pfns[VMB_USER_FIXED_COUNT];
	uint32_t i;

	for (i = 0; i < VMB_USER_FIXED_COUNT; i++) {
		pfns[i] = vmb_user_memory_fixed(g->memory, i);
		memset(vmb_user_memory_page(g->memory, pfns[i]), 0, VMB_PAGE_LEN);
	}
	connect->interrupt_page_gpa = pfns[0] << VMB_PAGE_SHIFT;
	connect->monitor_gpa[0] = pfns[1] << VMB_PAGE_SHIFT;
	connect->monitor_gpa[1] = pfns[2] << VMB_PAGE_SHIFT;
	g->interrupt_page = vmb_user_memory_page(g->memory, pfns[0]);
	g->monitor_page = vmb_user_memory_page(g->memory, pfns[2]);
}

int vmb_user_guest_init(struct vmb_user_guest *g, struct vmb_user_machine *machine,
			const struct vmb_user_guest_config *config)
{
	struct vmb_guest_connect_config connect = { .version_min = config->version_min,
						    .version_max = config->version_max };

	memset(g, 0, sizeof(*g));
	g->memory = &machine->memory;
	g->synic = &machine->synic;
	g->machine = machine;
	g->config = *config;
	if (!g->config.ring_pages)
		g->config.ring_pages = RING_PAGES_DEFAULT;
	if (!g->config.queue_count)
		g->config.queue_count = 1;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	init_pages(g, &connect);
	return vmb_guest_connect_init(&g->connect, &connect);
}

void vmb_user_guest_destroy(struct vmb_user_guest *g)
{
	struct vmb_user_device *d;

	while ((d = g->devices)) {
		g->devices = d->next;
		free_rings(d);
		free(d->socket.got);
		pthread_mutex_destroy(&d->rx_lock);
		pthread_mutex_destroy(&d->tx_lock);
		free(d);
	}
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}
