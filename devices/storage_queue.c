// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One channel of a storage controller: moves packets between its rings, the SCSI target and the
 * disks, and carries out the bus's orders. The target and the disks are the controller's, so what
 * concerns them is done under its lock; the rings and the waiting are the queue's own.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/channel.h"
#include "devices/report.h"
#include "devices/storage.h"

#define ROOM_POLL_NS	1000000
#define MEASURE_NS	1000000000u
#define READ_BUDGET	64u /* packets; then the step checks whether the channel must close */
#define PAYLOAD_LEN_MAX 128u /* longer than any packet of the protocol */
#define UNKNOWN_OPCODE	0x1Fu /* reserved */
#define HEADER_AT	sizeof(struct vmb_pkt_desc)
#define RANGE_AT	(HEADER_AT + sizeof(struct vmb_pkt_gpa_direct))
#define PFNS_AT		(RANGE_AT + sizeof(struct vmb_gpa_range))

/* What the bus wants of the queue: bits of q->orders. */
#define ORDER_OPEN	1u
#define ORDER_CLOSE	2u

/* Completions that are not a request's. */
static char bell_rang, wake_rang, second_passed;

static bool is_primary(const struct vmb_dev_storage_queue *q)
{
	return q->index == 0;
}

/* Another queue has something to do. */
static void poke(struct vmb_dev_storage_queue *q)
{
	__atomic_store_n(&q->storage->poked, true, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&q->worker);
}

/* Requests */

static void release_request(struct vmb_dev_storage_queue *q,
			    struct vmb_dev_storage_request *request)
{
	__atomic_store_n(&request->began, 0, __ATOMIC_RELAXED);
	request->next = q->free;
	q->free = request;
}

/* The coarse clock is enough for ages that matter, and costs little. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

uint64_t vmb_dev_storage_queue_oldest(const struct vmb_dev_storage_queue *q)
{
	uint64_t oldest = 0, began, now = now_ns();

	for (uint32_t i = 0; i < VMB_DEV_STORAGE_REQUEST_COUNT; i++) {
		began = __atomic_load_n(&q->requests[i].began, __ATOMIC_RELAXED);
		if (began && (!oldest || began < oldest))
			oldest = began;
	}
	if (!oldest)
		return 0;
	return now > oldest ? now - oldest : 1;
}

/*
 * The pages of a copied list, side by side where they follow each other. Returns how many are RAM.
 */
static uint32_t resolve(const struct vmb_dev_memory *m, struct vmb_dev_storage_request *request,
			const struct vmb_gpa_range *range, const uint64_t *pfns, uint32_t count)
{
	uint32_t into = range->byte_offset, left = range->byte_count, len, n;
	struct iovec *iov = request->disk.iov, *last = NULL;
	uint8_t *page;

	request->transfer_len = range->byte_count;
	for (n = 0; n < count; n++, into = 0, left -= len) {
		len = VMB_PAGE_LEN - into < left ? VMB_PAGE_LEN - into : left;
		page = vmb_dev_memory_page(m, pfns[n]);
		if (!page)
			break;
		if (last && (uint8_t *)last->iov_base + last->iov_len == page) {
			last->iov_len += len;
			continue;
		}
		last = iov++;
		last->iov_base = page + into;
		last->iov_len = len;
	}
	request->disk.iov_count = iov - request->disk.iov;
	return n;
}

/* Fills packet's range from the header that came with a GPA-direct packet. False: no such bytes. */
static bool copy_range(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
		       const struct vmb_ring_received *received,
		       struct vmb_host_storage_packet *packet)
{
	const struct vmb_ring_reader *rx = &q->channel->rx;
	uint64_t pfns[VMB_DEV_DISK_IOV_MAX], page_count;
	struct vmb_pkt_gpa_direct direct;
	uint32_t count;

	if (HEADER_AT + received->header_len < PFNS_AT ||
	    !vmb_ring_copy(rx, received, HEADER_AT, &direct, sizeof(direct)) ||
	    !vmb_ring_copy(rx, received, RANGE_AT, &packet->range, sizeof(packet->range)))
		return false;
	packet->range_count = direct.range_count;
	if (packet->range.byte_offset >= VMB_PAGE_LEN)
		return true; /* the core refuses it */
	page_count = ((uint64_t)packet->range.byte_offset + packet->range.byte_count +
		      VMB_PAGE_LEN - 1) /
		     VMB_PAGE_LEN;
	count = (HEADER_AT + received->header_len - PFNS_AT) / sizeof(pfns[0]);
	if (page_count > count || page_count > VMB_DEV_DISK_IOV_MAX)
		return true; /* the core refuses it */
	count = page_count;
	if (!vmb_ring_copy(rx, received, PFNS_AT, pfns, count * sizeof(pfns[0])))
		return false;
	packet->pfn_count = resolve(q->channel->bus->memory, request, &packet->range, pfns, count);
	return true;
}

/* Copies min(len, what there is) bytes between private memory and the guest's pages. */
static void copy_pages(struct vmb_dev_disk_request *disk, uint8_t *bytes, uint32_t len,
		       bool to_guest)
{
	uint32_t part;

	for (uint32_t i = 0; i < disk->iov_count && len; i++, bytes += part, len -= part) {
		part = disk->iov[i].iov_len < len ? disk->iov[i].iov_len : len;
		if (to_guest)
			vmb_shared_write(disk->iov[i].iov_base, bytes, part);
		else
			vmb_shared_read(bytes, disk->iov[i].iov_base, part);
	}
}

/* Recording */

/* Backends use up the list of pages, so a recorded read needs a copy. */
static void note_pages(struct vmb_dev_storage_request *request)
{
	request->noted_count = 0;
	if (!request->noted)
		request->noted = calloc(VMB_DEV_DISK_IOV_MAX, sizeof(*request->noted));
	for (uint32_t i = 0; request->noted && i < request->disk.iov_count; i++)
		request->noted[request->noted_count++] =
			(struct vmb_ring_part){ request->disk.iov[i].iov_base,
						request->disk.iov[i].iov_len };
}

static void record_pages(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
			 enum vmb_dev_trace_direction direction, uint32_t len)
{
	const struct vmb_dev_trace_data data = { .transaction_id = request->io.transaction_id };
	struct vmb_dev_trace *trace = vmb_dev_trace_of(q->channel->bus);

	if (trace)
		vmb_dev_trace_data(trace, q->channel, direction, &data, request->noted,
				   request->noted_count, len);
}

static void record(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
		   enum vmb_dev_trace_direction direction, uint32_t len)
{
	note_pages(request);
	record_pages(q, request, direction, len);
}

static bool is_recorded(const struct vmb_dev_storage_queue *q)
{
	return vmb_dev_trace_of(q->channel->bus);
}

static void queue_answer(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	request->next = NULL;
	*q->answers_end = request;
	q->answers_end = &request->next;
}

/* Leaves in iov exactly len bytes. */
static void cut_iov(struct vmb_dev_disk_request *disk, uint64_t len)
{
	uint32_t i;

	for (i = 0; i < disk->iov_count && len; i++) {
		if (disk->iov[i].iov_len > len)
			disk->iov[i].iov_len = len;
		len -= disk->iov[i].iov_len;
	}
	disk->iov_count = i;
}

static void finish(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request);

/* Faults */

static void hold(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	request->reset_count = request->io.task.unit->reset_count;
	request->next = q->held;
	q->held = request;
	q->storage->holding |= 1ull << q->index;
}

/* A held request was ended by q's step, which may be that of another queue than the request's. */
static void hand_over(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	struct vmb_dev_storage_queue *owner = request->queue;

	if (owner == q) {
		queue_answer(q, request);
		return;
	}
	request->next = owner->ended;
	__atomic_store_n(&owner->ended, request, __ATOMIC_RELEASE);
	poke(owner);
}

/* q: whose step this is; NULL: another thread. */
static void end_held_of(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_queue *owner)
{
	struct vmb_dev_storage *s = owner->storage;
	struct vmb_dev_storage_request **at = &owner->held, *request;

	while ((request = *at)) {
		if (request->io.task.unit->reset_count == request->reset_count) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		vmb_host_storage_done(&s->host, &request->io, VMB_HOST_SCSI_ABORTED);
		hand_over(q, request);
	}
	if (!owner->held)
		s->holding &= ~(1ull << owner->index);
}

/*
 * Ends the held requests of units that were reset: before the reset is answered, if both are on
 * this channel. Between two channels there is no order.
 */
static void end_held(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage *s = q->storage;

	for (uint32_t i = 0; i < s->queue_count && s->holding; i++)
		if (s->holding >> i & 1)
			end_held_of(q, &s->queues[i]);
}

void vmb_dev_storage_end_held(struct vmb_dev_storage *s)
{
	for (uint32_t i = 0; i < s->queue_count; i++)
		end_held_of(NULL, &s->queues[i]);
}

/* What another queue's step has ended for this one. */
static void take_ended(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage_request *request, *next;

	if (!__atomic_load_n(&q->ended, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&q->storage->lock);
	request = q->ended;
	q->ended = NULL;
	pthread_mutex_unlock(&q->storage->lock);
	for (; request; request = next) {
		next = request->next;
		queue_answer(q, request);
	}
}

/*
 * An IDE unit goes with its channel, on which nothing is answered any more; a SCSI one goes alone.
 */
static void take_away(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	if (q->storage->host.config.ide) {
		q->broken = q->leaving = true;
		return;
	}
	vmb_host_storage_detach(&q->storage->host, request->io.task.lun);
	vmb_host_storage_done(&q->storage->host, &request->io, VMB_HOST_SCSI_GONE);
	queue_answer(q, request);
}

/* Without the lock: the bus has one of its own. */
static void leave_if_gone(struct vmb_dev_storage_queue *q)
{
	if (!q->leaving)
		return;
	q->leaving = false;
	vmb_dev_bus_rescind(q->channel);
}

/* What a backend says about a request that it had. */
static void take_step(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
		      enum vmb_dev_disk_step step)
{
	struct vmb_dev_disk *disk = request->io.task.unit->backend;

	if (step == VMB_DEV_DISK_WAIT)
		return;
	q->busy_count--;
	disk->busy--;
	if (step == VMB_DEV_DISK_DONE)
		finish(q, request);
	else if (step == VMB_DEV_DISK_HELD)
		hold(q, request);
	else if (step == VMB_DEV_DISK_GONE)
		take_away(q, request);
}

/* Returns whether the backend is asked: a fault may fail an operation, or do half of a write. */
static bool survives(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(q->channel->bus);
	struct vmb_host_scsi_task *task = &request->io.task;
	enum vmb_dev_fault_operation what = VMB_DEV_FAULT_DO;

	request->torn = false;
	if (fault)
		what = vmb_dev_fault_operate(fault, q->channel, task);
	if (what == VMB_DEV_FAULT_TEAR && task->op == VMB_HOST_SCSI_WRITE &&
	    task->len > task->unit->block_len) {
		request->torn = true;
		task->len = task->len / task->unit->block_len / 2 * task->unit->block_len;
		cut_iov(&request->disk, task->len);
		return true;
	}
	if (what == VMB_DEV_FAULT_DO)
		return true;
	request->disk.error = VMB_HOST_SCSI_IO_ERROR;
	return false;
}

static void begin_operation(struct vmb_dev_storage_queue *q,
			    struct vmb_dev_storage_request *request)
{
	struct vmb_host_scsi_task *task = &request->io.task;
	struct vmb_dev_disk *disk = task->unit->backend;
	bool moves = task->op == VMB_HOST_SCSI_READ || task->op == VMB_HOST_SCSI_WRITE;

	request->disk.task = task;
	if (moves && task->len > request->transfer_len) {
		request->disk.error = VMB_HOST_SCSI_IO_ERROR;
		finish(q, request);
		return;
	}
	if (moves)
		cut_iov(&request->disk, task->len);
	if (!survives(q, request)) {
		finish(q, request);
		return;
	}
	if (moves && is_recorded(q))
		/* What the guest reads is there only when the request ends. */
		record(q, request, VMB_DEV_TRACE_TO_HOST,
		       task->op == VMB_HOST_SCSI_WRITE ? task->len : 0);
	q->busy_count++;
	disk->busy++;
	take_step(q, request, disk->ops->begin(disk, &request->disk, &q->engine));
}

/* Goes on with a request until it waits for its backend or for room in the ring. */
static void advance(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
		    int step)
{
	struct vmb_host_scsi_task *task = &request->io.task;

	end_held(q); /* the packet may have been a reset */
	if (step == VMB_HOST_STORAGE_WANT_DATA) {
		copy_pages(&request->disk, task->data, task->want_len, false);
		if (is_recorded(q))
			record(q, request, VMB_DEV_TRACE_TO_HOST, task->want_len);
		step = vmb_host_storage_data(&q->storage->host, &request->io);
	}
	if (step < 0)
		q->broken = true;
	if (step == VMB_HOST_STORAGE_DO) {
		begin_operation(q, request);
	} else if (step == VMB_HOST_STORAGE_REPLY) {
		copy_pages(&request->disk, task->data, task->data_len, true);
		if (is_recorded(q))
			record(q, request, VMB_DEV_TRACE_TO_GUEST, task->data_len);
		queue_answer(q, request);
	} else {
		release_request(q, request);
	}
}

static void finish(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request)
{
	struct vmb_host_scsi_task *task = &request->io.task;

	if (request->torn)
		request->disk.error = VMB_HOST_SCSI_IO_ERROR;
	request->torn = false;
	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_READ) {
		q->storage->read_len += task->len;
		if (is_recorded(q))
			record_pages(q, request, VMB_DEV_TRACE_TO_GUEST, task->len);
	}
	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_WRITE)
		q->storage->written_len += task->len;
	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_FLUSH)
		q->storage->flushes++;
	vmb_host_storage_done(&q->storage->host, &request->io, request->disk.error);
	queue_answer(q, request);
}

/* The rings */

/* Sub-channels are served once the handshake is over. */
static void settle_handshake(struct vmb_dev_storage *s)
{
	bool ready = s->host.state == VMB_HOST_STORAGE_READY;

	if (s->host.version)
		s->version = s->host.version;
	if (ready == __atomic_load_n(&s->ready, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&s->ready, ready, __ATOMIC_RELEASE);
	for (uint32_t i = 1; i < s->queue_count; i++)
		poke(&s->queues[i]);
}

static void judge(struct vmb_dev_storage_queue *q, struct vmb_dev_storage_request *request,
		  const struct vmb_host_storage_packet *packet)
{
	struct vmb_dev_storage *s = q->storage;

	pthread_mutex_lock(&s->lock);
	advance(q, request, vmb_host_storage_input(&s->host, &request->io, packet));
	settle_handshake(s);
	pthread_mutex_unlock(&s->lock);
}

/* A command that the unit shall not know gets a number that no unit knows. */
static void spoil_command(struct vmb_dev_storage_queue *q, uint8_t payload[PAYLOAD_LEN_MAX])
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(q->channel->bus);
	struct vmb_stor_packet packet;

	memcpy(&packet, payload, sizeof(packet));
	if (!fault || packet.operation != VMB_STOR_EXECUTE_SRB ||
	    vmb_dev_fault_knows(fault, q->channel, packet.u.srb.u.cdb[0]))
		return;
	packet.u.srb.u.cdb[0] = UNKNOWN_OPCODE;
	memcpy(payload, &packet, sizeof(packet));
}

static bool wants_packet(const void *state)
{
	const struct vmb_dev_storage_queue *q = state;

	return q->free && !q->broken;
}

static void take_packet(void *state, const struct vmb_ring_received *received)
{
	struct vmb_dev_storage_queue *q = state;
	struct vmb_dev_storage_request *request = q->free;
	struct vmb_host_storage_packet packet = {
		.type = received->type,
		.flags = received->flags,
		.transaction_id = received->transaction_id,
		.payload_len = received->payload_len,
		.sub_channel = !is_primary(q),
	};
	uint8_t payload[PAYLOAD_LEN_MAX] = { 0 };

	q->packets_in++;
	packet.payload = payload;
	request->disk.iov_count = 0;
	request->transfer_len = 0;
	request->noted_count = 0;
	if (received->payload_len > sizeof(payload) ||
	    !vmb_ring_copy(&q->channel->rx, received, HEADER_AT + received->header_len, payload,
			   received->payload_len) ||
	    (received->type == VMB_PKT_GPA_DIRECT && !copy_range(q, request, received, &packet))) {
		q->broken = true;
		return;
	}
	spoil_command(q, payload);
	q->free = request->next;
	__atomic_store_n(&request->began, now_ns(), __ATOMIC_RELAXED);
	judge(q, request, &packet);
	leave_if_gone(q);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

/* If all requests are under way, or the budget is used up, q->starved or q->more says so. */
static void read_ring(struct vmb_dev_storage_queue *q)
{
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(q->channel, READ_BUDGET, &reader, q);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		q->broken = true;
	q->starved = !q->broken && !q->free;
	q->more = !q->broken && !q->starved && rest == VMB_DEV_CHANNEL_MORE;
}

static int write_packet(struct vmb_dev_storage_queue *q, uint16_t type, uint64_t id,
			const void *payload, uint32_t len)
{
	const struct vmb_ring_part part = { payload, len };
	const struct vmb_ring_packet packet = {
		.type = type, .transaction_id = id, .payload = &part, .payload_count = 1
	};
	int error = vmb_dev_channel_write(q->channel, &packet, vmb_ring_packet_len(0, len));

	if (!error)
		q->packets_out++;
	if (error && error != VMB_EAGAIN)
		q->broken = true;
	return error;
}

/* News about the units are told on the primary; under the lock, so that none comes in between. */
static void write_event(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage *s = q->storage;
	struct vmb_stor_packet event;
	uint32_t len;

	pthread_mutex_lock(&s->lock);
	if (vmb_host_storage_event(&s->host, &event, &len) &&
	    !write_packet(q, VMB_PKT_INBAND, 0, &event, len))
		vmb_host_storage_event_done(&s->host);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Answers leave in the order in which they became ready. Without room the guest signals when there
 * is some.
 */
static void write_ring(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage_request *request;

	while ((request = q->answers) &&
	       !write_packet(q, VMB_PKT_COMPLETION, request->io.transaction_id, &request->io.reply,
			     request->io.reply_len)) {
		q->answers = request->next;
		if (!q->answers)
			q->answers_end = &q->answers;
		release_request(q, request);
	}
	if (is_primary(q) && !q->answers)
		write_event(q);
	if (vmb_ring_commit(&q->channel->tx))
		vmb_dev_bus_signal(q->channel);
}

/* Time */

static void measure(struct vmb_dev_storage *s)
{
	pthread_mutex_lock(&s->lock);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		struct vmb_dev_disk *disk = &s->disks[lun];

		if (!disk->ops || !vmb_dev_disk_resized(disk))
			continue;
		s->units[lun].block_count = disk->len / disk->block_len;
		vmb_host_storage_resized(&s->host, lun);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Opening and closing: the bus orders, the queue carries it out when it is stepped. */

void vmb_dev_storage_queue_open(struct vmb_dev_storage_queue *q, struct vmb_dev_channel *channel)
{
	if (!is_primary(q))
		__atomic_fetch_add(&q->storage->sub_count, 1, __ATOMIC_SEQ_CST);
	q->opening = channel;
	__atomic_fetch_or(&q->orders, ORDER_OPEN, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&q->worker);
}

void vmb_dev_storage_queue_close(struct vmb_dev_storage_queue *q)
{
	__atomic_fetch_or(&q->orders, ORDER_CLOSE, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&q->worker);
}

static void set_up(struct vmb_dev_storage_queue *q)
{
	q->broken = q->leaving = q->starved = false;
	q->more = true; /* the guest may have filled the ring before it opened the channel */
	q->busy_count = 0;
	q->free = q->answers = NULL;
	q->answers_end = &q->answers;
	for (uint32_t i = 0; i < VMB_DEV_STORAGE_REQUEST_COUNT; i++)
		release_request(q, &q->requests[i]);
	q->channel = q->opening;
}

/* What was held in the last opening is forgotten. */
static void begin_open(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage *s = q->storage;

	pthread_mutex_lock(&s->lock);
	set_up(q);
	q->held = q->ended = NULL;
	s->holding &= ~(1ull << q->index);
	if (is_primary(q)) {
		vmb_host_storage_reset(&s->host);
		__atomic_store_n(&s->ready, false, __ATOMIC_RELEASE);
		s->closing = false;
	}
	if (++s->open_count > s->open_max)
		s->open_max = s->open_count;
	pthread_mutex_unlock(&s->lock);
	q->state = VMB_DEV_STORAGE_OPEN;
}

/*
 * Requests under way are waited for, but not answered. They may be cancelled, but only when all
 * channels close: a disk does not know whose they are.
 */
static void begin_close(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage *s = q->storage;

	if (!q->channel) { /* it was never seen open */
		q->channel = q->opening;
		q->busy_count = 0;
	}
	pthread_mutex_lock(&s->lock);
	s->closing |= is_primary(q);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX && s->closing; lun++)
		vmb_dev_disk_cancel(&s->disks[lun]);
	if (q->state == VMB_DEV_STORAGE_OPEN)
		s->open_count--;
	pthread_mutex_unlock(&s->lock);
	q->state = VMB_DEV_STORAGE_CLOSING;
}

static void take_orders(struct vmb_dev_storage_queue *q)
{
	uint32_t orders = __atomic_exchange_n(&q->orders, 0, __ATOMIC_SEQ_CST);

	if (orders & ORDER_CLOSE)
		begin_close(q);
	else if (orders & ORDER_OPEN)
		begin_open(q);
}

/* The engine lets go of the channel's bell when that rings. */
static bool bell_is_watched(const struct vmb_dev_storage_queue *q)
{
	if (!q->watching_bell || q->engine_failed)
		return false;
	vmb_dev_event_ring(q->channel->bell.fd);
	return true;
}

/*
 * The primary closes after its sub-channels, so that their queues are free for those of the next
 * opening.
 */
static bool may_finish(const struct vmb_dev_storage_queue *q)
{
	if (q->busy_count && !q->engine_failed)
		return false;
	return !is_primary(q) || !__atomic_load_n(&q->storage->sub_count, __ATOMIC_SEQ_CST);
}

/*
 * The guest may open the channel again from within: that is another order. A sub-channel may be
 * gone afterwards.
 */
static bool finish_close(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_channel *channel = q->channel;

	if (!may_finish(q) || bell_is_watched(q))
		return false;
	q->busy_count = 0;
	q->signals += __atomic_load_n(&channel->signals, __ATOMIC_RELAXED);
	__atomic_store_n(&channel->signals, 0, __ATOMIC_RELAXED);
	q->channel = NULL;
	q->state = VMB_DEV_STORAGE_CLOSED;
	vmb_dev_bus_stopped(channel);
	if (is_primary(q))
		return true;
	__atomic_fetch_sub(&q->storage->sub_count, 1, __ATOMIC_SEQ_CST);
	poke(&q->storage->queues[0]);
	return true;
}

/* The queue's step */

static void take_completion(struct vmb_dev_storage_queue *q, void *what, int result)
{
	struct vmb_dev_storage_request *request = VMB_CONTAINER_OF(
		(struct vmb_dev_disk_request *)what, struct vmb_dev_storage_request, disk);
	struct vmb_dev_disk *disk = request->io.task.unit->backend;

	pthread_mutex_lock(&q->storage->lock);
	take_step(q, request, disk->ops->resume(disk, &request->disk, &q->engine, result));
	pthread_mutex_unlock(&q->storage->lock);
}

/* Once the worker runs, its descriptor is there; the bell, while the channel is open. */
static void begin_watching(struct vmb_dev_storage_queue *q)
{
	if (q->state == VMB_DEV_STORAGE_OPEN && !q->watching_bell) {
		q->watching_bell = true;
		vmb_dev_disk_engine_watch(&q->engine, q->channel->bell.fd, &bell_rang);
	}
	if (is_primary(q) && !q->timing && __atomic_load_n(&q->storage->grows, __ATOMIC_RELAXED)) {
		q->timing = true;
		vmb_dev_disk_engine_timer(&q->engine, MEASURE_NS, &second_passed);
	}
	if (q->watching)
		return;
	q->watching = true;
	vmb_dev_disk_engine_watch(&q->engine, q->worker.wake, &wake_rang);
}

static void take_event(struct vmb_dev_storage_queue *q, void *what, int result)
{
	if (what == &bell_rang) {
		vmb_dev_bell_heard(&q->channel->bell);
		q->watching_bell = false; /* until it waits again */
	} else if (what == &wake_rang) {
		vmb_dev_event_clear(q->worker.wake);
		vmb_dev_disk_engine_watch(&q->engine, q->worker.wake, what);
	} else if (what == &second_passed) {
		if (q->state == VMB_DEV_STORAGE_OPEN)
			measure(q->storage);
		vmb_dev_disk_engine_timer(&q->engine, MEASURE_NS, what);
	} else {
		take_completion(q, what, result);
	}
}

/* True: something has happened. */
static bool take_events(struct vmb_dev_storage_queue *q)
{
	bool any = false;
	void *what;
	int result;

	while (q->has_engine && vmb_dev_disk_engine_take(&q->engine, &what, &result)) {
		take_event(q, what, result);
		any = true;
	}
	return any;
}

static bool may_read(const struct vmb_dev_storage_queue *q)
{
	return !q->broken &&
	       (is_primary(q) || __atomic_load_n(&q->storage->ready, __ATOMIC_ACQUIRE));
}

/* When the answer has left, what it promises follows. */
static void offer(struct vmb_dev_storage_queue *q)
{
	struct vmb_dev_storage *s = q->storage;
	uint32_t count;

	pthread_mutex_lock(&s->lock);
	count = s->host.sub_channel_wanted;
	s->host.sub_channel_wanted = 0;
	pthread_mutex_unlock(&s->lock);
	if (count)
		vmb_dev_storage_offer(s, count);
}

/* Whether the ring is empty, and looked at for a while before this queue's thread sleeps. */
static bool polls(const struct vmb_dev_storage_queue *q)
{
	return q->storage->poll_us && q->worker.wake >= 0 && q->state == VMB_DEV_STORAGE_OPEN &&
	       !q->more && may_read(q);
}

/*
 * The ring is looked at only when there is a reason to: the bell, or what was left of the last
 * look.
 */
static void serve_rings(struct vmb_dev_storage_queue *q)
{
	uint64_t packets_in = q->packets_in;

	if (vmb_dev_channel_rang(q->channel)) {
		q->doorbells++;
		q->more = true;
	}
	if (may_read(q) && (q->more || (q->starved && q->free)))
		read_ring(q);
	vmb_dev_worker_found(&q->worker, q->packets_in - packets_in);
	if (polls(q)) /* before the answers, or the next request may ring before it is looked for */
		vmb_ring_mask(&q->channel->rx);
	take_ended(q);
	write_ring(q);
	if (is_primary(q) && q->storage->queue_count > 1 && !q->answers)
		offer(q);
}

bool vmb_dev_storage_queue_step(struct vmb_dev_storage_queue *q)
{
	bool any;

	vmb_dev_worker_heard(&q->worker);
	any = take_events(q);
	/* After the events: they clear the wake, and an order that comes later brings another. */
	take_orders(q);
	if (q->state == VMB_DEV_STORAGE_CLOSING)
		return finish_close(q) || any;
	if (q->state != VMB_DEV_STORAGE_OPEN)
		return false;
	serve_rings(q);
	/* A backend that does not wait frees requests at once: then the ring is read on. */
	return may_read(q) && (q->more || (q->starved && q->free));
}

/* Waiting */

static bool step(void *state)
{
	return vmb_dev_storage_queue_step(state);
}

/* A guest that never promised to signal when its ring has room again is looked at now and then. */
static uint64_t wait_ns(const struct vmb_dev_storage_queue *q)
{
	if (q->state != VMB_DEV_STORAGE_OPEN || !q->answers ||
	    vmb_ring_peer_signals_room(&q->channel->rx))
		return UINT64_MAX;
	return ROOM_POLL_NS;
}

/*
 * Whether the guest has asked again, so that this thread need not sleep. While a disk is at work or
 * the guest has no room the ring is not polled: only a thread that waits hears news of these.
 */
static bool guest_asks_again(struct vmb_dev_storage_queue *q)
{
	uint32_t us = q->busy_count || q->answers ? 0 : q->storage->poll_us;

	q->more = polls(q) && vmb_dev_channel_poll(q->channel, us, &q->worker);
	return q->more;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_storage_queue *q = state;
	struct pollfd wake = { .fd = q->worker.wake, .events = POLLIN };
	struct vmb_dev_machine *machine = q->storage->channel.bus->machine;
	int error;

	if (q->engine_failed) {
		if (poll(&wake, 1, -1) > 0)
			vmb_dev_event_clear(q->worker.wake);
		return;
	}
	begin_watching(q);
	if (!more && guest_asks_again(q))
		return;
	error = vmb_dev_disk_engine_wait(&q->engine, more ? 0 : wait_ns(q));
	if (!error)
		return;
	vmb_dev_report("%s: %s", q->storage->name, strerror(-error));
	q->engine_failed = q->broken = true;
	machine->ops->fail(machine);
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_STORAGE };

/* Life */

void vmb_dev_storage_queue_init(struct vmb_dev_storage_queue *q, struct vmb_dev_storage *storage,
				uint32_t index)
{
	q->storage = storage;
	q->index = index;
	vmb_dev_worker_init(&q->worker, &worker_ops, q);
	for (uint32_t i = 0; i < VMB_DEV_STORAGE_REQUEST_COUNT; i++)
		q->requests[i].queue = q;
}

/* The worker waits in one place, for bell, wake and completed disk operations alike. */
int vmb_dev_storage_queue_start(struct vmb_dev_storage_queue *q)
{
	int error = vmb_dev_disk_engine_open(&q->engine, false);

	if (error) {
		vmb_dev_report("%s: %s", q->storage->name, strerror(-error));
		return error;
	}
	q->has_engine = true;
	q->engine_failed = q->watching = q->watching_bell = q->timing = false;
	error = vmb_dev_worker_start(&q->worker);
	if (error)
		vmb_dev_report("%s: no thread: %s", q->storage->name, strerror(-error));
	return error;
}

void vmb_dev_storage_queue_start_by_hand(struct vmb_dev_storage_queue *q)
{
	vmb_dev_disk_engine_open_by_hand(&q->engine);
	q->has_engine = true;
	q->engine_failed = q->watching = q->watching_bell = q->timing = false;
}

void vmb_dev_storage_queue_stop(struct vmb_dev_storage_queue *q)
{
	vmb_dev_worker_stop(&q->worker);
	if (q->has_engine)
		vmb_dev_disk_engine_close(&q->engine);
	q->has_engine = false;
}

void vmb_dev_storage_queue_free(struct vmb_dev_storage_queue *q)
{
	for (uint32_t i = 0; q->requests && i < VMB_DEV_STORAGE_REQUEST_COUNT; i++)
		free(q->requests[i].noted);
	free(q->requests);
}
