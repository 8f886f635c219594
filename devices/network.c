// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A network card as a device: offers its channels, runs its worker and prints its statistics. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/channel.h"
#include "devices/network.h"
#include "devices/report.h"

#define LINK_SPEED   100000000u /* 10 Gbit/s in units of 100 bit/s */
#define ROOM_POLL_MS 1
#define POLL_MAX     (1 + VMB_NET_QUEUE_COUNT_MAX + VMB_DEV_NET_POLL_MAX)

/* Any GUID will do, if it is the same in every start of the machine; the card's number is added. */
static const struct vmb_guid instance =
	VMB_GUID(0x6f70656e, 0x766d, 0x4275, 0xb3, 0x00, 0x6e, 0x65, 0x74, 0x30, 0x30, 0x00);

struct vmb_guid vmb_dev_network_id(uint32_t number)
{
	struct vmb_guid id = instance;

	id.bytes[sizeof(id.bytes) - 1] ^= number;
	return id;
}

/* The bus's requests; its lock is held. */

static struct vmb_dev_network_queue *queue_of(const struct vmb_dev_channel *channel)
{
	const struct vmb_dev_network *c = channel->device;

	return &c->queues[channel->host.sub_channel_index];
}

static int start(struct vmb_dev_channel *channel)
{
	struct vmb_dev_network *c = channel->device;

	pthread_mutex_lock(&c->lock);
	queue_of(channel)->opening = channel;
	pthread_mutex_unlock(&c->lock);
	vmb_dev_worker_wake(&c->worker);
	return 0;
}

static void stop(struct vmb_dev_channel *channel)
{
	struct vmb_dev_network *c = channel->device;

	pthread_mutex_lock(&c->lock);
	queue_of(channel)->closing = channel;
	pthread_mutex_unlock(&c->lock);
	vmb_dev_worker_wake(&c->worker);
}

static void released(struct vmb_dev_channel *channel)
{
	struct vmb_dev_network *c = channel->device;

	if (!channel->host.sub_channel_index) {
		__atomic_store_n(&c->released, true, __ATOMIC_RELEASE);
		return;
	}
	vmb_dev_bus_detach(channel);
	free(channel);
}

static const struct vmb_dev_channel_ops channel_ops = { .start = start,
							.stop = stop,
							.released = released };

static void fill_channel(struct vmb_dev_network *c, struct vmb_dev_channel *channel, uint16_t index)
{
	memset(channel, 0, sizeof(*channel));
	channel->ops = &channel_ops;
	channel->device = c;
	channel->host.type_id = (struct vmb_guid)VMB_GUID_NETWORK;
	channel->host.instance_id = vmb_dev_network_id(c->number);
	channel->host.flags = VMB_OFFER_FLAG_ENUMERATE;
	channel->host.sub_channel_index = index;
	channel->host.monitored = c->monitored;
}

/* If the guest has closed the primary meanwhile, it gets none. */
void vmb_dev_network_offer(struct vmb_dev_network *c)
{
	struct vmb_dev_channel *channel;

	for (uint16_t i = 1; i <= c->host.sub_channel_count && i < c->queue_count; i++) {
		channel = malloc(sizeof(*channel));
		if (!channel)
			return;
		fill_channel(c, channel, i);
		if (vmb_dev_bus_attach(c->channel.bus, channel)) {
			free(channel);
			return;
		}
	}
}

/* The worker */

static void open_queue(struct vmb_dev_network *c, struct vmb_dev_network_queue *q,
		       struct vmb_dev_channel *channel)
{
	uint32_t open = 0;

	vmb_dev_network_queue_open(q, channel);
	if (!q->index)
		vmb_host_network_reset(&c->host);
	vmb_host_network_queue_opened(&c->host, q->index);
	c->counters.opened++;
	for (uint32_t i = 0; i < c->queue_count; i++)
		open += c->queues[i].channel ? 1 : 0;
	if (open > c->open_max)
		c->open_max = open;
}

/* channel may be one that was closed before the worker heard that it was open. */
static void close_queue(struct vmb_dev_network *c, struct vmb_dev_network_queue *q,
			struct vmb_dev_channel *channel)
{
	if (q->channel) {
		vmb_dev_network_queue_close(q);
		if (q->index)
			vmb_host_network_queue_closed(&c->host, q->index);
		else
			vmb_host_network_reset(&c->host);
	}
	if (!q->index) {
		/*
		 * Sub-channels are about to close as well; what they have under way may lie in the
		 * buffers.
		 */
		for (uint32_t i = 1; i < c->queue_count; i++)
			c->queues[i].broken = true;
		vmb_dev_bus_unshare(channel, &c->shared[0]);
		vmb_dev_bus_unshare(channel, &c->shared[1]);
	}
	c->counters.signals += __atomic_load_n(&channel->signals, __ATOMIC_RELAXED);
	__atomic_store_n(&channel->signals, 0, __ATOMIC_RELAXED);
	vmb_dev_bus_stopped(channel); /* a sub-channel may be gone now */
}

/*
 * Sub-channels close before their primary and open after it. When a primary closes, the bus asks
 * for its sub-channels to be closed in the same breath, so no old one is open when new ones are
 * offered.
 */
static void take_requests(struct vmb_dev_network *c)
{
	struct vmb_dev_channel *opening[VMB_NET_QUEUE_COUNT_MAX], *closing[VMB_NET_QUEUE_COUNT_MAX];

	vmb_dev_worker_heard(&c->worker);
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < c->queue_count; i++) {
		opening[i] = c->queues[i].opening;
		closing[i] = c->queues[i].closing;
		c->queues[i].opening = c->queues[i].closing = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = c->queue_count; i-- > 0;)
		if (closing[i])
			close_queue(c, &c->queues[i], closing[i]);
	for (uint32_t i = 0; i < c->queue_count; i++)
		if (opening[i] && !closing[i])
			open_queue(c, &c->queues[i], opening[i]);
}

/*
 * A guest that was told that its sub-channel is open may name it in the next control message, and
 * this round may read that before the next one takes the bus's request.
 */
void vmb_dev_network_open_requested(struct vmb_dev_network *c)
{
	struct vmb_dev_channel *opening[VMB_NET_QUEUE_COUNT_MAX] = { NULL };

	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 1; i < c->queue_count; i++) {
		if (c->queues[i].closing)
			continue;
		opening[i] = c->queues[i].opening;
		c->queues[i].opening = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 1; i < c->queue_count; i++)
		if (opening[i])
			open_queue(c, &c->queues[i], opening[i]);
}

static void serve(struct vmb_dev_network *c)
{
	vmb_host_network_set_link(&c->host, c->net.link_up && !vmb_dev_net_is_pulled(&c->net));
	for (uint32_t i = 0; i < c->queue_count; i++)
		if (c->queues[i].channel)
			vmb_dev_network_queue_read(&c->queues[i]);
	/*
	 * Flush after all queues are read: a frame that one queue sends may cause an answer to
	 * another one.
	 */
	for (uint32_t i = 0; i < c->queue_count; i++)
		if (c->queues[i].channel)
			vmb_dev_network_queue_flush(&c->queues[i]);
}

/*
 * A guest that never promised to signal when its ring has room again is looked at now and then. A
 * frame that was refused waits for the backend to be writable only as long as the backend knows of
 * it: another queue's may have passed since.
 */
static int timeout_of(const struct vmb_dev_network_queue *q)
{
	if (q->broken)
		return -1;
	if (q->sending && !q->card->net.full)
		return 0;
	if (q->more && !q->sending && !q->replying)
		return 0;
	return q->blocked && !vmb_ring_peer_signals_room(&q->channel->rx) ? ROOM_POLL_MS : -1;
}

static void take_bells(struct vmb_dev_network *c)
{
	for (uint32_t i = 0; i < c->queue_count; i++) {
		if (!c->queues[i].channel || !vmb_dev_channel_rang(c->queues[i].channel))
			continue;
		c->counters.doorbells++;
		c->queues[i].look = true;
	}
}

static bool step(void *state)
{
	struct vmb_dev_network *c = state;
	bool more = false;

	take_requests(c);
	take_bells(c);
	serve(c);
	for (uint32_t i = 0; i < c->queue_count; i++)
		more |= c->queues[i].channel && timeout_of(&c->queues[i]) == 0;
	return more;
}

/* Returns how many descriptors are the card's own; lowers *timeout. */
static uint32_t fill_own(struct vmb_dev_network *c, int *timeout)
{
	uint32_t count = 0;
	int soonest;

	c->fds[count++] = (struct pollfd){ .fd = c->worker.wake, .events = POLLIN };
	for (uint32_t i = 0; i < c->queue_count; i++) {
		if (!c->queues[i].channel)
			continue;
		c->fds[count++] =
			(struct pollfd){ .fd = c->queues[i].channel->bell.fd, .events = POLLIN };
		soonest = timeout_of(&c->queues[i]);
		if (soonest >= 0 && (*timeout < 0 || soonest < *timeout))
			*timeout = soonest;
	}
	return count;
}

static void take_own(struct vmb_dev_network *c)
{
	const struct pollfd *fd = c->fds;

	if (fd->revents)
		vmb_dev_event_clear(c->worker.wake);
	for (uint32_t i = 0; i < c->queue_count; i++)
		if (c->queues[i].channel && (++fd)->revents)
			vmb_dev_bell_heard(&c->queues[i].channel->bell);
}

/* One place for bells, the bus and the backend's descriptors alike. */
static void wait(void *state, bool more)
{
	struct vmb_dev_network *c = state;
	int timeout = more ? 0 : -1;
	uint32_t own = fill_own(c, &timeout), count;

	count = own + c->net.ops->fill(&c->net, c->fds + own, VMB_DEV_NET_POLL_MAX, &timeout);
	if (poll(c->fds, count, timeout) < 0)
		for (uint32_t i = 0; i < count; i++)
			c->fds[i].revents = 0;
	take_own(c);
	c->net.ops->take(&c->net, c->fds + own, count - own);
}

static const struct vmb_dev_worker_ops worker_ops = {
	.step = step, .wait = wait, .gathers = true, .role = VMB_DEV_ROLE_NETWORK
};

/* Life */

static int init_core(struct vmb_dev_network *c, const struct vmb_dev_net_option *option)
{
	struct vmb_host_network_config config = {
		.version_max = option->version_max,
		.rndis = { .mtu_max = option->mtu_max < c->net.mtu_max ? option->mtu_max :
									 c->net.mtu_max,
			   .link_speed = LINK_SPEED,
			   .offload = VMB_HOST_RNDIS_TX_CHECKSUM | VMB_HOST_RNDIS_RX_CHECKSUM |
				      VMB_HOST_RNDIS_LSO,
			   .queue_count_max = c->queue_count,
			   .name = c->name },
	};

	if (c->net.takes_large && !option->no_rsc)
		config.rndis.offload |= VMB_HOST_RNDIS_RSC;
	memcpy(config.rndis.mac, option->mac, sizeof(config.rndis.mac));
	return vmb_host_network_init(&c->host, &config, c->host_queues);
}

static int allocate(struct vmb_dev_network *c, const struct vmb_dev_net_option *option,
		    uint32_t number)
{
	c->number = number;
	c->monitored = option->monitored;
	c->queue_count = option->queue_count;
	snprintf(c->name, sizeof(c->name), "OpenVMBus network %u", number);
	snprintf(c->short_name, sizeof(c->short_name), "net%u", number);
	pthread_mutex_init(&c->lock, NULL);
	vmb_dev_worker_init(&c->worker, &worker_ops, c);
	c->queues = calloc(c->queue_count, sizeof(*c->queues));
	c->host_queues = calloc(c->queue_count, sizeof(*c->host_queues));
	c->fds = calloc(POLL_MAX, sizeof(*c->fds));
	if (!c->queues || !c->host_queues || !c->fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->queue_count; i++) {
		c->queues[i].card = c;
		c->queues[i].index = i;
		c->queues[i].pending_end = &c->queues[i].pending;
	}
	return 0;
}

static int prepare(void *state)
{
	struct vmb_dev_network *c = state;

	return vmb_dev_net_prepare(&c->net);
}

static void detach(void *state)
{
	struct vmb_dev_network *c = state;

	vmb_dev_worker_stop(&c->worker);
	vmb_dev_bus_detach(&c->channel);
}

/* Nobody polls a backend's descriptors where the device is stepped: else one line says so. */
static bool serves_without_worker(const struct vmb_dev_network *c)
{
	if (!c->net.has_descriptors)
		return true;
	vmb_dev_report("network %u: a machine that is stepped has null or a backend of its own, "
		       "others need a thread",
		       c->number);
	return false;
}

static int attach(void *state, struct vmb_dev_bus *bus)
{
	struct vmb_dev_network *c = state;
	int error;

	if (bus->config.stepped && !serves_without_worker(c))
		return -EINVAL;
	fill_channel(c, &c->channel, 0);
	c->released = false;
	error = vmb_dev_bus_attach(bus, &c->channel);
	if (error || bus->config.stepped)
		return error;
	c->worker.role = c->net.ops->role;
	error = vmb_dev_worker_start(&c->worker);
	if (error)
		vmb_dev_report("network %u: no thread: %s", c->number, strerror(-error));
	return error;
}

static void shut(void *state)
{
	struct vmb_dev_network *c = state;

	detach(c);
	vmb_dev_net_close(&c->net);
	pthread_mutex_destroy(&c->lock);
	free(c->queues);
	free(c->host_queues);
	free(c->fds);
	free(c);
}

/* The summary */

static const char *version_name(uint32_t version)
{
	static const struct {
		uint32_t version;
		const char *name;
	} names[] = {
		{ VMB_NET_VERSION_1, "1" },   { VMB_NET_VERSION_2, "2" },
		{ VMB_NET_VERSION_4, "4" },   { VMB_NET_VERSION_5, "5" },
		{ VMB_NET_VERSION_6, "6.0" }, { VMB_NET_VERSION_6_1, "6.1" },
	};

	for (size_t i = 0; i < VMB_ARRAY_COUNT(names); i++)
		if (names[i].version == version)
			return names[i].name;
	return "none";
}

static void report_traffic(const struct vmb_dev_network *c)
{
	const struct vmb_dev_network_counters *n = &c->counters;

	vmb_dev_report("stats: network %u: out %llu frames, %llu bytes, %llu large, %llu cut, "
		       "%llu dropped",
		       c->number, (unsigned long long)n->out_frames,
		       (unsigned long long)n->out_bytes, (unsigned long long)n->large_out,
		       (unsigned long long)n->cut_out, (unsigned long long)n->out_dropped);
	vmb_dev_report("stats: network %u: in %llu frames, %llu bytes, %llu large, %llu cut, "
		       "%llu dropped, %llu unwanted, %llu malformed",
		       c->number, (unsigned long long)n->in_frames, (unsigned long long)n->in_bytes,
		       (unsigned long long)n->large_in, (unsigned long long)n->cut_in,
		       (unsigned long long)n->in_dropped, (unsigned long long)n->in_unwanted,
		       (unsigned long long)c->net.malformed);
}

static void report(const void *state)
{
	const struct vmb_dev_network *c = state;
	const struct vmb_dev_network_counters *n = &c->counters;
	const struct vmb_host_network_counters *host = &c->host.counters;

	vmb_dev_report("stats: network %u: %s, NVSP %s, %u of %u queues, %llu channels opened; "
		       "%llu doorbells, %llu signals",
		       c->number, c->net.ops->name, version_name(c->version), c->open_max,
		       c->queue_count, (unsigned long long)n->opened,
		       (unsigned long long)n->doorbells, (unsigned long long)n->signals);
	if (host->mtu_cut)
		vmb_dev_report("stats: network %u: the guest wanted a larger MTU than mtu= allows "
			       "%llu times; longer frames are refused",
			       c->number, (unsigned long long)host->mtu_cut);
	report_traffic(c);
	vmb_dev_report("stats: network %u: %llu packets, %llu refused, %llu broken, %llu forged; "
		       "%llu bytes copied, %llu frames waited, receive buffer full %llu times",
		       c->number, (unsigned long long)host->packets,
		       (unsigned long long)host->refused, (unsigned long long)host->broken,
		       (unsigned long long)host->forged, (unsigned long long)n->copied_bytes,
		       (unsigned long long)n->pending, (unsigned long long)host->no_suballoc);
}

static struct vmb_dev_channel *primary(void *state)
{
	return &((struct vmb_dev_network *)state)->channel;
}

static bool is_released(const void *state)
{
	return __atomic_load_n(&((const struct vmb_dev_network *)state)->released,
			       __ATOMIC_ACQUIRE);
}

static const char *short_name(const void *state)
{
	return ((const struct vmb_dev_network *)state)->short_name;
}

void vmb_dev_network_pull(struct vmb_dev_network *c, bool out)
{
	__atomic_store_n(&c->net.pulled, out, __ATOMIC_RELAXED);
	vmb_dev_worker_wake(&c->worker);
}

const struct vmb_dev_device_ops vmb_dev_network_ops = { .prepare = prepare,
							.attach = attach,
							.detach = detach,
							.step = step,
							.report = report,
							.close = shut,
							.channel = primary,
							.released = is_released,
							.name = short_name };

int vmb_dev_network_open(struct vmb_dev_device *device, const struct vmb_dev_net_option *option,
			 uint32_t number)
{
	struct vmb_dev_network *c = calloc(1, sizeof(*c));
	int error = c ? allocate(c, option, number) : -ENOMEM;

	if (error)
		vmb_dev_report("network %u: %s", number, strerror(-error));
	if (!error)
		error = vmb_dev_net_open(&c->net, option, vmb_dev_network_receive, c);
	if (!error) {
		error = init_core(c, option);
		if (error)
			vmb_dev_report("network %u: %s", number, strerror(-error));
	}
	if (!error)
		*device = (struct vmb_dev_device){ &vmb_dev_network_ops, c };
	else if (c)
		shut(c);
	return error;
}
