// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What all devices do in the same way with the rings of an open channel. */
#include <time.h>

#include "devices/channel.h"
#include "devices/worker.h"
#include "devices/fault.h"

int vmb_dev_channel_write(struct vmb_dev_channel *ch, const struct vmb_ring_packet *packet,
			  uint32_t len)
{
	struct vmb_dev_fault *fault = vmb_dev_fault_of(ch->bus);
	int error;

	while ((error = fault ? vmb_dev_fault_write(fault, ch, packet) :
				vmb_dev_channel_put(ch, packet)) == VMB_EAGAIN) {
		/*
		 * Publish first: the guest cannot make room by reading packets that it does not
		 * see.
		 */
		if (vmb_ring_commit(&ch->tx))
			vmb_dev_bus_signal(ch);
		if (vmb_ring_wait_room(&ch->tx, len))
			break;
	}
	return error;
}

int vmb_dev_channel_write_inband(struct vmb_dev_channel *ch, const void *payload, uint32_t len)
{
	const struct vmb_ring_part part = { .base = payload, .len = len };
	const struct vmb_ring_packet packet = { .type = VMB_PKT_INBAND,
						.payload = &part,
						.payload_count = 1 };

	return vmb_dev_channel_write(ch, &packet, vmb_ring_packet_len(0, len));
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool vmb_dev_channel_poll(struct vmb_dev_channel *channel, uint32_t us,
			  const struct vmb_dev_worker *w)
{
	struct vmb_ring_received packet;
	int64_t end = now_ns() + (int64_t)us * 1000;

	vmb_ring_mask(&channel->rx);
	while (!vmb_dev_worker_woken(w) && now_ns() < end)
		if (vmb_ring_read(&channel->rx, &packet) != VMB_EAGAIN)
			return true;
	return vmb_ring_unmask(&channel->rx);
}

/* The worker may free the channel as soon as it has the order. */
static void order(struct vmb_dev_channel *channel, uint32_t what)
{
	struct vmb_dev_worker *worker = channel->worker;

	__atomic_fetch_or(&channel->orders, what, __ATOMIC_SEQ_CST);
	vmb_dev_worker_wake(worker);
}

int vmb_dev_channel_order_open(struct vmb_dev_channel *channel)
{
	order(channel, VMB_DEV_ORDER_OPEN);
	return 0;
}

void vmb_dev_channel_order_close(struct vmb_dev_channel *channel)
{
	order(channel, VMB_DEV_ORDER_CLOSE);
}

void vmb_dev_channel_order_released(struct vmb_dev_channel *channel)
{
	order(channel, VMB_DEV_ORDER_RELEASED);
}

const struct vmb_dev_channel_ops vmb_dev_channel_ordered = { .start = vmb_dev_channel_order_open,
							     .stop = vmb_dev_channel_order_close };
