/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all devices do in the same way with the rings of an open channel. Everything that passes
 * between a device and its rings goes through here, so that it can be recorded (devices/trace.h).
 * Context: the device's thread.
 */
#ifndef DEVICES_CHANNEL_H
#define DEVICES_CHANNEL_H

#include "devices/bus.h"
#include "devices/fault.h"
#include "devices/trace.h"

/*
 * Opening and closing for a device whose worker does both: the bus orders it, which any of its
 * threads may, and wakes channel->worker. A device that has more to do when it is ordered puts
 * functions of its own into its ops, which call these.
 */
#define VMB_DEV_ORDER_OPEN     1u
#define VMB_DEV_ORDER_CLOSE    2u
#define VMB_DEV_ORDER_RELEASED 4u

int vmb_dev_channel_order_open(struct vmb_dev_channel *channel); /* returns 0 */
void vmb_dev_channel_order_close(struct vmb_dev_channel *channel);
void vmb_dev_channel_order_released(struct vmb_dev_channel *channel);
extern const struct vmb_dev_channel_ops vmb_dev_channel_ordered; /* opens and closes so */

/* The orders since the last call: bits. A channel may be opened and closed again meanwhile. */
static inline uint32_t vmb_dev_channel_take_orders(struct vmb_dev_channel *channel)
{
	return __atomic_exchange_n(&channel->orders, 0, __ATOMIC_SEQ_CST);
}

/* Returns whether the guest has signalled since the last call. */
static inline bool vmb_dev_channel_rang(struct vmb_dev_channel *channel)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(channel->bus);
	struct vmb_dev_fault *fault = vmb_dev_fault_of(channel->bus);
	bool rang = vmb_dev_bell_take(&channel->bell);

	if (fault && rang) {
		vmb_dev_fault_look(fault, channel);
		rang = vmb_dev_fault_hears(fault, channel);
	}
	if (trace && rang)
		vmb_dev_trace_signal(trace, VMB_DEV_TRACE_TO_HOST, channel,
				     VMB_DEV_TRACE_VP_UNKNOWN);
	return rang;
}

/*
 * Reads the next packet. Returns what vmb_ring_read() returns. Each packet is to be passed by
 * vmb_ring_next() before the next call.
 */
static inline int vmb_dev_channel_read(struct vmb_dev_channel *channel,
				       struct vmb_ring_received *received)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(channel->bus);
	int error = vmb_ring_read(&channel->rx, received);

	if (trace && !error)
		vmb_dev_trace_received(trace, channel, received);
	return error;
}

/* What reading a ring came to. */
enum vmb_dev_channel_rest {
	VMB_DEV_CHANNEL_EMPTY, /* the bell rings for the next packet */
	VMB_DEV_CHANNEL_MORE, /* there may be more, and no bell rings for it: read again */
	VMB_DEV_CHANNEL_BROKEN /* the guest's packets make no sense; the ring is left alone */
};

struct vmb_dev_worker; /* devices/worker.h */

struct vmb_dev_channel_reader {
	bool (*wants)(const void *arg); /* another packet; asked before each */
	void (*take)(void *arg, const struct vmb_ring_received *received);
};

/*
 * Lets the reader take packets until the ring is empty, it wants no more, or it had budget of them,
 * and gives their room back to the guest. Inline: with a constant reader no packet costs a call
 * through a pointer.
 */
static inline enum vmb_dev_channel_rest
vmb_dev_channel_read_ring(struct vmb_dev_channel *channel, uint32_t budget,
			  const struct vmb_dev_channel_reader *reader, void *arg)
{
	struct vmb_ring_reader *rx = &channel->rx;
	struct vmb_ring_received received;
	int error;

	do {
		vmb_ring_mask(rx);
		error = 0;
		while (budget && reader->wants(arg) &&
		       !(error = vmb_dev_channel_read(channel, &received))) {
			budget--;
			reader->take(arg, &received);
			vmb_ring_next(rx, &received);
		}
		if (vmb_ring_release(rx))
			vmb_dev_bus_signal(channel);
		if (!error)
			return VMB_DEV_CHANNEL_MORE;
		if (error != VMB_EAGAIN)
			return VMB_DEV_CHANNEL_BROKEN;
	} while (vmb_ring_unmask(rx));
	return VMB_DEV_CHANNEL_EMPTY;
}

/*
 * Looks at the ring for us microseconds at most, 0: once, while the guest is told to ring no bell.
 * Returns true as soon as there is a packet (or a broken index): the ring is masked, read it.
 * Returns false when there is none, or the channel's worker, w, was woken: the guest rings again.
 * Only after a read that left the ring empty. It keeps a processor busy.
 */
bool vmb_dev_channel_poll(struct vmb_dev_channel *channel, uint32_t us,
			  const struct vmb_dev_worker *w);

/* Writes a packet, without faults. Returns what vmb_ring_write() returns. */
static inline int vmb_dev_channel_put(struct vmb_dev_channel *channel,
				      const struct vmb_ring_packet *packet)
{
	struct vmb_dev_trace *trace = vmb_dev_trace_of(channel->bus);
	uint32_t start = channel->tx.write_index;
	int error = vmb_ring_write(&channel->tx, packet);

	if (trace && !error)
		vmb_dev_trace_sent(trace, channel, packet, start);
	return error;
}

/*
 * Writes a packet that takes len bytes of the ring. The guest sees it only after vmb_ring_commit().
 * If there is no room, publishes what was written before, asks the guest to signal when there is
 * room, and returns VMB_EAGAIN. Otherwise returns what vmb_ring_write() returns.
 */
int vmb_dev_channel_write(struct vmb_dev_channel *channel, const struct vmb_ring_packet *packet,
			  uint32_t len);
/* The same for a packet of one part, of which nobody awaits a completion. */
int vmb_dev_channel_write_inband(struct vmb_dev_channel *channel, const void *payload,
				 uint32_t len);

#endif
