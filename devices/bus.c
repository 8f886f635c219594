// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Carries out what the host core's message engine decides: channels, lent memory, messages. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/fault.h"
#include "devices/gpadl.h"
#include "devices/limits.h"
#include "devices/report.h"
#include "devices/trace.h"

/* A ring has a control page and at least one page of data. */
#define RING_PAGES_MIN	  2u
#define FOREIGN_TRIES_MAX 100u /* about a second */

static struct vmb_dev_channel *channel_of(struct vmb_host_channel *host)
{
	return VMB_CONTAINER_OF(host, struct vmb_dev_channel, host);
}

/* Opening and closing */

/*
 * Pages that lie apart need a mapping each, and a process has a limited number of them: a guest
 * that lends all of its memory in scattered pages must leave those that the rest of us needs. With
 * the lock.
 */
static void *map_lent(struct vmb_dev_bus *bus, const struct vmb_host_gpadl_range *range,
		      uint32_t *mapping_count)
{
	uint32_t count = vmb_dev_gpadl_mappings(bus->memory, range->pfns, range->pfn_count);
	void *at;

	*mapping_count = 0;
	if (count > bus->mapping_max - bus->mapping_count) {
		errno = ENOSPC;
		return NULL;
	}
	at = vmb_dev_gpadl_map(bus->memory, range->pfns, range->pfn_count);
	if (!at)
		return NULL;
	*mapping_count = count;
	bus->mapping_count += count;
	return at;
}

static int map_rings(struct vmb_dev_channel *ch)
{
	uint32_t upstream = ch->host.downstream_page, downstream;
	struct vmb_host_gpadl_range range;
	uint8_t *at;

	if (!vmb_host_gpadl_range(ch->host.ring, 0, &range) || range.byte_offset)
		return -EINVAL;
	ch->page_count = range.pfn_count;
	if (upstream < RING_PAGES_MIN || upstream > ch->page_count ||
	    ch->page_count - upstream < RING_PAGES_MIN)
		return -EINVAL;
	downstream = ch->page_count - upstream;
	at = map_lent(ch->bus, &range, &ch->mapping_count);
	if (!at)
		return -errno;
	ch->pages = at;
	if (vmb_ring_reader_init(&ch->rx, at, at + VMB_PAGE_LEN, (upstream - 1) * VMB_PAGE_LEN,
				 false))
		return -EPROTO;
	at += upstream * VMB_PAGE_LEN;
	if (vmb_ring_writer_init(&ch->tx, at, at + VMB_PAGE_LEN, (downstream - 1) * VMB_PAGE_LEN,
				 false))
		return -EPROTO;
	return 0;
}

static void unmap_rings(struct vmb_dev_channel *ch)
{
	if (!ch->pages)
		return;
	vmb_dev_gpadl_unmap(ch->pages, ch->page_count);
	ch->pages = NULL;
	ch->bus->mapping_count -= ch->mapping_count;
}

static int connect_bell(struct vmb_dev_channel *ch, bool on)
{
	struct vmb_dev_machine *machine = ch->bus->machine;

	return machine->ops->doorbell(machine, ch->host.connection_id, &ch->bell, on);
}

static void stop_doorbells(struct vmb_dev_channel *ch)
{
	vmb_dev_doorbell_closed(&ch->bus->doorbell, ch);
	connect_bell(ch, false);
	/* Forget signals of this opening, so that the next one does not see them. */
	if (ch->bell.fd >= 0)
		vmb_dev_event_clear(ch->bell.fd);
	__atomic_store_n(&ch->bell.rang, 0, __ATOMIC_SEQ_CST);
}

/* The bell must ring before the guest hears that the channel is open. */
static int start(struct vmb_dev_channel *ch)
{
	int error = map_rings(ch);

	if (error)
		return error;
	error = connect_bell(ch, true);
	if (error)
		return error;
	__atomic_store_n(&ch->target_vp, ch->host.target_vp, __ATOMIC_RELEASE);
	vmb_dev_doorbell_opening(&ch->bus->doorbell, ch);
	if (vmb_dev_trace_of(ch->bus))
		vmb_dev_trace_opened(vmb_dev_trace_of(ch->bus), ch);
	error = ch->ops->start(ch);
	if (error)
		stop_doorbells(ch);
	return error;
}

static const char *reason(int error)
{
	return error == -ENOSPC ? "the guest lends memory in more pieces than this process may "
				  "map; a larger vm.max_map_count allows more" :
				  strerror(-error);
}

/*
 * Three errors are the guest's fault: the memory that it lent cannot be rings. Any other one is the
 * host's, and is reported.
 */
static void report_refusal(struct vmb_dev_bus *bus, int error)
{
	if (error == -EINVAL || error == -EPROTO || error == -EFAULT)
		return;
	if (vmb_dev_report_due(&bus->refusal_due))
		vmb_dev_report("VMBus: a channel cannot be opened: %s", reason(error));
	if (bus->machine->ops->lacks)
		bus->machine->ops->lacks(bus->machine);
}

static void event_open(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_dev_channel *ch = channel_of(event->channel);
	int error = start(ch);

	if (error) {
		unmap_rings(ch);
		report_refusal(bus, error);
	} else {
		bus->open_count++;
	}
	vmb_host_channel_opened(&ch->host, error ? VMB_STATUS_FAILURE : VMB_STATUS_SUCCESS);
}

static void event_close(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_dev_channel *ch = channel_of(event->channel);

	ch->ops->stop(ch);
}

static void interrupt(struct vmb_dev_channel *ch)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(ch->bus);
	uint32_t vp;

	__atomic_fetch_add(&ch->signalling, 1, __ATOMIC_SEQ_CST);
	vp = __atomic_load_n(&ch->target_vp, __ATOMIC_SEQ_CST);
	if (vp != VMB_VP_NONE) {
		__atomic_fetch_add(&ch->signals, 1, __ATOMIC_RELAXED);
		if (trace)
			vmb_dev_trace_signal(trace, VMB_DEV_TRACE_TO_GUEST, ch, vp);
		vmb_dev_doorbell_interrupt(&ch->bus->doorbell, ch, vp);
	}
	__atomic_fetch_sub(&ch->signalling, 1, __ATOMIC_SEQ_CST);
}

/*
 * The answer promises that the old processor is no longer interrupted, so wait until no thread is
 * about to do so; that takes a few instructions. The old processor may go offline before it handles
 * its last interrupt, so repeat it to the new one.
 */
static void event_modify(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_dev_channel *ch = channel_of(event->channel);

	__atomic_store_n(&ch->target_vp, ch->host.wanted_vp, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ch->signalling, __ATOMIC_SEQ_CST))
		sched_yield();
	if (ch->pages)
		interrupt(ch);
	vmb_host_channel_modified(&ch->host, VMB_STATUS_SUCCESS);
}

static void event_gpadl_wanted(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_host_gpadl *gpadl = calloc(1, sizeof(*gpadl) + event->ranges_len);

	bus->gpadl_count += gpadl ? 1 : 0;
	vmb_host_gpadl_supply(&bus->server, gpadl, gpadl ? (uint64_t *)(gpadl + 1) : NULL);
}
_Static_assert(sizeof(struct vmb_host_gpadl) % sizeof(uint64_t) == 0, "the range list follows");

static void event_gpadl_released(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	bus->gpadl_count--;
	free(event->gpadl);
}

static void event_contact(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	bus->version = bus->server.version;
	bus->contact_count++;
	if (vmb_dev_doorbell_connect(&bus->doorbell))
		bus->machine->ops->fail(bus->machine);
}

static void event_released(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_dev_channel *ch = channel_of(event->channel);

	if (ch->ops->released)
		ch->ops->released(ch);
}

static void event_unloaded(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(bus);

	vmb_dev_doorbell_disconnect(&bus->doorbell);
	if (fault)
		vmb_dev_fault_forget_messages(fault);
	bus->unload_count++;
}

static void event_socket(struct vmb_dev_bus *bus, const struct vmb_host_event *event)
{
	if (bus->asked)
		bus->asked(bus->asked_device, event->request);
}

static void take_events(struct vmb_dev_bus *bus)
{
	static void (*const handlers[])(struct vmb_dev_bus *, const struct vmb_host_event *) = {
		[VMB_HOST_EVENT_CONTACT] = event_contact,
		[VMB_HOST_EVENT_OPEN] = event_open,
		[VMB_HOST_EVENT_CLOSE] = event_close,
		[VMB_HOST_EVENT_MODIFY] = event_modify,
		[VMB_HOST_EVENT_GPADL_WANTED] = event_gpadl_wanted,
		[VMB_HOST_EVENT_GPADL_RELEASED] = event_gpadl_released,
		[VMB_HOST_EVENT_RELEASED] = event_released,
		[VMB_HOST_EVENT_UNLOADED] = event_unloaded,
		[VMB_HOST_EVENT_SOCKET] = event_socket,
	};
	struct vmb_host_event event;

	while (vmb_host_server_event(&bus->server, &event))
		handlers[event.type](bus, &event);
}

/* Messages to the guest */

/*
 * A message to another processor or SINT than the connection's (the refusal of another client's
 * contact, the answer to a crash kernel) may have no receiver. Give it up after a while, so that
 * the connection's own messages do not wait for ever.
 */
static bool is_lost(struct vmb_dev_bus *bus, const struct vmb_host_server_output *out, int error)
{
	if (out->target_sint == VMB_SYNIC_SINT_VMBUS && out->target_vp == bus->server.target_vp)
		return false;
	return error == VMB_ENODEV || ++bus->tries > FOREIGN_TRIES_MAX;
}

/* Messages leave in order, so the first that cannot leave stops those behind it. */
static void send_messages(struct vmb_dev_bus *bus)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(bus);
	const struct vmb_host_server_output *out;
	int error;

	if (fault)
		vmb_dev_fault_flush(fault, bus);
	while ((out = vmb_host_server_output(&bus->server))) {
		if (fault)
			error = vmb_dev_fault_post(fault, bus, out);
		else
			error = vmb_dev_trace_post(bus, out->target_vp, out->target_sint,
						   out->payload, out->len);
		if (error && is_lost(bus, out, error)) {
			bus->tries = 0;
			vmb_host_server_output_drop(&bus->server);
			continue;
		}
		if (error)
			return; /* the machine calls vmb_dev_bus_deliver() */
		bus->tries = 0;
		vmb_host_server_output_done(&bus->server);
	}
}

/* Carries out what the engine decided. The lock is still held. */
static void settle(struct vmb_dev_bus *bus)
{
	take_events(bus);
	send_messages(bus);
}

/* Before the server has the contact: the offers of its connection say the ids or not. */
static void choose_monitors(struct vmb_dev_bus *bus, const struct vmb_synic_post *post)
{
	struct vmb_dev_machine *machine = bus->machine;
	uint32_t type;

	if (bus->config.monitors != VMB_DEV_MONITORS_AUTO || post->payload_len < sizeof(type))
		return;
	memcpy(&type, post->payload, sizeof(type));
	if (type == VMB_MSG_INITIATE_CONTACT)
		bus->server.monitors_wanted = machine->ops->wants_monitors &&
					      machine->ops->wants_monitors(machine);
}

uint32_t vmb_dev_bus_post(struct vmb_dev_bus *bus, uint32_t connection_id,
			  const struct vmb_synic_post *post)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(bus);
	uint32_t status;

	pthread_mutex_lock(&bus->lock);
	choose_monitors(bus, post);
	status = vmb_host_server_input(&bus->server, connection_id, post->type, post->payload,
				       post->payload_len);
	if (trace && post->payload_len <= sizeof(post->payload))
		vmb_dev_trace_message(trace, VMB_DEV_TRACE_TO_HOST, connection_id,
				      VMB_DEV_TRACE_VP_UNKNOWN, status, post->payload,
				      post->payload_len);
	settle(bus);
	pthread_mutex_unlock(&bus->lock);
	return status;
}

void vmb_dev_bus_deliver(struct vmb_dev_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	send_messages(bus);
	pthread_mutex_unlock(&bus->lock);
}

/* Devices */

void vmb_dev_bus_signal(struct vmb_dev_channel *ch)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(ch->bus);

	if (!fault || vmb_dev_fault_signals(fault, ch))
		interrupt(ch);
}

void vmb_dev_bus_rescind(struct vmb_dev_channel *ch)
{
	struct vmb_dev_bus *bus = ch->bus;

	pthread_mutex_lock(&bus->lock);
	vmb_host_channel_rescind(&ch->host);
	settle(bus);
	pthread_mutex_unlock(&bus->lock);
}

void vmb_dev_bus_stopped(struct vmb_dev_channel *ch)
{
	struct vmb_dev_bus *bus = ch->bus;

	pthread_mutex_lock(&bus->lock);
	stop_doorbells(ch);
	if (vmb_dev_trace_of(bus))
		vmb_dev_trace_closed(vmb_dev_trace_of(bus), ch);
	vmb_dev_fault_forget(ch);
	unmap_rings(ch);
	bus->open_count--;
	vmb_host_channel_closed(&ch->host);
	settle(bus);
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

static int map_gpadl(struct vmb_dev_channel *ch, struct vmb_host_gpadl *gpadl,
		     struct vmb_dev_shared *shared)
{
	struct vmb_host_gpadl_range range;
	int error;

	if (gpadl->range_count != 1 || !vmb_host_gpadl_range(gpadl, 0, &range) ||
	    range.byte_offset || range.byte_count % VMB_PAGE_LEN)
		return -EINVAL;
	shared->memory = map_lent(ch->bus, &range, &shared->mapping_count);
	if (!shared->memory) {
		error = -errno;
		report_refusal(ch->bus, error);
		return error;
	}
	shared->len = range.byte_count;
	shared->gpadl = gpadl;
	vmb_host_gpadl_get(gpadl);
	return 0;
}

int vmb_dev_bus_share(struct vmb_dev_channel *ch, uint32_t gpadl_id, struct vmb_dev_shared *shared)
{
	struct vmb_host_gpadl *gpadl;
	int error;

	memset(shared, 0, sizeof(*shared));
	pthread_mutex_lock(&ch->bus->lock);
	gpadl = vmb_host_gpadl_find(&ch->host, gpadl_id);
	error = gpadl ? map_gpadl(ch, gpadl, shared) : -ENOENT;
	pthread_mutex_unlock(&ch->bus->lock);
	return error;
}

void vmb_dev_bus_unshare(struct vmb_dev_channel *ch, struct vmb_dev_shared *shared)
{
	struct vmb_dev_bus *bus = ch->bus;

	if (!shared->memory)
		return;
	vmb_dev_gpadl_unmap(shared->memory, shared->len / VMB_PAGE_LEN);
	pthread_mutex_lock(&bus->lock);
	bus->mapping_count -= shared->mapping_count;
	vmb_host_gpadl_put(shared->gpadl);
	settle(bus);
	pthread_mutex_unlock(&bus->lock);
	memset(shared, 0, sizeof(*shared));
}

enum offer { OF_DEVICE, OF_GUEST_SOCKET, OF_HOST_SOCKET };

static int offer(struct vmb_dev_bus *bus, struct vmb_dev_channel *ch, enum offer of)
{
	int error;

	ch->bus = bus;
	ch->bell = (struct vmb_dev_bell){ .fd = -1 };
	if (!bus->config.stepped)
		ch->bell.fd = vmb_dev_event_create();
	if (!bus->config.stepped && ch->bell.fd < 0)
		return ch->bell.fd;
	pthread_mutex_lock(&bus->lock);
	if (of == OF_DEVICE)
		error = vmb_host_channel_offer(&bus->server, &ch->host);
	else
		error = vmb_host_socket_offer(&bus->server, &ch->host, of == OF_HOST_SOCKET);
	if (!error)
		send_messages(bus);
	pthread_mutex_unlock(&bus->lock);
	if (error)
		vmb_dev_bus_detach(ch);
	return error;
}

int vmb_dev_bus_attach(struct vmb_dev_bus *bus, struct vmb_dev_channel *ch)
{
	int error = offer(bus, ch, OF_DEVICE);

	/* The guest decides how many sub-channels there are, so this is not reported. */
	if (error && !ch->host.sub_channel_index)
		vmb_dev_report("VMBus: a device cannot be offered: %s", strerror(-error));
	return error;
}

int vmb_dev_bus_offer_socket(struct vmb_dev_bus *bus, struct vmb_dev_channel *ch, bool from_host)
{
	return offer(bus, ch, from_host ? OF_HOST_SOCKET : OF_GUEST_SOCKET);
}

int vmb_dev_bus_refuse_socket(struct vmb_dev_bus *bus, const struct vmb_guid *endpoint_id,
			      const struct vmb_guid *service_id)
{
	int error;

	pthread_mutex_lock(&bus->lock);
	error = vmb_host_socket_refuse(&bus->server, endpoint_id, service_id);
	settle(bus);
	pthread_mutex_unlock(&bus->lock);
	return error;
}

void vmb_dev_bus_serve_sockets(struct vmb_dev_bus *bus,
			       void (*asked)(void *device,
					     const struct vmb_host_socket_request *request),
			       void *device)
{
	pthread_mutex_lock(&bus->lock);
	bus->asked = asked;
	bus->asked_device = device;
	vmb_host_socket_serve(&bus->server, asked);
	pthread_mutex_unlock(&bus->lock);
}

void vmb_dev_bus_detach(struct vmb_dev_channel *ch)
{
	if (!ch->bus)
		return;
	if (ch->bell.fd >= 0)
		close(ch->bell.fd);
	ch->bell.fd = -1;
	ch->bus = NULL;
}

static void init_server(struct vmb_dev_bus *bus)
{
	struct vmb_host_server_config config = { .vp_count = bus->machine->vp_count,
						 .version_min = bus->config.version_min,
						 .version_max = bus->config.version_max,
						 .monitors = bus->config.monitors !=
							     VMB_DEV_MONITORS_OFF,
						 .ram = bus->ram };

	config.ram_count = vmb_dev_memory_ram(bus->memory, bus->ram);
	vmb_host_server_init(&bus->server, &config);
}

struct vmb_dev_bus *vmb_dev_bus_create(const struct vmb_dev_bus_config *config)
{
	struct vmb_dev_bus *bus = calloc(1, sizeof(*bus));

	if (!bus) {
		vmb_dev_report("VMBus: %s", strerror(ENOMEM));
		return NULL;
	}
	bus->config = *config;
	bus->mapping_max = vmb_dev_limits_mappings();
	bus->machine = config->machine;
	bus->memory = &config->machine->memory;
	if (vmb_dev_doorbell_init(&bus->doorbell, bus)) {
		vmb_dev_doorbell_destroy(&bus->doorbell);
		free(bus);
		return NULL;
	}
	pthread_mutex_init(&bus->lock, NULL);
	pthread_rwlock_init(&bus->windows_lock, NULL);
	pthread_cond_init(&bus->changed, NULL);
	init_server(bus);
	return bus;
}

/* What the engine may be told of (ram) grows last: nobody names a page that is not there yet. */
int vmb_dev_bus_grow(struct vmb_dev_bus *bus, uint64_t len)
{
	struct vmb_dev_memory *m = &bus->machine->memory;
	int error = -EOPNOTSUPP;

	pthread_mutex_lock(&bus->lock);
	if (len > vmb_dev_memory_room(m))
		error = -ENOSPC;
	else if (bus->machine->ops->grow)
		error = bus->machine->ops->grow(bus->machine, len);
	if (!error) {
		vmb_dev_memory_grow(m, len);
		vmb_dev_memory_ram(m, bus->ram);
	}
	pthread_mutex_unlock(&bus->lock);
	return error;
}

int vmb_dev_bus_map(struct vmb_dev_bus *bus, uint64_t gpa, void *base, uint64_t len)
{
	int error = -EOPNOTSUPP;

	if (gpa % VMB_PAGE_LEN || len % VMB_PAGE_LEN || gpa + len < gpa ||
	    vmb_dev_memory_overlaps(bus->memory, gpa, len))
		return -EINVAL;
	pthread_mutex_lock(&bus->lock);
	if (bus->machine->ops->map)
		error = bus->machine->ops->map(bus->machine, gpa, base, len);
	pthread_mutex_unlock(&bus->lock);
	return error;
}

void vmb_dev_bus_add_window(struct vmb_dev_bus *bus, struct vmb_dev_window *window)
{
	pthread_rwlock_wrlock(&bus->windows_lock);
	window->next = bus->windows;
	bus->windows = window;
	pthread_rwlock_unlock(&bus->windows_lock);
}

void vmb_dev_bus_remove_window(struct vmb_dev_bus *bus, struct vmb_dev_window *window)
{
	struct vmb_dev_window **at = &bus->windows;

	pthread_rwlock_wrlock(&bus->windows_lock);
	while (*at && *at != window)
		at = &(*at)->next;
	if (*at)
		*at = window->next;
	pthread_rwlock_unlock(&bus->windows_lock);
}

bool vmb_dev_bus_access(struct vmb_dev_bus *bus, uint64_t gpa, uint8_t *data, uint32_t len,
			bool is_write)
{
	bool answered = false;

	if (!len || len > 8)
		return false;
	pthread_rwlock_rdlock(&bus->windows_lock);
	for (struct vmb_dev_window *w = bus->windows; w && !answered; w = w->next)
		answered = w->access(w, gpa, data, len, is_write);
	pthread_rwlock_unlock(&bus->windows_lock);
	return answered;
}

bool vmb_dev_bus_retarget(struct vmb_dev_bus *bus, const struct vmb_pci_retarget *wanted,
			  uint64_t vps)
{
	bool moved = false;

	pthread_rwlock_rdlock(&bus->windows_lock);
	for (struct vmb_dev_window *w = bus->windows; w && !moved; w = w->next)
		moved = w->retarget(w, wanted, vps);
	pthread_rwlock_unlock(&bus->windows_lock);
	return moved;
}

void vmb_dev_bus_reset(struct vmb_dev_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	vmb_host_server_reset(&bus->server);
	take_events(bus);
	pthread_mutex_unlock(&bus->lock);
}

void vmb_dev_bus_stop(struct vmb_dev_bus *bus)
{
	vmb_dev_bus_reset(bus);
	pthread_mutex_lock(&bus->lock);
	while (bus->open_count)
		pthread_cond_wait(&bus->changed, &bus->lock);
	take_events(bus);
	pthread_mutex_unlock(&bus->lock);
	vmb_dev_doorbell_stop(&bus->doorbell);
}

void vmb_dev_bus_destroy(struct vmb_dev_bus *bus)
{
	vmb_dev_doorbell_stop(&bus->doorbell);
	vmb_dev_doorbell_destroy(&bus->doorbell);
	pthread_cond_destroy(&bus->changed);
	pthread_rwlock_destroy(&bus->windows_lock);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}
