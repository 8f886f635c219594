// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes a guest smaller and larger: moves packets between the channel of dynamic memory and the
 * host core, goes after the target, and takes from the memory file what the guest gave. It has a
 * worker of its own, because taking a gigabyte out of a file takes longer than a heartbeat may.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/balloon.h"
#include "devices/balloon_policy.h"
#include "devices/channel.h"
#include "devices/report.h"
#include "devices/worker.h"
#include "host/balloon.h"

#define READ_BUDGET   16u /* packets; each may be a gigabyte to take out of the file */
#define PAYLOAD_AT    sizeof(struct vmb_pkt_desc)
#define SECOND_NS     1000000000ll
#define RETRY_NS      SECOND_NS /* a guest that had not enough is asked again: doubled each time */
#define RETRY_NS_MAX  (32 * SECOND_NS)
#define ROOM_POLL_MS  10 /* for guests that never promised to signal when there is room */
#define MORE_PAGES    2048u /* a guest that has 8 MiB more to spare is asked before that */
#define ADD_PAGES_MAX 0x40000u /* 1 GiB at a time: a guest works on it for seconds */
/* This program put its tables there (vmm/boot.h), so what is given of it stays as it is. */
#define KEEP_BELOW    0x100000u

struct vmb_dev_balloon {
	struct vmb_dev_balloon_config config;
	struct vmb_dev_bus *bus; /* from attach to detach; under the lock */
	struct vmb_dev_channel channel;
	struct vmb_dev_worker worker;
	struct vmb_host_balloon host; /* the worker's */
	struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX];
	bool open;
	bool broken; /* the guest broke the protocol: its packets are left alone */
	bool more; /* the ring may have packets that nobody announces */
	bool full; /* the output waits for room */
	int64_t report_due; /* when a fault of the guest may be reported again */
	uint64_t granted; /* pages that were added to the machine */
	int64_t retry_at, retry_ns;
	uint64_t least; /* pages: what the guest could spare at worst since it had not enough */
	uint64_t taken, returned; /* pages, since attach */
	pthread_mutex_t lock;
	/* under the lock; only the worker changes them, but for target and eager */
	bool ready;
	bool tried; /* the guest had nothing to spare when it was asked last */
	bool never; /* the guest does not want new memory */
	bool eager; /* the target is new: ask at once */
	bool follows; /* the target goes by what the guest reports */
	struct vmb_dev_balloon_policy policy;
	uint64_t target; /* pages, as all here */
	uint64_t added; /* that the guest uses */
	uint64_t out;
	struct vmb_balloon_status status;
	uint32_t version;
};

static int64_t now_ns(const struct vmb_dev_balloon *d)
{
	struct timespec now;

	if (d->config.clock)
		return d->config.clock();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static uint64_t base_pages(const struct vmb_dev_balloon *d)
{
	return d->config.base >> VMB_PAGE_SHIFT;
}

/* Under the lock. */
static uint64_t assigned(const struct vmb_dev_balloon *d)
{
	return base_pages(d) + d->added - d->out;
}

/* What others may see of the host core. */
static void publish(struct vmb_dev_balloon *d)
{
	pthread_mutex_lock(&d->lock);
	d->out = d->host.out;
	d->status = d->host.status;
	d->version = d->host.version;
	d->ready = d->open && !d->broken && d->host.state >= VMB_HOST_BALLOON_OPEN;
	pthread_mutex_unlock(&d->lock);
}

/* What the guest gave */

static void punch(struct vmb_dev_balloon *d, uint64_t first, uint64_t end)
{
	uint64_t gpa = first << VMB_PAGE_SHIFT, len = (end - first) << VMB_PAGE_SHIFT;
	const struct vmb_dev_memory_region *region;

	if (gpa < KEEP_BELOW) {
		uint64_t kept = KEEP_BELOW - gpa < len ? KEEP_BELOW - gpa : len;

		gpa += kept;
		len -= kept;
	}
	region = len ? vmb_dev_memory_find(d->bus->memory, gpa, len) : NULL;
	if (region &&
	    fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(region->offset + (gpa - region->gpa)), (off_t)len) &&
	    vmb_dev_report_due(&d->report_due))
		vmb_dev_report("memory: pages that the guest gave stay with it: fallocate: %s",
			       strerror(errno));
}

/*
 * Neighbours that a guest names one after the other, up or down, are taken out together: each hole
 * costs an interrupt of every processor.
 */
static void take_out(struct vmb_dev_balloon *d)
{
	uint64_t first = 0, end = 0;

	for (uint32_t i = 0; i < d->host.taken_count; i++) {
		uint64_t from = VMB_BALLOON_RANGE_FIRST(d->host.taken[i]);
		uint64_t to = from + VMB_BALLOON_RANGE_COUNT(d->host.taken[i]);

		d->taken += to - from;
		if (to == first) {
			first = from;
			continue;
		}
		if (from != end) {
			if (end)
				punch(d, first, end);
			first = from;
		}
		end = to;
	}
	if (end)
		punch(d, first, end);
}

/* The rings */

static void fail(struct vmb_dev_balloon *d)
{
	d->broken = true;
	if (vmb_dev_report_due(&d->report_due))
		vmb_dev_report("the guest broke the protocol of dynamic memory, which it has no "
			       "more until it opens the channel again");
}

/* A request has ended: how is it to go on? */
static void conclude(struct vmb_dev_balloon *d, enum vmb_host_balloon_state was)
{
	bool enough = d->host.done == d->host.wanted;

	if (was == VMB_HOST_BALLOON_GIVING)
		d->returned += d->host.done;
	pthread_mutex_lock(&d->lock);
	if (was == VMB_HOST_BALLOON_ADDING) {
		d->added += d->host.done;
		d->never |= d->host.refused;
	}
	d->tried = !d->host.done;
	pthread_mutex_unlock(&d->lock);
	if (d->host.done)
		d->retry_ns = RETRY_NS;
	else if (d->retry_ns < RETRY_NS_MAX)
		d->retry_ns *= 2;
	d->retry_at = enough ? 0 : now_ns(d) + d->retry_ns;
	d->least = UINT64_MAX;
}

/* What the guest reports may change how large it is to be. */
static void follow(struct vmb_dev_balloon *d)
{
	struct vmb_dev_balloon_guest guest = { .out = d->host.out,
					       .available = d->host.status.available,
					       .committed = d->host.status.committed };
	uint64_t target;

	pthread_mutex_lock(&d->lock);
	d->out = d->host.out;
	guest.target = d->target;
	guest.assigned = assigned(d);
	if (d->follows) {
		target = vmb_dev_balloon_policy_target(&d->policy, now_ns(d), &guest);
		d->eager |= target != d->target;
		d->target = target;
	}
	pthread_mutex_unlock(&d->lock);
}

/* A guest that had not enough is asked again as soon as it has more. */
static void hear_report(struct vmb_dev_balloon *d)
{
	uint64_t available = d->host.status.available;

	if (available < d->least)
		d->least = available;
	if (available - d->least >= MORE_PAGES)
		d->retry_at = 0;
	follow(d);
}

static bool wants_packet(const void *state)
{
	const struct vmb_dev_balloon *d = state;

	return !d->broken;
}

static void take_packet(void *state, const struct vmb_ring_received *received)
{
	struct vmb_dev_balloon *d = state;
	uint8_t payload[VMB_BALLOON_LEN_MAX];
	enum vmb_host_balloon_state was = d->host.state;
	int step = VMB_EPROTO;

	if (received->type == VMB_PKT_INBAND && !received->header_len &&
	    received->payload_len <= sizeof(payload) &&
	    vmb_ring_copy(&d->channel.rx, received, PAYLOAD_AT, payload, received->payload_len))
		step = vmb_host_balloon_input(&d->host, payload, received->payload_len);
	if (step == VMB_EPROTO) {
		fail(d);
		return;
	}
	if (step == VMB_HOST_BALLOON_TAKEN)
		take_out(d);
	if (step == VMB_HOST_BALLOON_STATUS)
		hear_report(d);
	if (was > VMB_HOST_BALLOON_OPEN && d->host.state == VMB_HOST_BALLOON_OPEN)
		conclude(d, was);
}

static const struct vmb_dev_channel_reader reader = { .wants = wants_packet, .take = take_packet };

static void read_ring(struct vmb_dev_balloon *d)
{
	enum vmb_dev_channel_rest rest =
		vmb_dev_channel_read_ring(&d->channel, READ_BUDGET, &reader, d);

	if (rest == VMB_DEV_CHANNEL_BROKEN)
		fail(d);
	d->more = !d->broken && rest == VMB_DEV_CHANNEL_MORE;
}

/* Returns whether a message was sent. */
static bool write_one(struct vmb_dev_balloon *d)
{
	const void *message;
	uint32_t len;
	int error;

	message = vmb_host_balloon_output(&d->host, &len);
	if (!message)
		return false;
	error = vmb_dev_channel_write_inband(&d->channel, message, len);
	if (!error)
		vmb_host_balloon_output_done(&d->host);
	else if (error != VMB_EAGAIN)
		fail(d);
	d->full = error == VMB_EAGAIN;
	return !error;
}

static void write_ring(struct vmb_dev_balloon *d)
{
	bool any = false;

	d->full = false;
	while (!d->broken && write_one(d))
		any = true;
	if (any && vmb_ring_commit(&d->channel.tx))
		vmb_dev_bus_signal(&d->channel);
}

/* The target */

/* Adds pages to the machine, unless an earlier offer did. Returns whether they are there. */
static bool grant(struct vmb_dev_balloon *d, uint64_t pages)
{
	int error;

	if (pages <= d->granted)
		return true;
	error = vmb_dev_bus_grow(d->bus, (pages - d->granted) << VMB_PAGE_SHIFT);
	if (error) {
		vmb_dev_report("memory: the machine cannot be given more: %s", strerror(-error));
		return false;
	}
	vmb_dev_memory_ram(d->bus->memory, d->ram);
	d->granted = pages;
	return true;
}

/* New memory lies at the end of the last region. */
static void add(struct vmb_dev_balloon *d, uint64_t pages)
{
	uint64_t most = (d->config.max >> VMB_PAGE_SHIFT) - base_pages(d);
	uint64_t end = vmb_dev_memory_end(d->bus->memory) >> VMB_PAGE_SHIFT;
	uint64_t align = vmb_host_balloon_alignment(&d->host);

	if (pages > ADD_PAGES_MAX && align <= ADD_PAGES_MAX)
		pages = ADD_PAGES_MAX;
	if (pages > most - d->added)
		pages = most - d->added;
	pages -= pages % align;
	if (!pages || !grant(d, d->added + pages))
		return;
	if (most > VMB_BALLOON_RANGE_PAGE_MAX)
		most = VMB_BALLOON_RANGE_PAGE_MAX - VMB_BALLOON_RANGE_PAGE_MAX % align;
	vmb_host_balloon_add(&d->host, end - most + d->added, pages, end - most, most);
}

static void shrink(struct vmb_dev_balloon *d, uint64_t pages)
{
	pages -= pages % VMB_BALLOON_UNIT;
	if (pages > UINT32_MAX - VMB_BALLOON_UNIT)
		pages = UINT32_MAX - UINT32_MAX % VMB_BALLOON_UNIT;
	if (pages)
		vmb_host_balloon_ask(&d->host, pages);
}

static void enlarge(struct vmb_dev_balloon *d, uint64_t pages)
{
	if (d->host.out)
		vmb_host_balloon_give(&d->host, pages);
	else if (!d->never)
		add(d, pages);
}

static void go_after_target(struct vmb_dev_balloon *d)
{
	uint64_t target, have;
	bool eager;

	pthread_mutex_lock(&d->lock);
	target = d->target;
	have = assigned(d);
	eager = d->eager;
	d->eager = false;
	pthread_mutex_unlock(&d->lock);
	if (eager) {
		d->retry_at = 0;
		d->retry_ns = RETRY_NS;
	}
	if (d->host.state != VMB_HOST_BALLOON_OPEN || target == have || now_ns(d) < d->retry_at)
		return;
	if (target < have)
		shrink(d, have - target);
	else
		enlarge(d, target - have);
}

/* Opening and closing: the bus orders, the worker carries it out. */

static bool take_orders(struct vmb_dev_balloon *d)
{
	uint32_t orders = vmb_dev_channel_take_orders(&d->channel);

	if (orders & VMB_DEV_ORDER_OPEN) {
		d->open = d->more = true; /* the guest may have filled the ring before */
		d->broken = d->full = false;
		d->retry_at = 0;
		d->retry_ns = RETRY_NS;
		d->least = UINT64_MAX;
		vmb_host_balloon_reset(&d->host);
	}
	if (!(orders & VMB_DEV_ORDER_CLOSE))
		return orders;
	d->open = false;
	vmb_host_balloon_reset(&d->host);
	publish(d);
	vmb_dev_bus_stopped(&d->channel);
	return true;
}

static bool step(void *state)
{
	struct vmb_dev_balloon *d = state;
	bool any;

	vmb_dev_worker_heard(&d->worker);
	any = take_orders(d);
	if (!d->open)
		return any;
	if ((vmb_dev_channel_rang(&d->channel) || d->more) && !d->broken)
		read_ring(d);
	publish(d);
	write_ring(d); /* answers first: no request is made before they are on their way */
	if (!d->broken)
		go_after_target(d);
	write_ring(d);
	publish(d);
	return d->more || any;
}

/* Until a guest is asked again; never: -1. */
static int wait_ms(const struct vmb_dev_balloon *d)
{
	int64_t left = d->retry_at - now_ns(d);

	if (!d->open || d->broken)
		return -1;
	if (d->full && !vmb_ring_peer_signals_room(&d->channel.rx))
		return ROOM_POLL_MS;
	return left > 0 ? (int)(left / 1000000) + 1 : -1;
}

static void wait(void *state, bool more)
{
	struct vmb_dev_balloon *d = state;
	struct vmb_dev_bell *bell = &d->channel.bell;

	vmb_dev_worker_poll(&d->worker, &bell, 1, more ? 0 : wait_ms(d));
}

static const struct vmb_dev_worker_ops worker_ops = { .step = step,
						      .wait = wait,
						      .role = VMB_DEV_ROLE_BALLOON };

/* Life */

static int prepare(void *state)
{
	return 0;
}

/* The core's record covers all that the guest can ever have. */
static int begin(struct vmb_dev_balloon *d, const struct vmb_dev_memory *m)
{
	struct vmb_host_balloon_config config = {
		.bus_version = d->config.bus_version,
		.ram = d->ram,
		.ram_count = vmb_dev_memory_ram(m, d->ram),
		.map_pages = (vmb_dev_memory_end(m) >> VMB_PAGE_SHIFT) + 31,
		.page_max = d->config.max >> VMB_PAGE_SHIFT,
	};

	config.map_pages -= config.map_pages % 32;
	free(d->host.config.map);
	config.map = calloc(config.map_pages / 32, sizeof(uint32_t));
	vmb_host_balloon_init(&d->host, &config);
	d->granted = d->added = d->out = d->taken = d->returned = 0;
	d->open = d->never = d->tried = d->ready = false;
	return config.map ? 0 : -ENOMEM;
}

static void fill_channel(struct vmb_dev_balloon *d)
{
	memset(&d->channel, 0, sizeof(d->channel));
	d->channel.ops = &vmb_dev_channel_ordered;
	d->channel.worker = &d->worker;
	d->channel.device = d;
	d->channel.host.type_id = (struct vmb_guid)VMB_GUID_BALLOON;
	d->channel.host.instance_id = (struct vmb_guid)VMB_GUID_BALLOON_INSTANCE;
}

static void set_bus(struct vmb_dev_balloon *d, struct vmb_dev_bus *bus)
{
	pthread_mutex_lock(&d->lock);
	d->bus = bus;
	pthread_mutex_unlock(&d->lock);
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_balloon *d = state;
	int error = begin(d, bus->memory);

	fill_channel(d);
	if (!error)
		error = vmb_dev_bus_attach(bus, &d->channel);
	if (!error)
		set_bus(d, bus);
	if (!error && !bus->config.stepped)
		error = vmb_dev_worker_start(&d->worker);
	if (error)
		vmb_dev_report("memory: %s", strerror(-error));
	return error;
}

static void detach(void *state)
{
	struct vmb_dev_balloon *d = state;

	vmb_dev_worker_stop(&d->worker);
	vmb_dev_bus_detach(&d->channel);
	set_bus(d, NULL);
}

static void report(const void *state)
{
	const struct vmb_dev_balloon *d = state;

	vmb_dev_report("stats: memory: %" PRIu64 " MiB given by the guest, %" PRIu64
		       " MiB returned, %" PRIu64 " MiB added, %" PRIu64 " reports%s",
		       d->taken >> 8, d->returned >> 8, d->added >> 8, d->host.statuses,
		       d->broken ? ", broken by the guest" : "");
}

static void shut(void *state)
{
	struct vmb_dev_balloon *d = state;

	detach(d);
	pthread_mutex_destroy(&d->lock);
	free(d->host.config.map);
	free(d);
}

static const struct vmb_dev_device_ops ops = { .prepare = prepare,
					       .attach = attach,
					       .detach = detach,
					       .step = step,
					       .report = report,
					       .close = shut };

int vmb_dev_balloon_open(struct vmb_dev_device *device, const struct vmb_dev_balloon_config *config)
{
	struct vmb_dev_balloon *d;

	if (!vmb_host_balloon_exists(config->bus_version))
		return -ENODEV;
	d = calloc(1, sizeof(*d));
	if (!d) {
		vmb_dev_report("memory: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	d->config = *config;
	d->target = base_pages(d);
	d->follows = config->min;
	d->policy.min = (config->min ? config->min : VMB_DEV_BALLOON_MIN) >> VMB_PAGE_SHIFT;
	d->policy.max = config->max >> VMB_PAGE_SHIFT;
	vmb_dev_worker_init(&d->worker, &worker_ops, d);
	pthread_mutex_init(&d->lock, NULL);
	*device = (struct vmb_dev_device){ &ops, d };
	return 0;
}

struct vmb_dev_balloon *vmb_dev_balloon_of(const struct vmb_dev_device *device)
{
	return device->ops == &ops ? device->state : NULL;
}

int vmb_dev_balloon_follow(struct vmb_dev_balloon *d)
{
	int error;

	pthread_mutex_lock(&d->lock);
	d->follows = true;
	error = d->ready ? 0 : -ENOTCONN;
	if (d->target < d->policy.min)
		d->target = d->policy.min;
	pthread_mutex_unlock(&d->lock);
	return error;
}

int vmb_dev_balloon_set(struct vmb_dev_balloon *d, uint64_t bytes)
{
	int error;

	if (bytes < VMB_DEV_BALLOON_MIN || bytes > d->config.max)
		return -ERANGE;
	pthread_mutex_lock(&d->lock);
	d->follows = false;
	d->target = bytes >> VMB_PAGE_SHIFT;
	d->tried = false;
	d->eager = true;
	error = d->ready ? 0 : -ENOTCONN;
	pthread_mutex_unlock(&d->lock);
	vmb_dev_worker_wake(&d->worker);
	return error;
}

/* Pages of the memory file that exist. */
static uint64_t resident(const struct vmb_dev_bus *bus)
{
	struct stat st;

	return bus && !fstat(bus->memory->regions[0].fd, &st) ? (uint64_t)st.st_blocks * 512 : 0;
}

void vmb_dev_balloon_look(struct vmb_dev_balloon *d, struct vmb_dev_balloon_view *view)
{
	uint64_t have, off;

	pthread_mutex_lock(&d->lock);
	have = assigned(d);
	off = have > d->target ? have - d->target : d->target - have;
	*view = (struct vmb_dev_balloon_view){
		.ready = d->ready,
		.reached = off < VMB_BALLOON_UNIT,
		.follows = d->follows,
		.version = d->version,
		.target = d->target << VMB_PAGE_SHIFT,
		.assigned = have << VMB_PAGE_SHIFT,
		.out = d->out << VMB_PAGE_SHIFT,
		.added = d->added << VMB_PAGE_SHIFT,
		.max = d->config.max,
		.available = d->status.available << VMB_PAGE_SHIFT,
		.committed = d->status.committed << VMB_PAGE_SHIFT,
		.resident = resident(d->bus),
	};
	view->settled = view->reached || d->tried || d->never;
	pthread_mutex_unlock(&d->lock);
}
