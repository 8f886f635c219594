// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Puts a guest's network driver, the host's card and a wire together in one process, for tests. */
#include <stdlib.h>

#include "ports/user/network.h"

#define PAGE_COUNT 1024u

static void *run_guest(void *arg)
{
	struct vmb_user_network *l = arg;
	bool any;

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		vmb_user_synic_wait(l->bus.machine.synic.guest_fd);
		do {
			any = vmb_user_network_bus_step(&l->bus);
			any |= vmb_user_network_guest_step(&l->guest);
		} while (any);
	}
	return NULL;
}

static bool step_both(void *arg)
{
	return vmb_user_network_step(arg);
}

static bool step_host(void *arg)
{
	struct vmb_user_network *l = arg;

	return vmb_user_machine_step(&l->bus.machine);
}

/* The wire is two cards that know each other. */
static void join(struct vmb_user_network *l, struct vmb_user_network *peer)
{
	l->peer = peer;
	peer->peer = l;
}

static void on_wire(void *arg, uint16_t queue, const uint8_t *bytes, uint32_t len, uint32_t mss)
{
	struct vmb_user_network *l = arg;

	l->config.host.wire(l, queue, bytes, len, mss);
}

static void on_taken(void *arg, const struct vmb_dev_net_frame *frame)
{
	struct vmb_user_network *l = arg;

	l->config.host.taken(l, frame);
}

static bool on_looked(void *arg)
{
	struct vmb_user_network *l = arg;

	return l->config.host.looked(l);
}

static enum vmb_dev_fault_verdict judge(void *arg, struct vmb_dev_channel *ch,
					struct vmb_dev_packet *packet)
{
	struct vmb_user_network *l = arg;

	if (!l->host_hook)
		return VMB_DEV_FAULT_PASS;
	return l->host_hook(l->host_hook_arg, ch->host.sub_channel_index, packet);
}

static bool hear_message(void *arg, uint8_t payload[VMB_MSG_LEN_MAX], uint32_t *len)
{
	struct vmb_user_network *l = arg;
	struct vmb_msg_open_result result;
	struct vmb_host_channel *host;

	memcpy(&result, payload, sizeof(result));
	if (result.header.type != VMB_MSG_OPEN_RESULT)
		return true;
	host = vmb_host_channel_find(&l->bus.machine.bus->server, result.relid);
	if (host && !result.status)
		l->config.host.opened(l, VMB_CONTAINER_OF(host, struct vmb_dev_channel, host));
	return true;
}

static void set_fault(struct vmb_user_network *l)
{
	bool heard = l->config.host.opened;

	l->fault.message = heard ? hear_message : NULL;
	l->bus.machine.bus->fault = heard || l->host_hook ? &l->fault : NULL;
}

static void fill_wire(struct vmb_user_network *l)
{
	l->wire = (struct vmb_user_wire){ .sent = l->config.host.wire ? on_wire : NULL,
					  .taken = l->config.host.taken ? on_taken : NULL,
					  .looked = l->config.host.looked ? on_looked : NULL,
					  .arg = l,
					  .large = l->config.host.large };
}

/* The core's own limits are the test's: what an option cannot say is set on the open card. */
static int add_card(struct vmb_user_network *l)
{
	const struct vmb_host_network_config *network = &l->config.host.network;
	struct vmb_dev_net_option option = { .kind = VMB_DEV_NET_OWN,
					     .ops = &vmb_user_wire_ops,
					     .arg = &l->wire };
	struct vmb_dev_device device;
	int err;

	fill_wire(l);
	if (l->config.host.net)
		option = *l->config.host.net;
	option.queue_count = network->rndis.queue_count_max;
	option.mtu_max = network->rndis.mtu_max;
	option.version_max = network->version_max;
	memcpy(option.mac, network->rndis.mac, sizeof(option.mac));
	if (vmb_dev_network_open(&device, &option, 0))
		return VMB_ENOMEM;
	l->card = device.state;
	err = vmb_host_network_init(&l->card->host, network, l->card->host_queues);
	if (err) {
		device.ops->close(device.state);
		return err;
	}
	return vmb_user_machine_add(&l->bus.machine, &device);
}

/* Guest memory for everything: pages of their own, buffers, rings. */
static uint32_t page_count(const struct vmb_user_network_guest_config *guest, uint32_t own)
{
	uint32_t buffers = (guest->receive_len ? guest->receive_len : 2u << 20) +
			   (guest->send_len ? guest->send_len : 1u << 20);
	uint32_t ring_pages = guest->ring_pages ? guest->ring_pages : 16;

	return (own ? own : PAGE_COUNT) + buffers / VMB_PAGE_LEN +
	       2 * ring_pages * VMB_USER_NETWORK_QUEUE_MAX + 64;
}

static int start(struct vmb_user_network *l)
{
	int err = add_card(l);

	if (!err)
		err = vmb_user_network_guest_init(&l->guest, &l->bus, &l->config.guest);
	if (!err && l->config.threads && pthread_create(&l->guest_thread, NULL, run_guest, l))
		err = VMB_ENOMEM;
	return err;
}

int vmb_user_network_init(struct vmb_user_network *l, const struct vmb_user_network_config *config)
{
	const struct vmb_user_machine_config machine = {
		.page_count = page_count(&config->guest, config->page_count),
		.threads = config->threads
	};
	int err;

	memset(l, 0, sizeof(*l));
	l->config = *config;
	err = vmb_user_network_bus_init(&l->bus, &machine);
	if (err)
		return err;
	if (!config->threads) {
		l->config.guest.step = step_both;
		l->config.guest.step_arg = l;
		l->bus.step = step_host;
		l->bus.step_arg = l;
	}
	l->fault = (struct vmb_dev_fault){ .arg = l, .packet = judge };
	set_fault(l);
	if (config->peer)
		join(l, config->peer);
	return start(l);
}

static void stop_guest(struct vmb_user_network *l)
{
	if (!l->config.threads)
		return;
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	vmb_user_synic_kick(l->bus.machine.synic.guest_fd);
	pthread_join(l->guest_thread, NULL);
}

void vmb_user_network_destroy(struct vmb_user_network *l)
{
	if (l->peer)
		l->peer->peer = NULL;
	l->peer = NULL;
	stop_guest(l);
	vmb_user_network_guest_abandon(&l->guest);
	vmb_user_network_guest_destroy(&l->guest);
	vmb_user_network_bus_destroy(&l->bus);
}

static bool step_one(struct vmb_user_network *l)
{
	bool any = vmb_user_machine_step(&l->bus.machine);

	if (l->config.host.looked)
		any |= l->config.host.looked(l);
	any |= vmb_user_network_bus_step(&l->bus);
	return vmb_user_network_guest_step(&l->guest) || any;
}

bool vmb_user_network_step(struct vmb_user_network *l)
{
	bool any = step_one(l);

	if (l->peer)
		any |= step_one(l->peer);
	return any;
}

void vmb_user_network_settle(struct vmb_user_network *l)
{
	while (vmb_user_network_step(l))
		;
}

static int verdict(const struct vmb_dev_network_counters *before,
		   const struct vmb_dev_network_counters *after)
{
	if (after->in_unwanted != before->in_unwanted)
		return VMB_ENODEV;
	if (after->pending != before->pending)
		return VMB_EAGAIN;
	return after->in_dropped != before->in_dropped ? VMB_EPROTO : 0;
}

int vmb_user_network_deliver(struct vmb_user_network *l, const uint8_t *bytes, uint32_t len,
			     uint32_t mss)
{
	struct vmb_dev_network_counters before = l->card->counters;

	vmb_user_wire_deliver(&l->wire, bytes, len, mss);
	return verdict(&before, &l->card->counters);
}

int vmb_user_network_give(struct vmb_user_network *l, uint16_t queue,
			  const struct vmb_host_network_received *frame,
			  const struct vmb_host_offload_piece *pieces, uint32_t count)
{
	struct vmb_dev_network_counters before = l->card->counters;

	vmb_dev_network_queue_deliver(&l->card->queues[queue], frame, pieces, count);
	return verdict(&before, &l->card->counters);
}

void vmb_user_network_flush(struct vmb_user_network *l)
{
	for (uint32_t i = 0; i < l->card->queue_count; i++)
		if (l->card->queues[i].channel)
			vmb_dev_network_queue_flush(&l->card->queues[i]);
}

struct vmb_dev_channel *vmb_user_network_channel(struct vmb_user_network *l, uint16_t queue)
{
	return l->card->queues[queue].channel;
}

uint64_t vmb_user_network_interrupts(const struct vmb_user_network *l, uint16_t queue)
{
	const struct vmb_dev_channel *ch = l->card->queues[queue].channel;

	return ch ? __atomic_load_n(&ch->signals, __ATOMIC_RELAXED) : 0;
}

void vmb_user_network_hook_host(struct vmb_user_network *l, vmb_user_network_hook *hook, void *arg)
{
	l->host_hook = hook;
	l->host_hook_arg = arg;
	set_fault(l);
}

void vmb_user_network_echo(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes,
			   uint32_t len, uint32_t mss)
{
	uint8_t *frame = malloc(len);

	if (!frame)
		return;
	memcpy(frame, bytes + 6, 6);
	memcpy(frame + 6, bytes, 6);
	memcpy(frame + 12, bytes + 12, len - 12);
	vmb_user_wire_deliver(&l->wire, frame, len, mss);
	free(frame);
}

void vmb_user_network_to_peer(struct vmb_user_network *l, uint16_t queue, const uint8_t *bytes,
			      uint32_t len, uint32_t mss)
{
	if (!l->peer)
		return;
	if (l->config.threads)
		vmb_user_wire_push(&l->peer->wire, bytes, len, mss);
	else
		vmb_user_wire_deliver(&l->peer->wire, bytes, len, mss);
}

bool vmb_user_network_holds_nothing(const struct vmb_user_network *l)
{
	return !l->bus.lent_len && !l->bus.machine.bus->gpadl_count &&
	       !l->bus.machine.memory.used_count;
}
