// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The storage device: moves packets between a channel's rings, the SCSI target and the disks. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/channel.h"
#include "devices/report.h"
#include "devices/storage.h"

#define PHYSICAL_LEN	4096u
#define ROOM_POLL_NS	1000000
#define MEASURE_NS	1000000000u
#define READ_BUDGET	64u /* packets; then the step checks whether the channel must close */
#define PAYLOAD_LEN_MAX 128u /* longer than any packet of the protocol */
#define HEADER_AT	sizeof(struct vmb_pkt_desc)
#define RANGE_AT	(HEADER_AT + sizeof(struct vmb_pkt_gpa_direct))
#define PFNS_AT		(RANGE_AT + sizeof(struct vmb_gpa_range))

/* What the bus wants of the device: bits of storage->orders. */
#define ORDER_OPEN	1u
#define ORDER_CLOSE	2u

/* Completions that are not a request's. */
static char bell_rang, wake_rang, second_passed;

/* Any GUIDs will do, if they are the same in every start of the machine. */
static const struct vmb_guid scsi_id =
	VMB_GUID(0x6f70656e, 0x766d, 0x4275, 0xb3, 0x00, 0x73, 0x63, 0x73, 0x69, 0x30, 0x00);
static const struct vmb_guid ide_id =
	VMB_GUID(0x6f70656e, 0x766d, 0x4275, 0xb3, 0x00, 0x69, 0x64, 0x65, 0x00, 0x30, 0x00);

/* Requests */

static void release_request(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	request->next = s->free;
	s->free = request;
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
static bool copy_range(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request,
		       const struct vmb_ring_received *received,
		       struct vmb_host_storage_packet *packet)
{
	const struct vmb_ring_reader *rx = &s->channel.rx;
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
	packet->pfn_count = resolve(s->channel.bus->memory, request, &packet->range, pfns, count);
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

static void queue_answer(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	request->next = NULL;
	*s->answers_end = request;
	s->answers_end = &request->next;
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

static void finish(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request);

/* Faults */

static void hold(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	request->reset_count = request->io.task.unit->reset_count;
	request->next = s->held;
	s->held = request;
}

/* Ends the held requests of units that were reset, before the reset is answered. */
static void end_held(struct vmb_dev_storage *s)
{
	struct vmb_dev_storage_request **at = &s->held, *request;

	while ((request = *at)) {
		if (request->io.task.unit->reset_count == request->reset_count) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		vmb_host_storage_done(&s->host, &request->io, VMB_HOST_SCSI_ABORTED);
		queue_answer(s, request);
	}
}

/*
 * An IDE unit goes with its channel, on which nothing is answered any more; a SCSI one goes alone.
 */
static void take_away(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	if (s->host.config.ide) {
		s->broken = true;
		vmb_dev_bus_rescind(&s->channel);
		return;
	}
	vmb_host_storage_detach(&s->host, request->io.task.lun);
	vmb_host_storage_done(&s->host, &request->io, VMB_HOST_SCSI_GONE);
	queue_answer(s, request);
}

/* What a backend says about a request that it had. */
static void take_step(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request,
		      enum vmb_dev_disk_step step)
{
	if (step == VMB_DEV_DISK_WAIT)
		return;
	s->busy_count--;
	if (step == VMB_DEV_DISK_DONE)
		finish(s, request);
	else if (step == VMB_DEV_DISK_HELD)
		hold(s, request);
	else if (step == VMB_DEV_DISK_GONE)
		take_away(s, request);
}

static void begin_operation(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	struct vmb_host_scsi_task *task = &request->io.task;
	struct vmb_dev_disk *disk = task->unit->backend;
	bool moves = task->op == VMB_HOST_SCSI_READ || task->op == VMB_HOST_SCSI_WRITE;

	request->disk.task = task;
	if (moves && task->len > request->transfer_len) {
		request->disk.error = VMB_HOST_SCSI_IO_ERROR;
		finish(s, request);
		return;
	}
	if (moves)
		cut_iov(&request->disk, task->len);
	s->busy_count++;
	take_step(s, request, disk->ops->begin(disk, &request->disk, &s->engine));
}

/* Goes on with a request until it waits for its backend or for room in the ring. */
static void advance(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request, int step)
{
	struct vmb_host_scsi_task *task = &request->io.task;

	if (step == VMB_HOST_STORAGE_WANT_DATA) {
		copy_pages(&request->disk, task->data, task->want_len, false);
		step = vmb_host_storage_data(&s->host, &request->io);
	}
	if (step < 0)
		s->broken = true;
	if (step == VMB_HOST_STORAGE_DO) {
		begin_operation(s, request);
	} else if (step == VMB_HOST_STORAGE_REPLY) {
		copy_pages(&request->disk, task->data, task->data_len, true);
		queue_answer(s, request);
	} else {
		release_request(s, request);
	}
}

static void finish(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	struct vmb_host_scsi_task *task = &request->io.task;

	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_READ)
		s->read_len += task->len;
	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_WRITE)
		s->written_len += task->len;
	if (request->disk.error == VMB_HOST_SCSI_OK && task->op == VMB_HOST_SCSI_FLUSH)
		s->flushes++;
	vmb_host_storage_done(&s->host, &request->io, request->disk.error);
	queue_answer(s, request);
}

/* The rings */

static void take_packet(struct vmb_dev_storage *s, const struct vmb_ring_received *received)
{
	struct vmb_dev_storage_request *request = s->free;
	struct vmb_host_storage_packet packet = {
		.type = received->type,
		.flags = received->flags,
		.transaction_id = received->transaction_id,
		.payload_len = received->payload_len,
	};
	uint8_t payload[PAYLOAD_LEN_MAX] = { 0 };
	int step;

	s->packets_in++;
	packet.payload = payload;
	request->disk.iov_count = 0;
	request->transfer_len = 0;
	if (received->payload_len > sizeof(payload) ||
	    !vmb_ring_copy(&s->channel.rx, received, HEADER_AT + received->header_len, payload,
			   received->payload_len) ||
	    (received->type == VMB_PKT_GPA_DIRECT && !copy_range(s, request, received, &packet))) {
		s->broken = true;
		return;
	}
	s->free = request->next;
	step = vmb_host_storage_input(&s->host, &request->io, &packet);
	end_held(s);
	advance(s, request, step);
	if (s->host.version)
		s->version = s->host.version;
}

/*
 * Reads until the ring is empty, the budget is used up, or all requests are under way; in the last
 * two cases the ring stays masked and s->more or s->starved says why.
 */
static void read_ring(struct vmb_dev_storage *s)
{
	struct vmb_ring_reader *rx = &s->channel.rx;
	struct vmb_ring_received received;
	uint32_t budget = READ_BUDGET;
	int error;

	do {
		vmb_ring_mask(rx);
		error = VMB_EAGAIN;
		while (budget && s->free && !s->broken && !(error = vmb_ring_read(rx, &received))) {
			budget--;
			take_packet(s, &received);
			vmb_ring_next(rx, &received);
		}
		if (error == VMB_EPROTO)
			s->broken = true;
		if (vmb_ring_release(rx))
			vmb_dev_bus_signal(&s->channel);
		s->starved = !s->broken && !s->free;
		s->more = !s->broken && !s->starved && !budget;
	} while (!s->broken && !s->starved && !s->more && vmb_ring_unmask(rx));
}

static int write_packet(struct vmb_dev_storage *s, uint16_t type, uint64_t id, const void *payload,
			uint32_t len)
{
	const struct vmb_ring_part part = { payload, len };
	const struct vmb_ring_packet packet = {
		.type = type, .transaction_id = id, .payload = &part, .payload_count = 1
	};
	int error = vmb_dev_channel_write(&s->channel, &packet, vmb_ring_packet_len(0, len));

	if (!error)
		s->packets_out++;
	if (error && error != VMB_EAGAIN)
		s->broken = true;
	return error;
}

/*
 * Answers leave in the order in which they became ready. Without room the guest signals when there
 * is some.
 */
static void write_ring(struct vmb_dev_storage *s)
{
	struct vmb_dev_storage_request *request;
	struct vmb_stor_packet event;
	uint32_t len;

	while ((request = s->answers) &&
	       !write_packet(s, VMB_PKT_COMPLETION, request->io.transaction_id, &request->io.reply,
			     request->io.reply_len)) {
		s->answers = request->next;
		if (!s->answers)
			s->answers_end = &s->answers;
		release_request(s, request);
	}
	if (!s->answers && vmb_host_storage_event(&s->host, &event, &len) &&
	    !write_packet(s, VMB_PKT_INBAND, 0, &event, len))
		vmb_host_storage_event_done(&s->host);
	if (vmb_ring_commit(&s->channel.tx))
		vmb_dev_bus_signal(&s->channel);
}

/* Time */

static void measure(struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		struct vmb_dev_disk *disk = &s->disks[lun];

		if (!disk->ops || !vmb_dev_disk_resized(disk))
			continue;
		s->units[lun].block_count = disk->len / disk->block_len;
		vmb_host_storage_resized(&s->host, lun);
	}
}

static bool any_grows(const struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops && s->disks[lun].ops->measure)
			return true;
	return false;
}

/* Opening and closing: the bus orders, the device carries it out when it is stepped. */

static void order(struct vmb_dev_channel *channel, uint32_t what)
{
	struct vmb_dev_storage *s = channel->device;

	__atomic_fetch_or(&s->orders, what, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&s->worker);
}

static int start(struct vmb_dev_channel *channel)
{
	order(channel, ORDER_OPEN);
	return 0;
}

static void stop(struct vmb_dev_channel *channel)
{
	order(channel, ORDER_CLOSE);
}

static void released(struct vmb_dev_channel *channel)
{
	struct vmb_dev_storage *s = channel->device;

	__atomic_store_n(&s->released, true, __ATOMIC_RELEASE);
}

static const struct vmb_dev_channel_ops channel_ops = { .start = start,
							.stop = stop,
							.released = released };

static void begin_open(struct vmb_dev_storage *s)
{
	s->broken = s->starved = false;
	s->more = true; /* the guest may have filled the ring before it opened the channel */
	s->busy_count = 0;
	s->free = s->held = s->answers = NULL;
	s->answers_end = &s->answers;
	for (uint32_t i = 0; i < VMB_DEV_STORAGE_REQUEST_COUNT; i++)
		release_request(s, &s->requests[i]);
	vmb_host_storage_reset(&s->host);
	s->state = VMB_DEV_STORAGE_OPEN;
}

/* Requests under way are waited for, but not answered, so they may be cancelled. */
static void begin_close(struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_disk_cancel(&s->disks[lun]);
	s->state = VMB_DEV_STORAGE_CLOSING;
}

static void take_orders(struct vmb_dev_storage *s)
{
	uint32_t orders = __atomic_exchange_n(&s->orders, 0, __ATOMIC_SEQ_CST);

	if (orders & ORDER_CLOSE)
		begin_close(s);
	else if (orders & ORDER_OPEN)
		begin_open(s);
}

/* The guest may open the channel again from within: that is another order. */
static bool finish_close(struct vmb_dev_storage *s)
{
	if (s->busy_count && !s->engine_failed)
		return false;
	s->busy_count = 0;
	s->state = VMB_DEV_STORAGE_CLOSED;
	vmb_dev_bus_stopped(&s->channel);
	return true;
}

/* The device's step */

static void take_completion(struct vmb_dev_storage *s, void *what, int result)
{
	struct vmb_dev_storage_request *request = VMB_CONTAINER_OF(
		(struct vmb_dev_disk_request *)what, struct vmb_dev_storage_request, disk);
	struct vmb_dev_disk *disk = request->io.task.unit->backend;

	take_step(s, request, disk->ops->resume(disk, &request->disk, &s->engine, result));
}

/* Once the worker runs: its descriptors are there. */
static void begin_watching(struct vmb_dev_storage *s)
{
	if (s->watching)
		return;
	s->watching = true;
	vmb_dev_disk_engine_watch(&s->engine, s->channel.bell.fd, &bell_rang);
	vmb_dev_disk_engine_watch(&s->engine, s->worker.wake, &wake_rang);
	if (any_grows(s))
		vmb_dev_disk_engine_timer(&s->engine, MEASURE_NS, &second_passed);
}

static void take_event(struct vmb_dev_storage *s, void *what, int result)
{
	if (what == &bell_rang) {
		vmb_dev_bell_heard(&s->channel.bell);
		vmb_dev_disk_engine_watch(&s->engine, s->channel.bell.fd, what);
	} else if (what == &wake_rang) {
		vmb_dev_event_clear(s->worker.wake);
		vmb_dev_disk_engine_watch(&s->engine, s->worker.wake, what);
	} else if (what == &second_passed) {
		if (s->state == VMB_DEV_STORAGE_OPEN)
			measure(s);
		vmb_dev_disk_engine_timer(&s->engine, MEASURE_NS, what);
	} else {
		take_completion(s, what, result);
	}
}

/* True: something has happened. */
static bool take_events(struct vmb_dev_storage *s)
{
	bool any = false;
	void *what;
	int result;

	while (s->has_engine && vmb_dev_disk_engine_take(&s->engine, &what, &result)) {
		take_event(s, what, result);
		any = true;
	}
	return any;
}

/*
 * The ring is looked at only when there is a reason to: the bell, or what was left of the last
 * look.
 */
static void serve_rings(struct vmb_dev_storage *s)
{
	bool rang = vmb_dev_bell_take(&s->channel.bell);
	uint64_t packets_in = s->packets_in;

	if (rang)
		s->doorbells++;
	if (!s->broken && (rang || s->more || (s->starved && s->free)))
		read_ring(s);
	vmb_dev_worker_found(&s->worker, s->packets_in - packets_in);
	write_ring(s);
}

static bool step(void *state)
{
	struct vmb_dev_storage *s = state;
	bool any = take_events(s);

	/* After the events: they clear the wake, and an order that comes later brings another. */
	take_orders(s);
	if (s->state == VMB_DEV_STORAGE_CLOSING)
		return finish_close(s) || any;
	if (s->state != VMB_DEV_STORAGE_OPEN)
		return false;
	serve_rings(s);
	/* A backend that does not wait frees requests at once: then the ring is read on. */
	return s->more || (s->starved && s->free && !s->broken);
}

/* Waiting */

/* A guest that never promised to signal when its ring has room again is looked at now and then. */
static uint64_t wait_ns(const struct vmb_dev_storage *s)
{
	if (s->state != VMB_DEV_STORAGE_OPEN || !s->answers ||
	    vmb_ring_peer_signals_room(&s->channel.rx))
		return UINT64_MAX;
	return ROOM_POLL_NS;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_storage *s = state;
	struct pollfd wake = { .fd = s->worker.wake, .events = POLLIN };
	int error;

	if (s->engine_failed) {
		if (poll(&wake, 1, -1) > 0)
			vmb_dev_event_clear(s->worker.wake);
		return;
	}
	begin_watching(s);
	error = vmb_dev_disk_engine_wait(&s->engine, more ? 0 : wait_ns(s));
	if (!error)
		return;
	vmb_dev_report("%s: %s", s->name, strerror(-error));
	s->engine_failed = s->broken = true;
	s->channel.bus->machine->ops->fail(s->channel.bus->machine);
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step, .wait = wait };

/* Life */

/*
 * A unit's id and serial number are the same in every start of the machine, and differ from every
 * other unit's.
 */
static void fill_identity(const struct vmb_dev_storage *s, struct vmb_host_scsi_lun *unit,
			  const struct vmb_dev_disk_option *option, uint32_t lun)
{
	memcpy(unit->guid, s->unit_id.bytes, sizeof(unit->guid));
	unit->guid[sizeof(unit->guid) - 1] ^= lun;
	if (option->serial)
		snprintf(unit->serial, sizeof(unit->serial), "%s", option->serial);
	else if (s->host.config.ide)
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%s", s->name);
	else
		snprintf(unit->serial, sizeof(unit->serial), "openvmbus-%02u", lun);
}

static void fill_unit(const struct vmb_dev_storage *s, struct vmb_host_scsi_lun *unit,
		      struct vmb_dev_disk *disk, uint32_t lun)
{
	bool dvd = disk->option->dvd;

	unit->kind = dvd ? VMB_HOST_SCSI_DVD : VMB_HOST_SCSI_DISK;
	unit->read_only = disk->read_only;
	unit->write_cache = !disk->read_only;
	unit->can_unmap = unit->zero_after_unmap = disk->can_unmap;
	unit->block_len = disk->block_len;
	unit->physical_block_len = disk->block_len;
	if (!dvd && disk->len % PHYSICAL_LEN == 0)
		unit->physical_block_len = PHYSICAL_LEN;
	unit->block_count = disk->len / disk->block_len;
	unit->backend = disk;
	fill_identity(s, unit, disk->option, lun);
}

static void name_scsi(struct vmb_dev_storage *s, const struct vmb_guid *instance_id)
{
	snprintf(s->name, sizeof(s->name), "storage");
	s->type_id = (struct vmb_guid)VMB_GUID_SCSI;
	s->instance_id = s->unit_id = instance_id ? *instance_id : scsi_id;
}

static void name_ide(struct vmb_dev_storage *s, uint32_t place)
{
	uint8_t channel = VMB_DEV_IDE_CHANNEL(place), unit = VMB_DEV_IDE_UNIT(place);

	snprintf(s->name, sizeof(s->name), "ide%u:%u", channel, unit);
	s->type_id = (struct vmb_guid)VMB_GUID_IDE;
	vmb_host_storage_ide_offer(channel, unit, &s->instance_id, &s->user);
	s->unit_id = ide_id;
	s->unit_id.bytes[sizeof(s->unit_id.bytes) - 1] ^= place;
}

static int init(struct vmb_dev_storage *s, const struct vmb_dev_storage_config *config)
{
	const struct vmb_host_storage_config host = {
		.version_max = config->version_max,
		.max_transfer_len = VMB_DEV_DISK_TRANSFER_MAX,
		.ide = config->ide,
		.path_id = config->ide ? VMB_DEV_IDE_CHANNEL(config->place) : 0,
		.target_id = config->ide ? VMB_DEV_IDE_UNIT(config->place) : 0,
	};
	int error = 0;

	vmb_host_storage_init(&s->host, &host);
	vmb_dev_worker_init(&s->worker, &worker_ops, s);
	if (config->ide)
		name_ide(s, config->place);
	else
		name_scsi(s, config->instance_id);
	if (config->unit_id)
		s->unit_id = *config->unit_id;
	s->requests = calloc(VMB_DEV_STORAGE_REQUEST_COUNT, sizeof(*s->requests));
	if (!s->requests) {
		vmb_dev_report("%s: %s", s->name, strerror(ENOMEM));
		return -ENOMEM;
	}
	for (uint32_t lun = 0; lun < config->disk_count && !error; lun++)
		if (config->disks[lun].path)
			error = vmb_dev_disk_open(&s->disks[lun], &config->disks[lun]);
	return error;
}

static int prepare(void *state)
{
	struct vmb_dev_storage *s = state;

	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->disks[lun].ops)
			continue;
		if (vmb_dev_disk_prepare(&s->disks[lun]))
			return -EINVAL;
		fill_unit(s, &s->units[lun], &s->disks[lun], lun);
	}
	return 0;
}

/* The worker waits in one place, for bell, wake and completed disk operations alike. */
static int start_worker(struct vmb_dev_storage *s)
{
	int error = vmb_dev_disk_engine_open(&s->engine, false);

	if (error) {
		vmb_dev_report("%s: %s", s->name, strerror(-error));
		return error;
	}
	s->has_engine = true;
	s->engine_failed = false;
	s->watching = false;
	error = vmb_dev_worker_start(&s->worker);
	if (error)
		vmb_dev_report("%s: no thread: %s", s->name, strerror(-error));
	return error;
}

static void fill_channel(struct vmb_dev_storage *s)
{
	memset(&s->channel, 0, sizeof(s->channel));
	s->channel.ops = &channel_ops;
	s->channel.device = s;
	s->channel.host.type_id = s->type_id;
	s->channel.host.instance_id = s->instance_id;
	s->channel.host.flags = VMB_OFFER_FLAG_ENUMERATE;
	memcpy(s->channel.host.user, &s->user, sizeof(s->user));
}

static void detach(void *state)
{
	struct vmb_dev_storage *s = state;

	vmb_dev_worker_stop(&s->worker);
	if (s->has_engine)
		vmb_dev_disk_engine_close(&s->engine);
	s->has_engine = false;
	vmb_dev_bus_detach(&s->channel);
}

/* Whether whoever steps the device can serve its disks; else one line says which not. */
static bool serves_without_engine(const struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->disks[lun].ops || !vmb_dev_disk_needs_engine(&s->disks[lun]))
			continue;
		vmb_dev_report("%s: '%s' needs a thread; a machine that is stepped has ram: and "
			       "null: only",
			       s->name, s->disks[lun].option->path);
		return false;
	}
	return true;
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_storage *s = state;
	int error;

	if (bus->config.stepped && !serves_without_engine(s))
		return -EINVAL;
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops)
			vmb_host_storage_attach(&s->host, lun, &s->units[lun]);
	fill_channel(s);
	s->state = VMB_DEV_STORAGE_CLOSED;
	s->orders = 0;
	s->released = false;
	error = vmb_dev_bus_attach(bus, &s->channel);
	if (!error && !bus->config.stepped)
		error = start_worker(s);
	return error;
}

static void report(const void *state)
{
	const struct vmb_dev_storage *s = state;
	const struct vmb_host_storage_counters *n = &s->host.counters;

	vmb_dev_report("stats: %s: %" PRIu64 " requests, %" PRIu64 " refused, %" PRIu64
		       " broken; %" PRIu64 " bytes read, %" PRIu64 " written, %" PRIu64
		       " flushes; %" PRIu64 " doorbells, %" PRIu64 " signals",
		       s->name, n->requests, n->refused, n->broken, s->read_len, s->written_len,
		       s->flushes, s->doorbells, s->channel.signals);
}

static void leave(void *state)
{
	struct vmb_dev_storage *s = state;

	detach(s);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_disk_leave(&s->disks[lun]);
}

static void shut(void *state)
{
	struct vmb_dev_storage *s = state;

	leave(s);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_disk_close(&s->disks[lun]);
	free(s->requests);
	free(s);
}

const struct vmb_dev_device_ops vmb_dev_storage_ops = { .prepare = prepare,
							.attach = attach,
							.detach = detach,
							.step = step,
							.report = report,
							.leave = leave,
							.close = shut };

int vmb_dev_storage_open(struct vmb_dev_device *device, const struct vmb_dev_storage_config *config)
{
	struct vmb_dev_storage *s = calloc(1, sizeof(*s));
	int error;

	if (!s) {
		vmb_dev_report("storage: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	error = init(s, config);
	if (error)
		shut(s);
	else
		*device = (struct vmb_dev_device){ &vmb_dev_storage_ops, s };
	return error;
}
