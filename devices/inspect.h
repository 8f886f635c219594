/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a bus and its channels do at this moment, for people and programs that watch a machine. It
 * is a sample: the guest and the devices go on while it is taken, so two numbers of it need not fit
 * each other.
 *
 * Context: any thread, without the bus's lock.
 */
#ifndef DEVICES_INSPECT_H
#define DEVICES_INSPECT_H

#include "devices/bus.h"

struct vmb_dev_ring_sample {
	uint64_t packets, bytes; /* since the channel was opened */
	uint64_t signals; /* times that this end had to signal the other for this ring */
	uint64_t full; /* times that a packet found no room; of the host's writer */
	uint32_t len; /* bytes of its data; 0: not open */
	uint32_t fill; /* bytes that the reader has not given back */
	uint32_t room_wanted; /* bytes that the writer waits for; 0: none */
	bool masked; /* the reader wants no signals */
	bool broken; /* the guest's index is impossible */
};

struct vmb_dev_channel_sample {
	const struct vmb_dev_channel *channel; /* to be compared only: it may be gone */
	const void *device;
	struct vmb_guid type_id, instance_id;
	uint32_t relid, connection_id, monitor_id, target_vp;
	uint16_t sub_channel_index;
	enum vmb_host_channel_state state;
	bool visible, revoked; /* as in host/channel.h */
	uint32_t gpadls; /* that the guest lends to it */
	uint64_t interrupts; /* sent to the guest */
	struct vmb_dev_ring_sample in, out; /* from the guest, to the guest */
	/*
	 * The ring from the guest has packets, and the host sleeps: the guest must signal. True for
	 * a moment is normal.
	 */
	bool guest_owes;
	/* The guest waits for room that there is: the host must signal, or has and is not heard. */
	bool host_owes;
	uint64_t oldest_ns; /* age of the oldest request under way; 0: none, or not known */
};

struct vmb_dev_bus_sample {
	enum vmb_host_server_state state;
	uint32_t version, target_vp;
	uint64_t contacts, unloads;
	uint32_t gpadls, open_channels;
	struct vmb_host_server_counters counters;
};

void vmb_dev_inspect_bus(struct vmb_dev_bus *bus, struct vmb_dev_bus_sample *sample);
/*
 * Fills at most max samples, one a channel, in the order in which they were offered. Returns how
 * many channels there are.
 */
uint32_t vmb_dev_inspect_channels(struct vmb_dev_bus *bus, struct vmb_dev_channel_sample *samples,
				  uint32_t max);

#endif
