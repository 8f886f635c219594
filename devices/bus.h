/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bus: glue between the host core's message engine, the machine and the devices.
 *
 *   vmb_dev_bus_create(&config)
 *   vmb_dev_bus_attach(bus, channel) for each device, before the guest starts; for a sub-channel
 *     when the guest asks for it
 *   the machine calls _post and _deliver as the guest goes along
 *   vmb_dev_bus_reset(bus): closes what is open; vmb_dev_bus_stop(bus) also waits for the devices
 *   vmb_dev_bus_detach(channel)
 *   vmb_dev_bus_destroy(bus)
 *
 * One lock serialises the engine. A device holds nothing of its own while it calls in here. Its
 * callbacks are called with the lock held: they must not wait and must not call in here.
 */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <pthread.h>

#include "devices/doorbell.h"
#include "devices/machine.h"
#include "host/server.h"
#include "ring/ring.h"

struct vmb_dev_channel;
struct vmb_dev_fault;
struct vmb_dev_held;

struct vmb_dev_channel_ops {
	/* The rings stand and channel->bell rings. 0, or -errno: the guest's open fails. */
	int (*start)(struct vmb_dev_channel *channel);
	/* Begin to stop; vmb_dev_bus_stopped() from the device's thread when nothing touches the rings. */
	void (*stop)(struct vmb_dev_channel *channel);
	/* The guest has let go of a channel that is no longer offered: it is the device's again. NULL: never of interest. */
	void (*released)(struct vmb_dev_channel *channel);
};

/* Memory that a guest lent to a device, mapped side by side. */
struct vmb_dev_shared {
	void *memory; /* NULL: none */
	uint32_t len; /* bytes, whole pages */
	struct vmb_host_gpadl *gpadl;
};

struct vmb_dev_channel {
	/* filled by the device */
	const struct vmb_dev_channel_ops *ops;
	void *device;
	struct vmb_host_channel host; /* type_id, instance_id, flags, sub_channel_index, user */

	/* the bus's */
	struct vmb_dev_bus *bus;
	uint32_t target_vp; /* atomic; VMB_VP_NONE = no interrupts */
	uint32_t signalling; /* threads that are about to interrupt target_vp, atomic */
	uint64_t signals; /* interrupts sent, atomic */
	void *pages; /* both rings */
	uint32_t page_count;
	struct vmb_dev_held *held; /* packets that a fault keeps back, oldest first */

	/* for the device: from attach to detach, and rung between start and stopped */
	struct vmb_dev_bell bell;
	/* between start and stopped */
	struct vmb_ring_reader rx;
	struct vmb_ring_writer tx;
};

struct vmb_dev_bus_config {
	struct vmb_dev_machine *machine; /* outlives the bus */
	uint32_t version_min, version_max; /* VMB_VERSION_*, 0 = the server's */
	bool monitors; /* offers have monitor ids */
	bool stepped; /* one thread steps the devices: bells have no descriptors, nobody sleeps */
};

struct vmb_dev_bus {
	struct vmb_dev_bus_config config;
	struct vmb_dev_machine *machine;
	const struct vmb_dev_memory *memory; /* the machine's */
	struct vmb_dev_fault *fault; /* NULL: none is played; set before a guest connects */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t open_count; /* channels that a device may still touch */
	uint32_t gpadl_count; /* lent by the guest now */
	uint64_t contact_count, unload_count;
	uint32_t tries; /* of the message that goes next, where it may be lost */
	uint32_t version; /* newest that a guest negotiated, for the summary */
	struct vmb_host_ram ram[VMB_DEV_MEMORY_REGION_MAX];
	struct vmb_dev_doorbell doorbell; /* where channels have none of their own */
	struct vmb_host_server server;
};

/* NULL: reported. */
struct vmb_dev_bus *vmb_dev_bus_create(const struct vmb_dev_bus_config *config);
/* The guest is gone: each open channel is asked to stop. No processor runs any more. */
void vmb_dev_bus_reset(struct vmb_dev_bus *bus);
/* Resets, and waits until all channels have stopped. Counters stand until destroy. */
void vmb_dev_bus_stop(struct vmb_dev_bus *bus);
void vmb_dev_bus_destroy(struct vmb_dev_bus *bus);
/*
 * Offers a channel; any thread without the lock. 0, or -errno: nothing was begun. A sub-channel's
 * primary is not open any more, or the guest keeps too many channels that it was asked to let go;
 * what is wrong with a primary is reported.
 */
int vmb_dev_bus_attach(struct vmb_dev_bus *bus, struct vmb_dev_channel *channel);
/* When the bus has stopped, or a sub-channel was released. Of a channel that is not attached: nothing. */
void vmb_dev_bus_detach(struct vmb_dev_channel *channel);

/* HvCallPostMessage: a private copy of the block. Returns the hypercall's status. */
uint32_t vmb_dev_bus_post(struct vmb_dev_bus *bus, uint32_t connection_id,
			  const struct vmb_synic_post *post);
/* The machine may take a message that it refused before. Any thread without the lock. */
void vmb_dev_bus_deliver(struct vmb_dev_bus *bus);

/* Device threads, of an open channel. */
void vmb_dev_bus_signal(struct vmb_dev_channel *channel);
/* Takes the channel away from the guest for good: ops->stop is called, and the guest hears of it after _stopped. */
void vmb_dev_bus_rescind(struct vmb_dev_channel *channel);
/* The channel may be gone when this returns: released. */
void vmb_dev_bus_stopped(struct vmb_dev_channel *channel);

/*
 * Maps the memory behind this channel's GPADL, one range of whole pages, and keeps it lent until _unshare, which is due
 * before _stopped. -ENOENT: the guest has no such GPADL; -EINVAL: it is not of that shape; or what mmap says.
 */
int vmb_dev_bus_share(struct vmb_dev_channel *channel, uint32_t gpadl_id,
		      struct vmb_dev_shared *shared);
void vmb_dev_bus_unshare(struct vmb_dev_channel *channel, struct vmb_dev_shared *shared);

#endif
