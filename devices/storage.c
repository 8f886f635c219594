// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/channel.h"
#include "vmm/machine.h"
#include "devices/report.h"
#include "devices/storage.h"

#define URING_LEN	(2 * VMB_DEV_STORAGE_REQUEST_COUNT)
#define PHYSICAL_LEN	4096u
#define ROOM_POLL_NS	1000000
#define MEASURE_S	1
#define PAYLOAD_LEN_MAX 128u /* longer than any packet of the protocol */
#define HEADER_AT	sizeof(struct vmb_pkt_desc)
#define RANGE_AT	(HEADER_AT + sizeof(struct vmb_pkt_gpa_direct))
#define PFNS_AT		(RANGE_AT + sizeof(struct vmb_gpa_range))

/* Completions that are not a request's. */
static char doorbell_rang, stop_rang, second_passed;

/* Any GUIDs will do, if they are the same in every life of the machine. */
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

/* The pages of a copied list, side by side where they follow each other. Answers how many are RAM. */
static uint32_t resolve(const struct vmb_dev_memory *m, struct vmb_dev_storage_request *request,
			const struct vmb_gpa_range *range, const uint64_t *pfns, uint32_t count)
{
	uint32_t into = range->byte_offset, left = range->byte_count, len, n;
	struct iovec *iov = request->disk.iov, *last = NULL;
	uint8_t *page;

	request->transfer_len = range->byte_count;
	for (n = 0; n < count; n++, into = 0, left -= len) {
		len = VMB_PAGE_LEN - into < left ? VMB_PAGE_LEN - into : left;
		if (pfns[n] >> (64 - VMB_PAGE_SHIFT))
			break;
		page = vmb_dev_memory_at(m, pfns[n] << VMB_PAGE_SHIFT, VMB_PAGE_LEN);
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
	packet->pfn_count =
		resolve(&s->channel.bus->machine->memory, request, &packet->range, pfns, count);
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

static bool meets(const struct vmb_dev_disk_fault *fault, const struct vmb_host_scsi_task *task)
{
	const struct vmb_dev_disk *disk = task->unit->backend;
	uint64_t first = task->offset / disk->block_len;

	return fault->planned && task->op == VMB_HOST_SCSI_READ && fault->block >= first &&
	       fault->block - first < task->len / disk->block_len;
}

static void hold(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	request->reset_count = request->io.task.unit->reset_count;
	request->next = s->held;
	s->held = request;
}

/* Ends what a reset was about, before that is answered. */
static void end_held(struct vmb_dev_storage *s)
{
	struct vmb_dev_storage_request **at = &s->held, *request;
	struct vmb_dev_disk *disk;

	while ((request = *at)) {
		if (request->io.task.unit->reset_count == request->reset_count) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		disk = request->io.task.unit->backend;
		disk->went_wrong = true;
		vmb_host_storage_done(&s->host, &request->io, VMB_HOST_SCSI_ABORTED);
		queue_answer(s, request);
	}
}

/* An IDE unit goes with its channel, on which nothing is answered any more; a SCSI one goes alone. */
static void take_away(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	if (s->host.config.ide) {
		s->broken = s->stopping = true;
		vmb_dev_bus_rescind(&s->channel);
		return;
	}
	vmb_host_storage_detach(&s->host, request->io.task.lun);
	vmb_host_storage_done(&s->host, &request->io, VMB_HOST_SCSI_GONE);
	queue_answer(s, request);
}

/* True: the request goes wrong as planned, and is dealt with. */
static bool goes_wrong(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	const struct vmb_host_scsi_task *task = &request->io.task;
	struct vmb_dev_disk *disk = task->unit->backend;

	if (!disk->went_wrong && meets(&disk->option->stuck, task)) {
		disk->went_wrong = true;
		return true;
	}
	if (!disk->went_wrong && meets(&disk->option->hold, task)) {
		hold(s, request);
		return true;
	}
	if (!meets(&disk->option->gone, task))
		return false;
	take_away(s, request);
	return true;
}

static void begin_operation(struct vmb_dev_storage *s, struct vmb_dev_storage_request *request)
{
	struct vmb_host_scsi_task *task = &request->io.task;
	struct vmb_dev_disk *disk = task->unit->backend;
	bool moves = task->op == VMB_HOST_SCSI_READ || task->op == VMB_HOST_SCSI_WRITE;

	request->disk.task = task;
	if (goes_wrong(s, request))
		return;
	s->busy_count++;
	if (moves && task->len > request->transfer_len) {
		request->disk.error = VMB_HOST_SCSI_IO_ERROR;
		finish(s, request);
		return;
	}
	if (moves)
		cut_iov(&request->disk, task->len);
	if (disk->ops->begin(disk, &request->disk, &s->uring) == VMB_DEV_DISK_DONE)
		finish(s, request);
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

	s->busy_count--;
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

/* Reads until the ring is empty or all requests are under way: true, and the ring stays masked. */
static bool read_ring(struct vmb_dev_storage *s)
{
	struct vmb_ring_reader *rx = &s->channel.rx;
	struct vmb_ring_received received;
	bool more = true;
	int error;

	while (more && !s->broken) {
		vmb_ring_mask(rx);
		error = VMB_EAGAIN;
		while (s->free && !s->broken && !(error = vmb_ring_read(rx, &received))) {
			take_packet(s, &received);
			vmb_ring_next(rx, &received);
		}
		if (error == VMB_EPROTO)
			s->broken = true;
		if (vmb_ring_release(rx))
			vmb_dev_bus_signal(&s->channel);
		if (!s->free)
			return true;
		more = vmb_ring_unmask(rx);
	}
	return false;
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

/* Answers leave in the order in which they became ready. Without room the guest signals when there is some. */
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
	if (!s->answers && vmb_host_storage_event(&s->host, &event, &len))
		write_packet(s, VMB_PKT_INBAND, 0, &event, len);
	if (vmb_ring_commit(&s->channel.tx))
		vmb_dev_bus_signal(&s->channel);
}

/* The worker */

static void watch(struct vmb_dev_storage *s, int fd, void *what)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->uring);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, what);
}

static bool any_grows(const struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops && s->disks[lun].ops->measure)
			return true;
	return false;
}

static void watch_time(struct vmb_dev_storage *s)
{
	static struct __kernel_timespec second = { .tv_sec = MEASURE_S };
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->uring);

	io_uring_prep_timeout(sqe, &second, 0, 0);
	io_uring_sqe_set_data(sqe, &second_passed);
}

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

static void clear(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

static void take_completion(struct vmb_dev_storage *s, void *what, int result)
{
	struct vmb_dev_storage_request *request;
	struct vmb_dev_disk *disk;

	if (what == &doorbell_rang) {
		s->doorbells++;
		clear(s->channel.doorbell);
		watch(s, s->channel.doorbell, &doorbell_rang);
		return;
	}
	if (what == &stop_rang) {
		s->stopping = true;
		return;
	}
	if (what == &second_passed) {
		measure(s);
		watch_time(s);
		return;
	}
	request = VMB_CONTAINER_OF((struct vmb_dev_disk_request *)what,
				   struct vmb_dev_storage_request, disk);
	disk = request->io.task.unit->backend;
	if (disk->ops->resume(disk, &request->disk, &s->uring, result) == VMB_DEV_DISK_DONE)
		finish(s, request);
}

static void take_completions(struct vmb_dev_storage *s)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&s->uring, &cqe) == 0) {
		void *what = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&s->uring, cqe);
		take_completion(s, what, result);
	}
}

/* A backend that does not wait frees requests at once: then the ring is read on. */
static void serve_rings(struct vmb_dev_storage *s)
{
	bool stalled;

	do {
		stalled = read_ring(s);
		write_ring(s);
	} while (stalled && s->free && !s->broken);
}

/* A guest that never promised to signal when its ring has room again is looked at now and then. */
static int wait_for_something(struct vmb_dev_storage *s)
{
	struct __kernel_timespec soon = { .tv_nsec = ROOM_POLL_NS };
	struct io_uring_cqe *cqe;

	if (!s->answers || vmb_ring_peer_signals_room(&s->channel.rx))
		return io_uring_submit_and_wait(&s->uring, 1);
	return io_uring_submit_and_wait_timeout(&s->uring, &cqe, 1, &soon, NULL);
}

/*
 * The guest may have filled the ring before it opened the channel, so the rings come first. What is under way when the
 * channel closes is waited for, not answered.
 */
static void *work(void *arg)
{
	struct vmb_dev_storage *s = arg;
	int error;

	watch(s, s->channel.doorbell, &doorbell_rang);
	watch(s, s->stop, &stop_rang);
	if (any_grows(s))
		watch_time(s);
	while (!s->stopping || s->busy_count) {
		if (!s->stopping)
			serve_rings(s);
		error = wait_for_something(s);
		if (error < 0 && error != -EINTR && error != -EBUSY && error != -EAGAIN &&
		    error != -ETIME) {
			vmb_dev_report("storage: io_uring: %s", strerror(-error));
			vmb_vmm_power_end(s->channel.bus->machine, VMB_VMM_FAILURE);
			break;
		}
		take_completions(s);
	}
	io_uring_queue_exit(&s->uring);
	vmb_dev_bus_stopped(&s->channel);
	return NULL;
}

/*
 * A guest that opens the channel again while it closes is heard on the old worker, as it tells the bus
 * that it stopped: it cannot wait for itself. It touches nothing of ours behind that point, and the bus
 * lives until its lock is free, so that nobody else has to wait for it either.
 */
static void join_worker(struct vmb_dev_storage *s)
{
	if (s->started && pthread_equal(s->thread, pthread_self()))
		pthread_detach(s->thread);
	else if (s->started)
		pthread_join(s->thread, NULL);
	s->started = false;
}

static int start(struct vmb_dev_channel *channel)
{
	struct vmb_dev_storage *s = channel->device;
	int error;

	join_worker(s);
	clear(s->stop);
	s->stopping = s->broken = false;
	s->busy_count = 0;
	s->free = s->held = s->answers = NULL;
	s->answers_end = &s->answers;
	for (uint32_t i = 0; i < VMB_DEV_STORAGE_REQUEST_COUNT; i++)
		release_request(s, &s->requests[i]);
	vmb_host_storage_reset(&s->host);
	error = io_uring_queue_init(URING_LEN, &s->uring, 0);
	if (error) {
		vmb_dev_report("storage: io_uring: %s; this machine must allow it",
			       strerror(-error));
		return error;
	}
	error = -pthread_create(&s->thread, NULL, work, s);
	if (error)
		io_uring_queue_exit(&s->uring);
	s->started = !error;
	return error;
}

static void stop(struct vmb_dev_channel *channel)
{
	struct vmb_dev_storage *s = channel->device;
	uint64_t one = 1;

	if (write(s->stop, &one, sizeof(one)) < 0)
		return;
}

static const struct vmb_dev_channel_ops channel_ops = { .start = start, .stop = stop };

/* A unit's id and serial number are as they were in the machine's last life, and no other unit's. */
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

static int open_controller(struct vmb_dev_storage *s, const struct vmb_vmm_options *o,
			   struct vmb_host_storage_config config)
{
	config.version_max = o->generation.storage;
	config.max_transfer_len = VMB_DEV_DISK_TRANSFER_MAX;
	memset(s, 0, sizeof(*s));
	vmb_host_storage_init(&s->host, &config);
	s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->requests = calloc(VMB_DEV_STORAGE_REQUEST_COUNT, sizeof(*s->requests));
	if (s->requests && s->stop >= 0)
		return 0;
	vmb_dev_report("storage: %s", strerror(ENOMEM));
	return -ENOMEM;
}

void vmb_dev_storage_report(const struct vmb_dev_storage *s)
{
	vmb_dev_report("stats: %s: %llu requests, %llu refused, %llu broken; %llu bytes read, "
		       "%llu written, %llu flushes; %llu doorbells, %llu signals",
		       s->name, (unsigned long long)s->host.counters.requests,
		       (unsigned long long)s->host.counters.refused,
		       (unsigned long long)s->host.counters.broken, (unsigned long long)s->read_len,
		       (unsigned long long)s->written_len, (unsigned long long)s->flushes,
		       (unsigned long long)s->doorbells, (unsigned long long)s->channel.signals);
}

int vmb_dev_storage_open(struct vmb_dev_storage *s, const struct vmb_vmm_options *o)
{
	int error = open_controller(s, o, (struct vmb_host_storage_config){ 0 });

	snprintf(s->name, sizeof(s->name), "storage");
	s->type_id = (struct vmb_guid)VMB_GUID_SCSI;
	s->instance_id = s->unit_id = scsi_id;
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX && !error; lun++)
		if (o->disks[lun].path)
			error = vmb_dev_disk_open(&s->disks[lun], &o->disks[lun]);
	return error;
}

int vmb_dev_storage_open_ide(struct vmb_dev_storage *s, const struct vmb_vmm_options *o,
			     uint32_t place)
{
	const struct vmb_host_storage_config config = { .ide = true,
							.path_id = VMB_DEV_IDE_CHANNEL(place),
							.target_id = VMB_DEV_IDE_UNIT(place) };
	int error = open_controller(s, o, config);

	s->type_id = (struct vmb_guid)VMB_GUID_IDE;
	vmb_host_storage_ide_offer(config.path_id, config.target_id, &s->instance_id, &s->user);
	s->unit_id = ide_id;
	s->unit_id.bytes[sizeof(s->unit_id.bytes) - 1] ^= place;
	snprintf(s->name, sizeof(s->name), "ide%u:%u", config.path_id, config.target_id);
	return error ? error : vmb_dev_disk_open(&s->disks[0], &o->ides[place]);
}

int vmb_dev_storage_prepare(struct vmb_dev_storage *s)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++) {
		if (!s->disks[lun].ops)
			continue;
		if (vmb_dev_disk_prepare(&s->disks[lun]))
			return -EINVAL;
		fill_unit(s, &s->units[lun], &s->disks[lun], lun);
	}
	return 0;
}

int vmb_dev_storage_attach(struct vmb_dev_storage *s, struct vmb_dev_bus *bus)
{
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		if (s->disks[lun].ops)
			vmb_host_storage_attach(&s->host, lun, &s->units[lun]);
	memset(&s->channel, 0, sizeof(s->channel));
	s->channel.ops = &channel_ops;
	s->channel.device = s;
	s->channel.host.type_id = s->type_id;
	s->channel.host.instance_id = s->instance_id;
	memcpy(s->channel.host.user, &s->user, sizeof(s->user));
	return vmb_dev_bus_attach(bus, &s->channel);
}

void vmb_dev_storage_close(struct vmb_dev_storage *s)
{
	join_worker(s);
	for (uint32_t lun = 0; lun < VMB_HOST_SCSI_LUN_MAX; lun++)
		vmb_dev_disk_close(&s->disks[lun]);
	if (s->stop >= 0)
		close(s->stop);
	free(s->requests);
}
