/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>

#include "host/doorbell.h"
#include "ports/user/host.h"

#define PACKETS_PER_STEP 64u
#define MONITOR_LATENCY	 1000u /* 100 us */
#define RING_PAGES_MIN	 2u
#define HEADER_PFN_MAX	 VMB_USER_SPAN_MAX

static struct vmb_user_channel *channel_of(struct vmb_host_channel *host)
{
	return VMB_CONTAINER_OF(host, struct vmb_user_channel, host);
}

/* Interrupts and signals */

static void interrupt_guest(struct vmb_user_host *h, const struct vmb_user_channel *ch)
{
	if (h->server.version >= VMB_VERSION_2_4) {
		vmb_user_synic_interrupt(h->synic, ch->host.relid);
	} else if (h->interrupt_page) {
		vmb_host_doorbell_set(h->interrupt_page, ch->host.relid);
		vmb_user_synic_interrupt(h->synic, 0);
	}
}

static void ring_doorbells(struct vmb_user_host *h, uint32_t word, uint32_t bits)
{
	__atomic_fetch_or(&h->doorbells[word], bits, __ATOMIC_SEQ_CST);
}

/* All channels whose bits the guest has set in the interrupt page. */
static void scan_interrupt_page(struct vmb_user_host *h)
{
	void *page = __atomic_load_n(&h->interrupt_page, __ATOMIC_ACQUIRE);
	uint32_t word, bits;

	for (word = 0; page && word < VMB_INTERRUPT_WORD_COUNT; word++) {
		bits = vmb_host_doorbell_take(page, word);
		ring_doorbells(h, word, bits);
		__atomic_fetch_add(&h->shared_count, (uint64_t)__builtin_popcount(bits),
				   __ATOMIC_RELAXED);
	}
}

uint32_t vmb_user_host_signal(struct vmb_user_host *h, uint32_t connection_id)
{
	uint32_t relid = connection_id - __atomic_load_n(&h->connection_base, __ATOMIC_RELAXED);

	if (connection_id == VMB_CONNECTION_EVENT)
		scan_interrupt_page(h);
	else if (relid < VMB_CHANNEL_COUNT_MAX)
		ring_doorbells(h, relid / 32, 1u << relid % 32);
	else
		return VMB_HV_INVALID_CONNECTION_ID;
	vmb_user_synic_signal(h->synic);
	return VMB_HV_SUCCESS;
}

static bool take_doorbell(struct vmb_user_host *h, uint32_t relid)
{
	uint32_t bit = 1u << relid % 32;

	if (!(__atomic_load_n(&h->doorbells[relid / 32], __ATOMIC_SEQ_CST) & bit))
		return false;
	return __atomic_fetch_and(&h->doorbells[relid / 32], ~bit, __ATOMIC_SEQ_CST) & bit;
}

/* What the hypervisor does every 100 us. */
static bool scan_monitors(struct vmb_user_host *h)
{
	struct vmb_host_channel *ch;
	uint32_t group, bit, bits;
	bool any = false;

	for (group = 0; h->monitor_page && group < VMB_MONITOR_GROUP_COUNT; group++)
		for (bits = vmb_host_doorbell_monitor_take(h->monitor_page, group); bits;
		     bits &= bits - 1) {
			bit = (uint32_t)__builtin_ctz(bits);
			ch = vmb_host_doorbell_monitored(&h->server,
							 group * VMB_MONITOR_GROUP_BITS + bit);
			h->monitored_count++;
			if (ch)
				ring_doorbells(h, ch->relid / 32, 1u << ch->relid % 32);
			else
				h->stray_count++;
			any = true;
		}
	return any;
}

/* Signals of channels that are not there, or not open. */
static void drop_strays(struct vmb_user_host *h)
{
	uint32_t word, bits;
	struct vmb_host_channel *ch;

	for (word = 0; word < VMB_ARRAY_COUNT(h->doorbells); word++) {
		if (!__atomic_load_n(&h->doorbells[word], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&h->doorbells[word], 0, __ATOMIC_SEQ_CST);
		for (; bits; bits &= bits - 1) {
			ch = vmb_host_channel_find(&h->server,
						   word * 32 + (uint32_t)__builtin_ctz(bits));
			if (ch && channel_of(ch)->pages)
				channel_of(ch)->again = true;
			else
				h->stray_count++;
		}
	}
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
	ch->again = true; /* the ring may have been filled before */
	ch->reply_count = 0;
	ch->held_count = 0;
	vmb_host_storage_reset(&ch->storage);
	if (err)
		unmap_rings(ch);
	if (h->monitor_page)
		vmb_host_doorbell_monitor_enable(h->monitor_page, &ch->host, MONITOR_LATENCY);
	vmb_host_channel_opened(&ch->host, err ? VMB_STATUS_FAILURE : VMB_STATUS_SUCCESS);
	vmb_user_synic_kick(h->synic->host_fd);
}

/* The device thread is asked to let go; it answers from its own step. */
static void event_close(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	channel_of(event->channel)->closing = true;
	vmb_user_synic_kick(h->synic->host_fd);
}

static void event_modify(struct vmb_user_host *h, const struct vmb_host_event *event)
{
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

static void *page_at(const struct vmb_user_host *h, uint64_t gpa)
{
	return gpa ? vmb_user_memory_page(h->memory, gpa >> VMB_PAGE_SHIFT) : NULL;
}

static void set_pages(struct vmb_user_host *h)
{
	h->monitor_page = page_at(h, h->server.monitor_gpa[1]);
	if (h->monitor_page)
		vmb_host_doorbell_monitor_reset(h->monitor_page);
	__atomic_store_n(&h->interrupt_page, page_at(h, h->server.interrupt_page_gpa),
			 __ATOMIC_RELEASE);
}

static void event_contact(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	set_pages(h);
	h->contact_count++;
}

static void event_unloaded(struct vmb_user_host *h, const struct vmb_host_event *event)
{
	set_pages(h);
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
		interrupt_guest(h, ch);
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
	vmb_host_storage_event_done(&ch->storage); /* it stays among the replies until it leaves */
	reply->type = VMB_PKT_INBAND;
	reply->transaction_id = 0;
	ch->reply_count = 1;
}

/* Sends what the device has to say by itself. */
static void serve_events(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	queue_event(ch);
	send_replies(h, ch);
	commit(h, ch);
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
		interrupt_guest(h, ch);
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
	bool again;

	pthread_mutex_lock(&h->lock);
	again = scan_monitors(h);
	for (ch = h->channels; ch; ch = next) {
		next = ch->next;
		if (ch->closing) {
			finish_close(ch);
			again = true;
		} else if (ch->pages && !ch->broken) {
			if (take_doorbell(h, ch->host.relid) || ch->again)
				ch->again = serve(h, ch);
			else
				serve_events(h, ch);
			again |= ch->again;
		}
	}
	drop_strays(h);
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

static struct vmb_user_channel *new_channel(struct vmb_user_host *h,
					    struct vmb_host_storage_config config)
{
	struct vmb_user_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	config.version_max = h->config.storage_version_max;
	config.max_transfer_len = VMB_USER_TRANSFER_MAX;
	ch->host.flags = VMB_OFFER_FLAG_ENUMERATE;
	vmb_host_storage_init(&ch->storage, &config);
	return ch;
}

static struct vmb_user_channel *offer(struct vmb_user_host *h, struct vmb_user_channel *ch)
{
	pthread_mutex_lock(&h->lock);
	if (vmb_host_channel_offer(&h->server, &ch->host)) {
		free(ch);
		ch = NULL;
	} else {
		ch->next = h->channels;
		h->channels = ch;
		__atomic_store_n(&h->connection_base, ch->host.connection_id - ch->host.relid,
				 __ATOMIC_RELAXED);
		settle(h);
	}
	pthread_mutex_unlock(&h->lock);
	return ch;
}

struct vmb_user_channel *vmb_user_host_offer(struct vmb_user_host *h, uint8_t number)
{
	struct vmb_user_channel *ch = new_channel(h, (struct vmb_host_storage_config){ 0 });
	uint32_t lun;

	if (!ch)
		return NULL;
	ch->host.type_id = (struct vmb_guid)VMB_GUID_SCSI;
	memset(ch->host.instance_id.bytes, number, sizeof(ch->host.instance_id.bytes));
	for (lun = 0; lun < VMB_USER_DISK_MAX; lun++)
		if (h->disks[lun])
			ch->storage.bus.luns[lun] = &h->disks[lun]->unit;
	return offer(h, ch);
}

struct vmb_user_channel *vmb_user_host_offer_ide(struct vmb_user_host *h, uint8_t channel,
						 uint8_t unit, struct vmb_user_disk *disk)
{
	const struct vmb_host_storage_config config = { .ide = true,
							.path_id = channel,
							.target_id = unit };
	struct vmb_user_channel *ch = new_channel(h, config);
	struct vmb_stor_offer user;

	if (!ch)
		return NULL;
	ch->host.type_id = (struct vmb_guid)VMB_GUID_IDE;
	vmb_host_storage_ide_offer(channel, unit, &ch->host.instance_id, &user);
	memcpy(ch->host.user, &user, sizeof(user));
	ch->storage.bus.luns[0] = &disk->unit;
	return offer(h, ch);
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
						 .vp_count = 1,
						 .monitors = config->monitors };

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->memory = memory;
	h->synic = synic;
	h->config = *config;
	h->ram = (struct vmb_host_ram){ VMB_USER_FIRST_PFN,
					memory->page_count + VMB_USER_FIXED_COUNT };
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
