/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>

#include "ports/user/host.h"

#define PACKETS_PER_STEP 64u
#define RING_PAGES_MIN	 2u
#define HEADER_PFN_MAX	 VMB_USER_SPAN_MAX

static struct vmb_user_channel *channel_of(struct vmb_host_channel *host)
{
	return VMB_CONTAINER_OF(host, struct vmb_user_channel, host);
}

/* Messages */

static void send_messages(struct vmb_user_host *h)
{
	const struct vmb_host_server_output *out;
	uint8_t payload[VMB_MSG_LEN_MAX];
	uint32_t len;

	while ((out = vmb_host_server_output(&h->server))) {
		len = out->len;
		memcpy(payload, out->payload, len);
		if (!vmb_user_synic_is_free(h->synic))
			return;
		if (!h->hooks.message || h->hooks.message(h->hooks.arg, payload, &len))
			vmb_user_synic_post(h->synic, payload, len);
		vmb_host_server_output_done(&h->server);
	}
}

/* Channels */

static int map_rings(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	uint32_t upstream = ch->host.downstream_page, downstream;
	struct vmb_host_gpadl_range range;
	uint8_t *at;

	if (!vmb_host_gpadl_range(ch->host.ring, 0, &range) || range.byte_offset ||
	    upstream < RING_PAGES_MIN || upstream >= range.pfn_count ||
	    range.pfn_count - upstream < RING_PAGES_MIN)
		return VMB_EINVAL;
	downstream = range.pfn_count - upstream;
	ch->page_count = range.pfn_count;
	ch->pages = vmb_user_memory_map(h->memory, range.pfns, range.pfn_count);
	at = ch->pages;
	if (!at)
		return VMB_ENOMEM;
	if (vmb_ring_reader_init(&ch->rx, at, at + VMB_PAGE_LEN, (upstream - 1) * VMB_PAGE_LEN,
				 false))
		return VMB_EPROTO;
	at += upstream * VMB_PAGE_LEN;
	return vmb_ring_writer_init(&ch->tx, at, at + VMB_PAGE_LEN, (downstream - 1) * VMB_PAGE_LEN,
				    false);
}

static void unmap_rings(struct vmb_user_channel *ch)
{
	if (ch->pages)
		vmb_user_memory_unmap(ch->pages, ch->page_count);
	ch->pages = NULL;
}

static void event_open(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	struct vmb_user_channel *ch = channel_of(event->channel);
	int err = map_rings(h, ch);

	ch->broken = false;
	ch->closing = false;
	ch->reply_count = 0;
	ch->held_count = 0;
	vmb_host_storage_reset(&ch->storage);
	if (err)
		unmap_rings(ch);
	vmb_host_channel_opened(&ch->host, err ? VMB_STATUS_FAILURE : VMB_STATUS_SUCCESS);
	vmb_user_synic_kick(h->synic->host_fd); /* the ring may have been filled before */
}

/* The device thread is asked to let go; it answers from its own step. */
static void event_close(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	channel_of(event->channel)->closing = true;
	vmb_user_synic_kick(h->synic->host_fd);
}

static void event_modify(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	(void)h;
	vmb_host_channel_modified(event->channel, VMB_STATUS_SUCCESS);
}

static void event_gpadl_wanted(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	struct vmb_host_gpadl *gpadl = calloc(1, sizeof(*gpadl));
	uint64_t *ranges = gpadl ? malloc(event->ranges_len) : NULL;

	if (ranges) {
		gpadl->port = ranges;
		h->gpadl_count++;
		vmb_host_gpadl_supply(&h->server, gpadl, ranges);
	} else {
		free(gpadl);
		vmb_host_gpadl_supply(&h->server, NULL, NULL);
	}
}

static void event_gpadl_released(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	h->gpadl_count--;
	free(event->gpadl->port);
	free(event->gpadl);
}

static void event_released(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	struct vmb_user_channel *ch = channel_of(event->channel);
	struct vmb_user_channel **at;

	for (at = &h->channels; *at != ch; at = &(*at)->next)
		;
	*at = ch->next;
	unmap_rings(ch);
	free(ch);
}

static void event_contact(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	(void)event;
	h->contact_count++;
}

static void event_unloaded(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	(void)event;
	h->unload_count++;
}

static void settle(struct vmb_user_host *h)
{
	static void (*const handlers[])(struct vmb_user_host *, const struct vmb_host_event *) = {
		[VMB_HOST_EVENT_CONTACT] = event_contact,
		[VMB_HOST_EVENT_OPEN] = event_open,
		[VMB_HOST_EVENT_CLOSE] = event_close,
		[VMB_HOST_EVENT_MODIFY] = event_modify,
		[VMB_HOST_EVENT_GPADL_WANTED] = event_gpadl_wanted,
		[VMB_HOST_EVENT_GPADL_RELEASED] = event_gpadl_released,
		[VMB_HOST_EVENT_RELEASED] = event_released,
		[VMB_HOST_EVENT_UNLOADED] = event_unloaded,
	};
	struct vmb_host_event event;

	while (vmb_host_server_event(&h->server, &event))
		handlers[event.type](h, &event);
	send_messages(h);
}

/* What the device sends */

static int write_reply(struct vmb_user_channel *ch, const struct vmb_user_reply *reply)
{
	struct vmb_ring_part payload = { &reply->packet, reply->len };
	struct vmb_ring_packet packet = { .type = reply->type,
					  .transaction_id = reply->transaction_id,
					  .payload = &payload,
					  .payload_count = 1 };

	return vmb_ring_write(&ch->tx, &packet);
}

static void commit(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	if (vmb_ring_commit(&ch->tx))
		vmb_user_synic_interrupt(h->synic, ch->host.relid);
}

/* Sends what waits. False: there is no room for it, and the guest has been asked to tell. */
static bool send_replies(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	uint32_t len;
	int err;

	while (ch->reply_count) {
		len = vmb_ring_packet_len(0, ch->replies[0].len);
		err = write_reply(ch, &ch->replies[0]);
		if (err == VMB_EAGAIN) {
			commit(h, ch);
			err = vmb_ring_wait_room(&ch->tx, len);
			if (err == VMB_EAGAIN)
				return false;
			if (!err)
				continue;
		}
		ch->broken = ch->broken || err;
		ch->replies[0] = ch->replies[1];
		ch->reply_count--;
	}
	return true;
}

static void hold(struct vmb_user_channel *ch, const struct vmb_user_reply *reply)
{
	if (ch->held_count < VMB_USER_HELD_MAX)
		ch->held[ch->held_count++] = *reply;
}

static void complete(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	struct vmb_user_reply reply = { .type = VMB_PKT_COMPLETION,
					.transaction_id = h->io.transaction_id,
					.len = h->io.reply_len,
					.packet = h->io.reply };
	enum vmb_user_fate fate = VMB_USER_SEND;

	if (h->hooks.completion)
		fate = h->hooks.completion(h->hooks.arg, &reply.transaction_id, &reply.packet,
					   &reply.len);
	if (fate == VMB_USER_HOLD)
		hold(ch, &reply);
	if (fate == VMB_USER_SEND || fate == VMB_USER_DUPLICATE)
		ch->replies[ch->reply_count++] = reply;
	if (fate == VMB_USER_DUPLICATE)
		ch->replies[ch->reply_count++] = reply;
}

/* What the guest asks */

static void copy_spans(struct vmb_user_host *h, void *bytes, uint32_t len, bool to_guest)
{
	uint8_t *at = bytes;
	uint32_t i, piece;

	for (i = 0; i < h->span_count && len; i++) {
		piece = h->spans[i].len < len ? h->spans[i].len : len;
		if (to_guest)
			memcpy(h->spans[i].base, at, piece);
		else
			memcpy(at, h->spans[i].base, piece);
		at += piece;
		len -= piece;
	}
}

static void run_backend(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	struct vmb_user_disk *disk = h->io.task.unit->backend;

	vmb_host_storage_done(&ch->storage, &h->io,
			      disk->run(disk, &h->io.task, h->spans, h->span_count));
}

static void serve_packet(struct vmb_user_host *h, struct vmb_user_channel *ch,
			 const struct vmb_host_storage_packet *packet)
{
	int step = vmb_host_storage_input(&ch->storage, &h->io, packet);

	if (step == VMB_HOST_STORAGE_WANT_DATA) {
		copy_spans(h, h->io.task.data, h->io.task.want_len, false);
		step = vmb_host_storage_data(&ch->storage, &h->io);
	}
	if (step == VMB_HOST_STORAGE_DO) {
		run_backend(h, ch);
		step = VMB_HOST_STORAGE_REPLY;
	}
	if (step == VMB_HOST_STORAGE_REPLY) {
		copy_spans(h, h->io.task.data, h->io.task.data_len, true);
		complete(h, ch);
	}
	ch->broken = ch->broken || step < 0;
	h->request_count++;
}

/* The pages that came with the packet, cut to the range; stops at the first that is not RAM. */
static void resolve_pages(struct vmb_user_host *h, struct vmb_host_storage_packet *packet,
			  const uint64_t *pfns, uint32_t pfn_count)
{
	uint32_t left = packet->range.byte_count, offset = packet->range.byte_offset, piece;
	uint8_t *page;

	for (packet->pfn_count = 0; packet->pfn_count < pfn_count; packet->pfn_count++) {
		page = vmb_user_memory_page(h->memory, pfns[packet->pfn_count]);
		if (!page || offset >= VMB_PAGE_LEN)
			return;
		piece = left < VMB_PAGE_LEN - offset ? left : VMB_PAGE_LEN - offset;
		h->spans[h->span_count++] = (struct vmb_user_span){ page + offset, piece };
		left -= piece;
		offset = 0;
	}
}

/* Copies the packet out of the ring, each byte once. */
static void copy_packet(struct vmb_user_host *h, struct vmb_user_channel *ch,
			const struct vmb_ring_received *received,
			struct vmb_host_storage_packet *packet, void *payload, uint32_t payload_len)
{
	struct {
		struct vmb_pkt_gpa_direct direct;
		struct vmb_gpa_range range;
		uint64_t pfns[HEADER_PFN_MAX];
	} header;
	uint32_t len = received->header_len < sizeof(header) ? received->header_len :
							       (uint32_t)sizeof(header);

	*packet = (struct vmb_host_storage_packet){ .type = received->type,
						    .flags = received->flags,
						    .transaction_id = received->transaction_id,
						    .payload = payload,
						    .payload_len = payload_len };
	h->span_count = 0;
	vmb_ring_copy(&ch->rx, received, 16 + received->header_len, payload, payload_len);
	if (received->type != VMB_PKT_GPA_DIRECT || len < 16)
		return;
	vmb_ring_copy(&ch->rx, received, 16, &header, len);
	packet->range_count = header.direct.range_count;
	packet->range = header.range;
	resolve_pages(h, packet, header.pfns, (len - 16) / 8);
}

static bool serve_next(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	struct vmb_host_storage_packet packet;
	struct vmb_ring_received received;
	uint8_t payload[128];
	int err = vmb_ring_read(&ch->rx, &received);

	if (err) {
		ch->broken = ch->broken || err != VMB_EAGAIN;
		return false;
	}
	copy_packet(h, ch, &received, &packet, payload,
		    received.payload_len < sizeof(payload) ? received.payload_len :
							     (uint32_t)sizeof(payload));
	vmb_ring_next(&ch->rx, &received);
	serve_packet(h, ch, &packet);
	return true;
}

static void queue_event(struct vmb_user_channel *ch)
{
	struct vmb_user_reply *reply = &ch->replies[0];

	if (ch->reply_count || !vmb_host_storage_event(&ch->storage, &reply->packet, &reply->len))
		return;
	reply->type = VMB_PKT_INBAND;
	reply->transaction_id = 0;
	ch->reply_count = 1;
}

/* One round over a channel's rings. True: it ended with work left. */
static bool serve(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	uint32_t budget = PACKETS_PER_STEP;
	bool room = true;

	vmb_ring_mask(&ch->rx);
	do {
		queue_event(ch);
		room = send_replies(h, ch);
	} while (room && budget-- && !ch->broken && serve_next(h, ch));
	commit(h, ch);
	if (vmb_ring_release(&ch->rx))
		vmb_user_synic_interrupt(h->synic, ch->host.relid);
	if (!room || ch->broken)
		return false;
	return vmb_ring_unmask(&ch->rx);
}

static void finish_close(struct vmb_user_channel *ch)
{
	unmap_rings(ch);
	ch->closing = false;
	vmb_host_channel_closed(&ch->host);
}

bool vmb_user_host_step(struct vmb_user_host *h)
{
	struct vmb_user_channel *ch, *next;
	bool again = false;

	pthread_mutex_lock(&h->lock);
	for (ch = h->channels; ch; ch = next) {
		next = ch->next;
		if (ch->closing) {
			finish_close(ch);
			again = true;
		} else if (ch->pages && !ch->broken) {
			again |= serve(h, ch);
		}
	}
	settle(h);
	pthread_mutex_unlock(&h->lock);
	return again;
}

uint32_t vmb_user_host_post(struct vmb_user_host *h, uint32_t connection_id, const void *payload,
			    uint32_t len)
{
	uint32_t status;

	pthread_mutex_lock(&h->lock);
	status = vmb_host_server_input(&h->server, connection_id, VMB_SYNIC_MESSAGE_VMBUS, payload,
				       len);
	settle(h);
	pthread_mutex_unlock(&h->lock);
	return status;
}

uint32_t vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id)
{
	(void)connection_id; /* one doorbell for all: a doorbell only means "look" */
	vmb_user_synic_signal(h->synic);
	return VMB_HV_SUCCESS;
}

void vmb_user_host_reset(struct vmb_user_host *h)
{
	pthread_mutex_lock(&h->lock);
	vmb_host_server_reset(&h->server);
	settle(h);
	pthread_mutex_unlock(&h->lock);
}

void vmb_user_host_eom(struct vmb_user_host *h)
{
	pthread_mutex_lock(&h->lock);
	send_messages(h);
	pthread_mutex_unlock(&h->lock);
}

/* Devices */

static struct vmb_user_channel *new_channel(struct vmb_user_host *h, uint8_t number)
{
	static const struct vmb_guid scsi = VMB_GUID_SCSI;
	struct vmb_host_storage_config config = { .version_max = h->config.storage_version_max,
						  .max_transfer_len = VMB_USER_TRANSFER_MAX };
	struct vmb_user_channel *ch = calloc(1, sizeof(*ch));
	uint32_t lun;

	if (!ch)
		return NULL;
	ch->host.type_id = scsi;
	ch->host.flags = VMB_OFFER_FLAG_ENUMERATE;
	memset(ch->host.instance_id.bytes, number, sizeof(ch->host.instance_id.bytes));
	vmb_host_storage_init(&ch->storage, &config);
	for (lun = 0; lun < VMB_USER_DISK_MAX; lun++)
		if (h->disks[lun])
			ch->storage.bus.luns[lun] = &h->disks[lun]->unit;
	return ch;
}

struct vmb_user_channel *vmb_user_host_offer(struct vmb_user_host *h, uint8_t number)
{
	struct vmb_user_channel *ch = new_channel(h, number);

	if (!ch)
		return NULL;
	pthread_mutex_lock(&h->lock);
	if (vmb_host_channel_offer(&h->server, &ch->host)) {
		free(ch);
		ch = NULL;
	} else {
		ch->next = h->channels;
		h->channels = ch;
		settle(h);
	}
	pthread_mutex_unlock(&h->lock);
	return ch;
}

void vmb_user_host_rescind(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	pthread_mutex_lock(&h->lock);
	vmb_host_channel_rescind(&ch->host);
	settle(h);
	pthread_mutex_unlock(&h->lock);
}

struct vmb_user_channel *vmb_user_host_first(struct vmb_user_host *h)
{
	struct vmb_user_channel *ch;

	pthread_mutex_lock(&h->lock);
	for (ch = h->channels; ch && ch->host.revoked; ch = ch->next)
		;
	pthread_mutex_unlock(&h->lock);
	return ch;
}

int vmb_user_host_inject(struct vmb_user_host *h, struct vmb_user_channel *ch,
			 const struct vmb_user_reply *packet)
{
	int err;

	pthread_mutex_lock(&h->lock);
	err = ch->pages ? write_reply(ch, packet) : VMB_ENODEV;
	if (!err)
		commit(h, ch);
	pthread_mutex_unlock(&h->lock);
	return err;
}

void vmb_user_host_unhold(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	uint32_t i, sent;

	pthread_mutex_lock(&h->lock);
	for (sent = 0; sent < ch->held_count; sent++)
		if (write_reply(ch, &ch->held[sent]))
			break;
	for (i = sent; i < ch->held_count; i++)
		ch->held[i - sent] = ch->held[i];
	ch->held_count -= sent;
	commit(h, ch);
	pthread_mutex_unlock(&h->lock);
}

int vmb_user_host_init(struct vmb_user_host *h, struct vmb_user_memory *memory,
		       struct vmb_user_synic *synic, const struct vmb_user_host_config *config)
{
	struct vmb_host_server_config server = { .version_max = config->version_max,
						 .version_min = config->version_min,
						 .vp_count = 1 };

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->memory = memory;
	h->synic = synic;
	h->config = *config;
	h->ram = (struct vmb_host_ram){ VMB_USER_FIRST_PFN, memory->page_count };
	server.ram = &h->ram;
	server.ram_count = 1;
	return vmb_host_server_init(&h->server, &server);
}

void vmb_user_host_destroy(struct vmb_user_host *h)
{
	struct vmb_user_channel *ch;

	h->hooks.message = NULL;
	vmb_user_host_reset(h);
	while (vmb_user_host_step(h))
		;
	while ((ch = h->channels)) {
		h->channels = ch->next;
		unmap_rings(ch);
		free(ch);
	}
	pthread_mutex_destroy(&h->lock);
}
