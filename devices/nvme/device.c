// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The device row of an NVMe disk: its VMBus channel, whose packets host/pci.h judges; its worker;
 * and the address space that it answers for, which the channel and the configuration space place.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/nvme/internal.h"
#include "devices/report.h"

#define READ_BUDGET  16u /* packets */
#define PAYLOAD_AT   sizeof(struct vmb_pkt_desc)
#define ROOM_POLL_NS 10000000 /* for guests that never promised to signal when there is room */
#define PART_NS	     5000000000u /* that a guest has to let go of the disk */
#define VENDOR_ID    0x1414u /* Microsoft's, as all functions of Hyper-V's own have it */
#define DEVICE_ID    0x00A9u
#define NODE_BYTE    4u /* of the instance id: the guest makes its PCI domain of it */

/* Completions that are not a request's. */
static char bell_rang, wake_rang, time_passed;

static void fail(struct vmb_dev_nvme *n)
{
	n->broken = true;
	if (vmb_dev_report_due(&n->report_due))
		vmb_dev_report("the guest broke the protocol of %s, which it has no more until it "
			       "opens the channel again",
			       n->name);
}

/* Addresses: the guest's processors */

static void access_function(struct vmb_dev_nvme *n, uint32_t offset, uint8_t *data, uint32_t len,
			    bool is_write)
{
	if (offset >= NVME_PENDING_AT) {
		if (!is_write)
			vmb_host_pci_function_pending(&n->function, offset - NVME_PENDING_AT, data,
						      len);
	} else if (offset >= NVME_TABLE_AT) {
		vmb_host_pci_function_table(&n->function, offset - NVME_TABLE_AT, data, len,
					    is_write);
	} else if ((len == 4 || len == 8) && offset % len == 0) {
		nvme_controller_access(n, offset, data, len, is_write);
	} else if (!is_write) {
		memset(data, 0, len);
	}
}

/* The page that names a function: there is one, so all that matters is whether it is that. */
static void access_window(struct vmb_dev_nvme *n, uint32_t offset, uint8_t *data, uint32_t len,
			  bool is_write)
{
	uint8_t slot[sizeof(n->slot)];

	if (offset >= VMB_PCI_WINDOW_CONFIG) {
		if (!n->slot)
			vmb_host_pci_function_config(&n->function, offset - VMB_PCI_WINDOW_CONFIG,
						     data, len, is_write);
		else if (!is_write)
			memset(data, 0xFF, len);
		return;
	}
	memcpy(slot, &n->slot, sizeof(slot));
	for (uint32_t i = 0; i < len; i++) {
		if (is_write && offset + i < sizeof(slot))
			slot[offset + i] = data[i];
		else if (!is_write)
			data[i] = offset + i < sizeof(slot) ? slot[offset + i] : 0;
	}
	memcpy(&n->slot, slot, sizeof(slot));
}

/* Returns whether all len bytes at gpa are those at base, and where. */
static bool is_within(uint64_t gpa, uint32_t len, uint64_t base, uint32_t base_len,
		      uint32_t *offset)
{
	*offset = (uint32_t)(gpa - base);
	return gpa >= base && gpa - base <= base_len - len;
}

static bool answer(struct vmb_dev_window *window, uint64_t gpa, uint8_t *data, uint32_t len,
		   bool is_write)
{
	struct vmb_dev_nvme *n = VMB_CONTAINER_OF(window, struct vmb_dev_nvme, window);
	bool mine = true;
	uint32_t offset;
	uint64_t bar;

	pthread_mutex_lock(&n->lock);
	if (!n->pci.on || n->closing)
		mine = false;
	else if (is_within(gpa, len, n->pci.window_gpa, VMB_PCI_WINDOW_LEN, &offset))
		access_window(n, offset, data, len, is_write);
	else if (vmb_host_pci_function_range(&n->function, &bar) &&
		 is_within(gpa, len, bar, NVME_BAR_LEN, &offset))
		access_function(n, offset, data, len, is_write);
	else
		mine = false;
	if (mine && is_write)
		nvme_send_interrupts(n); /* one may be unmasked now */
	pthread_mutex_unlock(&n->lock);
	if (mine && is_write)
		vmb_dev_worker_wake(&n->worker);
	return mine;
}

static bool retarget(struct vmb_dev_window *window, const struct vmb_pci_retarget *wanted,
		     uint64_t vps)
{
	struct vmb_dev_nvme *n = VMB_CONTAINER_OF(window, struct vmb_dev_nvme, window);
	const struct vmb_host_pci_target target = { .vector = (uint8_t)wanted->vector, .vps = vps };
	bool mine = vmb_pci_device_id(&n->channel.host.instance_id, 0) == wanted->device_id;

	if (!mine || wanted->vector > UINT8_MAX)
		return false;
	pthread_mutex_lock(&n->lock);
	mine = !vmb_host_pci_retarget(&n->pci, wanted->address, wanted->data, &target);
	pthread_mutex_unlock(&n->lock);
	return mine;
}

/* The rings */

static bool next_output(struct vmb_dev_nvme *n, struct vmb_host_pci_output *output)
{
	bool any;

	pthread_mutex_lock(&n->lock);
	any = vmb_host_pci_output(&n->pci, output);
	pthread_mutex_unlock(&n->lock);
	return any;
}

/* Returns whether a packet was sent. */
static bool write_one(struct vmb_dev_nvme *n)
{
	struct vmb_host_pci_output output;
	struct vmb_ring_part part;
	struct vmb_ring_packet packet = { .payload = &part, .payload_count = 1 };
	int error;

	if (!next_output(n, &output))
		return false;
	part = (struct vmb_ring_part){ output.payload, output.len };
	packet.type = output.completion ? VMB_PKT_COMPLETION : VMB_PKT_INBAND;
	packet.transaction_id = output.transaction_id;
	error = vmb_dev_channel_write(&n->channel, &packet, vmb_ring_packet_len(0, output.len));
	n->full = error == VMB_EAGAIN;
	if (error && !n->full)
		fail(n);
	if (error)
		return false;
	pthread_mutex_lock(&n->lock);
	vmb_host_pci_output_done(&n->pci);
	pthread_mutex_unlock(&n->lock);
	return true;
}

static void write_ring(struct vmb_dev_nvme *n)
{
	n->full = false;
	while (!n->broken && write_one(n))
		;
	if (vmb_ring_commit(&n->channel.tx))
		vmb_dev_bus_signal(&n->channel);
}

static int judge(struct vmb_dev_nvme *n, const struct vmb_host_pci_packet *packet)
{
	int step;

	pthread_mutex_lock(&n->lock);
	step = vmb_host_pci_input(&n->pci, packet);
	n->version = n->pci.version ? n->pci.version : n->version;
	if (step == VMB_HOST_PCI_OFF || step == VMB_HOST_PCI_RELEASE || step == VMB_EPROTO)
		nvme_controller_reset(n);
	pthread_mutex_unlock(&n->lock);
	return step;
}

/* An answer that finds no room holds up what the guest says after that. */
static bool wants_packet(const void *state)
{
	const struct vmb_dev_nvme *n = state;

	return !n->broken && !n->full;
}

static void take_packet(void *state, const struct vmb_ring_received *received)
{
	struct vmb_dev_nvme *n = state;
	uint8_t payload[VMB_PCI_GUEST_LEN_MAX];
	const struct vmb_host_pci_packet packet = {
		.inband = received->type == VMB_PKT_INBAND && !received->header_len,
		.wants_completion = received->flags & VMB_PKT_FLAG_COMPLETION_REQUESTED,
		.transaction_id = received->transaction_id,
		.payload = payload,
		.len = received->payload_len,
	};
	int step = VMB_EPROTO;

	if (received->payload_len <= sizeof(payload) &&
	    vmb_ring_copy(&n->channel.rx, received, PAYLOAD_AT + received->header_len, payload,
			  received->payload_len))
		step = judge(n, &packet);
	if (step == VMB_EPROTO)
		fail(n);
	if (step == VMB_HOST_PCI_EJECTED)
		n->leaving = true;
	write_ring(n);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

static void read_ring(struct vmb_dev_nvme *n)
{
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(&n->channel, READ_BUDGET, &reader, n);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		fail(n);
	n->more = !n->broken && rest == VMB_DEV_CHANNEL_MORE;
}

static void serve_rings(struct vmb_dev_nvme *n)
{
	write_ring(n);
	n->more |= vmb_dev_channel_rang(&n->channel);
	if (n->more && wants_packet(n))
		read_ring(n);
}

/* Opening and closing: the bus orders, the worker carries it out. */

static void begin_open(struct vmb_dev_nvme *n)
{
	pthread_mutex_lock(&n->lock);
	vmb_host_pci_reset(&n->pci, true);
	nvme_controller_reset(n);
	n->slot = 0;
	n->closing = false;
	pthread_mutex_unlock(&n->lock);
	n->open = n->more = true; /* the guest may have filled the ring before */
	n->broken = n->full = false;
}

static void begin_close(struct vmb_dev_nvme *n)
{
	pthread_mutex_lock(&n->lock);
	vmb_host_pci_reset(&n->pci, false);
	nvme_controller_reset(n);
	n->closing = true;
	pthread_mutex_unlock(&n->lock);
	n->open = false;
}

static void take_orders(struct vmb_dev_nvme *n)
{
	uint32_t orders = vmb_dev_channel_take_orders(&n->channel);

	if (orders & VMB_DEV_ORDER_CLOSE)
		begin_close(n);
	else if (orders & VMB_DEV_ORDER_OPEN)
		begin_open(n);
}

/* The engine lets go of the channel's bell when that rings. */
static bool bell_is_watched(const struct vmb_dev_nvme *n)
{
	if (!n->watching_bell || n->engine_failed)
		return false;
	vmb_dev_event_ring(n->channel.bell.fd);
	return true;
}

/* The guest may open the channel again from within: that is another order. */
static bool finish_close(struct vmb_dev_nvme *n)
{
	if ((n->busy && !n->engine_failed) || bell_is_watched(n))
		return false;
	pthread_mutex_lock(&n->lock);
	n->closing = false;
	pthread_mutex_unlock(&n->lock);
	vmb_dev_bus_stopped(&n->channel);
	return true;
}

/* What the engine says */

static void take_completion(struct vmb_dev_nvme *n, void *what, int result)
{
	struct nvme_request *request =
		VMB_CONTAINER_OF((struct vmb_dev_disk_request *)what, struct nvme_request, disk);

	pthread_mutex_lock(&n->lock);
	nvme_io_resume(n, request, result);
	pthread_mutex_unlock(&n->lock);
}

static void take_event(struct vmb_dev_nvme *n, void *what, int result)
{
	if (what == &bell_rang) {
		vmb_dev_bell_heard(&n->channel.bell);
		n->watching_bell = false; /* until it waits again */
	} else if (what == &wake_rang) {
		vmb_dev_event_clear(n->worker.wake);
		n->watching = false;
	} else if (what == &time_passed) {
		n->timing = false;
		n->leaving |= n->pci.ejecting;
	} else {
		take_completion(n, what, result);
	}
}

static bool take_events(struct vmb_dev_nvme *n)
{
	bool any = false;
	void *what;
	int result;

	while (n->has_engine && vmb_dev_disk_engine_take(&n->engine, &what, &result)) {
		take_event(n, what, result);
		any = true;
	}
	return any;
}

/* A guest that does not know of the disk has nothing to let go of. */
static void begin_parting(struct vmb_dev_nvme *n)
{
	int error;

	if (!__atomic_exchange_n(&n->parting, false, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&n->lock);
	error = vmb_host_pci_eject(&n->pci);
	pthread_mutex_unlock(&n->lock);
	n->leaving |= error != 0;
	if (error || n->timing || !n->has_engine)
		return;
	n->timing = true;
	vmb_dev_disk_engine_timer(&n->engine, PART_NS, &time_passed);
}

/* Without the lock: the bus has one of its own. Returns whether it orders to close. */
static bool leave_if_parted(struct vmb_dev_nvme *n)
{
	if (!n->leaving)
		return false;
	n->leaving = false;
	vmb_dev_bus_rescind(&n->channel);
	return true;
}

static bool step(void *state)
{
	struct vmb_dev_nvme *n = state;
	bool any, more;

	vmb_dev_worker_heard(&n->worker);
	any = take_events(n);
	take_orders(n);
	begin_parting(n);
	if (n->open && !n->broken)
		serve_rings(n);
	any |= leave_if_parted(n);
	if (n->closing)
		return finish_close(n) || any;
	if (!n->open)
		return any;
	pthread_mutex_lock(&n->lock);
	more = nvme_controller_step(n);
	pthread_mutex_unlock(&n->lock);
	return any || more || (n->more && wants_packet(n));
}

/* Waiting */

static uint64_t wait_ns(const struct vmb_dev_nvme *n)
{
	if (n->open && n->full && !vmb_ring_peer_signals_room(&n->channel.rx))
		return ROOM_POLL_NS;
	return UINT64_MAX;
}

static void begin_watching(struct vmb_dev_nvme *n)
{
	if (n->open && !n->watching_bell) {
		n->watching_bell = true;
		vmb_dev_disk_engine_watch(&n->engine, n->channel.bell.fd, &bell_rang);
	}
	if (n->watching)
		return;
	n->watching = true;
	vmb_dev_disk_engine_watch(&n->engine, n->worker.wake, &wake_rang);
}

static void wait(void *state, bool more)
{
	struct vmb_dev_nvme *n = state;
	struct vmb_dev_machine *machine = n->bus->machine;
	struct pollfd wake = { .fd = n->worker.wake, .events = POLLIN };
	int error;

	if (n->engine_failed) {
		if (poll(&wake, 1, -1) > 0)
			vmb_dev_event_clear(n->worker.wake);
		return;
	}
	begin_watching(n);
	error = vmb_dev_disk_engine_wait(&n->engine, more ? 0 : wait_ns(n));
	if (!error)
		return;
	vmb_dev_report("%s: %s", n->name, strerror(-error));
	n->engine_failed = n->broken = true;
	machine->ops->fail(machine);
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_NVME };

/* Life */

static void released(struct vmb_dev_channel *channel)
{
	struct vmb_dev_nvme *n = channel->device;

	__atomic_store_n(&n->released, true, __ATOMIC_RELEASE);
}

static const struct vmb_dev_channel_ops channel_ops = { .start = vmb_dev_channel_order_open,
							.stop = vmb_dev_channel_order_close,
							.released = released };

static void fill_channel(struct vmb_dev_nvme *n)
{
	const struct vmb_guid base = VMB_GUID(0x6f70656e, 0x0001, 0x4275, 0xb3, 0x00, 0x6e, 0x76,
					      0x6d, 0x65, 0x30, 0x00);

	memset(&n->channel, 0, sizeof(n->channel));
	n->channel.ops = &channel_ops;
	n->channel.device = n;
	n->channel.worker = &n->worker;
	n->channel.host.type_id = (struct vmb_guid)VMB_GUID_PCI;
	n->channel.host.instance_id = base;
	n->channel.host.instance_id.bytes[NODE_BYTE] += n->number;
	n->channel.host.flags = VMB_OFFER_FLAG_ENUMERATE;
}

static void fill_unit(struct vmb_dev_nvme *n)
{
	n->unit.kind = VMB_HOST_SCSI_DISK;
	n->unit.read_only = n->disk.read_only;
	n->unit.can_unmap = n->disk.can_unmap && !n->disk.option->no_discard;
	n->unit.block_len = n->disk.block_len;
	n->unit.block_count = n->disk.len / n->disk.block_len;
	n->unit.backend = &n->disk;
}

static int prepare(void *state)
{
	struct vmb_dev_nvme *n = state;
	int error = vmb_dev_disk_prepare(&n->disk);

	if (!error)
		fill_unit(n);
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_nvme *n = state;

	if (!n->bus)
		return;
	vmb_dev_bus_remove_window(n->bus, &n->window);
	vmb_dev_worker_stop(&n->worker);
	if (n->has_engine)
		vmb_dev_disk_engine_close(&n->engine);
	n->has_engine = false;
	vmb_dev_bus_detach(&n->channel);
	n->bus = NULL;
}

static int start_worker(struct vmb_dev_nvme *n)
{
	int error = vmb_dev_disk_engine_open(&n->engine, false);

	n->has_engine = !error;
	n->engine_failed = n->watching = n->watching_bell = n->timing = false;
	if (!error)
		error = vmb_dev_worker_start(&n->worker);
	if (error)
		vmb_dev_report("%s: %s", n->name, strerror(-error));
	return error;
}

static void init_core(struct vmb_dev_nvme *n, uint32_t vp_count)
{
	struct vmb_host_pci_config config = {
		.vp_count = vp_count,
		.description = { .vendor_id = VENDOR_ID,
				 .device_id = DEVICE_ID,
				 .interface = 0x02, /* NVM Express, of mass storage, non-volatile */
				 .sub_class = 0x08,
				 .base_class = 0x01,
				 .serial = n->number + 1 },
	};
	const struct vmb_host_pci_function_config function = { .description = config.description,
							       .bar_len = NVME_BAR_LEN,
							       .vector_count = NVME_VECTOR_COUNT,
							       .table_at = NVME_TABLE_AT,
							       .pending_at = NVME_PENDING_AT };

	vmb_host_pci_function_init(&n->function, &function);
	vmb_host_pci_function_bars(&n->function, config.bars);
	vmb_host_pci_init(&n->pci, &config);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_nvme *n = state;
	int error;

	if (bus->config.stepped && vmb_dev_disk_needs_engine(&n->disk)) {
		vmb_dev_report("%s: '%s' needs a thread; a machine that is stepped has ram: and "
			       "null: only",
			       n->name, n->disk.option->path);
		return -EINVAL;
	}
	n->bus = bus;
	fill_channel(n);
	init_core(n, bus->machine->vp_count);
	n->open = n->closing = n->leaving = n->parting = false;
	n->released = false;
	vmb_dev_bus_add_window(bus, &n->window);
	error = vmb_dev_bus_attach(bus, &n->channel);
	if (!error && !bus->config.stepped)
		error = start_worker(n);
	return error;
}

static void report(const void *state)
{
	const struct vmb_dev_nvme *n = state;

	vmb_dev_report("stats: %s: version %u.%u, %" PRIu64 " commands, %" PRIu64
		       " failed; %" PRIu64 " bytes read, %" PRIu64 " written, %" PRIu64
		       " flushes; %" PRIu64 " doorbells, %" PRIu64 " interrupts%s",
		       n->name, n->version >> 16, n->version & 0xFFFF, n->commands, n->failed,
		       n->read_len, n->written_len, n->flushes, n->doorbells, n->interrupts,
		       n->broken ? "; broken by the guest" : "");
}

static void leave(void *state)
{
	struct vmb_dev_nvme *n = state;

	detach(n);
	vmb_dev_disk_leave(&n->disk);
}

static void shut(void *state)
{
	struct vmb_dev_nvme *n = state;

	leave(n);
	vmb_dev_disk_close(&n->disk);
	pthread_mutex_destroy(&n->lock);
	free(n->requests);
	free(n);
}

static struct vmb_dev_channel *primary(void *state)
{
	return &((struct vmb_dev_nvme *)state)->channel;
}

static bool is_released(const void *state)
{
	return __atomic_load_n(&((const struct vmb_dev_nvme *)state)->released, __ATOMIC_ACQUIRE);
}

static void part(void *state)
{
	struct vmb_dev_nvme *n = state;

	__atomic_store_n(&n->parting, true, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(&n->worker);
}

static const char *name(const void *state)
{
	return ((const struct vmb_dev_nvme *)state)->name;
}

const struct vmb_dev_device_ops vmb_dev_nvme_ops = { .prepare = prepare,
						     .attach = attach,
						     .detach = detach,
						     .step = step,
						     .report = report,
						     .leave = leave,
						     .close = shut,
						     .channel = primary,
						     .released = is_released,
						     .part = part,
						     .name = name };

static int init(struct vmb_dev_nvme *n, const struct vmb_dev_nvme_config *config)
{
	n->number = config->number;
	n->window.access = answer;
	n->window.retarget = retarget;
	snprintf(n->name, sizeof(n->name), "nvme%u", n->number);
	vmb_dev_worker_init(&n->worker, &worker_ops, n);
	n->requests = calloc(NVME_REQUEST_COUNT, sizeof(*n->requests));
	if (!n->requests) {
		vmb_dev_report("%s: %s", n->name, strerror(ENOMEM));
		return -ENOMEM;
	}
	nvme_controller_init(n);
	return vmb_dev_disk_open(&n->disk, config->disk);
}

int vmb_dev_nvme_open(struct vmb_dev_device *device, const struct vmb_dev_nvme_config *config)
{
	struct vmb_dev_nvme *n = calloc(1, sizeof(*n));
	int error;

	if (!n) {
		vmb_dev_report("nvme%u: %s", config->number, strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_mutex_init(&n->lock, NULL);
	error = init(n, config);
	if (error)
		shut(n);
	else
		*device = (struct vmb_dev_device){ &vmb_dev_nvme_ops, n };
	return error;
}
